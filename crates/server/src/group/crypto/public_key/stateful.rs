//! LMS/HSS and XMSS/XMSS^MT (document 05, §9; document 03, §12.4). Their messages are of the DMA kind only.
//!
//! A private key lies in the object store and nowhere else. A signature reads it from there, walks on to the next one-time
//! key, stores the new state, and only then is computed. The walk runs outside the lock: the new state is stored only if
//! what is stored is still what was read, and otherwise everything begins anew. So two sessions with one key get different
//! one-time keys, and a loss of power can cost one but never repeat one.

use super::common::{evict_after, label, wants};
use crate::context::Context;
use crate::group::crypto::Operation;
use crate::keys::STATEFUL_REVOKED;
use crate::memory::{Access, Dma, Region};
use crate::platform::Platform;
use casemate_crypto::{BlockEngine, Driver, Secret, wipe};
use casemate_hash_signatures::{
    Error, HssParameters, Input, LeafMemory, LmsHash, LmsParameters, Message, Output, Scheme, XmssParameters,
    hss_verify, xmss_verify,
};
use casemate_protocol::message::crypto_dma::{
    KeyGenerationDmaResponse, SignatureDmaResponse, StatefulKeyGenerationDmaRequest,
    StatefulRemainingRequest, StatefulRemainingResponse, StatefulSignDmaRequest, StatefulVerifyDmaRequest,
    VerifyDmaResponse,
};
use casemate_protocol::message::public_key::{algorithm, option, sub_algorithm};
use casemate_protocol::{DmaBuffer, Flags, KeyId, Layout, Metadata, ObjectType, Status};
use core::cell::{Cell, RefCell};

/// Room for every key as it is stored.
pub(super) const KEY_ROOM: usize = 8192;
/// Bytes in front of the parameters of a stored key.
const HEADER: usize = 12;
/// Length of the private part of a key whose state is of our own format and reaches to the end: the original refuses it,
/// because no key is that long.
const OWN_STATE: u16 = u16::MAX;
/// How often a signature begins anew because another session has taken the one-time key.
const ATTEMPTS: u32 = 1000;

/// A parameter set of either family.
#[derive(Clone, Copy)]
enum Set {
    Hss(HssParameters),
    Xmss(XmssParameters),
}

/// Does the same with the parameter set of either family.
macro_rules! with_set {
    ($set:expr, $scheme:ident => $body:expr) => {
        match $set {
            Set::Hss($scheme) => $body,
            Set::Xmss($scheme) => $body,
        }
    };
}

impl Set {
    /// The levels, heights and Winternitz parameters of document 05, §9.2.
    fn hss(levels: u32, height: u32, winternitz: u32) -> Option<Self> {
        let is_known = matches!(
            (levels, height, winternitz),
            (1, _, _) | (2, 5 | 10 | 15 | 20, 2 | 4 | 8) | (3 | 4, 5, 2 | 4 | 8) | (3 | 4, 10, 4 | 8)
        );
        let lms = LmsParameters::new(LmsHash::Sha256, height, winternitz).filter(|_| is_known)?;
        HssParameters::new(levels, lms).map(Self::Hss)
    }

    /// The name up to its first zero; the last byte does not count.
    fn xmss(name: &[u8]) -> Option<Self> {
        let (_, name) = name.split_last()?;
        let name = name.split(|byte| *byte == 0).next()?;
        XmssParameters::named(name).map(Self::Xmss)
    }

    const fn magic(self) -> u32 {
        match self {
            Self::Hss(_) => 0x4C4D_5301,
            Self::Xmss(_) => 0x584D_5301,
        }
    }

    /// Size of the public key on the wire: that of XMSS has four bytes more than it needs.
    fn public_size(self) -> usize {
        match self {
            Self::Hss(scheme) => scheme.public_size(),
            Self::Xmss(scheme) => scheme.public_size().saturating_add(4),
        }
    }

    fn signature_size(self) -> usize {
        with_set!(self, scheme => scheme.signature_size())
    }

