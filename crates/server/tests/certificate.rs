//! Certificate messages with OpenSSL's chains: document 07, part A.

mod common;

use casemate_protocol::message::certificate::{
    AddTrustedRequest, EraseTrustedRequest, FLAG_CACHE_LEAF_KEY, InitRequest, ReadTrustedRequest,
    VerifyAttributeRequest, VerifyCacheClearRequest, VerifyCacheSetEnabledRequest, VerifyMultiRootRequest,
    VerifyRequest,
};
use casemate_protocol::message::key::ExportRequest;
use casemate_protocol::{Flags, Group, KeyId, Label, Metadata, ObjectId, Status};
use casemate_server::{CertificateOptions, Config, Isolation, VerifyCacheScope};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use common::Client;

/// 2030-01-01 12:00:00 UTC.
const NOW: u64 = 1_893_499_200;
const OK: Result<(), Status> = Ok(());
const REFUSED: Result<(), Status> = Err(Status::CERTIFICATE_VERIFICATION);

/// A certificate that `make.py` beside this file has made.
fn certificate(name: &str) -> Vec<u8> {
    let text = include_str!("../../x509/tests/data/certificates.txt");
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    hex::decode(lines.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}")).1).unwrap()
}

fn chain(names: &str) -> Vec<u8> {
    names.split_whitespace().flat_map(certificate).collect()
}

fn server() -> VirtualServer {
    with_options(CertificateOptions::default())
}

fn with_options(certificates: CertificateOptions) -> VirtualServer {
    let config = Config { certificates, ..Config::default() };
    let server = VirtualServer::new(VirtualOptions { config, ..VirtualOptions::default() });
    server.set_now(Some(NOW));
    server
}

/// What came of a VERIFY: its outcome, and the key identifier of the response.
type Verified = (Result<(), Status>, u16);

trait Certificates {
    fn cert_init(&mut self) -> Result<(), Status>;
    fn cert_add(&mut self, id: u16, flags: u16, data: &[u8]) -> Result<(), Status>;
    fn cert_erase(&mut self, id: u16) -> Result<(), Status>;
    fn cert_read(&mut self, id: u16) -> Result<Vec<u8>, (Status, u32)>;
    fn cert_verify(&mut self, root: u16, names: &str) -> Result<(), Status>;
    fn cert_verify_key(&mut self, root: u16, chain: &[u8], key: u16, key_flags: u16) -> Verified;
    fn cert_verify_roots(&mut self, roots: &[u16], chain: &[u8]) -> Verified;
    fn cert_verify_attribute(&mut self, root: u16, data: &[u8]) -> Result<(), Status>;
}

impl Certificates for Client<'_> {
    fn cert_init(&mut self) -> Result<(), Status> {
        self.ask(&InitRequest {}, &[]).0.status.into_result()
    }

    fn cert_add(&mut self, id: u16, flags: u16, data: &[u8]) -> Result<(), Status> {
        let request = AddTrustedRequest {
            length: data.len() as u32,
            id: ObjectId(id),
            access: 0xFFFF,
            flags: Flags(flags),
            label: Label::from("root"),
        };
        self.ask(&request, data).0.status.into_result()
    }

    fn cert_erase(&mut self, id: u16) -> Result<(), Status> {
        self.ask(&EraseTrustedRequest { id: ObjectId(id) }, &[]).0.status.into_result()
    }

    fn cert_read(&mut self, id: u16) -> Result<Vec<u8>, (Status, u32)> {
        let (response, data) = self.ask(&ReadTrustedRequest { id: ObjectId(id) }, &[]);
        if response.status == Status::OK {
            assert_eq!(response.length as usize, data.len());
            Ok(data)
        } else {
            assert!(data.is_empty());
            Err((response.status, response.length))
        }
    }

    fn cert_verify(&mut self, root: u16, names: &str) -> Result<(), Status> {
        self.cert_verify_roots(&[root], &chain(names)).0
    }

    fn cert_verify_key(&mut self, root: u16, chain: &[u8], key: u16, key_flags: u16) -> Verified {
        let request = VerifyRequest {
            length: chain.len() as u32,
            root: ObjectId(root),
            flags: FLAG_CACHE_LEAF_KEY,
            key_flags: Flags(key_flags),
            key: KeyId(key),
        };
        let (response, rest) = self.ask(&request, chain);
        assert!(rest.is_empty());
        (response.status.into_result(), response.key.0)
    }

    fn cert_verify_roots(&mut self, roots: &[u16], chain: &[u8]) -> Verified {
        let (flags, key_flags, key) = (0, Flags(0x07E0), KeyId::NONE);
        let length = chain.len() as u32;
        let response = if let [root] = roots {
            let request = VerifyRequest { length, root: ObjectId(*root), flags, key_flags, key };
            self.ask(&request, chain).0
        } else {
            let request = VerifyMultiRootRequest { length, roots: roots.len() as u16, flags, key_flags, key };
            let order = self.order;
            let ids = roots.iter().flat_map(|id| match order {
                casemate_protocol::ByteOrder::Little => id.to_le_bytes(),
                casemate_protocol::ByteOrder::Big => id.to_be_bytes(),
            });
            let tail: Vec<u8> = ids.chain(chain.iter().copied()).collect();
            self.ask(&request, &tail).0
        };
        (response.status.into_result(), response.key.0)
    }

    fn cert_verify_attribute(&mut self, root: u16, data: &[u8]) -> Result<(), Status> {
        let request = VerifyAttributeRequest { length: data.len() as u32, root: ObjectId(root) };
        self.ask(&request, data).0.status.into_result()
    }
}

