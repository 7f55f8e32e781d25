//! The way to the server: a transport of this library's, or functions of the caller's.

use super::parameter::Named;
#[cfg(feature = "std")]
use super::parameter::optional_text;
use super::space::SharedSpace;
use crate::failure::{Failure, LinkFailure};
use crate::status::Own;
use casemate_protocol::Header;
use casemate_transport::{
    ClientTransport, Clock, LENGTH_PREFIX_SIZE, MemoryClient, SharedRegion, TransportError,
};
use core::ffi::{c_char, c_void};
use core::ptr;
use core::time::Duration;

/// `casemate_options`: what a client needs besides its transport.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Options {
    pub(crate) timeout_milliseconds: u32,
    pub(crate) context: *mut c_void,
    pub(crate) now: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
    pub(crate) wait: Option<unsafe extern "C" fn(*mut c_void, u32)>,
    pub(crate) tls: *const TlsFileNames,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout_milliseconds: 0, context: ptr::null_mut(), now: None, wait: None, tls: ptr::null() }
    }
}

/// `casemate_tls_files`: names of files, or null.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TlsFileNames {
    pub(crate) trust: *const c_char,
    pub(crate) certificate: *const c_char,
    pub(crate) key: *const c_char,
    pub(crate) server_name: *const c_char,
}

/// `casemate_transport`: functions that move whole packets.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct PacketFunctions {
    pub(crate) context: *mut c_void,
    pub(crate) send: Option<unsafe extern "C" fn(*mut c_void, *const u8, usize) -> i32>,
    pub(crate) receive: Option<unsafe extern "C" fn(*mut c_void, *mut u8, *mut usize) -> i32>,
    pub(crate) close: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// `casemate_stream`: functions that move bytes.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct StreamFunctions {
    pub(crate) context: *mut c_void,
    pub(crate) write: Option<unsafe extern "C" fn(*mut c_void, *const u8, usize) -> i32>,
    pub(crate) read: Option<unsafe extern "C" fn(*mut c_void, *mut u8, *mut usize) -> i32>,
    pub(crate) close: Option<unsafe extern "C" fn(*mut c_void)>,
}

impl Named for Options {
    const NAME: &'static str = "casemate_options";
}

impl Named for PacketFunctions {
    const NAME: &'static str = "casemate_transport";
}

impl Named for StreamFunctions {
    const NAME: &'static str = "casemate_stream";
}

/// The caller's time and patience.
#[derive(Clone, Copy)]
pub(crate) struct Hooks {
    context: *mut c_void,
    now: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
    wait: Option<unsafe extern "C" fn(*mut c_void, u32)>,
}

impl Options {
    pub(crate) const fn hooks(&self) -> Hooks {
        Hooks { context: self.context, now: self.now, wait: self.wait }
    }

    /// How long a request may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        (self.timeout_milliseconds != 0).then(|| Duration::from_millis(self.timeout_milliseconds.into()))
    }

    /// Connects to an address.
    #[cfg(feature = "std")]
    pub(crate) fn connect(&self, address: &str, packet_size: usize) -> Result<Link, Failure> {
        use casemate_posix::{ClientLink, LinkOptions, TlsFiles};
        if !self.tls.is_aligned() {
            return Err(Own::BAD_ARGUMENT.into());
        }
        let mut tls = TlsFiles::default();
        // SAFETY: null, or aligned and, by the caller's word, a structure of pointers.
        if let Some(names) = unsafe { self.tls.as_ref() } {
            // SAFETY: null, or texts that end with a zero: the caller's word.
            let [trust, certificate, key, server_name] = unsafe {
                [
                    optional_text(names.trust)?,
                    optional_text(names.certificate)?,
                    optional_text(names.key)?,
                    optional_text(names.server_name)?,
                ]
            };
            tls.trust = trust.map(Into::into);
            tls.certificate = certificate.map(Into::into);
            tls.key = key.map(Into::into);
            tls.server_name = server_name.map(Into::into);
        }
        let timeout = self.timeout().unwrap_or(Duration::from_secs(10));
        let options = LinkOptions { maximum_packet: packet_size, timeout, tls };
        ClientLink::connect(address, &options).map(Link::Address).map_err(Failure::Connect)
    }
}

impl Hooks {
    /// The clock: the caller's, the operating system's, or none.
    pub(crate) fn clock(&self) -> AnyClock {
        match self.now {
            Some(now) => AnyClock::Function(self.context, now),
            #[cfg(feature = "std")]
            None => AnyClock::System(casemate_posix::MonotonicClock::new()),
            #[cfg(not(feature = "std"))]
            None => AnyClock::None,
        }
    }

    /// Lets time pass, at most `longest`, while nothing has come.
    fn wait(&self, longest: Duration) {
        match self.wait {
            Some(wait) => {
                let microseconds = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
                // SAFETY: the caller's function with the caller's context, as the header says.
                unsafe { wait(self.context, microseconds) }
            }
            #[cfg(feature = "std")]
            None => std::thread::sleep(longest.min(Duration::from_micros(200))),
            #[cfg(not(feature = "std"))]
            None => {}
        }
    }
}

