//! AES-GCM (NIST SP 800-38D) over `ghash`.

use super::aes::{Counter, Encryptor, NarrowCounter, xor};
use crate::secret::Secret;
use crate::{AES_BLOCK, Error};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use zeroize::Zeroize;

/// Number of bits in `length` bytes, as GHASH counts.
fn bits(length: usize) -> Result<u64, Error> {
    u64::try_from(length).ok().and_then(|length| length.checked_mul(8)).ok_or(Error::DataLength)
}

/// One GCM message (NIST SP 800-38D, §7): the names follow the standard.
pub(super) struct Gcm<'a> {
    encryptor: &'a Encryptor,
    ghash: GHash,
    counter: NarrowCounter,
    /// E(J0), which hides the hash in the tag.
    mask: [u8; AES_BLOCK],
}

impl<'a> Gcm<'a> {
    #[inline(never)]
    pub(super) fn new(
        encryptor: &'a Encryptor,
        iv: &[u8],
        data_length: usize,
        tag_length: usize,
    ) -> Result<Self, Error> {
        if iv.is_empty() {
            return Err(Error::IvLength);
        }
        if !(4..=AES_BLOCK).contains(&tag_length) {
            return Err(Error::TagLength);
        }
        // 2^39 - 256 bits, so that the counter does not come back to J0.
        if u64::try_from(data_length).map_or(true, |length| length > 0xf_ffff_ffe0) {
            return Err(Error::DataLength);
        }
        let mut hash_key = [0; AES_BLOCK];
        encryptor.block(&mut hash_key);
        let ghash = GHash::new(&hash_key.into());
        hash_key.zeroize();
        let initial = if let Ok(iv) = <[u8; 12]>::try_from(iv) {
            let [a, b, c, d, e, f, g, h, i, j, k, l] = iv;
            [a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 1]
        } else {
            let mut hash = ghash.clone();
            hash.update_padded(iv);
            let length = u128::from(bits(iv.len()).map_err(|_| Error::IvLength)?);
            hash.update(&[length.to_be_bytes().into()]);
            hash.finalize().into()
        };
        let mut counter = NarrowCounter::new(initial);
        let mut mask = counter.next();
        encryptor.block(&mut mask);
        Ok(Self { encryptor, ghash, counter, mask })
    }

    pub(super) fn crypt(&mut self, data: &mut [u8]) {
        let mut last = Secret::<AES_BLOCK>::zero();
        self.encryptor.counter_mode(&mut self.counter, data, &mut last);
    }

    pub(super) fn tag(&mut self, aad: &[u8], ciphertext: &[u8]) -> Result<[u8; AES_BLOCK], Error> {
        let lengths = (u128::from(bits(aad.len())?) << 64) | u128::from(bits(ciphertext.len())?);
        let mut hash = self.ghash.clone();
        hash.update_padded(aad);
        hash.update_padded(ciphertext);
        hash.update(&[lengths.to_be_bytes().into()]);
        let mut tag: [u8; AES_BLOCK] = hash.finalize().into();
        xor(&mut tag, &self.mask);
        Ok(tag)
    }
}

impl Drop for Gcm<'_> {
    fn drop(&mut self) {
        self.mask.zeroize();
    }
}
