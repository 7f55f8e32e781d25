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

use super::in_place;
use crate::rsa::{check_public, significant};
use crate::secret::Secret;
use crate::{Error, RSA_MAX_BYTES, Random, Rsa, RsaPrivateKey, RsaPublicKey, Software};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Limb, MontyForm, MontyMultiplier, Odd, Uint};
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

/// What is needed to compute modulo a public number. The steps below are functions of their own, so that each gives back
/// the stack that it needs: this one takes 6 KB. Between them numbers are kept bare, in the Montgomery form or not: with
/// its modulus, a number of 2048 bits takes 1 KB.
#[inline(never)]
fn public_modulus<const N: usize>(modulus: &[u8]) -> Result<FixedMontyParams<N>, Error> {
    Ok(FixedMontyParams::new_vartime(odd(&read::<N>(modulus)?)?))
}

/// The Montgomery form of a number, reduced, which may be anything that fits into the width.
#[inline(never)]
fn form<const L: usize>(value: &Uint<L>, modulus: &FixedMontyParams<L>) -> Zeroizing<Uint<L>> {
    Zeroizing::new(*Zeroizing::new(FixedMontyForm::new(value, modulus)).as_montgomery())
}

/// The number with this Montgomery form.
#[inline(never)]
fn retrieve<const L: usize>(form: &Uint<L>, modulus: &FixedMontyParams<L>) -> Zeroizing<Uint<L>> {
    Zeroizing::new(Zeroizing::new(FixedMontyForm::from_montgomery(*form, modulus)).retrieve())
}

/// Multiplies two Montgomery forms.
#[inline(never)]
fn product<const L: usize>(
    left: &Uint<L>,
    right: &Uint<L>,
    modulus: &FixedMontyParams<L>,
) -> Zeroizing<Uint<L>> {
    let mut product = Zeroizing::new(FixedMontyForm::from_montgomery(*left, modulus));
    let right = Zeroizing::new(FixedMontyForm::from_montgomery(*right, modulus));
    multiplier(modulus).mul_assign(&mut product, &right);
    Zeroizing::new(*product.as_montgomery())
}

fn multiplier<const L: usize>(
    modulus: &FixedMontyParams<L>,
) -> <FixedMontyForm<L> as MontyForm>::Multiplier<'_> {
    modulus.into()
}

/// The form of `base`, which is no form, to the power of a public exponent that is not zero, by squarings and
/// multiplications.
#[inline(never)]
fn power_vartime<const N: usize>(
    base: &Uint<N>,
    exponent: &[u8],
    modulus: &FixedMontyParams<N>,
) -> Zeroizing<Uint<N>> {
    let base = Zeroizing::new(FixedMontyForm::new(base, modulus));
    let mut power = base.clone();
    let mut multiplier = multiplier(modulus);
    let bits = exponent.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 != 0));
    for bit in bits.skip_while(|bit| !bit).skip(1) {
        multiplier.square_assign(&mut power);
        if bit {
            multiplier.mul_assign(&mut power, &base);
        }
    }
    Zeroizing::new(*power.as_montgomery())
}

#[inline(never)]
fn public<const P: usize, const N: usize>(key: &RsaPublicKey<'_>, data: &mut [u8]) -> Result<(), Error> {
    let modulus = public_modulus::<N>(key.modulus);
    public_power(in_place(&modulus)?, key.exponent, data)
}

#[inline(never)]
fn public_power<const N: usize>(
    modulus: &FixedMontyParams<N>,
    exponent: &[u8],
    data: &mut [u8],
) -> Result<(), Error> {
    let power = power_vartime(&*Zeroizing::new(read::<N>(data)?), exponent, modulus);
    write(data, &*retrieve(&power, modulus));
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

/// A prime factor, and the private exponent modulo the prime less one.
struct Factor<'a> {
    prime: &'a [u8],
    exponent: &'a [u8],
}

