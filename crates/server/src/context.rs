//! What a message handler works with, and on whose behalf.

use crate::audit::{Event, Record};
use crate::cache::KeyCache;
use crate::keys::{KeyStore, Recorder};
#[cfg(feature = "dma")]
use crate::memory::Dma;
use crate::platform::{Affinity, Platform};
use crate::server::{Server, Shared};
use crate::session::Session;
#[cfg(feature = "authentication")]
use crate::users::KeyList;
use casemate_crypto::{Driver, Secret, constant_time_equal};
use casemate_nvm::ObjectStore;
use casemate_protocol::{ByteOrder, ClientId, KeyId, Kind, Layout, Metadata, ObjectId, ObjectType, Status};

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
    if !matches!(&store.metadata(metadata.id), Ok(stored) if stored == metadata) {
        return false;
    }
    let mut piece = Secret::<32>::zero();
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

/// Works with the object store and the keys, then lets the other sessions go on.
fn with<P: Platform, R>(
    mut locked: Result<KeyStore<'_, P>, Status>,
    work: impl FnOnce(&mut KeyStore<'_, P>) -> Result<R, Status>,
) -> Result<R, Status> {
    // Matched in its place: `?` would move it.
    let result = match &mut locked {
        Ok(keys) => work(keys),
        Err(status) => return Err(*status),
    };
    release(locked);
    result
}

/// Lets the other sessions go on. Not inlined: every message would carry it.
#[inline(never)]
fn release<P: Platform>(_: Result<KeyStore<'_, P>, Status>) {}

#[cfg(feature = "she")]
impl<P: Platform> Caller<'_, P> {
    /// Works with the object store and the keys while no other session does.
    ///
    /// # Errors
    /// What `work` answers, or ABORTED if the lock cannot be had.
    pub(crate) fn locked<R>(
        &mut self,
        work: impl FnOnce(&mut KeyStore<'_, P>) -> Result<R, Status>,
    ) -> Result<R, Status> {
        with(self.lock(), work)
    }

    /// As [`into_keys`](Self::into_keys), of a caller that goes on afterwards.
    #[inline(never)]
    fn lock(&mut self) -> Result<KeyStore<'_, P>, Status> {
        let Self { server, client, cache, subject, kind, .. } = self;
        Caller {
            server,
            client: *client,
            cache,
            subject,
            kind: *kind,
            #[cfg(feature = "authentication")]
            keys: self.keys,
        }
        .into_keys()
    }
}

impl<'a, P: Platform> Caller<'a, P> {
    /// The object store and the keys, for as long as no other session gets at them. Not inlined: every message would carry it.
    #[inline(never)]
    fn into_keys(self) -> Result<KeyStore<'a, P>, Status> {
        let Self { server, client, cache, subject, kind, .. } = self;
        let mut shared = server.lock_shared().ok_or(Status::ABORTED)?;
        catch_up(cache, &mut shared);
        Ok(KeyStore {
            local: cache,
            shared,
            features: server.config().features,
            client: client.unwrap_or(ClientId::NONE),
            subject,
            recorder: Recorder { platform: server.platform(), client, request: kind },
            #[cfg(feature = "authentication")]
            permitted: self.keys,
        })
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

impl<'a, P: Platform> Context<'a, P> {
    /// Hands a security record to the port.
    pub(crate) fn record(&self, event: Event) {
        let record = Record { client: self.session.client, request: Some(self.kind), event };
        self.server.platform().record(&record);
    }

    /// The client that requests run as; 0 before INIT.
    pub(crate) fn client(&self) -> ClientId {
        self.session.client.unwrap_or(ClientId::NONE)
    }

    /// The identifier under which the server stores a key that a request names.
    #[inline(never)]
    pub(crate) fn key_id(&self, key: KeyId) -> ObjectId {
        key.to_object(ObjectType::CRYPTO, self.client(), self.server.config().features)
    }

    /// Works with the object store and the keys while no other session does.
    ///
    /// # Errors
    /// What `work` answers, or ABORTED if the lock cannot be had.
    pub(crate) fn locked<R>(
        &mut self,
        work: impl FnOnce(&mut KeyStore<'_, P>) -> Result<R, Status>,
    ) -> Result<R, Status> {
        with(self.lock(), work)
    }

    /// As [`Caller::into_keys`].
    #[inline(never)]
    fn lock(&mut self) -> Result<KeyStore<'_, P>, Status> {
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
        .into_keys()
    }

    /// The drivers that the server prefers.
    #[inline(never)]
    pub(crate) fn crypto(&self, affinity: Affinity) -> &'a dyn Driver {
        self.server.platform().crypto(affinity)
    }

    /// Writes the fixed part of a response and returns its size.
    pub(crate) fn put<L: Layout>(&self, message: &L, out: &mut [u8]) -> usize {
        put(message, self.order, out)
    }
}

/// As [`Context::put`], where the context is lent.
pub(crate) fn put<L: Layout>(message: &L, order: ByteOrder, out: &mut [u8]) -> usize {
    match message.encode(order, out) {
        Ok(_) => L::SIZE,
        Err(_) => 0,
    }
}

#[cfg(feature = "dma")]
impl<'a, P: Platform> Context<'a, P> {
    /// Lets `work` use client memory and everything else at once.
    pub(crate) fn with_dma<R>(&mut self, work: impl FnOnce(&mut Self, &mut Dma<'a>) -> R) -> R {
        let mut dma = core::mem::take(&mut self.dma);
        let result = work(self, &mut dma);
        self.dma = dma;
        result
    }
}
