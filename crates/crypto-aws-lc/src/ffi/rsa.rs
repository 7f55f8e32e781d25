//! Raw RSA.

use super::number::{self, Number};
use super::{Owned, check};
use aws_lc_sys::RSA;
use casemate_crypto::Error;
use std::ffi::c_int;
use std::ptr::null_mut;

fn empty_key() -> Result<Owned<RSA>, Error> {
    // SAFETY: the function returns null or a new object, which the caller owns.
    unsafe { Owned::new(aws_lc_sys::RSA_new(), Error::Hardware) }
}

/// Gives the numbers n, e and, for a private key, d to a key.
fn set_key(
    key: &Owned<RSA>,
    modulus: Number,
    exponent: Number,
    private: Option<Number>,
) -> Result<(), Error> {
    let private = private.map_or(null_mut(), |number| number.0.into_raw());
    // SAFETY: the key is valid and empty, the numbers are valid; the function takes them over, since n and e are there.
    let answer = unsafe {
        aws_lc_sys::RSA_set0_key(key.as_ptr(), modulus.0.into_raw(), exponent.0.into_raw(), private)
    };
    check(answer, Error::Hardware)
}

/// A public key.
pub(crate) struct PublicKey(Owned<RSA>);

// SAFETY: the library keeps nothing of an RSA object in the thread that made it.
unsafe impl Send for PublicKey {}
// SAFETY: after `new` the only function called on the object is `RSA_verify_raw`, which the library says does not mutate it
// for the purposes of thread safety: what it computes once and keeps (Montgomery's numbers) is behind its lock.
unsafe impl Sync for PublicKey {}

impl PublicKey {
    pub(crate) fn new(modulus: Number, exponent: Number) -> Result<Self, Error> {
        let key = empty_key()?;
        set_key(&key, modulus, exponent, None)?;
        Ok(Self(key))
    }

    /// Raises a number below the modulus, and as long, to the exponent. Both slices have one length.
    pub(crate) fn raise(&self, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let mut written = 0;
        // SAFETY: the key is valid; pointers and lengths are those of slices that do not overlap. The function checks them
        // against the modulus.
        let answer = unsafe {
            aws_lc_sys::RSA_verify_raw(
                self.0.as_ptr(),
                &raw mut written,
                output.as_mut_ptr(),
                output.len(),
                input.as_ptr(),
                input.len(),
                aws_lc_sys::RSA_NO_PADDING,
            )
        };
        check(answer, Error::Hardware)?;
        if written == output.len() { Ok(()) } else { Err(Error::Hardware) }
    }
}

/// The numbers of a private key that the library computes with.
pub(crate) struct PrivateNumbers {
    pub(crate) modulus: Number,
    pub(crate) public_exponent: Number,
    pub(crate) prime_p: Number,
    pub(crate) prime_q: Number,
    pub(crate) exponent_p: Number,
    pub(crate) exponent_q: Number,
    pub(crate) coefficient: Number,
}

/// A private key.
pub(crate) struct PrivateKey(Owned<RSA>);

// SAFETY: the library keeps nothing of an RSA object in the thread that made it.
unsafe impl Send for PrivateKey {}
// SAFETY: after `new` the only function called on the object is `RSA_sign_raw`, which the library says does not mutate it
// for the purposes of thread safety: what it computes once and keeps (Montgomery's numbers, blinding) is behind its lock.
unsafe impl Sync for PrivateKey {}

impl PrivateKey {
    /// Makes a key of numbers that must fit together: p · q = n, and both primes have as many words.
    pub(crate) fn new(numbers: PrivateNumbers) -> Result<Self, Error> {
        let key = empty_key()?;
        // The library wants to see d but does not use it when it has the numbers modulo p and q, so it gets none.
        set_key(&key, numbers.modulus, numbers.public_exponent, Some(Number::zero()?))?;
        let (p, q) = (numbers.prime_p.0.into_raw(), numbers.prime_q.0.into_raw());
        // SAFETY: the key is valid, the numbers are valid; the function takes them over, since both are there.
        let answer = unsafe { aws_lc_sys::RSA_set0_factors(key.as_ptr(), p, q) };
        check(answer, Error::Hardware)?;
        let (exponent_p, exponent_q) = (numbers.exponent_p.0.into_raw(), numbers.exponent_q.0.into_raw());
        let coefficient = numbers.coefficient.0.into_raw();
        // SAFETY: the key is valid, the numbers are valid; the function takes them over, since all three are there.
        let answer =
            unsafe { aws_lc_sys::RSA_set0_crt_params(key.as_ptr(), exponent_p, exponent_q, coefficient) };
        check(answer, Error::Hardware)?;
        Ok(Self(key))
    }

    /// Raises a number to the private exponent, blinded, and checks the result with the public key. The number is as long
    /// as the modulus, below n - 1 and above 1. Both slices have one length.
    ///
    /// # Errors
    /// [`Error::Hardware`] if the check fails.
    pub(crate) fn raise(&self, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let mut written = 0;
        // SAFETY: the key is valid; pointers and lengths are those of slices that do not overlap. The function checks them
        // against the modulus.
        let answer = unsafe {
            aws_lc_sys::RSA_sign_raw(
                self.0.as_ptr(),
                &raw mut written,
                output.as_mut_ptr(),
                output.len(),
                input.as_ptr(),
                input.len(),
                aws_lc_sys::RSA_NO_PADDING,
            )
        };
        check(answer, Error::Hardware)?;
        if written == output.len() { Ok(()) } else { Err(Error::Hardware) }
    }
}

/// Writes two fresh primes, the larger one first, for a modulus whose length in bits is a multiple of 128.
pub(crate) fn generate(
    bits: usize,
    exponent: u32,
    prime_p: &mut [u8],
    prime_q: &mut [u8],
) -> Result<(), Error> {
    let bits = c_int::try_from(bits).map_err(|_| Error::KeyLength)?;
    let exponent = Number::from_bytes(&exponent.to_be_bytes())?;
    let key = empty_key()?;
    // SAFETY: the key is valid and empty, the exponent is valid and copied; no function to call back is given.
    let answer =
        unsafe { aws_lc_sys::RSA_generate_key_ex(key.as_ptr(), bits, exponent.0.as_ptr(), null_mut()) };
    check(answer, Error::Hardware)?;
    // SAFETY: the key is valid; the numbers belong to it, are not null after generation, and are not changed while they
    // are read.
    unsafe {
        number::write(aws_lc_sys::RSA_get0_p(key.as_ptr()), prime_p)?;
        number::write(aws_lc_sys::RSA_get0_q(key.as_ptr()), prime_q)
    }
}
