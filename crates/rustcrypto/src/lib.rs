//! Keys of an HSM behind RustCrypto's traits: software that was written for keys in memory takes keys that never leave
//! the HSM, by making another value at one place.
//!
//! | Value | Traits |
//! |---|---|
//! | [`EcdsaKey`] | `Signer`, `PrehashSigner`, `Keypair` on P-256, P-384 and the other curves of the server |
//! | [`Ed25519Key`] | `Signer`, `Keypair` |
//! | [`Pkcs1Key`], [`PssKey`] | `Signer`, `Keypair`: RSA with PKCS#1 v1.5 and with PSS |
//! | [`MlDsaKey`] | `Signer`, `Keypair` |
//! | [`AesGcmKey`] | `AeadInOut`, and so `Aead` where there is a heap |
//! | [`MlKemKey`] | `Decapsulator`, `TryDecapsulate` |
//! | [`HsmRandom`] | `TryRng`, `TryCryptoRng` |
//!
//! Signing keys also say which algorithm they are for, so the builders of the crate `x509-cert` make certificates and
//! requests with them.
//!
//! Verifying and encapsulating need no secret: they are done in memory, with the public key that `Keypair` or
//! `Decapsulator` gives. The traits for hashes and block ciphers are not offered: their methods cannot fail, and a
//! connection can.
//!
//! ```
//! use casemate_client::{Client, Curve, NewKey};
//! use casemate_protocol::{ClientId, Flags};
//! use casemate_rustcrypto::EcdsaKey;
//! use p256::NistP256;
//! use p256::ecdsa::Signature;
//! use signature::{Keypair, Signer, Verifier};
//! use std::sync::{Arc, Mutex};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = casemate_testkit::server::VirtualServer::default();
//! # let transport = server.connect();
//! let mut client = Client::new(transport, vec![0; 1288]);
//! client.init(ClientId::new(12).ok_or("a client identifier is 1 to 15")?)?;
//! client.learn_limits()?;
//! let new = NewKey { flags: Flags::USAGE_SIGN, ..NewKey::default() };
//! let id = client.key_pair_generate(Curve::P256, &new)?;
//!
//! let hsm = Arc::new(Mutex::new(client));
//! let key = EcdsaKey::<_, NistP256>::open(hsm.clone(), id)?; // Instead of a p256::ecdsa::SigningKey.
//! let signature: Signature = key.try_sign(b"message")?;
//! key.verifying_key().verify(b"message", &signature)?;
//! # Ok(())
//! # }
//! ```
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
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

/// Shows a key's identifier, and neither its connection nor its public half.
macro_rules! debug_by_id {
    ($name:ident<$($parameter:ident),+> $(where $($bound:tt)+)?) => {
        impl<$($parameter),+> core::fmt::Debug for $name<$($parameter),+> $(where $($bound)+)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).field("id", &self.id).finish_non_exhaustive()
            }
        }
    };
}

#[cfg(feature = "aead")]
mod aes_gcm;
mod connection;
#[cfg(feature = "ed25519")]
mod edwards;
#[cfg(feature = "ecdsa")]
mod elliptic_curve;
mod error;
#[cfg(feature = "ml-kem")]
mod key_encapsulation;
#[cfg(feature = "ml-dsa")]
mod lattice_signature;
mod random;
#[cfg(feature = "rsa")]
mod rsa_signature;

#[cfg(feature = "aead")]
pub use aes_gcm::AesGcmKey;
pub use connection::Connection;
#[cfg(feature = "ed25519")]
pub use edwards::Ed25519Key;
#[cfg(feature = "ecdsa")]
pub use elliptic_curve::EcdsaKey;
pub use error::Error;
#[cfg(feature = "ml-kem")]
pub use key_encapsulation::{MlKemKey, MlKemParameters};
#[cfg(feature = "ml-dsa")]
pub use lattice_signature::{MlDsaKey, MlDsaParameters};
pub use random::HsmRandom;
#[cfg(feature = "rsa")]
pub use rsa_signature::{Pkcs1Key, PssKey, SignatureHash};
