//! `casemate bench`.

mod child;
mod library;
mod operations;
mod report;
mod statistics;
mod transports;

use crate::connection::{Hsm, TlsOptions, connect, in_process};
use crate::local::{RamStore, Setup, handler};
use crate::table::{Align, Table};
use crate::value::{client_id, print, say, seconds};
use anyhow::{Context, Result, anyhow, bail};
use casemate_posix::audit::timestamp;
use casemate_posix::daemon::PosixPlatform;
use casemate_protocol::{ClientId, MAX_DATA_LENGTH, Status};
use casemate_server::{Affinity, Platform as _};
use child::ServerProcess;
use clap::Args;
use operations::{Operation, Prepared};
use serde_json::{Value, json};
use statistics::{Samples, Summary, three};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Measure latency and throughput of every operation
///
/// Measures latency and throughput of every operation: in this process, where a request is a function call, and over
/// TCP, where the server is another process of this program on the loopback address (or the one that --server names).
///
/// Without --server, the other transports are measured too: shared memory and Unix-domain sockets. The column "library" is the
/// limit: the cryptographic library called directly, without client, message, session and key store.
///
/// Without --only and --server, it also measures one client and many at once over each transport: memory shared by two
/// threads, shared memory, Unix-domain sockets and TCP.
///
/// With --against, a further server is measured by the same client in the same run. The servers take turns within
/// each operation, so that whatever else the machine does meets all of them.
///
/// A time is that of a whole call: the client encodes, the server works, the client decodes. Calls per second are the
/// median of turns of about 20 ms, so that another program that runs for a moment does not count. On a server that is
/// named, the benchmark uses objects 0x0be7 and 0x0be8, counter 190 and the key cache of its client, and cleans up after itself.
#[derive(Args)]
pub(crate) struct Bench {
    /// Measure this server instead of one of our own: HOST:PORT, unix:///PATH, shm://NAME, tls://HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,
    /// Measure this server too, and compare
    #[arg(long, value_name = "ADDRESS")]
    against: Option<String>,
    /// How to call the server of --against
    #[arg(long, value_name = "TEXT", default_value = "other server", requires = "against")]
    against_name: String,
    /// How long to measure each operation on each server
    #[arg(long, default_value = "0.5", value_parser = seconds)]
    seconds: Duration,
    /// Measure only operations whose name contains this text (upper and lower case are the same)
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Who to be on the servers
    #[arg(long = "client-id", value_name = "NUMBER", default_value = "12", value_parser = client_id)]
    client: ClientId,
    /// How long to wait for a connection, and for each response
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    #[command(flatten)]
    tls: TlsOptions,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a report with charts: one HTML file that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A server to be measured.
struct Target {
    name: String,
    description: String,
    hsm: Hsm,
    /// The library is called in place of the server.
    library: Option<Arc<Platform>>,
}

/// Whose driver is called directly.
type Platform = PosixPlatform<RamStore>;

/// All results.
pub(crate) struct Results {
    date: String,
    machine: Machine,
    seconds: f64,
    targets: Vec<(String, String)>,
    rows: Vec<Row>,
    /// One and many clients over each transport.
    transports: Vec<transports::Row>,
    /// Bytes that a connected client takes in our server: idle, and after it has used everything.
    memory: Option<Memory>,
    /// Index of the target over TCP, and of the one it is compared with.
    compared: Option<(usize, usize)>,
    /// Index of the library.
    library: Option<usize>,
    /// Indices of our servers over transports.
    own: Vec<usize>,
}

struct Row {
    group: &'static str,
    name: String,
    bytes: u32,
    /// For each target: what was measured, or why not.
    outcomes: Vec<Result<Summary, String>>,
}

struct Machine {
    processor: String,
    cores: usize,
    system: String,
}

pub(crate) struct Memory {
    clients: usize,
    idle: u64,
    busy: u64,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        let wanted = self.only.as_ref().map(|text| text.to_lowercase());
        let operations: Vec<_> = operations::all()
            .into_iter()
            .filter(|one| wanted.as_ref().is_none_or(|text| one.name.to_lowercase().contains(text)))
            .collect();
        if operations.is_empty() {
            bail!("no operation's name contains `{}`", self.only.as_deref().unwrap_or_default());
        }
        // Opened before the work is done, which could otherwise be for nothing.
        for path in [&self.json, &self.html].into_iter().flatten() {
            fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        }

