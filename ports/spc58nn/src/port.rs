//! The porting interface, implemented: everything of [`casemate_port::Port`] but where the clients come from.

use crate::noise::{Noise, noise};
use crate::registers::Registers;
use crate::{DataFlash, DataFlashError, Engine, Host, memory_map};
use casemate_crypto::Software;
use casemate_device::Aes128Driver;
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

/// The object store's directory: as many objects as the original has by default, or, with everything, as its example
/// server. An image on flash is made for this number.
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
    caches: [Cache; LINKS],
    global_keys: Cache,
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
            caches: [const { Cache::new() }; LINKS],
            global_keys: Cache::new(),
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

/// What differs between boards: where clients come from, and how the core waits.
pub trait Board {
    /// The server's end of a client's link.
    type Transport: ServerTransport;

    /// Opens a link. A link whose session has ended is opened again.
    fn open(&mut self, link: usize) -> Option<Self::Transport>;

    /// The only client that the other end of a link can be; INIT with another identifier is then refused. By default, link
    /// `n` is that of client `n` + 1: who reaches the memory of a link is who has the identifier. `None` where the other end
    /// can be anyone.
    fn known_client(&self, link: usize) -> Option<ClientId> {
        ClientId::new(u32::try_from(link).ok()?.checked_add(1)?)
    }

    /// Waits until there may be something to do.
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

/// The HSM of an SPC58NN with `LINKS` clients, the first three of which are the application cores.
#[derive(Debug)]
pub struct Spc58nn<R, B, const LINKS: usize> {
    registers: R,
    board: B,
    #[cfg(feature = "images")]
    applications: ImageWindow<R>,
    directory: &'static mut [DirectoryEntry],
    global_keys: Option<&'static mut Cache>,
    caches: core::slice::IterMut<'static, Cache>,
    request: &'static mut [u8],
    responses: core::slice::IterMut<'static, [u8; PACKET]>,
    scratch: &'static mut [u8],
    /// What was handed out: a device has one of each.
    noise_taken: bool,
    engine_taken: bool,
    flash_taken: bool,
}

/// Marks a part as handed out.
fn take(taken: &mut bool) -> Result<(), Fault> {
    if core::mem::replace(taken, true) { Err(Fault::Taken) } else { Ok(()) }
}

impl<R: Registers + Copy, B: Board, const LINKS: usize> Spc58nn<R, B, LINKS> {
    /// A port on `registers` that serves with `memory`.
    pub fn new(registers: R, board: B, memory: &'static mut Memory<LINKS>) -> Self {
        let Memory { directory, caches, global_keys, request, responses, scratch } = memory;
        Self {
            registers,
            board,
            #[cfg(feature = "images")]
            applications: ImageWindow::new(crate::images::FLASH, registers, R::read_application_flash),
            directory,
            global_keys: Some(global_keys),
            caches: caches.iter_mut(),
            request,
            responses: responses.iter_mut(),
            scratch,
            noise_taken: false,
            engine_taken: false,
            flash_taken: false,
        }
    }

    /// The registers of the HSM module.
    pub const fn registers(&self) -> R {
        self.registers
    }

    /// The board.
    pub const fn board(&self) -> &B {
        &self.board
    }
}

impl<R: Registers + Copy, B: Board, const LINKS: usize> Port for Spc58nn<R, B, LINKS> {
    const NAME: &'static str = "spc58nn";
    const CORES: u8 = memory_map::APPLICATION_CORES;

    type Entropy = Noise<R>;
    type Crypto = Aes128Driver<Engine<R>>;
    type Software = Software<Generator<Noise<R>>>;
    type Flash = DataFlash<R>;
    type Store = FlashStore<DataFlash<R>, &'static mut [DirectoryEntry]>;
    type Services = NoServices;
    type Cache = Option<&'static mut Cache>;
    type Lock<T> = SingleThread<T>;
    type Transport = B::Transport;
    type Buffer = &'static mut [u8];

    fn limits(&self) -> MemoryLimits {
        memory_map::LIMITS
    }

    fn initialize(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn hold(&mut self, core: Core) -> Result<(), Fault> {
        Host::new(self.registers).hold(core)
    }

    fn entropy(&mut self) -> Result<Self::Entropy, Fault> {
        take(&mut self.noise_taken)?;
        Ok(noise(self.registers))
    }

    fn min_entropy(&self) -> u8 {
        memory_map::MIN_ENTROPY
    }

    fn crypto(&mut self) -> Result<Self::Crypto, Fault> {
        take(&mut self.engine_taken)?;
        Ok(Aes128Driver::new(Engine::new(self.registers)))
    }

    fn software(&mut self, generator: Generator<Self::Entropy>) -> Self::Software {
        Software::new(generator)
    }

    fn flash(&mut self) -> Result<Self::Flash, Fault> {
        take(&mut self.flash_taken)?;
        Ok(DataFlash::new(self.registers))
    }

    fn mount(&mut self, flash: Self::Flash) -> Result<Self::Store, MountError<DataFlashError>> {
        let directory = core::mem::take(&mut self.directory);
        // Checksums: see `DataFlash` on double words that cannot be read.
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
            CacheOwner::Session(_) => self.caches.next(),
        }
    }

    fn buffer(&mut self, purpose: BufferPurpose) -> &'static mut [u8] {
        match purpose {
            BufferPurpose::Request => core::mem::take(&mut self.request),
            BufferPurpose::Response(_) => match self.responses.next() {
                Some(response) => response,
                None => &mut [],
            },
            BufferPurpose::Scratch => core::mem::take(&mut self.scratch),
        }
    }

    #[cfg(feature = "images")]
    fn images(&mut self) -> Option<BootImages<'_>> {
        let images = self.board.images();
        (!images.is_empty()).then_some(BootImages { images, memory: &mut self.applications })
    }

    fn release(&mut self, core: Core) -> Result<(), Fault> {
        Host::new(self.registers).release(core)
    }

    fn open(&mut self, link: usize) -> Result<Option<B::Transport>, Fault> {
        Ok(self.board.open(link))
    }

    fn known_client(&self, link: usize) -> Option<ClientId> {
        self.board.known_client(link)
    }

    fn core_has_reset(&mut self, core: Core) -> bool {
        Host::new(self.registers).has_restarted(core)
    }

    fn idle(&mut self) {
        self.board.sleep();
    }

    fn entered_safe_state(&mut self, reason: &Reason) {
        self.board.entered_safe_state(reason);
    }
}
