//! Any bytes as a wolfBoot header, judged by a key and by a root: no panic; fields lie inside, in order and apart; and no
//! header but the signed ones verifies.

#![no_main]

use casemate_nvm::ObjectStore;
use casemate_protocol::{Flags, Metadata, ObjectId};
use casemate_server::image::{
    Ecdsa, Header, HeaderWriter, Image, ImageKind, ImageMemory, ImageReadError, NoAction, Region, Tag,
};
use casemate_testkit::server::VirtualServer;
use libfuzzer_sys::fuzz_target;

const KEY: ObjectId = ObjectId(0x1001);
/// A header that was signed for the payload below, and the key: `wolfboot-p256` of the server's test fixtures.
const SIGNED: &[u8] = include_bytes!("../seeds/image_header/signed");
/// One with certificates, and the root: `p256` of the server's other fixtures.
const CHAINED: &[u8] = include_bytes!("../seeds/image_header/certificates");
const ROOT: ObjectId = ObjectId(0xFE90);
const ROOT_CERTIFICATE: &[u8] = include_bytes!("../fixtures/image_root.der");
/// 2030-01-01 12:00:00 UTC, when the certificates are valid.
const NOW: u64 = 1_893_499_200;
const PUBLIC: &[u8] = include_bytes!("../fixtures/image_key.der");

thread_local! {
    static SERVER: VirtualServer = {
        let server = VirtualServer::default();
        let metadata =
            Metadata { id: KEY, access: 0, flags: Flags::USAGE_VERIFY, length: 0, label: "key".into() };
        server.store(|store| store.add_with_reclaim(&metadata, PUBLIC)).expect("room for a key");
        let metadata = Metadata { id: ROOT, ..metadata };
        server.store(|store| store.add_with_reclaim(&metadata, ROOT_CERTIFICATE)).expect("room for a root");
        server.set_now(Some(NOW));
        server
    };
}

/// The header at 0, the payload from 0x10000 on.
struct Memory<'a>(&'a [u8]);

impl ImageMemory for Memory<'_> {
    fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), ImageReadError> {
        match address.checked_sub(0x1_0000) {
            None => (&mut &*self.0).read(address, out),
            Some(start) => {
                for (index, byte) in (start..).zip(out) {
                    *byte = u8::try_from((7 * index + 3) % 251).map_err(|_| ImageReadError)?;
                }
                Ok(())
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    if let Ok(header) = Header::parse(input) {
        let mut end = 8;
        let mut copy = vec![0; 2 * input.len() + 64];
        let mut writer = HeaderWriter::new(&mut copy, header.payload_length()).expect("long enough");
        let mut fields = Vec::new();
        for field in header.fields() {
            assert!(field.offset >= end && field.offset % 2 == 0);
            end = field.offset + 4 + field.value.len();
            assert!(end <= input.len());
            assert_eq!(field.value, &input[field.offset + 4..end]);
            if writer.field(field.tag, field.value).is_ok() {
                fields.push((field.tag, field.value));
            } else {
                break;
            }
        }
        let again = Header::parse(&copy).expect("what was written");
        assert!(again.fields().map(|field| (field.tag, field.value)).take(fields.len()).eq(fields));
        let _ = (header.image_type(), header.version(), header.digest(), header.field(Tag::SIGNATURE));
    }
    let size = u32::try_from(input.len()).unwrap_or(u32::MAX);
    let header = Region { address: 0, size };
    let kinds = [
        (ImageKind::WolfBoot { header, key: KEY, floor: None }, SIGNED),
        (ImageKind::WolfBootChain { header, root: ROOT, floor: None }, CHAINED),
    ];
    SERVER.with(|server| {
        for (kind, signed) in kinds {
            let payload = Region { address: 0x1_0000, size: 6000 };
            let image = Image { number: 0, kind, payload, method: &Ecdsa::P256, action: &NoAction };
            let mut scratch = vec![0; input.len() + 2048];
            let outcome = server.server().verify_image(&image, &mut Memory(input), &mut scratch);
            server.take_records();
            if outcome.verification.is_ok() {
                let (_, covered) =
                    Header::parse(signed).and_then(|header| header.digest()).expect("the fixture");
                // The digest of the part before it, and its own head and value.
                let covered = covered.len() + 36;
                assert_eq!(input[..covered], signed[..covered], "another header verifies");
            }
        }
    });
});
