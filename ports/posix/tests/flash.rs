//! Flash in a file: what it refuses, what it keeps, and what a second server gets.
//!
//! Some cases need a process of their own: it is this test program, started again with one test and a variable.

use casemate_nvm::{DirectoryEntry, Flash, FlashOptions, FlashStore, ObjectStore};
use casemate_posix::flash::{FileFlash, FileFlashError, FileFlashOptions, FileFlashProblem as Problem};
use casemate_protocol::{Metadata, ObjectId};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const PARTITION: u32 = 4096;
const OPTIONS: FileFlashOptions = FileFlashOptions { partition_size: PARTITION, erased_byte: 0xFF };
/// Tells the started process which file it works on.
const VARIABLE: &str = "CASEMATE_TEST_FLASH";

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flash image");
    (directory, path)
}

fn refusal(path: &Path, options: FileFlashOptions) -> FileFlashError {
    let error = FileFlash::open(path, options).unwrap_err();
    assert_eq!(error.path(), path);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    error
}

/// Names in a directory.
fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// This test program, to run `test` on `path` in a process of its own, behind `prefix` (a shell command line).
fn again(test: &str, path: &Path, prefix: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{prefix} exec \"$0\" --exact {test} --nocapture"));
    command.arg(std::env::current_exe().unwrap()).env(VARIABLE, path).stdout(Stdio::piped());
    command
}

fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_new_file_is_erased_private_and_alone() {
    for erased_byte in [0x00, 0xFF, 0xA5] {
        let (directory, path) = directory();
        let flash = FileFlash::open(&path, FileFlashOptions { erased_byte, ..OPTIONS }).unwrap();
        assert_eq!((flash.capacity(), flash.erased_byte(), flash.path()), (8192, erased_byte, &*path));
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.nlink()), (0o600, 1));
        assert_eq!(fs::read(&path).unwrap(), [erased_byte; 8192]);
        assert_eq!(flash.image(), [erased_byte; 8192]);
        assert_eq!(names(&directory), ["flash image"]);
    }
}

#[test]
fn the_default_is_a_mebibyte() {
    let (_directory, path) = directory();
    assert_eq!(FileFlash::open(&path, FileFlashOptions::default()).unwrap().capacity(), 1 << 20);
    assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
}

