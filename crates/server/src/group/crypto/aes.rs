//! AES in CBC, ECB, CTR and GCM mode (document 04, §5).

use super::{Operation, append, fetch, place};
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::Usage;
use crate::platform::Platform;
use casemate_crypto::{AES_BLOCK, CtrState, Direction, Secret};
use casemate_protocol::message::crypto::{
    CbcRequest, CbcResponse, CtrRequest, CtrResponse, EcbRequest, EcbResponse, GcmRequest, GcmResponse,
};
use casemate_protocol::{Flags, KeyId, Layout, Status};

pub(super) const LONGEST_KEY: usize = 32;
pub(super) type KeyRoom = Secret<LONGEST_KEY>;

pub(super) const fn direction(encrypt: u32) -> Direction {
    if encrypt == 0 { Direction::Decrypt } else { Direction::Encrypt }
}

/// The key of an operation: the one named, even if there are inline bytes too; else the inline bytes.
pub(super) fn aes_key<'k, P: Platform>(
    context: &mut Context<'_, P>,
    encrypt: u32,
    named: KeyId,
    inline: &'k [u8],
    room: &'k mut KeyRoom,
) -> Result<&'k [u8], Status> {
    let key = if named.is_some() {
        let usage = if encrypt == 0 { Flags::USAGE_DECRYPT } else { Flags::USAGE_ENCRYPT };
        fetch(context, named, Usage::All(usage), room.as_mut_slice())?
    } else {
        inline
    };
    if matches!(key.len(), 16 | 24 | 32) { Ok(key) } else { Err(Status::BAD_ARGUMENTS) }
}

pub(super) const fn check_cbc_length(encrypt: u32, length: usize) -> Result<(), Status> {
    if length.is_multiple_of(AES_BLOCK) {
        return Ok(());
    }
    // The original lets the rest of the plaintext through when encrypting; no client sends such a length.
    Err(if encrypt == 0 { Status::CRYPTO_ARGUMENT } else { Status::BAD_ARGUMENTS })
}

pub(super) const fn check_ecb_length(length: usize) -> Result<(), Status> {
    if length.is_multiple_of(AES_BLOCK) { Ok(()) } else { Err(Status::BAD_LENGTH) }
}

#[inline(never)]
pub(super) fn cbc<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        CbcRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut room = KeyRoom::zero();
    let key = aes_key(context, request.encrypt, request.key, tails.key, &mut room)?;
    check_cbc_length(request.encrypt, tails.input.len())?;
    let mut iv = tails.iv;
    let (data, rest) = place(operation.out, CbcResponse::SIZE, tails.input)?;
    let driver = operation.driver;
    driver.cbc(direction(request.encrypt), key, &mut iv, data).map_err(crypto_status)?;
    append(rest, &iv)?;
    let fixed = context.put(&CbcResponse { length: request.length }, operation.out);
    Ok(fixed.saturating_add(tails.input.len()).saturating_add(iv.len()))
}

#[inline(never)]
pub(super) fn ecb<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        EcbRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut room = KeyRoom::zero();
    let key = aes_key(context, request.encrypt, request.key, tails.key, &mut room)?;
    check_ecb_length(tails.input.len())?;
    let (data, _) = place(operation.out, EcbResponse::SIZE, tails.input)?;
    let driver = operation.driver;
    driver.ecb(direction(request.encrypt), key, data).map_err(crypto_status)?;
    let fixed = context.put(&EcbResponse { length: request.length }, operation.out);
    Ok(fixed.saturating_add(tails.input.len()))
}

/// # Errors
/// BAD_ARGUMENTS if there are more unused bytes than a block has.
pub(super) fn ctr_state(
    counter: [u8; AES_BLOCK],
    keystream: [u8; AES_BLOCK],
    unused: u32,
) -> Result<CtrState, Status> {
    let unused = usize::try_from(unused).ok().filter(|&unused| unused <= AES_BLOCK);
    let mut state = CtrState::new(counter);
    state.keystream = keystream;
    state.unused = unused.ok_or(Status::BAD_ARGUMENTS)?;
    Ok(state)
}

/// Both directions are the same computation. (The original computes something else for "decrypt", which its own
/// clients therefore never ask for.)
#[inline(never)]
pub(super) fn ctr<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        CtrRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut room = KeyRoom::zero();
    let key = aes_key(context, request.encrypt, request.key, tails.key, &mut room)?;
    let mut state = ctr_state(tails.counter, tails.keystream, request.unused)?;
    let (data, rest) = place(operation.out, CtrResponse::SIZE, tails.input)?;
    let driver = operation.driver;
    driver.ctr(key, &mut state, data).map_err(crypto_status)?;
    let rest = append(rest, &state.counter)?;
    append(rest, &state.keystream)?;
    let response = CtrResponse { length: request.length, unused: u32::try_from(state.unused).unwrap_or(0) };
    let fixed = context.put(&response, operation.out);
    Ok(fixed.saturating_add(tails.input.len()).saturating_add(2 * AES_BLOCK))
}

/// The shortest tag that the original's clients can ask for.
const SHORTEST_GCM_TAG: usize = 12;

pub(super) fn check_gcm_lengths(iv: &[u8], tag_length: usize) -> Result<(), Status> {
    let is_tag = (SHORTEST_GCM_TAG..=AES_BLOCK).contains(&tag_length);
    if iv.is_empty() || !is_tag { Err(Status::CRYPTO_ARGUMENT) } else { Ok(()) }
}

#[inline(never)]
pub(super) fn gcm<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        GcmRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tag_length = usize::try_from(request.tag_length).map_err(|_| Status::BAD_ARGUMENTS)?;
    let encrypt = request.encrypt != 0;
    let (data, rest) = place(operation.out, GcmResponse::SIZE, tails.input)?;
    if encrypt && rest.len() < tag_length {
        return Err(Status::BAD_ARGUMENTS);
    }
    let mut room = KeyRoom::zero();
    let key = aes_key(context, request.encrypt, request.key, tails.key, &mut room)?;
    check_gcm_lengths(tails.iv, tag_length)?;
    let driver = operation.driver;
    let tag_length = if encrypt {
        let tag = rest.get_mut(..tag_length).ok_or(Status::BAD_ARGUMENTS)?;
        driver.gcm_seal(key, tails.iv, tails.aad, data, tag).map_err(crypto_status)?;
        tag_length
    } else {
        driver.gcm_open(key, tails.iv, tails.aad, data, tails.tag).map_err(crypto_status)?;
        0
    };
    let response = GcmResponse { length: request.length, tag_length: u32::try_from(tag_length).unwrap_or(0) };
    let fixed = context.put(&response, operation.out);
    Ok(fixed.saturating_add(tails.input.len()).saturating_add(tag_length))
}
