//! Handling a request allocates nothing, whatever the message: a program of its own, whose allocator counts.
#![allow(unsafe_code, reason = "an allocator can be written in no other way")]

mod common;

use casemate_protocol::{Flags, Metadata, ObjectId};
use casemate_testkit::server::VirtualServer;
use common::{ANY, Client, MESSAGES, bytes};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_message_allocates() {
    let server = VirtualServer::default();
    let metadata =
        Metadata { id: ObjectId(0x1340), access: 0, flags: Flags(0x1200), length: 16, label: "kek".into() };
    server.store(|store| casemate_nvm::ObjectStore::add(store, &metadata, &[4; 16])).unwrap();
    let mut session = server.session();
    let mut response = vec![0; server.server().packet_size()];
    let mut handle = |group: u8, action: u8, payload: &[u8]| {
        let packet = [&[1, 0xA5, action, group, 0, 0, 0, 0][..], payload].concat();
        let before = ALLOCATIONS.get();
        let reply = server.handle(&mut session, &packet, &mut response);
        let allocations = ALLOCATIONS.get() - before;
        assert_eq!(allocations, 0, "group {group}, action {action}");
        response[8..reply.unwrap().length].to_vec()
    };
    let mut blobs = Vec::new();
    for &(group, action, payload, status) in MESSAGES {
        let payload = bytes(payload);
        let answer = handle(group, action, &payload);
        if let Some(at) = status {
            assert_eq!(answer[at..at + 4], [0; 4], "group {group}, action {action}");
        }
        // Every message again with its end cut off, and with a key that is not there.
        if (group, action) != (1, 3) {
            handle(group, action, &payload[..payload.len() / 2]);
        }
        if group == 3 && matches!(action, 8 | 11 | 16) {
            blobs.push((action, answer));
        }
    }
    // The messages whose requests hold what another answered.
    for (action, answer) in blobs {
        let again: &[u8] = match action {
            11 => &[12],
            _ => &[9, 10],
        };
        for &opening in again {
            let payload = if action == 11 {
                [&answer[4..8], &bytes("0500 0300"), &answer[12..]].concat()
            } else {
                let kek = if action == 16 { "4000" } else { "0500" };
                [&answer[4..6], &bytes(kek), &bytes("0300 0000"), &answer[8..]].concat()
            };
            let opened = handle(3, opening, &payload);
            // A key may enter the cache under a trusted key-encryption key only.
            let expected = if (action, opening) == (8, 10) { -2101 } else { 0 };
            assert_eq!(opened[..4], i32::to_le_bytes(expected), "{action} {opening}");
        }
    }
}

/// The messages about users, on a server that has them: logins by PIN and by certificate, and what administrators do.
#[test]
fn no_message_about_users_allocates() {
    use casemate_protocol::message::authentication::{Permissions, UserName};
    use casemate_server::{CertificateLogin, Config, UserPolicy};
    use casemate_testkit::server::VirtualOptions;
    let certificates = CertificateLogin::Replayable;
    let users = Some(UserPolicy { pin_iterations: 2, certificates, ..UserPolicy::default() });
    let config = Config { users, ..Config::default() };
    let options = VirtualOptions { config, device_key: Some([7; 32]), ..VirtualOptions::default() };
    let server = VirtualServer::new(options);
    server.server().load_users().unwrap();
    let admin = UserName::new(b"admin").unwrap();
    server.server().provision_user(admin, &Permissions::all(), b"1234").unwrap();
    let mut response = vec![0; server.server().packet_size()];
    let mut sessions = [server.session(), server.session()];
    let mut handle = |session: usize, group: u8, action: u8, payload: &[u8]| {
        let packet = [&[1, 0xA5, action, group, 0, 0, 0, 0][..], payload].concat();
        let before = ALLOCATIONS.get();
        let reply = server.handle(&mut sessions[session], &packet, &mut response);
        let allocations = ALLOCATIONS.get() - before;
        assert_eq!(allocations, 0, "group {group}, action {action}");
        i32::from_le_bytes(response[8..reply.unwrap().length][..4].try_into().unwrap())
    };
    let named = |name: &str| [name.as_bytes(), &vec![0; 32 - name.len()]].concat();
    let (_, _, root, _) = MESSAGES.iter().find(|message| (message.0, message.1) == (12, 2)).unwrap();
    let certificate = bytes(root).split_off(36);
    let length = u16::try_from(certificate.len()).unwrap().to_le_bytes();
    for session in 0..2 {
        handle(session, 1, 1, &[3, 0, 0, 0]);
        assert_eq!(handle(session, 2, 5, &[0; 6]), -2301);
    }
    let by_pin = |name: &str, pin: &[u8]| [&[1, 0], &named(name)[..], &[pin.len() as u8, 0], pin].concat();
    let by_certificate = [&[2, 0], &named("robot")[..], &length, &certificate].concat();
    assert_eq!(handle(0, 13, 0, &by_pin("admin", b"12345")), -2300);
    assert_eq!(handle(0, 13, 0, &by_pin("nobody", b"12345")), -2300);
    assert_eq!(handle(0, 13, 0, &by_pin("admin", b"1234")), 0);
    let add = |name: &str, method: u8, credential: &[u8]| {
        let length = u16::try_from(credential.len()).unwrap().to_le_bytes();
        [&named(name), &[1; 473][..], &[0], &[method, 0], &length, credential].concat()
    };
    assert_eq!(handle(0, 13, 2, &add("worker", 1, b"4711")), 0);
    assert_eq!(handle(0, 13, 2, &add("robot", 2, &certificate)), 0);
    assert_eq!(handle(0, 13, 4, &[&named("robot")[..], &[0; 2]].concat()), 0);
    assert_eq!(handle(0, 13, 5, &[&[3, 0], &[1; 473][..], &[0]].concat()), 0);
    assert_eq!(handle(1, 13, 0, &by_certificate), 0);
    assert_eq!(handle(1, 13, 1, &[3, 0, 0, 0]), 0);
    let set = [&[3, 0, 2, 0], &length[..], &length, &certificate, &certificate].concat();
    assert_eq!(handle(0, 13, 6, &set), 0);
    assert_eq!(handle(0, 13, 6, &[&[2, 0, 1, 0, 4, 0, 4, 0][..], b"47110815"].concat()), 0);
    assert_eq!(handle(1, 13, 0, &by_pin("worker", b"0815")), 0);
    assert_eq!(handle(0, 13, 3, &[2, 0, 0, 0]), 0);
    assert_eq!(handle(0, 13, 3, &[3, 0, 0, 0]), 0);
    assert_eq!(handle(0, 13, 1, &[1, 0, 0, 0]), 0);
}

