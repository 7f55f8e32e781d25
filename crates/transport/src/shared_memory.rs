//! Memory that another core or process uses at the same time. The only module of this crate with unsafe code.
//!
//! Every access is atomic, so a peer that writes at the wrong moment can spoil a value and nothing else: bytes are
//! copied with relaxed accesses of one byte or one machine word, and single words are loaded and stored with the
//! ordering that lets them announce copied bytes.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

/// Bytes in a machine word.
const WORD: usize = size_of::<usize>();

/// An offset and a length that do not lie within the memory, or a word whose offset is no multiple of 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the range does not lie within the shared memory")
    }
}

impl core::error::Error for OutOfRange {}

/// Memory that another core or process reads and writes too.
///
/// A port whose shared RAM needs cache maintenance or stronger barriers than the processor's ordinary ones implements
/// this over a [`SharedRegion`] and adds them.
pub trait SharedMemory {
    /// Size in bytes.
    fn length(&self) -> usize;

    /// Copies the bytes at `offset` out. They may change while they are copied.
    ///
    /// # Errors
    /// [`OutOfRange`]; `bytes` is then as it was.
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfRange>;

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`OutOfRange`]; the memory is then as it was.
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange>;

    /// Loads the word at `offset`, a multiple of 4, in one access. What the peer wrote before it stored the value
    /// that this returns is seen by every later read (acquire).
    ///
    /// # Errors
    /// [`OutOfRange`].
    fn load(&self, offset: usize) -> Result<u32, OutOfRange>;

    /// Stores the word at `offset`, a multiple of 4, in one access, after everything that was written before
    /// (release).
    ///
    /// # Errors
    /// [`OutOfRange`]; the memory is then as it was.
    fn store(&self, offset: usize, word: u32) -> Result<(), OutOfRange>;
}

impl<M: SharedMemory + ?Sized> SharedMemory for &M {
    fn length(&self) -> usize {
        (**self).length()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        (**self).read(offset, bytes)
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        (**self).write(offset, bytes)
    }

    fn load(&self, offset: usize) -> Result<u32, OutOfRange> {
        (**self).load(offset)
    }

    fn store(&self, offset: usize, word: u32) -> Result<(), OutOfRange> {
        (**self).store(offset, word)
    }
}

/// A piece of shared memory: an address and a size in bytes.
#[derive(Debug, Clone, Copy)]
pub struct SharedRegion<'a> {
    /// Aligned to 4 bytes.
    start: NonNull<u8>,
    length: usize,
    memory: PhantomData<&'a [AtomicU32]>,
}

// SAFETY: a region is a shared reference to atomics, which is `Send` and `Sync`; every access through it is atomic.
unsafe impl Send for SharedRegion<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedRegion<'_> {}

impl<'a> SharedRegion<'a> {
    /// The memory of `words`: for two threads, or for RAM that a linker script places.
    #[must_use]
    pub const fn new(words: &'a [AtomicU32]) -> Self {
        let start = NonNull::from_ref(words).cast();
        Self { start, length: size_of_val(words), memory: PhantomData }
    }

    /// The memory of `length` bytes at `start`. `None` if `start` is null or no multiple of 4.
    ///
    /// # Safety
    /// For all of `'a`, the `length` bytes at `start` are mapped, readable and writable, belong to one allocation as
    /// far as Rust knows of it, and no reference to any of them exists except to atomics; whoever else accesses them
    /// from within this program does so with atomics too. What another process or core does to them does not matter.
    #[must_use]
    pub unsafe fn from_raw_parts(start: *mut u8, length: usize) -> Option<Self> {
        let start = NonNull::new(start)?;
        start.cast::<AtomicU32>().is_aligned().then_some(Self { start, length, memory: PhantomData })
    }

    /// The part of `length` bytes at `offset`, a multiple of 4; `None` if it does not lie within.
    #[must_use]
    pub fn part(&self, offset: usize, length: usize) -> Option<Self> {
        let at = self.at(offset, length).ok()?;
        let start = NonNull::new(at)?;
        start.cast::<AtomicU32>().is_aligned().then_some(Self { start, length, memory: PhantomData })
    }

    /// The address of `offset`, after which `length` bytes lie within.
    fn at(&self, offset: usize, length: usize) -> Result<*mut u8, OutOfRange> {
        match self.length.checked_sub(offset) {
            Some(left) if length <= left => Ok(self.start.as_ptr().wrapping_add(offset)),
            _ => Err(OutOfRange),
        }
    }

    fn word(&self, offset: usize) -> Result<&AtomicU32, OutOfRange> {
        let at = self.at(offset, size_of::<u32>())?.cast::<u32>();
        if !at.is_aligned() {
            return Err(OutOfRange);
        }
        // SAFETY: four bytes at `at` lie within the region and `at` is aligned; the constructors' conditions say that
        // they are valid for `'a`, which outlives `&self`, and that everybody here uses atomics.
        Ok(unsafe { AtomicU32::from_ptr(at) })
    }
}

/// The byte at `at` as an atomic.
///
/// # Safety
/// As [`AtomicU8::from_ptr`], for as long as the result is used.
const unsafe fn byte<'b>(at: *mut u8) -> &'b AtomicU8 {
    // SAFETY: the caller's.
    unsafe { AtomicU8::from_ptr(at) }
}

