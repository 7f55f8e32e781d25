//! What goes wrong on the way to a peer.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What went wrong with a socket or a shared-memory object, and where.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// The address text has no usable meaning, or its host name is unknown.
    Resolve {
        /// The address as given.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The address names no transport of this program, or one that lacks an option.
    Address {
        /// The address as given.
        address: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A file that the connection needs cannot be used.
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No connection could be made.
    Connect {
        /// The address as given.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The server cannot listen.
    Bind {
        /// The address as given.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A connection could not be accepted; later ones may be.
    Accept {
        /// The operating system's reason.
        source: io::Error,
    },
    /// A connection broke.
    Connection {
        /// The other end.
        peer: String,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, advice) = match self {
            Self::Address { address, reason } => {
                return write!(f, "cannot use the address {address}: {reason}");
            }
            Self::File { path, source } => {
                write!(f, "cannot use the file {}", path.display())?;
                (source, "")
            }
            Self::Resolve { address, source } => {
                write!(f, "cannot find the address {address}")?;
                (source, "; write it as HOST:PORT, for instance 127.0.0.1:23456")
            }
            Self::Connect { address, source } => {
                write!(f, "cannot connect to {address}")?;
                let advice = match source.kind() {
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                        "; start a server there, or check the address"
                    }
                    io::ErrorKind::TimedOut => "; check the address and the network",
                    io::ErrorKind::PermissionDenied if !address.contains(':') => {
                        "; who runs the server can add you to the group of its socket"
                    }
                    _ => "",
                };
                (source, advice)
            }
            Self::Bind { address, source } => {
                write!(f, "cannot listen on {address}")?;
                let is_port = address.contains(':');
                let advice = match source.kind() {
                    io::ErrorKind::AddrInUse if is_port => {
                        "; another program listens there: stop it, or choose another port (0 picks a free one)"
                    }
                    io::ErrorKind::AddrInUse => "; another server uses it: stop that, or choose another name",
                    io::ErrorKind::PermissionDenied if is_port => "; choose a port above 1023",
                    io::ErrorKind::PermissionDenied => "; check who may write there, or choose another name",
                    io::ErrorKind::AddrNotAvailable => "; choose an address of this machine",
                    io::ErrorKind::NotFound => "; create its directory first",
                    _ => "",
                };
                (source, advice)
            }
            Self::Accept { source } => {
                f.write_str("cannot accept a connection")?;
                (source, "")
            }
            Self::Connection { peer, source } => {
                write!(f, "the connection to {peer} broke")?;
                (source, "")
            }
        };
        write!(f, ": {source}{advice}")
    }
}

// No source: the text has it already.
impl std::error::Error for LinkError {}
