//! The reference server application: one thread for each connection, over one server core.

use crate::LinkError;
use crate::audit::AuditFile;
use crate::callbacks::Callback;
use crate::connection::{Accepted, Admission, Answer, Connection, Ended, Listener, Peer, Refusal};
use crate::device_key::DeviceKey;
use crate::entropy::OsEntropy;
use crate::hardware_keys::SimulatedKeyStore;
use crate::leaves::Leaves;
use crate::metrics::{Counted, Format, Metrics, Present};
use crate::shm::DmaArea;
use crate::store::StoreCounts;
#[cfg(feature = "aws-lc")]
use casemate_crypto::Prefer;
use casemate_crypto::{Drbg, Driver, Error as CryptoError, Software};
#[cfg(feature = "aws-lc")]
use casemate_crypto_aws_lc::{AwsLc, PreparedKeys};
use casemate_nvm::ObjectStore;
use casemate_protocol::ClientId;
use casemate_server::audit::Record;
use casemate_server::{
    Access, AddressRange, Affinity, CacheShape, ClientMemory, ClientWindow, CustomCallback, HardwareKeyStore,
    HeapCache, LeafMemory, MemoryError, Platform, Reply, Server, Session, ThreadSafe,
};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// Server memory for data of a client that shares memory, in bytes: as much as the largest object.
const DMA_SCRATCH: usize = 64 * 1024;
/// Address space for the stack of a connection's thread, in bytes. Pages that are never touched cost nothing.
const THREAD_STACK: usize = 4 * 1024 * 1024;
/// How many numbers custom callbacks have at least: as many as in the original's example server, so that clients that ask
/// for one are told that there is none.
const CALLBACK_NUMBERS: u8 = 6;

/// The portable software, with a generator that the operating system has seeded.
type Portable = Software<Mutex<Drbg<OsEntropy>>>;

/// The driver that answers clients without a preference for software.
#[cfg(feature = "aws-lc")]
type Accelerated = Prefer<PreparedKeys, Prefer<AwsLc, Portable>>;
#[cfg(not(feature = "aws-lc"))]
type Accelerated = Portable;

/// The platform of a server process: cryptography with random numbers seeded by the operating system, a lock for
/// threads, caches on the heap.
///
/// With the feature `aws-lc` (on by default) AWS-LC does what it is faster at; clients that ask for software
/// ([`Affinity::Software`]) are served by the portable driver alone.
pub struct PosixPlatform<S> {
    driver: Accelerated,
    audit: Option<AuditFile>,
    metrics: Option<Arc<Metrics>>,
    device_key: Option<DeviceKey>,
    hardware_keys: Option<SimulatedKeyStore>,
    leaves: Leaves,
    callbacks: Vec<Option<Callback>>,
    store: PhantomData<fn() -> S>,
}

impl<S> PosixPlatform<S> {
    /// A platform whose random generator has just been seeded.
    ///
    /// # Errors
    /// [`CryptoError::Entropy`] if the operating system gives no entropy.
    pub fn new() -> Result<Self, CryptoError> {
        let generator = Drbg::new(OsEntropy, b"casemate server")?;
        let software = Software::new(Mutex::new(generator));
        #[cfg(feature = "aws-lc")]
        let driver = Prefer::new(PreparedKeys::new(), Prefer::new(AwsLc, software));
        #[cfg(not(feature = "aws-lc"))]
        let driver = software;
        Ok(Self {
            driver,
            audit: None,
            metrics: None,
            device_key: None,
            hardware_keys: None,
            leaves: Leaves::default(),
            callbacks: Vec::new(),
            store: PhantomData,
        })
    }

    /// The same platform, which writes security records to a file.
    #[must_use]
    pub fn with_audit(self, audit: AuditFile) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// The same platform, which counts what its server does.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics: Some(Arc::new(metrics)), ..self }
    }

    /// The counters, if there are any.
    #[must_use]
    pub const fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.metrics.as_ref()
    }

    /// The file of security records, if there is one.
    #[must_use]
    pub const fn audit(&self) -> Option<&AuditFile> {
        self.audit.as_ref()
    }

    /// The same, with a key to seal the user database with.
    #[must_use]
    pub fn with_device_key(mut self, device_key: Option<DeviceKey>) -> Self {
        self.device_key = device_key;
        self
    }

    /// The same, with keys that stand in for a hardware key store. Clients can name them if the server's configuration
    /// has [`IdFeatures::hardware_keys`](casemate_protocol::IdFeatures::hardware_keys).
    #[must_use]
    pub fn with_hardware_keys(mut self, hardware_keys: Option<SimulatedKeyStore>) -> Self {
        self.hardware_keys = hardware_keys;
        self
    }

    /// The same, with custom callbacks that clients call by their place in `callbacks`, 0 to 254. [`callbacks`](crate::callbacks) has
    /// examples.
    #[must_use]
    pub fn with_callbacks(mut self, callbacks: Vec<Option<Callback>>) -> Self {
        self.callbacks = callbacks;
        self
    }

    /// The portable driver.
    fn software(&self) -> &Portable {
        #[cfg(feature = "aws-lc")]
        return self.driver.second().second();
        #[cfg(not(feature = "aws-lc"))]
        &self.driver
    }
}

