//! The key cache: a fixed number of small and of big slots (document 03, §2).
//!
//! A key goes to the class that its size asks for; classes never borrow from each other, but for a few
//! kinds of keys that the server makes. In its class it takes the
//! first free slot, else the first whose key also lies in the object store, else there is no space. This is the
//! original's rule, which clients can observe.

use casemate_crypto::wipe;
use casemate_protocol::{Metadata, ObjectId, Status};
use core::ops::Range;

/// What a slot holds besides the key's bytes. A slot whose metadata names no object is free.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slot {
    metadata: Metadata,
    committed: bool,
}

impl Slot {
    const EMPTY: Self = Self {
        metadata: Metadata {
            id: ObjectId::INVALID,
            access: 0,
            flags: casemate_protocol::Flags::NONE,
            length: 0,
            label: casemate_protocol::Label::EMPTY,
        },
        committed: false,
    };

    const fn is_free(&self) -> bool {
        self.metadata.id.0 == 0
    }
}

/// How many slots a cache has, and how big they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// Small slots.
    pub small_slots: usize,
    /// Data size of a small slot in bytes.
    pub small_size: usize,
    /// Big slots.
    pub big_slots: usize,
    /// Data size of a big slot in bytes.
    pub big_size: usize,
}

impl Default for CacheShape {
    /// The shape of the original's POSIX example server.
    fn default() -> Self {
        Self { small_slots: 9, small_size: 256, big_slots: 3, big_size: 8192 }
    }
}

/// How many slots of a key cache hold a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheUse {
    /// Small slots.
    pub small: usize,
    /// Big slots.
    pub big: usize,
}

/// Memory for a key cache. Slots are numbered from 0: the small ones, then the big ones.
pub trait CacheStorage {
    /// The shape; always the same.
    fn shape(&self) -> CacheShape;
    /// A slot and its data area.
    fn slot(&self, index: usize) -> Option<(&Slot, &[u8])>;
    /// A slot and its data area, to change.
    fn slot_mut(&mut self, index: usize) -> Option<(&mut Slot, &mut [u8])>;
}

/// Memory that lies elsewhere: in a static, for instance.
impl<T: CacheStorage + ?Sized> CacheStorage for &mut T {
    fn shape(&self) -> CacheShape {
        (**self).shape()
    }
    fn slot(&self, index: usize) -> Option<(&Slot, &[u8])> {
        (**self).slot(index)
    }
    fn slot_mut(&mut self, index: usize) -> Option<(&mut Slot, &mut [u8])> {
        (**self).slot_mut(index)
    }
}

/// Memory that may be missing: without any, there are no slots and no key fits.
impl<T: CacheStorage> CacheStorage for Option<T> {
    fn shape(&self) -> CacheShape {
        let none = CacheShape { small_slots: 0, small_size: 0, big_slots: 0, big_size: 0 };
        self.as_ref().map_or(none, T::shape)
    }
    fn slot(&self, index: usize) -> Option<(&Slot, &[u8])> {
        self.as_ref()?.slot(index)
    }
    fn slot_mut(&mut self, index: usize) -> Option<(&mut Slot, &mut [u8])> {
        self.as_mut()?.slot_mut(index)
    }
}

/// Cache memory of a size known at compile time.
#[derive(Debug)]
pub struct ArrayCache<const SMALL: usize, const SMALL_SIZE: usize, const BIG: usize, const BIG_SIZE: usize> {
    small: [(Slot, [u8; SMALL_SIZE]); SMALL],
    big: [(Slot, [u8; BIG_SIZE]); BIG],
}

impl<const SMALL: usize, const SMALL_SIZE: usize, const BIG: usize, const BIG_SIZE: usize>
    ArrayCache<SMALL, SMALL_SIZE, BIG, BIG_SIZE>
{
    /// Free slots; all its bytes are zero, so a static of it takes no space in a program's image.
    #[must_use]
    pub const fn new() -> Self {
        Self { small: [(Slot::EMPTY, [0; SMALL_SIZE]); SMALL], big: [(Slot::EMPTY, [0; BIG_SIZE]); BIG] }
    }
}

