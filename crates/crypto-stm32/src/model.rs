//! Models of the processors, from their descriptions, for tests. They compute with the software driver and panic if a driver
//! does what the descriptions forbid.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_in_result,
    missing_debug_implementations,
    reason = "for tests"
)]

extern crate std;

use crate::registers::{Register, Registers, aes, cryp, hash};
use crate::{AesGeneration, HashKinds};
use casemate_crypto::{Chain, Cipher, Direction, Hash, HashAlgorithm, HashState, NoRandom, Software};
use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

const SOFTWARE: Software<NoRandom> = Software::new(NoRandom);

/// How often a busy processor says so.
const DELAY: u32 = 3;

/// CRYP, as far as its AES goes.
#[derive(Default)]
pub struct CrypModel {
    /// Its clock is off, and cannot be switched on.
    pub off: Cell<bool>,
    /// After so many words of input nothing happens any more.
    pub stop_after: Cell<Option<u32>>,
    /// Every block has a wrong bit.
    pub wrong: Cell<bool>,
    /// How many blocks went through.
    pub turned: Cell<u32>,
    /// How often the clock was asked for.
    pub enabled: Cell<u32>,
    state: RefCell<CrypState>,
}

#[derive(Default)]
struct CrypState {
    control: u32,
    key: [u32; 8],
    /// The key registers hold a key for decryption.
    prepared: bool,
    vector: [u32; 4],
    input: VecDeque<u32>,
    output: VecDeque<u32>,
    busy: u32,
    words: u32,
}

impl CrypModel {
    /// Whether no secret is left.
    pub fn is_blank(&self) -> bool {
        let state = self.state.borrow();
        state.key == [0; 8] && state.vector == [0; 4] && state.input.is_empty() && state.output.is_empty()
    }
}

impl CrypState {
    fn key(&self) -> Vec<u8> {
        let size = match self.control >> 8 & 3 {
            0 => 16,
            1 => 24,
            2 => 32,
            other => panic!("key size {other}"),
        };
        let all: Vec<u8> = self.key.iter().flat_map(|word| word.to_be_bytes()).collect();
        all[32 - size..].to_vec()
    }

    fn turn(&mut self) {
        assert_eq!(self.control >> 6 & 3, 2, "data are bytes");
        let mut block: Vec<u8> = self.input.drain(..4).flat_map(u32::to_le_bytes).collect();
        let decrypt = self.control & cryp::DECRYPT != 0;
        let key = self.key();
        let vector: Vec<u8> = self.vector.iter().flat_map(|word| word.to_be_bytes()).collect();
        let xor =
            |block: &mut [u8], with: &[u8]| block.iter_mut().zip(with).for_each(|(to, from)| *to ^= from);
        let ecb = |direction, block: &mut [u8]| SOFTWARE.ecb(direction, &key, block).unwrap();
        let set = |vector: &mut [u32; 4], bytes: &[u8]| {
            for (word, bytes) in vector.iter_mut().zip(bytes.chunks(4)) {
                *word = u32::from_be_bytes(bytes.try_into().unwrap());
            }
        };
        match self.control >> 3 & 7 {
            mode @ (4 | 5) if decrypt => {
                assert!(self.prepared, "the key was not prepared");
                let before = block.clone();
                ecb(Direction::Decrypt, &mut block);
                if mode == 5 {
                    xor(&mut block, &vector);
                    set(&mut self.vector, &before);
                }
            }
            mode @ (4 | 5) => {
                assert!(!self.prepared, "this key is for decryption");
                if mode == 5 {
                    xor(&mut block, &vector);
                }
                ecb(Direction::Encrypt, &mut block);
                if mode == 5 {
                    set(&mut self.vector, &block);
                }
            }
            6 => {
                assert!(!self.prepared && !decrypt);
                let mut keystream = vector;
                ecb(Direction::Encrypt, &mut keystream);
                xor(&mut block, &keystream);
                // No carry out of the lowest word: the worst that the description allows.
                self.vector[3] = self.vector[3].wrapping_add(1);
            }
            other => panic!("mode {other}"),
        }
        for bytes in block.chunks(4) {
            self.output.push_back(u32::from_le_bytes(bytes.try_into().unwrap()));
        }
    }
}

