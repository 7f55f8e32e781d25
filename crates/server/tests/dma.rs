//! Messages of the DMA kind: what they do, and what becomes of bad addresses and of memory that changes.

mod common;

use casemate_crypto::{
    Aead, Chain, Cipher, CtrState, Curve25519, Direction, Ed25519Mode, HashAlgorithm, HashState, Software,
};
use casemate_protocol::message::crypto::{CmacState, CryptoRequest, RequestHeader, action, cipher, hash};
use casemate_protocol::message::crypto_dma::*;
use casemate_protocol::message::{key, nvm};
use casemate_protocol::{
    ByteOrder, DmaBuffer, Flags, Group, KeyId, Label, Layout, Metadata, ObjectId, Status, Writer,
};
use casemate_server::{Access, AddressRange, AllowList, ClientMemory, MemoryError};
use casemate_testkit::server::{TestRandom, VirtualServer};
use common::{ANY, Client, bytes};
use std::cell::RefCell;
use std::rc::Rc;

/// An area that a client shares: the test holds one end, the server the other.
#[derive(Clone, Default)]
struct Area(Rc<RefCell<Inner>>);

#[derive(Default)]
struct Inner {
    bytes: Vec<u8>,
    /// Opened and not closed yet.
    open: i32,
    /// How many bytes the server read.
    read: usize,
}

impl Area {
    fn new(length: usize) -> Self {
        Self(Rc::new(RefCell::new(Inner { bytes: vec![0xEE; length], ..Inner::default() })))
    }
    fn put(&self, at: usize, bytes: &[u8]) -> DmaBuffer {
        self.0.borrow_mut().bytes[at..at + bytes.len()].copy_from_slice(bytes);
        DmaBuffer::new(at as u64, bytes.len() as u64)
    }
    fn get(&self, at: usize, length: usize) -> Vec<u8> {
        self.0.borrow().bytes[at..at + length].to_vec()
    }
    fn wipe(&self) {
        self.0.borrow_mut().bytes.fill(0xEE);
    }
    fn is_untouched(&self, at: usize, length: usize) -> bool {
        self.get(at, length).iter().all(|&byte| byte == 0xEE)
    }
}

impl Inner {
    fn check(&self, range: AddressRange) -> Result<std::ops::Range<usize>, MemoryError> {
        let end = range.end().filter(|&end| end <= self.bytes.len() as u64);
        Ok(range.address as usize..end.ok_or(MemoryError::OutOfRange)? as usize)
    }
}

impl ClientMemory for Area {
    fn open(&mut self, range: AddressRange, _: Access) -> Result<u64, MemoryError> {
        let mut inner = self.0.borrow_mut();
        inner.check(range)?;
        inner.open += 1;
        Ok(range.address)
    }
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        let mut inner = self.0.borrow_mut();
        assert!(inner.open > 0, "read without open");
        let range = inner.check(AddressRange::new(address, to.len() as u64))?;
        inner.read += to.len();
        to.copy_from_slice(&inner.bytes[range]);
        Ok(())
    }
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        let mut inner = self.0.borrow_mut();
        assert!(inner.open > 0, "write without open");
        let range = inner.check(AddressRange::new(address, from.len() as u64))?;
        inner.bytes[range].copy_from_slice(from);
        Ok(())
    }
    fn close(&mut self, _: AddressRange, _: Access) {
        self.0.borrow_mut().open -= 1;
    }
}

const AREA: usize = 64 * 1024;

fn sharing(server: &VirtualServer) -> (Client<'_>, Area) {
    let area = Area::new(AREA);
    let mut client = Client::new(server, 1);
    client.memory = Some(Box::new(area.clone()));
    client.scratch = vec![0; 2 * AREA];
    (client, area)
}

impl Drop for Area {
    fn drop(&mut self) {
        if Rc::strong_count(&self.0) == 1 && !std::thread::panicking() {
            assert_eq!(self.0.borrow().open, 0, "something was opened and not closed");
        }
    }
}

const BAD_BUFFERS: [DmaBuffer; 6] = [
    DmaBuffer::new(AREA as u64, 16),
    DmaBuffer::new(AREA as u64 - 15, 16),
    DmaBuffer::new(u64::MAX, 16),
    DmaBuffer::new(u64::MAX - 15, 16),
    DmaBuffer::new(0, u64::MAX),
    DmaBuffer::new(0, 0x1_0000_0010),
];

#[test]
fn without_shared_memory_the_messages_do_not_exist() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    for (group, action, size) in
        [(Group::NVM, 0x24, 24), (Group::NVM, 0x28, 16), (Group::KEY, 6, 56), (Group::KEY, 7, 24)]
            .into_iter()
            .chain([(Group::KEY, 14, 24), (Group::CRYPTO_DMA, 4, 28), (Group::CRYPTO_DMA, 1, 76)])
    {
        assert!(client.raw(group, action, &vec![0; size]).is_empty(), "{group:?} {action}");
    }
}

// ----- objects -----

fn record(area: &Area, at: usize, order: ByteOrder, id: u16, flags: u16, length: u16) -> u64 {
    let metadata =
        Metadata { id: ObjectId(id), access: 0x1234, flags: Flags(flags), length, label: "object".into() };
    let mut bytes = [0; 32];
    Writer::new(&mut bytes, order).put(metadata).unwrap();
    area.put(at, &bytes).address
}

fn add_dma(client: &mut Client<'_>, metadata_address: u64, data: DmaBuffer) -> Result<(), Status> {
    let length = data.size.try_into().unwrap();
    let request = nvm::AddDmaRequest { metadata_address, data_address: data.address, length };
    client.ask(&request, &[]).0.status.into_result()
}

fn read_dma(client: &mut Client<'_>, id: u16, offset: u16, to: DmaBuffer) -> Result<(), Status> {
    let length = to.size.try_into().unwrap();
    let request = nvm::ReadDmaRequest { address: to.address, id: ObjectId(id), offset, length };
    client.ask(&request, &[]).0.status.into_result()
}

#[test]
fn objects_are_stored_from_and_read_to_client_memory() {
    let server = VirtualServer::default();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let (mut client, area) = sharing(&server);
        client.order = order;
        let data: Vec<u8> = (0..20_000_u32).map(|i| (i % 251) as u8).collect();
        // The length in the record does not count.
        let at = record(&area, 0, order, 0x42, 0, 7);
        let buffer = area.put(1000, &data);
        assert_eq!(add_dma(&mut client, at, buffer), Ok(()));
        let metadata = client.metadata(0x42).unwrap();
        assert_eq!((metadata.length, metadata.access, metadata.label), (20_000, 0x1234, "object".into()));
        area.wipe();
        assert_eq!(read_dma(&mut client, 0x42, 0, DmaBuffer::new(5, 20_000)), Ok(()));
        assert_eq!(area.get(5, 20_000), data);
        assert!(area.is_untouched(0, 5) && area.is_untouched(20_005, 100));
        // Clamped to the object's end; the rest of the buffer is left alone.
        area.wipe();
        assert_eq!(read_dma(&mut client, 0x42, 19_990, DmaBuffer::new(0, 100)), Ok(()));
        assert_eq!(area.get(0, 10), data[19_990..]);
        assert!(area.is_untouched(10, 90));
        // The buffer is checked as declared.
        let near_the_end = DmaBuffer::new(AREA as u64 - 50, 100);
        assert_eq!(read_dma(&mut client, 0x42, 19_990, near_the_end), Err(Status::BAD_ARGUMENTS));
        client.destroy(&[0x42]).unwrap();
    }
}