impl<const SMALL: usize, const SMALL_SIZE: usize, const BIG: usize, const BIG_SIZE: usize> Default
    for ArrayCache<SMALL, SMALL_SIZE, BIG, BIG_SIZE>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const SMALL: usize, const SMALL_SIZE: usize, const BIG: usize, const BIG_SIZE: usize> CacheStorage
    for ArrayCache<SMALL, SMALL_SIZE, BIG, BIG_SIZE>
{
    fn shape(&self) -> CacheShape {
        CacheShape { small_slots: SMALL, small_size: SMALL_SIZE, big_slots: BIG, big_size: BIG_SIZE }
    }

    fn slot(&self, index: usize) -> Option<(&Slot, &[u8])> {
        match index.checked_sub(SMALL) {
            None => self.small.get(index).map(|(slot, data)| (slot, data.as_slice())),
            Some(index) => self.big.get(index).map(|(slot, data)| (slot, data.as_slice())),
        }
    }

    fn slot_mut(&mut self, index: usize) -> Option<(&mut Slot, &mut [u8])> {
        match index.checked_sub(SMALL) {
            None => self.small.get_mut(index).map(|(slot, data)| (slot, data.as_mut_slice())),
            Some(index) => self.big.get_mut(index).map(|(slot, data)| (slot, data.as_mut_slice())),
        }
    }
}

/// Cache memory of a size chosen at run time, allocated once.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct HeapCache {
    shape: CacheShape,
    slots: alloc::vec::Vec<(Slot, alloc::boxed::Box<[u8]>)>,
}

#[cfg(feature = "alloc")]
impl HeapCache {
    /// Memory of this shape.
    pub fn new(shape: CacheShape) -> Self {
        let class = |count, size| {
            (0..count).map(move |_| (Slot::default(), alloc::vec![0_u8; size].into_boxed_slice()))
        };
        let slots = class(shape.small_slots, shape.small_size)
            .chain(class(shape.big_slots, shape.big_size))
            .collect();
        Self { shape, slots }
    }
}

#[cfg(feature = "alloc")]
impl CacheStorage for HeapCache {
    fn shape(&self) -> CacheShape {
        self.shape
    }

    fn slot(&self, index: usize) -> Option<(&Slot, &[u8])> {
        self.slots.get(index).map(|(slot, data)| (slot, &**data))
    }

    fn slot_mut(&mut self, index: usize) -> Option<(&mut Slot, &mut [u8])> {
        self.slots.get_mut(index).map(|(slot, data)| (slot, &mut **data))
    }
}

/// A cached key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cached<'a> {
    pub(crate) metadata: &'a Metadata,
    /// Whether the object store holds the same key.
    pub(crate) committed: bool,
    pub(crate) key: &'a [u8],
}

/// A cached key, to change.
#[derive(Debug)]
pub(crate) struct CachedMut<'a> {
    pub(crate) metadata: &'a mut Metadata,
    pub(crate) committed: &'a mut bool,
    pub(crate) key: &'a mut [u8],
}

/// The key cache over its memory. Keys are wiped when they leave it and when it is dropped.
#[derive(Debug)]
pub(crate) struct KeyCache<S: CacheStorage> {
    storage: S,
    /// How many changes of stored keys this cache's copies take into account.
    seen: u32,
}

impl<S: CacheStorage> KeyCache<S> {
    pub(crate) const fn new(storage: S) -> Self {
        Self { storage, seen: 0 }
    }

    /// Drops the copies of stored keys that no longer agree with the store, if another session has changed stored keys
    /// since [`keep_up`](Self::keep_up): what was erased or revoked must not serve from here. Copies that agree stay, so
    /// that no client notices what another does with its own keys.
    pub(crate) fn catch_up(&mut self, changes: u32, mut agrees: impl FnMut(&Metadata, &[u8]) -> bool) {
        if self.seen == changes {
            return;
        }
        for index in self.indices() {
            let stale = self.storage.slot(index).is_some_and(|(slot, data)| {
                let key = data.get(..usize::from(slot.metadata.length)).unwrap_or_default();
                slot.committed && !agrees(&slot.metadata, key)
            });
            if stale {
                self.clear(index);
            }
        }
    }

    /// Wipes and frees every slot with a copy of a stored key.
    pub(crate) fn drop_committed(&mut self) {
        for index in self.indices() {
            if self.storage.slot(index).is_some_and(|(slot, _)| slot.committed) {
                self.clear(index);
            }
        }
    }

    /// Takes note that the copies agree with what is stored after so many changes.
    pub(crate) const fn keep_up(&mut self, changes: u32) {
        self.seen = changes;
    }

    pub(crate) fn shape(&self) -> CacheShape {
        self.storage.shape()
    }

    /// How many slots hold a key.
    pub(crate) fn occupied(&self) -> CacheUse {
        let small_slots = self.shape().small_slots;
        let mut count = CacheUse::default();
        for index in self.indices() {
            if self.storage.slot(index).is_some_and(|(slot, _)| !slot.is_free()) {
                let class = if index < small_slots { &mut count.small } else { &mut count.big };
                *class = class.saturating_add(1);
            }
        }
        count
    }

    fn indices(&self) -> Range<usize> {
        let shape = self.shape();
        0..shape.small_slots.saturating_add(shape.big_slots)
    }

