//! AES-CMAC whose state the client holds (document 04, §7). For a key that the server holds, only states that the server
//! gave out are accepted ([`crate::states`]).

use super::{KeyBytes, Operation};
use crate::config::Isolation;
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::Usage;
use crate::platform::Platform;
use casemate_crypto::Driver;
use casemate_protocol::message::crypto::{CmacRequest, CmacResponse, CmacState};
use casemate_protocol::{Flags, KeyId, Layout, Status};

type CmacKey = KeyBytes<32>;

/// The key of a CMAC and what must be known of it.
pub(super) struct Keyed {
    key: CmacKey,
    /// Whether a state to go on from must be one that this session was given.
    must_be_known: bool,
}

impl Keyed {
    pub(super) fn as_slice(&self) -> &[u8] {
        self.key.as_slice()
    }
}

/// The key of a message: the inline one if there is one. Checks the MAC's length as well, in the documented order.
pub(super) fn keyed<P: Platform>(
    context: &mut Context<'_, P>,
    inline: &[u8],
    named: KeyId,
    mac_length: u32,
) -> Result<Keyed, Status> {
    let is_inline = !inline.is_empty();
    let key = if is_inline {
        CmacKey::inline(inline, Status::BAD_ARGUMENTS)?
    } else if named.is_some() {
        CmacKey::stored(context, named, Usage::Any(Flags::USAGE_SIGN | Flags::USAGE_VERIFY))?
    } else {
        return Err(Status::BAD_ARGUMENTS);
    };
    let is_valid_length = matches!(key.length, 16 | 24 | 32);
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

/// The state to go on from.
///
/// # Errors
/// BAD_ARGUMENTS for a state that no CMAC has, or that was not given to this session.
pub(super) fn resume<P: Platform>(
    context: &Context<'_, P>,
    driver: &dyn Driver,
    keyed: &Keyed,
    state: &CmacState,
) -> Result<casemate_crypto::CmacState, Status> {
    let states = &context.session.cmac_states;
    if keyed.must_be_known && !states.knows(driver, keyed.as_slice(), state).map_err(crypto_status)? {
        return Err(Status::BAD_ARGUMENTS);
    }
    let pending_length = usize::try_from(state.buffered).ok().filter(|&length| length <= 16);
    Ok(casemate_crypto::CmacState {
        pending: state.buffer,
        chain: state.digest,
        pending_length: pending_length.ok_or(Status::BAD_ARGUMENTS)?,
        absorbed: state.total,
    })
}

/// The state for the client to keep.
pub(super) fn suspend<P: Platform>(
    context: &mut Context<'_, P>,
    driver: &dyn Driver,
    keyed: &Keyed,
    state: &casemate_crypto::CmacState,
) -> Result<CmacState, Status> {
    let state = CmacState {
        buffer: state.pending,
        digest: state.chain,
        buffered: u32::try_from(state.pending_length).unwrap_or(0),
        total: state.absorbed,
    };
    if keyed.must_be_known {
        let states = &mut context.session.cmac_states;
        states.remember(driver, keyed.as_slice(), &state).map_err(crypto_status)?;
    }
    Ok(state)
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
    let keyed = keyed(context, tails.key, request.key, request.mac_length);
    let keyed = keyed.as_ref().map_err(|status| *status)?;
    let driver = operation.driver;
    let mac_length = usize::try_from(request.mac_length).map_err(|_| Status::BUFFER)?;
    let (head, rest) = operation.out.split_at_mut_checked(CmacResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let mac = rest.get_mut(..mac_length).ok_or(Status::BAD_ARGUMENTS)?;

    let response = if mac_length == 0 {
        let state = absorb(context, driver, keyed, &request.state, tails.input)?;
        CmacResponse { state, mac_length: 0, key: request.key }
    } else {
        if tails.input.is_empty() {
            finish(context, driver, keyed, &request.state, mac)?;
        } else {
            casemate_crypto::cmac(driver, keyed.as_slice(), &[tails.input], mac).map_err(crypto_status)?;
        }
        CmacResponse { state: CmacState::INITIAL, mac_length: request.mac_length, key: KeyId::NONE }
    };
    Ok(context.put(&response, head).saturating_add(mac_length))
}

// Not inlined: a MAC that is computed at once has no state on the stack.

#[inline(never)]
fn absorb<P: Platform>(
    context: &mut Context<'_, P>,
    driver: &dyn Driver,
    keyed: &Keyed,
    state: &CmacState,
    input: &[u8],
) -> Result<CmacState, Status> {
    let mut state = resume(context, driver, keyed, state)?;
    driver.cmac_update(keyed.as_slice(), &mut state, input).map_err(crypto_status)?;
    suspend(context, driver, keyed, &state)
}

#[inline(never)]
fn finish<P: Platform>(
    context: &Context<'_, P>,
    driver: &dyn Driver,
    keyed: &Keyed,
    state: &CmacState,
    mac: &mut [u8],
) -> Result<(), Status> {
    let state = resume(context, driver, keyed, state)?;
    driver.cmac_finish(keyed.as_slice(), &state, mac).map_err(crypto_status)
}
