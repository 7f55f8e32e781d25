//! An HSM on its module's model, with clients in the memory of a bridge: what the tests of the ports to chips share.

use casemate_client::{Client, NewKey};
use casemate_crypto::encoding::Ed25519Key;
use casemate_crypto::{Curve25519, Ed25519Mode, HashAlgorithm, Software, hash};
use casemate_nvm::ObjectStore;
use casemate_port::{Cause, Firmware, NoHardware, Port, Progress, Reason, Step};
use casemate_protocol::{ClientId, Flags, KeyId, Label, Metadata, ObjectId};
use casemate_server::image::{HeaderWriter, Image, ImageKind, Tag, signed_by};
use casemate_transport::{
    ClientTransport, MemoryClient, MemoryError, SharedMemory, SharedRegion, TransportError,
};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;

/// A value for the rest of the test.
pub fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// What a model is connected to: an even enough source of noise, and what it tells.
#[derive(Debug, Default)]
pub struct Around {
    noise: Cell<u32>,
    is_stuck: Cell<bool>,
    rung: Cell<u32>,
    told: RefCell<Vec<u32>>,
}

impl Around {
    /// Noise, the same in each test.
    pub fn noise(&self) -> u32 {
        if !self.is_stuck.get() {
            self.noise.set(self.noise.get().wrapping_add(0x9E37_79B9));
        }
        let mixed = u64::from(self.noise.get() | 1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        u32::try_from(mixed >> 32).unwrap_or_default()
    }

    /// The noise is one value from now on.
    pub fn stick(&self) {
        self.is_stuck.set(true);
    }

    /// The bells of these clients were rung, one bit each.
    pub fn ring(&self, clients: u32) {
        self.rung.set(self.rung.get() | clients);
    }

    /// No bell has been rung.
    pub fn silence(&self) {
        self.rung.set(0);
    }

    /// The model has told this of the application cores.
    pub fn tell(&self, cores: u32) {
        self.told.borrow_mut().push(cores);
    }

    /// All that the model has told of the application cores.
    pub fn told(&self) -> Vec<u32> {
        self.told.borrow().clone()
    }
}

/// Memory of a bridge, of `length` bytes.
pub fn bridge_memory(length: usize) -> SharedRegion<'static> {
    let words: Vec<AtomicU32> = (0..length.div_ceil(4)).map(|_| AtomicU32::new(0)).collect();
    SharedRegion::new(words.leak())
}

/// A firmware, and what surrounds it.
pub struct Bench<P: Port, const LINKS: usize> {
    /// What the model is connected to.
    pub around: &'static Around,
    /// The memory of the bridge.
    pub bridge: SharedRegion<'static>,
    firmware: Rc<RefCell<Firmware<P, LINKS>>>,
    link: fn(SharedRegion<'static>, u8) -> Option<MemoryClient<SharedRegion<'static>>>,
    ring: Rc<dyn Fn(u32)>,
    packet: usize,
}

impl<P: Port, const LINKS: usize> fmt::Debug for Bench<P, LINKS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("firmware", &self.firmware).finish_non_exhaustive()
    }
}

