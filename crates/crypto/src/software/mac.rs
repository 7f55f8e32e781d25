//! AES-CMAC and HMAC.

use super::aes::{Encryptor, xor};
use super::in_place;
use crate::secret::Secret;
use crate::{AES_BLOCK, CmacState, Error, Mac, Software};
#[cfg(feature = "hmac")]
use crate::{HashAlgorithm, hmac_from_hash};

/// Doubles a field element (NIST SP 800-38B, §6.1) without a branch on its value.
///
/// Not inlined: [`finish`] needs less of the stack when a block is encrypted.
#[inline(never)]
fn double(block: &mut [u8; AES_BLOCK]) {
    let value = u128::from_be_bytes(*block);
    let mask = 0_u128.wrapping_sub(value >> 127);
    *block = ((value << 1) ^ (0x87 & mask)).to_be_bytes();
}

/// Absorbs `data` into `state`.
#[cfg_attr(aes_backend_soft = "compact", inline(never))]
pub(super) fn update(encryptor: &Encryptor, state: &mut CmacState, data: &[u8]) -> Result<(), Error> {
    let free = state.pending.get_mut(state.pending_length..).ok_or(Error::State)?;
    if data.is_empty() {
        return Ok(());
    }
    let count = free.len().min(data.len());
    let (now, data) = data.split_at_checked(count).ok_or(Error::State)?;
    free.iter_mut().zip(now).for_each(|(target, byte)| *target = *byte);
    free.iter_mut().skip(count).for_each(|byte| *byte = 0);
    state.pending_length = state.pending_length.saturating_add(count);

    // The block just filled, and every later one that is followed by a byte, can be absorbed.
    let Some(before_last) = data.len().checked_sub(1) else {
        return Ok(());
    };
    encryptor.absorb(&mut state.chain, core::slice::from_ref(&state.pending));
    let (whole, _) = data.get(..before_last).ok_or(Error::State)?.as_chunks::<AES_BLOCK>();
    encryptor.absorb(&mut state.chain, whole);
    let absorbed = whole.as_flattened().len();
    let tail = data.get(absorbed..).ok_or(Error::State)?;
    state.pending = [0; AES_BLOCK];
    state.pending.iter_mut().zip(tail).for_each(|(target, byte)| *target = *byte);
    state.pending_length = tail.len();
    let count = u64::try_from(absorbed).unwrap_or(u64::MAX).wrapping_add(16) & u64::from(u32::MAX);
    state.absorbed = state.absorbed.wrapping_add(u32::try_from(count).unwrap_or(0));
    Ok(())
}

/// The MAC of what `state` has absorbed.
#[cfg_attr(aes_backend_soft = "compact", inline(never))]
fn finish(encryptor: &Encryptor, state: &CmacState, output: &mut [u8]) -> Result<(), Error> {
    let pending = state.pending.get(..state.pending_length).ok_or(Error::State)?;
    if output.is_empty() || output.len() > AES_BLOCK {
        return Err(Error::TagLength);
    }
    // The subkey, to which everything else of the last block is added.
    let mut block = Secret::<AES_BLOCK>::zero();
    encryptor.block(&mut block);
    let doublings = if pending.len() < AES_BLOCK { 2 } else { 1 };
    for _ in 0..doublings {
        double(&mut block);
    }
    xor(block.as_mut_slice(), pending);
    if let Some(end) = block.get_mut(pending.len()) {
        *end ^= 0x80;
    }
    xor(block.as_mut_slice(), &state.chain);
    encryptor.block(&mut block);
    output.iter_mut().zip(block.iter()).for_each(|(target, byte)| *target = *byte);
    Ok(())
}

impl<R> Mac for Software<R> {
    fn cmac_update(&self, key: &[u8], state: &mut CmacState, data: &[u8]) -> Result<(), Error> {
        update(in_place(&Encryptor::new(key))?, state, data)
    }

    fn cmac_finish(&self, key: &[u8], state: &CmacState, output: &mut [u8]) -> Result<(), Error> {
        finish(in_place(&Encryptor::new(key))?, state, output)
    }

    fn cmac(&self, key: &[u8], parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        let encryptor = Encryptor::new(key);
        let encryptor = in_place(&encryptor)?;
        let mut state = CmacState::default();
        parts.iter().try_for_each(|part| update(encryptor, &mut state, part))?;
        finish(encryptor, &state, output)
    }

