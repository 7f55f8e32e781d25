//! Public-key cryptography: key pairs, and the operations with them (document 05).
//!
//! [`Client::key_pair_generate`] makes a key pair of any family in the server. Every operation takes its key as a
//! [`Key`]: [`Key::Id`] names one that the server holds; [`Key::Inline`] is one that the caller holds, encoded as
//! document 05, §11 says. The latter is put into the server's cache for the one operation and dropped from there
//! afterwards (§12), which needs a free cache slot. Where the public half suffices and the client can cut it out of
//! the encoding, only that half travels.
//!
//! The operations as values take identifiers only; their field `evict` has the server drop the key from its cache
//! after the operation, whether it succeeds or fails.

pub mod curve25519;
pub mod elliptic_curve;
pub mod ml_dsa;
pub mod ml_kem;
mod public_half;
pub mod rsa;

use crate::client::deliver;
use crate::key::{Evict, cached};
use crate::operation::{demand, length_u32, tail};
use crate::{Argument, Client, Error, Key, NewKey, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::Request;
use casemate_protocol::message::crypto::{CryptoRequest, action};
use casemate_protocol::message::key::{CacheRequest, KeyAlgorithm};
use casemate_protocol::message::public_key::{AgreementResponse, KeyGenerationResponse, option};
use casemate_protocol::{Flags, Group, KeyId, Kind, Label, Status};
use casemate_transport::{ClientTransport, Clock};
use core::ops::RangeInclusive;
use public_half::PublicHalf;

/// The kind of every request here.
const KIND: Kind = Kind::new(Group::CRYPTO, action::PUBLIC_KEY);
/// Payload bytes besides the key in the response to a generation.
const GENERATION_OVERHEAD: usize = 20;

mod sealed {
    use super::{CryptoRequest, KeyGenerationResponse, Label, RangeInclusive};

    /// What a generation request says besides the new key's description.
    pub trait Generation {
        type Request: CryptoRequest<Response = KeyGenerationResponse>;
        const ALGORITHM: u32;
        const SUB_ALGORITHM: u32 = 0;

        fn request(&self, flags: u32, key: u32, label: Label) -> Self::Request;
        /// Lengths that the encoded private key can have.
        fn private_sizes(&self) -> RangeInclusive<usize>;
        /// Lengths that the encoded public key can have.
        fn public_sizes(&self) -> RangeInclusive<usize>;
    }
}
pub(crate) use sealed::Generation;

/// A kind of key pair that servers generate: a [`Curve`](crate::Curve), [`X25519`](crate::X25519),
/// [`Ed25519`](crate::Ed25519), [`Rsa`](crate::Rsa) keys of a size, an [`MlDsa`](crate::MlDsa) or
/// [`MlKem`](crate::MlKem) parameter set.
pub trait KeyPair: Generation {}

impl<G: Generation> KeyPair for G {}

/// A key pair that was generated in the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated<'r> {
    /// Its identifier.
    pub id: KeyId,
    /// The encoded public key, SubjectPublicKeyInfo except for ML-KEM; empty if it does not fit a packet.
    pub public: &'r [u8],
}

/// Generates a key pair in the server's cache; yields its identifier and its public key.
#[derive(Debug, Clone, Copy)]
pub struct GenerateCache<P> {
    /// What kind of key pair.
    pub pair: P,
    /// What the key shall be.
    pub new: NewKey,
}

impl<P: KeyPair> Operation for GenerateCache<P> {
    const KIND: Kind = KIND;
    type Output<'r> = Generated<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let NewKey { id, flags, label } = self.new;
        if flags.contains(Flags::EPHEMERAL) {
            return Err(Argument::Ephemeral);
        }
        let body = self.pair.request(u32::from(flags.0), u32::from(id.0), label);
        request.put_crypto(P::ALGORITHM, P::SUB_ALGORITHM, &body);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Generated<'r>, ResponseFault> {
        let (KeyGenerationResponse { key, length }, rest) = response.crypto(P::ALGORITHM)?;
        let id = KeyId::from_u32(key);
        demand(id.is_some() && (!self.new.id.is_some() || id.number() == self.new.id.number()))?;
        let public = tail(rest).take_u32(length)?;
        demand(public.is_empty() || self.pair.public_sizes().contains(&public.len()))?;
        Ok(Generated { id, public })
    }
}

/// Generates a key pair and returns it; nothing stays in the server. Yields the encoded private key, which contains
/// the public one.
#[derive(Debug, Clone, Copy)]
pub struct GenerateExport<P> {
    /// What kind of key pair.
    pub pair: P,
}

impl<P: KeyPair> Operation for GenerateExport<P> {
    const KIND: Kind = KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let body = self.pair.request(u32::from(Flags::EPHEMERAL.0), 0, Label::EMPTY);
        request.mark_secret();
        request.put_crypto(P::ALGORITHM, P::SUB_ALGORITHM, &body);
        request.expect_response(GENERATION_OVERHEAD.saturating_add(*self.pair.private_sizes().end()));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (KeyGenerationResponse { key, length }, rest) = response.crypto(P::ALGORITHM)?;
        // Some servers answer with the flag of global keys (document 05, §2.4).
        demand(!KeyId::from_u32(key).is_some())?;
        let private = tail(rest).take_u32(length)?;
        demand(self.pair.private_sizes().contains(&private.len()))?;
        Ok(private)
    }
}

