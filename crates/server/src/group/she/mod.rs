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
use crate::lock::Lock;
use crate::platform::{Affinity, Platform};
use crate::session::Session;
use casemate_crypto::Driver;
use casemate_crypto::she::Block;
use casemate_protocol::message::she::{
    GetStatusResponse, OutcomeResponse, SetUidRequest, VerifyMacResponse, action,
};
use casemate_protocol::{ByteOrder, ClientId, Layout, Malformed, Metadata, ObjectId, Overflow, Status};
use slots::{Slot, unlabelled};

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

/// A command, and what it works with.
struct Command<'a, P: Platform> {
    caller: Caller<'a, P>,
    order: ByteOrder,
    action: u8,
    payload: &'a [u8],
    /// The response. It is that of a success, zeros, for the command to fill in.
    out: &'a mut [u8],
    /// Length of the response.
    size: usize,
}

/// What a command does while no other session gets at the state.
type Work<P> = fn(&mut State, &mut Command<'_, P>) -> Result<(), Status>;

/// What a command came to: the outer error is the gate's, the inner one the command's.
type Outcome = Result<Result<(), Status>, Status>;

impl<'a, P: Platform> Command<'a, P> {
    const fn options(&self) -> &'a SheOptions {
        &self.caller.server.config().she
    }

    fn driver(&self) -> &'a dyn Driver {
        self.caller.server.platform().crypto(Affinity::Accelerated)
    }

    /// The fixed part of the request, and what follows.
    fn request<L: Layout>(&self) -> Result<(L, &'a [u8]), Status> {
        L::decode(self.payload, self.order).map_err(malformed)
    }

    /// Checks that the request is empty, for commands that have nothing to say.
    const fn expect_empty(&self) -> Result<(), Status> {
        if self.payload.is_empty() { Ok(()) } else { Err(Status::SHE_GENERAL_ERROR) }
    }

    /// Writes the fixed part of the response.
    fn respond<L: Layout>(&mut self, response: &L) -> Result<(), Status> {
        response.encode(self.order, self.out).map(|_| ()).map_err(overflow)
    }

    /// The object of a slot of this client.
    #[inline(never)]
    fn slot(&self, slot: u8) -> ObjectId {
        slot_id(self.options(), self.caller.client.unwrap_or(ClientId::NONE), slot)
    }

    /// Says what the request is about, for its security record.
    fn names(&mut self, id: ObjectId) {
        *self.caller.subject = id;
    }

    /// Reads a slot, as [`KeyStore::slot`](crate::keys::KeyStore::slot).
    fn read_slot(&mut self, metadata: &mut Metadata, to: &mut Block) -> Result<Slot, Status> {
        self.caller.locked(|keys| keys.slot(metadata, to))
    }

    /// Reads a slot that must hold a key, whose metadata are put where they are to be.
    #[inline(never)]
    fn read_key(&mut self, number: u8, metadata: &mut Metadata, to: &mut Block) -> Result<(), Status> {
        *metadata = unlabelled(self.slot(number));
        match self.read_slot(metadata, to)? {
            Slot::Key => Ok(()),
            Slot::Absent | Slot::Short | Slot::Long => Err(Status::SHE_KEY_NOT_AVAILABLE),
        }
    }

    /// Puts a key into its slot.
    #[inline(never)]
    fn store_key(&mut self, metadata: &Metadata, key: &Block) -> Result<(), Status> {
        self.caller.locked(|keys| keys.set_slot(metadata, key))
    }

    /// Lets the command through the gate and does its work on the state while no other session gets at that; `own` is the
    /// session's.
    #[inline(never)]
    fn with_state(
        &mut self,
        own: &mut State,
        work: &mut dyn FnMut(&mut State, &mut Self) -> Result<(), Status>,
    ) -> Outcome {
        let options = self.options();
        let mut shared;
        let state = match options.scope {
            SheScope::Session => own,
            SheScope::Server => {
                shared = self.caller.server.she_state().lock().ok_or(Status::SHE_GENERAL_ERROR)?;
                &mut *shared
            }
        };
        state.gate(options, self.action)?;
        Ok(work(state, self))
    }
}

