//! Cryptographic messages with the data inside the message (document 04). Every payload begins with a
//! [`RequestHeader`] or [`ResponseHeader`]; the operation's fixed part and its tails follow. On failure the response
//! is the header alone.

use crate::codec::layout;
use crate::{ByteOrder, Field, Group, KeyId, Label, Layout, Malformed, Overflow, Reader, Status, Writer};

/// Actions of the group.
pub mod action {
    /// Hashes.
    pub const HASH: u8 = 1;
    /// Symmetric ciphers.
    pub const CIPHER: u8 = 2;
    /// Public-key operations.
    pub const PUBLIC_KEY: u8 = 3;
    /// Random numbers.
    pub const RANDOM: u8 = 4;
    /// Message authentication with AES-CMAC.
    pub const CMAC: u8 = 7;
    /// Key derivation.
    pub const KDF: u8 = 9;
}

/// Algorithm numbers of [`action::CIPHER`].
pub mod cipher {
    /// AES-CBC.
    pub const AES_CBC: u32 = 2;
    /// AES-GCM.
    pub const AES_GCM: u32 = 3;
    /// AES-CTR.
    pub const AES_CTR: u32 = 4;
    /// AES-ECB.
    pub const AES_ECB: u32 = 13;
}

/// Algorithm numbers of [`action::HASH`], also used by HKDF and inside the SHA-512 messages.
pub mod hash {
    /// SHA-1 (not offered as a hash message).
    pub const SHA1: u32 = 4;
    /// SHA-224.
    pub const SHA224: u32 = 5;
    /// SHA-256.
    pub const SHA256: u32 = 6;
    /// SHA-384.
    pub const SHA384: u32 = 7;
    /// SHA-512.
    pub const SHA512: u32 = 8;
    /// SHA3-224.
    pub const SHA3_224: u32 = 10;
    /// SHA3-256.
    pub const SHA3_256: u32 = 11;
    /// SHA3-384.
    pub const SHA3_384: u32 = 12;
    /// SHA3-512.
    pub const SHA3_512: u32 = 13;
    /// SHA-512/224, inside a SHA-512 message only.
    pub const SHA512_224: u32 = 16;
    /// SHA-512/256, inside a SHA-512 message only.
    pub const SHA512_256: u32 = 17;
    /// SHAKE128, as the hash of an ML-DSA digest only.
    pub const SHAKE128: u32 = 18;
    /// SHAKE256, as the hash of an ML-DSA digest only.
    pub const SHAKE256: u32 = 19;
}

/// Sub-algorithm numbers of [`action::KDF`].
pub mod kdf {
    /// HKDF (RFC 5869).
    pub const HKDF: u32 = 1;
    /// Two-step key derivation with AES-CMAC (NIST SP 800-56C).
    pub const TWO_STEP_CMAC: u32 = 2;
}

/// Which driver chain a client prefers ([`RequestHeader::affinity`]).
pub mod affinity {
    /// The accelerated chain, the default.
    pub const HARDWARE: u32 = 0;
    /// The portable software.
    pub const SOFTWARE: u32 = 1;
}