impl Registers for CrypModel {
    fn read(&self, register: Register) -> u32 {
        if self.off.get() {
            return 0;
        }
        let mut state = self.state.borrow_mut();
        match register {
            cryp::STATUS => {
                let mut status = 0;
                if state.busy > 0 {
                    state.busy -= 1;
                    status |= cryp::BUSY;
                    if state.busy == 0 && state.control >> 3 & 7 == 7 {
                        state.prepared = true;
                        state.control &= !cryp::ENABLE;
                    }
                }
                if state.input.is_empty() {
                    status |= cryp::INPUT_EMPTY;
                }
                if state.input.len() < 8 {
                    status |= cryp::INPUT_ROOM;
                }
                // Output appears when the processor is through with the block.
                if !state.output.is_empty() && state.busy == 0 {
                    status |= cryp::OUTPUT_THERE;
                }
                status
            }
            cryp::OUTPUT => state.output.pop_front().expect("output that is not there"),
            other => panic!("{other:?} is read"),
        }
    }

    fn write(&self, register: Register, value: u32) {
        if self.off.get() {
            return;
        }
        let state = &mut *self.state.borrow_mut();
        let enabled = state.control & cryp::ENABLE != 0;
        if let Some(index) = cryp::KEY.iter().position(|key| *key == register) {
            assert!(!enabled && state.busy == 0, "a key is written to a busy processor");
            state.key[index] = value;
            state.prepared = false;
        } else if let Some(index) = cryp::VECTOR.iter().position(|vector| *vector == register) {
            assert!(!enabled && state.busy == 0, "a vector is written to a busy processor");
            state.vector[index] = value;
        } else if register == cryp::CONTROL {
            if value & cryp::FLUSH != 0 {
                assert!(value & cryp::ENABLE == 0 && !enabled, "only a processor that is off can be flushed");
                state.input.clear();
                state.output.clear();
            }
            if enabled && value & cryp::ENABLE != 0 {
                assert_eq!(state.control, value, "the mode of a processor that is on is changed");
            }
            if value & cryp::ENABLE != 0 && value >> 3 & 7 == 7 {
                state.busy = DELAY;
            }
            if value & cryp::ENABLE == 0 {
                // Switched off in the middle of a block.
                state.busy = 0;
                state.words = 0;
            }
            state.control = value & !cryp::FLUSH;
        } else if register == cryp::INPUT {
            assert!(enabled && state.control >> 3 & 7 != 7 && state.input.len() < 8);
            state.input.push_back(value);
            state.words += 1;
            let stopped = self.stop_after.get().is_some_and(|limit| state.words > limit);
            if state.input.len() == 4 && !stopped {
                state.turn();
                if let Some(word) = state.output.back_mut() {
                    *word ^= u32::from(self.wrong.get());
                }
                state.busy = DELAY;
                self.turned.set(self.turned.get() + 1);
            }
        } else {
            panic!("{register:?} is written");
        }
    }

    fn enable(&self) {
        self.enabled.set(self.enabled.get() + 1);
    }
}

/// AES.
pub struct AesModel {
    /// Its clock is off, and cannot be switched on.
    pub off: Cell<bool>,
    /// After so many words of input since the processor was switched on nothing happens any more; with 0, keys for decryption are
    /// not made either.
    pub stop_after: Cell<Option<u32>>,
    /// Every block has a wrong bit.
    pub wrong: Cell<bool>,
    /// Every block ends with a write error.
    pub faulty: Cell<bool>,
    /// No key is ever valid; of the third generation.
    pub invalid: Cell<bool>,
    /// How many blocks went through.
    pub turned: Cell<u32>,
    /// How often the clock was asked for.
    pub enabled: Cell<u32>,
    generation: AesGeneration,
    state: RefCell<AesState>,
}

#[derive(Default)]
struct AesState {
    control: u32,
    /// The most significant word first.
    key: [u32; 8],
    /// Which words of the key were written since the last change of its size, in their order.
    order: Vec<usize>,
    /// The processor holds a key for decryption.
    prepared: bool,
    /// The most significant word first.
    vector: [u32; 4],
    input: Vec<u32>,
    output: VecDeque<u32>,
    busy: u32,
    done: bool,
    error: bool,
    words: u32,
}

