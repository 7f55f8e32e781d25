//! Signatures (RFC 8017, RFC 4055, RFC 5758, RFC 8410, RFC 9881).

use crate::elements::{Elements, Malformed, constructed, tag, unsigned};
use crate::{Error, PublicKey};
use casemate_crypto::encoding::decode_ecdsa_signature;
use casemate_crypto::rsa_padding::{Pss, open_signature, pkcs1_signature_verify};
use casemate_crypto::{
    Curve, Driver, Ed25519Mode, Error as DriverError, HashAlgorithm, MlDsaMessage, MlDsaSet, RSA_MAX_BYTES,
    RsaPublicKey,
};

/// A signature algorithm with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(HashAlgorithm),
    /// RSASSA-PSS.
    RsaPss {
        /// The hash of the message.
        hash: HashAlgorithm,
        /// The hash of the mask generation function MGF1.
        mask_hash: HashAlgorithm,
        /// Length of the salt in bytes.
        salt_length: usize,
    },
    /// ECDSA.
    Ecdsa(HashAlgorithm),
    /// Ed25519.
    Ed25519,
    /// ML-DSA with an empty context.
    MlDsa(MlDsaSet),
}

/// Identifiers, without tag and length.
mod identifier {
    /// sha256WithRSAEncryption and its siblings, without their last octet.
    pub(super) const PKCS1: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01];
    /// ecdsa-with-SHA256 and its siblings, without their last octet.
    pub(super) const ECDSA: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03];
    /// id-Ed25519.
    pub(super) const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
    /// id-ml-dsa-44 and its siblings, without their last octet.
    pub(super) const ML_DSA: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03];
    /// id-sha256 and its siblings, without their last octet.
    pub(super) const HASH: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    /// The last octet of id-RSASSA-PSS behind [`PKCS1`].
    pub(super) const PSS_LAST: u8 = 10;
    /// The last octet of id-mgf1 behind [`PKCS1`].
    pub(super) const MGF1_LAST: u8 = 8;
}

/// The largest digest, in bytes.
const MAX_DIGEST: usize = 64;

/// Parameters of algorithms that leave them out or write NULL.
fn null_or_none(mut elements: Elements<'_>) -> Result<(), Malformed> {
    match elements.optional(tag::NULL)? {
        None | Some([]) => elements.finish(),
        Some(_) => Err(Malformed),
    }
}

/// The hash function that an AlgorithmIdentifier names.
fn hash_function(content: &[u8]) -> Result<HashAlgorithm, Malformed> {
    let mut elements = Elements::new(content);
    let hash = match elements.take(tag::OBJECT_IDENTIFIER)? {
        [prefix @ .., 1] if prefix == identifier::HASH => HashAlgorithm::Sha256,
        [prefix @ .., 2] if prefix == identifier::HASH => HashAlgorithm::Sha384,
        [prefix @ .., 3] if prefix == identifier::HASH => HashAlgorithm::Sha512,
        _ => return Err(Malformed),
    };
    null_or_none(elements)?;
    Ok(hash)
}

