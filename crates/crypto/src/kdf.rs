//! Key derivation over any driver. The output is a slice of its own, so it never overlaps an input.

use crate::hash::MAX_DIGEST;
use crate::secret::Secret;
use crate::{AES_BLOCK, Error, HashAlgorithm, Mac, cmac};

/// HKDF-Extract (RFC 5869, §2.2): writes the pseudorandom key, of the digest size. An empty salt stands for as many
/// zeros as the digest has bytes.
///
/// # Errors
/// [`Error::OutputLength`] if `output` does not have the digest size; [`Error::Unsupported`] if the driver does not
/// have HMAC over `algorithm`.
pub fn hkdf_extract<D: Mac + ?Sized>(
    driver: &D,
    algorithm: HashAlgorithm,
    salt: &[u8],
    ikm: &[u8],
    output: &mut [u8],
) -> Result<(), Error> {
    let size = algorithm.digest_size().ok_or(Error::Unsupported)?;
    if output.len() != size {
        return Err(Error::OutputLength);
    }
    // HMAC pads its key with zeros, so an empty salt already is the prescribed string of zeros.
    driver.hmac(algorithm, salt, &[ikm], output)
}

/// HKDF-Expand (RFC 5869, §2.3): fills `output`, 0 to 255 times the digest size, from a pseudorandom key.
///
/// # Errors
/// [`Error::OutputLength`] above that limit; [`Error::Unsupported`] if the driver does not have HMAC over
/// `algorithm`.
pub fn hkdf_expand<D: Mac + ?Sized>(
    driver: &D,
    algorithm: HashAlgorithm,
    key: &[u8],
    info: &[u8],
    output: &mut [u8],
) -> Result<(), Error> {
    let size = algorithm.digest_size().ok_or(Error::Unsupported)?;
    if output.len() > size.saturating_mul(255) {
        return Err(Error::OutputLength);
    }
    let mut block = Secret::<MAX_DIGEST>::zero();
    let block = block.get_mut(..size).ok_or(Error::Unsupported)?;
    let mut previous: &[u8] = &[];
    let mut held = Secret::<MAX_DIGEST>::zero();
    for (counter, chunk) in (1_u8..=255).zip(output.chunks_mut(size)) {
        driver.hmac(algorithm, key, &[previous, info, &[counter]], block)?;
        chunk.copy_from_slice(block.get(..chunk.len()).ok_or(Error::State)?);
        let kept = held.get_mut(..size).ok_or(Error::State)?;
        kept.copy_from_slice(block);
        previous = kept;
    }
    Ok(())
}

/// HKDF (RFC 5869): extract, then expand. `output` has 0 to 255 times the digest size.
///
/// # Errors
/// As for [`hkdf_expand`].
#[inline(never)]
pub fn hkdf<D: Mac + ?Sized>(
    driver: &D,
    algorithm: HashAlgorithm,
    salt: &[u8],
    ikm: &[u8],
    info: &[u8],
    output: &mut [u8],
) -> Result<(), Error> {
    let size = algorithm.digest_size().ok_or(Error::Unsupported)?;
    if output.len() > size.saturating_mul(255) {
        return Err(Error::OutputLength);
    }
    let mut key = Secret::<MAX_DIGEST>::zero();
    let key = key.get_mut(..size).ok_or(Error::Unsupported)?;
    hkdf_extract(driver, algorithm, salt, ikm, key)?;
    hkdf_expand(driver, algorithm, key, info, output)
}

