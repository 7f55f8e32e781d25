//! The NVM and COUNTER groups as a client sees them (document 02, §6 and §7).

mod common;

use casemate_nvm::ObjectStore;
use casemate_protocol::{ByteOrder, Flags, Group, Label, Metadata, ObjectId, Status};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use common::{Client, bytes};

const CLIENT: u32 = 3;
const TRUSTED: u16 = 0x1000;

fn provision(server: &VirtualServer, id: u16, flags: u16, data: &[u8]) {
    let metadata = Metadata {
        id: ObjectId(id),
        access: 7,
        flags: Flags(flags),
        length: data.len().try_into().unwrap(),
        label: "given".into(),
    };
    server.store(|store| store.add(&metadata, data)).unwrap();
}

#[test]
fn messages_in_both_byte_orders() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.raw(Group::NVM, 1, &bytes("04030201")), bytes("00000000 39000000 04030201"));
    assert_eq!(client.raw(Group::NVM, 2, &[]), bytes("00000000"));
    // 65536 bytes of partition without 24 and 30 times 56 of directory.
    assert_eq!(client.raw(Group::NVM, 3, &[]), bytes("00000000 58F90000 00000000 1E00 0000"));
    let add = "4200 FFFF FFFF 0500 6C6162656C 00*19 0102030405";
    assert_eq!(client.raw(Group::NVM, 4, &bytes(add)), bytes("00000000"));
    assert_eq!(client.raw(Group::NVM, 5, &bytes("0000 0000 0000")), bytes("00000000 0100 4200"));
    let metadata = "00000000 4200 FFFF FFEF 0500 6C6162656C 00*19";
    assert_eq!(client.raw(Group::NVM, 6, &bytes("4200")), bytes(metadata));
    assert_eq!(client.raw(Group::NVM, 8, &bytes("4200 0100 FF00")), bytes("CBF7FFFF"));
    client.order = ByteOrder::Big;
    assert_eq!(
        client.raw(Group::NVM, 6, &bytes("0042")),
        bytes("00000000 0042 FFFF EFFF 0005 6C6162656C 00*19")
    );
    let add = "0043 1234 0000 0005 00*24 0102030405";
    assert_eq!(client.raw(Group::NVM, 4, &bytes(add)), bytes("00000000"));
    assert_eq!(client.raw(Group::NVM, 8, &bytes("0043 0001 00FF")), bytes("00000000 02030405"));
    assert_eq!(client.raw(Group::NVM, 7, &bytes("0001 0043 00*36")), bytes("00000000"));
    assert_eq!(client.raw(Group::NVM, 6, &bytes("0043")), bytes("FFFFF7C8 00*32"));
    // Counters: the value stands in the label, little-endian.
    assert_eq!(client.raw(Group::COUNTER, 0, &bytes("01020304 0005 EEEE")), bytes("00000000 01020304"));
    assert_eq!(client.raw(Group::COUNTER, 1, &bytes("0005 EE*6")), bytes("00000000 01020305"));
    client.order = ByteOrder::Little;
    assert_eq!(client.raw(Group::COUNTER, 2, &bytes("0500 EE*6 EE")), bytes("00000000 05030201"));
    assert_eq!(
        client.raw(Group::NVM, 6, &bytes("0533")),
        bytes("00000000 0533 0000 0000 0000 05030201 00*20")
    );
    assert_eq!(client.raw(Group::COUNTER, 3, &bytes("0500 EE*6")), bytes("00*8"));
    assert_eq!(client.raw(Group::COUNTER, 2, &bytes("0500 EE*6")), bytes("C8F7FFFF 00000000"));
}

/// Sizes must match exactly; an answer of the usual size says ABORTED.
#[test]
fn wrong_sizes() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    for (action, right, answer) in
        [(1, 4, 12), (2, 0, 4), (3, 0, 16), (5, 6, 8), (6, 2, 36), (7, 40, 4), (8, 6, 4)]
    {
        for length in [0, 1, right - 1, right + 1, 100] {
            let length: i32 = length;
            if length == right || length < 0 {
                continue;
            }
            let mut expected = vec![0; answer];
            expected[..4].copy_from_slice(&Status::ABORTED.0.to_le_bytes());
            let payload = vec![0; usize::try_from(length).unwrap()];
            assert_eq!(client.raw(Group::NVM, action, &payload), expected, "{action}: {length}");
        }
    }
    for length in [0, 31] {
        assert_eq!(client.raw(Group::NVM, 4, &vec![0; length]), bytes("2EF8FFFF"));
    }
    // A length that is not that of the data: the original says 0 and stores nothing; this server says so.
    for data in ["", "00", "00*3"] {
        let add = format!("4200 0000 0000 0200 00*24 {data}");
        assert_eq!(client.raw(Group::NVM, 4, &bytes(&add)), bytes("2EF8FFFF"));
    }
    assert_eq!(client.list(), []);
    // Counters take longer requests, but no shorter ones.
    for action in 0..4 {
        for length in 0..8 {
            assert_eq!(client.raw(Group::COUNTER, action, &vec![0; length]), bytes("30F8FFFF 00000000"));
        }
    }
}

