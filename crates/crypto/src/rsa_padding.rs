//! Paddings of RSA (RFC 8017) over the raw operations of [`Rsa`]: PKCS#1 v1.5 and PSS for signatures,
//! PKCS#1 v1.5 and OAEP for encryption.
//!
//! A function here makes or reads the block that goes through the raw operation. A block is as long as the modulus.
//! To sign: encode, then the private operation. To verify: [`open_signature`], then verify. To encrypt: encode,
//! then the public operation. To decrypt: [`open_ciphertext`], then decode.

use crate::hash::MAX_DIGEST;
use crate::secret::Secret;
use crate::{Error, Hash, HashAlgorithm, Random, Rsa, RsaPrivateKey, RsaPublicKey, hash};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};

/// What PKCS#1 v1.5 puts around a message: two octets, at least eight of padding, one that ends it.
const PKCS1_OVERHEAD: usize = 11;
/// The least number of padding octets.
const PKCS1_PADDING: usize = 8;
/// The last octet of a PSS block.
const PSS_TRAILER: u8 = 0xbc;

/// Copies a number that came from outside to a block: one octet string as long as the modulus, and below it.
fn take_number(modulus: &[u8], number: &[u8], block: &mut [u8], wrong: Error) -> Result<(), Error> {
    if block.len() != modulus.len() {
        return Err(Error::OutputLength);
    }
    // Numbers of one length compare as their octets do.
    if number.len() != modulus.len() || number >= modulus {
        return Err(wrong);
    }
    block.copy_from_slice(number);
    Ok(())
}

/// Raises a signature to the public exponent (RSAVP1, RFC 8017 §5.2.2): `block` receives what its signer encoded.
///
/// # Errors
/// [`Error::Authentication`] if the signature is not as long as the modulus, or not below it; [`Error::OutputLength`]
/// if the block is not as long as the modulus; else as [`Rsa::rsa_public`].
pub fn open_signature<D: Rsa + ?Sized>(
    driver: &D,
    key: &RsaPublicKey<'_>,
    signature: &[u8],
    block: &mut [u8],
) -> Result<(), Error> {
    take_number(key.modulus, signature, block, Error::Authentication)?;
    driver.rsa_public(key, block)
}

/// Raises a ciphertext to the private exponent (RSADP, RFC 8017 §5.1.2): `block` receives what was encoded before
/// encryption.
///
/// # Errors
/// [`Error::DataLength`] if the ciphertext is not as long as the modulus, or not below it; [`Error::OutputLength`] if
/// the block is not as long as the modulus; else as [`Rsa::rsa_private`].
pub fn open_ciphertext<D: Rsa + ?Sized>(
    driver: &D,
    key: &RsaPrivateKey<'_>,
    ciphertext: &[u8],
    block: &mut [u8],
) -> Result<(), Error> {
    take_number(key.public.modulus, ciphertext, block, Error::DataLength)?;
    driver.rsa_private(key, block)
}

/// DigestInfo up to the digest (RFC 8017, §9.2, note 1; NIST's arc 2.16.840.1.101.3.4.2).
const fn digest_info(algorithm: HashAlgorithm) -> Option<(&'static [u8], u8)> {
    Some(match algorithm {
        HashAlgorithm::Sha1 => (&[0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 20], 20),
        HashAlgorithm::Sha224 => (const { &nist(4, 28) }, 28),
        HashAlgorithm::Sha256 => (const { &nist(1, 32) }, 32),
        HashAlgorithm::Sha384 => (const { &nist(2, 48) }, 48),
        HashAlgorithm::Sha512 => (const { &nist(3, 64) }, 64),
        HashAlgorithm::Sha512_224 => (const { &nist(5, 28) }, 28),
        HashAlgorithm::Sha512_256 => (const { &nist(6, 32) }, 32),
        HashAlgorithm::Sha3_224 => (const { &nist(7, 28) }, 28),
        HashAlgorithm::Sha3_256 => (const { &nist(8, 32) }, 32),
        HashAlgorithm::Sha3_384 => (const { &nist(9, 48) }, 48),
        HashAlgorithm::Sha3_512 => (const { &nist(10, 64) }, 64),
        // Nobody should sign with MD5, and SHAKE has no DigestInfo.
        HashAlgorithm::Md5 | HashAlgorithm::Shake128 | HashAlgorithm::Shake256 => return None,
    })
}

