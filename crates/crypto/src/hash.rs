//! The hash family: resumable states, streaming and one-shot hashing.

use crate::Error;
use crate::secret::{Secret, wipe};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A hash function or extendable-output function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// MD5 (RFC 1321). Broken: for checksums of old formats only. [`Software`](crate::Software) has it with the feature
    /// `md5`.
    Md5,
    /// SHA-1 (FIPS 180-4). Not collision resistant: for old formats only.
    Sha1,
    /// SHA-224 (FIPS 180-4).
    Sha224,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-384 (FIPS 180-4).
    Sha384,
    /// SHA-512 (FIPS 180-4).
    Sha512,
    /// SHA-512/224 (FIPS 180-4).
    Sha512_224,
    /// SHA-512/256 (FIPS 180-4).
    Sha512_256,
    /// SHA3-224 (FIPS 202).
    Sha3_224,
    /// SHA3-256 (FIPS 202).
    Sha3_256,
    /// SHA3-384 (FIPS 202).
    Sha3_384,
    /// SHA3-512 (FIPS 202).
    Sha3_512,
    /// SHAKE128 (FIPS 202): output of any length.
    Shake128,
    /// SHAKE256 (FIPS 202): output of any length.
    Shake256,
}

/// Largest block size of any [`HashAlgorithm`] in this build, in bytes: SHAKE128's, SHA-512's, or SHA-256's.
pub(crate) const MAX_BLOCK: usize = if cfg!(feature = "sha3") {
    168
} else if cfg!(feature = "sha512") {
    128
} else {
    64
};

/// Largest digest size of any [`HashAlgorithm`], in bytes.
pub(crate) const MAX_DIGEST: usize = 64;

impl HashAlgorithm {
    /// Number of bytes that one compression takes in: 64 for MD5 and SHA-1 to SHA-256, 128 for SHA-384 and SHA-512, the
    /// rate (72 to 168) for SHA-3 and SHAKE.
    #[must_use]
    pub const fn block_size(self) -> usize {
        match self {
            Self::Md5 | Self::Sha1 | Self::Sha224 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 | Self::Sha512_224 | Self::Sha512_256 => 128,
            Self::Sha3_224 => 144,
            Self::Sha3_256 | Self::Shake256 => 136,
            Self::Sha3_384 => 104,
            Self::Sha3_512 => 72,
            Self::Shake128 => 168,
        }
    }

    /// Size of the digest in bytes; `None` for SHAKE, whose output has any length.
    #[must_use]
    pub const fn digest_size(self) -> Option<usize> {
        match self {
            Self::Md5 => Some(16),
            Self::Sha1 => Some(20),
            Self::Sha224 | Self::Sha512_224 | Self::Sha3_224 => Some(28),
            Self::Sha256 | Self::Sha512_256 | Self::Sha3_256 => Some(32),
            Self::Sha384 | Self::Sha3_384 => Some(48),
            Self::Sha512 | Self::Sha3_512 => Some(64),
            Self::Shake128 | Self::Shake256 => None,
        }
    }

    /// Checks the length of an output against [`digest_size`](Self::digest_size).
    ///
    /// # Errors
    /// [`Error::OutputLength`] unless `length` is the digest size, or the algorithm has none.
    pub const fn check_output(self, length: usize) -> Result<(), Error> {
        match self.digest_size() {
            Some(size) if size != length => Err(Error::OutputLength),
            _ => Ok(()),
        }
    }
}

/// The words that a hash keeps between blocks. They may leave the driver and come back.
///
/// A build without the feature `sha512` or `sha3` has not the words of these hashes either, so that states take no room for
/// them; their algorithms are then unsupported, except where a driver digests a message that is there as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chain {
    /// MD5 and SHA-1 (four and five words used, the rest zero), SHA-224 and SHA-256.
    Words32 {
        /// The chaining variables a, b, c, ...
        words: [u32; 8],
        /// Number of bytes compressed so far.
        length: u64,
    },
    /// SHA-384, SHA-512, SHA-512/224 and SHA-512/256.
    #[cfg(feature = "sha512")]
    Words64 {
        /// The chaining variables a to h.
        words: [u64; 8],
        /// Number of bytes compressed so far.
        length: u128,
    },
    /// SHA-3 and SHAKE: the 25 lanes of the permutation, lane (x, y) at index x + 5y.
    #[cfg(feature = "sha3")]
    Lanes([u64; 25]),
}

