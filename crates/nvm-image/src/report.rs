//! What an image holds, down to the entries that a server does not show.
//!
//! This module reads the bytes itself instead of asking a store: a store mends what it can and hides what it
//! cannot. That both agree on what is intact is checked for every report.

use crate::{Error, Format, Layout, Object};
use casemate_nvm::crc16;
use casemate_protocol::{ByteOrder, Field, Metadata, ObjectId, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// Upper half of a state word (document 02, §3.1).
const MAGIC: u32 = 0x1234_5678;
/// Bytes of a partition's state and of a directory entry.
const STATE: usize = 24;
const ENTRY: usize = 56;
/// Bytes of the log layout's header, and its granularity.
const BLOCK: usize = 64;

/// The state of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionState {
    /// Every byte is erased.
    Blank,
    /// Complete. The epoch counts the compactions (with a directory) or the changes (log) before it.
    Valid {
        /// The epoch: of two valid partitions, the higher one counts.
        epoch: u32,
    },
    /// Begun, but not complete: a compaction or a change was interrupted, or its state is damaged.
    Incomplete,
}

impl fmt::Display for PartitionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank"),
            Self::Valid { epoch } => write!(f, "valid, epoch {epoch}"),
            Self::Incomplete => f.write_str("incomplete"),
        }
    }
}

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionReport {
    /// Where it begins in the image, in bytes.
    pub offset: usize,
    /// Its state.
    pub state: PartitionState,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// The object can be read.
    Live,
    /// Intact, but a later entry replaces it. Its data are still there, and go with the next compaction.
    Replaced,
    /// The power failed before it was complete.
    Unfinished,
    /// The record is right, but the data do not match their checksum: a server finds the object and refuses to read it.
    Unreadable,
    /// Wrong, for this reason; no server takes it for an object.
    Damaged(String),
    /// Behind the end of the directory, where no server looks for objects.
    Stray,
}

impl fmt::Display for EntryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::Replaced => f.write_str("replaced"),
            Self::Unfinished => f.write_str("unfinished"),
            Self::Unreadable => f.write_str("unreadable: the data do not match their checksum"),
            Self::Damaged(reason) => write!(f, "damaged: {reason}"),
            Self::Stray => f.write_str("behind the end"),
        }
    }
}

/// One entry of the examined partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryReport {
    /// Its place in the directory, or among the objects of the log.
    pub index: usize,
    /// Where it begins in the image, in bytes.
    pub offset: usize,
    /// How often the object had been replaced when the entry was written; 0 in the log layout.
    pub version: u32,
    /// Its record, as far as it is written.
    pub metadata: Metadata,
    /// Where its data are in the image; empty if there are none, or if that is not known.
    pub data: Range<usize>,
    /// What became of it.
    pub state: EntryState,
}

/// Room in the examined partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes free for data.
    pub free_bytes: usize,
    /// Objects that still fit; `None` where only the server's configuration says so.
    pub free_objects: Option<usize>,
    /// Bytes that a compaction would free.
    pub reclaimable_bytes: usize,
    /// Entries that a compaction would free.
    pub reclaimable_objects: usize,
}

/// What an image holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Layout and sizes.
    pub format: Format,
    /// The partitions.
    pub partitions: [PartitionReport; 2],
    /// The partition that a server would use: 0 or 1. `None` if neither is valid.
    pub active: Option<usize>,
    /// The partition whose entries these are: the active one, or without one that with the most intact objects.
    pub examined: usize,
    /// Its entries that are not blank.
    pub entries: Vec<EntryReport>,
    /// Its room.
    pub space: Space,
    /// What is wrong with the image. Empty for an image that is sound.
    pub problems: Vec<String>,
    /// What is worth knowing, and harmless: traces of interrupted operations that a server cleans up.
    pub notes: Vec<String>,
}

/// What [`Report::repair`] could save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The new image, with every intact object once.
    pub image: Zeroizing<Vec<u8>>,
    /// The objects in it.
    pub kept: Vec<ObjectId>,
    /// Those of them of which only an older version was intact.
    pub older: Vec<ObjectId>,
    /// The objects of which nothing intact was found, as far as their identifiers can be read.
    pub lost: Vec<ObjectId>,
}

/// A state word as found.
#[derive(Clone, Copy)]
struct Word {
    blank: bool,
    value: u32,
    upper: u32,
}

impl Word {
    fn carries(&self, checksum: u16) -> bool {
        self.upper & 0xFFFF == u32::from(checksum)
    }
}

