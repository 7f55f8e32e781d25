//! A ring of records in memory of a fixed size.

use super::Record;
use casemate_nvm::crc16;

/// A record with its number and the time at which it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Counts records from 0 on; a gap means that records are missing.
    pub number: u64,
    /// When: whatever the port counts in, such as seconds since the Unix epoch or ticks since the start.
    pub time: u64,
    /// What.
    pub record: Record,
}

impl Entry {
    /// Size of an entry in the ring's memory, in bytes: number, time, record, checksum.
    pub const SIZE: usize = 8 + 8 + Record::SIZE + 2;

    fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let record = self.record.encode();
        let fields = self.number.to_le_bytes().into_iter().chain(self.time.to_le_bytes()).chain(record);
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        if let Some((data, sum)) = bytes.split_last_chunk_mut::<2>() {
            *sum = crc16(data).to_le_bytes();
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (data, sum) = bytes.split_last_chunk::<2>()?;
        if u16::from_le_bytes(*sum) != crc16(data) {
            return None;
        }
        let (number, rest) = data.split_first_chunk::<8>()?;
        let (time, record) = rest.split_first_chunk::<8>()?;
        Some(Self {
            number: u64::from_le_bytes(*number),
            time: u64::from_le_bytes(*time),
            record: Record::decode(record.try_into().ok()?).ok()?,
        })
    }
}

/// The newest records, in memory of the port's; older ones are overwritten, and counted.
///
/// The memory has [`Entry::SIZE`] bytes for each record. It may be memory that keeps its content during a reset (a
/// section that start-up code does not clear): every entry has a checksum, so [`recover`](Self::recover) finds again
/// what is whole, and starts empty on memory that holds anything else. The checksum detects damage, not forgery.
///
/// A port that handles requests on several threads puts the ring into a lock such as
/// [`ThreadSafe`](crate::ThreadSafe).
///
/// ```
/// use casemate_server::audit::{Entry, Event, Record, Ring};
///
/// let mut ring = Ring::new([0; 2 * Entry::SIZE]);
/// for code in 0..3 {
///     let event = Event::Custom { code, detail: 0 };
///     ring.push(100, &Record { client: None, request: None, event });
/// }
/// assert_eq!(ring.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2]);
/// assert_eq!(ring.lost(), 1);
/// ```
#[derive(Debug)]
pub struct Ring<M> {
    memory: M,
    /// The number of the next record.
    next: u64,
    /// Entries before this number were cleared.
    first: u64,
    lost: u64,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Ring<M> {
    /// An empty ring; the memory is overwritten.
    ///
    /// Memory that is too small for one entry gives a ring that loses every record.
    pub fn new(mut memory: M) -> Self {
        memory.as_mut().fill(0);
        Self { memory, next: 0, first: 0, lost: 0 }
    }

    /// A ring that goes on with what `memory` holds of a ring of the same size from before a reset.
    pub fn recover(memory: M) -> Self {
        let mut ring = Self { memory, next: 0, first: 0, lost: 0 };
        let capacity = ring.capacity();
        let mut newest = None;
        let mut oldest = None;
        for (index, bytes) in (0..capacity).zip(ring.memory.as_ref().chunks_exact(Entry::SIZE)) {
            // An entry stands at its number's place, or it is a leftover of something else.
            if let Some(entry) = Entry::decode(bytes)
                && entry.number.checked_rem(capacity) == Some(index)
            {
                newest = newest.max(Some(entry.number));
                oldest = Some(oldest.map_or(entry.number, |oldest: u64| oldest.min(entry.number)));
            }
        }
        let Some((newest, oldest)) = newest.zip(oldest) else { return Self::new(ring.memory) };
        ring.next = newest.saturating_add(1);
        // Leftovers from before the last round are not of this ring's present content.
        ring.first = oldest.max(ring.next.saturating_sub(capacity));
        ring.lost = ring.first;
        ring
    }

    /// The memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// How many records fit.
    pub fn capacity(&self) -> u64 {
        let entries = self.memory.as_ref().len().checked_div(Entry::SIZE).unwrap_or(0);
        u64::try_from(entries).unwrap_or(u64::MAX)
    }

    /// How many records were overwritten, not [cleared](Self::clear), since the ring was made; after
    /// [`recover`](Self::recover), also all that came before the oldest one that was found.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The number that the next record will have.
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    fn place(&self, number: u64) -> Option<core::ops::Range<usize>> {
        let index = usize::try_from(number.checked_rem(self.capacity())?).ok()?;
        let start = index.checked_mul(Entry::SIZE)?;
        Some(start..start.checked_add(Entry::SIZE)?)
    }

    /// Adds a record, over the oldest one if there is no room.
    pub fn push(&mut self, time: u64, record: &Record) {
        let entry = Entry { number: self.next, time, record: *record };
        self.next = self.next.saturating_add(1);
        let place = self.place(entry.number).and_then(|place| self.memory.as_mut().get_mut(place));
        if let Some(bytes) = place {
            bytes.copy_from_slice(&entry.encode());
        }
        let held = self.next.saturating_sub(self.first);
        if held > self.capacity() {
            self.lost = self.lost.saturating_add(1);
            self.first = self.first.saturating_add(1);
        }
    }

    /// The records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        (self.first..self.next)
            .filter_map(|number| Entry::decode(self.memory.as_ref().get(self.place(number)?)?))
    }