impl AesModel {
    /// One with a chip's registers.
    pub fn new(generation: AesGeneration) -> Self {
        Self {
            off: Cell::default(),
            stop_after: Cell::default(),
            wrong: Cell::default(),
            faulty: Cell::default(),
            invalid: Cell::default(),
            turned: Cell::default(),
            enabled: Cell::default(),
            generation,
            state: RefCell::default(),
        }
    }

    /// Whether no key, no vector and nothing that could be read is left.
    pub fn is_blank(&self) -> bool {
        let state = self.state.borrow();
        state.key == [0; 8] && state.vector == [0; 4] && state.output.is_empty() && !state.prepared
    }

    /// Bits of the control register that are kept, or do something when written.
    const fn known(&self) -> u32 {
        let common = aes::ENABLE | 3 << 1 | 3 << 3 | 3 << 5;
        match self.generation {
            AesGeneration::First => common | aes::CLEAR_FLAGS,
            AesGeneration::Second => common | aes::CLEAR_FLAGS | aes::KEY_256,
            AesGeneration::Third => common | aes::KEY_256 | aes::RESET,
        }
    }

    /// Whether a key may be used: of the third generation only one that was written in its order, up or down.
    fn valid(&self, state: &AesState) -> bool {
        let from = if state.control & aes::KEY_256 == 0 { 4 } else { 0 };
        let up = state.order.iter().copied().eq(from..8);
        let down = state.order.iter().copied().eq((from..8).rev());
        self.generation != AesGeneration::Third || ((up || down) && !self.invalid.get())
    }

    fn control(&self, state: &mut AesState, value: u32) {
        assert_eq!(value & !self.known(), 0, "bits that are not there");
        if self.generation == AesGeneration::Third && value & aes::RESET != 0 {
            *state = AesState { control: aes::RESET, ..AesState::default() };
            return;
        }
        let clears = self.generation != AesGeneration::Third && value & aes::CLEAR_FLAGS != 0;
        if clears {
            assert_eq!(value & aes::CLEAR_FLAGS, aes::CLEAR_FLAGS);
            state.done = false;
            state.error = false;
        }
        let value = if self.generation == AesGeneration::Third { value } else { value & !aes::CLEAR_FLAGS };
        let enabled = state.control & aes::ENABLE != 0;
        if enabled && value & aes::ENABLE != 0 {
            assert_eq!(state.control, value, "the mode of a processor that is on is changed");
        }
        if (state.control ^ value) & aes::KEY_256 != 0 {
            state.order.clear();
        }
        if value & aes::ENABLE == 0 {
            // Switched off in the middle of a block.
            state.busy = 0;
            state.words = 0;
            state.input.clear();
            state.output.clear();
        } else if !enabled {
            assert!(!state.done, "a flag of what was before");
            assert!(self.valid(state), "the key is not valid");
            if value >> 3 & 3 == 1 && self.stop_after.get() != Some(0) {
                assert!(!state.prepared, "this key is for decryption");
                state.busy = DELAY;
            }
        }
        state.control = value;
    }

    /// What the processor does when it is through.
    fn finish(&self, state: &mut AesState) {
        state.done = true;
        if state.control >> 3 & 3 == 1 {
            state.prepared = true;
            state.control &= !aes::ENABLE;
            return;
        }
        state.turn(self.wrong.get());
        state.error = self.faulty.get();
        self.turned.set(self.turned.get() + 1);
    }
}

