//! The wire protocol between an HSM client and an HSM server: packets, groups and actions, identifiers, flags,
//! status codes, and every message as a typed structure.
//!
//! This is the only crate in which an offset or a byte order appears. Everything here works on borrowed byte
//! slices: nothing allocates, nothing panics on any input, and every length is checked exactly once, while a
//! message is taken apart.
//!
//! A message has a *fixed part* (a structure that implements [`Layout`], with its size asserted at compile time)
//! and sometimes *tails* (keys, data, initialisation vectors) that follow it. [`Layout::decode`] returns the fixed
//! part and the rest of the payload; the message's own `tails` method cuts that rest into named slices.
//!
//! Multi-byte scalars travel in the *sender's* byte order, announced by the packet's magic ([`ByteOrder`]).
//! Section numbers in this crate refer to the protocol reference in `docs/protocol`.
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

mod codec;
mod dma;
mod flags;
mod id;
pub mod message;
mod metadata;
mod packet;
mod status;

pub use codec::{ByteOrder, Field, Layout, Malformed, Overflow, Reader, Writer};
pub use dma::DmaBuffer;
pub use flags::Flags;
pub use id::{ClientId, IdFeatures, KeyId, ObjectId, ObjectType};
pub use metadata::{Label, Metadata};
pub use packet::{Group, Header, Kind, MAX_DATA_LENGTH, MIN_DATA_LENGTH, Packet};
pub use status::Status;