/// DigestInfo of a hash function with this last arc and digest size.
const fn nist(arc: u8, size: u8) -> [u8; 19] {
    let (outer, mut all) = (size.wrapping_add(17), [0; 19]);
    let fixed: [u8; 19] = [
        0x30, 0, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0, 0x05, 0x00, 0x04,
        0,
    ];
    all.copy_from_slice(&fixed);
    let [_, total, _, _, _, _, _, _, _, _, _, _, _, _, last, _, _, _, length] = &mut all;
    (*total, *last, *length) = (outer, arc, size);
    all
}

/// Writes the block of a PKCS#1 v1.5 signature (EMSA-PKCS1-v1_5, RFC 8017 §9.2) over a digest.
///
/// # Errors
/// [`Error::Unsupported`] for SHAKE, which has no DigestInfo, and for MD5; [`Error::DataLength`] if `digest` is not one of
/// `algorithm`; [`Error::KeyLength`] if the block is too short.
pub fn pkcs1_signature_encode(
    algorithm: HashAlgorithm,
    digest: &[u8],
    block: &mut [u8],
) -> Result<(), Error> {
    let (info, size) = digest_info(algorithm).ok_or(Error::Unsupported)?;
    if digest.len() != usize::from(size) {
        return Err(Error::DataLength);
    }
    let tail = info.len().saturating_add(digest.len());
    if block.len() < tail.saturating_add(PKCS1_OVERHEAD) {
        return Err(Error::KeyLength);
    }
    block.fill(0xff);
    let (head, place) =
        block.split_at_mut_checked(block.len().saturating_sub(digest.len())).ok_or(Error::KeyLength)?;
    place.copy_from_slice(digest);
    let (head, place) =
        head.split_at_mut_checked(head.len().saturating_sub(info.len())).ok_or(Error::KeyLength)?;
    place.copy_from_slice(info);
    if let [zero, one, .., end] = head {
        (*zero, *one, *end) = (0, 1, 0);
    }
    Ok(())
}

/// Checks the block of a PKCS#1 v1.5 signature: it must be what [`pkcs1_signature_encode`] writes, NULL parameters
/// included, so nothing of it is parsed.
///
/// # Errors
/// [`Error::Authentication`] if the signature is not valid; else as [`pkcs1_signature_encode`].
pub fn pkcs1_signature_verify(algorithm: HashAlgorithm, digest: &[u8], block: &[u8]) -> Result<(), Error> {
    let mut expected = [0; crate::RSA_MAX_BYTES];
    let expected = expected.get_mut(..block.len()).ok_or(Error::KeyLength)?;
    pkcs1_signature_encode(algorithm, digest, expected)?;
    if crate::constant_time_equal(expected, block) { Ok(()) } else { Err(Error::Authentication) }
}

/// Writes the block of a PKCS#1 v1.5 encryption (RFC 8017, §7.2.1): at least eight random octets, then the message.
///
/// # Errors
/// [`Error::DataLength`] if the message is longer than the block less 11 bytes; [`Error::Entropy`].
pub fn pkcs1_encryption_encode<D: Random + ?Sized>(
    random: &D,
    message: &[u8],
    block: &mut [u8],
) -> Result<(), Error> {
    if message.len().saturating_add(PKCS1_OVERHEAD) > block.len() {
        return Err(Error::DataLength);
    }
    let (head, place) =
        block.split_at_mut_checked(block.len().saturating_sub(message.len())).ok_or(Error::DataLength)?;
    place.copy_from_slice(message);
    let [zero, two, padding @ .., end] = head else { return Err(Error::DataLength) };
    (*zero, *two, *end) = (0, 2, 0);
    random.fill(padding)?;
    for octet in padding {
        // One octet in 256 has to be drawn again; a generator that gives nothing else is out of order.
        let mut attempts = 0_u8;
        while *octet == 0 {
            random.fill(core::slice::from_mut(octet))?;
            attempts = attempts.checked_add(1).ok_or(Error::Entropy)?;
        }
    }
    Ok(())
}

