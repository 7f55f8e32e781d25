//! The numbers of a private key, computed from its primes.

use super::{for_width, limbs, odd, read, write};
use crate::rsa::{check_public, significant};
use crate::{Error, RSA_MAX_BYTES, RsaPrivateKey, RsaPublicKey};
use crypto_bigint::{Concat, NonZero, Uint};
use zeroize::{Zeroize, Zeroizing};

/// Largest prime in bytes.
const PRIME: usize = RSA_MAX_BYTES / 2;

/// An RSA private key that owns its numbers, 2.3 KiB of them, and wipes them when dropped.
#[derive(Clone)]
pub struct RsaComponents {
    size: usize,
    size_p: usize,
    size_q: usize,
    public_exponent: [u8; 4],
    modulus: [u8; RSA_MAX_BYTES],
    exponent: [u8; RSA_MAX_BYTES],
    prime_p: [u8; PRIME],
    prime_q: [u8; PRIME],
    exponent_p: [u8; PRIME],
    exponent_q: [u8; PRIME],
    coefficient: [u8; PRIME],
}

impl RsaComponents {
    /// Computes all of a key from its two primes, big-endian, and its public exponent. The private exponent is the
    /// inverse of the public one modulo the least common multiple of p - 1 and q - 1 (FIPS 186-5, §A.1.1).
    ///
    /// # Errors
    /// [`Error::KeyLength`] if the product of the primes has not between 1024 and 4096 bits or one of them has more
    /// than 2048; [`Error::Key`] if the exponent is even, below 3 or not invertible, or one prime has no inverse modulo
    /// the other.
    pub fn derive(prime_p: &[u8], prime_q: &[u8], exponent: u32) -> Result<Self, Error> {
        let (prime_p, prime_q) = (significant(prime_p), significant(prime_q));
        if exponent < 3 || exponent.is_multiple_of(2) {
            return Err(Error::Key);
        }
        let mut key = Self {
            size: 0,
            size_p: prime_p.len(),
            size_q: prime_q.len(),
            public_exponent: exponent.to_be_bytes(),
            modulus: [0; RSA_MAX_BYTES],
            exponent: [0; RSA_MAX_BYTES],
            prime_p: [0; PRIME],
            prime_q: [0; PRIME],
            exponent_p: [0; PRIME],
            exponent_q: [0; PRIME],
            coefficient: [0; PRIME],
        };
        for (place, prime) in [(&mut key.prime_p, prime_p), (&mut key.prime_q, prime_q)] {
            place.get_mut(..prime.len()).ok_or(Error::KeyLength)?.copy_from_slice(prime);
        }
        let longest = prime_p.len().max(prime_q.len()).saturating_mul(2);
        for_width!(longest, compute(&mut key, exponent))?;
        Ok(key)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> RsaPublicKey<'_> {
        RsaPublicKey {
            modulus: self.modulus.get(..self.size).unwrap_or_default(),
            exponent: significant(&self.public_exponent),
        }
    }

    /// The private key.
    #[must_use]
    pub fn private_key(&self) -> RsaPrivateKey<'_> {
        fn first(number: &[u8; PRIME], size: usize) -> &[u8] {
            number.get(..size).unwrap_or_default()
        }
        RsaPrivateKey {
            public: self.public_key(),
            exponent: self.exponent.get(..self.size).unwrap_or_default(),
            prime_p: first(&self.prime_p, self.size_p),
            prime_q: first(&self.prime_q, self.size_q),
            exponent_p: first(&self.exponent_p, self.size_p),
            exponent_q: first(&self.exponent_q, self.size_q),
            coefficient: first(&self.coefficient, self.size_p),
        }
    }
}

impl core::fmt::Debug for RsaComponents {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("RsaComponents").field("public", &self.public_key()).finish_non_exhaustive()
    }
}

impl Drop for RsaComponents {
    fn drop(&mut self) {
        self.exponent.zeroize();
        self.prime_p.zeroize();
        self.prime_q.zeroize();
        self.exponent_p.zeroize();
        self.exponent_q.zeroize();
        self.coefficient.zeroize();
    }
}

/// Computes the numbers of a key whose primes have been filled in.
#[inline(never)]
fn compute<const P: usize, const N: usize>(key: &mut RsaComponents, exponent: u32) -> Result<(), Error>
where
    Uint<P>: Concat<P, Output = Uint<N>>,
{
    let prime = |number: &[u8; PRIME], size: usize| -> Result<_, Error> {
        let number = Zeroizing::new(read::<P>(number.get(..size).ok_or(Error::KeyLength)?)?);
        odd(&number).map(Zeroizing::new)
    };
    let p = prime(&key.prime_p, key.size_p)?;
    let q = prime(&key.prime_q, key.size_q)?;
    let modulus = p.concatenating_mul(q.as_ref());
    key.size = modulus.bits_vartime().div_ceil(8) as usize;
    write(key.modulus.get_mut(..key.size).ok_or(Error::KeyLength)?, &modulus);
    check_public(&key.public_key())?;

    let p1 = Zeroizing::new(p.wrapping_sub(&Uint::ONE));
    let q1 = Zeroizing::new(q.wrapping_sub(&Uint::ONE));
    invert_exponent(key.exponent_p.get_mut(..key.size_p), exponent, &p1)?;
    invert_exponent(key.exponent_q.get_mut(..key.size_q), exponent, &q1)?;
    invert_exponent(key.exponent.get_mut(..key.size), exponent, &*Zeroizing::new(p1.lcm::<N>(&q1)))?;

    let remainder = Zeroizing::new(q.rem(p.as_nz_ref()));
    let inverse = Zeroizing::new(remainder.invert_odd_mod(&p).into_option().ok_or(Error::Key)?);
    write(key.coefficient.get_mut(..key.size_p).ok_or(Error::KeyLength)?, &*inverse);
    Ok(())
}

/// Writes exponent⁻¹ modulo `modulus`.
fn invert_exponent<const L: usize>(
    output: Option<&mut [u8]>,
    exponent: u32,
    modulus: &Uint<L>,
) -> Result<(), Error> {
    let modulus = Zeroizing::new(NonZero::new(*modulus).into_option().ok_or(Error::Key)?);
    // An exponent that is not below the modulus makes no sense, and is not invertible if the modulus is 1.
    let inverse = Uint::from(exponent).invert_mod(&modulus).into_option().ok_or(Error::Key)?;
    write(output.ok_or(Error::KeyLength)?, &*Zeroizing::new(inverse));
    Ok(())
}

/// Checks that the primes of a key multiply to its modulus.
pub(crate) fn check_private(key: &RsaPrivateKey<'_>) -> Result<(), Error> {
    check_public(&key.public)?;
    check_primes::<{ limbs(4096) }>(key)
}

#[inline(never)]
fn check_primes<const N: usize>(key: &RsaPrivateKey<'_>) -> Result<(), Error> {
    let p = Zeroizing::new(read::<N>(key.prime_p)?);
    let q = Zeroizing::new(read::<N>(key.prime_q)?);
    let product = p.checked_mul(&q).into_option().ok_or(Error::Key)?;
    let longer = p.bits_vartime() > 1 && q.bits_vartime() > 1;
    if longer && product == read(key.public.modulus)? { Ok(()) } else { Err(Error::Key) }
}
