//! Cryptographic messages whose bulk data lies in client memory (documents 04 and 05): group CRYPTO_DMA, with the
//! actions, algorithms and headers of group CRYPTO.
//!
//! Keys, initialisation vectors, tags, states and MACs stay in the message. Where a message carries a key inline and
//! names one too, the inline key counts, unlike in group CRYPTO.

use super::crypto::{CmacState, CryptoRequest, action};
use crate::codec::layout;
use crate::{ByteOrder, DmaBuffer, Group, KeyId, Label, Malformed, Reader};

layout! {
    /// Request for random bytes (document 04, §4).
    RandomDmaRequest: 16 {
        /// Where they are to go.
        output: DmaBuffer;
    }

    /// Response to [`RandomDmaRequest`].
    RandomDmaResponse: 16 {
        /// Not used.
        refused: DmaBuffer;
    }

    /// AES-ECB request (document 04, §5.5); the inline key follows.
    EcbDmaRequest: 48 {
        /// The data.
        input: DmaBuffer;
        /// Where the result is to go; as long as the data.
        output: DmaBuffer;
        /// 0 to decrypt.
        encrypt: u32;
        /// The key, unless inline.
        key: u32;
        /// Length of the inline key in bytes.
        key_length: u32, pad 4;
    }

    /// AES-CBC request (document 04, §5.5); the initialisation vector (16), then the inline key, follow.
    CbcDmaRequest: 48 {
        /// The data.
        input: DmaBuffer;
        /// Where the result is to go; as long as the data.
        output: DmaBuffer;
        /// 0 to decrypt.
        encrypt: u32;
        /// The key, unless inline.
        key: u32;
        /// Length of the inline key in bytes.
        key_length: u32, pad 4;
    }

    /// Response to [`EcbDmaRequest`]; and to [`CbcDmaRequest`], where the next initialisation vector (16) follows.
    BlocksDmaResponse: 24 {
        /// Not used.
        refused: DmaBuffer;
        /// Length of the result in bytes.
        length: u32, pad 4;
    }

    /// AES-CTR request (document 04, §5.5); counter (16), keystream block (16) and the inline key follow.
    CtrDmaRequest: 48 {
        /// The data.
        input: DmaBuffer;
        /// Where the result is to go; as long as the data.
        output: DmaBuffer;
        /// 0 to decrypt.
        encrypt: u32;
        /// Unused bytes at the end of the keystream block, 0..=16.
        unused: u32;
        /// The key, unless inline.
        key: u32;
        /// Length of the inline key in bytes.
        key_length: u32;
    }

    /// Response to [`CtrDmaRequest`]; the next counter (16) and keystream block (16) follow.
    CtrDmaResponse: 24 {
        /// Not used.
        refused: DmaBuffer;
        /// Length of the result in bytes.
        length: u32;
        /// Unused bytes at the end of the keystream block.
        unused: u32;
    }

    /// AES-GCM request (document 04, §5.5); initialisation vector, tag (when decrypting), inline key follow.
    GcmDmaRequest: 72 {
        /// The data.
        input: DmaBuffer;
        /// Where the result is to go; as long as the data.
        output: DmaBuffer;
        /// Additional authenticated data.
        aad: DmaBuffer;
        /// 0 to decrypt.
        encrypt: u32;
        /// The key, unless inline.
        key: u32;
        /// Length of the inline key in bytes.
        key_length: u32;
        /// Length of the initialisation vector in bytes.
        iv_length: u32;
        /// Length of the tag in bytes.
        tag_length: u32, pad 4;
    }

    /// Response to [`GcmDmaRequest`]; the tag follows when encrypting.
    GcmDmaResponse: 24 {
        /// Not used.
        refused: DmaBuffer;
        /// Length of the result in bytes.
        length: u32;
        /// Length of the tag that follows.
        tag_length: u32;
    }

    /// SHA-224 and SHA-256 request (document 04, §6.6); inline data follows and is hashed first.
    Sha256DmaRequest: 64 {
        /// Bytes compressed so far, high word.
        length_high: u32;
        /// Bytes compressed so far, low word.
        length_low: u32;
        /// Chaining variables.
        state: [u32; 8];
        /// Whole blocks; none in a final request.
        input: DmaBuffer;
        /// Not 0 to finish.
        last: u32;
        /// Length of the inline data in bytes.
        length: u32;
    }

    /// SHA-384 and SHA-512 request (document 04, §6.6); inline data follows and is hashed first.
    Sha512DmaRequest: 104 {
        /// Bytes compressed so far, high word.
        length_high: u32;
        /// Bytes compressed so far, low word.
        length_low: u32;
        /// Chaining variables.
        state: [u64; 8];
        /// Which variant of SHA-512.
        variant: u32, pad 4;
        /// Whole blocks; none in a final request.
        input: DmaBuffer;
        /// Not 0 to finish.
        last: u32;
        /// Length of the inline data in bytes.
        length: u32;
    }

    /// SHA-3 request (document 04, §6.6); inline data follows and is hashed first.
    Sha3DmaRequest: 224 {
        /// Whole blocks; none in a final request.
        input: DmaBuffer;
        /// Not 0 to finish.
        last: u32;
        /// Length of the inline data in bytes.
        length: u32;
        /// Lanes.
        state: [u64; 25];
    }

    /// Response to an unfinished [`Sha256DmaRequest`].
    Sha256DmaStateResponse: 96 {
        /// Not used.
        refused: DmaBuffer;
        /// Chaining variables.
        state: [u32; 8], pad 32;
        /// Bytes compressed so far, high word.
        length_high: u32;
        /// Bytes compressed so far, low word.
        length_low: u32;
        /// The hash.
        variant: u32, pad 4;
    }

    /// Response to an unfinished [`Sha512DmaRequest`].
    Sha512DmaStateResponse: 96 {
        /// Not used.
        refused: DmaBuffer;
        /// Chaining variables.
        state: [u64; 8];
        /// Bytes compressed so far, high word.
        length_high: u32;
        /// Bytes compressed so far, low word.
        length_low: u32;
        /// The hash.
        variant: u32, pad 4;
    }

    /// Response to a final SHA-2 request.
    Sha2DmaDigestResponse: 96 {
        /// Not used.
        refused: DmaBuffer;
        /// The digest, padded with zeros.
        digest: [u8; 64];
        /// 0.
        length_high: u32;
        /// 0.
        length_low: u32;
        /// The hash.
        variant: u32, pad 4;
    }

    /// Response to [`Sha3DmaRequest`].
    Sha3DmaResponse: 280 {
        /// Lanes; zero after a final request.
        state: [u64; 25];
        /// Not used.
        refused: DmaBuffer;
        /// The digest, padded with zeros; zero unless final.
        digest: [u8; 64];
    }

    /// CMAC request (document 04, §7); inline data, then the inline key, follow: [`CmacDmaRequest::tails`].
    CmacDmaRequest: 72 {
        /// Bytes not absorbed yet.
        buffer: [u8; 16];
        /// Running value.
        digest: [u8; 16];
        /// How many bytes of the buffer count.
        buffered: u32;
        /// Bytes absorbed; informative.
        total: u32;
        /// Data; absorbed after the inline data.
        input: DmaBuffer;
        /// Length of the MAC wanted; 0 to absorb only.
        mac_length: u32;
        /// Length of the inline key in bytes.
        key_length: u32;
        /// Length of the inline data in bytes.
        length: u32;
        /// The key, unless inline.
        key: KeyId, pad 2;
    }

    /// CMAC response; the MAC follows.
    CmacDmaResponse: 64 {
        /// Bytes not absorbed yet.
        buffer: [u8; 16];
        /// Running value.
        digest: [u8; 16];
        /// How many bytes of the buffer count.
        buffered: u32;
        /// Bytes absorbed; informative.
        total: u32;
        /// Not used.
        refused: DmaBuffer;
        /// Length of the MAC that follows.
        mac_length: u32;
        /// The request's key identifier when unfinished, else 0.
        key: KeyId, pad 2;
    }

    /// Ed25519 signature request (document 05, §6.4); the context follows.
    Ed25519SignDmaRequest: 64 {
        /// The message.
        message: DmaBuffer;
        /// Where the signature is to go.
        signature: DmaBuffer;
        /// Not used.
        public: DmaBuffer;
        /// Options ([`super::public_key::option`]).
        options: u32;
        /// The key.
        key: u32;
        /// Which variant ([`super::public_key::ed25519_mode`]).
        mode: u32;
        /// Length of the context in bytes, 0..=255.
        context_length: u32;
    }

    /// Ed25519 verification request (document 05, §6.4); the context follows.
    Ed25519VerifyDmaRequest: 64 {
        /// The signature.
        signature: DmaBuffer;
        /// The message.
        message: DmaBuffer;
        /// Not used.
        public: DmaBuffer;
        /// Options ([`super::public_key::option`]).
        options: u32;
        /// The key.
        key: u32;
        /// Which variant ([`super::public_key::ed25519_mode`]).
        mode: u32;
        /// Length of the context in bytes, 0..=255.
        context_length: u32;
    }

    /// Response to a signature request.
    SignatureDmaResponse: 24 {
        /// Not used.
        refused: DmaBuffer;
        /// Length of the signature in bytes.
        length: u32, pad 4;
    }

    /// Response to a verification request.
    VerifyDmaResponse: 24 {
        /// Not used.
        refused: DmaBuffer;
        /// 1 for a valid signature, else 0.
        valid: u32, pad 4;
    }

    /// ML-DSA key generation request (document 05, §7.5).
    MlDsaKeyGenerationDmaRequest: 64 {
        /// Where the private key, or the public half of a cached key, is to go.
        output: DmaBuffer;
        /// 2, 3 or 5 for ML-DSA-44, -65 or -87.
        level: u32;
        /// Flags of the new key.
        flags: u32;
        /// Where to cache the key; number 0 lets the server choose.
        key: u32;
        /// Not used.
        access: u32;
        /// How many label bytes count, at most 24.
        label_length: u32;
        /// Label of the new key.
        label: Label, pad 4;
    }

    /// ML-KEM key generation request (document 05, §8).
    MlKemKeyGenerationDmaRequest: 64 {
        /// Where the private key, or the public half of a cached key, is to go.
        output: DmaBuffer;
        /// 0, 1 or 2 for ML-KEM-512, -768 or -1024.
        level: u32;
        /// Flags of the new key.
        flags: u32;
        /// Where to cache the key; number 0 lets the server choose.
        key: u32;
        /// Not used.
        access: u32;
        /// How many label bytes count, at most 24.
        label_length: u32;
        /// Label of the new key.
        label: Label, pad 4;
    }

    /// Response to a key generation request.
    KeyGenerationDmaResponse: 24 {
        /// Not used.
        refused: DmaBuffer;
        /// The cached key's identifier; 0 for a key that was returned.
        key: u32;
        /// How many bytes were written.
        length: u32;
    }

    /// ML-DSA signature request (document 05, §7.5); the context follows.
    MlDsaSignDmaRequest: 56 {
        /// The message, or a digest.
        message: DmaBuffer;
        /// Where the signature is to go.
        signature: DmaBuffer;
        /// Options ([`super::public_key::option`]).
        options: u32;
        /// Not used: the key decides.
        level: u32;
        /// The key.
        key: u32;
        /// Length of the context in bytes, 0..=255.
        context_length: u32;
        /// Hash of a digest; 0 for a message.
        prehash: u32, pad 4;
    }

    /// ML-DSA verification request (document 05, §7.5); the context follows.
    MlDsaVerifyDmaRequest: 56 {
        /// The signature.
        signature: DmaBuffer;
        /// The message, or a digest.
        message: DmaBuffer;
        /// Options ([`super::public_key::option`]).
        options: u32;
        /// Not used: the key decides.
        level: u32;
        /// The key.
        key: u32;
        /// Length of the context in bytes, 0..=255.
        context_length: u32;
        /// Hash of a digest; 0 for a message.
        prehash: u32, pad 4;
    }

    /// ML-KEM encapsulation request (document 05, §8).
    MlKemEncapsulateDmaRequest: 32 {
        /// Where the ciphertext is to go.
        ciphertext: DmaBuffer;
        /// Options ([`super::public_key::option`]).
        options: u32;
        /// The parameter set; must be the key's.
        level: u32;
        /// The key.
        key: u32, pad 4;
    }

    /// Response to [`MlKemEncapsulateDmaRequest`]; the secret follows.
    MlKemEncapsulateDmaResponse: 24 {
        /// Not used.
        refused: DmaBuffer;
        /// Length of the ciphertext in bytes.
        ciphertext_length: u32;
        /// Length of the secret in bytes.
        secret_length: u32;
    }

    /// ML-KEM decapsulation request (document 05, §8).
    MlKemDecapsulateDmaRequest: 32 {
        /// The ciphertext.
        ciphertext: DmaBuffer;
        /// Options ([`super::public_key::option`]).
        options: u32;
        /// The parameter set; must be the key's.
        level: u32;
        /// The key.
        key: u32, pad 4;
    }

    /// Response to [`MlKemDecapsulateDmaRequest`]; the secret follows.
    MlKemDecapsulateDmaResponse: 24 {
        /// Not used.
        refused: DmaBuffer;
        /// Length of the secret in bytes.
        secret_length: u32, pad 4;
    }

    /// Key generation request for LMS/HSS and XMSS/XMSS^MT (document 05, §9.1).
    StatefulKeyGenerationDmaRequest: 104 {
        /// Where the public key is to go.
        public: DmaBuffer;
        /// Flags of the new key.
        flags: u32;
        /// Where to keep the key; number 0 lets the server choose.
        key: u32;
        /// Not used.
        access: u32;
        /// How many label bytes count, at most 24.
        label_length: u32;
        /// Levels of an HSS key.
        levels: u32;
        /// Height of each of its trees.
        height: u32;
        /// Its Winternitz parameter.
        winternitz: u32;
        /// Label of the new key.
        label: Label;
        /// Name of an XMSS parameter set, ended by a zero.
        xmss: [u8; 32], pad 4;
    }

    /// Signature request (document 05, §9.1).
    StatefulSignDmaRequest: 40 {
        /// The message.
        message: DmaBuffer;
        /// Where the signature is to go.
        signature: DmaBuffer;
        /// Options ([`super::public_key::option`]).
        options: u32;
        /// The key.
        key: u32;
    }

    /// Verification request (document 05, §9.1).
    StatefulVerifyDmaRequest: 40 {
        /// The signature.
        signature: DmaBuffer;
        /// The message.
        message: DmaBuffer;
        /// Options ([`super::public_key::option`]).
        options: u32;
        /// The key.
        key: u32;
    }

    /// Asks whether a key can still sign (document 05, §9.1).
    StatefulRemainingRequest: 4 {
        /// The key.
        key: u32;
    }

    /// Response to [`StatefulRemainingRequest`].
    StatefulRemainingResponse: 4 {
        /// 1 if the key can sign, else 0.
        remaining: u32;
    }
}