/// The option bits for dropping a key afterwards.
const fn evict_option(evict: bool) -> u32 {
    if evict { option::EVICT } else { 0 }
}

/// The option bits of an agreement.
const fn agreement_options(evict_private: bool, evict_public: bool) -> u32 {
    evict_option(evict_public) | if evict_private { option::EVICT_PRIVATE } else { 0 }
}

/// The identifier of an agreed secret that stays in the server.
fn cached_secret(response: Response<'_>, algorithm: u32) -> Result<KeyId, ResponseFault> {
    let (AgreementResponse { length, key }, _) = response.crypto(algorithm)?;
    let key = KeyId::from_u32(key);
    demand(key.is_some() && length == 0)?;
    Ok(key)
}

/// A verdict of 1 or 0.
fn verdict(valid: u32) -> Result<bool, ResponseFault> {
    demand(valid <= 1)?;
    Ok(valid == 1)
}

/// Takes the status for a wrong signature as the verdict that it is.
pub(crate) fn signature_verdict(outcome: Result<u32, ResponseFault>) -> Result<bool, ResponseFault> {
    match outcome {
        Err(ResponseFault::Remote(Status::SIGNATURE_VERIFICATION)) => Ok(false),
        Err(fault) => Err(fault),
        Ok(valid) => verdict(valid),
    }
}

/// How a key of the caller's enters the server for one operation (document 05, §12).
#[derive(Clone, Copy)]
struct Temporary<'k> {
    key: Key<'k>,
    label: &'static str,
    flags: Flags,
    /// Which algorithm the key is for, if its public half suffices.
    public: Option<KeyAlgorithm>,
}

/// Puts a key into the cache for one operation; yields its identifier.
struct Import<'k> {
    flags: Flags,
    label: &'static str,
    key: &'k [u8],
    /// What to send instead of the key.
    half: Option<PublicHalf<'k>>,
}

impl<'k> Import<'k> {
    fn new(temporary: &Temporary<'k>, key: &'k [u8]) -> Self {
        let half = temporary.public.and_then(|algorithm| PublicHalf::of(algorithm, key));
        Self { flags: temporary.flags, label: temporary.label, key, half }
    }
}

impl Operation for Import<'_> {
    const KIND: Kind = CacheRequest::KIND;
    type Output<'r> = KeyId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.key.is_empty() {
            return Err(Argument::KeyLength);
        }
        let parts = self.half.as_ref().map_or([&[][..], self.key], PublicHalf::parts);
        let length = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        request.mark_secret();
        request.put(&CacheRequest {
            flags: u32::from(self.flags.0),
            length: length_u32(length),
            label_length: length_u32(self.label.len().saturating_add(1)), // With a zero at its end.
            id: KeyId::NONE,
            label: self.label.into(),
        });
        parts.iter().for_each(|part| request.put_bytes(part));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<KeyId, ResponseFault> {
        cached(response)
    }
}

