//! Secure boot (document 06, §6): the CMAC of an image under BOOT_MAC_KEY is compared with BOOT_MAC. Success opens the
//! gate for all other commands.

use super::slots::{Slot, unlabelled};
use super::state::{Measurement, SecureBoot, State};
use super::{Command, malformed};
use crate::config::SheBoot;
use crate::error::crypto_status;
use crate::platform::Platform;
use casemate_crypto::she::boot_mac_header;
use casemate_crypto::{Driver, Secret, constant_time_equal};
use casemate_protocol::message::she::{SecureBootInitRequest, SecureBootUpdateRequest, action, slot};
use casemate_protocol::{Metadata, Status};

/// The boot MAC does not match; clients see GENERAL_ERROR.
pub(super) const MISMATCH: Status = Status::MAC_COMPARE_FAILED;

/// One of the three commands. Any error but NO_SECURE_BOOT throws secure boot back to its beginning, also after a
/// success, unless the outcome is final.
pub(super) fn handle<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    let result = match command.action {
        action::SECURE_BOOT_INIT => init(state, command),
        action::SECURE_BOOT_UPDATE => update(state, command),
        _ => finish(state, command),
    };
    let is_over = matches!(state.boot, SecureBoot::Success { .. } | SecureBoot::Failure);
    let is_final = is_over && command.options().boot == SheBoot::Final;
    if result.is_err_and(|error| error != Status::SHE_NO_SECURE_BOOT) && !is_final {
        state.end_boot(SecureBoot::Init);
    }
    result
}

fn init<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    let (SecureBootInitRequest { length }, _) = command.request()?;
    if !matches!(state.boot, SecureBoot::Init) {
        return Err(Status::SHE_SEQUENCE_ERROR);
    }
    let measurement = &mut state.measurement;
    measurement.length = length;
    let mut metadata = unlabelled(command.slot(slot::BOOT_MAC_KEY));
    // A store that cannot be read is no store without a key.
    match (command.read_slot(&mut metadata, &mut measurement.key)?, command.options().boot) {
        (Slot::Key, _) => {}
        (Slot::Short | Slot::Long, SheBoot::Final) => {
            state.end_boot(SecureBoot::Failure);
            return Err(Status::SHE_KEY_INVALID);
        }
        (Slot::Absent | Slot::Short | Slot::Long, _) => {
            state.end_boot(SecureBoot::Success { verified: false });
            return Err(Status::SHE_NO_SECURE_BOOT);
        }
    }
    // The original hashes the length as its processor stores it (document 06, §6).
    measurement.update(command.driver(), &boot_mac_header(length.to_ne_bytes()))?;
    state.boot = SecureBoot::Update;
    Ok(())
}

fn update<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    let (request, tail): (SecureBootUpdateRequest, _) = command.request()?;
    if !matches!(state.boot, SecureBoot::Update) {
        return Err(Status::SHE_SEQUENCE_ERROR);
    }
    let measurement = &mut state.measurement;
    let part = request.part(tail).map_err(malformed)?;
    let received = measurement
        .received
        .checked_add(request.length)
        .filter(|&received| received <= measurement.length)
        .ok_or(Status::SHE_SEQUENCE_ERROR)?;
    measurement.update(command.driver(), part)?;
    measurement.received = received;
    if received == measurement.length {
        state.boot = SecureBoot::Finish;
    }
    Ok(())
}

fn finish<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    command.expect_empty()?;
    if !matches!(state.boot, SecureBoot::Finish) {
        return Err(Status::SHE_SEQUENCE_ERROR);
    }
    let mut expected = Secret::<16>::zero();
    let outcome = match command.read_key(slot::BOOT_MAC, &mut Metadata::default(), &mut expected) {
        Ok(()) => {
            let Measurement { key, mac, .. } = &state.measurement;
            let mut computed = [0; 16];
            command.driver().cmac_finish(key.as_slice(), mac, &mut computed).map_err(crypto_status)?;
            if constant_time_equal(&computed, expected.as_slice()) { Ok(()) } else { Err(MISMATCH) }
        }
        Err(_) => Err(Status::SHE_KEY_NOT_AVAILABLE),
    };
    match (outcome, command.options().boot) {
        (Ok(()), _) => state.end_boot(SecureBoot::Success { verified: true }),
        (Err(_), SheBoot::Final) => state.end_boot(SecureBoot::Failure),
        (Err(_), SheBoot::Repeatable) => {}
    }
    outcome
}

impl Measurement {
    fn update(&mut self, driver: &dyn Driver, part: &[u8]) -> Result<(), Status> {
        driver.cmac_update(self.key.as_slice(), &mut self.mac, part).map_err(crypto_status)
    }
}
