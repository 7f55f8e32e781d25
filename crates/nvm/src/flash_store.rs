//! The layout with a directory and a data area (document 02, §3).
//!
//! A partition begins with three state words, then come the directory's entries, then the data. Every word and every
//! entry is written once; what is written last (the *count* word of an entry or of a partition) makes it valid. An
//! object is replaced by a newer entry further down the directory. Compaction copies what is alive to the other
//! partition and makes that one valid.

use crate::checksum::Checksum;
use crate::medium::{CHUNK, Medium, Piece, Side, is_between, is_filled, newer, to_u32, to_usize};
use crate::object_store::{Attributes, Available, ObjectStore};
use crate::{Error, Flash, Geometry, MountError, Unusable, record};
use casemate_protocol::{Metadata, ObjectId};
use core::ops::ControlFlow;

/// Bytes in a unit: a state word, and the granularity of data.
const UNIT: u32 = 8;
const WORD: usize = 8;
/// Units in the partition's state.
const STATE_UNITS: u32 = 3;
/// Units in a directory entry.
const ENTRY_UNITS: u32 = 7;
/// Bytes in a directory entry.
const ENTRY: usize = 56;
/// Upper half of every state word that carries no checksum.
const MAGIC: u32 = 0x1234_5678;

/// How to mount a [`FlashStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FlashOptions {
    /// Size of one partition in bytes; half the flash's capacity if not given.
    pub partition_size: Option<u32>,
    /// Whether entries carry checksums of metadata and data (document 02, §3.9). Has to match the image.
    pub checksums: bool,
}

impl FlashOptions {
    /// Half the flash for each partition, no checksums.
    pub const fn new() -> Self {
        Self { partition_size: None, checksums: false }
    }

    /// The same, with partitions of `size` bytes.
    #[must_use]
    pub const fn with_partition_size(mut self, size: u32) -> Self {
        self.partition_size = Some(size);
        self
    }

    /// The same, with or without checksums.
    #[must_use]
    pub const fn with_checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }
}

/// What a [`FlashStore`] remembers of one directory entry: 6 bytes. The rest of it is read from flash when it is wanted.
///
/// Its identifier is [`ObjectId::INVALID`] unless the entry holds an object that can be found: entries that are unused, or were
/// cut short, replaced or damaged do not.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectoryEntry(Attributes);

impl DirectoryEntry {
    /// An unused entry, to fill arrays with.
    pub const EMPTY: Self =
        Self(Attributes { id: ObjectId::INVALID, flags: casemate_protocol::Flags::NONE, length: 0 });

    /// The object, if the entry holds one.
    const fn object(&self) -> Option<Attributes> {
        let Self(attributes) = *self;
        if attributes.id.0 == ObjectId::INVALID.0 { None } else { Some(attributes) }
    }
}

/// A directory entry as it stands in flash. Read to where it is wanted: by value it would be copied on every way up.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    metadata: Metadata,
    /// Version of the object: 0 when new, one more with every replacement.
    epoch: u32,
    /// Where its data begin, in units from the start of the data area.
    start: u32,
    /// Checksum of the data, if the image has checksums.
    checksum: u16,
}

impl Entry {
    /// Units that the data take.
    const fn units(&self) -> u32 {
        units(self.metadata.length)
    }
}

/// Units that `length` bytes take.
#[allow(clippy::cast_possible_truncation)] // Widens.
const fn units(length: u16) -> u32 {
    (length as u32).div_ceil(UNIT)
}

/// The sizes of a partition.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Units in a partition.
    units: u32,
    /// Entries in the directory.
    entries: u32,
    /// Unit at which the data area begins.
    data: u32,
}

impl Shape {
    /// Units in the data area.
    const fn data_units(&self) -> u32 {
        self.units.saturating_sub(self.data)
    }

    /// Byte offset of an entry. There are at most 65535, so that nothing wraps.
    const fn entry(index: u32) -> u32 {
        index.wrapping_mul(ENTRY_UNITS).wrapping_add(STATE_UNITS).wrapping_mul(UNIT)
    }

    /// Byte offset of a unit of the data area, which ends before 2^32 bytes.
    const fn data_offset(&self, unit: u32) -> u32 {
        self.data.wrapping_add(unit).wrapping_mul(UNIT)
    }
}

