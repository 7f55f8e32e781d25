//! The hash processor, HASH.

use crate::registers::hash::{
    BUSY, BYTES, CONTEXT, CONTROL, DIGEST, DONE, FINISH, INITIALIZE, INPUT, MD5, ROOM, SHA1, SHA224, SHA256,
    START, STATUS,
};
#[cfg(any(test, feature = "u5"))]
use crate::registers::hash::{MD5_U5, SHA256_U5};
use crate::registers::{Registers, Turn, wait};
use casemate_crypto::{
    Aead, Cipher, Curve25519, EllipticCurve, Error, Hash, HashAlgorithm, Mac, MlDsa, MlKem, Random, Rsa,
};
use core::sync::atomic::AtomicBool;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Words in the processor's input.
const WORDS: u32 = 16;

/// Which hashes a chip's processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashKinds {
    /// SHA-1 and MD5: STM32F21x, F415, F417.
    Sha1AndMd5,
    /// Those, SHA-224 and SHA-256: STM32F437, F439, F479, F7, H7, L4.
    WithSha2,
    /// The same; the algorithm is in other bits: STM32U5.
    #[cfg(any(test, feature = "u5"))]
    U5,
    /// SHA-1, SHA-224 and SHA-256, in the same bits: STM32H5. Its SHA-384 and SHA-512 are not used: their blocks are longer.
    #[cfg(any(test, feature = "h5"))]
    H5,
}

impl HashKinds {
    /// Words of a context.
    const fn context(self) -> usize {
        match self {
            Self::Sha1AndMd5 | Self::WithSha2 => 38,
            // Which of them HMAC alone needs could not be found out: all there are.
            #[cfg(any(test, feature = "u5"))]
            Self::U5 => 54,
            #[cfg(any(test, feature = "h5"))]
            Self::H5 => 103,
        }
    }

    /// What selects an algorithm, if the processor has it.
    const fn control(self, algorithm: HashAlgorithm) -> Option<u32> {
        Some(match (algorithm, self) {
            (HashAlgorithm::Sha1, _) => SHA1,
            (HashAlgorithm::Md5, Self::Sha1AndMd5 | Self::WithSha2) => MD5,
            (HashAlgorithm::Sha224, Self::WithSha2) => SHA224,
            (HashAlgorithm::Sha256, Self::WithSha2) => SHA256,
            #[cfg(any(test, feature = "u5"))]
            (HashAlgorithm::Md5, Self::U5) => MD5_U5,
            #[cfg(any(test, feature = "u5"))]
            (HashAlgorithm::Sha224, Self::U5) => SHA224,
            #[cfg(any(test, feature = "u5"))]
            (HashAlgorithm::Sha256, Self::U5) => SHA256_U5,
            #[cfg(any(test, feature = "h5"))]
            (HashAlgorithm::Sha224, Self::H5) => SHA224,
            #[cfg(any(test, feature = "h5"))]
            (HashAlgorithm::Sha256, Self::H5) => SHA256_U5,
            _ => return None,
        })
    }
}

/// What the processor keeps of a message between two pieces: its own words, which only it understands. They can be derived from
/// the message, and are wiped when dropped.
#[derive(Clone)]
pub struct HashContext(pub [u32; HashContext::WORDS]);

impl HashContext {
    /// Number of words: 38, with the feature `u5` 54, with `h5` 103. The older processors use the first 38.
    pub const WORDS: usize = CONTEXT.len();
    /// The least that makes a context: a message's first so many bytes. The processor takes up a block when the first word of
    /// the next one comes, and is between two blocks then.
    pub const FIRST: usize = 68;
    /// Further bytes come in multiples of this.
    pub const NEXT: usize = 64;
}

impl Drop for HashContext {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for HashContext {}

impl core::fmt::Debug for HashContext {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("HashContext").finish_non_exhaustive()
    }
}

/// The hash processor as a driver.
///
/// The driver seam gets messages that are there as a whole. For messages in pieces there are [`absorb`](Self::absorb) and
/// [`finish_context`](Self::finish_context), which save what the processor knows after each piece: any number of messages can
/// be under way, and each may be continued twice.
#[derive(Debug)]
pub struct HashProcessor<R> {
    registers: R,
    kinds: HashKinds,
    busy: AtomicBool,
}

