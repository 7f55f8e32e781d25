//! The hash processor, HASH.

use crate::registers::hash::{
    BUSY, BYTES, CONTROL, DIGEST, DONE, FINISH, INITIALIZE, INPUT, MD5, ROOM, SHA1, SHA224, SHA256, START,
    STATUS,
};
use crate::registers::{Registers, Turn, wait};
use casemate_crypto::{
    Aead, Cipher, Curve25519, EllipticCurve, Error, Hash, HashAlgorithm, Mac, MlDsa, MlKem, Random, Rsa,
};
use core::sync::atomic::AtomicBool;
use zeroize::Zeroize;

/// Words in the processor's input.
const WORDS: u32 = 16;

/// Which hashes a chip's processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashKinds {
    /// SHA-1 and MD5: STM32F21x, F415, F417.
    Sha1AndMd5,
    /// Those, SHA-224 and SHA-256: STM32F437, F439, F479, F7, H7.
    WithSha2,
}

/// The hash processor as a driver, for messages that are there as a whole.
#[derive(Debug)]
pub struct HashProcessor<R> {
    registers: R,
    kinds: HashKinds,
    busy: AtomicBool,
}

impl<R: Registers> HashProcessor<R> {
    /// The driver of the processor behind `registers`, whose clock is on.
    pub const fn new(registers: R, kinds: HashKinds) -> Self {
        Self { registers, kinds, busy: AtomicBool::new(false) }
    }

    const fn control(&self, algorithm: HashAlgorithm) -> Option<u32> {
        Some(match (algorithm, self.kinds) {
            (HashAlgorithm::Sha1, _) => SHA1,
            (HashAlgorithm::Md5, _) => MD5,
            (HashAlgorithm::Sha224, HashKinds::WithSha2) => SHA224,
            (HashAlgorithm::Sha256, HashKinds::WithSha2) => SHA256,
            _ => return None,
        })
    }
}

/// The processor with part of a message in it.
struct Session<'a, R: Registers> {
    registers: &'a R,
    written: u32,
    _turn: Turn<'a>,
}

impl<R: Registers> Session<'_, R> {
    /// Gives the processor a word. The first of a block makes it work on the block before.
    fn push(&mut self, word: [u8; 4]) -> Result<(), Error> {
        self.registers.write(INPUT, u32::from_le_bytes(word));
        if self.written == WORDS {
            self.written = 0;
            wait(self.registers, STATUS, BUSY, 0)?;
        }
        self.written = self.written.saturating_add(1);
        Ok(())
    }
}

impl<R: Registers> Drop for Session<'_, R> {
    fn drop(&mut self) {
        // What the processor has of the message and the digest is forgotten.
        self.registers.write(CONTROL, INITIALIZE);
    }
}

impl<R: Registers> Hash for HashProcessor<R> {
    fn digest(&self, algorithm: HashAlgorithm, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        let control = self.control(algorithm).ok_or(Error::Unsupported)?;
        // Wrong lengths are the software's to judge. Whether the processor can hash nothing is not described.
        let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        if algorithm.digest_size() != Some(output.len()) || length == 0 {
            return Err(Error::Unsupported);
        }
        let turn = Turn::take(&self.busy)?;
        let registers = &self.registers;
        registers.write(CONTROL, control | BYTES | INITIALIZE);
        if registers.read(STATUS) & (BUSY | ROOM) != ROOM {
            return Err(Error::Unsupported);
        }
        let mut session = Session { registers, written: 0, _turn: turn };
        let bits = u32::try_from(length % 4).unwrap_or(0).saturating_mul(8);
        registers.write(START, bits);
        let (mut word, mut filled) = ([0_u8; 4], 0_usize);
        for byte in parts.iter().copied().flatten() {
            if let Some(place) = word.get_mut(filled) {
                *place = *byte;
            }
            filled = filled.saturating_add(1);
            if filled == word.len() {
                session.push(word)?;
                (word, filled) = ([0; 4], 0);
            }
        }
        if filled > 0 {
            session.push(word)?;
        }
        word.zeroize();
        registers.write(START, bits | FINISH);
        wait(registers, STATUS, BUSY | DONE, DONE)?;
        let (words, _) = output.as_chunks_mut::<4>();
        for (register, word) in DIGEST.iter().zip(words) {
            *word = registers.read(*register).to_be_bytes();
        }
        Ok(())
    }
}

