//! Signatures and message authentication codes: making and checking them.

use crate::driver::driver;
use crate::error::{Error, Result, fail};
use crate::keys::{self, Kind, PublicKey};
use crate::mechanism::{self, Mechanism, Parameter};
use crate::object::Object;
use crate::token::Token;
use casemate_client::{self as client, RsaOperation};
use casemate_crypto::encoding::decode_ecdsa_signature;
use casemate_crypto::rsa_padding::{Pss, open_signature, pkcs1_signature_encode};
use casemate_crypto::{
    Curve, Driver, Ed25519Mode, HashAlgorithm, Hasher, MlDsaMessage, MlDsaSet, RSA_MAX_BYTES, RsaPublicKey,
    hmac_from_hash,
};
use cryptoki_sys::*;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest message that is gathered in pieces where it cannot be hashed piece by piece.
pub(crate) const GATHER_LIMIT: usize = 64 << 20;
/// The shortest digest that servers take for ECDSA, in bytes, and the longest.
const SHORTEST_DIGEST: usize = 28;
const LONGEST_DIGEST: usize = 64;

type LocalHasher = Hasher<'static, dyn Driver + Sync>;

enum Scheme {
    /// With the hash of the DigestInfo; without, the data is what is padded.
    RsaPkcs(Option<HashAlgorithm>),
    RsaPss(Pss),
    RsaRaw,
    Ecdsa(Curve),
    Ed25519 {
        prehashed: bool,
        context: Option<Vec<u8>>,
    },
    MlDsa {
        set: MlDsaSet,
        context: Vec<u8>,
        hash: Option<(client::HashAlgorithm, HashAlgorithm)>,
    },
    Cmac(usize),
    Hmac {
        hash: HashAlgorithm,
        length: usize,
        key: Zeroizing<Vec<u8>>,
    },
}

/// What there is of the message.
enum Gathered {
    Hash(HashAlgorithm, Box<LocalHasher>),
    Bytes(Vec<u8>),
}

/// A signature that is being made or checked.
pub(crate) struct Signing {
    token: Arc<Token>,
    key: Arc<Object>,
    scheme: Scheme,
    gathered: Gathered,
    /// Whether an update has begun.
    pub(crate) in_parts: bool,
}

const PARAMETER: Error = Error::Code(CKR_MECHANISM_PARAM_INVALID);

impl Signing {
    /// Begins to sign, or to verify, with a key that may do so.
    pub(crate) fn new(
        token: Arc<Token>,
        key: Arc<Object>,
        mechanism: &Mechanism,
        verify: bool,
    ) -> Result<Self> {
        mechanism::check(mechanism, if verify { CKF_VERIFY } else { CKF_SIGN })?;
        let class = key.attributes.class();
        let wanted = if verify { CKO_PUBLIC_KEY } else { CKO_PRIVATE_KEY };
        if !key.attributes.is(if verify { CKA_VERIFY } else { CKA_SIGN }) {
            return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
        }
        let (scheme, hash) = if class == CKO_SECRET_KEY {
            mac_scheme(&token, &key, mechanism)?
        } else if class == wanted {
            signature_scheme(Kind::of(&key.attributes)?, &key, mechanism)?
        } else {
            return fail(CKR_KEY_TYPE_INCONSISTENT);
        };
        let gathered = match hash {
            Some(hash) => Gathered::Hash(hash, Box::new(Hasher::new(driver(), hash))),
            None => Gathered::Bytes(Vec::new()),
        };
        Ok(Self { token, key, scheme, gathered, in_parts: false })
    }

    /// The signature's length in bytes.
    pub(crate) fn length(&self) -> usize {
        match &self.scheme {
            Scheme::RsaPkcs(_) | Scheme::RsaPss(_) | Scheme::RsaRaw => {
                self.key.attributes.get(CKA_MODULUS).map_or(0, <[u8]>::len)
            }
            Scheme::Ecdsa(curve) => curve.point_size(),
            Scheme::Ed25519 { .. } => 64,
            Scheme::MlDsa { set, .. } => set.signature_size(),
            Scheme::Cmac(length) | Scheme::Hmac { length, .. } => *length,
        }
    }

