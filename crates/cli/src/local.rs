//! A server in this process.

use crate::connection::Handler;
use crate::value::log;
use anyhow::{Context, Result, anyhow, bail};
use casemate_nvm::{
    DirectoryEntry, Error as StoreError, FlashOptions, FlashStore, MountError, ObjectStore, RamFlash,
    Unusable,
};
use casemate_posix::audit::{AuditFile, AuditOptions};
use casemate_posix::callbacks;
use casemate_posix::connection::{ConnectionLimit, ConnectionOptions, Listener};
use casemate_posix::daemon::{self, Event, PosixPlatform};
use casemate_posix::device_key::DeviceKey;
use casemate_posix::flash::{FileFlash, FileFlashOptions};
use casemate_posix::hardware_keys::SimulatedKeyStore;
use casemate_posix::metrics::Metrics;
use casemate_posix::store::CountedStore;
use casemate_posix::tcp::TcpServer;
use casemate_protocol::{ClientId, Flags, Header, Label, Metadata, ObjectId, ObjectType};
use casemate_server::{CacheShape, Config, HeapCache, Server, Session};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// An object store in RAM.
pub(crate) type RamStore = CountedStore<FlashStore<RamFlash<Vec<u8>>, Vec<DirectoryEntry>>>;
/// An object store in a file.
pub(crate) type FileStore = CountedStore<FlashStore<FileFlash, Vec<DirectoryEntry>>>;

/// What a server consists of.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) cache: CacheShape,
    /// Size of both partitions together, in bytes.
    pub(crate) nvm_size: u32,
    pub(crate) nvm_objects: u16,
    /// If not given: 0xFF in a file, 0x00 in RAM.
    pub(crate) erased_byte: Option<u8>,
    pub(crate) checksums: bool,
    pub(crate) connections: usize,
    /// Keys that stand in for a hardware key store.
    pub(crate) hardware_keys: SimulatedKeyStore,
    /// Where security records go, if anywhere.
    pub(crate) audit: Option<(PathBuf, AuditOptions)>,
    /// Whether clients can call the port's example callbacks.
    pub(crate) example_callbacks: bool,
    /// Whether the server counts what it does.
    pub(crate) metrics: bool,
}

impl Default for Setup {
    /// The values of the original's example server.
    fn default() -> Self {
        Self {
            config: Config::default(),
            cache: CacheShape::default(),
            nvm_size: 1024 * 1024,
            nvm_objects: 30,
            erased_byte: None,
            checksums: false,
            connections: 64,
            hardware_keys: SimulatedKeyStore::new(),
            audit: None,
            example_callbacks: false,
            metrics: false,
        }
    }
}

impl Setup {
    const fn flash_options(&self) -> FlashOptions {
        FlashOptions::new().with_checksums(self.checksums)
    }

    fn directory(&self) -> Vec<DirectoryEntry> {
        vec![DirectoryEntry::EMPTY; usize::from(self.nvm_objects)]
    }

    /// An empty store in RAM.
    pub(crate) fn ram_store(&self) -> Result<RamStore> {
        let size = usize::try_from(self.nvm_size)?;
        let flash = RamFlash::new(vec![0; size], self.erased_byte.unwrap_or(0x00));
        FlashStore::mount(flash, self.directory(), self.flash_options())
            .map(CountedStore::new)
            .map_err(|error| anyhow!("no store can be made with these sizes: {error}"))
    }

    /// The store in a file, which is made if there is none.
    pub(crate) fn file_store(&self, path: &Path) -> Result<FileStore> {
        if !self.nvm_size.is_multiple_of(16) {
            bail!("--nvm-size is {} bytes; it has to be a multiple of 16", self.nvm_size);
        }
        // Sizes that are impossible are found here, before a file is made.
        let rehearsal = Self { checksums: false, erased_byte: None, ..self.clone() };
        if !path.exists() {
            rehearsal.ram_store()?;
        }
        let erased_byte = self.erased_byte.unwrap_or(0xFF);
        let flash =
            FileFlash::open(path, FileFlashOptions { partition_size: self.nvm_size / 2, erased_byte })?;
        let mounted = FlashStore::mount(flash, self.directory(), self.flash_options());
        mounted.map(CountedStore::new).map_err(|error| match error {
            MountError::Store(StoreError::Flash(error)) => error.into(),
            error => {
                let advice = match error {
                    MountError::Unusable(Unusable::Foreign) => {
                        ". If it is a flash image, check --nvm-size and --nvm-erased-byte"
                    }
                    MountError::Unusable(Unusable::DirectorySize { .. }) => ". Check --nvm-objects",
                    MountError::Unusable(Unusable::NoChecksums) => ". Leave out --nvm-checksums",
                    _ => "",
                };
                anyhow!("flash file {}: {error}{advice}", path.display())
            }
        })
    }

