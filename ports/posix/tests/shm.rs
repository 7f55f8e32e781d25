//! Shared memory with good, dead and hostile peers, and with a peer that shares no code.

use casemate_posix::LinkError;
use casemate_posix::connection::{Accepted, Answer, Connection, ConnectionOptions, Ended, Listener, Peer};
use casemate_posix::shm::{HEADER_SIZE, ShmClientTransport, ShmServer};
use casemate_transport::{ClientTransport, OutOfRange, ServerTransport, TransportError};
use rustix::fs::{Mode, ftruncate};
use rustix::shm::{self, OFlags};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MAXIMUM: usize = 1032;
const PATIENCE: Duration = Duration::from_secs(60);

/// A name that no other test uses.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("casemate-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An echo server, one thread for each client.
struct Server {
    name: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn bind(name: &str, dma: usize) -> Result<ShmServer, LinkError> {
    ShmServer::bind(name, dma, ConnectionOptions::new(MAXIMUM))
}

fn accept(server: &ShmServer, stop: &AtomicBool) -> Option<Connection> {
    match server.accept(stop).unwrap() {
        Accepted::Connection(connection) => Some(connection),
        _ => None,
    }
}

fn echo(connection: Connection, stop: &AtomicBool) -> Ended {
    connection.serve(stop, |request, response| {
        response[..request.len()].copy_from_slice(request);
        Answer::Response(request.len())
    })
}

impl Server {
    fn start(dma: usize) -> Self {
        let name = unique();
        let server = bind(&name, dma).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                while let Some(connection) = accept(&server, &stopped) {
                    let stop = &stopped;
                    scope.spawn(move || echo(connection, stop));
                }
            });
        });
        Self { name, stop, thread: Some(thread) }
    }

    fn client(&self) -> ShmClientTransport {
        ShmClientTransport::connect(&self.name, PATIENCE).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let result = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            result.unwrap();
        }
    }
}

fn receive(client: &mut ShmClientTransport) -> Result<Vec<u8>, TransportError<LinkError>> {
    let mut buffer = [0; MAXIMUM];
    let start = Instant::now();
    loop {
        match client.receive_within(&mut buffer, Duration::from_secs(1)) {
            Err(TransportError::NotReady) => assert!(start.elapsed() < PATIENCE, "no response"),
            result => return result.map(|length| buffer[..length].to_vec()),
        }
    }
}

fn exchange(client: &mut ShmClientTransport, packet: &[u8]) -> Result<Vec<u8>, TransportError<LinkError>> {
    client.send(packet)?;
    receive(client)
}

#[test]
fn every_packet_size_comes_back() {
    let server = Server::start(0);
    let mut client = server.client();
    assert_eq!(client.capacity(), Some((MAXIMUM, MAXIMUM)));
    for length in 8..=MAXIMUM {
        let packet: Vec<u8> = (0..length).map(|at| (at % 61) as u8).collect();
        assert_eq!(exchange(&mut client, &packet).unwrap(), packet);
    }
    assert!(matches!(client.send(&[0; 7]), Err(TransportError::BadLength)));
    assert!(matches!(client.send(&[0; MAXIMUM + 1]), Err(TransportError::BadLength)));
    assert!(exchange(&mut client, &[7; 30]).is_ok());
}

#[test]
fn many_clients_at_once_and_one_after_the_other() {
    let server = Server::start(0);
    std::thread::scope(|scope| {
        for number in 0..8_u8 {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..3 {
                    let mut client = server.client();
                    for round in 0..200_u16 {
                        let packet = [[number; 8].as_slice(), &round.to_le_bytes()].concat();
                        assert_eq!(exchange(&mut client, &packet).unwrap(), packet);
                    }
                }
            });
        }
    });
}

