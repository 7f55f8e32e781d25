//! Keys in the server's cache and store, and what is wrapped with them.

use crate::ffi::{self, ArrayOutOptional, Bytes, In, Optional, Out, Output, Text};
use crate::types::{KeyAlgorithmName, NewKey, ObjectMetadata, ObjectTypeName};
use casemate_protocol::{KeyId, Label};

ffi::calls! { "Keys"
    /// Writes a text to a label of 24 bytes: its first 24 bytes, padded with zeros.
    fn casemate_label_set(; label: ffi::ArrayOut<24>, text: Text) {
        *label = Label::from_bytes(text).0;
        Ok(())
    }

    /// Puts a key into the server's cache, replacing the key of the same identifier. The server forgets it at the end of
    /// the session unless it is committed. Key and 40 bytes fit a packet.
    fn casemate_key_cache(client; what: In<NewKey>, key[length]: Bytes, id: Out<u16>) {
        *id = client.key_cache(&what.get(), key)?.0;
        Ok(())
    }

    /// Has the server put a random key of `length` bytes into its cache.
    fn casemate_key_cache_random(client; what: In<NewKey>, length: u16, id: Out<u16>) {
        *id = client.key_cache_random(&what.get(), length)?.0;
        Ok(())
    }

    /// Drops a key from the cache. A committed key comes back when it is used.
    fn casemate_key_evict(client; id: KeyId) {
        Ok(client.key_evict(id)?)
    }

    /// Stores a cached key in non-volatile memory, so that it outlives the session.
    fn casemate_key_commit(client; id: KeyId) {
        Ok(client.key_commit(id)?)
    }

    /// Removes a key from cache and non-volatile memory. It is not an error if there is none.
    fn casemate_key_erase(client; id: KeyId) {
        Ok(client.key_erase(id)?)
    }

    /// Takes all usage from a key, for good.
    fn casemate_key_revoke(client; id: KeyId) {
        Ok(client.key_revoke(id)?)
    }

    /// Reads a key that may leave the server. `label` may be null.
    fn casemate_key_export(client; id: KeyId, key[length]: Output<'_>, label: ArrayOutOptional<24>) {
        let found = key.fill_with(|bytes| client.key_export(id, bytes))?;
        if let Some(label) = label {
            *label = found.0;
        }
        Ok(())
    }

    /// Reads the public half of a key: SubjectPublicKeyInfo for most algorithms. The server does not know which
    /// algorithm a key is for, so the caller says it. `label` may be null.
    fn casemate_key_export_public(client; id: KeyId, algorithm: KeyAlgorithmName, key[length]: Output<'_>, label: ArrayOutOptional<24>) {
        let found = key.fill_with(|bytes| client.key_export_public(id, algorithm, bytes))?;
        if let Some(label) = label {
            *label = found.0;
        }
        Ok(())
    }

    /// Wraps a key of the caller's with the server's key `kek`; the blob is 60 bytes longer than the key. `metadata` says
    /// what the key shall be once it is unwrapped; its identifier is of the type CASEMATE_OBJECT_WRAPPED (0x4000 plus
    /// 256 times the client plus a number), its length is ignored.
    fn casemate_key_wrap(client; kek: KeyId, metadata: In<ObjectMetadata>, key[length]: Bytes, blob[blob_length]: Output<'_>) {
        blob.fill(|bytes| client.key_wrap(kek, &metadata.get(), key, bytes))
    }

    /// Wraps the server's key `id` with its trusted key `kek`.
    fn casemate_key_wrap_export(client; kek: KeyId, id: KeyId, kind: ObjectTypeName, blob[blob_length]: Output<'_>) {
        blob.fill(|bytes| client.key_wrap_export(kek, id, kind, bytes))
    }

    /// Unwraps a key and returns it. `metadata` may be null.
    fn casemate_key_unwrap_export(client; kek: KeyId, blob[blob_length]: Bytes, key[length]: Output<'_>, metadata: Optional<ObjectMetadata>) {
        let found = key.fill_with(|bytes| client.key_unwrap_export(kek, blob, bytes))?;
        if let Some(metadata) = metadata {
            *metadata = found.into();
        }
        Ok(())
    }

    /// Unwraps a key into the server's cache with the trusted key `kek`.
    fn casemate_key_unwrap_cache(client; kek: KeyId, blob[blob_length]: Bytes, id: Out<u16>) {
        *id = client.key_unwrap_cache(kek, blob)?.0;
        Ok(())
    }

    /// Wraps data with the server's key `kek`; the blob is 28 bytes longer. Whoever may use `kek` can unwrap it.
    fn casemate_data_wrap(client; kek: KeyId, data[length]: Bytes, blob[blob_length]: Output<'_>) {
        blob.fill(|bytes| client.data_wrap(kek, data, bytes))
    }

    /// Unwraps data with the server's key `kek`.
    fn casemate_data_unwrap(client; kek: KeyId, blob[blob_length]: Bytes, data[length]: Output<'_>) {
        data.fill(|bytes| client.data_unwrap(kek, blob, bytes))
    }
}
