//! The two layouts, and images made by the same code that a server runs.

use crate::{Error, Object};
use casemate_nvm::{
    DirectoryEntry, FlashOptions, FlashStore, LogOptions, LogStore, MountError, ObjectStore, RamFlash,
    RamFlashError,
};
use std::ops::ControlFlow;
use zeroize::Zeroizing;

/// Which layout an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A directory and a data area: the original's `nvm_flash` (document 02, §3).
    Flash {
        /// Entries in the directory, at least 1; has to be what the server was built with.
        entries: u16,
        /// Whether entries carry checksums (§3.9); has to be what the server was built with.
        checksums: bool,
    },
    /// Everything rewritten with every change: the original's `nvm_flash_log` (document 02, §4).
    Log {
        /// The largest number of objects. It is not part of an image.
        objects: u16,
    },
}

/// The layout and the sizes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// The layout.
    pub layout: Layout,
    /// Bytes in one of the two partitions.
    pub partition_size: u32,
    /// The value of an erased byte: 0xFF, or 0x00 on some flash.
    pub erased_byte: u8,
}

impl Default for Format {
    /// That of the original's image tool: a directory of 32 entries, partitions of 64 KiB, erased to 0xFF.
    fn default() -> Self {
        Self {
            layout: Layout::Flash { entries: 32, checksums: false },
            partition_size: 0x1_0000,
            erased_byte: 0xFF,
        }
    }
}

type FlashImage = RamFlash<Vec<u8>, 8, 8>;
type LogImage = RamFlash<Vec<u8>, 64, 64>;
type StoreError = casemate_nvm::Error<RamFlashError>;

/// A store over an image.
enum Store {
    Flash(FlashStore<FlashImage, Vec<DirectoryEntry>>),
    Log(LogStore<LogImage, Vec<u8>>),
}

impl Format {
    /// The largest partition that this crate handles, in bytes.
    pub const MAX_PARTITION: u32 = 0x0800_0000;

    /// Bytes in an image: two partitions.
    ///
    /// # Errors
    /// [`Error::Format`] if the partition size is 0, above [`MAX_PARTITION`](Self::MAX_PARTITION), or no multiple of
    /// the layout's unit (8 or 64 bytes).
    pub fn image_size(&self) -> Result<usize, Error> {
        let unit = match self.layout {
            Layout::Flash { .. } => 8,
            Layout::Log { .. } => 64,
        };
        let size = self.partition_size;
        if size == 0 || size > Self::MAX_PARTITION || !size.is_multiple_of(unit) {
            return Err(Error::Format(format!(
                "partitions of {size} bytes cannot be: this layout takes a multiple of {unit} up to {}",
                Self::MAX_PARTITION
            )));
        }
        Ok(usize::try_from(size).unwrap_or(usize::MAX).saturating_mul(2))
    }

    /// An image with these objects, stored one after the other. A later object replaces an earlier one with the same
    /// identifier, as a server would; in the layout with a directory both take space.
    ///
    /// # Errors
    /// [`Error::Format`]; [`Error::Object`] for the first that cannot be stored.
    pub fn build(&self, objects: &[Object]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.extend(Zeroizing::new(vec![self.erased_byte; self.image_size()?]), objects)
    }

    /// The image with these objects added, without compaction: what the original's tool does to an image that exists
    /// (document 02, §8.1).
    ///
    /// # Errors
    /// [`Error::Format`]; [`Error::Image`] if a server would not mount the image; [`Error::Object`] for the first
    /// that cannot be stored.
    pub fn extend(
        &self,
        mut image: Zeroizing<Vec<u8>>,
        objects: &[Object],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut store = self.mount(std::mem::take(&mut *image))?;
        for object in objects {
            let added = match &mut store {
                Store::Flash(store) => store.add(&object.metadata, &object.data),
                Store::Log(store) => store.add(&object.metadata, &object.data),
            };
            added.map_err(|error| Error::Object { id: object.metadata.id.0, reason: self.advice(&error) })?;
        }
        store.into_image()
    }

