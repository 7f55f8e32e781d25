//! Client memory: how a port lets the server reach the memory of the client that it serves (document 01, §10).
//!
//! Messages of the DMA kind carry addresses instead of data. What such a number means is an agreement between the
//! client and the port: an offset into an area that both map, or a bus address. The server never uses one as a pointer.
//! It copies through [`ClientMemory`], which a port implements for what the session's transport shares with the client,
//! and which comes with each request as a [`ClientWindow`]. Without a window there are no messages of the DMA kind.
//!
//! The client may change its memory at any time. What the server checks it has copied before, and nothing that it
//! decides on is read twice.

use crate::error::memory_status;
use casemate_protocol::{DmaBuffer, Status};
use core::fmt;

/// What the server does with a range of client memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The server reads it.
    Read,
    /// The server writes it.
    Write,
}

/// A range of client memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressRange {
    /// Where it begins.
    pub address: u64,
    /// How long it is.
    pub length: u64,
}

impl AddressRange {
    /// `length` bytes from `address`.
    pub const fn new(address: u64, length: u64) -> Self {
        Self { address, length }
    }

    /// The address after the last byte; `None` if there is no such 64-bit number.
    pub const fn end(self) -> Option<u64> {
        self.address.checked_add(self.length)
    }

    /// Whether all of `inner` lies inside. A range that wraps contains nothing and lies nowhere, and so does an empty
    /// one.
    pub fn contains(self, inner: Self) -> bool {
        match (self.end(), inner.end()) {
            (Some(end), Some(inner_end)) => {
                inner.length != 0 && self.address <= inner.address && inner_end <= end
            }
            _ => false,
        }
    }

    /// Whether the two share a byte.
    pub fn overlaps(self, other: Self) -> bool {
        let ends_after = |range: Self, address: u64| range.end().is_none_or(|end| end > address);
        self.length != 0
            && other.length != 0
            && ends_after(self, other.address)
            && ends_after(other, self.address)
    }
}

/// Why client memory could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryError {
    /// The range is not wholly inside what is shared, or wraps, or has an address that the port cannot form.
    OutOfRange,
    /// The range is shared, but a policy forbids this access.
    Denied,
    /// Nothing is shared with this client, or not yet.
    Unavailable,
    /// The access itself failed: a bus error, for instance.
    Fault,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "the range does not lie inside the memory shared with the client",
            Self::Denied => "the range is not on the list of those that the server may use so",
            Self::Unavailable => "no memory is shared with the client",
            Self::Fault => "the access to client memory failed",
        })
    }
}

impl core::error::Error for MemoryError {}

/// The memory of one client, as a port gives it to the server: copies only.
///
/// For each buffer of a message the server calls [`open`](Self::open) once, then [`read`](Self::read) or
/// [`write`](Self::write) for parts of the opened range, and [`close`](Self::close) before the response is returned,
/// whatever became of the message. A buffer of length 0 is not opened.
///
/// An implementation checks every range against what it shares with this client, each time: the numbers come from the
/// client. It must not hand out references to memory that the client can write at the same time; it copies byte by byte
/// or word by word with volatile or atomic accesses.
pub trait ClientMemory {
    /// Checks a whole range and prepares it for use: translates the address, invalidates a cache before a read.
    /// Returns the address at which [`read`](Self::read) and [`write`](Self::write) will find the range; by default the
    /// same.
    ///
    /// # Errors
    /// [`MemoryError`], which refuses the message.
    fn open(&mut self, range: AddressRange, access: Access) -> Result<u64, MemoryError> {
        let _ = access;
        Ok(range.address)
    }

    /// Copies client memory from `address` on to `to`.
    ///
    /// # Errors
    /// [`MemoryError`]; `to` may then have been written in part.
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError>;

    /// Copies `from` to client memory from `address` on.
    ///
    /// # Errors
    /// [`MemoryError`]; client memory may then have been written in part.
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError>;

    /// Ends the use of an opened range, named as [`open`](Self::open) got it: flushes a cache after a write, for
    /// instance. By default nothing.
    fn close(&mut self, range: AddressRange, access: Access) {
        let _ = (range, access);
    }
}

impl<M: ClientMemory + ?Sized> ClientMemory for &mut M {
    fn open(&mut self, range: AddressRange, access: Access) -> Result<u64, MemoryError> {
        (**self).open(range, access)
    }
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        (**self).read(address, to)
    }
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        (**self).write(address, from)
    }
    fn close(&mut self, range: AddressRange, access: Access) {
        (**self).close(range, access);
    }
}

