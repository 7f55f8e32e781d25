//! Public-key messages with the data inside the message (document 05): bodies of the CRYPTO group's PUBLIC_KEY action,
//! behind a [`RequestHeader`](super::crypto::RequestHeader).
//!
//! Key fields have 32 bits, of which the low half counts. A generated key is either returned (flag `EPHEMERAL`) or
//! cached; the response then carries its public half, if that fits.

use super::crypto::{CryptoRequest, action};
use crate::codec::layout;
use crate::{ByteOrder, Label, Malformed, Reader};

/// Algorithm numbers of the action (document 05, §1.1).
pub mod algorithm {
    /// RSA operation.
    pub const RSA: u32 = 1;
    /// Elliptic-curve key agreement.
    pub const ECDH: u32 = 3;
    /// ECDSA signature.
    pub const ECDSA_SIGN: u32 = 4;
    /// ECDSA verification.
    pub const ECDSA_VERIFY: u32 = 5;
    /// Ed25519 signature.
    pub const ED25519_SIGN: u32 = 6;
    /// X25519 key agreement.
    pub const X25519: u32 = 7;
    /// RSA key generation.
    pub const RSA_KEY_GENERATION: u32 = 8;
    /// Elliptic-curve key generation.
    pub const EC_KEY_GENERATION: u32 = 9;
    /// Ed25519 verification.
    pub const ED25519_VERIFY: u32 = 14;
    /// Ed25519 key generation.
    pub const ED25519_KEY_GENERATION: u32 = 15;
    /// X25519 key generation.
    pub const X25519_KEY_GENERATION: u32 = 16;
    /// Size of an RSA key.
    pub const RSA_SIZE: u32 = 17;
    /// ML-KEM key generation.
    pub const KEM_KEY_GENERATION: u32 = 18;
    /// ML-KEM encapsulation.
    pub const KEM_ENCAPSULATE: u32 = 19;
    /// ML-KEM decapsulation.
    pub const KEM_DECAPSULATE: u32 = 20;
    /// ML-DSA key generation.
    pub const SIGNATURE_KEY_GENERATION: u32 = 21;
    /// ML-DSA signature.
    pub const SIGNATURE_SIGN: u32 = 22;
    /// ML-DSA verification.
    pub const SIGNATURE_VERIFY: u32 = 23;
    /// Check of a private key; no server offers it.
    pub const SIGNATURE_CHECK: u32 = 24;
    /// Key generation of a stateful signature scheme, in client memory only, as the next three.
    pub const STATEFUL_KEY_GENERATION: u32 = 30;
    /// Stateful signature.
    pub const STATEFUL_SIGN: u32 = 31;
    /// Verification of a stateful signature.
    pub const STATEFUL_VERIFY: u32 = 32;
    /// Whether a stateful key can still sign.
    pub const STATEFUL_REMAINING: u32 = 33;
    /// Public point of an elliptic-curve key. The number is assumed: the library that the original builds on has not
    /// released it yet (document 05, §1.1).
    pub const EC_MAKE_PUBLIC: u32 = 34;
    /// Check of an elliptic-curve public key. The number is assumed, as above.
    pub const EC_CHECK_PUBLIC: u32 = 35;
}

/// Sub-algorithm numbers: which post-quantum scheme (document 05, §1.2).
pub mod sub_algorithm {
    /// ML-KEM, with the KEM algorithms.
    pub const ML_KEM: u32 = 1;
    /// ML-DSA, with the signature algorithms.
    pub const ML_DSA: u32 = 1;
    /// LMS and HSS, with the algorithms of stateful signatures.
    pub const LMS: u32 = 1;
    /// XMSS and XMSS^MT, with the algorithms of stateful signatures.
    pub const XMSS: u32 = 2;
}

/// Option bits.
pub mod option {
    /// Drop the key (in agreements: the public key) from the cache afterwards.
    pub const EVICT: u32 = 1;
    /// In agreements: drop the private key from the cache afterwards.
    pub const EVICT_PRIVATE: u32 = 2;
    /// In ECDSA verification: return the public key.
    pub const EXPORT_PUBLIC: u32 = 2;
}

/// Operations of [`RsaRequest`] (document 05, §3.2).
pub mod rsa_operation {
    /// Raise to the public exponent, to encrypt.
    pub const PUBLIC_ENCRYPT: u32 = 0;
    /// Raise to the public exponent, to verify.
    pub const PUBLIC_DECRYPT: u32 = 1;
    /// Raise to the private exponent, to sign.
    pub const PRIVATE_ENCRYPT: u32 = 2;
    /// Raise to the private exponent, to decrypt.
    pub const PRIVATE_DECRYPT: u32 = 3;
}