#[test]
fn an_object_without_data_needs_no_buffer() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    let at = record(&area, 0, ByteOrder::Little, 0x43, 0, 0);
    assert_eq!(add_dma(&mut client, at, DmaBuffer::new(u64::MAX, 0)), Ok(()));
    assert_eq!(client.metadata(0x43).unwrap().length, 0);
    assert_eq!(read_dma(&mut client, 0x43, 0, DmaBuffer::new(0, 10)), Err(Status::BAD_ARGUMENTS));
}

#[test]
fn object_messages_check_in_the_documented_order() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    assert_eq!(client.raw(Group::NVM, 0x24, &[0; 23]), Status::ABORTED.0.to_le_bytes());
    assert_eq!(client.raw(Group::NVM, 0x24, &[0; 25]), Status::ABORTED.0.to_le_bytes());
    assert_eq!(client.raw(Group::NVM, 0x28, &[0; 15]), Status::ABORTED.0.to_le_bytes());
    let good = area.put(100, &[1; 16]);
    let at = record(&area, 0, ByteOrder::Little, 0x44, 0, 0);
    for bad in BAD_BUFFERS.into_iter().filter(|bad| bad.size == 16) {
        assert_eq!(add_dma(&mut client, bad.address, good), Err(Status::BAD_ARGUMENTS), "{bad:?}");
        assert_eq!(add_dma(&mut client, at, bad), Err(Status::BAD_ARGUMENTS), "{bad:?}");
        assert_eq!(read_dma(&mut client, 0x44, 0, bad), Err(Status::NOT_FOUND), "{bad:?}");
    }
    // Another client's key, and a private container of a stateful signature key.
    let foreign = record(&area, 0, ByteOrder::Little, 0x1205, 0, 0);
    assert_eq!(add_dma(&mut client, foreign, good), Err(Status::ACCESS));
    assert_eq!(read_dma(&mut client, 0x1205, 0, good), Err(Status::ACCESS));
    let at = record(&area, 0, ByteOrder::Little, 0x44, 0, 0);
    let stateful = area.put(100, &[1, 0x53, 0x4D, 0x4C, 1, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(add_dma(&mut client, at, stateful), Err(Status::ACCESS));

    let at = record(&area, 0, ByteOrder::Little, 0x44, Flags::NONEXPORTABLE.0, 0);
    let good = area.put(100, &[1; 16]);
    assert_eq!(add_dma(&mut client, at, good), Ok(()));
    assert_eq!(read_dma(&mut client, 0x44, 16, BAD_BUFFERS[0]), Err(Status::BAD_ARGUMENTS));
    assert_eq!(read_dma(&mut client, 0x44, 0, BAD_BUFFERS[0]), Err(Status::BAD_ARGUMENTS));
    assert_eq!(read_dma(&mut client, 0x44, 0, DmaBuffer::new(500, 16)), Err(Status::ACCESS));
    assert!(area.is_untouched(500, 16));
}

#[test]
fn an_object_larger_than_the_servers_memory_is_refused() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    client.scratch = vec![0; 10_000];
    let at = record(&area, 0, ByteOrder::Little, 0x45, 0, 0);
    assert_eq!(add_dma(&mut client, at, DmaBuffer::new(100, 10_001)), Err(Status::BUFFER_SIZE));
    assert_eq!(add_dma(&mut client, at, DmaBuffer::new(100, 10_000)), Ok(()));
    // Reading goes in parts.
    client.scratch = Vec::new();
    area.wipe();
    area.put(100, &[1; 10_000]);
    assert_eq!(read_dma(&mut client, 0x45, 0, DmaBuffer::new(100, 10_000)), Ok(()));
    assert!(area.is_untouched(100, 10_000));
}

// ----- keys -----

fn cache_dma(client: &mut Client<'_>, id: u16, flags: u32, key: DmaBuffer) -> Result<u16, Status> {
    let label = Label::from("label");
    let request = key::CacheDmaRequest { key, flags, label_length: 24, id: KeyId(id), label };
    let (response, rest) = client.ask(&request, &[]);
    assert!(rest.is_empty());
    if response.refused != DmaBuffer::NONE {
        assert_eq!(response.refused, key);
    }
    response.status.into_result().map(|()| response.id.0)
}

fn export_dma(client: &mut Client<'_>, id: u16, out: DmaBuffer) -> Result<usize, Status> {
    let (response, rest) = client.ask(&key::ExportDmaRequest { out, id: KeyId(id) }, &[]);
    assert!(rest.is_empty());
    match response.status {
        Status::OK => assert_eq!((response.refused, response.label), (DmaBuffer::NONE, "label".into())),
        _ => assert_eq!((response.refused, response.length, response.label), (out, 0, Label::EMPTY)),
    }
    response.status.into_result().map(|()| response.length as usize)
}

#[test]
fn keys_are_cached_from_and_exported_to_client_memory() {
    let server = VirtualServer::default();
    for big_endian in [false, true] {
        let (mut client, area) = sharing(&server);
        if big_endian {
            client.order = ByteOrder::Big;
        }
        let key = area.put(33, b"0123456789abcdef");
        assert_eq!(cache_dma(&mut client, 0, ANY, key), Ok(0xFF));
        assert_eq!(client.export(0xFF).unwrap(), b"0123456789abcdef");
        assert_eq!(export_dma(&mut client, 0xFF, DmaBuffer::new(200, 20)), Ok(16));
        assert_eq!(area.get(200, 16), b"0123456789abcdef");
        assert!(area.is_untouched(216, 4));
        assert_eq!(export_dma(&mut client, 0xFF, DmaBuffer::new(200, 15)), Err(Status::NO_SPACE));
        // A key larger than a packet.
        let long = area.put(1000, &[7; 8190]);
        assert_eq!(cache_dma(&mut client, 9, ANY, long), Ok(9));
        assert_eq!(client.export(9), Err(Status::NO_SPACE));
        assert_eq!(export_dma(&mut client, 9, DmaBuffer::new(20_000, 8190)), Ok(8190));
        assert_eq!(area.get(20_000, 8190), [7; 8190]);
    }
}

