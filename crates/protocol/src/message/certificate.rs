//! Messages of the certificate manager (document 07, part A). Identifiers of trusted roots are raw object identifiers,
//! that of the cached key is a client's.

use super::requests;
use crate::codec::layout;
use crate::{ByteOrder, Flags, Group, KeyId, Label, Malformed, ObjectId, Reader, Status};

/// Actions of the group.
pub mod action {
    /// Announce use of the certificate manager; clears this client's verify cache.
    pub const INIT: u8 = 0x01;
    /// Store a trusted root.
    pub const ADD_TRUSTED: u8 = 0x02;
    /// Erase a trusted root.
    pub const ERASE_TRUSTED: u8 = 0x03;
    /// Read a trusted root.
    pub const READ_TRUSTED: u8 = 0x04;
    /// Verify a chain against one trusted root.
    pub const VERIFY: u8 = 0x05;
    /// Verify a chain against several trusted roots.
    pub const VERIFY_MULTI_ROOT: u8 = 0x06;
    /// Forget what the verify cache holds.
    pub const VERIFY_CACHE_CLEAR: u8 = 0x07;
    /// Switch the verify cache on or off.
    pub const VERIFY_CACHE_SET_ENABLED: u8 = 0x08;
    /// Store a trusted root from client memory.
    pub const ADD_TRUSTED_DMA: u8 = 0x22;
    /// Read a trusted root into client memory.
    pub const READ_TRUSTED_DMA: u8 = 0x24;
    /// Verify a chain in client memory against one trusted root.
    pub const VERIFY_DMA: u8 = 0x25;
    /// Verify an attribute certificate against one trusted root.
    pub const VERIFY_ATTRIBUTE: u8 = 0x26;
    /// Verify an attribute certificate in client memory against one trusted root.
    pub const VERIFY_ATTRIBUTE_DMA: u8 = 0x27;
    /// Verify a chain in client memory against several trusted roots.
    pub const VERIFY_MULTI_ROOT_DMA: u8 = 0x28;
}

/// How many trusted roots one VERIFY_MULTI_ROOT names at most. The layout of [`VerifyMultiRootDmaRequest`] depends on
/// it, so client and server have to agree; this is the number that peers are built with unless configured otherwise.
pub const MAX_VERIFY_ROOTS: usize = 8;

/// Flag of the VERIFY requests: the public key of the chain's leaf goes into the key cache. All other flags are
/// ignored.
pub const FLAG_CACHE_LEAF_KEY: u16 = 0x0001;

