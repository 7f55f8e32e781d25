//! Unix-domain sockets: who is admitted, and what happens to their names.

use casemate_posix::connection::{
    Accepted, Answer, Connection, ConnectionLimit, ConnectionOptions, Listener,
};
use casemate_posix::connection::{Peer, Refusal};
use casemate_posix::unix::{UnixClientTransport, UnixPolicy, UnixServer};
use casemate_protocol::ClientId;
use casemate_transport::{ClientTransport, TransportError};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MAXIMUM: usize = 1032;
const PATIENCE: Duration = Duration::from_secs(60);

fn bind(path: &Path, policy: UnixPolicy) -> UnixServer {
    UnixServer::bind(path, policy, ConnectionOptions::new(MAXIMUM)).unwrap()
}

fn echo(connection: Connection, stop: &AtomicBool) {
    connection.serve(stop, |request, response| {
        response[..request.len()].copy_from_slice(request);
        Answer::Response(request.len())
    });
}

fn exchange(client: &mut UnixClientTransport, packet: &[u8]) -> Vec<u8> {
    client.send(packet).unwrap();
    let mut buffer = [0; MAXIMUM];
    loop {
        match client.receive_within(&mut buffer, PATIENCE) {
            Err(TransportError::NotReady) => {}
            result => return buffer[..result.unwrap()].to_vec(),
        }
    }
}

#[test]
fn every_packet_size_comes_back_and_the_peer_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let server = bind(&path, UnixPolicy::default());
    assert_eq!(server.address(), format!("unix://{}", path.display()));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut client = UnixClientTransport::connect(&path, MAXIMUM).unwrap();
        let Accepted::Connection(connection) = server.accept(&stop).unwrap() else { panic!() };
        let Peer::Unix(credentials) = connection.peer() else { panic!() };
        assert_eq!(u32::try_from(credentials.process).unwrap(), std::process::id());
        assert_eq!(credentials.user, rustix::process::geteuid().as_raw());
        assert_eq!(credentials.group, rustix::process::getegid().as_raw());
        scope.spawn(|| echo(connection, &stop));
        for length in 8..=MAXIMUM {
            let packet: Vec<u8> = (0..length).map(|at| (at % 61) as u8).collect();
            assert_eq!(exchange(&mut client, &packet), packet);
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop(server);
    assert!(!path.exists(), "the name is left");
}

#[test]
fn users_that_are_not_admitted_are_turned_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let me = rustix::process::geteuid().as_raw();
    let client = ClientId::new(3).unwrap();
    let attempt = |policy: UnixPolicy| {
        let server = bind(&path, policy);
        let mut transport = UnixClientTransport::connect(&path, MAXIMUM).unwrap();
        let accepted = server.accept(&AtomicBool::new(false)).unwrap();
        if let Accepted::Refused(..) = accepted {
            let result = transport.receive_within(&mut [0; MAXIMUM], PATIENCE);
            assert!(matches!(result, Err(TransportError::Closed)));
        }
        accepted
    };
    let nobody = UnixPolicy { users: vec![me + 1], ..UnixPolicy::default() };
    assert!(matches!(attempt(nobody), Accepted::Refused(Peer::Unix(_), Refusal::NotAllowed)));
    let others = UnixPolicy { clients: vec![(me + 1, client)], ..UnixPolicy::default() };
    assert!(matches!(attempt(others), Accepted::Refused(_, Refusal::NotAllowed)));
    let bound = UnixPolicy { users: vec![me], groups: vec![], clients: vec![(me, client)] };
    let Accepted::Connection(mut connection) = attempt(bound) else { panic!() };
    assert_eq!(connection.establish(&AtomicBool::new(false)).unwrap(), Some(client));
}

#[test]
fn connections_of_one_user_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let mut options = ConnectionOptions::new(MAXIMUM);
    options.limit = ConnectionLimit::new(10).for_each_origin(1);
    let server = UnixServer::bind(&path, UnixPolicy::default(), options.clone()).unwrap();
    let stop = AtomicBool::new(false);
    let _first = UnixClientTransport::connect(&path, MAXIMUM).unwrap();
    let connection = server.accept(&stop).unwrap();
    assert!(matches!(connection, Accepted::Connection(_)));
    let _second = UnixClientTransport::connect(&path, MAXIMUM).unwrap();
    assert!(matches!(server.accept(&stop).unwrap(), Accepted::Refused(_, Refusal::Limit)));
    assert_eq!(options.limit.active(), 1);
    drop(connection);
    let _third = UnixClientTransport::connect(&path, MAXIMUM).unwrap();
    assert!(matches!(server.accept(&stop).unwrap(), Accepted::Connection(_)));
    assert_eq!(options.limit.active(), 0);
}

#[test]
fn names_that_are_taken_and_names_that_were_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let refused = |path: &Path| {
        UnixServer::bind(path, UnixPolicy::default(), ConnectionOptions::new(MAXIMUM))
            .unwrap_err()
            .to_string()
    };
    drop(UnixListener::bind(&path).unwrap());
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    let server = bind(&path, UnixPolicy::default());
    let said = refused(&path);
    assert!(said.contains("another server uses it"), "{said}");
    drop(server);
    fs::write(&path, "dear diary").unwrap();
    let said = refused(&path);
    assert!(said.contains("something else has that name"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"dear diary");
    let said = refused(&directory.path().join("no").join("socket"));
    assert!(said.contains("create its directory first"), "{said}");
    let nobody =
        UnixClientTransport::connect(&directory.path().join("none"), MAXIMUM).unwrap_err().to_string();
    assert!(nobody.contains("start a server there"), "{nobody}");
}
