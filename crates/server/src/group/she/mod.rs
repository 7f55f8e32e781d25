//! AUTOSAR Secure Hardware Extension (document 06).
//!
//! A state record ([`State`]: identifier, secure boot, random generator) stands in front of the key slots, which are
//! objects of the type SHE. The record has a lock of its own, held while a command changes it; it is always taken
//! before the lock of the key store. Ciphers and MACs run outside both.
//!
//! Slots are read from the store each time and not cached, so that an update is seen by every session at once; only the
//! RAM key and keys that entered wrapped live in the cache.

use crate::config::{SheOptions, SheScope};
use crate::context::{Caller, Context};
use crate::keys::KeyStore;
use crate::lock::Lock;
use crate::platform::{Affinity, Platform};
use crate::session::Session;
use casemate_crypto::Driver;
use casemate_protocol::message::she::{
    ExportRamKeyResponse, GenerateMacResponse, GetStatusRequest, GetStatusResponse, LoadKeyResponse,
    LoadPlainKeyResponse, OutcomeResponse, RandomResponse, SetUidRequest, SetUidResponse, VerifyMacResponse,
    action,
};
use casemate_protocol::{ByteOrder, ClientId, Layout, ObjectId, Status};

mod boot;
mod cipher;
mod random;
mod rules;
mod slots;
mod state;
mod update;

pub(crate) use slots::slot_id;
#[cfg(feature = "key-wrap")]
pub(crate) use slots::supersedes;
pub(crate) use state::State;

/// What a command works with while it holds the state.
struct Surroundings<'a, P: Platform> {
    caller: Caller<'a, P>,
    order: ByteOrder,
}

impl<'a, P: Platform> Surroundings<'a, P> {
    const fn options(&self) -> &'a SheOptions {
        &self.caller.server.config().she
    }

    fn driver(&self) -> &'a dyn Driver {
        self.caller.server.platform().crypto(Affinity::Accelerated)
    }

    /// The object of a slot of this client.
    fn slot(&self, slot: u8) -> ObjectId {
        slot_id(self.options(), self.caller.client.unwrap_or(ClientId::NONE), slot)
    }

    /// Says what the request is about, for its security record.
    fn names(&mut self, id: ObjectId) {
        *self.caller.subject = id;
    }

    /// Works with the key store while no other session does.
    fn keys<R>(&mut self, work: impl FnOnce(&mut KeyStore<'_, P>) -> Result<R, Status>) -> Result<R, Status> {
        self.caller.locked(work)
    }
}

/// Lets `action` through the gate and runs `work` on the state while no other session does.
fn with_state<P: Platform, R>(
    context: &mut Context<'_, P>,
    action: u8,
    work: impl FnOnce(&mut State, &mut Surroundings<'_, P>) -> Result<R, Status>,
) -> Result<R, Status> {
    let server = context.server;
    let Session { client, cache, subject, she, .. } = &mut *context.session;
    let caller = Caller {
        server,
        client: *client,
        cache,
        subject,
        kind: context.kind,
        #[cfg(feature = "authentication")]
        keys: context.keys,
    };
    let mut surroundings = Surroundings { caller, order: context.order };
    let options = &server.config().she;
    let command = |state: &mut State| {
        state.gate(options, action)?;
        work(state, &mut surroundings)
    };
    match options.scope {
        SheScope::Session => command(she),
        SheScope::Server => server.she_state().with(command).unwrap_or(Err(Status::SHE_GENERAL_ERROR)),
    }
}

/// The status of a command: what is no code of SHE becomes GENERAL_ERROR (document 06, §4.1).
const fn status_of(error: Status) -> Status {
    match error.0 {
        -2211..=-2200 => error,
        _ => Status::SHE_GENERAL_ERROR,
    }
}

fn status<T>(result: &Result<T, Status>) -> Status {
    match result {
        Ok(_) => Status::OK,
        Err(error) => status_of(*error),
    }
}

/// What a command that answers two outcomes came to: the outer error is the gate's, the inner one the command's.
type Outcome = Result<Result<(), Status>, Status>;

/// The response with two outcomes; `coarse` says which second one a command's error brings. The gate brings none.
fn outcome_response(outcome: Outcome, coarse: impl FnOnce(Status) -> Status) -> OutcomeResponse {
    let coarse_status = match outcome {
        Ok(Err(error)) => coarse(error),
        Ok(Ok(())) | Err(_) => Status::OK,
    };
    OutcomeResponse { status: status(&outcome.flatten()), coarse_status }
}

/// A command without a payload: anything else is an error.
fn empty(payload: &[u8]) -> Result<(), Status> {
    if payload.is_empty() { Ok(()) } else { Err(Status::SHE_GENERAL_ERROR) }
}

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    match action {
        action::SET_UID => set_uid(context, payload, out),
        action::SECURE_BOOT_INIT | action::SECURE_BOOT_UPDATE | action::SECURE_BOOT_FINISH => {
            secure_boot(context, action, payload, out)
        }
        action::GET_STATUS => get_status(context, payload, out),
        action::LOAD_KEY => load_key(context, payload, out),
        action::LOAD_PLAIN_KEY => load_plain_key(context, payload, out),
        action::EXPORT_RAM_KEY => export_ram_key(context, payload, out),
        action::INIT_RANDOM => init_random(context, payload, out),
        action::RANDOM => random(context, payload, out),
        action::EXTEND_SEED => extend_seed(context, payload, out),
        action::ENCRYPT_ECB | action::DECRYPT_ECB | action::ENCRYPT_CBC | action::DECRYPT_CBC => {
            cipher::handle(context, action, payload, out)
        }
        action::GENERATE_MAC => generate_mac(context, payload, out),
        action::VERIFY_MAC => verify_mac(context, payload, out),
        _ => 0,
    }
}

