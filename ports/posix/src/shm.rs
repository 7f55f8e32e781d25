//! POSIX shared memory (document 01, §12.4): an object with a header, a block for requests, a block for responses and
//! an area for direct memory access, in the original's layout.
//!
//! The server makes the object, and a client that attaches removes its name, so each object serves one client. This
//! server makes the next object at once, so that many clients can be attached at a time.
//!
//! Packets move without a system call. Who waits looks again and again, then yields the processor, then sleeps for a
//! 64th of the time that it has waited, 5 milliseconds at most.
//!
//! Whoever may open the object can do to its client or server what memory allows: the two have to trust each other as
//! far as the object's access rights (0660) reach. In particular, truncating the object ends both with SIGBUS.

use crate::LinkError;
use crate::connection::{
    Accepted, Connection, ConnectionOptions, Ended, Exchange, Listener, PacketStream, Peer, Read, Refusal,
};
use crate::mapping::Part;
use casemate_client::dma::{NoRoom, SharedArea};
use casemate_protocol::Header;
use casemate_transport::{
    CONTROL_SIZE, ClientTransport, FrameError, MemoryClient, MemoryError, MemoryServer, OutOfRange,
    ServerTransport, SharedMemory, TransportError,
};
use rustix::fs::{FlockOperation, Mode, flock, fstat, ftruncate};
use rustix::io::{Errno, pread};
use rustix::process::{Pid, getpid, test_kill_process};
use rustix::shm::{self, OFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Size of the header before the request block, in bytes.
pub const HEADER_SIZE: usize = 64;

/// Values of the header's first word.
mod state {
    pub(super) const CLEANED_UP: u32 = 1;
    pub(super) const CREATED: u32 = 2;
    pub(super) const ATTACHED: u32 = 3;
}

/// Offsets in the header.
mod offset {
    pub(super) const STATE: usize = 0;
    pub(super) const SIZES: usize = 4;
    pub(super) const DMA_SIZE: usize = 8;
    const SIZE_T: usize = size_of::<usize>();
    pub(super) const CREATOR: usize = DMA_SIZE + SIZE_T;
    pub(super) const USER: usize = CREATOR + 4;
}

/// How often a side that waits looks whether the other one is still there.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long a name may be gone before the server makes a new object: a client removes the name a moment before it says
/// that it has attached.
const NAME_GRACE: Duration = Duration::from_secs(1);

/// Waits longer and longer.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    rounds: u32,
    since: Option<Instant>,
    looked: Duration,
}

impl Backoff {
    /// Looks at the memory only, which costs less than asking for the time.
    const SPINS: u32 = 400;
    /// Then lets other threads run.
    const YIELD_TIME: Duration = Duration::from_millis(2);
    const LONGEST: Duration = Duration::from_millis(5);

    /// Waits a little, up to `longest` in all; `false` if that has passed.
    pub(crate) fn wait(&mut self, longest: Duration) -> bool {
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds < Self::SPINS {
            std::hint::spin_loop();
            return true;
        }
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        let Some(left) = longest.checked_sub(waited).filter(|left| !left.is_zero()) else { return false };
        if waited < Self::YIELD_TIME {
            thread::yield_now();
        } else {
            thread::sleep((waited / 64).min(Self::LONGEST).min(left));
        }
        true
    }

    /// How long it has waited, without the spinning.
    fn waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether it is time to look after the other side.
    fn should_look(&mut self) -> bool {
        let waited = self.waited();
        let should = waited.saturating_sub(self.looked) >= LOOK_INTERVAL;
        if should {
            self.looked = waited;
        }
        should
    }
}

/// Sizes of the parts of an object, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    request: u16,
    response: u16,
    dma: usize,
}

impl Sizes {
    /// The smallest blocks that hold packets of `maximum_packet` bytes.
    fn for_packets(maximum_packet: usize, dma: usize) -> io::Result<Self> {
        let block = maximum_packet.next_multiple_of(8).saturating_add(CONTROL_SIZE);
        let block = u16::try_from(block).map_err(|_| {
            let largest = usize::from(u16::MAX) / 8 * 8 - CONTROL_SIZE - Header::SIZE;
            invalid(format!("shared memory carries packets of {largest} bytes of data at most"))
        })?;
        let sizes = Self { request: block, response: block, dma };
        sizes.total().ok_or_else(|| invalid("the area for direct memory access is too large".to_owned()))?;
        Ok(sizes)
    }

