//! Images of the application cores, which the boot verifies before it releases these cores: feature `images`.
//!
//! A board says which images there are ([`Board::images`](crate::port::Board::images)); without any, the cores are released as
//! they are. An image that is not what its owner has signed, and one that is not there, keep all of them in reset, and the
//! device goes to its safe state.
//!
//! [`IMAGES`] is the table to change. Its kinds, methods and actions are those of [`casemate_server::image`]; each key lies in
//! the object store, which README.md says how to make.

use crate::memory_map::CURRENT;
use casemate_protocol::ObjectId;
use casemate_server::image::{Ed25519, Image, ImageKind, NoAction, Region};

/// The flash of the application cores; the memory map says where it is.
pub const FLASH: Region =
    Region { address: CURRENT.applications.start as u64, size: CURRENT.applications.length };

/// Bytes of a wolfBoot header, padding included; the payload follows it. As `casemate image sign` makes it by default.
pub const HEADER_SIZE: u32 = 1024;

/// The key that verifies the image, an Ed25519 key as SubjectPublicKeyInfo with the usage `verify`. No client reaches an
/// object with this identifier.
pub const KEY: ObjectId = ObjectId(0xFE81);

/// The lowest version that may run, if it was ever raised; no client reaches it either.
pub const FLOOR: ObjectId = ObjectId(0xFE80);

/// One image with a wolfBoot header at the start of that flash, signed with Ed25519.
pub const IMAGES: &[Image<'static>] = &[Image {
    number: 0,
    kind: ImageKind::WolfBoot {
        header: Region { address: FLASH.address, size: HEADER_SIZE },
        key: KEY,
        floor: Some(FLOOR),
    },
    payload: Region { address: FLASH.address + HEADER_SIZE as u64, size: FLASH.size - HEADER_SIZE },
    method: &Ed25519,
    action: &NoAction,
}];
