//! The authenticated encryption family: AES-GCM and AES-CCM.

use crate::Error;

/// Authenticated encryption with associated data, in place. Keys have 16, 24 or 32 bytes.
///
/// The `open` methods verify before they decrypt: if they answer [`Error::Authentication`], `data` holds the
/// ciphertext as before or has been wiped, never plaintext. (An engine that can only decrypt and verify in one pass
/// wipes.)
pub trait Aead {
    /// GCM (NIST SP 800-38D). `iv` has one byte or more, `tag` 4 to 16 bytes, `data` any length.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::IvLength`], [`Error::TagLength`]; [`Error::DataLength`] above 2^36 - 32 bytes.
    fn gcm_seal(
        &self,
        key: &[u8],
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (key, iv, aad, data, tag);
        Err(Error::Unsupported)
    }

    /// Verifies and decrypts what [`gcm_seal`](Self::gcm_seal) made, with the same limits.
    ///
    /// # Errors
    /// As for sealing, and [`Error::Authentication`].
    fn gcm_open(&self, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), Error> {
        let _ = (key, iv, aad, data, tag);
        Err(Error::Unsupported)
    }

    /// CCM (NIST SP 800-38C). `nonce` has 7 to 13 bytes, `tag` 4, 6, 8, 10, 12, 14 or 16; `data` is shorter than
    /// 256^(15 - nonce length) bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::IvLength`], [`Error::TagLength`], [`Error::DataLength`].
    fn ccm_seal(
        &self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (key, nonce, aad, data, tag);
        Err(Error::Unsupported)
    }

    /// Verifies and decrypts what [`ccm_seal`](Self::ccm_seal) made, with the same limits. CCM authenticates the
    /// plaintext, so `data` is wiped if the tag does not match.
    ///
    /// # Errors
    /// As for sealing, and [`Error::Authentication`].
    fn ccm_open(
        &self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Error> {
        let _ = (key, nonce, aad, data, tag);
        Err(Error::Unsupported)
    }
}
