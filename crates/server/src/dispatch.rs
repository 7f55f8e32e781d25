//! The way of one request through the server: from packet to handler, and back.

use crate::audit::{self, Event};
use crate::config::Isolation;
use crate::context::Context;
use crate::group;
#[cfg(feature = "authentication")]
use crate::lock::Lock;
#[cfg(feature = "dma")]
use crate::memory::{ClientWindow, Dma};
use crate::platform::Platform;
use crate::server::Server;
use crate::session::Session;
#[cfg(feature = "authentication")]
use crate::users::KeyList;
#[cfg(feature = "dma")]
use casemate_crypto::wipe;
#[cfg(feature = "authentication")]
use casemate_protocol::message::authentication;
use casemate_protocol::message::nvm::StatusResponse;
use casemate_protocol::message::{Refusal, refusal};
use casemate_protocol::{Field, Group, Header, Kind, ObjectId, Packet, Reader, Status, Writer};

/// A response that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Length of the response packet in bytes.
    pub length: usize,
    /// Whether the session ends with this response.
    pub close: bool,
}

/// The bytes received are no packet: there is no answer, and the connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disconnect {
    /// Shorter than a packet header, or an unknown magic.
    Malformed,
    /// Longer than the packet data length allows.
    TooLong,
    /// The buffer for the response is smaller than a packet of the configured data length.
    ResponseBuffer,
}

impl core::fmt::Display for Disconnect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the packet has no valid header",
            Self::TooLong => "the packet is longer than the packet data length allows",
            Self::ResponseBuffer => "the response buffer is smaller than a packet",
        })
    }
}

impl core::error::Error for Disconnect {}

impl<P: Platform> Server<P> {
    /// Handles one request: writes the response packet to `response`, which must hold
    /// [`packet_size`](Self::packet_size) bytes, and says how long it is.
    ///
    /// Every byte of the response that is counted was written for this response.
    ///
    /// The client shares no memory with the server: messages of the DMA kind are refused as by a server that does not
    /// know them.
    ///
    /// # Errors
    /// [`Disconnect`] if there is no answer to such bytes and the connection must end.
    pub fn handle(
        &self,
        session: &mut Session<P>,
        request: &[u8],
        response: &mut [u8],
    ) -> Result<Reply, Disconnect> {
        #[cfg(feature = "dma")]
        let mut dma = Dma::default();
        self.process(
            session,
            #[cfg(feature = "dma")]
            &mut dma,
            request,
            response,
        )
    }

    /// As [`handle`](Self::handle), for a client that shares memory with the server.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    #[cfg(feature = "dma")]
    pub fn handle_with_window(
        &self,
        session: &mut Session<P>,
        window: ClientWindow<'_>,
        request: &[u8],
        response: &mut [u8],
    ) -> Result<Reply, Disconnect> {
        let ClientWindow { memory, scratch } = window;
        let mut dma = Dma::new(ClientWindow { memory, scratch: &mut *scratch });
        let reply = self.process(session, &mut dma, request, response);
        if dma.finish() {
            wipe(scratch);
        }
        reply
    }

    fn process<'a>(
        &'a self,
        session: &'a mut Session<P>,
        #[cfg(feature = "dma")] dma: &mut Dma<'a>,
        request: &[u8],
        response: &mut [u8],
    ) -> Result<Reply, Disconnect> {
        if request.len() > self.packet_size() {
            return Err(Disconnect::TooLong);
        }
        let Packet { header, payload } = Packet::decode(request).map_err(|_| Disconnect::Malformed)?;
        let response = response.get_mut(..self.packet_size()).ok_or(Disconnect::ResponseBuffer)?;
        let (head, out) = response.split_first_chunk_mut().ok_or(Disconnect::ResponseBuffer)?;
        *head = header.encode();

        session.subject = ObjectId::INVALID;
        let mut context = Context {
            server: self,
            session,
            order: header.order,
            kind: header.kind,
            #[cfg(feature = "dma")]
            dma: core::mem::take(dma),
            #[cfg(feature = "authentication")]
            keys: KeyList::ANY,
        };
        let length = context.dispatch(header, payload, out);
        context.record_outcome(out.get(..length).unwrap_or_default());
        #[cfg(feature = "dma")]
        {
            *dma = core::mem::take(&mut context.dma);
        }
        let close = context.session.closing;
        Ok(Reply { length: length.min(out.len()).saturating_add(Header::SIZE), close })
    }
}

