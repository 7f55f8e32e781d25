//! The CMAC states that a session was given.
//!
//! The state of a CMAC in several steps travels with the client. A client that could invent states would have the server
//! encrypt chosen blocks with a key that is only meant for MACs (document 04, "Where we can do better", 3). So a session
//! remembers fingerprints of the states it was given for keys that the server holds, and accepts no others.

use casemate_crypto::{Driver, Error, HashAlgorithm, constant_time_equal, hash};
use casemate_protocol::message::crypto::CmacState;

/// How many CMACs in several steps a session can have under way at once. When another one begins, the state that was
/// given out longest ago is forgotten.
const REMEMBERED: usize = 16;

/// Length of a fingerprint in bytes.
const FINGERPRINT: usize = 16;

/// Fingerprints of the states given out last, oldest overwritten first.
#[derive(Debug)]
pub(crate) struct IssuedStates {
    fingerprints: [[u8; FINGERPRINT]; REMEMBERED],
    /// How many of them, from the first one on, are those of states.
    count: u8,
    next: u8,
}

impl IssuedStates {
    pub(crate) const fn new() -> Self {
        Self { fingerprints: [[0; FINGERPRINT]; REMEMBERED], count: 0, next: 0 }
    }

    /// Remembers a state given out for `key`.
    ///
    /// # Errors
    /// Those of the driver's hash.
    pub(crate) fn remember(
        &mut self,
        driver: &dyn Driver,
        key: &[u8],
        state: &CmacState,
    ) -> Result<(), Error> {
        let mut fingerprint = [0; FINGERPRINT];
        self::fingerprint(driver, key, state, &mut fingerprint)?;
        if let Some(slot) = self.fingerprints.get_mut(usize::from(self.next)) {
            *slot = fingerprint;
        }
        self.next = self.next.saturating_add(1);
        self.count = self.count.max(self.next);
        if usize::from(self.next) >= REMEMBERED {
            self.next = 0;
        }
        Ok(())
    }

    /// Whether `state` is where a CMAC with `key` begins, or was given out for it.
    ///
    /// # Errors
    /// Those of the driver's hash.
    pub(crate) fn knows(&self, driver: &dyn Driver, key: &[u8], state: &CmacState) -> Result<bool, Error> {
        if state.digest == [0; 16] && state.buffered == 0 {
            return Ok(true);
        }
        let mut fingerprint = [0; FINGERPRINT];
        self::fingerprint(driver, key, state, &mut fingerprint)?;
        let given_out = self.fingerprints.get(..usize::from(self.count)).unwrap_or_default();
        Ok(given_out.iter().any(|known| constant_time_equal(known, &fingerprint)))
    }
}

/// What identifies a state: the key, so that a state of one key is none of another, and the parts that have meaning.
fn fingerprint(
    driver: &dyn Driver,
    key: &[u8],
    state: &CmacState,
    fingerprint: &mut [u8; FINGERPRINT],
) -> Result<(), Error> {
    let buffered = usize::try_from(state.buffered).unwrap_or(usize::MAX);
    let pending = state.buffer.get(..buffered).unwrap_or(&state.buffer);
    let mut digest = [0; 32];
    let parts = [b"CMAC state", &state.digest[..], &state.buffered.to_le_bytes(), pending, key];
    hash(driver, HashAlgorithm::Sha256, &parts, &mut digest)?;
    for (to, from) in fingerprint.iter_mut().zip(digest) {
        *to = from;
    }
    Ok(())
}
