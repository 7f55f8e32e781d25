//! Metadata records as they stand in images, in both layouts.

use casemate_protocol::{Flags, Label, Metadata, ObjectId};

/// The record's 32 bytes: four words of 16 bits, least significant byte first, and the label.
pub(crate) fn encode(metadata: &Metadata) -> [u8; Metadata::SIZE] {
    let Metadata { id, access, flags, length, label } = metadata;
    let words = [id.0, *access, flags.0, *length].map(u16::to_le_bytes);
    let mut bytes = [0; Metadata::SIZE];
    let (head, rest) = bytes.split_at_mut(8);
    head.copy_from_slice(words.as_flattened());
    rest.copy_from_slice(&label.0);
    bytes
}

/// The record in 32 bytes.
pub(crate) const fn decode(bytes: &[u8; Metadata::SIZE]) -> Metadata {
    let [id0, id1, access0, access1, flags0, flags1, length0, length1, label @ ..] = *bytes;
    Metadata {
        id: ObjectId(u16::from_le_bytes([id0, id1])),
        access: u16::from_le_bytes([access0, access1]),
        flags: Flags(u16::from_le_bytes([flags0, flags1])),
        length: u16::from_le_bytes([length0, length1]),
        label: Label(label),
    }
}

/// The record in the first 32 bytes; the default (identifier 0) if there are fewer.
pub(crate) fn decode_first(bytes: &[u8]) -> Metadata {
    bytes.first_chunk().map(decode).unwrap_or_default()
}