    fn total(self) -> Option<usize> {
        HEADER_SIZE.checked_add(self.request.into())?.checked_add(self.response.into())?.checked_add(self.dma)
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn out_of_range(error: OutOfRange) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn memory_failed(error: MemoryError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A mapped object. Its sizes were checked against the object's own and are not read again.
#[derive(Debug, Clone)]
struct Object {
    header: Part,
    request: Part,
    response: Part,
    dma: DmaArea,
}

impl Object {
    fn map(object: &OwnedFd, sizes: Sizes) -> io::Result<Self> {
        let total = sizes.total().ok_or(io::ErrorKind::InvalidData)?;
        let all = Part::map(object.as_fd(), total)?;
        let (request, response) = (usize::from(sizes.request), usize::from(sizes.response));
        let part = |offset, length| {
            all.part(offset, length).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "a size in the header is no multiple of 4")
            })
        };
        Ok(Self {
            header: part(0, HEADER_SIZE)?,
            request: part(HEADER_SIZE, request)?,
            response: part(HEADER_SIZE + request, response)?,
            dma: DmaArea { memory: part(HEADER_SIZE + request + response, sizes.dma)? },
        })
    }

    fn state(&self) -> u32 {
        self.header.load(offset::STATE).unwrap_or_default()
    }

    fn set_state(&self, state: u32) {
        // The header was mapped with its full size.
        let _ = self.header.store(offset::STATE, state);
    }

    fn pid(&self, at: usize) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.header.load(at).ok()?).ok()?)
    }
}

/// Whether a process exists, as far as this one can tell: processes of another process namespace do not.
fn is_alive(pid: Pid) -> bool {
    !matches!(test_kill_process(pid), Err(Errno::SRCH))
}

/// A process of the other side that is watched.
#[derive(Debug, Clone, Copy)]
struct Watch(Option<Pid>);

impl Watch {
    /// Watches a process if it can be seen at all.
    fn new(pid: Option<Pid>) -> Self {
        Self(pid.filter(|pid| is_alive(*pid)))
    }

    fn has_died(self) -> bool {
        self.0.is_some_and(|pid| !is_alive(pid))
    }
}

/// The area for direct memory access behind the blocks. Client and server see the same bytes; an address in a message
/// is an offset into it (document 01, §12.4).
///
/// The other side can change the bytes at any time: copy them, then judge the copy.
#[derive(Debug, Clone)]
pub struct DmaArea {
    memory: Part,
}

impl DmaArea {
    /// Size in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.memory.length()
    }

    /// Copies the bytes at `offset` out.
    ///
    /// # Errors
    /// [`OutOfRange`] if they do not lie within the area; `bytes` is then as it was.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        self.memory.read(offset, bytes)
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`OutOfRange`] if they do not fit into the area, which is then as it was.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        self.memory.write(offset, bytes)
    }
}

/// Addresses are offsets (document 01, §12.4).
impl SharedArea for DmaArea {
    fn length(&self) -> u64 {
        u64::try_from(Self::length(self)).unwrap_or(u64::MAX)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), NoRoom> {
        Self::write(self, usize::try_from(offset).map_err(|_| NoRoom)?, bytes).map_err(|_| NoRoom)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), NoRoom> {
        Self::read(self, usize::try_from(offset).map_err(|_| NoRoom)?, out).map_err(|_| NoRoom)
    }
}

/// The name as the operating system wants it: with a slash in front, and no other.
fn object_name(name: &str) -> io::Result<String> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    if bare.is_empty() || bare.len() > 250 || bare.contains(['/', '\0']) || bare == "." || bare == ".." {
        return Err(invalid(
            "the name of a shared-memory object is 1 to 250 bytes without a slash, such as casemate"
                .to_owned(),
        ));
    }
    Ok(format!("/{bare}"))
}

/// Device and inode, which tell one object from another of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(object: &OwnedFd) -> io::Result<Self> {
        let status = fstat(object)?;
        #[allow(clippy::unnecessary_cast)] // The types differ between systems.
        Ok(Self(status.st_dev as u64, status.st_ino as u64))
    }
}

