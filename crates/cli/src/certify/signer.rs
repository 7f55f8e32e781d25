//! A key pair of the server that signs certificates and requests.

use crate::connection::Hsm;
use anyhow::{Context, Result, bail, ensure};
use casemate_client::{Ed25519Mode, Key, MlDsa, MlDsaMessage, RsaOperation};
use casemate_crypto::rsa_padding::{Pss, pkcs1_signature_encode};
use casemate_crypto::{Curve, HashAlgorithm, MlDsaSet, NoRandom, Random, Software, hash};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{KeyId, Status};
use casemate_x509::{PublicKey, SignatureAlgorithm};
use clap::{Args, ValueEnum};
use std::sync::Mutex;
use x509_cert::builder::Builder;
use x509_cert::der::asn1::BitString;
use x509_cert::der::{Decode, Document, Encode};
use x509_cert::spki::{
    AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfoOwned,
};

/// The longest signature, in bytes: of ML-DSA-87.
const LONGEST_SIGNATURE: usize = 4627;
/// The shortest modulus of an RSA key that signs or is certified, in bits.
const SHORTEST_RSA: usize = 2048;

/// How the key signs.
#[derive(Args)]
pub(super) struct SignatureOptions {
    /// The hash function [default: SHA-256 for RSA and P-256, SHA-384 for P-384, SHA-512 for P-521]
    #[arg(long, value_enum)]
    hash: Option<HashName>,
    /// Sign with RSA-PSS instead of PKCS#1 v1.5
    #[arg(long)]
    pss: bool,
}

#[derive(ValueEnum, Clone, Copy)]
enum HashName {
    Sha256,
    Sha384,
    Sha512,
}

impl HashName {
    const fn algorithm(self) -> HashAlgorithm {
        match self {
            Self::Sha256 => HashAlgorithm::Sha256,
            Self::Sha384 => HashAlgorithm::Sha384,
            Self::Sha512 => HashAlgorithm::Sha512,
        }
    }
}

/// A signature scheme with its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    Ecdsa(HashAlgorithm),
    Pkcs1(HashAlgorithm),
    Pss(HashAlgorithm),
    Ed25519,
    MlDsa(MlDsa),
}

/// The parameter of sha256 and its siblings as the last octet of their identifiers, and the digest's length.
const fn hash_numbers(algorithm: HashAlgorithm) -> (u8, u8) {
    match algorithm {
        HashAlgorithm::Sha384 => (2, 48),
        HashAlgorithm::Sha512 => (3, 64),
        _ => (1, 32),
    }
}

