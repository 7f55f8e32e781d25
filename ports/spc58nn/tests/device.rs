//! The HSM as a whole on the module's model: boot, clients in the memory of the bridge, faults.

use casemate_client::{Client, Direction, Key, NewKey};
use casemate_nvm::{Error as StoreError, ObjectStore, Unusable};
use casemate_nvm_image::{Format, Layout, Object};
use casemate_port::{Cause, Ended, Firmware, Port, Progress, Step};
use casemate_protocol::{ClientId, Flags, KeyId, Metadata, ObjectId};
use casemate_spc58nn::bridge::BLOCK;
use casemate_spc58nn::data_flash::BLOCK_SIZE;
use casemate_spc58nn::port::{DATA_LENGTH, Memory, OBJECTS, PACKET, Spc58nn};
use casemate_spc58nn::registers::{DONE, FAULT, GOOD, Register};
use casemate_spc58nn::{BridgeBoard, FlashArray, FlashCells, Model, Registers, Surroundings};
use casemate_transport::{
    ClientTransport, MemoryClient, MemoryError, SharedMemory, SharedRegion, TransportError,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::AtomicU32;

const LINKS: usize = 3;

/// An even enough source of noise, and what the model tells.
#[derive(Default)]
struct Around {
    noise: Cell<u32>,
    stuck: Cell<bool>,
    rung: Cell<u32>,
    held: RefCell<Vec<u32>>,
}

impl Surroundings for &'static Around {
    fn noise(&self) -> Option<u32> {
        if !self.stuck.get() {
            self.noise.set(self.noise.get().wrapping_add(0x9E37_79B9));
        }
        let mixed = u64::from(self.noise.get() | 1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        Some((mixed >> 32) as u32)
    }

    fn rung(&self, clients: u32) {
        self.rung.set(self.rung.get() | clients);
    }

    fn held(&self, cores: u32) {
        self.held.borrow_mut().push(cores & 0b111);
    }
}

type Module = Model<'static, &'static Around>;

/// The module's registers with a register that can be broken.
#[derive(Clone, Copy)]
struct Wired {
    module: &'static Module,
    broken: &'static Cell<Option<Register>>,
}

impl Registers for Wired {
    fn read(&self, register: Register) -> u32 {
        let value = self.module.read(register);
        match self.broken.get() {
            Some(Register::FlashControl) if register == Register::FlashControl => (value | DONE) & !GOOD,
            Some(broken) if register == broken => value | FAULT,
            _ => value,
        }
    }

    fn write(&self, register: Register, value: u32) {
        self.module.write(register, value);
    }

    fn data_flash_length(&self) -> usize {
        self.module.data_flash_length()
    }

    fn read_data_flash(&self, offset: usize) -> Option<[u8; 8]> {
        self.module.read_data_flash(offset)
    }

    fn write_data_flash(&self, offset: usize, word: [u8; 4]) {
        self.module.write_data_flash(offset, word);
    }
}

type Hsm = Firmware<Spc58nn<Wired, BridgeBoard<Wired>, LINKS>, LINKS>;

struct Device {
    around: &'static Around,
    module: &'static Module,
    broken: &'static Cell<Option<Register>>,
    bridge: SharedRegion<'static>,
    hsm: Rc<RefCell<Hsm>>,
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

impl Device {
    /// A new device before its boot.
    fn new() -> Self {
        let around: &'static Around = leak(Around::default());
        Self::on(around, leak(Model::new(around, leak(FlashArray::<2>::new()).start())))
    }

    /// A device with this module: its flash holds what it held.
    fn on(around: &'static Around, module: &'static Module) -> Self {
        let broken: &'static Cell<Option<Register>> = leak(Cell::new(None));
        let words: Vec<AtomicU32> = (0..2 * LINKS * BLOCK / 4).map(|_| AtomicU32::new(0)).collect();
        let bridge = SharedRegion::new(words.leak());
        let wired = Wired { module, broken };
        let board = BridgeBoard::new(wired, bridge, || ());
        let hsm = Rc::new(RefCell::new(Firmware::new(Spc58nn::new(wired, board, leak(Memory::new())))));
        Self { around, module, broken, bridge, hsm }
    }

    fn boot(&self) {
        for step in Step::ALL {
            if step != Step::Serve {
                assert_eq!(self.hsm.borrow_mut().poll(), Progress::Booted(step));
            }
        }
    }

    fn client(&self, link: u8) -> Client<Application, [u8; PACKET]> {
        let part = |index: usize| self.bridge.part(index * BLOCK, BLOCK).unwrap();
        let index = usize::from(link) * 2;
        let memory = MemoryClient::new(part(index), part(index + 1)).unwrap();
        let application =
            Application { memory, link, around: self.around, module: self.module, hsm: self.hsm.clone() };
        Client::new(application, [0; PACKET])
    }
}

/// An application core's end: it rings when it has written a request, and looks for the response when its bell rings. The
/// HSM runs while the core waits.
struct Application {
    memory: MemoryClient<SharedRegion<'static>>,
    link: u8,
    around: &'static Around,
    module: &'static Module,
    hsm: Rc<RefCell<Hsm>>,
}

impl ClientTransport for Application {
    type Error = MemoryError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<MemoryError>> {
        self.memory.send(packet)?;
        self.module.ring(1 << self.link);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<MemoryError>> {
        if let Progress::Safe(_) = self.hsm.borrow_mut().poll() {
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

#[test]
fn two_clients_over_the_bridge_and_a_restart() {
    let device = Device::new();
    device.boot();
    assert_eq!(*device.around.held.borrow(), [0b110, 0b100, 0], "held since the start, released one by one");

    let (mut one, mut two) = (device.client(0), device.client(1));
    one.init(ClientId::new(1).unwrap()).unwrap();
    two.init(ClientId::new(2).unwrap()).unwrap();
    assert_eq!(one.info().unwrap().data_length as usize, DATA_LENGTH);
    let new = NewKey { id: KeyId(5), flags: Flags::USAGE_ANY, label: "AES".into() };
    one.key_cache(&new, &[7; 16]).unwrap();
    one.key_commit(KeyId(5)).unwrap();
    // Through the engine and, with a key of 256 bits, past it; the expected values are OpenSSL's.
    for (key, expected) in [
        (&[7; 16][..], 0x495f_d7df_531c_dc55_58c0_a2fc_4655_7ef5_u128),
        (&[7; 32], 0xc5a3_1f70_279e_5fc8_9d63_5ade_604d_e89a),
    ] {
        let mut block = *b"sixteen bytes...";
        one.aes_ecb(Direction::Encrypt, Key::Inline(key), &mut block).unwrap();
        assert_eq!(block, expected.to_be_bytes());
        two.aes_ecb(Direction::Decrypt, Key::Inline(key), &mut block).unwrap();
        assert_eq!(&block, b"sixteen bytes...");
    }
    assert!(two.key_export(KeyId(5), &mut [0; 16]).is_err(), "client 2 has no such key");
    one.close().unwrap();

    let again = Device::on(device.around, device.module);
    again.boot();
    let mut one = again.client(0);
    one.init(ClientId::new(1).unwrap()).unwrap();
    let mut key = [0; 16];
    one.key_export(KeyId(5), &mut key).unwrap();
    assert_eq!(key, [7; 16]);
}

#[test]
fn a_link_serves_its_own_client_and_no_other() {
    let device = Device::new();
    device.boot();
    let (mut one, mut two) = (device.client(0), device.client(1));
    one.init(ClientId::new(1).unwrap()).unwrap();
    let new = NewKey { id: KeyId(5), flags: Flags::USAGE_ANY, label: "AES".into() };
    one.key_cache(&new, &[7; 16]).unwrap();
    one.key_commit(KeyId(5)).unwrap();
    for other in [1, 3, 15] {
        assert!(two.init(ClientId::new(other).unwrap()).is_err(), "client {other} on the link of client 2");
        assert!(two.key_export(KeyId(5), &mut [0; 16]).is_err());
    }
    two.init(ClientId::new(2).unwrap()).unwrap();
    assert!(two.key_export(KeyId(5), &mut [0; 16]).is_err(), "it is client 1's");
    one.key_export(KeyId(5), &mut [0; 16]).unwrap();
}

#[test]
fn an_application_core_that_resets_loses_its_session_and_no_other() {
    let device = Device::new();
    device.boot();
    let (mut client, mut other) = (device.client(1), device.client(2));
    client.init(ClientId::new(2).unwrap()).unwrap();
    other.init(ClientId::new(3).unwrap()).unwrap();
    let new = NewKey { id: KeyId(9), flags: Flags::USAGE_ANY, label: "gone".into() };
    client.key_cache(&new, &[1; 16]).unwrap();
    other.key_cache(&new, &[2; 16]).unwrap();
    // It dies with a request on its way, and starts again.
    client.start(&casemate_client::comm::Info).unwrap();
    device.module.restart_hosts(1 << 1);
    let seen: Vec<_> = (0..20).map(|_| device.hsm.borrow_mut().poll()).collect();
    assert!(seen.iter().any(|progress| matches!(progress, Progress::SessionEnded(1, Ended::CoreReset(_)))));
    device.around.rung.set(0);
    let mut client = device.client(1);
    client.init(ClientId::new(2).unwrap()).unwrap();
    assert!(client.key_export(KeyId(9), &mut [0; 16]).is_err());
    let mut key = [0; 16];
    other.key_export(KeyId(9), &mut key).unwrap();
    assert_eq!(key, [2; 16]);
}

/// An image that was programmed with the firmware: checksums are not optional, see README.md.
#[test]
fn an_image_made_on_a_host_is_mounted() {
    let metadata =
        Metadata { id: ObjectId(7), access: 0xFFFF, flags: Flags::NONE, length: 5, label: "greeting".into() };
    let object = Object { metadata, data: b"hello".to_vec().into() };
    let read = |checksums| {
        let layout = Layout::Flash { entries: OBJECTS as u16, checksums };
        let format = Format { layout, partition_size: BLOCK_SIZE as u32, erased_byte: 0xFF };
        let image = format.build(std::slice::from_ref(&object)).unwrap();
        let array = leak(FlashArray::<2>::new());
        array.start();
        for (word, offset) in image.as_chunks::<8>().0.iter().zip((0..).step_by(8)) {
            // As a programming tool does that leaves out what is erased.
            assert!(*word == [0xFF; 8] || array.program(offset, *word));
        }
        let around: &'static Around = leak(Around::default());
        let module: &'static Module = leak(Model::new(around, array));
        let wired = Wired { module, broken: leak(Cell::new(None)) };
        let words: Vec<AtomicU32> = (0..2 * LINKS * BLOCK / 4).map(|_| AtomicU32::new(0)).collect();
        let board = BridgeBoard::new(wired, SharedRegion::new(words.leak()), || ());
        let mut port = Spc58nn::<_, _, LINKS>::new(wired, board, leak(Memory::new()));
        let flash = port.flash().unwrap();
        let mut data = [0; 5];
        port.mount(flash).and_then(|mut store| store.read(ObjectId(7), 0, &mut data)).map(|()| data)
    };
    assert_eq!(read(true), Ok(*b"hello"));
    assert_eq!(read(false), Err(StoreError::Unusable(Unusable::NoChecksums)));
}

#[test]
fn a_stuck_generator_holds_the_application_cores() {
    let device = Device::new();
    device.around.stuck.set(true);
    let safe = (0..4).find_map(|_| match device.hsm.borrow_mut().poll() {
        Progress::Safe(reason) => Some(reason),
        _ => None,
    });
    assert_eq!(safe.map(|reason| reason.step), Some(Step::Entropy));
    assert!(device.around.held.borrow().is_empty(), "never released");
}

#[test]
fn a_broken_engine_is_found_at_boot() {
    let device = Device::new();
    device.broken.set(Some(Register::AesStatus));
    let safe = (0..4).find_map(|_| match device.hsm.borrow_mut().poll() {
        Progress::Safe(reason) => Some(reason),
        _ => None,
    });
    assert!(matches!(safe.map(|reason| reason.cause), Some(Cause::SelfTest(_))), "{safe:?}");
}

#[test]
fn flash_that_fails_while_serving_leads_to_the_safe_state() {
    let device = Device::new();
    device.boot();
    let mut client = device.client(0);
    client.init(ClientId::new(1).unwrap()).unwrap();
    let new = NewKey { id: KeyId(5), flags: Flags::USAGE_ANY, label: "AES".into() };
    client.key_cache(&new, &[7; 16]).unwrap();
    let bridge = || {
        let mut bytes = vec![0; device.bridge.length()];
        device.bridge.read(0, &mut bytes).unwrap();
        bytes
    };
    assert!(bridge().windows(16).any(|bytes| bytes == [7; 16]), "the key came that way");
    device.broken.set(Some(Register::FlashControl));
    assert!(client.key_commit(KeyId(5)).is_err());
    assert!(matches!(device.hsm.borrow_mut().poll(), Progress::Safe(_)));
    assert_eq!(device.around.held.borrow().last(), Some(&0b111), "reset and held");
    assert!(bridge().iter().all(|byte| *byte == 0), "no packet is left");
}
