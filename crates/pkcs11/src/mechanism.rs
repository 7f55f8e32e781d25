//! Mechanisms: which there are, with what limits, and their parameters.

use crate::error::{Error, Result, fail};
use casemate_client as client;
use casemate_crypto::{Curve, HashAlgorithm};
use cryptoki_sys::*;

/// A mechanism as a call names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mechanism {
    /// Which (`CKM_…`).
    pub kind: CK_MECHANISM_TYPE,
    /// Its parameter.
    pub parameter: Parameter,
}

impl Mechanism {
    /// A mechanism without a parameter.
    pub const fn new(kind: CK_MECHANISM_TYPE) -> Self {
        Self { kind, parameter: Parameter::None }
    }
}

/// The parameter of a mechanism. Structures have their own form, since they contain pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parameter {
    /// None.
    None,
    /// Bytes, for instance an initialisation vector.
    Bytes(Vec<u8>),
    /// `CK_RSA_PKCS_PSS_PARAMS`.
    Pss {
        /// The hash of the message.
        hash: CK_MECHANISM_TYPE,
        /// The mask generation function.
        mask: CK_RSA_PKCS_MGF_TYPE,
        /// The salt's length in bytes.
        salt_length: usize,
    },
    /// `CK_RSA_PKCS_OAEP_PARAMS`.
    Oaep {
        /// The hash of the label.
        hash: CK_MECHANISM_TYPE,
        /// The mask generation function.
        mask: CK_RSA_PKCS_MGF_TYPE,
        /// The label.
        label: Vec<u8>,
    },
    /// `CK_AES_CTR_PARAMS`.
    Ctr {
        /// How many bits count up.
        bits: usize,
        /// The first counter block.
        block: [u8; 16],
    },
    /// `CK_GCM_PARAMS`.
    Gcm {
        /// The initialisation vector.
        iv: Vec<u8>,
        /// What is authenticated besides.
        aad: Vec<u8>,
        /// The tag's length in bits.
        tag_bits: usize,
    },
    /// `CK_CCM_PARAMS`.
    Ccm {
        /// The plaintext's length in bytes.
        length: usize,
        /// The nonce.
        nonce: Vec<u8>,
        /// What is authenticated besides.
        aad: Vec<u8>,
        /// The tag's length in bytes.
        tag_length: usize,
    },
    /// `CK_ECDH1_DERIVE_PARAMS`.
    Ecdh {
        /// The key derivation function.
        kdf: CK_EC_KDF_TYPE,
        /// What the key derivation function takes besides.
        shared: Vec<u8>,
        /// The other's public point.
        public: Vec<u8>,
    },
    /// `CK_HKDF_PARAMS`.
    Hkdf {
        /// Whether to extract.
        extract: bool,
        /// Whether to expand.
        expand: bool,
        /// The hash, as a digest's or an HMAC's mechanism.
        hash: CK_MECHANISM_TYPE,
        /// The salt; nothing for none.
        salt: Option<Vec<u8>>,
        /// The key that is the salt, if one is.
        salt_key: Option<CK_OBJECT_HANDLE>,
        /// The context information.
        info: Vec<u8>,
    },
    /// `CK_EDDSA_PARAMS`.
    Eddsa {
        /// Whether the message is hashed first.
        prehashed: bool,
        /// The context.
        context: Vec<u8>,
    },
    /// `CK_SIGN_ADDITIONAL_CONTEXT` and `CK_HASH_SIGN_ADDITIONAL_CONTEXT`.
    Context {
        /// Whether signatures must be the same for the same message.
        deterministic: bool,
        /// The context.
        context: Vec<u8>,
        /// The hash of the message, if the structure names one.
        hash: Option<CK_MECHANISM_TYPE>,
    },
    /// A number (`CK_MAC_GENERAL_PARAMS`).
    Number(usize),
    /// The bytes do not have the form of the mechanism's parameter.
    Invalid,
}

/// A hash function by its digest mechanism.
pub(crate) const HASHES: [(CK_MECHANISM_TYPE, HashAlgorithm, client::HashAlgorithm); 9] = [
    (CKM_SHA256, HashAlgorithm::Sha256, client::HashAlgorithm::Sha256),
    (CKM_SHA384, HashAlgorithm::Sha384, client::HashAlgorithm::Sha384),
    (CKM_SHA512, HashAlgorithm::Sha512, client::HashAlgorithm::Sha512),
    (CKM_SHA224, HashAlgorithm::Sha224, client::HashAlgorithm::Sha224),
    (CKM_SHA_1, HashAlgorithm::Sha1, client::HashAlgorithm::Sha256),
    (CKM_SHA3_224, HashAlgorithm::Sha3_224, client::HashAlgorithm::Sha3_224),
    (CKM_SHA3_256, HashAlgorithm::Sha3_256, client::HashAlgorithm::Sha3_256),
    (CKM_SHA3_384, HashAlgorithm::Sha3_384, client::HashAlgorithm::Sha3_384),
    (CKM_SHA3_512, HashAlgorithm::Sha3_512, client::HashAlgorithm::Sha3_512),
];

