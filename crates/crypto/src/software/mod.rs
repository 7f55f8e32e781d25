//! The portable driver.

use crate::{Aead, Cipher, Error, Hash, Mac, Random};

/// The portable driver: every operation, with `core` alone. Random numbers come from `R`.
///
/// It holds no key and no state of an operation, so it may be shared as freely as `R` may.
#[derive(Clone, Copy, Debug, Default)]
pub struct Software<R> {
    random: R,
}

impl<R: Random> Software<R> {
    /// A driver that takes its random numbers from `random`.
    pub const fn new(random: R) -> Self {
        Self { random }
    }

    /// The source of random numbers.
    pub const fn random(&self) -> &R {
        &self.random
    }
}

impl<R: Random> Random for Software<R> {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        self.random.fill(output)
    }
}

impl<R> Hash for Software<R> {}
impl<R> Mac for Software<R> {}
impl<R> Cipher for Software<R> {}
impl<R> Aead for Software<R> {}
