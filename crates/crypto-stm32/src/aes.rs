//! The AES processor of the smaller and the newer chips, AES.

use crate::modes::{self, AesProcessor, Block, Mode};
use crate::registers::aes::{
    BYTES, CHAIN_CBC, CHAIN_CTR, CLEAR, CLEAR_ALL, CLEAR_FLAGS, CONTROL, DECRYPT, DONE, ENABLE, INPUT, KEY,
    KEY_256, KEY_VALID, OUTPUT, PREPARE, READ_ERROR, RESET, STATUS, VECTOR, WRITE_ERROR,
};
use crate::registers::{Registers, Turn, wait};
use casemate_crypto::{Direction, Error};
use core::sync::atomic::AtomicBool;

/// Which registers a chip's AES processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AesGeneration {
    /// Keys of 128 bits only: STM32 L0, L1.
    First,
    /// Keys of 128 and 256 bits: STM32 F423, F730, F732, F733, G0, G4, L4, L4+, L5, WB (its AES1), WL.
    Second,
    /// The same keys, which have to be written in order; flags are cleared by a register of their own: STM32 H5, U5.
    Third,
}

/// The AES processor as a driver: ECB, CBC, CTR, and with the feature `gcm` GCM, whose GHASH is the software's. Keys of 192 bits it
/// does not know.
#[derive(Debug)]
pub struct Aes<R> {
    registers: R,
    generation: AesGeneration,
    busy: AtomicBool,
}

impl<R: Registers> Aes<R> {
    /// The driver of the processor behind `registers`, whose clock is on, or is switched on by [`Registers::enable`].
    pub const fn new(registers: R, generation: AesGeneration) -> Self {
        Self { registers, generation, busy: AtomicBool::new(false) }
    }
}

impl<R: Registers> AesProcessor for Aes<R> {
    type Session<'a>
        = Session<'a, R>
    where
        R: 'a;

    fn key_sizes(&self) -> &'static [usize] {
        match self.generation {
            AesGeneration::First => &[16],
            AesGeneration::Second | AesGeneration::Third => &[16, 32],
        }
    }

    fn start(
        &self,
        mode: Mode,
        direction: Direction,
        key: &[u8],
        vector: Option<&Block>,
    ) -> Result<Session<'_, R>, Error> {
        if !self.key_sizes().contains(&key.len()) {
            return Err(Error::Unsupported);
        }
        let size = if key.len() == 32 { KEY_256 } else { 0 };
        let chain = match mode {
            Mode::Ecb => 0,
            Mode::Cbc => CHAIN_CBC,
            Mode::Ctr => CHAIN_CTR,
        };
        let decrypts = direction == Direction::Decrypt;
        let common = BYTES | chain | size;
        let control = if decrypts { common | DECRYPT } else { common };
        let turn = Turn::take(&self.busy)?;
        let registers = &self.registers;
        registers.enable();
        if self.generation == AesGeneration::Third {
            registers.write(CONTROL, RESET);
        }
        registers.write(CONTROL, 0);
        registers.write(CONTROL, common);
        // What is always the same does not tell whether the clock is on.
        if registers.read(CONTROL) != common {
            return Err(Error::Unsupported);
        }
        let session = Session { registers, generation: self.generation, control, _turn: turn };
        session.clear_flags(common);
        if decrypts {
            registers.write(CONTROL, common | PREPARE);
        }
        let (words, _) = key.as_chunks::<4>();
        for (register, word) in KEY.iter().skip(KEY.len().saturating_sub(words.len())).zip(words) {
            registers.write(*register, u32::from_be_bytes(*word));
        }
        if self.generation == AesGeneration::Third {
            wait(registers, STATUS, KEY_VALID, KEY_VALID)?;
        }
        if decrypts {
            // The processor switches itself off when the key is there.
            registers.write(CONTROL, common | PREPARE | ENABLE);
            session.wait()?;
            session.clear_flags(common | PREPARE);
        }
        modes::Session::begin(&session, vector);
        Ok(session)
    }
}

/// The processor with a key in it.
#[derive(Debug)]
pub struct Session<'a, R: Registers> {
    registers: &'a R,
    generation: AesGeneration,
    control: u32,
    // Dropped after the key has been overwritten.
    _turn: Turn<'a>,
}

