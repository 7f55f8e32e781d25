//! No clock at all.

use casemate_transport::Clock;

/// A clock that stands still: request timeouts never expire.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoClock;

impl Clock for NoClock {
    fn now_microseconds(&self) -> u64 {
        0
    }
}