/// The hash function of a digest mechanism.
pub(crate) fn hash(kind: CK_MECHANISM_TYPE) -> Option<HashAlgorithm> {
    HASHES.iter().find(|(mechanism, ..)| *mechanism == kind).map(|(_, hash, _)| *hash)
}

/// The hash function of a digest mechanism, as the client calls it; SHA-1 is not among them.
pub(crate) fn client_hash(kind: CK_MECHANISM_TYPE) -> Option<client::HashAlgorithm> {
    HASHES.iter().find(|(mechanism, ..)| *mechanism == kind && kind != CKM_SHA_1).map(|(.., hash)| *hash)
}

/// The hash function of a mask generation function.
pub(crate) const fn mask_hash(kind: CK_RSA_PKCS_MGF_TYPE) -> Option<HashAlgorithm> {
    Some(match kind {
        CKG_MGF1_SHA1 => HashAlgorithm::Sha1,
        CKG_MGF1_SHA224 => HashAlgorithm::Sha224,
        CKG_MGF1_SHA256 => HashAlgorithm::Sha256,
        CKG_MGF1_SHA384 => HashAlgorithm::Sha384,
        CKG_MGF1_SHA512 => HashAlgorithm::Sha512,
        CKG_MGF1_SHA3_224 => HashAlgorithm::Sha3_224,
        CKG_MGF1_SHA3_256 => HashAlgorithm::Sha3_256,
        CKG_MGF1_SHA3_384 => HashAlgorithm::Sha3_384,
        CKG_MGF1_SHA3_512 => HashAlgorithm::Sha3_512,
        _ => return None,
    })
}

/// Mechanisms that hash first: the mechanism and the hash's digest mechanism.
pub(crate) const RSA_PKCS: [(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE); 9] = [
    (CKM_SHA1_RSA_PKCS, CKM_SHA_1),
    (CKM_SHA224_RSA_PKCS, CKM_SHA224),
    (CKM_SHA256_RSA_PKCS, CKM_SHA256),
    (CKM_SHA384_RSA_PKCS, CKM_SHA384),
    (CKM_SHA512_RSA_PKCS, CKM_SHA512),
    (CKM_SHA3_224_RSA_PKCS, CKM_SHA3_224),
    (CKM_SHA3_256_RSA_PKCS, CKM_SHA3_256),
    (CKM_SHA3_384_RSA_PKCS, CKM_SHA3_384),
    (CKM_SHA3_512_RSA_PKCS, CKM_SHA3_512),
];
pub(crate) const RSA_PSS: [(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE); 9] = [
    (CKM_SHA1_RSA_PKCS_PSS, CKM_SHA_1),
    (CKM_SHA224_RSA_PKCS_PSS, CKM_SHA224),
    (CKM_SHA256_RSA_PKCS_PSS, CKM_SHA256),
    (CKM_SHA384_RSA_PKCS_PSS, CKM_SHA384),
    (CKM_SHA512_RSA_PKCS_PSS, CKM_SHA512),
    (CKM_SHA3_224_RSA_PKCS_PSS, CKM_SHA3_224),
    (CKM_SHA3_256_RSA_PKCS_PSS, CKM_SHA3_256),
    (CKM_SHA3_384_RSA_PKCS_PSS, CKM_SHA3_384),
    (CKM_SHA3_512_RSA_PKCS_PSS, CKM_SHA3_512),
];
pub(crate) const ECDSA: [(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE); 9] = [
    (CKM_ECDSA_SHA1, CKM_SHA_1),
    (CKM_ECDSA_SHA224, CKM_SHA224),
    (CKM_ECDSA_SHA256, CKM_SHA256),
    (CKM_ECDSA_SHA384, CKM_SHA384),
    (CKM_ECDSA_SHA512, CKM_SHA512),
    (CKM_ECDSA_SHA3_224, CKM_SHA3_224),
    (CKM_ECDSA_SHA3_256, CKM_SHA3_256),
    (CKM_ECDSA_SHA3_384, CKM_SHA3_384),
    (CKM_ECDSA_SHA3_512, CKM_SHA3_512),
];
pub(crate) const HMAC: [(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE); 9] = [
    (CKM_SHA_1_HMAC, CKM_SHA_1),
    (CKM_SHA224_HMAC, CKM_SHA224),
    (CKM_SHA256_HMAC, CKM_SHA256),
    (CKM_SHA384_HMAC, CKM_SHA384),
    (CKM_SHA512_HMAC, CKM_SHA512),
    (CKM_SHA3_224_HMAC, CKM_SHA3_224),
    (CKM_SHA3_256_HMAC, CKM_SHA3_256),
    (CKM_SHA3_384_HMAC, CKM_SHA3_384),
    (CKM_SHA3_512_HMAC, CKM_SHA3_512),
];
pub(crate) const HASH_ML_DSA: [(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE); 8] = [
    (CKM_HASH_ML_DSA_SHA224, CKM_SHA224),
    (CKM_HASH_ML_DSA_SHA256, CKM_SHA256),
    (CKM_HASH_ML_DSA_SHA384, CKM_SHA384),
    (CKM_HASH_ML_DSA_SHA512, CKM_SHA512),
    (CKM_HASH_ML_DSA_SHA3_224, CKM_SHA3_224),
    (CKM_HASH_ML_DSA_SHA3_256, CKM_SHA3_256),
    (CKM_HASH_ML_DSA_SHA3_384, CKM_SHA3_384),
    (CKM_HASH_ML_DSA_SHA3_512, CKM_SHA3_512),
];

