//! `casemate cert`.

use crate::certify::{Issue, Request, SelfSign};
use crate::connection::Connection;
use crate::value::{Form, flag_names, flags, key_number, label, object_number, read_file, say, word};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use casemate_client::certificate::{LeafKey, Root};
use casemate_protocol::{Flags, KeyId, Label, ObjectId};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

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

/// The certificates in a file, in DER one after the other: PEM is decoded, anything else taken as it is.
pub(crate) fn certificates(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_file(path)?;
    let Some(blocks) = pem_blocks(&bytes).with_context(|| path.display().to_string())? else {
        return Ok(bytes.to_vec());
    };
    let mut certificates = Vec::new();
    for (_, certificate) in blocks.into_iter().filter(|(label, _)| label.ends_with("CERTIFICATE")) {
        certificates.extend(certificate);
    }
    if certificates.is_empty() {
        bail!("{} holds no certificate", path.display());
    }
    Ok(certificates)
}

/// The label and the content of a PEM block.
pub(crate) type PemBlock = (String, Vec<u8>);

/// All PEM blocks (RFC 7468); `None` if there is none.
pub(crate) fn pem_blocks(bytes: &[u8]) -> Result<Option<Vec<PemBlock>>> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(None) };
    if !text.contains("-----BEGIN ") {
        return Ok(None);
    }
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((label, after)) = after.split_once("-----") else { bail!("a PEM line breaks off") };
        let Some((body, after)) = after.split_once("-----END ") else {
            bail!("the PEM block `{label}` has no end")
        };
        // Blocks of other kinds may have headers, which are not read.
        if label.ends_with("CERTIFICATE") || label.ends_with("REQUEST") {
            let digits: String = body.split_whitespace().collect();
            let content = STANDARD.decode(digits);
            let content = content.with_context(|| format!("the PEM block `{label}` is damaged"))?;
            blocks.push((label.to_owned(), content));
        }
        rest = after;
    }
    Ok(Some(blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_der_or_pem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            certificates(&path)
        };
        assert_eq!(read(&[0x30, 0x82, 0xFF]).unwrap(), [0x30, 0x82, 0xFF]);
        assert_eq!(read(b"0").unwrap(), b"0");
        let pem = "text\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(read(pem.as_bytes()).unwrap(), [0x30, 0]);
        assert_eq!(read(pem.repeat(2).as_bytes()).unwrap(), [0x30, 0, 0x30, 0]);
        let attribute = pem.replace("CERTIFICATE", "ATTRIBUTE CERTIFICATE");
        assert_eq!(read(attribute.as_bytes()).unwrap(), [0x30, 0]);
        assert!(read(pem.replace("MAA=", "MA").as_bytes()).is_err());
        assert!(read(pem.replace("CERTIFICATE", "PRIVATE KEY").as_bytes()).is_err());
        assert!(read(b"-----BEGIN CERTIFICATE-----\nMAA=\n").is_err());
    }
}
