//! AES block loops over the block cipher library: each mode's loop runs *inside* the library's back end, so that it
//! is compiled once per instruction set and sees as many blocks at a time as that back end likes.
//!
//! Where the library is built for size (`--cfg aes_backend_soft="compact"`), each loop is compiled once in all: it reaches
//! the back ends of all key lengths through one pointer.

use crate::secret::wipe;
use crate::{AES_BLOCK, Error};
use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockSizeUser, KeyInit, ParBlocks,
};
#[cfg(not(aes_backend_soft = "compact"))]
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt};

/// One AES block, as the library types it.
pub(crate) type Block = Array<u8, U16>;

/// The key schedule for encryption, for each key length.
pub(crate) enum Encryptor {
    Aes128(aes::Aes128Enc),
    Aes192(aes::Aes192Enc),
    Aes256(aes::Aes256Enc),
}

/// What was made, in its place: a key schedule has hundreds of bytes, and moving it out of its `Result` would take
/// the stack for two.
pub(crate) fn in_place<T>(made: &Result<T, Error>) -> Result<&T, Error> {
    made.as_ref().map_err(|error| *error)
}

/// As [`in_place`], to change.
#[cfg(feature = "gcm")]
pub(crate) fn in_place_mut<T>(made: &mut Result<T, Error>) -> Result<&mut T, Error> {
    made.as_mut().map_err(|error| *error)
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

    #[cfg(not(aes_backend_soft = "compact"))]
    fn run(&self, closure: impl BlockCipherEncClosure<BlockSize = U16>) {
        match self {
            Self::Aes128(cipher) => cipher.encrypt_with_backend(closure),
            Self::Aes192(cipher) => cipher.encrypt_with_backend(closure),
            Self::Aes256(cipher) => cipher.encrypt_with_backend(closure),
        }
    }

    #[cfg(aes_backend_soft = "compact")]
    fn run(&self, closure: impl BlockCipherEncClosure<BlockSize = U16>) {
        let mut closure = Some(closure);
        compact::encrypt(self, &mut |blocks| {
            if let Some(closure) = closure.take() {
                closure.call(blocks);
            }
        });
    }

    /// Encrypts one block in place.
    pub(crate) fn block(&self, block: &mut [u8; AES_BLOCK]) {
        self.run(Ecb { blocks: core::slice::from_mut(Array::cast_from_core_mut(block)) });
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
        last: &mut [u8; AES_BLOCK],
    ) {
        self.run(CounterMode { counter, data, last });
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

    #[cfg(not(aes_backend_soft = "compact"))]
    fn run(&self, closure: impl BlockCipherDecClosure<BlockSize = U16>) {
        match self {
            Self::Aes128(cipher) => cipher.decrypt_with_backend(closure),
            Self::Aes192(cipher) => cipher.decrypt_with_backend(closure),
            Self::Aes256(cipher) => cipher.decrypt_with_backend(closure),
        }
    }

    #[cfg(aes_backend_soft = "compact")]
    fn run(&self, closure: impl BlockCipherDecClosure<BlockSize = U16>) {
        let mut closure = Some(closure);
        compact::decrypt(self, &mut |blocks| {
            if let Some(closure) = closure.take() {
                closure.call(blocks);
            }
        });
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

/// One back end in front of those of all key lengths.
#[cfg(aes_backend_soft = "compact")]
mod compact {
    use super::{Block, Decryptor, Encryptor};
    use crate::secret::wipe;
    use aes::cipher::consts::{U2, U16};
    use aes::cipher::inout::InOut;
    use aes::cipher::typenum::Unsigned;
    use aes::cipher::{
        BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend,
        BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, ParBlocks, ParBlocksSizeUser,
    };

    /// What turns blocks in place, each on its own, in one direction.
    trait Turn {
        fn turn(&self, blocks: &mut [Block]);
    }

    struct Encrypts<'a, B>(&'a B);
    struct Decrypts<'a, B>(&'a B);

    // Always whole batches, padded: the bitsliced back end takes as long for one block, and its path for single blocks would
    // be a second copy of the cipher.

    impl<B: BlockCipherEncBackend<BlockSize = U16>> Turn for Encrypts<'_, B> {
        fn turn(&self, blocks: &mut [Block]) {
            in_batches::<B>(blocks, |batch| self.0.encrypt_par_blocks_inplace(batch));
        }
    }

    impl<B: BlockCipherDecBackend<BlockSize = U16>> Turn for Decrypts<'_, B> {
        fn turn(&self, blocks: &mut [Block]) {
            in_batches::<B>(blocks, |batch| self.0.decrypt_par_blocks_inplace(batch));
        }
    }

    #[inline(always)]
    fn in_batches<B: ParBlocksSizeUser<BlockSize = U16>>(
        blocks: &mut [Block],
        work: impl Fn(&mut ParBlocks<B>),
    ) {
        let mut batch = ParBlocks::<B>::default();
        for chunk in blocks.chunks_mut(B::ParBlocksSize::USIZE) {
            batch.iter_mut().zip(chunk.iter()).for_each(|(padded, block)| *padded = *block);
            work(&mut batch);
            chunk.iter_mut().zip(batch.iter()).for_each(|(block, padded)| *block = *padded);
        }
        wipe(&mut batch);
    }

    /// Work that needs blocks turned.
    type Work<'a> = dyn FnMut(&Blocks<'_>) + 'a;

    struct WithBackend<'a, 'b>(&'a mut Work<'b>);

    impl BlockSizeUser for WithBackend<'_, '_> {
        type BlockSize = U16;
    }

    impl BlockCipherEncClosure for WithBackend<'_, '_> {
        fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
            (self.0)(&Blocks(&Encrypts(backend)));
        }
    }

    impl BlockCipherDecClosure for WithBackend<'_, '_> {
        fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
            (self.0)(&Blocks(&Decrypts(backend)));
        }
    }

    // Not inlined: each key length has its own copy of the schedule on the stack, made by the library.

    #[inline(never)]
    fn encrypt_with(cipher: &impl BlockCipherEncrypt<BlockSize = U16>, work: &mut Work<'_>) {
        cipher.encrypt_with_backend(WithBackend(work));
    }

    #[inline(never)]
    fn decrypt_with(cipher: &impl BlockCipherDecrypt<BlockSize = U16>, work: &mut Work<'_>) {
        cipher.decrypt_with_backend(WithBackend(work));
    }

    pub(super) fn encrypt(with: &Encryptor, work: &mut Work<'_>) {
        match with {
            Encryptor::Aes128(cipher) => encrypt_with(cipher, work),
            Encryptor::Aes192(cipher) => encrypt_with(cipher, work),
            Encryptor::Aes256(cipher) => encrypt_with(cipher, work),
        }
    }

    pub(super) fn decrypt(with: &Decryptor, work: &mut Work<'_>) {
        match with {
            Decryptor::Aes128(cipher) => decrypt_with(cipher, work),
            Decryptor::Aes192(cipher) => decrypt_with(cipher, work),
            Decryptor::Aes256(cipher) => decrypt_with(cipher, work),
        }
    }

    /// The back end that the modes see. It takes two blocks at a time, as the library's does on cores of 32 bits.
    pub(super) struct Blocks<'a>(&'a dyn Turn);

    impl Blocks<'_> {
        fn block(&self, mut block: InOut<'_, '_, Block>) {
            let mut turned = block.clone_in();
            self.0.turn(core::slice::from_mut(&mut turned));
            *block.get_out() = turned;
        }

        fn pair(&self, mut blocks: InOut<'_, '_, ParBlocks<Self>>) {
            let mut turned = blocks.clone_in();
            self.0.turn(&mut turned);
            *blocks.get_out() = turned;
        }
    }

    impl BlockSizeUser for Blocks<'_> {
        type BlockSize = U16;
    }

    impl ParBlocksSizeUser for Blocks<'_> {
        type ParBlocksSize = U2;
    }

    impl BlockCipherEncBackend for Blocks<'_> {
        fn encrypt_block(&self, block: InOut<'_, '_, Block>) {
            self.block(block);
        }

        fn encrypt_par_blocks(&self, blocks: InOut<'_, '_, ParBlocks<Self>>) {
            self.pair(blocks);
        }

        fn encrypt_block_inplace(&self, block: &mut Block) {
            self.0.turn(core::slice::from_mut(block));
        }

        fn encrypt_par_blocks_inplace(&self, blocks: &mut ParBlocks<Self>) {
            self.0.turn(blocks);
        }
    }

    impl BlockCipherDecBackend for Blocks<'_> {
        fn decrypt_block(&self, block: InOut<'_, '_, Block>) {
            self.block(block);
        }

        fn decrypt_par_blocks(&self, blocks: InOut<'_, '_, ParBlocks<Self>>) {
            self.pair(blocks);
        }

        fn decrypt_block_inplace(&self, block: &mut Block) {
            self.0.turn(core::slice::from_mut(block));
        }

        fn decrypt_par_blocks_inplace(&self, blocks: &mut ParBlocks<Self>) {
            self.0.turn(blocks);
        }
    }
}

