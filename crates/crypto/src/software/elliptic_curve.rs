//! Weierstrass curves over the group arithmetic of the RustCrypto curve crates.
//!
//! ECDSA is put together here: it takes digests of every length, and draws its nonces from RFC 6979 with fresh
//! randomness mixed in, so that neither a bad generator nor a fault that repeats a computation repeats a nonce.

#[cfg(not(feature = "precomputed-tables"))]
use super::public_multiples::sum_of_multiples;
use crate::secret::Secret;
use crate::{Curve, EllipticCurve, Error, HashAlgorithm, Mac, Random, Software};
use primeorder::elliptic_curve::group::Group;
#[cfg(feature = "precomputed-tables")]
use primeorder::elliptic_curve::ops::MulByGeneratorVartime;
use primeorder::elliptic_curve::ops::{Invert, Reduce};
use primeorder::elliptic_curve::point::{AffineCoordinates, AffinePoint, ProjectivePoint};
use primeorder::elliptic_curve::{
    CurveArithmetic, CurveGroup, FieldBytes, NonZeroScalar, PrimeCurve, PrimeField, Scalar,
};
use zeroize::{Zeroize, Zeroizing};

/// The largest scalar, in bytes.
const MAX_SCALAR: usize = 66;
/// The largest digest that the nonce generator works with, in bytes.
const MAX_DIGEST: usize = 64;
/// How often a random number may miss the range of a scalar. On no curve does it more than once in 2^32 times.
const ATTEMPTS: usize = 16;

/// Calls a function that is generic over the curve.
macro_rules! on_curve {
    ($curve:expr, $($function:ident).+($($argument:expr),*)) => {
        match $curve {
            #[cfg(feature = "p224")]
            Curve::P224 => $($function).+::<p224::NistP224>($($argument),*),
            #[cfg(feature = "p256")]
            Curve::P256 => $($function).+::<p256::NistP256>($($argument),*),
            #[cfg(feature = "p384")]
            Curve::P384 => $($function).+::<p384::NistP384>($($argument),*),
            #[cfg(feature = "p521")]
            Curve::P521 => $($function).+::<p521::NistP521>($($argument),*),
            #[cfg(feature = "secp256k1")]
            Curve::Secp256k1 => $($function).+::<k256::Secp256k1>($($argument),*),
            #[cfg(feature = "brainpool")]
            Curve::BrainpoolP256r1 => $($function).+::<bp256::BrainpoolP256r1>($($argument),*),
            #[cfg(feature = "brainpool")]
            Curve::BrainpoolP384r1 => $($function).+::<bp384::BrainpoolP384r1>($($argument),*),
            #[cfg(not(all(
                feature = "p224",
                feature = "p256",
                feature = "p384",
                feature = "p521",
                feature = "secp256k1",
                feature = "brainpool"
            )))]
            _ => Err(Error::Unsupported),
        }
    };
}

impl<R: Random> EllipticCurve for Software<R> {
    fn ec_generate(&self, curve: Curve, private: &mut [u8], public: &mut [u8]) -> Result<(), Error> {
        on_curve!(curve, self.generate(private, public))
    }

    fn ec_public(&self, curve: Curve, private: &[u8], public: &mut [u8]) -> Result<(), Error> {
        if public.len() != curve.point_size() {
            return Err(Error::KeyLength);
        }
        on_curve!(curve, public_key(private, public))
    }

    fn ec_check(&self, curve: Curve, public: &[u8]) -> Result<(), Error> {
        on_curve!(curve, check(public))
    }

    fn ecdsa_sign(
        &self,
        curve: Curve,
        private: &[u8],
        digest: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        if digest.is_empty() {
            return Err(Error::DataLength);
        }
        if signature.len() != curve.point_size() {
            return Err(Error::OutputLength);
        }
        let algorithm = match curve {
            Curve::P224 | Curve::P256 | Curve::Secp256k1 | Curve::BrainpoolP256r1 => HashAlgorithm::Sha256,
            Curve::P384 | Curve::BrainpoolP384r1 => HashAlgorithm::Sha384,
            Curve::P521 => HashAlgorithm::Sha512,
        };
        on_curve!(curve, self.sign(algorithm, private, digest, signature))
    }

    fn ecdsa_verify(
        &self,
        curve: Curve,
        public: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        if digest.is_empty() {
            return Err(Error::DataLength);
        }
        on_curve!(curve, verify(public, digest, signature))
    }

