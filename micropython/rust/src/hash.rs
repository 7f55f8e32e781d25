//! The states of `wolfhashlib`: bytes that an object of MicroPython holds.
//!
//! Layout: algorithm number, count of pending bytes, a flag for "has given its digest", five bytes unused; the count of
//! compressed bytes (8); the words between blocks; one block for pending bytes. A state is as large as its algorithm
//! needs: 112 bytes for SHA-256.

use crate::{DRIVER, Error};
use casemate_crypto::{Chain, Hash, HashAlgorithm, HashState};
use zeroize::Zeroize;

/// The numbers of the algorithms, as `casemate.h` has them, of those that this build has.
const fn algorithm(number: u8) -> Option<HashAlgorithm> {
    Some(match number {
        1 if cfg!(feature = "md5") => HashAlgorithm::Md5,
        2 if cfg!(feature = "sha1") => HashAlgorithm::Sha1,
        3 => HashAlgorithm::Sha224,
        4 => HashAlgorithm::Sha256,
        5 if cfg!(feature = "sha512") => HashAlgorithm::Sha384,
        6 if cfg!(feature = "sha512") => HashAlgorithm::Sha512,
        7 if cfg!(feature = "sha3") => HashAlgorithm::Sha3_224,
        8 if cfg!(feature = "sha3") => HashAlgorithm::Sha3_256,
        9 if cfg!(feature = "sha3") => HashAlgorithm::Sha3_384,
        10 if cfg!(feature = "sha3") => HashAlgorithm::Sha3_512,
        11 if cfg!(feature = "sha3") => HashAlgorithm::Shake128,
        12 if cfg!(feature = "sha3") => HashAlgorithm::Shake256,
        _ => return None,
    })
}

/// The algorithm of a number, if this build has it.
///
/// # Errors
/// [`Error::Unsupported`].
pub fn by_number(number: u8) -> Result<HashAlgorithm, Error> {
    algorithm(number).ok_or(Error::Unsupported)
}

const HEAD: usize = 16;
/// Offsets in the head.
const PENDING: usize = 1;
const FINAL: usize = 2;

/// Size of the words between blocks, in bytes.
const fn words_size(algorithm: HashAlgorithm) -> usize {
    match algorithm.block_size() {
        64 => 32,
        128 => 64,
        _ => 200,
    }
}

/// Size of a state in bytes.
///
/// # Errors
/// [`Error::Unsupported`].
pub fn state_size(number: u8) -> Result<usize, Error> {
    let algorithm = by_number(number)?;
    Ok(HEAD.saturating_add(words_size(algorithm)).saturating_add(algorithm.block_size()))
}

/// The parts of a state, borrowed.
struct State<'a> {
    algorithm: HashAlgorithm,
    head: &'a mut [u8; HEAD],
    words: &'a mut [u8],
    pending: &'a mut [u8],
}

impl<'a> State<'a> {
    fn new(state: &'a mut [u8]) -> Result<Self, Error> {
        let (head, rest) = state.split_first_chunk_mut::<HEAD>().ok_or(Error::Internal)?;
        let algorithm = by_number(*head.first().ok_or(Error::Internal)?)?;
        let (words, pending) = rest.split_at_mut_checked(words_size(algorithm)).ok_or(Error::Internal)?;
        let pending = pending.get_mut(..algorithm.block_size()).ok_or(Error::Internal)?;
        Ok(Self { algorithm, head, words, pending })
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.head.get(FINAL) == Some(&0) { Ok(()) } else { Err(Error::Final) }
    }

    fn pending_length(&self) -> usize {
        self.head.get(PENDING).map_or(0, |length| usize::from(*length))
    }

    fn set_pending_length(&mut self, length: usize) -> Result<(), Error> {
        *self.head.get_mut(PENDING).ok_or(Error::Internal)? =
            u8::try_from(length).map_err(|_| Error::Internal)?;
        Ok(())
    }

