//! The algorithms of the AUTOSAR Secure Hardware Extension (SHE): the Miyaguchi-Preneel key derivation, the messages M1
//! to M5 that carry a key to a device and prove its arrival, the random generator, and the header under the boot MAC.
//!
//! Functions over any driver with AES-128 and CMAC. They know no key store: a key is 16 bytes, and where keys live, who
//! may use them and which counter is the last one is the caller's business.
//!
//! The compression is used without the length padding of the standard's general form, as the protocol demands (document
//! 06, §7.1): the four constants of the key derivation contain it.
//!
//! ```
//! use casemate_crypto::she::{Counter, KeyNumber, KeyUpdate, UpdateFlags};
//! # use casemate_crypto::{Error, Random, Software};
//! # struct None;
//! # impl Random for None {}
//! # let driver = Software::new(None);
//!
//! // The example of the SHE specification: MASTER_ECU_KEY (1) installs KEY_1 (4).
//! let master: [u8; 16] = core::array::from_fn(|index| index as u8);
//! let new: [u8; 16] = core::array::from_fn(|index| 15 - index as u8);
//! let update = KeyUpdate {
//!     uid: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
//!     key: KeyNumber::new(4).unwrap(),
//!     authorizing_key: KeyNumber::new(1).unwrap(),
//!     counter: Counter::new(1).unwrap(),
//!     flags: UpdateFlags::NONE,
//! };
//! let messages = update.seal(&driver, &master, &new)?;
//! assert_eq!(messages.m3[..4], [0xb9, 0xd7, 0x45, 0xe5]);
//!
//! // The device opens them and answers with the proof, which the sender knows beforehand.
//! let (opened, key) = messages.open(&driver, &master)?;
//! assert_eq!((opened, *key), (update, new));
//! let proof = opened.prove(&driver, &update.uid, &key)?;
//! assert_eq!(proof.m5[..4], [0x82, 0x0d, 0x8d, 0x95]);
//! # Ok::<(), Error>(())
//! ```

use crate::secret::{Secret, wipe};
use crate::{AES_BLOCK, Cipher, Direction, Error, Mac, cmac, constant_time_equal};
use core::fmt;
use core::ops::BitOr;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A SHE key, a block of its cipher, a MAC.
pub type Block = [u8; AES_BLOCK];
/// The device's unique identifier.
pub type Uid = [u8; UID_SIZE];
/// Length of a [`Uid`] in bytes: 120 bits.
pub const UID_SIZE: usize = 15;
/// The UID that stands for any device, where the key to be replaced permits that.
pub const WILDCARD_UID: Uid = [0; UID_SIZE];

/// Compresses whole blocks by Miyaguchi-Preneel over AES-128: `H = AES(H, B) ^ B ^ H` for each block `B`, from zero.
///
/// # Errors
/// Those of the driver's ECB.
pub fn miyaguchi_preneel<D: Cipher + ?Sized>(
    driver: &D,
    blocks: &[&Block],
) -> Result<Zeroizing<Block>, Error> {
    let mut chain = Zeroizing::new([0; AES_BLOCK]);
    compress(driver, blocks, &mut chain)?;
    Ok(chain)
}

/// [`miyaguchi_preneel`] in place: `chain` is zero at first.
fn compress<D: Cipher + ?Sized>(driver: &D, blocks: &[&Block], chain: &mut Block) -> Result<(), Error> {
    let mut next = Secret::<AES_BLOCK>::zero();
    for &block in blocks {
        next.copy_from_slice(block);
        driver.ecb(Direction::Encrypt, chain, next.as_mut_slice())?;
        for ((chain, next), block) in chain.iter_mut().zip(next.iter()).zip(block) {
            *chain ^= next ^ block;
        }
    }
    Ok(())
}

/// What a key is derived for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `KEY_UPDATE_ENC_C`: encrypting M2 (K1) and M4 (K3).
    UpdateEncryption,
    /// `KEY_UPDATE_MAC_C`: authenticating M3 (K2) and M5 (K4).
    UpdateMac,
    /// `PRNG_KEY_C`: the random generator's key.
    Prng,
    /// `PRNG_SEED_KEY_C`: renewing the random generator's seed.
    PrngSeed,
}

