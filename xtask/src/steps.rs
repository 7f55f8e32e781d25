//! The steps of `cargo xtask test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Task;
use crate::{Context, Outcome, links, tools};

/// The crates that run on a device: no standard library, no operating system, no heap.
const DEVICE_CRATES: &[&str] = &[
    "protocol",
    "transport",
    "nvm",
    "crypto",
    "crypto-stm32",
    "hash-signatures",
    "x509",
    "server",
    "client",
    "device",
    "port",
    "conformance",
];

/// Crates that run on a device with a heap: `core` and `alloc`.
const HEAP_CRATES: &[&str] = &["rustls"];

/// Crates that are built a second time with these features, which a small device leaves out.
const DEVICE_FEATURES: &[(&str, &str)] = &[
    (
        "crypto",
        "brainpool,ccm,curve25519,gcm,hmac,md5,ml-dsa-44,ml-dsa-87,ml-dsa-signing,ml-kem-1024,ml-kem-512,p224,p256,p384,\
         p521,rsa-1024,rsa-1536,rsa-3072,rsa-4096,rsa-generation,secp256k1,sha1,sha3,sha512",
    ),
    // The least of the families that come in sizes.
    ("crypto", "ml-dsa,ml-kem,rsa"),
    (
        "server",
        "authentication,certificates,cmac-derivation,curve25519,custom,dma,elliptic-curves,hash-signatures,hkdf,images,\
         key-wrap,ml-dsa,ml-kem,rsa,sha3,sha512,she",
    ),
];

/// The library for C programs on a device, which needs a panic handler of its own to be one.
const C_LIBRARY: &[&str] = &["--package", "casemate-capi", "--features", "panic-handler"];

/// How long each fuzz target runs, in seconds, unless `XTASK_FUZZ_SECONDS` says otherwise.
const FUZZ_SECONDS: u64 = 20;

/// With fewer inputs a fuzz target has shown nothing.
const FEWEST_INPUTS: u64 = 100;

/// How long a fuzz target may take for one input, in seconds of the clock on the wall: what takes a tenth of a second on an idle
/// machine does not reach it on one that is slow, is loaded and stops for a while, and what does not end reaches it.
const INPUT_SECONDS: u64 = 60;

/// A pass without a note, or the failure's text.
fn judge(result: Result<(), String>) -> Outcome {
    match result {
        Ok(()) => Outcome::Pass(String::new()),
        Err(fault) => Outcome::Fail(fault),
    }
}

pub(crate) fn fmt(context: &Context, _: &[String]) -> Outcome {
    let workspace = Task::cargo(context).arguments(["fmt", "--all", "--check"]).run();
    let fuzz = fuzz_manifest(context);
    judge(workspace.and_then(|()| {
        Task::cargo(context).arguments(["fmt", "--check", "--manifest-path"]).arguments([fuzz]).run()
    }))
}

pub(crate) fn clippy(context: &Context, _: &[String]) -> Outcome {
    judge(
        Task::cargo(context)
            // With the feature that an example and a benchmark ask for.
            .arguments(["clippy", "--workspace", "--all-targets", "--features", "casemate-rustls/hsm"])
            .locked(context)
            .arguments(["--", "-D", "warnings"])
            .run(),
    )
}

pub(crate) fn docs(context: &Context, _: &[String]) -> Outcome {
    let links =
        links::check(&context.root).map(drop).map_err(|broken| format!("links that lead nowhere\n{broken}"));
    let rustdoc = || {
        Task::cargo(context)
            .arguments(["doc", "--workspace", "--no-deps"])
            .locked(context)
            .variable("RUSTDOCFLAGS", "-D warnings")
            .run()
    };
    judge(links.and_then(|()| rustdoc()))
}

pub(crate) fn unit(context: &Context, _: &[String]) -> Outcome {
    let nextest = Task::cargo(context).arguments(["nextest", "--version"]).query().is_some();
    if !nextest {
        return judge(
            Task::cargo(context)
                .arguments(["test", "--workspace", "--no-fail-fast"])
                .locked(context)
                .run_tests(),
        );
    }
    // nextest does not run documentation tests.
    let tests = Task::cargo(context)
        .arguments(["nextest", "run", "--workspace", "--no-fail-fast"])
        .locked(context)
        .run();
    let examples =
        Task::cargo(context).arguments(["test", "--workspace", "--doc"]).locked(context).run_tests();
    judge(tests.and(examples))
}