fn word(image: &[u8], offset: usize, erased: u8) -> Word {
    let bytes: [u8; 8] = slice(image, offset, 8).try_into().unwrap_or([erased; 8]);
    let [a, b, c, d, e, f, g, h] = bytes;
    Word {
        blank: bytes == [erased; 8],
        value: u32::from_le_bytes([a, b, c, d]),
        upper: u32::from_le_bytes([e, f, g, h]),
    }
}

/// The bytes of a range, or none if it does not lie inside the image.
fn slice(image: &[u8], offset: usize, length: usize) -> &[u8] {
    offset.checked_add(length).and_then(|end| image.get(offset..end)).unwrap_or_default()
}

fn is_blank(bytes: &[u8], erased: u8) -> bool {
    bytes.iter().all(|&byte| byte == erased)
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Format {
    /// The format of an image, worked out from its bytes. The number of objects of a log image is not in it: 32 is
    /// assumed.
    ///
    /// # Errors
    /// [`Error::Image`] if the image is blank, or looks like neither layout.
    pub fn detect(image: &[u8]) -> Result<Self, Error> {
        let half = image.len() / 2;
        let partition_size = u32::try_from(half)
            .ok()
            .filter(|&size| size <= Self::MAX_PARTITION && image.len().is_multiple_of(2) && size > 0)
            .ok_or_else(|| {
                Error::Image(format!(
                    "{} bytes are no image: an image is two partitions of equal size",
                    image.len()
                ))
            })?;
        if let Some(first) = image.first().filter(|&&first| is_blank(image, first)) {
            return Err(Error::Image(format!(
                "every byte is {first:#04x}: blank, or no image. To treat it as blank flash, name layout and sizes"
            )));
        }
        let ones = image.iter().filter(|&&byte| byte == 0xFF).count();
        let zeros = image.iter().filter(|&&byte| byte == 0).count();
        let erased_byte = if ones >= zeros { 0xFF } else { 0 };
        for offset in [0, half] {
            let format = Self::detect_flash(image, offset, partition_size, erased_byte);
            if let Some(format) = format {
                return Ok(format);
            }
        }
        let log = Self { layout: Layout::Log { objects: 32 }, partition_size, erased_byte };
        if half.is_multiple_of(BLOCK) {
            for offset in [0, half] {
                if matches!(log.partition(image, offset), PartitionState::Valid { .. }) {
                    return Ok(log);
                }
            }
        }
        Err(Error::Image(
            "neither layout is recognized in the bytes. If they are an image, name layout and sizes"
                .to_owned(),
        ))
    }

    fn detect_flash(image: &[u8], offset: usize, partition_size: u32, erased_byte: u8) -> Option<Self> {
        let at = |place: usize| word(image, offset.saturating_add(place), erased_byte);
        let (epoch, start, count) = (at(0), at(8), at(16));
        let begun = !epoch.blank && epoch.upper == MAGIC && start.upper == MAGIC;
        if !begun || (!count.blank && count.upper != MAGIC) {
            return None;
        }
        let directory = start.value.checked_sub(3)?;
        let entries = u16::try_from(directory / 7).ok()?;
        if !directory.is_multiple_of(7) || entries == 0 || start.value > partition_size / 8 {
            return None;
        }
        let checksums = (0..usize::from(entries)).any(|index| {
            let entry = STATE.saturating_add(index.saturating_mul(ENTRY));
            let start = at(entry.saturating_add(8));
            !start.blank && start.upper >> 16 == MAGIC >> 16 && start.upper != MAGIC
        });
        Some(Self { layout: Layout::Flash { entries, checksums }, partition_size, erased_byte })
    }

    fn partition(&self, image: &[u8], offset: usize) -> PartitionState {
        let bytes = slice(image, offset, usize_of(self.partition_size));
        let erased = self.erased_byte;
        if is_blank(bytes, erased) {
            return PartitionState::Blank;
        }
        match self.layout {
            Layout::Flash { entries, .. } => {
                let (epoch, start, count) =
                    (word(bytes, 0, erased), word(bytes, 8, erased), word(bytes, 16, erased));
                let written = [epoch, start, count].iter().all(|word| !word.blank && word.upper == MAGIC);
                let directory = u32::from(entries).saturating_mul(7).saturating_add(3);
                let fits = start.value == directory && count.value == self.partition_size / 8;
                if written && fits {
                    PartitionState::Valid { epoch: epoch.value }
                } else {
                    PartitionState::Incomplete
                }
            }
            Layout::Log { .. } => {
                let header = slice(bytes, 0, BLOCK);
                let head = word(header, 0, erased);
                let size = usize_of(head.upper);
                let sound = !is_blank(header, erased)
                    && is_blank(slice(header, 8, BLOCK.saturating_sub(8)), 0)
                    && size.is_multiple_of(BLOCK)
                    && size <= bytes.len().saturating_sub(BLOCK);
                if sound { PartitionState::Valid { epoch: head.value } } else { PartitionState::Incomplete }
            }
        }
    }

    /// The entries of the partition at `offset`, and its room.
    fn entries(&self, image: &[u8], offset: usize) -> (Vec<EntryReport>, Space) {
        let partition = slice(image, offset, usize_of(self.partition_size));
        match self.layout {
            Layout::Flash { entries, checksums } => {
                directory(partition, offset, usize::from(entries), checksums, self.erased_byte)
            }
            Layout::Log { objects } => log(partition, offset, usize::from(objects)),
        }
    }
}

fn metadata(bytes: &[u8]) -> Metadata {
    Metadata::get(&mut Reader::new(bytes, ByteOrder::Little)).unwrap_or_default()
}

/// The entries of a directory (document 02, §3.1, §3.2).
fn directory(
    partition: &[u8],
    base: usize,
    entries: usize,
    checksums: bool,
    erased: u8,
) -> (Vec<EntryReport>, Space) {
    let data_area = STATE.saturating_add(entries.saturating_mul(ENTRY));
    let data_units = partition.len().saturating_sub(data_area) / 8;
    let mut found: Vec<EntryReport> = Vec::new();
    let mut next_unit = 0_usize;
    let mut next_entry = entries;
    for index in 0..entries {
        let offset = STATE.saturating_add(index.saturating_mul(ENTRY));
        let entry = slice(partition, offset, ENTRY);
        if is_blank(entry, erased) {
            next_entry = next_entry.min(index);
            continue;
        }
        let (epoch, start, count) = (word(entry, 0, erased), word(entry, 8, erased), word(entry, 16, erased));
        let record = slice(entry, STATE, Metadata::SIZE);
        let metadata = metadata(record);
        let units = usize::from(metadata.length).div_ceil(8);
        let first = usize_of(start.value);
        let end = first.saturating_add(units);
        let fits = !start.blank && end <= data_units;
        let data = if fits {
            let from = data_area.saturating_add(first.saturating_mul(8));
            from..from.saturating_add(usize::from(metadata.length))
        } else {
            0..0
        };
        let bytes = partition.get(data.clone()).unwrap_or_default();
        let state = if epoch.blank {
            EntryState::Damaged("its first word is blank, others are not".to_owned())
        } else if start.blank || count.blank {
            EntryState::Unfinished
        } else if let Some(reason) = wrong(&[epoch, start, count], checksums, record) {
            EntryState::Damaged(reason.to_owned())
        } else if metadata.id == ObjectId::INVALID {
            EntryState::Damaged("identifier 0 names no object".to_owned())
        } else if !fits || usize_of(count.value) != units {
            EntryState::Damaged("its data do not lie in the data area, or their size differs".to_owned())
        } else if index > next_entry {
            EntryState::Stray
        } else if checksums && !count.carries(crc16(bytes)) {
            EntryState::Unreadable
        } else {
            EntryState::Live
        };
        if index < next_entry && fits {
            next_unit = next_unit.max(end);
        }
        found.push(EntryReport {
            index,
            offset: base.saturating_add(offset),
            version: epoch.value,
            metadata,
            data: base.saturating_add(data.start)..base.saturating_add(data.end),
            state,
        });
    }
    replace(&mut found);
    let live_units: usize = found
        .iter()
        .filter(|entry| entry.state == EntryState::Live)
        .map(|entry| entry.data.len().div_ceil(8))
        .fold(0, usize::saturating_add);
    let live = found.iter().filter(|entry| entry.state == EntryState::Live).count();
    let space = Space {
        free_bytes: data_units.saturating_sub(next_unit).saturating_mul(8),
        free_objects: Some(entries.saturating_sub(next_entry)),
        reclaimable_bytes: next_unit.saturating_sub(live_units).saturating_mul(8),
        reclaimable_objects: next_entry.saturating_sub(live),
    };
    (found, space)
}

/// What is wrong with the words of a finished entry, if anything is.
fn wrong(words: &[Word; 3], checksums: bool, record: &[u8]) -> Option<&'static str> {
    let [epoch, start, count] = words;
    let marked = |word: &Word| word.upper >> 16 == MAGIC >> 16;
    if epoch.upper != MAGIC || !marked(start) || !marked(count) {
        return Some("a state word lacks its mark");
    }
    match checksums {
        true if !start.carries(crc16(record)) => Some("the record does not match its checksum"),
        false if start.upper != MAGIC || count.upper != MAGIC => Some("a state word lacks its mark"),
        _ => None,
    }
}

