//! ML-KEM.

use crate::AwsLc;
use crate::ffi::lattice::MlKemKey;
use casemate_crypto::{Error, MlKem, MlKemSet};

impl MlKem for AwsLc {
    fn ml_kem_from_seed(&self, set: MlKemSet, seed: &[u8; 64], private: &mut [u8]) -> Result<(), Error> {
        if private.len() != set.private_size() {
            return Err(Error::KeyLength);
        }
        MlKemKey::from_seed(set, seed)?.write_private(private)
    }

    fn ml_kem_encapsulate(
        &self,
        set: MlKemSet,
        public: &[u8],
        ciphertext: &mut [u8],
        secret: &mut [u8; 32],
    ) -> Result<(), Error> {
        if public.len() != set.public_size() {
            return Err(Error::KeyLength);
        }
        // Whether the key or the length is wrong, the next driver says.
        if ciphertext.len() != set.ciphertext_size() {
            return Err(Error::Unsupported);
        }
        MlKemKey::from_public(set, public)?.encapsulate(ciphertext, secret)
    }

    fn ml_kem_decapsulate(
        &self,
        set: MlKemSet,
        private: &[u8],
        ciphertext: &[u8],
        secret: &mut [u8; 32],
    ) -> Result<(), Error> {
        if private.len() != set.private_size() {
            return Err(Error::KeyLength);
        }
        if ciphertext.len() != set.ciphertext_size() {
            return Err(Error::Unsupported);
        }
        MlKemKey::from_private(set, private)?.decapsulate(ciphertext, secret)
    }
}
