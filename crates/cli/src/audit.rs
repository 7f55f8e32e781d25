//! `casemate audit`.

use crate::serve::chain_key;
use crate::table::{Align, Table};
use crate::value::{client_id, object_number, say, word};
use anyhow::{Context, Result, bail};
use casemate_posix::audit::verify;
use casemate_protocol::{ClientId, ObjectId, Status};
use casemate_server::audit::Event;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Read and verify the security records that `casemate serve --audit FILE` writes
///
/// A record says what happened, when, on behalf of which client and by which message; it contains no secret. Records
/// are chained: each ends with a digest over itself and the digest before, so a change in the middle shows.
#[derive(Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show records
    Show(Show),
    /// Verify the chain of records
    ///
    /// Give renamed files too, oldest first: FILE.2 FILE.1 FILE. A chain does not show by itself that its end was cut
    /// off: note the number and digest that this command prints, and give them with --noted the next time.
    Verify(Verify),
}

#[derive(Args)]
struct Show {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only this event; may be given several times
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Event::NAMES.iter().copied().chain(["log-opened", "records-lost"])))]
    event: Vec<String>,
    /// Only what this client caused
    #[arg(long = "client-id", value_name = "NUMBER", value_parser = client_id)]
    client: Option<ClientId>,
    /// Only what concerns this user, by its number: see `casemate user list`
    #[arg(long, value_name = "NUMBER", value_parser = word)]
    user: Option<u16>,
    /// Only what concerns this key, counter or object, as the server stores it, such as 0x1c05
    #[arg(long, value_name = "ID", value_parser = object_number)]
    object: Option<u16>,
    /// Only from this time on (RFC 3339, or the beginning of it, such as 2026-11-22T08)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only until this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only the last ones
    #[arg(long, value_name = "COUNT")]
    last: Option<usize>,
    /// Go on with the records that are added to the last file, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Write the lines as they stand in the file
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Verify {
    /// The files, oldest first
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The file with the key that the server was given, if any
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A record that was noted before, which must be there
    #[arg(long, value_name = "NUMBER:DIGEST", value_parser = noted)]
    noted: Option<(u64, [u8; 32])>,
}

fn noted(text: &str) -> Result<(u64, [u8; 32]), String> {
    let advice = "write what `casemate audit verify` has printed, NUMBER:DIGEST";
    let (number, digits) = text.split_once(':').ok_or(advice)?;
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).map_err(|_| advice)?;
    Ok((number.parse().map_err(|_| advice)?, digest))
}

impl Audit {
    pub(crate) fn run(&self) -> Result<()> {
        match &self.action {
            Action::Show(show) => show.run(),
            Action::Verify(verify) => verify.run(),
        }
    }
}

impl Verify {
    fn run(&self) -> Result<()> {
        let key = self.key.as_deref().map(chain_key).transpose()?;
        let summary = verify(&self.files, key.as_ref().map(|key| key.as_slice()), self.noted)?;
        say(format_args!("Records  {}, none changed", summary.lines))?;
        if summary.first > 0 {
            say(format_args!("First    {}; older ones are not in these files", summary.first))?;
        }
        if summary.lost > 0 {
            say(format_args!("Lost     {}, which could not be written", summary.lost))?;
        }
        let (number, digest) = summary.head;
        say(format_args!("Last     {number}:{}", hex::encode(digest)))
    }
}

impl Show {
    fn run(&self) -> Result<()> {
        let mut found = VecDeque::new();
        let (whole, followed) = match self.files.split_last() {
            Some((last, before)) if self.follow => (before, Some(last)),
            _ => (&self.files[..], None),
        };
        for path in whole {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            for (number, line) in (1_u64..).zip(BufReader::new(file).lines()) {
                let place = || format!("{}, line {number}", path.display());
                self.take(line.with_context(place)?, place, &mut found)?;
            }
        }
        if let Some(path) = followed {
            return self.follow(path, found);
        }
        if self.json {
            return found.into_iter().try_for_each(|(line, _)| say(line));
        }
        let mut table = Table::new(&[
            ("NUMBER", Align::Right),
            ("TIME", Align::Left),
            ("CLIENT", Align::Right),
            ("MESSAGE", Align::Left),
            ("EVENT", Align::Left),
            ("DETAILS", Align::Left),
        ]);
        for (_, record) in &found {
            table.row(cells(record)?);
        }
        table.print_or("no such records")
    }

