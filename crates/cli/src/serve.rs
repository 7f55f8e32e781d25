//! `casemate serve`.

use crate::local::{Setup, provision};
use crate::notify::notify;
use crate::users::UserOptions;
use crate::value::{byte, client_id, log, read_file, say, seconds, size};
use anyhow::{Context, Result, bail};
use casemate_nvm::ObjectStore;
use casemate_posix::audit::AuditOptions;
#[cfg(any(feature = "tls", feature = "tls-psk"))]
use casemate_posix::connection::ConnectionOptions;
use casemate_posix::connection::Listener;
use casemate_posix::daemon::{self, Event};
use casemate_posix::hardware_keys::SimulatedKeyStore;
use casemate_posix::metrics::Endpoint;
#[cfg(feature = "tls-psk")]
use casemate_posix::psk::{PskKey, PskServer, PskServerOptions};
use casemate_posix::shm::ShmServer;
use casemate_posix::store::CountedStore;
use casemate_posix::tcp::TcpServer;
#[cfg(feature = "tls")]
use casemate_posix::tls::{TlsIdentity, TlsServer, TlsServerOptions, TlsTrust};
use casemate_posix::unix::{UnixPolicy, UnixServer};
use casemate_protocol::{ClientId, IdFeatures, MAX_DATA_LENGTH, MIN_DATA_LENGTH};
use casemate_server::{
    CacheShape, CertificateOptions, Config, Isolation, SheBoot, SheOptions, SheRules, SheScope,
};
use clap::{Args, ValueEnum};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;
use zeroize::Zeroizing;

/// Run a server
///
/// Runs a server until it is told to stop (Ctrl-C or SIGTERM).
///
/// Clients of wolfHSM and of this program can use it over TCP, TLS and shared memory, and those of this program
/// over Unix-domain sockets too; over several of them at once if several are given. What was stored is on disk before
/// the client gets its answer, so neither a stop nor a crash loses a committed key.
///
/// The protocol itself neither encrypts nor authenticates: whoever reaches a TCP port can claim to be any client. Use
/// the loopback address, a network where everybody is trusted, a Unix-domain socket, or TLS.
///
/// Sizes default to those of wolfHSM's example server.
///
/// With --config, options can stand in a TOML file: `nvm = "keys.image"`, `unix = ["/run/a.sock"]`, `users = true`. What the
/// command line says replaces what the file says.
#[derive(Args)]
pub(crate) struct Serve {
    /// Read options from a file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the options and the files that they name, and start nothing
    #[arg(long)]
    check: bool,
    /// Where to keep objects: a file, which is made if it does not exist, or `ram`, which is lost at the end
    #[arg(long, value_name = "FILE|ram", required = true)]
    nvm: PathBuf,
    /// Listen for TCP connections; port 0 picks a free port, which is then printed [default: 127.0.0.1:23456, unless
    /// another transport is given]
    #[arg(long, value_name = "HOST:PORT")]
    tcp: Vec<String>,
    /// Largest payload of a packet in bytes; clients of wolfHSM must be built with the same number
    #[arg(long, value_name = "BYTES", default_value = "8192", value_parser = data_length)]
    data_length: usize,
    /// What clients may do to each other
    #[arg(long, value_enum, default_value_t = IsolationChoice::Strict)]
    isolation: IsolationChoice,
    /// The number that the server calls itself by
    #[arg(long, value_name = "NUMBER", default_value_t = 57)]
    server_id: u8,
    /// What is demanded of certificates
    #[arg(long, value_enum, value_name = "POLICY", default_value = "original")]
    certificates: CertificateChoice,
    /// Let clients call two example callbacks: number 0 tells the server's time, number 1 adds up the bytes of a buffer in
    /// shared memory
    #[arg(long)]
    example_callbacks: bool,
    /// Do not log clients that come and go
    #[arg(long)]
    quiet: bool,
    /// Store a trusted key-encryption key from a file of 16, 24 or 32 bytes. CLIENT is the owner, 1 to 15, or 0 for
    /// all clients; ID is 1 to 255. Clients can wrap keys with it, and cannot read, replace or remove it. May be
    /// given several times
    #[arg(long = "trusted-key", value_name = "CLIENT:ID:FILE", value_parser = trusted_key)]
    trusted_keys: Vec<TrustedKey>,
    /// Simulate a key slot in hardware: a key-encryption key that no message can read, and that is never stored; may be
    /// given several times. Clients name it with 0x400 added to its number, and 0x100 if it is for all clients
    #[arg(long = "hardware-key", value_name = "CLIENT:ID:FILE", value_parser = trusted_key)]
    hardware_keys: Vec<TrustedKey>,
    /// Count what the server does, and offer the numbers to Prometheus at http://ADDRESS/metrics: HOST:PORT, or unix:PATH.
    /// They name no key and no user. `casemate top` shows them
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    #[command(flatten)]
    others: Others,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    audit: Audit,
    #[command(flatten)]
    nvm_shape: NvmShape,
    #[command(flatten)]
    cache: Cache,
    #[command(flatten)]
    she: She,
    #[command(flatten)]
    users: UserOptions,
}

