//! Keys in the server's cache and store: import, generate, export, commit, erase, revoke, wrap (document 03, §5 to
//! §9).

use crate::client::deliver;
use crate::operation::{demand, length_u16, length_u32, tail};
use crate::{Argument, Client, Error, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::Request;
use casemate_protocol::message::key::{
    CacheRandomRequest, CacheRequest, CacheResponse, CommitRequest, DataUnwrapRequest, DataWrapRequest,
    DataWrapResponse, DoneResponse, EraseRequest, EvictRequest, ExportPublicRequest, ExportRequest,
    ExportResponse, KeyAlgorithm, RevokeRequest, RevokeResponse, UnwrapCacheRequest, UnwrapCacheResponse,
    UnwrapExportRequest, UnwrapExportResponse, WRAP_CIPHER_AES_GCM, WRAP_HEADER_SIZE, WRAPPED_KEY_OVERHEAD,
    WrapExportRequest, WrapRequest, WrapResponse,
};
use casemate_protocol::{Flags, KeyId, Kind, Label, Layout, Metadata, ObjectType};
use casemate_transport::{ClientTransport, Clock};

/// What a key that is about to enter the server's cache shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewKey {
    /// Its identifier, with flags such as [`KeyId::GLOBAL`]; number 0 lets the server choose.
    pub id: KeyId,
    /// What it may be used for and how it is protected. A key without a usage flag can do nothing.
    pub flags: Flags,
    /// Its label.
    pub label: Label,
}

impl NewKey {
    /// The label's length up to its last byte that is not zero.
    pub(crate) fn label_length(&self) -> u32 {
        let zeros = self.label.0.iter().rev().take_while(|&&byte| byte == 0).count();
        length_u32(self.label.0.len().saturating_sub(zeros))
    }
}

/// A key as it was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported<'r> {
    /// The key's bytes.
    pub key: &'r [u8],
    /// Its label.
    pub label: Label,
}

/// A key as it was unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwrapped<'r> {
    /// The key's bytes.
    pub key: &'r [u8],
    /// Its metadata.
    pub metadata: Metadata,
}

/// A key that exists must be named.
pub(crate) fn named(id: KeyId) -> Result<KeyId, Argument> {
    if id.is_some() { Ok(id) } else { Err(Argument::KeyId) }
}

/// A key-encryption key may have number 0 in a hardware key store (document 03, §9).
fn kek(id: KeyId) -> Result<KeyId, Argument> {
    if id.0 & KeyId::HARDWARE != 0 { Ok(id) } else { named(id) }
}

pub(crate) fn cached(response: Response<'_>) -> Result<KeyId, ResponseFault> {
    let (CacheResponse { id, .. }, _) = response.fixed()?;
    demand(id.is_some())?;
    Ok(id)
}

fn exported(response: Response<'_>) -> Result<Exported<'_>, ResponseFault> {
    let (ExportResponse { length, label, .. }, rest) = response.fixed()?;
    Ok(Exported { key: tail(rest).take_u32(length)?, label })
}

fn wrapped(response: Response<'_>) -> Result<&[u8], ResponseFault> {
    let (WrapResponse { length, cipher, .. }, rest) = response.fixed()?;
    demand(cipher == WRAP_CIPHER_AES_GCM)?;
    Ok(tail(rest).take(usize::from(length))?)
}

/// Puts a key into the cache; yields its identifier.
#[derive(Clone, Copy)]
pub struct Cache<'a> {
    /// What it shall be.
    pub new: NewKey,
    /// Its bytes, at least 1 and at most the packet data length less 40.
    pub key: &'a [u8],
}

impl Operation for Cache<'_> {
    const KIND: Kind = CacheRequest::KIND;
    type Output<'r> = KeyId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.key.is_empty() {
            return Err(Argument::KeyLength);
        }
        let NewKey { id, flags, label } = self.new;
        request.mark_secret();
        request.put(&CacheRequest {
            flags: u32::from(flags.0),
            length: length_u32(self.key.len()),
            label_length: self.new.label_length(),
            id,
            label,
        });
        request.put_bytes(self.key);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<KeyId, ResponseFault> {
        cached(response)
    }
}

