//! Security records in a file: one line of JSON each, chained by digests, so that a change shows.
//!
//! Every line ends with a digest (SHA-256, or HMAC-SHA-256 if there is a key) over the digest of the line before and the
//! line itself. Whoever changes, inserts or removes a line in the middle breaks the chain, which [`verify`] finds.
//!
//! What the chain proves depends on who can write the file. Without a key, somebody who can write it can also compute a
//! whole new chain; with a key, only somebody who has the key, which the server process has. In either case the last
//! lines can be cut off unseen, unless the number and digest of a later line were noted elsewhere: [`Summary::head`] is
//! what to note.
//!
//! A line is written with one call before the client gets its answer, so the end of the process loses none; the end of
//! the machine can, unless [`AuditOptions::sync`] is set. A write that fails stops nothing: the record is counted as
//! lost, and the next one that can be written is preceded by a line that says how many are missing.

use crate::locked::LockedFile;
use casemate_crypto::{Error as CryptoError, Hash, HashAlgorithm, Mac, NoRandom, Software, hash};
use casemate_server::audit::Record;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The longest line that is read, in bytes. Those that are written have a tenth of it.
const MAX_LINE: u64 = 4096;

/// What stands between a line's text and its digest.
const CHAIN: &str = ",\"chain\":\"";

/// The digest before the first record of all.
const START: Digest = [0; 32];

type Digest = [u8; 32];

/// How records are kept.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// A file that would become longer than this many bytes is renamed to `NAME.1`, and so on, and a new one is begun.
    pub maximum_size: u64,
    /// How many renamed files are kept; at least 1.
    pub keep: u32,
    /// Whether every record is forced to the disk before the client gets its answer.
    pub sync: bool,
    /// A key for the chain.
    pub key: Option<Zeroizing<Vec<u8>>>,
}

impl Default for AuditOptions {
    /// 16 MiB, four renamed files, no forcing, no key.
    fn default() -> Self {
        Self { maximum_size: 16 * 1024 * 1024, keep: 4, sync: false, key: None }
    }
}

/// A file of records, open for more. Several threads can share it; no other process can open it meanwhile.
pub struct AuditFile {
    options: AuditOptions,
    path: PathBuf,
    state: Mutex<State>,
    report: Box<dyn Fn(&io::Error) + Send + Sync>,
}

impl fmt::Debug for AuditFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditFile").field("path", &self.path).finish_non_exhaustive()
    }
}

struct State {
    file: LockedFile,
    size: u64,
    /// The number of the next line.
    next: u64,
    chain: Digest,
    /// Records lost since the last one that was written.
    missing: u64,
    /// Records lost since the file was opened.
    lost: u64,
}

impl AuditFile {
    /// Opens a file of records or makes one; it can be read by its owner only. A line that the end of the machine has
    /// cut short is removed, and the new lines say so.
    ///
    /// `report` is told of the first failure to write after each success.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::InvalidData`] if the file holds something else;
    /// [`io::ErrorKind::ResourceBusy`] if another process has it open.
    pub fn open(
        path: &Path,
        options: AuditOptions,
        report: impl Fn(&io::Error) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut file = open(path)?;
        let Tail { end, torn, last } = tail(&mut file)?;
        file.set_len(end)?;
        let (next, chain) = match last {
            Some((number, chain)) => (number.saturating_add(1), chain),
            None => (0, START),
        };
        let mut state = State { file, size: end, next, chain, missing: 0, lost: 0 };
        let mut fields = String::new();
        if torn > 0 {
            let _ = write!(fields, ",\"torn\":{torn}");
        }
        if end == 0 {
            let _ = write!(fields, ",\"previous\":\"{}\"", Hex(&state.chain));
        }
        state.append(&options, "log-opened", &fields)?;
        Ok(Self { options, path: path.to_owned(), state: Mutex::new(state), report: Box::new(report) })
    }

    /// Writes a record, or counts it as lost.
    pub fn record(&self, record: &Record) {
        // A line is added to the state only once it is in the file, so a thread that failed leaves it in order.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fields = String::new();
        if let Some(client) = record.client {
            let _ = write!(fields, ",\"client\":{client}");
        }
        if let Some(kind) = record.request {
            let _ = write!(fields, ",\"message\":\"{kind:?}\"");
        }
        record.event.visit(&mut |name, value| {
            use casemate_server::audit::Value;
            let _ = match value {
                Value::Number(_) | Value::Status(_) => write!(fields, ",\"{name}\":{value}"),
                _ => write!(fields, ",\"{name}\":\"{value}\""),
            };
        });
        let written = self.write(&mut state, record.event.name(), &fields);
        if let Err(error) = written {
            let is_first = state.missing == 0;
            state.missing = state.missing.saturating_add(1);
            state.lost = state.lost.saturating_add(1);
            drop(state);
            if is_first {
                (self.report)(&error);
            }
        }
    }

