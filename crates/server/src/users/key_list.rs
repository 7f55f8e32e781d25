//! Which keys a user may use: [`KeyList`].

use casemate_protocol::message::authentication::Permissions;
use casemate_protocol::{ClientId, IdFeatures, KeyId, ObjectId, ObjectType};

/// The keys that a user's permissions list.
///
/// An entry of at most 12 bits is a key as clients name it (number 1 to 255, plus 0x100 for a global, 0x200 for a
/// wrapped and 0x400 for a hardware key), of whatever client the session has said to be. An entry with type bits
/// (0x1000 to 0xFFFF) is a key as the server names it (type, owner, number): so a SHE slot can be listed too. No key
/// matches any other entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyList {
    keys: [u32; Permissions::MAX_KEYS],
    count: usize,
}

impl KeyList {
    /// No list: every key.
    pub(crate) const ANY: Self = Self { keys: [0; Permissions::MAX_KEYS], count: 0 };

    pub(super) fn of(permissions: &Permissions) -> Self {
        let (keys, count) = permissions.key_list();
        Self { keys, count }
    }

    /// Whether a session of `client` may use the key `id`. Objects that are no keys are not what lists are about.
    pub(crate) fn permits(&self, id: ObjectId, client: ClientId, features: IdFeatures) -> bool {
        let is_key = matches!(
            id.object_type(),
            ObjectType::CRYPTO | ObjectType::SHE | ObjectType::WRAPPED | ObjectType::HARDWARE
        );
        let listed = |entry: u32| match u16::try_from(entry) {
            Ok(entry @ 0x1000..) => ObjectId(entry) == id,
            Ok(entry @ 0..0x0800) => {
                KeyId(entry).is_some() && KeyId(entry).to_object(ObjectType::CRYPTO, client, features) == id
            }
            _ => false,
        };
        !is_key || self.count == 0 || self.keys.iter().take(self.count).any(|&entry| listed(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_lists_name_keys_as_clients_or_as_the_server_does() {
        let client = ClientId::new(3).unwrap();
        let permits = |entries: &[u32], id| {
            let mut permissions = Permissions::NONE;
            assert!(permissions.set_keys(entries));
            KeyList::of(&permissions).permits(ObjectId(id), client, IdFeatures::ALL)
        };
        for (entry, id) in [
            (0x0005, 0x1305),
            (0x0105, 0x1005),
            (0x0205, 0x4305),
            (0x0405, 0x5305),
            (0x1305, 0x1305),
            (0x1405, 0x1405),
            (0x2304, 0x2304),
            (0x2300, 0x2300),
        ] {
            assert!(permits(&[entry], id), "{entry:#x}");
            assert!(permits(&[0x1FFF, entry], id), "{entry:#x}");
            assert!(!permits(&[entry], id ^ 1), "{entry:#x}");
            assert!(!permits(&[entry], id ^ 0x0100), "{entry:#x}");
        }
        assert!(permits(&[], 0x1305));
        for id in [0x1300, 0x1305, 0x2305] {
            for entry in [0, 0x0100, 0x0805, 0x1_1305, 0xFFFF_FFFF] {
                assert!(!permits(&[entry], id), "{entry:#x}");
            }
        }
        // Objects and counters are no keys.
        assert!(permits(&[0x1305], 0x0042) && permits(&[0x1305], 0x3301));
    }
}
