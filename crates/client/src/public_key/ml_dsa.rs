//! ML-DSA (FIPS 204) (document 05, §7).

use super::{Generation, KIND, Temporary, evict_option, signature_verdict};
use crate::client::deliver;
use crate::key::named;
use crate::operation::{demand, length_u32, tail};
use crate::public_key::curve25519::CONTEXT;
use crate::{Argument, Client, Error, HashAlgorithm, Key, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::message::public_key::{
    MlDsaKeyGenerationRequest, MlDsaSignRequest, MlDsaSignResponse, MlDsaVerifyRequest, MlDsaVerifyResponse,
    algorithm, sub_algorithm,
};
use casemate_protocol::{Flags, KeyId, Kind, Label};
use casemate_transport::{ClientTransport, Clock};
use core::ops::RangeInclusive;

/// Payload bytes besides the signature in a response.
const RESPONSE_OVERHEAD: usize = 20;

/// The parameter sets of ML-DSA (FIPS 204, §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MlDsa {
    /// ML-DSA-44.
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

impl MlDsa {
    /// Every parameter set.
    pub const ALL: [Self; 3] = [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87];

    /// The parameter set's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// Size of a signature in bytes.
    pub const fn signature_size(self) -> usize {
        match self {
            Self::MlDsa44 => 2420,
            Self::MlDsa65 => 3309,
            Self::MlDsa87 => 4627,
        }
    }

    /// Size of an encoded public key (SubjectPublicKeyInfo) in bytes.
    pub const fn public_size(self) -> usize {
        match self {
            Self::MlDsa44 => 1334,
            Self::MlDsa65 => 1974,
            Self::MlDsa87 => 2614,
        }
    }

    /// Size of an encoded private key (OneAsymmetricKey with the public key) in bytes.
    pub const fn private_size(self) -> usize {
        match self {
            Self::MlDsa44 => 3904,
            Self::MlDsa65 => 6016,
            Self::MlDsa87 => 7520,
        }
    }

    pub(crate) const fn level(self) -> u32 {
        match self {
            Self::MlDsa44 => 2,
            Self::MlDsa65 => 3,
            Self::MlDsa87 => 5,
        }
    }
}

impl Generation for MlDsa {
    type Request = MlDsaKeyGenerationRequest;
    const ALGORITHM: u32 = algorithm::SIGNATURE_KEY_GENERATION;
    const SUB_ALGORITHM: u32 = sub_algorithm::ML_DSA;

    fn request(&self, flags: u32, key: u32, label: Label) -> MlDsaKeyGenerationRequest {
        MlDsaKeyGenerationRequest { size: 0, level: self.level(), key, flags, access: 0, label }
    }

    fn private_sizes(&self) -> RangeInclusive<usize> {
        self.private_size()..=self.private_size()
    }

    fn public_sizes(&self) -> RangeInclusive<usize> {
        self.public_size()..=self.public_size()
    }
}

/// A hash in front of HashML-DSA (FIPS 204, §5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prehash {
    /// A hash that servers offer.
    Hash(HashAlgorithm),
    /// SHAKE128 with 32 bytes of output.
    Shake128,
    /// SHAKE256 with 64 bytes of output.
    Shake256,
}

impl Prehash {
    /// Size of the digest in bytes.
    pub const fn digest_size(self) -> usize {
        match self {
            Self::Hash(algorithm) => algorithm.digest_size(),
            Self::Shake128 => 32,
            Self::Shake256 => 64,
        }
    }

    /// The wire's number (document 05, §7.2).
    const fn code(self) -> u32 {
        match self {
            Self::Hash(algorithm) => algorithm.variant(),
            Self::Shake128 => 18,
            Self::Shake256 => 19,
        }
    }
}