#[test]
fn key_messages_refuse_bad_buffers_and_keep_the_key_that_was_there() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    client.cache(5, ANY, &[5; 16]).unwrap();
    for bad in BAD_BUFFERS {
        assert_eq!(cache_dma(&mut client, 5, ANY, bad), Err(Status::BAD_ARGUMENTS), "{bad:?}");
        let exported = export_dma(&mut client, 5, bad);
        // Only what is written is looked at.
        assert_eq!(exported.is_ok(), bad.address == 0, "{bad:?}");
    }
    // 0x10010 bytes are not 16.
    let long = DmaBuffer::new(0, 0x1_0010);
    assert_eq!(cache_dma(&mut client, 5, ANY, long), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cache_dma(&mut client, 5, ANY, DmaBuffer::new(0, 0)), Err(Status::BAD_ARGUMENTS));
    let stateful = area.put(100, &[1, 0x53, 0x4D, 0x4C, 1, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(cache_dma(&mut client, 5, ANY, stateful), Err(Status::ACCESS));
    assert_eq!(client.export(5).unwrap(), [5; 16]);

    client.cache(6, ANY | u32::from(Flags::NONEXPORTABLE.0), &[6; 16]).unwrap();
    assert_eq!(export_dma(&mut client, 6, DmaBuffer::new(500, 16)), Err(Status::ACCESS));
    assert_eq!(export_dma(&mut client, 7, DmaBuffer::new(500, 16)), Err(Status::NOT_FOUND));
    assert!(area.is_untouched(500, 16));
    let short = client.raw(Group::KEY, 6, &[0; 55]);
    assert_eq!((short.len(), &short[16..20]), (24, &Status::BAD_ARGUMENTS.0.to_le_bytes()[..]));
    let short = client.raw(Group::KEY, 7, &[0; 23]);
    assert_eq!((short.len(), &short[16..20]), (48, &Status::BAD_ARGUMENTS.0.to_le_bytes()[..]));
}

#[test]
fn the_public_half_goes_to_client_memory() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    let seed = hex::decode("302e020100300506032b657004220420").unwrap();
    client.cache(5, ANY, &[&seed[..], &[9; 32]].concat()).unwrap();
    let public = client.export_public(5, 4).unwrap();
    let ask = |client: &mut Client<'_>, out, algorithm| {
        let request = key::ExportPublicDmaRequest { out, id: KeyId(5), algorithm };
        let response = client.ask(&request, &[]).0;
        (response.status, response.length as usize, response.refused)
    };
    let out = DmaBuffer::new(300, 44);
    assert_eq!(ask(&mut client, out, 4), (Status::OK, 44, DmaBuffer::NONE));
    assert_eq!(area.get(300, 44), public);
    let small = DmaBuffer::new(400, 43);
    assert_eq!(ask(&mut client, small, 4), (Status::NO_SPACE, 0, small));
    assert_eq!(ask(&mut client, BAD_BUFFERS[1], 4), (Status::NO_SPACE, 0, BAD_BUFFERS[1]));
    let outside = DmaBuffer::new(AREA as u64 - 43, 44);
    assert_eq!(ask(&mut client, outside, 4), (Status::BAD_ARGUMENTS, 0, outside));
    assert_eq!(ask(&mut client, out, 2), (Status::ASN_PARSE, 0, DmaBuffer::NONE));
    assert!(area.is_untouched(400, 43));
}

// ----- cryptography -----

fn ask<R: CryptoRequest>(
    client: &mut Client<'_>,
    algorithm: u32,
    request: &R,
    tail: &[u8],
) -> Result<(R::Response, Vec<u8>), Status> {
    let sub = u32::from(R::ACTION == action::PUBLIC_KEY);
    client.compute(algorithm, sub, request, tail)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 % 251) as u8).collect()
}

#[test]
fn random_bytes_fill_client_memory_as_they_come() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    for size in [0, 1, 8192, 20_000, 65_536 - 100] {
        area.wipe();
        server.random().script(&pattern(size));
        let output = DmaBuffer::new(100, size as u64);
        let (response, rest) = ask(&mut client, 4, &RandomDmaRequest { output }, &[]).unwrap();
        assert_eq!((response.refused, rest.len()), (DmaBuffer::NONE, 0));
        assert_eq!(area.get(100, size), pattern(size));
        assert!(area.is_untouched(0, 100) && server.random().take_script().is_empty());
    }
    client.memory = Some(Box::new(Area::new(100_000)));
    let too_many = RandomDmaRequest { output: DmaBuffer::new(0, 65_537) };
    assert_eq!(ask(&mut client, 4, &too_many, &[]).unwrap_err(), Status::CRYPTO_ARGUMENT);
}

const KEY: [u8; 16] = *b"0123456789abcdef";
const IN: u64 = 1000;
const OUT: u64 = 30_000;

/// Runs a block mode over client memory, with the key inline and by identifier, encrypting and decrypting.
fn both_ways(
    mut run: impl FnMut(&mut Client<'_>, DmaBuffer, DmaBuffer, u32, u32, &[u8]) -> Result<u32, Status>,
    mut expected: impl FnMut(&Software<TestRandom>, &mut [u8]),
) {
    let server = VirtualServer::default();
    let software = Software::new(TestRandom::new(0));
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let (mut client, area) = sharing(&server);
        client.order = order;
        client.cache(5, ANY, &KEY).unwrap();
        // Under one packet, over one, and over two.
        for size in [16, 8176, 8192, 20_000] {
            for (id, inline) in [(5, &[][..]), (0, &KEY[..]), (9, &KEY[..])] {
                area.wipe();
                let data = pattern(size);
                let input = area.put(IN as usize, &data);
                let output = DmaBuffer::new(OUT, size as u64);
                assert_eq!(run(&mut client, input, output, 1, id, inline), Ok(size as u32));
                let mut wanted = data.clone();
                expected(&software, &mut wanted);
                assert_eq!(area.get(OUT as usize, size), wanted, "{size} {id}");
                assert!(area.is_untouched(OUT as usize + size, 100));
                // In place.
                assert_eq!(run(&mut client, output, output, 0, id, inline), Ok(size as u32));
                assert_eq!(area.get(OUT as usize, size), data, "{size} {id}");
            }
        }
        let read = area.0.borrow().read;
        assert_eq!(read, (16 + 8176 + 8192 + 20_000) * 6, "every byte is read once");
        let buffer = |address, size| DmaBuffer::new(address, size);
        let mut refused = |input, output| run(&mut client, input, output, 1, 5, &[]).unwrap_err();
        assert_eq!(refused(buffer(0, 32), buffer(100, 16)), Status::BAD_ARGUMENTS);
        assert_eq!(refused(buffer(0, 0), buffer(100, 0)), Status::CRYPTO_ARGUMENT);
        // The output would overwrite input that is not read yet.
        assert_eq!(refused(buffer(0, 32), buffer(16, 32)), Status::BAD_ARGUMENTS);
        assert_eq!(refused(buffer(0, 32), buffer(31, 32)), Status::BAD_ARGUMENTS);
        area.wipe();
        for bad in BAD_BUFFERS {
            assert_eq!(refused(bad, buffer(100, bad.size)), Status::BAD_ARGUMENTS, "{bad:?}");
            assert_eq!(refused(buffer(100, bad.size), bad), Status::BAD_ARGUMENTS, "{bad:?}");
        }
        assert!(area.is_untouched(0, AREA));
        // Output that begins before the input is read in time.
        let data = pattern(64);
        let input = area.put(116, &data);
        assert_eq!(run(&mut client, input, buffer(100, 64), 1, 5, &[]), Ok(64));
        let mut wanted = data;
        expected(&software, &mut wanted);
        assert_eq!(area.get(100, 64), wanted);
    }
}

#[test]
fn ecb_in_client_memory() {
    both_ways(
        |client, input, output, encrypt, key, inline| {
            let key_length = inline.len() as u32;
            let request = EcbDmaRequest { input, output, encrypt, key, key_length };
            let (response, rest) = ask(client, cipher::AES_ECB, &request, inline)?;
            assert!(rest.is_empty());
            Ok(response.length)
        },
        |software, data| software.ecb(Direction::Encrypt, &KEY, data).unwrap(),
    );
}

