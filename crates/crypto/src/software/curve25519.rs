//! X25519 and Ed25519 over the curve arithmetic of `curve25519-dalek`.
//!
//! The signature scheme is put together here, because the variants with a context and those over a digest take the
//! message in forms for which the signature libraries have no entrance.

#[cfg(not(feature = "precomputed-tables"))]
use super::public_multiples::sum_of_multiples;
use crate::secret::Secret;
use crate::{Curve25519, Ed25519Mode, Error, HashAlgorithm, Random, Software, constant_time_equal, hash};
#[cfg(not(feature = "precomputed-tables"))]
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use zeroize::{Zeroize, Zeroizing};

/// RFC 8032, §2: what the variants put in front of everything they hash.
const DOMAIN: &[u8] = b"SigEd25519 no Ed25519 collisions";
/// A SHA-512 digest, in bytes.
const DIGEST: usize = 64;

impl<R: Random> Curve25519 for Software<R> {
    fn x25519_public(&self, private: &[u8; 32], public: &mut [u8; 32]) -> Result<(), Error> {
        *public = MontgomeryPoint::mul_base_clamped(*private).to_bytes();
        Ok(())
    }

    fn x25519(&self, private: &[u8; 32], public: &[u8; 32], secret: &mut [u8; 32]) -> Result<(), Error> {
        let mut point = MontgomeryPoint(*public).mul_clamped(*private);
        *secret = point.to_bytes();
        point.zeroize();
        // RFC 7748, §6.1.
        if constant_time_equal(secret, &[0; 32]) { Err(Error::Key) } else { Ok(()) }
    }

    fn ed25519_public(&self, seed: &[u8; 32], public: &mut [u8; 32]) -> Result<(), Error> {
        let mut expanded = Expanded::default();
        self.expand(seed, &mut expanded)?;
        *public = EdwardsPoint::mul_base(&expanded.scalar).compress().to_bytes();
        Ok(())
    }

    #[allow(clippy::arithmetic_side_effects, reason = "arithmetic of a field or a group is total")]
    fn ed25519_sign(
        &self,
        seed: &[u8; 32],
        public: &[u8; 32],
        mode: Ed25519Mode<'_>,
        message: &[u8],
        signature: &mut [u8; 64],
    ) -> Result<(), Error> {
        let variant = Variant::new(mode, message)?;
        let mut expanded = Expanded::default();
        self.expand(seed, &mut expanded)?;
        let mut nonce = Zeroizing::new(Scalar::ZERO);
        self.hash_to_scalar(&variant, &[expanded.prefix.as_slice(), &[], message], &mut nonce)?;
        // The two points share the division that their encoding costs.
        let points = [EdwardsPoint::mul_base(&expanded.scalar), EdwardsPoint::mul_base(&nonce)];
        let [derived, commitment] = EdwardsPoint::compress_batch(&points).map(|point| point.to_bytes());
        if !constant_time_equal(&derived, public) {
            return Err(Error::Key);
        }
        let mut challenge = Scalar::ZERO;
        self.hash_to_scalar(&variant, &[&commitment, public, message], &mut challenge)?;
        let response = challenge * *expanded.scalar + *nonce;
        let (first, second) = signature.split_at_mut(32);
        first.copy_from_slice(&commitment);
        second.copy_from_slice(response.as_bytes());
        Ok(())
    }

    #[allow(clippy::arithmetic_side_effects, reason = "arithmetic of a field or a group is total")]
    fn ed25519_verify(
        &self,
        public: &[u8; 32],
        mode: Ed25519Mode<'_>,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), Error> {
        let variant = Variant::new(mode, message)?;
        let (commitment, response) = signature.split_first_chunk::<32>().ok_or(Error::Signature)?;
        let response = response.first_chunk::<32>().ok_or(Error::Signature)?;
        let response = Scalar::from_canonical_bytes(*response).into_option().ok_or(Error::Signature)?;
        let point = decode_point(public).ok_or(Error::Key)?;
        let mut challenge = Scalar::ZERO;
        self.hash_to_scalar(&variant, &[commitment, public, message], &mut challenge)?;
        // Comparing encodings also refuses a commitment that is not in canonical form.
        let expected = multiple_of_and_of_base(&challenge, &-point, &response);
        if expected.compress().as_bytes() == commitment { Ok(()) } else { Err(Error::Authentication) }
    }
}