impl Factor<'_> {
    /// The prime.
    fn prime<const P: usize>(&self) -> Result<Zeroizing<Odd<Uint<P>>>, Error> {
        Ok(Zeroizing::new(odd(&*Zeroizing::new(read::<P>(self.prime)?))?))
    }

    /// Checks what can be seen without computing.
    #[inline(never)]
    fn check<const P: usize>(&self) -> Result<(), Error> {
        let prime = self.prime::<P>()?;
        let bits = Odd::as_ref(&prime).bits();
        if bits < 2 || Zeroizing::new(read::<P>(self.exponent)?).bits() > bits {
            return Err(Error::Key);
        }
        Ok(())
    }

    /// What is needed to compute modulo the prime.
    #[inline(never)]
    fn modulus<const P: usize>(&self) -> Result<Zeroizing<FixedMontyParams<P>>, Error> {
        Ok(Zeroizing::new(FixedMontyParams::new(*self.prime()?)))
    }

    /// The form of blinded^exponent / random modulo the prime.
    #[inline(never)]
    fn power<const P: usize, const N: usize>(
        &self,
        modulus: &FixedMontyParams<P>,
        blinded: &Uint<N>,
        random: &Uint<N>,
    ) -> Result<Zeroizing<Uint<P>>, Error> {
        let unblinding = inverse(&*form_wide(random, modulus), modulus);
        let unblinding = in_place(&unblinding)?;
        let power = self.raise(&*form_wide(blinded, modulus), modulus);
        Ok(product(in_place(&power)?, unblinding, modulus))
    }

    /// A form to the power of the private exponent.
    #[inline(never)]
    fn raise<const P: usize>(
        &self,
        base: &Uint<P>,
        modulus: &FixedMontyParams<P>,
    ) -> Result<Zeroizing<Uint<P>>, Error> {
        let exponent = Zeroizing::new(read::<P>(self.exponent)?);
        let base = Zeroizing::new(FixedMontyForm::from_montgomery(*base, modulus));
        let bits = modulus.modulus().as_ref().bits();
        Ok(Zeroizing::new(*Zeroizing::new(base.pow_amm_bounded_exp(&exponent, bits)).as_montgomery()))
    }
}

/// The form of a number of up to twice the width, modulo a prime.
#[inline(never)]
fn form_wide<const P: usize, const N: usize>(
    value: &Uint<N>,
    modulus: &FixedMontyParams<P>,
) -> Zeroizing<Uint<P>> {
    let (lower, upper) = value.split_resize::<P, P>();
    // The form of a number is the number times 2^(width).
    let upper = form(&*form(&*Zeroizing::new(upper), modulus), modulus);
    let lower = form(&*Zeroizing::new(lower), modulus);
    Zeroizing::new(upper.add_mod(&lower, modulus.modulus().as_nz_ref()))
}

/// The inverse of a form modulo a prime.
#[inline(never)]
fn inverse<const P: usize>(
    form: &Uint<P>,
    modulus: &FixedMontyParams<P>,
) -> Result<Zeroizing<Uint<P>>, Error> {
    let value = Zeroizing::new(FixedMontyForm::from_montgomery(*form, modulus));
    // A number without an inverse is a multiple of the prime: if that is one, rarer than broken hardware.
    let inverse = Zeroizing::new(value.invert().into_option().ok_or(Error::Hardware)?);
    Ok(Zeroizing::new(*inverse.as_montgomery()))
}

/// `value` · `random`^`exponent`.
#[inline(never)]
fn blind<const N: usize>(
    value: &[u8],
    random: &Uint<N>,
    exponent: &[u8],
    modulus: &FixedMontyParams<N>,
) -> Result<Zeroizing<Uint<N>>, Error> {
    let factor = power_vartime(random, exponent, modulus);
    let value = form(&*Zeroizing::new(read(value)?), modulus);
    Ok(retrieve(&*product(&value, &factor, modulus), modulus))
}

/// Whether `root`^`exponent` is `value`.
#[inline(never)]
fn is_root<const N: usize>(
    root: &Uint<N>,
    exponent: &[u8],
    value: &[u8],
    modulus: &FixedMontyParams<N>,
) -> Result<bool, Error> {
    let power = power_vartime(root, exponent, modulus);
    Ok(power == form(&*Zeroizing::new(read(value)?), modulus))
}

/// Checks that the primes multiply to the modulus.
#[inline(never)]
fn check_product<const P: usize, const N: usize>(
    p: &Factor<'_>,
    q: &Factor<'_>,
    modulus: &FixedMontyParams<N>,
) -> Result<(), Error> {
    let (p, q) = (p.prime::<P>()?, q.prime::<P>()?);
    if Odd::as_ref(&p).widening_mul(Odd::as_ref(&q)) == modulus.modulus().as_ref().split_resize::<P, P>() {
        Ok(())
    } else {
        Err(Error::Key)
    }
}

