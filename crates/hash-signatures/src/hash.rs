//! Hashing over an [`Engine`]: whole messages, and the fixed blocks of SHA-256 that trees are made of.

use crate::{Engine, Error};

/// Size of the largest node, in bytes.
pub(crate) const MAX_NODE: usize = 64;

/// A node of a tree, of which the first n bytes are used.
pub(crate) type Node = [u8; MAX_NODE];

/// Initial words of SHA-256 (FIPS 180-4, §5.3.3).
pub(crate) const SHA256_INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// Initial words of SHA-512 (FIPS 180-4, §5.3.5).
const SHA512_INITIAL: [u64; 8] = [
    0x6a09e667f3bcc908,
    0xbb67ae8584caa73b,
    0x3c6ef372fe94f82b,
    0xa54ff53a5f1d36f1,
    0x510e527fade682d1,
    0x9b05688c2b3e6c1f,
    0x1f83d9abfb41bd6b,
    0x5be0cd19137e2179,
];

/// A hash function of the parameter sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Sha256,
    Sha512,
    Shake128,
    Shake256,
}

impl Function {
    const fn block(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
            Self::Shake128 => 168,
            Self::Shake256 => 136,
        }
    }
}

#[derive(Clone)]
enum Chain {
    Narrow([u32; 8]),
    Wide([u64; 8]),
    Lanes([u64; 25]),
}

/// Overwrites plain values in a way that the compiler keeps.
pub(crate) fn wipe<T: Copy + Default>(values: &mut [T]) {
    values.fill(T::default());
    zeroize::optimization_barrier(values);
}

/// A hash of data that arrives in pieces.
#[derive(Clone)]
pub(crate) struct Hasher {
    function: Function,
    chain: Chain,
    pending: [u8; 168],
    filled: usize,
    length: u64,
}

impl Drop for Hasher {
    fn drop(&mut self) {
        wipe(&mut self.pending);
        match &mut self.chain {
            Chain::Narrow(words) => wipe(words),
            Chain::Wide(words) => wipe(words),
            Chain::Lanes(lanes) => wipe(lanes),
        }
    }
}

impl Hasher {
    pub(crate) const fn new(function: Function) -> Self {
        let chain = match function {
            Function::Sha256 => Chain::Narrow(SHA256_INITIAL),
            Function::Sha512 => Chain::Wide(SHA512_INITIAL),
            Function::Shake128 | Function::Shake256 => Chain::Lanes([0; 25]),
        };
        Self { function, chain, pending: [0; 168], filled: 0, length: 0 }
    }

    /// Compresses the pending bytes, which are a whole block.
    fn compress<E: Engine + ?Sized>(&mut self, engine: &mut E) -> Result<(), Error> {
        self.filled = 0;
        match &mut self.chain {
            Chain::Narrow(words) => engine.sha256(words, self.pending.first_chunk().ok_or(Error::Engine)?),
            Chain::Wide(words) => engine.sha512(words, self.pending.first_chunk().ok_or(Error::Engine)?),
            Chain::Lanes(lanes) => {
                engine.shake(lanes, self.pending.get(..self.function.block()).ok_or(Error::Engine)?)
            }
        }
    }

    pub(crate) fn update<E: Engine + ?Sized>(
        &mut self,
        engine: &mut E,
        mut data: &[u8],
    ) -> Result<(), Error> {
        self.length = self.length.wrapping_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        let block = self.function.block();
        while !data.is_empty() {
            let free = self.pending.get_mut(self.filled..block).ok_or(Error::Engine)?;
            let (now, later) = data.split_at(free.len().min(data.len()));
            free.get_mut(..now.len()).ok_or(Error::Engine)?.copy_from_slice(now);
            self.filled = self.filled.wrapping_add(now.len());
            data = later;
            if self.filled == block {
                self.compress(engine)?;
            }
        }
        Ok(())
    }

