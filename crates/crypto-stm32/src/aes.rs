//! The AES processor of the smaller and the newer chips, AES.

use crate::modes::{self, AesProcessor, Block, Mode};
use crate::registers::aes::{
    BYTES, CHAIN_CBC, CHAIN_CTR, CLEAR, CLEAR_ALL, CLEAR_FLAGS, CONTROL, DECRYPT, DONE, ENABLE, INPUT, KEY,
    KEY_256, KEY_VALID, OUTPUT, PREPARE, READ_ERROR, RESET, STATUS, VECTOR, WRITE_ERROR,
};
use crate::registers::{Registers, Turn, load, wait};
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
        load(registers, &KEY, key);
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
            load(self.registers, &VECTOR, vector);
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
    use crate::modes::tests::{self, SOFTWARE};
    use casemate_crypto::{Cipher, Prefer};
    use std::vec;

    const GENERATIONS: [AesGeneration; 3] =
        [AesGeneration::First, AesGeneration::Second, AesGeneration::Third];

    #[test]
    fn known_answers() {
        for generation in GENERATIONS {
            tests::known_answers(&Aes::new(&AesModel::new(generation), generation));
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
                tests::blocks_agree_with_the_software(&driver, size);
                let there = Aes::new(&model, generation).key_sizes().contains(&size);
                assert_eq!(model.turned.get() > before, there, "{generation:?}, {size} bytes");
            }
            assert!(model.is_blank());
        }
    }

    #[test]
    fn counters_agree_with_the_software() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            tests::counters_agree_with_the_software(&Prefer::new(Aes::new(&model, generation), SOFTWARE));
            assert!(model.turned.get() > 1000, "the model was used");
        }
    }

    #[cfg(feature = "gcm")]
    #[test]
    fn gcm_agrees_with_the_software() {
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            tests::gcm_agrees_with_the_software(&Aes::new(&model, generation));
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
            tests::declines_what_is_not_for_it(&driver);
            assert_eq!((model.turned.get(), model.enabled.get()), (0, 0));
            model.off.set(true);
            tests::declines_without_a_clock(&driver);
            model.off.set(false);
            tests::declines_while_somebody_else_is_in_a_call(&driver);
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
