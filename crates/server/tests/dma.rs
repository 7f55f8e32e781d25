//! Messages of the DMA kind: what they do, and what becomes of bad addresses and of memory that changes.

mod common;

use casemate_protocol::message::{key, nvm};
use casemate_protocol::{
    ByteOrder, DmaBuffer, Flags, Group, KeyId, Label, Metadata, ObjectId, Status, Writer,
};
use casemate_server::{Access, AddressRange, ClientMemory, MemoryError};
use casemate_testkit::server::VirtualServer;
use common::{ANY, Client};
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
