//! `casemate nvm build`, `inspect`, `verify`, `diff`, `hex` and `repair`.

mod common;

use common::{ServerProcess, run};
use std::fs;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.name(name)
    }
}

const OBJECTS: &str = "[image]\npartition-size = 0x1000\nchecksums = true\n\
    [[object]]\nid = 14\nlabel = \"greeting\"\ntext = \"hello wolf\"\n\
    [[key]]\nclient = 12\nid = 5\nlabel = \"secret\"\nflags = [\"nonexportable\"]\nhex = \"c0ffeec0ffee\"\n\
    [[counter]]\nclient = 3\nid = 1\nvalue = 7\n";

#[test]
fn a_server_starts_with_an_image_that_was_built() {
    let folder = Folder::new();
    let config = folder.write("objects.toml", &OBJECTS.replace("0x1000", "0x8000"));
    let image = folder.name("keys.image");
    run(&["nvm", "build", &config, "--out", &image]).ok();
    let shape = ["--nvm-size", "64K", "--nvm-objects", "32", "--nvm-checksums"];
    let server = ServerProcess::start(&folder.path("keys.image"), &shape);
    assert_eq!(server.run(&["nvm", "read", "14", "--raw"]).ok(), "hello wolf");
    assert_eq!(server.run(&["counter", "read", "1", "--client-id", "3"]).ok().trim(), "7");
    server.stop();
    let shown = run(&["nvm", "inspect", &image]).ok();
    for part in [
        "partitions of 32768 bytes, 32 objects, with checksums",
        "greeting",
        "value 7",
        "nonexportable",
        "<- in use",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("c0ffee"));
}

#[test]
fn images_are_verified_compared_and_repaired() {
    let folder = Folder::new();
    let config = folder.write("objects.toml", OBJECTS);
    let (first, second) = (folder.name("first"), folder.name("second"));
    run(&["nvm", "build", &config, "--out", &first]).ok();
    assert!(run(&["nvm", "verify", &first]).ok().starts_with("sound: 3 objects"));
    assert!(run(&["nvm", "build", &config, "--out", &first]).failed().contains("--force"));

    let more = folder.write("more.toml", "[image]\npartition-size = 4096\nchecksums = true\n[[object]]\nid = 14\nlabel = \"greeting\"\ntext = \"hello again\"\n");
    fs::copy(&first, &second).unwrap();
    run(&["nvm", "build", &more, "--out", &second, "--extend"]).ok();
    let said = run(&["nvm", "diff", &first, &second]);
    assert_eq!(said.output, "! 0x000e bytes 10 -> 11, data\n");
    assert!(said.failed().contains("1 objects differ"));
    assert_eq!(run(&["nvm", "diff", &first, &first]).ok(), "the same objects\n");

    // Spoil the newest version of the object.
    let mut bytes = fs::read(&second).unwrap();
    let at = bytes.windows(11).position(|window| window == b"hello again").unwrap();
    bytes[at] ^= 1;
    fs::write(&second, bytes).unwrap();
    let said = run(&["nvm", "verify", &second]);
    assert!(said.output.contains("entry 3 (object 0x000e) is unreadable"), "{}", said.output);
    assert!(said.failed().contains("nvm repair"));
    let repaired = folder.name("repaired");
    let said = run(&["nvm", "repair", &second, "--out", &repaired]).ok();
    assert!(
        said.contains("3 objects saved") && said.contains("older version") && said.contains("0x000e"),
        "{said}"
    );
    assert_eq!(run(&["nvm", "diff", &first, &repaired]).ok(), "the same objects\n");
}

#[test]
fn text_for_programming_tools_and_back() {
    let folder = Folder::new();
    let config = folder.write("objects.toml", OBJECTS);
    let image = folder.name("image");
    run(&["nvm", "build", &config, "--out", &image]).ok();
    for notation in ["intel", "srecord"] {
        let text = folder.name(notation);
        run(&["nvm", "hex", &image, "--notation", notation, "--base", "0xaf000000", "--out", &text]).ok();
        assert!(run(&["nvm", "verify", &text]).ok().starts_with("sound: 3 objects"));
        let back = folder.name("back");
        run(&["nvm", "hex", &text, "--notation", "binary", "--out", &back, "--force"]).ok();
        assert_eq!(fs::read(&back).unwrap(), fs::read(&image).unwrap());
    }
    let short = run(&["nvm", "hex", &image, "--skip-erased", "0xff"]).ok();
    assert!(short.len() < 1500 && short.starts_with(':') && short.ends_with(":00000001FF\n"), "{short}");
}

#[test]
fn faults_say_what_to_do() {
    let folder = Folder::new();
    let out = folder.name("out");
    let config = folder.write("bad.nvminit", "obj 1 0 0 \"a\" missing.bin\n");
    let said = run(&["nvm", "build", &config, "--out", &out]).failed();
    assert!(said.contains("line 1") && said.contains("missing.bin"), "{said}");
    let config = folder.write("bad.toml", "[[object]]\nid = 1\nlable = \"x\"\n");
    let said = run(&["nvm", "build", &config, "--out", &out]).failed();
    assert!(said.contains("bad.toml") && said.contains("line 3") && said.contains("lable"), "{said}");
    let blank = folder.name("blank");
    fs::write(&blank, [0xFF; 8192]).unwrap();
    assert!(run(&["nvm", "inspect", &blank]).failed().contains("name layout"));
    assert!(run(&["nvm", "inspect", &blank, "--layout", "flash"]).ok().contains("blank"));
    assert!(!folder.path("out").exists());
}