impl<R: Registers> Session<'_, R> {
    /// Clears the flags; `control` is what the control register has to keep.
    fn clear_flags(&self, control: u32) {
        match self.generation {
            AesGeneration::First | AesGeneration::Second => {
                self.registers.write(CONTROL, control | CLEAR_FLAGS);
            }
            AesGeneration::Third => self.registers.write(CLEAR, CLEAR_ALL),
        }
    }

    /// Waits until the processor is through with what it was given.
    fn wait(&self) -> Result<(), Error> {
        // An error stays, so that it is seen here.
        wait(self.registers, STATUS, DONE | READ_ERROR | WRITE_ERROR, DONE)
    }
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
        self.registers.write(CONTROL, self.control | ENABLE);
    }

    fn turn(&self, block: &mut Block) -> Result<(), Error> {
        let (words, _) = block.as_chunks_mut::<4>();
        for word in words.iter() {
            self.registers.write(INPUT, u32::from_le_bytes(*word));
        }
        self.wait()?;
        // The output stays until it has been read.
        self.clear_flags(self.control | ENABLE);
        for word in words {
            *word = self.registers.read(OUTPUT).to_le_bytes();
        }
        Ok(())
    }
}

impl<R: Registers> Drop for Session<'_, R> {
    fn drop(&mut self) {
        // Keys can be written while the processor is off; a broken one may not be, which is tried anyway.
        let (size, missing) = match self.generation {
            AesGeneration::First => (0, 4),
            AesGeneration::Second | AesGeneration::Third => (KEY_256, 0),
        };
        self.registers.write(CONTROL, size);
        for register in KEY.iter().skip(missing).chain(&VECTOR) {
            self.registers.write(*register, 0);
        }
        self.clear_flags(size);
        if self.generation == AesGeneration::Third {
            self.registers.write(CONTROL, RESET);
        }
        self.registers.write(CONTROL, 0);
    }
}

