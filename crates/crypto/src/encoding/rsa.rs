//! RSA keys (RFC 8017, appendix A.1; RFC 5208; RFC 3279, §2.3.1).

use super::{
    Algorithm, Elements, EncodingError, Output, PrivateKeyInfo, PublicKeyInfo, element_size, split_header,
    tag, unsigned_size,
};
use crate::rsa::check_public;
use crate::{Error, RSA_MAX_BYTES, RsaPrivateKey, RsaPublicKey};
use core::fmt;

/// rsaEncryption, 1.2.840.113549.1.1.1.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// The parameters of rsaEncryption: NULL.
const NULL: &[u8] = &[0x05, 0x00];

/// An RSA key, of either half. It borrows from the bytes that it was decoded from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RsaKey<'a> {
    /// A private key, which contains the public one.
    Private(RsaPrivateKey<'a>),
    /// A public key.
    Public(RsaPublicKey<'a>),
}

impl fmt::Debug for RsaKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(key) => key.fmt(formatter),
            Self::Public(key) => key.fmt(formatter),
        }
    }
}

impl<'a> RsaKey<'a> {
    /// The largest encoding of a private key that [`encode_rsa_private`] writes for primes of equal length and a public
    /// exponent of four bytes, in bytes.
    pub const MAX_ENCODING: usize = 2351;

    /// Decodes a PKCS#1 RSAPrivateKey of two primes, a PKCS#8 private key, a SubjectPublicKeyInfo or a PKCS#1
    /// RSAPublicKey. Bytes after the end are ignored, as peers do (document 03, §12.2).
    ///
    /// Numbers are checked as far as that takes no arithmetic: none is zero or negative, the modulus is odd and of a
    /// supported size, the public exponent is odd, above 1 and below the modulus, and no number is longer than the
    /// modulus. That the primes are those of the modulus is for [`check`](Self::check) to say.
    ///
    /// # Errors
    /// [`EncodingError::Truncated`] for a sequence that ends before the length at its start says, else
    /// [`EncodingError::Malformed`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let bytes = first_element(bytes)?;
        // A private key has a version before anything else; a bare public key has two integers and nothing more.
        let mut elements = Elements::inside(bytes, tag::SEQUENCE)?;
        if elements.next_tag() != Some(tag::INTEGER) {
            let info = PublicKeyInfo::decode(bytes)?;
            check_algorithm(&info.algorithm)?;
            return decode_public(info.public_key).map(Self::Public);
        }
        let _version_or_modulus = elements.unsigned()?;
        if elements.next_tag() == Some(tag::SEQUENCE) {
            let info = PrivateKeyInfo::decode(bytes)?;
            check_algorithm(&info.algorithm)?;
            return decode_private(info.private_key).map(Self::Private);
        }
        let _modulus_or_exponent = elements.unsigned()?;
        match elements.next_tag() {
            None => decode_public(bytes).map(Self::Public),
            Some(_) => decode_private(bytes).map(Self::Private),
        }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> RsaPublicKey<'a> {
        match self {
            Self::Private(key) => key.public,
            Self::Public(key) => *key,
        }
    }

    /// The private half.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if the key is a public one.
    pub const fn private(&self) -> Result<RsaPrivateKey<'a>, EncodingError> {
        match self {
            Self::Private(key) => Ok(*key),
            Self::Public(_) => Err(EncodingError::Missing),
        }
    }

    /// Checks that the primes of a private key multiply to its modulus. A public key always passes.
    ///
    /// # Errors
    /// [`EncodingError::Mismatch`].
    #[cfg(feature = "rsa")]
    pub fn check(&self) -> Result<(), EncodingError> {
        match self {
            Self::Private(key) => crate::software::check_private(key).map_err(|_| EncodingError::Mismatch),
            Self::Public(_) => Ok(()),
        }
    }
}

/// The first element of `bytes`, with its header.
fn first_element(bytes: &[u8]) -> Result<&[u8], EncodingError> {
    let Some((tag::SEQUENCE, content, rest)) = split_header(bytes) else {
        return Err(EncodingError::Malformed);
    };
    let behind = rest.len().checked_sub(content).ok_or(EncodingError::Truncated)?;
    bytes.get(..bytes.len().saturating_sub(behind)).ok_or(EncodingError::Truncated)
}

