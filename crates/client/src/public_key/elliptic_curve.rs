//! NIST curves: ECDSA (FIPS 186-5), key agreement (NIST SP 800-56A), public points (document 05, §4).

use super::{Generation, KIND, Temporary, agreement_options, evict_option, verdict};
use crate::client::deliver;
use crate::key::named;
use crate::operation::{demand, length_u32, tail};
use crate::{Argument, Client, Error, Key, NewKey, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::message::public_key::{
    AgreementResponse, EcCheckPublicRequest, EcCheckPublicResponse, EcKeyGenerationRequest,
    EcMakePublicRequest, EcMakePublicResponse, EcdhRequest, EcdsaSignRequest, EcdsaVerifyRequest,
    EcdsaVerifyResponse, SignatureResponse, algorithm, curve, option,
};
use casemate_protocol::{Flags, KeyId, Kind, Label};
use casemate_transport::{ClientTransport, Clock};
use core::ops::RangeInclusive;

/// A curve that servers may offer (NIST SP 800-186, SEC 2, RFC 5639).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// NIST P-224.
    P224,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// secp256k1; few servers have it.
    Secp256k1,
    /// brainpoolP256r1; few servers have it.
    BrainpoolP256r1,
    /// brainpoolP384r1; few servers have it.
    BrainpoolP384r1,
}

impl Curve {
    /// Every curve.
    pub const ALL: [Self; 7] = [
        Self::P224,
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Secp256k1,
        Self::BrainpoolP256r1,
        Self::BrainpoolP384r1,
    ];

    /// The curve's usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P224 => "P-224",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Secp256k1 => "secp256k1",
            Self::BrainpoolP256r1 => "brainpoolP256r1",
            Self::BrainpoolP384r1 => "brainpoolP384r1",
        }
    }

    /// Size of a field element, and of a shared secret, in bytes.
    pub const fn field_size(self) -> usize {
        match self {
            Self::P224 => 28,
            Self::P256 | Self::Secp256k1 | Self::BrainpoolP256r1 => 32,
            Self::P384 | Self::BrainpoolP384r1 => 48,
            Self::P521 => 66,
        }
    }

    /// Size of an encoded public key (SubjectPublicKeyInfo with the uncompressed point) in bytes.
    pub const fn public_size(self) -> usize {
        match self {
            Self::P224 => 80,
            Self::P256 => 91,
            Self::P384 => 120,
            Self::P521 => 158,
            Self::Secp256k1 => 88,
            Self::BrainpoolP256r1 => 92,
            Self::BrainpoolP384r1 => 124,
        }
    }

    /// Size of an encoded private key (ECPrivateKey with curve and public point, SEC 1) in bytes.
    pub const fn private_size(self) -> usize {
        match self {
            Self::P224 => 106,
            Self::P256 => 121,
            Self::P384 => 167,
            Self::P521 => 223,
            Self::Secp256k1 => 118,
            Self::BrainpoolP256r1 => 122,
            Self::BrainpoolP384r1 => 171,
        }
    }

    /// The longest encoded signature in bytes.
    pub const fn signature_size(self) -> usize {
        match self {
            Self::P224 => 64,
            Self::P256 | Self::Secp256k1 | Self::BrainpoolP256r1 => 72,
            Self::P384 | Self::BrainpoolP384r1 => 104,
            Self::P521 => 139,
        }
    }

    const fn code(self) -> i32 {
        match self {
            Self::P224 => curve::P224,
            Self::P256 => curve::P256,
            Self::P384 => curve::P384,
            Self::P521 => curve::P521,
            Self::Secp256k1 => curve::SECP256K1,
            Self::BrainpoolP256r1 => curve::BRAINPOOL_P256R1,
            Self::BrainpoolP384r1 => curve::BRAINPOOL_P384R1,
        }
    }
}

impl Generation for Curve {
    type Request = EcKeyGenerationRequest;
    const ALGORITHM: u32 = algorithm::EC_KEY_GENERATION;

    fn request(&self, flags: u32, key: u32, label: Label) -> EcKeyGenerationRequest {
        let size = length_u32(self.field_size());
        EcKeyGenerationRequest { size, curve: self.code(), key, flags, access: 0, label }
    }

    fn private_sizes(&self) -> RangeInclusive<usize> {
        self.private_size()..=self.private_size()
    }

    fn public_sizes(&self) -> RangeInclusive<usize> {
        self.public_size()..=self.public_size()
    }
}

