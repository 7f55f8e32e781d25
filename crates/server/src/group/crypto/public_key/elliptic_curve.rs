//! Elliptic curves: key generation, ECDSA, ECDH, public points (document 05, §4).

use super::common::{ANY_USAGE, Lent, deliver_key, deliver_secret, encoding_status, held, load, wants};
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::Operation;
use crate::group::crypto::new_key::Slots;
use crate::keys::{Usage, Wanted};
use crate::platform::Platform;
use casemate_crypto::encoding::{
    EcKey, EncodingError, decode_ecdsa_signature, encode_ecdsa_signature, encode_point,
};
use casemate_crypto::{Curve, Driver, Error as CryptoError, Secret, constant_time_equal};
use casemate_protocol::message::public_key::{
    EcCheckPublicRequest, EcCheckPublicResponse, EcKeyGenerationRequest, EcMakePublicRequest, EcdhRequest,
    EcdsaSignRequest, EcdsaVerifyRequest, EcdsaVerifyResponse, SignatureResponse, algorithm, curve, option,
};
use casemate_protocol::{ByteOrder, Flags, KeyId, Layout, Malformed, Status};

/// Room for every encoding of an elliptic-curve key, attributes of a PKCS#8 key included.
pub(super) const KEY_ROOM: usize = 384;
/// The largest digest that a message may carry, and the smallest.
const DIGEST_LENGTHS: core::ops::RangeInclusive<usize> = 28..=64;

/// The key that a message names, in `room`.
fn load_key<'r, P: Platform>(
    context: &mut Context<'_, P>,
    key: u32,
    usage: Usage,
    room: &'r mut [u8; KEY_ROOM],
) -> Result<EcKey<'r>, Status> {
    EcKey::decode(load(context, key, usage, room)?).map_err(encoding_status)
}

/// The curve that a generation request means: the one named, else the smallest that is large enough.
fn named_curve(number: i32, size: u32) -> Result<Curve, Status> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > Curve::P521.field_size() {
        return Err(Status::ECC_ARGUMENT);
    }
    match number {
        curve::P224 => Ok(Curve::P224),
        curve::P256 => Ok(Curve::P256),
        curve::P384 => Ok(Curve::P384),
        curve::P521 => Ok(Curve::P521),
        curve::SECP256K1 => Ok(Curve::Secp256k1),
        curve::BRAINPOOL_P256R1 => Ok(Curve::BrainpoolP256r1),
        curve::BRAINPOOL_P384R1 => Ok(Curve::BrainpoolP384r1),
        1.. => Err(Status::ECC_CURVE),
        ..=-1 if size == 0 => Err(Status::CRYPTO_ARGUMENT),
        _ => Curve::NIST.into_iter().find(|curve| curve.field_size() >= size).ok_or(Status::ECC_ARGUMENT),
    }
}

#[inline(never)]
pub(super) fn generate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) =
        EcKeyGenerationRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let EcKeyGenerationRequest { size, curve, key, flags, label, .. } = request;
    let curve = named_curve(curve, size)?;
    let mut private = Secret::<{ Curve::MAX_POINT }>::zero();
    let private = private.get_mut(..curve.field_size()).ok_or(Status::ABORTED)?;
    let mut public = [0; Curve::MAX_POINT];
    let public = public.get_mut(..curve.point_size()).ok_or(Status::ABORTED)?;
    operation.driver.ec_generate(curve, private, public).map_err(|error| match error {
        CryptoError::Unsupported => Status::ECC_CURVE,
        error => crypto_status(error),
    })?;
    let wanted = Wanted { id: KeyId::from_u32(key), flags, label: &label };
    let key = EcKey { curve, private: Some(private), public: Some(public) };
    let mut encoded = Secret::<{ EcKey::MAX_ENCODING }>::zero();
    let length = key.encode_private(encoded.as_mut_slice()).map_err(encoding_status)?;
    let encoded = encoded.get(..length).unwrap_or_default();
    deliver_key(context, operation.out, &wanted, encoded, Slots::BigFirst, &|out| key.encode_public(out))
}

fn check_digest(digest: &[u8]) -> Result<(), Status> {
    if !DIGEST_LENGTHS.contains(&digest.len()) {
        return Err(Status::BAD_LENGTH);
    }
    if digest.iter().all(|&byte| byte == 0) {
        return Err(Status::ECC_ARGUMENT);
    }
    Ok(())
}

/// A request of any operation with one key.
struct Request<'r> {
    options: u32,
    key: u32,
    /// The digest, or the client's idea of the public point.
    input: &'r [u8],
    signature: &'r [u8],
}