/// A state word: value, then the upper half.
fn word(value: u32, upper: u32) -> [u8; WORD] {
    (u64::from(upper) << 32 | u64::from(value)).to_le_bytes()
}

/// Upper half of a word with a checksum.
fn upper_with(checksum: u16) -> u32 {
    MAGIC & 0xFFFF_0000 | u32::from(checksum)
}

/// A state word as read.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    blank: bool,
    value: u32,
    upper: u32,
}

impl Word {
    fn new(bytes: [u8; WORD], erased_byte: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        let (value, upper) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let erased = u32::from_le_bytes([erased_byte; 4]);
        Self { blank: value == erased && upper == erased, value, upper }
    }

    /// The value, if the word was written completely. The highest byte is the last to be written.
    fn complete(self) -> Option<u32> {
        (!self.blank && self.upper == MAGIC).then_some(self.value)
    }

    /// The same for a word that may carry a checksum.
    fn complete_or_checksum(self) -> Option<u32> {
        (!self.blank && self.upper >> 16 == MAGIC >> 16).then_some(self.value)
    }

    /// The checksum that the word carries, if it carries one.
    fn checksum(self) -> u16 {
        let [a, b, ..] = self.upper.to_le_bytes();
        u16::from_le_bytes([a, b])
    }
}

/// The state of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All three words are blank.
    Blank,
    /// All three words are complete and fit this store.
    Valid { epoch: u32 },
    /// Complete, but made for another store.
    Mismatch(Unusable),
    /// Begun like a partition, but not complete.
    Begun,
    /// Neither.
    Foreign,
}

/// What a directory entry was found to be in flash.
#[derive(Debug, Clone, Copy)]
struct Found {
    kind: Kind,
    /// First unit behind the data that it reserved; 0 if that is not known.
    end: u32,
}

/// What is to be thought of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Entirely blank.
    Free,
    /// Complete.
    Live,
    /// The power failed, or the flash, before the entry was complete.
    Unfinished,
    /// The first word is blank, but others are not, and the last one is: an unfinished entry of which the flash kept
    /// the later writes only. Readers of this layout take such an entry for the end of the directory.
    Disordered,
    /// All words are there, but they or the checksum are wrong.
    Damaged,
    /// Damaged in just the way of an entry without checksums.
    Unchecked,
    /// Every byte is what other flash erases to.
    OtherErased,
}

/// An object store with a directory and data in flash, and in RAM what a search of the directory needs.
///
/// `F` is the flash; its units of programming and reading have to divide 8 bytes. `D` is the storage of that part
/// of the directory, `[DirectoryEntry; 32]` or a vector, for instance; its length is the number of entries in an image and
/// has to match images that already exist. A partition takes `24 + 56 * entries` bytes plus the objects' data, each
/// rounded up to 8 bytes.
///
/// An entry that a power failure or a flash error left incomplete is skipped until the next compaction.
#[derive(Debug)]
pub struct FlashStore<F, D> {
    medium: Medium<F>,
    directory: D,
    shape: Shape,
    checksums: bool,
    active: Side,
    epoch: u32,
    /// Values of the active partition's start and count words, which a compaction copies.
    state: (u32, u32),
    /// First entry that can be written; the number of entries if none can.
    next_entry: u32,
    /// First unit of the data area that can be written.
    next_unit: u32,
    /// Whether the inactive partition was found blank and not written since: looking through it again takes as long as
    /// all the rest of a compaction. Each piece of it is still looked at when it is programmed.
    spare_is_blank: bool,
    failed: bool,
}

