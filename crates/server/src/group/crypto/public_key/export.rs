//! The public half of a stored key (document 03, §6.5 and §12.3).

use super::{curve25519, elliptic_curve, encoding_status};
use crate::server::{Affinity, Context, Platform};
use casemate_crypto::Curve;
use casemate_crypto::encoding::{EcKey, Ed25519Key, X25519Key};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{Metadata, ObjectId, Status};
use zeroize::Zeroizing;

/// Writes the public half of a key as SubjectPublicKeyInfo, or in its family's raw form, and returns its length and the
/// key's metadata.
///
/// # Errors
/// BAD_ARGUMENTS for an algorithm that the server lacks, after all that document 03 puts before it; what the decoding
/// says.
pub(crate) fn export_public<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    algorithm: KeyAlgorithm,
    out: &mut [u8],
) -> Result<(Metadata, usize), Status> {
    match algorithm {
        KeyAlgorithm::ECC => {
            let (metadata, bytes) = copy::<P, { elliptic_curve::KEY_ROOM }>(context, id, Status::ASN_PARSE)?;
            let bytes = bytes.get(..usize::from(metadata.length)).unwrap_or_default();
            let key = EcKey::decode(bytes).map_err(encoding_status)?;
            let driver = context.crypto(Affinity::Accelerated);
            let mut buffer = [0; Curve::MAX_POINT];
            let public = key.public_or_derived(driver, &mut buffer).map_err(encoding_status)?;
            let key = EcKey { curve: key.curve, private: None, public: Some(public) };
            Ok((metadata, key.encode_public(out).map_err(encoding_status)?))
        }
        KeyAlgorithm::X25519 => {
            let (metadata, bytes) = copy::<P, { curve25519::KEY_ROOM }>(context, id, Status::ASN_PARSE)?;
            let bytes = bytes.get(..usize::from(metadata.length)).unwrap_or_default();
            let key = X25519Key::decode(bytes).map_err(encoding_status)?;
            let public = curve25519::x25519_public(context.crypto(Affinity::Accelerated), &key)?;
            let key = X25519Key { private: None, public: Some(public) };
            Ok((metadata, key.encode_public(out).map_err(encoding_status)?))
        }
        KeyAlgorithm::ED25519 => {
            let (metadata, bytes) = copy::<P, { curve25519::KEY_ROOM }>(context, id, Status::ASN_PARSE)?;
            let bytes = bytes.get(..usize::from(metadata.length)).unwrap_or_default();
            let key = Ed25519Key::decode(bytes).map_err(encoding_status)?;
            let public = curve25519::ed25519_public(context.crypto(Affinity::Accelerated), &key)?;
            let key = Ed25519Key { seed: None, public: Some(public) };
            Ok((metadata, key.encode_public(out).map_err(encoding_status)?))
        }
        _ => {
            context.locked(|keys| keys.for_public_export(id).map(|_| ()))?;
            Err(Status::BAD_ARGUMENTS)
        }
    }
}

/// A copy of the key's encoded form.
fn copy<P: Platform, const N: usize>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    too_long: Status,
) -> Result<(Metadata, Zeroizing<[u8; N]>), Status> {
    let mut bytes = Zeroizing::new([0; N]);
    let metadata = context.locked(|keys| {
        let cached = keys.for_public_export(id)?;
        bytes.get_mut(..cached.key.len()).ok_or(too_long)?.copy_from_slice(cached.key);
        Ok(*cached.metadata)
    })?;
    Ok((metadata, bytes))
}
