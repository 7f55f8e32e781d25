//! Keys of X25519 and Ed25519 (RFC 8410, with the deviations that the [module](super) names).

use super::{Algorithm, Elements, EncodingError, Malformed, PrivateKeyInfo, PublicKeyInfo, is_private, tag};
use crate::{Curve25519, Secret, constant_time_equal};
use core::fmt;
use zeroize::Zeroizing;

/// 1.3.101.110.
const X25519: Algorithm<'_> = Algorithm { identifier: &[0x2b, 0x65, 0x6e], parameters: &[] };
/// 1.3.101.112.
const ED25519: Algorithm<'_> = Algorithm { identifier: &[0x2b, 0x65, 0x70], parameters: &[] };

/// What a key of this family is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve25519Use {
    /// Agreement (RFC 7748).
    X25519,
    /// Signatures (RFC 8032).
    Ed25519,
}

impl Curve25519Use {
    const fn algorithm(self) -> Algorithm<'static> {
        match self {
            Self::X25519 => X25519,
            Self::Ed25519 => ED25519,
        }
    }

    /// Turns octets from the order of an encoding to the RFC's, or back.
    #[inline(never)]
    fn reorder(self, octets: &mut [u8; 32]) {
        if self == Self::X25519 {
            octets.reverse();
        }
    }

    fn public<D: Curve25519 + ?Sized>(
        self,
        driver: &D,
        private: &[u8; 32],
        public: &mut [u8; 32],
    ) -> Result<(), EncodingError> {
        match self {
            Self::X25519 => driver.x25519_public(private, public),
            Self::Ed25519 => driver.ed25519_public(private, public),
        }
        .map_err(EncodingError::Driver)
    }
}

/// A key of X25519 or Ed25519, for code that serves both: as [`X25519Key`] or [`Ed25519Key`].
#[derive(Clone)]
pub struct Curve25519Key {
    /// What it is for.
    pub kind: Curve25519Use,
    /// The private half: of X25519 as it is stored, not necessarily clamped; of Ed25519 the seed.
    pub private: Option<Secret<32>>,
    /// The public half.
    pub public: Option<[u8; 32]>,
}

impl Curve25519Key {
    /// The largest encoding, in bytes: a pair.
    pub const MAX_ENCODING: usize = 82;

    /// A key without halves.
    #[must_use]
    pub const fn empty(kind: Curve25519Use) -> Self {
        Self { kind, private: None, public: None }
    }

    /// Fills an empty key in its place from OneAsymmetricKey (or PKCS#8) or SubjectPublicKeyInfo. What an error leaves in
    /// it is no key.
    ///
    /// # Errors
    /// [`EncodingError::Malformed`].
    #[inline(never)]
    pub fn decode(&mut self, bytes: &[u8]) -> Result<(), EncodingError> {
        self.fill(bytes)?;
        Ok(())
    }

    fn fill(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let (algorithm, public);
        if is_private(bytes)? {
            let info = PrivateKeyInfo::decode(bytes)?;
            let mut inner = Elements::new(info.private_key);
            let private: &[u8; 32] = inner.take(tag::OCTET_STRING)?.try_into().map_err(|_| Malformed)?;
            inner.finish()?;
            self.kind.reorder(self.private.insert(Secret::new(*private)));
            (algorithm, public) = (info.algorithm, info.public_key(32)?);
        } else {
            let info = PublicKeyInfo::decode(bytes)?;
            (algorithm, public) = (info.algorithm, Some(info.public_key));
        }
        if let Some(public) = public {
            let public: &[u8; 32] = public.try_into().map_err(|_| Malformed)?;
            let is_absent =
                self.kind == Curve25519Use::Ed25519 && self.private.is_some() && *public == [0; 32];
            if !is_absent {
                self.kind.reorder(self.public.insert(*public));
            }
        }
        if algorithm == self.kind.algorithm() { Ok(()) } else { Err(Malformed) }
    }

    /// Computes the public half if there is only the private one. What an error leaves in the key is no public half.
    ///
    /// # Errors
    /// [`EncodingError::Driver`].
    pub fn complete<D: Curve25519 + ?Sized>(&mut self, driver: &D) -> Result<(), EncodingError> {
        match (&self.private, &self.public) {
            (Some(private), None) => self.kind.public(driver, private, self.public.insert([0; 32])),
            _ => Ok(()),
        }
    }