    /// Whether the private part has the original's form in front, so that it may use the key: LMS of one level. With more
    /// levels, what the two derive from the seed may differ.
    const fn is_shared(self) -> bool {
        matches!(self, Self::Hss(scheme) if scheme.levels() == 1)
    }

    /// Writes the parameters as the container has them.
    fn put_parameters(self, out: &mut [u8]) -> Option<usize> {
        struct Text<'o>(&'o mut [u8], usize);
        impl core::fmt::Write for Text<'_> {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                let end = self.1.saturating_add(text.len());
                self.0.get_mut(self.1..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
                self.1 = end;
                Ok(())
            }
        }
        match self {
            Self::Hss(scheme) => {
                let lms = scheme.lms();
                let numbers = [scheme.levels(), lms.height(), lms.winternitz()];
                for (to, number) in out.get_mut(..3)?.iter_mut().zip(numbers) {
                    *to = u8::try_from(number).ok()?;
                }
                Some(3)
            }
            Self::Xmss(scheme) => {
                let mut text = Text(out, 0);
                core::fmt::Write::write_fmt(&mut text, format_args!("{scheme}\0")).ok()?;
                Some(text.1)
            }
        }
    }

    const fn exhausted(self) -> Status {
        match self {
            Self::Hss(_) => Status::BAD_STATE,
            Self::Xmss(_) => Status::KEY_EXHAUSTED,
        }
    }

    const fn status(self, error: Error) -> Status {
        match error {
            Error::Exhausted => self.exhausted(),
            Error::State => Status::BAD_STATE,
            Error::Engine => Status::HARDWARE,
            _ => Status::ABORTED,
        }
    }
}

/// Where the parts of a stored key lie.
struct Container {
    set: Set,
    public: core::ops::Range<usize>,
    /// Where the private part begins, if there is one.
    private: Option<usize>,
    /// The private part is that of the original alone.
    is_foreign: bool,
}

impl Container {
    /// # Errors
    /// BAD_ARGUMENTS for what is no key of the family; USAGE for one that was revoked.
    fn decode(key: &[u8], is_lms: bool) -> Result<Self, Status> {
        Self::parse(key, is_lms)
            .ok_or(Status::BAD_ARGUMENTS)
            .and_then(|(container, revoked)| if revoked { Err(Status::USAGE) } else { Ok(container) })
    }

    fn parse(key: &[u8], is_lms: bool) -> Option<(Self, bool)> {
        let &[m0, m1, m2, m3, p0, p1, s0, s1, l0, l1, revoked, 0] = key.first_chunk::<HEADER>()? else {
            return None;
        };
        let length = |low, high| usize::from(u16::from_le_bytes([low, high]));
        let (public, private, parameters) = (length(p0, p1), length(s0, s1), length(l0, l1));
        let public_start = HEADER.checked_add(parameters)?;
        let parameters = key.get(HEADER..public_start)?;
        let set = match *parameters {
            [levels, height, winternitz] if is_lms => {
                Set::hss(levels.into(), height.into(), winternitz.into())?
            }
            [ref name @ .., 0] if !is_lms => Set::Xmss(XmssParameters::named(name)?),
            _ => return None,
        };
        let end = public_start.checked_add(public)?;
        if u32::from_le_bytes([m0, m1, m2, m3]) != set.magic()
            || public != set.public_size()
            || key.len() < end
        {
            return None;
        }
        let secret = with_set!(set, scheme => scheme.secret_part_size());
        let own = usize::from(OWN_STATE);
        let (private, is_foreign) = match private {
            0 => (None, false),
            size if set.is_shared() && size == secret => (Some(end), end.checked_add(secret)? == key.len()),
            size if !set.is_shared() && size == own => (Some(end), false),
            _ => return None,
        };
        if revoked > 1
            || (revoked == 1 && private.is_none())
            || key.len() < end.checked_add(if private.is_some() { secret } else { 0 })?
        {
            return None;
        }
        Some((Self { set, public: public_start..end, private, is_foreign }, revoked == 1))
    }
}

