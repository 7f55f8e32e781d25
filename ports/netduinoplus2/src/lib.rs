//! Casemate on the board netduinoplus2, an STM32F405 with a Cortex-M4, as QEMU emulates it: what docs/porting.md leads to,
//! kept as an example. It has run on no board.
//!
//! | module | part of the interface |
//! |---|---|
//! | [`device`] | platform and memory: one core, so none is held or released |
//! | [`entropy`] | the noise source: the emulator's host |
//! | [`flash`] | flash of the object store: RAM that behaves as the chip's |
//! | [`transport`] | one link in memory |
//! | [`subject`] | what the conformance suite needs of the device |
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

pub mod device;
pub mod entropy;
pub mod flash;
#[cfg(all(target_arch = "arm", target_os = "none"))]
pub mod machine;
#[cfg(not(all(target_arch = "arm", target_os = "none")))]
#[path = "host.rs"]
mod machine;
pub mod subject;
pub mod transport;

pub use device::Device;

/// Links to clients.
pub const LINKS: usize = 1;

/// The firmware of this device. `main` makes it and calls [`run`](casemate_port::Firmware::run):
///
/// ```no_run
/// casemate_netduinoplus2::Firmware::new(casemate_netduinoplus2::Device::new()).run();
/// ```
pub type Firmware = casemate_port::Firmware<Device, LINKS>;