    /// Adds to the message.
    pub(crate) fn update(&mut self, data: &[u8]) -> Result<()> {
        match &mut self.gathered {
            Gathered::Hash(_, hasher) => Ok(hasher.update(data)?),
            Gathered::Bytes(bytes) => {
                if bytes.len().saturating_add(data.len()) > GATHER_LIMIT {
                    return fail(CKR_DATA_LEN_RANGE);
                }
                bytes.extend_from_slice(data);
                Ok(())
            }
        }
    }

    /// What is signed: the digest, or the message.
    fn message(&mut self) -> Result<Vec<u8>> {
        match &mut self.gathered {
            Gathered::Hash(hash, hasher) => {
                let mut digest = vec![0; hash.digest_size().unwrap_or(0)];
                hasher.clone().finish(&mut digest)?;
                Ok(digest)
            }
            Gathered::Bytes(bytes) => Ok(std::mem::take(bytes)),
        }
    }

    /// The signature of what was gathered.
    pub(crate) fn sign(&mut self) -> Result<Zeroizing<Vec<u8>>> {
        let message = self.message()?;
        let mut signature = Zeroizing::new(vec![0; self.length()]);
        match &self.scheme {
            Scheme::RsaPkcs(hash) => {
                let block = pkcs1_block(*hash, &message, signature.len())?;
                self.rsa(&block, &mut signature)?;
            }
            Scheme::RsaPss(pss) => {
                let modulus = self.key.attributes.need(CKA_MODULUS)?;
                let bits = RsaPublicKey { modulus, exponent: &[] }.bits();
                let mut block = vec![0; signature.len()];
                pss.encode(driver(), bits, &message, &mut block)?;
                self.rsa(&block, &mut signature)?;
            }
            Scheme::RsaRaw => {
                let block = left_padded(&message, signature.len()).ok_or(Error::Code(CKR_DATA_LEN_RANGE))?;
                if Some(block.as_slice()) >= self.key.attributes.get(CKA_MODULUS) {
                    return fail(CKR_DATA_INVALID);
                }
                self.rsa(&block, &mut signature)?;
            }
            Scheme::Ecdsa(curve) => {
                let digest = ecdsa_digest(*curve, message)?;
                let mut encoded = [0; 160];
                let length = self
                    .token
                    .with_key(&self.key, |hsm, key| Ok(hsm.ecdsa_sign(key, &digest, &mut encoded)?))?;
                let encoded = encoded.get(..length).unwrap_or_default();
                decode_ecdsa_signature(*curve, encoded, &mut signature)
                    .map_err(|_| Error::Code(CKR_DEVICE_ERROR))?;
            }
            Scheme::Ed25519 { prehashed, context } => {
                let mode = match (prehashed, context) {
                    (true, context) => client::Ed25519Mode::Prehashed(context.as_deref().unwrap_or_default()),
                    (false, Some(context)) => client::Ed25519Mode::Context(context),
                    (false, None) => client::Ed25519Mode::Pure,
                };
                let made =
                    self.token.with_key(&self.key, |hsm, key| Ok(hsm.ed25519_sign(key, mode, &message)?))?;
                signature.copy_from_slice(&made);
            }
            Scheme::MlDsa { set, context, hash } => {
                let what = match hash {
                    None => client::MlDsaMessage::Pure(&message),
                    Some((hash, _)) => {
                        client::MlDsaMessage::Prehashed(client::Prehash::Hash(*hash), &message)
                    }
                };
                let set = keys::client_ml_dsa(*set);
                self.token.with_key(&self.key, |hsm, key| {
                    Ok(hsm.ml_dsa_sign(key, set, what, context, &mut signature)?)
                })?;
            }
            Scheme::Cmac(_) => {
                self.token.with_key(&self.key, |hsm, key| Ok(hsm.cmac(key, &message, &mut signature)?))?;
            }
            Scheme::Hmac { hash, key, .. } => {
                hmac_from_hash(driver(), *hash, key, &[&message], &mut signature)?;
            }
        }
        Ok(signature)
    }

