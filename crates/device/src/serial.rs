//! A serial line as a transport: packets framed as on TCP (document 01, §12.1). In emulation it carries the clients.

use casemate_protocol::message::comm::action;
use casemate_protocol::{Group, Header, Kind, Packet};
use casemate_transport::{FrameDecoder, FrameEncoder, FrameError, ServerTransport, TransportError};

/// A serial line, byte by byte. Neither method waits.
pub trait Line {
    /// The next byte that has arrived.
    fn receive(&mut self) -> Option<u8>;

    /// Takes a byte to be sent; false if there is no room for it now.
    fn send(&mut self, byte: u8) -> bool;
}

/// Turns without a new byte after which a frame that has begun counts as cut short.
const PATIENCE: u32 = 2_000_000;
/// The packet that begins a session: a header and the client's number.
const INIT: usize = Header::SIZE + 4;

/// The server's end of a serial line.
///
/// A line tells of no connection and no end of one. So a frame that stops in its middle, because the client died, is
/// dropped after a while, and what follows a length that no packet has is dropped until the line is silent: the next
/// client begins on a clean line. And an INIT that is not the first packet comes from a client that has started anew: the
/// session before it ends as if the connection had been closed, and the INIT begins the next one.
#[derive(Debug)]
pub struct SerialServer<L, B> {
    line: L,
    decoder: FrameDecoder<B>,
    encoder: FrameEncoder<B>,
    /// Turns since the last byte.
    silence: u32,
    /// Whether bytes are dropped until the line is silent.
    lost: bool,
    /// Whether a packet was delivered in this session.
    begun: bool,
    /// The INIT of the next session.
    held: Option<[u8; INIT]>,
}

impl<L: Line, B: AsRef<[u8]> + AsMut<[u8]>> SerialServer<L, B> {
    /// A server on `line`. Each storage holds 4 bytes more than the largest packet.
    pub const fn new(line: L, incoming: B, outgoing: B) -> Self {
        Self {
            line,
            decoder: FrameDecoder::new(incoming),
            encoder: FrameEncoder::new(outgoing),
            silence: 0,
            lost: false,
            begun: false,
            held: None,
        }
    }

    /// The next session begins: its first packet has not come.
    pub const fn begin(&mut self) {
        self.begun = false;
    }

    /// Whether there is nothing to be done until the next byte arrives.
    pub fn is_at_rest(&self) -> bool {
        !self.lost
            && !self.decoder.is_frame_started()
            && self.encoder.unsent().is_empty()
            && self.held.is_none()
    }

    /// Sends what is left of the last packet; false if some of it is left still.
    fn flush(&mut self) -> bool {
        while let [byte, ..] = self.encoder.unsent() {
            if !self.line.send(*byte) {
                return false;
            }
            self.encoder.sent(1);
        }
        true
    }

    /// Takes in what has arrived; whether the line has been silent for long.
    fn take_in(&mut self) -> bool {
        let mut count = 0_usize;
        for to in self.decoder.space() {
            let Some(byte) = self.line.receive() else { break };
            *to = byte;
            count = count.saturating_add(1);
        }
        self.decoder.filled(count);
        self.silence = if count == 0 { self.silence.saturating_add(1) } else { 0 };
        self.silence >= PATIENCE
    }
}

/// Whether a packet is an INIT.
fn is_init(packet: &[u8]) -> bool {
    let kind = Kind::new(Group::COMM, action::INIT);
    Packet::decode(packet).is_ok_and(|packet| packet.header.kind == kind)
}