/// The part of the POSIX port and of the program that is off by default.
pub(crate) fn tls_psk(context: &Context, _: &[String]) -> Outcome {
    if !tools::installed("libssl-dev")
        && let Err(reason) = tools::install(&["libssl-dev", "pkg-config"])
    {
        return Outcome::Skip(reason);
    }
    let features = ["--features", "casemate-posix/tls-psk,casemate-cli/tls-psk"];
    let packages = ["--package", "casemate-posix", "--package", "casemate-cli"];
    let lints = Task::cargo(context)
        .arguments(["clippy", "--all-targets"])
        .arguments(packages)
        .arguments(features)
        .locked(context)
        .arguments(["--", "-D", "warnings"])
        .run();
    let tests = |package: &str, more: &[&str]| {
        Task::cargo(context)
            .arguments(["test", "--features", "tls-psk", "--package", package])
            .arguments(more)
            .locked(context)
            .run_tests()
    };
    judge(
        lints
            .and_then(|()| tests("casemate-posix", &["--test", "psk"]))
            .and_then(|()| tests("casemate-cli", &["--test", "transports", "pre_shared"])),
    )
}

pub(crate) fn embedded(context: &Context, _: &[String]) -> Outcome {
    let compiler = match tools::device_compiler(context) {
        Ok(compiler) => compiler,
        Err(reason) => return Outcome::Skip(reason),
    };
    let mut broken = Vec::new();
    // One call per crate: built together, one crate's features would cover for what another does not ask for.
    let bare = DEVICE_CRATES.iter().chain(HEAP_CRATES).map(|name| (*name, ""));
    for (name, features) in bare.chain(DEVICE_FEATURES.iter().copied()) {
        let package = format!("casemate-{name}");
        let result = compiler.build(context).and_then(|task| {
            task.arguments(["--lib", "--no-default-features", "--features", features, "--package", &package])
                .locked(context)
                .run()
        });
        if result.is_err() {
            broken.push(if features.is_empty() { package } else { format!("{package} with all features") });
        }
    }
    let c_library = compiler.build(context).and_then(|task| {
        task.arguments(["--lib", "--no-default-features"]).arguments(C_LIBRARY).locked(context).run()
    });
    if c_library.is_err() {
        broken.push("casemate-capi".to_owned());
    }
    if !broken.is_empty() {
        return Outcome::Fail(format!("does not build for {}: {}", tools::DEVICE_TARGET, broken.join(", ")));
    }
    let count = DEVICE_CRATES.iter().chain(HEAP_CRATES).count();
    Outcome::Pass(format!(
        "{count} crates, {} builds with features of theirs, and the C library, {}",
        DEVICE_FEATURES.len(),
        compiler.name()
    ))
}

pub(crate) fn deny(context: &Context, _: &[String]) -> Outcome {
    let program = match tools::cargo_deny(context) {
        Ok(program) => program,
        Err(reason) => return Outcome::Skip(format!("cargo-deny is not installed: {reason}")),
    };
    let cargo_deny = || {
        Task::new(&program)
            .directory(&context.root)
            .arguments(if context.ci { &["--locked"][..] } else { &[] })
            .limit(Duration::from_secs(300))
    };
    let whole = cargo_deny().arguments(["--workspace", "check", "licenses", "bans", "sources"]).run();
    if let Err(fault) = whole {
        return Outcome::Fail(fault);
    }
    for name in DEVICE_CRATES {
        let manifest = format!("crates/{name}/Cargo.toml");
        let result = cargo_deny()
            .arguments(["--manifest-path", &manifest, "--config", "xtask/deny-device.toml", "check", "bans"])
            .run();
        if let Err(fault) = result {
            return Outcome::Fail(fault);
        }
    }
    // The advisory database is a git repository elsewhere: its absence says nothing about this project.
    let fetched = cargo_deny()
        .arguments(["fetch", "db"])
        .variable("GIT_TERMINAL_PROMPT", "0")
        .limit(Duration::from_secs(60))
        .run();
    if fetched.is_err() {
        return Outcome::Pass(
            "licences, bans, sources; ADVISORIES NOT CHECKED: the database could not be fetched".to_owned(),
        );
    }
    match cargo_deny().arguments(["--workspace", "--offline", "check", "advisories"]).run() {
        Ok(()) => Outcome::Pass("licences, bans, sources, advisories".to_owned()),
        Err(fault) => Outcome::Fail(fault),
    }
}

