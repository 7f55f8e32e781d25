//! X25519 (RFC 7748) and Ed25519 (RFC 8032) (document 05, §5 and §6).
//!
//! Encoded X25519 keys hold their octets in reverse of the order of RFC 7748 and RFC 8410 on this wire; a key that
//! was not reversed is another key (document 05, §5).

use super::{Generation, KIND, Temporary, agreement_options, evict_option, signature_verdict};
use crate::client::overwrite;
use crate::key::named;
use crate::operation::{demand, length_u32, tail};
use crate::{Argument, Client, Error, Key, NewKey, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::message::public_key::{
    AgreementResponse, Ed25519KeyGenerationRequest, Ed25519SignRequest, Ed25519VerifyRequest,
    Ed25519VerifyResponse, SignatureResponse, X25519KeyGenerationRequest, X25519Request, algorithm,
    ed25519_mode,
};
use casemate_protocol::{Flags, KeyId, Kind, Label};
use casemate_transport::{ClientTransport, Clock};
use core::ops::RangeInclusive;

/// Size of an X25519 secret in bytes.
const SECRET: usize = 32;
/// Size of an Ed25519 signature in bytes.
const SIGNATURE: usize = 64;
/// Size of the digest that Ed25519ph signs, SHA-512's, in bytes.
const PREHASH: usize = 64;
/// The longest context in bytes.
pub(super) const CONTEXT: usize = 255;

/// X25519 key pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct X25519;

/// Ed25519 key pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519;

impl X25519 {
    /// Size of an encoded public key (SubjectPublicKeyInfo) in bytes.
    pub const PUBLIC_SIZE: usize = 44;
    /// Size of an encoded private key (OneAsymmetricKey with the public key) in bytes.
    pub const PRIVATE_SIZE: usize = 82;
}

impl Ed25519 {
    /// Size of an encoded public key (SubjectPublicKeyInfo) in bytes.
    pub const PUBLIC_SIZE: usize = 44;
    /// Size of an encoded private key (OneAsymmetricKey with the public key) in bytes.
    pub const PRIVATE_SIZE: usize = 82;
}

impl Generation for X25519 {
    type Request = X25519KeyGenerationRequest;
    const ALGORITHM: u32 = algorithm::X25519_KEY_GENERATION;

    fn request(&self, flags: u32, key: u32, label: Label) -> X25519KeyGenerationRequest {
        X25519KeyGenerationRequest { size: length_u32(SECRET), flags, key, label }
    }

    fn private_sizes(&self) -> RangeInclusive<usize> {
        Self::PRIVATE_SIZE..=Self::PRIVATE_SIZE
    }

    fn public_sizes(&self) -> RangeInclusive<usize> {
        Self::PUBLIC_SIZE..=Self::PUBLIC_SIZE
    }
}

impl Generation for Ed25519 {
    type Request = Ed25519KeyGenerationRequest;
    const ALGORITHM: u32 = algorithm::ED25519_KEY_GENERATION;

    fn request(&self, flags: u32, key: u32, label: Label) -> Ed25519KeyGenerationRequest {
        Ed25519KeyGenerationRequest { flags, key, access: 0xFFFF, label }
    }

    fn private_sizes(&self) -> RangeInclusive<usize> {
        Self::PRIVATE_SIZE..=Self::PRIVATE_SIZE
    }

    fn public_sizes(&self) -> RangeInclusive<usize> {
        Self::PUBLIC_SIZE..=Self::PUBLIC_SIZE
    }
}

/// The order of a secret's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Endianness {
    /// The order of RFC 7748.
    #[default]
    Little,
    /// The reverse.
    Big,
}

impl Endianness {
    const fn code(self) -> u32 {
        match self {
            Self::Little => 0,
            Self::Big => 1,
        }
    }
}

/// Agrees on a secret of 32 bytes with X25519 and returns it.
#[derive(Debug, Clone, Copy)]
pub struct X25519Export {
    /// Our private key, which needs `USAGE_DERIVE`.
    pub private: KeyId,
    /// The peer's public key.
    pub public: KeyId,
    /// The order of the secret's bytes.
    pub endianness: Endianness,
    /// Whether our key leaves the cache afterwards.
    pub evict_private: bool,
    /// Whether the peer's key leaves the cache afterwards.
    pub evict_public: bool,
}

impl Operation for X25519Export {
    const KIND: Kind = KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let body = X25519Request {
            options: agreement_options(self.evict_private, self.evict_public),
            private_key: u32::from(named(self.private)?.0),
            public_key: u32::from(named(self.public)?.0),
            endianness: self.endianness.code(),
            flags: u32::from(Flags::EPHEMERAL.0),
            key: 0,
            label: Label::EMPTY,
        };
        request.mark_secret();
        request.put_crypto(algorithm::X25519, 0, &body);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (AgreementResponse { length, key }, rest) = response.crypto(algorithm::X25519)?;
        demand(length == length_u32(SECRET) && !KeyId::from_u32(key).is_some())?;
        Ok(tail(rest).take_u32(length)?)
    }
}

