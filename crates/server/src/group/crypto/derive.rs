//! Key derivation: HKDF and two-step CMAC (document 04, §8). The derived key is returned or cached.
//!
//! The original writes a long output over the information that it still reads, so that outputs beyond its first
//! blocks come out wrong; here they are what the standards say.

use super::new_key::Slots;
use crate::context::Context;
use crate::keys::{Usage, Wanted};
use crate::platform::Platform;
use casemate_crypto::wipe;
use casemate_protocol::message::crypto::KdfResponse;
use casemate_protocol::{Flags, Layout, Status};

#[cfg(feature = "cmac-derivation")]
mod cmac;
#[cfg(feature = "hkdf")]
mod hkdf;

#[cfg(feature = "cmac-derivation")]
pub(super) use cmac::cmac_kdf;
#[cfg(feature = "hkdf")]
pub(super) use hkdf::hkdf;

const DERIVE: Usage = Usage::All(Flags::USAGE_DERIVE);
/// Longest key that may be derived from by identifier.
const LONGEST_INPUT: usize = 256;

/// The room for the response, and behind it that for a key of this length: keys are derived there, and moved to the cache
/// if they are to be cached.
fn split(out: &mut [u8], length: u32) -> Result<(&mut [u8], &mut [u8]), Status> {
    let (head, rest) = out.split_at_mut_checked(KdfResponse::SIZE).ok_or(Status::BAD_ARGUMENTS)?;
    let length = usize::try_from(length).map_err(|_| Status::BAD_ARGUMENTS)?;
    Ok((head, rest.get_mut(..length).ok_or(Status::BAD_ARGUMENTS)?))
}

/// Returns a derived key, which lies in the response, or moves it from there to the cache.
#[inline(never)]
fn deliver<P: Platform>(
    context: &mut Context<'_, P>,
    head: &mut [u8],
    key: &mut [u8],
    wanted: &Wanted<'_>,
) -> Result<usize, Status> {
    if wanted.is_ephemeral() {
        let length = u32::try_from(key.len()).unwrap_or(0);
        return Ok(context.put(&KdfResponse { key: 0, length }, head).saturating_add(key.len()));
    }
    let cached = wanted.cache(context, key, Slots::OfSize);
    wipe(key);
    Ok(context.put(&KdfResponse { key: u32::from(cached?.0), length: 0 }, head))
}
