//! The porting interface on a POSIX system: a device in one process, with one thread that serves. It shows every part of the
//! interface at work, over the same parts that the server application ([`crate::daemon`]) is made of; that one serves each
//! connection by a thread of its own instead, and is the better server for a host.
//!
//! | part | here |
//! |---|---|
//! | flash | any: [`FileFlash`](crate::flash::FileFlash), [`RamChip`](crate::ram_flash::RamChip) |
//! | link 0 | memory that client and server share, in the original's layout |
//! | link 1 | TCP |
//! | link 2 | Unix-domain socket |
//! | crypto hardware | AWS-LC, with the feature `aws-lc` |
//! | noise source | the operating system |
//! | client memory | offsets into an area of the device, on link 0 |
//! | application cores | none: clients are processes, which nobody here holds or releases |

use crate::LinkError;
use crate::connection::{Accepted, Connection, ConnectionOptions, Listener};
use crate::entropy::OsEntropy;
use crate::tcp::{TcpClientTransport, TcpServer};
use crate::unix::{UnixClientTransport, UnixPolicy, UnixServer};
use casemate_conformance::Subject;
use casemate_crypto::Software;
use casemate_nvm::{DirectoryEntry, Flash, FlashOptions, FlashStore, MountError};
use casemate_port::{BufferPurpose, CacheOwner, Core, Fault, Generator, Port, Services};
use casemate_protocol::Header;
use casemate_server::{
    Access, AddressRange, CacheShape, ClientMemory, Config, HeapCache, MemoryError, SingleThread,
};
use casemate_transport::{
    ClientTransport, MemoryClient, MemoryServer, OutOfRange, ServerTransport, SharedMemory, SharedRegion,
    TransportError,
};
use embedded_storage::nor_flash::ErrorType;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many links a device has.
pub const LINKS: usize = 3;
/// The crypto hardware: the accelerated driver.
#[cfg(feature = "aws-lc")]
pub type Hardware = casemate_crypto_aws_lc::AwsLc;
/// The crypto hardware: there is none.
#[cfg(not(feature = "aws-lc"))]
pub type Hardware = casemate_port::NoHardware;

/// Directory entries of the object store.
const OBJECTS: usize = 32;
/// Size of the area that the client of link 0 shares with the server, in bytes.
const CLIENT_AREA: usize = 64 * 1024;
/// How long the device sleeps when nothing is to be done.
const NAP: Duration = Duration::from_micros(20);

/// Words that client and server share. Clones are the same words.
#[derive(Debug, Clone)]
pub struct SharedWords(Arc<[AtomicU32]>);

impl SharedWords {
    fn new(bytes: usize) -> Self {
        Self((0..bytes.div_ceil(4)).map(|_| AtomicU32::new(0)).collect())
    }
}

impl SharedMemory for SharedWords {
    fn length(&self) -> usize {
        SharedRegion::new(&self.0).length()
    }
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        SharedRegion::new(&self.0).read(offset, bytes)
    }
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        SharedRegion::new(&self.0).write(offset, bytes)
    }
    fn load(&self, offset: usize) -> Result<u32, OutOfRange> {
        SharedRegion::new(&self.0).load(offset)
    }
    fn store(&self, offset: usize, word: u32) -> Result<(), OutOfRange> {
        SharedRegion::new(&self.0).store(offset, word)
    }
}

/// Addresses are offsets into the words.
impl ClientMemory for SharedWords {
    fn open(&mut self, range: AddressRange, _: Access) -> Result<u64, MemoryError> {
        let area = AddressRange::new(0, u64::try_from(self.length()).unwrap_or(u64::MAX));
        if area.contains(range) { Ok(range.address) } else { Err(MemoryError::OutOfRange) }
    }
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        let offset = usize::try_from(address).map_err(|_| MemoryError::OutOfRange)?;
        SharedMemory::read(self, offset, to).map_err(|_| MemoryError::OutOfRange)
    }
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        let offset = usize::try_from(address).map_err(|_| MemoryError::OutOfRange)?;
        SharedMemory::write(self, offset, from).map_err(|_| MemoryError::OutOfRange)
    }
}

/// A listener whose connections a thread accepts, so that asking for one never waits.
struct Acceptor {
    connections: Receiver<Connection>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    fn new(listener: impl Listener + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, connections) = sync_channel(1);
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            // A connection that cannot be accepted is its peer's affair.
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(Accepted::Connection(connection)) = listener.accept(&stopped)
                    && sender.send(connection).is_err()
                {
                    return;
                }
            }
        });
        Self { connections, stop, thread: Some(thread) }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.connections.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell, whether it failed or not.
            let _ = thread.join();
        }
    }
}

