//! Keys of Weierstrass curves (SEC 1, RFC 5915, RFC 5480, RFC 5639), bare points, and ECDSA signatures.

use super::{
    Algorithm, Elements, EncodingError, Malformed, Output, PrivateKeyInfo, PublicKeyInfo, element_size,
    elements_size, significant, tag, unsigned_size,
};
use crate::{Curve, EllipticCurve, Error, constant_time_equal};
use core::fmt;

/// 1.2.840.10045.2.1, id-ecPublicKey.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `[1]`, constructed: the public key of SEC 1.
const CONTEXT_1: u8 = 0xa1;
/// What stands before the coordinates of an uncompressed point (SEC 1, §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The name of a curve as ECParameters, an OBJECT IDENTIFIER with tag and length (RFC 5480, §2.1.1.1).
#[inline(never)]
const fn name(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P224 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21],
        Curve::P256 => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        Curve::P384 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
        Curve::P521 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
        Curve::Secp256k1 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a],
        Curve::BrainpoolP256r1 => &[0x06, 0x09, 0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07],
        Curve::BrainpoolP384r1 => &[0x06, 0x09, 0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0b],
    }
}

fn named(parameters: &[u8]) -> Option<Curve> {
    Curve::ALL.into_iter().find(|curve| name(*curve) == parameters)
}

/// An elliptic-curve key: a private half, a public half or both. It borrows from the bytes that it was decoded from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EcKey<'a> {
    /// The curve.
    pub curve: Curve,
    /// The private half: a big-endian scalar of [`Curve::field_size`] bytes.
    pub private: Option<&'a [u8]>,
    /// The public half: X ‖ Y, [`Curve::point_size`] bytes.
    pub public: Option<&'a [u8]>,
}

impl<'a> EcKey<'a> {
    /// The largest encoding, in bytes: a pair on P-521.
    pub const MAX_ENCODING: usize = 223;

