//! A context: what the sessions made from it share.

use super::certificate::{Anchors, Verifier, is_readable, is_short_rsa};
use super::session::Session;
#[cfg(feature = "resumption")]
use super::store::{ClientStore, ServerStore};
use super::{Failure, Port};
use crate::ffi;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use rustls::client::{ClientConfig, Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, UnbufferedServerConnection};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;

/// How a peer's certificate is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyMode {
    /// Not looked at.
    None,
    /// A server asks for one and takes any, or none.
    Optional,
    /// One that verifies is demanded.
    Required,
}

/// Keys, certificates and rules. A session keeps those that it was made with: later changes concern later sessions.
#[derive(Debug)]
pub struct Context {
    server: bool,
    mode: VerifyMode,
    /// The program looks at each certificate, too.
    callback: bool,
    key: Option<Arc<CertifiedKey>>,
    anchors: Arc<Anchors>,
    /// The numbers of the suites that are allowed; empty for all.
    suites: Vec<u16>,
    /// Names of application protocols (RFC 7301), the preferred one first.
    protocols: Vec<Vec<u8>>,
    /// What sessions share, made for the first of them and again after a change: for clients with a name, for those
    /// without one, and for servers.
    named: Option<Arc<ClientConfig>>,
    nameless: Option<Arc<ClientConfig>>,
    serving: Option<Arc<ServerConfig>>,
}

/// The name that rustls is given when the program gave none: it is neither sent nor compared.
const NAMELESS: &str = "nameless.invalid";

/// Why a key and certificate were not loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The private key.
    Key,
    /// A certificate.
    Certificate,
}

/// The clock of the port.
#[derive(Debug)]
struct PortClock;

impl TimeProvider for PortClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(ffi::time())))
    }
}

/// A server's key, or none: then handshakes fail.
#[derive(Debug)]
struct MaybeKey(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for MaybeKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

fn is_pem(data: &[u8]) -> bool {
    data.windows(11).any(|window| window == b"-----BEGIN ")
}

/// One certificate in DER, or any number in PEM.
fn certificates(data: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    if !is_pem(data) {
        return Some([CertificateDer::from(data.to_vec())].to_vec());
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(data).collect();
    found.ok().filter(|found| !found.is_empty())
}

/// A private key in DER, or the first one in PEM.
fn private_key(data: &[u8]) -> Option<PrivateKeyDer<'static>> {
    if is_pem(data) {
        return PrivateKeyDer::from_pem_slice(data).ok();
    }
    // The provider finds out by itself which of the three forms it is.
    Some(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(data.to_vec())))
}

impl Context {
    /// A context for the server's or the client's side: a client verifies, a server does not ask for certificates.
    #[must_use]
    pub fn new(server: bool) -> Self {
        let mode = if server { VerifyMode::None } else { VerifyMode::Required };
        Self {
            server,
            mode,
            callback: false,
            key: None,
            anchors: Arc::new(Anchors::none()),
            suites: Vec::new(),
            protocols: Vec::new(),
            named: None,
            nameless: None,
            serving: None,
        }
    }

    /// After a change: later sessions are made anew, and none of them resumes an earlier one.
    fn changed(&mut self) {
        (self.named, self.nameless, self.serving) = (None, None, None);
    }

    /// Sets how the peer's certificate is treated.
    pub fn set_mode(&mut self, mode: VerifyMode) {
        if self.mode != mode {
            self.mode = mode;
            self.changed();
        }
    }

    /// Sets whether the program is asked about each certificate, unless [`VerifyMode::None`] is set.
    pub fn set_callback(&mut self, callback: bool) {
        if self.callback != callback {
            self.callback = callback;
            self.changed();
        }
    }