/// Whether a block is a PKCS#1 v1.5 encryption, and where its message begins; looks at every octet alike.
fn pkcs1_message(block: &[u8]) -> (Choice, u32) {
    let mut valid = Choice::from(u8::from(block.len() >= PKCS1_OVERHEAD));
    let mut start = 0_u32;
    let mut looking = Choice::from(1);
    for (index, octet) in (0_u32..).zip(block) {
        match index {
            0 => valid &= octet.ct_eq(&0),
            1 => valid &= octet.ct_eq(&2),
            _ => {
                let ends = looking & octet.ct_eq(&0);
                start.conditional_assign(&index.saturating_add(1), ends);
                looking &= !ends;
            }
        }
    }
    // Two octets, the padding, and the zero come before the message.
    let least = u32::try_from(PKCS1_PADDING.saturating_add(2)).unwrap_or(u32::MAX);
    (valid & !looking & start.ct_gt(&least), start)
}

/// Reads the message from the block of a PKCS#1 v1.5 encryption (RFC 8017, §7.2.2): moves it to the front of `block`
/// and returns its length; the rest of the block is wiped. All blocks that are not valid take the same time.
///
/// **Do not let whoever chose the ciphertext learn whether this succeeded** (the attack of Bleichenbacher): decrypt
/// with [`pkcs1_encryption_decode_or`] if the length of the message is known, or use [`Oaep`].
///
/// # Errors
/// [`Error::Authentication`] if the block is not valid; it is wiped then.
pub fn pkcs1_encryption_decode(block: &mut [u8]) -> Result<usize, Error> {
    let (valid, start) = pkcs1_message(block);
    deliver(block, valid, start)
}

/// Moves the message from `start` to the front if the block is valid, and wipes the rest. What was decided is known to
/// the caller in any case.
fn deliver(block: &mut [u8], valid: Choice, start: u32) -> Result<usize, Error> {
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let length = block.len().saturating_sub(start);
    if !bool::from(valid) || start > block.len() {
        zeroize::Zeroize::zeroize(block);
        return Err(Error::Authentication);
    }
    block.copy_within(start.., 0);
    zeroize::Zeroize::zeroize(block.get_mut(length..).unwrap_or_default());
    Ok(length)
}

/// Reads a message of known length from the block of a PKCS#1 v1.5 encryption: `message` receives it if the block is
/// valid and the message has just this length, and keeps its content otherwise. Fill it with random octets before and
/// go on as if all were well (RFC 5246, §7.4.7.1): neither the result nor the time tells which case it was.
///
/// The block is wiped.
///
/// # Errors
/// [`Error::DataLength`] if a block of this length holds no message of that length.
pub fn pkcs1_encryption_decode_or(block: &mut [u8], message: &mut [u8]) -> Result<(), Error> {
    let expected = block.len().checked_sub(message.len()).ok_or(Error::DataLength)?;
    if expected < PKCS1_OVERHEAD {
        return Err(Error::DataLength);
    }
    let (valid, start) = pkcs1_message(block);
    let wanted = valid & start.ct_eq(&u32::try_from(expected).unwrap_or(u32::MAX));
    for (target, octet) in message.iter_mut().zip(block.get(expected..).unwrap_or_default()) {
        target.conditional_assign(octet, wanted);
    }
    zeroize::Zeroize::zeroize(block);
    Ok(())
}

/// Adds the mask of MGF1 (RFC 8017, §B.2.1) to `output`.
fn mask<D: Hash + ?Sized>(
    driver: &D,
    algorithm: HashAlgorithm,
    seed: &[u8],
    output: &mut [u8],
) -> Result<(), Error> {
    let size = algorithm.digest_size().ok_or(Error::Unsupported)?;
    let mut digest = Secret::<MAX_DIGEST>::zero();
    let digest = digest.get_mut(..size).ok_or(Error::State)?;
    for (counter, part) in (0_u32..).zip(output.chunks_mut(size)) {
        hash(driver, algorithm, &[seed, &counter.to_be_bytes()], digest)?;
        part.iter_mut().zip(digest.iter()).for_each(|(octet, mask)| *octet ^= mask);
    }
    Ok(())
}

/// The parameters of a PSS signature (RFC 8017, §9.1). Mostly both hashes are the same, and the salt is as long as
/// their digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pss {
    /// The hash function of the message.
    pub hash: HashAlgorithm,
    /// The hash function of the mask generation function MGF1.
    pub mask_hash: HashAlgorithm,
    /// Length of the salt in bytes, at most what the block has room for besides the digest and two bytes.
    pub salt_length: usize,
}

/// The parts of a PSS block: masked data, digest; and the mask for its first octet.
type PssParts<'a> = (&'a mut [u8], &'a mut [u8], u8);

