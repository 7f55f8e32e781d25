//! Packets through memory that client and server share (document 01, §12.3).
//!
//! Two blocks: the client writes requests to one and the server responses to the other. Each begins with 8 bytes of
//! control and status, of which the first word counts: a number that changes with each request (`notify`), and the
//! packet's length. The packet follows. A request is new while the two numbers differ; the server answers by writing
//! the response and then the request's number beside it.
//!
//! Whoever can write the blocks can make the other side read any bytes as a packet, and no more: numbers and lengths
//! are loaded once, packets are copied before they are judged.

use crate::{ClientTransport, OutOfRange, ServerTransport, SharedMemory, TransportError};
use casemate_protocol::Header;
use core::fmt;

/// Size of the control and status part before the packet in each block, in bytes.
pub const CONTROL_SIZE: usize = 8;

/// Why a memory transport did not move a packet, or could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryError {
    /// A block cannot hold [`CONTROL_SIZE`] bytes and a packet header.
    BlockTooSmall,
    /// The shared memory refused an access within the size that it states, or its address is no multiple of 4.
    Memory(OutOfRange),
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockTooSmall => {
                write!(
                    f,
                    "a shared block is smaller than {} bytes",
                    CONTROL_SIZE.saturating_add(Header::SIZE)
                )
            }
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for MemoryError {}

impl From<OutOfRange> for MemoryError {
    fn from(error: OutOfRange) -> Self {
        Self::Memory(error)
    }
}

impl From<OutOfRange> for TransportError<MemoryError> {
    fn from(error: OutOfRange) -> Self {
        Self::Failed(MemoryError::Memory(error))
    }
}

/// The word that announces a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Announcement {
    notify: u16,
    length: u16,
}

impl Announcement {
    fn load<M: SharedMemory>(block: &M) -> Result<Self, OutOfRange> {
        let [n0, n1, l0, l1] = block.load(0)?.to_ne_bytes();
        Ok(Self { notify: u16::from_ne_bytes([n0, n1]), length: u16::from_ne_bytes([l0, l1]) })
    }

    fn store<M: SharedMemory>(self, block: &M) -> Result<(), OutOfRange> {
        let ([n0, n1], [l0, l1]) = (self.notify.to_ne_bytes(), self.length.to_ne_bytes());
        block.store(0, u32::from_ne_bytes([n0, n1, l0, l1]))
    }
}

/// One direction.
#[derive(Debug)]
struct Block<M> {
    memory: M,
    /// The largest packet, in bytes.
    capacity: usize,
}

impl<M: SharedMemory> Block<M> {
    fn new(memory: M) -> Result<Self, MemoryError> {
        let capacity = memory.length().saturating_sub(CONTROL_SIZE).min(usize::from(u16::MAX));
        if capacity < Header::SIZE {
            return Err(MemoryError::BlockTooSmall);
        }
        memory.load(0)?;
        Ok(Self { memory, capacity })
    }

    /// Writes `packet` and announces it with `notify`.
    fn put(&self, notify: u16, packet: &[u8]) -> Result<(), TransportError<MemoryError>> {
        let length = match u16::try_from(packet.len()) {
            Ok(length) if (Header::SIZE..=self.capacity).contains(&packet.len()) => length,
            _ => return Err(TransportError::BadLength),
        };
        self.memory.write(CONTROL_SIZE, packet)?;
        Announcement { notify, length }.store(&self.memory)?;
        Ok(())
    }

    /// Copies a packet that was announced with `length`.
    fn get(&self, length: u16, buffer: &mut [u8]) -> Result<usize, TransportError<MemoryError>> {
        let length = usize::from(length);
        if !(Header::SIZE..=self.capacity).contains(&length) {
            return Err(TransportError::BadLength);
        }
        let space = buffer.get_mut(..length).ok_or(TransportError::BadLength)?;
        self.memory.read(CONTROL_SIZE, space)?;
        Ok(length)
    }

    /// Fills the block with zeros, the announcement last.
    fn clear(&self) -> Result<(), OutOfRange> {
        const ZEROS: [u8; 64] = [0; 64];
        let mut offset = CONTROL_SIZE;
        while let Some(left @ 1..) = self.memory.length().checked_sub(offset) {
            let count = left.min(ZEROS.len());
            self.memory.write(offset, ZEROS.get(..count).unwrap_or_default())?;
            offset = offset.saturating_add(count);
        }
        self.memory.store(4, 0)?;
        self.memory.store(0, 0)
    }
}

/// The client's end of a memory transport.
///
/// Nothing in it waits. A client that gives up on a request cannot send the next one before the server has answered:
/// the block still holds the first.
#[derive(Debug)]
pub struct MemoryClient<M> {
    request: Block<M>,
    response: Block<M>,
    notify: u16,
    is_waiting: bool,
}

