//! The memory of a client: made by the functions that open one, entered by every call, given back by
//! `casemate_release`.

use super::link::{AnyClock, Hooks, Link, Options};
use super::panic::contained;
use super::parameter::{Named, Span, StateOf, are_apart};
use super::space::SharedSpace;
use crate::failure::{Failure, Outcome};
use crate::status::Own;
use casemate_client::Client;
use casemate_protocol::Header;
use casemate_transport::SharedRegion;
use core::mem::MaybeUninit;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use zeroize::Zeroize;

/// A client as C has one.
pub(crate) type HsmClient = Client<Link, &'static mut [u8], AnyClock>;

/// What the memory of a client holds.
pub(crate) struct Session {
    /// Nothing if there is no connection.
    hsm: Option<HsmClient>,
    /// Why the last call failed.
    last: Option<Failure>,
    /// The call that is pending.
    pending: Option<&'static str>,
    shared: Option<SharedSpace>,
}

impl Session {
    /// The connection.
    pub(crate) fn hsm(&mut self) -> Result<&mut HsmClient, Failure> {
        self.hsm.as_mut().ok_or(Failure::Own(Own::NOT_OPEN))
    }

    /// Why the last call failed, if it did.
    pub(crate) const fn last(&self) -> Option<&Failure> {
        self.last.as_ref()
    }

    /// Registers memory that client and server share. The caller keeps it until the client is released.
    pub(crate) fn share(&mut self, start: *mut u8, length: usize, address: u64) -> Outcome {
        // SAFETY: the caller of `casemate_set_shared_memory` says that the memory is there until the client is released
        // and that this program accesses it through the client only, which does so with atomics.
        let region = unsafe { SharedRegion::from_raw_parts(start, length) };
        self.shared = Some(SharedSpace::Region(region.ok_or(Own::BAD_ARGUMENT)?, address));
        Ok(())
    }

    /// The memory that client and server share.
    pub(crate) fn shared(&mut self) -> Result<SharedSpace, Failure> {
        if let Some(shared) = &self.shared {
            return Ok(shared.clone());
        }
        self.hsm()?.transport_mut().shared().ok_or(Failure::Own(Own::NO_SHARED_MEMORY))
    }
}

/// The memory of a client. Only `state` is shared: two calls at once meet there, and the second one goes away.
#[repr(C, align(8))]
pub(crate) struct Object {
    /// Free, or one of two numbers that depend on the address.
    state: AtomicU32,
    packet: usize,
    packet_length: usize,
    session: MaybeUninit<Session>,
}

impl Named for Object {
    const NAME: &'static str = "casemate_client";
}

/// Size of the memory in words of 8 bytes, as the header promises it.
pub(crate) const OBJECT_WORDS: usize = 64;
const _: () = assert!(size_of::<Object>() <= 8 * OBJECT_WORDS, "the header promises too little memory");

impl StateOf for Object {
    const KIND: u32 = 0;
    const WORDS: usize = OBJECT_WORDS;
}

/// The numbers that say that a client is there, and that a call is under way.
#[allow(clippy::cast_possible_truncation, reason = "any bits of the address will do")]
fn marks(object: *const Object) -> (u32, u32) {
    let mark = object.addr() as u32;
    (mark ^ 0xCA5E_3A7E, mark ^ 0xB0B0_5EED)
}

fn spans_of(object: *mut Object, packet: usize, packet_length: usize) -> [Span; 2] {
    [
        Span::written(object, size_of::<Object>()),
        Span::written(ptr::without_provenance_mut::<u8>(packet), packet_length),
    ]
}

/// What can be entered: a connection, or the memory of a client.
pub(crate) trait Entry: Sized {
    /// Whether another call may be pending meanwhile only if it is the same one.
    const CALLS: bool;

    fn of(session: &mut Session) -> Result<&mut Self, Failure>;
}

impl Entry for Session {
    const CALLS: bool = false;

    fn of(session: &mut Self) -> Result<&mut Self, Failure> {
        Ok(session)
    }
}

impl Entry for HsmClient {
    const CALLS: bool = true;

    fn of(session: &mut Session) -> Result<&mut Self, Failure> {
        session.hsm()
    }
}

/// Carries out a call with a client.
///
/// # Safety
/// `object` is null or points to the memory of a client, zeroed or used with this library only.
pub(crate) unsafe fn enter<E: Entry>(
    object: *mut Object,
    name: &'static str,
    spans: &[[Span; 2]],
    work: impl FnOnce(&mut E) -> Outcome,
) -> i32 {
    if object.is_null() || !object.is_aligned() {
        return Own::BAD_ARGUMENT.0;
    }
    // SAFETY: not null and aligned; the memory of a client is there. Only an atomic is referred to, so another thread or
    // a function that this call calls may do the same.
    let state = unsafe { &(*object).state };
    let (open, entered) = marks(object);
    if let Err(found) = exchange(state, open, entered) {
        return if found == entered { Own::BUSY.0 } else { Own::NOT_OPEN.0 };
    }
    // SAFETY: the mark says that `open` has filled the memory at this very address, and that no other call is under way:
    // until the mark is put back below, nobody else refers to these fields.
    let (packet, packet_length, session) =
        unsafe { ((*object).packet, (*object).packet_length, (*object).session.assume_init_mut()) };
    let reserved = spans_of(object, packet, packet_length);
    let outcome = contained(|| {
        let outcome = if are_apart(spans, &reserved) {
            call(session, name, work)
        } else {
            Err(Own::BAD_ARGUMENT.into())
        };
        let status = outcome.as_ref().map_or_else(Failure::status, |()| Own::OK.0);
        session.last = outcome.err();
        status
    });
    match outcome {
        Some(status) => {
            state.store(open, Ordering::Release);
            status
        }
        // A client in an unknown state is not entered again; releasing it would drop that state.
        None => Own::INTERNAL.0,
    }
}