    /// Pads, and writes as many bytes of the digest as `output` holds: at most the digest's size, for SHAKE 64.
    pub(crate) fn finish<E: Engine + ?Sized>(
        mut self,
        engine: &mut E,
        output: &mut [u8],
    ) -> Result<(), Error> {
        let block = self.function.block();
        let (suffix, counter) = match self.function {
            Function::Sha256 => (0x80, 8),
            Function::Sha512 => (0x80, 16),
            Function::Shake128 | Function::Shake256 => (0x1f, 0),
        };
        let free = self.pending.get_mut(self.filled..block).ok_or(Error::Engine)?;
        free.fill(0);
        *free.first_mut().ok_or(Error::Engine)? = suffix;
        if counter == 0 {
            let last = self.pending.get_mut(..block).and_then(<[u8]>::last_mut).ok_or(Error::Engine)?;
            *last ^= 0x80;
        } else {
            if free.len() <= counter {
                self.compress(engine)?;
                self.pending.fill(0);
            }
            let bits = self.length.wrapping_mul(8).to_be_bytes();
            let end = self.pending.get_mut(..block).and_then(<[u8]>::last_chunk_mut);
            *end.ok_or(Error::Engine)? = bits;
        }
        self.compress(engine)?;
        match &self.chain {
            Chain::Narrow(words) => emit(output, words.iter().map(|word| word.to_be_bytes())),
            Chain::Wide(words) => emit(output, words.iter().map(|word| word.to_be_bytes())),
            Chain::Lanes(lanes) => emit(output, lanes.iter().map(|lane| lane.to_le_bytes())),
        }
        Ok(())
    }
}

fn emit<const N: usize>(output: &mut [u8], words: impl Iterator<Item = [u8; N]>) {
    for (to, from) in output.chunks_mut(N).zip(words) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from);
    }
}

/// Hashes the concatenation of `parts`.
pub(crate) fn hash<E: Engine + ?Sized>(
    engine: &mut E,
    function: Function,
    parts: &[&[u8]],
    output: &mut [u8],
) -> Result<(), Error> {
    let mut hasher = Hasher::new(function);
    for part in parts {
        hasher.update(engine, part)?;
    }
    hasher.finish(engine, output)
}

/// The words of SHA-256 as bytes.
#[inline]
pub(crate) fn words_to_bytes(words: &[u32; 8], output: &mut [u8; 32]) {
    let (chunks, _) = output.as_chunks_mut::<4>();
    for (to, word) in chunks.iter_mut().zip(words) {
        *to = word.to_be_bytes();
    }
}

#[cfg(all(test, feature = "software"))]
mod tests {
    use super::*;
    use crate::Software;
    use sha2::Digest as _;
    use shake::{ExtendableOutput as _, Update as _};

    /// Every length around the block sizes, in pieces of 1 to 70 bytes.
    #[test]
    fn equals_the_libraries() {
        let data: std::vec::Vec<u8> = (0..400_u32).map(|i| (i * 7 % 251) as u8).collect();
        for length in 0..data.len() {
            let message = &data[..length];
            let digest = |function, size: usize| {
                let mut hasher = Hasher::new(function);
                for part in message.chunks(1 + length % 70) {
                    hasher.update(&mut Software, part).unwrap();
                }
                let mut output = [0; 64];
                hasher.finish(&mut Software, &mut output[..size]).unwrap();
                output[..size].to_vec()
            };
            assert_eq!(digest(Function::Sha256, 32), sha2::Sha256::digest(message).to_vec());
            assert_eq!(digest(Function::Sha512, 64), sha2::Sha512::digest(message).to_vec());
            let mut expected = [0; 64];
            let mut oracle = shake::Shake128::default();
            oracle.update(message);
            oracle.finalize_xof_into(&mut expected);
            assert_eq!(digest(Function::Shake128, 64), expected);
            let mut oracle = shake::Shake256::default();
            oracle.update(message);
            oracle.finalize_xof_into(&mut expected);
            assert_eq!(digest(Function::Shake256, 64), expected);
        }
    }
}
