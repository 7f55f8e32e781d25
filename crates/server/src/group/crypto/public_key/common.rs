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

/// The same for keys of RSA and ML-DSA.
#[cfg(any(feature = "ml-dsa", feature = "rsa"))]
#[inline(never)]
pub(super) const fn number_status(error: EncodingError) -> Status {
    match error {
        EncodingError::Missing => Status::CRYPTO_ARGUMENT,
        EncodingError::Mismatch | EncodingError::PrivateKey => Status::ASN_PARSE,
        error => encoding_status(error),
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

/// What a result holds, left where it lies: `?` on the result itself would move it, which takes code for large values.
pub(super) fn held<T>(result: &Result<T, Status>) -> Result<&T, Status> {
    result.as_ref().map_err(|status| *status)
}

/// No usage flag is needed.
pub(super) const ANY_USAGE: Usage = Usage::All(Flags::NONE);

/// Keys that a client lends the server for one operation, and that an option asks to be dropped from the cache afterwards.
/// A message that is refused before its key is looked for leaves the key (document 05, §2.5).
#[derive(Default)]
pub(super) struct Lent([KeyId; 2]);

impl Lent {
    /// The key of an operation with these options.
    pub(super) fn one(&mut self, options: u32, key: u32) {
        if wants(options, option::EVICT) {
            self.0[0] = KeyId::from_u32(key);
        }
    }

    /// The keys of an agreement with these options.
    pub(super) fn pair(&mut self, options: u32, public_key: u32, private_key: u32) {
        self.one(options, public_key);
        if wants(options, option::EVICT_PRIVATE) {
            self.0[1] = KeyId::from_u32(private_key);
        }
    }

    /// Leaves a key that took the place of one of these.
    fn spare(&mut self, key: KeyId) {
        for lent in self.0.iter_mut().filter(|lent| **lent == key) {
            *lent = KeyId::NONE;
        }
    }

    pub(super) fn evict<P: Platform>(self, context: &mut Context<'_, P>) {
        let Self([first, second]) = self;
        evict(context, first);
        evict(context, second);
    }
}

fn evict<P: Platform>(context: &mut Context<'_, P>, key: KeyId) {
    if !key.is_some() {
        return;
    }
    let _ = context.locked(|keys| {
        let id = keys.resolve(key, ObjectType::CRYPTO);
        keys.evict(id)
    });
    context.server.platform().forget_keys();
}

/// Drops a key from the cache if an option asks for it, as [`Lent`] does.
#[cfg(feature = "dma")]
pub(super) fn evict_after<P: Platform>(context: &mut Context<'_, P>, is_wanted: bool, key: u32) {
    if is_wanted {
        evict(context, KeyId::from_u32(key));
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

/// Returns an agreed secret, or caches it. A secret that takes the place of a key that it came from stays.
pub(super) fn deliver_secret<P: Platform>(
    context: &mut Context<'_, P>,
    out: &mut [u8],
    wanted: &Wanted<'_>,
    secret: &mut [u8],
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (head, tail) = out.split_at_mut_checked(AgreementResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let (key, length) = if wanted.is_ephemeral() {
        tail.get_mut(..secret.len()).ok_or(Status::BUFFER)?.copy_from_slice(secret);
        (KeyId::NONE, secret.len())
    } else {
        (wanted.cache(context, secret, Slots::OfSize)?, 0)
    };
    wipe(secret);
    lent.spare(key);
    let response = AgreementResponse { length: u32::try_from(length).unwrap_or(0), key: u32::from(key.0) };
    Ok(context.put(&response, head).saturating_add(length))
}

/// The label of a new key, which must not claim to be longer than labels are.
#[cfg(feature = "dma")]
pub(super) fn label(label: Label, length: u32) -> Result<Label, Status> {
    if length > 24 { Err(Status::BAD_ARGUMENTS) } else { Ok(label.truncated(length)) }
}
