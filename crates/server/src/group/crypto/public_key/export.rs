//! The public half of a stored key (document 03, §6.5 and §12.3).

use super::common::encoding_status;
#[cfg(any(feature = "ml-dsa", feature = "rsa"))]
use super::common::number_status;
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
    Curve25519Key, Curve25519Use, EcKey, EncodingError, MlDsaKey, MlKemKey, RsaKey, encode_rsa_public,
};
use casemate_crypto::{Curve, MlDsaSet, Secret};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{Label, ObjectId, Status};

/// Writes the public half of a key as SubjectPublicKeyInfo, or in its family's raw form, and returns its length. `label`
/// becomes the key's.
///
/// The families are not inlined: a key on a curve does not take the stack of an ML-DSA key.
///
/// # Errors
/// BAD_ARGUMENTS for an algorithm that the server lacks, after all that document 03 puts before it; what the decoding
/// says.
pub(crate) fn export_public<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    algorithm: KeyAlgorithm,
    out: &mut [u8],
    label: &mut Label,
) -> Result<usize, Status> {
    match algorithm {
        #[cfg(feature = "elliptic-curves")]
        KeyAlgorithm::ECC => export_elliptic_curve(context, id, out, label),
        #[cfg(feature = "curve25519")]
        KeyAlgorithm::X25519 => export_curve25519(context, id, Curve25519Use::X25519, out, label),
        #[cfg(feature = "curve25519")]
        KeyAlgorithm::ED25519 => export_curve25519(context, id, Curve25519Use::Ed25519, out, label),
        #[cfg(feature = "rsa")]
        KeyAlgorithm::RSA => export_rsa(context, id, out, label),
        #[cfg(feature = "ml-dsa")]
        KeyAlgorithm::ML_DSA => export_ml_dsa(context, id, out, label),
        #[cfg(feature = "ml-kem")]
        KeyAlgorithm::ML_KEM => export_ml_kem(context, id, out, label),
        #[cfg(feature = "hash-signatures")]
        KeyAlgorithm::LMS | KeyAlgorithm::XMSS => export_stateful(context, id, algorithm, out, label),
        _ => {
            context.locked(|keys| keys.for_public_export(id).map(|_| ()))?;
            Err(Status::BAD_ARGUMENTS)
        }
    }
}

#[cfg(feature = "elliptic-curves")]
#[inline(never)]
fn export_elliptic_curve<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    out: &mut [u8],
    label: &mut Label,
) -> Result<usize, Status> {
    let mut room = Secret::<{ elliptic_curve::KEY_ROOM }>::zero();
    let bytes = copy_key(context, id, Status::ASN_PARSE, room.as_mut_slice(), label)?;
    let key = EcKey::decode(bytes).map_err(encoding_status)?;
    let driver = context.crypto(Affinity::Accelerated);
    let mut buffer = [0; Curve::MAX_POINT];
    let public = key.public_or_derived(driver, &mut buffer).map_err(encoding_status)?;
    let key = EcKey { curve: key.curve, private: None, public: Some(public) };
    key.encode_public(out).map_err(encoding_status)
}

#[cfg(feature = "curve25519")]
#[inline(never)]
fn export_curve25519<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    kind: Curve25519Use,
    out: &mut [u8],
    label: &mut Label,
) -> Result<usize, Status> {
    let mut key = Curve25519Key::empty(kind);
    let mut room = Secret::<{ curve25519::KEY_ROOM }>::zero();
    let bytes = copy_key(context, id, Status::ASN_PARSE, room.as_mut_slice(), label)?;
    key.decode(bytes).map_err(encoding_status)?;
    let driver = context.crypto(Affinity::Accelerated);
    if kind == Curve25519Use::Ed25519 {
        key.check(driver).map_err(|error| match error {
            EncodingError::Mismatch => Status::ASN_PARSE,
            error => encoding_status(error),
        })?;
    }
    curve25519::complete(driver, &mut key)?;
    key.encode_public(out).map_err(encoding_status)
}

#[cfg(feature = "rsa")]
#[inline(never)]
fn export_rsa<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    out: &mut [u8],
    label: &mut Label,
) -> Result<usize, Status> {
    let mut room = Secret::<{ rsa::KEY_ROOM }>::zero();
    let bytes = copy_key(context, id, Status::ASN_PARSE, room.as_mut_slice(), label)?;
    let key = RsaKey::decode(bytes);
    let key = key.as_ref().map_err(|error| number_status(*error))?;
    encode_rsa_public(&key.public(), out).map_err(encoding_status)
}

#[cfg(feature = "ml-dsa")]
#[inline(never)]
fn export_ml_dsa<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    out: &mut [u8],
    label: &mut Label,
) -> Result<usize, Status> {
    let mut room = Secret::<{ ml_dsa::KEY_ROOM }>::zero();
    let bytes = copy_key(context, id, Status::ASN_PARSE, room.as_mut_slice(), label)?;
    let key = MlDsaKey::decode(bytes);
    let key = key.as_ref().map_err(|error| number_status(*error))?;
    let mut buffer = [0; MlDsaSet::MlDsa87.public_size()];
    let public = ml_dsa::public(context.crypto(Affinity::Accelerated), key, &mut buffer)?;
    let key = MlDsaKey { set: key.set, private: None, seed: None, public: Some(public) };
    key.encode_public(out).map_err(encoding_status)
}

#[cfg(feature = "ml-kem")]
#[inline(never)]
fn export_ml_kem<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    out: &mut [u8],
    label: &mut Label,
) -> Result<usize, Status> {
    let mut room = Secret::<{ ml_kem::KEY_ROOM }>::zero();
    let bytes = copy_key(context, id, Status::BUFFER, room.as_mut_slice(), label)?;
    let key = MlKemKey::decode(bytes).map_err(|_| Status::BUFFER)?;
    let driver = context.crypto(Affinity::Accelerated);
    driver.ml_kem_check(key.set, bytes).map_err(|_| Status::BUFFER)?;
    out.get_mut(..key.public.len()).ok_or(Status::BUFFER)?.copy_from_slice(key.public);
    Ok(key.public.len())
}

#[cfg(feature = "hash-signatures")]
#[inline(never)]
fn export_stateful<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    algorithm: KeyAlgorithm,
    out: &mut [u8],
    label: &mut Label,
) -> Result<usize, Status> {
    let mut room = Secret::<{ super::stateful::KEY_ROOM }>::zero();
    let bytes = copy_key(context, id, Status::BAD_ARGUMENTS, room.as_mut_slice(), label)?;
    let public = super::stateful::public(bytes, algorithm == KeyAlgorithm::LMS)?;
    out.get_mut(..public.len()).ok_or(Status::BUFFER)?.copy_from_slice(public);
    Ok(public.len())
}

/// Copies a key in its encoded form to `room`, and its label.
///
/// # Errors
/// What the policy says; `too_long` for a key that the room does not hold.
#[inline(never)]
fn copy_key<'r, P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    too_long: Status,
    room: &'r mut [u8],
    label: &mut Label,
) -> Result<&'r [u8], Status> {
    context.locked(|keys| {
        let cached = keys.for_public_export(id)?;
        let copy = room.get_mut(..cached.key.len()).ok_or(too_long)?;
        copy.copy_from_slice(cached.key);
        *label = cached.metadata.label;
        Ok(&*copy)
    })
}
