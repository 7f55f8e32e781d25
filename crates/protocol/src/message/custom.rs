//! Custom callbacks (document 01, §7; document 07, part D): the action of a packet is the callback's number.

use super::Request;
use crate::codec::layout;
use crate::{ByteOrder, Group, Kind, Layout, Malformed, Overflow, Status};

/// Size of a message's data in bytes. Both sides are built with it.
pub const DATA_SIZE: usize = 256;

/// Numbers of message types.
pub mod custom_type {
    /// Asks whether a callback is registered, without calling it. No data.
    pub const QUERY: u32 = 0;
    /// Data is [`Dma32`](super::Dma32).
    pub const DMA32: u32 = 1;
    /// Data is [`Dma64`](super::Dma64).
    pub const DMA64: u32 = 2;
    /// The first number that is the callback's own affair; smaller ones carry no data.
    pub const FIRST_USER: u32 = 8;
}

layout! {
    /// A buffer of the client's and one of the server's, addresses of 32 bits.
    Dma32: 16 {
        /// Where the client's buffer is.
        client_address: u32;
        /// Its length in bytes.
        client_size: u32;
        /// Where the server's buffer is.
        server_address: u32;
        /// Its length in bytes.
        server_size: u32;
    }

    /// A buffer of the client's and one of the server's, addresses of 64 bits.
    Dma64: 32 {
        /// Where the client's buffer is.
        client_address: u64;
        /// Its length in bytes.
        client_size: u64;
        /// Where the server's buffer is.
        server_address: u64;
        /// Its length in bytes.
        server_size: u64;
    }

    /// The scalars before the data of a request.
    CustomRequestScalars: 8 {
        /// What the client calls the callback; its lowest byte is the action.
        id: u32;
        /// The message's type ([`custom_type`]).
        custom_type: u32;
    }

    /// The scalars before the data of a response.
    CustomResponseScalars: 16 {
        /// The request's identifier.
        id: u32;
        /// The type that the callback chose; 0 without data.
        custom_type: u32;
        /// What the callback returned; 0 for a query.
        returned: Status;
        /// NO_HANDLER if no callback is registered, else OK.
        error: Status;
    }
}

/// What a custom message carries.
#[allow(clippy::large_enum_variant, reason = "no heap: the largest variant is what a message carries")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomMessage {
    /// No data: a query, or a reserved type, whose number it is.
    Empty(u32),
    /// Buffers with addresses of 32 bits.
    Dma32(Dma32),
    /// Buffers with addresses of 64 bits.
    Dma64(Dma64),
    /// Bytes that are the callback's own affair. They travel as they are: byte order is the callback's affair too.
    User {
        /// The type, [`custom_type::FIRST_USER`] or more; with a smaller one, which cannot be told from the others, no bytes
        /// travel.
        custom_type: u32,
        /// The bytes.
        data: [u8; DATA_SIZE],
    },
}

impl CustomMessage {
    /// A query.
    pub const QUERY: Self = Self::Empty(custom_type::QUERY);

    /// The type's number.
    pub const fn custom_type(&self) -> u32 {
        match self {
            Self::Dma32(_) => custom_type::DMA32,
            Self::Dma64(_) => custom_type::DMA64,
            Self::Empty(custom_type) | Self::User { custom_type, .. } => *custom_type,
        }
    }

    fn decode(custom_type: u32, data: &[u8; DATA_SIZE], order: ByteOrder) -> Result<Self, Malformed> {
        Ok(match custom_type {
            custom_type::DMA32 => Self::Dma32(Dma32::decode(data, order)?.0),
            custom_type::DMA64 => Self::Dma64(Dma64::decode(data, order)?.0),
            ..custom_type::FIRST_USER => Self::Empty(custom_type),
            _ => Self::User { custom_type, data: *data },
        })
    }

    /// Writes the data; bytes without meaning are zero.
    fn encode<'o>(&self, order: ByteOrder, out: &'o mut [u8]) -> Result<&'o mut [u8], Overflow> {
        let (data, rest) = out.split_first_chunk_mut::<DATA_SIZE>().ok_or(Overflow)?;
        data.fill(0);
        match self {
            Self::Empty(_) | Self::User { custom_type: ..custom_type::FIRST_USER, .. } => {}
            Self::Dma32(words) => {
                words.encode(order, data)?;
            }
            Self::Dma64(words) => {
                words.encode(order, data)?;
            }
            Self::User { data: bytes, .. } => *data = *bytes,
        }
        Ok(rest)
    }
}

/// A custom request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomRequest {
    /// What the client calls the callback; its lowest byte is the packet's action.
    pub id: u32,
    /// What it carries.
    pub message: CustomMessage,
}

/// A custom response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomResponse {
    /// The request's identifier.
    pub id: u32,
    /// What it carries.
    pub message: CustomMessage,
    /// What the callback returned; 0 for a query. The number is the callback's own affair.
    pub returned: Status,
    /// NO_HANDLER if no callback is registered, else OK.
    pub error: Status,
}

impl CustomRequest {
    /// The kind of a request for the callback `id`.
    pub const fn kind(id: u32) -> Kind {
        let [index, ..] = id.to_le_bytes();
        Kind::new(Group::CUSTOM, index)
    }
}

