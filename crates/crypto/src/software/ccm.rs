//! AES-CCM (NIST SP 800-38C).

use super::aes::{Encryptor, WideCounter, xor};
use super::cbc_mac::CbcMac;
use crate::secret::Secret;
use crate::{AES_BLOCK, Error};

/// One CCM message (NIST SP 800-38C, appendix A).
pub(super) struct Ccm<'a> {
    encryptor: &'a Encryptor,
    nonce: &'a [u8],
    data_length: usize,
    tag_length: usize,
}

impl<'a> Ccm<'a> {
    pub(super) fn new(
        encryptor: &'a Encryptor,
        nonce: &'a [u8],
        data_length: usize,
        tag_length: usize,
    ) -> Result<Self, Error> {
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

    pub(super) fn crypt(&self, data: &mut [u8]) {
        let mut counter = WideCounter(u128::from_be_bytes(self.format(self.length_flags(), 1)));
        self.encryptor.counter_mode(&mut counter, data, None);
    }

    pub(super) fn tag(&self, aad: &[u8], plaintext: &[u8]) -> Result<[u8; AES_BLOCK], Error> {
        let mut flags = self.length_flags();
        if !aad.is_empty() {
            flags |= 0x40;
        }
        // (t - 2) / 2, times 8.
        flags |= u8::try_from(self.tag_length.saturating_sub(2).saturating_mul(4)).unwrap_or(0);
        let length = u128::try_from(self.data_length).map_err(|_| Error::DataLength)?;

        let mut mac = CbcMac::new(self.encryptor);
        mac.update(&self.format(flags, length))?;
        if !aad.is_empty() {
            if let Some(length) = u16::try_from(aad.len()).ok().filter(|length| *length < 0xff00) {
                mac.update(&length.to_be_bytes())?;
            } else if let Ok(length) = u32::try_from(aad.len()) {
                mac.update(&[0xff, 0xfe])?;
                mac.update(&length.to_be_bytes())?;
            } else {
                let length = u64::try_from(aad.len()).map_err(|_| Error::DataLength)?;
                mac.update(&[0xff, 0xff])?;
                mac.update(&length.to_be_bytes())?;
            }
            mac.update(aad)?;
            mac.pad();
        }
        mac.update(plaintext)?;
        let mut tag = mac.finish();
        let mut mask = Secret::new(self.format(self.length_flags(), 0));
        self.encryptor.block(&mut mask);
        xor(&mut tag, mask.as_slice());
        Ok(tag)
    }
}