/// The objects of a log (document 02, §4).
fn log(partition: &[u8], base: usize, limit: usize) -> (Vec<EntryReport>, Space) {
    let size = usize_of(word(partition, 0, 0).upper);
    let area = slice(partition, BLOCK, size);
    let mut found: Vec<EntryReport> = Vec::new();
    let mut at = 0_usize;
    while at < area.len() {
        let metadata = metadata(slice(area, at, Metadata::SIZE));
        let from = at.saturating_add(BLOCK);
        let length = usize::from(metadata.length);
        let end = from.saturating_add(length.next_multiple_of(BLOCK));
        let broken = if metadata.id == ObjectId::INVALID {
            Some("identifier 0 names no object, and what follows cannot be told apart")
        } else if end > area.len() {
            Some("its data go beyond the end of the log")
        } else {
            None
        };
        let data = if broken.is_none() { from..from.saturating_add(length) } else { 0..0 };
        let absolute = base.saturating_add(BLOCK);
        found.push(EntryReport {
            index: found.len(),
            offset: absolute.saturating_add(at),
            version: 0,
            metadata,
            data: absolute.saturating_add(data.start)..absolute.saturating_add(data.end),
            state: broken.map_or(EntryState::Live, |reason| EntryState::Damaged(reason.to_owned())),
        });
        if broken.is_some() {
            break;
        }
        at = end;
    }
    replace(&mut found);
    let space = Space {
        free_bytes: partition.len().saturating_sub(BLOCK).saturating_sub(size),
        free_objects: Some(limit.saturating_sub(found.len())),
        ..Space::default()
    };
    (found, space)
}

