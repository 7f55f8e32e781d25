//! The image manager with images from an independent signer (`fixtures/make_images.py`), whole and tampered with.
#![cfg(feature = "images")]

use casemate_crypto::MlDsaSet;
use casemate_nvm::ObjectStore;
use casemate_protocol::{ClientId, Flags, Metadata, ObjectId, ObjectType, Status};
use casemate_server::audit::Event;
use casemate_server::image::{
    AesCmac, Ecdsa, Ed25519, Evidence, Fault, Header, Image, ImageKind, ImageMemory, ImageReadError, Method,
    MlDsa, NoAction, Region, Rsa, Summary, Tag, Verified,
};
use casemate_testkit::server::VirtualServer;
use std::cell::RefCell;

const KEY: ObjectId = ObjectId::new(ObjectType::CRYPTO, ClientId::NONE, 1);
const SIGNATURE: ObjectId = ObjectId(0x0100);
const FLOOR: ObjectId = ObjectId(0xFE80);
/// Where headers begin in the tests' memory; payloads follow.
const HEADER_AT: u64 = 0x1000;
const PAYLOAD_AT: u64 = 0x4000;

const RAW: [(&str, &dyn Method); 8] = [
    ("ecdsa-p256", &Ecdsa::P256),
    ("ecdsa-p384", &Ecdsa::P384),
    ("ecdsa-p521", &Ecdsa::P521),
    ("aes-cmac", &AesCmac),
    ("rsa-2048-bare", &Rsa::RAW_2048),
    ("rsa-2048-pkcs1", &Rsa::PKCS1_2048),
    ("ed25519", &Ed25519),
    ("ml-dsa-44", &MlDsa(MlDsaSet::MlDsa44)),
];
const WOLFBOOT: [(&str, &dyn Method); 6] = [
    ("wolfboot-rsa-4096", &Rsa::WOLFBOOT_4096),
    ("wolfboot-rsa-4096-info", &Rsa::WOLFBOOT_4096),
    ("wolfboot-p256", &Ecdsa::P256),
    ("wolfboot-p384", &Ecdsa::P384),
    ("wolfboot-ed25519", &Ed25519),
    ("wolfboot-ml-dsa-65", &MlDsa(MlDsaSet::MlDsa65)),
];

fn payload() -> Vec<u8> {
    (0..5000_u32).map(|index| ((7 * index + 3) % 251) as u8).collect()
}

/// A part of a fixture.
fn fixture(name: &str, part: &str) -> Vec<u8> {
    let cases: serde_json::Value = serde_json::from_str(include_str!("fixtures/images.json")).unwrap();
    hex::decode(cases[name][part].as_str().expect("a fixture")).unwrap()
}

/// Memory with a header and a payload, which counts how often each byte is read.
#[derive(Clone)]
struct Flash {
    header: Vec<u8>,
    payload: Vec<u8>,
    reads: RefCell<Vec<u8>>,
}

impl Flash {
    fn new(header: Vec<u8>) -> Self {
        Self { header, payload: payload(), reads: RefCell::new(vec![0; 0x8000]) }
    }
}

impl ImageMemory for Flash {
    fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), ImageReadError> {
        let (start, part) = match address {
            PAYLOAD_AT.. => (PAYLOAD_AT, &self.payload),
            _ => (HEADER_AT, &self.header),
        };
        let from = usize::try_from(address - start).unwrap();
        out.copy_from_slice(part.get(from..from + out.len()).ok_or(ImageReadError)?);
        for count in &mut self.reads.borrow_mut()[address as usize..][..out.len()] {
            *count += 1;
        }
        Ok(())
    }
}

fn server() -> VirtualServer {
    VirtualServer::default()
}

fn store(server: &VirtualServer, id: ObjectId, flags: Flags, data: &[u8]) {
    let metadata = Metadata { id, access: 0, flags, length: 0, label: "image".into() };
    server.store(|store| store.add_with_reclaim(&metadata, data)).unwrap();
}

fn raw<'a>(method: &'a dyn Method) -> Image<'a> {
    Image {
        number: 3,
        kind: ImageKind::Raw { key: KEY, signature: SIGNATURE },
        payload: Region { address: PAYLOAD_AT, size: 5000 },
        method,
        action: &NoAction,
    }
}

