//! Monotonic counters (document 02, §7). A counter is an object without data whose label holds the value.

use crate::audit::Event;
use crate::context::Context;
use crate::keys::KeyStore;
use crate::platform::Platform;
use casemate_protocol::message::counter::{InitRequest, ReadRequest, ValueResponse, action, object_id};
use casemate_protocol::message::nvm::{counter_value, with_counter_value};
use casemate_protocol::{Flags, Label, Layout, Metadata, ObjectId, Status};

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
    context.locked(|keys| match action {
        action::INIT => set(keys, id, value),
        action::INCREMENT => increment(keys, id),
        action::READ => read(keys, id),
        _ => destroy(keys, id).map(|()| 0),
    })
}

fn destroy<P: Platform>(keys: &mut KeyStore<'_, P>, counter: ObjectId) -> Result<(), Status> {
    keys.destroy(counter)?;
    keys.recorder.record(Event::CounterDestroyed { counter });
    Ok(())
}

fn set<P: Platform>(keys: &mut KeyStore<'_, P>, id: ObjectId, value: u32) -> Result<u32, Status> {
    let label = with_counter_value(&Label::EMPTY, value);
    keys.store(&Metadata { id, access: 0, flags: Flags::NONE, length: 0, label }, &[])?;
    keys.recorder.record(Event::CounterSet { counter: id, value });
    Ok(value)
}

fn read<P: Platform>(keys: &mut KeyStore<'_, P>, id: ObjectId) -> Result<u32, Status> {
    keys.stored(id).map(|metadata| counter_value(&metadata.label))
}

/// A counter at its end stays there, and nothing is written.
fn increment<P: Platform>(keys: &mut KeyStore<'_, P>, id: ObjectId) -> Result<u32, Status> {
    let mut metadata = keys.stored(id)?;
    let Some(value) = counter_value(&metadata.label).checked_add(1) else { return Ok(u32::MAX) };
    metadata.label = with_counter_value(&metadata.label, value);
    metadata.length = 0;
    keys.store(&metadata, &[])?;
    Ok(value)
}