impl<P: Port, const LINKS: usize> Bench<P, LINKS> {
    /// The firmware of `port` before its boot. `link` finds a client's end of a link in the bridge, `ring` rings the HSM's bells
    /// for clients, one bit each; `packet` is the size of the largest packet.
    pub fn new(
        port: P,
        around: &'static Around,
        bridge: SharedRegion<'static>,
        link: fn(SharedRegion<'static>, u8) -> Option<MemoryClient<SharedRegion<'static>>>,
        ring: impl Fn(u32) + 'static,
        packet: usize,
    ) -> Self {
        let firmware = Rc::new(RefCell::new(Firmware::new(port)));
        Self { around, bridge, firmware, link, ring: Rc::new(ring), packet }
    }

    /// Does one step.
    pub fn poll(&self) -> Progress {
        self.firmware.borrow_mut().poll()
    }

    /// Boots, step by step.
    ///
    /// # Panics
    /// If a step fails.
    pub fn boot(&self) {
        for step in Step::ALL {
            if step != Step::Serve {
                assert_eq!(self.poll(), Progress::Booted(step));
            }
        }
    }

    /// Why the boot ended in the safe state; `None` if it did not.
    pub fn refused(&self) -> Option<Reason> {
        self.firmware.borrow_mut().boot_all().err()
    }

    /// Puts a key that verifies images into the store, as it is done once in a factory.
    ///
    /// # Panics
    /// Before the server is there, and if the store does not take it.
    pub fn provision(&self, id: ObjectId, key: &[u8]) {
        let flags = Flags::USAGE_VERIFY | Flags::NONMODIFIABLE | Flags::NONDESTROYABLE;
        let metadata = Metadata { id, access: 0, flags, length: 0, label: Label::from("image") };
        let firmware = self.firmware.borrow();
        let server = firmware.server().expect("the device has booted");
        let stored = server.with_store(|store| store.add_with_reclaim(&metadata, key).is_ok());
        assert_eq!(stored, Some(true), "the key is stored");
    }

    /// Raises a version floor, as an update does that has proved itself.
    ///
    /// # Panics
    /// Before the server is there, and if the store does not take it.
    pub fn raise_version_floor(&self, floor: ObjectId, version: u32) {
        let firmware = self.firmware.borrow();
        let server = firmware.server().expect("the device has booted");
        assert_eq!(server.raise_version_floor(floor, version).expect("the floor is stored"), version);
    }

    /// The client at the other end of a link.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn client(&self, link: u8) -> Client<Application<P, LINKS>, Vec<u8>> {
        let application = Application {
            memory: (self.link)(self.bridge, link).expect("the bridge has this link"),
            link,
            around: self.around,
            ring: Rc::clone(&self.ring),
            firmware: Rc::clone(&self.firmware),
        };
        Client::new(application, vec![0; self.packet])
    }

    /// What is in the memory of the bridge.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn bridge_content(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.bridge.length()];
        self.bridge.read(0, &mut bytes).expect("all of the bridge can be read");
        bytes
    }
}

/// An application core's end: it rings when it has written a request, and looks for the response when its bell rings. The
/// HSM runs while the core waits.
pub struct Application<P: Port, const LINKS: usize> {
    memory: MemoryClient<SharedRegion<'static>>,
    link: u8,
    around: &'static Around,
    ring: Rc<dyn Fn(u32)>,
    firmware: Rc<RefCell<Firmware<P, LINKS>>>,
}

impl<P: Port, const LINKS: usize> fmt::Debug for Application<P, LINKS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("link", &self.link).finish_non_exhaustive()
    }
}

impl<P: Port, const LINKS: usize> ClientTransport for Application<P, LINKS> {
    type Error = MemoryError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<MemoryError>> {
        self.memory.send(packet)?;
        (self.ring)(1 << self.link);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<MemoryError>> {
        if let Progress::Safe(_) = self.firmware.borrow_mut().poll() {
            return Err(TransportError::Closed);
        }
        let bit = 1 << self.link;
        if self.around.rung.get() & bit == 0 {
            return Err(TransportError::NotReady);
        }
        self.around.rung.set(self.around.rung.get() & !bit);
        self.memory.receive(buffer)
    }
}

/// Who signs images of the application cores with Ed25519.
#[derive(Debug, Clone)]
pub struct ImageSigner {
    seed: [u8; 32],
    named: Vec<u8>,
}

impl ImageSigner {
    /// One signer for each number.
    ///
    /// # Panics
    /// If the key cannot be encoded.
    pub fn new(number: u8) -> Self {
        let seed = [number; 32];
        let public = Self::public(&seed);
        let mut named = vec![0; Ed25519Key::MAX_ENCODING];
        let length = Ed25519Key { seed: None, public: Some(public) }.encode_public(&mut named).unwrap();
        named.truncate(length);
        Self { seed, named }
    }

