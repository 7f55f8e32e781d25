//! NOR flash that holds the object store.

use casemate_nvm::Flash;
use core::fmt;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Bytes that one programming operation writes: the chip's page, or less if it can. Up to 8 the store keeps objects in place
/// ([`casemate_nvm::FlashStore`]); up to 64 it needs a mirror in RAM ([`casemate_nvm::LogStore`]).
pub const PROGRAM_SIZE: usize = 8;
/// Bytes that one erase operation erases: the chip's sector.
pub const SECTOR_SIZE: usize = 4096;
/// Bytes of flash for the store: two partitions, each a whole number of sectors.
pub const FLASH_SIZE: usize = 2 * 4 * SECTOR_SIZE;

/// Why flash did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlashError {
    /// This function is not written yet.
    NotImplemented,
    /// Offset or length is no multiple of the unit.
    NotAligned,
    /// The range does not lie inside the flash.
    OutOfBounds,
    /// The controller reports that programming or erasing failed, or a bit error that it cannot correct.
    Controller,
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotImplemented => "the flash driver is not written yet",
            Self::NotAligned => "offset or length is no multiple of the flash's unit",
            Self::OutOfBounds => "the range does not lie inside the flash",
            Self::Controller => "the flash controller reports an error",
        })
    }
}

impl core::error::Error for FlashError {}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotImplemented | Self::Controller => NorFlashErrorKind::Other,
        }
    }
}

/// The flash controller, and the part of the flash that belongs to the HSM.
#[derive(Debug)]
pub struct DataFlash {}

impl ErrorType for DataFlash {
    type Error = FlashError;
}

impl ReadNorFlash for DataFlash {
    /// The unit of reading: 1 where flash is memory-mapped.
    const READ_SIZE: usize = 1;

    /// Copies `bytes.len()` bytes from `offset`, counted from the first byte of the store's flash.
    ///
    /// **Flow.** Check that the range lies inside [`capacity`](Self::capacity); copy; look at the ECC status.
    ///
    /// **Errors.** [`FlashError::OutOfBounds`]; [`FlashError::Controller`] on a bit error that was not corrected. Erased
    /// flash reads as the erased byte without an error: a controller that cannot read erased pages needs a blank check
    /// here, and delivers erased bytes.
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let _ = (offset, bytes);
        Err(FlashError::NotImplemented)
    }

    /// Size of the store's flash in bytes; always the same.
    fn capacity(&self) -> usize {
        FLASH_SIZE
    }
}

impl NorFlash for DataFlash {
    const WRITE_SIZE: usize = PROGRAM_SIZE;
    const ERASE_SIZE: usize = SECTOR_SIZE;

    /// Erases from `from` up to, not including, `to`.
    ///
    /// **Flow.** Check alignment, then bounds; for each sector: start the erase, wait until the controller is done (seconds
    /// are possible: serve the watchdog), look at its error flags.
    ///
    /// **Errors.** [`FlashError::NotAligned`] and [`FlashError::OutOfBounds`] before anything is erased;
    /// [`FlashError::Controller`]. Power that fails meanwhile may leave any content in the range, and none elsewhere.
    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let _ = (from, to);
        Err(FlashError::NotImplemented)
    }

    /// Programs `bytes` at `offset`. The store writes to erased bytes only.
    ///
    /// **Flow.** Check alignment of offset and length, then bounds; for each page: load it, start programming, wait, look at
    /// the error flags.
    ///
    /// **Errors.** [`FlashError::NotAligned`] and [`FlashError::OutOfBounds`] before anything is programmed;
    /// [`FlashError::Controller`], also if a page was not erased. `Ok` means that the flash holds these bytes. Power that
    /// fails meanwhile may leave any content in the range, and none elsewhere.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let _ = (offset, bytes);
        Err(FlashError::NotImplemented)
    }
}

impl Flash for DataFlash {
    /// The value of an erased byte: 0xFF on most flash, 0x00 on some.
    fn erased_byte(&self) -> u8 {
        0xFF
    }

    /// Forbids programming and erasing in a range, or in more. Optional: without a lock, leave the answer `Ok`.
    ///
    /// **Errors.** The controller's.
    fn lock(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let _ = (from, to);
        Ok(())
    }

    /// Allows it again. Optional, as [`lock`](Self::lock).
    ///
    /// **Errors.** The controller's.
    fn unlock(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let _ = (from, to);
        Ok(())
    }

    /// Returns when everything written and erased so far has reached the medium. Flash whose operations are finished when
    /// they return needs nothing here.
    ///
    /// **Errors.** The controller's; all later operations must then fail too.
    fn commit(&mut self) -> Result<(), FlashError> {
        Ok(())
    }
}
