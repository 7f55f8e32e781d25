//! LMS and XMSS through the server: what the messages do, and that no one-time key ever signs twice, whatever happens to
//! the power, to sessions and to cached copies.
#![cfg(feature = "hash-signatures")]

use casemate_hash_signatures::{Software, XmssParameters, hss_verify, xmss_verify};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, ObjectStore};
use casemate_protocol::message::crypto::{CryptoRequest, RequestHeader, ResponseHeader};
use casemate_protocol::message::crypto_dma::{
    StatefulKeyGenerationDmaRequest, StatefulRemainingRequest, StatefulSignDmaRequest,
    StatefulVerifyDmaRequest,
};
use casemate_protocol::message::public_key::{algorithm, sub_algorithm};
use casemate_protocol::message::{Request, key};
use casemate_protocol::{
    ByteOrder, DmaBuffer, Flags, Header, KeyId, Kind, Label, Layout, Metadata, ObjectId, Status,
};
use casemate_server::{ClientWindow, SliceMemory};
use casemate_testkit::flash::{Effect, PowerCutFlash};
use casemate_testkit::server::{VirtualOptions, VirtualServer, VirtualSession};
use std::collections::HashSet;

const LMS: u32 = sub_algorithm::LMS;
const XMSS: u32 = sub_algorithm::XMSS;
const BLANK: u8 = 0xEE;
/// Where tests put messages and find signatures.
const MESSAGE: usize = 0;
const SIGNATURE: usize = 4096;
const KEY: u32 = 7;
const PARTITION: usize = 16 * 1024;

type TestFlash = PowerCutFlash<8, 64>;
type Store<'f> = FlashStore<&'f mut TestFlash, Vec<DirectoryEntry>>;

fn mount(flash: &mut TestFlash) -> VirtualServer<Store<'_>> {
    let directory = vec![DirectoryEntry::EMPTY; 8];
    let store = FlashStore::mount(flash, directory, FlashOptions::new()).unwrap();
    VirtualServer::with_store(VirtualOptions::default(), store)
}

/// A client with memory that it shares.
struct Client<'s, S: ObjectStore> {
    server: &'s VirtualServer<S>,
    session: VirtualSession<S>,
    memory: Vec<u8>,
}

impl<'s, S: ObjectStore> Client<'s, S> {
    fn new(server: &'s VirtualServer<S>, id: u32) -> Self {
        let mut client = Self { server, session: server.session(), memory: vec![BLANK; 32 * 1024] };
        client.raw(Kind::new(casemate_protocol::Group::COMM, 1), &id.to_le_bytes());
        client
    }

    fn raw(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let header = Header { order: ByteOrder::Little, kind, sequence: 1, auxiliary: [0, 0] };
        let packet = [&header.encode(), payload].concat();
        let mut memory = SliceMemory(&mut self.memory);
        let window = ClientWindow { memory: &mut memory, scratch: &mut [] };
        let mut answer = self.server.request_with_window(&mut self.session, window, &packet).unwrap();
        answer.split_off(8)
    }

    fn ask<R: Request>(&mut self, request: &R, tail: &[u8]) -> (R::Response, Vec<u8>) {
        let mut payload = vec![0; R::SIZE];
        request.encode(ByteOrder::Little, &mut payload).unwrap();
        payload.extend(tail);
        let answer = self.raw(R::KIND, &payload);
        let (response, rest) = R::Response::decode(&answer, ByteOrder::Little).unwrap();
        (response, rest.to_vec())
    }

    fn compute<R: CryptoRequest>(
        &mut self,
        number: u32,
        sub: u32,
        request: &R,
    ) -> Result<R::Response, Status> {
        let mut payload = vec![0; RequestHeader::SIZE + R::SIZE];
        let (head, body) = payload.split_at_mut(RequestHeader::SIZE);
        let header = RequestHeader { algorithm: number, sub_algorithm: sub, affinity: 0 };
        header.encode(ByteOrder::Little, head).unwrap();
        request.encode(ByteOrder::Little, body).unwrap();
        let answer = self.raw(Kind::new(R::GROUP, R::ACTION), &payload);
        let (header, body) = ResponseHeader::decode(&answer, ByteOrder::Little).unwrap();
        assert_eq!(header.algorithm, number);
        header.status.into_result().inspect_err(|_| assert!(body.is_empty()))?;
        let (response, rest) = R::Response::decode(body, ByteOrder::Little).unwrap();
        assert!(rest.is_empty());
        Ok(response)
    }

