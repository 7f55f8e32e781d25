//! What the Debian packages and the service unit say is true: files exist, and the program takes its configuration.

mod child;
mod common;

use child::Running;
use common::{PATIENCE, ServerProcess, casemate, run};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

fn metadata(package: &Path) -> toml::Table {
    let text = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    manifest["package"]["metadata"]["deb"].as_table().unwrap().clone()
}

#[test]
fn every_file_of_the_packages_exists() {
    let pkcs11 = Path::new(HERE).join("../pkcs11");
    for (package, built) in [(Path::new(HERE), "casemate"), (&pkcs11, "libcasemate_pkcs11.so")] {
        let metadata = metadata(package);
        let mut targets = BTreeSet::new();
        for asset in metadata["assets"].as_array().unwrap() {
            let [source, target, mode] = [0, 1, 2].map(|index| asset[index].as_str().unwrap().to_owned());
            match source.strip_prefix("target/release/") {
                Some(name) => assert_eq!(name, built),
                None => assert!(package.join(&source).is_file(), "{source}"),
            }
            assert!(u32::from_str_radix(&mode, 8).is_ok_and(|mode| mode & 0o22 == 0), "{source}: {mode}");
            assert!(!target.starts_with('/') && targets.insert(target.clone()), "{target}");
        }
    }
    // cargo-deb takes these by their names.
    let metadata = metadata(Path::new(HERE));
    let scripts = Path::new(HERE).join(metadata["maintainer-scripts"].as_str().unwrap());
    let unit = metadata["systemd-units"]["unit-name"].as_str().unwrap();
    for name in ["service", "sysusers"] {
        assert!(scripts.join(format!("{unit}.{name}")).is_file(), "{unit}.{name}");
    }
    let module = fs::read_to_string(pkcs11.join("debian/casemate.module")).unwrap();
    assert!(module.contains("\nmodule: /usr/lib/casemate/libcasemate_pkcs11.so\n"), "{module}");
}

#[test]
fn the_manual_page_has_every_command_and_the_changelogs_the_version() {
    let page = fs::read_to_string(Path::new(HERE).join("debian/casemate.1")).unwrap();
    let help = run(&["help"]).ok();
    let commands =
        help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| line.starts_with("  "));
    let commands: Vec<_> = commands.filter(|line| !line.starts_with("   ")).collect();
    assert!(commands.len() > 15, "{help}");
    for line in commands {
        let name = line.split_whitespace().next().unwrap();
        let is_there = page
            .lines()
            .filter(|line| line.starts_with(".B"))
            .any(|line| line.split_whitespace().any(|word| word.trim_matches(['"', ',']) == name));
        assert!(is_there, "{name}");
    }
    for directory in [HERE.to_owned(), format!("{HERE}/../pkcs11")] {
        let changelog = fs::read_to_string(format!("{directory}/debian/changelog")).unwrap();
        let version = format!(" ({}-1) ", env!("CARGO_PKG_VERSION"));
        assert!(changelog.lines().next().unwrap().contains(&version), "{changelog}");
    }
}

/// The settings of the unit.
fn unit() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(HERE).join("debian/casemate.service")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

fn setting(name: &str) -> String {
    unit().into_iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}")).1
}

/// The packaged configuration, with its directories in `root`, and the arguments of the unit that name it.
fn packaged(root: &Path) -> (PathBuf, Vec<String>) {
    let start = setting("ExecStart");
    let mut words = start.split(' ').map(str::to_owned);
    assert_eq!(words.next().as_deref(), Some("/usr/bin/casemate"));
    let text = fs::read_to_string(Path::new(HERE).join("debian/server.toml")).unwrap();
    let mut local = text;
    for (directory, option) in
        [("/var/lib/casemate", "StateDirectory"), ("/run/casemate", "RuntimeDirectory")]
    {
        assert_eq!(setting(option), "casemate");
        let moved = root.join(&directory[1..]);
        fs::create_dir_all(&moved).unwrap();
        assert!(local.contains(directory), "{directory}");
        local = local.replace(directory, moved.to_str().unwrap());
    }
    let pin = root.join("admin-pin");
    fs::write(&pin, "a-long-enough-pin").unwrap();
    local = local.replace("/etc/casemate/admin-pin", pin.to_str().unwrap());
    let file = root.join("server.toml");
    fs::write(&file, local).unwrap();
    let at = "/etc/casemate/server.toml";
    let target = metadata(Path::new(HERE))["assets"]
        .as_array()
        .unwrap()
        .iter()
        .any(|asset| asset[1].as_str() == Some(&at[1..]));
    assert!(target, "the package has no {at}");
    let arguments = words.map(|word| if word == at { file.to_str().unwrap().to_owned() } else { word });
    (file.clone(), arguments.collect())
}

