//! The one place where the errors of the rooms below become status codes of the wire.

use casemate_crypto::Error as CryptoError;
use casemate_protocol::Status;

/// The status of a failed cryptographic operation, where the message does not demand another one.
#[inline(never)]
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

/// The status of client memory that cannot be used (document 01, §10 and §12.4).
#[cfg(feature = "dma")]
pub(crate) const fn memory_status(error: crate::memory::MemoryError) -> Status {
    use crate::memory::MemoryError;
    match error {
        MemoryError::OutOfRange => Status::BAD_ARGUMENTS,
        MemoryError::Denied => Status::ACCESS,
        MemoryError::Unavailable => Status::NOT_READY,
        MemoryError::Fault => Status::ABORTED,
    }
}
