//! One connection: records in, records out.

use super::Failure;
use alloc::vec::Vec;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{CommonState, HandshakeKind};
use zeroize::{Zeroize, Zeroizing};

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The handshake is not over: send the output, then deliver input.
    Handshaking,
    /// The handshake is over.
    Open,
    /// The handshake was over, and the peer has said that it will send nothing more.
    PeerClosed,
}

/// How many bytes are read before the length of a record is known. Where memory is not short, several small records
/// arrive in one read.
const FIRST_INPUT: usize = if cfg!(target_os = "none") { 512 } else { 4096 };
/// The longest record (RFC 8446, §5.2, and RFC 5246, §6.2.3), in bytes.
const MAX_RECORD: usize = 5 + (1 << 14) + 2048;
/// The longest input while handshaking: a message of up to 64 KiB in several records.
const MAX_HANDSHAKE: usize = (1 << 16) + MAX_RECORD;
/// The most application data that one call of [`Session::write`] takes, in bytes: a record's worth.
pub const MAX_WRITE: usize = 1 << 14;
/// A ChangeCipherSpec record, which TLS 1.3 sends for the sake of old network equipment (RFC 8446, §D.4).
const CHANGE_CIPHER_SPEC: [u8; 6] = [0x14, 0x03, 0x03, 0x00, 0x01, 0x01];

enum Engine {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// A connection. After a failure it only has output: an alert for the peer.
pub struct Session {
    engine: Engine,
    /// What the transport delivered; the first `filled` bytes are valid.
    input: Vec<u8>,
    filled: usize,
    /// What the transport is to send, from `sent` on.
    output: Vec<u8>,
    sent: usize,
    /// What the program has not read yet, from `taken` on.
    plaintext: Zeroizing<Vec<u8>>,
    taken: usize,
    open: bool,
    peer_closed: bool,
    close_sent: bool,
    failure: Option<Failure>,
    /// The server was named by its address.
    address: bool,
}

impl core::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("open", &self.open)
            .field("peer_closed", &self.peer_closed)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// What a turn of the engine is to do once the connection is open.
#[derive(Clone, Copy)]
enum Send<'a> {
    Nothing,
    Data(&'a [u8]),
    CloseNotify,
}

/// What a turn of the engine came to.
enum Turn {
    /// More turns may follow.
    Again,
    /// Nothing goes on without input.
    Input,
    /// The connection is open; true if what was to be sent has been encrypted.
    Open(bool),
    /// The peer will send nothing more; more turns may follow.
    PeerClosed,
    /// Neither side will.
    Closed,
}

/// Where a turn puts what it makes.
struct Buffers<'a, 't> {
    output: &'a mut Vec<u8>,
    plaintext: &'a mut Vec<u8>,
    /// Where the program wants to have what the peer sent; the first `done` bytes are there.
    target: &'a mut Target<'t>,
}

/// The program's memory for a read.
struct Target<'a> {
    room: &'a mut [u8],
    done: usize,
}

impl Target<'_> {
    const fn none() -> Self {
        Self { room: &mut [], done: 0 }
    }

    /// Copies what fits and returns the rest.
    fn take<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        let room = self.room.get_mut(self.done..).unwrap_or_default();
        let count = room.len().min(data.len());
        let (now, rest) = data.split_at_checked(count).unwrap_or((&[], data));
        if let Some(room) = room.get_mut(..now.len()) {
            room.copy_from_slice(now);
            self.done = self.done.saturating_add(now.len());
        }
        rest
    }
}

impl Buffers<'_, '_> {
    /// Appends what `make` writes: called with no room, it says how much it needs.
    fn append<E>(
        &mut self,
        mut make: impl FnMut(&mut [u8]) -> Result<usize, E>,
        needed: impl Fn(&E) -> Option<usize>,
    ) -> Result<(), Failure> {
        let size = match make(&mut []) {
            Ok(_) => return Ok(()),
            Err(error) => needed(&error).ok_or(Failure::INTERNAL)?,
        };
        let start = self.output.len();
        self.output.resize(start.saturating_add(size), 0);
        let written =
            make(self.output.get_mut(start..).unwrap_or_default()).map_err(|_| Failure::INTERNAL)?;
        self.output.truncate(start.saturating_add(written));
        Ok(())
    }
}

