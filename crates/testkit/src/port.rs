//! A virtual device: a port whose every part is in this process, and misbehaves as the test says.
//!
//! **For tests only.** Its noise is predictable. A [`VirtualDevice`] is the handle that the test keeps; it outlives the
//! firmware, as a device outlives a power cycle: make a new [`port`](VirtualDevice::port) to switch it on again.
//!
//! ```
//! use casemate_port::{Firmware, Progress};
//! use casemate_testkit::port::VirtualDevice;
//! use casemate_transport::ClientTransport;
//!
//! let device = VirtualDevice::new();
//! let mut firmware = Firmware::<_, 2>::new(device.port());
//! firmware.boot_all()?;
//! let mut client = device.connect(0);
//! assert_eq!(firmware.poll(), Progress::Opened(0));
//! client.send(&[1, 0xA5, 1, 1, 1, 0, 0, 0, 12, 0, 0, 0]).unwrap(); // INIT as client 12
//! while firmware.poll() != Progress::Answered(0) {}
//! assert_eq!(client.receive(&mut [0; 64]), Ok(16));
//! # Ok::<(), casemate_port::Reason>(())
//! ```

use crate::faults::{
    EngineFault, FaultyEngine, FaultyLink, FaultyNoise, FlashLie, LinkFault, LyingFlash, LyingFlashError,
    NoiseFault, Switch,
};
use crate::flash::{Effect, PowerCutError, PowerCutFlash};
use crate::random::SplitMix64;
use casemate_crypto::{Entropy, Error, Software};
use casemate_nvm::{DirectoryEntry, Error as StoreError, Flash, FlashOptions, FlashStore, MountError};
use casemate_port::{
    BootImages, BufferPurpose, CacheOwner, Core, Fault, Generator, NoServices, Port, Reason, StoreFault,
};
use casemate_protocol::{ClientId, Header, ObjectId};
use casemate_server::image::{AesCmac, Image, ImageKind, ImageMemory, ImageReadError, NoAction, Region};
use casemate_server::{ArrayCache, Config, SingleThread};
use casemate_transport::{ClientTransport, ServerTransport, TransportError};
use core::convert::Infallible;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Packet data length of a virtual device in bytes.
pub const DATA_LENGTH: usize = 1280;

/// The object with the key of the image that is verified at boot.
pub const IMAGE_KEY: ObjectId = ObjectId(0x1001);
/// The object with the image's MAC.
pub const IMAGE_MAC: ObjectId = ObjectId(0x0100);
/// Size of the image in bytes.
pub const IMAGE_SIZE: usize = 64;

/// The most links that a virtual device has.
pub const LINKS: usize = 8;

/// A call of one of a port's methods that the firmware has made. Questions that it asks in each poll are not noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`Port::initialize`].
    Initialize,
    /// [`Port::hold`] of this core.
    Hold(u8),
    /// [`Port::entropy`].
    Entropy,
    /// [`Port::crypto`].
    Crypto,
    /// [`Port::flash`].
    Flash,
    /// [`Port::mount`].
    Mount,
    /// [`Port::services`].
    Services,
    /// [`Port::prepare`].
    Prepare,
    /// [`Port::release`] of this core.
    Release(u8),
    /// [`Port::entered_safe_state`].
    SafeState,
}

/// What a client and the device share: at most one packet in each direction.
#[derive(Debug, Default)]
struct Wire {
    request: Option<Vec<u8>>,
    response: Option<Vec<u8>>,
    /// Counts the clients; an end of an older one is closed.
    client: u64,
    is_connected: bool,
    is_open: bool,
}

/// What a test sees and sets of a device.
#[derive(Debug)]
struct Inner {
    calls: RefCell<Vec<Call>>,
    /// The call that fails.
    broken: Cell<Option<(Call, Fault)>>,
    running: RefCell<Vec<bool>>,
    resets: RefCell<Vec<bool>>,
    health: Cell<Option<Fault>>,
    wires: RefCell<Vec<Rc<RefCell<Wire>>>>,
    flash: Rc<RefCell<PowerCutFlash>>,
    flash_lie: Switch<FlashLie>,
    noise_fault: Switch<NoiseFault>,
    link_fault: Switch<LinkFault>,
    engine_fault: Switch<EngineFault>,
    image: RefCell<Option<Vec<u8>>>,
    tolerates: Cell<Option<StoreFault>>,
    known_client: Cell<Option<ClientId>>,
    seed: Cell<u64>,
    data_length: Cell<usize>,
}

