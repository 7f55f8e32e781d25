//! Operations as values: what the client sends and what it makes of the answer.

use crate::{Argument, ProtocolFault, ResponseFault};
use casemate_protocol::message::crypto::{CryptoRequest, RequestHeader, ResponseHeader, action};
use casemate_protocol::message::{Request, refusal};
use casemate_protocol::{ByteOrder, Field, Kind, Layout, Reader, Status, Writer};

/// One request and its response.
///
/// Every message of this crate has an operation; [`Client::run`](crate::Client::run) carries it out in one call, and
/// [`Client::start`](crate::Client::start) with [`Client::poll`](crate::Client::poll) in two. Messages that this
/// crate does not know can be added by implementing the trait.
pub trait Operation {
    /// Group and action of the request; the response repeats them.
    const KIND: Kind;
    /// The same of this very request: another one only where an argument is part of it.
    fn kind(&self) -> Kind {
        Self::KIND
    }
    /// What the response says. It may borrow from the client's packet buffer.
    type Output<'r>;

    /// Writes the request's payload. A payload that exceeds the packet is noticed by the caller.
    ///
    /// # Errors
    /// [`Argument`] if the operation cannot be asked for; nothing is sent then.
    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument>;

    /// Reads the response's payload.
    ///
    /// # Errors
    /// [`ResponseFault`] if the server refused, or answered what a correct server does not.
    fn decode<'r>(&self, response: Response<'r>) -> Result<Self::Output<'r>, ResponseFault>;
}

impl<O: Operation + ?Sized> Operation for &O {
    const KIND: Kind = O::KIND;
    type Output<'r> = O::Output<'r>;

    fn kind(&self) -> Kind {
        (**self).kind()
    }

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        (**self).encode(request)
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Self::Output<'r>, ResponseFault> {
        (**self).decode(response)
    }
}

/// Collects a request's payload. Bytes beyond the packet's end are counted, not written.
#[derive(Debug)]
pub struct RequestWriter<'b> {
    space: &'b mut [u8],
    needed: usize,
    response: usize,
    affinity: u32,
    secret: bool,
}

impl<'b> RequestWriter<'b> {
    pub(crate) const fn new(space: &'b mut [u8], affinity: u32) -> Self {
        Self { space, needed: 0, response: 0, affinity, secret: false }
    }

    /// Appends a fixed part.
    pub fn put<L: Layout>(&mut self, message: &L) {
        let end = self.needed.saturating_add(L::SIZE);
        if let Some(space) = self.space.get_mut(self.needed..end) {
            // It cannot overflow: the space is as long as the layout.
            let _ = message.encode(ByteOrder::Little, space);
        }
        self.needed = end;
    }

    /// Appends one field.
    pub fn put_field<F: Field>(&mut self, field: F) {
        let end = self.needed.saturating_add(F::SIZE);
        if let Some(space) = self.space.get_mut(self.needed..end) {
            // It cannot overflow: the space is as long as the field.
            let _ = field.put(&mut Writer::new(space, ByteOrder::Little));
        }
        self.needed = end;
    }

    /// Appends bytes as they are.
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        let end = self.needed.saturating_add(bytes.len());
        if let Some(space) = self.space.get_mut(self.needed..end) {
            space.copy_from_slice(bytes);
        }
        self.needed = end;
    }

    /// Appends the header of the CRYPTO group, with the client's affinity, and the operation's fixed part.
    pub fn put_crypto<R: CryptoRequest>(&mut self, algorithm: u32, sub_algorithm: u32, request: &R) {
        self.put(&RequestHeader { algorithm, sub_algorithm, affinity: self.affinity });
        self.put(request);
    }

    /// Says how many payload bytes the response will have, so that a request whose response exceeds the packet is
    /// not sent.
    pub const fn expect_response(&mut self, length: usize) {
        self.response = length;
    }

    /// Says that request or response holds a secret: the client then wipes the packet buffer after use.
    pub const fn mark_secret(&mut self) {
        self.secret = true;
    }

    /// Payload bytes that the request takes, or its response if that is longer.
    pub(crate) const fn needed(&self) -> usize {
        if self.response > self.needed { self.response } else { self.needed }
    }

    pub(crate) const fn length(&self) -> usize {
        self.needed
    }

    pub(crate) const fn is_secret(&self) -> bool {
        self.secret
    }
}

/// The payload of a response whose sequence number and kind match the request's.
#[derive(Debug, Clone, Copy)]
pub struct Response<'r> {
    kind: Kind,
    payload: &'r [u8],
}

impl<'r> Response<'r> {
    pub(crate) const fn new(kind: Kind, payload: &'r [u8]) -> Self {
        Self { kind, payload }
    }

