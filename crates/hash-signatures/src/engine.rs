//! The hash functions underneath: the seam where a hardware engine can take part.

use crate::Error;

/// Leaves of trees that were computed before. A leaf takes hundreds to thousands of hashes, and a signature several leaves,
/// so a host that has the memory keeps them.
///
/// Leaves are public: signatures show them. A tree is named by a digest of its secret seed, which says nothing of the seed.
pub trait LeafMemory {
    /// Writes the leaf with this number to `leaf`, which has the size of a node, at most 64 bytes, if it is there; whether
    /// it is.
    fn recall(&self, tree: &[u8; 32], index: u32, leaf: &mut [u8]) -> bool;

    /// Keeps a leaf, or does not: there is no promise.
    fn keep(&self, tree: &[u8; 32], index: u32, leaf: &[u8]);
}

/// The compression functions of SHA-256, SHA-512 and SHAKE.
///
/// An implementation offers those that its parameter sets need and answers [`Error::Engine`] for the rest.
pub trait Engine {
    /// Compresses one block into the eight words of SHA-256 (FIPS 180-4, §6.2.2).
    ///
    /// # Errors
    /// [`Error::Engine`].
    fn sha256(&mut self, words: &mut [u32; 8], block: &[u8; 64]) -> Result<(), Error>;

    /// Compresses one block into the eight words of SHA-512 (FIPS 180-4, §6.4.2).
    ///
    /// # Errors
    /// [`Error::Engine`].
    fn sha512(&mut self, words: &mut [u64; 8], block: &[u8; 128]) -> Result<(), Error> {
        let _ = (words, block);
        Err(Error::Engine)
    }

    /// Adds one block to the 25 lanes of SHAKE and permutes them (FIPS 202, §4). The block has the length of the rate:
    /// 168 bytes for SHAKE128, 136 for SHAKE256.
    ///
    /// # Errors
    /// [`Error::Engine`].
    fn shake(&mut self, lanes: &mut [u64; 25], block: &[u8]) -> Result<(), Error> {
        let _ = (lanes, block);
        Err(Error::Engine)
    }

    /// Where leaves are kept between signatures, if anywhere.
    fn leaves(&self) -> Option<&dyn LeafMemory> {
        None
    }
}

impl<E: Engine + ?Sized> Engine for &mut E {
    fn sha256(&mut self, words: &mut [u32; 8], block: &[u8; 64]) -> Result<(), Error> {
        (**self).sha256(words, block)
    }

    fn sha512(&mut self, words: &mut [u64; 8], block: &[u8; 128]) -> Result<(), Error> {
        (**self).sha512(words, block)
    }

    fn shake(&mut self, lanes: &mut [u64; 25], block: &[u8]) -> Result<(), Error> {
        (**self).shake(lanes, block)
    }

    fn leaves(&self) -> Option<&dyn LeafMemory> {
        (**self).leaves()
    }
}

/// The hash functions of the libraries `sha2` and `keccak`, which use the processor's instructions where it has them.
#[cfg(feature = "software")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Software;

#[cfg(feature = "software")]
impl Engine for Software {
    #[inline]
    fn sha256(&mut self, words: &mut [u32; 8], block: &[u8; 64]) -> Result<(), Error> {
        sha2::block_api::compress256(words, core::slice::from_ref(block));
        Ok(())
    }

    #[inline]
    fn sha512(&mut self, words: &mut [u64; 8], block: &[u8; 128]) -> Result<(), Error> {
        sha2::block_api::compress512(words, core::slice::from_ref(block));
        Ok(())
    }

    fn shake(&mut self, lanes: &mut [u64; 25], block: &[u8]) -> Result<(), Error> {
        let (words, []) = block.as_chunks() else { return Err(Error::Engine) };
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane ^= u64::from_le_bytes(*word);
        }
        keccak::Keccak::new().with_f1600(|f| f(lanes));
        Ok(())
    }
}