/// AUTOSAR SHE. The defaults are what the original does.
#[derive(Args)]
#[command(next_help_heading = "AUTOSAR SHE")]
struct She {
    /// Read flags and key numbers as the standard does: write and boot protection, key usage and wildcard mean what they
    /// say, and keys authorize only what the standard lets them
    #[arg(long)]
    she_standard: bool,
    /// One outcome of secure boot until the server ends; a failure closes the gate for good
    #[arg(long)]
    she_final_boot: bool,
    /// Each connection has its own identifier, secure boot and random generator
    #[arg(long)]
    she_per_connection: bool,
    /// All clients share the key slots
    #[arg(long)]
    she_global_keys: bool,
    /// The device's unique identifier, as 30 hexadecimal digits; clients cannot set it then
    #[arg(long, value_name = "HEX", value_parser = she_uid)]
    she_uid: Option<SheUid>,
    /// The shortest MAC that can be verified, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=16))]
    she_minimum_mac: u8,
}

type SheUid = [u8; 15];

fn she_uid(text: &str) -> Result<SheUid, String> {
    let mut uid = [0; 15];
    hex::decode_to_slice(text, &mut uid).map_err(|_| "the identifier has 30 hexadecimal digits")?;
    Ok(uid)
}

impl She {
    fn options(&self) -> SheOptions {
        SheOptions {
            global_keys: self.she_global_keys,
            uid: self.she_uid,
            scope: if self.she_per_connection { SheScope::Session } else { SheScope::Server },
            boot: if self.she_final_boot { SheBoot::Final } else { SheBoot::Repeatable },
            rules: if self.she_standard { SheRules::Standard } else { SheRules::Original },
            min_mac_length: self.she_minimum_mac,
        }
    }
}

/// Each may be given several times. The original's clients know TCP, TLS and shared memory.
#[derive(Args)]
#[command(next_help_heading = "Transports")]
struct Others {
    /// Listen on a Unix-domain socket
    #[arg(long, value_name = "PATH")]
    unix: Vec<PathBuf>,
    /// Admit only this user to Unix-domain sockets, besides those of --unix-group
    #[arg(long, value_name = "UID", requires = "unix")]
    unix_user: Vec<u32>,
    /// Admit only this group to Unix-domain sockets, besides those of --unix-user
    #[arg(long, value_name = "GID", requires = "unix")]
    unix_group: Vec<u32>,
    /// Over Unix-domain sockets, let this user be this client and no other, and no further user connect
    #[arg(long, value_name = "UID:CLIENT", requires = "unix", value_parser = bound_user)]
    unix_client: Vec<(u32, ClientId)>,
    /// Offer a POSIX shared-memory object, to processes of this user and group
    #[arg(long, value_name = "NAME")]
    shm: Vec<String>,
    /// Size of the area for direct memory access in each shared-memory object
    #[arg(long, value_name = "BYTES", default_value = "64K", value_parser = size)]
    shm_dma: u32,
    #[cfg(feature = "tls")]
    #[command(flatten)]
    tls: Tls,
    #[cfg(feature = "tls-psk")]
    #[command(flatten)]
    psk: Psk,
}

#[cfg(feature = "tls-psk")]
#[derive(Args)]
struct Psk {
    /// Listen for TLS 1.2 and 1.3 connections with pre-shared keys
    #[arg(long, value_name = "HOST:PORT", requires = "tls_psk_keys")]
    tls_psk: Vec<String>,
    /// The keys, one on each line: IDENTITY:KEY, with 32 or more hexadecimal digits. IDENTITY:KEY:CLIENT lets whoever
    /// has the key be this client and no other
    #[arg(long, value_name = "FILE", requires = "tls_psk")]
    tls_psk_keys: Option<PathBuf>,
}

