//! `casemate cert`.

use crate::certify::{Issue, Request, SelfSign};
use crate::connection::Connection;
use crate::pem::certificates;
use crate::value::{Form, flag_names, flags, key_number, label, object_number, say, word};
use anyhow::{Context, Result};
use casemate_client::certificate::{LeafKey, Root};
use casemate_protocol::{Flags, KeyId, Label, ObjectId};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Work with certificates: trusted roots in the server, and chains that it verifies
///
/// A trusted root is an object that all clients see and may verify chains with. Certificate files hold DER or PEM, one
/// certificate or several.
///
/// request, self-sign and issue make requests and certificates with keys of the server.
///
/// docs/certificates.md says what is checked and what is not.
#[derive(Args)]
pub(crate) struct Cert {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum Action {
    Request(Box<Request>),
    SelfSign(Box<SelfSign>),
    Issue(Box<Issue>),
    /// Store a trusted root, or replace it
    Add {
        /// The object's identifier, such as 1 or 0x0001
        #[arg(value_parser = object_number)]
        id: u16,
        /// The certificate
        file: PathBuf,
        /// A label of at most 24 bytes
        #[arg(long, default_value = "trusted_cert", value_parser = label)]
        label: Label,
        /// Flags by name, separated by commas: nonmodifiable, nonexportable, nondestroyable, ...
        #[arg(long, default_value = "none", value_parser = flags)]
        flags: Flags,
        /// Access word; stored and shown, but not checked by any server
        #[arg(long, value_name = "NUMBER", default_value = "0xffff", value_parser = word)]
        access: u16,
    },
    /// Write a trusted root to standard output, or to a file, in DER
    Read {
        /// The object's identifier
        #[arg(value_parser = object_number)]
        id: u16,
        #[command(flatten)]
        form: Form,
        /// Write to a file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Erase a trusted root; it is no error if there is none
    Erase {
        /// The object's identifier
        #[arg(value_parser = object_number)]
        id: u16,
    },
    /// Verify a chain: issuers before what they issued, the leaf last
    Verify {
        /// A trusted root; may be given up to 8 times
        #[arg(long = "root", value_name = "ID", required = true, value_parser = object_number)]
        roots: Vec<u16>,
        /// Cache the leaf's public key as key 1 to 255; 0 lets the server choose
        #[arg(long, value_name = "KEY", value_parser = key_or_none)]
        cache_key: Option<u16>,
        /// What the cached key may be used for: verify, encrypt, ...; any for everything
        #[arg(long, value_name = "FLAGS", default_value = "any", value_parser = flags)]
        usage: Flags,
        /// The certificates
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Verify the signature of an attribute certificate with a trusted root's key
    VerifyAttribute {
        /// The trusted root
        #[arg(long, value_name = "ID", value_parser = object_number)]
        root: u16,
        /// The attribute certificate
        file: PathBuf,
    },
    /// Switch this connection's verify cache on or off, or empty it; for clients that stay, this is a test only
    Cache {
        /// What to do
        #[arg(value_enum)]
        change: CacheChange,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CacheChange {
    /// Empty it
    Clear,
    /// Switch it on
    On,
    /// Switch it off
    Off,
}

/// A key identifier, or 0.
fn key_or_none(text: &str) -> Result<u16, String> {
    match word(text) {
        Ok(id @ (0 | KeyId::GLOBAL)) => Ok(id),
        _ => key_number(text),
    }
}

impl Cert {
    pub(crate) fn run(&self) -> Result<()> {
        match &self.action {
            Action::Request(request) => return request.run(&self.connection),
            Action::SelfSign(certificate) => return certificate.run(&self.connection),
            Action::Issue(certificate) => return certificate.run(&self.connection),
            _ => {}
        }
        let mut hsm = self.connection.open()?;
        match &self.action {
            Action::Request(_) | Action::SelfSign(_) | Action::Issue(_) => {}
            Action::Add { id, file, label, flags, access } => {
                let certificate = certificates(file)?;
                let root = Root { id: ObjectId(*id), access: *access, flags: *flags, label: *label };
                hsm.certificate_add(root, &certificate).with_context(|| format!("root {}", root.id))?;
                eprintln!("root {} stored, {} bytes", root.id, certificate.len());
            }
            Action::Read { id, form, out } => {
                let id = ObjectId(*id);
                let mut certificate = vec![0; usize::from(u16::MAX)];
                let length =
                    hsm.certificate_read(id, &mut certificate).with_context(|| format!("root {id}"))?;
                form.write(certificate.get(..length).unwrap_or_default(), out.as_deref(), false)?;
            }
            Action::Erase { id } => {
                let id = ObjectId(*id);
                hsm.certificate_erase(id).with_context(|| format!("root {id}"))?;
            }
            Action::Verify { roots, cache_key, usage, files } => {
                let mut chain = Vec::new();
                for file in files {
                    chain.extend(certificates(file)?);
                }
                let roots: Vec<_> = roots.iter().map(|&id| ObjectId(id)).collect();
                let key = cache_key.map(|id| LeafKey { id: KeyId(id), flags: *usage });
                let cached = match roots.as_slice() {
                    &[root] => match key {
                        Some(key) => hsm.certificate_verify_and_cache(root, &chain, key),
                        None => hsm.certificate_verify(root, &chain).map(|()| None),
                    },
                    roots => hsm.certificate_verify_multi_root(roots, &chain, key),
                };
                let cached = cached.context("the chain is not accepted")?;
                say("the chain verifies")?;
                match (cached, key) {
                    (Some(id), _) => say(format_args!("key {id} ({})", flag_names(*usage)))?,
                    (None, Some(_)) => say("it has no leaf, so no key was cached")?,
                    (None, None) => {}
                }
            }
            Action::VerifyAttribute { root, file } => {
                let certificate = certificates(file)?;
                hsm.certificate_verify_attribute(ObjectId(*root), &certificate)
                    .context("the attribute certificate is not accepted")?;
                say("the signature verifies")?;
            }
            Action::Cache { change } => match change {
                CacheChange::Clear => hsm.certificate_clear_cache()?,
                CacheChange::On => hsm.certificate_set_cache(true)?,
                CacheChange::Off => hsm.certificate_set_cache(false)?,
            },
        }
        hsm.close()?;
        Ok(())
    }
}
