//! The modes of AES around an engine for single blocks.

use casemate_crypto::{
    AES_BLOCK, Aead, Cipher, CmacState, CtrState, Curve25519, Direction, EllipticCurve, Error, Hash, Mac,
    MlDsa, MlKem, Random, Rsa,
};
use zeroize::Zeroize;

type Block = [u8; AES_BLOCK];

/// An engine that turns one block of AES-128 at a time.
///
/// The driver loads a key before each operation and lets it be forgotten after it.
pub trait Aes128Engine {
    /// Loads a key for encryption and decryption.
    ///
    /// # Errors
    /// [`Error::Hardware`] if the engine reports a fault.
    fn load(&self, key: &[u8; 16]) -> Result<(), Error>;

    /// Encrypts or decrypts a block with the key loaded last.
    ///
    /// # Errors
    /// [`Error::Hardware`] if the engine reports a fault or does not finish.
    fn turn(&self, direction: Direction, block: &mut [u8; 16]) -> Result<(), Error>;

    /// Wipes key and data in the engine.
    fn forget(&self);
}

impl<T: Aes128Engine + ?Sized> Aes128Engine for &T {
    fn load(&self, key: &[u8; 16]) -> Result<(), Error> {
        (**self).load(key)
    }

    fn turn(&self, direction: Direction, block: &mut [u8; 16]) -> Result<(), Error> {
        (**self).turn(direction, block)
    }

    fn forget(&self) {
        (**self).forget();
    }
}

/// An engine as a cryptographic driver: ECB, CBC, CTR and CMAC with keys of 128 bits. Everything else it declines, and
/// [`Prefer`](casemate_crypto::Prefer) asks the software.
#[derive(Debug, Clone, Copy)]
pub struct Aes128Driver<E>(E);

impl<E: Aes128Engine> Aes128Driver<E> {
    /// The driver over `engine`.
    pub const fn new(engine: E) -> Self {
        Self(engine)
    }

    /// The engine.
    pub const fn engine(&self) -> &E {
        &self.0
    }

    fn load(&self, key: &[u8]) -> Result<Loaded<'_, E>, Error> {
        // Keys of other lengths are the software's; that they have a length of AES at all is checked there.
        let key: &Block = key.try_into().map_err(|_| Error::Unsupported)?;
        let loaded = Loaded(&self.0);
        self.0.load(key)?;
        Ok(loaded)
    }
}

/// The engine with a key in it.
struct Loaded<'a, E: Aes128Engine>(&'a E);

impl<E: Aes128Engine> Loaded<'_, E> {
    fn encrypt(&self, block: &mut Block) -> Result<(), Error> {
        self.0.turn(Direction::Encrypt, block)
    }
}

impl<E: Aes128Engine> Drop for Loaded<'_, E> {
    fn drop(&mut self) {
        self.0.forget();
    }
}

fn xor(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to ^= from);
}

fn whole_blocks(data: &mut [u8]) -> Result<&mut [Block], Error> {
    match data.as_chunks_mut() {
        (blocks, []) => Ok(blocks),
        _ => Err(Error::DataLength),
    }
}

impl<E: Aes128Engine> Cipher for Aes128Driver<E> {
    fn ecb(&self, direction: Direction, key: &[u8], data: &mut [u8]) -> Result<(), Error> {
        let engine = self.load(key)?;
        whole_blocks(data)?.iter_mut().try_for_each(|block| engine.0.turn(direction, block))
    }

    fn cbc(&self, direction: Direction, key: &[u8], iv: &mut Block, data: &mut [u8]) -> Result<(), Error> {
        let engine = self.load(key)?;
        for block in whole_blocks(data)? {
            let before = *block;
            match direction {
                Direction::Encrypt => {
                    xor(block, iv);
                    engine.encrypt(block)?;
                    *iv = *block;
                }
                Direction::Decrypt => {
                    engine.0.turn(Direction::Decrypt, block)?;
                    xor(block, iv);
                    *iv = before;
                }
            }
        }
        Ok(())
    }

