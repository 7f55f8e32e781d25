//! Where a port begins. Every function of the porting interface is here, with its contract, the flow that is expected of
//! it and its error cases; none of them touches hardware yet, and each answers that it is not implemented.
//!
//! `cargo xtask new-port NAME` makes `ports/NAME` from this. Fill in one module at a time and run the conformance suite
//! after each: it says what passes, what fails and what the port still lacks. `docs/porting.md` walks through it.
//!
//! | module | part of the interface | suggested order |
//! |---|---|---|
//! | [`device`] | platform: boot, application cores, memory | 1: `initialize`, `hold`, `release`; the rest with its part |
//! | [`entropy`] | the noise source | 2: nothing starts without |
//! | [`flash`] | NOR flash of the object store | 3 |
//! | [`transport`] | the server's end of a link | 4 |
//! | [`crypto`] | engines | 5; `NoHardware` until then: software serves |
//! | [`subject`] | what the conformance suite needs of the device | with the part that it tests |
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

pub mod crypto;
pub mod device;
pub mod entropy;
pub mod flash;
pub mod subject;
pub mod transport;

pub use device::Device;

/// Links to clients: one for each application core that talks to the HSM.
pub const LINKS: usize = 2;

/// The firmware of this device. `main` makes it and calls [`run`](casemate_port::Firmware::run):
///
/// ```no_run
/// casemate_skeleton::Firmware::new(casemate_skeleton::Device::new()).run();
/// ```
pub type Firmware = casemate_port::Firmware<Device, LINKS>;
