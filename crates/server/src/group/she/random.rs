//! The random generator (document 06, §7). Its numbers follow from SECRET_KEY and the stored seed alone, as the
//! standard wants it: a client that needs unpredictable numbers asks the CRYPTO group.

use super::{Command, State};
use crate::error::crypto_status;
use crate::platform::Platform;
use casemate_crypto::Secret;
use casemate_crypto::she::{Block, Prng, extend_seed};
use casemate_protocol::message::she::{ExtendSeedRequest, RandomResponse, slot};
use casemate_protocol::{Metadata, Status};

impl<P: Platform> Command<'_, P> {
    /// Reads SECRET_KEY or the seed.
    fn random_key(&mut self, number: u8, metadata: &mut Metadata, to: &mut Block) -> Result<(), Status> {
        self.read_key(number, metadata, to).map_err(|_| Status::SHE_KEY_NOT_AVAILABLE)
    }

    /// Stores a new seed; the slot keeps its label.
    fn set_seed(&mut self, old: &Metadata, seed: &Block) -> Result<(), Status> {
        self.store_key(old, seed).map_err(|_| Status::SHE_KEY_UPDATE_ERROR)
    }
}

/// INIT_RANDOM. The seed is renewed in the store before the first number is given out, so that no restart repeats one.
pub(super) fn init<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    command.expect_empty()?;
    if state.prng.is_some() {
        return Err(Status::SHE_SEQUENCE_ERROR);
    }
    let (mut secret, mut seed) = (Secret::zero(), Secret::zero());
    let mut old = Metadata::default();
    command.random_key(slot::SECRET_KEY, &mut old, &mut secret)?;
    command.random_key(slot::PRNG_SEED, &mut old, &mut seed)?;
    let prng = Prng::start(command.driver(), &secret, &mut seed).map_err(crypto_status)?;
    command.set_seed(&old, &seed)?;
    state.prng = Some(prng);
    Ok(())
}

/// RANDOM.
pub(super) fn next<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    command.expect_empty()?;
    let prng = state.prng.as_mut().ok_or(Status::SHE_RNG_SEED)?;
    let random = prng.next(command.driver()).map_err(crypto_status)?;
    command.respond(&RandomResponse { status: Status::OK, random })
}

/// EXTEND_SEED. The stored seed goes on from its present value, where the original starts from a stale one.
pub(super) fn extend<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    let (ExtendSeedRequest { entropy }, _) = command.request()?;
    let prng = state.prng.as_mut().ok_or(Status::SHE_RNG_SEED)?;
    prng.extend(command.driver(), &entropy).map_err(crypto_status)?;
    let (mut seed, mut old) = (Secret::zero(), Metadata::default());
    command.random_key(slot::PRNG_SEED, &mut old, &mut seed)?;
    extend_seed(command.driver(), &mut seed, &entropy).map_err(crypto_status)?;
    command.set_seed(&old, &seed)
}
