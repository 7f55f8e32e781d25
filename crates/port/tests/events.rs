//! Any sequence of events: clients that come and go and send anything, cores that reset, links, flash, noise and hardware that
//! fail at any time. Whatever happens, nothing panics, a device in its safe state holds everything, and one that is not serves
//! a client that behaves.

use casemate_port::{Core, Fault, Firmware, Progress, Step};
use casemate_testkit::faults::{FlashLie, LinkFault, NoiseFault};
use casemate_testkit::port::{VirtualClient, VirtualDevice, VirtualPort};
use casemate_transport::ClientTransport;
use proptest::collection::vec;
use proptest::prelude::*;

const LINKS: usize = 3;
const INIT: [u8; 12] = [1, 0xA5, 1, 1, 1, 0, 0, 0, 12, 0, 0, 0];

#[derive(Debug, Clone)]
enum Event {
    Connect(usize),
    Disconnect(usize),
    Send(usize, Vec<u8>),
    Receive(usize),
    Poll(u8),
    CoreResets(u8),
    ResetCore(u8),
    Link(Option<LinkFault>),
    Flash(Option<FlashLie>),
    Noise(Option<NoiseFault>),
    Health(bool),
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(INIT.to_vec()),
        // A header of every group and action, and any payload.
        4 => (0_u8..12, 0_u8..16, vec(any::<u8>(), 0..80)).prop_map(|(group, action, payload)| {
            let mut packet = vec![1, 0xA5, action, group, 1, 0, 0, 0];
            packet.extend(payload);
            packet
        }),
        1 => vec(any::<u8>(), 8..100),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let link = 0..LINKS;
    prop_oneof![
        3 => link.clone().prop_map(Event::Connect),
        1 => link.clone().prop_map(Event::Disconnect),
        6 => (link.clone(), packet()).prop_map(|(link, packet)| Event::Send(link, packet)),
        3 => link.prop_map(Event::Receive),
        8 => (1_u8..8).prop_map(Event::Poll),
        1 => (0_u8..2).prop_map(Event::CoreResets),
        1 => (0_u8..2).prop_map(Event::ResetCore),
        1 => prop_oneof![
            Just(None),
            Just(Some(LinkFault::Repeats)),
            (0_usize..40).prop_map(|length| Some(LinkFault::Truncates(length))),
            any::<u8>().prop_map(|value| Some(LinkFault::Garbage(value))),
            (0_usize..3000).prop_map(|length| Some(LinkFault::Claims(length))),
            Just(Some(LinkFault::NeverSends)),
            Just(Some(LinkFault::Closes)),
            Just(Some(LinkFault::BadLength)),
        ].prop_map(Event::Link),
        1 => prop_oneof![
            4 => Just(None),
            1 => Just(Some(FlashLie::WritesAreLost)),
            1 => Just(Some(FlashLie::ReadsAreNoise)),
            1 => Just(Some(FlashLie::EverythingFails)),
        ].prop_map(Event::Flash),
        1 => prop_oneof![4 => Just(None), 1 => Just(Some(NoiseFault::Stuck(0)))].prop_map(Event::Noise),
        1 => prop_oneof![9 => Just(true), 1 => Just(false)].prop_map(Event::Health),
    ]
}

fn check(device: &VirtualDevice, firmware: &Firmware<VirtualPort, LINKS>) {
    match firmware.step() {
        None => {
            assert!(!device.is_any_running(), "{:?}", firmware.safe_state());
            assert!(firmware.server().is_none());
            assert!((0..LINKS).all(|link| firmware.client(link).is_none()));
        }
        Some(Step::Hardware) => {}
        Some(Step::Serve) => assert!(device.is_running(0) && device.is_running(1)),
        Some(step) => assert!(!device.is_any_running(), "in step {step}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_happens_the_device_is_safe_or_serves(events in vec(event(), 1..120)) {
        let device = VirtualDevice::new();
        let mut firmware = Firmware::<_, LINKS>::new(device.port());
        let mut clients: [Option<VirtualClient>; LINKS] = [None, None, None];
        for event in events {
            match event {
                Event::Connect(link) => clients[link] = Some(device.connect(link)),
                Event::Disconnect(link) => clients[link] = None,
                Event::Send(link, packet) => {
                    if let Some(client) = &mut clients[link] {
                        let _ = client.send(&packet);
                    }
                }
                Event::Receive(link) => {
                    if let Some(client) = &mut clients[link] {
                        let _ = client.receive(&mut [0; 1288]);
                    }
                }
                Event::Poll(times) => {
                    for _ in 0..times {
                        firmware.poll();
                        check(&device, &firmware);
                    }
                }
                Event::CoreResets(core) => device.reset_core(core),
                Event::ResetCore(core) => {
                    let _ = firmware.reset_core(Core(core));
                    check(&device, &firmware);
                }
                Event::Link(fault) => device.link_fault().set(fault),
                Event::Flash(lie) => device.flash_lie().set(lie),
                Event::Noise(fault) => device.noise_fault().set(fault),
                Event::Health(well) => device.set_health((!well).then_some(Fault::Device(1))),
            }
        }
        // All is well again: a device that serves answers a new client, and one that is safe stays so.
        device.link_fault().set(None);
        device.flash_lie().set(None);
        device.noise_fault().set(None);
        device.set_health(None);
        drop(clients);
        let _ = firmware.boot_all();
        let mut client = device.connect(0);
        for _ in 0..40 {
            firmware.poll();
        }
        check(&device, &firmware);
        // A link that was not closed when the client changed is opened anew only now.
        let is_sent = client.send(&INIT).is_ok();
        for _ in 0..40 {
            if let Progress::Safe(_) = firmware.poll() {
                break;
            }
        }
        let answered = client.receive(&mut [0; 64]) == Ok(16);
        prop_assert_eq!(answered, firmware.safe_state().is_none());
        prop_assert!(is_sent);
    }
}
