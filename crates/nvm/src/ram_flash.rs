//! Flash in RAM.

use crate::Flash;
use core::fmt;
use core::ops::Range;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// NOR flash in RAM: a write is refused unless all its bytes are erased, and offsets and sizes must be aligned, as on
/// a real device. `S` holds the bytes (an array, a slice, a vector). Starts unlocked.
///
/// `WRITE` is the unit of programming, `ERASE` that of erasing, in bytes. Single bytes can be read.
#[derive(Debug, Clone)]
pub struct RamFlash<S, const WRITE: usize = 8, const ERASE: usize = 64> {
    storage: S,
    erased_byte: u8,
    locked: bool,
}

/// Why an operation on a [`RamFlash`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RamFlashError {
    /// The range does not lie inside the flash.
    OutOfBounds,
    /// Offset or size is not a multiple of the unit.
    NotAligned,
    /// A byte to be written is not erased.
    NotBlank,
    /// The flash is locked.
    Locked,
}

impl fmt::Display for RamFlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfBounds => "the range does not lie inside the flash",
            Self::NotAligned => "offset or size is not a multiple of the flash's unit",
            Self::NotBlank => "a byte to be written is not erased",
            Self::Locked => "the flash is locked",
        })
    }
}

impl core::error::Error for RamFlashError {}

impl NorFlashError for RamFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::NotBlank | Self::Locked => NorFlashErrorKind::Other,
        }
    }
}

impl<S: AsRef<[u8]> + AsMut<[u8]>, const WRITE: usize, const ERASE: usize> RamFlash<S, WRITE, ERASE> {
    /// Erased flash.
    pub fn new(mut storage: S, erased_byte: u8) -> Self {
        storage.as_mut().fill(erased_byte);
        Self::from_image(storage, erased_byte)
    }

    /// Flash that holds what `storage` holds.
    pub const fn from_image(storage: S, erased_byte: u8) -> Self {
        Self { storage, erased_byte, locked: false }
    }

    /// The content.
    pub fn image(&self) -> &[u8] {
        self.storage.as_ref()
    }

    /// Gives the storage back.
    pub fn into_storage(self) -> S {
        self.storage
    }

    fn slice(&mut self, offset: u32, length: usize, unit: usize) -> Result<&mut [u8], RamFlashError> {
        let range = checked_range(offset, length, unit)?;
        self.storage.as_mut().get_mut(range).ok_or(RamFlashError::OutOfBounds)
    }
}

fn checked_range(offset: u32, length: usize, unit: usize) -> Result<Range<usize>, RamFlashError> {
    let start = usize::try_from(offset).map_err(|_| RamFlashError::OutOfBounds)?;
    let end = start.checked_add(length).ok_or(RamFlashError::OutOfBounds)?;
    if start.checked_rem(unit) != Some(0) || length.checked_rem(unit) != Some(0) {
        return Err(RamFlashError::NotAligned);
    }
    Ok(start..end)
}

impl<S, const WRITE: usize, const ERASE: usize> ErrorType for RamFlash<S, WRITE, ERASE> {
    type Error = RamFlashError;
}

impl<S: AsRef<[u8]> + AsMut<[u8]>, const WRITE: usize, const ERASE: usize> ReadNorFlash
    for RamFlash<S, WRITE, ERASE>
{
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamFlashError> {
        let from = self.slice(offset, bytes.len(), 1)?;
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.storage.as_ref().len()
    }
}

impl<S: AsRef<[u8]> + AsMut<[u8]>, const WRITE: usize, const ERASE: usize> NorFlash
    for RamFlash<S, WRITE, ERASE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        let length = to.checked_sub(from).ok_or(RamFlashError::OutOfBounds)?;
        let length = usize::try_from(length).map_err(|_| RamFlashError::OutOfBounds)?;
        let erased_byte = self.erased_byte;
        let locked = self.locked;
        let range = self.slice(from, length, ERASE)?;
        if locked {
            return Err(RamFlashError::Locked);
        }
        range.fill(erased_byte);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        let erased_byte = self.erased_byte;
        let locked = self.locked;
        let range = self.slice(offset, bytes.len(), WRITE)?;
        if range.iter().any(|&byte| byte != erased_byte) {
            return Err(RamFlashError::NotBlank);
        }
        if locked {
            return Err(RamFlashError::Locked);
        }
        for (to, from) in range.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(())
    }
}

impl<S: AsRef<[u8]> + AsMut<[u8]>, const WRITE: usize, const ERASE: usize> Flash
    for RamFlash<S, WRITE, ERASE>
{
    fn erased_byte(&self) -> u8 {
        self.erased_byte
    }
    fn lock(&mut self, _: u32, _: u32) -> Result<(), RamFlashError> {
        self.locked = true;
        Ok(())
    }
    fn unlock(&mut self, _: u32, _: u32) -> Result<(), RamFlashError> {
        self.locked = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_once_and_checks_ranges() {
        for erased in [0xFF, 0x00] {
            let mut flash = RamFlash::<_, 8, 32>::new([0x55; 64], erased);
            assert!(flash.image().iter().all(|&byte| byte == erased));
            flash.write(8, &[1, 2, 3, 4, 5, 6, 7, erased]).unwrap();
            assert_eq!(flash.write(8, &[0x5A; 8]), Err(RamFlashError::NotBlank));
            assert_eq!(flash.write(4, &[0; 8]), Err(RamFlashError::NotAligned));
            assert_eq!(flash.write(16, &[0; 4]), Err(RamFlashError::NotAligned));
            assert_eq!(flash.write(64, &[0; 8]), Err(RamFlashError::OutOfBounds));
            assert_eq!(flash.write(u32::MAX - 7, &[0; 8]), Err(RamFlashError::OutOfBounds));
            assert_eq!(flash.erase(32, 0), Err(RamFlashError::OutOfBounds));
            assert_eq!(flash.erase(0, 16), Err(RamFlashError::NotAligned));
            assert_eq!(flash.erase(0, 96), Err(RamFlashError::OutOfBounds));
            let mut out = [0; 3];
            flash.read(9, &mut out).unwrap();
            assert_eq!(out, [2, 3, 4]);
            flash.lock(0, 64).unwrap();
            assert_eq!(flash.erase(0, 32), Err(RamFlashError::Locked));
            assert_eq!(flash.write(16, &[1; 8]), Err(RamFlashError::Locked));
            flash.unlock(0, 64).unwrap();
            flash.erase(0, 32).unwrap();
            assert!(flash.into_storage().iter().all(|&byte| byte == erased));
        }
    }
}
