//! A client's connection to the server at an address, over the transport that the address names.

use crate::error::LinkError;
#[cfg(feature = "tls-psk")]
use crate::psk::{PskClientTransport, PskKey};
use crate::shm::{DmaArea, ShmClientTransport};
use crate::tcp::TcpClientTransport;
#[cfg(feature = "tls")]
use crate::tls::{TlsClientOptions, TlsClientTransport, TlsIdentity, TlsTrust};
use crate::unix::UnixClientTransport;
use casemate_transport::{ClientTransport, TransportError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The files behind a TLS connection: in PEM, or one certificate or key in DER.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// The certificates to trust, of certificate authorities or the server's own. Nothing is trusted without.
    pub trust: Option<PathBuf>,
    /// The certificate to show, and after it those that lead to the server's trust. Only with `key`.
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate`.
    pub key: Option<PathBuf>,
    /// The name in the server's certificate; the host in the address, if not given.
    pub server_name: Option<String>,
    /// For `tls-psk://`, instead of all these: the file of the pre-shared key, one line `IDENTITY:KEY`, the key in
    /// hexadecimal.
    pub psk: Option<PathBuf>,
}

/// What a [`ClientLink`] needs besides the address.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The largest packet in either direction in bytes: 8 plus the packet data length.
    pub maximum_packet: usize,
    /// How long connecting may take, apart from the look-up of a host name.
    pub timeout: Duration,
    /// For addresses that begin with `tls://` or `tls-psk://`.
    pub tls: TlsFiles,
}

/// A client's connection over any of this port's transports.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientLink {
    /// `tcp://HOST:PORT`, or `HOST:PORT`.
    Tcp(TcpClientTransport),
    /// `unix:///PATH`.
    Unix(UnixClientTransport),
    /// `shm://NAME`.
    Shm(ShmClientTransport),
    /// `tls://HOST:PORT`.
    #[cfg(feature = "tls")]
    Tls(Box<TlsClientTransport>),
    /// `tls-psk://HOST:PORT`.
    #[cfg(feature = "tls-psk")]
    Psk(Box<PskClientTransport>),
}

impl ClientLink {
    /// Connects to `address`: `HOST:PORT`, `tcp://HOST:PORT`, `unix:///PATH`, `shm://NAME`, `tls://HOST:PORT` or
    /// `tls-psk://HOST:PORT`. No message is sent.
    ///
    /// # Errors
    /// [`LinkError::Address`] if the address names no transport of this build, or if a file for TLS is missing;
    /// [`LinkError::File`] if such a file cannot be used; otherwise as the transport's own `connect`.
    pub fn connect(address: &str, options: &LinkOptions) -> Result<Self, LinkError> {
        let (packet, timeout) = (options.maximum_packet, options.timeout);
        match address.split_once("://") {
            None => TcpClientTransport::connect(address, packet, timeout).map(Self::Tcp),
            Some(("tcp", address)) => TcpClientTransport::connect(address, packet, timeout).map(Self::Tcp),
            Some(("unix", path)) => UnixClientTransport::connect(Path::new(path), packet).map(Self::Unix),
            Some(("shm", name)) => ShmClientTransport::connect(name, timeout).map(Self::Shm),
            #[cfg(feature = "tls")]
            Some(("tls", host)) => {
                let tls = tls_options(address, &options.tls)?;
                let transport = TlsClientTransport::connect(host, tls, packet, timeout)?;
                Ok(Self::Tls(Box::new(transport)))
            }
            #[cfg(not(feature = "tls"))]
            Some(("tls", _)) => {
                Err(wrong(address, "this program was built without TLS: build it with the feature `tls`"))
            }
            #[cfg(feature = "tls-psk")]
            Some(("tls-psk", host)) => {
                let Some(file) = &options.tls.psk else {
                    return Err(wrong(address, "no pre-shared key is named; name its file"));
                };
                let key = PskKey::from_file(file)
                    .map_err(|source| LinkError::File { path: file.clone(), source })?;
                let transport = PskClientTransport::connect(host, key, packet, timeout)?;
                Ok(Self::Psk(Box::new(transport)))
            }
            #[cfg(not(feature = "tls-psk"))]
            Some(("tls-psk", _)) => Err(wrong(
                address,
                "this program was built without pre-shared keys: build it with the feature `tls-psk`",
            )),
            Some((other, _)) => Err(wrong(
                address,
                &format!(
                    "{other}:// is no transport; write tcp://HOST:PORT, unix:///PATH, shm://NAME, \
                     tls://HOST:PORT or tls-psk://HOST:PORT"
                ),
            )),
        }
    }