layout! {
    /// INIT request: empty.
    InitRequest: 0 {}

    /// A response that carries an outcome only.
    SimpleResponse: 8 {
        /// Outcome.
        status: Status, pad 4;
    }

    /// ADD_TRUSTED request; the certificate follows.
    AddTrustedRequest: 36 {
        /// Length of the certificate in bytes.
        length: u32;
        /// The object to store it as.
        id: ObjectId;
        /// Access word of the object.
        access: u16;
        /// Flags of the object.
        flags: Flags;
        /// Label of the object.
        label: Label, pad 2;
    }

    /// ERASE_TRUSTED request.
    EraseTrustedRequest: 8 {
        /// The object.
        id: ObjectId, pad 6;
    }

    /// READ_TRUSTED request.
    ReadTrustedRequest: 8 {
        /// The object.
        id: ObjectId, pad 6;
    }

    /// READ_TRUSTED response; the certificate follows if the outcome is success.
    ReadTrustedResponse: 8 {
        /// Outcome.
        status: Status;
        /// Length of the certificate in bytes, also if it is too long for the response; else 0.
        length: u32;
    }

    /// VERIFY request; the chain follows: certificates one after the other, issuers before what they issued.
    VerifyRequest: 12 {
        /// Length of the chain in bytes.
        length: u32;
        /// The trusted root.
        root: ObjectId;
        /// [`FLAG_CACHE_LEAF_KEY`].
        flags: u16;
        /// Flags of the cached key.
        key_flags: Flags;
        /// Where to cache the key; number 0 asks the server to choose.
        key: KeyId;
    }

    /// Response to all VERIFY requests of chains.
    VerifyResponse: 8 {
        /// Outcome.
        status: Status;
        /// Where the key was cached; without meaning unless caching was asked for and the outcome is success.
        key: KeyId, pad 2;
    }

    /// VERIFY_MULTI_ROOT request; the identifiers of the roots follow, then the chain.
    VerifyMultiRootRequest: 16 {
        /// Length of the chain in bytes.
        length: u32;
        /// How many roots are named: 1 to [`MAX_VERIFY_ROOTS`].
        roots: u16;
        /// [`FLAG_CACHE_LEAF_KEY`].
        flags: u16;
        /// Flags of the cached key.
        key_flags: Flags;
        /// Where to cache the key; number 0 asks the server to choose.
        key: KeyId, pad 4;
    }

    /// VERIFY_CACHE_CLEAR request: empty.
    VerifyCacheClearRequest: 0 {}

    /// VERIFY_CACHE_SET_ENABLED request.
    VerifyCacheSetEnabledRequest: 8 {
        /// 0 switches the cache off, anything else on.
        enable: u8, pad 7;
    }

    /// VERIFY_ATTRIBUTE request; the attribute certificate follows.
    VerifyAttributeRequest: 8 {
        /// Length of the attribute certificate in bytes.
        length: u32;
        /// The trusted root.
        root: ObjectId, pad 2;
    }

    /// ADD_TRUSTED_DMA request.
    AddTrustedDmaRequest: 48 {
        /// Client address of the certificate.
        address: u64;
        /// Length of the certificate in bytes.
        length: u32;
        /// The object to store it as.
        id: ObjectId;
        /// Access word of the object.
        access: u16;
        /// Flags of the object.
        flags: Flags;
        /// Label of the object.
        label: Label, pad 6;
    }

    /// READ_TRUSTED_DMA request.
    ReadTrustedDmaRequest: 16 {
        /// Client address of the buffer.
        address: u64;
        /// Size of the buffer in bytes.
        length: u32;
        /// The object.
        id: ObjectId, pad 2;
    }

    /// VERIFY_DMA request.
    VerifyDmaRequest: 24 {
        /// Client address of the chain.
        address: u64;
        /// Length of the chain in bytes.
        length: u32;
        /// The trusted root.
        root: ObjectId;
        /// [`FLAG_CACHE_LEAF_KEY`].
        flags: u16;
        /// Flags of the cached key.
        key_flags: Flags;
        /// Where to cache the key; number 0 asks the server to choose.
        key: KeyId, pad 4;
    }

    /// VERIFY_ATTRIBUTE_DMA request. The last three fields are not used.
    VerifyAttributeDmaRequest: 24 {
        /// Client address of the attribute certificate.
        address: u64;
        /// Length of the attribute certificate in bytes.
        length: u32;
        /// The trusted root.
        root: ObjectId;
        /// Not used.
        flags: u16;
        /// Not used.
        key_flags: Flags;
        /// Not used.
        key: KeyId, pad 4;
    }

    /// VERIFY_MULTI_ROOT_DMA request.
    VerifyMultiRootDmaRequest: 40 {
        /// Client address of the chain.
        address: u64;
        /// Length of the chain in bytes.
        length: u32;
        /// How many roots are named: 1 to [`MAX_VERIFY_ROOTS`].
        roots: u16;
        /// [`FLAG_CACHE_LEAF_KEY`].
        flags: u16;
        /// Flags of the cached key.
        key_flags: Flags;
        /// Where to cache the key; number 0 asks the server to choose.
        key: KeyId;
        /// Identifiers of the roots; those beyond the count are not used.
        ids: [u16; 8], pad 4;
    }
}

requests! { Group::CERT;
    InitRequest = action::INIT => SimpleResponse;
    AddTrustedRequest = action::ADD_TRUSTED => SimpleResponse;
    EraseTrustedRequest = action::ERASE_TRUSTED => SimpleResponse;
    ReadTrustedRequest = action::READ_TRUSTED => ReadTrustedResponse;
    VerifyRequest = action::VERIFY => VerifyResponse;
    VerifyMultiRootRequest = action::VERIFY_MULTI_ROOT => VerifyResponse;
    VerifyCacheClearRequest = action::VERIFY_CACHE_CLEAR => SimpleResponse;
    VerifyCacheSetEnabledRequest = action::VERIFY_CACHE_SET_ENABLED => SimpleResponse;
    VerifyAttributeRequest = action::VERIFY_ATTRIBUTE => SimpleResponse;
    AddTrustedDmaRequest = action::ADD_TRUSTED_DMA => SimpleResponse;
    ReadTrustedDmaRequest = action::READ_TRUSTED_DMA => SimpleResponse;
    VerifyDmaRequest = action::VERIFY_DMA => VerifyResponse;
    VerifyAttributeDmaRequest = action::VERIFY_ATTRIBUTE_DMA => SimpleResponse;
    VerifyMultiRootDmaRequest = action::VERIFY_MULTI_ROOT_DMA => VerifyResponse;
}

