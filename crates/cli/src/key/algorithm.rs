//! Key pairs by algorithm.

use crate::connection::Hsm;
use anyhow::{Context, Result, ensure};
use casemate_client::{Curve, Ed25519, Error, MlDsa, MlKem, NewKey, Rsa, X25519};
use casemate_crypto::MlDsaSet;
use casemate_crypto::encoding::EcKey;
use casemate_posix::LinkError;
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{KeyId, Status};
use casemate_x509::PublicKey;
use clap::ValueEnum;

/// The longest key in bytes that is taken for a symmetric one by a server that lacks some kind of key pair.
const MAX_SYMMETRIC: u16 = 64;

/// What a key pair is for.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Algorithm {
    /// ECDSA and key agreement on P-224
    P224,
    /// ECDSA and key agreement on P-256
    P256,
    /// ECDSA and key agreement on P-384
    P384,
    /// ECDSA and key agreement on P-521
    P521,
    /// ECDSA and key agreement on secp256k1
    Secp256k1,
    /// ECDSA and key agreement on brainpoolP256r1
    #[value(name = "brainpool-p256r1")]
    BrainpoolP256r1,
    /// ECDSA and key agreement on brainpoolP384r1
    #[value(name = "brainpool-p384r1")]
    BrainpoolP384r1,
    /// Ed25519 signatures
    Ed25519,
    /// X25519 key agreement
    X25519,
    /// RSA with 2048 bits
    Rsa2048,
    /// RSA with 3072 bits
    Rsa3072,
    /// RSA with 4096 bits
    Rsa4096,
    /// ML-DSA-44 signatures
    #[value(name = "ml-dsa-44")]
    MlDsa44,
    /// ML-DSA-65 signatures
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    /// ML-DSA-87 signatures
    #[value(name = "ml-dsa-87")]
    MlDsa87,
    /// ML-KEM-512 key encapsulation
    #[value(name = "ml-kem-512")]
    MlKem512,
    /// ML-KEM-768 key encapsulation
    #[value(name = "ml-kem-768")]
    MlKem768,
    /// ML-KEM-1024 key encapsulation
    #[value(name = "ml-kem-1024")]
    MlKem1024,
}

impl Algorithm {
    /// Has the server make a key pair.
    pub(super) fn generate(self, hsm: &mut Hsm, new: &NewKey) -> Result<KeyId, Error<LinkError>> {
        match self {
            Self::P224 => hsm.key_pair_generate(Curve::P224, new),
            Self::P256 => hsm.key_pair_generate(Curve::P256, new),
            Self::P384 => hsm.key_pair_generate(Curve::P384, new),
            Self::P521 => hsm.key_pair_generate(Curve::P521, new),
            Self::Secp256k1 => hsm.key_pair_generate(Curve::Secp256k1, new),
            Self::BrainpoolP256r1 => hsm.key_pair_generate(Curve::BrainpoolP256r1, new),
            Self::BrainpoolP384r1 => hsm.key_pair_generate(Curve::BrainpoolP384r1, new),
            Self::Ed25519 => hsm.key_pair_generate(Ed25519, new),
            Self::X25519 => hsm.key_pair_generate(X25519, new),
            Self::Rsa2048 => hsm.key_pair_generate(Rsa::new(2048), new),
            Self::Rsa3072 => hsm.key_pair_generate(Rsa::new(3072), new),
            Self::Rsa4096 => hsm.key_pair_generate(Rsa::new(4096), new),
            Self::MlDsa44 => hsm.key_pair_generate(MlDsa::MlDsa44, new),
            Self::MlDsa65 => hsm.key_pair_generate(MlDsa::MlDsa65, new),
            Self::MlDsa87 => hsm.key_pair_generate(MlDsa::MlDsa87, new),
            Self::MlKem512 => hsm.key_pair_generate(MlKem::MlKem512, new),
            Self::MlKem768 => hsm.key_pair_generate(MlKem::MlKem768, new),
            Self::MlKem1024 => hsm.key_pair_generate(MlKem::MlKem1024, new),
        }
    }

