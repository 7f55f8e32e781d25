//! AES-CMAC whose state the client holds (document 04, §7). For a key that the server holds, only states that the server
//! gave out are accepted ([`crate::states`]).

use super::{KeyBytes, Operation};
use crate::config::Isolation;
use crate::error::crypto_status;
use crate::keys::Usage;
use crate::server::{Context, Platform};
use casemate_protocol::message::crypto::{CmacRequest, CmacResponse, CmacState};
use casemate_protocol::{Flags, KeyId, Layout, Status};

type CmacKey = KeyBytes<32>;

/// Data and a MAC length: one shot. No MAC length: absorb. A MAC length alone: finish.
pub(super) fn cmac<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        CmacRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let is_inline = !tails.key.is_empty();
    let key = if is_inline {
        CmacKey::inline(tails.key, Status::BAD_ARGUMENTS)?
    } else if request.key.is_some() {
        CmacKey::stored(context, request.key, Usage::Any(Flags::USAGE_SIGN | Flags::USAGE_VERIFY))?
    } else {
        return Err(Status::BAD_ARGUMENTS);
    };
    let is_valid_length = matches!(key.length, 16 | 24 | 32);
    if !is_inline && !is_valid_length {
        return Err(Status::ABORTED);
    }
    if request.mac_length != 0 && !(4..=16).contains(&request.mac_length) {
        return Err(Status::BUFFER);
    }
    if !is_valid_length {
        return Err(Status::CRYPTO_ARGUMENT);
    }

    let driver = context.server.platform().crypto(operation.affinity);
    let mac_length = usize::try_from(request.mac_length).map_err(|_| Status::BUFFER)?;
    let (head, rest) = operation.out.split_at_mut_checked(CmacResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let mac = rest.get_mut(..mac_length).ok_or(Status::BAD_ARGUMENTS)?;

    let is_resumed = mac_length == 0 || tails.input.is_empty();
    let must_be_known = !is_inline && context.server.config().isolation == Isolation::Strict;
    if is_resumed && must_be_known {
        let states = &context.session.cmac_states;
        if !states.knows(driver, key.as_slice(), &request.state).map_err(crypto_status)? {
            return Err(Status::BAD_ARGUMENTS);
        }
    }

    let response = if mac_length == 0 {
        let mut state = resume(&request.state)?;
        driver.cmac_update(key.as_slice(), &mut state, tails.input).map_err(crypto_status)?;
        let state = CmacState {
            buffer: state.pending,
            digest: state.chain,
            buffered: u32::try_from(state.pending_length).unwrap_or(0),
            total: state.absorbed,
        };
        if must_be_known {
            let states = &mut context.session.cmac_states;
            states.remember(driver, key.as_slice(), &state).map_err(crypto_status)?;
        }
        CmacResponse { state, mac_length: 0, key: request.key }
    } else {
        if tails.input.is_empty() {
            driver.cmac_finish(key.as_slice(), &resume(&request.state)?, mac).map_err(crypto_status)?;
        } else {
            casemate_crypto::cmac(driver, key.as_slice(), &[tails.input], mac).map_err(crypto_status)?;
        }
        CmacResponse { state: CmacState::INITIAL, mac_length: request.mac_length, key: KeyId::NONE }
    };
    Ok(context.put(&response, head).saturating_add(mac_length))
}

fn resume(state: &CmacState) -> Result<casemate_crypto::CmacState, Status> {
    let pending_length = usize::try_from(state.buffered).ok().filter(|&length| length <= 16);
    Ok(casemate_crypto::CmacState {
        pending: state.buffer,
        chain: state.digest,
        pending_length: pending_length.ok_or(Status::BAD_ARGUMENTS)?,
        absorbed: state.total,
    })
}