    /// What a server that mounts the image sees: every object with its data.
    ///
    /// # Errors
    /// [`Error::Format`], [`Error::Image`].
    pub(crate) fn objects(&self, image: &[u8]) -> Result<Vec<Object>, Error> {
        let mut store = self.mount(image.to_vec())?;
        let objects = match &mut store {
            Store::Flash(store) => objects_of(store),
            Store::Log(store) => objects_of(store),
        };
        // The copy holds secrets.
        drop(store.into_image()?);
        objects
    }

    fn mount(&self, image: Vec<u8>) -> Result<Store, Error> {
        let expected = self.image_size()?;
        if image.len() != expected {
            let length = image.len();
            drop(Zeroizing::new(image));
            return Err(Error::Image(format!(
                "the image has {length} bytes; two partitions of {} bytes are {expected}",
                self.partition_size
            )));
        }
        let partition = Some(self.partition_size);
        let refused = |error: MountError<RamFlashError>| {
            let reason = format!("a server with this format would not start with the image: {error}");
            match error {
                MountError::Geometry(_) => Error::Format(error.to_string()),
                _ => Error::Image(reason),
            }
        };
        Ok(match self.layout {
            Layout::Flash { entries, checksums } => {
                let mut options = FlashOptions::new().with_checksums(checksums);
                options.partition_size = partition;
                let directory = vec![DirectoryEntry::EMPTY; usize::from(entries)];
                let flash = RamFlash::from_image(image, self.erased_byte);
                Store::Flash(FlashStore::mount(flash, directory, options).map_err(refused)?)
            }
            Layout::Log { objects } => {
                let mut options = LogOptions::new().with_objects(objects);
                options.partition_size = partition;
                let mirror = vec![0; usize::try_from(self.partition_size).unwrap_or(usize::MAX)];
                let flash = RamFlash::from_image(image, self.erased_byte);
                Store::Log(LogStore::mount(flash, mirror, options).map_err(refused)?)
            }
        })
    }

    /// What to do about an object that does not fit.
    fn advice(&self, error: &StoreError) -> String {
        match (error, self.layout) {
            (casemate_nvm::Error::NoSpace, Layout::Flash { entries, .. }) => format!(
                "no room: the directory takes {entries} versions of objects, the data area {} bytes. Make \
                 partitions or directory larger, in the server's configuration too",
                self.partition_size.saturating_sub(24).saturating_sub(u32::from(entries).saturating_mul(56))
            ),
            (casemate_nvm::Error::NoSpace, Layout::Log { objects }) => format!(
                "no room: a partition takes {objects} objects and {} bytes, each object its data and 64 bytes, \
                 rounded up to 64. Make the partitions larger, in the server's configuration too",
                self.partition_size.saturating_sub(64)
            ),
            (error, _) => error.to_string(),
        }
    }
}

impl Store {
    fn into_image(self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let image = match self {
            Self::Flash(store) => store.unmount().map(RamFlash::into_storage),
            Self::Log(store) => store.unmount().map(RamFlash::into_storage),
        };
        image.map(Zeroizing::new).map_err(|error| Error::Image(error.to_string()))
    }
}

fn objects_of<S: ObjectStore>(store: &mut S) -> Result<Vec<Object>, Error> {
    let mut found = Vec::new();
    let failed = |error: casemate_nvm::Error<S::FlashError>| Error::Image(error.to_string());
    store
        .visit(&mut |object| {
            found.push(object.id);
            ControlFlow::Continue(())
        })
        .map_err(failed)?;
    let mut objects = Vec::new();
    for id in found {
        let metadata = store.metadata(id).map_err(failed)?;
        let mut data = Zeroizing::new(vec![0; usize::from(metadata.length)]);
        // Objects whose data are damaged are the report's business.
        if data.is_empty() || store.read(id, 0, &mut data).is_ok() {
            objects.push(Object { metadata, data });
        }
    }
    Ok(objects)
}