    /// Sets the names of application protocols, the preferred one first, as they stand in the extension: each name
    /// behind an octet with its length. None at all leaves the extension out.
    ///
    /// # Errors
    /// [`Failure::NO_PROTOCOL`] if a name is empty or the list is not made like that; the context is unchanged.
    pub fn set_protocols(&mut self, list: &[u8]) -> Result<(), Failure> {
        let (mut list, mut protocols) = (list, Vec::new());
        while let Some((length, rest)) = list.split_first() {
            let (name, rest) = rest.split_at_checked(usize::from(*length)).ok_or(Failure::NO_PROTOCOL)?;
            if name.is_empty() {
                return Err(Failure::NO_PROTOCOL);
            }
            protocols.push(name.to_vec());
            list = rest;
        }
        self.protocols = protocols;
        self.changed();
        Ok(())
    }

    /// Loads a private key and its certificate, or in PEM the whole chain, leaf first.
    ///
    /// # Errors
    /// What cannot be read; the context is unchanged.
    pub fn load_key(&mut self, key: &[u8], certificate: &[u8]) -> Result<(), LoadError> {
        let provider = casemate_rustls::provider::<Port>();
        let key = private_key(key).ok_or(LoadError::Key)?;
        let too_short = is_short_rsa(key.secret_der());
        let key = provider.key_provider.load_private_key(key);
        if key.is_err() && !too_short {
            return Err(LoadError::Key);
        }
        let chain = certificates(certificate).ok_or(LoadError::Certificate)?;
        if chain.iter().any(|certificate| !is_readable(certificate)) {
            return Err(LoadError::Certificate);
        }
        // Programs expect that of a short key with a bad certificate, the certificate is named.
        let key = key.map_err(|_| LoadError::Key)?;
        self.key = Some(Arc::new(CertifiedKey::new(chain, key)));
        self.changed();
        Ok(())
    }

    /// Loads the certificate, or in PEM the whole chain, of a private key that a server holds, whose public half is given
    /// (SubjectPublicKeyInfo). C is asked for each signature.
    ///
    /// # Errors
    /// What cannot be read, or the key if it is not the certificate's; the context is unchanged.
    #[cfg(feature = "hsm")]
    pub fn load_held_key(&mut self, public: &[u8], certificate: &[u8]) -> Result<(), LoadError> {
        let key = casemate_rustls::RemoteKey::<Port, _>::new(public, super::held::Held);
        let key = key.map_err(|_| LoadError::Key)?;
        let chain = certificates(certificate).ok_or(LoadError::Certificate)?;
        if chain.iter().any(|certificate| !is_readable(certificate)) {
            return Err(LoadError::Certificate);
        }
        let key = CertifiedKey::new(chain, Arc::new(key));
        key.keys_match().map_err(|_| LoadError::Key)?;
        self.key = Some(Arc::new(key));
        self.changed();
        Ok(())
    }

    /// Adds certificates that are trusted: one in DER, or any number in PEM.
    ///
    /// # Errors
    /// [`LoadError::Certificate`] if one cannot be read; the context is unchanged.
    pub fn add_anchors(&mut self, data: &[u8]) -> Result<(), LoadError> {
        let mut anchors = (*self.anchors).clone();
        for certificate in certificates(data).ok_or(LoadError::Certificate)? {
            anchors.add(certificate).map_err(|_| LoadError::Certificate)?;
        }
        self.anchors = Arc::new(anchors);
        self.changed();
        Ok(())
    }