macro_rules! crypto_dma_requests {
    ($( $request:ty = $action:ident => $response:ty; )*) => {$(
        impl CryptoRequest for $request {
            const GROUP: Group = Group::CRYPTO_DMA;
            const ACTION: u8 = action::$action;
            type Response = $response;
        }
    )*};
}

crypto_dma_requests! {
    RandomDmaRequest = RANDOM => RandomDmaResponse;
    EcbDmaRequest = CIPHER => BlocksDmaResponse;
    CbcDmaRequest = CIPHER => BlocksDmaResponse;
    CtrDmaRequest = CIPHER => CtrDmaResponse;
    GcmDmaRequest = CIPHER => GcmDmaResponse;
    // The response to a final block has the layout of `Sha2DmaDigestResponse` in the same bytes.
    Sha256DmaRequest = HASH => Sha256DmaStateResponse;
    Sha512DmaRequest = HASH => Sha512DmaStateResponse;
    Sha3DmaRequest = HASH => Sha3DmaResponse;
    CmacDmaRequest = CMAC => CmacDmaResponse;
    Ed25519SignDmaRequest = PUBLIC_KEY => SignatureDmaResponse;
    Ed25519VerifyDmaRequest = PUBLIC_KEY => VerifyDmaResponse;
    MlDsaKeyGenerationDmaRequest = PUBLIC_KEY => KeyGenerationDmaResponse;
    MlDsaSignDmaRequest = PUBLIC_KEY => SignatureDmaResponse;
    MlDsaVerifyDmaRequest = PUBLIC_KEY => VerifyDmaResponse;
    MlKemKeyGenerationDmaRequest = PUBLIC_KEY => KeyGenerationDmaResponse;
    MlKemEncapsulateDmaRequest = PUBLIC_KEY => MlKemEncapsulateDmaResponse;
    MlKemDecapsulateDmaRequest = PUBLIC_KEY => MlKemDecapsulateDmaResponse;
    StatefulKeyGenerationDmaRequest = PUBLIC_KEY => KeyGenerationDmaResponse;
    StatefulSignDmaRequest = PUBLIC_KEY => SignatureDmaResponse;
    StatefulVerifyDmaRequest = PUBLIC_KEY => VerifyDmaResponse;
    StatefulRemainingRequest = PUBLIC_KEY => StatefulRemainingResponse;
}

