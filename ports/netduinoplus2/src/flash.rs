//! NOR flash that holds the object store: in emulation, cells of RAM that behave as the flash of an STM32F405 does, whose
//! controller QEMU does not have.
//!
//! The STM32F405 erases sectors, the first four of which have 16 KiB, to ones, and programs words of 4 bytes at the usual
//! supply voltage (ST's reference manual RM0090, "Embedded flash memory interface").

use crate::machine::CELLS;
use casemate_nvm::Flash;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Bytes that one programming operation writes.
pub const PROGRAM_SIZE: usize = 4;
/// Bytes that one erase operation erases.
pub const SECTOR_SIZE: usize = 0x4000;
/// Bytes of flash for the store: two partitions of two sectors.
pub const FLASH_SIZE: usize = 4 * SECTOR_SIZE;

/// Why flash did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlashError {
    /// Offset or length is no multiple of the unit.
    NotAligned,
    /// The range does not lie inside the flash.
    OutOfBounds,
    /// Programming or erasing failed, or what is to be programmed is not erased.
    Controller,
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAligned => "offset or length is no multiple of the flash's unit",
            Self::OutOfBounds => "the range does not lie inside the flash",
            Self::Controller => "the flash could not be programmed or erased",
        })
    }
}

impl core::error::Error for FlashError {}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::Controller => NorFlashErrorKind::Other,
        }
    }
}

/// The flash. A cell holds the complement of its word: RAM that nobody has touched is zero, and flash is then erased.
#[derive(Debug, Default)]
pub struct DataFlash {
    /// Operations until the power fails, if it is to fail.
    operations_left: Option<u32>,
    is_off: bool,
}

impl DataFlash {
    pub(crate) const fn new() -> Self {
        Self { operations_left: None, is_off: false }
    }

    /// Lets the power fail in the middle of the operation after `operations` more.
    pub(crate) const fn cut_power_after(&mut self, operations: u32) {
        self.operations_left = Some(operations);
    }

    pub(crate) const fn restore_power(&mut self) {
        *self = Self::new();
    }

    /// Checks a range and returns its cells.
    fn range(offset: u32, length: usize, unit: usize) -> Result<&'static [AtomicU32], FlashError> {
        let start = usize::try_from(offset).map_err(|_| FlashError::OutOfBounds)?;
        let end = start.checked_add(length).ok_or(FlashError::OutOfBounds)?;
        if !start.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(FlashError::NotAligned);
        }
        CELLS.get(start / PROGRAM_SIZE..end / PROGRAM_SIZE).ok_or(FlashError::OutOfBounds)
    }

    /// Does an operation on as many cells as the power lasts for.
    fn operate(&mut self, cells: &[AtomicU32], change: impl Fn(usize, &AtomicU32)) -> Result<(), FlashError> {
        if self.is_off {
            return Err(FlashError::Controller);
        }
        self.is_off = self.operations_left == Some(0);
        self.operations_left = self.operations_left.and_then(|left| left.checked_sub(1));
        let count = if self.is_off { cells.len() / 2 } else { cells.len() };
        cells.iter().take(count).enumerate().for_each(|(index, cell)| change(index, cell));
        if self.is_off { Err(FlashError::Controller) } else { Ok(()) }
    }
}

impl ErrorType for DataFlash {
    type Error = FlashError;
}

impl ReadNorFlash for DataFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let start = usize::try_from(offset).map_err(|_| FlashError::OutOfBounds)?;
        let end = start.checked_add(bytes.len()).ok_or(FlashError::OutOfBounds)?;
        if end > FLASH_SIZE {
            return Err(FlashError::OutOfBounds);
        }
        for (at, byte) in (start..end).zip(bytes) {
            let cell = CELLS.get(at / PROGRAM_SIZE).ok_or(FlashError::OutOfBounds)?;
            let word = (!cell.load(Relaxed)).to_le_bytes();
            *byte = word.get(at % PROGRAM_SIZE).copied().ok_or(FlashError::OutOfBounds)?;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        FLASH_SIZE
    }
}

impl NorFlash for DataFlash {
    const WRITE_SIZE: usize = PROGRAM_SIZE;
    const ERASE_SIZE: usize = SECTOR_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfBounds)?;
        let length = usize::try_from(length).map_err(|_| FlashError::OutOfBounds)?;
        let cells = Self::range(from, length, SECTOR_SIZE)?;
        cells
            .chunks(SECTOR_SIZE / PROGRAM_SIZE)
            .try_for_each(|sector| self.operate(sector, |_, cell| cell.store(0, Relaxed)))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let cells = Self::range(offset, bytes.len(), PROGRAM_SIZE)?;
        if cells.iter().any(|cell| cell.load(Relaxed) != 0) {
            return Err(FlashError::Controller);
        }
        let (words, _) = bytes.as_chunks::<PROGRAM_SIZE>();
        self.operate(cells, |index, cell| {
            let word = words.get(index).copied().map_or(0, |word| !u32::from_le_bytes(word));
            cell.store(word, Relaxed);
        })
    }
}

impl Flash for DataFlash {
    fn erased_byte(&self) -> u8 {
        0xFF
    }

    /// There is no lock.
    fn lock(&mut self, _: u32, _: u32) -> Result<(), FlashError> {
        Ok(())
    }

    fn unlock(&mut self, _: u32, _: u32) -> Result<(), FlashError> {
        Ok(())
    }
}
