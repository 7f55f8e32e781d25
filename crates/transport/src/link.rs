//! A client endpoint and a server endpoint that share two buffers.

use crate::{ClientTransport, ServerTransport, TransportError};
use casemate_protocol::Header;
use core::cell::RefCell;
use core::convert::Infallible;

/// Two buffers, one for a request and one for a response, and the two endpoints that use them.
///
/// For a client and a server that take turns in one thread. Each direction holds one packet at most; the storage's
/// size is the largest packet. Dropping an endpoint closes the link.
///
/// ```
/// use casemate_transport::{ClientTransport, MemoryLink, ServerTransport};
///
/// let mut link = MemoryLink::new([0; 64], [0; 64]);
/// let (mut client, mut server) = link.endpoints();
/// let mut buffer = [0; 64];
/// client.send(b"request packet")?;
/// let length = server.receive(&mut buffer)?;
/// server.send(&buffer[..length])?;
/// assert_eq!(client.receive(&mut buffer)?, 14);
/// # Ok::<(), casemate_transport::TransportError<core::convert::Infallible>>(())
/// ```
#[derive(Debug)]
pub struct MemoryLink<B> {
    shared: RefCell<Shared<B>>,
}

#[derive(Debug)]
struct Shared<B> {
    request: Slot<B>,
    response: Slot<B>,
    closed: bool,
}

/// One direction: storage, and the length of the packet in it, if any.
#[derive(Debug)]
struct Slot<B> {
    storage: B,
    packet: Option<usize>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Slot<B> {
    fn put(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        if self.packet.is_some() {
            return Err(TransportError::NotReady);
        }
        if packet.len() < Header::SIZE {
            return Err(TransportError::BadLength);
        }
        let space = self.storage.as_mut().get_mut(..packet.len()).ok_or(TransportError::BadLength)?;
        space.copy_from_slice(packet);
        self.packet = Some(packet.len());
        Ok(())
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        let length = self.packet.take().ok_or(TransportError::NotReady)?;
        let packet = self.storage.as_ref().get(..length).unwrap_or_default();
        buffer.get_mut(..length).ok_or(TransportError::BadLength)?.copy_from_slice(packet);
        Ok(length)
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> MemoryLink<B> {
    /// A link over two pieces of storage.
    pub const fn new(request: B, response: B) -> Self {
        Self {
            shared: RefCell::new(Shared {
                request: Slot { storage: request, packet: None },
                response: Slot { storage: response, packet: None },
                closed: false,
            }),
        }
    }

    /// The two endpoints, newly connected and with nothing in flight.
    pub fn endpoints(&mut self) -> (LinkClient<'_, B>, LinkServer<'_, B>) {
        let shared = self.shared.get_mut();
        shared.request.packet = None;
        shared.response.packet = None;
        shared.closed = false;
        let shared = &self.shared;
        (LinkClient { end: End { shared } }, LinkServer { end: End { shared } })
    }
}

/// Either endpoint: closes the link when dropped.
#[derive(Debug)]
struct End<'a, B> {
    shared: &'a RefCell<Shared<B>>,
}

impl<B> Drop for End<'_, B> {
    fn drop(&mut self) {
        self.shared.borrow_mut().closed = true;
    }
}

/// The client's end of a [`MemoryLink`].
#[derive(Debug)]
pub struct LinkClient<'a, B> {
    end: End<'a, B>,
}

/// The server's end of a [`MemoryLink`].
#[derive(Debug)]
pub struct LinkServer<'a, B> {
    end: End<'a, B>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> ClientTransport for LinkClient<'_, B> {
    type Error = Infallible;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        let mut shared = self.end.shared.borrow_mut();
        if shared.closed {
            return Err(TransportError::Closed);
        }
        shared.request.put(packet)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        let mut shared = self.end.shared.borrow_mut();
        match shared.response.take(buffer) {
            Err(TransportError::NotReady) if shared.closed => Err(TransportError::Closed),
            other => other,
        }
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> ServerTransport for LinkServer<'_, B> {
    type Error = Infallible;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        let mut shared = self.end.shared.borrow_mut();
        match shared.request.take(buffer) {
            Err(TransportError::NotReady) if shared.closed => Err(TransportError::Closed),
            other => other,
        }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        let mut shared = self.end.shared.borrow_mut();
        if shared.closed {
            return Err(TransportError::Closed);
        }
        shared.response.put(packet)
    }
}