    /// Raises a block to the private exponent.
    fn rsa(&self, block: &[u8], signature: &mut [u8]) -> Result<()> {
        let length = self.token.with_key(&self.key, |hsm, key| {
            Ok(hsm.rsa(RsaOperation::PrivateEncrypt, key, block, signature)?)
        })?;
        if length == signature.len() { Ok(()) } else { fail(CKR_DEVICE_ERROR) }
    }

    /// Checks a signature of what was gathered.
    ///
    /// # Errors
    /// `CKR_SIGNATURE_LEN_RANGE`, `CKR_SIGNATURE_INVALID`.
    pub(crate) fn verify(&mut self, signature: &[u8]) -> Result<()> {
        if signature.len() != self.length() {
            return fail(CKR_SIGNATURE_LEN_RANGE);
        }
        if let Scheme::Cmac(_) | Scheme::Hmac { .. } = self.scheme {
            let expected = self.sign()?;
            return if bool::from(expected.ct_eq(signature)) { Ok(()) } else { fail(CKR_SIGNATURE_INVALID) };
        }
        let message = self.message()?;
        let (_, public) = self.key.public_key()?;
        let outcome = match (&self.scheme, &public) {
            (
                Scheme::RsaPkcs(_) | Scheme::RsaPss(_) | Scheme::RsaRaw,
                PublicKey::Rsa { modulus, exponent },
            ) => self.verify_rsa(&RsaPublicKey { modulus, exponent }, &message, signature),
            (Scheme::Ecdsa(curve), PublicKey::Ec(public)) => {
                let digest = ecdsa_digest(*curve, message)?;
                driver().ecdsa_verify(*curve, public, &digest, signature).map_err(Error::from)
            }
            (Scheme::Ed25519 { prehashed, context }, PublicKey::Curve25519(public)) => {
                let mode = match (prehashed, context) {
                    (true, context) => Ed25519Mode::Prehashed(context.as_deref().unwrap_or_default()),
                    (false, Some(context)) => Ed25519Mode::Context(context),
                    (false, None) => Ed25519Mode::Pure,
                };
                let signature = signature.try_into().map_err(|_| Error::Code(CKR_SIGNATURE_LEN_RANGE))?;
                driver().ed25519_verify(public, mode, &message, signature).map_err(Error::from)
            }
            (Scheme::MlDsa { set, context, hash }, PublicKey::Lattice(public)) => {
                let what = match hash {
                    None => MlDsaMessage::Pure(&message),
                    Some((_, hash)) => MlDsaMessage::Digest(*hash, &message),
                };
                driver().ml_dsa_verify(*set, public, what, context, signature).map_err(Error::from)
            }
            _ => fail(CKR_KEY_TYPE_INCONSISTENT),
        };
        // A key that is no key has no valid signatures.
        outcome.map_err(|error| match error {
            Error::Code(CKR_ATTRIBUTE_VALUE_INVALID) => Error::Code(CKR_SIGNATURE_INVALID),
            error => error,
        })
    }

