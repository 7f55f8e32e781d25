//! The key store as a client sees it: policies (document 03, §4, §6, §8), cache slots (§2), identifiers (§1), usage
//! (§11), key-encryption keys and wrapped keys (§7, §9), each with its order of checks.

mod common;

use casemate_nvm::ObjectStore;
use casemate_protocol::message::crypto::{
    CbcRequest, CmacKdfRequest, CmacRequest, CmacState, CtrRequest, GcmRequest, HkdfRequest,
};
use casemate_protocol::{ByteOrder, Flags, Group, KeyId, Label, Metadata, ObjectId, Status};
use casemate_server::{CacheShape, Config};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use common::{ANY, Client, bytes};

const CLIENT: u32 = 3;
const NONMODIFIABLE: u32 = 0x0001;
const NONEXPORTABLE: u32 = 0x0004;
const NONDESTROYABLE: u32 = 0x0800;
const TRUSTED: u16 = 0x1000;
const USAGE: u32 = ANY;

/// Stores a key as the server's owner can, with any flags.
fn provision(server: &VirtualServer, id: u16, flags: u16, key: &[u8]) {
    let length = key.len().try_into().unwrap();
    let metadata =
        Metadata { id: ObjectId(id), access: 0xFFFF, flags: Flags(flags), length, label: "given".into() };
    server.store(|store| store.add(&metadata, key)).unwrap();
}

fn stored(server: &VirtualServer, id: u16) -> Option<Metadata> {
    server.store(|store| store.metadata(ObjectId(id))).ok()
}

#[test]
fn cache_in_both_byte_orders() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    let answer = client.raw(
        Group::KEY,
        0,
        &bytes("E007FFFF 04000000 03000000 0500 EEEE 6162636465 00*19 01020304 99"),
    );
    assert_eq!(answer, bytes("00000000 0500 00*6"));
    client.order = ByteOrder::Big;
    let answer = client.raw(Group::KEY, 2, &bytes("0005 EE*6"));
    assert_eq!(answer, bytes("00000000 00000004 616263 00*21 00*4 01020304"));
    let answer = client.raw(Group::KEY, 15, &bytes("000007E0 FFFFFFFF 0010 0006 EE*4 6162636465 00*19"));
    assert_eq!(answer, bytes("00000000 0006 00*6"));
    let answer = client.raw(Group::KEY, 2, &bytes("0006 EE*6"));
    assert_eq!(answer[..36], bytes("00000000 00000010 6162636465 00*19 00*4"));
    assert_eq!(answer.len(), 52);
    // COMMIT stores the metadata as they were cached.
    assert_eq!(client.raw(Group::KEY, 3, &bytes("0005 00*6")), bytes("00*12"));
    let metadata = stored(&server, 0x1305).unwrap();
    assert_eq!((metadata.access, metadata.flags, metadata.length), (0xFFFF, Flags(0x07E0), 4));
    assert_eq!(metadata.label, Label::from("abc"));
}

/// Drivers that keep forms of keys hear of every end of a key and of a session.
#[test]
fn the_platform_is_told_when_a_key_ends() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    for id in 5..8 {
        client.cache(id, USAGE, &[7; 16]).unwrap();
        client.commit(id).unwrap();
    }
    client.encrypt(5).unwrap();
    assert_eq!(server.take_forgotten(), 0);
    client.evict(5).unwrap();
    assert_eq!(server.take_forgotten(), 1);
    client.erase(6).unwrap();
    assert_eq!(server.take_forgotten(), 1);
    client.revoke(7).unwrap();
    assert_eq!(server.take_forgotten(), 1);
    client.raw(Group::COMM, 3, &[]);
    assert_eq!(server.take_forgotten(), 1);
    server.server().end(server.session());
    assert_eq!(server.take_forgotten(), 1);
}

/// Two connections of one client have a cache each: a stored key that ends or changes on one does so on the other.
#[test]
fn changes_of_stored_keys_reach_the_other_sessions() {
    let server = VirtualServer::default();
    let mut first = Client::new(&server, CLIENT);
    let mut second = Client::new(&server, CLIENT);
    for id in 5..9 {
        first.cache(id, USAGE, &[7; 16]).unwrap();
        first.commit(id).unwrap();
    }
    // A key that only the other session has stays with it.
    second.cache(20, USAGE, &[9; 16]).unwrap();
    let before = (5..9).map(|id| second.encrypt(id).unwrap()).collect::<Vec<_>>();
    first.erase(5).unwrap();
    first.revoke(6).unwrap();
    first.cache(7, USAGE, &[8; 16]).unwrap();
    first.commit(7).unwrap();
    assert_eq!(second.encrypt(5), Err(Status::NOT_FOUND));
    assert_eq!(second.encrypt(6), Err(Status::USAGE));
    assert_ne!(second.encrypt(7).unwrap(), before[2]);
    assert_eq!(second.encrypt(8).unwrap(), before[3]);
    second.encrypt(20).unwrap();
    // And the way back, with the object messages.
    first.encrypt(8).unwrap();
    second.destroy(&[0x1308]).unwrap();
    assert_eq!(first.encrypt(8), Err(Status::NOT_FOUND));
    // The owner's changes are told.
    first.cache(9, USAGE, &[7; 16]).unwrap();
    first.commit(9).unwrap();
    second.encrypt(9).unwrap();
    server.store(|store| store.destroy(&[ObjectId(0x1309)])).unwrap();
    server.server().drop_key_copies().unwrap();
    assert_eq!(first.encrypt(9), Err(Status::NOT_FOUND));
    assert_eq!(second.encrypt(9), Err(Status::NOT_FOUND));
}

/// A body shorter than the fixed part: BADARGS in an answer of the usual size, zeros otherwise.
#[test]
fn short_bodies() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    for (action, request, response) in [
        (0, 40, 12),
        (1, 8, 12),
        (2, 8, 36),
        (3, 8, 12),
        (4, 8, 12),
        (5, 8, 8),
        (8, 6, 8),
        (9, 8, 40),
        (10, 8, 8),
        (11, 8, 12),
        (12, 8, 12),
        (13, 8, 36),
        (15, 40, 12),
        (16, 8, 8),
    ] {
        for length in [0, 1, request - 1] {
            let mut expected = vec![0; response];
            expected[..4].copy_from_slice(&Status::BAD_ARGUMENTS.0.to_le_bytes());
            assert_eq!(client.raw(Group::KEY, action, &vec![5; length]), expected, "action {action}");
        }
    }
}

