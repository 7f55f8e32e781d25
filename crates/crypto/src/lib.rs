//! The cryptographic driver seam, and the portable software driver behind it.
//!
//! Whoever needs cryptography asks a [`Driver`]; nobody else names an algorithm's implementation. The interface is
//! cut into families ([`Random`], [`Hash`], [`Mac`], [`Cipher`], [`Aead`]), each an object-safe trait whose methods
//! take `&self`, work on borrowed slices and answer [`Error::Unsupported`] unless a driver implements them.
//! `Unsupported` is a promise that nothing was read into state and nothing was written; so drivers compose:
//! [`Prefer<A, B>`](Prefer) asks `A` and, when `A` declines, `B`.
//!
//! [`Software`] implements every operation with `core` alone. It takes its random numbers from a [`Random`] of the
//! port's choice, normally a [`Drbg`] over the port's [`Entropy`].
//!
//! Key derivation ([`hkdf`], [`cmac_kdf`]), one-shot hashing ([`hash`]), the streaming [`Hasher`] and the algorithms of
//! AUTOSAR SHE ([`she`]) are functions over any driver.
//!
//! # Writing a driver
//!
//! Implement the family traits, leaving out every method the device does not have, and put the result in front:
//! `Prefer::new(device, Software::new(random))`. A method that has begun to change its arguments must not answer
//! `Unsupported` any more. A device that is shared takes its lock inside the method.
//!
//! ```
//! use casemate_crypto::{Aead, Cipher, Direction, Error, Hash, Mac, Prefer, Random, Software, hash, HashAlgorithm};
//!
//! /// A device with a noise source and an AES-128 engine.
//! struct Device;
//!
//! impl Random for Device {
//!     fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
//!         output.fill(0x5a); // A real device reads its generator here.
//!         Ok(())
//!     }
//! }
//! impl Cipher for Device {
//!     fn ecb(&self, _direction: Direction, key: &[u8], _data: &mut [u8]) -> Result<(), Error> {
//!         if key.len() != 16 {
//!             return Err(Error::Unsupported);
//!         }
//!         Err(Error::Hardware) // A real device runs its engine here.
//!     }
//! }
//! impl Hash for Device {}
//! impl Mac for Device {}
//! impl Aead for Device {}
//!
//! let driver = Prefer::new(Device, Software::new(Device));
//! let mut digest = [0; 32];
//! hash(&driver, HashAlgorithm::Sha256, &[b"abc"], &mut digest)?;
//! assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
//!
//! // AES-256 is declined by the device and done by the software.
//! let mut block = [0; 16];
//! driver.ecb(Direction::Encrypt, &[0; 32], &mut block)?;
//! # Ok::<(), Error>(())
//! ```
//!
//! # Security notes
//!
//! - AES here is bitsliced or uses the processor's AES instructions: no table is indexed by a secret. Tags are
//!   compared in constant time; on a mismatch the data has not been decrypted.
//! - GHASH (inside GCM) is constant-time where integer multiplication is, or where carry-less multiply
//!   instructions are found at run time. **The multiplier of a Cortex-M3 (and of some Cortex-A and PowerPC cores)
//!   ends early on small operands**, so there the time of GCM leaks information about the hash key to whoever can
//!   measure it finely. Use a hardware engine, CCM, or a channel an attacker cannot time.
//! - RSA private operations are blinded and use exponentiations of constant time; on processors with a multiplier as
//!   above, the blinding is the defence. Generating a key takes a time that tells how many candidates were tried.
//! - Key schedules, chaining values and keystream kept by this crate are wiped when dropped. The compiler may
//!   leave copies of temporaries on the stack; no portable code can prevent that.
//! - ML-DSA and ML-KEM have no secret-dependent branch or index, but multiply secrets, so the same holds for them. The
//!   library that does the work does not wipe its own temporaries.
//! - GCM and CCM are broken by two messages under one key and nonce. This crate does not choose nonces.
//!
//! # ML-DSA and ML-KEM
//!
//! [`Software`] takes both from `libcrux-ml-dsa` and `libcrux-ml-kem`, whose arithmetic is verified and which accept any
//! bytes as a key without a panic. **Their licence is Apache-2.0 alone**: this crate stays MIT OR Apache-2.0, but a
//! program that links it does not leave the choice of MIT.
//!
//! They pick AVX2 or Neon code at run time. `LIBCRUX_DISABLE_SIMD256=1` and `LIBCRUX_DISABLE_SIMD128=1` in the
//! environment of a clean build leave that code out.
//!
//! On a Cortex-M3 they need, in bytes of stack (flash for one set: 51 to 136 KiB for ML-KEM-768, 133 to 219 KiB for
//! ML-DSA-44, optimized for size or for speed):
//!
//! | | generate | sign, encapsulate | verify, decapsulate |
//! |---|---|---|---|
//! | ML-KEM-768 | 26k | 29k | 30k |
//! | ML-DSA-44 | 50k | 82k | 45k |
//! | ML-DSA-65 | 72k | 117k | |
//!
//! These figures were measured with the libraries alone, ML-KEM with keys in their serialized form. The driver adds one copy of
//! the keys, signature or ciphertext of the operation. Without the feature `std` it has ML-KEM work with unpacked keys, which
//! takes 10k less to encapsulate and to decapsulate, but does not use AVX2 or Neon. [`Software`] has no [`MlDsa::ml_dsa_public`], because its library has not: [`Prefer`] a driver that does.
//!
//! # Small builds
//!
//! Each family of [`Software`] is a cargo feature, all on by default; without its feature, a family answers
//! [`Error::Unsupported`] and neither code nor library of it is linked: `ccm`, `gcm`, `hmac`, `sha1`, `sha512` (SHA-384 too),
//! `sha3` (SHAKE too), `p224`, `p256`, `p384`, `p521`, `curve25519` (X25519 and Ed25519), `rsa`, `ml-dsa`, `ml-kem`.
//! The last three alone are RSA with keys of up to 2048 bits, ML-DSA-65's verification and ML-KEM-768; `rsa-3072`, `rsa-4096`,
//! `rsa-generation`, `ml-dsa-44`, `ml-dsa-87`, `ml-dsa-signing`, `ml-kem-512` and `ml-kem-1024` add to them, `rsa-1024` and
//! `rsa-1536` make keys of these sizes faster. What is left out is declined as a family is.
//! `secp256k1`, `brainpool` and `md5` are off by default. The server's features of similar names leave out the handlers.
//!
//! The libraries underneath choose their back ends by configuration flags of the *final* build, not by cargo
//! features. For a small flash put into the port's `.cargo/config.toml`:
//!
//! ```toml
//! [build]
//! rustflags = [
//!     "--cfg", "aes_backend_soft=\"compact\"", "--cfg", "sha2_backend_soft=\"compact\"", "--cfg", "cpubits=\"32\"",
//! ]
//! ```
//!
//! The last one matters on a Cortex-M with a nightly compiler, or with `RUSTC_BOOTSTRAP` set: those show the target's features,
//! and the libraries would take the architecture's version 7 for a reason to compute with words of 64 bits, which costs such a
//! core 5 KB of flash and a kilobyte of stack in AES alone.
//!
//! `aes_backend="soft"`, `sha1_backend="soft"`, `sha2_backend="soft"` and `polyval_backend="soft"` leave out
//! run-time detection of instruction sets on hosts; tests use them to run the portable code on a host.
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

