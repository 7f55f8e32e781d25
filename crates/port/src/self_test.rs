//! Known-answer tests that run before a driver is used.

use casemate_crypto::{
    Curve, Direction, Driver, Ed25519Mode, Error, HashAlgorithm, cmac, constant_time_equal, hash,
};
use core::fmt;

/// A known-answer test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfTest {
    /// SHA-256 of "abc" (FIPS 180-4).
    Sha256,
    /// One block of AES-128 in both directions (FIPS 197, C.1).
    Aes128,
    /// AES-CMAC (RFC 4493, §4, example 2).
    Cmac,
    /// Verification of an ECDSA signature on P-256, and of one that was changed (RFC 6979, A.2.5).
    EcdsaP256,
    /// Verification of an Ed25519 signature, and of one that was changed (RFC 8032, §7.1, test 2).
    Ed25519,
}

impl SelfTest {
    /// Those that take milliseconds on a slow core in software.
    pub const QUICK: &'static [Self] = &[Self::Sha256, Self::Aes128, Self::Cmac];
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Sha256, Self::Aes128, Self::Cmac, Self::EcdsaP256, Self::Ed25519];
}

impl fmt::Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Aes128 => "AES-128",
            Self::Cmac => "AES-CMAC",
            Self::EcdsaP256 => "ECDSA on P-256",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// Runs `tests` on a driver. What the driver declines is no failure: another driver serves it. Signatures that this build of
/// the server never verifies count as declined.
///
/// # Errors
/// The first test whose answer is wrong, or in which the driver reported a fault.
pub fn self_test(driver: &dyn Driver, tests: &[SelfTest]) -> Result<(), SelfTest> {
    for &test in tests {
        match run(driver, test) {
            Ok(true) | Err(Error::Unsupported) => {}
            Ok(false) | Err(_) => return Err(test),
        }
    }
    Ok(())
}

fn run(driver: &dyn Driver, test: SelfTest) -> Result<bool, Error> {
    match test {
        SelfTest::Sha256 => {
            let mut digest = [0; 32];
            hash(driver, HashAlgorithm::Sha256, &[b"abc"], &mut digest)?;
            Ok(constant_time_equal(&digest, &SHA256_ABC))
        }
        SelfTest::Aes128 => {
            let mut block = AES_PLAIN;
            driver.ecb(Direction::Encrypt, &AES_KEY, &mut block)?;
            let encrypted = constant_time_equal(&block, &AES_CIPHER);
            block = AES_CIPHER;
            driver.ecb(Direction::Decrypt, &AES_KEY, &mut block)?;
            Ok(encrypted && constant_time_equal(&block, &AES_PLAIN))
        }
        SelfTest::Cmac => {
            let mut tag = [0; 16];
            cmac(driver, &CMAC_KEY, &[&CMAC_MESSAGE], &mut tag)?;
            Ok(constant_time_equal(&tag, &CMAC_TAG))
        }
        SelfTest::EcdsaP256 if casemate_server::VERIFIES_ECDSA => {
            let mut signature = ECDSA_SIGNATURE;
            driver.ecdsa_verify(Curve::P256, &ECDSA_PUBLIC, &ECDSA_DIGEST, &signature)?;
            signature[63] ^= 1;
            Ok(refused(driver.ecdsa_verify(Curve::P256, &ECDSA_PUBLIC, &ECDSA_DIGEST, &signature)))
        }
        SelfTest::Ed25519 if casemate_server::VERIFIES_ED25519 => {
            let mut signature = ED25519_SIGNATURE;
            let verify = |signature: &[u8; 64]| {
                driver.ed25519_verify(&ED25519_PUBLIC, Ed25519Mode::Pure, &[0x72], signature)
            };
            verify(&signature)?;
            signature[0] ^= 1;
            Ok(refused(verify(&signature)))
        }
        SelfTest::EcdsaP256 | SelfTest::Ed25519 => Err(Error::Unsupported),
    }
}

/// Whether a signature was judged wrong, by whichever of the two errors for it.
const fn refused(answer: Result<(), Error>) -> bool {
    matches!(answer, Err(Error::Authentication | Error::Signature))
}

