//! Cryptographic messages whose bulk data lies in client memory (document 04, §3.8).
//!
//! Data that can pass in parts is read once, part by part, into the room for the response. Data that must be whole
//! before any of it may be used is copied to the server's memory first: AES-GCM, whose plaintext must not leave before
//! the tag was checked.

use super::aes::{
    KeyRoom, aes_key, check_cbc_length, check_ctr_unused, check_ecb_length, check_gcm_lengths, direction,
};
use super::hash::{advance, join, sha256_state, sha256_words};
#[cfg(feature = "sha512")]
use super::hash::{sha512_state, sha512_variant, sha512_words};
use super::{Operation, append, cmac, public_key};
use crate::context::Context;
use crate::error::crypto_status;
use crate::memory::{Access, Dma};
use crate::platform::Platform;
#[cfg(feature = "sha3")]
use casemate_crypto::Chain;
use casemate_crypto::{AES_BLOCK, CtrState, Driver, HashAlgorithm, HashState, wipe};
use casemate_protocol::message::crypto::{CmacState, action, cipher, hash};
use casemate_protocol::message::crypto_dma::{
    BlocksDmaResponse, CbcDmaRequest, CmacDmaRequest, CmacDmaResponse, CtrDmaRequest, CtrDmaResponse,
    EcbDmaRequest, GcmDmaRequest, GcmDmaResponse, RandomDmaRequest, RandomDmaResponse, Sha2DmaDigestResponse,
    Sha256DmaRequest, Sha256DmaStateResponse,
};
#[cfg(feature = "sha3")]
use casemate_protocol::message::crypto_dma::{Sha3DmaRequest, Sha3DmaResponse};
#[cfg(feature = "sha512")]
use casemate_protocol::message::crypto_dma::{Sha512DmaRequest, Sha512DmaStateResponse};
use casemate_protocol::{DmaBuffer, KeyId, Layout, Status};

/// Runs the operation of a message, whose second algorithm number is `sub`.
pub(super) fn dma<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    operation: Operation<'_>,
    sub: u32,
) -> Result<usize, Status> {
    match (action, operation.algorithm) {
        (action::RANDOM, _) => random(context, operation),
        (action::CIPHER, cipher::AES_ECB) => ecb(context, operation),
        (action::CIPHER, cipher::AES_CBC) => cbc(context, operation),
        (action::CIPHER, cipher::AES_CTR) => ctr(context, operation),
        (action::CIPHER, cipher::AES_GCM) => gcm(context, operation),
        (action::HASH, hash::SHA224) => sha256(context, operation, HashAlgorithm::Sha224),
        (action::HASH, hash::SHA256) => sha256(context, operation, HashAlgorithm::Sha256),
        #[cfg(feature = "sha512")]
        (action::HASH, hash::SHA384) => sha512(context, operation, HashAlgorithm::Sha384),
        #[cfg(feature = "sha512")]
        (action::HASH, hash::SHA512) => sha512(context, operation, HashAlgorithm::Sha512),
        #[cfg(feature = "sha3")]
        (action::HASH, hash::SHA3_224) => sha3(context, operation, HashAlgorithm::Sha3_224),
        #[cfg(feature = "sha3")]
        (action::HASH, hash::SHA3_256) => sha3(context, operation, HashAlgorithm::Sha3_256),
        #[cfg(feature = "sha3")]
        (action::HASH, hash::SHA3_384) => sha3(context, operation, HashAlgorithm::Sha3_384),
        #[cfg(feature = "sha3")]
        (action::HASH, hash::SHA3_512) => sha3(context, operation, HashAlgorithm::Sha3_512),
        (action::CMAC, _) => compute_cmac(context, operation),
        (action::PUBLIC_KEY, _) => public_key::dma::public_key(context, operation, sub),
        _ => Err(Status::NOT_COMPILED_IN),
    }
}

/// As much of `space` as holds whole blocks.
fn whole_blocks(space: &mut [u8], block: usize) -> &mut [u8] {
    let rest = space.len().checked_rem(block).unwrap_or(0);
    let length = space.len().saturating_sub(rest);
    space.get_mut(..length).unwrap_or_default()
}

// ----- random numbers -----

/// As many bytes as the original's generator gives at once.
const MOST_RANDOM: usize = 65_536;

