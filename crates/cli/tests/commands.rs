//! Every client command, on a server process.

mod common;

use common::{ServerProcess, run, run_with_input};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn server() -> ServerProcess {
    ServerProcess::start(Path::new("ram"), &[])
}

#[test]
fn info_tells_the_sizes() {
    let server = server();
    let text = server.run(&["info"]).ok();
    for line in [
        "Packet data length  8192 bytes",
        "Small cache slots   9 of 256 bytes",
        "Big cache slots     3 of 8192 bytes",
        "Object store        30 objects at most",
        "Free                522584 bytes, 30 objects",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn echo_repeats() {
    let server = server();
    assert_eq!(server.run(&["echo", "café au lait"]).ok(), "café au lait\n");
    assert_eq!(server.run(&["echo"]).ok(), "Hello\n");
}

#[test]
fn random_bytes_in_every_form() {
    let server = server();
    let hex = server.run(&["random", "20"]).ok();
    assert_eq!(hex.trim_end().len(), 40);
    assert_ne!(hex, server.run(&["random", "20"]).ok());
    let base64 = server.run(&["random", "30", "--base64"]).ok();
    assert_eq!(base64.trim_end().len(), 40);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("random");
    // More than a packet carries.
    server.run(&["random", "20000", "--out", file.to_str().unwrap()]).ok();
    assert_eq!(fs::metadata(file).unwrap().len(), 20_000);
}

#[test]
fn objects_are_added_listed_read_and_destroyed() {
    let server = server();
    assert_eq!(server.run(&["nvm", "list"]).ok(), "");
    server.run(&["nvm", "add", "7", "--text", "seven", "--label", "lucky"]).ok();
    server.run(&["nvm", "add", "0x0ABC", "--hex", "00 ff 10", "--flags", "nonexportable"]).ok();
    assert_eq!(server.run(&["nvm", "read", "7"]).ok(), "seven");
    assert_eq!(server.run(&["nvm", "read", "0x0007", "--hex"]).ok(), "736576656e\n");
    assert_eq!(server.run(&["nvm", "read", "7", "--base64"]).ok(), "c2V2ZW4=\n");
    let list = server.run(&["nvm", "list"]).ok();
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["0x0007", "object", "-", "5", "0xffff", "none", "lucky"]);
    assert_eq!(rows[2], ["0x0abc", "object", "-", "3", "0xffff", "nonexportable"]);

    let refused = server.run(&["nvm", "read", "0xabc"]).failed();
    assert!(refused.contains("object 0x0abc") && refused.contains("ACCESS, -2101"), "{refused}");

    // From standard input and to a file: every byte value, and more than one packet can bring back at once.
    let bytes: Vec<u8> = (0..=255).cycle().take(8160).collect();
    server.run_with_input(&["nvm", "add", "8"], &bytes).ok();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("object");
    server.run(&["nvm", "read", "8", "--out", file.to_str().unwrap()]).ok();
    assert_eq!(fs::read(&file).unwrap(), bytes);
    server.run(&["nvm", "add", "9", "--file", file.to_str().unwrap()]).ok();

    let too_long = server.run_with_input(&["nvm", "add", "10"], &[0; 8161]).failed();
    assert!(too_long.contains("8193 bytes but a packet carries 8192"), "{too_long}");

    server.run(&["nvm", "destroy", "7", "8", "9", "0x0abc", "99"]).ok();
    assert_eq!(server.run(&["nvm", "list"]).ok(), "");
    server.run(&["nvm", "compact"]).ok();
    let space = server.run(&["nvm", "info"]).ok();
    assert!(space.contains("Free         522584 bytes, 30 objects"), "{space}");
    assert!(space.contains("Reclaimable  0 bytes, 0 objects"), "{space}");
    assert!(server.run(&["nvm", "read", "7"]).failed().contains("NOT_FOUND"));
}

#[test]
fn keys_are_imported_made_exported_revoked_and_erased() {
    let server = server();
    let number =
        server.run(&["key", "import", "--id", "5", "--hex", "00112233", "--usage", "encrypt,decrypt"]).ok();
    assert_eq!(number, "0x0005\n");
    assert_eq!(server.run(&["key", "export", "5", "--show"]).ok(), "00112233\n");
    let made =
        server.run(&["key", "generate", "--length", "32", "--usage", "any", "--label", "made here"]).ok();
    assert_eq!(made, "0x00ff\n");
    let list = server.run(&["key", "list"]).ok();
    assert!(list.contains("encrypt,decrypt"), "{list}");
    assert!(list.contains("0x00ff  0x1cff     32  any              made here"), "{list}");

    // A secret goes nowhere unless it is said where.
    let usage = server.run(&["key", "export", "5"]);
    assert_eq!((usage.code, usage.output.as_str()), (Some(2), ""));
    assert!(usage.errors.contains("--out"), "{}", usage.errors);

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    server.run(&["key", "export", "5", "--out", file.to_str().unwrap()]).ok();
    assert_eq!(fs::read(&file).unwrap(), [0x00, 0x11, 0x22, 0x33]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    server.run(&["key", "generate", "--id", "6", "--length", "16", "--flags", "nonexportable"]).ok();
    let refused = server.run(&["key", "export", "6", "--show"]);
    assert_eq!(refused.output, "");
    assert!(refused.failed().contains("the flags of key 0x0006 forbid this"));

    server.run(&["key", "revoke", "5"]).ok();
    let list = server.run(&["key", "list"]).ok();
    assert!(list.contains("nonmodifiable"), "{list}");
    assert!(!list.contains("encrypt"), "{list}");
    assert!(server.run(&["key", "erase", "5"]).failed().contains("ACCESS"));

    server.run(&["key", "erase", "0xff"]).ok();
    let missing = server.run(&["key", "export", "0xff", "--show"]).failed();
    assert!(missing.contains("client 12 has no key 0x00ff"), "{missing}");
    assert!(server.run(&["key", "commit", "77"]).failed().contains("not in the cache of this session"));
}

#[test]
fn global_keys_stay_in_the_cache_and_can_be_committed_and_evicted() {
    let server = server();
    let made = server
        .run(&["key", "import", "--text", "shared", "--global", "--no-commit", "--usage", "derive"])
        .ok();
    assert_eq!(made, "0x01ff\n");
    let other = ["--client-id", "3"];
    let export = |more: &[&str]| server.run(&[&["key", "export", "0x1ff", "--show", "--raw"], more].concat());
    assert_eq!(export(&other).ok(), "shared");
    assert_eq!(server.run(&["key", "export", "255", "--global", "--show", "--raw"]).ok(), "shared");
    server.run(&["key", "commit", "255", "--global"]).ok();
    server.run(&["key", "evict", "255", "--global"]).ok();
    assert_eq!(export(&other).ok(), "shared");
    server.run(&["key", "erase", "255", "--global"]).ok();
    export(&other).failed();
}

#[test]
fn clients_do_not_see_each_others_keys() {
    let server = server();
    server.run(&["key", "import", "--id", "5", "--text", "mine", "--client-id", "1"]).ok();
    assert_eq!(server.run(&["key", "list", "--client-id", "2"]).ok(), "");
    server.run(&["key", "export", "5", "--show", "--client-id", "2"]).failed();
    assert!(server.run(&["nvm", "read", "0x1105", "--client-id", "2"]).failed().contains("ACCESS"));
    assert_eq!(server.run(&["nvm", "read", "0x1105", "--client-id", "1"]).ok(), "mine");
}

#[test]
fn counters_count() {
    let server = server();
    assert_eq!(server.run(&["counter", "init", "3", "41"]).ok(), "41\n");
    assert_eq!(server.run(&["counter", "increment", "3"]).ok(), "42\n");
    assert_eq!(server.run(&["counter", "read", "3"]).ok(), "42\n");
    let missing = server.run(&["counter", "read", "3", "--client-id", "2"]).failed();
    assert!(missing.contains("counter 3 of client 2") && missing.contains("NOT_FOUND"), "{missing}");
    let list = server.run(&["nvm", "list"]).ok();
    assert!(list.contains("0x3c03  counter     12      0"), "{list}");
    assert_eq!(server.run(&["counter", "destroy", "3"]).ok(), "");
    server.run(&["counter", "read", "3"]).failed();
}

#[test]
fn the_environment_names_server_and_client() {
    let server = server();
    let output = common::casemate()
        .args(["key", "generate", "--length", "16"])
        .env("CASEMATE_SERVER", &server.address)
        .env("CASEMATE_CLIENT", "7")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(server.run(&["key", "list", "--client-id", "7"]).ok().contains("0x17ff"));
}

#[test]
fn wrong_usage_is_explained_with_exit_status_2() {
    for (arguments, advice) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["serve"], "--nvm <FILE|ram>"),
        (&["nvm", "read", "0"], "use 1 to 65535"),
        (&["nvm", "add", "70000", "--text", "x"], "65535"),
        (&["key", "generate", "--length", "0"], "0 is not in 1"),
        (&["key", "generate", "--length", "16", "--usage", "encypt"], "`encypt` is no flag"),
        (&["key", "generate", "--length", "16", "--no-commit"], "--global"),
        (&["key", "import", "--text", "a", "--hex", "00"], "cannot be used with"),
        (&["key", "import", "--label", "a label of twenty-five byte"], "at most 24"),
        (&["counter", "read", "256"], "1 to 255"),
        (&["info", "--client-id", "16"], "1 to 15"),
        (&["info", "--timeout", "0"], "seconds above 0"),
        (&["serve", "--nvm", "ram", "--data-length", "100"], "512 to 65000"),
        (&["serve", "--nvm", "ram", "--trusted-key", "1:2"], "CLIENT:ID:FILE"),
    ] {
        let said = run(arguments);
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.errors);
        assert!(said.errors.contains(advice), "{arguments:?}: {}", said.errors);
        assert_eq!(said.output, "", "{arguments:?}");
    }
    assert_eq!(run(&["--version"]).ok(), concat!("casemate ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(run(&["--help"]).ok().contains("casemate demo"));
}

#[test]
fn bad_input_is_explained() {
    let server = server();
    let odd = server.run(&["nvm", "add", "7", "--hex", "123"]).failed();
    assert!(odd.contains("even number"), "{odd}");
    let missing = server.run(&["nvm", "add", "7", "--file", "/no/such/file"]).failed();
    assert!(missing.contains("cannot read /no/such/file: No such file"), "{missing}");
    let huge = server.run(&["nvm", "add", "7", "--file", "/dev/zero"]).failed();
    assert!(huge.contains("more than 65535 bytes"), "{huge}");
    let empty = run_with_input(&["key", "import", "--server", &server.address], b"").failed();
    assert!(empty.contains("the key is empty"), "{empty}");
    let place = server.run(&["key", "generate", "--length", "16"]).ok();
    let unwritable = server.run(&["key", "export", place.trim(), "--out", "/no/such/directory/key"]).failed();
    assert!(unwritable.contains("cannot write /no/such/directory/key"), "{unwritable}");
    let big = server.run(&["key", "generate", "--length", "9000"]).failed();
    assert!(big.contains("the key was not made"), "{big}");
}

#[test]
fn a_server_that_is_not_there_is_explained() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let refused = run(&["info", "--server", &port]).failed();
    assert!(
        refused.contains(&format!("cannot connect to {port}")) && refused.contains("start a server"),
        "{refused}"
    );
    let unknown = run(&["info", "--server", "nonsense"]).failed();
    assert!(unknown.contains("HOST:PORT"), "{unknown}");
}