impl<R: Registers> HashProcessor<R> {
    /// The driver of the processor behind `registers`, whose clock is on, or is switched on by [`Registers::enable`].
    pub const fn new(registers: R, kinds: HashKinds) -> Self {
        Self { registers, kinds, busy: AtomicBool::new(false) }
    }

    /// Adds a piece to a message: the concatenation of `parts`. Without a context the message begins, with
    /// [`FIRST`](HashContext::FIRST) bytes or any number of blocks more; otherwise the piece is a number of
    /// [blocks](HashContext::NEXT). After an error the context is as before, and stays usable.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the processor does not have the algorithm, does not answer, or is in use: an interrupt came in
    /// between another call; [`Error::DataLength`]; [`Error::Hardware`] if it does not finish.
    pub fn absorb(
        &self,
        algorithm: HashAlgorithm,
        context: &mut Option<HashContext>,
        parts: &[&[u8]],
    ) -> Result<(), Error> {
        let control = self.kinds.control(algorithm).ok_or(Error::Unsupported)?;
        let before = if context.is_none() { HashContext::FIRST } else { HashContext::NEXT };
        let blocks = length(parts).checked_sub(before).ok_or(Error::DataLength)?;
        if !blocks.is_multiple_of(HashContext::NEXT) {
            return Err(Error::DataLength);
        }
        let mut session = self.begin(control, context.as_ref())?;
        for part in parts {
            session.feed(part)?;
        }
        // Between two blocks, with one word of the next: the state in which it may be read.
        wait(&self.registers, STATUS, BUSY | ROOM, ROOM)?;
        let context = context.get_or_insert(HashContext([0; HashContext::WORDS]));
        for (word, register) in context.0.iter_mut().zip(CONTEXT.iter().take(self.kinds.context())) {
            *word = self.registers.read(*register);
        }
        Ok(())
    }

    /// Ends a message with `tail`, of any length, and writes its digest. The context stays as it is.
    ///
    /// # Errors
    /// As for [`absorb`](Self::absorb); [`Error::OutputLength`].
    pub fn finish_context(
        &self,
        algorithm: HashAlgorithm,
        context: &HashContext,
        tail: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let control = self.kinds.control(algorithm).ok_or(Error::Unsupported)?;
        algorithm.check_output(output.len())?;
        self.begin(control, Some(context))?.finish(&[tail], output)
    }

    /// Takes the processor, with nothing in it or with what it knew. Declines if somebody else is in a call, or if it does not
    /// answer.
    fn begin(&self, control: u32, context: Option<&HashContext>) -> Result<Session<'_, R>, Error> {
        let turn = Turn::take(&self.busy)?;
        let registers = &self.registers;
        registers.enable();
        registers.write(START, 0);
        registers.write(CONTROL, control | BYTES | INITIALIZE);
        if registers.read(STATUS) & (BUSY | ROOM) != ROOM {
            return Err(Error::Unsupported);
        }
        let mut session = Session { registers, written: 0, word: [0; 4], filled: 0, _turn: turn };
        if let Some(context) = context {
            for (register, word) in CONTEXT.iter().take(self.kinds.context()).zip(&context.0) {
                registers.write(*register, *word);
            }
            session.written = 1;
        }
        Ok(session)
    }
}

/// Number of bytes in all parts.
fn length(parts: &[&[u8]]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.len()))
}

/// The processor with part of a message in it.
struct Session<'a, R: Registers> {
    registers: &'a R,
    /// Words of the block that it is given.
    written: u32,
    /// Bytes of a word that is not whole yet.
    word: [u8; 4],
    filled: usize,
    // Given back after what the processor knows has been forgotten.
    _turn: Turn<'a>,
}

