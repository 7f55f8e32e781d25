//! Public-key messages (document 05): one module for each family.
//!
//! A key named by identifier is copied out of the key store in its encoded form and taken apart outside the lock. An
//! option asks for the key to be dropped from the cache afterwards: clients use it for keys that they lend the server
//! for one operation. It is honoured whether the operation succeeds or not, but not for a protected key that lies
//! nowhere else.
//!
//! The handlers are not inlined into each other: each keeps its keys on the stack, and a session should pay for the one
//! that runs, not for all.

#![cfg_attr(
    not(all(
        feature = "curve25519",
        feature = "elliptic-curves",
        feature = "hash-signatures",
        feature = "ml-dsa",
        feature = "ml-kem",
        feature = "rsa"
    )),
    allow(
        dead_code,
        unused_imports,
        unused_variables,
        reason = "what families share may have no user without them"
    )
)]

use super::{KeyBytes, Operation};
use crate::context::Context;
use crate::keys::{NewKey, Usage};
use crate::platform::Platform;
use casemate_crypto::encoding::EncodingError;
use casemate_crypto::wipe;
use casemate_protocol::message::public_key::{
    AgreementResponse, KeyGenerationResponse, algorithm, option, sub_algorithm,
};
use casemate_protocol::{Flags, KeyId, Label, Layout, ObjectType, Status};

#[cfg(feature = "curve25519")]
mod curve25519;
#[cfg(feature = "dma")]
pub(super) mod dma;
#[cfg(feature = "elliptic-curves")]
mod elliptic_curve;
mod export;
#[cfg(feature = "ml-dsa")]
mod ml_dsa;
#[cfg(feature = "ml-kem")]
mod ml_kem;
#[cfg(feature = "rsa")]
mod rsa;
#[cfg(feature = "hash-signatures")]
mod stateful;

pub(crate) use export::export_public;

/// Runs the operation that `operation.algorithm` names.
pub(super) fn public_key<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    sub: u32,
) -> Result<usize, Status> {
    match operation.algorithm {
        #[cfg(feature = "elliptic-curves")]
        algorithm::EC_KEY_GENERATION => elliptic_curve::generate(context, operation),
        #[cfg(feature = "elliptic-curves")]
        algorithm::ECDSA_SIGN => elliptic_curve::sign(context, operation),
        #[cfg(feature = "elliptic-curves")]
        algorithm::ECDSA_VERIFY => elliptic_curve::verify(context, operation),
        #[cfg(feature = "elliptic-curves")]
        algorithm::ECDH => elliptic_curve::agree(context, operation),
        #[cfg(feature = "elliptic-curves")]
        algorithm::EC_MAKE_PUBLIC => elliptic_curve::make_public(context, operation),
        #[cfg(feature = "elliptic-curves")]
        algorithm::EC_CHECK_PUBLIC => elliptic_curve::check_public(context, operation),
        #[cfg(feature = "curve25519")]
        algorithm::X25519_KEY_GENERATION => curve25519::x25519_generate(context, operation),
        #[cfg(feature = "curve25519")]
        algorithm::X25519 => curve25519::x25519_agree(context, operation),
        #[cfg(feature = "curve25519")]
        algorithm::ED25519_KEY_GENERATION => curve25519::ed25519_generate(context, operation),
        #[cfg(feature = "curve25519")]
        algorithm::ED25519_SIGN => curve25519::ed25519_sign(context, operation),
        #[cfg(feature = "curve25519")]
        algorithm::ED25519_VERIFY => curve25519::ed25519_verify(context, operation),
        #[cfg(feature = "rsa")]
        algorithm::RSA_KEY_GENERATION => rsa::generate(context, operation),
        #[cfg(feature = "rsa")]
        algorithm::RSA => rsa::operate(context, operation),
        #[cfg(feature = "rsa")]
        algorithm::RSA_SIZE => rsa::size(context, operation),
        algorithm::KEM_KEY_GENERATION | algorithm::KEM_ENCAPSULATE | algorithm::KEM_DECAPSULATE
            if sub != sub_algorithm::ML_KEM =>
        {
            Err(Status::NO_HANDLER)
        }
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_KEY_GENERATION => ml_kem::generate(context, operation),
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_ENCAPSULATE => ml_kem::encapsulate(context, operation),
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_DECAPSULATE => ml_kem::decapsulate(context, operation),
        algorithm::SIGNATURE_KEY_GENERATION | algorithm::SIGNATURE_SIGN | algorithm::SIGNATURE_VERIFY
            if sub != sub_algorithm::ML_DSA =>
        {
            Err(Status::NO_HANDLER)
        }
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_KEY_GENERATION => ml_dsa::generate(context, operation),
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_SIGN => ml_dsa::sign(context, operation),
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_VERIFY => ml_dsa::verify(context, operation),
        algorithm::SIGNATURE_CHECK => Err(Status::NO_HANDLER),
        _ => Err(Status::NOT_COMPILED_IN),
    }
}