#[test]
fn adding() {
    let server = VirtualServer::default();
    provision(&server, 1, TRUSTED, b"x");
    provision(&server, 2, 0x0001, b"x");
    provision(&server, 3, 0x0804, b"x");
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.add(1, 0, b"y"), Err(Status::ACCESS));
    assert_eq!(client.add(2, 0, b"y"), Err(Status::ACCESS));
    assert_eq!(client.add(3, 0, b"y"), Ok(()));
    assert_eq!(client.read(3, 0, 9).unwrap(), b"y");
    assert_eq!(client.add(4, 0xFFFF, b"y"), Ok(()));
    assert_eq!(client.metadata(4).unwrap().flags, Flags(0xEFFF));
    assert_eq!(client.metadata(4).unwrap().access, 0x1234);
    assert_eq!(client.add(0, 0, b"y"), Err(Status::BAD_ARGUMENTS));
    let stateful = bytes("0153 4D58 3C00 4000 0300 0000");
    assert_eq!(client.add(5, 0, &stateful), Err(Status::ACCESS));
    assert_eq!(client.add(5, 0, &stateful[..11]), Ok(()));
    assert_eq!(client.add(6, 0, b""), Ok(()));
    let longest = vec![6; 8160];
    assert_eq!(client.add(7, 0, &longest), Ok(()));
    assert_eq!(client.read(7, 0, 8188).unwrap(), longest);
    // LIST shows them in the order in which they came.
    assert_eq!(client.list(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(client.list_from(9), Ok((0, 0)));
    assert_eq!(client.list_from(7), Ok((0, 0)));
    assert_eq!(client.list_from(5), Ok((2, 6)));
}

#[test]
fn no_space_until_compaction() {
    let options = VirtualOptions { objects: 4, ..VirtualOptions::default() };
    let server = VirtualServer::new(options);
    let mut client = Client::new(&server, CLIENT);
    for id in 1..=4 {
        client.add(1, 0, &[id]).unwrap();
    }
    assert_eq!(client.add(2, 0, b"x"), Err(Status::NO_SPACE));
    let available = client.raw(Group::NVM, 3, &[]);
    assert_eq!(available[12..], bytes("0000 0300"));
    client.destroy(&[]).unwrap();
    client.add(2, 0, b"x").unwrap();
    assert_eq!(client.read(1, 0, 1).unwrap(), [4]);
    // Counters compact by themselves, until every entry is alive.
    for value in 1..20 {
        client.counter_init(1, value).unwrap();
    }
    client.counter_init(2, 1).unwrap();
    assert_eq!(client.counter_init(3, 1), Err(Status::NO_SPACE));
    assert_eq!(client.counter_increment(1), Err(Status::NO_SPACE));
    assert_eq!(client.counter_read(1), Ok(19));
}

#[test]
fn reading_checks_in_order() {
    let server = VirtualServer::default();
    provision(&server, 1, 0x0004, b"hidden");
    provision(&server, 2, TRUSTED, b"trusted");
    provision(&server, 3, 0, b"");
    provision(&server, 4, 0, b"four");
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.read(9, 0, 8189), Err(Status::ABORTED), "the length comes first");
    assert_eq!(client.read(9, 0, 8188), Err(Status::NOT_FOUND));
    assert_eq!(client.read(1, 6, 1), Err(Status::BAD_ARGUMENTS), "then the offset");
    assert_eq!(client.read(1, 5, 0), Err(Status::ACCESS));
    assert_eq!(client.read(2, 7, 1), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.read(2, 0, 1), Err(Status::ACCESS));
    assert_eq!(client.read(3, 0, 0), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.read(4, 0, 0), Ok(vec![]));
    assert_eq!(client.read(4, 1, 2).unwrap(), b"ou");
    assert_eq!(client.read(4, 3, 0xFFF).unwrap(), b"r");
    assert_eq!(client.read(4, 4, 1), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.read(4, 0xFFFF, 1), Err(Status::BAD_ARGUMENTS));
    // Metadata are not protected.
    assert_eq!(client.metadata(2).unwrap().label, Label::from("given"));
}