/// The public half of a stored key.
///
/// # Errors
/// BAD_ARGUMENTS for what is no key of the family.
pub(super) fn public(key: &[u8], is_lms: bool) -> Result<&[u8], Status> {
    let (container, _) = Container::parse(key, is_lms).ok_or(Status::BAD_ARGUMENTS)?;
    key.get(container.public).ok_or(Status::BAD_ARGUMENTS)
}

/// Runs the operation that `operation.algorithm` names for the family that `sub` names.
#[inline(never)]
pub(super) fn stateful<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    sub: u32,
) -> Result<usize, Status> {
    let is_lms = match sub {
        sub_algorithm::LMS => true,
        sub_algorithm::XMSS => false,
        _ => return Err(Status::NO_HANDLER),
    };
    match operation.algorithm {
        algorithm::STATEFUL_KEY_GENERATION => generate(context, operation, is_lms),
        algorithm::STATEFUL_SIGN => sign(context, operation, is_lms),
        algorithm::STATEFUL_VERIFY => verify(context, operation, is_lms),
        _ => remaining(context, operation, is_lms),
    }
}

// ----- client memory as message and signature -----

/// Client memory while a signature is computed: the message is read and the signature written through it.
struct Shared<'s, 'd> {
    dma: RefCell<&'s mut Dma<'d>>,
    /// Why a transfer failed.
    failure: Cell<Status>,
}

impl<'s, 'd> Shared<'s, 'd> {
    fn new(dma: &'s mut Dma<'d>) -> Self {
        Self { dma: RefCell::new(dma), failure: Cell::new(Status::ABORTED) }
    }

    fn with(&self, work: impl FnOnce(&mut Dma<'d>) -> Result<(), Status>) -> Result<(), Error> {
        let mut dma = self.dma.try_borrow_mut().map_err(|_| Error::Transfer)?;
        work(&mut dma).map_err(|status| {
            self.failure.set(status);
            Error::Transfer
        })
    }

    fn status(&self, set: Set, error: Error) -> Status {
        if error == Error::Transfer { self.failure.get() } else { set.status(error) }
    }
}

struct SharedMessage<'c, 's, 'd> {
    shared: &'c Shared<'s, 'd>,
    region: Region,
}

impl Message for SharedMessage<'_, '_, '_> {
    fn read(&self, sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut part = [0; 256];
        let mut offset: usize = 0;
        while offset < self.region.length() {
            let length = self.region.length().saturating_sub(offset).min(part.len());
            let part = part.get_mut(..length).ok_or(Error::Transfer)?;
            self.shared.with(|dma| dma.read(self.region, offset, part))?;
            sink(part)?;
            offset = offset.saturating_add(length);
        }
        Ok(())
    }
}

struct SharedOutput<'c, 's, 'd> {
    shared: &'c Shared<'s, 'd>,
    region: Region,
    offset: usize,
}

impl Output for SharedOutput<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.shared.with(|dma| dma.write(self.region, self.offset, bytes))?;
        self.offset = self.offset.saturating_add(bytes.len());
        Ok(())
    }
}

struct SharedInput<'c, 's, 'd> {
    shared: &'c Shared<'s, 'd>,
    region: Region,
}

impl Input for SharedInput<'_, '_, '_> {
    fn length(&self) -> usize {
        self.region.length()
    }

    fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        if offset.saturating_add(bytes.len()) > self.region.length() {
            return Err(Error::Signature);
        }
        self.shared.with(|dma| dma.read(self.region, offset, bytes))
    }
}

// ----- key generation -----