impl<S> fmt::Debug for PosixPlatform<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PosixPlatform").finish_non_exhaustive()
    }
}

impl<S: ObjectStore> Platform for PosixPlatform<S> {
    type Store = S;
    type Cache = HeapCache;
    type Lock<T> = ThreadSafe<T>;

    fn crypto(&self, affinity: Affinity) -> &dyn Driver {
        match affinity {
            Affinity::Accelerated => &self.driver,
            Affinity::Software => self.software(),
        }
    }

    #[cfg(feature = "aws-lc")]
    fn forget_keys(&self) {
        self.driver.first().forget();
    }

    fn custom_callback_count(&self) -> u8 {
        u8::try_from(self.callbacks.len()).unwrap_or(u8::MAX).max(CALLBACK_NUMBERS)
    }

    fn custom_callback(&self, number: u8) -> Option<&dyn CustomCallback> {
        self.callbacks.get(usize::from(number))?.as_deref().map(|callback| callback as &dyn CustomCallback)
    }

    fn now(&self) -> Option<u64> {
        // A clock that stands before 1970 is wrong: certificates are then not valid yet, instead of not checked.
        Some(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    fn record(&self, record: &Record) {
        if let Some(audit) = &self.audit {
            audit.record(record);
        }
        if let Some(metrics) = &self.metrics {
            metrics.record(record);
        }
    }

    fn leaves(&self) -> Option<&dyn LeafMemory> {
        Some(&self.leaves)
    }

    fn hardware_keys(&self) -> Option<&dyn HardwareKeyStore> {
        self.hardware_keys.as_ref().map(|store| store as &dyn HardwareKeyStore)
    }

    fn device_key(&self) -> Option<DeviceKey> {
        self.device_key.clone()
    }
}

/// Something that an operator may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client has connected.
    Connected(Peer),
    /// A client was turned away.
    Refused(Peer, Refusal),
    /// A connection has ended.
    Ended {
        /// The other end.
        peer: Peer,
        /// Who it was, if it said so.
        client: Option<ClientId>,
        /// Why it ended.
        why: Ended,
    },
    /// A connection could not be accepted or served; the server goes on.
    Failed(LinkError),
    /// No thread could be started for a connection, which was closed; the server goes on.
    NoThread(Peer, io::Error),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected(peer) => write!(f, "{peer}: connected"),
            Self::Refused(peer, Refusal::Limit) => {
                write!(f, "{peer}: {} (see --connections)", Refusal::Limit)
            }
            Self::Refused(peer, refusal) => write!(f, "{peer}: {refusal}"),
            Self::Ended { peer, client: Some(client), why } => write!(f, "{peer}: client {client}: {why}"),
            Self::Ended { peer, client: None, why } => write!(f, "{peer}: {why}"),
            Self::Failed(error) => error.fmt(f),
            Self::NoThread(peer, error) => write!(f, "{peer}: closed, no thread could be started: {error}"),
        }
    }
}

/// Serves the clients of all `listeners` until `stop` is set and every connection has ended. A request that has begun
/// when `stop` is set is finished and answered; what was committed is durable by then, as it always is.
///
/// `report` is called from several threads.
///
/// # Panics
/// If the operating system gives no thread for a listener.
pub fn serve<S: ObjectStore + Send>(
    server: &Server<PosixPlatform<S>>,
    listeners: &[Box<dyn Listener>],
    cache: CacheShape,
    stop: &AtomicBool,
    report: &(dyn Fn(Event) + Sync),
) {
    thread::scope(|scope| {
        for listener in listeners {
            scope.spawn(move || listen(server, &**listener, cache, stop, report));
        }
    });
}

