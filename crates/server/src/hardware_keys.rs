//! The seam to a key store of the device's own (document 03, §9).

use casemate_protocol::ObjectId;
#[cfg(feature = "key-wrap")]
use casemate_protocol::Status;
use core::fmt;

/// Keys that lie in hardware: fuses, key slots, what a physically unclonable function gives. They serve as key-encryption
/// keys, for wrapped keys and wrapped data, and nothing else: no message reads, makes, changes or removes one, and no
/// cipher takes one.
///
/// A client names such a key with the flag [`HARDWARE`](casemate_protocol::KeyId::HARDWARE) in its identifier, if
/// [`IdFeatures::hardware_keys`](casemate_protocol::IdFeatures::hardware_keys) is on in the server's configuration; else
/// the flag is ignored. They count as trusted, and need no usage flag.
pub trait HardwareKeyStore {
    /// Copies the key `id` to the front of `key`, 32 bytes, and returns its length: that of an AES key, 16, 24 or 32.
    ///
    /// The number of `id` may be any from 0 to 255. Its owner is the client that asks, or
    /// [`ClientId::NONE`](casemate_protocol::ClientId::NONE) if it asks for a global key: it is the store that decides
    /// who gets which key.
    ///
    /// It is called with the server's lock held, so by one session at a time: it must not call the server and should be
    /// quick. The server wipes `key` after the message.
    ///
    /// # Errors
    /// [`HardwareKeyFault`]; what was written to `key` does not matter then.
    fn read(&self, id: ObjectId, key: &mut [u8; 32]) -> Result<usize, HardwareKeyFault>;
}

/// Why there is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HardwareKeyFault {
    /// There is none with this identifier.
    Unknown,
    /// This client may not use it.
    Refused,
    /// It has more than 32 bytes.
    TooLong,
    /// The hardware failed.
    Failed,
}

impl HardwareKeyFault {
    /// What the client gets to see.
    #[cfg(feature = "key-wrap")]
    pub(crate) const fn status(self) -> Status {
        match self {
            Self::Unknown => Status::NOT_FOUND,
            Self::Refused => Status::ACCESS,
            Self::TooLong => Status::BUFFER_SIZE,
            Self::Failed => Status::HARDWARE,
        }
    }
}

impl fmt::Display for HardwareKeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the hardware holds no key with this identifier",
            Self::Refused => "this client may not use this hardware key",
            Self::TooLong => "the hardware key has more than 32 bytes, so it is no AES key",
            Self::Failed => "the hardware did not give its key",
        })
    }
}

impl core::error::Error for HardwareKeyFault {}
