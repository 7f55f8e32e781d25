//! Key derivation: HKDF and two-step CMAC (document 04, §8). The derived key is returned or cached.
//!
//! The original writes a long output over the information that it still reads, so that outputs beyond its first
//! blocks come out wrong; here they are what the standards say.

use super::new_key::Slots;
use super::{Operation, fetch};
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::{Usage, Wanted};
use crate::platform::Platform;
use casemate_crypto::{HashAlgorithm, Secret, wipe};
use casemate_protocol::message::crypto::{CmacKdfRequest, HkdfRequest, KdfResponse, hash};
use casemate_protocol::{Flags, KeyId, Layout, Status};

const DERIVE: Usage = Usage::All(Flags::USAGE_DERIVE);
/// Longest key that may be derived from by identifier.
const LONGEST_INPUT: usize = 256;

fn hash_algorithm(number: u32) -> Result<HashAlgorithm, Status> {
    Ok(match number {
        hash::SHA224 => HashAlgorithm::Sha224,
        hash::SHA256 => HashAlgorithm::Sha256,
        hash::SHA384 => HashAlgorithm::Sha384,
        hash::SHA512 => HashAlgorithm::Sha512,
        hash::SHA512_224 => HashAlgorithm::Sha512_224,
        hash::SHA512_256 => HashAlgorithm::Sha512_256,
        hash::SHA3_224 => HashAlgorithm::Sha3_224,
        hash::SHA3_256 => HashAlgorithm::Sha3_256,
        hash::SHA3_384 => HashAlgorithm::Sha3_384,
        hash::SHA3_512 => HashAlgorithm::Sha3_512,
        _ => return Err(Status::CRYPTO_ARGUMENT),
    })
}

#[inline(never)]
pub(super) fn hkdf<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        HkdfRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let named = KeyId::from_u32(request.key_in);
    let mut room = Secret::<LONGEST_INPUT>::zero();
    let input = if tails.key.is_empty() && named.is_some() {
        fetch(context, named, DERIVE, room.as_mut_slice())?
    } else {
        tails.key
    };
    let (head, key) = split(operation.out, request.length)?;
    let algorithm = hash_algorithm(request.hash)?;
    casemate_crypto::hkdf(operation.driver, algorithm, tails.salt, input, tails.info, key)
        .map_err(crypto_status)?;
    let wanted = Wanted { id: KeyId::from_u32(request.key_out), flags: request.flags, label: &request.label };
    deliver(context, head, key, &wanted)
}

#[inline(never)]
pub(super) fn cmac_kdf<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        CmacKdfRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut salt_room = Secret::<32>::zero();
    let salt = inline_or_stored(context, tails.salt, request.key_salt, salt_room.as_mut_slice())?;
    let mut z_room = Secret::<LONGEST_INPUT>::zero();
    let z = inline_or_stored(context, tails.z, request.key_z, z_room.as_mut_slice())?;
    if request.length == 0 {
        return Err(Status::BAD_ARGUMENTS);
    }
    let (head, key) = split(operation.out, request.length)?;
    casemate_crypto::cmac_kdf(operation.driver, salt, z, tails.info, key).map_err(crypto_status)?;
    let wanted = Wanted { id: KeyId::from_u32(request.key_out), flags: request.flags, label: &request.label };
    deliver(context, head, key, &wanted)
}

fn inline_or_stored<'k, P: Platform>(
    context: &mut Context<'_, P>,
    inline: &'k [u8],
    named: u32,
    room: &'k mut [u8],
) -> Result<&'k [u8], Status> {
    let named = KeyId::from_u32(named);
    if !inline.is_empty() {
        Ok(inline)
    } else if named.is_some() {
        fetch(context, named, DERIVE, room)
    } else {
        Err(Status::BAD_ARGUMENTS)
    }
}

/// The room for the response, and behind it that for a key of this length: keys are derived there, and moved to the cache
/// if they are to be cached.
fn split(out: &mut [u8], length: u32) -> Result<(&mut [u8], &mut [u8]), Status> {
    let (head, rest) = out.split_at_mut_checked(KdfResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let length = usize::try_from(length).map_err(|_| Status::BAD_ARGUMENTS)?;
    Ok((head, rest.get_mut(..length).ok_or(Status::BAD_ARGUMENTS)?))
}

/// Returns a derived key, which lies in the response, or moves it from there to the cache.
#[inline(never)]
fn deliver<P: Platform>(
    context: &mut Context<'_, P>,
    head: &mut [u8],
    key: &mut [u8],
    wanted: &Wanted<'_>,
) -> Result<usize, Status> {
    if wanted.is_ephemeral() {
        let length = u32::try_from(key.len()).unwrap_or(0);
        return Ok(context.put(&KdfResponse { key: 0, length }, head).saturating_add(key.len()));
    }
    let cached = wanted.cache(context, key, Slots::OfSize);
    wipe(key);
    Ok(context.put(&KdfResponse { key: u32::from(cached?.0), length: 0 }, head))
}
