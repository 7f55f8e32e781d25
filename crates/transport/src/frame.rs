//! Packets on a byte stream: a 4-byte big-endian length, then the packet (document 01, §12.1).
//!
//! Both machines work on storage that the caller provides and do no input or output. A reader loops over
//! [`FrameDecoder::next_packet`] and, when that says "none yet", reads into [`FrameDecoder::space`]; a writer puts
//! a packet into a [`FrameEncoder`] and writes out [`FrameEncoder::unsent`] until nothing is left.

use casemate_protocol::Header;
use core::cell::Cell;
use core::fmt;

/// Bytes before each packet on a byte stream.
pub const LENGTH_PREFIX_SIZE: usize = 4;

/// Why a frame was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The packet's length is below a packet header's or above what the storage holds.
    BadLength {
        /// The length found, in bytes.
        found: u32,
        /// The largest length accepted, in bytes.
        maximum: usize,
    },
    /// The encoder still holds unsent bytes of the frame before.
    Unsent,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadLength { found, maximum } => {
                write!(f, "a packet length of {found} bytes is not between {} and {maximum}", Header::SIZE)
            }
            Self::Unsent => f.write_str("the frame before this one has not left yet"),
        }
    }
}

impl core::error::Error for FrameError {}

/// Checks a packet length against the two limits.
fn check(found: u32, maximum: usize) -> Result<usize, FrameError> {
    match usize::try_from(found) {
        Ok(length) if (Header::SIZE..=maximum).contains(&length) => Ok(length),
        _ => Err(FrameError::BadLength { found, maximum }),
    }
}

/// The largest packet that fits behind a length in `storage`.
fn maximum(storage: &[u8]) -> usize {
    storage.len().saturating_sub(LENGTH_PREFIX_SIZE)
}