    #[cfg(feature = "hmac")]
    fn hmac(
        &self,
        algorithm: HashAlgorithm,
        key: &[u8],
        parts: &[&[u8]],
        output: &mut [u8],
    ) -> Result<(), Error> {
        hmac_from_hash(self, algorithm, key, parts, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmac;
    use crate::software::tests::{bytes, driver};

    const KEY: &str = "2b7e151628aed2a6abf7158809cf4f3c";

    fn message(range: core::ops::Range<u8>) -> std::vec::Vec<u8> {
        range.collect()
    }

    /// Document 04, §11.
    #[test]
    fn cmac_one_shot() {
        let mut tag = [0; 16];
        cmac(&driver(), &bytes(KEY), &[&message(0x40..0x68)], &mut tag).unwrap();
        assert_eq!(hex::encode(tag), "dc8dff819aefa8bd646e77b09d3add84");
    }

    /// Document 04, §11: a full block stays pending.
    #[test]
    fn cmac_update_is_lazy() {
        let mut state = CmacState { pending_length: 5, ..CmacState::default() };
        state.pending[..5].copy_from_slice(&message(0x40..0x45));
        driver().cmac_update(&bytes(KEY), &mut state, &message(0x45..0x50)).unwrap();
        assert_eq!(state.pending.as_slice(), message(0x40..0x50));
        assert_eq!((state.chain, state.pending_length, state.absorbed), ([0; 16], 16, 0));
    }

    /// Document 04, §11: what stands behind the pending bytes is not looked at.
    #[test]
    fn cmac_finish_with_residue() {
        let state = CmacState {
            pending: bytes("603124f1b7c05b24a0b0e522162603ca").try_into().unwrap(),
            chain: bytes("de7dfd8e984bbb5c7e7030840ae46430").try_into().unwrap(),
            pending_length: 1,
            absorbed: 32,
        };
        let mut tag = [0; 16];
        driver().cmac_finish(&bytes(KEY), &state, &mut tag).unwrap();
        assert_eq!(hex::encode(tag), "da1f50a62857f7455ba011ac862840a4");

        // The same state, reached by streaming 5 + 11 + 17 bytes, without the residue.
        let mut streamed = CmacState::default();
        for range in [0x40..0x45, 0x45..0x50, 0x50..0x61] {
            driver().cmac_update(&bytes(KEY), &mut streamed, &message(range)).unwrap();
        }
        assert_eq!((streamed.chain, streamed.pending_length, streamed.absorbed), (state.chain, 1, 32));
        assert_eq!(hex::encode(streamed.pending), "60000000000000000000000000000000");
        let mut short = [0; 4];
        driver().cmac_finish(&bytes(KEY), &streamed, &mut short).unwrap();
        assert_eq!(short, tag[..4]);
    }

    #[test]
    fn cmac_checks_its_arguments() {
        let driver = driver();
        let mut state = CmacState { pending_length: 17, ..CmacState::default() };
        assert_eq!(driver.cmac_update(&bytes(KEY), &mut state, b"x"), Err(Error::State));
        assert_eq!(driver.cmac_finish(&bytes(KEY), &state, &mut [0; 16]), Err(Error::State));
        let mut state = CmacState::default();
        assert_eq!(driver.cmac_update(&[0; 15], &mut state, b"x"), Err(Error::KeyLength));
        assert_eq!(driver.cmac_finish(&[0; 33], &state, &mut [0; 16]), Err(Error::KeyLength));
        assert_eq!(driver.cmac_finish(&bytes(KEY), &state, &mut [0; 17]), Err(Error::TagLength));
        assert_eq!(driver.cmac_finish(&bytes(KEY), &state, &mut []), Err(Error::TagLength));
        assert_eq!(driver.cmac_update(&bytes(KEY), &mut state, b""), Ok(()));
        assert_eq!(state, CmacState::default());
    }

    #[cfg(feature = "hmac")]
    #[test]
    fn hmac_checks_its_arguments() {
        let driver = driver();
        let hmac = |algorithm, output: &mut [u8]| driver.hmac(algorithm, b"key", &[b"data"], output);
        assert_eq!(hmac(HashAlgorithm::Sha256, &mut []), Err(Error::TagLength));
        assert_eq!(hmac(HashAlgorithm::Sha256, &mut [0; 33]), Err(Error::TagLength));
        assert_eq!(hmac(HashAlgorithm::Shake128, &mut [0; 16]), Err(Error::Unsupported));
    }
}
