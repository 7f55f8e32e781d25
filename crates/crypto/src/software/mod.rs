//! The portable driver.

mod aead;
pub(crate) mod aes;
mod cbc_mac;
#[cfg(feature = "ccm")]
mod ccm;
mod cipher;
#[cfg(feature = "curve25519")]
mod curve25519;
#[cfg(feature = "elliptic-curves")]
mod elliptic_curve;
#[cfg(feature = "gcm")]
mod gcm;
mod hash;
mod mac;
#[cfg(feature = "ml-dsa")]
mod ml_dsa;
#[cfg(feature = "ml-kem")]
mod ml_kem;
// With tables the libraries' own way is faster, and memory is no matter.
#[cfg(all(
    any(feature = "curve25519", feature = "elliptic-curves"),
    any(test, not(feature = "precomputed-tables"))
))]
mod public_multiples;
#[cfg(feature = "rsa")]
mod rsa;

pub(crate) use cbc_mac::CbcMac;
#[cfg(feature = "gcm")]
pub use gcm::{gcm_open_from_cipher, gcm_seal_from_cipher};
#[cfg(feature = "rsa")]
pub use rsa::RsaComponents;
#[cfg(feature = "rsa")]
pub(crate) use rsa::check_private;

#[cfg(any(feature = "ccm", feature = "gcm"))]
use crate::{AES_BLOCK, constant_time_equal};
use crate::{Error, Random};

// Families that this build lacks decline every operation.
#[cfg(not(feature = "curve25519"))]
impl<R> crate::Curve25519 for Software<R> {}
#[cfg(not(feature = "elliptic-curves"))]
impl<R> crate::EllipticCurve for Software<R> {}
#[cfg(not(feature = "ml-dsa"))]
impl<R> crate::MlDsa for Software<R> {}
#[cfg(not(feature = "ml-kem"))]
impl<R> crate::MlKem for Software<R> {}
#[cfg(not(feature = "rsa"))]
impl<R> crate::Rsa for Software<R> {}

/// The portable driver: every operation whose feature is on, with `core` alone. Random numbers come from `R`.
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

/// What was made, in its place: a key schedule or a modulus has hundreds of bytes, and moving it out of its `Result` would
/// take the stack for two.
pub(crate) fn in_place<T>(made: &Result<T, Error>) -> Result<&T, Error> {
    made.as_ref().map_err(|error| *error)
}

/// Whether `tag` is the beginning of `full`, the tag that a message has.
#[cfg(any(feature = "ccm", feature = "gcm"))]
fn verify(full: &[u8; AES_BLOCK], tag: &[u8]) -> Result<(), Error> {
    let expected = full.get(..tag.len()).ok_or(Error::TagLength)?;
    if constant_time_equal(expected, tag) { Ok(()) } else { Err(Error::Authentication) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    use crate::NoRandom;

    /// A driver without random numbers.
    pub(crate) fn driver() -> Software<NoRandom> {
        Software::new(NoRandom)
    }

    pub(crate) fn bytes(text: &str) -> std::vec::Vec<u8> {
        hex::decode(text).unwrap()
    }
}