#[cfg(any(feature = "std", test))]
extern crate std;

mod aead;
#[cfg(feature = "hash-signatures")]
mod block_engine;
mod cipher;
mod curve25519;
mod drbg;
mod driver;
mod elliptic_curve;
pub mod encoding;
mod entropy;
mod error;
mod hash;
mod kdf;
mod mac;
mod ml_dsa;
mod ml_kem;
mod random;
mod rsa;
pub mod rsa_padding;
mod secret;
pub mod she;
mod software;

pub use aead::Aead;
#[cfg(feature = "hash-signatures")]
pub use block_engine::BlockEngine;
pub use cipher::{Cipher, CtrState, Direction};
pub use curve25519::{Curve25519, Ed25519Mode};
pub use drbg::Drbg;
pub use driver::{Driver, Prefer};
pub use elliptic_curve::{Curve, EllipticCurve};
pub use entropy::{Entropy, HealthTested};
pub use error::Error;
pub use hash::{Chain, Hash, HashAlgorithm, HashState, Hasher, hash};
pub use kdf::{cmac_kdf, hkdf, hkdf_expand, hkdf_extract};
pub use mac::{CmacState, Mac, cmac, hmac_from_hash};
pub use ml_dsa::{MlDsa, MlDsaMessage, MlDsaSet};
pub use ml_kem::{MlKem, MlKemSet};
pub use random::{NoRandom, Random};
pub use rsa::{RSA_MAX_BITS, RSA_MAX_BYTES, RSA_MIN_BITS, Rsa, RsaPrivateKey, RsaPublicKey};
pub use secret::{Secret, wipe};
#[cfg(feature = "rsa")]
pub use software::RsaComponents;
pub use software::Software;
#[cfg(feature = "gcm")]
pub use software::{gcm_open_from_cipher, gcm_seal_from_cipher};

/// Size of an AES block, of a CBC initialisation vector and of a full CMAC, GCM or CCM tag, in bytes.
pub const AES_BLOCK: usize = 16;

/// Compares two byte strings in a time that depends on their lengths only.
///
/// Strings of different lengths are unequal.
#[must_use]
pub fn constant_time_equal(left: &[u8], right: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(left, right).into()
}
