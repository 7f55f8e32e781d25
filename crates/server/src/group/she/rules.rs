//! What a key's flags allow: as the original reads them, or as the standard does.
//!
//! The standard's rules, for slots as the label stores an update's flags (document 06, §2): WRITE_PROTECTION 0x80,
//! BOOT_PROTECTION 0x40, DEBUGGER_PROTECTION 0x20, KEY_USAGE 0x10, WILDCARD 0x01. No debugger is known here, so its flag
//! is stored and not looked at.

use super::State;
use crate::config::SheRules;
use casemate_protocol::Status;
use casemate_protocol::message::she::{SlotFlags, SlotLabel, action, slot};

const WRITE_PROTECTION: SlotFlags = SlotFlags(0x80);
const BOOT_PROTECTION: SlotFlags = SlotFlags(0x40);
const KEY_USAGE: SlotFlags = SlotFlags(0x10);
const WILDCARD: SlotFlags = SlotFlags(0x01);

/// Whether a key may never be replaced.
pub(super) const fn is_write_protected(rules: SheRules, label: SlotLabel) -> bool {
    let flag = match rules {
        SheRules::Original => SlotFlags::WRITE_PROTECT,
        SheRules::Standard => WRITE_PROTECTION,
    };
    label.flags.contains(flag)
}

/// Whether the key in a slot may be replaced by an update for any UID. An empty slot has an empty label.
pub(super) const fn takes_wildcard(rules: SheRules, SlotLabel { flags, .. }: SlotLabel) -> bool {
    match rules {
        SheRules::Original => flags.contains(SlotFlags::WILDCARD),
        SheRules::Standard => !flags.contains(WILDCARD),
    }
}

/// Whether an update's counter must exceed the present one.
pub(super) const fn counts(rules: SheRules, number: u8) -> bool {
    matches!(rules, SheRules::Original) || number != slot::RAM_KEY
}

/// Whether one slot may authorize the update of another.
///
/// # Errors
/// KEY_INVALID; KEY_NOT_AVAILABLE for a key that waits for a verified boot.
pub(super) fn check_authorization(
    rules: SheRules,
    state: &State,
    number: u8,
    authorizing: u8,
    label: SlotLabel,
) -> Result<(), Status> {
    if rules == SheRules::Original {
        return Ok(());
    }
    let allowed = match number {
        slot::MASTER_ECU_KEY => authorizing == slot::MASTER_ECU_KEY,
        slot::BOOT_MAC_KEY | slot::BOOT_MAC => {
            matches!(authorizing, slot::MASTER_ECU_KEY | slot::BOOT_MAC_KEY)
        }
        slot::KEY_1..=slot::KEY_10 => authorizing == slot::MASTER_ECU_KEY || authorizing == number,
        slot::RAM_KEY => matches!(authorizing, slot::SECRET_KEY | slot::KEY_1..=slot::KEY_10),
        _ => false,
    };
    if !allowed {
        return Err(Status::SHE_KEY_INVALID);
    }
    check_boot_protection(state, label)
}

/// Whether a key may do the work of `action`, a cipher or a MAC command.
///
/// # Errors
/// KEY_INVALID; KEY_NOT_AVAILABLE for a key that waits for a verified boot.
pub(super) fn check_use(
    rules: SheRules,
    state: &State,
    action: u8,
    number: u8,
    label: SlotLabel,
) -> Result<(), Status> {
    if rules == SheRules::Original {
        return Ok(());
    }
    let for_macs = label.flags.contains(KEY_USAGE);
    let is_mac = matches!(action, action::GENERATE_MAC | action::VERIFY_MAC);
    let allowed = match number {
        slot::RAM_KEY => true,
        slot::KEY_1..=slot::KEY_10 => for_macs == is_mac,
        slot::BOOT_MAC_KEY => action == action::VERIFY_MAC,
        _ => false,
    };
    if !allowed {
        return Err(Status::SHE_KEY_INVALID);
    }
    check_boot_protection(state, label)
}

fn check_boot_protection(state: &State, label: SlotLabel) -> Result<(), Status> {
    if label.flags.contains(BOOT_PROTECTION) && !state.boot.is_verified() {
        return Err(Status::SHE_KEY_NOT_AVAILABLE);
    }
    Ok(())
}
