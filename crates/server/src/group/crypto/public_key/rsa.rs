//! RSA: the raw operations (document 05, §3). Padding is the client's affair.

use super::common::{ANY_USAGE, Lent, encoding_status, load};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::Operation;
use crate::keys::Usage;
use crate::platform::Platform;
use casemate_crypto::Secret;
use casemate_crypto::encoding::{EncodingError, RsaKey};
use casemate_protocol::message::public_key::{
    RsaRequest, RsaResponse, RsaSizeRequest, RsaSizeResponse, rsa_operation,
};
use casemate_protocol::{Flags, Layout, Status};

/// Room for every encoding of an RSA key, a PKCS#8 wrapping with attributes included.
pub(super) const KEY_ROOM: usize = 2560;

/// The status of bytes that are no RSA key, or not the half that is needed.
pub(super) const fn rsa_encoding_status(error: EncodingError) -> Status {
    match error {
        EncodingError::Missing => Status::CRYPTO_ARGUMENT,
        EncodingError::Mismatch => Status::ASN_PARSE,
        error => encoding_status(error),
    }
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
    let bytes = load(context, request.key, usage, room.as_mut_slice())?;
    let key = RsaKey::decode(bytes).map_err(rsa_encoding_status)?;
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
    if is_private {
        driver.rsa_private(&key.private().map_err(rsa_encoding_status)?, data).map_err(crypto_status)?;
    } else {
        driver.rsa_public(&key.public(), data).map_err(crypto_status)?;
    }
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
    let bytes = load(context, request.key, ANY_USAGE, room.as_mut_slice())?;
    let key = RsaKey::decode(bytes).map_err(rsa_encoding_status)?;
    let size = u32::try_from(key.public().modulus.len()).unwrap_or(0);
    Ok(context.put(&RsaSizeResponse { size }, operation.out))
}
