//! The curves of NIST. The library has no Brainpool, and for secp256k1 nothing faster than the portable driver.

use super::number::{self, Number};
use super::{Owned, check, failed};
use aws_lc_sys::{EC_GROUP, EC_KEY, EC_POINT, ECDSA_SIG, point_conversion_form_t};
use casemate_crypto::{Curve, Error};
use std::ffi::c_int;
use std::ptr::{null, null_mut};

/// An uncompressed point: a byte that says so, X and Y.
const ENCODED: usize = 1 + Curve::MAX_POINT;

fn group(curve: Curve) -> Result<*const EC_GROUP, Error> {
    // SAFETY: the functions take nothing; what they return is static.
    unsafe {
        match curve {
            Curve::P224 => Ok(aws_lc_sys::EC_group_p224()),
            Curve::P256 => Ok(aws_lc_sys::EC_group_p256()),
            Curve::P384 => Ok(aws_lc_sys::EC_group_p384()),
            Curve::P521 => Ok(aws_lc_sys::EC_group_p521()),
            _ => Err(Error::Unsupported),
        }
    }
}

fn empty_key(curve: Curve) -> Result<Owned<EC_KEY>, Error> {
    let identifier = match curve {
        Curve::P224 => aws_lc_sys::NID_secp224r1,
        Curve::P256 => aws_lc_sys::NID_X9_62_prime256v1,
        Curve::P384 => aws_lc_sys::NID_secp384r1,
        Curve::P521 => aws_lc_sys::NID_secp521r1,
        _ => return Err(Error::Unsupported),
    };
    // SAFETY: the function takes a number and returns null or a new object, which the caller owns.
    unsafe { Owned::new(aws_lc_sys::EC_KEY_new_by_curve_name(identifier), Error::Hardware) }
}

/// A public key: a point on the curve, not the identity.
pub(crate) struct PublicKey {
    curve: Curve,
    point: Owned<EC_POINT>,
}

impl PublicKey {
    fn empty(curve: Curve) -> Result<Self, Error> {
        let group = group(curve)?;
        // SAFETY: the group is static; the function returns null or a new object, which the caller owns.
        let point = unsafe { Owned::new(aws_lc_sys::EC_POINT_new(group), Error::Hardware)? };
        Ok(Self { curve, point })
    }

    /// Reads X ‖ Y.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::Key`] if this is no point of the curve.
    pub(crate) fn from_bytes(curve: Curve, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != curve.point_size() {
            return Err(Error::KeyLength);
        }
        let mut encoded = [0; ENCODED];
        let encoded = encoded.get_mut(..1 + bytes.len()).ok_or(Error::KeyLength)?;
        let (form, coordinates) = encoded.split_first_mut().ok_or(Error::KeyLength)?;
        *form = 4;
        coordinates.copy_from_slice(bytes);
        let (group, key) = (group(curve)?, Self::empty(curve)?);
        // SAFETY: group and point are valid and belong together; pointer and length are those of a slice; the workspace
        // may be null. The function checks that the coordinates are in range and the point is on the curve.
        let answer = unsafe {
            aws_lc_sys::EC_POINT_oct2point(
                group,
                key.point.as_ptr(),
                encoded.as_ptr(),
                encoded.len(),
                null_mut(),
            )
        };
        check(answer, Error::Key)?;
        Ok(key)
    }

    /// Writes X ‖ Y.
    pub(crate) fn write(&self, output: &mut [u8]) -> Result<(), Error> {
        // SAFETY: the point is valid and belongs to the curve.
        unsafe { write_point(self.curve, self.point.as_ptr(), output) }
    }

    /// Whether the signature r ‖ s of a digest is valid.
    pub(crate) fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<bool, Error> {
        let (r, s) = signature.split_at(signature.len() / 2);
        let (r, s) = (Number::from_bytes(r)?, Number::from_bytes(s)?);
        // SAFETY: the function returns null or a new object, which the caller owns.
        let pair = unsafe { Owned::<ECDSA_SIG>::new(aws_lc_sys::ECDSA_SIG_new(), Error::Hardware)? };
        // SAFETY: all three are valid. The function takes the numbers over unless one of them is null.
        let answer = unsafe { aws_lc_sys::ECDSA_SIG_set0(pair.as_ptr(), r.0.into_raw(), s.0.into_raw()) };
        check(answer, Error::Hardware)?;
        let key = empty_key(self.curve)?;
        // SAFETY: both are valid and of the same curve; the function copies the point.
        let answer = unsafe { aws_lc_sys::EC_KEY_set_public_key(key.as_ptr(), self.point.as_ptr()) };
        check(answer, Error::Hardware)?;
        // SAFETY: pointer and length are those of a slice, the other two are valid objects.
        let answer = unsafe {
            aws_lc_sys::ECDSA_do_verify(digest.as_ptr(), digest.len(), pair.as_ptr(), key.as_ptr())
        };
        Ok(check(answer, Error::Authentication).is_ok())
    }
}

