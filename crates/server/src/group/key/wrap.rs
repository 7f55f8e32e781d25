//! Wrapped keys and wrapped data (document 03, §7 and §9): AES-GCM under a key-encryption key (KEK) that the server
//! holds. A blob is the initialisation vector, the tag, then the ciphertext; the additional authenticated data keeps
//! wrapped keys and wrapped data apart.
//!
//! Every response repeats the request's cipher, failures included, because clients look at it before the status.
//! Plaintext is only ever written to the response buffer, which is wiped again where it does not leave the server, and
//! after every failure.

use crate::audit::Event;
use crate::config::{Config, Isolation};
use crate::context::Context;
use crate::error::crypto_status;
#[cfg(feature = "she")]
use crate::group::she::{slot_id, supersedes};
use crate::hardware_keys::HardwareKeyFault;
use crate::keys::{KeyStore, Source, Usage};
use crate::platform::{Affinity, Platform};
use casemate_crypto::{Secret, wipe};
use casemate_protocol::message::key::{
    DATA_WRAP_CONTEXT, DataWrapRequest, DataWrapResponse, KEY_WRAP_CONTEXT, UnwrapExportRequest,
    UnwrapExportResponse, WRAP_CIPHER_AES_GCM, WRAP_HEADER_SIZE, WRAPPED_KEY_OVERHEAD, WrapExportRequest,
    WrapRequest, WrapResponse, action,
};
use casemate_protocol::{
    ByteOrder, ClientId, Field, Flags, KeyId, Layout, Malformed, Metadata, ObjectId, ObjectType, Reader,
    Status, Writer,
};

const IV_SIZE: usize = 12;
const TAG_SIZE: usize = 16;
const _: () = assert!(IV_SIZE + TAG_SIZE == WRAP_HEADER_SIZE);

/// A key-encryption key (KEK), filled in its place.
struct Kek {
    bytes: Secret<32>,
    length: usize,
}

impl Kek {
    const fn empty() -> Self {
        Self { bytes: Secret::zero(), length: 0 }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl<P: Platform> KeyStore<'_, P> {
    /// Reads a key-encryption key. It need not be cached, so a full cache is no obstacle.
    ///
    /// # Errors
    /// BAD_ARGUMENTS, NOT_FOUND, USAGE, ACCESS, CRYPTO_ARGUMENT for a length that AES does not know, in this order
    /// (document 03, §9).
    fn kek(&mut self, key: KeyId, must_be_trusted: bool, kek: &mut Kek) -> Result<(), Status> {
        let id = self.resolve(key, ObjectType::CRYPTO);
        if id.object_type() == ObjectType::HARDWARE {
            return self.hardware_kek(id, kek);
        }
        let attributes = self.attributes(id)?;
        Usage::All(Flags::USAGE_WRAP).check(attributes.flags)?;
        if must_be_trusted && !attributes.flags.contains(Flags::TRUSTED) {
            return Err(Status::ACCESS);
        }
        if !matches!(attributes.length, 16 | 24 | 32) {
            return Err(Status::CRYPTO_ARGUMENT);
        }
        kek.length = self.fetch(key, Usage::All(Flags::USAGE_WRAP), kek.bytes.as_mut_slice())?;
        Ok(())
    }

    /// Reads a key-encryption key from hardware, which is trusted and needs no usage flag.
    ///
    /// # Errors
    /// NOT_FOUND without a hardware key store; AUTH_PERMISSION; what the store answers; CRYPTO_ARGUMENT for a length that
    /// AES does not know.
    fn hardware_kek(&mut self, id: ObjectId, kek: &mut Kek) -> Result<(), Status> {
        *self.subject = id;
        self.permitted(id)?;
        let store = self.recorder.platform.hardware_keys().ok_or(Status::NOT_FOUND)?;
        kek.length = store.read(id, &mut kek.bytes).map_err(HardwareKeyFault::status)?;
        if matches!(kek.length, 16 | 24 | 32) { Ok(()) } else { Err(Status::CRYPTO_ARGUMENT) }
    }
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
#[inline(never)]
fn seal<P: Platform>(
    context: &Context<'_, P>,
    kek: &Kek,
    contents: Contents,
    blob: &mut [u8],
) -> Result<(), Status> {
    let Parts { iv, tag, text } = parts(blob)?;
    let driver = context.crypto(Affinity::Accelerated);
    driver.fill(iv).map_err(crypto_status)?;
    driver.gcm_seal(kek.as_slice(), iv, contents.context(), text, tag).map_err(crypto_status)
}

/// Inside a blob, metadata is little-endian whatever the client's order.
fn write_metadata(metadata: Metadata, out: &mut [u8]) -> Result<(), Status> {
    metadata.put(&mut Writer::new(out, ByteOrder::Little)).map_err(|_| Status::BUFFER_SIZE)
}

/// The room for `size` bytes behind a response's fixed part.
fn room(out: &mut [u8], contents: Contents, size: usize) -> Result<&mut [u8], Status> {
    let rest = out.get_mut(contents.offset()..).unwrap_or_default();
    rest.get_mut(..size).ok_or(Status::BUFFER_SIZE)
}

/// What sets wrapped keys and wrapped data apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contents {
    Key,
    Data,
}

impl Contents {
    const fn context(self) -> &'static [u8] {
        match self {
            Self::Key => KEY_WRAP_CONTEXT,
            Self::Data => DATA_WRAP_CONTEXT,
        }
    }

