//! Setting up servers, backup and restore, rotation: the ceremony of the documentation, and what goes wrong.

mod common;

use common::{Said, ServerProcess, casemate, run, without_settings};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// More than the whole ceremony takes on a slow and busy machine.
const CEREMONY: Duration = Duration::from_secs(900);

/// The commands of the document's `sh` blocks.
fn commands(document: &str) -> Vec<&str> {
    let blocks = document.split("```sh\n").skip(1);
    blocks.flat_map(|block| block.split("```").next().unwrap().lines()).collect()
}

#[test]
fn the_document_runs_line_by_line() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/key-ceremony.md");
    let document = fs::read_to_string(document).unwrap();
    let lines = commands(&document);
    assert!(lines.len() > 30, "{lines:?}");
    let mut script =
        "set -eu\nservers=\ntrap 'for server in $servers; do kill $server; done; wait' EXIT\n".to_owned();
    for line in lines {
        // What a PIN costs whoever guesses it costs this test too.
        let line = if line.contains("--users") {
            line.replace("--users", "--users --pin-iterations 1000")
        } else {
            line.to_owned()
        };
        script += &format!("echo {} >&2\n", quoted(&format!("+ {line}")));
        if let Some(command) = line.strip_suffix(" # refused") {
            script += &format!("if {command}; then echo 'it was not refused' >&2; exit 1; fi\n");
        } else {
            script += &format!("{line}\n");
        }
        if let Some((_, log)) = line.strip_suffix(" &").and_then(|line| line.rsplit_once("2> ")) {
            // Who waits for the script waits for whoever holds its output, so the servers have to end with it.
            script += &format!(
                "servers=\"$servers $!\"; n=0; until grep -q 'listens on' {log}; do n=$((n + 1)); test $n -lt 600; sleep 0.1; done\n"
            );
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_casemate"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(folder.path()).env("PATH", path);
    without_settings(&mut shell);
    let typed = "Alice chose this\nBob's for a day\nBob chose that\n";
    let said = limited(shell, typed, &folder.path().join("test-of-the-document"));
    assert_eq!(said.code, Some(0), "{}{}", said.output, said.errors);
    for expected in [
        "2 keys in monday.backup, 1 left out",
        "2 to restore, 0 there already, 1 not in the backup, 0 failed",
        "2 restored, 0 there already, 1 not in the backup, 0 failed",
        "the old key is kept as key 0x000c (decrypt)",
        "3 keys in tuesday.backup, 1 left out",
        "2 restored, 0 there already, 0 not in the backup, 0 failed",
        "3 keys in wednesday.backup, 1 left out",
        "would erase key 0x0002",
    ] {
        assert!(said.output.contains(expected), "`{expected}` is not in:\n{}{}", said.output, said.errors);
    }
    // What is left are the object stores with their device keys, and what can be shown or needs the key-encryption key.
    for name in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = name.to_str().unwrap();
        assert!(
            !name.ends_with(".part") && !name.ends_with(".pin") && !name.ends_with(".blob"),
            "{name} is left"
        );
    }
}

/// Runs a script to its end, or stops it and all that it has started. `folder` is for its output.
fn limited(mut shell: Command, input: &str, folder: &Path) -> Said {
    fs::create_dir(folder).unwrap();
    let file = |name| File::create(folder.join(name)).unwrap();
    fs::write(folder.join("input"), input).unwrap();
    shell.stdin(File::open(folder.join("input")).unwrap()).stdout(file("output")).stderr(file("errors"));
    let mut child = shell.process_group(0).spawn().unwrap();
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begin.elapsed() > CEREMONY {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let said = |name| String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap()).into_owned();
    let (output, errors) = (said("output"), said("errors"));
    assert!(status.is_some(), "it did not end within {CEREMONY:?}: {output}{errors}");
    Said { code: status.and_then(|status| status.code()), output, errors }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A folder with a key-encryption key in two parts, and servers that have it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), [0x11; 32]).unwrap();
        fs::write(folder.path().join("b"), [0x22; 32]).unwrap();
        fs::write(folder.path().join("c"), [0x33; 32]).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Words; those that begin with @ are files here.
    fn words(&self, words: &[&str]) -> Vec<String> {
        let word =
            |word: &&str| word.strip_prefix('@').map_or_else(|| (*word).to_owned(), |name| self.name(name));
        words.iter().map(word).collect()
    }

    fn run(&self, words: &[&str]) -> Said {
        casemate().args(self.words(words)).output().unwrap().into()
    }

    fn on(&self, server: &ServerProcess, words: &[&str]) -> Said {
        let words = self.words(words);
        server.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A server with the key-encryption key 254 of client 12, and other parts of it if told so.
    fn server(&self, name: &str, parts: [&str; 2]) -> ServerProcess {
        let nvm = format!("@{name}");
        let init = ["init", "--nvm", &nvm, "--kek", "12:254", "--kek-part", parts[0], "--kek-part", parts[1]];
        self.run(&init).ok();
        ServerProcess::start(&self.path(name), &[])
    }
}