    /// Decodes a SEC 1 ECPrivateKey, a PKCS#8 private key or a SubjectPublicKeyInfo.
    ///
    /// An ECPrivateKey that stands alone and names no curve is on NIST's one whose [`Curve::field_size`] its private key
    /// has. Whether a point is on its curve is for [`check`](Self::check) to say.
    ///
    /// # Errors
    /// [`EncodingError::Malformed`], [`EncodingError::UnknownCurve`]; [`EncodingError::Point`] for a public key that
    /// is compressed or has the wrong length; [`EncodingError::Mismatch`] if a PKCS#8 key holds two public halves that
    /// differ.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let mut elements = Elements::inside(bytes, tag::SEQUENCE)?;
        if elements.next_tag() != Some(tag::INTEGER) {
            let info = PublicKeyInfo::decode(bytes)?;
            let curve = algorithm_curve(&info.algorithm)?;
            return Ok(Self { curve, private: None, public: Some(decode_point(curve, info.public_key)?) });
        }
        let _version = elements.unsigned()?;
        if elements.next_tag() == Some(tag::OCTET_STRING) {
            return Self::decode_sec1(bytes, None);
        }
        let info = PrivateKeyInfo::decode(bytes)?;
        let curve = algorithm_curve(&info.algorithm)?;
        let mut key = Self::decode_sec1(info.private_key, Some(curve))?;
        if let Some(point) = info.public_key(curve.point_size().saturating_add(1))? {
            let public = decode_point(curve, point)?;
            if key.public.is_some_and(|other| other != public) {
                return Err(EncodingError::Mismatch);
            }
            key.public = Some(public);
        }
        Ok(key)
    }

    /// `expected` is the curve that the key is said to be on by what stands around it.
    fn decode_sec1(bytes: &'a [u8], expected: Option<Curve>) -> Result<Self, EncodingError> {
        let mut elements = Elements::inside(bytes, tag::SEQUENCE)?;
        if elements.unsigned()? != [1] {
            return Err(EncodingError::Malformed);
        }
        let private = elements.take(tag::OCTET_STRING)?;
        let stated = match elements.optional(tag::CONTEXT_0) {
            None => None,
            Some(parameters) => Some(named(parameters).ok_or(EncodingError::UnknownCurve)?),
        };
        let point = elements.optional(CONTEXT_1);
        elements.finish()?;

        let curve = match (expected, stated) {
            (Some(expected), Some(stated)) if expected != stated => return Err(EncodingError::Malformed),
            (Some(curve), _) | (None, Some(curve)) => curve,
            (None, None) => Curve::NIST
                .into_iter()
                .find(|curve| curve.field_size() == private.len())
                .ok_or(EncodingError::UnknownCurve)?,
        };
        if private.len() != curve.field_size() {
            return Err(EncodingError::Malformed);
        }
        let public = match point {
            None => None,
            Some(content) => {
                let mut elements = Elements::new(content);
                let point = elements.bits()?;
                elements.finish()?;
                Some(decode_point(curve, point)?)
            }
        };
        Ok(Self { curve, private: Some(private), public })
    }

    /// Checks that the private half is in range, that the public half is a point on the curve, and that the two belong
    /// together: as far as the key has them.
    ///
    /// # Errors
    /// [`EncodingError::PrivateKey`], [`EncodingError::Point`], [`EncodingError::Mismatch`],
    /// [`EncodingError::Driver`].
    pub fn check<D: EllipticCurve + ?Sized>(&self, driver: &D) -> Result<(), EncodingError> {
        if let Some(public) = self.public {
            driver.ec_check(self.curve, public).map_err(or_else(EncodingError::Point))?;
        }
        if let Some(private) = self.private {
            let mut derived = [0; Curve::MAX_POINT];
            let derived = self.public_of(private, driver, &mut derived)?;
            if self.public.is_some_and(|public| !constant_time_equal(public, derived)) {
                return Err(EncodingError::Mismatch);
            }
        }
        Ok(())
    }

    /// The public half: the one that the key has, or else the private half's, computed into `buffer`.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if the key has neither half, [`EncodingError::PrivateKey`],
    /// [`EncodingError::Driver`].
    pub fn public_or_derived<'b, D: EllipticCurve + ?Sized>(
        &self,
        driver: &D,
        buffer: &'b mut [u8; Curve::MAX_POINT],
    ) -> Result<&'b [u8], EncodingError>
    where
        'a: 'b,
    {
        match (self.public, self.private) {
            (Some(public), _) => Ok(public),
            (None, Some(private)) => self.public_of(private, driver, buffer),
            (None, None) => Err(EncodingError::Missing),
        }
    }

    fn public_of<'b, D: EllipticCurve + ?Sized>(
        &self,
        private: &[u8],
        driver: &D,
        buffer: &'b mut [u8; Curve::MAX_POINT],
    ) -> Result<&'b [u8], EncodingError> {
        let public = buffer.get_mut(..self.curve.point_size()).ok_or(EncodingError::Point)?;
        driver.ec_public(self.curve, private, public).map_err(or_else(EncodingError::PrivateKey))?;
        Ok(public)
    }

    /// Writes the key as SEC 1 ECPrivateKey with its curve's name, and with the public half if it has one, and returns
    /// the size: 106, 121, 167 or 223 bytes for a pair, 44, 51, 64 or 82 without a public half.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no private half, [`EncodingError::PrivateKey`] or
    /// [`EncodingError::Point`] if a half has the wrong length, [`EncodingError::OutputLength`].
    #[inline(never)]
    pub fn encode_private(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        let private = self.private.ok_or(EncodingError::Missing)?;
        if private.len() != self.curve.field_size() {
            return Err(EncodingError::PrivateKey);
        }
        let name = name(self.curve);
        // Of the public half: the octet for unused bits, the one for the form, and the coordinates.
        let bits = self.curve.point_size().saturating_add(2);
        let point = element_size(bits);
        let content = elements_size(&[1, private.len(), name.len()])
            .saturating_add(self.public.map_or(0, |_| element_size(point)));
        let mut output = Output::new(output, element_size(content))?;
        output.header(tag::SEQUENCE, content);
        output.element(tag::INTEGER, &[1]);
        output.element(tag::OCTET_STRING, private);
        output.element(tag::CONTEXT_0, name);
        if let Some(public) = self.public {
            if public.len() != self.curve.point_size() {
                return Err(EncodingError::Point);
            }
            output.header(CONTEXT_1, point);
            output.header(tag::BIT_STRING, bits);
            output.bytes(&[0, UNCOMPRESSED]);
            output.bytes(public);
        }
        output.finish()
    }

    /// Writes the public half as SubjectPublicKeyInfo and returns the size: 80, 91, 120 or 158 bytes.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no public half, [`EncodingError::Point`] if it has the wrong length,
    /// [`EncodingError::OutputLength`].
    pub fn encode_public(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        let public = self.public.ok_or(EncodingError::Missing)?;
        if public.len() != self.curve.point_size() {
            return Err(EncodingError::Point);
        }
        let algorithm = Algorithm { identifier: EC_PUBLIC_KEY, parameters: name(self.curve) };
        super::encode_public_key_info(algorithm, &[&[UNCOMPRESSED], public], output)
    }
}

/// Shows which halves there are, not the private one.
impl fmt::Debug for EcKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EcKey")
            .field("curve", &self.curve)
            .field("has_private", &self.private.is_some())
            .field("public", &self.public)
            .finish()
    }
}

