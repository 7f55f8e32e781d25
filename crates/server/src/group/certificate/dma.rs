//! Certificates in client memory (document 07, §A.2). They are copied to the room for the response, or to the scratch
//! memory if that is larger; the rest of it holds the roots.

use super::verify::{Chain, verify_attribute, verify_chain};
use super::{add, done, readable_length};
use crate::context::Context;
use crate::memory::Access;
use crate::platform::Platform;
use casemate_nvm::ObjectStore;
use casemate_protocol::message::certificate::{
    AddTrustedDmaRequest, ReadTrustedDmaRequest, RootIds, VerifyAttributeDmaRequest, VerifyDmaRequest,
    VerifyMultiRootDmaRequest, VerifyResponse, action,
};
use casemate_protocol::{DmaBuffer, Flags, KeyId, Layout, Metadata, Status};

pub(super) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    match action {
        action::ADD_TRUSTED_DMA => {
            let result = add_from_memory(context, payload, out);
            done(context, result, out)
        }
        action::READ_TRUSTED_DMA => {
            let result = read_to_memory(context, payload, out);
            done(context, result, out)
        }
        action::VERIFY_DMA => {
            let request = VerifyDmaRequest::decode_exact(payload, context.order)
                .map_err(|_| Status::ABORTED)
                .map(|request| {
                    let VerifyDmaRequest { address, length, root, flags, key_flags, key } = request;
                    Remote { address, length, roots: RootIds::single(root), flags, key_flags, key }
                });
            verified(context, request, out)
        }
        action::VERIFY_MULTI_ROOT_DMA => {
            let request = VerifyMultiRootDmaRequest::decode_exact(payload, context.order)
                .map_err(|_| Status::ABORTED)
                .and_then(|request| {
                    let roots = request.root_ids().map_err(|_| Status::BAD_ARGUMENTS)?;
                    let VerifyMultiRootDmaRequest { address, length, flags, key_flags, key, .. } = request;
                    Ok(Remote { address, length, roots, flags, key_flags, key })
                });
            verified(context, request, out)
        }
        action::VERIFY_ATTRIBUTE_DMA => {
            let result = VerifyAttributeDmaRequest::decode_exact(payload, context.order)
                .map_err(|_| Status::ABORTED)
                .and_then(|request| {
                    let VerifyAttributeDmaRequest { address, length, root, .. } = request;
                    copied(context, address, length, out, |context, certificate, space| {
                        verify_attribute(context, root, certificate, space)
                    })
                });
            done(context, result, out)
        }
        _ => 0,
    }
}

/// A request to verify a chain in client memory.
struct Remote {
    address: u64,
    length: u32,
    roots: RootIds,
    flags: u16,
    key_flags: Flags,
    key: KeyId,
}

fn verified<P: Platform>(
    context: &mut Context<'_, P>,
    request: Result<Remote, Status>,
    out: &mut [u8],
) -> usize {
    let mut answer = KeyId::NONE;
    let result = request.and_then(|Remote { address, length, roots, flags, key_flags, key }| {
        copied(context, address, length, out, |context, bytes, space| {
            let (result, id) = verify_chain(context, &Chain { roots, flags, key_flags, key, bytes }, space);
            answer = id;
            result
        })
    });
    context.put(&VerifyResponse { status: result.err().unwrap_or(Status::OK), key: answer }, out)
}

/// Copies client memory and gives `work` the copy and the space behind it.
///
/// # Errors
/// BUFFER_SIZE if there is not enough space, what client memory and `work` answer.
fn copied<P: Platform>(
    context: &mut Context<'_, P>,
    address: u64,
    length: u32,
    space: &mut [u8],
    work: impl FnOnce(&mut Context<'_, P>, &[u8], &mut [u8]) -> Result<(), Status>,
) -> Result<(), Status> {
    context.with_dma(|context, dma| {
        let region = dma.open(DmaBuffer::new(address, u64::from(length)), Access::Read)?;
        let space = dma.largest_space(space);
        let (copy, rest) = space.split_at_mut_checked(region.length()).ok_or(Status::BUFFER_SIZE)?;
        let copy = dma.copy_in(region, copy)?;
        work(context, copy, rest)
    })
}

fn add_from_memory<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    space: &mut [u8],
) -> Result<(), Status> {
    let request = AddTrustedDmaRequest::decode_exact(payload, context.order).map_err(|_| Status::ABORTED)?;
    let AddTrustedDmaRequest { address, length, id, access, flags, label } = request;
    copied(context, address, length, space, |context, certificate, _| {
        add(context, Metadata { id, access, flags, length: 0, label }, certificate)
    })
}

/// What lies behind the certificate's end in the client's buffer is left as it is.
fn read_to_memory<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    space: &mut [u8],
) -> Result<(), Status> {
    let request = ReadTrustedDmaRequest::decode_exact(payload, context.order).map_err(|_| Status::ABORTED)?;
    let ReadTrustedDmaRequest { address, length, id } = request;
    context.check_root(id)?;
    context.with_dma(|context, dma| {
        let region = dma.open(DmaBuffer::new(address, u64::from(length)), Access::Write)?;
        let space = dma.largest_space(space);
        let mut found = 0_usize;
        context.locked(|keys| {
            found = usize::from(readable_length(keys, id)?);
            if found > region.length() {
                return Err(Status::BUFFER_SIZE);
            }
            let space = space.get_mut(..found).ok_or(Status::BUFFER_SIZE)?;
            keys.shared.store.read(id, 0, space).map_err(|error| error.status())
        })?;
        dma.write(region, 0, space.get(..found).ok_or(Status::BUFFER_SIZE)?)
    })
}
