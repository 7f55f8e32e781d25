//! From power on to serving: boot in order, serve every link in turn, hold the device when something is wrong.

use crate::platform::PortPlatform;
use crate::port::{BufferPurpose, CacheOwner, Core, Port, PortServer};
use crate::{Cause, Generator, Reason, SelfTest, SoftwareDriver, Step, WatchedStore, self_test};
use casemate_crypto::{Prefer, wipe};
use casemate_protocol::ClientId;
use casemate_server::{Disconnect, Reply, Server, Session};
use casemate_transport::{ServerTransport, TransportError};
use core::fmt;
use embedded_storage::nor_flash::NorFlashError;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The client said so (CLOSE).
    ByClient,
    /// The transport reports that the other end is gone.
    Closed,
    /// A packet was shorter than its header, longer than its buffer, or its length contradicts the buffer.
    Length,
    /// The transport failed.
    Transport,
    /// What arrived is no packet.
    Malformed,
    /// The application core at the other end has reset.
    CoreReset(Core),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByClient => f.write_str("the client ended the session"),
            Self::Closed => f.write_str("the other end is gone"),
            Self::Length => f.write_str("a packet had an impossible length"),
            Self::Transport => f.write_str("the transport failed"),
            Self::Malformed => f.write_str("what arrived is no packet"),
            Self::CoreReset(core) => write!(f, "application core {} has reset", core.0),
        }
    }
}

/// What a call of [`Firmware::poll`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A step of the boot is complete.
    Booted(Step),
    /// A link was opened; its client has not said anything yet.
    Opened(usize),
    /// A request of this link was handled, and its response taken over by the transport.
    Answered(usize),
    /// A request of this link was handled; the response waits for the transport.
    Handled(usize),
    /// The session of this link has ended. The link is opened anew by a later call.
    SessionEnded(usize, Ended),
    /// Nothing was to be done.
    Idle,
    /// The device is in its safe state.
    Safe(Reason),
}

/// A link and its session.
struct Link<P: Port> {
    session: Session<PortPlatform<P>>,
    transport: Option<P::Transport>,
    response: P::Buffer,
    /// A response that the transport has not taken.
    pending: Option<Reply>,
}

/// What exists from [`Step::Server`] on.
struct Service<P: Port> {
    server: PortServer<P>,
    request: P::Buffer,
    scratch: P::Buffer,
}

/// What the boot has made so far. Each step puts what it makes in the place of what it has used up, so that all of them share
/// the memory of the largest.
enum Made<P: Port> {
    Nothing,
    Generator(Generator<P::Entropy>),
    Driver(Prefer<P::Crypto, P::Software>),
    Store(Prefer<P::Crypto, P::Software>, P::Store),
    Service(Service<P>),
}

impl<P: Port> Made<P> {
    const fn take(&mut self) -> Self {
        core::mem::replace(self, Self::Nothing)
    }

    const fn service(&self) -> Option<&Service<P>> {
        if let Self::Service(service) = self { Some(service) } else { None }
    }
}

/// Where the firmware is.
#[derive(Debug, Clone, Copy)]
enum State {
    /// This step comes next, or lasts.
    At(Step),
    Safe(Reason),
}

/// The firmware of a device with `LINKS` links to clients: a port, and everything that it takes to serve with it.
///
/// It lies where the port puts it: in a static, or on the stack of `main`.
pub struct Firmware<P: Port, const LINKS: usize> {
    port: P,
    state: State,
    made: Made<P>,
    /// All of them from [`Step::Server`] on. Each is put here alone: together they need more stack than requests do.
    links: [Option<Link<P>>; LINKS],
    /// The link that is looked at next.
    next: usize,
}

impl<P: Port, const LINKS: usize> fmt::Debug for Firmware<P, LINKS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Firmware").field("port", &P::NAME).field("state", &self.state).finish_non_exhaustive()
    }
}

impl<P: Port, const LINKS: usize> Firmware<P, LINKS> {
    /// The firmware before its first step.
    pub const fn new(port: P) -> Self {
        Self {
            port,
            state: State::At(Step::Hardware),
            made: Made::Nothing,
            links: [const { None }; LINKS],
            next: 0,
        }
    }

    /// Boots and serves for ever. Calls [`Port::idle`] when nothing is to be done, and in the safe state.
    pub fn run(&mut self) -> ! {
        loop {
            if let Progress::Idle | Progress::Safe(_) = self.poll() {
                self.port.idle();
            }
        }
    }

