//! The data flash DF1, which belongs to the HSM, as NOR flash.
//!
//! From Infineon's public material on the TC3xx (user manual's chapter on the non-volatile memory, the flash programming
//! training for the TC397):
//!
//! * data flash is programmed in pages of 8 bytes, and a page is programmed once between two erasures: its error
//!   correction code covers the page as a whole;
//! * the erased state is 0, and an erased page reads as zeros without an error;
//! * the smallest piece that can be erased is a logical sector: 4 KiB in single-ended mode, 2 KiB in complement sensing
//!   mode, which is the default of no TC3xx and would be another [`SECTOR_SIZE`];
//! * DF1 of a TC39x has 128 KiB, 32 sectors; DF0 is the application cores';
//! * a command sequence enters page mode, loads the page, and writes it; another one erases; both end with a busy status
//!   and a set of error flags.
//!
//! Not confirmed, because it is in documents under NDA or in the data sheet of each device: the addresses of the HSM's own
//! command interpreter, how long it is busy, the burst forms of the write command, how many erasures a sector survives,
//! and what an interrupted write leaves: the model takes it that what an interrupted operation worked on cannot be read
//! any more.

use crate::registers::{CLEAR_STATUS, ERASE_SECTOR, PAGE_MODE, Register, Registers, WRITE_PAGE, settled};
use casemate_nvm::Flash;
use core::fmt;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Bytes in a page, the unit of programming.
pub const PAGE_SIZE: usize = 8;
/// Bytes in a logical sector in single-ended mode, the unit of erasing.
pub const SECTOR_SIZE: usize = 4096;
/// The same, as steps of offsets.
const PAGE: u32 = 8;
const SECTOR: u32 = 4096;
const _: () = assert!(PAGE as usize == PAGE_SIZE && SECTOR as usize == SECTOR_SIZE);
/// What every byte of an erased sector reads as.
pub const ERASED: u8 = 0;
/// What every byte of a page that cannot be read is taken for: see [`DataFlash`].
pub const UNREADABLE: u8 = 0xFF;

/// Why an operation on the data flash failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFlashError {
    /// The range does not lie inside the flash.
    OutOfBounds,
    /// Offset or length is not a multiple of the unit.
    NotAligned,
    /// A page that is to be programmed is not erased.
    NotBlank,
    /// The driver is locked.
    Locked,
    /// The flash reported a fault, or did not finish.
    Fault,
}

impl fmt::Display for DataFlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfBounds => "the range does not lie inside the data flash",
            Self::NotAligned => {
                "offset or length is not a multiple of a page (8 bytes) or a sector (4096 bytes)"
            }
            Self::NotBlank => "a page that is to be programmed is not erased; erase its sector first",
            Self::Locked => "the data flash is locked; unlock it first",
            Self::Fault => "the data flash reported a fault or did not finish",
        })
    }
}

impl core::error::Error for DataFlashError {}

impl NorFlashError for DataFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// The data flash. It starts locked.
///
/// A page that cannot be read (its error correction code says so) is what a power cut leaves of an operation that was under
/// way. It reads as ones, which are neither erased nor anything that the object store takes for complete: so the store mounts
/// after a power cut, as it does on flash without such a code. Flash that has aged can do the same to complete data, which
/// nobody may take for data then: therefore the store of this port keeps checksums.
#[derive(Debug)]
pub struct DataFlash<R> {
    registers: R,
    locked: bool,
}

impl<R: Registers> DataFlash<R> {
    /// The data flash behind `registers`.
    pub const fn new(registers: R) -> Self {
        Self { registers, locked: true }
    }