impl Scheme {
    /// The AlgorithmIdentifier in DER (RFC 4055, RFC 5758, RFC 8410, RFC 9881).
    fn identifier(self) -> Vec<u8> {
        match self {
            Self::Ecdsa(algorithm) => {
                let (number, _) = hash_numbers(algorithm);
                // ecdsa-with-SHA256 is number 2.
                [&[0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03][..], &[number + 1]]
                    .concat()
            }
            Self::Pkcs1(algorithm) => {
                let (number, _) = hash_numbers(algorithm);
                // sha256WithRSAEncryption is number 11.
                let head = [0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01];
                [&head[..], &[number + 10, 0x05, 0x00]].concat()
            }
            Self::Pss(algorithm) => {
                let (number, salt) = hash_numbers(algorithm);
                let function = |number| {
                    let head = [0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
                    [&head[..], &[number, 0x05, 0x00]].concat()
                };
                let pss = [0x30, 0x41, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A];
                let mask = [
                    0xA1, 0x1C, 0x30, 0x1A, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08,
                ];
                [
                    &pss[..],
                    &[0x30, 0x34, 0xA0, 0x0F],
                    &function(number),
                    &mask,
                    &function(number),
                    &[0xA2, 0x03, 0x02, 0x01, salt],
                ]
                .concat()
            }
            Self::Ed25519 => vec![0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70],
            Self::MlDsa(set) => {
                let number = match set {
                    MlDsa::MlDsa44 => 17,
                    MlDsa::MlDsa65 => 18,
                    MlDsa::MlDsa87 => 19,
                };
                let head = [0x30, 0x0B, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03];
                [&head[..], &[number]].concat()
            }
        }
    }
}

/// A key pair that a certificate or a request can be signed with.
pub(super) struct SigningKey {
    id: KeyId,
    /// SubjectPublicKeyInfo.
    pub(super) public: Vec<u8>,
    scheme: Scheme,
}

impl SigningKey {
    /// The key with this identifier. What kind of key it is follows from its public half, since servers do not tell.
    pub(super) fn open(hsm: &mut Hsm, id: KeyId, options: &SignatureOptions) -> Result<Self> {
        let public = public_half(hsm, id)?;
        let hash = options.hash.map(HashName::algorithm);
        let scheme = match PublicKey::decode(&public) {
            Ok(PublicKey::Rsa(key)) => {
                let bits = key.bits();
                ensure!(bits >= SHORTEST_RSA, "key {id} is an RSA key of {bits} bits; use one of {SHORTEST_RSA} or more");
                let hash = hash.unwrap_or(HashAlgorithm::Sha256);
                if options.pss { Scheme::Pss(hash) } else { Scheme::Pkcs1(hash) }
            }
            Ok(PublicKey::EllipticCurve { curve, .. }) => Scheme::Ecdsa(hash.unwrap_or(match curve {
                Curve::P256 => HashAlgorithm::Sha256,
                Curve::P384 => HashAlgorithm::Sha384,
                Curve::P521 => HashAlgorithm::Sha512,
                _ => bail!("key {id} is on another curve than P-256, P-384 and P-521; no certificates are made for those"),
            })),
            Ok(PublicKey::Ed25519(_)) => Scheme::Ed25519,
            Ok(PublicKey::MlDsa { set, .. }) => Scheme::MlDsa(match set {
                MlDsaSet::MlDsa44 => MlDsa::MlDsa44,
                MlDsaSet::MlDsa65 => MlDsa::MlDsa65,
                MlDsaSet::MlDsa87 => MlDsa::MlDsa87,
            }),
            Err(error) => bail!("the public half of key {id} cannot be certified: {error}"),
        };
        if matches!(scheme, Scheme::Ed25519 | Scheme::MlDsa(_)) && options.hash.is_some() {
            bail!("key {id} signs messages without hashing them first; leave out --hash");
        }
        if options.pss && !matches!(scheme, Scheme::Pss(_)) {
            bail!("--pss is for RSA keys, and key {id} is none");
        }
        Ok(Self { id, public, scheme })
    }

    /// Signs `message`, and checks the signature here before anybody else sees it.
    pub(super) fn sign(&self, hsm: &mut Hsm, message: &[u8]) -> Result<Vec<u8>> {
        let signature =
            self.raw_signature(hsm, message).map_err(|error| match error.downcast_ref::<CallError>() {
                Some(CallError(status)) if *status == Some(Status::USAGE) => error.context(format!(
                    "key {} may not sign: it was made without --usage sign, or revoked",
                    self.id
                )),
                _ => error.context(format!("key {} did not sign", self.id)),
            })?;
        verify(&self.public, &self.scheme.identifier(), message, &signature)
            .with_context(|| format!("what key {} signed does not verify with its public half", self.id))?;
        Ok(signature)
    }

