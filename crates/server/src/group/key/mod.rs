//! Key messages (document 03, §5 and §6).

use crate::audit::Event;
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::public_key;
use crate::keys::{KeyStore, NewKey, is_stateful_private};
use crate::platform::{Affinity, Platform};
use casemate_protocol::message::key::{
    CacheRandomRequest, CacheRequest, CacheResponse, CommitRequest, DoneResponse, EraseRequest, EvictRequest,
    ExportPublicRequest, ExportRequest, ExportResponse, KeyAlgorithm, RevokeRequest, RevokeResponse, action,
};
use casemate_protocol::{Flags, KeyId, Label, Layout, ObjectId, ObjectType, Status};

#[cfg(feature = "dma")]
mod dma;
#[cfg(feature = "key-wrap")]
mod wrap;

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let order = context.order;
    match action {
        action::CACHE => {
            let result = cache(context, payload);
            cached(context, result, out)
        }
        action::CACHE_RANDOM => {
            let result = cache_random(context, payload);
            cached(context, result, out)
        }
        action::EVICT => {
            let id = EvictRequest::decode(payload, order).ok().map(|(request, _)| request.id);
            let result = on_key(context, id, |keys, id| keys.evict(id));
            context.server.platform().forget_keys();
            context.put(&DoneResponse { status: status(result) }, out)
        }
        action::COMMIT => {
            let id = CommitRequest::decode(payload, order).ok().map(|(request, _)| request.id);
            let result = on_key(context, id, |keys, id| keys.commit(id));
            context.put(&DoneResponse { status: status(result) }, out)
        }
        action::ERASE => {
            let id = EraseRequest::decode(payload, order).ok().map(|(request, _)| request.id);
            let result = on_key(context, id, |keys, id| keys.erase(id));
            context.server.platform().forget_keys();
            context.put(&DoneResponse { status: status(result) }, out)
        }
        action::REVOKE => {
            let id = RevokeRequest::decode(payload, order).ok().map(|(request, _)| request.id);
            let result = on_key(context, id, |keys, id| keys.revoke(id));
            context.server.platform().forget_keys();
            context.put(&RevokeResponse { status: status(result) }, out)
        }
        action::EXPORT => export(context, payload, out),
        action::EXPORT_PUBLIC => export_public(context, payload, out),
        #[cfg(feature = "key-wrap")]
        action::WRAP => wrap::wrap(context, payload, out),
        #[cfg(feature = "key-wrap")]
        action::UNWRAP_EXPORT => wrap::unwrap_export(context, payload, out),
        #[cfg(feature = "key-wrap")]
        action::UNWRAP_CACHE => wrap::unwrap_cache(context, payload, out),
        #[cfg(feature = "key-wrap")]
        action::DATA_WRAP => wrap::data_wrap(context, payload, out),
        #[cfg(feature = "key-wrap")]
        action::DATA_UNWRAP => wrap::data_unwrap(context, payload, out),
        #[cfg(feature = "key-wrap")]
        action::WRAP_EXPORT => wrap::wrap_export(context, payload, out),
        #[cfg(feature = "dma")]
        action::CACHE_DMA if context.dma.is_present() => dma::cache(context, payload, out),
        #[cfg(feature = "dma")]
        action::EXPORT_DMA if context.dma.is_present() => dma::export(context, payload, out),
        #[cfg(feature = "dma")]
        action::EXPORT_PUBLIC_DMA if context.dma.is_present() => dma::export_public(context, payload, out),
        _ => 0,
    }
}

fn status(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(Status::OK)
}

/// Runs an operation of the key store on the key that a request names.
fn on_key<P: Platform>(
    context: &mut Context<'_, P>,
    id: Option<KeyId>,
    operation: fn(&mut KeyStore<'_, P>, ObjectId) -> Result<(), Status>,
) -> Result<(), Status> {
    let id = id.ok_or(Status::BAD_ARGUMENTS)?;
    context.locked(|keys| {
        let id = keys.resolve(id, ObjectType::CRYPTO);
        operation(keys, id)
    })
}

fn cached<P: Platform>(context: &Context<'_, P>, result: Result<KeyId, Status>, out: &mut [u8]) -> usize {
    let response = match result {
        Ok(id) => CacheResponse { status: Status::OK, id },
        Err(status) => CacheResponse { status, id: KeyId::NONE },
    };
    context.put(&response, out)
}

fn cache<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<KeyId, Status> {
    let (request, tail) = CacheRequest::decode(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let key = request.key(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    context.locked(|keys| {
        let id = keys.resolve(request.id, ObjectType::CRYPTO);
        let new = NewKey {
            id: keys.assign(id, key.len())?,
            flags: Flags::from_client(request.flags),
            label: request.label.truncated(request.label_length),
            length: key.len(),
        };
        let id = keys.insert_from_client(new, key)?;
        Ok(id.to_key(keys.features))
    })
}

impl<P: Platform> KeyStore<'_, P> {
    /// Caches a key that comes from outside.
    fn insert_from_client(&mut self, new: NewKey, key: &[u8]) -> Result<ObjectId, Status> {
        if is_stateful_private(key) {
            return Err(Status::ACCESS);
        }
        self.insert(new, |slot| {
            slot.copy_from_slice(key);
            Ok(())
        })
    }
}

fn cache_random<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<KeyId, Status> {
    let (request, _) =
        CacheRandomRequest::decode(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let server = context.server;
    context.locked(|keys| {
        let length = usize::from(request.length);
        let id = keys.assign(keys.resolve(request.id, ObjectType::CRYPTO), length)?;
        if length == 0 {
            return Err(Status::BAD_ARGUMENTS);
        }
        let new = NewKey {
            id,
            flags: Flags::from_client(request.flags),
            label: request.label.truncated(request.label_length),
            length,
        };
        let id = keys.insert(new, |slot| {
            server.platform().crypto(Affinity::Accelerated).fill(slot).map_err(crypto_status)
        })?;
        Ok(id.to_key(keys.features))
    })
}

/// A response with a key's label and the `length` bytes that already stand behind the fixed part.
fn exported<P: Platform>(
    context: &Context<'_, P>,
    result: Result<(Label, usize), Status>,
    out: &mut [u8],
) -> usize {
    match result {
        Ok((label, size)) => {
            let length = u32::try_from(size).unwrap_or(0);
            context.put(&ExportResponse { status: Status::OK, length, label }, out).saturating_add(size)
        }
        Err(status) => context.put(&ExportResponse { status, length: 0, label: Label::EMPTY }, out),
    }
}

fn export<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let result = ExportRequest::decode(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS).and_then(
        |(request, _)| {
            let key = out.get_mut(ExportResponse::SIZE..).unwrap_or_default();
            context.locked(|keys| {
                let id = keys.resolve(request.id, ObjectType::CRYPTO);
                let metadata = keys.export(id, key)?;
                keys.recorder.record(Event::KeyExported { key: id });
                Ok((metadata.label, usize::from(metadata.length)))
            })
        },
    );
    exported(context, result, out)
}

fn export_public<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let result = ExportPublicRequest::decode(payload, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)
        .and_then(|(request, _)| {
            let key = out.get_mut(ExportResponse::SIZE..).unwrap_or_default();
            let id = context.locked(|keys| Ok(keys.resolve(request.id, ObjectType::CRYPTO)))?;
            public_key::export_public(context, id, KeyAlgorithm(request.algorithm), key)
        })
        .map(|(metadata, length)| (metadata.label, length));
    exported(context, result, out)
}
