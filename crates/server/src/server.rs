//! What sessions share, a session, and the way of one request through the server.

use crate::audit::{self, Event, Record};
use crate::cache::{CacheStorage, CacheUse, KeyCache};
use crate::config::{Config, ConfigError, Isolation};
use crate::group;
#[cfg(feature = "certificates")]
use crate::group::certificate::VerifyCache;
use crate::keys::KeyStore;
use crate::lock::Lock;
#[cfg(feature = "dma")]
use crate::memory::{ClientWindow, Dma};
use crate::states::IssuedStates;
#[cfg(feature = "authentication")]
use crate::users::{KeyList, Login, Table};
use casemate_crypto::{Driver, constant_time_equal};
use casemate_nvm::ObjectStore;
#[cfg(feature = "authentication")]
use casemate_protocol::message::authentication;
use casemate_protocol::message::nvm::StatusResponse;
use casemate_protocol::message::{Refusal, refusal};
use casemate_protocol::{
    ByteOrder, ClientId, Field, Group, Header, Kind, Layout, Metadata, ObjectId, Packet, Reader, Status,
    Writer,
};
#[cfg(feature = "dma")]
use zeroize::Zeroize;
use zeroize::Zeroizing;

/// Which chain of drivers a client asks for (document 04, §3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// The accelerated chain, which falls back to software.
    Accelerated,
    /// The portable software.
    Software,
}

/// What a port supplies. One implementation serves all sessions of a server.
pub trait Platform {
    /// The object store.
    type Store: ObjectStore;
    /// Memory of a key cache: one for each session and one for global keys.
    type Cache: CacheStorage;
    /// The lock over what sessions share.
    type Lock<T>: Lock<T>;

    /// The drivers for cryptography. They are called by several sessions at once where the port runs several threads,
    /// and without the lock held, except for the random bytes of a key that is made in its cache slot, and for SHE
    /// updates.
    fn crypto(&self, affinity: Affinity) -> &dyn Driver;

    /// How many numbers custom callbacks can have: 0 to this less 1. INFO reports it. None unless the port says so.
    #[cfg(feature = "custom")]
    fn custom_callback_count(&self) -> u8 {
        0
    }

    /// The custom callback with this number, if there is one.
    #[cfg(feature = "custom")]
    fn custom_callback(&self, number: u8) -> Option<&dyn crate::custom::CustomCallback> {
        let _ = number;
        None
    }

    /// A key was evicted, erased or revoked, or a session has ended: a driver that keeps forms of keys between operations
    /// wipes them now. Does nothing unless the port implements it. It must not call the server.
    fn forget_keys(&self) {}

    /// The key store in the device's hardware, if there is one. None unless the port implements it.
    fn hardware_keys(&self) -> Option<&dyn crate::HardwareKeyStore> {
        None
    }

    /// Takes note of a security record: see [`audit`]. Does nothing unless the port implements it.
    ///
    /// It is called by several sessions at once where the port runs several threads, often while the server's lock is
    /// held: it must not call the server, should be quick, and cannot fail. A port whose records can get lost counts
    /// them.
    fn record(&self, record: &Record) {
        let _ = record;
    }

    /// The time in seconds since the Unix epoch. Without one, validity periods of certificates are not checked, and
    /// failed logins do not cost waiting.
    fn now(&self) -> Option<u64> {
        None
    }

    /// Whether a certificate of a chain that passed all checks is accepted: a port that knows of revoked certificates
    /// refuses them here. What did not pass the checks cannot be accepted.
    #[cfg(feature = "certificates")]
    fn accepts_certificate(&self, certificate: &casemate_x509::Certificate<'_>) -> bool {
        let _ = certificate;
        true
    }

    /// A key of 256 bits that is secret, belongs to this device alone and is the same after every restart. The user
    /// database is sealed with it. It should come from where the flash's content does not reveal it: fuses, a
    /// hardware key slot, a physically unclonable function.
    ///
    /// Without one (`None`) the user database lies open: PINs are still hashed slowly with a salt, but whoever can
    /// write the flash can make itself an administrator.
    #[cfg(feature = "authentication")]
    fn device_key(&self) -> Option<Zeroizing<[u8; 32]>> {
        None
    }
}

/// What sessions touch one at a time.
#[derive(Debug)]
pub(crate) struct Shared<P: Platform> {
    pub(crate) store: P::Store,
    pub(crate) global: KeyCache<P::Cache>,
    /// How often a stored key was replaced or destroyed; it wraps around.
    pub(crate) key_changes: u32,
    #[cfg(feature = "certificates")]
    pub(crate) verify_cache: VerifyCache,
}

