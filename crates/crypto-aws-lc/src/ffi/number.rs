//! Large integers.

use super::{Owned, check};
use aws_lc_sys::{BIGNUM, BN_CTX};
use casemate_crypto::Error;
use std::cmp::Ordering;

/// An unsigned integer, wiped when dropped.
pub(crate) struct Number(pub(super) Owned<BIGNUM>);

impl Number {
    /// Reads a big-endian number.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        // SAFETY: the pointer and length are those of a slice; a null third argument asks for a new object, which the
        // caller owns.
        let number = unsafe {
            Owned::new(
                aws_lc_sys::BN_bin2bn(bytes.as_ptr(), bytes.len(), std::ptr::null_mut()),
                Error::Hardware,
            )
        };
        number.map(Self)
    }

    pub(crate) fn zero() -> Result<Self, Error> {
        // SAFETY: the function returns null or a new object, which the caller owns.
        unsafe { Owned::new(aws_lc_sys::BN_new(), Error::Hardware) }.map(Self)
    }

    /// Writes the number big-endian, with leading zeros.
    ///
    /// # Errors
    /// [`Error::Hardware`] if it does not fit.
    pub(crate) fn write(&self, output: &mut [u8]) -> Result<(), Error> {
        // SAFETY: `self` holds a valid number.
        unsafe { write(self.0.as_ptr(), output) }
    }

    /// Whether this number is the product of two others.
    pub(crate) fn is_product(&self, left: &Self, right: &Self) -> Result<bool, Error> {
        let product = Self::zero()?;
        let workspace = workspace()?;
        // SAFETY: all five are valid objects, and the product is none of the factors.
        let answer = unsafe {
            aws_lc_sys::BN_mul(product.0.as_ptr(), left.0.as_ptr(), right.0.as_ptr(), workspace.as_ptr())
        };
        check(answer, Error::Hardware)?;
        Ok(product.compare(self) == Ordering::Equal)
    }

    /// This number modulo another, which is not zero. The time tells about both.
    pub(crate) fn modulo(&self, modulus: &Self) -> Result<Self, Error> {
        let remainder = Self::zero()?;
        let workspace = workspace()?;
        // SAFETY: all four are valid objects, and the remainder is neither of the operands.
        let answer = unsafe {
            aws_lc_sys::BN_nnmod(
                remainder.0.as_ptr(),
                self.0.as_ptr(),
                modulus.0.as_ptr(),
                workspace.as_ptr(),
            )
        };
        check(answer, Error::Hardware)?;
        Ok(remainder)
    }

    fn compare(&self, other: &Self) -> Ordering {
        // SAFETY: both are valid numbers.
        unsafe { aws_lc_sys::BN_cmp(self.0.as_ptr(), other.0.as_ptr()) }.cmp(&0)
    }
}

/// Memory for intermediate results.
fn workspace() -> Result<Owned<BN_CTX>, Error> {
    // SAFETY: the function returns null or a new object, which the caller owns.
    unsafe { Owned::new(aws_lc_sys::BN_CTX_new(), Error::Hardware) }
}

/// Writes a number big-endian, with leading zeros.
///
/// # Errors
/// [`Error::Hardware`] if it does not fit.
///
/// # Safety
/// `number` is null or a valid number, and stays so during the call.
pub(super) unsafe fn write(number: *const BIGNUM, output: &mut [u8]) -> Result<(), Error> {
    if number.is_null() {
        return Err(Error::Hardware);
    }
    // SAFETY: the number is valid, says the caller; pointer and length are those of a slice.
    let answer = unsafe { aws_lc_sys::BN_bn2bin_padded(output.as_mut_ptr(), output.len(), number) };
    check(answer, Error::Hardware)
}
