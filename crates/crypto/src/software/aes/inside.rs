//! The loops of the modes inside the library's back ends.

use super::{Block, Counter, Decryptor, Encryptor, xor};
use crate::AES_BLOCK;
use crate::secret::wipe;
use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend,
    BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, ParBlocks,
};

impl Encryptor {
    fn run(&self, closure: impl BlockCipherEncClosure<BlockSize = U16>) {
        match self {
            Self::Aes128(cipher) => cipher.encrypt_with_backend(closure),
            Self::Aes192(cipher) => cipher.encrypt_with_backend(closure),
            Self::Aes256(cipher) => cipher.encrypt_with_backend(closure),
        }
    }

    /// Encrypts blocks in place, each on its own.
    pub(crate) fn blocks(&self, blocks: &mut [[u8; AES_BLOCK]]) {
        self.run(Ecb { blocks: Array::cast_slice_from_core_mut(blocks) });
    }

    /// Encrypts blocks in place, chained to `iv`, which becomes the last ciphertext block.
    pub(crate) fn cbc(&self, iv: &mut [u8; AES_BLOCK], blocks: &mut [[u8; AES_BLOCK]]) {
        self.run(CbcEncrypt { iv, blocks: Array::cast_slice_from_core_mut(blocks) });
    }

    /// Chains `blocks` into `chain` without keeping the ciphertext (CBC-MAC).
    pub(crate) fn absorb(&self, chain: &mut [u8; AES_BLOCK], blocks: &[[u8; AES_BLOCK]]) {
        self.run(Absorb { chain, blocks: Array::cast_slice_from_core(blocks) });
    }

    /// XORs the keystream of `counter` onto `data`. If the data ends within a block, that block's keystream is
    /// left in `last`.
    pub(crate) fn counter_mode<C: Counter>(
        &self,
        counter: &mut C,
        data: &mut [u8],
        last: Option<&mut [u8; AES_BLOCK]>,
    ) {
        self.run(CounterMode { counter, data, last });
    }
}

impl Decryptor {
    fn run(&self, closure: impl BlockCipherDecClosure<BlockSize = U16>) {
        match self {
            Self::Aes128(cipher) => cipher.decrypt_with_backend(closure),
            Self::Aes192(cipher) => cipher.decrypt_with_backend(closure),
            Self::Aes256(cipher) => cipher.decrypt_with_backend(closure),
        }
    }

    /// Decrypts blocks in place, each on its own.
    pub(crate) fn blocks(&self, blocks: &mut [[u8; AES_BLOCK]]) {
        self.run(Ecb { blocks: Array::cast_slice_from_core_mut(blocks) });
    }

    /// Decrypts blocks in place, chained to `iv`, which becomes the last ciphertext block.
    pub(crate) fn cbc(&self, iv: &mut [u8; AES_BLOCK], blocks: &mut [[u8; AES_BLOCK]]) {
        self.run(CbcDecrypt { iv, blocks: Array::cast_slice_from_core_mut(blocks) });
    }
}

/// Whether the last blocks, fewer than a batch, are better run as a padded batch than one by one: a bitsliced back
/// end takes as long for one block as for a batch, one with wide vectors about as long as for an eighth.
#[inline(always)]
const fn pad_to_batch(count: usize, batch: usize) -> bool {
    count.saturating_mul(8) >= batch
}

struct Ecb<'a> {
    blocks: &'a mut [Block],
}

impl BlockSizeUser for Ecb<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Ecb<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let (batches, rest) = Array::<Block, B::ParBlocksSize>::slice_as_chunks_mut(self.blocks);
        for batch in batches {
            backend.encrypt_par_blocks_inplace(batch);
        }
        if rest.len() > 1 && pad_to_batch(rest.len(), B::ParBlocksSize::USIZE) {
            let mut batch = ParBlocks::<B>::default();
            batch.iter_mut().zip(rest.iter()).for_each(|(padded, block)| *padded = *block);
            backend.encrypt_par_blocks_inplace(&mut batch);
            rest.iter_mut().zip(batch.iter()).for_each(|(block, padded)| *block = *padded);
        } else {
            rest.iter_mut().for_each(|block| backend.encrypt_block_inplace(block));
        }
    }
}