impl<R: Registers> Session<'_, R> {
    fn feed(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while self.filled > 0 {
            let Some((byte, rest)) = data.split_first() else { return Ok(()) };
            self.put(*byte)?;
            data = rest;
        }
        let (words, rest) = data.as_chunks();
        for word in words {
            self.push(*word)?;
        }
        rest.iter().try_for_each(|byte| self.put(*byte))
    }

    fn put(&mut self, byte: u8) -> Result<(), Error> {
        if let Some(place) = self.word.get_mut(self.filled) {
            *place = byte;
        }
        self.filled = self.filled.saturating_add(1);
        if self.filled == self.word.len() {
            self.filled = 0;
            self.push(self.word)?;
        }
        Ok(())
    }

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

    /// The last parts of a message, and its digest, to an output of the right size.
    fn finish(mut self, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        // Whatever came before were whole words.
        let bits = u32::try_from(length(parts) % 4).unwrap_or(0).saturating_mul(8);
        self.registers.write(START, bits);
        for part in parts {
            self.feed(part)?;
        }
        if self.filled > 0 {
            self.word.iter_mut().skip(self.filled).for_each(|byte| *byte = 0);
            self.push(self.word)?;
        }
        self.registers.write(START, bits | FINISH);
        wait(self.registers, STATUS, BUSY | DONE, DONE)?;
        let (words, _) = output.as_chunks_mut::<4>();
        for (register, word) in DIGEST.iter().zip(words) {
            *word = self.registers.read(*register).to_be_bytes();
        }
        Ok(())
    }
}

impl<R: Registers> Drop for Session<'_, R> {
    fn drop(&mut self) {
        // What the processor has of the message and the digest is forgotten.
        self.registers.write(CONTROL, INITIALIZE);
        self.word.zeroize();
    }
}