impl<P: Platform> Context<'_, P> {
    fn dispatch(&mut self, header: Header, payload: &[u8], out: &mut [u8]) -> usize {
        let action = header.kind.action;
        if header.kind.group == Group::COMM {
            return group::comm::handle(self, action, payload, out);
        }
        let has_users = match self.gate(header.kind) {
            Ok(has_users) => has_users,
            Err(status) => return self.refuse_by_gate(payload, status, out),
        };
        if header.kind.group == Group::AUTH && !has_users {
            return self.put(&StatusResponse { status: Status::AUTH_NOT_ENABLED }, out);
        }
        let init_comes_first =
            self.server.config().isolation == Isolation::Strict || self.session.only.is_some();
        if self.session.client.is_none() && init_comes_first {
            return self.refuse(payload, Status::ACCESS, out);
        }
        match header.kind.group {
            Group::NVM => group::nvm::handle(self, action, payload, out),
            Group::KEY => group::key::handle(self, action, payload, out),
            Group::CRYPTO => group::crypto::handle(self, action, payload, out),
            #[cfg(feature = "dma")]
            Group::CRYPTO_DMA if self.dma.is_present() => {
                group::crypto::handle_dma(self, action, payload, out)
            }
            Group::COUNTER => group::counter::handle(self, action, payload, out),
            #[cfg(feature = "she")]
            Group::SHE => group::she::handle(self, action, payload, out),
            #[cfg(feature = "custom")]
            Group::CUSTOM => group::custom::handle(self, action, payload, out),
            #[cfg(feature = "certificates")]
            Group::CERT => group::certificate::handle(self, action, payload, out),
            #[cfg(feature = "authentication")]
            Group::AUTH => group::authentication::handle(self, action, payload, out),
            _ => 0,
        }
    }

    /// Whether the session's user may send messages of this kind, which are not connection messages (document 07,
    /// C.2); `Ok(false)` on a server without users.
    #[cfg(not(feature = "authentication"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the other form of it needs both")]
    const fn gate(&mut self, _: Kind) -> Result<bool, Status> {
        Ok(false)
    }

    /// Whether the session's user may send messages of this kind, which are not connection messages (document 07,
    /// C.2); `Ok(false)` on a server without users.
    #[cfg(feature = "authentication")]
    fn gate(&mut self, kind: Kind) -> Result<bool, Status> {
        let Some(policy) = self.server.config().users else { return Ok(false) };
        let grant = match self.session.login {
            Some(login) => self
                .server
                .users()
                .with(|users| users.gate(login, kind, &policy))
                .ok_or(Status::AUTH_PERMISSION)?,
            None => None,
        };
        match grant {
            Some(grant) if grant.allowed => {
                self.keys = grant.keys;
                Ok(true)
            }
            Some(_) => Err(Status::AUTH_PERMISSION),
            None => {
                // Nobody is logged in, or the user was removed or logged out by an administrator.
                self.session.login = None;
                let is_login = kind == Kind::new(Group::AUTH, authentication::action::LOGIN);
                if is_login { Ok(true) } else { Err(Status::AUTH_PERMISSION) }
            }
        }
    }

    /// A refusal by the gate. Every request gets one, so that unknown groups tell nothing (document 07, C.2): the full
    /// fixed response where there is one, so that clients find the status, else the status alone.
    fn refuse_by_gate(&self, payload: &[u8], status: Status, out: &mut [u8]) -> usize {
        match self.refuse(payload, status, out) {
            0 => self.put(&StatusResponse { status }, out),
            length => length,
        }
    }

    /// The length of the response. A handler says how much it has written; for one that has written nothing, or failed,
    /// it is a response of the usual size with nothing in it but the status.
    #[inline(never)]
    pub(crate) fn answer(&self, result: Result<usize, Status>, out: &mut [u8]) -> usize {
        match result {
            Ok(0) => self.refuse(&[], Status::OK, out),
            Ok(length) => length,
            Err(status) => self.refuse(&[], status, out),
        }
    }

    /// A response of the usual size with nothing in it but `status`; empty where there is no such form.
    #[inline(never)]
    fn refuse(&self, payload: &[u8], status: Status, out: &mut [u8]) -> usize {
        let Some(Refusal { size, status_offset, echoes_algorithm }) = refusal(self.kind) else { return 0 };
        let Some(out) = out.get_mut(..size) else { return 0 };
        out.fill(0);
        if echoes_algorithm && let (Some(to), Some(from)) = (out.get_mut(..4), payload.get(..4)) {
            to.copy_from_slice(from);
        }
        let at_status = out.get_mut(status_offset..).unwrap_or_default();
        match status.put(&mut Writer::new(at_status, self.order)) {
            Ok(()) => size,
            Err(_) => 0,
        }
    }

    /// Records that a policy has refused the request, or what its success means, as the response says.
    fn record_outcome(&self, response: &[u8]) {
        let Some(Refusal { status_offset, .. }) = refusal(self.kind) else { return };
        let at_status = response.get(status_offset..).unwrap_or_default();
        let Ok(status) = Reader::new(at_status, self.order).get() else { return };
        if audit::is_refusal(self.kind, status) {
            self.record(Event::Refused { object: self.session.subject, status });
        } else if status == Status::OK
            && let Some(event) = audit::success(self.kind, self.session.subject)
        {
            self.record(event);
        }
    }
}
