//! What can go wrong, and the status code a client sees.

use casemate_protocol::Status;
use core::fmt;

/// Why an operation on a store failed. `E` is the flash driver's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The flash driver failed. An operation that changes the store may or may not have taken effect; the store
    /// shows what the flash holds.
    Flash(E),
    /// The server has no store.
    NoStore,
    /// Identifier 0 names no object and cannot be stored.
    InvalidId,
    /// The data is longer than 65535 bytes.
    TooLong,
    /// The range to read does not lie inside the object.
    OutOfRange,
    /// There is no object with this identifier.
    NotFound,
    /// The object's flags forbid the operation.
    Access,
    /// No directory entry or not enough space is free.
    NoSpace,
    /// Flash that has to be programmed is not erased.
    NotBlank,
    /// Flash does not hold what was programmed, or an object's data do not match their checksum.
    NotVerified,
    /// An earlier failure left it unknown what the flash holds; mount the store again.
    Failed,
}

/// Why a store could not be mounted. `E` is the flash driver's error.
///
/// A type of its own: [`Error`], which every operation answers, then fits in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountError<E> {
    /// The flash, the directory or the mirror does not fit the layout.
    Geometry(Geometry),
    /// The flash holds something that this store will not touch.
    Unusable(Unusable),
    /// The flash failed, or does not take what mounting writes.
    Store(Error<E>),
}

/// How flash, directory, mirror and layout fail to fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Geometry {
    /// The flash's unit of programming or reading does not divide the layout's unit of `layout` bytes.
    Unit {
        /// The flash's unit in bytes.
        flash: usize,
        /// The layout's unit in bytes.
        layout: usize,
    },
    /// A partition is not a whole number of erase units, or of the layout's units.
    Alignment {
        /// Size of one partition in bytes.
        partition: u32,
        /// The unit in bytes.
        unit: usize,
    },
    /// The flash has fewer bytes than two partitions, or more than 4 GiB.
    Capacity {
        /// Size of the flash in bytes.
        capacity: usize,
        /// Size of one partition in bytes.
        partition: u32,
    },
    /// A partition is too small for the layout.
    Partition {
        /// Size of one partition in bytes.
        partition: u32,
        /// The smallest that fits, in bytes.
        minimum: u32,
    },
    /// The directory has no entry, or more than 65535.
    Directory {
        /// The number of entries.
        entries: usize,
    },
    /// The mirror is too small for a partition.
    Mirror {
        /// Size of the mirror in bytes.
        mirror: usize,
        /// The size needed, in bytes.
        minimum: u32,
    },
}

/// Why the content of the flash cannot be mounted. Nothing has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unusable {
    /// Neither partition begins like a partition of this layout, and they are not blank: not a store, a store of
    /// another layout, or mounted with the wrong partition size.
    Foreign,
    /// A partition was begun but never finished, and no other holds the objects.
    Corrupt,
    /// The image was made for another number of directory entries.
    DirectorySize {
        /// The number of entries the image was made for.
        image: u32,
        /// The number of entries of this store.
        store: u32,
    },
    /// The image was made for partitions of another size.
    PartitionSize {
        /// Size of a partition in the image, in bytes; 2^32 - 1 if it is larger.
        image: u32,
        /// Size of a partition here, in bytes.
        store: u32,
    },
    /// The image was made for flash that erases to another byte.
    ErasedByte,
    /// The image carries no checksums, but the store was told to check them.
    NoChecksums,
}

impl<E> Error<E> {
    /// The same error with the flash driver's error converted.
    pub fn map<F>(self, convert: impl FnOnce(E) -> F) -> Error<F> {
        match self {
            Self::Flash(error) => Error::Flash(convert(error)),
            Self::NoStore => Error::NoStore,
            Self::InvalidId => Error::InvalidId,
            Self::TooLong => Error::TooLong,
            Self::OutOfRange => Error::OutOfRange,
            Self::NotFound => Error::NotFound,
            Self::Access => Error::Access,
            Self::NoSpace => Error::NoSpace,
            Self::NotBlank => Error::NotBlank,
            Self::NotVerified => Error::NotVerified,
            Self::Failed => Error::Failed,
        }
    }

    /// The code a client sees (document 02, §3 to §5). This is the only place where the two meet.
    #[inline(never)]
    pub const fn status(&self) -> Status {
        match self {
            Self::NoStore | Self::InvalidId | Self::TooLong | Self::OutOfRange => Status::BAD_ARGUMENTS,
            Self::NotFound => Status::NOT_FOUND,
            Self::Access => Status::ACCESS,
            Self::NoSpace => Status::NO_SPACE,
            Self::NotBlank => Status::NOT_BLANK,
            Self::NotVerified => Status::NOT_VERIFIED,
            Self::Flash(_) | Self::Failed => Status::ABORTED,
        }
    }
}

