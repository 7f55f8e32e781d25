//! What a server needs of a store, with and without the policy that protects objects from clients.

use crate::Error;
use casemate_protocol::{Flags, Metadata, ObjectId};
use core::convert::Infallible;
use core::fmt;
use core::ops::ControlFlow;

/// How much a store can still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Available {
    /// Bytes free for data.
    pub size: u32,
    /// Objects that still fit.
    pub objects: u16,
    /// Bytes that a compaction would free.
    pub reclaimable_size: u32,
    /// Directory entries that a compaction would free.
    pub reclaimable_objects: u16,
}

/// What a store knows of an object without looking into its flash: enough to find it and to protect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// The object's identifier.
    pub id: ObjectId,
    /// What may be done with the object.
    pub flags: Flags,
    /// Length of its data in bytes.
    pub length: u16,
}

impl From<&Metadata> for Attributes {
    fn from(metadata: &Metadata) -> Self {
        Self { id: metadata.id, flags: metadata.flags, length: metadata.length }
    }
}

/// One step of an enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Listed {
    /// The object found, or [`ObjectId::INVALID`] at the end.
    pub id: ObjectId,
    /// The number of objects from this one to the end, this one included; 0 at the end.
    pub count: u16,
}

/// A set of objects that survives power loss.
///
/// The plain operations obey no policy: they are for the server's own use. The `_checked` operations are what a
/// client may cause (document 02, §5.4).
///
/// Every operation of a store that has [failed](Error::Failed) answers that error.
pub trait ObjectStore {
    /// The flash driver's error.
    type FlashError: fmt::Debug;

    /// How much the store can still take.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::Failed`].
    fn available(&self) -> Result<Available, Error<Self::FlashError>>;

