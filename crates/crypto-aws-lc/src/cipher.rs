//! AES-CBC and AES-CTR.

use crate::AwsLc;
use crate::ffi::cipher::Schedule;
use casemate_crypto::{AES_BLOCK, Cipher, CtrState, Direction, Error};

impl Cipher for AwsLc {
    fn cbc(
        &self,
        direction: Direction,
        key: &[u8],
        iv: &mut [u8; AES_BLOCK],
        data: &mut [u8],
    ) -> Result<(), Error> {
        let schedule = match direction {
            Direction::Encrypt => Schedule::encrypting(key)?,
            Direction::Decrypt => Schedule::decrypting(key)?,
        };
        let (blocks, []) = data.as_chunks_mut() else { return Err(Error::DataLength) };
        schedule.cbc(iv, blocks);
        Ok(())
    }

    fn ctr(&self, key: &[u8], state: &mut CtrState, data: &mut [u8]) -> Result<(), Error> {
        let schedule = Schedule::encrypting(key)?;
        let start = AES_BLOCK.checked_sub(state.unused).ok_or(Error::State)?;
        let count = state.unused.min(data.len());
        let (begun, data) = data.split_at_mut(count);
        let kept = state.keystream.get(start..).ok_or(Error::State)?;
        begun.iter_mut().zip(kept).for_each(|(byte, key)| *byte ^= key);
        state.unused = state.unused.saturating_sub(count);
        if !data.is_empty() {
            let used = schedule.ctr(&mut state.counter, &mut state.keystream, data);
            // A block that is used up leaves nothing.
            state.unused = AES_BLOCK.saturating_sub(used) % AES_BLOCK;
        }
        Ok(())
    }
}
