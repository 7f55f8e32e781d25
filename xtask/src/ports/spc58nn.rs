//! The SPC58NN in emulation: the row of `cargo xtask ports`, and the figures of `cargo xtask footprint`.

use super::tc3xx::{at, free_address, held_a_key, said};
use super::{Fault, Row, Running, await_or_give_up, images, read, summary, until};
use crate::command::Task;
use crate::{Context, Outcome, tools};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "casemate-spc58nn";
/// How long one emulation may take.
const LIMIT: Duration = Duration::from_secs(900);
/// What stands in for the random number generator: bytes, and where the firmware looks for them.
const NOISE: usize = 0x10_0000;
const NOISE_ADDRESS: &str = "0x03000000";
/// Where it looks for an image of the data flash, and for the flash of the application cores.
const OBJECTS_ADDRESS: &str = "0x03300000";
const APPLICATIONS_ADDRESS: &str = "0x03200000";
/// Where the firmware looks for what it is asked to do.
const ARGUMENT_ADDRESS: &str = "0x03100000";

/// Builds the conformance suite and a firmware, runs both, and has a client on this machine use the firmware.
pub(super) fn row(context: &Context) -> Result<Row, Fault> {
    tools::programs(&["qemu-system-ppc"], &["qemu-system-ppc"]).map_err(Fault::Missing)?;
    // With the same features, so that the libraries are built once.
    let programs = ["spc58nn-conformance", "spc58nn-firmware"];
    let [suite, firmware] = build(context, programs, "firmware,conformance,images")?;
    let folder = folder(context)?;
    let noise = noise(&folder)?;

    // The suite ends with a reset, which ends the emulator.
    let report = folder.join("conformance.txt");
    let mut task = Task::new("qemu-system-ppc").limit(LIMIT).arguments(machine(&suite, &noise));
    task = task.arguments(["-serial", "none", "-serial", &format!("file:{}", report.display())]);
    task.run()?;
    let report = read(&report)?;
    print!("{report}");
    let conformance = summary(&report)?;

    let held = "cores held: 0b111";
    for (number, fault, cores) in
        [(1, "panic", held), (2, "exception", held), (3, "two exceptions", "cores cannot be held")]
    {
        fails_safely(&suite, &noise, &folder, number, cores)
            .map_err(|reason| format!("{fault}: {reason}"))?;
    }

    let images = images::make(context, &folder, "0xff", "0x4000")?;
    let report = folder.join("images.txt");
    let (released, refused) = ("READY", "SAFE STATE step images: image 0 was refused");
    images::decide(&images, released, refused, |image| {
        // What an earlier run has left; often there is nothing.
        let _ = std::fs::remove_file(&report);
        let mut command = Command::new("qemu-system-ppc");
        command.args(machine(&firmware, &noise)).args(flash(&images.objects, image)).args([
            "-serial",
            "none",
            "-serial",
            &format!("file:{}", report.display()),
        ]);
        until(command, &report, [released, refused])
    })?;

    let report = folder.join("firmware.txt");
    let stack = serve(context, &firmware, &noise, &flash(&images.objects, Some(&images.good)), &report)?;
    let report = read(&report)?;
    print!("{report}");
    let ready = line(&report, "READY")?;
    Ok(Row {
        runs:
            "boots, starts a signed application only, serves this machine's client on an emulated big-endian \
               PowerPC (configuration c)"
                .to_owned(),
        conformance,
        flash: number(ready, "flash"),
        ram: number(ready, "variables"),
        stack: Some(stack),
    })
}

/// Lets the core fail while its server holds a client's key: nothing of its RAM may be left. `cores` is what is said when the
/// application cores are to be held.
fn fails_safely(suite: &Path, noise: &Path, folder: &Path, number: u32, cores: &str) -> Result<(), String> {
    let report = folder.join(format!("fault-{number}.txt"));
    let argument = format!("loader,addr={ARGUMENT_ADDRESS},data={number},data-len=4");
    Task::new("qemu-system-ppc")
        .limit(LIMIT)
        .arguments(machine(suite, noise))
        .arguments(["-device", &argument, "-serial", "none"])
        .arguments(["-serial", &format!("file:{}", report.display())])
        .run()?;
    let output = read(&report)?;
    held_a_key(&output)?;
    said(&output, &[cores, "FAULT RAM and bridge are wiped"])
}

