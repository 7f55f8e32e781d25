//! Wrapped keys and wrapped data (document 03, §7 and §9): AES-GCM under a key-encryption key (KEK) that the server
//! holds. A blob is the initialisation vector, the tag, then the ciphertext; the additional authenticated data keeps
//! wrapped keys and wrapped data apart.
//!
//! Every response repeats the request's cipher, failures included, because clients look at it before the status.
//! Plaintext is only ever written to the response buffer, which is wiped again where it does not leave the server.

use crate::audit::Event;
use crate::config::Isolation;
use crate::context::Context;
use crate::error::crypto_status;
use crate::hardware_keys::HardwareKeyFault;
use crate::keys::{KeyStore, Source, Usage};
use crate::platform::{Affinity, Platform};
use casemate_crypto::{Secret, wipe};
use casemate_protocol::message::key::{
    DATA_WRAP_CONTEXT, DataUnwrapRequest, DataWrapRequest, DataWrapResponse, KEY_WRAP_CONTEXT,
    UnwrapCacheRequest, UnwrapCacheResponse, UnwrapExportRequest, UnwrapExportResponse, WRAP_CIPHER_AES_GCM,
    WRAP_HEADER_SIZE, WRAPPED_KEY_OVERHEAD, WrapExportRequest, WrapRequest, WrapResponse,
};
use casemate_protocol::{
    ByteOrder, ClientId, Field, Flags, KeyId, Layout, Metadata, ObjectId, ObjectType, Reader, Status, Writer,
};

const IV_SIZE: usize = 12;
const TAG_SIZE: usize = 16;
const _: () = assert!(IV_SIZE + TAG_SIZE == WRAP_HEADER_SIZE);

/// A key-encryption key: its bytes and their number.
type Kek = (Secret<32>, usize);

impl<P: Platform> KeyStore<'_, P> {
    /// A key-encryption key. It need not be cached, so a full cache is no obstacle.
    ///
    /// # Errors
    /// BAD_ARGUMENTS, NOT_FOUND, USAGE, ACCESS, CRYPTO_ARGUMENT for a length that AES does not know, in this order
    /// (document 03, §9).
    fn kek(&mut self, key: KeyId, must_be_trusted: bool) -> Result<Kek, Status> {
        let id = self.resolve(key, ObjectType::CRYPTO);
        if id.object_type() == ObjectType::HARDWARE {
            return self.hardware_kek(id);
        }
        let attributes = self.attributes(id)?;
        Usage::All(Flags::USAGE_WRAP).check(attributes.flags)?;
        if must_be_trusted && !attributes.flags.contains(Flags::TRUSTED) {
            return Err(Status::ACCESS);
        }
        if !matches!(attributes.length, 16 | 24 | 32) {
            return Err(Status::CRYPTO_ARGUMENT);
        }
        let mut bytes = Secret::<32>::zero();
        let length = self.fetch(key, Usage::All(Flags::USAGE_WRAP), bytes.as_mut_slice())?;
        Ok((bytes, length))
    }

    /// A key-encryption key from hardware, which is trusted and needs no usage flag.
    ///
    /// # Errors
    /// NOT_FOUND without a hardware key store; AUTH_PERMISSION; what the store answers; CRYPTO_ARGUMENT for a length that
    /// AES does not know.
    fn hardware_kek(&mut self, id: ObjectId) -> Result<Kek, Status> {
        *self.subject = id;
        self.permitted(id)?;
        let store = self.recorder.platform.hardware_keys().ok_or(Status::NOT_FOUND)?;
        let mut bytes = Secret::<32>::zero();
        let length = store.read(id, &mut bytes).map_err(HardwareKeyFault::status)?;
        if matches!(length, 16 | 24 | 32) { Ok((bytes, length)) } else { Err(Status::CRYPTO_ARGUMENT) }
    }
}

fn check_cipher(cipher: u16) -> Result<(), Status> {
    if cipher == WRAP_CIPHER_AES_GCM { Ok(()) } else { Err(Status::BAD_ARGUMENTS) }
}

