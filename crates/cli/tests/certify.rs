//! Requests and certificates made with keys of a server, against OpenSSL.

mod common;

use common::{ServerProcess, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Place {
    folder: tempfile::TempDir,
    server: ServerProcess,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(&folder.path().join("nvm"), &[]);
        Self { folder, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn generate(&self, id: &str, algorithm: &str) {
        self.server.run(&["key", "generate", "--id", id, "--algorithm", algorithm, "--usage", "sign"]).ok();
    }

    /// `casemate cert` with these words; those that begin with @ are files here.
    fn words(&self, words: &[&str]) -> Vec<String> {
        let word =
            |word: &&str| word.strip_prefix('@').map_or_else(|| (*word).to_owned(), |name| self.name(name));
        ["cert"].iter().chain(words).map(word).collect()
    }

    fn cert(&self, words: &[&str]) -> String {
        let words = self.words(words);
        self.server.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).ok()
    }

    fn refused(&self, words: &[&str], reason: &str) {
        let words = self.words(words);
        let said = self.server.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).failed();
        assert!(said.contains(reason), "{said}");
    }

    fn openssl(&self, words: &[&str]) -> Output {
        let words: Vec<_> = self.words(words).split_off(1);
        let output = Command::new("openssl").args(words).output();
        output.expect("this test needs the program openssl (the package openssl)")
    }

    /// What OpenSSL says about something that it accepts.
    #[track_caller]
    fn accepted(&self, words: &[&str]) -> String {
        let output = self.openssl(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}{errors}");
        said + &errors
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn openssl_accepts_requests_of_every_kind_of_key() {
    let place = Place::new();
    for (id, algorithm, more, signature) in [
        ("1", "p256", &[][..], "ecdsa-with-SHA256"),
        ("2", "p384", &[], "ecdsa-with-SHA384"),
        ("3", "p521", &["--hash", "sha256"], "ecdsa-with-SHA256"),
        ("4", "ed25519", &[], "ED25519"),
        ("5", "rsa2048", &[], "sha256WithRSAEncryption"),
        ("5", "rsa2048", &["--pss", "--hash", "sha512"], "rsassaPss"),
    ] {
        if more.first() != Some(&"--pss") {
            place.generate(id, algorithm);
        }
        let words =
            ["request", id, "--subject", "CN=Device 7,O=Example\\, Inc,C=DE", "--out", "@csr", "--force"];
        place.cert(&[&words[..], more].concat());
        let text = place.accepted(&["req", "-in", "@csr", "-verify", "-noout", "-text"]);
        assert!(text.contains("verify OK"), "{text}");
        assert!(text.contains(&format!("Signature Algorithm: {signature}")), "{text}");
        let subject = place.accepted(&["req", "-in", "@csr", "-noout", "-subject", "-nameopt", "RFC2253"]);
        assert_eq!(subject, "subject=CN=Device 7,O=Example\\, Inc,C=DE\n");
    }
    let words = ["request", "1", "--subject", "CN=x", "--profile", "server", "--dns", "a.example", "--der"];
    place.cert(&[&words[..], &["--ip", "::1", "--out", "@csr.der"]].concat());
    let text = place.accepted(&["req", "-inform", "DER", "-in", "@csr.der", "-verify", "-noout", "-text"]);
    for part in ["DNS:a.example, IP Address:0:0:0:0:0:0:0:1", "TLS Web Server Authentication", "CA:FALSE"] {
        assert!(text.contains(part), "{text}");
    }
    // To standard output.
    let pem = place.cert(&["request", "1", "--subject", "CN=x"]);
    assert!(pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{pem}");
}

#[test]
fn openssl_accepts_an_authority_and_what_it_issued() {
    let place = Place::new();
    place.generate("1", "p384");
    place.generate("2", "rsa2048");
    place.generate("3", "ed25519");
    let ca = ["self-sign", "1", "--profile", "ca", "--path-length", "1", "--subject", "CN=Root,O=Example"];
    place.cert(&[&ca[..], &["--days", "3650", "--out", "@root.pem"]].concat());
    let text = place.accepted(&["x509", "-in", "@root.pem", "-noout", "-text"]);
    for part in
        ["CA:TRUE, pathlen:1", "Certificate Sign, CRL Sign", "Version: 3", "X509v3 Subject Key Identifier"]
    {
        assert!(text.contains(part), "{text}");
    }
    let serial = place.accepted(&["x509", "-in", "@root.pem", "-noout", "-serial"]);
    assert_eq!(serial.trim().strip_prefix("serial=").unwrap().len(), 40, "{serial}");
    place.accepted(&["verify", "-x509_strict", "-CAfile", "@root.pem", "@root.pem"]);

    // An authority below it, with another kind of key.
    place.cert(&["request", "2", "--subject", "CN=Below", "--out", "@below.csr"]);
    let issue = ["issue", "1", "--ca", "@root.pem", "--days", "100", "--request"];
    place.cert(&[&issue[..], &["@below.csr", "--profile", "ca", "--out", "@below.pem"]].concat());
    let text = place.accepted(&["x509", "-in", "@below.pem", "-noout", "-text"]);
    assert!(
        text.contains("CA:TRUE, pathlen:0") && text.contains("X509v3 Authority Key Identifier"),
        "{text}"
    );

    // A server below that, whose request OpenSSL made and which asks for too much.
    fs::write(
        place.path("leaf.cnf"),
        "[req]\nprompt=no\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\nO=Example\nCN=Leaf\n[ext]\n\
         basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:leaf.example,IP:10.0.0.1,URI:urn:x:y,email:a@b.example\n",
    )
    .unwrap();
    let make = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"];
    place.accepted(&[&make[..], &["@leaf.key", "-config", "@leaf.cnf", "-out", "@leaf.csr"]].concat());
    let issue = ["issue", "2", "--ca", "@below.pem", "--days", "50", "--request", "@leaf.csr", "--profile"];
    let words = place.words(&[&issue[..], &["server", "--pss", "--out", "@leaf.pem"]].concat());
    let said = place.server.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.errors.contains("basic constraints, which is not taken"), "{}", said.errors);
    said.ok();
    let text = place.accepted(&["x509", "-in", "@leaf.pem", "-noout", "-text"]);
    assert!(text.contains("DNS:leaf.example, IP Address:10.0.0.1, URI:urn:x:y, email:a@b.example"), "{text}");
    assert!(text.contains("CA:FALSE") && !text.contains("CA:TRUE"), "{text}");
    place.accepted(&[
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "leaf.example",
        "-CAfile",
        "@root.pem",
        "-untrusted",
        "@below.pem",
        "@leaf.pem",
    ]);
    let wrong_name = ["verify", "-verify_hostname", "other.example", "-CAfile", "@root.pem", "-untrusted"];
    assert!(!place.openssl(&[&wrong_name[..], &["@below.pem", "@leaf.pem"]].concat()).status.success());
    // The server itself accepts the chain too.
    place.cert(&["add", "1", "@root.pem"]);
    place.cert(&["verify", "--root", "1", "@below.pem", "@leaf.pem"]);

    // DER without anything that DER does not allow, and a client with Ed25519.
    place.cert(&["request", "3", "--subject", "CN=Client", "--out", "@client.csr"]);
    let issue = ["issue", "1", "--ca", "@root.pem", "--request", "@client.csr", "--profile", "client"];
    place.cert(&[&issue[..], &["--der", "--out", "@client.der"]].concat());
    place.accepted(&["asn1parse", "-inform", "DER", "-in", "@client.der"]);
    place.accepted(&[
        "x509",
        "-inform",
        "DER",
        "-in",
        "@client.der",
        "-outform",
        "DER",
        "-out",
        "@again.der",
    ]);
    assert_eq!(fs::read(place.path("client.der")).unwrap(), fs::read(place.path("again.der")).unwrap());
    let client = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "@root.pem", "@client.der"];
    place.accepted(&client);

    // What the authority may not do.
    let below = ["issue", "2", "--ca", "@below.pem", "--request", "@client.csr", "--profile"];
    place.refused(&[&below[..], &["ca", "--days", "9"]].concat(), "path length is 0");
    place.refused(&[&below[..], &["client", "--days", "400"]].concat(), "does not cover");
    place.refused(
        &["issue", "1", "--ca", "@leaf.pem", "--request", "@client.csr", "--profile", "leaf"],
        "not marked",
    );
    place.refused(
        &["issue", "2", "--ca", "@root.pem", "--request", "@client.csr", "--profile", "leaf"],
        "is not the key",
    );
    // A request that somebody has changed.
    let mut csr = fs::read_to_string(place.path("leaf.csr")).unwrap();
    let middle = csr.len() / 2;
    let other = if csr.as_bytes()[middle] == b'A' { "B" } else { "A" };
    csr.replace_range(middle..=middle, other);
    fs::write(place.path("changed.csr"), csr).unwrap();
    place.refused(
        &["issue", "1", "--ca", "@root.pem", "--request", "@changed.csr", "--profile", "leaf"],
        "is refused",
    );
}

#[test]
fn what_an_authority_is_asked_for_is_judged() {
    let place = Place::new();
    place.generate("1", "p256");
    place.generate("2", "p256");
    place.cert(&["self-sign", "1", "--profile", "ca", "--subject", "CN=Root", "--out", "@root.pem"]);
    place.cert(&["request", "2", "--subject", "CN=Asked", "--out", "@asked.csr"]);
    let issue = [
        "issue",
        "1",
        "--days",
        "9",
        "--profile",
        "leaf",
        "--out",
        "@out.pem",
        "--force",
        "--ca",
        "@root.pem",
    ];
    let said = place.cert(&[&issue[..], &["--request", "@asked.csr", "--subject", "CN=Given"]].concat());
    assert_eq!(said, "issued: CN=Given\n");
    let subject = place.accepted(&["x509", "-in", "@out.pem", "-noout", "-subject", "-nameopt", "RFC2253"]);
    assert_eq!(subject, "subject=CN=Given\n");
    let said = place.cert(&[&issue[..], &["--request", "@asked.csr"]].concat());
    assert_eq!(said, "issued: CN=Asked\n");

    // A subject that would change what a terminal shows.
    let make =
        ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "@key"];
    place.accepted(&[&make[..], &["-utf8", "-subj", "/CN=a\u{1b}[2Jb", "-out", "@odd.csr"]].concat());
    let odd = [&issue[..], &["--request", "@odd.csr"]].concat();
    place.refused(&odd, "the subject of the request is refused");
    place.cert(&[&odd[..], &["--subject", "CN=Plain"]].concat());

    // Authorities with more to say than is heard here.
    for (extension, subject, reason) in [
        ("nameConstraints=permitted;DNS:example.org", "/CN=x", "it has name constraints"),
        ("1.2.3.4=critical,ASN1:NULL", "/CN=x", "1.2.3.4 is critical"),
        ("keyUsage=critical,keyCertSign", "/", "it has no subject"),
    ] {
        fs::write(
            place.path("ca.cnf"),
            format!(
                "[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n\
                 basicConstraints=critical,CA:TRUE\n{extension}\n"
            ),
        )
        .unwrap();
        let more = ["-x509", "-subj", subject, "-config", "@ca.cnf", "-out", "@odd.pem"];
        place.accepted(&[&make[..], &more].concat());
        let words = ["issue", "1", "--profile", "leaf", "--request", "@asked.csr", "--ca", "@odd.pem"];
        place.refused(&words, reason);
    }
}

