//! A server's connections, whatever carries their packets: limits, deadlines, and the loop that serves one peer.
//!
//! What a peer does wrong ends its own connection and nothing more; [`Ended`] says what it was.

use crate::LinkError;
use crate::shm::DmaArea;
use casemate_protocol::ClientId;
use casemate_transport::{FrameError, ServerTransport, TransportError};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest time a blocking read sleeps before it looks around.
pub(crate) const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What a server allows its peers.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// The largest packet in either direction, in bytes: 8 plus the packet data length.
    pub maximum_packet: usize,
    /// How many connections may be open at once; further ones are closed as soon as they are accepted. Clones of one
    /// value count together, whichever transport they serve.
    pub limit: ConnectionLimit,
    /// How long a thread that waits for a peer sleeps before it looks at the stop flag.
    pub poll_interval: Duration,
    /// How long a peer may take for its first request, if limited.
    pub first_request_deadline: Option<Duration>,
    /// How long a peer may be silent between requests, if limited.
    pub idle_deadline: Option<Duration>,
    /// How long a peer may take to complete a packet, or a TLS handshake, that it has begun.
    pub frame_deadline: Duration,
    /// How long a peer may take to accept a response.
    pub write_deadline: Duration,
}

impl ConnectionOptions {
    /// The usual deadlines and limits for a packet size: 64 connections, a first request within 60 seconds, no idle
    /// limit after it, 5 seconds for a packet in either direction.
    #[must_use]
    pub fn new(maximum_packet: usize) -> Self {
        Self {
            maximum_packet,
            limit: ConnectionLimit::new(64),
            poll_interval: DEFAULT_POLL_INTERVAL,
            first_request_deadline: Some(Duration::from_secs(60)),
            idle_deadline: None,
            frame_deadline: Duration::from_secs(5),
            write_deadline: Duration::from_secs(5),
        }
    }

    /// The same with a poll interval that makes sense.
    pub(crate) fn checked(mut self) -> Self {
        self.poll_interval = self.poll_interval.max(Duration::from_millis(1));
        self
    }
}

/// How many connections may be open at once: in all, from one origin, and of one client identifier.
#[derive(Debug, Clone)]
pub struct ConnectionLimit {
    maximum: usize,
    for_each_origin: usize,
    for_each_client: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_origin: HashMap<Origin, usize>,
    by_client: HashMap<ClientId, usize>,
}

/// What connections are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Address(IpAddr),
    User(u32),
    SharedMemory,
}

impl ConnectionLimit {
    /// So many connections in all.
    #[must_use]
    pub fn new(maximum: usize) -> Self {
        Self { maximum, for_each_origin: usize::MAX, for_each_client: usize::MAX, counts: Arc::default() }
    }

    /// The same, and only so many from one origin: an Internet address, a user of this machine, or shared memory.
    #[must_use]
    pub fn for_each_origin(mut self, maximum: usize) -> Self {
        self.for_each_origin = maximum;
        self
    }

    /// The same, and only so many that have said INIT with one identifier. Where identifiers are bound to nothing they are
    /// claims: whoever claims another's can then keep it out.
    #[must_use]
    pub fn for_each_client(mut self, maximum: usize) -> Self {
        self.for_each_client = maximum;
        self
    }

    /// A place for a connection that has said who it is, if there is one.
    #[must_use]
    pub fn admit(&self, client: ClientId) -> Option<Admission> {
        let mut counts = self.counts();
        let present = counts.by_client.get(&client).copied().unwrap_or(0);
        if present >= self.for_each_client {
            return None;
        }
        counts.by_client.insert(client, present + 1);
        drop(counts);
        Some(Admission { limit: self.clone(), client })
    }

