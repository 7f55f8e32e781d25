//! TLS with pre-shared keys: our client and our server, and OpenSSL's at either end.
#![cfg(feature = "tls-psk")]

use casemate_client::Client;
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};
use casemate_posix::connection::{ConnectionOptions, Listener};
use casemate_posix::daemon::{self, PosixPlatform};
use casemate_posix::psk::{PskClientTransport, PskKey, PskServer, PskServerOptions};
use casemate_posix::{ClientLink, LinkError, LinkOptions, MonotonicClock, TlsFiles};
use casemate_protocol::{ClientId, MAX_DATA_LENGTH};
use casemate_server::{CacheShape, Config, HeapCache, Server};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const KEY: [u8; 32] = [0x5A; 32];
const OTHER: [u8; 16] = [0xA5; 16];
/// INIT as client 3, and the answer.
const INIT: [u8; 12] = [1, 0xA5, 1, 1, 1, 0, 0, 0, 3, 0, 0, 0];
const ANSWER: [u8; 16] = [1, 0xA5, 1, 1, 1, 0, 0, 0, 3, 0, 0, 0, 57, 0, 0, 0];

fn key(identity: &str, key: &[u8]) -> PskKey {
    PskKey::new(identity.as_bytes(), key).unwrap()
}

fn id(number: u32) -> ClientId {
    ClientId::new(number).unwrap()
}

/// Runs `work` beside a server with two keys, the second of which is client 5's.
fn beside_a_server(work: impl FnOnce(&str)) {
    beside_a_server_that_waits(PATIENCE, work);
}

/// The same with a limit for a handshake, and for a packet.
fn beside_a_server_that_waits(frame_deadline: Duration, work: impl FnOnce(&str)) {
    let flash: RamFlash<Vec<u8>> = RamFlash::new(vec![0; 1 << 18], 0xFF);
    let store =
        FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 30], FlashOptions::new()).expect("blank flash");
    let cache = CacheShape::default();
    let config = Config { data_length: MAX_DATA_LENGTH.min(16_376), ..Config::default() };
    let server = Server::new(PosixPlatform::new().unwrap(), config, store, HeapCache::new(cache)).unwrap();
    let mut options = ConnectionOptions::new(server.packet_size());
    options.poll_interval = Duration::from_millis(10);
    options.frame_deadline = frame_deadline;
    let keys = vec![(key("device", &KEY), None), (key("bound", &OTHER), Some(id(5)))];
    let listener = PskServer::bind("127.0.0.1:0", PskServerOptions { keys }, options).unwrap();
    let address = listener.local_address().unwrap().to_string();
    let listeners: [Box<dyn Listener>; 1] = [Box::new(listener)];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| daemon::serve(&server, &listeners, cache, &stop, &|event| println!("{event}")));
        // Also after a failed assertion, or the server would keep the test.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&address)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

fn connect(address: &str, key: PskKey) -> Client<PskClientTransport, Vec<u8>, MonotonicClock> {
    let transport = PskClientTransport::connect(address, key, 16_384, PATIENCE).unwrap();
    Client::with_timeout(transport, vec![0; 16_384], MonotonicClock::new(), PATIENCE)
}

#[test]
fn our_client_and_our_server() {
    beside_a_server(|address| {
        let mut clients: Vec<_> =
            (1..4).map(|number| (number, connect(address, key("device", &KEY)))).collect();
        for (number, client) in &mut clients {
            client.init(id(*number)).unwrap();
        }
        for length in [1, 1000, 8192, 16_376] {
            let data: Vec<u8> = (0..length).map(|index| index as u8).collect();
            for (_, client) in &mut clients {
                assert_eq!(client.echo(&data).unwrap(), data);
            }
        }
        for (_, mut client) in clients {
            client.close().unwrap();
        }
    });
}

#[test]
fn a_wrong_key_and_an_unknown_identity_get_no_connection() {
    beside_a_server(|address| {
        for wrong in [key("device", &[0x5B; 32]), key("nobody", &KEY), key("bound", &KEY)] {
            let result = PskClientTransport::connect(address, wrong, 8200, PATIENCE);
            assert!(result.is_err());
        }
        let mut garbage = TcpStream::connect(address).unwrap();
        garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        garbage.set_read_timeout(Some(PATIENCE)).unwrap();
        // An alert, perhaps, and then the end.
        garbage.read_to_end(&mut Vec::new()).ok();
    });
}