#[test]
fn cache_checks_in_their_order() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    // More key bytes declared than sent.
    let answer = client.raw(Group::KEY, 0, &bytes("E0070000 05000000 00000000 0500 0000 00*24 01020304"));
    assert_eq!(answer, bytes("30F8FFFF 00*8"));
    let huge = client.raw(Group::KEY, 0, &bytes("E0070000 FFFFFFFF 00000000 0500 0000 00*24 01020304"));
    assert_eq!(huge, bytes("30F8FFFF 00*8"));
    // Wrapped keys need explicit identifiers; that comes before the content.
    let stateful = bytes("01534D4C 3C00 4000 0300 0000 00");
    assert_eq!(client.cache(0x0200, ANY, b"key"), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.cache(0x0200, ANY, &stateful), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.cache(5, ANY, &stateful), Err(Status::ACCESS));
    assert_eq!(client.cache(5, ANY, &stateful[..11]), Ok(5));
    assert_eq!(client.cache_random(0x0200, ANY, 16), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.cache_random(5, ANY, 0), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.cache_random(5, ANY, 8193), Err(Status::BAD_ARGUMENTS));
    // The longest key that fits a message, and the longest that fits a slot.
    assert_eq!(client.cache(6, ANY, &[7; 8152]), Ok(6));
    assert_eq!(client.export(6).unwrap(), [7; 8152]);
    assert_eq!(client.cache_random(7, ANY, 8192), Ok(7));
    assert_eq!(client.export(7), Err(Status::NO_SPACE));
    // A length of zero is no error.
    assert_eq!(client.cache(8, ANY, b""), Ok(8));
    assert_eq!(client.export(8).unwrap(), b"");
    // Directly under a wrapped identifier.
    assert_eq!(client.cache(0x0205, ANY, b"wrapped"), Ok(0x0205));
    assert_eq!(client.export(0x0205).unwrap(), b"wrapped");
    // Bits without meaning are dropped: an absent hardware key store among them.
    assert_eq!(client.cache(0xFC09, ANY, b"nine"), Ok(9));
    // TRUSTED is stripped.
    assert_eq!(client.cache(10, 0xFFFF_FFFF, b"ten"), Ok(10));
    assert_eq!(client.commit(10), Ok(()));
    assert_eq!(stored(&server, 0x130A).unwrap().flags, Flags(0xEFFF));
}

#[test]
fn missing_and_unnamed_keys() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    for id in [0, 0x0100, 0x0200, 0x0300] {
        assert_eq!(client.export(id), Err(Status::BAD_ARGUMENTS));
        assert_eq!(client.export_public(id, 2), Err(Status::BAD_ARGUMENTS));
        assert_eq!(client.evict(id), Err(Status::BAD_ARGUMENTS));
        assert_eq!(client.commit(id), Err(Status::BAD_ARGUMENTS));
        assert_eq!(client.erase(id), Err(Status::BAD_ARGUMENTS));
        assert_eq!(client.revoke(id), Err(Status::BAD_ARGUMENTS));
    }
    for id in [0x44, 0x0144, 0x0244, 0x0344] {
        assert_eq!(client.export(id), Err(Status::NOT_FOUND));
        assert_eq!(client.export_public(id, 2), Err(Status::NOT_FOUND));
        assert_eq!(client.evict(id), Err(Status::NOT_FOUND));
        assert_eq!(client.commit(id), Err(Status::NOT_FOUND));
        assert_eq!(client.revoke(id), Err(Status::NOT_FOUND));
        let erased = if id & 0x0200 == 0 { Ok(()) } else { Err(Status::ABORTED) };
        assert_eq!(client.erase(id), erased);
    }
    // Stored but not cached: EVICT and COMMIT find nothing, the rest does.
    client.cache(0x44, ANY, b"key").unwrap();
    client.commit(0x44).unwrap();
    client.commit(0x44).unwrap();
    client.evict(0x44).unwrap();
    assert_eq!(client.evict(0x44), Err(Status::NOT_FOUND));
    assert_eq!(client.commit(0x44), Err(Status::NOT_FOUND));
    assert_eq!(client.export(0x44).unwrap(), b"key");
    // Reading it has cached it.
    assert_eq!(client.evict(0x44), Ok(()));
    // BADARGS for an algorithm that there is not, after the key was found.
    for algorithm in [0, 9, 0xFFFF] {
        assert_eq!(client.export_public(0x44, algorithm), Err(Status::BAD_ARGUMENTS));
    }
    assert_eq!(client.evict(0x44), Ok(()));
}

/// Which operation each protection flag forbids: uncommitted, committed, and only stored.
#[test]
fn protection_flags() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum State {
        Cached,
        Committed,
        Stored,
    }
    use State::{Cached, Committed, Stored};
    let access = Err(Status::ACCESS);
    for flag in [0, NONMODIFIABLE, NONEXPORTABLE, NONDESTROYABLE] {
        for state in [Cached, Committed, Stored] {
            let fresh = |work: &mut dyn FnMut(&mut Client<'_>)| {
                let server = VirtualServer::default();
                let mut client = Client::new(&server, CLIENT);
                client.cache(5, USAGE | flag, &[5; 16]).unwrap();
                if state != Cached {
                    client.commit(5).unwrap();
                }
                if state == Stored {
                    client.evict(5).unwrap();
                }
                work(&mut client);
            };
            let fixed = flag == NONMODIFIABLE;
            let kept = matches!(flag, NONMODIFIABLE | NONDESTROYABLE);
            fresh(&mut |client| {
                let replaced = client.cache(5, USAGE, b"new");
                assert_eq!(replaced, if fixed { access.map(|()| 0) } else { Ok(5) }, "{flag:#x} {state:?}");
                let replaced = client.cache_random(5, USAGE, 16);
                assert_eq!(replaced, if fixed { access.map(|()| 0) } else { Ok(5) });
            });
            fresh(&mut |client| {
                let expected = match state {
                    Committed => Ok(()),
                    _ if kept => access,
                    Cached => Ok(()),
                    Stored => Err(Status::NOT_FOUND),
                };
                assert_eq!(client.evict(5), expected, "{flag:#x} {state:?}");
            });
            fresh(&mut |client| {
                let expected = if flag == NONEXPORTABLE { Err(Status::ACCESS) } else { Ok(vec![5; 16]) };
                assert_eq!(client.export(5), expected, "{flag:#x} {state:?}");
            });
            fresh(&mut |client| {
                let expected = if state == Stored { Err(Status::NOT_FOUND) } else { Ok(()) };
                assert_eq!(client.commit(5), expected, "{flag:#x} {state:?}");
            });
            fresh(&mut |client| {
                assert_eq!(client.erase(5), if kept { access } else { Ok(()) }, "{flag:#x} {state:?}");
                if kept {
                    // A committed key has lost its cached copy only.
                    assert!(client.encrypt(5).is_ok());
                } else {
                    assert_eq!(client.encrypt(5), Err(Status::NOT_FOUND));
                }
            });
            fresh(&mut |client| assert_eq!(client.revoke(5), Ok(()), "{flag:#x} {state:?}"));
        }
    }
}