impl<M: SharedMemory> MemoryClient<M> {
    /// Takes over two blocks and fills both with zeros, as the protocol asks of a client. What was in flight is lost.
    ///
    /// # Errors
    /// [`MemoryError`] if the blocks cannot carry packets.
    pub fn new(request: M, response: M) -> Result<Self, MemoryError> {
        let (request, response) = (Block::new(request)?, Block::new(response)?);
        // In this order, a server that looks in between finds a request of no bytes; in the other, an old request.
        request.clear()?;
        response.clear()?;
        Ok(Self { request, response, notify: 0, is_waiting: false })
    }

    /// The largest packet in each direction, in bytes: request, response.
    pub const fn capacity(&self) -> (usize, usize) {
        (self.request.capacity, self.response.capacity)
    }
}

impl<M: SharedMemory> ClientTransport for MemoryClient<M> {
    type Error = MemoryError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<MemoryError>> {
        if self.is_waiting && Announcement::load(&self.response.memory)?.notify != self.notify {
            return Err(TransportError::NotReady);
        }
        let notify = self.notify.wrapping_add(1);
        self.request.put(notify, packet)?;
        self.notify = notify;
        self.is_waiting = true;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<MemoryError>> {
        if !self.is_waiting {
            return Err(TransportError::NotReady);
        }
        let Announcement { notify, length } = Announcement::load(&self.response.memory)?;
        if notify != self.notify {
            return Err(TransportError::NotReady);
        }
        self.is_waiting = false;
        self.response.get(length, buffer)
    }
}

/// The server's end of a memory transport.
///
/// A request of impossible length is answered with a response of no bytes, which tells the client that it was not
/// understood; the original would read the same request again and again (document 01, §15).
#[derive(Debug)]
pub struct MemoryServer<M> {
    request: Block<M>,
    response: Block<M>,
    /// The number of the request that was delivered and not answered.
    pending: Option<u16>,
}

impl<M: SharedMemory> MemoryServer<M> {
    /// Takes over two blocks as they are: before the client, or after it.
    ///
    /// # Errors
    /// [`MemoryError`] if the blocks cannot carry packets.
    pub fn new(request: M, response: M) -> Result<Self, MemoryError> {
        Ok(Self { request: Block::new(request)?, response: Block::new(response)?, pending: None })
    }

    /// Whether [`receive`](ServerTransport::receive) would take a request now.
    pub fn is_request_waiting(&self) -> bool {
        self.waiting().is_ok_and(|waiting| waiting.is_some())
    }

    /// The announcement of a request that was not delivered.
    fn waiting(&self) -> Result<Option<Announcement>, OutOfRange> {
        // In this order: a client that starts over clears the request first, so once its number beside the response is
        // gone, the old request is seen to be gone too.
        let answered = Announcement::load(&self.response.memory)?.notify;
        let request = Announcement::load(&self.request.memory)?;
        Ok((request.notify != answered && self.pending != Some(request.notify)).then_some(request))
    }

    /// The largest packet in each direction, in bytes: request, response.
    pub const fn capacity(&self) -> (usize, usize) {
        (self.request.capacity, self.response.capacity)
    }
}

impl<M: SharedMemory> ServerTransport for MemoryServer<M> {
    type Error = MemoryError;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<MemoryError>> {
        let Announcement { notify, length } = self.waiting()?.ok_or(TransportError::NotReady)?;
        let received = self.request.get(length, buffer);
        match received {
            Ok(_) => self.pending = Some(notify),
            Err(_) => Announcement { notify, length: 0 }.store(&self.response.memory)?,
        }
        received
    }

