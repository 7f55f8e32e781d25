//! The firmware on a virtual device: the order of the boot, serving several links, the end of sessions, and the safe
//! state that every fault leads to.

use casemate_client::{Client, Direction, Key, NewKey};
use casemate_crypto::{Error as CryptoError, Software, cmac};
use casemate_nvm::{Error as StoreError, MountError, ObjectStore, Unusable};
use casemate_port::{
    Cause, Core, Ended, Fault, Firmware, NoHardware, Progress, Reason, SelfTest, Step, StoreFault,
};
use casemate_protocol::{ClientId, Flags, KeyId, Metadata, ObjectId};
use casemate_server::ConfigError;
use casemate_testkit::faults::{EngineFault, FlashLie, LinkFault, NoiseFault};
use casemate_testkit::port::{Call, IMAGE_KEY, IMAGE_MAC, VirtualClient, VirtualDevice, VirtualPort};
use casemate_transport::{ClientTransport, TransportError};
use std::convert::Infallible;

/// Two links to cores, one without.
type Device = Firmware<VirtualPort, 3>;

const INIT: [u8; 12] = [1, 0xA5, 1, 1, 1, 0, 0, 0, 12, 0, 0, 0];
const RANDOM: [u8; 24] = [1, 0xA5, 4, 4, 2, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];

fn booted(device: &VirtualDevice) -> Device {
    let mut firmware = Device::new(device.port());
    firmware.boot_all().unwrap();
    firmware
}

/// Moves the firmware on until nothing is to be done, and returns what it did.
fn settle(firmware: &mut Device) -> Vec<Progress> {
    let mut done = Vec::new();
    for _ in 0..100 {
        match firmware.poll() {
            Progress::Idle => break,
            Progress::Safe(reason) => {
                done.push(Progress::Safe(reason));
                break;
            }
            progress => done.push(progress),
        }
    }
    done
}

/// A client whose waiting is the firmware's working.
struct Driven<'a> {
    firmware: &'a mut Device,
    client: VirtualClient,
}

impl ClientTransport for Driven<'_> {
    type Error = Infallible;
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        self.client.send(packet)
    }
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        for _ in 0..10 {
            match self.client.receive(buffer) {
                Err(TransportError::NotReady) => {}
                other => return other,
            }
            settle(self.firmware);
        }
        Err(TransportError::Closed)
    }
}

fn client<'f>(
    device: &VirtualDevice,
    firmware: &'f mut Device,
    link: usize,
) -> Client<Driven<'f>, [u8; 1288]> {
    let client = device.connect(link);
    let mut client = Client::new(Driven { firmware, client }, [0; 1288]);
    client.init(ClientId::new(1).unwrap()).unwrap();
    client
}

fn object(id: u16) -> Metadata {
    Metadata { id: ObjectId(id), ..Metadata::default() }
}

/// Sends one packet and returns what comes back after the firmware has settled.
fn exchange(firmware: &mut Device, client: &mut VirtualClient, packet: &[u8]) -> Option<Vec<u8>> {
    client.send(packet).unwrap();
    settle(firmware);
    let mut buffer = [0; 1288];
    client.receive(&mut buffer).ok().map(|length| buffer[..length].to_vec())
}

#[test]
fn the_boot_goes_in_order_and_cores_are_released_last() {
    let device = VirtualDevice::new();
    let mut firmware = Device::new(device.port());
    assert!(device.is_any_running(), "as after power on");
    for step in Step::ALL.into_iter().filter(|&step| step != Step::Serve) {
        assert_eq!(firmware.step(), Some(step));
        assert_eq!(firmware.poll(), Progress::Booted(step));
        assert_eq!(device.is_any_running(), step == Step::Release, "after {step}");
        assert_eq!(firmware.server().is_some(), step >= Step::Server);
    }
    assert_eq!(firmware.poll(), Progress::Idle);
    assert_eq!(
        device.calls(),
        [
            Call::Initialize,
            Call::Hold(0),
            Call::Hold(1),
            Call::Entropy,
            Call::Crypto,
            Call::Flash,
            Call::Mount,
            Call::Services,
            Call::Prepare,
            Call::Release(0),
            Call::Release(1),
        ]
    );
}

