//! `casemate key`.

use crate::connection::{Connection, Hsm};
use crate::simple::print_table;
use crate::table::{Align, Table};
use crate::value::{Form, Input, flag_names, flags, key_number, label, say};
use anyhow::{Context, Result, bail};
use casemate_client::NewKey;
use casemate_protocol::{ClientId, Flags, IdFeatures, KeyId, Label, ObjectType, Status};
use clap::{Args, Subcommand};
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

/// Names a key.
#[derive(Args, Clone, Copy)]
struct Name {
    /// The key, 1 to 255, such as 5 or 0x05
    #[arg(value_parser = key_number)]
    id: u16,
    /// It is a global key, shared by all clients
    #[arg(long)]
    global: bool,
}

impl Name {
    const fn id(self) -> KeyId {
        KeyId(if self.global { self.id | KeyId::GLOBAL } else { self.id })
    }
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
    /// Have the server make a random key, which nobody outside has seen, and print its number
    Generate {
        /// Its length in bytes, such as 16 or 32
        #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1..))]
        length: u16,
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
    /// Store a cached global key in non-volatile memory
    ///
    /// Other keys are committed by the session that made them; `import` and `generate` do so.
    Commit(Name),
    /// Drop a key from the cache; a committed key stays in non-volatile memory
    Evict(Name),
    /// Remove a key from cache and non-volatile memory; it is no error if there is none
    Erase(Name),
    /// Take all usage from a key for good, and keep it
    Revoke(Name),
}

impl Key {
    pub(crate) fn run(&self) -> Result<()> {
        let mut hsm = self.connection.open()?;
        match &self.action {
            Action::List => list(&mut hsm, self.connection.client)?,
            Action::Import { description, input } => {
                let key = input.read()?;
                if key.is_empty() {
                    bail!("the key is empty; give at least one byte");
                }
                let id = hsm.key_cache(&description.new_key(), &key).context("the key was not imported")?;
                description.finish(&mut hsm, id)?;
            }
            Action::Generate { length, description } => {
                let id =
                    hsm.key_cache_random(&description.new_key(), *length).context("the key was not made")?;
                description.finish(&mut hsm, id)?;
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
            Action::Erase(name) => {
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
    fn explain<T, E>(&self, id: KeyId, outcome: Result<T, casemate_client::Error<E>>) -> Result<T>
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
    print_table(&table, &format!("no committed keys of client {client}"))
}