#[test]
fn cbc_in_client_memory() {
    let mut next = [0; 16];
    let returned = Rc::new(RefCell::new([0; 16]));
    let seen = Rc::clone(&returned);
    both_ways(
        |client, input, output, encrypt, key, inline| {
            let key_length = inline.len() as u32;
            let request = CbcDmaRequest { input, output, encrypt, key, key_length };
            let tail = [&[3; 16], inline].concat();
            let (response, iv) = ask(client, cipher::AES_CBC, &request, &tail)?;
            *seen.borrow_mut() = iv.try_into().unwrap();
            Ok(response.length)
        },
        |software, data| {
            next = [3; 16];
            software.cbc(Direction::Encrypt, &KEY, &mut next, data).unwrap();
            assert_eq!(*returned.borrow(), next);
        },
    );
}

#[test]
fn ctr_in_client_memory() {
    let returned = Rc::new(RefCell::new((0, Vec::new())));
    let seen = Rc::clone(&returned);
    both_ways(
        |client, input, output, encrypt, key, inline| {
            let key_length = inline.len() as u32;
            let request = CtrDmaRequest { input, output, encrypt, unused: 5, key, key_length };
            let tail = [&[0xFF; 16], &[4; 16], inline].concat();
            let (response, state) = ask(client, cipher::AES_CTR, &request, &tail)?;
            *seen.borrow_mut() = (response.unused as usize, state);
            Ok(response.length)
        },
        |software, data| {
            let mut state = CtrState::new([0xFF; 16]);
            state.keystream = [4; 16];
            state.unused = 5;
            software.ctr(&KEY, &mut state, data).unwrap();
            let expected = (state.unused, [state.counter, state.keystream].concat());
            assert_eq!(*returned.borrow(), expected);
        },
    );
}

#[test]
fn block_modes_check_lengths_keys_and_usage() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    client.cache(5, u32::from(Flags::USAGE_ENCRYPT.0), &KEY).unwrap();
    client.cache(6, ANY, &[6; 15]).unwrap();
    let buffer = |address, size| DmaBuffer::new(address, size);
    let cbc = |client: &mut Client<'_>, size, encrypt, key, inline: &[u8]| {
        let (input, output, key_length) = (buffer(0, size), buffer(500, size), inline.len() as u32);
        let request = CbcDmaRequest { input, output, encrypt, key, key_length };
        ask(client, cipher::AES_CBC, &request, &[&[0; 16], inline].concat()).map(|_| ())
    };
    assert_eq!(cbc(&mut client, 17, 1, 5, &[]), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cbc(&mut client, 17, 0, 0, &KEY), Err(Status::CRYPTO_ARGUMENT));
    assert_eq!(cbc(&mut client, 16, 0, 5, &[]), Err(Status::USAGE));
    assert_eq!(cbc(&mut client, 16, 1, 7, &[]), Err(Status::NOT_FOUND));
    assert_eq!(cbc(&mut client, 16, 1, 6, &[]), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cbc(&mut client, 16, 1, 0, &[]), Err(Status::BAD_ARGUMENTS));
    assert_eq!(cbc(&mut client, 16, 1, 5, &[1; 15]), Err(Status::BAD_ARGUMENTS), "the inline key counts");
    let ecb =
        EcbDmaRequest { input: buffer(0, 17), output: buffer(500, 17), encrypt: 1, key: 5, key_length: 0 };
    assert_eq!(ask(&mut client, cipher::AES_ECB, &ecb, &[]).unwrap_err(), Status::BAD_LENGTH);
    assert_eq!(ask(&mut client, cipher::AES_ECB, &ecb, &[0]).unwrap_err(), Status::BAD_ARGUMENTS);
    let ctr = CtrDmaRequest {
        input: buffer(0, 17),
        output: buffer(500, 17),
        encrypt: 1,
        unused: 17,
        key: 5,
        key_length: 0,
    };
    assert_eq!(ask(&mut client, cipher::AES_CTR, &ctr, &[0; 32]).unwrap_err(), Status::BAD_ARGUMENTS);
    assert!(area.is_untouched(0, AREA));
}

fn gcm_request(input: DmaBuffer, output: DmaBuffer, aad: DmaBuffer, encrypt: u32) -> GcmDmaRequest {
    GcmDmaRequest { input, output, aad, encrypt, key: 5, key_length: 0, iv_length: 12, tag_length: 16 }
}

#[test]
fn gcm_in_client_memory() {
    let server = VirtualServer::default();
    let software = Software::new(TestRandom::new(0));
    let (mut client, area) = sharing(&server);
    client.cache(5, ANY, &KEY).unwrap();
    let aad = area.put(100, b"header");
    for size in [0, 1, 100, 8192, 25_000] {
        let data = pattern(size);
        let input = area.put(1000, &data);
        let output = DmaBuffer::new(1000 + size as u64 / 2, size as u64); // They overlap.
        let request = gcm_request(input, output, aad, 1);
        let (response, tag) = ask(&mut client, cipher::AES_GCM, &request, &[7; 12]).unwrap();
        assert_eq!((response.length, response.tag_length), (size as u32, 16));
        let (mut wanted, mut wanted_tag) = (data.clone(), [0; 16]);
        software.gcm_seal(&KEY, &[7; 12], b"header", &mut wanted, &mut wanted_tag).unwrap();
        assert_eq!((area.get(output.address as usize, size), &tag[..]), (wanted, &wanted_tag[..]));
        // Back again, in place, with the key inline.
        let request = GcmDmaRequest { key_length: 16, key: 0, ..gcm_request(output, output, aad, 0) };
        let tail = [&[7; 12], &tag[..], &KEY].concat();
        let (response, rest) = ask(&mut client, cipher::AES_GCM, &request, &tail).unwrap();
        assert_eq!((response.length, response.tag_length, rest.len()), (size as u32, 0, 0));
        assert_eq!(area.get(output.address as usize, size), data);
    }
    assert!(client.scratch.iter().all(|&byte| byte == 0), "the scratch memory is wiped");
}

#[test]
fn gcm_lets_no_plaintext_out_unless_the_tag_is_right() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    client.cache(5, ANY, &KEY).unwrap();
    let input = area.put(1000, &[0; 9000]);
    let request = gcm_request(input, DmaBuffer::new(20_000, 9000), DmaBuffer::NONE, 0);
    let refused = ask(&mut client, cipher::AES_GCM, &request, &[0; 28]).unwrap_err();
    assert_eq!(refused, Status::AES_GCM_AUTHENTICATION);
    assert!(area.is_untouched(20_000, 9000));
    assert!(client.scratch.iter().all(|&byte| byte == 0));

    for bad in BAD_BUFFERS {
        let good = DmaBuffer::new(0, bad.size);
        for request in [
            gcm_request(bad, good, DmaBuffer::NONE, 1),
            gcm_request(good, bad, DmaBuffer::NONE, 1),
            gcm_request(input, input, bad, 1),
        ] {
            let refused = ask(&mut client, cipher::AES_GCM, &request, &[0; 12]).unwrap_err();
            assert_eq!(refused, Status::BAD_ARGUMENTS, "{request:?}");
        }
    }
    let unequal = gcm_request(input, DmaBuffer::new(0, 8999), DmaBuffer::NONE, 1);
    assert_eq!(ask(&mut client, cipher::AES_GCM, &unequal, &[0; 12]).unwrap_err(), Status::BAD_ARGUMENTS);
    let no_iv = GcmDmaRequest { iv_length: 0, ..gcm_request(input, input, DmaBuffer::NONE, 1) };
    assert_eq!(ask(&mut client, cipher::AES_GCM, &no_iv, &[]).unwrap_err(), Status::CRYPTO_ARGUMENT);
    client.scratch = vec![0; 8999];
    let request = gcm_request(input, input, DmaBuffer::NONE, 1);
    assert_eq!(ask(&mut client, cipher::AES_GCM, &request, &[0; 12]).unwrap_err(), Status::BUFFER_SIZE);
}

