//! Hashes whose state the client holds (document 04, §6).

use super::Operation;
use crate::context::Context;
use crate::error::crypto_status;
use crate::platform::Platform;
use casemate_crypto::{Chain, Hash, HashAlgorithm, HashState};
#[cfg(feature = "sha512")]
use casemate_protocol::message::crypto::Sha512Request;
use casemate_protocol::message::crypto::{Sha2DigestResponse, Sha256Request, hash};
#[cfg(feature = "sha3")]
use casemate_protocol::message::crypto::{Sha3Request, Sha3Response};
use casemate_protocol::{Layout, Status, Writer};

fn named(number: u32) -> Option<HashAlgorithm> {
    Some(match number {
        hash::SHA224 => HashAlgorithm::Sha224,
        hash::SHA256 => HashAlgorithm::Sha256,
        #[cfg(feature = "sha512")]
        hash::SHA384 => HashAlgorithm::Sha384,
        #[cfg(feature = "sha512")]
        hash::SHA512 => HashAlgorithm::Sha512,
        #[cfg(feature = "sha3")]
        hash::SHA3_224 => HashAlgorithm::Sha3_224,
        #[cfg(feature = "sha3")]
        hash::SHA3_256 => HashAlgorithm::Sha3_256,
        #[cfg(feature = "sha3")]
        hash::SHA3_384 => HashAlgorithm::Sha3_384,
        #[cfg(feature = "sha3")]
        hash::SHA3_512 => HashAlgorithm::Sha3_512,
        _ => return None,
    })
}

#[inline(never)]
pub(super) fn hash<P: Platform>(context: &Context<'_, P>, operation: Operation<'_>) -> Result<usize, Status> {
    let Operation { algorithm: number, driver, body, out } = operation;
    let algorithm = named(number).ok_or(Status::NOT_COMPILED_IN)?;
    let (mut state, variant, last, length, tail);
    match algorithm {
        HashAlgorithm::Sha224 | HashAlgorithm::Sha256 => {
            let decoded = Sha256Request::decode(body, context.order);
            let (request, rest) = decoded.as_ref().map_err(|_| Status::BAD_ARGUMENTS)?;
            let count = join(request.length_high, request.length_low);
            state = HashState::new(algorithm);
            *state.chain_mut() = Chain::Words32 { words: request.state, length: count };
            (variant, last, length, tail) = (number, request.last, request.length, *rest);
        }
        #[cfg(feature = "sha512")]
        HashAlgorithm::Sha384 | HashAlgorithm::Sha512 => {
            let decoded = Sha512Request::decode(body, context.order);
            let (request, rest) = decoded.as_ref().map_err(|_| Status::BAD_ARGUMENTS)?;
            let executed;
            (executed, variant) = sha512_variant(algorithm, number, request.variant);
            let count = join(request.length_high, request.length_low);
            state = HashState::new(executed);
            *state.chain_mut() = Chain::Words64 { words: request.state, length: u128::from(count) };
            (last, length, tail) = (request.last, request.length, *rest);
        }
        #[cfg(feature = "sha3")]
        _ => {
            let request;
            (request, tail) = Sha3Request::decode(body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
            state = HashState::new(algorithm);
            *state.chain_mut() = Chain::Lanes(request.state);
            (variant, last, length) = (number, request.last, request.length);
        }
        #[cfg(not(feature = "sha3"))]
        _ => return Err(Status::NOT_COMPILED_IN),
    }
    let last = last != 0;
    let mut digest = [0; 64];
    advance(driver, &mut state, last, length, tail, &mut digest)?;
    // An unfinished SHA-2 is answered by its words where a finished one has its digest.
    let mut writer = Writer::new(&mut digest, context.order);
    let count = match state.chain() {
        #[cfg(feature = "sha3")]
        Chain::Lanes(lanes) => {
            let state = if last { [0; 25] } else { *lanes };
            return Ok(context.put(&Sha3Response { state, digest }, out));
        }
        _ if last => 0,
        #[cfg(feature = "sha512")]
        Chain::Words64 { words, length } => {
            words.iter().try_for_each(|&word| writer.put(word)).map_err(|_| Status::ABORTED)?;
            u64::try_from(*length).map_err(|_| Status::BAD_ARGUMENTS)?
        }
        Chain::Words32 { words, length } => {
            words.iter().try_for_each(|&word| writer.put(word)).map_err(|_| Status::ABORTED)?;
            *length
        }
        _ => return Err(Status::ABORTED),
    };
    let (length_high, length_low) = split(count);
    Ok(context.put(&Sha2DigestResponse { length_high, length_low, digest, variant }, out))
}

/// Compresses whole blocks, or finishes with a partial one and writes the digest to the front of `digest`.
pub(super) fn advance(
    driver: &(impl Hash + ?Sized),
    state: &mut HashState,
    last: bool,
    length: u32,
    tail: &[u8],
    digest: &mut [u8; 64],
) -> Result<(), Status> {
    let length = usize::try_from(length).map_err(|_| Status::BAD_ARGUMENTS)?;
    let data = tail.get(..length).ok_or(Status::BAD_ARGUMENTS)?;
    let algorithm = state.algorithm();
    if last {
        if data.len() >= algorithm.block_size() {
            return Err(Status::BAD_ARGUMENTS);
        }
        let size = algorithm.digest_size().unwrap_or(0);
        let out = digest.get_mut(..size).ok_or(Status::BAD_ARGUMENTS)?;
        driver.finish(state, data, out).map_err(crypto_status)
    } else {
        if !data.len().is_multiple_of(algorithm.block_size()) {
            return Err(Status::BAD_ARGUMENTS);
        }
        driver.compress(state, data).map_err(crypto_status)
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

#[cfg(feature = "dma")]
pub(super) fn sha256_state(
    algorithm: HashAlgorithm,
    words: [u32; 8],
    length: u64,
) -> Result<HashState, Status> {
    HashState::from_chain(algorithm, Chain::Words32 { words, length }).map_err(crypto_status)
}

/// Chaining variables and the two words of the length.
#[cfg(feature = "dma")]
pub(super) fn sha256_words(state: &HashState) -> Result<([u32; 8], (u32, u32)), Status> {
    let &Chain::Words32 { words, length } = state.chain() else { return Err(Status::ABORTED) };
    Ok((words, split(length)))
}

#[cfg(all(feature = "dma", feature = "sha512"))]
pub(super) fn sha512_state(
    algorithm: HashAlgorithm,
    words: [u64; 8],
    length: u64,
) -> Result<HashState, Status> {
    let chain = Chain::Words64 { words, length: u128::from(length) };
    HashState::from_chain(algorithm, chain).map_err(crypto_status)
}

/// Chaining variables and the two words of the length.
#[cfg(all(feature = "dma", feature = "sha512"))]
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