/// What must hold of every safe state: cores held, no server, no answers, and no way back.
fn assert_safe(device: &VirtualDevice, firmware: &mut Device, reason: Reason) {
    assert_eq!(firmware.poll(), Progress::Safe(reason));
    assert_eq!(firmware.safe_state(), Some(reason));
    assert!(firmware.server().is_none());
    assert!(!device.is_any_running(), "{reason}");
    assert_eq!(device.calls().iter().filter(|&&call| call == Call::SafeState).count(), 1);
    let calls = device.calls();
    let mut client = device.connect(0);
    client.send(&INIT).unwrap();
    for _ in 0..20 {
        assert_eq!(firmware.poll(), Progress::Safe(reason));
    }
    assert_eq!(client.receive(&mut [0; 64]), Err(TransportError::NotReady));
    assert_eq!(firmware.reset_core(Core(0)), Err(reason));
    assert_eq!(device.calls(), calls, "the port is left alone");
}

#[test]
fn every_call_that_fails_in_the_boot_ends_in_the_safe_state() {
    let port = |step, fault| Reason { step, cause: Cause::Port(fault) };
    let core = |step, number| Reason { step, cause: Cause::Core(Core(number), Fault::Device(7)) };
    for (call, reason) in [
        (Call::Initialize, port(Step::Hardware, Fault::Device(7))),
        (Call::Entropy, port(Step::Entropy, Fault::Device(7))),
        (Call::Crypto, port(Step::Crypto, Fault::Device(7))),
        (Call::Flash, port(Step::Flash, Fault::Device(7))),
        (Call::Mount, Reason { step: Step::Flash, cause: Cause::Mount(StoreError::Failed.into()) }),
        (Call::Services, port(Step::Server, Fault::Device(7))),
        (Call::Prepare, port(Step::Server, Fault::Device(7))),
        (Call::Release(0), core(Step::Release, 0)),
        (Call::Release(1), core(Step::Release, 1)),
    ] {
        let device = VirtualDevice::new();
        device.break_call(Some((call, Fault::Device(7))));
        let mut firmware = Device::new(device.port());
        assert_eq!(firmware.boot_all(), Err(reason));
        device.break_call(None);
        assert_safe(&device, &mut firmware, reason);
        // Switched off and on again, the device is well.
        assert_eq!(Device::new(device.port()).boot_all(), Ok(()));
    }
}

/// A core that cannot be held runs on; the others are held all the same, and nothing is served.
#[test]
fn a_core_that_cannot_be_held_is_a_fault_and_the_others_are_held() {
    let device = VirtualDevice::new();
    device.break_call(Some((Call::Hold(0), Fault::Device(7))));
    let mut firmware = Device::new(device.port());
    let reason = Reason { step: Step::Hardware, cause: Cause::Core(Core(0), Fault::Device(7)) };
    assert_eq!(firmware.boot_all(), Err(reason));
    assert!(device.is_running(0) && !device.is_running(1));
}

#[test]
fn noise_that_fails_its_start_up_tests_ends_in_the_safe_state() {
    for fault in [
        NoiseFault::Stuck(0),
        NoiseFault::Stuck(0x5A),
        NoiseFault::Alternates(1, 2),
        NoiseFault::Biased(3),
        NoiseFault::Fails,
    ] {
        let device = VirtualDevice::new();
        device.noise_fault().set(Some(fault));
        let mut firmware = Device::new(device.port());
        let reason = Reason { step: Step::Entropy, cause: Cause::Entropy(CryptoError::Entropy) };
        assert_eq!(firmware.boot_all(), Err(reason), "{fault:?}");
        assert_safe(&device, &mut firmware, reason);
    }
}

#[test]
fn noise_that_sticks_later_ends_in_the_safe_state_when_it_is_drawn_on() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    device.noise_fault().set(Some(NoiseFault::Stuck(0)));
    let mut client = device.connect(0);
    assert_eq!(exchange(&mut firmware, &mut client, &INIT).unwrap().len(), 16);
    // The generator draws on the source once in 1024 requests. The firmware has it done earlier, after the 768th.
    let mut answered = 0;
    while let Some(response) = exchange(&mut firmware, &mut client, &RANDOM) {
        assert_eq!(response.len(), 28);
        answered += 1;
    }
    assert_eq!(answered, 768);
    let reason = Reason { step: Step::Serve, cause: Cause::Entropy(CryptoError::Entropy) };
    assert_safe(&device, &mut firmware, reason);
}

