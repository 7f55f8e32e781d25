//! Clients cannot reach each other's keys and counters through any message, unless the server is told to be as lax
//! as the original.

mod common;

use casemate_protocol::message::crypto::{CmacKdfRequest, CmacRequest, CmacState, HkdfRequest};
use casemate_protocol::message::{Refusal, refusal};
use casemate_protocol::{Group, KeyId, Kind, Label, Metadata, ObjectId, Status};
use casemate_server::{Config, Isolation};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use common::{ANY, Client};

const OWNER: u32 = 3;
const OTHER: u32 = 4;

const CACHED: &[u8; 16] = b"owner's cached 1";
const COMMITTED: &[u8; 16] = b"owner's stored 2";
const KEK: &[u8; 16] = b"owner's kek....3";

/// Everything of the owner's that someone else could want to reach.
fn set_up(owner: &mut Client<'_>) {
    owner.cache(1, ANY, CACHED).unwrap();
    owner.cache(2, ANY, COMMITTED).unwrap();
    owner.commit(2).unwrap();
    owner.cache(3, ANY, KEK).unwrap();
    owner.commit(3).unwrap();
    owner.evict(3).unwrap();
    owner.counter_init(1, 1000).unwrap();
    // A SHE key in slot 4, as the original's helper for clients places it.
    owner.add(0x2304, 0, &[0x5E; 16]).unwrap();
    owner.add(0x0042, 0, b"plain").unwrap();
}

/// What the owner sees of it.
fn snapshot(owner: &mut Client<'_>) -> impl PartialEq + core::fmt::Debug + use<> {
    let keys: Vec<_> = [1, 2, 3].map(|id| owner.export(id)).into();
    let used: Vec<_> = [1, 2, 3].map(|id| owner.encrypt(id)).into();
    let mut list: Vec<_> = owner.list();
    list.retain(|id| id >> 12 != 0);
    let stored: Vec<_> = list.iter().map(|&id| (id, owner.metadata(id), owner.read(id, 0, 100))).collect();
    (keys, used, stored, owner.counter_read(1))
}

/// Tries everything that `other` can say, except what would make global keys. Returns what it got to know.
fn attack(other: &mut Client<'_>) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    let group =
        [Group::NVM, Group::KEY, Group::CRYPTO, Group::COUNTER, Group::CRYPTO_DMA, Group::SHE, Group::CERT];
    // The owner's things by every spelling of their identifiers.
    let mut names = Vec::new();
    for number in [1, 2, 3, 4] {
        for flags in [
            0x0000, 0x0100, 0x0200, 0x0300, 0x0400, 0x0700, 0x0800, 0x1300, 0x1400, 0x2300, 0x3300, 0x4300,
            0xF800,
        ] {
            names.push(flags | number);
        }
    }
    for &id in &names {
        for stored in [id, 0x1300 | id & 0xFF, 0x2300 | id & 0xFF, 0x3300 | id & 0xFF, 0x4300 | id & 0xFF] {
            seen.extend(other.read(stored, 0, 100).ok());
            seen.extend(other.read(stored, 1, 100).ok());
            seen.extend(other.metadata(stored).ok().map(|found| found.label.0.to_vec()));
            let _ = other.list_from(stored);
            if stored >> 8 & 0xF == 3 && stored >> 12 != 0 {
                assert_eq!(other.add(stored, 0, b"planted by other"), Err(Status::ACCESS), "{stored:#06x}");
                assert_eq!(other.destroy(&[stored]), Err(Status::ACCESS), "{stored:#06x}");
                assert_eq!(other.destroy(&[0x0999, stored]), Err(Status::ACCESS), "{stored:#06x}");
                assert_eq!(other.metadata(stored), Err(Status::ACCESS), "{stored:#06x}");
                assert_eq!(other.read(stored, 0, 4), Err(Status::ACCESS), "{stored:#06x}");
            }
        }
        seen.extend(other.export(id).ok());
        seen.extend(other.export_public(id, 2).ok());
        seen.extend(other.encrypt(id).ok());
        let cmac = CmacRequest {
            mac_length: 16,
            length: 4,
            key_length: 0,
            key: KeyId(id),
            state: CmacState::INITIAL,
        };
        seen.extend(other.compute(7, 0, &cmac, b"data").ok().map(|(_, mac)| mac));
        let hkdf = HkdfRequest {
            flags: 0x10,
            key_in: id.into(),
            key_out: 0,
            hash: 6,
            key_length: 0,
            salt_length: 0,
            info_length: 0,
            length: 16,
            label: Label::EMPTY,
        };
        if id & 0xFF != 0 {
            seen.extend(other.compute(9, 1, &hkdf, &[]).ok().map(|(_, key)| key));
        }
        let kdf = CmacKdfRequest {
            flags: 0x10,
            key_salt: id.into(),
            key_z: id.into(),
            key_out: 0,
            salt_length: 0,
            z_length: 0,
            info_length: 0,
            length: 16,
            label: Label::EMPTY,
        };
        seen.extend(other.compute(9, 2, &kdf, &[]).ok().map(|(_, key)| key));
        seen.extend(other.wrap_export(id, id, 1).ok());
        seen.extend(other.data_wrap(id, b"data").ok());
        let metadata = Metadata { id: ObjectId(0x4305), ..Metadata::default() };
        assert!(other.wrap(id, metadata, b"key").is_err());
        assert!(matches!(other.evict(id), Err(Status::NOT_FOUND | Status::ACCESS)), "evict {id:#06x}");
        assert!(other.commit(id).is_err());
        assert!(other.revoke(id).is_err());
        let _ = other.erase(id);
        seen.extend(other.counter_read(id).ok().map(|value| value.to_le_bytes().to_vec()));
        let _ = other.counter_increment(id);
        let _ = other.counter_destroy(id);
    }
    // Every action with payloads that name the owner's things in any field.
    for group in group {
        for action in 0..=255 {
            // Destroying and adding plain objects is allowed, and adding one's own keys.
            if group == Group::NVM && matches!(action, 4 | 7)
                || group == Group::KEY && matches!(action, 0 | 15)
            {
                continue;
            }
            for id in [0x1301_u16, 0x1302, 0x2304, 0x3301, 0x0002] {
                let payload: Vec<u8> = id.to_le_bytes().repeat(30);
                seen.push(other.raw(group, action, &payload));
            }
        }
    }
    // What was listed, from the beginning and from everywhere.
    for id in other.list() {
        assert!(id >> 12 == 0 || id >> 8 & 0xF == 4, "{id:#06x} was listed");
    }
    seen
}

