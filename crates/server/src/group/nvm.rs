//! Messages for non-volatile objects (document 02, §6).

use crate::audit::Event;
use crate::config::Isolation;
use crate::context::Context;
use crate::keys::{KeyStore, is_stateful_private};
use crate::platform::Platform;
use casemate_nvm::{Attributes, ObjectStore};
use casemate_protocol::message::nvm::{
    AddRequest, AvailableRequest, AvailableResponse, CleanupRequest, DESTROY_LIST_LENGTH, DestroyRequest,
    InitRequest, InitResponse, ListRequest, ListResponse, MetadataRequest, MetadataResponse, ReadRequest,
    StatusResponse, action,
};
use casemate_protocol::{ClientId, Flags, Layout, Metadata, ObjectId, ObjectType, Status};
use core::ops::ControlFlow;

#[cfg(feature = "dma")]
mod dma;

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    match action {
        action::INIT => init(context, payload, out),
        action::CLEANUP => {
            let status = CleanupRequest::decode_exact(payload, context.order).map(|_| ());
            done(context, status.map_err(|_| Status::ABORTED), out)
        }
        action::AVAILABLE => available(context, payload, out),
        action::ADD => {
            let result = add(context, payload);
            done(context, result, out)
        }
        action::LIST => list(context, payload, out),
        action::METADATA => metadata(context, payload, out),
        action::DESTROY => {
            let result = destroy(context, payload);
            done(context, result, out)
        }
        action::READ => read(context, payload, out),
        #[cfg(feature = "dma")]
        action::ADD_DMA if context.dma.is_present() => {
            let result = dma::add(context, payload, out);
            done(context, result, out)
        }
        #[cfg(feature = "dma")]
        action::READ_DMA if context.dma.is_present() => {
            let result = dma::read(context, payload, out);
            done(context, result, out)
        }
        _ => 0,
    }
}

fn done<P: Platform>(context: &Context<'_, P>, result: Result<(), Status>, out: &mut [u8]) -> usize {
    context.put(&StatusResponse { status: result.err().unwrap_or(Status::OK) }, out)
}

/// Whether messages of `client` may name this object: every plain object, and its own keys, counters and SHE slots;
/// not those of other clients or of all clients. The user database is out of reach in any case.
fn is_reachable(isolation: Isolation, client: ClientId, id: ObjectId) -> bool {
    match isolation {
        _ if id.is_user_database() => false,
        Isolation::Original => true,
        Isolation::Strict => !id.has_owner() || id.owner() == client,
    }
}

impl<P: Platform> Context<'_, P> {
    fn reachable(&self) -> impl Fn(ObjectId) -> bool + use<P> {
        let (isolation, client) = (self.server.config().isolation, self.client());
        #[cfg(feature = "she")]
        let slots_are_global = self.server.config().she.global_keys;
        #[cfg(not(feature = "she"))]
        let slots_are_global = false;
        #[cfg(feature = "authentication")]
        let (permitted, features) = (self.keys, self.server.config().features);
        move |id| {
            #[cfg(feature = "authentication")]
            if !permitted.permits(id, client, features) {
                return false;
            }
            let is_global_slot = id.object_type() == ObjectType::SHE && id.owner() == ClientId::NONE;
            is_reachable(isolation, client, id) || slots_are_global && is_global_slot
        }
    }
}

fn init<P: Platform>(context: &Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let response = match InitRequest::decode_exact(payload, context.order) {
        Ok(request) => InitResponse {
            status: Status::OK,
            server_nvm_id: u32::from(context.server.config().server_id),
            client_nvm_id: request.client_nvm_id,
        },
        Err(_) => InitResponse { status: Status::ABORTED, server_nvm_id: 0, client_nvm_id: 0 },
    };
    context.put(&response, out)
}

