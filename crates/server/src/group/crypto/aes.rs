//! AES in CBC, ECB, CTR and GCM mode (document 04, §5).

use super::{Operation, append, fetch, place};
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::Usage;
use crate::platform::Platform;
use casemate_crypto::{AES_BLOCK, CtrState, Direction, Secret};
use casemate_protocol::message::crypto::{
    CbcRequest, CbcResponse, CbcTails, CtrRequest, CtrResponse, CtrTails, EcbRequest, EcbResponse, EcbTails,
    GcmRequest, GcmResponse, GcmTails, cipher,
};
use casemate_protocol::{ByteOrder, Flags, KeyId, Layout, Malformed, Status};

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

/// Puts into `state` what a request goes on from.
pub(super) fn resume_ctr(
    state: &mut CtrState,
    counter: &[u8; AES_BLOCK],
    keystream: &[u8; AES_BLOCK],
    unused: u32,
) {
    state.counter = *counter;
    state.keystream = *keystream;
    state.unused = usize::try_from(unused).unwrap_or(usize::MAX);
}

/// A block has no more unused bytes than bytes.
pub(super) const fn check_ctr_state(state: &CtrState) -> Result<(), Status> {
    if state.unused <= AES_BLOCK { Ok(()) } else { Err(Status::BAD_ARGUMENTS) }
}

/// The shortest tag that the original's clients can ask for.
const SHORTEST_GCM_TAG: usize = 12;

pub(super) fn check_gcm_lengths(iv: &[u8], tag_length: usize) -> Result<(), Status> {
    let is_tag = (SHORTEST_GCM_TAG..=AES_BLOCK).contains(&tag_length);
    if iv.is_empty() || !is_tag { Err(Status::CRYPTO_ARGUMENT) } else { Ok(()) }
}

/// A request of any mode.
struct Request<'a> {
    encrypt: u32,
    key: KeyId,
    inline_key: &'a [u8],
    length: u32,
    input: &'a [u8],
    mode: Mode<'a>,
}

/// What a request has of its mode alone.
enum Mode<'a> {
    Cbc { iv: &'a mut [u8; AES_BLOCK] },
    Ecb,
    Ctr { state: &'a mut CtrState },
    Gcm { iv: &'a [u8], aad: &'a [u8], tag: &'a [u8], tag_length: usize },
}

/// The request that a message is, if its algorithm is known. What a mode changes comes into the room for it.
fn decode<'a>(
    algorithm: u32,
    body: &'a [u8],
    order: ByteOrder,
    block: &'a mut [u8; AES_BLOCK],
    state: &'a mut CtrState,
) -> Result<Option<Request<'a>>, Malformed> {
    Ok(Some(match algorithm {
        cipher::AES_CBC => {
            let (request, tail) = CbcRequest::decode(body, order)?;
            let CbcTails { input, key: inline_key, iv } = request.tails(tail)?;
            let CbcRequest { encrypt, key, length, .. } = request;
            *block = iv;
            Request { encrypt, key, inline_key, length, input, mode: Mode::Cbc { iv: block } }
        }
        cipher::AES_ECB => {
            let (request, tail) = EcbRequest::decode(body, order)?;
            let EcbTails { input, key: inline_key } = request.tails(tail)?;
            let EcbRequest { encrypt, key, length, .. } = request;
            Request { encrypt, key, inline_key, length, input, mode: Mode::Ecb }
        }
        cipher::AES_CTR => {
            let (request, tail) = CtrRequest::decode(body, order)?;
            let CtrTails { input, key: inline_key, counter, keystream } = request.tails(tail)?;
            let CtrRequest { encrypt, key, length, unused, .. } = request;
            resume_ctr(state, &counter, &keystream, unused);
            Request { encrypt, key, inline_key, length, input, mode: Mode::Ctr { state } }
        }
        cipher::AES_GCM => {
            let (request, tail) = GcmRequest::decode(body, order)?;
            let GcmTails { input, key: inline_key, iv, aad, tag } = request.tails(tail)?;
            let GcmRequest { encrypt, key, length, .. } = request;
            let tag_length = usize::try_from(request.tag_length).map_err(|_| Malformed)?;
            let mode = Mode::Gcm { iv, aad, tag, tag_length };
            Request { encrypt, key, inline_key, length, input, mode }
        }
        _ => return Ok(None),
    }))
}