// ----- roots (A.3) -----

#[test]
fn roots_are_stored_read_and_erased() {
    for big_endian in [false, true] {
        let server = server();
        let mut client = Client::new(&server, 1);
        if big_endian {
            client = client.big_endian();
        }
        assert_eq!(client.cert_init(), OK);
        let root = certificate("root");
        assert_eq!(client.cert_add(0x51, 0x1021, &root), OK);
        let metadata = client.metadata(0x51).unwrap();
        let expected = Metadata {
            id: ObjectId(0x51),
            access: 0xFFFF,
            flags: Flags(0x0021),
            length: root.len() as u16,
            label: Label::from("root"),
        };
        assert_eq!(metadata, expected, "without the flag that only the owner sets");
        assert_eq!(client.cert_read(0x51), Ok(root.clone()));
        // Another client sees the same root.
        let mut other = Client::new(&server, 2);
        assert_eq!(other.cert_read(0x51), Ok(root.clone()));
        assert_eq!(other.cert_verify(0x51, "inter leaf"), OK);
        // Unmodifiable: not replaced, but erased.
        assert_eq!(client.cert_add(0x51, 0, &root), Err(Status::ACCESS));
        assert_eq!(client.cert_erase(0x51), OK);
        assert_eq!(client.cert_erase(0x51), OK);
        assert_eq!(client.cert_read(0x51), Err((Status::NOT_FOUND, 0)));
        assert_eq!(client.cert_add(0x51, 0, &root), OK);
        assert_eq!(client.cert_add(0x51, 0, &certificate("inter")), OK);
        assert_eq!(client.cert_read(0x51), Ok(certificate("inter")));
    }
}

#[test]
fn flags_protect_roots() {
    let server = server();
    let mut client = Client::new(&server, 1);
    let root = certificate("root");
    assert_eq!(client.cert_add(1, 0x0004, &root), OK);
    assert_eq!(client.cert_read(1), Err((Status::ACCESS, 0)));
    assert_eq!(client.cert_verify(1, "inter leaf"), OK);
    assert_eq!(client.cert_add(2, 0x0800, &root), OK);
    assert_eq!(client.cert_erase(2), Err(Status::ACCESS));
    assert_eq!(client.cert_read(2), Ok(root.clone()));
    let trusted = Metadata { id: ObjectId(3), flags: Flags::TRUSTED, ..Metadata::default() };
    server.store(|store| casemate_nvm::ObjectStore::add(store, &trusted, &root)).unwrap();
    assert_eq!(client.cert_add(3, 0, &root), Err(Status::ACCESS));
    assert_eq!(client.cert_erase(3), Err(Status::ACCESS));
    assert_eq!(client.cert_read(3), Err((Status::ACCESS, 0)));
    assert_eq!(client.cert_verify(3, "inter leaf"), OK);
}