fn wolfboot<'a>(method: &'a dyn Method, header_size: usize) -> Image<'a> {
    let header = Region { address: HEADER_AT, size: header_size.try_into().unwrap() };
    Image {
        number: 4,
        kind: ImageKind::WolfBoot { header, key: KEY, floor: None },
        payload: Region { address: PAYLOAD_AT, size: 6000 },
        method,
        action: &NoAction,
    }
}

/// Verifies with scratch memory of several sizes, which must make no difference; the smallest has to suffice.
fn verify(server: &VirtualServer, image: &Image<'_>, flash: &mut Flash) -> Result<Verified, Fault> {
    let mut results = Vec::new();
    for size in [12 * 1024, 64 * 1024] {
        let mut scratch = vec![0xEE; size];
        flash.reads.borrow_mut().fill(0);
        let outcome = server.server().verify_image(image, flash, &mut scratch);
        assert!(scratch.iter().all(|byte| *byte == 0), "the scratch memory is wiped");
        assert!(flash.reads.borrow().iter().all(|reads| *reads <= 1), "nothing is read twice");
        assert_eq!(outcome.action, Ok(()));
        results.push(outcome.verification);
    }
    assert_eq!(results[0], results[1]);
    results[0]
}

/// A server with the key and the signature of a raw fixture.
fn with_raw(name: &str) -> (VirtualServer, Vec<u8>, Vec<u8>) {
    let server = server();
    let (key, signature) = (fixture(name, "key"), fixture(name, "signature"));
    store(&server, KEY, Flags::USAGE_VERIFY, &key);
    store(&server, SIGNATURE, Flags::NONE, &signature);
    (server, key, signature)
}

#[test]
fn raw_images_of_every_method() {
    for (name, method) in RAW {
        let (server, _, signature) = with_raw(name);
        let mut flash = Flash::new(Vec::new());
        let image = raw(method);
        assert_eq!(
            verify(&server, &image, &mut flash),
            Ok(Verified { length: 5000, version: None }),
            "{name}"
        );
        assert_eq!(server.take_records()[0].event, Event::ImageVerified { image: 3, version: 0 });

        for place in [0, 1, 255, 256, 2500, 4999] {
            let mut changed = flash.clone();
            changed.payload[place] ^= 1;
            assert_eq!(
                verify(&server, &image, &mut changed),
                Err(Fault::NotAuthentic),
                "{name}, byte {place}"
            );
        }
        let shorter = Image { payload: Region { size: 4999, ..image.payload }, ..image };
        assert_eq!(verify(&server, &shorter, &mut flash), Err(Fault::NotAuthentic), "{name}");
        server.take_records();
        let longer = Image { payload: Region { size: 5001, ..image.payload }, ..image };
        assert_eq!(verify(&server, &longer, &mut flash), Err(Fault::Memory), "{name}");
        let refused = Event::ImageRefused { image: 3, status: Status::ABORTED };
        assert_eq!(server.take_records()[0].event, refused);

        for place in (0..signature.len()).step_by(signature.len() / 8) {
            let mut changed = signature.clone();
            changed[place] ^= 0x04;
            store(&server, SIGNATURE, Flags::NONE, &changed);
            let result = verify(&server, &image, &mut flash);
            let expected = [Err(Fault::NotAuthentic), Err(Fault::SignatureForm)];
            assert!(expected.contains(&result), "{name}, signature byte {place}: {result:?}");
        }
        for length in [1, signature.len() - 1] {
            store(&server, SIGNATURE, Flags::NONE, &signature[..length]);
            assert_eq!(
                verify(&server, &image, &mut flash),
                Err(Fault::SignatureForm),
                "{name}, {length} bytes"
            );
        }
        store(&server, SIGNATURE, Flags::NONE, &[&signature[..], &[0]].concat());
        assert_eq!(verify(&server, &image, &mut flash), Err(Fault::SignatureForm), "{name}");
    }
}

