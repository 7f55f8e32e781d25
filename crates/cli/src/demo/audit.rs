//! Security records: a server that writes them to a file, and what the file says afterwards.

use super::{ALICE, Report, client, done, refused};
use crate::local::{Running, Setup};
use anyhow::{Context, Result, bail, ensure};
use casemate_client::NewKey;
use casemate_posix::audit::{AuditOptions, verify};
use casemate_protocol::{Flags, KeyId, Label, Status};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const SECRET: &[u8; 16] = b"never in records";

fn start(file: PathBuf) -> Result<Running> {
    let setup = Setup { audit: Some((file, AuditOptions::default())), ..Setup::default() };
    Running::start(&setup, Arc::new(setup.server(setup.ram_store()?)?))
}

pub(super) fn steps(report: &mut Report) {
    report.group("Security records");
    let mut ready = None;
    report.step("start a server that keeps them in a file", || {
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        let file = directory.path().join("audit.jsonl");
        ready = Some((start(file.clone())?, directory, file));
        done()
    });
    let Some((server, _directory, file)) = ready else { return };
    report.step("make a key, try to export it, revoke it", || {
        let mut hsm = client(&server.address, ALICE)?;
        let id = KeyId(0x21);
        let flags = Flags::USAGE_ANY | Flags::NONEXPORTABLE;
        hsm.key_cache(&NewKey { id, flags, label: Label::from("recorded") }, SECRET)?;
        let outcome = refused(hsm.key_export(id, &mut [0; 16]), Status::ACCESS)?;
        hsm.key_commit(id)?;
        hsm.key_revoke(id)?;
        hsm.close()?;
        Ok(outcome)
    });
    drop(server);
    report.step("all of it was recorded, and no secret", || {
        let text = fs::read_to_string(&file)?;
        for event in
            ["session-started", "key-created", "refused", "key-committed", "key-revoked", "session-ended"]
        {
            ensure!(text.contains(&format!("\"event\":\"{event}\"")), "no `{event}` in {text}");
        }
        for secret in [str::from_utf8(SECRET)?, &hex::encode(SECRET), "recorded"] {
            ensure!(!text.contains(secret), "the records say `{secret}`");
        }
        Ok(format!("{} records", text.lines().count()))
    });
    report.step("verify the chain of digests", || {
        let summary = verify(std::slice::from_ref(&file), None, None)?;
        Ok(format!("{} records, none changed", summary.lines))
    });
    report.step("remove the refusal from the file", || {
        let text = fs::read_to_string(&file)?;
        let kept: Vec<_> = text.split_inclusive('\n').filter(|line| !line.contains("\"refused\"")).collect();
        fs::write(&file, kept.concat())?;
        match verify(std::slice::from_ref(&file), None, None) {
            Err(broken) => Ok(format!("found in line {}", broken.line)),
            Ok(_) => bail!("the chain verifies"),
        }
    });
}