    /// The public key and the identifier.
    fn generate(
        &mut self,
        sub: u32,
        request: StatefulKeyGenerationDmaRequest,
    ) -> Result<(Vec<u8>, u32), Status> {
        let response = self.compute(algorithm::STATEFUL_KEY_GENERATION, sub, &request)?;
        let public = self.memory[request.public.address as usize..][..response.length as usize].to_vec();
        Ok((public, response.key))
    }

    fn lms(&mut self, levels: u32, height: u32, winternitz: u32) -> Result<(Vec<u8>, u32), Status> {
        self.generate(LMS, StatefulKeyGenerationDmaRequest { levels, height, winternitz, ..request() })
    }

    fn xmss(&mut self, name: &str) -> Result<(Vec<u8>, u32), Status> {
        let mut xmss = [0; 32];
        xmss[..name.len()].copy_from_slice(name.as_bytes());
        self.generate(XMSS, StatefulKeyGenerationDmaRequest { xmss, ..request() })
    }

    fn sign_into(&mut self, sub: u32, message: &[u8], room: u64) -> Result<Vec<u8>, Status> {
        self.memory[SIGNATURE..].fill(BLANK);
        self.memory[MESSAGE..][..message.len()].copy_from_slice(message);
        let request = StatefulSignDmaRequest {
            message: DmaBuffer::new(MESSAGE as u64, message.len() as u64),
            signature: DmaBuffer::new(SIGNATURE as u64, room),
            options: 0,
            key: KEY,
        };
        let result = self.compute(algorithm::STATEFUL_SIGN, sub, &request);
        match result {
            Ok(response) => Ok(self.memory[SIGNATURE..][..response.length as usize].to_vec()),
            Err(status) => {
                assert!(
                    self.memory[SIGNATURE..].iter().all(|byte| *byte == BLANK),
                    "{status:?} and a signature"
                );
                Err(status)
            }
        }
    }

    fn sign(&mut self, sub: u32, message: &[u8]) -> Result<Vec<u8>, Status> {
        self.sign_into(sub, message, 16 * 1024)
    }

    fn verify(&mut self, sub: u32, key: u32, message: &[u8], signature: &[u8]) -> Result<u32, Status> {
        self.memory[MESSAGE..][..message.len()].copy_from_slice(message);
        self.memory[SIGNATURE..][..signature.len()].copy_from_slice(signature);
        let request = StatefulVerifyDmaRequest {
            signature: DmaBuffer::new(SIGNATURE as u64, signature.len() as u64),
            message: DmaBuffer::new(MESSAGE as u64, message.len() as u64),
            options: 0,
            key,
        };
        self.compute(algorithm::STATEFUL_VERIFY, sub, &request).map(|response| response.valid)
    }

    fn remaining(&mut self, sub: u32) -> Result<u32, Status> {
        let request = StatefulRemainingRequest { key: KEY };
        self.compute(algorithm::STATEFUL_REMAINING, sub, &request).map(|response| response.remaining)
    }

    fn cache(&mut self, id: u16, key: &[u8]) -> Result<(), Status> {
        let request = key::CacheRequest {
            flags: 0,
            length: key.len().try_into().unwrap(),
            label_length: 0,
            id: KeyId(id),
            label: Label::EMPTY,
        };
        self.ask(&request, key).0.status.into_result()
    }

    fn export_public(&mut self, algorithm: u16) -> Result<Vec<u8>, Status> {
        let (response, key) = self.ask(&key::ExportPublicRequest { id: KeyId(KEY as u16), algorithm }, &[]);
        response.status.into_result().map(|()| key)
    }
}

fn request() -> StatefulKeyGenerationDmaRequest {
    StatefulKeyGenerationDmaRequest {
        public: DmaBuffer::new(SIGNATURE as u64, 200),
        flags: 0,
        key: KEY,
        access: 0xFFFF,
        label_length: 0,
        levels: 0,
        height: 0,
        winternitz: 0,
        label: Label::EMPTY,
        xmss: [0; 32],
    }
}

