//! What can go wrong.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why an image could not be made or read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A configuration cannot be understood.
    Configuration {
        /// Where: a line, or a table of a TOML file.
        place: String,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// The sizes of a format do not fit each other.
    Format(String),
    /// An object cannot be stored.
    Object {
        /// Its identifier.
        id: u16,
        /// Why.
        reason: String,
    },
    /// Bytes are no image of the format.
    Image(String),
    /// A file of Intel HEX or S-records cannot be understood.
    Text(String),
}

impl Error {
    pub(crate) fn configuration(place: impl fmt::Display, reason: impl Into<String>) -> Self {
        Self::Configuration { place: place.to_string(), reason: reason.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Configuration { place, reason } => write!(f, "{place}: {reason}"),
            Self::Format(reason) | Self::Image(reason) | Self::Text(reason) => f.write_str(reason),
            Self::Object { id, reason } => write!(f, "object {id:#06x}: {reason}"),
        }
    }
}

// No source: the text has it already.
impl std::error::Error for Error {}
