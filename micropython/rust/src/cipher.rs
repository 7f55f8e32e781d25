//! The AES objects of `wolfcryptolib`: a state of bytes for ECB, CBC and CTR, and authenticated encryption at once.
//!
//! Layout of a state: mode, key length, direction, unused keystream bytes, four bytes unused; the key (32), the chaining
//! value or counter (16), the keystream block (16).

use crate::{DRIVER, Error};
use casemate_crypto::{AES_BLOCK, Cipher, CtrState, Direction};
use zeroize::Zeroize;

/// Size of a state in bytes.
pub const STATE_SIZE: usize = 72;

/// Each block on its own.
pub const MODE_ECB: u8 = 1;
/// Blocks chained.
pub const MODE_CBC: u8 = 2;
/// A keystream from a 128-bit counter.
pub const MODE_CTR: u8 = 6;

const HEAD: usize = 8;
const KEY: usize = 32;

/// Starts an object in `state`, which has [`STATE_SIZE`] bytes. Keys have 16 or 32 bytes, as MicroPython's own
/// module has it. `iv` is ignored for ECB.
///
/// # Errors
/// [`Error::Unsupported`] for another mode, [`Error::Key`], [`Error::Iv`]; [`Error::Internal`] if `state` is too small.
pub fn start(state: &mut [u8], mode: u8, key: &[u8], iv: Option<&[u8]>) -> Result<(), Error> {
    state.zeroize();
    let length = match key.len() {
        16 => 16,
        32 => 32,
        _ => return Err(Error::Key),
    };
    let iv = match (mode, iv) {
        (MODE_ECB, _) => [0; AES_BLOCK],
        (MODE_CBC | MODE_CTR, Some(iv)) => iv.try_into().map_err(|_| Error::Iv)?,
        (MODE_CBC | MODE_CTR, None) => return Err(Error::Iv),
        _ => return Err(Error::Unsupported),
    };
    let parts = Parts::new(state)?;
    *parts.head = [mode, length, 0, 0, 0, 0, 0, 0];
    parts.key.iter_mut().zip(key).for_each(|(target, byte)| *target = *byte);
    *parts.iv = iv;
    Ok(())
}

struct Parts<'a> {
    head: &'a mut [u8; HEAD],
    key: &'a mut [u8; KEY],
    iv: &'a mut [u8; AES_BLOCK],
    keystream: &'a mut [u8; AES_BLOCK],
}

impl<'a> Parts<'a> {
    fn new(state: &'a mut [u8]) -> Result<Self, Error> {
        let (head, rest) = state.split_first_chunk_mut::<HEAD>().ok_or(Error::Internal)?;
        let (key, rest) = rest.split_first_chunk_mut::<KEY>().ok_or(Error::Internal)?;
        let (iv, rest) = rest.split_first_chunk_mut::<AES_BLOCK>().ok_or(Error::Internal)?;
        let (keystream, _) = rest.split_first_chunk_mut::<AES_BLOCK>().ok_or(Error::Internal)?;
        Ok(Self { head, key, iv, keystream })
    }
}

/// Fixes the direction of an object: the first call decides.
///
/// # Errors
/// [`Error::Direction`] if it was used in the other one; [`Error::Internal`] if `state` is none.
pub fn set_direction(state: &mut [u8], direction: Direction) -> Result<(), Error> {
    let number = match direction {
        Direction::Encrypt => 1,
        Direction::Decrypt => 2,
    };
    let [_, _, fixed, ..] = Parts::new(state)?.head;
    if *fixed != 0 && *fixed != number {
        return Err(Error::Direction);
    }
    *fixed = number;
    Ok(())
}

/// Encrypts or decrypts `data` in place, in the direction that [`set_direction`] fixed.
///
/// # Errors
/// [`Error::Length`] for ECB and CBC if `data` is no multiple of 16 bytes; [`Error::Internal`] if `state` is none or has no
/// direction.
pub fn run(state: &mut [u8], data: &mut [u8]) -> Result<(), Error> {
    run_by(&DRIVER, state, data)
}

/// [`run`] with a driver of the caller's choice.
pub(crate) fn run_by<D: Cipher>(driver: &D, state: &mut [u8], data: &mut [u8]) -> Result<(), Error> {
    let Parts { head, key, iv, keystream } = Parts::new(state)?;
    let [mode, length, direction, unused, ..] = head;
    let key = key.get(..usize::from(*length)).ok_or(Error::Internal)?;
    let direction = match direction {
        1 => Direction::Encrypt,
        2 => Direction::Decrypt,
        _ => return Err(Error::Internal),
    };
    match *mode {
        MODE_ECB => driver.ecb(direction, key, data)?,
        MODE_CBC => driver.cbc(direction, key, iv, data)?,
        MODE_CTR => {
            let mut state = CtrState { counter: *iv, keystream: *keystream, unused: usize::from(*unused) };
            driver.ctr(key, &mut state, data)?;
            *iv = state.counter;
            *keystream = state.keystream;
            *unused = u8::try_from(state.unused).map_err(|_| Error::Internal)?;
        }
        _ => return Err(Error::Internal),
    }
    Ok(())
}

/// An authenticated mode.
#[cfg(feature = "aead")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AeadMode {
    /// GCM (NIST SP 800-38D).
    Gcm,
    /// CCM (NIST SP 800-38C).
    Ccm,
}

/// Encrypts `data` in place and writes the tag.
///
/// # Errors
/// [`Error::Key`], [`Error::Iv`], [`Error::Tag`], [`Error::Length`] by the limits of the mode.
#[cfg(feature = "aead")]
pub fn seal(
    mode: AeadMode,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    data: &mut [u8],
    tag: &mut [u8],
) -> Result<(), Error> {
    use casemate_crypto::Aead;
    match mode {
        AeadMode::Gcm => DRIVER.gcm_seal(key, nonce, aad, data, tag)?,
        AeadMode::Ccm => DRIVER.ccm_seal(key, nonce, aad, data, tag)?,
    }
    Ok(())
}

