//! The server: what its sessions share.

use crate::audit::{Event, Record};
use crate::cache::{CacheUse, KeyCache};
use crate::config::{Config, ConfigError};
#[cfg(feature = "she")]
use crate::group;
#[cfg(feature = "certificates")]
use crate::group::certificate::VerifyCache;
use crate::lock::Lock;
use crate::platform::Platform;
use crate::session::Session;
use crate::states::IssuedStates;
#[cfg(feature = "authentication")]
use crate::users::Table;
use casemate_protocol::{ClientId, Header, ObjectId};

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

/// What sessions share, while one of them has it for itself.
pub(crate) type SharedGuard<'a, P> = <<P as Platform>::Lock<Shared<P>> as Lock<Shared<P>>>::Guard<'a>;

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

    /// All that sessions share, for as long as no other session gets at it; `None` if the lock cannot be had.
    pub(crate) fn lock_shared(&self) -> Option<SharedGuard<'_, P>> {
        self.shared.lock()
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
}
