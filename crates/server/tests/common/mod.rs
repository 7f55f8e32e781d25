//! A client for tests: it sends what it is told, well-formed or not, and takes the answers apart.
#![allow(dead_code, unreachable_pub, reason = "every test program takes the whole and uses a part")]

use casemate_protocol::message::crypto::{CryptoRequest, RequestHeader, ResponseHeader};
use casemate_protocol::message::{Request, counter, key, nvm};
use casemate_protocol::{
    ByteOrder, Flags, Group, Header, KeyId, Kind, Label, Layout, Metadata, ObjectId, Status,
};
use casemate_server::{ClientMemory, ClientWindow, Disconnect};
use casemate_testkit::server::{VirtualServer, VirtualSession};

/// Bytes from hexadecimal text, in which white space and `|` are ignored and `00*20` stands for twenty zeros.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in text.split(|c: char| c.is_whitespace() || c == '|').filter(|part| !part.is_empty()) {
        let (digits, times) = part.split_once('*').map_or((part, 1), |(d, t)| (d, t.parse().unwrap()));
        bytes.extend(hex::decode(digits).unwrap().repeat(times));
    }
    bytes
}

/// A certificate with an Ed25519 key that has signed itself, made with Python's `cryptography`; valid in 2029 and 2030.
macro_rules! certificate {
    () => {
        "3081c33077a003020102020107300506032b6570300c310a300806035504030c0161301e170d32393031303130303030 \
         30305a170d3331303130313030303030305a300c310a300806035504030c0161302a300506032b6570032100c859c825 \
         8f386363b7b53cdf3e112899fdf10bd0b5c56a47108bf02ac6ca774e300506032b6570034100abbe0e1cf6807f5dc5fb \
         601cb1c0a26a36d0ab4ffd76418c0be39b71504341e56990b4bac50118bb9ae4affe6bbe67968e94ede54717e9e94845 \
         3dea709a0105"
    };
}

