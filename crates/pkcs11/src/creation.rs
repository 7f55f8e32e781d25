//! New keys: generated, imported, derived, copied; wrapped and unwrapped.

use crate::attributes::Attributes;
use crate::ciphering::Ciphering;
use crate::driver::driver;
use crate::error::{Error, Result, fail};
use crate::keys::{self, Kind, MAX_ENCODING, PRIVATE_SECRETS, PrivateKey, PublicKey};
use crate::mechanism::{self, Mechanism, Parameter};
use crate::object::{self, Object};
use crate::signing::export;
use crate::token::{Residence, Token};
use crate::wrapping;
use casemate_client::{Direction, Endianness, HkdfInput, Key, NewKey, Rsa};
use casemate_crypto::MlKemSet;
use casemate_protocol::KeyId;
use cryptoki_sys::*;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest generic secret, in bytes: what a small slot of a server's cache holds.
const LONGEST_SECRET: usize = 256;

/// Where the object of a template shall live.
pub(crate) fn residence(attributes: &Attributes, session: CK_SESSION_HANDLE) -> Residence {
    if attributes.is(CKA_TOKEN) { Residence::Token } else { Residence::Session(session) }
}

/// Sets what a template may say but must say rightly.
fn fixed(attributes: &mut Attributes, kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> Result<()> {
    if attributes.number(kind).is_some_and(|said| said != value) {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    attributes.set_number(kind, value);
    Ok(())
}

/// What only the module may say of a new object.
fn refuse_read_only(attributes: &Attributes) -> Result<()> {
    const READ_ONLY: [CK_ATTRIBUTE_TYPE; 6] = [
        CKA_LOCAL,
        CKA_ALWAYS_SENSITIVE,
        CKA_NEVER_EXTRACTABLE,
        CKA_KEY_GEN_MECHANISM,
        CKA_UNIQUE_ID,
        CKA_PUBLIC_KEY_INFO,
    ];
    // A public key in a template is computed anyway, and checked by nobody.
    let said = READ_ONLY.iter().any(|kind| *kind != CKA_PUBLIC_KEY_INFO && attributes.get(*kind).is_some());
    if said || attributes.is(CKA_TRUSTED) {
        return fail(CKR_ATTRIBUTE_READ_ONLY);
    }
    // The server takes a login for all keys, and other programs use them past this module: it cannot be kept.
    if attributes.is(CKA_ALWAYS_AUTHENTICATE) { fail(CKR_ATTRIBUTE_VALUE_INVALID) } else { Ok(()) }
}

/// Data are stored as they are. A server with users shows them to who has logged in, which is what private means; on one
/// without, everybody sees them.
fn refuse_private_data(token: &Token, attributes: &Attributes) -> Result<()> {
    if attributes.class() == CKO_DATA && attributes.is(CKA_PRIVATE) && !token.has_users()? {
        return fail(CKR_ATTRIBUTE_VALUE_INVALID);
    }
    Ok(())
}

/// What a key is from the beginning: where it comes from, and whether it ever was anything else.
fn origin(attributes: &mut Attributes, mechanism: Option<CK_MECHANISM_TYPE>, local: bool) {
    attributes.set_truth(CKA_LOCAL, local);
    attributes.set_number(CKA_KEY_GEN_MECHANISM, mechanism.unwrap_or(CK_UNAVAILABLE_INFORMATION));
    if attributes.class() != CKO_PUBLIC_KEY {
        let (sensitive, extractable) = (attributes.is(CKA_SENSITIVE), attributes.is(CKA_EXTRACTABLE));
        attributes.set_truth(CKA_ALWAYS_SENSITIVE, local && sensitive);
        attributes.set_truth(CKA_NEVER_EXTRACTABLE, local && !extractable);
    }
}

/// What HMAC needs of a key is its bytes, which never leave the server if it is not extractable: such a key can be
/// derived from, and nothing else.
fn usual_secret_usage(key_type: CK_KEY_TYPE) -> &'static [CK_ATTRIBUTE_TYPE] {
    match key_type {
        CKK_AES => &[CKA_ENCRYPT, CKA_DECRYPT],
        _ => &[CKA_SIGN, CKA_VERIFY, CKA_DERIVE],
    }
}

fn check_secret(key_type: CK_KEY_TYPE, length: usize) -> Result<()> {
    let right = match key_type {
        CKK_AES => matches!(length, 16 | 24 | 32),
        CKK_GENERIC_SECRET | CKK_HKDF | CKK_SHA_1_HMAC | CKK_SHA224_HMAC | CKK_SHA256_HMAC
        | CKK_SHA384_HMAC | CKK_SHA512_HMAC => (1..=LONGEST_SECRET).contains(&length),
        _ => return fail(CKR_ATTRIBUTE_VALUE_INVALID),
    };
    if right { Ok(()) } else { fail(CKR_KEY_SIZE_RANGE) }
}

fn size(number: CK_ULONG) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Completes the template of a secret key whose type and length are known.
fn complete_secret(
    attributes: &mut Attributes,
    length: usize,
    mechanism: Option<CK_MECHANISM_TYPE>,
    local: bool,
) -> Result<()> {
    refuse_read_only(attributes)?;
    fixed(attributes, CKA_CLASS, CKO_SECRET_KEY)?;
    let key_type = attributes.need_number(CKA_KEY_TYPE)?;
    check_secret(key_type, length)?;
    attributes.remove(CKA_VALUE);
    attributes.set_number(CKA_VALUE_LEN, length as CK_ULONG);
    object::complete_usages(attributes, usual_secret_usage(key_type));
    object::complete(attributes);
    origin(attributes, mechanism, local);
    Ok(())
}

/// Puts a secret key into the server.
fn import_secret(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mut attributes: Attributes,
    value: &[u8],
    mechanism: Option<CK_MECHANISM_TYPE>,
) -> Result<CK_OBJECT_HANDLE> {
    if attributes.number(CKA_VALUE_LEN).is_some_and(|length| size(length) != value.len()) {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    complete_secret(&mut attributes, value.len(), mechanism, false)?;
    let residence = residence(&attributes, session);
    let flags = object::flags(&attributes);
    let label = attributes.get(CKA_LABEL).unwrap_or_default().to_vec();
    let (place, ()) =
        token.make_key(residence, flags, &label, None, |hsm, new, _| Ok((hsm.key_cache(new, value)?, ())))?;
    Ok(token.adopt(place, attributes, None)?.0)
}

/// `C_CreateObject`.
pub(crate) fn create(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mut attributes: Attributes,
) -> Result<CK_OBJECT_HANDLE> {
    match attributes.need_number(CKA_CLASS)? {
        CKO_SECRET_KEY => {
            let value = Zeroizing::new(attributes.need(CKA_VALUE)?.to_vec());
            let protects =
                [CKA_EXTRACTABLE, CKA_SENSITIVE].iter().any(|kind| attributes.get(*kind).is_some());
            if !protects && !attributes.is(CKA_TOKEN) && attributes.key_type() != CKK_AES {
                // Who has the bytes and keeps the key for a session wants it for an HMAC, which needs them.
                attributes.set_truth(CKA_EXTRACTABLE, true);
            }
            import_secret(token, session, attributes, &value, None)
        }
        CKO_PRIVATE_KEY => import_private(token, session, attributes, None),
        CKO_PUBLIC_KEY => {
            refuse_read_only(&attributes)?;
            let kind = Kind::of(&attributes)?;
            let public = PublicKey::of(kind, &attributes)?;
            public.check(kind)?;
            kind.describe_public(&public, &mut attributes);
            attributes.set(CKA_PUBLIC_KEY_INFO, public.info(kind)?);
            object::complete_usages(&mut attributes, kind.public_usage());
            object::complete(&mut attributes);
            origin(&mut attributes, None, false);
            token.add(residence(&attributes, session), attributes)
        }
        CKO_CERTIFICATE => {
            if attributes.is(CKA_TRUSTED) {
                return fail(CKR_ATTRIBUTE_READ_ONLY);
            }
            match attributes.need_number(CKA_CERTIFICATE_TYPE)? {
                CKC_X_509 => attributes.need(CKA_VALUE)?,
                _ => return fail(CKR_ATTRIBUTE_VALUE_INVALID),
            };
            object::complete(&mut attributes);
            token.add(residence(&attributes, session), attributes)
        }
        CKO_DATA => {
            refuse_private_data(token, &attributes)?;
            object::complete(&mut attributes);
            token.add(residence(&attributes, session), attributes)
        }
        _ => fail(CKR_ATTRIBUTE_VALUE_INVALID),
    }
}

/// Puts a private key into the server.
fn import_private(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mut attributes: Attributes,
    mechanism: Option<CK_MECHANISM_TYPE>,
) -> Result<CK_OBJECT_HANDLE> {
    refuse_read_only(&attributes)?;
    let kind = Kind::of(&attributes)?;
    let key = PrivateKey::of(kind, &attributes)?;
    for secret in PRIVATE_SECRETS {
        attributes.remove(secret);
    }
    kind.describe_private(&key.public, &mut attributes);
    object::set_public_key_info(kind, &key.public, &mut attributes);
    object::complete_usages(&mut attributes, kind.private_usage());
    object::complete(&mut attributes);
    origin(&mut attributes, mechanism, false);
    let residence = residence(&attributes, session);
    let flags = object::flags(&attributes);
    let label = attributes.get(CKA_LABEL).unwrap_or_default().to_vec();
    let (place, ()) = token.make_key(residence, flags, &label, None, |hsm, new, _| {
        Ok((hsm.key_cache(new, &key.encoding)?, ()))
    })?;
    Ok(token.adopt(place, attributes, None)?.0)
}

/// `C_GenerateKey`.
pub(crate) fn generate(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    mut attributes: Attributes,
) -> Result<CK_OBJECT_HANDLE> {
    mechanism::check(mechanism, CKF_GENERATE)?;
    if mechanism.parameter != Parameter::None {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    match mechanism.kind {
        CKM_AES_KEY_GEN => fixed(&mut attributes, CKA_KEY_TYPE, CKK_AES)?,
        _ => attributes.supply(CKA_KEY_TYPE, CKK_GENERIC_SECRET.to_ne_bytes()),
    }
    if attributes.get(CKA_VALUE).is_some() {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    let length = size(attributes.need_number(CKA_VALUE_LEN)?);
    complete_secret(&mut attributes, length, Some(mechanism.kind), true)?;
    let residence = residence(&attributes, session);
    let flags = object::flags(&attributes);
    let label = attributes.get(CKA_LABEL).unwrap_or_default().to_vec();
    let length = u16::try_from(length).map_err(|_| Error::Code(CKR_KEY_SIZE_RANGE))?;
    let (place, ()) = token.make_key(residence, flags, &label, None, |hsm, new, _| {
        Ok((hsm.key_cache_random(new, length)?, ()))
    })?;
    Ok(token.adopt(place, attributes, None)?.0)
}

/// The public exponent of a template for RSA.
fn exponent(attributes: &Attributes) -> Result<u32> {
    let Some(bytes) = attributes.get(CKA_PUBLIC_EXPONENT) else { return Ok(65_537) };
    let number =
        bytes.iter().try_fold(0_u32, |number, byte| number.checked_mul(256)?.checked_add(u32::from(*byte)));
    number.filter(|number| *number > 1 && number % 2 == 1).ok_or(Error::Code(CKR_ATTRIBUTE_VALUE_INVALID))
}

/// `C_GenerateKeyPair`: the public key's handle and the private key's.
pub(crate) fn generate_pair(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    mut public: Attributes,
    mut private: Attributes,
) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
    mechanism::check(mechanism, CKF_GENERATE_KEY_PAIR)?;
    if mechanism.parameter != Parameter::None {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    let key_type = match mechanism.kind {
        CKM_RSA_PKCS_KEY_PAIR_GEN => CKK_RSA,
        CKM_EC_KEY_PAIR_GEN => {
            // Older programs ask for Ed25519 in this way, too.
            public.number(CKA_KEY_TYPE).filter(|kind| *kind == CKK_EC_EDWARDS).unwrap_or(CKK_EC)
        }
        CKM_EC_EDWARDS_KEY_PAIR_GEN => CKK_EC_EDWARDS,
        CKM_EC_MONTGOMERY_KEY_PAIR_GEN => CKK_EC_MONTGOMERY,
        CKM_ML_DSA_KEY_PAIR_GEN => CKK_ML_DSA,
        _ => CKK_ML_KEM,
    };
    for (attributes, class) in [(&mut public, CKO_PUBLIC_KEY), (&mut private, CKO_PRIVATE_KEY)] {
        refuse_read_only(attributes)?;
        fixed(attributes, CKA_CLASS, class)?;
        fixed(attributes, CKA_KEY_TYPE, key_type)?;
    }
    let kind = Kind::of(&public)?;
    let bits = match kind {
        Kind::Rsa => public.need_number(CKA_MODULUS_BITS)?,
        _ => 0,
    };
    if kind == Kind::Rsa && !(1024..=4096).contains(&bits) {
        return fail(CKR_KEY_SIZE_RANGE);
    }
    if kind == Kind::Rsa && bits % 16 != 0 {
        return fail(CKR_KEY_SIZE_RANGE);
    }
    let rsa = Rsa { bits: u32::try_from(bits).unwrap_or(0), exponent: exponent(&public)? };
    object::complete_usages(&mut private, kind.private_usage());
    object::complete(&mut private);
    object::complete_usages(&mut public, kind.public_usage());
    object::complete(&mut public);
    for attributes in [&mut public, &mut private] {
        origin(attributes, Some(mechanism.kind), true);
    }
    let residence_private = residence(&private, session);
    let residence_public = residence(&public, session);
    let label = private.get(CKA_LABEL).unwrap_or_default().to_vec();
    let (place, encoded) =
        token.make_key(residence_private, object::flags(&private), &label, None, |hsm, new, _| {
            let mut encoded = vec![0; MAX_ENCODING];
            let out = encoded.as_mut_slice();
            let (id, length) = match kind {
                Kind::Rsa => hsm.key_pair_generate_with_public(rsa, new, out),
                Kind::Ec(curve) => hsm.key_pair_generate_with_public(keys::client_curve(curve), new, out),
                Kind::Ed25519 => hsm.key_pair_generate_with_public(casemate_client::Ed25519, new, out),
                Kind::X25519 => hsm.key_pair_generate_with_public(casemate_client::X25519, new, out),
                Kind::MlDsa(set) => hsm.key_pair_generate_with_public(keys::client_ml_dsa(set), new, out),
                Kind::MlKem(set) => hsm.key_pair_generate_with_public(keys::client_ml_kem(set), new, out),
            }?;
            encoded.truncate(length);
            Ok((id, encoded))
        })?;
    let (_, key) = PublicKey::decode(kind.algorithm(), &encoded)?;
    kind.describe_private(&key, &mut private);
    kind.describe_public(&key, &mut public);
    for attributes in [&mut public, &mut private] {
        object::set_public_key_info(kind, &key, attributes);
    }
    let (private, public) = token.adopt(place, private, Some((residence_public, public)))?;
    Ok((public, private))
}

/// `C_DeriveKey`.
pub(crate) fn derive(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    base: &Object,
    mut attributes: Attributes,
) -> Result<CK_OBJECT_HANDLE> {
    mechanism::check(mechanism, CKF_DERIVE)?;
    if !base.attributes.is(CKA_DERIVE) {
        return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    attributes.supply(CKA_CLASS, CKO_SECRET_KEY.to_ne_bytes());
    attributes.supply(CKA_KEY_TYPE, CKK_GENERIC_SECRET.to_ne_bytes());
    if attributes.get(CKA_VALUE).is_some() {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    let wanted = attributes.number(CKA_VALUE_LEN).map(size);
    match (&mechanism.parameter, mechanism.kind) {
        (Parameter::Ecdh { kdf, shared, public }, CKM_ECDH1_DERIVE) => {
            if *kdf != CKD_NULL || !shared.is_empty() {
                return fail(CKR_MECHANISM_PARAM_INVALID);
            }
            agree(token, session, mechanism.kind, base, attributes, wanted, public)
        }
        (
            Parameter::Hkdf { extract: true, expand: true, hash, salt, salt_key: None, info },
            CKM_HKDF_DERIVE,
        ) => {
            if base.attributes.class() != CKO_SECRET_KEY {
                return fail(CKR_KEY_TYPE_INCONSISTENT);
            }
            let digest = mechanism::hashed(&mechanism::HMAC, *hash).map_or(*hash, |(digest, _)| digest);
            let hash = mechanism::client_hash(digest).ok_or(Error::Code(CKR_MECHANISM_PARAM_INVALID))?;
            let length = wanted.unwrap_or(hash.digest_size());
            complete_secret(&mut attributes, length, Some(mechanism.kind), false)?;
            let residence = residence(&attributes, session);
            let label = attributes.get(CKA_LABEL).unwrap_or_default().to_vec();
            let salt = salt.as_deref().unwrap_or_default();
            let make = |hsm: &mut crate::connection::Hsm, new: &NewKey, base: Option<KeyId>| {
                let key = Key::Id(base.ok_or(Error::Code(CKR_KEY_HANDLE_INVALID))?);
                Ok((hsm.hkdf_cache(&HkdfInput { hash, key, salt, info }, new, length)?, ()))
            };
            let (place, ()) =
                token.make_key(residence, object::flags(&attributes), &label, Some(base), make)?;
            Ok(token.adopt(place, attributes, None)?.0)
        }
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}

/// Agrees on a secret with the owner of a public point.
fn agree(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mechanism: CK_MECHANISM_TYPE,
    base: &Object,
    mut attributes: Attributes,
    wanted: Option<usize>,
    point: &[u8],
) -> Result<CK_OBJECT_HANDLE> {
    if base.attributes.class() != CKO_PRIVATE_KEY {
        return fail(CKR_KEY_TYPE_INCONSISTENT);
    }
    let wrong_point = Error::Code(CKR_MECHANISM_PARAM_INVALID);
    let kind = Kind::of(&base.attributes)?;
    let (whole, public) = match kind {
        Kind::Ec(curve) => {
            let public = PublicKey::of_point(curve, point).ok_or(wrong_point)?;
            (curve.field_size(), public)
        }
        Kind::X25519 => {
            let mut described = base.attributes.clone();
            described.set(CKA_EC_POINT, point);
            (32, PublicKey::of(kind, &described).map_err(|_| wrong_point)?)
        }
        _ => return fail(CKR_KEY_TYPE_INCONSISTENT),
    };
    public.check(kind).map_err(|_| wrong_point)?;
    let public = public.encode(kind)?;
    let usual = match attributes.key_type() {
        CKK_AES => whole.min(32) & !7,
        _ => whole,
    };
    let length = wanted.unwrap_or(usual);
    if length == 0 || length > whole {
        return fail(CKR_KEY_SIZE_RANGE);
    }
    if length < whole {
        // The protocol gives a key agreement's secret whole: its front passes through this process.
        let mut secret = Zeroizing::new([0; 66]);
        let shared = Key::Inline(&public);
        token.with_key(base, |hsm, private| {
            if kind == Kind::X25519 {
                let mut octets = Zeroizing::new([0; 32]);
                hsm.x25519_export(private, shared, Endianness::Little, &mut octets)?;
                secret
                    .get_mut(..32)
                    .ok_or(Error::Code(CKR_FUNCTION_FAILED))?
                    .copy_from_slice(octets.as_slice());
            } else {
                hsm.ecdh_export(private, shared, secret.as_mut_slice())?;
            }
            Ok(())
        })?;
        let value = secret.get(..length).ok_or(Error::Code(CKR_KEY_SIZE_RANGE))?;
        return import_secret(token, session, attributes, value, Some(mechanism));
    }
    complete_secret(&mut attributes, length, Some(mechanism), false)?;
    let residence = residence(&attributes, session);
    let label = attributes.get(CKA_LABEL).unwrap_or_default().to_vec();
    let make = |hsm: &mut crate::connection::Hsm, new: &NewKey, base: Option<KeyId>| {
        let private = Key::Id(base.ok_or(Error::Code(CKR_KEY_HANDLE_INVALID))?);
        let public = Key::Inline(&public);
        let id = if kind == Kind::X25519 {
            hsm.x25519_cache(private, public, Endianness::Little, new)?
        } else {
            hsm.ecdh_cache(private, public, new)?
        };
        Ok((id, ()))
    };
    let (place, ()) = token.make_key(residence, object::flags(&attributes), &label, Some(base), make)?;
    Ok(token.adopt(place, attributes, None)?.0)
}

/// The template of a key that an encapsulation yields, and the parameter set of the key that it is made with.
fn encapsulated(
    mechanism: &Mechanism,
    (can, usage, class): (CK_FLAGS, CK_ATTRIBUTE_TYPE, CK_OBJECT_CLASS),
    key: &Object,
    attributes: &mut Attributes,
) -> Result<MlKemSet> {
    mechanism::check(mechanism, can)?;
    if mechanism.parameter != Parameter::None {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    if key.attributes.class() != class {
        return fail(CKR_KEY_TYPE_INCONSISTENT);
    }
    let Kind::MlKem(set) = Kind::of(&key.attributes)? else { return fail(CKR_KEY_TYPE_INCONSISTENT) };
    if !key.attributes.is(usage) {
        return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    attributes.supply(CKA_CLASS, CKO_SECRET_KEY.to_ne_bytes());
    attributes.supply(CKA_KEY_TYPE, CKK_GENERIC_SECRET.to_ne_bytes());
    if attributes.get(CKA_VALUE).is_some() {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    Ok(set)
}

/// `C_EncapsulateKey`: the ciphertext's length, and the key, unless only the length was asked for. The work takes no
/// secret, so it is done here; the secret then becomes a key of the server.
pub(crate) fn encapsulate(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    public: &Object,
    mut attributes: Attributes,
    out: Option<&mut [u8]>,
) -> Result<(usize, Option<CK_OBJECT_HANDLE>)> {
    let what = (CKF_ENCAPSULATE, CKA_ENCAPSULATE, CKO_PUBLIC_KEY);
    let set = encapsulated(mechanism, what, public, &mut attributes)?;
    let length = set.ciphertext_size();
    let Some(out) = out else { return Ok((length, None)) };
    let out = out.get_mut(..length).ok_or(Error::TooSmall(length))?;
    let (_, PublicKey::Lattice(key)) = public.public_key()? else { return fail(CKR_KEY_TYPE_INCONSISTENT) };
    let mut ciphertext = vec![0; length];
    let mut secret = Zeroizing::new([0; 32]);
    driver().ml_kem_encapsulate(set, &key, &mut ciphertext, &mut secret)?;
    let handle = import_secret(token, session, attributes, secret.as_slice(), Some(mechanism.kind))?;
    out.copy_from_slice(&ciphertext);
    Ok((length, Some(handle)))
}

/// `C_DecapsulateKey`. The protocol gives the secret out: it passes through this process.
pub(crate) fn decapsulate(
    token: &Token,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    private: &Object,
    mut attributes: Attributes,
    ciphertext: &[u8],
) -> Result<CK_OBJECT_HANDLE> {
    let what = (CKF_DECAPSULATE, CKA_DECAPSULATE, CKO_PRIVATE_KEY);
    let set = encapsulated(mechanism, what, private, &mut attributes)?;
    if ciphertext.len() != set.ciphertext_size() {
        return fail(CKR_WRAPPED_KEY_LEN_RANGE);
    }
    let mut secret = Zeroizing::new([0; 32]);
    token.with_key(private, |hsm, key| {
        Ok(hsm.ml_kem_decapsulate(key, keys::client_ml_kem(set), ciphertext, &mut secret)?)
    })?;
    import_secret(token, session, attributes, secret.as_slice(), Some(mechanism.kind))
}

/// `C_CopyObject`: keys only if the server lets their bytes out.
pub(crate) fn copy(
    token: &Token,
    session: CK_SESSION_HANDLE,
    object: &Object,
    template: &Attributes,
) -> Result<CK_OBJECT_HANDLE> {
    if !object.attributes.is(CKA_COPYABLE) {
        return fail(CKR_ACTION_PROHIBITED);
    }
    let old = &object.attributes;
    for (kind, value) in template.iter() {
        let may = match kind {
            CKA_TOKEN | CKA_PRIVATE | CKA_MODIFIABLE | CKA_LABEL | CKA_ID | CKA_START_DATE | CKA_END_DATE
            | CKA_SUBJECT | CKA_COPYABLE | CKA_DESTROYABLE => true,
            // Towards more protection only.
            CKA_SENSITIVE => value == [1] || !old.is(CKA_SENSITIVE),
            CKA_EXTRACTABLE => value == [0] || old.is(CKA_EXTRACTABLE),
            kind => old.get(kind) == Some(value),
        };
        if !may {
            return fail(CKR_ATTRIBUTE_READ_ONLY);
        }
    }
    let mut attributes = old.clone();
    attributes.extend(template);
    refuse_private_data(token, &attributes)?;
    if !matches!(old.class(), CKO_PRIVATE_KEY | CKO_SECRET_KEY) {
        return token.add(residence(&attributes, session), attributes);
    }
    if !old.is(CKA_EXTRACTABLE) {
        return fail(CKR_ACTION_PROHIBITED);
    }
    // Its bytes pass through this process.
    for kind in [CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_LOCAL] {
        attributes.set_truth(kind, false);
    }
    let value = export(token, object)?;
    let flags = object::flags(&attributes);
    let label = attributes.get(CKA_LABEL).unwrap_or_default().to_vec();
    let residence = residence(&attributes, session);
    let (place, ()) = token
        .make_key(residence, flags, &label, None, |hsm, new, _| Ok((hsm.key_cache(new, &value)?, ())))?;
    Ok(token.adopt(place, attributes, None)?.0)
}

/// `C_WrapKey`: a secret key under another key.
pub(crate) fn wrap(
    token: &Arc<Token>,
    mechanism: &Mechanism,
    wrapping: &Arc<Object>,
    key: &Object,
) -> Result<Vec<u8>> {
    mechanism::check(mechanism, CKF_WRAP)?;
    if key.attributes.class() != CKO_SECRET_KEY {
        return fail(CKR_KEY_NOT_WRAPPABLE);
    }
    if !key.attributes.is(CKA_EXTRACTABLE) || key.attributes.is(CKA_WRAP_WITH_TRUSTED) {
        return fail(CKR_KEY_UNEXTRACTABLE);
    }
    if !wrapping.attributes.is(CKA_WRAP) {
        return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    let value = export(token, key)?;
    if let CKM_AES_KEY_WRAP | CKM_AES_KEY_WRAP_KWP = mechanism.kind {
        check_wrapping_key(wrapping, mechanism)?;
        let mut encrypt = |block: &mut [u8; 16]| {
            token.with_key(wrapping, |hsm, key| Ok(hsm.aes_ecb(Direction::Encrypt, key, block)?))
        };
        return if mechanism.kind == CKM_AES_KEY_WRAP {
            wrapping::wrap(&value, &mut encrypt)
        } else {
            wrapping::wrap_padded(&value, &mut encrypt)
        };
    }
    let mut cipher =
        Ciphering::new(Arc::clone(token), Arc::clone(wrapping), mechanism, Direction::Encrypt, CKA_WRAP)
            .map_err(wrapping_error)?;
    let length = cipher.finish(&value, None)?;
    let mut wrapped = vec![0; length];
    let length = cipher.finish(&value, Some(&mut wrapped))?;
    wrapped.truncate(length);
    Ok(wrapped)
}

/// How long a wrapped key of `length` bytes is.
pub(crate) fn wrapped_length(mechanism: &Mechanism, wrapping: &Object, length: usize) -> usize {
    match mechanism.kind {
        CKM_AES_KEY_WRAP => length.saturating_add(8),
        CKM_AES_KEY_WRAP_KWP => length.div_ceil(8).saturating_add(1).saturating_mul(8),
        _ => wrapping.attributes.get(CKA_MODULUS).map_or(0, <[u8]>::len),
    }
}

fn check_wrapping_key(key: &Object, mechanism: &Mechanism) -> Result<()> {
    if key.attributes.class() != CKO_SECRET_KEY || key.attributes.key_type() != CKK_AES {
        return fail(CKR_WRAPPING_KEY_TYPE_INCONSISTENT);
    }
    // An own initial value is allowed by the standard and used by nobody.
    if mechanism.parameter == Parameter::None { Ok(()) } else { fail(CKR_MECHANISM_PARAM_INVALID) }
}

fn wrapping_error(error: Error) -> Error {
    match error {
        Error::Code(CKR_KEY_TYPE_INCONSISTENT) => Error::Code(CKR_WRAPPING_KEY_TYPE_INCONSISTENT),
        error => error,
    }
}

/// `C_UnwrapKey`.
pub(crate) fn unwrap(
    token: &Arc<Token>,
    session: CK_SESSION_HANDLE,
    mechanism: &Mechanism,
    unwrapping: &Arc<Object>,
    wrapped: &[u8],
    attributes: Attributes,
) -> Result<CK_OBJECT_HANDLE> {
    mechanism::check(mechanism, CKF_UNWRAP)?;
    if attributes.need_number(CKA_CLASS)? != CKO_SECRET_KEY || attributes.get(CKA_VALUE).is_some() {
        return fail(CKR_TEMPLATE_INCONSISTENT);
    }
    attributes.need_number(CKA_KEY_TYPE)?;
    if !unwrapping.attributes.is(CKA_UNWRAP) {
        return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    let value = if let CKM_AES_KEY_WRAP | CKM_AES_KEY_WRAP_KWP = mechanism.kind {
        check_wrapping_key(unwrapping, mechanism)?;
        let mut decrypt = |block: &mut [u8; 16]| {
            token.with_key(unwrapping, |hsm, key| Ok(hsm.aes_ecb(Direction::Decrypt, key, block)?))
        };
        if mechanism.kind == CKM_AES_KEY_WRAP {
            wrapping::unwrap(wrapped, &mut decrypt)?
        } else {
            wrapping::unwrap_padded(wrapped, &mut decrypt)?
        }
    } else {
        let key = Arc::clone(unwrapping);
        let mut cipher = Ciphering::new(Arc::clone(token), key, mechanism, Direction::Decrypt, CKA_UNWRAP)
            .map_err(wrapping_error)?;
        let mut value = Zeroizing::new(vec![0; cipher.finish(wrapped, None)?]);
        let length = cipher.finish(wrapped, Some(&mut value)).map_err(|error| match error {
            Error::Code(CKR_ENCRYPTED_DATA_LEN_RANGE) => Error::Code(CKR_WRAPPED_KEY_LEN_RANGE),
            Error::Code(CKR_ENCRYPTED_DATA_INVALID) => Error::Code(CKR_WRAPPED_KEY_INVALID),
            error => error,
        })?;
        value.truncate(length);
        value
    };
    import_secret(token, session, attributes, &value, Some(mechanism.kind))
}
