//! AES-GCM and AES-CCM.

use super::aes::{Counter, Encryptor, NarrowCounter, WideCounter, xor};
use crate::secret::Secret;
use crate::{AES_BLOCK, Aead, Error, Software, constant_time_equal};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use zeroize::Zeroize;

impl<R> Aead for Software<R> {
    fn gcm_seal(
        &self,
        key: &[u8],
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        let mut gcm = Gcm::new(key, iv, data.len(), tag.len())?;
        gcm.crypt(data);
        let full = gcm.tag(aad, data)?;
        tag.iter_mut().zip(full).for_each(|(target, byte)| *target = byte);
        Ok(())
    }

    fn gcm_open(&self, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), Error> {
        let mut gcm = Gcm::new(key, iv, data.len(), tag.len())?;
        let mut full = Secret::new(gcm.tag(aad, data)?);
        let expected = full.get_mut(..tag.len()).ok_or(Error::TagLength)?;
        if !constant_time_equal(expected, tag) {
            return Err(Error::Authentication);
        }
        gcm.crypt(data);
        Ok(())
    }

    fn ccm_seal(
        &self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        let ccm = Ccm::new(key, nonce, data.len(), tag.len())?;
        let full = ccm.tag(aad, data)?;
        ccm.crypt(data);
        tag.iter_mut().zip(full).for_each(|(target, byte)| *target = byte);
        Ok(())
    }

