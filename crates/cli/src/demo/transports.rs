//! Each transport once: one server over all of them, and a client that finds over each what another one stored.

use super::{ALICE, BOB, Report, TIMEOUT};
#[cfg(feature = "tls")]
use crate::connection::TlsOptions;
use crate::connection::{Hsm, Link, over};
use crate::local::{Running, Setup};
use anyhow::{Context, Result, ensure};
use casemate_posix::ClientLink;
use casemate_posix::connection::Listener;
use casemate_posix::shm::{ShmClientTransport, ShmServer};
use casemate_posix::tcp::{TcpClientTransport, TcpServer};
#[cfg(feature = "tls")]
use casemate_posix::tls::{TlsIdentity, TlsServer, TlsServerOptions, TlsTrust};
use casemate_posix::unix::{UnixClientTransport, UnixPolicy, UnixServer};
use casemate_posix::{MonotonicClock, Patient};
use casemate_protocol::{ClientId, Header, Metadata, ObjectId};
use casemate_server::{HeapCache, Session};
use casemate_transport::{
    CONTROL_SIZE, MemoryClient, MemoryServer, ServerTransport, SharedRegion, TransportError,
};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

/// A certificate and its private key, which anybody can read here: they protect nothing but this demonstration.
#[cfg(feature = "tls")]
const IDENTITY: &str = include_str!("identity.pem");

const OBJECT: ObjectId = ObjectId(0x71);
const TEXT: &[u8] = b"stored over TCP";

struct Place {
    server: Running,
    directory: tempfile::TempDir,
    shm: String,
    #[cfg(feature = "tls")]
    tls: String,
}

pub(super) fn steps(report: &mut Report) {
    report.group("Transports");
    let mut place = None;
    report.step("one server over TCP, Unix socket, shared memory, TLS", || {
        let started = start()?;
        let mut hsm = hello(
            Link::Server(ClientLink::Tcp(TcpClientTransport::connect(
                &started.server.address,
                packet(),
                TIMEOUT,
            )?)),
            ALICE,
        )?;
        let metadata = Metadata { id: OBJECT, access: Metadata::ACCESS_ANY, ..Metadata::default() };
        hsm.nvm_add(&metadata, TEXT)?;
        hsm.close()?;
        place = Some(started);
        Ok("an object stored over TCP".to_owned())
    });
    let Some(place) = place else { return };
    report.step("Unix-domain socket: the user is client 1", || {
        let path = place.directory.path().join("socket");
        let mut hsm =
            hello(Link::Server(ClientLink::Unix(UnixClientTransport::connect(&path, packet())?)), ALICE)?;
        found(&mut hsm)?;
        let mut other = over(
            Link::Server(ClientLink::Unix(UnixClientTransport::connect(&path, packet())?)),
            packet(),
            TIMEOUT,
        );
        let claim = other.init(ClientId::new(BOB).context("client identifiers are 1 to 15")?);
        ensure!(claim.is_err(), "the user could also be client {BOB}");
        Ok("found; client 2 refused".to_owned())
    });
    report.step("shared memory, in the original's layout", || {
        let transport = ShmClientTransport::connect(&place.shm, TIMEOUT)?;
        let area = transport.dma_area().context("no area for direct memory access")?.length();
        let mut hsm = hello(Link::Server(ClientLink::Shm(transport)), ALICE)?;
        found(&mut hsm)?;
        Ok(format!("found; {area} bytes for direct access"))
    });
    #[cfg(feature = "tls")]
    report.step("TLS with certificates of both sides", || {
        let file = place.directory.path().join("identity.pem");
        let tls = TlsOptions {
            tls_trust: Some(file.clone()),
            tls_certificate: Some(file.clone()),
            tls_key: Some(file),
            tls_server_name: None,
            ..TlsOptions::default()
        };
        let mut hsm = crate::connection::connect(&place.tls, &tls, packet() - Header::SIZE, TIMEOUT)?;
        hsm.init(ClientId::new(ALICE).context("client identifiers are 1 to 15")?)?;
        found(&mut hsm)?;
        Ok("found".to_owned())
    });
    report.step("memory that two threads share, as two cores would", || {
        let rounds = in_memory()?;
        Ok(format!("{rounds} round trips"))
    });
}