/// Curve numbers (document 05, §4.1).
pub mod curve {
    /// NIST P-256.
    pub const P256: i32 = 7;
    /// NIST P-224.
    pub const P224: i32 = 14;
    /// NIST P-384.
    pub const P384: i32 = 15;
    /// NIST P-521.
    pub const P521: i32 = 16;
    /// secp256k1.
    pub const SECP256K1: i32 = 20;
    /// brainpoolP256r1.
    pub const BRAINPOOL_P256R1: i32 = 24;
    /// brainpoolP384r1.
    pub const BRAINPOOL_P384R1: i32 = 26;
}

/// Modes of Ed25519 (document 05, §6; RFC 8032 §5.1).
pub mod ed25519_mode {
    /// Ed25519ctx.
    pub const CONTEXT: u32 = 0;
    /// Ed25519ph: the message is a SHA-512 digest.
    pub const PREHASHED: u32 = 1;
    /// Ed25519.
    pub const PURE: u32 = 255;
}

layout! {
    /// RSA key generation (document 05, §3.1).
    RsaKeyGenerationRequest: 40 {
        /// Flags of the new key.
        flags: u32;
        /// Where to cache it; number 0 lets the server choose.
        key: u32;
        /// Size of the modulus in bits.
        size: u32;
        /// Public exponent.
        exponent: u32;
        /// Label of the new key.
        label: Label;
    }

    /// RSA operation (document 05, §3.2); the input follows.
    RsaRequest: 20 {
        /// Which operation ([`rsa_operation`]).
        operation: u32;
        /// Options ([`option`]).
        options: u32;
        /// The key.
        key: u32;
        /// Length of the input in bytes.
        length: u32;
        /// Room that the client has for the result, in bytes.
        capacity: u32;
    }

    /// The response to an RSA operation; the result follows.
    RsaResponse: 4 {
        /// Length of the result: the size of the modulus in bytes.
        length: u32;
    }

    /// Size of an RSA key (document 05, §3.3).
    RsaSizeRequest: 8 {
        /// Options ([`option`]).
        options: u32;
        /// The key.
        key: u32;
    }

    /// The response to a request for an RSA key's size.
    RsaSizeResponse: 4 {
        /// Size of the modulus in bytes.
        size: u32;
    }

    /// Elliptic-curve key generation (document 05, §4.2).
    EcKeyGenerationRequest: 44 {
        /// Size of a field element in bytes; counts where no curve is named.
        size: u32;
        /// The curve ([`curve`]); 0 or less lets the size choose.
        curve: i32;
        /// Where to cache the key; number 0 lets the server choose.
        key: u32;
        /// Flags of the new key.
        flags: u32;
        /// Not used.
        access: u32;
        /// Label of the new key.
        label: Label;
    }

    /// ECDSA signature (document 05, §4.3); the hash follows.
    EcdsaSignRequest: 12 {
        /// Options ([`option`]).
        options: u32;
        /// The key.
        key: u32;
        /// Length of the hash in bytes.
        length: u32;
    }

    /// The response to a signature request; the signature follows.
    SignatureResponse: 4 {
        /// Length of the signature in bytes.
        length: u32;
    }

    /// ECDSA verification (document 05, §4.4); signature, then hash, follow.
    EcdsaVerifyRequest: 16 {
        /// Options ([`option`]).
        options: u32;
        /// The key.
        key: u32;
        /// Length of the signature in bytes.
        signature_length: u32;
        /// Length of the hash in bytes.
        hash_length: u32;
    }

    /// The response to an ECDSA verification; the public key follows if it was asked for.
    EcdsaVerifyResponse: 8 {
        /// 1 if the signature is valid, else 0.
        valid: u32;
        /// Length of the public key that follows.
        public_length: u32;
    }

    /// Elliptic-curve key agreement (document 05, §4.5).
    EcdhRequest: 44 {
        /// Options ([`option`]).
        options: u32;
        /// Our key.
        private_key: u32;
        /// The peer's key.
        public_key: u32;
        /// Flags of the secret; `EPHEMERAL` asks for it to be returned instead of cached.
        flags: u32;
        /// Where to cache the secret; number 0 lets the server choose.
        key: u32;
        /// Label of the secret.
        label: Label;
    }

    /// The response to a key agreement; a returned secret follows.
    AgreementResponse: 8 {
        /// Length of the secret that follows; 0 for a cached one.
        length: u32;
        /// The cached secret's identifier; 0 for a returned one.
        key: u32;
    }

    /// Public point of an elliptic-curve key (document 05, §4.6).
    EcMakePublicRequest: 8 {
        /// Options ([`option`]).
        options: u32;
        /// The key.
        key: u32;
    }

    /// The response with a public point: `04 ‖ X ‖ Y` follows.
    EcMakePublicResponse: 4 {
        /// Length of the point in bytes.
        length: u32;
    }

    /// Check of an elliptic-curve public key (document 05, §4.7); the client's point follows.
    EcCheckPublicRequest: 16 {
        /// Options ([`option`]).
        options: u32;
        /// The key.
        key: u32;
        /// The client's idea of the curve; not used.
        curve: i32;
        /// Length of the client's point in bytes; 0 for no comparison.
        length: u32;
    }

    /// The response to a check that succeeded.
    EcCheckPublicResponse: 4 {
        /// 1.
        valid: u32;
    }

    /// X25519 key generation (document 05, §5.1).
    X25519KeyGenerationRequest: 36 {
        /// 32.
        size: u32;
        /// Flags of the new key.
        flags: u32;
        /// Where to cache it; number 0 lets the server choose.
        key: u32;
        /// Label of the new key.
        label: Label;
    }

    /// X25519 key agreement (document 05, §5.2).
    X25519Request: 48 {
        /// Options ([`option`]).
        options: u32;
        /// Our key.
        private_key: u32;
        /// The peer's key.
        public_key: u32;
        /// 1 for a big-endian secret, else the order of RFC 7748.
        endianness: u32;
        /// Flags of the secret; `EPHEMERAL` asks for it to be returned instead of cached.
        flags: u32;
        /// Where to cache the secret; number 0 lets the server choose.
        key: u32;
        /// Label of the secret.
        label: Label;
    }

    /// Ed25519 key generation (document 05, §6.1).
    Ed25519KeyGenerationRequest: 36 {
        /// Flags of the new key.
        flags: u32;
        /// Where to cache it; number 0 lets the server choose.
        key: u32;
        /// Not used.
        access: u32;
        /// Label of the new key.
        label: Label;
    }

    /// Ed25519 signature (document 05, §6.2); message, then context, follow.
    Ed25519SignRequest: 20 {
        /// Options ([`option`]).
        options: u32;
        /// The key.
        key: u32;
        /// Length of the message in bytes.
        length: u32;
        /// Which variant ([`ed25519_mode`]).
        mode: u32;
        /// Length of the context in bytes, 0..=255.
        context_length: u32;
    }

    /// Ed25519 verification (document 05, §6.3); signature, message, context follow.
    Ed25519VerifyRequest: 24 {
        /// Options ([`option`]).
        options: u32;
        /// The key.
        key: u32;
        /// Length of the signature in bytes.
        signature_length: u32;
        /// Length of the message in bytes.
        length: u32;
        /// Which variant ([`ed25519_mode`]).
        mode: u32;
        /// Length of the context in bytes, 0..=255.
        context_length: u32;
    }

    /// The response to an Ed25519 verification that succeeded.
    Ed25519VerifyResponse: 4 {
        /// 1.
        valid: u32;
    }

    /// ML-DSA key generation (document 05, §7.1).
    MlDsaKeyGenerationRequest: 44 {
        /// Not used.
        size: u32;
        /// 2, 3 or 5 for ML-DSA-44, -65 or -87.
        level: u32;
        /// Where to cache the key; number 0 lets the server choose.
        key: u32;
        /// Flags of the new key.
        flags: u32;
        /// Not used.
        access: u32;
        /// Label of the new key.
        label: Label;
    }

    /// ML-DSA signature (document 05, §7.2); message or digest, then context, follow.
    MlDsaSignRequest: 24 {
        /// Options ([`option`]).
        options: u32;
        /// Not used: the key decides.
        level: u32;
        /// The key.
        key: u32;
        /// Length of the message or digest in bytes.
        length: u32;
        /// Length of the context in bytes, 0..=255.
        context_length: u32;
        /// Hash of a digest; 0 for a message.
        prehash: u32;
    }

    /// The response to an ML-DSA signature; the signature follows.
    MlDsaSignResponse: 8 {
        /// Length of the signature in bytes.
        length: u32, pad 4;
    }

    /// ML-DSA verification (document 05, §7.3); signature, message or digest, context follow.
    MlDsaVerifyRequest: 32 {
        /// Options ([`option`]).
        options: u32;
        /// Not used: the key decides.
        level: u32;
        /// The key.
        key: u32;
        /// Length of the signature in bytes.
        signature_length: u32;
        /// Length of the message or digest in bytes.
        length: u32;
        /// Length of the context in bytes, 0..=255.
        context_length: u32;
        /// Hash of a digest; 0 for a message.
        prehash: u32, pad 4;
    }

    /// The response to an ML-DSA verification.
    MlDsaVerifyResponse: 8 {
        /// 1 if the signature is valid, else 0.
        valid: u32, pad 4;
    }

    /// The response to every key generation: a returned private key, or a cached key's public half, follows.
    KeyGenerationResponse: 8 {
        /// The cached key's identifier; number 0 for a returned one.
        key: u32;
        /// Length of the key that follows; 0 if it does not fit.
        length: u32;
    }

    /// ML-KEM key generation (document 05, §8).
    MlKemKeyGenerationRequest: 40 {
        /// 0, 1 or 2 for ML-KEM-512, -768 or -1024.
        level: u32;
        /// Where to cache the key; number 0 lets the server choose.
        key: u32;
        /// Flags of the new key.
        flags: u32;
        /// Not used.
        access: u32;
        /// Label of the new key.
        label: Label;
    }

    /// ML-KEM encapsulation (document 05, §8).
    MlKemEncapsulateRequest: 16 {
        /// Options ([`option`]).
        options: u32;
        /// The parameter set; must be the key's.
        level: u32;
        /// The key.
        key: u32, pad 4;
    }

    /// The response to an encapsulation; ciphertext, then shared secret, follow.
    MlKemEncapsulateResponse: 8 {
        /// Length of the ciphertext in bytes.
        ciphertext_length: u32;
        /// Length of the shared secret in bytes.
        secret_length: u32;
    }

    /// ML-KEM decapsulation (document 05, §8); the ciphertext follows.
    MlKemDecapsulateRequest: 16 {
        /// Options ([`option`]).
        options: u32;
        /// The parameter set; must be the key's.
        level: u32;
        /// The key.
        key: u32;
        /// Length of the ciphertext in bytes.
        length: u32;
    }

    /// The response to a decapsulation; the shared secret follows.
    MlKemDecapsulateResponse: 8 {
        /// Length of the shared secret in bytes.
        secret_length: u32, pad 4;
    }
}

