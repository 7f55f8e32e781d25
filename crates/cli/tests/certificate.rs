//! `casemate cert`, with certificates of OpenSSL.

mod common;

use common::{Said, ServerProcess};
use std::fs;
use std::path::{Path, PathBuf};

/// The demonstration's certificates as files, in DER.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, digits) in
            include_str!("../src/demo/certificates.txt").lines().filter_map(|line| line.split_once(' '))
        {
            fs::write(directory.path().join(name), hex::decode(digits).unwrap()).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `casemate cert`; words that begin with @ are files.
    fn cert(&self, server: &ServerProcess, words: &[&str]) -> Said {
        let words: Vec<_> = words
            .iter()
            .map(|word| match word.strip_prefix('@') {
                Some(name) => self.path(name).to_str().unwrap().to_owned(),
                None => (*word).to_owned(),
            })
            .collect();
        server.run(&[&["cert"], &words.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat())
    }
}

#[test]
fn roots_are_stored_read_and_erased() {
    let (files, server) = (Files::new(), ServerProcess::start(Path::new("ram"), &[]));
    files.cert(&server, &["add", "0x61", "@root", "--label", "plant 7"]).ok();
    files.cert(&server, &["read", "0x61", "--out", "@copy"]).ok();
    assert_eq!(fs::read(files.path("copy")).unwrap(), fs::read(files.path("root")).unwrap());
    assert!(server.run(&["nvm", "list"]).ok().contains("plant 7"));
    files.cert(&server, &["add", "0x61", "@other-root", "--flags", "nonmodifiable"]).ok();
    let said = files.cert(&server, &["add", "0x61", "@root"]).failed();
    assert!(said.contains("root 0x0061"), "{said}");
    files.cert(&server, &["erase", "0x61"]).ok();
    files.cert(&server, &["erase", "0x61"]).ok();
    files.cert(&server, &["read", "0x61"]).failed();
    files.cert(&server, &["add", "0x62", "@nothing"]).failed();
}

#[test]
fn chains_verify_or_do_not() {
    let (files, server) = (Files::new(), ServerProcess::start(Path::new("ram"), &[]));
    files.cert(&server, &["add", "1", "@root"]).ok();
    files.cert(&server, &["add", "2", "@other-root"]).ok();
    let verify = |words: &[&str]| files.cert(&server, &[&["verify"], words].concat());
    assert_eq!(verify(&["--root", "1", "@intermediate", "@leaf"]).ok(), "the chain verifies\n");
    for bad in [
        &["--root", "1", "@leaf"][..],
        &["--root", "1", "@leaf", "@intermediate"],
        &["--root", "1", "@intermediate", "@expired"],
        &["--root", "2", "@intermediate", "@leaf"],
        &["--root", "3", "@intermediate", "@leaf"],
    ] {
        let said = verify(bad).failed();
        assert!(said.contains("the chain is not accepted"), "{bad:?}: {said}");
    }
    verify(&["--root", "1", "--root", "2", "--root", "3", "@other-leaf"]).ok();

    let cached = ["--root", "1", "--cache-key", "5", "--usage", "verify", "@intermediate", "@leaf"];
    assert_eq!(verify(&cached).ok(), "the chain verifies\nkey 0x0005 (verify)\n");
    let authority = ["--root", "1", "--cache-key", "0", "@intermediate"];
    assert_eq!(verify(&authority).ok(), "the chain verifies\nit has no leaf, so no key was cached\n");

    let attribute = |root: &str| files.cert(&server, &["verify-attribute", "--root", root, "@attribute"]);
    assert_eq!(attribute("1").ok(), "the signature verifies\n");
    attribute("2").failed();
    for change in ["clear", "off", "on"] {
        files.cert(&server, &["cache", change]).ok();
    }
}

#[test]
fn a_server_can_demand_more() {
    let (files, strict) =
        (Files::new(), ServerProcess::start(Path::new("ram"), &["--certificates", "strict"]));
    files.cert(&strict, &["add", "1", "@root"]).ok();
    files.cert(&strict, &["verify", "--root", "1", "@intermediate", "@leaf"]).ok();
    // What is no certificate is refused when it is stored.
    files.cert(&strict, &["add", "2", "@signature"]).failed();
}