impl<E> MountError<E> {
    /// The same error with the flash driver's error converted.
    pub fn map<F>(self, convert: impl FnOnce(E) -> F) -> MountError<F> {
        match self {
            Self::Geometry(geometry) => MountError::Geometry(geometry),
            Self::Unusable(unusable) => MountError::Unusable(unusable),
            Self::Store(error) => MountError::Store(error.map(convert)),
        }
    }
}

impl<E> From<Error<E>> for MountError<E> {
    fn from(error: Error<E>) -> Self {
        Self::Store(error)
    }
}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Flash(error)
    }
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash driver failed: {error:?}"),
            Self::NoStore => f.write_str("this server has no non-volatile memory"),
            Self::InvalidId => f.write_str("object identifier 0 is not allowed"),
            Self::TooLong => f.write_str("the data is longer than 65535 bytes"),
            Self::OutOfRange => f.write_str("the range to read does not lie inside the object"),
            Self::NotFound => f.write_str("there is no such object"),
            Self::Access => f.write_str("the object's flags forbid the operation"),
            Self::NoSpace => {
                f.write_str("the store is full; destroy objects, or compact it if space is reclaimable")
            }
            Self::NotBlank => f.write_str("flash to be programmed is not erased; compact the store"),
            Self::NotVerified => {
                f.write_str("flash does not hold what was written to it, or a checksum does not match")
            }
            Self::Failed => {
                f.write_str("an earlier flash failure left the store in an unknown state; mount it again")
            }
        }
    }
}

impl<E: fmt::Debug> fmt::Display for MountError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry(geometry) => geometry.fmt(f),
            Self::Unusable(unusable) => unusable.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit { flash, layout } => write!(
                f,
                "the flash programs or reads units of {flash} bytes, which do not divide this layout's {layout} bytes"
            ),
            Self::Alignment { partition, unit } => {
                write!(f, "a partition of {partition} bytes is not a whole number of units of {unit} bytes")
            }
            Self::Capacity { capacity, partition } => write!(
                f,
                "the flash has {capacity} bytes, which is not the right size for two partitions of {partition} bytes"
            ),
            Self::Partition { partition, minimum } => {
                write!(
                    f,
                    "a partition of {partition} bytes is too small: at least {minimum} bytes are needed"
                )
            }
            Self::Directory { entries } => {
                write!(f, "a directory of {entries} entries is not possible: 1 to 65535 are")
            }
            Self::Mirror { mirror, minimum } => {
                write!(f, "the RAM mirror has {mirror} bytes, but {minimum} are needed")
            }
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str(
                "the flash is not blank and does not hold a store of this layout (or the partition size is \
                 wrong); nothing was changed",
            ),
            Self::Corrupt => {
                f.write_str("the flash holds a damaged store: no partition is complete; nothing was changed")
            }
            Self::DirectorySize { image, store } => write!(
                f,
                "the image was made for {image} directory entries, this store has {store}; nothing was changed"
            ),
            Self::PartitionSize { image, store } => write!(
                f,
                "the image was made for partitions of {image} bytes, here they have {store}; nothing was changed"
            ),
            Self::ErasedByte => f.write_str(
                "the image was made for flash that erases to another byte (0x00 instead of 0xff, or the other way \
                 round); nothing was changed",
            ),
            Self::NoChecksums => f.write_str(
                "the image carries no checksums; mount it without checking them; nothing was changed",
            ),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}
impl<E: fmt::Debug> core::error::Error for MountError<E> {}
impl core::error::Error for Geometry {}
impl core::error::Error for Unusable {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn statuses_are_the_documented_ones() {
        for (error, status) in [
            (Error::Flash(()), -2002),
            (Error::NoStore, -2000),
            (Error::InvalidId, -2000),
            (Error::OutOfRange, -2000),
            (Error::NotFound, -2104),
            (Error::Access, -2101),
            (Error::NoSpace, -2105),
            (Error::NotBlank, -2103),
            (Error::NotVerified, -2102),
            (Error::Failed, -2002),
        ] {
            assert_eq!(error.status(), Status(status));
        }
    }

    #[test]
    fn messages_name_the_sizes() {
        let error: MountError<()> = MountError::Unusable(Unusable::DirectorySize { image: 30, store: 32 });
        assert!(error.to_string().contains("30 directory entries, this store has 32"));
    }
}
