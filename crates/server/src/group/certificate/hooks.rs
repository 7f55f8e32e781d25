//! What the server adds to the walk along a chain: its verify cache, and the port's word.

use super::cache::VerifyCache;
use crate::config::VerifyCacheScope;
use crate::context::Context;
use crate::platform::Platform;
use crate::server::Server;
use casemate_protocol::Status;
use casemate_x509::{Certificate, Hooks};

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