#[test]
fn both_sides_see_the_dma_area() {
    let name = unique();
    let server = bind(&name, 1000).unwrap();
    let mut client = ShmClientTransport::connect(&name, PATIENCE).unwrap();
    let connection = accept(&server, &AtomicBool::new(false)).unwrap();
    assert_eq!(*connection.peer(), Peer::Shm(i32::try_from(std::process::id()).ok()));
    let (ours, theirs) = (connection.dma_area().unwrap(), client.dma_area().unwrap());
    assert_eq!((ours.length(), theirs.length()), (1000, 1000));
    theirs.write(32, b"sixteen bytes it").unwrap();
    let mut bytes = [0; 16];
    ours.read(32, &mut bytes).unwrap();
    assert_eq!(&bytes, b"sixteen bytes it");
    ours.write(984, &bytes).unwrap();
    theirs.read(984, &mut bytes).unwrap();
    assert_eq!(&bytes, b"sixteen bytes it");
    for offset in [985, 1000, 1001, usize::MAX, usize::MAX - 15] {
        assert_eq!(ours.read(offset, &mut bytes), Err(OutOfRange));
        assert_eq!(theirs.write(offset, &bytes), Err(OutOfRange));
    }
    // The packets' blocks are another part.
    client.send(b"a packet").unwrap();
    let mut all = [1; 1000];
    ours.read(0, &mut all).unwrap();
    assert_eq!(all.iter().filter(|byte| **byte != 0).count(), 32);
    // The handle outlives the connection.
    drop(connection);
    drop(client);
    ours.read(32, &mut bytes).unwrap();
    assert_eq!(&bytes, b"sixteen bytes it");
}

#[test]
fn either_side_notices_that_the_other_has_left() {
    let name = unique();
    let server = bind(&name, 0).unwrap();
    let stop = AtomicBool::new(false);
    let mut client = ShmClientTransport::connect(&name, PATIENCE).unwrap();
    let connection = accept(&server, &stop).unwrap();
    client.close();
    assert!(matches!(echo(connection, &stop), Ended::ByPeer));
    assert!(matches!(client.send(&[0; 8]), Err(TransportError::Closed)));

    client.reconnect().unwrap();
    let mut connection = accept(&server, &stop).unwrap();
    client.send(b"the last request").unwrap();
    let mut buffer = [0; MAXIMUM];
    assert_eq!(connection.receive(&mut buffer).unwrap(), 16);
    connection.send(b"the last response").unwrap();
    drop(connection);
    assert_eq!(receive(&mut client).unwrap(), b"the last response");
    assert!(matches!(receive(&mut client), Err(TransportError::Closed)));
    assert!(!client.is_connected());

    client.reconnect().unwrap();
    drop(server);
    let nobody = ShmClientTransport::connect(&name, Duration::from_millis(20)).unwrap_err().to_string();
    assert!(nobody.contains(&name) && nobody.contains("start a server there"), "{nobody}");
}

#[test]
fn a_name_that_another_server_uses_and_one_that_a_dead_one_left() {
    let name = unique();
    let file = shm::open(format!("/{name}"), OFlags::CREATE | OFlags::RDWR, Mode::RWXU).unwrap();
    ftruncate(&file, 64).unwrap();
    let write = |state: u32, pid: u32| {
        let mut header = [0; HEADER_SIZE];
        header[..4].copy_from_slice(&state.to_ne_bytes());
        header[8 + size_of::<usize>()..][..4].copy_from_slice(&pid.to_ne_bytes());
        rustix::io::pwrite(&file, &header, 0).unwrap();
    };
    // Process 1 is always alive, and never a test.
    write(2, 1);
    let refused = bind(&name, 0).unwrap_err().to_string();
    assert!(refused.contains("another server uses it"), "{refused}");
    let mut child = Command::new("true").spawn().unwrap();
    let dead = child.id();
    child.wait().unwrap();
    write(2, dead);
    let server = bind(&format!("/{name}"), 0).unwrap();
    assert_eq!(server.name(), name);
    drop(server);
    assert!(shm::open(format!("/{name}"), OFlags::RDWR, Mode::empty()).is_err(), "the name is left");
}

#[test]
fn a_name_that_was_taken_away_comes_back() {
    let server = Server::start(0);
    shm::unlink(format!("/{}", server.name)).unwrap();
    let mut client = server.client();
    assert!(exchange(&mut client, b"are you there?").is_ok());
}