/// Agrees on a secret of 32 bytes with X25519 that stays in the server's cache; yields its identifier.
#[derive(Debug, Clone, Copy)]
pub struct X25519Cache {
    /// Our private key, which needs `USAGE_DERIVE`.
    pub private: KeyId,
    /// The peer's public key.
    pub public: KeyId,
    /// The order of the secret's bytes.
    pub endianness: Endianness,
    /// What the secret shall be.
    pub new: NewKey,
    /// Whether our key leaves the cache afterwards.
    pub evict_private: bool,
    /// Whether the peer's key leaves the cache afterwards.
    pub evict_public: bool,
}

impl Operation for X25519Cache {
    const KIND: Kind = KIND;
    type Output<'r> = KeyId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let NewKey { id, flags, label } = self.new;
        if flags.contains(Flags::EPHEMERAL) {
            return Err(Argument::Ephemeral);
        }
        let body = X25519Request {
            options: agreement_options(self.evict_private, self.evict_public),
            private_key: u32::from(named(self.private)?.0),
            public_key: u32::from(named(self.public)?.0),
            endianness: self.endianness.code(),
            flags: u32::from(flags.0),
            key: u32::from(id.0),
            label,
        };
        request.put_crypto(algorithm::X25519, 0, &body);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<KeyId, ResponseFault> {
        super::cached_secret(response, algorithm::X25519)
    }
}

/// The variants of Ed25519 (RFC 8032, §5.1). A signature of one is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ed25519Mode<'a> {
    /// Ed25519.
    Pure,
    /// Ed25519ctx, with a context of at most 255 bytes.
    Context(&'a [u8]),
    /// Ed25519ph, with a context of at most 255 bytes, possibly none. The message is the SHA-512 digest.
    Prehashed(&'a [u8]),
}

impl<'a> Ed25519Mode<'a> {
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Pure => ed25519_mode::PURE,
            Self::Context(_) => ed25519_mode::CONTEXT,
            Self::Prehashed(_) => ed25519_mode::PREHASHED,
        }
    }

    /// The context, if it may go with `message`.
    const fn context(self, message: &[u8]) -> Result<&'a [u8], Argument> {
        let context = match self {
            Self::Pure => return Ok(&[]),
            Self::Prehashed(_) if message.len() != PREHASH => return Err(Argument::DigestLength),
            Self::Context(context) | Self::Prehashed(context) => context,
        };
        if context.len() > CONTEXT { Err(Argument::ContextLength) } else { Ok(context) }
    }
}

/// Signs a message with Ed25519; yields the signature.
#[derive(Debug, Clone, Copy)]
pub struct Ed25519Sign<'a> {
    /// The key, which needs `USAGE_SIGN`.
    pub key: KeyId,
    /// Which variant.
    pub mode: Ed25519Mode<'a>,
    /// The message, or its digest. Together with the context it has at most the packet data length less 32.
    pub message: &'a [u8],
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for Ed25519Sign<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = [u8; SIGNATURE];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let context = self.mode.context(self.message)?;
        let body = Ed25519SignRequest {
            options: evict_option(self.evict),
            key: u32::from(named(self.key)?.0),
            length: length_u32(self.message.len()),
            mode: self.mode.code(),
            context_length: length_u32(context.len()),
        };
        request.put_crypto(algorithm::ED25519_SIGN, 0, &body);
        request.put_bytes(self.message);
        request.put_bytes(context);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<[u8; SIGNATURE], ResponseFault> {
        let (SignatureResponse { length }, rest) = response.crypto(algorithm::ED25519_SIGN)?;
        demand(length == length_u32(SIGNATURE))?;
        let mut signature = [0; SIGNATURE];
        overwrite(&mut signature, tail(rest).take_u32(length)?);
        Ok(signature)
    }
}

/// Verifies an Ed25519 signature; yields whether it is valid.
#[derive(Debug, Clone, Copy)]
pub struct Ed25519Verify<'a> {
    /// The key, which needs `USAGE_VERIFY`.
    pub key: KeyId,
    /// Which variant.
    pub mode: Ed25519Mode<'a>,
    /// The signature.
    pub signature: &'a [u8; SIGNATURE],
    /// The message, or its digest. Together with the context it has at most the packet data length less 100.
    pub message: &'a [u8],
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for Ed25519Verify<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = bool;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let context = self.mode.context(self.message)?;
        let body = Ed25519VerifyRequest {
            options: evict_option(self.evict),
            key: u32::from(named(self.key)?.0),
            signature_length: length_u32(SIGNATURE),
            length: length_u32(self.message.len()),
            mode: self.mode.code(),
            context_length: length_u32(context.len()),
        };
        request.put_crypto(algorithm::ED25519_VERIFY, 0, &body);
        for part in [self.signature, self.message, context] {
            request.put_bytes(part);
        }
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<bool, ResponseFault> {
        let body = response.crypto::<Ed25519VerifyResponse>(algorithm::ED25519_VERIFY);
        signature_verdict(body.map(|(body, _)| body.valid))
    }
}

