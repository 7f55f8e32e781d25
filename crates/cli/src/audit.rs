//! `casemate audit`.

use crate::serve::chain_key;
use crate::simple::print_table;
use crate::table::{Align, Table};
use crate::value::{client_id, object_number, say};
use anyhow::{Context, Result, bail};
use casemate_posix::audit::verify;
use casemate_protocol::{ClientId, ObjectId, Status};
use casemate_server::audit::Event;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

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
        for path in &self.files {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            for (number, line) in (1_u64..).zip(BufReader::new(file).lines()) {
                let place = || format!("{}, line {number}", path.display());
                let line = line.with_context(place)?;
                let record: Value =
                    serde_json::from_str(&line).with_context(|| format!("{}: this is no record", place()))?;
                if self.selects(&record) {
                    found.push_back((line, record));
                    if self.last.is_some_and(|last| found.len() > last) {
                        found.pop_front();
                    }
                }
            }
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
            let Value::Object(fields) = record else { bail!("a line is no record") };
            let text = |name: &str| fields.get(name).map_or_else(|| "-".to_owned(), plain);
            let details: Vec<_> = fields
                .iter()
                .filter(|(name, _)| {
                    !matches!(
                        name.as_str(),
                        "n" | "time" | "client" | "message" | "event" | "chain" | "previous"
                    )
                })
                .map(|(name, value)| detail(name, value))
                .collect();
            table.row([
                text("n"),
                text("time"),
                text("client"),
                text("message"),
                text("event"),
                details.join(" "),
            ]);
        }
        print_table(&table, "no such records")
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
            && self.object.is_none_or(names)
            && self.since.as_ref().is_none_or(|since| time >= since.as_str())
            && self.until.as_ref().is_none_or(is_until)
    }
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

    #[test]
    fn what_was_noted_is_read_back() {
        let digits = "ab".repeat(32);
        assert_eq!(noted(&format!("7:{digits}")), Ok((7, [0xAB; 32])));
        for wrong in ["7", "7:ab", &format!("x:{digits}"), &digits] {
            assert!(noted(wrong).is_err(), "{wrong}");
        }
    }
}