/// `first` times `point` plus `second` times the base point, all of it public.
#[cfg(feature = "precomputed-tables")]
fn multiple_of_and_of_base(first: &Scalar, point: &EdwardsPoint, second: &Scalar) -> EdwardsPoint {
    EdwardsPoint::vartime_double_scalar_mul_basepoint(first, point, second)
}

/// `first` times `point` plus `second` times the base point, all of it public.
#[cfg(not(feature = "precomputed-tables"))]
fn multiple_of_and_of_base(first: &Scalar, point: &EdwardsPoint, second: &Scalar) -> EdwardsPoint {
    sum_of_multiples(first.as_bytes(), point, second.as_bytes(), &ED25519_BASEPOINT_POINT)
}

/// RFC 8032, §5.1.3: decodes a point and refuses encodings that are not the point's own, which the library does not.
fn decode_point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let [first, middle @ .., last] = bytes;
    let top = last & 0x7f;
    let negative = last & 0x80 != 0;
    let ones = top == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    // y is at least p = 2^255 - 19.
    if ones && *first >= 0xed {
        return None;
    }
    // y is 1 or -1, so that x is 0, which has no negative.
    let one = *first == 1 && top == 0 && middle.iter().all(|byte| *byte == 0);
    if negative && (one || (ones && *first == 0xec)) {
        return None;
    }
    CompressedEdwardsY(*bytes).decompress()
}

/// What a seed stands for (RFC 8032, §5.1.5).
struct Expanded {
    scalar: Zeroizing<Scalar>,
    prefix: Secret<32>,
}

impl Default for Expanded {
    fn default() -> Self {
        Self { scalar: Zeroizing::new(Scalar::ZERO), prefix: Secret::zero() }
    }
}

/// What stands in front of the hashed octets: dom2 of RFC 8032, §2, or nothing.
struct Variant<'a> {
    domain: &'static [u8],
    /// The flag for a prehashed message and the size of the context, if there is a domain.
    flags: [u8; 2],
    context: &'a [u8],
}

impl<'a> Variant<'a> {
    fn new(mode: Ed25519Mode<'a>, message: &[u8]) -> Result<Self, Error> {
        let (prehashed, context) = match mode {
            Ed25519Mode::Pure => return Ok(Self { domain: &[], flags: [0; 2], context: &[] }),
            Ed25519Mode::Context(context) => (0, context),
            Ed25519Mode::Prehashed(_) if message.len() != DIGEST => return Err(Error::DataLength),
            Ed25519Mode::Prehashed(context) => (1, context),
        };
        let size = u8::try_from(context.len()).map_err(|_| Error::DataLength)?;
        Ok(Self { domain: DOMAIN, flags: [prehashed, size], context })
    }
}

impl<R> Software<R> {
    // Both write to where the caller has room: results that can be an error would be moved once more, byte by byte.

    fn expand(&self, seed: &[u8; 32], expanded: &mut Expanded) -> Result<(), Error> {
        let mut digest = Secret::<DIGEST>::zero();
        hash(self, HashAlgorithm::Sha512, &[seed], digest.as_mut_slice())?;
        let (scalar, prefix) = digest.split_first_chunk::<32>().ok_or(Error::State)?;
        let scalar = Zeroizing::new(clamp_integer(*scalar));
        *expanded.scalar = Scalar::from_bytes_mod_order(*scalar);
        expanded.prefix.copy_from_slice(prefix);
        Ok(())
    }

    fn hash_to_scalar(
        &self,
        variant: &Variant<'_>,
        parts: &[&[u8]; 3],
        scalar: &mut Scalar,
    ) -> Result<(), Error> {
        let mut digest = Secret::<DIGEST>::zero();
        let flags = if variant.domain.is_empty() { &[][..] } else { &variant.flags };
        let [first, second, third] = parts;
        let all = [variant.domain, flags, variant.context, first, second, third];
        hash(self, HashAlgorithm::Sha512, &all, digest.as_mut_slice())?;
        *scalar = Scalar::from_bytes_mod_order_wide(&digest);
        Ok(())
    }
}