impl<R> Random for HashProcessor<R> {}
impl<R> Cipher for HashProcessor<R> {}
impl<R> Mac for HashProcessor<R> {}
impl<R> Aead for HashProcessor<R> {}
impl<R> EllipticCurve for HashProcessor<R> {}
impl<R> Curve25519 for HashProcessor<R> {}
impl<R> Rsa for HashProcessor<R> {}
impl<R> MlDsa for HashProcessor<R> {}
impl<R> MlKem for HashProcessor<R> {}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::model::{HashModel, NoRandom};
    use casemate_crypto::{Prefer, Software, hash};
    use std::vec;
    use std::vec::Vec;

    const SOFTWARE: Software<NoRandom> = Software::new(NoRandom);
    const ALL: [HashAlgorithm; 4] =
        [HashAlgorithm::Sha1, HashAlgorithm::Md5, HashAlgorithm::Sha224, HashAlgorithm::Sha256];

    /// "abc": FIPS 180-4 (SHA-1, SHA-224, SHA-256) and RFC 1321, §A.5 (MD5).
    #[test]
    fn known_answers() {
        let model = HashModel::default();
        let driver = HashProcessor::new(&model, HashKinds::WithSha2);
        for (algorithm, expected) in ALL.into_iter().zip([
            "a9993e364706816aba3e25717850c26c9cd0d89d",
            "900150983cd24fb0d6963f7d28e17f72",
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ]) {
            let mut output = vec![0; algorithm.digest_size().unwrap()];
            driver.digest(algorithm, &[b"a", b"bc"], &mut output).unwrap();
            assert_eq!(hex::encode(&output), expected);
            assert!(model.is_blank());
        }
    }

    #[test]
    fn every_length_agrees_with_the_software() {
        let model = HashModel::default();
        let driver = HashProcessor::new(&model, HashKinds::WithSha2);
        let message: Vec<u8> = (0..300).map(|index| u8::try_from(index % 251).unwrap()).collect();
        for algorithm in ALL {
            let size = algorithm.digest_size().unwrap();
            for length in 1..message.len() {
                let (mut ours, mut theirs) = (vec![0; size], vec![0; size]);
                let (first, second) = message[..length].split_at(length / 3);
                driver.digest(algorithm, &[first, &[], second], &mut ours).unwrap();
                hash(&SOFTWARE, algorithm, &[&message[..length]], &mut theirs).unwrap();
                assert_eq!(ours, theirs, "{algorithm:?}, {length} bytes");
            }
        }
    }

    #[test]
    fn declines_before_it_touches_anything() {
        let model = HashModel::default();
        let driver = HashProcessor::new(&model, HashKinds::Sha1AndMd5);
        let unsupported = Err(Error::Unsupported);
        assert_eq!(driver.digest(HashAlgorithm::Sha256, &[b"a"], &mut [0; 32]), unsupported);
        assert_eq!(driver.digest(HashAlgorithm::Sha1, &[b"a"], &mut [0; 19]), unsupported);
        assert_eq!(driver.digest(HashAlgorithm::Sha1, &[], &mut [0; 20]), unsupported);
        let turn = Turn::take(&driver.busy).unwrap();
        assert_eq!(driver.digest(HashAlgorithm::Sha1, &[b"a"], &mut [0; 20]), unsupported);
        drop(turn);
        model.off.set(true);
        assert_eq!(driver.digest(HashAlgorithm::Sha1, &[b"a"], &mut [0; 20]), unsupported);
        model.off.set(false);
        assert_eq!(model.digests.get(), 0);

        // The software does what was declined.
        let both = Prefer::new(&driver, SOFTWARE);
        let (mut ours, mut theirs) = ([0; 32], [0; 32]);
        hash(&both, HashAlgorithm::Sha256, &[b"abc"], &mut ours).unwrap();
        hash(&SOFTWARE, HashAlgorithm::Sha256, &[b"abc"], &mut theirs).unwrap();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn a_processor_that_does_not_finish_is_a_fault() {
        let model = HashModel::default();
        let driver = HashProcessor::new(&model, HashKinds::WithSha2);
        model.stuck.set(true);
        for length in [1, 65, 200] {
            let message = vec![1; length];
            assert_eq!(driver.digest(HashAlgorithm::Sha1, &[&message], &mut [0; 20]), Err(Error::Hardware));
            assert!(model.is_blank());
        }
        model.stuck.set(false);
        driver.digest(HashAlgorithm::Sha1, &[b"a"], &mut [0; 20]).unwrap();
    }
}
