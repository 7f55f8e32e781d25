//! Packets over TLS 1.2 and 1.3 (document 01, §12.2): each packet is one record, without a length before it.
//!
//! Both sides show certificates. A peer is trusted if its certificate chains to a certificate authority that is trusted,
//! or if its very certificate is: the latter is how single certificates, self-signed ones among them, are admitted, and
//! neither dates nor names in them are looked at. A server can bind certificates to client identifiers, so that nobody
//! else can claim those. Sessions are not resumed: each connection proves anew who it is.
//!
//! Pre-shared keys are in the module `psk`, with another TLS library: this one (rustls) has none for use by applications.
//!
//! Clients of the original, as they are configured by default, do not say which curves they know. TLS 1.2 servers may
//! assume one; rustls does not, but takes such clients with finite-field Diffie-Hellman (RFC 7919, 2048 bits) if the
//! server's certificate has an RSA key. That group is offered to them only.

use crate::LinkError;
use crate::connection::{
    Accepted, Connection, ConnectionOptions, DEFAULT_POLL_INTERVAL, Ended, Exchange, Listener, PacketStream,
    Peer, Read, Refusal,
};
use crate::socket::{ClientStream, Line, SEND_FLAGS, set_poll_interval, wait_for};
use crate::tcp;
use aws_lc_rs::digest;
use casemate_protocol::{ClientId, Header};
use casemate_transport::{ClientTransport, FrameError, TransportError};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, send, shutdown};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName,
    RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
};
use std::fmt;
use std::fs;
use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

mod finite_field;

/// The largest packet that fits a record, in bytes.
pub const MAXIMUM_PACKET: usize = 16_384;

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A certificate with its chain, and its private key.
pub struct TlsIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl TlsIdentity {
    /// Reads a certificate, with those that lead to the certificate authority after it, and its private key: files in
    /// PEM, or with one certificate or key (PKCS #8, PKCS #1, SEC 1) in DER.
    ///
    /// # Errors
    /// The operating system's, or [`io::ErrorKind::InvalidInput`]; the text names the file.
    pub fn from_files(certificate: &Path, key: &Path) -> io::Result<Self> {
        Self::from_bytes(&read(certificate)?, &Zeroizing::new(read(key)?))
            .map_err(|error| invalid(format!("{} with {}: {error}", certificate.display(), key.display())))
    }

    /// As [`from_files`](Self::from_files), from the files' contents.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`].
    pub fn from_bytes(certificate: &[u8], key: &[u8]) -> io::Result<Self> {
        let chain = certificates(certificate)?;
        let key = if is_pem(key) {
            PrivateKeyDer::from_pem_slice(key).map_err(|error| invalid(format!("private key: {error}")))?
        } else {
            PrivateKeyDer::try_from(key.to_vec()).map_err(|_| invalid("this is no private key"))?
        };
        Ok(Self { chain, key })
    }
}

/// Certificates that are trusted: certificate authorities, and peers' very own.
#[derive(Debug, Clone)]
pub struct TlsTrust(Vec<CertificateDer<'static>>);

impl TlsTrust {
    /// Reads certificates from a file: any number in PEM, or one in DER.
    ///
    /// # Errors
    /// The operating system's, or [`io::ErrorKind::InvalidInput`]; the text names the file.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        Self::from_bytes(&read(path)?).map_err(|error| invalid(format!("{}: {error}", path.display())))
    }

    /// As [`from_file`](Self::from_file), from a file's contents.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`].
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        Ok(Self(certificates(bytes)?))
    }

    /// Those that can be certificate authorities.
    fn roots(&self) -> Option<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.0.iter().cloned());
        (!roots.is_empty()).then(|| Arc::new(roots))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display())))
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

fn certificates(bytes: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let found = if is_pem(bytes) {
        CertificateDer::pem_slice_iter(bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| invalid(format!("certificate: {error}")))?
    } else {
        vec![CertificateDer::from(bytes.to_vec())]
    };
    if found.is_empty() || found.iter().any(|one| !one.starts_with(&[0x30])) {
        return Err(invalid("this holds no certificate"));
    }
    Ok(found)
}

/// The SHA-256 of a certificate, which names it.
fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    value
}

/// Judges peers' certificates.
#[derive(Debug)]
struct Verifier<C> {
    trusted: Vec<CertificateDer<'static>>,
    chains: Option<Arc<C>>,
    provider: Arc<CryptoProvider>,
}

impl<C> Verifier<C> {
    /// `Some` if the certificate itself is trusted, else what judges chains.
    fn known(&self, certificate: &CertificateDer<'_>) -> Result<&C, bool> {
        if self.trusted.iter().any(|one| one == certificate) {
            return Err(true);
        }
        self.chains.as_deref().ok_or(false)
    }

    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

const UNKNOWN: rustls::Error = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);

