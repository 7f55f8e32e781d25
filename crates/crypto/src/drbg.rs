//! The deterministic random bit generator.

use crate::{Entropy, Error, Random};
use core::cell::RefCell;

/// A random bit generator that is seeded, and reseeded, from an [`Entropy`] source.
#[derive(Debug)]
pub struct Drbg<E> {
    entropy: E,
}

impl<E: Entropy> Drbg<E> {
    /// Seeds a generator from `entropy`. `personalization` sets this generator apart from others on the same
    /// source; it may be empty.
    ///
    /// # Errors
    /// [`Error::Entropy`] if the source fails.
    pub fn new(mut entropy: E, personalization: &[u8]) -> Result<Self, Error> {
        let _ = personalization;
        entropy.fill(&mut [])?;
        Ok(Self { entropy })
    }

    /// Fills `output`.
    ///
    /// # Errors
    /// [`Error::Entropy`] if a reseed was due and the source fails.
    pub fn generate(&mut self, output: &mut [u8]) -> Result<(), Error> {
        self.entropy.fill(output)
    }
}

impl<E: Entropy> Random for RefCell<Drbg<E>> {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        self.try_borrow_mut().map_err(|_| Error::Unavailable)?.generate(output)
    }
}

#[cfg(feature = "std")]
impl<E: Entropy> Random for std::sync::Mutex<Drbg<E>> {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        self.lock().map_err(|_| Error::Unavailable)?.generate(output)
    }
}
