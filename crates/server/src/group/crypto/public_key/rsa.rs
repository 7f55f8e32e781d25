//! RSA: the raw operations (document 05, §3). Padding is the client's affair.

use super::common::{ANY_USAGE, Lent, load, number_status};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::Operation;
use crate::keys::Usage;
use crate::platform::Platform;
use casemate_crypto::Secret;
use casemate_crypto::encoding::RsaKey;
use casemate_protocol::message::public_key::{
    RsaRequest, RsaResponse, RsaSizeRequest, RsaSizeResponse, algorithm, rsa_operation,
};
use casemate_protocol::{Flags, Layout, Status};

/// Room for every encoding of an RSA key, a PKCS#8 wrapping with attributes included.
pub(super) const KEY_ROOM: usize = 2560;

/// What a raw operation works with, besides its key.
struct Raw<'r> {
    is_private: bool,
    input: &'r [u8],
    capacity: u32,
}

/// A raw operation, or the look at a key's size.
#[inline(never)]
pub(super) fn operate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let Operation { algorithm, driver, body, out } = operation;
    let (key, options, usage, raw) = if algorithm == algorithm::RSA_SIZE {
        let (request, _) = RsaSizeRequest::decode(body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
        (request.key, request.options, ANY_USAGE, None)
    } else {
        let (request, tail) = RsaRequest::decode(body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
        let input = request.tail(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
        let (is_private, usage) = match request.operation {
            rsa_operation::PUBLIC_ENCRYPT => (false, Usage::All(Flags::USAGE_ENCRYPT)),
            rsa_operation::PUBLIC_DECRYPT => (false, Usage::Any(Flags::USAGE_DECRYPT | Flags::USAGE_VERIFY)),
            rsa_operation::PRIVATE_ENCRYPT => (true, Usage::Any(Flags::USAGE_ENCRYPT | Flags::USAGE_SIGN)),
            rsa_operation::PRIVATE_DECRYPT => (true, Usage::All(Flags::USAGE_DECRYPT)),
            _ => return Err(Status::CRYPTO_ARGUMENT),
        };
        (request.key, request.options, usage, Some(Raw { is_private, input, capacity: request.capacity }))
    };
    lent.one(options, key);
    let mut room = Secret::<KEY_ROOM>::zero();
    let key = RsaKey::decode(load(context, key, usage, room.as_mut_slice())?);
    let key = key.as_ref().map_err(|error| number_status(*error))?;
    let size = key.public().modulus.len();
    let length = u32::try_from(size).unwrap_or(0);
    let Some(Raw { is_private, input, capacity }) = raw else {
        return Ok(context.put(&RsaSizeResponse { size: length }, out));
    };
    if input.is_empty() || input.len() > size || capacity == 0 {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    if usize::try_from(capacity).is_ok_and(|capacity| capacity < size) {
        return Err(Status::RSA_BUFFER);
    }
    let (head, rest) = out.split_at_mut_checked(RsaResponse::SIZE).ok_or(Status::RSA_BUFFER)?;
    let data = rest.get_mut(..size).ok_or(Status::RSA_BUFFER)?;
    data.fill(0);
    let place = data.get_mut(size.saturating_sub(input.len())..).unwrap_or_default();
    for (to, from) in place.iter_mut().zip(input) {
        *to = *from;
    }
    let result = match key {
        key if !is_private => driver.rsa_public(&key.public(), data),
        RsaKey::Private(key) => driver.rsa_private(key, data),
        RsaKey::Public(_) => return Err(Status::CRYPTO_ARGUMENT),
    };
    result.map_err(crypto_status)?;
    Ok(context.put(&RsaResponse { length }, head).saturating_add(size))
}