/// The public-key messages: a key of each family is generated, used and exported.
#[test]
fn no_public_key_message_allocates() {
    let server = VirtualServer::default();
    let mut session = server.session();
    let mut response = vec![0; server.server().packet_size()];
    let mut handle = |group: u8, action: u8, payload: &[u8]| {
        let packet = [&[1, 0xA5, action, group, 0, 0, 0, 0][..], payload].concat();
        let before = ALLOCATIONS.get();
        let reply = server.handle(&mut session, &packet, &mut response);
        let allocations = ALLOCATIONS.get() - before;
        assert_eq!(allocations, 0, "group {group}, action {action}, algorithm {:?}", payload.first());
        response[8..reply.unwrap().length].to_vec()
    };
    handle(1, 1, &[3, 0, 0, 0]);
    // What a message answered behind its length takes the place of `ANSWER` in the next one.
    let families: [(u16, &[&str]); 6] = [
        (
            1,
            &[
                "08000000 00*8 E0070000 05000000 00040000 01000100 00*24",
                "11000000 00*8 00*4 05000000",
                "01000000 00*8 00000000 00*4 05000000 01000000 00100000 05",
                "01000000 00*8 01000000 00*4 05000000 01000000 00100000 05",
                "01000000 00*8 02000000 00*4 05000000 01000000 00100000 05",
                "01000000 00*8 03000000 00*4 05000000 01000000 00100000 05",
            ],
        ),
        (
            2,
            &[
                "09000000 00*8 42000000 10000000 05000000 E0070000 00*4 00*24",
                "09000000 00*8 30000000 0F000000 05000000 E0070000 00*4 00*24",
                "09000000 00*8 1C000000 0E000000 05000000 E0070000 00*4 00*24",
                "09000000 00*8 20000000 07000000 05000000 E0070000 00*4 00*24",
                "22000000 00*8 00*4 05000000",
                "23000000 00*8 00*4 05000000 07000000 00*4",
                "03000000 00*8 00*4 05000000 05000000 10000000 00*4 00*24",
                "03000000 00*8 00*4 05000000 05000000 00*4 07000000 00*24",
                "04000000 00*8 00*4 05000000 20000000 11*32",
                "05000000 00*8 02000000 05000000 08000000 20000000 3006020101020101 11*32",
            ],
        ),
        (
            3,
            &[
                "10000000 00*8 20000000 E0070000 05000000 00*24",
                "07000000 00*8 00*4 05000000 05000000 01000000 10000000 00*4 00*24",
                "07000000 00*8 00*4 05000000 05000000 01000000 00*4 07000000 00*24",
            ],
        ),
        (
            4,
            &[
                "0F000000 00*8 E0070000 05000000 FFFF0000 00*24",
                "06000000 00*8 00*4 05000000 03000000 FF000000 00*4 616263",
                "0E000000 00*8 00*4 05000000 40000000 03000000 FF000000 00*4 ANSWER 616263",
            ],
        ),
        (
            5,
            &[
                "15000000 01000000 00*4 00*4 02000000 05000000 E0070000 FFFF0000 00*24",
                "15000000 01000000 00*4 00*4 03000000 05000000 E0070000 FFFF0000 00*24",
                "15000000 01000000 00*4 00*4 05000000 05000000 E0070000 FFFF0000 00*24",
                "16000000 01000000 00*4 00*4 05000000 05000000 03000000 02000000 00*4 616263 6378",
                "17000000 01000000 00*4 00*4 05000000 05000000 13120000 03000000 02000000 00*4 00*4 00*4627 616263 6378",
            ],
        ),
        (
            6,
            &[
                "12000000 01000000 00*4 00000000 05000000 E0070000 FFFF0000 00*24",
                "12000000 01000000 00*4 01000000 05000000 E0070000 FFFF0000 00*24",
                "12000000 01000000 00*4 02000000 05000000 E0070000 FFFF0000 00*24",
                "13000000 01000000 00*4 00*4 02000000 05000000 00*4",
                "14000000 01000000 00*4 00*4 02000000 05000000 20060000 00*1568",
            ],
        ),
    ];
    for (export, messages) in families {
        let mut signature = String::new();
        for message in messages {
            let payload = bytes(&message.replace("ANSWER", &signature));
            let answer = handle(4, 3, &payload);
            assert_eq!(answer[4..8], [0; 4], "{message}");
            // With its end cut off, and with a key that is not there.
            handle(4, 3, &payload[..payload.len() - 1]);
            signature = answer.get(16..).map(hex::encode).unwrap_or_default();
        }
        let answer = handle(3, 13, &[&[5, 0][..], &export.to_le_bytes(), &[0; 4]].concat());
        assert_eq!(answer[..4], [0; 4], "export {export}");
        handle(3, 1, &bytes("0500 00*6"));
        for message in messages {
            handle(4, 3, &bytes(&message.replace("ANSWER", "00*64")));
        }
    }
}