#[test]
fn something_that_is_no_hsm_server_is_explained() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let web = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let said = run(&["info", "--server", &address]).failed();
    assert!(said.contains("does not accept client 12"), "{said}");
    web.join().unwrap();
    // And one that says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let said = run(&["info", "--timeout", "2", "--server", &address]).failed();
    assert!(said.contains("no response came within the request timeout"), "{said}");
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let server = server();
    let script = format!(
        "set -o pipefail; '{}' random 1000000 --raw --server {} | head -c 1 >/dev/null",
        env!("CARGO_BIN_EXE_casemate"),
        server.address
    );
    let status = std::process::Command::new("bash").args(["-c", &script]).status().unwrap();
    assert!(status.success());
}

#[test]
fn key_pairs_are_made_and_their_public_halves_exported() {
    let server = server();
    for (number, (algorithm, begin, length)) in [
        ("p256", "3059301306072a8648ce3d020106082a8648ce3d03010703420004", 91),
        ("p521", "30819b301006072a8648ce3d020106052b810400230381860004", 158),
        ("ed25519", "302a300506032b6570032100", 44),
        ("x25519", "302a300506032b656e032100", 44),
        ("ml-dsa-44", "30820532300b0609608648016503040311", 1334),
        ("ml-kem-768", "", 1184),
    ]
    .into_iter()
    .enumerate()
    {
        let id = (number + 1).to_string();
        let generate = ["key", "generate", "--id", &id, "--algorithm", algorithm];
        let more = ["--usage", "any", "--flags", "nonexportable"];
        server.run(&[&generate[..], &more].concat()).ok();
        let public = server.run(&["key", "export-public", &id, "--algorithm", algorithm]).ok();
        assert!(public.starts_with(begin), "{algorithm}: {public}");
        assert_eq!(public.trim_end().len(), 2 * length, "{algorithm}");
        assert!(server.run(&["key", "export", &id, "--show"]).failed().contains("ACCESS"));
    }
    let refused = server.run(&["key", "export-public", "1", "--algorithm", "ed25519"]).failed();
    assert!(refused.contains("ASN_PARSE"), "{refused}");
    let missing = server.run(&["key", "export-public", "99", "--algorithm", "p256"]).failed();
    assert!(missing.contains("has no key"), "{missing}");
    let both = server.run(&["key", "generate", "--length", "16", "--algorithm", "p256"]);
    assert_eq!(both.code, Some(2), "{}", both.errors);
    assert_eq!(server.run(&["key", "generate"]).code, Some(2));
}