/// Puts a random key into the cache; yields its identifier.
#[derive(Debug, Clone, Copy)]
pub struct CacheRandom {
    /// What it shall be.
    pub new: NewKey,
    /// Its length in bytes, at least 1.
    pub length: u16,
}

impl Operation for CacheRandom {
    const KIND: Kind = CacheRandomRequest::KIND;
    type Output<'r> = KeyId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.length == 0 {
            return Err(Argument::KeyLength);
        }
        let NewKey { id, flags, label } = self.new;
        request.put(&CacheRandomRequest {
            flags: u32::from(flags.0),
            label_length: self.new.label_length(),
            length: self.length,
            id,
            label,
        });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<KeyId, ResponseFault> {
        cached(response)
    }
}

macro_rules! plain_key_operations {
    ($( $(#[$meta:meta])* $name:ident: $request:ident => $response:ident; )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// The key.
            pub id: KeyId,
        }

        impl Operation for $name {
            const KIND: Kind = $request::KIND;
            type Output<'r> = ();

            fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
                request.put(&$request { id: named(self.id)? });
                Ok(())
            }

            fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
                response.fixed::<$response>().map(|_| ())
            }
        }
    )*};
}

plain_key_operations! {
    /// Drops a key from the cache.
    Evict: EvictRequest => DoneResponse;
    /// Stores a cached key in non-volatile memory.
    Commit: CommitRequest => DoneResponse;
    /// Removes a key from cache and non-volatile memory.
    Erase: EraseRequest => DoneResponse;
    /// Takes all usage from a key, for good.
    Revoke: RevokeRequest => RevokeResponse;
}

/// Reads a key.
#[derive(Debug, Clone, Copy)]
pub struct Export {
    /// The key.
    pub id: KeyId,
}

impl Operation for Export {
    const KIND: Kind = ExportRequest::KIND;
    type Output<'r> = Exported<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret();
        request.put(&ExportRequest { id: named(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Exported<'r>, ResponseFault> {
        exported(response)
    }
}

/// Reads a key's public half.
#[derive(Debug, Clone, Copy)]
pub struct ExportPublic {
    /// The key.
    pub id: KeyId,
    /// Which algorithm it is for; the store does not know.
    pub algorithm: KeyAlgorithm,
}

impl Operation for ExportPublic {
    const KIND: Kind = ExportPublicRequest::KIND;
    type Output<'r> = Exported<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&ExportPublicRequest { id: named(self.id)?, algorithm: self.algorithm.0 });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Exported<'r>, ResponseFault> {
        exported(response)
    }
}

/// Wraps a key that the client supplies; yields the blob.
#[derive(Clone, Copy)]
pub struct Wrap<'a> {
    /// The key-encryption key.
    pub kek: KeyId,
    /// What the key shall be once it is unwrapped. The identifier is a server-side one of the type
    /// [`ObjectType::WRAPPED`]; the length is taken from the key.
    pub metadata: Metadata,
    /// The key's bytes, at most the packet data length less 68.
    pub key: &'a [u8],
}

impl Operation for Wrap<'_> {
    const KIND: Kind = WrapRequest::KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.metadata.id.object_type() != ObjectType::WRAPPED {
            return Err(Argument::WrappedType);
        }
        let length = length_u16(self.key.len());
        request.mark_secret();
        request.put(&WrapRequest { length, kek: kek(self.kek)?, cipher: WRAP_CIPHER_AES_GCM });
        request.put_field(Metadata { length, ..self.metadata });
        request.put_bytes(self.key);
        let response = WrapResponse::SIZE.saturating_add(WRAPPED_KEY_OVERHEAD);
        request.expect_response(response.saturating_add(self.key.len()));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        wrapped(response)
    }
}

/// Wraps a key that the server holds; yields the blob.
#[derive(Debug, Clone, Copy)]
pub struct WrapExport {
    /// The key-encryption key, which must be a trusted one.
    pub kek: KeyId,
    /// The key to wrap.
    pub id: KeyId,
    /// Its type: [`ObjectType::CRYPTO`] or [`ObjectType::SHE`]; [`KeyId::WRAPPED`] overrides it.
    pub object_type: ObjectType,
}

