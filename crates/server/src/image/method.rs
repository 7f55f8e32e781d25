//! How images are verified: the built-in methods, and what a method of an application's own works with.

use super::fault::Fault;
use super::header::signed_by;
use super::memory::{ImageMemory, Region};
use casemate_crypto::encoding::{EcKey, Ed25519Key, MlDsaKey, RsaKey, decode_ecdsa_signature};
use casemate_crypto::rsa_padding::{open_signature, pkcs1_signature_verify};
use casemate_crypto::{
    AES_BLOCK, CmacState, Curve, Driver, Ed25519Mode, Error, HashAlgorithm, Hasher, MlDsaMessage, MlDsaSet,
    RSA_MAX_BYTES, constant_time_equal,
};

/// What a method is given.
pub struct Evidence<'a> {
    pub(super) driver: &'a dyn Driver,
    pub(super) key: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) content: Content<'a>,
}

/// What the signature is about.
pub(super) enum Content<'a> {
    /// Bytes in memory, which are read in parts of at most the buffer's size.
    Raw { memory: &'a mut dyn ImageMemory, region: Region, buffer: &'a mut [u8] },
    /// The digest of a wolfBoot header, which has been checked against header and payload.
    Header(&'a [u8; 32]),
}

impl<'a> Evidence<'a> {
    /// The driver for cryptography.
    pub const fn driver(&self) -> &'a dyn Driver {
        self.driver
    }

    /// The key as it is stored.
    pub const fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The signature as it is stored, or as it stands in the header.
    pub const fn signature(&self) -> &'a [u8] {
        self.signature
    }

    /// Whether the signature is that of a header.
    pub const fn is_header(&self) -> bool {
        matches!(self.content, Content::Header(_))
    }

    /// Reads the image once, from its start to its end, and gives it to `consumer` part by part. Memory that others can
    /// write must not be read a second time: it can have changed.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] for an image with a header, [`Fault::Memory`], [`Fault::Scratch`], and what `consumer`
    /// answers.
    pub fn read(&mut self, consumer: &mut dyn FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        match &mut self.content {
            Content::Raw { memory, region, buffer } => read_region(*memory, *region, buffer, consumer),
            Content::Header(_) => Err(Fault::Unsupported),
        }
    }

    /// The digest of the image, of `algorithm.digest_size()` bytes. An image with a header has SHA-256 only, whatever
    /// algorithm is asked for: the returned slice is what the signer has signed.
    ///
    /// # Errors
    /// Those of [`read`](Self::read); [`Fault::Driver`].
    pub fn digest<'o>(&mut self, algorithm: HashAlgorithm, out: &'o mut [u8; 64]) -> Result<&'o [u8], Fault> {
        if let Content::Header(digest) = self.content {
            let out = out.get_mut(..32).ok_or(Fault::Unsupported)?;
            out.copy_from_slice(digest);
            return Ok(out);
        }
        let size = algorithm.digest_size().ok_or(Fault::Unsupported)?;
        let out = out.get_mut(..size).ok_or(Fault::Unsupported)?;
        let mut hasher = Hasher::new(self.driver, algorithm);
        self.read(&mut |part| hasher.update(part).map_err(Fault::Driver))?;
        hasher.finish(out).map_err(Fault::Driver)?;
        Ok(out)
    }
}

impl core::fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Evidence").field("is_header", &self.is_header()).finish_non_exhaustive()
    }
}

/// Reads a region part by part.
pub(super) fn read_region(
    memory: &mut dyn ImageMemory,
    region: Region,
    buffer: &mut [u8],
    consumer: &mut dyn FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut address = region.address;
    let mut left = usize::try_from(region.size).map_err(|_| Fault::Memory)?;
    while left > 0 {
        let size = left.min(buffer.len());
        let part = buffer.get_mut(..size).filter(|part| !part.is_empty());
        let part = part.ok_or(Fault::Scratch { needed: 0 })?;
        memory.read(address, part).map_err(|_| Fault::Memory)?;
        consumer(part)?;
        left = left.saturating_sub(size);
        let step = u64::try_from(size).map_err(|_| Fault::Memory)?;
        address = address.checked_add(step).ok_or(Fault::Memory)?;
    }
    Ok(())
}

/// A way to verify images. Functions `Fn(&mut Evidence) -> Result<(), Fault>` are methods too.
pub trait Method {
    /// Which images with a header this method is for: the number in the header ([`signed_by`]). `None` if it is for raw
    /// images only.
    fn header_number(&self) -> Option<u8> {
        None
    }

