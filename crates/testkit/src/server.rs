//! A virtual server: an HSM server, its object store on RAM flash and its drivers, all in one process and on one
//! thread.
//!
//! **For tests only.** Its random generator is predictable ([`TestRandom`]), and its store is gone with it.
//!
//! ```
//! use casemate_testkit::server::VirtualServer;
//!
//! let server = VirtualServer::default();
//! let mut session = server.session();
//! // INIT as client 12, the first exchange of document 01, §14.
//! let response = server.request(&mut session, &[1, 0xA5, 1, 1, 1, 0, 0, 0, 12, 0, 0, 0])?;
//! assert_eq!(response, [1, 0xA5, 1, 1, 1, 0, 0, 0, 12, 0, 0, 0, 57, 0, 0, 0]);
//! # Ok::<(), casemate_server::Disconnect>(())
//! ```
//!
//! A client drives it through [`VirtualServer::connect`].

use crate::random::SplitMix64;
use casemate_crypto::{Driver, Error, Random, Software};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, ObjectStore, RamFlash};
use casemate_server::audit::Record;
use casemate_server::{
    Affinity, CacheShape, ClientWindow, Config, CustomCallback, Disconnect, HardwareKeyStore, HeapCache,
    Platform, Reply, Server, Session, SingleThread,
};
use casemate_transport::{ClientTransport, Loopback};
use core::convert::Infallible;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use zeroize::Zeroizing;

/// The store that a virtual server has unless it is given another one.
pub type RamStore = FlashStore<RamFlash<Vec<u8>>, Vec<DirectoryEntry>>;

/// A random generator that gives the same bytes in every run. **For tests only**: whoever knows the seed knows every
/// key.
#[derive(Debug)]
pub struct TestRandom {
    state: RefCell<TestRandomState>,
}

#[derive(Debug)]
struct TestRandomState {
    scripted: VecDeque<u8>,
    numbers: SplitMix64,
}

impl TestRandom {
    /// A generator whose bytes follow from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: RefCell::new(TestRandomState { scripted: VecDeque::new(), numbers: SplitMix64(seed) }) }
    }

    /// Makes `bytes` the next random bytes; after them the generator goes on as before.
    pub fn script(&self, bytes: &[u8]) {
        self.state.borrow_mut().scripted.extend(bytes);
    }

    /// The scripted bytes that were not asked for yet; they are forgotten.
    pub fn take_script(&self) -> Vec<u8> {
        self.state.borrow_mut().scripted.drain(..).collect()
    }
}

impl Random for TestRandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        let mut state = self.state.borrow_mut();
        for byte in output {
            *byte = match state.scripted.pop_front() {
                Some(scripted) => scripted,
                None => state.numbers.next_byte(),
            };
        }
        Ok(())
    }
}

/// The [`Platform`] of a virtual server: software drivers, heap caches, no threads. `S` is the store.
pub struct VirtualPlatform<S> {
    driver: Software<TestRandom>,
    callbacks: Vec<Option<Box<dyn CustomCallback>>>,
    records: RefCell<VecDeque<Record>>,
    forgotten: Cell<u32>,
    device_key: Option<[u8; 32]>,
    hardware_keys: Option<Box<dyn HardwareKeyStore>>,
    now: Cell<Option<u64>>,
    store: core::marker::PhantomData<S>,
}

impl<S> core::fmt::Debug for VirtualPlatform<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VirtualPlatform").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl<S: ObjectStore> Platform for VirtualPlatform<S> {
    type Store = S;
    type Cache = HeapCache;
    type Lock<T> = SingleThread<T>;

    fn crypto(&self, _: Affinity) -> &dyn Driver {
        &self.driver
    }

    fn custom_callback_count(&self) -> u8 {
        u8::try_from(self.callbacks.len()).unwrap_or(u8::MAX)
    }

    fn custom_callback(&self, number: u8) -> Option<&dyn CustomCallback> {
        self.callbacks.get(usize::from(number))?.as_deref()
    }

    fn forget_keys(&self) {
        self.forgotten.set(self.forgotten.get().wrapping_add(1));
    }

    /// Keeps the newest records, without allocating.
    fn record(&self, record: &Record) {
        let mut records = self.records.borrow_mut();
        if records.len() == KEPT_RECORDS {
            records.pop_front();
        }
        records.push_back(*record);
    }

    fn now(&self) -> Option<u64> {
        self.now.get()
    }

    fn hardware_keys(&self) -> Option<&dyn HardwareKeyStore> {
        self.hardware_keys.as_deref()
    }

    fn device_key(&self) -> Option<Zeroizing<[u8; 32]>> {
        self.device_key.map(Zeroizing::new)
    }
}