pub(crate) fn bench_smoke(context: &Context, _: &[String]) -> Outcome {
    let count = benchmark_files(&context.root).len();
    if count == 0 {
        return Outcome::Skip("there are no benchmarks".to_owned());
    }
    // Every benchmark runs once, untimed, so the optimizations that only cost time here are left out.
    let result = Task::cargo(context)
        .arguments(["bench", "--workspace", "--features", "casemate-rustls/hsm", "--bench", "*"])
        .locked(context)
        .arguments(["--", "--test"])
        .variable("CARGO_PROFILE_BENCH_LTO", "off")
        .variable("CARGO_PROFILE_BENCH_CODEGEN_UNITS", "16")
        .run();
    match result {
        Ok(()) => Outcome::Pass(format!("{count} benchmark programs")),
        Err(fault) => Outcome::Fail(fault),
    }
}

fn benchmark_files(root: &Path) -> Vec<PathBuf> {
    ["crates", "ports"]
        .iter()
        .flat_map(|folder| entries(&root.join(folder)))
        .flat_map(|package| entries(&package.join("benches")))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The paths in a folder, sorted; none if there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

pub(crate) fn demo(context: &Context, _: &[String]) -> Outcome {
    // Built first, so that the limit covers the demonstration only.
    let built = Task::cargo(context).arguments(["build", "--release"]).locked(context).run();
    judge(built.and_then(|()| {
        Task::cargo(context)
            .arguments(["run", "--release"])
            .locked(context)
            .arguments(["--", "demo"])
            .limit(Duration::from_secs(900))
            .run()
    }))
}

fn fuzz_manifest(context: &Context) -> PathBuf {
    context.root.join("fuzz").join("Cargo.toml")
}

pub(crate) fn fuzz(context: &Context, arguments: &[String]) -> Outcome {
    let targets = fuzz_targets(context);
    let (chosen, input) = match arguments {
        [] => (targets, None),
        [target] | [target, _] if targets.contains(target) => (vec![target.clone()], arguments.get(1)),
        _ => {
            return Outcome::Fail(format!(
                "usage: cargo xtask fuzz [TARGET [INPUT]]; targets: {}",
                targets.join(", ")
            ));
        }
    };
    if chosen.is_empty() {
        return Outcome::Skip("there are no fuzz targets".to_owned());
    }
    let seconds = match std::env::var("XTASK_FUZZ_SECONDS") {
        Ok(text) => match text.parse() {
            Ok(seconds) if seconds > 0 => seconds,
            _ => return Outcome::Fail(format!("XTASK_FUZZ_SECONDS is `{text}`: give a number above 0")),
        },
        Err(_) => FUZZ_SECONDS,
    };
    if let Err(reason) = tools::cpp_compiler() {
        return Outcome::Skip(format!("libFuzzer needs a C++ compiler: {reason}"));
    }
    let build = match build_fuzz_targets(context) {
        Ok(build) => build,
        Err(fault) => return Outcome::Fail(fault),
    };
    if let (Some(input), [target]) = (input, chosen.as_slice()) {
        let program = build.folder.join(target);
        // With this variable, a target only prints what it makes of the input.
        let shown =
            Task::new(&program).arguments([input]).variable("RUST_LIBFUZZER_DEBUG_PATH", "/dev/stdout").run();
        return judge(shown.and_then(|()| Task::new(&program).arguments([input]).run()));
    }
    let (mut notes, mut faults) = (Vec::new(), Vec::new());
    for target in &chosen {
        match fuzz_one(context, target, &build.folder.join(target), seconds) {
            Ok(note) => notes.push(note),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Outcome::Fail(faults.join("\n"));
    }
    Outcome::Pass(format!("{} ({seconds} s each, {})", notes.join(", "), build.sanitizer))
}

/// The names of the files in `fuzz/fuzz_targets`.
fn fuzz_targets(context: &Context) -> Vec<String> {
    entries(&context.root.join("fuzz").join("fuzz_targets"))
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

struct FuzzBuild {
    folder: PathBuf,
    sanitizer: &'static str,
}

/// Builds all fuzz targets as cargo-fuzz would, which this replaces so that nothing has to be installed.
///
/// Coverage feedback works on a stable compiler; AddressSanitizer needs a nightly one and is used if there is one.
fn build_fuzz_targets(context: &Context) -> Result<FuzzBuild, String> {
    let host = Task::new("rustc")
        .arguments(["-vV"])
        .query()
        .and_then(|text| Some(text.lines().find_map(|line| line.strip_prefix("host: "))?.to_owned()))
        .ok_or("`rustc -vV` did not tell the host's target")?;
    let nightly = Task::new("rustup").arguments(["run", "nightly", "rustc", "--version"]).query().is_some();
    let mut flags = vec![
        "--cfg=fuzzing",
        "-Cdebug-assertions",
        "-Coverflow-checks",
        "-Ccodegen-units=1",
        "-Cpasses=sancov-module",
        "-Cllvm-args=-sanitizer-coverage-level=4",
        "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
        "-Cllvm-args=-sanitizer-coverage-pc-table",
        "-Cllvm-args=-sanitizer-coverage-trace-compares",
    ];
    if nightly {
        flags.push("-Zsanitizer=address");
    }
    let cargo = if nightly {
        // `CARGO` and `RUSTC` name the stable toolchain that runs this program.
        Task::new("rustup").arguments(["run", "nightly", "cargo"]).directory(&context.root).without(&[
            "CARGO",
            "RUSTC",
            "RUSTUP_TOOLCHAIN",
            "LD_LIBRARY_PATH",
        ])
    } else {
        Task::cargo(context)
    };
    let target = context.target.join("xtask-fuzz");
    cargo
        .arguments(["build", "--release", "--bins", "--target", &host, "--manifest-path"])
        .arguments([fuzz_manifest(context)])
        .locked(context)
        .variable("CARGO_TARGET_DIR", &target)
        .variable("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .run()?;
    Ok(FuzzBuild {
        folder: target.join(host).join("release"),
        sanitizer: if nightly { "AddressSanitizer" } else { "no sanitizer: no nightly toolchain" },
    })
}

/// Runs one target for a bounded time, or for longer where the machine is slow, and returns how many inputs it tried.
fn fuzz_one(context: &Context, target: &str, program: &Path, seconds: u64) -> Result<String, String> {
    for seconds in [seconds, seconds.saturating_mul(10)] {
        let executed = fuzz_for(context, target, program, seconds)?;
        if executed >= FEWEST_INPUTS {
            return Ok(format!("{target}: {executed} inputs"));
        }
    }
    // A harness that rejects everything at once, or never ran, must not count as a pass.
    Err(format!("target {target} tried fewer than {FEWEST_INPUTS} inputs, and again in ten times the time"))
}

fn fuzz_for(context: &Context, target: &str, program: &Path, seconds: u64) -> Result<u64, String> {
    let fuzz = context.root.join("fuzz");
    let corpus = fuzz.join("corpus").join(target);
    let artifacts = fuzz.join("artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder)
            .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    }
    let seeds = fuzz.join("seeds").join(target);
    let mut task = Task::new(program)
        .arguments([
            format!("-max_total_time={seconds}"),
            format!("-timeout={INPUT_SECONDS}"),
            format!("-artifact_prefix={}/", artifacts.display()),
        ])
        .arguments(["-print_final_stats=1", "-rss_limit_mb=2048", "-verbosity=0"])
        .arguments([&corpus])
        .limit(Duration::from_secs(seconds.saturating_add(600)));
    if context.ci {
        // The same inputs for the same code: whether a change is taken does not hang on what chance finds in older code.
        task = task.arguments(["-seed=1"]);
    }
    if seeds.is_dir() {
        task = task.arguments([&seeds]);
    }
    let (text, result) = task.run_reading_errors();
    result.map_err(|fault| {
        let explained: Vec<&str> = text.lines().filter(|line| !line.starts_with("INFO: ")).take(60).collect();
        format!(
            "target {target} found a fault: its input lies in {}; repeat it with `cargo xtask fuzz {target} INPUT`\n\
             {fault}\n{}{}",
            artifacts.display(),
            explained.join("\n"),
            inputs(&artifacts)
        )
    })?;
    Ok(text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .unwrap_or(0))
}

/// The inputs in a folder in hexadecimal: where nothing but what was printed remains of a run, they would be lost.
fn inputs(folder: &Path) -> String {
    let mut text = String::new();
    for path in entries(folder) {
        let Ok(bytes) = fs::read(&path) else { continue };
        text += &format!("\n{}, {} bytes: ", path.display(), bytes.len());
        text.extend(bytes.iter().take(4096).map(|byte| format!("{byte:02x}")));
    }
    text
}
