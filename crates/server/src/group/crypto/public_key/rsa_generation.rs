//! Generation of RSA keys (document 05, §3). A feature of its own: what completes a key of its primes is large.

use super::common::{deliver_key, number_status};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::Operation;
use crate::group::crypto::new_key::Slots;
use crate::keys::Wanted;
use crate::platform::Platform;
use casemate_crypto::encoding::{RsaKey, encode_rsa_private, encode_rsa_public};
use casemate_crypto::{RSA_MAX_BITS, RSA_MAX_BYTES, RSA_MIN_BITS, RsaComponents, Secret};
use casemate_protocol::message::public_key::RsaKeyGenerationRequest;
use casemate_protocol::{KeyId, Layout, Status};

#[inline(never)]
pub(super) fn generate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) =
        RsaKeyGenerationRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    // Peers round a size that is no multiple of 16 down.
    let size = usize::try_from(request.size & !0xF).unwrap_or(usize::MAX);
    let is_size = (RSA_MIN_BITS..=RSA_MAX_BITS).contains(&size) && request.size <= 4096;
    if !is_size || request.exponent < 3 || request.exponent % 2 == 0 {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    let mut primes = Secret::<RSA_MAX_BYTES>::zero();
    let primes = primes.get_mut(..size / 8).ok_or(Status::CRYPTO_ARGUMENT)?;
    let driver = operation.driver;
    driver.rsa_generate(size, request.exponent, primes).map_err(crypto_status)?;
    let (p, q) = primes.split_at_checked(size / 16).ok_or(Status::ABORTED)?;
    let key = RsaComponents::derive(p, q, request.exponent).map_err(crypto_status)?;
    let mut encoded = Secret::<{ RsaKey::MAX_ENCODING }>::zero();
    let length = encode_rsa_private(&key.private_key(), encoded.as_mut_slice()).map_err(number_status)?;
    let encoded = encoded.get(..length).unwrap_or_default();
    let wanted = Wanted { id: KeyId::from_u32(request.key), flags: request.flags, label: &request.label };
    deliver_key(context, operation.out, &wanted, encoded, Slots::BigFirst, &|out| {
        encode_rsa_public(&key.public_key(), out)
    })
}
