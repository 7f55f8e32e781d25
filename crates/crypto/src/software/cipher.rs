//! AES-ECB, AES-CBC and AES-CTR.

use super::aes::{Decryptor, Encryptor, WideCounter, xor};
use super::in_place;
use crate::{AES_BLOCK, Cipher, CtrState, Direction, Error, Software};

/// Cuts `data` into blocks.
fn whole_blocks(data: &mut [u8]) -> Result<&mut [[u8; AES_BLOCK]], Error> {
    match data.as_chunks_mut() {
        (blocks, []) => Ok(blocks),
        _ => Err(Error::DataLength),
    }
}

// One function for each direction, not inlined: the two key schedules would share a stack frame otherwise.

#[inline(never)]
fn encrypt_ecb(key: &[u8], data: &mut [u8]) -> Result<(), Error> {
    in_place(&Encryptor::new(key))?.blocks(whole_blocks(data)?);
    Ok(())
}

#[inline(never)]
fn decrypt_ecb(key: &[u8], data: &mut [u8]) -> Result<(), Error> {
    in_place(&Decryptor::new(key))?.blocks(whole_blocks(data)?);
    Ok(())
}

#[inline(never)]
fn encrypt_cbc(key: &[u8], iv: &mut [u8; AES_BLOCK], data: &mut [u8]) -> Result<(), Error> {
    in_place(&Encryptor::new(key))?.cbc(iv, whole_blocks(data)?);
    Ok(())
}

#[inline(never)]
fn decrypt_cbc(key: &[u8], iv: &mut [u8; AES_BLOCK], data: &mut [u8]) -> Result<(), Error> {
    in_place(&Decryptor::new(key))?.cbc(iv, whole_blocks(data)?);
    Ok(())
}

impl<R> Cipher for Software<R> {
    fn ecb(&self, direction: Direction, key: &[u8], data: &mut [u8]) -> Result<(), Error> {
        match direction {
            Direction::Encrypt => encrypt_ecb(key, data),
            Direction::Decrypt => decrypt_ecb(key, data),
        }
    }

    fn cbc(
        &self,
        direction: Direction,
        key: &[u8],
        iv: &mut [u8; AES_BLOCK],
        data: &mut [u8],
    ) -> Result<(), Error> {
        match direction {
            Direction::Encrypt => encrypt_cbc(key, iv, data),
            Direction::Decrypt => decrypt_cbc(key, iv, data),
        }
    }