/// What lies outside of the device and stays when it restarts: where it listens.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Where the Unix-domain socket is made.
    pub socket: PathBuf,
    /// The server's configuration.
    pub config: Config,
}

/// A device in this process. `F` is its flash.
pub struct PosixPort<F> {
    flash: Option<F>,
    config: Config,
    blocks: (SharedWords, SharedWords),
    is_memory_used: bool,
    area: SharedWords,
    window: [AddressRange; 1],
    tcp_address: String,
    socket: PathBuf,
    tcp: Acceptor,
    unix: Acceptor,
    cut: Option<fn(&mut F, u32)>,
    restore: Option<fn(&mut F)>,
}

impl<F> fmt::Debug for PosixPort<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PosixPort")
            .field("tcp_address", &self.tcp_address)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl<F: Flash> PosixPort<F> {
    /// A device that has just been switched on: it listens on a free TCP port of the loopback interface and on a
    /// Unix-domain socket.
    ///
    /// # Errors
    /// [`LinkError`] if it cannot listen.
    pub fn new(flash: F, outside: &Outside) -> Result<Self, LinkError> {
        let Outside { socket, config } = outside;
        let packet = config.data_length + Header::SIZE;
        let mut options = ConnectionOptions::new(packet);
        options.poll_interval = Duration::from_millis(1);
        let tcp = TcpServer::bind("127.0.0.1:0", options.clone())?;
        let tcp_address = tcp.address();
        let unix = UnixServer::bind(socket, UnixPolicy::default(), options)?;
        let block = || SharedWords::new(packet + casemate_transport::CONTROL_SIZE);
        Ok(Self {
            flash: Some(flash),
            config: config.clone(),
            blocks: (block(), block()),
            is_memory_used: false,
            area: SharedWords::new(CLIENT_AREA),
            window: [AddressRange::new(0, CLIENT_AREA as u64)],
            tcp_address,
            socket: socket.clone(),
            tcp: Acceptor::new(tcp),
            unix: Acceptor::new(unix),
            cut: None,
            restore: None,
        })
    }

    /// The address of link 1, `HOST:PORT`.
    #[must_use]
    pub fn tcp_address(&self) -> &str {
        &self.tcp_address
    }

    /// The path of link 2.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The same device, whose flash can lose its power: what cuts it after so many changes, and what restores it.
    #[must_use]
    pub fn with_power_cuts(mut self, cut: fn(&mut F, u32), restore: fn(&mut F)) -> Self {
        self.cut = Some(cut);
        self.restore = Some(restore);
        self
    }
}

/// A link of a [`PosixPort`].
#[derive(Debug)]
pub enum Link {
    /// Shared memory.
    Memory(MemoryServer<SharedWords>),
    /// A socket.
    Stream(Connection),
}

/// A client of a [`PosixPort`], in the same process.
#[derive(Debug)]
pub enum Client {
    /// Shared memory.
    Memory(MemoryClient<SharedWords>),
    /// TCP.
    Tcp(TcpClientTransport),
    /// A Unix-domain socket.
    Unix(UnixClientTransport),
}

/// What became of a link.
#[derive(Debug)]
pub struct DeviceLinkError(String);

impl fmt::Display for DeviceLinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DeviceLinkError {}

fn described<E: fmt::Display>(error: TransportError<E>) -> TransportError<DeviceLinkError> {
    error.map(|error| DeviceLinkError(error.to_string()))
}

