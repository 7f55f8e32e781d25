//! Message authentication and key derivation of `wolfcryptolib`.

use crate::{DRIVER, Error, hash::by_number};
use casemate_crypto::Mac;
use zeroize::{Zeroize, Zeroizing};

/// The largest digest of an algorithm that HMAC is defined over, in bytes.
const MAX_DIGEST: usize = 64;

/// HMAC (FIPS 198-1) of `data`; `output` has 1 to digest-size bytes.
///
/// # Errors
/// [`Error::Unsupported`] for an algorithm that this build lacks or that is a SHAKE; [`Error::Tag`].
pub fn hmac(number: u8, key: &[u8], data: &[u8], output: &mut [u8]) -> Result<(), Error> {
    Ok(DRIVER.hmac(by_number(number)?, key, &[data], output)?)
}

/// AES-CMAC (NIST SP 800-38B) of `data`; `output` has 1 to 16 bytes.
///
/// # Errors
/// [`Error::Key`], [`Error::Tag`].
pub fn cmac(key: &[u8], data: &[u8], output: &mut [u8]) -> Result<(), Error> {
    Ok(casemate_crypto::cmac(&DRIVER, key, &[data], output)?)
}

/// HKDF (RFC 5869), extract and expand; `output` has up to 255 times the digest size.
///
/// # Errors
/// [`Error::Unsupported`] as for [`hmac`]; [`Error::Output`].
pub fn hkdf(number: u8, key: &[u8], salt: &[u8], info: &[u8], output: &mut [u8]) -> Result<(), Error> {
    Ok(casemate_crypto::hkdf(&DRIVER, by_number(number)?, salt, key, info, output)?)
}

/// PBKDF2 with HMAC (RFC 8018, §5.2); `output` has any length from 1 on.
///
/// # Errors
/// [`Error::Unsupported`] as for [`hmac`]; [`Error::Length`] if `iterations` is 0; [`Error::Output`] if `output` is empty
/// or longer than 2^32 - 1 digests.
pub fn pbkdf2(
    number: u8,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    output: &mut [u8],
) -> Result<(), Error> {
    let algorithm = by_number(number)?;
    let size = algorithm.digest_size().ok_or(Error::Unsupported)?;
    if iterations == 0 {
        return Err(Error::Length);
    }
    if output.is_empty() || u32::try_from(output.len().div_ceil(size)).is_err() {
        return Err(Error::Output);
    }
    let mut last = Zeroizing::new([0; MAX_DIGEST]);
    let mut next = Zeroizing::new([0; MAX_DIGEST]);
    let mut sum = Zeroizing::new([0; MAX_DIGEST]);
    for (index, block) in (1_u32..).zip(output.chunks_mut(size)) {
        let last = last.get_mut(..size).ok_or(Error::Internal)?;
        let next = next.get_mut(..size).ok_or(Error::Internal)?;
        let sum = sum.get_mut(..size).ok_or(Error::Internal)?;
        DRIVER.hmac(algorithm, password, &[salt, &index.to_be_bytes()], last)?;
        sum.copy_from_slice(last);
        for _ in 1..iterations {
            DRIVER.hmac(algorithm, password, &[last], next)?;
            last.copy_from_slice(next);
            sum.iter_mut().zip(next.iter()).for_each(|(sum, byte)| *sum ^= byte);
        }
        block.iter_mut().zip(sum.iter()).for_each(|(target, byte)| *target = *byte);
        sum.zeroize();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6070: PBKDF2 with HMAC-SHA-1.
    #[test]
    fn pbkdf2_vectors() {
        for (password, salt, iterations, expected) in [
            (&b"password"[..], &b"salt"[..], 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
            (b"password", b"salt", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
            (b"password", b"salt", 4096, "4b007901b765489abead49d926f721d065a429c1"),
            (
                b"passwordPASSWORDpassword",
                b"saltSALTsaltSALTsaltSALTsaltSALTsalt",
                4096,
                "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
            ),
            (b"pass\0word", b"sa\0lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"),
        ] {
            let mut output = vec![0; expected.len() / 2];
            pbkdf2(2, password, salt, iterations, &mut output).unwrap();
            assert_eq!(hex::encode(output), expected);
        }
    }

    /// RFC 4231, test case 2; RFC 4493, example 2; RFC 5869, test case 1.
    #[test]
    fn known_answers() {
        let mut output = [0; 32];
        hmac(4, b"Jefe", b"what do ya want for nothing?", &mut output).unwrap();
        assert_eq!(hex::encode(output), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        let data = hex::decode("6bc1bee22e409f96e93d7e117393172a").unwrap();
        let mut output = [0; 16];
        cmac(&key, &data, &mut output).unwrap();
        assert_eq!(hex::encode(output), "070a16b46b4d4144f79bdd9dd04a287c");
        let mut output = [0; 42];
        let salt: Vec<u8> = (0..13).collect();
        let info: Vec<u8> = (0xf0..0xfa).collect();
        hkdf(4, &[0x0b; 22], &salt, &info, &mut output).unwrap();
        assert_eq!(
            hex::encode(output),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }

    #[test]
    fn wrong_arguments() {
        assert_eq!(pbkdf2(4, b"", b"", 0, &mut [0; 4]), Err(Error::Length));
        assert_eq!(pbkdf2(4, b"", b"", 1, &mut []), Err(Error::Output));
        assert_eq!(pbkdf2(11, b"", b"", 1, &mut [0; 4]), Err(Error::Unsupported));
        assert_eq!(hmac(12, b"", b"", &mut [0; 4]), Err(Error::Unsupported));
        assert_eq!(hmac(4, b"", b"", &mut [0; 33]), Err(Error::Tag));
        assert_eq!(cmac(b"", b"", &mut [0; 4]), Err(Error::Key));
        assert_eq!(hkdf(4, b"", b"", b"", &mut vec![0; 255 * 32 + 1]), Err(Error::Output));
    }
}