/// A device of which everything can be observed and spoiled. Clones are the same device.
#[derive(Debug, Clone)]
pub struct VirtualDevice(Rc<Inner>);

impl Default for VirtualDevice {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualDevice {
    /// A device with blank flash and two application cores, each with the link of its number; links beyond have no core.
    pub fn new() -> Self {
        Self(Rc::new(Inner {
            calls: RefCell::default(),
            broken: Cell::new(None),
            running: RefCell::new(vec![true; usize::from(VirtualPort::CORES)]),
            resets: RefCell::new(vec![false; usize::from(VirtualPort::CORES)]),
            health: Cell::new(None),
            wires: RefCell::default(),
            flash: Rc::new(RefCell::new(PowerCutFlash::new(16 * 1024, 0xFF))),
            flash_lie: Switch::default(),
            noise_fault: Switch::default(),
            link_fault: Switch::default(),
            engine_fault: Switch::default(),
            image: RefCell::default(),
            tolerates: Cell::new(None),
            known_client: Cell::new(None),
            seed: Cell::new(1),
            data_length: Cell::new(DATA_LENGTH),
        }))
    }

    /// The device, switched on: its application cores run, and connections are gone.
    pub fn port(&self) -> VirtualPort {
        self.0.running.borrow_mut().fill(true);
        self.0.resets.borrow_mut().fill(false);
        self.0.calls.borrow_mut().clear();
        self.0.wires.borrow_mut().clear();
        let image = self.0.image.borrow().clone();
        VirtualPort { device: self.clone(), is_flash_out: false, image: image.map(ImageFlash) }
    }

    /// The calls since the device was switched on.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.borrow().clone()
    }

    /// Whether an application core runs.
    pub fn is_running(&self, core: u8) -> bool {
        self.0.running.borrow()[usize::from(core)]
    }

    /// Whether any application core runs.
    pub fn is_any_running(&self) -> bool {
        self.0.running.borrow().iter().any(|&running| running)
    }

    /// Lets this call answer with a fault, until told otherwise.
    pub fn break_call(&self, broken: Option<(Call, Fault)>) {
        self.0.broken.set(broken);
    }

    /// What [`Port::health`] reports.
    pub fn set_health(&self, fault: Option<Fault>) {
        self.0.health.set(fault);
    }

    /// An application core resets by itself: it notices nothing of what was before.
    pub fn reset_core(&self, core: u8) {
        self.0.resets.borrow_mut()[usize::from(core)] = true;
    }

    /// What goes wrong with the flash.
    pub fn flash_lie(&self) -> &Switch<FlashLie> {
        &self.0.flash_lie
    }

    /// What goes wrong with the noise source.
    pub fn noise_fault(&self) -> &Switch<NoiseFault> {
        &self.0.noise_fault
    }

    /// What goes wrong with the crypto hardware, which else declines everything.
    pub fn engine_fault(&self) -> &Switch<EngineFault> {
        &self.0.engine_fault
    }

    /// The image that is verified before the application cores are released: by AES-CMAC, with the key in the object
    /// [`IMAGE_KEY`] and the MAC in the object [`IMAGE_MAC`]. `None` verifies nothing.
    pub fn set_image(&self, image: Option<&[u8; IMAGE_SIZE]>) {
        *self.0.image.borrow_mut() = image.map(|image| image.to_vec());
    }

    /// The fault of the flash that does not lead to the safe state, if there is one.
    pub fn tolerate(&self, fault: Option<StoreFault>) {
        self.0.tolerates.set(fault);
    }

    /// The only client that the other end of link 0 can be.
    pub fn set_known_client(&self, client: Option<ClientId>) {
        self.0.known_client.set(client);
    }