/// The leaf that an HSS signature of one level was made with.
fn leaf(signature: &[u8]) -> u32 {
    u32::from_be_bytes(signature[4..8].try_into().unwrap())
}

#[test]
fn lms_from_the_first_signature_to_the_last() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let (public, id) = client.lms(1, 5, 2).unwrap();
    assert_eq!((public.len(), id), (60, KEY));
    assert_eq!(public[..12], [0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 2]);
    assert_eq!(client.export_public(7).unwrap(), public);
    assert_eq!(client.export_public(8), Err(Status::BAD_ARGUMENTS));
    // A buffer that is too small, or that is not there, costs no one-time key.
    let size = 4 + 12 + 32 * (1 + 133 + 5);
    assert_eq!(client.sign_into(LMS, b"message", size - 1), Err(Status::BUFFER));
    assert_eq!(client.sign_into(LMS, b"message", 1 << 20), Err(Status::BAD_ARGUMENTS));
    assert_eq!(client.sign(XMSS, b"message"), Err(Status::BAD_ARGUMENTS));
    for index in 0..32 {
        assert_eq!(client.remaining(LMS), Ok(1));
        let message = vec![index as u8; 700 * (index as usize % 3)];
        let signature = client.sign(LMS, &message).unwrap();
        assert_eq!((leaf(&signature), signature.len() as u64), (index, size));
        hss_verify(&mut Software, &public, message.as_slice(), signature.as_slice()).unwrap();
        assert_eq!(client.verify(LMS, KEY, &message, &signature), Ok(1));
        assert_eq!(client.verify(LMS, KEY, b"another", &signature), Ok(0));
        assert_eq!(client.verify(LMS, KEY, &message, &signature[1..]), Err(Status::BUFFER));
        let mut changed = signature.clone();
        changed[2000] ^= 1;
        assert_eq!(client.verify(LMS, KEY, &message, &changed), Ok(0));
    }
    assert_eq!(client.remaining(LMS), Ok(0));
    assert_eq!(client.sign(LMS, b"message"), Err(Status::BAD_STATE));
}

#[test]
fn xmss_and_hss_of_two_levels() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let name = "XMSSMT-SHA2_20/4_256";
    let (public, _) = client.xmss(name).unwrap();
    assert_eq!((public.len(), &public[64..]), (68, [0; 4].as_slice()));
    assert_eq!(client.export_public(8).unwrap(), public);
    let parameters = XmssParameters::named(name.as_bytes()).unwrap();
    assert_eq!(client.sign(XMSS, b""), Err(Status::CRYPTO_ARGUMENT));
    for index in 0..3 {
        let signature = client.sign(XMSS, b"message").unwrap();
        assert_eq!(signature[..3], [0, 0, index]);
        xmss_verify(&mut Software, &parameters, &public[..64], b"message", signature.as_slice()).unwrap();
        assert_eq!(client.verify(XMSS, KEY, b"message", &signature), Ok(1));
    }
    assert_eq!(client.remaining(XMSS), Ok(1));
    // Another family under the same identifier takes its place.
    let (public, _) = client.lms(2, 5, 4).unwrap();
    for _ in 0..40 {
        let signature = client.sign(LMS, b"message").unwrap();
        hss_verify(&mut Software, &public, b"message", signature.as_slice()).unwrap();
    }
}