fn generate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    is_lms: bool,
) -> Result<usize, Status> {
    let (request, _) = StatefulKeyGenerationDmaRequest::decode(operation.body, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)?;
    let flags = Flags::from_client(request.flags);
    if flags.contains(Flags::EPHEMERAL) {
        return Err(Status::BAD_ARGUMENTS);
    }
    let set = if is_lms {
        Set::hss(request.levels, request.height, request.winternitz)
    } else {
        Set::xmss(&request.xmss)
    };
    let set = set.ok_or(Status::CRYPTO_ARGUMENT)?;
    let public_size = u64::try_from(set.public_size()).map_err(|_| Status::ABORTED)?;
    if request.public.size < public_size {
        return Err(Status::BUFFER_SIZE);
    }
    let output = context.dma.open(DmaBuffer { size: public_size, ..request.public }, Access::Write)?;
    let label = label(request.label, request.label_length)?;

    let mut key = Secret::<KEY_ROOM>::zero();
    let begin = put_header(set, key.as_mut_slice()).ok_or(Status::ABORTED)?;
    // As much of the tree as the configured size admits; at least as much as there must be.
    let room = KEY_ROOM.min(operation.out.len()).saturating_sub(begin);
    let wanted = context.server.config().stateful_key_limit.saturating_sub(begin).min(room);
    let (retained, size) =
        with_set!(set, scheme => state_size(&scheme, wanted, room)).ok_or(Status::BUFFER_SIZE)?;
    let length = begin.saturating_add(size);
    let id = context.locked(|keys| {
        let id = keys.resolve(KeyId::from_u32(request.key), ObjectType::CRYPTO);
        match keys.place_stateful(id, length) {
            Ok(_) => Ok(id),
            Err(Status::BAD_ARGUMENTS) if !id.is_unassigned() => Err(Status::BUFFER_SIZE),
            Err(status) => Err(status),
        }
    })?;

    let hashing = Hashing::of(context, operation.driver);
    let key = key.get_mut(..length).ok_or(Status::ABORTED)?;
    let (head, state) = key.split_at_mut_checked(begin).ok_or(Status::ABORTED)?;
    let public_at = begin.saturating_sub(set.public_size());
    let public = head.get_mut(public_at..).ok_or(Status::ABORTED)?;
    with_set!(set, scheme => generate_state(&scheme, hashing, retained, public, state))
        .map_err(|status| status.unwrap_or(Status::HARDWARE))?;
    let flags = flags.with(Flags::NONEXPORTABLE);
    let id = context.locked(|keys| Ok(keys.insert_stateful(id, flags, label, key)?.to_key(keys.features)))?;

    let public = self::public(key, is_lms)?;
    context.dma.write(output, 0, public)?;
    let response = KeyGenerationDmaResponse {
        refused: DmaBuffer::NONE,
        key: u32::from(id.0),
        length: u32::try_from(public.len()).unwrap_or(0),
    };
    Ok(context.put(&response, operation.out))
}

/// The retained levels that fit `wanted` bytes, or one if that fits `room`, and the size of the state.
fn state_size(scheme: &impl Scheme, wanted: usize, room: usize) -> Option<(u32, usize)> {
    let retained = scheme.retained_within(wanted).unwrap_or(1);
    let size = scheme.state_size(retained).filter(|size| *size <= room)?;
    Some((retained, size))
}

/// Writes everything in front of the private part and says where that begins.
fn put_header(set: Set, key: &mut [u8]) -> Option<usize> {
    let (header, rest) = key.split_at_mut_checked(HEADER)?;
    let parameters = set.put_parameters(rest)?;
    let public = u16::try_from(set.public_size()).ok()?;
    let private = match set {
        Set::Hss(scheme) if set.is_shared() => u16::try_from(scheme.secret_part_size()).ok()?,
        _ => OWN_STATE,
    };
    let numbers = [public, private, u16::try_from(parameters).ok()?, 0];
    let (magic, lengths) = header.split_first_chunk_mut()?;
    *magic = set.magic().to_le_bytes();
    for (to, number) in lengths.as_chunks_mut::<2>().0.iter_mut().zip(numbers) {
        *to = number.to_le_bytes();
    }
    HEADER.checked_add(parameters)?.checked_add(set.public_size())
}