impl ServerTransport for Link {
    type Error = DeviceLinkError;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<DeviceLinkError>> {
        match self {
            Self::Memory(link) => link.receive(buffer).map_err(described),
            Self::Stream(link) => link.receive(buffer).map_err(described),
        }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<DeviceLinkError>> {
        match self {
            Self::Memory(link) => link.send(packet).map_err(described),
            Self::Stream(link) => link.send(packet).map_err(described),
        }
    }
}

impl ClientTransport for Client {
    type Error = DeviceLinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<DeviceLinkError>> {
        match self {
            Self::Memory(client) => client.send(packet).map_err(described),
            Self::Tcp(client) => client.send(packet).map_err(described),
            Self::Unix(client) => client.send(packet).map_err(described),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<DeviceLinkError>> {
        match self {
            Self::Memory(client) => client.receive(buffer).map_err(described),
            Self::Tcp(client) => client.receive(buffer).map_err(described),
            Self::Unix(client) => client.receive(buffer).map_err(described),
        }
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostServices;

impl Services for HostServices {
    fn now(&self) -> Option<u64> {
        Some(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

impl<F: Flash> Port for PosixPort<F> {
    const NAME: &'static str = "posix";
    const CORES: u8 = 0;

    type Entropy = OsEntropy;
    type Crypto = Hardware;
    type Software = Software<Generator<OsEntropy>>;
    type Flash = F;
    type Store = FlashStore<F, Vec<DirectoryEntry>>;
    type Services = HostServices;
    type Cache = HeapCache;
    type Lock<T> = SingleThread<T>;
    type Transport = Link;
    type Buffer = Vec<u8>;

    fn initialize(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn hold(&mut self, _: Core) -> Result<(), Fault> {
        Err(Fault::NoSuchPart)
    }

    fn entropy(&mut self) -> Result<OsEntropy, Fault> {
        Ok(OsEntropy)
    }

    fn min_entropy(&self) -> u8 {
        8
    }

    fn crypto(&mut self) -> Result<Hardware, Fault> {
        #[cfg(feature = "aws-lc")]
        return Ok(casemate_crypto_aws_lc::AwsLc);
        #[cfg(not(feature = "aws-lc"))]
        Ok(casemate_port::NoHardware)
    }

    fn software(&mut self, generator: Generator<OsEntropy>) -> Self::Software {
        Software::new(generator)
    }

    fn flash(&mut self) -> Result<F, Fault> {
        self.flash.take().ok_or(Fault::Taken)
    }

    fn mount(&mut self, flash: F) -> Result<Self::Store, MountError<<F as ErrorType>::Error>> {
        FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; OBJECTS], FlashOptions::new())
    }

    fn config(&self) -> Config {
        self.config.clone()
    }

    fn services(&mut self) -> Result<HostServices, Fault> {
        Ok(HostServices)
    }

    fn cache(&mut self, _: CacheOwner) -> HeapCache {
        HeapCache::new(CacheShape::default())
    }

    fn buffer(&mut self, purpose: BufferPurpose) -> Vec<u8> {
        let packet = self.config.data_length + Header::SIZE;
        match purpose {
            BufferPurpose::Scratch => vec![0; CLIENT_AREA],
            _ => vec![0; packet],
        }
    }

    fn release(&mut self, _: Core) -> Result<(), Fault> {
        Err(Fault::NoSuchPart)
    }

    fn open(&mut self, link: usize) -> Result<Option<Link>, Fault> {
        let acceptor = match link {
            0 if !self.is_memory_used => return Ok(None),
            0 => {
                let (request, response) = self.blocks.clone();
                let server = MemoryServer::new(request, response).map_err(|_| Fault::Device(0))?;
                return Ok(Some(Link::Memory(server)));
            }
            1 => &self.tcp,
            2 => &self.unix,
            _ => return Err(Fault::NoSuchPart),
        };
        match acceptor.connections.try_recv() {
            Ok(connection) => Ok(Some(Link::Stream(connection))),
            Err(TryRecvError::Empty) => Ok(None),
            // The thread that accepts is gone.
            Err(TryRecvError::Disconnected) => Err(Fault::Device(1)),
        }
    }

    fn client_memory(&mut self, link: usize) -> Option<&mut dyn ClientMemory> {
        if link == 0 { Some(&mut self.area) } else { None }
    }

    fn client_windows(&self, link: usize) -> &[AddressRange] {
        if link == 0 { &self.window } else { &[] }
    }

    fn idle(&mut self) {
        thread::sleep(NAP);
    }
}

impl<F: Flash> Subject for PosixPort<F> {
    type Client = Client;
    /// Two seconds and more.
    const PATIENCE: u32 = 30_000;

    fn client(&mut self, link: usize) -> Result<Option<Client>, Fault> {
        let packet = self.config.data_length + Header::SIZE;
        let client = match link {
            0 => {
                self.is_memory_used = true;
                let (request, response) = self.blocks.clone();
                Client::Memory(MemoryClient::new(request, response).map_err(|_| Fault::Device(0))?)
            }
            1 => {
                let patience = Duration::from_secs(5);
                let client = TcpClientTransport::connect(&self.tcp_address, packet, patience);
                Client::Tcp(client.map_err(|_| Fault::Device(1))?)
            }
            2 => {
                let client = UnixClientTransport::connect(&self.socket, packet);
                Client::Unix(client.map_err(|_| Fault::Device(2))?)
            }
            _ => return Err(Fault::NoSuchPart),
        };
        Ok(Some(client))
    }

    fn may_erase_flash(&self) -> bool {
        true
    }

    fn cut_power_after(&mut self, flash: &mut F, operations: u32) -> bool {
        self.cut.map(|cut| cut(flash, operations.saturating_add(1))).is_some()
    }

    fn restore_power(&mut self, flash: &mut F) {
        if let Some(restore) = self.restore {
            restore(flash);
        }
    }
}
