//! The object store, watched for faults of the flash under it.

use casemate_nvm::{Available, Error, Listed, ObjectStore};
use casemate_protocol::{Metadata, ObjectId};
use core::cell::Cell;
use core::fmt;
use core::ops::ControlFlow;

/// A fault of the flash that the store has met while clients were served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// The flash driver reported an error.
    Driver,
    /// Flash does not hold what was programmed into it.
    NotVerified,
    /// The store no longer knows what the flash holds.
    Failed,
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Driver => "the flash driver reported an error",
            Self::NotVerified => "flash does not hold what was programmed into it",
            Self::Failed => "the store no longer knows what the flash holds",
        })
    }
}

impl core::error::Error for StoreFault {}

/// An object store that remembers the worst fault of the flash it has met. Answers are those of the store inside.
#[derive(Debug)]
pub struct WatchedStore<S> {
    store: S,
    fault: Cell<Option<StoreFault>>,
}

impl<S: ObjectStore> WatchedStore<S> {
    /// Watches `store`.
    pub const fn new(store: S) -> Self {
        Self { store, fault: Cell::new(None) }
    }

    /// The first fault since the last call.
    pub fn take_fault(&self) -> Option<StoreFault> {
        self.fault.take()
    }

    /// The store inside.
    pub const fn inner(&self) -> &S {
        &self.store
    }

    fn note<T>(
        &self,
        changes: bool,
        result: Result<T, Error<S::FlashError>>,
    ) -> Result<T, Error<S::FlashError>> {
        let fault = match &result {
            Err(Error::Flash(_)) => StoreFault::Driver,
            // A stored object whose checksum does not match is that object's matter alone.
            Err(Error::NotVerified) if changes => StoreFault::NotVerified,
            Err(Error::Failed) => StoreFault::Failed,
            _ => return result,
        };
        if self.fault.get().is_none() {
            self.fault.set(Some(fault));
        }
        result
    }
}

impl<S: ObjectStore> ObjectStore for WatchedStore<S> {
    type FlashError = S::FlashError;

    fn available(&self) -> Result<Available, Error<S::FlashError>> {
        self.note(false, self.store.available())
    }

    fn add(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<S::FlashError>> {
        let result = self.store.add(metadata, data);
        self.note(true, result)
    }

    fn read(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<S::FlashError>> {
        let result = self.store.read(id, offset, out);
        self.note(false, result)
    }

    fn metadata(&self, id: ObjectId) -> Result<Metadata, Error<S::FlashError>> {
        self.note(false, self.store.metadata(id))
    }

    fn destroy(&mut self, ids: &[ObjectId]) -> Result<(), Error<S::FlashError>> {
        let result = self.store.destroy(ids);
        self.note(true, result)
    }

    fn list_next(&self, start: ObjectId) -> Result<Listed, Error<S::FlashError>> {
        self.note(false, self.store.list_next(start))
    }

    fn visit(
        &self,
        visitor: &mut dyn FnMut(&Metadata) -> ControlFlow<()>,
    ) -> Result<(), Error<S::FlashError>> {
        self.note(false, self.store.visit(visitor))
    }

    fn add_with_reclaim(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<S::FlashError>> {
        let result = self.store.add_with_reclaim(metadata, data);
        self.note(true, result)
    }
}
