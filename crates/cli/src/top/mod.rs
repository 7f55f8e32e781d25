//! `casemate top`.

mod exposition;
mod frame;

use crate::value::{print, seconds};
use anyhow::{Context, Result, bail};
use clap::Args;
use exposition::Exposition;
use frame::{Frame, Moment};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Watch a server: clients, operations per second, latency, storage
///
/// Reads the metrics that `casemate serve --metrics ADDRESS` offers, again and again, until Ctrl-C. Rates and latencies
/// are those since the time before; with --once, those since the server's start.
///
/// Where the output is no terminal, one picture follows the other, and nothing but text is written.
#[derive(Args)]
pub(crate) struct Top {
    /// Where the server offers its metrics: HOST:PORT, http://HOST:PORT/metrics or unix:PATH
    #[arg(value_name = "ADDRESS", env = "CASEMATE_METRICS", default_value = "127.0.0.1:9464")]
    address: String,
    /// Time between two pictures
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    interval: Duration,
    /// Print one picture of the time since the server's start, and end
    #[arg(long)]
    once: bool,
    /// How long to wait for the server
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
}

/// The largest answer that is read.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;
/// A second screen without cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The terminal as it was before, whatever happens.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        let mut output = io::stdout().lock();
        write!(output, "{ENTER}")?;
        output.flush()?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut output = io::stdout().lock();
        let _ = write!(output, "{LEAVE}").and_then(|()| output.flush());
    }
}

impl Top {
    pub(crate) fn run(&self) -> Result<()> {
        let first = self.read()?;
        if self.once {
            return print(Frame::new(&self.address, &first, None));
        }
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            // The second one ends the process at once.
            flag::register_conditional_default(signal, Arc::clone(&stop))
                .and_then(|_| flag::register(signal, Arc::clone(&stop)))
                .context("cannot watch for signals")?;
        }
        let is_terminal = io::stdout().is_terminal();
        let screen = if is_terminal { Some(Screen::enter()?) } else { None };
        let mut before = first;
        let mut lost = None;
        let mut picture = Frame::new(&self.address, &before, None).to_string();
        while !stop.load(Ordering::Relaxed) {
            show(&picture, lost.as_deref(), is_terminal)?;
            pause(self.interval, &stop);
            if stop.load(Ordering::Relaxed) {
                break;
            }
            match self.read() {
                Ok(now) => {
                    // A server that was started again counts from 0.
                    let same = now.is_after(&before).then_some(&before);
                    picture = Frame::new(&self.address, &now, same).to_string();
                    (before, lost) = (now, None);
                }
                Err(error) => lost = Some(format!("{error:#}")),
            }
        }
        drop(screen);
        Ok(())
    }

    fn read(&self) -> Result<Moment> {
        let text = fetch(&self.address, self.timeout).with_context(|| {
            format!(
                "no metrics at {}; start the server with `casemate serve --metrics {0}`, or give the address that \
                 it prints",
                self.address
            )
        })?;
        let at = Instant::now();
        let exposition = Exposition::parse(&text)
            .with_context(|| format!("what {} says is not in Prometheus' text format", self.address))?;
        if exposition.sum("casemate_uptime_seconds", &[]).is_none() {
            bail!("{} offers metrics of something else than a Casemate server", self.address);
        }
        Ok(Moment { at, exposition })
    }
}

/// Sleeps, and wakes up early if `stop` is set.
fn pause(time: Duration, stop: &AtomicBool) {
    let end = Instant::now().checked_add(time);
    while !stop.load(Ordering::Relaxed) {
        let left = end.map_or(time, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}

fn show(picture: &str, lost: Option<&str>, is_terminal: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if is_terminal {
        let (width, height) = terminal_size::terminal_size()
            .map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        write!(output, "{}", on_screen(picture, lost, width, height))?;
    } else {
        if let Some(lost) = lost {
            writeln!(output, "{lost}")?;
        } else {
            writeln!(output, "{picture}")?;
        }
    }
    output.flush()
}

/// The picture from the upper left corner on, no wider and no higher than the terminal.
fn on_screen(picture: &str, lost: Option<&str>, width: usize, height: usize) -> String {
    let mut text = "\x1b[H".to_owned();
    let lines = picture.lines().chain(lost).chain(["Ctrl-C ends"]);
    for (index, line) in lines.take(height.max(1)).enumerate() {
        if index > 0 {
            text.push_str("\r\n");
        }
        text.extend(line.chars().filter(|c| !c.is_control()).take(width));
        text.push_str("\x1b[K");
    }
    text.push_str("\x1b[J");
    text
}

/// The text at an address.
fn fetch(address: &str, timeout: Duration) -> Result<String> {
    if let Some(path) = address.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let stream = UnixStream::connect(Path::new(path))?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        return ask(stream, "localhost", timeout);
    }
    let host = address.strip_prefix("http://").unwrap_or(address);
    let host = host.strip_suffix("/metrics").unwrap_or(host).trim_end_matches('/');
    let mut last = io::Error::new(ErrorKind::AddrNotAvailable, "the host has no address");
    for one in host.to_socket_addrs().context("write the address as HOST:PORT or unix:PATH")? {
        match TcpStream::connect_timeout(&one, timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return ask(stream, host, timeout);
            }
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

/// One request over HTTP/1.0, to which the answer ends with the connection.
fn ask(mut stream: impl Read + Write, host: &str, timeout: Duration) -> Result<String> {
    let end = Instant::now().checked_add(timeout);
    // In one piece: the server does not wait long for the rest.
    let request =
        format!("GET /metrics HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain;version=0.0.4\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("no answer in the time allowed")
            }
            Err(error) => return Err(error.into()),
        }
        if u64::try_from(answer.len())? > MAX_ANSWER || end.is_some_and(|end| Instant::now() > end) {
            bail!("the answer is too long, or too slow");
        }
    }
    let answer = String::from_utf8(answer).context("the answer is no text")?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("the answer is no HTTP") };
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") if status.starts_with("HTTP/1.") => Ok(body.to_owned()),
        _ => bail!("the answer is `{}`", status.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_stays_on_the_screen() {
        let text = on_screen("long line\nsecond\x1b[31m\nthird", Some("lost"), 6, 4);
        assert_eq!(text, "\x1b[Hlong l\x1b[K\r\nsecond\x1b[K\r\nthird\x1b[K\r\nlost\x1b[K\x1b[J");
    }

    struct Answer(&'static [u8]);

    impl Read for Answer {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.0.read(to)
        }
    }

    impl Write for Answer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers() {
        let ask = |answer| ask(Answer(answer), "here", Duration::from_secs(60));
        assert_eq!(ask(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nx 1\n").unwrap(), "x 1\n");
        for wrong in [
            &b"HTTP/1.1 404 Not Found\r\n\r\nx 1\n"[..],
            b"220 mail.example ESMTP\r\n\r\n",
            b"",
            b"\xFF\r\n\r\n",
            b"SSH-2.0-OpenSSH 200\r\n\r\n",
        ] {
            assert!(ask(wrong).is_err(), "{wrong:?}");
        }
    }
}