#[test]
fn ml_dsa_keys_sign_their_certificates() {
    // OpenSSL 3.0 does not know ML-DSA; the server verifies what its key signed, and the program did so before.
    let place = Place::new();
    place.generate("1", "ml-dsa-44");
    place.cert(&["self-sign", "1", "--profile", "ca", "--subject", "CN=Lattice", "--out", "@root.pem"]);
    place.cert(&["add", "1", "@root.pem"]);
    place.cert(&["verify", "--root", "1", "@root.pem"]);
    place.accepted(&["asn1parse", "-in", "@root.pem"]);
}

#[test]
fn wrong_use_is_refused_and_no_file_is_replaced_by_accident() {
    let place = Place::new();
    place.generate("1", "p256");
    let words = ["request", "1", "--subject", "CN=x", "--out", "@csr"];
    place.cert(&words);
    let before = length(&place.path("csr"));
    place.refused(&words, "exists; --force replaces it");
    assert_eq!(length(&place.path("csr")), before);
    place.cert(&[&words[..], &["--force"]].concat());

    place.refused(&["request", "9", "--subject", "CN=x"], "there is no key 0x0009");
    place.refused(&["request", "1", "--subject", "CN=x", "--pss"], "--pss is for RSA keys");
    place.refused(&["request", "1", "--subject", "CN=x", "--profile", "server"], "give --dns or --ip");
    let leaf = ["self-sign", "1", "--subject", "CN=x", "--profile", "leaf"];
    place.refused(&[&leaf[..], &["--path-length", "1"]].concat(), "--path-length is for authorities");
    place.refused(&[&leaf[..], &["--days", "4000000"]].concat(), "9999");
    let subject = run(&["cert", "request", "1", "--subject", "CN=x, O=y"]);
    assert_eq!(subject.code, Some(2));
    assert!(subject.errors.contains("RFC 4514"), "{}", subject.errors);

    place.server.run(&["key", "generate", "--id", "2", "--length", "32", "--usage", "encrypt"]).ok();
    place.refused(&["request", "2", "--subject", "CN=x"], "no key pair that can sign");
    place.server.run(&["key", "generate", "--id", "3", "--algorithm", "p224", "--usage", "sign"]).ok();
    place.refused(&["request", "3", "--subject", "CN=x"], "another curve");
    place.server.run(&["key", "generate", "--id", "4", "--algorithm", "p256", "--usage", "derive"]).ok();
    place.refused(&["request", "4", "--subject", "CN=x"], "may not sign");
    place.server.run(&["key", "generate", "--id", "5", "--algorithm", "x25519", "--usage", "derive"]).ok();
    place.refused(&["request", "5", "--subject", "CN=x"], "no key pair that can sign");
}