/// Every key with every other method, and what is no key at all.
#[test]
fn a_key_fits_its_own_method_only() {
    for (name, _) in RAW {
        let (server, key, _) = with_raw(name);
        let mut flash = Flash::new(Vec::new());
        for (other, method) in RAW {
            // The two RSA methods take the same keys.
            let group = |name: &str| if name.starts_with("rsa") { "rsa".to_owned() } else { name.to_owned() };
            if group(name) != group(other) {
                assert_eq!(verify(&server, &raw(method), &mut flash), Err(Fault::Key), "{name} with {other}");
            }
        }
        let own = RAW.into_iter().find(|(other, _)| *other == name).unwrap().1;
        for broken in [&key[..key.len() - 1], &[0x30], &[0; 300]] {
            store(&server, KEY, Flags::USAGE_VERIFY, broken);
            assert_eq!(verify(&server, &raw(own), &mut flash), Err(Fault::Key), "{name}");
        }
    }
}

#[test]
fn rsa_padding_is_compared_as_a_whole() {
    let mut flash = Flash::new(Vec::new());
    let (bare, _, _) = with_raw("rsa-2048-bare");
    assert_eq!(verify(&bare, &raw(&Rsa::PKCS1_2048), &mut flash), Err(Fault::NotAuthentic));
    let (info, _, _) = with_raw("rsa-2048-pkcs1");
    assert_eq!(verify(&info, &raw(&Rsa::RAW_2048), &mut flash), Err(Fault::NotAuthentic));
    // A DigestInfo of another hash; the original does not look at the identifier.
    let (other, _, _) = with_raw("rsa-2048-pkcs1-sha512");
    assert_eq!(verify(&other, &raw(&Rsa::PKCS1_2048), &mut flash), Err(Fault::NotAuthentic));
    // A signature that is not below the modulus.
    store(&bare, SIGNATURE, Flags::NONE, &[0xFF; 256]);
    assert_eq!(verify(&bare, &raw(&Rsa::RAW_2048), &mut flash), Err(Fault::SignatureForm));
}

#[test]
fn what_the_store_lacks() {
    let (server, key, signature) = with_raw("ecdsa-p256");
    let mut flash = Flash::new(Vec::new());
    let image = raw(&Ecdsa::P256);
    let absent = |id| Err(Fault::Object { id, status: Status::NOT_FOUND });
    server.store(|store| store.destroy(&[SIGNATURE])).unwrap();
    assert_eq!(verify(&server, &image, &mut flash), absent(SIGNATURE));
    server.store(|store| store.destroy(&[KEY])).unwrap();
    assert_eq!(verify(&server, &image, &mut flash), absent(KEY));
    store(&server, SIGNATURE, Flags::NONE, &signature);

    // A revoked key has no usages left.
    store(&server, KEY, Flags::USAGE_SIGN | Flags::NONMODIFIABLE, &key);
    assert_eq!(verify(&server, &image, &mut flash), Err(Fault::KeyUsage));
    store(&server, KEY, Flags::USAGE_VERIFY, &key);
    verify(&server, &image, &mut flash).unwrap();
    for size in [0, 50, key.len(), key.len() + 60, key.len() + signature.len() + 100] {
        let outcome = server.server().verify_image(&image, &mut flash, &mut vec![0; size]);
        assert!(matches!(outcome.verification, Err(Fault::Scratch { .. })), "{size} bytes");
    }
}

/// A server with the key of a header fixture, and the memory.
fn with_wolfboot(name: &str) -> (VirtualServer, Flash) {
    let server = server();
    store(&server, KEY, Flags::USAGE_VERIFY, &fixture(name, "key"));
    (server, Flash::new(fixture(name, "header")))
}

