//! Any bytes at any point of a session: no panic, no response beyond its limits, no byte of a response that was there
//! before. And the same requests in either byte order have the same effect.

mod common;

use casemate_protocol::{ByteOrder, Flags, Metadata, ObjectId};
use casemate_server::{Config, Isolation};
use casemate_testkit::server::{VirtualOptions, VirtualServer, VirtualSession};
use common::{MESSAGES, bytes};
use proptest::prelude::*;
use proptest::sample::Index;

/// A packet of one of the two sessions.
#[derive(Debug, Clone)]
struct Sent {
    second: bool,
    packet: Vec<u8>,
}

fn template(index: usize) -> (u8, u8, Vec<u8>) {
    let (group, action, payload, _) = MESSAGES[index];
    (group, action, bytes(payload))
}

fn packet(order: ByteOrder, group: u8, action: u8, payload: &[u8]) -> Vec<u8> {
    let head = match order {
        ByteOrder::Little => [1, 0xA5, action, group, 7, 0, 0, 0],
        ByteOrder::Big => [0xA5, 1, group, action, 0, 7, 0, 0],
    };
    [&head[..], payload].concat()
}

/// Numbers that stand for something in messages.
fn interesting() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..20,
        prop::sample::select(vec![
            0x10,
            0x20,
            0x40,
            0x7F,
            0x80,
            0xFF,
            0x0105,
            0x0205,
            0x0305,
            0x0405,
            0x1305,
            0x1405,
            0x1340,
            0x3301,
            0x4308,
            0x07E0,
            0x0620,
            0x1000,
            0xFFFF,
            0x10005,
            8152,
            8160,
            8176,
            8188,
            8192,
            0x7FFF_FFFF,
            0xFFFF_FFF0,
            0xFFFF_FFFF,
        ]),
        any::<u64>(),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let order = prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)];
    let noise = prop::collection::vec(any::<u8>(), 0..64);
    let long_noise = (8100_usize..8300, any::<u8>()).prop_map(|(length, fill)| vec![fill; length]);
    let framed = (
        order,
        0_u8..15,
        0_u8..20,
        prop_oneof![prop::collection::vec(any::<u8>(), 0..400), long_noise.clone()],
    )
        .prop_map(|(order, group, action, payload)| packet(order, group, action, &payload));
    let bent = (
        0..MESSAGES.len(),
        prop::collection::vec((any::<Index>(), interesting(), 1_usize..5), 0..4),
        prop_oneof![4 => Just(None), 1 => any::<Index>().prop_map(Some)],
        prop_oneof![4 => Just(0_usize), 1 => 0_usize..40],
    )
        .prop_map(|(index, changes, cut, more)| {
            let (group, action, mut payload) = template(index);
            for (at, number, width) in changes {
                if !payload.is_empty() {
                    // Fields stand at even offsets, most of them within the first bytes.
                    let at = at.index(payload.len().min(70)) & !1;
                    for (byte, new) in payload[at..].iter_mut().zip(number.to_le_bytes()).take(width) {
                        *byte = new;
                    }
                }
            }
            if let Some(cut) = cut {
                payload.truncate(cut.index(payload.len() + 1));
            }
            payload.extend(vec![0x5A; more]);
            packet(ByteOrder::Little, group, action, &payload)
        });
    let valid = (0..MESSAGES.len()).prop_map(|index| {
        let (group, action, payload) = template(index);
        packet(ByteOrder::Little, group, action, &payload)
    });
    (any::<bool>(), prop_oneof![1 => noise, 1 => long_noise, 3 => framed, 8 => bent, 5 => valid])
        .prop_map(|(second, packet)| Sent { second, packet })
}

fn server(isolation: Isolation) -> VirtualServer {
    let server = VirtualServer::new(VirtualOptions {
        config: Config { isolation, ..Config::default() },
        partition_size: 16 * 1024,
        ..VirtualOptions::default()
    });
    let metadata =
        Metadata { id: ObjectId(0x1340), access: 0, flags: Flags(0x1200), length: 16, label: "kek".into() };
    server.store(|store| casemate_nvm::ObjectStore::add(store, &metadata, &[4; 16])).unwrap();
    server
}

