//! Client identifiers, key identifiers as clients write them, object identifiers as servers store them, and the
//! translation between the two (document 01, §9; document 03, §1).

use crate::codec::{Field, Overflow, Reader, Writer};
use core::fmt;

/// Which client a session belongs to: 1..=15 after INIT, 0 before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct ClientId(u8);

impl ClientId {
    /// The client of a session that has not said INIT; as an owner it means "global".
    pub const NONE: Self = Self(0);
    /// The largest client identifier.
    pub const MAX: u8 = 15;

    /// A client's identifier, if `value` is in 1..=15.
    pub const fn new(value: u32) -> Option<Self> {
        match value {
            #[allow(clippy::cast_possible_truncation)] // At most 15.
            1..=15 => Some(Self(value as u8)),
            _ => None,
        }
    }

    /// The number, 0..=15.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which optional kinds of keys a server offers. A flag in a [`KeyId`] whose kind is off is silently ignored, as
/// the protocol demands. Aligned like a word, so that small cores pass it as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(4))]
pub struct IdFeatures {
    /// Keys shared by all clients ([`KeyId::GLOBAL`]).
    pub global_keys: bool,
    /// Keys that entered the cache wrapped ([`KeyId::WRAPPED`]).
    pub wrapped_keys: bool,
    /// Keys of a hardware key store ([`KeyId::HARDWARE`]).
    pub hardware_keys: bool,
}

impl IdFeatures {
    /// Everything on.
    pub const ALL: Self = Self { global_keys: true, wrapped_keys: true, hardware_keys: true };
}

/// A key identifier as it stands in a message: the low byte names the key (0 = none, or "choose one"), three flag
/// bits say in which space, all other bits are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct KeyId(pub u16);

impl KeyId {
    /// No key; where a key is created, "choose an identifier".
    pub const NONE: Self = Self(0);
    /// The key belongs to all clients.
    pub const GLOBAL: u16 = 0x0100;
    /// The key entered the cache wrapped and lives there only.
    pub const WRAPPED: u16 = 0x0200;
    /// The key lives in a hardware key store.
    pub const HARDWARE: u16 = 0x0400;

    /// The key identifier in a 32-bit field; the upper half is ignored (document 04, §3.3).
    #[allow(clippy::cast_possible_truncation)]
    pub const fn from_u32(word: u32) -> Self {
        Self((word & 0xFFFF) as u16)
    }