/// A digest by DMA messages: the first block inline, whole blocks from client memory, then a final message.
fn digest(
    client: &mut Client<'_>,
    area: &Area,
    number: u32,
    algorithm: HashAlgorithm,
    data: &[u8],
) -> Vec<u8> {
    let block = algorithm.block_size();
    let whole = data.len() / block * block;
    let first = if whole > block { block } else { 0 };
    let input = area.put(IN as usize, &data[first..whole]);
    let last = &data[whole..];
    let size = algorithm.digest_size().unwrap();
    let fresh = HashState::new(algorithm);
    let digest = match *fresh.chain() {
        Chain::Words32 { words: state, .. } => {
            let (length_high, length_low, length) = (0, 0, first as u32);
            let request = Sha256DmaRequest { length_high, length_low, state, input, last: 0, length };
            let state = ask(client, number, &request, &data[..first]).unwrap().0;
            assert_eq!((state.variant, state.length_low), (number, whole as u32));
            let request = Sha256DmaRequest {
                length_high: state.length_high,
                length_low: state.length_low,
                state: state.state,
                input: DmaBuffer::NONE,
                last: 1,
                length: last.len() as u32,
            };
            final_digest(client, number, &request, last)
        }
        Chain::Words64 { words: state, .. } => {
            let (length_high, length_low, length) = (0, 0, first as u32);
            let variant = number;
            let request =
                Sha512DmaRequest { length_high, length_low, state, variant, input, last: 0, length };
            let state = ask(client, number, &request, &data[..first]).unwrap().0;
            let request = Sha512DmaRequest {
                length_high: state.length_high,
                length_low: state.length_low,
                state: state.state,
                variant,
                input: DmaBuffer::NONE,
                last: 1,
                length: last.len() as u32,
            };
            final_digest(client, number, &request, last)
        }
        Chain::Lanes(state) => {
            let request = Sha3DmaRequest { input, last: 0, length: first as u32, state };
            let response = ask(client, number, &request, &data[..first]).unwrap().0;
            assert_eq!(response.digest, [0; 64]);
            let request = Sha3DmaRequest {
                input: DmaBuffer::NONE,
                last: 1,
                length: last.len() as u32,
                state: response.state,
            };
            let response = ask(client, number, &request, last).unwrap().0;
            assert_eq!(response.state, [0; 25]);
            response.digest
        }
        _ => unreachable!("no such words"),
    };
    assert!(digest[size..].iter().all(|&byte| byte == 0));
    digest[..size].to_vec()
}

/// The answer to a final SHA-2 message, read as what it is.
fn final_digest<R: CryptoRequest>(
    client: &mut Client<'_>,
    number: u32,
    request: &R,
    tail: &[u8],
) -> [u8; 64] {
    let mut body = vec![0; R::SIZE];
    request.encode(client.order, &mut body).unwrap();
    body.extend(tail);
    let answer = client.compute_in(R::GROUP, R::ACTION, number, 0, &body).unwrap();
    let (response, rest) = Sha2DmaDigestResponse::decode(&answer, client.order).unwrap();
    assert_eq!((response.length_high, response.length_low, response.variant), (0, 0, number));
    assert!(rest.is_empty());
    response.digest
}

#[test]
fn hashes_of_client_memory() {
    let server = VirtualServer::default();
    let software = Software::new(TestRandom::new(0));
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let (mut client, area) = sharing(&server);
        client.order = order;
        for (number, algorithm) in [
            (hash::SHA224, HashAlgorithm::Sha224),
            (hash::SHA256, HashAlgorithm::Sha256),
            (hash::SHA384, HashAlgorithm::Sha384),
            (hash::SHA512, HashAlgorithm::Sha512),
            (hash::SHA3_224, HashAlgorithm::Sha3_224),
            (hash::SHA3_256, HashAlgorithm::Sha3_256),
            (hash::SHA3_384, HashAlgorithm::Sha3_384),
            (hash::SHA3_512, HashAlgorithm::Sha3_512),
        ] {
            for size in [0, 5, 144, 1000, 8192, 20_001] {
                let data = pattern(size);
                let mut wanted = vec![0; algorithm.digest_size().unwrap()];
                casemate_crypto::hash(&software, algorithm, &[&data], &mut wanted).unwrap();
                assert_eq!(
                    digest(&mut client, &area, number, algorithm, &data),
                    wanted,
                    "{algorithm:?} {size}"
                );
            }
        }
    }
}

#[test]
fn hash_messages_check_lengths_and_addresses() {
    let server = VirtualServer::default();
    let (mut client, _area) = sharing(&server);
    let request = |input, last, length| Sha3DmaRequest { input, last, length, state: [0; 25] };
    let mut refused = |input, last, tail: &[u8]| {
        ask(&mut client, hash::SHA3_256, &request(input, last, tail.len() as u32), tail).unwrap_err()
    };
    assert_eq!(refused(DmaBuffer::new(0, 100), 0, &[]), Status::BAD_ARGUMENTS);
    assert_eq!(refused(DmaBuffer::new(0, 136), 1, &[]), Status::BAD_ARGUMENTS);
    assert_eq!(refused(DmaBuffer::new(0, 136), 0, &[0; 5]), Status::BAD_ARGUMENTS);
    assert_eq!(refused(DmaBuffer::NONE, 1, &[0; 136]), Status::BAD_ARGUMENTS);
    assert_eq!(refused(DmaBuffer::new(AREA as u64 - 135, 136), 0, &[]), Status::BAD_ARGUMENTS);
    assert_eq!(refused(DmaBuffer::new(u64::MAX - 100, 136), 0, &[]), Status::BAD_ARGUMENTS);
    assert_eq!(refused(DmaBuffer::new(0, 136 << 32), 0, &[]), Status::BAD_ARGUMENTS);
    let unknown = ask(&mut client, 4, &request(DmaBuffer::NONE, 0, 0), &[]).unwrap_err();
    assert_eq!(unknown, Status::NOT_COMPILED_IN);
}

fn cmac_request(
    input: DmaBuffer,
    mac_length: u32,
    key: u16,
    length: u32,
    state: CmacState,
) -> CmacDmaRequest {
    let CmacState { buffer, digest, buffered, total } = state;
    CmacDmaRequest {
        buffer,
        digest,
        buffered,
        total,
        input,
        mac_length,
        key_length: 0,
        length,
        key: KeyId(key),
    }
}

