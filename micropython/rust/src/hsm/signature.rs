//! What is done here for a signature: hashing and, for RSA, padding. The private key's part is the server's.

use crate::hash::by_number;
use crate::{DRIVER, Error};
use casemate_crypto::encoding::{EcKey, Ed25519Key, RsaKey, X25519Key};
use casemate_crypto::rsa_padding::{Pss, pkcs1_signature_encode, pkcs1_signature_verify};
use casemate_crypto::{Curve, HashAlgorithm};

/// The largest digest in bytes.
const MAX_DIGEST: usize = 64;

/// What a key pair is for, by the numbers of `casemate.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyKind {
    /// ECDSA and ECDH on NIST P-256.
    P256 = 1,
    /// The same on P-384.
    P384 = 2,
    /// The same on P-521.
    P521 = 3,
    /// Ed25519.
    Ed25519 = 4,
    /// RSA.
    Rsa = 5,
    /// X25519.
    X25519 = 6,
}

impl KeyKind {
    /// The kind of a number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::P256,
            2 => Self::P384,
            3 => Self::P521,
            4 => Self::Ed25519,
            5 => Self::Rsa,
            6 => Self::X25519,
            _ => return None,
        })
    }

    /// The kind of a public key as servers encode it, and of RSA the bits of the modulus.
    #[must_use]
    pub fn of(public: &[u8]) -> Option<(Self, u16)> {
        if let Ok(key) = EcKey::decode(public) {
            return Some((
                match key.curve {
                    Curve::P256 => Self::P256,
                    Curve::P384 => Self::P384,
                    Curve::P521 => Self::P521,
                    _ => return None,
                },
                0,
            ));
        }
        if Ed25519Key::decode(public).is_ok() {
            return Some((Self::Ed25519, 0));
        }
        if X25519Key::decode(public).is_ok() {
            return Some((Self::X25519, 0));
        }
        let key = RsaKey::decode(public).ok()?;
        let modulus = key.public().modulus;
        let zeros = modulus.first().map_or(0, |octet| octet.leading_zeros());
        let bits = modulus.len().checked_mul(8)?.checked_sub(usize::try_from(zeros).ok()?)?;
        Some((Self::Rsa, u16::try_from(bits).ok()?))
    }

    /// The hash that goes with the kind unless another is named; 4 is SHA-256.
    const fn usual_hash(self) -> u8 {
        match self {
            Self::P384 => 5,
            Self::P521 => 6,
            _ => 4,
        }
    }
}

/// How a message is signed.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// The key's kind.
    pub kind: KeyKind,
    /// Bits of an RSA modulus.
    pub bits: u16,
    /// The number of the hash, 0 for the one that goes with the kind.
    pub hash: u8,
    /// With RSA: PSS in place of PKCS#1 v1.5.
    pub pss: bool,
    /// The message is a digest already.
    pub prehashed: bool,
}

impl Scheme {
    fn algorithm(&self) -> Result<HashAlgorithm, Error> {
        by_number(if self.hash == 0 { self.kind.usual_hash() } else { self.hash })
    }

    fn digest<'a>(&self, message: &[u8], space: &'a mut [u8; MAX_DIGEST]) -> Result<&'a [u8], Error> {
        let algorithm = self.algorithm()?;
        let size = algorithm.digest_size().ok_or(Error::Unsupported)?;
        let digest = space.get_mut(..size).ok_or(Error::Unsupported)?;
        if self.prehashed {
            if message.len() != size {
                return Err(Error::Length);
            }
            digest.copy_from_slice(message);
        } else {
            casemate_crypto::hash(&DRIVER, algorithm, &[message], digest)?;
        }
        Ok(digest)
    }

    fn block_size(&self) -> usize {
        usize::from(self.bits).div_ceil(8)
    }

    /// Writes what the server is to sign: the digest, or for RSA the padded block. Returns its length.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a kind of key that does not sign, or a hash that this build lacks; [`Error::Length`] for
    /// a digest of another length than the hash's; [`Error::Key`] for an RSA key that is too short; [`Error::Output`].
    pub fn encode(&self, message: &[u8], output: &mut [u8]) -> Result<usize, Error> {
        let mut space = [0; MAX_DIGEST];
        let digest = self.digest(message, &mut space)?;
        match self.kind {
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
                output.get_mut(..digest.len()).ok_or(Error::Output)?.copy_from_slice(digest);
                Ok(digest.len())
            }
            KeyKind::Rsa => {
                let size = self.block_size();
                let block = output.get_mut(..size).ok_or(Error::Output)?;
                if self.pss {
                    let pss = Pss::new(self.algorithm()?).ok_or(Error::Unsupported)?;
                    pss.encode(&DRIVER, usize::from(self.bits), digest, block)?;
                } else {
                    pkcs1_signature_encode(self.algorithm()?, digest, block)?;
                }
                Ok(size)
            }
            KeyKind::Ed25519 | KeyKind::X25519 => Err(Error::Unsupported),
        }
    }

    /// Whether a block that RSA's public operation gave is a message's. The block is used up.
    ///
    /// # Errors
    /// [`Error::Authentication`] if it is not; otherwise as [`encode`](Self::encode).
    pub fn check(&self, message: &[u8], block: &mut [u8]) -> Result<(), Error> {
        let mut space = [0; MAX_DIGEST];
        let digest = self.digest(message, &mut space)?;
        if self.pss {
            let pss = Pss::new(self.algorithm()?).ok_or(Error::Unsupported)?;
            Ok(pss.verify(&DRIVER, usize::from(self.bits), digest, block)?)
        } else {
            Ok(pkcs1_signature_verify(self.algorithm()?, digest, block)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let scheme = |kind, pss| Scheme { kind, bits: 1024, hash: 0, pss, prehashed: false };
        let mut output = [0; 128];
        assert_eq!(scheme(KeyKind::P256, false).encode(b"abc", &mut output), Ok(32));
        assert_eq!(hex::encode(&output[..4]), "ba7816bf");
        let prehashed = Scheme { prehashed: true, ..scheme(KeyKind::P256, false) };
        assert_eq!(prehashed.encode(b"abc", &mut output), Err(Error::Length));
        assert_eq!(prehashed.encode(&[5; 32], &mut output), Ok(32));
        assert_eq!(output[..32], [5; 32]);
        for pss in [false, true] {
            let scheme = scheme(KeyKind::Rsa, pss);
            assert_eq!(scheme.encode(b"abc", &mut output), Ok(128));
            assert_eq!(scheme.check(b"abc", &mut output.clone()), Ok(()));
            assert_eq!(scheme.check(b"abd", &mut output.clone()), Err(Error::Authentication));
            output[60] ^= 1;
            assert_eq!(scheme.check(b"abc", &mut output), Err(Error::Authentication));
            assert_eq!(scheme.encode(b"abc", &mut output[..127]), Err(Error::Output));
        }
        assert_eq!(scheme(KeyKind::Ed25519, false).encode(b"", &mut output), Err(Error::Unsupported));
    }

    #[test]
    fn kinds() {
        let ed25519 = hex::decode("302a300506032b6570032100").unwrap();
        assert_eq!(KeyKind::of(&[&ed25519[..], &[9; 32]].concat()), Some((KeyKind::Ed25519, 0)));
        let point = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5").unwrap();
        assert_eq!(KeyKind::of(&point), Some((KeyKind::P256, 0)));
        assert_eq!(KeyKind::of(b"no key"), None);
        assert_eq!(KeyKind::from_number(0), None);
        for number in 1..=6 {
            assert_eq!(KeyKind::from_number(number).map(|kind| kind as u8), Some(number));
        }
    }
}
