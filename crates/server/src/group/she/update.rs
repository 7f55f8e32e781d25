//! Loading and exporting keys (document 06, §5 and §8).

use super::slots::{Slot, unlabelled};
use super::{Command, State, malformed, overflow, rules};
use crate::config::SheRules;
use crate::error::crypto_status;
use crate::keys::KeyStore;
use crate::platform::Platform;
use casemate_crypto::she::{Block, Counter, KeyNumber, KeyUpdate, Uid, UpdateFlags, WILDCARD_UID};
use casemate_crypto::{Error as CryptoError, Secret};
use casemate_protocol::message::she::{
    ExportRamKeyResponse, LoadKeyRequest, LoadKeyResponse, LoadPlainKeyRequest, SlotFlags, SlotLabel, slot,
};
use casemate_protocol::{Metadata, ObjectId, Status};

/// LOAD_KEY. Nothing is changed unless everything succeeds; the proof is made before the key is stored, so that no
/// failure comes after the point of no return.
pub(super) fn load_key<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    let messages = LoadKeyRequest::messages(command.payload).map_err(malformed)?;
    let options = command.options();
    let uid = state.uid(options).ok_or(Status::SHE_SEQUENCE_ERROR)?;
    let [m1, ..] = messages;
    let (number, authorizing_number) = KeyUpdate::keys(m1);
    let (number, authorizing_number) = (number.get(), authorizing_number.get());
    let (id, authorizing_id) = (command.slot(number), command.slot(authorizing_number));
    let driver = command.driver();
    let proof = LoadKeyResponse::messages(command.out).map_err(overflow)?;
    // Checks and write are one: the key store stays locked.
    let loaded = command.caller.locked(|keys| {
        let (mut key, mut new_key) = (Secret::zero(), Secret::zero());
        let label = authorizing_key(keys, authorizing_id, &mut key)?;
        let update =
            KeyUpdate::open_into(driver, &key, messages, &mut new_key).map_err(|error| match error {
                CryptoError::Authentication => Status::SHE_KEY_UPDATE_ERROR,
                error => crypto_status(error),
            })?;
        rules::check_authorization(options.rules, state, number, authorizing_number, label)?;
        let mut metadata = unlabelled(id);
        admit(keys, options.rules, uid, &update, &mut metadata)?;
        update.prove_into(driver, uid, &new_key, proof).map_err(crypto_status)?;
        keys.set_slot(&metadata, &new_key).map_err(|_| Status::SHE_KEY_UPDATE_ERROR)
    });
    // Also the record of a refusal names the slot that was to be loaded.
    command.names(id);
    loaded?;
    if number == slot::RAM_KEY {
        state.ram_key_exportable = options.rules == SheRules::Original;
    }
    Ok(())
}

/// The key that authorizes an update, and what its label says.
///
/// Not inlined, as [`admit`]: what they need of the stack is given back before the next step.
#[inline(never)]
fn authorizing_key<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    id: ObjectId,
    to: &mut Block,
) -> Result<SlotLabel, Status> {
    let mut metadata = unlabelled(id);
    match keys.slot(&mut metadata, to)? {
        Slot::Key => Ok(SlotLabel::from_label(&metadata.label)),
        Slot::Absent => Err(Status::SHE_GENERAL_ERROR),
        Slot::Short | Slot::Long => Err(Status::SHE_KEY_INVALID),
    }
}

/// Whether the slot takes the update. `metadata` is that of the empty slot, and becomes that of the new key.
#[inline(never)]
fn admit<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    rules: SheRules,
    uid: &Uid,
    update: &KeyUpdate,
    metadata: &mut Metadata,
) -> Result<(), Status> {
    let slot = keys.slot(metadata, &mut Secret::zero())?;
    if matches!(slot, Slot::Short | Slot::Long) {
        return Err(Status::SHE_KEY_INVALID);
    }
    let label = SlotLabel::from_label(&metadata.label);
    if rules::is_write_protected(rules, label) {
        return Err(Status::SHE_WRITE_PROTECTED);
    }
    let is_addressed =
        if update.uid == WILDCARD_UID { rules::takes_wildcard(rules, label) } else { update.uid == *uid };
    let counter = update.counter.get();
    let counts = slot == Slot::Key && rules::counts(rules, update.key.get());
    if !is_addressed || (counts && counter <= label.counter) {
        return Err(Status::SHE_KEY_UPDATE_ERROR);
    }
    let label = SlotLabel { counter, flags: SlotFlags::from_update(update.flags.bits()) };
    metadata.label = label.into_label(&metadata.label);
    Ok(())
}

/// LOAD_PLAIN_KEY.
pub(super) fn load_plain_key<P: Platform>(
    state: &mut State,
    command: &mut Command<'_, P>,
) -> Result<(), Status> {
    let (LoadPlainKeyRequest { key }, _) = command.request()?;
    let metadata = unlabelled(command.slot(slot::RAM_KEY));
    command.store_key(&metadata, &Secret::new(key))?;
    command.names(metadata.id);
    state.ram_key_exportable = true;
    Ok(())
}

/// EXPORT_RAM_KEY.
pub(super) fn export_ram_key<P: Platform>(
    state: &mut State,
    command: &mut Command<'_, P>,
) -> Result<(), Status> {
    command.expect_empty()?;
    if !state.ram_key_exportable {
        return Err(Status::SHE_KEY_INVALID);
    }
    let uid = state.uid(command.options()).ok_or(Status::SHE_SEQUENCE_ERROR)?;
    let (mut secret, mut key) = (Secret::zero(), Secret::zero());
    let mut metadata = Metadata::default();
    command.read_key(slot::SECRET_KEY, &mut metadata, &mut secret)?;
    command.read_key(slot::RAM_KEY, &mut metadata, &mut key)?;
    let number = |number| KeyNumber::new(number).ok_or(Status::SHE_GENERAL_ERROR);
    let update = KeyUpdate {
        uid: *uid,
        key: number(slot::RAM_KEY)?,
        authorizing_key: number(slot::SECRET_KEY)?,
        counter: Counter::new(1).ok_or(Status::SHE_GENERAL_ERROR)?,
        flags: UpdateFlags::NONE,
    };
    let driver = command.driver();
    let (messages, proof) = ExportRamKeyResponse::messages(command.out).map_err(overflow)?;
    update
        .seal_into(driver, &secret, &key, messages)
        .and_then(|()| update.prove_into(driver, uid, &key, proof))
        .map_err(crypto_status)
}
