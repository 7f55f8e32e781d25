//! CBC-MAC, inside CCM and the derivation function of the DRBG.

use super::aes::Encryptor;
use crate::AES_BLOCK;
use zeroize::Zeroize;

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