/// Opens an object; `None` if there is none of that name.
fn open(name: &str) -> io::Result<Option<OwnedFd>> {
    match shm::open(name, OFlags::RDWR, Mode::empty()) {
        Ok(object) => Ok(Some(object)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A server's object that no client has attached to.
#[derive(Debug)]
struct Offer {
    object: Object,
    identity: Identity,
    gone_since: Option<Instant>,
}

/// Offers shared-memory objects to clients, one after the other, under one name.
#[derive(Debug)]
pub struct ShmServer {
    name: String,
    sizes: Sizes,
    options: ConnectionOptions,
    offer: Mutex<Option<Offer>>,
}

impl ShmServer {
    /// Makes the first object. `name` is that of the object, with or without a slash in front; `dma` is the size of the
    /// area for direct memory access, in bytes.
    ///
    /// An object of that name is replaced, unless it belongs to another server that is alive.
    ///
    /// # Errors
    /// [`LinkError::Bind`].
    pub fn bind(name: &str, dma: usize, options: ConnectionOptions) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Bind { address: format!("shm {name}"), source };
        let sizes = Sizes::for_packets(options.maximum_packet, dma).map_err(failed)?;
        let name = object_name(name).map_err(failed)?;
        let offer = Offer::new(&name, sizes).map_err(|source| LinkError::Bind {
            address: format!("the shared-memory object {name}"),
            source,
        })?;
        Ok(Self { name, sizes, options: options.checked(), offer: Mutex::new(Some(offer)) })
    }

    /// The object's name, without a slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.trim_start_matches('/')
    }

    /// The next object to which a client has attached; `None` when `stop` is set.
    fn attached(&self, stop: &AtomicBool) -> io::Result<Option<Object>> {
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut backoff = Backoff::default();
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let current = match &mut *offer {
                Some(current) => current,
                none => none.insert(Offer::new(&self.name, self.sizes)?),
            };
            if current.object.state() == state::ATTACHED {
                let object = current.object.clone();
                *offer = None;
                // The next client can come while this one is served. If this fails, the next call tries again.
                *offer = Offer::new(&self.name, self.sizes).ok();
                return Ok(Some(object));
            }
            backoff.wait(Duration::MAX);
            if backoff.should_look() && current.is_lost(&self.name) {
                *offer = None;
            }
        }
    }
}

impl Listener for ShmServer {
    fn accept(&self, stop: &AtomicBool) -> Result<Accepted, LinkError> {
        let failed = |source| {
            thread::sleep(self.options.poll_interval);
            LinkError::Accept { source }
        };
        let Some(object) = self.attached(stop).map_err(failed)? else { return Ok(Accepted::Stopped) };
        let stream = ShmStream::new(object, &self.options).map_err(failed)?;
        let peer = Peer::Shm(stream.client.map(|pid| pid.as_raw_nonzero().get()));
        let Some(permit) = self.options.limit.take(&peer) else {
            return Ok(Accepted::Refused(peer, Refusal::Limit));
        };
        let dma = stream.object.dma.clone();
        let connection = Connection::new(permit, Box::new(stream), peer, &self.options);
        Ok(Accepted::Connection(connection.with_dma(dma)))
    }

    fn address(&self) -> String {
        format!("shm://{}", self.name())
    }
}

impl Drop for ShmServer {
    fn drop(&mut self) {
        let offer = self.offer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(offer) = offer {
            if offer.has_name(&self.name) {
                let _ = shm::unlink(&*self.name);
            }
            offer.object.set_state(state::CLEANED_UP);
        }
    }
}