fn random<P: Platform>(context: &mut Context<'_, P>, operation: Operation<'_>) -> Result<usize, Status> {
    let (RandomDmaRequest { output }, _) =
        RandomDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let driver = operation.driver;
    let region = context.dma.open(output, Access::Write)?;
    if region.length() > MOST_RANDOM {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    let mut offset: usize = 0;
    while offset < region.length() {
        let length = region.length().saturating_sub(offset).min(operation.out.len());
        let part =
            operation.out.get_mut(..length).filter(|part| !part.is_empty()).ok_or(Status::BUFFER_SIZE)?;
        driver.fill(part).map_err(crypto_status)?;
        context.dma.write(region, offset, part)?;
        offset = offset.saturating_add(length);
    }
    Ok(context.put(&RandomDmaResponse { refused: DmaBuffer::NONE }, operation.out))
}

// ----- AES -----

/// The key of an operation: the inline bytes if there are any.
fn inline_or_named<'k, P: Platform>(
    context: &mut Context<'_, P>,
    encrypt: u32,
    named: u32,
    inline: &'k [u8],
    room: &'k mut KeyRoom,
) -> Result<&'k [u8], Status> {
    let named = if inline.is_empty() { KeyId::from_u32(named) } else { KeyId::NONE };
    aes_key(context, encrypt, named, inline, room)
}

