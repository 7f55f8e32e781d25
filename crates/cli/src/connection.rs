//! A client's connection to a server: over one of the transports, or by function call.

use crate::pem::certificates;
use crate::pin::{Pin, Source};
use crate::users::user_name;
use crate::value::{client_id, seconds};
use anyhow::{Context, Result, bail};
use casemate_client::Client;
use casemate_client::authentication::{Credential, UserName};
use casemate_posix::{ClientLink, LinkError, LinkOptions, MonotonicClock, Patient, TlsFiles};
use casemate_protocol::{ClientId, Header, MAX_DATA_LENGTH};
use casemate_transport::{ClientTransport, Loopback, MemoryClient, SharedRegion, TransportError};
use clap::Args;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// Which server, and as whom.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The server's address: HOST:PORT or tcp://HOST:PORT, unix:///PATH, shm://NAME, tls://HOST:PORT, tls-psk://HOST:PORT
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        env = "CASEMATE_SERVER",
        default_value = "127.0.0.1:23456"
    )]
    pub(crate) server: String,
    /// Who to be: 1 to 15. Keys and counters belong to the client that made them
    #[arg(
        long = "client-id",
        global = true,
        value_name = "NUMBER",
        env = "CASEMATE_CLIENT",
        default_value = "12",
        value_parser = client_id
    )]
    pub(crate) client: ClientId,
    /// How long to wait for the connection, and for each response
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        env = "CASEMATE_TIMEOUT",
        default_value = "10",
        value_parser = seconds
    )]
    pub(crate) timeout: Duration,
    /// Log in as this user, on a server with users
    #[arg(long, global = true, value_name = "NAME", env = "CASEMATE_USER", value_parser = user_name)]
    pub(crate) user: Option<UserName>,
    /// A file with the user's PIN; otherwise from the environment variable CASEMATE_PIN, or asked for
    #[arg(long, global = true, value_name = "FILE", env = "CASEMATE_PIN_FILE", requires = "user")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Log in with this certificate instead of a PIN. The server has to be started for that; over TLS it is the
    /// certificate of --tls-certificate
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CASEMATE_USER_CERTIFICATE",
        requires = "user",
        conflicts_with = "pin_file"
    )]
    pub(crate) user_certificate: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
}

/// What a user logs in with.
enum Proof {
    Pin(Pin),
    Certificate(Vec<u8>),
}

impl Proof {
    fn credential(&self) -> Credential<'_> {
        match self {
            Self::Pin(pin) => Credential::Pin(pin),
            Self::Certificate(certificate) => Credential::Certificate(certificate),
        }
    }
}

/// How to connect to a server's TLS port. Files are in PEM, or hold one certificate or key in DER.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct TlsOptions {
    /// For tls: the certificates to trust, of certificate authorities or the server's own
    #[arg(long, global = true, value_name = "FILE", env = "CASEMATE_TLS_TRUST")]
    pub(crate) tls_trust: Option<PathBuf>,
    /// For tls: the certificate to show, and those that lead to the server's trust after it
    #[arg(long, global = true, value_name = "FILE", env = "CASEMATE_TLS_CERTIFICATE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// For tls: the private key of --tls-certificate
    #[arg(long, global = true, value_name = "FILE", env = "CASEMATE_TLS_KEY", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// For tls: the name in the server's certificate [default: the host of the address]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,
    /// For tls-psk: the file of the pre-shared key, one line IDENTITY:KEY with 32 or more hexadecimal digits. The program
    /// has to be built with the feature tls-psk
    #[arg(long = "tls-psk-key", global = true, value_name = "FILE", env = "CASEMATE_TLS_PSK_KEY")]
    pub(crate) tls_psk: Option<PathBuf>,
}

impl Connection {
    /// The PIN of the user who logs in. A person is asked once.
    pub(crate) fn pin(&self) -> Result<Pin> {
        static PIN: OnceLock<Pin> = OnceLock::new();
        if let Some(pin) = PIN.get() {
            return Ok(pin.clone());
        }
        let name = self.user.context("log in with --user NAME")?;
        let pin = Source {
            question: &format!("PIN of {name}"),
            file: self.pin_file.as_deref(),
            option: "--pin-file",
            variable: "CASEMATE_PIN",
            twice: false,
        }
        .read()?;
        Ok(PIN.get_or_init(|| pin).clone())
    }

    fn proof(&self) -> Result<Proof> {
        match &self.user_certificate {
            Some(file) => certificates(file).map(Proof::Certificate),
            None => self.pin().map(Proof::Pin),
        }
    }

