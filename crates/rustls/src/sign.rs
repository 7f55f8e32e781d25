//! Private keys that this process holds, as signers.

use crate::DriverSource;
use crate::verify::digest;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use casemate_crypto::encoding::{EcKey, Ed25519Key, encode_ecdsa_signature};
use casemate_crypto::{Curve, Curve25519, Ed25519Mode, EllipticCurve, HashAlgorithm};
use core::fmt;
use core::marker::PhantomData;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use zeroize::Zeroizing;

/// What a key is; its numbers are decoded when they are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ec(Curve),
    Ed25519,
    /// With the number of bits of the modulus.
    #[cfg(feature = "rsa")]
    Rsa(usize),
}

/// The RSA schemes, the preferred one first: the hash, and whether it is PSS.
#[cfg(feature = "rsa")]
pub(crate) const RSA_SCHEMES: [(SignatureScheme, HashAlgorithm, bool); 6] = [
    (SignatureScheme::RSA_PSS_SHA256, HashAlgorithm::Sha256, true),
    (SignatureScheme::RSA_PSS_SHA384, HashAlgorithm::Sha384, true),
    (SignatureScheme::RSA_PSS_SHA512, HashAlgorithm::Sha512, true),
    (SignatureScheme::RSA_PKCS1_SHA256, HashAlgorithm::Sha256, false),
    (SignatureScheme::RSA_PKCS1_SHA384, HashAlgorithm::Sha384, false),
    (SignatureScheme::RSA_PKCS1_SHA512, HashAlgorithm::Sha512, false),
];

