//! Key slots: objects of 16 bytes whose label holds counter and flags (document 06, §2).

use crate::config::SheOptions;
use crate::keys::KeyStore;
use crate::platform::Platform;
use casemate_crypto::she::Block;
use casemate_nvm::{Error as StoreError, ObjectStore};
#[cfg(feature = "key-wrap")]
use casemate_protocol::message::she::{SlotFlags, SlotLabel};
use casemate_protocol::message::she::{object_id, slot};
use casemate_protocol::{ClientId, Metadata, ObjectId, Status};

/// Length of a key in bytes, as metadata has it.
const KEY_LENGTH: u16 = 16;

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Absent,
    /// An object of fewer than 16 bytes, which is no key.
    Short,
    /// An object of more than 16 bytes, which is no key.
    Long,
    Key,
}

/// The metadata of an empty slot.
pub(super) fn unlabelled(id: ObjectId) -> Metadata {
    Metadata { id, length: KEY_LENGTH, ..Metadata::default() }
}

/// The object under which a slot of `client` is stored.
pub(crate) const fn slot_id(options: &SheOptions, client: ClientId, slot: u8) -> ObjectId {
    object_id(if options.global_keys { ClientId::NONE } else { client }, slot)
}

/// Whether a key that comes wrapped may stand in for the stored one: its counter must not be lower, and it must not
/// shed the protection against writing.
#[cfg(feature = "key-wrap")]
pub(crate) const fn supersedes(new: &Metadata, stored: &Metadata) -> bool {
    let (new, stored) = (SlotLabel::from_label(&new.label), SlotLabel::from_label(&stored.label));
    let sheds_protection =
        stored.flags.contains(SlotFlags::WRITE_PROTECT) && !new.flags.contains(SlotFlags::WRITE_PROTECT);
    new.counter >= stored.counter && !sheds_protection
}

impl<P: Platform> KeyStore<'_, P> {
    /// Reads a slot: a key that is nowhere but in the cache, else the stored one. MASTER_ECU_KEY is all zeros until it
    /// is set.
    ///
    /// `metadata` are those of the [empty slot](unlabelled). Those of a key, and its bytes, are put where they are to be; of
    /// an object that is no key they say nothing.
    ///
    /// # Errors
    /// AUTH_PERMISSION if the session's user may not use it; what the store answers.
    pub(super) fn slot(&mut self, metadata: &mut Metadata, to: &mut Block) -> Result<Slot, Status> {
        let id = metadata.id;
        self.permitted(id)?;
        if let Some(cached) = self.cached(id).filter(|cached| !cached.committed) {
            return Ok(match cached.key.first_chunk() {
                Some(key) if key.len() == cached.key.len() => {
                    *to = *key;
                    *metadata = *cached.metadata;
                    Slot::Key
                }
                Some(_) => Slot::Long,
                None => Slot::Short,
            });
        }
        match self.stored_key(id, metadata) {
            Err(Status::NOT_FOUND) if id.number() == slot::MASTER_ECU_KEY => {
                *to = Block::default();
                return Ok(Slot::Key);
            }
            Err(Status::NOT_FOUND) => return Ok(Slot::Absent),
            result => result?,
        }
        match metadata.length {
            0..KEY_LENGTH => return Ok(Slot::Short),
            KEY_LENGTH => {}
            _ => return Ok(Slot::Long),
        }
        self.read_stored(id, 0, to)?;
        Ok(Slot::Key)
    }

    /// Puts a key into its slot: the RAM key into the cache, every other into the store, or into the cache where there
    /// is no store. Policies of the store do not apply; SHE has its own.
    ///
    /// # Errors
    /// AUTH_PERMISSION, NO_SPACE, or what the store answers; the slot then holds what it held.
    pub(super) fn set_slot(&mut self, metadata: &Metadata, key: &Block) -> Result<(), Status> {
        let id = metadata.id;
        self.permitted(id)?;
        if id.number() != slot::RAM_KEY {
            self.drop_copies(id);
            match self.shared.store.add_with_reclaim(metadata, key) {
                Ok(()) => {
                    self.cache(id).remove(id);
                    return Ok(());
                }
                Err(StoreError::NoStore) => {}
                Err(error) => return Err(error.status()),
            }
        }
        self.cache(id).insert(metadata, false)?.copy_from_slice(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::Label;

    #[test]
    fn a_wrapped_key_neither_goes_back_nor_sheds_protection() {
        let with = |counter, flags| Metadata {
            label: SlotLabel { counter, flags: SlotFlags(flags) }.into_label(&Label::EMPTY),
            ..Metadata::default()
        };
        assert!(supersedes(&with(5, 0), &with(5, 0)));
        assert!(supersedes(&with(6, 0), &with(5, 0)));
        assert!(!supersedes(&with(4, 0), &with(5, 0)));
        assert!(!supersedes(&with(6, 0xF0), &with(5, 1)));
        assert!(supersedes(&with(5, 1), &with(5, 1)));
    }
}
