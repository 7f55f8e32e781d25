//! Packets over TCP (document 01, §12.1): a client transport, and a listener with its connections.
//!
//! Every packet travels behind its length in one write; one read takes whatever has arrived. `TCP_NODELAY` is set on
//! both ends. All sockets are driven from the calling thread: the server application gives each
//! [`TcpConnection`] a thread of its own, so that a slow peer holds up nobody else.
//!
//! What a peer does wrong ends its own connection and nothing more; [`Ended`] says what it was.

use crate::LinkError;
use casemate_transport::{
    ClientTransport, FrameDecoder, FrameEncoder, FrameError, LENGTH_PREFIX_SIZE, ServerTransport,
    TransportError,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The longest time a blocking read sleeps before it looks around.
const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT;
/// A vanished peer must be an error, not a signal. (On Apple systems the standard library arranges that per socket.)
#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A connected socket with its framing.
#[derive(Debug)]
struct FramedStream {
    stream: TcpStream,
    peer: SocketAddr,
    incoming: FrameDecoder<Zeroizing<Vec<u8>>>,
    outgoing: FrameEncoder<Zeroizing<Vec<u8>>>,
    /// The peer announced a length out of range: the stream has no next packet.
    is_corrupt: bool,
}

/// How a read went.
enum Read {
    Bytes,
    /// Nothing has arrived.
    Waiting,
    /// The peer will send no more.
    End,
}

impl FramedStream {
    fn new(
        stream: TcpStream,
        peer: SocketAddr,
        maximum_packet: usize,
        poll_interval: Duration,
    ) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(poll_interval))?;
        // A peer that lost power or its network never says goodbye; probes find that out within about two minutes.
        sockopt::set_socket_keepalive(&stream, true)?;
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
        {
            sockopt::set_tcp_keepidle(&stream, Duration::from_secs(60))?;
            sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(15))?;
            sockopt::set_tcp_keepcnt(&stream, 4)?;
        }
        let storage = || Zeroizing::new(vec![0; maximum_packet.saturating_add(LENGTH_PREFIX_SIZE)]);
        Ok(Self {
            stream,
            peer,
            incoming: FrameDecoder::new(storage()),
            outgoing: FrameEncoder::new(storage()),
            is_corrupt: false,
        })
    }

    /// One read. With no flags it sleeps for the poll interval at most.
    fn read(&mut self, flags: RecvFlags) -> io::Result<Read> {
        match recv(&self.stream, self.incoming.space(), flags) {
            Ok((_, 0)) => Ok(Read::End),
            Ok((_, count)) => {
                self.incoming.filled(count);
                Ok(Read::Bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Read::Waiting),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what can be written without waiting; `true` if nothing is left.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.outgoing.unsent().is_empty() {
            match send(&self.stream, self.outgoing.unsent(), SEND_FLAGS) {
                Ok(count) => self.outgoing.sent(count),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Sleeps until the socket can be read, or written if bytes are unsent, or `longest` has passed.
    fn wait(&self, events: PollFlags, longest: Duration) -> io::Result<()> {
        wait_for(&self.stream, events, longest).map(|_| ())
    }

    /// Copies the next packet to `buffer` if a whole one is there.
    fn deliver<E>(&mut self, buffer: &mut [u8]) -> Option<Result<usize, TransportError<E>>> {
        match self.incoming.next_packet() {
            Ok(None) => None,
            Ok(Some(packet)) => Some(match buffer.get_mut(..packet.len()) {
                Some(space) => {
                    space.copy_from_slice(packet);
                    Ok(packet.len())
                }
                None => Err(TransportError::BadLength),
            }),
            Err(_) => {
                self.is_corrupt = true;
                Some(Err(TransportError::BadLength))
            }
        }
    }

    /// Receives without waiting, or with one wait of at most `longest`.
    fn receive(&mut self, buffer: &mut [u8], longest: Duration) -> Result<usize, TransportError<io::Error>> {
        // With nothing else to do, one blocking read is the cheapest way to wait; it wakes after the poll interval.
        let mut may_wait = !longest.is_zero();
        loop {
            if let Some(result) = self.deliver(buffer) {
                return result;
            }
            let flushed = self.flush().map_err(TransportError::Failed)?;
            let mut flags = RecvFlags::DONTWAIT;
            if may_wait {
                may_wait = false;
                if flushed && longest >= DEFAULT_POLL_INTERVAL {
                    flags = RecvFlags::empty();
                } else {
                    let events = if flushed { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
                    self.wait(events, longest.min(DEFAULT_POLL_INTERVAL)).map_err(TransportError::Failed)?;
                    self.flush().map_err(TransportError::Failed)?;
                }
            }
            match self.read(flags).map_err(TransportError::Failed)? {
                Read::Bytes => {}
                Read::Waiting => return Err(TransportError::NotReady),
                Read::End => return Err(TransportError::Closed),
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<io::Error>> {
        if !self.flush().map_err(TransportError::Failed)? {
            return Err(TransportError::NotReady);
        }
        self.outgoing.encode(packet).map_err(|_| TransportError::BadLength)?;
        self.flush().map_err(TransportError::Failed)?;
        Ok(())
    }
}

/// Sleeps until one of `events` is true of the socket, or `longest` has passed; `true` in the first case.
fn wait_for(socket: &impl AsFd, events: PollFlags, longest: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(longest).ok();
    match poll(&mut [PollFd::new(socket, events)], timeout.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A client's TCP connection to a server.
///
/// A connection that was lost stays lost ([`TransportError::Closed`]) until [`reconnect`](Self::reconnect).
/// [`receive_within`](ClientTransport::receive_within) sleeps 0.1 seconds at most per call.
#[derive(Debug)]
pub struct TcpClientTransport {
    address: String,
    maximum_packet: usize,
    timeout: Duration,
    connection: Option<FramedStream>,
}

impl TcpClientTransport {
    /// Connects to a server.
    ///
    /// `address` is `HOST:PORT`; every address of a host name is tried. `maximum_packet` is the size in bytes of the
    /// largest packet in either direction: 8 plus the packet data length. `timeout` bounds the whole attempt, apart
    /// from the look-up of a host name.
    ///
    /// # Errors
    /// [`LinkError::Resolve`], [`LinkError::Connect`].
    pub fn connect(address: &str, maximum_packet: usize, timeout: Duration) -> Result<Self, LinkError> {
        let address = address.to_owned();
        let mut transport = Self { address, maximum_packet, timeout, connection: None };
        transport.reconnect()?;
        Ok(transport)
    }

    /// Drops the connection, if there still is one, and makes a new one to the same address. Bytes in flight are
    /// lost.
    ///
    /// # Errors
    /// As [`connect`](Self::connect). The transport stays closed and this can be tried again.
    pub fn reconnect(&mut self) -> Result<(), LinkError> {
        self.connection = None;
        let failed = |source| LinkError::Connect { address: self.address.clone(), source };
        let addresses = self
            .address
            .to_socket_addrs()
            .map_err(|source| LinkError::Resolve { address: self.address.clone(), source })?;
        let deadline = Instant::now().checked_add(self.timeout);
        let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
        for address in addresses {
            let left = deadline.map_or(self.timeout, |at| at.saturating_duration_since(Instant::now()));
            match connect_to(address, left) {
                Ok(stream) => {
                    let framed =
                        FramedStream::new(stream, address, self.maximum_packet, DEFAULT_POLL_INTERVAL);
                    self.connection = Some(framed.map_err(failed)?);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    /// Whether the connection was not yet found to be lost.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Ends the connection. The server sees the end after every packet sent before.
    pub fn close(&mut self) {
        self.connection = None;
    }

    /// Runs one step on the connection and drops it when the step says that it is lost.
    fn with<T>(
        &mut self,
        step: impl FnOnce(&mut FramedStream) -> Result<T, TransportError<io::Error>>,
    ) -> Result<T, TransportError<LinkError>> {
        let connection = self.connection.as_mut().ok_or(TransportError::Closed)?;
        let peer = connection.peer;
        let result = step(connection)
            .map_err(|error| error.map(|source| LinkError::Connection { peer: peer.to_string(), source }));
        if connection.is_corrupt || matches!(result, Err(TransportError::Closed | TransportError::Failed(_)))
        {
            self.connection = None;
        }
        result
    }
}

/// Connects to one address.
fn connect_to(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    if timeout.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    // A local port that nobody listens on can be given to this very socket, which then talks to itself.
    if stream.local_addr()? == address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

impl ClientTransport for TcpClientTransport {
    type Error = LinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        self.with(|connection| connection.send(packet))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        self.with(|connection| connection.receive(buffer, Duration::ZERO))
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        self.with(|connection| connection.receive(buffer, longest))
    }
}

/// What a TCP server allows its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpServerOptions {
    /// The largest packet in either direction, in bytes: 8 plus the packet data length.
    pub maximum_packet: usize,
    /// How many connections may be open at once; further ones are closed as soon as they are accepted.
    pub maximum_connections: usize,
    /// How long a thread that waits for a peer sleeps before it looks at the stop flag.
    pub poll_interval: Duration,
    /// How long a peer may take for its first request, if limited.
    pub first_request_deadline: Option<Duration>,
    /// How long a peer may be silent between requests, if limited.
    pub idle_deadline: Option<Duration>,
    /// How long a peer may take to complete a frame that it has begun.
    pub frame_deadline: Duration,
    /// How long a peer may take to accept a response.
    pub write_deadline: Duration,
}

impl TcpServerOptions {
    /// The usual deadlines and limits for a packet size: 64 connections, a first request within 60 seconds, no idle
    /// limit after it, 5 seconds for a frame or a response.
    #[must_use]
    pub const fn new(maximum_packet: usize) -> Self {
        Self {
            maximum_packet,
            maximum_connections: 64,
            poll_interval: DEFAULT_POLL_INTERVAL,
            first_request_deadline: Some(Duration::from_secs(60)),
            idle_deadline: None,
            frame_deadline: Duration::from_secs(5),
            write_deadline: Duration::from_secs(5),
        }
    }
}

/// A listening socket and the count of its connections.
#[derive(Debug)]
pub struct TcpServer {
    listener: TcpListener,
    options: TcpServerOptions,
    active: Arc<AtomicUsize>,
}

/// What [`TcpServer::accept`] came back with.
#[derive(Debug)]
pub enum Accepted {
    /// A peer has connected.
    Connection(TcpConnection),
    /// A peer has connected while the connection limit was reached, and was disconnected.
    Refused(SocketAddr),
    /// The stop flag is set.
    Stopped,
}

impl TcpServer {
    /// Listens on `HOST:PORT`; port 0 picks a free one, see [`local_address`](Self::local_address).
    ///
    /// # Errors
    /// [`LinkError::Resolve`] if `address` has no meaning, [`LinkError::Bind`] if the operating system refuses.
    pub fn bind(address: &str, mut options: TcpServerOptions) -> Result<Self, LinkError> {
        options.poll_interval = options.poll_interval.max(Duration::from_millis(1));
        let addresses: Vec<_> = address
            .to_socket_addrs()
            .map_err(|source| LinkError::Resolve { address: address.to_owned(), source })?
            .collect();
        let failed = |source| LinkError::Bind { address: address.to_owned(), source };
        let listener = TcpListener::bind(&addresses[..]).map_err(failed)?;
        // So that a peer that is gone again before it was accepted cannot make `accept` wait.
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, options, active: Arc::new(AtomicUsize::new(0)) })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// How many connections are open.
    #[must_use]
    pub fn active_connections(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Waits for the next peer, until `stop` is set.
    ///
    /// # Errors
    /// [`LinkError::Accept`], at most once per poll interval. It does not mean that the server has to end: a process
    /// that has run out of file descriptors, for instance, gets some back when other connections end.
    pub fn accept(&self, stop: &AtomicBool) -> Result<Accepted, LinkError> {
        let failed = |source| {
            std::thread::sleep(self.options.poll_interval);
            LinkError::Accept { source }
        };
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(Accepted::Stopped);
            }
            if !wait_for(&self.listener, PollFlags::IN, self.options.poll_interval).map_err(failed)? {
                continue;
            }
            let (stream, peer) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset => continue,
                    _ => return Err(failed(error)),
                },
            };
            let Some(permit) = Permit::take(&self.active, self.options.maximum_connections) else {
                return Ok(Accepted::Refused(peer));
            };
            let options = &self.options;
            // Setting up fails if the peer is gone already: that is the peer's affair.
            match FramedStream::new(stream, peer, options.maximum_packet, options.poll_interval) {
                Ok(framed) => {
                    return Ok(Accepted::Connection(TcpConnection {
                        permit: Some(permit),
                        framed,
                        options: options.clone(),
                    }));
                }
                Err(_) => continue,
            }
        }
    }
}

/// One of the allowed connections; given back when dropped.
#[derive(Debug)]
struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(active: &Arc<AtomicUsize>, maximum: usize) -> Option<Self> {
        active
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < maximum).then_some(count + 1))
            .ok()?;
        Some(Self(Arc::clone(active)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a request handler decides, see [`TcpConnection::serve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Send the first so many bytes of the response space.
    Response(usize),
    /// Send the first so many bytes of the response space, then end the connection.
    LastResponse(usize),
    /// End the connection without a response.
    Close,
}

/// Why a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The peer closed it between two frames.
    ByPeer,
    /// The peer closed it in the middle of a frame.
    WithinFrame,
    /// The handler asked for it.
    ByHandler,
    /// The stop flag was set.
    Stopped,
    /// The peer announced a packet of a length out of range.
    BadLength(FrameError),
    /// The peer sent no request in the time allowed.
    Silent,
    /// The peer did not complete a frame in the time allowed.
    FrameTooSlow,
    /// The peer did not accept a response in the time allowed.
    ResponseNotRead,
    /// The handler gave a response length out of range.
    BadResponse(FrameError),
    /// The connection broke, for instance because the peer reset it.
    Broken(io::Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => f.write_str("the peer closed the connection"),
            Self::WithinFrame => f.write_str("the peer closed the connection in the middle of a frame"),
            Self::ByHandler => f.write_str("the server closed the connection"),
            Self::Stopped => f.write_str("the server stops"),
            Self::BadLength(error) => write!(f, "the peer sent a bad frame: {error}"),
            Self::Silent => f.write_str("the peer sent no request in the time allowed"),
            Self::FrameTooSlow => f.write_str("the peer did not complete a frame in the time allowed"),
            Self::ResponseNotRead => f.write_str("the peer did not accept a response in the time allowed"),
            Self::BadResponse(error) => write!(f, "the server made a bad response: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

/// A server's connection to one peer. Dropping it ends the connection.
#[derive(Debug)]
pub struct TcpConnection {
    // Given back before the socket is closed: a peer that sees the end and connects again finds its place free.
    permit: Option<Permit>,
    framed: FramedStream,
    options: TcpServerOptions,
}

impl TcpConnection {
    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.framed.peer
    }

    /// Serves requests, one by one and in order, until the connection ends, and then closes it.
    ///
    /// `handler` gets each request packet and the space for its response packet, of
    /// [`TcpServerOptions::maximum_packet`] bytes. `stop` is looked at between requests, at least once per poll
    /// interval; a request that was handled is also answered.
    pub fn serve(
        mut self,
        stop: &AtomicBool,
        mut handler: impl FnMut(&mut [u8], &mut [u8]) -> Answer,
    ) -> Ended {
        let mut allowed = self.options.first_request_deadline;
        let mut waiting_since = None;
        loop {
            let request = match self.framed.incoming.next_packet() {
                Ok(Some(request)) => request,
                Ok(None) => match self.read_more(stop, allowed, &mut waiting_since) {
                    Ok(()) => continue,
                    Err(ended) => return ended,
                },
                Err(error) => return Ended::BadLength(error),
            };
            let answer = match self.framed.outgoing.packet_space() {
                Ok(response) => handler(request, response),
                Err(error) => return Ended::BadResponse(error),
            };
            let (length, is_last) = match answer {
                Answer::Response(length) => (length, false),
                Answer::LastResponse(length) => (length, true),
                Answer::Close => return Ended::ByHandler,
            };
            if let Err(error) = self.framed.outgoing.finish(length) {
                return Ended::BadResponse(error);
            }
            if let Err(ended) = self.write_response(stop) {
                return ended;
            }
            if is_last {
                self.finish();
                return Ended::ByHandler;
            }
            waiting_since = None;
            allowed = self.options.idle_deadline;
        }
    }

    /// Reads once, sleeping for the poll interval at most, and watches the deadlines.
    fn read_more(
        &mut self,
        stop: &AtomicBool,
        allowed: Option<Duration>,
        waiting_since: &mut Option<Instant>,
    ) -> Result<(), Ended> {
        if stop.load(Ordering::Relaxed) {
            return Err(Ended::Stopped);
        }
        let started = self.framed.incoming.is_frame_started();
        match self.framed.read(RecvFlags::empty()).map_err(Ended::Broken)? {
            // The usual case, a whole request in one read, never asks for the time.
            Read::Bytes if !started => {
                *waiting_since = None;
                return Ok(());
            }
            Read::Bytes | Read::Waiting => {}
            Read::End => return Err(if started { Ended::WithinFrame } else { Ended::ByPeer }),
        }
        let now = Instant::now();
        let waited = now.saturating_duration_since(*waiting_since.get_or_insert(now));
        if started && waited >= self.options.frame_deadline {
            return Err(Ended::FrameTooSlow);
        }
        if !started && allowed.is_some_and(|allowed| waited >= allowed) {
            return Err(Ended::Silent);
        }
        Ok(())
    }

    /// Writes the response out, sleeping while the peer accepts nothing.
    fn write_response(&mut self, stop: &AtomicBool) -> Result<(), Ended> {
        let mut since = None;
        while !self.framed.flush().map_err(Ended::Broken)? {
            let now = Instant::now();
            let waited = now.saturating_duration_since(*since.get_or_insert(now));
            if waited >= self.options.write_deadline {
                return Err(Ended::ResponseNotRead);
            }
            if stop.load(Ordering::Relaxed) && waited >= self.options.poll_interval {
                return Err(Ended::Stopped);
            }
            self.framed.wait(PollFlags::OUT, self.options.poll_interval).map_err(Ended::Broken)?;
        }
        Ok(())
    }

    /// Says goodbye so that the last response arrives: closing a socket with unread bytes resets the connection,
    /// which can take the response away from the peer.
    fn finish(&mut self) {
        self.permit = None;
        if self.framed.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        for _ in 0..16 {
            self.framed.incoming.reset();
            if !matches!(self.framed.read(RecvFlags::DONTWAIT), Ok(Read::Bytes)) {
                return;
            }
        }
    }
}

impl ServerTransport for TcpConnection {
    type Error = io::Error;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<io::Error>> {
        self.framed.receive(buffer, Duration::ZERO)
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<io::Error>> {
        self.framed.send(packet)
    }
}
