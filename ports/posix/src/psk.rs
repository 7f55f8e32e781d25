//! Packets over TLS with pre-shared keys (document 01, §12.2): each packet is one record, as over [`tls`](crate::tls), but
//! both sides prove that they have the same key, and nobody has a certificate.
//!
//! TLS 1.3 (RFC 8446, with a Diffie-Hellman exchange) and TLS 1.2 with the DHE_PSK and ECDHE_PSK suites of RFC 5487, RFC
//! 7905 and RFC 5489 that encrypt with AES-GCM or ChaCha20-Poly1305: whoever learns a key later cannot read what was recorded
//! before. Sessions are not resumed.
//!
//! The TLS library is the system's OpenSSL. Keys lie in its memory too, which this crate cannot wipe.

use crate::LinkError;
use crate::connection::{
    Accepted, Connection, ConnectionOptions, DEFAULT_POLL_INTERVAL, Ended, Exchange, Listener, PacketStream,
    Peer, Read, Refusal,
};
use crate::socket::{ClientStream, Line, SEND_FLAGS, set_poll_interval, wait_for};
use crate::tcp;
use casemate_protocol::{ClientId, Header};
use casemate_transport::{ClientTransport, FrameError, TransportError};
use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslStream,
    SslVersion,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, send, shutdown};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The largest packet that fits a record, in bytes.
pub const MAXIMUM_PACKET: usize = 16_384;

/// Shortest key in bytes. What people choose as a password has far less entropy than its length says: make keys at random.
pub const MINIMUM_KEY: usize = 16;

/// The longest identity in bytes.
pub const MAXIMUM_IDENTITY: usize = 128;

/// No file with one key is longer, in bytes.
const MAXIMUM_FILE: u64 = 4096;

/// Suites of TLS 1.2. Those of TLS 1.3 have to be ones with SHA-256, which is the hash that such keys are for.
const SUITES_12: &str = "ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256:\
                         DHE-PSK-CHACHA20-POLY1305";
const SUITES_13: &str = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// A pre-shared key, and what it is called on the wire, where everybody can read that.
#[derive(Clone)]
pub struct PskKey {
    identity: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for PskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskKey")
            .field("identity", &String::from_utf8_lossy(&self.identity))
            .finish_non_exhaustive()
    }
}

impl PskKey {
    /// A key of 16 to 256 bytes, with an identity of 1 to 128 bytes without a zero among them.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`].
    pub fn new(identity: &[u8], key: &[u8]) -> io::Result<Self> {
        if !(1..=MAXIMUM_IDENTITY).contains(&identity.len()) || identity.contains(&0) {
            return Err(invalid(format!("an identity has 1 to {MAXIMUM_IDENTITY} bytes, and no zero")));
        }
        if !(MINIMUM_KEY..=256).contains(&key.len()) {
            return Err(invalid(format!(
                "a pre-shared key has {MINIMUM_KEY} to 256 bytes, this one {}",
                key.len()
            )));
        }
        Ok(Self { identity: identity.to_vec(), key: Zeroizing::new(key.to_vec()) })
    }

    /// Reads a line as files of keys have them: `IDENTITY:KEY` with the key in hexadecimal, or `IDENTITY:KEY:CLIENT`, which
    /// says which client a server takes its holder for.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`].
    pub fn from_line(line: &str) -> io::Result<(Self, Option<ClientId>)> {
        let mut parts = line.trim().splitn(3, ':');
        let (Some(identity), Some(digits), client) = (parts.next(), parts.next(), parts.next()) else {
            return Err(invalid("write IDENTITY:KEY or IDENTITY:KEY:CLIENT"));
        };
        let key =
            hex::decode(digits).map(Zeroizing::new).map_err(|_| invalid("the key is not hexadecimal"))?;
        let client = match client {
            None => None,
            Some(text) => {
                let number = match text.strip_prefix("0x") {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => text.parse(),
                };
                let client = number.ok().and_then(ClientId::new);
                Some(client.ok_or_else(|| invalid("a client identifier is 1 to 15"))?)
            }
        };
        Ok((Self::new(identity.as_bytes(), &key)?, client))
    }

