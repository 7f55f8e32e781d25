//! The server's end of a link to an application core.
//!
//! If the cores share RAM, nothing has to be written: [`casemate_transport::MemoryServer`] over two regions is a transport.
//! Use it as [`Port::Transport`](casemate_port::Port::Transport) and delete this module.

use casemate_transport::{ServerTransport, TransportError};
use core::fmt;

/// Why the link failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// This function is not written yet.
    NotImplemented,
    /// The hardware reports an error.
    Hardware,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotImplemented => "the transport is not written yet",
            Self::Hardware => "the hardware of the link reports an error",
        })
    }
}

impl core::error::Error for LinkError {}

/// One link.
#[derive(Debug)]
pub struct Link {}

impl ServerTransport for Link {
    type Error = LinkError;

    /// Copies the next whole request packet to the front of `buffer` and returns its length, without waiting.
    ///
    /// **Flow.** Look whether a packet has arrived (an interrupt may have noted it); read its length **once**; check it
    /// against 8 bytes and against `buffer`; copy the packet; tell the other side that its memory is free.
    ///
    /// **Errors.** [`TransportError::NotReady`] if there is no whole packet; [`TransportError::BadLength`] if it is shorter
    /// than 8 bytes or longer than `buffer`: it is dropped, and the firmware ends the session;
    /// [`TransportError::Closed`] if the other side is gone; [`TransportError::Failed`].
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        let _ = buffer;
        Err(TransportError::Failed(LinkError::NotImplemented))
    }

    /// Takes over one whole response packet, without waiting for the other side to read it.
    ///
    /// **Flow.** Check the length; if the packet before is still leaving, answer that; copy the packet **before** announcing
    /// it (with the barrier that the cores need); notify the other core.
    ///
    /// **Errors.** [`TransportError::NotReady`] if an earlier packet is still leaving: the firmware tries again;
    /// [`TransportError::BadLength`]; [`TransportError::Closed`]; [`TransportError::Failed`].
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        let _ = packet;
        Err(TransportError::Failed(LinkError::NotImplemented))
    }
}