/// Client memory in which only listed ranges may be used. A range must lie inside one entry of the list for its access,
/// at the address that the memory below translated it to; empty entries and entries that wrap admit nothing.
#[derive(Debug, Clone)]
pub struct AllowList<'l, M> {
    memory: M,
    readable: &'l [AddressRange],
    writable: &'l [AddressRange],
}

impl<'l, M: ClientMemory> AllowList<'l, M> {
    /// `memory`, of which the server may read what `readable` and write what `writable` lists.
    pub const fn new(memory: M, readable: &'l [AddressRange], writable: &'l [AddressRange]) -> Self {
        Self { memory, readable, writable }
    }
}

impl<M: ClientMemory> ClientMemory for AllowList<'_, M> {
    fn open(&mut self, range: AddressRange, access: Access) -> Result<u64, MemoryError> {
        let address = self.memory.open(range, access)?;
        let translated = AddressRange { address, ..range };
        let list = match access {
            Access::Read => self.readable,
            Access::Write => self.writable,
        };
        let error = match translated.end() {
            Some(_) if list.iter().any(|entry| entry.contains(translated)) => return Ok(address),
            Some(_) => MemoryError::Denied,
            None => MemoryError::OutOfRange,
        };
        self.memory.close(range, access);
        Err(error)
    }
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        self.memory.read(address, to)
    }
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        self.memory.write(address, from)
    }
    fn close(&mut self, range: AddressRange, access: Access) {
        self.memory.close(range, access);
    }
}

/// Client memory that is a slice: a client in the same program that lends the server a buffer while its request is
/// handled, and tests. Address 0 is its first byte.
#[derive(Debug)]
pub struct SliceMemory<'m>(pub &'m mut [u8]);

impl SliceMemory<'_> {
    fn part(&mut self, address: u64, length: usize) -> Result<&mut [u8], MemoryError> {
        let from = usize::try_from(address).map_err(|_| MemoryError::OutOfRange)?;
        let part = self.0.get_mut(from..).and_then(|rest| rest.get_mut(..length));
        part.ok_or(MemoryError::OutOfRange)
    }
}

impl ClientMemory for SliceMemory<'_> {
    fn open(&mut self, range: AddressRange, _: Access) -> Result<u64, MemoryError> {
        if self.0.is_empty() {
            return Err(MemoryError::Unavailable);
        }
        let length = usize::try_from(range.length).map_err(|_| MemoryError::OutOfRange)?;
        self.part(range.address, length).map(|_| range.address)
    }
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        to.copy_from_slice(self.part(address, to.len())?);
        Ok(())
    }
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        self.part(address, from.len())?.copy_from_slice(from);
        Ok(())
    }
}

/// What a port lends the server to handle one request of the DMA kind with.
pub struct ClientWindow<'a> {
    /// The memory of the client that sent the request.
    pub memory: &'a mut dyn ClientMemory,
    /// Memory of the server that is no client's: data that must be whole before it is used is copied here. Its length
    /// limits such data; the data of hashes, CMACs, random numbers, AES-CBC, CTR and ECB passes in parts and is not
    /// limited by it. It may be empty. What lay in it is wiped when the request is answered.
    pub scratch: &'a mut [u8],
}

impl fmt::Debug for ClientWindow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientWindow").field("scratch", &self.scratch.len()).finish_non_exhaustive()
    }
}

/// How many buffers one message may name: AES-GCM has three.
const MOST_BUFFERS: usize = 4;

/// Client memory while one request is handled. A handler opens each buffer of its message, which checks it as a whole,
/// and copies; whatever it opened is closed after it.
#[derive(Default)]
pub(crate) struct Dma<'a> {
    memory: Option<&'a mut dyn ClientMemory>,
    scratch: &'a mut [u8],
    scratch_was_taken: bool,
    opened: [Option<(AddressRange, Access)>; MOST_BUFFERS],
}

/// A buffer of a message that was opened, or one of length 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    range: AddressRange,
    length: usize,
}

#[allow(dead_code, reason = "which of these are used depends on the features")]
impl Region {
    /// Its length in bytes.
    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    /// Whether it begins inside `other` but not where that begins.
    pub(crate) fn begins_inside(&self, other: &Self) -> bool {
        self.range.address > other.range.address && self.range.overlaps(other.range)
    }
}

#[allow(dead_code, reason = "which of these are used depends on the features")]
impl<'a> Dma<'a> {
    /// Access through `window`.
    pub(crate) const fn new(window: ClientWindow<'a>) -> Self {
        let ClientWindow { memory, scratch } = window;
        Self { memory: Some(memory), scratch, scratch_was_taken: false, opened: [None; MOST_BUFFERS] }
    }

