//! Records in a file: written, rotated, taken up again, and what tampering looks like.

use casemate_posix::audit::{AuditFile, AuditOptions, Broken, Why, numbered, verify};
use casemate_protocol::{ClientId, Flags, Group, Kind, ObjectId};
use casemate_server::audit::{Event, Record};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use zeroize::Zeroizing;

fn record(length: u16) -> Record {
    let event = Event::KeyCreated { key: ObjectId(0x1C05), flags: Flags::USAGE_SIGN, length };
    Record { client: ClientId::new(12), request: Some(Kind::new(Group::KEY, 0)), event }
}

fn open(path: &Path, options: AuditOptions) -> AuditFile {
    AuditFile::open(path, options, |error| panic!("{error}")).unwrap()
}

/// A file with `count` records after its first line.
fn written(directory: &tempfile::TempDir, count: u16) -> PathBuf {
    let path = directory.path().join("audit.jsonl");
    let file = open(&path, AuditOptions::default());
    (0..count).for_each(|length| file.record(&record(length)));
    assert_eq!(file.lost(), 0);
    path
}

fn check(path: &Path) -> Result<(u64, u64), Broken> {
    verify(&[path.to_owned()], None, None).map(|summary| (summary.first, summary.lines))
}

#[test]
fn a_line_is_json_with_everything_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, 1);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    let (head, rest) = lines[1].split_once("\",\"event\":").unwrap();
    assert!(head.starts_with("{\"n\":1,\"time\":\"20"), "{head}");
    let (fields, chain) = rest.split_once(",\"chain\":\"").unwrap();
    assert_eq!(
        fields,
        "\"key-created\",\"client\":12,\"message\":\"KEY/0x00\",\"key\":\"0x1c05\",\"flags\":\"sign\",\"length\":0"
    );
    assert_eq!(chain.len(), 64 + 2);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// The chain, computed once more by another program.
#[test]
fn the_chain_is_what_its_description_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, 3);
    let script = "
import hashlib, json, sys
previous = bytes(32)
for line in open(sys.argv[1]):
    text, rest = line.rstrip('\\n').rsplit(',\"chain\":\"', 1)
    previous = hashlib.sha256(previous + text.encode()).digest()
    assert rest == previous.hex() + '\"}', line
    assert json.loads(line)['chain'] == previous.hex()
print(previous.hex())
";
    let output = std::process::Command::new("python3").arg("-c").arg(script).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let head = verify(&[path], None, None).unwrap().head.1;
    let digits: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), digits);
}

#[test]
fn any_change_shows() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, 6);
    let good = fs::read_to_string(&path).unwrap();
    assert_eq!(check(&path).unwrap(), (0, 7));
    let lines: Vec<_> = good.lines().map(|line| format!("{line}\n")).collect();
    let why = |text: &str| {
        fs::write(&path, text).unwrap();
        let broken = check(&path).unwrap_err();
        (broken.line, broken.why)
    };
    let changed = good.replacen("\"length\":3", "\"length\":9", 1);
    assert!(matches!(why(&changed), (5, Why::Digest)));
    let removed = [&lines[..3], &lines[4..]].concat().concat();
    assert!(matches!(why(&removed), (4, Why::Number { expected: 3 })));
    let mut exchanged = lines.clone();
    exchanged.swap(3, 4);
    assert!(matches!(why(&exchanged.concat()), (4, Why::Number { expected: 3 })));
    let doubled = [&lines[..4], &lines[3..]].concat().concat();
    assert!(matches!(why(&doubled), (5, Why::Number { expected: 4 })));
    assert!(matches!(why(&lines[1..].concat()), (1, Why::NoStart)));
    assert!(matches!(why(&good[..good.len() - 1]), (7, Why::Torn)));
    assert!(matches!(why(&format!("{}nonsense\n", lines[0])), (2, Why::NotARecord)));
    assert!(matches!(why(""), (0, Why::Empty)));
    // A forged start, which claims that everything before it was rotated away.
    let forged = lines[0].replacen("\"n\":0", "\"n\":5", 1);
    assert!(matches!(why(&forged), (1, Why::Digest)));

    // Cutting off the end is not seen by the chain alone, but by who has noted a later line.
    fs::write(&path, &good).unwrap();
    let head = verify(std::slice::from_ref(&path), None, None).unwrap().head;
    verify(std::slice::from_ref(&path), None, Some(head)).unwrap();
    fs::write(&path, lines[..5].concat()).unwrap();
    assert_eq!(check(&path).unwrap(), (0, 5));
    let broken = verify(std::slice::from_ref(&path), None, Some(head)).unwrap_err();
    assert!(matches!(broken.why, Why::NotThere));
}