/// ERASETRUSTED removes unmodifiable roots, but is no way around the protection of other objects.
#[test]
fn unmodifiable_objects_that_are_no_certificates_stay() {
    let server = server();
    let mut client = Client::new(&server, 1);
    client.add(7, 0x0001, b"calibration").unwrap();
    assert_eq!(client.cert_erase(7), Err(Status::ACCESS));
    assert_eq!(client.metadata(7).unwrap().length, 11);
    client.add(8, 0, b"calibration").unwrap();
    assert_eq!(client.cert_erase(8), OK);
    // Any bytes may be stored as a root; what they are is seen when they are used.
    assert_eq!(client.cert_add(9, 0, b"garbage"), OK);
    assert_eq!(client.cert_verify(9, "inter leaf"), Err(Status::ABORTED));
    let strict = with_options(CertificateOptions { check_when_added: true, ..CertificateOptions::default() });
    let mut client = Client::new(&strict, 1);
    assert_eq!(client.cert_add(9, 0, b"garbage"), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.cert_add(9, 0, &certificate("root")), OK);
}

#[test]
fn keys_and_users_are_no_roots() {
    let server = server();
    let mut client = Client::new(&server, 1);
    let root = certificate("root");
    let ids = [0x1105, 0x1205, 0x1005, 0x2100, 0x2200, 0x3101, 0x4101, 0x5101, 0xFE00, 0xFE01];
    for id in ids {
        let metadata = Metadata { id: ObjectId(id), ..Metadata::default() };
        server.store(|store| casemate_nvm::ObjectStore::add(store, &metadata, &root)).unwrap();
        assert_eq!(client.cert_add(id, 0, &root), Err(Status::ACCESS), "{id:#06x}");
        assert_eq!(client.cert_read(id), Err((Status::ACCESS, 0)), "{id:#06x}");
        assert_eq!(client.cert_erase(id), Err(Status::ACCESS), "{id:#06x}");
        assert_eq!(client.cert_verify(id, "inter leaf"), Err(Status::NOT_FOUND), "{id:#06x}");
        assert_eq!(client.cert_verify_attribute(id, &certificate("attribute-ec")), Err(Status::NOT_FOUND));
    }
    let config = Config { isolation: Isolation::Original, ..Config::default() };
    let server = VirtualServer::new(VirtualOptions { config, ..VirtualOptions::default() });
    let mut client = Client::new(&server, 1);
    for id in ids {
        if ObjectId(id).is_user_database() {
            // The records of users are out of reach in any case.
            assert_eq!(client.cert_add(id, 0, &root), Err(Status::ACCESS), "{id:#06x}");
            continue;
        }
        assert_eq!(client.cert_add(id, 0, &root), OK, "{id:#06x}");
        assert_eq!(client.cert_read(id), Ok(root.clone()));
        assert_eq!(client.cert_verify(id, "inter leaf"), OK);
        assert_eq!(client.cert_erase(id), OK);
    }
}

/// A copy of the private container of a stateful signature key must not come back (document 03, §12.4).
#[test]
fn stateful_keys_do_not_come_in_as_roots() {
    let server = server();
    let mut client = Client::new(&server, 1);
    let private = [0x01, 0x53, 0x4D, 0x4C, 60, 0, 64, 0, 3, 0, 0, 0];
    assert_eq!(client.cert_add(1, 0, &private), Err(Status::ACCESS));
}

#[test]
fn a_root_longer_than_a_response_is_not_read() {
    let server = server();
    let mut client = Client::new(&server, 1);
    client.add(1, 0, &vec![7; 8160]).unwrap();
    assert_eq!(client.cert_read(1).unwrap().len(), 8160);
    let long = Metadata { id: ObjectId(2), ..Metadata::default() };
    server.store(|store| casemate_nvm::ObjectStore::add(store, &long, &vec![7; 8185])).unwrap();
    assert_eq!(client.cert_read(2), Err((Status::BUFFER_SIZE, 8185)));
    server.store(|store| casemate_nvm::ObjectStore::add(store, &long, &vec![7; 8184])).unwrap();
    assert_eq!(client.cert_read(2).unwrap().len(), 8184);
    server.store(|store| casemate_nvm::ObjectStore::add(store, &long, &vec![7; 8193])).unwrap();
    assert_eq!(client.cert_verify(2, "inter"), Err(Status::BUFFER_SIZE));
    assert_eq!(client.cert_verify(1, "inter"), Err(Status::ABORTED));
}

// ----- sizes (A.2) -----

