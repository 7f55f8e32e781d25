//! The porting interface, implemented: everything of [`casemate_port::Port`] but where the clients come from.

use crate::noise::{Noise, noise};
use crate::registers::Registers;
use crate::{DataFlash, Host};
use casemate_crypto::{Driver, Software};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, MountError};
#[cfg(feature = "images")]
use casemate_port::{BootImages, ImageWindow};
use casemate_port::{
    BufferPurpose, CacheOwner, Core, Fault, Generator, MemoryLimits, NoServices, Port, Reason,
};
use casemate_protocol::{ClientId, Header, IdFeatures};
#[cfg(feature = "images")]
use casemate_server::image::Image;
use casemate_server::{ArrayCache, Config, SingleThread};
use casemate_transport::ServerTransport;

/// The object store's directory: as many objects as the original has by default, and as its example server has where the
/// packets are the example's, too. An image on flash is made for this number.
pub const OBJECTS: usize = if cfg!(feature = "everything") { 30 } else { 32 };

/// Largest payload in bytes; clients of the original must be built with the same number.
pub const DATA_LENGTH: usize = if cfg!(feature = "everything") { 8192 } else { 1280 };

/// Largest packet in bytes.
pub const PACKET: usize = DATA_LENGTH + Header::SIZE;

/// Slots in a key cache for small keys: as many as the original has, with and without SHE.
const SMALL_SLOTS: usize = if cfg!(feature = "config-b") { 16 } else { 8 };
/// Size of the big slots: an RSA key; a key of ML-DSA or ML-KEM, of which configuration d's longest has 4032 bytes, an
/// ML-DSA-65 private key; or whatever the original has room for.
const BIG_SIZE: usize = match (cfg!(feature = "everything"), cfg!(feature = "config-d")) {
    (true, _) => 8192,
    (_, true) => 4096,
    _ => 1200,
};
/// Room for what must be whole before it is used, see [`BufferPurpose::Scratch`]: for images, key, header and a part of the
/// image.
const SCRATCH: usize =
    match (cfg!(feature = "everything"), cfg!(feature = "images"), cfg!(feature = "config-d")) {
        (true, _, _) => 16_384,
        (_, true, true) => 8192,
        (_, true, false) => 2048,
        _ => 0,
    };

/// A key cache, in the original's shape.
pub type Cache = ArrayCache<SMALL_SLOTS, 256, 3, BIG_SIZE>;

/// The memory of a server for `LINKS` clients. It belongs into a static.
#[derive(Debug)]
pub struct Memory<const LINKS: usize> {
    directory: [DirectoryEntry; OBJECTS],
    global_keys: Cache,
    session_keys: [Cache; LINKS],
    request: [u8; PACKET],
    responses: [[u8; PACKET]; LINKS],
    scratch: [u8; SCRATCH],
}

impl<const LINKS: usize> Memory<LINKS> {
    /// Empty memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            directory: [DirectoryEntry::EMPTY; OBJECTS],
            global_keys: Cache::new(),
            session_keys: [const { Cache::new() }; LINKS],
            request: [0; PACKET],
            responses: [[0; PACKET]; LINKS],
            scratch: [0; SCRATCH],
        }
    }
}

impl<const LINKS: usize> Default for Memory<LINKS> {
    fn default() -> Self {
        Self::new()
    }
}

/// What differs between boards: the engines, where clients come from, and how the core sleeps.
pub trait Board {
    /// The server's end of a client's link.
    type Transport: ServerTransport;
    /// The engines: [`Aes128Driver`](casemate_device::Aes128Driver) over [`Engine`](crate::Engine), with others before it
    /// where they are known.
    type Engines: Driver;

    /// Switches the engines on.
    fn engines(&mut self) -> Self::Engines;

    /// Opens a link, the first time it is asked to.
    fn open(&mut self, link: usize) -> Option<Self::Transport>;

    /// The only client that the other end of a link can be; INIT with another identifier is then refused. By default, link
    /// `n` is that of client `n` + 1: who reaches the memory of a link is who has the identifier. `None` where the other end
    /// can be anyone.
    fn known_client(&self, link: usize) -> Option<ClientId> {
        ClientId::new(u32::try_from(link).ok()?.checked_add(1)?)
    }

    /// Sleeps until there may be something to do.
    fn sleep(&mut self) {}

    /// The images that have to be good before the application cores are released: `images::IMAGES`, or a table of the board's
    /// own. By default there are none, and the cores are released as they are.
    #[cfg(feature = "images")]
    fn images(&self) -> &'static [Image<'static>] {
        &[]
    }

    /// The device has entered its safe state.
    fn entered_safe_state(&mut self, reason: &Reason) {
        let _ = reason;
    }
}

/// The HSM of a TC3xx with `LINKS` clients.
///
/// To the firmware, the application cores are one core: the HSM lets the first of them start, which starts the others.
#[derive(Debug)]
pub struct Tc3xx<R: 'static, B, const LINKS: usize> {
    registers: R,
    board: B,
    #[cfg(feature = "images")]
    applications: ImageWindow<R>,
    parts: Parts,
    directory: Option<&'static mut [DirectoryEntry; OBJECTS]>,
    global_keys: Option<&'static mut Cache>,
    session_keys: core::slice::IterMut<'static, Cache>,
    request: Option<&'static mut [u8; PACKET]>,
    responses: core::slice::IterMut<'static, [u8; PACKET]>,
    scratch: Option<&'static mut [u8; SCRATCH]>,
}