/// Of several entries with one identifier whose records are right, the last counts.
fn replace(entries: &mut [EntryReport]) {
    let mut seen = BTreeSet::new();
    let counts = |entry: &&mut EntryReport| matches!(entry.state, EntryState::Live | EntryState::Unreadable);
    for entry in entries.iter_mut().rev().filter(counts) {
        if !seen.insert(entry.metadata.id) && entry.state == EntryState::Live {
            entry.state = EntryState::Replaced;
        }
    }
}

fn intact(entries: &[EntryReport]) -> usize {
    entries.iter().filter(|entry| entry.state == EntryState::Live).count()
}

impl Report {
    /// Examines an image of this format.
    ///
    /// # Errors
    /// [`Error::Format`]; [`Error::Image`] if the image has not the format's size. Damage is no error: it is in
    /// [`problems`](Self::problems).
    pub fn new(image: &[u8], format: Format) -> Result<Self, Error> {
        let size = format.image_size()?;
        if image.len() != size {
            return Err(Error::Image(format!(
                "the image has {} bytes; two partitions of {} bytes are {size}",
                image.len(),
                format.partition_size
            )));
        }
        let half = usize_of(format.partition_size);
        let partitions =
            [0, half].map(|offset| PartitionReport { offset, state: format.partition(image, offset) });
        let [first, second] = partitions.map(|partition| partition.state);
        // A tie goes to the first partition of the one layout and to the second of the other (§3.3, §4).
        let tie = usize::from(matches!(format.layout, Layout::Log { .. }));
        let active = match (first, second) {
            (PartitionState::Valid { epoch: first }, PartitionState::Valid { epoch: second }) => {
                Some(match first.cmp(&second) {
                    std::cmp::Ordering::Greater => 0,
                    std::cmp::Ordering::Equal => tie,
                    std::cmp::Ordering::Less => 1,
                })
            }
            (PartitionState::Valid { .. }, _) => Some(0),
            (_, PartitionState::Valid { .. }) => Some(1),
            _ => None,
        };
        let [first_entries, second_entries] = [0, half].map(|offset| format.entries(image, offset));
        let most = usize::from(intact(&second_entries.0) > intact(&first_entries.0));
        let examined = active.unwrap_or(most);
        let (entries, space) = if examined == 0 { first_entries } else { second_entries };
        let mut report = Self {
            format,
            partitions,
            active,
            examined,
            entries,
            space,
            problems: Vec::new(),
            notes: Vec::new(),
        };
        report.judge(image);
        Ok(report)
    }