impl Operation for WrapExport {
    const KIND: Kind = WrapExportRequest::KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        // SHE slot 0 is a key.
        let id = if self.object_type == ObjectType::SHE { self.id } else { named(self.id)? };
        request.put(&WrapExportRequest {
            id,
            object_type: u16::from(self.object_type.0),
            kek: kek(self.kek)?,
            cipher: WRAP_CIPHER_AES_GCM,
        });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        wrapped(response)
    }
}

/// Unwraps a key and returns it.
#[derive(Debug, Clone, Copy)]
pub struct UnwrapExport<'a> {
    /// The key-encryption key.
    pub kek: KeyId,
    /// The blob.
    pub blob: &'a [u8],
}

impl Operation for UnwrapExport<'_> {
    const KIND: Kind = UnwrapExportRequest::KIND;
    type Output<'r> = Unwrapped<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret();
        request.put(&UnwrapExportRequest {
            length: length_u16(self.blob.len()),
            kek: kek(self.kek)?,
            cipher: WRAP_CIPHER_AES_GCM,
        });
        request.put_bytes(self.blob);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Unwrapped<'r>, ResponseFault> {
        let (UnwrapExportResponse { length, cipher, metadata, .. }, rest) = response.fixed()?;
        demand(cipher == WRAP_CIPHER_AES_GCM)?;
        Ok(Unwrapped { key: tail(rest).take(usize::from(length))?, metadata })
    }
}

/// Unwraps a key into the cache; yields its identifier.
#[derive(Debug, Clone, Copy)]
pub struct UnwrapCache<'a> {
    /// The key-encryption key, which must be a trusted one.
    pub kek: KeyId,
    /// The blob.
    pub blob: &'a [u8],
}

impl Operation for UnwrapCache<'_> {
    const KIND: Kind = UnwrapCacheRequest::KIND;
    type Output<'r> = KeyId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&UnwrapCacheRequest {
            length: length_u16(self.blob.len()),
            kek: kek(self.kek)?,
            cipher: WRAP_CIPHER_AES_GCM,
        });
        request.put_bytes(self.blob);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<KeyId, ResponseFault> {
        let (UnwrapCacheResponse { id, cipher, .. }, _) = response.fixed()?;
        demand(cipher == WRAP_CIPHER_AES_GCM)?;
        Ok(id) // A bare SHE slot may be 0.
    }
}

/// Wraps data; yields the blob.
#[derive(Clone, Copy)]
pub struct DataWrap<'a> {
    /// The key-encryption key.
    pub kek: KeyId,
    /// The data, at most the packet data length less 40.
    pub data: &'a [u8],
}

impl Operation for DataWrap<'_> {
    const KIND: Kind = DataWrapRequest::KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret();
        request.put(&DataWrapRequest {
            length: length_u32(self.data.len()),
            kek: kek(self.kek)?,
            cipher: WRAP_CIPHER_AES_GCM,
        });
        request.put_bytes(self.data);
        let response = DataWrapResponse::SIZE.saturating_add(WRAP_HEADER_SIZE);
        request.expect_response(response.saturating_add(self.data.len()));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (DataWrapResponse { length, cipher, .. }, rest) = response.fixed()?;
        demand(cipher == WRAP_CIPHER_AES_GCM)?;
        Ok(tail(rest).take_u32(length)?)
    }
}

/// Unwraps data; yields it.
#[derive(Debug, Clone, Copy)]
pub struct DataUnwrap<'a> {
    /// The key-encryption key.
    pub kek: KeyId,
    /// The blob, at most the packet data length less 8.
    pub blob: &'a [u8],
}

impl Operation for DataUnwrap<'_> {
    const KIND: Kind = DataUnwrapRequest::KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret();
        request.put(&DataUnwrapRequest {
            length: length_u32(self.blob.len()),
            kek: kek(self.kek)?,
            cipher: WRAP_CIPHER_AES_GCM,
        });
        request.put_bytes(self.blob);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (DataWrapResponse { length, cipher, .. }, rest) = response.fixed()?;
        demand(cipher == WRAP_CIPHER_AES_GCM)?;
        Ok(tail(rest).take_u32(length)?)
    }
}

