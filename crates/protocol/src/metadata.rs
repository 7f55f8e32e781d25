//! The 32-byte metadata record of an object (document 02, §5.1).

use crate::codec::{Field, Overflow, Reader, Writer};
use crate::{Flags, ObjectId};
use core::fmt;

/// A 24-byte label: opaque bytes, by custom text padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Label(pub [u8; 24]);

impl Label {
    /// All zeros.
    pub const EMPTY: Self = Self([0; 24]);

    /// The first 24 bytes of `bytes`, padded with zeros.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut label = [0; 24];
        for (to, from) in label.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(label)
    }

    /// The first `length` bytes of this label, the rest zero: what a request with a label length means.
    #[must_use]
    pub fn truncated(&self, length: u32) -> Self {
        let mut label = *self;
        label.truncate(length);
        label
    }

    /// Makes this label what [`truncated`](Self::truncated) says.
    pub fn truncate(&mut self, length: u32) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.0.get_mut(length..).unwrap_or_default().fill(0);
    }

    /// The bytes before the first zero.
    pub fn text(&self) -> &[u8] {
        self.0.split(|&byte| byte == 0).next().unwrap_or(&[])
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for Label {
    /// The text before the first zero, with unprintable bytes escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Field for Label {
    const SIZE: usize = 24;
    fn read(reader: &mut Reader<'_>) -> Self {
        Self(reader.read_array())
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put_bytes(&self.0)
    }
}

/// What is known of an object besides its data. The layout is the same in memory, on flash, on the wire and inside
/// wrapped keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata {
    /// The object's identifier.
    pub id: ObjectId,
    /// Access bits: stored and returned, never checked.
    pub access: u16,
    /// Protection and usage.
    pub flags: Flags,
    /// Length of the data in bytes.
    pub length: u16,
    /// Label; counters keep their value in it.
    pub label: Label,
}

impl Metadata {
    /// Size on flash and on the wire, in bytes.
    pub const SIZE: usize = 32;
    /// The access word of objects that anyone may use.
    pub const ACCESS_ANY: u16 = 0xFFFF;
}

impl Field for Metadata {
    const SIZE: usize = 32;
    fn read(reader: &mut Reader<'_>) -> Self {
        // Taken as a whole, so that there is one check of the length.
        let reader = &mut Reader::new(reader.take(Self::SIZE).unwrap_or(&[0; Self::SIZE]), reader.order());
        Self {
            id: reader.read(),
            access: reader.read(),
            flags: reader.read(),
            length: reader.read(),
            label: reader.read(),
        }
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        let order = writer.order();
        let writer = &mut Writer::new(writer.reserve(Self::SIZE)?, order);
        writer.put(self.id)?;
        writer.put(self.access)?;
        writer.put(self.flags)?;
        writer.put(self.length)?;
        writer.put(self.label)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::ByteOrder;
    use std::string::ToString;

    #[test]
    fn record_layout() {
        let metadata = Metadata {
            id: ObjectId(0x1CFE),
            access: 0,
            flags: Flags(0x1205),
            length: 16,
            label: "kek".into(),
        };
        let mut bytes = [0xEE; 32];
        metadata.put(&mut Writer::new(&mut bytes, ByteOrder::Little)).unwrap();
        assert_eq!(bytes[..11], [0xFE, 0x1C, 0, 0, 0x05, 0x12, 0x10, 0, b'k', b'e', b'k']);
        assert_eq!(bytes[11..], [0; 21]);
        assert_eq!(Metadata::get(&mut Reader::new(&bytes, ByteOrder::Little)), Ok(metadata));
    }

    #[test]
    fn labels_are_cut_and_shown_safely() {
        let label = Label::from_bytes(&[b'x'; 40]);
        assert_eq!(label.truncated(3), Label::from("xxx"));
        assert_eq!(label.truncated(u32::MAX), label);
        assert_eq!(Label::from("a\u{1b}[2J").to_string(), "a\\x1b[2J");
    }
}
