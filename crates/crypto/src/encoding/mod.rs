//! Key encodings: the byte strings in which keys and ECDSA signatures travel and are stored, as typed values.
//!
//! Every format is DER (ITU-T X.690) and read strictly: definite minimal lengths, minimal integers, nothing after
//! the end. Decoding borrows from its input, allocates nothing and checks form only; what needs arithmetic, that a
//! point lies on its curve or that two halves of a key belong together, is a separate `check` with a driver.
//!
//! Two formats deviate from their RFCs, because peers write and read them so (document 03, §12.1.1): a private key
//! of the X25519, Ed25519 and ML-DSA families carries its public half without the octet that counts unused bits
//! (both forms are read, the short one is written), and X25519 octets are in big-endian order. The types of this
//! module hold X25519 keys in the order of RFC 7748; nobody else needs to know.

mod curve25519;
mod ec;
mod ml_dsa;
mod ml_kem;
mod rsa;

pub use curve25519::{Curve25519Key, Curve25519Use, Ed25519Key, X25519Key};
pub use ec::{EcKey, decode_ecdsa_signature, decode_point, encode_ecdsa_signature, encode_point};
pub use ml_dsa::MlDsaKey;
pub use ml_kem::MlKemKey;
pub use rsa::{RsaKey, encode_rsa_private, encode_rsa_public};

use crate::Error;
use core::fmt;
use der::{Decode, Encode, Header, Length, Reader, SliceReader};

/// Why bytes are no key or signature, or why a key cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncodingError {
    /// The bytes are not a key of this family: other DER, broken DER, another algorithm, a part of the wrong length,
    /// or something after the end.
    Malformed,
    /// The bytes end before the length at their start says. Told apart for RSA keys only (document 05, §2.2).
    Truncated,
    /// An elliptic-curve key, but not on one of [`Curve`](crate::Curve): another named curve, or none.
    UnknownCurve,
    /// The public key is not an uncompressed point of its curve.
    Point,
    /// The private key is out of range.
    PrivateKey,
    /// The public half is not the one of the private half.
    Mismatch,
    /// The key does not have the half that is asked for.
    Missing,
    /// The bytes are not the DER form of an ECDSA signature.
    Signature,
    /// A number in an ECDSA signature is zero.
    SignatureZero,
    /// A number in an ECDSA signature is larger than any of its curve: well formed, and never valid.
    SignatureRange,
    /// The output is too small.
    OutputLength {
        /// The size that it must have, in bytes.
        needed: usize,
    },
    /// The driver did not do the check.
    Driver(Error),
}

impl fmt::Display for EncodingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "the bytes are not a key of this family: pass DER of the algorithm asked for",
            Self::Truncated => "the bytes end before the length at their start says: pass the whole key",
            Self::UnknownCurve => "the curve is not supported: use P-224, P-256, P-384 or P-521, by name",
            Self::Point => "the public key is not an uncompressed point on its curve",
            Self::PrivateKey => "the private key has a number that is out of range",
            Self::Mismatch => "the public half of the key does not belong to its private half",
            Self::Missing => "the key does not contain the half that was asked for",
            Self::Signature => "the signature is not DER: pass SEQUENCE { r, s } with minimal integers",
            Self::SignatureZero => "a number in the signature is zero",
            Self::SignatureRange => "a number in the signature is larger than the curve's",
            Self::OutputLength { needed } => {
                return write!(formatter, "the output is too small: it needs {needed} bytes");
            }
            Self::Driver(error) => return error.fmt(formatter),
        })
    }
}

impl core::error::Error for EncodingError {}

/// [`EncodingError::Malformed`], for functions that have no other error: it takes no room in what they return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Malformed;

impl From<Malformed> for EncodingError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Identifier octets: of every element that a key or a signature consists of, one octet (X.690, §8.1.2).
pub(crate) mod tag {
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const SEQUENCE: u8 = 0x30;
    /// `[0]`, constructed: attributes in PKCS#8, the named curve in SEC 1.
    pub(crate) const CONTEXT_0: u8 = 0xa0;
    /// `[1]`, primitive: the public key of RFC 5958.
    pub(crate) const CONTEXT_1: u8 = 0x81;
}