    fn ecdh(&self, curve: Curve, private: &[u8], public: &[u8], secret: &mut [u8]) -> Result<(), Error> {
        if secret.len() != curve.field_size() {
            return Err(Error::OutputLength);
        }
        on_curve!(curve, agree(private, public, secret))
    }
}

/// A private key as a scalar.
fn private_scalar<C: PrimeCurve + CurveArithmetic>(
    private: &[u8],
) -> Result<Zeroizing<NonZeroScalar<C>>, Error> {
    let bytes = FieldBytes::<C>::try_from(private).map_err(|_| Error::KeyLength)?;
    let bytes = Zeroizing::new(bytes);
    nonzero(&bytes).map(Zeroizing::new).ok_or(Error::Key)
}

fn nonzero<C: PrimeCurve + CurveArithmetic>(bytes: &FieldBytes<C>) -> Option<NonZeroScalar<C>> {
    NonZeroScalar::<C>::from_repr(*bytes).into_option()
}

/// A public key as a point, which is on the curve and not the identity.
fn public_point<C: PrimeCurve + CurveArithmetic>(public: &[u8]) -> Result<AffinePoint<C>, Error> {
    let middle = public.len().checked_div(2).unwrap_or_default();
    let (x, y) = public.split_at_checked(middle).ok_or(Error::KeyLength)?;
    let x = FieldBytes::<C>::try_from(x).map_err(|_| Error::KeyLength)?;
    let y = FieldBytes::<C>::try_from(y).map_err(|_| Error::KeyLength)?;
    AffinePoint::<C>::from_coordinates(&x, &y).into_option().ok_or(Error::Key)
}

/// The multiple of the base point, without the projective coordinates, which would tell about the scalar.
#[inline(never)]
fn multiple_of_base<C: PrimeCurve + CurveArithmetic>(scalar: &NonZeroScalar<C>) -> AffinePoint<C> {
    Zeroizing::new(ProjectivePoint::<C>::mul_by_generator(scalar)).to_affine()
}

#[inline(never)]
fn write_pair(output: &mut [u8], first: &[u8], second: &[u8]) -> Result<(), Error> {
    let (left, right) = output.split_at_mut_checked(first.len()).ok_or(Error::OutputLength)?;
    if right.len() != second.len() {
        return Err(Error::OutputLength);
    }
    left.copy_from_slice(first);
    right.copy_from_slice(second);
    Ok(())
}

fn public_key<C: PrimeCurve + CurveArithmetic>(private: &[u8], public: &mut [u8]) -> Result<(), Error> {
    write_public(&*private_scalar::<C>(private)?, public)
}

fn write_public<C: PrimeCurve + CurveArithmetic>(
    scalar: &NonZeroScalar<C>,
    public: &mut [u8],
) -> Result<(), Error> {
    let point = multiple_of_base(scalar);
    write_pair(public, &point.x(), &point.y())
}

fn check<C: PrimeCurve + CurveArithmetic>(public: &[u8]) -> Result<(), Error> {
    public_point::<C>(public).map(|_| ())
}

/// The leftmost bits of `bytes`, as many as the order of the curve has, right-aligned: bits2int of RFC 6979, §2.3.2.
fn leftmost_bits<C: PrimeCurve + CurveArithmetic>(bytes: &[u8]) -> FieldBytes<C> {
    let mut output = FieldBytes::<C>::default();
    let size = output.len();
    let used = bytes.get(..size).unwrap_or(bytes);
    output.iter_mut().rev().zip(used.iter().rev()).for_each(|(target, byte)| *target = *byte);
    // Only the order of P-521 is not a whole number of bytes.
    let unused = Scalar::<C>::NUM_BITS.wrapping_neg() % 8;
    if bytes.len() >= size && unused > 0 {
        let mut above = 0_u8;
        for byte in &mut output {
            let current = *byte;
            *byte = current.unbounded_shr(unused) | above.unbounded_shl(8_u32.saturating_sub(unused));
            above = current;
        }
    }
    output
}

fn reduce<C: PrimeCurve + CurveArithmetic>(bytes: &FieldBytes<C>) -> Scalar<C> {
    <Scalar<C> as Reduce<FieldBytes<C>>>::reduce(bytes)
}