/// A blob in its three parts.
struct Parts<'a> {
    iv: &'a mut [u8],
    tag: &'a mut [u8],
    text: &'a mut [u8],
}

fn parts(blob: &mut [u8]) -> Result<Parts<'_>, Status> {
    let (iv, rest) = blob.split_at_mut_checked(IV_SIZE).ok_or(Status::BUFFER_SIZE)?;
    let (tag, text) = rest.split_at_mut_checked(TAG_SIZE).ok_or(Status::BUFFER_SIZE)?;
    Ok(Parts { iv, tag, text })
}

/// Makes a blob of one whose text is still plain.
fn seal<P: Platform>(context: &Context<'_, P>, kek: &Kek, aad: &[u8], blob: &mut [u8]) -> Result<(), Status> {
    let Parts { iv, tag, text } = parts(blob)?;
    let driver = context.crypto(Affinity::Accelerated);
    let key = kek.0.get(..kek.1).unwrap_or_default();
    driver.fill(iv).map_err(crypto_status)?;
    driver.gcm_seal(key, iv, aad, text, tag).map_err(crypto_status)
}

/// Decrypts a blob into `text`, which has exactly the plaintext's length and holds nothing of it after an error.
fn open<P: Platform>(
    context: &Context<'_, P>,
    kek: &Kek,
    aad: &[u8],
    blob: &[u8],
    text: &mut [u8],
) -> Result<(), Status> {
    let (iv, rest) = blob.split_at_checked(IV_SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let (tag, ciphertext) = rest.split_at_checked(TAG_SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    if ciphertext.len() != text.len() {
        return Err(Status::BAD_ARGUMENTS);
    }
    text.copy_from_slice(ciphertext);
    let key = kek.0.get(..kek.1).unwrap_or_default();
    let result = context.crypto(Affinity::Accelerated).gcm_open(key, iv, aad, text, tag);
    result.map_err(|error| {
        wipe(text);
        crypto_status(error)
    })
}

/// Inside a blob, metadata is little-endian whatever the client's order.
fn write_metadata(metadata: Metadata, out: &mut [u8]) -> Result<(), Status> {
    metadata.put(&mut Writer::new(out, ByteOrder::Little)).map_err(|_| Status::BUFFER_SIZE)
}

fn read_metadata(text: &[u8]) -> Result<Metadata, Status> {
    Metadata::get(&mut Reader::new(text, ByteOrder::Little)).map_err(|_| Status::BAD_ARGUMENTS)
}

/// The room for a blob of `size` bytes behind a response's fixed part.
fn room(out: &mut [u8], fixed: usize, size: usize) -> Result<&mut [u8], Status> {
    out.get_mut(fixed..).and_then(|rest| rest.get_mut(..size)).ok_or(Status::BUFFER_SIZE)
}

/// Writes the fixed part that `fixed` makes of status and size in front of the `size` bytes that stand behind it; of a
/// failure, the fixed part alone.
fn respond<P: Platform, L: Layout>(
    context: &Context<'_, P>,
    result: Result<usize, Status>,
    out: &mut [u8],
    fixed: impl FnOnce(Status, usize) -> L,
) -> usize {
    let size = result.unwrap_or(0);
    let status = result.err().unwrap_or(Status::OK);
    context.put(&fixed(status, size), out).saturating_add(size)
}

fn wrapped<P: Platform>(
    context: &Context<'_, P>,
    cipher: u16,
    result: Result<usize, Status>,
    out: &mut [u8],
) -> usize {
    respond(context, result, out, |status, size| WrapResponse {
        status,
        length: u16::try_from(size).unwrap_or(0),
        cipher,
    })
}

pub(super) fn wrap<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let order = context.order;
    let Ok((request, tail)) = WrapRequest::decode(payload, order) else {
        return wrapped(context, 0, Err(Status::BAD_ARGUMENTS), out);
    };
    let result = (|| {
        if usize::from(request.length) > context.server.config().wrap_key_limit {
            return Err(Status::BAD_ARGUMENTS);
        }
        let (metadata, key) = request.tails(Reader::new(tail, order)).map_err(|_| Status::BUFFER_SIZE)?;
        if metadata.id.object_type() != ObjectType::WRAPPED {
            return Err(Status::BAD_ARGUMENTS);
        }
        check_cipher(request.cipher)?;
        let size = key.len().saturating_add(WRAPPED_KEY_OVERHEAD);
        let blob = room(out, WrapResponse::SIZE, size)?;
        // A blob names its owner; one client must not make keys that another takes for its own.
        let owner = metadata.id.owner();
        let is_foreign = owner != context.client() && owner != ClientId::NONE;
        if is_foreign && context.server.config().isolation == Isolation::Strict {
            return Err(Status::ACCESS);
        }
        let kek = context.locked(|keys| keys.kek(request.kek, false))?;
        let Parts { text, .. } = parts(blob)?;
        let (record, rest) = text.split_at_mut_checked(Metadata::SIZE).ok_or(Status::BUFFER_SIZE)?;
        write_metadata(metadata, record)?;
        rest.copy_from_slice(key);
        seal(context, &kek, KEY_WRAP_CONTEXT, blob)?;
        context.record(Event::KeyWrapped { key: metadata.id, kek: context.key_id(request.kek) });
        Ok(size)
    })();
    wrapped(context, request.cipher, result, out)
}

pub(super) fn wrap_export<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let Ok((request, _)) = WrapExportRequest::decode(payload, context.order) else {
        return wrapped(context, 0, Err(Status::BAD_ARGUMENTS), out);
    };
    let server = context.server;
    let limit = server.config().wrap_key_limit;
    let result = (|| {
        let rest = out.get_mut(WrapResponse::SIZE..).unwrap_or_default();
        let Parts { text, .. } = parts(rest)?;
        let (record, key) = text.split_at_mut_checked(Metadata::SIZE).ok_or(Status::BUFFER_SIZE)?;
        let (kek, length, key) = context.locked(|keys| {
            let [_, low] = request.object_type.to_be_bytes();
            let id = keys.resolve(request.id, ObjectType(low & 0x0F));
            let (id, wrapped_id) = match id.object_type() {
                ObjectType::CRYPTO | ObjectType::WRAPPED => (id, id.with_type(ObjectType::WRAPPED)),
                #[cfg(feature = "she")]
                ObjectType::SHE => {
                    let id = crate::group::she::slot_id(&server.config().she, keys.client, id.number());
                    (id, id)
                }
                _ => return Err(Status::BAD_ARGUMENTS),
            };
            let room = key.len().min(limit);
            let metadata = keys.export(id, key.get_mut(..room).unwrap_or_default())?;
            check_cipher(request.cipher)?;
            let kek = keys.kek(request.kek, true)?;
            write_metadata(Metadata { id: wrapped_id, ..metadata }, record)?;
            Ok((kek, metadata.length, id))
        })?;
        let size = usize::from(length).saturating_add(WRAPPED_KEY_OVERHEAD);
        seal(context, &kek, KEY_WRAP_CONTEXT, room(out, WrapResponse::SIZE, size)?)?;
        context.record(Event::KeyWrapped { key, kek: context.key_id(request.kek) });
        Ok(size)
    })();
    if result.is_err() {
        wipe(out);
    }
    wrapped(context, request.cipher, result, out)
}