impl Offer {
    fn new(name: &str, sizes: Sizes) -> io::Result<Self> {
        if let Some(old) = open(name)? {
            let mut header = [0; HEADER_SIZE];
            let length = pread(&old, &mut header[..], 0)?;
            let word = |at: usize| {
                let bytes = header.get(at..at + 4).filter(|_| length == HEADER_SIZE)?;
                Some(u32::from_ne_bytes(bytes.try_into().ok()?))
            };
            let creator = word(offset::CREATOR).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            if word(offset::STATE) == Some(state::CREATED)
                && creator.is_some_and(|pid| pid != getpid() && is_alive(pid))
            {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            match shm::unlink(name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
        let file = shm::open(name, flags, mode)?;
        let prepared = Self::prepare(&file, sizes);
        if prepared.is_err() {
            let _ = shm::unlink(name);
        }
        prepared
    }

    fn prepare(file: &OwnedFd, sizes: Sizes) -> io::Result<Self> {
        let total = sizes.total().ok_or(io::ErrorKind::InvalidInput)?;
        ftruncate(file, u64::try_from(total).map_err(|_| io::ErrorKind::InvalidInput)?)?;
        // Memory that does not exist would end the process when it is touched; this finds out now.
        #[cfg(target_os = "linux")]
        rustix::fs::fallocate(
            file,
            rustix::fs::FallocateFlags::empty(),
            0,
            u64::try_from(total).map_err(|_| io::ErrorKind::InvalidInput)?,
        )?;
        let object = Object::map(file, sizes)?;
        let write = |at: usize, bytes: &[u8]| object.header.write(at, bytes).map_err(out_of_range);
        write(offset::SIZES, &sizes.request.to_ne_bytes())?;
        write(offset::SIZES + 2, &sizes.response.to_ne_bytes())?;
        write(offset::DMA_SIZE, &sizes.dma.to_ne_bytes())?;
        write(offset::CREATOR, &getpid().as_raw_nonzero().get().to_ne_bytes())?;
        object.set_state(state::CREATED);
        Ok(Self { identity: Identity::of(file)?, object, gone_since: None })
    }

    /// Whether the name still means this object.
    fn has_name(&self, name: &str) -> bool {
        open(name).ok().flatten().and_then(|found| Identity::of(&found).ok()) == Some(self.identity)
    }

    /// Whether no client can find this object any more, and none is about to attach.
    fn is_lost(&mut self, name: &str) -> bool {
        if self.has_name(name) {
            self.gone_since = None;
            return false;
        }
        let since = *self.gone_since.get_or_insert_with(Instant::now);
        since.elapsed() >= NAME_GRACE && self.object.state() != state::ATTACHED
    }
}

/// A server's end of an object to which a client has attached.
#[derive(Debug)]
struct ShmStream {
    object: Object,
    server: MemoryServer<Part>,
    client: Option<Pid>,
    watch: Watch,
    poll_interval: Duration,
    backoff: Backoff,
    request: Zeroizing<Vec<u8>>,
    response: Zeroizing<Vec<u8>>,
}

impl ShmStream {
    fn new(object: Object, options: &ConnectionOptions) -> io::Result<Self> {
        let server =
            MemoryServer::new(object.request.clone(), object.response.clone()).map_err(memory_failed)?;
        let client = object.pid(offset::USER);
        let storage = || Zeroizing::new(vec![0; options.maximum_packet]);
        Ok(Self {
            server,
            client,
            watch: Watch::new(client),
            object,
            poll_interval: options.poll_interval,
            backoff: Backoff::default(),
            request: storage(),
            response: storage(),
        })
    }

    /// Whether the client has said goodbye, or its process has ended.
    fn has_left(&self) -> bool {
        self.object.state() == state::CLEANED_UP || self.watch.has_died()
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), FrameError> {
        self.server.send(packet).map_err(|_| FrameError::BadLength {
            found: u32::try_from(packet.len()).unwrap_or(u32::MAX),
            maximum: self.server.capacity().1,
        })
    }
}

impl PacketStream for ShmStream {
    fn exchange(&mut self) -> Result<Option<Exchange<'_>>, Ended> {
        match self.server.receive(&mut self.request) {
            Ok(length) => {
                self.backoff = Backoff::default();
                Ok(self.request.get_mut(..length).map(|request| (request, &mut self.response[..])))
            }
            // A request of impossible length was answered; nothing is out of step.
            Err(TransportError::NotReady | TransportError::BadLength) => Ok(None),
            Err(TransportError::Closed) => Err(Ended::ByPeer),
            Err(TransportError::Failed(error)) => Err(Ended::Broken(memory_failed(error))),
            Err(error) => Err(Ended::Broken(io::Error::other(error))),
        }
    }

    fn is_started(&self) -> bool {
        false
    }

    fn read(&mut self, may_wait: bool) -> io::Result<Read> {
        let until = self.backoff.waited().saturating_add(self.poll_interval);
        loop {
            if self.server.is_request_waiting() {
                return Ok(Read::Bytes);
            }
            let goes_on = may_wait && self.backoff.wait(until);
            if self.backoff.should_look() && self.has_left() {
                // The last request may have come since it was looked for.
                return Ok(if self.server.is_request_waiting() { Read::Bytes } else { Read::End });
            }
            if !goes_on {
                return Ok(Read::Waiting);
            }
        }
    }

    fn finish(&mut self, length: usize) -> Result<(), FrameError> {
        let response = std::mem::take(&mut self.response);
        let maximum = response.len();
        let found = u32::try_from(length).unwrap_or(u32::MAX);
        let packet = response.get(..length).ok_or(FrameError::BadLength { found, maximum });
        let result = packet.and_then(|packet| self.send(packet));
        self.response = response;
        result
    }

    fn respond(&mut self, packet: &[u8]) -> Result<(), FrameError> {
        self.send(packet)
    }

    fn flush(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn wait_writable(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    /// The client still has the object when it is gone here.
    fn end(&mut self) {}
}

impl Drop for ShmStream {
    fn drop(&mut self) {
        self.object.set_state(state::CLEANED_UP);
    }
}

/// A client's connection to a server in another process of this machine.
///
/// A connection that was lost stays lost ([`TransportError::Closed`]) until [`reconnect`](Self::reconnect).
#[derive(Debug)]
pub struct ShmClientTransport {
    name: String,
    timeout: Duration,
    connection: Option<Attached>,
}

#[derive(Debug)]
struct Attached {
    object: Object,
    client: MemoryClient<Part>,
    watch: Watch,
}

impl ShmClientTransport {
    /// Attaches to a server's object, waiting up to `timeout` until there is one. `name` is that of the object, with
    /// or without a slash in front.
    ///
    /// # Errors
    /// [`LinkError::Connect`].
    pub fn connect(name: &str, timeout: Duration) -> Result<Self, LinkError> {
        let mut transport = Self { name: name.to_owned(), timeout, connection: None };
        transport.reconnect()?;
        Ok(transport)
    }

    /// Drops the connection, if there still is one, and makes a new one to the same name.
    ///
    /// # Errors
    /// As [`connect`](Self::connect). The transport stays closed and this can be tried again.
    pub fn reconnect(&mut self) -> Result<(), LinkError> {
        self.close();
        let failed = |source| LinkError::Connect {
            address: format!("the shared-memory object {}", self.name),
            source,
        };
        let name = object_name(&self.name).map_err(failed)?;
        let begin = Instant::now();
        loop {
            match Attached::try_new(&name) {
                Ok(Some(attached)) => {
                    self.connection = Some(attached);
                    return Ok(());
                }
                Ok(None) if begin.elapsed() >= self.timeout => {
                    return Err(failed(io::ErrorKind::NotFound.into()));
                }
                Ok(None) => thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Whether the connection was not yet found to be lost.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        self.connection = None;
    }

    /// The memory that addresses in messages mean; `None` without a connection.
    #[must_use]
    pub fn dma_area(&self) -> Option<DmaArea> {
        Some(self.connection.as_ref()?.object.dma.clone())
    }

    /// The largest packet in each direction, in bytes: request, response. `None` without a connection.
    #[must_use]
    pub fn capacity(&self) -> Option<(usize, usize)> {
        Some(self.connection.as_ref()?.client.capacity())
    }

    fn failed(&self, error: MemoryError) -> LinkError {
        LinkError::Connection {
            peer: format!("the shared-memory object {}", self.name),
            source: memory_failed(error),
        }
    }
}

impl Attached {
    /// One attempt; `None` if there is no object that waits for a client.
    fn try_new(name: &str) -> io::Result<Option<Self>> {
        let Some(file) = open(name)? else { return Ok(None) };
        // Two clients at one object would take each other's responses; those that take this lock cannot meet.
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let Some(sizes) = read_sizes(&file)? else { return Ok(None) };
        let object = Object::map(&file, sizes)?;
        // The client before this one removed the name; this is what it left.
        let found = open(name)?.map(|found| Identity::of(&found)).transpose()?;
        if object.state() != state::CREATED || found != Some(Identity::of(&file)?) {
            return Ok(None);
        }
        match shm::unlink(name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let watch = Watch::new(object.pid(offset::CREATOR));
        let client =
            MemoryClient::new(object.request.clone(), object.response.clone()).map_err(memory_failed)?;
        let pid = getpid().as_raw_nonzero().get().to_ne_bytes();
        object.header.write(offset::USER, &pid).map_err(out_of_range)?;
        object.set_state(state::ATTACHED);
        Ok(Some(Self { object, client, watch }))
    }

    fn has_ended(&self) -> bool {
        self.object.state() == state::CLEANED_UP || self.watch.has_died()
    }
}

/// The sizes that the header of an object states; `None` if the object does not wait for a client.
///
/// # Errors
/// If they do not fit the object.
fn read_sizes(object: &OwnedFd) -> io::Result<Option<Sizes>> {
    let length = u64::try_from(fstat(object)?.st_size).unwrap_or_default();
    let mut header = [0; HEADER_SIZE];
    if length < header.len() as u64 || pread(object, &mut header[..], 0)? < header.len() {
        return Ok(None);
    }
    let Some(sizes) = parse_header(&header) else { return Ok(None) };
    let has_room = |block: u16| usize::from(block) >= CONTROL_SIZE + Header::SIZE && block.is_multiple_of(4);
    match sizes.total().and_then(|total| u64::try_from(total).ok()) {
        Some(total) if total <= length && has_room(sizes.request) && has_room(sizes.response) => {
            Ok(Some(sizes))
        }
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its header states sizes that do not fit its {length} bytes, or are too small or askew"),
        )),
    }
}

/// The sizes in a header that waits for a client.
fn parse_header(header: &[u8; HEADER_SIZE]) -> Option<Sizes> {
    let state = u32::from_ne_bytes(*header.first_chunk()?);
    let short = |at: usize| Some(u16::from_ne_bytes(*header.get(at..)?.first_chunk()?));
    let dma = usize::from_ne_bytes(*header.get(offset::DMA_SIZE..)?.first_chunk()?);
    let sizes = Sizes { request: short(offset::SIZES)?, response: short(offset::SIZES + 2)?, dma };
    (state == state::CREATED).then_some(sizes)
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.object.set_state(state::CLEANED_UP);
    }
}

impl ClientTransport for ShmClientTransport {
    type Error = LinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        let connection = self.connection.as_mut().ok_or(TransportError::Closed)?;
        if connection.object.state() == state::CLEANED_UP {
            self.connection = None;
            return Err(TransportError::Closed);
        }
        let result = connection.client.send(packet);
        result.map_err(|error| error.map(|error| self.failed(error)))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        self.receive_within(buffer, Duration::ZERO)
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        let connection = self.connection.as_mut().ok_or(TransportError::Closed)?;
        let mut backoff = Backoff::default();
        loop {
            match connection.client.receive(buffer) {
                Err(TransportError::NotReady) => {}
                result => return result.map_err(|error| error.map(|error| self.failed(error))),
            }
            let goes_on = !longest.is_zero() && backoff.wait(longest);
            if (!goes_on || backoff.should_look()) && connection.has_ended() {
                // The last response may have come since it was asked for.
                let last = connection.client.receive(buffer);
                self.connection = None;
                return match last {
                    Ok(length) => Ok(length),
                    Err(_) => Err(TransportError::Closed),
                };
            }
            if !goes_on {
                return Err(TransportError::NotReady);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in
            [("casemate", "/casemate"), ("/casemate", "/casemate"), ("a.b-c_1", "/a.b-c_1")]
        {
            assert_eq!(object_name(name).unwrap(), expected);
        }
        for name in ["", "/", "a/b", "//a", ".", "..", "a\0b", &"x".repeat(251)] {
            assert!(object_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn headers_and_their_sizes() {
        // Document 01, §14, capture L, with the state before a client attaches.
        let mut header = [0; HEADER_SIZE];
        header[0] = 2;
        header[4..8].copy_from_slice(&[0x10, 0x20, 0x10, 0x20]);
        header[8..10].copy_from_slice(&[0x40, 0x1F]);
        let little_endian = cfg!(all(target_endian = "little", target_pointer_width = "64"));
        let example = Sizes { request: 8208, response: 8208, dma: 8000 };
        assert_eq!(parse_header(&header), little_endian.then_some(example));
        assert_eq!(Sizes::for_packets(8200, 8000).unwrap(), example);
        assert_eq!(example.total(), Some(24_480));
        for state in [0, 1, 3, 4] {
            header[0] = state;
            assert_eq!(parse_header(&header), None);
        }
        assert!(Sizes::for_packets(65_528, 0).is_err());
        assert!(Sizes::for_packets(65_520, 0).is_ok());
        assert!(Sizes::for_packets(8200, usize::MAX - 16_480).is_ok());
        assert!(Sizes::for_packets(8200, usize::MAX - 16_479).is_err());
    }
}
