//! Verification of signatures in certificates and handshakes.

use crate::{Algorithms, DriverSource};
use casemate_crypto::encoding::{decode_ecdsa_signature, decode_point};
use casemate_crypto::{Curve, Curve25519, Ed25519Mode, EllipticCurve, HashAlgorithm};
use core::fmt;
use core::marker::PhantomData;
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

/// The longest digest here, in bytes.
const MAX_DIGEST: usize = 64;

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ecdsa(Curve, HashAlgorithm),
    Ed25519,
    #[cfg(feature = "rsa")]
    RsaPkcs1(HashAlgorithm),
    #[cfg(feature = "rsa")]
    RsaPss(HashAlgorithm),
}

struct Verifier<S> {
    kind: Kind,
    source: PhantomData<fn() -> S>,
}

impl<S> Verifier<S> {
    const fn new(kind: Kind) -> Self {
        Self { kind, source: PhantomData }
    }
}

impl<S> fmt::Debug for Verifier<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(formatter)
    }
}

type Verifiers = &'static [&'static dyn SignatureVerificationAlgorithm];

impl<S: DriverSource> Algorithms<S> {
    const P256_SHA256: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P256, HashAlgorithm::Sha256));
    const P256_SHA384: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P256, HashAlgorithm::Sha384));
    const P256_SHA512: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P256, HashAlgorithm::Sha512));
    #[cfg(feature = "p384")]
    const P384_SHA256: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P384, HashAlgorithm::Sha256));
    #[cfg(feature = "p384")]
    const P384_SHA384: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P384, HashAlgorithm::Sha384));
    #[cfg(feature = "p384")]
    const P384_SHA512: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P384, HashAlgorithm::Sha512));
    #[cfg(feature = "p521")]
    const P521_SHA256: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P521, HashAlgorithm::Sha256));
    #[cfg(feature = "p521")]
    const P521_SHA384: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P521, HashAlgorithm::Sha384));
    #[cfg(feature = "p521")]
    const P521_SHA512: &'static Verifier<S> = &Verifier::new(Kind::Ecdsa(Curve::P521, HashAlgorithm::Sha512));
    const ED25519: &'static Verifier<S> = &Verifier::new(Kind::Ed25519);

    const ALL: Verifiers = &[
        Self::P256_SHA256,
        Self::P256_SHA384,
        Self::P256_SHA512,
        #[cfg(feature = "p384")]
        Self::P384_SHA256,
        #[cfg(feature = "p384")]
        Self::P384_SHA384,
        #[cfg(feature = "p384")]
        Self::P384_SHA512,
        #[cfg(feature = "p521")]
        Self::P521_SHA256,
        #[cfg(feature = "p521")]
        Self::P521_SHA384,
        #[cfg(feature = "p521")]
        Self::P521_SHA512,
        Self::ED25519,
        #[cfg(feature = "rsa")]
        Self::PKCS1_SHA256,
        #[cfg(feature = "rsa")]
        Self::PKCS1_SHA384,
        #[cfg(feature = "rsa")]
        Self::PKCS1_SHA512,
        #[cfg(feature = "rsa")]
        Self::PSS_SHA256,
        #[cfg(feature = "rsa")]
        Self::PSS_SHA384,
        #[cfg(feature = "rsa")]
        Self::PSS_SHA512,
    ];

    /// In TLS 1.2 a scheme names the hash only, in TLS 1.3 the curve too: the first entry is TLS 1.3's.
    const MAPPING: &'static [(SignatureScheme, Verifiers)] = &[
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[
                Self::P256_SHA256,
                #[cfg(feature = "p384")]
                Self::P384_SHA256,
                #[cfg(feature = "p521")]
                Self::P521_SHA256,
            ],
        ),
        #[cfg(feature = "p384")]
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[
                Self::P384_SHA384,
                Self::P256_SHA384,
                #[cfg(feature = "p521")]
                Self::P521_SHA384,
            ],
        ),
        #[cfg(feature = "p521")]
        (
            SignatureScheme::ECDSA_NISTP521_SHA512,
            &[
                Self::P521_SHA512,
                Self::P256_SHA512,
                #[cfg(feature = "p384")]
                Self::P384_SHA512,
            ],
        ),
        (SignatureScheme::ED25519, &[Self::ED25519]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PSS_SHA256, &[Self::PSS_SHA256]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PSS_SHA384, &[Self::PSS_SHA384]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PSS_SHA512, &[Self::PSS_SHA512]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PKCS1_SHA256, &[Self::PKCS1_SHA256]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PKCS1_SHA384, &[Self::PKCS1_SHA384]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PKCS1_SHA512, &[Self::PKCS1_SHA512]),
    ];
}

#[cfg(feature = "rsa")]
impl<S: DriverSource> Algorithms<S> {
    const PKCS1_SHA256: &'static Verifier<S> = &Verifier::new(Kind::RsaPkcs1(HashAlgorithm::Sha256));
    const PKCS1_SHA384: &'static Verifier<S> = &Verifier::new(Kind::RsaPkcs1(HashAlgorithm::Sha384));
    const PKCS1_SHA512: &'static Verifier<S> = &Verifier::new(Kind::RsaPkcs1(HashAlgorithm::Sha512));
    const PSS_SHA256: &'static Verifier<S> = &Verifier::new(Kind::RsaPss(HashAlgorithm::Sha256));
    const PSS_SHA384: &'static Verifier<S> = &Verifier::new(Kind::RsaPss(HashAlgorithm::Sha384));
    const PSS_SHA512: &'static Verifier<S> = &Verifier::new(Kind::RsaPss(HashAlgorithm::Sha512));
}