#[test]
fn trusted_keys_are_frozen_but_usable() {
    let server = VirtualServer::default();
    provision(&server, 0x1305, TRUSTED | 0x0220, &[7; 16]);
    let mut client = Client::new(&server, CLIENT);
    // Stored, then cached by use.
    for _ in 0..2 {
        assert_eq!(client.cache(5, ANY, b"new"), Err(Status::ACCESS));
        assert_eq!(client.cache_random(5, ANY, 16), Err(Status::ACCESS));
        assert_eq!(client.export(5), Err(Status::ACCESS));
        assert_eq!(client.export_public(5, 2), Err(Status::ACCESS));
        assert_eq!(client.evict(5), Err(Status::ACCESS));
        assert_eq!(client.commit(5), Err(Status::ACCESS));
        assert_eq!(client.erase(5), Err(Status::ACCESS));
        assert_eq!(client.revoke(5), Err(Status::ACCESS));
        assert_eq!(client.wrap_export(5, 5, 1), Err(Status::ACCESS));
        assert_eq!(client.add(0x1305, 0, b"new"), Err(Status::ACCESS));
        assert_eq!(client.read(0x1305, 0, 16), Err(Status::ACCESS));
        assert_eq!(client.destroy(&[0x1305]), Err(Status::ACCESS));
        assert_eq!(client.metadata(0x1305).map(|found| found.flags.0), Ok(TRUSTED | 0x0220));
        assert!(client.encrypt(5).is_ok());
        assert!(client.data_wrap(5, b"data").is_ok());
    }
}

#[test]
fn revocation() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    // Cached only: pinned until committed.
    client.cache(5, ANY | 0x0002, &[1; 16]).unwrap();
    assert!(client.encrypt(5).is_ok());
    client.revoke(5).unwrap();
    client.revoke(5).unwrap();
    assert_eq!(client.encrypt(5), Err(Status::USAGE));
    assert_eq!(client.data_wrap(5, b"data"), Err(Status::USAGE));
    assert_eq!(client.cache(5, ANY, b"new"), Err(Status::ACCESS));
    assert_eq!(client.evict(5), Err(Status::ACCESS));
    assert_eq!(client.erase(5), Err(Status::ACCESS));
    assert_eq!(client.export(5).unwrap(), [1; 16]);
    assert_eq!(stored(&server, 0x1305), None);
    client.commit(5).unwrap();
    assert_eq!(stored(&server, 0x1305).unwrap().flags, Flags(0x0003));
    assert_eq!(client.evict(5), Ok(()));
    assert_eq!(client.erase(5), Err(Status::ACCESS));
    // Stored: the store learns of it at once.
    client.cache(6, ANY, &[2; 16]).unwrap();
    client.commit(6).unwrap();
    client.evict(6).unwrap();
    client.revoke(6).unwrap();
    assert_eq!(stored(&server, 0x1306).unwrap().flags, Flags(0x0001));
    client.evict(6).unwrap();
    assert_eq!(client.encrypt(6), Err(Status::USAGE));
    // A revoked wrapped key stays until the connection ends.
    client.cache(0x0207, ANY, &[3; 16]).unwrap();
    client.revoke(0x0207).unwrap();
    assert_eq!(client.evict(0x0207), Err(Status::ACCESS));
    assert_eq!(client.commit(0x0207), Err(Status::ABORTED));
    let mut again = Client::new(&server, CLIENT);
    assert_eq!(again.evict(0x0207), Err(Status::NOT_FOUND));
    assert_eq!(again.encrypt(6), Err(Status::USAGE));
}

#[test]
fn automatic_identifiers_descend_and_skip_what_is_taken() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.cache(0, ANY, b"a"), Ok(0xFF));
    assert_eq!(client.cache(0xFE, ANY, b"b"), Ok(0xFE));
    provision(&server, 0x13FD, 0, b"stored");
    provision(&server, 0x14FC, 0, b"another client's");
    assert_eq!(client.cache(0xF800, ANY, b"c"), Ok(0xFC));
    assert_eq!(client.cache_random(0, ANY, 4), Ok(0xFB));
    assert_eq!(client.cache(0x0100, ANY, b"d"), Ok(0x01FF));
    client.evict(0xFF).unwrap();
    assert_eq!(client.cache(0, ANY, b"e"), Ok(0xFF));
}

#[test]
fn no_identifier_left() {
    let options = VirtualOptions { objects: 300, ..VirtualOptions::default() };
    let server = VirtualServer::new(options);
    for number in 1..=255 {
        provision(&server, 0x1300 | number, 0, b"x");
    }
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.cache(0, ANY, b"a"), Err(Status::NO_SPACE));
    // That comes before the size.
    assert_eq!(client.cache_random(0, ANY, 0), Err(Status::NO_SPACE));
    assert_eq!(client.cache_random(0, ANY, 9000), Err(Status::NO_SPACE));
    assert_eq!(client.cache(0x0100, ANY, b"a"), Ok(0x01FF));
}

/// Nine small and three big slots; classes do not borrow, uncommitted keys stay, replacing an identifier keeps the
/// old key if there is no room for the new one.
#[test]
fn slots() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    for id in 1..=9 {
        client.cache(id, ANY, &[1; 256]).unwrap();
    }
    assert_eq!(client.cache(10, ANY, &[1; 1]), Err(Status::NO_SPACE));
    assert_eq!(client.cache_random(10, ANY, 1), Err(Status::NO_SPACE));
    for id in 11..=13 {
        client.cache(id, ANY, &[2; 257]).unwrap();
    }
    assert_eq!(client.cache(14, ANY, &[2; 257]), Err(Status::NO_SPACE));
    // A replacement in the same class needs no other slot; one in a full class fails and changes nothing.
    client.cache(1, ANY, &[3; 10]).unwrap();
    assert_eq!(client.cache(1, ANY, &[4; 300]), Err(Status::NO_SPACE));
    assert_eq!(client.export(1).unwrap(), [3; 10]);
    // Other caches are not full.
    assert_eq!(client.cache(0x0101, ANY, b"global"), Ok(0x0101));
    let mut second = Client::new(&server, CLIENT);
    second.cache(1, ANY, b"x").unwrap();
    // A committed key makes room: the lowest slot first, not the oldest use.
    client.commit(5).unwrap();
    client.commit(3).unwrap();
    assert!(client.export(3).is_ok());
    client.cache(10, ANY, b"ten").unwrap();
    assert_eq!(client.evict(3), Err(Status::NOT_FOUND), "its slot was taken");
    client.cache(15, ANY, b"fifteen").unwrap();
    assert_eq!(client.evict(5), Err(Status::NOT_FOUND));
    // With the cache full of uncommitted keys a stored one can be read and used, but not held.
    assert_eq!(client.export(3).unwrap(), [1; 256]);
    assert_eq!(client.evict(3), Err(Status::NOT_FOUND));
    assert_eq!(client.export_public(3, 2), Err(Status::NO_SPACE));
    assert_eq!(client.revoke(3), Err(Status::NO_SPACE));
    provision(&server, 0x1320, 0x07E0, &[9; 16]);
    assert!(client.encrypt(0x20).is_ok());
    assert!(client.data_wrap(0x20, b"data").is_ok());
    // The connection's end frees everything.
    drop(client);
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.export(10), Err(Status::NOT_FOUND));
    assert_eq!(client.export(5).unwrap(), [1; 256]);
    assert_eq!(client.export(0x0101).unwrap(), b"global");
}

#[test]
fn a_full_store_leaves_the_key_cached() {
    let options = VirtualOptions { objects: 2, ..VirtualOptions::default() };
    let server = VirtualServer::new(options);
    let mut client = Client::new(&server, CLIENT);
    for id in 1..=3 {
        client.cache(id, ANY, &[1; 16]).unwrap();
    }
    client.commit(1).unwrap();
    client.commit(2).unwrap();
    assert_eq!(client.commit(3), Err(Status::NO_SPACE));
    assert_eq!(client.export(3).unwrap(), [1; 16]);
    client.erase(1).unwrap();
    client.commit(3).unwrap();
}