fn assert_nothing_seen(seen: &[Vec<u8>], owner: &mut Client<'_>) {
    let mut secrets: Vec<Vec<u8>> = vec![CACHED.to_vec(), COMMITTED.to_vec(), KEK.to_vec(), vec![0x5E; 16]];
    secrets.extend([1, 2, 3].map(|id| owner.encrypt(id).unwrap()));
    secrets.push(1000_u32.to_le_bytes().to_vec());
    for answer in seen {
        for secret in &secrets {
            assert!(!answer.windows(secret.len()).any(|window| window == secret), "leaked: {answer:02x?}");
        }
    }
}

#[test]
fn another_client_learns_and_changes_nothing() {
    let server = VirtualServer::default();
    let mut owner = Client::new(&server, OWNER);
    let mut other = Client::new(&server, OTHER);
    set_up(&mut owner);
    let before = snapshot(&mut owner);
    let seen = attack(&mut other);
    assert_eq!(snapshot(&mut owner), before);
    assert_nothing_seen(&seen, &mut owner);
    // A new connection of the owner's finds what was stored.
    drop(owner);
    let mut owner = Client::new(&server, OWNER);
    assert_eq!(owner.export(1), Err(Status::NOT_FOUND));
    assert_eq!(owner.export(2).unwrap(), COMMITTED);
    assert_eq!(owner.counter_read(1), Ok(1000));
}

#[test]
fn without_init_there_is_nothing_but_connection_messages() {
    let server = VirtualServer::default();
    let mut owner = Client::new(&server, OWNER);
    set_up(&mut owner);
    owner.cache(0x0105, ANY, b"a global key....").unwrap();
    let before = snapshot(&mut owner);
    let mut silent = Client::silent(&server);
    for group in 2..=255 {
        for action in 0..=255 {
            for payload in [vec![], vec![1; 6], vec![2; 60], 0x0105_u16.to_le_bytes().repeat(40)] {
                let answer = silent.raw(Group(group), action, &payload);
                let kind = Kind::new(Group(group), action);
                let expected = match refusal(kind) {
                    _ if group == 13 => (-2302_i32).to_le_bytes().to_vec(),
                    None => vec![],
                    Some(Refusal { size, status_offset, echoes_algorithm }) => {
                        let mut expected = vec![0; size];
                        expected[status_offset..][..4].copy_from_slice(&(-2101_i32).to_le_bytes());
                        if echoes_algorithm && payload.len() >= 4 {
                            expected[..4].copy_from_slice(&payload[..4]);
                        }
                        expected
                    }
                };
                assert_eq!(answer, expected, "{kind:?}");
            }
        }
    }
    assert_eq!(silent.raw(Group::COMM, 5, b"echo"), b"echo");
    assert_eq!(silent.raw(Group::COMM, 4, &[]).len(), 72);
    assert_eq!(snapshot(&mut owner), before);
    // INIT still works.
    assert_eq!(silent.init(OTHER), Some(OTHER));
    assert!(silent.export(0x0105).is_ok());
}

