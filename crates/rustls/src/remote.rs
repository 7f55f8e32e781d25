//! Private keys that are elsewhere, as signers: what needs no secret is done here, the rest there.

use crate::DriverSource;
use crate::sign::{Kind, choose, failed, refused, signature_algorithm, usable};
use crate::verify::digest;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use casemate_crypto::encoding::{EcKey, Ed25519Key};
use casemate_crypto::{Curve, HashAlgorithm};
use core::fmt;
use core::marker::PhantomData;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

/// What a [`RemoteSigner`] is to do with its private key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RemoteRequest<'a> {
    /// Sign a digest with ECDSA; the signature is in DER (RFC 3279, §2.2.3).
    Ecdsa(&'a [u8]),
    /// Sign a message with Ed25519.
    Ed25519(&'a [u8]),
    /// Raise a padded block, as long as the modulus, to the private exponent; the result is as long.
    Rsa(&'a [u8]),
}

/// Whoever has a private key.
pub trait RemoteSigner: fmt::Debug + Send + Sync + 'static {
    /// Does what is asked. Called in a handshake, which waits.
    ///
    /// # Errors
    /// Any error ends the handshake; [`Error::General`] is usual.
    fn sign(&self, request: RemoteRequest<'_>) -> Result<Vec<u8>, Error>;
}

/// A rustls signing key whose private half a [`RemoteSigner`] has: RSA, ECDSA on P-256, P-384 or P-521, or Ed25519. `S` says
/// which driver hashes and pads, which needs no secret.
pub struct RemoteKey<S, R> {
    shared: Arc<Shared<R>>,
    source: PhantomData<fn() -> S>,
}

struct Shared<R> {
    signer: R,
    /// SubjectPublicKeyInfo.
    public: Vec<u8>,
    kind: Kind,
    /// Size of an RSA modulus in bytes.
    #[cfg(feature = "rsa")]
    modulus: usize,
}

impl<S, R> RemoteKey<S, R> {
    /// The key whose public half is `public` (SubjectPublicKeyInfo, RFC 5280, in DER).
    ///
    /// # Errors
    /// [`Error::General`] if it is no key that TLS can use.
    pub fn new(public: &[u8], signer: R) -> Result<Self, Error> {
        let (kind, modulus) = kind(public).ok_or_else(refused)?;
        #[cfg(not(feature = "rsa"))]
        let _ = modulus;
        let shared = Shared {
            signer,
            public: public.to_vec(),
            kind,
            #[cfg(feature = "rsa")]
            modulus,
        };
        Ok(Self { shared: Arc::new(shared), source: PhantomData })
    }
}

/// Whether it is a public key that TLS can use.
#[cfg(feature = "hsm")]
pub(crate) fn is_usable(public: &[u8]) -> bool {
    kind(public).is_some()
}

fn kind(public: &[u8]) -> Option<(Kind, usize)> {
    if let Ok(key) = EcKey::decode(public) {
        return usable(key.curve).then_some((Kind::Ec(key.curve), 0));
    }
    if Ed25519Key::decode(public).is_ok() {
        return Some((Kind::Ed25519, 0));
    }
    #[cfg(feature = "rsa")]
    if let Ok(key) = casemate_crypto::encoding::RsaKey::decode(public) {
        let modulus = key.public().modulus;
        return Some((Kind::Rsa(crate::verify::bits(modulus)), modulus.len()));
    }
    None
}

impl<S, R: fmt::Debug> fmt::Debug for RemoteKey<S, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteKey")
            .field("kind", &self.shared.kind)
            .field("signer", &self.shared.signer)
            .finish_non_exhaustive()
    }
}

impl<S: DriverSource, R: RemoteSigner> SigningKey for RemoteKey<S, R> {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = choose(self.shared.kind, offered)?;
        let key = Self { shared: Arc::clone(&self.shared), source: PhantomData };
        Some(Box::new(RemoteKeySigner { key, scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.shared.public.as_slice().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        signature_algorithm(self.shared.kind)
    }
}

#[derive(Debug)]
struct RemoteKeySigner<S, R: fmt::Debug> {
    key: RemoteKey<S, R>,
    scheme: SignatureScheme,
}

impl<S: DriverSource, R: RemoteSigner> Signer for RemoteKeySigner<S, R> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let shared = &*self.key.shared;
        let mut space = [0; 64];
        match shared.kind {
            Kind::Ec(curve) => {
                let hash = match curve {
                    Curve::P384 => HashAlgorithm::Sha384,
                    Curve::P521 => HashAlgorithm::Sha512,
                    _ => HashAlgorithm::Sha256,
                };
                let digest = digest::<S>(hash, message, &mut space).map_err(failed)?;
                shared.signer.sign(RemoteRequest::Ecdsa(digest))
            }
            Kind::Ed25519 => shared.signer.sign(RemoteRequest::Ed25519(message)),
            #[cfg(feature = "rsa")]
            Kind::Rsa(bits) => {
                use crate::sign::RSA_SCHEMES;
                use casemate_crypto::rsa_padding::{Pss, pkcs1_signature_encode};
                let scheme = RSA_SCHEMES.into_iter().find(|(known, ..)| *known == self.scheme);
                let (_, hash, pss) = scheme.ok_or_else(refused)?;
                let digest = digest::<S>(hash, message, &mut space).map_err(failed)?;
                let mut block = alloc::vec![0; shared.modulus];
                if pss {
                    let pss = Pss::new(hash).ok_or_else(refused)?;
                    pss.encode(S::driver(), bits, digest, &mut block).map_err(failed)?;
                } else {
                    pkcs1_signature_encode(hash, digest, &mut block).map_err(failed)?;
                }
                let signature = shared.signer.sign(RemoteRequest::Rsa(&block))?;
                if signature.len() == shared.modulus { Ok(signature) } else { Err(failed("length")) }
            }
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
