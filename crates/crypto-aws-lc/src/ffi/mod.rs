//! The library's functions behind safe ones. Nothing outside of this module is `unsafe`.
//!
//! Common to all of it: the library reads and writes only what the pointers and lengths given to it span, which here
//! always come from one slice or array; it keeps no pointer after a call returns unless a comment says so; and it may be
//! called from any thread, objects from one thread at a time, which [`Owned`] ensures by being neither `Send` nor `Sync`.

pub(crate) mod aead;
pub(crate) mod cipher;
pub(crate) mod curve;
pub(crate) mod edwards;
pub(crate) mod lattice;
pub(crate) mod number;
pub(crate) mod rsa;

use casemate_crypto::Error;
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

/// An object of the library that has one owner and a function to free it.
///
/// # Safety
/// `free` must be the function that the library names for objects that its other functions return as owned.
pub(crate) unsafe trait Object {
    /// Frees the object.
    ///
    /// # Safety
    /// The pointer is owned by the caller and not used again.
    unsafe fn free(pointer: *mut Self);
}

macro_rules! object {
    ($($type:ident: $free:ident),+ $(,)?) => { $(
        // SAFETY: this is the pairing that the library documents.
        unsafe impl Object for aws_lc_sys::$type {
            unsafe fn free(pointer: *mut Self) {
                // SAFETY: the caller promises that the pointer is owned and not used again.
                unsafe { aws_lc_sys::$free(pointer) }
            }
        }
    )+ };
}

// Those that hold secrets are wiped by the library when it frees them: it wipes all memory that it frees.
object! {
    BIGNUM: BN_clear_free,
    BN_CTX: BN_CTX_free,
    EC_KEY: EC_KEY_free,
    EC_POINT: EC_POINT_clear_free,
    ECDSA_SIG: ECDSA_SIG_free,
    RSA: RSA_free,
    EVP_PKEY: EVP_PKEY_free,
    EVP_PKEY_CTX: EVP_PKEY_CTX_free,
    EVP_MD_CTX: EVP_MD_CTX_free,
}

/// An object of the library, freed when dropped.
pub(crate) struct Owned<T: Object>(NonNull<T>);

impl<T: Object> Owned<T> {
    /// Takes over what a function of the library returned; null, its sign of failure, becomes `error`.
    ///
    /// # Safety
    /// The pointer is null, or that of an object which the caller owns.
    unsafe fn new(pointer: *mut T, error: Error) -> Result<Self, Error> {
        NonNull::new(pointer).map(Self).ok_or_else(|| failed(error))
    }

    fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// Gives the object away.
    fn into_raw(self) -> *mut T {
        let pointer = self.as_ptr();
        std::mem::forget(self);
        pointer
    }
}

impl<T: Object> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the object is owned by `self` and not used after its drop.
        unsafe { T::free(self.0.as_ptr()) }
    }
}

/// Empties the queue of errors that the library keeps for this thread, and passes `error` on.
fn failed(error: Error) -> Error {
    // SAFETY: the function takes nothing and touches only the library's own memory of this thread.
    unsafe { aws_lc_sys::ERR_clear_error() };
    error
}

/// The answer of a function that returns 1 for success.
fn check(answer: c_int, error: Error) -> Result<(), Error> {
    if answer == 1 { Ok(()) } else { Err(failed(error)) }
}

/// Wipes a plain structure of the library.
///
/// # Safety
/// All zeros is a valid value of the type.
unsafe fn wipe<T>(value: &mut T) {
    let pointer: *mut T = value;
    // SAFETY: the pointer spans one value, which is borrowed mutably, and zeros are valid for it, says the caller.
    unsafe { aws_lc_sys::OPENSSL_cleanse(pointer.cast::<c_void>(), size_of::<T>()) }
}