#[test]
fn a_session_keeps_its_identifier() {
    let server = VirtualServer::default();
    let mut owner = Client::new(&server, OWNER);
    set_up(&mut owner);
    let before = snapshot(&mut owner);
    let mut other = Client::new(&server, OTHER);
    other.cache(9, ANY, b"other's key").unwrap();
    assert_eq!(other.init(OWNER), None);
    assert_eq!(other.init(16), None);
    assert_eq!(other.init(0), None);
    let seen = attack(&mut other);
    assert_eq!(snapshot(&mut owner), before);
    assert_nothing_seen(&seen, &mut owner);
    assert_eq!(other.export(9).unwrap(), b"other's key");
    // Saying the same again is no change, as clients that reconnect their context do it.
    assert_eq!(other.init(OTHER), Some(OTHER));
    assert_eq!(other.export(9).unwrap(), b"other's key");
}

#[test]
fn two_connections_of_one_client_share_what_is_stored_only() {
    let server = VirtualServer::default();
    let mut first = Client::new(&server, OWNER);
    set_up(&mut first);
    let mut second = Client::new(&server, OWNER);
    assert_eq!(second.export(1), Err(Status::NOT_FOUND));
    assert_eq!(second.export(2).unwrap(), COMMITTED);
    assert_eq!(second.counter_increment(1), Ok(1001));
    assert_eq!(first.counter_read(1), Ok(1001));
}

#[test]
fn same_number_in_two_clients_is_two_things() {
    let server = VirtualServer::default();
    let mut owner = Client::new(&server, OWNER);
    let mut other = Client::new(&server, OTHER);
    set_up(&mut owner);
    other.cache(1, ANY, b"other's own").unwrap();
    other.cache(2, ANY, b"other's too").unwrap();
    other.commit(2).unwrap();
    other.counter_init(1, 7).unwrap();
    let before = snapshot(&mut owner);
    other.erase(1).unwrap();
    other.erase(2).unwrap();
    other.counter_destroy(1).unwrap();
    assert_eq!(snapshot(&mut owner), before);
    // Automatic identifiers are counted per client, global ones for all.
    assert_eq!(owner.cache(0, ANY, b"a"), Ok(0xFF));
    assert_eq!(other.cache(0, ANY, b"b"), Ok(0xFF));
    assert_eq!(owner.cache(0x0100, ANY, b"c"), Ok(0x01FF));
    assert_eq!(other.cache(0x0100, ANY, b"d"), Ok(0x01FE));
    assert_eq!(owner.export(0x01FE).unwrap(), b"d");
    other.erase(0x01FF).unwrap();
    assert_eq!(owner.export(0x01FF), Err(Status::NOT_FOUND));
}

/// Two clients that hold the same key-encryption key still cannot open each other's blobs.
#[test]
fn wrapped_keys_open_for_their_owner_only() {
    let server = VirtualServer::default();
    let mut owner = Client::new(&server, OWNER);
    let mut other = Client::new(&server, OTHER);
    // A trusted key-encryption key for all, provisioned by the server's owner.
    provision_kek(&server, 0x1020);
    let kek = 0x0120;
    owner.cache(7, ANY, b"wrapped secret..").unwrap();
    let blob = owner.wrap_export(kek, 7, 1).unwrap();
    assert_eq!(other.unwrap_export(kek, &blob), Err(Status::ACCESS));
    assert_eq!(other.unwrap_cache(kek, &blob), Err(Status::ACCESS));
    assert_eq!(owner.unwrap_export(kek, &blob).unwrap().1, b"wrapped secret..");
    assert_eq!(owner.unwrap_cache(kek, &blob), Ok(0x0207));
    assert_eq!(other.export(0x0207), Err(Status::NOT_FOUND));
    // Nor can one be made for another owner.
    let foreign = Metadata { id: ObjectId(0x4308), length: 3, ..Metadata::default() };
    assert_eq!(other.wrap(kek, foreign, b"key"), Err(Status::ACCESS));
    let own = Metadata { id: ObjectId(0x4408), length: 3, ..Metadata::default() };
    let blob = other.wrap(kek, own, b"key").unwrap();
    assert_eq!(owner.unwrap_cache(kek, &blob), Err(Status::ACCESS));
    assert_eq!(other.unwrap_cache(kek, &blob), Ok(0x0208));
    // A global one opens for both.
    let global = Metadata { id: ObjectId(0x4009), length: 3, ..Metadata::default() };
    let blob = other.wrap(kek, global, b"key").unwrap();
    assert_eq!(owner.unwrap_cache(kek, &blob), Ok(0x0309));
    assert_eq!(other.export(0x0309).unwrap(), b"key");
}