impl Zeroize for Chain {
    fn zeroize(&mut self) {
        match self {
            Self::Words32 { words, length } => {
                wipe(words);
                *length = 0;
            }
            #[cfg(feature = "sha512")]
            Self::Words64 { words, length } => {
                wipe(words);
                *length = 0;
            }
            #[cfg(feature = "sha3")]
            Self::Lanes(lanes) => wipe(lanes),
        }
    }
}

/// The state of a hash between blocks: the algorithm and its [`Chain`]. Bytes of an incomplete block are not part
/// of it; [`Hasher`] keeps them.
#[derive(Clone, PartialEq, Eq)]
pub struct HashState {
    algorithm: HashAlgorithm,
    chain: Chain,
}

impl HashState {
    /// The state before the first block. For an algorithm whose words this build has not ([`Chain`]), a state that every
    /// operation refuses.
    #[must_use]
    pub const fn new(algorithm: HashAlgorithm) -> Self {
        const fn narrow(words: [u32; 8]) -> Chain {
            Chain::Words32 { words, length: 0 }
        }
        #[cfg(feature = "sha512")]
        const fn wide(words: [u64; 8]) -> Chain {
            Chain::Words64 { words, length: 0 }
        }
        let chain = match algorithm {
            HashAlgorithm::Md5 => narrow(initial::MD5),
            HashAlgorithm::Sha1 => narrow(initial::SHA1),
            HashAlgorithm::Sha224 => narrow(initial::SHA224),
            HashAlgorithm::Sha256 => narrow(initial::SHA256),
            #[cfg(feature = "sha512")]
            HashAlgorithm::Sha384 => wide(initial::SHA384),
            #[cfg(feature = "sha512")]
            HashAlgorithm::Sha512 => wide(initial::SHA512),
            #[cfg(feature = "sha512")]
            HashAlgorithm::Sha512_224 => wide(initial::SHA512_224),
            #[cfg(feature = "sha512")]
            HashAlgorithm::Sha512_256 => wide(initial::SHA512_256),
            #[cfg(feature = "sha3")]
            HashAlgorithm::Sha3_224
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_384
            | HashAlgorithm::Sha3_512
            | HashAlgorithm::Shake128
            | HashAlgorithm::Shake256 => Chain::Lanes([0; 25]),
            #[cfg(not(all(feature = "sha3", feature = "sha512")))]
            _ => narrow([0; 8]),
        };
        Self { algorithm, chain }
    }

    /// Resumes from words that were exported with [`chain`](Self::chain).
    ///
    /// # Errors
    /// [`Error::State`] if the algorithm keeps words of another shape; [`Error::Unsupported`] if no words of this build
    /// have it.
    pub fn from_chain(algorithm: HashAlgorithm, chain: Chain) -> Result<Self, Error> {
        let state = Self { algorithm, chain };
        state.check()?;
        Ok(state)
    }

    /// Checks that the words have the algorithm's shape, which [`chain_mut`](Self::chain_mut) can break.
    ///
    /// # Errors
    /// [`Error::State`] if they do not; [`Error::Unsupported`] if no words of this build have it.
    pub const fn check(&self) -> Result<(), Error> {
        match (self.algorithm.block_size(), &self.chain) {
            (64, Chain::Words32 { .. }) => Ok(()),
            #[cfg(feature = "sha512")]
            (128, Chain::Words64 { .. }) => Ok(()),
            #[cfg(feature = "sha3")]
            (65..128 | 129.., Chain::Lanes(_)) => Ok(()),
            (128, _) if !cfg!(feature = "sha512") => Err(Error::Unsupported),
            (65..128 | 129.., _) if !cfg!(feature = "sha3") => Err(Error::Unsupported),
            _ => Err(Error::State),
        }
    }

