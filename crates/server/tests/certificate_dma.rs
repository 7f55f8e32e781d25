//! Certificate messages whose data lies in client memory (document 07, §A.2).

mod common;

use casemate_protocol::message::certificate::{
    AddTrustedDmaRequest, FLAG_CACHE_LEAF_KEY, ReadTrustedDmaRequest, VerifyAttributeDmaRequest,
    VerifyDmaRequest, VerifyMultiRootDmaRequest,
};
use casemate_protocol::{Flags, Group, KeyId, Label, ObjectId, Status};
use casemate_server::{Access, AddressRange, ClientMemory, MemoryError};
use casemate_testkit::server::VirtualServer;
use common::Client;
use std::cell::RefCell;
use std::rc::Rc;

const NOW: u64 = 1_893_499_200;

fn certificate(name: &str) -> Vec<u8> {
    let text = include_str!("../../x509/tests/data/certificates.txt");
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    hex::decode(lines.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}")).1).unwrap()
}

fn chain(names: &str) -> Vec<u8> {
    names.split_whitespace().flat_map(certificate).collect()
}

/// Memory whose bytes change as soon as they have been read once.
#[derive(Clone)]
struct Area(Rc<RefCell<Vec<u8>>>);

impl Area {
    /// Puts `data` to address 0x10.
    fn put(&self, data: &[u8]) {
        self.0.borrow_mut()[16..16 + data.len()].copy_from_slice(data);
    }
}

impl ClientMemory for Area {
    fn open(&mut self, range: AddressRange, _: Access) -> Result<u64, MemoryError> {
        let end = range.end().ok_or(MemoryError::OutOfRange)?;
        if end > self.0.borrow().len() as u64 { Err(MemoryError::OutOfRange) } else { Ok(range.address) }
    }
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        let mut bytes = self.0.borrow_mut();
        let part = &mut bytes[address as usize..][..to.len()];
        to.copy_from_slice(part);
        part.fill(0xEE);
        Ok(())
    }
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        self.0.borrow_mut()[address as usize..][..from.len()].copy_from_slice(from);
        Ok(())
    }
}

struct Remote<'s> {
    client: Client<'s>,
    area: Area,
}

impl<'s> Remote<'s> {
    fn new(server: &'s VirtualServer, scratch: usize) -> Self {
        server.set_now(Some(NOW));
        let area = Area(Rc::new(RefCell::new(vec![0; 64 * 1024])));
        let mut client = Client::new(server, 1);
        client.memory = Some(Box::new(area.clone()));
        client.scratch = vec![0; scratch];
        Self { client, area }
    }

    fn add(&mut self, id: u16, data: &[u8]) -> Status {
        self.area.put(data);
        let request = AddTrustedDmaRequest {
            address: 16,
            length: data.len() as u32,
            id: ObjectId(id),
            access: 0xFFFF,
            flags: Flags::NONE,
            label: Label::from("root"),
        };
        self.client.ask(&request, &[]).0.status
    }

    fn read(&mut self, id: u16, length: u32) -> Status {
        self.client.ask(&ReadTrustedDmaRequest { address: 16, length, id: ObjectId(id) }, &[]).0.status
    }

    fn verify(&mut self, root: u16, data: &[u8], key: Option<u16>) -> (Status, u16) {
        self.area.put(data);
        let request = VerifyDmaRequest {
            address: 16,
            length: data.len() as u32,
            root: ObjectId(root),
            flags: if key.is_some() { FLAG_CACHE_LEAF_KEY } else { 0 },
            key_flags: Flags::USAGE_ANY,
            key: KeyId(key.unwrap_or(0)),
        };
        let response = self.client.ask(&request, &[]).0;
        (response.status, response.key.0)
    }

    fn verify_roots(&mut self, roots: &[u16], data: &[u8]) -> Status {
        self.area.put(data);
        let mut ids = [0; 8];
        ids[..roots.len()].copy_from_slice(roots);
        let request = VerifyMultiRootDmaRequest {
            address: 16,
            length: data.len() as u32,
            roots: roots.len() as u16,
            flags: 0,
            key_flags: Flags::NONE,
            key: KeyId::NONE,
            ids,
        };
        self.client.ask(&request, &[]).0.status
    }