#[test]
fn stored_keys_without_bytes_cannot_be_read() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    client.cache(5, ANY, b"").unwrap();
    client.commit(5).unwrap();
    assert_eq!(client.export(5).unwrap(), b"");
    client.evict(5).unwrap();
    assert_eq!(client.export(5), Err(Status::BAD_ARGUMENTS));
}

/// An object message that changes a stored key changes what the session then uses.
#[test]
fn cached_copies_follow_object_messages() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    client.cache(5, ANY, &[5; 16]).unwrap();
    client.commit(5).unwrap();
    client.add(0x1305, 0x07E0, &[6; 16]).unwrap();
    assert_eq!(client.export(5).unwrap(), [6; 16]);
    client.destroy(&[0x1305]).unwrap();
    assert_eq!(client.export(5), Err(Status::NOT_FOUND));
    // One that was never stored is no copy.
    client.cache(6, ANY, &[7; 16]).unwrap();
    client.destroy(&[0x1306]).unwrap();
    assert_eq!(client.export(6).unwrap(), [7; 16]);
}

// ----- use -----

const UNKNOWN: u16 = 0x77;

fn hkdf(
    client: &mut Client<'_>,
    flags: u32,
    id: u32,
    out: u32,
    length: u32,
) -> Result<(u32, Vec<u8>), Status> {
    let request = HkdfRequest {
        flags,
        key_in: id,
        key_out: out,
        hash: 6,
        key_length: 0,
        salt_length: 0,
        info_length: 0,
        length,
        label: "derived".into(),
    };
    client.compute(9, 1, &request, &[]).map(|(response, key)| {
        assert_eq!(response.length as usize, key.len());
        (response.key, key)
    })
}

fn cmac_kdf(client: &mut Client<'_>, salt: u16, z: u16, length: u32) -> Result<Vec<u8>, Status> {
    let request = CmacKdfRequest {
        flags: 0x10,
        key_salt: salt.into(),
        key_z: z.into(),
        key_out: 0,
        salt_length: 0,
        z_length: 0,
        info_length: 0,
        length,
        label: Label::EMPTY,
    };
    client.compute(9, 2, &request, &[]).map(|(_, key)| key)
}

fn cmac(client: &mut Client<'_>, id: u16, mac_length: u32, key: &[u8]) -> Result<Vec<u8>, Status> {
    let request = CmacRequest {
        mac_length,
        length: 4,
        key_length: key.len().try_into().unwrap(),
        key: KeyId(id),
        state: CmacState::INITIAL,
    };
    client.compute(7, 0, &request, &[b"data", key].concat()).map(|(_, mac)| mac)
}

/// AES in every mode; the data is one block.
fn aes(client: &mut Client<'_>, mode: u32, encrypt: u32, id: u16, key: &[u8]) -> Result<Vec<u8>, Status> {
    let key_length = key.len().try_into().unwrap();
    let named = KeyId(id);
    let data = [&[0x42; 16], key].concat();
    match mode {
        2 => {
            let request = CbcRequest { encrypt, key_length, length: 16, key: named };
            client.compute(2, 0, &request, &[&data[..], &[0; 16]].concat()).map(|(_, data)| data)
        }
        4 => {
            let request = CtrRequest { encrypt, key_length, length: 16, unused: 0, key: named };
            client.compute(4, 0, &request, &[&data[..], &[0; 32]].concat()).map(|(_, data)| data)
        }
        3 => {
            let request = GcmRequest {
                encrypt,
                key_length,
                length: 16,
                iv_length: 12,
                aad_length: 0,
                tag_length: 16,
                key: named,
            };
            let tag: &[u8] = if encrypt == 0 { &[0; 16] } else { &[] };
            client.compute(3, 0, &request, &[&data[..], &[0; 12], tag].concat()).map(|(_, data)| data)
        }
        _ => {
            use casemate_protocol::message::crypto::EcbRequest;
            let request = EcbRequest { encrypt, key_length, length: 16, key: named };
            client.compute(13, 0, &request, &data).map(|(_, data)| data)
        }
    }
}

/// One usage flag at a time, all others absent (document 03, §11).
#[test]
fn usage_flags() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    for bit in 0..13 {
        let flag = 1_u32 << bit;
        let usable = |needed: u32| if flag & needed != 0 { Ok(()) } else { Err(Status::USAGE) };
        if client.cache(5, flag, &[5; 16]).is_err() {
            client = Client::new(&server, CLIENT);
            client.cache(5, flag, &[5; 16]).unwrap();
        }
        for mode in [2, 3, 4, 13] {
            assert_eq!(aes(&mut client, mode, 1, 5, &[]).map(drop), usable(0x20), "{mode} {flag:#x}");
            assert_eq!(aes(&mut client, mode, 0xFF00, 5, &[]).map(drop), usable(0x20));
            let opened = aes(&mut client, mode, 0, 5, &[]).map(drop);
            let expected =
                if mode == 3 && flag == 0x40 { Err(Status::AES_GCM_AUTHENTICATION) } else { usable(0x40) };
            assert_eq!(opened, expected, "{mode} {flag:#x}");
        }
        assert_eq!(cmac(&mut client, 5, 16, &[]).map(drop), usable(0x180));
        assert_eq!(cmac(&mut client, 5, 0, &[]).map(drop), usable(0x180));
        assert_eq!(hkdf(&mut client, 0x10, 5, 0, 16).map(drop), usable(0x400));
        assert_eq!(cmac_kdf(&mut client, 5, 5, 16).map(drop), usable(0x400));
        assert_eq!(client.data_wrap(5, b"data").map(drop), usable(0x200));
        // A flag for something else says nothing of inline keys.
        assert!(aes(&mut client, 13, 1, 0, &[5; 16]).is_ok());
    }
}