    /// Accepts the image with `Ok`.
    ///
    /// # Errors
    /// [`Fault`] says why the image is not trusted.
    fn verify(&self, evidence: &mut Evidence<'_>) -> Result<(), Fault>;
}

impl<F: Fn(&mut Evidence<'_>) -> Result<(), Fault>> Method for F {
    fn verify(&self, evidence: &mut Evidence<'_>) -> Result<(), Fault> {
        self(evidence)
    }
}

/// Keeps a driver's verdict on a signature apart from its failures.
fn verdict(result: Result<(), Error>) -> Result<(), Fault> {
    result.map_err(|error| match error {
        Error::Authentication => Fault::NotAuthentic,
        Error::Signature | Error::TagLength => Fault::SignatureForm,
        Error::Key | Error::KeyLength => Fault::Key,
        error => Fault::Driver(error),
    })
}

/// ECDSA (FIPS 186-5). The key is a SubjectPublicKeyInfo. The signature of a raw image is DER, that in a header r ‖ s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ecdsa {
    /// The curve.
    pub curve: Curve,
    /// The hash over a raw image.
    pub hash: HashAlgorithm,
}

impl Ecdsa {
    /// P-256 with SHA-256.
    pub const P256: Self = Self { curve: Curve::P256, hash: HashAlgorithm::Sha256 };
    /// P-384 with SHA-384.
    pub const P384: Self = Self { curve: Curve::P384, hash: HashAlgorithm::Sha384 };
    /// P-521 with SHA-512.
    pub const P521: Self = Self { curve: Curve::P521, hash: HashAlgorithm::Sha512 };
}

impl Method for Ecdsa {
    fn header_number(&self) -> Option<u8> {
        match self.curve {
            Curve::P256 => Some(signed_by::ECDSA_P256),
            Curve::P384 => Some(signed_by::ECDSA_P384),
            Curve::P521 => Some(signed_by::ECDSA_P521),
            _ => None,
        }
    }

    fn verify(&self, evidence: &mut Evidence<'_>) -> Result<(), Fault> {
        let key = EcKey::decode(evidence.key).map_err(|_| Fault::Key)?;
        let public = key.public.filter(|_| key.curve == self.curve && key.private.is_none());
        let public = public.ok_or(Fault::Key)?;
        let mut numbers = [0; Curve::MAX_POINT];
        let signature = if evidence.is_header() {
            let is_sized = evidence.signature.len() == self.curve.point_size();
            Some(evidence.signature).filter(|_| is_sized).ok_or(Fault::SignatureForm)?
        } else {
            let length = decode_ecdsa_signature(self.curve, evidence.signature, &mut numbers)
                .map_err(|_| Fault::SignatureForm)?;
            numbers.get(..length).ok_or(Fault::SignatureForm)?
        };
        let mut digest = [0; 64];
        let digest = evidence.digest(self.hash, &mut digest)?;
        verdict(evidence.driver.ecdsa_verify(self.curve, public, digest, signature))
    }
}

/// AES-CMAC (NIST SP 800-38B) over a raw image, with a key and a MAC of 16 bytes each (document 07, §B.3). The MACs are
/// compared in constant time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AesCmac;

impl Method for AesCmac {
    fn verify(&self, evidence: &mut Evidence<'_>) -> Result<(), Fault> {
        let (driver, key, expected) = (evidence.driver, evidence.key, evidence.signature);
        if key.len() != AES_BLOCK {
            return Err(Fault::Key);
        }
        if expected.len() != AES_BLOCK {
            return Err(Fault::SignatureForm);
        }
        let mut state = CmacState::default();
        evidence.read(&mut |part| driver.cmac_update(key, &mut state, part).map_err(Fault::Driver))?;
        let mut mac = [0; AES_BLOCK];
        driver.cmac_finish(key, &state, &mut mac).map_err(Fault::Driver)?;
        if constant_time_equal(&mac, expected) { Ok(()) } else { Err(Fault::NotAuthentic) }
    }
}

/// What stands in an RSA signature behind the padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaContent {
    /// The bare digest, as the original's RSA method for raw images demands.
    Digest,
    /// DigestInfo with SHA-256 and the digest (RFC 8017, §9.2): RSASSA-PKCS1-v1_5.
    DigestInfo,
    /// Either, as in wolfBoot headers.
    Either,
}

/// RSA with PKCS#1 v1.5 padding over SHA-256. The key is a SubjectPublicKeyInfo, the signature is as long as the
/// modulus.
///
/// The whole block is compared with the one or two that are valid, so nothing in a padding or an algorithm identifier
/// is left to parse, and nothing is left unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rsa {
    /// Size of the modulus: exactly this many bytes.
    pub size: usize,
    /// What stands in the signature.
    pub content: RsaContent,
}

