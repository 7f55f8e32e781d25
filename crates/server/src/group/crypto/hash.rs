//! Hashes whose state the client holds (document 04, §6).

use super::Operation;
use crate::context::Context;
use crate::error::crypto_status;
use crate::platform::Platform;
use casemate_crypto::{Chain, Hash, HashAlgorithm, HashState};
use casemate_protocol::message::crypto::{Sha2DigestResponse, Sha256Request, Sha256StateResponse, hash};
#[cfg(feature = "sha3")]
use casemate_protocol::message::crypto::{Sha3Request, Sha3Response};
#[cfg(feature = "sha512")]
use casemate_protocol::message::crypto::{Sha512Request, Sha512StateResponse};
use casemate_protocol::{Layout, Status};

pub(super) fn hash<P: Platform>(context: &Context<'_, P>, operation: Operation<'_>) -> Result<usize, Status> {
    match operation.algorithm {
        hash::SHA224 => sha256(context, operation, HashAlgorithm::Sha224),
        hash::SHA256 => sha256(context, operation, HashAlgorithm::Sha256),
        #[cfg(feature = "sha512")]
        hash::SHA384 => sha512(context, operation, HashAlgorithm::Sha384),
        #[cfg(feature = "sha512")]
        hash::SHA512 => sha512(context, operation, HashAlgorithm::Sha512),
        #[cfg(feature = "sha3")]
        hash::SHA3_224 => sha3(context, operation, HashAlgorithm::Sha3_224),
        #[cfg(feature = "sha3")]
        hash::SHA3_256 => sha3(context, operation, HashAlgorithm::Sha3_256),
        #[cfg(feature = "sha3")]
        hash::SHA3_384 => sha3(context, operation, HashAlgorithm::Sha3_384),
        #[cfg(feature = "sha3")]
        hash::SHA3_512 => sha3(context, operation, HashAlgorithm::Sha3_512),
        _ => Err(Status::NOT_COMPILED_IN),
    }
}

/// Compresses whole blocks, or finishes with a partial one and returns the digest, padded with zeros.
pub(super) fn advance(
    driver: &(impl Hash + ?Sized),
    state: &mut HashState,
    last: bool,
    length: u32,
    tail: &[u8],
) -> Result<Option<[u8; 64]>, Status> {
    let length = usize::try_from(length).map_err(|_| Status::BAD_ARGUMENTS)?;
    let data = tail.get(..length).ok_or(Status::BAD_ARGUMENTS)?;
    let algorithm = state.algorithm();
    if last {
        if data.len() >= algorithm.block_size() {
            return Err(Status::BAD_ARGUMENTS);
        }
        let mut digest = [0; 64];
        let size = algorithm.digest_size().unwrap_or(0);
        let out = digest.get_mut(..size).ok_or(Status::BAD_ARGUMENTS)?;
        driver.finish(state, data, out).map_err(crypto_status)?;
        Ok(Some(digest))
    } else {
        if !data.len().is_multiple_of(algorithm.block_size()) {
            return Err(Status::BAD_ARGUMENTS);
        }
        driver.compress(state, data).map_err(crypto_status)?;
        Ok(None)
    }
}

