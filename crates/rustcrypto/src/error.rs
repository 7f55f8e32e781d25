//! What can go wrong.

use alloc::format;
use alloc::string::{String, ToString};
use casemate_protocol::Status;
use core::fmt;

/// Why a key could not be opened or used.
///
/// The traits' own errors are opaque; where they carry a source, it is one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    reason: String,
    status: Option<Status>,
}

impl Error {
    /// The server's status, if the server refused the request.
    #[must_use]
    pub const fn status(&self) -> Option<Status> {
        self.status
    }

    pub(crate) fn public_key(algorithm: &str, reason: impl fmt::Display) -> Self {
        Self { reason: format!("the server's public key is no {algorithm} key: {reason}"), status: None }
    }

    pub(crate) fn other(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), status: None }
    }

    pub(crate) fn signature(self) -> signature::Error {
        signature::Error::from_source(self)
    }
}

impl<E: core::error::Error + 'static> From<casemate_client::Error<E>> for Error {
    fn from(error: casemate_client::Error<E>) -> Self {
        Self { reason: error.to_string(), status: error.status() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl core::error::Error for Error {}
