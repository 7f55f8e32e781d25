//! Images of non-volatile memory, made and examined on a host.
//!
//! An image is what the flash of a device holds: two partitions of equal size. It is programmed with the firmware, so
//! that a device wakes up with its keys and certificates, or read back from a device that no longer starts.
//!
//! * [`Configuration`] reads what an image shall hold: files of the original's image tool (document 02, §8.2), or
//!   TOML.
//! * [`Format`] says which of the two layouts an image has, and with which sizes; [`Format::build`] makes an image,
//!   [`Format::extend`] adds to one.
//! * [`Report`] says what an image holds: objects, versions, free space, damage. [`Report::repair`] saves what is
//!   intact into a new image, [`difference`] compares two.
//! * [`text`] carries images as Intel HEX and Motorola S-records.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

mod configuration;
mod description;
mod difference;
mod error;
mod format;
mod original;
mod report;
mod tables;
pub mod text;

pub use configuration::{Configuration, Object};
pub use difference::{Change, difference};
pub use error::Error;
pub use format::{Format, Layout};
pub use report::{EntryReport, EntryState, PartitionReport, PartitionState, Repaired, Report, Space};
