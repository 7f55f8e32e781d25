//! The module's AES-128 engine.

use crate::registers::{BUSY, DECRYPT, ENCRYPT, FAULT, PATIENCE, Register, Registers};
use casemate_crypto::{Direction, Error};
use casemate_device::Aes128Engine;

const KEY: [Register; 4] = [Register::AesKey0, Register::AesKey1, Register::AesKey2, Register::AesKey3];
const DATA: [Register; 4] = [Register::AesData0, Register::AesData1, Register::AesData2, Register::AesData3];

/// The AES-128 engine behind the registers; [`Aes128Driver`](casemate_device::Aes128Driver) makes a driver of it.
#[derive(Debug, Clone, Copy)]
pub struct Engine<R>(R);

impl<R: Registers> Engine<R> {
    /// The engine behind `registers`.
    pub const fn new(registers: R) -> Self {
        Self(registers)
    }

    fn put(&self, to: [Register; 4], block: &[u8; 16]) {
        let (words, _) = block.as_chunks::<4>();
        for (register, word) in to.into_iter().zip(words) {
            self.0.write(register, u32::from_be_bytes(*word));
        }
    }

    /// Waits until the engine is done; false if it does not come to that, or with a fault.
    fn is_good(&self) -> bool {
        (0..PATIENCE)
            .map(|_| self.0.read(Register::AesStatus))
            .find(|status| status & (BUSY | FAULT) != BUSY)
            .is_some_and(|status| status & FAULT == 0)
    }
}

impl<R: Registers> Aes128Engine for Engine<R> {
    fn load(&self, key: &[u8; 16]) -> Result<(), Error> {
        self.put(KEY, key);
        Ok(())
    }

    fn turn(&self, direction: Direction, block: &mut [u8; 16]) -> Result<(), Error> {
        self.put(DATA, block);
        let command = if direction == Direction::Encrypt { ENCRYPT } else { DECRYPT };
        self.0.write(Register::AesControl, command);
        if !self.is_good() {
            return Err(Error::Hardware);
        }
        let (words, _) = block.as_chunks_mut::<4>();
        for (register, word) in DATA.into_iter().zip(words) {
            *word = self.0.read(register).to_be_bytes();
        }
        Ok(())
    }

    fn forget(&self) {
        self.put(KEY, &[0; 16]);
        self.put(DATA, &[0; 16]);
    }
}
