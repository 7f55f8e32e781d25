//! The HSM server as a function: a session and the bytes of a request go in, the bytes of a response come out.
//!
//! The crate knows no socket, no thread and no clock. A port owns the transports and calls [`Server::handle`] for
//! each packet that arrives; it supplies an object store, a driver for cryptography and a lock through
//! [`Platform`]. Nothing here allocates while a request is handled.
//!
//! * [`Server`] is what all sessions share: the object store, the cache of global keys, the configuration.
//! * [`Session`] is one client's connection: who it is, and its own key cache. It ends with the connection.
//! * One module per message group does the work; the key store stands between them and the object store and
//!   enforces every policy on keys (document 03).
//!
//! # Security records
//!
//! What an operator wants to know afterwards (sessions, keys made and exported, refusals and so on) is handed to
//! [`Platform::record`] as an [`audit::Record`], which never contains a secret.
//!
//! # Isolation
//!
//! By default ([`Isolation::Strict`]) a session must say INIT before anything but connection messages, keeps its
//! client identifier until it ends, and reaches another client's keys, counters and SHE slots through no message,
//! the raw object messages included. [`Isolation::Original`] restores the laxity of the server that this protocol
//! comes from. A client identifier is what the client claims: it separates clients that err from each other, and
//! clients that attack each other only where the transport proves who they are.
#![no_std]
#![forbid(unsafe_code)]
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

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod audit;
mod cache;
mod config;
mod context;
#[cfg(feature = "custom")]
mod custom;
mod dispatch;
mod error;
mod group;
mod hardware_keys;
#[cfg(feature = "images")]
pub mod image;
mod keys;
mod lock;
#[cfg(feature = "dma")]
mod memory;
mod platform;
mod server;
mod session;
mod states;
#[cfg(feature = "authentication")]
mod users;

#[cfg(feature = "alloc")]
pub use cache::HeapCache;
pub use cache::{ArrayCache, CacheShape, CacheStorage, CacheUse, Slot};
#[cfg(feature = "hash-signatures")]
pub use casemate_hash_signatures::LeafMemory;
#[cfg(feature = "certificates")]
pub use config::{CertificateOptions, VerifyCacheScope};
pub use config::{Config, ConfigError, Isolation};
#[cfg(feature = "she")]
pub use config::{SheBoot, SheOptions, SheRules, SheScope};
#[cfg(feature = "custom")]
pub use custom::{CustomAnswer, CustomCall, CustomCallback};
pub use dispatch::{Disconnect, Reply};
pub use hardware_keys::{HardwareKeyFault, HardwareKeyStore};
#[cfg(feature = "std")]
pub use lock::ThreadSafe;
pub use lock::{Lock, SingleThread};
#[cfg(feature = "dma")]
pub use memory::{Access, AddressRange, AllowList, ClientMemory, ClientWindow, MemoryError, SliceMemory};
pub use platform::{Affinity, Platform};
pub use server::Server;
pub use session::Session;
#[cfg(all(feature = "authentication", feature = "certificates"))]
pub use users::CertificateLogin;
#[cfg(feature = "authentication")]
pub use users::{ImportedUsers, LoadedUsers, Lockout, UserError, UserPolicy};

/// Whether this build ever verifies an ECDSA signature: for a request, in a certificate, of an image.
pub const VERIFIES_ECDSA: bool =
    cfg!(any(feature = "elliptic-curves", feature = "certificates", feature = "images"));
/// Whether this build ever verifies an Ed25519 signature: for a request, in a certificate.
pub const VERIFIES_ED25519: bool = cfg!(any(feature = "curve25519", feature = "certificates"));
