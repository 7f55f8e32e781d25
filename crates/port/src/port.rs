//! The interface that a port implements.

use crate::platform::PortPlatform;
use crate::{Fault, Generator, Reason, Services, SoftwareDriver, StoreFault};
use casemate_crypto::{Driver, Entropy};
use casemate_nvm::{Flash, MountError, ObjectStore};
use casemate_protocol::ClientId;
use casemate_server::{CacheStorage, Config, Lock, Server};
use casemate_transport::ServerTransport;
use embedded_storage::nor_flash::ErrorType;

/// The server of a port.
pub type PortServer<P> = Server<PortPlatform<P>>;

/// An application core, numbered from 0 to [`Port::CORES`] less 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Core(pub u8);

/// Whose keys a cache is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOwner {
    /// All clients: the global keys.
    Global,
    /// The session of this link.
    Session(usize),
}

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufferPurpose {
    /// The request being handled. One for all links; at least a packet long.
    Request,
    /// The response to a link, until its transport has taken it. One for each link, so that a client which does not
    /// fetch its response holds up nobody else; each at least a packet long.
    Response(usize),
    /// Data of client memory that must be whole before it is used, and images while they are verified. One for all
    /// links; its length limits such data, and 0 is allowed. 4 KiB verify every image but those signed with ML-DSA.
    Scratch,
}

/// How much memory the port has for the firmware: what the chip's manual and the linker script say. The conformance
/// suite prints it and holds the port's own choices against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryLimits {
    /// Program flash for the firmware in bytes; 0 if nothing limits it.
    pub program: usize,
    /// Static RAM in bytes, stack not counted; 0 if nothing limits it.
    pub ram: usize,
    /// Stack in bytes; 0 if nothing limits it.
    pub stack: usize,
}

/// Images to verify before the application cores are released.
#[cfg(feature = "images")]
pub struct BootImages<'a> {
    /// What is verified, and how. Every one of them must be good.
    pub images: &'a [casemate_server::image::Image<'a>],
    /// Where they lie.
    pub memory: &'a mut dyn casemate_server::image::ImageMemory,
}

#[cfg(feature = "images")]
impl core::fmt::Debug for BootImages<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BootImages").field("images", &self.images).finish_non_exhaustive()
    }
}

/// Memory of images that a port reads by offsets, at the addresses that its images have.
#[cfg(feature = "images")]
#[derive(Debug, Clone, Copy)]
pub struct ImageWindow<R> {
    region: casemate_server::image::Region,
    source: R,
    read: fn(&R, usize, &mut [u8]) -> bool,
}

#[cfg(feature = "images")]
impl<R> ImageWindow<R> {
    /// The memory that `read` reads of `source`, from an offset into `region` on; it answers false for what it cannot read.
    pub const fn new(
        region: casemate_server::image::Region,
        source: R,
        read: fn(&R, usize, &mut [u8]) -> bool,
    ) -> Self {
        Self { region, source, read }
    }
}

#[cfg(feature = "images")]
impl<R> casemate_server::image::ImageMemory for ImageWindow<R> {
    fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), casemate_server::image::ImageReadError> {
        let within = || {
            let offset = address.checked_sub(self.region.address)?;
            let end = offset.checked_add(u64::try_from(out.len()).ok()?)?;
            usize::try_from(offset).ok().filter(|_| end <= self.region.size.into())
        };
        match within() {
            Some(offset) if (self.read)(&self.source, offset, out) => Ok(()),
            _ => Err(casemate_server::image::ImageReadError),
        }
    }
}

/// A device, as [`Firmware`](crate::Firmware) uses it.
///
/// Methods are called in the order in which they stand here, each part is asked for once, and no method is called again
/// after [`entered_safe_state`](Self::entered_safe_state) but [`idle`](Self::idle). A method that is not written yet
/// answers [`Fault::NotImplemented`], which ends the boot in the safe state.
///
/// Methods return soon, [`entropy`](Self::entropy) and [`mount`](Self::mount) excepted, which take what the hardware
/// takes.
pub trait Port: Sized {
    /// The port's name, in lower case.
    const NAME: &'static str;
    /// How many application cores the port holds and releases; 0 if it controls none.
    const CORES: u8;

    /// The noise source.
    type Entropy: Entropy;
    /// The crypto hardware: [`NoHardware`](crate::NoHardware) if there is none. Its random family should decline:
    /// random numbers come from the [`Generator`].
    type Crypto: Driver;
    /// What serves where the hardware declines: normally `Software<Generator<Self::Entropy>>`.
    type Software: SoftwareDriver<Self::Entropy>;
    /// The flash of the object store.
    type Flash: Flash;
    /// The object store: the choice of an on-flash layout.
    type Store: ObjectStore;
    /// Clock, security records, device key, callbacks: [`NoServices`](crate::NoServices) if there are none.
    type Services: Services;
    /// Memory of a key cache: [`ArrayCache`](casemate_server::ArrayCache), or a `&'static mut` to one.
    type Cache: CacheStorage;
    /// The lock over what sessions share: [`SingleThread`](casemate_server::SingleThread), unless an interrupt or another
    /// thread calls the server too.
    type Lock<T>: Lock<T>;
    /// The server's end of a link to a client.
    type Transport: ServerTransport;
    /// Memory of a buffer: an array, or a `&'static mut [u8]`.
    type Buffer: AsRef<[u8]> + AsMut<[u8]>;

    /// The memory that the firmware may use.
    fn limits(&self) -> MemoryLimits {
        MemoryLimits::default()
    }

    // --- Step::Hardware

    /// Brings up the device: clocks, memory protection, bus access, watchdog. First of all, whatever can reach the HSM's
    /// memory is kept from it.
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state.
    fn initialize(&mut self) -> Result<(), Fault>;

