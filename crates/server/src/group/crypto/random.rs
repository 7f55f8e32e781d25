//! Random numbers (document 04, §4).

use super::Operation;
use crate::context::Context;
use crate::error::crypto_status;
use crate::platform::Platform;
use casemate_protocol::message::crypto::{RandomRequest, RandomResponse};
use casemate_protocol::{Layout, Status};

/// As many bytes as asked for, or as fit.
#[inline(never)]
pub(super) fn random<P: Platform>(
    context: &Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) =
        RandomRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let (head, bytes) =
        operation.out.split_at_mut_checked(RandomResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let length = usize::try_from(request.length).unwrap_or(usize::MAX).min(bytes.len());
    let bytes = bytes.get_mut(..length).unwrap_or_default();
    operation.driver.fill(bytes).map_err(crypto_status)?;
    let response = RandomResponse { length: u32::try_from(length).unwrap_or(0) };
    Ok(context.put(&response, head).saturating_add(length))
}
