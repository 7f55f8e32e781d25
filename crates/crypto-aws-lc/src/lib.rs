//! The accelerated host driver: AWS-LC behind the cryptographic driver seam.
//!
//! [`AwsLc`] implements those operations of [`casemate_crypto`] in which AWS-LC was measured to be faster on a host
//! than the portable software, and declines all others with [`Error::Unsupported`]. It is meant to stand in front:
//!
//! ```
//! use casemate_crypto::{Curve, EllipticCurve, Error, Prefer, Random, Software};
//! use casemate_crypto_aws_lc::AwsLc;
//!
//! # struct Generator;
//! # impl Random for Generator {}
//! let driver = Prefer::new(AwsLc, Software::new(Generator));
//! let (mut private, mut public) = ([0; 32], [0; 64]);
//! driver.ec_generate(Curve::P256, &mut private, &mut public)?;
//! driver.ec_check(Curve::P256, &public)?;
//! # Ok::<(), Error>(())
//! ```
//!
//! | family | done here | declined |
//! |---|---|---|
//! | random | | all: the port's generator serves |
//! | hash | | all: SHA-1 and SHA-2 are as fast in the software, and the words of a SHA-3 state cannot be handed to the library |
//! | MAC | CMAC | HMAC |
//! | cipher | CBC, CTR | ECB, which the software does several times faster |
//! | AEAD | GCM | CCM |
//! | NIST curves | all | |
//! | Curve25519 | X25519; Ed25519 keys and signing | verification, which is no faster; Ed25519ctx without a context |
//! | RSA | all, for exponents of up to 32 bits, keys of 128-bit steps and primes of one size | the rest |
//! | ML-DSA | keys; verification of messages | signing, for which the library would check the key anew each time; digests |
//! | ML-KEM | keys, encapsulation, decapsulation | the check of a key by itself |
//!
//! # What it promises
//!
//! - **The answers are the software's.** Where both implement an operation, result and error are the same; where the
//!   library cannot tell an error from another, the operation is declined before anything is touched and the next
//!   driver says what is wrong.
//! - **No key stays behind** in [`AwsLc`]. Keys arrive as bytes, are made into the library's objects for the one operation,
//!   and are wiped and freed with them. For RSA private keys this costs about as much as the operation itself (the numbers
//!   of Montgomery's method and of the blinding are made anew): [`PreparedKeys`] keeps those used last until it is told to
//!   forget them.
//! - **Random numbers** for key generation, nonces of ECDSA, blinding and encapsulation come from the library's own
//!   generator, which the operating system seeds and each thread has its own of. It ends the process if it cannot be
//!   seeded. ECDSA nonces have the private key and the digest mixed in. Seeds that a method takes are used as given.
//! - **Constant time** as far as the library promises it: in everything that involves a private key. RSA is blinded and
//!   checked with the public key before the result leaves.
//!
//! # Building
//!
//! A C compiler is all that is needed on x86-64 and AArch64: no CMake, no Go, no bindgen. All `unsafe` of the crate is in
//! the module `ffi`.
#![deny(unsafe_code)]

mod aead;
mod cipher;
mod curve25519;
mod elliptic_curve;
#[allow(unsafe_code, reason = "the one place that calls the library")]
mod ffi;
mod mac;
mod ml_dsa;
mod ml_kem;
mod prepared;
mod rsa;

#[allow(unused_imports, reason = "named by the documentation")]
use casemate_crypto::Error;
use casemate_crypto::{Hash, Random};
pub use prepared::PreparedKeys;

/// The driver. It has no state: any number of threads may share it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Random for AwsLc {}
impl Hash for AwsLc {}