/// Puts `input` through `step` in parts of whole blocks and writes the result to `output`. Returns the length.
fn transform(
    dma: &mut Dma<'_>,
    input: DmaBuffer,
    output: DmaBuffer,
    space: &mut [u8],
    check_length: impl FnOnce(usize) -> Result<(), Status>,
    mut step: impl FnMut(&mut [u8]) -> Result<(), Status>,
) -> Result<u32, Status> {
    if input.size != output.size {
        return Err(Status::BAD_ARGUMENTS);
    }
    let input = dma.open(input, Access::Read)?;
    let output = dma.open(output, Access::Write)?;
    if input.length() == 0 {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    check_length(input.length())?;
    if output.begins_inside(&input) {
        // A part written would change a part that is still to be read.
        return Err(Status::BAD_ARGUMENTS);
    }
    let space = whole_blocks(space, AES_BLOCK);
    let result = dma.read_parts(input, space, |dma, offset, part| {
        step(part)?;
        dma.write(output, offset, part)
    });
    wipe(space.get_mut(..input.length().min(space.len())).unwrap_or_default());
    result?;
    u32::try_from(input.length()).map_err(|_| Status::BAD_ARGUMENTS)
}

fn ecb<P: Platform>(context: &mut Context<'_, P>, operation: Operation<'_>) -> Result<usize, Status> {
    let (request, tail) =
        EcbDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let inline = request.tail(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut room = KeyRoom::zero();
    let key = inline_or_named(context, request.encrypt, request.key, inline, &mut room)?;
    let driver = operation.driver;
    let (input, output) = (request.input, request.output);
    let length = transform(&mut context.dma, input, output, operation.out, check_ecb_length, |data| {
        driver.ecb(direction(request.encrypt), key, data).map_err(crypto_status)
    })?;
    Ok(context.put(&BlocksDmaResponse { refused: DmaBuffer::NONE, length }, operation.out))
}

fn cbc<P: Platform>(context: &mut Context<'_, P>, operation: Operation<'_>) -> Result<usize, Status> {
    let (request, tail) =
        CbcDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let (mut iv, inline) = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut room = KeyRoom::zero();
    let key = inline_or_named(context, request.encrypt, request.key, inline, &mut room)?;
    let driver = operation.driver;
    let CbcDmaRequest { input, output, encrypt, .. } = request;
    let check = |length| check_cbc_length(encrypt, length);
    let length = transform(&mut context.dma, input, output, operation.out, check, |data| {
        driver.cbc(direction(encrypt), key, &mut iv, data).map_err(crypto_status)
    })?;
    let fixed = context.put(&BlocksDmaResponse { refused: DmaBuffer::NONE, length }, operation.out);
    append(operation.out.get_mut(fixed..).unwrap_or_default(), &iv)?;
    Ok(fixed.saturating_add(iv.len()))
}

fn ctr<P: Platform>(context: &mut Context<'_, P>, operation: Operation<'_>) -> Result<usize, Status> {
    let (request, tail) =
        CtrDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut room = KeyRoom::zero();
    let key = inline_or_named(context, request.encrypt, request.key, tails.key, &mut room)?;
    let unused = usize::try_from(request.unused).unwrap_or(usize::MAX);
    check_ctr_unused(unused)?;
    let mut state = CtrState { counter: tails.counter, keystream: tails.keystream, unused };
    let driver = operation.driver;
    let (input, output) = (request.input, request.output);
    let length = transform(
        &mut context.dma,
        input,
        output,
        operation.out,
        |_| Ok(()),
        |data| driver.ctr(key, &mut state, data).map_err(crypto_status),
    )?;
    let unused = u32::try_from(state.unused).unwrap_or(0);
    let fixed = context.put(&CtrDmaResponse { refused: DmaBuffer::NONE, length, unused }, operation.out);
    let rest = append(operation.out.get_mut(fixed..).unwrap_or_default(), &state.counter)?;
    append(rest, &state.keystream)?;
    Ok(fixed.saturating_add(2 * AES_BLOCK))
}

fn gcm<P: Platform>(context: &mut Context<'_, P>, operation: Operation<'_>) -> Result<usize, Status> {
    let (request, tail) =
        GcmDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tag_length = usize::try_from(request.tag_length).map_err(|_| Status::BAD_ARGUMENTS)?;
    let GcmDmaRequest { input, output, aad, encrypt, .. } = request;
    if input.size != output.size {
        return Err(Status::BAD_ARGUMENTS);
    }
    let mut room = KeyRoom::zero();
    let key = inline_or_named(context, encrypt, request.key, tails.key, &mut room)?;
    let driver = operation.driver;
    let dma = &mut context.dma;
    let input = dma.open(input, Access::Read)?;
    let aad = dma.open(aad, Access::Read)?;
    let output = dma.open(output, Access::Write)?;
    check_gcm_lengths(tails.iv, tag_length)?;
    let needed = aad.length().saturating_add(input.length());
    let space = dma.larger_space(operation.out, needed);
    let (aad_space, data_space) = space.split_at_mut_checked(aad.length()).ok_or(Status::BUFFER_SIZE)?;
    let aad = dma.copy_in(aad, aad_space)?;
    let data = dma.copy_in(input, data_space)?;
    let mut tag = [0; AES_BLOCK];
    let result = if encrypt == 0 {
        driver.gcm_open(key, tails.iv, aad, data, tails.tag)
    } else {
        let tag = tag.get_mut(..tag_length).ok_or(Status::CRYPTO_ARGUMENT)?;
        driver.gcm_seal(key, tails.iv, aad, data, tag)
    };
    let result = result.map_err(crypto_status).and_then(|()| dma.write(output, 0, data));
    let length = u32::try_from(data.len()).unwrap_or(0);
    wipe(data);
    result?;
    let tag_length = if encrypt == 0 { 0 } else { tag_length };
    let response = GcmDmaResponse {
        refused: DmaBuffer::NONE,
        length,
        tag_length: u32::try_from(tag_length).unwrap_or(0),
    };
    let fixed = context.put(&response, operation.out);
    let tag = tag.get(..tag_length).unwrap_or_default();
    append(operation.out.get_mut(fixed..).unwrap_or_default(), tag)?;
    Ok(fixed.saturating_add(tag_length))
}

// ----- hashes -----

/// What a hash request says besides its state.
struct Blocks<'a> {
    last: bool,
    /// Length of the inline data.
    length: u32,
    /// What follows the request: the inline data.
    tail: &'a [u8],
    input: DmaBuffer,
}

/// Takes in the inline data, then the data in client memory; returns the digest of a final request.
fn absorb<P: Platform>(
    context: &mut Context<'_, P>,
    driver: &dyn Driver,
    state: &mut HashState,
    blocks: &Blocks<'_>,
    space: &mut [u8],
) -> Result<Option<[u8; 64]>, Status> {
    let block = state.algorithm().block_size();
    let size = usize::try_from(blocks.input.size).map_err(|_| Status::BAD_ARGUMENTS)?;
    if !size.is_multiple_of(block) || (blocks.last && size != 0) {
        return Err(Status::BAD_ARGUMENTS);
    }
    let region = context.dma.open(blocks.input, Access::Read)?;
    let mut digest = [0; 64];
    advance(driver, state, blocks.last, blocks.length, blocks.tail, &mut digest)?;
    context.dma.read_parts(region, whole_blocks(space, block), |_, _, part| {
        driver.compress(state, part).map_err(crypto_status)
    })?;
    Ok(blocks.last.then_some(digest))
}

fn digest_response(digest: [u8; 64], variant: u32) -> Sha2DmaDigestResponse {
    Sha2DmaDigestResponse { refused: DmaBuffer::NONE, digest, length_high: 0, length_low: 0, variant }
}

fn sha256<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    algorithm: HashAlgorithm,
) -> Result<usize, Status> {
    let (request, tail) =
        Sha256DmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut state = sha256_state(algorithm, request.state, join(request.length_high, request.length_low))?;
    let driver = operation.driver;
    let Sha256DmaRequest { input, last, length, .. } = request;
    let blocks = Blocks { last: last != 0, length, tail, input };
    let variant = operation.algorithm;
    if let Some(digest) = absorb(context, driver, &mut state, &blocks, operation.out)? {
        return Ok(context.put(&digest_response(digest, variant), operation.out));
    }
    let (state, (length_high, length_low)) = sha256_words(&state)?;
    let refused = DmaBuffer::NONE;
    let response = Sha256DmaStateResponse { refused, state, length_high, length_low, variant };
    Ok(context.put(&response, operation.out))
}