/// One message of each kind that succeeds, in an order in which it does: group, action, payload, offset of the status.
pub const MESSAGES: &[(u8, u8, &str, Option<usize>)] = &[
    (1, 1, "03000000", None),
    (1, 2, "", None),
    (1, 4, "", None),
    (1, 5, "00*500", None),
    (2, 1, "00*4", Some(0)),
    (2, 2, "", Some(0)),
    (2, 3, "", Some(0)),
    (2, 4, "4200 0000 0000 0800 00*24 00*8", Some(0)),
    (2, 5, "00*6", Some(0)),
    (2, 6, "4200", Some(0)),
    (2, 8, "4200 0000 0800", Some(0)),
    (2, 7, "0100 4200 00*36", Some(0)),
    (2, 7, "00*40", Some(0)),
    // CACHE, small and big; CACHE_RANDOM; COMMIT, EXPORT, EVICT, REVOKE, ERASE.
    (3, 0, "E0070000 10000000 18000000 0500 0000 00*24 11*16", Some(0)),
    (3, 0, "E0070000 E8030000 18000000 0600 0000 00*24 11*1000", Some(0)),
    (3, 0, "E0070000 10000000 18000000 0000 0000 00*24 11*16", Some(0)),
    (3, 15, "E0070000 00000000 2000 0700 00*4 00*24", Some(0)),
    (3, 3, "0500 00*6", Some(0)),
    (3, 3, "0700 00*6", Some(0)),
    (3, 2, "0500 00*6", Some(0)),
    (3, 2, "0600 00*6", Some(0)),
    (3, 1, "0700 00*6", Some(0)),
    (3, 2, "0700 00*6", Some(0)),
    (3, 5, "0700 00*6", Some(0)),
    (3, 4, "0600 00*6", Some(0)),
    // WRAP, DATA_WRAP, WRAP_EXPORT (0x40 is trusted).
    (3, 8, "1000 0500 0300 0843 FFFF E007 1000 00*24 22*16", Some(0)),
    (3, 11, "10000000 0500 0300 22*16", Some(0)),
    (3, 16, "0500 0100 4000 0300", Some(0)),
    // Hashes.
    (4, 1, "05000000 00*8 00*40 00000000 40000000 00*64", Some(4)),
    (4, 1, "06000000 00*8 00*40 01000000 05000000 00*5", Some(4)),
    (4, 1, "07000000 00*8 00*76 00000000 80000000 00*128", Some(4)),
    (4, 1, "08000000 00*8 00*76 01000000 05000000 00*5", Some(4)),
    (4, 1, "0A000000 00*8 00000000 90000000 00*200 00*144", Some(4)),
    (4, 1, "0D000000 00*8 01000000 05000000 00*200 00*5", Some(4)),
    // Ciphers.
    (4, 2, "02000000 00*8 01000000 00000000 10000000 0500 0000 00*16 00*16", Some(4)),
    (4, 2, "0D000000 00*8 00000000 10000000 10000000 0000 0000 00*16 33*16", Some(4)),
    (4, 2, "04000000 00*8 01000000 00000000 14000000 00000000 0500 0000 00*20 00*32", Some(4)),
    (
        4,
        2,
        "03000000 00*8 01000000 00000000 10000000 0C000000 04000000 10000000 0500 0000 00*16 00*12 00*4",
        Some(4),
    ),
    // Random numbers, CMAC (one shot, update, final), key derivation (exported, cached).
    (4, 4, "04000000 00*8 E8030000", Some(4)),
    (4, 7, "07000000 00*8 10000000 10000000 00000000 0500 0000 00*40 00*16", Some(4)),
    (4, 7, "07000000 00*8 00000000 10000000 00000000 0500 0000 00*40 00*16", Some(4)),
    (4, 7, "07000000 00*8 10000000 00000000 00000000 0500 0000 00*40", Some(4)),
    (4, 9, "09000000 01000000 00*4 10000000 05000000 00*4 06000000 00*12 40000000 00*24", Some(4)),
    (4, 9, "09000000 01000000 00*4 E0070000 05000000 00*4 0D000000 00*12 40000000 00*24", Some(4)),
    (4, 9, "09000000 02000000 00*4 E0070000 05000000 05000000 00*4 00*12 20000000 00*24", Some(4)),
    // Counters.
    (8, 0, "01000000 0100 0000", Some(0)),
    (8, 1, "0100 00*6", Some(0)),
    (8, 2, "0100 00*6", Some(0)),
    (8, 3, "0100 00*6", Some(0)),
    // SHE: identifier and status; then the others, which need their place in a sequence to succeed.
    (7, 0, "00*14 01 00", Some(0)),
    (7, 4, "", Some(0)),
    (7, 1, "10000000 00*4", None),
    (7, 2, "10000000 00*4 00*16", None),
    (7, 3, "", None),
    (7, 6, "11*16", None),
    (7, 5, "00*15 E0 00*32 00*16", None),
    (7, 7, "", None),
    (7, 8, "", None),
    (7, 9, "", None),
    (7, 10, "22*16", None),
    (7, 11, "20000000 0E 00*3 33*32", None),
    (7, 12, "20000000 0E 00*3 44*16 33*32", None),
    (7, 13, "20000000 0E 00*3 33*32", None),
    (7, 14, "20000000 0E 00*3 44*16 33*32", None),
    (7, 15, "0E000000 21000000 55*33", None),
    (7, 16, "0E000000 21000000 10000000 00*4 55*33 66*16", None),
    // Certificates: INIT, ADD, READ, VERIFY (the leaf's key becomes key 0x0A), several roots, the verify cache, an attribute
    // certificate that is none, ERASE.
    (12, 1, "", Some(0)),
    (12, 2, concat!("C6000000 0300 FFFF 0000 00*24 0000 ", certificate!()), Some(0)),
    (12, 4, "0300 00*6", Some(0)),
    (12, 5, concat!("C6000000 0300 0100 E007 0A00 ", certificate!()), Some(0)),
    (12, 6, concat!("C6000000 0200 0000 0000 0000 00*4 0300 0900 ", certificate!()), Some(0)),
    (12, 7, "", Some(0)),
    (12, 8, "01 00*7", Some(0)),
    (12, 0x26, concat!("C6000000 0300 0000 ", certificate!()), None),
    (12, 3, "0300 00*6", Some(0)),
    // A custom callback, of which there are none.
    (10, 0, "00*264", None),
    // No such group, and the end.
    (5, 0, "00*10", None),
    (13, 0, "00*10", None),
    (1, 3, "", None),
];

pub const ANY: u32 = Flags::USAGE_ANY.0 as u32;

pub struct Client<'s> {
    pub server: &'s VirtualServer,
    pub session: VirtualSession,
    pub order: ByteOrder,
    /// What the client shares with the server.
    pub memory: Option<Box<dyn ClientMemory>>,
    /// What the port lends the server.
    pub scratch: Vec<u8>,
    sequence: u16,
}

