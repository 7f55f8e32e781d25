//! The client: one connection, one packet buffer, one request at a time.

use crate::operation::{Plain, PlainCrypto, crypto_kind};
use crate::{Argument, Error, NoClock, Operation, ProtocolFault, RequestWriter, Response};
use casemate_protocol::message::Request;
use casemate_protocol::message::crypto::{CryptoRequest, affinity};
use casemate_protocol::{ByteOrder, Header, Kind, MAX_DATA_LENGTH};
use casemate_transport::{ClientTransport, Clock, TransportError};
use core::time::Duration;
use zeroize::Zeroize;

/// How many stale responses one call discards at most, so that no call runs for ever.
const DISCARDS_PER_CALL: usize = 64;
/// How long one transport call may wait while a blocking call has no deadline nearer than that.
const WAIT: Duration = Duration::from_millis(500);
/// How long a blocking call waits before it offers a packet again to a transport that was not ready.
const SEND_WAIT: Duration = Duration::from_millis(1);

/// Which of the server's drivers shall compute (document 04, §3.6). It never changes a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Affinity {
    /// The accelerated driver, where there is one.
    #[default]
    Hardware,
    /// The portable software driver.
    Software,
}

impl Affinity {
    const fn code(self) -> u32 {
        match self {
            Self::Hardware => affinity::HARDWARE,
            Self::Software => affinity::SOFTWARE,
        }
    }
}

/// A client of an HSM server.
///
/// `T` moves packets. `B` is the storage for one packet, `[u8; N]` or `&mut [u8]` for instance; its size minus 8 is
/// the largest payload (the *packet data length*), which should be the server's. `C` is the clock behind the request
/// timeout. The client keeps no other memory.
///
/// A request and its response pass through the same storage. Whatever part of it held keys or other secrets is
/// wiped after use, and all of it when the client is dropped.
#[derive(Debug)]
pub struct Client<T, B, C = NoClock>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    transport: T,
    storage: Storage<B>,
    clock: C,
    timeout: Option<u64>,
    limit: usize,
    sequence: u16,
    affinity: Affinity,
    waits: bool,
    pending: Option<Pending>,
}

/// A request that was sent and not answered.
#[derive(Debug, Clone, Copy)]
struct Pending {
    kind: Kind,
    sequence: u16,
    since: u64,
    secret: bool,
}

