//! What the library does not offer for an expanded private key: its public key, and whether it is one.
//!
//! The public key is t = A·s1 + s2, rounded (FIPS 204, algorithm 6), computed one row at a time: the matrix is never
//! in memory, only two polynomials are. Nothing branches on s1 or s2 or is indexed by them.

use crate::secret::wipe;
use crate::{Error, HashAlgorithm, MlDsaSet, Software, hash};
use core::ops::{Deref, DerefMut};

/// The modulus q.
const Q: u32 = 8_380_417;

/// Coefficients of a polynomial.
const N: usize = 256;

/// Bits of t that rounding drops, d.
const DROPPED_BITS: u32 = 13;

/// Bytes of a polynomial of t1: 10 bits each coefficient.
const T1_SIZE: usize = 320;

/// Bytes of a polynomial of t0: 13 bits each coefficient.
const T0_SIZE: usize = 416;

/// -q⁻¹ modulo 2³², by Newton's iteration: each step doubles the number of correct bits, of which q has three.
const NEGATIVE_INVERSE: u32 = {
    let mut inverse = Q;
    let mut step = 0_u32;
    while step < 4 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(Q.wrapping_mul(inverse)));
        step = step.wrapping_add(1);
    }
    inverse.wrapping_neg()
};

/// `value` · 2³² modulo q.
///
/// A division: only for constants.
#[allow(
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects,
    reason = "a remainder by q is below q"
)]
const fn to_montgomery(value: u32) -> u32 {
    (((value as u64) << 32) % (Q as u64)) as u32
}

/// Powers of the 512th root of unity 1753 in bit-reversed order (FIPS 204, appendix B), times 2³².
const ZETAS: [u32; N] = zetas();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler: a wrong index would fail the build")]
const fn zetas() -> [u32; N] {
    let mut table = [0; N];
    let root = to_montgomery(1753);
    let mut power = to_montgomery(1);
    let mut exponent = 0_u8;
    loop {
        table[exponent.reverse_bits() as usize] = power;
        power = multiply(power, root);
        exponent = exponent.wrapping_add(1);
        if exponent == 0 {
            return table;
        }
    }
}

/// 2⁶⁴ / 256 modulo q: undoes the factor of the inverse transform and the one of [`multiply`] before it.
const INVERSE_SCALE: u32 = to_montgomery(to_montgomery(8_347_681));

/// Reduces a value below 2q.
const fn reduce(value: u32) -> u32 {
    let difference = value.wrapping_sub(Q);
    difference.wrapping_add(Q & 0_u32.wrapping_sub(difference >> 31))
}

const fn add(left: u32, right: u32) -> u32 {
    reduce(left.wrapping_add(right))
}

const fn subtract(left: u32, right: u32) -> u32 {
    reduce(left.wrapping_add(Q).wrapping_sub(right))
}

/// `left` · `right` / 2³² modulo q (Montgomery).
const fn multiply(left: u32, right: u32) -> u32 {
    let product = (left as u64).wrapping_mul(right as u64);
    let low = (product & 0xffff_ffff) as u32;
    let multiple = (low.wrapping_mul(NEGATIVE_INVERSE) as u64).wrapping_mul(Q as u64);
    reduce((product.wrapping_add(multiple) >> 32) as u32)
}

/// A polynomial, or its transform, with coefficients below q. It is derived from a secret and wiped.
struct Polynomial([u32; N]);

impl Deref for Polynomial {
    type Target = [u32; N];

    fn deref(&self) -> &[u32; N] {
        &self.0
    }
}

impl DerefMut for Polynomial {
    fn deref_mut(&mut self) -> &mut [u32; N] {
        &mut self.0
    }
}

