//! Parts that ports to devices share, and that belong to no chip.
//!
//! * [`Aes128Driver`]: the modes around an engine that turns one block of AES-128 at a time, as a cryptographic driver.
//! * [`Bridge`]: clients in memory that both cores reach, with interrupts both ways.
//! * [`Noise`]: a random number generator behind registers as a noise source.
//! * [`Owned`]: a variable in a static that one owner takes for good.
//! * [`SerialServer`]: a serial line as a transport; in emulation it carries the clients.
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
mod noise;
mod owned;
mod serial;

pub use aes::{Aes128Driver, Aes128Engine};
pub use bridge::{Bell, Bells, Bridge, BridgeServer};
pub use noise::{Noise, NoiseRegisters};
pub use owned::{OneThread, Owned, Place, Taken};
pub use serial::{Line, SerialServer};