    /// The same signer, whose images say that `other` has signed them.
    #[must_use]
    pub fn posing_as(&self, other: &Self) -> Self {
        Self { seed: self.seed, named: other.named.clone() }
    }

    /// The public key as it is stored.
    pub fn key(&self) -> &[u8] {
        &self.named
    }

    fn public(seed: &[u8; 32]) -> [u8; 32] {
        let mut public = [0; 32];
        Software::new(NoHardware).ed25519_public(seed, &mut public).unwrap();
        public
    }

    /// An image with a wolfBoot header of `header_size` bytes, followed by the payload.
    ///
    /// # Panics
    /// If the header is too small.
    pub fn image(&self, header_size: usize, version: u32, payload: &[u8]) -> Vec<u8> {
        let driver = Software::new(NoHardware);
        let (mut hint, mut digest, mut signature) = ([0; 32], [0; 32], [0; 64]);
        hash(&driver, HashAlgorithm::Sha256, &[&self.named], &mut hint).unwrap();
        let mut bytes = vec![0xFF; header_size];
        let size = u32::try_from(payload.len()).expect("a payload of less than 4 GiB");
        let mut writer = HeaderWriter::new(&mut bytes, size).unwrap();
        writer.field(Tag::VERSION, &version.to_le_bytes()).unwrap();
        writer.field(Tag::IMAGE_TYPE, &[1, signed_by::ED25519]).unwrap();
        writer.field(Tag::KEY_HINT, &hint).unwrap();
        hash(&driver, HashAlgorithm::Sha256, &[writer.digest_input(), payload], &mut digest).unwrap();
        writer.field(Tag::SHA256, &digest).unwrap();
        let public = Self::public(&self.seed);
        driver.ed25519_sign(&self.seed, &public, Ed25519Mode::Pure, &digest, &mut signature).unwrap();
        writer.field(Tag::SIGNATURE, &signature).unwrap();
        bytes.extend_from_slice(payload);
        bytes
    }
}

fn id(number: u32) -> ClientId {
    ClientId::new(number).expect("a client's identifier")
}

/// A key with identifier 5 and any usage.
pub fn any_key() -> NewKey {
    NewKey { id: KeyId(5), flags: Flags::USAGE_ANY, label: "AES".into() }
}

/// Nobody but client `n` + 1 can say that it is on link `n`, whatever it says.
///
/// # Panics
/// If somebody can.
pub fn a_link_serves_its_own_client_and_no_other<P: Port, const LINKS: usize>(bench: &Bench<P, LINKS>) {
    bench.boot();
    let (mut one, mut two) = (bench.client(0), bench.client(1));
    one.init(id(1)).unwrap();
    one.key_cache(&any_key(), &[7; 16]).unwrap();
    one.key_commit(KeyId(5)).unwrap();
    for other in [1, 3, 15] {
        assert!(two.init(id(other)).is_err(), "client {other} on the link of client 2");
        assert!(two.key_export(KeyId(5), &mut [0; 16]).is_err());
    }
    two.init(id(2)).unwrap();
    assert!(two.key_export(KeyId(5), &mut [0; 16]).is_err(), "it is client 1's");
    one.key_export(KeyId(5), &mut [0; 16]).unwrap();
}

/// The application cores run when their flash begins with the one image of `images`, whole, signed by its owner and not below
/// its version floor, and are held otherwise; without any images they run whatever the flash holds. The image has a wolfBoot
/// header, a key and a floor. `device` makes a device with this flash of the application cores, and what that returns is the
/// device's next start, for these images; `released` and `held` are what the model tells of the cores.
///
/// # Panics
/// If the cores run when they must not, or the other way round.
pub fn the_application_cores_are_released_for_a_good_image_only<P: Port, const LINKS: usize, D>(
    images: &'static [Image<'static>],
    released: u32,
    held: u32,
    device: impl Fn(&[u8]) -> D,
) where
    D: Fn(&'static [Image<'static>]) -> Bench<P, LINKS>,
{
    let [Image { kind: ImageKind::WolfBoot { header, key: key_id, floor: Some(floor) }, .. }] = images else {
        panic!("one image with a wolfBoot header and a floor");
    };
    let boot = |flash: &[u8], key: &[u8], lowest: Option<u32>, images| {
        let start = device(flash);
        // In the factory, where no image is asked for.
        let factory = start(&[]);
        factory.boot();
        assert_eq!(factory.around.told().last(), Some(&released));
        factory.provision(*key_id, key);
        if let Some(version) = lowest {
            factory.raise_version_floor(*floor, version);
        }
        let bench = start(images);
        let refused = bench.refused();
        assert_eq!(bench.around.told().last(), Some(if refused.is_some() { &held } else { &released }));
        refused
    };
    let refused = Some(Reason { step: Step::Images, cause: Cause::Image(0) });
    let (owner, stranger) = (ImageSigner::new(0x42), ImageSigner::new(0x43));
    let (header_size, payload) = (header.size as usize, b"what the application cores run");
    let good = owner.image(header_size, 7, payload);

    assert_eq!(boot(&good, owner.key(), None, images), None);
    for place in [0, header_size, good.len() - 1] {
        let mut changed = good.clone();
        changed[place] ^= 1;
        assert_eq!(boot(&changed, owner.key(), None, images), refused, "byte {place}");
        assert_eq!(boot(&changed, owner.key(), None, &[]), None, "no image is configured");
    }
    assert_eq!(boot(&good[..good.len() - 1], owner.key(), None, images), refused, "it breaks off");
    assert_eq!(boot(&[0xFF; 4096], owner.key(), None, images), refused, "no image");
    assert_eq!(boot(&[], owner.key(), None, images), refused, "no flash");

    let strange = stranger.image(header_size, 7, payload);
    assert_eq!(boot(&strange, stranger.key(), None, images), None, "a good image, of another owner");
    assert_eq!(boot(&strange, owner.key(), None, images), refused, "somebody else has signed it");
    let posed = stranger.posing_as(&owner).image(header_size, 7, payload);
    assert_eq!(boot(&posed, owner.key(), None, images), refused, "it says that the owner has signed it");
    assert_eq!(boot(&good, &[owner.key(), &[0]].concat(), None, images), refused, "the stored key is none");

    assert_eq!(boot(&good, owner.key(), Some(7), images), None, "at the floor");
    assert_eq!(boot(&good, owner.key(), Some(8), images), refused, "below the floor");
    assert_eq!(boot(&good, owner.key(), Some(8), &[]), None, "no image is configured");
}

