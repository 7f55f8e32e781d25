//! The random number family.

use crate::Error;

/// A source of random bytes fit for keys.
pub trait Random {
    /// Fills `output` with random bytes. An empty output always succeeds, if the driver has the family at all.
    ///
    /// # Errors
    /// [`Error::Entropy`] if the generator could not be seeded; `output` must then not be used.
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        let _ = output;
        Err(Error::Unsupported)
    }
}

/// No random numbers: for what needs none, such as hashes, MACs and verification. Declines every request
/// ([`Error::Unsupported`]).
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRandom;

impl Random for NoRandom {}
