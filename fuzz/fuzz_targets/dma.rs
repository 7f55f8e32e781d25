//! Any messages about data in client memory, also memory that changes while the server works on it: no panic; nothing is
//! read or written but buffers that were opened and that the allow list admits, and all of them are closed again; no
//! response depends on what was in the server's memory, nothing is left there, and what no client may change stays.
//!
//! The input is a sequence of messages. Each is the number of a kind in the table below, how many bytes follow its fixed
//! part, how many fields are set, and the fields: the place in units of four bytes, and two bytes little-endian. All else is
//! zero. The first byte of all says whether the memory changes, and the next two what lies in it.

#![no_main]

use casemate_nvm::ObjectStore;
use casemate_protocol::message::custom::CustomMessage;
use casemate_protocol::{Flags, Metadata, ObjectId};
use casemate_server::{
    Access, AddressRange, AllowList, CacheShape, ClientMemory, ClientWindow, Config, CustomAnswer,
    CustomCall, MemoryError,
};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use libfuzzer_sys::fuzz_target;

/// Group, action, algorithm or type (0xFF: the message has none), size of the fixed part.
const KINDS: [(u8, u8, u8, usize); 30] = [
    (2, 0x24, 0xFF, 24),
    (2, 0x28, 0xFF, 16),
    (3, 6, 0xFF, 56),
    (3, 7, 0xFF, 24),
    (3, 14, 0xFF, 24),
    (12, 0x22, 0xFF, 48),
    (12, 0x24, 0xFF, 16),
    (12, 0x25, 0xFF, 24),
    (12, 0x27, 0xFF, 24),
    (12, 0x28, 0xFF, 40),
    (CRYPTO_DMA, 4, 0, 16),
    (CRYPTO_DMA, 2, 2, 48),
    (CRYPTO_DMA, 2, 3, 72),
    (CRYPTO_DMA, 2, 4, 48),
    (CRYPTO_DMA, 2, 13, 48),
    (CRYPTO_DMA, 1, 6, 64),
    (CRYPTO_DMA, 1, 5, 64),
    (CRYPTO_DMA, 1, 7, 104),
    (CRYPTO_DMA, 1, 8, 104),
    (CRYPTO_DMA, 1, 11, 224),
    (CRYPTO_DMA, 7, 0, 72),
    (CRYPTO_DMA, 3, 6, 64),
    (CRYPTO_DMA, 3, 14, 64),
    (CRYPTO_DMA, 3, 21, 64),
    (CRYPTO_DMA, 3, 22, 56),
    (CRYPTO_DMA, 3, 23, 56),
    (CRYPTO_DMA, 3, 18, 64),
    (CRYPTO_DMA, 3, 19, 32),
    (CRYPTO_DMA, 3, 20, 32),
    (CUSTOM, 0, 0xFF, 264),
];
const CRYPTO_DMA: u8 = 11;
const CUSTOM: u8 = 10;

const AREA: usize = 4096;
/// More would make inputs slow and find nothing more.
const MOST_MESSAGES: usize = 24;
const READABLE: [AddressRange; 1] = [AddressRange::new(0, 3072)];
const WRITABLE: [AddressRange; 1] = [AddressRange::new(1024, 3072)];
const KEPT: ObjectId = ObjectId(0x1340);

/// Memory that insists on the rules, and changes what was read if it is hostile.
#[derive(Clone, PartialEq)]
struct Guarded {
    bytes: Vec<u8>,
    opened: Vec<(AddressRange, bool)>,
    hostile: bool,
}

impl Guarded {
    fn range(&self, address: u64, length: usize, writes: bool) -> std::ops::Range<usize> {
        let range = AddressRange::new(address, length as u64);
        let is_open = |&(opened, access): &(AddressRange, bool)| access == writes && opened.contains(range);
        assert!(length == 0 || self.opened.iter().any(is_open), "{range:?} was not opened");
        let listed = if writes { WRITABLE } else { READABLE };
        assert!(length == 0 || listed[0].contains(range), "{range:?} is not on the list");
        let start = usize::try_from(address).expect("it was opened");
        start..start + length
    }
}

impl ClientMemory for Guarded {
    fn open(&mut self, range: AddressRange, access: Access) -> Result<u64, MemoryError> {
        if !AddressRange::new(0, AREA as u64).contains(range) {
            return Err(MemoryError::OutOfRange);
        }
        self.opened.push((range, access == Access::Write));
        Ok(range.address)
    }
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        let range = self.range(address, to.len(), false);
        to.copy_from_slice(&self.bytes[range.clone()]);
        if self.hostile {
            for byte in &mut self.bytes[range] {
                *byte = byte.wrapping_mul(5).wrapping_add(1);
            }
        }
        Ok(())
    }
    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        let range = self.range(address, from.len(), true);
        self.bytes[range].copy_from_slice(from);
        Ok(())
    }
    fn close(&mut self, range: AddressRange, access: Access) {
        let opened = (range, access == Access::Write);
        let place = self.opened.iter().position(|found| *found == opened).expect("it was opened");
        self.opened.swap_remove(place);
    }
}

