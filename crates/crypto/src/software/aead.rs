//! AES-GCM and AES-CCM.

#[cfg(any(feature = "ccm", feature = "gcm"))]
use super::aes::Encryptor;
#[cfg(feature = "gcm")]
use super::gcm::{Task, gcm};
use super::in_place;
#[cfg(feature = "ccm")]
use super::{ccm::Ccm, verify};
#[cfg(any(feature = "ccm", feature = "gcm"))]
use crate::Error;
#[cfg(feature = "ccm")]
use crate::secret::Secret;
use crate::{Aead, Software};
#[cfg(feature = "ccm")]
use zeroize::Zeroize;

/// One function for both directions: what it needs is there once.
#[cfg(feature = "gcm")]
#[inline(never)]
fn run_gcm(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], task: Task<'_>) -> Result<(), Error> {
    gcm(in_place(&Encryptor::new(key))?, iv, aad, data, task)
}

impl<R> Aead for Software<R> {
    #[cfg(feature = "gcm")]
    fn gcm_seal(
        &self,
        key: &[u8],
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        run_gcm(key, iv, aad, data, Task::Seal(tag))
    }

    #[cfg(feature = "gcm")]
    fn gcm_open(&self, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), Error> {
        run_gcm(key, iv, aad, data, Task::Open(tag))
    }

    #[cfg(feature = "ccm")]
    fn ccm_seal(
        &self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        let encryptor = Encryptor::new(key);
        let ccm = Ccm::new(in_place(&encryptor)?, nonce, data.len(), tag.len())?;
        let full = ccm.tag(aad, data)?;
        ccm.crypt(data);
        tag.iter_mut().zip(full).for_each(|(target, byte)| *target = byte);
        Ok(())
    }

    #[cfg(feature = "ccm")]
    fn ccm_open(
        &self,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Error> {
        let encryptor = Encryptor::new(key);
        let ccm = Ccm::new(in_place(&encryptor)?, nonce, data.len(), tag.len())?;
        ccm.crypt(data);
        let full = Secret::new(ccm.tag(aad, data).inspect_err(|_| data.zeroize())?);
        verify(&full, tag).inspect_err(|_| data.zeroize())
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
