//! Loading and exporting keys (document 06, §5 and §8).

use super::slots::{Slot, SlotKey};
use super::{State, empty, rules, with_state};
use crate::config::SheRules;
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::KeyStore;
use crate::platform::Platform;
use casemate_crypto::she::{
    Counter, KeyNumber, KeyUpdate, Uid, UpdateFlags, UpdateMessages, UpdateProof, WILDCARD_UID,
};
use casemate_crypto::{Driver, Error as CryptoError};
use casemate_protocol::message::she::{
    ExportRamKeyResponse, LoadKeyRequest, LoadPlainKeyRequest, SlotFlags, SlotLabel, action, slot,
};
use casemate_protocol::{Layout, Metadata, ObjectId, Status};
use zeroize::Zeroizing;

/// What a LOAD_KEY that passed all checks changes.
struct Accepted {
    update: KeyUpdate,
    new_key: Zeroizing<[u8; 16]>,
    /// Of the slot with its new label.
    metadata: Metadata,
}

/// LOAD_KEY. Nothing is changed unless everything succeeds; the proof is made before the key is stored, so that no
/// failure comes after the point of no return.
pub(super) fn load_key<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
) -> Result<UpdateProof, Status> {
    with_state(context, action::LOAD_KEY, |state, surroundings| {
        let (request, _) =
            LoadKeyRequest::decode(payload, surroundings.order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
        let messages = UpdateMessages { m1: request.m1, m2: request.m2, m3: request.m3 };
        let options = surroundings.options();
        let uid = state.uid(options).ok_or(Status::SHE_SEQUENCE_ERROR)?;
        let number = messages.key().get();
        let slots = [surroundings.slot(number), surroundings.slot(messages.authorizing_key().get())];
        let driver = surroundings.driver();
        // Checks and write are one: the key store stays locked.
        let proof = surroundings.keys(|keys| {
            let accepted = accept(keys, driver, options.rules, (state, &uid), &messages, slots);
            prove_and_store(keys, driver, &uid, accepted.as_ref().map_err(|status| *status)?)
        });
        // Also the record of a refusal names the slot that was to be loaded.
        surroundings.names(slots[0]);
        let proof = proof?;
        if number == slot::RAM_KEY {
            state.ram_key_exportable = options.rules == SheRules::Original;
        }
        Ok(proof)
    })
}

/// The checks of a LOAD_KEY. `slots` are that of the key to be loaded and that of the authorizing key.
///
/// Not inlined: what it needs of the stack is given back before the proof is made.
#[inline(never)]
fn accept<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    driver: &dyn Driver,
    rules: SheRules,
    (state, uid): (&State, &Uid),
    messages: &UpdateMessages,
    [id, authorizing_id]: [ObjectId; 2],
) -> Result<Accepted, Status> {
    let (number, authorizing) = (messages.key().get(), messages.authorizing_key().get());
    let key = match keys.slot(authorizing_id)? {
        Slot::Key(key) => key,
        Slot::Absent => return Err(Status::SHE_GENERAL_ERROR),
        Slot::Short | Slot::Long => return Err(Status::SHE_KEY_INVALID),
    };
    let (update, new_key) = messages.open(driver, &key.bytes).map_err(|error| match error {
        CryptoError::Authentication => Status::SHE_KEY_UPDATE_ERROR,
        error => crypto_status(error),
    })?;
    rules::check_authorization(rules, state, number, authorizing, &key)?;
    let stored = match keys.slot(id)? {
        Slot::Key(key) => Some(key),
        Slot::Absent => None,
        Slot::Short | Slot::Long => return Err(Status::SHE_KEY_INVALID),
    };
    let stored = stored.as_ref();
    if stored.is_some_and(|key| rules::is_write_protected(rules, key)) {
        return Err(Status::SHE_WRITE_PROTECTED);
    }
    let is_addressed =
        if update.uid == WILDCARD_UID { rules::takes_wildcard(rules, stored) } else { update.uid == *uid };
    let present = stored.filter(|_| rules::counts(rules, number));
    let is_newer = present.is_none_or(|key| update.counter.get() > key.label().counter);
    if !is_addressed || !is_newer {
        return Err(Status::SHE_KEY_UPDATE_ERROR);
    }
    let old = stored.map_or(Metadata { id, ..Metadata::default() }, |key| key.metadata);
    let label =
        SlotLabel { counter: update.counter.get(), flags: SlotFlags::from_update(update.flags.bits()) };
    let metadata = Metadata { label: label.into_label(&old.label), ..old };
    Ok(Accepted { update, new_key, metadata })
}

/// What an accepted LOAD_KEY does: the proof, then the change. Not inlined: as [`accept`].
#[inline(never)]
fn prove_and_store<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    driver: &dyn Driver,
    uid: &Uid,
    Accepted { update, new_key, metadata }: &Accepted,
) -> Result<UpdateProof, Status> {
    let proof = update.prove(driver, uid, new_key).map_err(crypto_status)?;
    keys.set_slot(*metadata, new_key).map_err(|_| Status::SHE_KEY_UPDATE_ERROR)?;
    Ok(proof)
}

/// LOAD_PLAIN_KEY.
#[inline(never)]
pub(super) fn load_plain_key<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
) -> Result<(), Status> {
    with_state(context, action::LOAD_PLAIN_KEY, |state, surroundings| {
        let (request, _) = LoadPlainKeyRequest::decode(payload, surroundings.order)
            .map_err(|_| Status::SHE_GENERAL_ERROR)?;
        let key = Zeroizing::new(request.key);
        let metadata = Metadata { id: surroundings.slot(slot::RAM_KEY), ..Metadata::default() };
        surroundings.keys(|keys| keys.set_slot(metadata, &key))?;
        surroundings.names(metadata.id);
        state.ram_key_exportable = true;
        Ok(())
    })
}

/// EXPORT_RAM_KEY.
pub(super) fn export_ram_key<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
) -> Result<ExportRamKeyResponse, Status> {
    with_state(context, action::EXPORT_RAM_KEY, |state, surroundings| {
        empty(payload)?;
        if !state.ram_key_exportable {
            return Err(Status::SHE_KEY_INVALID);
        }
        let uid = state.uid(surroundings.options()).ok_or(Status::SHE_SEQUENCE_ERROR)?;
        let mut read = |number| -> Result<SlotKey, Status> {
            let id = surroundings.slot(number);
            surroundings.keys(|keys| keys.slot(id))?.key_or(Status::SHE_KEY_NOT_AVAILABLE)
        };
        let secret = read(slot::SECRET_KEY)?;
        let key = read(slot::RAM_KEY)?;
        let number = |number| KeyNumber::new(number).ok_or(Status::SHE_GENERAL_ERROR);
        let update = KeyUpdate {
            uid,
            key: number(slot::RAM_KEY)?,
            authorizing_key: number(slot::SECRET_KEY)?,
            counter: Counter::new(1).ok_or(Status::SHE_GENERAL_ERROR)?,
            flags: UpdateFlags::NONE,
        };
        let driver = surroundings.driver();
        let UpdateMessages { m1, m2, m3 } =
            update.seal(driver, &secret.bytes, &key.bytes).map_err(crypto_status)?;
        let UpdateProof { m4, m5 } = update.prove(driver, &uid, &key.bytes).map_err(crypto_status)?;
        Ok(ExportRamKeyResponse { status: Status::OK, m1, m2, m3, m4, m5 })
    })
}