/// The status of bytes that are no key of the family asked for, or of a key without the half that is needed.
pub(super) const fn encoding_status(error: EncodingError) -> Status {
    match error {
        EncodingError::UnknownCurve => Status::ASN_OBJECT_ID,
        EncodingError::Point => Status::ASN_ECC_KEY,
        EncodingError::PrivateKey | EncodingError::Mismatch => Status::ECC_PRIVATE_KEY,
        EncodingError::Missing => Status::ECC_ARGUMENT,
        EncodingError::Signature | EncodingError::SignatureRange => Status::ASN_ECC_KEY,
        EncodingError::SignatureZero => Status::NUMBER_ZERO,
        EncodingError::OutputLength { .. } | EncodingError::Truncated => Status::BUFFER,
        EncodingError::Driver(error) => crate::error::crypto_status(error),
        _ => Status::ASN_PARSE,
    }
}

/// The encoded form of the key that a message names. A key larger than `N` bytes is none of the family.
///
/// # Errors
/// BAD_ARGUMENTS, ACCESS, NOT_FOUND, USAGE in this order; ASN_PARSE for one that is too large, BAD_ARGUMENTS for an empty
/// one.
fn load<P: Platform, const N: usize>(
    context: &mut Context<'_, P>,
    key: u32,
    usage: Usage,
) -> Result<KeyBytes<N>, Status> {
    let key = KeyId::from_u32(key);
    if !key.is_some() {
        return Err(Status::BAD_ARGUMENTS);
    }
    match KeyBytes::stored(context, key, usage) {
        // The usage that it lacks comes before what it is.
        Err(Status::NO_SPACE) => context.locked(|keys| {
            let id = keys.resolve(key, ObjectType::CRYPTO);
            usage.check(keys.metadata(id)?.flags)?;
            Err(Status::ASN_PARSE)
        }),
        Ok(bytes) if bytes.as_slice().is_empty() => Err(Status::BAD_ARGUMENTS),
        result => result,
    }
}

/// No usage flag is needed.
const ANY_USAGE: Usage = Usage::All(Flags::NONE);

/// Drops a key from the cache if an option asks for it. A message that is refused before its key is looked for leaves the
/// key (document 05, §2.5).
fn evict_after<P: Platform>(context: &mut Context<'_, P>, is_wanted: bool, key: u32) {
    let key = KeyId::from_u32(key);
    if is_wanted && key.is_some() {
        // The operation's own outcome is what the client gets to see.
        let _ = context.locked(|keys| {
            let id = keys.resolve(key, ObjectType::CRYPTO);
            keys.evict(id)
        });
        context.server.platform().forget_keys();
    }
}

const fn wants(options: u32, option: u32) -> bool {
    options & option != 0
}

/// What a generation or agreement asks for besides the key itself.
struct Wanted {
    flags: u32,
    key: u32,
    label: Label,
}

