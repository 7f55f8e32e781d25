//! Raw RSA.

use crate::ffi::number::Number;
use crate::ffi::rsa::{self, PrivateKey, PrivateNumbers, PublicKey};
use crate::{AwsLc, PreparedKeys};
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

/// Whether a private operation on a number below the modulus is one that the library refuses: on 0, 1 or n - 1.
fn is_trivial(number: &[u8], modulus: &[u8]) -> bool {
    let (Some((low, high)), Some((modulus_low, modulus_high))) = (number.split_last(), modulus.split_last())
    else {
        return true;
    };
    // The modulus is odd.
    high.iter().all(|byte| *byte == 0) && *low <= 1 || high == modulus_high && *low == modulus_low ^ 1
}

/// The numbers of a key, if the library can compute with them as they are. If not, the next driver may, or it says what is
/// wrong with them.
pub(crate) fn numbers(key: &RsaPrivateKey<'_>) -> Result<PrivateNumbers, Error> {
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

fn public_key(key: &RsaPublicKey<'_>) -> Result<PublicKey, Error> {
    PublicKey::new(Number::from_bytes(key.modulus)?, Number::from_bytes(key.exponent)?)
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
        public_key(key)?.raise(&input, data)
    }

    fn rsa_private(&self, key: &RsaPrivateKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        check_public(&key.public)?;
        if data.len() != key.public.modulus.len() {
            return Err(Error::DataLength);
        }
        let input = reduced(data, key.public.modulus)?;
        if is_trivial(&input, key.public.modulus) {
            return Err(Error::Unsupported);
        }
        let mut output = Zeroizing::new(vec![0; data.len()]);
        if PrivateKey::new(numbers(key)?)?.raise(&input, &mut output).is_ok() {
            data.copy_from_slice(&output);
            return Ok(());
        }
        // A key whose parts do not fit together fails again; a passing fault does not.
        match PrivateKey::new(numbers(key)?)?.raise(&input, &mut output) {
            Ok(()) => Err(Error::Hardware),
            Err(_) => Err(Error::Key),
        }
    }
}

impl Rsa for PreparedKeys {
    fn rsa_public(&self, key: &RsaPublicKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        // Whatever is wrong, the next driver says so.
        check_public(key).map_err(|_| Error::Unsupported)?;
        if data.len() != key.modulus.len() || significant(key.exponent).len() > MAX_EXPONENT {
            return Err(Error::Unsupported);
        }
        let input = reduced(data, key.modulus)?;
        self.public(key, || public_key(key))?.raise(&input, data)
    }

    fn rsa_private(&self, key: &RsaPrivateKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        // Whatever is wrong, the next driver says so.
        let refused = |_| Error::Unsupported;
        check_public(&key.public).map_err(refused)?;
        if data.len() != key.public.modulus.len() {
            return Err(Error::Unsupported);
        }
        let input = reduced(data, key.public.modulus)?;
        if is_trivial(&input, key.public.modulus) {
            return Err(Error::Unsupported);
        }
        let prepared = self.private(key, || PrivateKey::new(numbers(key)?))?;
        let mut output = Zeroizing::new(vec![0; data.len()]);
        prepared.raise(&input, &mut output).map_err(refused)?;
        data.copy_from_slice(&output);
        Ok(())
    }
}
