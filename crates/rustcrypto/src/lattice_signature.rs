//! ML-DSA.

use crate::connection::public_key;
use crate::{Connection, Error};
use alloc::vec;
use casemate_client::{Key, MlDsa, MlDsaMessage};
use casemate_protocol::KeyId;
use casemate_protocol::message::key::KeyAlgorithm;
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};
use signature::{Keypair, Signer};
use spki::der::AnyRef;
use spki::{AlgorithmIdentifierRef, AssociatedAlgorithmIdentifier, SignatureAlgorithmIdentifier};

/// A parameter set of ML-DSA.
pub trait MlDsaParameters: MlDsaParams + AssociatedAlgorithmIdentifier<Params = AnyRef<'static>> {
    /// The same, for the client.
    const PARAMETERS: MlDsa;
}

impl MlDsaParameters for MlDsa44 {
    const PARAMETERS: MlDsa = MlDsa::MlDsa44;
}

impl MlDsaParameters for MlDsa65 {
    const PARAMETERS: MlDsa = MlDsa::MlDsa65;
}

impl MlDsaParameters for MlDsa87 {
    const PARAMETERS: MlDsa = MlDsa::MlDsa87;
}

/// An ML-DSA key of the server (FIPS 204), used with an empty context.
#[derive(Clone)]
pub struct MlDsaKey<H, P: MlDsaParams> {
    connection: H,
    id: KeyId,
    public: VerifyingKey<P>,
}

debug_by_id!(MlDsaKey<H, P> where P: MlDsaParams);

impl<H: Connection, P: MlDsaParameters> MlDsaKey<H, P> {
    /// The key with this identifier, whose public half is read from the server. It needs `USAGE_SIGN`.
    ///
    /// # Errors
    /// [`Error`]: the server has no such key, or it is of another parameter set.
    pub fn open(connection: H, id: KeyId) -> Result<Self, Error> {
        let bytes = public_key(&connection, id, KeyAlgorithm::ML_DSA)?;
        let read = spki::SubjectPublicKeyInfoRef::try_from(bytes.as_slice());
        let public =
            read.and_then(VerifyingKey::try_from).map_err(|error| Error::public_key("ML-DSA", error))?;
        Ok(Self { connection, id, public })
    }
}

impl<H, P: MlDsaParams> Keypair for MlDsaKey<H, P> {
    type VerifyingKey = VerifyingKey<P>;

    fn verifying_key(&self) -> VerifyingKey<P> {
        self.public.clone()
    }
}

/// The whole message goes to the server, and has to fit a packet, as has the signature.
impl<H: Connection, P: MlDsaParameters> Signer<Signature<P>> for MlDsaKey<H, P> {
    fn try_sign(&self, message: &[u8]) -> Result<Signature<P>, signature::Error> {
        let mut bytes = vec![0; P::PARAMETERS.signature_size()];
        let length = self
            .connection
            .with(|client| {
                let message = MlDsaMessage::Pure(message);
                Ok(client.ml_dsa_sign(Key::Id(self.id), P::PARAMETERS, message, b"", &mut bytes)?)
            })
            .map_err(Error::signature)?;
        Signature::try_from(bytes.get(..length).unwrap_or_default())
    }
}

impl<H, P: MlDsaParameters> SignatureAlgorithmIdentifier for MlDsaKey<H, P> {
    type Params = AnyRef<'static>;

    const SIGNATURE_ALGORITHM_IDENTIFIER: AlgorithmIdentifierRef<'static> = P::ALGORITHM_IDENTIFIER;
}