/// How many security records a virtual server keeps.
const KEPT_RECORDS: usize = 4096;

/// A client's connection to a virtual server.
pub type VirtualSession<S = RamStore> = Session<VirtualPlatform<S>>;

/// What a virtual server is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualOptions {
    /// The server's configuration.
    pub config: Config,
    /// The shape of each session's key cache and of the global one.
    pub cache: CacheShape,
    /// Directory entries of the store.
    pub objects: usize,
    /// Size of one of the store's two partitions in bytes; a multiple of 64.
    pub partition_size: usize,
    /// What the random bytes follow from.
    pub seed: u64,
    /// What the user database is sealed with.
    pub device_key: Option<[u8; 32]>,
}

impl Default for VirtualOptions {
    /// The values of the original's POSIX example server, but for the partition size.
    fn default() -> Self {
        Self {
            config: Config::default(),
            cache: CacheShape::default(),
            objects: 30,
            partition_size: 64 * 1024,
            seed: 0,
            device_key: None,
        }
    }
}

/// A whole server in one process, **for tests only**. `S` is its object store.
#[derive(Debug)]
pub struct VirtualServer<S: ObjectStore = RamStore> {
    server: Server<VirtualPlatform<S>>,
    cache: CacheShape,
}

impl Default for VirtualServer {
    fn default() -> Self {
        Self::new(VirtualOptions::default())
    }
}

impl VirtualServer {
    /// A server with an empty store in RAM.
    ///
    /// # Panics
    /// If the options are out of range.
    pub fn new(options: VirtualOptions) -> Self {
        let flash = RamFlash::new(vec![0; 2 * options.partition_size], 0xFF);
        let directory = vec![DirectoryEntry::EMPTY; options.objects];
        let store = FlashStore::mount(flash, directory, FlashOptions::new());
        Self::with_store(options, store.expect("options for which blank flash can be mounted"))
    }
}

impl<S: ObjectStore> VirtualServer<S> {
    /// A server over `store`; the options for the store are not used.
    ///
    /// # Panics
    /// If the configuration is out of range.
    pub fn with_store(options: VirtualOptions, store: S) -> Self {
        let platform = VirtualPlatform {
            driver: Software::new(TestRandom::new(options.seed)),
            callbacks: Vec::new(),
            records: RefCell::new(VecDeque::with_capacity(KEPT_RECORDS)),
            forgotten: Cell::new(0),
            device_key: options.device_key,
            hardware_keys: None,
            now: Cell::new(None),
            store: core::marker::PhantomData,
        };
        let server = Server::new(platform, options.config, store, HeapCache::new(options.cache));
        Self { server: server.expect("a configuration in range"), cache: options.cache }
    }

    /// Registers a custom callback. A server with at least one has room for as many as numbers up to the highest
    /// registered.
    pub fn register(&mut self, number: u8, callback: impl CustomCallback + 'static) {
        let callbacks = &mut self.server.platform_mut().callbacks;
        if callbacks.len() <= usize::from(number) {
            callbacks.resize_with(usize::from(number) + 1, || None);
        }
        callbacks[usize::from(number)] = Some(Box::new(callback));
    }

    /// Gives the server a hardware key store. Its keys can be named if the configuration says so.
    pub fn attach(&mut self, hardware_keys: impl HardwareKeyStore + 'static) {
        self.server.platform_mut().hardware_keys = Some(Box::new(hardware_keys));
    }

    /// The server itself.
    pub const fn server(&self) -> &Server<VirtualPlatform<S>> {
        &self.server
    }

    /// The random generator.
    pub fn random(&self) -> &TestRandom {
        self.server.platform().driver.random()
    }

    /// The security records since the last call, at most the newest 4096.
    pub fn take_records(&self) -> Vec<Record> {
        self.server.platform().records.borrow_mut().drain(..).collect()
    }

    /// How often the platform was told to forget keys, since the last call.
    pub fn take_forgotten(&self) -> u32 {
        self.server.platform().forgotten.take()
    }

