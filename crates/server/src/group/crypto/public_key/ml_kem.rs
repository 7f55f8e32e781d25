//! ML-KEM (document 05, §8). Keys are stored raw; the level in a message must be the key's.

use super::common::{Lent, deliver_key, held, load};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::Operation;
use crate::group::crypto::new_key::Slots;
use crate::keys::{Usage, Wanted};
use crate::platform::Platform;
use casemate_crypto::encoding::{EncodingError, MlKemKey};
use casemate_crypto::{Driver, Error as CryptoError, MlKemSet, Secret};
use casemate_protocol::message::public_key::{
    MlKemDecapsulateRequest, MlKemDecapsulateResponse, MlKemEncapsulateRequest, MlKemEncapsulateResponse,
    MlKemKeyGenerationRequest,
};
use casemate_protocol::{Flags, KeyId, Layout, Status};

/// Room for the largest key.
pub(super) const KEY_ROOM: usize = MlKemKey::MAX_ENCODING;
pub(super) const SECRET: usize = 32;

const fn named_set(level: u32) -> Result<MlKemSet, Status> {
    match level {
        0 => Ok(MlKemSet::MlKem512),
        1 => Ok(MlKemSet::MlKem768),
        2 => Ok(MlKemSet::MlKem1024),
        _ => Err(Status::BAD_ARGUMENTS),
    }
}

#[inline(never)]
pub(super) fn generate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) = MlKemKeyGenerationRequest::decode(operation.body, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)?;
    let MlKemKeyGenerationRequest { level, key, flags, label, .. } = request;
    let wanted = Wanted { id: KeyId::from_u32(key), flags, label: &label };
    generate_key(context, operation.driver, level, |context, private, public| {
        deliver_key(context, operation.out, &wanted, private, Slots::OfSize, &|out| {
            encode_public(public, out)
        })
    })
}

/// The raw form of a public half.
pub(super) fn encode_public(public: &[u8], out: &mut [u8]) -> Result<usize, EncodingError> {
    let needed = public.len();
    out.get_mut(..needed).ok_or(EncodingError::OutputLength { needed })?.copy_from_slice(public);
    Ok(needed)
}

/// Makes a key and gives its private and its public half to `deliver`.
pub(super) fn generate_key<'c, P: Platform, R>(
    context: &mut Context<'c, P>,
    driver: &dyn Driver,
    level: u32,
    deliver: impl FnOnce(&mut Context<'c, P>, &[u8], &[u8]) -> Result<R, Status>,
) -> Result<R, Status> {
    let set = named_set(level)?;
    let mut seed = Secret::<64>::zero();
    driver.fill(seed.as_mut_slice()).map_err(crypto_status)?;
    let mut private = Secret::<KEY_ROOM>::zero();
    let private = private.get_mut(..set.private_size()).ok_or(Status::ABORTED)?;
    driver.ml_kem_from_seed(set, &seed, private).map_err(crypto_status)?;
    let public = set.public_of(private).ok_or(Status::ABORTED)?;
    deliver(context, private, public)
}

/// The key that a message names, in `room`.
fn load_key<'r, P: Platform>(
    context: &mut Context<'_, P>,
    key: u32,
    set: MlKemSet,
    room: &'r mut [u8; KEY_ROOM],
) -> Result<MlKemKey<'r>, Status> {
    let bytes = load(context, key, Usage::All(Flags::USAGE_DERIVE), room).map_err(|status| match status {
        Status::ASN_PARSE => Status::BUFFER,
        status => status,
    })?;
    match MlKemKey::decode(bytes) {
        Ok(key) if key.set == set => Ok(key),
        Ok(_) => Err(Status::BAD_ARGUMENTS),
        Err(_) => Err(Status::BUFFER),
    }
}

/// A key that fails its check, like a ciphertext of the wrong length, is a buffer of the wrong size to peers.
const fn ml_kem_status(error: CryptoError) -> Status {
    match error {
        CryptoError::Key | CryptoError::KeyLength | CryptoError::DataLength => Status::BUFFER,
        error => crypto_status(error),
    }
}