impl<F: Flash, D: AsRef<[DirectoryEntry]> + AsMut<[DirectoryEntry]>> FlashStore<F, D> {
    /// Mounts the store that the flash holds. Blank flash (both partitions, entirely) becomes an empty store.
    ///
    /// Interrupted operations are cleaned up: an inactive partition is erased, and a directory that cannot take
    /// entries because of an interrupted write is compacted.
    ///
    /// # Errors
    /// [`MountError::Geometry`] if flash, directory and layout do not fit each other; [`MountError::Unusable`] if the flash
    /// holds something else or a damaged store, and then nothing has been written; the flash's errors.
    pub fn mount(flash: F, directory: D, options: FlashOptions) -> Result<Self, MountError<F::Error>> {
        let mut store = Self::prepare(flash, directory, options)?;
        let first = store.partition_state(Side::First)?;
        let second = store.partition_state(Side::Second)?;
        let (side, epoch) = match (first, second) {
            (State::Valid { epoch: first }, State::Valid { epoch: second }) => {
                let erased = store.medium.flash.erased_byte();
                let side = newer(first, second, erased, Side::First);
                // Only the older partition is ever erased while both are valid.
                let side = if store.is_damaged(side)? && !store.is_damaged(side.other())? {
                    side.other()
                } else {
                    side
                };
                (side, if side == Side::First { first } else { second })
            }
            (State::Valid { epoch }, _) => (Side::First, epoch),
            (_, State::Valid { epoch }) => (Side::Second, epoch),
            _ if store.may_format()? => {
                store.medium.unlock()?;
                store.medium.clear(Side::First)?;
                store.initialize()?;
                store.spare_is_blank = true;
                return Ok(store);
            }
            (State::Mismatch(unusable), _) | (_, State::Mismatch(unusable)) => {
                return Err(MountError::Unusable(unusable));
            }
            (State::Begun, _) | (_, State::Begun) => return Err(MountError::Unusable(Unusable::Corrupt)),
            _ => return Err(MountError::Unusable(Unusable::Foreign)),
        };
        store.active = side;
        store.epoch = epoch;
        let disordered = store.load()?;
        store.medium.unlock()?;
        store.medium.clear(side.other())?;
        store.spare_is_blank = true;
        if disordered {
            match store.compact(&[]) {
                // An object that cannot be copied: nothing can be added until it is destroyed.
                Err(Error::NotVerified) => store.medium.clear(side.other())?,
                result => result?,
            }
        }
        Ok(store)
    }

    /// Erases both partitions, whatever they hold, and mounts the empty store.
    ///
    /// # Errors
    /// [`MountError::Geometry`]; the flash's errors.
    pub fn format(flash: F, directory: D, options: FlashOptions) -> Result<Self, MountError<F::Error>> {
        let mut store = Self::prepare(flash, directory, options)?;
        store.medium.unlock()?;
        store.medium.clear(Side::First)?;
        store.medium.clear(Side::Second)?;
        store.initialize()?;
        store.spare_is_blank = true;
        Ok(store)
    }

    /// Locks the flash and gives it back.
    ///
    /// # Errors
    /// The flash's.
    pub fn unmount(mut self) -> Result<F, Error<F::Error>> {
        self.medium.lock()?;
        Ok(self.medium.flash)
    }

    /// The flash.
    pub const fn flash(&self) -> &F {
        &self.medium.flash
    }

    fn prepare(flash: F, mut directory: D, options: FlashOptions) -> Result<Self, MountError<F::Error>> {
        let medium = Medium::new(flash, options.partition_size, WORD)?;
        let entries = directory.as_ref().len();
        let entries = match u16::try_from(entries) {
            Ok(entries) if entries > 0 => u32::from(entries),
            _ => return Err(MountError::Geometry(Geometry::Directory { entries })),
        };
        let data = entries.wrapping_mul(ENTRY_UNITS).wrapping_add(STATE_UNITS);
        let shape = Shape { units: medium.partition_size() >> 3, entries, data };
        if shape.units < data {
            return Err(MountError::Geometry(Geometry::Partition {
                partition: medium.partition_size(),
                minimum: data.wrapping_mul(UNIT),
            }));
        }
        directory.as_mut().fill(DirectoryEntry::EMPTY);
        Ok(Self {
            medium,
            directory,
            shape,
            checksums: options.checksums,
            active: Side::First,
            epoch: 0,
            state: (shape.data, shape.units),
            next_entry: 0,
            next_unit: 0,
            spare_is_blank: false,
            failed: false,
        })
    }

    /// Makes the blank first partition an empty store.
    fn initialize(&mut self) -> Result<(), Error<F::Error>> {
        self.active = Side::First;
        self.epoch = 0;
        let (start, count) = self.state;
        self.write_word(Side::First, 0, 0, MAGIC)?;
        self.write_word(Side::First, 8, start, MAGIC)?;
        self.medium.commit()?;
        self.write_word(Side::First, 16, count, MAGIC)?;
        self.medium.commit()
    }