/// The clock behind the timeout.
pub(crate) enum AnyClock {
    /// None: no timeout expires.
    #[cfg(not(feature = "std"))]
    None,
    /// The caller's.
    Function(*mut c_void, unsafe extern "C" fn(*mut c_void) -> u64),
    /// The operating system's.
    #[cfg(feature = "std")]
    System(casemate_posix::MonotonicClock),
}

impl Clock for AnyClock {
    fn now_microseconds(&self) -> u64 {
        match self {
            #[cfg(not(feature = "std"))]
            Self::None => 0,
            // SAFETY: the caller's function with the caller's context, as the header says.
            Self::Function(context, now) => unsafe { now(*context) },
            #[cfg(feature = "std")]
            Self::System(clock) => clock.now_microseconds(),
        }
    }
}

/// A transport. Dropping it closes it.
pub(crate) enum Link {
    Packets(PacketFunctions, Hooks),
    Stream(Stream, Hooks),
    Memory(MemoryClient<SharedRegion<'static>>, Hooks),
    #[cfg(feature = "std")]
    Address(casemate_posix::ClientLink),
}

impl Drop for Link {
    fn drop(&mut self) {
        let (context, close) = match self {
            Self::Packets(functions, _) => (functions.context, functions.close),
            Self::Stream(stream, _) => (stream.functions.context, stream.functions.close),
            _ => return,
        };
        if let Some(close) = close {
            // SAFETY: the caller's function with the caller's context, as the header says.
            unsafe { close(context) }
        }
    }
}

impl Link {
    /// Over functions that move packets.
    pub(crate) fn packets(functions: &PacketFunctions, hooks: Hooks) -> Result<Self, Failure> {
        if functions.send.is_none() || functions.receive.is_none() {
            return Err(Own::BAD_ARGUMENT.into());
        }
        Ok(Self::Packets(*functions, hooks))
    }

    /// Over functions that move bytes.
    pub(crate) fn stream(functions: &StreamFunctions, hooks: Hooks) -> Result<Self, Failure> {
        if functions.write.is_none() || functions.read.is_none() {
            return Err(Own::BAD_ARGUMENT.into());
        }
        Ok(Self::Stream(Stream { functions: *functions, frame: Frame::EMPTY }, hooks))
    }

    /// Over two blocks of memory that the server uses too. The caller keeps them until the client is released.
    pub(crate) fn memory(
        request: (*mut u8, usize),
        response: (*mut u8, usize),
        hooks: Hooks,
    ) -> Result<Self, Failure> {
        // SAFETY: the caller of `casemate_open_memory` says that the blocks are there until the client is released and
        // that this program accesses them through the client only, which does so with atomics.
        let regions = unsafe {
            (
                SharedRegion::from_raw_parts(request.0, request.1),
                SharedRegion::from_raw_parts(response.0, response.1),
            )
        };
        let (Some(request), Some(response)) = regions else { return Err(Own::BAD_ARGUMENT.into()) };
        match MemoryClient::new(request, response) {
            Ok(client) => Ok(Self::Memory(client, hooks)),
            Err(_) => Err(Own::NO_SHARED_MEMORY.into()),
        }
    }

    /// The memory that the transport shares with the server, if it does.
    pub(crate) fn shared(&self) -> Option<SharedSpace> {
        match self {
            #[cfg(feature = "std")]
            Self::Address(link) => link.dma_area().map(SharedSpace::Transport),
            _ => None,
        }
    }
}

/// What a status of the caller's functions means for a transport.
fn judged(status: i32) -> Result<(), TransportError<LinkFailure>> {
    Err(match Own(status) {
        Own::OK => return Ok(()),
        Own::NOT_READY | Own::PENDING => TransportError::NotReady,
        Own::CLOSED => TransportError::Closed,
        Own::BAD_PACKET => TransportError::BadLength,
        _ => TransportError::Failed(LinkFailure::Callback(status)),
    })
}

/// Calls a function of the caller's that writes bytes to the front of `buffer`, and returns how many.
fn read(
    context: *mut c_void,
    function: Option<unsafe extern "C" fn(*mut c_void, *mut u8, *mut usize) -> i32>,
    buffer: &mut [u8],
) -> Result<usize, TransportError<LinkFailure>> {
    let function = function.ok_or(TransportError::Closed)?;
    let mut length = buffer.len();
    // SAFETY: the caller's function with the caller's context, which writes at most `length` bytes, as the header says.
    judged(unsafe { function(context, buffer.as_mut_ptr(), &raw mut length) })?;
    if length > buffer.len() {
        Err(TransportError::Failed(LinkFailure::Callback(Own::OK.0)))
    } else {
        Ok(length)
    }
}

/// Calls a function of the caller's that takes bytes.
fn write(
    context: *mut c_void,
    function: Option<unsafe extern "C" fn(*mut c_void, *const u8, usize) -> i32>,
    bytes: &[u8],
) -> Result<(), TransportError<LinkFailure>> {
    let function = function.ok_or(TransportError::Closed)?;
    // SAFETY: the caller's function with the caller's context, which reads these bytes, as the header says.
    judged(unsafe { function(context, bytes.as_ptr(), bytes.len()) })
}

/// Packets on a stream of bytes, each behind its length (document 01, §12.1). It keeps no packet: an unfinished one
/// stands in the client's buffer, and if that is used for another request, the rest of it is thrown away.
pub(crate) struct Stream {
    functions: StreamFunctions,
    frame: Frame,
}

/// How far a packet has come.
struct Frame {
    prefix: [u8; LENGTH_PREFIX_SIZE],
    /// Bytes of the prefix and of the packet that have come.
    arrived: usize,
    /// Bytes still to come of a packet that nobody wants.
    unwanted: usize,
    broken: bool,
}

impl Frame {
    const EMPTY: Self = Self { prefix: [0; LENGTH_PREFIX_SIZE], arrived: 0, unwanted: 0, broken: false };

