//! The tools that steps need beside cargo: found, or installed by package name.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::Context;
use crate::command::Task;

/// The version of cargo-deny that the configuration files are written for.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// The version of cargo-deb that the packages are made with.
const CARGO_DEB_VERSION: &str = "3.8.0";

/// The oldest compiler of Debian's that the crates build with, as a minor version of Rust 1.
const MINIMUM_RUST_MINOR: u32 = 95;

/// The device target of the `embedded` step: Arm Cortex-M3, no operating system.
pub(crate) const DEVICE_TARGET: &str = "thumbv7m-none-eabi";

/// Returns the path of cargo-deny, which is installed below the target directory if the one on the path has
/// another version: a developer's own tools stay as they are.
pub(crate) fn cargo_deny(context: &Context) -> Result<PathBuf, String> {
    installed_by_cargo(context, "cargo-deny", CARGO_DENY_VERSION)
}

/// The same for cargo-deb.
pub(crate) fn cargo_deb(context: &Context) -> Result<PathBuf, String> {
    installed_by_cargo(context, "cargo-deb", CARGO_DEB_VERSION)
}

fn installed_by_cargo(context: &Context, name: &str, wanted: &str) -> Result<PathBuf, String> {
    let root = context.target.join("xtask-tools");
    let own = root.join("bin").join(name);
    for candidate in [PathBuf::from(name), own.clone()] {
        let version = Task::new(&candidate).arguments(["--version"]).query();
        if version.is_some_and(|text| text.trim().ends_with(wanted)) {
            return Ok(candidate);
        }
    }
    println!("{name} {wanted} is installed once in {} (about two minutes)", root.display());
    let build = root.join("build");
    Task::cargo(context)
        .arguments(["install", "--quiet", "--locked", "--debug", name, "--version", wanted])
        .arguments(["--root".as_ref(), root.as_os_str()])
        // An unoptimized build is several times faster to make and fast enough to run.
        .variable("CARGO_PROFILE_DEV_DEBUG", "0")
        .variable("CARGO_TARGET_DIR", &build)
        .limit(Duration::from_secs(20 * 60))
        .run()?;
    // The folder only saves time on a repeated installation.
    let _ = std::fs::remove_dir_all(build);
    Ok(own)
}

/// A compiler that can build for [`DEVICE_TARGET`].
pub(crate) enum DeviceCompiler {
    /// The toolchain that runs this program has the target's libraries.
    Installed,
    /// Debian's compiler with the source of `core`, which is then built as well.
    Debian,
}

const DEBIAN_COMPILER: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// Finds or installs a compiler for [`DEVICE_TARGET`]; the error says what to install by hand.
///
/// `XTASK_EMBEDDED_COMPILER` set to `rustup` or `debian` allows only that one.
pub(crate) fn device_compiler(context: &Context) -> Result<DeviceCompiler, String> {
    let choice = std::env::var("XTASK_EMBEDDED_COMPILER").unwrap_or_default();
    let mut reasons = Vec::new();
    if choice != "debian" {
        match installed_target(context) {
            Ok(()) => return Ok(DeviceCompiler::Installed),
            Err(reason) => reasons.push(reason),
        }
    }
    if choice != "rustup" {
        match debian_compiler() {
            Ok(()) => return Ok(DeviceCompiler::Debian),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(format!("no compiler for {DEVICE_TARGET}: {}", reasons.join("; ")))
}

/// The same for figures of size: better one that builds `core` as the rest is built. The libraries of an installed target are
/// optimized for speed; `memcpy` and its like alone have 1.8 KB more there.
pub(crate) fn compiler_of_core(context: &Context) -> Result<DeviceCompiler, String> {
    if std::env::var_os("XTASK_EMBEDDED_COMPILER").is_none() && debian_compiler().is_ok() {
        return Ok(DeviceCompiler::Debian);
    }
    device_compiler(context)
}

fn installed_target(context: &Context) -> Result<(), String> {
    if has_device_libraries() {
        return Ok(());
    }
    let advice = format!("run `rustup target add {DEVICE_TARGET}`");
    if Task::new("rustup").arguments(["--version"]).query().is_none() {
        return Err(format!("rustup was not found ({advice})"));
    }
    Task::new("rustup")
        .arguments(["target", "add", DEVICE_TARGET])
        .directory(&context.root)
        .limit(Duration::from_secs(300))
        .run()
        .map_err(|error| format!("{error} ({advice})"))?;
    if has_device_libraries() {
        Ok(())
    } else {
        Err(format!("the target's libraries were not found ({advice})"))
    }
}

fn has_device_libraries() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Task::new(rustc)
        .arguments(["--print", "target-libdir", "--target", DEVICE_TARGET])
        .query()
        .and_then(|path| std::fs::read_dir(path.trim()).ok())
        .is_some_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
            })
        })
}

fn debian_compiler() -> Result<(), String> {
    if debian_compiler_minor().is_some_and(|minor| minor >= MINIMUM_RUST_MINOR) && installed("rust-web-src") {
        return Ok(());
    }
    install(&["rustc-web", "cargo-web", "rust-web-src"])?;
    match debian_compiler_minor() {
        Some(minor) if minor >= MINIMUM_RUST_MINOR => Ok(()),
        Some(minor) => Err(format!("Debian's rustc is 1.{minor}, and 1.{MINIMUM_RUST_MINOR} is needed")),
        None => Err(format!("{DEBIAN_COMPILER} does not run")),
    }
}

