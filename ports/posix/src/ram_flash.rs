//! Flash in RAM that outlives a restart of the simulated device, and can lose its power at a chosen moment.

use casemate_nvm::{Flash, RamFlash, RamFlashError};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A flash chip in RAM, programmed and erased in the units of [`FileFlash`](crate::flash::FileFlash). Clones are the same
/// chip; its content is gone with the last of them.
#[derive(Debug, Clone)]
pub struct RamChip(Arc<Mutex<Chip>>);

#[derive(Debug)]
struct Chip {
    flash: RamFlash<Vec<u8>, 8, 8>,
    /// Writes and erases that still succeed; `None` for all.
    remaining: Option<u32>,
}

/// Why an operation on a [`RamChip`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RamChipError {
    /// The simulated power is off.
    NoPower,
    /// The flash refused it.
    Flash(RamFlashError),
}

impl fmt::Display for RamChipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPower => f.write_str("the simulated power is off"),
            Self::Flash(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RamChipError {}

impl NorFlashError for RamChipError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NoPower => NorFlashErrorKind::Other,
            Self::Flash(error) => error.kind(),
        }
    }
}

impl RamChip {
    /// A blank chip of two partitions of this size in bytes.
    #[must_use]
    pub fn new(partition_size: usize) -> Self {
        let flash = RamFlash::new(vec![0; 2 * partition_size], 0xFF);
        Self(Arc::new(Mutex::new(Chip { flash, remaining: None })))
    }

    /// Cuts the power after so many more writes and erases. The one after them changes the first half of its range, and
    /// reports an error as everything after it does, until [`restore_power`](Self::restore_power).
    pub fn cut_power_after(&self, operations: u32) {
        self.chip().remaining = Some(operations);
    }

    /// Switches the power on again, and forgets a cut that did not happen.
    pub fn restore_power(&self) {
        self.chip().remaining = None;
    }

    /// A thread that failed within a method left the bytes as a power cut would have.
    fn chip(&self) -> MutexGuard<'_, Chip> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what changes the flash: whole, in half, or not at all.
    fn change(
        &self,
        length: usize,
        work: impl Fn(&mut RamFlash<Vec<u8>, 8, 8>, usize) -> Result<(), RamFlashError>,
    ) -> Result<(), RamChipError> {
        let mut chip = self.chip();
        match chip.remaining {
            None => work(&mut chip.flash, length).map_err(RamChipError::Flash),
            Some(0) => Err(RamChipError::NoPower),
            Some(1) => {
                chip.remaining = Some(0);
                let half = length / 2 / 8 * 8;
                if half > 0 {
                    work(&mut chip.flash, half).map_err(RamChipError::Flash)?;
                }
                Err(RamChipError::NoPower)
            }
            Some(more) => {
                chip.remaining = Some(more - 1);
                work(&mut chip.flash, length).map_err(RamChipError::Flash)
            }
        }
    }
}

impl ErrorType for RamChip {
    type Error = RamChipError;
}

impl ReadNorFlash for RamChip {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamChipError> {
        let mut chip = self.chip();
        if chip.remaining == Some(0) {
            return Err(RamChipError::NoPower);
        }
        chip.flash.read(offset, bytes).map_err(RamChipError::Flash)
    }

    fn capacity(&self) -> usize {
        self.chip().flash.capacity()
    }
}

impl NorFlash for RamChip {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 8;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamChipError> {
        let length = to.checked_sub(from).ok_or(RamChipError::Flash(RamFlashError::OutOfBounds))?;
        self.change(length as usize, |flash, length| {
            let length = u32::try_from(length).map_err(|_| RamFlashError::OutOfBounds)?;
            flash.erase(from, from.checked_add(length).ok_or(RamFlashError::OutOfBounds)?)
        })
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamChipError> {
        self.change(bytes.len(), |flash, length| flash.write(offset, &bytes[..length]))
    }
}

impl Flash for RamChip {
    fn erased_byte(&self) -> u8 {
        self.chip().flash.erased_byte()
    }

    fn lock(&mut self, from: u32, to: u32) -> Result<(), RamChipError> {
        self.chip().flash.lock(from, to).map_err(RamChipError::Flash)
    }

    fn unlock(&mut self, from: u32, to: u32) -> Result<(), RamChipError> {
        self.chip().flash.unlock(from, to).map_err(RamChipError::Flash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_chip_and_a_cut_write_is_half_done() {
        let mut chip = RamChip::new(64);
        let mut other = chip.clone();
        chip.write(0, &[1; 16]).unwrap();
        chip.cut_power_after(2);
        chip.write(16, &[2; 16]).unwrap();
        assert_eq!(chip.write(32, &[3; 16]), Err(RamChipError::NoPower));
        assert_eq!(chip.read(0, &mut [0; 8]), Err(RamChipError::NoPower));
        assert_eq!(other.erase(0, 8), Err(RamChipError::NoPower));
        other.restore_power();
        let mut bytes = [0; 48];
        other.read(0, &mut bytes).unwrap();
        assert_eq!(bytes[..32], [[1; 16], [2; 16]].concat());
        assert_eq!(bytes[32..], [[3; 8], [0xFF; 8]].concat());
    }
}
