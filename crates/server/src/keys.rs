//! The key store: the key caches and the object store as one, with every policy on keys (document 03, §1 to §4, §8).
//!
//! A key is looked for in the cache of its owner first, then among the stored objects; what is used from there is
//! cached on the way. A [`KeyStore`] exists only while the server's lock is held, so each of its operations is atomic
//! for the other sessions.

use crate::audit::{Event, Record};
use crate::cache::{Cached, KeyCache};
use crate::error::crypto_status;
use crate::platform::Platform;
use crate::server::{Shared, SharedGuard};
#[cfg(feature = "authentication")]
use crate::users::KeyList;
use casemate_crypto::Driver;
use casemate_nvm::{Attributes, Error as StoreError, ObjectStore};
use casemate_protocol::{
    ClientId, Flags, IdFeatures, KeyId, Kind, Label, Metadata, ObjectId, ObjectType, Status,
};

/// The key store, seen from one session.
pub(crate) struct KeyStore<'a, P: Platform + 'a> {
    pub(crate) local: &'a mut KeyCache<P::Cache>,
    pub(crate) shared: SharedGuard<'a, P>,
    pub(crate) features: IdFeatures,
    pub(crate) client: ClientId,
    /// The object that was named last.
    pub(crate) subject: &'a mut ObjectId,
    pub(crate) recorder: Recorder<'a, P>,
    /// The keys that the session's user may use.
    #[cfg(feature = "authentication")]
    pub(crate) permitted: KeyList,
}

/// Where the key store's records go.
pub(crate) struct Recorder<'a, P: Platform> {
    pub(crate) platform: &'a P,
    pub(crate) client: Option<ClientId>,
    pub(crate) request: Kind,
}

impl<P: Platform> Recorder<'_, P> {
    pub(crate) fn record(&self, event: Event) {
        self.platform.record(&Record { client: self.client, request: Some(self.request), event });
    }
}

/// What a key message wants to do with a key that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Replace,
    Evict,
    Export,
    ExportPublic,
    Commit,
    Revoke,
}

/// Which usage flags a cryptographic operation demands of its key (document 03, §11).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Usage {
    /// All of these.
    All(Flags),
    /// At least one of these.
    Any(Flags),
}

impl Usage {
    /// # Errors
    /// USAGE if `flags` do not allow it.
    pub(crate) const fn check(self, flags: Flags) -> Result<(), Status> {
        let allowed = match self {
            Self::All(needed) => flags.contains(needed),
            Self::Any(needed) => flags.intersects(needed),
        };
        if allowed { Ok(()) } else { Err(Status::USAGE) }
    }
}

/// Where the bytes of a new key come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A client, who must not bring in a private container of a stateful signature key.
    Client(&'a [u8]),
    /// The server itself.
    Server(&'a [u8]),
    /// The same, for a big slot as long as there is one.
    #[cfg(any(feature = "certificates", feature = "elliptic-curves", feature = "rsa"))]
    ServerBig(&'a [u8]),
    /// So many bytes from the random generator.
    Random(&'a dyn Driver, usize),
}

impl Source<'_> {
    const fn length(&self) -> usize {
        match *self {
            Self::Client(key) | Self::Server(key) => key.len(),
            #[cfg(any(feature = "certificates", feature = "elliptic-curves", feature = "rsa"))]
            Self::ServerBig(key) => key.len(),
            Self::Random(_, length) => length,
        }
    }

    fn check(&self) -> Result<(), Status> {
        match *self {
            Self::Client(key) if is_stateful_private(key) => Err(Status::ACCESS),
            Self::Random(_, 0) => Err(Status::BAD_ARGUMENTS),
            _ => Ok(()),
        }
    }
}

/// What a request says of the key that it creates, besides its bytes.
pub(crate) struct Wanted<'a> {
    pub(crate) id: KeyId,
    /// The client's flags field.
    pub(crate) flags: u32,
    pub(crate) label: &'a Label,
}

/// Magic words of the containers of stateful signature keys (document 03, §12.4).
const STATEFUL_MAGIC: [u32; 2] = [0x4C4D_5301, 0x584D_5301];

/// Where the container of a stateful signature key says that the key was revoked. The original has a zero there and
/// refuses other numbers.
pub(crate) const STATEFUL_REVOKED: usize = 10;

/// Whether `key` is the private container of a stateful signature key: a copy of one that came back later would sign
/// twice with the same one-time key, so none may enter from outside.
#[inline(never)]
pub(crate) fn is_stateful_private(key: &[u8]) -> bool {
    let Some((&[m0, m1, m2, m3, _, _, p0, p1, ..], _)) = key.split_first_chunk::<12>() else { return false };
    STATEFUL_MAGIC.contains(&u32::from_le_bytes([m0, m1, m2, m3])) && (p0 | p1) != 0
}

/// What this session's cache holds now agrees with what is stored.
impl<P: Platform> Drop for KeyStore<'_, P> {
    #[inline(never)]
    fn drop(&mut self) {
        self.local.keep_up(self.shared.key_changes);
    }
}

