//! What the functions of this crate answer to C.

use core::fmt;

/// Why an operation of `wolfhashlib` or `wolfcryptolib` was not done. [`code`](Self::code) is what C sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The state handed in is not one, or the driver failed.
    Internal,
    /// The hash object has given its digest.
    Final,
    /// The key has a length that is not allowed.
    Key,
    /// The initialisation vector or nonce has a length that is not allowed.
    Iv,
    /// The tag has a length that is not allowed.
    Tag,
    /// The data has a length that is not allowed.
    Length,
    /// The tag does not match.
    Authentication,
    /// The algorithm is not part of this build.
    Unsupported,
    /// The object has been used in the other direction.
    Direction,
    /// The output has a length that cannot be produced.
    Output,
    /// The hash is in a processor's words, and the processor is in use: an interrupt came in between. Nothing was done.
    Busy,
    /// The processor did not finish.
    Hardware,
}

impl Error {
    /// The number that the C interface returns, as `casemate.h` names it.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Internal => -1,
            Self::Final => -2,
            Self::Key => -3,
            Self::Iv => -4,
            Self::Tag => -5,
            Self::Length => -6,
            Self::Authentication => -7,
            Self::Unsupported => -8,
            Self::Direction => -9,
            Self::Output => -10,
            Self::Busy => -11,
            Self::Hardware => -12,
        }
    }
}

impl From<casemate_crypto::Error> for Error {
    fn from(error: casemate_crypto::Error) -> Self {
        use casemate_crypto::Error as Driver;
        match error {
            Driver::KeyLength | Driver::Key => Self::Key,
            Driver::IvLength => Self::Iv,
            Driver::TagLength => Self::Tag,
            Driver::DataLength => Self::Length,
            Driver::OutputLength => Self::Output,
            Driver::Authentication => Self::Authentication,
            Driver::Unsupported => Self::Unsupported,
            Driver::Hardware => Self::Hardware,
            _ => Self::Internal,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Internal => "the state is not valid, or the driver failed",
            Self::Final => "hash is final: make a new object for further data",
            Self::Key => "the key length is wrong: pass 16, 24 or 32 bytes",
            Self::Iv => "the nonce length is wrong: GCM takes 1 or more bytes, CCM 7 to 13, CBC and CTR 16",
            Self::Tag => "the tag length is wrong: GCM takes 4 to 16 bytes, CCM 4, 6, ... 16",
            Self::Length => {
                "the data length is wrong: pass whole blocks of 16 bytes, or less than the mode's limit"
            }
            Self::Authentication => {
                "authentication failed: the data was changed or the key is not the sender's"
            }
            Self::Unsupported => "the algorithm is not part of this build: enable its feature",
            Self::Direction => "the object has been used in the other direction: make another one",
            Self::Output => "the output length is wrong: ask for what the algorithm can produce",
            Self::Busy => "the processor is in use: repeat the call outside of the interrupt",
            Self::Hardware => "the processor did not finish: the next object is computed in software",
        })
    }
}

impl core::error::Error for Error {}
