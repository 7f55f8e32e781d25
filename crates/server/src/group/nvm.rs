//! Messages for non-volatile objects (document 02, §6).

use crate::audit::Event;
use crate::config::Isolation;
use crate::context::{Context, put};
use crate::keys::is_stateful_private;
use crate::platform::Platform;
#[cfg(feature = "authentication")]
use crate::users::KeyList;
use casemate_nvm::{Attributes, ObjectStore};
#[cfg(feature = "authentication")]
use casemate_protocol::IdFeatures;
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
    let result = match action {
        action::INIT => init(context, payload, out),
        action::CLEANUP => request::<CleanupRequest, P>(context, payload).map(|_| 0),
        action::ADD => add(context, payload).map(|()| 0),
        action::DESTROY => destroy(context, payload).map(|()| 0),
        action::AVAILABLE | action::LIST | action::METADATA | action::READ => {
            look(context, action, payload, out)
        }
        #[cfg(feature = "dma")]
        action::ADD_DMA if context.dma.is_present() => dma::add(context, payload, out).map(|()| 0),
        #[cfg(feature = "dma")]
        action::READ_DMA if context.dma.is_present() => dma::read(context, payload, out).map(|()| 0),
        _ => return 0,
    };
    context.answer(result, out)
}

/// A request, which must have just its length.
fn request<L: Layout, P: Platform>(context: &Context<'_, P>, payload: &[u8]) -> Result<L, Status> {
    L::decode_exact(payload, context.order).map_err(|_| Status::ABORTED)
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

/// Which objects the messages of a session may name.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    isolation: Isolation,
    client: ClientId,
    slots_are_global: bool,
    #[cfg(feature = "authentication")]
    permitted: (KeyList, IdFeatures),
}

impl Reach {
    #[inline(never)]
    fn has(&self, id: ObjectId) -> bool {
        #[cfg(feature = "authentication")]
        {
            let (permitted, features) = self.permitted;
            if !permitted.permits(id, self.client, features) {
                return false;
            }
        }
        let is_global_slot = id.object_type() == ObjectType::SHE && id.owner() == ClientId::NONE;
        is_reachable(self.isolation, self.client, id) || self.slots_are_global && is_global_slot
    }
}

impl<P: Platform> Context<'_, P> {
    fn reach(&self) -> Reach {
        let config = self.server.config();
        Reach {
            isolation: config.isolation,
            client: self.client(),
            #[cfg(feature = "she")]
            slots_are_global: config.she.global_keys,
            #[cfg(not(feature = "she"))]
            slots_are_global: false,
            #[cfg(feature = "authentication")]
            permitted: (self.keys, config.features),
        }
    }

    /// Takes note of the object that a request names.
    ///
    /// # Errors
    /// ACCESS if the session's messages may not name it.
    #[inline(never)]
    fn name(&mut self, id: ObjectId) -> Result<(), Status> {
        self.session.subject = id;
        if self.reach().has(id) { Ok(()) } else { Err(Status::ACCESS) }
    }
}

fn init<P: Platform>(context: &Context<'_, P>, payload: &[u8], out: &mut [u8]) -> Result<usize, Status> {
    let InitRequest { client_nvm_id } = request(context, payload)?;
    let server_nvm_id = u32::from(context.server.config().server_id);
    Ok(context.put(&InitResponse { status: Status::OK, server_nvm_id, client_nvm_id }, out))
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
    context.name(metadata.id)?;
    if is_stateful_private(data) {
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

/// What LIST looks for: the first reachable object after the one to begin with (from the beginning if that is 0) and how
/// many reachable ones there are from it to the end; zeros at the end or if none has begun.
struct Search {
    reach: Reach,
    start: ObjectId,
    begun: bool,
    first: ObjectId,
    count: u16,
}

impl Search {
    fn visit(&mut self, id: ObjectId) {
        if !self.reach.has(id) {
            return;
        }
        if !self.begun {
            self.begun = id == self.start;
            return;
        }
        if self.count == 0 {
            self.first = id;
        }
        self.count = self.count.saturating_add(1);
    }
}

fn destroy<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<(), Status> {
    let mut ids = [ObjectId::INVALID; DESTROY_LIST_LENGTH];
    let list = DestroyRequest::list(payload, context.order, &mut ids).map_err(|_| Status::ABORTED)?;
    let reach = context.reach();
    if let Some(&foreign) = list.iter().find(|&&id| !reach.has(id)) {
        context.session.subject = foreign;
        return Err(Status::ACCESS);
    }
    context.locked(|keys| {
        if let [only] = list {
            *keys.subject = *only;
        }
        let mut existed = [false; DESTROY_LIST_LENGTH];
        for (existed, id) in existed.iter_mut().zip(list) {
            *existed = keys.stored_attributes(*id).is_ok();
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

/// What changes nothing: AVAILABLE, LIST, METADATA and READ.
///
/// READ checks in the original's order: the length asked for, existence, offset, then the policy.
fn look<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> Result<usize, Status> {
    let order = context.order;
    let ReadRequest { id, offset, length } = match action {
        action::AVAILABLE => {
            let AvailableRequest {} = request(context, payload)?;
            ReadRequest { id: ObjectId::INVALID, offset: 0, length: 0 }
        }
        action::LIST => {
            let ListRequest { start, .. } = request(context, payload)?;
            ReadRequest { id: start, offset: 0, length: 0 }
        }
        action::METADATA => {
            let MetadataRequest { id } = request(context, payload)?;
            context.name(id)?;
            ReadRequest { id, offset: 0, length: 0 }
        }
        _ => {
            let request: ReadRequest = request(context, payload)?;
            let named = context.name(request.id);
            if usize::from(request.length) > out.len().saturating_sub(StatusResponse::SIZE) {
                return Err(Status::ABORTED);
            }
            named?;
            request
        }
    };
    let reach = context.reach();
    let isolation = context.server.config().isolation;
    context.locked(|keys| match action {
        action::AVAILABLE => {
            let available = keys.shared.store.available().map_err(|error| error.status())?;
            let response = AvailableResponse {
                status: Status::OK,
                free_size: available.size,
                reclaimable_size: available.reclaimable_size,
                free_objects: available.objects,
                reclaimable_objects: available.reclaimable_objects,
            };
            Ok(put(&response, order, out))
        }
        action::LIST => {
            let (begun, first) = (id == ObjectId::INVALID, ObjectId::INVALID);
            let mut search = Search { reach, start: id, begun, first, count: 0 };
            let visited = keys.shared.store.visit(&mut |object| {
                search.visit(object.id);
                ControlFlow::Continue(())
            });
            visited.map_err(|error| error.status())?;
            let Search { count, first: id, .. } = search;
            Ok(put(&ListResponse { status: Status::OK, count, id }, order, out))
        }
        action::METADATA => {
            let mut response = MetadataResponse { status: Status::OK, metadata: Metadata::default() };
            keys.stored(id, &mut response.metadata)?;
            Ok(put(&response, order, out))
        }
        _ => {
            let object = keys.stored_attributes(id)?;
            let length = clamp(object, offset, length)?;
            check_readable(isolation, object)?;
            let (head, data) = out.split_at_mut_checked(StatusResponse::SIZE).unwrap_or_default();
            keys.read_stored(id, offset, data.get_mut(..length).unwrap_or_default())?;
            Ok(put(&StatusResponse { status: Status::OK }, order, head).saturating_add(length))
        }
    })
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
