//! DER, element by element, over the `der` crate.

use crate::Error;
use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};

/// `[number]`, constructed.
pub(crate) const fn constructed(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// `[number]`, primitive.
pub(crate) const fn primitive(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: false, number: TagNumber(number) }
}

/// One DER element.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: Tag,
    /// Header and content.
    pub(crate) encoding: &'a [u8],
    pub(crate) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// Checks the tag and returns the content.
    pub(crate) fn expect(self, tag: Tag) -> Result<&'a [u8], Error> {
        if self.tag == tag { Ok(self.content) } else { Err(Error::Malformed) }
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
    pub(crate) fn inside(bytes: &'a [u8], tag: Tag) -> Result<Self, Error> {
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
    pub(crate) fn next(&mut self) -> Result<Element<'a>, Error> {
        let mut reader = SliceReader::new(self.rest).map_err(|_| Error::Malformed)?;
        let header = Header::decode(&mut reader).map_err(|_| Error::Malformed)?;
        let start = usize::try_from(reader.position()).map_err(|_| Error::Malformed)?;
        let length = usize::try_from(header.length()).map_err(|_| Error::Malformed)?;
        let end = start.checked_add(length).ok_or(Error::Malformed)?;
        let (encoding, rest) = self.rest.split_at_checked(end).ok_or(Error::Malformed)?;
        let content = encoding.get(start..).ok_or(Error::Malformed)?;
        self.rest = rest;
        Ok(Element { tag: header.tag(), encoding, content })
    }

    /// The content of the next element, which has the tag `tag`.
    pub(crate) fn take(&mut self, tag: Tag) -> Result<&'a [u8], Error> {
        self.next()?.expect(tag)
    }

    /// The encoding of the next element, which has the tag `tag`.
    pub(crate) fn take_encoding(&mut self, tag: Tag) -> Result<&'a [u8], Error> {
        let element = self.next()?;
        element.expect(tag)?;
        Ok(element.encoding)
    }

    /// The content of the next element if it has the tag `tag`.
    pub(crate) fn optional(&mut self, tag: Tag) -> Result<Option<&'a [u8]>, Error> {
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
    pub(crate) fn boolean(&mut self) -> Result<bool, Error> {
        match self.optional(Tag::Boolean)? {
            None | Some([0x00]) => Ok(false),
            Some([0xFF]) => Ok(true),
            Some(_) => Err(Error::Malformed),
        }
    }

    /// The octets of the next element, a BIT STRING of whole octets.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], Error> {
        match self.take(Tag::BitString)? {
            [0, octets @ ..] => Ok(octets),
            _ => Err(Error::Malformed),
        }
    }

    /// Confirms that everything has been taken.
    pub(crate) const fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Malformed) }
    }
}

/// Checks the content of an INTEGER: not empty, minimal.
pub(crate) const fn integer(content: &[u8]) -> Result<&[u8], Error> {
    match content {
        [] | [0, 0..=0x7F, ..] | [0xFF, 0x80..=0xFF, ..] => Err(Error::Malformed),
        content => Ok(content),
    }
}

/// The value of an INTEGER that is not negative; what is larger than 32 bits counts as the largest number of 32 bits.
pub(crate) fn unsigned(content: &[u8]) -> Result<u32, Error> {
    let content = integer(content)?;
    let magnitude = match content {
        [0x80..=0xFF, ..] => return Err(Error::Malformed),
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
        assert_eq!((first.tag, first.encoding, first.content), (Tag::Integer, &[2, 1, 5][..], &[5][..]));
        assert_eq!(elements.optional(Tag::Integer), Ok(None));
        assert_eq!(elements.optional(Tag::OctetString), Ok(Some(&[][..])));
        assert_eq!(elements.optional(Tag::OctetString), Ok(None));
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
            assert_eq!(unsigned(wrong), Err(Error::Malformed), "{wrong:?}");
        }
    }
}