    /// A server over a store.
    pub(crate) fn server<S: ObjectStore>(&self, store: S) -> Result<Server<PosixPlatform<S>>> {
        self.server_with_key(store, None)
    }

    /// A server over a store, whose users are sealed.
    pub(crate) fn server_with_key<S: ObjectStore>(
        &self,
        store: S,
        device_key: Option<DeviceKey>,
    ) -> Result<Server<PosixPlatform<S>>> {
        let mut platform = PosixPlatform::new()
            .map_err(|error| anyhow!("the operating system gives no random numbers: {error}"))?
            .with_device_key(device_key)
            .with_hardware_keys((!self.hardware_keys.is_empty()).then(|| self.hardware_keys.clone()));
        if self.example_callbacks {
            platform = platform.with_callbacks(callbacks::examples());
        }
        if self.metrics {
            let limit = self.config.users.map(|policy| policy.lockout.limit.into());
            platform = platform.with_metrics(Metrics::new(limit));
        }
        if let Some((path, options)) = &self.audit {
            let shown = path.display().to_string();
            let report = move |error: &_| {
                log(format_args!("security records are lost, {shown} cannot be written: {error}"));
            };
            let file = AuditFile::open(path, options.clone(), report)
                .with_context(|| format!("cannot keep security records in {}", path.display()))?;
            platform = platform.with_audit(file);
        }
        Ok(Server::new(platform, self.config.clone(), store, HeapCache::new(self.cache))?)
    }

    /// What each connection is allowed.
    pub(crate) fn connection_options(&self) -> ConnectionOptions {
        let mut options = ConnectionOptions::new(self.config.data_length + Header::SIZE);
        options.limit = ConnectionLimit::new(self.connections);
        options
    }
}

/// Stores a key-encryption key that clients can use and not touch. One that is there already is left alone.
pub(crate) fn provision<S: ObjectStore>(
    server: &Server<PosixPlatform<S>>,
    owner: ClientId,
    number: u8,
    key: &[u8],
) -> Result<ObjectId> {
    let id = ObjectId::new(ObjectType::CRYPTO, owner, number);
    let flags = Flags::TRUSTED | Flags::USAGE_WRAP | Flags::NONEXPORTABLE | Flags::NONMODIFIABLE;
    let metadata =
        Metadata { id, access: Metadata::ACCESS_ANY, flags, length: 0, label: Label::from("trusted") };
    let outcome = server.with_store(|store| {
        let mut present = zeroize::Zeroizing::new(vec![0; key.len()]);
        let is_same = store
            .metadata(id)
            .is_ok_and(|found| found.flags == flags && usize::from(found.length) == key.len())
            && store.read(id, 0, &mut present).is_ok()
            && casemate_crypto::constant_time_equal(&present, key);
        if is_same { Ok(()) } else { store.add_with_reclaim(&metadata, key) }
    });
    match outcome {
        Some(Ok(())) => Ok(id),
        Some(Err(error)) => Err(anyhow!("{error}")).context("the trusted key cannot be stored"),
        None => bail!("the object store cannot be reached"),
    }
}

/// A server that listens on a thread of its own, until dropped.
pub(crate) struct Running {
    pub(crate) address: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts `server` on a free loopback port.
    pub(crate) fn start<S>(setup: &Setup, server: Arc<Server<PosixPlatform<S>>>) -> Result<Self>
    where
        S: ObjectStore + Send + 'static,
    {
        let listener = TcpServer::bind("127.0.0.1:0", setup.connection_options())?;
        Self::start_with(setup, server, vec![Box::new(listener)])
    }

    /// Starts `server` with some listeners, of which the first one's address is kept.
    pub(crate) fn start_with<S>(
        setup: &Setup,
        server: Arc<Server<PosixPlatform<S>>>,
        listeners: Vec<Box<dyn Listener>>,
    ) -> Result<Self>
    where
        S: ObjectStore + Send + 'static,
    {
        let address = listeners.first().map(|listener| listener.address()).unwrap_or_default();
        let stop = Arc::new(AtomicBool::new(false));
        let cache = setup.cache;
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("server".to_owned()).spawn(move || {
            daemon::serve(&server, &listeners, cache, &stopped, &|event| {
                if let Event::Failed(_) | Event::NoThread(..) = event {
                    eprintln!("{event}");
                }
            });
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// One session of `server`, as a function.
pub(crate) fn handler<S>(setup: &Setup, server: Arc<Server<PosixPlatform<S>>>) -> Handler
where
    S: ObjectStore + Send + 'static,
{
    let mut session = Session::new(HeapCache::new(setup.cache));
    Box::new(move |request, response| {
        server.handle(&mut session, request, response).ok().map(|reply| reply.length)
    })
}
