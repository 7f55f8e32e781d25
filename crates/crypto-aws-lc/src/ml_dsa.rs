//! ML-DSA.

use crate::AwsLc;
use crate::ffi::lattice::MlDsaKey;
use casemate_crypto::{Error, MlDsa, MlDsaMessage, MlDsaSet};

/// Longest context string in bytes.
const MAX_CONTEXT: usize = 255;

impl MlDsa for AwsLc {
    fn ml_dsa_from_seed(
        &self,
        set: MlDsaSet,
        seed: &[u8; 32],
        private: &mut [u8],
        public: &mut [u8],
    ) -> Result<(), Error> {
        if private.len() != set.private_size() || public.len() != set.public_size() {
            return Err(Error::KeyLength);
        }
        let key = MlDsaKey::from_seed(set, seed)?;
        key.write_private(private)?;
        key.write_public(public)
    }

    fn ml_dsa_public(&self, set: MlDsaSet, private: &[u8], public: &mut [u8]) -> Result<(), Error> {
        if private.len() != set.private_size() || public.len() != set.public_size() {
            return Err(Error::KeyLength);
        }
        MlDsaKey::from_expanded(set, private)?.write_public(public)
    }

    fn ml_dsa_verify(
        &self,
        set: MlDsaSet,
        public: &[u8],
        message: MlDsaMessage<'_>,
        context: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        if context.len() > MAX_CONTEXT {
            return Err(Error::DataLength);
        }
        if public.len() != set.public_size() {
            return Err(Error::KeyLength);
        }
        if signature.len() != set.signature_size() {
            return Err(Error::DataLength);
        }
        match message {
            MlDsaMessage::Pure(message) => {
                MlDsaKey::from_public(set, public)?.verify(message, context, signature)
            }
            MlDsaMessage::Digest(..) => Err(Error::Unsupported),
        }
    }
}
