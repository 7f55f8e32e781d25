//! CBC-MAC, inside CCM and the derivation function of the DRBG.

use super::aes::Encryptor;
use super::mac;
use crate::{AES_BLOCK, CmacState, Error};

/// CBC-MAC over a message that arrives in pieces: what CMAC does with all but the last block.
pub(crate) struct CbcMac<'a> {
    encryptor: &'a Encryptor,
    state: CmacState,
}

impl<'a> CbcMac<'a> {
    pub(crate) fn new(encryptor: &'a Encryptor) -> Self {
        Self { encryptor, state: CmacState::default() }
    }

    /// # Errors
    /// None.
    pub(crate) fn update(&mut self, data: &[u8]) -> Result<(), Error> {
        mac::update(self.encryptor, &mut self.state, data)
    }

    /// Fills a begun block with zeros.
    pub(crate) fn pad(&mut self) {
        if self.state.pending_length > 0 {
            self.encryptor.absorb(&mut self.state.chain, core::slice::from_ref(&self.state.pending));
            self.state.pending = [0; AES_BLOCK];
            self.state.pending_length = 0;
        }
    }

    /// Fills a begun block with zeros and returns the value. The next message begins.
    pub(crate) fn finish(&mut self) -> [u8; AES_BLOCK] {
        self.pad();
        core::mem::take(&mut self.state.chain)
    }
}
