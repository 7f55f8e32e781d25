//! What a server may be configured with at run time. Storage sizes are chosen by the types of [`crate::Platform`].

use casemate_protocol::{IdFeatures, MAX_DATA_LENGTH, MIN_DATA_LENGTH};
use core::fmt;

/// How far clients are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// INIT comes first; a session keeps its client identifier; no message reaches another client's keys, counters
    /// or SHE slots, nor the records of the user database.
    #[default]
    Strict,
    /// As the original: requests before INIT run as client 0, INIT may be repeated with another identifier, and the
    /// object messages reach every object by its raw identifier.
    Original,
}

/// A server's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The server's identifier, which INIT reports.
    pub server_id: u8,
    /// Largest payload in bytes; clients of the original must be built with the same number.
    pub data_length: usize,
    /// Which kinds of keys the server offers.
    pub features: IdFeatures,
    /// How far clients are kept apart.
    pub isolation: Isolation,
    /// Largest key that may be wrapped, in bytes (document 03, §7).
    pub wrap_key_limit: usize,
    /// Largest data that may be wrapped, in bytes (document 03, §7).
    pub wrap_data_limit: usize,
    /// Version text that INFO reports, padded with zeros.
    pub version: [u8; 9],
    /// Build text that INFO reports, padded with zeros.
    pub build: [u8; 9],
}

impl Default for Config {
    /// The values of the original's POSIX example server.
    fn default() -> Self {
        Self {
            server_id: 57,
            data_length: 8192,
            features: IdFeatures { global_keys: true, wrapped_keys: true, hardware_keys: false },
            isolation: Isolation::Strict,
            wrap_key_limit: 5000,
            wrap_data_limit: 2000,
            version: *b"01.01.01\0",
            build: *b"12345678\0",
        }
    }
}

impl Config {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the value that is out of range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.data_length < MIN_DATA_LENGTH || self.data_length > MAX_DATA_LENGTH {
            return Err(ConfigError::DataLength(self.data_length));
        }
        Ok(())
    }
}

/// A configuration that no server can run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// [`Config::data_length`] is out of range.
    DataLength(usize),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataLength(length) => write!(
                f,
                "the packet data length is {length} bytes; choose one from {MIN_DATA_LENGTH} to {MAX_DATA_LENGTH}"
            ),
        }
    }
}

impl core::error::Error for ConfigError {}
