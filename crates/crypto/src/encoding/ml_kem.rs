//! Keys of ML-KEM, which are stored as FIPS 203 writes them: without DER, known by their length (document 05, §11).

use super::EncodingError;
use crate::MlKemSet;
use core::fmt;

/// An ML-KEM key: its borrowed bytes, each part of the size that the set says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MlKemKey<'a> {
    /// The parameter set.
    pub set: MlKemSet,
    /// The decapsulation key, which contains the encapsulation key.
    pub private: Option<&'a [u8]>,
    /// The encapsulation key.
    pub public: &'a [u8],
}

impl<'a> MlKemKey<'a> {
    /// The largest key, in bytes: a decapsulation key of ML-KEM-1024.
    pub const MAX_ENCODING: usize = 3168;

    /// Tells a key by its length. Its value is not checked: see [`MlKem::ml_kem_check`](crate::MlKem::ml_kem_check).
    ///
    /// # Errors
    /// [`EncodingError::Malformed`] if no key has this length. A seed of 64 bytes is no key to peers.
    #[inline(never)]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        if let Some(set) = MlKemSet::of_public_size(bytes.len()) {
            return Ok(Self { set, private: None, public: bytes });
        }
        let set = MlKemSet::of_private_size(bytes.len()).ok_or(EncodingError::Malformed)?;
        let public = set.public_of(bytes).ok_or(EncodingError::Malformed)?;
        Ok(Self { set, private: Some(bytes), public })
    }
}

/// Shows which parts there are, not the private one.
impl fmt::Debug for MlKemKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MlKemKey")
            .field("set", &self.set)
            .field("has_private", &self.private.is_some())
            .field("public", &self.public)
            .finish()
    }
}
