//! The true random number generator.

use crate::registers::{FAULT, PATIENCE, READY, Register, Registers};
use casemate_crypto::{Entropy, Error};

/// The module's random number generator as an entropy source.
///
/// It is used behind health tests: what the generator says of itself is one defence, that its output is looked at is
/// another.
#[derive(Debug, Clone, Copy)]
pub struct Noise<R>(R);

impl<R: Registers> Noise<R> {
    /// The generator behind `registers`.
    pub const fn new(registers: R) -> Self {
        Self(registers)
    }

    fn word(&self) -> Result<u32, Error> {
        for _ in 0..PATIENCE {
            let status = self.0.read(Register::TrngStatus);
            if status & FAULT != 0 {
                return Err(Error::Entropy);
            }
            if status & READY != 0 {
                return Ok(self.0.read(Register::TrngData));
            }
        }
        Err(Error::Entropy)
    }
}

impl<R: Registers> Entropy for Noise<R> {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        for part in output.chunks_mut(4) {
            for (to, from) in part.iter_mut().zip(self.word()?.to_be_bytes()) {
                *to = from;
            }
        }
        Ok(())
    }
}
