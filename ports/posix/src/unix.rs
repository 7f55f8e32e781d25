//! Packets over Unix-domain sockets, framed as over TCP (document 01, §12.1). The original has no such transport.
//!
//! The operating system tells the server who a peer is. A server can admit some users and groups only, and it can bind
//! a user to a client identifier, so that nobody else can claim it.

use crate::LinkError;
use crate::connection::{
    Accepted, Connection, ConnectionOptions, DEFAULT_POLL_INTERVAL, Listener, PacketStream, Peer, Read,
    Refusal,
};
use crate::connection::{Ended, Exchange};
use crate::socket::{FramedStream, Line};
use crate::tcp::next_peer;
use casemate_protocol::ClientId;
use casemate_transport::{ClientTransport, FrameError, TransportError};
use rustix::fs::{FileType, Mode, chmod, lstat};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Who is at the other end, as the operating system says: at the moment when the peer connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The process.
    pub process: i32,
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of user {}", self.process, self.user)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn credentials(stream: &UnixStream) -> io::Result<Credentials> {
    let found = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(Credentials {
        process: found.pid.as_raw_nonzero().get(),
        user: found.uid.as_raw(),
        group: found.gid.as_raw(),
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn credentials(_: &UnixStream) -> io::Result<Credentials> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this operating system does not tell who a peer is"))
}

/// Which peers a [`UnixServer`] admits, and as which clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnixPolicy {
    /// Users that may connect. If this and [`groups`](Self::groups) are empty, everybody may who can reach the socket.
    pub users: Vec<u32>,
    /// Groups that may connect: a peer's effective group, not its further ones.
    pub groups: Vec<u32>,
    /// Users that are one client each, and can be no other. If there are any, no further user may connect.
    pub clients: Vec<(u32, ClientId)>,
}

impl UnixPolicy {
    /// Which client a peer is, if that is settled; `Err` if it may not connect.
    fn judge(&self, peer: &Credentials) -> Result<Option<ClientId>, Refusal> {
        let is_listed = self.users.contains(&peer.user) || self.groups.contains(&peer.group);
        if !(self.users.is_empty() && self.groups.is_empty() || is_listed) {
            return Err(Refusal::NotAllowed);
        }
        let bound = self.clients.iter().find(|(user, _)| *user == peer.user).map(|(_, client)| *client);
        if bound.is_none() && !self.clients.is_empty() {
            return Err(Refusal::NotAllowed);
        }
        Ok(bound)
    }
}

/// A listening Unix-domain socket.
#[derive(Debug)]
pub struct UnixServer {
    listener: UnixListener,
    path: PathBuf,
    policy: UnixPolicy,
    options: ConnectionOptions,
}

