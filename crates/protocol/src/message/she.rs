//! AUTOSAR Secure Hardware Extension (document 06). Identifiers, keys, initialisation vectors and M1 to M5 are byte
//! strings: no byte order applies to them.

use super::requests;
use crate::codec::layout;
use crate::{ClientId, Field, Group, Label, Malformed, Metadata, ObjectId, ObjectType, Overflow, Status};

/// Actions of the group.
pub mod action {
    /// Give the server its unique identifier.
    pub const SET_UID: u8 = 0;
    /// Announce a boot image.
    pub const SECURE_BOOT_INIT: u8 = 1;
    /// A part of the boot image.
    pub const SECURE_BOOT_UPDATE: u8 = 2;
    /// Compare the boot image's MAC.
    pub const SECURE_BOOT_FINISH: u8 = 3;
    /// Ask for the status register.
    pub const GET_STATUS: u8 = 4;
    /// Load a key with M1 to M3.
    pub const LOAD_KEY: u8 = 5;
    /// Load the RAM key as it is.
    pub const LOAD_PLAIN_KEY: u8 = 6;
    /// Export the RAM key as M1 to M5.
    pub const EXPORT_RAM_KEY: u8 = 7;
    /// Start the random generator.
    pub const INIT_RANDOM: u8 = 8;
    /// Ask for a random number.
    pub const RANDOM: u8 = 9;
    /// Mix entropy into the random generator and its seed.
    pub const EXTEND_SEED: u8 = 10;
    /// AES-ECB encryption.
    pub const ENCRYPT_ECB: u8 = 11;
    /// AES-CBC encryption.
    pub const ENCRYPT_CBC: u8 = 12;
    /// AES-ECB decryption.
    pub const DECRYPT_ECB: u8 = 13;
    /// AES-CBC decryption.
    pub const DECRYPT_CBC: u8 = 14;
    /// Make a CMAC.
    pub const GENERATE_MAC: u8 = 15;
    /// Check a CMAC.
    pub const VERIFY_MAC: u8 = 16;
}

/// The numbers of the key slots (document 06, §2).
pub mod slot {
    /// The device's secret: it derives the random generator's keys and exports the RAM key.
    pub const SECRET_KEY: u8 = 0;
    /// The key that authorizes updates of the others.
    pub const MASTER_ECU_KEY: u8 = 1;
    /// The key under the boot MAC.
    pub const BOOT_MAC_KEY: u8 = 2;
    /// The boot image's expected MAC.
    pub const BOOT_MAC: u8 = 3;
    /// The first of ten keys for any use.
    pub const KEY_1: u8 = 4;
    /// The last of ten keys for any use.
    pub const KEY_10: u8 = 13;
    /// A key that lives in the cache only.
    pub const RAM_KEY: u8 = 14;
    /// The random generator's seed.
    pub const PRNG_SEED: u8 = 15;

    /// The standard's name of a slot.
    pub const fn name(slot: u8) -> Option<&'static str> {
        Some(match slot {
            SECRET_KEY => "SECRET_KEY",
            MASTER_ECU_KEY => "MASTER_ECU_KEY",
            BOOT_MAC_KEY => "BOOT_MAC_KEY",
            BOOT_MAC => "BOOT_MAC",
            4 => "KEY_1",
            5 => "KEY_2",
            6 => "KEY_3",
            7 => "KEY_4",
            8 => "KEY_5",
            9 => "KEY_6",
            10 => "KEY_7",
            11 => "KEY_8",
            12 => "KEY_9",
            13 => "KEY_10",
            RAM_KEY => "RAM_KEY",
            PRNG_SEED => "PRNG_SEED",
            _ => return None,
        })
    }
}

/// Size of a key, a block and a MAC in bytes.
pub const BLOCK_SIZE: usize = 16;
/// Size of the unique identifier in bytes.
pub const UID_SIZE: usize = 15;

/// The object under which a slot of `owner` is stored; [`ClientId::NONE`] on a server whose slots belong to all clients.
pub const fn object_id(owner: ClientId, slot: u8) -> ObjectId {
    ObjectId::new(ObjectType::SHE, owner, slot)
}

