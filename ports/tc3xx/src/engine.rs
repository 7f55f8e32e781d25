//! The AES-128 engine.
//!
//! It turns one block at a time; [`Aes128Driver`](casemate_device::Aes128Driver) has the modes around it. What it has not
//! (longer keys, hashes, curves) is declined, and the software serves. Public training material says that the module of a
//! TC3xx also has a hash engine and one for elliptic curves; their registers are not known, so they are declined too.

use crate::registers::{DECRYPT, ENCRYPT, Register, Registers, settled};
use casemate_crypto::{AES_BLOCK, Direction, Error};
use casemate_device::Aes128Engine;

type Block = [u8; AES_BLOCK];

const KEY: [Register; 4] = [Register::AesKey0, Register::AesKey1, Register::AesKey2, Register::AesKey3];
const DATA: [Register; 4] = [Register::AesData0, Register::AesData1, Register::AesData2, Register::AesData3];

/// The module's AES-128 engine.
#[derive(Debug, Clone, Copy)]
pub struct Engine<R>(R);

impl<R: Registers> Engine<R> {
    /// The engine behind `registers`.
    pub const fn new(registers: R) -> Self {
        Self(registers)
    }

    fn put(&self, to: [Register; 4], block: &Block) {
        let (words, _) = block.as_chunks::<4>();
        for (register, word) in to.into_iter().zip(words) {
            self.0.write(register, u32::from_le_bytes(*word));
        }
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
        if !settled(&self.0, Register::AesStatus) {
            return Err(Error::Hardware);
        }
        let (words, _) = block.as_chunks_mut::<4>();
        for (register, word) in DATA.into_iter().zip(words) {
            *word = self.0.read(register).to_le_bytes();
        }
        Ok(())
    }

    fn forget(&self) {
        self.put(KEY, &[0; AES_BLOCK]);
        self.put(DATA, &[0; AES_BLOCK]);
    }
}
