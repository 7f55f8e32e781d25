//! What a line or a table of a configuration says, before the files that it names are read.

use casemate_protocol::{ClientId, Flags, Label, Metadata, ObjectId, ObjectType};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// An object as a configuration describes it.
pub(crate) struct Description {
    /// Where it stands, for messages.
    pub(crate) place: String,
    pub(crate) metadata: Metadata,
    pub(crate) source: Source,
    /// The only length that the data may have.
    pub(crate) length: Option<usize>,
}

/// Where data come from.
pub(crate) enum Source {
    File(PathBuf),
    Bytes(Zeroizing<Vec<u8>>),
}

/// Any number below 16.
pub(crate) fn client(number: u8) -> ClientId {
    ClientId::new(number.into()).unwrap_or_default()
}

/// The record of a SHE key: counter and flags are in its label, high byte first.
pub(crate) fn she_metadata(client: ClientId, slot: u8, counter: u32, flags: u32) -> Result<Metadata, String> {
    if slot == 14 {
        return Err("slot 14 is the RAM key, which is never stored".to_owned());
    }
    let mut label = [0; 8];
    for (to, from) in label.iter_mut().zip(counter.to_be_bytes().into_iter().chain(flags.to_be_bytes())) {
        *to = from;
    }
    let id = ObjectId::new(ObjectType::SHE, client, slot);
    Ok(Metadata { id, access: 0, flags: Flags::NONE, length: 0, label: Label::from_bytes(&label) })
}
