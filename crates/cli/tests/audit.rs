//! `casemate serve --audit` and `casemate audit`.

mod child;
mod common;

use child::Running;
use common::{PATIENCE, ServerProcess, casemate, run};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;

#[test]
fn what_clients_do_is_recorded_and_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.jsonl");
    let name = file.to_str().unwrap();
    let server = ServerProcess::start(Path::new("ram"), &["--audit", name]);
    server.run(&["key", "import", "--id", "5", "--usage", "sign", "--text", "0123456789abcdef"]).ok();
    server.run(&["nvm", "add", "7", "--text", "the secret of the object"]).ok();
    server.run(&["key", "export", "9", "--show"]).failed();
    server.run(&["nvm", "destroy", "7", "--client-id", "3"]).ok();
    server.stop();

    let all = run(&["audit", "show", name]).ok();
    for expected in ["log-opened", "session-started", "session-ended", "key-created", "object-destroyed"] {
        assert!(all.contains(expected), "{expected}: {all}");
    }
    let text = fs::read_to_string(&file).unwrap();
    for secret in ["0123456789abcdef", "the secret", "30313233343536"] {
        assert!(!text.contains(secret), "{secret}");
    }

    let of = |arguments: &[&str]| run(&[&["audit", "show", name], arguments].concat()).ok();
    let created = of(&["--event", "key-created"]);
    assert_eq!(created.lines().count(), 2, "{created}");
    assert!(created.contains("key=0x1c05") && created.contains("flags=sign"), "{created}");
    let destroyed = of(&["--client-id", "3", "--event", "object-destroyed"]);
    assert!(destroyed.contains("object=0x0007"), "{destroyed}");
    assert!(of(&["--client-id", "4"]).is_empty());
    assert_eq!(of(&["--object", "7"]).lines().count(), 3);
    assert_eq!(of(&["--last", "1", "--json"]).lines().count(), 1);
    assert!(of(&["--until", "2001"]).is_empty());
    assert_eq!(of(&["--since", "2001", "--json"]), text);

    let verified = run(&["audit", "verify", name]).ok();
    let head = verified.lines().last().unwrap().split_whitespace().last().unwrap().to_owned();
    run(&["audit", "verify", name, "--noted", &head]).ok();
    fs::write(&file, text.replacen("\"client\":3", "\"client\":4", 1)).unwrap();
    let said = run(&["audit", "verify", name]).failed();
    assert!(said.contains("digest does not match"), "{said}");
}

#[test]
fn a_file_that_cannot_be_used_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    fs::write(&file, "dear diary\n").unwrap();
    let start = |audit: &str, more: &[&str]| {
        let server = ["serve", "--tcp", "127.0.0.1:0", "--nvm", "ram", "--audit", audit];
        run(&[&server[..], more].concat()).failed()
    };
    let said = start(file.to_str().unwrap(), &[]);
    assert!(said.contains("notes.txt") && said.contains("not a file of security records"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear diary\n");
    assert!(start("/dev/null", &[]).contains("no regular file"));
    let key = directory.path().join("key");
    fs::write(&key, "short").unwrap();
    let fresh = directory.path().join("fresh");
    let said = start(fresh.to_str().unwrap(), &["--audit-key", key.to_str().unwrap()]);
    assert!(said.contains("16 or more"), "{said}");
}

#[test]
fn a_chain_with_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let (file, key) = (directory.path().join("audit.jsonl"), directory.path().join("key"));
    fs::write(&key, [0x5A; 32]).unwrap();
    let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    for _ in 0..2 {
        let server = ServerProcess::start(Path::new("ram"), &["--audit", file, "--audit-key", key]);
        server.run(&["echo"]).ok();
        server.stop();
    }
    run(&["audit", "verify", file]).failed();
    let verified = run(&["audit", "verify", file, "--key", key]).ok();
    assert!(verified.starts_with("Records  6, none changed"), "{verified}");
}

#[test]
fn records_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.jsonl");
    let name = file.to_str().unwrap();
    // Files of a few records each, so that they are renamed.
    let server = ServerProcess::start(Path::new("ram"), &["--audit", name, "--audit-size", "2048"]);
    let mut command = casemate();
    command.args(["audit", "show", "--follow", "--json", "--event", "key-created", name]);
    let mut follow = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let (to, lines) = channel();
    let output = BufReader::new(follow.stdout.take().unwrap());
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
    for number in ["1", "2", "3", "4", "5", "6"] {
        let import = ["key", "import", "--id", number, "--usage", "sign", "--text", "0123456789abcdef"];
        server.run(&import).ok();
        let line = lines.recv_timeout(PATIENCE).unwrap();
        assert!(line.contains(&format!("\"key\":\"0x1c0{number}\"")), "{line}");
    }
    assert!(directory.path().join("audit.jsonl.1").exists());
    drop(follow);
    server.stop();
    assert!(run(&["audit", "show", name, "--user", "1"]).ok().is_empty());
}