#[test]
fn flash_that_lies_at_the_mount_ends_in_the_safe_state() {
    let mount = |error| Cause::Mount(MountError::Store(error));
    for (lie, cause) in [
        (FlashLie::WritesAreLost, mount(StoreError::NotVerified)),
        (FlashLie::WritesLoseABit, mount(StoreError::NotVerified)),
        (FlashLie::ReadsAs(0), Cause::Mount(MountError::Unusable(Unusable::Foreign))),
        (
            FlashLie::ChangesFail,
            mount(StoreError::Flash(embedded_storage::nor_flash::NorFlashErrorKind::Other)),
        ),
        (
            FlashLie::EverythingFails,
            mount(StoreError::Flash(embedded_storage::nor_flash::NorFlashErrorKind::Other)),
        ),
    ] {
        let device = VirtualDevice::new();
        device.flash_lie().set(Some(lie));
        let mut firmware = Device::new(device.port());
        let reason = Reason { step: Step::Flash, cause };
        assert_eq!(firmware.boot_all(), Err(reason), "{lie:?}");
        device.flash_lie().set(None);
        assert_safe(&device, &mut firmware, reason);
    }
    for lie in [FlashLie::ReadsAreNoise, FlashLie::Capacity(100), FlashLie::Capacity(usize::MAX)] {
        let device = VirtualDevice::new();
        device.flash_lie().set(Some(lie));
        let reason = Device::new(device.port()).boot_all().unwrap_err();
        assert_eq!(reason.step, Step::Flash, "{lie:?}");
    }
}

#[test]
fn flash_that_lies_while_clients_are_served_ends_in_the_safe_state() {
    for (lie, fault) in [
        (FlashLie::WritesAreLost, StoreFault::NotVerified),
        (FlashLie::WritesLoseABit, StoreFault::NotVerified),
        (FlashLie::ChangesFail, StoreFault::Driver),
        (FlashLie::EverythingFails, StoreFault::Driver),
    ] {
        let device = VirtualDevice::new();
        let mut firmware = booted(&device);
        let mut client = client(&device, &mut firmware, 0);
        client.nvm_add(&object(1), b"kept").unwrap();
        device.flash_lie().set(Some(lie));
        client.nvm_add(&object(2), b"never reported as stored").unwrap_err();
        drop(client);
        device.flash_lie().set(None);
        let reason = Reason { step: Step::Serve, cause: Cause::Store(fault) };
        assert_eq!(firmware.safe_state(), Some(reason), "{lie:?}");
        assert_safe(&device, &mut firmware, reason);
        // What was stored before is there after a restart.
        let mut firmware = booted(&device);
        let mut client = self::client(&device, &mut firmware, 0);
        let mut out = [0; 4];
        assert_eq!(client.nvm_read(ObjectId(1), &mut out).unwrap(), 4);
        assert_eq!(&out, b"kept");
        client.nvm_metadata(ObjectId(2)).unwrap_err();
    }
}

#[test]
fn a_fault_that_the_port_reports_ends_in_the_safe_state() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    let mut connected = device.connect(0);
    assert_eq!(exchange(&mut firmware, &mut connected, &INIT).unwrap().len(), 16);
    device.set_health(Some(Fault::Device(0xBAD)));
    assert_eq!(exchange(&mut firmware, &mut connected, &RANDOM), None);
    let reason = Reason { step: Step::Serve, cause: Cause::Port(Fault::Device(0xBAD)) };
    assert_safe(&device, &mut firmware, reason);
}

#[test]
fn links_are_served_in_turn_and_none_holds_up_another() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    let mut clients = [0, 1, 2].map(|link| device.connect(link));
    assert_eq!(settle(&mut firmware), [0, 1, 2].map(Progress::Opened));
    for client in &mut clients {
        client.send(&INIT).unwrap();
    }
    assert_eq!(settle(&mut firmware), [0, 1, 2].map(Progress::Answered));
    // Client 0 does not fetch its response and sends again: its second response waits, the others are served.
    clients[0].send(&INIT).unwrap();
    for client in &mut clients[1..] {
        assert_eq!(client.receive(&mut [0; 64]), Ok(16));
        client.send(&RANDOM).unwrap();
    }
    assert_eq!(settle(&mut firmware), [Progress::Handled(0), Progress::Answered(1), Progress::Answered(2)]);
    assert_eq!(clients[0].receive(&mut [0; 64]), Ok(16));
    assert_eq!(settle(&mut firmware), [Progress::Answered(0)]);
    let mut late = [0; 64];
    assert_eq!(clients[0].receive(&mut late), Ok(16));
}

