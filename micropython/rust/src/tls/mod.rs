//! TLS for `wolfssl`: contexts, and sessions that neither know a socket nor call back.
//!
//! A [`Session`] is driven from outside: what the transport delivered goes into [`Session::input`], what it is to send is
//! taken from [`Session::output`], and [`Session::step`] works in between. So a transport may be any Python object that
//! raises, blocks or re-enters, and no frame of Rust is below it.

mod certificate;
mod context;
mod failure;
#[cfg(feature = "hsm")]
mod held;
mod session;
#[cfg(feature = "resumption")]
mod store;

pub use context::{Context, LoadError, VerifyMode, suites};
pub use failure::Failure;
pub use session::{MAX_WRITE, Session, Status};

use crate::DRIVER;
use casemate_rustls::DriverSource;

/// The driver of this crate, for the provider.
#[derive(Debug)]
pub(crate) struct Port;

impl DriverSource for Port {
    type Driver = crate::Driver;
    fn driver() -> &'static Self::Driver {
        &DRIVER
    }
}