fn encode_size(error: &EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(error) => Some(error.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

fn encrypt_size(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(error) => Some(error.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

/// One turn: takes the engine's state, acts on it, and says how many bytes of input are done with.
fn turn<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    mut buffers: Buffers<'_, '_>,
    send: Send<'_>,
) -> (usize, Result<Turn, Failure>) {
    let UnbufferedStatus { mut discard, state } = status;
    let result = match state {
        Err(error) => Err(Failure::from(&error)),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard = discard.saturating_add(record.discard);
                    let rest = buffers.target.take(record.payload);
                    buffers.plaintext.extend_from_slice(rest);
                }
                Some(Err(error)) => break Err(Failure::from(&error)),
                None => break Ok(Turn::Again),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            buffers.append(|room| data.encode(room), encode_size).map(|()| Turn::Again)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Turn::Again)
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Turn::Input),
        Ok(ConnectionState::WriteTraffic(mut traffic)) => match send {
            Send::Nothing => Ok(Turn::Open(false)),
            Send::Data(data) => {
                buffers.append(|room| traffic.encrypt(data, room), encrypt_size).map(|()| Turn::Open(true))
            }
            Send::CloseNotify => buffers
                .append(|room| traffic.queue_close_notify(room), encrypt_size)
                .map(|()| Turn::Open(true)),
        },
        Ok(ConnectionState::PeerClosed) => Ok(Turn::PeerClosed),
        Ok(ConnectionState::Closed) => Ok(Turn::Closed),
        // Early data is not enabled, and there are no other states.
        Ok(_) => Err(Failure::INTERNAL),
    };
    (discard, result)
}

impl Session {
    fn new(engine: Engine, address: bool) -> Self {
        Self {
            engine,
            input: Vec::new(),
            filled: 0,
            output: Vec::new(),
            sent: 0,
            plaintext: Zeroizing::new(Vec::new()),
            taken: 0,
            open: false,
            peer_closed: false,
            close_sent: false,
            failure: None,
            address,
        }
    }

    pub(super) fn client(connection: UnbufferedClientConnection, address: bool) -> Self {
        Self::new(Engine::Client(connection), address)
    }

    pub(super) fn server(connection: UnbufferedServerConnection) -> Self {
        Self::new(Engine::Server(connection), false)
    }

    fn common(&self) -> &CommonState {
        match &self.engine {
            Engine::Client(connection) => connection,
            Engine::Server(connection) => connection,
        }
    }

    fn turn(&mut self, send: Send<'_>, target: &mut Target<'_>) -> Result<Turn, Failure> {
        let input = self.input.get_mut(..self.filled).unwrap_or_default();
        let buffers = Buffers { output: &mut self.output, plaintext: &mut self.plaintext, target };
        let (discard, result) = match &mut self.engine {
            Engine::Client(connection) => turn(connection.process_tls_records(input), buffers, send),
            Engine::Server(connection) => turn(connection.process_tls_records(input), buffers, send),
        };
        let discard = discard.min(self.filled);
        self.input.copy_within(discard..self.filled, 0);
        self.filled = self.filled.saturating_sub(discard);
        result
    }

