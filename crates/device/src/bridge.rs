//! Clients in memory that both cores reach, with interrupts both ways.

use casemate_transport::{
    CONTROL_SIZE, MemoryClient, MemoryError, MemoryServer, ServerTransport, SharedMemory, SharedRegion,
    TransportError,
};

/// The bells between the HSM and up to 32 clients: interrupts in both directions, one bit for each client.
pub trait Bells {
    /// The clients that have rung and were not silenced since.
    fn rung(&self) -> u32;

    /// Takes note of the ringing of these clients.
    fn silence(&self, clients: u32);

    /// Interrupts these clients.
    fn ring(&self, clients: u32);
}

/// The bell between the HSM and one client.
#[derive(Debug, Clone, Copy)]
pub struct Bell<B> {
    bells: B,
    bit: u32,
}

impl<B: Bells> Bell<B> {
    /// The bell of client number `client`, 0 to 31.
    pub const fn new(bells: B, client: u8) -> Self {
        Self { bells, bit: 1_u32.wrapping_shl(client as u32) }
    }

    /// Whether the client has rung since the last call.
    pub fn has_rung(&self) -> bool {
        let rung = self.bells.rung() & self.bit != 0;
        if rung {
            self.bells.silence(self.bit);
        }
        rung
    }

    /// Interrupts the client.
    pub fn ring(&self) {
        self.bells.ring(self.bit);
    }
}

/// A client in memory that both sides reach (document 01, §12.3), with a bell: the client writes a request and rings; the
/// server writes the response and rings.
///
/// The bell only tells when to look. A request whose ringing was lost is found at the next look all the same, and ringing
/// without a request finds none.
#[derive(Debug)]
pub struct BridgeServer<M, B> {
    memory: MemoryServer<M>,
    bell: Bell<B>,
}

impl<M: SharedMemory, B: Bells> BridgeServer<M, B> {
    /// The server's end of a client's memory.
    pub const fn new(memory: MemoryServer<M>, bell: Bell<B>) -> Self {
        Self { memory, bell }
    }
}

impl<M: SharedMemory, B: Bells> ServerTransport for BridgeServer<M, B> {
    type Error = MemoryError;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<MemoryError>> {
        // Silenced before the look: a request that comes after it rings again.
        self.bell.has_rung();
        self.memory.receive(buffer)
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<MemoryError>> {
        self.memory.send(packet)?;
        self.bell.ring();
        Ok(())
    }
}

/// Memory that the HSM and its clients reach: client `n` has the blocks `2n` for its requests and `2n + 1` for its responses,
/// each with room for a packet of `PACKET` bytes, and bell `n`.
///
/// The words that announce packets have the byte order of the core. Where that of the clients differs, they have to translate
/// them.
#[derive(Debug, Clone, Copy)]
pub struct Bridge<const PACKET: usize> {
    memory: SharedRegion<'static>,
}

impl<const PACKET: usize> Bridge<PACKET> {
    /// Bytes of the memory for one direction of one client.
    pub const BLOCK: usize = (PACKET + CONTROL_SIZE).next_multiple_of(4);

    /// A bridge in `memory`.
    pub const fn new(memory: SharedRegion<'static>) -> Self {
        Self { memory }
    }

    /// The blocks of a client: requests, responses.
    fn blocks(&self, client: usize) -> Option<(SharedRegion<'static>, SharedRegion<'static>)> {
        let start = client.checked_mul(2)?.checked_mul(Self::BLOCK)?;
        let request = self.memory.part(start, Self::BLOCK)?;
        Some((request, self.memory.part(start.checked_add(Self::BLOCK)?, Self::BLOCK)?))
    }

    /// The server's end of a client's link; `None` if the memory or the bells do not reach so far.
    pub fn server<B: Bells>(&self, bells: B, client: u8) -> Option<BridgeServer<SharedRegion<'static>, B>> {
        if u32::from(client) >= u32::BITS {
            return None;
        }
        let (request, response) = self.blocks(client.into())?;
        Some(BridgeServer::new(MemoryServer::new(request, response).ok()?, Bell::new(bells, client)))
    }

    /// Overwrites all of the memory with zeros, so that no packet is left in it, and no key that one has carried. For a
    /// server that answers nothing any more, whose clients are held.
    pub fn wipe(&self) {
        for offset in (0..self.memory.length()).step_by(4) {
            // Every offset is within the length.
            let _ = self.memory.store(offset, 0);
        }
    }

    /// The client's end, without its bell; `None` if the memory does not reach so far.
    #[must_use]
    pub fn client(&self, client: u8) -> Option<MemoryClient<SharedRegion<'static>>> {
        let (request, response) = self.blocks(client.into())?;
        MemoryClient::new(request, response).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_transport::ClientTransport;
    use core::cell::Cell;
    use core::sync::atomic::AtomicU32;

    const PACKET: usize = 18;
    type Small = Bridge<PACKET>;

    #[derive(Default)]
    struct Rung {
        rung: Cell<u32>,
        answered: Cell<u32>,
    }

    impl Bells for &Rung {
        fn rung(&self) -> u32 {
            self.rung.get()
        }

        fn silence(&self, clients: u32) {
            self.rung.set(self.rung.get() & !clients);
        }

        fn ring(&self, clients: u32) {
            self.answered.set(self.answered.get() | clients);
        }
    }

    #[test]
    fn clients_have_their_own_blocks_and_bells() {
        static WORDS: [AtomicU32; 4 * Small::BLOCK / 4] = [const { AtomicU32::new(0) }; 4 * Small::BLOCK / 4];
        let bridge = Small::new(SharedRegion::new(&WORDS));
        let bells = Rung::default();
        let (mut one, mut two) = (bridge.server(&bells, 0).unwrap(), bridge.server(&bells, 1).unwrap());
        assert!(bridge.server(&bells, 2).is_none(), "there is no memory for a third");
        assert!(bridge.client(2).is_none());
        assert!(bridge.server(&bells, 255).is_none());
        let (mut first, mut second) = (bridge.client(0).unwrap(), bridge.client(1).unwrap());
        let mut buffer = [0; PACKET];
        second.send(&[2; PACKET]).unwrap();
        bells.rung.set(0b10);
        assert_eq!(one.receive(&mut buffer), Err(TransportError::NotReady));
        assert_eq!(bells.rung.get(), 0b10, "the other's ringing is not taken");
        assert_eq!(two.receive(&mut buffer), Ok(PACKET));
        assert_eq!((buffer, bells.rung.get()), ([2; PACKET], 0));
        two.send(&[3; PACKET]).unwrap();
        assert_eq!(bells.answered.get(), 0b10);
        assert_eq!(second.receive(&mut buffer), Ok(PACKET));
        assert_eq!(buffer, [3; PACKET]);
        // Without ringing too.
        first.send(&[1; 8]).unwrap();
        assert_eq!(one.receive(&mut buffer), Ok(8));
    }
}