pub(super) fn unwrap_export<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let failed =
        |status, cipher| UnwrapExportResponse { status, length: 0, cipher, metadata: Metadata::default() };
    let Ok((request, tail)) = UnwrapExportRequest::decode(payload, context.order) else {
        return context.put(&failed(Status::BAD_ARGUMENTS, 0), out);
    };
    let fixed = UnwrapExportResponse::SIZE.saturating_sub(Metadata::SIZE);
    let result = (|| {
        let blob = tail.get(..usize::from(request.length)).ok_or(Status::BUFFER_SIZE)?;
        check_cipher(request.cipher)?;
        let length = blob.len().checked_sub(WRAPPED_KEY_OVERHEAD).ok_or(Status::BAD_ARGUMENTS)?;
        let text = room(out, fixed, length.saturating_add(Metadata::SIZE))?;
        let kek = context.locked(|keys| keys.kek(request.kek, false))?;
        if length > context.server.config().wrap_key_limit {
            return Err(Status::BAD_ARGUMENTS);
        }
        open(context, &kek, KEY_WRAP_CONTEXT, blob, text)?;
        let metadata = read_metadata(text)?;
        check_unwrapped(&metadata)?;
        if metadata.flags.contains(Flags::NONEXPORTABLE) {
            return Err(Status::ACCESS);
        }
        check_owner(context, &metadata)?;
        context.record(Event::KeyUnwrapped { key: metadata.id, kek: context.key_id(request.kek) });
        Ok((metadata, length))
    })();
    match result {
        Ok((metadata, size)) => {
            let length = u16::try_from(size).unwrap_or(0);
            let response =
                UnwrapExportResponse { status: Status::OK, length, cipher: request.cipher, metadata };
            context.put(&response, out).saturating_add(size)
        }
        Err(status) => {
            wipe(out);
            context.put(&failed(status, request.cipher), out)
        }
    }
}

