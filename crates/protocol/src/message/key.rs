//! Key messages (document 03, §5 to §8).

use super::requests;
use crate::codec::layout;
use crate::{DmaBuffer, Field, Group, KeyId, Label, Malformed, Metadata, Reader, Status};

/// Actions of the group.
pub mod action {
    /// Put a key into the cache.
    pub const CACHE: u8 = 0;
    /// Drop a key from the cache.
    pub const EVICT: u8 = 1;
    /// Read a key.
    pub const EXPORT: u8 = 2;
    /// Store a cached key in non-volatile memory.
    pub const COMMIT: u8 = 3;
    /// Remove a key from cache and non-volatile memory.
    pub const ERASE: u8 = 4;
    /// Take all usage from a key, for good.
    pub const REVOKE: u8 = 5;
    /// CACHE from client memory.
    pub const CACHE_DMA: u8 = 6;
    /// EXPORT to client memory.
    pub const EXPORT_DMA: u8 = 7;
    /// Wrap a key that the client supplies.
    pub const WRAP: u8 = 8;
    /// Unwrap a key and return it.
    pub const UNWRAP_EXPORT: u8 = 9;
    /// Unwrap a key into the cache.
    pub const UNWRAP_CACHE: u8 = 10;
    /// Wrap data.
    pub const DATA_WRAP: u8 = 11;
    /// Unwrap data.
    pub const DATA_UNWRAP: u8 = 12;
    /// Read a key's public half.
    pub const EXPORT_PUBLIC: u8 = 13;
    /// EXPORT_PUBLIC to client memory.
    pub const EXPORT_PUBLIC_DMA: u8 = 14;
    /// Put a random key into the cache.
    pub const CACHE_RANDOM: u8 = 15;
    /// Wrap a key that the server holds.
    pub const WRAP_EXPORT: u8 = 16;
}

/// The only cipher of the wrap messages: AES-GCM.
pub const WRAP_CIPHER_AES_GCM: u16 = 3;
/// Bytes before the ciphertext in a wrapped blob: initialisation vector (12), then tag (16).
pub const WRAP_HEADER_SIZE: usize = 28;
/// What a wrapped key blob adds to the key: header and metadata.
pub const WRAPPED_KEY_OVERHEAD: usize = WRAP_HEADER_SIZE + Metadata::SIZE;
/// The additional authenticated data of wrapped keys (document 03, §7.1).
pub const KEY_WRAP_CONTEXT: &[u8; 18] = b"wolfHSM.keywrap.v1";
/// The additional authenticated data of wrapped data (document 03, §7.1).
pub const DATA_WRAP_CONTEXT: &[u8; 19] = b"wolfHSM.datawrap.v1";

/// Which algorithm a key is for, in EXPORT_PUBLIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyAlgorithm(pub u16);

impl KeyAlgorithm {
    /// RSA.
    pub const RSA: Self = Self(1);
    /// NIST curves.
    pub const ECC: Self = Self(2);
    /// X25519.
    pub const X25519: Self = Self(3);
    /// Ed25519.
    pub const ED25519: Self = Self(4);
    /// ML-DSA.
    pub const ML_DSA: Self = Self(5);
    /// ML-KEM.
    pub const ML_KEM: Self = Self(6);
    /// LMS and HSS.
    pub const LMS: Self = Self(7);
    /// XMSS and XMSS^MT.
    pub const XMSS: Self = Self(8);
}