        let own = match self.server {
            Some(_) => None,
            // One for each transport, since each measures with the same objects.
            None => {
                let start = |number| ServerProcess::start(number).context("our own server does not start");
                Some([start(0)?, start(1)?, start(2)?])
            }
        };
        let mut targets = self.targets(own.as_ref())?;
        let mut progress = Progress::new(operations.len());
        let mut rows = Vec::new();
        for operation in &operations {
            progress.step(&operation.name);
            rows.push(self.measure(operation, &mut targets)?);
        }
        progress.step("transports and numbers of clients");
        let transports = match &own {
            Some([own, ..]) if wanted.is_none() => transports::measure(own, self.seconds, self.timeout)?,
            _ => Vec::new(),
        };
        progress.step("memory of connected clients");
        let memory = match &own {
            // One that has served nobody: what others have given back would be used again, and not be counted.
            Some(_) => {
                let fresh = ServerProcess::start(3).context("our own server does not start")?;
                fresh.memory(self.timeout)?
            }
            None => None,
        };
        progress.end();

        for target in &mut targets {
            target.hsm.close().with_context(|| format!("cannot close the session with {}", target.name))?;
        }
        let results = Results {
            date: timestamp(SystemTime::now()),
            machine: Machine::read(),
            seconds: self.seconds.as_secs_f64(),
            compared: self.against.is_some().then_some((1, 2)),
            library: targets.iter().position(|target| target.library.is_some()),
            own: (1..targets.len())
                .filter(|index| targets[*index].library.is_none() && !(self.against.is_some() && *index == 2))
                .collect(),
            targets: targets.into_iter().map(|target| (target.name, target.description)).collect(),
            rows,
            transports,
            memory,
        };
        results.print()?;
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&results.json())?;
            write(path, &format!("{text}\n"))?;
        }
        if let Some(path) = &self.html {
            write(path, &report::html(&results))?;
        }
        Ok(())
    }

    fn targets(&self, own: Option<&[ServerProcess; 3]>) -> Result<Vec<Target>> {
        let setup = Setup::default();
        let server = Arc::new(setup.server(setup.ram_store()?)?);
        let mut targets = vec![Target {
            name: "in process".to_owned(),
            description: "client and server in one thread, a request is a function call".to_owned(),
            hsm: in_process(handler(&setup, Arc::clone(&server)), setup.config.data_length),
            library: None,
        }];
        let mut add = |name: &str, address: &str, description: String| -> Result<()> {
            let hsm = connect(address, &self.tls, MAX_DATA_LENGTH, self.timeout)?;
            targets.push(Target { name: name.to_owned(), description, hsm, library: None });
            Ok(())
        };
        match (&self.server, own) {
            (Some(address), _) => add(transport_of(address), address, format!("the server at {address}"))?,
            (None, Some([own, ..])) => {
                add(
                    "TCP",
                    &own.address,
                    "casemate serve, another process on the loopback address".to_owned(),
                )?;
            }
            (None, None) => {}
        }
        if let Some(address) = &self.against {
            add(&self.against_name, address, format!("the server at {address}"))?;
        }
        if let Some([_, shared, local]) = own {
            add("shared memory", &shared.shm, "casemate serve over POSIX shared memory".to_owned())?;
            add("Unix socket", &local.unix, "casemate serve over a Unix-domain socket".to_owned())?;
        }
        let platform =
            PosixPlatform::new().map_err(|error| anyhow!("the library does not start: {error}"))?;
        targets.push(Target {
            name: "library".to_owned(),
            description: "the cryptographic library called directly, with the key as bytes".to_owned(),
            hsm: in_process(handler(&setup, server), setup.config.data_length),
            library: Some(Arc::new(platform)),
        });
        for target in &mut targets {
            target.hsm.init(self.client).with_context(|| format!("{} does not accept us", target.name))?;
            target.hsm.learn_limits()?;
        }
        Ok(targets)
    }

    /// Measures one operation on all targets, which take turns.
    fn measure(&self, operation: &Operation, targets: &mut [Target]) -> Result<Row> {
        // Short turns: what disturbs one server disturbs the others as much.
        let turns = u32::try_from(self.seconds.as_millis() / 20).unwrap_or(u32::MAX).clamp(4, 500);
        let mut runs: Vec<Result<(Prepared, Samples), String>> = targets
            .iter_mut()
            .map(|target| {
                let prepared = target.prepare(operation).map_err(|error| format!("{error:#}"))?;
                Ok((prepared, Samples::default()))
            })
            .collect();
        let turn = self.seconds / turns;
        for _ in 0..turns {
            for (run, target) in runs.iter_mut().zip(&mut *targets) {
                let Ok((prepared, samples)) = run else { continue };
                if let Err(error) = take_turn(prepared, &mut target.hsm, samples, turn) {
                    *run = Err(error.to_string());
                    if !matches!(error, casemate_client::Error::Remote(_)) {
                        return Err(error).with_context(|| format!("{}: {}", target.name, operation.name));
                    }
                }
            }
        }
        let mut outcomes = Vec::new();
        for (run, target) in runs.into_iter().zip(targets) {
            outcomes.push(match run {
                Ok((prepared, samples)) => {
                    let undone = (prepared.undo)(&mut target.hsm);
                    undone
                        .with_context(|| format!("{}: cleaning up after {}", target.name, operation.name))?;
                    samples.summary().ok_or_else(|| "no time was measured".to_owned())
                }
                Err(error) => Err(error),
            });
        }
        Ok(Row { group: operation.group, name: operation.name.clone(), bytes: operation.bytes, outcomes })
    }
}