    /// Finds problems and things worth knowing.
    fn judge(&mut self, image: &[u8]) {
        let states = self.partitions.map(|partition| partition.state);
        if states == [PartitionState::Blank; 2] {
            self.notes.push("the image is blank: a server makes an empty store of it".to_owned());
            return;
        }
        match self.active {
            None => self.problems.push("neither partition is complete".to_owned()),
            Some(active) => {
                let other = if active == 0 { states[1] } else { states[0] };
                match other {
                    PartitionState::Blank => {}
                    PartitionState::Valid { .. } => self.notes.push(
                        "both partitions are valid: the power failed before the old one was erased. It still holds \
                         objects that were destroyed"
                            .to_owned(),
                    ),
                    PartitionState::Incomplete => self.notes.push(
                        "the other partition is not blank: a change was interrupted, or its state is damaged"
                            .to_owned(),
                    ),
                }
            }
        }
        for entry in &self.entries {
            let name = format!("entry {} (object {:#06x})", entry.index, entry.metadata.id.0);
            match &entry.state {
                EntryState::Live | EntryState::Replaced => {}
                EntryState::Unfinished => {
                    self.notes.push(format!("{name} was not finished: the power failed while it was written"));
                }
                state @ (EntryState::Unreadable | EntryState::Damaged(_)) => {
                    self.problems.push(format!("{name} is {state}"));
                }
                EntryState::Stray => self.problems.push(format!(
                    "{name} is behind the end of the directory: servers of the original bring it back with their \
                     next compaction"
                )),
            }
        }
        match self.format.objects(image) {
            Err(error) => self.problems.push(error.to_string()),
            Ok(mut seen) => {
                let mut live = self.objects(image);
                seen.sort_by_key(|object| object.metadata.id.0);
                live.sort_by_key(|object| object.metadata.id.0);
                if self.active.is_some() && seen != live {
                    self.problems.push(format!(
                        "a server reads {} objects from the image, of which {} were found intact here",
                        seen.len(),
                        live.len()
                    ));
                }
            }
        }
    }

    /// Every live object with its data. `image` is the image that was examined.
    #[must_use]
    pub fn objects(&self, image: &[u8]) -> Vec<Object> {
        let live = self.entries.iter().filter(|entry| entry.state == EntryState::Live);
        live.map(|entry| entry.object(image)).collect()
    }

    /// Saves what is intact: a new image of the same format with every object once, in the order of their entries.
    /// Of an object whose newest version is damaged, the newest intact one is taken.
    ///
    /// # Errors
    /// [`Error::Format`], [`Error::Object`].
    pub fn repair(&self, image: &[u8]) -> Result<Repaired, Error> {
        let mut newest: BTreeMap<u16, &EntryReport> = BTreeMap::new();
        let mut damaged: BTreeMap<u16, &EntryReport> = BTreeMap::new();
        for entry in &self.entries {
            let id = entry.metadata.id.0;
            match entry.state {
                EntryState::Live | EntryState::Replaced => {
                    newest.insert(id, entry);
                }
                EntryState::Unreadable | EntryState::Damaged(_) if id != 0 => {
                    damaged.insert(id, entry);
                }
                _ => {}
            }
        }
        let mut chosen: Vec<_> = newest.values().copied().collect();
        chosen.sort_by_key(|entry| entry.index);
        let objects: Vec<_> = chosen.iter().map(|entry| entry.object(image)).collect();
        let overtaken = |id: &u16| {
            damaged.get(id).is_some_and(|bad| newest.get(id).is_some_and(|good| good.index < bad.index))
        };
        Ok(Repaired {
            image: self.format.build(&objects)?,
            kept: objects.iter().map(|object| object.metadata.id).collect(),
            older: newest.keys().filter(|id| overtaken(id)).map(|&id| ObjectId(id)).collect(),
            lost: damaged.keys().filter(|id| !newest.contains_key(id)).map(|&id| ObjectId(id)).collect(),
        })
    }
}

impl EntryReport {
    fn object(&self, image: &[u8]) -> Object {
        let data = image.get(self.data.clone()).unwrap_or_default();
        Object { metadata: self.metadata, data: Zeroizing::new(data.to_vec()) }
    }
}
