//! A private key that a server holds: an object of the module `casemate`, which C finds by the running session.

use crate::ffi;
use alloc::vec::Vec;
use casemate_rustls::{RemoteRequest, RemoteSigner};
use rustls::Error;

/// The largest signature in bytes: RSA with 4096 bits.
const MAX_SIGNATURE: usize = 512;

/// Asks C, which speaks to the server while the handshake waits.
#[derive(Debug)]
pub(super) struct Held;

impl RemoteSigner for Held {
    fn sign(&self, request: RemoteRequest<'_>) -> Result<Vec<u8>, Error> {
        let (RemoteRequest::Ecdsa(data) | RemoteRequest::Ed25519(data) | RemoteRequest::Rsa(data)) = request
        else {
            return Err(Error::General("not a kind of key that the module casemate has".into()));
        };
        let mut signature = [0; MAX_SIGNATURE];
        let length = ffi::sign(data, &mut signature);
        match signature.get(..length) {
            Some(signature) if length > 0 => Ok(signature.to_vec()),
            _ => Err(Error::General("the server did not sign".into())),
        }
    }
}
