//! What a hostile peer does to the memory transport, step by step, and what must hold all the time: used by the tests
//! here and by the fuzz target `transports`.

use casemate_transport::{
    ClientTransport, MemoryClient, MemoryServer, ServerTransport, SharedMemory, SharedRegion, TransportError,
};
use std::sync::atomic::AtomicU32;

/// Two blocks of so many bytes.
const BLOCK: usize = 64;
pub(crate) const CAPACITY: usize = BLOCK - 8;

#[derive(Clone, Debug)]
pub(crate) enum Step {
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

/// Takes all steps on two fresh blocks. No panic, no packet outside the limits, no byte outside the caller's space; and
/// after a new client has attached, packets pass.
pub(crate) fn memory(steps: &[Step]) {
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
