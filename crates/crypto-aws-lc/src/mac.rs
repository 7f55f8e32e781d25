//! AES-CMAC, on the library's CBC: its own CMAC cannot be resumed from the words of a state.

use crate::AwsLc;
use crate::ffi::cipher::Schedule;
use casemate_crypto::{AES_BLOCK, CmacState, Error, Mac};
use zeroize::Zeroizing;

/// Doubles a field element (NIST SP 800-38B, §6.1) without a branch on its value.
fn double(block: [u8; AES_BLOCK]) -> [u8; AES_BLOCK] {
    let value = u128::from_be_bytes(block);
    let mask = 0_u128.wrapping_sub(value >> 127);
    ((value << 1) ^ (0x87 & mask)).to_be_bytes()
}

/// Absorbs `data`: what [`Mac::cmac_update`] does after the key.
fn update(schedule: &Schedule, state: &mut CmacState, data: &[u8]) -> Result<(), Error> {
    let free = state.pending.get_mut(state.pending_length..).ok_or(Error::State)?;
    if data.is_empty() {
        return Ok(());
    }
    let (now, data) = data.split_at(free.len().min(data.len()));
    let (filled, rest) = free.split_at_mut(now.len());
    filled.copy_from_slice(now);
    rest.fill(0);
    state.pending_length = state.pending_length.saturating_add(now.len());

    // The block just filled, and every later one that is followed by a byte, can be absorbed.
    let Some((_, before_last)) = data.split_last() else {
        return Ok(());
    };
    schedule.cbc_mac(&mut state.chain, std::slice::from_ref(&state.pending));
    let (whole, _) = before_last.as_chunks();
    schedule.cbc_mac(&mut state.chain, whole);
    let tail = data.get(whole.as_flattened().len()..).ok_or(Error::State)?;
    state.pending.fill(0);
    state.pending.get_mut(..tail.len()).ok_or(Error::State)?.copy_from_slice(tail);
    state.pending_length = tail.len();
    let absorbed = u64::try_from(whole.as_flattened().len()).unwrap_or(u64::MAX).wrapping_add(16);
    let absorbed = u32::try_from(absorbed & u64::from(u32::MAX)).unwrap_or(0);
    state.absorbed = state.absorbed.wrapping_add(absorbed);
    Ok(())
}

/// Writes the MAC: what [`Mac::cmac_finish`] does after the key.
fn finish(schedule: &Schedule, state: &CmacState, output: &mut [u8]) -> Result<(), Error> {
    let pending = state.pending.get(..state.pending_length).ok_or(Error::State)?;
    if output.is_empty() || output.len() > AES_BLOCK {
        return Err(Error::TagLength);
    }
    let mut subkey = Zeroizing::new([0; AES_BLOCK]);
    schedule.block(&mut subkey);
    *subkey = double(*subkey);
    let mut last = Zeroizing::new([0; AES_BLOCK]);
    last.get_mut(..pending.len()).ok_or(Error::State)?.copy_from_slice(pending);
    if let Some(end) = last.get_mut(pending.len()) {
        *end = 0x80;
        *subkey = double(*subkey);
    }
    last.iter_mut().zip(subkey.iter()).for_each(|(byte, key)| *byte ^= key);
    let mut chain = Zeroizing::new(state.chain);
    schedule.cbc_mac(&mut chain, std::slice::from_ref(&*last));
    output.copy_from_slice(chain.get(..output.len()).ok_or(Error::TagLength)?);
    Ok(())
}

impl Mac for AwsLc {
    fn cmac_update(&self, key: &[u8], state: &mut CmacState, data: &[u8]) -> Result<(), Error> {
        update(&Schedule::encrypting(key)?, state, data)
    }

    fn cmac_finish(&self, key: &[u8], state: &CmacState, output: &mut [u8]) -> Result<(), Error> {
        finish(&Schedule::encrypting(key)?, state, output)
    }

    fn cmac(&self, key: &[u8], parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        let schedule = Schedule::encrypting(key)?;
        let mut state = CmacState::default();
        for part in parts {
            update(&schedule, &mut state, part)?;
        }
        finish(&schedule, &state, output)
    }
}
