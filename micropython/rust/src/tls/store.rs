//! Sessions that may be resumed. A store belongs to one configuration, so that a change of rules forgets them.
//!
//! Nothing is allocated while a store is locked: running out of memory there would leave it locked. Whoever finds it
//! locked does without.

use crate::ffi::TryCell;
use alloc::vec::Vec;
use core::fmt;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::server::StoresServerSessions;

/// How many sessions a context remembers.
const SLOTS: usize = 4;

/// Fixed places, which are used in turn.
struct Slots<T> {
    places: [Option<T>; SLOTS],
    next: usize,
}

impl<T> Slots<T> {
    const fn new() -> Self {
        Self { places: [const { None }; SLOTS], next: 0 }
    }

    /// Puts `value` into the next place and returns what was there.
    fn put(&mut self, value: T) -> Option<T> {
        let index = self.next;
        self.next = index.saturating_add(1);
        if self.next >= SLOTS {
            self.next = 0;
        }
        self.places.get_mut(index).and_then(|place| place.replace(value))
    }

    /// Takes the newest value that fulfils `wanted`.
    fn take(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let (older, newer) = self.places.split_at_mut_checked(self.next)?;
        let place = older.iter_mut().rev().chain(newer.iter_mut().rev());
        place.into_iter().find(|place| place.as_ref().is_some_and(&wanted))?.take()
    }
}

/// A server's sessions, under their identifiers.
pub(super) struct ServerStore(TryCell<Slots<(Vec<u8>, Vec<u8>)>>);

impl ServerStore {
    pub(super) const fn new() -> Self {
        Self(TryCell::new(Slots::new()))
    }
}

impl fmt::Debug for ServerStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServerStore")
    }
}

impl StoresServerSessions for ServerStore {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        crate::ffi::memory_is_shared();
        self.0.with(|slots| slots.put((key, value))).is_some()
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let (key, value) = self.0.with(|slots| slots.take(|(known, _)| known == key))??;
        let copy = value.clone();
        self.put(key, value);
        Some(copy)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.with(|slots| slots.take(|(known, _)| known == key))?.map(|(_, value)| value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

enum Remembered {
    Tls12(Tls12ClientSessionValue),
    Tls13(Tls13ClientSessionValue),
}

/// A client's sessions, under the names of their servers.
pub(super) struct ClientStore {
    sessions: TryCell<Slots<(ServerName<'static>, Remembered)>>,
    /// The group that a server chose when it did not take the first offer.
    groups: TryCell<Slots<(ServerName<'static>, NamedGroup)>>,
}

impl ClientStore {
    pub(super) const fn new() -> Self {
        Self { sessions: TryCell::new(Slots::new()), groups: TryCell::new(Slots::new()) }
    }

    fn put(&self, name: ServerName<'static>, value: Remembered) {
        crate::ffi::memory_is_shared();
        drop(self.sessions.with(|slots| slots.put((name, value))));
    }
}

impl fmt::Debug for ClientStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientStore")
    }
}

impl ClientSessionStore for ClientStore {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        crate::ffi::memory_is_shared();
        drop(self.groups.with(|slots| {
            let known = slots.take(|(known, _)| *known == name);
            (known, slots.put((name, group)))
        }));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.groups.with(|slots| {
            slots.places.iter().flatten().find(|(known, _)| known == name).map(|(_, group)| *group)
        })?
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.put(name, Remembered::Tls12(value));
    }

    /// Takes the session out: a handshake that ends well puts it back.
    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let wanted = |(known, value): &(ServerName<'static>, Remembered)| {
            known == name && matches!(value, Remembered::Tls12(_))
        };
        match self.sessions.with(|slots| slots.take(wanted))?? {
            (_, Remembered::Tls12(value)) => Some(value),
            (_, Remembered::Tls13(_)) => None,
        }
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        drop(self.tls12_session(name));
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.put(name, Remembered::Tls13(value));
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let wanted = |(known, value): &(ServerName<'static>, Remembered)| {
            known == name && matches!(value, Remembered::Tls13(_))
        };
        match self.sessions.with(|slots| slots.take(wanted))?? {
            (_, Remembered::Tls13(value)) => Some(value),
            (_, Remembered::Tls12(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_remembers_the_newest_sessions() {
        let store = ServerStore::new();
        for number in 0..6_u8 {
            assert!(store.put(vec![number], vec![number; 3]));
        }
        assert_eq!(store.get(&[0]), None);
        assert_eq!(store.get(&[1]), None);
        assert_eq!(store.get(&[2]), Some(vec![2; 3]));
        assert_eq!(store.get(&[2]), Some(vec![2; 3]), "it is still there");
        assert_eq!(store.take(&[2]), Some(vec![2; 3]));
        assert_eq!(store.take(&[2]), None);
        assert_eq!(store.take(&[5]), Some(vec![5; 3]));
    }
}
