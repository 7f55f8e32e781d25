//! One client's connection.

use crate::cache::{CacheUse, KeyCache};
#[cfg(feature = "she")]
use crate::group;
#[cfg(feature = "certificates")]
use crate::group::certificate::VerifyCache;
use crate::platform::Platform;
use crate::states::IssuedStates;
#[cfg(feature = "authentication")]
use crate::users::Login;
use casemate_protocol::{ClientId, ObjectId};

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
