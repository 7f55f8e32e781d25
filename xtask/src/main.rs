//! Repository tasks: `cargo xtask test` runs every check of this project, `cargo xtask STEP` one of them.
//!
//! Only the standard library is used, so that the checks start on a fresh clone without a download.

mod apt;
mod c_library;
mod command;
mod deb;
mod front_doors;
mod links;
mod micropython;
mod new_port;
mod ports;
mod record;
mod steps;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How a step ended, with one line of text for the final table.
pub(crate) enum Outcome {
    /// Everything that the step covers was checked and is right. The text may be empty.
    Pass(String),
    /// The step could not run here; the text names what is missing.
    Skip(String),
    /// The step ran and found a fault; the text says which.
    Fail(String),
}

/// One check, run alone by `cargo xtask NAME`.
struct Step {
    name: &'static str,
    description: &'static str,
    run: fn(&Context, &[String]) -> Outcome,
}

/// What every step needs to know.
pub(crate) struct Context {
    /// The repository's root.
    root: PathBuf,
    /// Cargo's target directory; tools and separate builds live in folders of it.
    target: PathBuf,
    /// True under CI rules: lock files are binding, and a skipped step is a failed one.
    ci: bool,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", description: "formatting (cargo fmt --check)", run: steps::fmt },
    Step { name: "clippy", description: "lints on all targets, warnings are errors", run: steps::clippy },
    Step {
        name: "docs",
        description: "links of the Markdown files; rustdoc, warnings are errors",
        run: steps::docs,
    },
    Step { name: "unit", description: "unit, integration and documentation tests", run: steps::unit },
    Step {
        name: "embedded",
        description: "device crates for thumbv7m-none-eabi, core only",
        run: steps::embedded,
    },
    Step { name: "deny", description: "licences, sources, banned and duplicate crates", run: steps::deny },
    Step {
        name: "bench-smoke",
        description: "compile the benchmarks, run each once",
        run: steps::bench_smoke,
    },
    Step { name: "demo", description: "cargo run --release -- demo", run: steps::demo },
    Step {
        name: "tls-psk",
        description: "TLS with pre-shared keys, which needs the system's OpenSSL: lints and tests",
        run: steps::tls_psk,
    },
    Step {
        name: "front-doors",
        description: "OpenSC, OpenSSL, OpenSSH, GnuTLS, p11-kit and Python with keys of a server",
        run: front_doors::front_doors,
    },
    Step {
        name: "micropython",
        description: "the MicroPython modules: unix and Cortex-M3 builds, MicroPython's own tests",
        run: micropython::micropython,
    },
    Step {
        name: "c-library",
        description: "installs the C library, finds it with pkg-config and CMake, runs programs with it",
        run: c_library::step,
    },
    Step {
        name: "ports",
        description: "builds every port, runs what can run here through the conformance suite; ports NAME... some",
        run: ports::ports,
    },
    Step {
        name: "fuzz",
        description: "each fuzz target for XTASK_FUZZ_SECONDS (20); fuzz TARGET [INPUT] runs one",
        run: steps::fuzz,
    },
];

/// A measurement, no check: not among the steps of `test`.
const FOOTPRINT: Step = Step {
    name: "footprint",
    description: "flash, RAM, stack and instructions of firmware on emulated chips",
    run: ports::footprint,
};