    /// Reads a client's key: a file with one line for [`from_line`](Self::from_line). A client identifier in it is for
    /// the server and not looked at.
    ///
    /// # Errors
    /// Those of reading, [`io::ErrorKind::InvalidInput`].
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        File::open(path)?.take(MAXIMUM_FILE).read_to_string(&mut text)?;
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        match (lines.next(), lines.next()) {
            (Some(line), None) => Ok(Self::from_line(line)?.0),
            _ => Err(invalid("a client's file has one key, on one line")),
        }
    }

    /// Writes the key to the front of OpenSSL's buffer.
    fn give(&self, out: &mut [u8]) -> usize {
        match out.get_mut(..self.key.len()) {
            Some(space) => {
                space.copy_from_slice(&self.key);
                self.key.len()
            }
            None => 0,
        }
    }
}

/// Which keys a [`PskServer`] admits.
#[derive(Debug, Clone)]
pub struct PskServerOptions {
    /// The keys; with a client, whoever has that key is this client and no other.
    pub keys: Vec<(PskKey, Option<ClientId>)>,
}

/// What both sides have in common.
fn context(method: SslMethod) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContextBuilder::new(method)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_cipher_list(SUITES_12)?;
    builder.set_ciphersuites(SUITES_13)?;
    builder.set_options(
        SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    Ok(builder)
}

/// A server's keys, and whose they are.
type Keys = Arc<Vec<(PskKey, Option<ClientId>)>>;

/// Which of the server's keys a connection has used.
type Chosen = Index<Ssl, usize>;

fn server_context(keys: Keys, chosen: Chosen) -> Result<SslContext, ErrorStack> {
    let mut builder = context(SslMethod::tls_server())?;
    // RFC 3526, group 14, for clients of TLS 1.2 that name no curve.
    let group = Dh::from_pqg(BigNum::get_rfc3526_prime_2048()?, None, BigNum::from_u32(2)?)?;
    builder.set_tmp_dh(&group)?;
    builder.set_num_tickets(0)?;
    builder.set_psk_server_callback(move |ssl, identity, out| {
        let place = keys.iter().position(|(key, _)| Some(key.identity.as_slice()) == identity);
        let Some((place, (key, _))) = place.and_then(|place| Some((place, keys.get(place)?))) else {
            // Without a key the handshake fails.
            return Ok(0);
        };
        ssl.set_ex_data(chosen, place);
        Ok(key.give(out))
    });
    Ok(builder.build())
}

fn client_context(key: PskKey) -> Result<SslContext, ErrorStack> {
    let mut builder = context(SslMethod::tls_client())?;
    builder.set_psk_client_callback(move |_, _, identity, out| {
        // The identity ends with a zero.
        match identity.get_mut(..=key.identity.len()).and_then(<[u8]>::split_last_mut) {
            Some((end, space)) => {
                space.copy_from_slice(&key.identity);
                *end = 0;
                Ok(key.give(out))
            }
            None => Ok(0),
        }
    });
    Ok(builder.build())
}

/// A socket as OpenSSL reads and writes it.
#[derive(Debug)]
struct Wire {
    socket: OwnedFd,
    flags: RecvFlags,
    /// Bytes that have arrived since the last whole packet.
    received: usize,
}