/// Builds programs for the core with Debian's compiler, since the target is none of Rust's own.
fn build<const COUNT: usize>(
    context: &Context,
    programs: [&str; COUNT],
    features: &str,
) -> Result<[PathBuf; COUNT], Fault> {
    let target = context.root.join("ports/spc58nn/powerpc-casemate-none-eabi.json");
    tools::debian_build(context)
        .map_err(Fault::Missing)?
        .locked(context)
        .arguments(["-Zjson-target-spec", "--target"])
        .arguments([&target])
        .arguments(["--package", PACKAGE, "--profile", "firmware", "--features", features])
        .arguments(programs.iter().flat_map(|program| ["--bin", program]))
        .variable("RUSTFLAGS", super::SMALL_BACK_ENDS)
        .run()?;
    let folder = context.target.join("xtask-debian/powerpc-casemate-none-eabi/firmware");
    Ok(programs.map(|program| folder.join(program)))
}

/// The emulated board, without its lines.
fn machine(program: &Path, noise: &Path) -> Vec<String> {
    let loader = at(noise, NOISE_ADDRESS);
    let mut arguments: Vec<String> =
        ["-M", "ppce500", "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot", "-device"]
            .map(str::to_owned)
            .into();
    arguments.extend([loader, "-kernel".to_owned(), program.display().to_string()]);
    arguments
}

/// What lies in the data flash, and in the application cores' flash.
fn flash(objects: &Path, image: Option<&Path>) -> Vec<String> {
    let mut arguments = vec!["-device".to_owned(), at(objects, OBJECTS_ADDRESS)];
    if let Some(image) = image {
        arguments.extend(["-device".to_owned(), at(image, APPLICATIONS_ADDRESS)]);
    }
    arguments
}

/// Runs the firmware in the emulator, has a client use it, and returns the deepest stack.
fn serve(
    context: &Context,
    firmware: &Path,
    noise: &Path,
    flash: &[String],
    report: &Path,
) -> Result<u64, String> {
    let address = free_address()?;
    let mut command = Command::new("qemu-system-ppc");
    command
        .args(machine(firmware, noise))
        .args(flash)
        .args(["-serial", &format!("tcp:{address},server=on,wait=off")])
        .args(["-serial", &format!("file:{}", report.display())]);
    use_as_client(context, command, &address, report)?;
    let report = read(report)?;
    number(report.lines().rev().find(|line| line.starts_with(ENDED)).unwrap_or_default(), "stack")
        .ok_or_else(|| "the firmware reported no stack".to_owned())
}

/// What is known of a configuration.
struct Figures {
    flash: u64,
    variables: u64,
    boot_stack: u64,
    /// Deepest stack of a served request.
    stack: u64,
    requests: u64,
}

/// Figures of every configuration, or of those named.
pub(super) fn footprint(context: &Context, arguments: &[String]) -> Outcome {
    if let Err(reason) = tools::programs(&["qemu-system-ppc"], &["qemu-system-ppc"]) {
        return Outcome::Skip(reason);
    }
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c", "d"] {
        if !arguments.is_empty() && !arguments.iter().any(|argument| argument == name) {
            continue;
        }
        match measure(context, name) {
            Ok(figures) => all.push((name, figures)),
            Err(Fault::Missing(reason)) => return Outcome::Skip(reason),
            Err(Fault::Failed(fault)) => faults.push(format!("configuration {name}: {fault}")),
        }
    }
    println!("\nPowerPC, classic encoding, opt-level s, in bytes; one client");
    println!(
        "\n| | flash | static RAM | stack, serving | stack, boot | requests |\n|---|---|---|---|---|---|"
    );
    for (name, Figures { flash, variables, boot_stack, stack, requests }) in &all {
        println!("| {name} | {flash} | {variables} | {stack} | {boot_stack} | {requests} |");
    }
    if faults.is_empty() {
        Outcome::Pass(format!("{} configurations", all.len()))
    } else {
        Outcome::Fail(faults.join("; "))
    }
}

