//! `casemate backup` and `casemate restore`, and the steps of both for single keys.

mod container;
mod transfer;

pub(crate) use transfer::{Opened, Stored, open_blob, store};

use crate::connection::{Connection, Hsm};
use crate::table::{Align, Table};
use crate::value::{Permissions, flag_names, key_number, print, say, write_file};
use anyhow::{Context, Result, bail, ensure};
use casemate_client::Error;
use casemate_posix::LinkError;
use casemate_posix::audit::timestamp;
use casemate_protocol::message::key::WRAPPED_KEY_OVERHEAD;
use casemate_protocol::{ClientId, Flags, IdFeatures, KeyId, Metadata, ObjectId, ObjectType, Status};
use clap::Args;
use container::{Backup as Container, Entry, SEAL_SIZE};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The largest backup that is read: 510 keys of the greatest length.
const MAX_FILE: u64 = 40 * 1024 * 1024;

/// Back up the keys of a client into a file, wrapped under a key-encryption key
///
/// The server encrypts each key under the key-encryption key (wrap-export); the program never sees one. Servers do that
/// only under a trusted key: one of `casemate init --kek`, of `casemate serve --trusted-key`, or in hardware. The file is
/// sealed under the same key, so that who may not use that key cannot change it, leave a key out or put one in. A client
/// that may use it can make another file: let the key-encryption key belong to one client, and compare the SHA-256 that
/// is printed, here and by `restore`.
///
/// Not in the file are keys that are marked nonexportable, keys that were not committed, SHE keys, counters and other
/// objects. Keys that the server does not give are listed, here and in the file. docs/key-ceremony.md describes the file.
#[derive(Args)]
pub(crate) struct Backup {
    /// The file to make
    file: PathBuf,
    /// The key-encryption key, such as 254; plus 0x100 for a global one, 0x400 for one in hardware
    #[arg(long, value_name = "KEY", value_parser = key_number)]
    kek: u16,
    /// Back up global keys too. Servers do not list them, so every number is tried
    #[arg(long)]
    global: bool,
    /// Fail, and make no file, if a key cannot be backed up
    #[arg(long)]
    complete: bool,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Restore keys from a backup
///
/// First the seal is verified, then every key is opened; if anything is wrong with the file, no key is restored. Then
/// each key is stored under its old number with its old flags and label, one after the other; each is there entirely or
/// not at all, and a restore that was interrupted can be repeated: keys that are there already stay as they are.
///
/// The protocol stores a wrapped key only in the clear, so the keys pass through the memory of this program: restore on
/// a computer that you trust with them.
#[derive(Args)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// The key-encryption key, as this server knows it
    #[arg(long, value_name = "KEY", value_parser = key_number, required_unless_present = "list")]
    kek: Option<u16>,
    /// Only show what the file says about itself; needs no server, and proves nothing
    #[arg(long, conflicts_with_all = ["kek", "dry_run", "replace", "only"])]
    list: bool,
    /// Verify everything and say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace keys that have the same number and are different, or whose flags the server does not tell. They are lost
    #[arg(long)]
    replace: bool,
    /// Restore only this key; may be given several times
    #[arg(long, value_name = "KEY", value_parser = key_number)]
    only: Vec<u16>,
    #[command(flatten)]
    connection: Connection,
}

impl Backup {
    pub(crate) fn run(&self) -> Result<()> {
        if !self.force && self.file.symlink_metadata().is_ok() {
            bail!("{} exists; --force replaces it", self.file.display());
        }
        let client = self.connection.client;
        let kek = KeyId(self.kek);
        let mut hsm = self.connection.open()?;
        check_kek(&mut hsm, kek)?;
        let mut entries = Vec::new();
        for (id, metadata) in committed(&mut hsm, client, self.global)? {
            entries.extend(wrapped(&mut hsm, kek, id, Some(&metadata))?);
        }
        if self.global {
            for number in 1..=255 {
                let id = KeyId(KeyId::GLOBAL | number);
                if id != kek && !entries.iter().any(|entry: &Entry| entry.id == id) {
                    entries.extend(wrapped(&mut hsm, kek, id, None)?);
                }
            }
        }
        let made = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let backup = Container { owner: client, kek, made, entries };
        let count = backup.entries.iter().filter(|entry| entry.content.is_ok()).count();
        let left_out = backup.entries.len() - count;
        print(table(&backup.entries))?;
        if self.complete && left_out > 0 {
            bail!(
                "{left_out} of the keys cannot be backed up, and --complete was asked for; no file was made"
            );
        }
        let mut file = backup.encode()?;
        let mut seal = [0; SEAL_SIZE];
        let length = hsm.data_wrap(kek, &container::digest(&file), &mut seal);
        ensure!(
            length.context("the backup could not be sealed")? == SEAL_SIZE,
            "the seal has a wrong length"
        );
        file.extend(seal);
        write_file(&self.file, &file, self.force, Permissions::Private)?;
        say(format_args!("{count} keys in {}, {left_out} left out", self.file.display()))?;
        say(format_args!("SHA-256 {}", container::file_digest(&file)))?;
        hsm.close()
    }
}

