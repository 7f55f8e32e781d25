//! The same chains, judged by the program `openssl verify`, where it asks the same question: one anchor, chains
//! whole or partial. (OpenSSL counts the last second of a validity period as outside, RFC 5280, §4.1.2.5, as inside.)

mod common;

use common::{NOW, certificate, verify};
use std::fs;
use std::path::Path;
use std::process::Command;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn pem(names: &str) -> String {
    let mut text = String::new();
    for der in names.split_whitespace().map(certificate) {
        text += "-----BEGIN CERTIFICATE-----";
        for (index, group) in der.chunks(3).enumerate() {
            if index % 16 == 0 {
                text.push('\n');
            }
            let word = (0..3).fold(0, |word, at| word << 8 | u32::from(*group.get(at).unwrap_or(&0)));
            for at in 0..4 {
                let digit = ALPHABET[(word >> (18 - 6 * at)) as usize & 63];
                text.push(if at > group.len() { '=' } else { char::from(digit) });
            }
        }
        text += "\n-----END CERTIFICATE-----\n";
    }
    text
}

/// Whether `openssl verify` accepts the last certificate, with those before it as untrusted ones.
fn openssl(folder: &Path, anchor: &str, names: &str) -> bool {
    let (untrusted, last) = names.rsplit_once(' ').unwrap_or(("", names));
    let file = |name: &str, text: String| {
        fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let mut command = Command::new("openssl");
    command.args(["verify", "-partial_chain", "-attime", &NOW.to_string(), "-auth_level", "0", "-no-CAfile"]);
    command.args(["-no-CApath", "-trusted"]).arg(file("anchor.pem", pem(anchor)));
    if !untrusted.is_empty() {
        command.arg("-untrusted").arg(file("untrusted.pem", pem(untrusted)));
    }
    let output = command.arg(file("last.pem", pem(last))).output();
    output.expect("the program openssl, which this test compares with").status.success()
}

#[test]
fn openssl_agrees() {
    let folder = std::env::temp_dir().join(format!("casemate-x509-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let algorithms = [
        "rsa2048-sha256",
        "rsa3072-sha384",
        "rsa4096-sha512",
        "rsa2048-pss-sha256",
        "rsa2049-pss-sha512",
        "rsa2050-pss-sha384",
        "rsa2048-pss-max",
        "p224-sha256",
        "p256-sha256",
        "p256-sha512",
        "p384-sha384",
        "p521-sha512",
        "p521-sha256",
        "ed25519",
    ];
    let by_algorithm = algorithms.map(|name| (format!("root-{name}"), format!("leaf-{name}")));
    let cases = [
        ("root", "inter leaf"),
        ("root", "inter"),
        ("root", "root"),
        ("root", "leaf"),
        ("inter", "leaf"),
        ("root", "inter other-leaf"),
        ("other-root", "other-inter other-leaf"),
        ("self-leaf", "self-leaf"),
        ("root", "inter-no-authority leaf-of-inter-no-authority"),
        ("root", "inter-no-usage leaf-of-inter-no-usage"),
        ("root-limit0", "leaf-of-root-limit0"),
        ("root-limit0", "inter-of-root-limit0 leaf-of-inter-of-root-limit0"),
        ("root", "inter-limit0 leaf-of-inter-limit0"),
        ("root", "inter-limit0 inter-below-limit0 leaf-below-limit0"),
        ("root", "inter-limit0 inter-limit0-renewed leaf-of-renewed"),
        ("root", "inter-limit1 inter-below-limit1 leaf-below-limit1"),
        ("root", "inter-dns leaf-dns-good"),
        ("root", "inter-dns leaf-dns-bad"),
        ("root", "inter-dns inter-below-dns leaf-below-dns-good"),
        ("root", "inter-dns inter-below-dns leaf-below-dns-bad"),
        ("root", "inter-not-dns leaf-not-dns-good"),
        ("root", "inter-not-dns leaf-not-dns-bad"),
        ("root-dns", "leaf-of-root-dns-good"),
        ("root-dns", "leaf-of-root-dns-bad"),
        ("root", "inter-mail leaf-mail-good"),
        ("root", "inter-mail leaf-mail-bad"),
        ("root", "inter-mail leaf-mail-subject-bad"),
        ("root", "inter-address leaf-address-good"),
        ("root", "inter-address leaf-address-bad"),
        ("root", "inter-uri leaf-uri-good"),
        ("root", "inter-uri leaf-uri-bad"),
        ("root", "inter-directory leaf-directory-good"),
        ("root", "inter-directory leaf-directory-bad"),
        ("root", "inter leaf-critical"),
        ("root", "inter leaf-not-critical"),
        ("root", "inter leaf-policies"),
        ("root", "inter leaf-more-extensions"),
        ("root", "inter leaf-extended-usage"),
        ("root", "inter leaf-of-inter-renamed"),
        ("root", "inter-renamed leaf-of-inter-renamed"),
        ("root", "inter leaf-of-inter-new-key"),
        ("root", "inter inter-new-key leaf-of-inter-new-key"),
        ("root", "inter leaf-expired"),
        ("root", "inter leaf-future"),
        ("root", "inter leaf-first-second"),
        ("root", "inter-expired leaf-of-inter-expired"),
        ("root", "inter leaf-key-rsa1024"),
        ("root", "inter leaf-key-p384"),
        ("root", "inter leaf-key-ed25519"),
        ("anchor-rsa1024", "leaf-of-anchor-rsa1024"),
    ];
    let by_algorithm = by_algorithm.iter().map(|(root, leaf)| (root.as_str(), leaf.as_str()));
    for (anchor, names) in cases.into_iter().chain(by_algorithm) {
        let ours = verify(anchor, names);
        assert_eq!(ours.is_ok(), openssl(&folder, anchor, names), "{anchor}: {names}: {ours:?}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