/// Signs a hash with ECDSA; yields the signature, a DER sequence of two integers.
#[derive(Debug, Clone, Copy)]
pub struct EcdsaSign<'a> {
    /// The key, which needs `USAGE_SIGN`.
    pub key: KeyId,
    /// The hash, 28 to 64 bytes; bits beyond the curve's order are ignored.
    pub hash: &'a [u8],
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for EcdsaSign<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let body = EcdsaSignRequest {
            options: evict_option(self.evict),
            key: u32::from(named(self.key)?.0),
            length: length_u32(self.hash.len()),
        };
        request.put_crypto(algorithm::ECDSA_SIGN, 0, &body);
        request.put_bytes(self.hash);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (SignatureResponse { length }, rest) = response.crypto(algorithm::ECDSA_SIGN)?;
        demand(length != 0)?;
        Ok(tail(rest).take_u32(length)?)
    }
}

/// The outcome of an ECDSA verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EcdsaVerified<'r> {
    /// Whether the signature is valid.
    pub valid: bool,
    /// The public key (SubjectPublicKeyInfo), if it was asked for.
    pub public: &'r [u8],
}

/// Verifies an ECDSA signature of a hash.
#[derive(Debug, Clone, Copy)]
pub struct EcdsaVerify<'a> {
    /// The key, which needs `USAGE_VERIFY`; a private one will do.
    pub key: KeyId,
    /// The signature, a DER sequence of two integers.
    pub signature: &'a [u8],
    /// The hash, 28 to 64 bytes.
    pub hash: &'a [u8],
    /// Whether to return the public key.
    pub export_public: bool,
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for EcdsaVerify<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = EcdsaVerified<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let export = if self.export_public { option::EXPORT_PUBLIC } else { 0 };
        let body = EcdsaVerifyRequest {
            options: evict_option(self.evict) | export,
            key: u32::from(named(self.key)?.0),
            signature_length: length_u32(self.signature.len()),
            hash_length: length_u32(self.hash.len()),
        };
        request.put_crypto(algorithm::ECDSA_VERIFY, 0, &body);
        request.put_bytes(self.signature);
        request.put_bytes(self.hash);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<EcdsaVerified<'r>, ResponseFault> {
        let (body, rest) = response.crypto::<EcdsaVerifyResponse>(algorithm::ECDSA_VERIFY)?;
        let public = tail(rest).take_u32(body.public_length)?;
        demand(public.is_empty() != self.export_public)?;
        Ok(EcdsaVerified { valid: verdict(body.valid)?, public })
    }
}

/// Agrees on a secret and returns it: the x coordinate of the common point, as long as a field element.
#[derive(Debug, Clone, Copy)]
pub struct EcdhExport {
    /// Our private key, which needs `USAGE_DERIVE`.
    pub private: KeyId,
    /// The peer's public key, of the same curve.
    pub public: KeyId,
    /// Whether our key leaves the cache afterwards.
    pub evict_private: bool,
    /// Whether the peer's key leaves the cache afterwards.
    pub evict_public: bool,
}

impl Operation for EcdhExport {
    const KIND: Kind = KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let body = EcdhRequest {
            options: agreement_options(self.evict_private, self.evict_public),
            private_key: u32::from(named(self.private)?.0),
            public_key: u32::from(named(self.public)?.0),
            flags: u32::from(Flags::EPHEMERAL.0),
            key: 0,
            label: Label::EMPTY,
        };
        request.mark_secret();
        request.put_crypto(algorithm::ECDH, 0, &body);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (AgreementResponse { length, key }, rest) = response.crypto(algorithm::ECDH)?;
        demand(length != 0 && !KeyId::from_u32(key).is_some())?;
        Ok(tail(rest).take_u32(length)?)
    }
}

/// Agrees on a secret, as [`EcdhExport`], that stays in the server's cache; yields its identifier.
#[derive(Debug, Clone, Copy)]
pub struct EcdhCache {
    /// Our private key, which needs `USAGE_DERIVE`.
    pub private: KeyId,
    /// The peer's public key, of the same curve.
    pub public: KeyId,
    /// What the secret shall be.
    pub new: NewKey,
    /// Whether our key leaves the cache afterwards.
    pub evict_private: bool,
    /// Whether the peer's key leaves the cache afterwards.
    pub evict_public: bool,
}