    fn verify_rsa(&self, key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<()> {
        let mut block = vec![0; key.modulus.len()];
        open_signature(driver(), key, signature, &mut block)?;
        let valid = match &self.scheme {
            Scheme::RsaPss(pss) => return Ok(pss.verify(driver(), key.bits(), message, &mut block)?),
            Scheme::RsaPkcs(hash) => pkcs1_block(*hash, message, block.len())? == block,
            _ => left_padded(message, block.len()).is_some_and(|expected| expected == block),
        };
        if valid { Ok(()) } else { fail(CKR_SIGNATURE_INVALID) }
    }
}

fn no_parameter(mechanism: &Mechanism) -> Result<()> {
    match mechanism.parameter {
        Parameter::None => Ok(()),
        _ => Err(PARAMETER),
    }
}

fn signature_scheme(
    kind: Kind,
    key: &Object,
    mechanism: &Mechanism,
) -> Result<(Scheme, Option<HashAlgorithm>)> {
    let of_kind = |right: bool| if right { Ok(()) } else { fail(CKR_KEY_TYPE_INCONSISTENT) };
    let is_rsa = kind == Kind::Rsa;
    if is_rsa && key.attributes.get(CKA_MODULUS).is_none_or(|modulus| modulus.len() > RSA_MAX_BYTES) {
        return fail(CKR_KEY_SIZE_RANGE);
    }
    if let Some((_, hash)) = mechanism::hashed(&mechanism::RSA_PKCS, mechanism.kind) {
        of_kind(is_rsa)?;
        no_parameter(mechanism)?;
        return Ok((Scheme::RsaPkcs(Some(hash)), Some(hash)));
    }
    if let Some((digest, hash)) = mechanism::hashed(&mechanism::RSA_PSS, mechanism.kind) {
        of_kind(is_rsa)?;
        let (named, pss) = pss(&mechanism.parameter, key)?;
        return if named == digest { Ok((Scheme::RsaPss(pss), Some(hash))) } else { Err(PARAMETER) };
    }
    if let Some((_, hash)) = mechanism::hashed(&mechanism::ECDSA, mechanism.kind) {
        let Kind::Ec(curve) = kind else { return fail(CKR_KEY_TYPE_INCONSISTENT) };
        no_parameter(mechanism)?;
        return Ok((Scheme::Ecdsa(curve), Some(hash)));
    }
    if let Some((digest, hash)) = mechanism::hashed(&mechanism::HASH_ML_DSA, mechanism.kind) {
        let Kind::MlDsa(set) = kind else { return fail(CKR_KEY_TYPE_INCONSISTENT) };
        let context = match &mechanism.parameter {
            Parameter::None => Vec::new(),
            Parameter::Context { context, deterministic: false, hash: None } => context.clone(),
            _ => return Err(PARAMETER),
        };
        let theirs = mechanism::client_hash(digest).ok_or(PARAMETER)?;
        return Ok((ml_dsa(set, context, Some((theirs, hash)))?, Some(hash)));
    }
    let scheme = match mechanism.kind {
        CKM_RSA_PKCS => {
            of_kind(is_rsa)?;
            no_parameter(mechanism)?;
            Scheme::RsaPkcs(None)
        }
        CKM_RSA_X_509 => {
            of_kind(is_rsa)?;
            no_parameter(mechanism)?;
            Scheme::RsaRaw
        }
        CKM_RSA_PKCS_PSS => {
            of_kind(is_rsa)?;
            Scheme::RsaPss(pss(&mechanism.parameter, key)?.1)
        }
        CKM_ECDSA => {
            let Kind::Ec(curve) = kind else { return fail(CKR_KEY_TYPE_INCONSISTENT) };
            no_parameter(mechanism)?;
            Scheme::Ecdsa(curve)
        }
        CKM_EDDSA => {
            of_kind(kind == Kind::Ed25519)?;
            let (prehashed, context) = match &mechanism.parameter {
                Parameter::None => (false, None),
                Parameter::Eddsa { prehashed, context } => {
                    // For Ed25519, a structure asks for Ed25519ctx or Ed25519ph; an empty context, for Ed25519 itself.
                    (*prehashed, (*prehashed || !context.is_empty()).then(|| context.clone()))
                }
                _ => return Err(PARAMETER),
            };
            if context.as_ref().is_some_and(|context| context.len() > 255) {
                return Err(PARAMETER);
            }
            let hash = prehashed.then_some(HashAlgorithm::Sha512);
            return Ok((Scheme::Ed25519 { prehashed, context }, hash));
        }
        CKM_ML_DSA | CKM_HASH_ML_DSA => {
            let Kind::MlDsa(set) = kind else { return fail(CKR_KEY_TYPE_INCONSISTENT) };
            let (context, hash) = match &mechanism.parameter {
                Parameter::None => (Vec::new(), None),
                Parameter::Context { context, deterministic: false, hash } => (context.clone(), *hash),
                _ => return Err(PARAMETER),
            };
            if hash.is_some() != (mechanism.kind == CKM_HASH_ML_DSA) {
                return Err(PARAMETER);
            }
            let both = |kind| Some((mechanism::client_hash(kind)?, mechanism::hash(kind)?));
            let hash = hash.map(|kind| both(kind).ok_or(PARAMETER)).transpose()?;
            ml_dsa(set, context, hash)?
        }
        _ => return fail(CKR_KEY_TYPE_INCONSISTENT),
    };
    Ok((scheme, None))
}

fn ml_dsa(
    set: MlDsaSet,
    context: Vec<u8>,
    hash: Option<(client::HashAlgorithm, HashAlgorithm)>,
) -> Result<Scheme> {
    if context.len() > 255 { Err(PARAMETER) } else { Ok(Scheme::MlDsa { set, context, hash }) }
}

/// The hash mechanism of PSS parameters, and the parameters.
///
/// # Errors
/// `CKR_MECHANISM_PARAM_INVALID` if the salt does not fit beside the digest under this key's modulus, or as the
/// parameters are for nothing that is known; `CKR_KEY_SIZE_RANGE` if the digest alone does not fit.
fn pss(parameter: &Parameter, key: &Object) -> Result<(CK_MECHANISM_TYPE, Pss)> {
    let Parameter::Pss { hash, mask, salt_length } = parameter else { return Err(PARAMETER) };
    let algorithm = mechanism::hash(*hash).ok_or(PARAMETER)?;
    let mask_hash = mechanism::mask_hash(*mask).ok_or(PARAMETER)?;
    // RFC 8017, §9.1.1: the encoded message is one bit shorter than the modulus, and has two octets of its own.
    let modulus = key.attributes.need(CKA_MODULUS)?;
    let size = RsaPublicKey { modulus, exponent: &[] }.bits().saturating_sub(1).div_ceil(8);
    let digest = algorithm.digest_size().ok_or(PARAMETER)?;
    let room = size.checked_sub(digest.saturating_add(2)).ok_or(Error::Code(CKR_KEY_SIZE_RANGE))?;
    if *salt_length > room {
        return Err(PARAMETER);
    }
    Ok((*hash, Pss { hash: algorithm, mask_hash, salt_length: *salt_length }))
}

fn mac_scheme(token: &Token, key: &Object, mechanism: &Mechanism) -> Result<(Scheme, Option<HashAlgorithm>)> {
    if let Some((_, hash)) = mechanism::hashed(&mechanism::HMAC, mechanism.kind) {
        if key.attributes.key_type() == CKK_AES {
            return fail(CKR_KEY_TYPE_INCONSISTENT);
        }
        no_parameter(mechanism)?;
        let length = hash.digest_size().unwrap_or(0);
        let key = secret(token, key)?;
        return Ok((Scheme::Hmac { hash, length, key }, None));
    }
    let is_aes = key.attributes.key_type() == CKK_AES;
    match (mechanism.kind, &mechanism.parameter) {
        (CKM_AES_CMAC | CKM_AES_CMAC_GENERAL, _) if !is_aes => fail(CKR_KEY_TYPE_INCONSISTENT),
        (CKM_AES_CMAC, Parameter::None) => Ok((Scheme::Cmac(16), None)),
        (CKM_AES_CMAC_GENERAL, Parameter::Number(length @ 4..=16)) => Ok((Scheme::Cmac(*length), None)),
        (CKM_AES_CMAC | CKM_AES_CMAC_GENERAL, _) => Err(PARAMETER),
        _ => fail(CKR_KEY_TYPE_INCONSISTENT),
    }
}

/// A secret key's bytes, if it may leave the server: the protocol has no HMAC with a key that stays there.
///
/// # Errors
/// `CKR_KEY_FUNCTION_NOT_PERMITTED`.
pub(crate) fn secret(token: &Token, key: &Object) -> Result<Zeroizing<Vec<u8>>> {
    if !key.attributes.is(CKA_EXTRACTABLE) {
        return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    export(token, key)
}

/// What the server exports of a key.
pub(crate) fn export(token: &Token, key: &Object) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; keys::MAX_ENCODING]);
    let length = token.with_key(key, |hsm, key| {
        let client::Key::Id(id) = key else { return fail(CKR_KEY_HANDLE_INVALID) };
        Ok(hsm.key_export(id, &mut bytes)?.0)
    })?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Zeros, then the number.
