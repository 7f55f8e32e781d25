//! Messages for non-volatile objects (document 02, §6). Identifiers are raw: no translation.

use super::requests;
use crate::codec::layout;
use crate::{ByteOrder, Flags, Group, Label, Malformed, Metadata, ObjectId, Reader, Status};

/// Actions of the group.
pub mod action {
    /// Announce use of the store; keeps no state.
    pub const INIT: u8 = 0x01;
    /// End use of the store; no effect.
    pub const CLEANUP: u8 = 0x02;
    /// Ask for free and reclaimable space.
    pub const AVAILABLE: u8 = 0x03;
    /// Store an object.
    pub const ADD: u8 = 0x04;
    /// Enumerate objects.
    pub const LIST: u8 = 0x05;
    /// Ask for an object's metadata.
    pub const METADATA: u8 = 0x06;
    /// Destroy objects, or compact the store.
    pub const DESTROY: u8 = 0x07;
    /// Read an object's data.
    pub const READ: u8 = 0x08;
    /// Store an object from client memory.
    pub const ADD_DMA: u8 = 0x24;
    /// Read an object's data into client memory.
    pub const READ_DMA: u8 = 0x28;
}

/// How many identifiers one DESTROY carries at most.
pub const DESTROY_LIST_LENGTH: usize = 19;

layout! {
    /// INIT request.
    InitRequest: 4 {
        /// Any number; the response repeats it.
        client_nvm_id: u32;
    }

    /// INIT response.
    InitResponse: 12 {
        /// Outcome.
        status: Status;
        /// The server's identifier.
        server_nvm_id: u32;
        /// The request's number.
        client_nvm_id: u32;
    }

    /// CLEANUP request: empty.
    CleanupRequest: 0 {}

    /// A response that carries an outcome only.
    StatusResponse: 4 {
        /// Outcome.
        status: Status;
    }

    /// AVAILABLE request: empty.
    AvailableRequest: 0 {}

    /// AVAILABLE response.
    AvailableResponse: 16 {
        /// Outcome.
        status: Status;
        /// Free bytes.
        free_size: u32;
        /// Bytes that compaction would free.
        reclaimable_size: u32;
        /// Free directory entries.
        free_objects: u16;
        /// Directory entries that compaction would free.
        reclaimable_objects: u16;
    }

    /// ADD request; the data follows and its length must match [`Metadata::length`].
    AddRequest: 32 {
        /// What to store.
        metadata: Metadata;
    }

    /// LIST request.
    ListRequest: 6 {
        /// Not used by any server.
        access: u16;
        /// Not used by any server.
        flags: Flags;
        /// The object after which to go on; 0 to begin.
        start: ObjectId;
    }

    /// LIST response.
    ListResponse: 8 {
        /// Outcome.
        status: Status;
        /// Objects from this one to the end, this one included; 0 at the end.
        count: u16;
        /// The object; 0 at the end.
        id: ObjectId;
    }

    /// METADATA request.
    MetadataRequest: 2 {
        /// The object.
        id: ObjectId;
    }

    /// METADATA response.
    MetadataResponse: 36 {
        /// Outcome.
        status: Status;
        /// The record; all zeros unless the outcome is success.
        metadata: Metadata;
    }

    /// DESTROY request.
    DestroyRequest: 40 {
        /// How many of the identifiers count; 0 asks for compaction.
        count: u16;
        /// The objects.
        ids: [ObjectId; DESTROY_LIST_LENGTH];
    }

    /// READ request.
    ReadRequest: 6 {
        /// The object.
        id: ObjectId;
        /// First byte wanted.
        offset: u16;
        /// How many bytes are wanted; the server clamps it to the object's end.
        length: u16;
    }

    /// ADD_DMA request. The object's metadata lies in client memory, 32 bytes in the packet's byte order, and its
    /// length does not count.
    AddDmaRequest: 24 {
        /// Where the metadata lies.
        metadata_address: u64;
        /// Where the data lies.
        data_address: u64;
        /// Length of the data in bytes.
        length: u16, pad 6;
    }

    /// READ_DMA request. The response does not tell how much was read.
    ReadDmaRequest: 16 {
        /// Where the data is to go.
        address: u64;
        /// The object.
        id: ObjectId;
        /// First byte wanted.
        offset: u16;
        /// Length of the client's buffer in bytes.
        length: u16, pad 2;
    }
}