impl Operation for EcdhCache {
    const KIND: Kind = KIND;
    type Output<'r> = KeyId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let NewKey { id, flags, label } = self.new;
        if flags.contains(Flags::EPHEMERAL) {
            return Err(Argument::Ephemeral);
        }
        let body = EcdhRequest {
            options: agreement_options(self.evict_private, self.evict_public),
            private_key: u32::from(named(self.private)?.0),
            public_key: u32::from(named(self.public)?.0),
            flags: u32::from(flags.0),
            key: u32::from(id.0),
            label,
        };
        request.put_crypto(algorithm::ECDH, 0, &body);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<KeyId, ResponseFault> {
        super::cached_secret(response, algorithm::ECDH)
    }
}

/// Computes the public point of a private key; yields it uncompressed, `04 ‖ X ‖ Y`.
///
/// The message's number is assumed (document 05, §1.1); servers may not know it.
#[derive(Debug, Clone, Copy)]
pub struct EcMakePublic {
    /// The key, of any usage.
    pub key: KeyId,
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for EcMakePublic {
    const KIND: Kind = KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let key = u32::from(named(self.key)?.0);
        let body = EcMakePublicRequest { options: evict_option(self.evict), key };
        request.put_crypto(algorithm::EC_MAKE_PUBLIC, 0, &body);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (EcMakePublicResponse { length }, rest) = response.crypto(algorithm::EC_MAKE_PUBLIC)?;
        let point = tail(rest).take_u32(length)?;
        demand(point.first() == Some(&4) && !point.len().is_multiple_of(2))?;
        Ok(point)
    }
}

/// Has a public key validated; the outcome is success or the server's status.
///
/// The message's number is assumed (document 05, §1.1); servers may not know it.
#[derive(Debug, Clone, Copy)]
pub struct EcCheckPublic<'a> {
    /// The key, of any usage. A private one is checked against its public point too.
    pub key: KeyId,
    /// Its curve; servers go by the key.
    pub curve: Curve,
    /// A point to compare with, uncompressed, or nothing.
    pub point: &'a [u8],
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for EcCheckPublic<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let body = EcCheckPublicRequest {
            options: evict_option(self.evict),
            key: u32::from(named(self.key)?.0),
            curve: self.curve.code(),
            length: length_u32(self.point.len()),
        };
        request.put_crypto(algorithm::EC_CHECK_PUBLIC, 0, &body);
        request.put_bytes(self.point);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        let (EcCheckPublicResponse { valid }, _) = response.crypto(algorithm::EC_CHECK_PUBLIC)?;
        demand(valid == 1)
    }
}