impl Wanted {
    fn is_ephemeral(&self) -> bool {
        Flags::from_client(self.flags).contains(Flags::EPHEMERAL)
    }

    /// Caches `bytes` as the key asked for.
    fn cache<P: Platform>(
        &self,
        context: &mut Context<'_, P>,
        bytes: &[u8],
        slots: Slots,
    ) -> Result<KeyId, Status> {
        context.locked(|keys| {
            let id = keys.resolve(KeyId::from_u32(self.key), ObjectType::CRYPTO);
            let new = NewKey {
                id: keys.assign(id, bytes.len())?,
                flags: Flags::from_client(self.flags),
                label: self.label,
                length: bytes.len(),
            };
            let id = match slots {
                Slots::OfSize => keys.insert(new, |slot| {
                    slot.copy_from_slice(bytes);
                    Ok(())
                }),
                Slots::BigFirst => keys.insert_big_first(new, bytes),
            }?;
            Ok(id.to_key(keys.features))
        })
    }
}

/// Which slots of the key cache a key may take: the original puts elliptic-curve and RSA keys that it generates in big
/// ones.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(any(feature = "rsa", feature = "elliptic-curves")), allow(dead_code))]
enum Slots {
    OfSize,
    BigFirst,
}

/// Returns a generated private key, or caches it and returns the public half as far as that fits.
fn deliver_key<P: Platform>(
    context: &mut Context<'_, P>,
    out: &mut [u8],
    wanted: &Wanted,
    private: &[u8],
    slots: Slots,
    encode_public: impl FnOnce(&mut [u8]) -> Result<usize, EncodingError>,
) -> Result<usize, Status> {
    let (head, tail) = out.split_at_mut_checked(KeyGenerationResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let (key, length) = if wanted.is_ephemeral() {
        tail.get_mut(..private.len()).ok_or(Status::BUFFER)?.copy_from_slice(private);
        (KeyId::NONE, private.len())
    } else {
        (wanted.cache(context, private, slots)?, encode_public(tail).unwrap_or(0))
    };
    let response =
        KeyGenerationResponse { key: u32::from(key.0), length: u32::try_from(length).unwrap_or(0) };
    Ok(context.put(&response, head).saturating_add(length))
}

/// Returns an agreed secret, or caches it, and then drops the keys that it came from as far as the options ask for it.
/// A secret that took the place of one of them stays.
fn deliver_secret<P: Platform>(
    context: &mut Context<'_, P>,
    out: &mut [u8],
    wanted: &Wanted,
    secret: &mut [u8],
) -> Result<(usize, KeyId), Status> {
    let (head, tail) = out.split_at_mut_checked(AgreementResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let (key, length) = if wanted.is_ephemeral() {
        tail.get_mut(..secret.len()).ok_or(Status::BUFFER)?.copy_from_slice(secret);
        (KeyId::NONE, secret.len())
    } else {
        (wanted.cache(context, secret, Slots::OfSize)?, 0)
    };
    wipe(secret);
    let response = AgreementResponse { length: u32::try_from(length).unwrap_or(0), key: u32::from(key.0) };
    Ok((context.put(&response, head).saturating_add(length), key))
}

/// The two keys of an agreement and what is to become of them.
struct AgreementKeys {
    options: u32,
    private_key: u32,
    public_key: u32,
}

impl AgreementKeys {
    fn evict_after<P: Platform>(&self, context: &mut Context<'_, P>, cached: Option<KeyId>) {
        let is_spared =
            |key: u32| cached.is_some_and(|cached| cached.is_some() && cached == KeyId::from_u32(key));
        let public = wants(self.options, option::EVICT) && !is_spared(self.public_key);
        evict_after(context, public, self.public_key);
        let private = wants(self.options, option::EVICT_PRIVATE) && !is_spared(self.private_key);
        evict_after(context, private, self.private_key);
    }
}
