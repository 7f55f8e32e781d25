//! How often a signature is verified: with the verify cache, without it, and who shares it.

use casemate_crypto::{
    Aead, Cipher, Curve, Curve25519, Driver, EllipticCurve, Error, Hash, Mac, MlDsa, MlKem, NoRandom, Prefer,
    Random, Rsa, Software,
};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, ObjectStore, RamFlash};
use casemate_protocol::message::Request;
use casemate_protocol::message::certificate::{
    InitRequest, VerifyCacheClearRequest, VerifyCacheSetEnabledRequest, VerifyRequest,
};
use casemate_protocol::{ByteOrder, Flags, Header, KeyId, Metadata, ObjectId, Status};
use casemate_server::{
    Affinity, CacheShape, CertificateOptions, Config, HeapCache, Platform, Server, Session, SingleThread,
    VerifyCacheScope,
};
use casemate_x509::Certificate;
use std::cell::{Cell, RefCell};

fn certificate(name: &str) -> Vec<u8> {
    let text = include_str!("../../x509/tests/data/certificates.txt");
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    hex::decode(lines.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}")).1).unwrap()
}

/// Counts ECDSA verifications, and leaves them to the next driver.
#[derive(Default)]
struct Counter(Cell<usize>);

impl EllipticCurve for Counter {
    fn ecdsa_verify(&self, _: Curve, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), Error> {
        self.0.set(self.0.get() + 1);
        Err(Error::Unsupported)
    }
}
impl Random for Counter {}
impl Hash for Counter {}
impl Mac for Counter {}
impl Cipher for Counter {}
impl Aead for Counter {}
impl Curve25519 for Counter {}
impl Rsa for Counter {}
impl MlDsa for Counter {}
impl MlKem for Counter {}

struct Counting {
    driver: Prefer<Counter, Software<NoRandom>>,
    revoked: RefCell<Option<Vec<u8>>>,
}

impl Platform for Counting {
    type Store = FlashStore<RamFlash<Vec<u8>>, Vec<DirectoryEntry>>;
    type Cache = HeapCache;
    type Lock<T> = SingleThread<T>;

    fn crypto(&self, _: Affinity) -> &dyn Driver {
        &self.driver
    }

    fn accepts_certificate(&self, certificate: &Certificate<'_>) -> bool {
        self.revoked.borrow().as_deref() != Some(certificate.serial_number)
    }
}

struct Bench {
    server: Server<Counting>,
}

impl Bench {
    fn new(verify_cache: VerifyCacheScope) -> Self {
        let flash = RamFlash::new(vec![0; 64 * 1024], 0xFF);
        let mut store =
            FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 30], FlashOptions::new()).unwrap();
        let metadata = Metadata { id: ObjectId(1), ..Metadata::default() };
        store.add(&metadata, &certificate("root")).unwrap();
        let platform = Counting {
            driver: Prefer::new(Counter::default(), Software::new(NoRandom)),
            revoked: RefCell::new(None),
        };
        let certificates = CertificateOptions { verify_cache, ..CertificateOptions::default() };
        let config = Config { certificates, ..Config::default() };
        let cache = HeapCache::new(CacheShape::default());
        Self { server: Server::new(platform, config, store, cache).unwrap() }
    }

    fn session(&self) -> Session<Counting> {
        let mut session = Session::new(HeapCache::new(CacheShape::default()));
        self.ask(&mut session, &casemate_protocol::message::comm::InitRequest { client_id: 1 }, &[]);
        session
    }

    fn ask<R: Request>(&self, session: &mut Session<Counting>, request: &R, tail: &[u8]) -> Status {
        let header = Header { order: ByteOrder::Little, kind: R::KIND, sequence: 1, auxiliary: [0; 2] };
        let mut packet = header.encode().to_vec();
        let mut fixed = vec![0; R::SIZE];
        request.encode(ByteOrder::Little, &mut fixed).unwrap();
        packet.extend(fixed.iter().chain(tail));
        let mut response = vec![0; self.server.packet_size()];
        self.server.handle(session, &packet, &mut response).unwrap();
        Status(i32::from_le_bytes(response[8..12].try_into().unwrap()))
    }

    /// How many signatures were verified for a chain.
    fn verify(&self, session: &mut Session<Counting>, names: &str) -> (Status, usize) {
        let counter = &self.server.platform().driver.first().0;
        counter.set(0);
        let chain: Vec<u8> = names.split(' ').flat_map(certificate).collect();
        let request = VerifyRequest {
            length: chain.len() as u32,
            root: ObjectId(1),
            flags: 0,
            key_flags: Flags::NONE,
            key: KeyId::NONE,
        };
        (self.ask(session, &request, &chain), counter.get())
    }
}

#[test]
fn a_session_has_its_own() {
    let bench = Bench::new(VerifyCacheScope::Session);
    let (mut first, mut second) = (bench.session(), bench.session());
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 0));
    assert_eq!(bench.verify(&mut first, "inter leaf-second"), (Status::OK, 1));
    assert_eq!(bench.verify(&mut second, "inter leaf"), (Status::OK, 2));
    // INIT and CLEAR empty it, for this client.
    assert_eq!(bench.ask(&mut first, &InitRequest {}, &[]), Status::OK);
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.ask(&mut first, &VerifyCacheClearRequest {}, &[]), Status::OK);
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.verify(&mut second, "inter leaf"), (Status::OK, 0));
    // Off, it is empty and stays so.
    assert_eq!(bench.ask(&mut first, &VerifyCacheSetEnabledRequest { enable: 0 }, &[]), Status::OK);
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.ask(&mut first, &VerifyCacheSetEnabledRequest { enable: 1 }, &[]), Status::OK);
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 0));
}

#[test]
fn a_server_may_share_one() {
    let bench = Bench::new(VerifyCacheScope::Server);
    let (mut first, mut second) = (bench.session(), bench.session());
    assert_eq!(bench.verify(&mut first, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.verify(&mut second, "inter leaf"), (Status::OK, 0));
    // INIT leaves it alone, CLEAR and the switch act on all.
    assert_eq!(bench.ask(&mut first, &InitRequest {}, &[]), Status::OK);
    assert_eq!(bench.verify(&mut second, "inter leaf"), (Status::OK, 0));
    assert_eq!(bench.ask(&mut first, &VerifyCacheClearRequest {}, &[]), Status::OK);
    assert_eq!(bench.verify(&mut second, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.ask(&mut first, &VerifyCacheSetEnabledRequest { enable: 0 }, &[]), Status::OK);
    assert_eq!(bench.verify(&mut second, "inter leaf"), (Status::OK, 2));
}

#[test]
fn a_server_may_have_none() {
    let bench = Bench::new(VerifyCacheScope::Off);
    let mut session = bench.session();
    assert_eq!(bench.verify(&mut session, "inter leaf"), (Status::OK, 2));
    assert_eq!(bench.verify(&mut session, "inter leaf"), (Status::OK, 2));
}

/// What a port refuses is refused, remembered or not.
#[test]
fn a_port_refuses_what_was_revoked() {
    let bench = Bench::new(VerifyCacheScope::Session);
    let mut session = bench.session();
    assert_eq!(bench.verify(&mut session, "inter leaf"), (Status::OK, 2));
    let inter = certificate("inter");
    let serial_number = Certificate::decode(&inter).unwrap().serial_number.to_vec();
    *bench.server.platform().revoked.borrow_mut() = Some(serial_number);
    assert_eq!(bench.verify(&mut session, "inter leaf").0, Status::CERTIFICATE_VERIFICATION);
}
