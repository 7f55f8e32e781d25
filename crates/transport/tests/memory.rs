//! The in-process transports keep the contract of the traits.

use casemate_transport::{ClientTransport, Loopback, MemoryLink, ServerTransport, TransportError};
use std::time::Duration;

#[test]
fn loopback_answers_and_delivers_once() {
    let mut calls = 0;
    let mut transport = Loopback::new(
        |request: &[u8], response: &mut [u8]| {
            calls += 1;
            response[..request.len()].copy_from_slice(request);
            response[0] ^= 0xFF;
            Some(request.len())
        },
        [0; 32],
    );
    let mut buffer = [0; 32];
    assert_eq!(transport.receive(&mut buffer), Err(TransportError::NotReady));
    transport.send(b"eight by").unwrap();
    assert_eq!(transport.receive_within(&mut buffer, Duration::MAX), Ok(8));
    assert_eq!(buffer[..8], *b"\x9Aight by");
    assert_eq!(transport.receive(&mut buffer), Err(TransportError::NotReady));
    assert_eq!(transport.send(b"seven b"), Err(TransportError::BadLength));
    assert_eq!(transport.send(&[0; 33]), Err(TransportError::BadLength));
    transport.send(&[0; 32]).unwrap();
    assert_eq!(transport.receive(&mut [0; 31]), Err(TransportError::BadLength));
    assert_eq!(transport.receive(&mut buffer), Err(TransportError::NotReady));
    assert_eq!(calls, 2);
}

#[test]
fn a_loopback_handler_can_end_the_connection_or_answer_nonsense() {
    let mut answer = [None, Some(33), Some(3)].into_iter();
    let mut transport = Loopback::new(move |_: &[u8], _: &mut [u8]| answer.next().unwrap(), [0; 32]);
    let mut buffer = [0; 64];
    transport.send(&[0; 8]).unwrap();
    assert_eq!(transport.receive(&mut buffer), Err(TransportError::Closed));
    assert_eq!(transport.send(&[0; 8]), Err(TransportError::Closed));
    transport.reconnect();
    for _ in 0..2 {
        transport.send(&[0; 8]).unwrap();
        assert_eq!(transport.receive(&mut buffer), Err(TransportError::BadLength));
    }
}

#[test]
fn a_link_holds_one_packet_each_way() {
    let mut link = MemoryLink::new([0; 16], [0; 16]);
    let (mut client, mut server) = link.endpoints();
    let mut buffer = [0; 16];
    assert_eq!(server.receive(&mut buffer), Err(TransportError::NotReady));
    client.send(b"request 1").unwrap();
    assert_eq!(client.send(b"request 2"), Err(TransportError::NotReady));
    assert_eq!(server.receive(&mut buffer), Ok(9));
    assert_eq!(buffer[..9], *b"request 1");
    client.send(b"request 2").unwrap();
    server.send(b"response 1").unwrap();
    assert_eq!(server.send(b"response 2"), Err(TransportError::NotReady));
    assert_eq!(client.receive(&mut buffer), Ok(10));
    assert_eq!(buffer[..10], *b"response 1");
    assert_eq!(server.receive(&mut [0; 8]), Err(TransportError::BadLength));
    assert_eq!(server.receive(&mut buffer), Err(TransportError::NotReady));
    assert_eq!(client.send(&[0; 17]), Err(TransportError::BadLength));
    assert_eq!(server.send(&[0; 7]), Err(TransportError::BadLength));
}

#[test]
fn a_dropped_end_closes_the_link_after_the_last_packet() {
    let mut link = MemoryLink::new([0; 16], [0; 16]);
    let mut buffer = [0; 16];
    let (mut client, mut server) = link.endpoints();
    server.send(b"last one").unwrap();
    drop(server);
    assert_eq!(client.send(b"too late"), Err(TransportError::Closed));
    assert_eq!(client.receive(&mut buffer), Ok(8));
    assert_eq!(client.receive(&mut buffer), Err(TransportError::Closed));
    drop(client);
    let (client, mut server) = link.endpoints();
    assert_eq!(server.receive(&mut buffer), Err(TransportError::NotReady));
    drop(client);
    assert_eq!(server.receive(&mut buffer), Err(TransportError::Closed));
}
