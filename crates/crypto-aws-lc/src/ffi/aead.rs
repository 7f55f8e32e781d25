//! AES-GCM.

use super::{check, wipe};
use aws_lc_sys::EVP_AEAD_CTX;
use casemate_crypto::Error;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// A GCM key, wiped when dropped.
struct Context(EVP_AEAD_CTX);

impl Context {
    /// Calls `function` with a context for a key and a tag length of up to 16 bytes. The context stays in one place
    /// between its making and its end.
    fn with<T>(
        key: &[u8],
        tag_length: usize,
        function: impl FnOnce(&EVP_AEAD_CTX) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // SAFETY: the functions take nothing; what they return is static.
        let algorithm = unsafe {
            match key.len() {
                16 => aws_lc_sys::EVP_aead_aes_128_gcm(),
                24 => aws_lc_sys::EVP_aead_aes_192_gcm(),
                32 => aws_lc_sys::EVP_aead_aes_256_gcm(),
                _ => return Err(Error::KeyLength),
            }
        };
        // SAFETY: all zeros is the state that the library documents for a context before its making: null pointers,
        // integers and plain bytes.
        let mut context = Self(unsafe { MaybeUninit::zeroed().assume_init() });
        // SAFETY: the context is fresh; pointer and length are those of a slice; no engine is asked for.
        let answer = unsafe {
            aws_lc_sys::EVP_AEAD_CTX_init(
                &raw mut context.0,
                algorithm,
                key.as_ptr(),
                key.len(),
                tag_length,
                null_mut(),
            )
        };
        check(answer, Error::Hardware)?;
        function(&context.0)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is made, or still zero after a failure, and is not used after this. The library ends a context
        // of GCM without wiping it. All zeros is a valid context.
        unsafe {
            aws_lc_sys::EVP_AEAD_CTX_cleanup(&raw mut self.0);
            wipe(&mut self.0);
        }
    }
}

/// Encrypts in place. The tag has 1 to 16 bytes, the initialisation vector at least one.
pub(crate) fn seal(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), Error> {
    Context::with(key, tag.len(), |context| {
        let (pointer, length) = (data.as_mut_ptr(), data.len());
        let mut written = 0;
        // SAFETY: pointers and lengths are those of slices; input and output are the same slice, which the function
        // allows; the tag, a mutable slice, overlaps neither; no extra input is given.
        let answer = unsafe {
            aws_lc_sys::EVP_AEAD_CTX_seal_scatter(
                context,
                pointer,
                tag.as_mut_ptr(),
                &raw mut written,
                tag.len(),
                iv.as_ptr(),
                iv.len(),
                pointer,
                length,
                null(),
                0,
                aad.as_ptr(),
                aad.len(),
            )
        };
        check(answer, Error::Hardware)?;
        if written == tag.len() { Ok(()) } else { Err(Error::Hardware) }
    })
}

/// Verifies and decrypts in place; wipes the data if the tag does not match.
pub(crate) fn open(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), Error> {
    Context::with(key, tag.len(), |context| {
        let (pointer, length) = (data.as_mut_ptr(), data.len());
        // SAFETY: pointers and lengths are those of slices; input and output are the same slice, which the function allows.
        let answer = unsafe {
            aws_lc_sys::EVP_AEAD_CTX_open_gather(
                context,
                pointer,
                iv.as_ptr(),
                iv.len(),
                pointer,
                length,
                tag.as_ptr(),
                tag.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        check(answer, Error::Authentication)
    })
}