    /// Reads the state words of a partition to their place.
    fn read_words(&mut self, side: Side, words: &mut [Word; 3]) -> Result<(), Error<F::Error>> {
        let erased = self.medium.flash.erased_byte();
        for (word, offset) in words.iter_mut().zip([0, 8, 16]) {
            let mut bytes = [0; WORD];
            self.medium.read(side, offset, &mut bytes)?;
            *word = Word::new(bytes, erased);
        }
        Ok(())
    }

    fn partition_state(&mut self, side: Side) -> Result<State, Error<F::Error>> {
        let mut words = [Word::default(); 3];
        self.read_words(side, &mut words)?;
        let [epoch, start, count] = words;
        if epoch.blank && start.blank && count.blank {
            return Ok(State::Blank);
        }
        let Some(epoch) = epoch.complete() else { return Ok(State::Foreign) };
        let (Some(start), Some(count)) = (start.complete(), count.complete()) else {
            return Ok(State::Begun);
        };
        if start != self.shape.data {
            let entries = start.saturating_sub(STATE_UNITS);
            return Ok(match (entries.checked_div(ENTRY_UNITS), entries.checked_rem(ENTRY_UNITS)) {
                (Some(image @ 1..), Some(0)) => {
                    State::Mismatch(Unusable::DirectorySize { image, store: self.shape.entries })
                }
                _ => State::Begun,
            });
        }
        // Images made for smaller partitions are accepted, as the original does.
        if count < start {
            return Ok(State::Begun);
        }
        if count > self.shape.units {
            return Ok(State::Mismatch(Unusable::PartitionSize {
                image: count.saturating_mul(UNIT),
                store: self.medium.partition_size(),
            }));
        }
        Ok(State::Valid { epoch })
    }

    /// Whether nothing can be lost by formatting: all is blank, but perhaps for the first partition's state, of which
    /// an interrupted formatting may have written a part.
    fn may_format(&mut self) -> Result<bool, Error<F::Error>> {
        let erased = self.medium.flash.erased_byte();
        let (start, count) = self.state;
        for (offset, value) in [(0, 0), (8, start), (16, count)] {
            let mut bytes = [0; WORD];
            self.medium.read(Side::First, offset, &mut bytes)?;
            let mut pairs = bytes.iter().zip(word(value, MAGIC));
            if !pairs.all(|(&byte, formatted)| is_between(byte, erased, formatted)) {
                return Ok(false);
            }
        }
        let rest = self.medium.partition_size().saturating_sub(24);
        Ok(self.medium.is_blank(Side::First, 24, rest)? && self.medium.is_partition_blank(Side::Second)?)
    }

    /// Reads one directory entry and judges it. None of what `entry` says then is to be trusted unless it is live.
    fn find(&mut self, side: Side, index: u32, entry: &mut Entry) -> Result<Found, Error<F::Error>> {
        let mut bytes = [0; ENTRY];
        self.medium.read(side, Shape::entry(index), &mut bytes)?;
        let erased = self.medium.flash.erased_byte();
        let filled = |value| is_filled(&bytes, value);
        let (words, _) = bytes.as_chunks();
        let (Some(&[epoch, start, count]), Some(record)) = (words.first_chunk(), bytes.last_chunk()) else {
            return Err(Error::Failed);
        };
        let (epoch, start) = (Word::new(epoch, erased), Word::new(start, erased));
        let count = Word::new(count, erased);
        *entry = Entry {
            metadata: record::decode(record),
            epoch: epoch.value,
            start: start.value,
            checksum: if self.checksums { count.checksum() } else { 0 },
        };
        let units = entry.units();

        let metadata_matches = !self.checksums || start.checksum() == Checksum::of(record);
        // Where the data end, if the start is to be trusted.
        let end = start
            .complete_or_checksum()
            .filter(|_| metadata_matches)
            .and_then(|start| start.checked_add(units).filter(|&end| end <= self.shape.data_units()));
        let is_complete = epoch.complete().is_some()
            && count.complete_or_checksum() == Some(units)
            && entry.metadata.id != ObjectId::INVALID;
        let kind = if is_complete && end.is_some() {
            // First: most are, and no byte that fills an entry makes it complete.
            Kind::Live
        } else if filled(erased) {
            Kind::Free
        } else if filled(0x00) || filled(0xFF) {
            Kind::OtherErased
        } else if count.blank && epoch.blank {
            Kind::Disordered
        } else if count.blank {
            Kind::Unfinished
        } else if start.complete().is_some() && count.complete() == Some(units) {
            Kind::Unchecked
        } else {
            Kind::Damaged
        };
        Ok(Found { kind, end: end.unwrap_or(0) })
    }