    /// Connects, says who we are, adopts the server's packet size, and logs in if there is a user to log in as.
    pub(crate) fn open(&self) -> Result<Open> {
        let login = self.user.map(|name| self.proof().map(|proof| (name, proof))).transpose()?;
        let mut hsm =
            Open { hsm: connect(&self.server, &self.tls, MAX_DATA_LENGTH, self.timeout)?, closed: false };
        hsm.init(self.client).with_context(|| {
            format!("the server at {} does not accept client {}", self.server, self.client)
        })?;
        hsm.learn_limits()
            .with_context(|| format!("the server at {} does not tell its limits", self.server))?;
        if let Some((name, proof)) = login {
            hsm.login(name, proof.credential())
                .with_context(|| format!("the server at {} does not let {name} in", self.server))?;
        }
        Ok(hsm)
    }
}

/// How long a command that has failed waits for the server's answer to its CLOSE.
const LEAVE: Duration = Duration::from_millis(500);

/// A connection that says CLOSE in any case, also when a command fails: the original's server takes no other client
/// after one that just goes away (document 01, §15).
pub(crate) struct Open {
    hsm: Hsm,
    closed: bool,
}

impl Open {
    /// Ends the session.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.closed = true;
        Ok(self.hsm.close()?)
    }
}

impl Deref for Open {
    type Target = Hsm;

    fn deref(&self) -> &Hsm {
        &self.hsm
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut Hsm {
        &mut self.hsm
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.closed {
            self.hsm.set_timeout(Some(LEAVE));
            // The command's own error is the one to show.
            let _ = self.hsm.close();
        }
    }
}

/// Connects, and sends nothing.
pub(crate) fn connect(address: &str, tls: &TlsOptions, data_length: usize, timeout: Duration) -> Result<Hsm> {
    let packet = data_length + Header::SIZE;
    Ok(over(Link::Server(link(address, tls, packet, timeout)?), packet, timeout))
}

/// The way to a server, for packets of at most `packet` bytes; sends nothing.
pub(crate) fn link(address: &str, tls: &TlsOptions, packet: usize, timeout: Duration) -> Result<ClientLink> {
    if address.starts_with("tls://") && tls.tls_trust.is_none() {
        bail!(
            "name the certificates to trust: --tls-trust with the file of the certificate authority, or of the \
             server's certificate"
        );
    }
    if address.starts_with("tls-psk://") && tls.tls_psk.is_none() {
        bail!("name the file of the pre-shared key: --tls-psk-key");
    }
    let tls = TlsFiles {
        trust: tls.tls_trust.clone(),
        certificate: tls.tls_certificate.clone(),
        key: tls.tls_key.clone(),
        server_name: tls.tls_server_name.clone(),
        psk: tls.tls_psk.clone(),
    };
    Ok(ClientLink::connect(address, &LinkOptions { maximum_packet: packet, timeout, tls })?)
}

/// A client over `link`.
pub(crate) fn over(link: Link, packet: usize, timeout: Duration) -> Hsm {
    Client::with_timeout(link, vec![0; packet], MonotonicClock::new(), timeout)
}

/// A client whose server is `handler`.
pub(crate) fn in_process(handler: Handler, data_length: usize) -> Hsm {
    let packet = data_length + Header::SIZE;
    let link = Link::InProcess(Loopback::new(handler, vec![0; packet]));
    Client::with_timeout(link, vec![0; packet], MonotonicClock::new(), Duration::from_secs(60))
}

/// A client as every command here uses it.
pub(crate) type Hsm = Client<Link, Vec<u8>, MonotonicClock>;

/// A server as a function: from the request packet and the space for the response to the response's length.
pub(crate) type Handler = Box<dyn FnMut(&[u8], &mut [u8]) -> Option<usize>>;

/// The way to the server.
pub(crate) enum Link {
    /// A server at an address.
    Server(ClientLink),
    /// Memory that a thread of this process serves.
    Memory(Patient<MemoryClient<SharedRegion<'static>>>),
    InProcess(Loopback<Handler, Vec<u8>>),
}

/// Does the same on whichever link it is.
macro_rules! on_link {
    ($self:expr, $link:ident => $call:expr) => {
        match $self {
            Self::Server($link) => $call,
            Self::Memory($link) => $call.map_err(|error| {
                error.map(|source| LinkError::Connection {
                    peer: "a thread of this process".to_owned(),
                    source: std::io::Error::other(source),
                })
            }),
            Self::InProcess($link) => $call.map_err(|error| error.map(|never| match never {})),
        }
    };
}

impl ClientTransport for Link {
    type Error = LinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        on_link!(self, link => link.send(packet))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        on_link!(self, link => link.receive(buffer))
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        on_link!(self, link => link.receive_within(buffer, longest))
    }
}
