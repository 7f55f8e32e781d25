//! The family of Curve25519: X25519 and Ed25519.

use crate::Error;

/// Which variant of Ed25519 (RFC 8032 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ed25519Mode<'a> {
    /// Ed25519: the message as it is.
    Pure,
    /// Ed25519ctx: the message with a context of up to 255 bytes, possibly empty.
    Context(&'a [u8]),
    /// Ed25519ph: the "message" is a SHA-512 digest; with a context of up to 255 bytes, possibly empty.
    Prehashed(&'a [u8]),
}

/// X25519 (RFC 7748) and Ed25519 (RFC 8032). All keys are in the byte order of the RFCs.
pub trait Curve25519 {
    /// Computes the X25519 public key of a private key, which is clamped first. (Any 32 random bytes are a private
    /// key.)
    ///
    /// # Errors
    /// None but those of a driver's device.
    fn x25519_public(&self, private: &[u8; 32], public: &mut [u8; 32]) -> Result<(), Error> {
        let _ = (private, public);
        Err(Error::Unsupported)
    }

    /// Agrees on a secret.
    ///
    /// # Errors
    /// [`Error::Key`] if the secret would be all zeros: the public key is a point of small order.
    fn x25519(&self, private: &[u8; 32], public: &[u8; 32], secret: &mut [u8; 32]) -> Result<(), Error> {
        let _ = (private, public, secret);
        Err(Error::Unsupported)
    }

    /// Computes the Ed25519 public key of a seed. (Any 32 random bytes are a seed.)
    ///
    /// # Errors
    /// None but those of a driver's device.
    fn ed25519_public(&self, seed: &[u8; 32], public: &mut [u8; 32]) -> Result<(), Error> {
        let _ = (seed, public);
        Err(Error::Unsupported)
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`Error::DataLength`] for a context over 255 bytes or a digest that is not 64 bytes long; [`Error::Key`] if
    /// `public` is not the public key of `seed`: signing with a foreign one would give the private key away.
    fn ed25519_sign(
        &self,
        seed: &[u8; 32],
        public: &[u8; 32],
        mode: Ed25519Mode<'_>,
        message: &[u8],
        signature: &mut [u8; 64],
    ) -> Result<(), Error> {
        let _ = (seed, public, mode, message, signature);
        Err(Error::Unsupported)
    }

    /// Verifies a signature by the equation without the cofactor, comparing encodings.
    ///
    /// # Errors
    /// [`Error::Authentication`] if it is not valid, [`Error::Signature`] if its second half, S, is not below the
    /// order of the group, [`Error::Key`] if the public key is no point, [`Error::DataLength`] as for signing.
    fn ed25519_verify(
        &self,
        public: &[u8; 32],
        mode: Ed25519Mode<'_>,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), Error> {
        let _ = (public, mode, message, signature);
        Err(Error::Unsupported)
    }
}