impl Rsa {
    /// The original's method for raw images: 2048 bits, bare digest.
    pub const RAW_2048: Self = Self { size: 256, content: RsaContent::Digest };
    /// RSASSA-PKCS1-v1_5 with 2048 bits.
    pub const PKCS1_2048: Self = Self { size: 256, content: RsaContent::DigestInfo };
    /// RSASSA-PKCS1-v1_5 with 4096 bits.
    pub const PKCS1_4096: Self = Self { size: 512, content: RsaContent::DigestInfo };
    /// wolfBoot's method with 4096 bits: bare digest or DigestInfo.
    pub const WOLFBOOT_4096: Self = Self { size: 512, content: RsaContent::Either };
}

/// Whether `block` is 00 01 FF … FF 00 ‖ `digest`, with at least eight octets FF: RFC 8017, §9.2, without DigestInfo.
fn is_bare(block: &[u8], digest: &[u8]) -> bool {
    let Some(padding) = block.len().checked_sub(digest.len().saturating_add(3)) else { return false };
    let expected = [0, 1].into_iter().chain(core::iter::repeat_n(0xFF, padding)).chain([0]);
    padding >= 8 && expected.chain(digest.iter().copied()).eq(block.iter().copied())
}

impl Method for Rsa {
    fn header_number(&self) -> Option<u8> {
        match self.size {
            256 => Some(signed_by::RSA_2048),
            384 => Some(signed_by::RSA_3072),
            512 => Some(signed_by::RSA_4096),
            _ => None,
        }
    }

    fn verify(&self, evidence: &mut Evidence<'_>) -> Result<(), Fault> {
        let RsaKey::Public(key) = RsaKey::decode(evidence.key).map_err(|_| Fault::Key)? else {
            return Err(Fault::Key);
        };
        if key.modulus.len() != self.size {
            return Err(Fault::Key);
        }
        let mut block = [0; RSA_MAX_BYTES];
        let block = block.get_mut(..self.size).ok_or(Fault::Key)?;
        match open_signature(evidence.driver, &key, evidence.signature, block) {
            // Another length than the modulus, or a number not below it.
            Err(Error::Authentication) => return Err(Fault::SignatureForm),
            answer => verdict(answer)?,
        }
        let mut digest = [0; 64];
        let digest = evidence.digest(HashAlgorithm::Sha256, &mut digest)?;
        let is_bare = is_bare(block, digest);
        let is_complete = pkcs1_signature_verify(HashAlgorithm::Sha256, digest, block).is_ok();
        let is_valid = match self.content {
            RsaContent::Digest => is_bare,
            RsaContent::DigestInfo => is_complete,
            RsaContent::Either => is_bare || is_complete,
        };
        if is_valid { Ok(()) } else { Err(Fault::NotAuthentic) }
    }
}

/// Ed25519 (RFC 8032), pure, whose message is the digest of the image: SHA-512 of a raw image, SHA-256 of one with a
/// header. The key is a SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519;

impl Method for Ed25519 {
    fn header_number(&self) -> Option<u8> {
        Some(signed_by::ED25519)
    }

    fn verify(&self, evidence: &mut Evidence<'_>) -> Result<(), Fault> {
        let key = Ed25519Key::decode(evidence.key).map_err(|_| Fault::Key)?;
        let public = key.public.filter(|_| key.seed.is_none()).ok_or(Fault::Key)?;
        let signature = evidence.signature.try_into().map_err(|_| Fault::SignatureForm)?;
        let mut digest = [0; 64];
        let digest = evidence.digest(HashAlgorithm::Sha512, &mut digest)?;
        verdict(evidence.driver.ed25519_verify(&public, Ed25519Mode::Pure, digest, signature))
    }
}

/// ML-DSA (FIPS 204), pure with an empty context, whose message is the digest of the image: SHA-512 of a raw image,
/// SHA-256 of one with a header. The key is a SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlDsa(pub MlDsaSet);

impl Method for MlDsa {
    fn header_number(&self) -> Option<u8> {
        Some(signed_by::ML_DSA)
    }

    fn verify(&self, evidence: &mut Evidence<'_>) -> Result<(), Fault> {
        let key = MlDsaKey::decode(evidence.key).map_err(|_| Fault::Key)?;
        let is_public = key.set == self.0 && key.private.is_none() && key.seed.is_none();
        let public = key.public.filter(|_| is_public).ok_or(Fault::Key)?;
        if evidence.signature.len() != self.0.signature_size() {
            return Err(Fault::SignatureForm);
        }
        let mut digest = [0; 64];
        let digest = evidence.digest(HashAlgorithm::Sha512, &mut digest)?;
        let message = MlDsaMessage::Pure(digest);
        verdict(evidence.driver.ml_dsa_verify(self.0, public, message, &[], evidence.signature))
    }
}