impl UnixServer {
    /// Makes a socket at `path`, with access rights 0660, and listens on it. A socket that nobody listens on any more
    /// is replaced; anything else of that name is left alone.
    ///
    /// # Errors
    /// [`LinkError::Bind`].
    pub fn bind(path: &Path, policy: UnixPolicy, options: ConnectionOptions) -> Result<Self, LinkError> {
        Ok(Self { listener: listen(path)?, path: path.to_owned(), policy, options: options.checked() })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A listening socket that does not wait, with access rights 0660. A socket that nobody listens on any more is replaced.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, LinkError> {
    let failed = |source| LinkError::Bind { address: path.display().to_string(), source };
    remove_stale(path).map_err(failed)?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
    chmod(path, mode).map_err(|error| failed(error.into()))?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Removes a socket that a server has left behind.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(status) = lstat(path) else { return Ok(()) };
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something else has that name; choose another",
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

impl Drop for UnixServer {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A stream whose peer is a certain client.
#[derive(Debug)]
struct Known {
    stream: FramedStream,
    client: Option<ClientId>,
}

impl PacketStream for Known {
    fn exchange(&mut self) -> Result<Option<Exchange<'_>>, Ended> {
        self.stream.exchange()
    }

    fn is_started(&self) -> bool {
        self.stream.is_started()
    }

    fn read(&mut self, may_wait: bool) -> io::Result<Read> {
        self.stream.read(may_wait)
    }

    fn finish(&mut self, length: usize) -> Result<(), FrameError> {
        self.stream.finish(length)
    }

    fn respond(&mut self, packet: &[u8]) -> Result<(), FrameError> {
        self.stream.respond(packet)
    }

    fn flush(&mut self) -> io::Result<bool> {
        self.stream.flush()
    }

    fn wait_writable(&mut self, longest: Duration) -> io::Result<()> {
        self.stream.wait_writable(longest)
    }

    fn end(&mut self) {
        self.stream.end();
    }

    fn client(&self) -> Result<Option<ClientId>, Ended> {
        Ok(self.client)
    }
}

impl Listener for UnixServer {
    fn accept(&self, stop: &AtomicBool) -> Result<Accepted, LinkError> {
        let options = &self.options;
        loop {
            let accept = || self.listener.accept();
            let Some((stream, _)) = next_peer(&self.listener, accept, options.poll_interval, stop)? else {
                return Ok(Accepted::Stopped);
            };
            let credentials = credentials(&stream).map_err(|source| LinkError::Accept { source })?;
            let peer = Peer::Unix(credentials);
            let client = match self.policy.judge(&credentials) {
                Ok(client) => client,
                Err(refusal) => return Ok(Accepted::Refused(peer, refusal)),
            };
            let Some(permit) = options.limit.take(&peer) else {
                return Ok(Accepted::Refused(peer, Refusal::Limit));
            };
            let framed = FramedStream::new(stream.into(), options.maximum_packet, options.poll_interval);
            if let Ok(stream) = framed {
                let stream = Box::new(Known { stream, client });
                return Ok(Accepted::Connection(Connection::new(permit, stream, peer, options)));
            }
        }
    }

    fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

/// A client's connection to a server's Unix-domain socket.
///
/// A connection that was lost stays lost ([`TransportError::Closed`]) until [`reconnect`](Self::reconnect).
#[derive(Debug)]
pub struct UnixClientTransport {
    path: PathBuf,
    maximum_packet: usize,
    line: Line<FramedStream>,
}

impl UnixClientTransport {
    /// Connects to the socket at `path`. `maximum_packet` is the size in bytes of the largest packet in either
    /// direction: 8 plus the packet data length.
    ///
    /// # Errors
    /// [`LinkError::Connect`].
    pub fn connect(path: &Path, maximum_packet: usize) -> Result<Self, LinkError> {
        let line = Line::down(path.display().to_string());
        let mut transport = Self { path: path.to_owned(), maximum_packet, line };
        transport.reconnect()?;
        Ok(transport)
    }

    /// Drops the connection, if there still is one, and makes a new one to the same socket.
    ///
    /// # Errors
    /// As [`connect`](Self::connect). The transport stays closed and this can be tried again.
    pub fn reconnect(&mut self) -> Result<(), LinkError> {
        self.close();
        let framed = UnixStream::connect(&self.path)
            .and_then(|stream| FramedStream::new(stream.into(), self.maximum_packet, DEFAULT_POLL_INTERVAL))
            .map(FramedStream::waiting_by_poll)
            .map_err(|source| LinkError::Connect { address: self.path.display().to_string(), source })?;
        self.line.set(Some(framed));
        Ok(())
    }

    /// Whether the connection was not yet found to be lost.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.line.is_up()
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        self.line.set(None);
    }
}

impl ClientTransport for UnixClientTransport {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_connect_and_as_whom() {
        let peer = Credentials { process: 1, user: 1000, group: 50 };
        let client = ClientId::new(3).unwrap();
        let judge = |users: &[u32], groups: &[u32], clients: &[(u32, ClientId)]| {
            let (users, groups, clients) = (users.to_vec(), groups.to_vec(), clients.to_vec());
            UnixPolicy { users, groups, clients }.judge(&peer)
        };
        assert_eq!(judge(&[], &[], &[]), Ok(None));
        assert_eq!(judge(&[1000], &[], &[]), Ok(None));
        assert_eq!(judge(&[0], &[50], &[]), Ok(None));
        assert_eq!(judge(&[0], &[], &[]), Err(Refusal::NotAllowed));
        assert_eq!(judge(&[50], &[1000], &[]), Err(Refusal::NotAllowed));
        assert_eq!(judge(&[], &[], &[(1000, client)]), Ok(Some(client)));
        assert_eq!(judge(&[], &[], &[(1001, client)]), Err(Refusal::NotAllowed));
        assert_eq!(judge(&[0], &[], &[(1000, client)]), Err(Refusal::NotAllowed));
    }
}
