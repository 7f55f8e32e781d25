//! What the tests of both layouts share.
#![allow(dead_code)] // Each test uses a part.

use casemate_nvm::{
    Attributes, DirectoryEntry, Error, Flash, FlashOptions, FlashStore, LogOptions, LogStore, MountError,
    ObjectStore,
};
use casemate_protocol::{Flags, Metadata, ObjectId};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::ControlFlow;

pub(crate) fn metadata(id: u16, access: u16, flags: u16, label: &str) -> Metadata {
    Metadata { id: ObjectId(id), access, flags: Flags(flags), length: 0, label: label.into() }
}

/// An object with nothing but an identifier.
pub(crate) fn plain(id: u16) -> Metadata {
    metadata(id, 0xFFFF, 0, "")
}

/// Data that differ from object to object and from version to version.
pub(crate) fn pattern(seed: u16, length: usize) -> Vec<u8> {
    (0..length).map(|index| (index as u16).wrapping_mul(31).wrapping_add(seed).to_le_bytes()[0]).collect()
}

/// Everything that can be read from a store.
pub(crate) type Content = BTreeMap<u16, (Metadata, Vec<u8>)>;

/// Reads everything and checks that listing, metadata and reading agree.
pub(crate) fn content<S: ObjectStore + ?Sized>(store: &mut S) -> Content {
    let mut order = Vec::new();
    store
        .visit(&mut |object| {
            order.push(object);
            ControlFlow::Continue(())
        })
        .unwrap();
    let mut start = ObjectId::INVALID;
    for (index, object) in order.iter().enumerate() {
        let listed = store.list_next(start).unwrap();
        assert_eq!(listed.id, object.id);
        assert_eq!(usize::from(listed.count), order.len() - index);
        start = listed.id;
    }
    if !order.is_empty() {
        assert_eq!(store.list_next(start).unwrap().id, ObjectId::INVALID);
    }
    let count = order.len();
    let content: Content = order
        .into_iter()
        .map(|object| {
            let metadata = store.metadata(object.id).unwrap();
            assert_eq!(Attributes::from(&metadata), object);
            assert_eq!(store.attributes(object.id).unwrap(), object);
            let mut data = vec![0; metadata.length.into()];
            if !data.is_empty() {
                store.read(metadata.id, 0, &mut data).unwrap();
            }
            (metadata.id.0, (metadata, data))
        })
        .collect();
    assert_eq!(content.len(), count, "an identifier is listed twice");
    content
}

/// A change to a store.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Add { id: u16, version: u16, length: usize },
    AddWithReclaim { id: u16, version: u16, length: usize },
    Destroy(Vec<u16>),
}

impl Operation {
    pub(crate) fn apply<S: ObjectStore + ?Sized>(&self, store: &mut S) -> Result<(), Error<S::FlashError>> {
        match self {
            &Self::Add { id, version, length } => {
                store.add(&metadata(id, version, 0, "object"), &pattern(version, length))
            }
            &Self::AddWithReclaim { id, version, length } => {
                store.add_with_reclaim(&metadata(id, version, 0, "object"), &pattern(version, length))
            }
            Self::Destroy(ids) => {
                let ids: Vec<_> = ids.iter().map(|&id| ObjectId(id)).collect();
                store.destroy(&ids)
            }
        }
    }

    /// The same change to a model.
    pub(crate) fn apply_to(&self, content: &mut Content) {
        match self {
            &Self::Add { id, version, length } | &Self::AddWithReclaim { id, version, length } => {
                let record = Metadata { length: length as u16, ..metadata(id, version, 0, "object") };
                content.insert(id, (record, pattern(version, length)));
            }
            Self::Destroy(ids) => content.retain(|id, _| !ids.contains(id)),
        }
    }
}

/// A layout, with everything it needs to be mounted on any flash.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout {
    Flash { entries: usize, checksums: bool },
    Log { objects: u16 },
}

/// Either store.
pub(crate) enum Store<F> {
    Flash(FlashStore<F, Vec<DirectoryEntry>>),
    Log(LogStore<F, Vec<u8>>),
}

impl Layout {
    pub(crate) fn mount<F: Flash>(self, flash: F) -> Result<Store<F>, MountError<F::Error>> {
        match self {
            Self::Flash { entries, checksums } => {
                let options = FlashOptions::new().with_checksums(checksums);
                FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; entries], options).map(Store::Flash)
            }
            Self::Log { objects } => {
                let mirror = vec![0xDD; flash.capacity() / 2];
                LogStore::mount(flash, mirror, LogOptions::new().with_objects(objects)).map(Store::Log)
            }
        }
    }
}

impl<F: Flash> Store<F> {
    pub(crate) fn get(&mut self) -> &mut dyn ObjectStore<FlashError = F::Error> {
        match self {
            Self::Flash(store) => store,
            Self::Log(store) => store,
        }
    }

    pub(crate) fn unmount(self) -> F
    where
        F::Error: Debug,
    {
        match self {
            Self::Flash(store) => store.unmount().unwrap(),
            Self::Log(store) => store.unmount().unwrap(),
        }
    }
}
