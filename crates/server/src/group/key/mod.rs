//! Key messages (document 03, §5 and §6).

use crate::audit::Event;
use crate::context::Context;
use crate::group::crypto::public_key;
use crate::keys::{Source, Wanted};
use crate::platform::{Affinity, Platform};
use casemate_protocol::message::key::{
    CacheRandomRequest, CacheRequest, CacheResponse, EvictRequest, ExportPublicRequest, ExportResponse,
    KeyAlgorithm, action,
};
use casemate_protocol::{Layout, Metadata, Status};

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
        action::CACHE | action::CACHE_RANDOM => cache(context, action, payload, out),
        action::EVICT | action::COMMIT | action::ERASE | action::REVOKE => {
            on_key(context, action, payload).map(|()| 0)
        }
        action::EXPORT | action::EXPORT_PUBLIC => export(context, action, payload, out),
        #[cfg(feature = "key-wrap")]
        action::WRAP
        | action::WRAP_EXPORT
        | action::UNWRAP_EXPORT
        | action::UNWRAP_CACHE
        | action::DATA_WRAP
        | action::DATA_UNWRAP => return wrap::handle(context, action, payload, out),
        #[cfg(feature = "dma")]
        action::CACHE_DMA if context.dma.is_present() => return dma::cache(context, payload, out),
        #[cfg(feature = "dma")]
        action::EXPORT_DMA if context.dma.is_present() => return dma::export(context, payload, out),
        #[cfg(feature = "dma")]
        action::EXPORT_PUBLIC_DMA if context.dma.is_present() => {
            return dma::export_public(context, payload, out);
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
#[inline(never)]
fn on_key<P: Platform>(context: &mut Context<'_, P>, action: u8, payload: &[u8]) -> Result<(), Status> {
    // All four look alike.
    let (EvictRequest { id }, _) = request(context, payload)?;
    let id = context.key_id(id);
    let result = context.locked(|keys| match action {
        action::EVICT => keys.evict(id),
        action::COMMIT => keys.commit(id),
        action::ERASE => keys.erase(id),
        _ => keys.revoke(id),
    });
    if action != action::COMMIT {
        context.server.platform().forget_keys();
    }
    result
}

/// CACHE and CACHE_RANDOM.
fn cache<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, Status> {
    let mut label;
    let (id, flags, label_length, source) = if action == action::CACHE {
        let (request, tail): (CacheRequest, _) = request(context, payload)?;
        let key = request.key(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
        label = request.label;
        (request.id, request.flags, request.label_length, Source::Client(key))
    } else {
        let (request, _): (CacheRandomRequest, _) = request(context, payload)?;
        label = request.label;
        let source = Source::Random(context.crypto(Affinity::Accelerated), usize::from(request.length));
        (request.id, request.flags, request.label_length, source)
    };
    label.truncate(label_length);
    let wanted = Wanted { id, flags, label: &label };
    let id = context.locked(|keys| keys.create(&wanted, &source))?;
    Ok(context.put(&CacheResponse { status: Status::OK, id }, out))
}

/// EXPORT and EXPORT_PUBLIC: the response's fixed part, then the key.
fn export<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, Status> {
    // Both look alike but for the algorithm, which EXPORT ignores.
    let (ExportPublicRequest { id, algorithm }, _) = request(context, payload)?;
    let key = out.get_mut(ExportResponse::SIZE..).unwrap_or_default();
    let id = context.key_id(id);
    let mut metadata = Metadata::default();
    let size = if action == action::EXPORT {
        context.locked(|keys| {
            keys.export(id, &mut metadata, key)?;
            keys.recorder.record(Event::KeyExported { key: id });
            Ok(usize::from(metadata.length))
        })
    } else {
        public_key::export_public(context, id, KeyAlgorithm(algorithm), key, &mut metadata.label)
    }?;
    let length = u32::try_from(size).unwrap_or(0);
    let fixed = context.put(&ExportResponse { status: Status::OK, length, label: metadata.label }, out);
    Ok(fixed.saturating_add(size))
}