    fn ccm_open(
        &self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Error> {
        let ccm = Ccm::new(key, nonce, data.len(), tag.len())?;
        ccm.crypt(data);
        let mut full = Secret::new(ccm.tag(aad, data).inspect_err(|_| data.zeroize())?);
        let expected = full.get_mut(..tag.len()).ok_or(Error::TagLength)?;
        if !constant_time_equal(expected, tag) {
            data.zeroize();
            return Err(Error::Authentication);
        }
        Ok(())
    }
}

/// Number of bits in `length` bytes, as GHASH counts.
fn bits(length: usize) -> Result<u64, Error> {
    u64::try_from(length).ok().and_then(|length| length.checked_mul(8)).ok_or(Error::DataLength)
}

/// One GCM message (NIST SP 800-38D, §7): the names follow the standard.
struct Gcm {
    encryptor: Encryptor,
    ghash: GHash,
    counter: NarrowCounter,
    /// E(J0), which hides the hash in the tag.
    mask: [u8; AES_BLOCK],
}

impl Gcm {
    fn new(key: &[u8], iv: &[u8], data_length: usize, tag_length: usize) -> Result<Self, Error> {
        let encryptor = Encryptor::new(key)?;
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

    fn crypt(&mut self, data: &mut [u8]) {
        let mut last = Secret::<AES_BLOCK>::zero();
        self.encryptor.counter_mode(&mut self.counter, data, &mut last);
    }

    fn tag(&mut self, aad: &[u8], ciphertext: &[u8]) -> Result<[u8; AES_BLOCK], Error> {
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

impl Drop for Gcm {
    fn drop(&mut self) {
        self.mask.zeroize();
    }
}

/// One CCM message (NIST SP 800-38C, appendix A).
struct Ccm<'a> {
    encryptor: Encryptor,
    nonce: &'a [u8],
    data_length: usize,
    tag_length: usize,
}

impl<'a> Ccm<'a> {
    fn new(key: &[u8], nonce: &'a [u8], data_length: usize, tag_length: usize) -> Result<Self, Error> {
        let encryptor = Encryptor::new(key)?;
        if !(7..=13).contains(&nonce.len()) {
            return Err(Error::IvLength);
        }
        if !matches!(tag_length, 4 | 6 | 8 | 10 | 12 | 14 | 16) {
            return Err(Error::TagLength);
        }
        let ccm = Self { encryptor, nonce, data_length, tag_length };
        // The length must fit the bytes that the nonce leaves for it, 2 to 8.
        let available = ccm.length_size().saturating_mul(8);
        let length = u128::try_from(data_length).map_err(|_| Error::DataLength)?;
        if u32::try_from(available).map_or(true, |available| length.unbounded_shr(available) != 0) {
            return Err(Error::DataLength);
        }
        Ok(ccm)
    }

    /// Size of the length field in bytes: q in the standard.
    const fn length_size(&self) -> usize {
        15_usize.saturating_sub(self.nonce.len())
    }

    /// Flags ‖ nonce ‖ number, the shape of both the first block and the counter blocks.
    fn format(&self, flags: u8, number: u128) -> [u8; AES_BLOCK] {
        let mut block = number.to_be_bytes();
        if let Some((first, rest)) = block.split_first_mut() {
            *first = flags;
            rest.iter_mut().zip(self.nonce).for_each(|(target, byte)| *target = *byte);
        }
        block
    }

    /// q - 1, as the flags of every block carry it.
    fn length_flags(&self) -> u8 {
        u8::try_from(self.length_size().saturating_sub(1)).unwrap_or(7)
    }

    fn crypt(&self, data: &mut [u8]) {
        let mut last = Secret::<AES_BLOCK>::zero();
        let mut counter = WideCounter(u128::from_be_bytes(self.format(self.length_flags(), 1)));
        self.encryptor.counter_mode(&mut counter, data, &mut last);
    }

    fn tag(&self, aad: &[u8], plaintext: &[u8]) -> Result<[u8; AES_BLOCK], Error> {
        let mut flags = self.length_flags();
        if !aad.is_empty() {
            flags |= 0x40;
        }
        // (t - 2) / 2, times 8.
        flags |= u8::try_from(self.tag_length.saturating_sub(2).saturating_mul(4)).unwrap_or(0);
        let length = u128::try_from(self.data_length).map_err(|_| Error::DataLength)?;

        let mut mac = CbcMac::new(&self.encryptor);
        mac.update(&self.format(flags, length));
        if !aad.is_empty() {
            if let Some(length) = u16::try_from(aad.len()).ok().filter(|length| *length < 0xff00) {
                mac.update(&length.to_be_bytes());
            } else if let Ok(length) = u32::try_from(aad.len()) {
                mac.update(&[0xff, 0xfe]);
                mac.update(&length.to_be_bytes());
            } else {
                let length = u64::try_from(aad.len()).map_err(|_| Error::DataLength)?;
                mac.update(&[0xff, 0xff]);
                mac.update(&length.to_be_bytes());
            }
            mac.update(aad);
            mac.pad();
        }
        mac.update(plaintext);
        let mut tag = mac.finish();
        let mut mask = Secret::new(self.format(self.length_flags(), 0));
        self.encryptor.block(&mut mask);
        xor(&mut tag, mask.as_slice());
        Ok(tag)
    }
}

/// CBC-MAC over a message that arrives in pieces.
pub(crate) struct CbcMac<'a> {
    encryptor: &'a Encryptor,
    chain: [u8; AES_BLOCK],
    pending: [u8; AES_BLOCK],
    /// Always less than a block between calls.
    pending_length: usize,
}

impl<'a> CbcMac<'a> {
    pub(crate) const fn new(encryptor: &'a Encryptor) -> Self {
        Self { encryptor, chain: [0; AES_BLOCK], pending: [0; AES_BLOCK], pending_length: 0 }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        let free = AES_BLOCK.saturating_sub(self.pending_length);
        let (now, data) = if self.pending_length == 0 {
            (&[][..], data)
        } else {
            data.split_at_checked(free).unwrap_or((data, &[]))
        };
        let target = self.pending.iter_mut().skip(self.pending_length);
        target.zip(now).for_each(|(target, byte)| *target = *byte);
        self.pending_length = self.pending_length.saturating_add(now.len());
        if self.pending_length == AES_BLOCK {
            self.pad();
        }
        let (whole, tail) = data.as_chunks::<AES_BLOCK>();
        self.encryptor.absorb(&mut self.chain, whole);
        if !tail.is_empty() {
            self.pending.iter_mut().zip(tail).for_each(|(target, byte)| *target = *byte);
            self.pending_length = tail.len();
        }
    }

    /// Fills a begun block with zeros.
    pub(crate) fn pad(&mut self) {
        if self.pending_length > 0 {
            self.encryptor.absorb(&mut self.chain, core::slice::from_ref(&self.pending));
            self.pending = [0; AES_BLOCK];
            self.pending_length = 0;
        }
    }