    /// Stores `data` under `metadata.id`, replacing an object of that identifier. `metadata.length` is ignored: the
    /// length of `data` is stored. The old version keeps its space until the next compaction, where the layout
    /// compacts at all.
    ///
    /// # Errors
    /// [`Error::InvalidId`], [`Error::TooLong`], [`Error::NoSpace`]; [`Error::NotBlank`], [`Error::NotVerified`],
    /// [`Error::Flash`] if the flash failed.
    fn add(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<Self::FlashError>>;

    /// Reads `out.len()` bytes of an object's data, from byte `offset` on. `out` is zeroed on error.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::OutOfRange`] if the range does not lie inside the object;
    /// [`Error::NotVerified`] if the whole object is read and its data do not match their checksum;
    /// [`Error::Flash`].
    fn read(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<Self::FlashError>>;

    /// The metadata of an object.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotVerified`] if the flash no longer holds what was found when it was mounted, or
    /// what was written since; [`Error::Flash`].
    fn metadata(&mut self, id: ObjectId) -> Result<Metadata, Error<Self::FlashError>>;

    /// Identifier, flags and length of an object.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    fn attributes(&self, id: ObjectId) -> Result<Attributes, Error<Self::FlashError>> {
        let mut found = Err(Error::NotFound);
        self.visit(&mut |object| {
            if object.id == id && id != ObjectId::INVALID {
                found = Ok(object);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        found
    }

    /// Destroys all objects in `ids` at once; identifiers that name no object are skipped. An empty list asks for a
    /// compaction.
    ///
    /// # Errors
    /// [`Error::NotBlank`], [`Error::NotVerified`], [`Error::Flash`] if the flash failed.
    fn destroy(&mut self, ids: &[ObjectId]) -> Result<(), Error<Self::FlashError>>;

    /// The first object (`start` = [`ObjectId::INVALID`]) or the one after `start`, in the order in which they were
    /// added. An unknown `start` gives the end (document 02, §3.7).
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::Failed`].
    fn list_next(&self, start: ObjectId) -> Result<Listed, Error<Self::FlashError>> {
        let mut listed = Listed::default();
        let mut passed = start == ObjectId::INVALID;
        self.visit(&mut |object| {
            if passed {
                if listed.count == 0 {
                    listed.id = object.id;
                }
                listed.count = listed.count.saturating_add(1);
            }
            passed |= object.id == start;
            ControlFlow::Continue(())
        })?;
        Ok(listed)
    }

    /// Shows the attributes of every object to `visitor`, in the order in which they were added, until it breaks.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::Failed`].
    fn visit(
        &self,
        visitor: &mut dyn FnMut(Attributes) -> ControlFlow<()>,
    ) -> Result<(), Error<Self::FlashError>>;

    /// [`add`](Self::add), compacting first if that makes room (document 02, §3.8).
    ///
    /// # Errors
    /// Those of `add` and [`destroy`](Self::destroy).
    fn add_with_reclaim(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<Self::FlashError>> {
        let available = self.available()?;
        let length = u32::try_from(data.len()).map_err(|_| Error::TooLong)?;
        if available.size < length || available.objects == 0 {
            let size = available.size.saturating_add(available.reclaimable_size);
            let objects = available.objects.saturating_add(available.reclaimable_objects);
            if size < length || objects == 0 {
                return Err(Error::NoSpace);
            }
            self.destroy(&[])?;
        }
        self.add(metadata, data)
    }

    /// [`add`](Self::add) on behalf of a client: refused if the object exists and is trusted or not modifiable; the
    /// new object is never trusted.
    ///
    /// # Errors
    /// [`Error::Access`], and those of `add`.
    fn add_checked(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<Self::FlashError>> {
        match self.attributes(metadata.id) {
            Ok(existing) if existing.flags.intersects(Flags::TRUSTED | Flags::NONMODIFIABLE) => {
                return Err(Error::Access);
            }
            Ok(_) | Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        self.add(&Metadata { flags: metadata.flags.without(Flags::SERVER_ONLY), ..*metadata }, data)
    }

    /// [`read`](Self::read) on behalf of a client: refused if the object is trusted or not exportable.
    ///
    /// # Errors
    /// [`Error::Access`], and those of `read`.
    fn read_checked(
        &mut self,
        id: ObjectId,
        offset: u16,
        out: &mut [u8],
    ) -> Result<(), Error<Self::FlashError>> {
        let result = match self.attributes(id) {
            Ok(existing) if existing.flags.intersects(Flags::TRUSTED | Flags::NONEXPORTABLE) => {
                Err(Error::Access)
            }
            Ok(_) => return self.read(id, offset, out),
            Err(error) => Err(error),
        };
        out.fill(0);
        result
    }

    /// [`destroy`](Self::destroy) on behalf of a client: refused, with nothing destroyed, if any object in `ids` is
    /// trusted, not modifiable or not destroyable.
    ///
    /// # Errors
    /// [`Error::Access`], and those of `destroy`.
    fn destroy_checked(&mut self, ids: &[ObjectId]) -> Result<(), Error<Self::FlashError>> {
        let protected = Flags::TRUSTED | Flags::NONMODIFIABLE | Flags::NONDESTROYABLE;
        for &id in ids {
            match self.attributes(id) {
                Ok(existing) if existing.flags.intersects(protected) => return Err(Error::Access),
                Ok(_) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        self.destroy(ids)
    }
}

impl<T: ObjectStore + ?Sized> ObjectStore for &mut T {
    type FlashError = T::FlashError;
    fn available(&self) -> Result<Available, Error<Self::FlashError>> {
        T::available(self)
    }
    fn add(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<Self::FlashError>> {
        T::add(self, metadata, data)
    }
    fn read(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<Self::FlashError>> {
        T::read(self, id, offset, out)
    }
    fn metadata(&mut self, id: ObjectId) -> Result<Metadata, Error<Self::FlashError>> {
        T::metadata(self, id)
    }
    fn attributes(&self, id: ObjectId) -> Result<Attributes, Error<Self::FlashError>> {
        T::attributes(self, id)
    }
    fn destroy(&mut self, ids: &[ObjectId]) -> Result<(), Error<Self::FlashError>> {
        T::destroy(self, ids)
    }
    fn list_next(&self, start: ObjectId) -> Result<Listed, Error<Self::FlashError>> {
        T::list_next(self, start)
    }
    fn visit(
        &self,
        visitor: &mut dyn FnMut(Attributes) -> ControlFlow<()>,
    ) -> Result<(), Error<Self::FlashError>> {
        T::visit(self, visitor)
    }
    fn add_with_reclaim(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<Self::FlashError>> {
        T::add_with_reclaim(self, metadata, data)
    }
}

/// The store of a server without non-volatile memory: every operation answers [`Error::NoStore`], which clients see
/// as a bad argument (document 02, §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoStore;

impl ObjectStore for NoStore {
    type FlashError = Infallible;
    fn available(&self) -> Result<Available, Error<Infallible>> {
        Err(Error::NoStore)
    }
    fn add(&mut self, _: &Metadata, _: &[u8]) -> Result<(), Error<Infallible>> {
        Err(Error::NoStore)
    }
    fn read(&mut self, _: ObjectId, _: u16, out: &mut [u8]) -> Result<(), Error<Infallible>> {
        out.fill(0);
        Err(Error::NoStore)
    }
    fn metadata(&mut self, _: ObjectId) -> Result<Metadata, Error<Infallible>> {
        Err(Error::NoStore)
    }
    fn destroy(&mut self, _: &[ObjectId]) -> Result<(), Error<Infallible>> {
        Err(Error::NoStore)
    }
    fn visit(&self, _: &mut dyn FnMut(Attributes) -> ControlFlow<()>) -> Result<(), Error<Infallible>> {
        Err(Error::NoStore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::Status;

    #[test]
    fn no_store_refuses_everything_as_a_bad_argument() {
        let store: &mut dyn ObjectStore<FlashError = Infallible> = &mut NoStore;
        let id = ObjectId(1);
        let mut out = [7];
        let statuses = [
            store.available().unwrap_err(),
            store.add(&Metadata::default(), &[]).unwrap_err(),
            store.add_checked(&Metadata::default(), &[]).unwrap_err(),
            store.add_with_reclaim(&Metadata::default(), &[]).unwrap_err(),
            store.read_checked(id, 0, &mut out).unwrap_err(),
            store.metadata(id).unwrap_err(),
            store.attributes(id).unwrap_err(),
            store.destroy_checked(&[id]).unwrap_err(),
            store.destroy(&[]).unwrap_err(),
            store.list_next(id).unwrap_err(),
        ]
        .map(|error| error.status());
        assert_eq!(statuses, [Status::BAD_ARGUMENTS; 10]);
        assert_eq!(out, [0]);
    }
}
