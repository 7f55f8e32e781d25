//! What can go wrong.

use core::fmt;

/// Why an operation was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The parameters name no parameter set that this crate knows.
    Parameters,
    /// A key, seed, state or output has not the length that its parameter set defines.
    Length,
    /// The private state contradicts itself: it was damaged, cut short or is of another parameter set.
    State,
    /// Every one-time key was used or reserved. The key can sign no more.
    Exhausted,
    /// The signature is not one of this message under this public key.
    Signature,
    /// The hash engine does not do this hash function, or failed.
    Engine,
    /// The message, the signature or its destination could not be read or written.
    Transfer,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Parameters => {
                "the parameter set is unknown: use one of RFC 8554, RFC 8391 or NIST SP 800-208"
            }
            Self::Length => "a length is wrong: ask the parameter set for the lengths of its keys and states",
            Self::State => "the private state is damaged or of another parameter set: do not sign with it",
            Self::Exhausted => "every one-time key of this private key is used: generate a new key",
            Self::Signature => "the signature does not match the message and the public key",
            Self::Engine => "the hash engine failed or does not support the hash function",
            Self::Transfer => "the message or the signature could not be read or written",
        })
    }
}

impl core::error::Error for Error {}