#[test]
fn destroying_is_all_or_nothing() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    for (id, flags) in [(1, 0), (2, 0), (3, 0x0001), (4, 0x0800), (5, TRUSTED)] {
        provision(&server, id, flags, b"x");
    }
    for id in 3..=5 {
        assert_eq!(client.destroy(&[1, id, 2]), Err(Status::ACCESS));
    }
    assert_eq!(client.list(), [1, 2, 3, 4, 5]);
    assert_eq!(client.destroy(&[9, 1, 1, 0]), Ok(()), "absent ones are skipped");
    assert_eq!(client.list(), [2, 3, 4, 5]);
    assert_eq!(client.destroy(&[2; 19]), Ok(()));
    assert_eq!(client.raw(Group::NVM, 7, &bytes("1400 00*38")), bytes("2EF8FFFF"));
}

#[test]
fn counters() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, CLIENT);
    assert_eq!(client.counter_increment(1), Err(Status::NOT_FOUND));
    assert_eq!(client.counter_read(1), Err(Status::NOT_FOUND));
    assert_eq!(client.counter_destroy(1), Ok(()));
    assert_eq!(client.counter_init(1, 0xFFFF_FFFE), Ok(0xFFFF_FFFE));
    assert_eq!(client.counter_increment(1), Ok(0xFFFF_FFFF));
    // At the end it stays, and nothing is written.
    let before = client.raw(Group::NVM, 3, &[]);
    assert_eq!(client.counter_increment(1), Ok(0xFFFF_FFFF));
    assert_eq!(client.raw(Group::NVM, 3, &[]), before);
    assert_eq!(client.counter_init(1, 5), Ok(5), "a lower value");
    // Only the low byte of the identifier counts; 0 is a counter.
    assert_eq!(client.counter_read(0x0201), Ok(5));
    assert_eq!(client.counter_init(0x0100, 9), Ok(9));
    assert_eq!(client.counter_read(0), Ok(9));
    // An increment keeps access, flags and the rest of the label, and drops data.
    let mut label = [7; 24];
    label[..4].copy_from_slice(&[1, 0, 0, 0]);
    let metadata =
        Metadata { id: ObjectId(0x3302), access: 0x55, flags: Flags(0x0801), length: 4, label: Label(label) };
    server.store(|store| store.add(&metadata, b"data")).unwrap();
    assert_eq!(client.counter_increment(2), Ok(2));
    label[0] = 2;
    let expected = Metadata { length: 0, label: Label(label), ..metadata };
    assert_eq!(client.metadata(0x3302), Ok(expected));
    // INIT overwrites all of it, and DESTROY heeds no flag.
    assert_eq!(client.counter_destroy(2), Ok(()));
    assert_eq!(client.metadata(0x3302), Err(Status::NOT_FOUND));
}

/// Document 02, §6: what a server without a store says.
#[test]
fn no_store() {
    use casemate_nvm::NoStore;
    let server = VirtualServer::with_store(VirtualOptions::default(), NoStore);
    let mut session = server.session();
    let mut ask = |group: u8, action: u8, payload: &str| {
        let packet = [&[1, 0xA5, action, group, 0, 0, 0, 0][..], &bytes(payload)].concat();
        server.request(&mut session, &packet).unwrap()[8..].to_vec()
    };
    ask(1, 1, "03000000");
    assert_eq!(ask(2, 1, "01000000"), bytes("00000000 39000000 01000000"));
    assert_eq!(ask(2, 2, ""), bytes("00000000"));
    for (action, payload, size) in [
        (3, "", 16),
        (4, "4200 0000 0000 0000 00*24", 4),
        (5, "00*6", 8),
        (6, "4200", 36),
        (7, "00*40", 4),
        (8, "4200 0000 0100", 4),
    ] {
        let mut expected = vec![0; size];
        expected[..4].copy_from_slice(&Status::BAD_ARGUMENTS.0.to_le_bytes());
        assert_eq!(ask(2, action, payload), expected, "{action}");
    }
    for action in 0..3 {
        assert_eq!(ask(8, action, "00*8"), bytes("30F8FFFF 00000000"));
    }
    assert_eq!(ask(8, 3, "00*8"), bytes("30F8FFFF 00000000"));
    // Keys live in the cache only.
    assert_eq!(ask(3, 0, "E0070000 01000000 00000000 0500 0000 00*24 AA"), bytes("00000000 0500 00*6"));
    assert_eq!(ask(3, 3, "0500 00*6"), bytes("30F8FFFF 00*8"), "COMMIT");
    assert_eq!(ask(3, 2, "0500 00*6"), bytes("00000000 01000000 00*24 00*4 AA"));
    assert_eq!(ask(3, 2, "0600 00*6")[..4], bytes("C8F7FFFF"));
    assert_eq!(ask(3, 4, "0500 00*6"), bytes("00*12"), "ERASE");
    assert_eq!(ask(3, 0, "E0070000 01000000 00000000 0000 0000 00*24 AA"), bytes("00000000 FF00 00*6"));
}