/// What ML-DSA signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MlDsaMessage<'a> {
    /// The message itself (ML-DSA).
    Pure(&'a [u8]),
    /// The message's digest (HashML-DSA).
    Prehashed(Prehash, &'a [u8]),
}

impl<'a> MlDsaMessage<'a> {
    /// The bytes that travel, and the number of their hash.
    const fn fields(self) -> Result<(&'a [u8], u32), Argument> {
        match self {
            Self::Pure(message) => Ok((message, 0)),
            Self::Prehashed(hash, digest) if digest.len() == hash.digest_size() => Ok((digest, hash.code())),
            Self::Prehashed(..) => Err(Argument::DigestLength),
        }
    }
}

const fn context_length(context: &[u8]) -> Result<(), Argument> {
    if context.len() > CONTEXT { Err(Argument::ContextLength) } else { Ok(()) }
}

/// Signs with ML-DSA; yields the signature. Two signatures of one message differ.
#[derive(Debug, Clone, Copy)]
pub struct MlDsaSign<'a> {
    /// The key, which needs `USAGE_SIGN`.
    pub key: KeyId,
    /// The key's parameter set.
    pub parameters: MlDsa,
    /// What is signed. Together with the context it has at most the packet data length less 36.
    pub message: MlDsaMessage<'a>,
    /// A context of at most 255 bytes, possibly none.
    pub context: &'a [u8],
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for MlDsaSign<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        context_length(self.context)?;
        let (message, prehash) = self.message.fields()?;
        let body = MlDsaSignRequest {
            options: evict_option(self.evict),
            level: self.parameters.level(),
            key: u32::from(named(self.key)?.0),
            length: length_u32(message.len()),
            context_length: length_u32(self.context.len()),
            prehash,
        };
        request.put_crypto(algorithm::SIGNATURE_SIGN, sub_algorithm::ML_DSA, &body);
        request.put_bytes(message);
        request.put_bytes(self.context);
        request.expect_response(RESPONSE_OVERHEAD.saturating_add(self.parameters.signature_size()));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (MlDsaSignResponse { length }, rest) = response.crypto(algorithm::SIGNATURE_SIGN)?;
        let signature = tail(rest).take_u32(length)?;
        demand(signature.len() == self.parameters.signature_size())?;
        Ok(signature)
    }
}

/// Verifies an ML-DSA signature; yields whether it is valid.
#[derive(Debug, Clone, Copy)]
pub struct MlDsaVerify<'a> {
    /// The key, which needs `USAGE_VERIFY`.
    pub key: KeyId,
    /// The key's parameter set.
    pub parameters: MlDsa,
    /// The signature.
    pub signature: &'a [u8],
    /// What was signed. Together with signature and context it has at most the packet data length less 44.
    pub message: MlDsaMessage<'a>,
    /// The context, possibly none.
    pub context: &'a [u8],
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for MlDsaVerify<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = bool;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        context_length(self.context)?;
        if self.signature.len() != self.parameters.signature_size() {
            return Err(Argument::SignatureLength);
        }
        let (message, prehash) = self.message.fields()?;
        let body = MlDsaVerifyRequest {
            options: evict_option(self.evict),
            level: self.parameters.level(),
            key: u32::from(named(self.key)?.0),
            signature_length: length_u32(self.signature.len()),
            length: length_u32(message.len()),
            context_length: length_u32(self.context.len()),
            prehash,
        };
        request.put_crypto(algorithm::SIGNATURE_VERIFY, sub_algorithm::ML_DSA, &body);
        for part in [self.signature, message, self.context] {
            request.put_bytes(part);
        }
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<bool, ResponseFault> {
        // A malformed signature has a status of its own, which says the same.
        let body = response.crypto::<MlDsaVerifyResponse>(algorithm::SIGNATURE_VERIFY);
        signature_verdict(body.map(|(body, _)| body.valid))
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Signs `message` with ML-DSA, writes the signature to the front of `signature` and returns its length in
    /// bytes. `parameters` is the key's parameter set. The packet data length must be 20 bytes more than the
    /// signature.
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Argument::ContextLength`], [`Argument::DigestLength`],
    ///   [`Error::TooLong`], [`Error::OutputTooSmall`].
    /// - `NOT_FOUND`, `USAGE`, `ASN_PARSE` (no ML-DSA key), `CRYPTO_ARGUMENT` (no private key), `NO_SPACE` from the
    ///   server.
    /// - The errors of every request ([`Client::run`]).
    pub fn ml_dsa_sign(
        &mut self,
        key: Key<'_>,
        parameters: MlDsa,
        message: MlDsaMessage<'_>,
        context: &[u8],
        signature: &mut [u8],
    ) -> Result<usize, Error<T::Error>> {
        let temporary = Temporary { key, label: "TempMlDsaSign", flags: Flags::USAGE_SIGN, public: None };
        let operation = |key, evict| MlDsaSign { key, parameters, message, context, evict };
        deliver(self.with_key(&temporary, operation)?, signature)
    }

    /// Whether `signature` is a valid ML-DSA signature of `message`. `parameters` is the key's parameter set.
    ///
    /// # Errors
    /// As [`ml_dsa_sign`](Self::ml_dsa_sign), and [`Argument::SignatureLength`].
    pub fn ml_dsa_verify(
        &mut self,
        key: Key<'_>,
        parameters: MlDsa,
        signature: &[u8],
        message: MlDsaMessage<'_>,
        context: &[u8],
    ) -> Result<bool, Error<T::Error>> {
        let public = Some(KeyAlgorithm::ML_DSA);
        let temporary = Temporary { key, label: "TempMlDsaVerify", flags: Flags::USAGE_VERIFY, public };
        self.with_key(&temporary, |key, evict| MlDsaVerify {
            key,
            parameters,
            signature,
            message,
            context,
            evict,
        })
    }
}