    /// The payload as it came.
    pub const fn payload(&self) -> &'r [u8] {
        self.payload
    }

    /// Checks the status, where messages of this kind have one, and returns fixed part and rest.
    ///
    /// # Errors
    /// [`ResponseFault::Remote`] if the status is an error, whatever the length; [`ProtocolFault::Empty`] or
    /// [`ProtocolFault::Length`] if the payload is too short.
    pub fn fixed<L: Layout>(&self) -> Result<(L, &'r [u8]), ResponseFault> {
        if self.payload.is_empty() && L::SIZE != 0 {
            return Err(ProtocolFault::Empty.into());
        }
        if let Some(refusal) = refusal(self.kind) {
            let status = self.payload.get(refusal.status_offset..).unwrap_or_default();
            check(Reader::new(status, ByteOrder::Little).get()?)?;
        }
        Ok(L::decode(self.payload, ByteOrder::Little)?)
    }

    /// Like [`fixed`](Self::fixed) for a response that consists of its fixed part alone.
    ///
    /// # Errors
    /// As [`fixed`](Self::fixed), and [`ProtocolFault::Length`] if more follows.
    pub fn exact<L: Layout>(&self) -> Result<L, ResponseFault> {
        match self.fixed()? {
            (message, []) => Ok(message),
            _ => Err(ProtocolFault::Length.into()),
        }
    }

    /// Checks the header of the CRYPTO group and returns the operation's fixed part and rest.
    ///
    /// # Errors
    /// [`ProtocolFault::Algorithm`] if the response names another algorithm; then as [`fixed`](Self::fixed).
    pub fn crypto<L: Layout>(&self, algorithm: u32) -> Result<(L, &'r [u8]), ResponseFault> {
        if self.payload.is_empty() {
            return Err(ProtocolFault::Empty.into());
        }
        // A server with users refuses with the status alone (document 01, §5.2).
        if let Ok(&status) = <&[u8; 4]>::try_from(self.payload) {
            check(Status(i32::from_le_bytes(status)))?;
        }
        let (header, body) = ResponseHeader::decode(self.payload, ByteOrder::Little)?;
        if header.algorithm != algorithm {
            let fault = ProtocolFault::Algorithm { requested: algorithm, received: header.algorithm };
            return Err(fault.into());
        }
        check(header.status)?;
        Ok(L::decode(body, ByteOrder::Little)?)
    }
}

/// Statuses are 0 or negative; a positive one is an echoed request (document 01, §5.1).
fn check(status: Status) -> Result<(), ResponseFault> {
    match status.0 {
        0 => Ok(()),
        1.. => Err(ProtocolFault::Status(status.0).into()),
        _ => Err(ResponseFault::Remote(status)),
    }
}

/// Takes named slices from the bytes after a fixed part; surplus bytes are ignored.
pub(crate) const fn tail(bytes: &[u8]) -> Reader<'_> {
    Reader::new(bytes, ByteOrder::Little)
}

/// A length for a 32-bit field. What does not fit there never fits a packet, which is checked afterwards.
pub(crate) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A length for a 16-bit field, as [`length_u32`].
pub(crate) fn length_u16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// The outcome of a request that names what it wants: wrong values are a contradiction.
pub(crate) fn demand(condition: bool) -> Result<(), ResponseFault> {
    if condition { Ok(()) } else { Err(ProtocolFault::Contradiction.into()) }
}

/// Any request as it stands in the protocol, with its tails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain<'a, R> {
    pub(crate) request: &'a R,
    pub(crate) tails: &'a [&'a [u8]],
}

impl<R: Request> Operation for Plain<'_, R> {
    const KIND: Kind = R::KIND;
    type Output<'r> = (R::Response, &'r [u8]);

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret(); // It may be one.
        request.put(self.request);
        self.tails.iter().for_each(|tail| request.put_bytes(tail));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Self::Output<'r>, ResponseFault> {
        response.fixed()
    }
}

/// Any request of the CRYPTO group as it stands in the protocol, with its tails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainCrypto<'a, R> {
    pub(crate) algorithm: u32,
    pub(crate) sub_algorithm: u32,
    pub(crate) request: &'a R,
    pub(crate) tails: &'a [&'a [u8]],
}

impl<R: CryptoRequest> Operation for PlainCrypto<'_, R> {
    const KIND: Kind = crypto_kind::<R>();
    type Output<'r> = (R::Response, &'r [u8]);

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret(); // It may be one.
        request.put_crypto(self.algorithm, self.sub_algorithm, self.request);
        self.tails.iter().for_each(|tail| request.put_bytes(tail));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Self::Output<'r>, ResponseFault> {
        response.crypto(self.algorithm)
    }
}

/// The kind of a request of the CRYPTO or the CRYPTO_DMA group.
pub(crate) const fn crypto_kind<R: CryptoRequest>() -> Kind {
    Kind::new(R::GROUP, R::ACTION)
}

/// The algorithm number that clients send with random numbers, CMAC and key derivation, whose action says it all
/// (document 04, §1.1).
pub(crate) const RANDOM: u32 = action::RANDOM as u32;
pub(crate) const CMAC: u32 = action::CMAC as u32;
pub(crate) const KDF: u32 = action::KDF as u32;