/// Builds the firmware of a configuration, and has it do all that the configuration holds.
fn measure(context: &Context, configuration: &str) -> Result<Figures, Fault> {
    let features = format!("firmware,config-{configuration}");
    let [firmware] = build(context, ["spc58nn-firmware"], &features)?;
    // The same requests as those that the TC3xx is measured with.
    let drive = |mode: &'static str| {
        Task::cargo(context).arguments([mode, "--quiet", "--package", "casemate-tc3xx", "--example", "drive"])
    };
    drive("build").locked(context).run()?;
    let folder = folder(context)?;
    let (noise, report) = (noise(&folder)?, folder.join("figures.txt"));
    // What an earlier run has left; often there is nothing.
    let _ = std::fs::remove_file(&report);
    let address = free_address()?;
    let mut command = Command::new("qemu-system-ppc");
    command
        .args(machine(&firmware, &noise))
        .args(["-serial", &format!("tcp:{address},server=on,wait=off")])
        .args(["-serial", &format!("file:{}", report.display())]);
    let running = Running::start(command)?;
    let said = |text: &str| read(&report).is_ok_and(|output| output.contains(text));
    await_or_give_up("the firmware does not get ready", || said("READY"))?;
    drive("run").locked(context).arguments(["--", configuration, &address]).limit(LIMIT).run()?;
    await_or_give_up("the firmware reports no end of the session", || said(ENDED))?;
    drop(running);
    let report = read(&report)?;
    let (ready, ended) = (line(&report, "READY")?, line(&report, ENDED)?);
    let figure = |line, word| number(line, word).ok_or_else(|| format!("no number behind `{word}`: {line}"));
    Ok(Figures {
        flash: figure(ready, "flash")?,
        variables: figure(ready, "variables")?,
        boot_stack: figure(ready, "boot-stack")?,
        stack: figure(ended, "stack")?,
        requests: figure(ended, "requests")?,
    })
}

/// Where this port's files go.
fn folder(context: &Context) -> Result<PathBuf, String> {
    let folder = context.target.join("xtask-spc58nn");
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    Ok(folder)
}

/// How the firmware reports the end of a session.
const ENDED: &str = "ENDED the client ended the session";

/// Starts a program that serves one client at an address and writes what happens to a file; has the program of this
/// workspace use it as a client, and ends it.
fn use_as_client(context: &Context, command: Command, address: &str, report: &Path) -> Result<(), String> {
    // Built before the server starts: it waits for nobody.
    Task::cargo(context)
        .arguments(["build", "--quiet", "--package", "casemate-cli"])
        .locked(context)
        .run()?;
    // What an earlier run has left; often there is nothing.
    let _ = std::fs::remove_file(report);
    let _running = Running::start(command)?;
    let said = |text: &str, times: usize| {
        std::fs::read(report).is_ok_and(|all| String::from_utf8_lossy(&all).matches(text).count() >= times)
    };
    await_or_give_up("the firmware does not get ready", || said("READY", 1))?;
    let server = format!("tcp://{address}");
    let requests = [
        &["info"][..],
        &["echo", "big-endian"],
        &["random", "32"],
        &["key", "generate", "--length", "32", "--usage", "encrypt,decrypt", "--label", "xtask"],
        &["key", "list"],
    ];
    for arguments in requests {
        Task::cargo(context)
            .arguments(["run", "--quiet", "--package", "casemate-cli", "--"])
            .arguments(arguments)
            .arguments(["--server", &server])
            // An emulated core is slow on a slow machine.
            .variable("CASEMATE_TIMEOUT", "300")
            .limit(LIMIT)
            .run()?;
    }
    await_or_give_up("the firmware reports no end of a session", || said(ENDED, requests.len()))
}

/// A file of noise, from the operating system.
fn noise(folder: &Path) -> Result<PathBuf, String> {
    use std::io::Read;
    let path = folder.join("noise");
    let mut bytes = vec![0; NOISE];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.and_then(|()| std::fs::write(&path, bytes)).map_err(|error| format!("no noise: {error}"))?;
    Ok(path)
}

fn line<'a>(report: &'a str, start: &str) -> Result<&'a str, String> {
    report
        .lines()
        .find(|line| line.starts_with(start))
        .ok_or_else(|| format!("the firmware printed no {start}"))
}

/// The number behind a word.
fn number(line: &str, word: &str) -> Option<u64> {
    line.split_whitespace().skip_while(|next| *next != word).nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_understood() {
        let report = "cores held: 0b000\nREADY flash 100 variables 20 firmware 5 stack 9\nENDED x; requests 1 stack 7\n";
        let ready = line(report, "READY").unwrap();
        assert_eq!((number(ready, "flash"), number(ready, "variables")), (Some(100), Some(20)));
        assert_eq!(number(ready, "nothing"), None);
        assert!(line(report, "SAFE").is_err());
    }
}