    fn raw_signature(&self, hsm: &mut Hsm, message: &[u8]) -> Result<Vec<u8>> {
        let key = Key::Id(self.id);
        let digest = |algorithm: HashAlgorithm| -> Result<Vec<u8>> {
            let mut digest = vec![0; algorithm.digest_size().unwrap_or_default()];
            hash(&Software::new(NoRandom), algorithm, &[message], &mut digest)?;
            Ok(digest)
        };
        let mut signature = vec![0; LONGEST_SIGNATURE];
        let length = match self.scheme {
            Scheme::Ecdsa(algorithm) => called(hsm.ecdsa_sign(key, &digest(algorithm)?, &mut signature))?,
            Scheme::Pkcs1(algorithm) => {
                let mut block = self.block()?.0;
                pkcs1_signature_encode(algorithm, &digest(algorithm)?, &mut block)?;
                called(hsm.rsa(RsaOperation::PrivateEncrypt, key, &block, &mut signature))?
            }
            Scheme::Pss(algorithm) => {
                let (mut block, bits) = self.block()?;
                let padding = Pss::new(algorithm).context("the hash function has no fixed length")?;
                let mut salt = vec![0; padding.salt_length];
                called(hsm.random(&mut salt))?;
                let driver = Software::new(Salt(Mutex::new(salt)));
                padding.encode(&driver, bits, &digest(algorithm)?, &mut block)?;
                called(hsm.rsa(RsaOperation::PrivateEncrypt, key, &block, &mut signature))?
            }
            Scheme::Ed25519 => return Ok(called(hsm.ed25519_sign(key, Ed25519Mode::Pure, message))?.to_vec()),
            Scheme::MlDsa(set) => {
                called(hsm.ml_dsa_sign(key, set, MlDsaMessage::Pure(message), b"", &mut signature))?
            }
        };
        signature.truncate(length);
        Ok(signature)
    }

    /// A block as long as the modulus, and the length of that in bits.
    fn block(&self) -> Result<(Vec<u8>, usize)> {
        match PublicKey::decode(&self.public) {
            Ok(PublicKey::Rsa(key)) => Ok((vec![0; key.bits().div_ceil(8)], key.bits())),
            _ => bail!("key {} is no RSA key", self.id),
        }
    }

    pub(super) fn public_info(&self) -> Result<SubjectPublicKeyInfoOwned> {
        Ok(SubjectPublicKeyInfoOwned::from_der(&self.public)?)
    }

    pub(super) fn algorithm(&self) -> Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned::from_der(&self.scheme.identifier())?)
    }

    /// Signs what a builder has made, and gives it back in DER.
    pub(super) fn finish<B>(&self, hsm: &mut Hsm, mut builder: B) -> Result<Vec<u8>>
    where
        B: Builder,
        B::Output: Encode,
    {
        let to_be_signed = builder.finalize(self)?;
        let signature = BitString::from_bytes(&self.sign(hsm, &to_be_signed)?)?;
        Ok(builder.assemble(signature, self)?.to_der()?)
    }
}

impl signature::Keypair for SigningKey {
    type VerifyingKey = Public;

    fn verifying_key(&self) -> Public {
        Public(self.public.clone())
    }
}

impl DynSignatureAlgorithmIdentifier for SigningKey {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned::from_der(&self.scheme.identifier())?)
    }
}

/// A SubjectPublicKeyInfo, as builders want it.
#[derive(Clone)]
pub(super) struct Public(Vec<u8>);

impl EncodePublicKey for Public {
    fn to_public_key_der(&self) -> x509_cert::spki::Result<Document> {
        Ok(Document::try_from(self.0.as_slice())?)
    }
}

/// The public half, whatever algorithm it is for.
fn public_half(hsm: &mut Hsm, id: KeyId) -> Result<Vec<u8>> {
    let mut bytes = vec![0; hsm.data_length()];
    for algorithm in [KeyAlgorithm::ECC, KeyAlgorithm::RSA, KeyAlgorithm::ED25519, KeyAlgorithm::ML_DSA] {
        match hsm.key_export_public(id, algorithm, &mut bytes) {
            Ok((length, _)) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Err(error) => match error.status() {
                Some(Status::NOT_FOUND) => {
                    return Err(error).context(format!("there is no key {id}; see `casemate key list`"));
                }
                Some(Status::ACCESS | Status::AUTH_PERMISSION) => {
                    return Err(error).context(format!("key {id} may not be used"));
                }
                // Not a key of this algorithm.
                Some(_) => {}
                None => return Err(error.into()),
            },
        }
    }
    bail!("key {id} is no key pair that can sign certificates: ECDSA, RSA, Ed25519 or ML-DSA")
}

