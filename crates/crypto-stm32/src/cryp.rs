//! The AES processor of the larger chips, CRYP.

use crate::modes::{self, AesProcessor, Block, Mode};
use crate::registers::cryp::{
    ALL, BUSY, BYTES, CONTROL, DECRYPT, ENABLE, FLUSH, INPUT, INPUT_EMPTY, INPUT_ROOM, KEY, KEY_192, KEY_256,
    MODE_CBC, MODE_CTR, MODE_ECB, MODE_PREPARE, OUTPUT, OUTPUT_THERE, STATUS, VECTOR,
};
use crate::registers::{Registers, Turn, wait};
use casemate_crypto::{Direction, Error};
use core::sync::atomic::AtomicBool;

/// The AES processor as a driver: ECB, CBC, CTR, and with the feature `gcm` GCM, whose GHASH is the software's.
#[derive(Debug)]
pub struct Cryp<R> {
    registers: R,
    busy: AtomicBool,
}

impl<R: Registers> Cryp<R> {
    /// The driver of the processor behind `registers`, whose clock is on, or is switched on by [`Registers::enable`].
    pub const fn new(registers: R) -> Self {
        Self { registers, busy: AtomicBool::new(false) }
    }
}

impl<R: Registers> AesProcessor for Cryp<R> {
    type Session<'a>
        = Session<'a, R>
    where
        R: 'a;

    fn key_sizes(&self) -> &'static [usize] {
        &[16, 24, 32]
    }

    fn start(
        &self,
        mode: Mode,
        direction: Direction,
        key: &[u8],
        vector: Option<&Block>,
    ) -> Result<Session<'_, R>, Error> {
        let size = match key.len() {
            16 => 0,
            24 => KEY_192,
            32 => KEY_256,
            _ => return Err(Error::Unsupported),
        };
        let mode = match mode {
            Mode::Ecb => MODE_ECB,
            Mode::Cbc => MODE_CBC,
            Mode::Ctr => MODE_CTR,
        };
        let turn = Turn::take(&self.busy)?;
        let registers = &self.registers;
        registers.enable();
        registers.write(CONTROL, 0);
        registers.write(CONTROL, FLUSH);
        if registers.read(STATUS) & ALL != INPUT_EMPTY | INPUT_ROOM {
            return Err(Error::Unsupported);
        }
        let control = match direction {
            Direction::Encrypt => mode | size | BYTES,
            Direction::Decrypt => mode | size | BYTES | DECRYPT,
        };
        let session = Session { registers, control, _turn: turn };
        registers.write(CONTROL, control);
        let (words, _) = key.as_chunks::<4>();
        for (register, word) in KEY.iter().rev().zip(words.iter().rev()) {
            registers.write(*register, u32::from_be_bytes(*word));
        }
        if direction == Direction::Decrypt {
            registers.write(CONTROL, MODE_PREPARE | size | BYTES);
            registers.write(CONTROL, MODE_PREPARE | size | BYTES | ENABLE);
            wait(registers, STATUS, BUSY, 0)?;
        }
        modes::Session::begin(&session, vector);
        Ok(session)
    }
}

/// The processor with a key in it.
#[derive(Debug)]
pub struct Session<'a, R: Registers> {
    registers: &'a R,
    control: u32,
    // Dropped after the key has been overwritten.
    _turn: Turn<'a>,
}

impl<R: Registers> modes::Session for Session<'_, R> {
    fn begin(&self, vector: Option<&Block>) {
        self.registers.write(CONTROL, self.control);
        if let Some(vector) = vector {
            let (words, _) = vector.as_chunks::<4>();
            for (register, word) in VECTOR.iter().zip(words) {
                self.registers.write(*register, u32::from_be_bytes(*word));
            }
        }
        self.registers.write(CONTROL, self.control | FLUSH);
        self.registers.write(CONTROL, self.control | ENABLE);
    }

    fn turn(&self, block: &mut Block) -> Result<(), Error> {
        let (words, _) = block.as_chunks_mut::<4>();
        for word in words.iter() {
            wait(self.registers, STATUS, INPUT_ROOM, INPUT_ROOM)?;
            self.registers.write(INPUT, u32::from_le_bytes(*word));
        }
        for word in words {
            wait(self.registers, STATUS, OUTPUT_THERE, OUTPUT_THERE)?;
            *word = self.registers.read(OUTPUT).to_le_bytes();
        }
        Ok(())
    }
}

impl<R: Registers> Drop for Session<'_, R> {
    fn drop(&mut self) {
        // Keys can be written while the processor is off and not busy; a broken one may stay busy, which is tried anyway.
        self.registers.write(CONTROL, self.control);
        for register in KEY.iter().chain(&VECTOR) {
            self.registers.write(*register, 0);
        }
        self.registers.write(CONTROL, FLUSH);
    }
}

