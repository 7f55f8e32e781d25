//! AES without authentication.

use super::wipe;
use aws_lc_sys::AES_KEY;
use casemate_crypto::{AES_BLOCK, Error};
use std::ffi::{c_int, c_uint};

/// A key schedule, wiped when dropped.
pub(crate) struct Schedule {
    key: AES_KEY,
    encrypts: bool,
}

impl Schedule {
    fn new(key: &[u8], encrypts: bool) -> Result<Self, Error> {
        let bits: c_uint = match key.len() {
            16 => 128,
            24 => 192,
            32 => 256,
            _ => return Err(Error::KeyLength),
        };
        let mut schedule = Self { key: AES_KEY { rd_key: [0; 60], rounds: 0 }, encrypts };
        // SAFETY: the functions read as many bits as the slice has, and fill one schedule.
        let answer = unsafe {
            if encrypts {
                aws_lc_sys::AES_set_encrypt_key(key.as_ptr(), bits, &raw mut schedule.key)
            } else {
                aws_lc_sys::AES_set_decrypt_key(key.as_ptr(), bits, &raw mut schedule.key)
            }
        };
        if answer == 0 { Ok(schedule) } else { Err(Error::Hardware) }
    }

    /// For encryption and for CTR.
    pub(crate) fn encrypting(key: &[u8]) -> Result<Self, Error> {
        Self::new(key, true)
    }

    /// For decryption.
    pub(crate) fn decrypting(key: &[u8]) -> Result<Self, Error> {
        Self::new(key, false)
    }

    /// CBC in place, in the direction of the schedule; `iv` becomes the last ciphertext block.
    pub(crate) fn cbc(&self, iv: &mut [u8; AES_BLOCK], blocks: &mut [[u8; AES_BLOCK]]) {
        let data = blocks.as_flattened_mut();
        if data.is_empty() {
            return;
        }
        let (pointer, length) = (data.as_mut_ptr(), data.len());
        // SAFETY: input and output are the same slice, which the function allows, of whole blocks; the schedule is one for
        // this direction; the vector has a block.
        unsafe {
            aws_lc_sys::AES_cbc_encrypt(
                pointer,
                pointer,
                length,
                &raw const self.key,
                iv.as_mut_ptr(),
                c_int::from(self.encrypts),
            );
        }
    }

    /// Encrypts a block in place.
    pub(crate) fn block(&self, block: &mut [u8; AES_BLOCK]) {
        let pointer = block.as_mut_ptr();
        debug_assert!(self.encrypts);
        // SAFETY: input and output are the same block, which the function allows; the schedule is one for encryption.
        unsafe { aws_lc_sys::AES_encrypt(pointer, pointer, &raw const self.key) }
    }

    /// The last block of the CBC encryption of `blocks`, in place of the one before the first.
    pub(crate) fn cbc_mac(&self, chain: &mut [u8; AES_BLOCK], blocks: &[[u8; AES_BLOCK]]) {
        const AT_ONCE: usize = 16;
        debug_assert!(self.encrypts);
        if let [block] = blocks {
            chain.iter_mut().zip(block).for_each(|(byte, other)| *byte ^= other);
            self.block(chain);
            return;
        }
        let mut ciphertext = [[0; AES_BLOCK]; AT_ONCE];
        for part in blocks.chunks(AT_ONCE) {
            let data = part.as_flattened();
            // SAFETY: input and output do not overlap, and the output is as long as the largest part; the schedule is one
            // for encryption; the vector has a block.
            unsafe {
                aws_lc_sys::AES_cbc_encrypt(
                    data.as_ptr(),
                    ciphertext.as_flattened_mut().as_mut_ptr(),
                    data.len(),
                    &raw const self.key,
                    chain.as_mut_ptr(),
                    aws_lc_sys::AES_ENCRYPT,
                );
            }
        }
        // SAFETY: the array holds bytes.
        unsafe { wipe(&mut ciphertext) }
    }

    /// CTR in place, from a counter that counts 128 bits. Returns the number of bytes used of the last keystream block,
    /// which is written if the data does not end with a whole block.
    pub(crate) fn ctr(
        &self,
        counter: &mut [u8; AES_BLOCK],
        keystream: &mut [u8; AES_BLOCK],
        data: &mut [u8],
    ) -> usize {
        let mut used: c_uint = 0;
        let (pointer, length) = (data.as_mut_ptr(), data.len());
        debug_assert!(self.encrypts);
        // SAFETY: input and output are the same slice, which the function allows; the schedule is one for encryption;
        // counter and keystream have a block; the count of bytes used is below a block, as the function requires.
        unsafe {
            aws_lc_sys::AES_ctr128_encrypt(
                pointer,
                pointer,
                length,
                &raw const self.key,
                counter.as_mut_ptr(),
                keystream.as_mut_ptr(),
                &raw mut used,
            );
        }
        usize::try_from(used).unwrap_or(0)
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        // SAFETY: the structure holds integers.
        unsafe { wipe(&mut self.key) }
    }
}