const SHA256_ABC: [u8; 32] = hex32("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
const AES_KEY: [u8; 16] = hex16("000102030405060708090a0b0c0d0e0f");
const AES_PLAIN: [u8; 16] = hex16("00112233445566778899aabbccddeeff");
const AES_CIPHER: [u8; 16] = hex16("69c4e0d86a7b0430d8cdb78070b4c55a");
const CMAC_KEY: [u8; 16] = hex16("2b7e151628aed2a6abf7158809cf4f3c");
const CMAC_MESSAGE: [u8; 16] = hex16("6bc1bee22e409f96e93d7e117393172a");
const CMAC_TAG: [u8; 16] = hex16("070a16b46b4d4144f79bdd9dd04a287c");
const ECDSA_PUBLIC: [u8; 64] = hex64(concat!(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
));
const ECDSA_DIGEST: [u8; 32] = hex32("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf");
const ECDSA_SIGNATURE: [u8; 64] = hex64(concat!(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
));
const ED25519_PUBLIC: [u8; 32] = hex32("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
const ED25519_SIGNATURE: [u8; 64] = hex64(concat!(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
));

macro_rules! from_hex {
    ($($name:ident: $size:literal),*) => { $(
        /// Reads hexadecimal digits, at compile time only.
        #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated at compile time")]
        const fn $name(text: &str) -> [u8; $size] {
            const fn digit(character: u8) -> u8 {
                if character <= b'9' { character - b'0' } else { character - b'a' + 10 }
            }
            let text = text.as_bytes();
            let mut bytes = [0; $size];
            let mut index = 0;
            while index < $size {
                bytes[index] = digit(text[2 * index]) * 16 + digit(text[2 * index + 1]);
                index += 1;
            }
            bytes
        }
    )* };
}
from_hex!(hex16: 16, hex32: 32, hex64: 64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoHardware;
    use casemate_crypto::{
        AES_BLOCK, Aead, Cipher, Curve25519, EllipticCurve, Hash, Mac, MlDsa, MlKem, Prefer, Random, Rsa,
        Software,
    };

    #[test]
    fn the_software_passes_every_test() {
        assert_eq!(self_test(&Software::new(NoHardware), SelfTest::ALL), Ok(()));
    }

    #[test]
    fn what_declines_everything_fails_nothing() {
        assert_eq!(self_test(&NoHardware, SelfTest::ALL), Ok(()));
    }

    /// An engine with one fault.
    struct Broken(SelfTest);
    impl Random for Broken {}
    impl Hash for Broken {
        fn digest(&self, _: HashAlgorithm, _: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
            if self.0 != SelfTest::Sha256 {
                return Err(Error::Unsupported);
            }
            output.fill(0);
            Ok(())
        }
    }
    impl Mac for Broken {
        fn cmac(&self, _: &[u8], _: &[&[u8]], _: &mut [u8]) -> Result<(), Error> {
            if self.0 == SelfTest::Cmac { Err(Error::Hardware) } else { Err(Error::Unsupported) }
        }
    }
    impl Cipher for Broken {
        fn ecb(&self, _: Direction, key: &[u8], _: &mut [u8]) -> Result<(), Error> {
            if self.0 == SelfTest::Aes128 && key.len() == AES_BLOCK {
                Ok(())
            } else {
                Err(Error::Unsupported)
            }
        }
    }
    impl Aead for Broken {}
    impl EllipticCurve for Broken {
        /// Accepts whatever it is shown.
        fn ecdsa_verify(&self, _: Curve, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), Error> {
            if self.0 == SelfTest::EcdsaP256 { Ok(()) } else { Err(Error::Unsupported) }
        }
    }
    impl Curve25519 for Broken {
        fn ed25519_verify(
            &self,
            _: &[u8; 32],
            _: Ed25519Mode<'_>,
            _: &[u8],
            _: &[u8; 64],
        ) -> Result<(), Error> {
            if self.0 == SelfTest::Ed25519 { Ok(()) } else { Err(Error::Unsupported) }
        }
    }
    impl Rsa for Broken {}
    impl MlDsa for Broken {}
    impl MlKem for Broken {}

    #[test]
    fn a_broken_engine_is_found_alone_and_in_front_of_software() {
        for &test in SelfTest::ALL {
            assert_eq!(self_test(&Broken(test), SelfTest::ALL), Err(test));
            let composed = Prefer::new(Broken(test), Software::new(NoHardware));
            assert_eq!(self_test(&composed, SelfTest::ALL), Err(test));
        }
    }
}
