//! DER, element by element, over the `der` crate.

use crate::Error;
use der::{Decode, Header, Reader, SliceReader};

/// Identifier octets: all elements that are known here have one (X.690, §8.1.2). Two elements whose tag numbers are too
/// large for it look the same, but like none of these.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
}

/// `[number]`, constructed; the number is below 31.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xA0 | number
}

/// `[number]`, primitive; the number is below 31.
pub(crate) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// What is no DER, or not the DER that is expected: [`Error::Malformed`], for functions that have no other error. It takes
/// no room in what they return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// One DER element.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    /// Header and content.
    pub(crate) encoding: &'a [u8],
    pub(crate) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// Checks the tag and returns the content.
    pub(crate) fn expect(self, tag: u8) -> Result<&'a [u8], Malformed> {
        if self.tag == tag { Ok(self.content) } else { Err(Malformed) }
    }
}

/// DER elements, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The elements in the content of the single element `bytes`, which has the tag `tag`.
    pub(crate) fn inside(bytes: &'a [u8], tag: u8) -> Result<Self, Malformed> {
        let mut outer = Self::new(bytes);
        let content = outer.take(tag)?;
        outer.finish()?;
        Ok(Self::new(content))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not taken.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next element.
    pub(crate) fn next(&mut self) -> Result<Element<'a>, Malformed> {
        let tag = *self.rest.first().ok_or(Malformed)?;
        let mut reader = SliceReader::new(self.rest).map_err(|_| Malformed)?;
        let header = Header::decode(&mut reader).map_err(|_| Malformed)?;
        let start = usize::try_from(reader.position()).map_err(|_| Malformed)?;
        let length = usize::try_from(header.length()).map_err(|_| Malformed)?;
        let end = start.checked_add(length).ok_or(Malformed)?;
        let (encoding, rest) = self.rest.split_at_checked(end).ok_or(Malformed)?;
        let content = encoding.get(start..).ok_or(Malformed)?;
        self.rest = rest;
        Ok(Element { tag, encoding, content })
    }

    /// The content of the next element, which has the tag `tag`.
    pub(crate) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.next()?.expect(tag)
    }

    /// The encoding of the next element, which has the tag `tag`.
    pub(crate) fn take_encoding(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let element = self.next()?;
        element.expect(tag)?;
        Ok(element.encoding)
    }

    /// The content of the next element if it has the tag `tag`.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        let mut ahead = *self;
        if ahead.is_empty() {
            return Ok(None);
        }
        let element = ahead.next()?;
        if element.tag != tag {
            return Ok(None);
        }
        *self = ahead;
        Ok(Some(element.content))
    }

    /// The next element, a BOOLEAN that is FALSE if it is missing. (DER forbids to write the default; encoders do.)
    pub(crate) fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.optional(tag::BOOLEAN)? {
            None | Some([0x00]) => Ok(false),
            Some([0xFF]) => Ok(true),
            Some(_) => Err(Malformed),
        }
    }

    /// The octets of the next element, a BIT STRING of whole octets.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], Malformed> {
        match self.take(tag::BIT_STRING)? {
            [0, octets @ ..] => Ok(octets),
            _ => Err(Malformed),
        }
    }

    /// Confirms that everything has been taken.
    pub(crate) const fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// What certificates of both kinds are: `SEQUENCE { toBeSigned, signatureAlgorithm, signature BIT STRING }`.
pub(crate) struct Signed<'a> {
    /// Header and content.
    pub(crate) encoding: &'a [u8],
    pub(crate) to_be_signed: &'a [u8],
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// The elements in what is signed.
    pub(crate) elements: Elements<'a>,
    /// What follows.
    pub(crate) rest: &'a [u8],
}

impl<'a> Signed<'a> {
    #[inline(never)]
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Elements::new(bytes);
        let encoding = outer.take_encoding(tag::SEQUENCE)?;
        let mut elements = Elements::inside(encoding, tag::SEQUENCE)?;
        let to_be_signed = elements.take_encoding(tag::SEQUENCE)?;
        let algorithm = elements.take_encoding(tag::SEQUENCE)?;
        let signature = elements.bits()?;
        elements.finish()?;
        let elements = Elements::inside(to_be_signed, tag::SEQUENCE)?;
        Ok(Self { encoding, to_be_signed, algorithm, signature, elements, rest: outer.rest })
    }
}

/// Checks the content of an INTEGER: not empty, minimal.
pub(crate) const fn integer(content: &[u8]) -> Result<&[u8], Malformed> {
    match content {
        [] | [0, 0..=0x7F, ..] | [0xFF, 0x80..=0xFF, ..] => Err(Malformed),
        content => Ok(content),
    }
}

/// The value of an INTEGER that is not negative; what is larger than 32 bits counts as the largest number of 32 bits.
pub(crate) fn unsigned(content: &[u8]) -> Result<u32, Malformed> {
    let content = integer(content)?;
    let magnitude = match content {
        [0x80..=0xFF, ..] => return Err(Malformed),
        [0, magnitude @ ..] => magnitude,
        magnitude => magnitude,
    };
    if magnitude.len() > 4 {
        return Ok(u32::MAX);
    }
    Ok(magnitude.iter().fold(0, |value, byte| (value << 8) | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_cut_at_their_ends() {
        let mut elements = Elements::new(&[0x02, 0x01, 0x05, 0x04, 0x00]);
        let first = elements.next().unwrap();
        assert_eq!((first.tag, first.encoding, first.content), (tag::INTEGER, &[2, 1, 5][..], &[5][..]));
        assert_eq!(elements.optional(tag::INTEGER), Ok(None));
        assert_eq!(elements.optional(tag::OCTET_STRING), Ok(Some(&[][..])));
        assert_eq!(elements.optional(tag::OCTET_STRING), Ok(None));
        elements.finish().unwrap();
        // Too long, a length that is not minimal, an indefinite one, a high tag number without its end.
        for bytes in [&[0x04, 0x02, 0x00][..], &[0x04, 0x81, 0x01, 0x00], &[0x30, 0x80, 0, 0], &[0x1F]] {
            assert!(Elements::new(bytes).next().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn integers_are_minimal() {
        assert_eq!(unsigned(&[0]), Ok(0));
        assert_eq!(unsigned(&[0x7F]), Ok(127));
        assert_eq!(unsigned(&[0, 0x80]), Ok(128));
        assert_eq!(unsigned(&[1, 2, 3, 4]), Ok(0x0102_0304));
        assert_eq!(unsigned(&[1, 2, 3, 4, 5]), Ok(u32::MAX));
        for wrong in [&[][..], &[0, 1], &[0x80], &[0xFF, 0xFF]] {
            assert_eq!(unsigned(wrong), Err(Malformed), "{wrong:?}");
        }
    }
}
