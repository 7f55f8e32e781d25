//! The conformance suite of the porting interface. Any port runs it against its own implementation, on a host or on the
//! device itself; it needs no standard library and no heap. A port is accepted by passing it.
//!
//! A port implements [`Subject`] in addition to [`Port`] and calls [`run`]:
//!
//! ```
//! use casemate_conformance::run;
//! use casemate_testkit::port::VirtualDevice;
//!
//! let device = VirtualDevice::new();
//! let mut text = String::new();
//! let summary = run::<_, 2>(&mut || device.port(), &mut text);
//! assert!(summary.is_complete(), "{text}");
//! assert!(text.ends_with(&format!("{summary}\n")));
//! ```
//!
//! Each check is one line: `pass`, `FAIL` with what was found, `none` for a part that the port does not implement yet,
//! `n/a` for what this device does not have or what cannot be checked here. The last line counts them.
//!
//! What is checked:
//!
//! * **flash**: geometry, erase, blank check, programming and verification, program-once, alignment, bounds, lock, commit,
//!   and power cuts during the changes of an object store, if the port can cut the power;
//! * **transport**: sizes, contents, order, back-pressure, lengths that are refused, the reset of either side;
//! * **entropy**: start-up and continuous health tests of NIST SP 800-90B, and the balance of the bits;
//! * **crypto**: what the hardware does, against published vectors and against the software; what it declines is named, and
//!   must have been left untouched;
//! * **platform**: application cores held until the release, numbers out of range, the parts in the order of the boot,
//!   client memory;
//! * **service**: a client's requests against the whole firmware, the end of a session when a core resets, and what is left
//!   after a restart.
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

mod crypto;
mod entropy;
mod flash;
mod platform;
mod report;
mod service;
mod transport;

pub use crypto::{compare_drivers, known_answers};
pub use entropy::check_entropy;
pub use flash::{check_flash, check_power_cuts};
pub use platform::check_platform;
pub use report::{Outcome, Report, Shortfall, Summary, ensure};
pub use service::{Driven, cache_key, check_service};
pub use transport::check_transport;

use casemate_port::{Core, Fault, Port};
use casemate_transport::ClientTransport;
use core::fmt::Write;

/// What the suite needs of a port besides the port itself: the other side of things.
pub trait Subject: Port {
    /// A client's end of a link.
    type Client: ClientTransport;

    /// How often a transport is asked, with [`Port::idle`] in between, before a packet counts as lost.
    const PATIENCE: u32 = 100_000;

    /// A new client at the other end of a link, with nothing in flight; one before it is gone. `Ok(None)` if no client can
    /// be had here: on a device without a second program.
    ///
    /// # Errors
    /// [`Fault::NotImplemented`], or whatever keeps it from being made.
    fn client(&mut self, link: usize) -> Result<Option<Self::Client>, Fault>;

    /// Whether the content of the flash may be destroyed: the suite erases it.
    fn may_erase_flash(&self) -> bool;

    /// Whether an application core runs; `None` if the port cannot tell.
    fn is_running(&self, core: Core) -> Option<bool> {
        let _ = core;
        None
    }

    /// Makes an application core reset by itself, as a crash would; `false` if the port cannot.
    fn crash_core(&mut self, core: Core) -> bool {
        let _ = core;
        false
    }

    /// Cuts the power at the write or erase after so many more of them: that one is interrupted, later ones fail until
    /// [`restore_power`](Self::restore_power). `false` if the port cannot.
    fn cut_power_after(&mut self, flash: &mut Self::Flash, operations: u32) -> bool {
        let _ = (flash, operations);
        false
    }

    /// Switches the power on again.
    fn restore_power(&mut self, flash: &mut Self::Flash) {
        let _ = flash;
    }
}

/// Runs the whole suite on a device with `LINKS` links. `power_on` makes the port as after power on; it is called several
/// times, and what was made before is gone by then.
pub fn run<P: Subject, const LINKS: usize>(power_on: &mut dyn FnMut() -> P, out: &mut dyn Write) -> Summary {
    let mut report = Report::new(out);
    report.note(format_args!("port {}, {} application cores, {LINKS} links", P::NAME, P::CORES));
    check_platform(&mut report, &mut power_on());
    entropy::check_port(&mut report, &mut power_on());
    crypto::check_port(&mut report, &mut power_on());
    flash::check_port(&mut report, &mut power_on());
    check_transport(&mut report, &mut power_on(), LINKS);
    check_service::<P, LINKS>(&mut report, power_on);
    report.finish()
}

/// What a fault of a port means for a check.
fn shortfall(fault: Fault, otherwise: &'static str) -> Shortfall {
    match fault {
        Fault::NotImplemented => Shortfall::NotImplemented,
        _ => Shortfall::Failed(otherwise),
    }
}

/// Brings a port as far as its hardware.
///
/// # Errors
/// What [`Port::initialize`] or [`Port::hold`] answered.
fn initialize<P: Port>(port: &mut P) -> Result<(), Fault> {
    port.initialize()?;
    (0..P::CORES).map(Core).try_for_each(|core| port.hold(core))
}