/// Whether `kek` is there and can wrap, before anything else is asked of it.
fn check_kek(hsm: &mut Hsm, kek: KeyId) -> Result<()> {
    let mut out = [0; 64];
    let outcome = hsm.data_wrap(kek, &[0; 16], &mut out);
    outcome.map(|_| ()).map_err(|error| transfer::kek_error(kek, error))
}

/// The committed keys of a client that servers list, and global ones if they are listed and wanted.
fn committed(hsm: &mut Hsm, client: ClientId, global: bool) -> Result<Vec<(KeyId, Metadata)>> {
    let ids = hsm.nvm_list().collect::<Result<Vec<ObjectId>, _>>().context("the keys cannot be listed")?;
    let mut keys = Vec::new();
    let is_she = |id: &&ObjectId| id.object_type() == ObjectType::SHE && id.owner() == client;
    let she = ids.iter().filter(is_she).count();
    if she > 0 {
        eprintln!("note: SHE keys are not in the backup, and there are {she}; see `casemate she`");
    }
    for id in ids {
        let is_own = id.owner() == client || global && id.owner() == ClientId::NONE;
        if is_own && id.object_type() == ObjectType::CRYPTO {
            keys.push((id.to_key(IdFeatures::ALL), hsm.nvm_metadata(id)?));
        }
    }
    Ok(keys)
}

/// The entry for a key; `None` if there is no such key, or it is the key-encryption key itself.
fn wrapped(hsm: &mut Hsm, kek: KeyId, id: KeyId, metadata: Option<&Metadata>) -> Result<Option<Entry>> {
    if id == kek {
        return Ok(None);
    }
    let description = metadata.map(|metadata| (metadata.flags, metadata.label));
    let mut blob = vec![0; hsm.data_length()];
    let outcome = hsm.key_wrap_export(kek, id, ObjectType::CRYPTO, &mut blob);
    let content = match outcome {
        Ok(length) => {
            blob.truncate(length);
            Ok(blob)
        }
        Err(error) => match error.status() {
            Some(Status::NOT_FOUND) if metadata.is_none() => return Ok(None),
            // If the key's own flags do not explain it, it is the key-encryption key that is not good enough.
            Some(Status::ACCESS)
                if description
                    .is_some_and(|(flags, _)| !flags.intersects(Flags::NONEXPORTABLE | Flags::TRUSTED)) =>
            {
                return Err(transfer::kek_error(kek, error));
            }
            Some(status) => Err(status),
            None => return Err(error.into()),
        },
    };
    let length = match (&content, metadata) {
        (Ok(blob), _) => u16::try_from(blob.len().saturating_sub(WRAPPED_KEY_OVERHEAD))?,
        (Err(_), Some(metadata)) => metadata.length,
        (Err(_), None) => 0,
    };
    Ok(Some(Entry { id, description, length, content }))
}

/// Why a key is not in a backup, for people.
fn reason(entry: &Entry, status: Status) -> String {
    match entry.description {
        Some((flags, _)) if flags.contains(Flags::TRUSTED) => {
            "left out: trusted, stays in its server".to_owned()
        }
        Some((flags, _)) if flags.contains(Flags::NONEXPORTABLE) => "left out: nonexportable".to_owned(),
        _ => format!("left out: {status}"),
    }
}

fn table(entries: &[Entry]) -> Table {
    let mut table = columns("BACKUP");
    for entry in entries {
        let state = match entry.content {
            Ok(_) => "in the backup".to_owned(),
            Err(status) => reason(entry, status),
        };
        row(&mut table, entry, state);
    }
    table
}

fn columns(last: &'static str) -> Table {
    Table::new(&[
        ("KEY", Align::Left),
        ("BYTES", Align::Right),
        ("FLAGS", Align::Left),
        ("LABEL", Align::Left),
        (last, Align::Left),
    ])
}

fn row(table: &mut Table, entry: &Entry, state: String) {
    let (flags, label) = match entry.description {
        Some((flags, label)) => (flag_names(flags), label.to_string()),
        None => ("?".to_owned(), "?".to_owned()),
    };
    let length = if entry.length == 0 { "?".to_owned() } else { entry.length.to_string() };
    table.row([entry.id.to_string(), length, flags, label, state]);
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(failed)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).with_context(failed)?;
    ensure!(u64::try_from(bytes.len())? <= MAX_FILE, "{} is too large to be a backup", path.display());
    Ok(bytes)
}

/// What became of a key.
enum Outcome {
    Stored(Stored),
    LeftOut(Status),
    Failed(anyhow::Error),
}