/// The power modulo q.
#[inline(never)]
fn power_q<const P: usize, const N: usize>(
    q: &Factor<'_>,
    blinded: &Uint<N>,
    random: &Uint<N>,
) -> Result<Zeroizing<Uint<P>>, Error> {
    let modulus = q.modulus::<P>();
    let modulus = in_place(&modulus)?;
    Ok(retrieve(&*q.power(modulus, blinded, random)?, modulus))
}

/// (m₁ - m₂) · qInv mod p, where m₁ is the power modulo p, and m₂ that modulo q.
#[inline(never)]
fn difference<const P: usize, const N: usize>(
    p: &Factor<'_>,
    coefficient: &[u8],
    m2: &Uint<P>,
    blinded: &Uint<N>,
    random: &Uint<N>,
) -> Result<Zeroizing<Uint<P>>, Error> {
    let modulus = p.modulus::<P>();
    let modulus = in_place(&modulus)?;
    let m1 = p.power(modulus, blinded, random);
    subtract_and_multiply(in_place(&m1)?, m2, coefficient, modulus)
}

/// (`left` - `right`) · `factor`, where `left` is a form.
#[inline(never)]
fn subtract_and_multiply<const P: usize>(
    left: &Uint<P>,
    right: &Uint<P>,
    factor: &[u8],
    modulus: &FixedMontyParams<P>,
) -> Result<Zeroizing<Uint<P>>, Error> {
    let difference = Zeroizing::new(left.sub_mod(&*form(right, modulus), modulus.modulus().as_nz_ref()));
    let factor = form(&*Zeroizing::new(read(factor)?), modulus);
    Ok(retrieve(&*product(&difference, &factor, modulus), modulus))
}

/// m₂ + q · h.
#[inline(never)]
fn combine<const P: usize, const N: usize>(
    m2: &Uint<P>,
    q: &Factor<'_>,
    h: &Uint<P>,
) -> Result<Zeroizing<Uint<N>>, Error> {
    let q = q.prime::<P>()?;
    let (lower, upper) = Odd::as_ref(&q).widening_mul(h);
    let product = Zeroizing::new(lower.concat_resize::<P, N>(&upper));
    Ok(Zeroizing::new(product.wrapping_add(&Zeroizing::new(m2.resize::<N>()))))
}

/// The private operation. `data` is changed only on success.
#[inline(never)]
fn private_sized<const P: usize, const N: usize>(
    random: &dyn Random,
    key: &RsaPrivateKey<'_>,
    data: &mut [u8],
) -> Result<(), Error> {
    let modulus = public_modulus::<N>(key.public.modulus);
    private_power::<P, N>(random, key, in_place(&modulus)?, data)
}

#[inline(never)]
fn private_power<const P: usize, const N: usize>(
    random: &dyn Random,
    key: &RsaPrivateKey<'_>,
    modulus: &FixedMontyParams<N>,
    data: &mut [u8],
) -> Result<(), Error> {
    let exponent = key.public.exponent;
    let p = Factor { prime: key.prime_p, exponent: key.exponent_p };
    let q = Factor { prime: key.prime_q, exponent: key.exponent_q };
    p.check::<P>()?;
    q.check::<P>()?;
    check_product::<P, N>(&p, &q, modulus)?;

    let random = random_bits::<N>(random);
    let random = in_place(&random)?;
    let blinded = blind(data, random, exponent, modulus);
    let blinded = in_place(&blinded)?;
    // m₂ = c^dQ mod q; h = (c^dP mod p - m₂) · qInv mod p.
    let m2 = power_q::<P, N>(&q, blinded, random);
    let m2 = in_place(&m2)?;
    let h = difference(&p, key.coefficient, m2, blinded, random);
    finish(m2, &q, in_place(&h)?, exponent, modulus, data)
}

/// Puts the two results together, and confirms that what came out is right before it leaves.
#[inline(never)]
fn finish<const P: usize, const N: usize>(
    m2: &Uint<P>,
    q: &Factor<'_>,
    h: &Uint<P>,
    exponent: &[u8],
    modulus: &FixedMontyParams<N>,
    data: &mut [u8],
) -> Result<(), Error> {
    let result = combine::<P, N>(m2, q, h);
    let result = in_place(&result)?;
    if !is_root(result, exponent, data, modulus)? {
        return Err(Error::Hardware);
    }
    write(data, result);
    Ok(())
}
