//! The portable driver.

mod aead;
pub(crate) mod aes;
mod cipher;
mod curve25519;
mod elliptic_curve;
mod hash;
mod mac;
mod ml_dsa;
mod ml_kem;
mod rsa;

pub(crate) use aead::CbcMac;
pub use rsa::RsaComponents;
pub(crate) use rsa::{check_private, check_public};

use crate::{Error, Random};

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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A driver without random numbers.
    pub(crate) struct NoRandom;
    impl Random for NoRandom {}

    pub(crate) fn driver() -> Software<NoRandom> {
        Software::new(NoRandom)
    }

    pub(crate) fn bytes(text: &str) -> std::vec::Vec<u8> {
        hex::decode(text).unwrap()
    }
}