/// Document 04, §9: what comes first, for keys by identifier.
#[test]
fn keys_in_use_are_checked_in_order() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    client.cache(1, 0, &[1; 33]).unwrap();
    client.cache(2, 0, &[1; 15]).unwrap();
    client.cache(3, ANY, &[1; 15]).unwrap();
    client.cache(4, 0, &[1; 257]).unwrap();
    client.cache(5, ANY, &[1; 16]).unwrap();
    client.cache(6, ANY, &[1; 20]).unwrap();
    for mode in [2, 3, 4, 13] {
        for encrypt in [0, 1] {
            let client = &mut client;
            assert_eq!(aes(client, mode, encrypt, UNKNOWN, &[]), Err(Status::NOT_FOUND));
            assert_eq!(aes(client, mode, encrypt, 1, &[]), Err(Status::NO_SPACE));
            assert_eq!(aes(client, mode, encrypt, 2, &[]), Err(Status::USAGE));
            assert_eq!(aes(client, mode, encrypt, 3, &[]), Err(Status::BAD_ARGUMENTS));
            // Flags alone name no key, and then there is none at all.
            assert_eq!(aes(client, mode, encrypt, 0x0100, &[]), Err(Status::BAD_ARGUMENTS));
            for length in [1, 15, 17, 33, 64] {
                assert_eq!(aes(client, mode, encrypt, 0, &vec![1; length]), Err(Status::BAD_ARGUMENTS));
            }
            // The named key wins over inline bytes.
            assert_eq!(aes(client, mode, 1, 5, &[9; 16]), aes(client, mode, 1, 5, &[]));
            assert_eq!(aes(client, mode, encrypt, UNKNOWN, &[9; 16]), Err(Status::NOT_FOUND));
            for length in [16, 24, 32] {
                assert!(aes(client, mode, 1, 0, &vec![1; length]).is_ok());
            }
        }
    }
    let client = &mut client;
    // CMAC: an unknown key beats a bad MAC length, a bad inline key beats it too.
    assert_eq!(cmac(client, UNKNOWN, 3, &[]), Err(Status::NOT_FOUND));
    assert_eq!(cmac(client, 1, 3, &[]), Err(Status::NO_SPACE));
    assert_eq!(cmac(client, 2, 3, &[]), Err(Status::USAGE));
    assert_eq!(cmac(client, 3, 16, &[]), Err(Status::ABORTED));
    assert_eq!(cmac(client, 0, 16, &[]), Err(Status::BAD_ARGUMENTS));
    for length in [1, 3, 17, u32::MAX] {
        assert_eq!(cmac(client, 5, length, &[]), Err(Status::BUFFER));
        assert_eq!(cmac(client, 0, length, &[1; 15]), Err(Status::CRYPTO_ARGUMENT));
        assert_eq!(cmac(client, 0, length, &[1; 33]), Err(Status::BAD_ARGUMENTS));
    }
    assert_eq!(cmac(client, 0, 16, &[1; 15]), Err(Status::CRYPTO_ARGUMENT));
    assert_eq!(cmac(client, 0, 0, &[1; 15]), Err(Status::CRYPTO_ARGUMENT));
    // Inline wins over a name, even one that does not exist.
    assert_eq!(cmac(client, UNKNOWN, 16, &[1; 16]), cmac(client, 5, 16, &[]));
    assert_eq!(cmac(client, 5, 4, &[]).unwrap(), cmac(client, 5, 16, &[]).unwrap()[..4]);
    // KDF.
    assert_eq!(hkdf(client, 0x10, UNKNOWN.into(), 0, 16).map(drop), Err(Status::NOT_FOUND));
    assert_eq!(hkdf(client, 0x10, 4, 0, 16).map(drop), Err(Status::NO_SPACE));
    assert_eq!(hkdf(client, 0x10, 1, 0, 16).map(drop), Err(Status::USAGE));
    assert!(hkdf(client, 0x10, 0, 0, 16).is_ok(), "empty input key");
    assert!(hkdf(client, 0x10, 0x1234_0005, 0, 16).is_ok(), "the upper half is ignored");
    assert_eq!(hkdf(client, 0x10, 5, 0, 0), Ok((0, vec![])));
    assert_eq!(hkdf(client, 0x10, 5, 0, 255 * 32).map(drop), Ok(()));
    assert_eq!(hkdf(client, 0x10, 5, 0, 255 * 32 + 1).map(drop), Err(Status::CRYPTO_ARGUMENT));
    assert_eq!(hkdf(client, 0x10, 5, 0, 8172).map(drop), Err(Status::CRYPTO_ARGUMENT));
    assert_eq!(hkdf(client, 0x10, 5, 0, 8173).map(drop), Err(Status::BAD_ARGUMENTS));
    assert_eq!(hkdf(client, 0x10, 5, 0, u32::MAX).map(drop), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cmac_kdf(client, UNKNOWN, 4, 16), Err(Status::NOT_FOUND));
    assert_eq!(cmac_kdf(client, 1, UNKNOWN, 16), Err(Status::NO_SPACE));
    assert_eq!(cmac_kdf(client, 2, UNKNOWN, 16), Err(Status::USAGE));
    assert_eq!(cmac_kdf(client, 5, UNKNOWN, 0), Err(Status::NOT_FOUND));
    assert_eq!(cmac_kdf(client, 5, 4, 16), Err(Status::NO_SPACE));
    assert_eq!(cmac_kdf(client, 5, 5, 0), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cmac_kdf(client, 6, 5, 16), Err(Status::CRYPTO_ARGUMENT), "no AES key length");
    assert_eq!(cmac_kdf(client, 0, 5, 16), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cmac_kdf(client, 5, 0, 16), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cmac_kdf(client, 5, 5, 8172).map(|key| key.len()), Ok(8172));
    assert_eq!(cmac_kdf(client, 5, 5, 8173), Err(Status::BAD_ARGUMENTS));
}

#[test]
fn derived_keys_are_cached_by_the_rules_of_keys() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    let client = &mut client;
    client.cache(5, ANY, &[1; 16]).unwrap();
    let key = hkdf(client, 0x10, 5, 0x99, 16).unwrap();
    assert_eq!(key.0, 0);
    assert_eq!(hkdf(client, 0xFFFF_FFEF, 5, 0, 16), Ok((0xFF, vec![])));
    assert_eq!(client.export(0xFF), Err(Status::ACCESS));
    client.commit(0xFF).unwrap();
    let metadata = stored(&server, 0x13FF).unwrap();
    assert_eq!((metadata.flags, metadata.label, metadata.access), (Flags(0xEFEF), "derived".into(), 0xFFFF));
    assert_eq!(hkdf(client, ANY, 5, 0xFF, 16), Err(Status::ACCESS), "not modifiable");
    assert_eq!(hkdf(client, ANY, 5, 0x0100, 16), Ok((0x01FF, vec![])));
    assert_eq!(client.export(0x01FF).unwrap(), key.1);
    assert_eq!(hkdf(client, ANY, 5, 0x0200, 16), Err(Status::BAD_ARGUMENTS));
    assert_eq!(hkdf(client, ANY, 5, 0x0259, 16), Ok((0x0259, vec![])));
    assert_eq!(hkdf(client, ANY, 5, 5, 24), Ok((5, vec![])), "replaces its own input");
    assert_eq!(client.export(5).unwrap().len(), 24);
    assert_eq!(hkdf(client, ANY, 5, 0x61, 257), Ok((0x61, vec![])), "a big slot");
    assert_eq!(hkdf(client, ANY, 5, 0x62, 0), Ok((0x62, vec![])), "an empty key");
    for id in 0x63..0x70 {
        let result = hkdf(client, ANY, 5, id, 16);
        if id > 0x68 {
            assert_eq!(result, Err(Status::NO_SPACE), "{id:#x}");
        }
    }
}

