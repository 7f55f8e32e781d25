//! `casemate stateful`.

use crate::connection::{Connection, Link, Open};
use crate::value::{Form, Input, flags, key_number, label, read_file, say};
use anyhow::{Context, Result, bail};
use casemate_client::dma::Placement;
use casemate_client::{Error, LmsParameters, NewKey, Stateful, StatefulParameters, XmssParameters};
use casemate_posix::LinkError;
use casemate_posix::shm::DmaArea;
use casemate_protocol::{Flags, KeyId, Label, Status};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Stateful hash-based signatures: LMS, HSS, XMSS and XMSS^MT
///
/// A key makes a limited number of signatures, and the server stores its new state before a
/// signature leaves. Messages and signatures lie in memory that client and server share, so the
/// server's address must be one of shared memory:
///
///   casemate serve --nvm keys.image --shm hsm
///
///   casemate stateful generate LMS-1/10/8 --id 7 --out public.bin --server shm://hsm
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StatefulCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
}

/// A parameter set, as the command line has it.
#[derive(Clone)]
enum Parameters {
    Lms(LmsParameters),
    Xmss(String),
}

impl Parameters {
    fn parse(text: &str) -> Result<Self, String> {
        let advice = || {
            format!(
                "`{text}` is no parameter set: write LMS-LEVELS/HEIGHT/WINTERNITZ, such as LMS-1/10/8 or LMS-2/5/4, or \
                 a name such as XMSS-SHA2_10_256 or XMSSMT-SHA2_20/4_256"
            )
        };
        if let Some(numbers) = text.strip_prefix("LMS-") {
            let numbers: Result<Vec<u32>, _> = numbers.split('/').map(str::parse).collect();
            return match numbers.as_deref() {
                Ok(&[levels, height, winternitz]) => {
                    LmsParameters::new(levels, height, winternitz).map(Self::Lms).ok_or_else(advice)
                }
                _ => Err(advice()),
            };
        }
        if XmssParameters::named(text).is_none() {
            return Err(advice());
        }
        Ok(Self::Xmss(text.to_owned()))
    }

    fn as_client(&self) -> Result<StatefulParameters<'_>> {
        Ok(match self {
            Self::Lms(parameters) => StatefulParameters::Lms(*parameters),
            Self::Xmss(name) => StatefulParameters::Xmss(XmssParameters::named(name).context("no such set")?),
        })
    }
}

#[derive(ValueEnum, Clone, Copy)]
enum Family {
    /// LMS and HSS
    Lms,
    /// XMSS and XMSS^MT
    Xmss,
}

impl Family {
    const fn as_client(self) -> Stateful {
        match self {
            Self::Lms => Stateful::Lms,
            Self::Xmss => Stateful::Xmss,
        }
    }
}

/// Names a key.
#[derive(Args, Clone, Copy)]
struct Name {
    /// The key, 1 to 255, such as 5 or 0x05
    #[arg(value_parser = key_number)]
    id: u16,
    /// The key's family
    #[arg(long, value_enum)]
    family: Family,
}

impl Name {
    const fn key(self) -> (KeyId, Stateful) {
        (KeyId(self.id), self.family.as_client())
    }
}

/// What a new key shall be.
#[derive(Args)]
struct Description {
    /// The parameter set: LMS-LEVELS/HEIGHT/WINTERNITZ, or the name of one of XMSS or XMSS^MT
    #[arg(value_parser = Parameters::parse)]
    parameters: Parameters,
    /// The key's number, 1 to 255; the server chooses a free one if it is not given
    #[arg(long, value_parser = key_number)]
    id: Option<u16>,
    /// What it may be used for: sign, verify, or both
    #[arg(long, value_name = "LIST", default_value = "sign,verify", value_parser = flags)]
    usage: Flags,
    /// Further flags, separated by commas: nonmodifiable, nondestroyable, ...
    #[arg(long, value_name = "LIST", default_value = "none", value_parser = flags)]
    flags: Flags,
    /// A label of at most 24 bytes
    #[arg(long, default_value = "", hide_default_value = true, value_parser = label)]
    label: Label,
}

impl Description {
    fn new_key(&self) -> NewKey {
        NewKey { id: KeyId(self.id.unwrap_or(0)), flags: self.usage | self.flags, label: self.label }
    }
}