#[test]
fn refusals() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    for (levels, height, winternitz) in
        [(0, 5, 8), (1, 6, 8), (1, 5, 3), (2, 25, 8), (2, 5, 1), (3, 10, 2), (5, 5, 8), (u32::MAX, 5, 8)]
    {
        assert_eq!(client.lms(levels, height, winternitz), Err(Status::CRYPTO_ARGUMENT));
    }
    for name in ["", "XMSS-SHA2_10_25", "XMSS-SHA2_10_2566", "xmss-sha2_10_256"] {
        assert_eq!(client.xmss(name), Err(Status::CRYPTO_ARGUMENT), "{name}");
    }
    // The trees of twelve layers do not fit a key slot.
    assert_eq!(client.xmss("XMSSMT-SHA2_60/12_512"), Err(Status::BUFFER_SIZE));
    let lms = StatefulKeyGenerationDmaRequest { levels: 1, height: 5, winternitz: 2, ..request() };
    let ephemeral = StatefulKeyGenerationDmaRequest { flags: Flags::EPHEMERAL.0.into(), ..lms };
    assert_eq!(client.generate(LMS, ephemeral), Err(Status::BAD_ARGUMENTS));
    let small = StatefulKeyGenerationDmaRequest { public: DmaBuffer::new(0, 59), ..lms };
    assert_eq!(client.generate(LMS, small), Err(Status::BUFFER_SIZE));
    let elsewhere = StatefulKeyGenerationDmaRequest { public: DmaBuffer::new(1 << 40, 60), ..lms };
    assert_eq!(client.generate(LMS, elsewhere), Err(Status::BAD_ARGUMENTS));
    let long_label = StatefulKeyGenerationDmaRequest { label_length: 25, ..lms };
    assert_eq!(client.generate(LMS, long_label), Err(Status::BAD_ARGUMENTS));
    let wrapped = StatefulKeyGenerationDmaRequest { key: 0x205, ..lms };
    assert_eq!(client.generate(LMS, wrapped), Err(Status::ABORTED));
    assert_eq!(client.generate(3, lms), Err(Status::NO_HANDLER));
    assert_eq!(client.remaining(LMS), Err(Status::NOT_FOUND));
    assert_eq!(client.sign(LMS, b"message"), Err(Status::NOT_FOUND));

    client.lms(1, 5, 2).unwrap();
    // Private keys do not leave, nor do they come.
    let export = client.ask(&key::ExportRequest { id: KeyId(KEY as u16) }, &[]).0;
    assert_eq!(export.status, Status::ACCESS);
    let stored = server.store(|store| {
        let metadata = store.metadata(ObjectId(0x1107)).unwrap();
        assert!(metadata.flags.contains(Flags::NONEXPORTABLE));
        let mut bytes = vec![0; usize::from(metadata.length)];
        store.read(metadata.id, 0, &mut bytes).unwrap();
        bytes
    });
    assert!(stored.len() <= 3100);
    assert_eq!(client.cache(9, &stored), Err(Status::ACCESS));
    // A chosen identifier is refused when it is protected.
    let protected = StatefulKeyGenerationDmaRequest { flags: Flags::NONMODIFIABLE.0.into(), ..lms };
    client.generate(LMS, protected).unwrap();
    assert_eq!(client.lms(1, 5, 2), Err(Status::ACCESS));
    // No identifier: the server chooses.
    assert_eq!(client.generate(LMS, StatefulKeyGenerationDmaRequest { key: 0, ..lms }).unwrap().1, 255);
}

#[test]
fn usage_flags_count_where_there_are_any_and_revocation_always() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let lms = StatefulKeyGenerationDmaRequest { levels: 1, height: 5, winternitz: 2, ..request() };
    let verify_only = StatefulKeyGenerationDmaRequest { flags: Flags::USAGE_VERIFY.0.into(), ..lms };
    client.generate(LMS, verify_only).unwrap();
    assert_eq!(client.sign(LMS, b"message"), Err(Status::USAGE));
    for flags in [Flags::NONE, Flags::NONMODIFIABLE, Flags::USAGE_SIGN | Flags::USAGE_VERIFY] {
        client.ask(&key::EraseRequest { id: KeyId(KEY as u16) }, &[]);
        client.generate(LMS, StatefulKeyGenerationDmaRequest { flags: flags.0.into(), ..lms }).unwrap();
        let signature = client.sign(LMS, b"message").unwrap();
        assert_eq!(client.verify(LMS, KEY, b"message", &signature), Ok(1));
        let revoked = client.ask(&key::RevokeRequest { id: KeyId(KEY as u16) }, &[]).0;
        assert_eq!(revoked.status, Status::OK);
        assert_eq!(client.sign(LMS, b"message"), Err(Status::USAGE), "{flags:?}");
        assert_eq!(client.verify(LMS, KEY, b"message", &signature), Err(Status::USAGE));
        assert_eq!(client.remaining(LMS), Err(Status::USAGE));
        // A revoked key cannot be modified, nor by a new one.
        server.store(|store| store.destroy(&[ObjectId(0x1107)])).unwrap();
        client = Client::new(&server, 1);
    }
}