    /// The algorithm that this state belongs to.
    #[must_use]
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The words, for export or for a driver.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The words, for a driver to update. Their shape must stay the same.
    pub const fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }
}

impl Drop for HashState {
    fn drop(&mut self) {
        self.chain.zeroize();
    }
}

impl ZeroizeOnDrop for HashState {}

impl core::fmt::Debug for HashState {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The chain can be derived from a secret (HMAC), so it does not belong into a log.
        formatter.debug_struct("HashState").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Initial values of RFC 1321, §3.3, and FIPS 180-4, §5.3.
mod initial {
    pub(super) const MD5: [u32; 8] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0, 0, 0, 0];
    pub(super) const SHA1: [u32; 8] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0, 0, 0, 0];
    pub(super) const SHA224: [u32; 8] =
        [0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4];
    pub(super) const SHA256: [u32; 8] =
        [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
    #[cfg(feature = "sha512")]
    pub(super) const SHA384: [u64; 8] = [
        0xcbbb9d5dc1059ed8,
        0x629a292a367cd507,
        0x9159015a3070dd17,
        0x152fecd8f70e5939,
        0x67332667ffc00b31,
        0x8eb44a8768581511,
        0xdb0c2e0d64f98fa7,
        0x47b5481dbefa4fa4,
    ];
    #[cfg(feature = "sha512")]
    pub(super) const SHA512: [u64; 8] = [
        0x6a09e667f3bcc908,
        0xbb67ae8584caa73b,
        0x3c6ef372fe94f82b,
        0xa54ff53a5f1d36f1,
        0x510e527fade682d1,
        0x9b05688c2b3e6c1f,
        0x1f83d9abfb41bd6b,
        0x5be0cd19137e2179,
    ];
    #[cfg(feature = "sha512")]
    pub(super) const SHA512_224: [u64; 8] = [
        0x8c3d37c819544da2,
        0x73e1996689dcd4d6,
        0x1dfab7ae32ff9c82,
        0x679dd514582f9fcf,
        0x0f6d2b697bd44da8,
        0x77e36f7304c48942,
        0x3f9d85a86a1d36c8,
        0x1112e6ad91d692a1,
    ];
    #[cfg(feature = "sha512")]
    pub(super) const SHA512_256: [u64; 8] = [
        0x22312194fc2bf72c,
        0x9f555fa3c84c64c2,
        0x2393b86b6f53b151,
        0x963877195940eabd,
        0x96283ee2a88effe3,
        0xbe5e1e2553863992,
        0x2b0199fc2c85b8aa,
        0x0eb72ddc81c52ca2,
    ];
}

/// Hash functions, block by block and at once.
pub trait Hash {
    /// Compresses whole blocks into `state`.
    ///
    /// `blocks` is a multiple of the algorithm's [block size](HashAlgorithm::block_size), possibly empty.
    ///
    /// # Errors
    /// [`Error::DataLength`] if `blocks` is no multiple of the block size; [`Error::State`] if the state's words
    /// do not fit its algorithm. The state is unchanged in both cases.
    fn compress(&self, state: &mut HashState, blocks: &[u8]) -> Result<(), Error> {
        let _ = (state, blocks);
        Err(Error::Unsupported)
    }

    /// Pads and compresses the last, incomplete block (0 bytes up to one less than the block size) and writes the
    /// digest.
    ///
    /// `output` has exactly the digest size; for SHAKE, any size. The state is read only, so that a caller may
    /// continue a common prefix.
    ///
    /// # Errors
    /// [`Error::DataLength`] if `tail` is a block or more; [`Error::OutputLength`]; [`Error::State`] as for
    /// [`compress`](Self::compress).
    fn finish(&self, state: &HashState, tail: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let _ = (state, tail, output);
        Err(Error::Unsupported)
    }

    /// Hashes the concatenation of `parts` at once: for devices that keep their state to themselves. A driver that
    /// has [`compress`](Self::compress) and [`finish`](Self::finish) need not implement it; callers use the
    /// function [`hash`], which takes either way.
    ///
    /// # Errors
    /// [`Error::OutputLength`] as for [`finish`](Self::finish).
    fn digest(&self, algorithm: HashAlgorithm, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        let _ = (algorithm, parts, output);
        Err(Error::Unsupported)
    }
}