    /// Whether a partition has scars that no interrupted addition leaves: entries that are wrong, or blank, before
    /// the last one.
    fn is_damaged(&mut self, side: Side) -> Result<bool, Error<F::Error>> {
        let mut suspicious = false;
        for index in 0..self.shape.entries {
            let wrong = match self.find(side, index, &mut Entry::default())?.kind {
                Kind::Live | Kind::Unfinished => false,
                Kind::Free => {
                    suspicious = true;
                    continue;
                }
                _ => true,
            };
            if suspicious {
                return Ok(true);
            }
            suspicious = wrong;
        }
        Ok(false)
    }

    /// Reads the active partition's directory into RAM. Returns whether entries cannot be added because of an
    /// interrupted one.
    fn load(&mut self) -> Result<bool, MountError<F::Error>> {
        let mut words = [Word::default(); 3];
        self.read_words(self.active, &mut words)?;
        let [_, start, count] = words;
        self.state = (start.value, count.value);
        self.directory.as_mut().fill(DirectoryEntry::EMPTY);
        self.next_unit = 0;
        // The first blank entry, and the one behind the last that is not.
        let mut free = None;
        let mut behind = 0;
        let mut disordered = false;
        let mut damaged_behind = false;
        let mut verified = false;
        let mut unchecked = false;
        for index in 0..self.shape.entries {
            let mut entry = Entry::default();
            let Found { kind, end } = self.find(self.active, index, &mut entry)?;
            match kind {
                Kind::Free => {
                    free = free.or(Some(index));
                    continue;
                }
                Kind::OtherErased => return Err(MountError::Unusable(Unusable::ErasedByte)),
                Kind::Live => verified = true,
                Kind::Unchecked => unchecked = true,
                _ => {}
            }
            // Behind a blank entry nothing was ever written in order: neither is such an entry an object.
            if kind == Kind::Disordered || free.is_some() {
                disordered = true;
                damaged_behind |= matches!(kind, Kind::Live | Kind::Damaged | Kind::Unchecked);
                free = free.or(Some(index));
            } else if kind == Kind::Live {
                self.insert(index, &entry.metadata);
            }
            behind = index.wrapping_add(1);
            self.next_unit = self.next_unit.max(end);
        }
        if self.checksums && unchecked && !verified {
            return Err(MountError::Unusable(Unusable::NoChecksums));
        }
        // Other readers stop at the first blank entry, so nothing may be added behind one.
        self.next_entry = match free {
            Some(free) if free < behind => self.shape.entries,
            _ => behind,
        };
        let offset = self.shape.data_offset(self.next_unit);
        if let Some(end) = self.medium.last_used(self.active, offset, UNIT)? {
            let units = end.checked_div(UNIT).unwrap_or_default();
            self.next_unit = units.saturating_sub(self.shape.data);
        }
        Ok(disordered && !damaged_behind)
    }

    /// Takes the entry behind all others into the directory in RAM; an older version of the object goes out.
    #[inline(never)]
    fn insert(&mut self, index: u32, metadata: &Metadata) {
        self.next_entry = index;
        let old = self.object(metadata.id).map(|(old, _)| old);
        let directory = self.directory.as_mut();
        if let Some(old) = old.ok().and_then(|old| directory.get_mut(to_usize(old))) {
            *old = DirectoryEntry::EMPTY;
        }
        if let Some(slot) = directory.get_mut(to_usize(index)) {
            *slot = DirectoryEntry(metadata.into());
        }
        self.next_entry = index.wrapping_add(1);
    }

    /// The objects, with the numbers of their entries.
    fn objects(&self) -> impl Iterator<Item = (u32, Attributes)> {
        (0..).zip(self.directory.as_ref()).filter_map(|(index, entry)| Some((index, entry.object()?)))
    }