    /// Forgets the records up to and including `number`, which were brought to a safe place.
    pub fn clear(&mut self, number: u64) {
        let end = number.saturating_add(1).min(self.next);
        while self.first < end {
            if let Some(bytes) = self.place(self.first).and_then(|place| self.memory.as_mut().get_mut(place))
            {
                bytes.fill(0);
            }
            self.first = self.first.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Event;
    use std::vec::Vec;

    fn record(code: u16) -> Record {
        Record { client: None, request: None, event: Event::Custom { code, detail: u32::from(code) } }
    }

    fn codes<M: AsRef<[u8]> + AsMut<[u8]>>(ring: &Ring<M>) -> Vec<u64> {
        ring.iter()
            .map(|entry| {
                assert_eq!(entry.record, record(u16::try_from(entry.number).unwrap()));
                assert_eq!(entry.time, 1000 + entry.number);
                entry.number
            })
            .collect()
    }

    fn filled(count: u16) -> Ring<Vec<u8>> {
        let mut ring = Ring::new(std::vec![0xAA; 4 * Entry::SIZE + 3]);
        for code in 0..count {
            ring.push(1000 + u64::from(code), &record(code));
        }
        ring
    }

    #[test]
    fn the_newest_stay_and_the_lost_are_counted() {
        assert_eq!(codes(&filled(0)), []);
        assert_eq!(codes(&filled(3)), [0, 1, 2]);
        assert_eq!((codes(&filled(4)), filled(4).lost()), (Vec::from([0, 1, 2, 3]), 0));
        assert_eq!((codes(&filled(11)), filled(11).lost()), (Vec::from([7, 8, 9, 10]), 7));
    }

    #[test]
    fn what_was_cleared_is_not_lost() {
        let mut ring = filled(4);
        ring.clear(1);
        assert_eq!(codes(&ring), [2, 3]);
        ring.push(1004, &record(4));
        ring.push(1005, &record(5));
        assert_eq!((codes(&ring), ring.lost()), (Vec::from([2, 3, 4, 5]), 0));
        ring.clear(100);
        assert_eq!(codes(&ring), []);
        assert_eq!(ring.next_number(), 6);
    }

    #[test]
    fn memory_that_survives_a_reset_is_read_again() {
        for count in 0..12 {
            let ring = filled(count);
            let before = codes(&ring);
            let recovered = Ring::recover(ring.memory);
            assert_eq!(codes(&recovered), before);
            assert_eq!(recovered.next_number(), u64::from(count));
        }
    }

    #[test]
    fn a_torn_entry_is_left_out_and_the_others_stay() {
        for torn in 0..Entry::SIZE {
            let mut ring = filled(6);
            // Record 5 stands in the second place.
            ring.memory[Entry::SIZE + torn] ^= 1;
            let mut recovered = Ring::recover(ring.memory);
            assert_eq!(codes(&recovered), [2, 3, 4]);
            // Its number is given again: it never was a whole record.
            assert_eq!(recovered.next_number(), 5);
            recovered.push(1005, &record(5));
            assert_eq!(codes(&recovered), [2, 3, 4, 5]);
        }
    }

    #[test]
    fn arbitrary_memory_is_an_empty_ring() {
        for byte in [0x00, 0xFF, 0x5A] {
            let ring = Ring::recover(std::vec![byte; 5 * Entry::SIZE]);
            assert_eq!((codes(&ring), ring.lost()), (Vec::new(), 0));
        }
    }

    #[test]
    fn no_memory_loses_everything_and_says_so() {
        let mut ring = Ring::new([0; Entry::SIZE - 1]);
        ring.push(0, &record(0));
        ring.push(0, &record(1));
        assert_eq!((ring.iter().count(), ring.lost(), ring.capacity()), (0, 2, 0));
    }
}