/// Data lengths, vectors, tags and tails of the AES messages.
#[test]
fn aes_arguments() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    client.cache(5, ANY, &[1; 16]).unwrap();
    let client = &mut client;
    let ecb = |client: &mut Client<'_>, encrypt, length: u32, extra: usize| {
        use casemate_protocol::message::crypto::EcbRequest;
        let request = EcbRequest { encrypt, key_length: 0, length, key: KeyId(5) };
        client.compute(13, 0, &request, &vec![1; length as usize + extra]).map(|(response, data)| {
            assert_eq!(response.length, length);
            data.len()
        })
    };
    assert_eq!(ecb(client, 1, 0, 0), Ok(0));
    assert_eq!(ecb(client, 1, 8160, 0), Ok(8160));
    assert_eq!(ecb(client, 1, 17, 0), Err(Status::BAD_LENGTH));
    assert_eq!(ecb(client, 0, 17, 0), Err(Status::BAD_LENGTH));
    assert_eq!(ecb(client, 0, 16, 1), Err(Status::BAD_ARGUMENTS), "tails must match exactly");
    let cbc = |client: &mut Client<'_>, encrypt, length: u32, extra: usize| {
        let request = CbcRequest { encrypt, key_length: 0, length, key: KeyId(5) };
        client.compute(2, 0, &request, &vec![1; length as usize + 16 + extra]).map(|(_, data)| data)
    };
    assert_eq!(cbc(client, 1, 0, 0), Ok(vec![1; 16]), "the vector comes back");
    assert_eq!(cbc(client, 0, 17, 0), Err(Status::CRYPTO_ARGUMENT));
    assert_eq!(cbc(client, 1, 17, 0), Err(Status::BAD_ARGUMENTS), "no plaintext passes through");
    assert_eq!(cbc(client, 1, 16, 1), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cbc(client, 1, 8144, 0).map(|data| data.len()), Ok(8160));
    let ctr = |client: &mut Client<'_>, length: u32, unused, extra: usize| {
        let request = CtrRequest { encrypt: 1, key_length: 0, length, unused, key: KeyId(5) };
        client
            .compute(4, 0, &request, &vec![0xFF; length as usize + 32 + extra])
            .map(|(r, data)| (r.unused, data))
    };
    assert_eq!(ctr(client, 0, 16, 0), Ok((16, vec![0xFF; 32])));
    assert_eq!(ctr(client, 0, 17, 0).map(drop), Err(Status::BAD_ARGUMENTS));
    assert_eq!(ctr(client, 1, u32::MAX, 0).map(drop), Err(Status::BAD_ARGUMENTS));
    assert_eq!(ctr(client, 1, 0, 1).map(drop), Err(Status::BAD_ARGUMENTS));
    assert_eq!(
        ctr(client, 16, 16, 0),
        Ok((0, [[0; 16], [0xFF; 16], [0xFF; 16]].concat())),
        "whole block unused"
    );
    let (unused, answer) = ctr(client, 17, 0, 0).unwrap();
    assert_eq!(
        (unused, &answer[17..33]),
        (15, &[[0; 15].as_slice(), &[1]].concat()[..]),
        "the counter wraps"
    );
    assert_eq!(ctr(client, 8128, 0, 0).map(|(_, data)| data.len()), Ok(8160));
    // Decryption is the same computation, under the other usage flag.
    let request = CtrRequest { encrypt: 0, key_length: 0, length: 17, unused: 0, key: KeyId(5) };
    assert_eq!(client.compute(4, 0, &request, &[0xFF; 49]).unwrap().1, answer);

    let gcm =
        |client: &mut Client<'_>, encrypt, length: u32, iv_length: u32, tag_length: u32, tail: usize| {
            let request = GcmRequest {
                encrypt,
                key_length: 0,
                length,
                iv_length,
                aad_length: 0,
                tag_length,
                key: KeyId(5),
            };
            client.compute(3, 0, &request, &vec![0; tail]).map(|(r, data)| {
                assert_eq!(r.tag_length, if encrypt == 0 { 0 } else { tag_length });
                data.len()
            })
        };
    for iv in [1, 8, 12, 16, 60] {
        assert_eq!(gcm(client, 1, 0, iv, 16, iv as usize), Ok(16));
    }
    assert_eq!(gcm(client, 1, 0, 0, 16, 0), Err(Status::CRYPTO_ARGUMENT));
    for tag in 0..20 {
        let expected =
            if (12..=16).contains(&tag) { Ok(5 + tag as usize) } else { Err(Status::CRYPTO_ARGUMENT) };
        assert_eq!(gcm(client, 1, 5, 12, tag, 17), expected, "tag of {tag}");
        let expected =
            if (12..=16).contains(&tag) { Status::AES_GCM_AUTHENTICATION } else { Status::CRYPTO_ARGUMENT };
        assert_eq!(gcm(client, 0, 5, 12, tag, 17 + tag as usize), Err(expected), "tag of {tag}");
    }
    assert_eq!(gcm(client, 1, 0, 12, 0xFFFF_FFFF, 12), Err(Status::BAD_ARGUMENTS), "no room in the answer");
    assert_eq!(gcm(client, 1, 0, 12, 16, 28), Err(Status::BAD_ARGUMENTS), "a tag when encrypting");
    assert_eq!(gcm(client, 1, 8136, 12, 16, 8148), Ok(8152));
    assert_eq!(gcm(client, 1, 8137, 12, 16, 8149), Err(Status::BAD_ARGUMENTS));
    // Bodies shorter than their fixed part.
    for (cipher, size) in [(2, 16), (13, 16), (4, 20), (3, 28)] {
        for length in [0, size - 1] {
            assert_eq!(client.compute_raw(2, cipher, 0, &vec![0; length]), Err(Status::BAD_ARGUMENTS));
        }
    }
    for (action, algorithm, sub, size) in [
        (1, 6, 0, 48),
        (1, 8, 0, 84),
        (1, 11, 0, 208),
        (4, 4, 0, 4),
        (7, 7, 0, 56),
        (9, 9, 1, 56),
        (9, 9, 2, 56),
    ] {
        for length in [0, size - 1] {
            let answer = client.compute_raw(action, algorithm, sub, &vec![0; length]);
            assert_eq!(answer, Err(Status::BAD_ARGUMENTS));
        }
    }
}

#[test]
fn hash_arguments() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    for (hash, block) in [(5, 64), (6, 64), (7, 128), (8, 128), (10, 144), (11, 136), (12, 104), (13, 72)] {
        let mut ask = |last: u32, length: u32, sent: usize| {
            let head = match hash {
                5 | 6 => [&[0; 40][..], &last.to_le_bytes(), &length.to_le_bytes()].concat(),
                7 | 8 => [&[0; 76][..], &last.to_le_bytes(), &length.to_le_bytes()].concat(),
                _ => [&last.to_le_bytes()[..], &length.to_le_bytes(), &[0; 200]].concat(),
            };
            client.compute_raw(1, hash, 0, &[&head[..], &vec![0; sent]].concat()).map(|answer| answer.len())
        };
        let size = if hash < 10 { 76 } else { 264 };
        for last in [0, 1, 0x0100_0000] {
            assert_eq!(ask(last, 0, 0), Ok(size));
            assert_eq!(ask(last, 0, 10), Ok(size), "extra bytes are ignored");
            assert_eq!(ask(last, 5, 4), Err(Status::BAD_ARGUMENTS));
            assert_eq!(ask(last, u32::MAX, 4), Err(Status::BAD_ARGUMENTS));
            let whole = if last == 0 { Ok(size) } else { Err(Status::BAD_ARGUMENTS) };
            assert_eq!(ask(last, block, block as usize), whole);
            assert_eq!(ask(last, 3 * block, 3 * block as usize), whole);
            let part = if last == 0 { Err(Status::BAD_ARGUMENTS) } else { Ok(size) };
            assert_eq!(ask(last, block - 1, block as usize), part);
        }
    }
}

