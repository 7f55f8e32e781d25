//! Casemate on the HSM core of Infineon's AURIX TC3xx: a Cortex-M3 at up to 100 MHz beside up to six TriCore application
//! cores.
//!
//! The crate builds anywhere; only `bare_metal` needs the core itself. See README.md for what was tried on what, and
//! for what a holder of the HSM's documents fills in.
//!
//! * [`registers`]: what the port needs of the HSM module, one small trait; [`model`]: that trait in software.
//! * [`noise`], [`engine`]: the random number generator and the AES-128 engine.
//! * [`data_flash`]: the HSM's data flash as NOR flash.
//! * [`bridge`]: clients in shared memory with interrupts both ways; the application cores' reset.
//! * [`port`]: the porting interface over all that.
//! * `images`, with the feature of that name: images of the application cores, verified before these are released.
//! * [`memory_map`]: the memories, a table to change.
#![no_std]
#![deny(unsafe_code)]
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

#[cfg(test)]
extern crate std;

#[cfg(all(target_arch = "arm", target_os = "none"))]
pub mod bare_metal;
pub mod bridge;
#[cfg(feature = "conformance")]
mod conformance;
pub mod data_flash;
pub mod engine;
#[cfg(feature = "images")]
pub mod images;
pub mod memory_map;
pub mod model;
pub mod noise;
pub mod port;
pub mod registers;

pub use bridge::{BridgeBoard, Host, HostFault};
pub use data_flash::{DataFlash, DataFlashError};
pub use engine::Engine;
pub use model::{FlashCells, Model, Surroundings};
pub use noise::Noise;
pub use registers::{Register, Registers};