impl<'r> Request<'r> {
    fn decode(algorithm: u32, body: &'r [u8], order: ByteOrder) -> Result<Self, Malformed> {
        // The others begin in the same way.
        let (EcMakePublicRequest { options, key }, _) = EcMakePublicRequest::decode(body, order)?;
        let (input, signature): (_, &[u8]) = match algorithm {
            algorithm::ECDSA_SIGN => {
                let (request, tail) = EcdsaSignRequest::decode(body, order)?;
                (request.tail(tail)?, &[])
            }
            algorithm::ECDSA_VERIFY => {
                let (request, tail) = EcdsaVerifyRequest::decode(body, order)?;
                let tails = request.tails(tail)?;
                (tails.message, tails.signature)
            }
            algorithm::EC_CHECK_PUBLIC => {
                let (request, tail) = EcCheckPublicRequest::decode(body, order)?;
                (request.tail(tail)?, &[])
            }
            _ => (&[], &[]),
        };
        Ok(Self { options, key, input, signature })
    }
}

/// Any operation with one key.
#[inline(never)]
pub(super) fn operate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let Operation { algorithm, driver, body, out } = operation;
    let request = &Request::decode(algorithm, body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    lent.one(request.options, request.key);
    let mut room = Secret::<KEY_ROOM>::zero();
    let usage = match algorithm {
        algorithm::ECDSA_SIGN => Flags::USAGE_SIGN,
        algorithm::ECDSA_VERIFY => Flags::USAGE_VERIFY,
        _ => Flags::NONE,
    };
    let key = load_key(context, request.key, Usage::All(usage), &mut room);
    let key = held(&key)?;
    match algorithm {
        algorithm::ECDSA_VERIFY => verify(context, driver, key, request, out),
        algorithm::EC_CHECK_PUBLIC => {
            check_public(driver, key, request.input)?;
            Ok(context.put(&EcCheckPublicResponse { valid: 1 }, out))
        }
        _ => compute(context, driver, key, request, algorithm == algorithm::ECDSA_SIGN, out),
    }
}

/// Signs a digest, or computes the public point.
#[inline(never)]
fn compute<P: Platform>(
    context: &Context<'_, P>,
    driver: &dyn Driver,
    key: &EcKey<'_>,
    request: &Request<'_>,
    is_signature: bool,
    out: &mut [u8],
) -> Result<usize, Status> {
    let mut computed = [0; Curve::MAX_POINT];
    let computed = if is_signature {
        check_digest(request.input)?;
        let private = key.private.ok_or(Status::ECC_ARGUMENT)?;
        let signature = computed.get_mut(..key.curve.point_size()).ok_or(Status::ABORTED)?;
        driver.ecdsa_sign(key.curve, private, request.input, signature).map_err(private_key_status)?;
        signature
    } else {
        computed_public(driver, key, &mut computed)?
    };
    // EcMakePublicResponse looks the same.
    let (head, tail) = out.split_at_mut_checked(SignatureResponse::SIZE).ok_or(Status::BUFFER)?;
    let encode = if is_signature { encode_ecdsa_signature } else { encode_point };
    let length = encode(computed, tail).map_err(encoding_status)?;
    let response = SignatureResponse { length: u32::try_from(length).unwrap_or(0) };
    Ok(context.put(&response, head).saturating_add(length))
}

/// The status of an operation with a private key.
#[inline(never)]
const fn private_key_status(error: CryptoError) -> Status {
    match error {
        CryptoError::Key | CryptoError::KeyLength => Status::ECC_PRIVATE_KEY,
        error => crypto_status(error),
    }
}

#[inline(never)]
fn verify<P: Platform>(
    context: &Context<'_, P>,
    driver: &dyn Driver,
    key: &EcKey<'_>,
    request: &Request<'_>,
    out: &mut [u8],
) -> Result<usize, Status> {
    let digest = request.input;
    check_digest(digest)?;
    let mut buffer = [0; Curve::MAX_POINT];
    let public = key.public_or_derived(driver, &mut buffer).map_err(encoding_status)?;
    let mut signature = [0; Curve::MAX_POINT];
    let valid = match decode_ecdsa_signature(key.curve, request.signature, &mut signature) {
        Ok(length) => {
            let signature = signature.get(..length).unwrap_or_default();
            match driver.ecdsa_verify(key.curve, public, digest, signature) {
                Ok(()) => true,
                Err(CryptoError::Authentication) => false,
                Err(error) => return Err(public_key_status(error)),
            }
        }
        Err(EncodingError::SignatureRange) => false,
        Err(error) => return Err(encoding_status(error)),
    };
    let (head, tail) = out.split_at_mut_checked(EcdsaVerifyResponse::SIZE).ok_or(Status::BUFFER)?;
    let length = if wants(request.options, option::EXPORT_PUBLIC) {
        let key = EcKey { curve: key.curve, private: None, public: Some(public) };
        key.encode_public(tail).map_err(encoding_status)?
    } else {
        0
    };
    let response =
        EcdsaVerifyResponse { valid: u32::from(valid), public_length: u32::try_from(length).unwrap_or(0) };
    Ok(context.put(&response, head).saturating_add(length))
}

