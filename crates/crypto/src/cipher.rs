//! The block cipher mode family: AES-ECB, AES-CBC and AES-CTR.

use crate::AES_BLOCK;
use crate::Error;
use crate::secret::wipe;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Which way data goes through a cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From plaintext to ciphertext.
    Encrypt,
    /// From ciphertext to plaintext.
    Decrypt,
}

/// The state of a CTR stream between calls.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CtrState {
    /// The next counter block: a 128-bit big-endian number that wraps around.
    pub counter: [u8; AES_BLOCK],
    /// The keystream block that was used last and not to its end.
    pub keystream: [u8; AES_BLOCK],
    /// Number of unused bytes at the *end* of `keystream`, 0 to 16.
    pub unused: usize,
}

impl CtrState {
    /// The state at the start of a stream.
    #[must_use]
    pub const fn new(counter: [u8; AES_BLOCK]) -> Self {
        Self { counter, keystream: [0; AES_BLOCK], unused: 0 }
    }
}

impl Zeroize for CtrState {
    fn zeroize(&mut self) {
        wipe(&mut self.counter);
        wipe(&mut self.keystream);
        self.unused.zeroize();
    }
}

impl Drop for CtrState {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for CtrState {}

impl core::fmt::Debug for CtrState {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Keystream is as secret as the plaintext that it hides.
        formatter
            .debug_struct("CtrState")
            .field("counter", &self.counter)
            .field("unused", &self.unused)
            .finish_non_exhaustive()
    }
}

/// AES modes without authentication (NIST SP 800-38A), in place. Keys have 16, 24 or 32 bytes.
pub trait Cipher {
    /// Electronic codebook. `data` is a multiple of 16 bytes, possibly empty.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::DataLength`].
    fn ecb(&self, direction: Direction, key: &[u8], data: &mut [u8]) -> Result<(), Error> {
        let _ = (direction, key, data);
        Err(Error::Unsupported)
    }

    /// Cipher block chaining. `data` is a multiple of 16 bytes, possibly empty; `iv` becomes the last ciphertext
    /// block, so that a further call continues the chain.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::DataLength`].
    fn cbc(
        &self,
        direction: Direction,
        key: &[u8],
        iv: &mut [u8; AES_BLOCK],
        data: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (direction, key, iv, data);
        Err(Error::Unsupported)
    }

    /// Counter mode: encrypts or decrypts `data` of any length and advances `state`.
    ///
    /// First the unused keystream is used up, then whole blocks; the keystream block of a last, incomplete block
    /// is kept in the state.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::State`] if more than 16 bytes are said to be unused.
    fn ctr(&self, key: &[u8], state: &mut CtrState, data: &mut [u8]) -> Result<(), Error> {
        let _ = (key, state, data);
        Err(Error::Unsupported)
    }
}