/// The server: everything that its sessions share.
#[derive(Debug)]
pub struct Server<P: Platform> {
    platform: P,
    config: Config,
    shared: P::Lock<Shared<P>>,
    /// Taken before the lock of `shared` where both are needed.
    #[cfg(feature = "she")]
    she: P::Lock<group::she::State>,
    /// Taken before `shared`, never while that is held.
    #[cfg(feature = "authentication")]
    users: P::Lock<Table>,
}

/// One client's connection. Its key cache is wiped when it is dropped.
#[derive(Debug)]
pub struct Session<P: Platform> {
    pub(crate) client: Option<ClientId>,
    /// The only client that this can be, if the port knows who is at the other end.
    pub(crate) only: Option<ClientId>,
    pub(crate) cache: KeyCache<P::Cache>,
    pub(crate) cmac_states: IssuedStates,
    #[cfg(feature = "certificates")]
    pub(crate) verify_cache: VerifyCache,
    pub(crate) closing: bool,
    /// The object that the request under way named last, for the record of a refusal.
    pub(crate) subject: ObjectId,
    #[cfg(feature = "she")]
    pub(crate) she: group::she::State,
    #[cfg(feature = "authentication")]
    pub(crate) login: Option<Login>,
    /// The certificate whose private key the client has, if the transport knows.
    #[cfg(all(feature = "authentication", feature = "certificates"))]
    pub(crate) certificate: Option<[u8; 32]>,
}

impl<P: Platform> Session<P> {
    /// A session that has not said INIT.
    pub const fn new(cache: P::Cache) -> Self {
        Self {
            client: None,
            only: None,
            cache: KeyCache::new(cache),
            cmac_states: IssuedStates::new(),
            closing: false,
            subject: ObjectId::INVALID,
            #[cfg(feature = "she")]
            she: group::she::State::new(),
            #[cfg(feature = "certificates")]
            verify_cache: VerifyCache::new(),
            #[cfg(feature = "authentication")]
            login: None,
            #[cfg(all(feature = "authentication", feature = "certificates"))]
            certificate: None,
        }
    }

    /// The same session, for a port whose transport has proven that the client has the private key of the certificate
    /// with this SHA-256: the client can log in with it ([`CertificateLogin::Proven`](crate::CertificateLogin::Proven)).
    #[cfg(all(feature = "authentication", feature = "certificates"))]
    #[must_use]
    pub const fn with_certificate(mut self, fingerprint: [u8; 32]) -> Self {
        self.certificate = Some(fingerprint);
        self
    }

    /// The same session, for a port that knows by its transport who is at the other end: it takes INIT with this
    /// identifier only, whatever isolation is configured, and nothing before INIT.
    #[must_use]
    pub fn only_for(mut self, client: ClientId) -> Self {
        self.only = Some(client);
        self
    }

    /// How many keys the session's cache holds.
    pub fn cache_use(&self) -> CacheUse {
        self.cache.occupied()
    }

