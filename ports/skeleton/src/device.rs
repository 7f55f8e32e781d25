//! The device as a whole: boot sequence, application cores, memory.

use crate::crypto::Engines;
use crate::entropy::{MIN_ENTROPY, NoiseSource};
use crate::flash::{DataFlash, FlashError};
use crate::transport::Link;
use casemate_crypto::Software;
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, MountError};
use casemate_port::{
    BufferPurpose, CacheOwner, Core, Fault, Generator, MemoryLimits, NoServices, Port, PortServer, Reason,
    StoreFault,
};
use casemate_protocol::{ClientId, Header, IdFeatures};
use casemate_server::{ArrayCache, Config, SingleThread};

/// Most bytes of data in a packet. Clients must be built with the same number; 1280 is the original's default for devices.
pub const DATA_LENGTH: usize = 1280;
/// How many objects the store can hold.
pub const OBJECTS: usize = 32;

/// Key cache memory: small slots and their size in bytes, big slots and their size. RSA keys need big slots of 1200 bytes,
/// ML-DSA and ML-KEM keys some of 8192.
pub type Cache = ArrayCache<8, 256, 1, 1200>;

/// The device. There is one value of it: it owns the peripherals.
#[derive(Debug, Default)]
pub struct Device {}

impl Device {
    /// Takes the peripherals; touches none of them yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl Port for Device {
    const NAME: &'static str = "skeleton";
    /// Application cores that this port holds in reset and releases; 0 if the chip gives the HSM no such power.
    const CORES: u8 = 2;

    type Entropy = NoiseSource;
    type Crypto = Engines;
    type Software = Software<Generator<NoiseSource>>;
    type Flash = DataFlash;
    type Store = FlashStore<DataFlash, [DirectoryEntry; OBJECTS]>;
    type Services = NoServices;
    type Cache = Cache;
    type Lock<T> = SingleThread<T>;
    type Transport = Link;
    type Buffer = [u8; DATA_LENGTH + Header::SIZE];

    /// What the linker script leaves the firmware. 0 stands for no limit.
    fn limits(&self) -> MemoryLimits {
        MemoryLimits { program: 0, ram: 0, stack: 0 }
    }

    /// Brings up the device.
    ///
    /// **Flow.** Keep application cores and debugger away from the HSM's memory; clocks; watchdog; memory protection (no
    /// execution from RAM, no writing to code); interrupt table.
    ///
    /// **Errors.** [`Fault::Device`] with the register that tells why.
    fn initialize(&mut self) -> Result<(), Fault> {
        Err(Fault::NotImplemented)
    }

    /// Holds an application core in reset. Where cores start by themselves at power on, this stops them.
    ///
    /// **Flow.** Write the reset-control register; wait until the status says that the core stands still.
    ///
    /// **Errors.** [`Fault::NoSuchPart`] for a number that is not below [`CORES`](Port::CORES); [`Fault::Device`] if the core
    /// does not stop. A core that is held already is no error.
    fn hold(&mut self, core: Core) -> Result<(), Fault> {
        let _ = core;
        Err(Fault::NotImplemented)
    }

    /// Switches on the noise source and hands it out.
    ///
    /// **Flow.** Enable its clock; let it warm up; start it; read and drop what the manual says to drop.
    ///
    /// **Errors.** [`Fault::Taken`] if it was handed out before; [`Fault::Device`] if it does not start.
    fn entropy(&mut self) -> Result<NoiseSource, Fault> {
        Err(Fault::NotImplemented)
    }

    fn min_entropy(&self) -> u8 {
        MIN_ENTROPY
    }

    /// The chip's serial number.
    fn personalization(&self) -> &[u8] {
        &[]
    }

    /// Switches on the engines and hands out their driver. A chip without engines answers with
    /// [`NoHardware`](casemate_port::NoHardware).
    ///
    /// **Errors.** [`Fault::Taken`], [`Fault::Device`].
    fn crypto(&mut self) -> Result<Engines, Fault> {
        Err(Fault::NotImplemented)
    }

    /// What serves where the engines decline.
    fn software(&mut self, generator: Generator<NoiseSource>) -> Self::Software {
        Software::new(generator)
    }

    /// Makes the flash of the store ready and hands out its driver.
    ///
    /// **Flow.** Set the wait states for the clock; clear old error flags; finish or give up an operation that was under way
    /// before the reset.
    ///
    /// **Errors.** [`Fault::Taken`], [`Fault::Device`].
    fn flash(&mut self) -> Result<DataFlash, Fault> {
        Err(Fault::NotImplemented)
    }

    /// Mounts the store. This is complete: change it only to choose another layout.
    ///
    /// **Errors.** Those of the store. What cannot be mounted must not be erased: it may hold the only copy of keys.
    fn mount(&mut self, flash: DataFlash) -> Result<Self::Store, MountError<FlashError>> {
        FlashStore::mount(flash, [DirectoryEntry::EMPTY; OBJECTS], FlashOptions::new())
    }

