//! ML-KEM.

use crate::connection::public_key;
use crate::{Connection, Error};
use casemate_client::{Key, MlKem};
use casemate_protocol::KeyId;
use casemate_protocol::message::key::KeyAlgorithm;
use kem::{Ciphertext, Decapsulator, Kem, SharedKey, TryDecapsulate, TryKeyInit};
use ml_kem::{MlKem512, MlKem768, MlKem1024};
use zeroize::Zeroizing;

/// A parameter set of ML-KEM.
pub trait MlKemParameters: Kem {
    /// The same, for the client.
    const PARAMETERS: MlKem;
}

impl MlKemParameters for MlKem512 {
    const PARAMETERS: MlKem = MlKem::MlKem512;
}

impl MlKemParameters for MlKem768 {
    const PARAMETERS: MlKem = MlKem::MlKem768;
}

impl MlKemParameters for MlKem1024 {
    const PARAMETERS: MlKem = MlKem::MlKem1024;
}

/// An ML-KEM key of the server (FIPS 203). The shared secret comes out of the HSM; the key does not.
#[derive(Clone)]
pub struct MlKemKey<H, P: Kem> {
    connection: H,
    id: KeyId,
    public: P::EncapsulationKey,
}

debug_by_id!(MlKemKey<H, P> where P: Kem);

impl<H: Connection, P: MlKemParameters> MlKemKey<H, P> {
    /// The key with this identifier, whose public half is read from the server. It needs `USAGE_DERIVE`.
    ///
    /// # Errors
    /// [`Error`]: the server has no such key, or it is of another parameter set.
    pub fn open(connection: H, id: KeyId) -> Result<Self, Error> {
        let bytes = public_key(&connection, id, KeyAlgorithm::ML_KEM)?;
        let fault = |error: &dyn core::fmt::Display| Error::public_key("ML-KEM", error);
        let public = P::EncapsulationKey::new_from_slice(&bytes).map_err(|error| fault(&error))?;
        Ok(Self { connection, id, public })
    }
}

impl<H, P: Kem> Decapsulator for MlKemKey<H, P> {
    type Kem = P;

    fn encapsulation_key(&self) -> &P::EncapsulationKey {
        &self.public
    }
}

impl<H: Connection, P: MlKemParameters> TryDecapsulate for MlKemKey<H, P> {
    type Error = Error;

    fn try_decapsulate(&self, ciphertext: &Ciphertext<P>) -> Result<SharedKey<P>, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        self.connection.with(|client| {
            Ok(client.ml_kem_decapsulate(Key::Id(self.id), P::PARAMETERS, ciphertext, &mut secret)?)
        })?;
        SharedKey::<P>::try_from(secret.as_slice()).map_err(Error::other)
    }
}