#[test]
fn the_unit_starts_a_server_with_the_packaged_configuration() {
    let root = tempfile::tempdir().unwrap();
    let (_, arguments) = packaged(root.path());
    assert!(arguments.iter().any(|word| word == "--config"), "{arguments:?}");
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    assert!(run(&[&words[..], &["--check"]].concat()).ok().contains("nothing is wrong"));
    assert!(!root.path().join("var/lib/casemate/keys.image").exists(), "a check has made a file");

    let notified = root.path().join("notify");
    let socket = UnixDatagram::bind(&notified).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = casemate();
    command.args(&arguments).env("NOTIFY_SOCKET", &notified).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Running::start(&mut command);
    assert_eq!(setting("Type"), "notify");
    let told = || {
        let mut space = [0; 64];
        let count = socket.recv(&mut space).unwrap();
        String::from_utf8_lossy(&space[..count]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    let address = format!("unix://{}", root.path().join("run/casemate/hsm.sock").display());
    run(&["info", "--server", &address]).ok();
    let metrics = format!("unix:{}", root.path().join("run/casemate/metrics.sock").display());
    assert!(run(&["top", "--once", &metrics]).ok().contains("Clients   "));
    server.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert!(server.ended().success());
    assert!(root.path().join("var/lib/casemate/audit.jsonl").exists());
}

#[test]
fn the_command_line_replaces_what_the_file_says() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("server.toml");
    fs::write(&file, "nvm = \"/no/such/directory/image\"\nnvm-objects = 7\nmetrics = \"127.0.0.1:0\"\n")
        .unwrap();
    let server = ServerProcess::start(Path::new("ram"), &["--config", file.to_str().unwrap()]);
    assert!(server.run(&["info"]).ok().contains("7 objects at most"));
    server.stop();
}

#[test]
fn complaints_name_file_and_line() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("server.toml");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        run(&["serve", "--check", "--config", file.to_str().unwrap()])
    };
    for (text, expected) in [
        ("nvm = \"ram\"\n\nspeed = 9\n", "server.toml: line 3: there is no setting `speed`"),
        (
            "nvm = \"ram\"\nconnections = 0\n",
            "server.toml, line 2: invalid value '0' for '--connections <COUNT>'",
        ),
        ("connections = 4\n", "server.toml: the setting `nvm` is missing: add it to the file, or give --nvm"),
        ("nvm = \"ram\"\nadmin = \"x\"\n", "server.toml: the setting `users` is missing"),
        ("nvm = \"ram\"\nnvm-size = 1001\n", "--nvm-size"),
        ("nvm = \"/no/such/directory/image\"\n", "create the directory /no/such/directory first"),
        ("nvm = \n", "server.toml: line 1: "),
    ] {
        let said = check(text);
        assert!(
            said.errors.contains(expected) && said.code != Some(0),
            "{text}: {}{}",
            said.output,
            said.errors
        );
    }
    check("nvm = \"ram\"\n").ok();
    let key = root.path().join("device-key");
    fs::write(&key, [0; 31]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let users = format!("nvm = \"ram\"\nusers = true\ndevice-key = \"{}\"\n", key.display());
    let said = check(&users).failed();
    assert!(said.contains("device-key"), "{said}");
    fs::write(&key, [0; 32]).unwrap();
    check(&users).ok();
    let said = run(&["serve", "--config", "/no/such/file.toml"]).failed();
    assert!(said.contains("/no/such/file.toml"), "{said}");
}