pub(crate) fn left_padded(number: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut block = vec![0; size.checked_sub(number.len())?];
    block.extend_from_slice(number);
    Some(block)
}

/// The block of a PKCS#1 v1.5 signature (RFC 8017, §9.2) of a digest, or of whatever the caller wants in the place of
/// the DigestInfo.
fn pkcs1_block(hash: Option<HashAlgorithm>, message: &[u8], size: usize) -> Result<Vec<u8>> {
    if let Some(hash) = hash {
        let mut block = vec![0; size];
        pkcs1_signature_encode(hash, message, &mut block)?;
        return Ok(block);
    }
    let padding = size.checked_sub(message.len().saturating_add(3)).filter(|padding| *padding >= 8);
    let padding = padding.ok_or(Error::Code(CKR_DATA_LEN_RANGE))?;
    let mut block = vec![0, 1];
    block.resize(padding.saturating_add(2), 0xff);
    block.push(0);
    block.extend_from_slice(message);
    Ok(block)
}

/// A digest as servers take it for ECDSA: zeros in front of a short one make no other number, and of a long one only as
/// many bits count as the order has (FIPS 186-5, §6.4).
fn ecdsa_digest(curve: Curve, digest: Vec<u8>) -> Result<Vec<u8>> {
    if digest.is_empty() {
        return fail(CKR_DATA_LEN_RANGE);
    }
    if let Some(padded) = left_padded(&digest, SHORTEST_DIGEST) {
        return Ok(padded);
    }
    if digest.len() <= LONGEST_DIGEST {
        return Ok(digest);
    }
    if curve.field_size() > LONGEST_DIGEST {
        return fail(CKR_DATA_LEN_RANGE);
    }
    Ok(digest.get(..LONGEST_DIGEST).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkcs1_blocks_of_both_kinds_agree() {
        // DigestInfo of SHA-256 (RFC 8017, §9.2, note 1).
        let info = [
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
            0x00, 0x04, 0x20,
        ];
        let digest = [7; 32];
        let whole = pkcs1_block(None, &[info.as_slice(), &digest].concat(), 256).unwrap();
        assert_eq!(pkcs1_block(Some(HashAlgorithm::Sha256), &digest, 256).unwrap(), whole);
        assert_eq!(pkcs1_block(None, &[0; 246], 256).unwrap_err().code(), CKR_DATA_LEN_RANGE);
        assert_eq!(pkcs1_block(None, &[0; 245], 256).unwrap().len(), 256);
    }

    #[test]
    fn digests_for_ecdsa_keep_their_number() {
        assert_eq!(ecdsa_digest(Curve::P256, vec![1; 20]).unwrap(), [vec![0; 8], vec![1; 20]].concat());
        assert_eq!(ecdsa_digest(Curve::P256, vec![1; 64]).unwrap(), vec![1; 64]);
        assert_eq!(ecdsa_digest(Curve::P256, vec![1; 80]).unwrap(), vec![1; 64]);
        assert_eq!(ecdsa_digest(Curve::P521, vec![1; 80]).unwrap_err().code(), CKR_DATA_LEN_RANGE);
    }
}