impl AesState {
    fn turn(&mut self, wrong: bool) {
        assert_eq!(self.control >> 1 & 3, 2, "data are bytes");
        let mut block: Vec<u8> = self.input.drain(..).flat_map(u32::to_le_bytes).collect();
        let key: Vec<u8> = self.key.iter().flat_map(|word| word.to_be_bytes()).collect();
        let key = if self.control & aes::KEY_256 == 0 { &key[16..] } else { &key };
        let vector: Vec<u8> = self.vector.iter().flat_map(|word| word.to_be_bytes()).collect();
        let xor =
            |block: &mut [u8], with: &[u8]| block.iter_mut().zip(with).for_each(|(to, from)| *to ^= from);
        let ecb = |direction, block: &mut [u8]| SOFTWARE.ecb(direction, key, block).unwrap();
        let words = |bytes: &[u8]| {
            core::array::from_fn(|index| u32::from_be_bytes(bytes[index * 4..][..4].try_into().unwrap()))
        };
        match (self.control >> 3 & 3, self.control >> 5 & 3) {
            (0, chain @ (0 | 1)) => {
                assert!(!self.prepared, "this key is for decryption");
                if chain == 1 {
                    xor(&mut block, &vector);
                }
                ecb(Direction::Encrypt, &mut block);
                if chain == 1 {
                    self.vector = words(&block);
                }
            }
            (2, chain @ (0 | 1)) => {
                assert!(self.prepared, "the key was not prepared");
                let before = block.clone();
                ecb(Direction::Decrypt, &mut block);
                if chain == 1 {
                    xor(&mut block, &vector);
                    self.vector = words(&before);
                }
            }
            (0, 2) => {
                assert!(!self.prepared);
                let mut keystream = vector;
                ecb(Direction::Encrypt, &mut keystream);
                xor(&mut block, &keystream);
                // No carry out of the lowest word: the worst that the description allows.
                self.vector[3] = self.vector[3].wrapping_add(1);
            }
            (mode, chain) => panic!("mode {mode}, chaining {chain}"),
        }
        block[0] ^= u8::from(wrong);
        self.output.extend(block.chunks(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())));
    }
}

impl Registers for AesModel {
    fn read(&self, register: Register) -> u32 {
        if self.off.get() {
            return 0;
        }
        let state = &mut *self.state.borrow_mut();
        match register {
            aes::CONTROL => state.control,
            aes::STATUS => {
                let mut status = 0;
                if state.busy > 0 {
                    state.busy -= 1;
                    if state.busy == 0 {
                        self.finish(state);
                    } else if self.generation != AesGeneration::First {
                        status |= AES_BUSY;
                    }
                }
                if state.done {
                    status |= aes::DONE;
                }
                if state.error {
                    status |= aes::WRITE_ERROR;
                }
                if self.generation == AesGeneration::Third && self.valid(state) {
                    status |= aes::KEY_VALID;
                }
                status
            }
            aes::OUTPUT => state.output.pop_front().expect("output that is not there"),
            other => panic!("{other:?} is read"),
        }
    }

    fn write(&self, register: Register, value: u32) {
        if self.off.get() {
            return;
        }
        let state = &mut *self.state.borrow_mut();
        assert!(
            state.control & aes::RESET == 0 || register == aes::CONTROL,
            "a register is written during a reset"
        );
        let enabled = state.control & aes::ENABLE != 0;
        if let Some(index) = aes::KEY.iter().position(|key| *key == register) {
            assert!(!enabled && state.busy == 0, "a key is written to a processor that is on");
            assert!(
                self.generation != AesGeneration::First || index >= 4,
                "a word of the key that is not there"
            );
            state.key[index] = value;
            state.order.push(index);
            state.prepared = false;
        } else if let Some(index) = aes::VECTOR.iter().position(|vector| *vector == register) {
            assert!(!enabled && state.busy == 0, "a vector is written to a processor that is on");
            // While a key is made for decryption, this has no effect.
            if state.control >> 3 & 3 != 1 {
                state.vector[index] = value;
            }
        } else if register == aes::CONTROL {
            self.control(state, value);
        } else if register == aes::CLEAR {
            assert_eq!((self.generation, value), (AesGeneration::Third, aes::CLEAR_ALL));
            state.done = false;
            state.error = false;
        } else if register == aes::INPUT {
            assert!(enabled && state.control >> 3 & 3 != 1, "input for a processor that does not want any");
            assert!(
                state.busy == 0 && !state.done && state.output.is_empty(),
                "input before the end of a block"
            );
            state.input.push(value);
            state.words += 1;
            let stopped = self.stop_after.get().is_some_and(|limit| state.words > limit);
            if state.input.len() == 4 && !stopped {
                state.busy = DELAY;
            }
        } else {
            panic!("{register:?} is written");
        }
    }

    fn enable(&self) {
        self.enabled.set(self.enabled.get() + 1);
    }
}

/// In the status register of AES; no driver needs it.
const AES_BUSY: u32 = 1 << 3;