layout! {
    /// Before every request body.
    RequestHeader: 12 {
        /// The algorithm; which numbers, the action says.
        algorithm: u32;
        /// The sub-algorithm, where one is needed; else 0.
        sub_algorithm: u32;
        /// The driver chain wanted ([`affinity`]).
        affinity: u32;
    }

    /// Before every response body.
    ResponseHeader: 12 {
        /// The request's algorithm number.
        algorithm: u32;
        /// Outcome.
        status: Status, pad 4;
    }

    /// RANDOM request (document 04, §4).
    RandomRequest: 4 {
        /// How many bytes are wanted.
        length: u32;
    }

    /// RANDOM response; the bytes follow.
    RandomResponse: 4 {
        /// How many bytes follow; may be fewer than asked for.
        length: u32;
    }

    /// AES-CBC request (document 04, §5.1); tails: [`CipherRequest`].
    CbcRequest: 16 {
        /// 0 to decrypt, else encrypt.
        encrypt: u32;
        /// Length of the inline key in bytes; 0 with a key identifier.
        key_length: u32;
        /// Length of the data in bytes.
        length: u32;
        /// The key, unless inline.
        key: KeyId, pad 2;
    }

    /// AES-CBC response; data, then the next initialisation vector (16) follow.
    CbcResponse: 16 {
        /// Length of the data in bytes.
        length: u32, pad 12;
    }

    /// AES-ECB request (document 04, §5.2); tails: [`CipherRequest`].
    EcbRequest: 16 {
        /// 0 to decrypt, else encrypt.
        encrypt: u32;
        /// Length of the inline key in bytes; 0 with a key identifier.
        key_length: u32;
        /// Length of the data in bytes.
        length: u32;
        /// The key, unless inline.
        key: KeyId, pad 2;
    }

    /// AES-ECB response; the data follows.
    EcbResponse: 16 {
        /// Length of the data in bytes.
        length: u32, pad 12;
    }

    /// AES-CTR request (document 04, §5.3); tails: [`CipherRequest`].
    CtrRequest: 20 {
        /// 0 to decrypt, else encrypt; the computation is the same, the usage flag asked for is not.
        encrypt: u32;
        /// Length of the inline key in bytes; 0 with a key identifier.
        key_length: u32;
        /// Length of the data in bytes.
        length: u32;
        /// Unused bytes at the end of the keystream block, 0..=16.
        unused: u32;
        /// The key, unless inline.
        key: KeyId, pad 2;
    }

    /// AES-CTR response; data, next counter block (16), keystream block (16) follow.
    CtrResponse: 20 {
        /// Length of the data in bytes.
        length: u32;
        /// Unused bytes at the end of the keystream block.
        unused: u32, pad 12;
    }

    /// AES-GCM request (document 04, §5.4); tails: [`CipherRequest`].
    GcmRequest: 28 {
        /// 0 to decrypt, else encrypt.
        encrypt: u32;
        /// Length of the inline key in bytes; 0 with a key identifier.
        key_length: u32;
        /// Length of the data in bytes.
        length: u32;
        /// Length of the initialisation vector in bytes.
        iv_length: u32;
        /// Length of the additional authenticated data in bytes.
        aad_length: u32;
        /// Length of the tag in bytes.
        tag_length: u32;
        /// The key, unless inline.
        key: KeyId, pad 2;
    }

    /// What a response of any mode begins with, before zeros up to its size: [`CbcResponse`], [`EcbResponse`],
    /// [`CtrResponse`], [`GcmResponse`].
    CipherResponseStart: 8 {
        /// Length of the data in bytes.
        length: u32;
        /// [`CtrResponse::unused`], [`GcmResponse::tag_length`], or 0.
        number: u32;
    }

    /// AES-GCM response; data, and the tag when encrypting, follow.
    GcmResponse: 28 {
        /// Length of the data in bytes.
        length: u32;
        /// Length of the tag that follows; 0 when decrypting.
        tag_length: u32, pad 20;
    }

    /// SHA-224 and SHA-256 request (document 04, §6.2); the data follows.
    Sha256Request: 48 {
        /// High word of the count of bytes compressed so far.
        length_high: u32;
        /// Low word of that count.
        length_low: u32;
        /// Chaining variables.
        state: [u32; 8];
        /// 0 to compress whole blocks, else finish with a partial one.
        last: u32;
        /// Length of the data in bytes.
        length: u32;
    }

    /// SHA-384 and SHA-512 request (document 04, §6.2); the data follows.
    Sha512Request: 84 {
        /// High word of the count of bytes compressed so far.
        length_high: u32;
        /// Low word of that count.
        length_low: u32;
        /// Chaining variables.
        state: [u64; 8];
        /// Which variant of SHA-512 ([`hash`]).
        variant: u32;
        /// 0 to compress whole blocks, else finish with a partial one.
        last: u32;
        /// Length of the data in bytes.
        length: u32;
    }

    /// The response to an unfinished SHA-224 or SHA-256: the new state.
    Sha256StateResponse: 76 {
        /// High word of the count of bytes compressed so far.
        length_high: u32;
        /// Low word of that count.
        length_low: u32;
        /// Chaining variables.
        state: [u32; 8], pad 32;
        /// The algorithm ([`hash`]).
        variant: u32;
    }

    /// The response to an unfinished SHA-384 or SHA-512: the new state.
    Sha512StateResponse: 76 {
        /// High word of the count of bytes compressed so far.
        length_high: u32;
        /// Low word of that count.
        length_low: u32;
        /// Chaining variables.
        state: [u64; 8];
        /// The algorithm executed ([`hash`]).
        variant: u32;
    }

    /// The response to a finished SHA-2: the digest.
    Sha2DigestResponse: 76 {
        /// Zero.
        length_high: u32;
        /// Zero.
        length_low: u32;
        /// The digest, then zeros.
        digest: [u8; 64];
        /// The algorithm executed ([`hash`]).
        variant: u32;
    }

    /// SHA-3 request (document 04, §6.4); the data follows.
    Sha3Request: 208 {
        /// 0 to absorb whole blocks, else finish with a partial one.
        last: u32;
        /// Length of the data in bytes.
        length: u32;
        /// The Keccak state; lane `x + 5y`.
        state: [u64; 25];
    }

    /// SHA-3 response.
    Sha3Response: 264 {
        /// The new state; zero when finished.
        state: [u64; 25];
        /// The digest, then zeros; zero when unfinished.
        digest: [u8; 64];
    }

    /// The state of an unfinished CMAC (document 04, §7).
    CmacState: 40 {
        /// Bytes not absorbed yet.
        buffer: [u8; 16];
        /// Running value.
        digest: [u8; 16];
        /// How many bytes of the buffer count, 0..=16.
        buffered: u32;
        /// Bytes absorbed; informative.
        total: u32;
    }

    /// CMAC request (document 04, §7); data, then the inline key, follow: [`CmacRequest::tails`].
    CmacRequest: 56 {
        /// Length of the MAC wanted; 0 to absorb only.
        mac_length: u32;
        /// Length of the data in bytes.
        length: u32;
        /// Length of the inline key in bytes; 0 with a key identifier.
        key_length: u32;
        /// The key, unless inline.
        key: KeyId, pad 2;
        /// Where to resume.
        state: CmacState;
    }

    /// CMAC response; the MAC follows.
    CmacResponse: 48 {
        /// The new state; zero when finished.
        state: CmacState;
        /// Length of the MAC that follows.
        mac_length: u32;
        /// The request's key identifier when unfinished, else 0.
        key: KeyId, pad 2;
    }

    /// The response to an HKDF or two-step CMAC derivation; an exported key follows.
    KdfResponse: 8 {
        /// The cached key's identifier; 0 for an exported key.
        key: u32;
        /// Length of the exported key that follows; 0 for a cached key.
        length: u32;
    }

    /// HKDF request (document 04, §8.1); tails: [`HkdfRequest::tails`].
    HkdfRequest: 56 {
        /// Flags of the output key; `EPHEMERAL` asks for it to be returned instead of cached.
        flags: u32;
        /// The input key, unless inline.
        key_in: u32;
        /// The output key to create; number 0 lets the server choose.
        key_out: u32;
        /// The hash ([`hash`]).
        hash: u32;
        /// Length of the inline input key in bytes.
        key_length: u32;
        /// Length of the salt in bytes.
        salt_length: u32;
        /// Length of the context information in bytes.
        info_length: u32;
        /// Length of the output key in bytes.
        length: u32;
        /// The output key's label.
        label: Label;
    }

    /// Two-step CMAC derivation request (document 04, §8.1); tails: [`CmacKdfRequest::tails`].
    CmacKdfRequest: 56 {
        /// Flags of the output key; `EPHEMERAL` asks for it to be returned instead of cached.
        flags: u32;
        /// The salt key, unless inline.
        key_salt: u32;
        /// The shared secret Z, unless inline.
        key_z: u32;
        /// The output key to create; number 0 lets the server choose.
        key_out: u32;
        /// Length of the inline salt in bytes.
        salt_length: u32;
        /// Length of the inline Z in bytes.
        z_length: u32;
        /// Length of the fixed information in bytes.
        info_length: u32;
        /// Length of the output key in bytes.
        length: u32;
        /// The output key's label.
        label: Label;
    }
}

