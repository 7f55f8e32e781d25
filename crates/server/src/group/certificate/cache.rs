//! The verify cache: signatures that were verified, so that they need not be verified again.
//!
//! A fingerprint covers the issuer's public key and the whole certificate ([`casemate_x509::Hooks::remember`]). What it
//! says stays true whatever happens to roots and clocks, and everything but the signature is checked each time: so no
//! root that comes or goes has to remove anything, and no chain verifies that would not without the cache. The
//! original's cache lets chains pass that lack a certificate (document 07, §A.7).

use crate::config::VerifyCacheScope;
use crate::server::{Context, Platform, Server};
use casemate_protocol::Status;
use casemate_x509::{Certificate, Hooks};

/// How many signatures a cache remembers; the one that was not asked for the longest makes room.
const SLOTS: usize = 16;

/// The verify cache of a session, or of a server.
#[derive(Debug)]
pub(crate) struct VerifyCache {
    /// The latest first.
    fingerprints: [Option<[u8; 32]>; SLOTS],
    is_enabled: bool,
}

impl VerifyCache {
    pub(crate) const fn new() -> Self {
        Self { fingerprints: [None; SLOTS], is_enabled: true }
    }

    fn clear(&mut self) {
        self.fingerprints = [None; SLOTS];
    }

    fn set_enabled(&mut self, is_enabled: bool) {
        self.is_enabled = is_enabled;
        if !is_enabled {
            self.clear();
        }
    }

    fn knows(&mut self, fingerprint: &[u8; 32]) -> bool {
        let place = self.fingerprints.iter().position(|known| known.as_ref() == Some(fingerprint));
        if let Some(until) = place.and_then(|place| self.fingerprints.get_mut(..=place)) {
            until.rotate_right(1);
        }
        place.is_some() && self.is_enabled
    }

    fn remember(&mut self, fingerprint: &[u8; 32]) {
        if self.is_enabled {
            self.fingerprints.rotate_right(1);
            if let Some(first) = self.fingerprints.first_mut() {
                *first = Some(*fingerprint);
            }
        }
    }
}

/// Works with the cache that this client's requests use.
///
/// # Errors
/// ABORTED if the lock cannot be had.
fn with_cache<P: Platform, R>(
    server: &Server<P>,
    own: &mut VerifyCache,
    work: impl FnOnce(&mut VerifyCache) -> R,
) -> Result<R, Status> {
    match server.config().certificates.verify_cache {
        VerifyCacheScope::Server => {
            server.with_shared(|shared| work(&mut shared.verify_cache)).ok_or(Status::ABORTED)
        }
        VerifyCacheScope::Off | VerifyCacheScope::Session => Ok(work(own)),
    }
}

/// What INIT does: it touches no other client's cache.
pub(super) fn clear_own<P: Platform>(context: &mut Context<'_, P>) {
    context.session.verify_cache.clear();
}

/// # Errors
/// ABORTED if the lock cannot be had.
pub(super) fn clear<P: Platform>(context: &mut Context<'_, P>) -> Result<(), Status> {
    with_cache(context.server, &mut context.session.verify_cache, VerifyCache::clear)
}

/// # Errors
/// ABORTED if the lock cannot be had.
pub(super) fn set_enabled<P: Platform>(context: &mut Context<'_, P>, is_enabled: bool) -> Result<(), Status> {
    with_cache(context.server, &mut context.session.verify_cache, |cache| cache.set_enabled(is_enabled))
}

/// What the server adds to the walk along a chain.
pub(super) struct ServerHooks<'s, P: Platform> {
    pub(super) server: &'s Server<P>,
    pub(super) own: &'s mut VerifyCache,
}

impl<P: Platform> Hooks for ServerHooks<'_, P> {
    fn remembers(&self) -> bool {
        match self.server.config().certificates.verify_cache {
            VerifyCacheScope::Off => false,
            VerifyCacheScope::Session => self.own.is_enabled,
            VerifyCacheScope::Server => true,
        }
    }

    fn knows(&mut self, fingerprint: &[u8; 32]) -> bool {
        with_cache(self.server, self.own, |cache| cache.knows(fingerprint)).unwrap_or(false)
    }

    fn remember(&mut self, fingerprint: &[u8; 32]) {
        // Without the lock, the signature is verified again next time.
        let _ = with_cache(self.server, self.own, |cache| cache.remember(fingerprint));
    }

    fn accepts(&mut self, certificate: &Certificate<'_>) -> bool {
        self.server.platform().accepts_certificate(certificate)
    }
}

/// What the server adds to the walk along a chain that its owner asks about: nothing is remembered.
#[cfg(any(feature = "images", feature = "authentication"))]
pub(super) struct OwnHooks<'s, P: Platform> {
    pub(super) server: &'s Server<P>,
}

#[cfg(any(feature = "images", feature = "authentication"))]
impl<P: Platform> Hooks for OwnHooks<'_, P> {
    fn accepts(&mut self, certificate: &Certificate<'_>) -> bool {
        self.server.platform().accepts_certificate(certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_stays_longest() {
        let mut cache = VerifyCache::new();
        let fingerprint = |number: u8| [number; 32];
        for number in 1..=16 {
            assert!(!cache.knows(&fingerprint(number)));
            cache.remember(&fingerprint(number));
        }
        assert!(cache.knows(&fingerprint(1)));
        cache.remember(&fingerprint(17));
        assert!(cache.knows(&fingerprint(1)) && cache.knows(&fingerprint(17)));
        assert!(!cache.knows(&fingerprint(2)));
        cache.clear();
        assert!(!cache.knows(&fingerprint(17)));
    }

    #[test]
    fn a_cache_that_is_off_is_empty() {
        let mut cache = VerifyCache::new();
        cache.remember(&[1; 32]);
        cache.set_enabled(false);
        cache.remember(&[2; 32]);
        cache.set_enabled(true);
        assert!(!cache.knows(&[1; 32]) && !cache.knows(&[2; 32]));
        cache.remember(&[3; 32]);
        assert!(cache.knows(&[3; 32]));
    }
}