/// The machine word at `at` as an atomic.
///
/// # Safety
/// As [`AtomicUsize::from_ptr`], for as long as the result is used.
const unsafe fn machine_word<'b>(at: *mut u8) -> &'b AtomicUsize {
    // SAFETY: the caller's.
    unsafe { AtomicUsize::from_ptr(at.cast()) }
}

impl SharedMemory for SharedRegion<'_> {
    fn length(&self) -> usize {
        self.length
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        let mut at = self.at(offset, bytes.len())?;
        // Single bytes up to an aligned address, then words, then what is left of the last one.
        let head = at.align_offset(WORD).min(bytes.len());
        let (head, rest) = bytes.split_at_mut(head);
        let (words, tail) = rest.as_chunks_mut::<WORD>();
        for to in head {
            // SAFETY: `at` moves through `bytes.len()` bytes, which lie within the region (checked above) and are
            // valid, accessed by atomics only, by the constructors' conditions.
            *to = unsafe { byte(at) }.load(Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        for to in words {
            // SAFETY: as above, and `at` is aligned: the head ended where it became so.
            *to = unsafe { machine_word(at) }.load(Ordering::Relaxed).to_ne_bytes();
            at = at.wrapping_add(WORD);
        }
        for to in tail {
            // SAFETY: as for the head.
            *to = unsafe { byte(at) }.load(Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        Ok(())
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        let mut at = self.at(offset, bytes.len())?;
        let head = at.align_offset(WORD).min(bytes.len());
        let (head, rest) = bytes.split_at(head);
        let (words, tail) = rest.as_chunks::<WORD>();
        for from in head {
            // SAFETY: as in `read`.
            unsafe { byte(at) }.store(*from, Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        for from in words {
            // SAFETY: as in `read`, and `at` is aligned: the head ended where it became so.
            unsafe { machine_word(at) }.store(usize::from_ne_bytes(*from), Ordering::Relaxed);
            at = at.wrapping_add(WORD);
        }
        for from in tail {
            // SAFETY: as in `read`.
            unsafe { byte(at) }.store(*from, Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        Ok(())
    }

    fn load(&self, offset: usize) -> Result<u32, OutOfRange> {
        Ok(self.word(offset)?.load(Ordering::Acquire))
    }

    fn store(&self, offset: usize, word: u32) -> Result<(), OutOfRange> {
        self.word(offset)?.store(word, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_every_offset_and_length() {
        let words: [AtomicU32; 12] = core::array::from_fn(|_| AtomicU32::new(0));
        let region = SharedRegion::new(&words);
        assert_eq!(region.length(), 48);
        for offset in 0..=48 {
            for length in 0..=48 - offset {
                region.write(0, &[0xEE; 48]).unwrap();
                let bytes: [u8; 48] = core::array::from_fn(|at| at as u8);
                region.write(offset, &bytes[..length]).unwrap();
                let mut all = [0; 48];
                region.read(0, &mut all).unwrap();
                assert_eq!(all[offset..offset + length], bytes[..length]);
                assert!(all[..offset].iter().chain(&all[offset + length..]).all(|byte| *byte == 0xEE));
                let mut back = [0; 48];
                region.read(offset, &mut back[..length]).unwrap();
                assert_eq!(back[..length], bytes[..length]);
            }
        }
    }

    #[test]
    fn nothing_outside_is_touched() {
        let words: [AtomicU32; 4] = core::array::from_fn(|_| AtomicU32::new(7));
        let region = SharedRegion::new(&words[1..3]);
        for (offset, length) in [(0, 9), (8, 1), (9, 0), (usize::MAX, 1), (1, usize::MAX), (4, 5)] {
            let length = length.min(16);
            assert_eq!(region.read(offset, &mut [0; 16][..length]), Err(OutOfRange), "{offset} {length}");
            assert_eq!(region.write(offset, &[0; 16][..length]), Err(OutOfRange));
        }
        for offset in [1, 2, 3, 6, 8, usize::MAX - 3, usize::MAX] {
            assert_eq!(region.load(offset), Err(OutOfRange));
            assert_eq!(region.store(offset, 0), Err(OutOfRange));
        }
        assert_eq!(region.write(8, &[]), Ok(()));
        assert!(region.part(4, 4).is_some() && region.part(8, 0).is_some());
        assert!(region.part(2, 4).is_none() && region.part(4, 5).is_none() && region.part(12, 0).is_none());
        region.part(4, 4).unwrap().store(0, 9).unwrap();
        assert_eq!(words.map(AtomicU32::into_inner), [7, 7, 9, 7]);
    }

    #[test]
    fn an_address_that_is_none_or_odd() {
        let words = [const { AtomicU32::new(0) }; 2];
        let start = words.as_ptr().cast_mut().cast::<u8>();
        // SAFETY: none of the regions is used.
        unsafe {
            assert!(SharedRegion::from_raw_parts(core::ptr::null_mut(), 0).is_none());
            assert!(SharedRegion::from_raw_parts(start.wrapping_add(2), 4).is_none());
            assert!(SharedRegion::from_raw_parts(start, 8).is_some());
        }
    }
}