fn make_keys(place: &Place, server: &ServerProcess) {
    for words in [
        &["--id", "1", "--algorithm", "p256", "--usage", "sign", "--label", "signing"][..],
        &["--id", "2", "--length", "32", "--usage", "encrypt,decrypt", "--label", "records"],
        &["--id", "3", "--length", "16", "--usage", "encrypt", "--flags", "nonexportable"],
        &["--id", "4", "--length", "16", "--usage", "encrypt"],
        &["--id", "5", "--global", "--length", "24", "--usage", "wrap", "--label", "for all"],
    ] {
        place.on(server, &[&["key", "generate"], words].concat()).ok();
    }
    place.on(server, &["key", "revoke", "4"]).ok();
}

fn exported(place: &Place, server: &ServerProcess, id: &str) -> String {
    place.on(server, &[&["key", "export", "--show"], &id.split(' ').collect::<Vec<_>>()[..]].concat()).ok()
}

#[test]
fn keys_survive_in_a_second_server() {
    let place = Place::new();
    let first = place.server("first", ["@a", "@b"]);
    make_keys(&place, &first);
    let said = place.on(&first, &["backup", "@keys", "--kek", "254", "--global"]).ok();
    assert!(said.contains("4 keys in") && said.contains("left out: nonexportable"), "{said}");
    let digest = format!("SHA-256 {}\n", hex::encode(sha256(&fs::read(place.path("keys")).unwrap())));
    assert!(said.contains(&digest), "{digest}{said}");
    let listed = run(&["restore", &place.name("keys"), "--list"]);
    assert!(listed.errors.contains(&digest), "{digest}{}", listed.errors);
    assert_eq!(fs::metadata(place.path("keys")).unwrap().permissions().mode() & 0o777, 0o600);
    let said = place.on(&first, &["backup", "@keys", "--kek", "254"]).failed();
    assert!(said.contains("--force"), "{said}");
    let listed = run(&["restore", &place.name("keys"), "--list"]).ok();
    assert!(listed.contains("signing") && listed.contains("0x0105"), "{listed}");

    let second = place.server("second", ["@a", "@b"]);
    let restore = ["restore", "@keys", "--kek", "254"];
    let said = place.on(&second, &[&restore[..], &["--dry-run"]].concat()).ok();
    assert!(said.contains("4 to restore, 0 there already, 1 not in the backup, 0 failed"), "{said}");
    place.on(&second, &["key", "export", "1", "--show"]).failed();
    let said = place.on(&second, &[&restore[..], &["--only", "2"]].concat()).ok();
    assert!(said.contains("1 restored"), "{said}");
    // As after an interruption.
    let said = place.on(&second, &restore).ok();
    assert!(said.contains("3 restored, 1 there already, 1 not in the backup, 0 failed"), "{said}");
    for id in ["1", "2", "4", "5 --global"] {
        assert_eq!(exported(&place, &first, id), exported(&place, &second, id), "{id}");
    }
    let listed = place.on(&second, &["key", "list"]).ok();
    let revoked = listed.lines().find(|line| line.starts_with("0x0004")).unwrap();
    assert!(revoked.contains("nonmodifiable") && !revoked.contains("encrypt"), "{listed}");
    // They are stored, not only cached.
    second.stop();
    let second = ServerProcess::start(&place.path("second"), &[]);
    let said = place.on(&second, &restore).ok();
    assert!(said.contains("0 restored, 4 there already"), "{said}");
    // The server does not tell the flags of global keys.
    assert_eq!(said.matches("there already, flags unknown").count(), 1, "{said}");

    // Another key has the number.
    place.on(&second, &["key", "generate", "--id", "2", "--length", "32", "--usage", "encrypt"]).ok();
    let said = place.on(&second, &restore);
    assert!(
        said.output.contains("failed: another key") && said.output.contains("3 there already"),
        "{}",
        said.output
    );
    said.failed();
    let said = place.on(&second, &[&restore[..], &["--replace"]].concat()).ok();
    assert!(said.contains("replaced") && said.contains("2 restored, 2 there already"), "{said}");
    assert_eq!(exported(&place, &first, "2"), exported(&place, &second, "2"));
}

