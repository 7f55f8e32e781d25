//! What can go wrong, and whose fault it is.

use casemate_protocol::{Kind, Malformed, Status};
use casemate_transport::TransportError;
use core::fmt;

/// Why a call failed. `E` is the transport's own error.
///
/// The variant says who is to blame: [`Argument`](Self::Argument), [`TooLong`](Self::TooLong),
/// [`OutputTooSmall`](Self::OutputTooSmall), [`Pending`](Self::Pending) and [`NothingPending`](Self::NothingPending)
/// are the caller's and were found before anything was sent; [`Remote`](Self::Remote) is the server's answer;
/// [`Protocol`](Self::Protocol) is a response that a correct server does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The transport did not move the packet. The request, if one was pending, is abandoned.
    Transport(TransportError<E>),
    /// The response breaks the protocol. The request is abandoned; the connection stays open.
    Protocol(ProtocolFault),
    /// The server refused the request with this status.
    Remote(Status),
    /// No response came within the request timeout. The request is abandoned; a late response will be dropped.
    Timeout,
    /// The previous request has not been answered.
    Pending,
    /// The request was sent, or will be, and the response has not come yet: make the same call again. Only from a client
    /// that does not wait ([`set_waiting`](crate::Client::set_waiting)).
    InProgress,
    /// The call takes several requests, which a client that does not wait cannot make.
    SeveralRequests,
    /// There is no request whose response could be asked for.
    NothingPending,
    /// The request, or the response it asks for, exceeds the packet data length.
    TooLong {
        /// Payload bytes that the message takes.
        needed: usize,
        /// Payload bytes that a packet carries.
        limit: usize,
    },
    /// The caller's buffer is too small for the outcome.
    OutputTooSmall {
        /// Bytes that the outcome has.
        needed: usize,
        /// Bytes that the buffer has.
        available: usize,
    },
    /// An argument is wrong; nothing was sent.
    Argument(Argument),
    /// The message authentication code does not match the data.
    MacMismatch,
}

/// How a response breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// The packet does not begin with a little-endian header.
    Header,
    /// The response answers another kind of request.
    Kind {
        /// The request's kind.
        requested: Kind,
        /// The response's kind.
        received: Kind,
    },
    /// The response names another algorithm than the request.
    Algorithm {
        /// The request's algorithm number.
        requested: u32,
        /// The response's algorithm number.
        received: u32,
    },
    /// The response is empty: the server does not know the request, or refuses it where no status can be given.
    Empty,
    /// The response is shorter than its layout, or longer where it must not be.
    Length,
    /// The status is positive, which no status is.
    Status(i32),
    /// A field of the response contradicts the request.
    Contradiction,
}

/// What is wrong with an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Argument {
    /// The low byte of a key identifier is 0, which names no key.
    KeyId,
    /// A key has a length that the algorithm does not take.
    KeyLength,
    /// An object identifier is 0, which names no object.
    ObjectId,
    /// A counter identifier is 0.
    CounterId,
    /// The data is not a whole number of blocks.
    BlockMultiple,
    /// The initialisation vector is empty.
    InitialisationVector,
    /// A GCM tag is not 4 to 16 bytes long.
    TagLength,
    /// A MAC is not 4 to 16 bytes (CMAC), or 1 byte to the digest's length (HMAC).
    MacLength,
    /// More than 16 keystream bytes are said to be unused, or more than 16 bytes to be buffered.
    StreamState,
    /// An output of 0 bytes is asked for.
    OutputLength,
    /// The metadata of a key to be wrapped does not name an object of the type `WRAPPED`.
    WrappedType,
    /// The flag `EPHEMERAL` is set on a key that is to stay in the server.
    Ephemeral,
    /// The data completes no block, so there is nothing to send.
    NoWholeBlock,
    /// A context is longer than 255 bytes.
    ContextLength,
    /// A digest has another length than its hash gives.
    DigestLength,
    /// A signature has another length than the parameter set gives.
    SignatureLength,
    /// A ciphertext has another length than the parameter set gives.
    CiphertextLength,
    /// A buffer in shared memory is not there, or longer than the message can say.
    SharedMemory,
    /// A call of a custom callback has the type of a query.
    CustomType,
    /// A certificate, or a chain of them, is empty.
    Certificate,
    /// No trusted root is named, or more than one request can name.
    Roots,
    /// The operation is not the one that was started.
    OtherOperation,
}

/// Why a response gives no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseFault {
    /// The response breaks the protocol.
    Protocol(ProtocolFault),
    /// The server refused the request with this status.
    Remote(Status),
}

impl<E> Error<E> {
    /// The server's status, if the server refused the request.
    pub const fn status(&self) -> Option<Status> {
        match self {
            Self::Remote(status) => Some(*status),
            _ => None,
        }
    }
}

impl<E> From<ResponseFault> for Error<E> {
    fn from(fault: ResponseFault) -> Self {
        match fault {
            ResponseFault::Protocol(fault) => Self::Protocol(fault),
            ResponseFault::Remote(status) => Self::Remote(status),
        }
    }
}

