//! Where images lie: [`ImageMemory`].

use core::fmt;

/// Memory in which images lie: memory-mapped flash, flash behind a driver, a file.
pub trait ImageMemory {
    /// Reads `out.len()` bytes from `address` on.
    ///
    /// # Errors
    /// [`ImageReadError`] if there is no such memory, or it cannot be read.
    fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), ImageReadError>;
}

/// Image memory could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageReadError;

impl fmt::Display for ImageReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the image's memory cannot be read")
    }
}

impl core::error::Error for ImageReadError {}

/// A slice, whose first byte has address 0.
impl ImageMemory for &[u8] {
    fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), ImageReadError> {
        let start = usize::try_from(address).map_err(|_| ImageReadError)?;
        let end = start.checked_add(out.len()).ok_or(ImageReadError)?;
        out.copy_from_slice(self.get(start..end).ok_or(ImageReadError)?);
        Ok(())
    }
}

/// A part of image memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Region {
    /// Where it begins.
    pub address: u64,
    /// Its size in bytes.
    pub size: u32,
}