    fn verify_attribute(&mut self, root: u16, data: &[u8]) -> Status {
        self.area.put(data);
        let request = VerifyAttributeDmaRequest {
            address: 16,
            length: data.len() as u32,
            root: ObjectId(root),
            flags: 0,
            key_flags: Flags::NONE,
            key: KeyId::NONE,
        };
        self.client.ask(&request, &[]).0.status
    }
}

#[test]
fn every_action_works_on_client_memory() {
    for scratch in [0, 32 * 1024] {
        let server = VirtualServer::default();
        let mut remote = Remote::new(&server, scratch);
        let root = certificate("root");
        assert_eq!(remote.add(1, &root), Status::OK);
        assert_eq!(remote.add(2, &certificate("other-root")), Status::OK);
        assert_eq!(remote.client.metadata(1).unwrap().length as usize, root.len());
        assert_eq!(remote.read(1, 2000), Status::OK);
        assert_eq!(remote.area.0.borrow()[16..16 + root.len()], root);
        assert_eq!(remote.read(1, root.len() as u32 - 1), Status::BUFFER_SIZE);
        assert_eq!(remote.read(9, 2000), Status::NOT_FOUND);
        assert_eq!(remote.read(0x2100, 2000), Status::ACCESS);

        let good = chain("inter leaf");
        assert_eq!(remote.verify(1, &good, None), (Status::OK, 0));
        assert_eq!(remote.verify(1, &good, Some(5)), (Status::OK, 5));
        assert!(!remote.client.export(5).unwrap().is_empty());
        assert_eq!(remote.verify(2, &good, Some(6)), (Status::CERTIFICATE_VERIFICATION, 6));
        assert_eq!(remote.verify(9, &good, None).0, Status::NOT_FOUND);
        assert_eq!(remote.verify(1, &[], None).0, Status::BAD_ARGUMENTS);
        let both = chain("inter leaf other-inter other-leaf");
        assert_eq!(remote.verify_roots(&[2, 9, 1], &both), Status::OK);
        assert_eq!(remote.verify_roots(&[2], &both), Status::CERTIFICATE_VERIFICATION);
        assert_eq!(remote.verify_attribute(1, &certificate("attribute-ec")), Status::OK);
        assert_eq!(remote.verify_attribute(2, &certificate("attribute-rsa")), Status::OK);
        assert_eq!(
            remote.verify_attribute(2, &certificate("attribute-ec")),
            Status::CERTIFICATE_VERIFICATION
        );
    }
}

/// Without scratch memory, chain and root share the room for the response.
#[test]
fn chains_that_do_not_fit_are_refused() {
    let long: Vec<u8> = chain(&"inter ".repeat(21));
    let server = VirtualServer::default();
    let mut remote = Remote::new(&server, 0);
    remote.add(1, &certificate("root"));
    // A root that the rest of the room does not hold.
    let room = server.server().config().data_length;
    remote.add(2, &vec![0x30; room - long.len() + 1]);
    assert_eq!(remote.verify(2, &long, None).0, Status::BUFFER_SIZE);
    let mut remote = Remote::new(&server, 32 * 1024);
    assert_eq!(remote.verify(1, &chain(&"inter ".repeat(16)), None).0, Status::OK);
    assert_eq!(remote.verify(1, &long, None).0, Status::CERTIFICATE_VERIFICATION, "too many authorities");
}

#[test]
fn sizes_and_addresses_are_checked() {
    let server = VirtualServer::default();
    let mut remote = Remote::new(&server, 0);
    remote.add(1, &certificate("root"));
    for (action, size) in [(0x22, 48), (0x24, 16), (0x25, 24), (0x27, 24), (0x28, 40)] {
        for length in [0, size - 1, size + 1] {
            let response = remote.client.raw(Group::CERT, action, &vec![0; length]);
            assert_eq!(response, common::bytes("2EF8FFFF 00*4"), "{action:#04x}");
        }
        // All ones: no such address.
        let response = remote.client.raw(Group::CERT, action, &vec![0xFF; size]);
        assert_eq!(response.len(), 8);
        let status = i32::from_le_bytes(response[..4].try_into().unwrap());
        assert!(matches!(Status(status), Status::BAD_ARGUMENTS | Status::ACCESS), "{action:#04x}: {status}");
    }
    for action in [0x21, 0x23, 0x26 + 3] {
        assert!(remote.client.raw(Group::CERT, action, &[0; 64]).is_empty());
    }
}