    /// Checks that the public half belongs to the private half, if the key has both.
    ///
    /// # Errors
    /// [`EncodingError::Mismatch`], [`EncodingError::Driver`].
    pub fn check<D: Curve25519 + ?Sized>(&self, driver: &D) -> Result<(), EncodingError> {
        if let (Some(private), Some(public)) = (&self.private, &self.public) {
            let mut derived = [0; 32];
            self.kind.public(driver, private, &mut derived)?;
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
    #[inline(never)]
    pub fn encode_private(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        let Some(mut private) = self.private.clone() else { return Err(EncodingError::Missing) };
        self.kind.reorder(&mut private);
        let mut public = self.public;
        if let Some(public) = &mut public {
            self.kind.reorder(public);
        }
        let public = public.as_ref().map(<[u8; 32]>::as_slice);
        super::encode_private_key_info(self.kind.algorithm(), private.as_slice(), public, output)
    }

    /// Writes the public half as SubjectPublicKeyInfo (44 bytes) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no public half, [`EncodingError::OutputLength`].
    #[inline(never)]
    pub fn encode_public(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        let mut public = self.public.ok_or(EncodingError::Missing)?;
        self.kind.reorder(&mut public);
        super::encode_public_key_info(self.kind.algorithm(), &[&public], output)
    }
}

/// Shows which halves there are, not the private one.
impl fmt::Debug for Curve25519Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            Curve25519Use::X25519 => "X25519Key",
            Curve25519Use::Ed25519 => "Ed25519Key",
        };
        let has_private = self.private.is_some();
        formatter.debug_struct(name).field("has_private", &has_private).field("public", &self.public).finish()
    }
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
        let mut key = Curve25519Key::empty(Curve25519Use::X25519);
        key.decode(bytes)?;
        Ok(Self { private: key.private.take().map(|private| Zeroizing::new(*private)), public: key.public })
    }

    fn common(&self) -> Curve25519Key {
        let private = self.private.as_deref().copied().map(Secret::new);
        Curve25519Key { kind: Curve25519Use::X25519, private, public: self.public }
    }

    /// Checks that the public half belongs to the private half, if the key has both.
    ///
    /// # Errors
    /// [`EncodingError::Mismatch`], [`EncodingError::Driver`].
    pub fn check<D: Curve25519 + ?Sized>(&self, driver: &D) -> Result<(), EncodingError> {
        self.common().check(driver)
    }

    /// Writes the key with its private half (82 bytes, or 48 if it has no public half) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no private half, [`EncodingError::OutputLength`].
    pub fn encode_private(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        self.common().encode_private(output)
    }

    /// Writes the public half as SubjectPublicKeyInfo (44 bytes) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no public half, [`EncodingError::OutputLength`].
    pub fn encode_public(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        self.common().encode_public(output)
    }
}

/// Shows which halves there are, not the private one.
impl fmt::Debug for X25519Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.common().fmt(formatter)
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
        let mut key = Curve25519Key::empty(Curve25519Use::Ed25519);
        key.decode(bytes)?;
        Ok(Self { seed: key.private.take().map(|seed| Zeroizing::new(*seed)), public: key.public })
    }

    fn common(&self) -> Curve25519Key {
        let private = self.seed.as_deref().copied().map(Secret::new);
        Curve25519Key { kind: Curve25519Use::Ed25519, private, public: self.public }
    }

    /// Checks that the public half belongs to the seed, if the key has both.
    ///
    /// # Errors
    /// [`EncodingError::Mismatch`], [`EncodingError::Driver`].
    pub fn check<D: Curve25519 + ?Sized>(&self, driver: &D) -> Result<(), EncodingError> {
        self.common().check(driver)
    }

    /// Writes the key with its seed (82 bytes, or 48 if it has no public half) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no seed, [`EncodingError::OutputLength`].
    pub fn encode_private(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        self.common().encode_private(output)
    }

    /// Writes the public half as SubjectPublicKeyInfo (44 bytes) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no public half, [`EncodingError::OutputLength`].
    pub fn encode_public(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        self.common().encode_public(output)
    }
}

/// Shows which halves there are, not the seed.
impl fmt::Debug for Ed25519Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.common().fmt(formatter)
    }
}
