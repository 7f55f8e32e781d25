//! The AES and hash processors of STM32 as drivers behind the cryptographic driver seam.
//!
//! **These drivers have never run on silicon.** [`Cryp`] and [`HashProcessor`] follow the register descriptions of ST's reference
//! manuals RM0033 (F2), RM0090 (F4), RM0385 (F7), RM0433 (H7) and RM0351 (L4). Of the manuals' chapters on AES, and on HASH of H5
//! and U5, only parts were at hand (of RM0453, its description of the key for decryption): [`Aes`] and what is said of H5 and U5
//! rest on the vendor's public register definitions, and on the order of steps of the vendor's own drivers. The tests run against a
//! model of the registers that was written from the same sources: what these leave open, the model does not know either.
//! [`Checked`] compares a processor with the software before its first use, and leaves one alone that computes something else.
//! Run the conformance suite on the chip first.
//!
//! | driver | does | chips that have the processor, among others |
//! |---|---|---|
//! | [`Cryp`] | AES-ECB, CBC and CTR with keys of 128, 192 and 256 bits; GCM, but for its GHASH | F215, F217, F415, F417, F437, F439, F479, F756, F777, F779, H753, H755, H757 |
//! | [`Aes`] | the same with keys of 128 and 256 bits | F423, F730, F732, F733, G484, L486, L4A6, L4S5, WB55, WL55, H573, U585; with keys of 128 bits L082, L162 |
//! | [`HashProcessor`] | SHA-1 and MD5, on newer chips SHA-224 and SHA-256 | the chips with [`Cryp`], and L4A6, L4P5, L4Q5, L4S5, L4S7, L4S9; with the feature `u5` U575, U585 and others, with `h5` H563, H573 |
//!
//! HASH of U5 and H5 differs from the older ones in the bits that select the algorithm (17 to 20, not 7 and 18) and in the number
//! of words to be saved between two pieces of a message (54 and 103), of which all are saved. H5 has no MD5; it has SHA-384 and
//! SHA-512, which are not used.
//!
//! L0 and G0 have cores without the atomic operations that this crate needs; it does not compile for them.
//!
//! What a driver does not do it declines, and [`Prefer`](casemate_crypto::Prefer) asks the software: other algorithms, arguments
//! that are errors, a processor that does not answer because its clock is off, and calls while another one is under way. Hashes
//! that arrive piece by piece are declined as well: the processor keeps their state to itself.
//!
//! ```
//! use casemate_crypto::{Prefer, Random, Software};
//! use casemate_crypto_stm32::{Checked, Cryp, HashKinds, HashProcessor, Mapped};
//!
//! # struct Generator;
//! # impl Random for Generator {}
//! // STM32F437, after both clocks have been switched on in RCC_AHB2ENR.
//! // SAFETY: these are the addresses of the two processors, and nothing else uses them.
//! let (cryp, hash) = unsafe { (Mapped::new(Mapped::CRYP_F2_F4_F7), Mapped::new(Mapped::HASH_F2_F4_F7)) };
//! let driver = Prefer::new(
//!     Prefer::new(
//!         Checked::cryp(Cryp::new(cryp)),
//!         Checked::hash(HashProcessor::new(hash, HashKinds::WithSha2)),
//!     ),
//!     Software::new(Generator),
//! );
//! # let _ = driver;
//! ```
//!
//! # What it promises
//!
//! - A key is written to the processor for one operation and overwritten after it, also if the operation fails.
//! - No wait lasts for ever: a processor that does not finish is [`Error::Hardware`](casemate_crypto::Error::Hardware).
//! - Whether the processors leak keys through their power consumption or timing is not known; ST promises nothing for these series.
#![no_std]
#![deny(unsafe_code)]
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

mod aes;
mod checked;
mod cryp;
mod hash;
#[allow(unsafe_code, reason = "registers are memory")]
mod mapped;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod modes;
mod registers;

pub use aes::{Aes, AesGeneration};
pub use checked::Checked;
pub use cryp::Cryp;
pub use hash::{HashContext, HashKinds, HashProcessor};
pub use mapped::Mapped;
pub use registers::{Register, Registers};
