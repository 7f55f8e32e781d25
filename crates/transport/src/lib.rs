//! How packets move: the transport traits, the framing of packets on a byte stream, and transports that stay
//! inside one process.
//!
//! A transport carries *whole packets*, in order, at most one unanswered request at a time. It knows nothing of a
//! packet's contents beyond its smallest size: sequence numbers and kinds are matched by the client, and a
//! response that comes too late is discarded there.
//!
//! No method of [`ClientTransport`] or [`ServerTransport`] waits, except [`ClientTransport::receive_within`],
//! which may. A method that would have to wait returns [`TransportError::NotReady`].
//!
//! - [`FrameDecoder`] and [`FrameEncoder`]: a 4-byte big-endian length before each packet (document 01, §12.1), as
//!   state machines that do no input or output themselves.
//! - [`Loopback`]: a client endpoint that answers its own requests by calling a function.
//! - [`MemoryLink`]: a client endpoint and a server endpoint that share two buffers and a thread.
//! - [`MemoryClient`], [`MemoryServer`]: two endpoints on memory that two cores, processes or threads share, in the
//!   original's layout (document 01, §12.3).
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )
)]

mod clock;
mod error;
mod frame;
mod link;
mod loopback;
mod memory;
mod shared_memory;
mod traits;

pub use clock::Clock;
pub use error::TransportError;
pub use frame::{FrameDecoder, FrameEncoder, FrameError, LENGTH_PREFIX_SIZE};
pub use link::{LinkClient, LinkServer, MemoryLink};
pub use loopback::Loopback;
pub use memory::{CONTROL_SIZE, MemoryClient, MemoryError, MemoryServer};
pub use shared_memory::{OutOfRange, SharedMemory, SharedRegion};
pub use traits::{ClientTransport, ServerTransport};