#[test]
fn wolfboot_images_of_every_method() {
    for (name, method) in WOLFBOOT {
        let (server, flash) = with_wolfboot(name);
        let image = wolfboot(method, flash.header.len());
        let good = Ok(Verified { length: 5000, version: Some(7) });
        assert_eq!(verify(&server, &image, &mut flash.clone()), good, "{name}");
        let fields: Vec<_> =
            Header::parse(&flash.header).unwrap().fields().map(|field| (field.offset, field.tag)).collect();
        let expected = [
            (8, Tag::VERSION),
            (20, Tag::TIMESTAMP),
            (32, Tag::IMAGE_TYPE),
            (44, Tag::KEY_HINT),
            (84, Tag::SHA256),
            (120 + 4, Tag::SIGNATURE),
        ];
        assert_eq!(fields, expected, "{name}");

        // No byte before the end of the signature can be changed, the padding up to the digest included.
        let end = 128 + Header::parse(&flash.header).unwrap().field(Tag::SIGNATURE).unwrap().value.len();
        let step = if name == "wolfboot-p256" { 1 } else { 29 };
        for place in (0..end.min(600)).step_by(step) {
            let mut changed = flash.clone();
            changed.header[place] ^= 0x10;
            let mut scratch = vec![0; 16 * 1024];
            let outcome = server.server().verify_image(&image, &mut changed, &mut scratch);
            // Between digest and signature there are four bytes of padding, which nothing covers.
            if (120..124).contains(&place) {
                continue;
            }
            assert!(outcome.verification.is_err(), "{name}, header byte {place}");
        }
        for place in [0, 4999] {
            let mut changed = flash.clone();
            changed.payload[place] ^= 1;
            assert_eq!(verify(&server, &image, &mut changed), Err(Fault::Digest), "{name}");
        }
    }
}

#[test]
fn headers_that_are_not_in_order() {
    let (server, flash) = with_wolfboot("wolfboot-p256");
    let image = wolfboot(&Ecdsa::P256, 256);
    let ImageKind::WolfBoot { header, key, floor } = image.kind else { panic!("a header") };
    let placed = |header| Image { kind: ImageKind::WolfBoot { header, key, floor }, ..image };
    let odd = placed(Region { address: HEADER_AT + 1, size: 254 });
    assert_eq!(verify(&server, &odd, &mut flash.clone()), Err(Fault::HeaderPlace));
    let short = placed(Region { size: 11, ..header });
    assert_eq!(verify(&server, &short, &mut flash.clone()), Err(Fault::HeaderPlace));
    let outside = placed(Region { size: 4000, ..header });
    assert_eq!(verify(&server, &outside, &mut flash.clone()), Err(Fault::Memory));
    for (size, lacking) in [(12, Tag::SHA256), (84, Tag::SHA256), (119, Tag::SHA256), (150, Tag::SIGNATURE)] {
        let cut = placed(Region { size, ..header });
        assert_eq!(verify(&server, &cut, &mut flash.clone()), Err(Fault::Field(lacking)), "{size}");
    }
    let small = Image { payload: Region { size: 4999, ..image.payload }, ..image };
    assert_eq!(verify(&server, &small, &mut flash.clone()), Err(Fault::TooLong { length: 5000 }));

    let edited = |place: usize, bytes: &[u8]| {
        let mut changed = flash.clone();
        changed.header[place..place + bytes.len()].copy_from_slice(bytes);
        verify(&server, &image, &mut changed)
    };
    assert_eq!(edited(0, b"BOOT"), Err(Fault::Magic));
    assert_eq!(edited(37, &[4]), Err(Fault::OtherMethod { found: 4 }));
    assert_eq!(edited(34, &[1]), Err(Fault::Field(Tag::IMAGE_TYPE)));
    assert_eq!(edited(50, &[0]), Err(Fault::Digest));
    // The place of the timestamp, which nobody reads, becomes another digest, type, hint or signature.
    assert_eq!(edited(20, &[0x03]), Err(Fault::Twice(Tag::SHA256)));
    assert_eq!(edited(20, &[0x04]), Err(Fault::Twice(Tag::IMAGE_TYPE)));
    // A type behind the digest, where the signature does not cover it.
    let mut moved = flash.clone();
    moved.header[32] = 0x7F;
    moved.header[192..198].copy_from_slice(&[4, 0, 2, 0, 1, 2]);
    assert_eq!(verify(&server, &image, &mut moved), Err(Fault::Unauthenticated(Tag::IMAGE_TYPE)));
    // Another key of the right kind.
    let (other, _, _) = with_raw("ecdsa-p384");
    assert_eq!(verify(&other, &image, &mut flash.clone()), Err(Fault::Hint));
    assert_eq!(
        verify(&server, &wolfboot(&AesCmac, 256), &mut flash.clone()),
        Err(Fault::OtherMethod { found: 2 })
    );
}