#[test]
fn a_core_that_resets_ends_its_own_session_only() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    let (mut first, mut second) = (device.connect(0), device.connect(1));
    for client in [&mut first, &mut second] {
        assert_eq!(exchange(&mut firmware, client, &INIT).unwrap().len(), 16);
    }
    assert_eq!(firmware.client(0), ClientId::new(12));
    // In the middle of a request: it is neither handled nor answered.
    first.send(&RANDOM).unwrap();
    device.reset_core(0);
    assert_eq!(settle(&mut firmware), [Progress::SessionEnded(0, Ended::CoreReset(Core(0)))]);
    assert_eq!(firmware.client(0), None);
    assert_eq!(first.receive(&mut [0; 64]), Err(TransportError::Closed));
    assert_eq!(exchange(&mut firmware, &mut second, &RANDOM).unwrap().len(), 28);
    // The core starts over, and is nobody until it says who it is.
    let mut first = device.connect(0);
    let refused = exchange(&mut firmware, &mut first, &RANDOM).unwrap();
    assert!(refused.len() < 28, "{refused:?}");
    assert_eq!(exchange(&mut firmware, &mut first, &INIT).unwrap().len(), 16);
}

#[test]
fn a_core_that_resets_leaves_no_key_behind() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    let new = NewKey { id: KeyId::NONE, flags: Flags::NONE, label: "".into() };
    let mut one = client(&device, &mut firmware, 0);
    let id = one.key_cache(&new, &[7; 16]).unwrap();
    let mut out = [0; 16];
    one.key_export(id, &mut out).unwrap();
    assert_eq!(out, [7; 16]);
    drop(one);
    device.reset_core(0);
    let mut other = client(&device, &mut firmware, 0);
    other.key_export(id, &mut out).unwrap_err();
    // All slots are free again.
    for _ in 0..4 {
        other.key_cache(&new, &[8; 16]).unwrap();
    }
}

#[test]
fn the_device_can_reset_a_core() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    let mut first = device.connect(0);
    exchange(&mut firmware, &mut first, &INIT).unwrap();
    firmware.reset_core(Core(0)).unwrap();
    assert_eq!(device.calls()[device.calls().len() - 2..], [Call::Hold(0), Call::Release(0)]);
    assert_eq!(firmware.client(0), None);
    assert_eq!(
        firmware.reset_core(Core(9)),
        Err(Reason { step: Step::Serve, cause: Cause::Core(Core(9), Fault::NoSuchPart) })
    );
    assert!(firmware.safe_state().is_some() && !device.is_any_running());
}

#[test]
fn a_core_is_not_released_before_its_time() {
    let device = VirtualDevice::new();
    let mut firmware = Device::new(device.port());
    firmware.poll();
    firmware.reset_core(Core(1)).unwrap();
    assert!(!device.is_running(1));
}

#[test]
fn closing_ends_the_session_after_the_answer() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    let mut client = device.connect(2);
    exchange(&mut firmware, &mut client, &INIT).unwrap();
    client.send(&[1, 0xA5, 3, 1, 2, 0, 0, 0]).unwrap();
    assert_eq!(settle(&mut firmware), [Progress::SessionEnded(2, Ended::ByClient)]);
    assert_eq!(client.receive(&mut [0; 64]), Ok(8));
    drop(client);
    let mut client = device.connect(2);
    assert_eq!(exchange(&mut firmware, &mut client, &INIT).unwrap().len(), 16);
    drop(client);
    assert_eq!(settle(&mut firmware), [Progress::SessionEnded(2, Ended::Closed)]);
}