fn check_algorithm(algorithm: &Algorithm<'_>) -> Result<(), EncodingError> {
    let right = algorithm.identifier == RSA_ENCRYPTION && matches!(algorithm.parameters, NULL | []);
    if right { Ok(()) } else { Err(EncodingError::Malformed) }
}

fn check_numbers(key: &RsaPublicKey<'_>) -> Result<(), EncodingError> {
    check_public(key).map_err(|_: Error| EncodingError::Malformed)
}

fn decode_public(bytes: &[u8]) -> Result<RsaPublicKey<'_>, EncodingError> {
    let mut elements = Elements::inside(bytes, tag::SEQUENCE)?;
    let key = RsaPublicKey { modulus: elements.unsigned()?, exponent: elements.unsigned()? };
    elements.finish()?;
    check_numbers(&key)?;
    Ok(key)
}

fn decode_private(bytes: &[u8]) -> Result<RsaPrivateKey<'_>, EncodingError> {
    let mut elements = Elements::inside(bytes, tag::SEQUENCE)?;
    // Version 1 has more than two primes.
    if !elements.unsigned()?.is_empty() {
        return Err(EncodingError::Malformed);
    }
    let key = RsaPrivateKey {
        public: RsaPublicKey { modulus: elements.unsigned()?, exponent: elements.unsigned()? },
        exponent: elements.unsigned()?,
        prime_p: elements.unsigned()?,
        prime_q: elements.unsigned()?,
        exponent_p: elements.unsigned()?,
        exponent_q: elements.unsigned()?,
        coefficient: elements.unsigned()?,
    };
    elements.finish()?;
    check_numbers(&key.public)?;
    let secret = private_numbers(&key);
    if secret.iter().any(|number| number.is_empty() || number.len() > key.public.modulus.len()) {
        return Err(EncodingError::Malformed);
    }
    Ok(key)
}

/// The numbers that follow the public ones.
const fn private_numbers<'a>(key: &RsaPrivateKey<'a>) -> [&'a [u8]; 6] {
    [key.exponent, key.prime_p, key.prime_q, key.exponent_p, key.exponent_q, key.coefficient]
}

/// Writes a PKCS#1 RSAPrivateKey (RFC 8017, appendix A.1.2) at the start of `output` and returns its size.
///
/// # Errors
/// [`EncodingError::OutputLength`], and nothing is written; [`EncodingError::Malformed`] for a public half that
/// [`RsaKey::decode`] would not accept.
pub fn encode_rsa_private(key: &RsaPrivateKey<'_>, output: &mut [u8]) -> Result<usize, EncodingError> {
    check_numbers(&key.public)?;
    let numbers = private_numbers(key);
    let public = [key.public.modulus, key.public.exponent];
    let content = public
        .iter()
        .chain(&numbers)
        .fold(element_size(1), |size, number| size.saturating_add(unsigned_size(number)));
    let mut output = Output::new(output, element_size(content))?;
    output.header(tag::SEQUENCE, content);
    output.unsigned(&[]);
    for number in public.iter().chain(&numbers) {
        output.unsigned(number);
    }
    output.finish()
}

/// Writes a SubjectPublicKeyInfo at the start of `output` and returns its size.
///
/// # Errors
/// [`EncodingError::OutputLength`], and nothing is written; [`EncodingError::Malformed`] for a key that
/// [`RsaKey::decode`] would not accept.
#[inline(never)]
pub fn encode_rsa_public(key: &RsaPublicKey<'_>, output: &mut [u8]) -> Result<usize, EncodingError> {
    check_numbers(key)?;
    let content = unsigned_size(key.modulus).saturating_add(unsigned_size(key.exponent));
    // The inner SEQUENCE: two integers of at most the size of the modulus, their headers, and its own.
    let mut inner = [0; 2 * (RSA_MAX_BYTES + 5) + 4];
    let mut writer = Output::new(&mut inner, element_size(content))?;
    writer.header(tag::SEQUENCE, content);
    writer.unsigned(key.modulus);
    writer.unsigned(key.exponent);
    let size = writer.finish()?;
    let algorithm = Algorithm { identifier: RSA_ENCRYPTION, parameters: NULL };
    super::encode_public_key_info(algorithm, &[inner.get(..size).unwrap_or_default()], output)
}