requests! { Group::NVM;
    InitRequest = action::INIT => InitResponse;
    CleanupRequest = action::CLEANUP => StatusResponse;
    AvailableRequest = action::AVAILABLE => AvailableResponse;
    AddRequest = action::ADD => StatusResponse;
    ListRequest = action::LIST => ListResponse;
    MetadataRequest = action::METADATA => MetadataResponse;
    DestroyRequest = action::DESTROY => StatusResponse;
    ReadRequest = action::READ => StatusResponse;
    AddDmaRequest = action::ADD_DMA => StatusResponse;
    ReadDmaRequest = action::READ_DMA => StatusResponse;
}

impl AddRequest {
    /// The object's data.
    ///
    /// # Errors
    /// [`Malformed`] if `tail` is not exactly as long as the metadata says.
    pub fn data<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        if tail.len() == usize::from(self.metadata.length) { Ok(tail) } else { Err(Malformed) }
    }
}

impl DestroyRequest {
    /// A request for `ids`, if there are at most [`DESTROY_LIST_LENGTH`].
    pub fn new(ids: &[ObjectId]) -> Option<Self> {
        let mut list = [ObjectId::INVALID; DESTROY_LIST_LENGTH];
        list.get_mut(..ids.len())?.copy_from_slice(ids);
        Some(Self { count: u16::try_from(ids.len()).ok()?, ids: list })
    }

    /// The identifiers that count.
    ///
    /// # Errors
    /// [`Malformed`] if the count exceeds [`DESTROY_LIST_LENGTH`].
    pub fn ids(&self) -> Result<&[ObjectId], Malformed> {
        self.ids.get(..usize::from(self.count)).ok_or(Malformed)
    }

    /// The identifiers that count of a request that is just as long as it has to be. They are read to `ids`, their place:
    /// as a part of a request they would be moved there.
    ///
    /// # Errors
    /// [`Malformed`] for another length, or if the count exceeds [`DESTROY_LIST_LENGTH`].
    pub fn list<'a>(
        payload: &[u8],
        order: ByteOrder,
        ids: &'a mut [ObjectId; DESTROY_LIST_LENGTH],
    ) -> Result<&'a [ObjectId], Malformed> {
        let mut reader = Reader::new(payload, order);
        let count: u16 = reader.get()?;
        for id in ids.iter_mut() {
            *id = reader.get()?;
        }
        reader.finish()?;
        ids.get(..usize::from(count)).ok_or(Malformed)
    }
}

/// The label of a SHE key holds its counter and flags, both big-endian (document 02, §5.2).
pub fn she_label(counter: u32, flags: u32) -> Label {
    let mut label = [0; 24];
    for (to, from) in label.iter_mut().zip(counter.to_be_bytes().into_iter().chain(flags.to_be_bytes())) {
        *to = from;
    }
    Label(label)
}

/// The value in a counter object's label: its first four bytes, in the order in which the server's CPU keeps them,
/// which is little-endian for every image this project makes (document 02, §7).
pub fn counter_value(label: &Label) -> u32 {
    Reader::new(&label.0, ByteOrder::Little).get().unwrap_or(0)
}

/// Puts `value` into a counter object's label; the other bytes are kept.
pub const fn set_counter_value(label: &mut Label, value: u32) {
    if let Some(bytes) = label.0.first_chunk_mut() {
        *bytes = value.to_le_bytes();
    }
}

/// `label` with `value` as the counter; the other bytes are kept.
#[must_use]
pub const fn with_counter_value(label: &Label, value: u32) -> Label {
    let mut label = *label;
    set_counter_value(&mut label, value);
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn destroy_counts_at_most_nineteen() {
        assert!(DestroyRequest::new(&[ObjectId(1); 20]).is_none());
        let request = DestroyRequest::new(&[ObjectId(0x0102), ObjectId(3)]).unwrap();
        let mut out = [0xEE; 40];
        request.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out[..8], [2, 0, 2, 1, 3, 0, 0, 0]);
        let mut ids = [ObjectId::INVALID; DESTROY_LIST_LENGTH];
        let list = DestroyRequest::list(&out, ByteOrder::Little, &mut ids);
        assert_eq!(list, Ok(&[ObjectId(0x0102), ObjectId(3)][..]));
        assert!(DestroyRequest::list(&out[..39], ByteOrder::Little, &mut ids).is_err());
        assert!(DestroyRequest::list(&[0; 41], ByteOrder::Little, &mut ids).is_err());
        out[0] = 20;
        assert!(DestroyRequest::list(&out, ByteOrder::Little, &mut ids).is_err());
    }

    #[test]
    fn counters_live_in_the_first_four_label_bytes() {
        let label = with_counter_value(&Label([7; 24]), 0x0403_0201);
        assert_eq!(label.0[..6], [1, 2, 3, 4, 7, 7]);
        assert_eq!(counter_value(&label), 0x0403_0201);
    }
}