/// What stands for a key's identifier until the server has given one.
const PLACEHOLDER: KeyId = KeyId(0xFF);

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Carries out an operation with one key; `operation` gets its identifier and whether to drop it afterwards.
    fn with_key<O: Operation>(
        &mut self,
        temporary: &Temporary<'_>,
        operation: impl Fn(KeyId, bool) -> O,
    ) -> Result<O::Output<'_>, Error<T::Error>> {
        let key = match temporary.key {
            Key::Id(id) => return self.run(&operation(id, false)),
            Key::Inline(key) => key,
        };
        self.must_wait()?;
        // What cannot succeed must not bring a key into the server.
        self.check(&operation(PLACEHOLDER, true))?;
        let id = self.run(&Import::new(temporary, key))?;
        self.run_dropping(&operation(id, true), [Some(id), None])
    }

    /// Carries out an operation with two keys, as [`with_key`](Self::with_key).
    fn with_keys<O: Operation>(
        &mut self,
        private: &Temporary<'_>,
        public: &Temporary<'_>,
        operation: impl Fn(KeyId, bool, KeyId, bool) -> O,
    ) -> Result<O::Output<'_>, Error<T::Error>> {
        let named = |key: Key<'_>| if let Key::Id(id) = key { Some(id) } else { None };
        let (private_id, public_id) = (named(private.key), named(public.key));
        let planned = operation(
            private_id.unwrap_or(PLACEHOLDER),
            private_id.is_none(),
            public_id.unwrap_or(PLACEHOLDER),
            public_id.is_none(),
        );
        self.check(&planned)?;
        for temporary in [private, public] {
            if let Key::Inline(key) = temporary.key {
                self.must_wait()?;
                self.check(&Import::new(temporary, key))?;
            }
        }
        let mut imported = [None; 2];
        let public_id = match public.key {
            Key::Id(id) => id,
            Key::Inline(key) => {
                let id = self.run(&Import::new(public, key))?;
                imported = [Some(id), None];
                id
            }
        };
        let private_id = match private.key {
            Key::Id(id) => id,
            Key::Inline(key) => match self.run(&Import::new(private, key)) {
                Ok(id) => {
                    imported = [imported[0], Some(id)];
                    id
                }
                Err(error) => {
                    self.drop_keys(imported);
                    return Err(error);
                }
            },
        };
        let [public_imported, private_imported] = imported.map(|id| id.is_some());
        let operation = operation(private_id, private_imported, public_id, public_imported);
        self.run_dropping(&operation, imported)
    }

    /// Carries out an operation that drops these keys once it reaches the server.
    fn run_dropping<O: Operation>(
        &mut self,
        operation: &O,
        keys: [Option<KeyId>; 2],
    ) -> Result<O::Output<'_>, Error<T::Error>> {
        if let Err(error) = self.start_waiting(operation) {
            self.drop_keys(keys);
            return Err(error);
        }
        self.wait(operation)
    }

    /// Drops keys; there is nothing more to do if that fails.
    fn drop_keys(&mut self, keys: [Option<KeyId>; 2]) {
        for id in keys.into_iter().flatten() {
            if matches!(self.run(&Evict { id }), Err(Error::InProgress)) {
                // The caller has an error to report and will not ask for this response.
                self.abandon();
            }
        }
    }

    /// Has the server make a key pair and returns its identifier. Nobody outside the server has seen the private
    /// key, and it stays there unless its flags allow exporting it.
    ///
    /// It takes the server as long as it takes: seconds for a large RSA key, which the request timeout must allow.
    ///
    /// # Errors
    /// - [`Argument::Ephemeral`]: the flag `EPHEMERAL` is set.
    /// - `NO_SPACE` (no free number or cache slot), `ACCESS` (the number belongs to a key that must not be
    ///   replaced), `NOT_COMPILED_IN`, `ECC_CURVE`, `CRYPTO_ARGUMENT` (RSA size or exponent) from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn key_pair_generate<P: KeyPair>(&mut self, pair: P, new: &NewKey) -> Result<KeyId, Error<T::Error>> {
        Ok(self.run(&GenerateCache { pair, new: *new })?.id)
    }

    /// As [`key_pair_generate`](Self::key_pair_generate), and writes the encoded public key to the front of
    /// `public`. Returns the key's identifier and the public key's length in bytes.
    ///
    /// # Errors
    /// - As [`key_pair_generate`](Self::key_pair_generate).
    /// - [`Error::OutputTooSmall`], [`Error::TooLong`] (the public key does not fit a packet). No key remains in the
    ///   server then.
    pub fn key_pair_generate_with_public<P: KeyPair>(
        &mut self,
        pair: P,
        new: &NewKey,
        public: &mut [u8],
    ) -> Result<(KeyId, usize), Error<T::Error>> {
        let smallest = *pair.public_sizes().start();
        let (available, limit) = (public.len(), self.data_length());
        if available < smallest {
            return Err(Error::OutputTooSmall { needed: smallest, available });
        }
        let needed = GENERATION_OVERHEAD.saturating_add(smallest);
        if needed > limit {
            return Err(Error::TooLong { needed, limit });
        }
        let Generated { id, public: found } = self.run(&GenerateCache { pair, new: *new })?;
        let outcome = if found.is_empty() {
            // It does not fit the server's packets.
            Err(Error::TooLong { needed, limit })
        } else {
            deliver(found, public)
        };
        match outcome {
            Ok(length) => Ok((id, length)),
            Err(error) => {
                self.drop_keys([Some(id), None]);
                Err(error)
            }
        }
    }

    /// Has the server make a key pair, writes the encoded private key to the front of `private` and returns its
    /// length in bytes. Nothing stays in the server; the packet buffer is wiped afterwards.
    ///
    /// The encoding is that of document 05, §11, and can be used as [`Key::Inline`]; note that the server's private
    /// X25519, Ed25519 and ML-DSA keys are not what RFC 8410 says.
    ///
    /// # Errors
    /// - [`Error::OutputTooSmall`]; the key is lost then, and another one can be made.
    /// - Otherwise as [`key_pair_generate`](Self::key_pair_generate).
    pub fn key_pair_generate_export<P: KeyPair>(
        &mut self,
        pair: P,
        private: &mut [u8],
    ) -> Result<usize, Error<T::Error>> {
        self.fetch_secret(&GenerateExport { pair }, private)
    }

    /// Runs an operation that yields secret bytes, delivers them and wipes the packet buffer.
    fn fetch_secret<O>(&mut self, operation: &O, out: &mut [u8]) -> Result<usize, Error<T::Error>>
    where
        O: for<'r> Operation<Output<'r> = &'r [u8]>,
    {
        let outcome = self.run(operation).and_then(|secret| deliver(secret, out));
        self.wipe();
        outcome
    }
}
