//! What a call answers when it does not succeed, and where the other crates' errors become PKCS#11's.

use casemate_client::Error as ClientError;
use casemate_crypto::Error as CryptoError;
use casemate_crypto::encoding::EncodingError;
use casemate_posix::LinkError;
use casemate_protocol::Status;
use casemate_transport::TransportError;
use cryptoki_sys::*;
use std::fmt;

/// Why a call did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// This return value (PKCS#11, `CKR_…`).
    Code(CK_RV),
    /// `CKR_BUFFER_TOO_SMALL`: the outcome has this many bytes (or entries).
    TooSmall(usize),
}

/// The outcome of a call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The return value (`CKR_…`).
    pub const fn code(self) -> CK_RV {
        match self {
            Self::Code(code) => code,
            Self::TooSmall(_) => CKR_BUFFER_TOO_SMALL,
        }
    }

    /// Whether the way to the server broke, so that another connection may help.
    pub(crate) const fn is_lost_connection(self) -> bool {
        matches!(self, Self::Code(CKR_DEVICE_REMOVED))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => {
                write!(f, "the call failed with return value {code:#x}; see the CKR_ list of PKCS#11")
            }
            Self::TooSmall(needed) => write!(f, "the buffer is too small; the outcome takes {needed}"),
        }
    }
}

impl std::error::Error for Error {}

/// A refusal with this return value.
pub(crate) const fn fail<T>(code: CK_RV) -> Result<T> {
    Err(Error::Code(code))
}

impl From<ClientError<LinkError>> for Error {
    fn from(error: ClientError<LinkError>) -> Self {
        Self::Code(match error {
            // A connection on which something was left half-done is of no further use either.
            ClientError::Transport(TransportError::NotReady | TransportError::BadLength) => CKR_DEVICE_ERROR,
            ClientError::Transport(_) => CKR_DEVICE_REMOVED,
            ClientError::Remote(status) => of_status(status),
            ClientError::TooLong { .. } => CKR_DATA_LEN_RANGE,
            ClientError::MacMismatch => CKR_SIGNATURE_INVALID,
            ClientError::Argument(_) => CKR_ARGUMENTS_BAD,
            _ => CKR_DEVICE_ERROR,
        })
    }
}

/// What a server's status means to a caller of PKCS#11.
const fn of_status(status: Status) -> CK_RV {
    match status {
        Status::NOT_FOUND => CKR_OBJECT_HANDLE_INVALID,
        Status::USAGE => CKR_KEY_FUNCTION_NOT_PERMITTED,
        Status::ACCESS => CKR_ACTION_PROHIBITED,
        Status::NO_SPACE | Status::BUFFER_SIZE => CKR_DEVICE_MEMORY,
        Status::AUTH_PERMISSION => CKR_USER_NOT_LOGGED_IN,
        Status::AUTH_LOGIN_FAILED => CKR_PIN_INCORRECT,
        Status::AUTH_NOT_ENABLED => CKR_FUNCTION_NOT_SUPPORTED,
        Status::BAD_ARGUMENTS | Status::CRYPTO_ARGUMENT => CKR_ARGUMENTS_BAD,
        Status::NOT_COMPILED_IN | Status::NOT_IMPLEMENTED | Status::NO_HANDLER => CKR_MECHANISM_INVALID,
        Status::ASN_PARSE | Status::KEY_SIZE => CKR_KEY_SIZE_RANGE,
        Status::ECC_CURVE => CKR_CURVE_NOT_SUPPORTED,
        Status::BAD_LENGTH | Status::RSA_BUFFER => CKR_DATA_LEN_RANGE,
        Status::AES_GCM_AUTHENTICATION | Status::AES_CCM_AUTHENTICATION => CKR_ENCRYPTED_DATA_INVALID,
        _ => CKR_DEVICE_ERROR,
    }
}

impl From<LinkError> for Error {
    fn from(_: LinkError) -> Self {
        Self::Code(CKR_DEVICE_REMOVED)
    }
}

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        Self::Code(match error {
            CryptoError::Unsupported => CKR_MECHANISM_INVALID,
            CryptoError::KeyLength => CKR_KEY_SIZE_RANGE,
            CryptoError::DataLength => CKR_DATA_LEN_RANGE,
            CryptoError::Authentication | CryptoError::Signature => CKR_SIGNATURE_INVALID,
            CryptoError::Entropy => CKR_RANDOM_NO_RNG,
            CryptoError::Key => CKR_ATTRIBUTE_VALUE_INVALID,
            _ => CKR_FUNCTION_FAILED,
        })
    }
}

impl From<EncodingError> for Error {
    fn from(_: EncodingError) -> Self {
        Self::Code(CKR_ATTRIBUTE_VALUE_INVALID)
    }
}