/// What follows an AES-CTR request.
#[derive(Debug, Clone, Copy)]
pub struct CtrDmaTails<'a> {
    /// The next counter block.
    pub counter: [u8; 16],
    /// The keystream block used last.
    pub keystream: [u8; 16],
    /// The inline key, possibly empty.
    pub key: &'a [u8],
}

/// What follows an AES-GCM request.
#[derive(Debug, Clone, Copy)]
pub struct GcmDmaTails<'a> {
    /// The initialisation vector.
    pub iv: &'a [u8],
    /// The tag to check; empty when encrypting.
    pub tag: &'a [u8],
    /// The inline key, possibly empty.
    pub key: &'a [u8],
}

/// What follows a CMAC request.
#[derive(Debug, Clone, Copy)]
pub struct CmacDmaTails<'a> {
    /// Inline data, possibly empty.
    pub input: &'a [u8],
    /// The inline key, possibly empty.
    pub key: &'a [u8],
}

/// The byte order does not matter to tails: they are byte strings.
const fn tail_reader(tail: &[u8]) -> Reader<'_> {
    Reader::new(tail, ByteOrder::Little)
}

impl EcbDmaRequest {
    /// The inline key, possibly empty, which must be all of `tail`.
    ///
    /// # Errors
    /// [`Malformed`] if it is not.
    pub fn tail<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let mut reader = tail_reader(tail);
        let key = reader.take_u32(self.key_length)?;
        reader.finish()?;
        Ok(key)
    }
}