/// Handles a packet in a buffer that holds `fill`.
fn handle(
    server: &VirtualServer,
    session: &mut VirtualSession,
    packet: &[u8],
    fill: u8,
) -> Option<(Vec<u8>, bool)> {
    let mut buffer = vec![fill; server.server().packet_size()];
    let reply = server.handle(session, packet, &mut buffer).ok()?;
    assert!((8..=buffer.len()).contains(&reply.length), "{} bytes", reply.length);
    assert_eq!(buffer[..8], packet[..8], "the header comes back");
    buffer.truncate(reply.length);
    Some((buffer, reply.close))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two equal servers with different bytes in their response buffers give the same answers throughout.
    #[test]
    fn answers_depend_on_nothing_but_the_session(
        strict: bool,
        init: bool,
        sequence in prop::collection::vec(sent(), 1..40),
    ) {
        let isolation = if strict { Isolation::Strict } else { Isolation::Original };
        let servers = [server(isolation), server(isolation)];
        let mut sessions = servers.each_ref().map(|server| [server.session(), server.session()]);
        if init {
            for (server, sessions) in servers.iter().zip(&mut sessions) {
                handle(server, &mut sessions[0], &packet(ByteOrder::Little, 1, 1, &[3, 0, 0, 0]), 0);
                handle(server, &mut sessions[1], &packet(ByteOrder::Big, 1, 1, &[0, 0, 0, 4]), 0);
            }
        }
        for Sent { second, packet } in sequence {
            let [first, other] = [(0, 0x00), (1, 0xA7)].map(|(which, fill)| {
                handle(&servers[which], &mut sessions[which][usize::from(second)], &packet, fill)
            });
            prop_assert_eq!(first, other);
        }
        // The servers still serve.
        let echo = packet(ByteOrder::Little, 1, 5, b"echo");
        let mut session = servers[0].session();
        prop_assert_eq!(handle(&servers[0], &mut session, &echo, 1), Some((echo, false)));
    }

    /// A request and its big-endian twin, to two equal servers: the answers are twins too.
    #[test]
    fn both_byte_orders_have_the_same_effect(
        sequence in prop::collection::vec(
            (0..MESSAGES.len(), prop::collection::vec((any::<Index>(), interesting()), 0..3)),
            1..40,
        ),
    ) {
        let servers = [server(Isolation::Strict), server(Isolation::Strict)];
        let mut sessions = servers.each_ref().map(VirtualServer::session);
        let init = [3, 0, 0, 0];
        handle(&servers[0], &mut sessions[0], &packet(ByteOrder::Little, 1, 1, &init), 0);
        handle(&servers[1], &mut sessions[1], &packet(ByteOrder::Little, 1, 1, &init), 0);
        for (index, changes) in sequence {
            let (group, action, mut payload) = template(index);
            let widths = request_fields(group, action, payload.first().copied().unwrap_or(0));
            // How many roots there are decides where the rest stands.
            let changes = if (group, action) == (12, 6) { Vec::new() } else { changes };
            for (which, number) in changes {
                if let Some(field) = (!widths.is_empty()).then(|| which.index(widths.len())) {
                    let at: usize = widths[..field].iter().map(Width::size).sum();
                    let field = payload[at..].iter_mut().take(widths[field].size());
                    for (byte, new) in field.zip(number.to_le_bytes()) {
                        *byte = new;
                    }
                }
            }
            let algorithm = payload.first().copied().unwrap_or(0);
            let little = packet(ByteOrder::Little, group, action, &payload);
            let widths = request_fields(group, action, algorithm);
            let big = packet(ByteOrder::Big, group, action, &swap(&payload, &widths));
            let (expected, _) = handle(&servers[0], &mut sessions[0], &little, 0).unwrap();
            let (got, _) = handle(&servers[1], &mut sessions[1], &big, 0).unwrap();
            let last = group == 4 && action == 1 && is_last(&payload);
            let widths = response_fields(group, action, algorithm, last);
            prop_assert_eq!(swap(&got[8..], &widths), &expected[8..], "{} {}", group, action);
        }
    }
}

/// A field of a message: a scalar of so many bytes, or a string of bytes.
#[derive(Debug, Clone, Copy)]
enum Width {
    Scalar(usize),
    Bytes(usize),
}
use Width::{Bytes, Scalar};

impl Width {
    const fn size(&self) -> usize {
        match self {
            Scalar(size) | Bytes(size) => *size,
        }
    }
}

fn scalars(sizes: &[usize]) -> Vec<Width> {
    sizes.iter().map(|&size| Scalar(size)).collect()
}

fn swap(payload: &[u8], widths: &[Width]) -> Vec<u8> {
    let mut swapped = payload.to_vec();
    let mut rest = swapped.as_mut_slice();
    for width in widths {
        let Some((field, after)) = rest.split_at_mut_checked(width.size()) else { break };
        if let Scalar(_) = width {
            field.reverse();
        }
        rest = after;
    }
    swapped
}

fn is_last(payload: &[u8]) -> bool {
    let at = match payload[0] {
        5 | 6 => 12 + 40,
        7 | 8 => 12 + 76,
        _ => 12,
    };
    payload.get(at..at + 4).is_some_and(|last| last != [0; 4])
}

