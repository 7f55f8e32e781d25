//! Private keys that a server holds, as signers: the handshake asks the server for each signature.

use crate::DriverSource;
use crate::sign::{Kind, RSA_SCHEMES, choose, failed, refused, signature_algorithm};
use crate::verify::digest;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use casemate_client::{Client, Ed25519Mode, Key, RsaOperation};
use casemate_crypto::encoding::{EcKey, Ed25519Key, RsaKey};
use casemate_crypto::rsa_padding::{Pss, pkcs1_signature_encode};
use casemate_crypto::{Curve, HashAlgorithm};
use casemate_protocol::KeyId;
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_transport::{ClientTransport, Clock};
use core::fmt;
use core::marker::PhantomData;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use std::sync::{Mutex, PoisonError};

/// The largest public key that TLS uses, as servers encode it, in bytes: RSA with 4096 bits.
const MAX_PUBLIC: usize = 600;

/// A private key in a server's key store: RSA, ECDSA on P-256, P-384 or P-521, or Ed25519. It needs `USAGE_SIGN`.
///
/// Signatures are made one after the other on the client's connection; give several keys to several threads if that is
/// too few. `S` says which driver hashes and pads, which needs no secret.
pub struct HsmKey<S, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    shared: Arc<Shared<T, B, C>>,
    source: PhantomData<fn() -> S>,
}

struct Shared<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    client: Mutex<Client<T, B, C>>,
    id: KeyId,
    kind: Kind,
    /// Size of an RSA modulus in bytes.
    modulus: usize,
}

impl<S, T, B, C> HsmKey<S, T, B, C>
where
    S: DriverSource,
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// The key `id` over a connection that has said INIT, and has logged in if the server has users. The server is asked
    /// for its public half, which tells what key it is.
    ///
    /// # Errors
    /// [`Error::General`] if there is no such key, or none that TLS can use.
    pub fn new(mut client: Client<T, B, C>, id: KeyId) -> Result<Self, Error> {
        let mut public = [0; MAX_PUBLIC];
        let mut found = None;
        for algorithm in [KeyAlgorithm::ECC, KeyAlgorithm::ED25519, KeyAlgorithm::RSA] {
            let Ok((length, _)) = client.key_export_public(id, algorithm, &mut public) else { continue };
            found = public.get(..length).and_then(kind);
            if found.is_some() {
                break;
            }
        }
        let (kind, modulus) = found.ok_or_else(refused)?;
        let shared = Shared { client: Mutex::new(client), id, kind, modulus };
        Ok(Self { shared: Arc::new(shared), source: PhantomData })
    }
}

fn kind(public: &[u8]) -> Option<(Kind, usize)> {
    if let Ok(key) = EcKey::decode(public) {
        let usable = matches!(key.curve, Curve::P256 | Curve::P384 | Curve::P521);
        return usable.then_some((Kind::Ec(key.curve), 0));
    }
    if Ed25519Key::decode(public).is_ok() {
        return Some((Kind::Ed25519, 0));
    }
    let modulus = RsaKey::decode(public).ok()?.public().modulus;
    Some((Kind::Rsa(crate::verify::bits(modulus)), modulus.len()))
}

impl<S, T, B, C> fmt::Debug for HsmKey<S, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HsmKey")
            .field("id", &self.shared.id)
            .field("kind", &self.shared.kind)
            .finish_non_exhaustive()
    }
}

impl<S, T, B, C> SigningKey for HsmKey<S, T, B, C>
where
    S: DriverSource,
    T: ClientTransport + Send + 'static,
    B: AsRef<[u8]> + AsMut<[u8]> + Send + 'static,
    C: Clock + Send + 'static,
{
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = choose(self.shared.kind, offered)?;
        let key = Self { shared: Arc::clone(&self.shared), source: PhantomData };
        Some(Box::new(HsmSigner { key, scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        signature_algorithm(self.shared.kind)
    }
}

struct HsmSigner<S, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    key: HsmKey<S, T, B, C>,
    scheme: SignatureScheme,
}

impl<S, T, B, C> fmt::Debug for HsmSigner<S, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HsmSigner").field("key", &self.key).field("scheme", &self.scheme).finish()
    }
}

fn unsigned<E>(_: E) -> Error {
    Error::General("the server did not sign: check the connection, the key and its usage".into())
}

impl<S, T, B, C> Signer for HsmSigner<S, T, B, C>
where
    S: DriverSource,
    T: ClientTransport + Send + 'static,
    B: AsRef<[u8]> + AsMut<[u8]> + Send + 'static,
    C: Clock + Send + 'static,
{
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let Shared { client, id, kind, modulus } = &*self.key.shared;
        let key = Key::Id(*id);
        let mut space = [0; 64];
        // A client whose request failed in another thread can go on.
        let lock = || client.lock().unwrap_or_else(PoisonError::into_inner);
        match kind {
            Kind::Ec(curve) => {
                let hash = match curve {
                    Curve::P384 => HashAlgorithm::Sha384,
                    Curve::P521 => HashAlgorithm::Sha512,
                    _ => HashAlgorithm::Sha256,
                };
                let digest = digest::<S>(hash, message, &mut space).map_err(failed)?;
                let mut signature = [0; 139];
                let length = lock().ecdsa_sign(key, digest, &mut signature).map_err(unsigned)?;
                Ok(signature.get(..length).ok_or_else(refused)?.to_vec())
            }
            Kind::Ed25519 => {
                let signature = lock().ed25519_sign(key, Ed25519Mode::Pure, message).map_err(unsigned)?;
                Ok(signature.to_vec())
            }
            Kind::Rsa(bits) => {
                let scheme = RSA_SCHEMES.into_iter().find(|(known, ..)| *known == self.scheme);
                let (_, hash, pss) = scheme.ok_or_else(refused)?;
                let digest = digest::<S>(hash, message, &mut space).map_err(failed)?;
                let mut block = alloc::vec![0; *modulus];
                if pss {
                    let pss = Pss::new(hash).ok_or_else(refused)?;
                    pss.encode(S::driver(), *bits, digest, &mut block).map_err(failed)?;
                } else {
                    pkcs1_signature_encode(hash, digest, &mut block).map_err(failed)?;
                }
                let mut signature = alloc::vec![0; *modulus];
                let length = lock()
                    .rsa(RsaOperation::PrivateEncrypt, key, &block, &mut signature)
                    .map_err(unsigned)?;
                if length == *modulus { Ok(signature) } else { Err(unsigned(())) }
            }
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
