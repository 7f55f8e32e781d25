//! The Rust part of the MicroPython modules `wolfhashlib`, `wolfcryptolib`, `wolfssl` and `casemate`.
//!
//! MicroPython's build (`micropython/casemate/micropython.mk`) compiles this crate into a static library with the feature
//! `firmware` and links it with the C files in `micropython/casemate/src`, which know MicroPython's object model and nothing
//! else. Everything that computes is here, over the driver seam of `casemate-crypto`.
//!
//! States that live in a Python object ([`hash`], [`cipher`]) are plain bytes: they need no alignment, may be copied
//! with the object and are wiped by overwriting. The C interface is the module `ffi`, the only one with unsafe code;
//! `micropython/casemate/src/casemate.h` declares it.
#![cfg_attr(not(any(test, not(feature = "firmware"))), no_std)]
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

#[cfg(feature = "tls")]
extern crate alloc;

pub mod cipher;
mod error;
#[allow(unsafe_code)]
pub mod ffi;
pub mod hash;
#[cfg(feature = "hsm")]
pub mod hsm;
#[cfg(feature = "mac")]
pub mod mac;

#[cfg(feature = "tls")]
pub mod tls;

pub use error::Error;

use casemate_crypto::{Random, Software};

/// Where random numbers come from: the port's C function, or the operating system when this crate runs by itself.
#[derive(Clone, Copy, Debug)]
pub struct PortRandom;

impl Random for PortRandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), casemate_crypto::Error> {
        ffi::random(output)
    }
}

/// The driver that every operation of the modules goes through.
pub(crate) static DRIVER: Software<PortRandom> = Software::new(PortRandom);
