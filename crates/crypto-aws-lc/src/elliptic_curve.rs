//! The NIST curves.

use crate::AwsLc;
use crate::ffi::curve::{PrivateKey, PublicKey};
use casemate_crypto::{Curve, EllipticCurve, Error};

impl EllipticCurve for AwsLc {
    fn ec_generate(&self, curve: Curve, private: &mut [u8], public: &mut [u8]) -> Result<(), Error> {
        if private.len() != curve.field_size() || public.len() != curve.point_size() {
            return Err(Error::KeyLength);
        }
        PrivateKey::generate(curve, private, public)
    }

    fn ec_public(&self, curve: Curve, private: &[u8], public: &mut [u8]) -> Result<(), Error> {
        if public.len() != curve.point_size() {
            return Err(Error::KeyLength);
        }
        PrivateKey::from_bytes(curve, private)?.public()?.write(public)
    }

    fn ec_check(&self, curve: Curve, public: &[u8]) -> Result<(), Error> {
        PublicKey::from_bytes(curve, public).map(drop)
    }

    fn ecdsa_sign(
        &self,
        curve: Curve,
        private: &[u8],
        digest: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        if digest.is_empty() {
            return Err(Error::DataLength);
        }
        if signature.len() != curve.point_size() {
            return Err(Error::OutputLength);
        }
        PrivateKey::from_bytes(curve, private)?.sign(digest, signature)
    }

    fn ecdsa_verify(
        &self,
        curve: Curve,
        public: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        if digest.is_empty() {
            return Err(Error::DataLength);
        }
        let key = PublicKey::from_bytes(curve, public)?;
        if signature.len() == curve.point_size() && key.verify(digest, signature)? {
            Ok(())
        } else {
            Err(Error::Authentication)
        }
    }

    fn ecdh(&self, curve: Curve, private: &[u8], public: &[u8], secret: &mut [u8]) -> Result<(), Error> {
        if secret.len() != curve.field_size() {
            return Err(Error::OutputLength);
        }
        let private = PrivateKey::from_bytes(curve, private)?;
        private.agree(&PublicKey::from_bytes(curve, public)?, secret)
    }
}
