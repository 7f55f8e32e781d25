//! Handshakes with the provider on both sides, and with OpenSSL on the other. Certificates come from the program
//! `openssl`, made anew for each run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use casemate_crypto::{Error, Random, Software};
use casemate_rustls::{DriverSource, provider};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, NamedGroup, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

#[derive(Debug)]
struct Urandom;

impl Random for Urandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        std::fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(output))
            .map_err(|_| Error::Entropy)
    }
}

#[derive(Debug)]
struct Host;

impl DriverSource for Host {
    type Driver = Software<Urandom>;
    fn driver() -> &'static Self::Driver {
        static DRIVER: Software<Urandom> = Software::new(Urandom);
        &DRIVER
    }
}

/// The kinds of key, as `openssl req -newkey` wants them.
const KEYS: [(&str, &[&str]); 6] = [
    ("p256", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("p521", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]),
    ("ed25519", &["-newkey", "ed25519"]),
    ("rsa2048", &["-newkey", "rsa:2048"]),
    ("rsa3072", &["-newkey", "rsa:3072"]),
];

/// A folder with an authority and, for each kind of key, a certificate for `localhost` from it.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let openssl = |arguments: &[&str]| {
            let status = Command::new("openssl").args(arguments).current_dir(&folder).output().unwrap();
            assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        };
        let subject = ["-subj", "/CN=test authority", "-days", "2", "-nodes"];
        let mut authority = vec!["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem"];
        authority.extend(KEYS[0].1);
        authority.extend(subject);
        openssl(&authority);
        for (name, key) in KEYS {
            let (private, request, certificate) =
                (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
            let mut arguments = vec!["req", "-new", "-nodes", "-subj", "/CN=localhost"];
            arguments.extend([
                "-addext",
                "subjectAltName=DNS:localhost",
                "-keyout",
                &private,
                "-out",
                &request,
            ]);
            arguments.extend(key);
            openssl(&arguments);
            openssl(&[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-copy_extensions",
                "copy",
                "-out",
                &certificate,
            ]);
        }
        folder
    })
}

fn chain(name: &str) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from_pem_file(folder().join(format!("{name}.pem"))).unwrap()]
}

fn key(name: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(folder().join(format!("{name}.key"))).unwrap()
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(chain("ca").remove(0)).unwrap();
    roots
}

