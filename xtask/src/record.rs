//! `cargo xtask record`: writes down the packets between a client and a server that talk the TCP framing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A longer packet than any that the packet header's 16-bit sizes allow is a sign of another protocol.
const MAXIMUM_PACKET: u32 = 1 << 17;

/// Listens on one loopback port, connects to another for each connection, and writes every packet as a line of JSON
/// to `output`: `{"session": 1, "dir": "request" | "response", "hex": "…"}`, without the 4-byte length before it.
///
/// Runs until the process is ended; every line is in the file once it is written.
pub(crate) fn record(listen: u16, server: u16, output: &str) -> Result<(), String> {
    let file = File::create_new(output)
        .map_err(|error| format!("{output} cannot be made as a new file: {error}"))?;
    let file = Arc::new(Mutex::new(file));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, listen))
        .map_err(|error| format!("cannot listen on port {listen}: {error}"))?;
    println!("recording 127.0.0.1:{listen} to 127.0.0.1:{server} in {output}; Ctrl-C ends it");
    for (session, client) in (1_u64..).zip(listener.incoming()) {
        let relay = client.and_then(|client| {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
            start(&client, &server, &file, session, "request")?;
            start(&server, &client, &file, session, "response")
        });
        if let Err(error) = relay {
            eprintln!("session {session}: {error}");
        }
    }
    Ok(())
}

/// Forwards and records one direction on a thread of its own.
fn start(
    from: &TcpStream,
    to: &TcpStream,
    file: &Arc<Mutex<File>>,
    session: u64,
    direction: &'static str,
) -> io::Result<()> {
    let (mut from, mut to, file) = (from.try_clone()?, to.try_clone()?, Arc::clone(file));
    thread::spawn(move || {
        if let Err(error) = forward(&mut from, &mut to, &file, session, direction)
            && error.kind() != io::ErrorKind::UnexpectedEof
        {
            eprintln!("session {session}, {direction}: {error}");
        }
        // The other side learns of the end; it may be gone already.
        let _ = to.shutdown(Shutdown::Write);
    });
    Ok(())
}

fn forward(
    from: &mut impl Read,
    to: &mut impl Write,
    file: &Mutex<File>,
    session: u64,
    direction: &str,
) -> io::Result<()> {
    loop {
        let mut prefix = [0; 4];
        from.read_exact(&mut prefix)?;
        let length = u32::from_be_bytes(prefix);
        if length > MAXIMUM_PACKET {
            return Err(io::Error::other(format!("a packet of {length} bytes is not this protocol's")));
        }
        let mut packet = vec![0; length as usize];
        from.read_exact(&mut packet)?;
        let hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("{{\"session\": {session}, \"dir\": \"{direction}\", \"hex\": \"{hex}\"}}\n");
        // Recorded before it is forwarded, so that a request stands before its response.
        file.lock()
            .map_err(|_| io::Error::other("another connection's thread failed"))?
            .write_all(line.as_bytes())?;
        to.write_all(&prefix)?;
        to.write_all(&packet)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_forwarded_unchanged_and_recorded_in_order() {
        let path = std::env::temp_dir().join(format!("xtask-record-{}", std::process::id()));
        let file = Mutex::new(File::create(&path).unwrap());
        let stream = [0, 0, 0, 2, 0xA5, 0x01, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF];
        let mut forwarded = Vec::new();
        let end = forward(&mut stream.as_slice(), &mut forwarded, &file, 3, "request").unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(forwarded, stream);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let line = |hex| format!("{{\"session\": 3, \"dir\": \"request\", \"hex\": \"{hex}\"}}\n");
        assert_eq!(text, line("a501") + &line("") + &line("ff"));
    }

    #[test]
    fn a_foreign_protocol_is_refused() {
        let file = Mutex::new(File::open("/dev/null").unwrap());
        let error = forward(&mut b"GET / HTTP".as_slice(), &mut Vec::new(), &file, 1, "request").unwrap_err();
        assert!(error.to_string().contains("not this protocol"), "{error}");
    }
}
