//! Monotonic counters (document 02, §7). A counter is an object without data whose label holds the value.

use crate::audit::Event;
use crate::context::Context;
use crate::keys::KeyStore;
use crate::platform::Platform;
use casemate_protocol::message::counter::{InitRequest, ReadRequest, ValueResponse, action, object_id};
use casemate_protocol::message::nvm::{counter_value, set_counter_value};
use casemate_protocol::{Layout, Metadata, Status};

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let order = context.order;
    // The counter's number, and the value that only INIT has.
    let request = match action {
        action::INIT => InitRequest::decode(payload, order).map(|(request, _)| (request.id, request.value)),
        // All three look alike.
        action::INCREMENT | action::READ | action::DESTROY => {
            ReadRequest::decode(payload, order).map(|(request, _)| (request.id, 0))
        }
        _ => return 0,
    };
    let result = match request {
        Ok((id, value)) => run(context, action, id, value),
        Err(_) => Err(Status::BAD_ARGUMENTS),
    };
    let result = result.map(|value| context.put(&ValueResponse { status: Status::OK, value }, out));
    context.answer(result, out)
}

/// The counter's value after the request; 0 if it is destroyed, whose response has zeros there.
fn run<P: Platform>(context: &mut Context<'_, P>, action: u8, id: u16, value: u32) -> Result<u32, Status> {
    let id = object_id(context.client(), id);
    let mut metadata = Metadata::default();
    context.locked(|keys| match action {
        action::DESTROY => {
            keys.destroy(id)?;
            keys.recorder.record(Event::CounterDestroyed { counter: id });
            Ok(0)
        }
        action::READ => {
            keys.stored(id, &mut metadata)?;
            Ok(counter_value(&metadata.label))
        }
        action::INIT => {
            metadata.id = id;
            store(keys, &mut metadata, value)?;
            keys.recorder.record(Event::CounterSet { counter: id, value });
            Ok(value)
        }
        _ => {
            keys.stored(id, &mut metadata)?;
            // A counter at its end stays there, and nothing is written.
            let Some(value) = counter_value(&metadata.label).checked_add(1) else { return Ok(u32::MAX) };
            store(keys, &mut metadata, value)?;
            Ok(value)
        }
    })
}

#[inline(never)]
fn store<P: Platform>(keys: &mut KeyStore<'_, P>, metadata: &mut Metadata, value: u32) -> Result<(), Status> {
    set_counter_value(&mut metadata.label, value);
    metadata.length = 0;
    keys.store(metadata, &[])
}