/// The hash of a mechanism in one of the tables above: its digest mechanism and its function.
pub(crate) fn hashed(
    table: &[(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE)],
    kind: CK_MECHANISM_TYPE,
) -> Option<(CK_MECHANISM_TYPE, HashAlgorithm)> {
    let (_, digest) = table.iter().find(|(mechanism, _)| *mechanism == kind)?;
    Some((*digest, hash(*digest)?))
}

const SIGN: CK_FLAGS = CKF_SIGN | CKF_VERIFY;
const CIPHER: CK_FLAGS = CKF_ENCRYPT | CKF_DECRYPT;
const WRAP: CK_FLAGS = CKF_WRAP | CKF_UNWRAP;
const EC: CK_FLAGS = CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS;
/// The smallest and the largest curve, in bits.
const CURVE_BITS: (usize, usize) = (Curve::P224.field_size() * 8, 521);
const RSA: (usize, usize) = (casemate_crypto::RSA_MIN_BITS, casemate_crypto::RSA_MAX_BITS);
const AES: (usize, usize) = (16, 32);
/// Lengths of secrets for HMAC and key derivation in bytes.
const SECRET: (usize, usize) = (1, 256);
const LATTICE: (usize, usize) = (0, 0);

/// The mechanisms but for the families above: which, key sizes, flags.
const MECHANISMS: &[(CK_MECHANISM_TYPE, (usize, usize), CK_FLAGS)] = &[
    (CKM_RSA_PKCS_KEY_PAIR_GEN, RSA, CKF_HW | CKF_GENERATE_KEY_PAIR),
    (CKM_RSA_PKCS, RSA, CKF_HW | SIGN | CIPHER | WRAP),
    (CKM_RSA_X_509, RSA, CKF_HW | SIGN | CIPHER),
    (CKM_RSA_PKCS_OAEP, RSA, CKF_HW | CIPHER | WRAP),
    (CKM_RSA_PKCS_PSS, RSA, CKF_HW | SIGN),
    (CKM_EC_KEY_PAIR_GEN, CURVE_BITS, CKF_HW | CKF_GENERATE_KEY_PAIR | EC),
    (CKM_ECDSA, CURVE_BITS, CKF_HW | SIGN | EC),
    (CKM_ECDH1_DERIVE, CURVE_BITS, CKF_HW | CKF_DERIVE | EC),
    (CKM_EC_EDWARDS_KEY_PAIR_GEN, (255, 255), CKF_HW | CKF_GENERATE_KEY_PAIR),
    (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, (255, 255), CKF_HW | CKF_GENERATE_KEY_PAIR),
    (CKM_EDDSA, (255, 255), CKF_HW | SIGN),
    (CKM_ML_DSA_KEY_PAIR_GEN, LATTICE, CKF_HW | CKF_GENERATE_KEY_PAIR),
    (CKM_ML_DSA, LATTICE, CKF_HW | SIGN),
    (CKM_HASH_ML_DSA, LATTICE, CKF_HW | SIGN),
    (CKM_ML_KEM_KEY_PAIR_GEN, LATTICE, CKF_HW | CKF_GENERATE_KEY_PAIR),
    (CKM_ML_KEM, LATTICE, CKF_HW | CKF_ENCAPSULATE | CKF_DECAPSULATE),
    (CKM_AES_KEY_GEN, AES, CKF_HW | CKF_GENERATE),
    (CKM_GENERIC_SECRET_KEY_GEN, SECRET, CKF_HW | CKF_GENERATE),
    (CKM_AES_ECB, AES, CKF_HW | CIPHER),
    (CKM_AES_CBC, AES, CKF_HW | CIPHER),
    (CKM_AES_CBC_PAD, AES, CKF_HW | CIPHER),
    (CKM_AES_CTR, AES, CKF_HW | CIPHER),
    (CKM_AES_GCM, AES, CKF_HW | CIPHER),
    (CKM_AES_CCM, AES, CKF_HW | CIPHER),
    (CKM_AES_CMAC, AES, CKF_HW | SIGN),
    (CKM_AES_CMAC_GENERAL, AES, CKF_HW | SIGN),
    (CKM_AES_KEY_WRAP, AES, WRAP),
    (CKM_AES_KEY_WRAP_KWP, AES, WRAP),
    (CKM_HKDF_DERIVE, SECRET, CKF_HW | CKF_DERIVE),
];