#[test]
fn a_key_that_is_only_cached_is_not_there_already() {
    let place = Place::new();
    let first = place.server("first", ["@a", "@b"]);
    make_keys(&place, &first);
    place.on(&first, &["backup", "@keys", "--kek", "254", "--global"]).ok();
    let key = exported(&place, &first, "5 --global");

    // Room for the key-encryption key and one object more, which is there.
    let small = ["--nvm-objects", "2"];
    let init = ["init", "--nvm", "@second", "--kek", "12:254", "--kek-part", "@a", "--kek-part", "@b"];
    place.run(&[&init[..], &small].concat()).ok();
    let second = ServerProcess::start(&place.path("second"), &small);
    place.on(&second, &["nvm", "add", "7", "--text", "seven"]).ok();
    let import =
        ["key", "import", "--id", "5", "--global", "--no-commit", "--usage", "wrap", "--label", "for all"];
    place.on(&second, &[&import[..], &["--hex", key.trim()]].concat()).ok();
    let restore = ["restore", "@keys", "--kek", "254", "--only", "0x105"];
    let said = place.on(&second, &restore);
    assert!(said.output.contains("failed: it is in the server's cache"), "{}{}", said.output, said.errors);
    assert!(said.output.contains("0 there already"), "{}", said.output);
    said.failed();
    // With room it is stored.
    place.on(&second, &["nvm", "destroy", "7"]).ok();
    let said = place.on(&second, &restore).ok();
    assert!(said.contains("1 there already"), "{said}");
    second.stop();
    let second = ServerProcess::start(&place.path("second"), &small);
    assert_eq!(exported(&place, &second, "5 --global"), key);
}

#[test]
fn other_keys_clients_and_servers_do_not_open_a_backup() {
    let place = Place::new();
    let first = place.server("first", ["@a", "@b"]);
    make_keys(&place, &first);
    place.on(&first, &["backup", "@keys", "--kek", "254"]).ok();
    let said = place.on(&first, &["backup", "@none", "--kek", "253"]).failed();
    assert!(said.contains("there is no key-encryption key 0x00fd"), "{said}");
    let said = place.on(&first, &["backup", "@none", "--kek", "2"]).failed();
    assert!(said.contains("may not wrap keys"), "{said}");
    place.on(&first, &["key", "generate", "--id", "6", "--length", "32", "--usage", "wrap"]).ok();
    let said = place.on(&first, &["backup", "@none", "--kek", "6"]).failed();
    assert!(said.contains("is not trusted"), "{said}");
    let said = place.on(&first, &["backup", "@none", "--kek", "254", "--complete"]).failed();
    assert!(said.contains("no file was made"), "{said}");
    assert!(!place.path("none").exists());

    let other = place.server("other", ["@a", "@c"]);
    let restore = ["restore", "@keys", "--kek", "254"];
    let said = place.on(&other, &restore).failed();
    assert!(said.contains("it was not made under key-encryption key 0x00fe of this server"), "{said}");
    let said = place.on(&first, &[&restore[..], &["--client-id", "3"]].concat()).failed();
    assert!(said.contains("--client-id 12"), "{said}");
    let said = place.on(&first, &[&restore[..], &["--only", "77"]].concat()).failed();
    assert!(said.contains("not in the backup"), "{said}");
}