fn parties<'k>(private: Key<'k>, public: Key<'k>) -> [Temporary<'k>; 2] {
    let flags = Flags::USAGE_DERIVE;
    [
        Temporary { key: private, label: "TempX25519-prv", flags, public: None },
        Temporary { key: public, label: "TempX25519-pub", flags, public: Some(KeyAlgorithm::X25519) },
    ]
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Agrees on a secret with the owner of `public` by X25519 and writes it to `secret`. Derive keys from it; it is
    /// not one. The packet buffer is wiped afterwards.
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Error::TooLong`].
    /// - `NOT_FOUND`, `USAGE` (`private` has no `USAGE_DERIVE`), `ASN_PARSE`, `ECC_ARGUMENT` (no private, or no
    ///   public half, or a public key of 2^255 or more), `ECC_OUT_OF_RANGE` (a point of small order), `NO_SPACE`
    ///   from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn x25519_export(
        &mut self,
        private: Key<'_>,
        public: Key<'_>,
        endianness: Endianness,
        secret: &mut [u8; SECRET],
    ) -> Result<(), Error<T::Error>> {
        let [private, public] = parties(private, public);
        let outcome = self
            .with_keys(&private, &public, |private, evict_private, public, evict_public| X25519Export {
                private,
                public,
                endianness,
                evict_private,
                evict_public,
            })
            .map(|found| overwrite(secret, found));
        self.wipe();
        outcome
    }

    /// Agrees on a secret with the owner of `public` by X25519 that stays in the server's cache, and returns its
    /// identifier.
    ///
    /// # Errors
    /// As [`x25519_export`](Self::x25519_export); [`Argument::Ephemeral`]; `ACCESS` from the server if the number
    /// belongs to a key that must not be replaced.
    pub fn x25519_cache(
        &mut self,
        private: Key<'_>,
        public: Key<'_>,
        endianness: Endianness,
        new: &NewKey,
    ) -> Result<KeyId, Error<T::Error>> {
        let [private, public] = parties(private, public);
        self.with_keys(&private, &public, |private, evict_private, public, evict_public| X25519Cache {
            private,
            public,
            endianness,
            new: *new,
            evict_private,
            evict_public,
        })
    }

    /// Signs `message` with Ed25519 and returns the signature. Message and context have at most
    /// [`data_length`](Self::data_length) less 32 bytes together; longer messages can be signed by their digest
    /// ([`Ed25519Mode::Prehashed`]).
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Argument::ContextLength`], [`Argument::DigestLength`],
    ///   [`Error::TooLong`].
    /// - `NOT_FOUND`, `USAGE`, `ASN_PARSE` (no Ed25519 key), `CRYPTO_ARGUMENT` (a half of the key is missing),
    ///   `NO_SPACE` from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn ed25519_sign(
        &mut self,
        key: Key<'_>,
        mode: Ed25519Mode<'_>,
        message: &[u8],
    ) -> Result<[u8; SIGNATURE], Error<T::Error>> {
        let temporary = Temporary { key, label: "TempEd25519Sign", flags: Flags::USAGE_SIGN, public: None };
        self.with_key(&temporary, |key, evict| Ed25519Sign { key, mode, message, evict })
    }

    /// Whether `signature` is a valid Ed25519 signature of `message`, which has at most
    /// [`data_length`](Self::data_length) less 100 bytes together with the context.
    ///
    /// # Errors
    /// As [`ed25519_sign`](Self::ed25519_sign). `CRYPTO_ARGUMENT` may also mean that the second half of the signature
    /// is not below the group's order, and the signature therefore invalid.
    pub fn ed25519_verify(
        &mut self,
        key: Key<'_>,
        mode: Ed25519Mode<'_>,
        signature: &[u8; SIGNATURE],
        message: &[u8],
    ) -> Result<bool, Error<T::Error>> {
        let public = Some(KeyAlgorithm::ED25519);
        let temporary = Temporary { key, label: "TempEd25519Verify", flags: Flags::USAGE_VERIFY, public };
        self.with_key(&temporary, |key, evict| Ed25519Verify { key, mode, signature, message, evict })
    }
}