impl Drop for Polynomial {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl Polynomial {
    /// Unpacks a polynomial of s1 or s2 (FIPS 204, algorithm 19).
    fn unpack(bytes: &[u8], bound: u32) -> Self {
        let mut polynomial = Self([0; N]);
        let coefficient = |packed: u32| reduce(Q.wrapping_add(bound).wrapping_sub(packed));
        if bound == 2 {
            let (groups, _) = bytes.as_chunks::<3>();
            let (targets, _) = polynomial.as_chunks_mut::<8>();
            for (targets, [low, middle, high]) in targets.iter_mut().zip(groups) {
                let mut bits = u32::from_le_bytes([*low, *middle, *high, 0]);
                for target in targets {
                    *target = coefficient(bits & 7);
                    bits >>= 3;
                }
            }
        } else {
            let (targets, _) = polynomial.as_chunks_mut::<2>();
            for ([low, high], byte) in targets.iter_mut().zip(bytes) {
                *low = coefficient(u32::from(byte & 15));
                *high = coefficient(u32::from(byte >> 4));
            }
        }
        polynomial
    }

    /// The number-theoretic transform (FIPS 204, algorithm 41).
    fn transform(&mut self) {
        let mut zetas = ZETAS.iter().skip(1);
        for half in [128, 64, 32, 16, 8, 4, 2, 1_usize] {
            for (block, zeta) in self.chunks_exact_mut(half.wrapping_mul(2)).zip(&mut zetas) {
                let (left, right) = block.split_at_mut(half);
                for (left, right) in left.iter_mut().zip(right) {
                    let product = multiply(*right, *zeta);
                    *right = subtract(*left, product);
                    *left = add(*left, product);
                }
            }
        }
    }

    /// The inverse transform (FIPS 204, algorithm 42), of values divided by 2³².
    fn inverse_transform(&mut self) {
        let mut zetas = ZETAS.iter().rev();
        for half in [1, 2, 4, 8, 16, 32, 64, 128_usize] {
            for (block, zeta) in self.chunks_exact_mut(half.wrapping_mul(2)).zip(&mut zetas) {
                let (left, right) = block.split_at_mut(half);
                for (left, right) in left.iter_mut().zip(right) {
                    let difference = subtract(*right, *left);
                    *left = add(*left, *right);
                    *right = multiply(difference, *zeta);
                }
            }
        }
        for coefficient in self.iter_mut() {
            *coefficient = multiply(*coefficient, INVERSE_SCALE);
        }
    }

    /// Adds `factor` times an entry of the matrix, which is sampled on the way (FIPS 204, algorithms 30 and 32), and
    /// divided by 2³².
    fn add_product(&mut self, seed: &[u8; 32], row: u8, column: u8, factor: &Self) {
        let mut lanes = [0_u64; 25];
        let (words, _) = seed.as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        // SHAKE128 of 34 bytes, padded to its rate of 168 (FIPS 202, §6.2).
        let end = core::iter::once(u64::from_le_bytes([column, row, 0x1f, 0, 0, 0, 0, 0]));
        lanes.iter_mut().zip(words.chain(end)).for_each(|(lane, word)| *lane = word);
        if let Some(lane) = lanes.get_mut(20) {
            *lane = 0x80 << 56;
        }
        let mut targets = self.0.iter_mut().zip(&factor.0);
        keccak::Keccak::new().with_f1600(|permute| {
            while targets.len() > 0 {
                permute(&mut lanes);
                let mut output = [0; 168];
                let (words, _) = output.as_chunks_mut::<8>();
                words.iter_mut().zip(lanes).for_each(|(word, lane)| *word = lane.to_le_bytes());
                let (samples, _) = output.as_chunks::<3>();
                let samples = samples
                    .iter()
                    .map(|[low, middle, high]| u32::from_le_bytes([*low, *middle, high & 0x7f, 0]));
                // Rejected samples take no target.
                for (sample, (target, factor)) in samples.filter(|sample| *sample < Q).zip(&mut targets) {
                    *target = add(*target, multiply(sample, *factor));
                }
            }
        });
    }
}

/// The parts of an expanded private key (FIPS 204, algorithm 24) that the functions here need.
struct Parts<'a> {
    seed: &'a [u8; 32],
    public_hash: &'a [u8],
    s1: &'a [u8],
    s2: &'a [u8],
    t0: &'a [u8],
    /// η, the largest absolute value of a coefficient of s1 and s2.
    bound: u32,
    /// Bytes of a polynomial of s1 or s2.
    packed_size: usize,
}

