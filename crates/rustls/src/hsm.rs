//! Private keys that a server holds, as signers: the handshake asks the server for each signature.

use crate::DriverSource;
use crate::remote::{RemoteKey, RemoteRequest, RemoteSigner, is_usable};
use crate::sign::refused;
use alloc::boxed::Box;
use alloc::vec::Vec;
use casemate_client::{Client, Ed25519Mode, Key, RsaOperation};
use casemate_protocol::KeyId;
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_transport::{ClientTransport, Clock};
use core::fmt;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use std::sync::{Mutex, PoisonError};

/// The largest public key that TLS uses, as servers encode it, in bytes: RSA with 4096 bits.
const MAX_PUBLIC: usize = 600;

/// A private key in a server's key store: RSA, ECDSA on P-256, P-384 or P-521, or Ed25519. It needs `USAGE_SIGN`.
///
/// Signatures are made one after the other on the client's connection; give several keys to several threads if that is
/// too few. `S` says which driver hashes and pads, which needs no secret.
pub struct HsmKey<S, T, B, C>(RemoteKey<S, Connection<T, B, C>>)
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock;

struct Connection<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    client: Mutex<Client<T, B, C>>,
    id: KeyId,
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
        for algorithm in [KeyAlgorithm::ECC, KeyAlgorithm::ED25519, KeyAlgorithm::RSA] {
            let Ok((length, _)) = client.key_export_public(id, algorithm, &mut public) else { continue };
            let Some(public) = public.get(..length).filter(|public| is_usable(public)) else { continue };
            let connection = Connection { client: Mutex::new(client), id };
            return RemoteKey::new(public, connection).map(Self);
        }
        Err(refused())
    }
}

impl<S, T, B, C> fmt::Debug for HsmKey<S, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("HsmKey").field(&self.0).finish()
    }
}

impl<T, B, C> fmt::Debug for Connection<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
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
        self.0.choose_scheme(offered)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

fn unsigned<E>(_: E) -> Error {
    Error::General("the server did not sign: check the connection, the key and its usage".into())
}

impl<T, B, C> RemoteSigner for Connection<T, B, C>
where
    T: ClientTransport + Send + 'static,
    B: AsRef<[u8]> + AsMut<[u8]> + Send + 'static,
    C: Clock + Send + 'static,
{
    fn sign(&self, request: RemoteRequest<'_>) -> Result<Vec<u8>, Error> {
        let key = Key::Id(self.id);
        // A client whose request failed in another thread can go on.
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match request {
            RemoteRequest::Ecdsa(digest) => {
                let mut signature = [0; 139];
                let length = client.ecdsa_sign(key, digest, &mut signature).map_err(unsigned)?;
                Ok(signature.get(..length).ok_or_else(refused)?.to_vec())
            }
            RemoteRequest::Ed25519(message) => {
                let signature = client.ed25519_sign(key, Ed25519Mode::Pure, message).map_err(unsigned)?;
                Ok(signature.to_vec())
            }
            RemoteRequest::Rsa(block) => {
                let mut signature = alloc::vec![0; block.len()];
                let length =
                    client.rsa(RsaOperation::PrivateEncrypt, key, block, &mut signature).map_err(unsigned)?;
                if length == block.len() { Ok(signature) } else { Err(unsigned(())) }
            }
        }
    }
}