type Versions<'a> = &'a [&'static SupportedProtocolVersion];

fn client(provider: CryptoProvider, versions: Versions<'_>, with_key: Option<&str>) -> ClientConnection {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots());
    let config = match with_key {
        Some(name) => builder.with_client_auth_cert(chain(name), key(name)).unwrap(),
        None => builder.with_no_client_auth(),
    };
    ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

fn server(name: &str, versions: Versions<'_>, mutual: bool) -> ServerConnection {
    let provider = Arc::new(provider::<Host>());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = if mutual {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots()), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let config = builder.with_single_cert(chain(name), key(name)).unwrap();
    ServerConnection::new(Arc::new(config)).unwrap()
}

/// Moves records both ways until neither side has any left.
fn exchange(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), rustls::Error> {
    loop {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let quiet = wire.is_empty();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
        if quiet && wire.is_empty() {
            return Ok(());
        }
    }
}

/// A handshake and 16,000 bytes each way: nearly the longest record.
fn converse(client: &mut ClientConnection, server: &mut ServerConnection) {
    exchange(client, server).unwrap();
    assert!(!client.is_handshaking() && !server.is_handshaking());
    let message: Vec<u8> = (0..16_000_u32).map(|index| (index % 251) as u8).collect();
    let mut received = vec![0; message.len()];
    client.writer().write_all(&message).unwrap();
    exchange(client, server).unwrap();
    server.reader().read_exact(&mut received).unwrap();
    assert_eq!(received, message);
    received.fill(0);
    server.writer().write_all(&message).unwrap();
    exchange(client, server).unwrap();
    client.reader().read_exact(&mut received).unwrap();
    assert_eq!(received, message);
}

#[test]
fn every_key_in_both_versions() {
    for (name, _) in KEYS {
        for version in [&TLS12, &TLS13] {
            let versions = &[version];
            let mut client = client(provider::<Host>(), versions, Some(name));
            let mut server = server(name, versions, true);
            converse(&mut client, &mut server);
            assert_eq!(server.peer_certificates().unwrap(), chain(name));
            assert_eq!(client.protocol_version(), Some(version.version));
        }
    }
}

#[test]
fn every_group_and_suite() {
    let all = provider::<Host>();
    for group in &all.kx_groups {
        for suite in &all.cipher_suites {
            let only =
                CryptoProvider { kx_groups: vec![*group], cipher_suites: vec![*suite], ..provider::<Host>() };
            let versions: Versions<'_> = if suite.tls13().is_some() { &[&TLS13] } else { &[&TLS12] };
            let name = if format!("{suite:?}").contains("RSA") { "rsa2048" } else { "p256" };
            let mut client = client(only, versions, None);
            let mut server = server(name, versions, false);
            converse(&mut client, &mut server);
            assert_eq!(client.negotiated_cipher_suite(), Some(*suite));
            assert_eq!(client.negotiated_key_exchange_group().unwrap().name(), group.name());
        }
    }
    assert_eq!(all.kx_groups.first().unwrap().name(), NamedGroup::X25519);
}

/// A bit changed anywhere in a protected record ends the connection.
#[test]
fn a_changed_record_is_refused() {
    for version in [&TLS12, &TLS13] {
        for offset in [5, 13, 20, 60] {
            let versions = &[version];
            let (mut client, mut server) =
                (client(provider::<Host>(), versions, None), server("p256", versions, false));
            exchange(&mut client, &mut server).unwrap();
            client.writer().write_all(&[1; 40]).unwrap();
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            wire[offset] ^= 1;
            server.read_tls(&mut wire.as_slice()).unwrap();
            assert_eq!(server.process_new_packets().unwrap_err(), rustls::Error::DecryptError);
        }
    }
}

#[test]
fn bad_keys_are_refused() {
    let provider = provider::<Host>();
    for der in [&b""[..], b"\x30\x00", &[0x30, 0x82, 0xff, 0xff], &chain("p256")[0]] {
        let key = PrivateKeyDer::Pkcs8(der.to_vec().into());
        assert!(provider.key_provider.load_private_key(key).is_err());
    }
}

/// Ends the child when a test ends, however it ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn openssl_server() {
    for (name, _) in KEYS {
        for (version, flag) in [(&TLS12, "-tls1_2"), (&TLS13, "-tls1_3")] {
            // In TLS 1.2 the list of groups also limits the curves of certificates (RFC 8422, §5.1), and P-521 is none
            // of this provider's groups.
            if name == "p521" && flag == "-tls1_2" {
                continue;
            }
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let child = Command::new("openssl")
                .current_dir(folder())
                .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), flag, "-rev"])
                .args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut child = Ended(child);
            let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap().starts_with("ACCEPT")), "the server did not start");
            let mut connection = client(provider::<Host>(), &[version], None);
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            tls.write_all(b"casemate\n").unwrap();
            let mut answer = [0; 9];
            tls.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"etamesac\n", "{name} {flag}");
        }
    }
}

#[test]
fn openssl_client() {
    for (name, _) in KEYS {
        for (version, flag) in [(&TLS12, "-tls1_2"), (&TLS13, "-tls1_3")] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let child = Command::new("openssl")
                .current_dir(folder())
                .args(["s_client", "-connect", &address, flag, "-quiet", "-verify_return_error"])
                .args(["-CAfile", "ca.pem", "-verify_hostname", "localhost", "-servername", "localhost"])
                .args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut child = Ended(child);
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = server(name, &[version], true);
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            tls.write_all(b"hello\n").unwrap();
            let mut line = String::new();
            BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "hello\n", "{name} {flag}");
            child.0.stdin.take().unwrap().write_all(b"answer\n").unwrap();
            let mut answer = [0; 7];
            tls.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"answer\n");
        }
    }
}
