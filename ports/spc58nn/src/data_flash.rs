//! The data flash of the HSM as NOR flash.
//!
//! From public documents:
//!
//! * the HSM has flash blocks of its own: 144 KB for code and 32 KB for data (ST's data sheet DS11758 of the SPC584Gx,
//!   SPC58EGx and SPC58NGx; SPC58NNx is their sibling, whose own data sheet could not be consulted);
//! * an erased bit reads 1, and programming only clears bits; the smallest unit is a double word of 64 bits, which carries
//!   one error correction code, so it is programmed once between two erasures (ST's application note AN4194 on the
//!   flash of the SPC56, NXP's reference manuals of the MPC57xx on the C55 flash of this generation);
//! * up to four double words of one page (32 bytes) are programmed in one sequence; one block or several are erased in
//!   one; both sequences are set up in a module configuration register, with an interlock write to the flash, a high
//!   voltage bit, DONE and PEG;
//! * blocks are locked one by one against programming and erasing.
//!
//! Not confirmed: that the 32 KB are two blocks of 16 KB ([`BLOCK_SIZE`]), that the HSM core drives them through registers
//! of its own, how long the operations take, how often a block can be erased, and at which address the core sees them.

use crate::registers::{DONE, ERASE, GOOD, HIGH_VOLTAGE, PATIENCE, PROGRAM, Register, Registers};
use casemate_nvm::Flash;
use core::fmt;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Bytes in a double word, the unit of programming.
pub const DOUBLE_WORD: usize = 8;
/// Bytes in a page: what one sequence can program at most.
pub const PAGE_SIZE: usize = 32;
/// Bytes in a block, the unit of erasing.
pub const BLOCK_SIZE: usize = 0x4000;
/// As many blocks as the lock and select registers have bits.
pub const MAX_BLOCKS: usize = 32;
/// What every byte of an erased block reads as.
pub const ERASED: u8 = 0xFF;
/// What every byte of a double word that cannot be read is taken for: see [`DataFlash`].
pub const UNREADABLE: u8 = 0;

/// Why an operation on the data flash failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFlashError {
    /// The range does not lie inside the flash.
    OutOfBounds,
    /// Offset or length is not a multiple of the unit.
    NotAligned,
    /// A double word that is to be programmed is not erased.
    NotBlank,
    /// A block of the range is locked.
    Locked,
    /// The flash says that the operation was no success, or did not finish.
    Fault,
}

impl fmt::Display for DataFlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfBounds => "the range does not lie inside the data flash",
            Self::NotAligned => {
                "offset or length is not a multiple of a double word (8 bytes) or a block (16384 bytes)"
            }
            Self::NotBlank => "a double word that is to be programmed is not erased; erase its block first",
            Self::Locked => "a block of the data flash is locked; unlock it first",
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

/// The data flash. All blocks start locked.
///
/// A double word that cannot be read (its error correction code says so) is what a power cut leaves of an operation that
/// was under way. It reads as zeros, which are neither erased nor anything that the object store takes for complete: so
/// the store mounts after a power cut, as it does on flash without such a code. Flash that has aged can do the same to
/// complete data, which nobody may take for data then: therefore the store of this port keeps checksums.
#[derive(Debug)]
pub struct DataFlash<R> {
    registers: R,
}

impl<R: Registers> DataFlash<R> {
    /// The data flash behind `registers`.
    pub fn new(registers: R) -> Self {
        registers.write(Register::FlashLock, u32::MAX);
        Self { registers }
    }

