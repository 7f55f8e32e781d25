//! X25519 and Ed25519 (document 05, §5 and §6).

use super::common::{ANY_USAGE, Lent, deliver_key, deliver_secret, encoding_status, load};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::Operation;
use crate::group::crypto::new_key::Slots;
use crate::keys::{Usage, Wanted};
use crate::platform::Platform;
use casemate_crypto::encoding::{Curve25519Key, Curve25519Use};
use casemate_crypto::{Driver, Ed25519Mode, Error as CryptoError, Secret};
use casemate_protocol::message::public_key::{
    Ed25519KeyGenerationRequest, Ed25519SignRequest, Ed25519VerifyRequest, Ed25519VerifyResponse,
    SignatureResponse, X25519KeyGenerationRequest, X25519Request, ed25519_mode,
};
use casemate_protocol::{Flags, KeyId, Layout, Status};

/// Room for every encoding of a key of this family, attributes included.
pub(super) const KEY_ROOM: usize = 256;

/// `endianness` of a secret that is to be big-endian.
const BIG_ENDIAN: u32 = 1;

#[inline(never)]
pub(super) fn generate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    kind: Curve25519Use,
) -> Result<usize, Status> {
    let (id, flags, label);
    match kind {
        Curve25519Use::X25519 => {
            let (request, _) = X25519KeyGenerationRequest::decode(operation.body, context.order)
                .map_err(|_| Status::BAD_ARGUMENTS)?;
            if request.size != 32 {
                return Err(Status::ECC_ARGUMENT);
            }
            (id, flags, label) = (request.key, request.flags, request.label);
        }
        Curve25519Use::Ed25519 => {
            let (request, _) = Ed25519KeyGenerationRequest::decode(operation.body, context.order)
                .map_err(|_| Status::BAD_ARGUMENTS)?;
            (id, flags, label) = (request.key, request.flags, request.label);
        }
    }
    let driver = operation.driver;
    let mut key = Curve25519Key::empty(kind);
    let mut encoded = Secret::<{ Curve25519Key::MAX_ENCODING }>::zero();
    let private = key.private.insert(Secret::zero());
    driver.fill(private.as_mut_slice()).map_err(crypto_status)?;
    if kind == Curve25519Use::X25519 {
        // Clamped as RFC 7748, §5, so that peers which store scalars clamped find it so.
        let [first, .., last] = &mut **private;
        *first &= 0xF8;
        *last = *last & 0x7F | 0x40;
    }
    complete(driver, &mut key)?;
    let length = key.encode_private(encoded.as_mut_slice()).map_err(encoding_status)?;
    let encoded = encoded.get(..length).unwrap_or_default();
    let wanted = Wanted { id: KeyId::from_u32(id), flags, label: &label };
    deliver_key(context, operation.out, &wanted, encoded, Slots::OfSize, &|out| key.encode_public(out))
}

#[inline(never)]
pub(super) fn x25519_agree<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, _) =
        X25519Request::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let X25519Request { options, private_key, public_key, endianness, flags, key, label } = request;
    lent.pair(options, public_key, private_key);
    let mut own = Curve25519Key::empty(Curve25519Use::X25519);
    let mut peer = Curve25519Key::empty(Curve25519Use::X25519);
    let mut secret = Secret::<32>::zero();
    load_key(context, private_key, Usage::All(Flags::USAGE_DERIVE), &mut own)?;
    load_key(context, public_key, ANY_USAGE, &mut peer)?;
    let driver = operation.driver;
    let private = own.private.as_ref().ok_or(Status::ECC_ARGUMENT)?;
    complete(driver, &mut peer)?;
    let public = peer.public.as_ref().filter(|public| public[31] < 0x80).ok_or(Status::ECC_ARGUMENT)?;
    driver.x25519(private, public, &mut secret).map_err(|error| match error {
        CryptoError::Key => Status::ECC_OUT_OF_RANGE,
        error => crypto_status(error),
    })?;
    if endianness == BIG_ENDIAN {
        secret.reverse();
    }
    let wanted = Wanted { id: KeyId::from_u32(key), flags, label: &label };
    deliver_secret(context, operation.out, &wanted, secret.as_mut_slice(), lent)
}

/// Computes the public half of a key that has only the private one.
#[inline(never)]
pub(super) fn complete(driver: &dyn Driver, key: &mut Curve25519Key) -> Result<(), Status> {
    key.complete(driver).map_err(encoding_status)
}

