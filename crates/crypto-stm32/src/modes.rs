//! Modes over a processor that does blocks with a key in it: what both AES processors share.

#[cfg(test)]
pub(crate) mod tests;

use casemate_crypto::{AES_BLOCK, Aead, Cipher, CtrState, Direction, Error};

pub(crate) type Block = [u8; AES_BLOCK];

/// A mode that a processor does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each block for itself.
    Ecb,
    /// Cipher block chaining.
    Cbc,
    /// Counter mode, with a counter of 32 bits: always encryption.
    Ctr,
}

/// A processor for AES. Nobody else can implement it: this module is private.
pub trait AesProcessor: Cipher + Aead {
    /// The processor with a key in it, which is overwritten when this is dropped.
    type Session<'a>: Session
    where
        Self: 'a;

    /// Sizes of keys, in bytes.
    fn key_sizes(&self) -> &'static [usize];

    /// Loads key and vector. Declines, with nothing changed that matters, if the key has another length, if somebody else is
    /// in a call, or if the processor does not answer.
    ///
    /// # Errors
    /// [`Error::Unsupported`]; [`Error::Hardware`] if the processor does not finish.
    fn start(
        &self,
        mode: Mode,
        direction: Direction,
        key: &[u8],
        vector: Option<&Block>,
    ) -> Result<Self::Session<'_>, Error>;
}

/// See [`AesProcessor::Session`].
pub trait Session {
    /// Begins, or goes on with another vector.
    fn begin(&self, vector: Option<&Block>);

    /// One block.
    ///
    /// # Errors
    /// [`Error::Hardware`] if the processor does not finish.
    fn turn(&self, block: &mut Block) -> Result<(), Error>;
}

/// The blocks of `data`; what is none, and nothing at all, the software judges.
fn blocks(data: &mut [u8]) -> Result<&mut [Block], Error> {
    match data.as_chunks_mut() {
        ([], _) => Err(Error::Unsupported),
        (blocks, []) => Ok(blocks),
        _ => Err(Error::Unsupported),
    }
}

pub(crate) fn ecb<P: AesProcessor>(
    processor: &P,
    direction: Direction,
    key: &[u8],
    data: &mut [u8],
) -> Result<(), Error> {
    let blocks = blocks(data)?;
    let session = processor.start(Mode::Ecb, direction, key, None)?;
    blocks.iter_mut().try_for_each(|block| session.turn(block))
}

pub(crate) fn cbc<P: AesProcessor>(
    processor: &P,
    direction: Direction,
    key: &[u8],
    iv: &mut Block,
    data: &mut [u8],
) -> Result<(), Error> {
    let blocks = blocks(data)?;
    let session = processor.start(Mode::Cbc, direction, key, Some(iv))?;
    // Only ciphertext is kept: what decryption is about to overwrite, or what encryption leaves.
    let before = matches!(direction, Direction::Decrypt).then(|| blocks.last().copied()).flatten();
    blocks.iter_mut().try_for_each(|block| session.turn(block))?;
    *iv = before.or_else(|| blocks.last().copied()).unwrap_or_default();
    Ok(())
}

pub(crate) fn ctr<P: AesProcessor>(
    processor: &P,
    key: &[u8],
    state: &mut CtrState,
    data: &mut [u8],
) -> Result<(), Error> {
    // Only what needs a new block needs the processor.
    if state.unused > AES_BLOCK || data.len() <= state.unused {
        return Err(Error::Unsupported);
    }
    let session = processor.start(Mode::Ctr, Direction::Encrypt, key, Some(&state.counter))?;
    let (before, rest) = data.split_at_mut(state.unused);
    let unused = state.keystream.len().saturating_sub(state.unused);
    xor(before, state.keystream.get(unused..).unwrap_or_default());
    state.unused = 0;
    let (blocks, tail) = rest.as_chunks_mut::<AES_BLOCK>();
    for block in blocks {
        session.turn(block)?;
        advance(&session, &mut state.counter);
    }
    if !tail.is_empty() {
        state.keystream = [0; AES_BLOCK];
        session.turn(&mut state.keystream)?;
        advance(&session, &mut state.counter);
        xor(tail, &state.keystream);
        state.unused = AES_BLOCK.saturating_sub(tail.len());
    }
    Ok(())
}

/// Counts as the processor does. It counts in the lowest 32 bits; what it does when they overflow is not described, so it is
/// told the next value.
fn advance<S: Session>(session: &S, counter: &mut Block) {
    *counter = u128::from_be_bytes(*counter).wrapping_add(1).to_be_bytes();
    if counter.last_chunk::<4>() == Some(&[0; 4]) {
        session.begin(Some(counter));
    }
}

fn xor(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to ^= from);
}

/// An AES processor as a driver: its own modes, and with the feature `gcm` GCM, whose GHASH is the software's.
macro_rules! driver {
    ($name:ident) => {
        impl<R: Registers> casemate_crypto::Cipher for $name<R> {
            fn ecb(&self, direction: Direction, key: &[u8], data: &mut [u8]) -> Result<(), Error> {
                modes::ecb(self, direction, key, data)
            }

            fn cbc(
                &self,
                direction: Direction,
                key: &[u8],
                iv: &mut modes::Block,
                data: &mut [u8],
            ) -> Result<(), Error> {
                modes::cbc(self, direction, key, iv, data)
            }

            fn ctr(
                &self,
                key: &[u8],
                state: &mut casemate_crypto::CtrState,
                data: &mut [u8],
            ) -> Result<(), Error> {
                modes::ctr(self, key, state, data)
            }
        }

        impl<R: Registers> casemate_crypto::Aead for $name<R> {
            #[cfg(feature = "gcm")]
            fn gcm_seal(
                &self,
                key: &[u8],
                iv: &[u8],
                aad: &[u8],
                data: &mut [u8],
                tag: &mut [u8],
            ) -> Result<(), Error> {
                casemate_crypto::gcm_seal_from_cipher(self, key, iv, aad, data, tag)
            }

            #[cfg(feature = "gcm")]
            fn gcm_open(
                &self,
                key: &[u8],
                iv: &[u8],
                aad: &[u8],
                data: &mut [u8],
                tag: &[u8],
            ) -> Result<(), Error> {
                casemate_crypto::gcm_open_from_cipher(self, key, iv, aad, data, tag)
            }
        }

        impl<R> casemate_crypto::Random for $name<R> {}
        impl<R> casemate_crypto::Hash for $name<R> {}
        impl<R> casemate_crypto::Mac for $name<R> {}
        impl<R> casemate_crypto::EllipticCurve for $name<R> {}
        impl<R> casemate_crypto::Curve25519 for $name<R> {}
        impl<R> casemate_crypto::Rsa for $name<R> {}
        impl<R> casemate_crypto::MlDsa for $name<R> {}
        impl<R> casemate_crypto::MlKem for $name<R> {}
    };
}
pub(crate) use driver;