/// Inverts the client's buffer.
fn invert(call: &mut CustomCall<'_>) -> CustomAnswer {
    let (address, length) = match *call.message() {
        CustomMessage::Dma32(words) => (u64::from(words.client_address), u64::from(words.client_size)),
        CustomMessage::Dma64(words) => (words.client_address, words.client_size),
        _ => return CustomAnswer::number(1),
    };
    let mut data = vec![0; usize::try_from(length.min(512)).expect("a short buffer")];
    let read = call.read(address, &mut data);
    data.iter_mut().for_each(|byte| *byte = !*byte);
    let written = call.write(address, &data);
    CustomAnswer { returned: i32::from(read.is_ok() && written.is_ok()), message: *call.message() }
}

fn server() -> VirtualServer {
    let mut server = VirtualServer::new(VirtualOptions {
        config: Config { data_length: 1280, ..Config::default() },
        cache: CacheShape { small_slots: 3, small_size: 64, big_slots: 2, big_size: 4096 },
        objects: 12,
        partition_size: 32 * 1024,
        ..VirtualOptions::default()
    });
    server.register(0, invert);
    for (id, flags) in [(KEPT, 0x1205), (ObjectId(0x1341), 0x07E0)] {
        let metadata = Metadata { id, access: 0, flags: Flags(flags), length: 16, label: "key".into() };
        server.store(|store| store.add(&metadata, &[0x55; 16])).expect("an empty store takes a key");
    }
    server
}

/// The next message, as a packet.
fn next_packet(input: &mut &[u8]) -> Option<Vec<u8>> {
    let (&[kind, more, fields], mut rest) = input.split_first_chunk()?;
    let (group, action, algorithm, size) = KINDS[usize::from(kind) % KINDS.len()];
    let mut packet = vec![1, 0xA5, action, group, 1, 0, 0, 0];
    if algorithm != 0xFF {
        packet.extend([algorithm, 0, 0, 0]);
        // ML-DSA and ML-KEM are number 1 of their kinds.
        packet.extend([u8::from(algorithm >= 18 && group == CRYPTO_DMA && action == 3), 0, 0, 0]);
        packet.extend([0; 4]);
    }
    let start = packet.len();
    packet.resize(start + size + usize::from(more), 0);
    for _ in 0..fields {
        let (&[place, low, high], after) = rest.split_first_chunk()?;
        rest = after;
        if let Some(field) =
            packet.get_mut(start + 4 * usize::from(place)..).and_then(|part| part.get_mut(..2))
        {
            field.copy_from_slice(&[low, high]);
        }
    }
    *input = rest;
    Some(packet)
}

fuzz_target!(|input: &[u8]| {
    let Some((&[hostile, factor, start], mut rest)) = input.split_first_chunk() else { return };
    let bytes = (0..AREA).map(|index| (index as u8).wrapping_mul(factor).wrapping_add(start)).collect();
    let memory = Guarded { bytes, opened: Vec::new(), hostile: hostile & 1 != 0 };
    // Two equal servers whose buffers hold different bytes must act alike.
    let servers = [server(), server()];
    let mut memories = [memory.clone(), memory];
    let mut sessions = servers.each_ref().map(VirtualServer::session);
    let size = servers[0].server().packet_size();
    for which in 0..2 {
        let init = [1, 0xA5, 1, 1, 1, 0, 0, 0, 3, 0, 0, 0];
        servers[which].request(&mut sessions[which], &init).expect("INIT is a packet");
    }
    for _ in 0..MOST_MESSAGES {
        let Some(packet) = next_packet(&mut rest).filter(|packet| packet.len() <= size) else { return };
        let answers = [0_u8, 0xA7].map(|fill| {
            let which = usize::from(fill != 0);
            let mut response = vec![fill; size];
            let mut scratch = vec![fill; 3000];
            let mut allowed = AllowList::new(&mut memories[which], &READABLE, &WRITABLE);
            let window = ClientWindow { memory: &mut allowed, scratch: &mut scratch };
            let server = servers[which].server();
            let reply = server
                .handle_with_window(&mut sessions[which], window, &packet, &mut response)
                .expect("a packet");
            response.truncate(reply.length);
            assert!(memories[which].opened.is_empty(), "something was not closed");
            let is_clean = |byte: u8| scratch.iter().all(|found| *found == byte);
            assert!(is_clean(0) || is_clean(fill), "something was left in the scratch memory");
            response
        });
        assert_eq!(answers[0], answers[1], "the answer depends on what was in the server's memory");
        assert!(memories[0] == memories[1], "what was written depends on what was in the server's memory");
        let mut key = [0; 16];
        servers[0].store(|store| store.read(KEPT, 0, &mut key)).expect("a trusted key stays");
        assert_eq!(key, [0x55; 16], "a trusted key is not changed");
    }
});
