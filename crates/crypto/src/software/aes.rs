//! AES block loops over the block cipher library.
//!
//! Each mode's loop runs *inside* the library's back end, so that it is compiled once per instruction set and sees as many
//! blocks at a time as that back end likes (`inside`). Where the library is built for size
//! (`--cfg aes_backend_soft="compact"`), it is the other way round: a small loop inside the back end, one for each key
//! length, asks for the next blocks, and each mode is compiled once (`compact`).

#[cfg(aes_backend_soft = "compact")]
mod compact;
#[cfg(not(aes_backend_soft = "compact"))]
mod inside;

use crate::{AES_BLOCK, Error};
use aes::cipher::KeyInit;
use aes::cipher::array::Array;
use aes::cipher::consts::U16;

/// One AES block, as the library types it.
pub(crate) type Block = Array<u8, U16>;

/// The key schedule for encryption, for each key length.
pub(crate) enum Encryptor {
    Aes128(aes::Aes128Enc),
    Aes192(aes::Aes192Enc),
    Aes256(aes::Aes256Enc),
}

impl Encryptor {
    #[cfg_attr(aes_backend_soft = "compact", inline(never))]
    pub(crate) fn new(key: &[u8]) -> Result<Self, Error> {
        match key.len() {
            16 => aes::Aes128Enc::new_from_slice(key).map(Self::Aes128),
            24 => aes::Aes192Enc::new_from_slice(key).map(Self::Aes192),
            _ => aes::Aes256Enc::new_from_slice(key).map(Self::Aes256),
        }
        .map_err(|_| Error::KeyLength)
    }

    /// Encrypts one block in place.
    pub(crate) fn block(&self, block: &mut [u8; AES_BLOCK]) {
        self.blocks(core::slice::from_mut(block));
    }
}

/// The key schedule for decryption, for each key length.
pub(crate) enum Decryptor {
    Aes128(aes::Aes128Dec),
    Aes192(aes::Aes192Dec),
    Aes256(aes::Aes256Dec),
}

impl Decryptor {
    #[cfg_attr(aes_backend_soft = "compact", inline(never))]
    pub(crate) fn new(key: &[u8]) -> Result<Self, Error> {
        match key.len() {
            16 => aes::Aes128Dec::new_from_slice(key).map(Self::Aes128),
            24 => aes::Aes192Dec::new_from_slice(key).map(Self::Aes192),
            _ => aes::Aes256Dec::new_from_slice(key).map(Self::Aes256),
        }
        .map_err(|_| Error::KeyLength)
    }
}

/// A run of counter blocks.
pub(crate) trait Counter {
    /// Writes the next counter block.
    fn next(&mut self, block: &mut Block);
}

/// A counter over the whole block (NIST SP 800-38A, B.1, with m = 128).
pub(crate) struct WideCounter(pub(crate) u128);

impl Counter for WideCounter {
    #[inline(always)]
    fn next(&mut self, block: &mut Block) {
        *block = self.0.to_be_bytes().into();
        self.0 = self.0.wrapping_add(1);
    }
}

/// A counter over the last four bytes (GCM's inc32).
#[cfg(feature = "gcm")]
pub(crate) struct NarrowCounter {
    prefix: u128,
    low: u32,
}

#[cfg(feature = "gcm")]
impl NarrowCounter {
    /// Starts behind `block`.
    pub(crate) fn after(block: [u8; AES_BLOCK]) -> Self {
        let [.., a, b, c, d] = block;
        let low = u32::from_be_bytes([a, b, c, d]);
        Self { prefix: u128::from_be_bytes(block) ^ u128::from(low), low: low.wrapping_add(1) }
    }
}

#[cfg(feature = "gcm")]
impl Counter for NarrowCounter {
    #[inline(always)]
    fn next(&mut self, block: &mut Block) {
        *block = (self.prefix | u128::from(self.low)).to_be_bytes().into();
        self.low = self.low.wrapping_add(1);
    }
}

/// XORs as many bytes as the shorter slice has.
#[inline(always)]
pub(crate) fn xor(target: &mut [u8], source: &[u8]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target ^= source;
    }
}
