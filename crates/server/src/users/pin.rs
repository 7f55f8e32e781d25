//! PINs: never kept, only what a slow function makes of them.

use casemate_protocol::Status;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What is kept of a PIN: PBKDF2-HMAC-SHA-256 (RFC 8018, §5.2) over the PIN's SHA-256.
///
/// The SHA-256 in between lets a database of the original, which holds nothing else, be taken over.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Verifier {
    pub(crate) salt: [u8; 16],
    pub(crate) iterations: u32,
    pub(crate) hash: [u8; 32],
}

impl Zeroize for Verifier {
    fn zeroize(&mut self) {
        self.salt.zeroize();
        self.iterations.zeroize();
        self.hash.zeroize();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Verifier {}

impl core::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// The SHA-256 of a PIN, wiped when dropped.
pub(crate) struct PinDigest([u8; 32]);

impl PinDigest {
    pub(crate) fn of(pin: &[u8]) -> Self {
        Self(Sha256::digest(pin).into())
    }

    /// The digest that a database of the original holds.
    pub(crate) const fn from_original(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl Drop for PinDigest {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Verifier {
    /// What is to be kept of a new PIN. This takes as long as `iterations` says.
    pub(crate) fn new(pin: &PinDigest, salt: [u8; 16], iterations: u32) -> Self {
        let mut hash = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(&pin.0, &salt, iterations.max(1), &mut hash);
        Self { salt, iterations: iterations.max(1), hash }
    }

    /// Whether this is the PIN. This takes as long as making the verifier did; the comparison takes the same time
    /// wherever the difference lies.
    ///
    /// # Errors
    /// AUTH_LOGIN_FAILED.
    pub(crate) fn check(&self, pin: &PinDigest) -> Result<(), Status> {
        let found = Self::new(pin, self.salt, self.iterations);
        if casemate_crypto::constant_time_equal(&found.hash, &self.hash) {
            Ok(())
        } else {
            Err(Status::AUTH_LOGIN_FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against Python: `hashlib.pbkdf2_hmac("sha256", hashlib.sha256(b"1234").digest(), bytes(range(16)), 1000)`.
    #[test]
    fn verifiers_are_what_an_independent_implementation_computes() {
        let salt = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let verifier = Verifier::new(&PinDigest::of(b"1234"), salt, 1000);
        assert_eq!(
            hex::encode(verifier.hash),
            "21f08695b25c1a54a6a943013de8e8823e06f4dbb2b5f535d75612228dbb345d"
        );
        assert_eq!(verifier.check(&PinDigest::of(b"1234")), Ok(()));
        assert_eq!(verifier.check(&PinDigest::of(b"1235")), Err(Status::AUTH_LOGIN_FAILED));
    }
}