fn check_unwrapped(metadata: &Metadata) -> Result<(), Status> {
    if metadata.id.is_unassigned() {
        return Err(Status::BAD_ARGUMENTS);
    }
    if metadata.id.object_type() != ObjectType::WRAPPED {
        return Err(Status::ABORTED);
    }
    Ok(())
}

/// A wrapped key opens for its owner, and for everyone if it is global and the server has global keys.
fn check_owner<P: Platform>(context: &Context<'_, P>, metadata: &Metadata) -> Result<(), Status> {
    let owner = metadata.id.owner();
    let is_global = owner == ClientId::NONE && context.server.config().features.global_keys;
    if owner == context.client() || is_global { Ok(()) } else { Err(Status::ACCESS) }
}

pub(super) fn unwrap_cache<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let Ok((request, tail)) = UnwrapCacheRequest::decode(payload, context.order) else {
        let response = UnwrapCacheResponse { status: Status::BAD_ARGUMENTS, id: KeyId::NONE, cipher: 0 };
        return context.put(&response, out);
    };
    let result = (|| {
        let blob = tail.get(..usize::from(request.length)).ok_or(Status::BUFFER_SIZE)?;
        check_cipher(request.cipher)?;
        let length = blob.len().checked_sub(WRAPPED_KEY_OVERHEAD).ok_or(Status::BAD_ARGUMENTS)?;
        let kek = context.locked(|keys| keys.kek(request.kek, true))?;
        if length > context.server.config().wrap_key_limit {
            return Err(Status::BAD_ARGUMENTS);
        }
        let text = room(out, 0, length.saturating_add(Metadata::SIZE))?;
        open(context, &kek, KEY_WRAP_CONTEXT, blob, text)?;
        let id = cache_unwrapped(context, request.kek, text, length);
        wipe(text);
        id
    })();
    let (status, id) = match result {
        Ok(id) => (Status::OK, id),
        Err(status) => (status, KeyId::NONE),
    };
    context.put(&UnwrapCacheResponse { status, id, cipher: request.cipher }, out)
}

/// Caches the key of an unwrapped blob, which must say that it has `length` bytes.
fn cache_unwrapped<P: Platform>(
    context: &mut Context<'_, P>,
    kek: KeyId,
    text: &[u8],
    length: usize,
) -> Result<KeyId, Status> {
    let metadata = read_metadata(text)?;
    let key = text.get(Metadata::SIZE..).unwrap_or_default();
    if usize::from(metadata.length) != length {
        return Err(Status::BAD_ARGUMENTS);
    }
    let kek = context.key_id(kek);
    #[cfg(feature = "she")]
    if metadata.id.object_type() == ObjectType::SHE {
        return cache_unwrapped_slot(context, &metadata, key, kek);
    }
    check_unwrapped(&metadata)?;
    check_owner(context, &metadata)?;
    context.locked(|keys| {
        if keys.is_cached(metadata.id) {
            return Err(Status::ABORTED);
        }
        insert_unwrapped(keys, metadata.id, &metadata, key, kek)
    })
}

