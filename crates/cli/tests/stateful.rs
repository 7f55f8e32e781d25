//! Stateful signatures by the commands of the program, over shared memory, judged by another implementation of LMS.

mod common;

use common::{ServerProcess, run};
use hbs_lms::Sha256_256;
use std::fs;

/// The number of the one-time key of an HSS signature of one level: after the count of levels above.
fn one_time_key(signature: &[u8]) -> u32 {
    u32::from_be_bytes(*signature[4..].first_chunk().unwrap())
}

#[test]
fn signatures_verify_elsewhere_and_no_one_time_key_repeats() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let shm = format!("casemate-stateful-{}", std::process::id());
    let address = format!("shm://{shm}");
    let command = |arguments: &[&str]| run(&[&["stateful"], arguments, &["--server", &address]].concat());
    let image = path("image");
    let start = || {
        let server = ServerProcess::start(image.as_ref(), &["--shm", &shm]);
        server.wait_for(" listens on shm://");
        server
    };

    let server = start();
    let public = path("public");
    assert_eq!(command(&["generate", "LMS-1/5/4", "--id", "7", "--out", &public]).ok().trim(), "0x0007");
    let public_bytes = fs::read(&public).unwrap();
    let exported = command(&["export-public", "7", "--family", "lms"]).ok();
    assert_eq!(hex::decode(exported.trim()).unwrap(), public_bytes);

    let mut seen = Vec::new();
    let mut sign = |message: &str| {
        let file = path("signature");
        command(&["sign", "7", "--family", "lms", "--text", message, "--out", &file]).ok();
        let signature = fs::read(&file).unwrap();
        assert!(hbs_lms::verify::<Sha256_256>(message.as_bytes(), &signature, &public_bytes).is_ok());
        assert!(hbs_lms::verify::<Sha256_256>(b"another", &signature, &public_bytes).is_err());
        let verify =
            |text: &str| command(&["verify", "7", "--family", "lms", "--signature", &file, "--text", text]);
        assert_eq!(verify(message).ok().trim(), "valid");
        assert!(verify("another").failed().contains("not one of this key"));
        seen.push(one_time_key(&signature));
    };
    sign("first");
    sign("second");
    server.stop();
    let server = start();
    sign("after a restart");
    for number in 3..32 {
        assert_eq!(command(&["remaining", "7", "--family", "lms"]).ok().trim(), "yes");
        if number % 4 == 0 {
            sign("some more");
        } else {
            command(&["sign", "7", "--family", "lms", "--text", "x", "--out", &path("unused")]).ok();
        }
    }
    assert_eq!(seen, [0, 1, 2, 4, 8, 12, 16, 20, 24, 28]);
    assert!(command(&["remaining", "7", "--family", "lms"]).ok().starts_with("none"));
    let said = command(&["sign", "7", "--family", "lms", "--text", "x"]).failed();
    assert!(said.contains("all its signatures"), "{said}");

    // Another number of levels, and the public key in another place.
    command(&["generate", "LMS-2/5/8", "--id", "8", "--out", &public]).ok();
    let file = path("signature");
    command(&["sign", "8", "--family", "lms", "--text", "two levels", "--out", &file]).ok();
    let signature = fs::read(&file).unwrap();
    assert!(hbs_lms::verify::<Sha256_256>(b"two levels", &signature, &fs::read(&public).unwrap()).is_ok());
    command(&["import-public", "LMS-2/5/8", "--id", "9", "--file", &public]).ok();
    let verify = ["verify", "9", "--family", "lms", "--signature", &file, "--text", "two levels"];
    assert_eq!(command(&verify).ok().trim(), "valid");
    let said = command(&["sign", "9", "--family", "lms", "--text", "x"]).failed();
    assert!(said.contains("public key"), "{said}");

    command(&["generate", "XMSS-SHA2_10_256", "--id", "10"]).ok();
    command(&["sign", "10", "--family", "xmss", "--text", "tree", "--out", &file]).ok();
    assert_eq!(fs::read(&file).unwrap().len(), 2500);
    let verify = ["verify", "10", "--family", "xmss", "--signature", &file, "--text", "tree"];
    assert_eq!(command(&verify).ok().trim(), "valid");
    let said = command(&["sign", "10", "--family", "lms", "--text", "x"]).failed();
    assert!(said.contains("none of this family"), "{said}");

    // Over TCP there is no shared memory.
    let tcp = run(&["stateful", "sign", "7", "--family", "lms", "--text", "x", "--server", &server.address]);
    assert!(tcp.failed().contains("--shm"));
    server.stop();
}
