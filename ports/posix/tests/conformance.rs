//! The whole conformance suite on this port, with either kind of flash.

use casemate_conformance::{Summary, run};
use casemate_posix::device::{LINKS, Outside, PosixPort};
use casemate_posix::flash::{FileFlash, FileFlashOptions};
use casemate_posix::ram_flash::RamChip;
use casemate_server::Config;

const PARTITION: u32 = 8192;

fn outside(folder: &tempfile::TempDir) -> Outside {
    Outside { socket: folder.path().join("socket"), config: Config::default() }
}

fn assert_complete(summary: Summary, text: &str) {
    assert!(summary.is_complete(), "{text}");
    for name in [
        "flash: a programmed unit is not programmed again unnoticed",
        "transport: packets of every size arrive as they were sent",
        "entropy: continuous health tests (SP 800-90B, 4.4)",
        "platform: client memory reaches its windows and nothing else",
        "service: the object is there after a restart, and can be destroyed",
    ] {
        assert!(text.contains(&format!("pass  {name}\n")), "{name}: {text}");
    }
    let links = text
        .lines()
        .filter(|line| line.contains("pass  service: a client's requests on a link are answered"));
    assert_eq!(links.count(), LINKS, "memory, TCP and Unix-domain socket: {text}");
}

#[test]
fn with_flash_in_ram() {
    let folder = tempfile::tempdir().unwrap();
    let (outside, chip) = (outside(&folder), RamChip::new(PARTITION as usize));
    let mut text = String::new();
    let power_on = &mut || {
        PosixPort::new(chip.clone(), &outside)
            .unwrap()
            .with_power_cuts(|chip, changes| chip.cut_power_after(changes), |chip| chip.restore_power())
    };
    let summary = run::<PosixPort<RamChip>, LINKS>(power_on, &mut text);
    assert_complete(summary, &text);
    assert!(
        text.contains("pass  flash: a change that loses power happens entirely or not at all\n"),
        "{text}"
    );
    #[cfg(feature = "aws-lc")]
    assert!(text.contains("pass  crypto: AES-256-GCM\n"), "{text}");
}

#[test]
fn with_flash_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let outside = outside(&folder);
    let path = folder.path().join("flash");
    let options = FileFlashOptions { partition_size: PARTITION, erased_byte: 0xFF };
    let mut text = String::new();
    let power_on = &mut || PosixPort::new(FileFlash::open(&path, options).unwrap(), &outside).unwrap();
    let summary = run::<PosixPort<FileFlash>, LINKS>(power_on, &mut text);
    assert_complete(summary, &text);
}
