//! What a transport reports when it did not move a packet.

use core::fmt;

/// Why a transport did not move a packet. `E` is the transport's own error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError<E> {
    /// The call would have to wait. Nothing was taken or given; call again later.
    NotReady,
    /// The peer ended the connection, or it was ended here. It stays so until the transport connects anew.
    Closed,
    /// A packet is shorter than a packet header, or longer than the transport or the caller's buffer can hold.
    /// On a byte stream the connection is also closed if the length came from the peer's frame.
    BadLength,
    /// The transport itself failed. It counts as closed from then on.
    Failed(E),
}

impl<E> TransportError<E> {
    /// The same error with the transport's own error converted.
    pub fn map<F>(self, convert: impl FnOnce(E) -> F) -> TransportError<F> {
        match self {
            Self::NotReady => TransportError::NotReady,
            Self::Closed => TransportError::Closed,
            Self::BadLength => TransportError::BadLength,
            Self::Failed(error) => TransportError::Failed(convert(error)),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TransportError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the transport is not ready; try again"),
            Self::Closed => f.write_str("the connection is closed; connect again"),
            Self::BadLength => f.write_str("a packet is shorter than its header or longer than its buffer"),
            Self::Failed(error) => write!(f, "the transport failed: {error}"),
        }
    }
}

/// The cause is in the message, and so no source: [`Failed`](Self::Failed) holds it.
impl<E: core::error::Error> core::error::Error for TransportError<E> {}