const HELP: &str = "\
Usage: cargo xtask test [STEP...]   run every step, or those named
       cargo xtask test --list      list the steps
       cargo xtask ci               as `test`, by CI's rules (as with CI=true in the environment):
                                    lock files are binding, and a skipped step is a failed one
       cargo xtask STEP             run one step
       cargo xtask new-port NAME    make a port, ports/NAME, from the skeleton
       cargo xtask install [--prefix DIR] [--debug]
                                    build the client library for C; install header, libraries, pkg-config file
                                    and CMake package below DIR (/usr/local)
       cargo xtask micropython [build|bench]
                                    build MicroPython with the modules, and nothing else, or print their figures
       cargo xtask deb              build the Debian packages casemate and casemate-pkcs11 in target/debian
       cargo xtask footprint [tc3xx] [spc58nn] [a] [b] [c] [d]
                                    measure firmware of these ports in these configurations, in emulation: flash,
                                    RAM, stack, for tc3xx instructions too, with XTASK_FIRMWARE_LEVEL=z|s|2|3
       cargo xtask record PORT SERVER_PORT FILE
                                    write down the packets between a client that connects to PORT and the
                                    server at SERVER_PORT, both on this machine
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = repository_root();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let ci = matches!(std::env::var("CI").as_deref(), Ok("true" | "1"));
    let mut context = Context { root, target, ci };

    match arguments.split_first() {
        Some((first, rest)) if first == "test" || first == "ci" => {
            context.ci |= first == "ci";
            if rest.iter().any(|argument| argument == "--list") {
                list();
                return ExitCode::SUCCESS;
            }
            let mut chosen = Vec::new();
            for name in rest {
                match STEPS.iter().find(|step| step.name == name) {
                    Some(step) => chosen.push(step),
                    None => {
                        return usage(&format!("there is no step `{name}`; see `cargo xtask test --list`"));
                    }
                }
            }
            if chosen.is_empty() {
                chosen.extend(STEPS);
            }
            run(&context, &chosen, &[])
        }
        Some((first, rest)) if first == "new-port" => {
            let [name] = rest else { return usage("`new-port` takes the name of the port") };
            match new_port::new_port(&context, name) {
                Ok(()) => ExitCode::SUCCESS,
                Err(fault) => {
                    eprintln!("xtask: {fault}");
                    ExitCode::FAILURE
                }
            }
        }
        Some((first, rest)) if first == "install" => match c_library::install(&context, rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                eprintln!("xtask: {fault}");
                ExitCode::FAILURE
            }
        },
        Some((first, [])) if first == "deb" => match deb::packages(&context) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                eprintln!("xtask: {fault}");
                ExitCode::FAILURE
            }
        },
        Some((first, rest)) if first == FOOTPRINT.name => run(&context, &[&FOOTPRINT], rest),
        Some((first, rest)) if first == "record" => {
            let ports = (
                rest.first().and_then(|port| port.parse().ok()),
                rest.get(1).and_then(|port| port.parse().ok()),
            );
            let ([_, _, file], (Some(listen), Some(server))) = (rest, ports) else {
                return usage("`record` takes two port numbers and a file to make");
            };
            match record::record(listen, server, file) {
                Ok(()) => ExitCode::SUCCESS,
                Err(fault) => {
                    eprintln!("xtask: {fault}");
                    ExitCode::FAILURE
                }
            }
        }
        Some((first, rest)) => match STEPS.iter().find(|step| step.name == first) {
            // Only these take arguments of their own.
            Some(step) if rest.is_empty() || matches!(step.name, "fuzz" | "micropython" | "ports") => {
                run(&context, &[step], rest)
            }
            Some(_) => usage(&format!("`{first}` takes no arguments")),
            None if matches!(first.as_str(), "help" | "--help" | "-h") => {
                println!("{HELP}");
                list();
                ExitCode::SUCCESS
            }
            None => usage(&format!("there is no command `{first}`")),
        },
        None => usage("a command is missing"),
    }
}

fn usage(fault: &str) -> ExitCode {
    eprintln!("xtask: {fault}\n\n{HELP}");
    ExitCode::from(2)
}

fn list() {
    println!("Steps:");
    for step in STEPS {
        println!("  {:<12} {}", step.name, step.description);
    }
}

fn run(context: &Context, chosen: &[&Step], arguments: &[String]) -> ExitCode {
    let mut rows = Vec::new();
    for step in chosen {
        println!("\n=== {}: {}", step.name, step.description);
        let start = Instant::now();
        let outcome = match (step.run)(context, arguments) {
            Outcome::Skip(reason) if context.ci => {
                Outcome::Fail(format!("skipped, which CI forbids: {reason}"))
            }
            outcome => outcome,
        };
        rows.push(Row { name: step.name, outcome, time: start.elapsed() });
    }
    report(&rows)
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    time: Duration,
}

/// Prints the table and the closing line; fails when a step failed or nothing was checked.
fn report(rows: &[Row]) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0_usize, 0_usize, 0_usize);
    println!("\n{:<12} {:<6} {:>9}  note", "step", "result", "time");
    for row in rows {
        let (result, note) = match &row.outcome {
            Outcome::Pass(note) => {
                passed += 1;
                ("pass", note)
            }
            Outcome::Skip(note) => {
                skipped += 1;
                ("skip", note)
            }
            Outcome::Fail(note) => {
                failed += 1;
                ("FAIL", note)
            }
        };
        // The details of a failure come below the table.
        let note = note.lines().next().unwrap_or_default();
        let line = format!("{:<12} {:<6} {:>7.1} s  {note}", row.name, result, row.time.as_secs_f64());
        println!("{}", line.trim_end());
    }
    for row in rows {
        if let Outcome::Fail(note) = &row.outcome
            && let Some((_, details)) = note.split_once('\n')
        {
            println!("\nThe failure of {}:\n{details}", row.name);
        }
    }
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folder above this package's own.
fn repository_root() -> PathBuf {
    // `cargo run` sets the variable at run time, which still holds when the binary was built elsewhere.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
