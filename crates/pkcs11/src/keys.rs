//! Kinds of key pairs, and the three forms of their keys: attributes of PKCS#11, encodings of the server, parameters of
//! the drivers.

use crate::attributes::Attributes;
use crate::driver::driver;
use crate::error::{Error, Result, fail};
use casemate_client as client;
use casemate_crypto::encoding::{
    EcKey, Ed25519Key, MlDsaKey, MlKemKey, RsaKey, X25519Key, encode_rsa_private, encode_rsa_public,
};
use casemate_crypto::{Curve, MlDsaSet, MlKemSet, RSA_MAX_BITS, RSA_MIN_BITS, RsaPrivateKey, RsaPublicKey};
use casemate_protocol::message::key::KeyAlgorithm;
use cryptoki_sys::*;
use zeroize::Zeroizing;

/// A kind of key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    Ec(Curve),
    Ed25519,
    X25519,
    MlDsa(MlDsaSet),
    MlKem(MlKemSet),
}

/// The largest encoding of any key pair of the server.
pub(crate) const MAX_ENCODING: usize = MlDsaKey::MAX_ENCODING;

/// Curves by what CKA_EC_PARAMS says: an OBJECT IDENTIFIER in DER (SEC 2, RFC 5639), as the client calls them, too.
const CURVES: [(Curve, client::Curve, &[u8]); 7] = [
    (Curve::P256, client::Curve::P256, &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]),
    (Curve::P384, client::Curve::P384, &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]),
    (Curve::P521, client::Curve::P521, &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]),
    (Curve::P224, client::Curve::P224, &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21]),
    (Curve::Secp256k1, client::Curve::Secp256k1, &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]),
    (
        Curve::BrainpoolP256r1,
        client::Curve::BrainpoolP256r1,
        &[0x06, 0x09, 0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07],
    ),
    (
        Curve::BrainpoolP384r1,
        client::Curve::BrainpoolP384r1,
        &[0x06, 0x09, 0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0b],
    ),
];

/// The names of Ed25519 and X25519 as CKA_EC_PARAMS: the identifiers of RFC 8410, and the names of PKCS#11 3.0.
const ED25519: [&[u8]; 2] = [&[0x06, 0x03, 0x2b, 0x65, 0x70], b"\x13\x0cedwards25519"];
const X25519: [&[u8]; 2] = [&[0x06, 0x03, 0x2b, 0x65, 0x6e], b"\x13\x0acurve25519"];

const BIT_STRING: u8 = 3;
const OCTET_STRING: u8 = 4;
const SEQUENCE: u8 = 0x30;

pub(crate) fn client_curve(curve: Curve) -> client::Curve {
    CURVES.iter().find(|(own, ..)| *own == curve).map_or(client::Curve::P256, |(_, theirs, _)| *theirs)
}

pub(crate) const fn client_ml_dsa(set: MlDsaSet) -> client::MlDsa {
    match set {
        MlDsaSet::MlDsa44 => client::MlDsa::MlDsa44,
        MlDsaSet::MlDsa65 => client::MlDsa::MlDsa65,
        MlDsaSet::MlDsa87 => client::MlDsa::MlDsa87,
    }
}

pub(crate) const fn client_ml_kem(set: MlKemSet) -> client::MlKem {
    match set {
        MlKemSet::MlKem512 => client::MlKem::MlKem512,
        MlKemSet::MlKem768 => client::MlKem::MlKem768,
        MlKemSet::MlKem1024 => client::MlKem::MlKem1024,
    }
}

impl Kind {
    /// The algorithms whose public half a server tells, in the order in which a key of unknown kind is tried.
    pub(crate) const PROBES: [KeyAlgorithm; 6] = [
        KeyAlgorithm::ECC,
        KeyAlgorithm::RSA,
        KeyAlgorithm::ED25519,
        KeyAlgorithm::X25519,
        KeyAlgorithm::ML_DSA,
        KeyAlgorithm::ML_KEM,
    ];