    fn write(&self, state: &mut State, event: &str, fields: &str) -> io::Result<()> {
        if state.size.saturating_add(MAX_LINE / 10) > self.options.maximum_size {
            self.rotate(state)?;
        }
        if state.missing > 0 {
            state.append(&self.options, "records-lost", &format!(",\"count\":{}", state.missing))?;
            state.missing = 0;
        }
        state.append(&self.options, event, fields)
    }

    /// Renames the present file and begins another one.
    fn rotate(&self, state: &mut State) -> io::Result<()> {
        for number in (1..self.options.keep.max(1)).rev() {
            let from = numbered(&self.path, number);
            if from.exists() {
                fs::rename(from, numbered(&self.path, number.saturating_add(1)))?;
            }
        }
        fs::rename(&self.path, numbered(&self.path, 1))?;
        let (file, size) = (open(&self.path)?, 0);
        (state.file, state.size) = (file, size);
        let previous = format!(",\"previous\":\"{}\"", Hex(&state.chain));
        state.append(&self.options, "log-opened", &previous)
    }

    /// How many records could not be written since the file was opened.
    pub fn lost(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lost
    }
}

/// The name of a renamed file.
#[must_use]
pub fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<LockedFile> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    LockedFile::try_new(file).map_err(|error| match error {
        TryLockError::WouldBlock => {
            io::Error::new(io::ErrorKind::ResourceBusy, "another process writes records to it")
        }
        TryLockError::Error(error) => error,
    })
}

impl State {
    fn append(&mut self, options: &AuditOptions, event: &str, fields: &str) -> io::Result<()> {
        let time = timestamp(SystemTime::now());
        let text = format!("{{\"n\":{},\"time\":\"{time}\",\"event\":\"{event}\"{fields}", self.next);
        let chain = link(&self.chain, &text, key(options)).map_err(io::Error::other)?;
        let line = format!("{text}{CHAIN}{}\"}}\n", Hex(&chain));
        let written = self.file.write_all(line.as_bytes());
        if let Err(error) = written {
            // Half a line, of a full disk for instance. If this fails too, the next line shows it when verified.
            let _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.size = self.size.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        self.next = self.next.saturating_add(1);
        self.chain = chain;
        if options.sync { self.file.sync_data() } else { Ok(()) }
    }
}

fn key(options: &AuditOptions) -> Option<&[u8]> {
    options.key.as_ref().map(|key| key.as_slice())
}

/// The digest of a line.
fn link(previous: &Digest, text: &str, key: Option<&[u8]>) -> Result<Digest, CryptoError> {
    fn compute<D: Hash + Mac>(
        driver: &D,
        parts: &[&[u8]],
        key: Option<&[u8]>,
    ) -> Result<Digest, CryptoError> {
        let mut digest = START;
        match key {
            Some(key) => driver.hmac(HashAlgorithm::Sha256, key, parts, &mut digest)?,
            None => hash(driver, HashAlgorithm::Sha256, parts, &mut digest)?,
        }
        Ok(digest)
    }
    compute(&Software::new(NoRandom), &[previous, text.as_bytes()], key)
}

struct Hex<'a>(&'a Digest);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn digest(digits: &str) -> Option<Digest> {
    let mut digest = START;
    if digits.len() != 64 {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// The parts of a line that the chain is made of.
struct Line<'a> {
    text: &'a str,
    number: u64,
    chain: Digest,
    /// The digest before it, which the first line of a file repeats.
    previous: Option<Digest>,
    /// How many records are missing before the next one.
    lost: u64,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (text, rest) = line.rsplit_once(CHAIN)?;
        let chain = digest(rest.strip_suffix("\"}")?)?;
        let after = |name: &str| text.split_once(name).map(|(_, rest)| rest);
        let number = |rest: &str| rest.split([',', '}']).next()?.parse().ok();
        let previous = match after(",\"previous\":\"") {
            Some(rest) => Some(digest(rest.get(..64)?)?),
            None => None,
        };
        let lost = if text.contains("\"event\":\"records-lost\"") {
            after(",\"count\":").and_then(number)?
        } else {
            0
        };
        Some(Self { text, number: number(text.strip_prefix("{\"n\":")?)?, chain, previous, lost })
    }
}

/// How a file ends.
struct Tail {
    /// Where its last whole line ends.
    end: u64,
    /// How many bytes come after that.
    torn: u64,
    /// Number and digest of its last whole line.
    last: Option<(u64, Digest)>,
}

fn tail(file: &mut File) -> io::Result<Tail> {
    let foreign = || io::Error::new(io::ErrorKind::InvalidData, "it is not a file of security records");
    let size = file.seek(SeekFrom::End(0))?;
    let start = size.saturating_sub(2 * MAX_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(2 * MAX_LINE).read_to_end(&mut bytes)?;
    let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        // A first line that was cut short, or something else altogether.
        let is_ours =
            size < MAX_LINE && (b"{\"n\":0,".starts_with(&bytes) || bytes.starts_with(b"{\"n\":0,"));
        return if is_ours { Ok(Tail { end: 0, torn: size, last: None }) } else { Err(foreign()) };
    };
    let (whole, torn) = bytes.split_at(last + 1);
    let lines = whole.get(..last).unwrap_or_default();
    let begin = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let line = lines.get(begin..).and_then(|line| std::str::from_utf8(line).ok());
    let line = line.and_then(Line::parse).ok_or_else(foreign)?;
    let torn = u64::try_from(torn.len()).unwrap_or(u64::MAX);
    Ok(Tail { end: size - torn, torn, last: Some((line.number, line.chain)) })
}

