//! `cargo xtask micropython`: builds MicroPython with the modules of `micropython/` for unix and for an emulated
//! Cortex-M3, and runs MicroPython's own tests and ours with them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::apt::{Apt, Kind};
use crate::command::Task;
use crate::{Context, Outcome, tools};

/// Debian's source package of MicroPython, its suite, and the digest of its archive.
const VERSION: &str = "1.25.0+ds-1";
const SUITE: &str = "trixie";
const ARCHIVE: &str = "micropython_1.25.0+ds.orig.tar.xz";
const ARCHIVE_SHA256: &str = "7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea";

/// MicroPython's tests that the modules must pass under the standard names, as globs in its `tests` folder.
const UPSTREAM: &[&str] =
    &["extmod/hashlib_*.py", "extmod/cryptolib_*.py", "extmod/ssl_*.py", "extmod/tls_*.py"];

/// Its tests with two programs that speak to each other.
const UPSTREAM_PAIRS: &[&str] =
    &["multi_net/ssl_*.py", "multi_net/sslcontext_*.py", "multi_net/asyncio_tls_*.py", "multi_net/tls_*.py"];

/// Its test that its runner only runs on builds for coverage; here it is run by itself.
const DIRECT: &str = "extmod/ssl_poll.py";

/// Its tests that cannot pass, and why.
const NOT_APPLICABLE: &[(&str, &str)] = &[
    ("extmod/tls_dtls.py", "no DTLS"),
    ("multi_net/tls_dtls_server_client.py", "no DTLS"),
    ("extmod/tls_sslcontext_ciphers.py", "names CBC suites, which rustls does not have"),
    ("multi_net/sslcontext_server_client_ciphers.py", "demands a CBC suite, which rustls does not have"),
];

/// Why a test of its skips itself, where that is known.
const SKIPS: &[(&str, &str)] = &[("extmod/ssl_sslcontext.py", "needs sockets")];

/// The emulated Cortex-M3, whose console is a pseudo-terminal.
const EMULATOR: &str =
    "qemu-system-arm -machine mps2-an385 -nographic -monitor null -semihosting -serial pty";

/// How long a build or a run of tests may take.
const LIMIT: Duration = Duration::from_secs(40 * 60);

pub(crate) fn micropython(context: &Context, arguments: &[String]) -> Outcome {
    let goal = match arguments.first().map(String::as_str) {
        None => Goal::Test,
        Some("build") => Goal::Build,
        Some("bench") => Goal::Measure,
        Some(other) => return Outcome::Fail(format!("`{other}`: pass build, bench or nothing")),
    };
    match run(context, goal) {
        Ok(outcome) => outcome,
        Err(fault) => Outcome::Fail(fault),
    }
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Build both ports and run every test.
    Test,
    /// Build MicroPython for this machine and say where it is.
    Build,
    /// Print figures.
    Measure,
}