impl Restore {
    pub(crate) fn run(&self) -> Result<()> {
        let file = read(&self.file)?;
        let refused = || format!("the backup {} is refused", self.file.display());
        let (backup, digest, seal) = Container::decode(&file).with_context(refused)?;
        let made = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(backup.made));
        let made = made.map_or_else(|| "at an unknown time".to_owned(), timestamp);
        eprintln!("backup of client {} under key-encryption key {}, made {made}", backup.owner, backup.kek);
        eprintln!("SHA-256 {}", container::file_digest(&file));
        let Some(kek) = self.kek else { return print(table(&backup.entries)) };
        let kek = KeyId(kek);
        let client = self.connection.client;
        ensure!(
            client == backup.owner,
            "the backup has keys of client {}, and this is client {client}: use --client-id {0}",
            backup.owner
        );
        for id in &self.only {
            let is_there = backup.entries.iter().any(|entry| entry.id.0 == *id);
            ensure!(is_there, "key {} is not in the backup", KeyId(*id));
        }
        let mut hsm = self.connection.open()?;
        verify_seal(&mut hsm, kek, &backup, digest, &seal).with_context(refused)?;
        let wanted = |entry: &&Entry| self.only.is_empty() || self.only.contains(&entry.id.0);
        // All are opened before the first is stored; each is opened again then, so that only one key lies in memory.
        for entry in backup.entries.iter().filter(wanted) {
            if let Ok(blob) = &entry.content {
                open_entry(&mut hsm, kek, entry, blob, client).with_context(refused)?;
            }
        }
        let mut table = columns(if self.dry_run { "WOULD BE" } else { "RESTORE" });
        let (mut failed, mut stored, mut same, mut left_out) = (0, 0, 0, 0);
        for entry in backup.entries.iter().filter(wanted) {
            let outcome = match &entry.content {
                Err(status) => Outcome::LeftOut(*status),
                Ok(blob) => {
                    let restored = open_entry(&mut hsm, kek, entry, blob, client)
                        .and_then(|opened| store(&mut hsm, client, &opened, self.replace, self.dry_run));
                    restored.map_or_else(Outcome::Failed, Outcome::Stored)
                }
            };
            let state = match outcome {
                Outcome::Stored(Stored::New) => (stored += 1, "restored".to_owned()).1,
                Outcome::Stored(Stored::Replaced) => (stored += 1, "replaced".to_owned()).1,
                Outcome::Stored(Stored::Same) => (same += 1, "there already".to_owned()).1,
                Outcome::Stored(Stored::SameButFlags) => {
                    (same += 1, "there already, flags unknown".to_owned()).1
                }
                Outcome::LeftOut(status) => (left_out += 1, reason(entry, status)).1,
                Outcome::Failed(error) => (failed += 1, format!("failed: {error:#}")).1,
            };
            row(&mut table, entry, state);
        }
        print(table)?;
        let verb = if self.dry_run { "to restore" } else { "restored" };
        say(format_args!(
            "{stored} {verb}, {same} there already, {left_out} not in the backup, {failed} failed"
        ))?;
        hsm.close()?;
        ensure!(failed == 0, "keys that were not restored: {failed}; the command can be repeated");
        Ok(())
    }
}

/// Checks that the file is as it was made. If not, says which keys do not open, if it is about those.
fn verify_seal(
    hsm: &mut Hsm,
    kek: KeyId,
    backup: &Container,
    digest: container::Digest,
    seal: &[u8],
) -> Result<()> {
    let mut sealed = [0; 64];
    let outcome: Result<usize, Error<LinkError>> = hsm.data_unwrap(kek, seal, &mut sealed);
    match outcome {
        Ok(length) if sealed.get(..length) == Some(&digest) => return Ok(()),
        Ok(_) => {}
        Err(error) if error.status() == Some(Status::AES_GCM_AUTHENTICATION) => {}
        Err(error) => return Err(transfer::kek_error(kek, error)),
    }
    let client = backup.owner;
    let (mut good, mut wrong) = (0, Vec::new());
    for (number, entry) in (1..).zip(&backup.entries) {
        match &entry.content {
            Ok(blob) if open_entry(hsm, kek, entry, blob, client).is_err() => {
                wrong.push(format!("entry {number} (key {})", entry.id));
            }
            Ok(_) => good += 1,
            Err(_) => {}
        }
    }
    match (good, wrong.as_slice()) {
        (_, []) => {
            bail!("its seal is wrong: its header or its list was changed, or keys were taken out or put in")
        }
        (0, _) => bail!("it was not made under key-encryption key {kek} of this server, or was changed"),
        _ => bail!("its seal is wrong, and these were changed: {}", wrong.join(", ")),
    }
}

/// Opens an entry, and compares what is inside with what the list says.
fn open_entry(hsm: &mut Hsm, kek: KeyId, entry: &Entry, blob: &[u8], client: ClientId) -> Result<Opened> {
    let context = || format!("key {}", entry.id);
    let opened = open_blob(hsm, kek, blob, client).with_context(context)?;
    let listed = entry.description.unwrap_or((opened.new.flags, opened.new.label));
    ensure!(
        opened.new.id == entry.id && (opened.new.flags, opened.new.label) == listed,
        "key {}: its blob is that of key {} ({}, `{}`), not what the list says",
        entry.id,
        opened.new.id,
        flag_names(opened.new.flags),
        opened.new.label
    );
    Ok(opened)
}