#[cfg(feature = "tls-psk")]
impl Psk {
    fn listen(&self, address: &str, options: ConnectionOptions) -> Result<PskServer> {
        Ok(PskServer::bind(address, PskServerOptions { keys: self.keys()? }, options)?)
    }

    fn keys(&self) -> Result<Vec<(PskKey, Option<ClientId>)>> {
        let Some(path) = &self.tls_psk_keys else { bail!("--tls-psk needs --tls-psk-keys") };
        let text = read_file(path)?;
        let text = std::str::from_utf8(&text).with_context(|| format!("{} is no text", path.display()))?;
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("{}, line {number}", path.display());
            keys.push(PskKey::from_line(line).with_context(place)?);
        }
        Ok(keys)
    }
}

#[cfg(feature = "tls")]
#[derive(Args)]
struct Tls {
    /// Listen for TLS 1.2 and 1.3 connections. Files are in PEM, or hold one certificate or key in DER
    #[arg(long, value_name = "HOST:PORT", requires_all = ["tls_certificate", "tls_key", "tls_admission"])]
    tls: Vec<String>,
    /// The server's certificate, and those that lead to a certificate authority after it
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// The private key of --tls-certificate
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Admit clients with certificates of these authorities, or with these very certificates
    #[arg(long, value_name = "FILE", group = "tls_admission")]
    tls_trust: Option<PathBuf>,
    /// Admit clients without a certificate
    #[arg(long, group = "tls_admission")]
    tls_anyone: bool,
    /// Over TLS, let the certificate with this SHA-256 be this client and no other, and no further certificate connect
    #[arg(long, value_name = "SHA256:CLIENT", requires = "tls_trust", value_parser = bound_certificate)]
    tls_client: Vec<([u8; 32], ClientId)>,
}

/// What clients may cost.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// How many clients may be connected at once
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// How many of them from one Internet address, as one user of this machine, or over shared memory
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    connections_per_origin: Option<u16>,
    /// How many connections may have one client identifier. Identifiers are claims unless --unix-client or --tls-client
    /// binds them: whoever claims another's can then keep it out
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    connections_per_client: Option<u16>,
    /// How long a client may be silent between requests
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle_timeout: Option<Duration>,
    /// How long a client may take for its first request, from the connection on
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    first_request_timeout: Duration,
    /// How long a client may take to send a request that it has begun, to accept a response, or for a TLS handshake
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    request_timeout: Duration,
}

/// Security records: sessions, keys made, exported, revoked and erased, refusals and so on; never a secret. Read them
/// with `casemate audit`.
#[derive(Args)]
#[command(next_help_heading = "Security records")]
struct Audit {
    /// Write security records to a file, which is made if it does not exist
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Begin a new file at this size; the old one is renamed to FILE.1, and so on
    #[arg(long, value_name = "BYTES", default_value = "16M", value_parser = size, requires = "audit")]
    audit_size: u32,
    /// How many renamed files to keep
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000), requires = "audit")]
    audit_keep: u32,
    /// Force every record to the disk before the client gets its answer
    #[arg(long, requires = "audit")]
    audit_sync: bool,
    /// Chain the records with the key in this file, so that whoever has not the key cannot make another chain
    #[arg(long, value_name = "FILE", requires = "audit")]
    audit_key: Option<PathBuf>,
}

impl Audit {
    fn options(&self) -> Result<Option<(PathBuf, AuditOptions)>> {
        let Some(path) = &self.audit else { return Ok(None) };
        let options = AuditOptions {
            maximum_size: self.audit_size.into(),
            keep: self.audit_keep,
            sync: self.audit_sync,
            key: self.audit_key.as_deref().map(chain_key).transpose()?,
        };
        Ok(Some((path.clone(), options)))
    }
}

/// The key of a chain of records, from a file.
pub(crate) fn chain_key(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let key = read_file(path)?;
    if key.len() < 16 {
        bail!("{} has {} bytes; a key for records has 16 or more", path.display(), key.len());
    }
    Ok(key)
}

/// The object store. For a file that exists these have to be as they were when it was made.
#[derive(Args)]
#[command(next_help_heading = "Object store")]
pub(crate) struct NvmShape {
    /// Size of the flash: two partitions of half this size
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = size)]
    pub(crate) nvm_size: u32,
    /// How many objects (keys, counters and others) it can hold
    #[arg(long, value_name = "COUNT", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) nvm_objects: u16,
    /// Value of an erased byte [default: 0xff in a file, 0x00 in RAM]
    #[arg(long, value_name = "BYTE", value_parser = byte)]
    pub(crate) nvm_erased_byte: Option<u8>,
    /// Store checksums with objects
    #[arg(long)]
    pub(crate) nvm_checksums: bool,
}

