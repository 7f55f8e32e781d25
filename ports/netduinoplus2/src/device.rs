//! The device as a whole: memory, and which parts it has.

use crate::entropy::{MIN_ENTROPY, NoiseSource};
use crate::flash::{DataFlash, FlashError};
use crate::transport::{self, Link};
use casemate_crypto::Software;
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, MountError};
use casemate_port::{
    BufferPurpose, CacheOwner, Core, Fault, Generator, MemoryLimits, NoHardware, NoServices, Port,
};
use casemate_protocol::{ClientId, Header, IdFeatures};
use casemate_server::{ArrayCache, Config, SingleThread};

/// Most bytes of data in a packet; clients must be built with the same number.
pub const DATA_LENGTH: usize = 1280;
/// Largest packet in bytes.
pub const PACKET: usize = DATA_LENGTH + Header::SIZE;
/// How many objects the store can hold.
pub const OBJECTS: usize = 32;

/// Key cache memory: small slots and their size in bytes, big slots and their size.
pub type Cache = ArrayCache<8, 256, 1, 1200>;

/// The device.
#[derive(Debug, Default)]
pub struct Device {
    /// Which parts were handed out: there is one of each.
    entropy_taken: bool,
    flash_taken: bool,
}

impl Device {
    /// Takes the peripherals; touches none of them yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { entropy_taken: false, flash_taken: false }
    }
}

/// Marks a part as handed out.
const fn take(taken: &mut bool) -> Result<(), Fault> {
    if core::mem::replace(taken, true) { Err(Fault::Taken) } else { Ok(()) }
}

impl Port for Device {
    const NAME: &'static str = "netduinoplus2";
    /// The client is a part of the same program.
    const CORES: u8 = 0;

    type Entropy = NoiseSource;
    type Crypto = NoHardware;
    type Software = Software<Generator<NoiseSource>>;
    type Flash = DataFlash;
    type Store = FlashStore<DataFlash, [DirectoryEntry; OBJECTS]>;
    type Services = NoServices;
    type Cache = Cache;
    type Lock<T> = SingleThread<T>;
    type Transport = Link;
    type Buffer = [u8; PACKET];

    /// The linker script has the same numbers.
    fn limits(&self) -> MemoryLimits {
        MemoryLimits { program: 1024 * 1024, ram: 64 * 1024, stack: 0 }
    }

    /// The start code has done all that the emulated board needs.
    fn initialize(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn hold(&mut self, _: Core) -> Result<(), Fault> {
        Err(Fault::NoSuchPart)
    }

    fn entropy(&mut self) -> Result<NoiseSource, Fault> {
        take(&mut self.entropy_taken)?;
        Ok(NoiseSource::new())
    }

    fn min_entropy(&self) -> u8 {
        MIN_ENTROPY
    }

    fn crypto(&mut self) -> Result<NoHardware, Fault> {
        Ok(NoHardware)
    }

    fn software(&mut self, generator: Generator<NoiseSource>) -> Self::Software {
        Software::new(generator)
    }

    fn flash(&mut self) -> Result<DataFlash, Fault> {
        take(&mut self.flash_taken)?;
        Ok(DataFlash::new())
    }

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

    fn services(&mut self) -> Result<NoServices, Fault> {
        Ok(NoServices)
    }

    fn cache(&mut self, _: CacheOwner) -> Cache {
        Cache::default()
    }

    fn buffer(&mut self, _: BufferPurpose) -> Self::Buffer {
        [0; PACKET]
    }

    fn release(&mut self, _: Core) -> Result<(), Fault> {
        Err(Fault::NoSuchPart)
    }

    fn open(&mut self, link: usize) -> Result<Option<Link>, Fault> {
        if link < crate::LINKS { Ok(transport::server()) } else { Err(Fault::NoSuchPart) }
    }

    /// Link `n` is that of client `n` + 1.
    fn known_client(&self, link: usize) -> Option<ClientId> {
        ClientId::new(u32::try_from(link).ok()?.checked_add(1)?)
    }
}