/// HASH.
pub struct HashModel {
    /// Its clock is off, and cannot be switched on.
    pub off: Cell<bool>,
    /// Once busy, it stays so.
    pub stuck: Cell<bool>,
    /// Every digest has a wrong bit.
    pub wrong: Cell<bool>,
    /// How many digests were made.
    pub digests: Cell<u32>,
    /// How many blocks went through before the last ones.
    pub blocks: Cell<u32>,
    /// How often the clock was asked for.
    pub enabled: Cell<u32>,
    kinds: HashKinds,
    state: RefCell<HashModelState>,
}

impl Default for HashModel {
    fn default() -> Self {
        Self::new(HashKinds::WithSha2)
    }
}

#[derive(Default)]
struct HashModelState {
    control: u32,
    /// What the control register selects.
    algorithm: Option<HashAlgorithm>,
    valid: u32,
    /// Of the blocks that went through.
    chain: Option<HashState>,
    /// Words of the block that has not.
    input: Vec<u32>,
    /// The context that is being written back, while nothing else has been written.
    context: Option<Vec<u32>>,
    digest: [u32; 8],
    done: bool,
    busy: u32,
}

/// So that nobody reads anything from the words of a context.
const DISGUISE: u32 = 0x5aa5_1234;

impl HashModelState {
    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm.expect("an algorithm was selected")
    }

    /// What the context registers show, in the last 38 of them: chain, length, number of words, words.
    fn save(&self, registers: usize) -> Vec<u32> {
        let mut all = vec![0; registers];
        let saved = &mut all[registers - 38..];
        if let Some(Chain::Words32 { words, length }) = self.chain.as_ref().map(HashState::chain) {
            saved[..8].copy_from_slice(words);
            saved[8] = u32::try_from(*length).unwrap();
        }
        saved[9] = u32::try_from(self.input.len()).unwrap();
        saved[22..][..self.input.len()].copy_from_slice(&self.input);
        all.into_iter().map(|word| word ^ DISGUISE).collect()
    }

    /// Takes over what was written to the context registers.
    fn restore(&mut self) {
        let Some(context) = self.context.take() else { return };
        let context: Vec<u32> = context.iter().map(|word| word ^ DISGUISE).collect();
        let (unused, context) = context.split_at(context.len() - 38);
        let words = context[..8].try_into().unwrap();
        let chain = Chain::Words32 { words, length: context[8].into() };
        self.chain = Some(HashState::from_chain(self.algorithm(), chain).unwrap());
        let (input, rest) = context[22..].split_at(usize::try_from(context[9]).unwrap());
        self.input = input.to_vec();
        let complete = unused.iter().chain(rest).all(|word| *word == 0);
        assert!(complete, "a word of the context is missing");
    }

    fn compress(&mut self) {
        let block: Vec<u8> = self.input.drain(..16).flat_map(u32::to_le_bytes).collect();
        let algorithm = self.algorithm();
        let chain = self.chain.get_or_insert_with(|| HashState::new(algorithm));
        SOFTWARE.compress(chain, &block).unwrap();
        self.busy = DELAY;
    }
}

impl HashModel {
    /// One with a chip's registers and algorithms.
    pub fn new(kinds: HashKinds) -> Self {
        Self {
            off: Cell::default(),
            stuck: Cell::default(),
            wrong: Cell::default(),
            digests: Cell::default(),
            blocks: Cell::default(),
            enabled: Cell::default(),
            kinds,
            state: RefCell::default(),
        }
    }

    /// What a value of the control register selects, and how many context registers there are.
    fn selected(&self, control: u32) -> (HashAlgorithm, usize) {
        let fields = control & !(hash::INITIALIZE | 3 << 4);
        let old = |algorithm| match (algorithm, self.kinds) {
            (0, _) => HashAlgorithm::Sha1,
            (0x80, _) => HashAlgorithm::Md5,
            (0x4_0000, HashKinds::WithSha2) => HashAlgorithm::Sha224,
            (0x4_0080, HashKinds::WithSha2) => HashAlgorithm::Sha256,
            (other, kinds) => panic!("{kinds:?} has no algorithm {other:#x}"),
        };
        #[cfg(any(test, feature = "u5"))]
        let late = |algorithm, has_md5| match algorithm {
            0 => HashAlgorithm::Sha1,
            0x2_0000 if has_md5 => HashAlgorithm::Md5,
            0x4_0000 => HashAlgorithm::Sha224,
            0x6_0000 => HashAlgorithm::Sha256,
            other => panic!("there is no algorithm {other:#x}"),
        };
        match self.kinds {
            HashKinds::Sha1AndMd5 | HashKinds::WithSha2 => (old(fields), 38),
            #[cfg(any(test, feature = "u5"))]
            HashKinds::U5 => (late(fields, true), 54),
            #[cfg(any(test, feature = "h5"))]
            HashKinds::H5 => (late(fields, false), 103),
        }
    }