/// `first` times the base point plus `second` times `point`, all of it public.
#[cfg(feature = "precomputed-tables")]
fn multiple_of_base_and_of<C: PrimeCurve + CurveArithmetic>(
    first: &Scalar<C>,
    second: &Scalar<C>,
    point: &ProjectivePoint<C>,
) -> ProjectivePoint<C> {
    ProjectivePoint::<C>::mul_by_generator_and_mul_add_vartime(first, second, point)
}

/// `first` times the base point plus `second` times `point`, all of it public.
#[cfg(not(feature = "precomputed-tables"))]
fn multiple_of_base_and_of<C: PrimeCurve + CurveArithmetic>(
    first: &Scalar<C>,
    second: &Scalar<C>,
    point: &ProjectivePoint<C>,
) -> ProjectivePoint<C> {
    let (mut first, mut second) = (first.to_repr(), second.to_repr());
    first.reverse();
    second.reverse();
    sum_of_multiples(&first, &ProjectivePoint::<C>::generator(), &second, point)
}

#[allow(clippy::arithmetic_side_effects, reason = "arithmetic of a field or a group is total")]
fn verify<C: PrimeCurve + CurveArithmetic>(
    public: &[u8],
    digest: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let point = ProjectivePoint::<C>::from(public_point::<C>(public)?);
    let middle = signature.len().checked_div(2).unwrap_or_default();
    let (r, s) = signature.split_at_checked(middle).ok_or(Error::Authentication)?;
    let number = |bytes: &[u8]| {
        let bytes = FieldBytes::<C>::try_from(bytes).map_err(|_| Error::Authentication)?;
        nonzero::<C>(&bytes).ok_or(Error::Authentication)
    };
    let (r, s) = (number(r)?, number(s)?);
    // Nothing here is secret, but signing has to have the inversion in constant time anyway.
    let inverse = s.invert();
    let first = reduce::<C>(&leftmost_bits::<C>(digest)) * *inverse;
    let second = *r * *inverse;
    let sum = multiple_of_base_and_of::<C>(&first, &second, &point);
    // The identity has X = 0, which is not r.
    if reduce::<C>(&sum.to_affine().x()) == *r { Ok(()) } else { Err(Error::Authentication) }
}

#[allow(clippy::arithmetic_side_effects, reason = "arithmetic of a field or a group is total")]
fn agree<C: PrimeCurve + CurveArithmetic>(
    private: &[u8],
    public: &[u8],
    secret: &mut [u8],
) -> Result<(), Error> {
    let scalar = private_scalar::<C>(private)?;
    let point = ProjectivePoint::<C>::from(public_point::<C>(public)?);
    // Neither factor is zero and the order is prime, so the product is not the identity.
    let product = Zeroizing::new(point * **scalar);
    let affine = Zeroizing::new(product.to_affine());
    let x = Zeroizing::new(affine.x());
    secret.copy_from_slice(&x);
    Ok(())
}

impl<R: Random> Software<R> {
    fn generate<C: PrimeCurve + CurveArithmetic>(
        &self,
        private: &mut [u8],
        public: &mut [u8],
    ) -> Result<(), Error> {
        let size = FieldBytes::<C>::default().len();
        if private.len() != size || public.len() != size.saturating_mul(2) {
            return Err(Error::KeyLength);
        }
        for _ in 0..ATTEMPTS {
            self.random().fill(private)?;
            let bytes = Zeroizing::new(leftmost_bits::<C>(private));
            if let Some(scalar) = nonzero::<C>(&bytes) {
                let scalar = Zeroizing::new(scalar);
                private.copy_from_slice(&bytes);
                return write_public(&*scalar, public);
            }
        }
        private.zeroize();
        Err(Error::Entropy)
    }

    fn sign<C: PrimeCurve + CurveArithmetic>(
        &self,
        algorithm: HashAlgorithm,
        private: &[u8],
        digest: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        let mut random = Secret::<32>::zero();
        self.random().fill(random.as_mut_slice())?;
        self.sign_with::<C>(algorithm, private, digest, random.as_slice(), signature)
    }

