//! Casemate on POSIX systems: packets over TCP ([`tcp`]), Unix-domain sockets ([`unix`]), shared memory ([`shm`])
//! and TLS (`tls`), flash in a file ([`flash`]), a device key in a file ([`device_key`]), entropy ([`entropy`]) and time
//! from the operating system, security records in a file ([`audit`]), counters for operators ([`metrics`]), example
//! callbacks ([`callbacks`]), a server application ([`daemon`]) that serves any number of listeners ([`connection`]) at
//! once. The porting interface, for which one thread does, is in [`device`].
#![deny(unsafe_code)]

pub mod audit;
pub mod callbacks;
mod clock;
pub mod connection;
pub mod daemon;
pub mod device;
pub mod device_key;
pub mod entropy;
mod error;
pub mod flash;
pub mod hardware_keys;
mod leaves;
mod link;
mod locked;
mod mapping;
pub mod metrics;
mod patient;
#[cfg(feature = "tls-psk")]
pub mod psk;
pub mod ram_flash;
pub mod shm;
mod socket;
pub mod store;
pub mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
pub mod unix;

pub use clock::MonotonicClock;
pub use error::LinkError;
pub use link::{ClientLink, LinkOptions, TlsFiles};
pub use patient::Patient;
