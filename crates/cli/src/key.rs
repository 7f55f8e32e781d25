//! `casemate key`.

use crate::connection::{Connection, Hsm};
use crate::simple::print_table;
use crate::table::{Align, Table};
use crate::value::{Form, Input, flag_names, flags, key_number, label, say};
use anyhow::{Context, Result, bail};
use casemate_client::{Curve, Ed25519, Error, MlDsa, MlKem, NewKey, Rsa, X25519};
use casemate_posix::LinkError;
use casemate_protocol::message::key::KeyAlgorithm;
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

/// Names a key.
#[derive(Args, Clone, Copy)]
pub(crate) struct Name {
    /// The key, 1 to 255, such as 5 or 0x05
    #[arg(value_parser = key_number)]
    id: u16,
    /// It is a global key, shared by all clients
    #[arg(long)]
    global: bool,
}

impl Name {
    pub(crate) const fn id(self) -> KeyId {
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

/// What a key pair is for.
#[derive(ValueEnum, Clone, Copy)]
enum Algorithm {
    /// ECDSA and key agreement on P-224
    P224,
    /// ECDSA and key agreement on P-256
    P256,
    /// ECDSA and key agreement on P-384
    P384,
    /// ECDSA and key agreement on P-521
    P521,
    /// ECDSA and key agreement on secp256k1
    Secp256k1,
    /// ECDSA and key agreement on brainpoolP256r1
    #[value(name = "brainpool-p256r1")]
    BrainpoolP256r1,
    /// ECDSA and key agreement on brainpoolP384r1
    #[value(name = "brainpool-p384r1")]
    BrainpoolP384r1,
    /// Ed25519 signatures
    Ed25519,
    /// X25519 key agreement
    X25519,
    /// RSA with 2048 bits
    Rsa2048,
    /// RSA with 3072 bits
    Rsa3072,
    /// RSA with 4096 bits
    Rsa4096,
    /// ML-DSA-44 signatures
    #[value(name = "ml-dsa-44")]
    MlDsa44,
    /// ML-DSA-65 signatures
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    /// ML-DSA-87 signatures
    #[value(name = "ml-dsa-87")]
    MlDsa87,
    /// ML-KEM-512 key encapsulation
    #[value(name = "ml-kem-512")]
    MlKem512,
    /// ML-KEM-768 key encapsulation
    #[value(name = "ml-kem-768")]
    MlKem768,
    /// ML-KEM-1024 key encapsulation
    #[value(name = "ml-kem-1024")]
    MlKem1024,
}

impl Algorithm {
    fn generate(self, hsm: &mut Hsm, new: &NewKey) -> Result<KeyId, Error<LinkError>> {
        match self {
            Self::P224 => hsm.key_pair_generate(Curve::P224, new),
            Self::P256 => hsm.key_pair_generate(Curve::P256, new),
            Self::P384 => hsm.key_pair_generate(Curve::P384, new),
            Self::P521 => hsm.key_pair_generate(Curve::P521, new),
            Self::Secp256k1 => hsm.key_pair_generate(Curve::Secp256k1, new),
            Self::BrainpoolP256r1 => hsm.key_pair_generate(Curve::BrainpoolP256r1, new),
            Self::BrainpoolP384r1 => hsm.key_pair_generate(Curve::BrainpoolP384r1, new),
            Self::Ed25519 => hsm.key_pair_generate(Ed25519, new),
            Self::X25519 => hsm.key_pair_generate(X25519, new),
            Self::Rsa2048 => hsm.key_pair_generate(Rsa::new(2048), new),
            Self::Rsa3072 => hsm.key_pair_generate(Rsa::new(3072), new),
            Self::Rsa4096 => hsm.key_pair_generate(Rsa::new(4096), new),
            Self::MlDsa44 => hsm.key_pair_generate(MlDsa::MlDsa44, new),
            Self::MlDsa65 => hsm.key_pair_generate(MlDsa::MlDsa65, new),
            Self::MlDsa87 => hsm.key_pair_generate(MlDsa::MlDsa87, new),
            Self::MlKem512 => hsm.key_pair_generate(MlKem::MlKem512, new),
            Self::MlKem768 => hsm.key_pair_generate(MlKem::MlKem768, new),
            Self::MlKem1024 => hsm.key_pair_generate(MlKem::MlKem1024, new),
        }
    }

    const fn family(self) -> KeyAlgorithm {
        match self {
            Self::P224
            | Self::P256
            | Self::P384
            | Self::P521
            | Self::Secp256k1
            | Self::BrainpoolP256r1
            | Self::BrainpoolP384r1 => KeyAlgorithm::ECC,
            Self::Ed25519 => KeyAlgorithm::ED25519,
            Self::X25519 => KeyAlgorithm::X25519,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => KeyAlgorithm::RSA,
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => KeyAlgorithm::ML_DSA,
            Self::MlKem512 | Self::MlKem768 | Self::MlKem1024 => KeyAlgorithm::ML_KEM,
        }
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
