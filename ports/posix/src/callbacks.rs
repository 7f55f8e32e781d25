//! Two custom callbacks, as examples of what a server's owner can register with
//! [`PosixPlatform::with_callbacks`](crate::daemon::PosixPlatform::with_callbacks).

use casemate_protocol::message::custom::{CustomMessage, DATA_SIZE};
use casemate_server::{CustomAnswer, CustomCall, CustomCallback};
use std::time::{SystemTime, UNIX_EPOCH};

/// A custom callback that all connections can call.
pub type Callback = Box<dyn CustomCallback + Send + Sync>;

/// The message type of [`server_time`].
pub const TIME_TYPE: u32 = 8;

/// What the examples return for a message of a type that they do not know.
pub const UNKNOWN_TYPE: i32 = -1;

/// What [`byte_sum`] returns if it cannot read the client's buffer.
pub const UNREADABLE: i32 = -2;

/// The examples: [`server_time`] has number 0, [`byte_sum`] number 1.
#[must_use]
pub fn examples() -> Vec<Option<Callback>> {
    vec![Some(Box::new(server_time)), Some(Box::new(byte_sum))]
}

/// Answers a message of type [`TIME_TYPE`] with the server's time: seconds since the Unix epoch, 8 bytes little-endian at
/// the start of the data, the rest zero.
#[must_use]
pub fn server_time(call: &mut CustomCall<'_>) -> CustomAnswer {
    match *call.message() {
        CustomMessage::User { custom_type: TIME_TYPE, .. } => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let mut data = [0; DATA_SIZE];
            for (to, from) in data.iter_mut().zip(now.to_le_bytes()) {
                *to = from;
            }
            CustomAnswer { returned: 0, message: CustomMessage::User { custom_type: TIME_TYPE, data } }
        }
        _ => CustomAnswer::number(UNKNOWN_TYPE),
    }
}

/// Adds up the bytes of the client's buffer, which lies in memory that it shares with the server, and returns the sum; the
/// message comes back as it was. It reads the buffer in parts, through the checks of the client's session.
#[must_use]
pub fn byte_sum(call: &mut CustomCall<'_>) -> CustomAnswer {
    let message = *call.message();
    let (mut address, mut left) = match message {
        CustomMessage::Dma32(words) => (u64::from(words.client_address), u64::from(words.client_size)),
        CustomMessage::Dma64(words) => (words.client_address, words.client_size),
        _ => return CustomAnswer::number(UNKNOWN_TYPE),
    };
    let mut sum: i32 = 0;
    let mut part = [0; 256];
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(part.len());
        let part = &mut part[..size];
        if call.read(address, part).is_err() {
            return CustomAnswer { returned: UNREADABLE, message };
        }
        // A sum that does not fit stays at the largest number, so that it cannot be taken for an error.
        sum = part.iter().fold(sum, |sum, byte| sum.saturating_add(i32::from(*byte)));
        // Both were checked when the part was read.
        address += size as u64;
        left -= size as u64;
    }
    CustomAnswer { returned: sum, message }
}
