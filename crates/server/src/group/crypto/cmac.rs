//! AES-CMAC whose state the client holds (document 04, §7). For a key that the server holds, only states that the server
//! gave out are accepted ([`crate::states`]).

use super::aes::{KeyRoom, LONGEST_KEY};
use super::{Operation, fetch};
use crate::config::Isolation;
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::Usage;
use crate::platform::Platform;
use casemate_crypto::Driver;
use casemate_protocol::message::crypto::{CmacRequest, CmacResponse, CmacState};
use casemate_protocol::{Flags, KeyId, Layout, Status};

/// The key of a CMAC and what must be known of it.
pub(super) struct Keyed<'k> {
    pub(super) key: &'k [u8],
    /// Whether a state to go on from must be one that this session was given.
    must_be_known: bool,
}

/// The key of a message: the inline one if there is one. Checks the MAC's length as well, in the documented order.
pub(super) fn keyed<'k, P: Platform>(
    context: &mut Context<'_, P>,
    inline: &'k [u8],
    named: KeyId,
    mac_length: u32,
    room: &'k mut KeyRoom,
) -> Result<Keyed<'k>, Status> {
    let is_inline = !inline.is_empty();
    let key = if is_inline {
        inline
    } else if named.is_some() {
        let usage = Usage::Any(Flags::USAGE_SIGN | Flags::USAGE_VERIFY);
        fetch(context, named, usage, room.as_mut_slice())?
    } else {
        return Err(Status::BAD_ARGUMENTS);
    };
    if key.len() > LONGEST_KEY {
        return Err(Status::BAD_ARGUMENTS);
    }
    let is_valid_length = matches!(key.len(), 16 | 24 | 32);
    if !is_inline && !is_valid_length {
        return Err(Status::ABORTED);
    }
    if !is_valid_length {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    if mac_length != 0 && !(4..=16).contains(&mac_length) {
        return Err(Status::BUFFER);
    }
    let must_be_known = !is_inline && context.server.config().isolation == Isolation::Strict;
    Ok(Keyed { key, must_be_known })
}

/// Checks a state to go on from.
///
/// # Errors
/// BAD_ARGUMENTS for a state that no CMAC has, or that was not given to this session.
pub(super) fn check_state<P: Platform>(
    context: &Context<'_, P>,
    driver: &dyn Driver,
    keyed: &Keyed<'_>,
    state: &CmacState,
) -> Result<(), Status> {
    let states = &context.session.cmac_states;
    if keyed.must_be_known && !states.knows(driver, keyed.key, state).map_err(crypto_status)? {
        return Err(Status::BAD_ARGUMENTS);
    }
    if state.buffered > 16 { Err(Status::BAD_ARGUMENTS) } else { Ok(()) }
}

/// A state that [`check_state`] has found good, for the driver.
pub(super) fn resume(state: &CmacState) -> casemate_crypto::CmacState {
    casemate_crypto::CmacState {
        pending: state.buffer,
        chain: state.digest,
        pending_length: usize::try_from(state.buffered).unwrap_or(usize::MAX),
        absorbed: state.total,
    }
}

/// The state for the client to keep, in `state`.
pub(super) fn suspend<P: Platform>(
    context: &mut Context<'_, P>,
    driver: &dyn Driver,
    keyed: &Keyed<'_>,
    suspended: &casemate_crypto::CmacState,
    state: &mut CmacState,
) -> Result<(), casemate_crypto::Error> {
    state.buffer = suspended.pending;
    state.digest = suspended.chain;
    state.buffered = u32::try_from(suspended.pending_length).unwrap_or(0);
    state.total = suspended.absorbed;
    if keyed.must_be_known {
        context.session.cmac_states.remember(driver, keyed.key, state)?;
    }
    Ok(())
}

/// Data and a MAC length: one shot. No MAC length: absorb. A MAC length alone: finish.
#[inline(never)]
pub(super) fn cmac<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        CmacRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut room = KeyRoom::zero();
    let keyed = keyed(context, tails.key, request.key, request.mac_length, &mut room)?;
    let driver = operation.driver;
    let mac_length = usize::try_from(request.mac_length).map_err(|_| Status::BUFFER)?;
    let (head, rest) = operation.out.split_at_mut_checked(CmacResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let mac = rest.get_mut(..mac_length).ok_or(Status::BAD_ARGUMENTS)?;

    let key = if mac_length == 0 { request.key } else { KeyId::NONE };
    // The state changes where the response has it.
    let mut response = CmacResponse { state: request.state, mac_length: request.mac_length, key };
    if mac_length != 0 && !tails.input.is_empty() {
        response.state = CmacState::INITIAL;
        casemate_crypto::cmac(driver, keyed.key, &[tails.input], mac).map_err(crypto_status)?;
    } else {
        step(context, driver, &keyed, &mut response.state, tails.input, mac)?;
    }
    Ok(context.put(&response, head).saturating_add(mac_length))
}

/// Absorbs the input, or finishes if a MAC is wanted. Not inlined: a MAC that is computed at once has no state on the stack.
#[inline(never)]
fn step<P: Platform>(
    context: &mut Context<'_, P>,
    driver: &dyn Driver,
    keyed: &Keyed<'_>,
    state: &mut CmacState,
    input: &[u8],
    mac: &mut [u8],
) -> Result<(), Status> {
    check_state(context, driver, keyed, state)?;
    let mut resumed = resume(state);
    let result = if mac.is_empty() {
        let absorbed = driver.cmac_update(keyed.key, &mut resumed, input);
        absorbed.and_then(|()| suspend(context, driver, keyed, &resumed, state))
    } else {
        *state = CmacState::INITIAL;
        driver.cmac_finish(keyed.key, &resumed, mac)
    };
    result.map_err(crypto_status)
}