    /// The kind of key that these attributes describe: the key's own, or those of a template for a pair.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCOMPLETE`, `CKR_CURVE_NOT_SUPPORTED`, `CKR_PARAMETER_SET_NOT_SUPPORTED`,
    /// `CKR_ATTRIBUTE_VALUE_INVALID`.
    pub(crate) fn of(attributes: &Attributes) -> Result<Self> {
        let set = || attributes.need_number(CKA_PARAMETER_SET);
        match attributes.need_number(CKA_KEY_TYPE)? {
            CKK_RSA => Ok(Self::Rsa),
            CKK_EC => {
                let parameters = attributes.need(CKA_EC_PARAMS)?;
                CURVES
                    .iter()
                    .find(|(.., name)| *name == parameters)
                    .map(|(curve, ..)| Self::Ec(*curve))
                    .ok_or(Error::Code(CKR_CURVE_NOT_SUPPORTED))
            }
            CKK_EC_EDWARDS if ED25519.contains(&attributes.need(CKA_EC_PARAMS)?) => Ok(Self::Ed25519),
            CKK_EC_MONTGOMERY if X25519.contains(&attributes.need(CKA_EC_PARAMS)?) => Ok(Self::X25519),
            CKK_EC_EDWARDS | CKK_EC_MONTGOMERY => fail(CKR_CURVE_NOT_SUPPORTED),
            CKK_ML_DSA => Ok(Self::MlDsa(match set()? {
                CKP_ML_DSA_44 => MlDsaSet::MlDsa44,
                CKP_ML_DSA_65 => MlDsaSet::MlDsa65,
                CKP_ML_DSA_87 => MlDsaSet::MlDsa87,
                _ => return fail(CKR_PARAMETER_SET_NOT_SUPPORTED),
            })),
            CKK_ML_KEM => Ok(Self::MlKem(match set()? {
                CKP_ML_KEM_512 => MlKemSet::MlKem512,
                CKP_ML_KEM_768 => MlKemSet::MlKem768,
                CKP_ML_KEM_1024 => MlKemSet::MlKem1024,
                _ => return fail(CKR_PARAMETER_SET_NOT_SUPPORTED),
            })),
            _ => fail(CKR_ATTRIBUTE_VALUE_INVALID),
        }
    }

