//! Shared memory in this process's address space. The only module of this crate with unsafe code.
#![allow(unsafe_code)]

use casemate_transport::{OutOfRange, SharedMemory, SharedRegion};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

/// A file or shared-memory object, mapped; unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: the mapping belongs to no thread, and everything in it is accessed as atomics (`SharedRegion`).
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn region(&self) -> Option<SharedRegion<'_>> {
        // SAFETY: the `length` bytes at `start` are mapped readable and writable until this value is dropped, which the
        // borrow outlasts; the address came from the operating system, so no Rust object lies there, and nothing in
        // this crate makes references into it other than through `SharedRegion`.
        unsafe { SharedRegion::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping that `Part::map` made, nobody else unmaps it, and no region outlives it.
        // An error leaves it mapped, which costs address space only.
        let _ = unsafe { munmap(self.start.as_ptr(), self.length) };
    }
}

/// A part of a mapping, which it keeps alive.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    mapping: Arc<Mapping>,
    offset: usize,
    length: usize,
}

impl Part {
    /// Maps the first `length` bytes of an object, shared with everybody who maps it.
    pub(crate) fn map(object: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        // SAFETY: with a null address and without MAP_FIXED the operating system picks free address space, so no
        // existing memory is touched.
        let start = unsafe {
            mmap(null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, object, 0)?
        };
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { mapping: Arc::new(Mapping { start, length }), offset: 0, length })
    }

    /// A part of this part; `None` if it does not lie within, or its offset is no multiple of 4.
    pub(crate) fn part(&self, offset: usize, length: usize) -> Option<Self> {
        self.region()?.part(offset, length)?;
        let offset = self.offset.checked_add(offset)?;
        Some(Self { mapping: Arc::clone(&self.mapping), offset, length })
    }

    fn region(&self) -> Option<SharedRegion<'_>> {
        self.mapping.region()?.part(self.offset, self.length)
    }
}

impl SharedMemory for Part {
    fn length(&self) -> usize {
        self.length
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        self.region().ok_or(OutOfRange)?.read(offset, bytes)
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        self.region().ok_or(OutOfRange)?.write(offset, bytes)
    }

    fn load(&self, offset: usize) -> Result<u32, OutOfRange> {
        self.region().ok_or(OutOfRange)?.load(offset)
    }

    fn store(&self, offset: usize, word: u32) -> Result<(), OutOfRange> {
        self.region().ok_or(OutOfRange)?.store(offset, word)
    }
}
