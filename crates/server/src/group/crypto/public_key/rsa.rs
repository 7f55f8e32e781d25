//! RSA: the raw operations (document 05, §3). Padding is the client's affair.

use super::common::{ANY_USAGE, Lent, held, load, number_status};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::Operation;
use crate::keys::Usage;
use crate::platform::Platform;
use casemate_crypto::Secret;
use casemate_crypto::encoding::RsaKey;
use casemate_protocol::message::public_key::{
    RsaRequest, RsaResponse, RsaSizeRequest, RsaSizeResponse, rsa_operation,
};
use casemate_protocol::{Flags, Layout, Status};

/// Room for every encoding of an RSA key, a PKCS#8 wrapping with attributes included.
pub(super) const KEY_ROOM: usize = 2560;

/// The key that a message names, in `room`.
#[inline(never)]
fn load_key<'r, P: Platform>(
    context: &mut Context<'_, P>,
    key: u32,
    usage: Usage,
    room: &'r mut [u8; KEY_ROOM],
) -> Result<RsaKey<'r>, Status> {
    RsaKey::decode(load(context, key, usage, room)?).map_err(number_status)
}

#[inline(never)]
pub(super) fn operate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, tail) =
        RsaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let input = request.tail(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let (is_private, usage) = match request.operation {
        rsa_operation::PUBLIC_ENCRYPT => (false, Usage::All(Flags::USAGE_ENCRYPT)),
        rsa_operation::PUBLIC_DECRYPT => (false, Usage::Any(Flags::USAGE_DECRYPT | Flags::USAGE_VERIFY)),
        rsa_operation::PRIVATE_ENCRYPT => (true, Usage::Any(Flags::USAGE_ENCRYPT | Flags::USAGE_SIGN)),
        rsa_operation::PRIVATE_DECRYPT => (true, Usage::All(Flags::USAGE_DECRYPT)),
        _ => return Err(Status::CRYPTO_ARGUMENT),
    };
    lent.one(request.options, request.key);
    let mut room = Secret::<KEY_ROOM>::zero();
    let key = load_key(context, request.key, usage, &mut room);
    let key = held(&key)?;
    let size = key.public().modulus.len();
    if input.is_empty() || input.len() > size || request.capacity == 0 {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    if usize::try_from(request.capacity).is_ok_and(|capacity| capacity < size) {
        return Err(Status::RSA_BUFFER);
    }
    let (head, rest) = operation.out.split_at_mut_checked(RsaResponse::SIZE).ok_or(Status::RSA_BUFFER)?;
    let data = rest.get_mut(..size).ok_or(Status::RSA_BUFFER)?;
    let zeros = size.saturating_sub(input.len());
    data.get_mut(..zeros).unwrap_or_default().fill(0);
    data.get_mut(zeros..).unwrap_or_default().copy_from_slice(input);
    let driver = operation.driver;
    let result = match key {
        key if !is_private => driver.rsa_public(&key.public(), data),
        RsaKey::Private(key) => driver.rsa_private(key, data),
        RsaKey::Public(_) => return Err(Status::CRYPTO_ARGUMENT),
    };
    result.map_err(crypto_status)?;
    let response = RsaResponse { length: u32::try_from(size).unwrap_or(0) };
    Ok(context.put(&response, head).saturating_add(size))
}

#[inline(never)]
pub(super) fn size<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, _) =
        RsaSizeRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    lent.one(request.options, request.key);
    let mut room = Secret::<KEY_ROOM>::zero();
    let key = load_key(context, request.key, ANY_USAGE, &mut room);
    let key = held(&key)?;
    let size = u32::try_from(key.public().modulus.len()).unwrap_or(0);
    Ok(context.put(&RsaSizeResponse { size }, operation.out))
}
