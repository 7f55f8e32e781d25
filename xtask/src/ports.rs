//! `cargo xtask ports`: builds every port, runs the conformance suite of each that can run here, and prints what it
//! found. A port's own file or function makes its row; the list is [`PORTS`].

mod c_route;
mod images;
mod spc58nn;
mod tc3xx;

use crate::command::Task;
use crate::{Context, Outcome, tools};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is known of a port after it was built and run.
#[derive(Default)]
pub(crate) struct Row {
    /// What was built and what ran, in a few words.
    pub(crate) runs: String,
    /// The last line of the conformance suite, without its first word; empty if it did not run.
    pub(crate) conformance: String,
    /// Program flash in bytes.
    pub(crate) flash: Option<u64>,
    /// Static RAM in bytes.
    pub(crate) ram: Option<u64>,
    /// Deepest stack in bytes.
    pub(crate) stack: Option<u64>,
}

/// The libraries' back ends for small flash, and for words of 32 bits: with compilers that show the features of Arm targets
/// (a nightly one, or one with `RUSTC_BOOTSTRAP`) they would take words of 64 bits on a Cortex-M.
const SMALL_BACK_ENDS: &str =
    "--cfg aes_backend_soft=\"compact\" --cfg sha2_backend_soft=\"compact\" --cfg cpubits=\"32\"";

/// Why there is no row.
pub(crate) enum Fault {
    /// Something is not installed here, and could not be; the step counts as skipped.
    Missing(String),
    /// The port does not build, does not run or does not conform.
    Failed(String),
}

impl From<String> for Fault {
    fn from(fault: String) -> Self {
        Self::Failed(fault)
    }
}

/// A port: its name, and what builds and runs it.
struct Port {
    name: &'static str,
    run: fn(&Context) -> Result<Row, Fault>,
}

/// Every port. Add a line here.
const PORTS: &[Port] = &[
    Port { name: "posix", run: posix },
    Port { name: "skeleton", run: skeleton },
    Port { name: "c-client", run: crate::c_library::cortex_m3 },
    Port { name: "tc3xx", run: tc3xx::row },
    Port { name: "spc58nn", run: spc58nn::row },
    Port { name: "spc58nn-c", run: c_route::row },
    Port { name: "netduinoplus2", run: netduinoplus2 },
];

/// Ports that are not in the list, such as a new one: they run the conformance suite on this host.
fn unlisted(context: &Context) -> Vec<String> {
    let folders = std::fs::read_dir(context.root.join("ports")).into_iter().flatten().flatten();
    let mut names: Vec<String> = folders
        .filter(|folder| folder.path().join("Cargo.toml").is_file())
        .filter_map(|folder| folder.file_name().into_string().ok())
        .filter(|name| !PORTS.iter().any(|port| port.name == name))
        .collect();
    names.sort();
    names
}

pub(crate) fn ports(context: &Context, arguments: &[String]) -> Outcome {
    let unlisted = unlisted(context);
    let names: Vec<&str> =
        PORTS.iter().map(|port| port.name).chain(unlisted.iter().map(String::as_str)).collect();
    if let Some(unknown) = arguments.iter().find(|name| !names.contains(&name.as_str())) {
        return Outcome::Fail(format!("there is no port `{unknown}`; there are: {}", names.join(", ")));
    }
    let chosen = names
        .into_iter()
        .filter(|name| arguments.is_empty() || arguments.iter().any(|chosen| chosen == name));
    let rows: Vec<_> = chosen
        .map(|name| match PORTS.iter().find(|port| port.name == name) {
            Some(port) => (name, (port.run)(context)),
            None => (name, on_host(context, name)),
        })
        .collect();

    println!("\n{:<13} {:>9} {:>9} {:>9}  what runs", "port", "flash", "RAM", "stack");
    let number = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |value| value.to_string());
    let (mut failed, mut missing) = (Vec::new(), Vec::new());
    for (name, row) in &rows {
        match row {
            Ok(row) => {
                let sizes = (number(row.flash), number(row.ram), number(row.stack));
                println!("{name:<13} {:>9} {:>9} {:>9}  {}", sizes.0, sizes.1, sizes.2, row.runs);
                if !row.conformance.is_empty() {
                    println!("{:<44} {}", "", row.conformance);
                }
            }
            Err(Fault::Missing(reason)) => {
                println!("{name:<13} {:>9} {:>9} {:>9}  not run: {reason}", "–", "–", "–");
                missing.push(format!("{name}: {reason}"));
            }
            Err(Fault::Failed(fault)) => {
                println!("{name:<13} {:>9} {:>9} {:>9}  FAILED: {fault}", "–", "–", "–");
                failed.push(format!("{name}: {fault}"));
            }
        }
    }
    println!("(bytes; – is not measured)");
    match (failed.is_empty(), missing.is_empty()) {
        (false, _) => Outcome::Fail(failed.join("; ")),
        (true, false) => Outcome::Skip(missing.join("; ")),
        (true, true) => Outcome::Pass(format!("{} ports", rows.len())),
    }
}