fn insert_unwrapped<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    id: ObjectId,
    metadata: &Metadata,
    key: &[u8],
    kek: ObjectId,
) -> Result<KeyId, Status> {
    let flags = metadata.flags.without(Flags::SERVER_ONLY);
    keys.recorder.record(Event::KeyUnwrapped { key: id, kek });
    keys.insert(id, flags, &metadata.label, &Source::Client(key))?;
    Ok(id.to_key(keys.features))
}

/// Caches a SHE key (document 06, §9). A key in the cache that lies nowhere else is in the way; a copy of a stored one
/// is not.
#[cfg(feature = "she")]
fn cache_unwrapped_slot<P: Platform>(
    context: &mut Context<'_, P>,
    metadata: &Metadata,
    key: &[u8],
    kek: ObjectId,
) -> Result<KeyId, Status> {
    use crate::group::she::{slot_id, supersedes};
    let options = &context.server.config().she;
    let owner = metadata.id.owner();
    let is_own = owner == context.client() && owner != ClientId::NONE;
    if !(is_own || options.global_keys && owner == ClientId::NONE) {
        return Err(Status::ACCESS);
    }
    let id = slot_id(options, context.client(), metadata.id.number());
    context.locked(|keys| {
        if keys.cached(id).is_some_and(|cached| !cached.committed) {
            return Err(Status::ABORTED);
        }
        if keys.find_stored(id)?.is_some_and(|stored| !supersedes(metadata, &stored)) {
            return Err(Status::ACCESS);
        }
        insert_unwrapped(keys, id, metadata, key, kek)
    })
}

fn data_response<P: Platform>(
    context: &Context<'_, P>,
    cipher: u16,
    result: Result<usize, Status>,
    out: &mut [u8],
) -> usize {
    respond(context, result, out, |status, size| DataWrapResponse {
        status,
        length: u32::try_from(size).unwrap_or(0),
        cipher,
    })
}

pub(super) fn data_wrap<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let Ok((request, tail)) = DataWrapRequest::decode(payload, context.order) else {
        return data_response(context, 0, Err(Status::BAD_ARGUMENTS), out);
    };
    let result = (|| {
        let length = usize::try_from(request.length).map_err(|_| Status::BAD_ARGUMENTS)?;
        if length > context.server.config().wrap_data_limit {
            return Err(Status::BAD_ARGUMENTS);
        }
        let data = tail.get(..length).ok_or(Status::BUFFER_SIZE)?;
        check_cipher(request.cipher)?;
        let size = length.saturating_add(WRAP_HEADER_SIZE);
        let blob = room(out, DataWrapResponse::SIZE, size)?;
        let kek = context.locked(|keys| keys.kek(request.kek, false))?;
        parts(blob)?.text.copy_from_slice(data);
        seal(context, &kek, DATA_WRAP_CONTEXT, blob)?;
        Ok(size)
    })();
    data_response(context, request.cipher, result, out)
}

pub(super) fn data_unwrap<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let Ok((request, tail)) = DataUnwrapRequest::decode(payload, context.order) else {
        return data_response(context, 0, Err(Status::BAD_ARGUMENTS), out);
    };
    let result = (|| {
        let length = usize::try_from(request.length).map_err(|_| Status::BUFFER_SIZE)?;
        let blob = tail.get(..length).ok_or(Status::BUFFER_SIZE)?;
        check_cipher(request.cipher)?;
        let size = length.checked_sub(WRAP_HEADER_SIZE).ok_or(Status::BAD_ARGUMENTS)?;
        let text = room(out, DataWrapResponse::SIZE, size)?;
        let kek = context.locked(|keys| keys.kek(request.kek, false))?;
        if size > context.server.config().wrap_data_limit {
            return Err(Status::BAD_ARGUMENTS);
        }
        open(context, &kek, DATA_WRAP_CONTEXT, blob, text)?;
        Ok(size)
    })();
    data_response(context, request.cipher, result, out)
}