fn available<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let available = AvailableRequest::decode_exact(payload, context.order)
        .map_err(|_| Status::ABORTED)
        .and_then(|_| context.locked(|keys| keys.shared.store.available().map_err(|error| error.status())));
    let response = match available {
        Ok(available) => AvailableResponse {
            status: Status::OK,
            free_size: available.size,
            reclaimable_size: available.reclaimable_size,
            free_objects: available.objects,
            reclaimable_objects: available.reclaimable_objects,
        },
        Err(status) => AvailableResponse {
            status,
            free_size: 0,
            reclaimable_size: 0,
            free_objects: 0,
            reclaimable_objects: 0,
        },
    };
    context.put(&response, out)
}

fn add<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<(), Status> {
    let (request, tail) = AddRequest::decode(payload, context.order).map_err(|_| Status::ABORTED)?;
    let data = request.data(tail).map_err(|_| Status::ABORTED)?;
    add_object(context, request.metadata, data)
}

fn add_object<P: Platform>(
    context: &mut Context<'_, P>,
    metadata: Metadata,
    data: &[u8],
) -> Result<(), Status> {
    context.session.subject = metadata.id;
    if is_stateful_private(data) || !context.reachable()(metadata.id) {
        return Err(Status::ACCESS);
    }
    context.locked(|keys| {
        keys.drop_copies(metadata.id);
        keys.shared.store.add_checked(&metadata, data).map_err(|error| error.status())?;
        let Metadata { id: object, flags, .. } = metadata;
        let flags = flags.without(Flags::SERVER_ONLY);
        let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
        keys.recorder.record(Event::ObjectStored { object, flags, length });
        Ok(())
    })
}

fn list<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let reachable = context.reachable();
    let listed = ListRequest::decode_exact(payload, context.order)
        .map_err(|_| Status::ABORTED)
        .and_then(|request| context.locked(|keys| next_object(keys, request.start, &reachable)));
    let response = match listed {
        Ok((count, id)) => ListResponse { status: Status::OK, count, id },
        Err(status) => ListResponse { status, count: 0, id: ObjectId::INVALID },
    };
    context.put(&response, out)
}

/// The first reachable object after `start` (from the beginning if that is 0) and how many reachable ones there are
/// from it to the end; zeros at the end or if `start` is no reachable object.
fn next_object<P: Platform>(
    keys: &mut KeyStore<'_, P>,
    start: ObjectId,
    reachable: &impl Fn(ObjectId) -> bool,
) -> Result<(u16, ObjectId), Status> {
    let mut passed_start = start == ObjectId::INVALID;
    let mut first = ObjectId::INVALID;
    let mut count: u16 = 0;
    keys.shared
        .store
        .visit(&mut |object| {
            if !reachable(object.id) {
            } else if !passed_start {
                passed_start = object.id == start;
            } else {
                if count == 0 {
                    first = object.id;
                }
                count = count.saturating_add(1);
            }
            ControlFlow::Continue(())
        })
        .map_err(|error| error.status())?;
    Ok((count, first))
}

fn metadata<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let reachable = context.reachable();
    let found = MetadataRequest::decode_exact(payload, context.order)
        .map_err(|_| Status::ABORTED)
        .and_then(|request| {
            context.session.subject = request.id;
            if reachable(request.id) { Ok(request.id) } else { Err(Status::ACCESS) }
        })
        .and_then(|id| context.locked(|keys| keys.stored(id)));
    let response = match found {
        Ok(metadata) => MetadataResponse { status: Status::OK, metadata },
        Err(status) => MetadataResponse { status, metadata: Metadata::default() },
    };
    context.put(&response, out)
}

