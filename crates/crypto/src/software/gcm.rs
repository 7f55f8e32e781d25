//! AES-GCM (NIST SP 800-38D) over `ghash`.

use super::aes::{Encryptor, NarrowCounter, xor};
use super::verify;
use crate::secret::Secret;
use crate::{AES_BLOCK, Cipher, CtrState, Direction, Error};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;

/// Number of bits in `length` bytes, as GHASH counts.
fn bits(length: usize) -> Result<u64, Error> {
    u64::try_from(length).ok().and_then(|length| length.checked_mul(8)).ok_or(Error::DataLength)
}

fn check(iv: &[u8], data_length: usize, tag_length: usize) -> Result<(), Error> {
    if iv.is_empty() {
        return Err(Error::IvLength);
    }
    if !(4..=AES_BLOCK).contains(&tag_length) {
        return Err(Error::TagLength);
    }
    // 2^39 - 256 bits, so that the counter does not come back to J0.
    if u64::try_from(data_length).map_or(true, |length| length > 0xf_ffff_ffe0) {
        return Err(Error::DataLength);
    }
    Ok(())
}

/// Adds to `sum` GHASH of both strings, each padded with zeros, and their lengths (§7.1, steps 4 and 5, and with the IV as
/// the second string step 2).
///
/// Not inlined: what it needs of the stack is given back before a block is encrypted.
#[inline(never)]
fn hash(hash_key: &[u8; AES_BLOCK], aad: &[u8], data: &[u8], sum: &mut [u8; AES_BLOCK]) -> Result<(), Error> {
    let lengths = (u128::from(bits(aad.len())?) << 64) | u128::from(bits(data.len())?);
    let mut hash = GHash::new(&(*hash_key).into());
    for part in [aad, data, &lengths.to_be_bytes()] {
        if cfg!(aes_backend_soft = "compact") {
            // The path for several blocks at once is another copy of the loop, and gains nothing without wide instructions.
            part.chunks(AES_BLOCK).for_each(|block| hash.update_padded(block));
        } else {
            hash.update_padded(part);
        }
    }
    xor(sum, &hash.finalize());
    Ok(())
}

/// The AES that a message is computed with, under its key.
pub(super) trait Aes {
    /// Encrypts blocks in place, each on its own.
    fn encrypt(&self, blocks: &mut [[u8; AES_BLOCK]]) -> Result<(), Error>;

    /// GCTR (§6.5) from the counter block after `initial`.
    fn count(&self, initial: &[u8; AES_BLOCK], data: &mut [u8]) -> Result<(), Error>;
}

impl Aes for Encryptor {
    fn encrypt(&self, blocks: &mut [[u8; AES_BLOCK]]) -> Result<(), Error> {
        self.blocks(blocks);
        Ok(())
    }

    fn count(&self, initial: &[u8; AES_BLOCK], data: &mut [u8]) -> Result<(), Error> {
        self.counter_mode(&mut NarrowCounter::after(*initial), data, None);
        Ok(())
    }
}

/// What is done with a message.
pub(super) enum Task<'a> {
    Seal(&'a mut [u8]),
    /// Nothing is decrypted unless this is the tag.
    Open(&'a [u8]),
}

/// Encrypts or decrypts one message (§7); the names follow the standard.
pub(super) fn gcm(
    aes: &impl Aes,
    iv: &[u8],
    aad: &[u8],
    data: &mut [u8],
    task: Task<'_>,
) -> Result<(), Error> {
    let tag_length = match &task {
        Task::Seal(tag) => tag.len(),
        Task::Open(tag) => tag.len(),
    };
    let mut initial = match <[u8; 12]>::try_from(iv) {
        Ok([a, b, c, d, e, f, g, h, i, j, k, l]) => [a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 1],
        Err(_) => [0; AES_BLOCK],
    };
    // The hash key E(0), and E(J0), which hides the hash in the tag.
    let mut secrets = Secret::<{ 2 * AES_BLOCK }>::zero();
    let blocks = secrets.as_chunks_mut::<AES_BLOCK>().0;
    if let [_, mask] = blocks {
        *mask = initial;
    }
    aes.encrypt(blocks)?;
    let [hash_key, mask] = blocks else { return Err(Error::State) };
    check(iv, data.len(), tag_length)?;
    if iv.len() != 12 {
        hash(hash_key, &[], iv, &mut initial)?;
        *mask = initial;
        aes.encrypt(core::slice::from_mut(mask))?;
    }
    if let Task::Seal(_) = task {
        aes.count(&initial, data)?;
    }
    hash(hash_key, aad, data, mask)?;
    match task {
        Task::Seal(tag) => {
            tag.iter_mut().zip(mask).for_each(|(target, byte)| *target = *byte);
            Ok(())
        }
        Task::Open(tag) => {
            verify(mask, tag)?;
            aes.count(&initial, data)
        }
    }
}

/// The AES of a driver.
struct OfDriver<'a, D: ?Sized> {
    driver: &'a D,
    key: &'a [u8],
}