impl BlockCipherDecClosure for Ecb<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        let (batches, rest) = Array::<Block, B::ParBlocksSize>::slice_as_chunks_mut(self.blocks);
        for batch in batches {
            backend.decrypt_par_blocks_inplace(batch);
        }
        if rest.len() > 1 && pad_to_batch(rest.len(), B::ParBlocksSize::USIZE) {
            let mut batch = ParBlocks::<B>::default();
            batch.iter_mut().zip(rest.iter()).for_each(|(padded, block)| *padded = *block);
            backend.decrypt_par_blocks_inplace(&mut batch);
            rest.iter_mut().zip(batch.iter()).for_each(|(block, padded)| *block = *padded);
            wipe(&mut batch);
        } else {
            rest.iter_mut().for_each(|block| backend.decrypt_block_inplace(block));
        }
    }
}

struct CbcEncrypt<'a> {
    iv: &'a mut [u8; AES_BLOCK],
    blocks: &'a mut [Block],
}

impl BlockSizeUser for CbcEncrypt<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for CbcEncrypt<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut previous = Block::from(*self.iv);
        for block in self.blocks {
            xor(block, &previous);
            backend.encrypt_block_inplace(block);
            previous = *block;
        }
        *self.iv = previous.into();
    }
}

struct CbcDecrypt<'a> {
    iv: &'a mut [u8; AES_BLOCK],
    blocks: &'a mut [Block],
}

impl BlockSizeUser for CbcDecrypt<'_> {
    type BlockSize = U16;
}

impl BlockCipherDecClosure for CbcDecrypt<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        let mut previous = Block::from(*self.iv);
        let mut plain = ParBlocks::<B>::default();
        for chunk in self.blocks.chunks_mut(B::ParBlocksSize::USIZE) {
            plain.iter_mut().zip(chunk.iter()).for_each(|(plain, block)| *plain = *block);
            if pad_to_batch(chunk.len(), B::ParBlocksSize::USIZE) {
                backend.decrypt_par_blocks_inplace(&mut plain);
            } else {
                plain.iter_mut().take(chunk.len()).for_each(|block| backend.decrypt_block_inplace(block));
            }
            for (block, plain) in chunk.iter_mut().zip(plain.iter()) {
                let cipher = *block;
                *block = *plain;
                xor(block, &previous);
                previous = cipher;
            }
        }
        wipe(&mut plain);
        *self.iv = previous.into();
    }
}

struct Absorb<'a> {
    chain: &'a mut [u8; AES_BLOCK],
    blocks: &'a [Block],
}

impl BlockSizeUser for Absorb<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Absorb<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut chain = Block::from(*self.chain);
        for block in self.blocks {
            xor(&mut chain, block);
            backend.encrypt_block_inplace(&mut chain);
        }
        *self.chain = chain.into();
        wipe(&mut chain);
    }
}

struct CounterMode<'a, C> {
    counter: &'a mut C,
    data: &'a mut [u8],
    last: Option<&'a mut [u8; AES_BLOCK]>,
}

impl<C> BlockSizeUser for CounterMode<'_, C> {
    type BlockSize = U16;
}

impl<C: Counter> BlockCipherEncClosure for CounterMode<'_, C> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let (blocks, tail) = Block::slice_as_chunks_mut(self.data);
        let (batches, rest) = Array::<Block, B::ParBlocksSize>::slice_as_chunks_mut(blocks);
        let mut keystream = ParBlocks::<B>::default();
        for batch in batches {
            keystream.iter_mut().for_each(|block| self.counter.next(block));
            backend.encrypt_par_blocks_inplace(&mut keystream);
            batch.iter_mut().zip(keystream.iter()).for_each(|(block, key)| xor(block, key));
        }
        // The remaining whole blocks and the incomplete one share a batch if they fit one, which they do not when
        // the back end's batch is a single block.
        let count = rest.len().saturating_add(usize::from(!tail.is_empty()));
        if count > 0 {
            let together = count > 1 && pad_to_batch(count, B::ParBlocksSize::USIZE);
            let counters = keystream.iter_mut().take(count);
            counters.for_each(|block| self.counter.next(block));
            if together {
                backend.encrypt_par_blocks_inplace(&mut keystream);
            } else {
                keystream.iter_mut().take(count).for_each(|block| backend.encrypt_block_inplace(block));
            }
            let mut used = keystream.iter();
            rest.iter_mut().zip(used.by_ref()).for_each(|(block, key)| xor(block, key));
            if let (false, Some(key)) = (tail.is_empty(), used.next()) {
                xor(tail, key);
                if let Some(last) = self.last {
                    *last = (*key).into();
                }
            }
        }
        wipe(&mut keystream);
    }
}
