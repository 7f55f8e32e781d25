//! TCP with good, slow, dead and hostile peers, on free loopback ports.

use casemate_posix::LinkError;
use casemate_posix::connection::{Accepted, Answer, ConnectionLimit, ConnectionOptions, Ended, Listener};
use casemate_posix::tcp::{TcpClientTransport, TcpServer};
use casemate_transport::{ClientTransport, ServerTransport, TransportError};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MAXIMUM: usize = 1032;
const PATIENCE: Duration = Duration::from_secs(60);

/// No honest peer of these tests is too slow for it, even on a machine that does much else.
fn options() -> ConnectionOptions {
    ConnectionOptions {
        poll_interval: Duration::from_millis(10),
        frame_deadline: PATIENCE,
        write_deadline: PATIENCE,
        ..ConnectionOptions::new(MAXIMUM)
    }
}

/// For peers that are to be too slow with a frame.
fn strict() -> ConnectionOptions {
    ConnectionOptions { frame_deadline: Duration::from_millis(200), ..options() }
}

/// An echo server whose handler ends the connection on a packet that starts with `C` (without a response) or `L`
/// (after it).
struct Server {
    address: String,
    stop: Arc<AtomicBool>,
    ended: Receiver<Ended>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(options: ConnectionOptions) -> Self {
        let limit = options.limit.clone();
        let server = TcpServer::bind("127.0.0.1:0", options).unwrap();
        let address = server.local_address().unwrap().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, ended) = channel();
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                std::thread::scope(|scope| {
                    loop {
                        match server.accept(&stop).unwrap() {
                            Accepted::Connection(connection) => {
                                let (sender, stop) = (sender.clone(), &stop);
                                scope.spawn(move || {
                                    let ended = connection.serve(stop, echo);
                                    let _ = sender.send(ended);
                                });
                            }
                            Accepted::Refused(..) => {}
                            _ => break,
                        }
                    }
                });
                assert_eq!(limit.active(), 0);
            }
        });
        Self { address, stop, ended, thread: Some(thread) }
    }

    fn raw(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn client(&self) -> TcpClientTransport {
        TcpClientTransport::connect(&self.address, MAXIMUM, PATIENCE).unwrap()
    }

    fn next_ended(&self) -> Ended {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }

    /// A new client is still served.
    fn assert_alive(&self) {
        let mut client = self.client();
        assert_eq!(exchange(&mut client, b"are you there?").unwrap(), b"are you there?");
        drop(client);
        assert!(matches!(self.next_ended(), Ended::ByPeer));
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

fn echo(request: &mut [u8], response: &mut [u8]) -> Answer {
    response[..request.len()].copy_from_slice(request);
    match request[0] {
        b'C' => Answer::Close,
        b'L' => Answer::LastResponse(request.len()),
        _ => Answer::Response(request.len()),
    }
}

fn frame(packet: &[u8]) -> Vec<u8> {
    [&u32::try_from(packet.len()).unwrap().to_be_bytes(), packet].concat()
}

fn receive(client: &mut TcpClientTransport) -> Result<Vec<u8>, TransportError<LinkError>> {
    let mut buffer = [0; MAXIMUM];
    let start = Instant::now();
    loop {
        match client.receive_within(&mut buffer, Duration::from_secs(1)) {
            Err(TransportError::NotReady) => assert!(start.elapsed() < PATIENCE, "no response"),
            result => return result.map(|length| buffer[..length].to_vec()),
        }
    }
}

fn exchange(client: &mut TcpClientTransport, packet: &[u8]) -> Result<Vec<u8>, TransportError<LinkError>> {
    client.send(packet)?;
    receive(client)
}

#[test]
fn every_packet_size_comes_back() {
    let server = Server::start(options());
    let mut client = server.client();
    for length in 8..=MAXIMUM {
        let packet: Vec<u8> = (0..length).map(|at| (at % 61) as u8).collect();
        assert_eq!(exchange(&mut client, &packet).unwrap(), packet);
    }
    assert!(matches!(client.send(&[0; 7]), Err(TransportError::BadLength)));
    assert!(matches!(client.send(&[0; MAXIMUM + 1]), Err(TransportError::BadLength)));
    assert!(exchange(&mut client, &[7; 30]).is_ok());
}

#[test]
fn receive_does_not_wait() {
    let server = Server::start(options());
    let mut client = server.client();
    // That it does not wait even once is tested with the socket's framing, whose poll interval can be set.
    for _ in 0..1000 {
        assert!(matches!(client.receive(&mut [0; MAXIMUM]), Err(TransportError::NotReady)));
    }
    let start = Instant::now();
    let result = client.receive_within(&mut [0; MAXIMUM], Duration::from_millis(30));
    assert!(matches!(result, Err(TransportError::NotReady)));
    assert!((Duration::from_millis(25)..PATIENCE).contains(&start.elapsed()));
}

#[test]
fn byte_at_a_time_and_pipelined_requests_are_answered_in_order() {
    let server = Server::start(options());
    let mut raw = server.raw();
    raw.set_nodelay(true).unwrap();
    for byte in frame(b"slowly typed") {
        raw.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    let requests: Vec<u8> = (0..100).flat_map(|n| frame(&[n | 0x80; 50])).collect();
    raw.write_all(&requests).unwrap();
    let mut answers = vec![0; 16 + requests.len()];
    raw.read_exact(&mut answers).unwrap();
    assert_eq!(answers, [frame(b"slowly typed"), requests].concat());
}

#[test]
fn bad_lengths_end_only_that_connection() {
    let server = Server::start(options());
    let mut bystander = server.client();
    for length in [0, 1, 7, MAXIMUM as u32 + 1, 0x4745_5420, u32::MAX] {
        let mut raw = server.raw();
        raw.write_all(&length.to_be_bytes()).unwrap();
        assert!(matches!(server.next_ended(), Ended::BadLength(_)));
        assert_eq!(raw.read(&mut [0; 8]).unwrap_or(0), 0);
        assert!(exchange(&mut bystander, b"still here").is_ok());
    }
}

#[test]
fn garbage_after_a_good_request_does_not_cost_its_response() {
    let server = Server::start(options());
    let mut raw = server.raw();
    raw.write_all(&[frame(b"good request"), vec![0xFF; 4]].concat()).unwrap();
    let mut answer = [0; 16];
    raw.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..], frame(b"good request"));
    assert!(matches!(server.next_ended(), Ended::BadLength(_)));
}

#[test]
fn a_bare_connect_a_half_frame_and_a_reset_leave_the_server_alive() {
    let server = Server::start(options());
    drop(server.raw());
    assert!(matches!(server.next_ended(), Ended::ByPeer));

    let mut raw = server.raw();
    raw.write_all(&frame(b"half a frame")[..9]).unwrap();
    raw.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(server.next_ended(), Ended::WithinFrame));

    // Closing a socket with unread bytes resets the connection.
    let mut raw = server.raw();
    raw.write_all(&frame(b"I will not read this")).unwrap();
    raw.peek(&mut [0]).unwrap();
    drop(raw);
    match server.next_ended() {
        Ended::Broken(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    server.assert_alive();
}

#[test]
fn a_frame_must_be_completed_in_time_even_if_bytes_keep_coming() {
    let server = Server::start(strict());
    let mut stalled = server.raw();
    stalled.write_all(&frame(b"never complete")[..10]).unwrap();
    assert!(matches!(server.next_ended(), Ended::FrameTooSlow));

    let mut dribbling = server.raw();
    let start = Instant::now();
    dribbling.write_all(&1000_u32.to_be_bytes()).unwrap();
    while dribbling.write_all(&[0]).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
        assert!(start.elapsed() < PATIENCE);
    }
    assert!(matches!(server.next_ended(), Ended::FrameTooSlow));
    server.assert_alive();
}

#[test]
fn a_peer_that_does_not_read_is_dropped() {
    let strict = ConnectionOptions { write_deadline: Duration::from_millis(200), ..options() };
    let server = Server::start(strict);
    let mut raw = server.raw();
    let request = frame(&[9; MAXIMUM]);
    // It writes until the server's responses and its requests have filled every buffer on the way, and the server ends the
    // connection, however long that takes.
    let writer = std::thread::spawn(move || while raw.write_all(&request).is_ok() {});
    assert!(matches!(server.next_ended(), Ended::ResponseNotRead));
    writer.join().unwrap();
    server.assert_alive();
}

#[test]
fn silent_peers_are_dropped_where_limits_say_so() {
    let short = Some(Duration::from_secs(2));
    let server = Server::start(ConnectionOptions { first_request_deadline: short, ..options() });
    let _silent = server.raw();
    assert!(matches!(server.next_ended(), Ended::Silent));
    // Whoever has asked once may be silent for longer. On a slow machine the first request may come too late, so
    // another client tries.
    let start = Instant::now();
    let mut client = loop {
        let mut client = server.client();
        if exchange(&mut client, b"first one").is_ok() {
            break client;
        }
        assert!(start.elapsed() < PATIENCE);
    };
    std::thread::sleep(Duration::from_secs(3));
    assert!(exchange(&mut client, b"second one").is_ok());

    let server = Server::start(ConnectionOptions { idle_deadline: short, ..options() });
    let mut client = server.client();
    std::thread::sleep(Duration::from_secs(3));
    assert!(exchange(&mut client, b"first one").is_ok());
    assert!(matches!(server.next_ended(), Ended::Silent));
    assert!(matches!(receive(&mut client), Err(TransportError::Closed)));
}

#[test]
fn the_connection_limit_holds_and_places_come_back() {
    let server = Server::start(ConnectionOptions { limit: ConnectionLimit::new(2), ..options() });
    let mut first = server.client();
    let mut second = server.client();
    assert!(exchange(&mut first, b"first one").is_ok());
    assert!(exchange(&mut second, b"second one").is_ok());
    let mut third = server.client();
    let refused = exchange(&mut third, b"third one").unwrap_err();
    assert!(matches!(refused, TransportError::Closed | TransportError::Failed(_)), "{refused}");
    assert!(exchange(&mut first, b"first one").is_ok());
    // The place is free as soon as the peer sees the end.
    assert_eq!(exchange(&mut second, b"Last one").unwrap(), b"Last one");
    assert!(matches!(receive(&mut second), Err(TransportError::Closed)));
    third.reconnect().unwrap();
    assert!(exchange(&mut third, b"third one").is_ok());
}

#[test]
fn the_handler_ends_connections() {
    let server = Server::start(options());
    let mut client = server.client();
    assert!(matches!(exchange(&mut client, b"Close me"), Err(TransportError::Closed)));
    assert!(matches!(server.next_ended(), Ended::ByHandler));
    assert!(!client.is_connected());
    assert!(matches!(client.send(b"too late"), Err(TransportError::Closed)));
    assert!(matches!(client.receive(&mut [0; 8]), Err(TransportError::Closed)));
    client.reconnect().unwrap();
    // What was pipelined after the last request does not take its response away.
    client.send(b"Last one").unwrap();
    client.send(b"one too many").unwrap();
    assert_eq!(receive(&mut client).unwrap(), b"Last one");
    assert!(matches!(server.next_ended(), Ended::LastResponse));
}

#[test]
fn stop_is_noticed_soon_and_by_everyone() {
    let server = Server::start(ConnectionOptions { frame_deadline: 2 * PATIENCE, ..options() });
    let mut idle = server.client();
    assert!(exchange(&mut idle, b"hello there").is_ok());
    let mut within_frame = server.raw();
    within_frame.write_all(&[frame(b"hello there"), vec![0, 0]].concat()).unwrap();
    within_frame.read_exact(&mut [0; 15]).unwrap();
    let start = Instant::now();
    server.stop.store(true, Ordering::Relaxed);
    assert!(matches!(server.next_ended(), Ended::Stopped));
    assert!(matches!(server.next_ended(), Ended::Stopped));
    assert!(start.elapsed() < PATIENCE);
    assert!(matches!(receive(&mut idle), Err(TransportError::Closed)));
}

/// A server that says what the closure writes.
fn misbehaving(act: impl FnOnce(TcpStream) + Send + 'static) -> TcpClientTransport {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || act(listener.accept().unwrap().0));
    TcpClientTransport::connect(&address, MAXIMUM, PATIENCE).unwrap()
}

#[test]
fn the_client_sees_a_closing_or_nonsensical_server() {
    let mut client = misbehaving(drop);
    assert!(matches!(receive(&mut client), Err(TransportError::Closed)));

    let mut client = misbehaving(|mut stream| stream.write_all(&frame(b"half a frame")[..9]).unwrap());
    assert!(matches!(receive(&mut client), Err(TransportError::Closed)));

    let mut client = misbehaving(|mut stream| {
        stream.write_all(&[frame(b"response"), vec![0xFF; 4]].concat()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    assert_eq!(receive(&mut client).unwrap(), b"response");
    assert!(matches!(receive(&mut client), Err(TransportError::BadLength)));
    assert!(matches!(receive(&mut client), Err(TransportError::Closed)));
}

#[test]
fn a_response_too_long_for_the_buffer_is_lost_and_the_next_one_is_not() {
    let mut client = misbehaving(|mut stream| {
        stream.write_all(&[frame(&[1; 100]), frame(b"the next one")].concat()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let mut small = [0; 20];
    let first = loop {
        match client.receive_within(&mut small, PATIENCE) {
            Err(TransportError::NotReady) => {}
            other => break other,
        }
    };
    assert!(matches!(first, Err(TransportError::BadLength)));
    assert_eq!(receive(&mut client).unwrap(), b"the next one");
}

#[test]
fn a_server_that_dribbles_cannot_hold_the_client_beyond_its_wait() {
    let (go_on, wait) = channel::<()>();
    let mut client = misbehaving(move |mut stream| {
        for (at, byte) in frame(&[5; 500]).into_iter().enumerate() {
            if at == 400 {
                let _ = wait.recv();
            }
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    let mut buffer = [0; MAXIMUM];
    // The whole frame takes more than a second, and is not there before we say so.
    let result = client.receive_within(&mut buffer, Duration::from_millis(100));
    assert!(matches!(result, Err(TransportError::NotReady)));
    go_on.send(()).unwrap();
    assert_eq!(receive(&mut client).unwrap(), [5; 500]);
}

#[test]
fn a_server_that_does_not_read_makes_the_client_not_ready() {
    let (done, wait) = channel::<()>();
    let mut client = misbehaving(move |mut stream| {
        let _ = wait.recv();
        let mut sink = Vec::new();
        stream.read_to_end(&mut sink).unwrap();
        assert!(sink.chunks(MAXIMUM + 4).all(|chunk| chunk == frame(&[3; MAXIMUM])));
    });
    let start = Instant::now();
    let mut count = 0;
    while client.send(&[3; MAXIMUM]).is_ok() {
        count += 1;
        assert!(start.elapsed() < PATIENCE);
    }
    assert!(count > 1 && client.is_connected());
    done.send(()).unwrap();
    while let Err(error) = client.send(&[3; MAXIMUM]) {
        assert!(matches!(error, TransportError::NotReady) && start.elapsed() < PATIENCE);
        let _ = client.receive_within(&mut [0; MAXIMUM], Duration::from_millis(20));
    }
}

#[test]
fn the_server_end_also_works_as_a_plain_transport() {
    let options = options();
    let server = TcpServer::bind("127.0.0.1:0", options.clone()).unwrap();
    let address = server.local_address().unwrap().to_string();
    let mut client = TcpClientTransport::connect(&address, MAXIMUM, PATIENCE).unwrap();
    let Accepted::Connection(mut connection) = server.accept(&AtomicBool::new(false)).unwrap() else {
        panic!()
    };
    assert_eq!(options.limit.active(), 1);
    let mut buffer = [0; MAXIMUM];
    assert!(matches!(connection.receive(&mut buffer), Err(TransportError::NotReady)));
    client.send(b"one request").unwrap();
    let length = loop {
        match connection.receive(&mut buffer) {
            Err(TransportError::NotReady) => std::thread::yield_now(),
            other => break other.unwrap(),
        }
    };
    connection.send(&buffer[..length]).unwrap();
    assert_eq!(receive(&mut client).unwrap(), b"one request");
    drop(client);
    let end = loop {
        match connection.receive(&mut buffer) {
            Err(TransportError::NotReady) => std::thread::yield_now(),
            other => break other,
        }
    };
    assert!(matches!(end, Err(TransportError::Closed)));
}

#[test]
fn messages_say_what_to_do() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let text = TcpServer::bind(&address, options()).unwrap_err().to_string();
    assert!(text.contains(&address) && text.contains("choose another port"), "{text}");
    drop(busy);
    let text = TcpClientTransport::connect(&address, MAXIMUM, PATIENCE).unwrap_err().to_string();
    assert!(text.contains(&address) && text.contains("start a server"), "{text}");
    let text = TcpServer::bind("no port here", options()).unwrap_err().to_string();
    assert!(text.contains("HOST:PORT"), "{text}");
    let text = TcpServer::bind("192.0.2.1:0", options()).unwrap_err().to_string();
    assert!(text.contains("address of this machine"), "{text}");
    let text = TcpClientTransport::connect("127.0.0.1", MAXIMUM, PATIENCE).unwrap_err().to_string();
    assert!(text.contains("HOST:PORT"), "{text}");
}
