//! Hashes by the processor of an STM32.
//!
//! A message belongs to the processor or to the software from its 68th byte on, for the words of the one mean nothing to the
//! other. Until then its bytes are only kept. Each call brings the processor's words along and takes them away again, so that
//! objects may take turns and be copied.

use super::{HEAD, State, add, close, digest};
use crate::Error;
use crate::ffi::HashRegisters;
use casemate_crypto::{Hash, HashAlgorithm};
use casemate_crypto_stm32::{Checked, HashContext, HashKinds, HashProcessor, Registers};
use zeroize::Zeroize;

/// Bytes of the words in a state.
pub(super) const WORDS_SIZE: usize = HashContext::WORDS * 4;
/// Most bytes that are kept.
pub(super) const PENDING_SIZE: usize = HashContext::FIRST;
/// In the head: 1 if the words are the processor's.
const OWNER: usize = 3;
const _: () = assert!(OWNER < HEAD && WORDS_SIZE >= 32 && PENDING_SIZE >= 64);

/// The processor, as the driver seam knows it.
pub(crate) type Hashes = Checked<HashProcessor<HashRegisters>>;

/// What the chip's processor has.
const KINDS: HashKinds = {
    #[cfg(feature = "stm32_hash_h5")]
    let kinds = HashKinds::H5;
    #[cfg(all(feature = "stm32_hash_u5", not(feature = "stm32_hash_h5")))]
    let kinds = HashKinds::U5;
    #[cfg(not(any(feature = "stm32_hash_h5", feature = "stm32_hash_u5")))]
    let kinds = if cfg!(feature = "stm32_sha2") { HashKinds::WithSha2 } else { HashKinds::Sha1AndMd5 };
    kinds
};

pub(crate) static HASHES: Hashes = Checked::hash(HashProcessor::new(HashRegisters, KINDS));

/// Whose a message is.
enum Owner {
    Nobody,
    Processor,
    Software,
}

impl State<'_> {
    fn owner(&self) -> Owner {
        match (self.algorithm.block_size(), self.head.get(OWNER), self.head.last_chunk()) {
            (64, Some(1), _) => Owner::Processor,
            // Nothing was compressed.
            (64, _, Some(&[0, 0, 0, 0, 0, 0, 0, 0])) => Owner::Nobody,
            _ => Owner::Software,
        }
    }

    fn context(&self) -> HashContext {
        let mut context = HashContext([0; HashContext::WORDS]);
        let (bytes, _) = self.words.as_chunks();
        context.0.iter_mut().zip(bytes).for_each(|(word, bytes)| *word = u32::from_ne_bytes(*bytes));
        context
    }

    fn store_context(&mut self, context: &HashContext) -> Result<(), Error> {
        let (bytes, _) = self.words.as_chunks_mut();
        bytes.iter_mut().zip(&context.0).for_each(|(bytes, word)| *bytes = word.to_ne_bytes());
        *self.head.get_mut(OWNER).ok_or(Error::Internal)? = 1;
        Ok(())
    }

    /// Keeps `data` behind `count` bytes that are kept already.
    fn keep(&mut self, count: usize, data: &[u8]) -> Result<(), Error> {
        let end = count.checked_add(data.len()).ok_or(Error::Internal)?;
        self.pending.get_mut(count..end).ok_or(Error::Internal)?.copy_from_slice(data);
        self.set_pending_length(end)
    }
}

/// [`super::update`], with this processor.
///
/// # Errors
/// Those of [`super::update`]; [`Error::Busy`]; [`Error::Hardware`], after which the processor's messages are lost.
pub(crate) fn update<R: Registers>(
    processor: &Checked<HashProcessor<R>>,
    state: &mut [u8],
    data: &[u8],
) -> Result<(), Error> {
    let mut state = State::new(state)?;
    state.check_open()?;
    let (mut context, least) = match state.owner() {
        Owner::Software => return add(&mut state, data),
        Owner::Nobody => (None, HashContext::FIRST),
        Owner::Processor => (Some(state.context()), HashContext::NEXT),
    };
    let count = state.pending_length();
    let total = count.checked_add(data.len()).ok_or(Error::Length)?;
    let Some(more) = total.checked_sub(least) else {
        return state.keep(count, data);
    };
    // As many blocks as there are; the rest is kept.
    let rest = more % HashContext::NEXT;
    let (now, later) = data.split_at_checked(data.len().saturating_sub(rest)).ok_or(Error::Internal)?;
    // What is kept may be longer than a block, if it was kept before anybody had the message.
    let begun = context.is_some();
    let kept = state.pending.get(..count).ok_or(Error::Internal)?;
    match processor.absorb(state.algorithm, &mut context, &[kept, now]) {
        Ok(()) => {
            state.store_context(&context.ok_or(Error::Internal)?)?;
            state.keep(0, later)
        }
        Err(casemate_crypto::Error::Unsupported) if begun => Err(refusal(processor, state.algorithm)),
        Err(casemate_crypto::Error::Hardware) if begun => Err(Error::Hardware),
        Err(casemate_crypto::Error::Unsupported | casemate_crypto::Error::Hardware) => {
            // The software takes the message, the kept bytes first.
            let mut kept = [0; PENDING_SIZE];
            let kept = kept.get_mut(..count).ok_or(Error::Internal)?;
            kept.copy_from_slice(state.pending.get(..count).ok_or(Error::Internal)?);
            state.set_pending_length(0)?;
            let answer = add(&mut state, kept).and_then(|()| add(&mut state, data));
            kept.zeroize();
            answer
        }
        Err(error) => Err(error.into()),
    }
}

/// Why the processor does not go on with a message that is its own.
fn refusal<R: Registers>(processor: &Checked<HashProcessor<R>>, algorithm: HashAlgorithm) -> Error {
    if processor.is_usable(algorithm) { Error::Busy } else { Error::Hardware }
}

/// [`super::finish`], with this processor.
///
/// # Errors
/// Those of [`super::finish`]; [`Error::Busy`]; [`Error::Hardware`].
pub(crate) fn finish<R: Registers>(
    processor: &Checked<HashProcessor<R>>,
    state: &mut [u8],
    output: &mut [u8],
) -> Result<(), Error> {
    use casemate_crypto::Error as Driver;
    let state = State::new(state)?;
    state.check_open()?;
    let kept = state.pending.get(..state.pending_length()).ok_or(Error::Internal)?;
    match state.owner() {
        Owner::Software => digest(&state, output)?,
        Owner::Processor => match processor.finish_context(state.algorithm, &state.context(), kept, output) {
            Err(Driver::Unsupported) => return Err(refusal(processor, state.algorithm)),
            answer => answer?,
        },
        Owner::Nobody => match processor.digest(state.algorithm, &[kept], output) {
            Err(Driver::Unsupported | Driver::Hardware) => {
                casemate_crypto::hash(&crate::DRIVER, state.algorithm, &[kept], output)?;
            }
            answer => answer?,
        },
    }
    close(state)
}
