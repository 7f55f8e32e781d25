//! A [rustls](https://docs.rs/rustls) [`CryptoProvider`] over the driver seam of `casemate-crypto`: TLS 1.3 and 1.2 with
//! whatever driver a port has, from a microcontroller's engines to a host library. Needs `alloc`, and nothing of an
//! operating system.
//!
//! | | |
//! |---|---|
//! | cipher suites | AES-128-GCM with SHA-256 and AES-256-GCM with SHA-384, in TLS 1.3 and, with ECDHE, in TLS 1.2 |
//! | key exchange | X25519, P-256, P-384 (feature `p384`) |
//! | signatures | ECDSA on P-256, P-384 (`p384`), P-521 (`p521`); Ed25519; RSA (PKCS#1 v1.5 and PSS) from 1024 bits on (`rsa`) |
//!
//! ChaCha20-Poly1305 is not there: the driver seam has no such family.
//!
//! rustls keeps references to algorithms for the whole program. So a provider is made for a type that says where the
//! driver is:
//!
//! ```
//! use casemate_crypto::{Error, Random, Software};
//! use casemate_rustls::{DriverSource, provider};
//!
//! #[derive(Debug)]
//! struct Noise;
//! impl Random for Noise {
//!     fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
//!         output.fill(4); // A port reads its generator here.
//!         Ok(())
//!     }
//! }
//!
//! #[derive(Debug)]
//! struct Port;
//! impl DriverSource for Port {
//!     type Driver = Software<Noise>;
//!     fn driver() -> &'static Self::Driver {
//!         static DRIVER: Software<Noise> = Software::new(Noise);
//!         &DRIVER
//!     }
//! }
//!
//! assert_eq!(provider::<Port>().kx_groups.len(), 3);
//! ```
//!
//! # Keys of a server
//!
//! With the feature `hsm`, which needs the standard library, `HsmKey` is a rustls signing key whose private half stays in a
//! server's key store: see `examples/https.rs`. Without the standard library, [`RemoteKey`] is one whose private half is wherever
//! a [`RemoteSigner`] reaches it.
//!
//! # When a driver fails
//!
//! Some of rustls's interfaces cannot report a failure: hashing, HMAC and HKDF. If a driver fails there, the result is all
//! zeros, which no peer computes, so the handshake fails. The software driver does not fail there.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap
    )
)]

extern crate alloc;
#[cfg(feature = "hsm")]
extern crate std;

mod aead;
mod hash;
#[cfg(feature = "hsm")]
mod hsm;
mod kx;
mod remote;
mod sign;
mod verify;

#[cfg(feature = "hsm")]
pub use hsm::HsmKey;
pub use remote::{RemoteKey, RemoteRequest, RemoteSigner};

use alloc::sync::Arc;
use alloc::vec::Vec;
use casemate_crypto::{Aead, Curve25519, EllipticCurve, Hash, HashAlgorithm, Mac, Random, Rsa};
use core::fmt::{self, Debug};
use core::marker::PhantomData;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{CipherSuite, SupportedCipherSuite, Tls13CipherSuite};

/// The families that TLS needs.
pub trait TlsDriver: Random + Hash + Mac + Aead + EllipticCurve + Curve25519 + Rsa + Sync + 'static {}

impl<T> TlsDriver for T where
    T: Random + Hash + Mac + Aead + EllipticCurve + Curve25519 + Rsa + Sync + ?Sized + 'static
{
}

/// A type that says which driver a provider uses.
pub trait DriverSource: Debug + Send + Sync + 'static {
    /// The driver.
    type Driver: TlsDriver + ?Sized;

    /// The one driver that everything goes through.
    fn driver() -> &'static Self::Driver;
}

/// The algorithms of one driver, as constants.
pub(crate) struct Algorithms<S>(PhantomData<fn() -> S>);

impl<S> Debug for Algorithms<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Algorithms")
    }
}

/// How many records one AES-GCM key protects at most (RFC 8446, §5.5, with margin).
const RECORDS_PER_KEY: u64 = 1 << 24;

impl<S: DriverSource> Algorithms<S> {
    const SHA256: &'static hash::TlsHash<S> = &hash::TlsHash::new(HashAlgorithm::Sha256);
    const SHA384: &'static hash::TlsHash<S> = &hash::TlsHash::new(HashAlgorithm::Sha384);
    const AES_128: &'static aead::AesGcm<S> = &aead::AesGcm::new(16);
    const AES_256: &'static aead::AesGcm<S> = &aead::AesGcm::new(32);