    /// Keeps a line if it is wanted.
    fn take(
        &self,
        line: String,
        place: impl Fn() -> String,
        found: &mut VecDeque<(String, Value)>,
    ) -> Result<()> {
        let record: Value =
            serde_json::from_str(&line).with_context(|| format!("{}: this is no record", place()))?;
        if self.selects(&record) {
            found.push_back((line, record));
            if self.last.is_some_and(|last| found.len() > last) {
                found.pop_front();
            }
        }
        Ok(())
    }

    /// Shows what is there, and then what is added.
    fn follow(&self, path: &Path, mut found: VecDeque<(String, Value)>) -> Result<()> {
        let place = || path.display().to_string();
        let mut file = Followed::open(path).with_context(|| format!("cannot read {}", place()))?;
        while let Some(line) = file.next_line().with_context(place)? {
            self.take(line, place, &mut found)?;
        }
        let mut latest = None;
        for (line, record) in &found {
            self.show_line(line, record)?;
        }
        loop {
            while let Some(line) = file.next_line().with_context(place)? {
                let record: Value =
                    serde_json::from_str(&line).with_context(|| format!("{}: this is no record", place()))?;
                let number = record["n"].as_u64();
                if let (Some(number), Some(latest)) = (number, latest)
                    && number.saturating_sub(latest) > 1
                {
                    eprintln!(
                        "records {} to {} are in renamed files",
                        latest.saturating_add(1),
                        number.saturating_sub(1)
                    );
                }
                latest = number;
                if self.selects(&record) {
                    self.show_line(&line, &record)?;
                }
            }
            if !file.go_on().with_context(place)? {
                thread::sleep(Duration::from_millis(200));
            }
        }
    }

    /// A line of a list whose length is not known.
    fn show_line(&self, line: &str, record: &Value) -> Result<()> {
        if self.json {
            return say(line);
        }
        let [number, time, client, message, event, details] = cells(record)?;
        let line = format!("{number:>6}  {time:<24}  {client:>2}  {message:<12}  {event:<20}  {details}");
        say(line.trim_end())
    }

    fn selects(&self, record: &Value) -> bool {
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = text("time");
        let is_of_client = |client: ClientId| record["client"].as_u64() == Some(client.get().into());
        let names = |id: u16| {
            let id = ObjectId(id).to_string();
            ["object", "key", "kek", "counter", "floor", "root", "slot"]
                .into_iter()
                .any(|name| text(name) == id)
        };
        // An end such as 2026-11-22 means all of that day.
        let is_until = |until: &String| time < until.as_str() || time.starts_with(until.as_str());
        (self.event.is_empty() || self.event.iter().any(|name| name == text("event")))
            && self.client.is_none_or(is_of_client)
            && self.user.is_none_or(|user| record["user"].as_u64() == Some(user.into()))
            && self.object.is_none_or(names)
            && self.since.as_ref().is_none_or(|since| time >= since.as_str())
            && self.until.as_ref().is_none_or(is_until)
    }
}

/// A file that somebody else adds lines to.
struct Followed {
    path: PathBuf,
    reader: BufReader<File>,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
}

impl Followed {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), reader: BufReader::new(File::open(path)?), begun: Vec::new() })
    }

    /// The next whole line.
    fn next_line(&mut self) -> io::Result<Option<String>> {
        self.reader.read_until(b'\n', &mut self.begun)?;
        if self.begun.last() != Some(&b'\n') {
            return Ok(None);
        }
        self.begun.pop();
        let line = std::mem::take(&mut self.begun);
        String::from_utf8(line).map(Some).map_err(|_| io::Error::other("a line is no text"))
    }

    /// Goes on with the new file if this one was renamed, or before the line that a restarted server has removed
    /// because it had no end; whether there may be lines to read.
    fn go_on(&mut self) -> io::Result<bool> {
        self.go_on_with(|path| fs::metadata(path))
    }

    /// The same; `look` says what is at the path now.
    fn go_on_with(&mut self, look: impl FnOnce(&Path) -> io::Result<fs::Metadata>) -> io::Result<bool> {
        let here = self.reader.get_ref().metadata()?;
        if here.len() < self.reader.stream_position()? {
            self.reader.seek(SeekFrom::Start(here.len()))?;
            self.begun.clear();
        }
        match look(&self.path) {
            Ok(there) if (there.dev(), there.ino()) != (here.dev(), here.ino()) => {
                // Before it was renamed, lines may have been added that the look above came too early for. Since there
                // is a new file, this one is whole.
                let here = self.reader.get_ref().metadata()?;
                if self.reader.stream_position()? < here.len() {
                    return Ok(true);
                }
                *self = Self::open(&self.path)?;
                Ok(true)
            }
            // Between the old file and the new one there may be none.
            _ => Ok(false),
        }
    }
}

