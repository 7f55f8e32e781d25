//! Why a call failed, and which status says so.

use crate::status::Own;
use casemate_client::{Argument, Error, ProtocolFault};
use casemate_transport::TransportError;
use core::fmt;

/// What went wrong in a transport.
#[derive(Debug)]
pub(crate) enum LinkFailure {
    /// A function of the caller's said so, with this status.
    Callback(i32),
    /// The memory shared with the server is damaged or too small.
    Memory,
    /// The length in front of a packet is impossible.
    Frame,
    /// A socket.
    #[cfg(feature = "std")]
    Link(casemate_posix::LinkError),
}

impl fmt::Display for LinkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback(status) => write!(f, "a function of the transport returned {status}"),
            Self::Memory => f.write_str("the memory shared with the server holds nonsense or is too small"),
            Self::Frame => f.write_str(
                "the byte stream holds an impossible packet length; check that the peer is an HSM server",
            ),
            #[cfg(feature = "std")]
            Self::Link(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LinkFailure {}

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Found here.
    Own(Own),
    /// Found by the client, or answered by the server.
    Client(Error<LinkFailure>),
    /// No connection.
    #[cfg(feature = "std")]
    Connect(casemate_posix::LinkError),
}

/// How a call ends.
pub(crate) type Outcome = Result<(), Failure>;

impl From<Own> for Failure {
    fn from(own: Own) -> Self {
        Self::Own(own)
    }
}

impl From<Error<LinkFailure>> for Failure {
    fn from(error: Error<LinkFailure>) -> Self {
        Self::Client(error)
    }
}

impl From<Argument> for Failure {
    fn from(argument: Argument) -> Self {
        Self::Client(argument.into())
    }
}

impl Failure {
    /// The status that C sees.
    pub(crate) fn status(&self) -> i32 {
        let own = match self {
            Self::Own(own) => *own,
            Self::Client(error) => match error {
                // A server whose number is one of ours breaks the protocol.
                Error::Remote(status) if Own::is_own(status.0) => Own::PROTOCOL,
                Error::Remote(status) => return status.0,
                Error::Transport(error) => match error {
                    TransportError::NotReady => Own::NOT_READY,
                    TransportError::Closed => Own::CLOSED,
                    TransportError::BadLength => Own::BAD_PACKET,
                    _ => Own::TRANSPORT_FAILED,
                },
                Error::Protocol(ProtocolFault::Empty) => Own::REFUSED,
                Error::Protocol(_) => Own::PROTOCOL,
                Error::Timeout => Own::TIMEOUT,
                Error::InProgress => Own::PENDING,
                Error::SeveralRequests => Own::SEVERAL_REQUESTS,
                Error::Pending | Error::Argument(Argument::OtherOperation) => Own::OTHER_CALL,
                Error::TooLong { .. } => Own::TOO_LONG,
                Error::OutputTooSmall { .. } => Own::BUFFER_TOO_SMALL,
                Error::Argument(_) => Own::BAD_ARGUMENT,
                Error::MacMismatch => Own::MAC_MISMATCH,
                _ => Own::INTERNAL,
            },
            #[cfg(feature = "std")]
            Self::Connect(_) => Own::CONNECT_FAILED,
        };
        own.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(own) => f.write_str(own.text()),
            Self::Client(error) => error.fmt(f),
            #[cfg(feature = "std")]
            Self::Connect(error) => error.fmt(f),
        }
    }
}