#[cfg(feature = "sha512")]
fn sha512<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    algorithm: HashAlgorithm,
) -> Result<usize, Status> {
    let (request, tail) =
        Sha512DmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let (algorithm, variant) = sha512_variant(algorithm, operation.algorithm, request.variant);
    let mut state = sha512_state(algorithm, request.state, join(request.length_high, request.length_low))?;
    let driver = operation.driver;
    let Sha512DmaRequest { input, last, length, .. } = request;
    let blocks = Blocks { last: last != 0, length, tail, input };
    if let Some(digest) = absorb(context, driver, &mut state, &blocks, operation.out)? {
        return Ok(context.put(&digest_response(digest, variant), operation.out));
    }
    let (state, (length_high, length_low)) = sha512_words(&state)?;
    let refused = DmaBuffer::NONE;
    let response = Sha512DmaStateResponse { refused, state, length_high, length_low, variant };
    Ok(context.put(&response, operation.out))
}

#[cfg(feature = "sha3")]
fn sha3<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    algorithm: HashAlgorithm,
) -> Result<usize, Status> {
    let (request, tail) =
        Sha3DmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut state = HashState::from_chain(algorithm, Chain::Lanes(request.state)).map_err(crypto_status)?;
    let driver = operation.driver;
    let Sha3DmaRequest { input, last, length, .. } = request;
    let blocks = Blocks { last: last != 0, length, tail, input };
    let refused = DmaBuffer::NONE;
    let response = match absorb(context, driver, &mut state, &blocks, operation.out)? {
        Some(digest) => Sha3DmaResponse { state: [0; 25], refused, digest },
        None => {
            let &Chain::Lanes(state) = state.chain() else { return Err(Status::ABORTED) };
            Sha3DmaResponse { state, refused, digest: [0; 64] }
        }
    };
    Ok(context.put(&response, operation.out))
}

// ----- CMAC -----

/// Data in client memory alone and a MAC length: one shot, whatever the state. Everything else goes on from the state:
/// absorbs the inline data, then the data in client memory, and finishes if a MAC is wanted.
fn compute_cmac<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        CmacDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let tails = request.tails(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
    let CmacDmaRequest { input, mac_length, .. } = request;
    let is_whole = tails.input.is_empty() && input.size != 0 && mac_length != 0;
    let opened = if is_whole { Some(context.dma.open(input, Access::Read)?) } else { None };
    let mut room = KeyRoom::zero();
    let keyed = cmac::keyed(context, tails.key, request.key, mac_length, &mut room)?;
    let driver = operation.driver;
    let mut state = if is_whole {
        casemate_crypto::CmacState::default()
    } else {
        cmac::check_state(context, driver, &keyed, &request.state())?;
        cmac::resume(&request.state())
    };
    let region = match opened {
        Some(region) => region,
        None => context.dma.open(input, Access::Read)?,
    };
    driver.cmac_update(keyed.key, &mut state, tails.input).map_err(crypto_status)?;
    context.dma.read_parts(region, operation.out, |_, _, part| {
        driver.cmac_update(keyed.key, &mut state, part).map_err(crypto_status)
    })?;
    let mut mac = [0; 16];
    let length = usize::try_from(mac_length).map_err(|_| Status::BUFFER)?;
    let mac = mac.get_mut(..length).ok_or(Status::BUFFER)?;
    let mut kept = CmacState::INITIAL;
    let key = if mac.is_empty() {
        cmac::suspend(context, driver, &keyed, &state, &mut kept).map_err(crypto_status)?;
        request.key
    } else {
        driver.cmac_finish(keyed.key, &state, mac).map_err(crypto_status)?;
        KeyId::NONE
    };
    let CmacState { buffer, digest, buffered, total } = kept;
    let refused = DmaBuffer::NONE;
    let response = CmacDmaResponse { buffer, digest, buffered, total, refused, mac_length, key };
    let fixed = context.put(&response, operation.out);
    append(operation.out.get_mut(fixed..).unwrap_or_default(), mac)?;
    Ok(fixed.saturating_add(mac.len()))
}
