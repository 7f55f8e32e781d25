//! `casemate serve --users`, `casemate user`, and logins with `--user`.

mod common;

use common::{Said, ServerProcess, casemate, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// Files of a server and of its users.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, pin) in [("admin.pin", "open sesame"), ("first.pin", "271828"), ("second.pin", "314159")] {
            fs::write(place.path(name), pin).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Words that begin with @ are files here.
    fn words(&self, words: &[&str]) -> Vec<String> {
        let word =
            |word: &&str| word.strip_prefix('@').map_or_else(|| (*word).to_owned(), |name| self.name(name));
        words.iter().map(word).collect()
    }

    fn start(&self, more: &[&str]) -> ServerProcess {
        let more = self.words(&[&["--users", "--pin-iterations", "1000"], more].concat());
        let more: Vec<_> = more.iter().map(String::as_str).collect();
        ServerProcess::start(&self.path("nvm"), &more)
    }

    /// A command in the name of a user, whose PIN is in a file.
    fn by(&self, server: &ServerProcess, user: &str, pin: &str, words: &[&str]) -> Said {
        let words = self.words(&[words, &["--user", user, "--pin-file", pin]].concat());
        server.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

const WORKER: [&str; 6] = ["user", "add", "worker", "--new-pin-file", "@first.pin", "--allow"];

#[test]
fn the_first_start_needs_a_pin_and_later_ones_do_not() {
    let place = Place::new();
    let nvm = place.name("nvm");
    let said = run(&["serve", "--tcp", "127.0.0.1:0", "--nvm", &nvm, "--users"]).failed();
    assert!(said.contains("the first one needs a PIN"), "{said}");
    let server = place.start(&["--admin-pin-file", "@admin.pin"]);
    place.by(&server, "admin", "@admin.pin", &["user", "list"]).ok();
    server.stop();
    let key = fs::metadata(place.path("nvm.device-key")).unwrap();
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
    let server = place.start(&[]);
    let said = place.by(&server, "admin", "@admin.pin", &["user", "list"]).ok();
    assert!(said.starts_with("admin: user 1, administrator\n"), "{said}");
    server.stop();
    fs::rename(place.path("nvm.device-key"), place.path("elsewhere")).unwrap();
    let said = run(&["serve", "--tcp", "127.0.0.1:0", "--nvm", &nvm, "--users"]).failed();
    assert!(said.contains("device key") && said.contains("is missing"), "{said}");
    let server =
        place.start(&["--device-key", "@elsewhere", "--reset-admin", "--admin-pin-file", "@second.pin"]);
    place.by(&server, "admin", "@admin.pin", &["user", "list"]).failed();
    place.by(&server, "admin", "@second.pin", &["user", "list"]).ok();
}

#[test]
fn users_do_what_they_may_and_nothing_else() {
    let place = Place::new();
    let server = place.start(&["--admin-pin-file", "@admin.pin"]);
    let admin = |words: &[&str]| place.by(&server, "admin", "@admin.pin", words);
    let worker = |pin: &str, words: &[&str]| place.by(&server, "worker", pin, words);
    server.run(&["nvm", "list"]).failed();
    server.run(&["echo"]).ok();
    server.run(&["user", "list"]).failed();
    let added = admin(&[&WORKER[..], &["nvm:5-6", "--key", "5"]].concat()).ok();
    assert_eq!(added, "worker is user 2\n");
    admin(&[&WORKER[..], &["nvm"]].concat()).failed();
    let listed = admin(&["user", "list", "worker", "admin"]).ok();
    assert!(listed.starts_with("worker: user 2\n  nvm:5-6\n  key 0x5\nadmin: user 1"), "{listed}");

    worker("@first.pin", &["nvm", "list"]).ok();
    worker("@second.pin", &["nvm", "list"]).failed();
    worker("@first.pin", &["nvm", "add", "7", "--text", "x"]).failed();
    worker("@first.pin", &["user", "list"]).failed();
    worker("@first.pin", &["user", "delete", "admin"]).failed();

    let changed = admin(&["user", "permissions", "worker", "--allow", "auth", "--every-key"]).ok();
    assert_eq!(changed, "worker: user 2\n  nvm:5-6\n  auth\n  every key\n");
    worker("@first.pin", &["user", "pin", "--new-pin-file", "@second.pin"]).ok();
    worker("@first.pin", &["nvm", "list"]).failed();
    worker("@second.pin", &["nvm", "list"]).ok();
    let only = admin(&["user", "permissions", "worker", "--only", "--allow", "counter"]).ok();
    assert_eq!(only, "worker: user 2\n  counter\n  every key\n");
    worker("@second.pin", &["nvm", "list"]).failed();

    admin(&["user", "logout", "worker"]).ok();
    admin(&["user", "delete", "admin"]).failed();
    admin(&["user", "delete", "worker"]).ok();
    worker("@second.pin", &["counter", "init", "1"]).failed();
    admin(&["user", "list", "worker"]).failed();
}

#[test]
fn a_pin_can_come_from_the_environment_and_never_from_an_argument() {
    let place = Place::new();
    let server = place.start(&["--admin-pin-file", "@admin.pin"]);
    let list = |pin: &str| -> Said {
        let arguments = ["nvm", "list", "--user", "admin", "--server", &server.address];
        casemate().env("CASEMATE_PIN", pin).args(arguments).output().unwrap().into()
    };
    list("open sesame").ok();
    list("open says me").failed();
    let said = server.run(&["nvm", "list", "--user", "admin"]).failed();
    assert!(said.contains("--pin-file"), "{said}");
}

#[test]
fn failed_logins_lock_a_user_until_an_administrator_unlocks_it() {
    let place = Place::new();
    let server = place.start(&["--admin-pin-file", "@admin.pin", "--failed-logins", "3"]);
    let admin = |words: &[&str]| place.by(&server, "admin", "@admin.pin", words);
    admin(&[&WORKER[..], &["nvm"]].concat()).ok();
    let worker = |pin: &str| place.by(&server, "worker", pin, &["nvm", "list"]);
    for _ in 0..3 {
        worker("@second.pin").failed();
    }
    worker("@first.pin").failed();
    admin(&["user", "unlock", "worker"]).ok();
    worker("@first.pin").ok();
}

fn certificate(place: &Place, name: &str) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-batch", "-days", "30"])
        .args(["-subj", &format!("/CN={name}"), "-keyout", &format!("{name}.key"), "-out"])
        .arg(format!("{name}.pem"))
        .current_dir(place.0.path())
        .output()
        .expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Over TLS, where the client has proven that the certificate is its own.
#[test]
fn a_user_can_log_in_with_the_certificate_of_its_connection() {
    let place = Place::new();
    for name in ["server", "client", "other"] {
        certificate(&place, name);
    }
    let both = ["client.pem", "other.pem"].map(|name| fs::read_to_string(place.path(name)).unwrap()).concat();
    fs::write(place.path("both.pem"), both).unwrap();
    let tls = ["--tls", "127.0.0.1:0", "--tls-certificate", "@server.pem", "--tls-key", "@server.key"];
    let server = place.start(
        &[
            &tls[..],
            &["--tls-trust", "@both.pem", "--admin-pin-file", "@admin.pin"],
            &["--certificate-logins", "tls"],
        ]
        .concat(),
    );
    let line = server.wait_for(" listens on tls://");
    let tls = line.rsplit(' ').next().unwrap().to_owned();
    let admin = |words: &[&str]| place.by(&server, "admin", "@admin.pin", words);
    let add = ["user", "add", "worker", "--certificate", "@client.pem", "--allow", "nvm", "--allow", "auth"];
    assert_eq!(admin(&add).ok(), "worker is user 2\n");

    let over_tls = |identity: &str, shown: &str| {
        let (key, identity) = (format!("@{identity}.key"), format!("@{identity}.pem"));
        let words = place.words(&[
            "nvm",
            "list",
            "--server",
            &tls,
            "--tls-trust",
            "@server.pem",
            "--tls-certificate",
            &identity,
            "--tls-key",
            &key,
            "--user",
            "worker",
            "--user-certificate",
            shown,
        ]);
        run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    over_tls("client", "@client.pem").ok();
    over_tls("other", "@client.pem").failed();
    over_tls("other", "@other.pem").failed();
    let plain = place.words(&["nvm", "list", "--user", "worker", "--user-certificate", "@client.pem"]);
    server.run(&plain.iter().map(String::as_str).collect::<Vec<_>>()).failed();

    let change = ["user", "certificate", "worker", "@other.pem", "--current-certificate", "@client.pem"];
    admin(&change).ok();
    over_tls("client", "@client.pem").failed();
    over_tls("other", "@other.pem").ok();
}

#[test]
fn certificates_alone_are_taken_only_where_the_owner_says_so() {
    let place = Place::new();
    certificate(&place, "client");
    let server = place.start(&["--admin-pin-file", "@admin.pin"]);
    let add = ["user", "add", "worker", "--certificate", "@client.pem", "--allow", "nvm"];
    place.by(&server, "admin", "@admin.pin", &add).failed();
    server.stop();
    let server = place.start(&["--certificate-logins", "replayable"]);
    place.by(&server, "admin", "@admin.pin", &add).ok();
    let words = place.words(&["nvm", "list", "--user", "worker", "--user-certificate", "@client.pem"]);
    server.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).ok();
}
