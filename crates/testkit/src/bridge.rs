//! An HSM on its module's model, with clients in the memory of a bridge: what the tests of the ports to chips share.

use casemate_client::{Client, NewKey};
use casemate_crypto::encoding::Ed25519Key;
use casemate_crypto::{Curve25519, Ed25519Mode, HashAlgorithm, Software, hash};
use casemate_nvm::ObjectStore;
use casemate_port::{Firmware, NoHardware, Port, Progress, Reason, Step};
use casemate_protocol::{ClientId, Flags, KeyId, Label, Metadata, ObjectId};
use casemate_server::image::{HeaderWriter, Tag, signed_by};
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

/// An image of an application core, and what verifies it.
#[derive(Debug, Clone)]
pub struct SignedImage {
    /// The owner's public key as it is stored.
    pub key: Vec<u8>,
    /// Header and payload.
    pub bytes: Vec<u8>,
}

/// An image with a wolfBoot header of `header_size` bytes, signed with Ed25519.
///
/// # Panics
/// If the header is too small.
pub fn signed_image(header_size: usize, payload: &[u8]) -> SignedImage {
    let driver = Software::new(NoHardware);
    let seed = [0x42; 32];
    let mut public = [0; 32];
    driver.ed25519_public(&seed, &mut public).unwrap();
    let mut key = vec![0; Ed25519Key::MAX_ENCODING];
    let length = Ed25519Key { seed: None, public: Some(public) }.encode_public(&mut key).unwrap();
    key.truncate(length);
    let (mut hint, mut digest, mut signature) = ([0; 32], [0; 32], [0; 64]);
    hash(&driver, HashAlgorithm::Sha256, &[&key], &mut hint).unwrap();
    let mut bytes = vec![0xFF; header_size];
    let size = u32::try_from(payload.len()).expect("a payload of less than 4 GiB");
    let mut writer = HeaderWriter::new(&mut bytes, size).unwrap();
    writer.field(Tag::VERSION, &1_u32.to_le_bytes()).unwrap();
    writer.field(Tag::IMAGE_TYPE, &[1, signed_by::ED25519]).unwrap();
    writer.field(Tag::KEY_HINT, &hint).unwrap();
    hash(&driver, HashAlgorithm::Sha256, &[writer.digest_input(), payload], &mut digest).unwrap();
    writer.field(Tag::SHA256, &digest).unwrap();
    driver.ed25519_sign(&seed, &public, Ed25519Mode::Pure, &digest, &mut signature).unwrap();
    writer.field(Tag::SIGNATURE, &signature).unwrap();
    bytes.extend_from_slice(payload);
    SignedImage { key, bytes }
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