fn provision_kek(server: &VirtualServer, id: u16) {
    use casemate_nvm::ObjectStore;
    let metadata = Metadata {
        id: ObjectId(id),
        access: 0xFFFF,
        flags: casemate_protocol::Flags(0x1205),
        length: 16,
        label: "kek".into(),
    };
    server.store(|store| store.add(&metadata, b"trusted kek.....")).unwrap();
}

fn original() -> VirtualServer {
    VirtualServer::new(VirtualOptions {
        config: Config { isolation: Isolation::Original, ..Config::default() },
        ..VirtualOptions::default()
    })
}

/// What document 01, §8 and §9, and document 03, §10 say of the original.
#[test]
fn the_original_laxity_can_be_had() {
    let server = original();
    let mut owner = Client::new(&server, OWNER);
    let mut other = Client::new(&server, OTHER);
    set_up(&mut owner);
    // Raw identifiers reach everything.
    assert!(other.list().starts_with(&[0x1302, 0x1303, 0x3301, 0x2304, 0x0042]));
    assert_eq!(other.read(0x1302, 0, 100).unwrap(), COMMITTED);
    assert_eq!(other.metadata(0x3301).unwrap().label.0[..4], 1000_u32.to_le_bytes());
    other.add(0x1340, 0, b"planted").unwrap();
    assert_eq!(owner.export(0x40).unwrap(), b"planted");
    other.destroy(&[0x1303]).unwrap();
    assert_eq!(owner.export(3), Err(Status::NOT_FOUND));
    // Before INIT a client is client 0, whose keys are the global ones.
    let mut silent = Client::silent(&server);
    assert_eq!(silent.cache(5, ANY, b"global"), Ok(0x0105));
    assert_eq!(owner.export(0x0105).unwrap(), b"global");
    silent.counter_init(5, 1).unwrap();
    assert_eq!(silent.metadata(0x3005).map(|found| found.id), Ok(ObjectId(0x3005)));
    // The identifier may change; what was cached is there again with the old one.
    other.cache(8, ANY, b"as client 4").unwrap();
    assert_eq!(other.init(OWNER), Some(OWNER));
    assert_eq!(other.export(2).unwrap(), COMMITTED);
    assert_eq!(other.export(8), Err(Status::NOT_FOUND));
    assert_eq!(other.init(OTHER), Some(OTHER));
    assert_eq!(other.export(8).unwrap(), b"as client 4");
    // A blob may be made for any owner.
    owner.cache(0x0130, ANY, b"key encryption k").unwrap();
    let foreign = Metadata { id: ObjectId(0x4308), length: 3, ..Metadata::default() };
    let blob = other.wrap(0x0130, foreign, b"key").unwrap();
    assert_eq!(owner.unwrap_export(0x0130, &blob).unwrap().1, b"key");
    assert_eq!(other.unwrap_export(0x0130, &blob), Err(Status::ACCESS));
}

/// The exceptions that real C clients need: the SHE pre-program helper, and a test that adds and destroys a key of its
/// own as an object (document 01, §15, row 7).
#[test]
fn clients_reach_their_own_keys_as_objects() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, OWNER);
    client.add(0x2302, 0, &[1; 16]).unwrap();
    client.add(0x130C, 0x1200, &[2; 16]).unwrap();
    assert_eq!(client.metadata(0x130C).unwrap().flags.0, 0x0200);
    assert_eq!(client.export(0x0C).unwrap(), [2; 16]);
    client.destroy(&[0x130C, 0x2302]).unwrap();
    assert_eq!(client.export(0x0C), Err(Status::NOT_FOUND));
    for id in [0xFE00, 0xFE05, 0x1005] {
        assert_eq!(client.add(id, 0, b"x"), Err(Status::ACCESS));
    }
}
