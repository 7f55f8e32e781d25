//! Key messages (document 03, §5 and §6).

use crate::audit::Event;
use crate::context::Context;
use crate::error::crypto_status;
use crate::group::crypto::public_key;
use crate::keys::{KeyStore, NewKey, is_stateful_private};
use crate::platform::{Affinity, Platform};
use casemate_protocol::message::key::{
    CacheRandomRequest, CacheRequest, CacheResponse, EvictRequest, ExportPublicRequest, ExportRequest,
    ExportResponse, KeyAlgorithm, action,
};
use casemate_protocol::{Flags, Label, Layout, ObjectId, ObjectType, Status};

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
    let result = match action {
        action::CACHE => cache(context, payload, out),
        action::CACHE_RANDOM => cache_random(context, payload, out),
        action::EVICT | action::COMMIT | action::ERASE | action::REVOKE => {
            on_key(context, action, payload, out)
        }
        action::EXPORT => export(context, payload, out),
        action::EXPORT_PUBLIC => export_public(context, payload, out),
        #[cfg(feature = "key-wrap")]
        action::WRAP => Ok(wrap::wrap(context, payload, out)),
        #[cfg(feature = "key-wrap")]
        action::UNWRAP_EXPORT => Ok(wrap::unwrap_export(context, payload, out)),
        #[cfg(feature = "key-wrap")]
        action::UNWRAP_CACHE => Ok(wrap::unwrap_cache(context, payload, out)),
        #[cfg(feature = "key-wrap")]
        action::DATA_WRAP => Ok(wrap::data_wrap(context, payload, out)),
        #[cfg(feature = "key-wrap")]
        action::DATA_UNWRAP => Ok(wrap::data_unwrap(context, payload, out)),
        #[cfg(feature = "key-wrap")]
        action::WRAP_EXPORT => Ok(wrap::wrap_export(context, payload, out)),
        #[cfg(feature = "dma")]
        action::CACHE_DMA if context.dma.is_present() => Ok(dma::cache(context, payload, out)),
        #[cfg(feature = "dma")]
        action::EXPORT_DMA if context.dma.is_present() => Ok(dma::export(context, payload, out)),
        #[cfg(feature = "dma")]
        action::EXPORT_PUBLIC_DMA if context.dma.is_present() => {
            Ok(dma::export_public(context, payload, out))
        }
        _ => return 0,
    };
    context.answer(result, out)
}

/// The fixed part of a request and what follows it.
fn request<'p, L: Layout, P: Platform>(
    context: &Context<'_, P>,
    payload: &'p [u8],
) -> Result<(L, &'p [u8]), Status> {
    L::decode(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)
}

/// The requests that name a key and carry nothing else.
fn on_key<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, Status> {
    // All four look alike.
    let (EvictRequest { id }, _) = request(context, payload)?;
    let result = context.locked(|keys| {
        let id = keys.resolve(id, ObjectType::CRYPTO);
        match action {
            action::EVICT => keys.evict(id),
            action::COMMIT => keys.commit(id),
            action::ERASE => keys.erase(id),
            _ => keys.revoke(id),
        }
    });
    if action != action::COMMIT {
        context.server.platform().forget_keys();
    }
    result?;
    Ok(context.put_status(Status::OK, out))
}

fn cache<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> Result<usize, Status> {
    let (request, tail): (CacheRequest, _) = request(context, payload)?;
    let key = request.key(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let id = context.locked(|keys| {
        let id = keys.resolve(request.id, ObjectType::CRYPTO);
        let new = NewKey {
            id: keys.assign(id, key.len())?,
            flags: Flags::from_client(request.flags),
            label: request.label.truncated(request.label_length),
            length: key.len(),
        };
        let id = keys.insert_from_client(new, key)?;
        Ok(id.to_key(keys.features))
    })?;
    Ok(context.put(&CacheResponse { status: Status::OK, id }, out))
}

impl<P: Platform> KeyStore<'_, P> {
    /// Caches a key that comes from outside.
    fn insert_from_client(&mut self, new: NewKey, key: &[u8]) -> Result<ObjectId, Status> {
        if is_stateful_private(key) {
            return Err(Status::ACCESS);
        }
        self.insert(new, &mut |slot| {
            slot.copy_from_slice(key);
            Ok(())
        })
    }
}

fn cache_random<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, Status> {
    let (request, _): (CacheRandomRequest, _) = request(context, payload)?;
    let driver = context.server.platform().crypto(Affinity::Accelerated);
    let id = context.locked(|keys| {
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
        let id = keys.insert(new, &mut |slot| driver.fill(slot).map_err(crypto_status))?;
        Ok(id.to_key(keys.features))
    })?;
    Ok(context.put(&CacheResponse { status: Status::OK, id }, out))
}

/// A response with a key's label and the `size` bytes that already stand behind the fixed part.
fn exported<P: Platform>(context: &Context<'_, P>, label: Label, size: usize, out: &mut [u8]) -> usize {
    let length = u32::try_from(size).unwrap_or(0);
    context.put(&ExportResponse { status: Status::OK, length, label }, out).saturating_add(size)
}

fn export<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, Status> {
    let (ExportRequest { id }, _) = request(context, payload)?;
    let key = out.get_mut(ExportResponse::SIZE..).unwrap_or_default();
    let metadata = context.locked(|keys| {
        let id = keys.resolve(id, ObjectType::CRYPTO);
        let metadata = keys.export(id, key)?;
        keys.recorder.record(Event::KeyExported { key: id });
        Ok(metadata)
    })?;
    Ok(exported(context, metadata.label, usize::from(metadata.length), out))
}

fn export_public<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, Status> {
    let (ExportPublicRequest { id, algorithm }, _) = request(context, payload)?;
    let key = out.get_mut(ExportResponse::SIZE..).unwrap_or_default();
    let id = context.locked(|keys| Ok(keys.resolve(id, ObjectType::CRYPTO)))?;
    let (metadata, size) = public_key::export_public(context, id, KeyAlgorithm(algorithm), key)?;
    Ok(exported(context, metadata.label, size, out))
}
