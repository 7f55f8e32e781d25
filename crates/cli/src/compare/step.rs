//! A request as `casemate compare` sends it, and what of its responses is compared.

use casemate_protocol::message::crypto::{CmacResponse, CryptoRequest, RequestHeader, ResponseHeader};
use casemate_protocol::message::{Request, refusal};
use casemate_protocol::{ByteOrder, Group, Kind, Layout, Malformed, Overflow};

/// What of two successful responses has to be the same. Padding never has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// Everything.
    Whole,
    /// The fixed part and the length: what follows is random.
    Fixed,
    /// The status: a random result has no fixed length.
    Status,
}

/// What the next requests can use of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Yield {
    Nothing,
    /// A private key that was returned, of the algorithm of this key number.
    PrivateKey(u16),
    /// A key's identifier, in the response, and whether the key's bytes are random.
    Key {
        random: bool,
    },
    WrappedKey,
    WrappedData,
    Signature,
    CmacState,
}

/// One request.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) order: ByteOrder,
    pub(super) payload: Vec<u8>,
    pub(super) compared: Compared,
    pub(super) yields: Yield,
    /// Sent for its effect only.
    pub(super) is_silent: bool,
    /// A successful response with zeros for padding.
    normal: fn(&[u8], ByteOrder) -> Option<Vec<u8>>,
    /// Size of a successful response's fixed part.
    fixed: usize,
}

/// The response to a CMAC that is not finished. What its buffer holds beyond the bytes that count is padding.
pub(super) struct UnfinishedCmac(CmacResponse);

impl Layout for UnfinishedCmac {
    const SIZE: usize = CmacResponse::SIZE;

    fn decode(payload: &[u8], order: ByteOrder) -> Result<(Self, &[u8]), Malformed> {
        let (mut response, tail) = CmacResponse::decode(payload, order)?;
        response.state.buffer.iter_mut().skip(response.state.buffered as usize).for_each(|byte| *byte = 0);
        Ok((Self(response), tail))
    }

    fn encode<'o>(&self, order: ByteOrder, out: &'o mut [u8]) -> Result<&'o mut [u8], Overflow> {
        self.0.encode(order, out)
    }
}

/// The bytes of a fixed part.
pub(super) fn encoded<L: Layout>(layout: &L, order: ByteOrder) -> Vec<u8> {
    let mut bytes = vec![0; L::SIZE];
    // The space is exactly as large as the layout.
    let _ = layout.encode(order, &mut bytes);
    bytes
}

fn normal<L: Layout>(payload: &[u8], order: ByteOrder) -> Option<Vec<u8>> {
    let (fixed, tail) = L::decode(payload, order).ok()?;
    Some([&encoded(&fixed, order), tail].concat())
}

fn normal_crypto<L: Layout>(payload: &[u8], order: ByteOrder) -> Option<Vec<u8>> {
    let (header, rest) = ResponseHeader::decode(payload, order).ok()?;
    Some([encoded(&header, order), normal::<L>(rest, order)?].concat())
}

impl Step {
    /// A request of a group whose messages begin right at the payload.
    pub(super) fn plain<R: Request>(name: &str, order: ByteOrder, request: &R, tail: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            kind: R::KIND,
            order,
            payload: [&encoded(request, order), tail].concat(),
            compared: Compared::Whole,
            yields: Yield::Nothing,
            is_silent: false,
            normal: normal::<R::Response>,
            fixed: R::Response::SIZE,
        }
    }

    /// A request of the CRYPTO group.
    pub(super) fn crypto<R: CryptoRequest>(
        name: &str,
        order: ByteOrder,
        [algorithm, sub_algorithm]: [u32; 2],
        request: &R,
        tail: &[u8],
    ) -> Self {
        let header = RequestHeader { algorithm, sub_algorithm, affinity: 0 };
        Self {
            name: name.to_owned(),
            kind: Kind::new(R::GROUP, R::ACTION),
            order,
            payload: [&encoded(&header, order), &encoded(request, order), tail].concat(),
            compared: Compared::Whole,
            yields: Yield::Nothing,
            is_silent: false,
            normal: normal_crypto::<R::Response>,
            fixed: ResponseHeader::SIZE + R::Response::SIZE,
        }
    }

    /// A request that no layout describes.
    pub(super) fn raw(name: &str, order: ByteOrder, kind: Kind, payload: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            order,
            payload,
            compared: Compared::Whole,
            yields: Yield::Nothing,
            is_silent: false,
            normal: |payload, _| Some(payload.to_vec()),
            fixed: 0,
        }
    }

    /// The response has the layout `L` instead of the one that belongs to the request's type.
    #[must_use]
    pub(super) fn answered_by<L: Layout>(mut self) -> Self {
        self.normal = normal_crypto::<L>;
        self.fixed = ResponseHeader::SIZE + L::SIZE;
        self
    }

    #[must_use]
    pub(super) fn compared(mut self, compared: Compared) -> Self {
        self.compared = compared;
        self
    }

    #[must_use]
    pub(super) fn yields(mut self, yields: Yield) -> Self {
        self.yields = yields;
        self
    }

    /// Sends it for its effect only.
    #[must_use]
    pub(super) fn silent(mut self) -> Self {
        self.is_silent = true;
        self
    }

    /// The status in the payload of a response; `None` if responses of this kind have none, or this one is too short.
    pub(super) fn status(&self, payload: &[u8]) -> Option<i32> {
        let offset = refusal(self.kind)?.status_offset;
        let bytes = payload.get(offset..)?.first_chunk()?;
        Some(match self.order {
            ByteOrder::Little => i32::from_le_bytes(*bytes),
            ByteOrder::Big => i32::from_be_bytes(*bytes),
        })
    }

    /// What follows the fixed part of a successful response.
    pub(super) fn tail<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        payload.get(self.fixed..).unwrap_or_default()
    }

    /// How the payloads of two responses differ, if a client can tell.
    pub(super) fn difference(&self, first: &[u8], second: &[u8]) -> Option<String> {
        let (status, other) = (self.status(first), self.status(second));
        if status != other {
            let shown =
                |status: Option<i32>| status.map_or_else(|| "none".to_owned(), |code| code.to_string());
            return Some(format!("status {} and {}", shown(status), shown(other)));
        }
        // Groups without a status, and responses too short for one, are compared as successes are.
        let succeeded = matches!(status, None | Some(0));
        if first.len() != second.len() && !(succeeded && self.compared == Compared::Status) {
            return Some(format!("length {} and {}", first.len(), second.len()));
        }
        if !succeeded || self.compared == Compared::Status {
            return None;
        }
        let normal = |payload: &[u8]| (self.normal)(payload, self.order).unwrap_or_else(|| payload.to_vec());
        let (first, second) = (normal(first), normal(second));
        let end = if self.compared == Compared::Fixed { self.fixed } else { first.len() };
        let at = first.iter().zip(&second).take(end).position(|(first, second)| first != second)?;
        Some(format!("byte {at}"))
    }

    /// The group's name, or its number.
    pub(super) fn group_name(&self) -> String {
        match self.kind.group {
            Group(number) if self.kind.group.name().is_none() => format!("group {number:#04x}"),
            group => format!("{group:?}"),
        }
    }
}