    /// Fills a begun block with zeros and returns the value.
    pub(crate) fn finish(mut self) -> [u8; AES_BLOCK] {
        self.pad();
        self.chain
    }
}

impl Drop for CbcMac<'_> {
    fn drop(&mut self) {
        self.chain.zeroize();
        self.pending.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::{bytes, driver};

    /// Document 04, §11.
    #[test]
    fn gcm_captured() {
        let key = bytes("000102030405060708090a0b0c0d0e0f");
        let iv = bytes("a0a1a2a3a4a5a6a7a8a9aaab");
        let plain: std::vec::Vec<u8> = (0x40..0x60).collect();
        let mut data = plain.clone();
        let mut tag = [0; 16];
        driver().gcm_seal(&key, &iv, b"header-bytes", &mut data, &mut tag).unwrap();
        assert_eq!(hex::encode(&data), "eac77af83acc754dc231ff4b0a5ffe2f03bf715bd7426bf87d492bc01ed0d1f7");
        assert_eq!(hex::encode(tag), "5a83821917bf7f3ed65c956511e65f6b");
        driver().gcm_open(&key, &iv, b"header-bytes", &mut data, &tag).unwrap();
        assert_eq!(data, plain);
    }

    #[test]
    fn gcm_releases_nothing_unverified() {
        let sealed: std::vec::Vec<u8> = (0..100).collect();
        for length in 4..=16 {
            let mut data = sealed.clone();
            let answer = driver().gcm_open(&[1; 32], &[2; 12], b"", &mut data, &[0; 16][..length]);
            assert_eq!(answer, Err(Error::Authentication));
            assert_eq!(data, sealed, "still the ciphertext");
        }
    }

    #[test]
    fn ccm_releases_nothing_unverified() {
        let mut data = [0x55; 100];
        let answer = driver().ccm_open(&[1; 32], &[2; 12], b"", &mut data, &[0; 16]);
        assert_eq!(answer, Err(Error::Authentication));
        assert_eq!(data, [0; 100], "wiped");
    }

    #[test]
    fn every_bit_of_a_tag_counts() {
        let (key, iv) = ([3; 16], [4; 12]);
        for length in [4, 8, 12, 16] {
            let mut sealed = *b"twenty bytes of data";
            let mut tag = [0; 16];
            let tag = &mut tag[..length];
            driver().gcm_seal(&key, &iv, b"aad", &mut sealed, tag).unwrap();
            for bit in 0..length * 8 {
                tag[bit / 8] ^= 1 << (bit % 8);
                let answer = driver().gcm_open(&key, &iv, b"aad", &mut sealed, tag);
                assert_eq!(answer, Err(Error::Authentication), "bit {bit}");
                tag[bit / 8] ^= 1 << (bit % 8);
            }
            driver().gcm_open(&key, &iv, b"aad", &mut sealed, tag).unwrap();
            assert_eq!(&sealed, b"twenty bytes of data");
        }
    }

    #[test]
    fn limits() {
        let driver = driver();
        let seal = |key: usize, iv: usize, tag: usize| {
            driver.gcm_seal(&[0; 64][..key], &[0; 64][..iv], &[], &mut [0; 5], &mut [0; 64][..tag])
        };
        assert_eq!(seal(17, 12, 16), Err(Error::KeyLength));
        assert_eq!(seal(16, 0, 16), Err(Error::IvLength));
        assert_eq!(seal(16, 12, 3), Err(Error::TagLength));
        assert_eq!(seal(16, 12, 17), Err(Error::TagLength));
        assert_eq!(seal(16, 1, 4), Ok(()));
        assert_eq!(seal(16, 60, 16), Ok(()));
        let seal = |key: usize, nonce: usize, tag: usize| {
            driver.ccm_seal(&[0; 64][..key], &[0; 64][..nonce], &[], &mut [0; 5], &mut [0; 64][..tag])
        };
        assert_eq!(seal(0, 12, 16), Err(Error::KeyLength));
        assert_eq!(seal(16, 6, 16), Err(Error::IvLength));
        assert_eq!(seal(16, 14, 16), Err(Error::IvLength));
        assert_eq!(seal(16, 12, 5), Err(Error::TagLength));
        assert_eq!(seal(16, 12, 2), Err(Error::TagLength));
        assert_eq!(seal(16, 7, 4), Ok(()));
        // A 13-byte nonce leaves two bytes for the length.
        let mut data = std::vec![0; 0x1_0000];
        let answer = driver.ccm_seal(&[0; 16], &[0; 13], &[], &mut data, &mut [0; 8]);
        assert_eq!(answer, Err(Error::DataLength));
        data.pop();
        let answer = driver.ccm_seal(&[0; 16], &[0; 13], &[], &mut data, &mut [0; 8]);
        assert_eq!(answer, Ok(()));
    }
}