impl<R: Registers> Hash for HashProcessor<R> {
    fn digest(&self, algorithm: HashAlgorithm, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        let control = self.kinds.control(algorithm).ok_or(Error::Unsupported)?;
        // Wrong lengths are the software's to judge. Whether the processor can hash nothing is not described.
        if algorithm.digest_size() != Some(output.len()) || length(parts) == 0 {
            return Err(Error::Unsupported);
        }
        self.begin(control, None)?.finish(parts, output)
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
    use crate::model::HashModel;
    use casemate_crypto::{NoRandom, Prefer, Software, hash};
    use std::vec;
    use std::vec::Vec;

    const SOFTWARE: Software<NoRandom> = Software::new(NoRandom);
    /// The kinds of a processor with SHA-2.
    const KINDS: [HashKinds; 3] = [HashKinds::WithSha2, HashKinds::U5, HashKinds::H5];

    const ALL: [HashAlgorithm; 4] =
        [HashAlgorithm::Sha1, HashAlgorithm::Md5, HashAlgorithm::Sha224, HashAlgorithm::Sha256];

    /// "abc": FIPS 180-4 (SHA-1, SHA-224, SHA-256) and RFC 1321, §A.5 (MD5).
    #[test]
    fn known_answers() {
        for kinds in KINDS {
            let model = HashModel::new(kinds);
            let driver = HashProcessor::new(&model, kinds);
            for (algorithm, expected) in ALL.into_iter().zip([
                "a9993e364706816aba3e25717850c26c9cd0d89d",
                "900150983cd24fb0d6963f7d28e17f72",
                "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ]) {
                let mut output = vec![0; algorithm.digest_size().unwrap()];
                let answer = driver.digest(algorithm, &[b"a", b"bc"], &mut output);
                if (algorithm, kinds) == (HashAlgorithm::Md5, HashKinds::H5) {
                    assert_eq!(answer, Err(Error::Unsupported));
                    continue;
                }
                answer.unwrap();
                assert_eq!(hex::encode(&output), expected);
                assert!(model.is_blank());
            }
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

    /// Three messages at once, each in pieces of its own size, and one that is continued twice.
    #[test]
    fn messages_in_pieces_take_turns() {
        KINDS.into_iter().for_each(take_turns);
    }

    fn take_turns(kinds: HashKinds) {
        let model = HashModel::new(kinds);
        let driver = HashProcessor::new(&model, kinds);
        let message: Vec<u8> = (0..1500).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect();
        let at_once = |algorithm: HashAlgorithm, length: usize| {
            let mut output = vec![0; algorithm.digest_size().unwrap()];
            hash(&SOFTWARE, algorithm, &[&message[..length]], &mut output).unwrap();
            output
        };
        for algorithm in ALL.into_iter().filter(|algorithm| kinds.control(*algorithm).is_some()) {
            let size = algorithm.digest_size().unwrap();
            let mut contexts = [None, None, None];
            let mut lengths = [0; 3];
            for _ in 0..4 {
                for (index, blocks) in [0, 1, 4].into_iter().enumerate() {
                    let from = lengths[index];
                    let first = if from == 0 { HashContext::FIRST } else { HashContext::NEXT };
                    let to = from + first + blocks * HashContext::NEXT;
                    let (one, other) = message[from..to].split_at(7 + index);
                    driver.absorb(algorithm, &mut contexts[index], &[one, &[], other]).unwrap();
                    assert!(model.is_blank(), "the processor keeps nothing between calls");
                    lengths[index] = to;
                }
            }
            for tail in [0, 1, 2, 3, 4, 55, 59, 60, 61, 63, 64, 100] {
                for (context, length) in contexts.iter().zip(lengths) {
                    let mut output = vec![0; size];
                    let rest = &message[length..length + tail];
                    driver.finish_context(algorithm, context.as_ref().unwrap(), rest, &mut output).unwrap();
                    assert_eq!(output, at_once(algorithm, length + tail), "{algorithm:?}, {length} + {tail}");
                }
            }
            let mut copy = contexts[0].clone();
            driver.absorb(algorithm, &mut copy, &[&[0x77; 64]]).unwrap();
            let mut output = vec![0; size];
            driver.finish_context(algorithm, contexts[0].as_ref().unwrap(), &[], &mut output).unwrap();
            assert_eq!(output, at_once(algorithm, lengths[0]));
        }
    }

    #[test]
    fn what_cannot_be_absorbed_changes_nothing() {
        let model = HashModel::default();
        let driver = HashProcessor::new(&model, HashKinds::Sha1AndMd5);
        let sha1 = HashAlgorithm::Sha1;
        let mut context = None;
        for length in [0, 1, 64, 67, 69, 131, 133] {
            let answer = driver.absorb(sha1, &mut context, &[&vec![1; length]]);
            assert_eq!(answer, Err(Error::DataLength));
        }
        assert_eq!(driver.absorb(HashAlgorithm::Sha256, &mut context, &[&[1; 68]]), Err(Error::Unsupported));
        let turn = Turn::take(&driver.busy).unwrap();
        assert_eq!(driver.absorb(sha1, &mut context, &[&[1; 68]]), Err(Error::Unsupported));
        drop(turn);
        model.stuck.set(true);
        assert_eq!(driver.absorb(sha1, &mut context, &[&[1; 68]]), Err(Error::Hardware));
        assert!(context.is_none());
        model.stuck.set(false);
        driver.absorb(sha1, &mut context, &[&[1; 68]]).unwrap();

        let before = context.clone().unwrap();
        for length in [0, 1, 63, 65] {
            let answer = driver.absorb(sha1, &mut context, &[&vec![1; length]]);
            assert_eq!(answer, Err(Error::DataLength));
        }
        let finish = |context: &Option<HashContext>, output: &mut [u8]| {
            driver.finish_context(sha1, context.as_ref().unwrap(), b"end", output)
        };
        assert_eq!(finish(&context, &mut [0; 32]), Err(Error::OutputLength));
        model.stuck.set(true);
        assert_eq!(driver.absorb(sha1, &mut context, &[&[1; 64]]), Err(Error::Hardware));
        assert_eq!(finish(&context, &mut [0; 20]), Err(Error::Hardware));
        model.stuck.set(false);
        model.off.set(true);
        assert_eq!(driver.absorb(sha1, &mut context, &[&[1; 64]]), Err(Error::Unsupported));
        assert_eq!(finish(&context, &mut [0; 20]), Err(Error::Unsupported));
        model.off.set(false);
        assert_eq!(context.as_ref().unwrap().0, before.0);
        let (mut ours, mut theirs) = ([0; 20], [0; 20]);
        finish(&context, &mut ours).unwrap();
        hash(&SOFTWARE, sha1, &[&[1; 68], b"end"], &mut theirs).unwrap();
        assert_eq!(ours, theirs);
        assert!(model.enabled.get() > 0, "the clock was switched on");
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
