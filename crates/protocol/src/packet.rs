//! The packet header (document 01, §1 and §2).

use crate::codec::{ByteOrder, Malformed, Overflow, Reader, Writer};
use core::fmt;

/// The smallest packet data length a server may be configured with: room for every fixed message part.
pub const MIN_DATA_LENGTH: usize = 512;
/// The largest packet data length: packets and their framing stay within 16-bit sizes.
pub const MAX_DATA_LENGTH: usize = 65_000;

/// A message group: the high byte of [`Kind`]. Unknown groups survive decoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(pub u8);

impl Group {
    /// Connection: INIT, CLOSE, INFO, ECHO.
    pub const COMM: Self = Self(0x01);
    /// Non-volatile objects.
    pub const NVM: Self = Self(0x02);
    /// Keys.
    pub const KEY: Self = Self(0x03);
    /// Cryptography with the data inside the message.
    pub const CRYPTO: Self = Self(0x04);
    /// Reserved; carries no messages.
    pub const IMAGE: Self = Self(0x05);
    /// Reserved; carries no messages.
    pub const PKCS11: Self = Self(0x06);
    /// AUTOSAR Secure Hardware Extension.
    pub const SHE: Self = Self(0x07);
    /// Monotonic counters.
    pub const COUNTER: Self = Self(0x08);
    /// Custom callbacks.
    pub const CUSTOM: Self = Self(0x0A);
    /// Cryptography on client memory.
    pub const CRYPTO_DMA: Self = Self(0x0B);
    /// Certificates.
    pub const CERT: Self = Self(0x0C);
    /// Users and permissions.
    pub const AUTH: Self = Self(0x0D);

    /// The group's name, if it is assigned.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::COMM => "COMM",
            Self::NVM => "NVM",
            Self::KEY => "KEY",
            Self::CRYPTO => "CRYPTO",
            Self::IMAGE => "IMAGE",
            Self::PKCS11 => "PKCS11",
            Self::SHE => "SHE",
            Self::COUNTER => "COUNTER",
            Self::CUSTOM => "CUSTOM",
            Self::CRYPTO_DMA => "CRYPTO_DMA",
            Self::CERT => "CERT",
            Self::AUTH => "AUTH",
            _ => return None,
        })
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Group({:#04x})", self.0),
        }
    }
}

/// What a packet asks for, or answers: a group and an action within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// The group.
    pub group: Group,
    /// The action within the group; the modules of [`crate::message`] name them.
    pub action: u8,
}

impl Kind {
    /// Composes a kind.
    pub const fn new(group: Group, action: u8) -> Self {
        Self { group, action }
    }

    /// The 16-bit form: group in the high byte, action in the low byte.
    pub const fn to_u16(self) -> u16 {
        u16::from_be_bytes([self.group.0, self.action])
    }

    /// From the 16-bit form.
    pub const fn from_u16(word: u16) -> Self {
        let [group, action] = word.to_be_bytes();
        Self { group: Group(group), action }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:#04x}", self.group, self.action)
    }
}

/// The eight bytes before every payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The sender's byte order, as the magic says.
    pub order: ByteOrder,
    /// Group and action.
    pub kind: Kind,
    /// Sequence number; a response repeats its request's.
    pub sequence: u16,
    /// Reserved: requests carry 0, responses repeat their request's bytes.
    pub auxiliary: [u8; 2],
}

impl Header {
    /// Size in bytes.
    pub const SIZE: usize = 8;
    const MAGIC_LITTLE: [u8; 2] = [0x01, 0xA5];
    const MAGIC_BIG: [u8; 2] = [0xA5, 0x01];

    /// The eight bytes on the wire.
    pub const fn encode(&self) -> [u8; 8] {
        let kind = self.kind.to_u16();
        let ([m0, m1], [k0, k1], [s0, s1]) = match self.order {
            ByteOrder::Little => (Self::MAGIC_LITTLE, kind.to_le_bytes(), self.sequence.to_le_bytes()),
            ByteOrder::Big => (Self::MAGIC_BIG, kind.to_be_bytes(), self.sequence.to_be_bytes()),
        };
        [m0, m1, k0, k1, s0, s1, self.auxiliary[0], self.auxiliary[1]]
    }

    /// From the eight bytes on the wire.
    ///
    /// # Errors
    /// [`Malformed`] if the magic is neither `01 A5` nor `A5 01`.
    pub fn decode(bytes: &[u8; 8]) -> Result<Self, Malformed> {
        let [m0, m1, rest @ ..] = bytes;
        let order = match [*m0, *m1] {
            Self::MAGIC_LITTLE => ByteOrder::Little,
            Self::MAGIC_BIG => ByteOrder::Big,
            _ => return Err(Malformed),
        };
        let mut reader = Reader::new(rest, order);
        let kind = Kind::from_u16(reader.get()?);
        Ok(Self { order, kind, sequence: reader.get()?, auxiliary: reader.get()? })
    }
}

/// A packet: a header and a payload.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The header.
    pub header: Header,
    /// What follows it.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes a packet apart.
    ///
    /// # Errors
    /// [`Malformed`] if it is shorter than a header or its magic is unknown.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, payload) = bytes.split_first_chunk().ok_or(Malformed)?;
        Ok(Self { header: Header::decode(header)?, payload })
    }

    /// A reader over the payload in the packet's byte order.
    pub const fn reader(&self) -> Reader<'a> {
        Reader::new(self.payload, self.header.order)
    }

    /// Writes the packet and returns its length.
    ///
    /// # Errors
    /// [`Overflow`] if `out` is too small.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Overflow> {
        let mut writer = Writer::new(out, self.header.order);
        writer.put_bytes(&self.header.encode())?;
        writer.put_bytes(self.payload)?;
        Ok(writer.written())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exchange A of document 01, §14, and its big-endian twin E.
    #[test]
    fn recorded_headers() {
        let little = [0x01, 0xA5, 0x01, 0x02, 0x05, 0x00, 0x34, 0x12];
        let header = Header {
            order: ByteOrder::Little,
            kind: Kind::new(Group::NVM, 1),
            sequence: 5,
            auxiliary: [0x34, 0x12],
        };
        assert_eq!(Header::decode(&little), Ok(header));
        assert_eq!(header.encode(), little);
        let big = [0xA5, 0x01, 0x02, 0x01, 0x00, 0x05, 0x34, 0x12];
        let header = Header { order: ByteOrder::Big, ..header };
        assert_eq!(Header::decode(&big), Ok(header));
        assert_eq!(header.encode(), big);
    }

    #[test]
    fn every_other_magic_is_refused() {
        for word in 0..=u16::MAX {
            let [a, b] = word.to_be_bytes();
            let known = word == 0x01A5 || word == 0xA501;
            assert_eq!(Header::decode(&[a, b, 0, 0, 0, 0, 0, 0]).is_ok(), known);
        }
    }

    #[test]
    fn packets_shorter_than_a_header_are_refused() {
        assert!(Packet::decode(&[0x01, 0xA5, 1, 1, 0, 0, 0]).is_err());
        assert!(
            Packet::decode(&[0x01, 0xA5, 1, 1, 0, 0, 0, 0]).is_ok_and(|packet| packet.payload.is_empty())
        );
    }
}