/// What rustls calls a verifier of clients, so that it can be named.
type ChainsOfClients = Box<dyn ClientCertVerifierObject>;

/// A [`ClientCertVerifier`] behind its own name.
trait ClientCertVerifierObject: fmt::Debug + Send + Sync {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error>;
}

impl ClientCertVerifierObject for Arc<dyn ClientCertVerifier> {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify_client_cert(certificate, intermediates, now)
    }
}

impl ClientCertVerifier for Verifier<ChainsOfClients> {
    // Which certificate authorities are trusted is the server's business; clients have one certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.known(end_entity) {
            Err(true) => Ok(ClientCertVerified::assertion()),
            Err(false) => Err(UNKNOWN),
            Ok(chains) => chains.verify(end_entity, intermediates, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for Verifier<WebPkiServerVerifier> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.known(end_entity) {
            Err(true) => Ok(ServerCertVerified::assertion()),
            Err(false) => Err(UNKNOWN),
            Ok(chains) => chains.verify_server_cert(end_entity, intermediates, server_name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

/// A socket as rustls reads and writes it.
struct Socket<'a>(&'a OwnedFd, RecvFlags);

impl io::Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match recv(self.0, buffer, self.1) {
            Ok((_, count)) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match send(self.0, bytes, SEND_FLAGS) {
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

/// How the next record is.
enum Record {
    None,
    /// It is a packet of this length, now at the front of the packet buffer.
    Packet(usize),
    BadLength(usize),
    /// The peer has closed the connection.
    End,
}

/// A connected socket with its TLS session.
struct TlsStream {
    socket: OwnedFd,
    session: rustls::Connection,
    packet: Zeroizing<Vec<u8>>,
    response: Zeroizing<Vec<u8>>,
    /// Bytes have arrived since the last whole packet, or since the handshake.
    is_started: bool,
    is_corrupt: bool,
    clients: Arc<Vec<([u8; 32], ClientId)>>,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl TlsStream {
    fn new(
        socket: OwnedFd,
        session: rustls::Connection,
        maximum_packet: usize,
        poll_interval: Duration,
        clients: Arc<Vec<([u8; 32], ClientId)>>,
    ) -> io::Result<Self> {
        set_poll_interval(&socket, poll_interval)?;
        let storage = || Zeroizing::new(vec![0; maximum_packet.min(MAXIMUM_PACKET)]);
        Ok(Self {
            socket,
            session,
            packet: storage(),
            response: storage(),
            is_started: false,
            is_corrupt: false,
            clients,
        })
    }

    /// Takes the next record that has arrived. rustls keeps the plaintext of each apart.
    fn next_record(&mut self) -> io::Result<Record> {
        let mut reader = self.session.reader();
        let record = match reader.fill_buf() {
            Ok([]) => return Ok(Record::End),
            Ok(record) => record,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Record::None),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Record::End),
            Err(error) => return Err(error),
        };
        let length = record.len();
        let outcome = match self.packet.get_mut(..length) {
            Some(space) if length >= Header::SIZE => {
                space.copy_from_slice(record);
                Record::Packet(length)
            }
            _ => Record::BadLength(length),
        };
        reader.consume(length);
        self.is_started = false;
        Ok(outcome)
    }

    fn read_with(&mut self, flags: RecvFlags) -> io::Result<Read> {
        self.flush()?;
        match self.session.read_tls(&mut Socket(&self.socket, flags)) {
            Ok(0) => return Ok(Read::End),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Read::Waiting),
            Err(error) => return Err(error),
        }
        let was_handshaking = self.session.is_handshaking();
        let processed = self.session.process_new_packets();
        // What the peer ought to know, an alert for instance, also leaves if this fails.
        let flushed = self.flush();
        processed.map_err(broken)?;
        flushed?;
        // The end of the handshake begins no packet.
        self.is_started = !was_handshaking || self.session.is_handshaking();
        Ok(Read::Bytes)
    }

    /// Makes a record of `packet`.
    fn write(&mut self, packet: &[u8]) -> Result<(), FrameError> {
        let maximum = self.response.len().max(self.packet.len());
        let found = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        if !(Header::SIZE..=maximum).contains(&packet.len()) {
            return Err(FrameError::BadLength { found, maximum });
        }
        // Nothing is unsent at this point, so the session's buffer takes all of it.
        match self.session.writer().write(packet) {
            Ok(written) if written == packet.len() => Ok(()),
            _ => Err(FrameError::Unsent),
        }
    }
}

impl PacketStream for TlsStream {
    fn exchange(&mut self) -> Result<Option<Exchange<'_>>, Ended> {
        match self.next_record().map_err(Ended::Broken)? {
            Record::None => Ok(None),
            Record::Packet(length) => {
                Ok(self.packet.get_mut(..length).map(|request| (request, &mut self.response[..])))
            }
            Record::BadLength(length) => Err(Ended::BadLength(FrameError::BadLength {
                found: u32::try_from(length).unwrap_or(u32::MAX),
                maximum: self.packet.len(),
            })),
            Record::End => Err(Ended::ByPeer),
        }
    }

    fn is_started(&self) -> bool {
        self.is_started
    }

    fn read(&mut self, may_wait: bool) -> io::Result<Read> {
        self.read_with(if may_wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT })
    }

    fn finish(&mut self, length: usize) -> Result<(), FrameError> {
        let response = std::mem::take(&mut self.response);
        let (found, maximum) = (u32::try_from(length).unwrap_or(u32::MAX), response.len());
        let packet = response.get(..length).ok_or(FrameError::BadLength { found, maximum });
        let result = packet.and_then(|packet| self.write(packet));
        self.response = response;
        result
    }

    fn respond(&mut self, packet: &[u8]) -> Result<(), FrameError> {
        self.write(packet)
    }

    fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Socket(&self.socket, RecvFlags::empty())) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn wait_writable(&mut self, longest: Duration) -> io::Result<()> {
        wait_for(&self.socket, PollFlags::OUT, longest).map(|_| ())
    }

