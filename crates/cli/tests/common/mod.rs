//! Runs the program itself.
#![allow(dead_code)] // Each test file uses a part.

use casemate_client::Client;
use casemate_posix::LinkError;
use casemate_posix::MonotonicClock;
use casemate_posix::tcp::TcpClientTransport;
use casemate_protocol::ClientId;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes, on a busy machine with a slow disk too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Takes away what the environment may tell the program: all of `CASEMATE_...`, and where a service reports to. Commands wait
/// for their server as long as the tests do.
pub(crate) fn without_settings(command: &mut Command) {
    let is_setting = |name: &std::ffi::OsString| name.as_encoded_bytes().starts_with(b"CASEMATE_");
    for name in std::env::vars_os().map(|(name, _)| name).filter(is_setting) {
        command.env_remove(name);
    }
    command.env_remove("NOTIFY_SOCKET");
    command.env("CASEMATE_TIMEOUT", PATIENCE.as_secs().to_string());
}

/// The program, with none of the caller's settings.
pub(crate) fn casemate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casemate"));
    without_settings(&mut command);
    command.stdin(Stdio::null());
    command
}

/// What a command said and how it ended.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// The output of a command that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.output, self.errors);
        self.output
    }

    /// The complaint of a command that failed.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.output, self.errors);
        assert!(self.errors.contains("error: "), "{}", self.errors);
        self.errors
    }
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Said {
    casemate().args(arguments).output().unwrap().into()
}

/// Runs the program with something on its standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Said {
    let mut child = casemate()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A server process. It is killed if it still runs at the end.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: String,
    log: Receiver<String>,
}

impl ServerProcess {
    /// Starts `casemate serve` on a free port and waits until it listens.
    #[track_caller]
    pub(crate) fn start(nvm: &Path, more: &[&str]) -> Self {
        let mut child = casemate()
            .args(["serve", "--tcp", "127.0.0.1:0", "--nvm"])
            .arg(nvm)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = child.stderr.take().unwrap();
        let (to, log) = channel();
        thread::spawn(move || {
            BufReader::new(errors)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| to.send(line.clone()).is_ok())
                .count()
        });
        let mut server = Self { child, address: String::new(), log };
        let line = server.wait_for(" listens on ");
        server.address = line.rsplit(' ').next().unwrap().to_owned();
        server
    }

    /// Waits for a line of the log.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let mut before = String::new();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            if line.contains(text) {
                return line;
            }
            before += &line;
            before.push('\n');
        }
        panic!("the server never said `{text}`, but:\n{before}");
    }

    /// Runs a client command on this server.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        casemate().args(arguments).args(["--server", &self.address]).output().unwrap().into()
    }

    /// The same with something on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Said {
        run_with_input(&[arguments, &["--server", &self.address]].concat(), input)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it as an operator would.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert!(self.wait().success());
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) type TestClient = Client<TcpClientTransport, Vec<u8>, MonotonicClock>;

/// A client in this process.
pub(crate) fn connect(address: &str, id: u32) -> Result<TestClient, LinkError> {
    let transport = TcpClientTransport::connect(address, 8200, PATIENCE)?;
    let mut client = Client::with_timeout(transport, vec![0; 8200], MonotonicClock::new(), PATIENCE);
    client.init(ClientId::new(id).unwrap()).map_err(|error| match error {
        casemate_client::Error::Transport(casemate_transport::TransportError::Failed(error)) => error,
        error => panic!("{error}"),
    })?;
    Ok(client)
}