    /// The low byte, which names the key.
    pub const fn number(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// Whether a key is named at all: flags alone name none.
    pub const fn is_some(self) -> bool {
        self.number() != 0
    }

    /// The identifier under which the server stores this key. `object_type` is the type that the message implies;
    /// flags may override it.
    pub const fn to_object(
        self,
        object_type: ObjectType,
        client: ClientId,
        features: IdFeatures,
    ) -> ObjectId {
        let object_type = if features.hardware_keys && self.0 & Self::HARDWARE != 0 {
            ObjectType::HARDWARE
        } else if features.wrapped_keys && self.0 & Self::WRAPPED != 0 {
            ObjectType::WRAPPED
        } else {
            object_type
        };
        let user = if features.global_keys && self.0 & Self::GLOBAL != 0 { ClientId::NONE } else { client };
        ObjectId::new(object_type, user, self.number())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({:#06x})", self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// The type nibble of an [`ObjectId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectType(pub u8);

impl ObjectType {
    /// A plain object, with no owner.
    pub const OBJECT: Self = Self(0);
    /// A key.
    pub const CRYPTO: Self = Self(1);
    /// An AUTOSAR SHE key.
    pub const SHE: Self = Self(2);
    /// A monotonic counter.
    pub const COUNTER: Self = Self(3);
    /// A key that entered the cache wrapped; never stored.
    pub const WRAPPED: Self = Self(4);
    /// A key of a hardware key store; never stored.
    pub const HARDWARE: Self = Self(5);
}

/// An object identifier as the server stores it: type (bits 15..12), owner (11..8), number (7..0).
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u16);

impl ObjectId {
    /// The identifier that names no object.
    pub const INVALID: Self = Self(0);

    /// Composes an identifier. Only the low four bits of the type are used.
    pub const fn new(object_type: ObjectType, owner: ClientId, number: u8) -> Self {
        Self(u16::from_be_bytes([(object_type.0 << 4) | owner.0, number]))
    }

    /// The type nibble.
    pub const fn object_type(self) -> ObjectType {
        ObjectType(self.0.to_be_bytes()[0] >> 4)
    }

    /// The client that owns the object; [`ClientId::NONE`] for a global one.
    pub const fn owner(self) -> ClientId {
        ClientId(self.0.to_be_bytes()[0] & 0x0F)
    }

    /// The low byte.
    pub const fn number(self) -> u8 {
        self.0.to_be_bytes()[1]
    }

    /// The same identifier with another type.
    pub const fn with_type(self, object_type: ObjectType) -> Self {
        Self::new(object_type, self.owner(), self.number())
    }

    /// The same identifier with another number.
    pub const fn with_number(self, number: u8) -> Self {
        Self::new(self.object_type(), self.owner(), number)
    }

    /// Whether the identifier is among those reserved for the user database (document 07, C.6): no message reaches
    /// such an object.
    pub const fn is_user_database(self) -> bool {
        self.0 >> 8 == 0xFE
    }

    /// Whether the type says that the identifier is a client's: a key, a counter or a SHE slot, not a plain object.
    pub const fn has_owner(self) -> bool {
        matches!(
            self.object_type(),
            ObjectType::CRYPTO
                | ObjectType::SHE
                | ObjectType::COUNTER
                | ObjectType::WRAPPED
                | ObjectType::HARDWARE
        )
    }

    /// Whether no key is named: number 0, except for SHE, where slot 0 is a key.
    pub const fn is_unassigned(self) -> bool {
        self.number() == 0 && self.object_type().0 != ObjectType::SHE.0
    }

    /// How clients name this key.
    #[inline(never)]
    pub const fn to_key(self, features: IdFeatures) -> KeyId {
        let mut key = u16::from_be_bytes([0, self.number()]);
        if features.global_keys && self.owner().0 == 0 {
            key |= KeyId::GLOBAL;
        }
        if features.wrapped_keys && self.object_type().0 == ObjectType::WRAPPED.0 {
            key |= KeyId::WRAPPED;
        }
        if features.hardware_keys && self.object_type().0 == ObjectType::HARDWARE.0 {
            key |= KeyId::HARDWARE;
        }
        KeyId(key)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({:#06x})", self.0)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

macro_rules! u16_field {
    ($($type:ident),*) => {$(
        impl Field for $type {
            const SIZE: usize = 2;
            fn read(reader: &mut Reader<'_>) -> Self {
                Self(reader.read())
            }
            fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
                writer.put(self.0)
            }
        }
    )*};
}
u16_field!(KeyId, ObjectId);

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of document 01, §9 (client 3, all features on).
    #[test]
    fn translation_matches_the_reference() {
        let client = ClientId::new(3).unwrap();
        for (from, stored, back) in [
            (0x0005, 0x1305, 0x0005),
            (0x0105, 0x1005, 0x0105),
            (0x0205, 0x4305, 0x0205),
            (0x0305, 0x4005, 0x0305),
            (0x0405, 0x5305, 0x0405),
            (0x0705, 0x5005, 0x0505),
            (0x1C05, 0x5305, 0x0405),
        ] {
            let object = KeyId(from).to_object(ObjectType::CRYPTO, client, IdFeatures::ALL);
            assert_eq!(object, ObjectId(stored));
            assert_eq!(object.to_key(IdFeatures::ALL), KeyId(back));
        }
    }

    #[test]
    fn flags_of_absent_features_are_ignored() {
        let none = IdFeatures { global_keys: false, wrapped_keys: false, hardware_keys: false };
        let client = ClientId::new(3).unwrap();
        assert_eq!(KeyId(0x0708).to_object(ObjectType::CRYPTO, client, none), ObjectId(0x1308));
        assert_eq!(ObjectId(0x4008).to_key(none), KeyId(0x0008));
    }

    #[test]
    fn unassigned_means_number_zero_except_for_she() {
        assert!(ObjectId(0x1300).is_unassigned());
        assert!(!ObjectId(0x2300).is_unassigned());
        assert!(!ObjectId(0x1301).is_unassigned());
    }

    #[test]
    fn client_ids_are_1_to_15() {
        assert_eq!(ClientId::new(0), None);
        assert_eq!(ClientId::new(16), None);
        assert_eq!(ClientId::new(0x10C), None);
        assert_eq!(ClientId::new(15).map(ClientId::get), Some(15));
    }
}