/// Encapsulates for a key into the room that `obtain` gives once the key is there. The ciphertext comes back.
pub(super) fn encapsulate_for<'c, 'm, P: Platform>(
    context: &mut Context<'c, P>,
    driver: &dyn Driver,
    level: u32,
    key: u32,
    secret: &mut [u8; SECRET],
    obtain: impl FnOnce(&mut Context<'c, P>, MlKemSet) -> Result<&'m mut [u8], Status>,
) -> Result<&'m [u8], Status> {
    let set = named_set(level)?;
    let mut key_room = Secret::<KEY_ROOM>::zero();
    let key = load_key(context, key, set, &mut key_room);
    let key = held(&key)?;
    let room = obtain(context, set)?;
    let ciphertext = room.get_mut(..set.ciphertext_size()).ok_or(Status::BAD_ARGUMENTS)?;
    if let Some(private) = key.private {
        driver.ml_kem_check(set, private).map_err(ml_kem_status)?;
    }
    driver.ml_kem_encapsulate(set, key.public, ciphertext, secret).map_err(ml_kem_status)?;
    Ok(ciphertext)
}

/// Decapsulates the ciphertext that `obtain` gets once the key is there.
pub(super) fn decapsulate_with<'c, 'm, P: Platform>(
    context: &mut Context<'c, P>,
    driver: &dyn Driver,
    level: u32,
    key: u32,
    secret: &mut [u8; SECRET],
    obtain: impl FnOnce(&mut Context<'c, P>, MlKemSet) -> Result<&'m [u8], Status>,
) -> Result<(), Status> {
    let set = named_set(level)?;
    let mut key_room = Secret::<KEY_ROOM>::zero();
    let key = load_key(context, key, set, &mut key_room);
    let private = held(&key)?.private.ok_or(Status::BAD_STATE)?;
    let ciphertext = obtain(context, set)?;
    driver.ml_kem_decapsulate(set, private, ciphertext, secret).map_err(ml_kem_status)
}

#[inline(never)]
pub(super) fn encapsulate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, _) =
        MlKemEncapsulateRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    lent.one(request.options, request.key);
    let (head, rest) =
        operation.out.split_at_mut_checked(MlKemEncapsulateResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let mut secret = Secret::<SECRET>::zero();
    let mut behind = None;
    let MlKemEncapsulateRequest { level, key, .. } = request;
    let ciphertext = encapsulate_for(context, operation.driver, level, key, &mut secret, |_, set| {
        let (ciphertext, rest) =
            rest.split_at_mut_checked(set.ciphertext_size()).ok_or(Status::BAD_ARGUMENTS)?;
        behind = Some(rest.first_chunk_mut::<SECRET>().ok_or(Status::BAD_ARGUMENTS)?);
        Ok(ciphertext)
    })?;
    let length = ciphertext.len();
    *behind.ok_or(Status::ABORTED)? = *secret;
    let response = MlKemEncapsulateResponse {
        ciphertext_length: u32::try_from(length).unwrap_or(0),
        secret_length: u32::try_from(SECRET).unwrap_or(0),
    };
    Ok(context.put(&response, head).saturating_add(length).saturating_add(SECRET))
}

#[inline(never)]
pub(super) fn decapsulate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, tail) =
        MlKemDecapsulateRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    lent.one(request.options, request.key);
    let MlKemDecapsulateRequest { level, key, .. } = request;
    named_set(level)?;
    let ciphertext = request.tail(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let (head, rest) =
        operation.out.split_at_mut_checked(MlKemDecapsulateResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let secret = rest.first_chunk_mut::<SECRET>().ok_or(Status::BAD_ARGUMENTS)?;
    decapsulate_with(context, operation.driver, level, key, secret, |_, _| Ok(ciphertext))?;
    let response = MlKemDecapsulateResponse { secret_length: u32::try_from(SECRET).unwrap_or(0) };
    Ok(context.put(&response, head).saturating_add(SECRET))
}
