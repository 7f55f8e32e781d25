//! Curve25519.

use super::check;
use casemate_crypto::Error;
use zeroize::Zeroizing;

pub(crate) fn x25519_public(private: &[u8; 32], public: &mut [u8; 32]) {
    // SAFETY: the function writes and reads 32 bytes, the sizes of the arrays.
    unsafe { aws_lc_sys::X25519_public_from_private(public.as_mut_ptr(), private.as_ptr()) }
}

/// # Errors
/// [`Error::Key`] if the secret is zero.
pub(crate) fn x25519(private: &[u8; 32], public: &[u8; 32], secret: &mut [u8; 32]) -> Result<(), Error> {
    // SAFETY: the function writes 32 bytes and twice reads 32, the sizes of the arrays.
    let answer = unsafe { aws_lc_sys::X25519(secret.as_mut_ptr(), private.as_ptr(), public.as_ptr()) };
    check(answer, Error::Key)
}

/// An Ed25519 private key in the library's form, seed ‖ public key.
pub(crate) struct Ed25519Key(Zeroizing<[u8; 64]>);

impl Ed25519Key {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        let mut key = Zeroizing::new([0; 64]);
        let mut public = [0; 32];
        // SAFETY: the function writes 32 and 64 bytes and reads 32, the sizes of the arrays.
        unsafe {
            aws_lc_sys::ED25519_keypair_from_seed(public.as_mut_ptr(), key.as_mut_ptr(), seed.as_ptr());
        }
        Self(key)
    }

    pub(crate) fn public(&self) -> &[u8; 32] {
        self.0.last_chunk().unwrap_or(&[0; 32])
    }

    pub(crate) fn sign(&self, message: &[u8], signature: &mut [u8; 64]) -> Result<(), Error> {
        // SAFETY: the function writes 64 bytes and reads 64, the sizes of the arrays, and a message of the slice's length.
        let answer = unsafe {
            aws_lc_sys::ED25519_sign(signature.as_mut_ptr(), message.as_ptr(), message.len(), self.0.as_ptr())
        };
        check(answer, Error::Hardware)
    }

    /// Signs with a context that is not empty.
    pub(crate) fn sign_with_context(
        &self,
        context: &[u8],
        message: &[u8],
        signature: &mut [u8; 64],
    ) -> Result<(), Error> {
        // SAFETY: the function writes 64 bytes and reads 64, the sizes of the arrays, and a message and a context of the
        // slices' lengths.
        let answer = unsafe {
            aws_lc_sys::ED25519ctx_sign(
                signature.as_mut_ptr(),
                message.as_ptr(),
                message.len(),
                self.0.as_ptr(),
                context.as_ptr(),
                context.len(),
            )
        };
        check(answer, Error::Hardware)
    }

    /// Signs a SHA-512 digest.
    pub(crate) fn sign_digest(
        &self,
        context: &[u8],
        digest: &[u8; 64],
        signature: &mut [u8; 64],
    ) -> Result<(), Error> {
        // SAFETY: the function writes 64 bytes and twice reads 64, the sizes of the arrays, and a context of the slice's
        // length.
        let answer = unsafe {
            aws_lc_sys::ED25519ph_sign_digest(
                signature.as_mut_ptr(),
                digest.as_ptr(),
                self.0.as_ptr(),
                context.as_ptr(),
                context.len(),
            )
        };
        check(answer, Error::Hardware)
    }
}