#[test]
fn cmac_of_client_memory() {
    let server = VirtualServer::default();
    let software = Software::new(TestRandom::new(0));
    let (mut client, area) = sharing(&server);
    client.cache(5, ANY, &KEY).unwrap();
    let mac_of = |data: &[u8]| {
        let mut mac = [0; 16];
        casemate_crypto::cmac(&software, &KEY, &[data], &mut mac).unwrap();
        mac.to_vec()
    };
    let junk = CmacState { buffer: [1; 16], digest: [2; 16], buffered: 16, total: 3 };
    for size in [1, 40, 8192, 20_001] {
        let data = pattern(size);
        let input = area.put(77, &data);
        // One shot: the state is ignored.
        let (response, mac) = ask(&mut client, 7, &cmac_request(input, 16, 5, 0, junk), &[]).unwrap();
        assert_eq!((mac, response.mac_length, response.key.0), (mac_of(&data), 16, 0));
        assert_eq!(response.state(), CmacState::INITIAL);
        // Inline data and client memory, a second time, and the end.
        let (response, rest) =
            ask(&mut client, 7, &cmac_request(input, 0, 5, 3, CmacState::INITIAL), b"abc").unwrap();
        assert_eq!((rest.len(), response.key.0), (0, 5));
        let request = cmac_request(input, 0, 5, 0, response.state());
        let state = ask(&mut client, 7, &request, &[]).unwrap().0.state();
        let (_, mac) = ask(&mut client, 7, &cmac_request(DmaBuffer::NONE, 16, 5, 0, state), &[]).unwrap();
        assert_eq!(mac, mac_of(&[b"abc", &data[..], &data[..]].concat()));
        // All in one message goes on from the state.
        let (_, mac) = ask(&mut client, 7, &cmac_request(input, 8, 5, 1, state), b"z").unwrap();
        assert_eq!(mac, mac_of(&[b"abc", &data[..], &data[..], b"z", &data[..]].concat())[..8]);
    }
    // A state that the server did not give out, where states count.
    let input = area.put(77, &[0; 16]);
    let invented = ask(&mut client, 7, &cmac_request(input, 0, 5, 0, junk), &[]).unwrap_err();
    assert_eq!(invented, Status::BAD_ARGUMENTS);
    let invented = ask(&mut client, 7, &cmac_request(input, 16, 5, 1, junk), b"z").unwrap_err();
    assert_eq!(invented, Status::BAD_ARGUMENTS);
    // The address comes before the key in one shot, and after it otherwise.
    let bad = BAD_BUFFERS[0];
    let unknown_key = |mac_length| cmac_request(bad, mac_length, 9, 0, CmacState::INITIAL);
    assert_eq!(ask(&mut client, 7, &unknown_key(16), &[]).unwrap_err(), Status::BAD_ARGUMENTS);
    assert_eq!(ask(&mut client, 7, &unknown_key(0), &[]).unwrap_err(), Status::NOT_FOUND);
    assert_eq!(ask(&mut client, 7, &cmac_request(input, 3, 5, 0, junk), &[]).unwrap_err(), Status::BUFFER);
    // An inline key wins.
    let request = CmacDmaRequest { key_length: 16, ..cmac_request(input, 16, 9, 0, junk) };
    assert_eq!(ask(&mut client, 7, &request, &KEY).unwrap().1, mac_of(&[0; 16]));
}

// ----- public keys -----

#[test]
fn ed25519_signs_and_verifies_client_memory() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    let seed = hex::decode("302e020100300506032b657004220420").unwrap();
    client.cache(5, ANY, &[&seed[..], &[9; 32]].concat()).unwrap();
    let software = Software::new(TestRandom::new(0));
    let mut public = [0; 32];
    software.ed25519_public(&[9; 32], &mut public).unwrap();
    for size in [0, 5, 20_000] {
        let data = pattern(size);
        let message = area.put(IN as usize, &data);
        let signature = DmaBuffer::new(OUT, 64);
        let request = Ed25519SignDmaRequest {
            message,
            signature,
            public: DmaBuffer::NONE,
            options: 0,
            key: 5,
            mode: 255,
            context_length: 0,
        };
        let response = ask(&mut client, 6, &request, &[]).unwrap().0;
        assert_eq!(response.length, 64);
        let made = area.get(OUT as usize, 64).try_into().unwrap();
        software.ed25519_verify(&public, Ed25519Mode::Pure, &data, &made).unwrap();
        let request = Ed25519VerifyDmaRequest {
            signature,
            message,
            public: DmaBuffer::NONE,
            options: 0,
            key: 5,
            mode: 255,
            context_length: 0,
        };
        assert_eq!(ask(&mut client, 14, &request, &[]).unwrap().0.valid, 1);
        let with_context = Ed25519VerifyDmaRequest { mode: 0, context_length: 3, ..request };
        let wrong = ask(&mut client, 14, &with_context, b"ctx").unwrap_err();
        assert_eq!(wrong, Status::SIGNATURE_VERIFICATION);
        let short = Ed25519VerifyDmaRequest { signature: DmaBuffer::new(OUT, 63), ..request };
        assert_eq!(ask(&mut client, 14, &short, &[]).unwrap_err(), Status::CRYPTO_ARGUMENT);
    }
    area.wipe();
    let request = Ed25519SignDmaRequest {
        message: DmaBuffer::new(0, 5),
        signature: DmaBuffer::new(OUT, 64),
        public: DmaBuffer::NONE,
        options: 0,
        key: 5,
        mode: 255,
        context_length: 0,
    };
    let small = Ed25519SignDmaRequest { signature: DmaBuffer::new(OUT, 63), ..request };
    assert_eq!(ask(&mut client, 6, &small, &[]).unwrap_err(), Status::BUFFER);
    for bad in BAD_BUFFERS {
        let from = Ed25519SignDmaRequest { message: bad, ..request };
        let to = Ed25519SignDmaRequest { signature: DmaBuffer { size: bad.size.max(64), ..bad }, ..request };
        assert_eq!(ask(&mut client, 6, &from, &[]).unwrap_err(), Status::BAD_ARGUMENTS, "{bad:?}");
        assert_eq!(ask(&mut client, 6, &to, &[]).unwrap_err(), Status::BAD_ARGUMENTS, "{bad:?}");
    }
    assert!(area.is_untouched(0, AREA));
    // The key that was lent for one operation is dropped, also when that fails.
    let evicting = Ed25519SignDmaRequest { message: BAD_BUFFERS[0], options: 1, ..request };
    ask(&mut client, 6, &evicting, &[]).unwrap_err();
    assert_eq!(client.export(5), Err(Status::NOT_FOUND));
    // Key generation has no such form.
    let none = ask(&mut client, 15, &request, &[]).unwrap_err();
    assert_eq!(none, Status::NOT_COMPILED_IN);
}

fn ml_dsa_key(flags: u32, key: u32, size: u64) -> MlDsaKeyGenerationDmaRequest {
    let output = DmaBuffer::new(OUT, size);
    let label = "ml-dsa".into();
    MlDsaKeyGenerationDmaRequest { output, level: 2, flags, key, access: 0, label_length: 24, label }
}