/// Document 05, §9.5: a container without a private part verifies.
#[test]
fn a_public_key_is_imported_to_verify() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let (public, _) = client.lms(1, 5, 2).unwrap();
    let signature = client.sign(LMS, b"message").unwrap();
    let container = [&[0x01, 0x53, 0x4D, 0x4C, 60, 0, 0, 0, 3, 0, 0, 0, 1, 5, 2], public.as_slice()].concat();
    let mut other = Client::new(&server, 2);
    other.cache(8, &container).unwrap();
    assert_eq!(other.verify(LMS, 8, b"message", &signature), Ok(1));
    assert_eq!(other.verify(LMS, 8, b"massage", &signature), Ok(0));
    for (place, value) in [(0, 0), (4, 59), (8, 2), (10, 1), (11, 1), (12, 2), (13, 6)] {
        let mut changed = container.clone();
        changed[place] = value;
        other.cache(8, &changed).unwrap();
        let result = other.verify(LMS, 8, b"message", &signature);
        assert!(matches!(result, Err(Status::BAD_ARGUMENTS | Status::BUFFER)), "{place}: {result:?}");
    }
    other.cache(8, &container[..74]).unwrap();
    assert_eq!(other.verify(LMS, 8, b"message", &signature), Err(Status::BAD_ARGUMENTS));
}

/// Sessions of one client have caches of their own; what lies there must not bring an old state back.
#[test]
fn cached_copies_and_two_sessions_repeat_nothing() {
    let server = VirtualServer::default();
    let mut one = Client::new(&server, 1);
    let mut two = Client::new(&server, 1);
    one.lms(1, 5, 2).unwrap();
    let mut leaves = Vec::new();
    let mut copied = |client: &mut Client<'_, _>| {
        client.export_public(7).unwrap();
        leaves.push(leaf(&client.sign(LMS, b"message").unwrap()));
    };
    copied(&mut one);
    copied(&mut two);
    copied(&mut two);
    // The first session's copy is older than what is stored.
    one.export_public(7).unwrap();
    two.sign(LMS, b"message").unwrap();
    let committed = one.ask(&key::CommitRequest { id: KeyId(KEY as u16) }, &[]).0;
    assert_eq!(committed.status, Status::OK);
    assert_eq!(leaves, [0, 1, 2]);
    assert_eq!(leaf(&one.sign(LMS, b"message").unwrap()), 4);
    one.export_public(7).unwrap();
    two.sign(LMS, b"message").unwrap();
    one.ask(&key::RevokeRequest { id: KeyId(KEY as u16) }, &[]);
    let state = server.store(|store| {
        let mut index = [0; 8];
        store.read(ObjectId(0x1107), 15 + 60, &mut index).map(|()| u64::from_be_bytes(index)).unwrap()
    });
    assert_eq!(state, 6);
    assert_eq!(two.sign(LMS, b"message"), Err(Status::USAGE));
}