const fn malformed(_: Malformed) -> Status {
    Status::SHE_GENERAL_ERROR
}

const fn overflow(_: Overflow) -> Status {
    Status::SHE_GENERAL_ERROR
}

/// The status of a command: what is no code of SHE becomes GENERAL_ERROR (document 06, §4.1).
const fn status_of(error: Status) -> Status {
    match error.0 {
        -2211..=-2200 => error,
        _ => Status::SHE_GENERAL_ERROR,
    }
}

/// The work of a command that is done when it gives the state back.
const fn work<P: Platform>(action: u8) -> Option<Work<P>> {
    Some(match action {
        action::SET_UID => set_uid,
        action::SECURE_BOOT_INIT | action::SECURE_BOOT_UPDATE | action::SECURE_BOOT_FINISH => boot::handle,
        action::GET_STATUS => get_status,
        action::LOAD_KEY => update::load_key,
        action::LOAD_PLAIN_KEY => update::load_plain_key,
        action::EXPORT_RAM_KEY => update::export_ram_key,
        action::INIT_RANDOM => random::init,
        action::RANDOM => random::next,
        action::EXTEND_SEED => random::extend,
        _ => return None,
    })
}

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let size = context.answer(Ok(0), out);
    if size == 0 {
        return 0;
    }
    let Session { client, cache, subject, she, .. } = &mut *context.session;
    let caller = Caller {
        server: context.server,
        client: *client,
        cache,
        subject,
        kind: context.kind,
        #[cfg(feature = "authentication")]
        keys: context.keys,
    };
    let mut command = Command { caller, order: context.order, action, payload, out: &mut *out, size };
    let outcome = match work(action) {
        Some(mut work) => command.with_state(she, &mut work),
        None => Ok(cipher::handle(she, &mut command)),
    };
    let size = command.size;
    match outcome.flatten() {
        Ok(()) => size,
        Err(error) => refuse(context, action, (error, outcome.is_err()), out),
    }
}

/// The response of a command that has failed; what it had written before goes.
#[inline(never)]
fn refuse<P: Platform>(
    context: &Context<'_, P>,
    action: u8,
    (error, by_gate): (Status, bool),
    out: &mut [u8],
) -> usize {
    let status = status_of(error);
    let size = context.answer(Err(status), out);
    let coarse_status = match action {
        // The gate brings no second outcome.
        _ if by_gate => Status::OK,
        action::SECURE_BOOT_INIT | action::SECURE_BOOT_UPDATE | action::INIT_RANDOM => {
            Status::SHE_GENERAL_ERROR
        }
        // At the end, the original says it twice only if the MAC is wrong.
        action::SECURE_BOOT_FINISH if error == boot::MISMATCH => Status::SHE_GENERAL_ERROR,
        action::EXTEND_SEED => Status::SHE_RNG_SEED,
        _ => Status::OK,
    };
    match action {
        action::SECURE_BOOT_INIT..=action::SECURE_BOOT_FINISH | action::INIT_RANDOM | action::EXTEND_SEED => {
            context.put(&OutcomeResponse { status, coarse_status }, out)
        }
        // Whoever looks at the second field only is never told that a MAC matches which was not checked.
        action::VERIFY_MAC => context.put(&VerifyMacResponse { status, mismatch: 1 }, out),
        _ => size,
    }
}

fn get_status<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    command.expect_empty()?;
    command.respond(&GetStatusResponse { status: Status::OK, register: state.register().0 })
}

fn set_uid<P: Platform>(state: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    let (request, _): (SetUidRequest, _) = command.request()?;
    state.uid = Some(request.uid);
    Ok(())
}
