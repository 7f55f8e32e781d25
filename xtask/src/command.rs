//! Child processes: printed before they run, and ended when they exceed their time.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
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

    /// Runs tests: shows what they print while they run, and repeats in the error, behind its first line, what the failed
    /// ones said.
    pub(crate) fn run_tests(mut self) -> Result<(), String> {
        println!("$ {}", self.shown);
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            self.command.spawn().map_err(|error| format!("`{}` did not start: {error}", self.shown))?;
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (done, ended) = channel();
        let pass_on = |stream: Option<Box<dyn Read + Send>>, is_output: bool| {
            let (notes, done) = (Arc::clone(&notes), done.clone());
            std::thread::spawn(move || {
                if let Some(stream) = stream {
                    watch(stream, is_output, &notes);
                }
                let _ = done.send(());
            });
        };
        pass_on(child.stdout.take().map(|stream| Box::new(stream) as Box<_>), true);
        pass_on(child.stderr.take().map(|stream| Box::new(stream) as Box<_>), false);
        let result = wait(child, self.limit, &self.shown).and_then(|status| judge(status, &self.shown));
        // Whatever a test has left running may hold the pipes; what it says is not waited for.
        for _ in 0..2 {
            let _ = ended.recv_timeout(Duration::from_secs(20));
        }
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        result.map_err(|fault| [&[fault][..], &notes[..]].concat().join("\n"))
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

/// The most lines that a fault repeats.
const MOST_NOTES: usize = 200;

/// Prints the lines of a stream as they come, and keeps those that tell what failed.
fn watch(stream: impl Read, is_output: bool, notes: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut notable) = (Vec::new(), Notable::default());
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if is_output {
            print!("{text}");
        } else {
            eprint!("{text}");
        }
        let text = text.trim_end();
        if notable.keeps(text) {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            if notes.len() < MOST_NOTES {
                notes.push(text.to_owned());
            }
        }
    }
}

/// Which lines of `cargo test` tell what failed.
#[derive(Default)]
struct Notable {
    /// Whether what failed tests have printed, or the list of failed programs, is being told.
    told: bool,
}

impl Notable {
    fn keeps(&mut self, line: &str) -> bool {
        if line == "failures:" || line.ends_with("targets failed:") || line.ends_with("target failed:") {
            self.told = true;
        } else if line.starts_with("test result: ") {
            self.told = false;
        }
        self.told || line.starts_with("error") || line.starts_with("test result: FAILED")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell that says what `cargo test` says.
    fn says(script: &str) -> Result<(), String> {
        Task::new("sh").arguments(["-c", script]).run_tests()
    }

    #[test]
    fn a_failed_test_is_told_again_at_the_end() {
        let said = says(
            "echo 'test one ... ok'; echo 'test two ... FAILED'; echo; echo failures:; echo; \
             echo '---- two stdout ----'; echo 'it was seven'; echo; echo failures:; echo '    two'; \
             echo 'test result: FAILED. 1 passed'; echo 'test three ... ok'; echo 'test result: ok. 1 passed'; \
             echo 'warning: x' >&2; echo 'error: 1 target failed:' >&2; echo '    `-p one --lib`' >&2; exit 101",
        )
        .unwrap_err();
        for line in ["it was seven", "    two", "test result: FAILED. 1 passed", "    `-p one --lib`"] {
            assert!(said.lines().any(|other| other == line), "`{line}` is not in:\n{said}");
        }
        for line in ["ok", "warning"] {
            assert!(!said.lines().skip(1).any(|other| other.contains(line)), "{said}");
        }
        assert!(said.lines().next().is_some_and(|line| line.ends_with("exit status: 101")), "{said}");
    }

    #[test]
    fn success_says_nothing_and_a_failure_not_too_much() {
        assert_eq!(says("echo failures:; exit 0"), Ok(()));
        let many = says("echo failures:; i=0; while test $i -lt 300; do echo $i; i=$((i + 1)); done; exit 1");
        assert_eq!(many.unwrap_err().lines().count(), 1 + MOST_NOTES);
    }
}