macro_rules! public_key_requests {
    ($( $request:ty => $response:ty; )*) => {$(
        impl CryptoRequest for $request {
            const ACTION: u8 = action::PUBLIC_KEY;
            type Response = $response;
        }
    )*};
}

public_key_requests! {
    RsaKeyGenerationRequest => KeyGenerationResponse;
    RsaRequest => RsaResponse;
    RsaSizeRequest => RsaSizeResponse;
    EcKeyGenerationRequest => KeyGenerationResponse;
    EcdsaSignRequest => SignatureResponse;
    EcdsaVerifyRequest => EcdsaVerifyResponse;
    EcdhRequest => AgreementResponse;
    EcMakePublicRequest => EcMakePublicResponse;
    EcCheckPublicRequest => EcCheckPublicResponse;
    X25519KeyGenerationRequest => KeyGenerationResponse;
    X25519Request => AgreementResponse;
    Ed25519KeyGenerationRequest => KeyGenerationResponse;
    Ed25519SignRequest => SignatureResponse;
    Ed25519VerifyRequest => Ed25519VerifyResponse;
    MlDsaKeyGenerationRequest => KeyGenerationResponse;
    MlDsaSignRequest => MlDsaSignResponse;
    MlDsaVerifyRequest => MlDsaVerifyResponse;
    MlKemKeyGenerationRequest => KeyGenerationResponse;
    MlKemEncapsulateRequest => MlKemEncapsulateResponse;
    MlKemDecapsulateRequest => MlKemDecapsulateResponse;
}