impl Field for CmacState {
    const SIZE: usize = 40;
    fn read(reader: &mut Reader<'_>) -> Self {
        Self { buffer: reader.read(), digest: reader.read(), buffered: reader.read(), total: reader.read() }
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put(self.buffer)?;
        writer.put(self.digest)?;
        writer.put(self.buffered)?;
        writer.put(self.total)
    }
}

impl CmacState {
    /// The state before the first byte.
    pub const INITIAL: Self = Self { buffer: [0; 16], digest: [0; 16], buffered: 0, total: 0 };
}

/// A mode of AES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherMode {
    /// [`CbcRequest`].
    Cbc,
    /// [`EcbRequest`].
    Ecb,
    /// [`CtrRequest`].
    Ctr,
    /// [`GcmRequest`].
    Gcm,
}

/// A request of [`action::CIPHER`] with what follows it, whatever its mode. Numbers that all modes have stand at the same
/// places in all of them, and so does the key's identifier, at the end; data and inline key follow first.
#[derive(Debug, Clone, Copy)]
pub struct CipherRequest<'a> {
    /// The mode.
    pub mode: CipherMode,
    /// 0 to decrypt, else encrypt.
    pub encrypt: u32,
    /// The key, unless inline.
    pub key: KeyId,
    /// The data.
    pub input: &'a [u8],
    /// The inline key, possibly empty.
    pub inline_key: &'a [u8],
    /// [`CtrRequest::unused`], [`GcmRequest::tag_length`], or 0.
    pub number: u32,
    /// CBC: the initialisation vector (16). CTR: the next counter block (16), the keystream block used last (16). GCM: the
    /// initialisation vector, additional authenticated data, the tag to check, empty when encrypting.
    pub tails: [&'a [u8]; 3],
}