/// Splits an element into its identifier octet, the length of its content, and all that follows its header.
pub(crate) fn split_header(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    let length = usize::try_from(header.length()).ok()?;
    let rest = bytes.get(usize::try_from(reader.position()).ok()?..)?;
    Some((*bytes.first()?, length, rest))
}

/// The elements of a DER value, one after the other.
pub(crate) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The elements inside the single element `bytes`, which has the identifier octet `tag`.
    pub(crate) fn inside(bytes: &'a [u8], tag: u8) -> Result<Self, Malformed> {
        let mut outer = Self::new(bytes);
        let content = outer.take(tag)?;
        outer.finish()?;
        Ok(Self::new(content))
    }

    /// The identifier octet of the next element, if there is one.
    pub(crate) fn next_tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The content of the next element, which has the identifier octet `tag`.
    pub(crate) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let (found, length, rest) = split_header(self.0).ok_or(Malformed)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        if found != tag {
            return Err(Malformed);
        }
        self.0 = rest;
        Ok(content)
    }

    /// The content of the next element if it has the identifier octet `tag`. Broken ones are left for
    /// [`finish`](Self::finish) to find.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.take(tag).ok()
    }

    /// The magnitude of the next element, an INTEGER that is not negative: without leading zeros, empty for 0.
    pub(crate) fn unsigned(&mut self) -> Result<&'a [u8], Malformed> {
        match self.take(tag::INTEGER)? {
            [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => Err(Malformed),
            [0, magnitude @ ..] => Ok(magnitude),
            magnitude => Ok(magnitude),
        }
    }

    /// The octets of the next element, a BIT STRING of whole octets.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], Malformed> {
        match self.take(tag::BIT_STRING)? {
            [0, octets @ ..] => Ok(octets),
            _ => Err(Malformed),
        }
    }

    /// All that has not been taken, undecoded.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Confirms that everything has been taken.
    pub(crate) const fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// AlgorithmIdentifier (RFC 5280, §4.1.1.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Algorithm<'a> {
    /// The content of the OBJECT IDENTIFIER.
    pub(crate) identifier: &'a [u8],
    /// The parameters as they stand, with tag and length; empty if there are none.
    pub(crate) parameters: &'a [u8],
}

impl<'a> Algorithm<'a> {
    fn decode(content: &'a [u8]) -> Result<Self, Malformed> {
        let mut elements = Elements::new(content);
        let identifier = elements.take(tag::OBJECT_IDENTIFIER)?;
        Ok(Self { identifier, parameters: elements.rest() })
    }

    fn content_size(&self) -> usize {
        element_size(self.identifier.len()).saturating_add(self.parameters.len())
    }

    fn encode(&self, output: &mut Output<'_>) {
        output.header(tag::SEQUENCE, self.content_size());
        output.element(tag::OBJECT_IDENTIFIER, self.identifier);
        output.bytes(self.parameters);
    }
}

/// PKCS#8 PrivateKeyInfo, and its successor OneAsymmetricKey (RFC 5958, §2).
pub(crate) struct PrivateKeyInfo<'a> {
    pub(crate) algorithm: Algorithm<'a>,
    /// The content of the OCTET STRING.
    pub(crate) private_key: &'a [u8],
    /// The content of `[1]`: a public key, with or without the octet that counts unused bits in front.
    pub(crate) public_key: Option<&'a [u8]>,
}

impl<'a> PrivateKeyInfo<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut elements = Elements::inside(bytes, tag::SEQUENCE)?;
        // Peers write a public key under version 0 too.
        let ([] | [1]) = elements.unsigned()? else {
            return Err(Malformed);
        };
        let algorithm = Algorithm::decode(elements.take(tag::SEQUENCE)?)?;
        let private_key = elements.take(tag::OCTET_STRING)?;
        let _attributes = elements.optional(tag::CONTEXT_0);
        let public_key = elements.optional(tag::CONTEXT_1);
        elements.finish()?;
        Ok(Self { algorithm, private_key, public_key })
    }

    /// The public key of `size` bytes, from whichever form it is in.
    pub(crate) fn public_key(&self, size: usize) -> Result<Option<&'a [u8]>, Malformed> {
        match self.public_key {
            None => Ok(None),
            Some(key) if key.len() == size => Ok(Some(key)),
            Some([0, key @ ..]) if key.len() == size => Ok(Some(key)),
            Some(_) => Err(Malformed),
        }
    }
}

