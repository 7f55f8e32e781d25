//! The HSM client for C programs: `casemate.h` and a static and a shared library. The guide is `docs/c-api.md`.
//!
//! Every call is defined once, in a table of `calls`: its documentation, its parameters and what it does, in safe Rust.
//! The macro behind the tables ([`ffi::calls`]) makes of an entry the function that C calls, and a description, from
//! which the header is made (`header`). Which C types a parameter is made of, and what is checked before Rust sees it,
//! is said once for each kind of parameter ([`ffi::Parameter`]).
//!
//! Unsafe code stands in the module `ffi` alone; the tables hold none, which the lint sees to: only what the macro makes
//! is exempt from it.
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

#[cfg(any(feature = "std", test))]
extern crate std;

mod calls;
mod failure;
mod ffi;
#[cfg(test)]
mod header;
mod status;
mod types;

/// Nothing in this library panics on any input; should it happen nevertheless, the device stops here and its watchdog
/// decides.
#[cfg(all(feature = "panic-handler", not(feature = "std"), not(test)))]
#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