    fn config(&self) -> Config {
        Config {
            server_id: 1,
            data_length: DATA_LENGTH,
            features: IdFeatures { global_keys: true, wrapped_keys: true, hardware_keys: false },
            ..Config::default()
        }
    }

    /// Clock, security records, keys in hardware (fuses, key slots), callbacks: [`casemate_port::Services`].
    ///
    /// **Errors.** [`Fault::Device`] if the clock or the memory of the records does not answer.
    fn services(&mut self) -> Result<NoServices, Fault> {
        Ok(NoServices)
    }

    /// Memory of a key cache. To keep it off the stack, choose `&'static mut Cache` and hand out statics.
    fn cache(&mut self, owner: CacheOwner) -> Cache {
        let _ = owner;
        Cache::default()
    }

    /// Memory of a buffer, at least a packet long but for [`BufferPurpose::Scratch`].
    fn buffer(&mut self, purpose: BufferPurpose) -> Self::Buffer {
        let _ = purpose;
        [0; DATA_LENGTH + Header::SIZE]
    }

    /// Work on the new server before anybody is served: trusted keys, users, version floors. Optional.
    ///
    /// **Errors.** [`Fault`], which keeps the application cores in reset.
    fn prepare(&mut self, server: &PortServer<Self>) -> Result<(), Fault> {
        let _ = server;
        Ok(())
    }

    /// The images to verify before the cores are released; `None` releases them unverified.
    #[cfg(feature = "images")]
    fn images(&mut self) -> Option<casemate_port::BootImages<'_>> {
        None
    }

    /// Lets an application core run.
    ///
    /// **Flow.** Write its start address, if it is not fixed; write the reset-control register; wait until the status says
    /// that the core runs.
    ///
    /// **Errors.** [`Fault::NoSuchPart`]; [`Fault::Device`] if the core does not start.
    fn release(&mut self, core: Core) -> Result<(), Fault> {
        let _ = core;
        Err(Fault::NotImplemented)
    }

    /// Opens a link.
    ///
    /// **Flow.** Check the number; make a transport over the link's hardware or shared memory, with nothing in flight.
    /// `Ok(None)` while the other side is not there yet.
    ///
    /// **Errors.** [`Fault::NoSuchPart`] for a number that is not below [`LINKS`](crate::LINKS).
    fn open(&mut self, link: usize) -> Result<Option<Link>, Fault> {
        let _ = link;
        Err(Fault::NotImplemented)
    }

    /// The application core at the other end of a link, whose reset ends the link's session. This is the default: the core
    /// of the link's number, if there is one.
    fn link_core(&self, link: usize) -> Option<Core> {
        u8::try_from(link).ok().filter(|&core| core < Self::CORES).map(Core)
    }

    /// The only client that a link's other end can be: then INIT with another identifier is refused. `None` lets the other
    /// end claim any.
    fn known_client(&self, link: usize) -> Option<ClientId> {
        let _ = link;
        None
    }

    /// The memory that the client of a link shares with the server. Optional: `None` refuses messages that need it.
    ///
    /// **Flow.** Return the link's [`ClientMemory`](casemate_server::ClientMemory), which checks each range against its
    /// window and copies with volatile or atomic accesses.
    #[cfg(feature = "dma")]
    fn client_memory(&mut self, link: usize) -> Option<&mut dyn casemate_server::ClientMemory> {
        let _ = link;
        None
    }

    /// The ranges of [`client_memory`](Port::client_memory), for the conformance suite.
    #[cfg(feature = "dma")]
    fn client_windows(&self, link: usize) -> &[casemate_server::AddressRange] {
        let _ = link;
        &[]
    }

    /// Whether a core has reset since the last call for it.
    ///
    /// **Flow.** Read and clear what the reset interrupt has noted, or the reset-status register.
    fn core_has_reset(&mut self, core: Core) -> bool {
        let _ = core;
        false
    }

    /// Whether the device is well; the place to serve the watchdog.
    ///
    /// **Errors.** [`Fault::Device`], which puts the device into its safe state: voltage or clock out of range, ECC errors,
    /// tamper inputs.
    fn health(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether this fault of the flash ends in the safe state. The default for every device that has no reason to differ.
    fn is_fatal(&self, fault: StoreFault) -> bool {
        let _ = fault;
        true
    }

    /// Sleeps until an interrupt: `wfi`, `wait`. Returning at once is correct too.
    fn idle(&mut self) {}

    /// The device has entered its safe state. **Flow.** Erase key registers; set the alarm output; let the watchdog expire
    /// only if a restart may help.
    fn entered_safe_state(&mut self, reason: &Reason) {
        let _ = reason;
    }
}
