//! Raw RSA on fixed-width integers of `crypto-bigint`, without a heap.
//!
//! The private operation works modulo each prime and puts the two results together (RFC 8017, §5.1.2, 2b). Its input
//! is blinded with a random number before it meets anything secret, and its result is raised to the public exponent and
//! compared with the input before it leaves: a result that is right modulo one prime only would give the other away.
//!
//! Every operation is compiled for up to five widths of the modulus, by features; another modulus takes the time of the
//! next. A private key with a prime longer than half the width is computed with the primes at the largest width, which
//! takes many times longer.
//!
//! How long an operation takes depends on the width, on the lengths of the primes in bits and on the public key, not on
//! the data or on the rest of the private key: as far as `crypto-bigint` promises that, on a processor whose
//! multiplication takes the same time for all operands. On a Cortex-M3 it does not: there, blinding is what stands
//! between the time and the key.

mod components;
#[cfg(feature = "rsa-generation")]
mod prime;

pub use components::RsaComponents;
pub(crate) use components::check_private;

use crate::rsa::{check_public, significant};
use crate::secret::Secret;
use crate::{Error, RSA_MAX_BYTES, Random, Rsa, RsaPrivateKey, RsaPublicKey, Software};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Limb, Odd, Uint};
use zeroize::Zeroizing;

/// The largest width of the modulus in bits.
const WIDEST: u32 = if cfg!(feature = "rsa-4096") {
    4096
} else if cfg!(feature = "rsa-3072") {
    3072
} else {
    2048
};

/// Limbs of a number of `bits` bits.
const fn limbs(bits: u32) -> usize {
    bits.div_ceil(Limb::BITS) as usize
}

/// Calls a function for the smallest width that holds a modulus of so many bytes and primes of half its length. The
/// function's parameters are the limbs of a prime and those of the modulus. [`Error::Unsupported`] if none is wide enough.
macro_rules! for_width {
    ($bytes:expr, $function:ident($($argument:expr),*)) => {
        match $bytes {
            #[cfg(feature = "rsa-1024")]
            ..=128 => $function::<{ limbs(512) }, { limbs(1024) }>($($argument),*),
            #[cfg(feature = "rsa-1536")]
            ..=192 => $function::<{ limbs(768) }, { limbs(1536) }>($($argument),*),
            ..=256 => $function::<{ limbs(1024) }, { limbs(2048) }>($($argument),*),
            #[cfg(feature = "rsa-3072")]
            ..=384 => $function::<{ limbs(1536) }, { limbs(3072) }>($($argument),*),
            #[cfg(feature = "rsa-4096")]
            ..=512 => $function::<{ limbs(2048) }, { limbs(4096) }>($($argument),*),
            _ => Err(Error::Unsupported),
        }
    };
}
use for_width;

/// Reads a big-endian number.
///
/// # Errors
/// [`Error::Key`] if it does not fit.
fn read<const L: usize>(bytes: &[u8]) -> Result<Uint<L>, Error> {
    let bytes = significant(bytes);
    let mut padded = Secret::<RSA_MAX_BYTES>::zero();
    let padded = padded.get_mut(..Uint::<L>::BYTES).ok_or(Error::Key)?;
    let start = padded.len().checked_sub(bytes.len()).ok_or(Error::Key)?;
    padded.get_mut(start..).ok_or(Error::Key)?.copy_from_slice(bytes);
    Ok(Uint::from_be_slice(padded))
}

/// Writes a number as big-endian bytes. What does not fit is left out.
fn write<const L: usize>(output: &mut [u8], value: &Uint<L>) {
    output.fill(0);
    let encoded = Zeroizing::new(value.to_le_bytes());
    for (place, byte) in output.iter_mut().rev().zip(encoded.as_ref()) {
        *place = *byte;
    }
}

/// A number of random bits.
fn random_bits<const L: usize>(random: &dyn Random) -> Result<Zeroizing<Uint<L>>, Error> {
    let mut bytes = Secret::<RSA_MAX_BYTES>::zero();
    let bytes = bytes.get_mut(..Uint::<L>::BYTES).ok_or(Error::KeyLength)?;
    random.fill(bytes)?;
    Ok(Zeroizing::new(Uint::from_be_slice(bytes)))
}

fn odd<const L: usize>(value: &Uint<L>) -> Result<Odd<Uint<L>>, Error> {
    Odd::new(*value).into_option().ok_or(Error::Key)
}

