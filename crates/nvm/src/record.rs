//! Metadata records as they stand in images, in both layouts.

use casemate_protocol::{ByteOrder, Field, Metadata, Reader, Writer};

/// The record's 32 bytes.
pub(crate) fn encode(metadata: &Metadata) -> [u8; Metadata::SIZE] {
    let mut bytes = [0; Metadata::SIZE];
    // A record of this size takes a metadata record.
    let _ = metadata.put(&mut Writer::new(&mut bytes, ByteOrder::Little));
    bytes
}

/// The record in the first 32 bytes; the default (identifier 0) if there are fewer.
pub(crate) fn decode(bytes: &[u8]) -> Metadata {
    Metadata::get(&mut Reader::new(bytes, ByteOrder::Little)).unwrap_or_default()
}
