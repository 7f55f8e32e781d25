//! Cryptographic messages with the data inside the message (document 04). A failure is answered by the response
//! header alone.
//!
//! A key named by identifier is copied out of the key store under the lock; the computation runs without it.
//!
//! The handlers are not inlined into each other: each keeps a key and a state on the stack, and a session should pay for
//! the one that runs, not for all.

use crate::context::Context;
use crate::keys::Usage;
use crate::platform::{Affinity, Platform};
use casemate_crypto::Driver;
#[cfg(any(feature = "cmac-derivation", feature = "hkdf"))]
use casemate_protocol::message::crypto::kdf;
use casemate_protocol::message::crypto::{RequestHeader, ResponseHeader, action, affinity};
use casemate_protocol::{KeyId, Layout, Status};

mod aes;
mod cmac;
#[cfg(any(feature = "cmac-derivation", feature = "hkdf"))]
mod derive;
#[cfg(feature = "dma")]
mod dma;
mod hash;
#[cfg_attr(
    not(any(feature = "cmac-derivation", feature = "hkdf")),
    allow(dead_code, reason = "public-key families may be off too")
)]
mod new_key;
pub(crate) mod public_key;
mod random;

/// The room behind the response header, and what is known of the request.
pub(crate) struct Operation<'a> {
    algorithm: u32,
    /// The drivers that the request prefers. Chosen in one place: every handler would carry the choice.
    driver: &'a dyn Driver,
    body: &'a [u8],
    out: &'a mut [u8],
}

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    answer(context, payload, out, |context, operation, sub| inline(context, action, operation, sub))
}

/// Messages whose data lies in client memory.
#[cfg(feature = "dma")]
#[inline(never)]
pub(crate) fn handle_dma<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    answer(context, payload, out, |context, operation, sub| dma::dma(context, action, operation, sub))
}

/// Runs the operation of a request, whose second algorithm number it gets, and puts the header before what it wrote.
fn answer<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
    out: &mut [u8],
    run: impl FnOnce(&mut Context<'_, P>, Operation<'_>, u32) -> Result<usize, Status>,
) -> usize {
    let Some((head, out)) = out.split_at_mut_checked(ResponseHeader::SIZE) else { return 0 };
    let (algorithm, result) = match RequestHeader::decode(payload, context.order) {
        Ok((RequestHeader { algorithm, sub_algorithm, affinity, .. }, body)) => {
            let affinity = match affinity {
                affinity::HARDWARE => Affinity::Accelerated,
                _ => Affinity::Software,
            };
            let operation = Operation { algorithm, driver: context.crypto(affinity), body, out };
            (algorithm, run(context, operation, sub_algorithm))
        }
        Err(_) => (0, Err(Status::BAD_ARGUMENTS)),
    };
    let (status, length) = match result {
        Ok(length) => (Status::OK, length),
        Err(status) => (status, 0),
    };
    context.put(&ResponseHeader { algorithm, status }, head).saturating_add(length)
}

fn inline<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    operation: Operation<'_>,
    sub: u32,
) -> Result<usize, Status> {
    match (action, operation.algorithm, sub) {
        (action::RANDOM, _, _) => random::random(context, operation),
        (action::CIPHER, _, _) => aes::aes(context, operation),
        (action::HASH, _, _) => hash::hash(context, operation),
        (action::CMAC, _, _) => cmac::cmac(context, operation),
        #[cfg(feature = "hkdf")]
        (action::KDF, _, kdf::HKDF) => derive::hkdf(context, operation),
        #[cfg(feature = "cmac-derivation")]
        (action::KDF, _, kdf::TWO_STEP_CMAC) => derive::cmac_kdf(context, operation),
        (action::PUBLIC_KEY, _, sub) => public_key::public_key(context, operation, sub),
        _ => Err(Status::NOT_COMPILED_IN),
    }
}

/// Copies the key that a message names to `room`. The room is the caller's: a key that is handed on by value would take
/// the stack for two.
///
/// # Errors
/// As [`crate::keys::KeyStore::fetch`].
#[inline(never)]
fn fetch<'r, P: Platform>(
    context: &mut Context<'_, P>,
    key: KeyId,
    usage: Usage,
    room: &'r mut [u8],
) -> Result<&'r [u8], Status> {
    let length = context.locked(|keys| keys.fetch(key, usage, room))?;
    Ok(room.get(..length).unwrap_or_default())
}

/// Copies `input` to a place in the response where an operation then works on it.
fn place<'o>(out: &'o mut [u8], offset: usize, input: &[u8]) -> Result<(&'o mut [u8], &'o mut [u8]), Status> {
    let rest = out.get_mut(offset..).ok_or(Status::BAD_ARGUMENTS)?;
    let (data, rest) = rest.split_at_mut_checked(input.len()).ok_or(Status::BAD_ARGUMENTS)?;
    data.copy_from_slice(input);
    Ok((data, rest))
}

/// Appends `bytes` to the response.
fn append<'o>(rest: &'o mut [u8], bytes: &[u8]) -> Result<&'o mut [u8], Status> {
    let (to, rest) = rest.split_at_mut_checked(bytes.len()).ok_or(Status::BAD_ARGUMENTS)?;
    to.copy_from_slice(bytes);
    Ok(rest)
}