impl<R: Random> Rsa for Software<R> {
    #[cfg(feature = "rsa-generation")]
    fn rsa_generate(&self, bits: usize, exponent: u32, primes: &mut [u8]) -> Result<(), Error> {
        prime::generate(&self.random, bits, exponent, primes)
    }

    fn rsa_public(&self, key: &RsaPublicKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        check_public(key)?;
        if data.len() != key.modulus.len() {
            return Err(Error::DataLength);
        }
        for_width!(data.len(), public(key, data))
    }

    fn rsa_private(&self, key: &RsaPrivateKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        check_public(&key.public)?;
        if data.len() != key.public.modulus.len() {
            return Err(Error::DataLength);
        }
        match private(&self.random, key, data) {
            // A key whose parts do not fit together fails again; a passing fault does not.
            Err(Error::Hardware) => match private(&self.random, key, data) {
                Err(Error::Hardware) => Err(Error::Key),
                Ok(()) => {
                    data.fill(0);
                    Err(Error::Hardware)
                }
                other => other,
            },
            other => other,
        }
    }
}

/// `base`^`exponent` modulo `modulus` for a public exponent that is not zero, by squarings and multiplications. The result is
/// in the Montgomery form, which the base must not be.
///
/// Not inlined, as other steps below: what they need of the stack is given back, a form of a number modulo 2048 bits being
/// 1.3 KB.
#[inline(never)]
fn power_vartime<const N: usize>(
    base: &Uint<N>,
    exponent: &Uint<N>,
    modulus: &FixedMontyParams<N>,
) -> Zeroizing<FixedMontyForm<N>> {
    let base = Zeroizing::new(FixedMontyForm::new(base, modulus));
    let mut result = base.clone();
    let mut squarings = 0_u32;
    for position in (0..exponent.bits_vartime().saturating_sub(1)).rev() {
        squarings = squarings.saturating_add(1);
        if exponent.bit_vartime(position) {
            *result = result.square_repeat_vartime(squarings).mul(&base);
            squarings = 0;
        }
    }
    *result = result.square_repeat_vartime(squarings);
    result
}

#[inline(never)]
fn public<const P: usize, const N: usize>(key: &RsaPublicKey<'_>, data: &mut [u8]) -> Result<(), Error> {
    let modulus = FixedMontyParams::new_vartime(odd(&read::<N>(key.modulus)?)?);
    // Conversion reduces whatever fits into the width.
    let input = Zeroizing::new(read::<N>(data)?);
    let result = power_vartime(&input, &read(key.exponent)?, &modulus);
    write(data, &Zeroizing::new(result.retrieve()));
    Ok(())
}

fn private(random: &dyn Random, key: &RsaPrivateKey<'_>, data: &mut [u8]) -> Result<(), Error> {
    let bytes = data.len();
    let longest = significant(key.prime_p).len().max(significant(key.prime_q).len());
    if longest > for_width!(bytes, prime_bytes())? {
        return private_sized::<{ limbs(WIDEST) }, { limbs(WIDEST) }>(random, key, data);
    }
    for_width!(bytes, private_sized(random, key, data))
}

fn prime_bytes<const P: usize, const N: usize>() -> Result<usize, Error> {
    Ok(Uint::<P>::BYTES)
}

/// A prime factor, ready to compute with.
struct Prime<const P: usize> {
    modulus: Zeroizing<FixedMontyParams<P>>,
    exponent: Zeroizing<Uint<P>>,
    bits: u32,
}

impl<const P: usize> Prime<P> {
    fn new(prime: &[u8], exponent: &[u8]) -> Result<Self, Error> {
        let prime = Zeroizing::new(odd(&*Zeroizing::new(read::<P>(prime)?))?);
        let exponent = Zeroizing::new(read::<P>(exponent)?);
        let bits = Odd::as_ref(&prime).bits();
        if bits < 2 || exponent.bits() > bits {
            return Err(Error::Key);
        }
        Ok(Self { modulus: Zeroizing::new(FixedMontyParams::new(*prime)), exponent, bits })
    }

    fn value(&self) -> &Uint<P> {
        self.modulus.modulus().as_ref()
    }

    /// A number modulo the prime.
    fn reduce(&self, value: &Uint<P>) -> FixedMontyForm<P> {
        FixedMontyForm::new(value, &self.modulus)
    }