#[test]
fn sizes_are_checked_first() {
    let server = server();
    let mut client = Client::new(&server, 1);
    client.cert_add(1, 0, &certificate("root")).unwrap();
    let mut status = |action: u8, payload: &[u8]| {
        let response = client.raw(Group::CERT, action, payload);
        assert_eq!(response.len(), 8, "action {action:#04x}");
        assert_eq!(response[4..], [0; 4], "action {action:#04x}");
        Status(i32::from_le_bytes(response[..4].try_into().unwrap()))
    };
    let root = common::bytes("0100 00*6");
    assert_eq!(status(1, &[]), Status::OK);
    assert_eq!(status(1, &[0; 99]), Status::OK);
    assert_eq!(status(7, &[]), Status::OK);
    assert_eq!(status(7, &[0; 99]), Status::OK);
    for length in [0, 35] {
        assert_eq!(status(2, &vec![0; length]), Status::BAD_ARGUMENTS);
    }
    assert_eq!(status(2, &common::bytes("05000000 0900 00*30 00*4")), Status::BAD_ARGUMENTS);
    assert_eq!(status(2, &common::bytes("00000000 0900 00*30")), Status::BAD_ARGUMENTS);
    for action in [3, 4] {
        assert_eq!(status(action, &root[..7]), Status::BAD_ARGUMENTS);
    }
    assert_eq!(status(5, &[0; 11]), Status::ABORTED);
    assert_eq!(status(5, &common::bytes("05000000 0100 00*6 00*4")), Status::BAD_ARGUMENTS);
    assert_eq!(status(5, &common::bytes("00000000 0100 00*6")), Status::BAD_ARGUMENTS);
    assert_eq!(status(6, &[0; 15]), Status::ABORTED);
    for roots in ["0000", "0900", "FFFF"] {
        let payload = common::bytes(&format!("04000000 {roots} 00*10 00*64"));
        assert_eq!(status(6, &payload), Status::BAD_ARGUMENTS, "{roots}");
    }
    assert_eq!(status(6, &common::bytes("04000000 0200 00*10 0100 0200 00*3")), Status::BAD_ARGUMENTS);
    for length in [0, 7, 9] {
        assert_eq!(status(8, &vec![0; length]), Status::ABORTED);
    }
    assert_eq!(status(8, &[1; 8]), Status::OK);
    assert_eq!(status(0x26, &[0; 7]), Status::ABORTED);
    assert_eq!(status(0x26, &common::bytes("05000000 0100 0000 00*4")), Status::BAD_ARGUMENTS);
    assert_eq!(status(0x26, &common::bytes("00000000 0100 0000")), Status::CRYPTO_ARGUMENT);
    for action in [0, 9, 0x21, 0x22, 0x23, 0x24, 0x25, 0x27, 0x28, 0x29, 0xFF] {
        assert!(client.raw(Group::CERT, action, &[0; 64]).is_empty(), "action {action:#04x}");
    }
}

// ----- verification (A.4, A.5) -----

#[test]
fn roots_are_found_before_the_chain_is_looked_at() {
    let server = server();
    let mut client = Client::new(&server, 1);
    client.cert_add(1, 0, &certificate("root")).unwrap();
    client.cert_add(2, 0, &certificate("other-root")).unwrap();
    client.cert_add(3, 0, &certificate("anchor-expired")).unwrap();
    let (good, other) = (chain("inter leaf"), chain("other-inter other-leaf"));
    let both = [&good[..], &other].concat();
    for (roots, chain, expected) in [
        (&[1, 2][..], &good, OK),
        (&[2, 1], &good, OK),
        (&[1, 2], &other, OK),
        (&[2, 1], &both, OK),
        (&[1, 1, 1, 2, 1, 2, 1, 2], &both, OK),
        (&[1, 99], &good, OK),
        (&[99, 1], &good, OK),
        (&[1, 99], &other, REFUSED),
        (&[99, 100], &good, Err(Status::NOT_FOUND)),
        (&[99, 100], &vec![0], Err(Status::NOT_FOUND)),
        (&[99, 100], &vec![], Err(Status::BAD_ARGUMENTS)),
        (&[1, 3], &good, Err(Status::ABORTED)),
        (&[1, 2], &vec![0], REFUSED),
    ] {
        assert_eq!(client.cert_verify_roots(roots, chain).0, expected, "{roots:?}");
    }
    client.order = casemate_protocol::ByteOrder::Big;
    assert_eq!(client.cert_verify_roots(&[2, 1], &both), (OK, 0));
}