    /// What goes wrong with every link.
    pub fn link_fault(&self) -> &Switch<LinkFault> {
        &self.0.link_fault
    }

    /// What the configuration says of the packet data length; the buffers stay as they are, for [`DATA_LENGTH`].
    pub fn set_data_length(&self, length: usize) {
        self.0.data_length.set(length);
    }

    /// Works with the flash chip itself.
    pub fn flash<R>(&self, work: impl FnOnce(&mut PowerCutFlash) -> R) -> R {
        work(&mut self.0.flash.borrow_mut())
    }

    fn wire(&self, link: usize) -> Rc<RefCell<Wire>> {
        let mut wires = self.0.wires.borrow_mut();
        while wires.len() <= link {
            wires.push(Rc::default());
        }
        Rc::clone(&wires[link])
    }

    /// A new client at the other end of a link; the one before it is gone.
    pub fn connect(&self, link: usize) -> VirtualClient {
        let wire = self.wire(link);
        let number = {
            let mut wire = wire.borrow_mut();
            let number = wire.client + 1;
            *wire = Wire { client: number, is_connected: true, ..Wire::default() };
            number
        };
        VirtualClient { wire, number }
    }
}

/// A client's end of a link of a virtual device. The link closes when it is dropped.
#[derive(Debug)]
pub struct VirtualClient {
    wire: Rc<RefCell<Wire>>,
    number: u64,
}

impl Drop for VirtualClient {
    fn drop(&mut self) {
        let mut wire = self.wire.borrow_mut();
        if wire.client == self.number {
            wire.is_connected = false;
        }
    }
}

fn put(slot: &mut Option<Vec<u8>>, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
    if !(Header::SIZE..=DATA_LENGTH + Header::SIZE).contains(&packet.len()) {
        return Err(TransportError::BadLength);
    }
    if slot.is_some() {
        return Err(TransportError::NotReady);
    }
    *slot = Some(packet.to_vec());
    Ok(())
}

fn take(slot: &mut Option<Vec<u8>>, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
    let packet = slot.take().ok_or(TransportError::NotReady)?;
    buffer.get_mut(..packet.len()).ok_or(TransportError::BadLength)?.copy_from_slice(&packet);
    Ok(packet.len())
}

impl ClientTransport for VirtualClient {
    type Error = Infallible;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        let mut wire = self.wire.borrow_mut();
        if wire.client != self.number || !wire.is_connected {
            return Err(TransportError::Closed);
        }
        put(&mut wire.request, packet)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        let mut wire = self.wire.borrow_mut();
        if wire.client != self.number {
            return Err(TransportError::Closed);
        }
        match take(&mut wire.response, buffer) {
            Err(TransportError::NotReady) if !wire.is_connected => Err(TransportError::Closed),
            other => other,
        }
    }
}

/// The device's end of a link. The link closes when it is dropped.
#[derive(Debug)]
pub struct VirtualLink {
    wire: Rc<RefCell<Wire>>,
    client: u64,
}

impl Drop for VirtualLink {
    fn drop(&mut self) {
        let mut wire = self.wire.borrow_mut();
        if wire.client == self.client {
            wire.is_connected = false;
            wire.is_open = false;
        }
    }
}

impl ServerTransport for VirtualLink {
    type Error = Infallible;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        let mut wire = self.wire.borrow_mut();
        if wire.client != self.client {
            return Err(TransportError::Closed);
        }
        match take(&mut wire.request, buffer) {
            Err(TransportError::NotReady) if !wire.is_connected => Err(TransportError::Closed),
            other => other,
        }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        let mut wire = self.wire.borrow_mut();
        if wire.client != self.client || !wire.is_connected {
            return Err(TransportError::Closed);
        }
        put(&mut wire.response, packet)
    }
}

/// Even noise that follows from a seed. **For tests only.**
#[derive(Debug, Clone)]
pub struct EvenNoise(SplitMix64);

impl EvenNoise {
    /// Noise that follows from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(SplitMix64(seed))
    }
}

impl Entropy for EvenNoise {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        for byte in output {
            *byte = self.0.next_byte();
        }
        Ok(())
    }
}

