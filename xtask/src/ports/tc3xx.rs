//! The AURIX TC3xx in emulation: the row of `cargo xtask ports`, and the figures of `cargo xtask footprint`.

use super::{Fault, Row, Running, await_or_give_up, images, summary, until};
use crate::command::Task;
use crate::{Context, Outcome, tools};
use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "casemate-tc3xx";
/// How long one emulation may take.
const LIMIT: Duration = Duration::from_secs(900);

/// What the driving program measured in one configuration.
struct Figures {
    flash: u64,
    ram: u64,
    /// What a server with one client, without global keys, takes of the RAM.
    ram_one_client: u64,
    /// Deepest stack of a served request.
    stack: u64,
    /// The request with that stack.
    deepest: String,
    boot: u64,
    boot_stack: u64,
    /// Name, instructions, stack.
    operations: Vec<(String, u64, u64)>,
}

/// Builds the conformance suite and a firmware, runs both, and drives the firmware as two clients.
pub(super) fn row(context: &Context) -> Result<Row, Fault> {
    let compiler = ready().and_then(|()| tools::device_compiler(context)).map_err(Fault::Missing)?;
    // With the same features, so that the libraries are built once.
    let features = "firmware,conformance,images";
    let suite = build(context, &compiler, PACKAGE, "tc3xx-conformance", features, "s")?;
    let verifier = build(context, &compiler, PACKAGE, "tc3xx-firmware", features, "s")?;
    let (output, result) = emulator(&suite).limit(LIMIT).run_reading_output();
    let conformance = summary(&output)?;
    result?;
    fails_safely(&suite, "panic", "application cores held")?;
    fails_safely(&suite, "trap", "application cores held")?;
    fails_safely(&suite, "trap-twice", "application cores cannot be held")?;
    verifies_images(context, &verifier)?;
    let figures = drive(context, &compiler, "c", "s")?;
    Ok(Row {
        runs: format!(
            "boots, starts a signed application only, serves two clients on an emulated Cortex-M3 (configuration c): \
             {} operations checked",
            figures.operations.len()
        ),
        conformance,
        flash: Some(figures.flash),
        ram: Some(figures.ram),
        stack: Some(figures.stack),
    })
}

pub(super) fn ready() -> Result<(), String> {
    tools::programs(&["qemu-system-arm"], &["qemu-system-arm"])
}

/// Builds a program of a package for a Cortex-M.
pub(super) fn build(
    context: &Context,
    compiler: &tools::DeviceCompiler,
    package: &str,
    program: &str,
    features: &str,
    level: &str,
) -> Result<PathBuf, String> {
    compiler
        .build(context)?
        .locked(context)
        .arguments(["--package", package, "--bin", program, "--profile", "firmware"])
        .arguments(["--features", features])
        .variable("RUSTFLAGS", super::SMALL_BACK_ENDS)
        .variable("CARGO_PROFILE_FIRMWARE_OPT_LEVEL", level)
        .run()?;
    Ok(compiler.artifacts(context).join("firmware").join(program))
}

/// Lets the core fail while its server holds a client's key: nothing of its RAM may be left. `cores` is what is said when the
/// application cores are to be held.
fn fails_safely(suite: &Path, fault: &str, cores: &str) -> Result<(), String> {
    // The emulator ends with the status of a failure, as it must.
    let (output, _) = emulator(suite)
        .arguments(["-semihosting-config", &format!("arg={fault}")])
        .limit(LIMIT)
        .run_reading_output();
    held_a_key(&output)
        .and_then(|()| said(&output, &[cores, "fault: RAM and bridge are wiped"]))
        .map_err(|reason| format!("{fault}: {reason}"))
}

/// Has the firmware boot with images of application cores: these are released for the signed one only.
fn verifies_images(context: &Context, firmware: &Path) -> Result<(), Fault> {
    let folder = context.target.join("xtask-tc3xx");
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    // The large memory map of the emulation, which the conformance suite wants.
    let images = images::make(context, &folder, "0x00", "0x80000")?;
    let console = folder.join("console.txt");
    let (released, refused) = ("application cores released", "safe state: step images: image 0 was refused");
    let boot = |image: Option<&Path>| {
        let output = File::create(&console).map_err(|error| format!("{}: {error}", console.display()))?;
        let mut command = Command::new("qemu-system-arm");
        command.args(machine()).args(["-serial", "none", "-device"]).arg(at(&images.objects, DATA_FLASH));
        if let Some(image) = image {
            command.arg("-device").arg(at(image, APPLICATIONS));
        }
        command.arg("-kernel").arg(firmware).stdout(output);
        until(command, &console, [released, refused])
    };
    Ok(images::decide(&images, released, refused, boot)?)
}

/// Where the emulated board has the data flash and the application cores' flash (`memory_map::EMULATED_LARGE`).
const DATA_FLASH: &str = "0x21000000";
const APPLICATIONS: &str = "0x21200000";