/// `cargo xtask footprint [PORT...] [CONFIGURATION...]`: figures of every port to a chip in every configuration, or of those
/// named.
pub(crate) fn footprint(context: &Context, arguments: &[String]) -> Outcome {
    type Measure = fn(&Context, &[String]) -> Outcome;
    const CHIPS: [(&str, Measure); 2] = [("tc3xx", tc3xx::footprint), ("spc58nn", spc58nn::footprint)];
    let is_chip = |argument: &String| CHIPS.iter().any(|(name, _)| argument == name);
    let (chips, configurations): (Vec<String>, Vec<String>) = arguments.iter().cloned().partition(is_chip);
    let unknown = configurations.iter().find(|name| !["a", "b", "c", "d"].contains(&name.as_str()));
    if let Some(unknown) = unknown {
        return Outcome::Fail(format!("`{unknown}` is neither a port nor a configuration"));
    }
    let (mut passed, mut skipped, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, measure) in CHIPS {
        if !chips.is_empty() && !chips.iter().any(|chip| chip == name) {
            continue;
        }
        match measure(context, &configurations) {
            Outcome::Pass(note) => passed.push(format!("{name}: {note}")),
            Outcome::Skip(reason) => skipped.push(format!("{name}: {reason}")),
            Outcome::Fail(fault) => failed.push(format!("{name}: {fault}")),
        }
    }
    match (failed.is_empty(), skipped.is_empty()) {
        (false, _) => Outcome::Fail(failed.join("; ")),
        (true, false) => Outcome::Skip(skipped.join("; ")),
        (true, true) => Outcome::Pass(passed.join("; ")),
    }
}

/// A program that is ended when this is dropped.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Result<Self, String> {
        let child = command.stdin(Stdio::null()).spawn();
        let name = command.get_program().to_string_lossy();
        child.map(Self).map_err(|error| format!("{name} did not start: {error}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after `wait`.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again and again for some minutes.
fn await_or_give_up(fault: &str, is_done: impl Fn() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !is_done() {
        if start.elapsed() > Duration::from_secs(300) {
            return Err(fault.to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// What a program has written to a file.
fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs a program that writes to `report` until one of these texts is there, and answers all that is.
fn until(command: Command, report: &Path, texts: [&str; 2]) -> Result<String, String> {
    let _running = Running::start(command)?;
    let has_said = || read(report).is_ok_and(|output| texts.iter().any(|text| output.contains(text)));
    await_or_give_up(&format!("the device says neither `{}`", texts.join("` nor `")), has_said)?;
    read(report)
}

/// The last line of a conformance report, `summary: …`, without its first word.
///
/// # Errors
/// If there is none, or it counts a failure.
pub(crate) fn summary(output: &str) -> Result<String, Fault> {
    let mut lines = output.lines().filter_map(|line| Some(line.split_once("summary: ")?.1));
    match lines.clone().find(|line| !line.contains(" 0 failed")).or_else(|| lines.next_back()) {
        Some(line) if line.contains(" 0 failed") => Ok(line.to_owned()),
        Some(line) => Err(Fault::Failed(format!("conformance: {line}"))),
        None => Err(Fault::Failed("the conformance suite printed no summary".to_owned())),
    }
}

/// Builds a `no_std` package for a Cortex-M3, alone, without default features.
pub(crate) fn build_for_cortex_m3(context: &Context, package: &str) -> Result<(), Fault> {
    let compiler = tools::device_compiler(context).map_err(Fault::Missing)?;
    Ok(compiler
        .build(context)?
        .arguments(["--lib", "--no-default-features", "--package", package])
        .locked(context)
        .run()?)
}

/// Runs the conformance suite as an example program on this host, and returns its summary.
pub(crate) fn conformance_on_host(context: &Context, package: &str) -> Result<String, Fault> {
    let (output, result) = Task::cargo(context)
        .arguments(["run", "--quiet", "--package", package, "--example", "conformance"])
        .locked(context)
        .run_reading_output();
    result?;
    summary(&output)
}

/// A port without a function of its own: on this host, and built for a Cortex-M3.
fn on_host(context: &Context, name: &str) -> Result<Row, Fault> {
    let package = format!("casemate-{name}");
    let conformance = conformance_on_host(context, &package)?;
    build_for_cortex_m3(context, &package)?;
    Ok(Row { runs: "on the host; builds for a Cortex-M3".to_owned(), conformance, ..Row::default() })
}

/// The skeleton lacks everything, which its own tests say; here it has to build, and to be said to lack it.
fn skeleton(context: &Context) -> Result<Row, Fault> {
    on_host(context, "skeleton")
}

/// The whole suite on the emulated board.
fn netduinoplus2(context: &Context) -> Result<Row, Fault> {
    let compiler = tc3xx::ready().and_then(|()| tools::device_compiler(context)).map_err(Fault::Missing)?;
    let package = "casemate-netduinoplus2";
    let suite = tc3xx::build(context, &compiler, package, "netduinoplus2-conformance", "firmware", "s")?;
    let (output, result) = Task::new("qemu-system-arm")
        .arguments(["-M", "netduinoplus2", "-display", "none", "-monitor", "none", "-serial", "none"])
        .arguments(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arguments([suite])
        .limit(Duration::from_secs(900))
        .run_reading_output();
    let conformance = summary(&output)?;
    result?;
    Ok(Row { runs: "on an emulated Cortex-M4".to_owned(), conformance, ..Row::default() })
}

/// The whole suite, with flash in RAM and in a file.
fn posix(context: &Context) -> Result<Row, Fault> {
    let conformance = conformance_on_host(context, "casemate-posix")?;
    Ok(Row { runs: "on the host, flash in RAM and in a file".to_owned(), conformance, ..Row::default() })
}
