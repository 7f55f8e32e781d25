//! Keys of X25519 and Ed25519 (RFC 8410, with the deviations that the [module](super) names).

use super::{Algorithm, Elements, EncodingError, Malformed, PrivateKeyInfo, PublicKeyInfo, is_private, tag};
use crate::{Curve25519, constant_time_equal};
use core::fmt;
use zeroize::Zeroizing;

/// 1.3.101.110.
const X25519: Algorithm<'_> = Algorithm { identifier: &[0x2b, 0x65, 0x6e], parameters: &[] };
/// 1.3.101.112.
const ED25519: Algorithm<'_> = Algorithm { identifier: &[0x2b, 0x65, 0x70], parameters: &[] };

/// The private and public octets of a key, as they stand in its encoding.
struct Octets<'a> {
    private: Option<&'a [u8; 32]>,
    public: Option<&'a [u8; 32]>,
}

impl<'a> Octets<'a> {
    fn decode(algorithm: Algorithm<'_>, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let key = |octets: &'a [u8]| octets.try_into().map_err(|_| Malformed);
        let (found, private, public) = if is_private(bytes)? {
            let info = PrivateKeyInfo::decode(bytes)?;
            let mut inner = Elements::new(info.private_key);
            let private = key(inner.take(tag::OCTET_STRING)?)?;
            inner.finish()?;
            (info.algorithm, Some(private), info.public_key(32)?.map(key).transpose()?)
        } else {
            let info = PublicKeyInfo::decode(bytes)?;
            (info.algorithm, None, Some(key(info.public_key)?))
        };
        if found == algorithm { Ok(Self { private, public }) } else { Err(Malformed) }
    }
}

fn encode_private(
    algorithm: Algorithm<'_>,
    private: Option<&[u8; 32]>,
    public: Option<&[u8; 32]>,
    output: &mut [u8],
) -> Result<usize, EncodingError> {
    let private = private.ok_or(EncodingError::Missing)?;
    super::encode_private_key_info(algorithm, private, public.map(|key| key.as_slice()), output)
}

fn encode_public(
    algorithm: Algorithm<'_>,
    public: Option<&[u8; 32]>,
    output: &mut [u8],
) -> Result<usize, EncodingError> {
    super::encode_public_key_info(algorithm, &[public.ok_or(EncodingError::Missing)?], output)
}

#[inline(never)]
fn reversed(octets: &[u8; 32]) -> [u8; 32] {
    let mut octets = *octets;
    octets.reverse();
    octets
}

/// An X25519 key: a private half, a public half or both, in the byte order of RFC 7748.
///
/// In every encoding the octets are reversed (document 05, §5). A key file made after RFC 8410 decodes too, but to
/// another key: the two cannot be told apart.
#[derive(Clone, PartialEq, Eq)]
pub struct X25519Key {
    /// The private half, as it is stored: not necessarily clamped.
    pub private: Option<Zeroizing<[u8; 32]>>,
    /// The public half.
    pub public: Option<[u8; 32]>,
}

impl X25519Key {
    /// The largest encoding, in bytes: a pair.
    pub const MAX_ENCODING: usize = 82;

    /// Decodes OneAsymmetricKey (or PKCS#8) or SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`EncodingError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let octets = Octets::decode(X25519, bytes)?;
        Ok(Self {
            private: octets.private.map(|octets| Zeroizing::new(reversed(octets))),
            public: octets.public.map(reversed),
        })
    }

    /// Checks that the public half belongs to the private half, if the key has both.
    ///
    /// # Errors
    /// [`EncodingError::Mismatch`], [`EncodingError::Driver`].
    pub fn check<D: Curve25519 + ?Sized>(&self, driver: &D) -> Result<(), EncodingError> {
        if let (Some(private), Some(public)) = (&self.private, &self.public) {
            let mut derived = [0; 32];
            driver.x25519_public(private, &mut derived).map_err(EncodingError::Driver)?;
            if !constant_time_equal(&derived, public) {
                return Err(EncodingError::Mismatch);
            }
        }
        Ok(())
    }

    /// Writes the key with its private half (82 bytes, or 48 if it has no public half) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no private half, [`EncodingError::OutputLength`].
    pub fn encode_private(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        let private = self.private.as_ref().map(|key| Zeroizing::new(reversed(key)));
        let public = self.public.as_ref().map(reversed);
        encode_private(X25519, private.as_deref(), public.as_ref(), output)
    }

    /// Writes the public half as SubjectPublicKeyInfo (44 bytes) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no public half, [`EncodingError::OutputLength`].
    pub fn encode_public(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        encode_public(X25519, self.public.as_ref().map(reversed).as_ref(), output)
    }
}

/// Shows which halves there are, not the private one.
impl fmt::Debug for X25519Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(formatter, "X25519Key", self.private.is_some(), self.public.as_ref())
    }
}

/// An Ed25519 key: a seed, a public half or both, in the byte order of RFC 8032.
#[derive(Clone, PartialEq, Eq)]
pub struct Ed25519Key {
    /// The seed: the private half.
    pub seed: Option<Zeroizing<[u8; 32]>>,
    /// The public half.
    pub public: Option<[u8; 32]>,
}

impl Ed25519Key {
    /// The largest encoding, in bytes: a pair.
    pub const MAX_ENCODING: usize = 82;

    /// Decodes OneAsymmetricKey (or PKCS#8) or SubjectPublicKeyInfo.
    ///
    /// Beside a seed, a public half of 32 zeros counts as absent: peers store a lone seed in this way (document 03,
    /// §12.1), and it is no key that anyone could have.
    ///
    /// # Errors
    /// [`EncodingError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let octets = Octets::decode(ED25519, bytes)?;
        let public = octets.public.filter(|public| octets.private.is_none() || **public != [0; 32]);
        Ok(Self { seed: octets.private.copied().map(Zeroizing::new), public: public.copied() })
    }

    /// Checks that the public half belongs to the seed, if the key has both.
    ///
    /// # Errors
    /// [`EncodingError::Mismatch`], [`EncodingError::Driver`].
    pub fn check<D: Curve25519 + ?Sized>(&self, driver: &D) -> Result<(), EncodingError> {
        if let (Some(seed), Some(public)) = (&self.seed, &self.public) {
            let mut derived = [0; 32];
            driver.ed25519_public(seed, &mut derived).map_err(EncodingError::Driver)?;
            if !constant_time_equal(&derived, public) {
                return Err(EncodingError::Mismatch);
            }
        }
        Ok(())
    }

    /// Writes the key with its seed (82 bytes, or 48 if it has no public half) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no seed, [`EncodingError::OutputLength`].
    pub fn encode_private(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        encode_private(ED25519, self.seed.as_deref(), self.public.as_ref(), output)
    }

    /// Writes the public half as SubjectPublicKeyInfo (44 bytes) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no public half, [`EncodingError::OutputLength`].
    pub fn encode_public(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        encode_public(ED25519, self.public.as_ref(), output)
    }
}

/// Shows which halves there are, not the seed.
impl fmt::Debug for Ed25519Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(formatter, "Ed25519Key", self.seed.is_some(), self.public.as_ref())
    }
}

fn debug(
    formatter: &mut fmt::Formatter<'_>,
    name: &str,
    has_private: bool,
    public: Option<&[u8; 32]>,
) -> fmt::Result {
    formatter.debug_struct(name).field("has_private", &has_private).field("public", &public).finish()
}