// ----- wrapping -----

fn blob_metadata(id: u16, flags: u16, length: u16) -> Metadata {
    Metadata { id: ObjectId(id), access: 0xFFFF, flags: Flags(flags), length, label: "blob".into() }
}

#[test]
fn key_encryption_keys_are_checked_in_order() {
    let server = VirtualServer::default();
    provision(&server, 0x1340, TRUSTED | 0x0200, &[4; 16]);
    let mut client = Client::new(&server, CLIENT);
    let client = &mut client;
    client.cache(1, 0, &[1; 16]).unwrap();
    client.cache(2, 0x0200, &[2; 15]).unwrap();
    client.cache(3, 0x0200, &[3; 16]).unwrap();
    client.cache(4, ANY, b"target").unwrap();
    let blob = client.wrap(3, blob_metadata(0x4305, 0, 3), b"key").unwrap();
    for (kek, status) in [
        (0, Status::BAD_ARGUMENTS),
        (0x0200, Status::BAD_ARGUMENTS),
        (UNKNOWN, Status::NOT_FOUND),
        (1, Status::USAGE),
        (2, Status::CRYPTO_ARGUMENT),
    ] {
        assert_eq!(client.wrap(kek, blob_metadata(0x4305, 0, 3), b"key"), Err(status));
        assert_eq!(client.data_wrap(kek, b"data"), Err(status));
        assert_eq!(client.data_unwrap(kek, &blob), Err(status));
        assert_eq!(client.unwrap_export(kek, &blob), Err(status));
        // Where trust is demanded, its lack shows before the key's length.
        let trusted = if kek == 2 { Status::ACCESS } else { status };
        assert_eq!(client.wrap_export(kek, 4, 1), Err(trusted));
        assert_eq!(client.unwrap_cache(kek, &blob), Err(trusted));
    }
    assert_eq!(client.wrap_export(3, 4, 1), Err(Status::ACCESS));
    assert_eq!(client.unwrap_cache(3, &blob), Err(Status::ACCESS));
    assert!(client.wrap_export(0x40, 4, 1).is_ok());
    assert_eq!(client.unwrap_cache(0x40, &blob), Err(Status::AES_GCM_AUTHENTICATION));
}

#[test]
fn wrap_messages_check_in_order_and_repeat_the_cipher() {
    let server = VirtualServer::default();
    provision(&server, 0x1340, TRUSTED | 0x0200, &[4; 16]);
    let mut client = Client::new(&server, CLIENT);
    let client = &mut client;
    // WRAP: size limit, tail, type, cipher, then the key-encryption key.
    let metadata = hex::encode([0x05, 0x43]) + "FFFF 0000 0300 00*24";
    let plain = hex::encode([0x05, 0x13]) + "FFFF 0000 0300 00*24";
    for (request, answer) in [
        (format!("8913 0000 0200 {plain}"), "30F8FFFF 0000 0200"),
        (format!("0400 0000 0200 {plain} 616263"), "2AF8FFFF 0000 0200"),
        (format!("0300 0000 0200 {plain} 616263"), "30F8FFFF 0000 0200"),
        (format!("0300 0000 0200 {metadata} 616263"), "30F8FFFF 0000 0200"),
        (format!("0300 7700 0300 {metadata} 616263"), "C8F7FFFF 0000 0300"),
    ] {
        assert_eq!(client.raw(Group::KEY, 8, &bytes(&request)), bytes(answer), "{request}");
    }
    // UNWRAP_EXPORT, UNWRAP_CACHE: tail, cipher, shortest blob, then the key-encryption key.
    for (request, status) in [
        ("3D00 7700 0200 0000 00*60", "2AF8FFFF"),
        ("3C00 7700 0200 0000 00*60", "30F8FFFF"),
        ("3B00 7700 0300 0000 00*60", "30F8FFFF"),
        ("3C00 7700 0300 0000 00*60", "C8F7FFFF"),
    ] {
        let cipher = &request[10..14];
        let answer = client.raw(Group::KEY, 9, &bytes(request));
        assert_eq!(answer, bytes(&format!("{status} 0000 {cipher} 00*32")), "{request}");
        let answer = client.raw(Group::KEY, 10, &bytes(request));
        assert_eq!(answer, bytes(&format!("{status} 0000 {cipher}")), "{request}");
    }
    // DATA_WRAP: size limit, tail, cipher, key.
    for (request, status) in [
        ("D1070000 7700 0200", "30F8FFFF"),
        ("02000000 7700 0200 00", "2AF8FFFF"),
        ("01000000 7700 0200 00", "30F8FFFF"),
        ("01000000 7700 0300 00", "C8F7FFFF"),
    ] {
        let cipher = &request[14..18];
        let answer = client.raw(Group::KEY, 11, &bytes(request));
        assert_eq!(answer, bytes(&format!("{status} 00000000 {cipher} 0000")), "{request}");
    }
    // DATA_UNWRAP: tail, cipher, shortest blob, key, size limit.
    for (request, status) in [
        ("FFFFFFFF 7700 0200 00", "2AF8FFFF"),
        ("1C000000 7700 0200 00*28", "30F8FFFF"),
        ("1B000000 7700 0300 00*28", "30F8FFFF"),
        ("1C000000 7700 0300 00*28", "C8F7FFFF"),
        ("ED070000 7700 0300 00*2029", "C8F7FFFF"),
        ("ED070000 4000 0300 00*2029", "30F8FFFF"),
        ("EC070000 4000 0300 00*2028", "4CFFFFFF"),
    ] {
        let cipher = &request[14..18];
        let answer = client.raw(Group::KEY, 12, &bytes(request));
        assert_eq!(answer, bytes(&format!("{status} 00000000 {cipher} 0000")), "{request}");
    }
    // WRAP_EXPORT: type, policy on the key, its size, cipher, key-encryption key.
    client.cache(1, ANY, b"key").unwrap();
    client.cache(2, ANY | NONEXPORTABLE, b"key").unwrap();
    client.cache(3, ANY, &[3; 5001]).unwrap();
    client.cache(4, ANY, &[3; 5000]).unwrap();
    for (request, status) in [
        ("0100 0000 7700 0200", "30F8FFFF"),
        ("0100 0300 7700 0200", "30F8FFFF"),
        ("0100 0500 7700 0200", "30F8FFFF"),
        ("0000 0100 7700 0200", "30F8FFFF"),
        ("7700 0100 7700 0200", "C8F7FFFF"),
        ("0200 0100 7700 0200", "CBF7FFFF"),
        ("0300 0100 7700 0200", "C7F7FFFF"),
        ("0100 0100 7700 0200", "30F8FFFF"),
        ("0100 0100 7700 0300", "C8F7FFFF"),
        ("0100 F1FF 7700 0300", "C8F7FFFF"),
        ("0102 0000 7700 0300", "C8F7FFFF"),
    ] {
        let cipher = &request[15..19];
        let answer = client.raw(Group::KEY, 16, &bytes(request));
        assert_eq!(answer, bytes(&format!("{status} 0000 {cipher}")), "{request}");
    }
    assert_eq!(client.wrap_export(0x40, 4, 1).map(|blob| blob.len()), Ok(5060));
    assert_eq!(client.data_wrap(0x40, &[1; 2000]).map(|blob| blob.len()), Ok(2028));
    assert_eq!(client.data_wrap(0x40, &[]).map(|blob| blob.len()), Ok(28));
}

