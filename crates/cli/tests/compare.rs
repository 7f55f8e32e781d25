//! `casemate compare`.

mod common;

use common::{ServerProcess, run};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

fn server() -> ServerProcess {
    ServerProcess::start(Path::new("ram"), &[])
}

#[test]
fn two_servers_of_one_kind_do_not_differ() {
    let (first, second) = (server(), server());
    let arguments = ["--requests", "800", "--malformed", "15", "--seed", "3"];
    let said = run(&[&["compare", &first.address, &second.address], &arguments[..]].concat()).ok();
    assert_eq!(said, "800 requests, no differences\n");
    first.stop();
    second.stop();
}

/// One frame: its packet.
fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut packet = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut packet)?;
    Ok(packet)
}

fn send(to: &mut TcpStream, packet: &[u8]) -> io::Result<()> {
    let length = u32::try_from(packet.len()).unwrap().to_be_bytes();
    to.write_all(&[&length, packet].concat())
}

/// A server that counts wrongly: behind it is `address`, and the value in each response to a counter's READ is altered.
fn counts_wrongly(address: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().to_string();
    let mut server = TcpStream::connect(address).unwrap();
    thread::spawn(move || -> io::Result<()> {
        let (mut client, _) = listener.accept()?;
        loop {
            send(&mut server, &frame(&mut client)?)?;
            let mut response = frame(&mut server)?;
            // Action and group, in the order of the packet; the value is behind the status.
            if matches!(response[2..4], [2, 8] | [8, 2]) && response[8..12] == [0; 4] {
                response[15] ^= 1;
            }
            send(&mut client, &response)?;
        }
    });
    own
}

#[test]
fn a_server_that_answers_wrongly_is_found() {
    let (first, second) = (server(), server());
    let wrong = counts_wrongly(&second.address);
    let requests = ["compare", &first.address, &wrong, "--groups", "comm,counter", "--requests", "300"];
    let said = run(&requests);
    assert_eq!(said.code, Some(1), "{}{}", said.output, said.errors);
    assert!(said.output.starts_with("COUNTER counter read: byte 7  ("), "{}", said.output);
    assert!(said.errors.contains("300 requests, "), "{}", said.errors);
    first.stop();
    second.stop();
}

#[test]
fn differences_that_are_known_can_be_left_out() {
    let (first, second) = (server(), server());
    let wrong = counts_wrongly(&second.address);
    let arguments = ["--groups", "counter", "--requests", "300", "--ignore", "COUNTER counter read"];
    let said = run(&[&["compare", &first.address, &wrong], &arguments[..]].concat()).ok();
    assert_eq!(said, "300 requests, no differences\n");
    let said = run(&["compare", &first.address, &wrong, "--groups", "dance"]);
    assert_eq!(said.code, Some(2), "{}{}", said.output, said.errors);
}