/// What a slot's label says about its key: both words are big-endian whatever the host (document 06, §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlotLabel {
    /// The key's counter, 28 bits.
    pub counter: u32,
    /// The key's flags; their reading is the server's.
    pub flags: SlotFlags,
}

impl SlotLabel {
    /// Reads a label.
    pub const fn from_label(label: &Label) -> Self {
        let [c0, c1, c2, c3, f0, f1, f2, f3, ..] = label.0;
        Self {
            counter: u32::from_be_bytes([c0, c1, c2, c3]),
            flags: SlotFlags(u32::from_be_bytes([f0, f1, f2, f3])),
        }
    }

    /// `label` with these two words; its other sixteen bytes stay.
    #[must_use]
    pub fn into_label(self, label: &Label) -> Label {
        let mut label = *label;
        if let [counter, flags, ..] = label.0.as_chunks_mut().0 {
            *counter = self.counter.to_be_bytes();
            *flags = self.flags.0.to_be_bytes();
        }
        label
    }
}

/// The flags word of a slot's label.
///
/// The original's server reads the word with the constants of this type, but an update puts the standard's flags into
/// other bits ([`from_update`](Self::from_update)), so that an updated key's KEY_USAGE is taken for `WILDCARD`, and its
/// WILDCARD for `WRITE_PROTECT` (document 06, §2 and §12).
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct SlotFlags(pub u32);

impl SlotFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The key can never be updated.
    pub const WRITE_PROTECT: Self = Self(0x01);
    /// Boot protection. Not enforced by the original.
    pub const BOOT_PROTECT: Self = Self(0x02);
    /// Debugger protection. Not enforced by the original.
    pub const DEBUGGER_PROTECT: Self = Self(0x04);
    /// Key usage. Not enforced by the original.
    pub const USAGE: Self = Self(0x08);
    /// An update for the all-zero UID is accepted.
    pub const WILDCARD: Self = Self(0x10);

    /// What an update with these five flags, in the standard's order, leaves in the label: WRITE_PROTECTION as 0x80,
    /// BOOT_PROTECTION as 0x40, DEBUGGER_PROTECTION as 0x20, KEY_USAGE as 0x10, WILDCARD as 0x01.
    pub const fn from_update(bits: u8) -> Self {
        Self((((bits & 0x1E) << 3) | (bits & 1)) as u32)
    }

    /// Whether all flags of `other` are set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl core::fmt::Debug for SlotFlags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SlotFlags({:#04x})", self.0)
    }
}

/// The status register (document 06, §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct StatusRegister(pub u8);

impl StatusRegister {
    /// A command is running.
    pub const BUSY: Self = Self(0x01);
    /// Secure boot is configured and was begun.
    pub const SECURE_BOOT: Self = Self(0x02);
    /// The boot MAC was set up by the device itself.
    pub const BOOT_INIT: Self = Self(0x04);
    /// Secure boot has come to an end, good or bad.
    pub const BOOT_FINISHED: Self = Self(0x08);
    /// Secure boot ended well, or is not configured.
    pub const BOOT_OK: Self = Self(0x10);
    /// The random generator was started.
    pub const RANDOM_INIT: Self = Self(0x20);
    /// An external debugger is attached.
    pub const EXTERNAL_DEBUGGER: Self = Self(0x40);
    /// The internal debugging is active.
    pub const INTERNAL_DEBUGGER: Self = Self(0x80);

    /// The standard's names of the bits, lowest first.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::BUSY, "BUSY"),
        (Self::SECURE_BOOT, "SECURE_BOOT"),
        (Self::BOOT_INIT, "BOOT_INIT"),
        (Self::BOOT_FINISHED, "BOOT_FINISHED"),
        (Self::BOOT_OK, "BOOT_OK"),
        (Self::RANDOM_INIT, "RND_INIT"),
        (Self::EXTERNAL_DEBUGGER, "EXT_DEBUGGER"),
        (Self::INTERNAL_DEBUGGER, "INT_DEBUGGER"),
    ];

    /// Whether all bits of `other` are set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl core::fmt::Display for StatusRegister {
    /// The names joined by `|`; `none` for the empty register.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        let mut separator = "";
        for (bit, name) in Self::NAMES {
            if self.contains(bit) {
                write!(f, "{separator}{name}")?;
                separator = "|";
            }
        }
        Ok(())
    }
}