impl<D: Cipher + ?Sized> Aes for OfDriver<'_, D> {
    fn encrypt(&self, blocks: &mut [[u8; AES_BLOCK]]) -> Result<(), Error> {
        self.driver.ecb(Direction::Encrypt, self.key, blocks.as_flattened_mut())
    }

    /// What the driver declines before the first byte is declined.
    fn count(&self, initial: &[u8; AES_BLOCK], mut data: &mut [u8]) -> Result<(), Error> {
        let mut begun = false;
        let [high @ .., a, b, c, d] = *initial;
        let mut low = u32::from_be_bytes([a, b, c, d]).wrapping_add(1);
        while !data.is_empty() {
            // GCM counts in the lowest 32 bits, a driver in all: they differ at the overflow.
            let blocks = u64::from(u32::MAX.wrapping_sub(low)).saturating_add(1);
            let bytes = usize::try_from(blocks.saturating_mul(16)).unwrap_or(usize::MAX);
            let (now, later) = data.split_at_mut(bytes.min(data.len()));
            let mut state = CtrState::new(*initial);
            let (prefix, suffix) = state.counter.split_at_mut(high.len());
            prefix.copy_from_slice(&high);
            suffix.copy_from_slice(&low.to_be_bytes());
            match self.driver.ctr(self.key, &mut state, now) {
                Err(Error::Unsupported) if begun => return Err(Error::Hardware),
                answer => answer?,
            }
            (begun, low, data) = (true, 0, later);
        }
        Ok(())
    }
}

/// AES-GCM over any [`Cipher`], with the portable GHASH: a building block for drivers with a fast AES and no GCM of their own.
///
/// # Errors
/// As for [`Aead::gcm_seal`](crate::Aead::gcm_seal); [`Error::Unsupported`], with nothing changed, if `driver` declines.
pub fn gcm_seal_from_cipher<D: Cipher + ?Sized>(
    driver: &D,
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    data: &mut [u8],
    tag: &mut [u8],
) -> Result<(), Error> {
    gcm(&OfDriver { driver, key }, iv, aad, data, Task::Seal(tag))
}

/// Verifies and decrypts what [`gcm_seal_from_cipher`] made. After [`Error::Authentication`] `data` is as before.
///
/// # Errors
/// As for [`gcm_seal_from_cipher`]; [`Error::Authentication`].
pub fn gcm_open_from_cipher<D: Cipher + ?Sized>(
    driver: &D,
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    data: &mut [u8],
    tag: &[u8],
) -> Result<(), Error> {
    gcm(&OfDriver { driver, key }, iv, aad, data, Task::Open(tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Aead;
    use crate::software::tests::driver;
    use std::vec::Vec;

    /// Over the software's own AES, the same as the software's GCM.
    #[test]
    fn from_cipher_agrees() {
        let software = driver();
        let text: Vec<u8> = (0..150).collect();
        for size in [16, 24, 32] {
            for iv in [&text[..12], &text[..1], &text[3..50]] {
                for length in [0, 1, 16, 17, 64, 150] {
                    let (mut ours, mut theirs) = (text[..length].to_vec(), text[..length].to_vec());
                    let (mut our_tag, mut their_tag) = ([0; 13], [0; 13]);
                    let (key, aad) = (&text[..size], &text[..length / 2]);
                    gcm_seal_from_cipher(&software, key, iv, aad, &mut ours, &mut our_tag).unwrap();
                    software.gcm_seal(key, iv, aad, &mut theirs, &mut their_tag).unwrap();
                    assert_eq!((&ours, our_tag), (&theirs, their_tag));
                    our_tag[12] ^= 1;
                    let answer = gcm_open_from_cipher(&software, key, iv, aad, &mut ours, &our_tag);
                    assert_eq!((answer, &ours), (Err(Error::Authentication), &theirs));
                    gcm_open_from_cipher(&software, key, iv, aad, &mut ours, &their_tag).unwrap();
                    assert_eq!(ours, text[..length]);
                }
            }
        }
        let seal = |key: &[u8], iv: &[u8], tag: &mut [u8]| {
            gcm_seal_from_cipher(&software, key, iv, &[], &mut [0; 5], tag)
        };
        assert_eq!(seal(&text[..17], &text[..12], &mut [0; 16]), Err(Error::KeyLength));
        assert_eq!(seal(&text[..16], &[], &mut [0; 16]), Err(Error::IvLength));
        assert_eq!(seal(&text[..16], &text[..12], &mut [0; 3]), Err(Error::TagLength));
    }

    /// Nonces that are not 12 bytes long give any counter, also one that overflows 32 bits soon.
    #[test]
    fn the_counter_overflows_as_in_the_software() {
        let software = driver();
        let key = [9; 16];
        let mut counter = [0x11; AES_BLOCK];
        counter[12..].copy_from_slice(&(u32::MAX - 1).to_be_bytes());
        let mut ours = [0; 70];
        OfDriver { driver: &software, key: &key }.count(&counter, &mut ours).unwrap();
        for (block, low) in ours.chunks(AES_BLOCK).zip([u32::MAX, 0, 1, 2, 3]) {
            counter[12..].copy_from_slice(&low.to_be_bytes());
            let mut keystream = counter;
            software.ecb(Direction::Encrypt, &key, &mut keystream).unwrap();
            assert_eq!(block, &keystream[..block.len()]);
        }
    }
}