/// Writes a OneAsymmetricKey whose private key is an OCTET STRING, with the public key in the short form. Returns
/// its size.
pub(crate) fn encode_private_key_info(
    algorithm: Algorithm<'_>,
    private_key: &[u8],
    public_key: Option<&[u8]>,
    output: &mut [u8],
) -> Result<usize, EncodingError> {
    let inner = element_size(private_key.len());
    let public_size = public_key.map_or(0, |key| element_size(key.len()));
    let content = elements_size(&[1, algorithm.content_size(), inner]).saturating_add(public_size);
    let mut output = Output::new(output, element_size(content))?;
    output.header(tag::SEQUENCE, content);
    output.element(tag::INTEGER, &[u8::from(public_key.is_some())]);
    algorithm.encode(&mut output);
    output.header(tag::OCTET_STRING, inner);
    output.element(tag::OCTET_STRING, private_key);
    if let Some(key) = public_key {
        output.element(tag::CONTEXT_1, key);
    }
    output.finish()
}

/// SubjectPublicKeyInfo (RFC 5280, §4.1.2.7).
pub(crate) struct PublicKeyInfo<'a> {
    pub(crate) algorithm: Algorithm<'a>,
    /// The octets of the BIT STRING.
    pub(crate) public_key: &'a [u8],
}

impl<'a> PublicKeyInfo<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut elements = Elements::inside(bytes, tag::SEQUENCE)?;
        let algorithm = Algorithm::decode(elements.take(tag::SEQUENCE)?)?;
        let public_key = elements.bits()?;
        elements.finish()?;
        Ok(Self { algorithm, public_key })
    }
}

/// Writes a SubjectPublicKeyInfo whose BIT STRING holds the concatenation of `public_key`. Returns its size.
pub(crate) fn encode_public_key_info(
    algorithm: Algorithm<'_>,
    public_key: &[&[u8]],
    output: &mut [u8],
) -> Result<usize, EncodingError> {
    let bits = public_key.iter().map(|part| part.len()).fold(1, usize::saturating_add);
    let content = elements_size(&[algorithm.content_size(), bits]);
    let mut output = Output::new(output, element_size(content))?;
    output.header(tag::SEQUENCE, content);
    algorithm.encode(&mut output);
    output.header(tag::BIT_STRING, bits);
    output.bytes(&[0]);
    for part in public_key {
        output.bytes(part);
    }
    output.finish()
}

/// Whether the first element inside the SEQUENCE `bytes` is an INTEGER: a version, and so a private key.
pub(crate) fn is_private(bytes: &[u8]) -> Result<bool, Malformed> {
    Ok(Elements::inside(bytes, tag::SEQUENCE)?.next_tag() == Some(tag::INTEGER))
}

/// The size of a DER element with one identifier octet and `content` octets of content.
#[inline(never)]
pub(crate) const fn element_size(content: usize) -> usize {
    let header: usize = match content {
        0..=0x7f => 2,
        0x80..=0xff => 3,
        0x100..=0xffff => 4,
        0x1_0000..=0xff_ffff => 5,
        _ => 6,
    };
    header.saturating_add(content)
}

/// The size of elements of these contents together.
#[inline(never)]
pub(crate) fn elements_size(contents: &[usize]) -> usize {
    contents.iter().fold(0, |size, &content| size.saturating_add(element_size(content)))
}

/// Writes DER into a slice, front to back.
pub(crate) struct Output<'a> {
    output: &'a mut [u8],
    written: usize,
}

impl<'a> Output<'a> {
    /// Prepares to write `size` bytes at the start of `output`.
    pub(crate) fn new(output: &'a mut [u8], size: usize) -> Result<Self, EncodingError> {
        let output = output.get_mut(..size).ok_or(EncodingError::OutputLength { needed: size })?;
        Ok(Self { output, written: 0 })
    }

