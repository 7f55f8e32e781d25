//! The stream to the server as the client sees it: one packet at a time, in one buffer, and no input or output. C moves
//! the bytes between the buffer and Python's stream.

use casemate_protocol::Header;
use casemate_transport::{ClientTransport, LENGTH_PREFIX_SIZE, TransportError};
use core::convert::Infallible;
use zeroize::Zeroize;

/// What the buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A frame that is leaving: from the first number to the second.
    Sending(usize, usize),
    /// A frame that arrives, so many bytes of it; none is the state of rest.
    Receiving(usize),
    /// Nothing moves any more: where frames begin is not known, or the stream has ended.
    Lost,
}

/// A byte stream with a 4-byte big-endian length before each packet (document 01, §12.1).
///
/// Of the stream no more is read than the frame that has begun. So one buffer does for both directions: a response that
/// nobody waits for any more stays in the stream, and is read before the next request leaves if its first bytes have been.
#[derive(Debug)]
pub(super) struct Wire<'m> {
    buffer: &'m mut [u8],
    state: State,
}

impl<'m> Wire<'m> {
    /// Over a buffer of the largest packet and [`LENGTH_PREFIX_SIZE`] bytes.
    pub(super) const fn new(buffer: &'m mut [u8]) -> Self {
        Self { buffer, state: State::Receiving(0) }
    }

    /// What the stream is to take.
    pub(super) fn output(&self) -> &[u8] {
        let State::Sending(start, end) = self.state else { return &[] };
        self.buffer.get(start..end).unwrap_or_default()
    }

    /// Says that the stream took the first `count` bytes of [`output`](Self::output).
    pub(super) fn sent(&mut self, count: usize) {
        let State::Sending(start, end) = self.state else { return };
        let start = start.saturating_add(count).min(end);
        self.state = State::Sending(start, end);
        if start == end {
            self.rest(end);
        }
    }

    /// Where the stream's next bytes go: empty if a whole frame has arrived, or one is leaving.
    pub(super) fn input(&mut self) -> &mut [u8] {
        let State::Receiving(filled) = self.state else { return &mut [] };
        let end = self.frame_end().unwrap_or(LENGTH_PREFIX_SIZE);
        self.buffer.get_mut(filled..end).unwrap_or_default()
    }

    /// Says that `count` bytes were put to the front of [`input`](Self::input).
    pub(super) fn filled(&mut self, count: usize) {
        let room = self.input().len();
        let State::Receiving(filled) = self.state else { return };
        self.state = State::Receiving(filled.saturating_add(count.min(room)));
        if self
            .frame_end()
            .is_some_and(|end| end > self.buffer.len() || end < LENGTH_PREFIX_SIZE + Header::SIZE)
        {
            // No server sends such a packet: where the next one begins is not known.
            self.lose();
        }
    }

    /// Where the frame that arrives ends, once that is known.
    fn frame_end(&self) -> Option<usize> {
        let State::Receiving(filled) = self.state else { return None };
        let prefix = self.buffer.get(..filled)?.first_chunk::<LENGTH_PREFIX_SIZE>()?;
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        Some(length.saturating_add(LENGTH_PREFIX_SIZE))
    }

    /// Wipes the first `end` bytes and waits for a frame.
    fn rest(&mut self, end: usize) {
        self.buffer.get_mut(..end).unwrap_or_default().zeroize();
        self.state = State::Receiving(0);
    }

    /// Gives the stream up.
    pub(super) fn lose(&mut self) {
        self.buffer.zeroize();
        self.state = State::Lost;
    }

    /// Whether a packet can leave.
    pub(super) fn is_at_rest(&self) -> bool {
        self.state == State::Receiving(0)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }
}

impl ClientTransport for Wire<'_> {
    type Error = Infallible;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        match self.state {
            State::Lost => return Err(TransportError::Closed),
            State::Receiving(0) => {}
            _ => return Err(TransportError::NotReady),
        }
        let length = u32::try_from(packet.len()).map_err(|_| TransportError::BadLength)?;
        let end = packet.len().saturating_add(LENGTH_PREFIX_SIZE);
        let frame = self.buffer.get_mut(..end).ok_or(TransportError::BadLength)?;
        let (prefix, space) = frame.split_first_chunk_mut().ok_or(TransportError::BadLength)?;
        *prefix = length.to_be_bytes();
        space.copy_from_slice(packet);
        self.state = State::Sending(0, end);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        let State::Receiving(filled) = self.state else {
            let lost = self.is_lost();
            return Err(if lost { TransportError::Closed } else { TransportError::NotReady });
        };
        let end = self.frame_end().filter(|end| *end == filled).ok_or(TransportError::NotReady)?;
        let packet = self.buffer.get(LENGTH_PREFIX_SIZE..end).unwrap_or_default();
        let length = packet.len();
        let taken = buffer.get_mut(..length).map(|buffer| buffer.copy_from_slice(packet));
        self.rest(end);
        taken.map(|()| length).ok_or(TransportError::BadLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_pieces() {
        let mut buffer = [0; 24];
        let mut wire = Wire::new(&mut buffer);
        assert_eq!(wire.send(&[7; 21]), Err(TransportError::BadLength));
        assert_eq!(wire.send(&[7; 9]), Ok(()));
        assert_eq!(wire.send(&[8; 9]), Err(TransportError::NotReady));
        assert_eq!(wire.output(), [0, 0, 0, 9, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
        assert!(wire.input().is_empty());
        wire.sent(12);
        assert_eq!(wire.output(), [7]);
        wire.sent(5);
        assert!(wire.output().is_empty());

        let mut packet = [0; 20];
        for byte in [0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7] {
            assert_eq!(wire.receive(&mut packet), Err(TransportError::NotReady));
            wire.input()[0] = byte;
            wire.filled(1);
        }
        assert_eq!(wire.input().len(), 1);
        // A response that has begun must end before a request leaves.
        assert_eq!(wire.send(&[8; 9]), Err(TransportError::NotReady));
        wire.filled(9);
        assert!(wire.input().is_empty());
        assert_eq!(wire.receive(&mut packet), Ok(8));
        assert_eq!(packet[..8], [1, 2, 3, 4, 5, 6, 7, 0]);
        assert_eq!(wire.receive(&mut packet), Err(TransportError::NotReady));
        assert_eq!(wire.buffer, [0; 24]);
        assert_eq!(wire.send(&[8; 9]), Ok(()));
    }

    #[test]
    fn impossible_lengths() {
        for length in [0_u32, 7, 21, u32::MAX] {
            let mut buffer = [0; 24];
            let mut wire = Wire::new(&mut buffer);
            wire.input().copy_from_slice(&length.to_be_bytes());
            wire.filled(4);
            assert!(wire.is_lost() && wire.input().is_empty() && wire.output().is_empty());
            assert_eq!(wire.receive(&mut [0; 24]), Err(TransportError::Closed));
            assert_eq!(wire.send(&[0; 8]), Err(TransportError::Closed));
        }
    }
}