    /// Turns until nothing goes on; true if `send` has been encrypted.
    fn run(&mut self, send: Send<'_>, target: &mut Target<'_>) -> Result<bool, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        loop {
            match self.turn(send, target) {
                Ok(Turn::Again) => {}
                Ok(Turn::Input) => return Ok(false),
                Ok(Turn::Open(done)) => {
                    self.open = true;
                    return Ok(done);
                }
                Ok(Turn::PeerClosed) => (self.open, self.peer_closed) = (true, true),
                Ok(Turn::Closed) => {
                    (self.open, self.peer_closed) = (true, true);
                    return Ok(false);
                }
                Err(failure) => {
                    let failure =
                        if self.address && failure == Failure::NAME { Failure::ADDRESS } else { failure };
                    self.failure = Some(failure);
                    self.collect_alert();
                    return Err(failure);
                }
            }
        }
    }

    /// After a failure the engine may have an alert for the peer. Only that is fetched: asked for more, the engine would
    /// look at the same input again.
    fn collect_alert(&mut self) {
        for _ in 0..8 {
            if !self.common().wants_write() || self.turn(Send::Nothing, &mut Target::none()).is_err() {
                break;
            }
        }
        self.input.zeroize();
        self.filled = 0;
    }

    /// Works through the input as far as it goes.
    ///
    /// # Errors
    /// The failure, now and for good.
    pub fn step(&mut self) -> Result<Status, Failure> {
        self.run(Send::Nothing, &mut Target::none())?;
        Ok(self.status())
    }

    const fn status(&self) -> Status {
        match (self.open, self.peer_closed) {
            (_, true) => Status::PeerClosed,
            (true, false) => Status::Open,
            (false, false) => Status::Handshaking,
        }
    }

    /// How much input there has to be before the engine can go on: the end of the first record that is not whole.
    fn wanted(&self) -> usize {
        let mut end = 0_usize;
        while end <= self.filled {
            let header = self.input.get(end..self.filled).and_then(|rest| rest.first_chunk::<5>());
            let Some([_, _, _, high, low]) = header else {
                return end.saturating_add(FIRST_INPUT);
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            end = end.saturating_add(length).saturating_add(5);
        }
        end
    }

    /// Room for bytes from the transport: never empty.
    ///
    /// # Errors
    /// [`Failure::TOO_LARGE`] if a record or message is longer than the protocol allows.
    pub fn input(&mut self) -> Result<&mut [u8], Failure> {
        if self.filled >= self.input.len() {
            let limit = if self.open { MAX_RECORD } else { MAX_HANDSHAKE };
            let wanted = self.wanted().max(FIRST_INPUT).min(limit);
            let more = wanted.saturating_sub(self.filled);
            if more == 0 {
                self.failure = Some(Failure::TOO_LARGE);
                return Err(Failure::TOO_LARGE);
            }
            self.input.reserve_exact(wanted.saturating_sub(self.input.len()));
            self.input.resize(wanted, 0);
        }
        Ok(self.input.get_mut(self.filled..).unwrap_or_default())
    }

    /// Gives back the memory for input and plaintext while there is none of either, for systems that have little.
    pub fn shrink(&mut self) {
        if self.filled == 0 && self.input.len() > FIRST_INPUT {
            self.input = Vec::new();
        }
        if self.plaintext.is_empty() {
            self.plaintext = Zeroizing::new(Vec::new());
        }
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// Says that the first `count` bytes of [`input`](Self::input) have been filled.
    pub fn filled(&mut self, count: usize) {
        self.filled = self.filled.saturating_add(count).min(self.input.len());
    }

    /// The end of the transport's stream, which is a failure unless the peer has announced it.
    ///
    /// # Errors
    /// [`Failure::CLOSED`].
    pub fn end_of_input(&mut self) -> Result<(), Failure> {
        if self.peer_closed {
            return Ok(());
        }
        let failure = *self.failure.get_or_insert(Failure::CLOSED);
        Err(failure)
    }

    /// What the transport is to send. A lone ChangeCipherSpec waits for what follows it: alone it would meet the delays
    /// of TCP.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        let rest = self.output.get(self.sent..).unwrap_or_default();
        let alone = !self.open && self.failure.is_none() && rest == CHANGE_CIPHER_SPEC;
        if alone { &[] } else { rest }
    }

    /// Says that the first `count` bytes of [`output`](Self::output) have been sent.
    pub fn sent(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.output.len());
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
    }

    /// Whether a read ends without the transport: with bytes, or because there will be no more.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.pending() > 0 || self.peer_closed || self.failure.is_some()
    }

    /// The number of bytes that wait for the program.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.plaintext.len().saturating_sub(self.taken)
    }

    /// Moves bytes that the peer sent to `target` and returns how many: those that are pending, or else those of the
    /// input, which is worked through as by [`step`](Self::step).
    ///
    /// # Errors
    /// The failure, now and for good, unless bytes came before it.
    pub fn read(&mut self, target: &mut [u8]) -> Result<(usize, Status), Failure> {
        let mut target = Target { room: target, done: 0 };
        if self.pending() > 0 {
            target.take(self.plaintext.get(self.taken..).unwrap_or_default());
            self.taken = self.taken.saturating_add(target.done);
            if self.taken >= self.plaintext.len() {
                self.plaintext.as_mut_slice().zeroize();
                self.plaintext.clear();
                self.taken = 0;
            }
            return Ok((target.done, self.status()));
        }
        match self.run(Send::Nothing, &mut target) {
            Err(failure) if target.done == 0 => Err(failure),
            _ => Ok((target.done, self.status())),
        }
    }

    /// Encrypts up to [`MAX_WRITE`] bytes into the output and returns how many: 0 while the handshake is not over.
    ///
    /// # Errors
    /// The failure, now and for good.
    pub fn write(&mut self, data: &[u8]) -> Result<usize, Failure> {
        let data = data.get(..data.len().min(MAX_WRITE)).unwrap_or_default();
        if data.is_empty() {
            return Ok(0);
        }
        Ok(if self.run(Send::Data(data), &mut Target::none())? { data.len() } else { 0 })
    }

    /// Puts a close_notify alert into the output, once, if the connection is open and well.
    pub fn close(&mut self) {
        if self.open && !self.close_sent && self.failure.is_none() {
            self.close_sent = true;
            // A failure here is noticed by nobody: the session is given up.
            let _ = self.run(Send::CloseNotify, &mut Target::none());
        }
    }

    /// The peer's own certificate in DER, once the handshake has brought it.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.common().peer_certificates()?.first().map(AsRef::as_ref)
    }

    /// The number of the cipher suite in IANA's registry, once it is agreed.
    #[must_use]
    pub fn suite(&self) -> Option<u16> {
        self.common().negotiated_cipher_suite().map(|suite| u16::from(suite.suite()))
    }

    /// The version on the wire, 0x0303 or 0x0304, once it is agreed.
    #[must_use]
    pub fn version(&self) -> Option<u16> {
        self.common().protocol_version().map(u16::from)
    }

    /// The application protocol, once one is agreed.
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        self.common().alpn_protocol()
    }

    /// Whether the handshake took up an earlier session.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.common().handshake_kind() == Some(HandshakeKind::Resumed)
    }
}
