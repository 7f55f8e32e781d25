//! ML-DSA over `libcrux-ml-dsa`, whose arithmetic is verified and which does not panic on malformed keys.
//!
//! The library takes and returns keys and signatures by value, so each operation holds one copy of what it is given
//! and of what it makes; copies of secrets that are ours are wiped.

#[cfg(feature = "ml-dsa-signing")]
mod range;

#[cfg(feature = "ml-dsa-signing")]
use crate::secret::{Secret, wipe};
use crate::{Error, HashAlgorithm, MlDsa, MlDsaMessage, MlDsaSet, Random, Software};
#[cfg(feature = "ml-dsa-signing")]
use libcrux_ml_dsa::MLDSASigningKey;
use libcrux_ml_dsa::{MLDSASignature, MLDSAVerificationKey};

/// Longest context string in bytes.
const MAX_CONTEXT: usize = 255;

/// Longest formatted message of HashML-DSA: two bytes, the context, an object identifier, a digest.
const MAX_FORMATTED: usize = 2 + MAX_CONTEXT + 11 + 64;

/// The DER object identifier of a hash function but for its last byte: 2.16.840.1.101.3.4.2.
const HASH_IDENTIFIER: [u8; 10] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// A message of HashML-DSA as the internal functions sign it: 1 ‖ context length ‖ context ‖ identifier ‖ digest
/// (FIPS 204, algorithms 4 and 5).
struct Formatted {
    bytes: [u8; MAX_FORMATTED],
    length: usize,
}