/// What follows a signature request.
#[derive(Debug, Clone, Copy)]
pub struct SignTails<'a> {
    /// The message, digest or hash.
    pub message: &'a [u8],
    /// The context, possibly empty.
    pub context: &'a [u8],
}

/// What follows a verification request.
#[derive(Debug, Clone, Copy)]
pub struct VerifyTails<'a> {
    /// The signature.
    pub signature: &'a [u8],
    /// The message, digest or hash.
    pub message: &'a [u8],
    /// The context, possibly empty.
    pub context: &'a [u8],
}

/// Cuts a tail into parts of these lengths; surplus bytes are ignored.
fn cut<const N: usize>(tail: &[u8], lengths: [u32; N]) -> Result<[&[u8]; N], Malformed> {
    let mut reader = Reader::new(tail, ByteOrder::Little);
    let mut parts: [&[u8]; N] = [&[]; N];
    for (part, length) in parts.iter_mut().zip(lengths) {
        *part = reader.take_u32(length)?;
    }
    Ok(parts)
}

macro_rules! single_tails {
    ($( $request:ty, $what:literal; )*) => {$(
        impl $request {
            #[doc = concat!("The ", $what, " that follows; surplus bytes are ignored.")]
            ///
            /// # Errors
            /// [`Malformed`] if fewer bytes follow than the length says.
            pub fn tail<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
                cut(tail, [self.length]).map(|[part]| part)
            }
        }
    )*};
}