    /// Holds an application core in reset, or puts it there. Called for every core after [`initialize`](Self::initialize),
    /// and again when the device enters its safe state. A core that is held already stays so.
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state, and the other cores are held all the same.
    fn hold(&mut self, core: Core) -> Result<(), Fault>;

    // --- Step::Entropy

    /// Switches on the noise source and hands it out. Raw samples are what the health tests want; conditioning, if the
    /// source needs it, follows behind them ([`Entropy`]).
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state.
    fn entropy(&mut self) -> Result<Self::Entropy, Fault>;

    /// What the source delivers in bits of min-entropy for each byte, 1 to 8, from the chip's manual or a measurement.
    fn min_entropy(&self) -> u8;

    /// What sets this device's random generator apart from others with the same source: a serial number. It may be empty
    /// and need not be secret.
    fn personalization(&self) -> &[u8] {
        &[]
    }

    // --- Step::Crypto

    /// Switches on the crypto hardware and hands out its driver. The firmware then runs known-answer tests on what the
    /// driver does not decline.
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state.
    fn crypto(&mut self) -> Result<Self::Crypto, Fault>;

    /// Makes the software driver over the generator: `Software::new(generator)`.
    fn software(&mut self, generator: Generator<Self::Entropy>) -> Self::Software;

    // --- Step::Flash

    /// Makes the flash ready and hands out its driver.
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state.
    fn flash(&mut self) -> Result<Self::Flash, Fault>;

    /// Mounts the object store: `FlashStore::mount` or `LogStore::mount`, which choose the layout and make an empty store of
    /// blank flash. What cannot be mounted must not be erased here: it may hold the only copy of keys.
    ///
    /// # Errors
    /// Those of the store; the device enters its safe state.
    fn mount(
        &mut self,
        flash: Self::Flash,
    ) -> Result<Self::Store, MountError<<Self::Flash as ErrorType>::Error>>;

    // --- Step::Server

    /// The server's configuration.
    fn config(&self) -> Config;

    /// Clock, security records and so on.
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state.
    fn services(&mut self) -> Result<Self::Services, Fault>;

    /// Memory for a key cache; asked for once for each owner.
    fn cache(&mut self, owner: CacheOwner) -> Self::Cache;

    /// Memory for a buffer; asked for once for each purpose.
    fn buffer(&mut self, purpose: BufferPurpose) -> Self::Buffer;

    /// Work on the new server before anybody is served: provisioning of trusted keys, `load_users`, version floors.
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state.
    fn prepare(&mut self, server: &PortServer<Self>) -> Result<(), Fault> {
        let _ = server;
        Ok(())
    }

    // --- Step::Images

    /// The images that must be good before the application cores are released; `None` if none are verified.
    #[cfg(feature = "images")]
    fn images(&mut self) -> Option<BootImages<'_>> {
        None
    }

    // --- Step::Release

    /// Lets an application core run from its reset vector. Called for every core when everything before has succeeded.
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state.
    fn release(&mut self, core: Core) -> Result<(), Fault>;

    // --- Step::Serve

    /// Opens a link, numbered from 0: takes a waiting connection, or takes over the shared memory of a core. Called again
    /// and again until there is one, and after each end of a session. `Ok(None)` means that no client is there yet.
    ///
    /// # Errors
    /// [`Fault`]: the link can never be opened; the device enters its safe state.
    fn open(&mut self, link: usize) -> Result<Option<Self::Transport>, Fault>;

    /// The application core at the other end of a link: when it resets, the link's session ends. By default, the core of
    /// the link's number, if there is one.
    fn link_core(&self, link: usize) -> Option<Core> {
        u8::try_from(link).ok().filter(|&core| core < Self::CORES).map(Core)
    }

    /// The only client that a link's other end can be, if the device knows: a core with a memory region of its own. Asked
    /// after [`open`](Self::open). INIT with another identifier is then refused.
    fn known_client(&self, link: usize) -> Option<ClientId> {
        let _ = link;
        None
    }

    /// The memory that the client of a link shares with the server: messages of the DMA kind work on it, and on nothing
    /// else. `None` refuses them.
    #[cfg(feature = "dma")]
    fn client_memory(&mut self, link: usize) -> Option<&mut dyn casemate_server::ClientMemory> {
        let _ = link;
        None
    }

    /// The ranges that [`client_memory`](Self::client_memory) of a link lets the server use, for the conformance suite.
    #[cfg(feature = "dma")]
    fn client_windows(&self, link: usize) -> &[casemate_server::AddressRange] {
        let _ = link;
        &[]
    }

    /// Whether an application core has reset since the last call for it. The firmware asks before it serves; a port
    /// whose hardware tells by interrupt remembers it until then.
    fn core_has_reset(&mut self, core: Core) -> bool {
        let _ = core;
        false
    }

    /// Whether the device is well: supply voltage, clock, ECC, tamper inputs, whatever it watches. Asked in each
    /// poll; a port with a watchdog serves it here.
    ///
    /// # Errors
    /// [`Fault`]; the device enters its safe state.
    fn health(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether a fault of the flash while clients are served puts the device into its safe state. By default every fault
    /// does. Where it does not, the client that asked gets an error, and a store that has failed refuses all further work.
    fn is_fatal(&self, fault: StoreFault) -> bool {
        let _ = fault;
        true
    }

    /// Nothing is to be done now: waits for an interrupt, or returns at once.
    fn idle(&mut self) {}

    /// The device has entered its safe state: the application cores are held, keys are gone. What else the device needs:
    /// erase key registers, signal the fault, stop serving the watchdog.
    fn entered_safe_state(&mut self, reason: &Reason) {
        let _ = reason;
    }
}
