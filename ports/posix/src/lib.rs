//! Casemate on POSIX systems: packets over TCP, flash in a file, entropy and time from the operating system.
#![forbid(unsafe_code)]

mod clock;
pub mod tcp;

pub use clock::MonotonicClock;