/// Identifiers of trusted roots, at most [`MAX_VERIFY_ROOTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootIds {
    ids: [ObjectId; MAX_VERIFY_ROOTS],
    count: usize,
}

impl RootIds {
    /// These identifiers, if there are 1 to [`MAX_VERIFY_ROOTS`].
    pub fn new(ids: impl IntoIterator<Item = ObjectId>) -> Option<Self> {
        let mut roots = Self { ids: [ObjectId::INVALID; MAX_VERIFY_ROOTS], count: 0 };
        for id in ids {
            *roots.ids.get_mut(roots.count)? = id;
            roots.count = roots.count.checked_add(1)?;
        }
        (roots.count > 0).then_some(roots)
    }

    /// This one identifier.
    #[must_use]
    pub const fn single(id: ObjectId) -> Self {
        let mut ids = [ObjectId::INVALID; MAX_VERIFY_ROOTS];
        ids[0] = id;
        Self { ids, count: 1 }
    }

    /// The identifiers.
    pub fn as_slice(&self) -> &[ObjectId] {
        self.ids.get(..self.count).unwrap_or_default()
    }
}

/// The first `length` bytes of a tail; surplus bytes are ignored.
fn data(tail: &[u8], length: u32) -> Result<&[u8], Malformed> {
    Reader::new(tail, ByteOrder::Little).take_u32(length)
}

impl AddTrustedRequest {
    /// The certificate in the tail.
    ///
    /// # Errors
    /// [`Malformed`] if the tail is shorter than the length says.
    pub fn certificate<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        data(tail, self.length)
    }
}

impl VerifyRequest {
    /// The chain in the tail.
    ///
    /// # Errors
    /// [`Malformed`] if the tail is shorter than the length says.
    pub fn chain<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        data(tail, self.length)
    }
}

impl VerifyAttributeRequest {
    /// The attribute certificate in the tail.
    ///
    /// # Errors
    /// [`Malformed`] if the tail is shorter than the length says.
    pub fn certificate<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        data(tail, self.length)
    }
}

impl VerifyMultiRootRequest {
    /// The roots and the chain in the tail.
    ///
    /// # Errors
    /// [`Malformed`] if no root is named or too many are, or the tail is shorter than count and length say.
    pub fn tails<'a>(&self, order: ByteOrder, tail: &'a [u8]) -> Result<(RootIds, &'a [u8]), Malformed> {
        let count = usize::from(self.roots);
        let mut roots = RootIds { ids: [ObjectId::INVALID; MAX_VERIFY_ROOTS], count };
        let used = roots.ids.get_mut(..count).filter(|used| !used.is_empty()).ok_or(Malformed)?;
        let mut reader = Reader::new(tail, order);
        for id in used {
            *id = reader.get()?;
        }
        Ok((roots, reader.take_u32(self.length)?))
    }
}