/// An emulator's argument: this file lies at that address.
pub(super) fn at(file: &Path, address: &str) -> String {
    format!("loader,file={},addr={address},force-raw=on", file.display())
}

/// Whether the core has said each of these lines.
pub(super) fn said(output: &str, lines: &[&str]) -> Result<(), String> {
    match lines.iter().find(|line| !output.contains(**line)) {
        None => Ok(()),
        Some(line) => Err(format!("the core did not say `{line}`, but:\n{output}")),
    }
}

/// Whether the core had found copies of a client's key, beside its own, in its RAM and in the bridge: without them there
/// was nothing to be wiped.
pub(super) fn held_a_key(output: &str) -> Result<(), String> {
    let counts: Option<Vec<u32>> = output.lines().find_map(|line| {
        let (_, counts) = line.split_once("copies of a client's key: ")?;
        counts.split(", ").map(|count| count.split(' ').next()?.parse().ok()).collect()
    });
    match counts.as_deref() {
        Some([in_ram, in_bridge]) if *in_ram > 0 && *in_bridge > 0 => Ok(()),
        _ => Err(format!("no client's key was both in RAM and in the bridge:\n{output}")),
    }
}

fn machine() -> [&'static str; 10] {
    [
        "-M",
        "mps2-an385",
        "-cpu",
        "cortex-m3",
        "-display",
        "none",
        "-monitor",
        "none",
        "-semihosting-config",
        "enable=on,target=native",
    ]
}

fn emulator(program: &Path) -> Task {
    Task::new("qemu-system-arm")
        .arguments(machine())
        .arguments(["-serial", "none", "-kernel"])
        .arguments([program])
}

/// Builds the firmware of a configuration, runs it with counted instructions, and drives it.
fn drive(
    context: &Context,
    compiler: &tools::DeviceCompiler,
    configuration: &str,
    level: &str,
) -> Result<Figures, String> {
    let features = format!("firmware,figures,config-{configuration}");
    let firmware = build(context, compiler, PACKAGE, "tc3xx-firmware", &features, level)?;
    // Built before the emulator starts: it waits for nobody.
    Task::cargo(context)
        .arguments(["build", "--package", PACKAGE, "--example", "drive"])
        .locked(context)
        .run()?;
    let console = context.target.join("tc3xx-console.txt");
    let output = File::create(&console).map_err(|error| format!("{}: {error}", console.display()))?;
    // Configuration d has RAM for one client.
    let lines = if configuration == "d" { 1 } else { 2 };
    let addresses = (0..lines).map(|_| free_address()).collect::<Result<Vec<_>, _>>()?;
    let mut command = Command::new("qemu-system-arm");
    command.args(machine()).args(["-icount", "shift=0"]);
    for address in &addresses {
        command.args(["-serial", &format!("tcp:{address},server,nowait")]);
    }
    command.arg("-kernel").arg(&firmware).stdout(output);
    let running = Running::start(command)?;
    await_or_give_up("the emulator opens no serial line", || TcpStream::connect(&addresses[0]).is_ok())?;
    let (operations, result) = Task::cargo(context)
        .arguments(["run", "--quiet", "--package", PACKAGE, "--example", "drive", "--", configuration])
        .arguments(&addresses)
        .limit(LIMIT)
        .run_reading_output();
    drop(running);
    result?;
    let console = std::fs::read_to_string(&console).map_err(|error| error.to_string())?;
    figures(&console, &operations)
}

/// An address on this machine that nobody listens at, for an emulator, which cannot choose one by itself.
pub(super) fn free_address() -> Result<String, String> {
    tools::free_port().map(|port| format!("127.0.0.1:{port}"))
}

/// Brings together what the firmware printed of each request and which requests an operation took.
fn figures(console: &str, operations: &str) -> Result<Figures, String> {
    let numbers = |line: &str| -> Vec<u64> {
        line.split_whitespace().skip(1).filter_map(|word| u64::from_str_radix(word, 16).ok()).collect()
    };
    let lines = |name: &str| -> Vec<Vec<u64>> {
        console.lines().filter(|line| line.split_whitespace().next() == Some(name)).map(numbers).collect()
    };
    let one = |name: &str, index: usize| {
        lines(name)
            .first()
            .and_then(|numbers| numbers.get(index).copied())
            .ok_or_else(|| format!("the firmware printed no line `{name}`"))
    };
    let requests = lines("request");
    let mut found = Vec::new();
    for line in operations.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some("op"), Some(first), Some(count), Some(name)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let first: usize = first.parse().map_err(|_| format!("not understood: {line}"))?;
        let count: usize = count.parse().map_err(|_| format!("not understood: {line}"))?;
        let taken = requests.get(first..first + count).ok_or_else(|| format!("not measured: {name}"))?;
        // The operation itself is the dearest of its requests; others bring its keys.
        let largest = |index: usize| taken.iter().filter_map(|request| request.get(index).copied()).max();
        found.push((name.to_owned(), largest(5).unwrap_or(0), largest(6).unwrap_or(0)));
    }
    let (deepest, stack) = found
        .iter()
        .max_by_key(|(_, _, stack)| *stack)
        .map(|(name, _, stack)| (name.clone(), *stack))
        .ok_or("nothing was measured")?;
    Ok(Figures {
        flash: one("sizes", 0)?,
        ram: one("sizes", 1)?,
        ram_one_client: one("sizes", 3)?.saturating_sub(one("sizes", 4)?),
        stack,
        deepest,
        boot: one("boot", 0)?,
        boot_stack: one("boot", 1)?,
        operations: found,
    })
}

