//! X.509 certificates (RFC 5280), chains of them, and attribute certificates (RFC 5755).
//!
//! Everything works on borrowed DER: nothing allocates, nothing panics on any input, and no other crate's opinion on
//! trust comes in: the rules of [`Verifier`] are written out here. Signatures are checked by a
//! [`Driver`](casemate_crypto::Driver). The crate knows no clock; whoever has one passes the time in [`Policy::time`].
//!
//! # What a chain is
//!
//! Certificates, one after the other without anything between, before or after them, each issued by an *authority*:
//! by a trust anchor, or by a certificate further ahead that says that it belongs to an authority. So issuers stand
//! before what they issued, the leaf comes last, and the anchor itself may be left out. Several leaves, or none, are
//! allowed. Trust anchors are certificates that the caller trusts, authorities or not ([`Policy`] can demand it).
//!
//! # What is checked
//!
//! Of each certificate of a chain:
//!
//! * Its encoding: DER, version 1 to 3, no extension twice, the same signature algorithm inside and outside.
//! * Its validity period against [`Policy::time`], to the second; not checked if there is no time.
//! * That there is no critical extension but those that are processed: basic constraints, key usage, extended key
//!   usage, subject alternative names, name constraints, key identifiers and certificate policies.
//! * That an authority exists whose subject is its issuer, byte by byte; if both have key identifiers, one whose
//!   identifier fits is asked first.
//! * The path length of that authority and of all above it (self-issued certificates do not count).
//! * The name constraints of all authorities above it, the anchor included: DNS names, mail addresses, IP addresses,
//!   host names in URIs and directory names, in the subject alternative names and in the subject.
//! * The signature, with the authority's key: RSA PKCS#1 v1.5 and RSA-PSS (1024 to 4096 bits), ECDSA on P-224, P-256,
//!   P-384 and P-521, each with SHA-256, SHA-384 or SHA-512; Ed25519; ML-DSA-44, -65 and -87.
//!
//! Of a trust anchor: the encoding, the validity period, critical extensions, that its key can verify signatures.
//!
//! # What is not checked
//!
//! * Revocation: no list is read and no responder asked. A caller that knows of revoked certificates can refuse them
//!   ([`Hooks::accepts`]).
//! * Extended key usage, certificate policies, host names, what the subject is called.
//! * Whether the key usage of an authority allows that it signs certificates, unless
//!   [`Policy::require_key_cert_sign`] says so.
//! * The signature of a trust anchor, even if it is its own.
//! * The names in the subject's common name against constraints on DNS names.
//! * Of attribute certificates, all but the signature, unless [`Policy::strict_attributes`] says so.
//!
//! # Bounds
//!
//! At most [`MAX_AUTHORITIES`] certificates of a chain may be authorities, at most [`MAX_ANCHORS`] anchors are used, a
//! certificate's signature is tried with at most [`MAX_ATTEMPTS`] keys, and its names are compared with constraints
//! at most [`MAX_NAME_COMPARISONS`] times. [`Verifier::verify_chain`] takes about 3 KiB of stack besides what the driver
//! needs.
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

mod attribute;
mod certificate;
mod chain;
mod elements;
mod error;
mod names;
mod public_key;
mod signature;
mod time;

pub use attribute::AttributeCertificate;
pub use certificate::{BasicConstraints, Certificate, Extensions, KeyUsage, Validity};
pub use chain::{
    Anchors, Hooks, MAX_ANCHORS, MAX_ATTEMPTS, MAX_AUTHORITIES, NoHooks, Policy, Verified, Verifier,
};
pub use error::{ChainError, Error};
pub use names::MAX_NAME_COMPARISONS;
pub use public_key::PublicKey;
pub use signature::SignatureAlgorithm;