    /// What kind of key pair a key of `length` stored bytes is; `None` if it is none. Servers do not know: it follows from
    /// which public half can be read.
    ///
    /// # Errors
    /// Also if the key may be a pair of a kind that the server cannot read.
    pub(super) fn of(hsm: &mut Hsm, id: KeyId, length: u16) -> Result<Option<Self>> {
        let families = [
            KeyAlgorithm::ECC,
            KeyAlgorithm::RSA,
            KeyAlgorithm::ED25519,
            KeyAlgorithm::X25519,
            KeyAlgorithm::ML_DSA,
            KeyAlgorithm::ML_KEM,
            KeyAlgorithm::LMS,
            KeyAlgorithm::XMSS,
        ];
        let mut unreadable = false;
        for family in families {
            let mut public = vec![0; hsm.data_length()];
            let length = match hsm.key_export_public(id, family, &mut public) {
                Ok((length, _)) => length,
                Err(error) => match error.status() {
                    Some(Status::NOT_FOUND | Status::ACCESS | Status::AUTH_PERMISSION) | None => {
                        return Err(error).with_context(|| format!("key {id}"));
                    }
                    Some(status) => {
                        unreadable |= status == Status::NOT_COMPILED_IN;
                        continue;
                    }
                },
            };
            let public = public.get(..length).unwrap_or_default();
            return Self::of_public(family, public)
                .with_context(|| format!("key {id} is a key pair that this command does not know"))
                .map(Some);
        }
        ensure!(
            !unreadable || length <= MAX_SYMMETRIC,
            "key {id} has {length} bytes and may be a key pair of a kind whose public half this server cannot read"
        );
        Ok(None)
    }

    fn of_public(family: KeyAlgorithm, public: &[u8]) -> Option<Self> {
        Some(match family {
            KeyAlgorithm::ECC => match EcKey::decode(public).ok()?.curve {
                casemate_crypto::Curve::P224 => Self::P224,
                casemate_crypto::Curve::P256 => Self::P256,
                casemate_crypto::Curve::P384 => Self::P384,
                casemate_crypto::Curve::P521 => Self::P521,
                casemate_crypto::Curve::Secp256k1 => Self::Secp256k1,
                casemate_crypto::Curve::BrainpoolP256r1 => Self::BrainpoolP256r1,
                casemate_crypto::Curve::BrainpoolP384r1 => Self::BrainpoolP384r1,
            },
            KeyAlgorithm::RSA => match PublicKey::decode(public) {
                Ok(PublicKey::Rsa(key)) => match key.bits() {
                    2048 => Self::Rsa2048,
                    3072 => Self::Rsa3072,
                    4096 => Self::Rsa4096,
                    _ => return None,
                },
                _ => return None,
            },
            KeyAlgorithm::ED25519 => Self::Ed25519,
            KeyAlgorithm::X25519 => Self::X25519,
            KeyAlgorithm::ML_DSA => match PublicKey::decode(public) {
                Ok(PublicKey::MlDsa { set: MlDsaSet::MlDsa44, .. }) => Self::MlDsa44,
                Ok(PublicKey::MlDsa { set: MlDsaSet::MlDsa65, .. }) => Self::MlDsa65,
                Ok(PublicKey::MlDsa { set: MlDsaSet::MlDsa87, .. }) => Self::MlDsa87,
                _ => return None,
            },
            KeyAlgorithm::ML_KEM => match public.len() {
                800 => Self::MlKem512,
                1184 => Self::MlKem768,
                1568 => Self::MlKem1024,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The family that the protocol names when a public half is exported.
    pub(super) const fn family(self) -> KeyAlgorithm {
        match self {
            Self::P224
            | Self::P256
            | Self::P384
            | Self::P521
            | Self::Secp256k1
            | Self::BrainpoolP256r1
            | Self::BrainpoolP384r1 => KeyAlgorithm::ECC,
            Self::Ed25519 => KeyAlgorithm::ED25519,
            Self::X25519 => KeyAlgorithm::X25519,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => KeyAlgorithm::RSA,
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => KeyAlgorithm::ML_DSA,
            Self::MlKem512 | Self::MlKem768 | Self::MlKem1024 => KeyAlgorithm::ML_KEM,
        }
    }
}