/// What follows a CMAC request.
#[derive(Debug, Clone, Copy)]
pub struct CmacTails<'a> {
    /// The data.
    pub input: &'a [u8],
    /// The inline key, possibly empty.
    pub key: &'a [u8],
}

/// What follows an HKDF request.
#[derive(Debug, Clone, Copy)]
pub struct HkdfTails<'a> {
    /// The inline input key, possibly empty.
    pub key: &'a [u8],
    /// The salt, possibly empty.
    pub salt: &'a [u8],
    /// Context information.
    pub info: &'a [u8],
}

/// What follows a two-step CMAC derivation request.
#[derive(Debug, Clone, Copy)]
pub struct CmacKdfTails<'a> {
    /// The inline salt, possibly empty.
    pub salt: &'a [u8],
    /// The inline Z, possibly empty.
    pub z: &'a [u8],
    /// Fixed information.
    pub info: &'a [u8],
}

/// The byte order does not matter to tails: they are byte strings.
const fn tail_reader(tail: &[u8]) -> Reader<'_> {
    Reader::new(tail, ByteOrder::Little)
}

impl<'a> CipherRequest<'a> {
    /// Takes apart what follows a [`RequestHeader`] with `algorithm`; `None` for an algorithm that is not known.
    ///
    /// # Errors
    /// [`Malformed`] if `body` does not match its lengths exactly.
    pub fn decode(algorithm: u32, body: &'a [u8], order: ByteOrder) -> Result<Option<Self>, Malformed> {
        let (mode, size) = match algorithm {
            cipher::AES_CBC => (CipherMode::Cbc, CbcRequest::SIZE),
            cipher::AES_ECB => (CipherMode::Ecb, EcbRequest::SIZE),
            cipher::AES_CTR => (CipherMode::Ctr, CtrRequest::SIZE),
            cipher::AES_GCM => (CipherMode::Gcm, GcmRequest::SIZE),
            _ => return Ok(None),
        };
        let (fixed, tail) = body.split_at_checked(size).ok_or(Malformed)?;
        let mut fixed = Reader::new(fixed, order);
        let (encrypt, key_length, length) = (fixed.get()?, fixed.get()?, fixed.get()?);
        let (number, lengths) = match mode {
            CipherMode::Cbc => (0, [16, 0, 0]),
            CipherMode::Ecb => (0, [0; 3]),
            CipherMode::Ctr => (fixed.get()?, [16, 16, 0]),
            CipherMode::Gcm => {
                let (iv_length, aad_length, tag_length) = (fixed.get()?, fixed.get()?, fixed.get()?);
                (tag_length, [iv_length, aad_length, if encrypt == 0 { tag_length } else { 0 }])
            }
        };
        let key = fixed.get()?;
        let mut tail = tail_reader(tail);
        let (input, inline_key) = (tail.take_u32(length)?, tail.take_u32(key_length)?);
        let [first, second, third] = lengths;
        let tails = [tail.take_u32(first)?, tail.take_u32(second)?, tail.take_u32(third)?];
        tail.finish()?;
        Ok(Some(Self { mode, encrypt, key, input, inline_key, number, tails }))
    }
}

impl CmacRequest {
    /// Cuts `tail`; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if it is too short.
    pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<CmacTails<'a>, Malformed> {
        let mut reader = tail_reader(tail);
        Ok(CmacTails { input: reader.take_u32(self.length)?, key: reader.take_u32(self.key_length)? })
    }
}

