//! Packets over TCP (document 01, §12.1): a client transport, and a listener.
//!
//! Every packet travels behind its length in one write; one read takes whatever has arrived. `TCP_NODELAY` is set on
//! both ends. All sockets are driven from the calling thread: the server application gives each
//! [`Connection`] a thread of its own, so that a slow peer holds up nobody else.

use crate::LinkError;
use crate::connection::{
    Accepted, Connection, ConnectionOptions, DEFAULT_POLL_INTERVAL, Listener, Peer, Refusal,
};
use crate::socket::{FramedStream, Line, wait_for};
use casemate_transport::{ClientTransport, TransportError};
use rustix::event::PollFlags;
use rustix::net::sockopt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Sets up a connected socket.
pub(crate) fn prepare(stream: TcpStream) -> io::Result<OwnedFd> {
    stream.set_nodelay(true)?;
    // A peer that lost power or its network never says goodbye; probes find that out within about two minutes.
    sockopt::set_socket_keepalive(&stream, true)?;
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        sockopt::set_tcp_keepidle(&stream, Duration::from_secs(60))?;
        sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(15))?;
        sockopt::set_tcp_keepcnt(&stream, 4)?;
    }
    Ok(stream.into())
}

/// Connects to the first address of `address`, which is `HOST:PORT`, that takes the connection.
pub(crate) fn connect(address: &str, timeout: Duration) -> Result<TcpStream, LinkError> {
    let failed = |source| LinkError::Connect { address: address.to_owned(), source };
    let addresses = address
        .to_socket_addrs()
        .map_err(|source| LinkError::Resolve { address: address.to_owned(), source })?;
    let deadline = Instant::now().checked_add(timeout);
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for one in addresses {
        let left = deadline.map_or(timeout, |at| at.saturating_duration_since(Instant::now()));
        match connect_to(one, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
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

/// A client's TCP connection to a server.
///
/// A connection that was lost stays lost ([`TransportError::Closed`]) until [`reconnect`](Self::reconnect).
/// [`receive_within`](ClientTransport::receive_within) sleeps 0.1 seconds at most per call.
#[derive(Debug)]
pub struct TcpClientTransport {
    address: String,
    maximum_packet: usize,
    timeout: Duration,
    line: Line<FramedStream>,
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
        let line = Line::down(address.to_owned());
        let mut transport = Self { address: address.to_owned(), maximum_packet, timeout, line };
        transport.reconnect()?;
        Ok(transport)
    }

    /// Drops the connection, if there still is one, and makes a new one to the same address. Bytes in flight are
    /// lost.
    ///
    /// # Errors
    /// As [`connect`](Self::connect). The transport stays closed and this can be tried again.
    pub fn reconnect(&mut self) -> Result<(), LinkError> {
        self.close();
        let framed = prepare(connect(&self.address, self.timeout)?)
            .and_then(|socket| FramedStream::new(socket, self.maximum_packet, DEFAULT_POLL_INTERVAL))
            .map_err(|source| LinkError::Connect { address: self.address.clone(), source })?;
        self.line.set(Some(framed));
        Ok(())
    }

    /// Whether the connection was not yet found to be lost.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.line.is_up()
    }

    /// Ends the connection. The server sees the end after every packet sent before.
    pub fn close(&mut self) {
        self.line.set(None);
    }
}

impl ClientTransport for TcpClientTransport {
    type Error = LinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        self.line.send(packet)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        self.line.receive(buffer, Duration::ZERO)
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        self.line.receive(buffer, longest)
    }
}

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpServer {
    listener: TcpListener,
    options: ConnectionOptions,
}

impl TcpServer {
    /// Listens on `HOST:PORT`; port 0 picks a free one, see [`local_address`](Self::local_address).
    ///
    /// # Errors
    /// [`LinkError::Resolve`] if `address` has no meaning, [`LinkError::Bind`] if the operating system refuses.
    pub fn bind(address: &str, options: ConnectionOptions) -> Result<Self, LinkError> {
        Ok(Self { listener: bind(address)?, options: options.checked() })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A listening socket that does not wait.
pub(crate) fn bind(address: &str) -> Result<TcpListener, LinkError> {
    let addresses: Vec<_> = address
        .to_socket_addrs()
        .map_err(|source| LinkError::Resolve { address: address.to_owned(), source })?
        .collect();
    let failed = |source| LinkError::Bind { address: address.to_owned(), source };
    let listener = TcpListener::bind(&addresses[..]).map_err(failed)?;
    // So that a peer that is gone again before it was accepted cannot make `accept` wait.
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Waits for the next peer at `listener`; `None` when `stop` is set.
pub(crate) fn next_peer<S>(
    listener: &impl std::os::fd::AsFd,
    mut accept: impl FnMut() -> io::Result<S>,
    poll_interval: Duration,
    stop: &AtomicBool,
) -> Result<Option<S>, LinkError> {
    let failed = |source| {
        std::thread::sleep(poll_interval);
        LinkError::Accept { source }
    };
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if !wait_for(listener, PollFlags::IN, poll_interval).map_err(failed)? {
            continue;
        }
        match accept() {
            Ok(accepted) => return Ok(Some(accepted)),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset => {}
                _ => return Err(failed(error)),
            },
        }
    }
}

impl Listener for TcpServer {
    fn accept(&self, stop: &AtomicBool) -> Result<Accepted, LinkError> {
        let options = &self.options;
        loop {
            let accept = || self.listener.accept();
            let Some((stream, address)) = next_peer(&self.listener, accept, options.poll_interval, stop)?
            else {
                return Ok(Accepted::Stopped);
            };
            let peer = Peer::Tcp(address);
            let Some(permit) = options.limit.take(&peer) else {
                return Ok(Accepted::Refused(peer, Refusal::Limit));
            };
            // Setting up fails if the peer is gone already: that is the peer's affair.
            let framed = prepare(stream)
                .and_then(|socket| FramedStream::new(socket, options.maximum_packet, options.poll_interval));
            if let Ok(framed) = framed {
                return Ok(Accepted::Connection(Connection::new(permit, Box::new(framed), peer, options)));
            }
        }
    }

    fn address(&self) -> String {
        self.local_address().map_or_else(|error| error.to_string(), |address| address.to_string())
    }
}
