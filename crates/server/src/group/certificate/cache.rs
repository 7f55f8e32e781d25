//! The verify cache: signatures that were verified, so that they need not be verified again.
//!
//! A fingerprint covers the issuer's public key and the whole certificate ([`casemate_x509::Hooks::remember`]). What it
//! says stays true whatever happens to roots and clocks, and everything but the signature is checked each time: so no
//! root that comes or goes has to remove anything, and no chain verifies that would not without the cache. The
//! original's cache lets chains pass that lack a certificate (document 07, §A.7).

/// How many signatures a cache remembers; the one that was not asked for the longest makes room.
const SLOTS: usize = 16;

/// The verify cache of a session, or of a server.
#[derive(Debug)]
pub(crate) struct VerifyCache {
    /// The latest first.
    fingerprints: [Option<[u8; 32]>; SLOTS],
    pub(super) is_enabled: bool,
}

impl VerifyCache {
    pub(crate) const fn new() -> Self {
        Self { fingerprints: [None; SLOTS], is_enabled: true }
    }

    pub(super) fn clear(&mut self) {
        self.fingerprints = [None; SLOTS];
    }

    pub(super) fn set_enabled(&mut self, is_enabled: bool) {
        self.is_enabled = is_enabled;
        if !is_enabled {
            self.clear();
        }
    }

    pub(super) fn knows(&mut self, fingerprint: &[u8; 32]) -> bool {
        let place = self.fingerprints.iter().position(|known| known.as_ref() == Some(fingerprint));
        if let Some(until) = place.and_then(|place| self.fingerprints.get_mut(..=place)) {
            until.rotate_right(1);
        }
        place.is_some() && self.is_enabled
    }

    pub(super) fn remember(&mut self, fingerprint: &[u8; 32]) {
        if self.is_enabled {
            self.fingerprints.rotate_right(1);
            if let Some(first) = self.fingerprints.first_mut() {
                *first = Some(*fingerprint);
            }
        }
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
