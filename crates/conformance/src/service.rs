//! The whole firmware, as a client sees it.

use crate::report::{Outcome, Report, Shortfall, ensure};
use crate::{Subject, shortfall};
use casemate_client::{Client, Error, Key, NewKey};
use casemate_port::{Cause, Core, Firmware, Progress, Step};
use casemate_protocol::{ClientId, Flags, Metadata, ObjectId};
use casemate_transport::{ClientTransport, TransportError};

const AREA: &str = "service";
/// The largest packet of the suite's client, in bytes.
const PACKET: usize = 1288;
/// An object that the suite makes and destroys.
const OBJECT: ObjectId = ObjectId(0xC0F);

/// A client's transport whose waiting is the firmware's working: both ends in one thread. After [`Subject::PATIENCE`] polls
/// without a response it counts as closed.
pub struct Driven<'f, P: Subject, const LINKS: usize> {
    firmware: &'f mut Firmware<P, LINKS>,
    client: P::Client,
}

impl<'f, P: Subject, const LINKS: usize> Driven<'f, P, LINKS> {
    /// A transport over one end of a link, which drives the firmware.
    pub const fn new(firmware: &'f mut Firmware<P, LINKS>, client: P::Client) -> Self {
        Self { firmware, client }
    }
}

impl<P: Subject, const LINKS: usize> core::fmt::Debug for Driven<'_, P, LINKS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driven").field("firmware", &self.firmware).finish_non_exhaustive()
    }
}

impl<P: Subject, const LINKS: usize> ClientTransport for Driven<'_, P, LINKS> {
    type Error = <P::Client as ClientTransport>::Error;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Self::Error>> {
        self.client.send(packet)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Self::Error>> {
        for _ in 0..P::PATIENCE {
            match self.client.receive(buffer) {
                Err(TransportError::NotReady) => {}
                other => return other,
            }
            match self.firmware.poll() {
                Progress::Idle => self.firmware.port_mut().idle(),
                Progress::Safe(_) => break,
                _ => {}
            }
        }
        Err(TransportError::Closed)
    }
}

/// A client over a link that drives the firmware.
type SuiteClient<'f, P, const LINKS: usize> = Client<Driven<'f, P, LINKS>, [u8; PACKET]>;

/// Checks the firmware on a device: boot, requests, ends of sessions, restart.
pub fn check_service<P: Subject, const LINKS: usize>(
    report: &mut Report<'_>,
    power_on: &mut dyn FnMut() -> P,
) {
    let mut firmware = Firmware::<P, LINKS>::new(power_on());
    report.note(format_args!(
        "service: the firmware takes {} bytes of RAM, caches and buffers that it owns included",
        size_of::<Firmware<P, LINKS>>()
    ));
    let limits = firmware.port().limits();
    if limits.ram != 0 {
        let fits = size_of::<Firmware<P, LINKS>>() <= limits.ram;
        report.check(AREA, "the firmware fits into the port's RAM", ensure(fits, "it does not"));
    }
    let booted = boot(&mut firmware);
    report.check(AREA, "the firmware boots, and releases the application cores last", booted);
    if booted.is_err() {
        return;
    }
    let mut served = 0_usize;
    for link in 0..LINKS {
        let outcome = with_client(&mut firmware, link, &mut requests::<P, LINKS>);
        if outcome.is_ok() {
            served = served.saturating_add(1);
        }
        report.check(AREA, "a client's requests on a link are answered", outcome);
    }
    if served == 0 {
        return;
    }
    report.check(AREA, "nothing but INIT is served before INIT", before_init(&mut firmware));
    report.check(AREA, "an object is stored", with_client(&mut firmware, 0, &mut store::<P, LINKS>));
    report.check(AREA, "a core that resets loses its session, and no other does", crash(&mut firmware));
    report.check(
        AREA,
        "a core that the firmware resets runs again, without its session",
        reset(&mut firmware),
    );
    drop(firmware);
    let mut firmware = Firmware::<P, LINKS>::new(power_on());
    let outcome = boot(&mut firmware).and_then(|()| with_client(&mut firmware, 0, &mut restore::<P, LINKS>));
    report.check(AREA, "the object is there after a restart, and can be destroyed", outcome);
}