    /// Signs with a nonce of RFC 6979 over `algorithm`; `additional` is k' of §3.6.
    fn sign_with<C: PrimeCurve + CurveArithmetic>(
        &self,
        algorithm: HashAlgorithm,
        private: &[u8],
        digest: &[u8],
        additional: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        let scalar = private_scalar::<C>(private)?;
        let message = reduce::<C>(&leftmost_bits::<C>(digest));
        let mut nonces = Nonces::new(self, algorithm, &[private, &message.to_repr(), additional])?;
        for _ in 0..ATTEMPTS {
            if let Some(nonce) = nonces.next::<C>()?
                && let Some((r, s)) = sign_once(&scalar, &message, nonce)
            {
                return write_pair(signature, &r, &s);
            }
        }
        Err(Error::Entropy)
    }
}

/// The signature with this nonce, which is used up; nothing if one of its numbers is zero.
#[allow(clippy::arithmetic_side_effects, reason = "arithmetic of a field or a group is total")]
fn sign_once<C: PrimeCurve + CurveArithmetic>(
    private: &NonZeroScalar<C>,
    message: &Scalar<C>,
    nonce: NonZeroScalar<C>,
) -> Option<(FieldBytes<C>, FieldBytes<C>)> {
    let nonce = Zeroizing::new(nonce);
    let inverse = Zeroizing::new(nonce.invert());
    let r = reduce::<C>(&multiple_of_base(&*nonce).x());
    let masked = Zeroizing::new(r * **private);
    let sum = Zeroizing::new(*masked + message);
    let (r, s) = (r.to_repr(), (*sum * **inverse).to_repr());
    (nonzero::<C>(&r).is_some() && nonzero::<C>(&s).is_some()).then_some((r, s))
}

/// The nonce generator of RFC 6979, §3.2.
struct Nonces<'a, D> {
    driver: &'a D,
    algorithm: HashAlgorithm,
    key: Secret<MAX_DIGEST>,
    value: Secret<MAX_DIGEST>,
    /// The size of a digest, the part of `key` and `value` that is used.
    size: usize,
    started: bool,
}

impl<'a, D: Mac> Nonces<'a, D> {
    /// `seed` is the private key, the message and additional data.
    fn new(driver: &'a D, algorithm: HashAlgorithm, seed: &[&[u8]; 3]) -> Result<Self, Error> {
        let mut generator = Self {
            driver,
            algorithm,
            key: Secret::zero(),
            value: Secret::new([1; MAX_DIGEST]),
            size: algorithm.digest_size().ok_or(Error::Unsupported)?,
            started: false,
        };
        generator.mix(0, seed)?;
        generator.mix(1, seed)?;
        Ok(generator)
    }

    /// K = HMAC(K, V ‖ marker ‖ seed), V = HMAC(K, V).
    fn mix(&mut self, marker: u8, seed: &[&[u8]; 3]) -> Result<(), Error> {
        let mut key = Secret::<MAX_DIGEST>::zero();
        let used = key.get_mut(..self.size).ok_or(Error::State)?;
        let value = self.value.get(..self.size).ok_or(Error::State)?;
        let [private, message, additional] = seed;
        self.hmac(&[value, &[marker], private, message, additional], used)?;
        self.key = key;
        self.advance()
    }

    /// V = HMAC(K, V).
    fn advance(&mut self) -> Result<(), Error> {
        let mut value = Secret::<MAX_DIGEST>::zero();
        let used = value.get_mut(..self.size).ok_or(Error::State)?;
        self.hmac(&[self.value.get(..self.size).ok_or(Error::State)?], used)?;
        self.value = value;
        Ok(())
    }

    fn hmac(&self, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        self.driver.hmac(self.algorithm, self.key.get(..self.size).ok_or(Error::State)?, parts, output)
    }

