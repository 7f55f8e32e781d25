//! `casemate image`, with keys and signatures of OpenSSL.

mod common;

use common::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Files(tempfile::TempDir);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A folder with a payload, and a key pair of OpenSSL.
fn files(key: &[&str]) -> Files {
    let files = Files(tempfile::tempdir().unwrap());
    let payload: Vec<u8> = (0..10_000_u32).map(|index| (index * index % 253) as u8).collect();
    fs::write(files.path("payload"), payload).unwrap();
    openssl(files.0.path(), &[&["genpkey", "-out", "private.pem"], key].concat());
    openssl(files.0.path(), &["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"]);
    files
}

fn image(files: &Files, action: &str, file: &str, method: &str, key: &str, more: &[&str]) -> common::Said {
    let (file, key) = (files.name(file), files.name(key));
    let more: Vec<_> = more
        .iter()
        .map(|word| word.strip_prefix('@').map_or_else(|| (*word).to_owned(), |name| files.name(name)))
        .collect();
    let mut arguments = vec!["image", action, &file, "--method", method, "--key", &key];
    arguments.extend(more.iter().map(String::as_str));
    run(&arguments)
}

#[test]
fn openssl_and_casemate_verify_each_others_signatures() {
    for (key, method) in [
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], "ecdsa-p256"),
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "rsa-2048"),
    ] {
        let files = files(key);
        let directory = files.0.path();
        image(&files, "sign", "payload", method, "private.pem", &["--out", "@ours"]).ok();
        openssl(directory, &["dgst", "-sha256", "-verify", "public.pem", "-signature", "ours", "payload"]);
        openssl(directory, &["dgst", "-sha256", "-sign", "private.pem", "-out", "theirs", "payload"]);
        let said = image(&files, "verify", "payload", method, "public.pem", &["--signature", "@theirs"]).ok();
        assert_eq!(said, "verified: 10000 bytes\n");
        fs::write(files.path("theirs"), [0x30; 256]).unwrap();
        image(&files, "verify", "payload", method, "public.pem", &["--signature", "@theirs"]).failed();
    }
}

#[test]
fn images_with_a_header() {
    for (key, method, size) in [
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"][..], "ecdsa-p384", "256"),
        (&["-algorithm", "ED25519"], "ed25519", "256"),
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"], "rsa-4096-bare", "1024"),
    ] {
        let files = files(key);
        let sign = ["--wolfboot", "9", "--header-size", size, "--timestamp", "0", "--out", "@image"];
        image(&files, "sign", "payload", method, "private.pem", &sign).ok();
        let verify = ["--wolfboot", "--header-size", size];
        let said = image(&files, "verify", "image", method, "public.pem", &verify).ok();
        assert_eq!(said, "verified: version 9, 10000 bytes\n", "{method}");
        let floor = |floor: &str| {
            let more = ["--wolfboot", "--header-size", size, "--floor", floor];
            image(&files, "verify", "image", method, "public.pem", &more)
        };
        floor("9").ok();
        assert!(floor("10").failed().contains("10 is the oldest that may"), "{method}");

        let shown = run(&["image", "inspect", &files.name("image")]).ok();
        for expected in ["payload      10000 bytes", "version      9", "1970-01-01T00:00:00.000Z", "part 1"] {
            assert!(shown.contains(expected), "{shown}");
        }
        let mut bytes = fs::read(files.path("image")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(files.path("image"), bytes).unwrap();
        let said = image(&files, "verify", "image", method, "public.pem", &verify).failed();
        assert!(said.contains("not the one that the header describes"), "{said}");
    }
}

#[test]
fn a_mac_and_what_cannot_be() {
    let files = files(&["-algorithm", "ED25519"]);
    fs::write(files.path("key"), [7; 16]).unwrap();
    image(&files, "sign", "payload", "aes-cmac", "key", &["--out", "@mac"]).ok();
    image(&files, "verify", "payload", "aes-cmac", "key", &["--signature", "@mac"]).ok();
    let header = ["--wolfboot", "1", "--out", "@image"];
    let said = image(&files, "sign", "payload", "aes-cmac", "key", &header).failed();
    assert!(said.contains("raw images only"), "{said}");
    image(&files, "sign", "payload", "ecdsa-p256", "private.pem", &["--out", "@x"]).failed();
    image(&files, "sign", "payload", "ed25519", "public.pem", &["--out", "@x"]).failed();
    let said = run(&["image", "inspect", &files.name("payload")]).failed();
    assert!(said.contains("no wolfBoot header"), "{said}");
}

/// A chain that OpenSSL has made: the image is signed with the leaf's key, the device knows the root.
#[test]
fn images_with_certificates() {
    let files = files(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let directory = files.0.path();
    let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    for name in ["root.key", "other.key"] {
        openssl(directory, &[&["genpkey", "-out", name], &curve[..]].concat());
        let certificate = name.replace("key", "pem");
        let subject = format!("/CN={name}");
        let request =
            ["req", "-x509", "-new", "-days", "2", "-key", name, "-subj", &subject, "-out", &certificate];
        openssl(directory, &request);
    }
    fs::write(files.path("usage"), "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n").unwrap();
    openssl(directory, &["req", "-new", "-key", "private.pem", "-subj", "/CN=signer", "-out", "request"]);
    for root in ["root", "other"] {
        let (certificate, key) = (format!("{root}.pem"), format!("{root}.key"));
        let out = format!("signer-of-{root}.pem");
        let issue =
            ["x509", "-req", "-in", "request", "-CA", &certificate, "-CAkey", &key, "-CAcreateserial"];
        openssl(directory, &[&issue[..], &["-days", "1", "-extfile", "usage", "-out", &out]].concat());
    }
    let sign = |chain: &[&str], out: &str| {
        let mut more = vec!["--wolfboot", "3", "--header-size", "2048", "--out", out];
        chain.iter().for_each(|file| more.extend(["--certificates", file]));
        image(&files, "sign", "payload", "ecdsa-p256", "private.pem", &more)
    };
    let verify = |name: &str, root: &str| {
        let (name, root) = (files.name(name), files.name(root));
        let arguments =
            ["image", "verify", &name, "--method", "ecdsa-p256", "--wolfboot", "--header-size", "2048"];
        run(&[&arguments[..], &["--root", &root]].concat())
    };
    sign(&["@signer-of-root.pem"], "@image").ok();
    assert_eq!(verify("image", "root.pem").ok(), "verified: version 3, 10000 bytes\n");
    let said = verify("image", "other.pem").failed();
    assert!(said.contains("issuer is neither trusted nor ahead of it"), "{said}");
    sign(&["@root.pem", "@signer-of-root.pem"], "@whole").ok();
    verify("whole", "root.pem").ok();
    sign(&["@root.pem"], "@authority").ok();
    assert!(verify("authority", "root.pem").failed().contains("no signer, only authorities"));
    sign(&[], "@bare").ok();
    assert!(verify("bare", "root.pem").failed().contains("no valid certificate chain"));
    let shown = run(&["image", "inspect", &files.name("image")]).ok();
    assert!(shown.contains("certificate chain "), "{shown}");
    let said = sign(&["@root.pem"; 5], "@x").failed();
    assert!(said.contains("raise --header-size"), "{said}");
}