impl<'a> Parts<'a> {
    fn new(set: MlDsaSet, private: &'a [u8]) -> Result<Self, Error> {
        if private.len() != set.private_size() {
            return Err(Error::KeyLength);
        }
        let (rows, columns, bound, packed_size): (usize, usize, u32, usize) = match set {
            MlDsaSet::MlDsa44 => (4, 4, 2, 96),
            MlDsaSet::MlDsa65 => (6, 5, 4, 128),
            MlDsaSet::MlDsa87 => (8, 7, 2, 96),
        };
        let (seed, rest) = private.split_first_chunk().ok_or(Error::KeyLength)?;
        let (_, rest) = rest.split_at_checked(32).ok_or(Error::KeyLength)?;
        let (public_hash, rest) = rest.split_at_checked(64).ok_or(Error::KeyLength)?;
        let (s1, rest) =
            rest.split_at_checked(columns.saturating_mul(packed_size)).ok_or(Error::KeyLength)?;
        let (s2, t0) = rest.split_at_checked(rows.saturating_mul(packed_size)).ok_or(Error::KeyLength)?;
        Ok(Self { seed, public_hash, s1, s2, t0, bound, packed_size })
    }

    /// Checks that no coefficient of s1 or s2 is out of range.
    fn check(&self) -> Result<(), Error> {
        let packed = [self.s1, self.s2];
        let wrong = if self.bound == 2 {
            // Three bits each, 0 to 4.
            packed.iter().flat_map(|bytes| bytes.as_chunks::<3>().0).fold(0, |wrong, [low, middle, high]| {
                let bits = u32::from_le_bytes([*low, *middle, *high, 0]);
                wrong | ((bits >> 2) & ((bits >> 1) | bits) & 0o11_111_111)
            })
        } else {
            // Four bits each, 0 to 8.
            packed.iter().flat_map(|bytes| bytes.iter()).fold(0, |wrong, byte| {
                let bits = u32::from(*byte);
                wrong | ((bits >> 3) & ((bits >> 2) | (bits >> 1) | bits) & 0x11)
            })
        };
        if wrong == 0 { Ok(()) } else { Err(Error::Key) }
    }
}

/// Checks the length of an expanded private key and the range of its coefficients.
pub(super) fn check(set: MlDsaSet, private: &[u8]) -> Result<(), Error> {
    Parts::new(set, private)?.check()
}

/// Computes the public key. What the private key contains of it must agree.
pub(super) fn derive<R>(
    driver: &Software<R>,
    set: MlDsaSet,
    private: &[u8],
    public: &mut [u8],
) -> Result<(), Error> {
    let parts = Parts::new(set, private)?;
    if public.len() != set.public_size() {
        return Err(Error::KeyLength);
    }
    parts.check()?;

    let (seed, t1) = public.split_first_chunk_mut::<32>().ok_or(Error::KeyLength)?;
    *seed = *parts.seed;
    let mut difference = 0;
    let s2 = parts.s2.chunks_exact(parts.packed_size);
    let rows = s2.zip(parts.t0.chunks_exact(T0_SIZE)).zip(t1.chunks_exact_mut(T1_SIZE));
    for (row, ((s2, t0), t1)) in (0_u8..).zip(rows) {
        let mut sum = Polynomial([0; N]);
        for (column, s1) in (0_u8..).zip(parts.s1.chunks_exact(parts.packed_size)) {
            let mut factor = Polynomial::unpack(s1, parts.bound);
            factor.transform();
            sum.add_product(parts.seed, row, column, &factor);
        }
        sum.inverse_transform();
        let s2 = Polynomial::unpack(s2, parts.bound);
        sum.iter_mut().zip(s2.iter()).for_each(|(sum, s2)| *sum = add(*sum, *s2));
        difference |= round(&sum, t0, t1);
    }

    let mut public_hash = [0; 64];
    hash(driver, HashAlgorithm::Shake256, &[public], &mut public_hash)?;
    difference |= differing_bits(&public_hash, parts.public_hash);
    if difference == 0 { Ok(()) } else { Err(Error::Key) }
}