/// The variant that a message names. A context belongs to no message of the pure variant.
pub(super) fn mode(number: u32, context: &[u8]) -> Result<Ed25519Mode<'_>, Status> {
    if context.len() > 255 {
        return Err(Status::BAD_ARGUMENTS);
    }
    match number {
        ed25519_mode::PURE => Ok(Ed25519Mode::Pure),
        ed25519_mode::CONTEXT => Ok(Ed25519Mode::Context(context)),
        ed25519_mode::PREHASHED => Ok(Ed25519Mode::Prehashed(context)),
        _ => Err(Status::BAD_ARGUMENTS),
    }
}

#[inline(never)]
const fn ed25519_status(error: CryptoError) -> Status {
    match error {
        CryptoError::Authentication => Status::SIGNATURE_VERIFICATION,
        CryptoError::DataLength => Status::BAD_LENGTH,
        CryptoError::Key => Status::ASN_PARSE,
        error => crypto_status(error),
    }
}

/// Loads the key that a message names. Not inlined: the room for its encoding is given back before the curve is computed
/// with.
#[inline(never)]
fn load_key<P: Platform>(
    context: &mut Context<'_, P>,
    key: u32,
    usage: Usage,
    loaded: &mut Curve25519Key,
) -> Result<(), Status> {
    let mut room = Secret::<KEY_ROOM>::zero();
    loaded.decode(load(context, key, usage, room.as_mut_slice())?).map_err(encoding_status)
}

/// The signature of the message that `obtain` gets once the key is there.
#[inline(never)]
pub(super) fn sign_message<'c, 'm, P: Platform>(
    context: &mut Context<'c, P>,
    driver: &dyn Driver,
    key: u32,
    mode: Ed25519Mode<'_>,
    obtain: impl FnOnce(&mut Context<'c, P>) -> Result<&'m [u8], Status>,
    signature: &mut [u8; 64],
) -> Result<(), Status> {
    let mut stored = Curve25519Key::empty(Curve25519Use::Ed25519);
    load_key(context, key, Usage::All(Flags::USAGE_SIGN), &mut stored)?;
    let message = obtain(context)?;
    complete(driver, &mut stored)?;
    let (Some(seed), Some(public)) = (&stored.private, &stored.public) else {
        return Err(Status::CRYPTO_ARGUMENT);
    };
    driver.ed25519_sign(seed, public, mode, message, signature).map_err(ed25519_status)
}

/// Checks the signature of the message that `obtain` gets, in this order, once the key is there.
#[inline(never)]
pub(super) fn verify_message<'c, 'm, P: Platform>(
    context: &mut Context<'c, P>,
    driver: &dyn Driver,
    key: u32,
    mode: Ed25519Mode<'_>,
    obtain: impl FnOnce(&mut Context<'c, P>) -> Result<(&'m [u8], &'m [u8]), Status>,
) -> Result<(), Status> {
    let mut stored = Curve25519Key::empty(Curve25519Use::Ed25519);
    load_key(context, key, Usage::All(Flags::USAGE_VERIFY), &mut stored)?;
    let (signature, message) = obtain(context)?;
    let signature: &[u8; 64] = signature.try_into().map_err(|_| Status::CRYPTO_ARGUMENT)?;
    complete(driver, &mut stored)?;
    let public = stored.public.as_ref().ok_or(Status::CRYPTO_ARGUMENT)?;
    driver.ed25519_verify(public, mode, message, signature).map_err(ed25519_status)
}

#[inline(never)]
pub(super) fn ed25519_sign<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, tail) =
        Ed25519SignRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mode = mode(request.mode, tails.context)?;
    if mode == Ed25519Mode::Pure && !tails.context.is_empty() {
        return Err(Status::BAD_ARGUMENTS);
    }
    lent.one(request.options, request.key);
    let mut signature = [0; 64];
    let message = |_: &mut _| Ok(tails.message);
    sign_message(context, operation.driver, request.key, mode, message, &mut signature)?;
    let (head, rest) = operation.out.split_at_mut_checked(SignatureResponse::SIZE).ok_or(Status::BUFFER)?;
    rest.get_mut(..signature.len()).ok_or(Status::BUFFER)?.copy_from_slice(&signature);
    Ok(context.put(&SignatureResponse { length: 64 }, head).saturating_add(signature.len()))
}

/// A wrong signature is an error here, unlike in the other families (document 05, §6.3).
#[inline(never)]
pub(super) fn ed25519_verify<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, tail) =
        Ed25519VerifyRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mode = mode(request.mode, tails.context)?;
    lent.one(request.options, request.key);
    verify_message(context, operation.driver, request.key, mode, |_| Ok((tails.signature, tails.message)))?;
    Ok(context.put(&Ed25519VerifyResponse { valid: 1 }, operation.out))
}
