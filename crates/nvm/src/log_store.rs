//! The layout for flash with large program units (document 02, §4).
//!
//! A partition is a header of 64 bytes and the objects, back to back, each of them a record of 64 bytes and its data
//! padded to 64 bytes. All objects are kept in RAM; every change writes all of them to the other partition, and its
//! header last.

use crate::medium::{Medium, Side, is_between, newer, to_u32, to_usize};
use crate::object_store::{Attributes, Available, ObjectStore};
use crate::{Error, Flash, Geometry, MountError, Unusable, record};
use casemate_protocol::{Metadata, ObjectId};
use core::ops::ControlFlow;
use zeroize::{Zeroize, Zeroizing};

/// Granularity of everything, and the size of the header and of an object's record.
const BLOCK: u32 = 64;
const BLOCK_LENGTH: usize = 64;

/// How to mount a [`LogStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogOptions {
    /// Size of one partition in bytes; half the flash's capacity if not given.
    pub partition_size: Option<u32>,
    /// The largest number of objects.
    pub objects: u16,
}

impl LogOptions {
    /// Half the flash for each partition, 32 objects.
    pub const fn new() -> Self {
        Self { partition_size: None, objects: 32 }
    }

    /// The same, with partitions of `size` bytes.
    #[must_use]
    pub const fn with_partition_size(mut self, size: u32) -> Self {
        self.partition_size = Some(size);
        self
    }

