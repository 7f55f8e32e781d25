//! Object flags (document 03, §3).

use crate::codec::{Field, Overflow, Reader, Writer};
use core::fmt;
use core::ops::{BitAnd, BitOr, Not};

/// What an object may be used for and how it is protected: a 16-bit set. Unassigned bits are kept as given.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// May not be replaced, erased, or evicted before it is committed.
    pub const NONMODIFIABLE: Self = Self(0x0001);
    /// Holds a secret (informative).
    pub const SENSITIVE: Self = Self(0x0002);
    /// May not leave the server in clear or under a key-encryption key.
    pub const NONEXPORTABLE: Self = Self(0x0004);
    /// Was generated inside the server (informative).
    pub const LOCAL: Self = Self(0x0008);
    /// In a generation or derivation request: return the key instead of caching it.
    pub const EPHEMERAL: Self = Self(0x0010);
    /// May encrypt.
    pub const USAGE_ENCRYPT: Self = Self(0x0020);
    /// May decrypt.
    pub const USAGE_DECRYPT: Self = Self(0x0040);
    /// May sign or compute a MAC.
    pub const USAGE_SIGN: Self = Self(0x0080);
    /// May verify a signature or a MAC.
    pub const USAGE_VERIFY: Self = Self(0x0100);
    /// May wrap other keys (a key-encryption key).
    pub const USAGE_WRAP: Self = Self(0x0200);
    /// May be the input of a key derivation or key agreement.
    pub const USAGE_DERIVE: Self = Self(0x0400);
    /// May not be erased, or evicted before it is committed; may be replaced.
    pub const NONDESTROYABLE: Self = Self(0x0800);
    /// Provisioned by the server's owner; clients can neither set this flag nor touch such an object.
    pub const TRUSTED: Self = Self(0x1000);
    /// Every usage flag.
    pub const USAGE_ANY: Self = Self(0x07E0);
    /// The flags that only the server's owner may set.
    pub const SERVER_ONLY: Self = Self::TRUSTED;

    /// Whether every flag of `other` is set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is set here.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These flags and those of `other`.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags without those of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The flags that a client's 32-bit flags field asks for: the low half, without what only the server's owner
    /// may set.
    #[allow(clippy::cast_possible_truncation)] // The upper half is dropped on purpose (document 03, §3).
    pub const fn from_client(word: u32) -> Self {
        Self((word & 0xFFFF) as u16).without(Self::SERVER_ONLY)
    }

    /// The names of the assigned flags, lowest bit first.
    pub const NAMES: [(Self, &'static str); 13] = [
        (Self::NONMODIFIABLE, "nonmodifiable"),
        (Self::SENSITIVE, "sensitive"),
        (Self::NONEXPORTABLE, "nonexportable"),
        (Self::LOCAL, "local"),
        (Self::EPHEMERAL, "ephemeral"),
        (Self::USAGE_ENCRYPT, "encrypt"),
        (Self::USAGE_DECRYPT, "decrypt"),
        (Self::USAGE_SIGN, "sign"),
        (Self::USAGE_VERIFY, "verify"),
        (Self::USAGE_WRAP, "wrap"),
        (Self::USAGE_DERIVE, "derive"),
        (Self::NONDESTROYABLE, "nondestroyable"),
        (Self::TRUSTED, "trusted"),
    ];
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitAnd for Flags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Display for Flags {
    /// The names joined by `|`; unassigned bits in hexadecimal; `none` for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut separator = "";
        for (flag, name) in Self::NAMES {
            if rest.contains(flag) {
                write!(f, "{separator}{name}")?;
                separator = "|";
                rest = rest.without(flag);
            }
        }
        match (rest.0, separator) {
            (0, "") => f.write_str("none"),
            (0, _) => Ok(()),
            (bits, _) => write!(f, "{separator}{bits:#06x}"),
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

impl Field for Flags {
    const SIZE: usize = 2;
    fn read(reader: &mut Reader<'_>) -> Self {
        Self(reader.read())
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put(self.0)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Flags;
    use std::string::ToString;

    #[test]
    fn display_names_every_bit() {
        assert_eq!(Flags::NONE.to_string(), "none");
        assert_eq!(Flags(0xE205).to_string(), "nonmodifiable|nonexportable|wrap|0xe000");
        assert_eq!(Flags(0x8000).to_string(), "0x8000");
    }

    #[test]
    fn clients_cannot_set_trusted() {
        assert_eq!(Flags::from_client(0xFFFF_FFFF), Flags(0xEFFF));
    }
}
