//! ML-DSA (document 05, §7). The stored key says which parameter set it is of; the level in a message does not count.

use super::common::{Lent, deliver_key, held, load, number_status};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::Operation;
use crate::group::crypto::new_key::Slots;
use crate::keys::{Usage, Wanted};
use crate::platform::Platform;
use casemate_crypto::encoding::MlDsaKey;
use casemate_crypto::{Driver, Error as CryptoError, HashAlgorithm, MlDsaMessage, MlDsaSet, Secret};
use casemate_protocol::message::crypto::hash;
use casemate_protocol::message::public_key::{
    MlDsaKeyGenerationRequest, MlDsaSignRequest, MlDsaSignResponse, MlDsaVerifyRequest, MlDsaVerifyResponse,
};
use casemate_protocol::{Flags, KeyId, Layout, Status};

/// Room for every encoding of an ML-DSA key.
pub(super) const KEY_ROOM: usize = 7680;
const LARGEST: MlDsaSet = MlDsaSet::MlDsa87;

const fn named_set(level: u32) -> Result<MlDsaSet, Status> {
    match level {
        2 => Ok(MlDsaSet::MlDsa44),
        3 => Ok(MlDsaSet::MlDsa65),
        5 => Ok(MlDsaSet::MlDsa87),
        _ => Err(Status::BAD_ARGUMENTS),
    }
}

/// The key that a message names, in `room`.
#[inline(never)]
fn load_key<'r, P: Platform>(
    context: &mut Context<'_, P>,
    key: u32,
    usage: Usage,
    room: &'r mut [u8; KEY_ROOM],
) -> Result<MlDsaKey<'r>, Status> {
    MlDsaKey::decode(load(context, key, usage, room)?).map_err(number_status)
}

/// Both halves of a key, computed from what there is of it.
#[inline(never)]
fn expand<'s, 'p>(
    driver: &dyn Driver,
    key: &MlDsaKey<'_>,
    private: &'s mut [u8; LARGEST.private_size()],
    public: &'p mut [u8; LARGEST.public_size()],
) -> Result<(&'s [u8], &'p [u8]), Status> {
    let private = private.get_mut(..key.set.private_size()).ok_or(Status::ABORTED)?;
    let public = public.get_mut(..key.set.public_size()).ok_or(Status::ABORTED)?;
    key.expand(driver, private, public).map_err(number_status)?;
    Ok((private, public))
}

#[inline(never)]
pub(super) fn generate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) = MlDsaKeyGenerationRequest::decode(operation.body, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)?;
    let MlDsaKeyGenerationRequest { level, key, flags, label, .. } = request;
    let wanted = Wanted { id: KeyId::from_u32(key), flags, label: &label };
    generate_key(context, operation.driver, level, |context, private, key| {
        deliver_key(context, operation.out, &wanted, private, Slots::OfSize, &|out| key.encode_public(out))
    })
}

/// Makes a key and gives it, with the private key's encoding before it, to `deliver`.
pub(super) fn generate_key<'c, P: Platform, R>(
    context: &mut Context<'c, P>,
    driver: &dyn Driver,
    level: u32,
    deliver: impl FnOnce(&mut Context<'c, P>, &[u8], &MlDsaKey<'_>) -> Result<R, Status>,
) -> Result<R, Status> {
    let set = named_set(level)?;
    let mut seed = Secret::<32>::zero();
    driver.fill(seed.as_mut_slice()).map_err(crypto_status)?;
    let mut private = Secret::<{ LARGEST.private_size() }>::zero();
    let mut public = [0; LARGEST.public_size()];
    let key = MlDsaKey { set, private: None, seed: Some(&seed), public: None };
    let (private, public) = expand(driver, &key, &mut private, &mut public)?;
    let key = MlDsaKey { set, private: Some(private), seed: None, public: Some(public) };
    let mut encoded = Secret::<{ MlDsaKey::MAX_ENCODING }>::zero();
    let length = key.encode_private(encoded.as_mut_slice()).map_err(number_status)?;
    deliver(context, encoded.get(..length).unwrap_or_default(), &key)
}

/// What is signed: the message, or a digest of the hash that `prehash` names.
fn message(prehash: u32, bytes: &[u8]) -> Result<MlDsaMessage<'_>, Status> {
    let algorithm = match prehash {
        0 => return Ok(MlDsaMessage::Pure(bytes)),
        hash::SHA224 => HashAlgorithm::Sha224,
        hash::SHA256 => HashAlgorithm::Sha256,
        hash::SHA384 => HashAlgorithm::Sha384,
        hash::SHA512 => HashAlgorithm::Sha512,
        hash::SHA3_224 => HashAlgorithm::Sha3_224,
        hash::SHA3_256 => HashAlgorithm::Sha3_256,
        hash::SHA3_384 => HashAlgorithm::Sha3_384,
        hash::SHA3_512 => HashAlgorithm::Sha3_512,
        hash::SHA512_224 => HashAlgorithm::Sha512_224,
        hash::SHA512_256 => HashAlgorithm::Sha512_256,
        hash::SHAKE128 => HashAlgorithm::Shake128,
        hash::SHAKE256 => HashAlgorithm::Shake256,
        _ => return Err(Status::BAD_LENGTH),
    };
    Ok(MlDsaMessage::Digest(algorithm, bytes))
}

