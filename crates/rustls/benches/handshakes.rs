//! TLS handshakes with the server's private key in the HSM, beside the same with the key in memory:
//! `cargo bench -p casemate-rustls --features hsm`.
//!
//! The HSM's server is a process of its own, reached over a Unix-domain socket. Both ends of TLS 1.3 are in this process,
//! so a handshake takes the client's time too; the part of the TLS server is also measured alone, with one thread.
//! Certificates come from the program `openssl`. The two kinds take turns; each figure is the best of three.

#![allow(missing_docs, clippy::unwrap_used)]

use casemate_client::{Client, NewKey};
use casemate_crypto::{Entropy, Error as CryptoError, Prefer, Random, Software};
use casemate_crypto_aws_lc::AwsLc;
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};
use casemate_posix::connection::{ConnectionOptions, Listener};
use casemate_posix::daemon::{self, PosixPlatform};
use casemate_posix::entropy::OsEntropy;
use casemate_posix::unix::{UnixPolicy, UnixServer};
use casemate_posix::{ClientLink, LinkOptions, MonotonicClock, TlsFiles};
use casemate_protocol::{ClientId, Flags, Header, KeyId, MAX_DATA_LENGTH};
use casemate_rustls::{DriverSource, HsmKey, provider};
use casemate_server::{CacheShape, Config, HeapCache, Server};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const SOCKET: &str = "CASEMATE_BENCH_SOCKET";
const THREADS: usize = 4;

#[derive(Debug)]
struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        OsEntropy.fill(output)
    }
}

#[derive(Debug)]
struct Here;

impl DriverSource for Here {
    type Driver = Prefer<AwsLc, Software<SystemRandom>>;

    fn driver() -> &'static Self::Driver {
        static DRIVER: Prefer<AwsLc, Software<SystemRandom>> =
            Prefer::new(AwsLc, Software::new(SystemRandom));
        &DRIVER
    }
}

/// The process of the HSM's server.
fn serve(socket: &Path) {
    let flash: RamFlash<Vec<u8>> = RamFlash::new(vec![0xFF; 1 << 20], 0xFF);
    let store = FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 30], FlashOptions::new()).unwrap();
    let config = Config::default();
    let options = ConnectionOptions::new(config.data_length + 8);
    let cache = CacheShape::default();
    let server = Server::new(PosixPlatform::new().unwrap(), config, store, HeapCache::new(cache)).unwrap();
    let listener = UnixServer::bind(socket, UnixPolicy::default(), options).unwrap();
    let listeners: [Box<dyn Listener>; 1] = [Box::new(listener)];
    daemon::serve(&server, &listeners, cache, &AtomicBool::new(false), &|_| {});
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const KINDS: [(&str, &[&str]); 2] = [
    ("ECDSA P-256", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("RSA-2048", &["-newkey", "rsa:2048"]),
];

/// A certificate that its key has signed, and the key.
fn certificate(folder: &Path, key: &[&str]) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-subj", "/CN=localhost", "-days", "2"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "web.key", "-out", "web.pem"])
        .args(key)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = CertificateDer::from_pem_file(folder.join("web.pem")).unwrap();
    (certificate, PrivateKeyDer::from_pem_file(folder.join("web.key")).unwrap())
}

/// The key in the HSM, on a connection of its own.
fn hsm_key(socket: &Path, key: &PrivateKeyDer<'_>) -> Arc<dyn SigningKey> {
    let (packet, timeout) = (MAX_DATA_LENGTH + Header::SIZE, Duration::from_secs(60));
    let options = LinkOptions { maximum_packet: packet, timeout, tls: TlsFiles::default() };
    let link = ClientLink::connect(&format!("unix://{}", socket.display()), &options).unwrap();
    let mut client = Client::with_timeout(link, vec![0; packet], MonotonicClock::new(), timeout);
    client.init(ClientId::new(12).unwrap()).unwrap();
    client.learn_limits().unwrap();
    let new = NewKey { id: KeyId::NONE, flags: Flags::USAGE_SIGN, label: "bench".into() };
    let id = client.key_cache(&new, key.secret_der()).unwrap();
    Arc::new(HsmKey::<Here, _, _, _>::new(client, id).unwrap())
}