/// The driver that hashes, and where leaves are kept.
#[derive(Clone, Copy)]
struct Hashing<'d> {
    driver: &'d dyn Driver,
    leaves: Option<&'d dyn LeafMemory>,
}

impl<'d> Hashing<'d> {
    fn of<'c: 'd, P: Platform>(context: &Context<'c, P>, driver: &'d dyn Driver) -> Self {
        Self { driver, leaves: context.server.platform().leaves() }
    }

    fn engine(self) -> BlockEngine<'d, dyn Driver + 'd> {
        BlockEngine::new(self.driver).with_leaves(self.leaves)
    }
}

/// Makes a private key in `state` and writes the public one to the front of `public`.
fn generate_state<S: Scheme>(
    scheme: &S,
    hashing: Hashing<'_>,
    retained: u32,
    public: &mut [u8],
    state: &mut [u8],
) -> Result<(), Option<Status>> {
    let mut seed = Secret::<192>::zero();
    let seed = seed.get_mut(..scheme.seed_size()).ok_or(None)?;
    hashing.driver.fill(seed).map_err(|error| Some(crate::error::crypto_status(error)))?;
    let mut engine = hashing.engine();
    scheme.generate(&mut engine, retained, seed, state).map_err(|_| None)?;
    let key = scheme.open(&mut engine, state).map_err(|_| None)?;
    key.public(public.get_mut(..scheme.public_size()).ok_or(None)?).map_err(|_| None)
}

// ----- use of a key -----

/// A copy of the key that a message names, and what it was stored as.
fn fetch<P: Platform>(context: &mut Context<'_, P>, key: u32, bytes: &mut [u8]) -> Result<Metadata, Status> {
    let key = KeyId::from_u32(key);
    if !key.is_some() {
        return Err(Status::BAD_ARGUMENTS);
    }
    context.locked(|keys| {
        let id = keys.resolve(key, ObjectType::CRYPTO);
        match keys.fetch_stateful(id, bytes) {
            // Larger than any stateful key.
            Err(Status::NO_SPACE) => Err(Status::BAD_ARGUMENTS),
            result => result,
        }
    })
}

/// The original asks for no usage flag, and its clients set none. A key that has some is used as they say.
fn check_usage(flags: Flags, needed: Flags) -> Result<(), Status> {
    if flags.intersects(Flags::USAGE_ANY) && !flags.contains(needed) { Err(Status::USAGE) } else { Ok(()) }
}

fn sign<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    is_lms: bool,
) -> Result<usize, Status> {
    let (request, _) =
        StatefulSignDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut regions = None;
    let mut bytes = Secret::<KEY_ROOM>::zero();
    let result = (0..ATTEMPTS).find_map(|_| {
        let result =
            try_sign(context, operation.driver, operation.out, &request, is_lms, &mut regions, &mut bytes);
        result.transpose()
    });
    wipe(operation.out);
    evict_after(context, wants(request.options, option::EVICT), request.key);
    let length = result.unwrap_or(Err(Status::ABORTED))?;
    let length = u32::try_from(length).unwrap_or(0);
    Ok(context.put(&SignatureDmaResponse { refused: DmaBuffer::NONE, length }, operation.out))
}

