//! One small loop for each key length and direction, and every mode once.
//!
//! The loop takes whole batches of the back end: the bitsliced one takes as long for one block, and its path for single blocks
//! would be a second copy of the cipher. It must not hand the back end on: the optimizer would keep a second copy of the key
//! schedule, which the back end holds in another form, on the stack.

use super::{Block, Counter, Decryptor, Encryptor, xor};
use crate::AES_BLOCK;
use crate::secret::wipe;
use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend,
    BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, ParBlocks,
};

/// A mode: takes back the batch that it gave last, if any, and puts the next into its place; `false` if there is none. It may
/// fill less than the batch, which is zero at first.
type Mode<'a> = dyn FnMut(&mut [Block]) -> bool + 'a;

struct Batches<'a, 'b>(&'a mut Mode<'b>);

impl BlockSizeUser for Batches<'_, '_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Batches<'_, '_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut batch = ParBlocks::<B>::default();
        while (self.0)(&mut batch) {
            backend.encrypt_par_blocks_inplace(&mut batch);
        }
        wipe(&mut batch);
    }
}

impl BlockCipherDecClosure for Batches<'_, '_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        let mut batch = ParBlocks::<B>::default();
        while (self.0)(&mut batch) {
            backend.decrypt_par_blocks_inplace(&mut batch);
        }
        wipe(&mut batch);
    }
}

// Not inlined: the schedules of all key lengths would share a stack frame otherwise.

#[inline(never)]
fn encrypt_with(cipher: &impl BlockCipherEncrypt<BlockSize = U16>, mode: &mut Mode<'_>) {
    cipher.encrypt_with_backend(Batches(mode));
}

#[inline(never)]
fn decrypt_with(cipher: &impl BlockCipherDecrypt<BlockSize = U16>, mode: &mut Mode<'_>) {
    cipher.decrypt_with_backend(Batches(mode));
}

/// Blocks that are turned in place, each on its own.
fn each<'a>(blocks: &'a mut [[u8; AES_BLOCK]]) -> impl FnMut(&mut [Block]) -> bool + 'a {
    let mut blocks = Array::cast_slice_from_core_mut(blocks).iter_mut();
    let mut taken = 0;
    move |batch| {
        batch.iter().take(taken).zip(&mut blocks).for_each(|(turned, block)| *block = *turned);
        batch.iter_mut().zip(blocks.as_slice()).for_each(|(place, block)| *place = *block);
        taken = blocks.len().min(batch.len());
        taken > 0
    }
}

impl Encryptor {
    fn run(&self, mode: &mut Mode<'_>) {
        match self {
            Self::Aes128(cipher) => encrypt_with(cipher, mode),
            Self::Aes192(cipher) => encrypt_with(cipher, mode),
            Self::Aes256(cipher) => encrypt_with(cipher, mode),
        }
    }

    // Not inlined what several modes use.

    /// Encrypts blocks in place, each on its own.
    #[inline(never)]
    pub(crate) fn blocks(&self, blocks: &mut [[u8; AES_BLOCK]]) {
        self.run(&mut each(blocks));
    }

    /// Encrypts blocks in place, chained to `iv`, which becomes the last ciphertext block.
    pub(crate) fn cbc(&self, iv: &mut [u8; AES_BLOCK], blocks: &mut [[u8; AES_BLOCK]]) {
        let mut blocks = blocks.iter_mut();
        let mut last: Option<&mut [u8; AES_BLOCK]> = None;
        self.run(&mut move |batch| {
            let Some(first) = batch.first_mut() else { return false };
            if let Some(block) = last.take() {
                *iv = (*first).into();
                *block = *iv;
            }
            last = blocks.next();
            let Some(block) = &last else { return false };
            *first = (*iv).into();
            xor(first, block.as_slice());
            true
        });
    }

    /// Chains `blocks` into `chain` without keeping the ciphertext (CBC-MAC).
    #[inline(never)]
    pub(crate) fn absorb(&self, chain: &mut [u8; AES_BLOCK], blocks: &[[u8; AES_BLOCK]]) {
        let mut blocks = blocks.iter();
        let mut begun = false;
        self.run(&mut move |batch| {
            let Some(first) = batch.first_mut() else { return false };
            if !begun {
                *first = (*chain).into();
                begun = true;
            }
            let Some(block) = blocks.next() else {
                *chain = (*first).into();
                return false;
            };
            xor(first, block);
            true
        });
    }

    /// XORs the keystream of `counter` onto `data`. If the data ends within a block, that block's keystream is
    /// left in `last`.
    #[inline(never)]
    pub(crate) fn counter_mode(
        &self,
        counter: &mut dyn Counter,
        data: &mut [u8],
        last: Option<&mut [u8; AES_BLOCK]>,
    ) {
        let (mut chunks, mut last) = (data.chunks_mut(AES_BLOCK), last);
        let mut taken = 0;
        self.run(&mut move |batch| {
            for (key, bytes) in batch.iter().take(taken).zip(&mut chunks) {
                xor(bytes, key);
                if bytes.len() < AES_BLOCK
                    && let Some(last) = &mut last
                {
                    last.copy_from_slice(key);
                }
            }
            taken = chunks.len().min(batch.len());
            batch.iter_mut().take(taken).for_each(|place| counter.next(place));
            taken > 0
        });
    }
}

impl Decryptor {
    fn run(&self, mode: &mut Mode<'_>) {
        match self {
            Self::Aes128(cipher) => decrypt_with(cipher, mode),
            Self::Aes192(cipher) => decrypt_with(cipher, mode),
            Self::Aes256(cipher) => decrypt_with(cipher, mode),
        }
    }

    /// Decrypts blocks in place, each on its own.
    pub(crate) fn blocks(&self, blocks: &mut [[u8; AES_BLOCK]]) {
        self.run(&mut each(blocks));
    }

    /// Decrypts blocks in place, chained to `iv`, which becomes the last ciphertext block.
    pub(crate) fn cbc(&self, iv: &mut [u8; AES_BLOCK], blocks: &mut [[u8; AES_BLOCK]]) {
        let mut blocks = Array::cast_slice_from_core_mut(blocks).iter_mut();
        let mut taken = 0;
        self.run(&mut move |batch| {
            for (plain, block) in batch.iter_mut().take(taken).zip(&mut blocks) {
                xor(plain, iv);
                iv.copy_from_slice(block);
                *block = *plain;
            }
            batch.iter_mut().zip(blocks.as_slice()).for_each(|(place, block)| *place = *block);
            taken = blocks.len().min(batch.len());
            taken > 0
        });
    }
}
