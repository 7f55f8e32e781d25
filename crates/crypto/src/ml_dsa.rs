//! The family of ML-DSA (FIPS 204).

use crate::{Error, HashAlgorithm};

/// A parameter set of ML-DSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MlDsaSet {
    /// ML-DSA-44.
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

impl MlDsaSet {
    /// All sets, smallest first.
    pub const ALL: [Self; 3] = [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87];

    /// Size of a public key in bytes.
    #[must_use]
    pub const fn public_size(self) -> usize {
        match self {
            Self::MlDsa44 => 1312,
            Self::MlDsa65 => 1952,
            Self::MlDsa87 => 2592,
        }
    }

    /// Size of an expanded private key in bytes.
    #[must_use]
    pub const fn private_size(self) -> usize {
        match self {
            Self::MlDsa44 => 2560,
            Self::MlDsa65 => 4032,
            Self::MlDsa87 => 4896,
        }
    }

    /// Size of a signature in bytes.
    #[must_use]
    pub const fn signature_size(self) -> usize {
        match self {
            Self::MlDsa44 => 2420,
            Self::MlDsa65 => 3309,
            Self::MlDsa87 => 4627,
        }
    }
}

/// What ML-DSA signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlDsaMessage<'a> {
    /// A message (pure ML-DSA).
    Pure(&'a [u8]),
    /// A digest (HashML-DSA). SHAKE128 stands for 32 bytes of output, SHAKE256 for 64.
    Digest(HashAlgorithm, &'a [u8]),
}

/// ML-DSA. A private key is in the expanded form of FIPS 204, which peers store.
pub trait MlDsa {
    /// Generates a key pair from a seed of 32 random bytes (FIPS 204, algorithm 6).
    ///
    /// # Errors
    /// [`Error::KeyLength`] if a slice has the wrong size.
    fn ml_dsa_from_seed(
        &self,
        set: MlDsaSet,
        seed: &[u8; 32],
        private: &mut [u8],
        public: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (set, seed, private, public);
        Err(Error::Unsupported)
    }

    /// Computes the public key of an expanded private key.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`] if the private key is malformed.
    fn ml_dsa_public(&self, set: MlDsaSet, private: &[u8], public: &mut [u8]) -> Result<(), Error> {
        let _ = (set, private, public);
        Err(Error::Unsupported)
    }

    /// Signs with the hedged external interface of FIPS 204 (algorithms 2 and 4).
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`] if the private key is malformed, [`Error::DataLength`] for a context
    /// over 255 bytes or a digest of another length than its hash's, [`Error::OutputLength`], [`Error::Entropy`].
    fn ml_dsa_sign(
        &self,
        set: MlDsaSet,
        private: &[u8],
        message: MlDsaMessage<'_>,
        context: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (set, private, message, context, signature);
        Err(Error::Unsupported)
    }

    /// Verifies a signature.
    ///
    /// # Errors
    /// [`Error::Authentication`] if it is not valid; [`Error::KeyLength`]; [`Error::DataLength`] as for signing, or
    /// for a signature of the wrong size.
    fn ml_dsa_verify(
        &self,
        set: MlDsaSet,
        public: &[u8],
        message: MlDsaMessage<'_>,
        context: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let _ = (set, public, message, context, signature);
        Err(Error::Unsupported)
    }
}
