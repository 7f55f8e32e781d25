//! The random generator (document 06, §7). Its numbers follow from SECRET_KEY and the stored seed alone, as the
//! standard wants it: a client that needs unpredictable numbers asks the CRYPTO group.

use super::{Outcome, State, Surroundings, empty, with_state};
use crate::context::Context;
use crate::error::crypto_status;
use crate::platform::Platform;
use casemate_crypto::she::{Block, Prng, extended_seed};
use casemate_protocol::message::she::{ExtendSeedRequest, action, slot};
use casemate_protocol::{Layout, Metadata, Status};
use zeroize::Zeroizing;

impl<P: Platform> Surroundings<'_, P> {
    /// The bytes of the key in a slot, and its metadata. Not inlined: the rest of the slot is not on the stack while they are
    /// used.
    #[inline(never)]
    fn copy_key(&mut self, number: u8, to: &mut Zeroizing<Block>) -> Result<Metadata, Status> {
        let id = self.slot(number);
        let key = self
            .keys(|keys| keys.slot(id))
            .map_err(|_| Status::SHE_KEY_NOT_AVAILABLE)?
            .key_or(Status::SHE_KEY_NOT_AVAILABLE)?;
        **to = *key.bytes;
        Ok(key.metadata)
    }

    /// Stores a new seed; the slot keeps its label.
    fn set_seed(&mut self, old: Metadata, seed: &Block) -> Result<(), Status> {
        self.keys(|keys| keys.set_slot(old, seed)).map_err(|_| Status::SHE_KEY_UPDATE_ERROR)
    }
}

/// INIT_RANDOM.
pub(super) fn init<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Outcome {
    with_state(context, action::INIT_RANDOM, |state, surroundings| Ok(start(state, surroundings, payload)))
}

/// The seed is renewed in the store before the first number is given out, so that no restart repeats one.
fn start<P: Platform>(
    state: &mut State,
    surroundings: &mut Surroundings<'_, P>,
    payload: &[u8],
) -> Result<(), Status> {
    empty(payload)?;
    if state.prng.is_some() {
        return Err(Status::SHE_SEQUENCE_ERROR);
    }
    let (mut secret, mut seed) = (Zeroizing::default(), Zeroizing::default());
    surroundings.copy_key(slot::SECRET_KEY, &mut secret)?;
    let old = surroundings.copy_key(slot::PRNG_SEED, &mut seed)?;
    let prng = Prng::start(surroundings.driver(), &secret, &mut seed).map_err(crypto_status)?;
    surroundings.set_seed(old, &seed)?;
    state.prng = Some(prng);
    Ok(())
}

/// RANDOM.
pub(super) fn next<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<Block, Status> {
    with_state(context, action::RANDOM, |state, surroundings| {
        empty(payload)?;
        let prng = state.prng.as_mut().ok_or(Status::SHE_RNG_SEED)?;
        prng.next(surroundings.driver()).map_err(crypto_status)
    })
}

/// EXTEND_SEED.
pub(super) fn extend<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Outcome {
    with_state(context, action::EXTEND_SEED, |state, surroundings| Ok(mix(state, surroundings, payload)))
}

/// The stored seed goes on from its present value, where the original starts from a stale one.
fn mix<P: Platform>(
    state: &mut State,
    surroundings: &mut Surroundings<'_, P>,
    payload: &[u8],
) -> Result<(), Status> {
    let (request, _) =
        ExtendSeedRequest::decode(payload, surroundings.order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
    let prng = state.prng.as_mut().ok_or(Status::SHE_RNG_SEED)?;
    prng.extend(surroundings.driver(), &request.entropy).map_err(crypto_status)?;
    let mut seed = Zeroizing::default();
    let old = surroundings.copy_key(slot::PRNG_SEED, &mut seed)?;
    let seed = extended_seed(surroundings.driver(), &seed, &request.entropy).map_err(crypto_status)?;
    surroundings.set_seed(old, &seed)
}