/// Packs the upper bits of `t` into `t1` and returns the bits in which the lower ones differ from `t0` (FIPS 204,
/// algorithms 22, 24 and 35).
fn round(t: &Polynomial, t0: &[u8], t1: &mut [u8]) -> u8 {
    let upper = |t: u32| t.wrapping_add((1 << (DROPPED_BITS - 1)) - 1) >> DROPPED_BITS;
    let lower = |t: u32| (upper(t) << DROPPED_BITS).wrapping_add(1 << (DROPPED_BITS - 1)).wrapping_sub(t);
    let (targets, _) = t1.as_chunks_mut::<5>();
    for (target, group) in targets.iter_mut().zip(t.as_chunks::<4>().0) {
        let bits = group.iter().rev().fold(0_u64, |bits, t| bits << 10 | u64::from(upper(*t)));
        target.iter_mut().zip(bits.to_le_bytes()).for_each(|(target, byte)| *target = byte);
    }
    let (expected, _) = t0.as_chunks::<13>();
    expected.iter().zip(t.as_chunks::<8>().0).fold(0, |difference, (expected, group)| {
        let bits = group.iter().rev().fold(0_u128, |bits, t| bits << 13 | u128::from(lower(*t)));
        difference | differing_bits(&bits.to_le_bytes(), expected)
    })
}

/// The bits in which any two bytes differ, without a branch.
fn differing_bits(left: &[u8], right: &[u8]) -> u8 {
    left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants() {
        assert_eq!(Q.wrapping_mul(NEGATIVE_INVERSE.wrapping_neg()), 1);
        let plain = |index: usize| multiply(ZETAS[index], 1);
        // FIPS 204, appendix B.
        assert_eq!([plain(1), plain(2)], [4_808_194, 3_765_607]);
        assert_eq!([plain(0), plain(128)], [1, 1753]);
        // A 512th root of unity: its 256th power is -1, its 255th times itself too.
        assert_eq!(multiply(ZETAS[255], plain(128)), Q - 1);
        assert_eq!(multiply(ZETAS[1], plain(1)), Q - 1);
    }

    #[test]
    fn the_inverse_undoes_the_transform() {
        let mut polynomial = Polynomial([0; N]);
        for (index, coefficient) in (0_u32..).zip(polynomial.iter_mut()) {
            *coefficient = index.wrapping_mul(0x9e37_79b9) % Q;
        }
        let before = polynomial.0;
        polynomial.transform();
        assert_ne!(polynomial.0, before);
        polynomial.iter_mut().for_each(|coefficient| *coefficient = multiply(*coefficient, 1));
        polynomial.inverse_transform();
        assert_eq!(polynomial.0, before);
    }

    #[test]
    fn every_value_out_of_range_is_seen() {
        for set in MlDsaSet::ALL {
            let (first, end, width, largest) = match set {
                MlDsaSet::MlDsa44 => (128, 128 + 8 * 96, 3, 4),
                MlDsaSet::MlDsa65 => (128, 128 + 11 * 128, 4, 8),
                MlDsaSet::MlDsa87 => (128, 128 + 15 * 96, 3, 4),
            };
            for position in 0..(end - first) * 8 / width {
                // The last possible place of each width, and a spread of the others.
                if position % 97 != 0 && position + 1 != (end - first) * 8 / width {
                    continue;
                }
                for value in 0..1_u32 << width {
                    let mut private = std::vec![0; set.private_size()];
                    for bit in 0..width {
                        let place = first * 8 + position * width + bit;
                        private[place / 8] |= ((value >> bit & 1) as u8) << (place % 8);
                    }
                    let expected = if value <= largest { Ok(()) } else { Err(Error::Key) };
                    assert_eq!(check(set, &private), expected, "{set:?} {position} {value}");
                }
            }
        }
    }
}