/// Finds packets in a byte stream, however its bytes are cut into reads.
///
/// The storage's size sets the largest packet: storage minus [`LENGTH_PREFIX_SIZE`]. Delivered packets stay in the
/// storage until other bytes take their place; storage that wipes itself when dropped
/// (`zeroize::Zeroizing<Vec<u8>>`) is the right choice where packets carry secrets.
#[derive(Debug)]
pub struct FrameDecoder<B> {
    storage: B,
    /// The bytes `start..end` of the storage have arrived and were not delivered.
    start: usize,
    end: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> FrameDecoder<B> {
    /// A decoder at the start of a stream.
    pub const fn new(storage: B) -> Self {
        Self { storage, start: 0, end: 0 }
    }

    /// The largest packet it accepts, in bytes.
    pub fn maximum_packet(&self) -> usize {
        maximum(self.storage.as_ref())
    }

    /// Whether some bytes have arrived and were not delivered: a frame that has begun, or a whole packet that
    /// [`next_packet`](Self::next_packet) has not returned yet.
    pub const fn is_frame_started(&self) -> bool {
        self.start < self.end
    }

    /// The next whole packet, or `None` until more bytes arrive.
    ///
    /// The packet counts as delivered when this returns.
    ///
    /// # Errors
    /// [`FrameError::BadLength`]: the stream has lost its meaning and the connection should be ended. The length is
    /// judged as soon as its four bytes are there, and every later call returns the same error.
    pub fn next_packet(&mut self) -> Result<Option<&mut [u8]>, FrameError> {
        let storage = self.storage.as_mut();
        let maximum = maximum(storage);
        let arrived = storage.get_mut(self.start..self.end).unwrap_or_default();
        let Some((prefix, rest)) = arrived.split_first_chunk_mut::<LENGTH_PREFIX_SIZE>() else {
            return Ok(None);
        };
        let length = check(u32::from_be_bytes(*prefix), maximum)?;
        let Some(packet) = rest.get_mut(..length) else { return Ok(None) };
        self.start = self.start.saturating_add(LENGTH_PREFIX_SIZE).saturating_add(length);
        Ok(Some(packet))
    }

    /// Where the next bytes of the stream go; tell [`filled`](Self::filled) how many were put there.
    ///
    /// Never empty after [`next_packet`](Self::next_packet) has returned `None`, unless the storage cannot hold
    /// even a length and a packet header. May move the bytes of a frame that has begun, so a pointer from an
    /// earlier call is of no use.
    pub fn space(&mut self) -> &mut [u8] {
        let storage = self.storage.as_mut();
        if self.start > 0 && self.start <= self.end && self.end <= storage.len() {
            // A loop rather than `memmove`, which would be all that a firmware needs it for: there is seldom anything to move,
            // as a client waits for its response.
            let bytes = Cell::from_mut(&mut *storage).as_slice_of_cells();
            let arrived = bytes.get(self.start..self.end).unwrap_or_default();
            bytes.iter().zip(arrived).for_each(|(to, from)| to.set(from.get()));
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        storage.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that `count` bytes were written to the front of the last [`space`](Self::space). More than that space
    /// held counts as all of it.
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.storage.as_ref().len());
    }

    /// Forgets every byte that has arrived, as at the start of a new stream.
    pub fn reset(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// Puts packets onto a byte stream, however its bytes are cut into writes.
///
/// Length and packet lie side by side in the storage, so that one write can carry both.
#[derive(Debug)]
pub struct FrameEncoder<B> {
    storage: B,
    /// The bytes `start..end` of the storage are still to be sent.
    start: usize,
    end: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> FrameEncoder<B> {
    /// An encoder at the start of a stream.
    pub const fn new(storage: B) -> Self {
        Self { storage, start: 0, end: 0 }
    }

    /// The largest packet it accepts, in bytes: the storage minus [`LENGTH_PREFIX_SIZE`].
    pub fn maximum_packet(&self) -> usize {
        maximum(self.storage.as_ref())
    }

    /// Copies a packet in and puts its length before it.
    ///
    /// # Errors
    /// [`FrameError::Unsent`] while bytes of the frame before are unsent, [`FrameError::BadLength`] if the packet is
    /// shorter than a header or longer than the storage holds. The encoder is then as it was.
    pub fn encode(&mut self, packet: &[u8]) -> Result<(), FrameError> {
        let found = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let maximum = self.maximum_packet();
        let space = self.packet_space()?.get_mut(..packet.len());
        space.ok_or(FrameError::BadLength { found, maximum })?.copy_from_slice(packet);
        self.finish(packet.len())
    }

    /// Where a packet can be built in place; [`finish`](Self::finish) then makes it a frame.
    ///
    /// # Errors
    /// [`FrameError::Unsent`] while bytes of the frame before are unsent.
    pub fn packet_space(&mut self) -> Result<&mut [u8], FrameError> {
        if self.start < self.end {
            return Err(FrameError::Unsent);
        }
        Ok(self.storage.as_mut().get_mut(LENGTH_PREFIX_SIZE..).unwrap_or_default())
    }

    /// Makes a frame of the first `length` bytes of [`packet_space`](Self::packet_space).
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn finish(&mut self, length: usize) -> Result<(), FrameError> {
        if self.start < self.end {
            return Err(FrameError::Unsent);
        }
        let found = u32::try_from(length).unwrap_or(u32::MAX);
        let maximum = self.maximum_packet();
        let length = check(found, maximum)?;
        let prefix = self.storage.as_mut().first_chunk_mut::<LENGTH_PREFIX_SIZE>();
        *prefix.ok_or(FrameError::BadLength { found, maximum })? = found.to_be_bytes();
        self.start = 0;
        self.end = length.saturating_add(LENGTH_PREFIX_SIZE);
        Ok(())
    }

    /// The bytes still to be written to the stream; empty when the frame has left.
    pub fn unsent(&self) -> &[u8] {
        self.storage.as_ref().get(self.start..self.end).unwrap_or_default()
    }

    /// Says that the first `count` bytes of [`unsent`](Self::unsent) were written. More than there were counts as
    /// all.
    pub fn sent(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Drops every unsent byte, as at the start of a new stream.
    pub fn reset(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}