#[test]
fn old_versions_are_refused_once_the_floor_is_raised() {
    let (server, mut flash) = with_wolfboot("wolfboot-ed25519");
    let image = wolfboot(&Ed25519, 256);
    let ImageKind::WolfBoot { header, key, .. } = image.kind else { panic!("a header") };
    let image = Image { kind: ImageKind::WolfBoot { header, key, floor: Some(FLOOR) }, ..image };
    let core = server.server();
    assert_eq!(core.version_floor(FLOOR), Ok(0));
    verify(&server, &image, &mut flash).unwrap();
    server.take_records();
    assert_eq!(core.raise_version_floor(FLOOR, 7), Ok(7));
    assert_eq!(server.take_records()[0].event, Event::VersionFloorRaised { floor: FLOOR, version: 7 });
    verify(&server, &image, &mut flash).unwrap();
    server.take_records();
    assert_eq!(core.raise_version_floor(FLOOR, 3), Ok(7), "it never sinks");
    assert_eq!(server.take_records(), []);
    assert_eq!(core.raise_version_floor(FLOOR, 8), Ok(8));
    let rollback = Fault::Rollback { version: 7, floor: 8 };
    assert_eq!(verify(&server, &image, &mut flash), Err(rollback));
    assert_eq!(rollback.status(), Status::ACCESS);

    // No client reaches it.
    let mut session = server.session();
    let ask = |session: &mut _, kind: [u8; 2], payload: &[u8]| {
        let packet = [&[1, 0xA5, kind[1], kind[0], 0, 0, 0, 0], payload].concat();
        server.request(session, &packet).unwrap().split_off(8)
    };
    ask(&mut session, [1, 1], &[3, 0, 0, 0]);
    let destroy = [&[1, 0, 0x80, 0xFE][..], &[0; 36]].concat();
    assert_eq!(ask(&mut session, [2, 7], &destroy), Status::ACCESS.0.to_le_bytes());
    assert_eq!(core.version_floor(FLOOR), Ok(8));

    // An image whose version nothing covers does not pass a floor.
    flash.header[8] = 0x7E;
    assert_eq!(verify(&server, &image, &mut flash), Err(Fault::Digest));
    store(&server, FLOOR, Flags::NONE, &[1, 2, 3]);
    assert_eq!(core.version_floor(FLOOR), Err(Fault::Object { id: FLOOR, status: Status::ABORTED }));
}

#[test]
fn all_images_are_looked_at_and_the_summary_is_true() {
    let (server, flash) = with_wolfboot("wolfboot-p256");
    let seen = RefCell::new(Vec::new());
    let action = |image: &Image<'_>, verification: Result<Verified, Fault>| {
        seen.borrow_mut().push((image.number, verification.is_ok()));
        if image.number == 9 { Err(Status(77)) } else { Ok(()) }
    };
    let good = Image { action: &action, ..wolfboot(&Ecdsa::P256, 256) };
    let bad = Image { payload: Region { address: PAYLOAD_AT + 1, ..good.payload }, number: 5, ..good };
    let vain = Image { number: 9, ..good };
    let missing = Image { kind: raw(&Ecdsa::P256).kind, number: 6, ..good };
    let run = |images: &[Image<'_>]| {
        let mut outcomes = Vec::new();
        let summary = server.server().verify_images(
            images,
            &mut flash.clone(),
            &mut [0; 4096],
            &mut |image, outcome| outcomes.push((image.number, *outcome)),
        );
        assert_eq!(outcomes.len(), images.len());
        (summary, outcomes)
    };
    assert!(run(&[good]).0.all_verified());
    let (summary, outcomes) = run(&[good, bad, missing, vain, good]);
    assert_eq!(summary, Summary { good: 2, bad: 3, first_bad: Some(1) });
    assert!(!summary.all_verified());
    assert_eq!(outcomes[3].1.action, Err(Status(77)), "what the action says, verbatim");
    assert!(outcomes[3].1.verification.is_ok());
    assert_eq!(
        seen.borrow()[1..],
        [(4, true), (5, false), (6, false), (9, true), (4, true)],
        "the action runs in either case"
    );
    assert!(!run(&[bad]).0.all_verified());
    assert!(!run(&[]).0.all_verified(), "nothing verified is not everything verified");
}

