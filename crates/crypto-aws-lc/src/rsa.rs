//! Raw RSA.

use crate::ffi::number::{Modulus, Number};
use crate::ffi::rsa::{self, PrivateKey, PrivateNumbers, PublicKey};
use crate::{AwsLc, ffi};
use casemate_crypto::{Error, RSA_MAX_BITS, RSA_MAX_BYTES, RSA_MIN_BITS, Rsa, RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

/// Longest public exponent in bytes. The library refuses those of more than 33 bits.
const MAX_EXPONENT: usize = 4;

/// The number without leading zeros.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The length of a number in bits.
fn bits(number: &[u8]) -> usize {
    let number = significant(number);
    let unused = number.first().map_or(0, |first| first.leading_zeros() as usize);
    (number.len() * 8).saturating_sub(unused)
}

/// The same checks as in the software.
fn check_public(key: &RsaPublicKey<'_>) -> Result<(), Error> {
    let (modulus, exponent) = (key.modulus, significant(key.exponent));
    let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if modulus.len() > RSA_MAX_BYTES || (modulus.len() * 8).saturating_sub(unused) < RSA_MIN_BITS {
        return Err(Error::KeyLength);
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    // Without leading zeros, numbers of one length are in order as byte strings are.
    let below = exponent.len() < modulus.len() || exponent.len() == modulus.len() && exponent < modulus;
    if !odd(modulus) || !odd(exponent) || exponent == [1] || !below || modulus.first() == Some(&0) {
        return Err(Error::Key);
    }
    Ok(())
}

/// A number as long as the modulus, reduced.
fn reduced(data: &[u8], modulus: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut number = Zeroizing::new(data.to_vec());
    if data >= modulus {
        Number::from_bytes(data)?.modulo(&Number::from_bytes(modulus)?)?.write(&mut number)?;
    }
    Ok(number)
}

/// A random number r and its inverse modulo n, to hide what the private key is applied to: (c · r^e)^d / r = c^d.
///
/// The library's own blinding takes a number from all of 1..n, whose inverse costs as much as the private operation; it is
/// meant to be kept with a key, which this driver does not. Here r is a quotient a / b of odd random numbers of 128 bits,
/// so short that their inverses cost a division: 252 random bits instead of those of n, and numbers of full length in
/// every place. How long the inversion takes tells something about a and b, which are used once.
struct Blinding {
    /// r^e.
    mask: Number,
    /// 1 / r.
    inverse: Number,
}

impl Blinding {
    /// How often a random number may have a factor in common with n. With no honest key it ever has.
    const ATTEMPTS: usize = 32;

    fn new(field: &Modulus, modulus: &Number, exponent: &Number) -> Result<Self, Error> {
        let (a, a_inverse) = Self::part(modulus)?;
        let (b, b_inverse) = Self::part(modulus)?;
        Ok(Self {
            mask: field.power(&field.multiply(&a, &b_inverse)?, exponent, modulus)?,
            inverse: field.multiply(&b, &a_inverse)?,
        })
    }

    /// A random odd number of 128 bits, and its inverse.
    fn part(modulus: &Number) -> Result<(Number, Number), Error> {
        for _ in 0..Self::ATTEMPTS {
            let mut bytes = Zeroizing::new([0; 16]);
            ffi::random(bytes.as_mut_slice())?;
            let [first, .., last] = &mut *bytes;
            *first |= 0x80;
            *last |= 1;
            let number = Number::from_bytes(bytes.as_slice())?;
            if let Some(inverse) = number.short_inverse(modulus)? {
                return Ok((number, inverse));
            }
        }
        Err(Error::Unsupported)
    }
}

/// The numbers of a key, if the library can compute with them as they are. If not, the next driver may, or it says what is
/// wrong with them.
fn numbers(key: &RsaPrivateKey<'_>) -> Result<PrivateNumbers, Error> {
    let (p, q) = (bits(key.prime_p), bits(key.prime_q));
    // The library's arithmetic needs primes of as many 64-bit words as each other, and numbers no longer than these.
    let balanced = p.div_ceil(64) == q.div_ceil(64) && p > 64;
    let fit = bits(key.exponent_p) <= p && bits(key.exponent_q) <= q && bits(key.coefficient) <= p;
    if !balanced || !fit || significant(key.public.exponent).len() > MAX_EXPONENT {
        return Err(Error::Unsupported);
    }
    let numbers = PrivateNumbers {
        modulus: Number::from_bytes(key.public.modulus)?,
        public_exponent: Number::from_bytes(key.public.exponent)?,
        prime_p: Number::from_bytes(key.prime_p)?,
        prime_q: Number::from_bytes(key.prime_q)?,
        exponent_p: Number::from_bytes(key.exponent_p)?,
        exponent_q: Number::from_bytes(key.exponent_q)?,
        coefficient: Number::from_bytes(key.coefficient)?,
    };
    if numbers.modulus.is_product(&numbers.prime_p, &numbers.prime_q)? {
        Ok(numbers)
    } else {
        Err(Error::Unsupported)
    }
}

impl Rsa for AwsLc {
    fn rsa_generate(&self, bits: usize, exponent: u32, primes: &mut [u8]) -> Result<(), Error> {
        let range = RSA_MIN_BITS..=RSA_MAX_BITS;
        if !range.contains(&bits) || !bits.is_multiple_of(16) || primes.len() != bits / 8 {
            return Err(Error::KeyLength);
        }
        if exponent < 3 || exponent.is_multiple_of(2) {
            return Err(Error::Key);
        }
        if !bits.is_multiple_of(128) {
            return Err(Error::Unsupported);
        }
        let (prime_p, prime_q) = primes.split_at_mut(bits / 16);
        rsa::generate(bits, exponent, prime_p, prime_q)
    }

    fn rsa_public(&self, key: &RsaPublicKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        check_public(key)?;
        if data.len() != key.modulus.len() {
            return Err(Error::DataLength);
        }
        if significant(key.exponent).len() > MAX_EXPONENT {
            return Err(Error::Unsupported);
        }
        let input = reduced(data, key.modulus)?;
        PublicKey::new(Number::from_bytes(key.modulus)?, Number::from_bytes(key.exponent)?)?
            .raise(&input, data)
    }

    fn rsa_private(&self, key: &RsaPrivateKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        check_public(&key.public)?;
        if data.len() != key.public.modulus.len() {
            return Err(Error::DataLength);
        }
        let input = reduced(data, key.public.modulus)?;
        // The library does not want to see a zero, blinded or not.
        if input.iter().all(|byte| *byte == 0) {
            return Err(Error::Unsupported);
        }
        match raise(key, &input, data) {
            // A key whose parts do not fit together fails again; a passing fault does not.
            Err(Error::Hardware) => match raise(key, &input, &mut Zeroizing::new(vec![0; data.len()])) {
                Ok(()) => Err(Error::Hardware),
                Err(_) => Err(Error::Key),
            },
            answer => answer,
        }
    }
}

/// The private operation on a number below the modulus. The output is written only on success.
fn raise(key: &RsaPrivateKey<'_>, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
    let numbers = numbers(key)?;
    let field = Modulus::new(&numbers.modulus)?;
    let blinding = Blinding::new(&field, &numbers.modulus, &numbers.public_exponent)?;
    let mut blinded = Zeroizing::new(vec![0; input.len()]);
    field.multiply(&Number::from_bytes(input)?, &blinding.mask)?.write(&mut blinded)?;
    let mut result = Zeroizing::new(vec![0; input.len()]);
    PrivateKey::new(numbers)?.raise(&blinded, &mut result)?;
    field.multiply(&Number::from_bytes(&result)?, &blinding.inverse)?.write(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: &Number) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        number.write(&mut bytes).expect("a number below the modulus");
        bytes
    }

    #[test]
    fn blinding_cancels_and_differs() {
        let one = [vec![0; 127], vec![1]].concat();
        // The second modulus is a multiple of 3, 5 and 17, with which every other random number has a common factor.
        for modulus in [[&[0xff; 127][..], &[0x61]].concat(), vec![0xff; 128]] {
            let modulus = Number::from_bytes(&modulus).expect("a number");
            let exponent = Number::from_bytes(&[1, 0, 1]).expect("a number");
            let field = Modulus::new(&modulus).expect("a modulus");
            let mut masks = Vec::new();
            for _ in 0..8 {
                let blinding = Blinding::new(&field, &modulus, &exponent).expect("a blinding");
                let power = field.power(&blinding.inverse, &exponent, &modulus).expect("a power");
                assert_eq!(bytes(&field.multiply(&blinding.mask, &power).expect("a product")), one);
                let mask = bytes(&blinding.mask);
                assert!(mask[..8].iter().any(|byte| *byte != 0), "a short mask");
                assert!(!masks.contains(&mask));
                masks.push(mask);
            }
        }
    }
}