    /// Sets the server's clock, in seconds since the Unix epoch. It does not advance; without it, the server has none.
    pub fn set_now(&self, now: Option<u64>) {
        self.server.platform().now.set(now);
    }

    /// Works with the object store as the server's owner can: to provision trusted keys, for instance.
    ///
    /// # Panics
    /// If called from within a request.
    pub fn store<R>(&self, work: impl FnOnce(&mut S) -> R) -> R {
        self.server.with_store(work).expect("no request is being handled")
    }

    /// A new connection.
    pub fn session(&self) -> VirtualSession<S> {
        Session::new(HeapCache::new(self.cache))
    }

    /// Handles one request packet and returns the response packet. The response buffer is new and not zero.
    ///
    /// # Errors
    /// [`Disconnect`] if the server ends the connection without an answer.
    pub fn request(&self, session: &mut VirtualSession<S>, packet: &[u8]) -> Result<Vec<u8>, Disconnect> {
        let mut response = vec![0xEE; self.server.packet_size()];
        let reply = self.server.handle(session, packet, &mut response)?;
        response.truncate(reply.length);
        Ok(response)
    }

    /// As [`request`](Self::request), from a client that shares memory with the server.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn request_with_window(
        &self,
        session: &mut VirtualSession<S>,
        window: ClientWindow<'_>,
        packet: &[u8],
    ) -> Result<Vec<u8>, Disconnect> {
        let mut response = vec![0xEE; self.server.packet_size()];
        let reply = self.server.handle_with_window(session, window, packet, &mut response)?;
        response.truncate(reply.length);
        Ok(response)
    }

    /// Handles one request packet in a response buffer of the caller's.
    ///
    /// # Errors
    /// [`Disconnect`] if the server ends the connection without an answer, or if the buffer is too small.
    pub fn handle(
        &self,
        session: &mut VirtualSession<S>,
        packet: &[u8],
        response: &mut [u8],
    ) -> Result<Reply, Disconnect> {
        self.server.handle(session, packet, response)
    }

    /// A new connection as a client sees it. It is closed after CLOSE and after a packet that is none.
    pub fn connect(&self) -> impl ClientTransport<Error = Infallible> + use<'_, S> {
        let mut session = Some(self.session());
        let handler = move |request: &[u8], response: &mut [u8]| {
            let reply = self.server.handle(session.as_mut()?, request, response).ok();
            if reply.is_none_or(|reply| reply.close) {
                session = None;
            }
            reply.map(|reply| reply.length)
        };
        Loopback::new(handler, vec![0; self.server.packet_size()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_transport::TransportError;

    const INIT: [u8; 12] = [1, 0xA5, 1, 1, 1, 0, 0, 0, 12, 0, 0, 0];
    const RANDOM: [u8; 24] = [1, 0xA5, 4, 4, 2, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];

    #[test]
    fn random_bytes_are_reproducible_and_can_be_chosen() {
        let bytes = |seed, script: &[u8]| {
            let server = VirtualServer::new(VirtualOptions { seed, ..VirtualOptions::default() });
            server.random().script(script);
            let mut session = server.session();
            server.request(&mut session, &INIT).unwrap();
            let response = server.request(&mut session, &RANDOM).unwrap();
            assert_eq!(response.len(), 28);
            let left = server.random().take_script();
            (response[24..].to_vec(), left)
        };
        assert_eq!(bytes(1, &[]), bytes(1, &[]));
        assert_ne!(bytes(1, &[]), bytes(2, &[]));
        assert_eq!(bytes(1, &[9, 8, 7, 6, 5]), (vec![9, 8, 7, 6], vec![5]));
    }

    #[test]
    fn a_client_reaches_the_server_until_it_closes() {
        let server = VirtualServer::default();
        let mut client = server.connect();
        let mut buffer = [0; 64];
        client.send(&INIT).unwrap();
        assert_eq!(client.receive(&mut buffer), Ok(16));
        assert_eq!(buffer[8..12], [12, 0, 0, 0]);
        client.send(&[1, 0xA5, 3, 1, 2, 0, 0, 0]).unwrap();
        assert_eq!(client.receive(&mut buffer), Ok(8));
        client.send(&INIT).unwrap();
        assert_eq!(client.receive(&mut buffer), Err(TransportError::Closed));
    }

    #[test]
    fn the_owner_reaches_the_store() {
        let server = VirtualServer::default();
        assert_eq!(server.store(|store| store.available()).unwrap().objects, 30);
    }
}