/// What files of records say, whose chain is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The number of the first line. If it is not 0, older files are missing or were not given.
    pub first: u64,
    /// How many lines there are.
    pub lines: u64,
    /// How many records the server could not write.
    pub lost: u64,
    /// Number and digest of the last line.
    pub head: (u64, Digest),
}

/// Where a chain is broken.
#[derive(Debug)]
pub struct Broken {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1; 0 if it is the file as a whole.
    pub line: u64,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a line of a file of records.
#[derive(Debug)]
#[non_exhaustive]
pub enum Why {
    /// The file cannot be read.
    Read(io::Error),
    /// It is no line of a file of records.
    NotARecord,
    /// The last line has no end: the machine has stopped, or somebody has cut it off.
    Torn,
    /// Its number does not follow that of the line before: lines were removed, added or exchanged.
    Number {
        /// The number that it should have.
        expected: u64,
    },
    /// Its digest is not that of the lines up to here: one was changed, or the key is another one.
    Digest,
    /// The file begins without the digest that ties it to the one before it.
    NoStart,
    /// There is no line at all.
    Empty,
    /// The line that was noted elsewhere is not there, or is another one.
    NotThere,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        match &self.why {
            Why::Read(error) => write!(f, ": {error}"),
            Why::NotARecord => f.write_str(": this is no record"),
            Why::Torn => f.write_str(": the line is cut short"),
            Why::Number { expected } => {
                write!(f, ": number {expected} should stand here: lines were removed, added or exchanged")
            }
            Why::Digest => f.write_str(
                ": the digest does not match: this or an earlier line was changed, or the key is another one",
            ),
            Why::NoStart => f.write_str(": the file does not begin as one does"),
            Why::Empty => f.write_str(": there are no records"),
            Why::NotThere => f.write_str(": the record that was noted is not there, or is another one"),
        }
    }
}

impl std::error::Error for Broken {}

/// Verifies the chain of files of records, oldest first. `noted` is the [`head`](Summary::head) of an earlier time, which
/// must be a line of these files.
///
/// # Errors
/// [`Broken`] says where and why.
pub fn verify(
    paths: &[PathBuf],
    key: Option<&[u8]>,
    noted: Option<(u64, Digest)>,
) -> Result<Summary, Broken> {
    let mut summary: Option<Summary> = None;
    let mut is_noted_there = noted.is_none();
    for path in paths {
        let broken = |line, why| Broken { path: path.clone(), line, why };
        let file = File::open(path).map_err(|error| broken(0, Why::Read(error)))?;
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        for number in 1_u64.. {
            bytes.clear();
            let length = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes);
            if length.map_err(|error| broken(number, Why::Read(error)))? == 0 {
                break;
            }
            let Some(text) = bytes.strip_suffix(b"\n") else { return Err(broken(number, Why::Torn)) };
            let line = std::str::from_utf8(text).ok().and_then(Line::parse);
            let line = line.ok_or_else(|| broken(number, Why::NotARecord))?;
            if number == 1 && line.previous.is_none() {
                return Err(broken(number, Why::NoStart));
            }
            let (expected, previous) = match (&summary, line.previous) {
                (Some(summary), _) => (summary.head.0.saturating_add(1), summary.head.1),
                (None, Some(previous)) if line.number > 0 => (line.number, previous),
                (None, _) => (0, START),
            };
            if line.number != expected {
                return Err(broken(number, Why::Number { expected }));
            }
            let chain = link(&previous, line.text, key).map_err(|_| broken(number, Why::Digest))?;
            if chain != line.chain || line.previous.is_some_and(|stated| stated != previous) {
                return Err(broken(number, Why::Digest));
            }
            let head = (line.number, chain);
            is_noted_there |= noted == Some(head);
            let so_far = summary.get_or_insert(Summary { first: line.number, lines: 0, lost: 0, head });
            so_far.lines = so_far.lines.saturating_add(1);
            so_far.lost = so_far.lost.saturating_add(line.lost);
            so_far.head = head;
        }
    }
    let whole = |why| Broken { path: paths.last().cloned().unwrap_or_default(), line: 0, why };
    let summary = summary.ok_or_else(|| whole(Why::Empty))?;
    if is_noted_there { Ok(summary) } else { Err(whole(Why::NotThere)) }
}

/// Date and time of day in UTC (RFC 3339).
#[must_use]
pub fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years that begin in March have their leap day at the end; eras of 400 years have 146097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timestamps() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }
}