    const TLS13_AES_128: &'static Tls13CipherSuite = &Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
            hash_provider: Self::SHA256,
            confidentiality_limit: RECORDS_PER_KEY,
        },
        hkdf_provider: &HkdfUsingHmac(Self::SHA256),
        aead_alg: Self::AES_128,
        quic: None,
    };
    const TLS13_AES_256: &'static Tls13CipherSuite = &Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
            hash_provider: Self::SHA384,
            confidentiality_limit: RECORDS_PER_KEY,
        },
        hkdf_provider: &HkdfUsingHmac(Self::SHA384),
        aead_alg: Self::AES_256,
        quic: None,
    };
}

#[cfg(feature = "tls12")]
mod tls12 {
    use super::{Algorithms, CipherSuite, CipherSuiteCommon, DriverSource, RECORDS_PER_KEY};
    use rustls::crypto::KeyExchangeAlgorithm;
    use rustls::crypto::tls12::PrfUsingHmac;
    use rustls::{SignatureScheme, Tls12CipherSuite};

    const ECDSA: &[SignatureScheme] = &[
        SignatureScheme::ED25519,
        SignatureScheme::ECDSA_NISTP256_SHA256,
        #[cfg(feature = "p384")]
        SignatureScheme::ECDSA_NISTP384_SHA384,
        #[cfg(feature = "p521")]
        SignatureScheme::ECDSA_NISTP521_SHA512,
    ];
    #[cfg(feature = "rsa")]
    const RSA: &[SignatureScheme] = &[
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PSS_SHA384,
        SignatureScheme::RSA_PSS_SHA512,
        SignatureScheme::RSA_PKCS1_SHA256,
        SignatureScheme::RSA_PKCS1_SHA384,
        SignatureScheme::RSA_PKCS1_SHA512,
    ];

    impl<S: DriverSource> Algorithms<S> {
        pub(super) const ECDSA_AES_128: &'static Tls12CipherSuite = &Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                hash_provider: Self::SHA256,
                confidentiality_limit: RECORDS_PER_KEY,
            },
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: ECDSA,
            aead_alg: Self::AES_128,
            prf_provider: &PrfUsingHmac(Self::SHA256),
        };
        pub(super) const ECDSA_AES_256: &'static Tls12CipherSuite = &Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                hash_provider: Self::SHA384,
                confidentiality_limit: RECORDS_PER_KEY,
            },
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: ECDSA,
            aead_alg: Self::AES_256,
            prf_provider: &PrfUsingHmac(Self::SHA384),
        };
        #[cfg(feature = "rsa")]
        pub(super) const RSA_AES_128: &'static Tls12CipherSuite = &Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                hash_provider: Self::SHA256,
                confidentiality_limit: RECORDS_PER_KEY,
            },
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: RSA,
            aead_alg: Self::AES_128,
            prf_provider: &PrfUsingHmac(Self::SHA256),
        };
        #[cfg(feature = "rsa")]
        pub(super) const RSA_AES_256: &'static Tls12CipherSuite = &Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                hash_provider: Self::SHA384,
                confidentiality_limit: RECORDS_PER_KEY,
            },
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: RSA,
            aead_alg: Self::AES_256,
            prf_provider: &PrfUsingHmac(Self::SHA384),
        };
    }
}

/// The provider over the driver of `S`. Suites, groups and signatures are in the order of preference; a program may
/// remove or reorder them.
#[must_use]
pub fn provider<S: DriverSource>() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: cipher_suites::<S>(),
        kx_groups: kx::groups::<S>(),
        signature_verification_algorithms: verify::algorithms::<S>(),
        secure_random: &Algorithms::<S>(PhantomData),
        key_provider: &Algorithms::<S>(PhantomData),
    }
}

fn cipher_suites<S: DriverSource>() -> Vec<SupportedCipherSuite> {
    let suites = [
        SupportedCipherSuite::Tls13(Algorithms::<S>::TLS13_AES_128),
        SupportedCipherSuite::Tls13(Algorithms::<S>::TLS13_AES_256),
        #[cfg(feature = "tls12")]
        SupportedCipherSuite::Tls12(Algorithms::<S>::ECDSA_AES_128),
        #[cfg(feature = "tls12")]
        SupportedCipherSuite::Tls12(Algorithms::<S>::ECDSA_AES_256),
        #[cfg(all(feature = "tls12", feature = "rsa"))]
        SupportedCipherSuite::Tls12(Algorithms::<S>::RSA_AES_128),
        #[cfg(all(feature = "tls12", feature = "rsa"))]
        SupportedCipherSuite::Tls12(Algorithms::<S>::RSA_AES_256),
    ];
    suites.to_vec()
}

impl<S: DriverSource> SecureRandom for Algorithms<S> {
    fn fill(&self, output: &mut [u8]) -> Result<(), GetRandomFailed> {
        S::driver().fill(output).map_err(|_| GetRandomFailed)
    }
}

impl<S: DriverSource> KeyProvider for Algorithms<S> {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        sign::load::<S>(&key)
    }
}
