//! AES-GCM.

use crate::{AwsLc, ffi};
use casemate_crypto::{AES_BLOCK, Aead, Error};

/// Checks lengths in the order in which the software does.
fn check(key: &[u8], iv: &[u8], data_length: usize, tag_length: usize) -> Result<(), Error> {
    if !matches!(key.len(), 16 | 24 | 32) {
        return Err(Error::KeyLength);
    }
    if iv.is_empty() {
        return Err(Error::IvLength);
    }
    if !(4..=AES_BLOCK).contains(&tag_length) {
        return Err(Error::TagLength);
    }
    // NIST SP 800-38D, §5.2.1.1.
    if u64::try_from(data_length).map_or(true, |length| length > 0xf_ffff_ffe0) {
        return Err(Error::DataLength);
    }
    Ok(())
}

impl Aead for AwsLc {
    fn gcm_seal(
        &self,
        key: &[u8],
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        check(key, iv, data.len(), tag.len())?;
        ffi::aead::seal(key, iv, aad, data, tag)
    }

    fn gcm_open(&self, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), Error> {
        check(key, iv, data.len(), tag.len())?;
        ffi::aead::open(key, iv, aad, data, tag)
    }
}