    /// A number of up to twice the width, modulo the prime.
    #[inline(never)]
    fn reduce_wide<const N: usize>(&self, value: &Uint<N>) -> Zeroizing<FixedMontyForm<P>> {
        let (lower, upper) = value.split_resize::<P, P>();
        // The representation of R = 2^(width) is R².
        let radix = FixedMontyForm::from_montgomery(*self.modulus.r2(), &self.modulus);
        Zeroizing::new(self.reduce(&upper).mul(&radix).add(&self.reduce(&lower)))
    }

    /// The inverse of a number.
    #[inline(never)]
    fn invert(&self, value: &FixedMontyForm<P>) -> Result<Zeroizing<FixedMontyForm<P>>, Error> {
        // A number without an inverse is a multiple of the prime: if that is one, rarer than broken hardware.
        value.invert().into_option().map(Zeroizing::new).ok_or(Error::Hardware)
    }

    /// A number to the power of the private exponent.
    #[inline(never)]
    fn raise(&self, base: &FixedMontyForm<P>) -> Zeroizing<FixedMontyForm<P>> {
        Zeroizing::new(base.pow_amm_bounded_exp(&self.exponent, self.bits))
    }

    /// (blinded^exponent) / random modulo the prime.
    #[inline(never)]
    fn power<const N: usize>(
        &self,
        blinded: &Uint<N>,
        random: &Uint<N>,
    ) -> Result<Zeroizing<Uint<P>>, Error> {
        let unblinding = self.invert(&*self.reduce_wide(random))?;
        let power = self.raise(&*self.reduce_wide(blinded));
        Ok(Zeroizing::new(Zeroizing::new(power.mul(&unblinding)).retrieve()))
    }
}

/// `value` · `random`^`exponent`, and `value` in the Montgomery form.
#[inline(never)]
fn blind<const N: usize>(
    value: &Uint<N>,
    random: &Uint<N>,
    exponent: &Uint<N>,
    modulus: &FixedMontyParams<N>,
) -> (Zeroizing<Uint<N>>, Zeroizing<Uint<N>>) {
    let value = Zeroizing::new(FixedMontyForm::new(value, modulus));
    let factor = power_vartime(random, exponent, modulus);
    let blinded = Zeroizing::new(value.mul(&factor));
    (Zeroizing::new(blinded.retrieve()), Zeroizing::new(*value.as_montgomery()))
}

/// m₂ + q · ((m₁ - m₂) · qInv mod p).
#[inline(never)]
fn combine<const P: usize, const N: usize>(
    p: &Prime<P>,
    q: &Prime<P>,
    m1: &Uint<P>,
    m2: &Uint<P>,
    coefficient: &Uint<P>,
) -> Zeroizing<Uint<N>> {
    let coefficient = Zeroizing::new(p.reduce(coefficient));
    let difference = Zeroizing::new(p.reduce(m1).sub(&Zeroizing::new(p.reduce(m2))));
    let h = Zeroizing::new(Zeroizing::new(difference.mul(&coefficient)).retrieve());
    let (lower, upper) = q.value().widening_mul(&*h);
    let product = Zeroizing::new(lower.concat_resize::<P, N>(&upper));
    Zeroizing::new(product.wrapping_add(&Zeroizing::new(m2.resize::<N>())))
}

/// The private operation. `data` is changed only on success.
#[inline(never)]
fn private_sized<const P: usize, const N: usize>(
    random: &dyn Random,
    key: &RsaPrivateKey<'_>,
    data: &mut [u8],
) -> Result<(), Error> {
    let modulus = FixedMontyParams::new_vartime(odd(&read::<N>(key.public.modulus)?)?);
    let exponent = read::<N>(key.public.exponent)?;
    let p = Prime::<P>::new(key.prime_p, key.exponent_p)?;
    let q = Prime::<P>::new(key.prime_q, key.exponent_q)?;
    if p.value().widening_mul(q.value()) != modulus.modulus().as_ref().split_resize::<P, P>() {
        return Err(Error::Key);
    }

    let random = random_bits::<N>(random)?;
    let (blinded, input) = blind(&*Zeroizing::new(read::<N>(data)?), &random, &exponent, &modulus);

    // m₁ = c^dP mod p, m₂ = c^dQ mod q.
    let m1 = p.power(&blinded, &random)?;
    let m2 = q.power(&blinded, &random)?;
    let coefficient = Zeroizing::new(read::<P>(key.coefficient)?);
    let result = combine::<P, N>(&p, &q, &m1, &m2, &coefficient);

    if power_vartime(&result, &exponent, &modulus).as_montgomery() != &*input {
        return Err(Error::Hardware);
    }
    write(data, &*result);
    Ok(())
}