impl<'s> Client<'s> {
    /// A connection on which nothing was said.
    pub fn silent(server: &'s VirtualServer) -> Self {
        Self {
            server,
            session: server.session(),
            order: ByteOrder::Little,
            memory: None,
            scratch: Vec::new(),
            sequence: 0,
        }
    }

    /// A connection after INIT.
    pub fn new(server: &'s VirtualServer, id: u32) -> Self {
        let mut client = Self::silent(server);
        assert_eq!(client.init(id), Some(id));
        client
    }

    pub fn big_endian(mut self) -> Self {
        self.order = ByteOrder::Big;
        self
    }

    /// The packet with the next sequence number.
    pub fn packet(&mut self, group: Group, action: u8, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let header = Header {
            order: self.order,
            kind: Kind::new(group, action),
            sequence: self.sequence,
            auxiliary: [0x55, 0xAA],
        };
        [&header.encode(), payload].concat()
    }

    /// Sends a payload and returns the response's; the header must be the request's.
    pub fn raw(&mut self, group: Group, action: u8, payload: &[u8]) -> Vec<u8> {
        let packet = self.packet(group, action, payload);
        let mut response = self.send(&packet).unwrap();
        assert_eq!(response[..8], packet[..8]);
        response.split_off(8)
    }

    /// Sends a whole packet.
    pub fn send(&mut self, packet: &[u8]) -> Result<Vec<u8>, Disconnect> {
        match &mut self.memory {
            Some(memory) => {
                let window = ClientWindow { memory: memory.as_mut(), scratch: &mut self.scratch };
                self.server.request_with_window(&mut self.session, window, packet)
            }
            None => self.server.request(&mut self.session, packet),
        }
    }

    pub fn ask<R: Request>(&mut self, request: &R, tail: &[u8]) -> (R::Response, Vec<u8>) {
        let mut payload = vec![0; R::SIZE];
        request.encode(self.order, &mut payload).unwrap();
        payload.extend(tail);
        let answer = self.raw(R::KIND.group, R::KIND.action, &payload);
        let (response, rest) = R::Response::decode(&answer, self.order).unwrap();
        (response, rest.to_vec())
    }

    pub fn compute<R: CryptoRequest>(
        &mut self,
        algorithm: u32,
        sub_algorithm: u32,
        request: &R,
        tail: &[u8],
    ) -> Result<(R::Response, Vec<u8>), Status> {
        let mut body = vec![0; R::SIZE];
        request.encode(self.order, &mut body).unwrap();
        body.extend(tail);
        let answer = self.compute_in(R::GROUP, R::ACTION, algorithm, sub_algorithm, &body)?;
        let (response, rest) = R::Response::decode(&answer, self.order).unwrap();
        Ok((response, rest.to_vec()))
    }

    /// A CRYPTO message whose body is given; the answer's body.
    pub fn compute_raw(
        &mut self,
        action: u8,
        algorithm: u32,
        sub_algorithm: u32,
        body: &[u8],
    ) -> Result<Vec<u8>, Status> {
        self.compute_in(Group::CRYPTO, action, algorithm, sub_algorithm, body)
    }

    /// As [`Self::compute_raw`], in a group of choice.
    pub fn compute_in(
        &mut self,
        group: Group,
        action: u8,
        algorithm: u32,
        sub_algorithm: u32,
        body: &[u8],
    ) -> Result<Vec<u8>, Status> {
        let mut payload = vec![0; RequestHeader::SIZE];
        RequestHeader { algorithm, sub_algorithm, affinity: 0 }.encode(self.order, &mut payload).unwrap();
        payload.extend(body);
        let answer = self.raw(group, action, &payload);
        let (header, rest) = ResponseHeader::decode(&answer, self.order).unwrap();
        assert_eq!(header.algorithm, algorithm);
        assert_eq!(answer[8..12], [0; 4]);
        if header.status != Status::OK {
            assert!(rest.is_empty(), "an error is the header alone");
        }
        header.status.into_result().map(|()| rest.to_vec())
    }

    // ----- connection -----

    pub fn init(&mut self, id: u32) -> Option<u32> {
        let payload = match self.order {
            ByteOrder::Little => id.to_le_bytes(),
            ByteOrder::Big => id.to_be_bytes(),
        };
        let answer = self.raw(Group::COMM, 1, &payload);
        let (id, server) = answer.split_first_chunk()?;
        let (id, server) = match self.order {
            ByteOrder::Little => (u32::from_le_bytes(*id), u32::from_le_bytes(server.try_into().unwrap())),
            ByteOrder::Big => (u32::from_be_bytes(*id), u32::from_be_bytes(server.try_into().unwrap())),
        };
        assert_eq!(server, 57);
        Some(id)
    }

