//! The server process: what it refuses to start with, and how it ends.

mod common;

use common::{PATIENCE, ServerProcess, casemate, connect, run};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Starts a server that cannot run, and returns its complaint.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    run(&[&["serve", "--tcp", "127.0.0.1:0"], arguments].concat()).failed()
}

#[test]
fn a_port_in_use() {
    let server = ServerProcess::start(Path::new("ram"), &[]);
    let said = run(&["serve", "--nvm", "ram", "--tcp", &server.address]).failed();
    assert!(said.contains(&format!("cannot listen on {}", server.address)), "{said}");
    assert!(said.contains("choose another port"), "{said}");
    let nowhere = run(&["serve", "--nvm", "ram", "--tcp", "192.0.2.1:1"]).failed();
    assert!(nowhere.contains("choose an address of this machine"), "{nowhere}");
    server.run(&["echo"]).ok();
}

#[test]
fn a_directory_that_does_not_exist() {
    let said = refused(&["--nvm", "/no/such/directory/image"]);
    assert!(
        said.contains("/no/such/directory/image") && said.contains("create its directory first"),
        "{said}"
    );
}

#[test]
fn something_that_is_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let said = refused(&["--nvm", directory.path().to_str().unwrap()]);
    assert!(said.contains("not a regular file"), "{said}");
}

#[test]
fn an_image_of_another_size_or_kind_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    let name = file.to_str().unwrap();
    let left_alone = |content: &[u8], arguments: &[&str], advice: &[&str]| {
        fs::write(&file, content).unwrap();
        let said = refused(&[&["--nvm", name], arguments].concat());
        for advice in advice.iter().chain(&[name]) {
            assert!(said.contains(advice), "{advice}: {said}");
        }
        assert!(fs::read(&file).unwrap() == content, "the file was changed");
    };
    left_alone(b"dear diary", &[], &["it has 10 bytes", "nothing was changed"]);
    left_alone(&[0x42; 1 << 20], &[], &["does not hold a store", "--nvm-erased-byte", "nothing was changed"]);
    left_alone(&[0x00; 1 << 20], &[], &["does not hold a store", "--nvm-erased-byte"]);

    // A real image, with a key in it.
    fs::remove_file(&file).unwrap();
    let server = ServerProcess::start(&file, &[]);
    server.run(&["key", "generate", "--length", "32", "--label", "precious"]).ok();
    server.stop();
    let image = fs::read(&file).unwrap();
    assert_eq!(image.len(), 1 << 20);
    left_alone(&image, &["--nvm-objects", "31"], &["30 directory entries", "--nvm-objects"]);
    left_alone(&image, &["--nvm-size", "2M"], &["1048576 bytes", "nothing was changed"]);
    left_alone(&image, &["--nvm-checksums"], &["no checksums", "--nvm-checksums"]);
    // Its state words are overwritten.
    let mut damaged = image.clone();
    damaged[..64].fill(0x42);
    left_alone(&damaged, &[], &["nothing was changed"]);

    fs::write(&file, &image).unwrap();
    let server = ServerProcess::start(&file, &[]);
    assert!(server.run(&["key", "list"]).ok().contains("precious"));
    server.stop();
}

#[test]
fn sizes_that_are_impossible_make_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    let name = file.to_str().unwrap();
    for size in ["1024", "1000001", "0"] {
        refused(&["--nvm", name, "--nvm-size", size]);
        assert!(!file.exists(), "{size}");
        refused(&["--nvm", "ram", "--nvm-size", size]);
    }
}

#[test]
fn an_image_that_another_server_uses() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    let server = ServerProcess::start(&file, &[]);
    let said = refused(&["--nvm", file.to_str().unwrap()]);
    assert!(said.contains("another server uses it"), "{said}");
    server.run(&["nvm", "add", "7", "--text", "x"]).ok();
    server.stop();
    ServerProcess::start(&file, &[]).stop();
}

#[test]
fn a_disk_that_takes_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    // A limit on file sizes, in units of 512 or 1024 bytes, is the full disk that every user can make.
    let script = format!(
        "ulimit -f 100; trap '' XFSZ; exec '{}' serve --tcp 127.0.0.1:0 --nvm '{}'",
        env!("CARGO_BIN_EXE_casemate"),
        file.display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("image: cannot fill it"), "{said}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn trusted_keys_are_provisioned_once() {
    let directory = tempfile::tempdir().unwrap();
    let (image, kek) = (directory.path().join("image"), directory.path().join("kek"));
    let trusted = format!("12:0xfe:{}", kek.display());
    let arguments = ["--trusted-key", trusted.as_str()];
    fs::write(&kek, [7; 31]).unwrap();
    let said = refused(&[&["--nvm", image.to_str().unwrap()], &arguments[..]].concat());
    assert!(said.contains("31 bytes") && said.contains("16, 24 or 32"), "{said}");

    fs::write(&kek, [7; 32]).unwrap();
    let server = ServerProcess::start(&image, &arguments);
    let list = server.run(&["key", "list"]).ok();
    assert!(
        list.contains("0x00fe  0x1cfe     32  nonmodifiable,nonexportable,wrap,trusted  trusted"),
        "{list}"
    );
    assert!(server.run(&["key", "export", "0xfe", "--show"]).failed().contains("ACCESS"));
    assert!(server.run(&["key", "erase", "0xfe"]).failed().contains("ACCESS"));
    assert!(server.run(&["nvm", "destroy", "0x1cfe"]).failed().contains("ACCESS"));
    server.stop();
    let before = fs::read(&image).unwrap();
    ServerProcess::start(&image, &arguments).stop();
    assert!(fs::read(&image).unwrap() == before, "the same key was written again");

    fs::write(&kek, [8; 32]).unwrap();
    ServerProcess::start(&image, &arguments).stop();
    assert!(fs::read(&image).unwrap() != before, "the new key was not written");
}