impl Target {
    fn prepare(&mut self, operation: &Operation) -> Result<Prepared> {
        let Some(platform) = &self.library else { return (operation.prepare)(&mut self.hsm) };
        let platform = Arc::clone(platform);
        let call = library::call(&operation.name, platform.crypto(Affinity::Accelerated))?;
        let mut call = call.context("no call of the library does this")?;
        Ok(Prepared::plain(move |_| {
            // Which error it is does not matter: none is expected, and the report shows that there was one.
            call(platform.crypto(Affinity::Accelerated))
                .map_err(|_| casemate_client::Error::Remote(Status::ABORTED))
        }))
    }
}

/// What the column of a server is called.
fn transport_of(address: &str) -> &'static str {
    match address.split_once("://") {
        None | Some(("tcp", _)) => "TCP",
        Some(("unix", _)) => "Unix socket",
        Some(("shm", _)) => "shared memory",
        Some(_) => "TLS",
    }
}

/// Runs an operation for a while, after a tenth of that time to warm up.
fn take_turn(
    prepared: &mut Prepared,
    hsm: &mut Hsm,
    samples: &mut Samples,
    turn: Duration,
) -> Result<(), casemate_client::Error<casemate_posix::LinkError>> {
    if samples.is_full() {
        return Ok(());
    }
    let begin = Instant::now();
    while begin.elapsed() < turn / 10 {
        (prepared.step)(hsm)?;
    }
    let begin = Instant::now();
    let mut last = begin;
    let mut calls = 0;
    loop {
        (prepared.step)(hsm)?;
        calls += 1;
        // One look at the clock ends one time and begins the next.
        let now = Instant::now();
        samples.push(now - last);
        last = now;
        if now - begin >= turn || samples.is_full() {
            samples.end_turn(calls, now - begin);
            return Ok(());
        }
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// One line that is written over and over, if a terminal shows it.
struct Progress {
    is_shown: bool,
    done: usize,
    all: usize,
}

impl Progress {
    fn new(operations: usize) -> Self {
        Self { is_shown: io::stderr().is_terminal(), done: 0, all: operations + 2 }
    }

    fn step(&mut self, name: &str) {
        self.done += 1;
        if self.is_shown {
            let mut terminal = io::stderr().lock();
            let _ = write!(terminal, "\r\x1b[K[{:>2}/{}] {name}", self.done, self.all);
            let _ = terminal.flush();
        }
    }

    fn end(&self) {
        if self.is_shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

impl Machine {
    fn read() -> Self {
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = information
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor,
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            system: format!("{} {}", std::env::consts::OS, kernel.trim()).trim().to_owned(),
        }
    }
}

impl Results {
    fn print(&self) -> Result<()> {
        let Machine { processor, cores, system } = &self.machine;
        say(format_args!("{processor}, {cores} cores, {system}; {} s for each operation", self.seconds))?;
        for (index, (name, description)) in self.targets.iter().enumerate() {
            say(format_args!("\n{}: {description}", name.to_uppercase()))?;
            let mut table = Table::new(&[
                ("OPERATION", Align::Left),
                ("p50 µs", Align::Right),
                ("p90 µs", Align::Right),
                ("p99 µs", Align::Right),
                ("PER SECOND", Align::Right),
                ("MB/s", Align::Right),
            ]);
            // Not everything that a server does is a library's work.
            let is_shown = |row: &&Row| self.library != Some(index) || row.outcomes[index].is_ok();
            for row in self.rows.iter().filter(is_shown) {
                table.row(match &row.outcomes[index] {
                    Ok(summary) => vec![
                        row.name.clone(),
                        three(summary.p50),
                        three(summary.p90),
                        three(summary.p99),
                        three(summary.per_second),
                        if row.bytes > 0 { three(summary.megabytes(row.bytes)) } else { String::new() },
                    ],
                    Err(_) => vec![row.name.clone(), "-".to_owned()],
                });
            }
            print(table)?;
            for row in self.rows.iter().filter(is_shown) {
                if let Err(error) = &row.outcomes[index] {
                    say(format_args!("{}: {error}", row.name))?;
                }
            }
        }
        if let Some((ours, theirs)) = self.compared {
            say(format_args!(
                "\n{} COMPARED WITH {}",
                self.targets[ours].0,
                self.targets[theirs].0.to_uppercase()
            ))?;
            let mut table = Table::new(&[
                ("OPERATION", Align::Left),
                ("p50 µs", Align::Right),
                ("THEIRS", Align::Right),
                ("RATIO", Align::Right),
                ("PER SECOND", Align::Right),
                ("THEIRS", Align::Right),
                ("RATIO", Align::Right),
            ]);
            for row in &self.rows {
                if let (Ok(our), Ok(their)) = (&row.outcomes[ours], &row.outcomes[theirs])
                    && let Some(ratio) = row.ratio(ours, theirs)
                {
                    table.row([
                        row.name.clone(),
                        three(our.p50),
                        three(their.p50),
                        format!("{ratio:.2}"),
                        three(our.per_second),
                        three(their.per_second),
                        format!("{:.2}", our.per_second / their.per_second),
                    ]);
                }
            }
            print(table)?;
        }
        if let Some(library) = self.library {
            self.print_shares(library)?;
        }
        if !self.transports.is_empty() {
            transports::print_rows(&self.transports)?;
        }
        if let Some(Memory { clients, idle, busy }) = self.memory {
            say(format_args!(
                "\nMEMORY of our server for each of {clients} clients: {} KiB idle, {} KiB after filling the key \
                 cache and a packet of 8192 bytes",
                idle.div_ceil(1024),
                busy.div_ceil(1024)
            ))?;
        }
        Ok(())
    }

    /// How much of the library's speed is left in process, where it matters.
    fn print_shares(&self, library: usize) -> Result<()> {
        say("\nSHARE OF THE LIBRARY'S SPEED in process, operations of 20 µs and more")?;
        let mut table = Table::new(&[
            ("OPERATION", Align::Left),
            ("p50 µs", Align::Right),
            ("LIBRARY", Align::Right),
            ("SHARE", Align::Right),
        ]);
        for (row, share) in self.shares(library) {
            if let (Ok(our), Ok(their)) = (&row.outcomes[0], &row.outcomes[library]) {
                let share = format!("{:.0} %", 100.0 * share);
                table.row([row.name.clone(), three(our.p50), three(their.p50), share]);
            }
        }
        print(table)
    }

    /// Operations that take the library 20 µs and more, and the share of its speed that is left in process.
    fn shares(&self, library: usize) -> Vec<(&Row, f64)> {
        let is_long = |row: &&Row| row.outcomes[library].as_ref().is_ok_and(|summary| summary.p50 >= 20.0);
        let rows = self.rows.iter().filter(is_long);
        rows.filter_map(|row| Some((row, row.ratio(0, library)?))).collect()
    }

    fn json(&self) -> Value {
        let outcome = |outcome: &Result<Summary, String>, bytes: u32, target: &str| match outcome {
            Err(error) => json!({ "target": target, "error": error }),
            Ok(summary) => json!({
                "target": target,
                "count": summary.count,
                "operations_per_second": summary.per_second,
                "megabytes_per_second": (bytes > 0).then(|| summary.megabytes(bytes)),
                "microseconds": {
                    "minimum": summary.curve[0],
                    "p50": summary.p50,
                    "p90": summary.p90,
                    "p99": summary.p99,
                    "maximum": summary.curve[statistics::CURVE.len() - 1],
                },
            }),
        };
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let results: Vec<_> = row
                    .outcomes
                    .iter()
                    .zip(&self.targets)
                    .map(|(one, (target, _))| outcome(one, row.bytes, target))
                    .collect();
                json!({ "group": row.group, "name": row.name, "bytes": row.bytes, "results": results })
            })
            .collect();
        let targets: Vec<_> = self
            .targets
            .iter()
            .map(|(name, description)| json!({ "name": name, "description": description }))
            .collect();
        json!({
            "program": concat!("casemate ", env!("CARGO_PKG_VERSION")),
            "date": self.date,
            "machine": {
                "processor": self.machine.processor,
                "cores": self.machine.cores,
                "system": self.machine.system,
            },
            "seconds_per_operation": self.seconds,
            "targets": targets,
            "operations": rows,
            "transports": transports::json(&self.transports),
            "memory": self.memory.as_ref().map(|memory| json!({
                "clients": memory.clients,
                "idle_bytes_per_client": memory.idle,
                "busy_bytes_per_client": memory.busy,
            })),
        })
    }
}
