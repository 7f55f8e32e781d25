//! The messages that requests are counted by.

use casemate_protocol::message::{
    authentication::action as auth, certificate::action as cert, comm::action as comm,
    counter::action as counter, crypto::action as crypto, key::action as key, nvm::action as nvm,
    she::action as she,
};
use casemate_protocol::{Group, Kind};

/// A group of messages, as labels show it, and its actions.
type Named = (Group, &'static str, &'static [(u8, &'static str)]);

const CRYPTO: &[(u8, &str)] = &[
    (crypto::HASH, "hash"),
    (crypto::CIPHER, "cipher"),
    (crypto::PUBLIC_KEY, "public_key"),
    (crypto::RANDOM, "random"),
    (crypto::CMAC, "cmac"),
    (crypto::KDF, "kdf"),
];

/// Every message that has a name. Callbacks are counted together: their numbers mean something to their port only.
const NAMED: &[Named] = &[
    (
        Group::COMM,
        "comm",
        &[
            (comm::INIT, "init"),
            (comm::KEEPALIVE, "keepalive"),
            (comm::CLOSE, "close"),
            (comm::INFO, "info"),
            (comm::ECHO, "echo"),
        ],
    ),
    (
        Group::NVM,
        "nvm",
        &[
            (nvm::INIT, "init"),
            (nvm::CLEANUP, "cleanup"),
            (nvm::AVAILABLE, "available"),
            (nvm::ADD, "add"),
            (nvm::LIST, "list"),
            (nvm::METADATA, "metadata"),
            (nvm::DESTROY, "destroy"),
            (nvm::READ, "read"),
            (nvm::ADD_DMA, "add_dma"),
            (nvm::READ_DMA, "read_dma"),
        ],
    ),
    (
        Group::KEY,
        "key",
        &[
            (key::CACHE, "cache"),
            (key::EVICT, "evict"),
            (key::EXPORT, "export"),
            (key::COMMIT, "commit"),
            (key::ERASE, "erase"),
            (key::REVOKE, "revoke"),
            (key::CACHE_DMA, "cache_dma"),
            (key::EXPORT_DMA, "export_dma"),
            (key::WRAP, "wrap"),
            (key::UNWRAP_EXPORT, "unwrap_export"),
            (key::UNWRAP_CACHE, "unwrap_cache"),
            (key::DATA_WRAP, "data_wrap"),
            (key::DATA_UNWRAP, "data_unwrap"),
            (key::EXPORT_PUBLIC, "export_public"),
            (key::EXPORT_PUBLIC_DMA, "export_public_dma"),
            (key::CACHE_RANDOM, "cache_random"),
            (key::WRAP_EXPORT, "wrap_export"),
        ],
    ),
    (Group::CRYPTO, "crypto", CRYPTO),
    (
        Group::SHE,
        "she",
        &[
            (she::SET_UID, "set_uid"),
            (she::SECURE_BOOT_INIT, "secure_boot_init"),
            (she::SECURE_BOOT_UPDATE, "secure_boot_update"),
            (she::SECURE_BOOT_FINISH, "secure_boot_finish"),
            (she::GET_STATUS, "get_status"),
            (she::LOAD_KEY, "load_key"),
            (she::LOAD_PLAIN_KEY, "load_plain_key"),
            (she::EXPORT_RAM_KEY, "export_ram_key"),
            (she::INIT_RANDOM, "init_random"),
            (she::RANDOM, "random"),
            (she::EXTEND_SEED, "extend_seed"),
            (she::ENCRYPT_ECB, "encrypt_ecb"),
            (she::ENCRYPT_CBC, "encrypt_cbc"),
            (she::DECRYPT_ECB, "decrypt_ecb"),
            (she::DECRYPT_CBC, "decrypt_cbc"),
            (she::GENERATE_MAC, "generate_mac"),
            (she::VERIFY_MAC, "verify_mac"),
        ],
    ),
    (
        Group::COUNTER,
        "counter",
        &[
            (counter::INIT, "init"),
            (counter::INCREMENT, "increment"),
            (counter::READ, "read"),
            (counter::DESTROY, "destroy"),
        ],
    ),
    (Group::CUSTOM, "custom", &[(0, "callback")]),
    (Group::CRYPTO_DMA, "crypto_dma", CRYPTO),
    (
        Group::CERT,
        "cert",
        &[
            (cert::INIT, "init"),
            (cert::ADD_TRUSTED, "add_trusted"),
            (cert::ERASE_TRUSTED, "erase_trusted"),
            (cert::READ_TRUSTED, "read_trusted"),
            (cert::VERIFY, "verify"),
            (cert::VERIFY_MULTI_ROOT, "verify_multi_root"),
            (cert::VERIFY_CACHE_CLEAR, "verify_cache_clear"),
            (cert::VERIFY_CACHE_SET_ENABLED, "verify_cache_set_enabled"),
            (cert::ADD_TRUSTED_DMA, "add_trusted_dma"),
            (cert::READ_TRUSTED_DMA, "read_trusted_dma"),
            (cert::VERIFY_DMA, "verify_dma"),
            (cert::VERIFY_ATTRIBUTE, "verify_attribute"),
            (cert::VERIFY_ATTRIBUTE_DMA, "verify_attribute_dma"),
            (cert::VERIFY_MULTI_ROOT_DMA, "verify_multi_root_dma"),
        ],
    ),
    (
        Group::AUTH,
        "auth",
        &[
            (auth::LOGIN, "login"),
            (auth::LOGOUT, "logout"),
            (auth::USER_ADD, "user_add"),
            (auth::USER_DELETE, "user_delete"),
            (auth::USER_GET, "user_get"),
            (auth::USER_SET_PERMISSIONS, "user_set_permissions"),
            (auth::USER_SET_CREDENTIALS, "user_set_credentials"),
        ],
    ),
];

/// How many groups are told apart; the last one is for what no group has.
pub(super) const GROUPS: usize = NAMED.len() + 1;

/// How many messages are told apart; the last one is for all that have no name.
pub(super) const KINDS: usize = {
    let (mut count, mut group) = (1, 0);
    while group < NAMED.len() {
        count += NAMED[group].2.len();
        group += 1;
    }
    count
};

/// Where a message is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: usize,
    pub(super) group: usize,
}

/// All messages that have no name, of no group.
pub(super) const UNKNOWN: Place = Place { kind: KINDS - 1, group: GROUPS - 1 };

const ACTIONS: usize = 64;

/// For each group's byte and each action the place, so that finding it takes no search.
const PLACES: [[Place; ACTIONS]; 16] = {
    let mut places = [[UNKNOWN; ACTIONS]; 16];
    let (mut group, mut kind) = (0, 0);
    while group < NAMED.len() {
        let (number, _, actions) = NAMED[group];
        let mut action = 0;
        while action < actions.len() {
            places[number.0 as usize][actions[action].0 as usize] = Place { kind, group };
            kind += 1;
            action += 1;
        }
        group += 1;
    }
    places
};

/// Where a message is counted.
pub(super) fn place(kind: Kind) -> Place {
    let action = if kind.group == Group::CUSTOM { 0 } else { kind.action };
    let places = PLACES.get(usize::from(kind.group.0));
    places.and_then(|places| places.get(usize::from(action))).copied().unwrap_or(UNKNOWN)
}

/// The names of groups, in the order of [`Place::group`].
pub(super) fn groups() -> impl Iterator<Item = &'static str> {
    NAMED.iter().map(|(_, name, _)| *name).chain(["unknown"])
}

/// The names of messages, group and action, in the order of [`Place::kind`].
pub(super) fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    let named = |(_, group, actions): &Named| {
        let group = *group;
        actions.iter().map(move |(_, action)| (group, *action))
    };
    NAMED.iter().flat_map(named).chain([("unknown", "unknown")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::message::refusal;

    #[test]
    fn every_message_has_its_place() {
        let names: Vec<_> = kinds().collect();
        assert_eq!((names.len(), groups().count()), (KINDS, GROUPS));
        assert_eq!(names[place(Kind::new(Group::KEY, 16)).kind], ("key", "wrap_export"));
        assert_eq!(names[place(Kind::new(Group::CERT, 0x28)).kind], ("cert", "verify_multi_root_dma"));
        for number in [0, 1, 254] {
            assert_eq!(names[place(Kind::new(Group::CUSTOM, number)).kind], ("custom", "callback"));
        }
        for (group, action) in [(0, 0), (0x05, 1), (0x0F, 0), (0x10, 0), (0xFF, 0xFF), (0x02, 0xFF)] {
            assert_eq!(place(Kind::new(Group(group), action)), UNKNOWN);
        }
        // What has a form of refusal of its own is a message.
        for group in [Group::NVM, Group::KEY, Group::COUNTER, Group::CERT, Group::SHE] {
            for action in 0..=0xFF {
                let kind = Kind::new(group, action);
                assert_eq!(refusal(kind).is_some(), place(kind) != UNKNOWN, "{kind:?}");
            }
        }
    }
}
