//! HKDF.

use super::{DERIVE, LONGEST_INPUT, deliver, split};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::{Operation, fetch};
use crate::keys::Wanted;
use crate::platform::Platform;
use casemate_crypto::{HashAlgorithm, Secret};
use casemate_protocol::message::crypto::{HkdfRequest, hash};
use casemate_protocol::{KeyId, Layout, Status};

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
pub(in crate::group::crypto) fn hkdf<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        HkdfRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let HkdfRequest { flags, key_in, key_out, hash, length, label, .. } = request;
    let named = KeyId::from_u32(key_in);
    let mut room = Secret::<LONGEST_INPUT>::zero();
    let input = if tails.key.is_empty() && named.is_some() {
        fetch(context, named, DERIVE, room.as_mut_slice())?
    } else {
        tails.key
    };
    let (head, key) = split(operation.out, length)?;
    let algorithm = hash_algorithm(hash)?;
    casemate_crypto::hkdf(operation.driver, algorithm, tails.salt, input, tails.info, key)
        .map_err(crypto_status)?;
    let wanted = Wanted { id: KeyId::from_u32(key_out), flags, label: &label };
    deliver(context, head, key, &wanted)
}