    /// The entry of an object, and what is known of it. Not inlined: nearly every operation begins with it.
    #[inline(never)]
    fn object(&self, id: ObjectId) -> Result<(u32, Attributes), Error<F::Error>> {
        // Entries that are still to be written hold none.
        let mut written = (0..self.next_entry).zip(self.directory.as_ref());
        let found = written.find(|(_, entry)| entry.0.id == id).filter(|_| id != ObjectId::INVALID);
        found.map(|(index, entry)| (index, entry.0)).ok_or(Error::NotFound)
    }

    /// Reads the entry of an object that the directory in RAM knows.
    fn read_entry(
        &mut self,
        index: u32,
        known: Attributes,
        entry: &mut Entry,
    ) -> Result<(), Error<F::Error>> {
        let kind = self.find(self.active, index, entry)?.kind;
        // It was complete when it was mounted, or when it was written.
        let is_known = kind == Kind::Live && known == Attributes::from(&entry.metadata);
        if is_known { Ok(()) } else { Err(Error::NotVerified) }
    }

    const fn usable(&self) -> Result<(), Error<F::Error>> {
        if self.failed { Err(Error::Failed) } else { Ok(()) }
    }

    #[inline(never)]
    fn write_word(&mut self, side: Side, offset: u32, value: u32, upper: u32) -> Result<(), Error<F::Error>> {
        self.medium.program(side, offset, &word(value, upper))
    }

    /// Writes what comes before the data of an entry.
    fn begin_entry(&mut self, side: Side, index: u32, entry: &Entry) -> Result<(), Error<F::Error>> {
        let offset = Shape::entry(index);
        let record = record::encode(&entry.metadata);
        let upper = if self.checksums { upper_with(Checksum::of(&record)) } else { MAGIC };
        self.write_word(side, offset, entry.epoch, MAGIC)?;
        self.medium.program(side, offset.wrapping_add(24), &record)?;
        self.write_word(side, offset.wrapping_add(8), entry.start, upper)
    }

    /// Writes the word that makes an entry valid.
    fn finish_entry(&mut self, side: Side, index: u32, entry: &Entry) -> Result<(), Error<F::Error>> {
        let upper = if self.checksums { upper_with(entry.checksum) } else { MAGIC };
        self.write_word(side, Shape::entry(index).wrapping_add(16), entry.units(), upper)
    }

    /// Writes data: whole units first, then the last one padded with zeros.
    fn write_data(&mut self, side: Side, unit: u32, data: &[u8]) -> Result<(), Error<F::Error>> {
        let offset = self.shape.data_offset(unit);
        let (whole, tail) = data.split_at_checked(data.len() & !7).unwrap_or_default();
        if !whole.is_empty() {
            self.medium.program(side, offset, whole)?;
        }
        if !tail.is_empty() {
            let mut last = Piece::<WORD>::new();
            last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
            self.medium.program(side, offset.wrapping_add(to_u32(whole.len())), &last)?;
        }
        Ok(())
    }

    fn write_object(&mut self, index: u32, entry: &Entry, data: &[u8]) -> Result<(), Error<F::Error>> {
        self.begin_entry(self.active, index, entry)?;
        self.write_data(self.active, entry.start, data)?;
        self.medium.commit()?;
        self.finish_entry(self.active, index, entry)?;
        self.medium.commit()
    }

    /// Brings RAM in line with flash after writing an entry failed.
    fn after_failed_write(&mut self, index: u32, entry: &Entry) {
        let mut found_entry = Entry::default();
        let Ok(found) = self.find(self.active, index, &mut found_entry) else {
            self.failed = true;
            return;
        };
        match found.kind {
            Kind::Free => return,
            Kind::Disordered => {
                self.next_entry = self.shape.entries;
                return;
            }
            Kind::Live => {
                self.insert(index, &found_entry.metadata);
                self.next_unit = found.end;
            }
            _ => {
                let offset = self.shape.data_offset(entry.start);
                let size = entry.units().wrapping_mul(UNIT);
                match self.medium.is_blank(self.active, offset, size) {
                    Ok(true) => {}
                    Ok(false) => self.next_unit = entry.start.wrapping_add(entry.units()),
                    Err(_) => self.failed = true,
                }
            }
        }
        self.next_entry = index.wrapping_add(1);
    }

