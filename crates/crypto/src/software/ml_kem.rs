//! ML-KEM over `libcrux-ml-kem`, whose arithmetic is verified and which does not panic on malformed keys.

use crate::secret::{Secret, wipe};
use crate::{Error, MlKem, MlKemSet, Random, Software};
use libcrux_ml_kem::{MlKemPrivateKey, MlKemPublicKey};

/// The operations with one parameter set. They are not inlined, so that a caller's stack holds one set at a time.
macro_rules! parameter_set {
    ($module:ident, $set:expr) => {
        mod $module {
            use super::*;
            use libcrux_ml_kem::$module as library;

            const PRIVATE: usize = $set.private_size();
            const PUBLIC: usize = $set.public_size();
            const CIPHERTEXT: usize = $set.ciphertext_size();

            #[inline(never)]
            pub(super) fn generate(seed: &[u8; 64], private: &mut [u8]) -> Result<(), Error> {
                let private = <&mut [u8; PRIVATE]>::try_from(private).map_err(|_| Error::KeyLength)?;
                let (mut key, _) = library::generate_key_pair(*seed).into_parts();
                *private = *key.as_slice();
                wipe(&mut key[0..]);
                Ok(())
            }

            /// The encapsulation key, if it passes the check of FIPS 203, §7.2.
            fn checked_public(public: &[u8]) -> Result<MlKemPublicKey<PUBLIC>, Error> {
                let key = MlKemPublicKey::try_from(public).map_err(|_| Error::KeyLength)?;
                if library::validate_public_key(&key) { Ok(key) } else { Err(Error::Key) }
            }

            /// The decapsulation key, if it passes the check of FIPS 203, §7.3.
            fn checked_private(private: &[u8]) -> Result<PrivateKey<PRIVATE>, Error> {
                let key = PrivateKey(MlKemPrivateKey::try_from(private).map_err(|_| Error::KeyLength)?);
                if library::portable::validate_private_key_only(&key.0) { Ok(key) } else { Err(Error::Key) }
            }

            #[inline(never)]
            pub(super) fn check(key: &[u8]) -> Result<(), Error> {
                if key.len() == PUBLIC {
                    checked_public(key).map(drop)
                } else {
                    checked_private(key).map(drop)
                }
            }

            #[inline(never)]
            pub(super) fn encapsulate(
                public: &[u8],
                randomness: &[u8; 32],
                ciphertext: &mut [u8],
                secret: &mut [u8; 32],
            ) -> Result<(), Error> {
                let key = checked_public(public)?;
                let ciphertext =
                    <&mut [u8; CIPHERTEXT]>::try_from(ciphertext).map_err(|_| Error::OutputLength)?;
                let (made, shared) = library::encapsulate(&key, *randomness);
                *ciphertext = *made.as_slice();
                *secret = *Secret::new(shared);
                Ok(())
            }

            #[inline(never)]
            pub(super) fn decapsulate(
                private: &[u8],
                ciphertext: &[u8],
                secret: &mut [u8; 32],
            ) -> Result<(), Error> {
                let key = checked_private(private)?;
                let ciphertext = ciphertext.try_into().map_err(|_| Error::DataLength)?;
                *secret = *Secret::new(library::decapsulate(&key.0, &ciphertext));
                Ok(())
            }
        }
    };
}

/// A decapsulation key in the library's type, wiped when dropped.
struct PrivateKey<const N: usize>(MlKemPrivateKey<N>);

impl<const N: usize> Drop for PrivateKey<N> {
    fn drop(&mut self) {
        wipe(&mut self.0[0..]);
    }
}

#[cfg(feature = "ml-kem-512")]
parameter_set!(mlkem512, MlKemSet::MlKem512);
parameter_set!(mlkem768, MlKemSet::MlKem768);
#[cfg(feature = "ml-kem-1024")]
parameter_set!(mlkem1024, MlKemSet::MlKem1024);

/// Calls a function of a parameter set, if that is compiled.
macro_rules! for_set {
    ($set:expr, $function:ident($($argument:expr),*)) => {
        match $set {
            #[cfg(feature = "ml-kem-512")]
            MlKemSet::MlKem512 => mlkem512::$function($($argument),*),
            MlKemSet::MlKem768 => mlkem768::$function($($argument),*),
            #[cfg(feature = "ml-kem-1024")]
            MlKemSet::MlKem1024 => mlkem1024::$function($($argument),*),
            #[cfg(not(all(feature = "ml-kem-512", feature = "ml-kem-1024")))]
            _ => Err(Error::Unsupported),
        }
    };
}

impl<R: Random> MlKem for Software<R> {
    fn ml_kem_from_seed(&self, set: MlKemSet, seed: &[u8; 64], private: &mut [u8]) -> Result<(), Error> {
        for_set!(set, generate(seed, private))
    }

    fn ml_kem_check(&self, set: MlKemSet, key: &[u8]) -> Result<(), Error> {
        for_set!(set, check(key))
    }

    fn ml_kem_encapsulate(
        &self,
        set: MlKemSet,
        public: &[u8],
        ciphertext: &mut [u8],
        secret: &mut [u8; 32],
    ) -> Result<(), Error> {
        let mut randomness = Secret::<32>::zero();
        self.random.fill(randomness.as_mut_slice())?;
        for_set!(set, encapsulate(public, &randomness, ciphertext, secret))
    }

    fn ml_kem_decapsulate(
        &self,
        set: MlKemSet,
        private: &[u8],
        ciphertext: &[u8],
        secret: &mut [u8; 32],
    ) -> Result<(), Error> {
        for_set!(set, decapsulate(private, ciphertext, secret))
    }
}
