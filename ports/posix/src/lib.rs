//! Casemate on POSIX systems: packets over TCP ([`tcp`]), flash in a file ([`flash`]), entropy ([`entropy`]) and time
//! from the operating system, a server application ([`daemon`]).
#![forbid(unsafe_code)]

mod clock;
pub mod daemon;
pub mod entropy;
pub mod flash;
pub mod tcp;

pub use clock::MonotonicClock;