    /// Copies the object of an entry of the active partition to the other one: to an entry and a unit of that. The first
    /// unit behind it.
    fn copy(&mut self, from: u32, known: Attributes, to: u32, start: u32) -> Result<u32, Error<F::Error>> {
        let mut entry = Entry::default();
        self.read_entry(from, known, &mut entry)?;
        let from = core::mem::replace(&mut entry.start, start);
        let side = self.active.other();
        self.begin_entry(side, to, &entry)?;
        let mut buffer = Piece::<CHUNK>::new();
        let mut rest = usize::from(entry.metadata.length);
        let mut moved = 0_u32;
        let mut checksum = Checksum::new();
        while rest > 0 {
            let size = rest.min(CHUNK);
            let piece = buffer.get_mut(..size.next_multiple_of(WORD)).unwrap_or_default();
            let offset = self.shape.data_offset(from.wrapping_add(moved));
            self.medium.read(self.active, offset, piece)?;
            let piece = buffer.get(..size).unwrap_or_default();
            checksum = checksum.with(piece);
            self.write_data(side, start.wrapping_add(moved), piece)?;
            rest = rest.wrapping_sub(size);
            moved = moved.wrapping_add(to_u32(CHUNK >> 3));
        }
        if self.checksums && checksum.get() != entry.checksum {
            return Err(Error::NotVerified);
        }
        self.finish_entry(side, to, &entry)?;
        Ok(start.wrapping_add(entry.units()))
    }

    /// Copies everything but `ids` to the other partition and makes that one active.
    fn compact(&mut self, ids: &[ObjectId]) -> Result<(), Error<F::Error>> {
        let side = self.active.other();
        let epoch = self.epoch.wrapping_add(1);
        let (start, count) = self.state;
        if !self.spare_is_blank {
            self.medium.clear(side)?;
        }
        self.spare_is_blank = false;
        self.write_word(side, 0, epoch, MAGIC)?;
        self.write_word(side, 8, start, MAGIC)?;
        let mut kept = 0_u32;
        let mut unit = 0_u32;
        let mut index = 0_u32;
        while let Some(entry) = self.directory.as_ref().get(to_usize(index)) {
            if let Some(object) = entry.object().filter(|object| !ids.contains(&object.id)) {
                unit = self.copy(index, object, kept, unit)?;
                kept = kept.wrapping_add(1);
            }
            index = index.wrapping_add(1);
        }
        self.medium.commit()?;

        let committed = self.write_word(side, 16, count, MAGIC).and_then(|()| self.medium.commit());
        if let Err(error) = committed {
            // The partition may be valid, and would win. It must not, unless it is used from now on.
            self.spare_is_blank = self.medium.erase(side).is_ok();
            self.failed = !self.spare_is_blank;
            return Err(error);
        }

        let directory = self.directory.as_mut();
        let mut next = 0_usize;
        for index in 0..directory.len() {
            let entry = directory.get_mut(index).map(core::mem::take).unwrap_or_default();
            if entry.object().is_some_and(|object| !ids.contains(&object.id)) {
                if let Some(slot) = directory.get_mut(next) {
                    *slot = entry;
                }
                next = next.wrapping_add(1);
            }
        }
        self.next_entry = kept;
        self.next_unit = unit;
        self.active = side;
        self.epoch = epoch;
        self.medium.erase(side.other())?;
        self.spare_is_blank = true;
        Ok(())
    }

    /// Reads from a byte of the data area on.
    fn read_data(&mut self, offset: u32, out: &mut [u8]) -> Result<(), Error<F::Error>> {
        if F::READ_SIZE == 1 {
            return self.medium.read(self.active, offset, out);
        }
        let mut buffer = Piece::<CHUNK>::new();
        let mut aligned = offset & !7;
        let mut skip = to_usize(offset & 7);
        let mut out = out;
        while !out.is_empty() {
            let size = skip.saturating_add(out.len()).min(CHUNK);
            let piece = buffer.get_mut(..size.next_multiple_of(WORD)).unwrap_or_default();
            self.medium.read(self.active, aligned, piece)?;
            let piece = piece.get(skip..size).unwrap_or_default();
            let (head, rest) = out.split_at_mut_checked(piece.len()).unwrap_or_default();
            head.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            out = rest;
            skip = 0;
            aligned = aligned.wrapping_add(to_u32(CHUNK));
        }
        Ok(())
    }

