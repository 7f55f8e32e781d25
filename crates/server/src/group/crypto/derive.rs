//! Key derivation: HKDF and two-step CMAC (document 04, §8). The derived key is returned or cached.
//!
//! The original writes a long output over the information that it still reads, so that outputs beyond its first
//! blocks come out wrong; here they are what the standards say.

use super::{KeyBytes, Operation};
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::{Source, Usage, Wanted};
use crate::platform::Platform;
use casemate_crypto::{HashAlgorithm, wipe};
use casemate_protocol::message::crypto::{CmacKdfRequest, HkdfRequest, KdfResponse, hash};
use casemate_protocol::{Flags, KeyId, Label, Layout, Status};

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

/// What becomes of the derived key.
struct Output {
    flags: u32,
    key: u32,
    label: Label,
    length: u32,
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
    let stored = if tails.key.is_empty() && named.is_some() {
        Some(KeyBytes::<LONGEST_INPUT>::stored(context, named, DERIVE)?)
    } else {
        None
    };
    let input = stored.as_ref().map_or(tails.key, KeyBytes::as_slice);
    let output =
        Output { flags: request.flags, key: request.key_out, label: request.label, length: request.length };
    deliver(context, operation.out, &output, |key| {
        let algorithm = hash_algorithm(request.hash)?;
        casemate_crypto::hkdf(operation.driver, algorithm, tails.salt, input, tails.info, key)
            .map_err(crypto_status)
    })
}

#[inline(never)]
pub(super) fn cmac_kdf<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        CmacKdfRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let stored_salt = stored_unless_inline::<P, 32>(context, tails.salt, request.key_salt)?;
    let stored_z = stored_unless_inline::<P, LONGEST_INPUT>(context, tails.z, request.key_z)?;
    let salt = stored_salt.as_ref().map_or(tails.salt, KeyBytes::as_slice);
    let z = stored_z.as_ref().map_or(tails.z, KeyBytes::as_slice);
    if request.length == 0 {
        return Err(Status::BAD_ARGUMENTS);
    }
    let output =
        Output { flags: request.flags, key: request.key_out, label: request.label, length: request.length };
    deliver(context, operation.out, &output, |key| {
        casemate_crypto::cmac_kdf(operation.driver, salt, z, tails.info, key).map_err(crypto_status)
    })
}

fn stored_unless_inline<P: Platform, const N: usize>(
    context: &mut Context<'_, P>,
    inline: &[u8],
    named: u32,
) -> Result<Option<KeyBytes<N>>, Status> {
    let named = KeyId::from_u32(named);
    if !inline.is_empty() {
        Ok(None)
    } else if named.is_some() {
        KeyBytes::stored(context, named, DERIVE).map(Some)
    } else {
        Err(Status::BAD_ARGUMENTS)
    }
}

/// Derives into the response; a key that is to be cached is moved from there to the cache.
fn deliver<P: Platform>(
    context: &mut Context<'_, P>,
    out: &mut [u8],
    output: &Output,
    derive: impl FnOnce(&mut [u8]) -> Result<(), Status>,
) -> Result<usize, Status> {
    let (head, rest) = out.split_at_mut_checked(KdfResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let length = usize::try_from(output.length).map_err(|_| Status::BAD_ARGUMENTS)?;
    let key = rest.get_mut(..length).ok_or(Status::BAD_ARGUMENTS)?;
    derive(key)?;

    let flags = Flags::from_client(output.flags);
    if flags.contains(Flags::EPHEMERAL) {
        return Ok(context.put(&KdfResponse { key: 0, length: output.length }, head).saturating_add(length));
    }
    let wanted = Wanted { id: KeyId::from_u32(output.key), flags: output.flags, label: &output.label };
    let cached = context.locked(|keys| keys.create(&wanted, &Source::Server(key)));
    wipe(key);
    Ok(context.put(&KdfResponse { key: u32::from(cached?.0), length: 0 }, head))
}
