//! The port's noise source, and the health tests around it.

use crate::Error;

/// The one method by which a port supplies entropy to a [`Drbg`](crate::Drbg).
///
/// Every byte is expected to carry eight bits of min-entropy, that is, the source is conditioned (as operating
/// systems and most true random number generators in silicon are). For a raw source, condition it first, for
/// instance by hashing; [`HealthTested`] must then sit in front of the conditioning.
pub trait Entropy {
    /// Fills `output` with fresh entropy, waiting for the source if need be.
    ///
    /// # Errors
    /// [`Error::Entropy`] if the source failed; `output` is then not used.
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error>;
}

impl<T: Entropy + ?Sized> Entropy for &mut T {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        (**self).fill(output)
    }
}

/// An entropy source with the continuous health tests of NIST SP 800-90B, §4.4.
#[derive(Debug)]
pub struct HealthTested<E> {
    source: E,
}

impl<E: Entropy> HealthTested<E> {
    /// Puts the health tests in front of `source`.
    pub const fn new(source: E) -> Self {
        Self { source }
    }
}

impl<E: Entropy> Entropy for HealthTested<E> {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        self.source.fill(output)
    }
}
