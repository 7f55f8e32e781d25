//! SHE commands, well-formed and not, from two sessions of one client. Whatever they are: two equal servers whose
//! response buffers hold different bytes answer alike, a key changes only by an update that was acknowledged, its
//! counter only grows, and a write-protected key never changes.

#![no_main]

use arbitrary::Arbitrary;
use casemate_crypto::she::{Counter, KeyNumber, KeyUpdate, UpdateFlags};
use casemate_crypto::{NoRandom, Software};
use casemate_nvm::ObjectStore;
use casemate_protocol::message::she::{SlotFlags, SlotLabel, action};
use casemate_protocol::{Metadata, ObjectId};
use casemate_server::{CacheShape, Config, SheBoot, SheOptions, SheRules, SheScope};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use libfuzzer_sys::fuzz_target;

const UID: [u8; 15] = [7; 15];

#[derive(Arbitrary, Debug)]
struct Update {
    key: u8,
    authorizing: u8,
    counter: u8,
    flags: u8,
    wildcard: bool,
    old: u8,
    new: u8,
    flip: Option<u16>,
}

#[derive(Arbitrary, Debug)]
enum Command {
    SetUid,
    Boot { size: u8, part: Vec<u8> },
    Finish,
    Load(Update),
    Plain(u8),
    Export,
    InitRandom,
    Random,
    Extend(u8),
    Raw { action: u8, payload: Vec<u8> },
}

#[derive(Arbitrary, Debug)]
struct Input {
    standard: bool,
    final_boot: bool,
    per_session: bool,
    /// Keys there are from the start: slot, key, counter, flags.
    provisioned: Vec<(u8, u8, u8, u8)>,
    commands: Vec<(bool, Command)>,
}

/// One of a few keys, so that updates often fit.
const fn key(number: u8) -> [u8; 16] {
    [number & 3; 16]
}

impl Command {
    fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Self::SetUid => (action::SET_UID, [&UID[..], &[0]].concat()),
            Self::Boot { size, part } if part.is_empty() => {
                (action::SECURE_BOOT_INIT, vec![*size, 0, 0, 0, 0, 0, 0, 0])
            }
            Self::Boot { part, .. } => {
                let length = u32::try_from(part.len()).unwrap_or(0).to_le_bytes();
                (action::SECURE_BOOT_UPDATE, [&length[..], &[0; 4], part].concat())
            }
            Self::Finish => (action::SECURE_BOOT_FINISH, vec![]),
            Self::Load(update) => {
                let sealed = KeyUpdate {
                    uid: if update.wildcard { [0; 15] } else { UID },
                    key: KeyNumber::new(update.key & 15).expect("four bits"),
                    authorizing_key: KeyNumber::new(update.authorizing & 15).expect("four bits"),
                    counter: Counter::new(update.counter.into()).expect("eight bits"),
                    flags: UpdateFlags::from_bits(update.flags & 31).expect("five bits"),
                }
                .seal(&Software::new(NoRandom), &key(update.old), &key(update.new))
                .expect("the software has AES");
                let mut payload = [&sealed.m1[..], &sealed.m2, &sealed.m3].concat();
                if let Some(bit) = update.flip {
                    payload[usize::from(bit / 8) % 64] ^= 1 << (bit % 8);
                }
                (action::LOAD_KEY, payload)
            }
            Self::Plain(number) => (action::LOAD_PLAIN_KEY, key(*number).to_vec()),
            Self::Export => (action::EXPORT_RAM_KEY, vec![]),
            Self::InitRandom => (action::INIT_RANDOM, vec![]),
            Self::Random => (action::RANDOM, vec![]),
            Self::Extend(byte) => (action::EXTEND_SEED, vec![*byte; 16]),
            Self::Raw { action, payload } => (*action, payload.clone()),
        }
    }
}

fn server(input: &Input) -> VirtualServer {
    let she = SheOptions {
        rules: if input.standard { SheRules::Standard } else { SheRules::Original },
        boot: if input.final_boot { SheBoot::Final } else { SheBoot::Repeatable },
        scope: if input.per_session { SheScope::Session } else { SheScope::Server },
        ..SheOptions::default()
    };
    let server = VirtualServer::new(VirtualOptions {
        config: Config { she, data_length: 1280, ..Config::default() },
        cache: CacheShape { small_slots: 2, small_size: 32, big_slots: 0, big_size: 0 },
        objects: 18,
        partition_size: 4096,
        ..VirtualOptions::default()
    });
    for &(slot, number, counter, flags) in input.provisioned.iter().take(8) {
        let label = SlotLabel { counter: counter.into(), flags: SlotFlags(flags.into()) };
        let metadata = Metadata {
            id: ObjectId(0x2300 | u16::from(slot & 15)),
            length: 16,
            label: label.into_label(&Default::default()),
            ..Metadata::default()
        };
        server.store(|store| store.add_with_reclaim(&metadata, &key(number))).expect("there is room");
    }
    server
}

type Slots = [Option<(SlotLabel, [u8; 16])>; 16];

fn slots(server: &VirtualServer) -> Slots {
    core::array::from_fn(|slot| {
        let id = ObjectId(0x2300 | u16::try_from(slot).unwrap_or(0));
        server.store(|store| {
            let metadata = store.metadata(id).ok()?;
            let mut key = [0; 16];
            store.read(id, 0, &mut key).expect("what has metadata can be read");
            Some((SlotLabel::from_label(&metadata.label), key))
        })
    })
}

fuzz_target!(|input: Input| {
    let servers = [server(&input), server(&input)];
    let protection = SlotFlags(if input.standard { 0x80 } else { 0x01 });
    let size = servers[0].server().packet_size();
    let mut sessions = servers.each_ref().map(|server| [server.session(), server.session()]);
    let mut before = slots(&servers[0]);
    for session in 0..2 {
        for which in 0..2 {
            let init = [1, 0xA5, 1, 1, 1, 0, 0, 0, 3, 0, 0, 0];
            servers[which].request(&mut sessions[which][session], &init).expect("INIT is a packet");
        }
    }
    for (second, command) in input.commands.iter().take(64) {
        let (action, mut payload) = command.encode();
        payload.truncate(1280);
        let packet = [&[1, 0xA5, action, 7, 0, 0, 0, 0][..], &payload].concat();
        let [first, other] = [(0, 0_u8), (1, 0xA7)].map(|(which, fill)| {
            let mut buffer = vec![fill; size];
            let session = &mut sessions[which][usize::from(*second)];
            let reply = servers[which].handle(session, &packet, &mut buffer).expect("it is a packet");
            buffer.truncate(reply.length);
            buffer
        });
        assert_eq!(first, other, "the answer holds bytes that were in the buffer");
        assert_eq!(first.len() > 8, action <= action::VERIFY_MAC, "every command has an answer");
        let succeeded = first.get(8..12) == Some(&[0; 4]);
        let after = slots(&servers[0]);
        for (slot, (old, new)) in before.iter().zip(&after).enumerate() {
            if old == new {
                continue;
            }
            if slot == 15 && matches!(action, action::INIT_RANDOM | action::EXTEND_SEED) {
                assert_eq!(old.map(|(label, _)| label), new.map(|(label, _)| label));
                continue;
            }
            assert!(succeeded && action == action::LOAD_KEY, "slot {slot} changed by action {action}");
            let (new, _) = new.expect("no command empties a slot");
            if let Some((old, _)) = old {
                assert!(new.counter > old.counter, "slot {slot}: the counter grows");
                assert!(!old.flags.contains(protection), "slot {slot} is write-protected");
            }
        }
        before = after;
    }
});