fn destroy<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<(), Status> {
    let request = DestroyRequest::decode_exact(payload, context.order).map_err(|_| Status::ABORTED)?;
    let mut list = [ObjectId::INVALID; DESTROY_LIST_LENGTH];
    let ids = request.ids().map_err(|_| Status::ABORTED)?;
    let count = ids.len();
    for (to, id) in list.iter_mut().zip(ids) {
        *to = id;
    }
    let list = list.get(..count).unwrap_or_default();
    let reachable = context.reachable();
    if let Some(&foreign) = list.iter().find(|&&id| !reachable(id)) {
        context.session.subject = foreign;
        return Err(Status::ACCESS);
    }
    context.locked(|keys| {
        if let [only] = list {
            *keys.subject = *only;
        }
        let mut existed = [false; DESTROY_LIST_LENGTH];
        for (existed, id) in existed.iter_mut().zip(list) {
            *existed = keys.shared.store.attributes(*id).is_ok();
            keys.drop_copies(*id);
        }
        keys.shared.store.destroy_checked(list).map_err(|error| error.status())?;
        for (&id, existed) in list.iter().zip(existed) {
            if existed {
                keys.recorder.record(Event::ObjectDestroyed { object: id });
            }
        }
        Ok(())
    })
}

/// How much of `length` bytes from `offset` an object has.
///
/// # Errors
/// BAD_ARGUMENTS if `offset` is not before its end.
fn clamp(object: Attributes, offset: u16, length: u16) -> Result<usize, Status> {
    let rest = object.length.checked_sub(offset).filter(|&rest| rest > 0);
    Ok(usize::from(rest.ok_or(Status::BAD_ARGUMENTS)?.min(length)))
}

/// Trusted and non-exportable objects do not leave the server, nor do SHE slots, whose keys leave it wrapped or as an
/// update only.
///
/// # Errors
/// ACCESS if the object may not leave the server.
pub(crate) fn check_readable(isolation: Isolation, object: Attributes) -> Result<(), Status> {
    let is_protected = object.flags.intersects(Flags::TRUSTED | Flags::NONEXPORTABLE);
    let is_slot = object.id.object_type() == ObjectType::SHE && isolation == Isolation::Strict;
    if is_protected || is_slot { Err(Status::ACCESS) } else { Ok(()) }
}

/// READ checks in the original's order: the length asked for, existence, offset, then the policy.
fn read<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let reachable = context.reachable();
    let isolation = context.server.config().isolation;
    let length = ReadRequest::decode_exact(payload, context.order).map_err(|_| Status::ABORTED).and_then(
        |ReadRequest { id, offset, length }| {
            context.session.subject = id;
            let data = out.get_mut(StatusResponse::SIZE..).unwrap_or_default();
            let data = data.get_mut(..usize::from(length)).ok_or(Status::ABORTED)?;
            if !reachable(id) {
                return Err(Status::ACCESS);
            }
            context.locked(|keys| {
                let object = keys.stored_attributes(id)?;
                let length = clamp(object, offset, length)?;
                check_readable(isolation, object)?;
                let data = data.get_mut(..length).unwrap_or_default();
                keys.shared.store.read(id, offset, data).map_err(|error| error.status())?;
                Ok(length)
            })
        },
    );
    match length {
        Ok(length) => done(context, Ok(()), out).saturating_add(length),
        Err(status) => done(context, Err(status), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_isolation_reaches_plain_objects_and_ones_own() {
        let client = ClientId::new(3).unwrap();
        let reach = |id| is_reachable(Isolation::Strict, client, ObjectId(id));
        for id in [0x0001, 0x0FFF, 0x1305, 0x2300, 0x3301, 0x4301, 0x5301, 0x6405, 0xFF00] {
            assert!(reach(id), "{id:#06x}");
        }
        for id in [0x1405, 0x1005, 0x2100, 0x3001, 0x4201, 0x5F01] {
            assert!(!reach(id), "{id:#06x}");
            assert!(is_reachable(Isolation::Original, client, ObjectId(id)));
        }
        for id in [0xFE00, 0xFE05, 0xFEFF] {
            assert!(!reach(id) && !is_reachable(Isolation::Original, client, ObjectId(id)), "{id:#06x}");
        }
    }
}
