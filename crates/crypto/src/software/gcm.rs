//! AES-GCM (NIST SP 800-38D) over `ghash`.

use super::aes::{Counter, Encryptor, NarrowCounter, xor};
use crate::secret::Secret;
use crate::{AES_BLOCK, Cipher, CtrState, Direction, Error, constant_time_equal};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use zeroize::Zeroize;

/// Number of bits in `length` bytes, as GHASH counts.
fn bits(length: usize) -> Result<u64, Error> {
    u64::try_from(length).ok().and_then(|length| length.checked_mul(8)).ok_or(Error::DataLength)
}

fn check(iv: &[u8], data_length: usize, tag_length: usize) -> Result<(), Error> {
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
    Ok(())
}

/// GHASH with the key E(0), which is wiped, and the first counter block J0 (§7.1, steps 1 and 2).
fn begin(hash_key: &mut [u8; AES_BLOCK], iv: &[u8]) -> Result<(GHash, [u8; AES_BLOCK]), Error> {
    let ghash = GHash::new(&(*hash_key).into());
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
    Ok((ghash, initial))
}

/// The tag of a message; `mask` is E(J0).
fn tag(
    mut hash: GHash,
    mask: &[u8; AES_BLOCK],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<[u8; AES_BLOCK], Error> {
    let lengths = (u128::from(bits(aad.len())?) << 64) | u128::from(bits(ciphertext.len())?);
    hash.update_padded(aad);
    hash.update_padded(ciphertext);
    hash.update(&[lengths.to_be_bytes().into()]);
    let mut tag: [u8; AES_BLOCK] = hash.finalize().into();
    xor(&mut tag, mask);
    Ok(tag)
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
        check(iv, data_length, tag_length)?;
        let mut hash_key = [0; AES_BLOCK];
        encryptor.block(&mut hash_key);
        let (ghash, initial) = begin(&mut hash_key, iv)?;
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
        tag(self.ghash.clone(), &self.mask, aad, ciphertext)
    }
}

impl Drop for Gcm<'_> {
    fn drop(&mut self) {
        self.mask.zeroize();
    }
}

/// One GCM message whose AES is a driver's.
struct CipherGcm<'a, D: ?Sized> {
    driver: &'a D,
    key: &'a [u8],
    ghash: GHash,
    /// J0 at first, then the block before the next counter block.
    counter: [u8; AES_BLOCK],
    mask: Secret<AES_BLOCK>,
}

impl<'a, D: Cipher + ?Sized> CipherGcm<'a, D> {
    fn new(
        driver: &'a D,
        key: &'a [u8],
        iv: &[u8],
        data_length: usize,
        tag_length: usize,
    ) -> Result<Self, Error> {
        let mut hash_key = [0; AES_BLOCK];
        driver.ecb(Direction::Encrypt, key, &mut hash_key)?;
        if let Err(error) = check(iv, data_length, tag_length) {
            hash_key.zeroize();
            return Err(error);
        }
        let (ghash, counter) = begin(&mut hash_key, iv)?;
        let mut mask = Secret::new(counter);
        driver.ecb(Direction::Encrypt, key, &mut *mask)?;
        Ok(Self { driver, key, ghash, counter, mask })
    }

    /// What the driver declines before the first byte is declined.
    fn crypt(&mut self, mut data: &mut [u8]) -> Result<(), Error> {
        let mut begun = false;
        let [high @ .., a, b, c, d] = self.counter;
        let mut low = u32::from_be_bytes([a, b, c, d]).wrapping_add(1);
        while !data.is_empty() {
            // GCM counts in the lowest 32 bits, a driver in all: they differ at the overflow.
            let blocks = u64::from(u32::MAX.wrapping_sub(low)).saturating_add(1);
            let bytes = usize::try_from(blocks.saturating_mul(16)).unwrap_or(usize::MAX);
            let (now, later) = data.split_at_mut(bytes.min(data.len()));
            let mut state = CtrState::new(self.counter);
            let (prefix, suffix) = state.counter.split_at_mut(high.len());
            prefix.copy_from_slice(&high);
            suffix.copy_from_slice(&low.to_be_bytes());
            match self.driver.ctr(self.key, &mut state, now) {
                Err(Error::Unsupported) if begun => return Err(Error::Hardware),
                answer => answer?,
            }
            (begun, low, data) = (true, 0, later);
        }
        Ok(())
    }

    fn tag(&self, aad: &[u8], ciphertext: &[u8]) -> Result<[u8; AES_BLOCK], Error> {
        tag(self.ghash.clone(), &self.mask, aad, ciphertext)
    }
}

