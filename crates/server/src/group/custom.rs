//! Messages to custom callbacks (document 01, §7).

use crate::context::Context;
use crate::custom::CustomCall;
use crate::platform::Platform;
use casemate_protocol::message::custom::{CustomMessage, CustomRequest, CustomResponse, custom_type};
use casemate_protocol::{Layout, Status};

/// The action is the callback's number. There is no answer to a number that no callback can have, nor to a message of
/// another size.
#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let platform = context.server.platform();
    if action >= platform.custom_callback_count() {
        return 0;
    }
    let Ok(CustomRequest { id, message }) = CustomRequest::decode_exact(payload, context.order) else {
        return 0;
    };
    let nothing =
        CustomResponse { id, message: CustomMessage::QUERY, returned: Status::OK, error: Status::OK };
    let response = match platform.custom_callback(action) {
        None => CustomResponse { error: Status::NO_HANDLER, ..nothing },
        Some(_) if message.custom_type() == custom_type::QUERY => nothing,
        Some(callback) => {
            let mut call = CustomCall {
                client: context.client(),
                id,
                message: &message,
                #[cfg(feature = "dma")]
                memory: context.dma.memory(),
            };
            let answer = callback.call(&mut call);
            CustomResponse { message: answer.message, returned: answer.status(), ..nothing }
        }
    };
    context.put(&response, out)
}