/// The status of an operation with somebody's public key.
#[inline(never)]
const fn public_key_status(error: CryptoError) -> Status {
    match error {
        CryptoError::Key | CryptoError::KeyLength => Status::POINT,
        error => crypto_status(error),
    }
}

#[inline(never)]
pub(super) fn agree<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    lent: &mut Lent,
) -> Result<usize, Status> {
    let (request, _) =
        EcdhRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let EcdhRequest { options, private_key, public_key, flags, key, label } = request;
    lent.pair(options, public_key, private_key);
    let mut own_room = Secret::<KEY_ROOM>::zero();
    let mut peer_room = Secret::<KEY_ROOM>::zero();
    let mut secret = Secret::<{ Curve::MAX_POINT }>::zero();
    let own = load_key(context, private_key, Usage::All(Flags::USAGE_DERIVE), &mut own_room);
    let own = held(&own)?;
    let peer = load_key(context, public_key, ANY_USAGE, &mut peer_room);
    let peer = held(&peer)?;
    let private = own.private.filter(|_| own.curve == peer.curve).ok_or(Status::ECC_ARGUMENT)?;
    let driver = operation.driver;
    let mut buffer = [0; Curve::MAX_POINT];
    let public = peer.public_or_derived(driver, &mut buffer).map_err(encoding_status)?;
    driver.ec_check(peer.curve, public).map_err(public_key_status)?;
    let secret = secret.get_mut(..own.curve.field_size()).ok_or(Status::ABORTED)?;
    driver.ecdh(own.curve, private, public, secret).map_err(private_key_status)?;
    let wanted = Wanted { id: KeyId::from_u32(key), flags, label: &label };
    deliver_secret(context, operation.out, &wanted, secret, lent)
}

/// The point is always computed from the private key, whatever public half is stored beside it.
fn computed_public<'b>(
    driver: &dyn Driver,
    key: &EcKey<'_>,
    buffer: &'b mut [u8; Curve::MAX_POINT],
) -> Result<&'b [u8], Status> {
    let private = key.private.ok_or(Status::ECC_PRIVATE_KEY)?;
    let public = buffer.get_mut(..key.curve.point_size()).ok_or(Status::ABORTED)?;
    driver.ec_public(key.curve, private, public).map_err(private_key_status)?;
    Ok(public)
}

/// Checks the public half of a key, that it belongs to the private one, and that a client has the same.
#[inline(never)]
fn check_public(driver: &dyn Driver, key: &EcKey<'_>, theirs: &[u8]) -> Result<(), Status> {
    let mut buffer = [0; Curve::MAX_POINT];
    let public = key.public_or_derived(driver, &mut buffer).map_err(encoding_status)?;
    driver.ec_check(key.curve, public).map_err(public_key_status)?;
    if key.private.is_some() {
        let mut buffer = [0; Curve::MAX_POINT];
        if !constant_time_equal(computed_public(driver, key, &mut buffer)?, public) {
            return Err(Status::ECC_PRIVATE_KEY);
        }
    }
    if !theirs.is_empty() && !matches!(theirs, [4, coordinates @ ..] if coordinates == public) {
        return Err(Status::ECC_PRIVATE_KEY);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Document 05, §4.2.
    #[test]
    fn curves_are_named_or_chosen_by_size() {
        assert_eq!(named_curve(7, 0), Ok(Curve::P256));
        assert_eq!(named_curve(7, 67), Err(Status::ECC_ARGUMENT));
        assert_eq!(named_curve(20, 32), Ok(Curve::Secp256k1));
        assert_eq!(named_curve(24, 32), Ok(Curve::BrainpoolP256r1));
        assert_eq!(named_curve(26, 48), Ok(Curve::BrainpoolP384r1));
        assert_eq!(named_curve(27, 64), Err(Status::ECC_CURVE));
        for (size, curve) in [(0, Curve::P224), (28, Curve::P224), (32, Curve::P256), (48, Curve::P384)] {
            assert_eq!(named_curve(0, size), Ok(curve));
        }
        assert_eq!(named_curve(-1, 66), Ok(Curve::P521));
        assert_eq!(named_curve(-1, 0), Err(Status::CRYPTO_ARGUMENT));
    }
}
