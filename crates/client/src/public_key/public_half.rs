//! Cuts the public half out of an encoded private key, so that verification, encapsulation and key agreement need
//! not send the private one (document 05, §11 and §17). The forms are those that servers make; of any other the
//! whole key is sent, and the server decides.

use super::{curve25519, elliptic_curve, ml_dsa, ml_kem};
use casemate_protocol::message::key::KeyAlgorithm;
use curve25519::Ed25519;
use elliptic_curve::Curve;
use ml_dsa::MlDsa;
use ml_kem::MlKem;

/// Room for what stands before the key's bytes; SubjectPublicKeyInfo of P-521 has the most, 25 bytes.
const HEADER: usize = 32;

/// An encoded public key in two parts: a header, and bytes of the private key's encoding.
pub(super) struct PublicHalf<'k> {
    header: [u8; HEADER],
    header_length: usize,
    body: &'k [u8],
}

impl<'k> PublicHalf<'k> {
    /// The public half of `key`, if it is a private key of a known form.
    pub(super) fn of(algorithm: KeyAlgorithm, key: &'k [u8]) -> Option<Self> {
        match algorithm {
            KeyAlgorithm::RSA => rsa(key),
            KeyAlgorithm::ECC => elliptic(key),
            KeyAlgorithm::X25519 => edwards(key, 0x6E),
            KeyAlgorithm::ED25519 => edwards(key, 0x70),
            KeyAlgorithm::ML_DSA => ml_dsa(key),
            KeyAlgorithm::ML_KEM => ml_kem(key),
            _ => None,
        }
    }

    fn new(header: &[&[u8]], body: &'k [u8]) -> Option<Self> {
        let mut half = Self { header: [0; HEADER], header_length: 0, body };
        for part in header {
            let end = half.header_length.checked_add(part.len())?;
            half.header.get_mut(half.header_length..end)?.copy_from_slice(part);
            half.header_length = end;
        }
        Some(half)
    }

    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [self.header.get(..self.header_length).unwrap_or_default(), self.body]
    }
}

/// Takes one DER element with this tag from the front of `bytes`: its contents, and what follows. Lengths must have
/// the shortest form (X.690, §10.1).
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let shortest = match first {
        0x81 => length >= 0x80,
        0x82 => length >= 0x100,
        _ => true,
    };
    if found != tag || !shortest { None } else { rest.split_at_checked(length) }
}

/// The one element that `bytes` consist of.
fn sole(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    match element(tag, bytes)? {
        (contents, []) => Some(contents),
        _ => None,
    }
}

