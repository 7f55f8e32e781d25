//! The public half of a stored key (document 03, §6.5 and §12.3).

use super::common::encoding_status;
#[cfg(feature = "curve25519")]
use super::curve25519;
#[cfg(feature = "elliptic-curves")]
use super::elliptic_curve;
#[cfg(feature = "ml-dsa")]
use super::ml_dsa;
#[cfg(feature = "ml-kem")]
use super::ml_kem;
#[cfg(feature = "rsa")]
use super::rsa;
use crate::context::Context;
use crate::platform::{Affinity, Platform};
use casemate_crypto::encoding::{
    EcKey, Ed25519Key, EncodingError, MlDsaKey, MlKemKey, RsaKey, X25519Key, encode_rsa_public,
};
use casemate_crypto::{Curve, MlDsaSet, Secret};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{Metadata, ObjectId, Status};

/// Writes the public half of a key as SubjectPublicKeyInfo, or in its family's raw form, and returns its length and the
/// key's metadata.
///
/// # Errors
/// BAD_ARGUMENTS for an algorithm that the server lacks, after all that document 03 puts before it; what the decoding
/// says.
#[inline(never)]
pub(crate) fn export_public<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    algorithm: KeyAlgorithm,
    out: &mut [u8],
) -> Result<(Metadata, usize), Status> {
    match algorithm {
        #[cfg(feature = "elliptic-curves")]
        KeyAlgorithm::ECC => {
            let copy = KeyCopy::<{ elliptic_curve::KEY_ROOM }>::of(context, id, Status::ASN_PARSE)?;
            let key = EcKey::decode(copy.bytes()).map_err(encoding_status)?;
            let driver = context.crypto(Affinity::Accelerated);
            let mut buffer = [0; Curve::MAX_POINT];
            let public = key.public_or_derived(driver, &mut buffer).map_err(encoding_status)?;
            let key = EcKey { curve: key.curve, private: None, public: Some(public) };
            Ok((copy.metadata, key.encode_public(out).map_err(encoding_status)?))
        }
        #[cfg(feature = "curve25519")]
        KeyAlgorithm::X25519 => {
            let copy = KeyCopy::<{ curve25519::KEY_ROOM }>::of(context, id, Status::ASN_PARSE)?;
            let key = X25519Key::decode(copy.bytes()).map_err(encoding_status)?;
            let public = curve25519::x25519_public(context.crypto(Affinity::Accelerated), &key)?;
            let key = X25519Key { private: None, public: Some(public) };
            Ok((copy.metadata, key.encode_public(out).map_err(encoding_status)?))
        }
        #[cfg(feature = "curve25519")]
        KeyAlgorithm::ED25519 => {
            let copy = KeyCopy::<{ curve25519::KEY_ROOM }>::of(context, id, Status::ASN_PARSE)?;
            let key = Ed25519Key::decode(copy.bytes()).map_err(encoding_status)?;
            let driver = context.crypto(Affinity::Accelerated);
            key.check(driver).map_err(|error| match error {
                EncodingError::Mismatch => Status::ASN_PARSE,
                error => encoding_status(error),
            })?;
            let public = curve25519::ed25519_public(driver, &key)?;
            let key = Ed25519Key { seed: None, public: Some(public) };
            Ok((copy.metadata, key.encode_public(out).map_err(encoding_status)?))
        }
        #[cfg(feature = "rsa")]
        KeyAlgorithm::RSA => {
            let copy = KeyCopy::<{ rsa::KEY_ROOM }>::of(context, id, Status::ASN_PARSE)?;
            let key = RsaKey::decode(copy.bytes()).map_err(rsa::rsa_encoding_status)?;
            Ok((copy.metadata, encode_rsa_public(&key.public(), out).map_err(encoding_status)?))
        }
        #[cfg(feature = "ml-dsa")]
        KeyAlgorithm::ML_DSA => {
            let copy = KeyCopy::<{ ml_dsa::KEY_ROOM }>::of(context, id, Status::ASN_PARSE)?;
            let key = MlDsaKey::decode(copy.bytes()).map_err(ml_dsa::ml_dsa_encoding_status)?;
            let mut buffer = [0; MlDsaSet::MlDsa87.public_size()];
            let public = ml_dsa::public(context.crypto(Affinity::Accelerated), &key, &mut buffer)?;
            let key = MlDsaKey { set: key.set, private: None, seed: None, public: Some(public) };
            Ok((copy.metadata, key.encode_public(out).map_err(encoding_status)?))
        }
        #[cfg(feature = "ml-kem")]
        KeyAlgorithm::ML_KEM => {
            let copy = KeyCopy::<{ ml_kem::KEY_ROOM }>::of(context, id, Status::BUFFER)?;
            let key = MlKemKey::decode(copy.bytes()).map_err(|_| Status::BUFFER)?;
            let driver = context.crypto(Affinity::Accelerated);
            driver.ml_kem_check(key.set, copy.bytes()).map_err(|_| Status::BUFFER)?;
            out.get_mut(..key.public.len()).ok_or(Status::BUFFER)?.copy_from_slice(key.public);
            Ok((copy.metadata, key.public.len()))
        }
        #[cfg(feature = "hash-signatures")]
        KeyAlgorithm::LMS | KeyAlgorithm::XMSS => {
            let copy = KeyCopy::<{ super::stateful::KEY_ROOM }>::of(context, id, Status::BAD_ARGUMENTS)?;
            let public = super::stateful::public(copy.bytes(), algorithm == KeyAlgorithm::LMS)?;
            out.get_mut(..public.len()).ok_or(Status::BUFFER)?.copy_from_slice(public);
            Ok((copy.metadata, public.len()))
        }
        _ => {
            context.locked(|keys| keys.for_public_export(id).map(|_| ()))?;
            Err(Status::BAD_ARGUMENTS)
        }
    }
}

/// A copy of a key in its encoded form, of at most `N` bytes.
struct KeyCopy<const N: usize> {
    metadata: Metadata,
    room: Secret<N>,
}

impl<const N: usize> KeyCopy<N> {
    /// # Errors
    /// What the policy says; `too_long` for a key of more than `N` bytes.
    fn of<P: Platform>(context: &mut Context<'_, P>, id: ObjectId, too_long: Status) -> Result<Self, Status> {
        let mut room = Secret::<N>::zero();
        let metadata = context.locked(|keys| {
            let cached = keys.for_public_export(id)?;
            room.get_mut(..cached.key.len()).ok_or(too_long)?.copy_from_slice(cached.key);
            Ok(*cached.metadata)
        })?;
        Ok(Self { metadata, room })
    }

    /// The key's bytes.
    fn bytes(&self) -> &[u8] {
        self.room.get(..usize::from(self.metadata.length)).unwrap_or_default()
    }
}