fn debian_compiler_minor() -> Option<u32> {
    let text = debian(Task::new(DEBIAN_COMPILER)).arguments(["--version"]).query()?;
    text.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

/// Clears what cargo and rustup set for the toolchain that runs this program.
fn debian(task: Task) -> Task {
    task.without(&["LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "CARGO", "RUSTC_WRAPPER", "RUSTFLAGS", "RUSTDOC"])
}

/// A `cargo build` with Debian's compiler, for a target whose `core` is built from source; what is built lies in the
/// folder `xtask-debian` of the target directory. The linker is the `rust-lld` of the toolchain that runs this program.
pub(crate) fn debian_build(context: &Context) -> Result<Task, String> {
    debian_compiler()?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = Task::new(rustc)
        .arguments(["--print", "target-libdir"])
        .query()
        .ok_or("`rustc --print target-libdir` says nothing")?;
    let programs = PathBuf::from(libraries.trim()).with_file_name("bin");
    if !programs.join("rust-lld").is_file() {
        return Err(format!("there is no rust-lld in {}", programs.display()));
    }
    let mut paths = vec![programs];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let paths = std::env::join_paths(paths).map_err(|error| error.to_string())?;
    Ok(debian(Task::new(DEBIAN_CARGO))
        .directory(&context.root)
        .arguments(["build", "-Zbuild-std=core,alloc"])
        .variable("CARGO_TARGET_DIR", context.target.join("xtask-debian"))
        .variable("PATH", paths)
        .variable("RUSTC_BOOTSTRAP", "1")
        .variable("RUSTC", DEBIAN_COMPILER))
}

impl DeviceCompiler {
    /// The name for the table.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Installed => "the toolchain's own core",
            Self::Debian => "Debian's rustc, core built from source",
        }
    }

    /// Lets a foreign makefile call cargo for the device: by the variables `CASEMATE_CARGO` and `CASEMATE_CARGO_FLAGS`.
    pub(crate) fn for_make(&self, task: Task) -> Task {
        match self {
            Self::Installed => task,
            Self::Debian => debian(task)
                .arguments([
                    format!("CASEMATE_CARGO={DEBIAN_CARGO}"),
                    "CASEMATE_CARGO_FLAGS=-Zbuild-std=core,alloc".to_owned(),
                ])
                .variable("RUSTC_BOOTSTRAP", "1")
                .variable("RUSTC", DEBIAN_COMPILER),
        }
    }

    /// Where [`build`](Self::build) leaves what it makes: the folder of the profiles' folders.
    pub(crate) fn artifacts(&self, context: &Context) -> PathBuf {
        match self {
            Self::Installed => context.target.join(DEVICE_TARGET),
            Self::Debian => context.target.join("xtask-debian").join(DEVICE_TARGET),
        }
    }

    /// A `cargo build` for the device.
    pub(crate) fn build(&self, context: &Context) -> Result<Task, String> {
        let task = match self {
            Self::Installed => Task::cargo(context).arguments(["build"]),
            Self::Debian => debian_build(context)?,
        };
        Ok(task.arguments(["--target", DEVICE_TARGET]))
    }
}

/// Installs Debian packages if they are missing; the error names them.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    let list = packages.join(" ");
    if Task::new("apt-get").arguments(["--version"]).query().is_none() {
        return Err(format!("needs what Debian's packages {list} hold; this system has no apt-get"));
    }
    let root = Task::new("id").arguments(["-u"]).query().is_some_and(|user| user.trim() == "0");
    if !root && Task::new("sudo").arguments(["-n", "true"]).query().is_none() {
        return Err(format!("no right to install packages: run `apt-get install {list}` as root"));
    }
    let apt_get = || {
        let task = if root {
            Task::new("apt-get")
        } else {
            Task::new("sudo").arguments(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
        };
        task.variable("DEBIAN_FRONTEND", "noninteractive")
            .arguments(["-q", "-o", "DPkg::Lock::Timeout=300"])
            .limit(Duration::from_secs(900))
    };
    // Old package lists name versions that are no longer there, or too old a compiler.
    apt_get().arguments(["update"]).run()?;
    apt_get().arguments(["install", "--yes", "--no-install-recommends"]).arguments(packages).run()
}

/// Makes sure that programs are there, and installs the packages that hold them if one is not.
pub(crate) fn programs(names: &[&str], packages: &[&str]) -> Result<(), String> {
    let found = |name: &&str| Task::new(name).arguments(["--version"]).query().is_some();
    if names.iter().all(found) {
        return Ok(());
    }
    install(packages)?;
    match names.iter().find(|name| !found(name)) {
        None => Ok(()),
        Some(name) => Err(format!("{name} does not run, though {} are installed", packages.join(", "))),
    }
}

/// Whether a Debian package is installed.
pub(crate) fn installed(package: &str) -> bool {
    Task::new("dpkg-query")
        .arguments(["--show", "--showformat=${db:Status-Status}", package])
        .query()
        .is_some_and(|status| status.trim() == "installed")
}

/// Makes sure that a C++ compiler is there: libFuzzer is C++.
pub(crate) fn cpp_compiler() -> Result<(), String> {
    if std::env::var_os("CXX").is_some() || Task::new("c++").arguments(["--version"]).query().is_some() {
        return Ok(());
    }
    install(&["g++"])
}

/// A port at which nobody listens, below those that the system gives to whoever asks for any, and another one each time.
/// Where the search begins differs between processes, for there may be two of this program.
pub(crate) fn free_port() -> Result<u16, String> {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 15_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or_default();
    (0..1000)
        .map(|_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
        .ok_or_else(|| "there is no free TCP port".to_owned())
}
