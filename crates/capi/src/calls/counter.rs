//! Monotonic counters.

use crate::ffi::{self, Optional, Out};

ffi::calls! { "Monotonic counters"
    /// Creates counter `id`, 1 to 255, or sets it, even to less. `found`, which may be null, gets its value.
    fn casemate_counter_init(client; id: u8, value: u32, found: Optional<u32>) {
        let new = client.counter_init(id, value)?;
        if let Some(found) = found {
            *found = new;
        }
        Ok(())
    }

    /// Adds one to a counter. At 4294967295 it stays there. `value`, which may be null, gets its new value.
    fn casemate_counter_increment(client; id: u8, value: Optional<u32>) {
        let new = client.counter_increment(id)?;
        if let Some(value) = value {
            *value = new;
        }
        Ok(())
    }

    /// Reads a counter.
    fn casemate_counter_read(client; id: u8, value: Out<u32>) {
        *value = client.counter_read(id)?;
        Ok(())
    }

    /// Removes a counter. It is not an error if there is none.
    fn casemate_counter_destroy(client; id: u8) {
        Ok(client.counter_destroy(id)?)
    }
}