impl Formatted {
    fn new(algorithm: HashAlgorithm, digest: &[u8], context: &[u8]) -> Result<Self, Error> {
        let (identifier, size) = match algorithm {
            HashAlgorithm::Md5 | HashAlgorithm::Sha1 => return Err(Error::DataLength),
            HashAlgorithm::Sha256 => (1, 32),
            HashAlgorithm::Sha384 => (2, 48),
            HashAlgorithm::Sha512 => (3, 64),
            HashAlgorithm::Sha224 => (4, 28),
            HashAlgorithm::Sha512_224 => (5, 28),
            HashAlgorithm::Sha512_256 => (6, 32),
            HashAlgorithm::Sha3_224 => (7, 28),
            HashAlgorithm::Sha3_256 => (8, 32),
            HashAlgorithm::Sha3_384 => (9, 48),
            HashAlgorithm::Sha3_512 => (10, 64),
            HashAlgorithm::Shake128 => (11, 32),
            HashAlgorithm::Shake256 => (12, 64),
        };
        if digest.len() != size {
            return Err(Error::DataLength);
        }
        let context_length = u8::try_from(context.len()).map_err(|_| Error::DataLength)?;
        let parts = [&[1, context_length][..], context, &HASH_IDENTIFIER, &[identifier], digest];
        let mut bytes = [0; MAX_FORMATTED];
        let mut length = 0_usize;
        for (target, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *target = *byte;
            length = length.saturating_add(1);
        }
        Ok(Self { bytes, length })
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// A private key in the library's type, wiped when dropped.
#[cfg(feature = "ml-dsa-signing")]
struct SigningKey<const N: usize>(MLDSASigningKey<N>);

#[cfg(feature = "ml-dsa-signing")]
impl<const N: usize> Drop for SigningKey<N> {
    fn drop(&mut self) {
        wipe(self.0.as_mut_slice());
    }
}

/// The operations with one parameter set. They are not inlined, so that a caller's stack holds one set at a time.
macro_rules! parameter_set {
    ($module:ident, $set:expr) => {
        mod $module {
            use super::*;
            use libcrux_ml_dsa::$module as library;

            #[cfg(feature = "ml-dsa-signing")]
            const PRIVATE: usize = $set.private_size();
            const PUBLIC: usize = $set.public_size();
            const SIGNATURE: usize = $set.signature_size();

            #[cfg(feature = "ml-dsa-signing")]
            #[inline(never)]
            pub(super) fn generate(
                seed: &[u8; 32],
                private: &mut [u8],
                public: &mut [u8],
            ) -> Result<(), Error> {
                let private = <&mut [u8; PRIVATE]>::try_from(private).map_err(|_| Error::KeyLength)?;
                let public = <&mut [u8; PUBLIC]>::try_from(public).map_err(|_| Error::KeyLength)?;
                let mut pair = library::generate_key_pair(*seed);
                *private = *pair.signing_key.as_ref();
                *public = *pair.verification_key.as_ref();
                wipe(pair.signing_key.as_mut_slice());
                Ok(())
            }

            #[cfg(feature = "ml-dsa-signing")]
            #[inline(never)]
            pub(super) fn sign(
                private: &[u8],
                message: MlDsaMessage<'_>,
                context: &[u8],
                randomness: &[u8; 32],
                signature: &mut [u8],
            ) -> Result<(), Error> {
                let private = private.try_into().map_err(|_| Error::KeyLength)?;
                let signature =
                    <&mut [u8; SIGNATURE]>::try_from(signature).map_err(|_| Error::OutputLength)?;
                let key = SigningKey::<PRIVATE>(MLDSASigningKey::new(private));
                let result = match message {
                    MlDsaMessage::Pure(message) => library::sign(&key.0, message, context, *randomness),
                    MlDsaMessage::Digest(algorithm, digest) => {
                        let message = Formatted::new(algorithm, digest, context)?;
                        library::sign_internal(&key.0, message.as_slice(), *randomness)
                    }
                };
                // The library gives up after 814 attempts, which happens to no honest key.
                *signature = *result.map_err(|_| Error::Key)?.as_ref();
                Ok(())
            }

            #[inline(never)]
            pub(super) fn verify(
                public: &[u8],
                message: MlDsaMessage<'_>,
                context: &[u8],
                signature: &[u8],
            ) -> Result<(), Error> {
                let public = public.try_into().map_err(|_| Error::KeyLength)?;
                let signature = signature.try_into().map_err(|_| Error::DataLength)?;
                let key = MLDSAVerificationKey::<PUBLIC>::new(public);
                let signature = MLDSASignature::<SIGNATURE>::new(signature);
                let result = match message {
                    MlDsaMessage::Pure(message) => library::verify(&key, message, context, &signature),
                    MlDsaMessage::Digest(algorithm, digest) => {
                        let message = Formatted::new(algorithm, digest, context)?;
                        library::verify_internal(&key, message.as_slice(), &signature)
                    }
                };
                result.map_err(|_| Error::Authentication)
            }
        }
    };
}

#[cfg(feature = "ml-dsa-44")]
parameter_set!(ml_dsa_44, MlDsaSet::MlDsa44);
parameter_set!(ml_dsa_65, MlDsaSet::MlDsa65);
#[cfg(feature = "ml-dsa-87")]
parameter_set!(ml_dsa_87, MlDsaSet::MlDsa87);

/// Calls a function of a parameter set, if that is compiled.
macro_rules! for_set {
    ($set:expr, $function:ident($($argument:expr),*)) => {
        match $set {
            #[cfg(feature = "ml-dsa-44")]
            MlDsaSet::MlDsa44 => ml_dsa_44::$function($($argument),*),
            MlDsaSet::MlDsa65 => ml_dsa_65::$function($($argument),*),
            #[cfg(feature = "ml-dsa-87")]
            MlDsaSet::MlDsa87 => ml_dsa_87::$function($($argument),*),
            #[cfg(not(all(feature = "ml-dsa-44", feature = "ml-dsa-87")))]
            _ => Err(Error::Unsupported),
        }
    };
}

fn check_context(context: &[u8]) -> Result<(), Error> {
    if context.len() <= MAX_CONTEXT { Ok(()) } else { Err(Error::DataLength) }
}

impl<R: Random> MlDsa for Software<R> {
    #[cfg(feature = "ml-dsa-signing")]
    fn ml_dsa_from_seed(
        &self,
        set: MlDsaSet,
        seed: &[u8; 32],
        private: &mut [u8],
        public: &mut [u8],
    ) -> Result<(), Error> {
        for_set!(set, generate(seed, private, public))
    }

    #[cfg(feature = "ml-dsa-signing")]
    fn ml_dsa_sign(
        &self,
        set: MlDsaSet,
        private: &[u8],
        message: MlDsaMessage<'_>,
        context: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        range::check(set, private)?;
        check_context(context)?;
        let mut randomness = Secret::<32>::zero();
        self.random.fill(randomness.as_mut_slice())?;
        for_set!(set, sign(private, message, context, &randomness, signature))
    }

    fn ml_dsa_verify(
        &self,
        set: MlDsaSet,
        public: &[u8],
        message: MlDsaMessage<'_>,
        context: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        check_context(context)?;
        for_set!(set, verify(public, message, context, signature))
    }
}