impl io::Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match recv(&self.socket, buffer, self.flags) {
            Ok((_, count)) => {
                self.received = self.received.saturating_add(count);
                // One wait for each attempt.
                self.flags = RecvFlags::DONTWAIT;
                Ok(count)
            }
            Err(Errno::AGAIN | Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match send(&self.socket, bytes, SEND_FLAGS) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
            Err(Errno::INTR) => Err(io::ErrorKind::Interrupted.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an operation of OpenSSL's came to, if not to its end.
enum Pause {
    Waiting,
    End,
    Failed(io::Error),
}

impl From<openssl::ssl::Error> for Pause {
    fn from(error: openssl::ssl::Error) -> Self {
        match error.code() {
            ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => Self::Waiting,
            ErrorCode::ZERO_RETURN => Self::End,
            ErrorCode::SYSCALL if error.io_error().is_none() => Self::End,
            _ => Self::Failed(
                error
                    .into_io_error()
                    .unwrap_or_else(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            ),
        }
    }
}

/// A connected socket with its TLS session.
struct PskStream {
    stream: SslStream<Wire>,
    is_established: bool,
    packet: Zeroizing<Vec<u8>>,
    /// The length of the packet that has arrived.
    arrived: Option<usize>,
    response: Zeroizing<Vec<u8>>,
    /// The length of the response that OpenSSL has not taken yet.
    unsent: Option<usize>,
    is_corrupt: bool,
    keys: Option<(Keys, Chosen)>,
}

impl fmt::Debug for PskStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskStream").field("socket", &self.stream.get_ref().socket).finish_non_exhaustive()
    }
}

impl PskStream {
    fn new(socket: OwnedFd, ssl: Ssl, maximum_packet: usize, poll_interval: Duration) -> io::Result<Self> {
        set_poll_interval(&socket, poll_interval)?;
        let wire = Wire { socket, flags: RecvFlags::DONTWAIT, received: 0 };
        let storage = || Zeroizing::new(vec![0; maximum_packet.min(MAXIMUM_PACKET)]);
        Ok(Self {
            stream: SslStream::new(ssl, wire)?,
            is_established: false,
            packet: storage(),
            arrived: None,
            response: storage(),
            unsent: None,
            is_corrupt: false,
            keys: None,
        })
    }

    /// Goes on with the handshake, or reads a record.
    fn advance(&mut self, flags: RecvFlags) -> Result<(), Pause> {
        self.stream.get_mut().flags = flags;
        if !self.is_established {
            self.stream.do_handshake()?;
            self.is_established = true;
        } else if self.arrived.is_none() {
            // One call never gives the plaintext of two records.
            let length = self.stream.ssl_read(&mut self.packet)?;
            // What does not fit shows as a rest.
            let whole = length.saturating_add(self.stream.ssl().pending());
            self.arrived = Some(whole);
        }
        self.stream.get_mut().received = 0;
        Ok(())
    }

    fn read_with(&mut self, flags: RecvFlags) -> io::Result<Read> {
        match self.advance(flags) {
            Ok(()) => Ok(Read::Bytes),
            Err(Pause::Waiting) => Ok(Read::Waiting),
            Err(Pause::End) => Ok(Read::End),
            Err(Pause::Failed(error)) => Err(error),
        }
    }

    /// The length of the packet that has arrived, at the front of the packet buffer.
    fn next_packet(&mut self) -> Result<Option<usize>, FrameError> {
        let Some(length) = self.arrived.take() else { return Ok(None) };
        if !(Header::SIZE..=self.packet.len()).contains(&length) {
            self.is_corrupt = true;
            let found = u32::try_from(length).unwrap_or(u32::MAX);
            return Err(FrameError::BadLength { found, maximum: self.packet.len() });
        }
        Ok(Some(length))
    }

    /// Gives OpenSSL the response, as one record.
    fn push(&mut self, length: usize) -> Result<(), FrameError> {
        let (found, maximum) = (u32::try_from(length).unwrap_or(u32::MAX), self.response.len());
        let bad_length = FrameError::BadLength { found, maximum };
        if length < Header::SIZE {
            return Err(bad_length);
        }
        let packet = self.response.get(..length).ok_or(bad_length)?;
        match self.stream.ssl_write(packet).map_err(Pause::from) {
            Ok(written) if written == length => Ok(()),
            Err(Pause::Waiting) => {
                self.unsent = Some(length);
                Ok(())
            }
            _ => Err(FrameError::Unsent),
        }
    }
}

impl PacketStream for PskStream {
    fn exchange(&mut self) -> Result<Option<Exchange<'_>>, Ended> {
        let Some(length) = self.next_packet().map_err(Ended::BadLength)? else { return Ok(None) };
        Ok(self.packet.get_mut(..length).map(|request| (request, &mut self.response[..])))
    }

    fn is_started(&self) -> bool {
        self.stream.get_ref().received > 0
    }

    fn read(&mut self, may_wait: bool) -> io::Result<Read> {
        self.read_with(if may_wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT })
    }

    fn finish(&mut self, length: usize) -> Result<(), FrameError> {
        self.push(length)
    }

    fn respond(&mut self, packet: &[u8]) -> Result<(), FrameError> {
        let (found, maximum) = (u32::try_from(packet.len()).unwrap_or(u32::MAX), self.response.len());
        let space = self.response.get_mut(..packet.len()).ok_or(FrameError::BadLength { found, maximum })?;
        space.copy_from_slice(packet);
        self.push(packet.len())
    }

