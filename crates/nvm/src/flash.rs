//! What a store needs of a flash driver.

use embedded_storage::nor_flash::NorFlash;

/// NOR flash that holds a store: two partitions of equal size, the first at offset 0.
///
/// Every method has a default, so `impl Flash for MyFlash {}` is enough for flash that erases to 0xFF, has no lock,
/// and whose `write` and `erase` have reached the medium when they return.
///
/// What the stores demand of [`NorFlash`]:
/// * an erase sets every byte of its range to [`erased_byte`](Self::erased_byte);
/// * a write is only ever made to erased bytes;
/// * when the power fails during a write or an erase, only bytes of its range are affected, in any way.
pub trait Flash: NorFlash {
    /// The value of every erased byte.
    fn erased_byte(&self) -> u8 {
        0xFF
    }

    /// Forbids programming and erasing in `from..to` (byte offsets), or in more than that. Idempotent.
    ///
    /// # Errors
    /// The driver's.
    fn lock(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let _ = (from, to);
        Ok(())
    }

    /// Allows programming and erasing in `from..to` (byte offsets), or in more than that. Idempotent.
    ///
    /// # Errors
    /// The driver's.
    fn unlock(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let _ = (from, to);
        Ok(())
    }

    /// Makes everything written and erased so far durable, and in any case durable before anything that is written
    /// later. A driver whose operations may linger in a cache (a file, for instance) has to flush it here; the store
    /// relies on this for its atomicity.
    ///
    /// # Errors
    /// The driver's. A driver that no longer knows what reached the medium has to fail all later operations too.
    fn commit(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<T: Flash> Flash for &mut T {
    fn erased_byte(&self) -> u8 {
        T::erased_byte(self)
    }
    fn lock(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        T::lock(self, from, to)
    }
    fn unlock(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        T::unlock(self, from, to)
    }
    fn commit(&mut self) -> Result<(), Self::Error> {
        T::commit(self)
    }
}
