//! The two ends of a transport.

use crate::TransportError;
use core::time::Duration;

/// A client's end: requests go out, responses come in.
pub trait ClientTransport {
    /// The transport's own error, carried in [`TransportError::Failed`].
    type Error: core::error::Error + 'static;

    /// Takes over one whole request packet (header and payload).
    ///
    /// `Ok` means that the transport has accepted the packet; it may still be on its way, and later calls of
    /// `receive` move it on.
    ///
    /// # Errors
    /// - [`TransportError::NotReady`]: an earlier packet is still leaving; this one was not taken.
    /// - [`TransportError::BadLength`]: the packet is shorter than a header or longer than the transport carries;
    ///   nothing was sent and the connection is intact.
    /// - [`TransportError::Closed`], [`TransportError::Failed`]: no packet moves until the transport connects anew.
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Self::Error>>;

    /// Writes the next whole response packet to the front of `buffer` and returns its length in bytes, without
    /// waiting.
    ///
    /// # Errors
    /// - [`TransportError::NotReady`]: no whole packet has arrived.
    /// - [`TransportError::BadLength`]: the packet is shorter than a header or longer than `buffer`; it is lost.
    /// - [`TransportError::Closed`]: the peer has ended the connection and every packet before that was delivered.
    /// - [`TransportError::Failed`]: no packet moves until the transport connects anew.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Self::Error>>;

    /// Like [`receive`](Self::receive), but may wait up to `longest` for a packet instead of returning
    /// [`TransportError::NotReady`] at once.
    ///
    /// A transport that cannot wait returns at once, so a caller that wants to wait calls in a loop and keeps its
    /// own deadline. The provided method is such a one.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<Self::Error>> {
        let _ = longest;
        self.receive(buffer)
    }
}

/// A server's end: requests come in, responses go out. One value serves one connection.
pub trait ServerTransport {
    /// The transport's own error, carried in [`TransportError::Failed`].
    type Error: core::error::Error + 'static;

    /// Writes the next whole request packet to the front of `buffer` and returns its length in bytes, without
    /// waiting. The server answers each request before it asks for the next.
    ///
    /// # Errors
    /// - [`TransportError::NotReady`]: no whole packet has arrived.
    /// - [`TransportError::BadLength`]: the packet is shorter than a header or longer than `buffer`; it is lost.
    ///   The server ends the connection.
    /// - [`TransportError::Closed`]: the peer has ended the connection.
    /// - [`TransportError::Failed`]: the connection is lost.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Self::Error>>;

    /// Takes over one whole response packet (header and payload).
    ///
    /// # Errors
    /// - [`TransportError::NotReady`]: an earlier packet is still leaving; this one was not taken.
    /// - [`TransportError::BadLength`]: the packet is shorter than a header or longer than the transport carries.
    /// - [`TransportError::Closed`], [`TransportError::Failed`]: the connection is lost.
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Self::Error>>;
}

impl<T: ClientTransport + ?Sized> ClientTransport for &mut T {
    type Error = T::Error;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Self::Error>> {
        (**self).send(packet)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Self::Error>> {
        (**self).receive(buffer)
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<Self::Error>> {
        (**self).receive_within(buffer, longest)
    }
}

impl<T: ServerTransport + ?Sized> ServerTransport for &mut T {
    type Error = T::Error;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Self::Error>> {
        (**self).receive(buffer)
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Self::Error>> {
        (**self).send(packet)
    }
}