impl<P: Platform> KeyStore<'_, P> {
    /// The identifier under which a key of this session is stored.
    #[inline(never)]
    pub(crate) const fn resolve(&self, key: KeyId, object_type: ObjectType) -> ObjectId {
        key.to_object(object_type, self.client, self.features)
    }

    /// The cache that a key of this owner lives in.
    #[inline(never)]
    pub(crate) fn cache(&mut self, id: ObjectId) -> &mut KeyCache<P::Cache> {
        if self.is_global(id) { &mut self.shared.global } else { self.local }
    }

    fn is_global(&self, id: ObjectId) -> bool {
        self.features.global_keys && id.owner() == ClientId::NONE
    }

    pub(crate) fn cached(&self, id: ObjectId) -> Option<Cached<'_>> {
        if self.is_global(id) { self.shared.global.get(id) } else { self.local.get(id) }
    }

    // ----- the object store -----

    /// Puts the metadata of a stored object into `metadata`. Not by value: that would be copied in every caller.
    ///
    /// # Errors
    /// NOT_FOUND, or what the store answers.
    #[inline(never)]
    pub(crate) fn stored(&mut self, id: ObjectId, metadata: &mut Metadata) -> Result<(), Status> {
        // By reference, as the metadata: `?` would move what was found.
        match &self.shared.store.metadata(id) {
            Ok(found) => {
                *metadata = *found;
                Ok(())
            }
            Err(error) => Err(error.status()),
        }
    }

    /// Identifier, flags and length of a stored object.
    ///
    /// # Errors
    /// NOT_FOUND, or what the store answers.
    pub(crate) fn stored_attributes(&self, id: ObjectId) -> Result<Attributes, Status> {
        self.shared.store.attributes(id).map_err(|error| error.status())
    }

    /// Reads a part of a stored object.
    ///
    /// # Errors
    /// NOT_FOUND, BAD_ARGUMENTS if it does not lie inside the object, or what the store answers.
    pub(crate) fn read_stored(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Status> {
        self.shared.store.read(id, offset, out).map_err(|error| error.status())
    }

    /// Identifier, flags and length of a stored key. Wrapped and hardware keys are never stored, and none without a store.
    ///
    /// # Errors
    /// NOT_FOUND, or what the store answers.
    fn stored_key_attributes(&self, id: ObjectId) -> Result<Attributes, Status> {
        if matches!(id.object_type(), ObjectType::WRAPPED | ObjectType::HARDWARE) {
            return Err(Status::NOT_FOUND);
        }
        self.shared.store.attributes(id).map_err(|error| match error {
            StoreError::NoStore => Status::NOT_FOUND,
            error => error.status(),
        })
    }

    /// Puts the metadata of a stored key into `metadata`.
    ///
    /// # Errors
    /// As [`stored_key_attributes`](Self::stored_key_attributes).
    pub(crate) fn stored_key(&mut self, id: ObjectId, metadata: &mut Metadata) -> Result<(), Status> {
        self.stored_key_attributes(id)?;
        self.stored(id, metadata)
    }

    /// Whether a key is stored, if there is a store. Wrapped and hardware keys never are.
    ///
    /// # Errors
    /// What the store answers.
    fn is_stored(&self, id: ObjectId) -> Result<bool, Status> {
        match self.stored_key_attributes(id) {
            Ok(_) => Ok(true),
            Err(Status::NOT_FOUND) => Ok(false),
            Err(status) => Err(status),
        }
    }

    /// The metadata of a key, if it is stored.
    ///
    /// # Errors
    /// What the store answers.
    #[cfg(any(all(feature = "she", feature = "key-wrap"), feature = "hash-signatures"))]
    pub(crate) fn find_stored(&mut self, id: ObjectId) -> Result<Option<Metadata>, Status> {
        let mut metadata = Metadata::default();
        match self.stored_key(id, &mut metadata) {
            Ok(()) => Ok(Some(metadata)),
            Err(Status::NOT_FOUND) => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Stores an object, with no check of what it replaces, after a compaction if that is needed.
    ///
    /// # Errors
    /// NO_SPACE, or what the store answers.
    pub(crate) fn store(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Status> {
        self.shared.store.add_with_reclaim(metadata, data).map_err(|error| error.status())
    }

    /// Destroys an object, with no check; an absent one is no error.
    ///
    /// # Errors
    /// What the store answers.
    pub(crate) fn destroy(&mut self, id: ObjectId) -> Result<(), Status> {
        self.shared.store.destroy(&[id]).map_err(|error| error.status())
    }

    /// Prepares for a change of a stored object: this session's cached copy of it goes now, those of the others when
    /// they next look. It comes before the change, which may take effect and report a fault all the same. A key that
    /// was never committed is no copy and stays.
    pub(crate) fn drop_copies(&mut self, id: ObjectId) {
        self.changing(id);
        self.drop_own_copy(id);
    }

    /// Drops this session's cached copy of a stored object.
    fn drop_own_copy(&mut self, id: ObjectId) {
        if self.cached(id).is_some_and(|cached| cached.committed) {
            self.cache(id).remove(id);
        }
    }

    /// Takes note that a stored key is about to be replaced or destroyed, so that other sessions drop their copies.
    fn changing(&mut self, id: ObjectId) {
        let is_key = matches!(id.object_type(), ObjectType::CRYPTO | ObjectType::SHE);
        if is_key && self.stored_key_attributes(id) != Err(Status::NOT_FOUND) {
            self.shared.key_changes = self.shared.key_changes.wrapping_add(1);
        }
    }

    // ----- finding keys -----

    /// What is known of a key, cached or stored, without a look into flash, and whether the cached copy is committed.
    fn find(&self, id: ObjectId) -> Result<(Attributes, bool), Status> {
        if let Some(cached) = self.cached(id) {
            return Ok((cached.metadata.into(), cached.committed));
        }
        Ok((self.stored_key_attributes(id)?, false))
    }

    /// Identifier, flags and length of a key, cached or stored.
    ///
    /// # Errors
    /// BAD_ARGUMENTS, ACCESS, NOT_FOUND.
    pub(crate) fn attributes(&mut self, id: ObjectId) -> Result<Attributes, Status> {
        self.named(id)?;
        self.find(id).map(|(attributes, _)| attributes)
    }

    /// Checks that an identifier names a key that key messages may touch at all.
    #[inline(never)]
    fn named(&mut self, id: ObjectId) -> Result<(), Status> {
        *self.subject = id;
        if id.is_unassigned() {
            return Err(Status::BAD_ARGUMENTS);
        }
        self.permitted(id)?;
        if id.object_type() == ObjectType::HARDWARE {
            return Err(Status::ACCESS);
        }
        Ok(())
    }

    /// Checks that the session's user may use this key.
    ///
    /// # Errors
    /// AUTH_PERMISSION.
    #[cfg(feature = "authentication")]
    pub(crate) fn permitted(&self, id: ObjectId) -> Result<(), Status> {
        if self.permitted.permits(id, self.client, self.features) {
            Ok(())
        } else {
            Err(Status::AUTH_PERMISSION)
        }
    }

    /// Checks that the session's user may use this key.
    #[cfg(not(feature = "authentication"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the other form of it needs both")]
    pub(crate) const fn permitted(&self, _: ObjectId) -> Result<(), Status> {
        Ok(())
    }

    /// The policy on an existing key (document 03, §4).
    fn gate(&mut self, id: ObjectId, operation: Operation) -> Result<(), Status> {
        self.named(id)?;
        let (attributes, committed) = self.find(id)?;
        let protection = match operation {
            Operation::Replace => Flags::NONMODIFIABLE,
            Operation::Evict if !committed => Flags::NONMODIFIABLE | Flags::NONDESTROYABLE,
            Operation::Export => Flags::NONEXPORTABLE,
            Operation::Evict | Operation::ExportPublic | Operation::Commit | Operation::Revoke => Flags::NONE,
        };
        if attributes.flags.intersects(protection | Flags::TRUSTED) { Err(Status::ACCESS) } else { Ok(()) }
    }

    /// Brings a stored key into the cache.
    ///
    /// # Errors
    /// BAD_ARGUMENTS, ACCESS, NOT_FOUND, or NO_SPACE if the cache is full of keys that are nowhere else.
    pub(crate) fn freshen(&mut self, id: ObjectId) -> Result<Cached<'_>, Status> {
        self.named(id)?;
        if self.cached(id).is_none() {
            let mut metadata = Metadata::default();
            self.stored_key(id, &mut metadata)?;
            let global = self.is_global(id);
            let Shared { store, global: global_cache, .. } = &mut *self.shared;
            let cache = if global { global_cache } else { &mut *self.local };
            let slot = cache.insert(&metadata, true)?;
            if let Err(error) = store.read(id, 0, slot) {
                cache.remove(id);
                return Err(error.status());
            }
        }
        self.cached(id).ok_or(Status::NOT_FOUND)
    }

    /// Copies a key to the front of `out`, from the cache or from the store; in the second case a copy is cached if
    /// there is room for it. `metadata` are the key's, filled in their place.
    ///
    /// # Errors
    /// NOT_FOUND, or NO_SPACE if `out` is too small.
    fn read_through(&mut self, id: ObjectId, metadata: &mut Metadata, out: &mut [u8]) -> Result<(), Status> {
        if let Some(cached) = self.cached(id) {
            out.get_mut(..cached.key.len()).ok_or(Status::NO_SPACE)?.copy_from_slice(cached.key);
            *metadata = *cached.metadata;
            return Ok(());
        }
        self.stored_key(id, metadata)?;
        let out = out.get_mut(..usize::from(metadata.length)).ok_or(Status::NO_SPACE)?;
        self.read_stored(id, 0, out)?;
        if let Ok(slot) = self.cache(id).insert(metadata, true) {
            slot.copy_from_slice(out);
        }
        Ok(())
    }

    /// Copies a key to the front of `out` for use by a cryptographic operation, and returns its length.
    ///
    /// # Errors
    /// In this order: ACCESS for a hardware key, NOT_FOUND, NO_SPACE if `out` is too small, USAGE (document 04,
    /// §3.3).
    pub(crate) fn fetch(&mut self, key: KeyId, usage: Usage, out: &mut [u8]) -> Result<usize, Status> {
        let id = self.resolve(key, ObjectType::CRYPTO);
        self.named(id)?;
        let mut metadata = Metadata::default();
        self.read_through(id, &mut metadata, out)?;
        usage.check(metadata.flags)?;
        Ok(usize::from(metadata.length))
    }

    /// The first free identifier from number 255 downwards.
    fn allocate(&mut self, id: ObjectId) -> Result<ObjectId, Status> {
        if matches!(id.object_type(), ObjectType::WRAPPED | ObjectType::HARDWARE) {
            return Err(Status::BAD_ARGUMENTS);
        }
        for number in (1..=u8::MAX).rev() {
            let candidate = id.with_number(number);
            if self.permitted(candidate).is_err() {
                continue;
            }
            if self.cached(candidate).is_none() && !self.is_stored(candidate)? {
                return Ok(candidate);
            }
        }
        Err(Status::NO_SPACE)
    }

    // ----- key messages -----

    /// The identifier of a new key of `length` bytes: `id`, or a free one if that has number 0.
    ///
    /// # Errors
    /// NO_SPACE if none is free; BAD_ARGUMENTS if keys of this kind need explicit identifiers, or for a length that no
    /// slot can hold.
    pub(crate) fn assign(&mut self, id: ObjectId, length: usize) -> Result<ObjectId, Status> {
        let id = if id.is_unassigned() { self.allocate(id)? } else { id };
        if self.cache(id).fits(length) { Ok(id) } else { Err(Status::BAD_ARGUMENTS) }
    }

    /// Caches a key as a request wants it, under a free identifier if that has number 0; returns what clients call it.
    ///
    /// # Errors
    /// As [`assign`](Self::assign) and [`insert`](Self::insert), in this order.
    #[inline(never)]
    pub(crate) fn create(&mut self, wanted: &Wanted<'_>, source: &Source<'_>) -> Result<KeyId, Status> {
        let id = self.resolve(wanted.id, ObjectType::CRYPTO);
        let id = self.assign(id, source.length())?;
        self.insert(id, Flags::from_client(wanted.flags), wanted.label, source)?;
        Ok(id.to_key(self.features))
    }

    /// Caches a key under an identifier that [`assign`](Self::assign) gave. `flags` are free already of what only the
    /// server's owner may set.
    ///
    /// # Errors
    /// ACCESS for what no client may bring in, BAD_ARGUMENTS, ACCESS, NO_SPACE, or what the driver answers.
    pub(crate) fn insert(
        &mut self,
        id: ObjectId,
        flags: Flags,
        label: &Label,
        source: &Source<'_>,
    ) -> Result<(), Status> {
        source.check()?;
        let length = u16::try_from(source.length()).map_err(|_| Status::BAD_ARGUMENTS)?;
        self.replaceable(id)?;
        let metadata = Metadata { id, access: Metadata::ACCESS_ANY, flags, length, label: *label };
        let cache = self.cache(id);
        let slot = match source {
            #[cfg(any(feature = "certificates", feature = "elliptic-curves", feature = "rsa"))]
            Source::ServerBig(_) => cache.insert_big_first(&metadata),
            _ => cache.insert(&metadata, false),
        }?;
        match *source {
            Source::Client(key) | Source::Server(key) => slot.copy_from_slice(key),
            #[cfg(any(feature = "certificates", feature = "elliptic-curves", feature = "rsa"))]
            Source::ServerBig(key) => slot.copy_from_slice(key),
            Source::Random(driver, _) => {
                if let Err(error) = driver.fill(slot) {
                    cache.remove(id);
                    return Err(crypto_status(error));
                }
            }
        }
        self.recorder.record(Event::KeyCreated { key: id, flags, length });
        Ok(())
    }

    /// Checks that no key stands under an identifier, or one that may be replaced.
    fn replaceable(&mut self, id: ObjectId) -> Result<(), Status> {
        match self.gate(id, Operation::Replace) {
            Err(Status::NOT_FOUND) => Ok(()),
            result => result,
        }
    }

    /// Drops a key from the cache.
    ///
    /// # Errors
    /// As document 03, §6.3.
    pub(crate) fn evict(&mut self, id: ObjectId) -> Result<(), Status> {
        self.gate(id, Operation::Evict)?;
        if self.cache(id).remove(id) { Ok(()) } else { Err(Status::NOT_FOUND) }
    }

    /// Stores a cached key.
    ///
    /// # Errors
    /// As document 03, §6.3. The key stays cached in every case.
    pub(crate) fn commit(&mut self, id: ObjectId) -> Result<(), Status> {
        self.gate(id, Operation::Commit)?;
        if id.object_type() == ObjectType::WRAPPED {
            return Err(Status::ABORTED);
        }
        if self.cached(id).is_some_and(|cached| is_stateful_private(cached.key)) {
            // A copy of what is stored, and perhaps an older one: it must not go back.
            return Ok(());
        }
        self.write_back(id)?;
        self.recorder.record(Event::KeyCommitted { key: id });
        Ok(())
    }

    /// Writes a cached key to the store and marks it as committed.
    fn write_back(&mut self, id: ObjectId) -> Result<(), Status> {
        self.changing(id);
        let global = self.is_global(id);
        let Shared { store, global: global_cache, .. } = &mut *self.shared;
        let cache = if global { global_cache } else { &mut *self.local };
        let cached = cache.get_mut(id).ok_or(Status::NOT_FOUND)?;
        store.add_with_reclaim(cached.metadata, cached.key).map_err(|error| error.status())?;
        *cached.committed = true;
        Ok(())
    }

    /// Removes a key from the cache and the store; an absent one is no error.
    ///
    /// # Errors
    /// As document 03, §6.3.
    pub(crate) fn erase(&mut self, id: ObjectId) -> Result<(), Status> {
        if id.is_unassigned() {
            return Err(Status::BAD_ARGUMENTS);
        }
        if id.object_type() == ObjectType::WRAPPED {
            return Err(Status::ABORTED);
        }
        match self.evict(id) {
            Ok(()) | Err(Status::NOT_FOUND) => {}
            Err(status) => return Err(status),
        }
        self.changing(id);
        match self.shared.store.destroy_checked(&[id]) {
            Ok(()) | Err(StoreError::NoStore) => {
                self.recorder.record(Event::KeyErased { key: id });
                Ok(())
            }
            Err(error) => Err(error.status()),
        }
    }

    /// Takes all usage from a key and makes it unmodifiable, in the cache and in the store.
    ///
    /// # Errors
    /// As document 03, §8. If only the store fails, the cached key is revoked already.
    pub(crate) fn revoke(&mut self, id: ObjectId) -> Result<(), Status> {
        self.gate(id, Operation::Revoke)?;
        let is_stored = self.is_stored(id)?;
        if is_stored && self.cached(id).is_some_and(|cached| is_stateful_private(cached.key)) {
            // Another session may have signed since: what is marked as revoked is the state that is stored now.
            self.cache(id).remove(id);
        }
        self.freshen(id)?;
        let cached = self.cache(id).get_mut(id).ok_or(Status::NOT_FOUND)?;
        let flags = &mut cached.metadata.flags;
        let is_revoked = flags.contains(Flags::NONMODIFIABLE) && !flags.intersects(Flags::USAGE_ANY);
        // Clients make stateful keys without usage flags, so that their absence says nothing.
        let is_stateful = is_stateful_private(cached.key);
        let mark = cached.key.get_mut(STATEFUL_REVOKED).filter(|_| is_stateful);
        if is_revoked && *cached.committed && mark.as_deref() != Some(&0) {
            return Ok(());
        }
        *flags = flags.with(Flags::NONMODIFIABLE).without(Flags::USAGE_ANY);
        if let Some(mark) = mark {
            *mark = 1;
        }
        // Revoked in the cache already, whatever becomes of the stored copy; no copy of that until it is written.
        *cached.committed = false;
        self.recorder.record(Event::KeyRevoked { key: id });
        if is_stored { self.write_back(id) } else { Ok(()) }
    }

    // ----- stateful signature keys -----

    /// Copies a stateful signature key to the front of `out`. A cached copy of a stored key does not count: another
    /// session may have signed since it was made.
    ///
    /// # Errors
    /// ACCESS for a hardware key, NOT_FOUND, NO_SPACE if `out` is too small.
    #[cfg(feature = "hash-signatures")]
    pub(crate) fn fetch_stateful(&mut self, id: ObjectId, out: &mut [u8]) -> Result<Metadata, Status> {
        self.named(id)?;
        if let Some(cached) = self.cached(id)
            && !cached.committed
        {
            out.get_mut(..cached.key.len()).ok_or(Status::NO_SPACE)?.copy_from_slice(cached.key);
            return Ok(*cached.metadata);
        }
        let mut metadata = Metadata::default();
        self.stored_key(id, &mut metadata)?;
        let out = out.get_mut(..usize::from(metadata.length)).ok_or(Status::NO_SPACE)?;
        self.read_stored(id, 0, out)?;
        Ok(metadata)
    }

    /// Stores the next state of a stateful key, if what is stored is still `metadata` and begins with `before`; says
    /// whether it was.
    ///
    /// # Errors
    /// IO_FAILED if the new state could not be stored.
    #[cfg(feature = "hash-signatures")]
    pub(crate) fn advance_stateful(
        &mut self,
        metadata: &Metadata,
        before: &[u8],
        state: &[u8],
    ) -> Result<bool, Status> {
        let id = metadata.id;
        if self.cached(id).is_some_and(|cached| !cached.committed) || self.find_stored(id)? != Some(*metadata)
        {
            return Ok(false);
        }
        let mut stored = [0; 256];
        let stored = stored.get_mut(..before.len()).ok_or(Status::ABORTED)?;
        self.read_stored(id, 0, stored)?;
        if stored != before {
            return Ok(false);
        }
        let length = u16::try_from(state.len()).map_err(|_| Status::IO_FAILED)?;
        // Other sessions do not sign with their copies.
        self.drop_own_copy(id);
        self.store(&Metadata { length, ..*metadata }, state).map_err(|_| Status::IO_FAILED)?;
        Ok(true)
    }

    /// Whether a stateful key may be made under an identifier, and which: a free one if that has number 0.
    ///
    /// # Errors
    /// BAD_ARGUMENTS, ACCESS, NO_SPACE; ABORTED for an identifier of a wrapped key.
    #[cfg(feature = "hash-signatures")]
    pub(crate) fn place_stateful(&mut self, id: ObjectId, length: usize) -> Result<ObjectId, Status> {
        let id = self.assign(id, length)?;
        self.replaceable(id)?;
        if id.object_type() == ObjectType::WRAPPED { Err(Status::ABORTED) } else { Ok(id) }
    }

    /// Stores a new stateful key. It is not cached.
    ///
    /// # Errors
    /// As [`Self::place_stateful`], and what the store answers.
    #[cfg(feature = "hash-signatures")]
    pub(crate) fn insert_stateful(
        &mut self,
        id: ObjectId,
        flags: Flags,
        label: Label,
        key: &[u8],
    ) -> Result<ObjectId, Status> {
        let id = self.place_stateful(id, key.len())?;
        let length = u16::try_from(key.len()).map_err(|_| Status::BAD_ARGUMENTS)?;
        self.changing(id);
        self.store(&Metadata { id, access: Metadata::ACCESS_ANY, flags, length, label }, key)?;
        self.cache(id).remove(id);
        self.recorder.record(Event::KeyCreated { key: id, flags, length });
        self.recorder.record(Event::KeyCommitted { key: id });
        Ok(id)
    }

    /// Copies a key that may leave the server to the front of `out`, and its metadata to `metadata`.
    ///
    /// # Errors
    /// As document 03, §6.4.
    pub(crate) fn export(
        &mut self,
        id: ObjectId,
        metadata: &mut Metadata,
        out: &mut [u8],
    ) -> Result<(), Status> {
        self.gate(id, Operation::Export)?;
        self.read_through(id, metadata, out)
    }

    /// The key whose public half is wanted.
    ///
    /// # Errors
    /// As document 03, §6.5.
    pub(crate) fn for_public_export(&mut self, id: ObjectId) -> Result<Cached<'_>, Status> {
        self.gate(id, Operation::ExportPublic)?;
        self.freshen(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Document 03, §12.4: twelve bytes suffice, eleven do not, and a public container is an ordinary key.
    #[test]
    fn stateful_private_containers_are_recognized_by_their_header() {
        let private = [0x01, 0x53, 0x4D, 0x4C, 60, 0, 64, 0, 3, 0, 0, 0];
        assert!(is_stateful_private(&private));
        assert!(!is_stateful_private(&private[..11]));
        assert!(is_stateful_private(&[0x01, 0x53, 0x4D, 0x58, 0, 0, 0, 1, 0, 0, 0, 0]));
        assert!(!is_stateful_private(&[0x01, 0x53, 0x4D, 0x4C, 60, 0, 0, 0, 3, 0, 0, 0]));
        assert!(!is_stateful_private(&[0; 12]));
    }
}