/// Hashes data that arrives in pieces, through any driver.
pub struct Hasher<'a, D: Hash + ?Sized> {
    driver: &'a D,
    state: HashState,
    pending: Secret<MAX_BLOCK>,
    /// Always less than the block size between calls.
    pending_length: usize,
}

impl<'a, D: Hash + ?Sized> Hasher<'a, D> {
    /// Starts hashing with `algorithm`.
    pub const fn new(driver: &'a D, algorithm: HashAlgorithm) -> Self {
        Self { driver, state: HashState::new(algorithm), pending: Secret::zero(), pending_length: 0 }
    }

    /// Adds `data` to the message.
    ///
    /// # Errors
    /// What the driver answers. The hasher must not be used further after an error.
    pub fn update(&mut self, mut data: &[u8]) -> Result<(), Error> {
        self.state.check()?;
        let block_size = self.state.algorithm.block_size();
        if self.pending_length > 0 {
            let free = self.pending.get_mut(self.pending_length..block_size).ok_or(Error::State)?;
            let count = free.len().min(data.len());
            let (now, later) = data.split_at_checked(count).ok_or(Error::State)?;
            free.get_mut(..count).ok_or(Error::State)?.copy_from_slice(now);
            self.pending_length = self.pending_length.saturating_add(count);
            data = later;
            if self.pending_length < block_size {
                return Ok(());
            }
            let block = self.pending.get(..block_size).ok_or(Error::State)?;
            self.driver.compress(&mut self.state, block)?;
            self.pending_length = 0;
        }
        let remainder = data.len().checked_rem(block_size).ok_or(Error::State)?;
        let (blocks, tail) =
            data.split_at_checked(data.len().saturating_sub(remainder)).ok_or(Error::State)?;
        if !blocks.is_empty() {
            self.driver.compress(&mut self.state, blocks)?;
        }
        self.pending.get_mut(..remainder).ok_or(Error::State)?.copy_from_slice(tail);
        self.pending_length = remainder;
        Ok(())
    }

    /// Ends the message and writes its digest; `output` as in [`Hash::finish`].
    ///
    /// # Errors
    /// [`Error::OutputLength`], or what the driver answers.
    pub fn finish(self, output: &mut [u8]) -> Result<(), Error> {
        self.digest(output)
    }

    /// Ends the message with `parts` and writes its digest.
    pub(crate) fn complete(&mut self, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        parts.iter().try_for_each(|part| self.update(part)).and_then(|()| self.digest(output))
    }

    /// [`finish`](Self::finish) without a move: a hasher is not small.
    fn digest(&self, output: &mut [u8]) -> Result<(), Error> {
        let tail = self.pending.get(..self.pending_length).ok_or(Error::State)?;
        self.driver.finish(&self.state, tail, output)
    }
}

impl<D: Hash + ?Sized> Clone for Hasher<'_, D> {
    fn clone(&self) -> Self {
        Self {
            driver: self.driver,
            state: self.state.clone(),
            pending: self.pending.clone(),
            pending_length: self.pending_length,
        }
    }
}