/// The count of bytes in two words. The original loses the high word of SHA-384 and SHA-512; its clients repeat both
/// words as they got them, so with both kept their digests come out right.
pub(super) const fn join(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

#[allow(clippy::cast_possible_truncation)] // Cut into its two halves on purpose.
const fn split(length: u64) -> (u32, u32) {
    ((length >> 32) as u32, length as u32)
}

pub(super) fn sha256_state(
    algorithm: HashAlgorithm,
    words: [u32; 8],
    length: u64,
) -> Result<HashState, Status> {
    HashState::from_chain(algorithm, Chain::Words32 { words, length }).map_err(crypto_status)
}

/// Chaining variables and the two words of the length.
pub(super) fn sha256_words(state: &HashState) -> Result<([u32; 8], (u32, u32)), Status> {
    let &Chain::Words32 { words, length } = state.chain() else { return Err(Status::ABORTED) };
    Ok((words, split(length)))
}

#[cfg(feature = "sha512")]
pub(super) fn sha512_state(
    algorithm: HashAlgorithm,
    words: [u64; 8],
    length: u64,
) -> Result<HashState, Status> {
    let chain = Chain::Words64 { words, length: u128::from(length) };
    HashState::from_chain(algorithm, chain).map_err(crypto_status)
}

/// Chaining variables and the two words of the length.
#[cfg(feature = "sha512")]
pub(super) fn sha512_words(state: &HashState) -> Result<([u64; 8], (u32, u32)), Status> {
    let &Chain::Words64 { words, length } = state.chain() else { return Err(Status::ABORTED) };
    Ok((words, split(u64::try_from(length).map_err(|_| Status::BAD_ARGUMENTS)?)))
}

/// Messages for SHA-512 name its truncated variants in a field of their own.
#[cfg(feature = "sha512")]
pub(super) const fn sha512_variant(
    algorithm: HashAlgorithm,
    number: u32,
    variant: u32,
) -> (HashAlgorithm, u32) {
    match (algorithm, variant) {
        (HashAlgorithm::Sha512, hash::SHA512_224) => (HashAlgorithm::Sha512_224, hash::SHA512_224),
        (HashAlgorithm::Sha512, hash::SHA512_256) => (HashAlgorithm::Sha512_256, hash::SHA512_256),
        _ => (algorithm, number),
    }
}

fn digest_response(digest: [u8; 64], variant: u32) -> Sha2DigestResponse {
    Sha2DigestResponse { length_high: 0, length_low: 0, digest, variant }
}

#[inline(never)]
fn sha256<P: Platform>(
    context: &Context<'_, P>,
    operation: Operation<'_>,
    algorithm: HashAlgorithm,
) -> Result<usize, Status> {
    let (request, tail) =
        Sha256Request::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut state = sha256_state(algorithm, request.state, join(request.length_high, request.length_low))?;
    let driver = operation.driver;
    let variant = operation.algorithm;
    if let Some(digest) = advance(driver, &mut state, request.last != 0, request.length, tail)? {
        return Ok(context.put(&digest_response(digest, variant), operation.out));
    }
    let (words, (length_high, length_low)) = sha256_words(&state)?;
    Ok(context.put(&Sha256StateResponse { length_high, length_low, state: words, variant }, operation.out))
}

#[cfg(feature = "sha512")]
#[inline(never)]
fn sha512<P: Platform>(
    context: &Context<'_, P>,
    operation: Operation<'_>,
    algorithm: HashAlgorithm,
) -> Result<usize, Status> {
    let (request, tail) =
        Sha512Request::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let (algorithm, variant) = sha512_variant(algorithm, operation.algorithm, request.variant);
    let mut state = sha512_state(algorithm, request.state, join(request.length_high, request.length_low))?;
    let driver = operation.driver;
    if let Some(digest) = advance(driver, &mut state, request.last != 0, request.length, tail)? {
        return Ok(context.put(&digest_response(digest, variant), operation.out));
    }
    let (words, (length_high, length_low)) = sha512_words(&state)?;
    Ok(context.put(&Sha512StateResponse { length_high, length_low, state: words, variant }, operation.out))
}

#[cfg(feature = "sha3")]
#[inline(never)]
fn sha3<P: Platform>(
    context: &Context<'_, P>,
    operation: Operation<'_>,
    algorithm: HashAlgorithm,
) -> Result<usize, Status> {
    let (request, tail) =
        Sha3Request::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut state = HashState::from_chain(algorithm, Chain::Lanes(request.state)).map_err(crypto_status)?;
    let driver = operation.driver;
    let response = match advance(driver, &mut state, request.last != 0, request.length, tail)? {
        Some(digest) => Sha3Response { state: [0; 25], digest },
        None => {
            let &Chain::Lanes(lanes) = state.chain() else { return Err(Status::ABORTED) };
            Sha3Response { state: lanes, digest: [0; 64] }
        }
    };
    Ok(context.put(&response, operation.out))
}