/// The length of an exported or unwrapped key, and its label or metadata.
type Read<Description, E> = Result<(usize, Description), Error<E>>;

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Carries out an operation that yields bytes and copies them to `out`.
    fn fetch<O>(&mut self, operation: &O, out: &mut [u8]) -> Result<usize, Error<T::Error>>
    where
        O: for<'r> Operation<Output<'r> = &'r [u8]>,
    {
        let length = self.run(operation).and_then(|outcome| deliver(outcome, out));
        self.wipe();
        length
    }

    /// Puts `key` into the server's cache, replacing the key of the same identifier, and returns its identifier.
    /// The server forgets it at the end of the session unless it is committed
    /// ([`key_commit`](Self::key_commit)). The key must fit one packet: at most
    /// [`data_length`](Self::data_length) less 40 bytes. The packet buffer is wiped afterwards.
    ///
    /// # Errors
    /// - [`Argument::KeyLength`] for an empty key; [`Error::TooLong`].
    /// - `NO_SPACE` (cache full), `ACCESS` (the key there may not be replaced) or `BAD_ARGUMENTS` (larger than any
    ///   cache slot) from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn key_cache(&mut self, new: &NewKey, key: &[u8]) -> Result<KeyId, Error<T::Error>> {
        self.run(&Cache { new: *new, key })
    }

    /// Has the server put a random key of `length` bytes into its cache and returns its identifier.
    ///
    /// # Errors
    /// As [`key_cache`](Self::key_cache); `RNG_FAILURE` or `NOT_IMPLEMENTED` from a server without random numbers.
    pub fn key_cache_random(&mut self, new: &NewKey, length: u16) -> Result<KeyId, Error<T::Error>> {
        self.run(&CacheRandom { new: *new, length })
    }

    /// Drops a key from the cache. A committed key stays in non-volatile memory and comes back when it is used.
    ///
    /// # Errors
    /// [`Argument::KeyId`] if `id` names no key; `NOT_FOUND` or `ACCESS` from the server; and the errors of every
    /// request ([`Client::run`]).
    pub fn key_evict(&mut self, id: KeyId) -> Result<(), Error<T::Error>> {
        self.run(&Evict { id })
    }

    /// Stores a cached key in non-volatile memory, so that it outlives the session.
    ///
    /// # Errors
    /// [`Argument::KeyId`] if `id` names no key; `NOT_FOUND`, `NO_SPACE`, `ACCESS`, or `ABORTED` (a wrapped key)
    /// from the server; and the errors of every request ([`Client::run`]).
    pub fn key_commit(&mut self, id: KeyId) -> Result<(), Error<T::Error>> {
        self.run(&Commit { id })
    }

    /// Removes a key from cache and non-volatile memory. It is not an error if there is none.
    ///
    /// # Errors
    /// [`Argument::KeyId`] if `id` names no key; `ACCESS`, or `ABORTED` (a wrapped key) from the server; and the
    /// errors of every request ([`Client::run`]).
    pub fn key_erase(&mut self, id: KeyId) -> Result<(), Error<T::Error>> {
        self.run(&Erase { id })
    }

    /// Takes all usage from a key, for good, and makes it unmodifiable. It can still be exported if its flags
    /// allow that.
    ///
    /// # Errors
    /// [`Argument::KeyId`] if `id` names no key; `NOT_FOUND`, `NO_SPACE` or `ACCESS` from the server; and the
    /// errors of every request ([`Client::run`]).
    pub fn key_revoke(&mut self, id: KeyId) -> Result<(), Error<T::Error>> {
        self.run(&Revoke { id })
    }

    /// Reads a key into the front of `out` and returns its length in bytes and its label. The packet buffer is
    /// wiped afterwards.
    ///
    /// # Errors
    /// - [`Argument::KeyId`] if `id` names no key; [`Error::OutputTooSmall`].
    /// - `NOT_FOUND`, `ACCESS` (not exportable) or `NO_SPACE` (longer than a packet) from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn key_export(&mut self, id: KeyId, out: &mut [u8]) -> Read<Label, T::Error> {
        let outcome =
            self.run(&Export { id }).and_then(|exported| Ok((deliver(exported.key, out)?, exported.label)));
        self.wipe();
        outcome
    }

    /// Reads the public half of a key into the front of `out` and returns its length in bytes and its label. The
    /// server does not know which algorithm a key is for, so the caller says it. The form is that of document 03,
    /// §12.3: SubjectPublicKeyInfo (RFC 5280) for most algorithms.
    ///
    /// # Errors
    /// As [`key_export`](Self::key_export), and a decoding error from the server if the key is for another
    /// algorithm.
    pub fn key_export_public(
        &mut self,
        id: KeyId,
        algorithm: KeyAlgorithm,
        out: &mut [u8],
    ) -> Read<Label, T::Error> {
        let exported = self.run(&ExportPublic { id, algorithm })?;
        Ok((deliver(exported.key, out)?, exported.label))
    }

    /// Wraps `key` with the server's key `kek`, writes the blob to the front of `out` and returns the blob's
    /// length, 60 bytes more than the key's. `metadata` says what the key shall be once it is unwrapped; its
    /// identifier is a server-side one of the type [`ObjectType::WRAPPED`], its length is ignored.
    ///
    /// # Errors
    /// - [`Argument::WrappedType`], [`Argument::KeyId`], [`Error::TooLong`], [`Error::OutputTooSmall`].
    /// - `NOT_FOUND`, `USAGE` (`kek` may not wrap), `BAD_ARGUMENTS` (longer than the server wraps) from the
    ///   server.
    /// - The errors of every request ([`Client::run`]).
    pub fn key_wrap(
        &mut self,
        kek: KeyId,
        metadata: &Metadata,
        key: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error<T::Error>> {
        self.fetch(&Wrap { kek, metadata: *metadata, key }, out)
    }

    /// Wraps the server's key `id` with the trusted key `kek`, writes the blob to the front of `out` and returns
    /// the blob's length in bytes.
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Error::OutputTooSmall`].
    /// - `NOT_FOUND`, `USAGE`, `ACCESS` (`kek` is not trusted, or the key not exportable) from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn key_wrap_export(
        &mut self,
        kek: KeyId,
        id: KeyId,
        object_type: ObjectType,
        out: &mut [u8],
    ) -> Result<usize, Error<T::Error>> {
        self.fetch(&WrapExport { kek, id, object_type }, out)
    }

    /// Unwraps a key with the server's key `kek`, writes it to the front of `out` and returns its length in bytes
    /// and its metadata. The packet buffer is wiped afterwards.
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Error::TooLong`], [`Error::OutputTooSmall`].
    /// - `AES_GCM_AUTHENTICATION` (wrong `kek`, or a damaged blob), `ACCESS` (not exportable, or another client's),
    ///   `NOT_FOUND`, `USAGE`, `BAD_ARGUMENTS` from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn key_unwrap_export(&mut self, kek: KeyId, blob: &[u8], out: &mut [u8]) -> Read<Metadata, T::Error> {
        let outcome = self
            .run(&UnwrapExport { kek, blob })
            .and_then(|unwrapped| Ok((deliver(unwrapped.key, out)?, unwrapped.metadata)));
        self.wipe();
        outcome
    }

    /// Unwraps a key into the server's cache with the trusted key `kek` and returns its identifier.
    ///
    /// # Errors
    /// As [`key_unwrap_export`](Self::key_unwrap_export); `ABORTED` from the server if the key is cached already,
    /// `NO_SPACE` if the cache is full.
    pub fn key_unwrap_cache(&mut self, kek: KeyId, blob: &[u8]) -> Result<KeyId, Error<T::Error>> {
        self.run(&UnwrapCache { kek, blob })
    }

    /// Wraps `data` with the server's key `kek`, writes the blob to the front of `out` and returns the blob's
    /// length, 28 bytes more than the data's. Whoever may use `kek` can unwrap it.
    ///
    /// # Errors
    /// As [`key_wrap`](Self::key_wrap).
    pub fn data_wrap(&mut self, kek: KeyId, data: &[u8], out: &mut [u8]) -> Result<usize, Error<T::Error>> {
        self.fetch(&DataWrap { kek, data }, out)
    }

    /// Unwraps data with the server's key `kek`, writes it to the front of `out` and returns its length in bytes.
    ///
    /// The original server of 2026-08 reports success but returns wrong bytes for 32 bytes of data or more; the
    /// blobs it makes are right, and other servers open them.
    ///
    /// # Errors
    /// As [`key_unwrap_export`](Self::key_unwrap_export).
    pub fn data_unwrap(&mut self, kek: KeyId, blob: &[u8], out: &mut [u8]) -> Result<usize, Error<T::Error>> {
        self.fetch(&DataUnwrap { kek, blob }, out)
    }
}
