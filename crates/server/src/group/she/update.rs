//! Loading and exporting keys (document 06, §5 and §8).

use super::slots::Slot;
use super::{State, Surroundings, empty, rules, with_state};
use crate::config::SheRules;
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::KeyStore;
use crate::platform::Platform;
use casemate_crypto::she::{
    Block, Counter, KeyNumber, KeyUpdate, Uid, UpdateFlags, UpdateMessages, WILDCARD_UID,
};
use casemate_crypto::{Driver, Error as CryptoError};
use casemate_protocol::message::she::{
    ExportRamKeyResponse, LoadKeyRequest, LoadPlainKeyRequest, SlotFlags, SlotLabel, action, slot,
};
use casemate_protocol::{ByteOrder, Layout, Metadata, ObjectId, Status};
use zeroize::Zeroizing;

/// What a LOAD_KEY that passed all checks changes.
struct Accepted {
    update: KeyUpdate,
    new_key: Zeroizing<[u8; 16]>,
    /// Of the slot with its new label.
    metadata: Metadata,
}

impl Accepted {
    /// Room for it.
    fn nothing(messages: &UpdateMessages) -> Self {
        Self {
            update: KeyUpdate {
                uid: WILDCARD_UID,
                key: messages.key(),
                authorizing_key: messages.authorizing_key(),
                counter: Counter::default(),
                flags: UpdateFlags::NONE,
            },
            new_key: Zeroizing::default(),
            metadata: Metadata::default(),
        }
    }
}

/// LOAD_KEY. Nothing is changed unless everything succeeds; the proof is made before the key is stored, so that no
/// failure comes after the point of no return. M4 and M5 are written where they are.
pub(super) fn load_key<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    (m4, m5): (&mut [u8; 32], &mut [u8; 16]),
) -> Result<(), Status> {
    with_state(context, action::LOAD_KEY, |state, surroundings| {
        let messages = messages(payload, surroundings.order);
        let messages = messages.as_ref().map_err(|status| *status)?;
        let options = surroundings.options();
        let uid = state.uid(options).ok_or(Status::SHE_SEQUENCE_ERROR)?;
        let number = messages.key().get();
        let slots = [surroundings.slot(number), surroundings.slot(messages.authorizing_key().get())];
        let driver = surroundings.driver();
        let mut accepted = Accepted::nothing(messages);
        // Checks and write are one: the key store stays locked.
        let loaded = surroundings.keys(|keys| {
            accept(keys, driver, options.rules, (state, uid), messages, slots, &mut accepted)?;
            prove_and_store(keys, driver, uid, &accepted, (&mut *m4, &mut *m5))
        });
        // Also the record of a refusal names the slot that was to be loaded.
        surroundings.names(slots[0]);
        loaded?;
        if number == slot::RAM_KEY {
            state.ram_key_exportable = options.rules == SheRules::Original;
        }
        Ok(())
    })
}

#[inline(never)]
fn messages(payload: &[u8], order: ByteOrder) -> Result<UpdateMessages, Status> {
    let (LoadKeyRequest { m1, m2, m3 }, _) =
        LoadKeyRequest::decode(payload, order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
    Ok(UpdateMessages { m1, m2, m3 })
}

/// The checks of a LOAD_KEY. `slots` are that of the key to be loaded and that of the authorizing key.
///
/// Not inlined, as what it calls: what each needs of the stack is given back before the next step.
#[inline(never)]
fn accept<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    driver: &dyn Driver,
    rules: SheRules,
    (state, uid): (&State, &Uid),
    messages: &UpdateMessages,
    [id, authorizing_id]: [ObjectId; 2],
    accepted: &mut Accepted,
) -> Result<(), Status> {
    let mut key = Zeroizing::default();
    let label = authorizing_key(keys, authorizing_id, &mut key)?;
    accepted.update =
        messages.open_into(driver, &key, &mut accepted.new_key).map_err(|error| match error {
            CryptoError::Authentication => Status::SHE_KEY_UPDATE_ERROR,
            error => crypto_status(error),
        })?;
    let KeyUpdate { key, authorizing_key, .. } = accepted.update;
    rules::check_authorization(rules, state, key.get(), authorizing_key.get(), label)?;
    admit(keys, rules, uid, id, accepted)
}