    /// What the server calls it.
    pub(crate) const fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Rsa => KeyAlgorithm::RSA,
            Self::Ec(_) => KeyAlgorithm::ECC,
            Self::Ed25519 => KeyAlgorithm::ED25519,
            Self::X25519 => KeyAlgorithm::X25519,
            Self::MlDsa(_) => KeyAlgorithm::ML_DSA,
            Self::MlKem(_) => KeyAlgorithm::ML_KEM,
        }
    }

    pub(crate) const fn key_type(self) -> CK_KEY_TYPE {
        match self {
            Self::Rsa => CKK_RSA,
            Self::Ec(_) => CKK_EC,
            Self::Ed25519 => CKK_EC_EDWARDS,
            Self::X25519 => CKK_EC_MONTGOMERY,
            Self::MlDsa(_) => CKK_ML_DSA,
            Self::MlKem(_) => CKK_ML_KEM,
        }
    }

    /// What a private key of this kind can do: the attributes that are true unless a template says otherwise.
    pub(crate) const fn private_usage(self) -> &'static [CK_ATTRIBUTE_TYPE] {
        match self {
            Self::Rsa => &[CKA_SIGN, CKA_DECRYPT],
            Self::Ec(_) => &[CKA_SIGN, CKA_DERIVE],
            Self::Ed25519 | Self::MlDsa(_) => &[CKA_SIGN],
            Self::X25519 => &[CKA_DERIVE],
            Self::MlKem(_) => &[CKA_DECAPSULATE],
        }
    }

    /// What a public key of this kind can do.
    pub(crate) const fn public_usage(self) -> &'static [CK_ATTRIBUTE_TYPE] {
        match self {
            Self::Rsa => &[CKA_VERIFY, CKA_ENCRYPT],
            Self::Ec(_) | Self::Ed25519 | Self::MlDsa(_) => &[CKA_VERIFY],
            Self::X25519 => &[],
            Self::MlKem(_) => &[CKA_ENCAPSULATE],
        }
    }

    /// The attributes that say what kind of key this is, for both halves.
    fn describe(self, attributes: &mut Attributes) {
        attributes.set_number(CKA_KEY_TYPE, self.key_type());
        match self {
            Self::Rsa => {}
            Self::Ec(curve) => {
                let name = CURVES.iter().find(|(own, ..)| *own == curve).map_or(&[][..], |(.., name)| *name);
                attributes.supply(CKA_EC_PARAMS, name);
            }
            Self::Ed25519 => attributes.supply(CKA_EC_PARAMS, ED25519[0]),
            Self::X25519 => attributes.supply(CKA_EC_PARAMS, X25519[0]),
            Self::MlDsa(set) => attributes.set_number(
                CKA_PARAMETER_SET,
                match set {
                    MlDsaSet::MlDsa44 => CKP_ML_DSA_44,
                    MlDsaSet::MlDsa65 => CKP_ML_DSA_65,
                    MlDsaSet::MlDsa87 => CKP_ML_DSA_87,
                },
            ),
            Self::MlKem(set) => attributes.set_number(
                CKA_PARAMETER_SET,
                match set {
                    MlKemSet::MlKem512 => CKP_ML_KEM_512,
                    MlKemSet::MlKem768 => CKP_ML_KEM_768,
                    MlKemSet::MlKem1024 => CKP_ML_KEM_1024,
                },
            ),
        }
    }

    /// Adds what both halves show of a public key.
    pub(crate) fn describe_private(self, public: &PublicKey, attributes: &mut Attributes) {
        self.describe(attributes);
        if let PublicKey::Rsa { modulus, exponent } = public {
            attributes.set(CKA_MODULUS, modulus.as_slice());
            attributes.set(CKA_PUBLIC_EXPONENT, exponent.as_slice());
        }
    }

    /// Adds what a public key shows of itself.
    pub(crate) fn describe_public(self, public: &PublicKey, attributes: &mut Attributes) {
        self.describe_private(public, attributes);
        match public {
            PublicKey::Rsa { modulus, .. } => {
                let bits = RsaPublicKey { modulus, exponent: &[] }.bits();
                attributes.set_number(CKA_MODULUS_BITS, bits as CK_ULONG);
            }
            PublicKey::Ec(point) => {
                attributes.set(CKA_EC_POINT, octet_string(&[&[4], point.as_slice()].concat()));
            }
            PublicKey::Curve25519(point) => attributes.set(CKA_EC_POINT, octet_string(point)),
            PublicKey::Lattice(value) => attributes.set(CKA_VALUE, value.as_slice()),
        }
    }
}

/// The DER encoding of an OCTET STRING of at most 65,535 bytes.
fn octet_string(value: &[u8]) -> Vec<u8> {
    tagged(OCTET_STRING, value)
}

/// The DER encoding of at most 65,535 bytes with a tag.
fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header = match value.len() {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header.as_slice(), value].concat()
}

/// The content of an OCTET STRING; other bytes are taken as they are, as older programs write points without it.
/// `size` is the content's length.
fn point_octets(value: &[u8], size: usize) -> Option<&[u8]> {
    if value.len() == size {
        return Some(value);
    }
    let content = value.get(value.len().checked_sub(size)?..)?;
    (octet_string(content) == value).then_some(content)
}

/// The numbers of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// X ‖ Y.
    Ec(Vec<u8>),
    Curve25519([u8; 32]),
    /// A public key of ML-DSA, an encapsulation key of ML-KEM.
    Lattice(Vec<u8>),
}

