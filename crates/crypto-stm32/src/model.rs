//! Models of both processors, from their descriptions, for tests. They compute with the software driver and panic if a driver
//! does what the descriptions forbid.

extern crate std;

use crate::registers::{Register, Registers, cryp, hash};
use casemate_crypto::{Cipher, Direction, HashAlgorithm, Random, Software};
use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

pub(crate) struct NoRandom;
impl Random for NoRandom {}

const SOFTWARE: Software<NoRandom> = Software::new(NoRandom);

/// How often a busy processor says so.
const DELAY: u32 = 3;

/// CRYP, as far as its AES goes.
#[derive(Default)]
pub(crate) struct CrypModel {
    pub(crate) off: Cell<bool>,
    /// After so many words of input nothing happens any more.
    pub(crate) stop_after: Cell<Option<u32>>,
    /// How many blocks went through.
    pub(crate) turned: Cell<u32>,
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
    pub(crate) fn is_blank(&self) -> bool {
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
                state.busy = DELAY;
                self.turned.set(self.turned.get() + 1);
            }
        } else {
            panic!("{register:?} is written");
        }
    }
}

/// HASH.
#[derive(Default)]
pub(crate) struct HashModel {
    pub(crate) off: Cell<bool>,
    /// Once busy, it stays so.
    pub(crate) stuck: Cell<bool>,
    /// How many digests were made.
    pub(crate) digests: Cell<u32>,
    state: RefCell<HashModelState>,
}

#[derive(Default)]
struct HashModelState {
    control: u32,
    valid: u32,
    words: Vec<u32>,
    digest: [u32; 8],
    done: bool,
    busy: u32,
}

impl HashModel {
    /// Whether neither message nor digest is left.
    pub(crate) fn is_blank(&self) -> bool {
        let state = self.state.borrow();
        state.words.is_empty() && state.digest == [0; 8]
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
        assert_eq!(register, hash::STATUS);
        if state.busy > 0 {
            if !self.stuck.get() {
                state.busy -= 1;
            }
            return hash::BUSY;
        }
        let room = if state.words.len().is_multiple_of(16) { hash::ROOM } else { 0 };
        room | if state.done { hash::DONE } else { 0 }
    }

    fn write(&self, register: Register, value: u32) {
        if self.off.get() {
            return;
        }
        let state = &mut *self.state.borrow_mut();
        match register {
            hash::CONTROL => {
                assert!(value & hash::INITIALIZE != 0);
                *state = HashModelState { control: value, ..HashModelState::default() };
            }
            hash::INPUT => {
                assert!(state.busy == 0 && !state.done, "a word for a busy processor");
                state.words.push(value);
                if state.words.len() > 16 && state.words.len() % 16 == 1 {
                    state.busy = DELAY;
                }
            }
            hash::START => {
                assert!(state.busy == 0);
                state.valid = value & 0x1f;
                if value & hash::FINISH == 0 {
                    return;
                }
                assert!(!state.words.is_empty());
                assert_eq!(state.control >> 4 & 3, 2, "data are bytes");
                let algorithm = match state.control & (1 << 18 | 1 << 7) {
                    hash::SHA1 => HashAlgorithm::Sha1,
                    hash::MD5 => HashAlgorithm::Md5,
                    hash::SHA224 => HashAlgorithm::Sha224,
                    _ => HashAlgorithm::Sha256,
                };
                let mut message: Vec<u8> = state.words.iter().flat_map(|word| word.to_le_bytes()).collect();
                if state.valid != 0 {
                    assert_eq!(state.valid % 8, 0);
                    let unused = 4 - usize::try_from(state.valid / 8).unwrap();
                    message.truncate(message.len() - unused);
                }
                let mut digest = vec![0; algorithm.digest_size().unwrap()];
                casemate_crypto::hash(&SOFTWARE, algorithm, &[&message], &mut digest).unwrap();
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
}