#[test]
fn isolation_can_be_that_of_the_original() {
    let server = ServerProcess::start(Path::new("ram"), &["--isolation", "original"]);
    server.run(&["key", "import", "--id", "5", "--text", "mine", "--client-id", "1"]).ok();
    assert_eq!(server.run(&["nvm", "read", "0x1105", "--client-id", "2"]).ok(), "mine");
}

#[test]
fn sizes_are_those_of_the_options() {
    let options = [
        ["--data-length", "1280"],
        ["--nvm-size", "64K"],
        ["--nvm-objects", "10"],
        ["--cache-slots", "4"],
        ["--cache-slot-size", "128"],
        ["--big-cache-slots", "1"],
        ["--big-cache-slot-size", "1K"],
        ["--server-id", "9"],
    ];
    let server = ServerProcess::start(Path::new("ram"), options.as_flattened());
    let info = server.run(&["info"]).ok();
    for line in ["1280 bytes", "4 of 128 bytes", "1 of 1024 bytes", "10 objects at most"] {
        assert!(info.contains(line), "{line}: {info}");
    }
    let long = "x".repeat(1300);
    assert!(server.run(&["echo", &long]).failed().contains("1300 bytes but a packet carries 1280"));
    server.run(&["nvm", "add", "1", "--text", &long[..1248]]).ok();
    assert_eq!(server.run(&["nvm", "read", "1"]).ok().len(), 1248);
}

#[test]
fn connections_beyond_the_limit_are_turned_away_and_logged() {
    let server = ServerProcess::start(Path::new("ram"), &["--connections", "1"]);
    let mut first = connect(&server.address, 1).unwrap();
    let said = server.run(&["echo"]);
    said.failed();
    server.wait_for("the connection limit is reached");
    first.close().unwrap();
    drop(first);
    server.wait_for("client 1: ");
    server.run(&["echo"]).ok();
}

/// What the original's example server does not survive.
#[test]
fn whatever_one_peer_does_the_others_are_served() {
    let server = ServerProcess::start(Path::new("ram"), &[]);
    let mut witness = connect(&server.address, 1).unwrap();
    let bad: [&[u8]; 7] = [
        b"",
        b"\x00",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x04abcd",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00",
    ];
    for bytes in bad {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(bytes).unwrap();
        drop(stream);
        witness.echo(b"still here").unwrap();
    }
    // A CLOSE as the first message gets its answer.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"\x00\x00\x00\x08\x57\xa5\x03\x01\x01\x00\x00\x00").unwrap();
    let _ = stream.read(&mut [0; 64]);
    witness.echo(b"still here").unwrap();
    server.run(&["echo"]).ok();
    server.stop();
}

#[test]
fn every_signal_that_asks_for_an_end_gets_one() {
    for signal in ["TERM", "INT", "HUP"] {
        let mut server = ServerProcess::start(Path::new("ram"), &[]);
        // A client that stays does not keep it alive.
        let _client = connect(&server.address, 1).unwrap();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
        server.wait_for("stopped");
    }
}

#[test]
fn the_port_is_free_again_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    let server = ServerProcess::start(&file, &[]);
    server.run(&["counter", "init", "1", "5"]).ok();
    let (address, _client) = (server.address.clone(), connect(&server.address, 1).unwrap());
    server.stop();
    let mut again = casemate()
        .args(["serve", "--quiet", "--tcp", &address, "--nvm"])
        .arg(&file)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begin = std::time::Instant::now();
    let answer = loop {
        let said = run(&["counter", "read", "1", "--server", &address]);
        if said.code == Some(0) || begin.elapsed() > PATIENCE {
            break said;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    again.kill().unwrap();
    again.wait().unwrap();
    assert_eq!(answer.ok(), "5\n");
}

#[test]
fn a_client_identifier_can_be_limited_to_some_connections() {
    let server = ServerProcess::start(Path::new("ram"), &["--connections-per-client", "1"]);
    let held = connect(&server.address, 3).unwrap();
    server.run(&["info", "--client-id", "3"]).failed();
    server.wait_for("the limit for connections of one client identifier is reached");
    server.run(&["info", "--client-id", "4"]).ok();
    drop(held);
    server.wait_for("client 3: the peer closed the connection");
    server.run(&["info", "--client-id", "3"]).ok();
}
