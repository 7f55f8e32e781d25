//! The counters over HTTP/1.1: one thread, which answers GET and HEAD for `/metrics` and closes the connection.
//!
//! Whoever reaches the address can read the counters and can do no more. A visitor that is slow, or says something
//! else, costs its place among [`PLACES`] for [`DEADLINE`]; when all places are taken, the one that has come first makes
//! room, so that somebody who holds connections open keeps out nobody who asks at once. The server's own connections
//! are not touched by any of this.

use super::Format;
use crate::LinkError;
use crate::{tcp, unix};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, send, shutdown};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many visitors are served at once.
const PLACES: usize = 32;
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 8192;
/// How long a visitor may take to send its request, and again to read the answer.
const DEADLINE: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 10 });
/// How long a visitor that has its answer may take to close the connection.
const LINGER: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 1 });
/// The longest sleep before the stop flag is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// An address where the counters can be read.
#[derive(Debug)]
pub struct Endpoint {
    listener: Listening,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listening {
    fn accept(&self) -> io::Result<OwnedFd> {
        let descriptor: OwnedFd = match self {
            Self::Tcp(listener) => listener.accept()?.0.into(),
            Self::Unix(listener, _) => listener.accept()?.0.into(),
        };
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(descriptor)
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

/// What a visitor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asking,
    Reading,
    Leaving,
}

#[derive(Debug)]
struct Visitor {
    socket: OwnedFd,
    stage: Stage,
    until: Instant,
    head: Vec<u8>,
    answer: Vec<u8>,
    sent: usize,
}

impl Endpoint {
    /// Listens at `HOST:PORT`, or at the Unix-domain socket `unix:PATH`, which gets the access rights 0660. Port 0 picks a
    /// free one.
    ///
    /// # Errors
    /// [`LinkError::Resolve`], [`LinkError::Bind`].
    pub fn bind(address: &str) -> Result<Self, LinkError> {
        let listener = match socket_path(address) {
            Some(path) => Listening::Unix(unix::listen(path)?, path.to_owned()),
            None => Listening::Tcp(tcp::bind(address)?),
        };
        Ok(Self { listener })
    }

    /// Where it listens: `HOST:PORT` or `unix:PATH`.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.listener {
            Listening::Tcp(listener) => {
                listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
            }
            Listening::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.listener {
            Listening::Tcp(listener) => listener.local_addr().is_ok_and(|address| address.ip().is_loopback()),
            Listening::Unix(..) => true,
        }
    }

    /// Answers until `stop` is set, in the calling thread. `render` makes the text.
    pub fn serve(&self, stop: &AtomicBool, render: &dyn Fn(Format) -> String) {
        let mut visitors: Vec<Visitor> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut watched = vec![PollFd::new(&self.listener, PollFlags::IN)];
            watched.extend(visitors.iter().map(|visitor| {
                let events = if visitor.stage == Stage::Reading { PollFlags::OUT } else { PollFlags::IN };
                PollFd::new(&visitor.socket, events)
            }));
            let interval = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            if let Err(error) = poll(&mut watched, Some(&interval))
                && error != Errno::INTR
            {
                // Out of memory for instance; that passes.
                std::thread::sleep(POLL_INTERVAL);
                continue;
            }
            let ready: Vec<_> = watched.iter().map(|one| !one.revents().is_empty()).collect();
            drop(watched);
            let (somebody, ready) = ready.split_first().unwrap_or((&false, &[]));

            let now = Instant::now();
            let mut ready = ready.iter();
            visitors.retain_mut(|visitor| {
                let is_ready = ready.next().is_some_and(|ready| *ready);
                visitor.stays(is_ready, now, render)
            });
            if *somebody {
                self.admit(&mut visitors, render);
            }
        }
    }

    /// Takes in those who wait, and answers those who have asked already.
    fn admit(&self, visitors: &mut Vec<Visitor>, render: &dyn Fn(Format) -> String) {
        for _ in 0..PLACES {
            let socket = match self.listener.accept() {
                Ok(socket) => socket,
                Err(error) => {
                    let kind = error.kind();
                    if !matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) {
                        // No descriptors are left, for instance; the connection still waits.
                        std::thread::sleep(POLL_INTERVAL);
                    }
                    return;
                }
            };
            let until = Instant::now() + DEADLINE;
            let (head, answer) = (Vec::new(), Vec::new());
            let mut visitor = Visitor { socket, stage: Stage::Asking, until, head, answer, sent: 0 };
            if visitor.proceed(render) {
                if visitors.len() >= PLACES {
                    visitors.remove(0);
                }
                visitors.push(visitor);
            }
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Listening::Unix(_, path) = &self.listener {
            let _ = fs::remove_file(path);
        }
    }
}