impl SignatureAlgorithm {
    /// Decodes an AlgorithmIdentifier.
    ///
    /// # Errors
    /// [`Error::SignatureAlgorithm`] if the algorithm or one of its parameters is not supported or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse(bytes).map_err(|_| Error::SignatureAlgorithm)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut elements = Elements::inside(bytes, tag::SEQUENCE)?;
        let algorithm = match elements.take(tag::OBJECT_IDENTIFIER)? {
            [prefix @ .., last @ 11..=13] if prefix == identifier::PKCS1 => {
                null_or_none(elements)?;
                return Ok(Self::RsaPkcs1(match last {
                    11 => HashAlgorithm::Sha256,
                    12 => HashAlgorithm::Sha384,
                    _ => HashAlgorithm::Sha512,
                }));
            }
            [prefix @ .., identifier::PSS_LAST] if prefix == identifier::PKCS1 => {
                pss_parameters(elements.take(tag::SEQUENCE)?)?
            }
            [prefix @ .., last @ 2..=4] if prefix == identifier::ECDSA => Self::Ecdsa(match last {
                2 => HashAlgorithm::Sha256,
                3 => HashAlgorithm::Sha384,
                _ => HashAlgorithm::Sha512,
            }),
            identifier::ED25519 => Self::Ed25519,
            [prefix @ .., last @ 17..=19] if prefix == identifier::ML_DSA => Self::MlDsa(match last {
                17 => MlDsaSet::MlDsa44,
                18 => MlDsaSet::MlDsa65,
                _ => MlDsaSet::MlDsa87,
            }),
            _ => return Err(Malformed),
        };
        elements.finish()?;
        Ok(algorithm)
    }

    /// Verifies the signature of a message.
    ///
    /// # Errors
    /// [`Error::SignatureAlgorithm`] if the algorithm is not one of the key, [`Error::Signature`],
    /// [`Error::PublicKey`] if the key turns out to be none, [`Error::Driver`].
    pub fn verify<D: Driver + ?Sized>(
        &self,
        driver: &D,
        key: &PublicKey<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let mut digest = [0; MAX_DIGEST];
        match (self, key) {
            (Self::RsaPkcs1(hash) | Self::RsaPss { hash, .. }, PublicKey::Rsa(key)) => {
                let digest = hashed(driver, *hash, message, &mut digest)?;
                let mut block = [0; RSA_MAX_BYTES];
                let block = opened(driver, key, signature, &mut block)?;
                match *self {
                    Self::RsaPss { hash, mask_hash, salt_length } => {
                        Pss { hash, mask_hash, salt_length }.verify(driver, key.bits(), digest, block)
                    }
                    _ => pkcs1_signature_verify(*hash, digest, block),
                }
                .map_err(refused)
            }
            (Self::Ecdsa(hash), PublicKey::EllipticCurve { curve, point }) => {
                let digest = hashed(driver, *hash, message, &mut digest)?;
                let mut raw = [0; Curve::MAX_POINT];
                let raw = raw.get_mut(..curve.point_size()).ok_or(Error::Signature)?;
                decode_ecdsa_signature(*curve, signature, raw).map_err(|_| Error::Signature)?;
                driver.ecdsa_verify(*curve, point, digest, raw).map_err(refused)
            }
            (Self::Ed25519, PublicKey::Ed25519(key)) => {
                let signature = signature.try_into().map_err(|_| Error::Signature)?;
                driver.ed25519_verify(key, Ed25519Mode::Pure, message, signature).map_err(refused)
            }
            (Self::MlDsa(expected), PublicKey::MlDsa { set, key }) if expected == set => {
                if signature.len() != set.signature_size() {
                    return Err(Error::Signature);
                }
                driver.ml_dsa_verify(*set, key, MlDsaMessage::Pure(message), &[], signature).map_err(refused)
            }
            _ => Err(Error::SignatureAlgorithm),
        }
    }
}

fn refused(error: DriverError) -> Error {
    match error {
        DriverError::Authentication | DriverError::Signature | DriverError::DataLength => Error::Signature,
        DriverError::Key | DriverError::KeyLength => Error::PublicKey,
        error => Error::Driver(error),
    }
}

/// RSASSA-PSS-params (RFC 4055, §3.1). The defaults mean SHA-1, which is not supported.
fn pss_parameters(content: &[u8]) -> Result<SignatureAlgorithm, Malformed> {
    let mut elements = Elements::new(content);
    let hash = elements.take(constructed(0))?;
    let mask = elements.take(constructed(1))?;
    let salt = elements.optional(constructed(2))?;
    let trailer = elements.optional(constructed(3))?;
    elements.finish()?;

    let hash = hash_function(Elements::inside(hash, tag::SEQUENCE)?.rest())?;
    let mut generator = Elements::inside(mask, tag::SEQUENCE)?;
    match generator.take(tag::OBJECT_IDENTIFIER)? {
        [prefix @ .., identifier::MGF1_LAST] if prefix == identifier::PKCS1 => {}
        _ => return Err(Malformed),
    }
    let mask_hash = hash_function(generator.take(tag::SEQUENCE)?)?;
    generator.finish()?;
    if number_or(trailer, 1)? != 1 {
        return Err(Malformed);
    }
    let salt_length = usize::try_from(number_or(salt, 20)?).map_err(|_| Malformed)?;
    Ok(SignatureAlgorithm::RsaPss { hash, mask_hash, salt_length })
}

/// The single INTEGER in `content`, or the default of a field that is missing.
fn number_or(content: Option<&[u8]>, default: u32) -> Result<u32, Malformed> {
    let Some(content) = content else { return Ok(default) };
    let mut elements = Elements::new(content);
    let number = unsigned(elements.take(tag::INTEGER)?)?;
    elements.finish()?;
    Ok(number)
}

/// The digest of a message, at the front of `output`.
fn hashed<'o, D: Driver + ?Sized>(
    driver: &D,
    algorithm: HashAlgorithm,
    message: &[u8],
    output: &'o mut [u8; MAX_DIGEST],
) -> Result<&'o [u8], Error> {
    let size = algorithm.digest_size().ok_or(Error::SignatureAlgorithm)?;
    let output = output.get_mut(..size).ok_or(Error::SignatureAlgorithm)?;
    casemate_crypto::hash(driver, algorithm, &[message], output).map_err(Error::Driver)?;
    Ok(output)
}

/// What the signer encoded: the public operation on a signature.
fn opened<'o, D: Driver + ?Sized>(
    driver: &D,
    key: &RsaPublicKey<'_>,
    signature: &[u8],
    output: &'o mut [u8; RSA_MAX_BYTES],
) -> Result<&'o mut [u8], Error> {
    let output = output.get_mut(..key.modulus.len()).ok_or(Error::PublicKey)?;
    open_signature(driver, key, signature, output).map_err(refused)?;
    Ok(output)
}