impl Pss {
    /// The usual parameters for a hash function: MGF1 with the same, and a salt as long as the digest. `None` for
    /// SHAKE.
    #[must_use]
    pub const fn new(algorithm: HashAlgorithm) -> Option<Self> {
        match algorithm.digest_size() {
            Some(size) => Some(Self { hash: algorithm, mask_hash: algorithm, salt_length: size }),
            None => None,
        }
    }

    fn check(&self, digest: &[u8]) -> Result<(), Error> {
        let size = self.hash.digest_size().ok_or(Error::Unsupported)?;
        if self.mask_hash.digest_size().is_none() {
            return Err(Error::Unsupported);
        }
        if digest.len() != size { Err(Error::DataLength) } else { Ok(()) }
    }

    /// Cuts a block whose modulus has `modulus_bits` bits: nothing if the octets that are no part of the encoded
    /// message, or its trailer, are not what they must be.
    fn parts(modulus_bits: usize, size: usize, block: &mut [u8]) -> Option<PssParts<'_>> {
        let bits = modulus_bits.checked_sub(1)?;
        let block = match block.len().checked_sub(bits.div_ceil(8))? {
            0 => block,
            1 => match block.split_first_mut()? {
                (0, block) => block,
                _ => return None,
            },
            _ => return None,
        };
        let (&mut PSS_TRAILER, block) = block.split_last_mut()? else { return None };
        let (masked, digest) = block.split_at_mut_checked(block.len().checked_sub(size)?)?;
        let unused = u32::try_from(bits.wrapping_neg() % 8).ok()?;
        Some((masked, digest, 0xff_u8.unbounded_shr(unused)))
    }

    /// H = Hash(eight zero octets ‖ digest ‖ salt).
    fn seal<D: Hash + ?Sized>(
        &self,
        driver: &D,
        digest: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        hash(driver, self.hash, &[&[0; 8], digest, salt], output)
    }

    /// Writes the block of a signature over a digest, with a random salt, for a modulus of `modulus_bits` bits.
    ///
    /// # Errors
    /// [`Error::DataLength`] if `digest` is not one of the hash function; [`Error::KeyLength`] if the block is not as
    /// long as the modulus, or the modulus too short for digest and salt; [`Error::Unsupported`] for SHAKE;
    /// [`Error::Entropy`].
    pub fn encode<D: Hash + Random + ?Sized>(
        &self,
        driver: &D,
        modulus_bits: usize,
        digest: &[u8],
        block: &mut [u8],
    ) -> Result<(), Error> {
        self.check(digest)?;
        if block.len() != modulus_bits.div_ceil(8) {
            return Err(Error::KeyLength);
        }
        block.fill(0);
        *block.last_mut().ok_or(Error::KeyLength)? = PSS_TRAILER;
        let (masked, seal, first) = Self::parts(modulus_bits, digest.len(), block).ok_or(Error::KeyLength)?;
        let zeros = masked.len().checked_sub(self.salt_length).ok_or(Error::KeyLength)?;
        let (padding, salt) = masked.split_at_mut_checked(zeros).ok_or(Error::KeyLength)?;
        *padding.last_mut().ok_or(Error::KeyLength)? = 1;
        driver.fill(salt)?;
        self.seal(driver, digest, salt, seal)?;
        mask(driver, self.mask_hash, seal, masked)?;
        if let Some(octet) = masked.first_mut() {
            *octet &= first;
        }
        Ok(())
    }

    /// Checks the block of a signature over a digest. The block is used up.
    ///
    /// # Errors
    /// [`Error::Authentication`] if the signature is not valid; [`Error::DataLength`] if `digest` is not one of the
    /// hash function; [`Error::Unsupported`] for SHAKE.
    pub fn verify<D: Hash + ?Sized>(
        &self,
        driver: &D,
        modulus_bits: usize,
        digest: &[u8],
        block: &mut [u8],
    ) -> Result<(), Error> {
        self.check(digest)?;
        let wrong = Error::Authentication;
        if block.len() != modulus_bits.div_ceil(8) {
            return Err(wrong);
        }
        let (masked, seal, first) = Self::parts(modulus_bits, digest.len(), block).ok_or(wrong)?;
        if masked.first().is_none_or(|octet| octet & !first != 0) {
            return Err(wrong);
        }
        mask(driver, self.mask_hash, seal, masked)?;
        if let Some(octet) = masked.first_mut() {
            *octet &= first;
        }
        let zeros = masked.len().checked_sub(self.salt_length).ok_or(wrong)?;
        let (padding, salt) = masked.split_at_checked(zeros).ok_or(wrong)?;
        let Some((1, zeros)) = padding.split_last() else { return Err(wrong) };
        let mut expected = [0; MAX_DIGEST];
        let expected = expected.get_mut(..digest.len()).ok_or(wrong)?;
        self.seal(driver, digest, salt, expected)?;
        // Nothing here is secret.
        if zeros.iter().all(|octet| *octet == 0) && *expected == *seal { Ok(()) } else { Err(wrong) }
    }
}