    /// As the trait says; [`TransportError::NotReady`] also if there is no request to be answered.
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<MemoryError>> {
        let notify = self.pending.ok_or(TransportError::NotReady)?;
        self.response.put(notify, packet)?;
        self.pending = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SharedRegion;
    use core::sync::atomic::AtomicU32;

    type Words = [AtomicU32; 8];

    fn blocks() -> (Words, Words) {
        // As left by an earlier client: every byte set.
        (
            core::array::from_fn(|_| AtomicU32::new(u32::MAX)),
            core::array::from_fn(|_| AtomicU32::new(u32::MAX)),
        )
    }

    fn bytes(words: &Words) -> [u8; 32] {
        let mut bytes = [0; 32];
        SharedRegion::new(words).read(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_bytes_in_memory_are_those_of_the_protocol() {
        let (request, response) = blocks();
        let (to, from) = (SharedRegion::new(&request), SharedRegion::new(&response));
        let mut client = MemoryClient::new(to, from).unwrap();
        assert_eq!((bytes(&request), bytes(&response)), ([0; 32], [0; 32]));
        assert_eq!(client.capacity(), (24, 24));
        let mut server = MemoryServer::new(to, from).unwrap();
        // Document 01, §14, capture L.
        let init = [0x01, 0xA5, 0x01, 0x01, 1, 0, 0, 0, 12, 0, 0, 0];
        client.send(&init).unwrap();
        let mut expected = [0; 32];
        expected[..2].copy_from_slice(&1_u16.to_ne_bytes());
        expected[2..4].copy_from_slice(&12_u16.to_ne_bytes());
        expected[8..20].copy_from_slice(&init);
        assert_eq!(bytes(&request), expected);
        let mut buffer = [0; 24];
        assert_eq!(client.receive(&mut buffer), Err(TransportError::NotReady));
        assert_eq!(server.receive(&mut buffer), Ok(12));
        assert_eq!(buffer[..12], init);
        assert_eq!(server.receive(&mut buffer), Err(TransportError::NotReady));
        assert_eq!(client.send(&init), Err(TransportError::NotReady));
        let accepted = [0x01, 0xA5, 0x01, 0x01, 1, 0, 0, 0, 12, 0, 0, 0, 57, 0, 0, 0];
        server.send(&accepted).unwrap();
        assert_eq!(server.send(&accepted), Err(TransportError::NotReady));
        expected = [0; 32];
        expected[..2].copy_from_slice(&1_u16.to_ne_bytes());
        expected[2..4].copy_from_slice(&16_u16.to_ne_bytes());
        expected[8..24].copy_from_slice(&accepted);
        assert_eq!(bytes(&response), expected);
        assert_eq!(client.receive(&mut buffer), Ok(16));
        assert_eq!(buffer[..16], accepted);
        assert_eq!(client.receive(&mut buffer), Err(TransportError::NotReady));
        assert_eq!(server.receive(&mut buffer), Err(TransportError::NotReady));
    }

    #[test]
    fn the_number_wraps() {
        let (request, response) = blocks();
        let (to, from) = (SharedRegion::new(&request), SharedRegion::new(&response));
        let mut server = MemoryServer::new(to, from).unwrap();
        let mut client = MemoryClient::new(to, from).unwrap();
        let mut buffer = [0; 24];
        for round in 0..140_000_u32 {
            let packet = [round.to_le_bytes(), (!round).to_le_bytes()].concat();
            client.send(&packet).unwrap();
            assert_eq!(server.receive(&mut buffer), Ok(8));
            assert_eq!(buffer[..8], packet);
            server.send(&packet).unwrap();
            assert_eq!(client.receive(&mut buffer), Ok(8));
            assert_eq!(buffer[..8], packet);
        }
    }

    #[test]
    fn lengths_out_of_range_are_consumed() {
        let (request, response) = blocks();
        let (to, from) = (SharedRegion::new(&request), SharedRegion::new(&response));
        let mut client = MemoryClient::new(to, from).unwrap();
        let mut server = MemoryServer::new(to, from).unwrap();
        let mut buffer = [0; 24];
        assert_eq!(client.send(&[0; 7]), Err(TransportError::BadLength));
        assert_eq!(client.send(&[0; 25]), Err(TransportError::BadLength));
        assert_eq!(server.receive(&mut buffer), Err(TransportError::NotReady));
        for length in [0, 7, 25, u16::MAX] {
            client.send(&[1; 24]).unwrap();
            let notify = Announcement::load(&to).unwrap().notify;
            Announcement { notify, length }.store(&to).unwrap();
            assert_eq!(server.receive(&mut buffer), Err(TransportError::BadLength));
            assert_eq!(server.receive(&mut buffer), Err(TransportError::NotReady));
            assert_eq!(client.receive(&mut buffer), Err(TransportError::BadLength));
            // Both go on.
            client.send(&[2; 8]).unwrap();
            assert_eq!(server.receive(&mut [0; 7]), Err(TransportError::BadLength));
            assert_eq!(client.receive(&mut buffer), Err(TransportError::BadLength));
            client.send(&[3; 9]).unwrap();
            assert_eq!(server.receive(&mut buffer), Ok(9));
            assert_eq!(server.send(&[3; 25]), Err(TransportError::BadLength));
            server.send(&[4; 24]).unwrap();
            assert_eq!(client.receive(&mut [0; 23]), Err(TransportError::BadLength));
        }
    }

    #[test]
    fn blocks_that_are_too_small_or_askew() {
        let (request, response) = blocks();
        let (to, from) = (SharedRegion::new(&request), SharedRegion::new(&response));
        for length in [0, 4, 8, 12] {
            let small = to.part(0, length).unwrap();
            assert_eq!(MemoryServer::new(small, from).unwrap_err(), MemoryError::BlockTooSmall);
            assert_eq!(MemoryClient::new(from, small).unwrap_err(), MemoryError::BlockTooSmall);
        }
        assert!(MemoryServer::new(to.part(0, 16).unwrap(), from).is_ok());
    }

    #[test]
    fn a_client_that_starts_over_is_served() {
        let (request, response) = blocks();
        let (to, from) = (SharedRegion::new(&request), SharedRegion::new(&response));
        let mut server = MemoryServer::new(to, from).unwrap();
        let mut buffer = [0; 24];
        for rounds in 1..4 {
            let mut client = MemoryClient::new(to, from).unwrap();
            for _ in 0..rounds {
                client.send(b"a packet").unwrap();
                assert_eq!(server.receive(&mut buffer), Ok(8));
                server.send(b"an answer").unwrap();
                assert_eq!(client.receive(&mut buffer), Ok(9));
            }
        }
    }
}