    /// The same, with at most `objects` objects.
    #[must_use]
    pub const fn with_objects(mut self, objects: u16) -> Self {
        self.objects = objects;
        self
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The objects in RAM; wiped when dropped.
#[derive(Debug)]
struct Mirror<B: AsMut<[u8]>>(B);

impl<B: AsMut<[u8]>> Drop for Mirror<B> {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

/// An object in the mirror.
#[derive(Debug, Clone, Copy)]
struct Object {
    metadata: Metadata,
    /// Where its record begins in the mirror.
    offset: usize,
}

impl Object {
    /// The bytes of its record and data.
    fn size(&self) -> usize {
        footprint(self.metadata.length)
    }

    /// Where its data begin in the mirror.
    const fn data(&self) -> usize {
        self.offset.saturating_add(BLOCK_LENGTH)
    }
}

/// Bytes that an object with `length` bytes of data takes.
fn footprint(length: u16) -> usize {
    usize::from(length).next_multiple_of(BLOCK_LENGTH).saturating_add(BLOCK_LENGTH)
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The header is blank.
    Blank,
    /// Complete: `size` bytes of objects.
    Valid { epoch: u32, size: u32 },
    /// The header is one, but what follows does not fit it.
    Damaged,
    /// The header is none.
    Foreign,
}

/// An object store that keeps everything in RAM and writes all of it with every change.
///
/// `F` is the flash; its units of programming and reading have to divide 64 bytes. `B` is the RAM: at least a
/// partition without its first 64 bytes. An object takes 64 bytes, and its data rounded up to 64 bytes.
///
/// Nothing is ever reclaimable: replaced and destroyed objects give their space back at once.
#[derive(Debug)]
pub struct LogStore<F, B: AsMut<[u8]>> {
    medium: Medium<F>,
    mirror: Mirror<B>,
    /// Bytes of objects in the mirror.
    size: u32,
    /// Bytes of objects in the active partition.
    stored_size: u32,
    limit: u16,
    active: Side,
    epoch: u32,
    /// Whether the inactive partition has been erased completely since the store was mounted.
    erased: bool,
    failed: bool,
}

impl<F: Flash, B: AsRef<[u8]> + AsMut<[u8]>> LogStore<F, B> {
    /// Mounts the store that the flash holds. Blank flash (both partitions, entirely) becomes an empty store. An
    /// inactive partition is erased.
    ///
    /// # Errors
    /// [`MountError::Geometry`] if flash, mirror and layout do not fit each other; [`MountError::Unusable`] if the flash holds
    /// something else or a damaged store, and then nothing has been written; the flash's errors.
    pub fn mount(flash: F, mirror: B, options: LogOptions) -> Result<Self, MountError<F::Error>> {
        let mut store = Self::prepare(flash, mirror, options)?;
        let first = store.partition_state(Side::First)?;
        let second = store.partition_state(Side::Second)?;
        let (side, epoch, size) = match (first, second) {
            (
                State::Valid { epoch: first, size: first_size },
                State::Valid { epoch: second, size: second_size },
            ) => {
                let erased = store.medium.flash.erased_byte();
                match newer(first, second, erased, Side::Second) {
                    Side::First => (Side::First, first, first_size),
                    Side::Second => (Side::Second, second, second_size),
                }
            }
            (State::Valid { epoch, size }, _) => (Side::First, epoch, size),
            (_, State::Valid { epoch, size }) => (Side::Second, epoch, size),
            _ if store.may_format()? => {
                store.medium.unlock()?;
                store.medium.clear(Side::First)?;
                store.initialize()?;
                return Ok(store);
            }
            (State::Damaged, _) | (_, State::Damaged) => return Err(MountError::Unusable(Unusable::Corrupt)),
            _ => return Err(MountError::Unusable(Unusable::Foreign)),
        };
        store.active = side;
        store.epoch = epoch;
        store.stored_size = size;
        store.load()?;
        store.medium.unlock()?;
        store.medium.clear(side.other())?;
        Ok(store)
    }

    /// Erases both partitions, whatever they hold, and mounts the empty store.
    ///
    /// # Errors
    /// [`MountError::Geometry`]; the flash's errors.
    pub fn format(flash: F, mirror: B, options: LogOptions) -> Result<Self, MountError<F::Error>> {
        let mut store = Self::prepare(flash, mirror, options)?;
        store.medium.unlock()?;
        store.medium.clear(Side::First)?;
        store.medium.clear(Side::Second)?;
        store.initialize()?;
        Ok(store)
    }

    /// Locks the flash and gives it back. The mirror is wiped.
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

    fn prepare(flash: F, mirror: B, options: LogOptions) -> Result<Self, MountError<F::Error>> {
        let medium = Medium::new(flash, options.partition_size, BLOCK_LENGTH)?;
        let minimum = BLOCK.saturating_mul(2);
        let partition = medium.partition_size();
        if partition < minimum {
            return Err(MountError::Geometry(Geometry::Partition { partition, minimum }));
        }
        let mirror = Mirror(mirror);
        let length = mirror.0.as_ref().len();
        let minimum = partition.saturating_sub(BLOCK);
        if length < to_usize(minimum) {
            return Err(MountError::Geometry(Geometry::Mirror { mirror: length, minimum }));
        }
        Ok(Self {
            medium,
            mirror,
            size: 0,
            stored_size: 0,
            limit: options.objects,
            active: Side::First,
            epoch: 0,
            erased: false,
            failed: false,
        })
    }

    /// Makes the blank first partition an empty store.
    fn initialize(&mut self) -> Result<(), Error<F::Error>> {
        // Where blank is zero, the header of epoch 0 could not be told from none, nor an empty store from one whose
        // first change was interrupted.
        self.epoch = u32::from(self.medium.flash.erased_byte() == 0);
        self.medium.program(Side::First, 0, &header(self.epoch, 0))?;
        self.medium.commit()
    }

    /// Bytes that objects may take.
    const fn space(&self) -> u32 {
        self.medium.partition_size().saturating_sub(BLOCK)
    }

    fn partition_state(&mut self, side: Side) -> Result<State, Error<F::Error>> {
        if self.medium.is_blank(side, 0, BLOCK)? {
            return Ok(State::Blank);
        }
        let mut block = Zeroizing::new([0; BLOCK_LENGTH]);
        self.medium.read(side, 0, block.as_mut_slice())?;
        let [a, b, c, d, e, f, g, h, reserved @ ..] = &*block;
        // A header that was written in part has blank bytes here, unless blank is zero.
        if reserved.iter().any(|&byte| byte != 0) {
            return Ok(State::Foreign);
        }
        let epoch = u32::from_le_bytes([*a, *b, *c, *d]);
        let size = u32::from_le_bytes([*e, *f, *g, *h]);
        if size.checked_rem(BLOCK) != Some(0) || size > self.space() {
            return Ok(State::Damaged);
        }
        let end = size.saturating_add(BLOCK);
        let mut offset = BLOCK;
        while offset < end {
            self.medium.read(side, offset, block.as_mut_slice())?;
            let length = record::decode_first(block.as_slice()).length;
            offset = offset.saturating_add(to_u32(footprint(length)));
        }
        // If only a part of `size` was written, objects follow where nothing should.
        let rest = self.medium.partition_size().saturating_sub(end);
        if offset == end && self.medium.is_blank(side, end, rest)? {
            Ok(State::Valid { epoch, size })
        } else {
            Ok(State::Damaged)
        }
    }

    /// Whether nothing can be lost by formatting: all is blank, but perhaps for the first partition's header, of
    /// which an interrupted formatting may have written a part.
    fn may_format(&mut self) -> Result<bool, Error<F::Error>> {
        let erased = self.medium.flash.erased_byte();
        let mut block = [0; BLOCK_LENGTH];
        self.medium.read(Side::First, 0, &mut block)?;
        let header = header(u32::from(erased == 0), 0);
        let begun = block.iter().zip(header).all(|(&byte, formatted)| is_between(byte, erased, formatted));
        let space = self.space();
        Ok(begun
            && self.medium.is_blank(Side::First, BLOCK, space)?
            && self.medium.is_partition_blank(Side::Second)?)
    }

    /// Reads the objects from the active partition. Objects with identifier 0 are left out: no
    /// enumeration gets past them.
    fn load(&mut self) -> Result<(), MountError<F::Error>> {
        let size = self.stored_size;
        let (objects, rest) = self.mirror.0.as_mut().split_at_mut_checked(to_usize(size)).unwrap_or_default();
        rest.zeroize();
        self.size = size;
        self.medium.read(self.active, BLOCK, objects)?;
        while let Some(object) = self.find(ObjectId::INVALID) {
            self.remove(&object);
        }
        Ok(())
    }

    fn objects(&self) -> impl Iterator<Item = Object> {
        let mirror = self.mirror.0.as_ref().get(..to_usize(self.size)).unwrap_or_default();
        let mut offset = 0_usize;
        core::iter::from_fn(move || {
            let rest = mirror.get(offset..).filter(|rest| !rest.is_empty())?;
            let object = Object { metadata: record::decode_first(rest), offset };
            offset = offset.saturating_add(object.size());
            Some(object)
        })
    }

    fn find(&self, id: ObjectId) -> Option<Object> {
        self.objects().find(|object| object.metadata.id == id)
    }

    /// Takes an object out of the mirror.
    fn remove(&mut self, object: &Object) {
        let end = to_usize(self.size);
        let behind = object.offset.saturating_add(object.size()).min(end);
        let mirror = self.mirror.0.as_mut();
        if let Some(objects) = mirror.get_mut(object.offset..end) {
            let removed = behind.saturating_sub(object.offset);
            objects.rotate_left(removed);
            let kept = objects.len().saturating_sub(removed);
            objects.get_mut(kept..).unwrap_or_default().zeroize();
            self.size = self.size.saturating_sub(to_u32(removed));
        }
    }

    /// Puts an object at the end of the mirror, which has room for it.
    fn append(&mut self, metadata: &Metadata, data: &[u8]) {
        let start = to_usize(self.size);
        let size = footprint(metadata.length);
        let range = start..start.saturating_add(size);
        let Some(object) = self.mirror.0.as_mut().get_mut(range) else { return };
        object.fill(0);
        let (head, body) = object.split_at_mut_checked(BLOCK_LENGTH).unwrap_or_default();
        head.iter_mut().zip(record::encode(metadata)).for_each(|(to, from)| *to = from);
        body.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        self.size = self.size.saturating_add(to_u32(size));
    }

    /// Writes the mirror to the inactive partition and makes that one active; if that fails, the mirror is read again.
    fn commit(&mut self) -> Result<(), Error<F::Error>> {
        let side = self.active.other();
        let epoch = self.epoch.wrapping_add(1);
        if let Err(error) = self.write_objects(side) {
            self.erased = self.medium.erase(side).is_ok();
            self.failed = self.load().is_err();
            return Err(error);
        }
        let header = header(epoch, self.size);
        let committed = self.medium.program(side, 0, &header).and_then(|()| self.medium.commit());
        if let Err(error) = committed {
            // The header may be there, and then this partition would win. It must not.
            self.erased = self.medium.erase(side).is_ok();
            self.failed = !self.erased || self.load().is_err();
            return Err(error);
        }
        self.active = side;
        self.epoch = epoch;
        self.stored_size = self.size;
        // What is left there if this fails is older, and erased before it is written to.
        self.erased = self.medium.erase(side.other()).is_ok();
        Ok(())
    }

    fn write_objects(&mut self, side: Side) -> Result<(), Error<F::Error>> {
        if !self.erased {
            self.medium.erase(side)?;
        }
        self.erased = false;
        let objects = self.mirror.0.as_ref().get(..to_usize(self.size)).unwrap_or_default();
        if !objects.is_empty() {
            self.medium.program(side, BLOCK, objects)?;
        }
        self.medium.commit()
    }

    const fn usable(&self) -> Result<(), Error<F::Error>> {
        if self.failed { Err(Error::Failed) } else { Ok(()) }
    }

    fn read_object(&self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<F::Error>> {
        self.usable()?;
        let object = self.stored(id)?;
        let start = usize::from(offset);
        let end = start.checked_add(out.len()).filter(|&end| end <= usize::from(object.metadata.length));
        let end = end.ok_or(Error::OutOfRange)?;
        let range = object.data().saturating_add(start)..object.data().saturating_add(end);
        let data = self.mirror.0.as_ref().get(range).ok_or(Error::OutOfRange)?;
        out.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn stored(&self, id: ObjectId) -> Result<Object, Error<F::Error>> {
        self.find(id).ok_or(Error::NotFound)
    }
}

/// The header's 64 bytes.
fn header(epoch: u32, size: u32) -> [u8; BLOCK_LENGTH] {
    let mut header = [0; BLOCK_LENGTH];
    let words = epoch.to_le_bytes().into_iter().chain(size.to_le_bytes());
    header.iter_mut().zip(words).for_each(|(to, from)| *to = from);
    header
}

impl<F: Flash, B: AsRef<[u8]> + AsMut<[u8]>> ObjectStore for LogStore<F, B> {
    type FlashError = F::Error;

    /// As the trait says. An object takes up to 127 bytes more than its data; this is not taken off the size.
    fn available(&self) -> Result<Available, Error<F::Error>> {
        self.usable()?;
        let objects = u16::try_from(self.objects().count()).unwrap_or(u16::MAX);
        Ok(Available {
            size: self.space().saturating_sub(self.size),
            objects: self.limit.saturating_sub(objects),
            reclaimable_size: 0,
            reclaimable_objects: 0,
        })
    }

    fn add(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<F::Error>> {
        self.usable()?;
        if metadata.id == ObjectId::INVALID {
            return Err(Error::InvalidId);
        }
        let length = u16::try_from(data.len()).map_err(|_| Error::TooLong)?;
        let replaced = self.find(metadata.id);
        let others = self.objects().filter(|object| object.metadata.id != metadata.id).count();
        let free = self.space().saturating_sub(self.size);
        let free = free.saturating_add(to_u32(replaced.map_or(0, |object| object.size())));
        if to_u32(footprint(length)) > free || others >= usize::from(self.limit) {
            return Err(Error::NoSpace);
        }
        if let Some(object) = replaced {
            self.remove(&object);
        }
        self.append(&Metadata { length, ..*metadata }, data);
        self.commit()
    }

    /// As the trait says; the end of an object can be read, as nothing.
    fn read(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<F::Error>> {
        let result = self.read_object(id, offset, out);
        if result.is_err() {
            out.fill(0);
        }
        result
    }

    fn metadata(&mut self, id: ObjectId) -> Result<Metadata, Error<F::Error>> {
        self.usable()?;
        if id == ObjectId::INVALID {
            return Err(Error::NotFound);
        }
        self.stored(id).map(|object| object.metadata)
    }

    /// As the trait says. An empty list, and one that names no object, write nothing.
    ///
    /// # Errors
    /// Also [`Error::InvalidId`] if the list contains identifier 0; nothing is destroyed then.
    fn destroy(&mut self, ids: &[ObjectId]) -> Result<(), Error<F::Error>> {
        self.usable()?;
        if ids.contains(&ObjectId::INVALID) {
            return Err(Error::InvalidId);
        }
        let before = self.size;
        for &id in ids {
            while let Some(object) = self.find(id) {
                self.remove(&object);
            }
        }
        if self.size == before { Ok(()) } else { self.commit() }
    }

    fn visit(&self, visitor: &mut dyn FnMut(Attributes) -> ControlFlow<()>) -> Result<(), Error<F::Error>> {
        self.usable()?;
        for object in self.objects() {
            if visitor(Attributes::from(&object.metadata)).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The same as [`add`](Self::add): nothing is ever reclaimable. (The original refuses to replace an object this
    /// way in a full store; this one does not.)
    fn add_with_reclaim(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<F::Error>> {
        self.add(metadata, data)
    }
}
