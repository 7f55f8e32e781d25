//! Connection messages (document 01, §4).

use crate::audit::Event;
use crate::config::Isolation;
use crate::context::Context;
use crate::platform::Platform;
use casemate_nvm::ObjectStore;
use casemate_protocol::message::comm::{InfoResponse, InitRequest, InitResponse, action};
use casemate_protocol::{ClientId, Layout, ObjectId};

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    match action {
        action::INIT => init(context, payload, out),
        action::CLOSE => {
            context.session.closing = true;
            context.server.platform().forget_keys();
            if context.session.client.is_some() {
                context.record(Event::SessionEnded {});
            }
            #[cfg(feature = "authentication")]
            {
                context.session.login = None;
            }
            0
        }
        action::INFO => info(context, out),
        action::ECHO => match out.get_mut(..payload.len()) {
            Some(out) => {
                out.copy_from_slice(payload);
                payload.len()
            }
            None => 0,
        },
        _ => 0,
    }
}

/// Grants the identifier asked for, unless the session has another one already: what it cached belongs to that one.
fn init<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let Ok((request, _)) = InitRequest::decode(payload, context.order) else { return 0 };
    let config = context.server.config();
    let client = match ClientId::new(request.client_id) {
        Some(client) => client,
        None if request.client_id == 0 && !config.features.global_keys => ClientId::NONE,
        None => return 0,
    };
    if config.isolation == Isolation::Strict && context.session.client.is_some_and(|known| known != client) {
        return 0;
    }
    if context.session.only.is_some_and(|only| only != client) {
        return 0;
    }
    let is_new = context.session.client != Some(client);
    context.session.client = Some(client);
    if is_new {
        context.record(Event::SessionStarted {});
    }
    let response =
        InitResponse { client_id: u32::from(client.get()), server_id: u32::from(config.server_id) };
    context.put(&response, out)
}

fn info<P: Platform>(context: &Context<'_, P>, out: &mut [u8]) -> usize {
    let config = context.server.config();
    let shape = context.session.cache.shape();
    let objects = context.server.with_store(|store| directory_size(store)).unwrap_or(0);
    let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let response = InfoResponse {
        data_length: word(config.data_length),
        nvm_object_count: objects,
        cache_slots: word(shape.small_slots),
        cache_slot_size: word(shape.small_size),
        big_cache_slots: word(shape.big_slots),
        big_cache_slot_size: word(shape.big_size),
        #[cfg(feature = "custom")]
        custom_callbacks: u32::from(context.server.platform().custom_callback_count()),
        #[cfg(not(feature = "custom"))]
        custom_callbacks: 0,
        dma_addresses: 0,
        debug_state: 1,
        boot_state: 2,
        lifecycle_state: 3,
        nvm_state: 4,
        version: config.version,
        build: config.build,
    };
    context.put(&response, out)
}

/// How many objects the store can hold: those that it holds and those that still fit.
fn directory_size(store: &impl ObjectStore) -> u32 {
    let (Ok(available), Ok(listed)) = (store.available(), store.list_next(ObjectId::INVALID)) else {
        return 0;
    };
    // Three numbers of 16 bits.
    let written = u32::from(available.reclaimable_objects).wrapping_add(u32::from(listed.count));
    u32::from(available.objects).wrapping_add(written)
}