    /// Does one step of the boot, or one piece of serving: at most one request of one link.
    pub fn poll(&mut self) -> Progress {
        let step = match self.state {
            State::At(step) => step,
            State::Safe(reason) => return Progress::Safe(reason),
        };
        let done = match step {
            Step::Serve => self.serve(),
            _ => self.boot(step).map(|()| {
                self.state = State::At(step.next());
                Progress::Booted(step)
            }),
        };
        done.unwrap_or_else(|cause| Progress::Safe(self.hold(step, cause)))
    }

    /// Boots to the end, for callers that need not look at each step.
    ///
    /// # Errors
    /// [`Reason`] if the device has entered its safe state.
    pub fn boot_all(&mut self) -> Result<(), Reason> {
        loop {
            match self.state {
                State::At(Step::Serve) => return Ok(()),
                State::Safe(reason) => return Err(reason),
                State::At(_) => self.poll(),
            };
        }
    }

    /// The step that comes next or lasts; `None` in the safe state.
    pub const fn step(&self) -> Option<Step> {
        match self.state {
            State::At(step) => Some(step),
            State::Safe(_) => None,
        }
    }

    /// Why the device is in its safe state; `None` if it is not.
    pub const fn safe_state(&self) -> Option<Reason> {
        match self.state {
            State::At(_) => None,
            State::Safe(reason) => Some(reason),
        }
    }

    /// The port.
    pub const fn port(&self) -> &P {
        &self.port
    }

    /// The port, between two calls of [`poll`](Self::poll).
    pub const fn port_mut(&mut self) -> &mut P {
        &mut self.port
    }

    /// The server, from [`Step::Server`] on and until the safe state.
    pub fn server(&self) -> Option<&PortServer<P>> {
        self.made.service().map(|service| &service.server)
    }

    /// Who the client of a link is; `None` before INIT.
    pub fn client(&self, link: usize) -> Option<ClientId> {
        self.links.get(link)?.as_ref()?.session.client()
    }

    /// Resets an application core: holds it, ends the sessions of its links, releases it. For the device's own logic; a
    /// core that resets by itself is noticed through [`Port::core_has_reset`].
    ///
    /// Before the cores are released, the core is only held.
    ///
    /// # Errors
    /// [`Reason`]: the core could not be held or released, and the device has entered its safe state; or it was in it.
    pub fn reset_core(&mut self, core: Core) -> Result<(), Reason> {
        let step = match self.state {
            State::At(step) => step,
            State::Safe(reason) => return Err(reason),
        };
        let held = self.port.hold(core);
        self.end_sessions_of(core);
        let done = match held {
            Ok(()) if step == Step::Serve => self.port.release(core),
            other => other,
        };
        done.map_err(|fault| self.hold(step, Cause::Core(core, fault)))
    }

    /// Enters the safe state.
    #[inline(never)]
    fn hold(&mut self, step: Step, cause: Cause) -> Reason {
        let reason = Reason { step, cause };
        self.state = State::Safe(reason);
        for core in 0..P::CORES {
            // The fault that led here is the one to report, and there is nothing left to do about another.
            let _ = self.port.hold(Core(core));
        }
        if let Made::Service(Service { request, scratch, .. }) = &mut self.made {
            wipe(request.as_mut());
            wipe(scratch.as_mut());
        }
        for slot in &mut self.links {
            if let Some(link) = slot {
                wipe(link.response.as_mut());
            }
            // The caches wipe themselves when they are dropped.
            *slot = None;
        }
        self.made = Made::Nothing;
        self.port.entered_safe_state(&reason);
        reason
    }

    /// Does this step. The parts of it that make something are not inlined: their frames would lie under all the others.
    #[inline(never)]
    fn boot(&mut self, step: Step) -> Result<(), Cause> {
        match step {
            Step::Hardware => {
                self.port.initialize()?;
                (0..P::CORES)
                    .map(Core)
                    .try_for_each(|core| self.port.hold(core).map_err(|fault| Cause::Core(core, fault)))
            }
            Step::Entropy => self.make_generator(),
            Step::Crypto => self.make_driver(),
            Step::Flash => self.mount(),
            Step::Server => {
                self.make_server()?;
                (0..LINKS).try_for_each(|link| self.make_link(link))?;
                let Some(Service { server, .. }) = self.made.service() else {
                    return Err(crate::Fault::Taken.into());
                };
                self.port.prepare(server)?;
                self.check()
            }
            Step::Images => self.verify_images(),
            Step::Release => (0..P::CORES)
                .map(Core)
                .try_for_each(|core| self.port.release(core).map_err(|fault| Cause::Core(core, fault))),
            Step::Serve => Ok(()),
        }
    }

    #[inline(never)]
    fn make_generator(&mut self) -> Result<(), Cause> {
        let source = self.port.entropy()?;
        let generator = Generator::new(source, self.port.min_entropy(), self.port.personalization());
        self.made = Made::Generator(generator.map_err(Cause::Entropy)?);
        Ok(())
    }

