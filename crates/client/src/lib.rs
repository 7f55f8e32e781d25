//! The HSM client: typed blocking calls, and every request split into sending and polling.
//!
//! A [`Client`] needs a transport, storage for one packet and, for a request timeout, a clock. It does not allocate.
//! Its calls are grouped as the protocol's messages are:
//!
//! | Calls | What for |
//! |---|---|
//! | `init`, `echo`, `info`, `learn_limits`, `close` | the connection |
//! | `login`, `logout`, `user_*` | users, on a server that has them |
//! | `nvm_*` | objects in non-volatile memory |
//! | `key_*`, `data_wrap`, `data_unwrap` | keys: import, generate, export, commit, erase, revoke, wrap |
//! | `counter_*` | monotonic counters |
//! | `certificate_*` | trusted roots, chains, attribute certificates |
//! | `random` | random numbers |
//! | `aes_ecb`, `aes_cbc`, `aes_ctr`, `aes_gcm_*` | ciphers |
//! | `hash`, `hasher`, `hmac*`, `cmac*` | digests and message authentication |
//! | `hkdf_*`, `cmac_kdf_*` | key derivation |
//! | `key_pair_generate*` | key pairs of every family |
//! | `ecdsa_*`, `ecdh_*`, `ec_*` | NIST curves |
//! | `ed25519_*`, `x25519_*` | Curve25519 |
//! | `rsa`, `rsa_size` | RSA without padding |
//! | `ml_dsa_*`, `ml_kem_*` | ML-DSA (FIPS 204), ML-KEM (FIPS 203) |
//! | `dma_*` | the same for data in memory that client and server share |
//! | `custom_call`, `custom_is_registered` | functions of the server's owner |
//! | `she_*` | AUTOSAR SHE: identifier, secure boot, key slots and updates, random numbers, ciphers, MACs |
//!
//! Data longer than a packet is split where the algorithm allows it (random numbers, ECB, CBC, CTR, hashes, HMAC,
//! CMAC, secure boot, reading objects); otherwise the call fails before anything is sent.
//!
//! # Blocking calls
//!
//! ```
//! # use casemate_client::Error;
//! # use casemate_transport::ClientTransport;
//! use casemate_client::{Client, Direction, Key, NewKey};
//! use casemate_protocol::{ClientId, Flags};
//!
//! fn encrypt<T: ClientTransport>(transport: T, block: &mut [u8; 16]) -> Result<(), Error<T::Error>> {
//!     let mut client = Client::new(transport, [0; 1288]);
//!     client.init(ClientId::new(12).expect("12 is a client identifier"))?;
//!     client.learn_limits()?;
//!     let new = NewKey { flags: Flags::USAGE_ENCRYPT, label: "example".into(), ..NewKey::default() };
//!     let key = client.key_cache_random(&new, 16)?;
//!     client.aes_ecb(Direction::Encrypt, Key::Id(key), block)?;
//!     client.close()
//! }
//! ```
//!
//! # Without waiting
//!
//! Every request is also a value, an [`Operation`]: [`Client::start`] sends it, [`Client::poll`] asks for the outcome
//! and never waits. One request can be pending at a time.
//!
//! ```
//! # use casemate_client::Error;
//! # use casemate_transport::ClientTransport;
//! use casemate_client::{Client, counter};
//!
//! fn increment<T: ClientTransport>(
//!     client: &mut Client<T, [u8; 1288]>,
//!     mut other_work: impl FnMut(),
//! ) -> Result<u32, Error<T::Error>> {
//!     let operation = counter::Increment { id: 7 };
//!     client.start(&operation)?;
//!     loop {
//!         if let Some(value) = client.poll(&operation)? {
//!             return Ok(value);
//!         }
//!         other_work();
//!     }
//! }
//! ```
//!
//! Below that, [`Client::send`] and [`Client::receive`] carry any request of the protocol crate as it is defined
//! there ([`Client::send_crypto`] and [`Client::receive_crypto`] for the CRYPTO group):
//!
//! ```
//! # use casemate_client::Error;
//! # use casemate_transport::ClientTransport;
//! use casemate_client::Client;
//! use casemate_protocol::message::counter::IncrementRequest;
//!
//! # fn increment<T: ClientTransport>(client: &mut Client<T, [u8; 1288]>) -> Result<(), Error<T::Error>> {
//! client.send(&IncrementRequest { id: 7 }, &[])?;
//! if let Some((response, _tail)) = client.receive::<IncrementRequest>()? {
//!     assert!(response.value > 0);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Rules of the exchange
//!
//! Requests are numbered from 1; a response with another number is discarded and waiting goes on. A response of
//! another kind, or one that does not begin as a packet should, is an error that ends the request. A request that
//! timed out is over: the next one can be sent at once, and the late response is discarded (document 01, §3 and
//! §15). The client always sends little-endian.
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

pub mod aes;
pub mod authentication;
pub mod certificate;
mod client;
mod clock;
pub mod cmac;
pub mod comm;
pub mod counter;
pub mod custom;
pub mod dma;
mod error;
pub mod hash;
mod hmac;
pub mod kdf;
pub mod key;
pub mod nvm;
mod operation;
pub mod public_key;
pub mod random;
pub mod she;
pub mod stateful;

pub use aes::{CtrState, Direction, Key};
pub use client::{Affinity, Client};
pub use clock::NoClock;
pub use cmac::Cmac;
pub use error::{Argument, Error, ProtocolFault, ResponseFault};
pub use hash::{Digest, Hash, HashAlgorithm, Hasher};
pub use hmac::Hmac;
pub use kdf::{CmacKdfInput, HkdfInput};
pub use key::NewKey;
pub use operation::{Operation, RequestWriter, Response};
pub use public_key::KeyPair;
pub use public_key::curve25519::{Ed25519, Ed25519Mode, Endianness, X25519};
pub use public_key::elliptic_curve::Curve;
pub use public_key::ml_dsa::{MlDsa, MlDsaMessage, Prehash};
pub use public_key::ml_kem::MlKem;
pub use public_key::rsa::{Rsa, RsaOperation};
pub use stateful::{LmsParameters, Stateful, StatefulParameters, XmssParameters};
