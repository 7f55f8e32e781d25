//! ML-KEM (FIPS 203) (document 05, §8).

use super::{Generation, KIND, Temporary, evict_option};
use crate::client::overwrite;
use crate::key::named;
use crate::operation::{demand, length_u32, tail};
use crate::{Argument, Client, Error, Key, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::message::public_key::{
    MlKemDecapsulateRequest, MlKemDecapsulateResponse, MlKemEncapsulateRequest, MlKemEncapsulateResponse,
    MlKemKeyGenerationRequest, algorithm, sub_algorithm,
};
use casemate_protocol::{Flags, KeyId, Kind, Label};
use casemate_transport::{ClientTransport, Clock};
use core::ops::RangeInclusive;

/// Size of a shared secret in bytes.
const SECRET: usize = 32;
/// Payload bytes besides ciphertext and secret in a response.
const RESPONSE_OVERHEAD: usize = 20;

/// The parameter sets of ML-KEM (FIPS 203, §8). Keys are encoded as FIPS 203 says, without anything around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MlKem {
    /// ML-KEM-512.
    MlKem512,
    /// ML-KEM-768.
    MlKem768,
    /// ML-KEM-1024.
    MlKem1024,
}

impl MlKem {
    /// Every parameter set.
    pub const ALL: [Self; 3] = [Self::MlKem512, Self::MlKem768, Self::MlKem1024];

    /// The parameter set's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlKem512 => "ML-KEM-512",
            Self::MlKem768 => "ML-KEM-768",
            Self::MlKem1024 => "ML-KEM-1024",
        }
    }

    /// Size of an encapsulation key, the public one, in bytes.
    pub const fn public_size(self) -> usize {
        match self {
            Self::MlKem512 => 800,
            Self::MlKem768 => 1184,
            Self::MlKem1024 => 1568,
        }
    }

    /// Size of a decapsulation key, the private one, in bytes.
    pub const fn private_size(self) -> usize {
        match self {
            Self::MlKem512 => 1632,
            Self::MlKem768 => 2400,
            Self::MlKem1024 => 3168,
        }
    }

    /// Size of a ciphertext in bytes.
    pub const fn ciphertext_size(self) -> usize {
        match self {
            Self::MlKem512 => 768,
            Self::MlKem768 => 1088,
            Self::MlKem1024 => 1568,
        }
    }

    pub(crate) const fn level(self) -> u32 {
        match self {
            Self::MlKem512 => 0,
            Self::MlKem768 => 1,
            Self::MlKem1024 => 2,
        }
    }
}

impl Generation for MlKem {
    type Request = MlKemKeyGenerationRequest;
    const ALGORITHM: u32 = algorithm::KEM_KEY_GENERATION;
    const SUB_ALGORITHM: u32 = sub_algorithm::ML_KEM;

    fn request(&self, flags: u32, key: u32, label: Label) -> MlKemKeyGenerationRequest {
        MlKemKeyGenerationRequest { level: self.level(), key, flags, access: 0xFFFF, label }
    }

    fn private_sizes(&self) -> RangeInclusive<usize> {
        self.private_size()..=self.private_size()
    }

    fn public_sizes(&self) -> RangeInclusive<usize> {
        self.public_size()..=self.public_size()
    }
}

/// A shared secret and the ciphertext that carries it to the key's owner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Encapsulated<'r> {
    /// The ciphertext.
    pub ciphertext: &'r [u8],
    /// The shared secret, 32 bytes.
    pub secret: &'r [u8],
}

/// Makes a shared secret for the owner of a key.
#[derive(Debug, Clone, Copy)]
pub struct MlKemEncapsulate {
    /// The key, which needs `USAGE_DERIVE`; a public one will do.
    pub key: KeyId,
    /// The key's parameter set.
    pub parameters: MlKem,
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for MlKemEncapsulate {
    const KIND: Kind = KIND;
    type Output<'r> = Encapsulated<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let body = MlKemEncapsulateRequest {
            options: evict_option(self.evict),
            level: self.parameters.level(),
            key: u32::from(named(self.key)?.0),
        };
        request.mark_secret();
        request.put_crypto(algorithm::KEM_ENCAPSULATE, sub_algorithm::ML_KEM, &body);
        let outcome = self.parameters.ciphertext_size().saturating_add(SECRET);
        request.expect_response(RESPONSE_OVERHEAD.saturating_add(outcome));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Encapsulated<'r>, ResponseFault> {
        let (body, rest) = response.crypto::<MlKemEncapsulateResponse>(algorithm::KEM_ENCAPSULATE)?;
        let mut rest = tail(rest);
        let ciphertext = rest.take_u32(body.ciphertext_length)?;
        let secret = rest.take_u32(body.secret_length)?;
        demand(ciphertext.len() == self.parameters.ciphertext_size() && secret.len() == SECRET)?;
        Ok(Encapsulated { ciphertext, secret })
    }
}