/// `None` if another session has taken the one-time key.
fn try_sign<P: Platform>(
    context: &mut Context<'_, P>,
    driver: &dyn Driver,
    staging: &mut [u8],
    request: &StatefulSignDmaRequest,
    is_lms: bool,
    regions: &mut Option<(Region, Region)>,
    bytes: &mut [u8; KEY_ROOM],
) -> Result<Option<usize>, Status> {
    let metadata = fetch(context, request.key, bytes.as_mut_slice())?;
    let length = usize::from(metadata.length);
    let container = Container::decode(bytes.get(..length).ok_or(Status::ABORTED)?, is_lms)?;
    check_usage(metadata.flags, Flags::USAGE_SIGN)?;
    let set = container.set;
    let begin = container.private.ok_or(Status::IO_FAILED)?;
    let (message, signature) = match *regions {
        Some(regions) => regions,
        None => {
            let message = context.dma.open(request.message, Access::Read)?;
            *regions.insert((message, context.dma.open(request.signature, Access::Write)?))
        }
    };
    if signature.length() < set.signature_size() {
        return Err(Status::BUFFER);
    }
    if !is_lms && message.length() == 0 {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    let hashing = Hashing::of(context, driver);
    // What must still be stored when the new state is: everything up to the index.
    let mut before = [0; 256];
    let before = before.get_mut(..begin.saturating_add(8)).ok_or(Status::ABORTED)?;
    before.copy_from_slice(bytes.get(..before.len()).ok_or(Status::ABORTED)?);

    let (head, state) = bytes.split_at_mut_checked(begin).ok_or(Status::ABORTED)?;
    let state_length = length.saturating_sub(begin);
    let state = if container.is_foreign {
        let room = staging.len().min(KEY_ROOM).saturating_sub(begin);
        let wanted = context.server.config().stateful_key_limit.saturating_sub(begin).min(room);
        with_set!(set, scheme => adopt(&scheme, hashing, wanted, room, head, state, state_length))
            .map_err(|error| set.status(error))?
    } else {
        state.get_mut(..state_length).ok_or(Status::ABORTED)?
    };
    with_set!(set, scheme => {
        let mut engine = hashing.engine();
        let key = scheme.open(&mut engine, state).map_err(|error| set.status(error))?;
        let reservation = key.reserve(&mut engine).map_err(|error| set.status(error))?;
        let signer = reservation.store(|state| store(context, &metadata, before, head, state, staging));
        let Some(signer) = taken(signer)? else { return Ok(None) };
        let shared = Shared::new(&mut context.dma);
        let message = SharedMessage { shared: &shared, region: message };
        let output = SharedOutput { shared: &shared, region: signature, offset: 0 };
        signer.sign(&mut engine, &message, output).map_err(|error| shared.status(set, error))?;
    });
    Ok(Some(set.signature_size()))
}

/// Why a new state was not stored.
enum NotStored {
    /// What is stored is not what was read.
    Changed,
    Failed(Status),
}

fn taken<T>(result: Result<T, NotStored>) -> Result<Option<T>, Status> {
    match result {
        Ok(signer) => Ok(Some(signer)),
        Err(NotStored::Changed) => Ok(None),
        Err(NotStored::Failed(status)) => Err(status),
    }
}

/// Stores the key with its new state, durably.
fn store<P: Platform>(
    context: &mut Context<'_, P>,
    metadata: &Metadata,
    before: &[u8],
    head: &[u8],
    state: &[u8],
    staging: &mut [u8],
) -> Result<(), NotStored> {
    let too_long = NotStored::Failed(Status::IO_FAILED);
    let length = head.len().saturating_add(state.len());
    let Some((front, back)) = staging.get_mut(..length).and_then(|key| key.split_at_mut_checked(head.len()))
    else {
        return Err(too_long);
    };
    front.copy_from_slice(head);
    back.copy_from_slice(state);
    let key = staging.get(..length).unwrap_or_default();
    match context.locked(|keys| keys.advance_stateful(metadata, before, key)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(NotStored::Changed),
        Err(status) => Err(NotStored::Failed(status)),
    }
}

/// Gives a private key of the original, which is the secrets alone, a state of ours. The public key says whether both
/// derive the same from them.
fn adopt<'s, S: Scheme>(
    scheme: &S,
    hashing: Hashing<'_>,
    wanted: usize,
    room: usize,
    head: &[u8],
    state: &'s mut [u8],
    length: usize,
) -> Result<&'s mut [u8], Error> {
    let mut secret = Secret::<128>::zero();
    let secret = secret.get_mut(..length).ok_or(Error::State)?;
    secret.copy_from_slice(state.get(..length).ok_or(Error::State)?);
    let (retained, size) = state_size(scheme, wanted, room).ok_or(Error::State)?;
    let state = state.get_mut(..size).ok_or(Error::State)?;
    let mut engine = hashing.engine();
    scheme.restore(&mut engine, retained, secret, state)?;
    let mut public = [0; 256];
    let public = public.get_mut(..scheme.public_size()).ok_or(Error::State)?;
    scheme.open(&mut engine, state)?.public(public)?;
    if head.ends_with(public) { Ok(state) } else { Err(Error::State) }
}