/// The places of the entries of a backup file, without their sums.
fn entries(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut start = 30;
    let count = usize::from(u16::from_be_bytes([file[28], file[29]]));
    let mut entries = Vec::new();
    for _ in 0..count {
        let size = usize::from(u16::from_be_bytes([file[start + 36], file[start + 37]]));
        entries.push(start..start + 38 + size);
        start += 38 + size + 32;
    }
    entries
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    let driver = casemate_crypto::Software::new(casemate_crypto::NoRandom);
    casemate_crypto::hash(&driver, casemate_crypto::HashAlgorithm::Sha256, &[bytes], &mut sum).unwrap();
    sum
}

/// Makes the sum of an entry right, as somebody who changed it would.
fn resum(file: &mut [u8], entry: std::ops::Range<usize>) {
    let sum = sha256(&file[entry.clone()]);
    file[entry.end..entry.end + 32].copy_from_slice(&sum);
}

#[test]
fn changed_backups_are_refused_and_nothing_is_restored() {
    let place = Place::new();
    let first = place.server("first", ["@a", "@b"]);
    make_keys(&place, &first);
    place.on(&first, &["backup", "@keys", "--kek", "254"]).ok();
    let good = fs::read(place.path("keys")).unwrap();
    let places = entries(&good);
    assert_eq!(places.len(), 4);
    let second = place.server("second", ["@a", "@b"]);
    let refused = |file: &[u8], reason: &str| {
        fs::write(place.path("changed"), file).unwrap();
        let said = place.on(&second, &["restore", "@changed", "--kek", "254"]);
        assert!(said.errors.contains("is refused"), "{}{}", said.output, said.errors);
        assert!(said.failed().contains(reason), "{reason}");
    };
    // Damage is found without the key.
    let mut file = good.clone();
    file[places[1].start + 50] ^= 1;
    refused(&file, "entry 2 of 4 (key 0x0002) is damaged");
    refused(&good[..places[2].start + 20], "entry 3 of 4: the file ends inside it");
    refused(&good[..good.len() - 1], "ends inside the seal");
    refused(b"something else that is long enough to be a header", "no backup");
    // Somebody with an editor makes the sums right.
    let mut file = good.clone();
    file[places[1].end - 1] ^= 1;
    resum(&mut file, places[1].clone());
    refused(&file, "these were changed: entry 2 (key 0x0002)");
    // The list claims other flags than the blob has.
    let mut file = good.clone();
    file[places[0].start + 5] ^= 0x20;
    resum(&mut file, places[0].clone());
    refused(&file, "these were changed: entry 1 (key 0x0001)");
    // A key is left out, two change places, the header says something else.
    let mut file = good.clone();
    file.drain(places[0].start..places[1].start);
    file[29] -= 1;
    refused(&file, "its seal is wrong: its header or its list was changed");
    let swapped = [
        &good[..30],
        &good[places[1].start..places[2].start],
        &good[places[0].start..places[1].start],
        &good[places[2].start..],
    ];
    refused(&swapped.concat(), "its seal is wrong");
    let mut file = good.clone();
    file[27] ^= 1;
    refused(&file, "its seal is wrong");
    // The seal of another backup.
    place.on(&first, &["backup", "@later", "--kek", "254"]).ok();
    let later = fs::read(place.path("later")).unwrap();
    refused(&[&good[..good.len() - 56], &later[later.len() - 56..]].concat(), "its seal is wrong");
    let listed = place.on(&second, &["key", "list"]).ok();
    assert!(!listed.contains("signing"), "{listed}");
}