/// Serves the clients of one listener, a thread for each.
fn listen<S: ObjectStore + Send>(
    server: &Server<PosixPlatform<S>>,
    listener: &dyn Listener,
    cache: CacheShape,
    stop: &AtomicBool,
    report: &(dyn Fn(Event) + Sync),
) {
    thread::scope(|scope| {
        loop {
            let connection = match listener.accept(stop) {
                Ok(Accepted::Connection(connection)) => connection,
                Ok(Accepted::Refused(peer, refusal)) => {
                    if let Some(metrics) = server.platform().metrics() {
                        metrics.turned_away(&peer, refusal);
                    }
                    report(Event::Refused(peer, refusal));
                    continue;
                }
                Ok(Accepted::Stopped) => return,
                Err(error) => {
                    report(Event::Failed(error));
                    continue;
                }
            };
            let peer = connection.peer().clone();
            let work = move || attend(server, connection, cache, stop, report);
            let builder = thread::Builder::new().name(peer.to_string()).stack_size(THREAD_STACK);
            if let Err(error) = builder.spawn_scoped(scope, work) {
                report(Event::NoThread(peer, error));
            }
        }
    });
}

/// The counters of a server as text, with what its object store and its cache of global keys hold now; `None` if the
/// server counts nothing. `store` are the counts of the object store, if it has any.
pub fn render_metrics<S: ObjectStore>(
    server: &Server<PosixPlatform<S>>,
    format: Format,
    store: Option<&StoreCounts>,
    cache: CacheShape,
    connection_limit: usize,
) -> Option<String> {
    let metrics = server.platform().metrics()?;
    let (available, stored) = server.with_store(|store| {
        let (mut objects, mut bytes) = (0_u64, 0_u64);
        let visited = store.visit(&mut |object| {
            objects = objects.saturating_add(1);
            bytes = bytes.saturating_add(object.length.into());
            ControlFlow::Continue(())
        });
        (store.available().ok(), visited.is_ok().then_some((objects, bytes)))
    })?;
    let present = Present {
        available,
        stored,
        store,
        global_cache: server.global_cache_use(),
        cache_shape: Some(cache),
        connection_limit: Some(connection_limit),
        records_lost: server.platform().audit().map(AuditFile::lost),
    };
    Some(metrics.render(format, &present))
}

/// Serves one client.
fn attend<S: ObjectStore>(
    server: &Server<PosixPlatform<S>>,
    mut connection: Connection,
    cache: CacheShape,
    stop: &AtomicBool,
    report: &(dyn Fn(Event) + Sync),
) {
    let peer = connection.peer().clone();
    let mut counted = server.platform().metrics().map(|metrics| Counted::new(metrics, &peer));
    report(Event::Connected(peer.clone()));
    let known = match connection.establish(stop) {
        Ok(known) => known,
        Err(why) => return report(Event::Ended { peer, client: None, why }),
    };
    let mut session = Session::new(HeapCache::new(cache));
    if let Some(client) = known {
        session = session.only_for(client);
    }
    if let Some(fingerprint) = connection.certificate() {
        session = session.with_certificate(fingerprint);
    }
    let limit = connection.limit().clone();
    let mut admission: Option<Admission> = None;
    let mut shared = connection.dma_area().map(|area| (area, vec![0; DMA_SCRATCH]));
    let why = connection.serve(stop, |request, response| {
        // The time is asked for only where somebody wants to know.
        let begun = counted.is_some().then(|| Counted::begin(request));
        let reply = match &mut shared {
            Some((area, scratch)) => {
                let window = ClientWindow { memory: area, scratch };
                server.handle_with_window(&mut session, window, request, response)
            }
            None => server.handle(&mut session, request, response),
        };
        if let (Some(counted), Some(begun)) = (&mut counted, &begun) {
            counted.finish(begun, reply, response, session.cache_use());
        }
        if session.client() != admission.as_ref().map(Admission::client) {
            // It has just said who it is.
            admission = session.client().and_then(|client| limit.admit(client));
            if admission.is_none() {
                return Answer::TurnAway;
            }
        }
        match reply {
            Ok(Reply { length, close: true }) => Answer::LastResponse(length),
            Ok(Reply { length, close: false }) => Answer::Response(length),
            Err(_) => Answer::Close,
        }
    });
    let client = session.client();
    server.end(session);
    drop(counted);
    report(Event::Ended { peer, client, why });
}

/// Offsets into the area are the addresses that clients of shared memory use (document 01, §12.4).
impl ClientMemory for DmaArea {
    fn open(&mut self, range: AddressRange, _: Access) -> Result<u64, MemoryError> {
        if self.length() == 0 {
            return Err(MemoryError::Unavailable);
        }
        let area = AddressRange::new(0, u64::try_from(self.length()).unwrap_or(u64::MAX));
        if area.contains(range) { Ok(range.address) } else { Err(MemoryError::OutOfRange) }
    }

    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        let offset = usize::try_from(address).map_err(|_| MemoryError::OutOfRange)?;
        Self::read(self, offset, to).map_err(|_| MemoryError::OutOfRange)
    }

    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        let offset = usize::try_from(address).map_err(|_| MemoryError::OutOfRange)?;
        Self::write(self, offset, from).map_err(|_| MemoryError::OutOfRange)
    }
}
