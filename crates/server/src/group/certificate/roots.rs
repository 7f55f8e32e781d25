//! Which objects are trusted roots, and how a verification reads them (document 07, §A.4).

use crate::config::Isolation;
use crate::platform::{Affinity, Platform};
use crate::server::Server;
use casemate_crypto::HashAlgorithm;
use casemate_nvm::{Error as StoreError, ObjectStore};
use casemate_protocol::message::certificate::{MAX_VERIFY_ROOTS, RootIds};
use casemate_protocol::{ObjectId, Status};
use casemate_x509::{Anchors, Error};

const _: () = assert!(MAX_VERIFY_ROOTS <= casemate_x509::MAX_ANCHORS);

/// Whether an object may be a trusted root. Every client may use every root; keys, counters, SHE slots and the records
/// of the user database are none, whoever they belong to. The user database is out of reach in any case.
pub(super) fn may_be_root(isolation: Isolation, id: ObjectId) -> bool {
    match isolation {
        _ if id.is_user_database() => false,
        Isolation::Original => true,
        Isolation::Strict => !id.has_owner(),
    }
}

/// The roots of a request that exist, of which one at a time is in memory.
pub(super) struct StoredRoots<'s, P: Platform> {
    server: &'s Server<P>,
    ids: [ObjectId; MAX_VERIFY_ROOTS],
    count: usize,
    /// Where a root is loaded.
    space: &'s mut [u8],
    /// Which one is there, and its length.
    loaded: Option<(usize, usize)>,
    /// What each was when it was loaded first: between that and a second time, another session may replace it.
    digests: [Option<[u8; 32]>; MAX_VERIFY_ROOTS],
    /// Why loading failed.
    pub(super) status: Option<Status>,
}

impl<'s, P: Platform> StoredRoots<'s, P> {
    /// None so far. One at a time will be loaded to `space`.
    pub(super) const fn new(server: &'s Server<P>, space: &'s mut [u8]) -> Self {
        let ids = [ObjectId::INVALID; MAX_VERIFY_ROOTS];
        let digests = [None; MAX_VERIFY_ROOTS];
        Self { server, ids, count: 0, space, loaded: None, digests, status: None }
    }

    /// Finds those of the roots that exist.
    ///
    /// # Errors
    /// BUFFER_SIZE if a root is larger than the space, NOT_FOUND if there is none that a client may name, what the store
    /// answers.
    pub(super) fn find(&mut self, roots: &RootIds) -> Result<(), Status> {
        let isolation = self.server.config().isolation;
        self.find_among(roots, |id| may_be_root(isolation, id))
    }

    /// As [`find`](Self::find), with another opinion on what may be a root.
    pub(super) fn find_among(
        &mut self,
        roots: &RootIds,
        may_be_root: impl Fn(ObjectId) -> bool,
    ) -> Result<(), Status> {
        let Self { server, ids, count, space, .. } = self;
        let found = server.with_shared(|shared| {
            for &id in roots.as_slice() {
                if ids.get(..*count).is_some_and(|known| known.contains(&id)) || !may_be_root(id) {
                    continue;
                }
                match shared.store.attributes(id) {
                    Ok(root) if usize::from(root.length) > space.len() => {
                        return Err(Status::BUFFER_SIZE);
                    }
                    Ok(_) => {
                        *ids.get_mut(*count).ok_or(Status::BAD_ARGUMENTS)? = id;
                        *count = count.saturating_add(1);
                    }
                    Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error.status()),
                }
            }
            Ok(())
        });
        found.unwrap_or(Err(Status::ABORTED))?;
        if *count == 0 { Err(Status::NOT_FOUND) } else { Ok(()) }
    }

    fn load(&mut self, index: usize) -> Result<usize, Status> {
        let id = *self.ids.get(index).ok_or(Status::NOT_FOUND)?;
        let Self { server, space, .. } = self;
        let length = server.with_shared(|shared| {
            let root = shared.store.attributes(id).map_err(|error| error.status())?;
            let length = usize::from(root.length);
            let space = space.get_mut(..length).ok_or(Status::BUFFER_SIZE)?;
            shared.store.read(id, 0, space).map_err(|error| error.status())?;
            Ok(length)
        });
        length.unwrap_or(Err(Status::ABORTED))
    }

    /// The root of a request that names one.
    ///
    /// # Errors
    /// What the store answers.
    pub(super) fn first(&mut self) -> Result<&[u8], Status> {
        let length = self.load(0)?;
        self.space.get(..length).ok_or(Status::ABORTED)
    }

    /// Whether what was loaded is what it was before. A single root is loaded once.
    fn is_unchanged(&mut self, index: usize, length: usize) -> bool {
        if self.count == 1 {
            return true;
        }
        let mut digest = [0; 32];
        let driver = self.server.platform().crypto(Affinity::Accelerated);
        let loaded = self.space.get(..length).unwrap_or_default();
        if casemate_crypto::hash(driver, HashAlgorithm::Sha256, &[loaded], &mut digest).is_err() {
            return false;
        }
        match self.digests.get_mut(index) {
            Some(Some(before)) => *before == digest,
            Some(place) => {
                *place = Some(digest);
                true
            }
            None => false,
        }
    }
}

impl<P: Platform> Anchors for StoredRoots<'_, P> {
    fn count(&self) -> usize {
        self.count
    }

    fn anchor(&mut self, index: usize) -> Result<&[u8], Error> {
        let length = match self.loaded {
            Some((loaded, length)) if loaded == index => length,
            _ => {
                self.loaded = None;
                let length = self.load(index).map_err(|status| {
                    self.status = Some(status);
                    Error::Unavailable
                })?;
                if !self.is_unchanged(index, length) {
                    return Err(Error::Unavailable);
                }
                self.loaded = Some((index, length));
                length
            }
        };
        self.space.get(..length).ok_or(Error::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_plain_objects() {
        for id in [0x0001, 0x0FFF, 0x6405, 0xFF00, 0xFD00] {
            assert!(may_be_root(Isolation::Strict, ObjectId(id)), "{id:#06x}");
        }
        for id in [0x1305, 0x1005, 0x2300, 0x2100, 0x3301, 0x4301, 0x5301] {
            assert!(!may_be_root(Isolation::Strict, ObjectId(id)), "{id:#06x}");
            assert!(may_be_root(Isolation::Original, ObjectId(id)));
        }
        for id in [0xFE00, 0xFE05, 0xFEFF] {
            assert!(!may_be_root(Isolation::Strict, ObjectId(id)), "{id:#06x}");
            assert!(!may_be_root(Isolation::Original, ObjectId(id)), "{id:#06x}");
        }
    }
}