/// The key cache of each client. Global keys have another one of the same size.
#[derive(Args)]
#[command(next_help_heading = "Key cache")]
struct Cache {
    /// Small slots
    #[arg(long, value_name = "COUNT", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1024))]
    cache_slots: u16,
    /// Largest key in a small slot
    #[arg(long, value_name = "BYTES", default_value = "256", value_parser = size)]
    cache_slot_size: u32,
    /// Big slots
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1024))]
    big_cache_slots: u16,
    /// Largest key in a big slot
    #[arg(long, value_name = "BYTES", default_value = "8192", value_parser = size)]
    big_cache_slot_size: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IsolationChoice {
    /// Nothing: no client reaches another one's keys or counters
    Strict,
    /// As with wolfHSM's server: anything that goes through raw object identifiers
    Original,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CertificateChoice {
    /// What wolfHSM demands: see docs/certificates.md
    Original,
    /// More: keyCertSign, roots marked as authorities, RSA from 2048 bits, dates and issuers of attribute certificates
    Strict,
}

#[derive(Clone)]
struct TrustedKey {
    owner: ClientId,
    number: u8,
    file: PathBuf,
}

fn trusted_key(text: &str) -> Result<TrustedKey, String> {
    let advice = || "write CLIENT:ID:FILE, such as 12:254:kek.bin".to_owned();
    let mut parts = text.splitn(3, ':');
    let (Some(client), Some(number), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(advice());
    };
    let owner = match byte(client) {
        Ok(0) => ClientId::NONE,
        Ok(client) => ClientId::new(client.into()).ok_or("the client is 1 to 15, or 0 for all clients")?,
        Err(_) => return Err(advice()),
    };
    match byte(number) {
        Ok(number @ 1..) => Ok(TrustedKey { owner, number, file: file.into() }),
        _ => Err("the key identifier is 1 to 255".to_owned()),
    }
}

/// A key-encryption key, from a file.
fn encryption_key(file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let key = read_file(file)?;
    if !matches!(key.len(), 16 | 24 | 32) {
        bail!(
            "{} has {} bytes; a key-encryption key is an AES key of 16, 24 or 32 bytes",
            file.display(),
            key.len()
        );
    }
    Ok(key)
}

/// `UID:CLIENT`.
fn bound_user(text: &str) -> Result<(u32, ClientId), String> {
    let advice = "write UID:CLIENT, such as 1000:3";
    let (user, client) = text.split_once(':').ok_or(advice)?;
    Ok((user.parse().map_err(|_| advice)?, client_id(client)?))
}

/// `SHA256:CLIENT`.
#[cfg(feature = "tls")]
fn bound_certificate(text: &str) -> Result<([u8; 32], ClientId), String> {
    let advice =
        "write SHA256:CLIENT, the former as 64 hexadecimal digits; colons between them do not matter";
    let (fingerprint, client) = text.rsplit_once(':').ok_or(advice)?;
    let mut value = [0; 32];
    hex::decode_to_slice(fingerprint.replace(':', ""), &mut value).map_err(|_| advice)?;
    Ok((value, client_id(client)?))
}

fn data_length(text: &str) -> Result<usize, String> {
    match usize::try_from(size(text)?) {
        Ok(length @ MIN_DATA_LENGTH..=MAX_DATA_LENGTH) => Ok(length),
        _ => Err(format!("the packet data length is {MIN_DATA_LENGTH} to {MAX_DATA_LENGTH} bytes")),
    }
}

impl Serve {
    pub(crate) fn run(&self) -> Result<()> {
        let setup = self.setup()?;
        if self.check {
            return self.check(&setup);
        }
        if self.nvm == Path::new("ram") {
            let store = setup.ram_store()?;
            self.serve(&setup, store, "in RAM, lost when the server ends")
        } else {
            if !self.nvm.exists() {
                log(format_args!("making {}, {} bytes", self.nvm.display(), setup.nvm_size));
            }
            let store = setup.file_store(&self.nvm)?;
            self.serve(&setup, store, &self.nvm.display().to_string())
        }
    }

    /// Looks at everything that can be looked at without changing or opening anything that a running server has.
    fn check(&self, setup: &Setup) -> Result<()> {
        setup.ram_store().context("--nvm-size, --nvm-objects")?;
        if self.nvm != Path::new("ram") {
            let parent = self.nvm.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = parent.unwrap_or(Path::new("."));
            match fs::metadata(&self.nvm) {
                Ok(found) if found.len() != u64::from(self.nvm_shape.nvm_size) => bail!(
                    "{} has {} bytes, and --nvm-size says {}",
                    self.nvm.display(),
                    found.len(),
                    self.nvm_shape.nvm_size
                ),
                Ok(_) => {}
                Err(_) if directory.is_dir() => {}
                Err(_) => bail!("{}: create the directory {} first", self.nvm.display(), directory.display()),
            }
        }
        for TrustedKey { file, .. } in &self.trusted_keys {
            encryption_key(file)?;
        }
        self.users.check(Some(&*self.nvm).filter(|nvm| *nvm != Path::new("ram")))?;
        #[cfg(feature = "tls")]
        if !self.others.tls.tls.is_empty() {
            self.others.tls.options()?;
        }
        #[cfg(feature = "tls-psk")]
        if !self.others.psk.tls_psk.is_empty() {
            self.others.psk.keys()?;
        }
        say("nothing is wrong; whether the addresses are free was not tried, and the object store not opened")
    }

    fn setup(&self) -> Result<Setup> {
        Ok(Setup {
            config: Config {
                server_id: self.server_id,
                data_length: self.data_length,
                isolation: match self.isolation {
                    IsolationChoice::Strict => Isolation::Strict,
                    IsolationChoice::Original => Isolation::Original,
                },
                certificates: match self.certificates {
                    CertificateChoice::Original => CertificateOptions::default(),
                    CertificateChoice::Strict => CertificateOptions::STRICT,
                },
                users: self.users.policy(),
                she: self.she.options(),
                features: IdFeatures {
                    hardware_keys: !self.hardware_keys.is_empty(),
                    ..Config::default().features
                },
                ..Config::default()
            },
            cache: CacheShape {
                small_slots: self.cache.cache_slots.into(),
                small_size: wide(self.cache.cache_slot_size),
                big_slots: self.cache.big_cache_slots.into(),
                big_size: wide(self.cache.big_cache_slot_size),
            },
            nvm_size: self.nvm_shape.nvm_size,
            nvm_objects: self.nvm_shape.nvm_objects,
            erased_byte: self.nvm_shape.nvm_erased_byte,
            checksums: self.nvm_shape.nvm_checksums,
            connections: self.limits.connections.into(),
            hardware_keys: {
                let mut store = SimulatedKeyStore::new();
                for TrustedKey { owner, number, file } in &self.hardware_keys {
                    store.insert(*owner, *number, &encryption_key(file)?);
                }
                store
            },
            audit: self.audit.options()?,
            example_callbacks: self.example_callbacks,
            metrics: self.metrics.is_some(),
        })
    }

    fn serve<S: ObjectStore + Send>(&self, setup: &Setup, store: CountedStore<S>, place: &str) -> Result<()> {
        let space = store.available();
        let store_counts = store.counts();
        let nvm = (self.nvm != Path::new("ram")).then_some(self.nvm.as_path());
        let (device_key, _) = self.users.device_key(nvm, &store, |event| log(event))?;
        let server = setup.server_with_key(store, device_key)?;
        self.users.prepare(&server, |event| log(event))?;
        for TrustedKey { owner, number, file } in &self.trusted_keys {
            let key = encryption_key(file)?;
            let id = provision(&server, *owner, *number, &key)
                .with_context(|| format!("trusted key {owner}:{number}"))?;
            log(format_args!("trusted key {id} from {}", file.display()));
        }
        let listeners = self.listeners(setup)?;
        let metrics = self.metrics.as_deref().map(Endpoint::bind).transpose()?;

        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            // The second signal ends the process at once. That loses no committed object either.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
                .and_then(|_| flag::register(signal, Arc::clone(&stop)))
                .context("cannot watch for signals")?;
        }

        if let Ok(space) = space {
            log(format_args!(
                "objects: {place}; {} of {} used, {} bytes free",
                setup.nvm_objects.saturating_sub(space.objects),
                setup.nvm_objects,
                space.size
            ));
        }
        for listener in &listeners {
            log(format_args!("server {} listens on {}", self.server_id, listener.address()));
        }
        if let Some(metrics) = &metrics {
            log(format_args!("metrics at {}", metrics.address()));
            if !metrics.is_local() {
                log("warning: whoever reaches the address of the metrics can read them");
            }
        }
        let report = |event: Event| {
            let is_routine = matches!(event, Event::Connected(_) | Event::Ended { .. });
            if !(self.quiet && is_routine) {
                log(event);
            }
        };
        if let Err(error) = notify("READY=1") {
            log(format_args!("the service manager cannot be told that the server is ready: {error}"));
        }
        thread::scope(|scope| {
            if let Some(metrics) = &metrics {
                let (server, stop) = (&server, &stop);
                let render = move |format| {
                    let render = daemon::render_metrics;
                    render(server, format, Some(&store_counts), setup.cache, setup.connections)
                        .unwrap_or_default()
                };
                scope.spawn(move || metrics.serve(stop, &render));
            }
            daemon::serve(&server, &listeners, setup.cache, &stop, &report);
            // It notices the end of the process anyway.
            let _ = notify("STOPPING=1");
        });
        // Names of sockets and shared memory are gone before this says so.
        drop((listeners, metrics));
        if let Some(audit) = server.platform().audit()
            && audit.lost() > 0
        {
            log(format_args!("{} security records were lost", audit.lost()));
        }
        log("stopped");
        Ok(())
    }
}

