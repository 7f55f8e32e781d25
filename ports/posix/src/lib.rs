//! Casemate on POSIX systems: packets over TCP ([`tcp`]) and shared memory ([`shm`]), flash in a file ([`flash`]),
//! entropy ([`entropy`]) and time from the operating system, a server application ([`daemon`]).
#![deny(unsafe_code)]

mod clock;
pub mod daemon;
pub mod entropy;
mod error;
pub mod flash;
mod mapping;
pub mod shm;
pub mod tcp;

pub use clock::MonotonicClock;
pub use error::LinkError;
