//! The sum of multiples of two points, for verification: everything in it is public, and its time tells everything.
//!
//! The libraries keep eight multiples of each point for this, 1.5 KB on P-256 and 2.6 KB on Curve25519, besides the digits. Here
//! it is four points for both together, at eleven additions for twenty doublings instead of nine.

use group::Group;

/// The largest number, in bytes: an order of P-521.
const MAX_NUMBER: usize = 66;

/// A number n as the digits -1, 0 and 1 of which no two neighbours differ from 0 (Reitwieser's non-adjacent form).
///
/// Its digit for 2^i is the difference of the bits i + 1 of 3n and n.
struct Digits<'a> {
    number: &'a [u8],
    triple: [u8; MAX_NUMBER + 1],
}

impl<'a> Digits<'a> {
    /// `number` is little-endian and has at most [`MAX_NUMBER`] bytes.
    fn new(number: &'a [u8]) -> Self {
        let mut triple = [0; MAX_NUMBER + 1];
        let mut carry = 0;
        for (target, byte) in triple.iter_mut().zip(number.iter().chain(&[0])) {
            let sum = u16::from(*byte).wrapping_mul(3).wrapping_add(carry);
            [*target, _] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        Self { number, triple }
    }

    fn digit(&self, place: usize) -> i8 {
        bit(&self.triple, place.wrapping_add(1)).wrapping_sub(bit(self.number, place.wrapping_add(1)))
    }
}

/// A bit of a little-endian number, 0 beyond its end.
fn bit(number: &[u8], place: usize) -> i8 {
    number.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1).into()
}

/// `first` times `point` plus `second` times `other`. The numbers are little-endian and equally long, at most 66 bytes.
#[allow(clippy::arithmetic_side_effects, reason = "arithmetic of a group is total")]
pub(super) fn sum_of_multiples<G: Group>(first: &[u8], point: &G, second: &[u8], other: &G) -> G {
    let (both, difference) = (*point + other, *point - other);
    let (places, first, second) = (first.len().wrapping_mul(8), Digits::new(first), Digits::new(second));
    let mut sum = G::identity();
    // The form has a digit more than the number has bits.
    for place in (0..=places).rev() {
        sum = sum.double();
        let digits = (first.digit(place), second.digit(place));
        let (term, sign) = match digits {
            (0, 0) => continue,
            (digit, 0) => (point, digit),
            (0, digit) => (other, digit),
            (digit, same) if digit == same => (&both, digit),
            (digit, _) => (&difference, digit),
        };
        sum += &if sign < 0 { -*term } else { *term };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::EdwardsPoint;
    use p256::NistP256;
    use p521::NistP521;
    use primeorder::elliptic_curve::{CurveArithmetic, Field, PrimeField};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Compares with the multiplication of the library. Equal and opposite points and zeros are among what is tried.
    #[allow(clippy::arithmetic_side_effects, reason = "arithmetic of a field or a group is total")]
    fn check<G: Group<Scalar: PrimeField>>(numbers: [u64; 3], bytes: fn(&G::Scalar) -> Vec<u8>) {
        let [point, first, second] = numbers.map(G::Scalar::from);
        let generator = G::generator();
        for point in [generator * point, generator * point.square(), generator, -generator] {
            for (first, second) in [
                (first, second),
                (first * second.square(), second * first.square()),
                (-first, second.double()),
                (first, first),
                (first, -first),
                (G::Scalar::ZERO, second),
                (-G::Scalar::ONE, G::Scalar::ZERO),
            ] {
                let sum = sum_of_multiples(&bytes(&first), &point, &bytes(&second), &generator);
                assert_eq!(sum, point * first + generator * second, "{first:?} {second:?}");
            }
        }
    }

    fn reversed<C: CurveArithmetic>(scalar: &C::Scalar) -> Vec<u8> {
        scalar.to_repr().iter().rev().copied().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]

        #[test]
        fn sums_are_those_of_the_library(numbers: [u64; 3]) {
            check::<EdwardsPoint>(numbers, |scalar| scalar.to_bytes().to_vec());
            check::<<NistP256 as CurveArithmetic>::ProjectivePoint>(numbers, reversed::<NistP256>);
            check::<<NistP521 as CurveArithmetic>::ProjectivePoint>(numbers, reversed::<NistP521>);
        }

        /// The digits make up the number, and no two neighbours differ from 0.
        #[test]
        fn the_form_is_that_of_the_number(number: u128) {
            let bytes = number.to_le_bytes();
            let form = Digits::new(&bytes);
            let digits: Vec<i8> = (0..=128).map(|place| form.digit(place)).collect();
            let value = digits.iter().rev().fold(0_u128, |value, digit| {
                value.wrapping_mul(2).wrapping_add_signed((*digit).into())
            });
            prop_assert_eq!(value, number);
            prop_assert!(digits.iter().all(|digit| (-1..=1).contains(digit)));
            prop_assert!(digits.windows(2).all(|pair| pair.contains(&0)));
        }
    }
}
