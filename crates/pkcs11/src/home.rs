//! Connections for the keys of sessions, which live in a server's cache and leave it with their last user.

use crate::connection::Connection;
use crate::error::{Result, fail};
use crate::lock::lock;
use casemate_protocol::KeyId;
use cryptoki_sys::CKR_KEY_HANDLE_INVALID;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A connection for session keys.
pub(crate) struct Home {
    connection: Mutex<Connection>,
    numbers: Mutex<BTreeSet<u8>>,
    /// Whether the home is given up: its keys are of no use any more, and the connection ends with the last of them, and
    /// with it what its cache holds.
    ends: AtomicBool,
}

impl Home {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection: Mutex::new(connection), numbers: Mutex::default(), ends: AtomicBool::new(false) }
    }

    /// The connection, for whoever works with a key on it.
    ///
    /// # Errors
    /// `CKR_KEY_HANDLE_INVALID` if the home is given up.
    pub(crate) fn connection(&self) -> Result<MutexGuard<'_, Connection>> {
        let connection = self.any_connection();
        if self.is_given_up() { fail(CKR_KEY_HANDLE_INVALID) } else { Ok(connection) }
    }

    /// The connection, also of a home that is given up.
    pub(crate) fn any_connection(&self) -> MutexGuard<'_, Connection> {
        lock(&self.connection)
    }

    /// A key that has just entered the cache.
    pub(crate) fn keep(self: &Arc<Self>, id: KeyId) -> SessionKey {
        lock(&self.numbers).insert(id.number());
        SessionKey(Arc::new(HeldKey { home: Arc::clone(self), id }))
    }

    /// Whether a session's key has this number.
    pub(crate) fn holds(&self, number: u8) -> bool {
        lock(&self.numbers).contains(&number)
    }

    /// Whether there is no session's key.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.numbers).is_empty()
    }

    /// Makes its keys useless.
    pub(crate) fn give_up(&self) {
        self.ends.store(true, Ordering::Release);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.ends.load(Ordering::Acquire)
    }
}

/// A key in the cache of a home. It leaves the cache with the last copy of this.
#[derive(Clone)]
pub(crate) struct SessionKey(Arc<HeldKey>);

impl SessionKey {
    /// Where it lives.
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.0.home
    }

    /// Its identifier there.
    pub(crate) fn id(&self) -> KeyId {
        self.0.id
    }
}

struct HeldKey {
    home: Arc<Home>,
    id: KeyId,
}

impl Drop for HeldKey {
    fn drop(&mut self) {
        if self.home.is_given_up() {
            return;
        }
        // A key that cannot be dropped is dropped with its connection.
        let _ = self.home.any_connection().hsm().key_evict(self.id);
        lock(&self.home.numbers).remove(&self.id.number());
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({})", self.0.id)
    }
}
