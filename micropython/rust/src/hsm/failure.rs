//! What C is told when a request has no outcome: the one place where the client's errors become numbers.

use casemate_client::Error;
use casemate_protocol::Status;
use casemate_transport::TransportError;

/// Why there is no outcome. Negative: the server's status, which is the number of Python's `casemate.Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub i32);

impl Failure {
    /// Not a failure: move bytes, then make the same call again.
    pub const MORE: Self = Self(1);
    /// An argument is wrong, and nothing was sent.
    pub const ARGUMENT: Self = Self(2);
    /// The request, or the response to it, does not fit a packet, and nothing was sent.
    pub const TOO_LONG: Self = Self(3);
    /// The stream has been given up.
    pub const LOST: Self = Self(4);

    /// What a negative number means, in a few words.
    #[must_use]
    pub fn text(self) -> &'static str {
        Status(self.0).describe().map_or("the server refused the request", |(_, text)| text)
    }
}

impl<E> From<Error<E>> for Failure {
    fn from(error: Error<E>) -> Self {
        match error {
            Error::InProgress => Self::MORE,
            // A server cannot say that all is well in this way.
            Error::Remote(status) => Self(if status.0 < 0 { status.0 } else { Status::ABORTED.0 }),
            Error::Argument(_) => Self::ARGUMENT,
            Error::TooLong { .. } => Self::TOO_LONG,
            Error::OutputTooSmall { .. } => Self(Status::BUFFER_SIZE.0),
            Error::Transport(TransportError::BadLength) => Self::TOO_LONG,
            Error::Transport(_) => Self::LOST,
            // A response that no correct server gives.
            _ => Self(Status::ABORTED.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_client::{Argument, ProtocolFault};
    use core::convert::Infallible;

    #[test]
    fn numbers() {
        let number = |error: Error<Infallible>| Failure::from(error).0;
        assert_eq!(number(Error::InProgress), 1);
        assert_eq!(number(Error::Argument(Argument::KeyId)), 2);
        assert_eq!(number(Error::TooLong { needed: 2, limit: 1 }), 3);
        assert_eq!(number(Error::Transport(TransportError::Closed)), 4);
        assert_eq!(number(Error::Remote(Status::NOT_FOUND)), -2104);
        assert_eq!(number(Error::Remote(Status(5))), -2002);
        assert_eq!(number(Error::Protocol(ProtocolFault::Empty)), -2002);
        assert_eq!(Failure(-2104).text(), "No such object or key");
        assert_eq!(Failure(-9999).text(), "the server refused the request");
    }
}