    /// The state as the driver knows it.
    fn load(&self) -> Result<HashState, Error> {
        let length = u64::from_ne_bytes(*self.head.last_chunk::<8>().ok_or(Error::Internal)?);
        let chain = match self.algorithm.block_size() {
            64 => {
                let mut words = [0; 8];
                let (bytes, _) = self.words.as_chunks::<4>();
                words.iter_mut().zip(bytes).for_each(|(word, bytes)| *word = u32::from_ne_bytes(*bytes));
                Chain::Words32 { words, length }
            }
            #[cfg(feature = "sha512")]
            128 => Chain::Words64 { words: self.wide(), length: u128::from(length) },
            #[cfg(feature = "sha3")]
            65..128 | 129.. => Chain::Lanes(self.wide()),
            _ => return Err(Error::Internal),
        };
        Ok(HashState::from_chain(self.algorithm, chain)?)
    }

    fn wide<const N: usize>(&self) -> [u64; N] {
        let mut words = [0; N];
        let (bytes, _) = self.words.as_chunks::<8>();
        words.iter_mut().zip(bytes).for_each(|(word, bytes)| *word = u64::from_ne_bytes(*bytes));
        words
    }

    fn store(&mut self, state: &HashState) -> Result<(), Error> {
        let length = match state.chain() {
            Chain::Words32 { words, length } => {
                let (bytes, _) = self.words.as_chunks_mut::<4>();
                bytes.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_ne_bytes());
                *length
            }
            #[cfg(feature = "sha512")]
            Chain::Words64 { words, length } => {
                self.store_wide(words);
                u64::try_from(*length).map_err(|_| Error::Internal)?
            }
            #[cfg(feature = "sha3")]
            Chain::Lanes(words) => {
                self.store_wide(words);
                0
            }
            _ => return Err(Error::Internal),
        };
        *self.head.last_chunk_mut::<8>().ok_or(Error::Internal)? = length.to_ne_bytes();
        Ok(())
    }

    fn store_wide(&mut self, words: &[u64]) {
        let (bytes, _) = self.words.as_chunks_mut::<8>();
        bytes.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_ne_bytes());
    }
}

/// Starts a hash in `state`, which has [`state_size`] bytes.
///
/// # Errors
/// [`Error::Unsupported`]; [`Error::Internal`] if `state` is too small.
pub fn start(state: &mut [u8], number: u8) -> Result<(), Error> {
    let algorithm = by_number(number)?;
    state.fill(0);
    *state.first_mut().ok_or(Error::Internal)? = number;
    State::new(state)?.store(&HashState::new(algorithm))
}

/// Adds `data` to the message.
///
/// # Errors
/// [`Error::Final`] after [`finish`]; [`Error::Internal`] if `state` is none.
pub fn update(state: &mut [u8], mut data: &[u8]) -> Result<(), Error> {
    let mut state = State::new(state)?;
    state.check_open()?;
    let mut count = state.pending_length();
    let mut chain = None;
    if count > 0 {
        let free = state.pending.get_mut(count..).ok_or(Error::Internal)?;
        let (now, later) = data.split_at(free.len().min(data.len()));
        free.iter_mut().zip(now).for_each(|(target, byte)| *target = *byte);
        count = count.saturating_add(now.len());
        data = later;
        if count == state.pending.len() {
            let mut loaded = state.load()?;
            DRIVER.compress(&mut loaded, state.pending)?;
            chain = Some(loaded);
            count = 0;
        }
    }
    let block = state.pending.len();
    if data.len() >= block {
        let tail = data.len().checked_rem(block).ok_or(Error::Internal)?;
        let (blocks, rest) = data.split_at(data.len().saturating_sub(tail));
        let mut loaded = match chain {
            Some(loaded) => loaded,
            None => state.load()?,
        };
        DRIVER.compress(&mut loaded, blocks)?;
        chain = Some(loaded);
        data = rest;
    }
    if let Some(chain) = chain {
        state.store(&chain)?;
    }
    if !data.is_empty() {
        let target = state.pending.get_mut(count..).ok_or(Error::Internal)?;
        target.iter_mut().zip(data).for_each(|(target, byte)| *target = *byte);
        count = count.saturating_add(data.len());
    }
    state.set_pending_length(count)
}