    pub(crate) fn header(&mut self, tag: u8, content: usize) {
        let mut room = [0; 5];
        let length = Length::try_from(content).and_then(|length| length.encode_to_slice(&mut room));
        self.bytes(&[tag]);
        self.bytes(length.unwrap_or_default());
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.written.saturating_add(bytes.len());
        if let Some(place) = self.output.get_mut(self.written..end) {
            place.copy_from_slice(bytes);
        }
        self.written = end;
    }

    #[inline(never)]
    pub(crate) fn element(&mut self, tag: u8, content: &[u8]) {
        self.header(tag, content.len());
        self.bytes(content);
    }

    /// An INTEGER of the big-endian magnitude `value`, which may have leading zeros.
    pub(crate) fn unsigned(&mut self, value: &[u8]) {
        let magnitude = significant(value);
        self.header(tag::INTEGER, unsigned_content(magnitude));
        if needs_sign(magnitude) {
            self.bytes(&[0]);
        }
        self.bytes(magnitude);
    }

    /// The size of what was written: the size that was announced, or else this module has a fault.
    pub(crate) const fn finish(self) -> Result<usize, EncodingError> {
        if self.written == self.output.len() {
            Ok(self.written)
        } else {
            Err(EncodingError::OutputLength { needed: usize::MAX })
        }
    }
}

/// The size of the INTEGER that [`Output::unsigned`] writes.
pub(crate) fn unsigned_size(value: &[u8]) -> usize {
    element_size(unsigned_content(significant(value)))
}

fn unsigned_content(magnitude: &[u8]) -> usize {
    magnitude.len().saturating_add(usize::from(needs_sign(magnitude)))
}

/// Whether a zero octet must stand in front, so that the number is not negative and not empty.
fn needs_sign(magnitude: &[u8]) -> bool {
    magnitude.first().is_none_or(|first| *first >= 0x80)
}

/// A big-endian number without its leading zeros.
pub(crate) fn significant(value: &[u8]) -> &[u8] {
    let zeros = value.iter().take_while(|byte| **byte == 0).count();
    value.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_short_as_they_can_be() {
        for (content, expected) in [
            (0, &[0x30, 0][..]),
            (0x7f, &[0x30, 0x7f]),
            (0x80, &[0x30, 0x81, 0x80]),
            (0xff, &[0x30, 0x81, 0xff]),
            (0x100, &[0x30, 0x82, 1, 0]),
            (0xffff, &[0x30, 0x82, 0xff, 0xff]),
            (0x1_0000, &[0x30, 0x83, 1, 0, 0]),
            (0xff_ffff, &[0x30, 0x83, 0xff, 0xff, 0xff]),
            (0x100_0000, &[0x30, 0x84, 1, 0, 0, 0]),
            (0xffff_ffff, &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
        ] {
            assert_eq!(element_size(content), content + expected.len());
            let mut header = std::vec![0; expected.len()];
            let mut output = Output::new(&mut header, expected.len()).unwrap();
            output.header(tag::SEQUENCE, content);
            assert_eq!(output.finish(), Ok(expected.len()));
            assert_eq!(header, expected);
            header.push(7);
            assert_eq!(split_header(&header), Some((tag::SEQUENCE, content, &[7][..])));
        }
        for refused in [
            &[][..],
            &[0x30],
            // Indefinite.
            &[0x30, 0x80, 0, 0],
            // Not minimal.
            &[0x30, 0x81, 0x7f],
            &[0x30, 0x82, 0, 0x80],
            &[0x30, 0x83, 0, 1, 0],
            &[0x30, 0x84, 0, 1, 0, 0],
            // Cut off, or longer than anything.
            &[0x30, 0x81],
            &[0x30, 0x82, 1],
            &[0x30, 0x85, 1, 0, 0, 0, 0],
            &[0x30, 0xff, 1, 0, 0, 0, 0],
        ] {
            assert_eq!(split_header(refused), None, "{refused:x?}");
        }
    }

    #[test]
    fn what_was_announced_wrongly_is_an_error() {
        for size in [2, 4] {
            let mut bytes = [0; 4];
            let mut output = Output::new(&mut bytes, size).unwrap();
            output.element(tag::INTEGER, &[5]);
            assert_eq!(output.finish(), Err(EncodingError::OutputLength { needed: usize::MAX }));
        }
    }
}