/// A generator that sticks leads to the safe state before any core has been released.
///
/// # Panics
/// If it does not.
pub fn a_stuck_generator_holds_the_application_cores<P: Port, const LINKS: usize>(bench: &Bench<P, LINKS>) {
    bench.around.stick();
    assert_eq!(bench.refused().map(|reason| reason.step), Some(Step::Entropy));
    assert_eq!(bench.around.told(), [], "never released");
}

/// Flash that is broken by `spoil` while clients are served leads to the safe state: the client gets no key stored, and none is
/// left in the bridge. Whether the cores are held is for the caller to see.
///
/// # Panics
/// If it does not.
pub fn flash_that_fails_while_serving_leads_to_the_safe_state<P: Port, const LINKS: usize>(
    bench: &Bench<P, LINKS>,
    spoil: impl FnOnce(),
) {
    bench.boot();
    let mut client = bench.client(0);
    client.init(id(1)).unwrap();
    client.key_cache(&any_key(), &[7; 16]).unwrap();
    assert!(bench.bridge_content().windows(16).any(|bytes| bytes == [7; 16]), "the key came that way");
    spoil();
    assert!(client.key_commit(KeyId(5)).is_err());
    assert!(matches!(bench.poll(), Progress::Safe(_)));
    assert!(bench.bridge_content().iter().all(|byte| *byte == 0), "no packet is left");
}
