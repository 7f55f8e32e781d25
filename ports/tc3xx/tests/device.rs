//! The HSM as a whole on the module's model: boot, clients in the memory of the bridge, faults.

use casemate_client::{Direction, Key};
use casemate_device::Bridge;
use casemate_nvm::{MountError, ObjectStore, Unusable};
use casemate_nvm_image::{Format, Layout, Object};
use casemate_port::{Cause, Ended, Port, Progress};
use casemate_protocol::{ClientId, Flags, KeyId, Metadata, ObjectId};
use casemate_server::image::Image;
use casemate_tc3xx::bridge::BLOCK;
use casemate_tc3xx::images::IMAGES;
use casemate_tc3xx::port::{DATA_LENGTH, Memory, OBJECTS, PACKET, Tc3xx};
use casemate_tc3xx::registers::{FAULT, Register};
use casemate_tc3xx::{BridgeBoard, FlashCells, Model, Registers, Surroundings};
use casemate_testkit::bridge::{self, Around, Bench, any_key, bridge_memory, leak};
use casemate_transport::SharedRegion;
use std::cell::Cell;

const LINKS: usize = 2;

/// What the model tells the tests.
#[derive(Debug, Clone, Copy)]
struct Wire(&'static Around);

impl Surroundings for Wire {
    fn noise(&self) -> Option<u32> {
        Some(self.0.noise())
    }

    fn rung(&self, clients: u32) {
        self.0.ring(clients);
    }

    fn hosts(&self, running: bool) {
        self.0.tell(running.into());
    }
}

type Module = Model<'static, Wire>;

/// The module's registers with a fault that can be switched on.
#[derive(Clone, Copy)]
struct Wired {
    module: &'static Module,
    broken: &'static Cell<Option<Register>>,
}

impl Registers for Wired {
    fn read(&self, register: Register) -> u32 {
        let value = self.module.read(register);
        if self.broken.get() == Some(register) { value | FAULT } else { value }
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

    fn read_application_flash(&self, offset: usize, out: &mut [u8]) -> bool {
        self.module.read_application_flash(offset, out)
    }
}

type Hsm = Tc3xx<Wired, BridgeBoard<Wired>, LINKS>;

struct Device {
    module: &'static Module,
    broken: &'static Cell<Option<Register>>,
    bench: Bench<Hsm, LINKS>,
}

/// The port before its boot, for application cores with these images, and its bridge.
fn port(
    module: &'static Module,
    broken: &'static Cell<Option<Register>>,
    images: &'static [Image<'static>],
) -> (Hsm, SharedRegion<'static>) {
    let bridge = bridge_memory(2 * LINKS * BLOCK);
    let wired = Wired { module, broken };
    let board = BridgeBoard::new(wired, bridge, || ()).with_images(images);
    (Tc3xx::new(wired, board, leak(Memory::new())), bridge)
}

impl Device {
    /// A new device before its boot.
    fn new() -> Self {
        let around: &'static Around = leak(Around::default());
        let flash = FlashCells::new(vec![0; 0x2_0000].leak(), vec![0; 0x2_0000 / 64].leak());
        Self::on(around, leak(Model::new(Wire(around), flash)))
    }

    /// A device with this module: its flash holds what it held.
    fn on(around: &'static Around, module: &'static Module) -> Self {
        Self::with_images(around, module, &[])
    }

    /// The same, with images of the application cores.
    fn with_images(
        around: &'static Around,
        module: &'static Module,
        images: &'static [Image<'static>],
    ) -> Self {
        let broken: &'static Cell<Option<Register>> = leak(Cell::new(None));
        let (port, bridge) = port(module, broken, images);
        let link = |bridge, link| Bridge::<PACKET>::new(bridge).client(link);
        let ring = |clients| module.ring(clients);
        Self { module, broken, bench: Bench::new(port, around, bridge, link, ring, PACKET) }
    }
}