fn algorithm_curve(algorithm: &Algorithm<'_>) -> Result<Curve, EncodingError> {
    if algorithm.identifier != EC_PUBLIC_KEY {
        return Err(EncodingError::Malformed);
    }
    named(algorithm.parameters).ok_or(EncodingError::UnknownCurve)
}

/// Turns a driver's verdict on a key into `verdict`, and leaves every other error.
fn or_else(verdict: EncodingError) -> impl FnOnce(Error) -> EncodingError {
    move |error| match error {
        Error::Key | Error::KeyLength => verdict,
        error => EncodingError::Driver(error),
    }
}

/// The coordinates X ‖ Y of an uncompressed point `04 ‖ X ‖ Y` (ANSI X9.63; SEC 1, §2.3.3).
///
/// # Errors
/// [`EncodingError::Point`] if it has another form or length. Whether it is on the curve is not checked.
pub fn decode_point(curve: Curve, point: &[u8]) -> Result<&[u8], EncodingError> {
    match point {
        [UNCOMPRESSED, coordinates @ ..] if coordinates.len() == curve.point_size() => Ok(coordinates),
        _ => Err(EncodingError::Point),
    }
}

/// Writes `04 ‖ X ‖ Y` and returns the size.
///
/// # Errors
/// [`EncodingError::OutputLength`].
pub fn encode_point(public: &[u8], output: &mut [u8]) -> Result<usize, EncodingError> {
    let needed = public.len().saturating_add(1);
    let output = output.get_mut(..needed).ok_or(EncodingError::OutputLength { needed })?;
    if let Some((form, coordinates)) = output.split_first_mut() {
        *form = UNCOMPRESSED;
        coordinates.copy_from_slice(public);
    }
    Ok(needed)
}

/// Decodes an ECDSA signature, SEQUENCE { r, s } (RFC 3279, §2.2.3), to r ‖ s of [`Curve::point_size`] bytes at the
/// start of `output`, and returns that size.
///
/// # Errors
/// [`EncodingError::Signature`] if the form is wrong: no DER, a negative number, something after the end.
/// [`EncodingError::SignatureZero`]; [`EncodingError::SignatureRange`] if a number does not fit
/// [`Curve::field_size`] bytes; [`EncodingError::OutputLength`].
#[inline(never)]
pub fn decode_ecdsa_signature(
    curve: Curve,
    signature: &[u8],
    output: &mut [u8],
) -> Result<usize, EncodingError> {
    let needed = curve.point_size();
    let output = output.get_mut(..needed).ok_or(EncodingError::OutputLength { needed })?;
    let numbers = || {
        let mut elements = Elements::inside(signature, tag::SEQUENCE)?;
        let numbers = [elements.unsigned()?, elements.unsigned()?];
        elements.finish()?;
        Ok(numbers)
    };
    let numbers = numbers().map_err(|_: Malformed| EncodingError::Signature)?;
    if numbers.iter().any(|number| number.is_empty()) {
        return Err(EncodingError::SignatureZero);
    }
    for (number, field) in numbers.iter().zip(output.chunks_mut(curve.field_size())) {
        let start = field.len().checked_sub(number.len()).ok_or(EncodingError::SignatureRange)?;
        let (zeros, value) = field.split_at_mut_checked(start).ok_or(EncodingError::SignatureRange)?;
        zeros.fill(0);
        value.copy_from_slice(number);
    }
    Ok(needed)
}

/// Encodes the signature r ‖ s as SEQUENCE { r, s } with minimal integers and returns the size: at most 64, 72, 104 or
/// 139 bytes for P-224, P-256, P-384 or P-521.
///
/// # Errors
/// [`EncodingError::Signature`] if the length is odd, [`EncodingError::SignatureZero`],
/// [`EncodingError::OutputLength`].
pub fn encode_ecdsa_signature(signature: &[u8], output: &mut [u8]) -> Result<usize, EncodingError> {
    if signature.len().checked_rem(2) != Some(0) {
        return Err(EncodingError::Signature);
    }
    let middle = signature.len().checked_div(2).unwrap_or_default();
    let (r, s) = signature.split_at_checked(middle).ok_or(EncodingError::Signature)?;
    if significant(r).is_empty() || significant(s).is_empty() {
        return Err(EncodingError::SignatureZero);
    }
    let content = unsigned_size(r).saturating_add(unsigned_size(s));
    let mut output = Output::new(output, element_size(content))?;
    output.header(tag::SEQUENCE, content);
    output.unsigned(r);
    output.unsigned(s);
    output.finish()
}