/// Verifies the tag and decrypts `data` in place. After an error `data` is wiped.
///
/// # Errors
/// [`Error::Authentication`], and those of [`seal`].
#[cfg(feature = "aead")]
pub fn open(
    mode: AeadMode,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    data: &mut [u8],
    tag: &[u8],
) -> Result<(), Error> {
    use casemate_crypto::Aead;
    let result = match mode {
        AeadMode::Gcm => DRIVER.gcm_open(key, nonce, aad, data, tag),
        AeadMode::Ccm => DRIVER.ccm_open(key, nonce, aad, data, tag),
    };
    if result.is_err() {
        data.zeroize();
    }
    Ok(result?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST SP 800-38A, F.2.1 and F.5.1: AES-128, in one piece and in two.
    #[test]
    fn known_answers() {
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        let plain = hex::decode("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51").unwrap();
        let chain = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
        let counter = hex::decode("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").unwrap();
        for (mode, iv, expected) in [
            (MODE_ECB, None, "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"),
            (
                MODE_CBC,
                Some(chain.as_slice()),
                "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
            ),
            (MODE_CTR, Some(&counter), "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"),
        ] {
            for split in [0, 16, 32] {
                let mut state = [0; STATE_SIZE];
                start(&mut state, mode, &key, iv).unwrap();
                set_direction(&mut state, Direction::Encrypt).unwrap();
                let mut data = plain.clone();
                let (first, second) = data.split_at_mut(split);
                run(&mut state, first).unwrap();
                run(&mut state, second).unwrap();
                assert_eq!(hex::encode(&data), expected);
                assert_eq!(set_direction(&mut state, Direction::Decrypt), Err(Error::Direction));

                let mut state = [0; STATE_SIZE];
                start(&mut state, mode, &key, iv).unwrap();
                set_direction(&mut state, Direction::Decrypt).unwrap();
                run(&mut state, &mut data).unwrap();
                assert_eq!(data, plain);
            }
        }
    }

    #[test]
    fn a_counter_stream_may_be_cut_anywhere() {
        let stream = |cuts: &[usize]| {
            let mut state = [0; STATE_SIZE];
            start(&mut state, MODE_CTR, &[7; 32], Some(&[0xff; 16])).unwrap();
            set_direction(&mut state, Direction::Encrypt).unwrap();
            let mut data = [0; 100];
            let mut rest = data.as_mut_slice();
            for cut in cuts {
                let (now, later) = rest.split_at_mut(*cut);
                run(&mut state, now).unwrap();
                rest = later;
            }
            run(&mut state, rest).unwrap();
            data
        };
        let whole = stream(&[]);
        for cut in 0..=100 {
            assert_eq!(stream(&[cut]), whole);
            assert_eq!(stream(&[cut / 3, 1, cut / 2]), whole);
        }
    }

    #[test]
    fn wrong_arguments() {
        let mut state = [0; STATE_SIZE];
        for length in [0, 1, 15, 17, 24, 31, 33] {
            assert_eq!(start(&mut state, MODE_ECB, &vec![0; length], None), Err(Error::Key));
        }
        assert_eq!(start(&mut state, MODE_CBC, &[0; 16], None), Err(Error::Iv));
        assert_eq!(start(&mut state, MODE_CTR, &[0; 16], Some(&[0; 15])), Err(Error::Iv));
        assert_eq!(start(&mut state, 3, &[0; 16], None), Err(Error::Unsupported));
        assert_eq!(start(&mut state[..71], MODE_ECB, &[0; 16], None), Err(Error::Internal));
        start(&mut state, MODE_ECB, &[0; 16], None).unwrap();
        assert_eq!(run(&mut state, &mut [0; 16]), Err(Error::Internal), "no direction yet");
        set_direction(&mut state, Direction::Encrypt).unwrap();
        assert_eq!(run(&mut state, &mut [0; 15]), Err(Error::Length));
        state[1] = 200;
        assert_eq!(run(&mut state, &mut [0; 16]), Err(Error::Internal));
    }

    /// A changed byte anywhere is noticed, and no plaintext remains.
    #[cfg(feature = "aead")]
    #[test]
    fn authenticated_modes() {
        for mode in [AeadMode::Gcm, AeadMode::Ccm] {
            let (mut data, mut tag) = (*b"attack at dawn", [0; 16]);
            seal(mode, &[1; 24], &[2; 12], b"header", &mut data, &mut tag).unwrap();
            for index in 0..30 {
                let (mut changed, mut changed_tag) = (data, tag);
                changed.iter_mut().chain(&mut changed_tag).nth(index).map(|byte| *byte ^= 4).unwrap();
                let result = open(mode, &[1; 24], &[2; 12], b"header", &mut changed, &changed_tag);
                assert_eq!(result, Err(Error::Authentication));
                assert_eq!(changed, [0; 14]);
            }
            open(mode, &[1; 24], &[2; 12], b"header", &mut data, &tag).unwrap();
            assert_eq!(&data, b"attack at dawn");
            assert_eq!(seal(mode, &[1; 24], &[], b"", &mut [], &mut tag), Err(Error::Iv));
            assert_eq!(seal(mode, &[1; 23], &[2; 12], b"", &mut [], &mut tag), Err(Error::Key));
            assert_eq!(seal(mode, &[1; 24], &[2; 12], b"", &mut [], &mut tag[..3]), Err(Error::Tag));
        }
    }
}
