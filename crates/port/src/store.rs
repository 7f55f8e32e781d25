//! The object store, watched for faults of the flash under it.

use casemate_nvm::{Attributes, Available, Error, Listed, ObjectStore};
use casemate_protocol::{Metadata, ObjectId};
use core::cell::Cell;
use core::fmt;
use core::ops::ControlFlow;

/// A fault of the flash that the store has met while clients were served. The order is that of severity: the worst is the
/// greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    /// The worst fault since the last call.
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
        result.inspect_err(|error| self.note_error(changes, error))
    }

    // Not inlined: every operation would carry it.
    #[inline(never)]
    fn note_error(&self, changes: bool, error: &Error<S::FlashError>) {
        let fault = match error {
            Error::Flash(_) => StoreFault::Driver,
            // A stored object whose checksum does not match is that object's matter alone.
            Error::NotVerified if changes => StoreFault::NotVerified,
            Error::Failed => StoreFault::Failed,
            _ => return,
        };
        // No fault is less than any.
        self.fault.set(self.fault.get().max(Some(fault)));
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

    fn metadata(&mut self, id: ObjectId) -> Result<Metadata, Error<S::FlashError>> {
        let result = self.store.metadata(id);
        self.note(false, result)
    }

    fn attributes(&self, id: ObjectId) -> Result<Attributes, Error<S::FlashError>> {
        self.note(false, self.store.attributes(id))
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
        visitor: &mut dyn FnMut(Attributes) -> ControlFlow<()>,
    ) -> Result<(), Error<S::FlashError>> {
        self.note(false, self.store.visit(visitor))
    }

    fn add_with_reclaim(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<S::FlashError>> {
        let result = self.store.add_with_reclaim(metadata, data);
        self.note(true, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;

    /// A store whose every change and every look fails as it was told.
    struct Faulty(Cell<fn() -> Error<Infallible>>);

    impl Faulty {
        fn fails<T>(&self) -> Result<T, Error<Infallible>> {
            Err((self.0.get())())
        }
    }

    impl ObjectStore for Faulty {
        type FlashError = Infallible;

        fn available(&self) -> Result<Available, Error<Infallible>> {
            self.fails()
        }

        fn add(&mut self, _: &Metadata, _: &[u8]) -> Result<(), Error<Infallible>> {
            self.fails()
        }

        fn read(&mut self, _: ObjectId, _: u16, _: &mut [u8]) -> Result<(), Error<Infallible>> {
            self.fails()
        }

        fn metadata(&mut self, _: ObjectId) -> Result<Metadata, Error<Infallible>> {
            self.fails()
        }

        fn destroy(&mut self, _: &[ObjectId]) -> Result<(), Error<Infallible>> {
            self.fails()
        }

        fn list_next(&self, _: ObjectId) -> Result<Listed, Error<Infallible>> {
            self.fails()
        }

        fn visit(&self, _: &mut dyn FnMut(Attributes) -> ControlFlow<()>) -> Result<(), Error<Infallible>> {
            self.fails()
        }

        fn add_with_reclaim(&mut self, _: &Metadata, _: &[u8]) -> Result<(), Error<Infallible>> {
            self.fails()
        }
    }

    #[test]
    fn the_worst_fault_is_kept() {
        let failed: fn() -> Error<Infallible> = || Error::Failed;
        let not_verified: fn() -> Error<Infallible> = || Error::NotVerified;
        let not_found: fn() -> Error<Infallible> = || Error::NotFound;
        let mut store = WatchedStore::new(Faulty(Cell::new(not_found)));
        assert!(store.available().is_err());
        assert_eq!(store.take_fault(), None, "an object that is not there is no fault of the flash");
        for faults in [[not_verified, failed, not_found], [failed, not_verified, not_verified]] {
            for fault in faults {
                store.inner().0.set(fault);
                assert!(store.destroy(&[]).is_err());
            }
            assert_eq!(store.take_fault(), Some(StoreFault::Failed));
            assert_eq!(store.take_fault(), None);
        }
        store.inner().0.set(not_verified);
        assert!(store.read(ObjectId(1), 0, &mut []).is_err());
        assert_eq!(store.take_fault(), None, "what was read is that object's matter");
        assert!(StoreFault::Driver < StoreFault::NotVerified);
    }
}
