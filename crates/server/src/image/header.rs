//! wolfBoot's image header (document 07, §B.4): read from, and written to, memory of the caller's.

use super::Fault;
use core::fmt;

/// What a header begins with: "WOLF".
pub const MAGIC: [u8; 4] = *b"WOLF";

/// Where the fields begin, in bytes: after the magic number and the payload length.
const FIELDS: usize = 8;

/// The kind of a header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(pub u16);

impl Tag {
    /// The version, 4 bytes.
    pub const VERSION: Self = Self(0x01);
    /// When it was made, in seconds since the Unix epoch, 8 bytes.
    pub const TIMESTAMP: Self = Self(0x02);
    /// SHA-256 of the header up to this field, and of the payload.
    pub const SHA256: Self = Self(0x03);
    /// What the image is (low byte) and how it was signed (high byte), 2 bytes.
    pub const IMAGE_TYPE: Self = Self(0x04);
    /// SHA-256 of the public key as it is stored.
    pub const KEY_HINT: Self = Self(0x10);
    /// The signature of the digest.
    pub const SIGNATURE: Self = Self(0x20);
    /// A certificate chain.
    pub const CERTIFICATES: Self = Self(0x23);

    /// What the field is called, if it is known.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::VERSION => "version",
            Self::TIMESTAMP => "timestamp",
            Self::SHA256 => "digest",
            Self::IMAGE_TYPE => "image type",
            Self::KEY_HINT => "key hint",
            Self::SIGNATURE => "signature",
            Self::CERTIFICATES => "certificate chain",
            _ => return None,
        })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "field {:#06x}", self.0),
        }
    }
}

/// How an image was signed: the high byte of its type. The numbers are those of wolfBoot's image format.
pub mod signed_by {
    /// Ed25519.
    pub const ED25519: u8 = 0x01;
    /// ECDSA on P-256.
    pub const ECDSA_P256: u8 = 0x02;
    /// RSA with 2048 bits.
    pub const RSA_2048: u8 = 0x03;
    /// RSA with 4096 bits.
    pub const RSA_4096: u8 = 0x04;
    /// ECDSA on P-384.
    pub const ECDSA_P384: u8 = 0x06;
    /// ECDSA on P-521.
    pub const ECDSA_P521: u8 = 0x07;
    /// RSA with 3072 bits.
    pub const RSA_3072: u8 = 0x08;
    /// ML-DSA.
    pub const ML_DSA: u8 = 0x11;
}

/// A field of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderField<'a> {
    /// Where it begins in the header, in bytes.
    pub offset: usize,
    /// What it is.
    pub tag: Tag,
    /// What it says.
    pub value: &'a [u8],
}

/// A header that begins as one should; its fields are looked at when they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    bytes: &'a [u8],
    payload_length: u32,
}

impl<'a> Header<'a> {
    /// The smallest header in bytes.
    pub const MIN_SIZE: usize = 12;

