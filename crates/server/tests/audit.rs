//! Security records: what is recorded, in which order, and that no secret ever is.

mod common;

use casemate_nvm::ObjectStore;
use casemate_protocol::message::nvm::action;
use casemate_protocol::{Flags, Group, Kind, Label, Metadata, ObjectId, Status};
use casemate_server::audit::{Entry, Event, Record, Ring};
use casemate_server::{Config, Isolation};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use common::{ANY, Client, MESSAGES, bytes};

const KEK: u8 = 0x40;

fn server() -> VirtualServer {
    let server = VirtualServer::default();
    let metadata = Metadata {
        id: ObjectId(0x1C00 | u16::from(KEK)),
        access: 0,
        flags: Flags::TRUSTED | Flags::USAGE_WRAP,
        length: 16,
        label: "kek".into(),
    };
    server.store(|store| store.add(&metadata, b"trusted kek key!")).unwrap();
    server
}

/// The events since the last call; all of them are of client 12.
fn events(client: &Client<'_>) -> Vec<Event> {
    client
        .server
        .take_records()
        .into_iter()
        .map(|record| {
            assert_eq!(record.client.map(|client| client.get()), Some(12));
            record.event
        })
        .collect()
}

#[test]
fn a_session_is_recorded_from_start_to_end() {
    let server = server();
    let mut client = Client::new(&server, 12);
    assert_eq!(client.init(12), Some(12), "a repeated INIT starts nothing");
    assert_eq!(events(&client), [Event::SessionStarted {}]);
    client.raw(Group::COMM, 3, &[]);
    assert_eq!(events(&client), [Event::SessionEnded {}]);
    server.server().end(client.session);
    assert_eq!(server.take_records(), [], "CLOSE has been recorded");

    let client = Client::new(&server, 12);
    events(&client);
    server.server().end(client.session);
    let ended =
        Record { client: casemate_protocol::ClientId::new(12), request: None, event: Event::SessionEnded {} };
    assert_eq!(server.take_records(), [ended]);

    let silent = Client::silent(&server);
    server.server().end(silent.session);
    assert_eq!(server.take_records(), [], "nobody was there");
}

#[test]
fn the_life_of_a_key() {
    let server = server();
    let mut client = Client::new(&server, 12);
    events(&client);
    let key = ObjectId(0x1C05);
    let flags = Flags(ANY as u16);

    client.cache(5, ANY, &[7; 16]).unwrap();
    assert_eq!(events(&client), [Event::KeyCreated { key, flags, length: 16 }]);
    client.commit(5).unwrap();
    assert_eq!(events(&client), [Event::KeyCommitted { key }]);
    client.export(5).unwrap();
    assert_eq!(events(&client), [Event::KeyExported { key }]);

    let kek = ObjectId(0x1C40);
    let blob = client.wrap_export(KEK.into(), 5, 1).unwrap();
    assert_eq!(events(&client), [Event::KeyWrapped { key, kek }]);
    client.unwrap_export(KEK.into(), &blob).unwrap();
    let wrapped = ObjectId(0x4C05);
    assert_eq!(events(&client), [Event::KeyUnwrapped { key: wrapped, kek }]);
    client.unwrap_cache(KEK.into(), &blob).unwrap();
    assert_eq!(
        events(&client),
        [Event::KeyUnwrapped { key: wrapped, kek }, Event::KeyCreated { key: wrapped, flags, length: 16 }]
    );

    client.encrypt(5).unwrap();
    assert_eq!(events(&client), [], "use of a key is not recorded");
    client.revoke(5).unwrap();
    client.revoke(5).unwrap();
    assert_eq!(events(&client), [Event::KeyRevoked { key }], "it can be revoked once");
    client.encrypt(5).unwrap_err();
    assert_eq!(events(&client), [Event::Refused { object: key, status: Status::USAGE }]);
    client.cache_random(6, ANY, 32).unwrap();
    client.erase(6).unwrap();
    let key = ObjectId(0x1C06);
    assert_eq!(events(&client), [Event::KeyCreated { key, flags, length: 32 }, Event::KeyErased { key }]);
}

#[test]
fn objects_and_counters() {
    let server = server();
    let mut client = Client::new(&server, 12);
    events(&client);
    let object = ObjectId(0x0042);
    client.add(0x42, 0x1000, b"12345").unwrap();
    assert_eq!(events(&client), [Event::ObjectStored { object, flags: Flags::NONE, length: 5 }]);
    client.read(0x42, 0, 5).unwrap();
    assert_eq!(events(&client), []);
    client.destroy(&[0x41, 0x42]).unwrap();
    assert_eq!(events(&client), [Event::ObjectDestroyed { object }], "the other one was not there");

    let counter = ObjectId(0x3C01);
    client.counter_init(1, 9).unwrap();
    client.counter_increment(1).unwrap();
    client.counter_destroy(1).unwrap();
    assert_eq!(
        events(&client),
        [Event::CounterSet { counter, value: 9 }, Event::CounterDestroyed { counter }]
    );
}