impl Layout for CustomRequest {
    const SIZE: usize = CustomRequestScalars::SIZE + DATA_SIZE;
    fn decode(payload: &[u8], order: ByteOrder) -> Result<(Self, &[u8]), Malformed> {
        let (CustomRequestScalars { id, custom_type }, rest) = CustomRequestScalars::decode(payload, order)?;
        let (data, rest) = rest.split_first_chunk().ok_or(Malformed)?;
        Ok((Self { id, message: CustomMessage::decode(custom_type, data, order)? }, rest))
    }
    fn encode<'o>(&self, order: ByteOrder, out: &'o mut [u8]) -> Result<&'o mut [u8], Overflow> {
        let scalars = CustomRequestScalars { id: self.id, custom_type: self.message.custom_type() };
        self.message.encode(order, scalars.encode(order, out)?)
    }
}

impl Layout for CustomResponse {
    const SIZE: usize = CustomResponseScalars::SIZE + DATA_SIZE;
    fn decode(payload: &[u8], order: ByteOrder) -> Result<(Self, &[u8]), Malformed> {
        let (scalars, rest) = CustomResponseScalars::decode(payload, order)?;
        let (data, rest) = rest.split_first_chunk().ok_or(Malformed)?;
        let CustomResponseScalars { id, custom_type, returned, error } = scalars;
        Ok((Self { id, message: CustomMessage::decode(custom_type, data, order)?, returned, error }, rest))
    }
    fn encode<'o>(&self, order: ByteOrder, out: &'o mut [u8]) -> Result<&'o mut [u8], Overflow> {
        let Self { id, message, returned, error } = *self;
        let scalars = CustomResponseScalars { id, custom_type: message.custom_type(), returned, error };
        message.encode(order, scalars.encode(order, out)?)
    }
}

/// A request for callback 0; [`CustomRequest::kind`] gives the kind of others.
impl Request for CustomRequest {
    const KIND: Kind = Kind::new(Group::CUSTOM, 0);
    type Response = CustomResponse;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exchange N of document 01, §14, but for the stale bytes.
    #[test]
    fn recorded_query() {
        let (request, rest) = CustomRequest::decode(&[0; 264], ByteOrder::Little).unwrap();
        assert_eq!((request, rest.len()), (CustomRequest { id: 0, message: CustomMessage::QUERY }, 0));
        let response = CustomResponse {
            id: 0,
            message: CustomMessage::QUERY,
            returned: Status::OK,
            error: Status::NO_HANDLER,
        };
        let mut out = [0xEE; 272];
        response.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out[..16], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x29, 0xF8, 0xFF, 0xFF]);
        assert_eq!(out[16..], [0; 256]);
        assert_eq!(CustomResponse::decode(&out, ByteOrder::Little).unwrap().0, response);
    }

    #[test]
    fn words_are_in_the_packets_byte_order_and_bytes_are_not() {
        let words = Dma32 { client_address: 1, client_size: 2, server_address: 3, server_size: 4 };
        let request = CustomRequest { id: 5, message: CustomMessage::Dma32(words) };
        let mut out = [0xEE; 264];
        request.encode(ByteOrder::Big, &mut out).unwrap();
        assert_eq!(out[..12], [0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(out[24..], [0; 240]);
        assert_eq!(CustomRequest::decode(&out, ByteOrder::Big).unwrap().0, request);

        let words = Dma64 { client_address: 1, client_size: 2, server_address: 3, server_size: 4 };
        let request = CustomRequest { id: 5, message: CustomMessage::Dma64(words) };
        request.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out[..24], [5, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(CustomRequest::decode(&out, ByteOrder::Little).unwrap().0, request);

        let mut data = [0; 256];
        data[..4].copy_from_slice(&[1, 2, 3, 4]);
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let request = CustomRequest { id: 5, message: CustomMessage::User { custom_type: 8, data } };
            request.encode(order, &mut out).unwrap();
            assert_eq!(out[8..], data);
            assert_eq!(CustomRequest::decode(&out, order).unwrap().0, request);
        }
    }

    #[test]
    fn reserved_types_carry_nothing() {
        for custom_type in [0, 3, 7] {
            let mut payload = [0xAA; 264];
            payload[4..8].copy_from_slice(&[custom_type, 0, 0, 0]);
            let (request, _) = CustomRequest::decode(&payload, ByteOrder::Little).unwrap();
            assert_eq!(request.message, CustomMessage::Empty(u32::from(custom_type)));
        }
        for custom_type in [0, 1, 2, 3, 7] {
            let message = CustomMessage::User { custom_type, data: [0xAA; DATA_SIZE] };
            let mut out = [0xEE; 264];
            CustomRequest { id: 0, message }.encode(ByteOrder::Little, &mut out).unwrap();
            assert_eq!(out[8..], [0; DATA_SIZE]);
        }
        assert!(CustomRequest::decode(&[0; 263], ByteOrder::Little).is_err());
    }

    #[test]
    fn the_action_is_the_lowest_byte_of_the_identifier() {
        assert_eq!(CustomRequest::kind(0x0102_0304).action, 4);
    }
}