#[test]
fn sizes_that_do_not_fit_the_object_are_refused() {
    let name = unique();
    let file = shm::open(format!("/{name}"), OFlags::CREATE | OFlags::RDWR, Mode::RWXU).unwrap();
    let attempt = |request: u16, response: u16, dma: usize, size: u64| {
        ftruncate(&file, size).unwrap();
        let mut header = [0; HEADER_SIZE];
        header[..4].copy_from_slice(&2_u32.to_ne_bytes());
        header[4..6].copy_from_slice(&request.to_ne_bytes());
        header[6..8].copy_from_slice(&response.to_ne_bytes());
        header[8..8 + size_of::<usize>()].copy_from_slice(&dma.to_ne_bytes());
        rustix::io::pwrite(&file, &header, 0).unwrap();
        ShmClientTransport::connect(&name, Duration::from_millis(5)).unwrap_err().to_string()
    };
    for (request, response, dma, size) in [
        (1040, 1040, 0, 2143),
        (1040, 1040, 1, 2144),
        (1040, 1040, usize::MAX, 2144),
        (1040, 1040, usize::MAX - 2143, 2144),
        (u16::MAX, u16::MAX, 0, 4096),
    ] {
        let said = attempt(request, response, dma, size);
        assert!(said.contains("do not fit"), "{said}");
    }
    for (request, response) in [(15, 1040), (0, 0), (12, 1040), (1040, 8), (1041, 1040), (1040, 1042)] {
        let said = attempt(request, response, 0, 4096);
        assert!(said.contains("do not fit"), "{said}");
    }
    // A server has made it and not yet given it a size.
    ftruncate(&file, 0).unwrap();
    let said = ShmClientTransport::connect(&name, Duration::from_millis(5)).unwrap_err().to_string();
    assert!(said.contains("start a server"), "{said}");
    let _ = shm::unlink(format!("/{name}"));
}

/// The protocol from its description, with nothing of ours.
const PYTHON_CLIENT: &str = r#"
import mmap, os, struct, sys, time
path = "/dev/shm/" + sys.argv[1]
with open(path, "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
state, request, response, dma, creator, user = struct.unpack_from("=IHHQii", memory)
assert (state, request, response, dma, user) == (2, 1040, 1040, 100, 0), (state, request, response, dma, user)
assert len(memory) == 64 + request + response + dma
os.unlink(path)
struct.pack_into("=i", memory, 20, os.getpid())
struct.pack_into("=I", memory, 0, 3)
for at in range(64, 64 + request + response):
    memory[at] = 0
for notify, size in enumerate([8, 9, 1032, 100, 0, 7, 1033], 1):
    packet = bytes((notify + at) % 256 for at in range(min(size, 1032)))
    memory[72:72 + len(packet)] = packet
    struct.pack_into("=HH", memory, 64, notify, size)
    deadline = time.monotonic() + 60
    while struct.unpack_from("=H", memory, 64 + request)[0] != notify:
        assert time.monotonic() < deadline, "no response"
    length, = struct.unpack_from("=H", memory, 64 + request + 2)
    if 8 <= size <= 1032:
        assert length == size, (length, size)
        assert memory[64 + request + 8:64 + request + 8 + length] == packet
    else:
        assert length == 0, length
if sys.argv[2] == "close":
    struct.pack_into("=I", memory, 0, 1)
"#;

fn python(arguments: &[&str]) {
    let mut child =
        Command::new("python3").arg("-").args(arguments).stdin(Stdio::piped()).spawn().expect("python3");
    child.stdin.take().unwrap().write_all(PYTHON_CLIENT.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn a_client_made_from_the_description_alone_is_served_and_its_end_noticed() {
    for manner in ["close", "die"] {
        let name = unique();
        let server = bind(&name, 100).unwrap();
        let never = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let ended = echo(accept(&server, &never).unwrap(), &never);
                assert!(matches!(ended, Ended::ByPeer), "{ended}");
            });
            python(&[&name, manner]);
        });
    }
}
