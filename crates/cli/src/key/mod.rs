//! `casemate key`.

mod algorithm;
mod name;
mod rotation;

pub(crate) use name::Name;

use algorithm::Algorithm;
use name::described;
use rotation::Rotate;

use crate::backup::{Stored, open_blob, store};
use crate::connection::{Connection, Hsm};
use crate::kek;
use crate::table::{Align, Table};
use crate::value::{
    Form, Input, Permissions, flag_names, flags, key_number, label, read_file, say, write_file,
};
use anyhow::{Context, Result, bail};
use casemate_client::{Error, NewKey};
use casemate_protocol::{ClientId, Flags, IdFeatures, KeyId, Label, ObjectType, Status};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Work with keys
///
/// Keys in the server: made or imported, used by their number, and exported only if their flags allow it.
///
/// A key lives in the session's cache until it is committed to non-volatile memory. Every call of this program is a
/// session of its own, so `import` and `generate` commit the key at once. Global keys (--global) belong to all
/// clients, and stay in the server's cache until the server stops even if they are not committed.
#[derive(Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
}

/// What a new key shall be.
#[derive(Args)]
struct Description {
    /// The key's number, 1 to 255; the server chooses a free one if it is not given
    #[arg(long, value_parser = key_number)]
    id: Option<u16>,
    /// Make it a global key, shared by all clients
    #[arg(long)]
    global: bool,
    /// What it may be used for, separated by commas: encrypt, decrypt, sign, verify, wrap, derive, or any
    #[arg(long, value_name = "LIST", default_value = "none", value_parser = flags)]
    usage: Flags,
    /// Further flags, separated by commas: nonexportable, nonmodifiable, nondestroyable, sensitive, ...
    #[arg(long, value_name = "LIST", default_value = "none", value_parser = flags)]
    flags: Flags,
    /// A label of at most 24 bytes
    #[arg(long, default_value = "", hide_default_value = true, value_parser = label)]
    label: Label,
    /// Only cache the key; for global keys, since others would be gone when this command ends
    #[arg(long, requires = "global")]
    no_commit: bool,
}

impl Description {
    fn new_key(&self) -> NewKey {
        let number = self.id.unwrap_or(0);
        let id = KeyId(if self.global { number | KeyId::GLOBAL } else { number });
        NewKey { id, flags: self.usage | self.flags, label: self.label }
    }

    /// Commits the key if it shall be, and prints its number.
    fn finish(&self, hsm: &mut Hsm, id: KeyId) -> Result<()> {
        if !self.no_commit
            && let Err(error) = hsm.key_commit(id)
        {
            // Not left behind half made.
            let _ = hsm.key_evict(id);
            return Err(error).context("the key could not be stored, and is not kept");
        }
        if !self.usage.intersects(Flags::USAGE_ANY) && !self.flags.intersects(Flags::USAGE_ANY) {
            eprintln!("note: without --usage the key can be kept and exported, but not used");
        }
        say(id)
    }
}