/// The original in its small build, from the measurements in docs/footprint.md: flash, static RAM, stack.
const ORIGINAL: [(&str, [u64; 3]); 4] = [
    ("a", [32_008, 9_424, 1_640]),
    ("b", [40_300, 12_828, 1_640]),
    ("c", [85_620, 12_828, 4_640]),
    ("d", [142_664, 33_976, 11_128]),
];

/// Figures of every configuration, or of those named.
pub(super) fn footprint(context: &Context, arguments: &[String]) -> Outcome {
    let compiler = match ready().and_then(|()| tools::compiler_of_core(context)) {
        Ok(compiler) => compiler,
        Err(reason) => return Outcome::Skip(reason),
    };
    let level = std::env::var("XTASK_FIRMWARE_LEVEL").unwrap_or_else(|_| "s".to_owned());
    let mut all = Vec::new();
    let mut faults = Vec::new();
    for (name, original) in ORIGINAL {
        if !arguments.is_empty() && !arguments.iter().any(|argument| argument == name) {
            continue;
        }
        match drive(context, &compiler, name, &level) {
            Ok(figures) => all.push((name, original, figures)),
            Err(fault) => faults.push(format!("configuration {name}: {fault}")),
        }
    }
    println!("\nopt-level {level}, {}, in bytes; in parentheses the original's small build", compiler.name());
    println!(
        "\n| | flash | static RAM, one client | all of it | stack, serving | deepest | boot: kI, stack |\n\
         |---|---|---|---|---|---|---|"
    );
    for (name, [flash, ram, stack], figures) in &all {
        println!(
            "| {name} | {} ({flash}) | {} ({ram}) | {} | {} ({stack}) | {} | {}, {} |",
            figures.flash,
            figures.ram_one_client,
            figures.ram,
            figures.stack,
            figures.deepest,
            figures.boot / 1000,
            figures.boot_stack,
        );
    }
    if let Some((name, _, figures)) = all.last() {
        println!("\n| operation, configuration {name} | kI | stack |\n|---|---|---|");
        for (operation, instructions, stack) in &figures.operations {
            println!("| {operation} | {}.{} | {stack} |", instructions / 1000, instructions % 1000 / 100);
        }
    }
    if faults.is_empty() {
        Outcome::Pass(format!("{} configurations", all.len()))
    } else {
        Outcome::Fail(faults.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_to_have_been_there() {
        assert!(held_a_key("a\ncopies of a client's key: 3 in RAM, 1 in the bridge\nb\n").is_ok());
        for missing in ["0 in RAM, 1 in the bridge", "2 in RAM, 0 in the bridge", "2 in RAM", "", "x, y"] {
            assert!(held_a_key(&format!("copies of a client's key: {missing}\n")).is_err(), "{missing}");
        }
        assert!(held_a_key("").is_err());
        assert!(said("one\ntwo\n", &["one", "two"]).is_ok());
        assert!(said("one\n", &["one", "two"]).is_err());
    }

    #[test]
    fn figures_are_brought_together() {
        let console = "sizes 00001000 00000200 00000300 000000f0 00000020\nboot 000003e8 00000040\n\
                       request 00000001 00000001 0 0000000c 00000010 00000064 00000010\n\
                       request 00000003 00000001 0 0000000c 00000010 000000c8 00000020\n\
                       request 00000003 00000002 0 0000000c 00000010 00000032 00000008\n";
        let found = figures(console, "op 0 1 comm init\nother\nop 1 2 key cache 16 B\n").unwrap();
        assert_eq!((found.flash, found.ram, found.boot, found.boot_stack), (4096, 512, 1000, 64));
        assert_eq!(found.ram_one_client, 0xD0);
        assert_eq!((found.stack, found.deepest.as_str()), (32, "key cache 16 B"));
        assert_eq!(found.operations[1], ("key cache 16 B".to_owned(), 200, 32));
        assert!(figures(console, "op 2 2 too many\n").is_err());
        assert!(figures("", "op 0 0 nothing\n").is_err());
    }
}
