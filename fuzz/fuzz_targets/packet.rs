//! Any packets, from two clients in turn, to a server: no panic, no byte of a response that was there before, and the
//! server serves on.
//!
//! The input is a sequence of packets, each after a byte for its session (lowest bit) and two for its length,
//! little-endian; a length beyond the input's end takes what is left. The first byte of all chooses the server's
//! configuration.

#![no_main]

use casemate_nvm::ObjectStore;
use casemate_protocol::message::crypto::{RequestHeader, action};
use casemate_protocol::message::public_key::{RsaKeyGenerationRequest, algorithm};
use casemate_protocol::{Flags, Group, Layout, Metadata, ObjectId, Packet};
use casemate_server::{CacheShape, Config, Isolation};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use libfuzzer_sys::fuzz_target;

const INIT: [[u8; 12]; 2] =
    [[1, 0xA5, 1, 1, 1, 0, 0, 0, 3, 0, 0, 0], [0xA5, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 4]];

/// The key-encryption key that the server's owner has provisioned for each client.
const KEK: [u8; 16] = *b"key encryption k";

fn server(isolation: Isolation) -> VirtualServer {
    let server = VirtualServer::new(VirtualOptions {
        config: Config { isolation, data_length: 1280, ..Config::default() },
        cache: CacheShape { small_slots: 3, small_size: 64, big_slots: 2, big_size: 512 },
        objects: 12,
        partition_size: 4096,
        ..VirtualOptions::default()
    });
    for id in [0x1340, 0x1440] {
        let metadata =
            Metadata { id: ObjectId(id), access: 0, flags: Flags(0x1205), length: 16, label: "kek".into() };
        server.store(|store| store.add(&metadata, &KEK)).expect("an empty store takes a key");
    }
    server
}

/// More would make inputs slow and find nothing more.
const MOST_PACKETS: usize = 100;

/// The largest RSA key that is made, in bits, and only one for each input: an instrumented program takes seconds for 4096 bits,
/// and one packet of fifty bytes asks for it.
const MOST_RSA_BITS: u32 = 1024;

/// The size of the RSA key that a packet asks for.
fn rsa_bits(packet: &[u8]) -> Option<u32> {
    let packet = Packet::decode(packet).ok()?;
    let (kind, order) = (packet.header.kind, packet.header.order);
    let (header, body) = RequestHeader::decode(packet.payload, order).ok()?;
    let is_generation = kind.group == Group::CRYPTO
        && kind.action == action::PUBLIC_KEY
        && header.algorithm == algorithm::RSA_KEY_GENERATION;
    let (request, _) = RsaKeyGenerationRequest::decode(body, order).ok().filter(|_| is_generation)?;
    // Larger ones are refused at once.
    (request.size <= 4096).then_some(request.size)
}

/// What no client may change or destroy, whatever it sends.
fn assert_kept(server: &VirtualServer) {
    for id in [0x1340, 0x1440] {
        let mut key = [0; 16];
        server.store(|store| store.read(ObjectId(id), 0, &mut key)).expect("a trusted key stays");
        assert_eq!(key, KEK, "a trusted key is not changed");
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&options, mut rest)) = input.split_first() else { return };
    let isolation = if options & 1 == 0 { Isolation::Strict } else { Isolation::Original };
    // Two equal servers whose response buffers hold different bytes must answer alike.
    let servers = [server(isolation), server(isolation)];
    let size = servers[0].server().packet_size();
    let mut sessions = servers.each_ref().map(|server| [server.session(), server.session()]);
    let mut buffers = [vec![0; size], vec![0xA7; size]];
    if options & 2 == 0 {
        for which in 0..2 {
            for (session, packet) in INIT.iter().enumerate() {
                let reply = servers[which].handle(&mut sessions[which][session], packet, &mut buffers[which]);
                assert_eq!(reply.expect("INIT is a packet").length, 16);
            }
        }
    }
    let (mut packets, mut rsa_keys) = (0, 0);
    while let Some((&[session, low, high], after)) = rest.split_first_chunk() {
        packets += 1;
        if packets > MOST_PACKETS {
            return;
        }
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (packet, after) = after.split_at(length);
        rest = after;
        if let Some(bits) = rsa_bits(packet) {
            rsa_keys += 1;
            if rsa_keys > 1 || bits > MOST_RSA_BITS {
                continue;
            }
        }
        let session = usize::from(session & 1);
        let replies = [0, 1].map(|which| {
            let reply = servers[which].handle(&mut sessions[which][session], packet, &mut buffers[which]);
            reply.ok().map(|reply| (reply.close, buffers[which][..reply.length].to_vec()))
        });
        assert_eq!(replies[0], replies[1], "the answer holds bytes that were in the buffer");
        match &replies[0] {
            Some((close, response)) => {
                assert_eq!(response[..8], packet[..8]);
                if *close {
                    for which in 0..2 {
                        sessions[which][session] = servers[which].session();
                    }
                }
            }
            None => assert!(
                packet.len() < 8 || packet.len() > size || !matches!(packet[..2], [1, 0xA5] | [0xA5, 1])
            ),
        }
        buffers[0].fill(0);
        buffers[1].fill(0xA7);
        if isolation == Isolation::Strict {
            assert_kept(&servers[0]);
        }
    }
});