/// A method of the application's own sees the whole image, in parts, once.
#[test]
fn a_method_of_ones_own() {
    let (server, key, signature) = with_raw("aes-cmac");
    let mut flash = Flash::new(Vec::new());
    let seen = RefCell::new(Vec::new());
    let method = |evidence: &mut Evidence<'_>| {
        assert_eq!((evidence.key(), evidence.signature()), (&key[..], &signature[..]));
        evidence.read(&mut |part| {
            seen.borrow_mut().extend_from_slice(part);
            Ok(())
        })?;
        Err(Fault::NotAuthentic)
    };
    let image = raw(&method);
    let outcome = server.server().verify_image(&image, &mut flash, &mut [0; 600]);
    assert_eq!(outcome.verification, Err(Fault::NotAuthentic));
    assert_eq!(*seen.borrow(), payload());
}

// ----- headers with a certificate chain (`fixtures/make_chain_images.py`) -----

#[cfg(feature = "certificates")]
mod chains {
    use super::*;
    use casemate_server::{CertificateOptions, Config};
    use casemate_testkit::server::VirtualOptions;
    use casemate_x509::{ChainError, Error};

    const ROOT: ObjectId = ObjectId(0xFE90);
    /// 2030-01-01 12:00:00 UTC.
    const NOW: u64 = 1_893_499_200;