    fn end(&mut self) {
        self.session.send_close_notify();
        if self.flush().is_err() || shutdown(&self.socket, Shutdown::Write).is_err() {
            return;
        }
        let mut rest = [0; 4096];
        for _ in 0..16 {
            if !matches!(recv(&self.socket, &mut rest, RecvFlags::DONTWAIT), Ok((_, 1..))) {
                return;
            }
        }
    }

    fn is_established(&self) -> bool {
        !self.session.is_handshaking()
    }

    fn client(&self) -> Result<Option<ClientId>, Ended> {
        if self.clients.is_empty() {
            return Ok(None);
        }
        let fingerprint = self.certificate().unwrap_or_default();
        match self.clients.iter().find(|(known, _)| *known == fingerprint) {
            Some((_, client)) => Ok(Some(*client)),
            None => Err(Ended::UnknownCertificate(fingerprint)),
        }
    }

    fn certificate(&self) -> Option<[u8; 32]> {
        if !self.is_established() {
            return None;
        }
        self.session.peer_certificates().and_then(<[_]>::first).map(fingerprint)
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.session.send_close_notify();
        let _ = self.flush();
    }
}

impl ClientStream for TlsStream {
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<io::Error>> {
        if !self.flush().map_err(TransportError::Failed)? {
            return Err(TransportError::NotReady);
        }
        self.write(packet).map_err(|_| TransportError::BadLength)?;
        self.flush().map_err(TransportError::Failed)?;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], longest: Duration) -> Result<usize, TransportError<io::Error>> {
        let mut may_wait = !longest.is_zero();
        loop {
            match self.next_record().map_err(TransportError::Failed)? {
                Record::None => {}
                Record::Packet(length) => {
                    let space = buffer.get_mut(..length).ok_or(TransportError::BadLength)?;
                    space.copy_from_slice(self.packet.get(..length).ok_or(TransportError::BadLength)?);
                    return Ok(length);
                }
                Record::BadLength(_) => {
                    self.is_corrupt = true;
                    return Err(TransportError::BadLength);
                }
                Record::End => return Err(TransportError::Closed),
            }
            let mut flags = RecvFlags::DONTWAIT;
            if may_wait {
                may_wait = false;
                if longest >= DEFAULT_POLL_INTERVAL {
                    flags = RecvFlags::empty();
                } else {
                    wait_for(&self.socket, PollFlags::IN, longest).map_err(TransportError::Failed)?;
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

/// Whom a [`TlsServer`] is, and whom it admits.
#[derive(Debug)]
pub struct TlsServerOptions {
    /// The certificate that it shows.
    pub identity: TlsIdentity,
    /// Whom it admits; `None` admits everybody, without a certificate.
    pub trust: Option<TlsTrust>,
    /// Certificates, by their SHA-256, that are one client each, and can be no other. If there are any, no further
    /// certificate is admitted.
    pub clients: Vec<([u8; 32], ClientId)>,
}

/// A listening TCP socket whose peers speak TLS.
#[derive(Debug)]
pub struct TlsServer {
    listener: TcpListener,
    config: Arc<ServerConfig>,
    clients: Arc<Vec<([u8; 32], ClientId)>>,
    options: ConnectionOptions,
}

impl TlsServer {
    /// Listens on `HOST:PORT`; port 0 picks a free one, see [`local_address`](Self::local_address).
    ///
    /// # Errors
    /// [`LinkError::Resolve`], [`LinkError::Bind`]: also if certificate and key do not fit together, or packets could
    /// be larger than [`MAXIMUM_PACKET`].
    pub fn bind(address: &str, tls: TlsServerOptions, options: ConnectionOptions) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Bind { address: address.to_owned(), source };
        if options.maximum_packet > MAXIMUM_PACKET {
            let limit = MAXIMUM_PACKET - Header::SIZE;
            return Err(failed(invalid(format!("over TLS, packets carry {limit} bytes of data at most"))));
        }
        let config = server_config(tls.identity, tls.trust).map_err(failed)?;
        let listener = tcp::bind(address)?;
        Ok(Self {
            listener,
            config: Arc::new(config),
            clients: Arc::new(tls.clients),
            options: options.checked(),
        })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn server_config(identity: TlsIdentity, trust: Option<TlsTrust>) -> io::Result<ServerConfig> {
    let mut chosen = provider::default_provider();
    finite_field::add_to(&mut chosen);
    let provider = Arc::new(chosen);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(invalid)?;
    let builder = match trust {
        None => builder.with_no_client_auth(),
        Some(trust) => {
            let chains: Option<Arc<ChainsOfClients>> = match trust.roots() {
                None => None,
                Some(roots) => {
                    let chains = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                    Some(Arc::new(Box::new(chains.build().map_err(invalid)?)))
                }
            };
            builder.with_client_cert_verifier(Arc::new(Verifier { trusted: trust.0, chains, provider }))
        }
    };
    let mut config = builder.with_single_cert(identity.chain, identity.key).map_err(invalid)?;
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

impl Listener for TlsServer {
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
                let session = ServerConnection::new(Arc::clone(&self.config)).map_err(broken)?;
                let (packet, interval) = (options.maximum_packet, options.poll_interval);
                TlsStream::new(socket, session.into(), packet, interval, Arc::clone(&self.clients))
            });
            // Setting up fails if the peer is gone already: that is the peer's affair.
            if let Ok(stream) = stream {
                return Ok(Accepted::Connection(Connection::new(permit, Box::new(stream), peer, options)));
            }
        }
    }

    fn address(&self) -> String {
        self.local_address().map_or_else(|error| error.to_string(), |address| format!("tls://{address}"))
    }
}

/// Whom a [`TlsClientTransport`] is, and whom it trusts.
#[derive(Debug)]
pub struct TlsClientOptions {
    /// The certificate that it shows if the server asks for one.
    pub identity: Option<TlsIdentity>,
    /// Which servers it trusts.
    pub trust: TlsTrust,
    /// The name that the server's certificate must have; the host in the address, if not given. It does not matter for
    /// a certificate that is itself trusted.
    pub server_name: Option<String>,
}

/// A client's TLS connection to a server.
///
/// A connection that was lost stays lost ([`TransportError::Closed`]) until [`reconnect`](Self::reconnect).
#[derive(Debug)]
pub struct TlsClientTransport {
    address: String,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    maximum_packet: usize,
    timeout: Duration,
    line: Line<TlsStream>,
}

impl TlsClientTransport {
    /// Connects to a server and carries out the handshake. `address` is `HOST:PORT`; `maximum_packet` is the size in
    /// bytes of the largest packet in either direction, of which [`MAXIMUM_PACKET`] can be sent; `timeout` bounds the
    /// connection and the handshake each.
    ///
    /// # Errors
    /// [`LinkError::Resolve`], [`LinkError::Connect`]: also if the server's certificate is not trusted.
    pub fn connect(
        address: &str,
        options: TlsClientOptions,
        maximum_packet: usize,
        timeout: Duration,
    ) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Connect { address: address.to_owned(), source };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = options.server_name.unwrap_or(host);
        let name = ServerName::try_from(name).map_err(|error| failed(invalid(error)))?;
        let config = client_config(options.identity, options.trust).map_err(failed)?;
        let mut transport = Self {
            address: address.to_owned(),
            name,
            config: Arc::new(config),
            maximum_packet,
            timeout,
            line: Line::down(address.to_owned()),
        };
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
        let session = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(|error| failed(broken(error)))?;
        let begin = Instant::now();
        let mut stream = TlsStream::new(
            socket,
            session.into(),
            self.maximum_packet,
            DEFAULT_POLL_INTERVAL,
            Arc::default(),
        )
        .map_err(failed)?;
        while !stream.is_established() {
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

fn client_config(identity: Option<TlsIdentity>, trust: TlsTrust) -> io::Result<ClientConfig> {
    let provider = Arc::new(provider::default_provider());
    let chains = match trust.roots() {
        None => None,
        Some(roots) => Some(
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(invalid)?,
        ),
    };
    let verifier = Verifier { trusted: trust.0, chains, provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(invalid)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        Some(TlsIdentity { chain, key }) => builder.with_client_auth_cert(chain, key).map_err(invalid)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

impl ClientTransport for TlsClientTransport {
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