    /// The memory that client and server share, where the transport has some.
    #[must_use]
    pub fn dma_area(&self) -> Option<DmaArea> {
        match self {
            Self::Shm(transport) => transport.dma_area(),
            _ => None,
        }
    }
}

fn wrong(address: &str, reason: &str) -> LinkError {
    LinkError::Address { address: address.to_owned(), reason: reason.to_owned() }
}

#[cfg(feature = "tls")]
fn tls_options(address: &str, files: &TlsFiles) -> Result<TlsClientOptions, LinkError> {
    let unusable = |path: &Path, source| LinkError::File { path: path.to_owned(), source };
    let Some(trust) = &files.trust else {
        let reason = "no certificates to trust are named; name the file of the certificate authority, or of the \
                      server's own certificate";
        return Err(wrong(address, reason));
    };
    let identity = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            Some(TlsIdentity::from_files(certificate, key).map_err(|source| unusable(certificate, source))?)
        }
        (None, None) => None,
        _ => {
            return Err(wrong(
                address,
                "a certificate to show needs its private key, and the key a certificate",
            ));
        }
    };
    let trust = TlsTrust::from_file(trust).map_err(|source| unusable(trust, source))?;
    Ok(TlsClientOptions { identity, trust, server_name: files.server_name.clone() })
}

/// Does the same on whichever transport it is.
macro_rules! on_link {
    ($self:expr, $link:ident => $call:expr) => {
        match $self {
            Self::Tcp($link) => $call,
            Self::Unix($link) => $call,
            Self::Shm($link) => $call,
            #[cfg(feature = "tls")]
            Self::Tls($link) => $call,
            #[cfg(feature = "tls-psk")]
            Self::Psk($link) => $call,
        }
    };
}

impl ClientTransport for ClientLink {
    type Error = LinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        on_link!(self, link => link.send(packet))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        on_link!(self, link => link.receive(buffer))
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        on_link!(self, link => link.receive_within(buffer, longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str, tls: TlsFiles) -> LinkError {
        let options = LinkOptions { maximum_packet: 1288, timeout: Duration::from_millis(10), tls };
        ClientLink::connect(address, &options).expect_err(address)
    }

    #[test]
    fn what_an_address_cannot_say() {
        for (address, word) in [
            ("udp://host:1", "udp:// is no transport"),
            ("tls-psk://host:1", "pre-shared key"),
            ("://", ":// is no transport"),
            ("host", "HOST:PORT"),
            ("tcp://host", "HOST:PORT"),
        ] {
            let said = refused(address, TlsFiles::default()).to_string();
            assert!(said.contains(word), "{address}: {said}");
        }
        assert!(matches!(refused("unix:///does/not/exist", TlsFiles::default()), LinkError::Connect { .. }));
        assert!(matches!(refused("shm://casemate-none", TlsFiles::default()), LinkError::Connect { .. }));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_needs_its_files() {
        let file = || Some(PathBuf::from("/does/not/exist.pem"));
        let said = refused("tls://localhost:1", TlsFiles::default());
        assert!(matches!(said, LinkError::Address { .. }) && said.to_string().contains("trust"), "{said}");
        let said = refused("tls://localhost:1", TlsFiles { trust: file(), ..TlsFiles::default() });
        assert!(matches!(said, LinkError::File { .. }) && said.to_string().contains("exist.pem"), "{said}");
        let half = TlsFiles { trust: file(), certificate: file(), ..TlsFiles::default() };
        assert!(matches!(refused("tls://localhost:1", half), LinkError::Address { .. }));
    }
}
