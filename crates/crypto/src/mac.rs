//! The message authentication family: CMAC with a resumable state, and HMAC.

use crate::hash::{MAX_BLOCK, MAX_DIGEST};
use crate::secret::{Secret, wipe};
use crate::{AES_BLOCK, Error, Hash, HashAlgorithm, Hasher, hash};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The state of an AES-CMAC between calls. It starts as all zero and holds no key, but is **as secret as the key**
/// where a client may choose it: finishing a made-up state encrypts a chosen block.
///
/// Absorption is lazy: a full block stays pending until another byte arrives, because the last block is treated
/// differently.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CmacState {
    /// Bytes not yet absorbed. Those from `pending_length` on are zero when a driver of this crate returns the
    /// state, and are not read.
    pub pending: [u8; AES_BLOCK],
    /// The running CBC-MAC value.
    pub chain: [u8; AES_BLOCK],
    /// Number of valid bytes in `pending`, 0 to 16.
    pub pending_length: usize,
    /// Number of bytes absorbed into `chain`, modulo 2^32. It has no influence on the result.
    pub absorbed: u32,
}

impl Zeroize for CmacState {
    fn zeroize(&mut self) {
        wipe(&mut self.pending);
        wipe(&mut self.chain);
        self.pending_length.zeroize();
        self.absorbed.zeroize();
    }
}

impl Drop for CmacState {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for CmacState {}

impl core::fmt::Debug for CmacState {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("CmacState")
            .field("pending_length", &self.pending_length)
            .field("absorbed", &self.absorbed)
            .finish_non_exhaustive()
    }
}

/// Message authentication codes. AES keys have 16, 24 or 32 bytes.
pub trait Mac {
    /// Absorbs `data` into an AES-CMAC (NIST SP 800-38B). Empty data checks the key and the state and changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::State`] if `pending_length` exceeds 16. The state is unchanged in both cases.
    fn cmac_update(&self, key: &[u8], state: &mut CmacState, data: &[u8]) -> Result<(), Error> {
        let _ = (key, state, data);
        Err(Error::Unsupported)
    }

    /// Computes the MAC of everything absorbed and writes its first `output.len()` bytes, 1 to 16.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::State`] if `pending_length` exceeds 16; [`Error::TagLength`] if the output
    /// is empty or longer than 16 bytes.
    fn cmac_finish(&self, key: &[u8], state: &CmacState, output: &mut [u8]) -> Result<(), Error> {
        let _ = (key, state, output);
        Err(Error::Unsupported)
    }

    /// Computes the AES-CMAC of the concatenation of `parts` at once: for devices that keep their state to
    /// themselves. Callers use the function [`cmac`], which takes either way.
    ///
    /// # Errors
    /// As for [`cmac_finish`](Self::cmac_finish).
    fn cmac(&self, key: &[u8], parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        let _ = (key, parts, output);
        Err(Error::Unsupported)
    }

    /// Computes the HMAC (FIPS 198-1) of the concatenation of `parts` and writes its first `output.len()` bytes,
    /// 1 up to the digest size. The key has any length. HMAC is not defined over SHAKE.
    ///
    /// # Errors
    /// [`Error::TagLength`] if the output is empty or longer than the digest.
    fn hmac(
        &self,
        algorithm: HashAlgorithm,
        key: &[u8],
        parts: &[&[u8]],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (algorithm, key, parts, output);
        Err(Error::Unsupported)
    }
}

/// Computes the AES-CMAC of the concatenation of `parts` with any driver; `output` as in [`Mac::cmac_finish`].
///
/// # Errors
/// [`Error::KeyLength`], [`Error::TagLength`]; [`Error::Unsupported`] if the driver has no CMAC.
pub fn cmac<D: Mac + ?Sized>(
    driver: &D,
    key: &[u8],
    parts: &[&[u8]],
    output: &mut [u8],
) -> Result<(), Error> {
    match driver.cmac(key, parts, output) {
        Err(Error::Unsupported) => cmac_in_steps(driver, key, parts, output),
        answer => answer,
    }
}

/// Not inlined: drivers that do it at once do not have the state on their stack.
#[inline(never)]
fn cmac_in_steps<D: Mac + ?Sized>(
    driver: &D,
    key: &[u8],
    parts: &[&[u8]],
    output: &mut [u8],
) -> Result<(), Error> {
    let mut state = CmacState::default();
    for part in parts {
        driver.cmac_update(key, &mut state, part)?;
    }
    driver.cmac_finish(key, &state, output)
}

/// HMAC (FIPS 198-1) over any [`Hash`]: a building block for drivers whose hash is faster than their host's but
/// which have no HMAC of their own.
///
/// # Errors
/// [`Error::TagLength`] if the output is empty or longer than the digest; [`Error::Unsupported`] for SHAKE or if
/// `driver` does not have the hash.
pub fn hmac_from_hash<D: Hash + ?Sized>(
    driver: &D,
    algorithm: HashAlgorithm,
    key: &[u8],
    parts: &[&[u8]],
    output: &mut [u8],
) -> Result<(), Error> {
    let digest_size = algorithm.digest_size().ok_or(Error::Unsupported)?;
    if output.is_empty() || output.len() > digest_size {
        return Err(Error::TagLength);
    }
    let block_size = algorithm.block_size();
    let mut padded = Secret::<MAX_BLOCK>::zero();
    let (mut inner, mut outer) = (Secret::<MAX_DIGEST>::zero(), Secret::<MAX_DIGEST>::zero());
    // A build without the longer hashes has no room for them.
    let padded = padded.get_mut(..block_size).ok_or(Error::Unsupported)?;
    let inner = inner.get_mut(..digest_size).ok_or(Error::Unsupported)?;
    let outer = outer.get_mut(..digest_size).ok_or(Error::Unsupported)?;

    if key.len() > block_size {
        let shortened = padded.get_mut(..digest_size).ok_or(Error::State)?;
        hash(driver, algorithm, &[key], shortened)?;
    } else {
        padded.get_mut(..key.len()).ok_or(Error::State)?.copy_from_slice(key);
    }

    padded.iter_mut().for_each(|byte| *byte ^= 0x36);
    keyed_hash(driver, algorithm, padded, parts, inner)?;
    padded.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
    keyed_hash(driver, algorithm, padded, &[inner], outer)?;
    output.copy_from_slice(outer.get(..output.len()).ok_or(Error::State)?);
    Ok(())
}

/// Not inlined: the two hashers of an HMAC would share a stack frame otherwise.
#[inline(never)]
fn keyed_hash<D: Hash + ?Sized>(
    driver: &D,
    algorithm: HashAlgorithm,
    padded_key: &[u8],
    parts: &[&[u8]],
    output: &mut [u8],
) -> Result<(), Error> {
    let mut hasher = Hasher::new(driver, algorithm);
    hasher.update(padded_key)?;
    hasher.complete(parts, output)
}