#[test]
fn bytes_behind_a_root_do_not_matter() {
    let server = server();
    let mut client = Client::new(&server, 1);
    client.cert_add(1, 0, &[certificate("root"), vec![0; 7]].concat()).unwrap();
    assert_eq!(client.cert_verify(1, "inter leaf"), OK);
    assert_eq!(client.cert_verify(1, "other-inter"), REFUSED);
    assert_eq!(client.cert_verify_attribute(1, &certificate("attribute-ec")), OK);
}

/// Every row of the table of document 07, §A.5.
#[test]
fn chains_of_the_reference() {
    let server = server();
    let mut client = Client::new(&server, 1);
    let mut check = |anchor: &str, names: &str, expected| {
        client.cert_erase(1).unwrap();
        client.cert_add(1, 0, &certificate(anchor)).unwrap();
        assert_eq!(client.cert_verify(1, names), expected, "{anchor}: {names}");
    };
    check("root", "inter leaf", OK);
    check("root", "root inter leaf", OK);
    check("root", "inter", OK);
    check("root", "root", OK);
    check("root", "leaf", REFUSED);
    check("root", "leaf inter", REFUSED);
    check("root", "inter leaf leaf-second", OK);
    check("inter", "leaf", OK);
    check("inter", "inter leaf", REFUSED);
    check("self-leaf", "self-leaf", OK);
    check("leaf", "leaf", REFUSED);
    check("anchor-no-authority", "leaf-of-anchor-no-authority", OK);
    check("anchor-without-constraints", "leaf-of-anchor-without-constraints", OK);
    check("root", "inter-no-authority leaf-of-inter-no-authority", REFUSED);
    check("root", "inter-without-constraints leaf-of-inter-without-constraints", REFUSED);
    check("root", "inter-no-cert-sign leaf-of-inter-no-cert-sign", OK);
    check("root-limit0", "inter-of-root-limit0 leaf-of-inter-of-root-limit0", REFUSED);
    check("root", "inter-limit0 inter-below-limit0 leaf-below-limit0", REFUSED);
    check("root", "inter-dns leaf-dns-bad", REFUSED);
    check("root", "inter-dns leaf-dns-good", OK);
    check("root", "inter leaf-critical", REFUSED);
    check("root", "inter leaf-not-critical", OK);
    check("root", "inter leaf-of-inter-renamed", REFUSED);
    check("root", "inter leaf-extended-usage", OK);
    check("root", "inter leaf-expired", REFUSED);
    check("root", "inter leaf-future", REFUSED);
    check("root", "inter-expired leaf-of-inter-expired", REFUSED);
    check("anchor-expired", "leaf-of-anchor-expired", Err(Status::ABORTED));
    check("root", "inter leaf-key-rsa1024", OK);
    check("root", "inter leaf", OK);
    check("root", "inter leaf-key-p384", OK);
    check("root", "inter leaf-key-ed25519", OK);
    check("root-rsa2048-sha256", "leaf-rsa2048-sha256", OK);
    check("root-rsa3072-sha384", "leaf-rsa3072-sha384", OK);
    check("root-rsa4096-sha512", "leaf-rsa4096-sha512", OK);
    check("anchor-rsa768", "inter", Err(Status::ABORTED));
    let mut wrong = chain("inter leaf");
    *wrong.last_mut().unwrap() ^= 1;
    client.cert_erase(1).unwrap();
    client.cert_add(1, 0, &certificate("root")).unwrap();
    assert_eq!(client.cert_verify_roots(&[1], &wrong).0, REFUSED);
    let trailing = [&chain("inter leaf")[..], &[0]].concat();
    assert_eq!(client.cert_verify_roots(&[1], &trailing).0, REFUSED);
}

#[test]
fn without_a_clock_dates_do_not_matter() {
    let server = server();
    let mut client = Client::new(&server, 1);
    client.cert_add(1, 0, &certificate("root")).unwrap();
    client.cert_add(2, 0, &certificate("anchor-expired")).unwrap();
    assert_eq!(client.cert_verify(1, "inter leaf-expired"), REFUSED);
    server.set_now(None);
    assert_eq!(client.cert_verify(1, "inter leaf-expired"), OK);
    assert_eq!(client.cert_verify(2, "leaf-of-anchor-expired"), OK);
    server.set_now(Some(NOW - 600));
    assert_eq!(client.cert_verify(1, "inter leaf-expired"), OK);
}