layout! {
    /// CACHE request; the key's bytes follow.
    CacheRequest: 40 {
        /// Flags; only the low half counts.
        flags: u32;
        /// Length of the key in bytes.
        length: u32;
        /// How many label bytes count, at most 24.
        label_length: u32;
        /// The key to create or replace; number 0 lets the server choose.
        id: KeyId, pad 2;
        /// The label.
        label: Label;
    }

    /// CACHE_RANDOM request. Its fields stand in another order than those of CACHE.
    CacheRandomRequest: 40 {
        /// Flags; only the low half counts.
        flags: u32;
        /// How many label bytes count, at most 24.
        label_length: u32;
        /// Length of the key in bytes.
        length: u16;
        /// The key to create or replace; number 0 lets the server choose.
        id: KeyId, pad 4;
        /// The label.
        label: Label;
    }

    /// CACHE and CACHE_RANDOM response.
    CacheResponse: 12 {
        /// Outcome.
        status: Status;
        /// The key's identifier; 0 unless the outcome is success.
        id: KeyId, pad 6;
    }

    /// EVICT request.
    EvictRequest: 8 {
        /// The key.
        id: KeyId, pad 6;
    }

    /// COMMIT request.
    CommitRequest: 8 {
        /// The key.
        id: KeyId, pad 6;
    }

    /// ERASE request.
    EraseRequest: 8 {
        /// The key.
        id: KeyId, pad 6;
    }

    /// REVOKE request.
    RevokeRequest: 8 {
        /// The key.
        id: KeyId, pad 6;
    }

    /// EVICT, COMMIT and ERASE response.
    DoneResponse: 12 {
        /// Outcome.
        status: Status, pad 8;
    }

    /// REVOKE response.
    RevokeResponse: 8 {
        /// Outcome.
        status: Status, pad 4;
    }

    /// EXPORT request.
    ExportRequest: 8 {
        /// The key.
        id: KeyId, pad 6;
    }

    /// EXPORT_PUBLIC request.
    ExportPublicRequest: 8 {
        /// The key.
        id: KeyId;
        /// Which algorithm it is for ([`KeyAlgorithm`]).
        algorithm: u16, pad 4;
    }

    /// EXPORT and EXPORT_PUBLIC response; the key's bytes follow.
    ExportResponse: 36 {
        /// Outcome.
        status: Status;
        /// Length of the key in bytes.
        length: u32;
        /// The key's label.
        label: Label, pad 4;
    }

    /// WRAP request; metadata and key follow, see [`WrapRequest::tails`].
    WrapRequest: 6 {
        /// Length of the key in bytes.
        length: u16;
        /// The key-encryption key.
        kek: KeyId;
        /// [`WRAP_CIPHER_AES_GCM`].
        cipher: u16;
    }

    /// WRAP_EXPORT request.
    WrapExportRequest: 8 {
        /// The key to wrap.
        id: KeyId;
        /// Its object type (low four bits).
        object_type: u16;
        /// The key-encryption key.
        kek: KeyId;
        /// [`WRAP_CIPHER_AES_GCM`].
        cipher: u16;
    }

    /// WRAP and WRAP_EXPORT response; the blob follows.
    WrapResponse: 8 {
        /// Outcome.
        status: Status;
        /// Length of the blob in bytes.
        length: u16;
        /// The request's cipher.
        cipher: u16;
    }

    /// UNWRAP_EXPORT request; the blob follows.
    UnwrapExportRequest: 8 {
        /// Length of the blob in bytes.
        length: u16;
        /// The key-encryption key.
        kek: KeyId;
        /// [`WRAP_CIPHER_AES_GCM`].
        cipher: u16, pad 2;
    }

    /// UNWRAP_EXPORT response; the key follows. The metadata is there, zero, even on failure.
    UnwrapExportResponse: 40 {
        /// Outcome.
        status: Status;
        /// Length of the key in bytes.
        length: u16;
        /// The request's cipher.
        cipher: u16;
        /// The key's metadata.
        metadata: Metadata;
    }

    /// UNWRAP_CACHE request; the blob follows.
    UnwrapCacheRequest: 8 {
        /// Length of the blob in bytes.
        length: u16;
        /// The key-encryption key.
        kek: KeyId;
        /// [`WRAP_CIPHER_AES_GCM`].
        cipher: u16, pad 2;
    }

    /// UNWRAP_CACHE response.
    UnwrapCacheResponse: 8 {
        /// Outcome.
        status: Status;
        /// The key's identifier; 0 unless the outcome is success.
        id: KeyId;
        /// The request's cipher.
        cipher: u16;
    }

    /// DATA_WRAP request; the data follows.
    DataWrapRequest: 8 {
        /// Length of the data in bytes.
        length: u32;
        /// The key-encryption key.
        kek: KeyId;
        /// [`WRAP_CIPHER_AES_GCM`].
        cipher: u16;
    }

    /// DATA_UNWRAP request; the blob follows.
    DataUnwrapRequest: 8 {
        /// Length of the blob in bytes.
        length: u32;
        /// The key-encryption key.
        kek: KeyId;
        /// [`WRAP_CIPHER_AES_GCM`].
        cipher: u16;
    }

    /// DATA_WRAP and DATA_UNWRAP response; the blob or the data follows.
    DataWrapResponse: 12 {
        /// Outcome.
        status: Status;
        /// Length of what follows in bytes.
        length: u32;
        /// The request's cipher.
        cipher: u16, pad 2;
    }

    /// CACHE_DMA request.
    CacheDmaRequest: 56 {
        /// The key's bytes.
        key: DmaBuffer;
        /// Flags; only the low half counts.
        flags: u32;
        /// How many label bytes count, at most 24.
        label_length: u32;
        /// The key to create or replace; number 0 lets the server choose.
        id: KeyId;
        /// The label.
        label: Label, pad 6;
    }

    /// CACHE_DMA response. Its outcome is not the first field.
    CacheDmaResponse: 24 {
        /// The request's buffer if storing the key failed, else zero.
        refused: DmaBuffer;
        /// Outcome.
        status: Status;
        /// The key's identifier; 0 unless the outcome is success.
        id: KeyId, pad 2;
    }

    /// EXPORT_DMA request.
    ExportDmaRequest: 24 {
        /// Where the key's bytes are to go.
        out: DmaBuffer;
        /// The key.
        id: KeyId, pad 6;
    }

    /// EXPORT_PUBLIC_DMA request.
    ExportPublicDmaRequest: 24 {
        /// Where the encoded public half is to go.
        out: DmaBuffer;
        /// The key.
        id: KeyId;
        /// Which algorithm it is for ([`KeyAlgorithm`]).
        algorithm: u16, pad 4;
    }

    /// EXPORT_DMA and EXPORT_PUBLIC_DMA response. Its outcome is not the first field.
    ExportDmaResponse: 48 {
        /// The request's buffer after some failures (document 03, §6.6), else zero.
        refused: DmaBuffer;
        /// Outcome.
        status: Status;
        /// How many bytes were written.
        length: u32;
        /// The key's label.
        label: Label;
    }
}

