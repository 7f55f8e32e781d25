//! The hashes of a driver, one block at a time, for the stateful signature schemes.
//!
//! LMS and XMSS are schemes over hashes alone, and whoever keeps a key must store its state. So they are no family of the
//! driver interface: `casemate-hash-signatures` does them over any driver's [`Hash::compress`], hardware included.

use crate::hash::{Chain, Hash, HashAlgorithm, HashState};
use casemate_hash_signatures::{Engine, Error, LeafMemory};

/// The block functions of a driver. What is hashed stays in it until it is dropped, and is wiped then.
pub struct BlockEngine<'d, D: Hash + ?Sized> {
    driver: &'d D,
    leaves: Option<&'d dyn LeafMemory>,
    sha256: HashState,
    sha512: HashState,
    shake128: HashState,
    shake256: HashState,
}

impl<'d, D: Hash + ?Sized> BlockEngine<'d, D> {
    /// An engine over `driver`.
    pub const fn new(driver: &'d D) -> Self {
        Self {
            driver,
            leaves: None,
            sha256: HashState::new(HashAlgorithm::Sha256),
            sha512: HashState::new(HashAlgorithm::Sha512),
            shake128: HashState::new(HashAlgorithm::Shake128),
            shake256: HashState::new(HashAlgorithm::Shake256),
        }
    }

    /// The same, with leaves kept in `leaves`, if there is a memory for them.
    #[must_use]
    pub fn with_leaves(mut self, leaves: Option<&'d dyn LeafMemory>) -> Self {
        self.leaves = leaves;
        self
    }
}

impl<D: Hash + ?Sized> Engine for BlockEngine<'_, D> {
    fn sha256(&mut self, words: &mut [u32; 8], block: &[u8; 64]) -> Result<(), Error> {
        if let Chain::Words32 { words: state, length } = self.sha256.chain_mut() {
            (*state, *length) = (*words, 0);
        }
        self.driver.compress(&mut self.sha256, block).map_err(|_| Error::Engine)?;
        let Chain::Words32 { words: state, .. } = self.sha256.chain() else { return Err(Error::Engine) };
        *words = *state;
        Ok(())
    }

    fn sha512(&mut self, words: &mut [u64; 8], block: &[u8; 128]) -> Result<(), Error> {
        if let Chain::Words64 { words: state, length } = self.sha512.chain_mut() {
            (*state, *length) = (*words, 0);
        }
        self.driver.compress(&mut self.sha512, block).map_err(|_| Error::Engine)?;
        let Chain::Words64 { words: state, .. } = self.sha512.chain() else { return Err(Error::Engine) };
        *words = *state;
        Ok(())
    }

    fn shake(&mut self, lanes: &mut [u64; 25], block: &[u8]) -> Result<(), Error> {
        let sponge = if block.len() == HashAlgorithm::Shake128.block_size() {
            &mut self.shake128
        } else {
            &mut self.shake256
        };
        if let Chain::Lanes(state) = sponge.chain_mut() {
            *state = *lanes;
        }
        self.driver.compress(sponge, block).map_err(|_| Error::Engine)?;
        let Chain::Lanes(state) = sponge.chain() else { return Err(Error::Engine) };
        *lanes = *state;
        Ok(())
    }

    fn leaves(&self) -> Option<&dyn LeafMemory> {
        self.leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::driver;
    use casemate_hash_signatures::Software;

    #[test]
    fn equals_the_libraries() {
        let driver = driver();
        let mut engine = BlockEngine::new(&driver);
        let block: [u8; 168] = core::array::from_fn(|i| i as u8);
        for start in 0..3_u32 {
            let words = core::array::from_fn(|i| start + i as u32);
            let (mut left, mut right) = (words, words);
            engine.sha256(&mut left, block.first_chunk().unwrap()).unwrap();
            Software.sha256(&mut right, block.first_chunk().unwrap()).unwrap();
            assert_eq!(left, right);
            let words = core::array::from_fn(|i| u64::from(start) + i as u64);
            let (mut left, mut right) = (words, words);
            engine.sha512(&mut left, block.first_chunk().unwrap()).unwrap();
            Software.sha512(&mut right, block.first_chunk().unwrap()).unwrap();
            assert_eq!(left, right);
            for rate in [136, 168] {
                let lanes = core::array::from_fn(|i| u64::from(start) * i as u64);
                let (mut left, mut right) = (lanes, lanes);
                engine.shake(&mut left, &block[..rate]).unwrap();
                Software.shake(&mut right, &block[..rate]).unwrap();
                assert_eq!(left, right);
            }
        }
        assert_eq!(engine.shake(&mut [0; 25], &block[..100]), Err(Error::Engine));
    }
}
