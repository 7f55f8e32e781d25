//! The key store against a plain model of it, written from document 03: random operations of two clients on their own
//! and on global keys, with reconnections, through the wire.

mod common;

use casemate_protocol::Status;
use casemate_server::CacheShape;
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use common::Client;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NONMODIFIABLE: u16 = 0x0001;
const NONEXPORTABLE: u16 = 0x0004;
const ENCRYPT: u16 = 0x0020;
const USAGE_ANY: u16 = 0x07E0;
const NONDESTROYABLE: u16 = 0x0800;
const TRUSTED: u16 = 0x1000;

const SHAPE: CacheShape = CacheShape { small_slots: 3, small_size: 16, big_slots: 2, big_size: 40 };
/// Objects that the store holds: more than can be alive, so that it is never full of them.
const OBJECTS: usize = 40;

#[derive(Debug, Clone)]
enum Operation {
    Cache { id: u16, flags: u16, length: usize, fill: u8 },
    CacheRandom { id: u16, flags: u16, length: u16, fill: u8 },
    Evict(u16),
    Commit(u16),
    Erase(u16),
    Revoke(u16),
    Export(u16),
    ExportPublic(u16),
    Encrypt(u16),
    Reconnect,
}

fn operation() -> impl Strategy<Value = (usize, Operation)> {
    let id = || {
        (0_u16..5, prop::sample::select(vec![0, 0, 0, 0x0100, 0x0100, 0x0200, 0x0300]))
            .prop_map(|(n, flags)| n | flags)
    };
    let flags = || {
        prop::collection::vec(
            prop::sample::select(vec![
                0,
                NONMODIFIABLE,
                NONEXPORTABLE,
                NONDESTROYABLE,
                TRUSTED,
                ENCRYPT,
                ENCRYPT,
                USAGE_ANY,
                USAGE_ANY,
            ]),
            1..3,
        )
        .prop_map(|flags| flags.into_iter().fold(0, |all, flag| all | flag))
    };
    let length = || prop::sample::select(vec![0_usize, 1, 16, 16, 16, 17, 32, 40, 41]);
    let operation = prop_oneof![
        6 => (id(), flags(), length(), any::<u8>())
            .prop_map(|(id, flags, length, fill)| Operation::Cache { id, flags, length, fill }),
        2 => (id(), flags(), length(), any::<u8>()).prop_map(|(id, flags, length, fill)| {
            Operation::CacheRandom { id, flags, length: length.try_into().unwrap(), fill }
        }),
        2 => id().prop_map(Operation::Evict),
        4 => id().prop_map(Operation::Commit),
        2 => id().prop_map(Operation::Erase),
        1 => id().prop_map(Operation::Revoke),
        3 => id().prop_map(Operation::Export),
        1 => id().prop_map(Operation::ExportPublic),
        2 => id().prop_map(Operation::Encrypt),
        1 => Just(Operation::Reconnect),
    ];
    (0_usize..2, operation)
}

#[derive(Debug, Clone, PartialEq)]
struct Key {
    flags: u16,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Slot {
    id: u16,
    key: Key,
    committed: bool,
}

/// A cache: the slots of each class in their order.
#[derive(Debug, Clone)]
struct Cache {
    classes: [Vec<Option<Slot>>; 2],
}

impl Default for Cache {
    fn default() -> Self {
        Self { classes: [vec![None; SHAPE.small_slots], vec![None; SHAPE.big_slots]] }
    }
}

impl Cache {
    fn find(&mut self, id: u16) -> Option<&mut Option<Slot>> {
        self.classes.iter_mut().flatten().find(|slot| slot.as_ref().is_some_and(|slot| slot.id == id))
    }

    fn get(&mut self, id: u16) -> Option<&mut Slot> {
        self.find(id).and_then(Option::as_mut)
    }