    fn make_driver(&mut self) -> Result<(), Cause> {
        self.combine_drivers()?;
        let Made::Driver(driver) = &self.made else { return Err(crate::Fault::Taken.into()) };
        self_test(driver, SelfTest::QUICK).map_err(Cause::SelfTest)
    }

    #[inline(never)]
    fn combine_drivers(&mut self) -> Result<(), Cause> {
        let hardware = self.port.crypto()?;
        self_test(&hardware, SelfTest::ALL).map_err(Cause::SelfTest)?;
        let Made::Generator(generator) = self.made.take() else { return Err(crate::Fault::Taken.into()) };
        self.made = Made::Driver(Prefer::new(hardware, self.port.software(generator)));
        Ok(())
    }

    #[inline(never)]
    fn mount(&mut self) -> Result<(), Cause> {
        let flash = self.port.flash()?;
        let store = self.port.mount(flash);
        let store = store.map_err(|error| Cause::Mount(error.map(|flash| flash.kind())))?;
        let Made::Driver(driver) = self.made.take() else { return Err(crate::Fault::Taken.into()) };
        self.made = Made::Store(driver, store);
        Ok(())
    }

    #[inline(never)]
    fn make_server(&mut self) -> Result<(), Cause> {
        let Self { port, made, .. } = self;
        let Made::Store(driver, store) = made.take() else { return Err(crate::Fault::Taken.into()) };
        let platform = PortPlatform::new(driver, port.services()?);
        let cache = port.cache(CacheOwner::Global);
        let server = Server::new(platform, port.config(), WatchedStore::new(store), cache)?;
        let needed = server.packet_size();
        let request = enough(port.buffer(BufferPurpose::Request), needed)?;
        *made = Made::Service(Service { server, request, scratch: port.buffer(BufferPurpose::Scratch) });
        Ok(())
    }

    #[inline(never)]
    fn make_link(&mut self, number: usize) -> Result<(), Cause> {
        let Self { port, made: Made::Service(Service { server, .. }), links, .. } = self else {
            return Err(crate::Fault::Taken.into());
        };
        let session = Session::new(port.cache(CacheOwner::Session(number)));
        let response = enough(port.buffer(BufferPurpose::Response(number)), server.packet_size())?;
        if let Some(link) = links.get_mut(number) {
            *link = Some(Link { session, transport: None, response, pending: None });
        }
        Ok(())
    }

    #[cfg(not(feature = "images"))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the other form of it needs both")]
    const fn verify_images(&mut self) -> Result<(), Cause> {
        Ok(())
    }

    #[cfg(feature = "images")]
    fn verify_images(&mut self) -> Result<(), Cause> {
        let Self { port, made: Made::Service(Service { server, scratch, .. }), .. } = self else {
            return Err(crate::Fault::Taken.into());
        };
        let Some(boot) = port.images() else { return Ok(()) };
        for (index, image) in boot.images.iter().enumerate() {
            if !server.verify_image(image, boot.memory, scratch.as_mut()).is_good() {
                return Err(Cause::Image(index));
            }
        }
        self.check()
    }

    /// Whether entropy and store are as they should be after something was done with them.
    fn check(&self) -> Result<(), Cause> {
        let Some(Service { server, .. }) = self.made.service() else { return Ok(()) };
        if server.platform().software().generator().has_failed() {
            return Err(Cause::Entropy(casemate_crypto::Error::Entropy));
        }
        match server.with_store(|store| store.take_fault()) {
            None => Err(Cause::Lock),
            Some(Some(fault)) if self.port.is_fatal(fault) => Err(Cause::Store(fault)),
            Some(_) => Ok(()),
        }
    }

    /// Takes entropy that is soon due here, where requests have given their stack back.
    #[inline(never)]
    fn freshen(&self) {
        if let Some(Service { server, .. }) = self.made.service() {
            // It remembers whether this failed, and is asked after the next request.
            let _ = server.platform().software().generator().reseed_early();
        }
    }

    /// One piece of serving.
    fn serve(&mut self) -> Result<Progress, Cause> {
        self.freshen();
        self.port.health()?;
        for core in (0..P::CORES).map(Core) {
            if self.port.core_has_reset(core)
                && let Some(link) = self.end_sessions_of(core)
            {
                return Ok(Progress::SessionEnded(link, Ended::CoreReset(core)));
            }
        }
        for _ in 0..LINKS {
            let link = self.next;
            self.next = link.saturating_add(1).checked_rem(LINKS).unwrap_or(0);
            match self.attend(link)? {
                Progress::Idle => {}
                progress => return Ok(progress),
            }
        }
        Ok(Progress::Idle)
    }