/// A record as columns: number, time, client, message, event, details.
fn cells(record: &Value) -> Result<[String; 6]> {
    let Value::Object(fields) = record else { bail!("a line is no record") };
    let text = |name: &str| fields.get(name).map_or_else(|| "-".to_owned(), plain);
    let is_column =
        |name: &str| matches!(name, "n" | "time" | "client" | "message" | "event" | "chain" | "previous");
    let details: Vec<_> =
        fields.iter().filter(|(name, _)| !is_column(name)).map(|(name, value)| detail(name, value)).collect();
    Ok([text("n"), text("time"), text("client"), text("message"), text("event"), details.join(" ")])
}

/// A value without quotation marks.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn detail(name: &str, value: &Value) -> String {
    let status = value.as_i64().and_then(|code| i32::try_from(code).ok()).map(Status);
    match status.and_then(Status::describe) {
        Some((described, _)) if name == "status" => format!("status={described}"),
        _ => format!("{name}={}", plain(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_followed_over_its_renaming() {
        let directory = tempfile::tempdir().unwrap();
        let [path, renamed] = ["a", "a.1"].map(|name| directory.path().join(name));
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        let mut followed = Followed::open(&path).unwrap();
        let mut next = || followed.next_line().unwrap();
        assert_eq!((next().as_deref(), next()), (Some("one"), None));
        file.write_all(b"o\n").unwrap();
        assert_eq!((next().as_deref(), next()), (Some("two"), None));
        assert!(!followed.go_on().unwrap());
        // What was written before the renaming is read before the new file is.
        fs::rename(&path, &renamed).unwrap();
        assert!(!followed.go_on().unwrap(), "there is no new one yet");
        file.write_all(b"three\n").unwrap();
        fs::write(&path, b"four\nfi").unwrap();
        assert!(followed.go_on().unwrap());
        assert_eq!(followed.next_line().unwrap().as_deref(), Some("three"));
        assert!(followed.go_on().unwrap());
        assert_eq!(followed.next_line().unwrap().as_deref(), Some("four"));
        assert_eq!(followed.next_line().unwrap(), None);
        // A line without end is cut off, and others take its place.
        fs::write(&path, b"four\n").unwrap();
        assert!(!followed.go_on().unwrap());
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"six\n").unwrap();
        assert_eq!(followed.next_line().unwrap().as_deref(), Some("six"));
    }

    #[test]
    fn what_is_added_just_before_a_renaming_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let [path, renamed] = ["a", "a.1"].map(|name| directory.path().join(name));
        let mut file = File::create(&path).unwrap();
        let mut followed = Followed::open(&path).unwrap();
        assert_eq!(followed.next_line().unwrap(), None);
        let may_read = followed.go_on_with(|path| {
            file.write_all(b"one\n")?;
            fs::rename(path, &renamed)?;
            fs::write(path, b"two\n")?;
            fs::metadata(path)
        });
        assert!(may_read.unwrap());
        assert_eq!(followed.next_line().unwrap().as_deref(), Some("one"));
        assert!(followed.go_on().unwrap());
        assert_eq!(followed.next_line().unwrap().as_deref(), Some("two"));
    }

    #[test]
    fn what_was_noted_is_read_back() {
        let digits = "ab".repeat(32);
        assert_eq!(noted(&format!("7:{digits}")), Ok((7, [0xAB; 32])));
        for wrong in ["7", "7:ab", &format!("x:{digits}"), &digits] {
            assert!(noted(wrong).is_err(), "{wrong}");
        }
    }
}