    /// How many connections are open.
    #[must_use]
    pub fn active(&self) -> usize {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Numbers are never half changed.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection, if there is one.
    pub(crate) fn take(&self, peer: &Peer) -> Option<Permit> {
        let origin = peer.origin();
        let mut counts = self.counts();
        let from_here = counts.by_origin.get(&origin).copied().unwrap_or(0);
        if counts.all >= self.maximum || from_here >= self.for_each_origin {
            return None;
        }
        counts.all += 1;
        counts.by_origin.insert(origin, from_here + 1);
        drop(counts);
        Some(Permit { limit: self.clone(), origin })
    }
}

/// One of the allowed connections; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    limit: ConnectionLimit,
    origin: Origin,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.limit.counts();
        counts.all = counts.all.saturating_sub(1);
        if let Some(count) = counts.by_origin.get_mut(&self.origin) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.by_origin.remove(&self.origin);
            }
        }
    }
}

/// One of the allowed connections of a client identifier; given back when dropped.
#[derive(Debug)]
pub struct Admission {
    limit: ConnectionLimit,
    client: ClientId,
}

impl Admission {
    /// Whose it is.
    #[must_use]
    pub const fn client(&self) -> ClientId {
        self.client
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.limit.counts();
        if let Some(count) = counts.by_client.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.by_client.remove(&self.client);
            }
        }
    }
}

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a Unix-domain socket.
    Unix(crate::unix::Credentials),
    /// Over shared memory: the process, as it says itself.
    Shm(Option<i32>),
    /// Over TLS. Who it is is known after the handshake.
    Tls(SocketAddr),
}

impl Peer {
    const fn origin(&self) -> Origin {
        match self {
            Self::Tcp(address) | Self::Tls(address) => Origin::Address(address.ip()),
            Self::Unix(credentials) => Origin::User(credentials.user),
            Self::Shm(_) => Origin::SharedMemory,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(credentials) => write!(f, "unix {credentials}"),
            Self::Shm(Some(process)) => write!(f, "shm process {process}"),
            Self::Shm(None) => f.write_str("shm"),
            Self::Tls(address) => write!(f, "tls {address}"),
        }
    }
}

/// A place where peers arrive.
pub trait Listener: Send + Sync {
    /// Waits for the next peer, until `stop` is set.
    ///
    /// # Errors
    /// [`LinkError::Accept`], at most once per poll interval. It does not mean that the server has to end: a process
    /// that has run out of file descriptors, for instance, gets some back when other connections end.
    fn accept(&self, stop: &AtomicBool) -> Result<Accepted, LinkError>;

    /// How clients name this place: `HOST:PORT` for TCP, `unix:///path`, `shm://name`, `tls://HOST:PORT`.
    fn address(&self) -> String;
}

/// What [`Listener::accept`] came back with.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // Made once for each connection.
pub enum Accepted {
    /// A peer has connected.
    Connection(Connection),
    /// A peer has connected and was disconnected at once.
    Refused(Peer, Refusal),
    /// The stop flag is set.
    Stopped,
}

/// Why a peer was disconnected at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A connection limit is reached.
    Limit,
    /// Its user and group are not among those that may connect.
    NotAllowed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limit => "turned away, the connection limit is reached",
            Self::NotAllowed => "turned away, its user and group may not connect",
        })
    }
}

/// What a request handler decides, see [`Connection::serve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Send the first so many bytes of the response space.
    Response(usize),
    /// Send the first so many bytes of the response space, then end the connection.
    LastResponse(usize),
    /// End the connection without a response.
    Close,
    /// The same, because its client identifier has no place left ([`ConnectionLimit::for_each_client`]).
    TurnAway,
}