/// The example of the SHE specification, made, checked and loaded; what every step prints can be piped into the next.
#[test]
fn she_from_provisioning_to_an_update() {
    const UID: &str = "000000000000000000000000000001";
    const MASTER: &str = "000102030405060708090a0b0c0d0e0f";
    const NEW: &str = "0f0e0d0c0b0a09080706050403020100";
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    fs::write(&image, (0..100).collect::<Vec<u8>>()).unwrap();
    let image = image.to_str().unwrap();
    let server = server();
    let boot_mac = run(&["she", "boot-mac", "--key", MASTER, image]).ok();
    assert_eq!(boot_mac, "8cd87e8e93c3ba4342d1987341697635\n");
    server.run(&["she", "provision", "BOOT_MAC_KEY", MASTER]).ok();
    server.run(&["she", "provision", "boot-mac", boot_mac.trim()]).ok();
    server.run(&["she", "provision", "1", MASTER]).ok();
    assert_eq!(server.run(&["she", "status"]).ok(), "0x00 none\n");
    server.run(&["she", "set-uid", UID]).ok();
    assert!(server.run(&["she", "mac", "--slot", "4", "--text", ""]).failed().contains("SHE_SEQUENCE_ERROR"));
    assert_eq!(server.run(&["she", "boot", image]).ok(), "verified\n");
    assert_eq!(server.run(&["she", "status"]).ok(), "0x1a SECURE_BOOT|BOOT_FINISHED|BOOT_OK\n");

    let make = [
        "she",
        "update",
        "make",
        "--uid",
        UID,
        "--slot",
        "KEY_1",
        "--authorizing-key",
        MASTER,
        "--key",
        NEW,
        "--counter",
        "1",
    ];
    let made = run(&make).ok();
    assert_eq!(
        made,
        "M1=00000000000000000000000000000141\n\
         M2=2b111e2d93f486566bcbba1d7f7a9797c94643b050fc5d4d7de14cff682203c3\n\
         M3=b9d745e5ace7d41860bc63c2b9f5bb46\n\
         M4=00000000000000000000000000000141b472e8d8727d70d57295e74849a27917\n\
         M5=820d8d95dc11b4668878160cb2a4e23e\n"
    );
    for format in ["json", "c"] {
        let text = run(&[&make[..], &["--format", format]].concat()).ok();
        let check = ["she", "update", "check", "--authorizing-key", MASTER, "--show-key"];
        let checked = run_with_input(&check, text.as_bytes()).ok();
        for line in [
            "UID               000000000000000000000000000001",
            "Slot              4 (KEY_1)",
            "Authorizing slot  1 (MASTER_ECU_KEY)",
            "Counter           1",
            "Flags             none",
            "Key               0f0e0d0c0b0a09080706050403020100",
            "M3                matches",
            "M5                matches",
        ] {
            assert!(checked.contains(line), "{checked}");
        }
    }
    let check = ["she", "update", "check", "--authorizing-key", NEW];
    assert!(run_with_input(&check, made.as_bytes()).failed().contains("M3 does not match"));
    let check = ["she", "update", "check", "--authorizing-key", MASTER];
    let wrong = made.replace("M5=82", "M5=83");
    assert!(run_with_input(&check, wrong.as_bytes()).failed().contains("answers 820d8d95"));

    let file = directory.path().join("messages");
    fs::write(&file, &made).unwrap();
    let load = ["she", "load-key", "--messages", file.to_str().unwrap()];
    assert!(server.run(&load).ok().ends_with("M5=820d8d95dc11b4668878160cb2a4e23e\n"));
    let again = server.run(&load).failed();
    assert!(again.contains("slot 4 (KEY_1)") && again.contains("SHE_KEY_UPDATE_ERROR"), "{again}");

    let encrypt = ["she", "encrypt", "--slot", "KEY_1", "--hex", "00112233445566778899aabbccddeeff"];
    let encrypted = server.run(&encrypt).ok();
    let decrypt = ["she", "decrypt", "--slot", "4", "--hex", encrypted.trim()];
    assert_eq!(server.run(&decrypt).ok(), "00112233445566778899aabbccddeeff\n");
    let mac = ["--slot", "ram-key", "--ram-key", "2b7e151628aed2a6abf7158809cf4f3c", "--text", ""];
    let made = server.run(&[&["she", "mac"], &mac[..]].concat()).ok();
    assert_eq!(made, "bb1d6929e95937287fa37d129b756746\n");
    let verify = |tag| server.run(&[&["she", "verify-mac", "--mac", tag], &mac[..]].concat());
    assert_eq!(verify("bb1d6929").ok(), "matches\n");
    assert!(verify("bb1d692a").failed().contains("does not match"));
    assert!(server.run(&["she", "random"]).failed().contains("--init"));
    server.run(&["she", "remove", "KEY_1"]).ok();
    assert!(server.run(&encrypt).failed().contains("slot KEY_1"));
}

