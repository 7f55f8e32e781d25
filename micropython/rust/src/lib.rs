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

#[cfg(feature = "stm32_crypto")]
mod aes_processor;
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

#[cfg(any(feature = "stm32_crypto", feature = "stm32_hash"))]
use casemate_crypto::Prefer;
use casemate_crypto::{Random, Software};

/// Where random numbers come from: the port's C function, or the operating system when this crate runs by itself.
#[derive(Clone, Copy, Debug)]
pub struct PortRandom;

impl Random for PortRandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), casemate_crypto::Error> {
        ffi::random(output)
    }
}

#[cfg(not(feature = "stm32_hash"))]
type WithHash = Software<PortRandom>;
#[cfg(not(feature = "stm32_hash"))]
const WITH_HASH: WithHash = Software::new(PortRandom);

/// The hash processor first. What it does not do, the software does.
#[cfg(feature = "stm32_hash")]
type WithHash = Prefer<&'static hash::processor::Hashes, Software<PortRandom>>;
#[cfg(feature = "stm32_hash")]
const WITH_HASH: WithHash = Prefer::new(&hash::processor::HASHES, Software::new(PortRandom));

#[cfg(not(feature = "stm32_crypto"))]
pub(crate) type Driver = WithHash;

/// The driver that every operation of the modules goes through.
#[cfg(not(feature = "stm32_crypto"))]
pub(crate) static DRIVER: Driver = WITH_HASH;

/// The AES processor first.
#[cfg(feature = "stm32_crypto")]
pub(crate) type Driver = Prefer<&'static aes_processor::Aes, WithHash>;

/// The driver that every operation of the modules goes through.
#[cfg(feature = "stm32_crypto")]
pub(crate) static DRIVER: Driver = Prefer::new(&aes_processor::AES, WITH_HASH);
