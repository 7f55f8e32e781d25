//! The `front-doors` step: programs that people have use keys of a server.
//!
//! `xtask/front-doors/pkcs11.sh` runs OpenSC, OpenSSL, curl, OpenSSH, GnuTLS, p11-kit, python-pkcs11 and Java on the PKCS#11
//! module, with a server that has users and with one that has none, and on SoftHSM 2 for comparison, whose failures do
//! not count; `provider.sh` is the part with OpenSSL 3.5 and pkcs11-provider. `https.sh` has curl ask the rustls example
//! server.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::apt::{Apt, Kind};
use crate::command::Task;
use crate::{Context, Outcome, tools};

/// What the script calls.
const PACKAGES: &[&str] = &[
    "curl",
    "default-jre-headless",
    "gnutls-bin",
    "libengine-pkcs11-openssl",
    "opensc",
    "openssh-client",
    "openssh-server",
    "openssl",
    "p11-kit",
    "python3",
    "softhsm2",
];
const PIN: &str = "1234";
const ADMINISTRATOR_PIN: &str = "adminadmin";
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// How long the programs may take with one module.
const LIMIT: Duration = Duration::from_secs(1800);
/// The first Debian release with a package of pkcs11-provider, and what of it runs beside another release's files.
const PROVIDER_SUITE: &str = "trixie";
const PROVIDER_PACKAGES: &[&str] =
    &["libc6", "libgcc-s1", "libssl3t64", "libzstd1", "openssl", "pkcs11-provider", "zlib1g"];

pub(crate) fn front_doors(context: &Context, _: &[String]) -> Outcome {
    if !PACKAGES.iter().all(|package| tools::installed(package))
        && let Err(reason) = tools::install(PACKAGES)
    {
        return Outcome::Skip(reason);
    }
    match run(context) {
        Ok(note) => Outcome::Pass(note),
        Err(fault) => Outcome::Fail(fault),
    }
}

/// A server process, ended with this value.
struct Server(Child);