/// A key that the original has stored: the secrets alone. And one that it has used in between.
#[test]
fn a_key_of_the_original_is_adopted() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let (public, _) = client.lms(1, 5, 2).unwrap();
    let id = ObjectId(0x1107);
    let (metadata, whole) = server.store(|store| {
        let metadata = store.metadata(id).unwrap();
        let mut bytes = vec![0; usize::from(metadata.length)];
        store.read(id, 0, &mut bytes).unwrap();
        (metadata, bytes)
    });
    let replace = |bytes: &[u8]| {
        let length = bytes.len().try_into().unwrap();
        server.store(|store| store.add_with_reclaim(&Metadata { length, ..metadata }, bytes)).unwrap();
    };
    let mut original = whole[..139].to_vec();
    assert_eq!(original[75 + 8..75 + 16], [0x52, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    original[75 + 7] = 20;
    replace(&original);
    for index in 20..23 {
        let signature = client.sign(LMS, b"message").unwrap();
        assert_eq!(leaf(&signature), index);
        hss_verify(&mut Software, &public, b"message", signature.as_slice()).unwrap();
    }
    let mut advanced = whole.clone();
    advanced[75 + 7] = 30;
    replace(&advanced);
    assert_eq!(leaf(&client.sign(LMS, b"message").unwrap()), 30);
    // Another public key, and a damaged state.
    original[20] ^= 1;
    replace(&original);
    assert_eq!(client.sign(LMS, b"message"), Err(Status::BAD_STATE));
    for place in [76 + 8, 100, 200, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        replace(&damaged);
        assert_eq!(client.sign(LMS, b"message"), Err(Status::BAD_STATE), "byte {place}");
    }
}

/// One signature with the power failing at each write and erase that it takes, in each way that flash may suffer.
fn cut_power(write_cache: bool) {
    let mut flash = TestFlash::new(2 * PARTITION, 0xFF);
    {
        let server = mount(&mut flash);
        let mut client = Client::new(&server, 1);
        client.lms(1, 5, 2).unwrap();
    }
    // Signatures that leave the store in different places: with room for one more state, and before a compaction.
    let mut used = HashSet::new();
    for round in 0..7 {
        let image = flash.image().to_vec();
        let (first, count) = {
            let mut flash = TestFlash::from_image(image.clone(), 0xFF);
            let server = mount(&mut flash);
            let signature = Client::new(&server, 1).sign(LMS, b"undisturbed").unwrap();
            drop(server);
            (leaf(&signature), flash.operations())
        };
        assert!(count > 0);
        for operation in 0..=count {
            for effect in [
                Effect::None,
                Effect::Complete,
                Effect::First(3),
                Effect::Last(5),
                Effect::Garbage(operation),
            ] {
                let what = format!("round {round}, operation {operation} of {count}, {effect:?}");
                let mut flash = TestFlash::from_image(image.clone(), 0xFF);
                if write_cache {
                    flash = flash.with_write_cache(operation);
                }
                let mut released = Vec::new();
                {
                    let base = flash.operations();
                    flash.cut_power_at(base + operation, effect);
                    let server = mount(&mut flash);
                    let mut client = Client::new(&server, 1);
                    match client.sign(LMS, b"the power fails") {
                        Ok(signature) => released.push(leaf(&signature)),
                        Err(status) => assert_eq!(status, Status::IO_FAILED, "{what}"),
                    }
                }
                let was_cut = flash.is_off();
                flash.reboot();
                let server = mount(&mut flash);
                let mut client = Client::new(&server, 1);
                for _ in 0..2 {
                    released.push(leaf(&client.sign(LMS, b"after the restart").unwrap()));
                }
                // All different, and at most the one that was reserved is lost.
                let distinct: HashSet<_> = released.iter().collect();
                assert_eq!(distinct.len(), released.len(), "{what}: {released:?}");
                assert!(released.is_sorted() && released[0] >= first, "{what}: {released:?}");
                assert!(*released.last().unwrap() <= first + 2, "{what}: {released:?}");
                assert!(was_cut == (operation < count) || write_cache, "{what}");
            }
        }
        let server = mount(&mut flash);
        assert!(used.insert(leaf(&Client::new(&server, 1).sign(LMS, b"undisturbed").unwrap())));
    }
    assert_eq!(used.len(), 7);
}

#[test]
fn no_one_time_key_signs_twice_when_the_power_fails() {
    cut_power(false);
}

#[test]
fn nor_with_flash_that_writes_late() {
    cut_power(true);
}

/// A store that fails while the power stays on: no signature, and the next one is of another leaf or of the same, which
/// has signed nothing.
#[test]
fn a_state_that_cannot_be_stored_gives_no_signature() {
    let mut flash = TestFlash::new(2 * PARTITION, 0xFF);
    {
        let server = mount(&mut flash);
        Client::new(&server, 1).lms(1, 5, 2).unwrap();
    }
    let image = flash.image().to_vec();
    for operation in 0..6 {
        let mut flash = TestFlash::from_image(image.clone(), 0xFF);
        flash.fail_at(operation, Effect::None);
        let server = mount(&mut flash);
        let mut client = Client::new(&server, 1);
        let mut sign = || client.sign(LMS, b"message").map(|signature| leaf(&signature));
        let leaves: Vec<_> = (0..6).map(|_| sign()).collect();
        let failed = leaves.iter().filter(|result| **result == Err(Status::IO_FAILED)).count();
        let released: Vec<_> = leaves.iter().flatten().collect();
        assert_eq!((failed, released.len()), (1, 5), "operation {operation}: {leaves:?}");
        assert!(released.is_sorted_by(|one, two| one < two), "operation {operation}: {leaves:?}");
    }
}