    /// Who the client is; `None` before INIT.
    pub const fn client(&self) -> Option<ClientId> {
        self.client
    }
}

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
    /// A server over an object store and the memory for the cache of global keys.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is out of range.
    pub fn new(
        platform: P,
        config: Config,
        store: P::Store,
        global_cache: P::Cache,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let shared = Lock::new(Shared {
            store,
            global: KeyCache::new(global_cache),
            key_changes: 0,
            #[cfg(feature = "certificates")]
            verify_cache: VerifyCache::new(),
        });
        Ok(Self {
            platform,
            config,
            shared,
            #[cfg(feature = "she")]
            she: Lock::new(group::she::State::new()),
            #[cfg(feature = "authentication")]
            users: Lock::new(Table::new()),
        })
    }

    #[cfg(feature = "authentication")]
    pub(crate) const fn users(&self) -> &P::Lock<Table> {
        &self.users
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The port's part.
    pub const fn platform(&self) -> &P {
        &self.platform
    }

    /// The port's part, to be changed while no session is served.
    pub const fn platform_mut(&mut self) -> &mut P {
        &mut self.platform
    }

    /// Size of the largest packet in bytes.
    pub const fn packet_size(&self) -> usize {
        self.config.data_length.saturating_add(Header::SIZE)
    }

    /// Ends a session whose connection has ended, so that the end is recorded and drivers forget its keys. A session that
    /// is merely dropped is wiped all the same.
    pub fn end(&self, session: Session<P>) {
        self.record_end(&session);
    }

    /// As [`end`](Self::end), and makes of it the session of the next connection, in the same memory: for ports whose
    /// sessions live in static memory. `only` is the only client that this can be, as for [`Session::only_for`].
    pub fn renew(&self, session: &mut Session<P>, only: Option<ClientId>) {
        self.record_end(session);
        // By name, so that a new field is not forgotten here.
        let Session {
            client,
            only: bound,
            cache,
            cmac_states,
            #[cfg(feature = "certificates")]
            verify_cache,
            closing,
            subject,
            #[cfg(feature = "she")]
            she,
            #[cfg(feature = "authentication")]
            login,
            #[cfg(all(feature = "authentication", feature = "certificates"))]
            certificate,
        } = session;
        *client = None;
        *bound = only;
        cache.clear_all();
        *cmac_states = IssuedStates::new();
        *closing = false;
        *subject = ObjectId::INVALID;
        #[cfg(feature = "certificates")]
        {
            *verify_cache = VerifyCache::new();
        }
        #[cfg(feature = "she")]
        {
            *she = group::she::State::new();
        }
        #[cfg(feature = "authentication")]
        {
            *login = None;
        }
        #[cfg(all(feature = "authentication", feature = "certificates"))]
        {
            *certificate = None;
        }
    }

    fn record_end(&self, session: &Session<P>) {
        self.platform.forget_keys();
        // CLOSE has been recorded.
        if session.client.is_some() && !session.closing {
            let event = Event::SessionEnded {};
            self.platform.record(&Record { client: session.client, request: None, event });
        }
    }

    /// Gives the owner of the server the object store, between requests: to provision trusted keys, for instance.
    ///
    /// Whoever replaces or destroys keys while sessions exist calls [`drop_key_copies`](Self::drop_key_copies) afterwards.
    ///
    /// `None` if the lock cannot be had ([`Lock::with`]).
    pub fn with_store<R>(&self, work: impl FnOnce(&mut P::Store) -> R) -> Option<R> {
        self.shared.with(|shared| work(&mut shared.store))
    }

    /// How many keys the cache of global keys holds; `None` if the lock cannot be had ([`Lock::with`]).
    pub fn global_cache_use(&self) -> Option<CacheUse> {
        self.shared.with(|shared| shared.global.occupied())
    }

    /// Makes every session read stored keys anew instead of using cached copies: for an owner who has changed keys through
    /// [`with_store`](Self::with_store). Keys that are only cached stay.
    ///
    /// `None` if the lock cannot be had ([`Lock::with`]).
    pub fn drop_key_copies(&self) -> Option<()> {
        self.shared.with(|shared| {
            shared.key_changes = shared.key_changes.wrapping_add(1);
            shared.global.drop_committed();
        })
    }

    /// Works with all that sessions share while no other session does; `None` if the lock cannot be had.
    #[cfg(any(feature = "certificates", feature = "images"))]
    pub(crate) fn with_shared<R>(&self, work: impl FnOnce(&mut Shared<P>) -> R) -> Option<R> {
        self.shared.with(work)
    }

    /// The SHE state that all sessions share.
    #[cfg(feature = "she")]
    pub(crate) const fn she_state(&self) -> &P::Lock<group::she::State> {
        &self.she
    }

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
            scratch.zeroize();
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

/// Where the key store's records go.
pub(crate) struct Recorder<'a, P: Platform> {
    platform: &'a P,
    client: Option<ClientId>,
    request: Kind,
}

impl<P: Platform> Recorder<'_, P> {
    /// The platform that records go to.
    #[cfg(feature = "key-wrap")]
    pub(crate) const fn platform(&self) -> &P {
        self.platform
    }

    pub(crate) fn record(&self, event: Event) {
        self.platform.record(&Record { client: self.client, request: Some(self.request), event });
    }
}

/// On whose behalf the key store works.
pub(crate) struct Caller<'a, P: Platform> {
    pub(crate) server: &'a Server<P>,
    pub(crate) client: Option<ClientId>,
    /// The session's key cache.
    pub(crate) cache: &'a mut KeyCache<P::Cache>,
    /// The object that the request named last.
    pub(crate) subject: &'a mut ObjectId,
    /// The message that is being handled.
    pub(crate) kind: Kind,
    /// The keys that the session's user may use.
    #[cfg(feature = "authentication")]
    pub(crate) keys: KeyList,
}

/// Drops cached copies of stored keys that another session has changed. Not inlined: every message would carry it.
#[inline(never)]
fn catch_up<P: Platform>(cache: &mut KeyCache<P::Cache>, shared: &mut Shared<P>) {
    let Shared { store, key_changes, .. } = shared;
    cache.catch_up(*key_changes, |metadata, key| is_stored(store, metadata, key));
}

/// Whether the store holds just this key.
fn is_stored<S: ObjectStore>(store: &mut S, metadata: &Metadata, key: &[u8]) -> bool {
    if store.metadata(metadata.id).ok() != Some(*metadata) {
        return false;
    }
    let mut piece = Zeroizing::new([0; 32]);
    let mut offset = 0_u16;
    for expected in key.chunks(piece.len()) {
        let Some(piece) = piece.get_mut(..expected.len()) else { return false };
        if store.read(metadata.id, offset, piece).is_err() || !constant_time_equal(piece, expected) {
            return false;
        }
        offset = offset.saturating_add(u16::try_from(expected.len()).unwrap_or(u16::MAX));
    }
    true
}