impl core::fmt::Debug for StatusRegister {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "StatusRegister({self})")
    }
}

layout! {
    /// SET_UID request.
    SetUidRequest: 16 {
        /// The unique identifier.
        uid: [u8; 15], pad 1;
    }

    /// SET_UID response.
    SetUidResponse: 8 {
        /// Outcome.
        status: Status, pad 4;
    }

    /// SECURE_BOOT_INIT request.
    SecureBootInitRequest: 8 {
        /// Length of the image in bytes.
        length: u32, pad 4;
    }

    /// SECURE_BOOT_UPDATE request; the part follows.
    SecureBootUpdateRequest: 8 {
        /// Length of the part in bytes.
        length: u32, pad 4;
    }

    /// SECURE_BOOT_FINISH request: empty.
    SecureBootFinishRequest: 0 {}

    /// Response of the secure boot, INIT_RANDOM and EXTEND_SEED: two outcomes, of which the first is the one that
    /// counts (document 06, §4.1).
    OutcomeResponse: 8 {
        /// Outcome.
        status: Status;
        /// A second, coarser outcome.
        coarse_status: Status;
    }

    /// GET_STATUS request: empty.
    GetStatusRequest: 0 {}

    /// GET_STATUS response.
    GetStatusResponse: 12 {
        /// Outcome.
        status: Status;
        /// The status register ([`StatusRegister`]).
        register: u8, pad 7;
    }

    /// LOAD_KEY request.
    LoadKeyRequest: 64 {
        /// UID and key numbers.
        m1: [u8; 16];
        /// Counter, flags and key, encrypted.
        m2: [u8; 32];
        /// The MAC over both.
        m3: [u8; 16];
    }

    /// LOAD_KEY response.
    LoadKeyResponse: 52 {
        /// Outcome.
        status: Status;
        /// UID, key numbers and the counter, encrypted; zeros on failure.
        m4: [u8; 32];
        /// The MAC over it; zeros on failure.
        m5: [u8; 16];
    }

    /// LOAD_PLAIN_KEY request.
    LoadPlainKeyRequest: 16 {
        /// The key.
        key: [u8; 16];
    }

    /// LOAD_PLAIN_KEY response.
    LoadPlainKeyResponse: 4 {
        /// Outcome.
        status: Status;
    }

    /// EXPORT_RAM_KEY request: empty.
    ExportRamKeyRequest: 0 {}

    /// EXPORT_RAM_KEY response; the messages are zeros on failure.
    ExportRamKeyResponse: 116 {
        /// Outcome.
        status: Status;
        /// M1.
        m1: [u8; 16];
        /// M2.
        m2: [u8; 32];
        /// M3.
        m3: [u8; 16];
        /// M4.
        m4: [u8; 32];
        /// M5.
        m5: [u8; 16];
    }

    /// INIT_RANDOM request: empty.
    InitRandomRequest: 0 {}

    /// RANDOM request: empty.
    RandomRequest: 0 {}

    /// RANDOM response.
    RandomResponse: 20 {
        /// Outcome.
        status: Status;
        /// The number; zeros on failure.
        random: [u8; 16];
    }

    /// EXTEND_SEED request.
    ExtendSeedRequest: 16 {
        /// The entropy.
        entropy: [u8; 16];
    }

    /// ENCRYPT_ECB request; the data follows ([`whole_blocks`]).
    EncryptEcbRequest: 8 {
        /// Length of the data in bytes; what is no whole block at its end is ignored.
        length: u32;
        /// The slot.
        slot: u8, pad 3;
    }

    /// DECRYPT_ECB request; the data follows ([`whole_blocks`]).
    DecryptEcbRequest: 8 {
        /// Length of the data in bytes; what is no whole block at its end is ignored.
        length: u32;
        /// The slot.
        slot: u8, pad 3;
    }

    /// ENCRYPT_CBC request; the data follows ([`whole_blocks`]).
    EncryptCbcRequest: 24 {
        /// Length of the data in bytes; what is no whole block at its end is ignored.
        length: u32;
        /// The slot.
        slot: u8, pad 3;
        /// The initialisation vector.
        iv: [u8; 16];
    }

    /// DECRYPT_CBC request; the data follows ([`whole_blocks`]).
    DecryptCbcRequest: 24 {
        /// Length of the data in bytes; what is no whole block at its end is ignored.
        length: u32;
        /// The slot.
        slot: u8, pad 3;
        /// The initialisation vector.
        iv: [u8; 16];
    }

    /// Response of the four ciphers; the data follows.
    CipherResponse: 8 {
        /// Outcome.
        status: Status;
        /// Length of the data in bytes: whole blocks.
        length: u32;
    }

    /// GENERATE_MAC request; the message follows.
    GenerateMacRequest: 8 {
        /// The slot; only the low byte counts.
        slot: u32;
        /// Length of the message in bytes.
        length: u32;
    }

    /// GENERATE_MAC response.
    GenerateMacResponse: 20 {
        /// Outcome.
        status: Status;
        /// The MAC; zeros on failure.
        mac: [u8; 16];
    }

    /// VERIFY_MAC request; message and MAC follow ([`VerifyMacRequest::tails`]).
    VerifyMacRequest: 16 {
        /// The slot; only the low byte counts.
        slot: u32;
        /// Length of the message in bytes.
        length: u32;
        /// Length of the MAC in bytes.
        mac_length: u32, pad 4;
    }

    /// VERIFY_MAC response.
    VerifyMacResponse: 12 {
        /// Outcome: a MAC that does not match is no error.
        status: Status;
        /// 0 if the MAC matches, else 1.
        mismatch: u8, pad 7;
    }
}