#[derive(Subcommand)]
enum Action {
    /// Have the server make a key pair and store it; print its number
    ///
    /// The time doubles with each unit of height; see --timeout.
    Generate {
        #[command(flatten)]
        description: Description,
        /// Write the public key to a file; export-public reads it too
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Sign a message, which takes one of the key's signatures for good
    Sign {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        input: Input,
        /// Write the signature to a file; otherwise it goes to standard output, in hexadecimal
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Verify a signature of a message; a wrong one is a failure
    Verify {
        #[command(flatten)]
        name: Name,
        /// The file with the signature
        #[arg(long, value_name = "FILE")]
        signature: PathBuf,
        #[command(flatten)]
        input: Input,
    },
    /// Say whether a key can still sign; the protocol does not tell how often
    Remaining(Name),
    /// Read the public half of a key
    ///
    /// For LMS and HSS as RFC 8554 says; for XMSS root, seed and four zeros, without the number of the parameter set.
    ExportPublic {
        #[command(flatten)]
        name: Name,
        /// Write the key to a file; otherwise it goes to standard output, in hexadecimal unless told otherwise
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        form: Form,
    },
    /// Bring a public key into the server, to verify with, and print its number
    ImportPublic {
        #[command(flatten)]
        description: Description,
        /// The file with the public key, as export-public writes it
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

impl StatefulCommand {
    pub(crate) fn run(&self) -> Result<()> {
        let mut hsm = self.connection.open()?;
        match &self.action {
            Action::Generate { description, out } => {
                let parameters = description.parameters.as_client()?;
                let area = area(&mut hsm)?;
                let mut place = Placement::new(&area);
                let public = place.reserve(parameters.public_size()).with_context(|| too_small(&area))?;
                let (id, length) = hsm
                    .dma_stateful_generate(parameters, &description.new_key(), public.buffer)
                    .map_err(explain)
                    .context("the key was not made")?;
                let mut bytes = vec![0; parameters.public_size()];
                place.take(public, &mut bytes)?;
                // First: the key is there, whatever becomes of the file.
                say(id)?;
                if let Some(out) = out {
                    Form::default().write(&bytes[..length.min(bytes.len())], Some(out), false)?;
                }
            }
            Action::Sign { name, input, out } => {
                let message = input.read()?;
                let area = area(&mut hsm)?;
                let mut place = Placement::new(&area);
                let placed = place.place(&message).with_context(|| too_small(&area))?;
                // How long it will be is the key's affair: as much as there is.
                let used = message.len().next_multiple_of(8);
                let signature = place.reserve(area.length().saturating_sub(used))?;
                let length =
                    hsm.dma_stateful_sign(name.key(), placed.buffer, signature.buffer).map_err(explain)?;
                let mut bytes = vec![0; length];
                place.take(signature, &mut bytes)?;
                Form::default().write(&bytes, out.as_deref(), true)?;
            }
            Action::Verify { name, signature, input } => {
                let (message, signature) = (input.read()?, read_file(signature)?);
                let area = area(&mut hsm)?;
                let mut place = Placement::new(&area);
                let message = place.place(&message).with_context(|| too_small(&area))?;
                let signature = place.place(&signature).with_context(|| too_small(&area))?;
                match hsm.dma_stateful_verify(name.key(), message.buffer, signature.buffer) {
                    Ok(true) => say("valid")?,
                    Ok(false) => bail!("the signature is not one of this key for this message"),
                    Err(Error::Remote(Status::BUFFER)) => {
                        bail!("the signature has not the length of this key's")
                    }
                    Err(error) => return Err(explain(error)),
                }
            }
            Action::Remaining(name) => {
                let (key, family) = name.key();
                let remaining = hsm.stateful_remaining(key, family).map_err(explain)?;
                say(if remaining { "yes" } else { "none: the key has made all its signatures" })?;
            }
            Action::ExportPublic { name, out, form } => {
                let (key, family) = name.key();
                let mut bytes = vec![0; hsm.data_length()];
                let (length, _) =
                    hsm.key_export_public(key, family.key_algorithm(), &mut bytes).map_err(explain)?;
                form.write(&bytes[..length], out.as_deref(), true)?;
            }
            Action::ImportPublic { description, file } => {
                let parameters = description.parameters.as_client()?;
                let public = read_file(file)?;
                if public.len() != parameters.public_size() {
                    bail!(
                        "a public key of this set has {} bytes, not {}",
                        parameters.public_size(),
                        public.len()
                    );
                }
                let id = hsm.stateful_import_public(parameters, &description.new_key(), &public)?;
                if let Err(error) = hsm.key_commit(id) {
                    let _ = hsm.key_evict(id);
                    return Err(error).context("the key could not be stored, and is not kept");
                }
                say(id)?;
            }
        }
        hsm.close()
    }
}

/// The memory shared with the server.
fn area(hsm: &mut Open) -> Result<DmaArea> {
    let Link::Server(link) = hsm.transport_mut() else { bail!("this connection shares no memory") };
    link.dma_area().filter(|area| area.length() > 0).context(
        "these operations need memory that client and server share: connect with --server shm://NAME to a server \
         started with --shm NAME",
    )
}

fn too_small(area: &DmaArea) -> String {
    format!(
        "the shared memory has {} bytes; start the server with a larger --shm-dma, such as 256K",
        area.length()
    )
}

/// Says what a status means here.
fn explain(error: Error<LinkError>) -> anyhow::Error {
    let advice = match error.status() {
        Some(Status::BAD_ARGUMENTS) => "the key is none of this family",
        Some(Status::BAD_STATE | Status::KEY_EXHAUSTED) => {
            "the key has made all its signatures, or is damaged"
        }
        Some(Status::BUFFER | Status::BUFFER_SIZE) => {
            "the shared memory is too small for this, or the key's state for the server"
        }
        Some(Status::NOT_FOUND) => "there is no such key; see `casemate key list`",
        Some(Status::IO_FAILED) => "this is a public key, or the new state could not be stored",
        Some(Status::USAGE) => "the key's flags forbid this; see `casemate key list`",
        _ => return error.into(),
    };
    anyhow::Error::new(error).context(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_by_name() {
        let parse = |text| Parameters::parse(text).ok();
        let Some(Parameters::Lms(set)) = parse("LMS-2/5/4") else { panic!("not read") };
        assert_eq!(Some(set), LmsParameters::new(2, 5, 4));
        assert!(parse("XMSSMT-SHAKE256_60/12_192").is_some());
        for text in ["LMS-2/5", "LMS-2/5/3", "LMS-1/5/8/1", "LMS-", "XMSS-SHA2_11_256", ""] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
