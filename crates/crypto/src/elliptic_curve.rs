//! The family of the Weierstrass curves: key generation, ECDSA and ECDH.

use crate::Error;

/// A curve of NIST (FIPS 186-5, NIST SP 800-186), SEC 2 or Brainpool (RFC 5639).
///
/// A driver may lack some of them and answers [`Error::Unsupported`] then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// P-224.
    P224,
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
    /// secp256k1 (SEC 2, §2.4.1).
    Secp256k1,
    /// brainpoolP256r1 (RFC 5639, §3.4).
    BrainpoolP256r1,
    /// brainpoolP384r1 (RFC 5639, §3.6).
    BrainpoolP384r1,
}

impl Curve {
    /// The curves of NIST, smallest first.
    pub const NIST: [Self; 4] = [Self::P224, Self::P256, Self::P384, Self::P521];

    /// All curves: first those of NIST.
    pub const ALL: [Self; 7] = [
        Self::P224,
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Secp256k1,
        Self::BrainpoolP256r1,
        Self::BrainpoolP384r1,
    ];

    /// Size of a field element, and of a private key, in bytes: 28, 32, 48 or 66.
    #[must_use]
    #[inline(never)]
    pub const fn field_size(self) -> usize {
        match self {
            Self::P224 => 28,
            Self::P256 | Self::Secp256k1 | Self::BrainpoolP256r1 => 32,
            Self::P384 | Self::BrainpoolP384r1 => 48,
            Self::P521 => 66,
        }
    }

    /// Size of a public key, the coordinates X ‖ Y, in bytes. An ECDSA signature, r ‖ s, has the same size.
    #[must_use]
    pub const fn point_size(self) -> usize {
        self.field_size().saturating_mul(2)
    }

    /// The largest [`point_size`](Self::point_size) of all curves.
    pub const MAX_POINT: usize = 132;
}

/// Elliptic-curve cryptography on the curves of [`Curve`].
///
/// A private key is a big-endian scalar of [`Curve::field_size`] bytes, a public key the big-endian affine
/// coordinates X ‖ Y. Every method checks what it is given: a private key in 1..order, a public key on the curve.
pub trait EllipticCurve {
    /// Generates a key pair.
    ///
    /// # Errors
    /// [`Error::KeyLength`] if a slice has the wrong size, [`Error::Entropy`].
    fn ec_generate(&self, curve: Curve, private: &mut [u8], public: &mut [u8]) -> Result<(), Error> {
        let _ = (curve, private, public);
        Err(Error::Unsupported)
    }

    /// Computes the public key of a private key.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`].
    fn ec_public(&self, curve: Curve, private: &[u8], public: &mut [u8]) -> Result<(), Error> {
        let _ = (curve, private, public);
        Err(Error::Unsupported)
    }

    /// Checks that a public key is a point on the curve.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`] if it is not.
    fn ec_check(&self, curve: Curve, public: &[u8]) -> Result<(), Error> {
        let _ = (curve, public);
        Err(Error::Unsupported)
    }

    /// Signs a digest with ECDSA (FIPS 186-5 §6.4) and a nonce that never repeats. A digest longer than the order
    /// counts by its leftmost bits. `signature` receives r ‖ s, each of [`Curve::field_size`] bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`], [`Error::OutputLength`], [`Error::Entropy`]; [`Error::DataLength`] if
    /// the digest is empty.
    fn ecdsa_sign(
        &self,
        curve: Curve,
        private: &[u8],
        digest: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (curve, private, digest, signature);
        Err(Error::Unsupported)
    }

    /// Verifies an ECDSA signature r ‖ s of a digest.
    ///
    /// # Errors
    /// [`Error::Authentication`] if the signature is not valid, for instance because it has the wrong length;
    /// [`Error::KeyLength`], [`Error::Key`]; [`Error::DataLength`] if the digest is empty.
    fn ecdsa_verify(
        &self,
        curve: Curve,
        public: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let _ = (curve, public, digest, signature);
        Err(Error::Unsupported)
    }

    /// Agrees on a secret (NIST SP 800-56A, ECC CDH): the X coordinate, [`Curve::field_size`] bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Key`], [`Error::OutputLength`].
    fn ecdh(&self, curve: Curve, private: &[u8], public: &[u8], secret: &mut [u8]) -> Result<(), Error> {
        let _ = (curve, private, public, secret);
        Err(Error::Unsupported)
    }
}
