//! Child processes: printed before they run, and ended when they exceed their time.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::Context;

/// How long one command may take unless it is given another limit.
const DEFAULT_LIMIT: Duration = Duration::from_secs(40 * 60);

/// A command of a step: its output goes to the terminal, its standard input is empty.
pub(crate) struct Task {
    command: Command,
    limit: Duration,
    shown: String,
}

impl Task {
    /// A call of `program`.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, limit: DEFAULT_LIMIT, shown: program.to_string_lossy().into_owned() }
    }

    /// A call of the `cargo` that runs this program, at the repository's root.
    pub(crate) fn cargo(context: &Context) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut task = Self::new(cargo).directory(&context.root);
        "cargo".clone_into(&mut task.shown);
        task
    }

    /// Adds arguments.
    pub(crate) fn arguments<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        for argument in arguments {
            self.shown.push(' ');
            self.shown.push_str(&argument.as_ref().to_string_lossy());
            self.command.arg(argument);
        }
        self
    }

    /// Adds `--locked` under CI's rules; a developer's run may update the lock file.
    pub(crate) fn locked(self, context: &Context) -> Self {
        if context.ci { self.arguments(["--locked"]) } else { self }
    }

    /// Sets an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{name}={:?} {}", value.as_ref().to_string_lossy(), self.shown);
        self.command.env(name, value);
        self
    }

    /// Removes environment variables.
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.command.env_remove(name);
        }
        self
    }

    /// Sets the working directory.
    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Sets the time after which the command is ended.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the command; the error says how it failed, in one line.
    pub(crate) fn run(mut self) -> Result<(), String> {
        println!("$ {}", self.shown);
        let child =
            self.command.spawn().map_err(|error| format!("`{}` did not start: {error}", self.shown))?;
        let status = wait(child, self.limit, &self.shown)?;
        judge(status, &self.shown)
    }

    /// Runs the command and returns its standard error, which is also printed, with its result.
    pub(crate) fn run_reading_errors(mut self) -> (String, Result<(), String>) {
        println!("$ {}", self.shown);
        self.command.stderr(Stdio::piped());
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => return (String::new(), Err(format!("`{}` did not start: {error}", self.shown))),
        };
        let reader = child.stderr.take().map(read);
        let result = wait(child, self.limit, &self.shown).and_then(|status| judge(status, &self.shown));
        let text = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        eprint!("{text}");
        (text, result)
    }

    /// Runs the command and returns its standard output, which is also printed, with its result.
    pub(crate) fn run_reading_output(mut self) -> (String, Result<(), String>) {
        println!("$ {}", self.shown);
        self.command.stdout(Stdio::piped());
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => return (String::new(), Err(format!("`{}` did not start: {error}", self.shown))),
        };
        let reader = child.stdout.take().map(read);
        let result = wait(child, self.limit, &self.shown).and_then(|status| judge(status, &self.shown));
        let text = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        print!("{text}");
        (text, result)
    }

    /// Runs the command without showing anything and returns its standard output if it succeeded.
    pub(crate) fn query(mut self) -> Option<String> {
        let output = self.command.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Reads a stream to its end on a thread of its own.
fn read(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A read error ends the text early; the exit status still decides.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(mut child: Child, limit: Duration, shown: &str) -> Result<ExitStatus, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() > limit => {
                // The child may have ended in between; either way it is gone after `wait`.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("`{shown}` was ended after {} s", limit.as_secs()));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(format!("`{shown}` could not be waited for: {error}")),
        }
    }
}

fn judge(status: ExitStatus, shown: &str) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("`{shown}`: {status}")) }
}
