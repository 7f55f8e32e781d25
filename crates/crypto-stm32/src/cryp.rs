//! The AES processor of the larger chips, CRYP.

use crate::modes::{self, AesProcessor, Block, Mode};
use crate::registers::cryp::{
    ALL, BUSY, BYTES, CONTROL, DECRYPT, ENABLE, FLUSH, INPUT, INPUT_EMPTY, INPUT_ROOM, KEY, KEY_192, KEY_256,
    MODE_CBC, MODE_CTR, MODE_ECB, MODE_PREPARE, OUTPUT, OUTPUT_THERE, STATUS, VECTOR,
};
use crate::registers::{Registers, Turn, load, wait};
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
        load(registers, &KEY, key);
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
            load(self.registers, &VECTOR, vector);
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
    use super::*;
    use crate::model::CrypModel;
    use crate::modes::tests::{self, SOFTWARE};
    use casemate_crypto::{Cipher, Prefer};

    #[test]
    fn known_answers() {
        tests::known_answers(&Cryp::new(&CrypModel::default()));
    }

    #[test]
    fn every_mode_agrees_with_the_software() {
        for size in [16, 24, 32] {
            tests::blocks_agree_with_the_software(&Cryp::new(&CrypModel::default()), size);
        }
    }

    #[test]
    fn counters_agree_with_the_software() {
        let model = CrypModel::default();
        tests::counters_agree_with_the_software(&Prefer::new(Cryp::new(&model), SOFTWARE));
        assert!(model.turned.get() > 1000, "the model was used");
    }

    #[cfg(feature = "gcm")]
    #[test]
    fn gcm_agrees_with_the_software() {
        let model = CrypModel::default();
        let driver = Cryp::new(&model);
        tests::gcm_agrees_with_the_software(&driver);
        assert!(model.is_blank());
        model.off.set(true);
        let answer =
            casemate_crypto::Aead::gcm_seal(&driver, &[0; 16], &[0; 12], &[], &mut [0; 5], &mut [0; 16]);
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
        tests::declines_what_is_not_for_it(&driver);
        assert_eq!(model.turned.get(), 0);
        model.off.set(true);
        tests::declines_without_a_clock(&driver);
        model.off.set(false);
        tests::declines_while_somebody_else_is_in_a_call(&driver);
    }
}