impl<L: Line, B: AsRef<[u8]> + AsMut<[u8]>> ServerTransport for SerialServer<L, B> {
    type Error = FrameError;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<FrameError>> {
        if !self.flush() {
            return Err(TransportError::NotReady);
        }
        if let Some(init) = &self.held {
            let fits = buffer.get_mut(..INIT).map(|place| place.copy_from_slice(init));
            self.held = None;
            fits.ok_or(TransportError::BadLength)?;
            self.begun = true;
            return Ok(INIT);
        }
        let silent = self.take_in();
        if self.lost {
            self.decoder.reset();
            self.lost = !silent;
            return Err(TransportError::NotReady);
        }
        match self.decoder.next_packet() {
            Ok(Some(packet)) => {
                if self.begun
                    && let Ok(init) = <&[u8; INIT]>::try_from(&*packet)
                    && is_init(init)
                {
                    self.held.insert([0; INIT]).copy_from_slice(init);
                    return Err(TransportError::Closed);
                }
                self.begun = true;
                buffer.get_mut(..packet.len()).ok_or(TransportError::BadLength)?.copy_from_slice(packet);
                Ok(packet.len())
            }
            Ok(None) => {
                if silent && self.decoder.is_frame_started() {
                    self.decoder.reset();
                }
                Err(TransportError::NotReady)
            }
            Err(error) => {
                self.decoder.reset();
                self.lost = true;
                self.silence = 0;
                Err(TransportError::Failed(error))
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<FrameError>> {
        match self.encoder.encode(packet) {
            Ok(()) => {
                self.flush();
                Ok(())
            }
            Err(FrameError::Unsent) => Err(TransportError::NotReady),
            Err(_) => Err(TransportError::BadLength),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    #[derive(Default)]
    struct Wire {
        arriving: VecDeque<u8>,
        left: Vec<u8>,
        room: usize,
    }

    impl Line for &mut Wire {
        fn receive(&mut self) -> Option<u8> {
            self.arriving.pop_front()
        }

        fn send(&mut self, byte: u8) -> bool {
            if self.room == 0 {
                return false;
            }
            self.room -= 1;
            self.left.push(byte);
            true
        }
    }

    fn framed(packet: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(packet);
        frame
    }

    #[test]
    fn packets_in_and_out_however_the_line_stalls() {
        let mut wire = Wire::default();
        wire.arriving.extend(framed(b"eight...").iter());
        wire.arriving.extend(framed(b"nine.....").iter());
        wire.room = 5;
        let mut server = SerialServer::new(&mut wire, [0; 32], [0; 32]);
        let mut packet = [0; 32];
        assert_eq!(server.receive(&mut packet), Ok(8));
        assert_eq!(server.send(b"answer 1"), Ok(()));
        assert_eq!(server.receive(&mut packet), Err(TransportError::NotReady), "the answer has not left");
        assert_eq!(server.send(b"answer 2"), Err(TransportError::NotReady));
        server.line.room = 100;
        assert_eq!(server.receive(&mut packet), Ok(9));
        assert_eq!(&packet[..9], b"nine.....");
        assert_eq!(server.receive(&mut packet), Err(TransportError::NotReady));
        assert_eq!(wire.left, framed(b"answer 1"));
    }

    #[test]
    fn a_frame_cut_short_is_forgotten_after_a_while() {
        let mut wire = Wire::default();
        wire.arriving.extend(&framed(b"a client that dies")[..10]);
        let mut server = SerialServer::new(&mut wire, [0; 32], [0; 32]);
        let mut packet = [0; 32];
        for _ in 0..=PATIENCE {
            assert_eq!(server.receive(&mut packet), Err(TransportError::NotReady));
        }
        server.line.arriving.extend(framed(b"the next one").iter());
        assert_eq!(server.receive(&mut packet), Ok(12));
    }

    #[test]
    fn a_length_that_no_packet_has_costs_what_follows_it() {
        let mut wire = Wire::default();
        wire.arriving.extend([0xFF; 100]);
        let mut server = SerialServer::new(&mut wire, [0; 32], [0; 32]);
        let mut packet = [0; 32];
        assert!(matches!(server.receive(&mut packet), Err(TransportError::Failed(_))));
        for _ in 0..PATIENCE + 10 {
            assert_eq!(server.receive(&mut packet), Err(TransportError::NotReady));
        }
        server.line.arriving.extend(framed(b"the next one").iter());
        assert_eq!(server.receive(&mut packet), Ok(12));
    }

    #[test]
    fn an_init_begins_a_session() {
        // A header of a little-endian sender, kind COMM/INIT, and client 3.
        let header = Header {
            order: casemate_protocol::ByteOrder::Little,
            kind: Kind::new(Group::COMM, action::INIT),
            sequence: 1,
            auxiliary: [0; 2],
        };
        let mut init = header.encode().to_vec();
        init.extend([3, 0, 0, 0]);
        let mut wire = Wire::default();
        for packet in [init.as_slice(), b"eight...", init.as_slice()] {
            wire.arriving.extend(framed(packet).iter());
        }
        let mut server = SerialServer::new(&mut wire, [0; 32], [0; 32]);
        let mut packet = [0; 32];
        assert_eq!(server.receive(&mut packet), Ok(12));
        assert_eq!(server.receive(&mut packet), Ok(8));
        assert_eq!(server.receive(&mut packet), Err(TransportError::Closed));
        server.begin();
        assert_eq!(server.receive(&mut packet), Ok(12));
        assert_eq!(&packet[..12], init);
        assert_eq!(server.receive(&mut packet), Err(TransportError::NotReady));
        assert!(server.is_at_rest());
    }
}