#[test]
fn refusals_name_the_object_and_the_message() {
    let server = server();
    let mut client = Client::new(&server, 12);
    client.cache(5, u32::from(Flags::NONEXPORTABLE.0 | Flags::NONMODIFIABLE.0), &[7; 16]).unwrap();
    client.add(0x42, Flags::NONDESTROYABLE.0, b"12345").unwrap();
    events(&client);

    let mut refused = |work: &mut dyn FnMut(&mut Client<'_>) -> Status, group, action, object| {
        let status = work(&mut client);
        let request = Some(Kind::new(group, action));
        let event = Event::Refused { object: ObjectId(object), status };
        let client_id = casemate_protocol::ClientId::new(12);
        assert_eq!(server.take_records(), [Record { client: client_id, request, event }]);
    };
    refused(&mut |client| client.export(5).unwrap_err(), Group::KEY, 2, 0x1C05);
    refused(&mut |client| client.cache(5, ANY, &[1; 16]).unwrap_err(), Group::KEY, 0, 0x1C05);
    refused(&mut |client| client.encrypt(5).unwrap_err(), Group::CRYPTO, 2, 0x1C05);
    refused(&mut |client| client.wrap_export(5, 5, 1).unwrap_err(), Group::KEY, 16, 0x1C05);
    refused(&mut |client| client.destroy(&[0x42]).unwrap_err(), Group::NVM, action::DESTROY, 0x0042);
    refused(&mut |client| client.destroy(&[0x42, 0x1305]).unwrap_err(), Group::NVM, action::DESTROY, 0x1305);
    refused(&mut |client| client.read(0x1301, 0, 1).unwrap_err(), Group::NVM, 8, 0x1301);
    refused(&mut |client| client.metadata(0xFE00).unwrap_err(), Group::NVM, action::METADATA, 0xFE00);
    refused(&mut |client| client.unwrap_cache(KEK.into(), &[3; 80]).unwrap_err(), Group::KEY, 10, 0x1C40);

    // What is no matter of policy leaves no record.
    client.export(99).unwrap_err();
    client.read(0x77, 0, 1).unwrap_err();
    client.raw(Group::KEY, 2, &[]);
    assert_eq!(server.take_records(), []);

    let mut silent = Client::silent(&server);
    silent.encrypt(5).unwrap_err();
    let before_init = Record {
        client: None,
        request: Some(Kind::new(Group::CRYPTO, 2)),
        event: Event::Refused { object: ObjectId::INVALID, status: Status::ACCESS },
    };
    assert_eq!(server.take_records(), [before_init]);
}

/// Every message with recognizable secrets in it; then no record, in either form, has six bytes in a row of any of them.
#[test]
fn no_record_contains_a_secret() {
    const WINDOW: usize = 6;
    let config = Config { isolation: Isolation::Original, ..Config::default() };
    let server = VirtualServer::new(VirtualOptions { config, ..VirtualOptions::default() });
    let kek = *b"\x9C\x31key-enc-key\x17\xE2\x55";
    let label = Label::from("secret label of the key");
    let metadata = Metadata { id: ObjectId(0x1340), access: 0, flags: Flags(0x1200), length: 16, label };
    server.store(|store| store.add(&metadata, &kek)).unwrap();

    let mut secrets: Vec<Vec<u8>> = vec![kek.into(), label.0.into()];
    let mut client = Client::new(&server, 3);
    // The messages' own payloads, and the same with keys that are no run of one byte.
    for &(group, action, payload, _) in MESSAGES {
        client.raw(Group(group), action, &bytes(payload));
    }
    let mut client = Client::new(&server, 3);
    let secret = |seed: u8, length: usize| -> Vec<u8> {
        (0..length).map(|index| (index as u8).wrapping_mul(37).wrapping_add(seed) ^ 0x5A).collect()
    };
    for (number, length) in [(20, 16), (21, 32), (22, 1000)] {
        let key = secret(number, length);
        client.cache(number.into(), ANY, &key).unwrap();
        client.commit(number.into()).unwrap();
        assert_eq!(client.export(number.into()).unwrap(), key);
        secrets.push(key);
    }
    client.cache_random(23, ANY, 32).unwrap();
    secrets.push(client.export(23).unwrap());
    let blob = client.wrap_export(KEK.into(), 20, 1).unwrap();
    client.unwrap_export(KEK.into(), &blob).unwrap();
    client.unwrap_cache(KEK.into(), &blob).unwrap();
    client.unwrap_cache(KEK.into(), &[blob.clone(), vec![1]].concat()).unwrap_err();
    let data = secret(99, 500);
    client.add(0x0050, 0, &data).unwrap();
    secrets.push(data);
    client.cache(24, u32::from(Flags::NONEXPORTABLE.0), &secret(24, 16)).unwrap();
    client.export(24).unwrap_err();
    secrets.push(secret(24, 16));
    secrets.push(secret(25, 16));
    client.cache(24, ANY, &secret(25, 16)).unwrap();

    let records = server.take_records();
    assert!(records.len() > 40, "{} records", records.len());
    for record in &records {
        let mut forms = vec![record.encode().to_vec(), record.to_string().into_bytes()];
        forms.push(format!("{record:?}").into_bytes());
        for secret in &secrets {
            for window in secret.windows(WINDOW) {
                // A run of zeros is the end of a short label.
                if window.iter().all(|byte| *byte == 0) {
                    continue;
                }
                let digits = hex::encode(window).into_bytes();
                for form in &forms {
                    let found = |needle: &[u8]| form.windows(needle.len()).any(|part| part == needle);
                    assert!(!found(window) && !found(&digits), "{record:?} contains {window:02x?}");
                }
            }
        }
    }
}