requests! { Group::SHE;
    SetUidRequest = action::SET_UID => SetUidResponse;
    SecureBootInitRequest = action::SECURE_BOOT_INIT => OutcomeResponse;
    SecureBootUpdateRequest = action::SECURE_BOOT_UPDATE => OutcomeResponse;
    SecureBootFinishRequest = action::SECURE_BOOT_FINISH => OutcomeResponse;
    GetStatusRequest = action::GET_STATUS => GetStatusResponse;
    LoadKeyRequest = action::LOAD_KEY => LoadKeyResponse;
    LoadPlainKeyRequest = action::LOAD_PLAIN_KEY => LoadPlainKeyResponse;
    ExportRamKeyRequest = action::EXPORT_RAM_KEY => ExportRamKeyResponse;
    InitRandomRequest = action::INIT_RANDOM => OutcomeResponse;
    RandomRequest = action::RANDOM => RandomResponse;
    ExtendSeedRequest = action::EXTEND_SEED => OutcomeResponse;
    EncryptEcbRequest = action::ENCRYPT_ECB => CipherResponse;
    EncryptCbcRequest = action::ENCRYPT_CBC => CipherResponse;
    DecryptEcbRequest = action::DECRYPT_ECB => CipherResponse;
    DecryptCbcRequest = action::DECRYPT_CBC => CipherResponse;
    GenerateMacRequest = action::GENERATE_MAC => GenerateMacResponse;
    VerifyMacRequest = action::VERIFY_MAC => VerifyMacResponse;
}

/// The data of a cipher request: the whole blocks among the first `length` bytes. Surplus bytes are ignored, and so is
/// the absence of an incomplete last block.
///
/// # Errors
/// [`Malformed`] if fewer bytes follow.
pub fn whole_blocks(length: u32, tail: &[u8]) -> Result<&[u8], Malformed> {
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    tail.get(..length.saturating_sub(length % BLOCK_SIZE)).ok_or(Malformed)
}