    fn position(&self, id: ObjectId) -> Option<usize> {
        if id == ObjectId::INVALID {
            return None;
        }
        self.indices().find(|&index| self.storage.slot(index).is_some_and(|(slot, _)| slot.metadata.id == id))
    }

    pub(crate) fn get(&self, id: ObjectId) -> Option<Cached<'_>> {
        let (slot, data) = self.storage.slot(self.position(id)?)?;
        let key = data.get(..usize::from(slot.metadata.length))?;
        Some(Cached { metadata: &slot.metadata, committed: slot.committed, key })
    }

    pub(crate) fn get_mut(&mut self, id: ObjectId) -> Option<CachedMut<'_>> {
        let index = self.position(id)?;
        let (slot, data) = self.storage.slot_mut(index)?;
        let key = data.get_mut(..usize::from(slot.metadata.length))?;
        Some(CachedMut { metadata: &mut slot.metadata, committed: &mut slot.committed, key })
    }

    /// Whether any class of slots could hold `size` bytes.
    pub(crate) fn fits(&self, size: usize) -> bool {
        let shape = self.shape();
        size <= shape.small_size.max(shape.big_size)
    }

    /// Gives `metadata.id` a slot and returns its data area, `metadata.length` bytes, for the caller to fill. A key
    /// cached before under this identifier is wiped, but only once a slot is certain.
    ///
    /// # Errors
    /// BAD_ARGUMENTS if the key is larger than every slot, NO_SPACE if all slots of its class are taken.
    pub(crate) fn insert(&mut self, metadata: &Metadata, committed: bool) -> Result<&mut [u8], Status> {
        self.insert_in(metadata, committed, false)
    }

    /// Like [`insert`](Self::insert), but in a big slot as long as there is one: there the original puts elliptic-curve
    /// keys that it generates and keys of certificates, whatever their size (document 03, §2), so that a client finds as
    /// many small slots for other keys as there.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    #[cfg(any(test, feature = "certificates", feature = "elliptic-curves", feature = "rsa"))]
    pub(crate) fn insert_big_first(&mut self, metadata: &Metadata) -> Result<&mut [u8], Status> {
        self.insert_in(metadata, false, true)
    }

    fn insert_in(
        &mut self,
        metadata: &Metadata,
        committed: bool,
        big_first: bool,
    ) -> Result<&mut [u8], Status> {
        let class = self.class(metadata.length)?;
        let mut index = None;
        if big_first {
            index = self.place(self.shape().small_slots..self.indices().end, metadata.id);
        }
        if index.is_none() {
            index = self.place(class, metadata.id);
        }
        self.occupy(index.ok_or(Status::NO_SPACE)?, metadata, committed)
    }

    /// The slots for keys of `length` bytes.
    fn class(&self, length: u16) -> Result<Range<usize>, Status> {
        let shape = self.shape();
        match usize::from(length) {
            length if length <= shape.small_size => Ok(0..shape.small_slots),
            length if length <= shape.big_size => Ok(shape.small_slots..self.indices().end),
            _ => Err(Status::BAD_ARGUMENTS),
        }
    }

    /// The slot among `class` for the key `id`: the first that is free or has it, else the first with a copy of a stored key.
    #[inline(never)]
    fn place(&self, class: Range<usize>, id: ObjectId) -> Option<usize> {
        let mut committed = None;
        for index in class {
            let Some((slot, _)) = self.storage.slot(index) else { continue };
            if slot.is_free() || slot.metadata.id == id {
                return Some(index);
            }
            if slot.committed {
                committed = committed.or(Some(index));
            }
        }
        committed
    }

    fn occupy(&mut self, index: usize, metadata: &Metadata, committed: bool) -> Result<&mut [u8], Status> {
        self.remove(metadata.id);
        let (slot, data) = self.clear(index).ok_or(Status::NO_SPACE)?;
        *slot = Slot { metadata: *metadata, committed };
        data.get_mut(..usize::from(metadata.length)).ok_or(Status::BAD_ARGUMENTS)
    }

    /// Wipes and frees the slot of `id`; whether there was one.
    pub(crate) fn remove(&mut self, id: ObjectId) -> bool {
        match self.position(id) {
            Some(index) => {
                self.clear(index);
                true
            }
            None => false,
        }
    }

    /// Wipes and frees a slot, and shows it. The bytes behind a key's length were never written.
    #[inline(never)]
    fn clear(&mut self, index: usize) -> Option<(&mut Slot, &mut [u8])> {
        let (slot, data) = self.storage.slot_mut(index)?;
        if let Some(key) = data.get_mut(..usize::from(slot.metadata.length)) {
            wipe(key);
        }
        *slot = Slot::default();
        Some((slot, data))
    }
}

impl<S: CacheStorage> KeyCache<S> {
    /// Wipes and frees every slot.
    #[inline(never)]
    pub(crate) fn clear_all(&mut self) {
        for index in self.indices() {
            self.clear(index);
        }
    }
}

