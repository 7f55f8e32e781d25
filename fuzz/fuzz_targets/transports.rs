//! What a hostile peer can put before a transport: any bytes in the two blocks of shared memory at any moment, and any
//! stream of frames in any pieces. No panic, no packet outside the limits, no byte outside the caller's space; and after
//! the peer has come to its senses, packets pass.

#![no_main]

#[path = "../../crates/transport/tests/common/hostile.rs"]
mod hostile;

use arbitrary::{Arbitrary, Unstructured};
use casemate_transport::{FrameDecoder, LENGTH_PREFIX_SIZE};
use hostile::{CAPACITY, Step, memory};
use libfuzzer_sys::fuzz_target;

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(match input.int_in_range(0..=5)? {
            0 => Self::Write { offset: input.arbitrary()?, bytes: input.arbitrary()? },
            1 => Self::Announce { response: input.arbitrary()?, word: input.arbitrary()? },
            2 => Self::ServerReceives { space: input.arbitrary()? },
            3 => Self::ServerSends { length: input.arbitrary()? },
            4 => Self::ClientSends { length: input.arbitrary()? },
            _ => Self::ClientReceives { space: input.arbitrary()? },
        })
    }
}

#[derive(Arbitrary, Debug)]
struct Input {
    steps: Vec<Step>,
    stream: Vec<u8>,
    pieces: Vec<u8>,
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