impl<P: Platform> Caller<'_, P> {
    /// Works with the object store and the keys while no other session does.
    ///
    /// # Errors
    /// What `work` answers, or ABORTED if the lock cannot be had.
    pub(crate) fn locked<R>(
        &mut self,
        work: impl FnOnce(&mut KeyStore<'_, P>) -> Result<R, Status>,
    ) -> Result<R, Status> {
        let Self { server, client, cache, subject, kind, .. } = self;
        #[cfg(feature = "authentication")]
        let permitted = self.keys;
        let server: &Server<P> = server;
        server
            .shared
            .with(|shared| {
                catch_up(cache, shared);
                let result = work(&mut KeyStore {
                    local: cache,
                    shared,
                    features: server.config.features,
                    client: client.unwrap_or(ClientId::NONE),
                    subject,
                    recorder: Recorder { platform: &server.platform, client: *client, request: *kind },
                    #[cfg(feature = "authentication")]
                    permitted,
                });
                cache.keep_up(shared.key_changes);
                result
            })
            .unwrap_or(Err(Status::ABORTED))
    }
}

/// What a message handler works with.
pub(crate) struct Context<'a, P: Platform> {
    pub(crate) server: &'a Server<P>,
    pub(crate) session: &'a mut Session<P>,
    pub(crate) order: ByteOrder,
    #[cfg(feature = "dma")]
    pub(crate) dma: Dma<'a>,
    /// The message that is being handled.
    pub(crate) kind: Kind,
    /// The keys that the session's user may use.
    #[cfg(feature = "authentication")]
    pub(crate) keys: KeyList,
}

impl<P: Platform> Context<'_, P> {
    fn dispatch(&mut self, header: Header, payload: &[u8], out: &mut [u8]) -> usize {
        let action = header.kind.action;
        if header.kind.group == Group::COMM {
            return group::comm::handle(self, action, payload, out);
        }
        let has_users = match self.gate(header.kind) {
            Ok(has_users) => has_users,
            Err(status) => return self.refuse_by_gate(header, payload, status, out),
        };
        if header.kind.group == Group::AUTH && !has_users {
            return self.put(&StatusResponse { status: Status::AUTH_NOT_ENABLED }, out);
        }
        let init_comes_first =
            self.server.config.isolation == Isolation::Strict || self.session.only.is_some();
        if self.session.client.is_none() && init_comes_first {
            return self.refuse(header, payload, Status::ACCESS, out);
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
        let Some(policy) = self.server.config.users else { return Ok(false) };
        let grant = match self.session.login {
            Some(login) => self
                .server
                .users
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
    fn refuse_by_gate(&self, header: Header, payload: &[u8], status: Status, out: &mut [u8]) -> usize {
        match self.refuse(header, payload, status, out) {
            0 => self.put(&StatusResponse { status }, out),
            length => length,
        }
    }

    /// A response of the usual size with nothing in it but `status`; empty where there is no such form.
    fn refuse(&self, header: Header, payload: &[u8], status: Status, out: &mut [u8]) -> usize {
        let Some(Refusal { size, status_offset, echoes_algorithm }) = refusal(header.kind) else { return 0 };
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

    /// Hands a security record to the port.
    pub(crate) fn record(&self, event: Event) {
        let record = Record { client: self.session.client, request: Some(self.kind), event };
        self.server.platform.record(&record);
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

    /// The client that requests run as; 0 before INIT.
    pub(crate) fn client(&self) -> ClientId {
        self.session.client.unwrap_or(ClientId::NONE)
    }

    /// Works with the object store and the keys while no other session does.
    ///
    /// # Errors
    /// What `work` answers, or ABORTED if the lock cannot be had.
    pub(crate) fn locked<R>(
        &mut self,
        work: impl FnOnce(&mut KeyStore<'_, P>) -> Result<R, Status>,
    ) -> Result<R, Status> {
        let Session { client, cache, subject, .. } = &mut *self.session;
        Caller {
            server: self.server,
            client: *client,
            cache,
            subject,
            kind: self.kind,
            #[cfg(feature = "authentication")]
            keys: self.keys,
        }
        .locked(work)
    }

    /// The drivers that the server prefers.
    pub(crate) fn crypto(&self, affinity: Affinity) -> &dyn Driver {
        self.server.platform.crypto(affinity)
    }

    /// Writes the fixed part of a response and returns its size.
    pub(crate) fn put<L: Layout>(&self, message: &L, out: &mut [u8]) -> usize {
        match message.encode(self.order, out) {
            Ok(_) => L::SIZE,
            Err(_) => 0,
        }
    }
}