/// Boots a device and has a client put this key, of at most 256 bytes, into the server's cache; whether that went well. The
/// session stays open. For tests of what is left of the key in memory afterwards, when the device fails for instance.
pub fn cache_key<P: Subject, const LINKS: usize>(firmware: &mut Firmware<P, LINKS>, key: &[u8]) -> bool {
    let Some(id) = firmware.port().known_client(0).or(ClientId::new(1)) else { return false };
    if boot(firmware).is_err() {
        return false;
    }
    let Ok(transport) = connect(firmware, 0) else { return false };
    let mut client = Client::new(Driven::new(firmware, transport), [0; PACKET]);
    let new = NewKey { label: "conformance".into(), ..NewKey::default() };
    client.init(id).is_ok() && client.key_cache(&new, key).is_ok()
}

fn boot<P: Subject, const LINKS: usize>(firmware: &mut Firmware<P, LINKS>) -> Outcome {
    while let Some(step) = firmware.step() {
        if step == Step::Serve {
            let running = (0..P::CORES).all(|core| firmware.port().is_running(Core(core)) != Some(false));
            return ensure(running, "an application core does not run after the boot");
        }
        if step > Step::Hardware {
            let held = (0..P::CORES).all(|core| firmware.port().is_running(Core(core)) != Some(true));
            ensure(held, "an application core runs before it is released")?;
        }
        firmware.poll();
    }
    Err(match firmware.safe_state().map(|reason| reason.cause) {
        Some(Cause::Port(fault) | Cause::Core(_, fault)) => shortfall(fault, "the port reports a fault"),
        Some(Cause::Entropy(casemate_crypto::Error::Unsupported)) => Shortfall::NotImplemented,
        Some(Cause::Entropy(_)) => Shortfall::Failed("the noise source failed"),
        Some(Cause::SelfTest(_)) => Shortfall::Failed("a known-answer test failed"),
        Some(Cause::Mount(_)) => Shortfall::Failed("the object store cannot be mounted"),
        Some(Cause::Config(_)) => Shortfall::Failed("the configuration is out of range"),
        Some(Cause::Buffer { .. }) => Shortfall::Failed("a packet buffer is smaller than a packet"),
        Some(Cause::Image(_)) => Shortfall::Failed("an image was refused"),
        _ => Shortfall::Failed("it entered the safe state"),
    })
}

/// Why a client's work ended early.
enum Fault<E> {
    Client(Error<E>),
    /// An answer came, and is not the right one.
    Wrong,
}

impl<E> From<Error<E>> for Fault<E> {
    fn from(error: Error<E>) -> Self {
        Self::Client(error)
    }
}

type Answer<P> = Result<(), Fault<<<P as Subject>::Client as ClientTransport>::Error>>;