    /// What a blob adds to key or data.
    const fn overhead(self) -> usize {
        match self {
            Self::Key => WRAPPED_KEY_OVERHEAD,
            Self::Data => WRAP_HEADER_SIZE,
        }
    }

    /// Where a response has room for a blob or its text. The metadata of UNWRAP_EXPORT's response stand where the text's do.
    const fn offset(self) -> usize {
        match self {
            Self::Key => WrapResponse::SIZE,
            Self::Data => DataWrapResponse::SIZE,
        }
    }

    const fn limit(self, config: &Config) -> usize {
        match self {
            Self::Key => config.wrap_key_limit,
            Self::Data => config.wrap_data_limit,
        }
    }
}

/// A request of any of these messages.
struct Request<'p> {
    kek: KeyId,
    cipher: u16,
    /// Length of the key, the data or the blob.
    length: usize,
    /// The key of WRAP_EXPORT, and its type.
    source: (KeyId, ObjectType),
    /// What follows the fixed part.
    tail: &'p [u8],
}

impl<'p> Request<'p> {
    fn decode(action: u8, payload: &'p [u8], order: ByteOrder) -> Result<Self, Malformed> {
        let no_source = (KeyId::NONE, ObjectType::CRYPTO);
        let (length, kek, cipher, source, tail) = match action {
            action::WRAP_EXPORT => {
                let (request, tail) = WrapExportRequest::decode(payload, order)?;
                let [_, low] = request.object_type.to_be_bytes();
                (0, request.kek, request.cipher, (request.id, ObjectType(low & 0x0F)), tail)
            }
            // DATA_UNWRAP looks the same.
            action::DATA_WRAP | action::DATA_UNWRAP => {
                let (DataWrapRequest { length, kek, cipher }, tail) =
                    DataWrapRequest::decode(payload, order)?;
                (length, kek, cipher, no_source, tail)
            }
            // UNWRAP_EXPORT and UNWRAP_CACHE look the same, but for padding.
            _ => {
                let (WrapRequest { length, kek, cipher }, mut tail) = WrapRequest::decode(payload, order)?;
                if action != action::WRAP {
                    tail = payload.get(UnwrapExportRequest::SIZE..).ok_or(Malformed)?;
                }
                (u32::from(length), kek, cipher, no_source, tail)
            }
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Self { kek, cipher, length, source, tail })
    }

    fn check_cipher(&self) -> Result<(), Status> {
        if self.cipher == WRAP_CIPHER_AES_GCM { Ok(()) } else { Err(Status::BAD_ARGUMENTS) }
    }
}

/// What a response says besides status and length. Identifier and metadata stay zero after a failure.
struct Answer {
    cipher: u16,
    id: KeyId,
    metadata: Metadata,
}

/// WRAP and the messages of its kind.
#[inline(never)]
pub(super) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let mut answer = Answer { cipher: 0, id: KeyId::NONE, metadata: Metadata::default() };
    let result = run(context, action, payload, &mut answer, out);
    let (status, size) = match result {
        Ok(size) => (Status::OK, size),
        Err(status) => {
            wipe(out);
            (status, 0)
        }
    };
    let length = u32::try_from(size).unwrap_or(0);
    let Answer { cipher, id, metadata } = answer;
    let fixed = match action {
        action::DATA_WRAP | action::DATA_UNWRAP => {
            context.put(&DataWrapResponse { status, length, cipher }, out)
        }
        // UnwrapCacheResponse has the identifier in the place of the length, and UnwrapExportResponse metadata behind.
        _ => {
            let length =
                if action == action::UNWRAP_CACHE { id.0 } else { u16::try_from(length).unwrap_or(0) };
            let fixed = context.put(&WrapResponse { status, length, cipher }, out);
            if action == action::UNWRAP_EXPORT {
                let place = out.get_mut(WrapResponse::SIZE..).unwrap_or_default();
                let fits = metadata.put(&mut Writer::new(place, context.order)).is_ok();
                if fits { UnwrapExportResponse::SIZE } else { 0 }
            } else {
                fixed
            }
        }
    };
    fixed.saturating_add(size)
}