/// The flash chip of a virtual device, which survives a power cycle.
#[derive(Debug)]
pub struct VirtualFlash(Rc<RefCell<PowerCutFlash>>);

impl ErrorType for VirtualFlash {
    type Error = PowerCutError;
}

impl ReadNorFlash for VirtualFlash {
    const READ_SIZE: usize = PowerCutFlash::<8, 64>::READ_SIZE;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCutError> {
        self.0.borrow_mut().read(offset, bytes)
    }
    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl NorFlash for VirtualFlash {
    const WRITE_SIZE: usize = PowerCutFlash::<8, 64>::WRITE_SIZE;
    const ERASE_SIZE: usize = PowerCutFlash::<8, 64>::ERASE_SIZE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCutError> {
        self.0.borrow_mut().erase(from, to)
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCutError> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

impl Flash for VirtualFlash {
    fn erased_byte(&self) -> u8 {
        self.0.borrow().erased_byte()
    }
    fn commit(&mut self) -> Result<(), PowerCutError> {
        self.0.borrow_mut().commit()
    }
}

/// The flash that the store of a virtual device lies in.
pub type DeviceFlash = LyingFlash<VirtualFlash>;

/// A virtual device as its firmware sees it.
#[derive(Debug)]
pub struct VirtualPort {
    device: VirtualDevice,
    is_flash_out: bool,
    image: Option<ImageFlash>,
}

/// Memory that an image lies in.
#[derive(Debug)]
struct ImageFlash(Vec<u8>);

impl ImageMemory for ImageFlash {
    fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), ImageReadError> {
        self.0.as_slice().read(address, out)
    }
}

const IMAGES: &[Image<'static>] = &[Image {
    number: 0,
    kind: ImageKind::Raw { key: IMAGE_KEY, signature: IMAGE_MAC },
    payload: Region { address: 0, size: 64 },
    method: &AesCmac,
    action: &NoAction,
}];

impl VirtualPort {
    /// The device.
    pub const fn device(&self) -> &VirtualDevice {
        &self.device
    }

    fn called(&self, call: Call) -> Result<(), Fault> {
        self.device.0.calls.borrow_mut().push(call);
        match self.device.0.broken.get() {
            Some((broken, fault)) if broken == call => Err(fault),
            _ => Ok(()),
        }
    }

    fn set_running(&self, core: Core, running: bool) -> Result<(), Fault> {
        let mut cores = self.device.0.running.borrow_mut();
        *cores.get_mut(usize::from(core.0)).ok_or(Fault::NoSuchPart)? = running;
        Ok(())
    }
}

impl Port for VirtualPort {
    const NAME: &'static str = "virtual";
    const CORES: u8 = 2;

    type Entropy = FaultyNoise<EvenNoise>;
    type Crypto = FaultyEngine;
    type Software = Software<Generator<Self::Entropy>>;
    type Flash = DeviceFlash;
    type Store = FlashStore<DeviceFlash, [DirectoryEntry; 16]>;
    type Services = NoServices;
    type Cache = ArrayCache<4, 256, 1, 1200>;
    type Lock<T> = SingleThread<T>;
    type Transport = FaultyLink<VirtualLink>;
    type Buffer = [u8; DATA_LENGTH + Header::SIZE];

    fn initialize(&mut self) -> Result<(), Fault> {
        self.called(Call::Initialize)
    }

    fn hold(&mut self, core: Core) -> Result<(), Fault> {
        self.called(Call::Hold(core.0))?;
        self.set_running(core, false)
    }