/// A transport that misbehaves costs its own session at worst; the device serves on.
#[test]
fn transports_that_misbehave_end_their_session_or_change_nothing() {
    for (fault, expected) in [
        (LinkFault::Truncates(0), Progress::SessionEnded(0, Ended::Malformed)),
        (LinkFault::Truncates(7), Progress::SessionEnded(0, Ended::Malformed)),
        (LinkFault::Garbage(0), Progress::SessionEnded(0, Ended::Malformed)),
        (LinkFault::Garbage(0xFF), Progress::SessionEnded(0, Ended::Malformed)),
        (LinkFault::Claims(usize::MAX), Progress::SessionEnded(0, Ended::Length)),
        (LinkFault::Claims(1289), Progress::SessionEnded(0, Ended::Length)),
        (LinkFault::Closes, Progress::SessionEnded(0, Ended::Closed)),
        (LinkFault::BadLength, Progress::SessionEnded(0, Ended::Length)),
        (LinkFault::NeverSends, Progress::Handled(0)),
        (LinkFault::LosesResponses, Progress::Answered(0)),
        // A header without its message, and a message longer than it is: refused, and the session lives.
        (LinkFault::Truncates(8), Progress::Answered(0)),
        (LinkFault::Truncates(20), Progress::Answered(0)),
        (LinkFault::Claims(1288), Progress::Answered(0)),
    ] {
        let device = VirtualDevice::new();
        let mut firmware = booted(&device);
        let (mut first, mut second) = (device.connect(0), device.connect(1));
        for client in [&mut first, &mut second] {
            exchange(&mut firmware, client, &INIT).unwrap();
        }
        device.link_fault().set(Some(fault));
        first.send(&RANDOM).unwrap();
        let done = settle(&mut firmware);
        assert_eq!(done.first(), Some(&expected), "{fault:?}");
        device.link_fault().set(None);
        settle(&mut firmware);
        if matches!(expected, Progress::SessionEnded(..)) {
            assert_eq!(firmware.client(0), None);
            assert_eq!(first.receive(&mut [0; 64]), Err(TransportError::Closed), "no answer");
        }
        if fault != LinkFault::Closes {
            assert_eq!(exchange(&mut firmware, &mut second, &RANDOM).unwrap().len(), 28, "{fault:?}");
        }
        assert_eq!(firmware.safe_state(), None);
    }
}

/// A request that comes twice is answered twice, under one sequence number: the client drops the second.
#[test]
fn a_repeated_request_is_answered_once_more() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    let mut client = device.connect(0);
    exchange(&mut firmware, &mut client, &INIT).unwrap();
    device.link_fault().set(Some(LinkFault::Repeats));
    client.send(&RANDOM).unwrap();
    assert_eq!(settle(&mut firmware), [Progress::Answered(0), Progress::Handled(0)]);
    let (mut one, mut other) = ([0; 28], [0; 28]);
    assert_eq!(client.receive(&mut one), Ok(28));
    assert_eq!(settle(&mut firmware), [Progress::Answered(0)]);
    assert_eq!(client.receive(&mut other), Ok(28));
    assert_eq!(one[..8], other[..8]);
    assert_ne!(one[24..], other[24..], "random bytes are not given out twice");
}

#[test]
fn objects_outlive_a_power_cycle_and_cached_keys_do_not() {
    let device = VirtualDevice::new();
    let mut firmware = booted(&device);
    let mut one = client(&device, &mut firmware, 0);
    one.nvm_add(&object(5), b"object").unwrap();
    let flags = Flags::USAGE_ENCRYPT;
    let committed =
        one.key_cache(&NewKey { id: KeyId::from_u32(7), flags, label: "".into() }, &[1; 16]).unwrap();
    one.key_commit(committed).unwrap();
    let lost = one.key_cache(&NewKey { id: KeyId::from_u32(8), flags, label: "".into() }, &[2; 16]).unwrap();
    drop(one);
    let mut firmware = booted(&device);
    let mut other = client(&device, &mut firmware, 1);
    let mut out = [0; 6];
    other.nvm_read(ObjectId(5), &mut out).unwrap();
    assert_eq!(&out, b"object");
    let mut block = [0; 16];
    other.aes_ecb(Direction::Encrypt, Key::Id(committed), &mut block).unwrap();
    other.aes_ecb(Direction::Encrypt, Key::Id(lost), &mut block).unwrap_err();
}

#[test]
fn buffers_smaller_than_a_packet_are_found_at_boot() {
    let device = VirtualDevice::new();
    device.set_data_length(2000);
    let mut firmware = Device::new(device.port());
    let reason = Reason { step: Step::Server, cause: Cause::Buffer { needed: 2008, supplied: 1288 } };
    assert_eq!(firmware.boot_all(), Err(reason));
    assert_eq!(reason.to_string(), "step server: a packet buffer has 1288 bytes; a packet needs 2008");
    assert_safe(&device, &mut firmware, reason);
}

