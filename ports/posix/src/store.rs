//! An object store that counts what happens to it.

use casemate_nvm::{Attributes, Available, Error, Listed, ObjectStore};
use casemate_protocol::{Metadata, ObjectId};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What has happened to an object store since the start.
#[derive(Debug, Default)]
pub struct StoreCounts {
    reclaims: AtomicU64,
    writes: AtomicU64,
    failures: AtomicU64,
}

impl StoreCounts {
    /// How often the store was compacted, to destroy objects or to make room.
    #[must_use]
    pub fn reclaims(&self) -> u64 {
        self.reclaims.load(Ordering::Relaxed)
    }

    /// How many objects were written.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// How many changes have failed because the flash has, or the whole store.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn count<F>(&self, count: &AtomicU64, result: &Result<(), Error<F>>) {
        let count = match result {
            Ok(()) => count,
            Err(Error::Flash(_) | Error::NotBlank | Error::NotVerified | Error::Failed) => &self.failures,
            Err(_) => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A store, with counts that can be read without its lock.
#[derive(Debug)]
pub struct CountedStore<S> {
    store: S,
    counts: Arc<StoreCounts>,
}

impl<S> CountedStore<S> {
    /// The same store, with counts that begin at 0.
    pub fn new(store: S) -> Self {
        Self { store, counts: Arc::default() }
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self) -> Arc<StoreCounts> {
        Arc::clone(&self.counts)
    }
}

impl<S: ObjectStore> ObjectStore for CountedStore<S> {
    type FlashError = S::FlashError;

    fn available(&self) -> Result<Available, Error<S::FlashError>> {
        self.store.available()
    }

    fn add(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<S::FlashError>> {
        let result = self.store.add(metadata, data);
        self.counts.count(&self.counts.writes, &result);
        result
    }

    fn read(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<S::FlashError>> {
        self.store.read(id, offset, out)
    }

    fn metadata(&mut self, id: ObjectId) -> Result<Metadata, Error<S::FlashError>> {
        self.store.metadata(id)
    }

    fn attributes(&self, id: ObjectId) -> Result<Attributes, Error<S::FlashError>> {
        self.store.attributes(id)
    }

    fn destroy(&mut self, ids: &[ObjectId]) -> Result<(), Error<S::FlashError>> {
        // A store that has none of them leaves its flash alone.
        let compacts = ids.is_empty() || ids.iter().any(|id| self.store.attributes(*id).is_ok());
        let result = self.store.destroy(ids);
        if compacts {
            self.counts.count(&self.counts.reclaims, &result);
        }
        result
    }

    fn list_next(&self, start: ObjectId) -> Result<Listed, Error<S::FlashError>> {
        self.store.list_next(start)
    }

    fn visit(
        &self,
        visitor: &mut dyn FnMut(Attributes) -> ControlFlow<()>,
    ) -> Result<(), Error<S::FlashError>> {
        self.store.visit(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};

    #[test]
    fn reclaims_and_writes_are_counted() {
        let flash: RamFlash<Vec<u8>> = RamFlash::new(vec![0; 16 * 1024], 0x00);
        let store = FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 4], FlashOptions::new()).unwrap();
        let mut store = CountedStore::new(store);
        let counts = store.counts();
        let seen = || (counts.writes(), counts.reclaims(), counts.failures());
        let object = |number| Metadata { id: ObjectId(number), ..Metadata::default() };
        for number in 1..=4 {
            store.add(&object(number), b"x").unwrap();
        }
        assert!(store.add(&object(5), b"x").is_err());
        assert_eq!(seen(), (4, 0, 0));
        store.destroy(&[ObjectId(99)]).unwrap();
        assert_eq!(seen(), (4, 0, 0));
        store.destroy(&[ObjectId(1)]).unwrap();
        store.add_with_reclaim(&object(2), b"y").unwrap();
        store.add_with_reclaim(&object(2), b"z").unwrap();
        assert_eq!(seen(), (6, 2, 0));
    }
}
