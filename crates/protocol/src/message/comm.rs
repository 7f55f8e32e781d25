//! Connection messages (document 01, §4). Their responses carry no status: a refusal is an empty payload.

use super::requests;
use crate::Group;
use crate::codec::layout;

/// Actions of the group.
pub mod action {
    /// Claim a client identifier.
    pub const INIT: u8 = 1;
    /// Reserved; answered with an empty payload.
    pub const KEEPALIVE: u8 = 2;
    /// End the session.
    pub const CLOSE: u8 = 3;
    /// Ask for the server's configuration.
    pub const INFO: u8 = 4;
    /// Return the payload.
    pub const ECHO: u8 = 5;
}

layout! {
    /// INIT request (document 01, §4.1).
    InitRequest: 4 {
        /// The identifier claimed, 1..=15.
        client_id: u32;
    }

    /// INIT response.
    InitResponse: 8 {
        /// The identifier granted.
        client_id: u32;
        /// The server's identifier.
        server_id: u32;
    }

    /// CLOSE request: empty.
    CloseRequest: 0 {}

    /// CLOSE response: empty.
    CloseResponse: 0 {}

    /// ECHO request: a tail only, which the response repeats.
    EchoRequest: 0 {}

    /// ECHO response: a tail only.
    EchoResponse: 0 {}

    /// INFO request: empty.
    InfoRequest: 0 {}

    /// INFO response: the server's configuration (document 01, §4.2).
    InfoResponse: 72 {
        /// Largest payload in bytes.
        data_length: u32;
        /// Directory entries of the object store.
        nvm_object_count: u32;
        /// Small slots of a key cache.
        cache_slots: u32;
        /// Data size of a small slot in bytes.
        cache_slot_size: u32;
        /// Big slots of a key cache.
        big_cache_slots: u32;
        /// Data size of a big slot in bytes.
        big_cache_slot_size: u32;
        /// Custom callbacks.
        custom_callbacks: u32;
        /// Entries of a DMA address list.
        dma_addresses: u32;
        /// Debug state; the original always says 1.
        debug_state: u32;
        /// Boot state; the original always says 2.
        boot_state: u32;
        /// Life-cycle state; the original always says 3.
        lifecycle_state: u32;
        /// Object store state; the original always says 4.
        nvm_state: u32;
        /// Protocol version text, padded with zeros.
        version: [u8; 9];
        /// Build text, padded with zeros.
        build: [u8; 9], pad 6;
    }
}

requests! { Group::COMM;
    InitRequest = action::INIT => InitResponse;
    CloseRequest = action::CLOSE => CloseResponse;
    InfoRequest = action::INFO => InfoResponse;
    EchoRequest = action::ECHO => EchoResponse;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteOrder, Layout};

    /// Exchange D of document 01, §14.
    #[test]
    fn recorded_info() {
        let mut recorded = [0; 72];
        for (to, word) in recorded.chunks_exact_mut(4).zip([8192, 30, 9, 256, 3, 8192, 6, 10, 1, 2, 3, 4_u32])
        {
            to.copy_from_slice(&word.to_le_bytes());
        }
        recorded[48..66].copy_from_slice(b"01.01.01\x0012345678\0");
        let info = InfoResponse::decode_exact(&recorded, ByteOrder::Little).unwrap();
        assert_eq!((info.data_length, info.nvm_object_count, info.nvm_state), (8192, 30, 4));
        assert_eq!((&info.version, &info.build), (b"01.01.01\0", b"12345678\0"));
        let mut out = [0xEE; 72];
        info.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out, recorded);
    }
}