    fn flush(&mut self) -> io::Result<bool> {
        let Some(length) = self.unsent else { return Ok(true) };
        let packet = self.response.get(..length).unwrap_or_default();
        match self.stream.ssl_write(packet).map_err(Pause::from) {
            Ok(_) => {
                self.unsent = None;
                Ok(true)
            }
            Err(Pause::Waiting) => Ok(false),
            Err(Pause::End) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(Pause::Failed(error)) => Err(error),
        }
    }

    fn wait_writable(&mut self, longest: Duration) -> io::Result<()> {
        wait_for(&self.stream.get_ref().socket, PollFlags::OUT, longest).map(|_| ())
    }

    fn end(&mut self) {
        let socket = &self.stream.get_ref().socket;
        if shutdown(socket, Shutdown::Write).is_err() {
            return;
        }
        let mut rest = [0; 4096];
        for _ in 0..16 {
            if !matches!(recv(socket, &mut rest, RecvFlags::DONTWAIT), Ok((_, 1..))) {
                return;
            }
        }
    }

    fn is_established(&self) -> bool {
        self.is_established
    }

    fn client(&self) -> Result<Option<ClientId>, Ended> {
        let Some((keys, chosen)) = &self.keys else { return Ok(None) };
        let place = self.stream.ssl().ex_data(*chosen).copied();
        match place.and_then(|place| keys.get(place)) {
            Some((_, client)) => Ok(*client),
            None => Err(Ended::Broken(invalid("the handshake used no key of this server's"))),
        }
    }
}

impl Drop for PskStream {
    fn drop(&mut self) {
        // Says goodbye if that needs no waiting.
        let _ = self.stream.shutdown();
    }
}

impl ClientStream for PskStream {
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<io::Error>> {
        if !self.flush().map_err(TransportError::Failed)? {
            return Err(TransportError::NotReady);
        }
        self.respond(packet).map_err(|_| TransportError::BadLength)?;
        self.flush().map_err(TransportError::Failed)?;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], longest: Duration) -> Result<usize, TransportError<io::Error>> {
        let mut may_wait = !longest.is_zero();
        loop {
            if let Some(length) = self.next_packet().map_err(|_| TransportError::BadLength)? {
                let space = buffer.get_mut(..length).ok_or(TransportError::BadLength)?;
                space.copy_from_slice(self.packet.get(..length).ok_or(TransportError::BadLength)?);
                return Ok(length);
            }
            let mut flags = RecvFlags::DONTWAIT;
            if may_wait {
                may_wait = false;
                if longest >= DEFAULT_POLL_INTERVAL {
                    flags = RecvFlags::empty();
                } else {
                    let socket = &self.stream.get_ref().socket;
                    wait_for(socket, PollFlags::IN, longest).map_err(TransportError::Failed)?;
                }
            }
            match self.read_with(flags).map_err(TransportError::Failed)? {
                Read::Bytes => {}
                Read::Waiting => return Err(TransportError::NotReady),
                Read::End => return Err(TransportError::Closed),
            }
        }
    }

    fn is_corrupt(&self) -> bool {
        self.is_corrupt
    }
}

/// A listening TCP socket whose peers speak TLS with pre-shared keys.
pub struct PskServer {
    listener: TcpListener,
    context: SslContext,
    keys: Keys,
    chosen: Chosen,
    options: ConnectionOptions,
}