/// AES-GCM over any [`Cipher`], with the portable GHASH: a building block for drivers with a fast AES and no GCM of their own.
///
/// # Errors
/// As for [`Aead::gcm_seal`](crate::Aead::gcm_seal); [`Error::Unsupported`], with nothing changed, if `driver` declines.
pub fn gcm_seal_from_cipher<D: Cipher + ?Sized>(
    driver: &D,
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    data: &mut [u8],
    tag: &mut [u8],
) -> Result<(), Error> {
    let mut gcm = CipherGcm::new(driver, key, iv, data.len(), tag.len())?;
    gcm.crypt(data)?;
    let full = gcm.tag(aad, data)?;
    tag.iter_mut().zip(full).for_each(|(target, byte)| *target = byte);
    Ok(())
}

/// Verifies and decrypts what [`gcm_seal_from_cipher`] made. After [`Error::Authentication`] `data` is as before.
///
/// # Errors
/// As for [`gcm_seal_from_cipher`]; [`Error::Authentication`].
pub fn gcm_open_from_cipher<D: Cipher + ?Sized>(
    driver: &D,
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    data: &mut [u8],
    tag: &[u8],
) -> Result<(), Error> {
    let mut gcm = CipherGcm::new(driver, key, iv, data.len(), tag.len())?;
    let mut full = Secret::new(gcm.tag(aad, data)?);
    let expected = full.get_mut(..tag.len()).ok_or(Error::TagLength)?;
    if !constant_time_equal(expected, tag) {
        return Err(Error::Authentication);
    }
    gcm.crypt(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Aead;
    use crate::software::tests::driver;
    use std::vec::Vec;

    /// Over the software's own AES, the same as the software's GCM.
    #[test]
    fn from_cipher_agrees() {
        let software = driver();
        let text: Vec<u8> = (0..150).collect();
        for size in [16, 24, 32] {
            for iv in [&text[..12], &text[..1], &text[3..50]] {
                for length in [0, 1, 16, 17, 64, 150] {
                    let (mut ours, mut theirs) = (text[..length].to_vec(), text[..length].to_vec());
                    let (mut our_tag, mut their_tag) = ([0; 13], [0; 13]);
                    let (key, aad) = (&text[..size], &text[..length / 2]);
                    gcm_seal_from_cipher(&software, key, iv, aad, &mut ours, &mut our_tag).unwrap();
                    software.gcm_seal(key, iv, aad, &mut theirs, &mut their_tag).unwrap();
                    assert_eq!((&ours, our_tag), (&theirs, their_tag));
                    our_tag[12] ^= 1;
                    let answer = gcm_open_from_cipher(&software, key, iv, aad, &mut ours, &our_tag);
                    assert_eq!((answer, &ours), (Err(Error::Authentication), &theirs));
                    gcm_open_from_cipher(&software, key, iv, aad, &mut ours, &their_tag).unwrap();
                    assert_eq!(ours, text[..length]);
                }
            }
        }
        let seal = |key: &[u8], iv: &[u8], tag: &mut [u8]| {
            gcm_seal_from_cipher(&software, key, iv, &[], &mut [0; 5], tag)
        };
        assert_eq!(seal(&text[..17], &text[..12], &mut [0; 16]), Err(Error::KeyLength));
        assert_eq!(seal(&text[..16], &[], &mut [0; 16]), Err(Error::IvLength));
        assert_eq!(seal(&text[..16], &text[..12], &mut [0; 3]), Err(Error::TagLength));
    }

    /// Nonces that are not 12 bytes long give any counter, also one that overflows 32 bits soon.
    #[test]
    fn the_counter_overflows_as_in_the_software() {
        let software = driver();
        let key = [9; 16];
        let mut counter = [0x11; AES_BLOCK];
        counter[12..].copy_from_slice(&(u32::MAX - 1).to_be_bytes());
        let mut ghash_key = [0; AES_BLOCK];
        software.ecb(Direction::Encrypt, &key, &mut ghash_key).unwrap();
        let (ghash, _) = begin(&mut ghash_key, &[0; 12]).unwrap();
        let mask = Secret::new(counter);
        let mut gcm = CipherGcm { driver: &software, key: &key, ghash, counter, mask };
        let mut ours = [0; 70];
        gcm.crypt(&mut ours).unwrap();
        for (block, low) in ours.chunks(AES_BLOCK).zip([u32::MAX, 0, 1, 2, 3]) {
            counter[12..].copy_from_slice(&low.to_be_bytes());
            let mut keystream = counter;
            software.ecb(Direction::Encrypt, &key, &mut keystream).unwrap();
            assert_eq!(block, &keystream[..block.len()]);
        }
    }
}