/// Two-step key derivation with AES-CMAC (NIST SP 800-56C; document 04, §8.2).
///
/// The key-derivation key is AES-CMAC(`salt`, `shared_secret`), where `salt` has 16, 24 or 32 bytes. Output block
/// i, counted from 1, is AES-128-CMAC(key-derivation key, i as 32-bit big-endian ‖ `fixed_info`).
///
/// # Errors
/// [`Error::KeyLength`] for another salt length; [`Error::OutputLength`] if more than 2^32 - 1 blocks are asked for.
#[inline(never)]
pub fn cmac_kdf<D: Mac + ?Sized>(
    driver: &D,
    salt: &[u8],
    shared_secret: &[u8],
    fixed_info: &[u8],
    output: &mut [u8],
) -> Result<(), Error> {
    if u32::try_from(output.len().div_ceil(AES_BLOCK)).is_err() {
        return Err(Error::OutputLength);
    }
    let mut key = Secret::<AES_BLOCK>::zero();
    cmac(driver, salt, &[shared_secret], key.as_mut_slice())?;
    for (counter, chunk) in (1_u32..=u32::MAX).zip(output.chunks_mut(AES_BLOCK)) {
        cmac(driver, key.as_slice(), &[&counter.to_be_bytes(), fixed_info], chunk)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::{bytes, driver};

    /// Document 04, §11.
    #[test]
    fn cmac_kdf_captured() {
        let salt = bytes("000102030405060708090a0b0c0d0e0f");
        let secret: std::vec::Vec<u8> = (0x20..0x40).collect();
        let mut output = [0; 40];
        cmac_kdf(&driver(), &salt, &secret, b"fixed-info", &mut output).unwrap();
        assert_eq!(
            hex::encode(output),
            "acd1522e88039a50c4ded2258edb10002e5dbefee63d32cca2830ab2d60167984c077d9e8f305732"
        );
    }

    #[test]
    fn cmac_kdf_salt_selects_the_cipher() {
        let mut outputs = [[0; 16]; 3];
        for (output, length) in outputs.iter_mut().zip([16, 24, 32]) {
            cmac_kdf(&driver(), &std::vec![0; length], b"z", b"", output).unwrap();
        }
        assert!(outputs[0] != outputs[1] && outputs[1] != outputs[2] && outputs[0] != outputs[2]);
        for length in [0, 1, 15, 17, 33] {
            let answer = cmac_kdf(&driver(), &std::vec![0; length], b"z", b"", &mut [0; 16]);
            assert_eq!(answer, Err(Error::KeyLength));
        }
    }

    /// Document 04, §11 (RFC 5869, case 1).
    #[test]
    fn hkdf_captured() {
        let (salt, info) = (bytes("000102030405060708090a0b0c"), bytes("f0f1f2f3f4f5f6f7f8f9"));
        let mut output = [0; 42];
        hkdf(&driver(), HashAlgorithm::Sha256, &salt, &[0x0b; 22], &info, &mut output).unwrap();
        assert_eq!(
            hex::encode(output),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }

    #[test]
    fn hkdf_output_limits() {
        let driver = driver();
        for (algorithm, size) in [(HashAlgorithm::Sha256, 32), (HashAlgorithm::Sha3_512, 64)] {
            let mut output = std::vec![0; 255 * size + 1];
            assert_eq!(hkdf(&driver, algorithm, b"", b"", b"", &mut output), Err(Error::OutputLength));
            assert_eq!(hkdf_expand(&driver, algorithm, b"", b"", &mut output), Err(Error::OutputLength));
            output.pop();
            hkdf(&driver, algorithm, b"", b"", b"", &mut output).unwrap();
            assert_ne!(output[254 * size..], std::vec![0; size]);
            hkdf(&driver, algorithm, b"", b"", b"", &mut []).unwrap();
            let wrong = hkdf_extract(&driver, algorithm, b"", b"", &mut [0; 20]);
            assert_eq!(wrong, Err(Error::OutputLength));
        }
        let shake = hkdf(&driver, HashAlgorithm::Shake128, b"", b"", b"", &mut [0; 16]);
        assert_eq!(shake, Err(Error::Unsupported));
    }

    /// An empty salt is a string of zeros of the digest size.
    #[test]
    fn hkdf_without_salt() {
        let mut without = [0; 32];
        let mut zeros = [0; 32];
        hkdf_extract(&driver(), HashAlgorithm::Sha256, b"", b"key", &mut without).unwrap();
        hkdf_extract(&driver(), HashAlgorithm::Sha256, &[0; 32], b"key", &mut zeros).unwrap();
        assert_eq!(without, zeros);
    }
}