impl CbcDmaRequest {
    /// Initialisation vector and inline key, which must be all of `tail`.
    ///
    /// # Errors
    /// [`Malformed`] if they are not.
    pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<([u8; 16], &'a [u8]), Malformed> {
        let mut reader = tail_reader(tail);
        let tails = (reader.take_array()?, reader.take_u32(self.key_length)?);
        reader.finish()?;
        Ok(tails)
    }
}

impl CtrDmaRequest {
    /// Counter, keystream block and inline key, which must be all of `tail`.
    ///
    /// # Errors
    /// [`Malformed`] if they are not.
    pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<CtrDmaTails<'a>, Malformed> {
        let mut reader = tail_reader(tail);
        let tails = CtrDmaTails {
            counter: reader.take_array()?,
            keystream: reader.take_array()?,
            key: reader.take_u32(self.key_length)?,
        };
        reader.finish()?;
        Ok(tails)
    }
}

impl GcmDmaRequest {
    /// Cuts `tail`, which must match the lengths exactly; a tag is there only when decrypting.
    ///
    /// # Errors
    /// [`Malformed`] if it does not.
    pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<GcmDmaTails<'a>, Malformed> {
        let mut reader = tail_reader(tail);
        let tails = GcmDmaTails {
            iv: reader.take_u32(self.iv_length)?,
            tag: if self.encrypt == 0 { reader.take_u32(self.tag_length)? } else { &[] },
            key: reader.take_u32(self.key_length)?,
        };
        reader.finish()?;
        Ok(tails)
    }
}