fn client(certificate: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider::<Here>()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn server(certificate: &CertificateDer<'static>, key: Arc<dyn SigningKey>) -> Arc<ServerConfig> {
    let certified = CertifiedKey::new(vec![certificate.clone()], key);
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider::<Here>()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// One handshake; how long the server's part took.
fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Duration {
    let mut client =
        ClientConnection::new(Arc::clone(client), ServerName::try_from("localhost").unwrap()).unwrap();
    let begun = Instant::now();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut spent = begun.elapsed();
    while client.is_handshaking() || server.is_handshaking() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        let begun = Instant::now();
        let mut rest = there.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        spent += begun.elapsed();
        let mut rest = back.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    spent
}

/// Handshakes per second of all threads, one for each of `servers`.
fn rate(client: &Arc<ClientConfig>, servers: &[Arc<ServerConfig>], time: Duration) -> f64 {
    let (begin, stop) = (Barrier::new(servers.len() + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let threads: Vec<_> = servers
            .iter()
            .map(|server| {
                scope.spawn(|| {
                    handshake(client, server);
                    begin.wait();
                    let mut count = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        handshake(client, server);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        begin.wait();
        let begun = Instant::now();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let elapsed = begun.elapsed().as_secs_f64();
        let count: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        f64::from(count) / elapsed
    })
}

/// The median of the server's part in µs, with one thread.
fn part(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, time: Duration) -> f64 {
    let begun = Instant::now();
    let mut times = vec![handshake(client, server)];
    while begun.elapsed() < time {
        times.push(handshake(client, server));
    }
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn main() {
    if let Some(socket) = env::var_os(SOCKET) {
        return serve(&PathBuf::from(socket));
    }
    let smoke = env::args().any(|argument| argument == "--test");
    let (runs, time) = if smoke { (1, Duration::from_millis(20)) } else { (3, Duration::from_secs(2)) };
    let folder = env::temp_dir().join(format!("casemate-handshakes-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("hsm.sock");
    let child = Command::new(env::current_exe().unwrap()).env(SOCKET, &socket).spawn().unwrap();
    let hsm = Ended(child);
    while !socket.exists() {
        thread::sleep(Duration::from_millis(10));
    }
    println!(
        "TLS 1.3, handshakes per second with {THREADS} threads, both ends; the server's part in µs with one:"
    );
    for (name, kind) in KINDS {
        let (certificate, key) = certificate(&folder, kind);
        let client = client(&certificate);
        let own = provider::<Here>().key_provider.load_private_key(key.clone_key()).unwrap();
        let memory: Vec<_> = (0..THREADS).map(|_| server(&certificate, Arc::clone(&own))).collect();
        let remote: Vec<_> = (0..THREADS).map(|_| server(&certificate, hsm_key(&socket, &key))).collect();
        let (mut rates, mut parts) = ([0.0_f64; 2], [f64::MAX; 2]);
        for _ in 0..runs {
            for (index, servers) in [&memory, &remote].into_iter().enumerate() {
                rates[index] = rates[index].max(rate(&client, servers, time));
                parts[index] = parts[index].min(part(&client, &servers[0], time));
            }
        }
        println!(
            "{name:12} key in memory {:7.0}   in the HSM {:7.0}   ratio {:.2}      {:6.1} and {:6.1} µs   ratio {:.2}",
            rates[0],
            rates[1],
            rates[1] / rates[0],
            parts[0],
            parts[1],
            parts[0] / parts[1]
        );
    }
    drop(hsm);
    let _ = fs::remove_dir_all(&folder);
}
