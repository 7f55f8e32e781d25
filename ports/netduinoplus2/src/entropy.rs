//! The noise source. The STM32F405 has a random number generator, which the emulated board lacks: there the noise is that of
//! the machine which runs the emulator.

use crate::machine::Source;
use casemate_crypto::{Entropy, Error};

/// Bits of min-entropy in each byte that [`NoiseSource`] delivers, 1 to 8. The emulator's host gives full entropy.
pub const MIN_ENTROPY: u8 = 8;

/// The noise source.
#[derive(Debug)]
pub struct NoiseSource(Source);

impl NoiseSource {
    pub(crate) fn new() -> Self {
        Self(Source::new())
    }
}

impl Entropy for NoiseSource {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        if self.0.fill(output) { Ok(()) } else { Err(Error::Entropy) }
    }
}