    fn entropy(&mut self) -> Result<Self::Entropy, Fault> {
        self.called(Call::Entropy)?;
        let seed = self.device.0.seed.get();
        self.device.0.seed.set(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        Ok(FaultyNoise::new(EvenNoise::new(seed), self.device.noise_fault().clone()))
    }

    fn min_entropy(&self) -> u8 {
        8
    }

    fn crypto(&mut self) -> Result<FaultyEngine, Fault> {
        self.called(Call::Crypto)?;
        Ok(FaultyEngine::new(self.device.0.engine_fault.clone()))
    }

    fn software(&mut self, generator: Generator<Self::Entropy>) -> Self::Software {
        Software::new(generator)
    }

    fn flash(&mut self) -> Result<DeviceFlash, Fault> {
        self.called(Call::Flash)?;
        if core::mem::replace(&mut self.is_flash_out, true) {
            return Err(Fault::Taken);
        }
        let flash = VirtualFlash(Rc::clone(&self.device.0.flash));
        Ok(LyingFlash::new(flash, self.device.flash_lie().clone()))
    }

    fn mount(
        &mut self,
        flash: DeviceFlash,
    ) -> Result<Self::Store, MountError<LyingFlashError<PowerCutError>>> {
        if self.called(Call::Mount).is_err() {
            return Err(StoreError::Failed.into());
        }
        FlashStore::mount(flash, [DirectoryEntry::EMPTY; 16], FlashOptions::new())
    }

    fn config(&self) -> Config {
        Config { data_length: self.device.0.data_length.get(), ..Config::default() }
    }

    fn services(&mut self) -> Result<NoServices, Fault> {
        self.called(Call::Services)?;
        Ok(NoServices)
    }

    fn cache(&mut self, _: CacheOwner) -> Self::Cache {
        ArrayCache::default()
    }

    fn buffer(&mut self, _: BufferPurpose) -> Self::Buffer {
        [0; DATA_LENGTH + Header::SIZE]
    }

    fn prepare(&mut self, _: &casemate_port::PortServer<Self>) -> Result<(), Fault> {
        self.called(Call::Prepare)
    }

    fn images(&mut self) -> Option<BootImages<'_>> {
        Some(BootImages { images: IMAGES, memory: self.image.as_mut()? })
    }

    fn is_fatal(&self, fault: StoreFault) -> bool {
        self.device.0.tolerates.get() != Some(fault)
    }

    fn known_client(&self, link: usize) -> Option<ClientId> {
        self.device.0.known_client.get().filter(|_| link == 0)
    }

    fn release(&mut self, core: Core) -> Result<(), Fault> {
        self.called(Call::Release(core.0))?;
        self.set_running(core, true)
    }

    fn open(&mut self, link: usize) -> Result<Option<Self::Transport>, Fault> {
        if link >= LINKS {
            return Err(Fault::NoSuchPart);
        }
        let wire = self.device.wire(link);
        let client = {
            let mut wire = wire.borrow_mut();
            if !wire.is_connected || wire.is_open {
                return Ok(None);
            }
            wire.is_open = true;
            wire.client
        };
        Ok(Some(FaultyLink::new(VirtualLink { wire, client }, self.device.link_fault().clone())))
    }

    fn core_has_reset(&mut self, core: Core) -> bool {
        let mut resets = self.device.0.resets.borrow_mut();
        resets.get_mut(usize::from(core.0)).is_some_and(core::mem::take)
    }

    fn health(&mut self) -> Result<(), Fault> {
        self.device.0.health.get().map_or(Ok(()), Err)
    }

    fn entered_safe_state(&mut self, _: &Reason) {
        let _ = self.called(Call::SafeState);
    }
}

impl casemate_conformance::Subject for VirtualPort {
    type Client = VirtualClient;
    const PATIENCE: u32 = 1000;

    fn client(&mut self, link: usize) -> Result<Option<VirtualClient>, Fault> {
        Ok(Some(self.device.connect(link)))
    }

    fn may_erase_flash(&self) -> bool {
        true
    }

    fn is_running(&self, core: Core) -> Option<bool> {
        self.device.0.running.borrow().get(usize::from(core.0)).copied()
    }

    fn crash_core(&mut self, core: Core) -> bool {
        self.device.reset_core(core.0);
        true
    }

    fn cut_power_after(&mut self, flash: &mut DeviceFlash, operations: u32) -> bool {
        let mut chip = flash.inner().0.borrow_mut();
        chip.cut_power_at(
            u64::from(operations),
            Effect::First(usize::try_from(operations % 7).unwrap_or_default()),
        );
        true
    }

    fn restore_power(&mut self, flash: &mut DeviceFlash) {
        flash.inner().0.borrow_mut().reboot();
    }
}