/// Writes the digest to `output` (for SHAKE, of any length) and wipes the state, which stays marked as final.
///
/// # Errors
/// [`Error::Final`] the second time; [`Error::Output`] if `output` has not the digest's size.
pub fn finish(state: &mut [u8], output: &mut [u8]) -> Result<(), Error> {
    let parts = State::new(state)?;
    parts.check_open()?;
    let tail = parts.pending.get(..parts.pending_length()).ok_or(Error::Internal)?;
    DRIVER.finish(&parts.load()?, tail, output)?;
    parts.words.zeroize();
    parts.pending.zeroize();
    *parts.head.get_mut(FINAL).ok_or(Error::Internal)? = 1;
    Ok(())
}

/// Whether the state has given its digest.
///
/// # Errors
/// [`Error::Final`] if it has.
pub fn check_open(state: &mut [u8]) -> Result<(), Error> {
    State::new(state)?.check_open()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8, pieces: &[&[u8]], length: usize) -> Vec<u8> {
        let mut state = vec![0xa5; state_size(number).unwrap()];
        start(&mut state, number).unwrap();
        for piece in pieces {
            update(&mut state, piece).unwrap();
        }
        let mut digest = vec![0; length];
        finish(&mut state, &mut digest).unwrap();
        digest
    }

    /// Each state, fed in pieces of every length around a block, gives the digest that the driver gives at once.
    #[test]
    fn pieces_of_any_length() {
        let message: Vec<u8> = (0..600_u32).map(|index| (index * 31 % 251) as u8).collect();
        for number in 1..=12 {
            let algorithm = by_number(number).unwrap();
            let size = algorithm.digest_size().unwrap_or(77);
            let mut expected = vec![0; size];
            casemate_crypto::hash(&DRIVER, algorithm, &[&message], &mut expected).unwrap();
            for piece in (1..=170).chain([255, 256, 257, 336, 600]) {
                let pieces: Vec<&[u8]> = message.chunks(piece).collect();
                assert_eq!(hash(number, &pieces, size), expected, "{number} in pieces of {piece}");
            }
            // Pieces that grow, with empty ones between.
            let (mut pieces, mut rest, mut length) = (Vec::new(), message.as_slice(), 1);
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(length.min(rest.len()));
                pieces.extend([piece, &[]]);
                rest = later;
                length += 7;
            }
            assert_eq!(hash(number, &pieces, size), expected);
        }
    }

    /// FIPS 180-4, "abc"; the algorithm numbers are what C uses.
    #[test]
    fn known_digests() {
        assert_eq!(hex::encode(hash(1, &[b"abc"], 16)), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex::encode(hash(2, &[b"abc"], 20)), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex::encode(hash(4, &[b"abc"], 32)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn final_means_final() {
        let mut state = vec![0; state_size(4).unwrap()];
        start(&mut state, 4).unwrap();
        update(&mut state, b"secret secret").unwrap();
        assert_eq!(finish(&mut state, &mut [0; 31]), Err(Error::Output));
        finish(&mut state, &mut [0; 32]).unwrap();
        assert!(!state.windows(6).any(|window| window == b"secret"));
        assert_eq!(finish(&mut state, &mut [0; 32]), Err(Error::Final));
        assert_eq!(update(&mut state, b"x"), Err(Error::Final));
        assert_eq!(check_open(&mut state), Err(Error::Final));
    }

    #[test]
    fn not_a_state() {
        assert_eq!(state_size(0), Err(Error::Unsupported));
        assert_eq!(state_size(13), Err(Error::Unsupported));
        for length in 0..112 {
            assert_eq!(start(&mut vec![0; length], 4), Err(Error::Internal));
        }
        assert_eq!(update(&mut [0; 200], b"x"), Err(Error::Unsupported));
        // A count of pending bytes beyond the block.
        let mut state = vec![0; state_size(4).unwrap()];
        start(&mut state, 4).unwrap();
        state[PENDING] = 65;
        assert_eq!(update(&mut state, b"x"), Err(Error::Internal));
        assert_eq!(finish(&mut state, &mut [0; 32]), Err(Error::Internal));
    }
}
