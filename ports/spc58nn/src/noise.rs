//! The true random number generator.

use crate::registers::{FAULT, PATIENCE, READY, Register, Registers};
use casemate_crypto::Error;
use casemate_device::NoiseRegisters;

/// The registers of the module's random number generator.
#[derive(Debug, Clone, Copy)]
pub struct Trng<R>(R);

impl<R: Registers> NoiseRegisters for Trng<R> {
    fn word(&self) -> Result<Option<u32>, Error> {
        let status = self.0.read(Register::TrngStatus);
        if status & FAULT != 0 {
            return Err(Error::Entropy);
        }
        Ok((status & READY != 0).then(|| self.0.read(Register::TrngData)))
    }
}

/// The module's random number generator as a noise source.
pub type Noise<R> = casemate_device::Noise<Trng<R>>;

/// The noise source behind `registers`.
pub const fn noise<R: Registers>(registers: R) -> Noise<R> {
    Noise::new(Trng(registers), PATIENCE)
}
