//! The server process over all its transports at once, and what hostile clients can do to others over each.

mod common;

use casemate_client::{Client, NewKey};
use casemate_posix::shm::ShmClientTransport;
use casemate_posix::tcp::TcpClientTransport;
use casemate_posix::unix::UnixClientTransport;
use casemate_posix::{LinkError, MonotonicClock};
use casemate_protocol::{ClientId, Flags, KeyId, Label};
use casemate_transport::ClientTransport;
use common::{PATIENCE, ServerProcess, run};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn over<T: ClientTransport<Error = LinkError>>(transport: T, id: u32) -> Client<T, Vec<u8>, MonotonicClock> {
    let mut hsm = Client::with_timeout(transport, vec![0; 8200], MonotonicClock::new(), PATIENCE);
    hsm.init(ClientId::new(id).unwrap()).unwrap();
    hsm
}

/// The same on a server that does not wait long for the first request: on a slow machine it may take several attempts.
fn patiently<T: ClientTransport<Error = LinkError>>(
    transport: impl Fn() -> T,
    id: u32,
) -> Client<T, Vec<u8>, MonotonicClock> {
    let begin = Instant::now();
    loop {
        let mut hsm = Client::with_timeout(transport(), vec![0; 8200], MonotonicClock::new(), PATIENCE);
        match hsm.init(ClientId::new(id).unwrap()) {
            Ok(_) => return hsm,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
    }
}

/// A directory for sockets and certificates, and a name for shared memory.
struct Place {
    directory: tempfile::TempDir,
    shm: String,
}

impl Place {
    fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, shm: format!("casemate-{name}-{}", std::process::id()) }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn certificate(&self, name: &str) {
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-batch", "-days", "30"])
            .args(["-subj", &format!("/CN={name}"), "-keyout", &format!("{name}.key"), "-out"])
            .arg(format!("{name}.pem"))
            .current_dir(self.directory.path())
            .output()
            .expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn unix(&self) -> UnixClientTransport {
        UnixClientTransport::connect(Path::new(&self.path("socket")), 8200).unwrap()
    }

    fn shm(&self) -> ShmClientTransport {
        ShmClientTransport::connect(&self.shm, PATIENCE).unwrap()
    }
}

#[test]
fn one_server_over_every_transport_at_once() {
    let place = Place::new("all");
    place.certificate("server");
    place.certificate("client");
    let socket = place.path("socket");
    let file = |name: &str| place.path(name);
    let server = ServerProcess::start(
        Path::new("ram"),
        &[
            "--unix",
            &socket,
            "--shm",
            &place.shm,
            "--tls",
            "127.0.0.1:0",
            "--tls-certificate",
            &file("server.pem"),
            "--tls-key",
            &file("server.key"),
            "--tls-trust",
            &file("client.pem"),
        ],
    );
    server.wait_for(" listens on unix://");
    server.wait_for(" listens on shm://");
    let line = server.wait_for(" listens on tls://");
    let tls = line.rsplit(' ').next().unwrap().to_owned();
    let addresses = [
        format!("tcp://{}", server.address),
        format!("unix://{socket}"),
        format!("shm://{}", place.shm),
        tls,
    ];
    let credentials = |address: &str, arguments: &[&str]| {
        let (trust, certificate, key) = (file("server.pem"), file("client.pem"), file("client.key"));
        let tls = ["--tls-trust", &trust, "--tls-certificate", &certificate, "--tls-key", &key];
        run(&[arguments, &["--server", address], &tls[..]].concat())
    };
    // What one stores, the others find: it is one server.
    for (number, address) in (1..).zip(&addresses) {
        let (id, value) = (number.to_string(), format!("over {address}"));
        credentials(address, &["nvm", "add", &id, "--text", &value]).ok();
        for other in &addresses {
            assert_eq!(credentials(other, &["nvm", "read", &id]).ok(), value);
        }
        let text = "x".repeat(8000);
        assert!(credentials(address, &["echo", &text]).ok().contains(&text));
    }
    // Without a certificate, nobody is admitted.
    let said = run(&["echo", "--server", &addresses[3], "--tls-trust", &file("server.pem")]).failed();
    assert!(said.contains("Certificate"), "{said}");
    let said = run(&["echo", "--server", &addresses[3]]).failed();
    assert!(said.contains("--tls-trust"), "{said}");
    let said = run(&["echo", "--server", "udp://127.0.0.1:1"]).failed();
    assert!(said.contains("udp:// is no transport"), "{said}");
    server.stop();
    assert!(!Path::new(&socket).exists(), "the socket is left");
    let said = run(&["echo", "--timeout", "0.1", "--server", &addresses[2]]).failed();
    assert!(said.contains("start a server there"), "{said}");
}

#[test]
fn a_user_can_be_one_client_only() {
    let place = Place::new("bound");
    let socket = place.path("socket");
    let user = rustix_user();
    let bound = format!("{user}:3");
    let server = ServerProcess::start(Path::new("ram"), &["--unix", &socket, "--unix-client", &bound]);
    let address = format!("unix://{socket}");
    run(&["echo", "--client-id", "3", "--server", &address]).ok();
    let said = run(&["echo", "--client-id", "4", "--server", &address]).failed();
    assert!(said.contains("does not accept client 4"), "{said}");
    server.stop();
    let nobody = (user + 1).to_string();
    let server = ServerProcess::start(Path::new("ram"), &["--unix", &socket, "--unix-user", &nobody]);
    run(&["echo", "--server", &address]).failed();
    server.wait_for("its user and group may not connect");
    server.stop();
}

fn rustix_user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn options_that_do_not_fit_together() {
    for (arguments, advice) in [
        (&["--tls", "127.0.0.1:0"][..], "--tls-certificate"),
        (&["--unix-user", "1"][..], "--unix"),
        (&["--unix", "x", "--unix-client", "1000"][..], "UID:CLIENT"),
        (&["--unix", "x", "--unix-client", "1000:16"][..], "1 to 15"),
        (&["--idle-timeout", "0"][..], "above 0"),
    ] {
        let said = run(&[&["serve", "--nvm", "ram"], arguments].concat());
        assert_eq!(said.code, Some(2), "{}", said.errors);
        assert!(said.errors.contains(advice), "{}", said.errors);
    }
    let said = run(&["serve", "--nvm", "ram", "--shm", "a/b"]).failed();
    assert!(said.contains("without a slash"), "{said}");
    let said = run(&["serve", "--nvm", "ram", "--unix", "/no/such/directory/socket"]).failed();
    assert!(said.contains("create its directory first"), "{said}");
}

/// Clients that connect and say nothing, stop in the middle of a request, flood, or announce what they do not send: a
/// well-behaved client on each transport is served all the while.
#[test]
fn hostile_clients_disturb_nobody() {
    let place = Place::new("hostile");
    let socket = place.path("socket");
    let limits = ["--connections", "40", "--request-timeout", "0.5", "--first-request-timeout", "8"];
    let options = [&["--unix", &socket, "--shm", &place.shm], &limits[..]].concat();
    let server = ServerProcess::start(Path::new("ram"), &options);
    server.wait_for(" listens on shm://");
    let mut tcp = patiently(|| TcpClientTransport::connect(&server.address, 8200, PATIENCE).unwrap(), 1);
    let mut unix = patiently(|| place.unix(), 2);
    let mut shm = patiently(|| place.shm(), 3);
    let new = NewKey { id: KeyId::NONE, flags: Flags::USAGE_ANY, label: Label::EMPTY };
    let mut witness = |round: usize| {
        let text = format!("still here {round}");
        assert_eq!(tcp.echo(text.as_bytes()).unwrap(), text.as_bytes());
        assert_eq!(unix.echo(text.as_bytes()).unwrap(), text.as_bytes());
        assert_eq!(shm.echo(text.as_bytes()).unwrap(), text.as_bytes());
        let key = shm.key_cache_random(&new, 32).unwrap();
        shm.key_evict(key).unwrap();
    };
    witness(0);
    // Slow and silent ones take places, and lose them.
    let mut idle: Vec<TcpStream> = (0..10).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    let mut halves: Vec<UnixStream> = (0..10).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for half in &mut halves {
        half.write_all(b"\x00\x00\x10\x00\x01\xa5\x05").unwrap();
    }
    witness(1);
    // Half-open: they will not send any more and do not close.
    for stream in &idle[5..] {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    // Oversized and undersized packets, over and over.
    for round in 0..100_u32 {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let length = if round.is_multiple_of(2) { u32::MAX - round } else { round % 8 };
        let _ = stream.write_all(&length.to_be_bytes());
        let _ = stream.write_all(&[0x55; 4096]);
        if round.is_multiple_of(10) {
            witness(2);
        }
    }
    // A flood of requests whose answers nobody reads.
    let flood = std::thread::spawn({
        let address = server.address.clone();
        move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
            let mut request = vec![0, 0, 0x20, 0x08, 0x01, 0xA5, 0x05, 0x01, 1, 0, 0, 0];
            request.resize(12 + 8192, 0x77);
            while stream.write_all(&request).is_ok() {}
        }
    });
    for _ in 0..50 {
        witness(3);
    }
    flood.join().unwrap();
    // More connections than there are places: further ones are turned away, those that are there are served.
    let crowd: Vec<_> = (0..60).filter_map(|_| TcpStream::connect(&server.address).ok()).collect();
    witness(4);
    server.wait_for("the connection limit is reached");
    drop(crowd);
    // The slow and silent ones were cut off by now.
    for stream in &mut idle {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    }
    for half in &mut halves {
        half.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(half.read(&mut [0; 1]).unwrap_or(0), 0);
    }
    witness(5);
    server.stop();
}

/// A client process that is killed in the middle of whatever it does leaves the server free for others, over each
/// transport.
#[test]
fn clients_that_are_killed_leave_their_places() {
    let place = Place::new("killed");
    let socket = place.path("socket");
    let options = ["--unix", &socket, "--shm", &place.shm, "--connections", "2"];
    let server = ServerProcess::start(Path::new("ram"), &options);
    server.wait_for(" listens on shm://");
    let addresses = [server.address.clone(), format!("unix://{socket}"), format!("shm://{}", place.shm)];
    for address in &addresses {
        for _ in 0..3 {
            let mut child = common::casemate()
                .args(["random", "200000000", "--server", address])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            server.wait_for("connected");
            std::thread::sleep(Duration::from_millis(100));
            child.kill().unwrap();
            child.wait().unwrap();
            // On a slow machine it had not even said who it is.
            server.wait_for("the connection");
        }
    }
    for address in &addresses {
        run(&["echo", "--server", address]).ok();
    }
    server.stop();
}

/// The server finishes what it has begun when it is told to stop, over each transport, and every client sees the end.
#[test]
fn a_stop_is_noticed_by_the_clients_of_every_transport() {
    fn until_the_end<T: ClientTransport<Error = LinkError>>(mut hsm: Client<T, Vec<u8>, MonotonicClock>) {
        let end = loop {
            if let Err(error) = hsm.echo(b"?") {
                break error;
            }
        };
        assert!(matches!(end, casemate_client::Error::Transport(_)), "{end}");
    }
    let place = Place::new("stop");
    let socket = place.path("socket");
    let mut server = ServerProcess::start(Path::new("ram"), &["--unix", &socket, "--shm", &place.shm]);
    server.wait_for(" listens on shm://");
    let (unix, shm) = (over(place.unix(), 1), over(place.shm(), 2));
    std::thread::scope(|scope| {
        scope.spawn(|| until_the_end(unix));
        scope.spawn(|| until_the_end(shm));
        std::thread::sleep(Duration::from_millis(100));
        server.signal("TERM");
    });
    assert!(server.wait().success());
}

#[cfg(feature = "tls-psk")]
#[test]
fn a_pre_shared_key_is_enough_for_tls() {
    let place = Place::new("psk");
    let (server_file, client_file) = (place.path("server.psk"), place.path("client.psk"));
    let (digits, other) = ("5a".repeat(32), "a5".repeat(32));
    std::fs::write(&server_file, format!("device:{digits}\nbound:{other}:5\n")).unwrap();
    let server =
        ServerProcess::start(Path::new("ram"), &["--tls-psk", "127.0.0.1:0", "--tls-psk-keys", &server_file]);
    let line = server.wait_for(" listens on tls-psk://");
    let address = line.rsplit(' ').next().unwrap();
    let with = |line: &str, words: &[&str]| {
        std::fs::write(&client_file, line).unwrap();
        run(&[words, &["--server", address, "--tls-psk-key", &client_file]].concat())
    };
    let text = "x".repeat(8000);
    assert!(with(&format!("device:{digits}\n"), &["echo", &text]).ok().contains(&text));
    with(&format!("bound:{other}\n"), &["echo", "x", "--client-id", "5"]).ok();
    with(&format!("bound:{other}\n"), &["echo", "x", "--client-id", "6"]).failed();
    with(&format!("device:{other}\n"), &["echo", "x"]).failed();
    let said = with("device", &["echo", "x"]).failed();
    assert!(said.contains("IDENTITY:KEY"), "{said}");
    let said = run(&["echo", "x", "--server", address]).failed();
    assert!(said.contains("--tls-psk-key"), "{said}");
}