type Work<'w, P, const LINKS: usize> = &'w mut dyn FnMut(&mut SuiteClient<'_, P, LINKS>) -> Answer<P>;

fn wrong<P: Subject>(holds: bool) -> Answer<P> {
    if holds { Ok(()) } else { Err(Fault::Wrong) }
}

/// Connects to a link, says INIT, works, and ends the session.
fn with_client<P: Subject, const LINKS: usize>(
    firmware: &mut Firmware<P, LINKS>,
    link: usize,
    work: Work<'_, P, LINKS>,
) -> Outcome {
    let id = firmware.port().known_client(link).or(ClientId::new(1)).unwrap_or(ClientId::NONE);
    let transport = connect(firmware, link)?;
    let mut client = Client::new(Driven::new(firmware, transport), [0; PACKET]);
    client.init(id).map_err(|_| Shortfall::Failed("INIT is not answered"))?;
    client.learn_limits().map_err(|_| Shortfall::Failed("INFO is not answered"))?;
    work(&mut client).map_err(|error| {
        Shortfall::Failed(match error {
            Fault::Wrong => "an answer is wrong",
            Fault::Client(Error::Remote(_)) => "a request was refused",
            Fault::Client(Error::Transport(_)) => "a response did not come",
            Fault::Client(_) => "a response is not what it should be",
        })
    })?;
    client.close().map_err(|_| Shortfall::Failed("CLOSE is not answered"))
}

fn connect<P: Subject, const LINKS: usize>(
    firmware: &mut Firmware<P, LINKS>,
    link: usize,
) -> Result<P::Client, Shortfall> {
    match firmware.port_mut().client(link) {
        Ok(Some(client)) => Ok(client),
        Ok(None) => Err(Shortfall::NotApplicable("no client can be had for it here")),
        Err(fault) => Err(shortfall(fault, "the client's end cannot be made")),
    }
}

fn requests<P: Subject, const LINKS: usize>(client: &mut SuiteClient<'_, P, LINKS>) -> Answer<P> {
    let room = client.data_length().min(PACKET).saturating_sub(16);
    let data = [0xC3; PACKET];
    for length in [0, 1, 100, room] {
        let data = data.get(..length).unwrap_or_default();
        let same = client.echo(data)? == data;
        wrong::<P>(same)?;
    }
    let (mut one, mut other) = ([0; 32], [0; 32]);
    client.random(&mut one)?;
    client.random(&mut other)?;
    wrong::<P>(one != other && one != [0; 32])?;
    // RFC 4493, §4, example 1: the CMAC of nothing.
    let flags = Flags::USAGE_SIGN | Flags::USAGE_VERIFY | Flags::NONEXPORTABLE;
    let new = NewKey { flags, label: "conformance".into(), ..NewKey::default() };
    let key =
        [0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C];
    let id = client.key_cache(&new, &key)?;
    let message =
        [0x6B, 0xC1, 0xBE, 0xE2, 0x2E, 0x40, 0x9F, 0x96, 0xE9, 0x3D, 0x7E, 0x11, 0x73, 0x93, 0x17, 0x2A];
    let expected =
        [0x07, 0x0A, 0x16, 0xB4, 0x6B, 0x4D, 0x41, 0x44, 0xF7, 0x9B, 0xDD, 0x9D, 0xD0, 0x4A, 0x28, 0x7C];
    let mut tag = [0; 16];
    client.cmac(Key::Id(id), &message, &mut tag)?;
    wrong::<P>(tag == expected)?;
    wrong::<P>(client.key_export(id, &mut [0; 16]).is_err())?;
    client.key_evict(id)?;
    wrong::<P>(client.cmac(Key::Id(id), &message, &mut tag).is_err())
}

const CONTENT: &[u8] = b"conformance: what was stored before the restart";

fn store<P: Subject, const LINKS: usize>(client: &mut SuiteClient<'_, P, LINKS>) -> Answer<P> {
    let metadata = Metadata { id: OBJECT, label: "conformance".into(), ..Metadata::default() };
    client.nvm_add(&metadata, CONTENT)?;
    stored::<P, LINKS>(client)
}

fn stored<P: Subject, const LINKS: usize>(client: &mut SuiteClient<'_, P, LINKS>) -> Answer<P> {
    let mut out = [0; CONTENT.len()];
    let length = client.nvm_read(OBJECT, &mut out)?;
    wrong::<P>(length == CONTENT.len() && out == CONTENT)
}

fn restore<P: Subject, const LINKS: usize>(client: &mut SuiteClient<'_, P, LINKS>) -> Answer<P> {
    stored::<P, LINKS>(client)?;
    client.nvm_destroy(&[OBJECT])?;
    wrong::<P>(client.nvm_metadata(OBJECT).is_err())
}

fn before_init<P: Subject, const LINKS: usize>(firmware: &mut Firmware<P, LINKS>) -> Outcome {
    let transport = connect(firmware, 0)?;
    let mut client = Client::new(Driven::new(firmware, transport), [0; PACKET]);
    let refused = matches!(client.random(&mut [0; 8]), Err(Error::Remote(_)));
    ensure(refused, "random numbers are given out, or the refusal does not come")
}

/// Two sessions, of which one's core resets.
fn crash<P: Subject, const LINKS: usize>(firmware: &mut Firmware<P, LINKS>) -> Outcome {
    let Some(core) = firmware.port().link_core(0) else {
        return Err(Shortfall::NotApplicable("no core is at the end of link 0"));
    };
    let sessions = sessions(firmware)?;
    if !firmware.port_mut().crash_core(core) {
        return Err(Shortfall::NotApplicable("the port cannot make a core reset by itself"));
    }
    settle(firmware);
    drop(sessions);
    ended(firmware)
}

fn reset<P: Subject, const LINKS: usize>(firmware: &mut Firmware<P, LINKS>) -> Outcome {
    let Some(core) = firmware.port().link_core(0) else {
        return Err(Shortfall::NotApplicable("no core is at the end of link 0"));
    };
    let sessions = sessions(firmware)?;
    firmware.reset_core(core).map_err(|_| Shortfall::Failed("it cannot be reset"))?;
    ensure(firmware.port().is_running(core) != Some(false), "it does not run afterwards")?;
    // A hardware that reports resets may report this one.
    let ended = ended(firmware);
    settle(firmware);
    drop(sessions);
    ended
}

/// Makes a session on link 0, and on link 1 if there is one that belongs to another core.
fn sessions<P: Subject, const LINKS: usize>(
    firmware: &mut Firmware<P, LINKS>,
) -> Result<[Option<P::Client>; 2], Shortfall> {
    let mut clients = [None, None];
    for (link, client) in clients.iter_mut().enumerate().take(LINKS) {
        let mut connected = match connect(firmware, link) {
            Ok(connected) => connected,
            Err(Shortfall::NotApplicable(_)) if link > 0 => continue,
            Err(why) => return Err(why),
        };
        let id = firmware.port().known_client(link).or(ClientId::new(1)).unwrap_or(ClientId::NONE);
        let init = [1, 0xA5, 1, 1, 1, 0, 0, 0, id.get(), 0, 0, 0];
        for _ in 0..P::PATIENCE {
            match connected.send(&init) {
                Err(TransportError::NotReady) => settle(firmware),
                Ok(()) => break,
                Err(_) => return Err(Shortfall::Failed("INIT cannot be sent")),
            }
        }
        for _ in 0..P::PATIENCE {
            if firmware.client(link).is_some() {
                break;
            }
            settle(firmware);
        }
        ensure(firmware.client(link).is_some(), "INIT is not handled")?;
        *client = Some(connected);
    }
    Ok(clients)
}

/// Link 0 has lost its session; link 1 has kept its own, if it belongs to another core.
fn ended<P: Subject, const LINKS: usize>(firmware: &Firmware<P, LINKS>) -> Outcome {
    ensure(firmware.client(0).is_none(), "the session lives on")?;
    let other = LINKS > 1 && firmware.port().link_core(1) != firmware.port().link_core(0);
    ensure(!other || firmware.client(1).is_some(), "the session of another core has ended too")
}

/// Lets the firmware work until nothing is to be done.
fn settle<P: Subject, const LINKS: usize>(firmware: &mut Firmware<P, LINKS>) {
    for _ in 0..64 {
        if let Progress::Idle | Progress::Safe(_) = firmware.poll() {
            break;
        }
    }
    firmware.port_mut().idle();
}
