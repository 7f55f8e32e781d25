//! A client's connection to a server: over TCP, or by function call.

use crate::value::{client_id, seconds};
use anyhow::{Context, Result};
use casemate_client::Client;
use casemate_posix::LinkError;
use casemate_posix::MonotonicClock;
use casemate_posix::tcp::TcpClientTransport;
use casemate_protocol::{ClientId, Header, MAX_DATA_LENGTH};
use casemate_transport::{ClientTransport, Loopback, TransportError};
use clap::Args;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Which server, and as whom.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The server's address
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
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
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

impl Connection {
    /// Connects, says who we are and adopts the server's packet size.
    pub(crate) fn open(&self) -> Result<Open> {
        let mut hsm = Open { hsm: connect(&self.server, MAX_DATA_LENGTH, self.timeout)?, closed: false };
        hsm.init(self.client).with_context(|| {
            format!("the server at {} does not accept client {}", self.server, self.client)
        })?;
        hsm.learn_limits()
            .with_context(|| format!("the server at {} does not tell its limits", self.server))?;
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

/// Connects over TCP, and sends nothing.
pub(crate) fn connect(address: &str, data_length: usize, timeout: Duration) -> Result<Hsm> {
    let packet = data_length + Header::SIZE;
    let transport = TcpClientTransport::connect(address, packet, timeout)?;
    Ok(Client::with_timeout(Link::Tcp(transport), vec![0; packet], MonotonicClock::new(), timeout))
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
    Tcp(TcpClientTransport),
    InProcess(Loopback<Handler, Vec<u8>>),
}

impl ClientTransport for Link {
    type Error = LinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        match self {
            Self::Tcp(link) => link.send(packet),
            Self::InProcess(link) => link.send(packet).map_err(|error| error.map(|never| match never {})),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        match self {
            Self::Tcp(link) => link.receive(buffer),
            Self::InProcess(link) => link.receive(buffer).map_err(|error| error.map(|never| match never {})),
        }
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        match self {
            Self::Tcp(link) => link.receive_within(buffer, longest),
            Self::InProcess(_) => self.receive(buffer),
        }
    }
}
