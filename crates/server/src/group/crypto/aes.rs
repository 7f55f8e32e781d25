//! AES in CBC, ECB, CTR and GCM mode (document 04, §5).

use super::{Operation, append, fetch, place};
use crate::context::Context;
use crate::error::crypto_status;
use crate::keys::Usage;
use crate::platform::Platform;
use casemate_crypto::{AES_BLOCK, CtrState, Direction, Secret};
use casemate_protocol::message::crypto::{
    CbcResponse, CipherMode, CipherRequest, CipherResponseStart, CtrResponse, EcbResponse, GcmResponse,
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

/// A block has no more unused bytes than bytes.
pub(super) const fn check_ctr_unused(unused: usize) -> Result<(), Status> {
    if unused <= AES_BLOCK { Ok(()) } else { Err(Status::BAD_ARGUMENTS) }
}

/// The shortest tag that the original's clients can ask for.
const SHORTEST_GCM_TAG: usize = 12;

pub(super) fn check_gcm_lengths(iv: &[u8], tag_length: usize) -> Result<(), Status> {
    let is_tag = (SHORTEST_GCM_TAG..=AES_BLOCK).contains(&tag_length);
    if iv.is_empty() || !is_tag { Err(Status::CRYPTO_ARGUMENT) } else { Ok(()) }
}

/// Copies a part of a request that is as long as a block to its place.
fn load(block: &mut [u8; AES_BLOCK], part: &[u8]) {
    block.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
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
    let request = CipherRequest::decode(algorithm, body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let CipherRequest { mode, encrypt, key, input, inline_key, number, tails } =
        request.ok_or(Status::NOT_COMPILED_IN)?;
    let [first, second, third] = tails;
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let size = match mode {
        CipherMode::Cbc => CbcResponse::SIZE,
        CipherMode::Ecb => EcbResponse::SIZE,
        CipherMode::Ctr => CtrResponse::SIZE,
        CipherMode::Gcm => {
            // In this mode the room for the response comes before the key.
            let tag_length = if encrypt == 0 { 0 } else { number };
            if out.len() < GcmResponse::SIZE.saturating_add(input.len()).saturating_add(tag_length) {
                return Err(Status::BAD_ARGUMENTS);
            }
            GcmResponse::SIZE
        }
    };
    let mut room = KeyRoom::zero();
    let key = aes_key(context, encrypt, key, inline_key, &mut room)?;
    match mode {
        CipherMode::Cbc => check_cbc_length(encrypt, input.len()),
        CipherMode::Ecb => check_ecb_length(input.len()),
        CipherMode::Ctr => check_ctr_unused(number),
        CipherMode::Gcm => check_gcm_lengths(first, number),
    }?;

    let (head, out) = out.split_at_mut_checked(size).ok_or(Status::BAD_ARGUMENTS)?;
    let (data, rest) = place(out, 0, input)?;
    let direction = direction(encrypt);
    let result = match mode {
        CipherMode::Cbc => {
            let mut iv = [0; AES_BLOCK];
            load(&mut iv, first);
            let result = driver.cbc(direction, key, &mut iv, data).map_err(crypto_status);
            result.and_then(|()| append(rest, &iv)).map(|_| (0, AES_BLOCK))
        }
        CipherMode::Ecb => driver.ecb(direction, key, data).map_err(crypto_status).map(|()| (0, 0)),
        CipherMode::Ctr => {
            let mut state = CtrState::new([0; AES_BLOCK]);
            load(&mut state.counter, first);
            load(&mut state.keystream, second);
            state.unused = number;
            let result = driver.ctr(key, &mut state, data).map_err(crypto_status);
            let result = result.and_then(|()| append(rest, &state.counter));
            result.and_then(|rest| append(rest, &state.keystream)).map(|_| (state.unused, 2 * AES_BLOCK))
        }
        CipherMode::Gcm if encrypt == 0 => {
            driver.gcm_open(key, first, second, data, third).map_err(crypto_status).map(|()| (0, 0))
        }
        CipherMode::Gcm => {
            let tag = rest.get_mut(..number).ok_or(Status::BAD_ARGUMENTS)?;
            driver.gcm_seal(key, first, second, data, tag).map_err(crypto_status).map(|()| (number, number))
        }
    };
    let (number, appended) = result?;
    // All modes have the data's length and this number first, then zeros.
    head.fill(0);
    let word = |number| u32::try_from(number).unwrap_or(0);
    context.put(&CipherResponseStart { length: word(input.len()), number: word(number) }, head);
    Ok(size.saturating_add(input.len()).saturating_add(appended))
}