/// The blocks that `out` begins with, after a status.
fn blocks_after_status(out: &mut [u8]) -> &mut [[u8; BLOCK_SIZE]] {
    out.get_mut(Status::SIZE..).unwrap_or_default().as_chunks_mut().0
}

impl LoadKeyRequest {
    /// M1, both halves of M2, and M3, where they are; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if `payload` is shorter.
    pub fn messages(payload: &[u8]) -> Result<&[[u8; BLOCK_SIZE]; 4], Malformed> {
        payload.as_chunks().0.first_chunk().ok_or(Malformed)
    }
}

impl LoadKeyResponse {
    /// Both halves of M4, and M5, to be written where they are to be.
    ///
    /// # Errors
    /// [`Overflow`] if `out` is shorter than a response.
    pub fn messages(out: &mut [u8]) -> Result<&mut [[u8; BLOCK_SIZE]; 3], Overflow> {
        blocks_after_status(out).first_chunk_mut().ok_or(Overflow)
    }
}

impl ExportRamKeyResponse {
    /// M1, both halves of M2, and M3, then both halves of M4, and M5, to be written where they are to be.
    ///
    /// # Errors
    /// [`Overflow`] if `out` is shorter than a response.
    #[expect(clippy::type_complexity, reason = "two arrays")]
    pub fn messages(
        out: &mut [u8],
    ) -> Result<(&mut [[u8; BLOCK_SIZE]; 4], &mut [[u8; BLOCK_SIZE]; 3]), Overflow> {
        let (update, rest) = blocks_after_status(out).split_first_chunk_mut().ok_or(Overflow)?;
        Ok((update, rest.first_chunk_mut().ok_or(Overflow)?))
    }
}

impl SecureBootUpdateRequest {
    /// The part of the image; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if fewer bytes follow than [`SecureBootUpdateRequest::length`] says.
    pub fn part<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        tail.get(..usize::try_from(self.length).map_err(|_| Malformed)?).ok_or(Malformed)
    }
}

impl GenerateMacRequest {
    /// The message; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if fewer bytes follow than [`GenerateMacRequest::length`] says.
    pub fn message<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        tail.get(..usize::try_from(self.length).map_err(|_| Malformed)?).ok_or(Malformed)
    }
}

impl VerifyMacRequest {
    /// Message and MAC; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if fewer bytes follow.
    pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        let length = usize::try_from(self.length).map_err(|_| Malformed)?;
        let (message, rest) = tail.split_at_checked(length).ok_or(Malformed)?;
        let mac = rest.get(..usize::try_from(self.mac_length).map_err(|_| Malformed)?).ok_or(Malformed)?;
        Ok((message, mac))
    }
}

