//! Public keys that verify signatures (RFC 3279, RFC 5480, RFC 8410, RFC 9881).

use crate::Error;
use crate::elements::{Elements, tag};
use casemate_crypto::encoding::{EcKey, Ed25519Key, MlDsaKey, RsaKey};
use casemate_crypto::{Curve, MlDsaSet, RsaPublicKey};

/// A public key that verifies signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicKey<'a> {
    /// RSA, 1024 to 4096 bits.
    Rsa(RsaPublicKey<'a>),
    /// A point of a NIST curve.
    EllipticCurve {
        /// The curve.
        curve: Curve,
        /// X ‖ Y. Whether they are on the curve is seen when a signature is verified.
        point: &'a [u8],
    },
    /// Ed25519.
    Ed25519([u8; 32]),
    /// ML-DSA.
    MlDsa {
        /// The parameter set.
        set: MlDsaSet,
        /// The key.
        key: &'a [u8],
    },
}

/// Identifiers of keys, without tag and length.
mod identifier {
    /// rsaEncryption.
    pub(super) const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
    /// id-ecPublicKey.
    pub(super) const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    /// id-Ed25519.
    pub(super) const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
    /// id-ml-dsa-44, -65 and -87, without their last octet.
    pub(super) const ML_DSA: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03];
}

impl<'a> PublicKey<'a> {
    /// Decodes a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Error::PublicKey`] if the key is malformed, too short or of another algorithm.
    pub fn decode(info: &'a [u8]) -> Result<Self, Error> {
        Self::known(info)?.ok_or(Error::PublicKey)
    }

    /// As [`decode`](Self::decode), but `None` for a key of another algorithm.
    ///
    /// # Errors
    /// [`Error::PublicKey`] if the key is malformed or too short.
    pub fn known(info: &'a [u8]) -> Result<Option<Self>, Error> {
        let wrong = |_| Error::PublicKey;
        let mut elements = Elements::inside(info, tag::SEQUENCE).map_err(wrong)?;
        let mut algorithm = Elements::new(elements.take(tag::SEQUENCE).map_err(wrong)?);
        elements.bits().map_err(wrong)?;
        elements.finish().map_err(wrong)?;
        Ok(Some(match algorithm.take(tag::OBJECT_IDENTIFIER).map_err(wrong)? {
            identifier::RSA => match RsaKey::decode(info) {
                Ok(RsaKey::Public(key)) => Self::Rsa(key),
                _ => return Err(Error::PublicKey),
            },
            identifier::EC => match EcKey::decode(info) {
                Ok(EcKey { curve, public: Some(point), .. }) => Self::EllipticCurve { curve, point },
                _ => return Err(Error::PublicKey),
            },
            identifier::ED25519 => {
                let key = Ed25519Key::decode(info).ok().and_then(|key| key.public);
                Self::Ed25519(key.ok_or(Error::PublicKey)?)
            }
            [prefix @ .., 17..=19] if prefix == identifier::ML_DSA => match MlDsaKey::decode(info) {
                Ok(MlDsaKey { set, public: Some(key), .. }) => Self::MlDsa { set, key },
                _ => return Err(Error::PublicKey),
            },
            _ => return Ok(None),
        }))
    }

    /// Length of the modulus of an RSA key in bits.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        match self {
            Self::Rsa(key) => Some(key.bits()),
            _ => None,
        }
    }
}
