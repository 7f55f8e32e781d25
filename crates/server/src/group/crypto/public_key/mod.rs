//! Public-key messages (document 05): one module for each family.
//!
//! A key named by identifier is copied out of the key store in its encoded form and taken apart outside the lock. An
//! option asks for the key to be dropped from the cache afterwards: clients use it for keys that they lend the server
//! for one operation. It is honoured whether the operation succeeds or not, but not for a protected key that lies
//! nowhere else.
//!
//! The handlers are not inlined into each other: each keeps its keys on the stack, and a session should pay for the one
//! that runs, not for all.

#![cfg_attr(
    not(all(
        feature = "curve25519",
        feature = "elliptic-curves",
        feature = "hash-signatures",
        feature = "ml-dsa",
        feature = "ml-kem",
        feature = "rsa"
    )),
    allow(
        dead_code,
        unused_imports,
        unused_variables,
        reason = "what families share may have no user without them"
    )
)]

use super::Operation;
use crate::context::Context;
use crate::platform::Platform;
use casemate_crypto::encoding::Curve25519Use;
use casemate_protocol::Status;
use casemate_protocol::message::public_key::{algorithm, sub_algorithm};

mod common;
#[cfg(feature = "curve25519")]
mod curve25519;
#[cfg(feature = "dma")]
pub(super) mod dma;
#[cfg(feature = "elliptic-curves")]
mod elliptic_curve;
mod export;
#[cfg(feature = "ml-dsa")]
mod ml_dsa;
#[cfg(feature = "ml-kem")]
mod ml_kem;
#[cfg(feature = "rsa")]
mod rsa;
#[cfg(feature = "rsa-generation")]
mod rsa_generation;
#[cfg(feature = "hash-signatures")]
mod stateful;

use common::Lent;
pub(crate) use export::export_public;

/// Runs the operation that `operation.algorithm` names, and drops the keys that were lent for it.
pub(super) fn public_key<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    sub: u32,
) -> Result<usize, Status> {
    let mut lent = Lent::default();
    let result = run(context, operation, sub, &mut lent);
    // The operation's own outcome is what the client gets to see.
    lent.evict(context);
    result
}

fn run<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    sub: u32,
    lent: &mut Lent,
) -> Result<usize, Status> {
    match operation.algorithm {
        #[cfg(feature = "elliptic-curves")]
        algorithm::EC_KEY_GENERATION => elliptic_curve::generate(context, operation),
        #[cfg(feature = "elliptic-curves")]
        algorithm::ECDH => elliptic_curve::agree(context, operation, lent),
        #[cfg(feature = "elliptic-curves")]
        algorithm::ECDSA_SIGN
        | algorithm::ECDSA_VERIFY
        | algorithm::EC_MAKE_PUBLIC
        | algorithm::EC_CHECK_PUBLIC => elliptic_curve::operate(context, operation, lent),
        #[cfg(feature = "curve25519")]
        algorithm::X25519_KEY_GENERATION => curve25519::generate(context, operation, Curve25519Use::X25519),
        #[cfg(feature = "curve25519")]
        algorithm::X25519 => curve25519::x25519_agree(context, operation, lent),
        #[cfg(feature = "curve25519")]
        algorithm::ED25519_KEY_GENERATION => curve25519::generate(context, operation, Curve25519Use::Ed25519),
        #[cfg(feature = "curve25519")]
        algorithm::ED25519_SIGN => curve25519::ed25519_sign(context, operation, lent),
        #[cfg(feature = "curve25519")]
        algorithm::ED25519_VERIFY => curve25519::ed25519_verify(context, operation, lent),
        #[cfg(feature = "rsa-generation")]
        algorithm::RSA_KEY_GENERATION => rsa_generation::generate(context, operation),
        #[cfg(feature = "rsa")]
        algorithm::RSA | algorithm::RSA_SIZE => rsa::operate(context, operation, lent),
        algorithm::KEM_KEY_GENERATION | algorithm::KEM_ENCAPSULATE | algorithm::KEM_DECAPSULATE
            if sub != sub_algorithm::ML_KEM =>
        {
            Err(Status::NO_HANDLER)
        }
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_KEY_GENERATION => ml_kem::generate(context, operation),
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_ENCAPSULATE => ml_kem::encapsulate(context, operation, lent),
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_DECAPSULATE => ml_kem::decapsulate(context, operation, lent),
        algorithm::SIGNATURE_KEY_GENERATION | algorithm::SIGNATURE_SIGN | algorithm::SIGNATURE_VERIFY
            if sub != sub_algorithm::ML_DSA =>
        {
            Err(Status::NO_HANDLER)
        }
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_KEY_GENERATION => ml_dsa::generate(context, operation),
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_SIGN => ml_dsa::sign(context, operation, lent),
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_VERIFY => ml_dsa::verify(context, operation, lent),
        algorithm::SIGNATURE_CHECK => Err(Status::NO_HANDLER),
        _ => Err(Status::NOT_COMPILED_IN),
    }
}