#[test]
fn a_configuration_out_of_range_is_found_at_boot() {
    let device = VirtualDevice::new();
    device.set_data_length(3);
    let mut firmware = Device::new(device.port());
    let reason = Reason { step: Step::Server, cause: Cause::Config(ConfigError::DataLength(3)) };
    assert_eq!(firmware.boot_all(), Err(reason));
    assert_safe(&device, &mut firmware, reason);
}

#[test]
fn an_engine_that_computes_wrongly_ends_in_the_safe_state() {
    for (fault, test) in [
        (EngineFault::AesDoesNothing, SelfTest::Aes128),
        (EngineFault::HashIsConstant, SelfTest::Sha256),
        (EngineFault::Fails, SelfTest::Sha256),
    ] {
        let device = VirtualDevice::new();
        device.engine_fault().set(Some(fault));
        let mut firmware = Device::new(device.port());
        let reason = Reason { step: Step::Crypto, cause: Cause::SelfTest(test) };
        assert_eq!(firmware.boot_all(), Err(reason), "{fault:?}");
        assert_safe(&device, &mut firmware, reason);
    }
}

#[test]
fn cores_are_released_for_a_good_image_only() {
    let device = VirtualDevice::new();
    let image = [0x42; 64];
    device.set_image(Some(&image));
    // No key, no image.
    let refused = Reason { step: Step::Images, cause: Cause::Image(0) };
    let mut firmware = Device::new(device.port());
    assert_eq!(firmware.boot_all(), Err(refused));
    assert_safe(&device, &mut firmware, refused);
    assert!(!device.calls().iter().any(|call| matches!(call, Call::Release(_))));

    device.set_image(None);
    let firmware = booted(&device);
    let key = [7; 16];
    let mut mac = [0; 16];
    cmac(&Software::new(NoHardware), &key, &[&image], &mut mac).unwrap();
    let stored = firmware.server().unwrap().with_store(|store| {
        let key_metadata = Metadata { flags: Flags::USAGE_VERIFY, ..object(IMAGE_KEY.0) };
        store.add(&key_metadata, &key)?;
        store.add(&object(IMAGE_MAC.0), &mac)
    });
    stored.unwrap().unwrap();

    device.set_image(Some(&image));
    booted(&device);
    assert!(device.is_running(0) && device.is_running(1));

    let mut changed = image;
    changed[63] ^= 1;
    device.set_image(Some(&changed));
    let mut firmware = Device::new(device.port());
    assert_eq!(firmware.boot_all(), Err(refused));
    assert_safe(&device, &mut firmware, refused);
}

#[test]
fn a_port_may_live_with_a_fault_of_its_flash() {
    let device = VirtualDevice::new();
    device.tolerate(Some(StoreFault::NotVerified));
    let mut firmware = booted(&device);
    let mut client = client(&device, &mut firmware, 0);
    device.flash_lie().set(Some(FlashLie::WritesAreLost));
    client.nvm_add(&object(2), b"lost").unwrap_err();
    device.flash_lie().set(None);
    client.nvm_add(&object(3), b"kept").unwrap();
    let mut out = [0; 4];
    client.nvm_read(ObjectId(3), &mut out).unwrap();
    assert_eq!(&out, b"kept");
    drop(client);
    assert_eq!(firmware.safe_state(), None);
}

#[test]
fn a_link_whose_client_is_known_takes_no_other() {
    let device = VirtualDevice::new();
    device.set_known_client(ClientId::new(12));
    let mut firmware = booted(&device);
    let mut other = INIT;
    other[8] = 11;
    let mut client = device.connect(0);
    let refused = exchange(&mut firmware, &mut client, &other);
    assert!(refused.is_none_or(|response| response.len() < 16));
    assert_eq!(firmware.client(0), None);
    let mut client = device.connect(0);
    assert_eq!(exchange(&mut firmware, &mut client, &INIT).unwrap().len(), 16);
    // Link 1 is not bound.
    let mut client = device.connect(1);
    assert_eq!(exchange(&mut firmware, &mut client, &other).unwrap().len(), 16);
}