#[test]
fn a_key_keeps_others_from_making_a_new_chain() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let key = Zeroizing::new(b"a key of the auditor".to_vec());
    let file = open(&path, AuditOptions { key: Some(key.clone()), ..AuditOptions::default() });
    file.record(&record(1));
    drop(file);
    let paths = [path];
    assert_eq!(verify(&paths, Some(&key), None).unwrap().lines, 2);
    assert!(matches!(verify(&paths, None, None).unwrap_err().why, Why::Digest));
    assert!(matches!(verify(&paths, Some(b"another"), None).unwrap_err().why, Why::Digest));
}

#[test]
fn a_new_process_goes_on_where_the_last_one_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, 2);
    let file = open(&path, AuditOptions::default());
    let busy = AuditFile::open(&path, AuditOptions::default(), |_| ()).unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy);
    file.record(&record(9));
    drop(file);
    assert_eq!(check(&path).unwrap(), (0, 5));

    // The machine has stopped in the middle of a line, at any place in it.
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in last..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        drop(open(&path, AuditOptions::default()));
        assert_eq!(check(&path).unwrap(), (0, 5), "cut at {cut}");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.contains(&format!("\"torn\":{},", cut - last)), cut > last);
    }
    for cut in 0..40 {
        fs::write(&path, &whole[..cut]).unwrap();
        drop(open(&path, AuditOptions::default()));
        assert_eq!(check(&path).unwrap(), (0, 1));
    }
    for foreign in ["something else", "something else\n", "{\"n\":0}\n"] {
        fs::write(&path, foreign).unwrap();
        let error = AuditFile::open(&path, AuditOptions::default(), |_| ()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(fs::read_to_string(&path).unwrap(), foreign, "it is not touched");
    }
}

#[test]
fn files_are_rotated_and_the_chain_runs_through_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let options = AuditOptions { maximum_size: 4096, keep: 3, ..AuditOptions::default() };
    let file = open(&path, options);
    for length in 0..200 {
        file.record(&record(length));
    }
    let paths: Vec<_> =
        [3, 2, 1].into_iter().map(|number| numbered(&path, number)).chain([path.clone()]).collect();
    assert!(!numbered(&path, 4).exists());
    for path in &paths {
        assert!(fs::metadata(path).unwrap().len() <= 4096);
    }
    let summary = verify(&paths, None, None).unwrap();
    assert!(summary.first > 0, "the oldest were removed");
    let rotations = fs::read_to_string(&path).unwrap().matches("log-opened").count();
    assert_eq!(rotations, 1);
    // A file left out, or the order changed.
    assert!(verify(&[paths[0].clone(), paths[2].clone()], None, None).is_err());
    assert!(verify(&[paths[1].clone(), paths[0].clone()], None, None).is_err());
}

/// The file cannot be written: service goes on, the loss is counted, and told once.
#[test]
fn a_failure_is_counted_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let options = AuditOptions { maximum_size: 1024, keep: 1, ..AuditOptions::default() };
    let file = AuditFile::open(&path, options, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    file.record(&record(1));
    // The next rotation cannot rename a file onto a folder.
    let obstacle = numbered(&path, 1);
    fs::create_dir_all(obstacle.join("occupied")).unwrap();
    (0..10).for_each(|length| file.record(&record(length)));
    let lost = file.lost();
    assert!(lost > 0 && lost < 10, "{lost}");
    assert_eq!(told.load(Ordering::Relaxed), 1);
    fs::remove_dir_all(&obstacle).unwrap();
    file.record(&record(99));
    let summary = verify(&[obstacle, path.clone()], None, None).unwrap();
    assert_eq!(summary.lost, lost);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("\"event\":\"records-lost\",\"count\":{lost},")), "{text}");
    assert!(AuditFile::open(Path::new("/dev/full"), AuditOptions::default(), |_| ()).is_err());
}

#[test]
fn many_threads_write_whole_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(&directory, 0);
    let file = open(&path, AuditOptions::default());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|length| file.record(&record(length))));
        }
    });
    assert_eq!(check(&path).unwrap(), (0, 402));
    std::io::stdout().flush().unwrap();
}
