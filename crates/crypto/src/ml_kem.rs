//! The family of ML-KEM (FIPS 203).

use crate::Error;

/// A parameter set of ML-KEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MlKemSet {
    /// ML-KEM-512.
    MlKem512,
    /// ML-KEM-768.
    MlKem768,
    /// ML-KEM-1024.
    MlKem1024,
}

impl MlKemSet {
    /// All sets, smallest first.
    pub const ALL: [Self; 3] = [Self::MlKem512, Self::MlKem768, Self::MlKem1024];

    /// Size of an encapsulation key in bytes.
    #[must_use]
    #[inline(never)]
    pub const fn public_size(self) -> usize {
        match self {
            Self::MlKem512 => 800,
            Self::MlKem768 => 1184,
            Self::MlKem1024 => 1568,
        }
    }

    /// Size of a decapsulation key in bytes. It contains the encapsulation key.
    #[must_use]
    #[inline(never)]
    pub const fn private_size(self) -> usize {
        match self {
            Self::MlKem512 => 1632,
            Self::MlKem768 => 2400,
            Self::MlKem1024 => 3168,
        }
    }

    /// Size of a ciphertext in bytes.
    #[must_use]
    #[inline(never)]
    pub const fn ciphertext_size(self) -> usize {
        match self {
            Self::MlKem512 => 768,
            Self::MlKem768 => 1088,
            Self::MlKem1024 => 1568,
        }
    }

    /// The set whose encapsulation key has `size` bytes.
    #[must_use]
    pub fn of_public_size(size: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.public_size() == size)
    }

    /// The set whose decapsulation key has `size` bytes. No decapsulation key has the size of an encapsulation key.
    #[must_use]
    pub fn of_private_size(size: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.private_size() == size)
    }

    /// The encapsulation key inside a decapsulation key: after dk_PKE, before H(ek) and z (FIPS 203, algorithm 16).
    #[must_use]
    pub fn public_of(self, private: &[u8]) -> Option<&[u8]> {
        if private.len() != self.private_size() {
            return None;
        }
        let end = self.private_size().checked_sub(64)?;
        private.get(end.checked_sub(self.public_size())?..end)
    }
}

/// ML-KEM.
pub trait MlKem {
    /// Generates a decapsulation key from the seeds d ‖ z, 64 random bytes (FIPS 203, algorithm 16).
    ///
    /// # Errors
    /// [`Error::KeyLength`] if `private` has the wrong size.
    fn ml_kem_from_seed(&self, set: MlKemSet, seed: &[u8; 64], private: &mut [u8]) -> Result<(), Error> {
        let _ = (set, seed, private);
        Err(Error::Unsupported)
    }

    /// Checks a key: the modulus of an encapsulation key, the hash inside a decapsulation key (FIPS 203, §7.2 and
    /// §7.3). Which one it is, its size says.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`].
    fn ml_kem_check(&self, set: MlKemSet, key: &[u8]) -> Result<(), Error> {
        let _ = (set, key);
        Err(Error::Unsupported)
    }

    /// Encapsulates a fresh secret (FIPS 203, algorithm 20). The key is checked: [`ml_kem_check`](Self::ml_kem_check)
    /// need not be called before.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`] if the key fails its check, [`Error::OutputLength`], [`Error::Entropy`].
    fn ml_kem_encapsulate(
        &self,
        set: MlKemSet,
        public: &[u8],
        ciphertext: &mut [u8],
        secret: &mut [u8; 32],
    ) -> Result<(), Error> {
        let _ = (set, public, ciphertext, secret);
        Err(Error::Unsupported)
    }

    /// Decapsulates (FIPS 203, algorithm 21). A ciphertext that was not made for the key gives a secret that nobody
    /// knows (implicit rejection), not an error. The key is checked, as for encapsulation.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`] if the key fails its check, [`Error::DataLength`] if the ciphertext has
    /// the wrong size.
    fn ml_kem_decapsulate(
        &self,
        set: MlKemSet,
        private: &[u8],
        ciphertext: &[u8],
        secret: &mut [u8; 32],
    ) -> Result<(), Error> {
        let _ = (set, private, ciphertext, secret);
        Err(Error::Unsupported)
    }
}