fn run(context: &Context, goal: Goal) -> Result<Outcome, String> {
    let folder = context.target.join("xtask-micropython");
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    if let Err(reason) = tools::programs(&["make", "gcc", "xz"], &["make", "gcc", "libc6-dev", "xz-utils"]) {
        return Ok(Outcome::Skip(reason));
    }
    let source = match source(&folder) {
        Ok(source) => source,
        Err(reason) => return Ok(Outcome::Skip(reason)),
    };
    let mut table = Vec::new();

    build_compiler(&source, &folder)?;
    let unix = build(context, &source, &folder, Port::Unix)?;
    match goal {
        Goal::Test => {}
        Goal::Build => return Ok(Outcome::Pass(format!("built {}", unix.display()))),
        Goal::Measure => return measure(context, &source, &folder, &unix),
    }
    let mut tests = tests(&source, UPSTREAM)?;
    tests.retain(|test| test != DIRECT);
    table.extend(run_tests(context, &source, &tests, "unix", &unix, None)?);
    table.push(run_directly(&source, &unix));
    table.extend(run_pairs(context, &source, &folder, &unix)?);
    table.extend(own_tests(context, &unix)?);
    table.push(interoperate(context, &unix)?);
    table.push(with_server(context, &source, &unix, None)?);

    let device = match device_tools(context) {
        Ok(compiler) => {
            for chip in [("f4", "STM32F437xx"), ("h5", "STM32H573xx")] {
                table.push(processors(context, &folder, &compiler, chip)?);
            }
            let firmware = build(context, &source, &folder, Port::Qemu(compiler))?;
            table.extend(run_tests(context, &source, &tests, "Cortex-M3", &unix, Some(&firmware))?);
            let own = own_device_tests(context, &folder)?;
            table.extend(run_tests(context, &source, &own, "Cortex-M3", &unix, Some(&firmware))?);
            table.push(with_server(context, &source, &unix, Some(&firmware))?);
            None
        }
        Err(reason) => Some(reason),
    };

    println!("\n{:<10} {:<56} result", "build", "test");
    for row in &table {
        println!("{:<10} {:<56} {}", row.build, row.test, row.result);
    }
    let count = |wanted: fn(&Verdict) -> bool| table.iter().filter(|row| wanted(&row.result)).count();
    let (passed, failed) =
        (count(|result| *result == Verdict::Pass), count(|result| *result == Verdict::Fail));
    let skipped = count(|result| matches!(result, Verdict::Skip(_)));
    let not_applicable = count(|result| matches!(result, Verdict::NotApplicable(_)));
    let summary =
        format!("{passed} passed, {failed} failed, {skipped} skipped, {not_applicable} not applicable");
    Ok(match device {
        _ if failed > 0 || passed == 0 => Outcome::Fail(summary),
        Some(reason) => Outcome::Skip(format!("unix: {summary}; Cortex-M3: {reason}")),
        None => Outcome::Pass(summary),
    })
}

/// One line of the final table.
struct Row {
    build: &'static str,
    test: String,
    result: Verdict,
}

/// What became of a test.
#[derive(PartialEq, Eq)]
enum Verdict {
    Pass,
    Fail,
    /// The test found that the build cannot run it.
    Skip(&'static str),
    /// The modules do not have what the test is about.
    NotApplicable(&'static str),
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => formatter.write_str("passed"),
            Self::Fail => formatter.write_str("FAILED"),
            Self::Skip(reason) => write!(formatter, "skipped: {reason}"),
            Self::NotApplicable(reason) => write!(formatter, "not applicable: {reason}"),
        }
    }
}