/// The metadata of a slot as provisioning creates it (document 06, §10.1).
pub fn slot_metadata(owner: ClientId, slot: u8, label: SlotLabel) -> Metadata {
    Metadata { id: object_id(owner, slot), label: label.into_label(&Label::EMPTY), ..Metadata::default() }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::message::{Refusal, Request, refusal};
    use crate::{ByteOrder, Kind, Layout};
    use std::vec::Vec;

    /// The exchanges of document 06, §11.7.
    #[test]
    fn recorded_exchanges() {
        let mut uid = [0; 16];
        uid[14] = 1;
        let (request, _) = SetUidRequest::decode(&uid, ByteOrder::Little).unwrap();
        assert_eq!(request.uid[14], 1);

        let init = SecureBootInitRequest { length: 512 };
        let mut out = [0xEE; 8];
        init.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out, [0, 2, 0, 0, 0, 0, 0, 0]);

        let status = [0, 0, 0, 0, 0x1A, 0, 0, 0, 0xC5, 0xC6, 0xC7, 0xC8];
        let status = GetStatusResponse::decode_exact(&status, ByteOrder::Little).unwrap();
        assert_eq!(std::format!("{}", StatusRegister(status.register)), "SECURE_BOOT|BOOT_FINISHED|BOOT_OK");

        let mut mac = Vec::from([14, 0, 0, 0, 64, 0, 0, 0, 16, 0, 0, 0, 0xAA, 0xAA, 0xAA, 0xAA]);
        mac.extend([0; 64]);
        mac.extend([0x20; 16]);
        let (request, tail) = VerifyMacRequest::decode(&mac, ByteOrder::Little).unwrap();
        assert_eq!(request, VerifyMacRequest { slot: 14, length: 64, mac_length: 16 });
        assert_eq!(request.tails(tail).unwrap(), (&[0; 64][..], &[0x20; 16][..]));
        assert!(request.tails(&tail[..79]).is_err());
        let wrapping = VerifyMacRequest { length: u32::MAX, mac_length: 17, ..request };
        assert!(wrapping.tails(tail).is_err());
    }

    #[test]
    fn only_whole_blocks_count() {
        let data = [7; 40];
        assert_eq!(whole_blocks(40, &data), Ok(&data[..32]));
        assert_eq!(whole_blocks(15, &data), Ok(&data[..0]));
        assert_eq!(whole_blocks(47, &data[..32]), Ok(&data[..32]));
        assert_eq!(whole_blocks(48, &data), Err(Malformed));
        assert_eq!(whole_blocks(u32::MAX, &data), Err(Malformed));
    }

    /// Document 06, §2: both words are big-endian, and the rest of a label is kept.
    #[test]
    fn labels() {
        let old = Label([0xEE; 24]);
        let label = SlotLabel { counter: 0x0123_4567, flags: SlotFlags::from_update(0x1F) }.into_label(&old);
        assert_eq!(label.0[..8], [0x01, 0x23, 0x45, 0x67, 0, 0, 0, 0xF1]);
        assert_eq!(label.0[8..], [0xEE; 16]);
        assert_eq!(SlotLabel::from_label(&label), SlotLabel { counter: 0x0123_4567, flags: SlotFlags(0xF1) });
        for (bits, flags) in [(0x10, 0x80), (0x08, 0x40), (0x04, 0x20), (0x02, 0x10), (0x01, 0x01)] {
            assert_eq!(SlotFlags::from_update(bits), SlotFlags(flags));
        }
        assert_eq!(object_id(ClientId::new(1).unwrap(), 4), ObjectId(0x2104));
        assert_eq!(object_id(ClientId::NONE, 4), ObjectId(0x2004));
    }

    /// The response sizes of document 06, §4: a refusal has the size of the fixed response.
    #[test]
    fn refusals_have_the_size_of_responses() {
        fn size<R: Request>() -> (u8, usize) {
            (R::KIND.action, R::Response::SIZE)
        }
        let sizes = [
            (size::<SetUidRequest>(), 8),
            (size::<SecureBootInitRequest>(), 8),
            (size::<SecureBootUpdateRequest>(), 8),
            (size::<SecureBootFinishRequest>(), 8),
            (size::<GetStatusRequest>(), 12),
            (size::<LoadKeyRequest>(), 52),
            (size::<LoadPlainKeyRequest>(), 4),
            (size::<ExportRamKeyRequest>(), 116),
            (size::<InitRandomRequest>(), 8),
            (size::<RandomRequest>(), 20),
            (size::<ExtendSeedRequest>(), 8),
            (size::<EncryptEcbRequest>(), 8),
            (size::<EncryptCbcRequest>(), 8),
            (size::<DecryptEcbRequest>(), 8),
            (size::<DecryptCbcRequest>(), 8),
            (size::<GenerateMacRequest>(), 20),
            (size::<VerifyMacRequest>(), 12),
        ];
        for (number, ((action, size), expected)) in (0..).zip(sizes) {
            assert_eq!((action, size), (number, expected));
            assert_eq!(
                refusal(Kind::new(Group::SHE, action)),
                Some(Refusal { size, status_offset: 0, echoes_algorithm: false })
            );
        }
        assert_eq!(refusal(Kind::new(Group::SHE, 17)), None);
    }
}