fn signer(key: Key<'_>) -> Temporary<'_> {
    Temporary { key, label: "TempEccSign", flags: Flags::USAGE_SIGN, public: None }
}

fn verifier(key: Key<'_>) -> Temporary<'_> {
    let public = Some(KeyAlgorithm::ECC);
    Temporary { key, label: "TempEccVerify", flags: Flags::USAGE_VERIFY, public }
}

fn parties<'k>(private: Key<'k>, public: Key<'k>) -> [Temporary<'k>; 2] {
    let flags = Flags::USAGE_DERIVE;
    [
        Temporary { key: private, label: "TempEccDh-prv", flags, public: None },
        Temporary { key: public, label: "TempEccDh-pub", flags, public: Some(KeyAlgorithm::ECC) },
    ]
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Signs `hash` (28 to 64 bytes) with ECDSA, writes the DER signature to the front of `signature` and returns
    /// its length in bytes, at most [`Curve::signature_size`].
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Error::TooLong`], [`Error::OutputTooSmall`].
    /// - `NOT_FOUND`, `USAGE`, `ASN_PARSE` (no elliptic-curve key), `BAD_LENGTH` (the hash), `ECC_ARGUMENT` (no
    ///   private key, or a hash of zeros), `NO_SPACE` (for an inline key) from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn ecdsa_sign(
        &mut self,
        key: Key<'_>,
        hash: &[u8],
        signature: &mut [u8],
    ) -> Result<usize, Error<T::Error>> {
        deliver(self.with_key(&signer(key), |key, evict| EcdsaSign { key, hash, evict })?, signature)
    }

    /// Whether `signature` (DER) is a valid ECDSA signature of `hash`.
    ///
    /// # Errors
    /// As [`ecdsa_sign`](Self::ecdsa_sign); `ASN_ECC_KEY` (a malformed signature) or `NUMBER_ZERO` (a number in it
    /// is 0) from the server, which mean an invalid signature too.
    pub fn ecdsa_verify(
        &mut self,
        key: Key<'_>,
        signature: &[u8],
        hash: &[u8],
    ) -> Result<bool, Error<T::Error>> {
        let operation = |key, evict| EcdsaVerify { key, signature, hash, export_public: false, evict };
        Ok(self.with_key(&verifier(key), operation)?.valid)
    }

    /// As [`ecdsa_verify`](Self::ecdsa_verify), and writes the key's public half (SubjectPublicKeyInfo) to the front
    /// of `public`. Returns the verdict and the public key's length in bytes.
    ///
    /// # Errors
    /// As [`ecdsa_verify`](Self::ecdsa_verify), and [`Error::OutputTooSmall`].
    pub fn ecdsa_verify_with_public(
        &mut self,
        key: Key<'_>,
        signature: &[u8],
        hash: &[u8],
        public: &mut [u8],
    ) -> Result<(bool, usize), Error<T::Error>> {
        let operation = |key, evict| EcdsaVerify { key, signature, hash, export_public: true, evict };
        let verified = self.with_key(&verifier(key), operation)?;
        Ok((verified.valid, deliver(verified.public, public)?))
    }

    /// Agrees on a secret with the owner of `public`, writes it to the front of `secret` and returns its length in
    /// bytes ([`Curve::field_size`]). Derive keys from it; it is not one. The packet buffer is wiped afterwards.
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Error::TooLong`], [`Error::OutputTooSmall`].
    /// - `NOT_FOUND`, `USAGE` (`private` has no `USAGE_DERIVE`), `ASN_PARSE`, `ECC_ARGUMENT` (different curves, or
    ///   no private key), `NO_SPACE` from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn ecdh_export(
        &mut self,
        private: Key<'_>,
        public: Key<'_>,
        secret: &mut [u8],
    ) -> Result<usize, Error<T::Error>> {
        let [private, public] = parties(private, public);
        let outcome = self
            .with_keys(&private, &public, |private, evict_private, public, evict_public| EcdhExport {
                private,
                public,
                evict_private,
                evict_public,
            })
            .and_then(|found| deliver(found, secret));
        self.wipe();
        outcome
    }

    /// Agrees on a secret with the owner of `public` that stays in the server's cache, and returns its identifier.
    ///
    /// # Errors
    /// As [`ecdh_export`](Self::ecdh_export); [`Argument::Ephemeral`]; `ACCESS` from the server if the number belongs
    /// to a key that must not be replaced.
    pub fn ecdh_cache(
        &mut self,
        private: Key<'_>,
        public: Key<'_>,
        new: &NewKey,
    ) -> Result<KeyId, Error<T::Error>> {
        let [private, public] = parties(private, public);
        self.with_keys(&private, &public, |private, evict_private, public, evict_public| EcdhCache {
            private,
            public,
            new: *new,
            evict_private,
            evict_public,
        })
    }

    /// Computes the public point of a private key, writes it uncompressed (`04 ‖ X ‖ Y`) to the front of `point` and
    /// returns its length in bytes. See [`EcMakePublic`].
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Error::TooLong`], [`Error::OutputTooSmall`].
    /// - `NOT_FOUND`, `ASN_PARSE`, `ECC_PRIVATE_KEY` (only a public key), `NO_SPACE` from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn ec_make_public(&mut self, key: Key<'_>, point: &mut [u8]) -> Result<usize, Error<T::Error>> {
        let temporary = Temporary { key, label: "TempEccMakePub", flags: Flags::NONE, public: None };
        deliver(self.with_key(&temporary, |key, evict| EcMakePublic { key, evict })?, point)
    }

    /// Succeeds if `key` is valid on `curve`, matches its private half if it has one, and, unless `point` is empty,
    /// has this uncompressed point. See [`EcCheckPublic`].
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Error::TooLong`].
    /// - `POINT` (not on the curve), `ECC_PRIVATE_KEY` (another point), `NOT_FOUND`, `ASN_PARSE`, `NO_SPACE` from
    ///   the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn ec_check_public(
        &mut self,
        key: Key<'_>,
        curve: Curve,
        point: &[u8],
    ) -> Result<(), Error<T::Error>> {
        let temporary = Temporary { key, label: "TempEccCheck", flags: Flags::NONE, public: None };
        self.with_key(&temporary, |key, evict| EcCheckPublic { key, curve, point, evict })
    }
}