#[test]
fn a_silent_peer_is_cut_off_and_others_are_served_meanwhile() {
    beside_a_server_that_waits(Duration::from_secs(2), |address| {
        let mut silent = TcpStream::connect(address).unwrap();
        // On a slow machine an honest client too may take longer than the server waits, so it tries again.
        let begin = Instant::now();
        let served = || {
            let transport = PskClientTransport::connect(address, key("device", &KEY), 16_384, PATIENCE);
            let mut client =
                Client::with_timeout(transport.ok()?, vec![0; 16_384], MonotonicClock::new(), PATIENCE);
            client.init(id(1)).ok()
        };
        while served().is_none() {
            assert!(begin.elapsed() < PATIENCE);
        }
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        // The end, and not the end of our patience.
        match silent.read(&mut [0; 64]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    });
}

#[test]
fn a_key_can_be_one_clients() {
    beside_a_server(|address| {
        connect(address, key("bound", &OTHER)).init(id(5)).unwrap();
        assert!(connect(address, key("bound", &OTHER)).init(id(3)).is_err());
    });
}

#[test]
fn openssl_as_client() {
    beside_a_server(|address| {
        for version in [
            &["-tls1_3"][..],
            &["-tls1_2"],
            &["-tls1_2", "-cipher", "DHE-PSK-AES128-GCM-SHA256"],
            &["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"],
        ] {
            let mut child = Command::new("openssl")
                .args(["s_client", "-quiet", "-connect", address, "-psk_identity", "device", "-psk"])
                .arg(hex::encode(KEY))
                .args(version)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("openssl");
            child.stdin.as_mut().unwrap().write_all(&INIT).unwrap();
            let mut answer = [0; 16];
            let read = child.stdout.as_mut().unwrap().read_exact(&mut answer);
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(read.is_ok(), "{version:?}");
            assert_eq!(answer, ANSWER, "{version:?}");
        }
        // Suites without forward secrecy are not offered.
        let output = Command::new("openssl")
            .args(["s_client", "-connect", address, "-psk_identity", "device", "-psk"])
            .arg(hex::encode(KEY))
            .args(["-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256"])
            .stdin(Stdio::null())
            .output()
            .expect("openssl");
        assert!(!output.status.success());
    });
}

#[test]
fn openssl_as_server() {
    for version in ["-tls1_3", "-tls1_2"] {
        let mut child = Command::new("openssl")
            .args(["s_server", "-rev", "-nocert", "-psk_identity", "device", "-psk"])
            .arg(hex::encode(KEY))
            .args([version, "-accept", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        // It says where it listens.
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = output.find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()));
        let address = address.expect("openssl s_server listens");
        let result = PskClientTransport::connect(&address, key("device", &KEY), 8200, PATIENCE).map(|_| ());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(result.is_ok(), "{version}: {result:?}");
    }
}

#[test]
fn keys_and_servers_that_cannot_be() {
    assert!(PskKey::new(b"", &KEY).is_err() && PskKey::new(b"a\0b", &KEY).is_err());
    assert!(PskKey::new(b"short", &[0; 15]).is_err() && PskKey::new(b"long", &[0; 257]).is_err());
    assert!(!format!("{:?}", key("device", &KEY)).contains("90"), "no key in it");
    let options = || ConnectionOptions::new(8200);
    let bind = |keys| PskServer::bind("127.0.0.1:0", PskServerOptions { keys }, options()).is_ok();
    assert!(!bind(Vec::new()));
    assert!(!bind(vec![(key("a", &KEY), None), (key("a", &OTHER), None)]));
    assert!(bind(vec![(key("a", &KEY), None)]));
}

#[test]
fn pre_shared_keys_stand_on_lines() {
    let digits = "5a".repeat(16);
    assert_eq!(PskKey::from_line(&format!("device:{digits}")).unwrap().1, None);
    assert_eq!(PskKey::from_line(&format!("device:{digits}:0x3")).unwrap().1, ClientId::new(3));
    for wrong in ["device", "device:5a", ":5a", &format!("device:{digits}:16"), &format!("device:{digits}x")]
    {
        assert!(PskKey::from_line(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_address_names_the_transport() {
    beside_a_server(|address| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let connect = |content: &str| {
            std::fs::write(&file, content).unwrap();
            let tls = TlsFiles { psk: Some(file.clone()), ..TlsFiles::default() };
            let options = LinkOptions { maximum_packet: 1288, timeout: PATIENCE, tls };
            ClientLink::connect(&format!("tls-psk://{address}"), &options)
        };
        let line = format!("device:{}\n", hex::encode(KEY));
        let link = connect(&line).unwrap();
        let mut client = Client::with_timeout(link, vec![0; 1288], MonotonicClock::new(), PATIENCE);
        client.init(id(3)).unwrap();
        assert_eq!(client.echo(b"over tls-psk").unwrap(), b"over tls-psk");
        client.close().unwrap();
        let wrong = connect(&format!("device:{}", hex::encode(OTHER))).unwrap_err();
        assert!(matches!(wrong, LinkError::Connect { .. }), "{wrong}");
        for content in ["", "device", &line.repeat(2)] {
            assert!(matches!(connect(content).unwrap_err(), LinkError::File { .. }), "{content}");
        }
    });
}