#[test]
fn ml_dsa_in_client_memory() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    // Cached: the public half comes back.
    let response = ask(&mut client, 21, &ml_dsa_key(ANY, 5, 1334), &[]).unwrap().0;
    assert_eq!((response.key, response.length), (5, 1334));
    assert_eq!(area.get(OUT as usize, 1334), client.export_public(5, 5).unwrap());
    // Exported: the private key comes back.
    area.wipe();
    let response = ask(&mut client, 21, &ml_dsa_key(0x10, 0, 5000), &[]).unwrap().0;
    assert_eq!((response.key, response.length), (0, 3904));
    assert!(area.is_untouched(OUT as usize + 3904, 1000));
    let private = area.get(OUT as usize, 3904);
    client.cache(6, ANY, &private).unwrap();
    // Buffers that are too small; a key that could not be delivered is not there.
    area.wipe();
    assert_eq!(ask(&mut client, 21, &ml_dsa_key(0x10, 0, 3903), &[]).unwrap_err(), Status::CRYPTO_ARGUMENT);
    assert_eq!(ask(&mut client, 21, &ml_dsa_key(ANY, 7, 1333), &[]).unwrap_err(), Status::BUFFER);
    assert_eq!(client.export(7), Err(Status::NOT_FOUND));
    let long_label = MlDsaKeyGenerationDmaRequest { label_length: 25, ..ml_dsa_key(ANY, 7, 1334) };
    assert_eq!(ask(&mut client, 21, &long_label, &[]).unwrap_err(), Status::BAD_ARGUMENTS);
    let level = MlDsaKeyGenerationDmaRequest { level: 4, ..ml_dsa_key(ANY, 7, 1334) };
    assert_eq!(ask(&mut client, 21, &level, &[]).unwrap_err(), Status::BAD_ARGUMENTS);
    assert!(area.is_untouched(0, AREA));

    for key in [5, 6] {
        let message = area.put(IN as usize, &pattern(20_000));
        let signature = DmaBuffer::new(OUT, 2420);
        let sign = MlDsaSignDmaRequest {
            message,
            signature,
            options: 0,
            level: 0,
            key,
            context_length: 3,
            prehash: 0,
        };
        assert_eq!(ask(&mut client, 22, &sign, b"ctx").unwrap().0.length, 2420);
        let verify = MlDsaVerifyDmaRequest {
            signature,
            message,
            options: 0,
            level: 0,
            key,
            context_length: 3,
            prehash: 0,
        };
        assert_eq!(ask(&mut client, 23, &verify, b"ctx").unwrap().0.valid, 1);
        assert_eq!(ask(&mut client, 23, &verify, b"xyz").unwrap().0.valid, 0);
        assert_eq!(ask(&mut client, 23, &verify, b"ct").unwrap_err(), Status::BAD_ARGUMENTS);
        let short = MlDsaVerifyDmaRequest { signature: DmaBuffer::new(OUT, 2419), ..verify };
        assert_eq!(ask(&mut client, 23, &short, b"ctx").unwrap_err(), Status::BUFFER);
        let small = MlDsaSignDmaRequest { signature: DmaBuffer::new(OUT, 2419), ..sign };
        assert_eq!(ask(&mut client, 22, &small, b"ctx").unwrap_err(), Status::BUFFER);
        for bad in BAD_BUFFERS {
            let sign = MlDsaSignDmaRequest { message: bad, ..sign };
            assert_eq!(ask(&mut client, 22, &sign, b"ctx").unwrap_err(), Status::BAD_ARGUMENTS, "{bad:?}");
            let verify = MlDsaVerifyDmaRequest { message: bad, ..verify };
            assert_eq!(ask(&mut client, 23, &verify, b"ctx").unwrap_err(), Status::BAD_ARGUMENTS, "{bad:?}");
        }
    }
    assert_eq!(ask(&mut client, 24, &ml_dsa_key(0, 0, 0), &[]).unwrap_err(), Status::NO_HANDLER);
}

#[test]
fn ml_kem_in_client_memory() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    let label = Label::from("ml-kem");
    let output = DmaBuffer::new(OUT, 1184);
    let generate = MlKemKeyGenerationDmaRequest {
        output,
        level: 1,
        flags: ANY,
        key: 5,
        access: 0,
        label_length: 24,
        label,
    };
    let response = ask(&mut client, 18, &generate, &[]).unwrap().0;
    assert_eq!((response.key, response.length), (5, 1184));
    assert_eq!(area.get(OUT as usize, 1184), client.export_public(5, 6).unwrap());
    let small = MlKemKeyGenerationDmaRequest { output: DmaBuffer::new(OUT, 1183), key: 7, ..generate };
    assert_eq!(ask(&mut client, 18, &small, &[]).unwrap_err(), Status::ABORTED);
    assert_eq!(client.export(7), Err(Status::NOT_FOUND));

    let ciphertext = DmaBuffer::new(100, 1088);
    let encapsulate = MlKemEncapsulateDmaRequest { ciphertext, options: 0, level: 1, key: 5 };
    let (response, secret) = ask(&mut client, 19, &encapsulate, &[]).unwrap();
    assert_eq!((response.ciphertext_length, response.secret_length, secret.len()), (1088, 32, 32));
    let decapsulate = MlKemDecapsulateDmaRequest { ciphertext, options: 0, level: 1, key: 5 };
    let (response, other) = ask(&mut client, 20, &decapsulate, &[]).unwrap();
    assert_eq!((response.secret_length, &other), (32, &secret));
    let damaged = MlKemDecapsulateDmaRequest { ciphertext: DmaBuffer::new(101, 1088), ..decapsulate };
    assert_ne!(ask(&mut client, 20, &damaged, &[]).unwrap().1, secret);
    let wrong_level = MlKemDecapsulateDmaRequest { level: 0, ..decapsulate };
    assert_eq!(ask(&mut client, 20, &wrong_level, &[]).unwrap_err(), Status::BAD_ARGUMENTS);
    let short = DmaBuffer::new(100, 1087);
    let decapsulate_short = MlKemDecapsulateDmaRequest { ciphertext: short, ..decapsulate };
    assert_eq!(ask(&mut client, 20, &decapsulate_short, &[]).unwrap_err(), Status::BUFFER);
    let encapsulate_short = MlKemEncapsulateDmaRequest { ciphertext: short, ..encapsulate };
    assert_eq!(ask(&mut client, 19, &encapsulate_short, &[]).unwrap_err(), Status::BAD_ARGUMENTS);
    let outside = MlKemEncapsulateDmaRequest {
        ciphertext: DmaBuffer::new(AREA as u64 - 1087, 1088),
        options: 1,
        ..encapsulate
    };
    assert_eq!(ask(&mut client, 19, &outside, &[]).unwrap_err(), Status::BAD_ARGUMENTS);
    assert_eq!(client.export(5), Err(Status::NOT_FOUND), "dropped although it failed");
}

// ----- hostile memory -----

/// Memory whose every read gives other bytes, as of a client that changes it all the time.
#[derive(Clone, Default)]
struct Changing {
    reads: Rc<RefCell<Vec<(u64, usize)>>>,
    first: Rc<RefCell<Vec<u8>>>,
    written: Rc<RefCell<Vec<u8>>>,
    next: u8,
}

impl ClientMemory for Changing {
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        for byte in to.iter_mut() {
            self.next = self.next.wrapping_mul(5).wrapping_add(113);
            *byte = self.next;
        }
        self.reads.borrow_mut().push((address, to.len()));
        self.first.borrow_mut().extend_from_slice(to);
        Ok(())
    }
    fn write(&mut self, _: u64, from: &[u8]) -> Result<(), MemoryError> {
        self.written.borrow_mut().extend_from_slice(from);
        Ok(())
    }
}

