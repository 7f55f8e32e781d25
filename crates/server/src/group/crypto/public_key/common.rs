//! What the families share: keys that a message names, keys that it makes, and what becomes of them.

use crate::context::Context;
use crate::group::crypto::new_key::Slots;
use crate::keys::{Usage, Wanted};
use crate::platform::Platform;
use casemate_crypto::encoding::EncodingError;
use casemate_crypto::wipe;
use casemate_protocol::message::public_key::{AgreementResponse, KeyGenerationResponse, option};
use casemate_protocol::{Flags, KeyId, Label, Layout, ObjectType, Status};

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

/// Copies the encoded form of the key that a message names to `room`. A key that is larger is none of the family.
///
/// The room is the caller's: a key that is handed on by value would take the stack for two.
///
/// # Errors
/// BAD_ARGUMENTS, ACCESS, NOT_FOUND, USAGE in this order; ASN_PARSE for one that is too large, BAD_ARGUMENTS for an empty
/// one.
#[inline(never)]
pub(super) fn load<'r, P: Platform>(
    context: &mut Context<'_, P>,
    key: u32,
    usage: Usage,
    room: &'r mut [u8],
) -> Result<&'r [u8], Status> {
    let key = KeyId::from_u32(key);
    if !key.is_some() {
        return Err(Status::BAD_ARGUMENTS);
    }
    context.locked(|keys| match keys.fetch(key, usage, room) {
        Ok(0) => Err(Status::BAD_ARGUMENTS),
        Ok(length) => room.get(..length).ok_or(Status::ABORTED),
        // The usage that it lacks comes before what it is.
        Err(Status::NO_SPACE) => {
            let id = keys.resolve(key, ObjectType::CRYPTO);
            usage.check(keys.attributes(id)?.flags)?;
            Err(Status::ASN_PARSE)
        }
        Err(status) => Err(status),
    })
}

/// No usage flag is needed.
pub(super) const ANY_USAGE: Usage = Usage::All(Flags::NONE);

/// Drops a key from the cache if an option asks for it. A message that is refused before its key is looked for leaves the
/// key (document 05, §2.5).
pub(super) fn evict_after<P: Platform>(context: &mut Context<'_, P>, is_wanted: bool, key: u32) {
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

pub(super) const fn wants(options: u32, option: u32) -> bool {
    options & option != 0
}

/// Returns a generated private key, or caches it and returns the public half as far as that fits.
#[inline(never)]
pub(super) fn deliver_key<P: Platform>(
    context: &mut Context<'_, P>,
    out: &mut [u8],
    wanted: &Wanted<'_>,
    private: &[u8],
    slots: Slots,
    encode_public: &dyn Fn(&mut [u8]) -> Result<usize, EncodingError>,
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
pub(super) fn deliver_secret<P: Platform>(
    context: &mut Context<'_, P>,
    out: &mut [u8],
    wanted: &Wanted<'_>,
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
pub(super) struct AgreementKeys {
    pub(super) options: u32,
    pub(super) private_key: u32,
    pub(super) public_key: u32,
}

impl AgreementKeys {
    pub(super) fn evict_after<P: Platform>(&self, context: &mut Context<'_, P>, cached: Option<KeyId>) {
        let is_spared =
            |key: u32| cached.is_some_and(|cached| cached.is_some() && cached == KeyId::from_u32(key));
        let public = wants(self.options, option::EVICT) && !is_spared(self.public_key);
        evict_after(context, public, self.public_key);
        let private = wants(self.options, option::EVICT_PRIVATE) && !is_spared(self.private_key);
        evict_after(context, private, self.private_key);
    }
}

/// The label of a new key, which must not claim to be longer than labels are.
#[cfg(feature = "dma")]
pub(super) fn label(label: Label, length: u32) -> Result<Label, Status> {
    if length > 24 { Err(Status::BAD_ARGUMENTS) } else { Ok(label.truncated(length)) }
}