impl Purpose {
    /// The constant, with the padding and the bit length of the standard's 176-bit input at its end.
    const fn constant(self) -> Block {
        let number = match self {
            Self::UpdateEncryption => 1,
            Self::UpdateMac => 2,
            Self::Prng => 4,
            Self::PrngSeed => 5,
        };
        [1, number, 0x53, 0x48, 0x45, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0xB0]
    }
}

/// Derives a key: the compression of `key` and the purpose's constant.
///
/// # Errors
/// Those of the driver's ECB.
pub fn derive<D: Cipher + ?Sized>(
    driver: &D,
    key: &Block,
    purpose: Purpose,
) -> Result<Zeroizing<Block>, Error> {
    let mut derived = Zeroizing::new([0; AES_BLOCK]);
    derive_into(driver, key, purpose, &mut derived)?;
    Ok(derived)
}

/// [`derive`] in place: `derived` is zero at first.
#[inline(never)]
fn derive_into<D: Cipher + ?Sized>(
    driver: &D,
    key: &Block,
    purpose: Purpose,
    derived: &mut Block,
) -> Result<(), Error> {
    compress(driver, &[key, &purpose.constant()], derived)
}

/// En- or decrypts `blocks` by CBC from zero, which is ECB for a single one, under a key that is derived from `key`.
///
/// Not inlined, as [`authenticate`]: each step of an update gives its keys and its stack back before the next one begins.
#[inline(never)]
fn crypt<D: Cipher + ?Sized>(
    driver: &D,
    direction: Direction,
    (key, purpose): (&Block, Purpose),
    blocks: &mut [Block],
) -> Result<(), Error> {
    let mut derived = Secret::zero();
    derive_into(driver, key, purpose, &mut derived)?;
    driver.cbc(direction, derived.as_slice(), &mut [0; AES_BLOCK], blocks.as_flattened_mut())
}

/// The MAC of M3 and M5 over what stands before them.
#[inline(never)]
fn authenticate<D: Cipher + Mac + ?Sized>(
    driver: &D,
    key: &Block,
    blocks: &[Block],
    tag: &mut Block,
) -> Result<(), Error> {
    let mut derived = Secret::zero();
    derive_into(driver, key, Purpose::UpdateMac, &mut derived)?;
    cmac(driver, derived.as_slice(), &[blocks.as_flattened()], tag)
}

/// The number of a key in an update: 0 to 15.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyNumber(u8);

impl KeyNumber {
    /// `number`, if it has four bits.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 16 { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for KeyNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The counter of an update: 28 bits. A key is only ever replaced by one with a higher counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Counter(u32);

impl Counter {
    /// The last counter: with it a key can never be replaced again.
    pub const MAX: Self = Self(0x0FFF_FFFF);

    /// `value`, if it has 28 bits.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The five protection flags of a key, in the standard's order. What a device makes of them is its own business; see
/// document 06, §2 for one that reads them differently.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct UpdateFlags(u8);

impl UpdateFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The key can never be replaced.
    pub const WRITE_PROTECTION: Self = Self(0x10);
    /// The key serves only after a successful secure boot.
    pub const BOOT_PROTECTION: Self = Self(0x08);
    /// The key does not serve while a debugger is, or was, attached.
    pub const DEBUGGER_PROTECTION: Self = Self(0x04);
    /// The key is for MACs; without this flag it is for encryption.
    pub const KEY_USAGE: Self = Self(0x02);
    /// The key cannot be replaced by an update for the [`WILDCARD_UID`].
    pub const WILDCARD: Self = Self(0x01);

    /// The flags in the five low bits of `bits`, in the standard's order: `WRITE_PROTECTION` is the highest.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits < 32 { Some(Self(bits)) } else { None }
    }

    /// The five bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all flags of `other` are set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for UpdateFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for UpdateFlags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UpdateFlags({:#07b})", self.0)
    }
}

/// What an update says besides the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUpdate {
    /// Which device it is for; [`WILDCARD_UID`] for any.
    pub uid: Uid,
    /// The key to be replaced.
    pub key: KeyNumber,
    /// The key that authorizes it.
    pub authorizing_key: KeyNumber,
    /// The new key's counter.
    pub counter: Counter,
    /// The new key's flags.
    pub flags: UpdateFlags,
}

