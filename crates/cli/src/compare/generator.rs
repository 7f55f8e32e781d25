//! Which requests `casemate compare` sends: values of every field at and beyond its limits, in an order that a seed
//! repeats.

use super::random::Random;
use super::step::{Compared, Step, UnfinishedCmac, Yield, encoded};
use crate::demo::certificate::certificates;
use casemate_protocol::message::crypto::{CmacState, cipher, hash, kdf};
use casemate_protocol::message::public_key::{algorithm, curve};
use casemate_protocol::message::{
    authentication, certificate, comm, counter, crypto, custom, key, nvm, public_key, she,
};
use casemate_protocol::{
    ByteOrder, ClientId, Field, Flags, Group, KeyId, Kind, Label, Layout, Metadata, ObjectId, Writer,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The keys of each algorithm that both servers are given, by the number they get.
mod typed {
    pub(super) const P256: u16 = 0x11;
    pub(super) const P384: u16 = 0x12;
    pub(super) const P521: u16 = 0x13;
    pub(super) const ED25519: u16 = 0x14;
    pub(super) const X25519: u16 = 0x15;
    pub(super) const RSA: u16 = 0x16;
    pub(super) const ML_DSA: u16 = 0x17;
    pub(super) const ML_KEM: u16 = 0x18;
    pub(super) const AES: u16 = 0x19;
}

const LENGTHS: [usize; 29] = [
    0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 144, 255, 256, 257,
    1000, 1200, 1201, 4096,
];
const FLAGS: [u16; 22] = [
    0, 0x07E0, 0x07E0, 0x07E0, 0x07E0, 0x0020, 0x0040, 0x0060, 0x0080, 0x0100, 0x0180, 0x0200, 0x0400,
    0x0001, 0x0002, 0x0004, 0x0008, 0x07E1, 0x07E4, 0x07F0, 0x1000, 0xF000,
];
/// Numbers under which random keys are made; no other numbers get any, except those that a server chooses.
const RANDOM_KEYS: [u16; 4] = [0x30, 0x31, 0x32, 0x33];

/// The 16 bits that count of an identifier of 16 or 32 bits in a response: 16 in the groups that begin with the status.
fn word(payload: &[u8], at: usize, order: ByteOrder) -> Option<u16> {
    // In CRYPTO, identifiers have 32 bits.
    let at = if at == 12 && order == ByteOrder::Big { 14 } else { at };
    let bytes = *payload.get(at..)?.first_chunk()?;
    Some(if order == ByteOrder::Little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
}

/// Makes requests, and learns from the first server's responses.
pub(super) struct Generator {
    random: Random,
    client: ClientId,
    maximum: usize,
    malformed: u8,
    groups: Vec<Group>,
    order: ByteOrder,
    /// Key numbers whose keys differ between the servers.
    differing: BTreeSet<u8>,
    wrapped: Vec<Vec<u8>>,
    wrapped_data: Vec<Vec<u8>>,
    signatures: BTreeMap<u16, Vec<u8>>,
    cmac: Vec<CmacState>,
    next: VecDeque<Step>,
}

impl Generator {
    pub(super) fn new(
        seed: u64,
        client: ClientId,
        maximum: usize,
        malformed: u8,
        groups: Vec<Group>,
    ) -> Self {
        let mut generator = Self {
            random: Random(seed),
            client,
            maximum,
            malformed,
            groups,
            order: ByteOrder::Little,
            differing: BTreeSet::new(),
            wrapped: Vec::new(),
            wrapped_data: Vec::new(),
            signatures: BTreeMap::new(),
            cmac: Vec::new(),
            next: VecDeque::new(),
        };
        if generator.groups.contains(&Group::CRYPTO) {
            generator.prepare();
        }
        generator
    }

    /// Keys of every algorithm, the same on both servers: the first one makes them.
    fn prepare(&mut self) {
        let ephemeral = Flags::EPHEMERAL.with(Flags::USAGE_ANY).0.into();
        for (number, curve, size) in
            [(typed::P256, curve::P256, 32), (typed::P384, curve::P384, 48), (typed::P521, curve::P521, 66)]
        {
            let step = self.ec_key(size, curve, 0, ephemeral);
            self.next.push_back(step.yields(Yield::PrivateKey(number)));
        }
        for number in [typed::ED25519, typed::X25519, typed::ML_DSA, typed::ML_KEM] {
            let step = self.key_generation(number, 0, ephemeral);
            self.next.push_back(step.yields(Yield::PrivateKey(number)));
        }
        self.give(typed::RSA, include_bytes!("../bench/rsa-2048.der"));
        self.give(typed::AES, b"0123456789abcdef");
    }

    /// Has both servers cache `bytes`.
    fn give(&mut self, number: u16, bytes: &[u8]) {
        let request = key::CacheRequest {
            flags: Flags::USAGE_ANY.0.into(),
            length: bytes.len() as u32,
            label_length: 0,
            id: KeyId(number),
            label: Label::EMPTY,
        };
        self.next.push_back(Step::plain("cache", ByteOrder::Little, &request, bytes));
    }

    /// Takes from a successful response of the first server what later requests can use.
    pub(super) fn learn(&mut self, step: &Step, payload: &[u8]) {
        let tail = step.tail(payload);
        match step.yields {
            Yield::Nothing => {}
            Yield::PrivateKey(number) => self.give(number, tail),
            Yield::Key { random } => {
                let at = if step.kind.group == Group::CRYPTO { 12 } else { 4 };
                if let Some(id) = word(payload, at, step.order) {
                    let number = KeyId(id).number();
                    if random {
                        self.differing.insert(number)
                    } else {
                        self.differing.remove(&number)
                    };
                }
            }
            Yield::WrappedKey => self.wrapped.push(tail.to_vec()),
            Yield::WrappedData => self.wrapped_data.push(tail.to_vec()),
            Yield::Signature => {
                if let Ok((request, _)) = public_key::EcdsaSignRequest::decode(
                    step.payload.get(crypto::RequestHeader::SIZE..).unwrap_or_default(),
                    step.order,
                ) {
                    self.signatures.insert(request.key as u16 & 0xFF, tail.to_vec());
                }
            }
            Yield::CmacState => {
                let state = payload.get(crypto::ResponseHeader::SIZE..).unwrap_or_default();
                if let Ok((state, _)) = CmacState::decode(state, step.order) {
                    self.cmac.push(state);
                }
            }
        }
    }

    /// Takes back a key that only one server has made, so that what follows is worth comparing. `payload` is its response.
    pub(super) fn undo(&mut self, step: &Step, payload: &[u8]) {
        let id = match (step.yields, step.kind.group) {
            (Yield::Key { .. }, Group::CRYPTO) => word(payload, 12, step.order),
            (Yield::Key { .. }, _) => word(payload, 4, step.order),
            _ => None,
        };
        if let Some(id) = id {
            let evict = key::EvictRequest { id: KeyId(id) };
            self.next.push_front(Step::plain("evict", ByteOrder::Little, &evict, &[]).silent());
        }
    }

    /// The next request.
    pub(super) fn step(&mut self) -> Step {
        if let Some(step) = self.next.pop_front() {
            return step;
        }
        self.order = if self.random.percent(12) { ByteOrder::Big } else { ByteOrder::Little };
        let groups = std::mem::take(&mut self.groups);
        let group = self.random.pick(&groups);
        self.groups = groups;
        let mut step = match group {
            Group::COMM => self.comm(),
            Group::NVM => self.nvm(),
            Group::KEY => self.key(),
            Group::CRYPTO => self.crypto(),
            Group::SHE => self.she(),
            Group::COUNTER => self.counter(),
            Group::CUSTOM => self.custom(),
            Group::CERT => self.certificate(),
            Group::AUTH => self.authentication(),
            group => self.unassigned(group),
        };
        if self.random.percent(self.malformed) {
            step = self.deform(step);
        }
        step.payload.truncate(self.maximum);
        step
    }

    /// Cuts the payload, lengthens it, or asks for an action that may not exist.
    fn deform(&mut self, mut step: Step) -> Step {
        match self.random.below(4) {
            0 => {
                let length = self.random.below(step.payload.len() + 1);
                step.payload.truncate(length);
                step.name += ", cut";
            }
            1 => {
                let more = 1 + self.random.below(40);
                step.payload.extend(self.random.bytes(more));
                step.name += ", lengthened";
            }
            2 => {
                let length = 4 + self.random.below(60);
                let action = (self.random.next() as u8 & 0x3F) | 0x40;
                let payload = self.random.bytes(length);
                step = Step::raw("unknown action", self.order, Kind::new(step.kind.group, action), payload);
            }
            _ => {
                let group = Group(self.random.pick(&[0, 5, 6, 9, 14, 0x7F, 0xFF]));
                step = self.unassigned(group);
            }
        }
        step
    }

    fn unassigned(&mut self, group: Group) -> Step {
        let length = self.length(0);
        let payload = self.random.bytes(length);
        Step::raw("unknown group", self.order, Kind::new(group, self.random.next() as u8), payload)
    }

    /// A length of data that fits behind `fixed` bytes.
    fn length(&mut self, fixed: usize) -> usize {
        let room = self.maximum.saturating_sub(fixed);
        match self.random.below(40) {
            0 => room,
            1 => room.saturating_sub(1),
            2 => room.saturating_sub(28),
            _ => self.random.pick(&LENGTHS).min(room),
        }
    }

    fn data(&mut self, fixed: usize) -> Vec<u8> {
        let length = self.length(fixed);
        self.random.bytes(length)
    }

    /// The length of `data` as a request declares it.
    fn declared(&mut self, data: &[u8]) -> u32 {
        let length = data.len() as u32;
        if !self.random.percent(self.malformed) {
            return length;
        }
        let other = [length.wrapping_sub(1), length + 1, length + 16, 0, 0xFFFF, 0x1_0000 | length, u32::MAX];
        self.random.pick(&other)
    }

    fn flags(&mut self) -> Flags {
        if self.random.percent(3) {
            return Flags(self.random.next() as u16 & !Flags::NONDESTROYABLE.0);
        }
        Flags(self.random.pick(&FLAGS))
    }

    fn label(&mut self) -> Label {
        match self.random.below(4) {
            0 => Label::EMPTY,
            1 => Label([b'x'; 24]),
            2 => Label(self.random.array()),
            _ => Label::from("label"),
        }
    }

    /// Any key identifier as clients write it.
    fn any_key(&mut self) -> KeyId {
        let number = match self.random.below(12) {
            0 => 0,
            1 => self.random.pick(&RANDOM_KEYS),
            2 => 0xFF - self.random.below(4) as u16,
            3 | 4 => typed::P256 + self.random.below(9) as u16,
            5 => self.random.next() as u16 & 0xFF,
            _ => 1 + self.random.below(5) as u16,
        };
        let form = match self.random.below(16) {
            0 => KeyId::GLOBAL,
            1 => KeyId::WRAPPED,
            2 => KeyId::HARDWARE,
            3 => KeyId::GLOBAL | KeyId::WRAPPED,
            4 => self.random.next() as u16 & 0xF800,
            _ => 0,
        };
        KeyId(number | form)
    }

    /// A key identifier under which both servers have the same key, or none.
    fn same_key(&mut self) -> KeyId {
        for _ in 0..16 {
            let id = self.any_key();
            if !self.differs(id) {
                return id;
            }
        }
        KeyId(1)
    }

    fn differs(&self, id: KeyId) -> bool {
        let number = id.number();
        RANDOM_KEYS.contains(&number.into()) || self.differing.contains(&number)
    }

    /// What to compare where the result depends on the key's bytes.
    fn compared(&self, id: KeyId) -> Compared {
        if self.differs(id) { Compared::Fixed } else { Compared::Whole }
    }

    /// Where a random key goes.
    fn random_key(&mut self) -> KeyId {
        KeyId(if self.random.percent(20) { 0 } else { self.random.pick(&RANDOM_KEYS) })
    }

    /// Where a key goes that is the same on both servers.
    fn new_key(&mut self) -> KeyId {
        let id = self.any_key();
        if RANDOM_KEYS.contains(&id.number().into()) { KeyId(1) } else { id }
    }

    fn comm(&mut self) -> Step {
        let order = self.order;
        match self.random.below(5) {
            0 => Step::plain("info", order, &comm::InfoRequest {}, &[]),
            1 => {
                let data = self.data(0);
                Step::raw("keep alive", order, Kind::new(Group::COMM, comm::action::KEEPALIVE), data)
            }
            2 => {
                let own = u32::from(self.client.get());
                let client_id = self.random.pick(&[own, own, 16, 0x100 | own, u32::MAX]);
                Step::plain("init", order, &comm::InitRequest { client_id }, &[])
            }
            _ => {
                let data = self.data(0);
                Step::plain("echo", order, &comm::EchoRequest {}, &data)
            }
        }
    }

    fn object(&mut self) -> ObjectId {
        let owner = u16::from(self.client.get()) << 8;
        let any = self.random.next() as u16 & 0x0FFF;
        ObjectId(self.random.pick(&[
            0,
            1,
            2,
            3,
            7,
            0xFF,
            0x0FFF,
            any,
            0x1001,
            0x1000 | owner | 1,
            0x1000 | owner | 2,
            0x1000 | owner | 0x30,
            0x1000 | owner,
            0x2000 | owner | 1,
            0x2000 | owner | 4,
            0x2000 | owner | 5,
            0x3000 | owner | 1,
            0x4000 | owner | 1,
            0x5000 | owner | 1,
            0x1000 | (owner ^ 0x0100) | 1,
            0xFFFF,
        ]))
    }

    fn nvm(&mut self) -> Step {
        let order = self.order;
        match self.random.below(12) {
            0 => {
                let client_nvm_id = self.random.pick(&[0, 1, u32::MAX]);
                Step::plain("nvm init", order, &nvm::InitRequest { client_nvm_id }, &[])
            }
            1 => Step::plain("nvm cleanup", order, &nvm::CleanupRequest {}, &[]),
            2 => Step::plain("nvm available", order, &nvm::AvailableRequest {}, &[]),
            3..=5 => {
                let id = self.object();
                let data = self.data(nvm::AddRequest::SIZE);
                let metadata = Metadata {
                    id: if id.0 == 0 && self.malformed == 0 { ObjectId(1) } else { id },
                    access: self.random.pick(&[0xFFFF, 0, 1]),
                    flags: self.flags(),
                    length: self.declared(&data) as u16,
                    label: self.label(),
                };
                Step::plain("add", order, &nvm::AddRequest { metadata }, &data)
            }
            6 => {
                let (access, flags, start) = (0xFFFF, self.flags(), self.object());
                Step::plain("list", order, &nvm::ListRequest { access, flags, start }, &[])
            }
            7 => {
                let id = self.object();
                Step::plain("metadata", order, &nvm::MetadataRequest { id }, &[])
            }
            8 | 9 => {
                let ids = std::array::from_fn(|_| self.object().0);
                let limit = if self.random.percent(self.malformed) { 4 } else { 3 };
                let count = [1, 2, 0, self.random.pick(&[19, 20, u16::MAX])][self.random.below(limit)];
                Step::plain("destroy", order, &nvm::DestroyRequest { count, ids }, &[])
            }
            _ => {
                let id = self.object();
                let request = nvm::ReadRequest {
                    id,
                    offset: self.random.pick(&[0, 0, 0, 1, 15, 16, 100, 1000, u16::MAX]),
                    length: self.random.pick(&[0, 1, 16, 100, 1000, 4096, 8188, 8189, u16::MAX]),
                };
                let key = KeyId(id.0 & 0xFF);
                let compared =
                    if (1..=5).contains(&(id.0 >> 12)) { self.compared(key) } else { Compared::Whole };
                Step::plain("read", order, &request, &[]).compared(compared)
            }
        }
    }

    fn counter(&mut self) -> Step {
        let order = self.order;
        let id = self.random.pick(&[0, 1, 2, 3, 0xFF, 0x0101, 0xFFFF]);
        match self.random.below(6) {
            0 => {
                let value = self.random.pick(&[0, 1, 41, u32::MAX - 1, u32::MAX]);
                Step::plain("counter init", order, &counter::InitRequest { value, id }, &[])
            }
            1..=3 => Step::plain("counter increment", order, &counter::IncrementRequest { id }, &[]),
            4 => Step::plain("counter read", order, &counter::ReadRequest { id }, &[]),
            _ => Step::plain("counter destroy", order, &counter::DestroyRequest { id }, &[]),
        }
    }

    fn label_length(&mut self) -> u32 {
        self.random.pick(&[0, 1, 5, 24, 24, 24, 25, u32::MAX])
    }

    fn cipher_number(&mut self) -> u16 {
        if self.random.percent(5) { self.random.next() as u16 & 7 } else { key::WRAP_CIPHER_AES_GCM }
    }

    /// A blob of the first server's, sometimes changed, or what is none.
    fn blob(&mut self, of_data: bool) -> Vec<u8> {
        let blobs = if of_data { &self.wrapped_data } else { &self.wrapped };
        if blobs.is_empty() || self.random.percent(10) {
            return self.data(8);
        }
        let at = self.random.below(blobs.len());
        let mut blob = if of_data { self.wrapped_data[at].clone() } else { self.wrapped[at].clone() };
        if self.random.percent(10) && !blob.is_empty() {
            let at = self.random.below(blob.len());
            blob[at] ^= 1;
        }
        blob
    }

    fn key(&mut self) -> Step {
        let order = self.order;
        match self.random.below(22) {
            0..=3 => {
                let id = self.new_key();
                let data = if self.random.percent(70) {
                    let length = self.random.pick(&[16, 16, 24, 32]);
                    self.random.bytes(length)
                } else {
                    self.data(key::CacheRequest::SIZE)
                };
                let request = key::CacheRequest {
                    flags: u32::from(self.flags().0),
                    length: self.declared(&data),
                    label_length: self.label_length(),
                    id,
                    label: self.label(),
                };
                Step::plain("cache", order, &request, &data).yields(Yield::Key { random: false })
            }
            4 => {
                let request = key::CacheRandomRequest {
                    flags: u32::from(self.flags().0),
                    label_length: self.label_length(),
                    length: self.random.pick(&[0, 1, 16, 32, 256, 257, 1200, 1201, 8192, 8193, u16::MAX]),
                    id: self.random_key(),
                    label: self.label(),
                };
                Step::plain("cache random", order, &request, &[]).yields(Yield::Key { random: true })
            }
            5 => Step::plain("evict", order, &key::EvictRequest { id: self.any_key() }, &[]),
            6 | 7 => Step::plain("commit", order, &key::CommitRequest { id: self.any_key() }, &[]),
            8 => Step::plain("erase", order, &key::EraseRequest { id: self.any_key() }, &[]),
            9 => Step::plain("revoke", order, &key::RevokeRequest { id: self.any_key() }, &[]),
            10 | 11 => {
                let id = self.any_key();
                let step = Step::plain("export", order, &key::ExportRequest { id }, &[]);
                step.compared(self.compared(id))
            }
            12 | 13 => {
                let id = self.same_key();
                let algorithm = self.random.below(10) as u16;
                let (id, algorithm) = if self.random.percent(60) {
                    self.random.pick(&[
                        (KeyId(typed::RSA), 1),
                        (KeyId(typed::P256), 2),
                        (KeyId(typed::P521), 2),
                        (KeyId(typed::X25519), 3),
                        (KeyId(typed::ED25519), 4),
                        (KeyId(typed::ML_DSA), 5),
                        (KeyId(typed::ML_KEM), 6),
                    ])
                } else {
                    (id, algorithm)
                };
                Step::plain("export public", order, &key::ExportPublicRequest { id, algorithm }, &[])
            }
            14 => {
                let data = self.data(key::WrapRequest::SIZE + key::WRAPPED_KEY_OVERHEAD);
                let owner = u16::from(self.client.get()) << 8;
                let number = 1 + self.random.below(5) as u16;
                let metadata = Metadata {
                    id: ObjectId(
                        self.random.pick(&[
                            0x4000 | owner,
                            0x4000 | owner,
                            0x4000,
                            0x4300,
                            0x1000 | owner,
                            0,
                        ]) | number,
                    ),
                    access: 0xFFFF,
                    flags: self.flags(),
                    length: data.len() as u16,
                    label: self.label(),
                };
                let mut bytes = [0; Metadata::SIZE];
                let _ = metadata.put(&mut Writer::new(&mut bytes, order));
                let request = key::WrapRequest {
                    length: self.declared(&data) as u16,
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("wrap", order, &request, &[&bytes, &*data].concat())
                    .compared(Compared::Fixed)
                    .yields(Yield::WrappedKey)
            }
            15 => {
                let request = key::WrapExportRequest {
                    id: self.same_key(),
                    object_type: self.random.pick(&[1, 1, 1, 4, 0, 2, 3, 5, 0xFFF1]),
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("wrap export", order, &request, &[])
                    .compared(Compared::Fixed)
                    .yields(Yield::WrappedKey)
            }
            16 => {
                let blob = self.blob(false);
                let request = key::UnwrapExportRequest {
                    length: self.declared(&blob) as u16,
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("unwrap export", order, &request, &blob)
            }
            17 => {
                let blob = self.blob(false);
                let request = key::UnwrapCacheRequest {
                    length: self.declared(&blob) as u16,
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("unwrap cache", order, &request, &blob).yields(Yield::Key { random: false })
            }
            18 | 19 => {
                let data = self.data(key::DataWrapRequest::SIZE);
                let request = key::DataWrapRequest {
                    length: self.declared(&data),
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("data wrap", order, &request, &data)
                    .compared(Compared::Fixed)
                    .yields(Yield::WrappedData)
            }
            _ => {
                let blob = self.blob(true);
                let request = key::DataUnwrapRequest {
                    length: self.declared(&blob),
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("data unwrap", order, &request, &blob)
            }
        }
    }

    /// A key for a cipher: an identifier, or bytes, or both.
    fn cipher_key(&mut self) -> (KeyId, Vec<u8>) {
        if self.random.percent(50) {
            let id = if self.random.percent(40) { KeyId(typed::AES) } else { self.any_key() };
            return (id, Vec::new());
        }
        let length = if self.random.percent(85) {
            self.random.pick(&[16, 24, 32])
        } else {
            self.random.pick(&[0, 8, 17, 33, 64])
        };
        (KeyId::NONE, self.random.bytes(length))
    }

    fn crypto(&mut self) -> Step {
        match self.random.below(14) {
            0 => {
                let length =
                    self.random.pick(&[0, 1, 16, 100, 4096, 8176, 8177, 8192, 8193, 0x1_0000, u32::MAX]);
                let request = crypto::RandomRequest { length };
                Step::crypto("random", self.order, [4, 0], &request, &[]).compared(Compared::Fixed)
            }
            1..=4 => self.cipher(),
            5 | 6 => self.hash(),
            7 | 8 => self.mac(),
            9 | 10 => self.derivation(),
            _ => self.public_key(),
        }
    }

    fn cipher(&mut self) -> Step {
        let order = self.order;
        let (id, key) = self.cipher_key();
        let encrypt = self.random.pick(&[0, 1, 1, 2]);
        let compared = self.compared(id);
        let mut data = self.data(12 + 28 + 64 + 32);
        let key_length = self.declared(&key);
        let iv: [u8; 16] = self.random.array();
        match self.random.below(4) {
            0 => {
                if self.malformed == 0 {
                    data.truncate(data.len() / 16 * 16);
                }
                let request =
                    crypto::CbcRequest { encrypt, key_length, length: self.declared(&data), key: id };
                let tail = [&*data, &key, &iv].concat();
                Step::crypto("AES-CBC", order, [cipher::AES_CBC, 0], &request, &tail).compared(compared)
            }
            1 => {
                let request =
                    crypto::EcbRequest { encrypt, key_length, length: self.declared(&data), key: id };
                let tail = [&*data, &key].concat();
                Step::crypto("AES-ECB", order, [cipher::AES_ECB, 0], &request, &tail).compared(compared)
            }
            2 => {
                let request = crypto::CtrRequest {
                    // The original does not decrypt when told to; its clients never do.
                    encrypt: 1,
                    key_length,
                    length: self.declared(&data),
                    unused: self.random.pick(&[0, 0, 1, 15, 16]),
                    key: id,
                };
                let keystream: [u8; 16] = self.random.array();
                let tail = [&*data, &key, &iv, &keystream].concat();
                Step::crypto("AES-CTR", order, [cipher::AES_CTR, 0], &request, &tail).compared(compared)
            }
            _ => {
                let iv_length = self.random.pick(&[12, 12, 12, 0, 1, 8, 13, 16, 17, 64]);
                let iv = self.random.bytes(iv_length);
                let aad_length = self.random.pick(&[0, 1, 16, 20]);
                let aad = self.random.bytes(aad_length);
                let tag_length = self.random.pick(&[16, 16, 16, 12, 4, 0, 3, 17]);
                let tag = self.random.bytes(tag_length);
                let request = crypto::GcmRequest {
                    encrypt,
                    key_length,
                    length: self.declared(&data),
                    iv_length: iv.len() as u32,
                    aad_length: aad.len() as u32,
                    tag_length: tag_length as u32,
                    key: id,
                };
                let tag = if encrypt == 0 { &*tag } else { &[] };
                let tail = [&*data, &key, &iv, &aad, tag].concat();
                Step::crypto("AES-GCM", order, [cipher::AES_GCM, 0], &request, &tail).compared(compared)
            }
        }
    }

    fn hash(&mut self) -> Step {
        let order = self.order;
        let last = self.random.pick(&[0, 1, 2]);
        let algorithm = self.random.pick(&[
            hash::SHA224,
            hash::SHA256,
            hash::SHA384,
            hash::SHA512,
            hash::SHA3_224,
            hash::SHA3_256,
            hash::SHA3_384,
            hash::SHA3_512,
        ]);
        let block = match algorithm {
            hash::SHA224 | hash::SHA256 => 64,
            hash::SHA384 | hash::SHA512 => 128,
            hash::SHA3_224 => 144,
            hash::SHA3_256 => 136,
            hash::SHA3_384 => 104,
            _ => 72,
        };
        let length = match (last, self.random.percent(self.malformed)) {
            (_, true) => self.length(300),
            (0, _) => block * self.random.below(6),
            _ => self.random.below(block),
        };
        let data = self.random.bytes(length);
        let length = self.declared(&data);
        let counts =
            [0, 0, 64, 128, 1 << 20, u32::MAX - 63].map(|count: u32| count / block as u32 * block as u32);
        let (length_high, length_low) = (self.random.pick(&[0, 0, 1]), self.random.pick(&counts));
        match algorithm {
            hash::SHA224 | hash::SHA256 => {
                let state = std::array::from_fn(|_| self.random.next() as u32);
                let request = crypto::Sha256Request { length_high, length_low, state, last, length };
                let step = Step::crypto("SHA-256", order, [algorithm, 0], &request, &data);
                if last == 0 { step } else { step.answered_by::<crypto::Sha2DigestResponse>() }
            }
            hash::SHA384 | hash::SHA512 => {
                let state = std::array::from_fn(|_| self.random.next());
                let variant = match algorithm {
                    hash::SHA512 => self.random.pick(&[hash::SHA512, hash::SHA512_224, hash::SHA512_256, 0]),
                    other => other,
                };
                // The original loses the high word, so it stays 0.
                let (length_high, length_low) = (0, length_low.min(1 << 20));
                let request = crypto::Sha512Request { length_high, length_low, state, variant, last, length };
                let step = Step::crypto("SHA-512", order, [algorithm, 0], &request, &data);
                if last == 0 { step } else { step.answered_by::<crypto::Sha2DigestResponse>() }
            }
            _ => {
                let state = std::array::from_fn(|_| self.random.next());
                let request = crypto::Sha3Request { last, length, state };
                Step::crypto("SHA-3", order, [algorithm, 0], &request, &data)
            }
        }
    }

    fn mac(&mut self) -> Step {
        let (key, bytes) = self.cipher_key();
        let data = self.data(12 + 56 + 64);
        let state = if self.cmac.is_empty() || self.random.percent(60) {
            CmacState::INITIAL
        } else {
            let at = self.random.below(self.cmac.len());
            self.cmac[at]
        };
        let mac_length = self.random.pick(&[0, 0, 16, 16, 4, 1, 17, u32::MAX]);
        let request = crypto::CmacRequest {
            mac_length,
            length: self.declared(&data),
            key_length: self.declared(&bytes),
            key,
            state,
        };
        let step = Step::crypto("CMAC", self.order, [7, 0], &request, &[&*data, &bytes].concat());
        if self.differs(key) {
            return step.compared(Compared::Status);
        }
        if mac_length == 0 { step.answered_by::<UnfinishedCmac>().yields(Yield::CmacState) } else { step }
    }

    fn derivation(&mut self) -> Step {
        let order = self.order;
        let short = |generator: &mut Self| {
            let length = generator.random.pick(&[0, 1, 16, 16, 20, 32, 64]);
            generator.random.bytes(length)
        };
        let (salt, secret, info) = (short(self), short(self), short(self));
        let flags = Flags(self.flags().0 | self.random.pick(&[0, Flags::EPHEMERAL.0]));
        // Beyond the first blocks the original derives something else if there is context information.
        let length = if info.is_empty() {
            self.random.pick(&[0, 1, 16, 32, 33, 64, 100, 256, 1200, 1201, 0x1_0000])
        } else {
            self.random.pick(&[0, 1, 16])
        };
        let (key_out, label) = (u32::from(self.new_key().0), self.label());
        let by_key = self.random.percent(30);
        let key_in = self.same_key();
        let (key_in, secret) = if by_key { (key_in.0, Vec::new()) } else { (0, secret) };
        let tail = [&*secret, &salt, &info].concat();
        let step = if self.random.percent(50) {
            let request = crypto::HkdfRequest {
                flags: flags.0.into(),
                key_in: key_in.into(),
                key_out,
                hash: self.random.pick(&[
                    hash::SHA256,
                    hash::SHA256,
                    hash::SHA224,
                    hash::SHA384,
                    hash::SHA512,
                    hash::SHA1,
                    hash::SHA3_256,
                    0,
                ]),
                key_length: self.declared(&secret),
                salt_length: self.declared(&salt),
                info_length: self.declared(&info),
                length,
                label,
            };
            Step::crypto("HKDF", order, [9, kdf::HKDF], &request, &tail)
        } else {
            let request = crypto::CmacKdfRequest {
                flags: flags.0.into(),
                key_salt: 0,
                key_z: key_in.into(),
                key_out,
                salt_length: self.declared(&salt),
                z_length: self.declared(&secret),
                info_length: self.declared(&info),
                length,
                label,
            };
            let tail = [&*salt, &secret, &info].concat();
            Step::crypto("CMAC KDF", order, [9, kdf::TWO_STEP_CMAC], &request, &tail)
        };
        step.yields(Yield::Key { random: false })
    }

    fn ec_key(&mut self, size: u32, curve: i32, key: u32, flags: u32) -> Step {
        let label = self.label();
        let request = public_key::EcKeyGenerationRequest { size, curve, key, flags, access: 0, label };
        Step::crypto("EC key generation", self.order, [algorithm::EC_KEY_GENERATION, 0], &request, &[])
            .compared(Compared::Fixed)
    }

    /// A key of the algorithm of `number`.
    fn key_generation(&mut self, number: u16, key: u32, flags: u32) -> Step {
        let (order, label) = (self.order, self.label());
        let step = match number {
            typed::ED25519 => {
                let request = public_key::Ed25519KeyGenerationRequest { flags, key, access: 0, label };
                let number = [algorithm::ED25519_KEY_GENERATION, 0];
                Step::crypto("Ed25519 key generation", order, number, &request, &[])
            }
            typed::X25519 => {
                let size = if self.random.percent(90) { 32 } else { self.random.pick(&[0, 31, 33]) };
                let size = if flags & u32::from(Flags::EPHEMERAL.0) != 0 { 32 } else { size };
                let request = public_key::X25519KeyGenerationRequest { size, flags, key, label };
                let number = [algorithm::X25519_KEY_GENERATION, 0];
                Step::crypto("X25519 key generation", order, number, &request, &[])
            }
            typed::ML_DSA => {
                let level = self.random.pick(&[2, 3, 5]);
                let request =
                    public_key::MlDsaKeyGenerationRequest { size: 0, level, key, flags, access: 0, label };
                let number = [algorithm::SIGNATURE_KEY_GENERATION, 1];
                Step::crypto("ML-DSA key generation", order, number, &request, &[])
            }
            _ => {
                let level = self.random.pick(&[0, 1, 2]);
                let request = public_key::MlKemKeyGenerationRequest { level, key, flags, access: 0, label };
                let number = [algorithm::KEM_KEY_GENERATION, 1];
                Step::crypto("ML-KEM key generation", order, number, &request, &[])
            }
        };
        step.compared(Compared::Fixed)
    }

    /// The key of `number`, or now and then another.
    fn key_of(&mut self, number: u16) -> u32 {
        let other = self.same_key();
        u32::from(if self.random.percent(85) { number } else { other.0 })
    }

    fn options(&mut self) -> u32 {
        if self.random.percent(5) { self.random.pick(&[1, 2, 3, 4]) } else { 0 }
    }

    fn public_key(&mut self) -> Step {
        let (order, options) = (self.order, self.options());
        let ec = self.random.pick(&[typed::P256, typed::P384, typed::P521]);
        let data = if self.random.percent(50) { self.random.bytes(32) } else { self.data(4000) };
        match self.random.below(20) {
            0 => {
                let (size, curve) = self.random.pick(&[
                    (32, curve::P256),
                    (48, curve::P384),
                    (66, curve::P521),
                    (32, 0),
                    (28, curve::P224),
                    (48, -1),
                    (33, 0),
                    (0, 99),
                ]);
                let (key, flags) = (self.random_key().0.into(), self.flags().0.into());
                self.ec_key(size, curve, key, flags).yields(Yield::Key { random: true })
            }
            1 => {
                let number = self.random.pick(&[typed::ED25519, typed::X25519, typed::ML_DSA, typed::ML_KEM]);
                let (key, flags) = (self.random_key().0.into(), self.flags().0.into());
                self.key_generation(number, key, flags).yields(Yield::Key { random: true })
            }
            2 => {
                let flags = self.flags().0.into();
                let request = public_key::RsaKeyGenerationRequest {
                    flags,
                    key: self.random_key().0.into(),
                    size: self.random.pick(&[2048, 0, 1, 511, 1000, 8192]),
                    exponent: self.random.pick(&[65537, 65537, 65537, 0, 2]),
                    label: self.label(),
                };
                Step::crypto("RSA key generation", order, [algorithm::RSA_KEY_GENERATION, 0], &request, &[])
                    .compared(Compared::Status)
                    .yields(Yield::Key { random: true })
            }
            3..=5 => {
                let data = if self.random.percent(80) {
                    let mut number = self.random.bytes(256);
                    number[0] = 0;
                    number
                } else {
                    data
                };
                let request = public_key::RsaRequest {
                    operation: self.random.pick(&[0, 1, 2, 3, 3, 2, 4]),
                    options,
                    key: self.key_of(typed::RSA),
                    length: self.declared(&data),
                    capacity: self.random.pick(&[256, 256, 256, 255, 257, 0, 8192, u32::MAX]),
                };
                Step::crypto("RSA", order, [algorithm::RSA, 0], &request, &data)
            }
            6 => {
                let request = public_key::RsaSizeRequest { options, key: self.key_of(typed::RSA) };
                Step::crypto("RSA size", order, [algorithm::RSA_SIZE, 0], &request, &[])
            }
            7 | 8 => {
                let request = public_key::EcdsaSignRequest {
                    options,
                    key: self.key_of(ec),
                    length: self.declared(&data),
                };
                Step::crypto("ECDSA sign", order, [algorithm::ECDSA_SIGN, 0], &request, &data)
                    .compared(Compared::Status)
                    .yields(Yield::Signature)
            }
            9 | 10 => {
                let key = self.key_of(ec);
                let made = self.signatures.get(&(key as u16 & 0xFF)).cloned();
                let signature = match made {
                    Some(signature) if self.random.percent(90) => signature,
                    _ => self.random.bytes(70),
                };
                let request = public_key::EcdsaVerifyRequest {
                    options: self.random.pick(&[0, 0, 2]),
                    key,
                    signature_length: self.declared(&signature),
                    hash_length: self.declared(&data),
                };
                let tail = [&*signature, &data].concat();
                Step::crypto("ECDSA verify", order, [algorithm::ECDSA_VERIFY, 0], &request, &tail)
            }
            11 => {
                let request = public_key::EcdhRequest {
                    options,
                    private_key: self.key_of(ec),
                    public_key: self.key_of(ec),
                    flags: u32::from(self.flags().0 | self.random.pick(&[0, Flags::EPHEMERAL.0])),
                    key: self.new_key().0.into(),
                    label: self.label(),
                };
                Step::crypto("ECDH", order, [algorithm::ECDH, 0], &request, &[])
                    .yields(Yield::Key { random: false })
            }
            12 => {
                let request = public_key::X25519Request {
                    options,
                    private_key: self.key_of(typed::X25519),
                    public_key: self.key_of(typed::X25519),
                    endianness: self.random.pick(&[0, 1, 2]),
                    flags: u32::from(self.flags().0 | self.random.pick(&[0, Flags::EPHEMERAL.0])),
                    key: self.new_key().0.into(),
                    label: self.label(),
                };
                Step::crypto("X25519", order, [algorithm::X25519, 0], &request, &[])
                    .yields(Yield::Key { random: false })
            }
            13 | 14 => {
                let context_length = self.random.pick(&[0, 0, 1, 255]);
                let context = self.random.bytes(context_length);
                let request = public_key::Ed25519SignRequest {
                    options,
                    key: self.key_of(typed::ED25519),
                    length: self.declared(&data),
                    mode: self.random.pick(&[255, 255, 0, 1, 7]),
                    context_length: self.declared(&context),
                };
                let tail = [&*data, &context].concat();
                Step::crypto("Ed25519 sign", order, [algorithm::ED25519_SIGN, 0], &request, &tail)
            }
            15 => {
                let signature = self.random.bytes(64);
                let context_length = self.random.pick(&[0, 0, 1, 255]);
                let context = self.random.bytes(context_length);
                let request = public_key::Ed25519VerifyRequest {
                    options,
                    key: self.key_of(typed::ED25519),
                    signature_length: self.declared(&signature),
                    length: self.declared(&data),
                    mode: self.random.pick(&[255, 255, 0, 1]),
                    context_length: self.declared(&context),
                };
                let tail = [&*signature, &data, &context].concat();
                Step::crypto("Ed25519 verify", order, [algorithm::ED25519_VERIFY, 0], &request, &tail)
            }
            16 => {
                let context_length = self.random.pick(&[0, 0, 1, 255]);
                let context = self.random.bytes(context_length);
                let request = public_key::MlDsaSignRequest {
                    options,
                    level: 0,
                    key: self.key_of(typed::ML_DSA),
                    length: self.declared(&data),
                    context_length: self.declared(&context),
                    prehash: self.random.pick(&[0, 0, hash::SHA256, 99]),
                };
                let tail = [&*data, &context].concat();
                Step::crypto("ML-DSA sign", order, [algorithm::SIGNATURE_SIGN, 1], &request, &tail)
                    .compared(Compared::Fixed)
            }
            17 => {
                let request = public_key::MlKemEncapsulateRequest {
                    options,
                    level: self.random.below(3) as u32,
                    key: self.key_of(typed::ML_KEM),
                };
                Step::crypto("ML-KEM encapsulate", order, [algorithm::KEM_ENCAPSULATE, 1], &request, &[])
                    .compared(Compared::Fixed)
            }
            18 => {
                let length = self.random.pick(&[768, 1088, 1568, 767, 0]);
                let ciphertext = self.random.bytes(length);
                let request = public_key::MlKemDecapsulateRequest {
                    options,
                    level: self.random.below(3) as u32,
                    key: self.key_of(typed::ML_KEM),
                    length: self.declared(&ciphertext),
                };
                Step::crypto(
                    "ML-KEM decapsulate",
                    order,
                    [algorithm::KEM_DECAPSULATE, 1],
                    &request,
                    &ciphertext,
                )
            }
            _ => {
                let kind = Kind::new(Group::CRYPTO, self.random.pick(&[0, 3, 5, 6, 8, 10, 15]));
                let algorithm = self.random.pick(&[0_u32, 2, 10, 12, 24, 40]);
                let mut payload =
                    encoded(&crypto::RequestHeader { algorithm, sub_algorithm: 0, affinity: 0 }, order);
                payload.extend(data);
                Step::raw("unknown algorithm", order, kind, payload)
            }
        }
    }

    fn she(&mut self) -> Step {
        let order = self.order;
        let data = self.data(40);
        let slot = self.random.pick(&[14, 14, 14, 4, 4, 5, 0, 1, 2, 16, 0xFF]);
        let length = self.declared(&data);
        match self.random.below(20) {
            0 => Step::plain("set UID", order, &she::SetUidRequest { uid: *b"identifier 1234" }, &[]),
            1 => Step::plain("boot init", order, &she::SecureBootInitRequest { length: 16 }, &[]),
            2 => {
                let data = self.random.bytes(16);
                let request = she::SecureBootUpdateRequest { length: self.declared(&data) };
                Step::plain("boot update", order, &request, &data)
            }
            3 => Step::plain("boot finish", order, &she::SecureBootFinishRequest {}, &[]),
            4 => Step::plain("get status", order, &she::GetStatusRequest {}, &[]),
            5 => {
                let request = she::LoadKeyRequest {
                    m1: self.random.array(),
                    m2: self.random.array(),
                    m3: self.random.array(),
                };
                Step::plain("load key", order, &request, &[])
            }
            6 => Step::plain(
                "load RAM key",
                order,
                &she::LoadPlainKeyRequest { key: self.random.array() },
                &[],
            ),
            7 => Step::plain("export RAM key", order, &she::ExportRamKeyRequest {}, &[]),
            8 => Step::plain("init random", order, &she::InitRandomRequest {}, &[]),
            9 => Step::plain("SHE random", order, &she::RandomRequest {}, &[]),
            10 => {
                let entropy = self.random.array();
                Step::plain("extend seed", order, &she::ExtendSeedRequest { entropy }, &[])
            }
            11 => Step::plain("SHE encrypt ECB", order, &she::EncryptEcbRequest { length, slot }, &data),
            12 => Step::plain("SHE decrypt ECB", order, &she::DecryptEcbRequest { length, slot }, &data),
            13 => {
                let iv = self.random.array();
                Step::plain("SHE encrypt CBC", order, &she::EncryptCbcRequest { length, slot, iv }, &data)
            }
            14 => {
                let iv = self.random.array();
                Step::plain("SHE decrypt CBC", order, &she::DecryptCbcRequest { length, slot, iv }, &data)
            }
            15 | 16 => {
                let slot = slot.into();
                Step::plain("generate MAC", order, &she::GenerateMacRequest { slot, length }, &data)
            }
            17 => {
                let mac_length = self.random.pick(&[16, 16, 0, 1, 15, 17]);
                let mac = self.random.bytes(mac_length as usize);
                let request = she::VerifyMacRequest { slot: slot.into(), length, mac_length };
                Step::plain("verify MAC", order, &request, &[&*data, &mac].concat())
            }
            _ => {
                // Slots are provisioned as objects.
                let slot = self.random.pick(&[0, 1, 4, 5, 15]);
                let label = she::SlotLabel { counter: 1, flags: she::SlotFlags::NONE };
                let metadata = Metadata { length: 16, ..she::slot_metadata(self.client, slot, label) };
                // The original goes on with the key that it has cached, so a slot always gets the same.
                let key = [slot; 16];
                Step::plain("add slot", order, &nvm::AddRequest { metadata }, &key)
            }
        }
    }

    fn custom(&mut self) -> Step {
        let mut payload = self.random.bytes(custom::CustomRequestScalars::SIZE + custom::DATA_SIZE);
        let action = self.random.below(9) as u8;
        let scalars = custom::CustomRequestScalars {
            id: action.into(),
            custom_type: self.random.pick(&[0, 0, 1, 2, 3, 8, u32::MAX]),
        };
        payload[..custom::CustomRequestScalars::SIZE].copy_from_slice(&encoded(&scalars, self.order));
        Step::raw("custom", self.order, Kind::new(Group::CUSTOM, action), payload)
    }

    fn certificate(&mut self) -> Step {
        let order = self.order;
        let names: &[&str] = self.random.pick(&[
            &["root"] as &[&str],
            &["root"],
            &["other-root"],
            &["intermediate", "leaf"],
            &["intermediate", "leaf"],
            &["leaf"],
            &["other-leaf"],
            &["intermediate", "expired"],
            &["attribute"],
        ]);
        // The names are those of the file.
        let mut data = certificates(names).unwrap_or_default();
        if self.random.percent(self.malformed) {
            data = self.data(40);
        }
        let length = self.declared(&data);
        let id = ObjectId(self.random.pick(&[1, 1, 2, 2, 3, 9]));
        let flags = self.random.pick(&[0, 0, 1, 2, 3, 0xFFFE]);
        let (key_flags, key) = (self.flags(), self.new_key());
        match self.random.below(14) {
            0 => Step::plain("certificate init", order, &certificate::InitRequest {}, &[]),
            1..=3 => {
                let request = certificate::AddTrustedRequest {
                    length,
                    id,
                    access: 0xFFFF,
                    flags: self.flags(),
                    label: self.label(),
                };
                Step::plain("add trusted", order, &request, &data)
            }
            4 => Step::plain("erase trusted", order, &certificate::EraseTrustedRequest { id }, &[]),
            5 => Step::plain("read trusted", order, &certificate::ReadTrustedRequest { id }, &[]),
            6..=8 => {
                let request = certificate::VerifyRequest { length, root: id, flags, key_flags, key };
                let compared = if flags & 1 == 0 { Compared::Status } else { Compared::Whole };
                Step::plain("verify", order, &request, &data).compared(compared)
            }
            9 | 10 => {
                let count = self.random.pick(&[1_u16, 2, 3, 8, 0, 9]);
                let mut tail = Vec::new();
                for _ in 0..count {
                    let id = self.random.pick(&[1_u16, 2, 3, 0]);
                    tail.extend(if order == ByteOrder::Little { id.to_le_bytes() } else { id.to_be_bytes() });
                }
                tail.extend(data);
                let request =
                    certificate::VerifyMultiRootRequest { length, roots: count, flags, key_flags, key };
                let compared = if flags & 1 == 0 { Compared::Status } else { Compared::Whole };
                Step::plain("verify with roots", order, &request, &tail).compared(compared)
            }
            11 => Step::plain("clear verify cache", order, &certificate::VerifyCacheClearRequest {}, &[]),
            12 => {
                let enable = self.random.pick(&[0, 1, 2]);
                Step::plain(
                    "switch verify cache",
                    order,
                    &certificate::VerifyCacheSetEnabledRequest { enable },
                    &[],
                )
            }
            _ => {
                let request = certificate::VerifyAttributeRequest { length, root: id };
                Step::plain("verify attribute", order, &request, &data)
            }
        }
    }

    fn authentication(&mut self) -> Step {
        use authentication::{Permissions, UserId, UserName};
        let order = self.order;
        let name = self.random.pick(&[&b"one"[..], b"one", b"two", b"three", &[b'x'; 31]]);
        // None of these names is empty or too long.
        let name = UserName::new(name).unwrap_or_default();
        let pin =
            self.random.pick(&[&b"1111"[..], b"1111", b"2222", b"", b"12345678901234567890123456789012"]);
        let method = self.random.pick(&[1, 1, 1, 1, 0, 3]);
        let user = UserId(self.random.pick(&[2, 2, 3, 4, 5, 6, 0, u16::MAX]));
        let permissions = match self.random.below(3) {
            0 => Permissions::NONE,
            1 => Permissions::all(),
            _ => {
                let mut some = Permissions::NONE;
                some.set_group(Group::NVM, true);
                some
            }
        };
        match self.random.below(10) {
            0 | 1 => {
                let request = authentication::LoginRequest { method, name, length: pin.len() as u16 };
                Step::plain("login", order, &request, pin)
            }
            2 => Step::plain("logout", order, &authentication::LogoutRequest { user }, &[]),
            3..=5 => {
                let length = self.declared(pin) as u16;
                let request = authentication::UserAddRequest { name, permissions, method, length };
                Step::plain("add user", order, &request, pin)
            }
            6 => Step::plain("delete user", order, &authentication::UserDeleteRequest { user }, &[]),
            7 => Step::plain("get user", order, &authentication::UserGetRequest { name }, &[]),
            8 => {
                let request = authentication::SetPermissionsRequest { user, permissions };
                Step::plain("set permissions", order, &request, &[])
            }
            _ => {
                let new = self.random.pick(&[&b"1111"[..], b"2222", b""]);
                let request = authentication::SetCredentialsRequest {
                    user,
                    method,
                    current_length: pin.len() as u16,
                    new_length: new.len() as u16,
                };
                Step::plain("set credentials", order, &request, &[pin, new].concat())
            }
        }
    }
}