    /// Whether neither message nor digest is left.
    pub fn is_blank(&self) -> bool {
        let state = self.state.borrow();
        state.input.is_empty() && state.chain.is_none() && state.context.is_none() && state.digest == [0; 8]
    }
}

impl Registers for HashModel {
    fn read(&self, register: Register) -> u32 {
        if self.off.get() {
            return 0;
        }
        let mut state = self.state.borrow_mut();
        if let Some(index) = hash::DIGEST.iter().position(|digest| *digest == register) {
            assert!(state.done && state.busy == 0, "there is no digest");
            return state.digest[index];
        }
        if let Some(index) = hash::CONTEXT.iter().position(|context| *context == register) {
            assert!(!state.done && state.busy == 0 && state.input.len() <= 1, "not between two blocks");
            return state.save(self.selected(state.control).1)[index];
        }
        assert_eq!(register, hash::STATUS);
        if state.busy > 0 {
            if !self.stuck.get() {
                state.busy -= 1;
            }
            return hash::BUSY;
        }
        let room = if state.input.len() <= 1 { hash::ROOM } else { 0 };
        room | if state.done { hash::DONE } else { 0 }
    }

    fn write(&self, register: Register, value: u32) {
        if self.off.get() {
            return;
        }
        let state = &mut *self.state.borrow_mut();
        if let Some(index) = hash::CONTEXT.iter().position(|context| *context == register) {
            let fresh = state.input.is_empty() && state.chain.is_none() && !state.done && state.busy == 0;
            assert!(fresh, "a context is written over a message");
            let registers = self.selected(state.control).1;
            state.context.get_or_insert_with(|| vec![0; registers])[index] = value;
            return;
        }
        match register {
            hash::CONTROL => {
                assert!(value & hash::INITIALIZE != 0);
                let algorithm = Some(self.selected(value).0);
                *state = HashModelState { control: value, algorithm, ..HashModelState::default() };
            }
            hash::INPUT => {
                state.restore();
                assert!(state.busy == 0 && !state.done, "a word for a busy processor");
                if state.input.len() == 16 {
                    state.compress();
                    self.blocks.set(self.blocks.get() + 1);
                }
                state.input.push(value);
            }
            hash::START => {
                // Before a message, it may be written whatever state the one before was left in.
                state.valid = value & 0x1f;
                if value & hash::FINISH == 0 {
                    return;
                }
                state.restore();
                assert!(state.busy == 0);
                assert!(!state.input.is_empty());
                assert_eq!(state.control >> 4 & 3, 2, "data are bytes");
                let algorithm = state.algorithm();
                if state.input.len() == 16 && state.valid == 0 {
                    state.compress();
                }
                let mut tail: Vec<u8> = state.input.iter().flat_map(|word| word.to_le_bytes()).collect();
                if state.valid != 0 {
                    assert_eq!(state.valid % 8, 0);
                    let unused = 4 - usize::try_from(state.valid / 8).unwrap();
                    tail.truncate(tail.len() - unused);
                }
                let mut digest = vec![0; algorithm.digest_size().unwrap()];
                let chain = state.chain.get_or_insert_with(|| HashState::new(algorithm));
                SOFTWARE.finish(chain, &tail, &mut digest).unwrap();
                digest[0] ^= u8::from(self.wrong.get());
                for (word, bytes) in state.digest.iter_mut().zip(digest.chunks(4)) {
                    *word = u32::from_be_bytes(bytes.try_into().unwrap());
                }
                state.done = true;
                state.busy = DELAY;
                self.digests.set(self.digests.get() + 1);
            }
            other => panic!("{other:?} is written"),
        }
    }

    fn enable(&self) {
        self.enabled.set(self.enabled.get() + 1);
    }
}
