//! A power-fail-safe object store on NOR flash.
//!
//! * [`ObjectStore`] is what a server needs of a store: objects of up to 65535 bytes, each with a 32-byte
//!   [`Metadata`](casemate_protocol::Metadata) record, found by a 16-bit identifier.
//! * [`FlashStore`] keeps objects in a directory and a data area and writes each of them in place: for flash with a
//!   program unit of at most 8 bytes (document 02, §3).
//! * [`LogStore`] mirrors everything in RAM and rewrites it with every change: for flash with a program unit of up
//!   to 64 bytes (document 02, §4).
//! * [`NoStore`] stands in where a server has no non-volatile memory.
//! * [`Flash`] is what both need of a flash driver; [`RamFlash`] is one in RAM.
//!
//! Every change happens entirely or not at all, wherever the power fails: a store that is mounted again holds exactly
//! the old or exactly the new objects. When a call returns `Ok`, the change is durable.
//!
//! Integers in images are little-endian on every machine.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )
)]

mod checksum;
mod error;
mod flash;
mod flash_store;
mod log_store;
mod medium;
mod object_store;
mod ram_flash;
mod record;

pub use checksum::crc16;
pub use error::{Error, Geometry, MountError, Unusable};
pub use flash::Flash;
pub use flash_store::{DirectoryEntry, FlashOptions, FlashStore};
pub use log_store::{LogOptions, LogStore};
pub use object_store::{Attributes, Available, Listed, NoStore, ObjectStore};
pub use ram_flash::{RamFlash, RamFlashError};