impl CmacDmaRequest {
    /// Where to resume.
    pub const fn state(&self) -> CmacState {
        CmacState { buffer: self.buffer, digest: self.digest, buffered: self.buffered, total: self.total }
    }

    /// Cuts `tail`; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if it is too short.
    pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<CmacDmaTails<'a>, Malformed> {
        let mut reader = tail_reader(tail);
        Ok(CmacDmaTails { input: reader.take_u32(self.length)?, key: reader.take_u32(self.key_length)? })
    }
}

impl CmacDmaResponse {
    /// The new state; zero when finished.
    pub const fn state(&self) -> CmacState {
        CmacState { buffer: self.buffer, digest: self.digest, buffered: self.buffered, total: self.total }
    }
}

macro_rules! context_tail {
    ($( $request:ty; )*) => {$(
        impl $request {
            /// The context; surplus bytes are ignored.
            ///
            /// # Errors
            /// [`Malformed`] if `tail` is too short.
            pub fn context<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
                tail_reader(tail).take_u32(self.context_length)
            }
        }
    )*};
}
context_tail! {
    Ed25519SignDmaRequest;
    Ed25519VerifyDmaRequest;
    MlDsaSignDmaRequest;
    MlDsaVerifyDmaRequest;
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::Layout;
    use crate::message::crypto::RequestHeader;
    use std::vec::Vec;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex
            .bytes()
            .filter_map(|c| char::from(c).to_digit(16))
            .map(|d| u8::try_from(d).unwrap())
            .collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Document 04, §11: AES-CBC of 32 bytes, with made-up addresses.
    #[test]
    fn recorded_cbc() {
        let recorded = bytes(
            "02000000 00000000 00000000 1011000000000000 2000000000000000 2021000000000000 2000000000000000
             01000000 00000000 10000000 00000000
             a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 000102030405060708090a0b0c0d0e0f",
        );
        let (_, rest) = RequestHeader::decode(&recorded, ByteOrder::Little).unwrap();
        let (request, tail) = CbcDmaRequest::decode(rest, ByteOrder::Little).unwrap();
        assert_eq!((request.input, request.output), (DmaBuffer::new(0x1110, 32), DmaBuffer::new(0x2120, 32)));
        let (iv, key) = request.tails(tail).unwrap();
        assert_eq!((iv[0], key[15]), (0xA0, 0x0F), "the key comes last");
        assert!(request.tails(&tail[1..]).is_err());
    }

    /// Document 05, §15: LMS 1/5/8, label "lms", and XMSS-SHA2_10_256, label "xm", with made-up addresses.
    #[test]
    fn recorded_stateful_key_generations() {
        let decode = |levels: &str, label: &str, name: &str| {
            let mut recorded = bytes("1011000000000000 4400000000000000 00000000 00000000 ffff0000 03000000");
            recorded.extend(bytes(levels));
            for (text, size) in [(label, 24), (name, 36)] {
                let mut field = bytes(text);
                field.resize(size, 0);
                recorded.extend(field);
            }
            StatefulKeyGenerationDmaRequest::decode(&recorded, ByteOrder::Little).unwrap().0
        };
        let lms = decode("01000000 05000000 08000000", "6c6d73", "");
        assert_eq!(lms.public, DmaBuffer::new(0x1110, 0x44));
        assert_eq!((lms.levels, lms.height, lms.winternitz), (1, 5, 8));
        assert_eq!((lms.label, lms.access), (Label::from("lms"), 0xFFFF));
        let xmss = decode("00000000 00000000 00000000", "786d", "584d53532d534841325f31305f323536");
        assert_eq!(&xmss.xmss[..17], b"XMSS-SHA2_10_256\0");
    }

    /// Document 04, §11: a CMAC by identifier 0x22 in one shot.
    #[test]
    fn recorded_cmac() {
        let mut recorded = Vec::from([0; 40]);
        recorded.extend(bytes("1011000000000000 2800000000000000 10000000 00000000 00000000 2200 0000"));
        let (request, tail) = CmacDmaRequest::decode(&recorded, ByteOrder::Little).unwrap();
        assert_eq!((request.input.size, request.mac_length, request.key), (0x28, 16, KeyId(0x22)));
        assert_eq!(request.state(), CmacState::INITIAL);
        assert!(request.tails(tail).unwrap().key.is_empty());
    }

    /// Document 05, §15: an ephemeral ML-DSA-44 key pair, and an Ed25519 signature in pure mode.
    #[test]
    fn recorded_public_key() {
        let mut recorded =
            bytes("1011000000000000 601d000000000000 02000000 10000000 00000000 00000000 00000000");
        recorded.extend([0; 28]);
        let request = MlDsaKeyGenerationDmaRequest::decode_exact(&recorded, ByteOrder::Little).unwrap();
        assert_eq!((request.output.size, request.level, request.flags), (7520, 2, 0x10));
        let mut recorded = bytes(
            "1011000000000000 0500000000000000 2021000000000000 4000000000000000 00000000000000000000000000000000",
        );
        recorded.extend(bytes("00000000 ff000000 ff000000 00000000"));
        let request = Ed25519SignDmaRequest::decode_exact(&recorded, ByteOrder::Little).unwrap();
        assert_eq!(
            (request.message.size, request.signature.size, request.key, request.mode),
            (5, 64, 255, 255)
        );
    }

    #[test]
    fn gcm_has_a_tag_only_when_decrypting_and_the_key_last() {
        let request = GcmDmaRequest {
            input: DmaBuffer::NONE,
            output: DmaBuffer::NONE,
            aad: DmaBuffer::NONE,
            encrypt: 0,
            key: 0,
            key_length: 2,
            iv_length: 1,
            tag_length: 2,
        };
        let tails = request.tails(b"vTTkk").unwrap();
        assert_eq!((tails.iv, tails.tag, tails.key), (&b"v"[..], &b"TT"[..], &b"kk"[..]));
        let request = GcmDmaRequest { encrypt: 1, ..request };
        assert!(request.tails(b"vTTkk").is_err());
        assert!(request.tails(b"vkk").unwrap().tag.is_empty());
        assert!(GcmDmaRequest { iv_length: u32::MAX, ..request }.tails(b"vkk").is_err());
    }
}
