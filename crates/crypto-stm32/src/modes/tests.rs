//! What every AES processor has to do, on its model.

extern crate std;

use super::{AesProcessor, Mode};
#[cfg(feature = "gcm")]
use casemate_crypto::Aead;
use casemate_crypto::{Cipher, CtrState, Direction, Error, NoRandom, Software};
use std::vec;
use std::vec::Vec;

pub(crate) const SOFTWARE: Software<NoRandom> = Software::new(NoRandom);

fn message(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
}

/// NIST SP 800-38A, F.1.1, F.1.2, F.2.1, F.2.6, F.5.1.
pub(crate) fn known_answers(driver: &impl AesProcessor) {
    let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
    let plain = hex::decode("6bc1bee22e409f96e93d7e117393172a").unwrap();
    let mut data = plain.clone();
    driver.ecb(Direction::Encrypt, &key, &mut data).unwrap();
    assert_eq!(hex::encode(&data), "3ad77bb40d7a3660a89ecaf32466ef97");
    driver.ecb(Direction::Decrypt, &key, &mut data).unwrap();
    assert_eq!(data, plain);

    let mut iv = core::array::from_fn(|index| u8::try_from(index).unwrap());
    driver.cbc(Direction::Encrypt, &key, &mut iv, &mut data).unwrap();
    assert_eq!(hex::encode(&data), "7649abac8119b246cee98e9b12e9197d");
    assert_eq!(hex::encode(iv), "7649abac8119b246cee98e9b12e9197d");

    let mut state = CtrState::new(core::array::from_fn(|index| 0xf0 + u8::try_from(index).unwrap()));
    let mut data = plain.clone();
    driver.ctr(&key, &mut state, &mut data).unwrap();
    assert_eq!(hex::encode(&data), "874d6191b620e3261bef6864990db6ce");

    let long = hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").unwrap();
    let mut iv = core::array::from_fn(|index| u8::try_from(index).unwrap());
    let mut data = hex::decode("f58c4c04d6e5f1ba779eabfb5f7bfbd6").unwrap();
    let answer = driver.cbc(Direction::Decrypt, &long, &mut iv, &mut data);
    if driver.key_sizes().contains(&32) {
        answer.unwrap();
        assert_eq!(data, plain);
    } else {
        assert_eq!(answer, Err(Error::Unsupported));
    }
}

pub(crate) fn blocks_agree_with_the_software(driver: &impl Cipher, key_size: usize) {
    let key = message(key_size);
    for direction in [Direction::Encrypt, Direction::Decrypt] {
        for count in [1, 2, 3, 17] {
            let (mut ours, mut theirs) = (message(count * 16), message(count * 16));
            driver.ecb(direction, &key, &mut ours).unwrap();
            SOFTWARE.ecb(direction, &key, &mut theirs).unwrap();
            assert_eq!(ours, theirs);
            let (mut our_iv, mut their_iv) = ([9; 16], [9; 16]);
            for _ in 0..2 {
                driver.cbc(direction, &key, &mut our_iv, &mut ours).unwrap();
                SOFTWARE.cbc(direction, &key, &mut their_iv, &mut theirs).unwrap();
                assert_eq!((&ours, our_iv), (&theirs, their_iv));
            }
        }
    }
}

/// Streams cut anywhere, and counters that overflow 32, 64 and 128 bits. `driver` has the software behind it.
pub(crate) fn counters_agree_with_the_software(driver: &impl Cipher) {
    let mut near = [0; 16];
    near[11] = 7;
    near[12..].fill(0xff);
    for counter in [[0; 16], [0xff; 16], near] {
        for cut in 0..70 {
            let (mut ours, mut theirs) = (message(100), message(100));
            let (mut our_state, mut their_state) = (CtrState::new(counter), CtrState::new(counter));
            for range in [0..cut, cut..cut + 1, cut + 1..100] {
                driver.ctr(&[3; 16], &mut our_state, &mut ours[range.clone()]).unwrap();
                SOFTWARE.ctr(&[3; 16], &mut their_state, &mut theirs[range]).unwrap();
                assert_eq!(our_state.counter, their_state.counter);
                assert_eq!(our_state.unused, their_state.unused);
            }
            assert_eq!(ours, theirs, "cut at {cut}");
        }
    }
}

/// Both ways, with lengths around a block, nonces of every kind, and tags that do not match.
#[cfg(feature = "gcm")]
pub(crate) fn gcm_agrees_with_the_software(driver: &impl AesProcessor) {
    for size in driver.key_sizes() {
        let (key, aad) = (message(*size), message(21));
        for iv in [message(12), message(1), message(60)] {
            for length in [0, 1, 15, 16, 17, 100] {
                let (mut ours, mut theirs) = (message(length), message(length));
                let (mut our_tag, mut their_tag) = ([0; 16], [0; 16]);
                driver.gcm_seal(&key, &iv, &aad, &mut ours, &mut our_tag).unwrap();
                SOFTWARE.gcm_seal(&key, &iv, &aad, &mut theirs, &mut their_tag).unwrap();
                assert_eq!((&ours, our_tag), (&theirs, their_tag));
                our_tag[3] ^= 1;
                let answer = driver.gcm_open(&key, &iv, &aad, &mut ours, &our_tag);
                assert_eq!((answer, &ours), (Err(Error::Authentication), &theirs));
                driver.gcm_open(&key, &iv, &aad, &mut ours, &their_tag).unwrap();
                assert_eq!(ours, message(length));
            }
        }
    }
}

/// Data that are no blocks, keys of other lengths, a state that contradicts itself: none of it may reach the processor.
pub(crate) fn declines_what_is_not_for_it(driver: &impl AesProcessor) {
    let unsupported = Err(Error::Unsupported);
    for length in [0, 1, 15, 17, 31] {
        let mut data = vec![7; length];
        assert_eq!(driver.ecb(Direction::Encrypt, &[0; 16], &mut data), unsupported);
        assert_eq!(driver.cbc(Direction::Encrypt, &[0; 16], &mut [0; 16], &mut data), unsupported);
        assert!(data.iter().all(|byte| *byte == 7));
    }
    for size in [0, 15, 17, 24, 31, 32, 33] {
        if !driver.key_sizes().contains(&size) {
            assert_eq!(driver.ecb(Direction::Encrypt, &vec![0; size], &mut [0; 16]), unsupported);
        }
    }
    let mut state = CtrState::new([0; 16]);
    state.unused = 17;
    assert_eq!(driver.ctr(&[0; 16], &mut state, &mut [0; 40]), unsupported);
}

/// Without a clock every register reads as zero.
pub(crate) fn declines_without_a_clock(driver: &impl AesProcessor) {
    let mut data = [7; 16];
    assert_eq!(driver.ecb(Direction::Encrypt, &[0; 16], &mut data), Err(Error::Unsupported));
    assert_eq!(data, [7; 16]);
}

pub(crate) fn declines_while_somebody_else_is_in_a_call(driver: &impl AesProcessor) {
    let mut data = [7; 16];
    let session = driver.start(Mode::Ecb, Direction::Encrypt, &[0; 16], None).unwrap();
    assert_eq!(driver.ecb(Direction::Encrypt, &[0; 16], &mut data), Err(Error::Unsupported));
    drop(session);
    driver.ecb(Direction::Encrypt, &[0; 16], &mut data).unwrap();
}