#[derive(Subcommand)]
enum Action {
    /// List the committed keys of this client
    ///
    /// The protocol has no message that lists keys. The list is made from the objects in non-volatile memory, so
    /// keys that were cached but not committed do not appear; nor do global keys, which no single client may list,
    /// unless the server runs with --isolation original.
    List,
    /// Bring a key from outside into the server, and print its number
    Import {
        #[command(flatten)]
        description: Description,
        #[command(flatten)]
        input: Input,
    },
    /// Have the server make a key, which nobody outside has seen, and print its number
    ///
    /// With --length it is a random key, such as for AES; with --algorithm it is a key pair, whose public half
    /// `export-public` reads.
    Generate {
        /// The length of a random key in bytes, such as 16 or 32
        #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1..),
              required_unless_present = "algorithm")]
        length: Option<u16>,
        /// What the key pair is for
        #[arg(long, value_enum, conflicts_with = "length")]
        algorithm: Option<Algorithm>,
        #[command(flatten)]
        description: Description,
    },
    /// Read a key, if its flags allow it
    Export {
        #[command(flatten)]
        name: Name,
        /// Write the key to a file that only you can read
        #[arg(long, value_name = "FILE", required_unless_present = "show")]
        out: Option<PathBuf>,
        /// Print the key to standard output, in hexadecimal unless told otherwise
        #[arg(long, conflicts_with = "out")]
        show: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Read the public half of a key pair
    ///
    /// It comes in DER as SubjectPublicKeyInfo, which other programs read; an ML-KEM key comes as FIPS 203 says. The
    /// octets of an X25519 key are in reverse of the usual order, as they are everywhere in this protocol.
    ExportPublic {
        #[command(flatten)]
        name: Name,
        /// What the key pair is for; the server does not know
        #[arg(long, value_enum)]
        algorithm: Algorithm,
        /// Write the key to a file; otherwise it goes to standard output, in hexadecimal unless told otherwise
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        form: Form,
    },
    /// Store a cached global key in non-volatile memory
    ///
    /// Other keys are committed by the session that made them; `import` and `generate` do so.
    Commit(Name),
    /// Drop a key from the cache; a committed key stays in non-volatile memory
    Evict(Name),
    /// Remove a key from cache and non-volatile memory; it is no error if there is none
    Erase {
        #[command(flatten)]
        name: Name,
        /// Say what would be erased, and erase nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take all usage from a key for good, and keep it
    Revoke(Name),
    /// Show what is known about a committed key
    Show(Name),
    /// Write a key to a file, wrapped under a key-encryption key; the program does not see the key
    ///
    /// The file is a key blob of the protocol, as clients use it. `casemate backup` does this for all keys at once.
    Wrap {
        #[command(flatten)]
        name: Name,
        /// The trusted key-encryption key; plus 0x100 for a global one, 0x400 for one in hardware
        #[arg(long, value_name = "KEY", value_parser = key_number)]
        kek: u16,
        /// The file to make
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replace a file that exists
        #[arg(long)]
        force: bool,
    },
    /// Store a key from a blob, with its flags and label, and print its number
    ///
    /// The key passes through the memory of this program.
    Unwrap {
        /// The blob
        file: PathBuf,
        /// The key-encryption key that it was wrapped under
        #[arg(long, value_name = "KEY", value_parser = key_number)]
        kek: u16,
        /// Another number than it had
        #[arg(long, value_parser = key_number)]
        id: Option<u16>,
        /// Replace a different key with the same number, which is lost
        #[arg(long)]
        replace: bool,
    },
    Rotate(Rotate),
    /// Make one officer's part of a key-encryption key: random bytes in a file that only you can read
    ///
    /// `casemate init --kek-part` joins the parts; nobody who lacks one of them knows anything about the key. Prints
    /// the part's check value. Needs no server.
    Part {
        /// The file to make
        file: PathBuf,
        /// The length of the key-encryption key in bytes
        #[arg(long, value_name = "BYTES", default_value_t = 32, value_parser = key_length)]
        length: u8,
    },
    /// Print the check value of a key-encryption key in a file, or of one that several parts make. Needs no server
    CheckValue {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn key_length(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(length @ (16 | 24 | 32)) => Ok(length),
        _ => Err("an AES key has 16, 24 or 32 bytes".to_owned()),
    }
}

impl Key {
    pub(crate) fn run(&self) -> Result<()> {
        match &self.action {
            Action::Part { file, length } => return say(kek::make_part(file, (*length).into())?),
            Action::CheckValue { files } => return say(kek::check_value(&kek::join(files)?)?),
            Action::Wrap { out, force: false, .. } if out.symlink_metadata().is_ok() => {
                bail!("{} exists; --force replaces it", out.display())
            }
            _ => {}
        }
        let mut hsm = self.connection.open()?;
        match &self.action {
            Action::Part { .. } | Action::CheckValue { .. } => {}
            Action::Rotate(rotate) => rotate.run(&mut hsm, self.connection.client)?,
            Action::Show(name) => show(&mut hsm, name.id(), self.connection.client)?,
            Action::Wrap { name, kek, out, force } => {
                let mut blob = vec![0; hsm.data_length()];
                let outcome = hsm.key_wrap_export(KeyId(*kek), name.id(), ObjectType::CRYPTO, &mut blob);
                let length = outcome.with_context(|| {
                    format!(
                        "key {} was not wrapped; it must not be nonexportable, and key {} must be trusted",
                        name.id(),
                        KeyId(*kek)
                    )
                })?;
                write_file(out, &blob[..length], *force, Permissions::Private)?;
            }
            Action::Unwrap { file, kek, id, replace } => {
                let client = self.connection.client;
                let opened = open_blob(&mut hsm, KeyId(*kek), &read_file(file)?, client)?;
                let id = id.map_or(opened.new.id, KeyId);
                let opened = opened.changed(id, |flags| flags);
                let stored = store(&mut hsm, client, &opened, *replace, false)
                    .with_context(|| format!("key {id} was not stored"))?;
                match stored {
                    Stored::Same => eprintln!("note: it was there already"),
                    Stored::SameButFlags => {
                        eprintln!("note: it was there already; the server does not tell its flags");
                    }
                    Stored::New | Stored::Replaced => {}
                }
                say(id)?;
            }
            Action::List => list(&mut hsm, self.connection.client)?,
            Action::Import { description, input } => {
                let key = input.read()?;
                if key.is_empty() {
                    bail!("the key is empty; give at least one byte");
                }
                let id = hsm.key_cache(&description.new_key(), &key).context("the key was not imported")?;
                description.finish(&mut hsm, id)?;
            }
            Action::Generate { length, algorithm, description } => {
                let new = description.new_key();
                let made = match (algorithm, length) {
                    (Some(algorithm), _) => algorithm.generate(&mut hsm, &new),
                    (None, length) => hsm.key_cache_random(&new, length.unwrap_or(0)),
                };
                description.finish(&mut hsm, made.context("the key was not made")?)?;
            }
            Action::ExportPublic { name, algorithm, out, form } => {
                let mut key = vec![0; hsm.data_length()];
                let outcome = hsm.key_export_public(name.id(), algorithm.family(), &mut key);
                let (length, _) = self.explain(name.id(), outcome)?;
                form.write(&key[..length], out.as_deref(), true)?;
            }
            Action::Export { name, out, show: _, form } => {
                let mut key = Zeroizing::new(vec![0; hsm.data_length()]);
                let outcome = hsm.key_export(name.id(), &mut key);
                let (length, _) = self.explain(name.id(), outcome)?;
                form.write(&key[..length], out.as_deref(), true)?;
            }
            Action::Commit(name) => {
                let outcome = hsm.key_commit(name.id());
                self.explain(name.id(), outcome)?;
            }
            Action::Evict(name) => {
                let outcome = hsm.key_evict(name.id());
                self.explain(name.id(), outcome)?;
            }
            Action::Erase { name, dry_run: true } => {
                let (_, metadata) = described(&mut hsm, name.id(), self.connection.client)?;
                let protected = Flags::NONMODIFIABLE | Flags::NONDESTROYABLE | Flags::TRUSTED;
                let verdict =
                    if metadata.flags.intersects(protected) { "would not erase" } else { "would erase" };
                say(format_args!(
                    "{verdict} key {}: {} bytes, {}, `{}`",
                    name.id(),
                    metadata.length,
                    flag_names(metadata.flags),
                    metadata.label
                ))?;
            }
            Action::Erase { name, dry_run: false } => {
                let outcome = hsm.key_erase(name.id());
                self.explain(name.id(), outcome)?;
            }
            Action::Revoke(name) => {
                let outcome = hsm.key_revoke(name.id());
                self.explain(name.id(), outcome)?;
            }
        }
        hsm.close()?;
        Ok(())
    }

    /// Names the key in an error, and says what its status means here.
    fn explain<T, E>(&self, id: KeyId, outcome: Result<T, Error<E>>) -> Result<T>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let client = self.connection.client;
        outcome.map_err(|error| {
            let advice = match (error.status(), &self.action) {
                (Some(Status::NOT_FOUND), Action::Commit(_) | Action::Evict(_)) => {
                    format!(
                        "key {id} of client {client} is not in the cache of this session; keys that are not global \
                         leave the cache when the session that made them ends"
                    )
                }
                (Some(Status::NOT_FOUND), _) => {
                    format!("client {client} has no key {id}; see `casemate key list`")
                }
                (Some(Status::ACCESS), _) => {
                    format!("the flags of key {id} forbid this; see `casemate key list`")
                }
                _ => format!("key {id} of client {client}"),
            };
            anyhow::Error::new(error).context(advice)
        })
    }
}

fn show(hsm: &mut Hsm, id: KeyId, client: ClientId) -> Result<()> {
    let (object, metadata) = described(hsm, id, client)?;
    // Of a key that no message may touch, the kind cannot be found out either.
    let kind = if metadata.flags.contains(Flags::TRUSTED) {
        "trusted key-encryption key".to_owned()
    } else {
        match Algorithm::of(hsm, id, metadata.length) {
            Ok(Some(algorithm)) => {
                algorithm.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
            }
            Ok(None) => "symmetric, or of an unknown kind".to_owned(),
            Err(_) => "unknown".to_owned(),
        }
    };
    let state =
        if metadata.flags.intersects(Flags::USAGE_ANY) { "usable" } else { "without usage, or revoked" };
    say(format_args!("Key     {id} of client {client}, object {object}"))?;
    say(format_args!("Kind    {kind}"))?;
    say(format_args!("Length  {} bytes as it is stored", metadata.length))?;
    say(format_args!("Flags   {}", flag_names(metadata.flags)))?;
    say(format_args!("Label   {}", metadata.label))?;
    say(format_args!("State   {state}"))
}

fn list(hsm: &mut Hsm, client: ClientId) -> Result<()> {
    let ids = hsm.nvm_list().collect::<Result<Vec<_>, _>>()?;
    let mut table = Table::new(&[
        ("KEY", Align::Left),
        ("OBJECT", Align::Left),
        ("BYTES", Align::Right),
        ("FLAGS", Align::Left),
        ("LABEL", Align::Left),
    ]);
    let own = |owner: ClientId| owner == client || owner == ClientId::NONE;
    for id in ids {
        if id.object_type() != ObjectType::CRYPTO || !own(id.owner()) {
            continue;
        }
        let metadata = hsm.nvm_metadata(id)?;
        table.row([
            id.to_key(IdFeatures::ALL).to_string(),
            id.to_string(),
            metadata.length.to_string(),
            flag_names(metadata.flags),
            metadata.label.to_string(),
        ]);
    }
    table.print_or(&format!("no committed keys of client {client}"))
}