/// `casemate serve --she-...`.
#[test]
fn she_can_be_stricter_than_the_original() {
    const UID: &str = "000000000000000000000000000001";
    const KEY: &str = "000102030405060708090a0b0c0d0e0f";
    let directory = tempfile::tempdir().unwrap();
    let (image, other) = (directory.path().join("image"), directory.path().join("other"));
    fs::write(&image, (0..100).collect::<Vec<u8>>()).unwrap();
    fs::write(&other, [0; 100]).unwrap();
    let (image, other) = (image.to_str().unwrap(), other.to_str().unwrap());
    let boot_mac = run(&["she", "boot-mac", "--key", KEY, image]).ok();
    let provision = |server: &ServerProcess| {
        server.run(&["she", "provision", "BOOT_MAC_KEY", KEY]).ok();
        server.run(&["she", "provision", "boot-mac", boot_mac.trim()]).ok();
    };
    let usual = server();
    provision(&usual);
    usual.run(&["she", "set-uid", UID]).ok();
    usual.run(&["she", "boot", other]).failed();
    usual.run(&["she", "boot", image]).ok();

    let options = ["--she-uid", UID, "--she-final-boot", "--she-standard", "--she-minimum-mac", "8"];
    let strict = ServerProcess::start(Path::new("ram"), &options);
    provision(&strict);
    strict.run(&["she", "set-uid", UID]).failed();
    strict.run(&["she", "boot", other]).failed();
    strict.run(&["she", "boot", image]).failed();
    assert_eq!(
        run(&["serve", "--nvm", "ram", "--she-uid", "00"]).code,
        Some(2),
        "an identifier has 30 digits"
    );
}