impl Server {
    fn start(casemate: &Path, folder: &Path, users: bool) -> Result<(Self, PathBuf), String> {
        let socket = folder.join("hsm.sock");
        let mut command = Command::new(casemate);
        command.args(["serve", "--quiet", "--nvm-objects", "200", "--nvm"]).arg(folder.join("keys.image"));
        command.arg("--unix").arg(&socket).stdin(Stdio::null());
        if users {
            // An unoptimized server takes seconds for the usual number of iterations.
            command
                .args(["--users", "--pin-iterations", "1000"])
                .env("CASEMATE_ADMIN_PIN", ADMINISTRATOR_PIN);
        }
        let child = command.spawn().map_err(|error| format!("casemate serve did not start: {error}"))?;
        let server = Self(child);
        let begun = Instant::now();
        while !socket.exists() {
            if begun.elapsed() > Duration::from_secs(300) {
                return Err("casemate serve does not listen".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok((server, socket))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(context: &Context) -> Result<String, String> {
    // The whole workspace's libraries, because so most of what the step `unit` has compiled is used again.
    Task::cargo(context)
        .arguments(["build", "--workspace", "--features", "casemate-rustls/hsm"])
        .arguments(["--bin", "casemate", "--lib", "--example", "https"])
        .locked(context)
        .run()?;
    // A short path: sockets have paths of at most 107 bytes.
    let folder = std::env::temp_dir().join(format!("casemate-front-doors-{}", std::process::id()));
    let outcome = all(context, &folder);
    if outcome.is_ok() {
        let _ = fs::remove_dir_all(&folder);
    }
    outcome.map_err(|fault| format!("{fault}; logs are in {}", folder.display()))
}

fn all(context: &Context, folder: &Path) -> Result<String, String> {
    let built = context.target.join("debug");
    let (casemate, module) = (built.join("casemate"), built.join("libcasemate_pkcs11.so"));
    let (python, provider) = (python(context), provider(context));
    let mut programs = Programs { python: python.as_deref(), provider: None };
    if let Ok(provider) = &provider {
        programs.provider = Some(provider);
    }
    let mut faults = Vec::new();
    for (name, users) in [("casemate", false), ("casemate-users", true)] {
        let work = fresh(&folder.join(name))?;
        let (server, socket) = Server::start(&casemate, &work, users)?;
        let address = format!("unix://{}", socket.display());
        let environment = [("CASEMATE_SERVER", address.as_str()), ("CASEMATE_TOKEN_LABEL", "test")];
        if users {
            set(Task::new("pkcs11-tool"), &environment)
                .arguments(["--module".as_ref(), module.as_os_str()])
                .arguments(["--login", "--login-type", "so", "--so-pin", ADMINISTRATOR_PIN])
                .arguments(["--init-pin", "--pin", PIN])
                .run()?;
        }
        if let Err(fault) = pkcs11(context, name, &module, &work, &programs, &environment) {
            faults.push(fault);
        }
        drop(server);
    }
    let work = fresh(&folder.join("https"))?;
    let (server, socket) = Server::start(&casemate, &work, false)?;
    let https = script(context, "https.sh")
        .variable("CASEMATE_SERVER", format!("unix://{}", socket.display()))
        .arguments(["casemate".as_ref(), casemate.as_os_str()])
        .arguments([built.join("examples").join("https"), work]);
    if let Err(fault) = https.run() {
        faults.push(fault);
    }
    drop(server);
    let work = fresh(&folder.join("softhsm"))?;
    let tokens = fresh(&work.join("tokens"))?;
    let configuration = work.join("softhsm2.conf");
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    fs::write(&configuration, text).map_err(|error| format!("{}: {error}", configuration.display()))?;
    let configuration = configuration.display().to_string();
    let environment = [("SOFTHSM2_CONF", configuration.as_str()), ("COMPARED", "1")];
    set(Task::new("softhsm2-util"), &environment)
        .arguments(["--init-token", "--free", "--label", "test", "--pin", PIN, "--so-pin", PIN])
        .run()?;
    // For comparison: what fails there is its own affair.
    let _ = pkcs11(context, "softhsm", Path::new(SOFTHSM), &work, &programs, &environment);
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    let mut notes = Vec::new();
    if python.is_none() {
        notes.push("without python-pkcs11, which pip could not install".to_owned());
    }
    if let Err(reason) = provider {
        notes.push(format!("without pkcs11-provider: {reason}"));
    }
    // What is skipped fails in CI, as everywhere.
    if context.ci && !notes.is_empty() { Err(notes.join("; ")) } else { Ok(notes.join("; ")) }
}

/// Programs that may be missing.
struct Programs<'a> {
    /// A Python with python-pkcs11.
    python: Option<&'a Path>,
    /// The folder with pkcs11-provider.
    provider: Option<&'a Path>,
}

fn set(task: Task, environment: &[(&str, &str)]) -> Task {
    environment.iter().fold(task, |task, (name, value)| task.variable(name, value))
}

fn script(context: &Context, name: &str) -> Task {
    let script = context.root.join("xtask").join("front-doors").join(name);
    Task::new("bash").arguments([script]).limit(LIMIT)
}

fn pkcs11(
    context: &Context,
    name: &str,
    module: &Path,
    folder: &Path,
    programs: &Programs<'_>,
    environment: &[(&str, &str)],
) -> Result<(), String> {
    let optional = |path: Option<&Path>| path.unwrap_or(Path::new("")).as_os_str().to_owned();
    set(script(context, "pkcs11.sh"), environment)
        .arguments([name.as_ref(), module.as_os_str(), folder.as_os_str()])
        .arguments([optional(programs.python), optional(programs.provider)])
        .run()
}

fn fresh(folder: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.to_owned())
}

/// A Python with python-pkcs11, in an environment of its own below the target directory; made once.
fn python(context: &Context) -> Option<PathBuf> {
    let environment = context.target.join("xtask-tools").join("python-pkcs11");
    let interpreter = environment.join("bin").join("python");
    let works = || Task::new(&interpreter).arguments(["-c", "import pkcs11"]).query().is_some();
    if works() {
        return Some(interpreter);
    }
    // Debian's Python makes no environment without a further package.
    let make =
        || Task::new("python3").arguments(["-m".as_ref(), "venv".as_ref(), environment.as_os_str()]).run();
    if make().is_err() {
        tools::install(&["python3-venv"]).and_then(|()| make()).ok()?;
    }
    Task::new(&interpreter).arguments(["-m", "pip", "install", "--quiet", "python-pkcs11"]).run().ok()?;
    works().then_some(interpreter)
}

/// pkcs11-provider and the OpenSSL that it belongs to, unpacked below the target directory and not installed; made once.
/// Debian 12 has no package of it, so they come from the next release, with the C library that they need.
fn provider(context: &Context) -> Result<PathBuf, String> {
    let folder = context.target.join("xtask-tools").join("pkcs11-provider");
    let root = folder.join("root");
    if root.is_dir() {
        return Ok(root);
    }
    let packages = folder.join("packages");
    let unpacked = folder.join("unpacked");
    for left in [&packages, &unpacked] {
        // What an interrupted run left behind; often there is nothing.
        let _ = fs::remove_dir_all(left);
        fresh(left)?;
    }
    let apt = Apt::new(&folder.join("apt"), Kind::Binary, PROVIDER_SUITE)?;
    apt.get(&packages).arguments(["update"]).run()?;
    apt.get(&packages).arguments(["download"]).arguments(PROVIDER_PACKAGES).run()?;
    let entries = fs::read_dir(&packages).map_err(|error| format!("{}: {error}", packages.display()))?;
    for package in entries.flatten() {
        Task::new("dpkg-deb")
            .arguments(["-x".as_ref(), package.path().as_os_str(), unpacked.as_os_str()])
            .run()?;
    }
    fs::rename(&unpacked, &root).map_err(|error| format!("{} cannot be made: {error}", root.display()))?;
    // The archives and apt's lists are larger than what is kept.
    let _ = (fs::remove_dir_all(&packages), fs::remove_dir_all(folder.join("apt")));
    Ok(root)
}
