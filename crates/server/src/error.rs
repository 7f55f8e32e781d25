//! The one place where the errors of the rooms below become status codes of the wire.

use casemate_crypto::Error as CryptoError;
use casemate_protocol::Status;

/// The status of a failed cryptographic operation, where the message does not demand another one.
pub(crate) const fn crypto_status(error: CryptoError) -> Status {
    match error {
        CryptoError::Unsupported => Status::NOT_COMPILED_IN,
        CryptoError::Authentication => Status::AES_GCM_AUTHENTICATION,
        CryptoError::Entropy => Status::RNG_FAILURE,
        CryptoError::Unavailable => Status::ABORTED,
        CryptoError::Hardware => Status::HARDWARE,
        _ => Status::CRYPTO_ARGUMENT,
    }
}
