//! Monotonic counters (document 02, §7).

use super::requests;
use crate::codec::layout;
use crate::{ClientId, Group, ObjectId, ObjectType, Status};

/// Actions of the group.
pub mod action {
    /// Create a counter or set its value.
    pub const INIT: u8 = 0;
    /// Add one.
    pub const INCREMENT: u8 = 1;
    /// Ask for the value.
    pub const READ: u8 = 2;
    /// Remove the counter.
    pub const DESTROY: u8 = 3;
}

layout! {
    /// INIT request.
    InitRequest: 8 {
        /// The value to set.
        value: u32;
        /// The counter; only its low byte counts.
        id: u16, pad 2;
    }

    /// INCREMENT request.
    IncrementRequest: 8 {
        /// The counter.
        id: u16, pad 6;
    }

    /// READ request.
    ReadRequest: 8 {
        /// The counter.
        id: u16, pad 6;
    }

    /// DESTROY request.
    DestroyRequest: 8 {
        /// The counter.
        id: u16, pad 6;
    }

    /// The response to INIT, INCREMENT and READ.
    ValueResponse: 8 {
        /// Outcome.
        status: Status;
        /// The counter's value; 0 unless the outcome is success.
        value: u32;
    }

    /// DESTROY response.
    DestroyResponse: 8 {
        /// Outcome.
        status: Status, pad 4;
    }
}

requests! { Group::COUNTER;
    InitRequest = action::INIT => ValueResponse;
    IncrementRequest = action::INCREMENT => ValueResponse;
    ReadRequest = action::READ => ValueResponse;
    DestroyRequest = action::DESTROY => DestroyResponse;
}

/// The object that holds `client`'s counter `id`; the high byte of `id` is dropped.
pub const fn object_id(client: ClientId, id: u16) -> ObjectId {
    ObjectId::new(ObjectType::COUNTER, client, id.to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteOrder, Layout};

    /// Exchange J of document 01, §14; its padding is stale bytes, which we write as zeros.
    #[test]
    fn recorded_init() {
        let recorded = [0, 0, 0, 0, 1, 0, 7, 0];
        let request = InitRequest::decode_exact(&recorded, ByteOrder::Little).unwrap();
        assert_eq!(request, InitRequest { value: 0, id: 1 });
        let mut out = [0xEE; 8];
        request.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn the_high_byte_of_a_counter_id_is_dropped() {
        assert_eq!(object_id(ClientId::new(12).unwrap(), 0x0206), ObjectId(0x3C06));
    }
}