    /// The next candidate, or nothing if it misses the range.
    fn next<C: PrimeCurve + CurveArithmetic>(&mut self) -> Result<Option<NonZeroScalar<C>>, Error> {
        if self.started {
            self.mix(0, &[&[]; 3])?;
        }
        self.started = true;
        let mut candidate = Secret::<MAX_SCALAR>::zero();
        let size = FieldBytes::<C>::default().len();
        for part in candidate.get_mut(..size).ok_or(Error::State)?.chunks_mut(self.size) {
            self.advance()?;
            part.iter_mut().zip(self.value.iter()).for_each(|(target, byte)| *target = *byte);
        }
        let bytes = Zeroizing::new(leftmost_bits::<C>(candidate.get(..size).ok_or(Error::State)?));
        Ok(nonzero::<C>(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::{bytes, driver};
    use crate::{Drbg, Entropy, hash};
    use core::cell::RefCell;
    use p256::NistP256;
    use p521::NistP521;
    use std::vec;
    use std::vec::Vec;

    /// Answers with one byte for ever.
    struct Stuck(u8);
    impl Random for Stuck {
        fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
            output.fill(self.0);
            Ok(())
        }
    }

    struct Constant;
    impl Entropy for Constant {
        fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
            output.fill(7);
            Ok(())
        }
    }

    fn curve(name: &str) -> Curve {
        match name {
            "P224" => Curve::P224,
            "P256" => Curve::P256,
            "P384" => Curve::P384,
            "P521" => Curve::P521,
            other => panic!("{other}"),
        }
    }

    /// The nonces of RFC 6979, A.2, when nothing is mixed in.
    #[test]
    fn nonces_are_those_of_rfc_6979() {
        let driver = driver();
        let mut key = (Curve::P224, vec![]);
        let mut count = 0;
        for line in include_str!("../../tests/data/rfc6979.txt").lines() {
            let fields: Vec<_> = line.split(' ').collect();
            match fields[..] {
                ["key", name, private, _] => key = (curve(name), bytes(private)),
                ["signature", name, message, expected] => {
                    let algorithm = match name {
                        "sha1" => HashAlgorithm::Sha1,
                        "sha224" => HashAlgorithm::Sha224,
                        "sha256" => HashAlgorithm::Sha256,
                        "sha384" => HashAlgorithm::Sha384,
                        "sha512" => HashAlgorithm::Sha512,
                        other => panic!("{other}"),
                    };
                    let mut digest = vec![0; algorithm.digest_size().unwrap()];
                    hash(&driver, algorithm, &[message.as_bytes()], &mut digest).unwrap();
                    let mut signature = vec![0; key.0.point_size()];
                    on_curve!(key.0, driver.sign_with(algorithm, &key.1, &digest, &[], &mut signature))
                        .unwrap();
                    assert_eq!(hex::encode(signature), expected, "{line}");
                    count += 1;
                }
                _ => assert!(line.starts_with('#'), "{line}"),
            }
        }
        assert_eq!(count, 40);
    }

    #[test]
    fn leftmost_bits_follow_the_order() {
        assert_eq!(leftmost_bits::<NistP256>(&[1, 2])[29..], [0, 1, 2]);
        let long: Vec<u8> = (1..=64).collect();
        assert_eq!(leftmost_bits::<NistP256>(&long)[..], long[..32]);
        // 520 bits are fewer than the 521 of the order; of 528 the last seven are dropped.
        assert_eq!(leftmost_bits::<NistP521>(&[0xff; 65])[..3], [0, 0xff, 0xff]);
        let shifted = leftmost_bits::<NistP521>(&[0xff; 66]);
        assert_eq!(shifted[0], 1);
        assert!(shifted[1..].iter().all(|byte| *byte == 0xff));
        let mut last = [0; 70];
        last[65] = 0x80;
        let mut one = [0; 66];
        one[65] = 1;
        assert_eq!(leftmost_bits::<NistP521>(&last)[..], one);
    }

    /// A generator that does not produce a key makes an error, not a loop and not a weak key.
    #[test]
    fn a_stuck_generator_is_noticed() {
        for curve in Curve::ALL {
            for byte in [0, 0xff] {
                let (mut private, mut public) = (vec![9; curve.field_size()], vec![0; curve.point_size()]);
                let answer = Software::new(Stuck(byte)).ec_generate(curve, &mut private, &mut public);
                assert_eq!(answer, Err(Error::Entropy), "{curve:?}");
                assert!(private.iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn randomness_is_mixed_in_and_not_relied_upon() {
        let private = [0x11; 32];
        let sign = |driver: &dyn EllipticCurve, digest: &[u8]| {
            let mut signature = [0; 64];
            driver.ecdsa_sign(Curve::P256, &private, digest, &mut signature).unwrap();
            signature
        };
        let good = Software::new(RefCell::new(Drbg::new(Constant, b"").unwrap()));
        assert_ne!(sign(&good, &[1; 32])[..32], sign(&good, &[1; 32])[..32]);
        // With a broken generator two messages still have two nonces.
        let stuck = Software::new(Stuck(0));
        assert_eq!(sign(&stuck, &[1; 32]), sign(&stuck, &[1; 32]));
        assert_ne!(sign(&stuck, &[1; 32])[..32], sign(&stuck, &[2; 32])[..32]);
    }
}