#[test]
fn strict_options() {
    let server = with_options(CertificateOptions::STRICT);
    let mut client = Client::new(&server, 1);
    for (id, name) in [(1, "root"), (2, "self-leaf"), (3, "anchor-rsa1024"), (4, "other-root")] {
        client.cert_add(id, 0, &certificate(name)).unwrap();
    }
    assert_eq!(client.cert_verify(1, "inter leaf"), OK);
    assert_eq!(client.cert_verify(1, "inter-no-cert-sign leaf-of-inter-no-cert-sign"), REFUSED);
    assert_eq!(client.cert_verify(2, "self-leaf"), Err(Status::ABORTED));
    assert_eq!(client.cert_verify(3, "leaf-of-anchor-rsa1024"), Err(Status::ABORTED));
    assert_eq!(client.cert_verify(4, "other-inter other-leaf"), OK);
    assert_eq!(client.cert_verify(1, "inter leaf-key-rsa1024"), REFUSED);
    assert_eq!(client.cert_verify_attribute(1, &certificate("attribute-ec")), OK);
    assert_eq!(client.cert_verify_attribute(1, &certificate("attribute-expired")), REFUSED);
    assert_eq!(client.cert_verify_attribute(1, &certificate("attribute-other-issuer")), REFUSED);
}

// ----- the leaf's key (A.6) -----

fn public_key(name: &str) -> Vec<u8> {
    let certificate = certificate(name);
    casemate_x509::Certificate::decode(&certificate).unwrap().public_key.to_vec()
}

#[test]
fn the_key_of_the_leaf_is_cached() {
    let server = server();
    let mut client = Client::new(&server, 1);
    client.cert_add(1, 0, &certificate("root")).unwrap();
    let good = chain("inter leaf");
    assert_eq!(client.cert_verify_key(1, &good, 0, 0x17E0), (OK, 0xFF));
    let exported = client.ask(&ExportRequest { id: KeyId(0xFF) }, &[]);
    assert_eq!((exported.0.label, exported.1), (Label::from("cert_pubkey"), public_key("leaf")));
    assert_eq!(client.cert_verify_key(1, &good, 0, 0x07E0), (OK, 0xFE));
    assert_eq!(client.cert_verify_key(1, &good, 0x0100, 0x07E0), (OK, 0x01FF));
    assert_eq!(client.export(0x01FF).unwrap(), public_key("leaf"));
    // The last leaf wins, whether the identifier was chosen or given.
    let two = chain("inter leaf leaf-second");
    assert_eq!(client.cert_verify_key(1, &two, 0, 0), (OK, 0xFD));
    assert_eq!(client.export(0xFD).unwrap(), public_key("leaf-second"));
    assert_eq!(client.cert_verify_key(1, &two, 0x20, 0), (OK, 0x20));
    assert_eq!(client.export(0x20).unwrap(), public_key("leaf-second"));
    // An identifier may be used again, unless its key is unmodifiable.
    assert_eq!(client.cert_verify_key(1, &good, 0x20, 0x0001), (OK, 0x20));
    assert_eq!(client.cert_verify_key(1, &two, 0x20, 0), (REFUSED, 0x20));
    assert_eq!(client.export(0x20).unwrap(), public_key("leaf"));
    // No leaf, no key.
    assert_eq!(client.cert_verify_key(1, &certificate("inter"), 0, 0), (OK, 0));
    assert_eq!(client.cert_verify_key(1, &certificate("inter"), 0x21, 0), (OK, 0x21));
    assert_eq!(client.export(0x21), Err(Status::NOT_FOUND));
    // No verification, no key.
    assert_eq!(client.cert_verify_key(1, &certificate("leaf"), 0x22, 0), (REFUSED, 0x22));
    assert_eq!(client.export(0x22), Err(Status::NOT_FOUND));
    assert_eq!(client.cert_verify_key(99, &good, 0x22, 0), (Err(Status::NOT_FOUND), 0x22));
    // Wrapped keys are not chosen for.
    assert_eq!(client.cert_verify_key(1, &good, 0x0200, 0).0, REFUSED);
    // Not asked for.
    assert_eq!(client.cert_verify_roots(&[1], &good), (OK, 0));
}

#[test]
fn the_cached_key_belongs_to_the_client() {
    let server = server();
    let mut client = Client::new(&server, 1);
    let mut other = Client::new(&server, 2);
    client.cert_add(1, 0, &certificate("root")).unwrap();
    assert_eq!(client.cert_verify_key(1, &chain("inter leaf"), 5, 0x0004), (OK, 5));
    assert_eq!(client.export(5), Err(Status::ACCESS));
    assert_eq!(other.export(5), Err(Status::NOT_FOUND));
}