impl<E> From<ProtocolFault> for Error<E> {
    fn from(fault: ProtocolFault) -> Self {
        Self::Protocol(fault)
    }
}

impl<E> From<Argument> for Error<E> {
    fn from(argument: Argument) -> Self {
        Self::Argument(argument)
    }
}

impl<E> From<TransportError<E>> for Error<E> {
    fn from(error: TransportError<E>) -> Self {
        Self::Transport(error)
    }
}

impl From<ProtocolFault> for ResponseFault {
    fn from(fault: ProtocolFault) -> Self {
        Self::Protocol(fault)
    }
}

impl From<Malformed> for ResponseFault {
    fn from(_: Malformed) -> Self {
        Self::Protocol(ProtocolFault::Length)
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Protocol(fault) => fault.fmt(f),
            Self::Remote(status) => write!(f, "the server refused the request: {status}"),
            Self::Timeout => f.write_str(
                "no response came within the request timeout; check that the server runs, or allow more time",
            ),
            Self::Pending => {
                f.write_str("the previous request has not been answered; poll for its response or abandon it")
            }
            Self::InProgress => f.write_str("the response has not come yet; make the same call again"),
            Self::SeveralRequests => f.write_str(
                "the call takes several requests; let the client wait, or make the calls that it consists of",
            ),
            Self::NothingPending => f.write_str("no request is pending; start one first"),
            Self::TooLong { needed, limit } => write!(
                f,
                "the message takes {needed} bytes but a packet carries {limit}; split the data, or give client \
                 and server a larger packet data length"
            ),
            Self::OutputTooSmall { needed, available } => {
                write!(f, "the outcome has {needed} bytes but the buffer {available}; pass a larger buffer")
            }
            Self::Argument(argument) => argument.fmt(f),
            Self::MacMismatch => {
                f.write_str("the message authentication code does not match; reject the data")
            }
        }
    }
}

impl<E: core::error::Error> core::error::Error for Error<E> {}

impl fmt::Display for ProtocolFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str(
                "the response does not begin with a little-endian packet header; check that the peer is an HSM \
                 server",
            ),
            Self::Kind { requested, received } => {
                write!(f, "the response answers {received:?}, but {requested:?} was asked; connect again")
            }
            Self::Algorithm { requested, received } => {
                write!(f, "the response is for algorithm {received}, but {requested} was asked; connect again")
            }
            Self::Empty => f.write_str(
                "the server gave an empty response: it refuses the request or was built without this message \
                 group",
            ),
            Self::Length => f.write_str(
                "the response has the wrong length; check that client and server speak the same protocol version",
            ),
            Self::Status(status) => write!(
                f,
                "the response carries the impossible status {status}; the server may not know the request"
            ),
            Self::Contradiction => f.write_str("the response contradicts the request; do not use its data"),
        }
    }
}

impl core::error::Error for ProtocolFault {}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyId => "the key identifier names no key; its low byte must be 1 to 255",
            Self::KeyLength => "the key's length does not fit the algorithm; AES takes 16, 24 or 32 bytes",
            Self::ObjectId => "object identifier 0 names no object; use 1 to 65535",
            Self::CounterId => "counter identifier 0 is reserved; use 1 to 255",
            Self::BlockMultiple => {
                "the data is not a whole number of blocks; pad it to a multiple of 16 bytes"
            }
            Self::InitialisationVector => {
                "the initialisation vector is empty; use 12 bytes, never twice for a key"
            }
            Self::TagLength => "a GCM tag has 4 to 16 bytes",
            Self::MacLength => "a CMAC has 4 to 16 bytes, an HMAC 1 byte to the length of its hash's digest",
            Self::StreamState => "the stream state is damaged: at most 16 bytes of a block can be left over",
            Self::OutputLength => "an output of 0 bytes is asked for; ask for at least 1",
            Self::WrappedType => {
                "the metadata's identifier must be of the type WRAPPED (0x4000, owner, number)"
            }
            Self::Ephemeral => {
                "the flag EPHEMERAL asks for a key to be returned; leave it out to keep the key"
            }
            Self::NoWholeBlock => "the data completes no block; keep it and add more",
            Self::ContextLength => "the context is too long; it has at most 255 bytes",
            Self::DigestLength => "the digest has the wrong length; pass what the named hash gives",
            Self::SignatureLength => "the signature has another length than the parameter set's signatures",
            Self::CiphertextLength => {
                "the ciphertext has another length than the parameter set's ciphertexts"
            }
            Self::SharedMemory => "the buffer is not in the memory shared with the server, or is too long",
            Self::CustomType => "a call of a custom callback needs a type other than that of a query",
            Self::Certificate => "the certificate is empty; pass it in DER",
            Self::Roots => "name 1 to 8 trusted roots",
            Self::OtherOperation => "another operation is pending; poll with the one that was started",
        })
    }
}

impl core::error::Error for Argument {}

impl fmt::Display for ResponseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(fault) => fault.fmt(f),
            Self::Remote(status) => write!(f, "the server refused the request: {status}"),
        }
    }
}

impl core::error::Error for ResponseFault {}