/// The size of what is in `out` behind the response's fixed part.
fn run<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    answer: &mut Answer,
    out: &mut [u8],
) -> Result<usize, Status> {
    let request = &Request::decode(action, payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    answer.cipher = request.cipher;
    match action {
        action::WRAP => wrap(context, request, out),
        action::WRAP_EXPORT => wrap_export(context, request, out),
        action::UNWRAP_EXPORT | action::UNWRAP_CACHE => {
            unwrap(context, request, action == action::UNWRAP_EXPORT, answer, out)
        }
        action::DATA_WRAP => {
            if request.length > context.server.config().wrap_data_limit {
                return Err(Status::BAD_ARGUMENTS);
            }
            let data = request.tail.get(..request.length).ok_or(Status::BUFFER_SIZE)?;
            request.check_cipher()?;
            let blob = room(out, Contents::Data, data.len().saturating_add(WRAP_HEADER_SIZE))?;
            seal_text(context, request, Contents::Data, &[], data, blob)
        }
        _ => open(context, request, Contents::Data, false, out).map(|text| text.len()),
    }
}

/// Makes a blob of `head` and `text`; returns its size.
#[inline(never)]
fn seal_text<P: Platform>(
    context: &mut Context<'_, P>,
    request: &Request<'_>,
    contents: Contents,
    head: &[u8],
    text: &[u8],
    blob: &mut [u8],
) -> Result<usize, Status> {
    let mut kek = Kek::empty();
    context.locked(|keys| keys.kek(request.kek, false, &mut kek))?;
    let (to_head, to_text) = parts(blob)?.text.split_at_mut_checked(head.len()).ok_or(Status::BUFFER_SIZE)?;
    to_head.copy_from_slice(head);
    to_text.copy_from_slice(text);
    seal(context, &kek, contents, blob)?;
    Ok(blob.len())
}

#[inline(never)]
fn wrap<P: Platform>(
    context: &mut Context<'_, P>,
    request: &Request<'_>,
    out: &mut [u8],
) -> Result<usize, Status> {
    let config = context.server.config();
    if request.length > config.wrap_key_limit {
        return Err(Status::BAD_ARGUMENTS);
    }
    let mut reader = Reader::new(request.tail, context.order);
    let metadata: Metadata = reader.get().map_err(|_| Status::BUFFER_SIZE)?;
    let key = reader.take(request.length).map_err(|_| Status::BUFFER_SIZE)?;
    if metadata.id.object_type() != ObjectType::WRAPPED {
        return Err(Status::BAD_ARGUMENTS);
    }
    request.check_cipher()?;
    let blob = room(out, Contents::Key, key.len().saturating_add(WRAPPED_KEY_OVERHEAD))?;
    // A blob names its owner; one client must not make keys that another takes for its own.
    let owner = metadata.id.owner();
    let is_foreign = owner != context.client() && owner != ClientId::NONE;
    if is_foreign && config.isolation == Isolation::Strict {
        return Err(Status::ACCESS);
    }
    let mut record = [0; Metadata::SIZE];
    write_metadata(metadata, &mut record)?;
    let size = seal_text(context, request, Contents::Key, &record, key, blob)?;
    context.record(Event::KeyWrapped { key: metadata.id, kek: context.key_id(request.kek) });
    Ok(size)
}

#[inline(never)]
fn wrap_export<P: Platform>(
    context: &mut Context<'_, P>,
    request: &Request<'_>,
    out: &mut [u8],
) -> Result<usize, Status> {
    let config = context.server.config();
    let source = request.source;
    let blob = out.get_mut(Contents::Key.offset()..).unwrap_or_default();
    let (record, key) = parts(blob)?.text.split_at_mut_checked(Metadata::SIZE).ok_or(Status::BUFFER_SIZE)?;
    let mut kek = Kek::empty();
    let (length, key) = context.locked(|keys| {
        let id = keys.resolve(source.0, source.1);
        let (id, wrapped_id) = match id.object_type() {
            ObjectType::CRYPTO | ObjectType::WRAPPED => (id, id.with_type(ObjectType::WRAPPED)),
            #[cfg(feature = "she")]
            ObjectType::SHE => {
                let id = slot_id(&config.she, keys.client, id.number());
                (id, id)
            }
            _ => return Err(Status::BAD_ARGUMENTS),
        };
        let room = key.len().min(config.wrap_key_limit);
        let mut metadata = Metadata::default();
        keys.export(id, &mut metadata, key.get_mut(..room).unwrap_or_default())?;
        request.check_cipher()?;
        keys.kek(request.kek, true, &mut kek)?;
        write_metadata(Metadata { id: wrapped_id, ..metadata }, record)?;
        Ok((metadata.length, id))
    })?;
    let size = usize::from(length).saturating_add(WRAPPED_KEY_OVERHEAD);
    seal(context, &kek, Contents::Key, blob.get_mut(..size).ok_or(Status::BUFFER_SIZE)?)?;
    context.record(Event::KeyWrapped { key, kek: context.key_id(request.kek) });
    Ok(size)
}

/// Opens a request's blob in the response, where its text stays.
#[inline(never)]
fn open<'o, P: Platform>(
    context: &mut Context<'_, P>,
    request: &Request<'_>,
    contents: Contents,
    must_be_trusted: bool,
    out: &'o mut [u8],
) -> Result<&'o mut [u8], Status> {
    let blob = request.tail.get(..request.length).ok_or(Status::BUFFER_SIZE)?;
    request.check_cipher()?;
    let length = blob.len().checked_sub(contents.overhead()).ok_or(Status::BAD_ARGUMENTS)?;
    let (iv, rest) = blob.split_at_checked(IV_SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let (tag, ciphertext) = rest.split_at_checked(TAG_SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let text = room(out, contents, ciphertext.len())?;
    let mut kek = Kek::empty();
    context.locked(|keys| keys.kek(request.kek, must_be_trusted, &mut kek))?;
    if length > contents.limit(context.server.config()) {
        return Err(Status::BAD_ARGUMENTS);
    }
    text.copy_from_slice(ciphertext);
    let driver = context.crypto(Affinity::Accelerated);
    driver.gcm_open(kek.as_slice(), iv, contents.context(), text, tag).map_err(crypto_status)?;
    Ok(text)
}

/// UNWRAP_EXPORT and UNWRAP_CACHE, for which the KEK must be trusted.
#[inline(never)]
fn unwrap<P: Platform>(
    context: &mut Context<'_, P>,
    request: &Request<'_>,
    is_export: bool,
    answer: &mut Answer,
    out: &mut [u8],
) -> Result<usize, Status> {
    let text = open(context, request, Contents::Key, !is_export, out)?;
    let metadata = Metadata::get(&mut Reader::new(text, ByteOrder::Little));
    let metadata = metadata.map_err(|_| Status::BAD_ARGUMENTS)?;
    let key = text.get(Metadata::SIZE..).unwrap_or_default();
    if !is_export && usize::from(metadata.length) != key.len() {
        return Err(Status::BAD_ARGUMENTS);
    }
    let id = unwrapped_id(context, &metadata, is_export)?;
    let kek = context.key_id(request.kek);
    if is_export {
        if metadata.flags.contains(Flags::NONEXPORTABLE) {
            return Err(Status::ACCESS);
        }
        context.record(Event::KeyUnwrapped { key: id, kek });
        answer.metadata = metadata;
        return Ok(key.len());
    }
    answer.id = context.locked(|keys| {
        // A key that lies nowhere else is in the way; a copy of a stored one, which only SHE keys have, is not.
        if keys.cached(id).is_some_and(|cached| !cached.committed) {
            return Err(Status::ABORTED);
        }
        #[cfg(feature = "she")]
        if keys.find_stored(id)?.is_some_and(|stored| !supersedes(&metadata, &stored)) {
            return Err(Status::ACCESS);
        }
        keys.recorder.record(Event::KeyUnwrapped { key: id, kek });
        let flags = metadata.flags.without(Flags::SERVER_ONLY);
        keys.insert(id, flags, &metadata.label, &Source::Client(key))?;
        Ok(id.to_key(keys.features))
    })?;
    wipe(text);
    Ok(0)
}

/// The identifier of an unwrapped key: its own, or for the cache the slot of a SHE key (document 06, §9). A key opens for
/// its owner, and for everyone if it is global and the server has global keys of this kind.
///
/// # Errors
/// BAD_ARGUMENTS or ABORTED for an identifier of no wrapped key, ACCESS if its owner is another.
#[cfg_attr(not(feature = "she"), expect(unused_variables, reason = "there are no slots"))]
fn unwrapped_id<P: Platform>(
    context: &Context<'_, P>,
    metadata: &Metadata,
    is_export: bool,
) -> Result<ObjectId, Status> {
    let (id, client) = (metadata.id, context.client());
    let config = context.server.config();
    let is_global = id.owner() == ClientId::NONE;
    #[cfg(feature = "she")]
    if id.object_type() == ObjectType::SHE && !is_export {
        let may_open = if is_global { config.she.global_keys } else { id.owner() == client };
        return if may_open { Ok(slot_id(&config.she, client, id.number())) } else { Err(Status::ACCESS) };
    }
    if id.is_unassigned() {
        return Err(Status::BAD_ARGUMENTS);
    }
    if id.object_type() != ObjectType::WRAPPED {
        return Err(Status::ABORTED);
    }
    let may_open = id.owner() == client || is_global && config.features.global_keys;
    if may_open { Ok(id) } else { Err(Status::ACCESS) }
}