impl<D: Hash + ?Sized> core::fmt::Debug for Hasher<'_, D> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Hasher").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Hashes the concatenation of `parts` with any driver. `output` has the digest size; for SHAKE, any size.
///
/// # Errors
/// [`Error::OutputLength`]; [`Error::Unsupported`] if the driver does not have the algorithm.
pub fn hash<D: Hash + ?Sized>(
    driver: &D,
    algorithm: HashAlgorithm,
    parts: &[&[u8]],
    output: &mut [u8],
) -> Result<(), Error> {
    match driver.digest(algorithm, parts, output) {
        Err(Error::Unsupported) => Hasher::new(driver, algorithm).complete(parts, output),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::driver;
    use std::vec::Vec;

    const ALL: [HashAlgorithm; 13] = [
        HashAlgorithm::Sha1,
        HashAlgorithm::Sha224,
        HashAlgorithm::Sha256,
        HashAlgorithm::Sha384,
        HashAlgorithm::Sha512,
        HashAlgorithm::Sha512_224,
        HashAlgorithm::Sha512_256,
        HashAlgorithm::Sha3_224,
        HashAlgorithm::Sha3_256,
        HashAlgorithm::Sha3_384,
        HashAlgorithm::Sha3_512,
        HashAlgorithm::Shake128,
        HashAlgorithm::Shake256,
    ];

    /// The message of document 04, §11.
    fn message(length: usize) -> Vec<u8> {
        (0..length).map(|index| ((7 * index + 3) % 256) as u8).collect()
    }

    /// Document 04, §11: state words leave, come back, and lead to the digest.
    #[test]
    fn sha256_state_travels() {
        let driver = driver();
        let message = message(170);
        let mut state = HashState::new(HashAlgorithm::Sha256);
        driver.compress(&mut state, &message[..128]).unwrap();
        let Chain::Words32 { words, length } = state.chain().clone() else { panic!("wrong shape") };
        assert_eq!(
            hex::encode(words.map(u32::to_le_bytes).as_flattened()),
            "b6ce64cb58d3b7c5da0cdddb3b3662c82ba354de1198f75a2403e6178f031107"
        );
        assert_eq!(length, 128);
        let resumed = HashState::from_chain(HashAlgorithm::Sha256, Chain::Words32 { words, length }).unwrap();
        let mut digest = [0; 32];
        driver.finish(&resumed, &message[128..], &mut digest).unwrap();
        assert_eq!(hex::encode(digest), "acf89d6c62a39a041a1a8a83ebb43924517dbea5c5f45c379a54e81459d5c624");
    }

    /// Document 04, §11.
    #[test]
    fn sha512_and_sha3_states() {
        let driver = driver();
        let mut state = HashState::new(HashAlgorithm::Sha512);
        driver.compress(&mut state, &message(128)).unwrap();
        let Chain::Words64 { words, length } = state.chain().clone() else { panic!("wrong shape") };
        assert_eq!(
            hex::encode(words.map(u64::to_le_bytes).as_flattened()),
            "cd44ba405c6ba896b64a133439b42d21a4d6482c3b6815a118e841e8750670d0\
             3b7d92241d19ef2d9d3fcef80af800e9b715864bd26a20803bc30d4439b3276a"
        );
        assert_eq!(length, 128);

        let mut state = HashState::new(HashAlgorithm::Sha3_512);
        driver.compress(&mut state, &message(72)).unwrap();
        let Chain::Lanes(lanes) = state.chain().clone() else { panic!("wrong shape") };
        let lanes = lanes.map(u64::to_le_bytes);
        assert_eq!(
            hex::encode(lanes[..3].as_flattened()),
            "7dd2349fe7034eaaedbbe89aff6220284deee622e2a3ccb0"
        );
        assert_eq!(hex::encode(lanes[24]), "16a29b678a27fe8b");
    }

    /// RFC 1321, A.5, and a message of two blocks, whose digest is md5sum's.
    #[cfg(feature = "md5")]
    #[test]
    fn md5_vectors() {
        let message = message(100);
        for (message, expected) in [
            (&b""[..], "d41d8cd98f00b204e9800998ecf8427e"),
            (b"abc", "900150983cd24fb0d6963f7d28e17f72"),
            (
                b"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
            (&message, "f85d474760cb48f459327ba2209c185d"),
        ] {
            let mut digest = [0; 16];
            hash(&driver(), HashAlgorithm::Md5, &[message], &mut digest).unwrap();
            assert_eq!(hex::encode(digest), expected);
        }
    }

    /// Without the feature the driver declines, so that another one can be asked.
    #[cfg(not(feature = "md5"))]
    #[test]
    fn md5_is_declined() {
        let mut digest = [0; 16];
        assert_eq!(hash(&driver(), HashAlgorithm::Md5, &[b"abc"], &mut digest), Err(Error::Unsupported));
        assert_eq!(digest, [0; 16]);
    }

    /// FIPS 180-4 counts to 2^64 and 2^128 bits; a client's counter may be anything.
    #[test]
    fn counters_wrap() {
        let driver = driver();
        let mut digest = [0; 64];
        let chain = Chain::Words32 { words: [1; 8], length: u64::MAX - 63 };
        let mut state = HashState::from_chain(HashAlgorithm::Sha256, chain).unwrap();
        driver.compress(&mut state, &[0; 64]).unwrap();
        assert!(matches!(state.chain(), Chain::Words32 { length: 0, .. }));
        driver.finish(&state, &[0; 63], &mut digest[..32]).unwrap();

        let chain = Chain::Words64 { words: [1; 8], length: u128::MAX };
        let mut state = HashState::from_chain(HashAlgorithm::Sha512, chain).unwrap();
        driver.finish(&state, &[0; 127], &mut digest).unwrap();
        driver.compress(&mut state, &[0; 128]).unwrap();
        assert!(matches!(state.chain(), Chain::Words64 { length: 127, .. }));
    }

    /// The length in the padding reaches beyond 2^32 bytes: the digest of 4 GiB of zeros, resumed at its last block.
    #[test]
    fn more_than_four_gibibytes() {
        let driver = driver();
        let finish = |length| {
            let chain = Chain::Words64 { words: [7; 8], length };
            let state = HashState::from_chain(HashAlgorithm::Sha512, chain).unwrap();
            let mut digest = [0; 64];
            driver.finish(&state, &[], &mut digest).unwrap();
            digest
        };
        assert_ne!(finish(1 << 32), finish(0));
        assert_ne!(finish(1 << 70), finish(0));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let driver = driver();
        for algorithm in ALL {
            let block = algorithm.block_size();
            let mut state = HashState::new(algorithm);
            let before = state.clone();
            let size = algorithm.digest_size().unwrap_or(10);
            let mut digest = std::vec![0; size];
            assert_eq!(driver.compress(&mut state, &std::vec![0; block - 1]), Err(Error::DataLength));
            assert_eq!(driver.compress(&mut state, &std::vec![0; block + 1]), Err(Error::DataLength));
            assert_eq!(driver.compress(&mut state, &[]), Ok(()));
            assert_eq!(state, before);
            assert_eq!(driver.finish(&state, &std::vec![0; block], &mut digest), Err(Error::DataLength));
            assert_eq!(driver.finish(&state, &std::vec![0; block - 1], &mut digest), Ok(()));
            if algorithm.digest_size().is_some() {
                assert_eq!(driver.finish(&state, &[], &mut digest[1..]), Err(Error::OutputLength));
                digest.push(0);
                assert_eq!(driver.finish(&state, &[], &mut digest), Err(Error::OutputLength));
            } else {
                assert_eq!(driver.finish(&state, &[], &mut []), Ok(()));
            }
        }
    }

    #[test]
    fn a_foreign_state_is_refused() {
        let chain = HashState::new(HashAlgorithm::Sha512).chain().clone();
        assert_eq!(HashState::from_chain(HashAlgorithm::Sha256, chain.clone()), Err(Error::State));
        assert_eq!(HashState::from_chain(HashAlgorithm::Sha3_256, chain.clone()), Err(Error::State));
        assert!(HashState::from_chain(HashAlgorithm::Sha384, chain).is_ok());
        // A state bent through chain_mut neither panics nor is computed upon.
        for algorithm in ALL {
            for other in ALL {
                let mut state = HashState::new(algorithm);
                *state.chain_mut() = HashState::new(other).chain().clone();
                let fits = HashState::from_chain(algorithm, state.chain().clone()).is_ok();
                let mut digest = [0; 64];
                let digest = &mut digest[..algorithm.digest_size().unwrap_or(64)];
                let expected = if fits { Ok(()) } else { Err(Error::State) };
                assert_eq!(driver().finish(&state, b"x", digest), expected);
                let blocks = std::vec![0; algorithm.block_size()];
                assert_eq!(driver().compress(&mut state, &blocks), expected);
            }
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let driver = driver();
        let hasher = Hasher::new(&driver, HashAlgorithm::Sha256);
        assert_eq!(std::format!("{hasher:?}"), "Hasher { state: HashState { algorithm: Sha256, .. }, .. }");
    }
}
