//! X25519 and Ed25519.

use crate::AwsLc;
use crate::ffi::edwards::{self, Ed25519Key};
use casemate_crypto::{Curve25519, Ed25519Mode, Error, constant_time_equal};

/// Longest context in bytes (RFC 8032, §2).
const MAX_CONTEXT: usize = 255;

impl Curve25519 for AwsLc {
    fn x25519_public(&self, private: &[u8; 32], public: &mut [u8; 32]) -> Result<(), Error> {
        edwards::x25519_public(private, public);
        Ok(())
    }

    fn x25519(&self, private: &[u8; 32], public: &[u8; 32], secret: &mut [u8; 32]) -> Result<(), Error> {
        edwards::x25519(private, public, secret)
    }

    fn ed25519_public(&self, seed: &[u8; 32], public: &mut [u8; 32]) -> Result<(), Error> {
        *public = *Ed25519Key::from_seed(seed).public();
        Ok(())
    }

    fn ed25519_sign(
        &self,
        seed: &[u8; 32],
        public: &[u8; 32],
        mode: Ed25519Mode<'_>,
        message: &[u8],
        signature: &mut [u8; 64],
    ) -> Result<(), Error> {
        // Checks that need no key come first.
        match mode {
            Ed25519Mode::Pure => {}
            // The library refuses what the standard discourages.
            Ed25519Mode::Context([]) => return Err(Error::Unsupported),
            Ed25519Mode::Context(context) | Ed25519Mode::Prehashed(context)
                if context.len() > MAX_CONTEXT =>
            {
                return Err(Error::DataLength);
            }
            Ed25519Mode::Context(_) => {}
            Ed25519Mode::Prehashed(_) if message.len() != 64 => return Err(Error::DataLength),
            Ed25519Mode::Prehashed(_) => {}
        }
        let key = Ed25519Key::from_seed(seed);
        if !constant_time_equal(key.public(), public) {
            return Err(Error::Key);
        }
        match mode {
            Ed25519Mode::Pure => key.sign(message, signature),
            Ed25519Mode::Context(context) => key.sign_with_context(context, message, signature),
            Ed25519Mode::Prehashed(context) => {
                let digest = message.try_into().map_err(|_| Error::DataLength)?;
                key.sign_digest(context, digest, signature)
            }
        }
    }
}
