//! The family of RSA: the raw operations and key generation. Paddings are in [`rsa_padding`](crate::rsa_padding).

use crate::Error;

/// Smallest modulus in bits.
pub const RSA_MIN_BITS: usize = 1024;
/// Largest modulus in bits.
pub const RSA_MAX_BITS: usize = 4096;
/// Largest modulus in bytes.
pub const RSA_MAX_BYTES: usize = RSA_MAX_BITS / 8;

/// An RSA public key: big-endian numbers without leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaPublicKey<'a> {
    /// n, odd.
    pub modulus: &'a [u8],
    /// e, odd, above 1 and below n.
    pub exponent: &'a [u8],
}

impl RsaPublicKey<'_> {
    /// Size of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        let first = self.modulus.first().map_or(0, |octet| octet.leading_zeros());
        self.modulus.len().saturating_mul(8).saturating_sub(usize::try_from(first).unwrap_or_default())
    }
}

/// An RSA private key of two primes (RFC 8017 §3.2): big-endian numbers, leading zeros allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RsaPrivateKey<'a> {
    /// n and e.
    pub public: RsaPublicKey<'a>,
    /// d.
    pub exponent: &'a [u8],
    /// p.
    pub prime_p: &'a [u8],
    /// q.
    pub prime_q: &'a [u8],
    /// d mod (p - 1).
    pub exponent_p: &'a [u8],
    /// d mod (q - 1).
    pub exponent_q: &'a [u8],
    /// The inverse of q modulo p.
    pub coefficient: &'a [u8],
}

impl core::fmt::Debug for RsaPrivateKey<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RsaPrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Raw RSA.
pub trait Rsa {
    /// Generates two primes for a modulus of exactly `bits` bits (FIPS 186-5 A.1): `primes` receives p ‖ q, each of
    /// `bits / 16` bytes, p > q, with p - 1 and q - 1 coprime to `exponent`. All else follows from them.
    ///
    /// # Errors
    /// [`Error::KeyLength`] if `bits` is no multiple of 16 in [`RSA_MIN_BITS`]..=[`RSA_MAX_BITS`] or `primes` has
    /// another size; [`Error::Key`] if `exponent` is even or below 3; [`Error::Entropy`].
    fn rsa_generate(&self, bits: usize, exponent: u32, primes: &mut [u8]) -> Result<(), Error> {
        let _ = (bits, exponent, primes);
        Err(Error::Unsupported)
    }

    /// Raises `data`, as long as the modulus, to the public exponent, in place. A number not below the modulus is
    /// reduced first.
    ///
    /// # Errors
    /// [`Error::KeyLength`] for a modulus of an unsupported size; [`Error::Key`] for an even modulus or an exponent
    /// that is even or below 3; [`Error::DataLength`].
    fn rsa_public(&self, key: &RsaPublicKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        let _ = (key, data);
        Err(Error::Unsupported)
    }

    /// Raises `data`, as long as the modulus, to the private exponent, in place. A number not below the modulus is
    /// reduced first. The computation is blinded, takes a time that does not depend on the key's bits, and its
    /// result is checked with the public key before it is released.
    ///
    /// # Errors
    /// As [`rsa_public`](Self::rsa_public); [`Error::Key`] if the numbers of the key contradict each other, which can
    /// show as a result that fails the check every time; [`Error::Hardware`] if the result fails it once;
    /// [`Error::Entropy`].
    fn rsa_private(&self, key: &RsaPrivateKey<'_>, data: &mut [u8]) -> Result<(), Error> {
        let _ = (key, data);
        Err(Error::Unsupported)
    }
}

/// The bytes without leading zeros; of secret numbers, this tells the length.
pub(crate) fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// Checks what can be seen of a public key without arithmetic (RFC 8017, §3.1).
pub(crate) fn check_public(key: &RsaPublicKey<'_>) -> Result<(), Error> {
    let (modulus, exponent) = (key.modulus, significant(key.exponent));
    let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = modulus.len().saturating_mul(8).saturating_sub(unused);
    if modulus.len() > RSA_MAX_BYTES || bits < RSA_MIN_BITS {
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
