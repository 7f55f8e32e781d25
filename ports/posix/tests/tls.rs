//! TLS with certificates that OpenSSL makes, and with OpenSSL's own client and server at the other end.
#![cfg(feature = "tls")]

use casemate_posix::LinkError;
use casemate_posix::connection::{Accepted, Answer, ConnectionOptions, Ended, Listener};
use casemate_posix::tls::{
    MAXIMUM_PACKET, TlsClientOptions, TlsClientTransport, TlsIdentity, TlsServer, TlsServerOptions, TlsTrust,
};
use casemate_protocol::ClientId;
use casemate_transport::{ClientTransport, TransportError};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MAXIMUM: usize = 8200;
const PATIENCE: Duration = Duration::from_secs(60);

/// Certificates: an authority with a server and a client, and a client that has signed its own.
struct Files(tempfile::TempDir);

fn openssl(directory: &Path, arguments: &str) {
    let output =
        Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().expect("openssl");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Files {
    fn make(key: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let run = |arguments: &str| openssl(directory.path(), arguments);
        fs::write(directory.path().join("server.ext"), "subjectAltName=IP:127.0.0.1,DNS:hsm.example\n")
            .unwrap();
        fs::write(directory.path().join("client.ext"), "extendedKeyUsage=clientAuth\n").unwrap();
        let new = format!("req -newkey {key} -noenc -batch");
        run(&format!("{new} -x509 -days 30 -subj /CN=Authority -keyout ca.key -out ca.pem"));
        for name in ["server", "client"] {
            run(&format!("{new} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            run(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile {name}.ext -out {name}.pem"
            ));
        }
        run(&format!("{new} -x509 -days 30 -subj /CN=Loner -keyout loner.key -out loner.pem"));
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn identity(&self, name: &str) -> TlsIdentity {
        let (certificate, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        TlsIdentity::from_files(&certificate, &key).unwrap()
    }

    fn trust(&self, name: &str) -> TlsTrust {
        TlsTrust::from_file(&self.path(&format!("{name}.pem"))).unwrap()
    }

    fn fingerprint(&self, name: &str) -> [u8; 32] {
        let file = self.path(&format!("{name}.pem"));
        let output = Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(file)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let digits = text.trim().rsplit_once('=').unwrap().1.replace(':', "");
        let mut value = [0; 32];
        hex::decode_to_slice(digits, &mut value).unwrap();
        value
    }

    fn client(&self, identity: Option<&str>, trust: &str) -> TlsClientOptions {
        TlsClientOptions {
            identity: identity.map(|name| self.identity(name)),
            trust: self.trust(trust),
            server_name: None,
        }
    }
}

/// An echo server.
struct Server {
    address: String,
    stop: Arc<AtomicBool>,
    ended: Receiver<Result<Option<ClientId>, Ended>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(tls: TlsServerOptions) -> Self {
        Self::with_deadline(tls, PATIENCE)
    }

    fn with_deadline(tls: TlsServerOptions, frame_deadline: Duration) -> Self {
        let mut options = ConnectionOptions::new(MAXIMUM);
        options.poll_interval = Duration::from_millis(10);
        options.frame_deadline = frame_deadline;
        let server = TlsServer::bind("127.0.0.1:0", tls, options).unwrap();
        let address = server.local_address().unwrap().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, ended) = channel();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                while let Accepted::Connection(mut connection) = server.accept(&stopped).unwrap() {
                    let (sender, stop) = (sender.clone(), &stopped);
                    scope.spawn(move || {
                        let client = connection.establish(stop);
                        let goes_on = client.is_ok();
                        let _ = sender.send(client);
                        if goes_on {
                            let ended = connection.serve(stop, |request, response| {
                                response[..request.len()].copy_from_slice(request);
                                Answer::Response(request.len())
                            });
                            let _ = sender.send(Err(ended));
                        }
                    });
                }
            });
        });
        Self { address, stop, ended, thread: Some(thread) }
    }

    fn connect(&self, options: TlsClientOptions) -> Result<TlsClientTransport, LinkError> {
        TlsClientTransport::connect(&self.address, options, MAXIMUM, PATIENCE)
    }

    fn next(&self) -> Result<Option<ClientId>, Ended> {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
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

fn exchange(client: &mut TlsClientTransport, packet: &[u8]) -> Result<Vec<u8>, TransportError<LinkError>> {
    client.send(packet)?;
    let mut buffer = [0; MAXIMUM];
    let start = Instant::now();
    loop {
        match client.receive_within(&mut buffer, Duration::from_secs(1)) {
            Err(TransportError::NotReady) => assert!(start.elapsed() < PATIENCE, "no response"),
            result => return result.map(|length| buffer[..length].to_vec()),
        }
    }
}

fn mutual(files: &Files, trust: &str) -> TlsServerOptions {
    TlsServerOptions {
        identity: files.identity("server"),
        trust: Some(files.trust(trust)),
        clients: Vec::new(),
    }
}

#[test]
fn packets_are_records() {
    let files = Files::make("rsa:2048");
    let server = Server::start(mutual(&files, "ca"));
    let mut client = server.connect(files.client(Some("client"), "ca")).unwrap();
    for length in (8..200).chain([1000, 4096, 8199, 8200]) {
        let packet: Vec<u8> = (0..length).map(|at| (at % 61) as u8).collect();
        assert_eq!(exchange(&mut client, &packet).unwrap(), packet);
    }
    assert!(matches!(client.send(&[0; 7]), Err(TransportError::BadLength)));
    assert!(matches!(client.send(&[0; MAXIMUM + 1]), Err(TransportError::BadLength)));
    // Records that arrive together stay apart.
    for number in 1..=20_u8 {
        client.send(&[number; 30]).unwrap();
    }
    std::thread::sleep(Duration::from_millis(200));
    let mut buffer = [0; MAXIMUM];
    for number in 1..=20_u8 {
        let length = loop {
            match client.receive_within(&mut buffer, PATIENCE) {
                Err(TransportError::NotReady) => {}
                other => break other.unwrap(),
            }
        };
        assert_eq!(buffer[..length], [number; 30]);
    }
    client.close();
    assert!(server.next().is_ok());
    assert!(matches!(server.next(), Err(Ended::ByPeer)));
    client.reconnect().unwrap();
    assert_eq!(exchange(&mut client, b"once more").unwrap(), b"once more");
}

#[test]
fn who_is_admitted() {
    let files = Files::make("rsa:2048");
    let rejected = |server: &Server, options: TlsClientOptions| {
        // Over TLS 1.3 a client learns that it was rejected after its handshake.
        let result = server.connect(options).map(|mut client| exchange(&mut client, b"let me in"));
        assert!(!matches!(result, Ok(Ok(_))), "admitted");
        assert!(matches!(server.next(), Err(Ended::Broken(_))));
    };
    let server = Server::start(mutual(&files, "ca"));
    rejected(&server, files.client(None, "ca"));
    rejected(&server, files.client(Some("loner"), "ca"));
    // And the client rejects a server that it does not know.
    let said = server.connect(files.client(Some("client"), "loner")).unwrap_err().to_string();
    assert!(said.contains("UnknownIssuer") || said.contains("invalid peer certificate"), "{said}");
    assert!(server.next().is_err());
    let mut named = files.client(Some("client"), "ca");
    named.server_name = Some("other.example".to_owned());
    let said = server.connect(named).unwrap_err().to_string();
    assert!(said.contains("not valid for"), "{said}");
    assert!(server.next().is_err());
    let mut named = files.client(Some("client"), "ca");
    named.server_name = Some("hsm.example".to_owned());
    assert!(exchange(&mut server.connect(named).unwrap(), b"let me in").is_ok());
    drop(server);

    // A certificate that is itself trusted, on both sides; the authority is not.
    let server = Server::start(mutual(&files, "loner"));
    let mut client = server.connect(files.client(Some("loner"), "server")).unwrap();
    assert!(exchange(&mut client, b"let me in").is_ok());
    assert_eq!(server.next().unwrap(), None);
    client.close();
    assert!(server.next().is_err());
    rejected(&server, files.client(Some("client"), "ca"));
    drop(server);

    let anyone = TlsServerOptions { identity: files.identity("server"), trust: None, clients: Vec::new() };
    let server = Server::start(anyone);
    assert!(exchange(&mut server.connect(files.client(None, "ca")).unwrap(), b"let me in").is_ok());
}

#[test]
fn certificates_can_be_clients() {
    let files = Files::make("rsa:2048");
    let three = ClientId::new(3).unwrap();
    let trust =
        [fs::read(files.path("ca.pem")).unwrap(), fs::read(files.path("loner.pem")).unwrap()].concat();
    let server = Server::start(TlsServerOptions {
        identity: files.identity("server"),
        trust: Some(TlsTrust::from_bytes(&trust).unwrap()),
        clients: vec![(files.fingerprint("client"), three)],
    });
    let mut client = server.connect(files.client(Some("client"), "ca")).unwrap();
    assert!(exchange(&mut client, b"let me in").is_ok());
    assert_eq!(server.next().unwrap(), Some(three));
    client.close();
    assert!(server.next().is_err());
    let refused = server.connect(files.client(Some("loner"), "ca"));
    match server.next() {
        Err(Ended::UnknownCertificate(fingerprint)) => assert_eq!(fingerprint, files.fingerprint("loner")),
        other => panic!("{other:?}"),
    }
    drop(refused);
}

#[test]
fn a_peer_that_is_silent_slow_or_speaks_nonsense_costs_only_itself() {
    let files = Files::make("rsa:2048");
    let still_serves = |server: &Server| {
        let mut client =
            server.connect(files.client(Some("client"), "ca")).map_err(|error| error.to_string())?;
        exchange(&mut client, b"still here").map_err(|error| error.to_string())
    };
    let connect = |server: &Server| {
        let stream = TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let strict = Server::with_deadline(mutual(&files, "ca"), Duration::from_secs(3));
    let _silent = connect(&strict);
    assert!(matches!(strict.next(), Err(Ended::FrameTooSlow)));
    let mut dribbling = connect(&strict);
    let hello = [0x16, 3, 1, 2, 0];
    for byte in hello.iter().chain([1; 400].iter()) {
        if dribbling.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(matches!(strict.next(), Err(Ended::FrameTooSlow | Ended::Broken(_))));
    // On a slow machine an honest client too may take longer than that, so it tries again.
    let begin = Instant::now();
    while let Err(error) = still_serves(&strict) {
        assert!(begin.elapsed() < 10 * PATIENCE, "{error}");
    }
    drop(strict);

    let server = Server::start(mutual(&files, "ca"));
    for nonsense in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xFF; 100], &[0x17, 3, 3, 0, 4, 1, 2, 3, 4], &[0x16; 6]]
    {
        let mut stream = connect(&server);
        stream.write_all(nonsense).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut [0; 64]);
        assert!(matches!(server.next(), Err(Ended::Broken(_) | Ended::WithinFrame)), "{nonsense:02x?}");
    }
    drop(connect(&server));
    assert!(server.next().is_err());
    still_serves(&server).unwrap();
}