    // ----- keys -----

    pub fn cache(&mut self, id: u16, flags: u32, key: &[u8]) -> Result<u16, Status> {
        let request = key::CacheRequest {
            flags,
            length: key.len().try_into().unwrap(),
            label_length: 24,
            id: KeyId(id),
            label: "label".into(),
        };
        let (response, rest) = self.ask(&request, key);
        assert!(rest.is_empty());
        response
            .status
            .into_result()
            .map(|()| response.id.0)
            .inspect_err(|_| assert_eq!(response.id, KeyId::NONE))
    }

    pub fn cache_random(&mut self, id: u16, flags: u32, length: u16) -> Result<u16, Status> {
        let label = Label::from("random");
        let request = key::CacheRandomRequest { flags, label_length: 24, length, id: KeyId(id), label };
        let (response, rest) = self.ask(&request, &[]);
        assert!(rest.is_empty());
        response.status.into_result().map(|()| response.id.0)
    }

    pub fn evict(&mut self, id: u16) -> Result<(), Status> {
        self.ask(&key::EvictRequest { id: KeyId(id) }, &[]).0.status.into_result()
    }

    pub fn commit(&mut self, id: u16) -> Result<(), Status> {
        self.ask(&key::CommitRequest { id: KeyId(id) }, &[]).0.status.into_result()
    }

    pub fn erase(&mut self, id: u16) -> Result<(), Status> {
        self.ask(&key::EraseRequest { id: KeyId(id) }, &[]).0.status.into_result()
    }

    pub fn revoke(&mut self, id: u16) -> Result<(), Status> {
        self.ask(&key::RevokeRequest { id: KeyId(id) }, &[]).0.status.into_result()
    }

    pub fn export(&mut self, id: u16) -> Result<Vec<u8>, Status> {
        let (response, key) = self.ask(&key::ExportRequest { id: KeyId(id) }, &[]);
        assert_eq!(response.length as usize, key.len());
        response.status.into_result().map(|()| key)
    }

    pub fn export_public(&mut self, id: u16, algorithm: u16) -> Result<Vec<u8>, Status> {
        let (response, key) = self.ask(&key::ExportPublicRequest { id: KeyId(id), algorithm }, &[]);
        response.status.into_result().map(|()| key)
    }

    pub fn wrap(&mut self, kek: u16, metadata: Metadata, key: &[u8]) -> Result<Vec<u8>, Status> {
        let request = key::WrapRequest { length: key.len().try_into().unwrap(), kek: KeyId(kek), cipher: 3 };
        let mut tail = vec![0; 32];
        let mut writer = casemate_protocol::Writer::new(&mut tail, self.order);
        writer.put(metadata).unwrap();
        tail.extend(key);
        let (response, blob) = self.ask(&request, &tail);
        assert_eq!((response.cipher, usize::from(response.length)), (3, blob.len()));
        response.status.into_result().map(|()| blob)
    }

    pub fn wrap_export(&mut self, kek: u16, id: u16, object_type: u16) -> Result<Vec<u8>, Status> {
        let request = key::WrapExportRequest { id: KeyId(id), object_type, kek: KeyId(kek), cipher: 3 };
        let (response, blob) = self.ask(&request, &[]);
        assert_eq!((response.cipher, usize::from(response.length)), (3, blob.len()));
        response.status.into_result().map(|()| blob)
    }

    pub fn unwrap_export(&mut self, kek: u16, blob: &[u8]) -> Result<(Metadata, Vec<u8>), Status> {
        let length = blob.len().try_into().unwrap();
        let (response, key) =
            self.ask(&key::UnwrapExportRequest { length, kek: KeyId(kek), cipher: 3 }, blob);
        assert_eq!((response.cipher, usize::from(response.length)), (3, key.len()));
        if response.status != Status::OK {
            assert_eq!(response.metadata, Metadata::default());
        }
        response.status.into_result().map(|()| (response.metadata, key))
    }

    pub fn unwrap_cache(&mut self, kek: u16, blob: &[u8]) -> Result<u16, Status> {
        let length = blob.len().try_into().unwrap();
        let (response, rest) =
            self.ask(&key::UnwrapCacheRequest { length, kek: KeyId(kek), cipher: 3 }, blob);
        assert_eq!((response.cipher, rest.len()), (3, 0));
        response
            .status
            .into_result()
            .map(|()| response.id.0)
            .inspect_err(|_| assert_eq!(response.id, KeyId::NONE))
    }