/// The fields of a request, from the tables of the protocol reference.
fn request_fields(group: u8, action: u8, algorithm: u8) -> Vec<Width> {
    let crypto = |body: &[Width]| [&scalars(&[4, 4, 4]), body].concat();
    match (group, action) {
        (1, 1) | (2, 1) => scalars(&[4]),
        (2, 4) => scalars(&[2, 2, 2, 2]),
        (2, 5 | 8) => scalars(&[2, 2, 2]),
        (2, 6) => scalars(&[2]),
        (2, 7) => scalars(&[2; 20]),
        (3, 0) => scalars(&[4, 4, 4, 2]),
        (3, 15) => scalars(&[4, 4, 2, 2]),
        (3, 1..=5) => scalars(&[2]),
        (3, 13) => scalars(&[2, 2]),
        (3, 8) => scalars(&[2; 7]),
        (3, 16) => scalars(&[2; 4]),
        (3, 9 | 10) => scalars(&[2, 2, 2]),
        (3, 11 | 12) => scalars(&[4, 2, 2]),
        (8, 0) => scalars(&[4, 2]),
        (8, _) => scalars(&[2]),
        (7, 1 | 2 | 11..=14) => scalars(&[4]),
        (7, 15) => scalars(&[4, 4]),
        (7, 16) => scalars(&[4, 4, 4]),
        (4, 1) => match algorithm {
            5 | 6 => crypto(&scalars(&[4; 12])),
            7 | 8 => crypto(&scalars(&[&[4; 2][..], &[8; 8], &[4; 3]].concat())),
            10..=13 => crypto(&scalars(&[&[4; 2][..], &[8; 25]].concat())),
            _ => crypto(&[]),
        },
        (4, 2) => match algorithm {
            2 | 13 => crypto(&scalars(&[4, 4, 4, 2])),
            4 => crypto(&scalars(&[4, 4, 4, 4, 2])),
            3 => crypto(&scalars(&[4, 4, 4, 4, 4, 4, 2])),
            _ => crypto(&[]),
        },
        (4, 4) => crypto(&scalars(&[4])),
        (4, 7) => crypto(&[&scalars(&[4, 4, 4, 2]), &[Bytes(2), Bytes(32)][..], &scalars(&[4, 4])].concat()),
        (4, 9) => crypto(&scalars(&[4; 8])),
        (10, _) => scalars(&[4, 4]),
        (12, 2) => scalars(&[4, 2, 2, 2]),
        (12, 3 | 4) => scalars(&[2]),
        (12, 5) => scalars(&[4, 2, 2, 2, 2]),
        (12, 6) => [&scalars(&[4, 2, 2, 2, 2])[..], &[Bytes(4)], &scalars(&[2, 2])].concat(),
        (12, 0x26) => scalars(&[4, 2]),
        _ => vec![],
    }
}

/// The fields of a response.
fn response_fields(group: u8, action: u8, algorithm: u8, last: bool) -> Vec<Width> {
    let crypto = |body: &[Width]| [&scalars(&[4, 4, 4]), body].concat();
    match (group, action) {
        (1, 1) => scalars(&[4, 4]),
        (1, 4) => scalars(&[4; 12]),
        (2, 1) => scalars(&[4, 4, 4]),
        (2, 3) => scalars(&[4, 4, 4, 2, 2]),
        (2, 5) => scalars(&[4, 2, 2]),
        (2, 6) => scalars(&[4, 2, 2, 2, 2]),
        (3, 0 | 15) => scalars(&[4, 2]),
        (3, 2 | 13) => scalars(&[4, 4]),
        (3, 8 | 10 | 16) => scalars(&[4, 2, 2]),
        (3, 9) => scalars(&[4, 2, 2, 2, 2, 2, 2]),
        (3, 11 | 12) => scalars(&[4, 4, 2]),
        (8, _) => scalars(&[4, 4]),
        (12, 4) => scalars(&[4, 4]),
        (12, 5 | 6) => scalars(&[4, 2]),
        (12, _) => scalars(&[4]),
        (7, 1..=3 | 8 | 10..=14) => scalars(&[4, 4]),
        (2 | 3 | 7 | 13, _) => scalars(&[4]),
        (4, 1) => match (algorithm, last) {
            (5..=8, true) => crypto(&[Scalar(4), Scalar(4), Bytes(64), Scalar(4)]),
            (5 | 6, false) => crypto(&[&scalars(&[4; 10]), &[Bytes(32), Scalar(4)][..]].concat()),
            (7 | 8, false) => crypto(&scalars(&[&[4; 2][..], &[8; 8], &[4]].concat())),
            _ => crypto(&scalars(&[8; 25])),
        },
        (4, 2) if matches!(algorithm, 3 | 4) => crypto(&scalars(&[4, 4])),
        (4, 2 | 4) => crypto(&scalars(&[4])),
        (4, 7) => crypto(&[&[Bytes(32)][..], &scalars(&[4, 4, 4, 2])].concat()),
        (4, 9) => crypto(&scalars(&[4, 4])),
        _ => vec![],
    }
}