/// OpenSSL's client, which sends what it is given as one record.
fn s_client(files: &Files, port: &str, options: &str, packet: &[u8]) -> (Vec<u8>, String) {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
        .args(["-CAfile", "ca.pem", "-cert", "client.pem", "-key", "client.key", "-verify_return_error"])
        .args(options.split(' '))
        .current_dir(files.0.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // The handshake comes first; input before it would be lost to the client's own commands.
    input.write_all(packet).unwrap();
    input.flush().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut answer = vec![0; packet.len()];
    let read = output.read_exact(&mut answer);
    drop(input);
    let _ = child.kill();
    let mut errors = String::new();
    let _ = child.stderr.take().unwrap().read_to_string(&mut errors);
    child.wait().unwrap();
    if read.is_err() {
        answer.clear();
    }
    (answer, errors)
}

#[test]
fn openssl_s_client_is_answered_over_both_versions_and_without_groups() {
    let files = Files::make("rsa:2048");
    let server = Server::start(mutual(&files, "ca"));
    for options in [
        "-tls1_3",
        "-tls1_2",
        "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 -groups P-256",
        // What the original's clients come to: no elliptic curve in common.
        "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256",
    ] {
        let (answer, errors) = s_client(&files, server.port(), options, b"sixteen bytes it");
        assert_eq!(answer, b"sixteen bytes it", "{options}: {errors}");
    }
}

#[test]
fn openssl_s_server_is_understood() {
    let files = Files::make("rsa:2048");
    for version in ["-tls1_3", "-tls1_2"] {
        let mut child = Command::new("openssl")
            .args(["s_server", "-rev", "-accept", "127.0.0.1:0", version])
            .args(["-cert", "server.pem", "-key", "server.key", "-CAfile", "ca.pem", "-Verify", "1"])
            .current_dir(files.0.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says where it listens.
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = output.find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()));
        let address = address.expect("openssl s_server listens");
        let options = files.client(Some("client"), "ca");
        let mut client = TlsClientTransport::connect(&address, options, MAXIMUM, PATIENCE).unwrap();
        // It answers each line with the line reversed.
        let answer = exchange(&mut client, b"a line of text\n").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(answer, b"txet fo enil a\n");
    }
}

#[test]
fn messages_say_what_is_wrong() {
    let files = Files::make("rsa:2048");
    let bind = |tls, packet| {
        TlsServer::bind("127.0.0.1:0", tls, ConnectionOptions::new(packet)).unwrap_err().to_string()
    };
    let said = bind(mutual(&files, "ca"), MAXIMUM_PACKET + 1);
    assert!(said.contains("16376 bytes of data at most"), "{said}");
    let mut mixed = mutual(&files, "ca");
    mixed.identity = TlsIdentity::from_files(&files.path("server.pem"), &files.path("client.key")).unwrap();
    let said = bind(mixed, MAXIMUM);
    assert!(said.contains("cannot listen"), "{said}");
    let missing = files.path("missing.pem");
    let said = TlsTrust::from_file(&missing).unwrap_err().to_string();
    assert!(said.contains("missing.pem"), "{said}");
    for nothing in [&b""[..], b"dear diary", b"-----BEGIN CERTIFICATE-----\nAAA"] {
        assert!(TlsTrust::from_bytes(nothing).is_err());
        assert!(TlsIdentity::from_bytes(&fs::read(files.path("server.pem")).unwrap(), nothing).is_err());
    }
}