    pub fn data_wrap(&mut self, kek: u16, data: &[u8]) -> Result<Vec<u8>, Status> {
        let length = data.len().try_into().unwrap();
        let (response, blob) = self.ask(&key::DataWrapRequest { length, kek: KeyId(kek), cipher: 3 }, data);
        assert_eq!((response.cipher, response.length as usize), (3, blob.len()));
        response.status.into_result().map(|()| blob)
    }

    pub fn data_unwrap(&mut self, kek: u16, blob: &[u8]) -> Result<Vec<u8>, Status> {
        let length = blob.len().try_into().unwrap();
        let (response, data) = self.ask(&key::DataUnwrapRequest { length, kek: KeyId(kek), cipher: 3 }, blob);
        assert_eq!((response.cipher, response.length as usize), (3, data.len()));
        response.status.into_result().map(|()| data)
    }

    // ----- cryptography -----

    /// One block of AES-ECB under a stored key.
    pub fn encrypt(&mut self, id: u16) -> Result<Vec<u8>, Status> {
        let request = casemate_protocol::message::crypto::EcbRequest {
            encrypt: 1,
            key_length: 0,
            length: 16,
            key: KeyId(id),
        };
        self.compute(13, 0, &request, &[0; 16]).map(|(_, data)| data)
    }

    // ----- counters -----

    pub fn counter_init(&mut self, id: u16, value: u32) -> Result<u32, Status> {
        let response = self.ask(&counter::InitRequest { id, value }, &[]).0;
        response.status.into_result().map(|()| response.value)
    }

    pub fn counter_increment(&mut self, id: u16) -> Result<u32, Status> {
        let response = self.ask(&counter::IncrementRequest { id }, &[]).0;
        response.status.into_result().map(|()| response.value)
    }

    pub fn counter_read(&mut self, id: u16) -> Result<u32, Status> {
        let response = self.ask(&counter::ReadRequest { id }, &[]).0;
        response.status.into_result().map(|()| response.value)
    }

    pub fn counter_destroy(&mut self, id: u16) -> Result<(), Status> {
        self.ask(&counter::DestroyRequest { id }, &[]).0.status.into_result()
    }

    // ----- objects -----

    pub fn add(&mut self, id: u16, flags: u16, data: &[u8]) -> Result<(), Status> {
        let length = data.len().try_into().unwrap();
        let metadata = Metadata {
            id: ObjectId(id),
            access: 0x1234,
            flags: Flags(flags),
            length,
            label: "object".into(),
        };
        self.ask(&nvm::AddRequest { metadata }, data).0.status.into_result()
    }

    pub fn read(&mut self, id: u16, offset: u16, length: u16) -> Result<Vec<u8>, Status> {
        let (response, data) = self.ask(&nvm::ReadRequest { id: ObjectId(id), offset, length }, &[]);
        assert!(data.is_empty() || response.status == Status::OK);
        response.status.into_result().map(|()| data)
    }

    pub fn metadata(&mut self, id: u16) -> Result<Metadata, Status> {
        let response = self.ask(&nvm::MetadataRequest { id: ObjectId(id) }, &[]).0;
        assert!(response.status == Status::OK || response.metadata == Metadata::default());
        response.status.into_result().map(|()| response.metadata)
    }

    pub fn destroy(&mut self, ids: &[u16]) -> Result<(), Status> {
        let ids: Vec<_> = ids.iter().map(|&id| ObjectId(id)).collect();
        self.ask(&nvm::DestroyRequest::new(&ids).unwrap(), &[]).0.status.into_result()
    }

    pub fn list_from(&mut self, start: u16) -> Result<(u16, u16), Status> {
        let request = nvm::ListRequest { access: 0, flags: Flags::NONE, start: ObjectId(start) };
        let response = self.ask(&request, &[]).0;
        response.status.into_result().map(|()| (response.count, response.id.0))
    }

    /// All objects that LIST shows; the counts must agree.
    pub fn list(&mut self) -> Vec<u16> {
        let mut ids = Vec::new();
        let mut counts = Vec::new();
        loop {
            let (count, id) = self.list_from(ids.last().copied().unwrap_or(0)).unwrap();
            if count == 0 {
                assert_eq!(id, 0);
                break;
            }
            ids.push(id);
            counts.push(usize::from(count));
        }
        assert!(counts.into_iter().eq((1..=ids.len()).rev()));
        ids
    }
}
