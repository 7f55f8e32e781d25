//! ML-KEM over `libcrux-ml-kem`, whose arithmetic is verified and which does not panic on malformed keys.

use crate::secret::{Secret, wipe};
use crate::{Error, MlKem, MlKemSet, Random, Software};
use libcrux_ml_kem::{MlKemPrivateKey, MlKemPublicKey};

/// The operations with one parameter set. They are not inlined, so that a caller's stack holds one set at a time.
macro_rules! parameter_set {
    ($module:ident, $set:expr, $public:ident, $pair:ident) => {
        mod $module {
            use super::*;
            use libcrux_ml_kem::$module as library;

            const PRIVATE: usize = $set.private_size();
            const PUBLIC: usize = $set.public_size();
            const CIPHERTEXT: usize = $set.ciphertext_size();

            #[inline(never)]
            pub(super) fn generate(seed: &[u8; 64], private: &mut [u8]) -> Result<(), Error> {
                let private = <&mut [u8; PRIVATE]>::try_from(private).map_err(|_| Error::KeyLength)?;
                operation::generate(seed, private);
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

            #[cfg(feature = "std")]
            use at_once as operation;
            #[cfg(not(feature = "std"))]
            use in_steps as operation;
            pub(super) use operation::{decapsulate, encapsulate};

            /// The library's functions for serialized keys, in the fastest form that the processor has.
            #[cfg(any(test, feature = "std"))]
            mod at_once {
                use super::*;

                pub(super) fn generate(seed: &[u8; 64], private: &mut [u8; PRIVATE]) {
                    let (mut key, _) = library::generate_key_pair(*seed).into_parts();
                    *private = *key.as_slice();
                    wipe(&mut key[0..]);
                }

                #[inline(never)]
                pub(in crate::software::ml_kem) fn encapsulate(
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
                pub(in crate::software::ml_kem) fn decapsulate(
                    private: &[u8],
                    ciphertext: &[u8],
                    secret: &mut [u8; 32],
                ) -> Result<(), Error> {
                    let key = checked_private(private)?;
                    let ciphertext =
                        <&[u8; CIPHERTEXT]>::try_from(ciphertext).map_err(|_| Error::DataLength)?;
                    *secret = *Secret::new(library::decapsulate(&key.0, &ciphertext.into()));
                    Ok(())
                }
            }

            /// The same with 8 to 10 KB less stack, of the library's portable functions for unpacked keys: they unpack and
            /// compute one after the other, while the frame of the functions for serialized keys has room for both.
            #[cfg(any(test, not(feature = "std")))]
            mod in_steps {
                use super::*;
                use library::portable::unpacked;

                type PublicKey = unpacked::$public;
                type KeyPair = unpacked::$pair;

                // Puts one together twice, elsewhere than in the frame that holds it for long.
                #[inline(never)]
                fn empty_pair() -> KeyPair {
                    unpacked::init_key_pair()
                }

                pub(super) fn generate(seed: &[u8; 64], private: &mut [u8; PRIVATE]) {
                    let mut pair = empty_pair();
                    expand(seed, &mut pair);
                    pack(&pair, private);
                    overwrite(&mut pair);
                }

                /// The library's type can neither be wiped nor seen as bytes.
                fn overwrite(pair: &mut KeyPair) {
                    *pair = empty_pair();
                    core::hint::black_box(pair);
                }

                #[inline(never)]
                fn expand(seed: &[u8; 64], pair: &mut KeyPair) {
                    unpacked::generate_key_pair_mut(*seed, pair);
                }

                #[inline(never)]
                fn pack(pair: &KeyPair, private: &mut [u8; PRIVATE]) {
                    let mut key = PrivateKey(MlKemPrivateKey::default());
                    unpacked::key_pair_serialized_private_key_mut(pair, &mut key.0);
                    *private = *key.0.as_slice();
                }

                #[inline(never)]
                pub(in crate::software::ml_kem) fn encapsulate(
                    public: &[u8],
                    randomness: &[u8; 32],
                    ciphertext: &mut [u8],
                    secret: &mut [u8; 32],
                ) -> Result<(), Error> {
                    let mut key = unpacked::init_public_key();
                    unpack_public(public, &mut key)?;
                    let ciphertext =
                        <&mut [u8; CIPHERTEXT]>::try_from(ciphertext).map_err(|_| Error::OutputLength)?;
                    encapsulate_to(&key, randomness, ciphertext, secret);
                    Ok(())
                }

                #[inline(never)]
                fn unpack_public(public: &[u8], key: &mut PublicKey) -> Result<(), Error> {
                    unpacked::unpacked_public_key(&checked_public(public)?, key);
                    Ok(())
                }

                #[inline(never)]
                fn encapsulate_to(
                    key: &PublicKey,
                    randomness: &[u8; 32],
                    ciphertext: &mut [u8; CIPHERTEXT],
                    secret: &mut [u8; 32],
                ) {
                    let (made, shared) = unpacked::encapsulate(key, *randomness);
                    *ciphertext = *made.as_slice();
                    *secret = *Secret::new(shared);
                }

                #[inline(never)]
                pub(in crate::software::ml_kem) fn decapsulate(
                    private: &[u8],
                    ciphertext: &[u8],
                    secret: &mut [u8; 32],
                ) -> Result<(), Error> {
                    let private = <&[u8; PRIVATE]>::try_from(private).map_err(|_| Error::KeyLength)?;
                    check(private)?;
                    let ciphertext =
                        <&[u8; CIPHERTEXT]>::try_from(ciphertext).map_err(|_| Error::DataLength)?;
                    let mut pair = empty_pair();
                    unpack_private(private, &mut pair);
                    decapsulate_with(&pair, ciphertext, secret);
                    overwrite(&mut pair);
                    Ok(())
                }

                #[inline(never)]
                fn unpack_private(private: &[u8; PRIVATE], pair: &mut KeyPair) {
                    unpacked::key_pair_from_private_mut(&PrivateKey(private.into()).0, pair);
                }

                #[inline(never)]
                fn decapsulate_with(pair: &KeyPair, ciphertext: &[u8; CIPHERTEXT], secret: &mut [u8; 32]) {
                    *secret = *Secret::new(unpacked::decapsulate(pair, &ciphertext.into()));
                }
            }

            #[test]
            fn both_ways_agree() {
                for number in 0..20 {
                    let (mut keys, mut ciphertexts) = ([[0; PRIVATE]; 2], [[0; CIPHERTEXT]; 2]);
                    let (seed, randomness) = ([number; 64], [number ^ 0x55; 32]);
                    at_once::generate(&seed, &mut keys[0]);
                    in_steps::generate(&seed, &mut keys[1]);
                    assert_eq!(keys[0], keys[1]);

                    let key = &mut keys[0];
                    let mut public = [0; PUBLIC];
                    public.copy_from_slice(&key[PRIVATE - 64 - PUBLIC..PRIVATE - 64]);
                    let mut shared = [[0; 32]; 3];
                    at_once::encapsulate(&public, &randomness, &mut ciphertexts[0], &mut shared[0]).unwrap();
                    in_steps::encapsulate(&public, &randomness, &mut ciphertexts[1], &mut shared[1]).unwrap();
                    assert_eq!((ciphertexts[0], shared[0]), (ciphertexts[1], shared[1]));
                    in_steps::decapsulate(key, &ciphertexts[0], &mut shared[2]).unwrap();
                    assert_eq!(shared[2], shared[0]);

                    // The key is looked at before the room for the ciphertext.
                    for (public, expected) in
                        [(&public[..], Error::OutputLength), (&public[1..], Error::KeyLength)]
                    {
                        let answers = [at_once::encapsulate, in_steps::encapsulate]
                            .map(|work| work(public, &randomness, &mut [0; CIPHERTEXT - 1], &mut [0; 32]));
                        assert_eq!(answers, [Err(expected); 2]);
                    }
                    for (key, expected) in [(&key[..], Error::DataLength), (&key[1..], Error::KeyLength)] {
                        let answers = [at_once::decapsulate, in_steps::decapsulate]
                            .map(|work| work(key, &[0; CIPHERTEXT - 1], &mut [0; 32]));
                        assert_eq!(answers, [Err(expected); 2]);
                    }

                    // Implicit rejection.
                    ciphertexts[0][usize::from(number) * 30] ^= 1;
                    at_once::decapsulate(key, &ciphertexts[0], &mut shared[0]).unwrap();
                    in_steps::decapsulate(key, &ciphertexts[0], &mut shared[1]).unwrap();
                    assert_eq!(shared[0], shared[1]);
                    assert_ne!(shared[1], shared[2]);

                    // A coefficient that is not reduced, a hash that is not that of the key, and lengths.
                    public[0] = 0xff;
                    public[1] |= 0x0f;
                    key[PRIVATE - 40] ^= 1;
                    for (public, expected) in [(&public[..], Error::Key), (&public[1..], Error::KeyLength)] {
                        let [first, second] = &mut ciphertexts;
                        assert_eq!(
                            at_once::encapsulate(public, &randomness, first, &mut shared[0]),
                            Err(expected)
                        );
                        assert_eq!(
                            in_steps::encapsulate(public, &randomness, second, &mut shared[1]),
                            Err(expected)
                        );
                    }
                    for (key, expected) in [(&key[..], Error::Key), (&public[..], Error::KeyLength)] {
                        assert_eq!(at_once::decapsulate(key, &ciphertexts[0], &mut shared[0]), Err(expected));
                        assert_eq!(
                            in_steps::decapsulate(key, &ciphertexts[0], &mut shared[1]),
                            Err(expected)
                        );
                    }
                }
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
parameter_set!(mlkem512, MlKemSet::MlKem512, MlKem512PublicKeyUnpacked, MlKem512KeyPairUnpacked);
parameter_set!(mlkem768, MlKemSet::MlKem768, MlKem768PublicKeyUnpacked, MlKem768KeyPairUnpacked);
#[cfg(feature = "ml-kem-1024")]
parameter_set!(mlkem1024, MlKemSet::MlKem1024, MlKem1024PublicKeyUnpacked, MlKem1024KeyPairUnpacked);

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
