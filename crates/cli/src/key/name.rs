//! Keys as a command names them, and what a server tells of them.

use crate::connection::Hsm;
use crate::value::key_number;
use anyhow::{Context, Result};
use casemate_protocol::{ClientId, KeyId, Metadata, ObjectId, ObjectType};
use clap::Args;

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

/// What the server tells about a committed key, with its object's identifier.
pub(super) fn described(hsm: &mut Hsm, id: KeyId, client: ClientId) -> Result<(ObjectId, Metadata)> {
    let is_global = id.0 & KeyId::GLOBAL != 0;
    let owner = if is_global { ClientId::NONE } else { client };
    let object = ObjectId::new(ObjectType::CRYPTO, owner, id.number());
    let metadata = hsm.nvm_metadata(object).with_context(|| match is_global {
        true => format!("the server does not show global key {id}; see --isolation of `casemate serve`"),
        false => format!("client {client} has no committed key {id}; see `casemate key list`"),
    })?;
    Ok((object, metadata))
}