/// All modes in one: what differs between them is small beside the key, the place of the data and the response.
///
/// Both directions of CTR are the same computation. (The original computes something else for "decrypt", which its own
/// clients therefore never ask for.)
#[inline(never)]
pub(super) fn aes<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let Operation { algorithm, driver, body, out } = operation;
    let (mut block, mut state) = ([0; AES_BLOCK], CtrState::new([0; AES_BLOCK]));
    let request =
        decode(algorithm, body, context.order, &mut block, &mut state).map_err(|_| Status::BAD_ARGUMENTS)?;
    let Some(request) = request else { return Err(Status::NOT_COMPILED_IN) };
    let Request { encrypt, key, inline_key, length, input, mode } = request;
    let size = match mode {
        Mode::Cbc { .. } => CbcResponse::SIZE,
        Mode::Ecb => EcbResponse::SIZE,
        Mode::Ctr { .. } => CtrResponse::SIZE,
        Mode::Gcm { tag_length, .. } => {
            // In this mode the room for the response comes before the key.
            let tag_length = if encrypt == 0 { 0 } else { tag_length };
            if out.len() < GcmResponse::SIZE.saturating_add(input.len()).saturating_add(tag_length) {
                return Err(Status::BAD_ARGUMENTS);
            }
            GcmResponse::SIZE
        }
    };
    let mut room = KeyRoom::zero();
    let key = aes_key(context, encrypt, key, inline_key, &mut room)?;
    match mode {
        Mode::Cbc { .. } => check_cbc_length(encrypt, input.len()),
        Mode::Ecb => check_ecb_length(input.len()),
        Mode::Ctr { ref state } => check_ctr_state(state),
        Mode::Gcm { iv, tag_length, .. } => check_gcm_lengths(iv, tag_length),
    }?;

    let (head, out) = out.split_at_mut_checked(size).ok_or(Status::BAD_ARGUMENTS)?;
    let (data, rest) = place(out, 0, input)?;
    let direction = direction(encrypt);
    let (fixed, appended) = match mode {
        Mode::Cbc { iv } => {
            driver.cbc(direction, key, iv, data).map_err(crypto_status)?;
            append(rest, iv)?;
            (context.put(&CbcResponse { length }, head), iv.len())
        }
        Mode::Ecb => {
            driver.ecb(direction, key, data).map_err(crypto_status)?;
            (context.put(&EcbResponse { length }, head), 0)
        }
        Mode::Ctr { state } => {
            driver.ctr(key, state, data).map_err(crypto_status)?;
            let rest = append(rest, &state.counter)?;
            append(rest, &state.keystream)?;
            let response = CtrResponse { length, unused: u32::try_from(state.unused).unwrap_or(0) };
            (context.put(&response, head), 2 * AES_BLOCK)
        }
        Mode::Gcm { iv, aad, tag, .. } if encrypt == 0 => {
            driver.gcm_open(key, iv, aad, data, tag).map_err(crypto_status)?;
            (context.put(&GcmResponse { length, tag_length: 0 }, head), 0)
        }
        Mode::Gcm { iv, aad, tag_length, .. } => {
            let tag = rest.get_mut(..tag_length).ok_or(Status::BAD_ARGUMENTS)?;
            driver.gcm_seal(key, iv, aad, data, tag).map_err(crypto_status)?;
            let response = GcmResponse { length, tag_length: u32::try_from(tag_length).unwrap_or(0) };
            (context.put(&response, head), tag_length)
        }
    };
    Ok(fixed.saturating_add(input.len()).saturating_add(appended))
}
