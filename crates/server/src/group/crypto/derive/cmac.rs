//! Two-step derivation with CMAC.

use super::{DERIVE, LONGEST_INPUT, deliver, split};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::{Operation, fetch};
use crate::keys::Wanted;
use crate::platform::Platform;
use casemate_crypto::Secret;
use casemate_protocol::message::crypto::CmacKdfRequest;
use casemate_protocol::{KeyId, Layout, Status};

#[inline(never)]
pub(in crate::group::crypto) fn cmac_kdf<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        CmacKdfRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let CmacKdfRequest { flags, key_salt, key_z, key_out, length, label, .. } = request;
    let mut salt_room = Secret::<32>::zero();
    let salt = inline_or_stored(context, tails.salt, key_salt, salt_room.as_mut_slice())?;
    let mut z_room = Secret::<LONGEST_INPUT>::zero();
    let z = inline_or_stored(context, tails.z, key_z, z_room.as_mut_slice())?;
    if length == 0 {
        return Err(Status::BAD_ARGUMENTS);
    }
    let (head, key) = split(operation.out, length)?;
    casemate_crypto::cmac_kdf(operation.driver, salt, z, tails.info, key).map_err(crypto_status)?;
    let wanted = Wanted { id: KeyId::from_u32(key_out), flags, label: &label };
    deliver(context, head, key, &wanted)
}

#[inline(never)]
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