/// The counter counts.
#[test]
fn the_allocator_notices() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1_u8]));
    assert_eq!(ALLOCATIONS.get(), before + 1);
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(1, ANY, &[1; 16]).unwrap();
}

/// The SHE messages, from the identifier to the MACs.
#[cfg(feature = "she")]
#[test]
fn no_she_message_allocates() {
    let server = VirtualServer::default();
    let mut session = server.session();
    let mut response = vec![0; server.server().packet_size()];
    let sequence = [
        (1, 1, "03000000"),
        (2, 4, "0023 0000 0000 1000 00*24 11*16"),
        (2, 4, "0223 0000 0000 1000 00*24 11*16"),
        // The CMAC of sixteen zeros, which stand before an empty image, under this key.
        (2, 4, "0323 0000 0000 1000 00*24 BOOT"),
        (2, 4, "0F23 0000 0000 1000 00*24 11*16"),
        (7, 0, "00*14 01 00"),
        (7, 1, "00*8"),
        (7, 2, "00*8"),
        (7, 3, ""),
        (7, 4, ""),
        (7, 6, "11*16"),
        (7, 7, ""),
        (7, 5, "EXPORTED"),
        (7, 8, ""),
        (7, 9, ""),
        (7, 10, "22*16"),
        (7, 11, "20000000 0E 00*3 33*32"),
        (7, 12, "20000000 0E 00*3 44*16 33*32"),
        (7, 13, "20000000 0E 00*3 33*32"),
        (7, 14, "20000000 0E 00*3 44*16 33*32"),
        (7, 15, "0E000000 21000000 55*33"),
        (7, 16, "0E000000 21000000 10000000 00*4 55*33 66*16"),
    ];
    let mut boot_mac = [0; 16];
    casemate_crypto::cmac(
        casemate_server::Platform::crypto(server.server().platform(), casemate_server::Affinity::Software),
        &[0x11; 16],
        &[&[0; 16]],
        &mut boot_mac,
    )
    .unwrap();
    let mut exported = Vec::new();
    for (group, action, payload) in sequence {
        let payload = match payload.strip_suffix("BOOT") {
            Some(payload) => [&bytes(payload)[..], &boot_mac].concat(),
            None if payload == "EXPORTED" => std::mem::take(&mut exported),
            None => bytes(payload),
        };
        let packet = [&[1, 0xA5, action, group, 0, 0, 0, 0][..], &payload].concat();
        let before = ALLOCATIONS.get();
        let reply = server.handle(&mut session, &packet, &mut response);
        assert_eq!(ALLOCATIONS.get() - before, 0, "group {group}, action {action}");
        let answer = &response[8..reply.unwrap().length];
        if group != 1 {
            assert_eq!(answer[..4], [0; 4], "group {group}, action {action}");
        }
        if (group, action) == (7, 7) {
            exported = answer[4..68].to_vec();
        }
    }
}
