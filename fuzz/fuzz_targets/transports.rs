//! What a hostile peer can put before a transport: any bytes in the two blocks of shared memory at any moment, and any
//! stream of frames in any pieces. No panic, no packet outside the limits, no byte outside the caller's space; and after
//! the peer has come to its senses, packets pass.

#![no_main]

use arbitrary::Arbitrary;
use casemate_transport::{
    ClientTransport, FrameDecoder, LENGTH_PREFIX_SIZE, MemoryClient, MemoryServer, ServerTransport,
    SharedMemory, SharedRegion, TransportError,
};
use libfuzzer_sys::fuzz_target;
use std::sync::atomic::AtomicU32;

/// Two blocks of so many bytes.
const BLOCK: usize = 64;
const CAPACITY: usize = BLOCK - 8;

#[derive(Arbitrary, Debug)]
enum Step {
    /// The peer writes somewhere into both blocks.
    Write {
        offset: u8,
        bytes: Vec<u8>,
    },
    /// The peer announces something in the request block, or in the response block.
    Announce {
        response: bool,
        word: u32,
    },
    ServerReceives {
        space: u8,
    },
    ServerSends {
        length: u8,
    },
    ClientSends {
        length: u8,
    },
    ClientReceives {
        space: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Input {
    steps: Vec<Step>,
    stream: Vec<u8>,
    pieces: Vec<u8>,
}

fn memory(steps: &[Step]) {
    let words: [AtomicU32; 2 * BLOCK / 4] = std::array::from_fn(|_| AtomicU32::new(0));
    let all = SharedRegion::new(&words);
    let (request, response) = (all.part(0, BLOCK).unwrap(), all.part(BLOCK, BLOCK).unwrap());
    let mut client = MemoryClient::new(request, response).unwrap();
    let mut server = MemoryServer::new(request, response).unwrap();
    let check = |result: Result<usize, TransportError<_>>, space: usize, buffer: &[u8; 256]| {
        match result {
            Ok(length) => assert!((8..=CAPACITY.min(space)).contains(&length)),
            Err(TransportError::NotReady | TransportError::BadLength) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(buffer[space..].iter().all(|byte| *byte == 0xC3), "bytes outside the space");
    };
    for step in steps {
        let mut buffer = [0xC3; 256];
        match step {
            Step::Write { offset, bytes } => {
                let _ = all.write(usize::from(*offset), bytes);
            }
            Step::Announce { response: true, word } => response.store(0, *word).unwrap(),
            Step::Announce { response: false, word } => request.store(0, *word).unwrap(),
            Step::ServerReceives { space } => {
                let space = usize::from(*space);
                check(server.receive(&mut buffer[..space]), space, &buffer);
            }
            Step::ClientReceives { space } => {
                let space = usize::from(*space);
                check(client.receive(&mut buffer[..space]), space, &buffer);
            }
            Step::ServerSends { length } => {
                let _ = server.send(&buffer[..usize::from(*length)]);
            }
            Step::ClientSends { length } => {
                let _ = client.send(&buffer[..usize::from(*length)]);
            }
        }
    }
    // A new client on the same blocks; the server may have a request of the old one in hand.
    let mut buffer = [0; CAPACITY];
    let _ = server.send(&[0; 8]);
    let mut client = MemoryClient::new(request, response).unwrap();
    for round in 1..4_u8 {
        client.send(&[round; 20]).unwrap();
        assert_eq!(server.receive(&mut buffer), Ok(20));
        assert_eq!(buffer[..20], [round; 20]);
        server.send(&[!round; 30]).unwrap();
        assert_eq!(client.receive(&mut buffer), Ok(30));
        assert_eq!(buffer[..30], [!round; 30]);
    }
}

/// The packets of a stream, up to the first bad length, however it is cut.
fn frames(stream: &[u8], pieces: &[u8]) {
    let mut expected = Vec::new();
    let mut rest = stream;
    while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        if !(8..=CAPACITY).contains(&length) || behind.len() < length {
            break;
        }
        expected.push(&behind[..length]);
        rest = &behind[length..];
    }
    let mut decoder = FrameDecoder::new([0; CAPACITY + LENGTH_PREFIX_SIZE]);
    let mut found = 0;
    let mut left = stream;
    let mut pieces = pieces.iter().cycle();
    loop {
        match decoder.next_packet() {
            Ok(Some(packet)) => {
                assert_eq!(packet, expected[found]);
                found += 1;
            }
            Ok(None) => {
                let space = decoder.space();
                let piece = usize::from(pieces.next().copied().unwrap_or(255)).max(1);
                let count = piece.min(space.len()).min(left.len());
                if count == 0 {
                    break;
                }
                space[..count].copy_from_slice(&left[..count]);
                decoder.filled(count);
                left = &left[count..];
            }
            Err(_) => break,
        }
    }
    assert_eq!(found, expected.len());
}

fuzz_target!(|input: Input| {
    memory(&input.steps);
    frames(&input.stream, &input.pieces);
});
