//! A PKCS#11 3.2 module (OASIS, with the entry points of 3.0 and 2.40) whose tokens are Casemate servers: programs that know
//! PKCS#11 use keys that the server keeps.
//!
//! Programs load `libcasemate_pkcs11.so`; how to point it at servers, and what each program wants to be told, is in
//! `docs/pkcs11.md`. The C interface is the one module `ffi`, a thin face: it turns pointers into slices and outcomes
//! into return values. Everything else is [`Module`], which is safe and can be used, tested and fuzzed without C.
//!
//! Secret keys stay in the server: signatures, decryption, derivation and ciphers are its work. What takes no secret is
//! done in this process: digests, checks of signatures, encryption with public keys, paddings. Four things pass through
//! this process, because the protocol offers nothing else, and only if the key is extractable or is being made of them:
//! keys for HMAC, keys that are wrapped or unwrapped, secrets of ML-KEM, and secrets of a key agreement of which the front
//! part becomes a key.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod attributes;
mod ccm;
mod ciphering;
pub mod config;
mod connection;
mod creation;
mod driver;
mod error;
pub mod ffi;
mod home;
mod keys;
mod lock;
mod mechanism;
mod module;
mod object;
mod record;
mod signing;
mod token;
mod wrapping;

pub use attributes::Attribute;
pub use config::{Connector, Handler, Target};
pub use cryptoki_sys;
pub use error::{Error, Result};
pub use mechanism::{Mechanism, Parameter};
pub use module::Module;
