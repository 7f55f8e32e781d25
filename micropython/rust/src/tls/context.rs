//! A context: what the sessions made from it share.

use super::certificate::{Anchors, OfClient, OfServer};
use super::session::Session;
use super::{Failure, Port};
use crate::ffi;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use rustls::client::{ClientConfig, Resumption, UnbufferedClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
};
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

/// Keys, certificates and rules. A session copies what it needs: later changes concern later sessions.
#[derive(Debug)]
pub struct Context {
    server: bool,
    mode: VerifyMode,
    key: Option<Arc<CertifiedKey>>,
    anchors: Arc<Anchors>,
    /// The numbers of the suites that are allowed; empty for all.
    suites: Vec<u16>,
}

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
        Self { server, mode, key: None, anchors: Arc::new(Anchors::none()), suites: Vec::new() }
    }

    /// Sets how the peer's certificate is treated.
    pub fn set_mode(&mut self, mode: VerifyMode) {
        self.mode = mode;
    }

    /// Loads a private key and its certificate, or in PEM the whole chain, leaf first.
    ///
    /// # Errors
    /// What cannot be read; the context is unchanged.
    pub fn load_key(&mut self, key: &[u8], certificate: &[u8]) -> Result<(), LoadError> {
        let provider = casemate_rustls::provider::<Port>();
        let key = private_key(key).ok_or(LoadError::Key)?;
        let key = provider.key_provider.load_private_key(key).map_err(|_| LoadError::Key)?;
        let chain = certificates(certificate).ok_or(LoadError::Certificate)?;
        if chain.iter().any(|certificate| !super::certificate::is_readable(certificate)) {
            return Err(LoadError::Certificate);
        }
        self.key = Some(Arc::new(CertifiedKey::new(chain, key)));
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
        Ok(())
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = casemate_rustls::provider::<Port>();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| self.suites.contains(&u16::from(suite.suite())));
        }
        Arc::new(provider)
    }

    /// A session on the context's side. A client sends `name` to the server, and looks for it in the certificate.
    ///
    /// # Errors
    /// [`Failure::NAME`] if `name` is neither a DNS name nor an address; [`Failure::INCOMPATIBLE`] if the cipher suites
    /// that are allowed belong to no version.
    pub fn session(&self, name: Option<&str>) -> Result<Session, Failure> {
        let provider = self.provider();
        let algorithms = provider.signature_verification_algorithms;
        let failed = |error: rustls::Error| match error {
            rustls::Error::General(_) => Failure::INCOMPATIBLE,
            error => Failure::from(&error),
        };
        if self.server {
            let builder = ServerConfig::builder_with_details(provider, Arc::new(PortClock))
                .with_safe_default_protocol_versions()
                .map_err(failed)?;
            let builder = if self.mode == VerifyMode::None {
                builder.with_no_client_auth()
            } else {
                let verifier = OfClient { anchors: self.anchors.clone(), mode: self.mode, algorithms };
                builder.with_client_cert_verifier(Arc::new(verifier))
            };
            let mut config = builder.with_cert_resolver(Arc::new(MaybeKey(self.key.clone())));
            // A ticket costs memory here and is of no use without a store of sessions.
            config.send_tls13_tickets = 0;
            let connection = UnbufferedServerConnection::new(Arc::new(config)).map_err(failed)?;
            return Ok(Session::server(connection));
        }
        let verifier =
            OfServer { anchors: self.anchors.clone(), mode: self.mode, has_name: name.is_some(), algorithms };
        let builder = ClientConfig::builder_with_details(provider, Arc::new(PortClock))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.key {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.enable_sni = name.is_some();
        // rustls wants a name; this one is not sent and not compared.
        let name = String::from(name.unwrap_or("nameless.invalid"));
        let name = ServerName::try_from(name).map_err(|_| Failure::NAME)?;
        let connection = UnbufferedClientConnection::new(Arc::new(config), name).map_err(failed)?;
        Ok(Session::client(connection))
    }
}

/// The cipher suites of this build, by their numbers in IANA's registry, the preferred one first.
#[must_use]
pub fn suites() -> Vec<u16> {
    let provider = casemate_rustls::provider::<Port>();
    provider.cipher_suites.iter().map(|suite| u16::from(suite.suite())).collect()
}
