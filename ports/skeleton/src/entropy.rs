//! The noise source.

use casemate_crypto::{Entropy, Error};

/// Bits of min-entropy in each byte that [`NoiseSource`] delivers, 1 to 8.
///
/// The chip's manual or its certification report states it; where neither does, measure as NIST SP 800-90B, §3, tells.
/// A number too high lets a weak source pass the health tests; one too low lets only a dead one be found.
pub const MIN_ENTROPY: u8 = 8;

/// The true random number generator of the chip.
#[derive(Debug)]
pub struct NoiseSource {}

impl Entropy for NoiseSource {
    /// Fills `output` with samples of the source.
    ///
    /// **Flow.** For each word: wait until the generator says that one is ready; look at its error flags; read the word.
    /// The wait has an end: a generator that delivers nothing for a hundred times its usual period has failed.
    ///
    /// **Errors.** [`Error::Entropy`] if the generator reports a failed test of its own or delivers nothing. The firmware
    /// then enters its safe state. [`Error::Unsupported`] means here that this function is not written yet.
    ///
    /// The health tests of SP 800-90B, at start-up and continuously, are not this function's business: the firmware puts
    /// them around it.
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        let _ = output;
        Err(Error::Unsupported)
    }
}
