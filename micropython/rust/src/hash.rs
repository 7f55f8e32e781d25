//! The states of `wolfhashlib`: bytes that an object of MicroPython holds.
//!
//! Layout: algorithm number, count of pending bytes, a flag for "has given its digest", five bytes unused; the count of
//! compressed bytes (8); the words between blocks; one block for pending bytes. A state is as large as its algorithm
//! needs: 112 bytes for SHA-256.
//!
//! Builds for a chip with a hash processor have room for that processor's words in its algorithms' states, and for a few more
//! pending bytes: 236 bytes. The flag behind "has given its digest" tells whose words they are.

#[cfg(feature = "stm32_hash")]
pub(crate) mod processor;

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
        #[cfg(feature = "stm32_hash")]
        64 => processor::WORDS_SIZE,
        #[cfg(not(feature = "stm32_hash"))]
        64 => 32,
        128 => 64,
        _ => 200,
    }
}

/// Most bytes that a state has pending.
const fn pending_size(algorithm: HashAlgorithm) -> usize {
    match algorithm.block_size() {
        #[cfg(feature = "stm32_hash")]
        64 => processor::PENDING_SIZE,
        block => block,
    }
}

/// Size of a state in bytes.
///
/// # Errors
/// [`Error::Unsupported`].
pub fn state_size(number: u8) -> Result<usize, Error> {
    let algorithm = by_number(number)?;
    Ok(HEAD.saturating_add(words_size(algorithm)).saturating_add(pending_size(algorithm)))
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
        let pending = pending.get_mut(..pending_size(algorithm)).ok_or(Error::Internal)?;
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

    #[cfg(any(feature = "sha3", feature = "sha512"))]
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

    #[cfg(any(feature = "sha3", feature = "sha512"))]
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
pub fn update(state: &mut [u8], data: &[u8]) -> Result<(), Error> {
    #[cfg(feature = "stm32_hash")]
    return processor::update(&processor::HASHES, state, data);
    #[cfg(not(feature = "stm32_hash"))]
    {
        let mut state = State::new(state)?;
        state.check_open()?;
        add(&mut state, data)
    }
}

/// Adds `data` to an open message, through the driver.
fn add(state: &mut State<'_>, mut data: &[u8]) -> Result<(), Error> {
    let block = state.algorithm.block_size();
    let mut count = state.pending_length();
    let mut chain = None;
    if count > 0 {
        let free = state.pending.get_mut(count..block).ok_or(Error::Internal)?;
        let (now, later) = data.split_at(free.len().min(data.len()));
        free.iter_mut().zip(now).for_each(|(target, byte)| *target = *byte);
        count = count.saturating_add(now.len());
        data = later;
        if count == block {
            let mut loaded = state.load()?;
            DRIVER.compress(&mut loaded, state.pending.get(..block).ok_or(Error::Internal)?)?;
            chain = Some(loaded);
            count = 0;
        }
    }
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
    #[cfg(feature = "stm32_hash")]
    return processor::finish(&processor::HASHES, state, output);
    #[cfg(not(feature = "stm32_hash"))]
    {
        let state = State::new(state)?;
        state.check_open()?;
        digest(&state, output)?;
        close(state)
    }
}

/// Writes the digest, through the driver.
fn digest(state: &State<'_>, output: &mut [u8]) -> Result<(), Error> {
    let tail = state.pending.get(..state.pending_length()).ok_or(Error::Internal)?;
    Ok(DRIVER.finish(&state.load()?, tail, output)?)
}

/// Wipes a state and marks it as final.
fn close(state: State<'_>) -> Result<(), Error> {
    state.words.zeroize();
    state.pending.zeroize();
    *state.head.get_mut(FINAL).ok_or(Error::Internal)? = 1;
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

    /// Objects whose messages arrive in any pieces take turns at one processor, copies go on by themselves, and every digest is
    /// the software's.
    #[cfg(feature = "stm32_hash")]
    #[test]
    fn by_a_processor() {
        use casemate_crypto_stm32::model::HashModel;
        use casemate_crypto_stm32::{Checked, HashKinds, HashProcessor};
        let model = HashModel::default();
        let unit = Checked::hash(HashProcessor::new(&model, HashKinds::WithSha2));
        let message: Vec<u8> = (0..600_u32).map(|index| (index * 31 % 251) as u8).collect();
        let at_once = |number, message: &[u8]| {
            let algorithm = by_number(number).unwrap();
            let mut digest = vec![0; algorithm.digest_size().unwrap_or(50)];
            casemate_crypto::hash(&DRIVER, algorithm, &[message], &mut digest).unwrap();
            digest
        };
        for piece in (1..=140).chain([300, 600]) {
            let mut states: Vec<_> =
                (1..=12).map(|number| vec![number; state_size(number).unwrap()]).collect();
            states.iter_mut().zip(1..).for_each(|(state, number)| start(state, number).unwrap());
            let mut copies = None;
            for (index, piece) in message.chunks(piece).enumerate() {
                states.iter_mut().for_each(|state| processor::update(&unit, state, piece).unwrap());
                if index == 1 {
                    copies = Some(states.clone());
                }
            }
            for (mut state, number) in states.into_iter().zip(1..) {
                let expected = at_once(number, &message);
                let mut digest = vec![0; expected.len()];
                processor::finish(&unit, &mut state, &mut digest).unwrap();
                assert_eq!(digest, expected, "{number} in pieces of {piece}");
                assert_eq!(processor::update(&unit, &mut state, b"x"), Err(Error::Final));
            }
            for (mut state, number) in copies.into_iter().flatten().zip(1..) {
                processor::update(&unit, &mut state, b"and so on").unwrap();
                let expected = at_once(number, &[&message[..600.min(2 * piece)], b"and so on"].concat());
                let mut digest = vec![0; expected.len()];
                processor::finish(&unit, &mut state, &mut digest).unwrap();
                assert_eq!(digest, expected);
            }
        }
        assert!(model.is_blank());
        assert!(model.blocks.get() > 4 * 9 * 140, "the processor was used");
        // Short messages are given to it, too; the empty one is not.
        for (length, made) in [(0, 0), (1, 1), (64, 1), (67, 1)] {
            let before = model.digests.get();
            let mut state = vec![0; state_size(4).unwrap()];
            start(&mut state, 4).unwrap();
            processor::update(&unit, &mut state, &message[..length]).unwrap();
            let mut digest = [0; 32];
            processor::finish(&unit, &mut state, &mut digest).unwrap();
            assert_eq!(digest, *at_once(4, &message[..length]));
            assert_eq!(model.digests.get(), before + made);
        }
    }

    /// Messages that begin while the processor cannot be used are the software's; one that is the processor's waits.
    #[cfg(feature = "stm32_hash")]
    #[test]
    fn a_processor_that_comes_and_goes() {
        use casemate_crypto_stm32::model::HashModel;
        use casemate_crypto_stm32::{Checked, HashKinds, HashProcessor};
        let model = HashModel::default();
        let unit = Checked::hash(HashProcessor::new(&model, HashKinds::Sha1AndMd5));
        let mut expected = [0; 20];
        casemate_crypto::hash(&DRIVER, HashAlgorithm::Sha1, &[&[7; 200]], &mut expected).unwrap();
        let new = |number| {
            let mut state = vec![0; state_size(number).unwrap()];
            start(&mut state, number).unwrap();
            state
        };
        let finish = |state: &mut Vec<u8>| {
            let mut digest = [0; 20];
            processor::finish(&unit, state, &mut digest).map(|()| digest)
        };
        for kept in [0, 1, 63, 64, 65, 66, 67] {
            let (mut one, mut other) = (new(2), new(2));
            processor::update(&unit, &mut one, &[7; 80]).unwrap();
            processor::update(&unit, &mut other, &vec![7; kept]).unwrap();
            model.off.set(true);
            let before = one.clone();
            assert_eq!(processor::update(&unit, &mut one, &[7; 120]), Err(Error::Busy));
            assert_eq!(finish(&mut one), Err(Error::Busy));
            assert_eq!(one, before);
            processor::update(&unit, &mut other, &vec![7; 200 - kept - 1]).unwrap();
            model.off.set(false);
            processor::update(&unit, &mut other, &[7]).unwrap();
            assert_eq!(finish(&mut other), Ok(expected), "{kept} bytes were kept");
            processor::update(&unit, &mut one, &[7; 120]).unwrap();
            assert_eq!(finish(&mut one), Ok(expected));

            // The last bytes are there, and nobody had the message.
            let mut short = new(2);
            processor::update(&unit, &mut short, &vec![7; kept]).unwrap();
            model.off.set(true);
            let digest = finish(&mut short).unwrap();
            model.off.set(false);
            assert_eq!(digest.as_slice(), hash(2, &[&vec![7; kept]], 20));
        }
        // What this processor does not have.
        let mut state = new(4);
        processor::update(&unit, &mut state, &[7; 200]).unwrap();
        let mut digest = [0; 32];
        processor::finish(&unit, &mut state, &mut digest).unwrap();
        assert_eq!(digest.as_slice(), hash(4, &[&[7; 200]], 32));

        // It stops for good: its message is lost, a new one is the software's.
        let (mut one, mut other) = (new(2), new(2));
        processor::update(&unit, &mut one, &[7; 80]).unwrap();
        model.stuck.set(true);
        assert_eq!(finish(&mut one), Err(Error::Hardware));
        assert_eq!(finish(&mut one), Err(Error::Hardware));
        assert_eq!(processor::update(&unit, &mut one, &[7; 200]), Err(Error::Hardware));
        processor::update(&unit, &mut other, &[7; 200]).unwrap();
        assert_eq!(finish(&mut other), Ok(expected));
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
        for length in 0..state_size(4).unwrap() {
            assert_eq!(start(&mut vec![0; length], 4), Err(Error::Internal));
        }
        assert_eq!(update(&mut [0; 200], b"x"), Err(Error::Unsupported));
        // A count of pending bytes beyond the block.
        let mut state = vec![0; state_size(4).unwrap()];
        start(&mut state, 4).unwrap();
        state[PENDING] = 69;
        assert_eq!(update(&mut state, b"x"), Err(Error::Internal));
        assert_eq!(finish(&mut state, &mut [0; 32]), Err(Error::Internal));
    }
}