    /// Checks a range and returns where it begins and ends.
    fn range(&self, offset: u32, length: usize, unit: usize) -> Result<(usize, usize), DataFlashError> {
        let start = usize::try_from(offset).map_err(|_| DataFlashError::OutOfBounds)?;
        let end = start.checked_add(length).ok_or(DataFlashError::OutOfBounds)?;
        if !start.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(DataFlashError::NotAligned);
        }
        if end > self.capacity() {
            return Err(DataFlashError::OutOfBounds);
        }
        Ok((start, end))
    }

    /// One bit for each block that has a byte in the range.
    fn blocks(start: usize, end: usize) -> u32 {
        (0..u32::BITS)
            .zip((0_usize..).step_by(BLOCK_SIZE))
            .filter(|(_, block)| start < block.saturating_add(BLOCK_SIZE) && *block < end)
            .fold(0, |mask, (index, _)| mask | 1_u32.wrapping_shl(index))
    }

    fn refuse_locked(&self, start: usize, end: usize) -> Result<(), DataFlashError> {
        let locked = self.registers.read(Register::FlashLock) & Self::blocks(start, end) != 0;
        if locked { Err(DataFlashError::Locked) } else { Ok(()) }
    }

    fn double_word(&self, offset: usize) -> [u8; DOUBLE_WORD] {
        self.registers.read_data_flash(offset).unwrap_or([UNREADABLE; DOUBLE_WORD])
    }

    /// Runs the sequence that `setup` (PGM or ERS) begins and `interlock` addresses.
    fn run(&self, setup: u32, interlock: impl FnOnce()) -> Result<(), DataFlashError> {
        let registers = &self.registers;
        registers.write(Register::FlashControl, setup);
        interlock();
        registers.write(Register::FlashControl, setup | HIGH_VOLTAGE);
        let good = (0..PATIENCE)
            .map(|_| registers.read(Register::FlashControl))
            .find(|status| status & DONE != 0)
            .is_some_and(|status| status & GOOD != 0);
        registers.write(Register::FlashControl, setup);
        registers.write(Register::FlashControl, 0);
        good.then_some(()).ok_or(DataFlashError::Fault)
    }

    /// Programs what lies within one page. Double words of erased bytes stay free to be programmed later.
    fn program(&self, offset: usize, bytes: &[u8]) -> Result<(), DataFlashError> {
        let (words, _) = bytes.as_chunks::<DOUBLE_WORD>();
        let used =
            || (offset..).step_by(DOUBLE_WORD).zip(words).filter(|(_, word)| **word != [ERASED; DOUBLE_WORD]);
        if used().next().is_none() {
            return Ok(());
        }
        self.run(PROGRAM, || {
            for (at, word) in used() {
                let (halves, _) = word.as_chunks::<4>();
                for (at, half) in (at..).step_by(4).zip(halves) {
                    self.registers.write_data_flash(at, *half);
                }
            }
        })
    }
}

impl<R> ErrorType for DataFlash<R> {
    type Error = DataFlashError;
}

impl<R: Registers> ReadNorFlash for DataFlash<R> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), DataFlashError> {
        let (start, _) = self.range(offset, bytes.len(), 1)?;
        let mut at = start & !7;
        let mut skipped = start & 7;
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = self.double_word(at);
            let part = word.get(skipped..).unwrap_or_default();
            let (to, left) = rest.split_at_mut(part.len().min(rest.len()));
            to.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            rest = left;
            skipped = 0;
            at = at.saturating_add(DOUBLE_WORD);
        }
        Ok(())
    }

    /// No more than the blocks that the registers have bits for.
    fn capacity(&self) -> usize {
        self.registers.data_flash_length().min(MAX_BLOCKS * BLOCK_SIZE)
    }
}

impl<R: Registers> NorFlash for DataFlash<R> {
    const WRITE_SIZE: usize = DOUBLE_WORD;
    const ERASE_SIZE: usize = BLOCK_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), DataFlashError> {
        let length = to.checked_sub(from).ok_or(DataFlashError::OutOfBounds)?;
        let length = usize::try_from(length).map_err(|_| DataFlashError::OutOfBounds)?;
        let (start, end) = self.range(from, length, BLOCK_SIZE)?;
        self.refuse_locked(start, end)?;
        for block in (start..end).step_by(BLOCK_SIZE) {
            let select = Self::blocks(block, block.saturating_add(1));
            self.registers.write(Register::FlashSelect, select);
            // Any address of the block and any data.
            self.run(ERASE, || self.registers.write_data_flash(block, [ERASED; 4]))?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), DataFlashError> {
        let (start, end) = self.range(offset, bytes.len(), DOUBLE_WORD)?;
        // All are looked at first: a write that is refused has changed nothing.
        if (start..end).step_by(DOUBLE_WORD).any(|at| self.double_word(at) != [ERASED; DOUBLE_WORD]) {
            return Err(DataFlashError::NotBlank);
        }
        self.refuse_locked(start, end)?;
        // The first piece ends where a page does.
        let head = start.next_multiple_of(PAGE_SIZE).saturating_sub(start).min(bytes.len());
        let (head, rest) = bytes.split_at(head);
        self.program(start, head)?;
        let rest_start = start.saturating_add(head.len());
        (rest_start..)
            .step_by(PAGE_SIZE)
            .zip(rest.chunks(PAGE_SIZE))
            .try_for_each(|(at, page)| self.program(at, page))
    }
}

impl<R: Registers> Flash for DataFlash<R> {
    fn erased_byte(&self) -> u8 {
        ERASED
    }

    fn lock(&mut self, _: u32, _: u32) -> Result<(), DataFlashError> {
        self.registers.write(Register::FlashLock, u32::MAX);
        Ok(())
    }

    fn unlock(&mut self, from: u32, to: u32) -> Result<(), DataFlashError> {
        let range = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
        let locked = self.registers.read(Register::FlashLock);
        self.registers.write(Register::FlashLock, locked & !Self::blocks(range(from), range(to)));
        Ok(())
    }
}