    fn ctr(&self, key: &[u8], state: &mut CtrState, data: &mut [u8]) -> Result<(), Error> {
        let engine = self.load(key)?;
        let start = AES_BLOCK.checked_sub(state.unused).ok_or(Error::State)?;
        let (begun, data) = data.split_at_mut(state.unused.min(data.len()));
        xor(begun, state.keystream.get(start..).ok_or(Error::State)?);
        state.unused = state.unused.saturating_sub(begun.len());
        for part in data.chunks_mut(AES_BLOCK) {
            let mut keystream = state.counter;
            engine.encrypt(&mut keystream)?;
            state.counter = u128::from_be_bytes(state.counter).wrapping_add(1).to_be_bytes();
            xor(part, &keystream);
            state.unused = AES_BLOCK.saturating_sub(part.len());
            state.keystream = keystream;
            keystream.zeroize();
        }
        Ok(())
    }
}

/// Multiplies by x in GF(2^128) (NIST SP 800-38B, §6.1), without a branch on the value.
fn double(block: &mut Block) {
    let value = u128::from_be_bytes(*block);
    let carry = (value >> 127).wrapping_neg() & 0x87;
    *block = ((value << 1) ^ carry).to_be_bytes();
}

impl<E: Aes128Engine> Mac for Aes128Driver<E> {
    fn cmac_update(&self, key: &[u8], state: &mut CmacState, data: &[u8]) -> Result<(), Error> {
        let engine = self.load(key)?;
        if state.pending_length > AES_BLOCK {
            return Err(Error::State);
        }
        let mut rest = data;
        while !rest.is_empty() {
            // A full block waits until it is known not to be the last one.
            if state.pending_length == AES_BLOCK {
                xor(&mut state.chain, &state.pending);
                engine.encrypt(&mut state.chain)?;
                state.pending = [0; AES_BLOCK];
                state.pending_length = 0;
                state.absorbed = state.absorbed.wrapping_add(16);
            }
            let space = state.pending.get_mut(state.pending_length..).unwrap_or_default();
            let (part, left) = rest.split_at(space.len().min(rest.len()));
            space.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            space.get_mut(part.len()..).unwrap_or_default().fill(0);
            state.pending_length = state.pending_length.saturating_add(part.len());
            rest = left;
        }
        Ok(())
    }

    fn cmac_finish(&self, key: &[u8], state: &CmacState, output: &mut [u8]) -> Result<(), Error> {
        let engine = self.load(key)?;
        let last = state.pending.get(..state.pending_length).ok_or(Error::State)?;
        if output.is_empty() || output.len() > AES_BLOCK {
            return Err(Error::TagLength);
        }
        let mut subkey = [0; AES_BLOCK];
        engine.encrypt(&mut subkey)?;
        double(&mut subkey);
        let mut block = state.chain;
        xor(&mut block, last);
        if let Some(padding) = block.get_mut(last.len()) {
            *padding ^= 0x80;
            double(&mut subkey);
        }
        xor(&mut block, &subkey);
        subkey.zeroize();
        let answer = engine.encrypt(&mut block);
        if answer.is_ok() {
            output.iter_mut().zip(block).for_each(|(to, from)| *to = from);
        }
        block.zeroize();
        answer
    }
}