impl HkdfRequest {
    /// Cuts `tail`; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if it is too short.
    pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<HkdfTails<'a>, Malformed> {
        let mut reader = tail_reader(tail);
        Ok(HkdfTails {
            key: reader.take_u32(self.key_length)?,
            salt: reader.take_u32(self.salt_length)?,
            info: reader.take_u32(self.info_length)?,
        })
    }
}

impl CmacKdfRequest {
    /// Cuts `tail`; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if it is too short.
    pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<CmacKdfTails<'a>, Malformed> {
        let mut reader = tail_reader(tail);
        Ok(CmacKdfTails {
            salt: reader.take_u32(self.salt_length)?,
            z: reader.take_u32(self.z_length)?,
            info: reader.take_u32(self.info_length)?,
        })
    }
}

/// The fixed part of a request of the CRYPTO or the CRYPTO_DMA group; it follows a [`RequestHeader`].
pub trait CryptoRequest: Layout {
    /// The group: CRYPTO, or CRYPTO_DMA for data in client memory.
    const GROUP: Group = Group::CRYPTO;
    /// The action.
    const ACTION: u8;
    /// The fixed part of the response; it follows a [`ResponseHeader`].
    type Response: Layout;
}

macro_rules! crypto_requests {
    ($( $request:ty = $action:ident => $response:ty; )*) => {$(
        impl CryptoRequest for $request {
            const ACTION: u8 = action::$action;
            type Response = $response;
        }
    )*};
}

crypto_requests! {
    RandomRequest = RANDOM => RandomResponse;
    CbcRequest = CIPHER => CbcResponse;
    EcbRequest = CIPHER => EcbResponse;
    CtrRequest = CIPHER => CtrResponse;
    GcmRequest = CIPHER => GcmResponse;
    CmacRequest = CMAC => CmacResponse;
    HkdfRequest = KDF => KdfResponse;
    CmacKdfRequest = KDF => KdfResponse;
    Sha3Request = HASH => Sha3Response;
}