/// The families: table, key sizes, flags.
type Family = (&'static [(CK_MECHANISM_TYPE, CK_MECHANISM_TYPE)], (usize, usize), CK_FLAGS);
const FAMILIES: [Family; 5] = [
    (&RSA_PKCS, RSA, CKF_HW | SIGN),
    (&RSA_PSS, RSA, CKF_HW | SIGN),
    (&ECDSA, CURVE_BITS, CKF_HW | SIGN | EC),
    (&HMAC, SECRET, SIGN),
    (&HASH_ML_DSA, LATTICE, CKF_HW | SIGN),
];

/// Every mechanism.
pub(crate) fn list() -> Vec<CK_MECHANISM_TYPE> {
    let plain = MECHANISMS.iter().map(|(kind, ..)| *kind);
    let families = FAMILIES.iter().flat_map(|(table, ..)| table.iter().map(|(kind, _)| *kind));
    let digests = HASHES.iter().map(|(kind, ..)| *kind);
    plain.chain(families).chain(digests).collect()
}

/// The key sizes of a mechanism and what it can do.
///
/// # Errors
/// `CKR_MECHANISM_INVALID`.
pub(crate) fn info(kind: CK_MECHANISM_TYPE) -> Result<CK_MECHANISM_INFO> {
    let plain = MECHANISMS.iter().find(|(own, ..)| *own == kind).map(|(_, sizes, flags)| (*sizes, *flags));
    let family = || {
        let (_, sizes, flags) =
            FAMILIES.iter().find(|(table, ..)| table.iter().any(|(own, _)| *own == kind))?;
        Some((*sizes, *flags))
    };
    let digest = || hash(kind).map(|_| ((0, 0), CKF_DIGEST));
    let ((min, max), flags) =
        plain.or_else(family).or_else(digest).ok_or(Error::Code(CKR_MECHANISM_INVALID))?;
    Ok(CK_MECHANISM_INFO { ulMinKeySize: min as CK_ULONG, ulMaxKeySize: max as CK_ULONG, flags })
}

/// Checks that a mechanism can do this.
///
/// # Errors
/// `CKR_MECHANISM_INVALID`; `CKR_MECHANISM_PARAM_INVALID` if its parameter could not be read.
pub(crate) fn check(mechanism: &Mechanism, can: CK_FLAGS) -> Result<()> {
    if info(mechanism.kind)?.flags & can == 0 {
        return fail(CKR_MECHANISM_INVALID);
    }
    if mechanism.parameter == Parameter::Invalid {
        return fail(CKR_MECHANISM_PARAM_INVALID);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_mechanism_is_listed_once_and_has_information() {
        let all = list();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for kind in all {
            assert_ne!(info(kind).unwrap().flags, 0);
        }
        // The numbers of PKCS#11 3.2, which are younger than the rest.
        assert_eq!([CKM_ML_KEM_KEY_PAIR_GEN, CKM_ML_KEM, CKK_ML_KEM, CKK_ML_DSA], [0x0f, 0x17, 0x49, 0x4a]);
        assert_eq!([CKM_ML_DSA_KEY_PAIR_GEN, CKM_ML_DSA, CKM_HASH_ML_DSA], [0x1c, 0x1d, 0x1f]);
        assert_eq!(HASH_ML_DSA.map(|(kind, _)| kind), [0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a]);
        assert_eq!(
            [CKA_PARAMETER_SET, CKA_ENCAPSULATE, CKA_DECAPSULATE, CKA_SEED],
            [0x61d, 0x633, 0x634, 0x637]
        );
        assert_eq!([CKF_ENCAPSULATE, CKF_DECAPSULATE], [0x1000_0000, 0x2000_0000]);
        assert_eq!(info(CKM_DES3_CBC).unwrap_err().code(), CKR_MECHANISM_INVALID);
    }
}