modes::driver!(Cryp);

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::model::CrypModel;
    #[cfg(feature = "gcm")]
    use casemate_crypto::Aead;
    use casemate_crypto::{Cipher, CtrState, NoRandom, Software};
    use std::vec;
    use std::vec::Vec;

    const SOFTWARE: Software<NoRandom> = Software::new(NoRandom);

    fn message(length: usize) -> Vec<u8> {
        (0..length).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
    }

    /// NIST SP 800-38A, F.1.1, F.1.2, F.2.1, F.2.6, F.5.1.
    #[test]
    fn known_answers() {
        let model = CrypModel::default();
        let driver = Cryp::new(&model);
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

        let long = hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").unwrap();
        let mut iv = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let mut data = hex::decode("f58c4c04d6e5f1ba779eabfb5f7bfbd6").unwrap();
        driver.cbc(Direction::Decrypt, &long, &mut iv, &mut data).unwrap();
        assert_eq!(data, plain);

        let mut state = CtrState::new(core::array::from_fn(|index| 0xf0 + u8::try_from(index).unwrap()));
        driver.ctr(&key, &mut state, &mut data).unwrap();
        assert_eq!(hex::encode(&data), "874d6191b620e3261bef6864990db6ce");
    }

    #[test]
    fn every_mode_agrees_with_the_software() {
        let model = CrypModel::default();
        let driver = Cryp::new(&model);
        for size in [16, 24, 32] {
            let key = message(size);
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
    }

    /// Streams cut anywhere, and counters that overflow 32, 64 and 128 bits.
    #[test]
    fn counters_agree_with_the_software() {
        let model = CrypModel::default();
        let driver = casemate_crypto::Prefer::new(Cryp::new(&model), SOFTWARE);
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
        assert!(model.turned.get() > 1000, "the model was used");
    }

    /// Both ways, with lengths around a block, nonces of every kind, and tags that do not match.
    #[cfg(feature = "gcm")]
    #[test]
    fn gcm_agrees_with_the_software() {
        let model = CrypModel::default();
        let driver = Cryp::new(&model);
        for size in [16, 24, 32] {
            let (key, aad) = (message(size), message(21));
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
        assert!(model.is_blank());
        model.off.set(true);
        let answer = driver.gcm_seal(&[0; 16], &[0; 12], &[], &mut [0; 5], &mut [0; 16]);
        assert_eq!(answer, Err(Error::Unsupported));
    }

    #[test]
    fn nothing_of_a_key_stays() {
        let model = CrypModel::default();
        let driver = Cryp::new(&model);
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            driver.cbc(direction, &[0x55; 32], &mut [0x66; 16], &mut [0x77; 32]).unwrap();
            assert!(model.is_blank());
        }
        // Also after a fault in the middle.
        for after in 0..8 {
            model.stop_after.set(Some(after));
            assert_eq!(driver.ecb(Direction::Encrypt, &[0x55; 32], &mut [0x77; 32]), Err(Error::Hardware));
            assert!(model.is_blank());
            model.stop_after.set(None);
        }
        driver.ecb(Direction::Encrypt, &[0x55; 32], &mut [0x77; 32]).unwrap();
    }

    #[test]
    fn declines_before_it_touches_anything() {
        let model = CrypModel::default();
        let driver = Cryp::new(&model);
        let unsupported = Err(Error::Unsupported);
        for length in [0, 1, 15, 17, 31] {
            let mut data = vec![7; length];
            assert_eq!(driver.ecb(Direction::Encrypt, &[0; 16], &mut data), unsupported);
            assert_eq!(driver.cbc(Direction::Encrypt, &[0; 16], &mut [0; 16], &mut data), unsupported);
            assert!(data.iter().all(|byte| *byte == 7));
        }
        assert_eq!(driver.ecb(Direction::Encrypt, &[0; 17], &mut [0; 16]), unsupported);
        let mut state = CtrState::new([0; 16]);
        state.unused = 17;
        assert_eq!(driver.ctr(&[0; 16], &mut state, &mut [0; 40]), unsupported);
        assert_eq!(model.turned.get(), 0);

        // Without a clock every register reads as zero.
        model.off.set(true);
        let mut data = [7; 16];
        assert_eq!(driver.ecb(Direction::Encrypt, &[0; 16], &mut data), unsupported);
        assert_eq!(data, [7; 16]);
        model.off.set(false);

        // While somebody else is in a call.
        let session = driver.start(Mode::Ecb, Direction::Encrypt, &[0; 16], None).unwrap();
        assert_eq!(driver.ecb(Direction::Encrypt, &[0; 16], &mut data), unsupported);
        drop(session);
        driver.ecb(Direction::Encrypt, &[0; 16], &mut data).unwrap();
    }
}
