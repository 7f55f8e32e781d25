//! Stateful hash-based signatures: LMS and HSS (RFC 8554), XMSS and XMSS^MT (RFC 8391), with the parameter sets of NIST
//! SP 800-208. No heap, no standard library.
//!
//! A private key of these schemes is a long row of one-time keys. Two signatures by one of them let anybody forge, so the
//! private key changes with each signature, and a key that comes back from a backup is broken. This crate therefore
//! makes a signature in steps that cannot be reordered:
//!
//! ```
//! use casemate_hash_signatures::{HssParameters, LmsHash, LmsParameters, Scheme, Software, hss_verify};
//!
//! let lms = LmsParameters::new(LmsHash::Sha256, 5, 8).unwrap();
//! let scheme = HssParameters::new(1, lms).unwrap();
//! let mut engine = Software;
//!
//! let seed = [7; 48]; // From a random number generator, and used once.
//! let mut state = vec![0; scheme.state_size(2).unwrap()];
//! scheme.generate(&mut engine, 2, &seed, &mut state)?;
//! let mut flash = state.clone();
//!
//! let key = scheme.open(&mut engine, &mut state)?;
//! let mut public = vec![0; scheme.public_size()];
//! key.public(&mut public)?;
//!
//! // The state moves on, the new state is stored, and only the success of that gives the means to sign.
//! let signer = key.reserve(&mut engine)?.store(|new| {
//!     flash.copy_from_slice(new);
//!     Ok::<_, casemate_hash_signatures::Error>(())
//! })?;
//! let mut signature = vec![0; scheme.signature_size()];
//! signer.sign(&mut engine, b"message", signature.as_mut_slice())?;
//!
//! hss_verify(&mut engine, &public, b"message", signature.as_slice())?;
//! # Ok::<(), casemate_hash_signatures::Error>(())
//! ```
//!
//! # State
//!
//! A state is one byte string, in memory as in storage, of [`Scheme::state_size`] bytes:
//!
//! | bytes | content |
//! |---|---|
//! | 8 | index of the next signature, big endian |
//! | 8 | the parameters; for LMS and HSS the LMS and the LM-OTS type of each level, four bits each |
//! | n + 16 or 3·n | LMS: SEED, I of the tree on top. XMSS: SK_SEED, SK_PRF, SEED |
//! | 20 | version 1, retained levels, two zero bytes, the index again, the leaf that the traversal is at |
//! | n each | root of the present tree of each layer from the lowest upwards, then of the next trees, which the top has not |
//! | | traversal of the same trees |
//! | 16 | digest of everything from the second row on |
//!
//! The tree is never walked as a whole after key generation. Signing computes ⌈(h − k) / 2⌉ leaves and sometimes one more,
//! where h is the height of a tree and k the number of levels whose nodes are kept; of schemes with several layers also
//! one leaf of the tree that comes next, and the one-time signatures of the layers above, which are not stored. For one
//! tree of n = 32:
//!
//! | height | k | state in bytes, LMS | leaves for a signature |
//! |---|---|---|---|
//! | 5 | 3 | 766 | 1 to 2 |
//! | 10 | 2 | 1287 | 4 to 5 |
//! | 10 | 6 | 2927 | 2 to 3 |
//! | 20 | 6 | 4117 | 7 to 8 |
//!
//! Whatever the index in front says, if it is higher than the one behind, signing continues there: an implementation that
//! knows the first rows only may use the key in between.
//!
//! # Hash functions
//!
//! An [`Engine`] compresses single blocks; `Software` does so with the libraries `sha2` and `keccak`. Only those functions
//! are needed that the parameter sets in use are made of. An engine with a [`LeafMemory`] spares the leaves that were computed
//! before, and all of them after a key was generated with it: a signature is then the one-time signatures alone.
//!
//! Nothing here branches on or indexes with secrets: the digits of what is signed are public with the signature.
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

#[cfg(test)]
extern crate std;

mod engine;
mod error;
mod hash;
mod key;
mod lms;
mod stream;
mod traversal;
mod xmss;

#[cfg(feature = "software")]
pub use engine::Software;
pub use engine::{Engine, LeafMemory};
pub use error::Error;
pub use key::{Reservation, Scheme, Signer, SigningKey};
pub use lms::{HssParameters, LmsHash, LmsParameters, hss_verify, lms_verify};
pub use stream::{Input, Message, Output};
pub use xmss::{XmssHash, XmssParameters, xmss_verify};