modes::driver!(Aes);

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::Checked;
    use crate::model::AesModel;
    #[cfg(feature = "gcm")]
    use casemate_crypto::Aead;
    use casemate_crypto::{Cipher, CtrState, NoRandom, Prefer, Software};
    use std::vec;
    use std::vec::Vec;

    const SOFTWARE: Software<NoRandom> = Software::new(NoRandom);
    const GENERATIONS: [AesGeneration; 3] =
        [AesGeneration::First, AesGeneration::Second, AesGeneration::Third];

    fn message(length: usize) -> Vec<u8> {
        (0..length).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
    }

    /// NIST SP 800-38A, F.1.1, F.1.2, F.2.1, F.2.6, F.5.1.
    #[test]
    fn known_answers() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            let driver = Aes::new(&model, generation);
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

            let long =
                hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").unwrap();
            let mut iv = core::array::from_fn(|index| u8::try_from(index).unwrap());
            let mut data = hex::decode("f58c4c04d6e5f1ba779eabfb5f7bfbd6").unwrap();
            let answer = driver.cbc(Direction::Decrypt, &long, &mut iv, &mut data);
            if generation == AesGeneration::First {
                assert_eq!(answer, Err(Error::Unsupported));
            } else {
                answer.unwrap();
                assert_eq!(data, plain);
            }
        }
    }

    /// Also with keys of 192 bits, and of 256 on the first generation, which the software gets.
    #[test]
    fn every_mode_agrees_with_the_software() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            let driver = Prefer::new(Checked::aes(Aes::new(&model, generation)), SOFTWARE);
            for size in [16, 24, 32] {
                let before = model.turned.get();
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
                let there = Aes::new(&model, generation).key_sizes().contains(&size);
                assert_eq!(model.turned.get() > before, there, "{generation:?}, {size} bytes");
            }
            assert!(model.is_blank());
        }
    }

    /// Streams cut anywhere, and counters that overflow 32, 64 and 128 bits.
    #[test]
    fn counters_agree_with_the_software() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            let driver = Prefer::new(Aes::new(&model, generation), SOFTWARE);
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
    }

    #[cfg(feature = "gcm")]
    #[test]
    fn gcm_agrees_with_the_software() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            let driver = Aes::new(&model, generation);
            for size in driver.key_sizes() {
                let (key, aad) = (message(*size), message(21));
                for (iv, length) in [(12, 0), (12, 16), (1, 17), (60, 100)] {
                    let iv = message(iv);
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
            assert!(model.is_blank());
        }
    }

    /// A processor that stops in the middle, one that reports an error, and one that never has a key: each is a fault, and no key
    /// stays. Then the next call works.
    #[test]
    fn nothing_of_a_key_stays() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            let driver = Aes::new(&model, generation);
            let size = *driver.key_sizes().last().unwrap();
            let key = vec![0x55; size];
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                for after in 0..8 {
                    model.stop_after.set(Some(after));
                    let answer = driver.cbc(direction, &key, &mut [0x66; 16], &mut [0x77; 32]);
                    assert_eq!(answer, Err(Error::Hardware), "{generation:?}, {direction:?}, {after}");
                    assert!(model.is_blank());
                }
                model.stop_after.set(None);
                model.faulty.set(true);
                assert_eq!(driver.ecb(direction, &key, &mut [0x77; 16]), Err(Error::Hardware));
                assert!(model.is_blank());
                model.faulty.set(false);
                if generation == AesGeneration::Third {
                    model.invalid.set(true);
                    assert_eq!(driver.ecb(direction, &key, &mut [0x77; 16]), Err(Error::Hardware));
                    assert!(model.is_blank());
                    model.invalid.set(false);
                }
                driver.cbc(direction, &key, &mut [0x66; 16], &mut [0x77; 32]).unwrap();
                assert!(model.is_blank());
            }
        }
    }

    #[test]
    fn declines_before_it_touches_anything() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            let driver = Aes::new(&model, generation);
            let unsupported = Err(Error::Unsupported);
            for length in [0, 1, 15, 17, 31] {
                let mut data = vec![7; length];
                assert_eq!(driver.ecb(Direction::Encrypt, &[0; 16], &mut data), unsupported);
                assert_eq!(driver.cbc(Direction::Encrypt, &[0; 16], &mut [0; 16], &mut data), unsupported);
                assert!(data.iter().all(|byte| *byte == 7));
            }
            for size in [0, 15, 17, 24, 31, 33] {
                assert_eq!(driver.ecb(Direction::Encrypt, &vec![0; size], &mut [0; 16]), unsupported);
            }
            assert_eq!((model.turned.get(), model.enabled.get()), (0, 0));

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

    /// Whatever a processor says, even that of another generation: what comes out is what the software computes, or a fault once.
    #[test]
    fn a_processor_that_is_not_as_expected_is_not_used() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            model.wrong.set(true);
            let checked = Checked::aes(Aes::new(&model, generation));
            let mut data = [7; 16];
            assert_eq!(checked.ecb(Direction::Encrypt, &[1; 16], &mut data), Err(Error::Unsupported));
            assert_eq!(data, [7; 16]);
            model.wrong.set(false);
            assert!(!checked.is_usable(), "what was wrong once is not believed later");

            let checked = Checked::aes(Aes::new(&model, generation));
            assert!(checked.is_usable());
            model.stop_after.set(Some(5));
            assert_eq!(checked.ecb(Direction::Encrypt, &[1; 16], &mut [7; 32]), Err(Error::Hardware));
            assert_eq!(checked.ecb(Direction::Encrypt, &[1; 16], &mut [7; 32]), Err(Error::Unsupported));
            // One that never finished anything does not pass its check, either.
            assert!(!Checked::aes(Aes::new(&model, generation)).is_usable());

            // One that says anything at all, as memory does that answers what was written last.
            for value in [0, 1, 2, 4, 0x81, 0x85, u32::MAX] {
                let checked = Checked::aes(Aes::new(Constant(value), generation));
                assert!(!checked.is_usable());
            }
        }
    }

    /// Registers that all read the same, but for the control register, which answers what was written.
    struct Constant(u32);

    std::thread_local!(static CONTROLS: core::cell::Cell<u32> = const { core::cell::Cell::new(0) });

    impl Registers for Constant {
        fn read(&self, register: crate::Register) -> u32 {
            if register == CONTROL { CONTROLS.get() } else { self.0 }
        }

        fn write(&self, register: crate::Register, value: u32) {
            if register == CONTROL {
                CONTROLS.set(value);
            }
        }
    }
}