    fn put(&mut self, new: Slot) -> Result<(), Status> {
        let class = match new.key.bytes.len() {
            length if length <= SHAPE.small_size => 0,
            length if length <= SHAPE.big_size => 1,
            _ => return Err(Status::BAD_ARGUMENTS),
        };
        let mut after = self.clone();
        if let Some(old) = after.find(new.id) {
            *old = None;
        }
        let slots = &mut after.classes[class];
        let place = slots
            .iter()
            .position(Option::is_none)
            .or_else(|| slots.iter().position(|slot| slot.as_ref().is_some_and(|slot| slot.committed)))
            .ok_or(Status::NO_SPACE)?;
        slots[place] = Some(new);
        *self = after;
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Model {
    local: [Cache; 2],
    global: Cache,
    stored: BTreeMap<u16, Key>,
}

type Outcome<T> = Result<T, Status>;

impl Model {
    fn internal(client: usize, id: u16) -> u16 {
        let kind = if id & 0x0200 != 0 { 0x4000 } else { 0x1000 };
        let owner = if id & 0x0100 != 0 { 0 } else { u16::try_from(client).unwrap() + 3 };
        kind | owner << 8 | id & 0xFF
    }

    fn cache(&mut self, client: usize, id: u16) -> &mut Cache {
        if id & 0x0F00 == 0 { &mut self.global } else { &mut self.local[client] }
    }

    /// The key's flags, and whether it is cached and committed.
    fn look(&mut self, client: usize, id: u16) -> Outcome<(u16, bool)> {
        if let Some(slot) = self.cache(client, id).get(id) {
            return Ok((slot.key.flags, slot.committed));
        }
        self.stored.get(&id).map(|key| (key.flags, false)).ok_or(Status::NOT_FOUND)
    }

    fn named(id: u16) -> Outcome<()> {
        if id & 0xFF == 0 { Err(Status::BAD_ARGUMENTS) } else { Ok(()) }
    }

    /// Section 2.1: into the cache, or not at all.
    fn freshen(&mut self, client: usize, id: u16) -> Outcome<()> {
        Self::named(id)?;
        if self.cache(client, id).get(id).is_some() {
            return Ok(());
        }
        let key = self.stored.get(&id).cloned().ok_or(Status::NOT_FOUND)?;
        let empty = key.bytes.is_empty();
        let before = self.cache(client, id).clone();
        self.cache(client, id).put(Slot { id, key, committed: true })?;
        if empty {
            // An object without data cannot be read; the slot was taken for nothing.
            *self.cache(client, id) = before;
            self.displaced_by_empty(client, id);
            return Err(Status::BAD_ARGUMENTS);
        }
        Ok(())
    }

    /// A failed load frees its slot again, but what stood there before is gone.
    fn displaced_by_empty(&mut self, client: usize, id: u16) {
        let cache = self.cache(client, id);
        if cache.classes[0].iter().all(Option::is_some)
            && let Some(slot) =
                cache.classes[0].iter_mut().find(|slot| slot.as_ref().is_some_and(|s| s.committed))
        {
            *slot = None;
        }
    }

    /// Section 2.1, "read-through".
    fn read(&mut self, client: usize, id: u16) -> Outcome<Key> {
        if let Some(slot) = self.cache(client, id).get(id) {
            return Ok(slot.key.clone());
        }
        let key = self.stored.get(&id).cloned().ok_or(Status::NOT_FOUND)?;
        if key.bytes.is_empty() {
            return Err(Status::BAD_ARGUMENTS);
        }
        let _ = self.cache(client, id).put(Slot { id, key: key.clone(), committed: true });
        Ok(key)
    }

    fn insert(&mut self, client: usize, id: u16, flags: u16, bytes: Vec<u8>, random: bool) -> Outcome<u16> {
        let id = if id & 0xFF != 0 {
            id
        } else if id & 0x4000 != 0 {
            return Err(Status::BAD_ARGUMENTS);
        } else {
            let free = (1..=255).rev().find(|number| self.look(client, id | number).is_err());
            id | free.ok_or(Status::NO_SPACE)?
        };
        if bytes.len() > SHAPE.big_size || random && bytes.is_empty() {
            return Err(Status::BAD_ARGUMENTS);
        }
        if let Ok((old, _)) = self.look(client, id)
            && old & (TRUSTED | NONMODIFIABLE) != 0
        {
            return Err(Status::ACCESS);
        }
        let key = Key { flags: flags & !TRUSTED, bytes };
        self.cache(client, id).put(Slot { id, key, committed: false })?;
        let global = if id & 0x0F00 == 0 { 0x0100 } else { 0 };
        let wrapped = if id >> 12 == 4 { 0x0200 } else { 0 };
        Ok(id & 0xFF | global | wrapped)
    }

    fn evict(&mut self, client: usize, id: u16) -> Outcome<()> {
        Self::named(id)?;
        let (flags, committed) = self.look(client, id)?;
        if !committed && flags & (NONMODIFIABLE | NONDESTROYABLE) != 0 {
            return Err(Status::ACCESS);
        }
        *self.cache(client, id).find(id).ok_or(Status::NOT_FOUND)? = None;
        Ok(())
    }

    fn commit(&mut self, client: usize, id: u16) -> Outcome<()> {
        Self::named(id)?;
        self.look(client, id)?;
        if id >> 12 == 4 {
            return Err(Status::ABORTED);
        }
        let slot = self.cache(client, id).get(id).ok_or(Status::NOT_FOUND)?;
        slot.committed = true;
        let key = slot.key.clone();
        self.stored.insert(id, key);
        Ok(())
    }

    fn erase(&mut self, client: usize, id: u16) -> Outcome<()> {
        Self::named(id)?;
        if id >> 12 == 4 {
            return Err(Status::ABORTED);
        }
        match self.evict(client, id) {
            Ok(()) | Err(Status::NOT_FOUND) => {}
            Err(status) => return Err(status),
        }
        if self.stored.get(&id).is_some_and(|key| key.flags & (NONMODIFIABLE | NONDESTROYABLE) != 0) {
            return Err(Status::ACCESS);
        }
        self.stored.remove(&id);
        Ok(())
    }

    fn revoke(&mut self, client: usize, id: u16) -> Outcome<()> {
        Self::named(id)?;
        self.look(client, id)?;
        self.freshen(client, id)?;
        let stored = self.stored.contains_key(&id);
        let slot = self.cache(client, id).get(id).unwrap();
        if slot.committed && slot.key.flags & NONMODIFIABLE != 0 && slot.key.flags & USAGE_ANY == 0 {
            return Ok(());
        }
        slot.key.flags = (slot.key.flags | NONMODIFIABLE) & !USAGE_ANY;
        if stored {
            slot.committed = true;
            let key = slot.key.clone();
            self.stored.insert(id, key);
        }
        Ok(())
    }

    fn export(&mut self, client: usize, id: u16) -> Outcome<Vec<u8>> {
        Self::named(id)?;
        if self.look(client, id)?.0 & NONEXPORTABLE != 0 {
            return Err(Status::ACCESS);
        }
        self.read(client, id).map(|key| key.bytes)
    }

    /// For algorithm 0, which there is not: what is seen of it is whether the key could be loaded.
    fn export_public(&mut self, client: usize, id: u16) -> Outcome<Vec<u8>> {
        Self::named(id)?;
        self.look(client, id)?;
        self.freshen(client, id)?;
        Err(Status::BAD_ARGUMENTS)
    }

    /// Document 04, §3.3: existence, length, usage, then the algorithm's own length.
    fn encrypt(&mut self, client: usize, id: u16) -> Outcome<()> {
        if id & 0xFF == 0 {
            return Err(Status::BAD_ARGUMENTS);
        }
        let too_long = |key: &Key| key.bytes.len() > 32;
        let cached = self.cache(client, id).get(id).is_some();
        if !cached && self.stored.get(&id).is_some_and(too_long) {
            return Err(Status::NO_SPACE);
        }
        let key = self.read(client, id)?;
        if too_long(&key) {
            return Err(Status::NO_SPACE);
        }
        if key.flags & ENCRYPT == 0 {
            return Err(Status::USAGE);
        }
        if matches!(key.bytes.len(), 16 | 24 | 32) { Ok(()) } else { Err(Status::BAD_ARGUMENTS) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_key_store_does_what_the_reference_says(operations in prop::collection::vec(operation(), 1..120)) {
        let server = VirtualServer::new(VirtualOptions {
            cache: SHAPE,
            objects: OBJECTS,
            partition_size: 8 * 1024,
            ..VirtualOptions::default()
        });
        let mut clients = [Client::new(&server, 3), Client::new(&server, 4)];
        let mut model = Model::default();
        for (which, operation) in operations {
            let client = &mut clients[which];
            let internal = |id| Model::internal(which, id);
            match operation.clone() {
                Operation::Cache { id, flags, length, fill } => {
                    let key = vec![fill; length];
                    let got = client.cache(id, flags.into(), &key);
                    prop_assert_eq!(got, model.insert(which, internal(id), flags, key, false), "{:?}", operation);
                }
                Operation::CacheRandom { id, flags, length, fill } => {
                    let key = vec![fill; length.into()];
                    server.random().script(&key);
                    let got = client.cache_random(id, flags.into(), length);
                    let left = server.random().take_script();
                    prop_assert_eq!(left.is_empty(), got.is_ok() || length == 0);
                    prop_assert_eq!(got, model.insert(which, internal(id), flags, key, true), "{:?}", operation);
                }
                Operation::Evict(id) => {
                    prop_assert_eq!(client.evict(id), model.evict(which, internal(id)), "{:?}", operation);
                }
                Operation::Commit(id) => {
                    prop_assert_eq!(client.commit(id), model.commit(which, internal(id)), "{:?}", operation);
                }
                Operation::Erase(id) => {
                    prop_assert_eq!(client.erase(id), model.erase(which, internal(id)), "{:?}", operation);
                }
                Operation::Revoke(id) => {
                    prop_assert_eq!(client.revoke(id), model.revoke(which, internal(id)), "{:?}", operation);
                }
                Operation::Export(id) => {
                    prop_assert_eq!(client.export(id), model.export(which, internal(id)), "{:?}", operation);
                }
                Operation::ExportPublic(id) => {
                    let got = client.export_public(id, 0);
                    prop_assert_eq!(got, model.export_public(which, internal(id)), "{:?}", operation);
                }
                Operation::Encrypt(id) => {
                    let got = client.encrypt(id).map(drop);
                    prop_assert_eq!(got, model.encrypt(which, internal(id)), "{:?}", operation);
                }
                Operation::Reconnect => {
                    clients[which] = Client::new(&server, u32::try_from(which).unwrap() + 3);
                    model.local[which] = Cache::default();
                }
            }
            // What is stored is what the model says, after every step.
            let mut stored = BTreeMap::new();
            server.store(|store| {
                use casemate_nvm::ObjectStore;
                let mut records = Vec::new();
                store.visit(&mut |object| {
                    records.push(object);
                    core::ops::ControlFlow::Continue(())
                }).unwrap();
                for record in records {
                    let mut bytes = vec![0; record.length.into()];
                    if !bytes.is_empty() {
                        store.read(record.id, 0, &mut bytes).unwrap();
                    }
                    stored.insert(record.id.0, Key { flags: record.flags.0, bytes });
                }
            });
            prop_assert_eq!(&stored, &model.stored, "after {:?}", operation);
        }
    }
}