fn packet() -> usize {
    Setup::default().config.data_length + Header::SIZE
}

fn hello(link: Link, id: u32) -> Result<Hsm> {
    let mut hsm = over(link, packet(), TIMEOUT);
    hsm.init(ClientId::new(id).context("client identifiers are 1 to 15")?)?;
    Ok(hsm)
}

fn found(hsm: &mut Hsm) -> Result<()> {
    let mut data = [0; TEXT.len()];
    let length = hsm.nvm_read(OBJECT, &mut data)?;
    ensure!(data[..length] == *TEXT, "the object is another one");
    hsm.close()?;
    Ok(())
}

fn start() -> Result<Place> {
    let setup = Setup::default();
    let server = Arc::new(setup.server(setup.ram_store()?)?);
    let options = setup.connection_options();
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let shm = format!("casemate-demo-{}", std::process::id());
    let user = std::fs::metadata(directory.path())?.uid();
    let alice = ClientId::new(ALICE).context("client identifiers are 1 to 15")?;
    let policy = UnixPolicy { clients: vec![(user, alice)], ..UnixPolicy::default() };
    let socket = directory.path().join("socket");
    let mut listeners: Vec<Box<dyn Listener>> = vec![
        Box::new(TcpServer::bind("127.0.0.1:0", options.clone())?),
        Box::new(UnixServer::bind(&socket, policy, options.clone())?),
        Box::new(ShmServer::bind(&shm, 64 * 1024, options.clone())?),
    ];
    #[cfg(feature = "tls")]
    let tls = {
        std::fs::write(directory.path().join("identity.pem"), IDENTITY)?;
        let tls = TlsServerOptions {
            identity: TlsIdentity::from_bytes(IDENTITY.as_bytes(), IDENTITY.as_bytes())?,
            trust: Some(TlsTrust::from_bytes(IDENTITY.as_bytes())?),
            clients: Vec::new(),
        };
        let listener = TlsServer::bind("127.0.0.1:0", tls, options)?;
        let address = listener.address();
        listeners.push(Box::new(listener));
        address
    };
    let server = Running::start_with(&setup, server, listeners)?;
    Ok(Place {
        server,
        directory,
        shm,
        #[cfg(feature = "tls")]
        tls,
    })
}

/// Client and server on two threads, over two blocks of memory; returns how many requests were answered.
fn in_memory() -> Result<u32> {
    const ROUNDS: u32 = 100;
    let setup = Setup::default();
    let server = setup.server(setup.ram_store()?)?;
    let block: fn() -> Vec<AtomicU32> =
        || (0..(packet() + CONTROL_SIZE).div_ceil(4)).map(|_| AtomicU32::new(0)).collect();
    let (request, response) = (block(), block());
    let (request, response) = (SharedRegion::new(&request), SharedRegion::new(&response));
    let mut link = MemoryServer::new(request, response)?;
    let transport = MemoryClient::new(request, response)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = Session::new(HeapCache::new(setup.cache));
            let (mut request, mut response) = (vec![0; packet()], vec![0; packet()]);
            while !stop.load(Ordering::Relaxed) {
                match link.receive(&mut request) {
                    Ok(length) => match server.handle(&mut session, &request[..length], &mut response) {
                        Ok(reply) if link.send(&response[..reply.length]).is_ok() => {}
                        _ => return,
                    },
                    Err(TransportError::NotReady) => thread::yield_now(),
                    Err(_) => return,
                }
            }
        });
        let outcome = converse(transport, ROUNDS);
        stop.store(true, Ordering::Relaxed);
        outcome.map(|()| ROUNDS)
    })
}

fn converse(transport: MemoryClient<SharedRegion<'_>>, rounds: u32) -> Result<()> {
    let mut hsm = casemate_client::Client::with_timeout(
        Patient(transport),
        vec![0; packet()],
        MonotonicClock::new(),
        TIMEOUT,
    );
    hsm.init(ClientId::new(ALICE).context("client identifiers are 1 to 15")?)?;
    for round in 0..rounds {
        let text = round.to_le_bytes();
        ensure!(hsm.echo(&text)? == text, "echo {round} came back changed");
    }
    Ok(())
}
