//! Connections to a server, each with its session there.

use crate::config::{Handler, SlotOptions, Target};
use crate::error::Error;
use casemate_client::Client;
use casemate_posix::{ClientLink, LinkError, LinkOptions, MonotonicClock};
use casemate_protocol::{Header, MAX_DATA_LENGTH};
use casemate_transport::{ClientTransport, Loopback, TransportError};
use std::time::Duration;

/// The way to a server.
pub(crate) enum Link {
    Remote(ClientLink),
    Local(Loopback<Handler, Vec<u8>>),
}

impl ClientTransport for Link {
    type Error = LinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        match self {
            Self::Remote(link) => link.send(packet),
            Self::Local(link) => link.send(packet).map_err(|error| error.map(|never| match never {})),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        match self {
            Self::Remote(link) => link.receive(buffer),
            Self::Local(link) => link.receive(buffer).map_err(|error| error.map(|never| match never {})),
        }
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        match self {
            Self::Remote(link) => link.receive_within(buffer, longest),
            Self::Local(link) => {
                link.receive_within(buffer, longest).map_err(|error| error.map(|never| match never {}))
            }
        }
    }
}

/// How long leaving may take.
const LEAVE: Duration = Duration::from_millis(500);

/// A connection on which the session has begun. It says CLOSE at its end.
pub(crate) struct Connection {
    hsm: Client<Link, Vec<u8>, MonotonicClock>,
    lost: bool,
}

/// The client of a connection.
pub(crate) type Hsm = Client<Link, Vec<u8>, MonotonicClock>;

impl Connection {
    /// Connects, says who we are and adopts the server's packet size.
    pub(crate) fn open(options: &SlotOptions) -> Result<Self, Error> {
        let packet = MAX_DATA_LENGTH + Header::SIZE;
        let link = match &options.target {
            Target::Address { server, tls } => Link::Remote(ClientLink::connect(
                server,
                &LinkOptions { maximum_packet: packet, timeout: options.timeout, tls: tls.clone() },
            )?),
            Target::Local(connect) => {
                let handler = connect().ok_or(Error::Code(cryptoki_sys::CKR_DEVICE_REMOVED))?;
                Link::Local(Loopback::new(handler, vec![0; packet]))
            }
        };
        let hsm = Client::with_timeout(link, vec![0; packet], MonotonicClock::new(), options.timeout);
        let mut connection = Self { hsm, lost: true };
        connection.hsm.init(options.client)?;
        connection.hsm.learn_limits()?;
        connection.lost = false;
        Ok(connection)
    }

    pub(crate) const fn hsm(&mut self) -> &mut Hsm {
        &mut self.hsm
    }

    /// Says that the other end is gone.
    pub(crate) const fn give_up(&mut self) {
        self.lost = true;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.lost {
            self.hsm.set_timeout(Some(LEAVE));
            // There is nothing to do about a failure.
            let _ = self.hsm.close();
        }
    }
}