impl VerifyMultiRootDmaRequest {
    /// The roots that count.
    ///
    /// # Errors
    /// [`Malformed`] if no root is named or too many are.
    pub fn root_ids(&self) -> Result<RootIds, Malformed> {
        let ids = self.ids.get(..usize::from(self.roots)).ok_or(Malformed)?;
        RootIds::new(ids.iter().copied().map(ObjectId)).ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{Kind, Layout, message::refusal};
    use std::vec::Vec;

    fn encoded<L: Layout>(message: &L, order: ByteOrder) -> Vec<u8> {
        let mut out = std::vec![0xEE; L::SIZE];
        message.encode(order, &mut out).unwrap();
        out
    }

    /// The offsets of document 07, §A.2, in both byte orders.
    #[test]
    fn requests_have_the_layout_of_the_reference() {
        let add = AddTrustedRequest {
            length: 0x0102_0304,
            id: ObjectId(0x0506),
            access: 0x0708,
            flags: Flags(0x090A),
            label: Label([0x4C; 24]),
        };
        let mut expected = std::vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        expected.extend([0x4C; 24]);
        expected.extend([0, 0]);
        assert_eq!(encoded(&add, ByteOrder::Big), expected);
        assert_eq!(AddTrustedRequest::decode_exact(&expected, ByteOrder::Big), Ok(add));

        let verify = VerifyRequest {
            length: 0x0403_0201,
            root: ObjectId(0x0605),
            flags: FLAG_CACHE_LEAF_KEY,
            key_flags: Flags(0x07E0),
            key: KeyId(0x0105),
        };
        let expected = [1, 2, 3, 4, 5, 6, 1, 0, 0xE0, 7, 5, 1];
        assert_eq!(encoded(&verify, ByteOrder::Little), expected);
        assert_eq!(VerifyRequest::decode_exact(&expected, ByteOrder::Little), Ok(verify));

        let mut dma = encoded(
            &AddTrustedDmaRequest {
                address: 0x1112_1314_1516_1718,
                length: 0x0102_0304,
                id: ObjectId(0x0506),
                access: 0x0708,
                flags: Flags(0x090A),
                label: Label([0x4C; 24]),
            },
            ByteOrder::Big,
        );
        assert_eq!(dma.split_off(42), [0; 6]);
        assert_eq!(dma[..18], [17, 18, 19, 20, 21, 22, 23, 24, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(dma[18..], [0x4C; 24]);

        let verify = VerifyDmaRequest {
            address: 1,
            length: 2,
            root: ObjectId(3),
            flags: 4,
            key_flags: Flags(5),
            key: KeyId(6),
        };
        let expected = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0, 5, 0, 6, 0, 0, 0, 0, 0];
        assert_eq!(encoded(&verify, ByteOrder::Little), expected);

        let multi = VerifyMultiRootDmaRequest {
            address: 1,
            length: 2,
            roots: 3,
            flags: 4,
            key_flags: Flags(5),
            key: KeyId(6),
            ids: [7, 8, 9, 10, 11, 12, 13, 14],
        };
        let found = encoded(&multi, ByteOrder::Little);
        assert_eq!(found[12..24], [3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0]);
        assert_eq!(found[34..], [14, 0, 0, 0, 0, 0]);
        assert_eq!(multi.root_ids().unwrap().as_slice(), [ObjectId(7), ObjectId(8), ObjectId(9)]);
        assert_eq!(VerifyMultiRootDmaRequest { roots: 9, ..multi }.root_ids(), Err(Malformed));
        assert_eq!(VerifyMultiRootDmaRequest { roots: 0, ..multi }.root_ids(), Err(Malformed));
    }

    #[test]
    fn roots_and_chain_follow_each_other_without_padding() {
        let request = VerifyMultiRootRequest {
            length: 3,
            roots: 1,
            flags: 0,
            key_flags: Flags::NONE,
            key: KeyId::NONE,
        };
        let (roots, chain) = request.tails(ByteOrder::Big, &[1, 2, b'a', b'b', b'c', b'd']).unwrap();
        assert_eq!((roots.as_slice(), chain), (&[ObjectId(0x0102)][..], &b"abc"[..]));
        assert_eq!(request.tails(ByteOrder::Big, &[1, 2, b'a', b'b']), Err(Malformed));
        assert_eq!(request.tails(ByteOrder::Big, &[1]), Err(Malformed));
        for roots in [0, 9, u16::MAX] {
            let request = VerifyMultiRootRequest { roots, ..request };
            assert_eq!(request.tails(ByteOrder::Big, &[0; 64]), Err(Malformed), "{roots} roots");
        }
        let longest = VerifyRequest {
            length: u32::MAX,
            root: ObjectId(1),
            flags: 0,
            key_flags: Flags::NONE,
            key: KeyId::NONE,
        };
        assert_eq!(longest.chain(&[0; 64]), Err(Malformed));
    }

    /// Document 07, §C.2: the refusal of every action of the group has eight bytes, the status first.
    #[test]
    fn refusals_have_eight_bytes() {
        for action in (1..=8).chain([0x22]).chain(0x24..=0x28) {
            let refusal = refusal(Kind::new(Group::CERT, action)).unwrap();
            assert_eq!((refusal.size, refusal.status_offset, refusal.echoes_algorithm), (8, 0, false));
        }
        assert_eq!(refusal(Kind::new(Group::CERT, 9)), None);
    }
}
