//! Framing over every way a stream can be cut.

use casemate_transport::{FrameDecoder, FrameEncoder, FrameError, LENGTH_PREFIX_SIZE};
use proptest::prelude::*;

const MAXIMUM: usize = 96;
const STORAGE: usize = MAXIMUM + LENGTH_PREFIX_SIZE;

fn stream_of(packets: &[Vec<u8>]) -> Vec<u8> {
    let frame =
        |packet: &Vec<u8>| [&u32::try_from(packet.len()).unwrap().to_be_bytes(), &packet[..]].concat();
    packets.iter().flat_map(frame).collect()
}

/// Feeds `stream` in reads of the given sizes (cycled) and collects what comes out.
fn decode(stream: &[u8], reads: &[usize]) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut decoder = FrameDecoder::new([0; STORAGE]);
    let mut packets = Vec::new();
    let mut rest = stream;
    let mut reads = reads.iter().cycle();
    loop {
        while let Some(packet) = decoder.next_packet()? {
            packets.push(packet.to_vec());
        }
        if rest.is_empty() {
            return Ok(packets);
        }
        let space = decoder.space();
        assert!(!space.is_empty(), "a decoder that asks for bytes has room for them");
        let count = (*reads.next().unwrap()).min(space.len()).min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        decoder.filled(count);
        rest = &rest[count..];
    }
}

fn packets() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 8..=MAXIMUM), 0..12)
}

proptest! {
    #[test]
    fn packets_survive_every_split(packets in packets(), reads in prop::collection::vec(1_usize..130, 1..20)) {
        prop_assert_eq!(decode(&stream_of(&packets), &reads), Ok(packets));
    }

    #[test]
    fn the_encoder_writes_what_the_decoder_reads(
        packets in packets(),
        writes in prop::collection::vec(1_usize..130, 1..20),
    ) {
        let mut encoder = FrameEncoder::new([0; STORAGE]);
        let mut stream = Vec::new();
        let mut writes = writes.iter().cycle();
        for packet in &packets {
            encoder.encode(packet).unwrap();
            while !encoder.unsent().is_empty() {
                prop_assert_eq!(encoder.encode(packet), Err(FrameError::Unsent));
                prop_assert_eq!(encoder.finish(8), Err(FrameError::Unsent));
                let count = (*writes.next().unwrap()).min(encoder.unsent().len());
                stream.extend_from_slice(&encoder.unsent()[..count]);
                encoder.sent(count);
            }
        }
        prop_assert_eq!(stream, stream_of(&packets));
    }

    #[test]
    fn arbitrary_bytes_give_packets_within_the_limits_or_an_error(
        stream in prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..400),
        reads in prop::collection::vec(1_usize..130, 1..20),
    ) {
        match decode(&stream, &reads) {
            Ok(packets) => prop_assert!(stream.starts_with(&stream_of(&packets))),
            Err(FrameError::BadLength { found, maximum }) => {
                prop_assert_eq!(maximum, MAXIMUM);
                prop_assert!(!(8..=96).contains(&found));
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}

#[test]
fn byte_at_a_time() {
    let packets = vec![vec![7; 8], vec![9; MAXIMUM], vec![1; 31]];
    assert_eq!(decode(&stream_of(&packets), &[1]), Ok(packets));
}

#[test]
fn bad_lengths_are_refused_before_any_packet_byte_and_for_good() {
    for length in [0, 1, 7, 97, 0x0100_0000, u32::MAX] {
        let mut decoder = FrameDecoder::new([0; STORAGE]);
        decoder.space()[..4].copy_from_slice(&length.to_be_bytes());
        decoder.filled(3);
        assert!(matches!(decoder.next_packet(), Ok(None)));
        decoder.filled(1);
        let refused = FrameError::BadLength { found: length, maximum: MAXIMUM };
        assert_eq!(decoder.next_packet(), Err(refused));
        let _ = decoder.space();
        decoder.filled(50);
        assert_eq!(decoder.next_packet(), Err(refused));
        decoder.reset();
        assert!(matches!(decoder.next_packet(), Ok(None)));
        assert!(!decoder.is_frame_started());
    }
}

#[test]
fn a_good_packet_before_a_bad_length_is_delivered() {
    let mut stream = stream_of(&[vec![5; 20]]);
    stream.extend_from_slice(&[0xFF; 8]);
    let mut decoder = FrameDecoder::new([0; STORAGE]);
    decoder.space()[..stream.len()].copy_from_slice(&stream);
    decoder.filled(stream.len());
    assert_eq!(decoder.next_packet().unwrap().unwrap(), [5; 20]);
    assert!(decoder.next_packet().is_err());
}

#[test]
fn the_encoder_refuses_bad_lengths_and_stays_usable() {
    let mut encoder = FrameEncoder::new([0; STORAGE]);
    for length in [0, 7, MAXIMUM + 1, MAXIMUM + 5, 70_000] {
        assert!(matches!(encoder.encode(&vec![0; length]), Err(FrameError::BadLength { .. })));
        assert!(matches!(encoder.finish(length), Err(FrameError::BadLength { .. })));
        assert!(encoder.unsent().is_empty());
    }
    encoder.packet_space().unwrap()[..8].copy_from_slice(b"in place");
    encoder.finish(8).unwrap();
    assert_eq!(encoder.unsent(), b"\0\0\0\x08in place");
}

#[test]
fn storage_too_small_for_any_packet_refuses_everything_without_panic() {
    for size in 0..12 {
        let mut decoder = FrameDecoder::new(vec![0; size]);
        let space = decoder.space().len();
        decoder.filled(space + 3);
        assert!(!matches!(decoder.next_packet(), Ok(Some(_))));
        let mut encoder = FrameEncoder::new(vec![0; size]);
        assert!(encoder.encode(&[0; 8]).is_err());
        assert!(encoder.finish(8).is_err());
        assert!(encoder.unsent().is_empty());
    }
}