/// What a SHA-2 response holds depends on the request: a state (update) or a digest (final).
macro_rules! sha2_requests {
    ($( $request:ident, $state:ident; )*) => {$(
        impl CryptoRequest for $request {
            const ACTION: u8 = action::HASH;
            /// The response to an update; the response to a final block has the layout of
            /// [`Sha2DigestResponse`] in the same bytes.
            type Response = $state;
        }
    )*};
}
sha2_requests! {
    Sha256Request, Sha256StateResponse;
    Sha512Request, Sha512StateResponse;
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex
            .bytes()
            .filter_map(|c| char::from(c).to_digit(16))
            .map(|d| u8::try_from(d).unwrap())
            .collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Document 04, §11: AES-CTR of 20 bytes.
    #[test]
    fn recorded_ctr() {
        let recorded = bytes(
            "04000000 00000000 00000000 01000000 10000000 14000000 00000000 0000 eeee
             000102030405060708090a0b0c0d0e0f10111213 000102030405060708090a0b0c0d0e0f
             a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 00000000000000000000000000000000",
        );
        let (header, rest) = RequestHeader::decode(&recorded, ByteOrder::Little).unwrap();
        assert_eq!((header.algorithm, header.affinity), (cipher::AES_CTR, affinity::HARDWARE));
        let decode = |body| CipherRequest::decode(header.algorithm, body, ByteOrder::Little);
        let request = decode(rest).unwrap().unwrap();
        assert_eq!((request.input.len(), request.inline_key.len(), request.number), (20, 16, 0));
        let [counter, keystream, third] = request.tails;
        assert_eq!((counter.len(), counter[0], keystream, third), (16, 0xA0, &[0; 16][..], &[][..]));
        assert!(decode(&rest[1..]).is_err() && decode(&rest[..rest.len() - 1]).is_err());
        let longer: Vec<u8> = rest.iter().copied().chain([0]).collect();
        assert!(decode(&longer).is_err());
    }

    fn message(request: &impl Layout, tail: &[u8]) -> Vec<u8> {
        let mut message = std::vec![0; 64];
        let unused = request.encode(ByteOrder::Big, &mut message).unwrap().len();
        message.truncate(64 - unused);
        message.extend(tail);
        message
    }

    /// Every mode's own layout agrees with what is said of all of them.
    #[test]
    fn modes_have_what_they_share_at_the_same_places() {
        let (encrypt, key_length, length, key) = (1, 2, 3, KeyId(0x22));
        let decode = |algorithm, message: &[u8]| {
            let request = CipherRequest::decode(algorithm, message, ByteOrder::Big).unwrap().unwrap();
            assert_eq!((request.encrypt, request.key), (encrypt, key));
            assert_eq!((request.input, request.inline_key), (&b"ddd"[..], &b"kk"[..]));
            let lengths = request.tails.map(<[u8]>::len);
            (request.mode, request.number, lengths)
        };
        let (none, blocks) = (b"dddkk", b"dddkk0123456789abcdef0123456789abcdef");
        let request = message(&CbcRequest { encrypt, key_length, length, key }, &blocks[..21]);
        assert_eq!(decode(cipher::AES_CBC, &request), (CipherMode::Cbc, 0, [16, 0, 0]));
        let request = message(&EcbRequest { encrypt, key_length, length, key }, none);
        assert_eq!(decode(cipher::AES_ECB, &request), (CipherMode::Ecb, 0, [0, 0, 0]));
        let request = message(&CtrRequest { encrypt, key_length, length, unused: 9, key }, blocks);
        assert_eq!(decode(cipher::AES_CTR, &request), (CipherMode::Ctr, 9, [16, 16, 0]));
        let gcm = GcmRequest { encrypt, key_length, length, iv_length: 4, aad_length: 5, tag_length: 6, key };
        let request = message(&gcm, &blocks[..14]);
        assert_eq!(decode(cipher::AES_GCM, &request), (CipherMode::Gcm, 6, [4, 5, 0]));
        assert!(CipherRequest::decode(5, &request, ByteOrder::Big).unwrap().is_none());

        let start = message(&CipherResponseStart { length, number: 9 }, &[0; 24]);
        assert_eq!(message(&CbcResponse { length }, &[])[..4], start[..4]);
        assert_eq!(message(&EcbResponse { length }, &[])[..4], start[..4]);
        assert_eq!(message(&CtrResponse { length, unused: 9 }, &[]), start[..CtrResponse::SIZE]);
        assert_eq!(message(&GcmResponse { length, tag_length: 9 }, &[]), start[..GcmResponse::SIZE]);
    }

    /// Document 04, §11: AES-GCM decryption, whose tag comes last.
    #[test]
    fn gcm_has_a_tag_only_when_decrypting() {
        let request = GcmRequest {
            encrypt: 0,
            key_length: 2,
            length: 1,
            iv_length: 1,
            aad_length: 1,
            tag_length: 2,
            key: KeyId::NONE,
        };
        let decode = |message: &[u8]| {
            let request = CipherRequest::decode(cipher::AES_GCM, message, ByteOrder::Big).ok()??;
            Some(request.tails.map(<[u8]>::to_vec))
        };
        let tails = decode(&message(&request, b"dkkvaTT")).unwrap();
        assert_eq!(tails, [&b"v"[..], b"a", b"TT"]);
        let request = GcmRequest { encrypt: 1, ..request };
        assert!(decode(&message(&request, b"dkkvaTT")).is_none());
        assert!(decode(&message(&request, b"dkkva")).unwrap()[2].is_empty());
    }

    #[test]
    fn lengths_near_the_limit_do_not_overflow() {
        let request = CbcRequest { encrypt: 1, key_length: u32::MAX, length: u32::MAX, key: KeyId::NONE };
        let message = message(&request, &[0; 64]);
        assert!(CipherRequest::decode(cipher::AES_CBC, &message, ByteOrder::Big).is_err());
    }

    #[test]
    fn cmac_state_stands_after_the_request_scalars_and_before_the_response_scalars() {
        let state = CmacState { buffer: [1; 16], digest: [2; 16], buffered: 5, total: 16 };
        let mut out = [0xEE; 56];
        let request = CmacRequest { mac_length: 0, length: 11, key_length: 16, key: KeyId(0x22), state };
        request.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out[12..17], [0x22, 0, 0, 0, 1]);
        assert_eq!(out[48..], [5, 0, 0, 0, 16, 0, 0, 0]);
        assert_eq!(CmacRequest::decode(&out, ByteOrder::Little).unwrap().0, request);
        let response = CmacResponse { state, mac_length: 16, key: KeyId(0x22) };
        response.encode(ByteOrder::Little, &mut out[..48]).unwrap();
        assert_eq!(out[40..48], [16, 0, 0, 0, 0x22, 0, 0, 0]);
    }
}