/// The key that authorizes an update, and what its label says.
#[inline(never)]
fn authorizing_key<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    id: ObjectId,
    to: &mut Zeroizing<Block>,
) -> Result<SlotLabel, Status> {
    match keys.slot(id)? {
        Slot::Key(key) => {
            **to = *key.bytes;
            Ok(key.label())
        }
        Slot::Absent => Err(Status::SHE_GENERAL_ERROR),
        Slot::Short | Slot::Long => Err(Status::SHE_KEY_INVALID),
    }
}

/// Whether the slot takes the update, and its metadata with the new label, which are put into `accepted`.
#[inline(never)]
fn admit<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    rules: SheRules,
    uid: &Uid,
    id: ObjectId,
    Accepted { update, metadata, .. }: &mut Accepted,
) -> Result<(), Status> {
    let slot = keys.slot(id)?;
    let stored = match &slot {
        Slot::Key(key) => Some(key),
        Slot::Absent => None,
        Slot::Short | Slot::Long => return Err(Status::SHE_KEY_INVALID),
    };
    if stored.is_some_and(|key| rules::is_write_protected(rules, key)) {
        return Err(Status::SHE_WRITE_PROTECTED);
    }
    let is_addressed =
        if update.uid == WILDCARD_UID { rules::takes_wildcard(rules, stored) } else { update.uid == *uid };
    let present = stored.filter(|_| rules::counts(rules, update.key.get()));
    let is_newer = present.is_none_or(|key| update.counter.get() > key.label().counter);
    if !is_addressed || !is_newer {
        return Err(Status::SHE_KEY_UPDATE_ERROR);
    }
    let old = stored.map_or(Metadata { id, ..Metadata::default() }, |key| key.metadata);
    let label =
        SlotLabel { counter: update.counter.get(), flags: SlotFlags::from_update(update.flags.bits()) };
    *metadata = Metadata { label: label.into_label(&old.label), ..old };
    Ok(())
}

/// What an accepted LOAD_KEY does: the proof, then the change. Not inlined: as [`accept`].
#[inline(never)]
fn prove_and_store<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    driver: &dyn Driver,
    uid: &Uid,
    Accepted { update, new_key, metadata }: &Accepted,
    proof: (&mut [u8; 32], &mut [u8; 16]),
) -> Result<(), Status> {
    update.prove_into(driver, uid, new_key, proof).map_err(crypto_status)?;
    keys.set_slot(*metadata, new_key).map_err(|_| Status::SHE_KEY_UPDATE_ERROR)
}

/// LOAD_PLAIN_KEY.
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

/// EXPORT_RAM_KEY. M1 to M5 are written where they are.
pub(super) fn export_ram_key<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    response: &mut ExportRamKeyResponse,
) -> Result<(), Status> {
    with_state(context, action::EXPORT_RAM_KEY, |state, surroundings| {
        empty(payload)?;
        if !state.ram_key_exportable {
            return Err(Status::SHE_KEY_INVALID);
        }
        let uid = state.uid(surroundings.options()).ok_or(Status::SHE_SEQUENCE_ERROR)?;
        let (mut secret, mut key) = (Zeroizing::default(), Zeroizing::default());
        copy_key(surroundings, slot::SECRET_KEY, &mut secret)?;
        copy_key(surroundings, slot::RAM_KEY, &mut key)?;
        let number = |number| KeyNumber::new(number).ok_or(Status::SHE_GENERAL_ERROR);
        let update = KeyUpdate {
            uid: *uid,
            key: number(slot::RAM_KEY)?,
            authorizing_key: number(slot::SECRET_KEY)?,
            counter: Counter::new(1).ok_or(Status::SHE_GENERAL_ERROR)?,
            flags: UpdateFlags::NONE,
        };
        let driver = surroundings.driver();
        let ExportRamKeyResponse { m1, m2, m3, m4, m5, .. } = response;
        update
            .seal_into(driver, &secret, &key, (m1, m2, m3))
            .and_then(|()| update.prove_into(driver, uid, &key, (m4, m5)))
            .map_err(crypto_status)
    })
}

/// The bytes of the key in a slot. Not inlined: the rest of the slot is not on the stack while they are used.
#[inline(never)]
fn copy_key<P: Platform>(
    surroundings: &mut Surroundings<'_, P>,
    number: u8,
    to: &mut Zeroizing<Block>,
) -> Result<(), Status> {
    let id = surroundings.slot(number);
    let key = surroundings.keys(|keys| keys.slot(id))?.key_or(Status::SHE_KEY_NOT_AVAILABLE)?;
    **to = *key.bytes;
    Ok(())
}