/// Checks a signature over `message` with the software driver, by a key given as SubjectPublicKeyInfo and an
/// algorithm given as AlgorithmIdentifier.
pub(super) fn verify(public: &[u8], algorithm: &[u8], message: &[u8], signature: &[u8]) -> Result<()> {
    let key = PublicKey::decode(public)?;
    Ok(SignatureAlgorithm::decode(algorithm)?.verify(&Software::new(NoRandom), &key, message, signature)?)
}

/// Refuses public keys that no certificate should be issued for.
pub(super) fn check_strength(public: &[u8]) -> Result<()> {
    match PublicKey::decode(public) {
        Ok(PublicKey::Rsa(key)) if key.bits() < SHORTEST_RSA => {
            bail!("its RSA key has {} bits; {SHORTEST_RSA} are the least", key.bits())
        }
        Ok(PublicKey::EllipticCurve { curve: Curve::P224, .. }) => bail!("its key is on the curve P-224"),
        Ok(_) => Ok(()),
        Err(error) => bail!("its public key is not accepted: {error}"),
    }
}

/// Whether keys of this kind can encrypt a key for their owner, which TLS 1.2 without forward secrecy asks for.
pub(super) fn can_encipher(public: &[u8]) -> bool {
    matches!(PublicKey::decode(public), Ok(PublicKey::Rsa(_)))
}

/// Remembers the status of a failed call, through the layers of an [`anyhow::Error`].
#[derive(Debug)]
struct CallError(Option<Status>);

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no signature was made")
    }
}

fn called<T, E>(outcome: Result<T, casemate_client::Error<E>>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    outcome.map_err(|error| {
        let status = error.status();
        anyhow::Error::new(error).context(CallError(status))
    })
}

/// Random bytes that have been fetched already.
struct Salt(Mutex<Vec<u8>>);

impl Random for Salt {
    fn fill(&self, output: &mut [u8]) -> Result<(), casemate_crypto::Error> {
        let mut salt = self.0.lock().map_err(|_| casemate_crypto::Error::Entropy)?;
        let start = salt.len().checked_sub(output.len()).ok_or(casemate_crypto::Error::Entropy)?;
        output.copy_from_slice(salt.get(start..).unwrap_or_default());
        // Nothing is given twice.
        salt.truncate(start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_der_that_the_verifier_reads() {
        let hashes = [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
        for hash in hashes {
            for (scheme, expected) in [
                (Scheme::Ecdsa(hash), SignatureAlgorithm::Ecdsa(hash)),
                (Scheme::Pkcs1(hash), SignatureAlgorithm::RsaPkcs1(hash)),
                (
                    Scheme::Pss(hash),
                    SignatureAlgorithm::RsaPss {
                        hash,
                        mask_hash: hash,
                        salt_length: hash.digest_size().unwrap(),
                    },
                ),
            ] {
                let identifier = scheme.identifier();
                assert_eq!(SignatureAlgorithm::decode(&identifier), Ok(expected), "{scheme:?}");
                let parsed = AlgorithmIdentifierOwned::from_der(&identifier).unwrap();
                assert_eq!(parsed.to_der().unwrap(), identifier);
            }
        }
        assert_eq!(
            SignatureAlgorithm::decode(&Scheme::Ed25519.identifier()),
            Ok(SignatureAlgorithm::Ed25519)
        );
        for (set, expected) in [
            (MlDsa::MlDsa44, MlDsaSet::MlDsa44),
            (MlDsa::MlDsa65, MlDsaSet::MlDsa65),
            (MlDsa::MlDsa87, MlDsaSet::MlDsa87),
        ] {
            let identifier = Scheme::MlDsa(set).identifier();
            assert_eq!(SignatureAlgorithm::decode(&identifier), Ok(SignatureAlgorithm::MlDsa(expected)));
        }
    }
}