    fn ctr(&self, key: &[u8], state: &mut CtrState, data: &mut [u8]) -> Result<(), Error> {
        let encryptor = Encryptor::new(key);
        let encryptor = in_place(&encryptor)?;
        let start = AES_BLOCK.checked_sub(state.unused).ok_or(Error::State)?;
        let count = state.unused.min(data.len());
        let (begun, data) = data.split_at_mut_checked(count).ok_or(Error::State)?;
        xor(begun, state.keystream.get(start..).ok_or(Error::State)?);
        state.unused = state.unused.saturating_sub(count);
        if data.is_empty() {
            return Ok(());
        }
        let remainder = data.as_chunks::<AES_BLOCK>().1.len();
        let mut counter = WideCounter(u128::from_be_bytes(state.counter));
        encryptor.counter_mode(&mut counter, data, Some(&mut state.keystream));
        state.counter = counter.0.to_be_bytes();
        if remainder > 0 {
            state.unused = AES_BLOCK.saturating_sub(remainder);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::{bytes, driver};

    const KEY: &str = "000102030405060708090a0b0c0d0e0f";
    const IV: &str = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";

    /// Document 04, §11.
    #[test]
    fn cbc_returns_the_chaining_block() {
        let plain: std::vec::Vec<u8> = (0x40..0x60).collect();
        let mut data = plain.clone();
        let mut iv = bytes(IV).try_into().unwrap();
        driver().cbc(Direction::Encrypt, &bytes(KEY), &mut iv, &mut data).unwrap();
        assert_eq!(hex::encode(&data), "de8e8d962b69074b2a38943bad35bc52a42c8437314440fde66ba2283786396d");
        assert_eq!(hex::encode(iv), "a42c8437314440fde66ba2283786396d");
        let mut iv = bytes(IV).try_into().unwrap();
        driver().cbc(Direction::Decrypt, &bytes(KEY), &mut iv, &mut data).unwrap();
        assert_eq!(data, plain);
        assert_eq!(hex::encode(iv), "a42c8437314440fde66ba2283786396d");
    }

    /// Document 04, §11.
    #[test]
    fn ecb_captured() {
        let mut data = *b"attack-at-dawn!!";
        driver().ecb(Direction::Encrypt, &bytes(KEY), &mut data).unwrap();
        assert_eq!(hex::encode(data), "4e27c21d403d8f5632c07b13a9edc349");
    }

    /// Document 04, §11.
    #[test]
    fn ctr_keeps_the_begun_block() {
        let mut state = CtrState::new(bytes(IV).try_into().unwrap());
        let mut data: std::vec::Vec<u8> = (0..20).collect();
        driver().ctr(&bytes(KEY), &mut state, &mut data).unwrap();
        assert_eq!(hex::encode(&data), "5e19d3fdf2180e79c8aa34dc38aa9f800ad3adcf");
        assert_eq!(hex::encode(state.counter), "a0a1a2a3a4a5a6a7a8a9aaabacadaeb1");
        assert_eq!(hex::encode(state.keystream), "1ac2bfdc97f5799151e1b8b335ec2adb");
        assert_eq!(state.unused, 12);
    }

    #[test]
    fn ctr_whole_blocks_leave_the_kept_block_alone() {
        let mut state = CtrState::new([0xff; 16]);
        state.keystream = [9; 16];
        let mut data = [0; 32];
        driver().ctr(&bytes(KEY), &mut state, &mut data).unwrap();
        assert_eq!(state.keystream, [9; 16]);
        assert_eq!(state.unused, 0);
        // The counter has wrapped around.
        assert_eq!(u128::from_be_bytes(state.counter), 1);
        let mut zero = [0; 16];
        driver().ecb(Direction::Encrypt, &bytes(KEY), &mut zero).unwrap();
        assert_eq!(data[16..], zero);
    }

    #[test]
    fn ctr_with_a_whole_unused_block() {
        let mut state = CtrState { counter: [1; 16], keystream: [0xaa; 16], unused: 16 };
        let mut data = [0; 16];
        driver().ctr(&bytes(KEY), &mut state, &mut data).unwrap();
        assert_eq!(data, [0xaa; 16]);
        assert_eq!((state.counter, state.unused), ([1; 16], 0));
    }

    #[test]
    fn ctr_rejects_more_than_a_block_unused() {
        let mut state = CtrState { counter: [1; 16], keystream: [2; 16], unused: 17 };
        let before = state.clone();
        let mut data = [5; 40];
        assert_eq!(driver().ctr(&bytes(KEY), &mut state, &mut data), Err(Error::State));
        assert_eq!((&state, data), (&before, [5; 40]));
    }

    #[test]
    fn wrong_lengths() {
        let driver = driver();
        for length in [0, 1, 15, 17, 23, 25, 31, 33, 64] {
            let key = std::vec![0; length];
            assert_eq!(driver.ecb(Direction::Encrypt, &key, &mut [0; 16]), Err(Error::KeyLength));
            assert_eq!(driver.ecb(Direction::Decrypt, &key, &mut [0; 16]), Err(Error::KeyLength));
            assert_eq!(driver.cbc(Direction::Encrypt, &key, &mut [0; 16], &mut []), Err(Error::KeyLength));
            assert_eq!(driver.ctr(&key, &mut CtrState::default(), &mut []), Err(Error::KeyLength));
        }
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let mut data = [7; 17];
            assert_eq!(driver.ecb(direction, &[0; 16], &mut data), Err(Error::DataLength));
            assert_eq!(driver.cbc(direction, &[0; 16], &mut [0; 16], &mut data), Err(Error::DataLength));
            assert_eq!(data, [7; 17]);
            assert_eq!(driver.ecb(direction, &[0; 16], &mut []), Ok(()));
        }
    }
}
