//! Parts that ports to devices share, and that belong to no chip.
//!
//! * [`Aes128Driver`]: the modes around an engine that turns one block of AES-128 at a time, as a cryptographic driver.
//! * [`Bridge`]: clients in memory that both cores reach, with interrupts both ways.
//! * [`FaultPlan`]: what a panic or an exception of the core leads to.
//! * [`Noise`]: a random number generator behind registers as a noise source.
//! * [`Owned`]: a variable in a static that one owner takes for good; [`Room`]: one that is made at run time.
//! * [`SerialServer`]: a serial line as a transport; in emulation it carries the clients.
//! * `semihosting`, on a Cortex-M only: calls to a debugger or an emulator.
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

mod aes;
mod bridge;
pub mod fault;
mod noise;
mod owned;
#[cfg(all(target_arch = "arm", target_os = "none"))]
pub mod semihosting;
mod serial;

pub use aes::{Aes128Driver, Aes128Engine};
pub use bridge::{Bell, Bells, Bridge, BridgeServer};
pub use fault::{AfterFault, FaultPlan, HoldCores};
pub use noise::{Noise, NoiseRegisters};
pub use owned::{OneThread, Owned, Place, Room, Taken};
pub use serial::{Line, SerialServer};