/// A device's use of the ring: filled while requests are served, read again after a reset.
#[test]
fn a_ring_takes_the_records_of_a_server() {
    let server = server();
    let mut client = Client::new(&server, 12);
    client.cache(5, ANY, &[7; 16]).unwrap();
    client.export(5).unwrap();
    let records = server.take_records();
    let mut ring = Ring::new([0; 8 * Entry::SIZE]);
    for (time, record) in (0..).zip(&records) {
        ring.push(time, record);
    }
    let memory = {
        let mut copy = [0; 8 * Entry::SIZE];
        copy[..].copy_from_slice(ring_memory(&ring).as_slice());
        copy
    };
    let recovered = Ring::recover(memory);
    let found: Vec<_> = recovered.iter().map(|entry| entry.record).collect();
    assert_eq!(found, records);
}

/// What would stand in the memory of a device: the entries as the ring lays them out.
fn ring_memory<M: AsRef<[u8]> + AsMut<[u8]> + Clone>(ring: &Ring<M>) -> Vec<u8> {
    ring.memory().as_ref().to_vec()
}

/// Groups whose success the response tells: SHE keys and certificates.
#[test]
fn loaded_she_keys_and_verified_certificates() {
    let server = server();
    server.set_now(Some(1_893_499_200));
    let mut client = Client::new(&server, 12);
    client.raw(Group::SHE, 0, &[7; 16]);
    client.raw(Group::SHE, 1, &[1, 0, 0, 0, 0, 0, 0, 0]);
    events(&client);
    client.raw(Group::SHE, 6, b"a plain SHE key!");
    let ram_key = ObjectId(0x2C0E);
    assert_eq!(events(&client), [Event::SheKeyLoaded { slot: ram_key }]);
    client.raw(Group::SHE, 5, &[9; 64]);
    let loaded = |event: &Event| matches!(event, Event::SheKeyLoaded { .. });
    assert!(!events(&client).iter().any(loaded), "an update that nobody has made");

    let text = include_str!("../../x509/tests/data/certificates.txt");
    let root =
        text.lines().find_map(|line| line.strip_prefix("root ")).map(|digits| hex::decode(digits).unwrap());
    let root = root.expect("a certificate");
    let length = u32::try_from(root.len()).unwrap().to_le_bytes();
    client.raw(Group::CERT, 2, &[&length[..], &[1, 0, 0xFF, 0xFF], &[0; 28], &root].concat());
    events(&client);
    let verify = |root: &[u8]| [&length[..], &[1, 0, 0, 0, 0, 0, 0, 0], root].concat();
    client.raw(Group::CERT, 5, &verify(&root));
    let root_object = ObjectId(1);
    assert_eq!(events(&client), [Event::CertificateVerified { root: root_object }]);
    let mut forged = root.clone();
    *forged.last_mut().unwrap() ^= 1;
    client.raw(Group::CERT, 5, &verify(&forged));
    let status = Status::CERTIFICATE_VERIFICATION;
    assert_eq!(events(&client), [Event::Refused { object: root_object, status }]);

    // The key of a leaf that is cached with it has a record of its own.
    let leaf = text.lines().find_map(|line| line.strip_prefix("self-leaf ")).expect("a certificate");
    let leaf = hex::decode(leaf).unwrap();
    let length = u32::try_from(leaf.len()).unwrap().to_le_bytes();
    client.raw(Group::CERT, 2, &[&length[..], &[2, 0, 0xFF, 0xFF], &[0; 28], &leaf].concat());
    events(&client);
    client.raw(Group::CERT, 5, &[&length[..], &[2, 0, 1, 0, 0, 2, 9, 0], &leaf].concat());
    let found = events(&client);
    assert!(matches!(found[0], Event::KeyCreated { key: ObjectId(0x1C09), .. }), "{found:?}");
    assert_eq!(found[1..], [Event::CertificateVerified { root: ObjectId(2) }]);
}