#[test]
fn two_clients_over_the_bridge_and_a_restart() {
    let device = Device::new();
    device.bench.boot();
    assert_eq!(device.bench.around.told(), [1], "held since the start, released once");

    let (mut one, mut two) = (device.bench.client(0), device.bench.client(1));
    one.init(ClientId::new(1).unwrap()).unwrap();
    two.init(ClientId::new(2).unwrap()).unwrap();
    assert_eq!(one.info().unwrap().data_length as usize, DATA_LENGTH);
    one.key_cache(&any_key(), &[7; 16]).unwrap();
    one.key_commit(KeyId(5)).unwrap();
    // FIPS 197 vectors are the software's tests; here both ways through the engine must agree.
    let mut block = *b"sixteen bytes...";
    one.aes_ecb(Direction::Encrypt, Key::Id(KeyId(5)), &mut block).unwrap();
    two.aes_ecb(Direction::Decrypt, Key::Inline(&[7; 16]), &mut block).unwrap();
    assert_eq!(&block, b"sixteen bytes...");
    assert!(two.key_export(KeyId(5), &mut [0; 16]).is_err(), "client 2 has no such key");
    one.close().unwrap();

    let again = Device::on(device.bench.around, device.module);
    again.bench.boot();
    let mut one = again.bench.client(0);
    one.init(ClientId::new(1).unwrap()).unwrap();
    let mut key = [0; 16];
    one.key_export(KeyId(5), &mut key).unwrap();
    assert_eq!(key, [7; 16]);
}

#[test]
fn a_link_serves_its_own_client_and_no_other() {
    bridge::a_link_serves_its_own_client_and_no_other(&Device::new().bench);
}

#[test]
fn an_application_core_that_resets_loses_its_session() {
    let device = Device::new();
    device.bench.boot();
    let mut client = device.bench.client(0);
    client.init(ClientId::new(1).unwrap()).unwrap();
    client.key_cache(&any_key(), &[1; 16]).unwrap();
    // It dies with a request on its way, and starts again.
    client.start(&casemate_client::comm::Info).unwrap();
    device.module.restart_hosts();
    let seen: Vec<_> = (0..20).map(|_| device.bench.poll()).collect();
    assert!(seen.iter().any(|progress| matches!(progress, Progress::SessionEnded(0, Ended::CoreReset(_)))));
    device.bench.around.silence();
    let mut client = device.bench.client(0);
    client.init(ClientId::new(1).unwrap()).unwrap();
    assert!(client.key_export(KeyId(5), &mut [0; 16]).is_err());
}

/// An image that was programmed with the firmware: checksums are not optional, see README.md.
#[test]
fn an_image_made_on_a_host_is_mounted() {
    let metadata =
        Metadata { id: ObjectId(7), access: 0xFFFF, flags: Flags::NONE, length: 5, label: "greeting".into() };
    let object = Object { metadata, data: b"hello".to_vec().into() };
    let read = |checksums| {
        let layout = Layout::Flash { entries: OBJECTS as u16, checksums };
        let format = Format { layout, partition_size: 0x1_0000, erased_byte: 0 };
        let image = format.build(std::slice::from_ref(&object)).unwrap();
        let around: &'static Around = leak(Around::default());
        let flash = FlashCells::new(image.to_vec().leak(), vec![0; 0x2_0000 / 64].leak());
        let module = leak(Model::new(Wire(around), flash));
        let (mut port, _) = port(module, leak(Cell::new(None)), &[]);
        let flash = port.flash().unwrap();
        let mut data = [0; 5];
        port.mount(flash).and_then(|mut store| Ok(store.read(ObjectId(7), 0, &mut data)?)).map(|()| data)
    };
    assert_eq!(read(true), Ok(*b"hello"));
    assert_eq!(read(false), Err(MountError::Unusable(Unusable::NoChecksums)));
}

#[test]
fn the_application_cores_are_released_for_a_good_image_only() {
    let device = |flash: &[u8]| {
        let around: &'static Around = leak(Around::default());
        let data_flash = FlashCells::new(vec![0; 0x2_0000].leak(), vec![0; 0x2_0000 / 64].leak());
        let module = Model::new(Wire(around), data_flash);
        let module: &'static Module = leak(module.with_applications(flash.to_vec().leak()));
        move |images| Device::with_images(around, module, images).bench
    };
    bridge::the_application_cores_are_released_for_a_good_image_only(IMAGES, 1, 0, device);
}

#[test]
fn a_stuck_generator_holds_the_application_cores() {
    bridge::a_stuck_generator_holds_the_application_cores(&Device::new().bench);
}

#[test]
fn a_broken_engine_is_found_at_boot() {
    let device = Device::new();
    device.broken.set(Some(Register::AesStatus));
    let refused = device.bench.refused();
    assert!(matches!(refused.map(|reason| reason.cause), Some(Cause::SelfTest(_))), "{refused:?}");
}

#[test]
fn flash_that_fails_while_serving_leads_to_the_safe_state() {
    let Device { broken, bench, .. } = Device::new();
    let spoil = || broken.set(Some(Register::FlashStatus));
    bridge::flash_that_fails_while_serving_leads_to_the_safe_state(&bench, spoil);
    assert_eq!(bench.around.told().last(), Some(&0), "reset and held");
}
