//! Casemate on the HSM core of ST's SPC58NN: a PowerPC e200z0 at 100 MHz, big-endian, beside three e200z4 application
//! cores.
//!
//! The crate builds anywhere; only `bare_metal` needs a PowerPC core. See README.md for what was tried on what, what the
//! e200z0's instruction encoding (VLE) means, and what a holder of the HSM's documents fills in.
//!
//! * [`registers`]: what the port needs of the HSM module, one small trait; [`model`]: that trait in software.
//! * [`noise`], [`engine`]: the random number generator and the AES-128 engine.
//! * [`data_flash`]: the HSM's data flash as NOR flash.
//! * [`bridge`]: clients in shared memory with interrupts both ways; the application cores' reset.
//! * [`port`]: the porting interface.
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

#[cfg(all(target_arch = "powerpc", target_os = "none"))]
pub mod bare_metal;
pub mod bridge;
#[cfg(target_arch = "wasm32")]
pub mod c_host;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod data_flash;
pub mod engine;
#[cfg(feature = "images")]
pub mod images;
pub mod memory_map;
pub mod model;
pub mod noise;
pub mod port;
pub mod registers;

#[cfg(all(target_arch = "powerpc", target_os = "none"))]
pub use bare_metal as machine;
#[cfg(target_arch = "wasm32")]
pub use c_host as machine;

pub use bridge::{BridgeBoard, Host};
pub use data_flash::{DataFlash, DataFlashError};
pub use engine::Engine;
pub use model::{FlashArray, FlashCells, Model, Surroundings};
pub use noise::Noise;
pub use port::{Board, Memory, Spc58nn};
pub use registers::{Register, Registers};