    fn length(&self) -> usize {
        usize::try_from(u32::from_be_bytes(self.prefix)).unwrap_or(usize::MAX)
    }
}

impl Stream {
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkFailure>> {
        if self.frame.broken {
            return Err(TransportError::Closed);
        }
        let length = u32::try_from(packet.len()).map_err(|_| TransportError::BadLength)?;
        if self.frame.arrived >= LENGTH_PREFIX_SIZE {
            // The request has overwritten what has come of an old response.
            let arrived = self.frame.arrived.saturating_sub(LENGTH_PREFIX_SIZE);
            self.frame.unwanted = self.frame.length().saturating_sub(arrived);
            self.frame.arrived = 0;
        }
        let (context, function) = (self.functions.context, self.functions.write);
        write(context, function, &length.to_be_bytes())?;
        write(context, function, packet).map_err(|error| match error {
            // Half a frame is out, and nothing else may follow it.
            TransportError::NotReady => {
                self.frame.broken = true;
                TransportError::Failed(LinkFailure::Callback(Own::NOT_READY.0))
            }
            other => other,
        })
    }

    /// Reads bytes of the stream: at least one.
    fn read(&self, to: &mut [u8]) -> Result<usize, TransportError<LinkFailure>> {
        match read(self.functions.context, self.functions.read, to)? {
            0 => Err(TransportError::NotReady),
            length => Ok(length),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkFailure>> {
        loop {
            if self.frame.broken {
                return Err(TransportError::Closed);
            }
            if self.frame.unwanted > 0 {
                let mut scratch = [0; 32];
                let wanted = self.frame.unwanted.min(scratch.len());
                let length = self.read(scratch.get_mut(..wanted).unwrap_or_default())?;
                self.frame.unwanted = self.frame.unwanted.saturating_sub(length);
                continue;
            }
            if self.frame.arrived < LENGTH_PREFIX_SIZE {
                let mut prefix = self.frame.prefix;
                let length = self.read(prefix.get_mut(self.frame.arrived..).unwrap_or_default())?;
                self.frame.prefix = prefix;
                self.frame.arrived = self.frame.arrived.saturating_add(length);
                continue;
            }
            let length = self.frame.length();
            if !(Header::SIZE..=buffer.len()).contains(&length) {
                self.frame.broken = true;
                return Err(TransportError::Failed(LinkFailure::Frame));
            }
            let arrived = self.frame.arrived.saturating_sub(LENGTH_PREFIX_SIZE);
            if arrived >= length {
                self.frame.arrived = 0;
                return Ok(length);
            }
            let more = self.read(buffer.get_mut(arrived..length).unwrap_or_default())?;
            self.frame.arrived = self.frame.arrived.saturating_add(more);
        }
    }
}

impl ClientTransport for Link {
    type Error = LinkFailure;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkFailure>> {
        match self {
            Self::Packets(functions, _) => write(functions.context, functions.send, packet),
            Self::Stream(stream, _) => stream.send(packet),
            Self::Memory(client, _) => {
                client.send(packet).map_err(|error| error.map(|_| LinkFailure::Memory))
            }
            #[cfg(feature = "std")]
            Self::Address(link) => link.send(packet).map_err(|error| error.map(LinkFailure::Link)),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkFailure>> {
        match self {
            Self::Packets(functions, _) => read(functions.context, functions.receive, buffer),
            Self::Stream(stream, _) => stream.receive(buffer),
            Self::Memory(client, _) => {
                client.receive(buffer).map_err(|error| error.map(|_| LinkFailure::Memory))
            }
            #[cfg(feature = "std")]
            Self::Address(link) => link.receive(buffer).map_err(|error| error.map(LinkFailure::Link)),
        }
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkFailure>> {
        let hooks = match self {
            #[cfg(feature = "std")]
            Self::Address(link) => {
                return link.receive_within(buffer, longest).map_err(|error| error.map(LinkFailure::Link));
            }
            Self::Packets(_, hooks) | Self::Stream(_, hooks) | Self::Memory(_, hooks) => *hooks,
        };
        match self.receive(buffer) {
            Err(TransportError::NotReady) => {
                hooks.wait(longest);
                self.receive(buffer)
            }
            outcome => outcome,
        }
    }
}