    /// Whether the client shares memory with the server at all.
    pub(crate) const fn is_present(&self) -> bool {
        self.memory.is_some()
    }

    /// The port's memory itself.
    pub(crate) fn memory(&mut self) -> Option<&mut dyn ClientMemory> {
        match &mut self.memory {
            Some(memory) => Some(&mut **memory),
            None => None,
        }
    }

    /// The port's scratch memory; empty if it was taken before. It is wiped when the request is answered.
    pub(crate) fn take_scratch(&mut self) -> &'a mut [u8] {
        self.scratch_was_taken = true;
        core::mem::take(&mut self.scratch)
    }

    /// Opens a buffer for one kind of access, as a whole.
    ///
    /// # Errors
    /// BAD_ARGUMENTS for a range that wraps, that is 4 GiB or longer or that the memory does not have; ACCESS for one
    /// that may not be used; NOT_READY without shared memory; ABORTED if the access fails.
    pub(crate) fn open(&mut self, buffer: DmaBuffer, access: Access) -> Result<Region, Status> {
        let range = AddressRange::new(buffer.address, buffer.size);
        let length = u32::try_from(buffer.size).map_err(|_| Status::BAD_ARGUMENTS)?;
        let length = usize::try_from(length).map_err(|_| Status::BAD_ARGUMENTS)?;
        if length == 0 {
            return Ok(Region { range, length });
        }
        if range.end().is_none() {
            return Err(Status::BAD_ARGUMENTS);
        }
        let memory = self.memory.as_mut().ok_or(Status::NOT_READY)?;
        let slot = self.opened.iter_mut().find(|slot| slot.is_none()).ok_or(Status::ABORTED)?;
        let address = memory.open(range, access).map_err(memory_status)?;
        *slot = Some((range, access));
        let range = AddressRange { address, ..range };
        if range.end().is_none() {
            return Err(Status::BAD_ARGUMENTS);
        }
        Ok(Region { range, length })
    }

    /// The address of a part of a region, which must not reach beyond it.
    fn part(region: Region, offset: usize, length: usize) -> Result<u64, Status> {
        let end = offset.checked_add(length).ok_or(Status::ABORTED)?;
        if end > region.length {
            return Err(Status::ABORTED);
        }
        let offset = u64::try_from(offset).map_err(|_| Status::ABORTED)?;
        region.range.address.checked_add(offset).ok_or(Status::ABORTED)
    }

    /// Copies a part of an opened region to `to`.
    ///
    /// # Errors
    /// As [`Self::open`]; ABORTED for a part that the region does not have.
    pub(crate) fn read(&mut self, region: Region, offset: usize, to: &mut [u8]) -> Result<(), Status> {
        let address = Self::part(region, offset, to.len())?;
        if to.is_empty() {
            return Ok(());
        }
        let memory = self.memory.as_mut().ok_or(Status::NOT_READY)?;
        memory.read(address, to).map_err(memory_status)
    }

    /// Copies `from` to a part of an opened region.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn write(&mut self, region: Region, offset: usize, from: &[u8]) -> Result<(), Status> {
        let address = Self::part(region, offset, from.len())?;
        if from.is_empty() {
            return Ok(());
        }
        let memory = self.memory.as_mut().ok_or(Status::NOT_READY)?;
        memory.write(address, from).map_err(memory_status)
    }

    /// `space`, or the scratch memory if `length` bytes fit only there.
    pub(crate) fn larger_space<'s>(&mut self, space: &'s mut [u8], length: usize) -> &'s mut [u8]
    where
        'a: 's,
    {
        if length > space.len() && length <= self.scratch.len() { self.take_scratch() } else { space }
    }

    /// `space`, or the scratch memory if that is longer.
    pub(crate) fn largest_space<'s>(&mut self, space: &'s mut [u8]) -> &'s mut [u8]
    where
        'a: 's,
    {
        if self.scratch.len() > space.len() { self.take_scratch() } else { space }
    }

    /// Copies a whole region to the front of `space` and returns that part.
    ///
    /// # Errors
    /// BUFFER_SIZE if it does not fit; else as [`Self::read`].
    pub(crate) fn copy_in<'s>(
        &mut self,
        region: Region,
        space: &'s mut [u8],
    ) -> Result<&'s mut [u8], Status> {
        let whole = space.get_mut(..region.length).ok_or(Status::BUFFER_SIZE)?;
        self.read(region, 0, whole)?;
        Ok(whole)
    }

    /// Copies a region in parts to `space`, each byte once, and gives every part with its offset to `work`. All parts
    /// but the last are as long as `space`.
    ///
    /// # Errors
    /// What `work` answers; BUFFER_SIZE if `space` is empty; else as [`Self::read`].
    pub(crate) fn read_parts(
        &mut self,
        region: Region,
        space: &mut [u8],
        mut work: impl FnMut(&mut Self, usize, &mut [u8]) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let mut offset: usize = 0;
        while offset < region.length {
            let length = region.length.saturating_sub(offset).min(space.len());
            if length == 0 {
                return Err(Status::BUFFER_SIZE);
            }
            let part = space.get_mut(..length).ok_or(Status::ABORTED)?;
            self.read(region, offset, part)?;
            work(self, offset, part)?;
            offset = offset.saturating_add(length);
        }
        Ok(())
    }

    /// Closes what was opened, last first, and says whether the scratch memory must be wiped.
    pub(crate) fn finish(&mut self) -> bool {
        if let Some(memory) = self.memory.as_mut() {
            for (range, access) in self.opened.iter_mut().rev().filter_map(Option::take) {
                memory.close(range, access);
            }
        }
        self.scratch_was_taken
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const fn range(address: u64, length: u64) -> AddressRange {
        AddressRange::new(address, length)
    }

    #[test]
    fn ranges_at_the_edges() {
        let area = range(0x100, 0x10);
        for (inner, lies_inside) in [
            (range(0x100, 0x10), true),
            (range(0x10F, 1), true),
            (range(0x100, 1), true),
            (range(0x100, 0), false),
            (range(0xFF, 1), false),
            (range(0xFF, 2), false),
            (range(0x10F, 2), false),
            (range(0x110, 1), false),
            (range(u64::MAX, 2), false),
            (range(u64::MAX - 0xFF, 0x101), false),
        ] {
            assert_eq!(area.contains(inner), lies_inside, "{inner:?}");
        }
        assert!(range(0, u64::MAX).contains(range(u64::MAX - 1, 1)));
        assert!(!range(1, u64::MAX).contains(range(2, 1)), "an entry that wraps admits nothing");
        assert!(range(0, 2).overlaps(range(1, 2)) && range(1, 2).overlaps(range(0, 2)));
        assert!(!range(0, 2).overlaps(range(2, 2)) && !range(0, 0).overlaps(range(0, 2)));
        assert!(range(u64::MAX, 5).overlaps(range(u64::MAX, 1)));
    }

    /// Memory that translates by adding `shift`, and writes down what it is asked to do.
    struct Recorder {
        shift: u64,
        events: Vec<(&'static str, u64, u64)>,
    }

    impl ClientMemory for Recorder {
        fn open(&mut self, range: AddressRange, access: Access) -> Result<u64, MemoryError> {
            let event = if access == Access::Read { "open read" } else { "open write" };
            self.events.push((event, range.address, range.length));
            Ok(range.address.wrapping_add(self.shift))
        }
        fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
            self.events.push(("read", address, to.len() as u64));
            Ok(())
        }
        fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
            self.events.push(("write", address, from.len() as u64));
            Ok(())
        }
        fn close(&mut self, range: AddressRange, access: Access) {
            let event = if access == Access::Read { "close read" } else { "close write" };
            self.events.push((event, range.address, range.length));
        }
    }

    #[test]
    fn what_is_opened_is_closed_last_first_and_parts_are_at_translated_addresses() {
        let mut memory = Recorder { shift: 0x1000, events: Vec::new() };
        let mut scratch = [0; 4];
        let mut dma = Dma::new(ClientWindow { memory: &mut memory, scratch: &mut scratch });
        let input = dma.open(DmaBuffer::new(0x10, 8), Access::Read).unwrap();
        let output = dma.open(DmaBuffer::new(0x20, 8), Access::Write).unwrap();
        let empty = dma.open(DmaBuffer::new(u64::MAX, 0), Access::Write).unwrap();
        assert_eq!(empty.length(), 0);
        let mut space = [0; 5];
        dma.read_parts(input, &mut space, |dma, offset, part| dma.write(output, offset, part)).unwrap();
        dma.write(empty, 0, &[]).unwrap();
        assert_eq!(dma.read(input, 4, &mut [0; 5]), Err(Status::ABORTED));
        assert_eq!(dma.write(output, usize::MAX, &[0; 5]), Err(Status::ABORTED));
        assert!(!dma.finish());
        assert_eq!(
            memory.events,
            [
                ("open read", 0x10, 8),
                ("open write", 0x20, 8),
                ("read", 0x1010, 5),
                ("write", 0x1020, 5),
                ("read", 0x1015, 3),
                ("write", 0x1025, 3),
                ("close write", 0x20, 8),
                ("close read", 0x10, 8),
            ]
        );
    }

    #[test]
    fn ranges_that_wrap_or_are_too_long_are_refused_before_the_port_sees_them() {
        let mut memory = Recorder { shift: 0, events: Vec::new() };
        let mut dma = Dma::new(ClientWindow { memory: &mut memory, scratch: &mut [] });
        for buffer in
            [DmaBuffer::new(u64::MAX, 1), DmaBuffer::new(u64::MAX - 7, 9), DmaBuffer::new(0, 1 << 32)]
        {
            assert_eq!(dma.open(buffer, Access::Read).unwrap_err(), Status::BAD_ARGUMENTS, "{buffer:?}");
        }
        dma.open(DmaBuffer::new(u64::MAX - 8, 8), Access::Read).unwrap();
        dma.finish();
        assert_eq!(memory.events.len(), 2);
    }

    #[test]
    fn a_translation_that_wraps_is_refused_and_closed() {
        let mut memory = Recorder { shift: u64::MAX - 0x10, events: Vec::new() };
        let mut dma = Dma::new(ClientWindow { memory: &mut memory, scratch: &mut [] });
        let refused = dma.open(DmaBuffer::new(0x10, 8), Access::Read);
        assert_eq!(refused.unwrap_err(), Status::BAD_ARGUMENTS);
        dma.finish();
        assert_eq!(memory.events, [("open read", 0x10, 8), ("close read", 0x10, 8)]);
    }

    #[test]
    fn an_allow_list_admits_what_lies_in_one_entry_after_translation() {
        let readable = [range(0x1000, 8), range(0x1008, 8), range(0x2000, 0)];
        let writable = [range(0x1100, 4), range(u64::MAX - 3, 8)];
        let mut memory = Recorder { shift: 0x1000, events: Vec::new() };
        let mut list = AllowList::new(&mut memory, &readable, &writable);
        assert_eq!(list.open(range(0, 8), Access::Read), Ok(0x1000));
        assert_eq!(list.open(range(4, 8), Access::Read), Err(MemoryError::Denied));
        assert_eq!(list.open(range(0, 4), Access::Write), Err(MemoryError::Denied));
        assert_eq!(list.open(range(0x100, 4), Access::Write), Ok(0x1100));
        assert_eq!(list.open(range(0x100, 4), Access::Read), Err(MemoryError::Denied));
        assert_eq!(list.open(range(0x1000, 1), Access::Read), Err(MemoryError::Denied));
        assert_eq!(list.open(range(u64::MAX - 0x1002, 2), Access::Write), Err(MemoryError::Denied));
        assert_eq!(list.open(range(u64::MAX - 0x1002, 8), Access::Write), Err(MemoryError::OutOfRange));
        let opened = memory.events.iter().filter(|event| event.0.starts_with("open")).count();
        let closed = memory.events.iter().filter(|event| event.0.starts_with("close")).count();
        assert_eq!((opened, closed), (8, 6), "what is refused is closed at once");
    }

    #[test]
    fn a_slice_has_edges() {
        let mut bytes = vec![1, 2, 3, 4];
        let mut memory = SliceMemory(&mut bytes);
        assert_eq!(memory.open(range(0, 4), Access::Read), Ok(0));
        for (address, length) in [(0, 5), (4, 1), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            assert_eq!(memory.open(range(address, length), Access::Read), Err(MemoryError::OutOfRange));
        }
        assert_eq!(memory.read(3, &mut [0; 2]), Err(MemoryError::OutOfRange));
        memory.write(2, &[9, 9]).unwrap();
        assert_eq!(bytes, [1, 2, 9, 9]);
        assert_eq!(SliceMemory(&mut []).open(range(0, 1), Access::Read), Err(MemoryError::Unavailable));
    }

    #[test]
    fn the_scratch_memory_is_taken_when_only_it_is_large_enough() {
        let mut memory = Recorder { shift: 0, events: Vec::new() };
        let mut scratch = [7; 8];
        let mut space = [0; 4];
        let mut dma = Dma::new(ClientWindow { memory: &mut memory, scratch: &mut scratch });
        assert_eq!(dma.larger_space(&mut space, 4).len(), 4);
        assert_eq!(dma.larger_space(&mut space, 9).len(), 4);
        assert!(!dma.scratch_was_taken);
        assert_eq!(dma.larger_space(&mut space, 8).len(), 8);
        assert_eq!(dma.largest_space(&mut space).len(), 4, "it is gone");
        assert!(dma.finish());
    }
}