    /// Checks a range: the offset, and where it ends.
    fn range(&self, offset: u32, length: usize, unit: usize) -> Result<usize, DataFlashError> {
        let start = usize::try_from(offset).map_err(|_| DataFlashError::OutOfBounds)?;
        let end = start.checked_add(length).ok_or(DataFlashError::OutOfBounds)?;
        if !start.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(DataFlashError::NotAligned);
        }
        if end > self.registers.data_flash_length() {
            return Err(DataFlashError::OutOfBounds);
        }
        Ok(start)
    }

    fn page(&self, offset: usize) -> [u8; PAGE_SIZE] {
        self.registers.read_data_flash(offset).unwrap_or([UNREADABLE; PAGE_SIZE])
    }

    /// Runs a command for `offset` to its end.
    fn run(&self, command: u32, offset: u32) -> Result<(), DataFlashError> {
        self.registers.write(Register::FlashAddress, offset);
        self.registers.write(Register::FlashCommand, command);
        if settled(&self.registers, Register::FlashStatus) {
            return Ok(());
        }
        self.registers.write(Register::FlashCommand, CLEAR_STATUS);
        Err(DataFlashError::Fault)
    }

    fn program(&self, offset: u32, page: &[u8; PAGE_SIZE]) -> Result<(), DataFlashError> {
        let [a, b, c, d, e, f, g, h] = *page;
        self.run(PAGE_MODE, offset)?;
        self.registers.write(Register::FlashPage0, u32::from_le_bytes([a, b, c, d]));
        self.registers.write(Register::FlashPage1, u32::from_le_bytes([e, f, g, h]));
        self.run(WRITE_PAGE, offset)
    }
}

impl<R> ErrorType for DataFlash<R> {
    type Error = DataFlashError;
}

impl<R: Registers> ReadNorFlash for DataFlash<R> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), DataFlashError> {
        let start = self.range(offset, bytes.len(), 1)?;
        let skipped = start & (PAGE_SIZE - 1);
        let first = start.wrapping_sub(skipped);
        let length = if skipped == 0 { 0 } else { bytes.len().min(PAGE_SIZE.saturating_sub(skipped)) };
        let (head, rest) = bytes.split_at_mut(length);
        if !head.is_empty() {
            head.iter_mut().zip(self.page(first).iter().skip(skipped)).for_each(|(to, from)| *to = *from);
        }
        let (pages, tail) = rest.as_chunks_mut::<PAGE_SIZE>();
        let mut at = start.wrapping_add(length);
        for page in pages {
            *page = self.page(at);
            at = at.wrapping_add(PAGE_SIZE);
        }
        if !tail.is_empty() {
            tail.iter_mut().zip(&self.page(at)).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.registers.data_flash_length()
    }
}

impl<R: Registers> NorFlash for DataFlash<R> {
    const WRITE_SIZE: usize = PAGE_SIZE;
    const ERASE_SIZE: usize = SECTOR_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), DataFlashError> {
        let length = to.checked_sub(from).ok_or(DataFlashError::OutOfBounds)?;
        let length = usize::try_from(length).map_err(|_| DataFlashError::OutOfBounds)?;
        self.range(from, length, SECTOR_SIZE)?;
        if self.locked {
            return Err(DataFlashError::Locked);
        }
        let mut sector = from;
        while sector < to {
            self.run(ERASE_SECTOR, sector)?;
            sector = sector.wrapping_add(SECTOR);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), DataFlashError> {
        let start = self.range(offset, bytes.len(), PAGE_SIZE)?;
        let (pages, _) = bytes.as_chunks::<PAGE_SIZE>();
        // All are looked at first: a write that is refused has changed nothing.
        let mut at = start;
        for _ in pages {
            if self.page(at) != [ERASED; PAGE_SIZE] {
                return Err(DataFlashError::NotBlank);
            }
            at = at.wrapping_add(PAGE_SIZE);
        }
        if self.locked {
            return Err(DataFlashError::Locked);
        }
        let mut at = offset;
        for page in pages {
            // A page of erased bytes is there already, and stays free to be programmed.
            if *page != [ERASED; PAGE_SIZE] {
                self.program(at, page)?;
            }
            at = at.wrapping_add(PAGE);
        }
        Ok(())
    }
}

impl<R: Registers> Flash for DataFlash<R> {
    fn erased_byte(&self) -> u8 {
        ERASED
    }

    fn lock(&mut self, _: u32, _: u32) -> Result<(), DataFlashError> {
        self.locked = true;
        Ok(())
    }

    fn unlock(&mut self, _: u32, _: u32) -> Result<(), DataFlashError> {
        self.locked = false;
        Ok(())
    }
}