single_tails! {
    RsaRequest, "input";
    EcdsaSignRequest, "hash";
    EcCheckPublicRequest, "client's point";
    MlKemDecapsulateRequest, "ciphertext";
}

macro_rules! sign_tails {
    ($( $request:ty; )*) => {$(
        impl $request {
            /// Cuts the tail; surplus bytes are ignored.
            ///
            /// # Errors
            /// [`Malformed`] if fewer bytes follow than the lengths say.
            pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<SignTails<'a>, Malformed> {
                let [message, context] = cut(tail, [self.length, self.context_length])?;
                Ok(SignTails { message, context })
            }
        }
    )*};
}

sign_tails! {
    Ed25519SignRequest;
    MlDsaSignRequest;
}

macro_rules! verify_tails {
    ($( $request:ty: $signature:ident, $message:ident, $context:expr; )*) => {$(
        impl $request {
            /// Cuts the tail; surplus bytes are ignored.
            ///
            /// # Errors
            /// [`Malformed`] if fewer bytes follow than the lengths say.
            pub fn tails<'a>(&self, tail: &'a [u8]) -> Result<VerifyTails<'a>, Malformed> {
                let context_length: fn(&Self) -> u32 = $context;
                let [signature, message, context] =
                    cut(tail, [self.$signature, self.$message, context_length(self)])?;
                Ok(VerifyTails { signature, message, context })
            }
        }
    )*};
}

verify_tails! {
    EcdsaVerifyRequest: signature_length, hash_length, |_| 0;
    Ed25519VerifyRequest: signature_length, length, |request| request.context_length;
    MlDsaVerifyRequest: signature_length, length, |request| request.context_length;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    /// Document 05, §15: ECDSA signature of a 32-byte hash with EVICT.
    #[test]
    fn recorded_ecdsa_sign() {
        let mut recorded = [0; 44];
        recorded[..12].copy_from_slice(&[1, 0, 0, 0, 0xFF, 0, 0, 0, 0x20, 0, 0, 0]);
        recorded[12] = 0x73;
        let (request, tail) = EcdsaSignRequest::decode(&recorded, ByteOrder::Little).unwrap();
        assert_eq!(request, EcdsaSignRequest { options: option::EVICT, key: 0xFF, length: 32 });
        assert_eq!(request.tail(tail).unwrap()[0], 0x73);
        assert!(request.tail(&tail[1..]).is_err());
    }

    /// Document 05, §15: Ed25519 verification.
    #[test]
    fn recorded_ed25519_verify() {
        let mut recorded = [0; 24 + 64 + 3];
        for (to, word) in recorded.chunks_exact_mut(4).zip([1_u32, 0xFF, 64, 3, 255, 0]) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        recorded[24] = 0x70;
        recorded[88..].copy_from_slice(b"abc");
        let (request, tail) = Ed25519VerifyRequest::decode(&recorded, ByteOrder::Little).unwrap();
        assert_eq!(request.mode, ed25519_mode::PURE);
        let tails = request.tails(tail).unwrap();
        assert_eq!((tails.signature[0], tails.message, tails.context), (0x70, &b"abc"[..], &b""[..]));
    }

    #[test]
    fn lengths_near_the_limit_do_not_overflow() {
        let request =
            Ed25519SignRequest { options: 0, key: 0, length: u32::MAX, mode: 0, context_length: u32::MAX };
        assert!(request.tails(&[0; 64]).is_err());
    }
}
