//! A whole driver, and the composition of drivers.

use crate::{
    AES_BLOCK, Aead, Cipher, CmacState, CtrState, Curve, Curve25519, Direction, Ed25519Mode, EllipticCurve,
    Error, Hash, HashAlgorithm, HashState, Mac, MlDsa, MlDsaMessage, MlDsaSet, MlKem, MlKemSet, Random, Rsa,
    RsaPrivateKey, RsaPublicKey,
};

/// Every operation family in one object. It is implemented by whatever implements the families, each of which may
/// be left empty (`impl Aead for Device {}`).
///
/// The trait does not ask for `Send` or `Sync`, which a core without threads has no use for; a host that shares a
/// driver between threads asks for `&(dyn Driver + Sync)`.
pub trait Driver:
    Random + Hash + Mac + Cipher + Aead + EllipticCurve + Curve25519 + Rsa + MlDsa + MlKem
{
}

impl<T> Driver for T where
    T: Random + Hash + Mac + Cipher + Aead + EllipticCurve + Curve25519 + Rsa + MlDsa + MlKem + ?Sized
{
}

/// Asks the first driver, and the second if the first answers [`Error::Unsupported`].
///
/// Every other answer of the first is final: a fault or a wrong tag is not retried elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prefer<A, B> {
    first: A,
    second: B,
}

impl<A, B> Prefer<A, B> {
    /// Puts `first` in front of `second`.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    /// The driver that is asked first.
    pub const fn first(&self) -> &A {
        &self.first
    }

    /// The driver that is asked when the first declines.
    pub const fn second(&self) -> &B {
        &self.second
    }
}

/// Writes the same method list twice: for references, which forward, and for [`Prefer`], which falls through.
macro_rules! families {
    ($($family:ident { $(fn $method:ident($($name:ident: $type:ty),*);)+ })+) => { $(
        impl<T: $family + ?Sized> $family for &T {
            $(fn $method(&self, $($name: $type),*) -> Result<(), Error> {
                (**self).$method($($name),*)
            })+
        }

        impl<A: $family, B: $family> $family for Prefer<A, B> {
            $(fn $method(&self, $($name: $type),*) -> Result<(), Error> {
                match self.first.$method($($name),*) {
                    Err(Error::Unsupported) => self.second.$method($($name),*),
                    answer => answer,
                }
            })+
        }
    )+ };
}