impl fmt::Debug for PskServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskServer").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl PskServer {
    /// Listens on `HOST:PORT`; port 0 picks a free one, see [`local_address`](Self::local_address).
    ///
    /// # Errors
    /// [`LinkError::Resolve`], [`LinkError::Bind`]: also without any key, with one identity for two keys, or if packets
    /// could be larger than [`MAXIMUM_PACKET`].
    pub fn bind(address: &str, psk: PskServerOptions, options: ConnectionOptions) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Bind { address: address.to_owned(), source };
        if options.maximum_packet > MAXIMUM_PACKET {
            let limit = MAXIMUM_PACKET - Header::SIZE;
            return Err(failed(invalid(format!("over TLS, packets carry {limit} bytes of data at most"))));
        }
        let keys = Arc::new(psk.keys);
        let is_twice = |(index, (key, _)): (usize, &(PskKey, _))| {
            keys.iter().take(index).any(|(other, _)| other.identity == key.identity)
        };
        if keys.is_empty() || keys.iter().enumerate().any(is_twice) {
            return Err(failed(invalid(
                "there has to be a pre-shared key, and each needs an identity of its own",
            )));
        }
        let chosen = Ssl::new_ex_index().map_err(|error| failed(error.into()))?;
        let context = server_context(Arc::clone(&keys), chosen).map_err(|error| failed(error.into()))?;
        Ok(Self { listener: tcp::bind(address)?, context, keys, chosen, options: options.checked() })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Listener for PskServer {
    fn accept(&self, stop: &AtomicBool) -> Result<Accepted, LinkError> {
        let options = &self.options;
        loop {
            let accept = || self.listener.accept();
            let next = tcp::next_peer(&self.listener, accept, options.poll_interval, stop)?;
            let Some((stream, address)) = next else { return Ok(Accepted::Stopped) };
            let peer = Peer::Tls(address);
            let Some(permit) = options.limit.take(&peer) else {
                return Ok(Accepted::Refused(peer, Refusal::Limit));
            };
            let stream = tcp::prepare(stream).and_then(|socket| {
                let mut ssl = Ssl::new(&self.context)?;
                ssl.set_accept_state();
                let mut stream = PskStream::new(socket, ssl, options.maximum_packet, options.poll_interval)?;
                stream.keys = Some((Arc::clone(&self.keys), self.chosen));
                Ok(stream)
            });
            // Setting up fails if the peer is gone already: that is the peer's affair.
            if let Ok(stream) = stream {
                return Ok(Accepted::Connection(Connection::new(permit, Box::new(stream), peer, options)));
            }
        }
    }

    fn address(&self) -> String {
        self.local_address().map_or_else(|error| error.to_string(), |address| format!("tls-psk://{address}"))
    }
}

/// A client's TLS connection to a server with which it shares a key.
///
/// A connection that was lost stays lost ([`TransportError::Closed`]) until [`reconnect`](Self::reconnect).
pub struct PskClientTransport {
    address: String,
    context: SslContext,
    maximum_packet: usize,
    timeout: Duration,
    line: Line<PskStream>,
}

impl fmt::Debug for PskClientTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskClientTransport").field("address", &self.address).finish_non_exhaustive()
    }
}

impl PskClientTransport {
    /// Connects to a server and carries out the handshake. `address` is `HOST:PORT`; `maximum_packet` is the size in
    /// bytes of the largest packet in either direction, of which [`MAXIMUM_PACKET`] can be sent; `timeout` bounds the
    /// connection and the handshake each.
    ///
    /// # Errors
    /// [`LinkError::Resolve`], [`LinkError::Connect`]: also if the server has not the same key.
    pub fn connect(
        address: &str,
        key: PskKey,
        maximum_packet: usize,
        timeout: Duration,
    ) -> Result<Self, LinkError> {
        let failed =
            |source: ErrorStack| LinkError::Connect { address: address.to_owned(), source: source.into() };
        let context = client_context(key).map_err(failed)?;
        let line = Line::down(address.to_owned());
        let mut transport = Self { address: address.to_owned(), context, maximum_packet, timeout, line };
        transport.reconnect()?;
        Ok(transport)
    }

    /// Drops the connection, if there still is one, and makes a new one to the same address.
    ///
    /// # Errors
    /// As [`connect`](Self::connect). The transport stays closed and this can be tried again.
    pub fn reconnect(&mut self) -> Result<(), LinkError> {
        self.close();
        let failed = |source| LinkError::Connect { address: self.address.clone(), source };
        let socket = tcp::prepare(tcp::connect(&self.address, self.timeout)?).map_err(failed)?;
        let mut ssl = Ssl::new(&self.context).map_err(|error| failed(error.into()))?;
        ssl.set_connect_state();
        let begin = Instant::now();
        let mut stream =
            PskStream::new(socket, ssl, self.maximum_packet, DEFAULT_POLL_INTERVAL).map_err(failed)?;
        while !stream.is_established {
            if begin.elapsed() >= self.timeout {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
            if stream.read(true).map_err(failed)? == Read::End {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        self.line.set(Some(stream));
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

impl ClientTransport for PskClientTransport {
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