#[test]
fn a_server_is_set_up_once_and_entirely() {
    let place = Place::new();
    let parts = ["--kek", "0:9", "--kek-part", "@a", "--kek-part", "@b"];
    let init = |more: &[&str]| place.run(&[&["init", "--nvm", "@nvm"], more].concat());
    let said = init(&[&parts[..], &["--kek-check", "0000000000"]].concat()).failed();
    assert!(said.contains("make a key with the check value"), "{said}");
    let said = init(&["--kek", "0:9", "--kek-part", "@a", "--kek-part", "@a"]).failed();
    assert!(said.contains("are the same part"), "{said}");
    fs::copy(place.path("b"), place.path("c")).unwrap();
    let three = ["--kek-part", "@a", "--kek-part", "@b", "--kek-part", "@c"];
    let said = init(&[&["--kek", "0:9"][..], &three].concat()).failed();
    assert!(said.contains("are the same part"), "{said}");
    let wrong_root = format!("1:{}", place.name("a"));
    let said = init(&[&parts[..], &["--root", &wrong_root]].concat()).failed();
    assert!(said.contains("no root certificate"), "{said}");
    let said = init(&[&parts[..], &["--nvm-size", "100"]].concat()).failed();
    assert!(said.contains("--nvm-size"), "{said}");
    // Nothing is left of what failed.
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["a", "b", "c"]);

    fs::write(place.path("pin"), "secret").unwrap();
    // The device key goes too, but not one that was there.
    let unknown = ["--users", "--admin", "alice", "--admin-pin-file", "@no-such-file"];
    let said = init(&[&parts[..], &unknown].concat()).failed();
    assert!(said.contains("no-such-file"), "{said}");
    assert_eq!(names(), ["a", "b", "c", "pin"]);
    fs::write(place.path("old-key"), [7; 32]).unwrap();
    fs::set_permissions(place.path("old-key"), fs::Permissions::from_mode(0o600)).unwrap();
    let said = init(&[&parts[..], &unknown, &["--device-key", "@old-key"]].concat()).failed();
    assert!(said.contains("was there before"), "{said}");
    fs::remove_file(place.path("old-key")).unwrap();
    let users = ["--users", "--pin-iterations", "1000", "--admin", "alice", "--admin-pin-file", "@pin"];
    let said = init(&[&parts[..], &users].concat()).ok();
    let check = run(&["key", "check-value", &place.name("a"), &place.name("b")]).ok();
    assert!(said.contains(&format!("object 0x1009, trusted, check value {check}")), "{said}");
    assert!(said.contains("Administrator       alice"), "{said}");
    assert_eq!(names(), ["a", "b", "c", "nvm", "nvm.device-key", "pin"]);
    let before = fs::read(place.path("nvm")).unwrap();
    let said = init(&[&parts[..], &users].concat()).failed();
    assert!(said.contains("set up already"), "{said}");
    assert_eq!(fs::read(place.path("nvm")).unwrap(), before);

    let server = ServerProcess::start(&place.path("nvm"), &["--users", "--pin-iterations", "1000"]);
    let alice = ["--user", "alice", "--pin-file", "@pin", "--client-id", "3"];
    place.on(&server, &[&["key", "generate", "--id", "1", "--length", "16"][..], &alice].concat()).ok();
    place.on(&server, &[&["backup", "@keys", "--kek", "0x109"][..], &alice].concat()).ok();
    place.on(&server, &["key", "list"]).failed();

    // Bob may use key 1 alone: whether another number is free is not for him to know, and that is what he is told.
    let rights = ["--allow", "key", "--allow", "crypto", "--allow", "nvm", "--key", "1"];
    let add = ["user", "add", "bob", "--new-pin-file", "@pin", "--user", "alice", "--pin-file", "@pin"];
    place.on(&server, &[&add[..], &rights].concat()).ok();
    let rotate = ["key", "rotate", "1", "--new-id", "2", "--user", "bob", "--pin-file", "@pin"];
    let said = place.on(&server, &[&rotate[..], &["--client-id", "3"]].concat()).failed();
    assert!(said.contains("key 0x0002 cannot be found out") && said.contains("AUTH_PERMISSION"), "{said}");
}