/// The DER header of a sequence with `length` bytes of contents.
fn sequence(length: usize) -> ([u8; 4], usize) {
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    match length {
        0..=0x7F => ([0x30, low, 0, 0], 2),
        0x80..=0xFF => ([0x30, 0x81, low, 0], 3),
        _ => ([0x30, 0x82, high, low], 4),
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;

/// RSAPrivateKey (RFC 8017, A.1.2) to RSAPublicKey: modulus and public exponent stand together in both.
fn rsa(key: &[u8]) -> Option<PublicHalf<'_>> {
    let (version, numbers) = element(INTEGER, sole(SEQUENCE, key)?)?;
    let (_modulus, rest) = element(INTEGER, numbers)?;
    let (_exponent, rest) = element(INTEGER, rest)?;
    // A public key would be at its end here, a private one goes on.
    if version != [0] || rest.is_empty() {
        return None;
    }
    let body = numbers.get(..numbers.len().checked_sub(rest.len())?)?;
    let (header, length) = sequence(body.len());
    PublicHalf::new(&[header.get(..length)?], body)
}

/// ECPrivateKey with curve and public point (RFC 5915) to SubjectPublicKeyInfo.
fn elliptic(key: &[u8]) -> Option<PublicHalf<'_>> {
    let (version, rest) = element(INTEGER, sole(SEQUENCE, key)?)?;
    let (_scalar, rest) = element(OCTET_STRING, rest)?;
    let (identifier, rest) = element(0xA0, rest)?;
    let public = sole(0x03, sole(0xA1, rest)?)?;
    let (unused_bits, point) = public.split_first()?;
    let curve =
        Curve::ALL.into_iter().find(|&curve| sole(0x06, identifier) == Some(object_identifier(curve)))?;
    let expected = curve.field_size().checked_mul(2)?.checked_add(1)?;
    if version != [1] || *unused_bits != 0 || point.first() != Some(&4) || point.len() != expected {
        return None;
    }
    // Sequence { sequence { id-ecPublicKey, curve }, bit string }.
    let ec_public_key = &[0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    let (inner, inner_length) = sequence(ec_public_key.len().checked_add(identifier.len())?);
    let bits = u8::try_from(public.len()).ok()?;
    let bit_string = if bits < 0x80 { [0x03, bits, 0] } else { [0x03, 0x81, bits] };
    let bit_string = if bits < 0x80 { bit_string.get(..2)? } else { &bit_string };
    let contents = inner_length
        .checked_add(ec_public_key.len())?
        .checked_add(identifier.len())?
        .checked_add(bit_string.len())?
        .checked_add(public.len())?;
    let (outer, outer_length) = sequence(contents);
    PublicHalf::new(
        &[outer.get(..outer_length)?, inner.get(..inner_length)?, ec_public_key, identifier, bit_string],
        public,
    )
}

/// The object identifier of a curve (RFC 5480, §2.1.1.1; RFC 5639, §4.1), without tag and length.
const fn object_identifier(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P224 => &[0x2B, 0x81, 0x04, 0x00, 0x21],
        Curve::P256 => &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07],
        Curve::P384 => &[0x2B, 0x81, 0x04, 0x00, 0x22],
        Curve::P521 => &[0x2B, 0x81, 0x04, 0x00, 0x23],
        Curve::Secp256k1 => &[0x2B, 0x81, 0x04, 0x00, 0x0A],
        Curve::BrainpoolP256r1 => &[0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07],
        Curve::BrainpoolP384r1 => &[0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0B],
    }
}

/// OneAsymmetricKey as servers encode it, without the byte for unused bits, to SubjectPublicKeyInfo. `arc` is the
/// last one of the object identifier.
fn edwards(key: &[u8], arc: u8) -> Option<PublicHalf<'_>> {
    let prefix = [0x30, 0x50, 2, 1, 1, 0x30, 5, 6, 3, 0x2B, 0x65, arc, 4, 0x22, 4, 0x20];
    let public = key.strip_prefix(&prefix)?.get(32..)?.strip_prefix(&[0x81, 0x20])?;
    if key.len() != Ed25519::PRIVATE_SIZE {
        return None;
    }
    PublicHalf::new(&[&[0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, arc, 3, 0x21, 0]], public)
}

/// OneAsymmetricKey as servers encode it to SubjectPublicKeyInfo.
fn ml_dsa(key: &[u8]) -> Option<PublicHalf<'_>> {
    let parameters = MlDsa::ALL.into_iter().find(|parameters| parameters.private_size() == key.len())?;
    let (version, rest) = element(INTEGER, sole(SEQUENCE, key)?)?;
    let (algorithm, rest) = element(SEQUENCE, rest)?;
    let (_private, rest) = element(OCTET_STRING, rest)?;
    let public = sole(0x81, rest)?;
    // 22 bytes stand before it in the public form.
    if version != [1] || public.len().checked_add(22)? != parameters.public_size() || algorithm.len() != 11 {
        return None;
    }
    let (outer, outer_length) = sequence(parameters.public_size().checked_sub(4)?);
    let [high, low] = u16::try_from(public.len().checked_add(1)?).ok()?.to_be_bytes();
    PublicHalf::new(
        &[outer.get(..outer_length)?, &[SEQUENCE, 0x0B], algorithm, &[0x03, 0x82, high, low, 0]],
        public,
    )
}

/// The encapsulation key stands inside the decapsulation key, before two hashes of 32 bytes (FIPS 203, algorithm
/// 16).
fn ml_kem(key: &[u8]) -> Option<PublicHalf<'_>> {
    let parameters = MlKem::ALL.into_iter().find(|parameters| parameters.private_size() == key.len())?;
    let end = key.len().checked_sub(64)?;
    PublicHalf::new(&[], key.get(end.checked_sub(parameters.public_size())?..end)?)
}