impl<R: Registers + Copy, B: Board, const LINKS: usize> Tc3xx<R, B, LINKS> {
    /// A port on `registers` that serves with `memory`.
    pub fn new(registers: R, board: B, memory: &'static mut Memory<LINKS>) -> Self {
        let Memory { directory, global_keys, session_keys, request, responses, scratch } = memory;
        Self {
            registers,
            board,
            #[cfg(feature = "images")]
            applications: ImageWindow::new(crate::images::FLASH, registers, R::read_application_flash),
            parts: Parts::default(),
            directory: Some(directory),
            global_keys: Some(global_keys),
            session_keys: session_keys.iter_mut(),
            request: Some(request),
            responses: responses.iter_mut(),
            scratch: Some(scratch),
        }
    }

    /// The board.
    pub const fn board(&self) -> &B {
        &self.board
    }

    /// The module's registers.
    pub const fn registers(&self) -> R {
        self.registers
    }
}

/// Which parts were handed out.
#[derive(Debug, Default)]
struct Parts {
    entropy: bool,
    engines: bool,
    flash: bool,
}

/// Marks a part as handed out.
fn once(taken: &mut bool) -> Result<(), Fault> {
    if core::mem::replace(taken, true) { Err(Fault::Taken) } else { Ok(()) }
}

/// To the firmware there is one application core.
fn exists(core: Core) -> Result<(), Fault> {
    if core == Core(0) { Ok(()) } else { Err(Fault::NoSuchPart) }
}

/// A buffer; an empty one if it was handed out before.
fn bytes<const N: usize>(buffer: Option<&'static mut [u8; N]>) -> &'static mut [u8] {
    match buffer {
        Some(buffer) => buffer,
        None => &mut [],
    }
}

impl<R: Registers + Copy, B: Board, const LINKS: usize> Port for Tc3xx<R, B, LINKS> {
    const NAME: &'static str = "tc3xx";
    const CORES: u8 = 1;

    type Entropy = Noise<R>;
    type Crypto = B::Engines;
    type Software = Software<Generator<Noise<R>>>;
    type Flash = DataFlash<R>;
    type Store = FlashStore<DataFlash<R>, &'static mut [DirectoryEntry]>;
    type Services = NoServices;
    type Cache = Option<&'static mut Cache>;
    type Lock<T> = SingleThread<T>;
    type Transport = B::Transport;
    type Buffer = &'static mut [u8];

    fn limits(&self) -> MemoryLimits {
        let map = crate::memory_map::CURRENT;
        let size = |length: u32| usize::try_from(length).unwrap_or(usize::MAX);
        MemoryLimits { program: size(map.program.length), ram: size(map.ram.length), stack: 0 }
    }

    fn initialize(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn hold(&mut self, core: Core) -> Result<(), Fault> {
        exists(core)?;
        let host = Host::new(self.registers);
        if host.is_held() {
            return Ok(());
        }
        host.reset().map_err(|_| Fault::Device(0))
    }

    fn entropy(&mut self) -> Result<Self::Entropy, Fault> {
        once(&mut self.parts.entropy)?;
        Ok(noise(self.registers))
    }

    fn min_entropy(&self) -> u8 {
        crate::memory_map::MIN_ENTROPY
    }

    fn crypto(&mut self) -> Result<Self::Crypto, Fault> {
        once(&mut self.parts.engines)?;
        Ok(self.board.engines())
    }

    fn software(&mut self, generator: Generator<Self::Entropy>) -> Self::Software {
        Software::new(generator)
    }

    fn flash(&mut self) -> Result<Self::Flash, Fault> {
        once(&mut self.parts.flash)?;
        Ok(DataFlash::new(self.registers))
    }

    fn mount(&mut self, flash: Self::Flash) -> Result<Self::Store, MountError<crate::DataFlashError>> {
        let directory: &'static mut [DirectoryEntry] = match self.directory.take() {
            Some(directory) => directory,
            None => &mut [],
        };
        // Checksums: see `DataFlash` on pages that cannot be read.
        FlashStore::mount(flash, directory, FlashOptions::new().with_checksums(true))
    }

    fn config(&self) -> Config {
        Config {
            data_length: DATA_LENGTH,
            features: IdFeatures { global_keys: true, wrapped_keys: true, hardware_keys: false },
            ..Config::default()
        }
    }

    fn services(&mut self) -> Result<NoServices, Fault> {
        Ok(NoServices)
    }

    fn cache(&mut self, owner: CacheOwner) -> Self::Cache {
        match owner {
            CacheOwner::Global => self.global_keys.take(),
            CacheOwner::Session(_) => self.session_keys.next(),
        }
    }

    fn buffer(&mut self, purpose: BufferPurpose) -> &'static mut [u8] {
        match purpose {
            BufferPurpose::Request => bytes(self.request.take()),
            BufferPurpose::Response(_) => bytes(self.responses.next()),
            BufferPurpose::Scratch => bytes(self.scratch.take()),
        }
    }

    #[cfg(feature = "images")]
    fn images(&mut self) -> Option<BootImages<'_>> {
        let images = self.board.images();
        (!images.is_empty()).then_some(BootImages { images, memory: &mut self.applications })
    }

    fn release(&mut self, core: Core) -> Result<(), Fault> {
        exists(core)?;
        Host::new(self.registers).release().map_err(|_| Fault::Device(1))
    }

    fn open(&mut self, link: usize) -> Result<Option<B::Transport>, Fault> {
        if link < LINKS { Ok(self.board.open(link)) } else { Err(Fault::NoSuchPart) }
    }

    fn known_client(&self, link: usize) -> Option<ClientId> {
        self.board.known_client(link)
    }

    fn link_core(&self, _: usize) -> Option<Core> {
        Some(Core(0))
    }

    fn core_has_reset(&mut self, _: Core) -> bool {
        Host::new(self.registers).has_restarted()
    }

    fn idle(&mut self) {
        self.board.sleep();
    }

    fn entered_safe_state(&mut self, reason: &Reason) {
        self.board.entered_safe_state(reason);
    }
}