/// M1, both halves of M2, and M3, as they travel.
pub type UpdateBlocks = [Block; 4];
/// Both halves of M4, and M5, as they travel.
pub type ProofBlocks = [Block; 3];

/// The messages that carry a key to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateMessages {
    /// UID and key numbers, readable.
    pub m1: [u8; 16],
    /// Counter, flags and key, encrypted.
    pub m2: [u8; 32],
    /// The MAC over both.
    pub m3: [u8; 16],
}

/// The messages by which a device proves that it took the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateProof {
    /// UID and key numbers, and the counter, encrypted.
    pub m4: [u8; 32],
    /// The MAC over it.
    pub m5: [u8; 16],
}

impl KeyUpdate {
    /// The first half of M1 and M4: `uid`, then both key numbers.
    const fn address(&self, uid: &Uid) -> Block {
        let [u0, u1, u2, u3, u4, u5, u6, u7, u8, u9, u10, u11, u12, u13, u14] = *uid;
        let numbers = (self.key.0 << 4) | self.authorizing_key.0;
        [u0, u1, u2, u3, u4, u5, u6, u7, u8, u9, u10, u11, u12, u13, u14, numbers]
    }

    /// The plain first half of M2: counter and flags.
    const fn attributes(&self) -> Block {
        let [a, b, c, d] = ((self.counter.0 << 4) | (self.flags.0 >> 1) as u32).to_be_bytes();
        [a, b, c, d, self.flags.0 << 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    /// The plain second half of M4: the counter and a single bit.
    const fn receipt(&self) -> Block {
        let [a, b, c, d] = ((self.counter.0 << 4) | 8).to_be_bytes();
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    /// Makes M1 to M3, which carry `new_key` to the device. `authorizing_key` is what the device holds under
    /// [`KeyUpdate::authorizing_key`].
    ///
    /// # Errors
    /// Those of the driver's ECB, CBC and CMAC.
    pub fn seal<D: Cipher + Mac + ?Sized>(
        &self,
        driver: &D,
        authorizing_key: &Block,
        new_key: &Block,
    ) -> Result<UpdateMessages, Error> {
        let mut blocks = UpdateBlocks::default();
        self.seal_into(driver, authorizing_key, new_key, &mut blocks)?;
        Ok(UpdateMessages::from_blocks(&blocks))
    }

    /// As [`seal`](Self::seal), into the messages where they are. After an error their contents mean nothing.
    ///
    /// # Errors
    /// As for [`seal`](Self::seal).
    pub fn seal_into<D: Cipher + Mac + ?Sized>(
        &self,
        driver: &D,
        authorizing_key: &Block,
        new_key: &Block,
        messages: &mut UpdateBlocks,
    ) -> Result<(), Error> {
        let [authenticated @ .., m3] = messages;
        let [m1, m2 @ ..] = authenticated;
        *m1 = self.address(&self.uid);
        *m2 = [self.attributes(), *new_key];
        if let Err(error) =
            crypt(driver, Direction::Encrypt, (authorizing_key, Purpose::UpdateEncryption), m2)
        {
            m2.zeroize();
            return Err(error);
        }
        authenticate(driver, authorizing_key, authenticated, m3)
    }

    /// Makes M4 and M5, with which the device whose identifier is `uid` proves that it took `new_key`. They carry the
    /// device's own UID also after an update for the [`WILDCARD_UID`].
    ///
    /// # Errors
    /// Those of the driver's ECB, CBC and CMAC.
    pub fn prove<D: Cipher + Mac + ?Sized>(
        &self,
        driver: &D,
        uid: &Uid,
        new_key: &Block,
    ) -> Result<UpdateProof, Error> {
        let mut blocks = ProofBlocks::default();
        self.prove_into(driver, uid, new_key, &mut blocks)?;
        let [m4 @ .., m5] = blocks;
        Ok(UpdateProof { m4: joined(&m4), m5 })
    }

    /// As [`prove`](Self::prove), into M4 and M5 where they are. After an error their contents mean nothing.
    ///
    /// # Errors
    /// As for [`prove`](Self::prove).
    pub fn prove_into<D: Cipher + Mac + ?Sized>(
        &self,
        driver: &D,
        uid: &Uid,
        new_key: &Block,
        proof: &mut ProofBlocks,
    ) -> Result<(), Error> {
        let [m4 @ .., m5] = proof;
        let [address, receipt] = m4;
        *address = self.address(uid);
        *receipt = self.receipt();
        let to_encrypt = core::slice::from_mut(receipt);
        crypt(driver, Direction::Encrypt, (new_key, Purpose::UpdateEncryption), to_encrypt)?;
        authenticate(driver, new_key, m4, m5)
    }

    /// The key to be replaced and the key that authorizes it, as M1 names them.
    #[must_use]
    pub const fn keys(m1: &Block) -> (KeyNumber, KeyNumber) {
        let [.., numbers] = *m1;
        (KeyNumber(numbers >> 4), KeyNumber(numbers & 0xF))
    }

    /// Checks M3 and decrypts M2, as [`UpdateMessages::open`]; the new key is put where it is to be.
    ///
    /// # Errors
    /// As for [`UpdateMessages::open`].
    pub fn open_into<D: Cipher + Mac + ?Sized>(
        driver: &D,
        authorizing_key: &Block,
        messages: &UpdateBlocks,
        new_key: &mut Block,
    ) -> Result<Self, Error> {
        let [authenticated @ .., m3] = messages;
        let mut expected = [0; AES_BLOCK];
        authenticate(driver, authorizing_key, authenticated, &mut expected)?;
        if !constant_time_equal(&expected, m3) {
            return Err(Error::Authentication);
        }
        let [m1, m2 @ ..] = authenticated;
        let mut plain = Secret::new(joined(m2));
        let (halves, _) = plain.as_chunks_mut();
        crypt(driver, Direction::Decrypt, (authorizing_key, Purpose::UpdateEncryption), halves)?;
        let [[a, b, c, d, last, ..], key] = halves else { return Err(Error::State) };
        *new_key = *key;
        let [uid @ .., _] = *m1;
        let (key, authorizing_key) = Self::keys(m1);
        let word = u32::from_be_bytes([*a, *b, *c, *d]);
        Ok(Self {
            uid,
            key,
            authorizing_key,
            counter: Counter(word >> 4),
            flags: UpdateFlags(((*d & 0xF) << 1) | (*last >> 7)),
        })
    }
}

/// Both halves of M2 or M4.
fn joined(halves: &[Block; 2]) -> [u8; 32] {
    let mut message = [0; 32];
    message.copy_from_slice(halves.as_flattened());
    message
}

impl UpdateMessages {
    /// As they arrived.
    #[must_use]
    pub fn from_blocks([m1, m2 @ .., m3]: &UpdateBlocks) -> Self {
        Self { m1: *m1, m2: joined(m2), m3: *m3 }
    }

    /// The UID in M1.
    #[must_use]
    pub const fn uid(&self) -> Uid {
        let [uid @ .., _] = self.m1;
        uid
    }

    /// The key to be replaced, from M1.
    #[must_use]
    pub const fn key(&self) -> KeyNumber {
        KeyUpdate::keys(&self.m1).0
    }

    /// The key that authorizes it, from M1.
    #[must_use]
    pub const fn authorizing_key(&self) -> KeyNumber {
        KeyUpdate::keys(&self.m1).1
    }

    /// As they travel.
    #[must_use]
    pub fn to_blocks(&self) -> UpdateBlocks {
        let mut blocks = [self.m1, [0; AES_BLOCK], [0; AES_BLOCK], self.m3];
        let [_, m2 @ .., _] = &mut blocks;
        m2.as_flattened_mut().copy_from_slice(&self.m2);
        blocks
    }

    /// Checks M3 and decrypts M2: what the update says, and the new key.
    ///
    /// Bits of M2 that mean nothing are ignored.
    ///
    /// # Errors
    /// [`Error::Authentication`] if M3 does not match under `authorizing_key`; else those of the driver.
    pub fn open<D: Cipher + Mac + ?Sized>(
        &self,
        driver: &D,
        authorizing_key: &Block,
    ) -> Result<(KeyUpdate, Zeroizing<Block>), Error> {
        let mut key = Zeroizing::new([0; AES_BLOCK]);
        let update = KeyUpdate::open_into(driver, authorizing_key, &self.to_blocks(), &mut key)?;
        Ok((update, key))
    }
}

/// The random generator: AES-128 in output feedback under a derived key. Wiped when dropped.
///
/// It is as random as the seed that it is started from, and the standard's only one: nothing else feeds it.
#[derive(Clone)]
pub struct Prng {
    key: Block,
    state: Block,
}

impl Prng {
    /// Renews `seed` under the device's secret key and starts from the result, which must replace the stored seed
    /// before any number is given out.
    ///
    /// # Errors
    /// Those of the driver's ECB and CBC; `seed` then means nothing.
    pub fn start<D: Cipher + ?Sized>(
        driver: &D,
        secret_key: &Block,
        seed: &mut Block,
    ) -> Result<Self, Error> {
        let mut started = Self { key: [0; AES_BLOCK], state: [0; AES_BLOCK] };
        crypt(driver, Direction::Encrypt, (secret_key, Purpose::PrngSeed), core::slice::from_mut(seed))?;
        derive_into(driver, secret_key, Purpose::Prng, &mut started.key)?;
        started.state = *seed;
        Ok(started)
    }

    /// The next number.
    ///
    /// # Errors
    /// Those of the driver's ECB; the generator then stays where it was.
    pub fn next<D: Cipher + ?Sized>(&mut self, driver: &D) -> Result<Block, Error> {
        let mut next = self.state;
        driver.ecb(Direction::Encrypt, &self.key, &mut next)?;
        self.state = next;
        Ok(next)
    }

    /// Mixes entropy into the state: its compression, as [`extend_seed`].
    ///
    /// # Errors
    /// Those of the driver's ECB; the generator then stays where it was.
    pub fn extend<D: Cipher + ?Sized>(&mut self, driver: &D, entropy: &Block) -> Result<(), Error> {
        extend_seed(driver, &mut self.state, entropy)
    }
}

impl Drop for Prng {
    fn drop(&mut self) {
        wipe(&mut self.key);
        wipe(&mut self.state);
    }
}

impl ZeroizeOnDrop for Prng {}

impl fmt::Debug for Prng {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Prng").finish_non_exhaustive()
    }
}

/// Mixes entropy into a seed.
///
/// # Errors
/// Those of the driver's ECB; the seed then stays what it was.
pub fn extend_seed<D: Cipher + ?Sized>(driver: &D, seed: &mut Block, entropy: &Block) -> Result<(), Error> {
    let mut extended = Secret::zero();
    compress(driver, &[seed, entropy], &mut extended)?;
    *seed = *extended;
    Ok(())
}

/// What stands before the image under the boot MAC: zeros, then the image's length in bytes in four bytes, in the byte
/// order of the device (document 06, §6). The boot MAC is the CMAC of this and the image under the boot MAC key.
#[must_use]
pub const fn boot_mac_header(length: [u8; 4]) -> Block {
    let [a, b, c, d] = length;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::{bytes, driver};

    fn array<const N: usize>(hex: &str) -> [u8; N] {
        bytes(hex).try_into().unwrap()
    }

    const UID: &str = "000000000000000000000000000001";
    const MASTER: &str = "000102030405060708090a0b0c0d0e0f";
    const NEW: &str = "0f0e0d0c0b0a09080706050403020100";

    fn update(key: u8, authorizing_key: u8, flags: UpdateFlags) -> KeyUpdate {
        KeyUpdate {
            uid: array(UID),
            key: KeyNumber::new(key).unwrap(),
            authorizing_key: KeyNumber::new(authorizing_key).unwrap(),
            counter: Counter::new(1).unwrap(),
            flags,
        }
    }

    /// The example of the SHE specification: document 06, §11.1.
    #[test]
    fn the_specifications_memory_update() {
        let driver = driver();
        let (master, new) = (array(MASTER), array(NEW));
        for (key, purpose, derived) in [
            (&master, Purpose::UpdateEncryption, "118a46447a770d87828a69c222e2d17e"),
            (&master, Purpose::UpdateMac, "2ebb2a3da62dbd64b18ba6493e9fbe22"),
            (&new, Purpose::UpdateEncryption, "ed2de7864a47f6bac319a9dc496a788f"),
            (&new, Purpose::UpdateMac, "ec9386fefaa1c598246144343de5f26a"),
        ] {
            assert_eq!(derive(&driver, key, purpose).unwrap().as_slice(), bytes(derived));
        }
        let update = update(4, 1, UpdateFlags::NONE);
        let messages = update.seal(&driver, &master, &new).unwrap();
        assert_eq!(messages.m1, array("00000000000000000000000000000141"));
        assert_eq!(messages.m2, array("2b111e2d93f486566bcbba1d7f7a9797c94643b050fc5d4d7de14cff682203c3"));
        assert_eq!(messages.m3, array("b9d745e5ace7d41860bc63c2b9f5bb46"));
        let (opened, key) = messages.open(&driver, &master).unwrap();
        assert_eq!((opened, *key), (update, new));
        let proof = opened.prove(&driver, &update.uid, &key).unwrap();
        assert_eq!(proof.m4, array("00000000000000000000000000000141b472e8d8727d70d57295e74849a27917"));
        assert_eq!(proof.m5, array("820d8d95dc11b4668878160cb2a4e23e"));
    }

    /// Document 06, §11.2: authorizing key, key and its number, M1's last byte, M2, M3, second half of M4, M5.
    #[test]
    fn more_updates() {
        let secret = "2b7e151628aed2a6abf7158809cf4f3c";
        let zero = "00000000000000000000000000000000";
        for (authorizing, aid, new, id, last, m2, m3, m4, m5) in [
            (
                secret,
                0,
                MASTER,
                1,
                0x10,
                "c4bff5e8b73d665bbf790b6da5ceebb8a9d6d83ffff14f0d2b651505f85b6ebc",
                "50d8712ac339a53210c100feadae6564",
                "7353dd885b971e09686842f169041ac8",
                "4c24cc97c53e4a0be6b0ce6b46381b38",
            ),
            (
                zero,
                1,
                MASTER,
                4,
                0x41,
                "ff8b75f73e6ad5a1729423c6e9311f1a7b152023f03fa356a33f101c3e8195fe",
                "cf9626a2df9bb3b6811f87a3be8bffcc",
                "7353dd885b971e09686842f169041ac8",
                "d93fee8aba73e08f9690028ac7246156",
            ),
            (
                secret,
                0,
                NEW,
                14,
                0xE0,
                "c4bff5e8b73d665bbf790b6da5ceebb885908d6d6a856c95df43951fac28b1cb",
                "73fd902a188f19712f743fee5051498c",
                "b472e8d8727d70d57295e74849a27917",
                "6ad10dcad1e1fc823a0325ec772ef8ee",
            ),
        ] {
            let driver = driver();
            let update = update(id, aid, UpdateFlags::NONE);
            let messages = update.seal(&driver, &array(authorizing), &array(new)).unwrap();
            assert_eq!(messages.m1[15], last);
            assert_eq!(messages.m2, array(m2));
            assert_eq!(messages.m3, array(m3));
            let proof = update.prove(&driver, &update.uid, &array(new)).unwrap();
            assert_eq!(proof.m4[..16], messages.m1);
            assert_eq!(proof.m4[16..], bytes(m4));
            assert_eq!(proof.m5, array(m5));
        }
    }

    /// Document 06, §11.2, second table.
    #[test]
    fn flags_stand_where_the_standard_puts_them() {
        let driver = driver();
        let master = array(MASTER);
        for (flags, m2, m3) in [
            (
                UpdateFlags::WRITE_PROTECTION,
                "7353dd885b971e09686842f169041ac858b7a8db4cb1ebf676755c95cd0586a3",
                "0cfa699545ab409ece38dbb27e377f86",
            ),
            (
                UpdateFlags::KEY_USAGE,
                "74c3a812bf192a6b52d89d79d9b04ac87f19526c70790d7fcdb707a77dfdf5a8",
                "bb8ae5b8c10741e317a8dab650c01248",
            ),
            (
                UpdateFlags::WILDCARD,
                "78e0f384fba9e413a55e60e80f4cb96c34d5683294aec5969ff12b2f903740aa",
                "abad6c280d3c9c0e1a3cf03d73c86c05",
            ),
        ] {
            let messages = update(5, 1, flags).seal(&driver, &master, &array(NEW)).unwrap();
            assert_eq!((messages.m2, messages.m3), (array(m2), array(m3)));
            assert_eq!(messages.open(&driver, &master).unwrap().0.flags, flags);
        }
    }

    #[test]
    fn a_changed_message_does_not_open() {
        let driver = driver();
        let master = array(MASTER);
        let messages = update(4, 1, UpdateFlags::NONE).seal(&driver, &master, &array(NEW)).unwrap();
        for bit in 0..512 {
            let mut changed = messages;
            let (byte, mask) = (bit / 8, 1 << (bit % 8));
            match byte {
                0..16 => changed.m1[byte] ^= mask,
                16..48 => changed.m2[byte - 16] ^= mask,
                _ => changed.m3[byte - 48] ^= mask,
            }
            assert_eq!(changed.open(&driver, &master), Err(Error::Authentication), "bit {bit}");
        }
        assert_eq!(messages.open(&driver, &array(NEW)), Err(Error::Authentication));
    }

    #[test]
    fn every_counter_and_flag_survives() {
        let driver = driver();
        let (master, new) = (array(MASTER), array(NEW));
        for counter in [0, 1, 0x8000, 0x07FF_FFFF, Counter::MAX.get()] {
            for bits in 0..32 {
                let sent = KeyUpdate {
                    uid: WILDCARD_UID,
                    counter: Counter::new(counter).unwrap(),
                    ..update(15, 14, UpdateFlags::from_bits(bits).unwrap())
                };
                let (opened, _) = sent.seal(&driver, &master, &new).unwrap().open(&driver, &master).unwrap();
                assert_eq!(opened, sent);
            }
        }
        assert_eq!(Counter::new(0x1000_0000), None);
        assert_eq!(KeyNumber::new(16), None);
        assert_eq!(UpdateFlags::from_bits(32), None);
    }

    /// Document 06, §11.3: with the standard's padding block, and without.
    #[test]
    fn compression() {
        let driver = driver();
        let (a, b) = (array("6bc1bee22e409f96e93d7e117393172a"), array("ae2d8a571e03ac9c9eb76fac45af8e51"));
        let padding = array("80000000000000000000000000000100");
        let padded = miyaguchi_preneel(&driver, &[&a, &b, &padding]).unwrap();
        assert_eq!(padded.as_slice(), bytes("c7277a0dc1fb853b5f4d9cbd26be40c6"));
        let plain = miyaguchi_preneel(&driver, &[&a, &b]).unwrap();
        assert_eq!(plain.as_slice(), bytes("1976aed18c2f3746165e5de2c4c5d446"));
    }

    /// Document 06, §11.4.
    #[test]
    fn random_generator() {
        let driver = driver();
        let secret = array("2b7e151628aed2a6abf7158809cf4f3c");
        let seed_key = derive(&driver, &secret, Purpose::PrngSeed).unwrap();
        assert_eq!(seed_key.as_slice(), bytes("8abc8f6e2a8264fd38088be622ca0416"));
        let mut seed = array("6bc1bee22e409f96e93d7e117393172a");
        let mut prng = Prng::start(&driver, &secret, &mut seed).unwrap();
        assert_eq!(seed, array("41f21213bca0434b3eb3bafcb0a19d74"));
        assert_eq!(prng.key, array("a1be019264992b2b725a4dd4c7767002"));
        assert_eq!(prng.next(&driver), Ok(array("614aae8a7bb8fff31ac3230e6240506b")));
        assert_eq!(prng.next(&driver), Ok(array("f369fde4a7cd9e10d7410a8fb076b35d")));
        let entropy = array("ae2d8a571e03ac9c9eb76fac45af8e51");
        prng.extend(&driver, &entropy).unwrap();
        assert_eq!(prng.next(&driver), Ok(array("bcc82a8e253ee86d33162eb558639e9e")));
        extend_seed(&driver, &mut seed, &entropy).unwrap();
        assert_eq!(seed, array("0f66b510a2f31703675b67b3f6f9b005"));
    }

    /// Document 06, §11.5.
    #[test]
    fn boot_mac() {
        let image: std::vec::Vec<u8> = (0..100).collect();
        let header = boot_mac_header(100_u32.to_le_bytes());
        let mut mac = [0; 16];
        cmac(&driver(), &bytes(MASTER), &[&header, &image], &mut mac).unwrap();
        assert_eq!(mac, array("8cd87e8e93c3ba4342d1987341697635"));
    }
}