#[test]
fn unwrapped_keys_are_checked_in_order() {
    let server = VirtualServer::default();
    provision(&server, 0x1340, TRUSTED | 0x0200, &[4; 16]);
    let mut client = Client::new(&server, CLIENT);
    let client = &mut client;
    let kek = 0x40;
    // WRAP itself demands type and owner only.
    let wrap = |client: &mut Client<'_>, metadata, key: &[u8]| client.wrap(kek, metadata, key).unwrap();
    let unnamed = wrap(client, blob_metadata(0x4300, 0, 3), b"key");
    assert_eq!(client.unwrap_export(kek, &unnamed), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.unwrap_cache(kek, &unnamed), Err(Status::BAD_ARGUMENTS));
    let hidden = wrap(client, blob_metadata(0x4305, 0x0004, 3), b"key");
    assert_eq!(client.unwrap_export(kek, &hidden), Err(Status::ACCESS));
    let wrong_length = wrap(client, blob_metadata(0x4306, 0, 4), b"key");
    assert_eq!(client.unwrap_export(kek, &wrong_length).map(|(_, key)| key), Ok(b"key".to_vec()));
    assert_eq!(client.unwrap_cache(kek, &wrong_length), Err(Status::BAD_ARGUMENTS));
    let stateful = bytes("01534D4C 3C00 4000 0300 0000");
    let stateful = wrap(client, blob_metadata(0x4307, 0, 12), &stateful);
    assert_eq!(client.unwrap_cache(kek, &stateful), Err(Status::ACCESS));
    let trusted = wrap(client, blob_metadata(0x4308, 0x1620, 16), &[8; 16]);
    assert_eq!(client.unwrap_cache(kek, &trusted), Ok(0x0208));
    assert_eq!(client.export(0x0208).unwrap(), [8; 16], "no longer trusted");
    assert_eq!(client.unwrap_cache(kek, &trusted), Err(Status::ABORTED), "cached already");
    assert!(client.encrypt(0x0208).is_ok());
    assert_eq!(client.wrap_export(0x0208, 0x0208, 1), Err(Status::ACCESS), "no trusted key-encryption key");
    assert!(client.data_wrap(0x0208, b"data").is_ok());
    let again = client.wrap_export(kek, 0x0208, 1).unwrap();
    assert_eq!(client.commit(0x0208), Err(Status::ABORTED));
    assert_eq!(client.erase(0x0208), Err(Status::ABORTED));
    client.evict(0x0208).unwrap();
    assert_eq!(client.unwrap_cache(kek, &again), Ok(0x0208));
    // The stored key's type becomes "wrapped", owner and number stay, global ones too.
    client.cache(0x0150, ANY, b"global").unwrap();
    let blob = client.wrap_export(kek, 0x0150, 1).unwrap();
    assert_eq!(client.unwrap_export(kek, &blob).unwrap().0.id, ObjectId(0x4050));
    assert_eq!(client.unwrap_cache(kek, &blob), Ok(0x0350));
    // No slot: the key is not half there.
    for id in 0x60..0x70 {
        let _ = client.cache(id, ANY, b"x");
    }
    assert_eq!(client.unwrap_cache(kek, &hidden), Err(Status::NO_SPACE));
    // Every bit of a blob counts.
    for index in 0..hidden.len() {
        let mut bent = hidden.clone();
        bent[index] ^= 0x10;
        assert_eq!(client.unwrap_export(kek, &bent), Err(Status::AES_GCM_AUTHENTICATION));
        assert_eq!(client.unwrap_cache(kek, &bent), Err(Status::AES_GCM_AUTHENTICATION));
    }
}

/// A server without the optional kinds of keys ignores their flags (document 01, §9).
#[test]
fn absent_kinds_of_keys() {
    let features =
        casemate_protocol::IdFeatures { global_keys: false, wrapped_keys: false, hardware_keys: false };
    let server = VirtualServer::new(VirtualOptions {
        config: Config { features, ..Config::default() },
        ..VirtualOptions::default()
    });
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.cache(0x0708, ANY, b"eight"), Ok(8));
    assert_eq!(client.cache(0x0700, ANY, b"auto"), Ok(0xFF));
    client.commit(8).unwrap();
    assert!(stored(&server, 0x1308).is_some());
    // Without global keys a client may be number 0.
    let mut zero = Client::silent(&server);
    assert_eq!(zero.init(0), Some(0));
    assert_eq!(zero.cache(1, ANY, b"zero's"), Ok(1));
    assert_eq!(client.export(1), Err(Status::NOT_FOUND));
    // With a hardware key store in the configuration but none behind it, such keys are nowhere.
    let server = VirtualServer::new(VirtualOptions {
        config: Config { features: casemate_protocol::IdFeatures::ALL, ..Config::default() },
        ..VirtualOptions::default()
    });
    let mut client = Client::new(&server, CLIENT);
    for id in [0x0405, 0x0505, 0x0605] {
        assert_eq!(client.cache(id, ANY, b"x"), Err(Status::ACCESS));
        assert_eq!(client.cache_random(id, ANY, 16), Err(Status::ACCESS));
        assert_eq!(client.export(id), Err(Status::ACCESS));
        assert_eq!(client.export_public(id, 2), Err(Status::ACCESS));
        assert_eq!(client.evict(id), Err(Status::ACCESS));
        assert_eq!(client.commit(id), Err(Status::ACCESS));
        assert_eq!(client.erase(id), Err(Status::ACCESS));
        assert_eq!(client.revoke(id), Err(Status::ACCESS));
        assert_eq!(client.encrypt(id), Err(Status::ACCESS));
        assert_eq!(client.wrap_export(5, id, 1), Err(Status::BAD_ARGUMENTS));
        assert_eq!(client.data_wrap(id, b"data"), Err(Status::NOT_FOUND));
    }
    assert_eq!(client.cache(0x0400, ANY, b"x"), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.evict(0x0400), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.erase(0x0400), Err(Status::BAD_ARGUMENTS));
}

#[test]
fn a_server_without_a_cache_still_answers() {
    let cache = CacheShape { small_slots: 0, small_size: 0, big_slots: 0, big_size: 0 };
    let server = VirtualServer::new(VirtualOptions { cache, ..VirtualOptions::default() });
    provision(&server, 0x1301, 0x07E0, &[1; 16]);
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.cache(2, ANY, b"key"), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.cache(2, ANY, b""), Err(Status::NO_SPACE));
    assert!(client.encrypt(1).is_ok());
    assert_eq!(client.export(1).unwrap(), [1; 16]);
}