    fn bytes(name: &str) -> Vec<u8> {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("fixtures/chain_images.json")).unwrap();
        hex::decode(cases[name].as_str().expect("a fixture")).unwrap()
    }

    fn with_root(root: &str) -> VirtualServer {
        let server = server();
        server.set_now(Some(NOW));
        store(&server, ROOT, Flags::NONE, &bytes(root));
        server
    }

    fn chained<'a>(method: &'a dyn Method, header: &[u8]) -> Image<'a> {
        let header = Region { address: HEADER_AT, size: header.len().try_into().unwrap() };
        Image { kind: ImageKind::WolfBootChain { header, root: ROOT, floor: None }, ..wolfboot(method, 0) }
    }

    fn outcome(server: &VirtualServer, name: &str) -> Result<Verified, Fault> {
        let header = bytes(name);
        let method: &dyn Method = match Header::parse(&header).unwrap().image_type().unwrap().1 {
            1 => &Ed25519,
            2 => &Ecdsa::P256,
            _ => &Rsa::WOLFBOOT_4096,
        };
        verify(server, &chained(method, &header), &mut Flash::new(header.clone()))
    }

    const GOOD: Result<Verified, Fault> = Ok(Verified { length: 5000, version: Some(7) });

    const fn refused(index: usize, error: Error) -> Result<Verified, Fault> {
        Err(Fault::Chain(ChainError::Certificate { index, error }))
    }

    #[test]
    fn the_key_of_the_leaf_verifies_the_image() {
        let server = with_root("root");
        for name in ["rsa-4096", "p256", "ed25519", "two-leaves", "no-usage"] {
            assert_eq!(outcome(&server, name), GOOD, "{name}");
        }
    }

    #[test]
    fn what_no_root_vouches_for_is_refused() {
        let server = with_root("root");
        for (name, expected) in [
            ("not-for-signing", Err(Fault::LeafUsage)),
            ("expired", refused(1, Error::Expired)),
            ("stranger", refused(0, Error::UnknownIssuer)),
            ("missing-intermediate", refused(0, Error::UnknownIssuer)),
            ("authority-signs", Err(Fault::NoLeaf)),
            ("wrong-order", refused(0, Error::UnknownIssuer)),
            ("other-key", Err(Fault::Hint)),
        ] {
            assert_eq!(outcome(&server, name), expected, "{name}");
        }
        assert_eq!(outcome(&with_root("other-root"), "p256"), refused(0, Error::UnknownIssuer));
        assert_eq!(outcome(&with_root("other-root"), "stranger"), GOOD);
        // No clock: no dates.
        server.set_now(None);
        assert_eq!(outcome(&server, "expired"), GOOD);
        server.set_now(Some(NOW + 400 * 86_400));
        let root = Err(Fault::Chain(ChainError::Anchor { index: 0, error: Error::Expired }));
        assert_eq!(outcome(&server, "p256"), root);
    }

    #[test]
    fn the_status_codes_are_those_of_the_original() {
        let code = |result: Result<Verified, Fault>| result.unwrap_err().status();
        let server = with_root("root");
        assert_eq!(code(outcome(&server, "expired")), Status::CERTIFICATE_VERIFICATION);
        assert_eq!(code(outcome(&server, "authority-signs")), Status::BAD_ARGUMENTS);
        assert_eq!(code(outcome(&server, "not-for-signing")), Status::USAGE);
        server.set_now(Some(0));
        assert_eq!(code(outcome(&server, "p256")), Status::ABORTED);
        let empty = super::server();
        let missing = Err(Fault::Object { id: ROOT, status: Status::NOT_FOUND });
        assert_eq!(outcome(&empty, "p256"), missing);
        store(&empty, ROOT, Flags::NONE, b"no certificate");
        assert_eq!(code(outcome(&empty, "p256")), Status::ABORTED);
    }

    #[test]
    fn no_changed_header_verifies() {
        let server = with_root("root");
        let header = bytes("p256");
        let parsed = Header::parse(&header).unwrap();
        let digest = parsed.field(Tag::SHA256).unwrap();
        let signature = parsed.field(Tag::SIGNATURE).unwrap();
        let end = signature.offset + 4 + signature.value.len();
        let image = chained(&Ecdsa::P256, &header);
        // What stands between digest and signature is padding.
        let behind = (digest.offset..digest.offset + 36).chain(signature.offset..end);
        for place in (0..digest.offset).step_by(13).chain(behind) {
            let mut changed = header.clone();
            changed[place] ^= 0x10;
            let result = verify(&server, &image, &mut Flash::new(changed));
            assert!(result.is_err(), "byte {place}");
        }
        let mut payload = Flash::new(header.clone());
        payload.payload[4999] ^= 1;
        assert_eq!(verify(&server, &image, &mut payload), Err(Fault::Digest));
        // With a key, the same header is judged by that key.
        let ImageKind::WolfBootChain { header: place, .. } = image.kind else { panic!("a chain") };
        store(&server, KEY, Flags::USAGE_VERIFY, &fixture("ecdsa-p256", "key"));
        let keyed = Image { kind: ImageKind::WolfBoot { header: place, key: KEY, floor: None }, ..image };
        assert_eq!(verify(&server, &keyed, &mut Flash::new(header)), Err(Fault::Hint));
        // And one without a chain has none.
        let (server, mut flash) = with_wolfboot("wolfboot-p256");
        store(&server, ROOT, Flags::NONE, &bytes("root"));
        let bare = chained(&Ecdsa::P256, &flash.header.clone());
        assert_eq!(verify(&server, &bare, &mut flash), Err(Fault::Field(Tag::CERTIFICATES)));
    }

    #[test]
    fn floors_policies_and_scratch_memory_count() {
        let server = with_root("root");
        let header = bytes("p256");
        let image = chained(&Ecdsa::P256, &header);
        let ImageKind::WolfBootChain { header: place, root, .. } = image.kind else { panic!("a chain") };
        let floored =
            Image { kind: ImageKind::WolfBootChain { header: place, root, floor: Some(FLOOR) }, ..image };
        server.server().raise_version_floor(FLOOR, 8).unwrap();
        let rollback = Err(Fault::Rollback { version: 7, floor: 8 });
        assert_eq!(verify(&server, &floored, &mut Flash::new(header.clone())), rollback);

        let mut small = vec![0; header.len() + 300];
        let result = server.server().verify_image(&image, &mut Flash::new(header), &mut small);
        assert_eq!(result.verification, Err(Fault::Scratch { needed: 301 }));

        let config = Config { certificates: CertificateOptions::STRICT, ..Config::default() };
        let strict = VirtualServer::new(VirtualOptions { config, ..VirtualOptions::default() });
        strict.set_now(Some(NOW));
        store(&strict, ROOT, Flags::NONE, &bytes("root"));
        assert_eq!(outcome(&strict, "rsa-4096"), GOOD);
    }
}