/// The path in `unix:PATH`, which can also be written as the addresses of servers are, `unix:///PATH`.
#[must_use]
fn socket_path(address: &str) -> Option<&Path> {
    let path = address.strip_prefix("unix:")?;
    Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
}

impl Visitor {
    /// Goes on if something can be done; `false` once the visitor is gone or its time is over. A visitor in time must not
    /// suffer if this thread was late, so its time is not over while its request is whole or it takes more of the answer.
    /// Pieces of a request do not count: of those, somebody could send one for each of the bytes that a head may have.
    fn stays(&mut self, is_ready: bool, now: Instant, render: &dyn Fn(Format) -> String) -> bool {
        let (stage, sent) = (self.stage, self.sent);
        if is_ready && !self.proceed(render) {
            return false;
        }
        now < self.until || self.stage != stage || self.sent > sent
    }

    /// Goes on as far as that is possible without waiting; `false` once the visitor is gone or has to go.
    fn proceed(&mut self, render: &dyn Fn(Format) -> String) -> bool {
        if self.stage == Stage::Asking {
            match self.listen() {
                Ok(true) => {
                    self.answer = answer(&self.head, render);
                    self.stage = Stage::Reading;
                    self.until = Instant::now() + DEADLINE;
                }
                Ok(false) => return true,
                Err(_) => return false,
            }
        }
        if self.stage == Stage::Reading {
            match self.speak() {
                Ok(true) => {
                    // What the visitor still sends would otherwise make the system drop what it has not read yet.
                    if shutdown(&self.socket, Shutdown::Write).is_err() {
                        return false;
                    }
                    self.stage = Stage::Leaving;
                    self.until = Instant::now() + LINGER;
                }
                Ok(false) => return true,
                Err(_) => return false,
            }
        }
        let mut rest = [0; 4096];
        match recv(&self.socket, &mut rest[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => false,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// Takes in the request; `true` once its head is whole or too long.
    fn listen(&mut self) -> Result<bool, Errno> {
        let mut piece = [0; 2048];
        loop {
            match recv(&self.socket, &mut piece[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err(Errno::CONNRESET),
                Ok((_, count)) => self.head.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.head.len() > MAX_HEAD || is_whole(&self.head) {
                return Ok(true);
            }
        }
    }

    /// Sends the answer; `true` once it is sent.
    fn speak(&mut self) -> Result<bool, Errno> {
        while let Some(rest) = self.answer.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(&self.socket, rest, crate::socket::SEND_FLAGS) {
                Ok(count) => self.sent = self.sent.saturating_add(count),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Whether the head of a request has its empty line.
fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

/// The answer to a request with this head (RFC 9112).
fn answer(head: &[u8], render: &dyn Fn(Format) -> String) -> Vec<u8> {
    let refuse = |status: &str, more: &str, text: &str| {
        let length = text.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n{more}\
             Connection: close\r\n\r\n{text}"
        )
        .into_bytes()
    };
    if head.len() > MAX_HEAD {
        return refuse("431 Request Header Fields Too Large", "", "the request is too long\n");
    }
    let bad = || refuse("400 Bad Request", "", "this is no HTTP request\n");
    let Ok(head) = std::str::from_utf8(head) else { return bad() };
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return bad();
    };
    if !version.starts_with("HTTP/1.") || method.is_empty() || !target.starts_with('/') {
        return bad();
    }
    if !matches!(method, "GET" | "HEAD") {
        return refuse("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "only GET and HEAD are answered\n");
    }
    if target.split('?').next() != Some("/metrics") {
        return refuse("404 Not Found", "", "the metrics are at /metrics\n");
    }
    let wants_open = lines.filter_map(|line| line.split_once(':')).any(|(name, value)| {
        name.eq_ignore_ascii_case("accept") && value.contains("application/openmetrics-text")
    });
    let format = if wants_open { Format::OpenMetrics } else { Format::Prometheus };
    let text = render(format);
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        format.media_type(),
        text.len()
    );
    if method == "GET" {
        answer.push_str(&text);
    }
    answer.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;
    use std::thread;

    fn answered(head: &str) -> String {
        String::from_utf8(answer(head.as_bytes(), &|format| format!("{format:?}\n"))).unwrap()
    }

    #[test]
    fn requests() {
        let said = answered("GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\nPrometheus\n"), "{said}");
        assert!(said.contains("Content-Length: 11\r\n") && said.contains("version=0.0.4"), "{said}");
        let open = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
        let said = answered(&format!("GET /metrics?x=1 HTTP/1.1\r\n{}\r\n", open.to_lowercase()));
        assert!(said.ends_with("\r\n\r\nOpenMetrics\n") && said.contains("version=1.0.0"), "{said}");
        let said = answered("HEAD /metrics HTTP/1.0\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("close\r\n\r\n"), "{said}");
        for (head, status) in [
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("GET /metricsx HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics\r\n\r\n", "400"),
            ("GET  /metrics HTTP/1.1\r\n\r\n", "400"),
            ("GET metrics HTTP/1.1\r\n\r\n", "400"),
            ("\r\n\r\n", "400"),
            ("\u{16}\u{3}\u{1}\n\n", "400"),
            (&"x".repeat(MAX_HEAD + 1), "431"),
        ] {
            assert!(answered(head).starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        }
        assert!(answer(b"GET /\xFF HTTP/1.1\r\n\r\n", &|_| String::new()).starts_with(b"HTTP/1.1 400 "));
    }

    #[test]
    fn a_late_server_drops_nobody_who_was_in_time() {
        let render = |_| "x 1\n".to_owned();
        let late = |request: &str| {
            let (mut stream, socket) = UnixStream::pair().unwrap();
            socket.set_nonblocking(true).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let (until, stage) = (Instant::now(), Stage::Asking);
            let (head, answer) = (Vec::new(), Vec::new());
            let mut visitor = Visitor { socket: socket.into(), stage, until, head, answer, sent: 0 };
            let stays = visitor.stays(!request.is_empty(), until, &render);
            (stays, visitor.stage, stream)
        };
        let (stays, stage, mut stream) = late("GET /metrics HTTP/1.1\r\n\r\n");
        assert_eq!((stays, stage), (true, Stage::Leaving));
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nx 1\n"), "{answer}");
        for request in ["", "G", "GET /metrics HTTP/1.1\r\n"] {
            assert!(!late(request).0, "{request}");
        }
    }

    /// Runs `work` while an endpoint at `address` is served.
    fn with_endpoint(address: &str, work: impl FnOnce(&str)) {
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let endpoint = Endpoint::bind(address).unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| endpoint.serve(&stop, &|_| "x 1\n".repeat(200_000)));
            let stop = Stop(&stop);
            work(&endpoint.address());
            drop(stop);
        });
    }

    fn ask(mut stream: impl Read + Write) -> usize {
        stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
        stream.write_all(b"Host: here\r\n\r\nand more").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        answer.split_once("\r\n\r\n").unwrap().1.len()
    }

    #[test]
    fn visitors_that_hold_connections_open_keep_nobody_out() {
        with_endpoint("127.0.0.1:0", |address| {
            let connect = || TcpStream::connect(address).unwrap();
            let mut slow: Vec<_> = (0..2 * PLACES).map(|_| connect()).collect();
            for one in &mut slow {
                // Those that came first may have had to go.
                let _ = one.write_all(b"GET /metrics HTTP/1.1\r\nHo");
            }
            assert_eq!(ask(connect()), 800_000);
            let mut garbage = connect();
            garbage.write_all(&[0xFF; 100]).unwrap();
            garbage.write_all(b"\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            garbage.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 400 "));
            // One that asks and does not read holds up nobody either.
            let mut deaf = connect();
            deaf.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            assert_eq!(ask(connect()), 800_000);
            // The first of the slow ones has lost its place.
            let ended = slow[0].read(&mut [0; 1]);
            assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        });
    }

    #[test]
    fn over_a_unix_domain_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics");
        with_endpoint(&format!("unix:{}", path.display()), |address| {
            assert_eq!(address, format!("unix:{}", path.display()));
            assert_eq!(ask(UnixStream::connect(&path).unwrap()), 800_000);
        });
        assert!(!path.exists());
        assert_eq!(socket_path("unix:///run/x"), Some(Path::new("/run/x")));
        assert_eq!(socket_path("127.0.0.1:1"), None);
    }
}
