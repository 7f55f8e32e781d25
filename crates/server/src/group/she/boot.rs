//! Secure boot (document 06, §6): the CMAC of an image under BOOT_MAC_KEY is compared with BOOT_MAC. Success opens the
//! gate for all other commands.

use super::slots::Slot;
use super::state::{Measurement, SecureBoot, State};
use super::{Surroundings, empty, outcome_response, with_state};
use crate::config::SheBoot;
use crate::context::Context;
use crate::error::crypto_status;
use crate::platform::Platform;
use casemate_crypto::she::boot_mac_header;
use casemate_crypto::{CmacState, constant_time_equal};
use casemate_protocol::message::she::{
    OutcomeResponse, SecureBootInitRequest, SecureBootUpdateRequest, action, slot,
};
use casemate_protocol::{Layout, Status};

/// The boot MAC does not match; clients see GENERAL_ERROR.
const MISMATCH: Status = Status::MAC_COMPARE_FAILED;

/// One of the three commands. Any error but NO_SECURE_BOOT throws secure boot back to its beginning, also after a
/// success, unless the outcome is final.
#[inline(never)]
pub(super) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
) -> OutcomeResponse {
    let outcome = with_state(context, action, |state, surroundings| {
        let result = match action {
            action::SECURE_BOOT_INIT => init(state, surroundings, payload),
            action::SECURE_BOOT_UPDATE => update(state, surroundings, payload),
            _ => finish(state, surroundings, payload),
        };
        let is_over = matches!(state.boot, SecureBoot::Success { .. } | SecureBoot::Failure);
        let is_final = is_over && surroundings.options().boot == SheBoot::Final;
        if result.is_err_and(|error| error != Status::SHE_NO_SECURE_BOOT) && !is_final {
            state.boot = SecureBoot::Init;
        }
        Ok(result)
    });
    // At the end, the original says it twice only if the MAC is wrong.
    outcome_response(outcome, |error| match action {
        action::SECURE_BOOT_FINISH if error != MISMATCH => Status::OK,
        _ => Status::SHE_GENERAL_ERROR,
    })
}

fn init<P: Platform>(
    state: &mut State,
    surroundings: &mut Surroundings<'_, P>,
    payload: &[u8],
) -> Result<(), Status> {
    let (request, _) =
        SecureBootInitRequest::decode(payload, surroundings.order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
    if !matches!(state.boot, SecureBoot::Init) {
        return Err(Status::SHE_SEQUENCE_ERROR);
    }
    let id = surroundings.slot(slot::BOOT_MAC_KEY);
    // A store that cannot be read is no store without a key.
    let key = match (surroundings.keys(|keys| keys.slot(id))?, surroundings.options().boot) {
        (Slot::Key(key), _) => key.bytes,
        (Slot::Short | Slot::Long, SheBoot::Final) => {
            state.boot = SecureBoot::Failure;
            return Err(Status::SHE_KEY_INVALID);
        }
        (Slot::Absent | Slot::Short | Slot::Long, _) => {
            state.boot = SecureBoot::Success { verified: false };
            return Err(Status::SHE_NO_SECURE_BOOT);
        }
    };
    let mut mac = CmacState::default();
    // The original hashes the length as its processor stores it (document 06, §6).
    let header = boot_mac_header(request.length.to_ne_bytes());
    surroundings.driver().cmac_update(key.as_slice(), &mut mac, &header).map_err(crypto_status)?;
    state.boot = SecureBoot::Update(Measurement { length: request.length, received: 0, key, mac });
    Ok(())
}

fn update<P: Platform>(
    state: &mut State,
    surroundings: &mut Surroundings<'_, P>,
    payload: &[u8],
) -> Result<(), Status> {
    let (request, tail) = SecureBootUpdateRequest::decode(payload, surroundings.order)
        .map_err(|_| Status::SHE_GENERAL_ERROR)?;
    let SecureBoot::Update(measurement) = &mut state.boot else { return Err(Status::SHE_SEQUENCE_ERROR) };
    let part = request.part(tail).map_err(|_| Status::SHE_GENERAL_ERROR)?;
    let received = measurement
        .received
        .checked_add(request.length)
        .filter(|&received| received <= measurement.length)
        .ok_or(Status::SHE_SEQUENCE_ERROR)?;
    let key = measurement.key.as_slice();
    surroundings.driver().cmac_update(key, &mut measurement.mac, part).map_err(crypto_status)?;
    measurement.received = received;
    if received == measurement.length {
        let SecureBoot::Update(measurement) = core::mem::replace(&mut state.boot, SecureBoot::Init) else {
            return Err(Status::SHE_SEQUENCE_ERROR);
        };
        state.boot = SecureBoot::Finish(measurement);
    }
    Ok(())
}

fn finish<P: Platform>(
    state: &mut State,
    surroundings: &mut Surroundings<'_, P>,
    payload: &[u8],
) -> Result<(), Status> {
    empty(payload)?;
    let SecureBoot::Finish(measurement) = &state.boot else { return Err(Status::SHE_SEQUENCE_ERROR) };
    let id = surroundings.slot(slot::BOOT_MAC);
    let outcome = match surroundings.keys(|keys| keys.slot(id)) {
        Ok(Slot::Key(expected)) => {
            let mut mac = [0; 16];
            let key = measurement.key.as_slice();
            surroundings.driver().cmac_finish(key, &measurement.mac, &mut mac).map_err(crypto_status)?;
            if constant_time_equal(&mac, expected.bytes.as_slice()) { Ok(()) } else { Err(MISMATCH) }
        }
        Ok(_) | Err(_) => Err(Status::SHE_KEY_NOT_AVAILABLE),
    };
    match (outcome, surroundings.options().boot) {
        (Ok(()), _) => state.boot = SecureBoot::Success { verified: true },
        (Err(_), SheBoot::Final) => state.boot = SecureBoot::Failure,
        (Err(_), SheBoot::Repeatable) => {}
    }
    outcome
}