    /// Allows only these cipher suites, by the numbers of IANA's registry.
    ///
    /// # Errors
    /// [`Failure::UNSUPPORTED_SUITE`] if there is none, or one is unknown.
    pub fn set_suites(&mut self, numbers: &[u16]) -> Result<(), Failure> {
        let known = suites();
        if numbers.is_empty() || numbers.iter().any(|number| !known.contains(number)) {
            return Err(Failure::UNSUPPORTED_SUITE);
        }
        self.suites = numbers.to_vec();
        self.changed();
        Ok(())
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = casemate_rustls::provider::<Port>();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| self.suites.contains(&u16::from(suite.suite())));
        }
        Arc::new(provider)
    }

    /// Makes what sessions share, if it is not there. Memory that is allocated here belongs to the context, and what
    /// [`session`](Self::session) allocates to the session.
    ///
    /// # Errors
    /// [`Failure::INCOMPATIBLE`] if the cipher suites that are allowed belong to no version.
    pub fn prepare(&mut self, named: bool) -> Result<(), Failure> {
        if self.server {
            if self.serving.is_none() {
                self.serving = Some(Arc::new(self.server_config()?));
            }
        } else if named {
            if self.named.is_none() {
                self.named = Some(Arc::new(self.client_config(true)?));
            }
        } else if self.nameless.is_none() {
            self.nameless = Some(Arc::new(self.client_config(false)?));
        }
        Ok(())
    }

    /// What checks the certificates of peers.
    fn verifier(&self, has_name: bool, algorithms: WebPkiSupportedAlgorithms) -> Arc<Verifier> {
        let (anchors, mode, callback) = (self.anchors.clone(), self.mode, self.callback);
        Arc::new(Verifier { anchors, mode, callback, has_name, algorithms })
    }

    fn server_config(&self) -> Result<ServerConfig, Failure> {
        let provider = self.provider();
        let algorithms = provider.signature_verification_algorithms;
        let builder = ServerConfig::builder_with_details(provider, Arc::new(PortClock))
            .with_safe_default_protocol_versions()
            .map_err(|_| Failure::INCOMPATIBLE)?;
        let builder = if self.mode == VerifyMode::None {
            builder.with_no_client_auth()
        } else {
            builder.with_client_cert_verifier(self.verifier(false, algorithms))
        };
        let mut config = builder.with_cert_resolver(Arc::new(MaybeKey(self.key.clone())));
        config.alpn_protocols.clone_from(&self.protocols);
        config.send_tls13_tickets = 0;
        #[cfg(feature = "resumption")]
        if !self.callback {
            config.send_tls13_tickets = 1;
            config.session_storage = Arc::new(ServerStore::new());
        }
        Ok(config)
    }

    fn client_config(&self, named: bool) -> Result<ClientConfig, Failure> {
        let provider = self.provider();
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_details(provider, Arc::new(PortClock))
            .with_safe_default_protocol_versions()
            .map_err(|_| Failure::INCOMPATIBLE)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(named, algorithms));
        let mut config = match &self.key {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        config.enable_sni = named;
        config.resumption = Resumption::disabled();
        // Without names one server's session would be offered to another.
        #[cfg(feature = "resumption")]
        if named && !self.callback {
            config.resumption = Resumption::store(Arc::new(ClientStore::new()));
        }
        Ok(config)
    }

    /// A session on the context's side, after [`prepare`](Self::prepare). A client sends `name` to the server, if it is a
    /// DNS name, and looks for it in the certificate.
    ///
    /// # Errors
    /// [`Failure::NAME`] if `name` is neither a DNS name nor an address; what rustls says otherwise.
    pub fn session(&self, name: Option<&str>) -> Result<Session, Failure> {
        let failed = |error: rustls::Error| Failure::from(&error);
        if let Some(config) = &self.serving {
            let connection = UnbufferedServerConnection::new(config.clone()).map_err(failed)?;
            return Ok(Session::server(connection));
        }
        let config = if name.is_some() { &self.named } else { &self.nameless };
        let config = config.clone().ok_or(Failure::INTERNAL)?;
        let name = String::from(name.unwrap_or(NAMELESS));
        let name = ServerName::try_from(name).map_err(|_| Failure::NAME)?;
        let address = matches!(name, ServerName::IpAddress(_));
        let connection = UnbufferedClientConnection::new(config, name).map_err(failed)?;
        Ok(Session::client(connection, address))
    }
}

/// The cipher suites of this build, by their numbers in IANA's registry, the preferred one first.
#[must_use]
pub fn suites() -> Vec<u16> {
    let provider = casemate_rustls::provider::<Port>();
    provider.cipher_suites.iter().map(|suite| u16::from(suite.suite())).collect()
}