/// The parameters of an OAEP encryption (RFC 8017, §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Oaep<'a> {
    /// The hash function of the label.
    pub hash: HashAlgorithm,
    /// The hash function of the mask generation function MGF1.
    pub mask_hash: HashAlgorithm,
    /// The label L, mostly empty.
    pub label: &'a [u8],
}

impl Oaep<'_> {
    fn sizes(&self, block: &[u8]) -> Result<usize, Error> {
        let size = self.hash.digest_size().ok_or(Error::Unsupported)?;
        self.mask_hash.digest_size().ok_or(Error::Unsupported)?;
        // An octet of zero, the seed, the digest of the label, an octet of one.
        if block.len() < size.saturating_mul(2).saturating_add(2) { Err(Error::KeyLength) } else { Ok(size) }
    }

    /// Writes the block of an encryption.
    ///
    /// # Errors
    /// [`Error::DataLength`] if the message is longer than the block less two digests and 2 bytes;
    /// [`Error::KeyLength`] if the block is shorter than that overhead; [`Error::Unsupported`] for SHAKE;
    /// [`Error::Entropy`].
    pub fn encode<D: Hash + Random + ?Sized>(
        &self,
        driver: &D,
        message: &[u8],
        block: &mut [u8],
    ) -> Result<(), Error> {
        let size = self.sizes(block)?;
        let (zero, rest) = block.split_first_mut().ok_or(Error::KeyLength)?;
        let (seed, data) = rest.split_at_mut_checked(size).ok_or(Error::KeyLength)?;
        let start = data.len().checked_sub(message.len()).ok_or(Error::DataLength)?;
        if start <= size {
            return Err(Error::DataLength);
        }
        *zero = 0;
        data.fill(0);
        let (head, place) = data.split_at_mut_checked(start).ok_or(Error::DataLength)?;
        place.copy_from_slice(message);
        *head.last_mut().ok_or(Error::DataLength)? = 1;
        hash(driver, self.hash, &[self.label], head.get_mut(..size).ok_or(Error::DataLength)?)?;
        driver.fill(seed)?;
        mask(driver, self.mask_hash, seed, data)?;
        mask(driver, self.mask_hash, data, seed)
    }

    /// Reads the message from the block of an encryption: moves it to the front of `block` and returns its length; the
    /// rest of the block is wiped. All blocks that are not valid take the same time and get the same error (the attack
    /// of Manger).
    ///
    /// # Errors
    /// [`Error::Authentication`] if the block is not valid, which is wiped then; [`Error::KeyLength`],
    /// [`Error::Unsupported`] as [`encode`](Self::encode).
    pub fn decode<D: Hash + ?Sized>(&self, driver: &D, block: &mut [u8]) -> Result<usize, Error> {
        let size = self.sizes(block)?;
        let mut label = [0; MAX_DIGEST];
        let label = label.get_mut(..size).ok_or(Error::Unsupported)?;
        hash(driver, self.hash, &[self.label], label)?;
        let (zero, rest) = block.split_first_mut().ok_or(Error::KeyLength)?;
        let (seed, data) = rest.split_at_mut_checked(size).ok_or(Error::KeyLength)?;
        mask(driver, self.mask_hash, data, seed)?;
        mask(driver, self.mask_hash, seed, data)?;

        let (found, padded) = data.split_at_checked(size).ok_or(Error::KeyLength)?;
        let mut valid = zero.ct_eq(&0) & found.ct_eq(label);
        let mut looking = Choice::from(1);
        let mut start = 0_u32;
        let before = u32::try_from(size.saturating_mul(2).saturating_add(2)).map_err(|_| Error::KeyLength)?;
        for (index, octet) in (before..).zip(padded) {
            let ends = looking & octet.ct_eq(&1);
            valid &= !looking | ends | octet.ct_eq(&0);
            start.conditional_assign(&index, ends);
            looking &= !ends;
        }
        deliver(block, valid & !looking, start)
    }
}