/// Without leading zeros.
fn number(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn checked_rsa(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey> {
    let (modulus, exponent) = (number(modulus).to_vec(), number(exponent).to_vec());
    let bits = RsaPublicKey { modulus: &modulus, exponent: &exponent }.bits();
    if !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits) {
        return fail(CKR_KEY_SIZE_RANGE);
    }
    Ok(PublicKey::Rsa { modulus, exponent })
}

impl PublicKey {
    /// The public key in an encoding of the server, and what kind it is.
    pub(crate) fn decode(algorithm: KeyAlgorithm, bytes: &[u8]) -> Result<(Kind, Self)> {
        let missing = Error::Code(CKR_DEVICE_ERROR);
        Ok(match algorithm {
            KeyAlgorithm::RSA => {
                let key = RsaKey::decode(bytes)?.public();
                (Kind::Rsa, checked_rsa(key.modulus, key.exponent)?)
            }
            KeyAlgorithm::ECC => {
                let key = EcKey::decode(bytes)?;
                (Kind::Ec(key.curve), Self::Ec(key.public.ok_or(missing)?.to_vec()))
            }
            KeyAlgorithm::ED25519 => {
                (Kind::Ed25519, Self::Curve25519(Ed25519Key::decode(bytes)?.public.ok_or(missing)?))
            }
            KeyAlgorithm::X25519 => {
                (Kind::X25519, Self::Curve25519(X25519Key::decode(bytes)?.public.ok_or(missing)?))
            }
            KeyAlgorithm::ML_DSA => {
                let key = MlDsaKey::decode(bytes)?;
                (Kind::MlDsa(key.set), Self::Lattice(key.public.ok_or(missing)?.to_vec()))
            }
            _ => {
                let key = MlKemKey::decode(bytes)?;
                (Kind::MlKem(key.set), Self::Lattice(key.public.to_vec()))
            }
        })
    }

    /// The public key that the attributes of a public key hold. Whether a point is on its curve is left to the driver.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCOMPLETE`, `CKR_ATTRIBUTE_VALUE_INVALID`, `CKR_KEY_SIZE_RANGE`.
    pub(crate) fn of(kind: Kind, attributes: &Attributes) -> Result<Self> {
        let wrong = Error::Code(CKR_ATTRIBUTE_VALUE_INVALID);
        match kind {
            Kind::Rsa => checked_rsa(attributes.need(CKA_MODULUS)?, attributes.need(CKA_PUBLIC_EXPONENT)?),
            Kind::Ec(curve) => {
                let point = attributes.need(CKA_EC_POINT)?;
                Self::of_point(curve, point).ok_or(wrong)
            }
            Kind::Ed25519 | Kind::X25519 => {
                let point = point_octets(attributes.need(CKA_EC_POINT)?, 32).ok_or(wrong)?;
                Ok(Self::Curve25519(point.try_into().map_err(|_| wrong)?))
            }
            Kind::MlDsa(set) => {
                let value = attributes.need(CKA_VALUE)?;
                if value.len() == set.public_size() { Ok(Self::Lattice(value.to_vec())) } else { Err(wrong) }
            }
            Kind::MlKem(set) => {
                let value = attributes.need(CKA_VALUE)?;
                if value.len() == set.public_size() { Ok(Self::Lattice(value.to_vec())) } else { Err(wrong) }
            }
        }
    }

    /// The public key of an uncompressed point, in an OCTET STRING or bare.
    pub(crate) fn of_point(curve: Curve, point: &[u8]) -> Option<Self> {
        let size = curve.point_size().checked_add(1)?;
        match point_octets(point, size)?.split_first()? {
            (4, coordinates) => Some(Self::Ec(coordinates.to_vec())),
            _ => None,
        }
    }

    /// The encoding that servers take: SubjectPublicKeyInfo, except for ML-KEM.
    pub(crate) fn encode(&self, kind: Kind) -> Result<Vec<u8>> {
        let mut buffer = vec![0; MAX_ENCODING];
        let length = match (kind, self) {
            (Kind::Rsa, Self::Rsa { modulus, exponent }) => {
                encode_rsa_public(&RsaPublicKey { modulus, exponent }, &mut buffer)?
            }
            (Kind::Ec(curve), Self::Ec(public)) => {
                EcKey { curve, private: None, public: Some(public) }.encode_public(&mut buffer)?
            }
            (Kind::Ed25519, Self::Curve25519(public)) => {
                Ed25519Key { seed: None, public: Some(*public) }.encode_public(&mut buffer)?
            }
            (Kind::X25519, Self::Curve25519(public)) => {
                X25519Key { private: None, public: Some(*public) }.encode_public(&mut buffer)?
            }
            (Kind::MlDsa(set), Self::Lattice(public)) => {
                MlDsaKey { set, private: None, seed: None, public: Some(public) }
                    .encode_public(&mut buffer)?
            }
            (Kind::MlKem(_), Self::Lattice(public)) => return Ok(public.clone()),
            _ => return fail(CKR_KEY_TYPE_INCONSISTENT),
        };
        buffer.truncate(length);
        Ok(buffer)
    }

    /// The key as a SubjectPublicKeyInfo: CKA_PUBLIC_KEY_INFO.
    pub(crate) fn info(&self, kind: Kind) -> Result<Vec<u8>> {
        let bytes = self.encode(kind)?;
        let Kind::MlKem(set) = kind else { return Ok(bytes) };
        // The identifiers id-alg-ml-kem-512, -768 and -1024 (RFC 9935, section 3).
        let number = match set {
            MlKemSet::MlKem512 => 1,
            MlKemSet::MlKem768 => 2,
            MlKemSet::MlKem1024 => 3,
        };
        let algorithm = [0x30, 11, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04, number];
        let key = tagged(BIT_STRING, &[&[0], bytes.as_slice()].concat());
        Ok(tagged(SEQUENCE, &[algorithm.as_slice(), &key].concat()))
    }

    /// Checks that the key is one: that a point is on its curve, for instance.
    ///
    /// # Errors
    /// `CKR_ATTRIBUTE_VALUE_INVALID`.
    pub(crate) fn check(&self, kind: Kind) -> Result<()> {
        let wrong = Error::Code(CKR_ATTRIBUTE_VALUE_INVALID);
        match (kind, self) {
            (Kind::Ec(curve), Self::Ec(public)) => driver().ec_check(curve, public).map_err(|_| wrong),
            (Kind::MlKem(set), Self::Lattice(public)) => {
                driver().ml_kem_check(set, public).map_err(|_| wrong)
            }
            (Kind::Rsa, Self::Rsa { modulus, exponent }) => {
                // Encoding checks the numbers.
                let mut buffer = vec![0; RsaKey::MAX_ENCODING];
                encode_rsa_public(&RsaPublicKey { modulus, exponent }, &mut buffer)
                    .map(|_| ())
                    .map_err(|_| wrong)
            }
            _ => Ok(()),
        }
    }
}

/// A private key as servers encode it, and its public half.
pub(crate) struct PrivateKey {
    pub(crate) encoding: Zeroizing<Vec<u8>>,
    pub(crate) public: PublicKey,
}

impl PrivateKey {
    /// The private key that a template holds.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCOMPLETE`, `CKR_ATTRIBUTE_VALUE_INVALID`, `CKR_KEY_SIZE_RANGE`.
    pub(crate) fn of(kind: Kind, attributes: &Attributes) -> Result<Self> {
        let wrong = Error::Code(CKR_ATTRIBUTE_VALUE_INVALID);
        let mut buffer = Zeroizing::new(vec![0; MAX_ENCODING]);
        let (length, public) = match kind {
            Kind::Rsa => {
                let need = |kind| attributes.need(kind).map(number);
                let key = RsaPrivateKey {
                    public: RsaPublicKey {
                        modulus: need(CKA_MODULUS)?,
                        exponent: need(CKA_PUBLIC_EXPONENT)?,
                    },
                    exponent: need(CKA_PRIVATE_EXPONENT)?,
                    prime_p: need(CKA_PRIME_1)?,
                    prime_q: need(CKA_PRIME_2)?,
                    exponent_p: need(CKA_EXPONENT_1)?,
                    exponent_q: need(CKA_EXPONENT_2)?,
                    coefficient: need(CKA_COEFFICIENT)?,
                };
                let public = checked_rsa(key.public.modulus, key.public.exponent)?;
                RsaKey::Private(key).check()?;
                (encode_rsa_private(&key, &mut buffer)?, public)
            }
            Kind::Ec(curve) => {
                let value = number(attributes.need(CKA_VALUE)?);
                let mut private = Zeroizing::new(vec![0; curve.field_size()]);
                let start = private.len().checked_sub(value.len()).ok_or(wrong)?;
                private.get_mut(start..).ok_or(wrong)?.copy_from_slice(value);
                let mut public = vec![0; curve.point_size()];
                driver().ec_public(curve, &private, &mut public)?;
                let key = EcKey { curve, private: Some(&private), public: Some(&public) };
                (key.encode_private(&mut buffer)?, PublicKey::Ec(public))
            }
            Kind::Ed25519 => {
                let value = attributes.need(CKA_VALUE)?;
                let seed = Zeroizing::new(<[u8; 32]>::try_from(value).map_err(|_| wrong)?);
                let mut public = [0; 32];
                driver().ed25519_public(&seed, &mut public)?;
                let key = Ed25519Key { seed: Some(seed), public: Some(public) };
                (key.encode_private(&mut buffer)?, PublicKey::Curve25519(public))
            }
            Kind::X25519 => {
                let value = attributes.need(CKA_VALUE)?;
                let private = Zeroizing::new(<[u8; 32]>::try_from(value).map_err(|_| wrong)?);
                let mut public = [0; 32];
                driver().x25519_public(&private, &mut public)?;
                let key = X25519Key { private: Some(private), public: Some(public) };
                (key.encode_private(&mut buffer)?, PublicKey::Curve25519(public))
            }
            Kind::MlDsa(set) => {
                let mut private = Zeroizing::new(vec![0; set.private_size()]);
                let mut public = vec![0; set.public_size()];
                if let Some(seed) = attributes.get(CKA_SEED).filter(|seed| !seed.is_empty()) {
                    let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).map_err(|_| wrong)?);
                    driver().ml_dsa_from_seed(set, &seed, &mut private, &mut public)?;
                } else {
                    let value = attributes.need(CKA_VALUE)?;
                    if value.len() != private.len() {
                        return Err(wrong);
                    }
                    private.copy_from_slice(value);
                    driver().ml_dsa_public(set, &private, &mut public)?;
                }
                let key = MlDsaKey { set, private: Some(&private), seed: None, public: Some(&public) };
                (key.encode_private(&mut buffer)?, PublicKey::Lattice(public))
            }
            Kind::MlKem(set) => {
                let mut private = Zeroizing::new(vec![0; set.private_size()]);
                if let Some(seed) = attributes.get(CKA_SEED).filter(|seed| !seed.is_empty()) {
                    let seed = Zeroizing::new(<[u8; 64]>::try_from(seed).map_err(|_| wrong)?);
                    driver().ml_kem_from_seed(set, &seed, &mut private)?;
                } else {
                    let value = attributes.need(CKA_VALUE)?;
                    if value.len() != private.len() {
                        return Err(wrong);
                    }
                    private.copy_from_slice(value);
                    driver().ml_kem_check(set, &private).map_err(|_| wrong)?;
                }
                buffer.get_mut(..private.len()).ok_or(wrong)?.copy_from_slice(&private);
                let public = PublicKey::Lattice(set.public_of(&private).ok_or(wrong)?.to_vec());
                (private.len(), public)
            }
        };
        buffer.truncate(length);
        Ok(Self { encoding: buffer, public })
    }

    /// The secret attributes of an encoded private key.
    pub(crate) fn reveal(kind: Kind, encoding: &[u8]) -> Result<Attributes> {
        let missing = Error::Code(CKR_DEVICE_ERROR);
        let mut attributes = Attributes::default();
        match kind {
            Kind::Rsa => {
                let key = RsaKey::decode(encoding)?.private()?;
                for (kind, value) in [
                    (CKA_PRIVATE_EXPONENT, key.exponent),
                    (CKA_PRIME_1, key.prime_p),
                    (CKA_PRIME_2, key.prime_q),
                    (CKA_EXPONENT_1, key.exponent_p),
                    (CKA_EXPONENT_2, key.exponent_q),
                    (CKA_COEFFICIENT, key.coefficient),
                ] {
                    attributes.set(kind, value);
                }
            }
            Kind::Ec(_) => attributes.set(CKA_VALUE, EcKey::decode(encoding)?.private.ok_or(missing)?),
            Kind::Ed25519 => {
                attributes.set(CKA_VALUE, Ed25519Key::decode(encoding)?.seed.ok_or(missing)?.as_slice());
            }
            Kind::X25519 => {
                attributes.set(CKA_VALUE, X25519Key::decode(encoding)?.private.ok_or(missing)?.as_slice());
            }
            Kind::MlDsa(_) => attributes.set(CKA_VALUE, MlDsaKey::decode(encoding)?.private.ok_or(missing)?),
            Kind::MlKem(_) => attributes.set(CKA_VALUE, MlKemKey::decode(encoding)?.private.ok_or(missing)?),
        }
        Ok(attributes)
    }
}