    /// Looks at the start of a header. `bytes` is all of it, padding included.
    ///
    /// # Errors
    /// [`Fault::HeaderPlace`] if it is shorter than [`MIN_SIZE`](Self::MIN_SIZE), [`Fault::Magic`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        if bytes.len() < Self::MIN_SIZE {
            return Err(Fault::HeaderPlace);
        }
        let rest = bytes.strip_prefix(&MAGIC).ok_or(Fault::Magic)?;
        let (length, _) = rest.split_first_chunk().ok_or(Fault::HeaderPlace)?;
        Ok(Self { bytes, payload_length: u32::from_le_bytes(*length) })
    }

    /// How long the payload is, in bytes.
    pub const fn payload_length(&self) -> u32 {
        self.payload_length
    }

    /// The fields, up to the end mark or to the first one that does not fit into the header.
    pub const fn fields(&self) -> Fields<'a> {
        Fields { bytes: self.bytes, offset: FIELDS }
    }

    /// The field of this kind.
    ///
    /// # Errors
    /// [`Fault::Field`] if there is none, [`Fault::Twice`] if there is more than one.
    pub fn field(&self, tag: Tag) -> Result<HeaderField<'a>, Fault> {
        let mut found = self.fields().filter(|field| field.tag == tag);
        let field = found.next().ok_or(Fault::Field(tag))?;
        if found.next().is_some() { Err(Fault::Twice(tag)) } else { Ok(field) }
    }

    /// The value of the field of this kind, which has N bytes and stands before the field that begins at `digest`.
    fn authenticated<const N: usize>(&self, tag: Tag, digest: usize) -> Result<&'a [u8; N], Fault> {
        let field = self.field(tag)?;
        if field.offset >= digest {
            return Err(Fault::Unauthenticated(tag));
        }
        field.value.try_into().map_err(|_| Fault::Field(tag))
    }

    /// The digest and the part of the header that it covers, from its start up to the digest's field.
    ///
    /// # Errors
    /// [`Fault::Field`], [`Fault::Twice`].
    pub fn digest(&self) -> Result<(&'a [u8; 32], &'a [u8]), Fault> {
        let field = self.field(Tag::SHA256)?;
        let digest = field.value.try_into().map_err(|_| Fault::Field(Tag::SHA256))?;
        Ok((digest, self.bytes.get(..field.offset).unwrap_or_default()))
    }

    /// The image type, which the digest covers: what it is, and how it was signed ([`signed_by`]).
    ///
    /// # Errors
    /// [`Fault::Field`], [`Fault::Twice`], [`Fault::Unauthenticated`].
    pub fn image_type(&self) -> Result<(u8, u8), Fault> {
        let (_, covered) = self.digest()?;
        let [what, how] = *self.authenticated(Tag::IMAGE_TYPE, covered.len())?;
        Ok((what, how))
    }

    /// The version, which the digest covers.
    ///
    /// # Errors
    /// [`Fault::Field`], [`Fault::Twice`], [`Fault::Unauthenticated`].
    pub fn version(&self) -> Result<u32, Fault> {
        let (_, covered) = self.digest()?;
        self.authenticated(Tag::VERSION, covered.len()).map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// The fields of a header.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = HeaderField<'a>;

    fn next(&mut self) -> Option<HeaderField<'a>> {
        loop {
            let rest = self.bytes.get(self.offset..)?;
            // A field has a head of four bytes, and is never the last byte.
            let &[low, high, length_low, length_high, _, ..] = rest else { return None };
            if (low, high) == (0, 0) {
                return None;
            }
            if low == 0xFF || self.offset & 1 != 0 {
                self.offset = self.offset.saturating_add(1);
                continue;
            }
            let length = usize::from(u16::from_le_bytes([length_low, length_high]));
            let value = rest.get(4..)?.get(..length)?;
            let field = HeaderField { offset: self.offset, tag: Tag(u16::from_le_bytes([low, high])), value };
            self.offset = self.offset.saturating_add(4).saturating_add(length);
            return Some(field);
        }
    }
}

/// Writes a header, for tools that sign images: field by field, the rest of the memory is padding.
///
/// The order of a signed image is: whatever the digest is to cover; the digest of [`digest_input`](Self::digest_input) and the
/// payload; the signature.
#[derive(Debug)]
pub struct HeaderWriter<'a> {
    bytes: &'a mut [u8],
    offset: usize,
}

impl<'a> HeaderWriter<'a> {
    /// Begins a header that takes all of `bytes`, for a payload of this length.
    ///
    /// # Errors
    /// [`Fault::HeaderPlace`] if it is shorter than [`Header::MIN_SIZE`].
    pub fn new(bytes: &'a mut [u8], payload_length: u32) -> Result<Self, Fault> {
        if bytes.len() < Header::MIN_SIZE {
            return Err(Fault::HeaderPlace);
        }
        bytes.fill(0xFF);
        let head = MAGIC.into_iter().chain(payload_length.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(head) {
            *to = from;
        }
        Ok(Self { bytes, offset: FIELDS })
    }

    /// Adds a field. Those that are longer than 4 bytes begin where wolfBoot's signing tool puts them: at an offset
    /// that leaves a remainder of 4 when divided by 8.
    ///
    /// # Errors
    /// [`Fault::Field`] if it does not fit.
    pub fn field(&mut self, tag: Tag, value: &[u8]) -> Result<(), Fault> {
        let start = self.start(value.len());
        let length = u16::try_from(value.len()).map_err(|_| Fault::Field(tag))?;
        let [t0, t1] = tag.0.to_le_bytes();
        let [l0, l1] = length.to_le_bytes();
        let end = start.saturating_add(4).saturating_add(value.len());
        let place = self.bytes.get_mut(start..end).ok_or(Fault::Field(tag))?;
        for (to, from) in place.iter_mut().zip([t0, t1, l0, l1].iter().chain(value)) {
            *to = *from;
        }
        self.offset = end;
        Ok(())
    }

    fn start(&self, length: usize) -> usize {
        match length {
            8.. => self.offset.saturating_add(4).next_multiple_of(8).saturating_sub(4),
            _ => self.offset.next_multiple_of(4),
        }
    }

    /// The part of the header that a digest covers which is added next.
    pub fn digest_input(&self) -> &[u8] {
        self.bytes.get(..self.start(32)).unwrap_or_default()
    }
}