/// A private key in DER, which is wiped when the last user drops it.
struct Key<S> {
    der: Arc<Zeroizing<Vec<u8>>>,
    kind: Kind,
    source: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for Key<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

pub(crate) fn failed(_: impl fmt::Debug) -> Error {
    Error::General("the driver did not sign".into())
}

pub(crate) fn refused() -> Error {
    Error::General("this is no private key that TLS can use: pass EC, Ed25519 or RSA".into())
}

/// Whether this build has a curve.
pub(crate) fn usable(curve: Curve) -> bool {
    curve == Curve::P256
        || (cfg!(feature = "p384") && curve == Curve::P384)
        || (cfg!(feature = "p521") && curve == Curve::P521)
}

/// Loads a PKCS#8, SEC 1 or PKCS#1 key. Its form is checked here; a driver checks its numbers when it signs.
pub(crate) fn load<S: DriverSource>(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, Error> {
    let der = key.secret_der();
    let kind = kind(der).ok_or_else(refused)?;
    let der = Arc::new(Zeroizing::new(der.to_vec()));
    Ok(Arc::new(Key::<S> { der, kind, source: PhantomData }))
}

fn kind(der: &[u8]) -> Option<Kind> {
    if let Ok(key) = EcKey::decode(der) {
        return (usable(key.curve) && key.private.is_some()).then_some(Kind::Ec(key.curve));
    }
    if let Ok(key) = Ed25519Key::decode(der) {
        return key.seed.is_some().then_some(Kind::Ed25519);
    }
    #[cfg(feature = "rsa")]
    if let Ok(key) = casemate_crypto::encoding::RsaKey::decode(der) {
        let modulus = key.private().ok()?.public.modulus;
        return Some(Kind::Rsa(crate::verify::bits(modulus)));
    }
    None
}

/// The scheme that a key of this kind signs with for a peer that takes those offered.
pub(crate) fn choose(kind: Kind, offered: &[SignatureScheme]) -> Option<SignatureScheme> {
    let scheme = match kind {
        Kind::Ec(Curve::P384) => SignatureScheme::ECDSA_NISTP384_SHA384,
        Kind::Ec(Curve::P521) => SignatureScheme::ECDSA_NISTP521_SHA512,
        Kind::Ec(_) => SignatureScheme::ECDSA_NISTP256_SHA256,
        Kind::Ed25519 => SignatureScheme::ED25519,
        #[cfg(feature = "rsa")]
        Kind::Rsa(bits) => {
            // A PSS block holds two digests and two octets (RFC 8017, §9.1.1): small keys do not fit large hashes.
            let fits = |hash: HashAlgorithm, pss: bool| {
                let size = hash.digest_size().unwrap_or(0);
                !pss || bits.saturating_sub(1).div_ceil(8) >= size.saturating_mul(2).saturating_add(2)
            };
            RSA_SCHEMES
                .iter()
                .find(|(scheme, hash, pss)| offered.contains(scheme) && fits(*hash, *pss))
                .map(|(scheme, ..)| *scheme)?
        }
    };
    offered.contains(&scheme).then_some(scheme)
}

pub(crate) const fn signature_algorithm(kind: Kind) -> SignatureAlgorithm {
    match kind {
        Kind::Ec(_) => SignatureAlgorithm::ECDSA,
        Kind::Ed25519 => SignatureAlgorithm::ED25519,
        #[cfg(feature = "rsa")]
        Kind::Rsa(_) => SignatureAlgorithm::RSA,
    }
}

impl<S: DriverSource> SigningKey for Key<S> {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = choose(self.kind, offered)?;
        let key = Self { der: self.der.clone(), kind: self.kind, source: PhantomData };
        Some(Box::new(KeySigner { key, scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        signature_algorithm(self.kind)
    }
}

#[derive(Debug)]
struct KeySigner<S> {
    key: Key<S>,
    scheme: SignatureScheme,
}

impl<S: DriverSource> Signer for KeySigner<S> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.key.kind {
            Kind::Ec(curve) => sign_ecdsa::<S>(curve, &self.key.der, message),
            Kind::Ed25519 => sign_ed25519::<S>(&self.key.der, message),
            #[cfg(feature = "rsa")]
            Kind::Rsa(bits) => sign_rsa::<S>(bits, self.scheme, &self.key.der, message),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

fn sign_ecdsa<S: DriverSource>(curve: Curve, der: &[u8], message: &[u8]) -> Result<Vec<u8>, Error> {
    let hash = match curve {
        Curve::P384 => HashAlgorithm::Sha384,
        Curve::P521 => HashAlgorithm::Sha512,
        _ => HashAlgorithm::Sha256,
    };
    let mut space = [0; 64];
    let digest = digest::<S>(hash, message, &mut space).map_err(failed)?;
    let key = EcKey::decode(der).map_err(failed)?;
    let mut numbers = [0; Curve::MAX_POINT];
    let numbers = numbers.get_mut(..curve.point_size()).ok_or_else(refused)?;
    S::driver().ecdsa_sign(curve, key.private.ok_or_else(refused)?, digest, numbers).map_err(failed)?;
    let mut signature = [0; 139];
    let size = encode_ecdsa_signature(numbers, &mut signature).map_err(failed)?;
    Ok(signature.get(..size).ok_or_else(refused)?.to_vec())
}

fn sign_ed25519<S: DriverSource>(der: &[u8], message: &[u8]) -> Result<Vec<u8>, Error> {
    let key = Ed25519Key::decode(der).map_err(failed)?;
    let seed = key.seed.as_ref().ok_or_else(refused)?;
    let mut public = [0; 32];
    S::driver().ed25519_public(seed, &mut public).map_err(failed)?;
    let mut signature = [0; 64];
    S::driver().ed25519_sign(seed, &public, Ed25519Mode::Pure, message, &mut signature).map_err(failed)?;
    Ok(signature.to_vec())
}

#[cfg(feature = "rsa")]
fn sign_rsa<S: DriverSource>(
    bits: usize,
    scheme: SignatureScheme,
    der: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    use casemate_crypto::Rsa;
    use casemate_crypto::encoding::RsaKey;
    use casemate_crypto::rsa_padding::{Pss, pkcs1_signature_encode};
    let (_, hash, pss) = RSA_SCHEMES.into_iter().find(|(known, ..)| *known == scheme).ok_or_else(refused)?;
    let mut space = [0; 64];
    let digest = digest::<S>(hash, message, &mut space).map_err(failed)?;
    let key = RsaKey::decode(der).map_err(failed)?.private().map_err(failed)?;
    let mut block = alloc::vec![0; key.public.modulus.len()];
    if pss {
        let pss = Pss::new(hash).ok_or_else(refused)?;
        pss.encode(S::driver(), bits, digest, &mut block).map_err(failed)?;
    } else {
        pkcs1_signature_encode(hash, digest, &mut block).map_err(failed)?;
    }
    S::driver().rsa_private(&key, &mut block).map_err(failed)?;
    Ok(block)
}
