//! The porting interface: what a device supplies, and the firmware that makes a running HSM server of it.
//!
//! A port is one type that implements [`Port`]. Port and configuration are chosen at compile time: the port is a crate,
//! its subsystems are cargo features of `casemate-server`, its sizes are types and constants. [`Firmware`] boots the
//! device in a fixed order, serves its clients, and holds the device in a safe state when something is wrong. It is a
//! state machine without input or output of its own, moved on by [`Firmware::poll`], so the whole of it runs in a test
//! on a host.
//!
//! | part of the interface | what the port supplies |
//! |---|---|
//! | flash | [`Port::Flash`]: [`casemate_nvm::Flash`] over `embedded_storage`'s `NorFlash`; [`Port::mount`] chooses the layout |
//! | transport | [`Port::Transport`]: [`casemate_transport::ServerTransport`], opened for each link by [`Port::open`] |
//! | entropy | [`Port::Entropy`]: the noise source; the health tests of NIST SP 800-90B and the generator of SP 800-90A are here |
//! | crypto hardware | [`Port::Crypto`]: a [`casemate_crypto::Driver`] that may decline anything ([`NoHardware`] declines everything) |
//! | software crypto | [`Port::Software`]: what serves where the hardware declines, normally [`casemate_crypto::Software`] |
//! | platform | [`Port::initialize`], [`Port::hold`], [`Port::release`], [`Port::core_has_reset`], [`Port::health`], [`Port::limits`] |
//! | client memory | `Port::client_memory`, `Port::client_windows` (feature `dma`) |
//! | hardware key store | [`Services::hardware_keys`], `Services::device_key` |
//! | time, records, callbacks | [`Services`] |
//! | lock | [`Port::Lock`]: [`casemate_server::SingleThread`], unless interrupts or threads call the server |
//!
//! # Boot
//!
//! ```text
//!   power on
//!      |
//!   Step::Hardware   initialize(); hold(core) for every application core
//!      |
//!   Step::Entropy    entropy(); start-up health tests over 1024 samples (SP 800-90B); generator seeded
//!      |
//!   Step::Crypto     crypto(), software(); known-answer tests of what the hardware offers, and of the composition
//!      |
//!   Step::Flash      flash(); mount()
//!      |
//!   Step::Server     config(), services(), cache(), buffer(); server made; prepare()
//!      |
//!   Step::Images     images(), if there are any: each is verified                        (feature images)
//!      |
//!   Step::Release    release(core) for every application core
//!      |
//!   Step::Serve      open(link), core_has_reset(core), health(), idle(), again and again
//!
//!   a fault in any of them --> safe state: hold() every application core, keys and sessions wiped,
//!                              entered_safe_state(), and nothing is answered until the next power on
//! ```
//!
//! Each call of [`Firmware::poll`] does one step, and then one piece of serving.
//!
//! # The safe state
//!
//! It is entered when a step of the boot fails, when the noise source fails a continuous health test, when the store can no
//! longer tell what the flash holds ([`StoreFault`]), or when the port reports a fault ([`Port::health`]). The
//! application cores are held in reset, the server with all keys and sessions is wiped and gone, the buffers are wiped,
//! no packet is read or answered any more. [`Reason`] says why. Only a restart of the device leaves it.
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

mod fault;
mod firmware;
mod generator;
mod platform;
mod port;
mod self_test;
mod store;

pub use fault::{Cause, Fault, Reason, Step};
pub use firmware::{Ended, Firmware, Progress};
pub use generator::{Generator, SoftwareDriver};
pub use platform::{NoHardware, NoServices, PortPlatform, Services};
#[cfg(feature = "images")]
pub use port::{BootImages, ImageWindow};
pub use port::{BufferPurpose, CacheOwner, Core, MemoryLimits, Port, PortServer};
pub use self_test::{SelfTest, self_test};
pub use store::{StoreFault, WatchedStore};