/// Opens a ciphertext; yields the shared secret, 32 bytes. A damaged ciphertext gives another secret, not an error.
#[derive(Debug, Clone, Copy)]
pub struct MlKemDecapsulate<'a> {
    /// The private key, which needs `USAGE_DERIVE`.
    pub key: KeyId,
    /// The key's parameter set.
    pub parameters: MlKem,
    /// The ciphertext.
    pub ciphertext: &'a [u8],
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for MlKemDecapsulate<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.ciphertext.len() != self.parameters.ciphertext_size() {
            return Err(Argument::CiphertextLength);
        }
        let body = MlKemDecapsulateRequest {
            options: evict_option(self.evict),
            level: self.parameters.level(),
            key: u32::from(named(self.key)?.0),
            length: length_u32(self.ciphertext.len()),
        };
        request.mark_secret();
        request.put_crypto(algorithm::KEM_DECAPSULATE, sub_algorithm::ML_KEM, &body);
        request.put_bytes(self.ciphertext);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (body, rest) = response.crypto::<MlKemDecapsulateResponse>(algorithm::KEM_DECAPSULATE)?;
        demand(body.secret_length == length_u32(SECRET))?;
        Ok(tail(rest).take_u32(body.secret_length)?)
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Makes a shared secret for the owner of `key`: writes the secret to `secret`, the ciphertext that carries it to
    /// the front of `ciphertext`, and returns the ciphertext's length in bytes. `parameters` is the key's parameter
    /// set. The packet buffer is wiped afterwards.
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Error::TooLong`], [`Error::OutputTooSmall`].
    /// - `NOT_FOUND`, `USAGE` (the key has no `USAGE_DERIVE`), `BUFFER` (no ML-KEM key), `BAD_ARGUMENTS` (another
    ///   parameter set), `NO_SPACE` from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn ml_kem_encapsulate(
        &mut self,
        key: Key<'_>,
        parameters: MlKem,
        ciphertext: &mut [u8],
        secret: &mut [u8; SECRET],
    ) -> Result<usize, Error<T::Error>> {
        let (needed, available) = (parameters.ciphertext_size(), ciphertext.len());
        if available < needed {
            return Err(Error::OutputTooSmall { needed, available });
        }
        let public = Some(KeyAlgorithm::ML_KEM);
        let temporary = Temporary { key, label: "TempMlKemEncaps", flags: Flags::USAGE_DERIVE, public };
        let outcome = self
            .with_key(&temporary, |key, evict| MlKemEncapsulate { key, parameters, evict })
            .map(|encapsulated| {
                overwrite(ciphertext, encapsulated.ciphertext);
                overwrite(secret, encapsulated.secret);
                needed
            });
        self.wipe();
        outcome
    }

    /// Opens `ciphertext` with a private key and writes the shared secret to `secret`. A damaged ciphertext gives
    /// another secret, not an error. `parameters` is the key's parameter set. The packet buffer is wiped afterwards.
    ///
    /// # Errors
    /// As [`ml_kem_encapsulate`](Self::ml_kem_encapsulate); [`Argument::CiphertextLength`]; `BAD_STATE` from the
    /// server if the key is a public one.
    pub fn ml_kem_decapsulate(
        &mut self,
        key: Key<'_>,
        parameters: MlKem,
        ciphertext: &[u8],
        secret: &mut [u8; SECRET],
    ) -> Result<(), Error<T::Error>> {
        let temporary = Temporary { key, label: "TempMlKemDecaps", flags: Flags::USAGE_DERIVE, public: None };
        let outcome = self
            .with_key(&temporary, |key, evict| MlKemDecapsulate { key, parameters, ciphertext, evict })
            .map(|found| overwrite(secret, found));
        self.wipe();
        outcome
    }
}