requests! { Group::KEY;
    CacheRequest = action::CACHE => CacheResponse;
    CacheRandomRequest = action::CACHE_RANDOM => CacheResponse;
    EvictRequest = action::EVICT => DoneResponse;
    CommitRequest = action::COMMIT => DoneResponse;
    EraseRequest = action::ERASE => DoneResponse;
    RevokeRequest = action::REVOKE => RevokeResponse;
    ExportRequest = action::EXPORT => ExportResponse;
    ExportPublicRequest = action::EXPORT_PUBLIC => ExportResponse;
    WrapRequest = action::WRAP => WrapResponse;
    WrapExportRequest = action::WRAP_EXPORT => WrapResponse;
    UnwrapExportRequest = action::UNWRAP_EXPORT => UnwrapExportResponse;
    UnwrapCacheRequest = action::UNWRAP_CACHE => UnwrapCacheResponse;
    DataWrapRequest = action::DATA_WRAP => DataWrapResponse;
    DataUnwrapRequest = action::DATA_UNWRAP => DataWrapResponse;
    CacheDmaRequest = action::CACHE_DMA => CacheDmaResponse;
    ExportDmaRequest = action::EXPORT_DMA => ExportDmaResponse;
    ExportPublicDmaRequest = action::EXPORT_PUBLIC_DMA => ExportDmaResponse;
}

impl CacheRequest {
    /// The key's bytes; surplus bytes are ignored.
    ///
    /// # Errors
    /// [`Malformed`] if fewer bytes follow than [`CacheRequest::length`] says.
    pub fn key<'a>(&self, tail: &'a [u8]) -> Result<&'a [u8], Malformed> {
        tail.get(..usize::try_from(self.length).map_err(|_| Malformed)?).ok_or(Malformed)
    }
}

impl WrapRequest {
    /// Metadata and key bytes. `reader` stands after the fixed part and has the packet's byte order.
    ///
    /// # Errors
    /// [`Malformed`] if fewer bytes follow.
    pub fn tails<'a>(&self, mut reader: Reader<'a>) -> Result<(Metadata, &'a [u8]), Malformed> {
        let metadata = Metadata::get(&mut reader)?;
        Ok((metadata, reader.take(usize::from(self.length))?))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{ByteOrder, Layout};
    use std::vec::Vec;

    /// Exchange K of document 01, §14.
    #[test]
    fn recorded_cache() {
        let mut recorded = Vec::from([0xE0, 7, 0, 0, 16, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0]);
        recorded.extend(Label::from("lbl1").0);
        recorded.extend(b"0123456789abcdef");
        let (request, tail) = CacheRequest::decode(&recorded, ByteOrder::Little).unwrap();
        assert_eq!(
            request,
            CacheRequest { flags: 0x07E0, length: 16, label_length: 4, id: KeyId(5), label: "lbl1".into() }
        );
        assert_eq!(request.key(tail).unwrap(), b"0123456789abcdef");
        assert!(CacheRequest { length: 17, ..request }.key(tail).is_err());

        let response = CacheResponse { status: Status::OK, id: KeyId(0x0105) };
        let mut out = [0xEE; 12];
        response.encode(ByteOrder::Little, &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn wrap_request_metadata_follows_unaligned() {
        let mut bytes = Vec::from([2, 0, 7, 0, 3, 0]);
        bytes.extend([6, 0x41, 0xFF, 0xFF, 0xE0, 7, 2, 0]);
        bytes.extend([0; 24]);
        bytes.extend(b"kk");
        let (request, tail) = WrapRequest::decode(&bytes, ByteOrder::Little).unwrap();
        let (metadata, key) = request.tails(Reader::new(tail, ByteOrder::Little)).unwrap();
        assert_eq!((metadata.id.0, metadata.length, key), (0x4106, 2, &b"kk"[..]));
        assert!(request.tails(Reader::new(&tail[..33], ByteOrder::Little)).is_err());
    }
}
