//! What one request costs inside the server: decoding, dispatch, policy and encoding around the work itself.
#![allow(missing_docs, reason = "a program")]

use casemate_testkit::server::{VirtualServer, VirtualSession};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

struct Bench {
    server: VirtualServer,
    session: VirtualSession,
    response: Vec<u8>,
}

fn packet(group: u8, action: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut packet = vec![1, 0xA5, action, group, 1, 0, 0, 0];
    packet.extend(parts.concat());
    packet
}

/// Scalars of 32 bits, little-endian.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Bench {
    fn new() -> Self {
        let server = VirtualServer::default();
        let session = server.session();
        let response = vec![0; server.server().packet_size()];
        let mut bench = Self { server, session, response };
        bench.handle(&packet(1, 1, &[&words(&[3])]));
        // Key 5, and counter 1.
        bench.handle(&packet(3, 0, &[&words(&[0x07E0, 16, 0, 5]), &[0; 24], &[5; 16]]));
        bench.handle(&packet(8, 0, &[&words(&[1, 1])]));
        bench
    }

    fn handle(&mut self, packet: &[u8]) -> usize {
        self.server.handle(&mut self.session, packet, &mut self.response).expect("a packet").length
    }
}

fn requests() -> Vec<(&'static str, usize, Vec<u8>)> {
    let crypto = |algorithm| words(&[algorithm, 0, 0]);
    let data = [0x42; 1024];
    vec![
        ("echo 16 bytes", 16, packet(1, 5, &[&[7; 16]])),
        ("counter read", 0, packet(8, 2, &[&words(&[1, 0])])),
        ("key cache 16 bytes", 0, packet(3, 0, &[&words(&[0x07E0, 16, 0, 6]), &[0; 24], &[5; 16]])),
        ("key export 16 bytes", 0, packet(3, 2, &[&words(&[5, 0])])),
        ("random 16 bytes", 16, packet(4, 4, &[&crypto(4), &words(&[16])])),
        (
            "AES-ECB 16 bytes by identifier",
            16,
            packet(4, 2, &[&crypto(13), &words(&[1, 0, 16, 5]), &data[..16]]),
        ),
        (
            "AES-ECB 16 bytes, inline key",
            16,
            packet(4, 2, &[&crypto(13), &words(&[1, 16, 16, 0]), &data[..32]]),
        ),
        ("echo 1 KiB", 1024, packet(1, 5, &[&data])),
        (
            "AES-GCM 1 KiB",
            1024,
            packet(4, 2, &[&crypto(3), &words(&[1, 0, 1024, 12, 0, 16, 5]), &data, &[0; 12]]),
        ),
        ("AES-CTR 1 KiB", 1024, packet(4, 2, &[&crypto(4), &words(&[1, 0, 1024, 0, 5]), &data, &[0; 32]])),
        ("AES-CBC 1 KiB", 1024, packet(4, 2, &[&crypto(2), &words(&[1, 0, 1024, 5]), &data, &[0; 16]])),
        ("SHA-256 1 KiB", 1024, packet(4, 1, &[&crypto(6), &words(&[0; 10]), &words(&[0, 1024]), &data])),
        ("CMAC 1 KiB", 1024, packet(4, 7, &[&crypto(7), &words(&[16, 1024, 0, 5]), &[0; 40], &data])),
        ("data wrap 16 bytes", 16, packet(3, 11, &[&words(&[16, 5 | 3 << 16]), &data[..16]])),
    ]
}

fn handle(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let mut group = criterion.benchmark_group("handle");
    for (name, bytes, packet) in requests() {
        bench.handle(&packet);
        // A refusal would be measured as an easy success.
        let status_offset = match packet[3] {
            4 => Some(12),
            1 => None,
            _ => Some(8),
        };
        if let Some(at) = status_offset {
            assert_eq!(bench.response[at..at + 4], [0; 4], "{name}");
        }
        if bytes >= 1024 {
            group.throughput(Throughput::Bytes(bytes as u64));
        }
        group.bench_function(name, |bencher| bencher.iter(|| bench.handle(black_box(&packet))));
    }
    group.finish();
}

criterion_group!(benches, handle);
criterion_main!(benches);