/// Carries out a call, unless another one is pending.
fn call<E: Entry>(
    session: &mut Session,
    name: &'static str,
    work: impl FnOnce(&mut E) -> Outcome,
) -> Outcome {
    if E::CALLS && session.pending.is_some_and(|pending| pending != name) {
        return Err(Own::OTHER_CALL.into());
    }
    let outcome = work(E::of(session)?);
    let is_pending = session.hsm.as_ref().is_some_and(Client::is_pending);
    session.pending = if is_pending { session.pending.or(Some(name)) } else { None };
    outcome
}

#[cfg(target_has_atomic = "32")]
fn exchange(state: &AtomicU32, from: u32, to: u32) -> Result<u32, u32> {
    state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
}

/// Without an atomic exchange (Cortex-M0), two threads at once are not told apart, but a call from within a call is.
#[cfg(not(target_has_atomic = "32"))]
fn exchange(state: &AtomicU32, from: u32, to: u32) -> Result<u32, u32> {
    match state.load(Ordering::Acquire) {
        found if found == from => {
            state.store(to, Ordering::Relaxed);
            Ok(found)
        }
        found => Err(found),
    }
}

/// Makes a client in `object` over what `connect` gives.
///
/// # Safety
/// `object` is null or points to `size` bytes; `packet` is null or points to `packet_size` bytes, which belong to the
/// client until it is released; the options are null or as the header says. `spans` is the memory that `connect` uses.
pub(crate) unsafe fn open(
    object: *mut Object,
    size: usize,
    (packet, packet_size): (*mut u8, usize),
    options: *const Options,
    spans: &[[Span; 2]],
    connect: impl FnOnce(&Options, Hooks) -> Result<(Link, AnyClock), Failure>,
) -> i32 {
    if size < size_of::<Object>() {
        return if object.is_null() { Own::BAD_ARGUMENT.0 } else { Own::WRONG_SIZE.0 };
    }
    let end = packet.addr().checked_add(packet_size);
    let is_bad = object.is_null()
        || !object.is_aligned()
        || packet.is_null()
        || packet_size < Header::SIZE
        || end.is_none()
        || packet_size > usize::MAX >> 1
        || (!options.is_null() && !options.is_aligned());
    let own = [
        Span::written(object, size),
        Span::written(packet, packet_size),
        Span::read(options, size_of::<Options>()),
    ];
    let apart = are_apart(&own.map(|span| [span, Span::NONE]), &[]) && are_apart(spans, &own);
    if is_bad || !apart {
        return Own::BAD_ARGUMENT.0;
    }
    // SAFETY: not null and aligned; four bytes are there, which any number may be.
    let state = unsafe { &(*object).state };
    let (open, entered) = marks(object);
    let found = state.load(Ordering::Acquire);
    if found == open || found == entered {
        return Own::ALREADY_OPEN.0;
    }
    // SAFETY: null, or aligned and, by the caller's word, options; every bit pattern is some.
    let options = unsafe { options.as_ref() }.copied().unwrap_or_default();
    let Some(connected) = contained(|| connect(&options, options.hooks())) else { return Own::INTERNAL.0 };
    let (hsm, last) = match connected {
        Ok((link, clock)) => {
            // SAFETY: not null, long enough and apart from the client; the caller leaves it to the client.
            let storage: &'static mut [u8] = unsafe { slice::from_raw_parts_mut(packet, packet_size) };
            let timeout = options.timeout();
            let hsm = Client::with_timeout(link, storage, clock, timeout.unwrap_or(Duration::MAX));
            (Some(hsm), None)
        }
        Err(failure) => (None, Some(failure)),
    };
    let (packet, packet_length) = if hsm.is_some() { (packet.addr(), packet_size) } else { (0, 0) };
    let status = last.as_ref().map_or(Own::OK.0, Failure::status);
    let session = Session { hsm, last, pending: None, shared: None };
    // SAFETY: the memory is there and nobody else uses it: the mark says that no client is. What it held before was
    // released or never was a client. The mark is written last.
    unsafe {
        (&raw mut (*object).packet).write(packet);
        (&raw mut (*object).packet_length).write(packet_length);
        (&raw mut (*object).session).write(MaybeUninit::new(session));
    }
    state.store(open, Ordering::Release);
    status
}

/// Drops a client: its connection ends, and its memory and packet buffer are wiped.
///
/// # Safety
/// As [`enter`].
pub(crate) unsafe fn release(object: *mut Object) -> i32 {
    if object.is_null() || !object.is_aligned() {
        return Own::BAD_ARGUMENT.0;
    }
    // SAFETY: as in `enter`.
    let state = unsafe { &(*object).state };
    let (open, entered) = marks(object);
    if let Err(found) = exchange(state, open, entered) {
        return if found == entered { Own::BUSY.0 } else { Own::NOT_OPEN.0 };
    }
    let dropped = contained(|| {
        // SAFETY: as in `enter`; the mark is never put back, so the session is not used again.
        unsafe { (*object).session.assume_init_drop() };
    });
    // SAFETY: the memory is the caller's and holds no value any more.
    let memory = unsafe { slice::from_raw_parts_mut(object.cast::<MaybeUninit<u8>>(), size_of::<Object>()) };
    memory.zeroize();
    if dropped.is_some() { Own::OK.0 } else { Own::INTERNAL.0 }
}
