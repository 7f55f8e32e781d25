//! One server, many threads: nothing is lost or mixed up, and a thread that fails stops nobody silently.
#![cfg(feature = "std")]

use casemate_crypto::{Driver, Error, Random, Software};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};
use casemate_protocol::message::key;
use casemate_protocol::{Group, Header, Kind, Status};
use casemate_server::audit::{Event, Record};
use casemate_server::{Affinity, CacheShape, Config, HeapCache, Platform, Server, Session, ThreadSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

type Store = FlashStore<RamFlash<Vec<u8>>, Vec<DirectoryEntry>>;

/// Counts up: unique, and shared by all threads.
#[derive(Default)]
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        for chunk in output.chunks_mut(8) {
            let word = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

struct Threads {
    driver: Software<Counting>,
    records: Mutex<Vec<Record>>,
    fail: AtomicBool,
}

impl Platform for Threads {
    type Store = Store;
    type Cache = HeapCache;
    type Lock<T> = ThreadSafe<T>;

    fn crypto(&self, _: Affinity) -> &dyn Driver {
        &self.driver
    }

    fn record(&self, record: &Record) {
        assert!(!self.fail.load(Ordering::Relaxed), "on purpose, while the server's lock is held");
        self.records.lock().unwrap().push(*record);
    }
}

fn shape() -> CacheShape {
    CacheShape { small_slots: 4, small_size: 64, big_slots: 0, big_size: 0 }
}

fn server() -> Server<Threads> {
    let flash = RamFlash::new(vec![0; 64 * 1024], 0xFF);
    let store = FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 60], FlashOptions::new()).unwrap();
    let platform = Threads {
        driver: Software::new(Counting::default()),
        records: Mutex::new(Vec::new()),
        fail: AtomicBool::new(false),
    };
    let config = Config { data_length: 512, ..Config::default() };
    Server::new(platform, config, store, HeapCache::new(shape())).unwrap()
}

struct Client<'a> {
    server: &'a Server<Threads>,
    session: Session<Threads>,
    response: Vec<u8>,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server<Threads>, id: u8) -> Self {
        let response = vec![0; server.packet_size()];
        let mut client = Self { server, session: Session::new(HeapCache::new(shape())), response };
        assert_eq!(client.ask(Group::COMM, 1, &[id, 0, 0, 0]).len(), 8);
        client
    }

    fn ask(&mut self, group: Group, action: u8, payload: &[u8]) -> &[u8] {
        let header = Header {
            order: casemate_protocol::ByteOrder::Little,
            kind: Kind::new(group, action),
            sequence: 0,
            auxiliary: [0; 2],
        };
        let packet = [&header.encode(), payload].concat();
        let reply = self.server.handle(&mut self.session, &packet, &mut self.response).unwrap();
        &self.response[8..reply.length]
    }

    /// A message whose response begins with its status.
    fn try_ask(&mut self, group: Group, action: u8, payload: &[u8]) -> Result<&[u8], Status> {
        let answer = self.ask(group, action, payload);
        let (status, rest) = answer.split_first_chunk().expect("a status");
        Status(i32::from_le_bytes(*status)).into_result().map(|()| rest)
    }

    fn counter(&mut self, action: u8, id: u8, value: u32) -> Result<u32, Status> {
        let mut payload = vec![id, 0, 0, 0];
        match action {
            0 => payload.splice(0..0, value.to_le_bytes()).for_each(drop),
            _ => payload.extend([0; 4]),
        }
        let answer = self.try_ask(Group::COUNTER, action, &payload)?;
        Ok(u32::from_le_bytes(answer[..4].try_into().unwrap()))
    }
}

/// Threads with sessions of the same client share its counters and committed objects; every increment counts once.
#[test]
fn increments_from_many_threads_all_count() {
    const THREADS: u32 = 8;
    // An interpreter takes its time.
    const TURNS: u32 = if cfg!(miri) { 3 } else { 200 };
    let server = server();
    Client::new(&server, 1).counter(0, 7, 0).unwrap();
    let mut seen: Vec<u32> = thread::scope(|scope| {
        let work = || {
            let mut client = Client::new(&server, 1);
            (0..TURNS).map(|_| client.counter(1, 7, 0).unwrap()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    seen.sort_unstable();
    assert!(seen.into_iter().eq(1..=THREADS * TURNS), "every value was given out exactly once");
    assert_eq!(Client::new(&server, 1).counter(2, 7, 0), Ok(THREADS * TURNS));
}

/// Clients on threads of their own make, use and erase keys, global ones too; nobody sees another's, and the records
/// of each key are in order.
#[test]
fn sessions_do_not_disturb_each_other() {
    const TURNS: u8 = if cfg!(miri) { 2 } else { 40 };
    let server = server();
    thread::scope(|scope| {
        for id in 1..=8_u8 {
            let server = &server;
            scope.spawn(move || {
                let mut client = Client::new(server, id);
                for turn in 0..TURNS {
                    let key = [id ^ turn.wrapping_mul(16); 16];
                    // Key 5 is the client's, key `id` is global; both are exported and compared.
                    for (low, high) in [(5, 0), (id, 1)] {
                        let mut request = vec![0xE0, 7, 0, 0, 16, 0, 0, 0, 24, 0, 0, 0, low, high, 0, 0];
                        request.extend([0; 24]);
                        request.extend(key);
                        let cached =
                            client.try_ask(Group::KEY, key::action::CACHE, &request).map(<[u8]>::to_vec);
                        // The four slots for global keys are fewer than the clients.
                        if high == 1 && cached == Err(Status::NO_SPACE) {
                            continue;
                        }
                        cached.unwrap();
                        let exported = client
                            .try_ask(Group::KEY, key::action::EXPORT, &[low, high, 0, 0, 0, 0, 0, 0])
                            .unwrap();
                        assert_eq!(exported[32..], key);
                        client
                            .try_ask(Group::KEY, key::action::ERASE, &[low, high, 0, 0, 0, 0, 0, 0])
                            .unwrap();
                    }
                }
            });
        }
    });
    let records = server.platform().records.lock().unwrap();
    for owner in 1..=8 {
        let mut own = records.iter().filter(|record| record.client.unwrap().get() == owner);
        assert_eq!(own.next().unwrap().event, Event::SessionStarted {});
        let own: Vec<_> = own.map(|record| record.event.name()).collect();
        assert!(own.len() >= 3 * usize::from(TURNS));
        for events in own.chunks(3) {
            assert_eq!(events, ["key-created", "key-exported", "key-erased"]);
        }
    }
}

/// A thread that fails within the lock leaves it closed: others get an answer at once, and no half-done state.
#[test]
fn a_thread_that_fails_in_the_lock_closes_the_store_for_good() {
    let server = server();
    let mut bystander = Client::new(&server, 2);
    bystander.counter(0, 1, 5).unwrap();
    thread::scope(|scope| {
        let mut victim = Client::new(&server, 1);
        server.platform().fail.store(true, Ordering::Relaxed);
        assert!(scope.spawn(move || victim.counter(0, 1, 0)).join().is_err(), "the panic is not swallowed");
    });
    server.platform().fail.store(false, Ordering::Relaxed);
    assert_eq!(bystander.counter(2, 1, 0), Err(Status::ABORTED));
    assert!(server.with_store(|_| ()).is_none());
    // What needs no store is served as before.
    assert_eq!(bystander.ask(Group::COMM, 5, b"echo"), b"echo");
}