fn verify<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    is_lms: bool,
) -> Result<usize, Status> {
    let (request, _) =
        StatefulVerifyDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let result = check(context, &operation, &request, is_lms);
    evict_after(context, wants(request.options, option::EVICT), request.key);
    let valid = u32::from(result?);
    Ok(context.put(&VerifyDmaResponse { refused: DmaBuffer::NONE, valid }, operation.out))
}

/// Whether the signature that a message names is valid.
fn check<P: Platform>(
    context: &mut Context<'_, P>,
    operation: &Operation<'_>,
    request: &StatefulVerifyDmaRequest,
    is_lms: bool,
) -> Result<bool, Status> {
    let mut public = [0; 256];
    let (set, length) = {
        let mut bytes = Secret::<KEY_ROOM>::zero();
        let metadata = fetch(context, request.key, bytes.as_mut_slice())?;
        let key = bytes.get(..usize::from(metadata.length)).ok_or(Status::ABORTED)?;
        let container = Container::decode(key, is_lms)?;
        check_usage(metadata.flags, Flags::USAGE_VERIFY)?;
        let size = with_set!(container.set, scheme => scheme.public_size());
        let from = key.get(container.public).and_then(|public| public.get(..size));
        public.get_mut(..size).ok_or(Status::ABORTED)?.copy_from_slice(from.ok_or(Status::ABORTED)?);
        (container.set, size)
    };
    let public = public.get(..length).ok_or(Status::ABORTED)?;
    let signature = context.dma.open(request.signature, Access::Read)?;
    let message = context.dma.open(request.message, Access::Read)?;
    if signature.length() != set.signature_size() {
        return Err(Status::BUFFER);
    }
    let mut engine = BlockEngine::new(operation.driver);
    let shared = Shared::new(&mut context.dma);
    let message = SharedMessage { shared: &shared, region: message };
    let input = SharedInput { shared: &shared, region: signature };
    let result = match set {
        Set::Hss(_) => hss_verify(&mut engine, public, &message, input),
        Set::Xmss(scheme) => xmss_verify(&mut engine, &scheme, public, &message, input),
    };
    match result {
        Ok(()) => Ok(true),
        // A public key whose parameters are not those it was stored with verifies nothing.
        Err(Error::Signature | Error::Parameters) => Ok(false),
        Err(error) => Err(shared.status(set, error)),
    }
}

fn remaining<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    is_lms: bool,
) -> Result<usize, Status> {
    let (request, _) =
        StatefulRemainingRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let mut bytes = Secret::<KEY_ROOM>::zero();
    let metadata = fetch(context, request.key, bytes.as_mut_slice())?;
    let key = bytes.get(..usize::from(metadata.length)).ok_or(Status::ABORTED)?;
    let container = Container::decode(key, is_lms)?;
    let has_more = match container.private {
        Some(begin) => {
            let next = key.get(begin..).and_then(<[u8]>::first_chunk).ok_or(Status::ABORTED)?;
            with_set!(container.set, scheme => u64::from_be_bytes(*next) < scheme.capacity())
        }
        // What the original answers for public keys.
        None if is_lms => true,
        None => return Err(Status::IO_FAILED),
    };
    Ok(context.put(&StatefulRemainingResponse { remaining: u32::from(has_more) }, operation.out))
}

const _: () = assert!(STATEFUL_REVOKED < HEADER);