#[test]
fn a_message_that_changes_while_it_is_signed_is_signed_as_it_was_read() {
    let server = VirtualServer::default();
    let software = Software::new(TestRandom::new(0));
    let (mut client, _) = sharing(&server);
    let seed = hex::decode("302e020100300506032b657004220420").unwrap();
    client.cache(5, ANY, &[&seed[..], &[9; 32]].concat()).unwrap();
    let memory = Changing::default();
    client.memory = Some(Box::new(memory.clone()));
    let request = Ed25519SignDmaRequest {
        message: DmaBuffer::new(0, 20_000),
        signature: DmaBuffer::new(0, 64),
        public: DmaBuffer::NONE,
        options: 0,
        key: 5,
        mode: 255,
        context_length: 0,
    };
    ask(&mut client, 6, &request, &[]).unwrap();
    assert_eq!(*memory.reads.borrow(), [(0, 20_000)], "read once");
    let mut public = [0; 32];
    software.ed25519_public(&[9; 32], &mut public).unwrap();
    let signature = memory.written.borrow().as_slice().try_into().unwrap();
    software.ed25519_verify(&public, Ed25519Mode::Pure, &memory.first.borrow(), &signature).unwrap();
}

#[test]
fn what_was_checked_is_what_is_used() {
    let server = VirtualServer::default();
    let (mut client, _) = sharing(&server);
    let memory = Changing::default();
    client.memory = Some(Box::new(memory.clone()));
    // A key: cached as read once.
    let id = cache_dma(&mut client, 0, ANY, DmaBuffer::new(0, 32)).unwrap();
    assert_eq!(client.export(id).unwrap(), *memory.first.borrow());
    // A decryption of data whose tag is wrong writes nothing, whatever is read.
    client.cache(5, ANY, &KEY).unwrap();
    let buffer = DmaBuffer::new(0, 100);
    let request = gcm_request(buffer, buffer, DmaBuffer::NONE, 0);
    let refused = ask(&mut client, cipher::AES_GCM, &request, &[0; 28]).unwrap_err();
    assert_eq!(refused, Status::AES_GCM_AUTHENTICATION);
    assert!(memory.written.borrow().is_empty());
    // Every byte of a hash's input is read once.
    memory.reads.borrow_mut().clear();
    let request = Sha3DmaRequest { input: DmaBuffer::new(8, 136 * 200), last: 0, length: 0, state: [0; 25] };
    ask(&mut client, hash::SHA3_256, &request, &[]).unwrap();
    let mut at = 8;
    for &(address, length) in memory.reads.borrow().iter() {
        assert_eq!(address, at);
        at += length as u64;
    }
    assert_eq!(at, 8 + 136 * 200);
}

/// Memory that fails in a chosen way.
struct Failing {
    error: MemoryError,
    on_open: bool,
}

impl ClientMemory for Failing {
    fn open(&mut self, range: AddressRange, _: Access) -> Result<u64, MemoryError> {
        if self.on_open { Err(self.error) } else { Ok(range.address) }
    }
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<(), MemoryError> {
        Err(self.error)
    }
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), MemoryError> {
        Err(self.error)
    }
}

#[test]
fn failures_of_the_memory_have_their_status() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    client.cache(5, ANY, &KEY).unwrap();
    for (error, status) in [
        (MemoryError::Denied, Status::ACCESS),
        (MemoryError::OutOfRange, Status::BAD_ARGUMENTS),
        (MemoryError::Unavailable, Status::NOT_READY),
        (MemoryError::Fault, Status::ABORTED),
    ] {
        for on_open in [true, false] {
            client.memory = Some(Box::new(Failing { error, on_open }));
            let buffer = DmaBuffer::new(0, 16);
            assert_eq!(cache_dma(&mut client, 5, ANY, buffer), Err(status));
            assert_eq!(export_dma(&mut client, 5, buffer), Err(status));
            assert_eq!(add_dma(&mut client, 0, buffer), Err(status));
            let ecb = EcbDmaRequest { input: buffer, output: buffer, encrypt: 1, key: 5, key_length: 0 };
            assert_eq!(ask(&mut client, cipher::AES_ECB, &ecb, &[]).unwrap_err(), status);
            let random = RandomDmaRequest { output: buffer };
            assert_eq!(ask(&mut client, 4, &random, &[]).unwrap_err(), status);
            // A generated key whose public half cannot be delivered is not there.
            let key = ml_dsa_key(ANY, 7, 1334);
            assert_eq!(ask(&mut client, 21, &key, &[]).unwrap_err(), status);
            assert_eq!(client.export(7), Err(Status::NOT_FOUND));
        }
    }
    assert_eq!(client.export(5).unwrap(), KEY);
}

#[test]
fn an_allow_list_is_obeyed() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    static READABLE: [AddressRange; 1] = [AddressRange::new(0, 32)];
    static WRITABLE: [AddressRange; 1] = [AddressRange::new(100, 32)];
    client.memory = Some(Box::new(AllowList::new(area.clone(), &READABLE, &WRITABLE)));
    let buffer = |at| DmaBuffer::new(at, 32);
    let ecb = |input, output| EcbDmaRequest { input, output, encrypt: 1, key: 0, key_length: 16 };
    ask(&mut client, cipher::AES_ECB, &ecb(buffer(0), buffer(100)), &KEY).unwrap();
    for (from, to) in [(0, 0), (100, 100), (1, 100), (0, 101), (100, 0)] {
        let refused = ask(&mut client, cipher::AES_ECB, &ecb(buffer(from), buffer(to)), &KEY);
        assert_eq!(refused.unwrap_err(), Status::ACCESS);
    }
}

#[test]
fn nothing_of_the_server_is_in_the_padding() {
    let server = VirtualServer::default();
    let (mut client, area) = sharing(&server);
    client.cache(5, ANY, &KEY).unwrap();
    let input = area.put(0, &pattern(64));
    let mut payload = vec![0; 12];
    RequestHeader { algorithm: cipher::AES_ECB, sub_algorithm: 0, affinity: 0 }
        .encode(ByteOrder::Little, &mut payload)
        .unwrap();
    let mut body = vec![0xAA; 48];
    EcbDmaRequest { input, output: input, encrypt: 1, key: 5, key_length: 0 }
        .encode(ByteOrder::Little, &mut body)
        .unwrap();
    payload.extend(body);
    let answer = client.raw(Group::CRYPTO_DMA, 2, &payload);
    assert_eq!(answer, bytes("0D000000 00*8 00*16 40000000 00000000"));
}

#[test]
fn messages_of_any_length_are_answered() {
    let server = VirtualServer::default();
    let (mut client, _area) = sharing(&server);
    for action in 0..=16 {
        for algorithm in 0..40_u8 {
            for length in [0, 3, 11, 12, 15, 16, 27, 60, 100, 200, 300] {
                let mut payload = vec![0; length];
                if let Some(first) = payload.first_mut() {
                    *first = algorithm;
                }
                if length > 4 {
                    payload[4] = 1;
                }
                let answer = client.raw(Group::CRYPTO_DMA, action, &payload);
                assert!(answer.len() >= 12, "{action} {algorithm} {length}");
            }
        }
    }
}