    /// Ends the sessions of all links to a core; the first of them that was open, if any was.
    ///
    /// Not inlined, as [`ended`](Self::ended): it would widen the frame that lies under every request.
    #[inline(never)]
    fn end_sessions_of(&mut self, core: Core) -> Option<usize> {
        let mut ended = None;
        for link in (0..LINKS).rev() {
            if self.port.link_core(link) == Some(core) && self.end(link) {
                ended = Some(link);
            }
        }
        ended
    }

    /// Ends the session of a link: wipes it and gives up the transport. Whether the link was open.
    fn end(&mut self, link: usize) -> bool {
        let Self { made: Made::Service(Service { server, request, .. }), links, .. } = self else {
            return false;
        };
        let Some(Some(Link { session, transport, response, pending })) = links.get_mut(link) else {
            return false;
        };
        server.renew(session, None);
        wipe(request.as_mut());
        wipe(response.as_mut());
        *pending = None;
        transport.take().is_some()
    }

    /// Moves one link on.
    fn attend(&mut self, number: usize) -> Result<Progress, Cause> {
        let Self { port, made: Made::Service(service), links, .. } = self else { return Ok(Progress::Idle) };
        let Service { server, request, scratch } = service;
        let Some(Some(link)) = links.get_mut(number) else { return Ok(Progress::Idle) };
        let Some(transport) = &mut link.transport else {
            let Some(transport) = port.open(number)? else { return Ok(Progress::Idle) };
            server.renew(&mut link.session, port.known_client(number));
            link.transport = Some(transport);
            return Ok(Progress::Opened(number));
        };
        if link.pending.is_some() {
            return Ok(self.respond(number, Progress::Idle));
        }
        let request = request.as_mut();
        let length = match transport.receive(request) {
            Ok(length) => length,
            Err(TransportError::NotReady) => return Ok(Progress::Idle),
            Err(error) => return Ok(self.ended(number, why(&error))),
        };
        // A transport that claims more than it was given room for has lied.
        let Some(packet) = request.get_mut(..length) else { return Ok(self.ended(number, Ended::Length)) };
        let response = link.response.as_mut();
        #[cfg(feature = "dma")]
        let handled = match port.client_memory(number) {
            Some(memory) => {
                let window = casemate_server::ClientWindow { memory, scratch: scratch.as_mut() };
                server.handle_with_window(&mut link.session, window, packet, response)
            }
            None => server.handle(&mut link.session, packet, response),
        };
        #[cfg(not(feature = "dma"))]
        let handled = {
            let _ = scratch;
            server.handle(&mut link.session, packet, response)
        };
        wipe(packet);
        self.check()?;
        match handled {
            Ok(reply) => {
                if let Some(link) = self.link_mut(number) {
                    link.pending = Some(reply);
                }
                Ok(self.respond(number, Progress::Handled(number)))
            }
            Err(Disconnect::TooLong) => Ok(self.ended(number, Ended::Length)),
            Err(_) => Ok(self.ended(number, Ended::Malformed)),
        }
    }

    fn link_mut(&mut self, number: usize) -> Option<&mut Link<P>> {
        self.links.get_mut(number)?.as_mut()
    }

    /// Gives the pending response to the transport; `otherwise` if it does not take it now.
    fn respond(&mut self, number: usize, otherwise: Progress) -> Progress {
        let Some(link) = self.link_mut(number) else { return otherwise };
        let (Some(reply), Some(transport)) = (link.pending, &mut link.transport) else { return otherwise };
        let Some(packet) = link.response.as_mut().get_mut(..reply.length) else {
            return self.ended(number, Ended::Length);
        };
        match transport.send(packet) {
            Ok(()) => {
                wipe(packet);
                link.pending = None;
                if reply.close { self.ended(number, Ended::ByClient) } else { Progress::Answered(number) }
            }
            Err(TransportError::NotReady) => otherwise,
            Err(error) => self.ended(number, why(&error)),
        }
    }

    #[inline(never)]
    fn ended(&mut self, number: usize, why: Ended) -> Progress {
        self.end(number);
        Progress::SessionEnded(number, why)
    }
}

/// This buffer, if it has room for a packet.
fn enough<B: AsRef<[u8]>>(buffer: B, needed: usize) -> Result<B, Cause> {
    match buffer.as_ref().len() {
        supplied if supplied < needed => Err(Cause::Buffer { needed, supplied }),
        _ => Ok(buffer),
    }
}

const fn why<E>(error: &TransportError<E>) -> Ended {
    match error {
        TransportError::Closed => Ended::Closed,
        TransportError::BadLength => Ended::Length,
        _ => Ended::Transport,
    }
}
