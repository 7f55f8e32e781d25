//! Custom callbacks of the server's owner.

use crate::ffi::{self, In, Out};
use crate::types::CustomData;

ffi::calls! { "Custom callbacks"
    /// Calls a custom callback. `returned` gets the number that it returned, `answer` what it sent back.
    fn casemate_custom_call(client; id: u32, message: In<CustomData>, returned: Out<i32>, answer: Out<CustomData>) {
        let found = client.custom_call(id, &message.get())?;
        *returned = found.returned;
        *answer = found.message.into();
        Ok(())
    }

    /// Asks whether a custom callback is registered: 1 or 0.
    fn casemate_custom_is_registered(client; id: u32, registered: Out<i32>) {
        *registered = i32::from(client.custom_is_registered(id)?);
        Ok(())
    }
}
