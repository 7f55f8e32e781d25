//! A random number generator behind registers as a noise source.

use casemate_crypto::{Entropy, Error};

/// What the generator's registers say.
pub trait NoiseRegisters {
    /// 32 fresh bits, which are then taken; `None` while there are none yet.
    ///
    /// # Errors
    /// [`Error::Entropy`] if the generator's own tests failed.
    fn word(&self) -> Result<Option<u32>, Error>;
}

/// A random number generator as a noise source. It is used behind health tests
/// ([`HealthTested`](casemate_crypto::HealthTested)): what the generator says of itself is one defence, that its output is
/// looked at is another.
#[derive(Debug, Clone, Copy)]
pub struct Noise<R> {
    registers: R,
    patience: u32,
}

impl<R: NoiseRegisters> Noise<R> {
    /// The generator behind `registers`. It counts as dead when it has no fresh bits `patience` times in a row.
    pub const fn new(registers: R, patience: u32) -> Self {
        Self { registers, patience }
    }

    fn word(&self) -> Result<u32, Error> {
        for _ in 0..self.patience {
            if let Some(word) = self.registers.word()? {
                return Ok(word);
            }
        }
        Err(Error::Entropy)
    }
}

impl<R: NoiseRegisters> Entropy for Noise<R> {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        for part in output.chunks_mut(4) {
            for (to, from) in part.iter_mut().zip(self.word()?.to_le_bytes()) {
                *to = from;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// Has a word at every third look, until `left` are used up; then nothing, or a fault.
    struct Slow {
        looks: Cell<u32>,
        left: Cell<u32>,
        fault: bool,
    }

    impl NoiseRegisters for Slow {
        fn word(&self) -> Result<Option<u32>, Error> {
            self.looks.set(self.looks.get() + 1);
            if !self.looks.get().is_multiple_of(3) {
                return Ok(None);
            }
            match self.left.get().checked_sub(1) {
                Some(left) => self.left.set(left),
                None if self.fault => return Err(Error::Entropy),
                None => return Ok(None),
            }
            Ok(Some(self.looks.get()))
        }
    }

    #[test]
    fn words_are_waited_for_and_not_for_ever() {
        for fault in [false, true] {
            let slow = Slow { looks: Cell::new(0), left: Cell::new(2), fault };
            let mut noise = Noise::new(slow, 3);
            let mut bytes = [0xAA; 6];
            noise.fill(&mut bytes).unwrap();
            assert_eq!(bytes, [3, 0, 0, 0, 6, 0]);
            assert_eq!(noise.fill(&mut bytes), Err(Error::Entropy));
        }
    }
}