/// What the table says about a test in place of `pass`, `skip` or anything else that the runner said.
fn verdict(test: &str, said: Option<&str>) -> Verdict {
    let known = |list: &[(&str, &'static str)]| {
        list.iter().find(|(name, _)| *name == test).map(|(_, reason)| *reason)
    };
    match (known(NOT_APPLICABLE), said) {
        (Some(reason), _) => Verdict::NotApplicable(reason),
        (None, Some("pass")) => Verdict::Pass,
        (None, Some("skip")) => Verdict::Skip(known(SKIPS).unwrap_or("by itself")),
        (None, _) => Verdict::Fail,
    }
}

/// MicroPython's source: where `MICROPYTHON_SRC` says, or Debian's source package.
fn source(folder: &Path) -> Result<PathBuf, String> {
    if let Some(source) = std::env::var_os("MICROPYTHON_SRC") {
        let source = PathBuf::from(source);
        return if source.join("py/py.mk").is_file() {
            Ok(source)
        } else {
            Err(format!("MICROPYTHON_SRC={}: this is not MicroPython's source", source.display()))
        };
    }
    let source = folder.join(format!("source-{VERSION}"));
    if source.join("py/py.mk").is_file() {
        return Ok(source);
    }
    tools::programs(&["apt-get"], &["apt"])?;
    let archive = fetch(folder)?;
    let unpacked = folder.join("unpacked");
    // What an interrupted run left behind; often there is nothing.
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir_all(&unpacked)
        .map_err(|error| format!("{} cannot be made: {error}", unpacked.display()))?;
    Task::new("tar")
        .arguments(["-xJ", "--strip-components=1", "-f"])
        .arguments([&archive])
        .arguments(["-C".as_ref(), unpacked.as_path()])
        .run()?;
    fs::rename(&unpacked, &source)
        .map_err(|error| format!("{} cannot be made: {error}", source.display()))?;
    Ok(source)
}

/// Gets the archive with apt's own client and a configuration that leaves the system's alone.
fn fetch(folder: &Path) -> Result<PathBuf, String> {
    let apt = Apt::new(&folder.join("apt"), Kind::Source, SUITE)
        .map_err(|reason| format!("{reason}: set MICROPYTHON_SRC to a source tree"))?;
    apt.get(folder).arguments(["update"]).run()?;
    let package = format!("micropython={VERSION}");
    apt.get(folder).arguments(["--download-only", "source", &package]).run()?;
    let archive = folder.join(ARCHIVE);
    let digest = Task::new("sha256sum").arguments([&archive]).query().unwrap_or_default();
    if digest.split_whitespace().next() != Some(ARCHIVE_SHA256) {
        return Err(format!("{} is not the expected archive", archive.display()));
    }
    Ok(archive)
}

/// A port of MicroPython that is built.
enum Port {
    Unix,
    Qemu(tools::DeviceCompiler),
}

/// The package of the C library for Cortex-M.
const NEWLIB: &str = "libnewlib-arm-none-eabi";

/// What the emulated build needs.
fn device_tools(context: &Context) -> Result<tools::DeviceCompiler, String> {
    tools::programs(
        &["arm-none-eabi-gcc", "qemu-system-arm"],
        &["gcc-arm-none-eabi", NEWLIB, "qemu-system-arm"],
    )?;
    // The compiler may be there without the C library's headers.
    let preprocess = ["-E", "-include", "assert.h", "-x", "c", "/dev/null"];
    if Task::new("arm-none-eabi-gcc").arguments(preprocess).query().is_none() {
        tools::install(&[NEWLIB])?;
    }
    // MicroPython's test runner speaks to the emulator over a pseudo-terminal.
    if !tools::installed("python3-serial") {
        tools::install(&["python3-serial"])?;
    }
    tools::device_compiler(context)
}

/// Builds the compiler that MicroPython's make needs for what is frozen into a build.
fn build_compiler(source: &Path, folder: &Path) -> Result<(), String> {
    Task::new("make")
        .directory(&source.join("mpy-cross"))
        .limit(LIMIT)
        .arguments([jobs(), format!("BUILD={}", folder.join("mpy-cross").display())])
        .run()
}

fn jobs() -> String {
    format!("-j{}", std::thread::available_parallelism().map_or(1, usize::from))
}

/// Builds a port with the modules under the standard names; returns the program or the firmware.
fn build(context: &Context, source: &Path, folder: &Path, port: Port) -> Result<PathBuf, String> {
    let (name, product) = match port {
        Port::Unix => ("unix", "micropython"),
        Port::Qemu(_) => ("qemu", "firmware.elf"),
    };
    let output = folder.join(format!("build-{name}"));
    // MicroPython's make does not notice changed options, and its own part is built in a minute.
    let _ = fs::remove_dir_all(&output);
    let tests = context.root.join("micropython/tests");
    let compiler = folder.join("mpy-cross/mpy-cross");
    let make = Task::new("make")
        .directory(&source.join("ports").join(name))
        .limit(LIMIT)
        .arguments([jobs(), format!("BUILD={}", output.display())])
        .arguments([
            format!("USER_C_MODULES={}", context.root.join("micropython").display()),
            format!("CASEMATE_TARGET_DIR={}", folder.join("rust").display()),
            format!("WOLFSSL_PORT={name}"),
        ])
        .arguments(["WOLFSSL_ALIAS=1", "CASEMATE_TEST=1"])
        .arguments([
            format!("FROZEN_MANIFEST={}", tests.join("manifest.py").display()),
            format!("MPY_LIB_DIR={}", tests.join("lib").display()),
            format!("MICROPY_MPYCROSS={}", compiler.display()),
            format!("MICROPY_MPYCROSS_DEPENDENCY={}", compiler.display()),
        ]);
    let make = match port {
        // What Debian's archive does not hold the libraries of.
        Port::Unix => make.arguments(["MICROPY_PY_SSL=0", "MICROPY_PY_BTREE=0", "MICROPY_PY_FFI=0"]),
        Port::Qemu(compiler) => compiler.for_make(make),
    };
    make.run()?;
    Ok(output.join(product))
}

/// The tests that the globs name, as paths in MicroPython's `tests` folder.
fn tests(source: &Path, globs: &[&str]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for glob in globs {
        let (folder, pattern) = glob.rsplit_once('/').unwrap_or(("", glob));
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let folder_path = source.join("tests").join(folder);
        let entries = fs::read_dir(&folder_path)
            .map_err(|error| format!("{} cannot be read: {error}", folder_path.display()))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let before = found.len();
        found.extend(
            names
                .filter(|name| name.starts_with(start) && name.ends_with(end))
                .map(|name| format!("{folder}/{name}")),
        );
        if found.len() == before {
            return Err(format!("MicroPython's source has no test {glob}"));
        }
    }
    found.sort();
    Ok(found)
}

/// Runs MicroPython's tests with its own runner: on the unix program, or on firmware in the emulator.
fn run_tests(
    context: &Context,
    source: &Path,
    tests: &[String],
    build: &'static str,
    unix: &Path,
    firmware: Option<&Path>,
) -> Result<Vec<Row>, String> {
    let results = unix.with_file_name(format!("results-{build}"));
    // One at a time: several at once write into each other's lines.
    let mut task = runner(context, source, "run-tests.py", unix)
        .arguments(["-j1", "--result-dir"])
        .arguments([&results]);
    if let Some(firmware) = firmware {
        task = task.arguments(["-t", &format!("execpty:{EMULATOR} -kernel {}", firmware.display())]);
    }
    let (output, result) = task.arguments(tests).run_reading_output();
    let rows: Vec<Row> = tests
        .iter()
        .map(|test| {
            let said = output.lines().find(|line| line.split_whitespace().nth(1) == Some(test.as_str()));
            let result = verdict(test, said.and_then(|line| line.split_whitespace().next()));
            Row { build, test: test.clone(), result }
        })
        .collect();
    explain(result, &rows)?;
    Ok(rows)
}

/// A runner that failed must have said which test did.
fn explain(result: Result<(), String>, rows: &[Row]) -> Result<(), String> {
    let explained = |row: &Row| matches!(row.result, Verdict::Fail | Verdict::NotApplicable(_));
    if rows.iter().any(explained) { Ok(()) } else { result }
}

/// Runs [`DIRECT`] and compares what it prints.
fn run_directly(source: &Path, unix: &Path) -> Row {
    let folder = source.join("tests");
    let printed = Task::new(unix).directory(&folder).arguments([DIRECT]).query();
    let expected = fs::read_to_string(folder.join(format!("{DIRECT}.exp")));
    let same =
        printed.zip(expected.ok()).is_some_and(|(printed, expected)| printed.trim() == expected.trim());
    Row { build: "unix", test: DIRECT.into(), result: if same { Verdict::Pass } else { Verdict::Fail } }
}

/// Runs the tests with two programs. What some of them are to print depends on the numbers and texts of errors; ours are
/// in `micropython/tests/expected`.
fn run_pairs(context: &Context, source: &Path, folder: &Path, unix: &Path) -> Result<Vec<Row>, String> {
    let copy = folder.join("multi_net");
    // What an earlier run left behind; at first there is nothing.
    let _ = fs::remove_dir_all(&copy);
    for origin in [source.join("tests/multi_net"), context.root.join("micropython/tests/expected/multi_net")]
    {
        copy_files(&origin, &copy)
            .map_err(|error| format!("{} cannot be copied: {error}", origin.display()))?;
    }
    let tests = tests(source, UPSTREAM_PAIRS)?;
    let applicable: Vec<PathBuf> = tests
        .iter()
        .filter(|test| NOT_APPLICABLE.iter().all(|(name, _)| name != test))
        .map(|test| folder.join(test))
        .collect();
    let port = tools::free_port()?;
    for test in &applicable {
        make_independent(test, port)
            .map_err(|error| format!("{} cannot be changed: {error}", test.display()))?;
    }
    // From 1.27 on it is told otherwise what to run.
    let program = "run-multitests.py";
    let text = fs::read_to_string(source.join("tests").join(program)).unwrap_or_default();
    let instance = if text.contains("--test-instance") { ["-t", "unix"] } else { ["-i", "micropython"] };
    let (output, result) = runner(context, source, program, unix)
        .arguments(instance)
        .arguments(instance)
        .arguments(&applicable)
        .run_reading_output();
    let said = |test: &str| {
        let path = folder.join(test).display().to_string();
        let mut about = output.lines().filter(|line| line.split_whitespace().next() == Some(&path));
        about.next().and_then(|line| line.rsplit_once(": ")).map(|(_, said)| said.trim())
    };
    let rows: Vec<Row> = tests
        .iter()
        .map(|test| Row { build: "unix", test: test.clone(), result: verdict(test, said(test)) })
        .collect();
    explain(result, &rows)?;
    Ok(rows)
}

/// The port at which MicroPython's tests with two programs listen.
const PORT: &str = "PORT = 8000";

/// How long their servers wait for a client, in seconds.
const PATIENCE: &str = "wait_for(ev.wait(), 10)";

/// Changes the copy of a test so that it does not depend on what else this machine does.
fn make_independent(test: &Path, port: u16) -> std::io::Result<()> {
    let text = fs::read_to_string(test)?;
    let text = text.replace(PORT, &format!("PORT = {port}")).replace(PATIENCE, "wait_for(ev.wait(), 900)");
    fs::write(test, text)
}

/// One of MicroPython's programs for tests, with more patience than it has by itself.
fn runner(context: &Context, source: &Path, program: &str, unix: &Path) -> Task {
    Task::new("/usr/bin/python3")
        .directory(&source.join("tests"))
        .limit(LIMIT)
        .arguments([context.root.join("micropython/tests/patient.py"), program.into()])
        .variable("MICROPY_MICROPYTHON", unix)
        .variable("MICROPY_CPYTHON3", "/usr/bin/python3")
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Runs each of our own tests: a program that raises an exception if something is wrong.
fn own_tests(context: &Context, unix: &Path) -> Result<Vec<Row>, String> {
    let folder = context.root.join("micropython/tests");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("test_") && name.ends_with(".py"))
        .collect();
    names.sort();
    let mut rows = Vec::new();
    for name in names {
        let result = Task::new(unix).directory(&folder).arguments([&name]).limit(LIMIT).run();
        rows.push(Row {
            build: "unix",
            test: format!("micropython/tests/{name}"),
            result: if result.is_ok() { Verdict::Pass } else { Verdict::Fail },
        });
    }
    Ok(rows)
}

/// Our tests that need no operating system.
const ON_A_DEVICE: &[&str] = &["test_tls_mangled.py", "test_tls_memory.py", "test_tls_reset.py"];

/// Copies of [`ON_A_DEVICE`] for MicroPython's runner, which looks for what they are to print: nothing.
fn own_device_tests(context: &Context, folder: &Path) -> Result<Vec<String>, String> {
    let copies = folder.join("own");
    let copy = |name: &str| {
        let copy = copies.join(name);
        fs::create_dir_all(&copies)?;
        fs::copy(context.root.join("micropython/tests").join(name), &copy)?;
        fs::write(copies.join(format!("{name}.exp")), "")?;
        Ok(copy.display().to_string())
    };
    ON_A_DEVICE
        .iter()
        .map(|name| copy(name).map_err(|error: std::io::Error| format!("{name} cannot be copied: {error}")))
        .collect()
}

/// Runs `wolfssl` against other implementations. `MICROPYTHON_BUILT_IN` may name a MicroPython with built-in modules.
fn interoperate(context: &Context, unix: &Path) -> Result<Row, String> {
    let test = "micropython/tests/interoperate.py";
    // Without curl its cases are shown as skipped.
    let _ = tools::programs(&["curl"], &["curl"]);
    let task = Task::new("/usr/bin/python3").directory(&context.root).arguments([test]).arguments([unix]);
    let task = match std::env::var_os("MICROPYTHON_BUILT_IN") {
        Some(built_in) => task.arguments([built_in]),
        None => task,
    };
    let result = task.limit(LIMIT).run();
    let result = if result.is_ok() { Verdict::Pass } else { Verdict::Fail };
    Ok(Row { build: "unix", test: test.into(), result })
}

/// Runs the module `casemate` with this project's server: the unix program, or firmware whose second serial port the server
/// is connected to.
fn with_server(
    context: &Context,
    source: &Path,
    unix: &Path,
    firmware: Option<&Path>,
) -> Result<Row, String> {
    let test = "micropython/tests/hsm.py";
    Task::cargo(context).arguments(["build", "--package", "casemate-cli"]).locked(context).run()?;
    let server = context.target.join("debug/casemate");
    let task = Task::new("/usr/bin/python3").directory(&context.root).arguments([test]).arguments([&server]);
    let task = match firmware {
        None => task.arguments([unix]),
        Some(firmware) => task
            .arguments([source.join("tools/pyboard.py")])
            .arguments([format!("{EMULATOR} -kernel {}", firmware.display())]),
    };
    let result = if task.limit(LIMIT).run().is_ok() { Verdict::Pass } else { Verdict::Fail };
    let build = if firmware.is_some() { "Cortex-M3" } else { "unix" };
    Ok(Row { build, test: test.into(), result })
}

/// Builds the stm32 port's C file and the library with the settings for the chip's processors, with stubs in place of the vendor's
/// headers, and runs them on the Cortex-M3: no emulated chip has the processors, so what is shown is that the software does
/// everything. Prints the sizes. Of the series and chips, F437 has CRYP and the older HASH, H573 has AES and the newer one.
fn processors(
    context: &Context,
    folder: &Path,
    compiler: &tools::DeviceCompiler,
    (series, chip): (&str, &str),
) -> Result<Row, String> {
    let test = "micropython/tests/stm32";
    let output = folder.join(format!("build-stm32-processors-{series}"));
    let make = Task::new("make")
        .directory(&context.root.join(test))
        .limit(LIMIT)
        .arguments([format!("BUILD={}", output.display())])
        .arguments([format!("MCU_SERIES={series}"), format!("CMSIS_MCU={chip}")])
        .arguments([format!("CASEMATE_TARGET_DIR={}", folder.join("rust").display())]);
    compiler.for_make(make).run()?;
    let result = Task::new("qemu-system-arm")
        .arguments(["-machine", "mps2-an385", "-nographic", "-monitor", "null", "-semihosting", "-kernel"])
        .arguments([output.join("processors.elf")])
        .limit(LIMIT)
        .run();
    let result = if result.is_ok() { Verdict::Pass } else { Verdict::Fail };
    Ok(Row { build: "Cortex-M3", test: format!("{test}, {chip}"), result })
}

/// Figures of this machine's build beside those of MicroPython's own modules, and of the emulated device.
/// `MICROPYTHON_BUILT_IN` names a MicroPython that has its own modules; Debian's package has, from trixie on.
fn measure(context: &Context, source: &Path, folder: &Path, unix: &Path) -> Result<Outcome, String> {
    let tests = context.root.join("micropython/tests");
    let figures = |program: &Path| {
        let task = Task::new(program).directory(&tests).arguments(["bench.py"]);
        task.variable("BENCH_MICROPYTHON", program).limit(LIMIT).query().unwrap_or_default()
    };
    let built_in = std::env::var_os("MICROPYTHON_BUILT_IN").unwrap_or_else(|| "micropython".into());
    let (ours, theirs) = (figures(unix), figures(Path::new(&built_in)));
    if ours.is_empty() {
        return Err("the benchmark did not run".to_owned());
    }
    println!("\n{:<28} {:>10} {:>10} {:<6} {:>6}", "this machine", "ours", "built-in", "", "ratio");
    for line in ours.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(figure), Some(unit)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let other = theirs
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|words| words.first() == Some(&name))
            .and_then(|words| words.get(1).map(|figure| (*figure).to_owned()));
        let ratio = other.as_ref().and_then(|other| {
            let (ours, theirs) = (figure.parse::<f64>().ok()?, other.parse::<f64>().ok()?);
            Some(if unit == "ms" { theirs / ours } else { ours / theirs })
        });
        println!(
            "{name:<28} {figure:>10} {:>10} {unit:<6} {:>6}",
            other.unwrap_or_else(|| "-".to_owned()),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}")),
        );
    }
    let compiler = match device_tools(context) {
        Ok(compiler) => compiler,
        Err(reason) => return Ok(Outcome::Pass(format!("this machine only; Cortex-M3: {reason}"))),
    };
    let firmware = build(context, source, folder, Port::Qemu(compiler))?;
    println!("\nCortex-M3, emulated");
    Task::new("arm-none-eabi-size").arguments([&firmware]).run()?;
    Task::new("/usr/bin/python3")
        .directory(&tests)
        .arguments([source.join("tools/pyboard.py")])
        .arguments([
            "-d".to_owned(),
            format!("execpty:{EMULATOR} -icount shift=0 -kernel {}", firmware.display()),
        ])
        .arguments(["bench_device.py"])
        .limit(LIMIT)
        .run()?;
    Ok(Outcome::Pass("figures above".to_owned()))
}
