//! Objects to and from client memory (document 02, §6.5 and §6.6).

use super::{add_object, check_readable, clamp};
use crate::context::Context;
use crate::memory::Access;
use crate::platform::Platform;
use casemate_protocol::message::nvm::{AddDmaRequest, ReadDmaRequest};
use casemate_protocol::{DmaBuffer, Field, Layout, Metadata, Reader, Status};

/// Length of a metadata record in bytes.
const METADATA_SIZE: u64 = 32;
const _: () = assert!(Metadata::SIZE == 32);

/// `space` is the room for the response, in which an object is copied before it is stored; a larger one is copied to
/// the scratch memory.
pub(super) fn add<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    space: &mut [u8],
) -> Result<(), Status> {
    let order = context.order;
    let request = AddDmaRequest::decode_exact(payload, order).map_err(|_| Status::ABORTED)?;
    context.with_dma(|context, dma| {
        let record = DmaBuffer::new(request.metadata_address, METADATA_SIZE);
        let record = dma.open(record, Access::Read)?;
        let data = DmaBuffer::new(request.data_address, u64::from(request.length));
        let data = dma.open(data, Access::Read)?;
        let mut bytes = [0; Metadata::SIZE];
        dma.read(record, 0, &mut bytes)?;
        let metadata = Metadata::get(&mut Reader::new(&bytes, order)).map_err(|_| Status::ABORTED)?;
        let space = dma.larger_space(space, data.length());
        let data = dma.copy_in(data, space)?;
        add_object(context, Metadata { length: request.length, ..metadata }, data)
    })
}

/// What lies behind the object's end in the client's buffer is left as it is.
pub(super) fn read<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    space: &mut [u8],
) -> Result<(), Status> {
    let request = ReadDmaRequest::decode_exact(payload, context.order).map_err(|_| Status::ABORTED)?;
    let ReadDmaRequest { address, id, offset, length } = request;
    context.name(id)?;
    let isolation = context.server.config().isolation;
    context.with_dma(|context, dma| {
        context.locked(|keys| {
            let object = keys.stored_attributes(id)?;
            let wanted = clamp(object, offset, length)?;
            let to = dma.open(DmaBuffer::new(address, u64::from(length)), Access::Write)?;
            check_readable(isolation, object)?;
            let mut done: usize = 0;
            while done < wanted {
                let part = wanted.saturating_sub(done).min(space.len());
                let part =
                    space.get_mut(..part).filter(|part| !part.is_empty()).ok_or(Status::BUFFER_SIZE)?;
                let from = u16::try_from(done).ok().and_then(|done| offset.checked_add(done));
                let from = from.ok_or(Status::BAD_ARGUMENTS)?;
                keys.read_stored(id, from, part)?;
                dma.write(to, done, part)?;
                done = done.saturating_add(part.len());
            }
            Ok(())
        })
    })
}
