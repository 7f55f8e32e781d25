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

pub use curve25519::{Ed25519Key, X25519Key};
pub use ec::{EcKey, decode_ecdsa_signature, decode_point, encode_ecdsa_signature, encode_point};
pub use ml_dsa::MlDsaKey;
pub use ml_kem::MlKemKey;
pub use rsa::{RsaKey, encode_rsa_private, encode_rsa_public};

use crate::Error;
use core::fmt;
use der::{AnyRef, Decode, Encode, Header, Length, Reader, SliceReader, SliceWriter, Tag, TagNumber, Writer};

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

/// `[0]`, constructed: attributes in PKCS#8, the named curve in SEC 1.
pub(crate) const CONTEXT_0: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
/// `[1]`, primitive: the public key of RFC 5958.
pub(crate) const CONTEXT_1: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(1) };

/// The elements of a DER value, one after the other.
pub(crate) struct Elements<'a>(SliceReader<'a>);

impl<'a> Elements<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        Ok(Self(SliceReader::new(bytes).map_err(|_| EncodingError::Malformed)?))
    }

    /// The elements inside the single element `bytes`, which has the tag `tag`.
    pub(crate) fn inside(bytes: &'a [u8], tag: Tag) -> Result<Self, EncodingError> {
        let mut outer = Self::new(bytes)?;
        let content = outer.take(tag)?;
        outer.finish()?;
        Self::new(content)
    }

    /// The tag of the next element, if there is one.
    pub(crate) fn next_tag(&self) -> Option<Tag> {
        Tag::peek(&self.0).ok()
    }

    /// The content of the next element, which has the tag `tag`.
    pub(crate) fn take(&mut self, tag: Tag) -> Result<&'a [u8], EncodingError> {
        let element = AnyRef::decode(&mut self.0).map_err(|_| EncodingError::Malformed)?;
        if der::Tagged::tag(&element) != tag {
            return Err(EncodingError::Malformed);
        }
        Ok(element.value())
    }

    /// The content of the next element if it has the tag `tag`.
    pub(crate) fn optional(&mut self, tag: Tag) -> Result<Option<&'a [u8]>, EncodingError> {
        if self.next_tag() == Some(tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// The magnitude of the next element, an INTEGER that is not negative: without leading zeros, empty for 0.
    pub(crate) fn unsigned(&mut self) -> Result<&'a [u8], EncodingError> {
        match self.take(Tag::Integer)? {
            [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => Err(EncodingError::Malformed),
            [0, magnitude @ ..] => Ok(magnitude),
            magnitude => Ok(magnitude),
        }
    }

    /// The octets of the next element, a BIT STRING of whole octets.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], EncodingError> {
        match self.take(Tag::BitString)? {
            [0, octets @ ..] => Ok(octets),
            _ => Err(EncodingError::Malformed),
        }
    }

    /// All that has not been taken, undecoded.
    pub(crate) fn rest(mut self) -> Result<&'a [u8], EncodingError> {
        let remaining = self.0.remaining_len();
        self.0.read_slice(remaining).map_err(|_| EncodingError::Malformed)
    }

    /// Confirms that everything has been taken.
    pub(crate) fn finish(self) -> Result<(), EncodingError> {
        if self.0.is_finished() { Ok(()) } else { Err(EncodingError::Malformed) }
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
    fn decode(content: &'a [u8]) -> Result<Self, EncodingError> {
        let mut elements = Elements::new(content)?;
        let identifier = elements.take(Tag::ObjectIdentifier)?;
        Ok(Self { identifier, parameters: elements.rest()? })
    }

    fn content_size(&self) -> usize {
        element_size(self.identifier.len()).saturating_add(self.parameters.len())
    }

    fn encode(&self, output: &mut Output<'_>) -> Result<(), EncodingError> {
        output.header(Tag::Sequence, self.content_size())?;
        output.element(Tag::ObjectIdentifier, self.identifier)?;
        output.bytes(self.parameters)
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
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let mut elements = Elements::inside(bytes, Tag::Sequence)?;
        // Peers write a public key under version 0 too.
        let ([] | [1]) = elements.unsigned()? else {
            return Err(EncodingError::Malformed);
        };
        let algorithm = Algorithm::decode(elements.take(Tag::Sequence)?)?;
        let private_key = elements.take(Tag::OctetString)?;
        let _attributes = elements.optional(CONTEXT_0)?;
        let public_key = elements.optional(CONTEXT_1)?;
        elements.finish()?;
        Ok(Self { algorithm, private_key, public_key })
    }

    /// The public key of `size` bytes, from whichever form it is in.
    pub(crate) fn public_key(&self, size: usize) -> Result<Option<&'a [u8]>, EncodingError> {
        match self.public_key {
            None => Ok(None),
            Some(key) if key.len() == size => Ok(Some(key)),
            Some([0, key @ ..]) if key.len() == size => Ok(Some(key)),
            Some(_) => Err(EncodingError::Malformed),
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
    let content = element_size(1)
        .saturating_add(element_size(algorithm.content_size()))
        .saturating_add(element_size(inner))
        .saturating_add(public_size);
    let mut output = Output::new(output, element_size(content))?;
    output.header(Tag::Sequence, content)?;
    output.element(Tag::Integer, &[u8::from(public_key.is_some())])?;
    algorithm.encode(&mut output)?;
    output.header(Tag::OctetString, inner)?;
    output.element(Tag::OctetString, private_key)?;
    if let Some(key) = public_key {
        output.element(CONTEXT_1, key)?;
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
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let mut elements = Elements::inside(bytes, Tag::Sequence)?;
        let algorithm = Algorithm::decode(elements.take(Tag::Sequence)?)?;
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
    let content = element_size(algorithm.content_size()).saturating_add(element_size(bits));
    let mut output = Output::new(output, element_size(content))?;
    output.header(Tag::Sequence, content)?;
    algorithm.encode(&mut output)?;
    output.header(Tag::BitString, bits)?;
    output.bytes(&[0])?;
    for part in public_key {
        output.bytes(part)?;
    }
    output.finish()
}

/// Whether the first element inside the SEQUENCE `bytes` is an INTEGER: a version, and so a private key.
pub(crate) fn is_private(bytes: &[u8]) -> Result<bool, EncodingError> {
    Ok(Elements::inside(bytes, Tag::Sequence)?.next_tag() == Some(Tag::Integer))
}

/// The size of a DER element with one identifier octet and `content` octets of content.
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

/// Writes DER into a slice, front to back.
pub(crate) struct Output<'a>(SliceWriter<'a>);

/// Sizes are announced before anything is written, so these failures are faults of this module.
fn write_failed(_: der::Error) -> EncodingError {
    EncodingError::OutputLength { needed: usize::MAX }
}

impl<'a> Output<'a> {
    /// Prepares to write `size` bytes at the start of `output`.
    pub(crate) fn new(output: &'a mut [u8], size: usize) -> Result<Self, EncodingError> {
        let output = output.get_mut(..size).ok_or(EncodingError::OutputLength { needed: size })?;
        Ok(Self(SliceWriter::new(output)))
    }

    pub(crate) fn header(&mut self, tag: Tag, content: usize) -> Result<(), EncodingError> {
        let length = Length::try_from(content).map_err(write_failed)?;
        Header::new(tag, length).encode(&mut self.0).map_err(write_failed)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodingError> {
        self.0.write(bytes).map_err(write_failed)
    }

    pub(crate) fn element(&mut self, tag: Tag, content: &[u8]) -> Result<(), EncodingError> {
        self.header(tag, content.len())?;
        self.bytes(content)
    }

    /// An INTEGER of the big-endian magnitude `value`, which may have leading zeros.
    pub(crate) fn unsigned(&mut self, value: &[u8]) -> Result<(), EncodingError> {
        let magnitude = significant(value);
        self.header(Tag::Integer, unsigned_content(magnitude))?;
        if needs_sign(magnitude) {
            self.bytes(&[0])?;
        }
        self.bytes(magnitude)
    }

    /// The size of what was written.
    pub(crate) fn finish(self) -> Result<usize, EncodingError> {
        Ok(self.0.finish().map_err(write_failed)?.len())
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