impl Serve {
    /// Everything that was asked for, or the usual TCP port.
    fn listeners(&self, setup: &Setup) -> Result<Vec<Box<dyn Listener>>> {
        let limits = &self.limits;
        let mut options = setup.connection_options();
        if let Some(maximum) = limits.connections_per_origin {
            options.limit = options.limit.for_each_origin(maximum.into());
        }
        if let Some(maximum) = limits.connections_per_client {
            options.limit = options.limit.for_each_client(maximum.into());
        }
        options.idle_deadline = limits.idle_timeout;
        options.first_request_deadline = Some(limits.first_request_timeout);
        options.frame_deadline = limits.request_timeout;
        options.write_deadline = limits.request_timeout;

        let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
        let add_tcp = |address: &str| -> Result<Box<dyn Listener>> {
            let listener = TcpServer::bind(address, options.clone())?;
            let bound = listener.local_address().context("cannot tell the listening address")?;
            if !bound.ip().is_loopback() {
                log("warning: TCP does not encrypt, and whoever reaches the port can claim to be any client");
            }
            Ok(Box::new(listener))
        };
        for address in &self.tcp {
            listeners.push(add_tcp(address)?);
        }
        let others = &self.others;
        for path in &others.unix {
            let policy = UnixPolicy {
                users: others.unix_user.clone(),
                groups: others.unix_group.clone(),
                clients: others.unix_client.clone(),
            };
            listeners.push(Box::new(UnixServer::bind(path, policy, options.clone())?));
        }
        for name in &others.shm {
            listeners.push(Box::new(ShmServer::bind(name, wide(others.shm_dma), options.clone())?));
        }
        #[cfg(feature = "tls")]
        for address in &others.tls.tls {
            listeners.push(Box::new(others.tls.listen(address, options.clone())?));
        }
        #[cfg(feature = "tls-psk")]
        for address in &others.psk.tls_psk {
            listeners.push(Box::new(others.psk.listen(address, options.clone())?));
        }
        if listeners.is_empty() {
            listeners.push(add_tcp("127.0.0.1:23456")?);
        }
        Ok(listeners)
    }
}

#[cfg(feature = "tls")]
impl Tls {
    fn listen(&self, address: &str, options: ConnectionOptions) -> Result<TlsServer> {
        Ok(TlsServer::bind(address, self.options()?, options)?)
    }

    fn options(&self) -> Result<TlsServerOptions> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else {
            bail!("--tls needs --tls-certificate and --tls-key");
        };
        Ok(TlsServerOptions {
            identity: TlsIdentity::from_files(certificate, key)?,
            trust: self.tls_trust.as_deref().map(TlsTrust::from_file).transpose()?,
            clients: self.tls_client.clone(),
        })
    }
}

fn wide(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_keys_are_named_by_client_number_and_file() {
        let key = trusted_key("12:0xfe:a:b.bin").ok().unwrap();
        assert_eq!((key.owner.get(), key.number, key.file.to_str()), (12, 0xFE, Some("a:b.bin")));
        assert!(trusted_key("0:1:x").is_ok());
        assert!(trusted_key("16:1:x").is_err());
        assert!(trusted_key("1:0:x").is_err());
        assert!(trusted_key("1:1").is_err());
    }
}