#[test]
fn keys_are_rotated_as_told() {
    let place = Place::new();
    let server = place.server("nvm", ["@a", "@b"]);
    make_keys(&place, &server);
    let rotate = |words: &[&str]| place.on(&server, &[&["key", "rotate"], words].concat());
    let flags = |id: &str| {
        let listed = place.on(&server, &["key", "list"]).ok();
        listed.lines().find(|line| line.starts_with(id)).map(|line| {
            let cells: Vec<_> = line.split_whitespace().collect();
            (cells[2].to_owned(), cells[3].to_owned())
        })
    };
    let before = exported(&place, &server, "2");
    rotate(&["2", "--keep-as", "20", "--dry-run"]).ok();
    assert_eq!((exported(&place, &server, "2"), flags("0x0014")), (before.clone(), None));
    let said = rotate(&["2", "--keep-as", "20"]).ok();
    assert!(said.contains("kept as key 0x0014 (decrypt)"), "{said}");
    let after = exported(&place, &server, "2");
    assert!(after != before && after.len() == before.len());
    assert_eq!(exported(&place, &server, "20"), before);
    rotate(&["2", "--keep-as", "20"]).failed();
    assert_eq!(exported(&place, &server, "2"), after);

    // A key pair stays one of its kind.
    let public = |id: &str| place.on(&server, &["key", "export-public", id, "--algorithm", "p256"]).ok();
    let before = public("1");
    rotate(&["1", "--discard", "--dry-run"]).ok();
    assert_eq!(public("1"), before);
    rotate(&["1", "--discard"]).ok();
    assert_ne!(public("1"), before);
    let said = place.on(&server, &["key", "show", "1"]).ok();
    assert!(said.contains("p256") && said.contains("signing") && said.contains("sign"), "{said}");
    rotate(&["1", "--new-id", "2"]).failed();
    rotate(&["1", "--new-id", "21", "--revoke-old"]).ok();
    let said = place.on(&server, &["key", "show", "1"]).ok();
    assert!(said.contains("revoked"), "{said}");
    public("21");

    // A number is taken by a global key, which the server does not show, by one that is only cached, and by one that
    // cannot be read.
    let cached = ["key", "import", "--id", "8", "--global", "--no-commit", "--hex", "0102030405060708"];
    place.on(&server, &cached).ok();
    let (global, cached) = (exported(&place, &server, "5 --global"), exported(&place, &server, "8 --global"));
    for taken in ["0x105", "0x108", "3"] {
        let said = rotate(&["21", "--new-id", taken]).failed();
        assert!(said.contains("there is a key"), "{taken}: {said}");
    }
    assert_eq!(exported(&place, &server, "5 --global"), global);
    assert_eq!(exported(&place, &server, "8 --global"), cached);
    // The old key cannot be kept under the number that the new one gets, and its owner does not change by accident.
    place.on(&server, &["key", "generate", "--id", "40", "--length", "16", "--usage", "decrypt"]).ok();
    let before = exported(&place, &server, "40");
    for (number, reason) in [("40", "keep the old one as another"), ("0x12a", "the same owner")] {
        let said = rotate(&["40", "--keep-as", number]).failed();
        assert!(said.contains(reason), "{said}");
    }
    let said = rotate(&["5", "--global", "--keep-as", "12"]).failed();
    assert!(said.contains("the same owner"), "{said}");
    assert_eq!(exported(&place, &server, "40"), before);

    let said = rotate(&["3", "--keep-as", "30"]).failed();
    assert!(said.contains("nonexportable"), "{said}");
    rotate(&["3", "--discard"]).ok();
    let said = rotate(&["4", "--discard"]).failed();
    assert!(said.contains("nonmodifiable"), "{said}");
    let said = rotate(&["254", "--discard"]).failed();
    assert!(said.contains("trusted"), "{said}");
    let said = rotate(&["9", "--discard"]).failed();
    assert!(said.contains("no committed key"), "{said}");
    assert_eq!(rotate(&["2"]).code, Some(2));

    // One key in a file.
    place.on(&server, &["key", "wrap", "2", "--kek", "254", "--out", "@blob"]).ok();
    assert_eq!(fs::metadata(place.path("blob")).unwrap().len(), 32 + 60);
    place.on(&server, &["key", "wrap", "2", "--kek", "254", "--out", "@blob"]).failed();
    place.on(&server, &["key", "wrap", "3", "--kek", "254", "--out", "@none"]).failed();
    let said = place.on(&server, &["key", "erase", "2", "--dry-run"]).ok();
    assert!(said.starts_with("would erase key 0x0002: 32 bytes"), "{said}");
    place.on(&server, &["key", "erase", "2"]).ok();
    assert_eq!(place.on(&server, &["key", "unwrap", "@blob", "--kek", "254", "--id", "22"]).ok(), "0x0016\n");
    place.on(&server, &["key", "unwrap", "@blob", "--kek", "254"]).ok();
    assert_eq!((exported(&place, &server, "2"), exported(&place, &server, "22")), (after.clone(), after));
    let mut blob = fs::read(place.path("blob")).unwrap();
    blob[70] ^= 1;
    fs::write(place.path("blob"), blob).unwrap();
    let said = place.on(&server, &["key", "unwrap", "@blob", "--kek", "254", "--id", "23"]).failed();
    assert!(said.contains("was changed"), "{said}");
}