#[test]
fn a_full_cache_refuses_the_chain() {
    let server = server();
    let mut client = Client::new(&server, 1);
    client.cert_add(1, 0, &certificate("root")).unwrap();
    let good = chain("inter leaf");
    let cached = (0..20).filter(|_| client.cert_verify_key(1, &good, 0, 0).0 == OK).count();
    assert_eq!(cached, 3 + 9, "big slots, then small ones");
    assert_eq!(client.cert_verify_key(1, &good, 0, 0), (REFUSED, 0));
    assert_eq!(client.cert_verify_roots(&[1], &good).0, OK);
}

// ----- the verify cache (A.7) -----

/// What the cache holds changes no outcome; that it is used at all is seen in `certificate_cache.rs`.
#[test]
fn the_cache_lets_no_other_chain_pass() {
    for verify_cache in [VerifyCacheScope::Off, VerifyCacheScope::Session, VerifyCacheScope::Server] {
        let server = with_options(CertificateOptions { verify_cache, ..CertificateOptions::default() });
        let mut client = Client::new(&server, 1);
        client.cert_add(1, 0, &certificate("root")).unwrap();
        client.cert_add(2, 0, &certificate("other-root")).unwrap();
        let whole = "inter-limit1 inter-below-limit1 leaf-below-limit1";
        for _ in 0..2 {
            assert_eq!(client.cert_verify(1, whole), OK);
            assert_eq!(client.cert_verify(1, "inter leaf"), OK);
            // The original's cache lets these pass the second time.
            assert_eq!(client.cert_verify(1, "inter-below-limit1 leaf-below-limit1"), REFUSED);
            assert_eq!(client.cert_verify(1, "leaf"), REFUSED);
            assert_eq!(client.cert_verify(2, whole), REFUSED);
        }
        server.set_now(Some(u64::MAX));
        assert_eq!(client.cert_verify(1, "inter leaf"), Err(Status::ABORTED));
        server.set_now(Some(NOW));
        // Another root under the same identifier.
        client.cert_add(1, 0, &certificate("other-root")).unwrap();
        assert_eq!(client.cert_verify(1, "inter leaf"), REFUSED);
        let mut wrong = chain("other-inter other-leaf");
        assert_eq!(client.cert_verify_roots(&[1], &wrong).0, OK);
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(client.cert_verify_roots(&[1], &wrong).0, REFUSED);
        assert_eq!(client.ask(&VerifyCacheClearRequest {}, &[]).0.status, Status::OK);
        for enable in [0, 7] {
            let request = VerifyCacheSetEnabledRequest { enable };
            assert_eq!(client.ask(&request, &[]).0.status, Status::OK);
            assert_eq!(client.cert_verify(1, "other-inter other-leaf"), OK);
        }
    }
}

// ----- attribute certificates (A.8) -----

#[test]
fn attribute_certificates() {
    let server = server();
    let mut client = Client::new(&server, 1);
    for (id, name) in [(1, "root"), (2, "other-root"), (3, "leaf"), (4, "anchor-expired"), (5, "inter")] {
        client.cert_add(id, 0, &certificate(name)).unwrap();
    }
    client.cert_add(6, 0, b"garbage").unwrap();
    for (root, name, expected) in [
        (1, "attribute-ec", OK),
        (1, "attribute-ec-sha512", OK),
        (2, "attribute-rsa", OK),
        (1, "attribute-expired", OK),
        (1, "attribute-other-issuer", OK),
        (3, "attribute-of-leaf", OK),
        (4, "attribute-of-expired", OK),
        (5, "attribute-ec", REFUSED),
        (2, "attribute-ec", REFUSED),
        (99, "attribute-ec", Err(Status::NOT_FOUND)),
        (6, "attribute-ec", Err(Status::ASN_PARSE)),
        (1, "leaf", Err(Status::ASN_PARSE)),
    ] {
        assert_eq!(client.cert_verify_attribute(root, &certificate(name)), expected, "{root}: {name}");
    }
    let longer = [certificate("attribute-ec"), vec![1, 2, 3]].concat();
    assert_eq!(client.cert_verify_attribute(1, &longer), OK);
    let mut wrong = certificate("attribute-ec");
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(client.cert_verify_attribute(1, &wrong), REFUSED);
}
