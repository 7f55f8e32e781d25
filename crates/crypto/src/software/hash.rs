//! MD5, SHA-1, SHA-2, SHA-3 and SHAKE over the compression functions of the hash libraries.

use crate::hash::{Chain, MAX_BLOCK};
use crate::secret::{Secret, wipe};
use crate::{Error, Hash, HashAlgorithm, HashState, Software};

/// Two blocks of the widest SHA-2, or one of the widest sponge.
const MAX_PADDED: usize = if MAX_BLOCK > 64 { 256 } else { 128 };
const _: () = assert!(MAX_BLOCK <= MAX_PADDED);

#[cfg(feature = "md5")]
fn compress_md5(words: &mut [u32; 8], blocks: &[[u8; 64]]) -> Result<(), Error> {
    md5::block_api::compress(words.first_chunk_mut::<4>().ok_or(Error::State)?, blocks);
    Ok(())
}

#[cfg(not(feature = "md5"))]
const fn compress_md5(_: &mut [u32; 8], _: &[[u8; 64]]) -> Result<(), Error> {
    Err(Error::Unsupported)
}

#[cfg(feature = "sha1")]
fn compress_sha1(words: &mut [u32; 8], blocks: &[[u8; 64]]) -> Result<(), Error> {
    sha1::block_api::compress(words.first_chunk_mut::<5>().ok_or(Error::State)?, blocks);
    Ok(())
}

#[cfg(not(feature = "sha1"))]
const fn compress_sha1(_: &mut [u32; 8], _: &[[u8; 64]]) -> Result<(), Error> {
    Err(Error::Unsupported)
}

/// Whether words are in little-endian order, which MD5 alone has.
fn is_little_endian(algorithm: HashAlgorithm) -> bool {
    cfg!(feature = "md5") && algorithm == HashAlgorithm::Md5
}

impl<R> Hash for Software<R> {
    fn compress(&self, state: &mut HashState, blocks: &[u8]) -> Result<(), Error> {
        let algorithm = state.algorithm();
        if blocks.len().checked_rem(algorithm.block_size()) != Some(0) {
            return Err(Error::DataLength);
        }
        state.check()?;
        match state.chain_mut() {
            Chain::Words32 { words, length } => {
                let (whole, _) = blocks.as_chunks::<64>();
                if algorithm == HashAlgorithm::Md5 {
                    compress_md5(words, whole)?;
                } else if algorithm == HashAlgorithm::Sha1 {
                    compress_sha1(words, whole)?;
                } else {
                    sha2::block_api::compress256(words, whole);
                }
                // FIPS 180-4 counts modulo 2^64 bits.
                *length = length.wrapping_add(u64::try_from(blocks.len()).unwrap_or(u64::MAX));
            }
            #[cfg(feature = "sha512")]
            Chain::Words64 { words, length } => {
                let (whole, _) = blocks.as_chunks::<128>();
                sha2::block_api::compress512(words, whole);
                *length = length.wrapping_add(u128::try_from(blocks.len()).unwrap_or(u128::MAX));
            }
            #[cfg(feature = "sha3")]
            Chain::Lanes(lanes) => absorb(lanes, algorithm.block_size(), blocks),
        }
        Ok(())
    }