families! {
    Random {
        fn fill(output: &mut [u8]);
    }
    Hash {
        fn compress(state: &mut HashState, blocks: &[u8]);
        fn finish(state: &HashState, tail: &[u8], output: &mut [u8]);
        fn digest(algorithm: HashAlgorithm, parts: &[&[u8]], output: &mut [u8]);
    }
    Mac {
        fn cmac_update(key: &[u8], state: &mut CmacState, data: &[u8]);
        fn cmac_finish(key: &[u8], state: &CmacState, output: &mut [u8]);
        fn cmac(key: &[u8], parts: &[&[u8]], output: &mut [u8]);
        fn hmac(algorithm: HashAlgorithm, key: &[u8], parts: &[&[u8]], output: &mut [u8]);
    }
    Cipher {
        fn ecb(direction: Direction, key: &[u8], data: &mut [u8]);
        fn cbc(direction: Direction, key: &[u8], iv: &mut [u8; AES_BLOCK], data: &mut [u8]);
        fn ctr(key: &[u8], state: &mut CtrState, data: &mut [u8]);
    }
    Aead {
        fn gcm_seal(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]);
        fn gcm_open(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]);
        fn ccm_seal(key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]);
        fn ccm_open(key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]);
    }
    EllipticCurve {
        fn ec_generate(curve: Curve, private: &mut [u8], public: &mut [u8]);
        fn ec_public(curve: Curve, private: &[u8], public: &mut [u8]);
        fn ec_check(curve: Curve, public: &[u8]);
        fn ecdsa_sign(curve: Curve, private: &[u8], digest: &[u8], signature: &mut [u8]);
        fn ecdsa_verify(curve: Curve, public: &[u8], digest: &[u8], signature: &[u8]);
        fn ecdh(curve: Curve, private: &[u8], public: &[u8], secret: &mut [u8]);
    }
    Curve25519 {
        fn x25519_public(private: &[u8; 32], public: &mut [u8; 32]);
        fn x25519(private: &[u8; 32], public: &[u8; 32], secret: &mut [u8; 32]);
        fn ed25519_public(seed: &[u8; 32], public: &mut [u8; 32]);
        fn ed25519_sign(
            seed: &[u8; 32],
            public: &[u8; 32],
            mode: Ed25519Mode<'_>,
            message: &[u8],
            signature: &mut [u8; 64]
        );
        fn ed25519_verify(public: &[u8; 32], mode: Ed25519Mode<'_>, message: &[u8], signature: &[u8; 64]);
    }
    Rsa {
        fn rsa_generate(bits: usize, exponent: u32, primes: &mut [u8]);
        fn rsa_public(key: &RsaPublicKey<'_>, data: &mut [u8]);
        fn rsa_private(key: &RsaPrivateKey<'_>, data: &mut [u8]);
    }
    MlDsa {
        fn ml_dsa_from_seed(set: MlDsaSet, seed: &[u8; 32], private: &mut [u8], public: &mut [u8]);
        fn ml_dsa_public(set: MlDsaSet, private: &[u8], public: &mut [u8]);
        fn ml_dsa_sign(
            set: MlDsaSet,
            private: &[u8],
            message: MlDsaMessage<'_>,
            context: &[u8],
            signature: &mut [u8]
        );
        fn ml_dsa_verify(
            set: MlDsaSet,
            public: &[u8],
            message: MlDsaMessage<'_>,
            context: &[u8],
            signature: &[u8]
        );
    }
    MlKem {
        fn ml_kem_from_seed(set: MlKemSet, seed: &[u8; 64], private: &mut [u8]);
        fn ml_kem_check(set: MlKemSet, key: &[u8]);
        fn ml_kem_encapsulate(set: MlKemSet, public: &[u8], ciphertext: &mut [u8], secret: &mut [u8; 32]);
        fn ml_kem_decapsulate(set: MlKemSet, private: &[u8], ciphertext: &[u8], secret: &mut [u8; 32]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::driver;
    use crate::{Software, cmac, hash, hkdf};
    use core::cell::Cell;

    /// Implements nothing, and so declines everything.
    struct Nothing;
    impl Random for Nothing {}
    impl Hash for Nothing {}
    impl Mac for Nothing {}
    impl Cipher for Nothing {}
    impl Aead for Nothing {}
    impl EllipticCurve for Nothing {}
    impl Curve25519 for Nothing {}
    impl Rsa for Nothing {}
    impl MlDsa for Nothing {}
    impl MlKem for Nothing {}

    /// AES-128 in ECB only, recognizable by its wrong result, and a broken CBC.
    #[derive(Default)]
    struct Engine {
        calls: Cell<u32>,
    }

    impl Random for Engine {
        fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
            output.fill(0x42);
            Ok(())
        }
    }
    impl Hash for Engine {
        fn digest(&self, algorithm: HashAlgorithm, _: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
            if algorithm != HashAlgorithm::Sha1 {
                return Err(Error::Unsupported);
            }
            output.fill(0x11);
            Ok(())
        }
    }
    impl Mac for Engine {
        fn cmac(&self, key: &[u8], _: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
            if key.len() != 16 {
                return Err(Error::Unsupported);
            }
            output.fill(0x22);
            Ok(())
        }
    }
    impl Cipher for Engine {
        fn ecb(&self, _: Direction, key: &[u8], data: &mut [u8]) -> Result<(), Error> {
            self.calls.set(self.calls.get() + 1);
            if key.len() != 16 {
                return Err(Error::Unsupported);
            }
            data.fill(0xee);
            Ok(())
        }

        fn cbc(&self, _: Direction, _: &[u8], _: &mut [u8; AES_BLOCK], _: &mut [u8]) -> Result<(), Error> {
            Err(Error::Hardware)
        }
    }
    impl Aead for Engine {}
    impl EllipticCurve for Engine {}
    impl Curve25519 for Engine {}
    impl Rsa for Engine {}
    impl MlDsa for Engine {}
    impl MlKem for Engine {}

    #[test]
    fn nothing_declines_everything_and_touches_nothing() {
        let nothing: &dyn Driver = &Nothing;
        let mut data = [7; 16];
        let mut tag = [8; 16];
        let mut iv = [9; 16];
        let mut ctr = CtrState { counter: [1; 16], keystream: [2; 16], unused: 3 };
        let mut cmac_state = CmacState { pending: [4; 16], chain: [5; 16], pending_length: 6, absorbed: 7 };
        let mut state = HashState::new(HashAlgorithm::Sha256);
        let before = (ctr.clone(), cmac_state.clone(), state.clone());
        let answers = [
            nothing.fill(&mut data),
            nothing.compress(&mut state, &[0; 64]),
            nothing.finish(&state, &[], &mut data),
            nothing.digest(HashAlgorithm::Sha256, &[], &mut data),
            nothing.cmac_update(&[0; 16], &mut cmac_state, b"data"),
            nothing.cmac_finish(&[0; 16], &cmac_state, &mut tag),
            nothing.cmac(&[0; 16], &[b"data"], &mut tag),
            nothing.hmac(HashAlgorithm::Sha256, &[0; 16], &[b"data"], &mut tag),
            nothing.ecb(Direction::Encrypt, &[0; 16], &mut data),
            nothing.cbc(Direction::Encrypt, &[0; 16], &mut iv, &mut data),
            nothing.ctr(&[0; 16], &mut ctr, &mut data),
            nothing.gcm_seal(&[0; 16], &[0; 12], &[], &mut data, &mut tag),
            nothing.gcm_open(&[0; 16], &[0; 12], &[], &mut data, &[0; 16]),
            nothing.ccm_seal(&[0; 16], &[0; 12], &[], &mut data, &mut tag),
            nothing.ccm_open(&[0; 16], &[0; 12], &[], &mut data, &[0; 16]),
            hash(nothing, HashAlgorithm::Sha256, &[b"data"], &mut data),
            cmac(nothing, &[0; 16], &[b"data"], &mut tag),
            hkdf(nothing, HashAlgorithm::Sha256, b"", b"", b"", &mut data),
        ];
        assert_eq!(answers, [Err(Error::Unsupported); 18]);
        assert_eq!((data, tag, iv), ([7; 16], [8; 16], [9; 16]));
        assert_eq!((ctr, cmac_state, state), before);
    }

    #[test]
    fn falls_through_to_the_second() {
        let software = driver();
        let both = Prefer::new(Nothing, &software);
        let mut alone = [7; 48];
        let mut composed = [7; 48];
        let (mut tag_alone, mut tag_composed) = ([0; 16], [0; 16]);
        software.gcm_seal(&[1; 16], &[2; 12], b"a", &mut alone, &mut tag_alone).unwrap();
        both.gcm_seal(&[1; 16], &[2; 12], b"a", &mut composed, &mut tag_composed).unwrap();
        assert_eq!((alone, tag_alone), (composed, tag_composed));
        both.gcm_open(&[1; 16], &[2; 12], b"a", &mut composed, &tag_composed).unwrap();
        assert_eq!(composed, [7; 48]);

        let mut first = CtrState::new([3; 16]);
        let mut second = first.clone();
        software.ctr(&[1; 24], &mut first, &mut alone).unwrap();
        both.ctr(&[1; 24], &mut second, &mut alone).unwrap();
        assert_eq!(first, second);
    }

    #[test]
    fn the_first_is_preferred() {
        let driver = Prefer::new(Engine::default(), Prefer::new(Nothing, driver()));
        let mut data = [0; 16];
        driver.ecb(Direction::Encrypt, &[0; 16], &mut data).unwrap();
        assert_eq!(data, [0xee; 16]);
        // AES-256 falls through; FIPS 197, C.3.
        let key: std::vec::Vec<u8> = (0..32).collect();
        let mut data = hex::decode("00112233445566778899aabbccddeeff").unwrap();
        driver.ecb(Direction::Encrypt, &key, &mut data).unwrap();
        assert_eq!(hex::encode(&data), "8ea2b7ca516745bfeafc49904b496089");
        assert_eq!(driver.first().calls.get(), 2);

        // One-shot methods of a device without exportable state.
        let mut digest = [0; 20];
        hash(&driver, HashAlgorithm::Sha1, &[b"abc"], &mut digest).unwrap();
        assert_eq!(digest, [0x11; 20]);
        let mut digest = [0; 32];
        hash(&driver, HashAlgorithm::Sha256, &[b"a", b"", b"bc"], &mut digest).unwrap();
        assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
        let mut tag = [0; 16];
        cmac(&driver, &[0; 16], &[b"abc"], &mut tag).unwrap();
        assert_eq!(tag, [0x22; 16]);
        cmac(&driver, &[0; 32], &[b"abc"], &mut tag).unwrap();
        assert_ne!(tag, [0x22; 16]);
    }

    #[test]
    fn other_errors_are_final() {
        let driver = Prefer::new(Engine::default(), driver());
        let mut data = [0; 16];
        let answer = driver.cbc(Direction::Encrypt, &[0; 16], &mut [0; 16], &mut data);
        assert_eq!(answer, Err(Error::Hardware));
    }

    #[test]
    fn random_comes_from_the_first_that_has_it() {
        let mut data = [0; 4];
        Prefer::new(Nothing, Software::new(Engine::default())).fill(&mut data).unwrap();
        assert_eq!(data, [0x42; 4]);
    }

    /// A driver is shared as freely as its source of random numbers.
    #[test]
    fn drivers_can_cross_threads() {
        fn shared<T: Driver + Send + Sync>() {}
        struct Source;
        impl Random for Source {}
        shared::<Prefer<Software<Source>, Software<Source>>>();
        let _: &(dyn Driver + Sync) = &Software::new(Source);
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_generator_behind_a_mutex_can_cross_threads() {
        fn shared<T: Driver + Send + Sync>() {}
        struct Noise;
        impl crate::Entropy for Noise {
            fn fill(&mut self, _: &mut [u8]) -> Result<(), Error> {
                Err(Error::Entropy)
            }
        }
        shared::<Software<std::sync::Mutex<crate::Drbg<Noise>>>>();
    }
}