const fn ml_dsa_status(error: CryptoError) -> Status {
    match error {
        CryptoError::DataLength => Status::BAD_LENGTH,
        error => crypto_status(error),
    }
}

pub(super) fn check_context(context: &[u8]) -> Result<(), Status> {
    if context.len() > 255 { Err(Status::BAD_ARGUMENTS) } else { Ok(()) }
}

/// What is signed, and the room for the signature.
pub(super) type MessageAndRoom<'m> = (&'m [u8], &'m mut [u8]);

/// Signs the message that `obtain` gets once the key is there. `obtain` also gives the room for the signature, which
/// comes back.
pub(super) fn sign_message<'c, 'm, P: Platform>(
    context: &mut Context<'c, P>,
    driver: &dyn Driver,
    key: u32,
    (prehash, context_string): (u32, &[u8]),
    obtain: impl FnOnce(&mut Context<'c, P>, MlDsaSet) -> Result<MessageAndRoom<'m>, Status>,
) -> Result<&'m [u8], Status> {
    let mut key_room = Secret::<KEY_ROOM>::zero();
    let key = load_key(context, key, Usage::All(Flags::USAGE_SIGN), &mut key_room);
    let key = held(&key)?;
    let (bytes, room) = obtain(context, key.set)?;
    let message = message(prehash, bytes);
    let message = *held(&message)?;
    let signature = room.get_mut(..key.set.signature_size()).ok_or(Status::BUFFER)?;
    let mut expanded = Secret::<{ LARGEST.private_size() }>::zero();
    let mut public = [0; LARGEST.public_size()];
    let private = match key.private {
        Some(private) => private,
        None => expand(driver, key, &mut expanded, &mut public)?.0,
    };
    driver.ml_dsa_sign(key.set, private, message, context_string, signature).map_err(ml_dsa_status)?;
    Ok(signature)
}

#[inline(never)]
pub(super) fn sign<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, tail) =
        MlDsaSignRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    check_context(tails.context)?;
    lent.one(request.options, request.key);
    let (head, room) = operation.out.split_at_mut_checked(MlDsaSignResponse::SIZE).ok_or(Status::BUFFER)?;
    let variant = (request.prehash, tails.context);
    let signature =
        sign_message(context, operation.driver, request.key, variant, |_, _| Ok((tails.message, room)))?;
    let length = signature.len();
    let response = MlDsaSignResponse { length: u32::try_from(length).unwrap_or(0) };
    Ok(context.put(&response, head).saturating_add(length))
}

/// The public half of a key, computed into `buffer` if it is not stored.
pub(super) fn public<'b>(
    driver: &dyn Driver,
    key: &MlDsaKey<'b>,
    buffer: &'b mut [u8; LARGEST.public_size()],
) -> Result<&'b [u8], Status> {
    if let Some(public) = key.public {
        return Ok(public);
    }
    let mut private = Secret::<{ LARGEST.private_size() }>::zero();
    Ok(expand(driver, key, &mut private, buffer)?.1)
}

/// Whether the signature of the message is good that `obtain` gets, in this order, once the key is there.
pub(super) fn verify_message<'c, 'm, P: Platform>(
    context: &mut Context<'c, P>,
    driver: &dyn Driver,
    key: u32,
    (prehash, context_string): (u32, &[u8]),
    obtain: impl FnOnce(&mut Context<'c, P>, MlDsaSet) -> Result<(&'m [u8], &'m [u8]), Status>,
) -> Result<u32, Status> {
    let mut key_room = Secret::<KEY_ROOM>::zero();
    let key = load_key(context, key, Usage::All(Flags::USAGE_VERIFY), &mut key_room);
    let key = held(&key)?;
    let (signature, bytes) = obtain(context, key.set)?;
    let message = message(prehash, bytes);
    let message = *held(&message)?;
    if signature.len() != key.set.signature_size() {
        return Err(Status::BUFFER);
    }
    if !key.set.hint_is_well_formed(signature) {
        return Err(Status::SIGNATURE_VERIFICATION);
    }
    let mut buffer = [0; LARGEST.public_size()];
    let public = public(driver, key, &mut buffer)?;
    match driver.ml_dsa_verify(key.set, public, message, context_string, signature) {
        Ok(()) => Ok(1),
        Err(CryptoError::Authentication) => Ok(0),
        Err(error) => Err(ml_dsa_status(error)),
    }
}

#[inline(never)]
pub(super) fn verify<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, tail) =
        MlDsaVerifyRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    check_context(tails.context)?;
    lent.one(request.options, request.key);
    let variant = (request.prehash, tails.context);
    let valid = verify_message(context, operation.driver, request.key, variant, |_, _| {
        Ok((tails.signature, tails.message))
    })?;
    Ok(context.put(&MlDsaVerifyResponse { valid }, operation.out))
}