    fn finish(&self, state: &HashState, tail: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let algorithm = state.algorithm();
        let block_size = algorithm.block_size();
        if tail.len() >= block_size {
            return Err(Error::DataLength);
        }
        algorithm.check_output(output.len())?;
        state.check()?;

        let mut state = state.clone();
        let mut padded = Secret::<MAX_PADDED>::zero();
        let (message, padding) = padded.split_at_mut_checked(tail.len()).ok_or(Error::DataLength)?;
        message.copy_from_slice(tail);
        match state.chain() {
            Chain::Words32 { length, .. } => {
                let tail_length = u64::try_from(tail.len()).unwrap_or(u64::MAX);
                let bits = length.wrapping_add(tail_length).wrapping_mul(8);
                let bits = if is_little_endian(algorithm) { bits.to_le_bytes() } else { bits.to_be_bytes() };
                let size = pad(padding, tail.len(), block_size, &bits)?;
                self.compress(&mut state, padded.get(..size).ok_or(Error::DataLength)?)?;
            }
            #[cfg(feature = "sha512")]
            Chain::Words64 { length, .. } => {
                let tail_length = u128::try_from(tail.len()).unwrap_or(u128::MAX);
                let bits = length.wrapping_add(tail_length).wrapping_mul(8);
                let size = pad(padding, tail.len(), block_size, &bits.to_be_bytes())?;
                self.compress(&mut state, padded.get(..size).ok_or(Error::DataLength)?)?;
            }
            #[cfg(feature = "sha3")]
            Chain::Lanes(_) => {
                // FIPS 202, §6: the domain's suffix bits, then pad10*1.
                let suffix = if algorithm.digest_size().is_some() { 0x06 } else { 0x1f };
                *padding.first_mut().ok_or(Error::DataLength)? = suffix;
                let block = padded.get_mut(..block_size).ok_or(Error::DataLength)?;
                *block.last_mut().ok_or(Error::DataLength)? ^= 0x80;
                self.compress(&mut state, block)?;
            }
        }

        match state.chain_mut() {
            Chain::Words32 { words, .. } if is_little_endian(algorithm) => {
                emit(output, words.iter().map(|word| word.to_le_bytes()));
            }
            Chain::Words32 { words, .. } => emit(output, words.iter().map(|word| word.to_be_bytes())),
            #[cfg(feature = "sha512")]
            Chain::Words64 { words, .. } => emit(output, words.iter().map(|word| word.to_be_bytes())),
            #[cfg(feature = "sha3")]
            Chain::Lanes(lanes) => {
                let mut first = true;
                for part in output.chunks_mut(block_size) {
                    if !first {
                        // Zeros add nothing, so this is the permutation alone.
                        absorb(lanes, 8, &[0; 8]);
                    }
                    first = false;
                    emit(part, lanes.iter().map(|lane| lane.to_le_bytes()));
                }
            }
        }
        Ok(())
    }
}

/// Writes the SHA-2 padding of FIPS 180-4, §5.1, behind a tail of `tail_length` bytes; `padding` starts out as
/// zeros. Returns the length of tail and padding, one block or two.
fn pad(padding: &mut [u8], tail_length: usize, block_size: usize, bits: &[u8]) -> Result<usize, Error> {
    let needed = tail_length.saturating_add(1).saturating_add(bits.len());
    let size = if needed <= block_size { block_size } else { block_size.saturating_mul(2) };
    let padding = padding.get_mut(..size.saturating_sub(tail_length)).ok_or(Error::DataLength)?;
    *padding.first_mut().ok_or(Error::DataLength)? = 0x80;
    let start = padding.len().saturating_sub(bits.len());
    padding.get_mut(start..).ok_or(Error::DataLength)?.copy_from_slice(bits);
    Ok(size)
}

/// Fills `output` from the front with the bytes of `words`.
fn emit<const N: usize>(output: &mut [u8], words: impl Iterator<Item = [u8; N]>) {
    for (target, mut word) in output.chunks_mut(N).zip(words) {
        target.iter_mut().zip(word).for_each(|(target, byte)| *target = byte);
        wipe(&mut word);
    }
}

#[cfg(feature = "sha3")]
fn absorb(lanes: &mut [u64; 25], rate: usize, blocks: &[u8]) {
    keccak::Keccak::new().with_f1600(|permute| {
        for block in blocks.chunks_exact(rate) {
            let (words, _) = block.as_chunks::<8>();
            lanes.iter_mut().zip(words).for_each(|(lane, word)| *lane ^= u64::from_le_bytes(*word));
            permute(lanes);
        }
    });
}