impl<S: CacheStorage> Drop for KeyCache<S> {
    fn drop(&mut self) {
        self.clear_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = KeyCache<ArrayCache<2, 4, 1, 8>>;

    fn cache() -> Small {
        KeyCache::new(ArrayCache::default())
    }

    fn metadata(number: u16, length: u16) -> Metadata {
        Metadata { id: ObjectId(0x1100 | number), length, ..Metadata::default() }
    }

    fn insert(cache: &mut Small, number: u16, key: &[u8], committed: bool) -> Result<(), Status> {
        let length = u16::try_from(key.len()).unwrap();
        cache.insert(&metadata(number, length), committed)?.copy_from_slice(key);
        Ok(())
    }

    #[test]
    fn classes_do_not_borrow_from_each_other() {
        let mut cache = cache();
        insert(&mut cache, 1, b"a", false).unwrap();
        insert(&mut cache, 2, b"b", false).unwrap();
        assert_eq!(insert(&mut cache, 3, b"c", false), Err(Status::NO_SPACE));
        insert(&mut cache, 4, b"12345", false).unwrap();
        assert_eq!(insert(&mut cache, 5, b"12345", false), Err(Status::NO_SPACE));
        assert_eq!(insert(&mut cache, 6, b"123456789", false), Err(Status::BAD_ARGUMENTS));
    }

    #[test]
    fn big_first_takes_small_slots_only_when_the_big_ones_are_taken() {
        let mut cache = cache();
        let big_first = |cache: &mut Small, number, key: &[u8]| {
            cache.insert_big_first(&metadata(number, key.len() as u16)).map(|slot| slot.copy_from_slice(key))
        };
        big_first(&mut cache, 1, b"a").unwrap();
        assert_eq!(cache.occupied(), CacheUse { small: 0, big: 1 });
        big_first(&mut cache, 2, b"b").unwrap();
        big_first(&mut cache, 3, b"c").unwrap();
        assert_eq!(cache.occupied(), CacheUse { small: 2, big: 1 });
        assert_eq!(big_first(&mut cache, 4, b"d"), Err(Status::NO_SPACE));
        for number in 1..=3 {
            assert_eq!(cache.get(ObjectId(0x1100 | number)).unwrap().key, [b'`' + number as u8]);
        }
        big_first(&mut cache, 1, b"A").unwrap();
        assert_eq!(cache.get(ObjectId(0x1101)).unwrap().key, b"A");
        assert_eq!(cache.occupied(), CacheUse { small: 2, big: 1 });
        assert_eq!(big_first(&mut cache, 5, b"123456789"), Err(Status::BAD_ARGUMENTS));
    }

    #[test]
    fn committed_keys_make_room_lowest_slot_first() {
        let mut cache = cache();
        insert(&mut cache, 1, b"a", true).unwrap();
        insert(&mut cache, 2, b"b", true).unwrap();
        insert(&mut cache, 3, b"c", false).unwrap();
        assert!(cache.get(ObjectId(0x1101)).is_none());
        insert(&mut cache, 4, b"d", false).unwrap();
        assert!(cache.get(ObjectId(0x1102)).is_none());
        assert_eq!(insert(&mut cache, 5, b"e", false), Err(Status::NO_SPACE));
    }

    #[test]
    fn replacing_a_key_never_loses_it_for_want_of_space() {
        let mut cache = cache();
        insert(&mut cache, 1, b"a", false).unwrap();
        insert(&mut cache, 2, b"b", false).unwrap();
        insert(&mut cache, 1, b"A", false).unwrap();
        assert_eq!(cache.get(ObjectId(0x1101)).unwrap().key, b"A");
        insert(&mut cache, 4, b"12345", false).unwrap();
        assert_eq!(insert(&mut cache, 1, b"12345", false), Err(Status::NO_SPACE));
        assert_eq!(cache.get(ObjectId(0x1101)).unwrap().key, b"A");
    }

    #[test]
    fn a_key_may_change_its_class_and_leaves_nothing_behind() {
        let mut cache = cache();
        insert(&mut cache, 1, b"abcd", false).unwrap();
        insert(&mut cache, 1, b"12345", false).unwrap();
        assert_eq!(cache.storage.small[0].1, [0; 4]);
        assert_eq!(cache.get(ObjectId(0x1101)).unwrap().key, b"12345");
        assert!(cache.remove(ObjectId(0x1101)));
        assert!(!cache.remove(ObjectId(0x1101)));
        assert_eq!(cache.storage.big[0].1, [0; 8]);
    }

    #[test]
    fn identifier_zero_names_no_slot() {
        assert!(cache().get(ObjectId(0)).is_none());
    }
}