/// Attributes of a private key that hold its secrets.
pub(crate) const PRIVATE_SECRETS: [CK_ATTRIBUTE_TYPE; 8] = [
    CKA_VALUE,
    CKA_PRIVATE_EXPONENT,
    CKA_PRIME_1,
    CKA_PRIME_2,
    CKA_EXPONENT_1,
    CKA_EXPONENT_2,
    CKA_COEFFICIENT,
    CKA_SEED,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn described(kind: Kind) -> Attributes {
        let mut attributes = Attributes::default();
        kind.describe(&mut attributes);
        attributes
    }

    #[test]
    fn every_kind_is_known_again() {
        let curves = Curve::ALL.map(Kind::Ec);
        let others = [Kind::Rsa, Kind::Ed25519, Kind::X25519];
        let lattices = MlDsaSet::ALL.map(Kind::MlDsa).into_iter().chain(MlKemSet::ALL.map(Kind::MlKem));
        for kind in curves.into_iter().chain(others).chain(lattices) {
            assert_eq!(Kind::of(&described(kind)), Ok(kind));
        }
    }

    #[test]
    fn a_public_key_of_ml_kem_has_information_of_the_usual_form() {
        for (set, front) in [
            (MlKemSet::MlKem512, "30820332 300b 0609 608648016503040401 03820321 00"),
            (MlKemSet::MlKem768, "308204b2 300b 0609 608648016503040402 038204a1 00"),
            (MlKemSet::MlKem1024, "30820632 300b 0609 608648016503040403 03820621 00"),
        ] {
            let public = PublicKey::Lattice(vec![7; set.public_size()]);
            let info = public.info(Kind::MlKem(set)).unwrap();
            let (header, key) = info.split_at(info.len() - set.public_size());
            let hex: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, front.replace(' ', ""));
            assert!(key.iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn points_come_in_an_octet_string_or_bare() {
        for size in [32, 65, 97, 133] {
            let point = vec![7; size];
            assert_eq!(point_octets(&point, size), Some(point.as_slice()));
            assert_eq!(point_octets(&octet_string(&point), size), Some(point.as_slice()));
            assert_eq!(point_octets(&octet_string(&point), size + 1), None);
            assert_eq!(point_octets(&point[1..], size), None);
        }
        assert_eq!(octet_string(&[7; 133])[..3], [4, 0x81, 133]);
    }

    #[test]
    fn imported_keys_have_the_public_half_of_their_private_half() {
        // RFC 8032, 7.1, test 1.
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let mut attributes = described(Kind::Ed25519);
        attributes.set(CKA_VALUE, seed);
        let key = PrivateKey::of(Kind::Ed25519, &attributes).unwrap();
        let PublicKey::Curve25519(public) = key.public else { panic!() };
        assert_eq!(public[..4], [0xd7, 0x5a, 0x98, 0x01]);
        let revealed = PrivateKey::reveal(Kind::Ed25519, &key.encoding).unwrap();
        assert_eq!(revealed.get(CKA_VALUE), Some(seed.as_slice()));
    }
}
