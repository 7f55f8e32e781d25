//! Which requests `casemate compare` sends: values of every field at and beyond its limits, in an order that a seed
//! repeats.

mod authentication;
mod certificate;
mod key;
mod public_key;
mod she;
mod store;
mod symmetric;

use super::random::Random;
use super::step::{Compared, Step, Yield, encoded};
use casemate_protocol::message::crypto::CmacState;
use casemate_protocol::message::public_key::curve;
use casemate_protocol::message::{self, comm, custom};
use casemate_protocol::{ByteOrder, ClientId, Flags, Group, KeyId, Kind, Label, Layout};
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
        self.give(typed::RSA, include_bytes!("../../bench/rsa-2048.der"));
        self.give(typed::AES, b"0123456789abcdef");
    }

    /// Has both servers cache `bytes`.
    fn give(&mut self, number: u16, bytes: &[u8]) {
        let request = message::key::CacheRequest {
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
                if let Ok((request, _)) = message::public_key::EcdsaSignRequest::decode(
                    step.payload.get(message::crypto::RequestHeader::SIZE..).unwrap_or_default(),
                    step.order,
                ) {
                    self.signatures.insert(request.key as u16 & 0xFF, tail.to_vec());
                }
            }
            Yield::CmacState => {
                let state = payload.get(message::crypto::ResponseHeader::SIZE..).unwrap_or_default();
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
            let evict = message::key::EvictRequest { id: KeyId(id) };
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
}