/// A run of counter blocks.
pub(crate) trait Counter {
    /// The next counter block.
    fn next(&mut self) -> [u8; AES_BLOCK];
}

/// A counter over the whole block (NIST SP 800-38A, B.1, with m = 128).
pub(crate) struct WideCounter(pub(crate) u128);

impl Counter for WideCounter {
    #[inline(always)]
    fn next(&mut self) -> [u8; AES_BLOCK] {
        let block = self.0.to_be_bytes();
        self.0 = self.0.wrapping_add(1);
        block
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
    /// Starts at `block`.
    pub(crate) fn new(block: [u8; AES_BLOCK]) -> Self {
        let [.., a, b, c, d] = block;
        let low = u32::from_be_bytes([a, b, c, d]);
        Self { prefix: u128::from_be_bytes(block) ^ u128::from(low), low }
    }
}

#[cfg(feature = "gcm")]
impl Counter for NarrowCounter {
    #[inline(always)]
    fn next(&mut self) -> [u8; AES_BLOCK] {
        let block = (self.prefix | u128::from(self.low)).to_be_bytes();
        self.low = self.low.wrapping_add(1);
        block
    }
}

/// XORs as many bytes as the shorter slice has.
#[inline(always)]
pub(crate) fn xor(target: &mut [u8], source: &[u8]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target ^= source;
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
    last: &'a mut [u8; AES_BLOCK],
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
            keystream.iter_mut().for_each(|block| *block = self.counter.next().into());
            backend.encrypt_par_blocks_inplace(&mut keystream);
            batch.iter_mut().zip(keystream.iter()).for_each(|(block, key)| xor(block, key));
        }
        // The remaining whole blocks and the incomplete one share a batch if they fit one, which they do not when
        // the back end's batch is a single block.
        let count = rest.len().saturating_add(usize::from(!tail.is_empty()));
        if count > 0 {
            let together = count > 1 && pad_to_batch(count, B::ParBlocksSize::USIZE);
            let counters = keystream.iter_mut().take(count);
            counters.for_each(|block| *block = self.counter.next().into());
            if together {
                backend.encrypt_par_blocks_inplace(&mut keystream);
            } else {
                keystream.iter_mut().take(count).for_each(|block| backend.encrypt_block_inplace(block));
            }
            let mut used = keystream.iter();
            rest.iter_mut().zip(used.by_ref()).for_each(|(block, key)| xor(block, key));
            if let (false, Some(key)) = (tail.is_empty(), used.next()) {
                xor(tail, key);
                *self.last = (*key).into();
            }
        }
        wipe(&mut keystream);
    }
}