/// Writes X ‖ Y.
///
/// # Safety
/// `point` is a valid point of the curve, and stays so during the call.
unsafe fn write_point(curve: Curve, point: *const EC_POINT, output: &mut [u8]) -> Result<(), Error> {
    let group = group(curve)?;
    let mut encoded = [0; ENCODED];
    // SAFETY: group and point are valid and belong together, says the caller; pointer and length are those of an array;
    // the workspace may be null.
    let size = unsafe {
        aws_lc_sys::EC_POINT_point2oct(
            group,
            point,
            point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED,
            encoded.as_mut_ptr(),
            encoded.len(),
            null_mut(),
        )
    };
    match encoded.get(1..size) {
        Some(coordinates) if coordinates.len() == output.len() => {
            output.copy_from_slice(coordinates);
            Ok(())
        }
        _ => Err(failed(Error::Hardware)),
    }
}

/// A private key.
pub(crate) struct PrivateKey {
    curve: Curve,
    key: Owned<EC_KEY>,
}

impl PrivateKey {
    /// Reads a big-endian scalar.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::Key`] if it is zero or not below the order.
    pub(crate) fn from_bytes(curve: Curve, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != curve.field_size() {
            return Err(Error::KeyLength);
        }
        let scalar = Number::from_bytes(bytes)?;
        let key = empty_key(curve)?;
        // SAFETY: both are valid; the function copies the number, after checking its range.
        let answer = unsafe { aws_lc_sys::EC_KEY_set_private_key(key.as_ptr(), scalar.0.as_ptr()) };
        check(answer, Error::Key)?;
        Ok(Self { curve, key })
    }

    /// Writes a fresh key pair.
    pub(crate) fn generate(curve: Curve, private: &mut [u8], public: &mut [u8]) -> Result<(), Error> {
        let key = empty_key(curve)?;
        // SAFETY: the key is valid and has a curve.
        let answer = unsafe { aws_lc_sys::EC_KEY_generate_key(key.as_ptr()) };
        check(answer, Error::Entropy)?;
        // SAFETY: the key is valid; what the functions return belongs to it, is not null after generation, and is not
        // changed while it is read.
        unsafe {
            number::write(aws_lc_sys::EC_KEY_get0_private_key(key.as_ptr()), private)?;
            write_point(curve, aws_lc_sys::EC_KEY_get0_public_key(key.as_ptr()), public)
        }
    }

    /// The public key.
    pub(crate) fn public(&self) -> Result<PublicKey, Error> {
        let (group, public) = (group(self.curve)?, PublicKey::empty(self.curve)?);
        // SAFETY: group, point and scalar are valid and belong together; a null point and second scalar ask for the
        // multiple of the base point, which is computed in constant time; the workspace may be null.
        let answer = unsafe {
            aws_lc_sys::EC_POINT_mul(
                group,
                public.point.as_ptr(),
                aws_lc_sys::EC_KEY_get0_private_key(self.key.as_ptr()),
                null(),
                null(),
                null_mut(),
            )
        };
        check(answer, Error::Hardware)?;
        Ok(public)
    }

    /// Writes a signature r ‖ s of a digest.
    pub(crate) fn sign(&self, digest: &[u8], signature: &mut [u8]) -> Result<(), Error> {
        // SAFETY: pointer and length are those of a slice and the key is valid; the function returns null or a new object,
        // which the caller owns.
        let pair = unsafe {
            Owned::<ECDSA_SIG>::new(
                aws_lc_sys::ECDSA_do_sign(digest.as_ptr(), digest.len(), self.key.as_ptr()),
                Error::Hardware,
            )?
        };
        let (mut r, mut s) = (null(), null());
        // SAFETY: the signature is valid, and both pointers are to variables.
        unsafe { aws_lc_sys::ECDSA_SIG_get0(pair.as_ptr(), &raw mut r, &raw mut s) };
        let (first, second) = signature.split_at_mut(self.curve.field_size());
        // SAFETY: the numbers belong to the signature, which lives to the end of this function and is not changed.
        unsafe {
            number::write(r, first)?;
            number::write(s, second)
        }
    }

    /// Writes the X coordinate of the product with a public key of the same curve.
    pub(crate) fn agree(&self, public: &PublicKey, secret: &mut [u8]) -> Result<(), Error> {
        // SAFETY: pointer and length are those of a slice; point and key are valid, and the function checks that they are
        // of one curve. Without a key derivation it writes the coordinate.
        let size = unsafe {
            aws_lc_sys::ECDH_compute_key(
                secret.as_mut_ptr().cast(),
                secret.len(),
                public.point.as_ptr(),
                self.key.as_ptr(),
                None,
            )
        };
        if c_int::try_from(secret.len()) == Ok(size) { Ok(()) } else { Err(failed(Error::Hardware)) }
    }
}
