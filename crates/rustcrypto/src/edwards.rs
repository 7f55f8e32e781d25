//! Ed25519.

use crate::connection::public_key;
use crate::{Connection, Error};
use casemate_client::{Ed25519Mode, Key};
use casemate_protocol::KeyId;
use casemate_protocol::message::key::KeyAlgorithm;
use ed25519_dalek::pkcs8::DecodePublicKey;
use ed25519_dalek::{Signature, VerifyingKey};
use signature::{Keypair, Signer};
use spki::der::AnyRef;
use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SignatureAlgorithmIdentifier};

/// An Ed25519 key of the server (RFC 8032).
#[derive(Clone)]
pub struct Ed25519Key<H> {
    connection: H,
    id: KeyId,
    public: VerifyingKey,
}

debug_by_id!(Ed25519Key<H>);

impl<H: Connection> Ed25519Key<H> {
    /// The key with this identifier, whose public half is read from the server. It needs `USAGE_SIGN`.
    ///
    /// # Errors
    /// [`Error`]: the server has no such key, or it is no Ed25519 key.
    pub fn open(connection: H, id: KeyId) -> Result<Self, Error> {
        let bytes = public_key(&connection, id, KeyAlgorithm::ED25519)?;
        let public =
            VerifyingKey::from_public_key_der(&bytes).map_err(|error| Error::public_key("Ed25519", error))?;
        Ok(Self { connection, id, public })
    }
}

impl<H> Keypair for Ed25519Key<H> {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        self.public
    }
}

/// The whole message goes to the server, and has to fit a packet.
impl<H: Connection> Signer<Signature> for Ed25519Key<H> {
    fn try_sign(&self, message: &[u8]) -> Result<Signature, signature::Error> {
        let signed = self
            .connection
            .with(|client| Ok(client.ed25519_sign(Key::Id(self.id), Ed25519Mode::Pure, message)?))
            .map_err(Error::signature)?;
        Ok(Signature::from_bytes(&signed))
    }
}

impl<H> SignatureAlgorithmIdentifier for Ed25519Key<H> {
    type Params = AnyRef<'static>;

    const SIGNATURE_ALGORITHM_IDENTIFIER: AlgorithmIdentifierRef<'static> =
        AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap("1.3.101.112"), parameters: None };
}