pub(crate) fn algorithms<S: DriverSource>() -> WebPkiSupportedAlgorithms {
    WebPkiSupportedAlgorithms { all: Algorithms::<S>::ALL, mapping: Algorithms::<S>::MAPPING }
}

/// The digest of `message`, at the start of `output`.
pub(crate) fn digest<'a, S: DriverSource>(
    algorithm: HashAlgorithm,
    message: &[u8],
    output: &'a mut [u8; MAX_DIGEST],
) -> Result<&'a [u8], casemate_crypto::Error> {
    let size = algorithm.digest_size().ok_or(casemate_crypto::Error::Unsupported)?;
    let output = output.get_mut(..size).ok_or(casemate_crypto::Error::OutputLength)?;
    casemate_crypto::hash(S::driver(), algorithm, &[message], output)?;
    Ok(output)
}

/// The number of bits of a big-endian number without leading zero octets.
#[cfg(feature = "rsa")]
pub(crate) fn bits(number: &[u8]) -> usize {
    let zeros = number.first().map_or(0, |octet| octet.leading_zeros());
    number.len().saturating_mul(8).saturating_sub(usize::try_from(zeros).unwrap_or(0))
}

#[cfg(feature = "rsa")]
fn verify_rsa<S: DriverSource>(
    algorithm: HashAlgorithm,
    pss: bool,
    key: &[u8],
    digest: &[u8],
    signature: &[u8],
) -> Result<(), InvalidSignature> {
    use casemate_crypto::encoding::RsaKey;
    use casemate_crypto::rsa_padding::{Pss, open_signature, pkcs1_signature_verify};
    let key = RsaKey::decode(key).map_err(|_| InvalidSignature)?.public();
    let mut block = [0; casemate_crypto::RSA_MAX_BYTES];
    let block = block.get_mut(..key.modulus.len()).ok_or(InvalidSignature)?;
    open_signature(S::driver(), &key, signature, block).map_err(|_| InvalidSignature)?;
    if pss {
        let pss = Pss::new(algorithm).ok_or(InvalidSignature)?;
        pss.verify(S::driver(), bits(key.modulus), digest, block)
    } else {
        pkcs1_signature_verify(algorithm, digest, block)
    }
    .map_err(|_| InvalidSignature)
}

impl<S: DriverSource> SignatureVerificationAlgorithm for Verifier<S> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let mut space = [0; MAX_DIGEST];
        match self.kind {
            Kind::Ecdsa(curve, hash) => {
                let digest = digest::<S>(hash, message, &mut space).map_err(|_| InvalidSignature)?;
                let point = decode_point(curve, public_key).map_err(|_| InvalidSignature)?;
                let mut numbers = [0; Curve::MAX_POINT];
                let size =
                    decode_ecdsa_signature(curve, signature, &mut numbers).map_err(|_| InvalidSignature)?;
                let numbers = numbers.get(..size).ok_or(InvalidSignature)?;
                S::driver().ecdsa_verify(curve, point, digest, numbers).map_err(|_| InvalidSignature)
            }
            Kind::Ed25519 => {
                let key = public_key.try_into().map_err(|_| InvalidSignature)?;
                let signature = signature.try_into().map_err(|_| InvalidSignature)?;
                S::driver()
                    .ed25519_verify(key, Ed25519Mode::Pure, message, signature)
                    .map_err(|_| InvalidSignature)
            }
            #[cfg(feature = "rsa")]
            Kind::RsaPkcs1(hash) | Kind::RsaPss(hash) => {
                let digest = digest::<S>(hash, message, &mut space).map_err(|_| InvalidSignature)?;
                let pss = matches!(self.kind, Kind::RsaPss(_));
                verify_rsa::<S>(hash, pss, public_key, digest, signature)
            }
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.kind {
            Kind::Ecdsa(Curve::P384, _) => alg_id::ECDSA_P384,
            Kind::Ecdsa(Curve::P521, _) => alg_id::ECDSA_P521,
            Kind::Ecdsa(..) => alg_id::ECDSA_P256,
            Kind::Ed25519 => alg_id::ED25519,
            #[cfg(feature = "rsa")]
            Kind::RsaPkcs1(_) | Kind::RsaPss(_) => alg_id::RSA_ENCRYPTION,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.kind {
            Kind::Ecdsa(_, HashAlgorithm::Sha384) => alg_id::ECDSA_SHA384,
            Kind::Ecdsa(_, HashAlgorithm::Sha512) => alg_id::ECDSA_SHA512,
            Kind::Ecdsa(..) => alg_id::ECDSA_SHA256,
            Kind::Ed25519 => alg_id::ED25519,
            #[cfg(feature = "rsa")]
            Kind::RsaPkcs1(HashAlgorithm::Sha384) => alg_id::RSA_PKCS1_SHA384,
            #[cfg(feature = "rsa")]
            Kind::RsaPkcs1(HashAlgorithm::Sha512) => alg_id::RSA_PKCS1_SHA512,
            #[cfg(feature = "rsa")]
            Kind::RsaPkcs1(_) => alg_id::RSA_PKCS1_SHA256,
            #[cfg(feature = "rsa")]
            Kind::RsaPss(HashAlgorithm::Sha384) => alg_id::RSA_PSS_SHA384,
            #[cfg(feature = "rsa")]
            Kind::RsaPss(HashAlgorithm::Sha512) => alg_id::RSA_PSS_SHA512,
            #[cfg(feature = "rsa")]
            Kind::RsaPss(_) => alg_id::RSA_PSS_SHA256,
        }
    }
}