impl<E> Random for Aes128Driver<E> {}
impl<E> Hash for Aes128Driver<E> {}
impl<E> Aead for Aes128Driver<E> {}
impl<E> EllipticCurve for Aes128Driver<E> {}
impl<E> Curve25519 for Aes128Driver<E> {}
impl<E> Rsa for Aes128Driver<E> {}
impl<E> MlDsa for Aes128Driver<E> {}
impl<E> MlKem for Aes128Driver<E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use ::aes::Aes128;
    use ::aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
    use casemate_crypto::{NoRandom, Software, cmac};
    use core::cell::{Cell, RefCell};
    use std::vec::Vec;

    /// An engine made of a library, which counts what it is told.
    #[derive(Default)]
    struct Engine {
        cipher: RefCell<Option<Aes128>>,
        blocks: Cell<u32>,
        fails_at: Cell<Option<u32>>,
    }

    impl Aes128Engine for Engine {
        fn load(&self, key: &[u8; 16]) -> Result<(), Error> {
            self.cipher.replace(Some(Aes128::new(key.into())));
            Ok(())
        }

        fn turn(&self, direction: Direction, block: &mut [u8; 16]) -> Result<(), Error> {
            if self.fails_at.get() == Some(self.blocks.get()) {
                return Err(Error::Hardware);
            }
            self.blocks.set(self.blocks.get() + 1);
            let cipher = self.cipher.borrow();
            let cipher = cipher.as_ref().expect("a key is loaded");
            match direction {
                Direction::Encrypt => cipher.encrypt_block(block.into()),
                Direction::Decrypt => cipher.decrypt_block(block.into()),
            }
            Ok(())
        }

        fn forget(&self) {
            self.cipher.replace(None);
        }
    }

    fn data(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 + 3) as u8).collect()
    }

    const KEY: [u8; 16] = *b"sixteen byte key";

    #[test]
    fn every_mode_as_the_software_does_it() {
        let engine = Aes128Driver::new(Engine::default());
        let software = Software::new(NoRandom);
        for length in 0..70 {
            let mut one = data(length);
            let mut other = one.clone();
            let answers = (
                engine.ecb(Direction::Encrypt, &KEY, &mut one),
                software.ecb(Direction::Encrypt, &KEY, &mut other),
            );
            assert_eq!(answers.0, answers.1, "{length}");
            assert_eq!(one, other, "{length}");
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let (mut iv, mut other_iv) = ([9; 16], [9; 16]);
                assert_eq!(
                    engine.cbc(direction, &KEY, &mut iv, &mut one),
                    software.cbc(direction, &KEY, &mut other_iv, &mut other)
                );
                assert_eq!((&one, iv), (&other, other_iv), "{length}");
            }
            let mut tags = [[0; 16]; 2];
            cmac(&engine, &KEY, &[&one], &mut tags[0]).unwrap();
            cmac(&software, &KEY, &[&one], &mut tags[1]).unwrap();
            assert_eq!(tags[0], tags[1], "{length}");
        }
        // CTR and CMAC in pieces, the counter wrapping.
        let (mut state, mut other_state) = (CtrState::new([0xFF; 16]), CtrState::new([0xFF; 16]));
        let (mut mac, mut other_mac) = (CmacState::default(), CmacState::default());
        for length in [1, 15, 16, 17, 0, 40, 3, 64, 5] {
            let mut one = data(length);
            let mut other = one.clone();
            engine.ctr(&KEY, &mut state, &mut one).unwrap();
            software.ctr(&KEY, &mut other_state, &mut other).unwrap();
            assert_eq!(one, other);
            assert_eq!((state.counter, state.unused), (other_state.counter, other_state.unused));
            engine.cmac_update(&KEY, &mut mac, &one).unwrap();
            software.cmac_update(&KEY, &mut other_mac, &one).unwrap();
            assert_eq!(mac, other_mac);
        }
        assert!(engine.engine().cipher.borrow().is_none(), "the key was forgotten");
    }

    #[test]
    fn what_it_lacks_it_declines_untouched() {
        let engine = Aes128Driver::new(Engine::default());
        let mut block = [5; 16];
        for key in [&[0; 24][..], &[0; 32], &[]] {
            assert_eq!(engine.ecb(Direction::Encrypt, key, &mut block), Err(Error::Unsupported));
            assert_eq!(engine.ctr(key, &mut CtrState::new([0; 16]), &mut block), Err(Error::Unsupported));
            assert_eq!(engine.cmac_update(key, &mut CmacState::default(), &block), Err(Error::Unsupported));
        }
        assert_eq!(engine.gcm_seal(&KEY, &[0; 12], &[], &mut block, &mut [0; 16]), Err(Error::Unsupported));
        assert_eq!(block, [5; 16]);
        assert_eq!(engine.engine().blocks.get(), 0);
    }

    #[test]
    fn impossible_arguments() {
        let engine = Aes128Driver::new(Engine::default());
        let state = CtrState { unused: 17, ..CtrState::new([0; 16]) };
        assert_eq!(engine.ctr(&KEY, &mut state.clone(), &mut [0; 4]), Err(Error::State));
        let mac = CmacState { pending_length: 17, ..CmacState::default() };
        assert_eq!(engine.cmac_update(&KEY, &mut mac.clone(), b"x"), Err(Error::State));
        assert_eq!(engine.cmac_finish(&KEY, &mac, &mut [0; 16]), Err(Error::State));
        assert_eq!(engine.cmac_finish(&KEY, &CmacState::default(), &mut []), Err(Error::TagLength));
        assert_eq!(engine.cmac_finish(&KEY, &CmacState::default(), &mut [0; 17]), Err(Error::TagLength));
    }

    #[test]
    fn a_fault_is_reported_and_the_key_forgotten() {
        let engine = Aes128Driver::new(Engine::default());
        engine.engine().fails_at.set(Some(1));
        assert_eq!(engine.ecb(Direction::Encrypt, &KEY, &mut [0; 48]), Err(Error::Hardware));
        assert!(engine.engine().cipher.borrow().is_none());
    }
}
