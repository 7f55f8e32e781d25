//! Probable primes for RSA (FIPS 186-5, §A.1.3).
//!
//! A random odd number is the start of a search upwards among the numbers that no small prime divides. How many there
//! are to try before the first prime can be told from the time.

use super::{for_width, limbs, random_bits, write};
use crate::{Error, RSA_MAX_BITS, RSA_MIN_BITS, Random};
use core::convert::Infallible;
use core::num::NonZero;
use crypto_bigint::rand_core::{TryCryptoRng, TryRng};
use crypto_bigint::{Limb, RandomMod, Uint, UnsignedWithMontyForm};
use crypto_primes::hazmat::SmallFactorsSieve;
use crypto_primes::{Flavor, fips, is_prime};
use zeroize::Zeroizing;

/// √2 · 2^63, rounded up. Two primes above √2 times a power of two have a product of exactly twice the bits.
const SQUARE_ROOT: u64 = 0xb504_f333_f9de_6485;
/// The primes differ within so many of their highest bits.
const DISTANCE_BITS: u32 = 100;
/// Starts before the random numbers are held to be none: one in two is in range, and most of these find a prime.
const STARTS: usize = 1000;
/// Candidates tried from one start. About a hundred are needed for a prime of 2048 bits, fifty for one of 1024.
const CANDIDATES: usize = 1000;

pub(super) fn generate(
    random: &dyn Random,
    bits: usize,
    exponent: u32,
    primes: &mut [u8],
) -> Result<(), Error> {
    let range = RSA_MIN_BITS..=RSA_MAX_BITS;
    if !range.contains(&bits) || !bits.is_multiple_of(16) || primes.len() != bits / 8 {
        return Err(Error::KeyLength);
    }
    if exponent < 3 || exponent.is_multiple_of(2) {
        return Err(Error::Key);
    }
    let half = u32::try_from(bits / 2).map_err(|_| Error::KeyLength)?;
    for_width!(bits / 8, generate_sized(random, half, exponent, primes))
}

#[inline(never)]
fn generate_sized<const P: usize, const N: usize>(
    random: &dyn Random,
    half: u32,
    exponent: u32,
    primes: &mut [u8],
) -> Result<(), Error>
where
    Uint<P>: UnsignedWithMontyForm + RandomMod,
{
    let first = find::<P>(random, half, exponent)?;
    // Primes too near to each other do not happen twice with a generator that works.
    for _ in 0..4 {
        let second = find::<P>(random, half, exponent)?;
        let (p, q) = if *first > *second { (&first, &second) } else { (&second, &first) };
        let distance = Zeroizing::new(p.wrapping_sub(q));
        if distance.bits() > half.saturating_sub(DISTANCE_BITS) {
            let (prime_p, prime_q) = primes.split_at_mut(primes.len() / 2);
            write(prime_p, p);
            write(prime_q, q);
            return Ok(());
        }
    }
    Err(Error::Entropy)
}

/// Finds a prime of exactly `size` bits in the upper part of their range, such that prime - 1 and the exponent are
/// coprime.
fn find<const P: usize>(random: &dyn Random, size: u32, exponent: u32) -> Result<Zeroizing<Uint<P>>, Error>
where
    Uint<P>: UnsignedWithMontyForm + RandomMod,
{
    let max_bit_length = NonZero::new(size).ok_or(Error::KeyLength)?;
    let excess = Uint::<P>::BITS.saturating_sub(size);
    let lowest = Uint::<P>::from(SQUARE_ROOT).shl_vartime(size.saturating_sub(64));
    let tests = fips::FipsOptions::with_mr_iterations(rounds(size));
    for _ in 0..STARTS {
        let start = Zeroizing::new(random_bits::<P>(random)?.shr_vartime(excess));
        if *start < lowest {
            continue;
        }
        let sieve = SmallFactorsSieve::new(*start, max_bit_length, false).map_err(|_| Error::KeyLength)?;
        for candidate in sieve.take(CANDIDATES) {
            let candidate = Zeroizing::new(candidate);
            if !coprime(&candidate, exponent) || !is_prime(Flavor::Any, &*candidate) {
                continue;
            }
            let mut bases = Bases { random, draws: 0, result: Ok(()) };
            let prime = fips::is_prime(&mut bases, Flavor::Any, &*candidate, tests);
            bases.result?;
            if prime {
                return Ok(candidate);
            }
        }
    }
    Err(Error::Entropy)
}

/// Whether prime - 1 and the exponent have no common factor. The time tells something about the prime modulo the
/// exponent, once in the life of a key.
fn coprime<const P: usize>(prime: &Uint<P>, exponent: u32) -> bool {
    let Some(divisor) = crypto_bigint::NonZero::new(Limb::from(exponent)).into_option() else { return false };
    #[allow(clippy::useless_conversion, reason = "a limb has 32 bits elsewhere")]
    let remainder = u64::from(prime.wrapping_sub(&Uint::ONE).rem_limb(divisor).0);
    let (mut x, mut y) = (u64::from(exponent), remainder);
    while y != 0 {
        (x, y) = (y, x.checked_rem(y).unwrap_or_default());
    }
    x == 1
}

/// Rounds of Miller and Rabin's test with random bases for a candidate of so many bits: so many that a random composite
/// passes with a chance of 2^-128 at most, which is below what FIPS 186-5, table B.1 asks for.
const fn rounds(bits: u32) -> usize {
    match bits {
        0..768 => 12,
        768..1024 => 8,
        1024..1536 => 6,
        _ => 4,
    }
}

/// Random bases, from a source that may fail for a consumer that does not expect it: then they are zero, and the
/// failure is kept.
struct Bases<'a> {
    random: &'a dyn Random,
    draws: usize,
    result: Result<(), Error>,
}

impl Bases<'_> {
    /// Draws before the numbers are held to be not random: a consumer draws again while they are out of range.
    const DRAWS: usize = 1 << 16;

    fn draw(&mut self, output: &mut [u8]) {
        self.draws = self.draws.saturating_add(1);
        if self.result.is_ok() {
            self.result =
                if self.draws > Self::DRAWS { Err(Error::Entropy) } else { self.random.fill(output) };
        }
        if self.result.is_err() {
            output.fill(0);
        }
    }
}

impl TryRng for Bases<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.draw(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.draw(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, output: &mut [u8]) -> Result<(), Infallible> {
        self.draw(output);
        Ok(())
    }
}

impl TryCryptoRng for Bases<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_reach_the_bound() {
        for bits in [512, 640, 768, 1000, 1024, 1536, 2048] {
            let least = crypto_primes::hazmat::minimum_mr_iterations(bits, 128).unwrap();
            assert!(rounds(bits) >= least, "{bits}: {least}");
        }
    }
}