    fn read_object(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<F::Error>> {
        self.usable()?;
        let (index, known) = self.object(id)?;
        let mut entry = Entry::default();
        self.read_entry(index, known, &mut entry)?;
        let length = entry.metadata.length;
        let rest = length.checked_sub(offset).filter(|&rest| rest > 0).ok_or(Error::OutOfRange)?;
        if out.len() > usize::from(rest) {
            return Err(Error::OutOfRange);
        }
        self.read_data(self.shape.data_offset(entry.start).wrapping_add(u32::from(offset)), out)?;
        let whole = offset == 0 && out.len() == usize::from(length);
        if self.checksums && whole && Checksum::of(out) != entry.checksum {
            return Err(Error::NotVerified);
        }
        Ok(())
    }
}

impl<F: Flash, D: AsRef<[DirectoryEntry]> + AsMut<[DirectoryEntry]>> ObjectStore for FlashStore<F, D> {
    type FlashError = F::Error;

    fn available(&self) -> Result<Available, Error<F::Error>> {
        self.usable()?;
        let mut entries = 0_u32;
        let mut used = 0_u32;
        for (_, object) in self.objects() {
            entries = entries.wrapping_add(1);
            used = used.wrapping_add(units(object.length));
        }
        let objects = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        Ok(Available {
            size: self.shape.data_units().saturating_sub(self.next_unit).wrapping_mul(UNIT),
            objects: objects(self.shape.entries.saturating_sub(self.next_entry)),
            reclaimable_size: self.next_unit.saturating_sub(used).wrapping_mul(UNIT),
            reclaimable_objects: objects(self.next_entry.saturating_sub(entries)),
        })
    }

    fn add(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<F::Error>> {
        self.usable()?;
        if metadata.id == ObjectId::INVALID {
            return Err(Error::InvalidId);
        }
        let length = u16::try_from(data.len()).map_err(|_| Error::TooLong)?;
        let end = self.next_unit.wrapping_add(units(length));
        if self.next_entry >= self.shape.entries || end > self.shape.data_units() {
            return Err(Error::NoSpace);
        }
        let mut entry = Entry::default();
        if let Ok((old, known)) = self.object(metadata.id) {
            self.read_entry(old, known, &mut entry)?;
            entry.epoch = entry.epoch.wrapping_add(1);
        }
        entry.metadata = Metadata { length, ..*metadata };
        entry.start = self.next_unit;
        entry.checksum = if self.checksums { Checksum::of(data) } else { 0 };
        let index = self.next_entry;
        if let Err(error) = self.write_object(index, &entry, data) {
            self.after_failed_write(index, &entry);
            return Err(error);
        }
        self.insert(index, &entry.metadata);
        self.next_unit = end;
        Ok(())
    }

    /// As the trait says; in addition, an empty object cannot be read at all, and `offset` has to lie inside the
    /// object even if nothing is read (document 02, §3.7).
    fn read(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<F::Error>> {
        let result = self.read_object(id, offset, out);
        if result.is_err() {
            out.fill(0);
        }
        result
    }

    fn metadata(&mut self, id: ObjectId) -> Result<Metadata, Error<F::Error>> {
        self.usable()?;
        let (index, known) = self.object(id)?;
        let mut entry = Entry::default();
        self.read_entry(index, known, &mut entry)?;
        Ok(entry.metadata)
    }

    fn attributes(&self, id: ObjectId) -> Result<Attributes, Error<F::Error>> {
        self.usable()?;
        Ok(self.object(id)?.1)
    }

    /// As the trait says. The data of destroyed objects are erased from flash before the call returns, and so are
    /// older versions of all objects. An error of that last erasure is returned although the objects are destroyed.
    fn destroy(&mut self, ids: &[ObjectId]) -> Result<(), Error<F::Error>> {
        self.usable()?;
        if !ids.is_empty() && !self.objects().any(|(_, object)| ids.contains(&object.id)) {
            return Ok(());
        }
        self.compact(ids)
    }

    fn visit(&self, visitor: &mut dyn FnMut(Attributes) -> ControlFlow<()>) -> Result<(), Error<F::Error>> {
        self.usable()?;
        for (_, object) in self.objects() {
            if visitor(object).is_break() {
                break;
            }
        }
        Ok(())
    }
}