/// Why a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The peer closed it between two frames, or its process ended.
    ByPeer,
    /// The peer closed it in the middle of a frame.
    WithinFrame,
    /// The handler asked for it, without a response.
    ByHandler,
    /// The handler said that its response was the last, as to a client that asks to close the connection.
    LastResponse,
    /// Too many connections have its client identifier.
    ClientLimit,
    /// The stop flag was set.
    Stopped,
    /// The peer announced a packet of a length out of range.
    BadLength(FrameError),
    /// The peer sent no request in the time allowed.
    Silent,
    /// The peer did not complete a frame, or its part of a TLS handshake, in the time allowed.
    FrameTooSlow,
    /// The peer did not accept a response in the time allowed.
    ResponseNotRead,
    /// The handler gave a response length out of range.
    BadResponse(FrameError),
    /// The peer's certificate stands for no client.
    UnknownCertificate([u8; 32]),
    /// The connection broke, for instance because the peer reset it, or the TLS handshake failed.
    Broken(io::Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => f.write_str("the peer closed the connection"),
            Self::WithinFrame => f.write_str("the peer closed the connection in the middle of a frame"),
            Self::ByHandler => f.write_str("the server closed the connection"),
            Self::LastResponse => f.write_str("closed in good order"),
            Self::ClientLimit => {
                f.write_str("turned away, the limit for connections of one client identifier is reached")
            }
            Self::Stopped => f.write_str("the server stops"),
            Self::BadLength(error) => write!(f, "the peer sent a bad frame: {error}"),
            Self::Silent => f.write_str("the peer sent no request in the time allowed"),
            Self::FrameTooSlow => f.write_str("the peer did not complete a frame in the time allowed"),
            Self::ResponseNotRead => f.write_str("the peer did not accept a response in the time allowed"),
            Self::BadResponse(error) => write!(f, "the server made a bad response: {error}"),
            Self::UnknownCertificate(fingerprint) => {
                f.write_str("its certificate stands for no client; its SHA-256 is ")?;
                fingerprint.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

/// How a read went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes,
    /// Nothing has arrived.
    Waiting,
    /// The peer will send no more.
    End,
}

/// A request packet, and the space for the response packet.
pub(crate) type Exchange<'a> = (&'a mut [u8], &'a mut [u8]);

/// Packets of one peer, as the loop in [`Connection::serve`] sees them.
pub(crate) trait PacketStream: fmt::Debug + Send {
    /// The next request that has arrived whole, and the space for its response.
    fn exchange(&mut self) -> Result<Option<Exchange<'_>>, Ended>;

    /// Whether a packet has begun to arrive and is not whole.
    fn is_started(&self) -> bool;

    /// Takes in what has arrived; may sleep for the poll interval if nothing has and `may_wait`.
    fn read(&mut self, may_wait: bool) -> io::Result<Read>;

    /// Makes a packet of the first `length` bytes of the response space.
    fn finish(&mut self, length: usize) -> Result<(), FrameError>;

    /// Makes a packet of `packet`.
    fn respond(&mut self, packet: &[u8]) -> Result<(), FrameError>;

    /// Writes what can be written without waiting; `true` if nothing is left.
    fn flush(&mut self) -> io::Result<bool>;

    /// Sleeps until more can be written, or `longest` has passed.
    fn wait_writable(&mut self, longest: Duration) -> io::Result<()>;

    /// Says goodbye so that the last response arrives.
    fn end(&mut self);

    /// Whether requests can come.
    fn is_established(&self) -> bool {
        true
    }

    /// Which client the peer is, if the transport knows.
    fn client(&self) -> Result<Option<ClientId>, Ended> {
        Ok(None)
    }

    /// The SHA-256 of the certificate whose private key the peer has proven to have, if the transport is one for that.
    fn certificate(&self) -> Option<[u8; 32]> {
        None
    }
}

/// A server's connection to one peer. Dropping it ends the connection.
#[derive(Debug)]
pub struct Connection {
    // Given back before the stream is closed: a peer that sees the end and connects again finds its place free.
    permit: Option<Permit>,
    stream: Box<dyn PacketStream>,
    peer: Peer,
    options: ConnectionOptions,
    dma: Option<DmaArea>,
}

impl Connection {
    pub(crate) fn new(
        permit: Permit,
        stream: Box<dyn PacketStream>,
        peer: Peer,
        options: &ConnectionOptions,
    ) -> Self {
        Self { permit: Some(permit), stream, peer, options: options.clone(), dma: None }
    }

    pub(crate) fn with_dma(mut self, dma: DmaArea) -> Self {
        self.dma = Some(dma);
        self
    }

    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The limits that it counts in.
    #[must_use]
    pub const fn limit(&self) -> &ConnectionLimit {
        &self.options.limit
    }

    /// The memory that the peer shares with this process, if it does.
    #[must_use]
    pub fn dma_area(&self) -> Option<DmaArea> {
        self.dma.clone()
    }

    /// The SHA-256 of the peer's certificate, of which the peer has proven to have the private key: over TLS, once the
    /// connection is [established](Self::establish).
    #[must_use]
    pub fn certificate(&self) -> Option<[u8; 32]> {
        self.stream.certificate()
    }

    /// Waits until requests can come, which takes a handshake over TLS and no time otherwise, and says which client the
    /// peer is if the transport was told that.
    ///
    /// # Errors
    /// [`Ended`]: the connection cannot be used.
    pub fn establish(&mut self, stop: &AtomicBool) -> Result<Option<ClientId>, Ended> {
        let begin = Instant::now();
        while !self.stream.is_established() {
            if stop.load(Ordering::Relaxed) {
                return Err(Ended::Stopped);
            }
            if begin.elapsed() >= self.options.frame_deadline {
                return Err(Ended::FrameTooSlow);
            }
            if self.stream.read(true).map_err(Ended::Broken)? == Read::End {
                return Err(Ended::WithinFrame);
            }
        }
        self.stream.client()
    }

    /// Serves requests, one by one and in order, until the connection ends, and then closes it.
    ///
    /// `handler` gets each request packet and the space for its response packet, of
    /// [`ConnectionOptions::maximum_packet`] bytes. `stop` is looked at between requests, at least once per poll
    /// interval; a request that was handled is also answered. A request is wiped once it was handled.
    pub fn serve(
        mut self,
        stop: &AtomicBool,
        mut handler: impl FnMut(&mut [u8], &mut [u8]) -> Answer,
    ) -> Ended {
        if let Err(ended) = self.establish(stop) {
            return ended;
        }
        let mut allowed = self.options.first_request_deadline;
        let mut waiting_since = None;
        loop {
            let answer = match self.stream.exchange() {
                Ok(Some((request, response))) => {
                    let answer = handler(request, response);
                    // PINs and keys came in it, and the next request may be long in coming, or shorter. The stream still
                    // holds the memory, so the compiler cannot leave this out.
                    request.fill(0);
                    answer
                }
                Ok(None) => match self.read_more(stop, allowed, &mut waiting_since) {
                    Ok(()) => continue,
                    Err(ended) => return ended,
                },
                Err(ended) => return ended,
            };
            let (length, is_last) = match answer {
                Answer::Response(length) => (length, false),
                Answer::LastResponse(length) => (length, true),
                Answer::Close => return Ended::ByHandler,
                Answer::TurnAway => return Ended::ClientLimit,
            };
            if let Err(error) = self.stream.finish(length) {
                return Ended::BadResponse(error);
            }
            if let Err(ended) = self.write_response(stop) {
                return ended;
            }
            if is_last {
                self.permit = None;
                self.stream.end();
                return Ended::LastResponse;
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
        let started = self.stream.is_started();
        match self.stream.read(true).map_err(Ended::Broken)? {
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
        while !self.stream.flush().map_err(Ended::Broken)? {
            let now = Instant::now();
            let waited = now.saturating_duration_since(*since.get_or_insert(now));
            if waited >= self.options.write_deadline {
                return Err(Ended::ResponseNotRead);
            }
            if stop.load(Ordering::Relaxed) && waited >= self.options.poll_interval {
                return Err(Ended::Stopped);
            }
            self.stream.wait_writable(self.options.poll_interval).map_err(Ended::Broken)?;
        }
        Ok(())
    }
}

impl ServerTransport for Connection {
    type Error = io::Error;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<io::Error>> {
        loop {
            match self.stream.exchange() {
                Ok(Some((request, _))) => {
                    let space = buffer.get_mut(..request.len()).ok_or(TransportError::BadLength)?;
                    space.copy_from_slice(request);
                    return Ok(request.len());
                }
                Ok(None) => {}
                Err(Ended::BadLength(_)) => return Err(TransportError::BadLength),
                Err(_) => return Err(TransportError::Closed),
            }
            match self.stream.read(false).map_err(TransportError::Failed)? {
                Read::Bytes => {}
                Read::Waiting => {
                    self.stream.flush().map_err(TransportError::Failed)?;
                    return Err(TransportError::NotReady);
                }
                Read::End => return Err(TransportError::Closed),
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<io::Error>> {
        if !self.stream.flush().map_err(TransportError::Failed)? {
            return Err(TransportError::NotReady);
        }
        self.stream.respond(packet).map_err(|_| TransportError::BadLength)?;
        self.stream.flush().map_err(TransportError::Failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that sends one request, and looks at what is left of it when it is answered.
    #[derive(Debug)]
    struct Once {
        request: Option<Vec<u8>>,
        held: Vec<u8>,
        response: [u8; 8],
    }

    impl PacketStream for Once {
        fn exchange(&mut self) -> Result<Option<Exchange<'_>>, Ended> {
            match self.request.take() {
                Some(request) => {
                    self.held = request;
                    Ok(Some((&mut self.held, &mut self.response)))
                }
                None => Err(Ended::ByPeer),
            }
        }
        fn is_started(&self) -> bool {
            false
        }
        fn read(&mut self, _: bool) -> io::Result<Read> {
            Ok(Read::Waiting)
        }
        fn finish(&mut self, length: usize) -> Result<(), FrameError> {
            assert_eq!((self.held.as_slice(), length), (&[0; 12][..], 8));
            Ok(())
        }
        fn respond(&mut self, _: &[u8]) -> Result<(), FrameError> {
            Ok(())
        }
        fn flush(&mut self) -> io::Result<bool> {
            Ok(true)
        }
        fn wait_writable(&mut self, _: Duration) -> io::Result<()> {
            Ok(())
        }
        fn end(&mut self) {}
    }

    fn connection(limit: &ConnectionLimit) -> Connection {
        let stream = Once { request: Some(b"a secret PIN".to_vec()), held: Vec::new(), response: [0; 8] };
        let peer = Peer::Shm(None);
        let mut options = ConnectionOptions::new(64);
        options.limit = limit.clone();
        Connection::new(limit.take(&peer).unwrap(), Box::new(stream), peer, &options)
    }

    #[test]
    fn a_request_is_wiped_once_it_was_handled() {
        let limit = ConnectionLimit::new(1);
        let mut seen = false;
        let ended = connection(&limit).serve(&AtomicBool::new(false), |request, _| {
            seen = request == b"a secret PIN";
            Answer::Response(8)
        });
        assert!(seen && matches!(ended, Ended::ByPeer));
        let ended = connection(&limit).serve(&AtomicBool::new(false), |_, _| Answer::TurnAway);
        assert!(matches!(ended, Ended::ClientLimit));
    }

    #[test]
    fn a_client_identifier_has_so_many_connections() {
        let [one, two] = [1, 2].map(|number| ClientId::new(number).unwrap());
        let limit = ConnectionLimit::new(9).for_each_client(2);
        let first = limit.admit(one).unwrap();
        let second = limit.clone().admit(one).unwrap();
        assert!(limit.admit(one).is_none());
        let other = limit.admit(two).unwrap();
        assert_eq!((first.client(), other.client()), (one, two));
        drop(first);
        let third = limit.admit(one).unwrap();
        assert!(limit.admit(one).is_none());
        drop((second, third, other));
        assert!(limit.counts().by_client.is_empty());
        assert!(ConnectionLimit::new(1).admit(one).is_some());
    }
}
