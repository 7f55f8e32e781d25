//! Large integers.

use super::{Owned, check, failed};
use aws_lc_sys::{BIGNUM, BN_CTX, BN_MONT_CTX};
use casemate_crypto::Error;
use std::cmp::Ordering;
use std::ptr::null_mut;

/// An unsigned integer, wiped when dropped.
pub(crate) struct Number(pub(super) Owned<BIGNUM>);

impl Number {
    /// Reads a big-endian number.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        // SAFETY: the pointer and length are those of a slice; a null third argument asks for a new object, which the
        // caller owns.
        let number = unsafe {
            Owned::new(aws_lc_sys::BN_bin2bn(bytes.as_ptr(), bytes.len(), null_mut()), Error::Hardware)
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

    /// The inverse of a short odd number modulo a long odd one, in the time of a division: if k = -1/n modulo this number,
    /// then 1 + k · n is a multiple of it, and the quotient is the inverse. The time tells about both.
    ///
    /// Nothing if the numbers have a common factor.
    pub(crate) fn short_inverse(&self, modulus: &Self) -> Result<Option<Self>, Error> {
        let remainder = modulus.modulo(self)?;
        let (inverse, dividend, quotient) = (Self::zero()?, Self::zero()?, Self::zero()?);
        let workspace = workspace()?;
        // SAFETY: all four are valid objects, and the result is none of the operands.
        let found = unsafe {
            aws_lc_sys::BN_mod_inverse(
                inverse.0.as_ptr(),
                remainder.0.as_ptr(),
                self.0.as_ptr(),
                workspace.as_ptr(),
            )
        };
        if found.is_null() {
            failed(Error::Key);
            return Ok(None);
        }
        let [this, inverse, modulus] = [self, &inverse, modulus].map(|number| number.0.as_ptr());
        let [dividend_pointer, quotient_pointer] = [&dividend, &quotient].map(|number| number.0.as_ptr());
        // SAFETY: all are valid objects. The first and the third function may write what they read; the second and the last
        // have results that are none of the operands; no remainder is asked for.
        let answers = unsafe {
            [
                aws_lc_sys::BN_sub(inverse, this, inverse),
                aws_lc_sys::BN_mul(dividend_pointer, inverse, modulus, workspace.as_ptr()),
                aws_lc_sys::BN_add_word(dividend_pointer, 1),
                aws_lc_sys::BN_div(quotient_pointer, null_mut(), dividend_pointer, this, workspace.as_ptr()),
            ]
        };
        answers.into_iter().try_for_each(|answer| check(answer, Error::Hardware))?;
        Ok(Some(quotient))
    }

    fn compare(&self, other: &Self) -> Ordering {
        // SAFETY: both are valid numbers.
        unsafe { aws_lc_sys::BN_cmp(self.0.as_ptr(), other.0.as_ptr()) }.cmp(&0)
    }
}

/// An odd modulus to compute with. Unless a method says otherwise, its time does not tell about the operands, which are
/// below the modulus.
pub(crate) struct Modulus {
    context: Owned<BN_MONT_CTX>,
    workspace: Owned<BN_CTX>,
}

impl Modulus {
    pub(crate) fn new(modulus: &Number) -> Result<Self, Error> {
        let workspace = workspace()?;
        // SAFETY: both are valid objects; the function copies the number, and returns null or a new object, which the caller
        // owns.
        let context = unsafe {
            Owned::new(
                aws_lc_sys::BN_MONT_CTX_new_for_modulus(modulus.0.as_ptr(), workspace.as_ptr()),
                Error::Hardware,
            )?
        };
        Ok(Self { context, workspace })
    }

    pub(crate) fn multiply(&self, left: &Number, right: &Number) -> Result<Number, Error> {
        let product = Number::zero()?;
        let pointer = product.0.as_ptr();
        // SAFETY: all are valid objects; both functions may write what they read. The first gives left · R, the second
        // left · R · right / R.
        let answers = unsafe {
            let (context, workspace) = (self.context.as_ptr(), self.workspace.as_ptr());
            [
                aws_lc_sys::BN_to_montgomery(pointer, left.0.as_ptr(), context, workspace),
                aws_lc_sys::BN_mod_mul_montgomery(pointer, pointer, right.0.as_ptr(), context, workspace),
            ]
        };
        answers.into_iter().try_for_each(|answer| check(answer, Error::Hardware))?;
        Ok(product)
    }

    /// A power. The time tells about the exponent.
    pub(crate) fn power(&self, base: &Number, exponent: &Number, modulus: &Number) -> Result<Number, Error> {
        let power = Number::zero()?;
        // SAFETY: all are valid objects, the context is that of the modulus, and the result is none of the operands.
        let answer = unsafe {
            aws_lc_sys::BN_mod_exp_mont(
                power.0.as_ptr(),
                base.0.as_ptr(),
                exponent.0.as_ptr(),
                modulus.0.as_ptr(),
                self.workspace.as_ptr(),
                self.context.as_ptr(),
            )
        };
        check(answer, Error::Hardware)?;
        Ok(power)
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