/// What writes a request's payload. By reference, so that the code behind it exists once and not for each operation.
type Encode<'e> = &'e dyn Fn(&mut RequestWriter<'_>) -> Result<(), Argument>;

/// What a received packet is.
enum Verdict {
    Stale,
    Answer,
    Fault(ProtocolFault),
}

/// The packet buffer, and how many of its first bytes must be wiped.
struct Storage<B: AsRef<[u8]> + AsMut<[u8]>> {
    bytes: B,
    soiled: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> core::fmt::Debug for Storage<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Storage").field("size", &self.bytes.as_ref().len()).finish_non_exhaustive()
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Storage<B> {
    fn soil(&mut self, length: usize) {
        self.soiled = self.soiled.max(length);
    }

    fn wipe(&mut self) {
        if self.soiled != 0 {
            let bytes = self.bytes.as_mut();
            let soiled = self.soiled.min(bytes.len());
            if let Some(soiled) = bytes.get_mut(..soiled) {
                // In one fill: `Zeroize` writes byte by byte, which takes longer than most requests.
                soiled.fill(0);
                zeroize::optimization_barrier(soiled);
            }
            self.soiled = 0;
        }
    }

    fn packet(&self, length: usize) -> &[u8] {
        self.bytes.as_ref().get(..length).unwrap_or_default()
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Drop for Storage<B> {
    fn drop(&mut self) {
        self.bytes.as_mut().zeroize();
    }
}

impl<T, B> Client<T, B>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    /// A client over `transport` that waits for responses as long as it takes. It sends nothing by itself; begin
    /// with [`init`](Self::init).
    pub fn new(transport: T, storage: B) -> Self {
        Self::build(transport, storage, NoClock, None)
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// A client over `transport` whose requests fail with [`Error::Timeout`] when no response came within `timeout`.
    pub fn with_timeout(transport: T, storage: B, clock: C, timeout: Duration) -> Self {
        Self::build(transport, storage, clock, Some(timeout))
    }

    fn build(transport: T, storage: B, clock: C, timeout: Option<Duration>) -> Self {
        let limit = storage.as_ref().len().saturating_sub(Header::SIZE).min(MAX_DATA_LENGTH);
        let mut client = Self {
            transport,
            storage: Storage { bytes: storage, soiled: 0 },
            clock,
            timeout: None,
            limit,
            sequence: 0,
            affinity: Affinity::default(),
            waits: true,
            pending: None,
        };
        client.set_timeout(timeout);
        client
    }

    /// Changes the request timeout; `None` waits as long as it takes. Without a clock ([`NoClock`]) no timeout ever
    /// expires.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout.map(|timeout| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX));
    }

    /// Which of the server's drivers shall compute, from the next request on.
    pub const fn set_affinity(&mut self, affinity: Affinity) {
        self.affinity = affinity;
    }

    /// Whether calls wait for their response; a new client's do.
    ///
    /// A call of a client that does not wait sends its request and ends with [`Error::InProgress`]. Made again with the
    /// same arguments it asks for the response: it ends so again until that has come, and then with the outcome. Every
    /// call that takes one request serves so; data has to fit a packet ([`Error::TooLong`]), and a call that takes
    /// several requests fails with [`Error::SeveralRequests`]. Arguments other than those that the request was made of
    /// are found out only as far as the response contradicts them.
    pub const fn set_waiting(&mut self, waits: bool) {
        self.waits = waits;
    }

    /// The packet data length in bytes: the storage's size minus 8, or the server's limit if that was learnt
    /// ([`learn_limits`](Self::learn_limits)) and is smaller.
    pub const fn data_length(&self) -> usize {
        self.limit
    }

    /// Adopts a smaller packet data length; a larger one than the storage has is ignored.
    pub(crate) fn restrict(&mut self, data_length: usize) {
        self.limit = self.limit.min(data_length);
    }

    /// The transport, to connect it anew for instance.
    pub const fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Whether a request is waiting for its response.
    pub const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Gives up the pending request, if there is one. Its response will be discarded when it comes.
    pub const fn abandon(&mut self) {
        self.pending = None;
    }

    /// Wipes what the last request or response left in the packet buffer, if it was marked as secret. Every request
    /// does so by itself before it uses the buffer; call this to do it earlier.
    pub fn wipe(&mut self) {
        self.storage.wipe();
    }

    /// Sends `operation`'s request without waiting. Ask for the response with [`poll`](Self::poll).
    ///
    /// # Errors
    /// - [`Error::Pending`]: the previous request has not been answered.
    /// - [`Error::Argument`], [`Error::TooLong`]: nothing was sent.
    /// - [`Error::Transport`] with [`TransportError::NotReady`]: nothing was sent; try again later.
    /// - [`Error::Transport`] otherwise: the connection does not work.
    pub fn start<O: Operation>(&mut self, operation: &O) -> Result<(), Error<T::Error>> {
        self.start_request(operation.kind(), &|request| operation.encode(request))
    }

    fn start_request(&mut self, kind: Kind, encode: Encode<'_>) -> Result<(), Error<T::Error>> {
        if self.pending.is_some() {
            return Err(Error::Pending);
        }
        self.storage.wipe();
        let bytes = self.storage.bytes.as_mut();
        let end = Header::SIZE.saturating_add(self.limit);
        let (header, payload) = bytes
            .get_mut(..end)
            .and_then(<[u8]>::split_first_chunk_mut)
            .ok_or(Error::TooLong { needed: Header::SIZE, limit: 0 })?;
        let sequence = self.sequence.wrapping_add(1);
        *header = Header { order: ByteOrder::Little, kind, sequence, auxiliary: [0; 2] }.encode();
        let mut request = RequestWriter::new(payload, self.affinity.code());
        let encoded = encode(&mut request);
        let (needed, length, secret) = (request.needed(), request.length(), request.is_secret());
        let packet_length = Header::SIZE.saturating_add(length);
        if secret {
            self.storage.soil(packet_length);
        }
        let outcome = match encoded {
            Err(argument) => Err(argument.into()),
            Ok(()) if needed > self.limit => Err(Error::TooLong { needed, limit: self.limit }),
            Ok(()) => self.transport.send(self.storage.packet(packet_length)).map_err(Error::Transport),
        };
        self.storage.wipe();
        outcome?;
        self.sequence = sequence;
        let since = self.clock.now_microseconds();
        self.pending = Some(Pending { kind, sequence, since, secret });
        Ok(())
    }

    /// Asks for the response to `operation`, which must be the one that was started. `None` means that it has not
    /// come yet. The outcome may borrow from the packet buffer.
    ///
    /// # Errors
    /// - [`Error::NothingPending`]: nothing was started, or its outcome was already given.
    /// - [`Error::Argument`] with [`Argument::OtherOperation`](crate::Argument::OtherOperation): the pending request
    ///   is of another kind and stays pending.
    /// - Every other error ends the request; the next one may be started.
    pub fn poll<O: Operation>(&mut self, operation: &O) -> Result<Option<O::Output<'_>>, Error<T::Error>> {
        match self.receive_packet(operation.kind(), None)? {
            None => Ok(None),
            Some(length) => Ok(Some(operation.decode(self.response(operation.kind(), length))?)),
        }
    }

    /// Carries out `operation`: sends the request, waits for the response and returns what it says.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`poll`](Self::poll); [`Error::InProgress`] from a client that does not wait
    /// ([`set_waiting`](Self::set_waiting)).
    pub fn run<O: Operation>(&mut self, operation: &O) -> Result<O::Output<'_>, Error<T::Error>> {
        if !self.waits {
            return self.step(operation);
        }
        self.start_waiting(operation)?;
        self.wait(operation)
    }

    /// Starts `operation`, or asks for the response to it.
    fn step<O: Operation>(&mut self, operation: &O) -> Result<O::Output<'_>, Error<T::Error>> {
        let kind = operation.kind();
        let length = self.step_request(kind, &|request| operation.encode(request))?;
        Ok(operation.decode(self.response(kind, length))?)
    }

    fn step_request(&mut self, kind: Kind, encode: Encode<'_>) -> Result<usize, Error<T::Error>> {
        if self.pending.is_none() {
            match self.start_request(kind, encode) {
                Ok(()) => return Err(Error::InProgress),
                Err(Error::Transport(TransportError::NotReady)) => {}
                Err(error) => return Err(error),
            }
            // Nothing is pending, so whatever comes is stale; asking for it moves the transport on.
            return match self.transport.receive(self.storage.bytes.as_mut()) {
                Ok(_) | Err(TransportError::NotReady | TransportError::BadLength) => Err(Error::InProgress),
                Err(error) => Err(Error::Transport(error)),
            };
        }
        self.receive_packet(kind, None)?.ok_or(Error::InProgress)
    }

    /// A call that takes several requests needs a client that waits.
    pub(crate) const fn must_wait(&self) -> Result<(), Error<T::Error>> {
        if self.waits { Ok(()) } else { Err(Error::SeveralRequests) }
    }

    /// Data that goes in pieces of `capacity` bytes has to be one piece for a client that does not wait.
    pub(crate) const fn one_piece(&self, length: usize, capacity: usize) -> Result<(), Error<T::Error>> {
        if self.waits || length <= capacity {
            return Ok(());
        }
        let overhead = self.limit.saturating_sub(capacity);
        Err(Error::TooLong { needed: overhead.saturating_add(length), limit: self.limit })
    }

    /// Waits for the response to an operation that was started.
    pub(crate) fn wait<O: Operation>(&mut self, operation: &O) -> Result<O::Output<'_>, Error<T::Error>> {
        let kind = operation.kind();
        let length = self.wait_for(kind)?;
        Ok(operation.decode(self.response(kind, length))?)
    }

    fn wait_for(&mut self, kind: Kind) -> Result<usize, Error<T::Error>> {
        loop {
            if let Some(length) = self.receive_packet(kind, Some(WAIT))? {
                return Ok(length);
            }
            core::hint::spin_loop();
        }
    }

    /// Sends a request as the protocol defines it, without waiting; `tails` follow its fixed part. Ask for the
    /// response with [`receive`](Self::receive).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn send<R: Request>(&mut self, request: &R, tails: &[&[u8]]) -> Result<(), Error<T::Error>> {
        self.start(&Plain { request, tails })
    }

    /// Asks for the response to a request of type `R`: its fixed part and what follows. `None` means that it has
    /// not come yet. The status is already checked, if the message has one.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[allow(clippy::type_complexity)]
    pub fn receive<R: Request>(&mut self) -> Result<Option<(R::Response, &[u8])>, Error<T::Error>> {
        match self.receive_packet(R::KIND, None)? {
            None => Ok(None),
            Some(length) => Ok(Some(self.response(R::KIND, length).fixed()?)),
        }
    }

    /// Sends a request of the CRYPTO group as the protocol defines it, without waiting; the client adds the header
    /// with the algorithm numbers and its affinity. Ask for the response with
    /// [`receive_crypto`](Self::receive_crypto).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn send_crypto<R: CryptoRequest>(
        &mut self,
        algorithm: u32,
        sub_algorithm: u32,
        request: &R,
        tails: &[&[u8]],
    ) -> Result<(), Error<T::Error>> {
        self.start(&PlainCrypto { algorithm, sub_algorithm, request, tails })
    }

    /// Asks for the response to a request of type `R` for `algorithm`: its fixed part and what follows. `None`
    /// means that it has not come yet. Algorithm and status are already checked.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[allow(clippy::type_complexity)]
    pub fn receive_crypto<R: CryptoRequest>(
        &mut self,
        algorithm: u32,
    ) -> Result<Option<(R::Response, &[u8])>, Error<T::Error>> {
        let kind = crypto_kind::<R>();
        match self.receive_packet(kind, None)? {
            None => Ok(None),
            Some(length) => Ok(Some(self.response(kind, length).crypto(algorithm)?)),
        }
    }

    /// Whether `operation` can be asked for and fits a packet.
    pub(crate) fn check<O: Operation>(&self, operation: &O) -> Result<(), Error<T::Error>> {
        let mut request = RequestWriter::new(&mut [], self.affinity.code());
        operation.encode(&mut request)?;
        let (needed, limit) = (request.needed(), self.limit);
        if needed > limit { Err(Error::TooLong { needed, limit }) } else { Ok(()) }
    }

    /// Starts `operation`, waiting for a transport that is not ready.
    pub(crate) fn start_waiting<O: Operation>(&mut self, operation: &O) -> Result<(), Error<T::Error>> {
        self.start_request_waiting(operation.kind(), &|request| operation.encode(request))
    }

    fn start_request_waiting(&mut self, kind: Kind, encode: Encode<'_>) -> Result<(), Error<T::Error>> {
        let began = self.clock.now_microseconds();
        loop {
            match self.start_request(kind, encode) {
                Err(Error::Transport(TransportError::NotReady)) => {}
                outcome => return outcome,
            }
            // Nothing is pending, so whatever comes is stale; asking for it moves the transport on.
            match self.transport.receive_within(self.storage.bytes.as_mut(), SEND_WAIT) {
                Ok(_) | Err(TransportError::NotReady | TransportError::BadLength) => {}
                Err(error) => return Err(Error::Transport(error)),
            }
            if self.expired(began) {
                return Err(Error::Timeout);
            }
            core::hint::spin_loop();
        }
    }

    /// Receives packets until one answers the pending request, and returns its length; `None` if none has come.
    fn receive_packet(
        &mut self,
        kind: Kind,
        wait: Option<Duration>,
    ) -> Result<Option<usize>, Error<T::Error>> {
        let pending = self.pending.ok_or(Error::NothingPending)?;
        if pending.kind != kind {
            return Err(Error::Argument(Argument::OtherOperation));
        }
        for _ in 0..DISCARDS_PER_CALL {
            let buffer = self.storage.bytes.as_mut();
            let received = match wait {
                None => self.transport.receive(buffer),
                Some(wait) => {
                    let longest = remaining(self.timeout, self.clock.now_microseconds(), pending.since, wait);
                    self.transport.receive_within(buffer, longest)
                }
            };
            match received {
                Ok(length) => match self.judge(length, &pending) {
                    Verdict::Answer => {
                        self.pending = None;
                        if pending.secret {
                            self.storage.soil(length);
                        }
                        return Ok(Some(length));
                    }
                    Verdict::Fault(fault) => {
                        self.pending = None;
                        self.storage.soil(length);
                        return Err(Error::Protocol(fault));
                    }
                    // It may answer a request for a secret that was given up.
                    Verdict::Stale => self.storage.soil(length),
                },
                Err(TransportError::NotReady) => {
                    return self.unanswered(&pending);
                }
                Err(error) => {
                    self.pending = None;
                    return Err(Error::Transport(error));
                }
            }
        }
        self.unanswered(&pending)
    }

    /// No answer so far: go on waiting, unless the time is over.
    fn unanswered(&mut self, pending: &Pending) -> Result<Option<usize>, Error<T::Error>> {
        if self.expired(pending.since) {
            self.pending = None;
            return Err(Error::Timeout);
        }
        Ok(None)
    }

    fn expired(&self, since: u64) -> bool {
        self.timeout.is_some_and(|timeout| self.clock.now_microseconds().saturating_sub(since) >= timeout)
    }

    fn judge(&self, length: usize, pending: &Pending) -> Verdict {
        let Some(header) = self.storage.packet(length).first_chunk() else {
            return Verdict::Fault(ProtocolFault::Header);
        };
        match Header::decode(header) {
            Ok(header) if header.order == ByteOrder::Little => {
                if header.sequence != pending.sequence {
                    Verdict::Stale
                } else if header.kind != pending.kind {
                    Verdict::Fault(ProtocolFault::Kind { requested: pending.kind, received: header.kind })
                } else {
                    Verdict::Answer
                }
            }
            _ => Verdict::Fault(ProtocolFault::Header),
        }
    }

    fn response(&self, kind: Kind, length: usize) -> Response<'_> {
        Response::new(kind, self.storage.packet(length).get(Header::SIZE..).unwrap_or_default())
    }

    /// The largest multiple of `block` that fits a payload besides `overhead` bytes.
    pub(crate) fn capacity(&self, overhead: usize, block: usize) -> Result<usize, Error<T::Error>> {
        let room = self.limit.saturating_sub(overhead);
        let whole = room.saturating_sub(room.checked_rem(block).unwrap_or(0));
        if whole == 0 {
            return Err(Error::TooLong { needed: overhead.saturating_add(block), limit: self.limit });
        }
        Ok(whole)
    }
}

/// How long to wait for a packet: not beyond the deadline, and not longer than `longest`.
fn remaining(timeout: Option<u64>, now: u64, since: u64, longest: Duration) -> Duration {
    timeout.map_or(longest, |timeout| {
        longest.min(Duration::from_micros(timeout.saturating_sub(now.saturating_sub(since))))
    })
}

/// Copies an outcome into the front of the caller's buffer and returns its length.
pub(crate) fn deliver<E>(outcome: &[u8], to: &mut [u8]) -> Result<usize, Error<E>> {
    let available = to.len();
    to.get_mut(..outcome.len())
        .ok_or(Error::OutputTooSmall { needed: outcome.len(), available })?
        .copy_from_slice(outcome);
    Ok(outcome.len())
}

/// Copies an outcome whose length was checked.
pub(crate) fn overwrite(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
