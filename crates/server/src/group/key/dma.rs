//! Keys to and from client memory (document 03, §6.6). A key is staged in the room for the response, or in the scratch
//! memory if it fits only there, and wiped from it.

use crate::audit::Event;
use crate::context::Context;
use crate::group::crypto::public_key;
use crate::keys::{Source, Wanted};
use crate::memory::{Access, Dma};
use crate::platform::Platform;
use casemate_crypto::wipe;
use casemate_protocol::message::key::{
    CacheDmaRequest, CacheDmaResponse, ExportDmaRequest, ExportDmaResponse, ExportPublicDmaRequest,
    KeyAlgorithm,
};
use casemate_protocol::{DmaBuffer, KeyId, Label, Layout, Metadata, Status};

pub(super) fn cache<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let mut refused = DmaBuffer::NONE;
    let result = CacheDmaRequest::decode(payload, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)
        .and_then(|(request, _)| cache_key(context, &request, &mut refused, out));
    let (status, id) = match result {
        Ok(id) => (Status::OK, id),
        Err(status) => (status, KeyId::NONE),
    };
    context.put(&CacheDmaResponse { refused, status, id }, out)
}

/// The original takes the length modulo 65536; a longer key is refused here.
fn cache_key<P: Platform>(
    context: &mut Context<'_, P>,
    request: &CacheDmaRequest,
    refused: &mut DmaBuffer,
    space: &mut [u8],
) -> Result<KeyId, Status> {
    let length = usize::try_from(request.key.size).unwrap_or(usize::MAX);
    // Whether there is room under this identifier comes before what the client's memory says.
    let id = context.key_id(request.id);
    context.locked(|keys| keys.assign(id, length))?;
    *refused = request.key;
    if length == 0 {
        return Err(Status::BAD_ARGUMENTS);
    }
    let cached = context.with_dma(|context, dma| {
        let region = dma.open(request.key, Access::Read)?;
        let space = dma.larger_space(space, length);
        let key = dma.copy_in(region, space)?;
        let label = request.label.truncated(request.label_length);
        let wanted = Wanted { id: request.id, flags: request.flags, label: &label };
        let cached = context.locked(|keys| keys.create(&wanted, &Source::Client(key)));
        wipe(key);
        cached
    })?;
    *refused = DmaBuffer::NONE;
    Ok(cached)
}

/// Writes the first `length` bytes of `staged` to the client's buffer, and wipes them.
fn deliver(dma: &mut Dma<'_>, to: DmaBuffer, staged: &mut [u8], length: usize) -> Result<(), Status> {
    let key = staged.get_mut(..length).ok_or(Status::ABORTED)?;
    let size = u64::try_from(length).map_err(|_| Status::ABORTED)?;
    let result = if to.size < size {
        Err(Status::NO_SPACE)
    } else {
        dma.open(DmaBuffer { size, ..to }, Access::Write).and_then(|region| dma.write(region, 0, key))
    };
    wipe(key);
    result
}

fn exported<P: Platform>(
    context: &Context<'_, P>,
    refused: DmaBuffer,
    result: Result<(Label, usize), Status>,
    out: &mut [u8],
) -> usize {
    let response = match result {
        Ok((label, length)) => {
            let length = u32::try_from(length).unwrap_or(0);
            ExportDmaResponse { refused: DmaBuffer::NONE, status: Status::OK, length, label }
        }
        Err(status) => ExportDmaResponse { refused, status, length: 0, label: Label::EMPTY },
    };
    context.put(&response, out)
}

pub(super) fn export<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let Ok((request, _)) = ExportDmaRequest::decode(payload, context.order) else {
        return exported(context, DmaBuffer::NONE, Err(Status::BAD_ARGUMENTS), out);
    };
    let result = context.with_dma(|context, dma| {
        let staged = dma.largest_space(out);
        let key = context.key_id(request.id);
        let mut metadata = Metadata::default();
        context.locked(|keys| keys.export(key, &mut metadata, staged))?;
        let length = usize::from(metadata.length);
        deliver(dma, request.out, staged, length)?;
        context.record(Event::KeyExported { key });
        Ok((metadata.label, length))
    });
    exported(context, request.out, result, out)
}

pub(super) fn export_public<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let Ok((request, _)) = ExportPublicDmaRequest::decode(payload, context.order) else {
        return exported(context, DmaBuffer::NONE, Err(Status::BAD_ARGUMENTS), out);
    };
    let mut refused = DmaBuffer::NONE;
    let result = context.with_dma(|context, dma| {
        let staged = dma.largest_space(out);
        let id = context.key_id(request.id);
        let algorithm = KeyAlgorithm(request.algorithm);
        let mut label = Label::EMPTY;
        let length = public_key::export_public(context, id, algorithm, staged, &mut label)?;
        refused = request.out;
        deliver(dma, request.out, staged, length)?;
        Ok((label, length))
    });
    exported(context, refused, result, out)
}
