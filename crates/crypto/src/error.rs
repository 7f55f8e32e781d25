//! What a driver can answer instead of a result.

use core::fmt;

/// Why a cryptographic operation was not done.
///
/// After any error except [`Unsupported`](Error::Unsupported), outputs and in-place data have no defined content
/// unless the method says more; they never hold unverified plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// The driver does not do this operation (or not with this algorithm or key length) and has changed nothing:
    /// another driver may be asked.
    Unsupported,
    /// The key has a length that the algorithm does not know.
    KeyLength,
    /// The key's value is not one: a number out of range, a point that is not on the curve, parts that contradict
    /// each other.
    Key,
    /// The initialisation vector or nonce has a length that the mode does not allow.
    IvLength,
    /// The authentication tag or MAC has a length that the mode does not allow.
    TagLength,
    /// The input has a length that the operation does not allow, for instance no whole number of blocks.
    DataLength,
    /// The output has a length that the operation cannot produce.
    OutputLength,
    /// A resumable state handed in contradicts itself or belongs to another algorithm.
    State,
    /// The authentication tag does not match: the message or its associated data was changed, or the key is
    /// another one.
    Authentication,
    /// The signature is not one: a number in it is out of range.
    Signature,
    /// The entropy source failed or did not pass its health tests: no random number can be given.
    Entropy,
    /// The driver cannot answer now: its lock is held by the caller itself, or was left behind by a thread that
    /// failed.
    Unavailable,
    /// The device behind the driver reported a fault.
    Hardware,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unsupported => {
                "no driver supports this operation: add a driver that does, such as Software"
            }
            Self::KeyLength => {
                "the key length is wrong: use one that the algorithm defines (AES: 16, 24 or 32 bytes)"
            }
            Self::Key => "the key is not valid: a number is out of range or its parts contradict each other",
            Self::IvLength => {
                "the initialisation vector length is wrong: GCM takes 1 or more bytes, CCM 7 to 13"
            }
            Self::TagLength => {
                "the tag length is wrong: GCM takes 4 to 16 bytes, CCM 4, 6, ... 16, CMAC 1 to 16"
            }
            Self::DataLength => "the data length is wrong: pass whole blocks, or less than the mode's limit",
            Self::OutputLength => {
                "the output length is wrong: pass a slice of the length the algorithm produces"
            }
            Self::State => "the resumable state is not valid: pass back the one that the last call returned",
            Self::Authentication => {
                "authentication failed: the data was changed or the key is not the sender's"
            }
            Self::Signature => "the signature is malformed: a number in it is out of range",
            Self::Entropy => "the entropy source failed its health tests: check the port's noise source",
            Self::Unavailable => "the driver's lock is held or poisoned: do not call it from within itself",
            Self::Hardware => "the cryptographic device reported a fault",
        })
    }
}

impl core::error::Error for Error {}