#[test]
fn content_is_the_raw_image_and_survives_reopening() {
    let (_directory, path) = directory();
    let mut flash = FileFlash::open(&path, OPTIONS).unwrap();
    flash.write(16, b"written once, OK").unwrap();
    flash.write(PARTITION, b"8 bytes.").unwrap();
    flash.commit().unwrap();
    flash.erase(24, 32).unwrap();
    flash.commit().unwrap();
    drop(flash);
    let image = fs::read(&path).unwrap();
    assert_eq!(image[16..32], *b"written \xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    assert_eq!(image[4096..4104], *b"8 bytes.");
    assert_eq!(image.iter().filter(|&&byte| byte != 0xFF).count(), 16);
    let mut flash = FileFlash::open(&path, OPTIONS).unwrap();
    assert_eq!(flash.image(), image);
    let mut part = [0; 5];
    flash.read(17, &mut part).unwrap();
    assert_eq!(part, *b"ritte");
}

#[test]
fn a_byte_is_written_once_per_erasure_and_ranges_are_checked() {
    let (_directory, path) = directory();
    for erased_byte in [0x00, 0xFF] {
        let _ = fs::remove_file(&path);
        let mut flash = FileFlash::open(&path, FileFlashOptions { erased_byte, ..OPTIONS }).unwrap();
        flash.write(8, &[1, 2, 3, 4, 5, 6, 7, erased_byte]).unwrap();
        let before = flash.image().to_vec();
        let check = |error: FileFlashError, expected: fn(&Problem) -> bool| {
            assert!(expected(error.problem()), "{error}");
        };
        check(flash.write(8, &[0x5A; 8]).unwrap_err(), |p| matches!(p, Problem::NotBlank));
        check(flash.write(0, &[0x5A; 16]).unwrap_err(), |p| matches!(p, Problem::NotBlank));
        check(flash.write(4, &[0; 8]).unwrap_err(), |p| matches!(p, Problem::NotAligned));
        check(flash.write(16, &[0; 4]).unwrap_err(), |p| matches!(p, Problem::NotAligned));
        check(flash.write(8192, &[0; 8]).unwrap_err(), |p| matches!(p, Problem::OutOfBounds));
        check(flash.write(u32::MAX - 7, &[0; 8]).unwrap_err(), |p| matches!(p, Problem::OutOfBounds));
        check(flash.erase(16, 8).unwrap_err(), |p| matches!(p, Problem::OutOfBounds));
        check(flash.erase(0, 8200).unwrap_err(), |p| matches!(p, Problem::OutOfBounds));
        check(flash.erase(0, 12).unwrap_err(), |p| matches!(p, Problem::NotAligned));
        check(flash.read(8190, &mut [0; 3]).unwrap_err(), |p| matches!(p, Problem::OutOfBounds));
        flash.lock(0, 8192).unwrap();
        check(flash.write(16, &[0x5A; 8]).unwrap_err(), |p| matches!(p, Problem::Locked));
        check(flash.erase(0, 64).unwrap_err(), |p| matches!(p, Problem::Locked));
        assert_eq!(flash.image(), before);
        assert_eq!(fs::read(&path).unwrap(), before);
        flash.unlock(0, 8192).unwrap();
        flash.erase(0, 64).unwrap();
        flash.write(8, &[0x5A; 8]).unwrap();
        assert_eq!(fs::read(&path).unwrap()[8..16], [0x5A; 8]);
    }
}

#[test]
fn a_second_server_is_refused_until_the_first_ends() {
    let (directory, path) = directory();
    let flash = FileFlash::open(&path, OPTIONS).unwrap();
    let error = refusal(&path, OPTIONS);
    assert!(matches!(error.problem(), Problem::InUse));
    assert!(error.to_string().contains("another server uses it"), "{error}");
    // By another name, too.
    let other = directory.path().join("other name");
    symlink(&path, &other).unwrap();
    assert!(matches!(refusal(&other, OPTIONS).problem(), Problem::InUse));
    drop(flash);
    assert!(FileFlash::open(&other, OPTIONS).is_ok());
}

#[test]
fn a_file_of_another_size_is_refused_and_untouched() {
    let (_directory, path) = directory();
    for (size, advice) in [(0, false), (1, false), (8191, false), (8193, false), (131_072, true)] {
        fs::write(&path, vec![0x42; size]).unwrap();
        let before = fs::metadata(&path).unwrap();
        let error = refusal(&path, OPTIONS);
        assert!(matches!(error.problem(), Problem::Size { found, expected: 8192 } if *found == size as u64));
        assert_eq!(error.to_string().contains("set the partition size to 65536"), advice, "{error}");
        let after = fs::metadata(&path).unwrap();
        assert_eq!((before.mtime_nsec(), before.ino()), (after.mtime_nsec(), after.ino()));
        assert_eq!(fs::read(&path).unwrap(), vec![0x42; size]);
    }
}

#[test]
fn bad_partition_sizes_are_refused_before_anything_is_created() {
    let (directory, path) = directory();
    for partition_size in [0, 4, 4100, 0x8000_0000, u32::MAX] {
        let error = refusal(&path, FileFlashOptions { partition_size, ..OPTIONS });
        assert!(matches!(error.problem(), Problem::PartitionSize(size) if *size == partition_size));
    }
    assert!(names(&directory).is_empty());
}

#[test]
fn things_that_are_not_files_are_refused() {
    let (directory, path) = directory();
    fs::create_dir(&path).unwrap();
    assert!(matches!(refusal(&path, OPTIONS).problem(), Problem::NotAFile));
    assert!(matches!(refusal(Path::new("/dev/null"), OPTIONS).problem(), Problem::NotAFile));
    assert!(matches!(refusal(Path::new(".."), OPTIONS).problem(), Problem::NotAFile));
    // A link to nowhere: neither opened nor replaced.
    let link = directory.path().join("link");
    symlink(directory.path().join("nowhere"), &link).unwrap();
    assert!(matches!(refusal(&link, OPTIONS).problem(), Problem::System { .. }));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn messages_name_the_reason_and_the_remedy() {
    let (directory, path) = directory();
    let error = refusal(&directory.path().join("missing/flash"), OPTIONS).to_string();
    assert!(error.contains("No such file or directory") && error.contains("create its directory"), "{error}");
    fs::write(&path, []).unwrap();
    let error = refusal(&path.join("flash"), OPTIONS).to_string();
    assert!(error.contains("Not a directory"), "{error}");
    // A running program cannot be opened for writing, not even by a superuser.
    let error = refusal(&std::env::current_exe().unwrap(), OPTIONS).to_string();
    assert!(error.contains("reading and writing: Text file busy"), "{error}");
}

#[test]
fn a_read_only_file_is_refused() {
    let (_directory, path) = directory();
    fs::write(&path, [0xFF; 8192]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let is_superuser = rustix::process::geteuid().is_root();
    match FileFlash::open(&path, OPTIONS) {
        Ok(_) => assert!(is_superuser, "permissions do not bind a superuser, and bind everybody else"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("Permission denied") && text.contains("must be writable"), "{text}");
        }
    }
}

/// The largest file this process may write is 4 KiB: creating an image of 8 KiB fails like on a full disk.
#[test]
fn a_failure_while_creating_leaves_no_file() {
    if let Some(path) = std::env::var_os(VARIABLE) {
        let error = refusal(Path::new(&path), OPTIONS).to_string();
        assert!(error.contains("cannot fill it: File too large"), "{error}");
        return;
    }
    let (directory, path) = directory();
    let limit = "trap '' XFSZ; ulimit -f 8;";
    let output = again("a_failure_while_creating_leaves_no_file", &path, limit).output().unwrap();
    assert_passed(&output);
    assert!(names(&directory).is_empty());
}

/// The same limit with an image that exists: what cannot be written is reported, and the rest goes on.
#[test]
fn a_failed_write_leaves_copy_and_file_equal() {
    if let Some(path) = std::env::var_os(VARIABLE) {
        let mut flash = FileFlash::open(path, OPTIONS).unwrap();
        // The limit is at 4096: half of this can be written.
        let error = flash.write(4088, &[0x5A; 16]).unwrap_err().to_string();
        assert!(error.contains("cannot write it: File too large"), "{error}");
        assert_eq!(fs::read(flash.path()).unwrap(), flash.image());
        assert_eq!(flash.image()[4088..4104], *b"ZZZZZZZZ\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
        flash.erase(4088, 4096).unwrap();
        flash.write(8, b"8 bytes.").unwrap();
        flash.commit().unwrap();
        return;
    }
    let (_directory, path) = directory();
    drop(FileFlash::open(&path, OPTIONS).unwrap());
    let limit = "trap '' XFSZ; ulimit -f 8;";
    let output = again("a_failed_write_leaves_copy_and_file_equal", &path, limit).output().unwrap();
    assert_passed(&output);
    let image = fs::read(&path).unwrap();
    assert_eq!(image[8..16], *b"8 bytes.");
    assert_eq!(image.iter().filter(|&&byte| byte != 0xFF).count(), 8);
}

/// A process that is killed in the middle of its work leaves what it wrote, in order, and no lock.
#[test]
fn a_killed_server_leaves_what_it_wrote() {
    let written = |index: u32| u64::from(index).to_le_bytes();
    if let Some(path) = std::env::var_os(VARIABLE) {
        let mut flash = FileFlash::open(path, OPTIONS).unwrap();
        for index in 0..PARTITION / 4 {
            flash.write(index * 8, &written(index)).unwrap();
            if index % 16 == 15 {
                flash.commit().unwrap();
                println!("committed {}", index + 1);
            }
        }
        loop {
            std::thread::park();
        }
    }
    for lines in [1, 3, 10] {
        let (directory, path) = directory();
        // As left behind by a process that was killed while it created the file.
        fs::write(directory.path().join(".flash image.1.0.new"), b"unfinished").unwrap();
        let mut child = again("a_killed_server_leaves_what_it_wrote", &path, "").spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let committed = output.filter_map(|line| line.strip_prefix("committed ")?.parse::<u32>().ok());
        let committed = committed.take(lines).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let flash = FileFlash::open(&path, OPTIONS).unwrap();
        let mut units = flash.image().chunks(8).zip(0..);
        let count = units.by_ref().take_while(|(unit, index)| *unit == written(*index)).count();
        assert!(count >= committed as usize, "{count} of {committed}");
        assert!(units.all(|(unit, _)| unit == [0xFF; 8]));
    }
}

#[test]
fn racing_creators_get_one_file_between_them() {
    for _ in 0..20 {
        let (directory, path) = directory();
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| FileFlash::open(&path, OPTIONS))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut opened: Vec<_> = results
            .into_iter()
            .filter_map(|result| match result {
                Ok(flash) => Some(flash),
                Err(error) => {
                    assert!(matches!(error.problem(), Problem::InUse), "{error}");
                    None
                }
            })
            .collect();
        assert_eq!(opened.len(), 1);
        opened[0].write(0, b"8 bytes.").unwrap();
        assert_eq!(fs::read(&path).unwrap()[..8], *b"8 bytes.");
        assert_eq!(names(&directory), ["flash image"]);
    }
}

/// The same with an object store on the file: what was reported as stored is there, and nothing is damaged.
#[test]
fn a_killed_server_leaves_a_store_with_every_object_it_reported() {
    let data = |round: u32| round.to_le_bytes().repeat(9);
    let mount = |path: &Path| {
        let flash = FileFlash::open(path, OPTIONS).unwrap();
        FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 8], FlashOptions::new()).unwrap()
    };
    let metadata = |id| Metadata { id: ObjectId(id), ..Metadata::default() };
    if let Some(path) = std::env::var_os(VARIABLE) {
        let mut store = mount(Path::new(&path));
        // One object that stays, one that is replaced again and again: directory and data are compacted on the way.
        store.add_with_reclaim(&metadata(1), &data(0)).unwrap();
        for round in 1.. {
            store.add_with_reclaim(&metadata(2), &data(round)).unwrap();
            println!("stored {round}");
        }
    }
    for lines in [1, 2, 5, 6, 30] {
        let (_directory, path) = directory();
        let test = "a_killed_server_leaves_a_store_with_every_object_it_reported";
        let mut child = again(test, &path, "").spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let stored = output.filter_map(|line| line.strip_prefix("stored ")?.parse::<u32>().ok());
        let stored = stored.take(lines).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let mut store = mount(&path);
        let mut found = [0; 36];
        store.read(ObjectId(1), 0, &mut found).unwrap();
        assert_eq!(found[..], data(0));
        store.read(ObjectId(2), 0, &mut found).unwrap();
        let round = u32::from_le_bytes(*found.first_chunk().unwrap());
        assert!(round >= stored, "{round} of {stored}");
        assert_eq!(found[..], data(round));
    }
}