// Not inlined, as the largest messages would take their room on the stack for every command.

#[inline(never)]
fn secure_boot<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let response = boot::handle(context, action, payload);
    context.put(&response, out)
}

#[inline(never)]
fn get_status<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let result = with_state(context, action::GET_STATUS, |state, surroundings| {
        GetStatusRequest::decode_exact(payload, surroundings.order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
        Ok(state.register())
    });
    let register = result.unwrap_or_default().0;
    context.put(&GetStatusResponse { status: status(&result), register }, out)
}

#[inline(never)]
fn load_plain_key<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let result = update::load_plain_key(context, payload);
    context.put(&LoadPlainKeyResponse { status: status(&result) }, out)
}

#[inline(never)]
fn init_random<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let outcome = random::init(context, payload);
    context.put(&outcome_response(outcome, |_| Status::SHE_GENERAL_ERROR), out)
}

#[inline(never)]
fn random<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let result = random::next(context, payload);
    let response = RandomResponse { status: status(&result), random: result.unwrap_or([0; 16]) };
    context.put(&response, out)
}

#[inline(never)]
fn extend_seed<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let outcome = random::extend(context, payload);
    context.put(&outcome_response(outcome, |_| Status::SHE_RNG_SEED), out)
}

#[inline(never)]
fn generate_mac<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let result = cipher::generate_mac(context, payload);
    let response = GenerateMacResponse { status: status(&result), mac: result.unwrap_or([0; 16]) };
    context.put(&response, out)
}

#[inline(never)]
fn verify_mac<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let result = cipher::verify_mac(context, payload);
    // Whoever looks at the second field only is never told that a MAC matches which was not checked.
    let mismatch = u8::from(result != Ok(true));
    context.put(&VerifyMacResponse { status: status(&result), mismatch }, out)
}

#[inline(never)]
fn load_key<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let mut response = LoadKeyResponse { status: Status::OK, m4: [0; 32], m5: [0; 16] };
    if let Err(error) = update::load_key(context, payload, (&mut response.m4, &mut response.m5)) {
        response = LoadKeyResponse { status: status_of(error), m4: [0; 32], m5: [0; 16] };
    }
    context.put(&response, out)
}

#[inline(never)]
fn export_ram_key<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    const NOTHING: ExportRamKeyResponse = ExportRamKeyResponse {
        status: Status::OK,
        m1: [0; 16],
        m2: [0; 32],
        m3: [0; 16],
        m4: [0; 32],
        m5: [0; 16],
    };
    let mut response = NOTHING;
    if let Err(error) = update::export_ram_key(context, payload, &mut response) {
        response = ExportRamKeyResponse { status: status_of(error), ..NOTHING };
    }
    context.put(&response, out)
}

#[inline(never)]
fn set_uid<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let result = with_state(context, action::SET_UID, |state, surroundings| {
        let (request, _) =
            SetUidRequest::decode(payload, surroundings.order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
        state.uid = Some(request.uid);
        Ok(())
    });
    context.put(&SetUidResponse { status: status(&result) }, out)
}
