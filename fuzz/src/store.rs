//! All kinds of store behind one interface, and what can be seen of a store.

use std::ops::ControlFlow;

use casemate_nvm::{
    Attributes, DirectoryEntry, Error, FlashOptions, FlashStore, LogOptions, LogStore, MountError,
    ObjectStore,
};
use casemate_protocol::{Metadata, ObjectId};

use crate::flash::{Fault, SharedFlash};

/// Size of one partition in bytes.
pub const PARTITION: usize = 1024;
/// The number of objects that fit.
pub const OBJECTS: usize = 8;

/// The layouts on flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, arbitrary::Arbitrary)]
pub enum Layout {
    /// A directory and a data area.
    Directory,
    /// The same, with checksums.
    Checksums,
    /// The whole partition written anew with every change.
    Log,
}

/// The objects of a store in their order.
pub type Objects = Vec<(Metadata, Vec<u8>)>;

/// Everything that `store` shows, or the error of the first operation that failed.
///
/// # Panics
/// If the store contradicts itself.
pub fn objects(store: &mut dyn ObjectStore<FlashError = Fault>) -> Result<Objects, Error<Fault>> {
    let mut objects = Vec::new();
    for metadata in records(store)? {
        let mut data = vec![0xA5; usize::from(metadata.length)];
        // An object without data cannot be read, only known (document 02, §3.7).
        if !data.is_empty() {
            store.read(metadata.id, 0, &mut data)?;
        }
        objects.push((metadata, data));
    }
    Ok(objects)
}

/// The metadata that `store` shows, in order.
///
/// # Panics
/// If the ways to learn of it disagree, or if it does not end.
pub fn records(store: &mut dyn ObjectStore<FlashError = Fault>) -> Result<Vec<Metadata>, Error<Fault>> {
    let mut records = Vec::new();
    let mut objects = Vec::new();
    store.visit(&mut |object| {
        objects.push(object);
        assert!(objects.len() <= 1000, "the enumeration does not end");
        ControlFlow::Continue(())
    })?;
    for object in objects {
        let record = store.metadata(object.id)?;
        assert_eq!(Attributes::from(&record), object);
        assert_eq!(store.attributes(object.id).as_ref(), Ok(&object));
        records.push(record);
    }
    let mut id = ObjectId::INVALID;
    for (position, record) in records.iter().enumerate() {
        let listed = store.list_next(id)?;
        assert_eq!(listed.id, record.id);
        assert_eq!(usize::from(listed.count), records.len() - position);
        id = record.id;
    }
    if records.is_empty() {
        assert_eq!(store.list_next(id)?.count, 0);
    } else {
        assert_eq!(store.list_next(id)?.id, ObjectId::INVALID);
    }
    Ok(records)
}

/// Mounts `flash` as `layout` says, shows the store or the error to `work`, and drops the store.
pub fn with_store<const UNIT: usize, R>(
    layout: Layout,
    flash: &SharedFlash<UNIT>,
    work: impl FnOnce(Result<&mut dyn ObjectStore<FlashError = Fault>, MountError<Fault>>) -> R,
) -> R {
    match layout {
        Layout::Directory | Layout::Checksums => {
            let options = FlashOptions::new().with_checksums(layout == Layout::Checksums);
            let directory = [DirectoryEntry::EMPTY; OBJECTS];
            match FlashStore::mount(flash.clone(), directory, options) {
                Ok(mut store) => work(Ok(&mut store)),
                Err(error) => work(Err(error)),
            }
        }
        Layout::Log => {
            let options = LogOptions::new().with_objects(OBJECTS as u16);
            match LogStore::mount(flash.clone(), [0; PARTITION], options) {
                Ok(mut store) => work(Ok(&mut store)),
                Err(error) => work(Err(error)),
            }
        }
    }
}
