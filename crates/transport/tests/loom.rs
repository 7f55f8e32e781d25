//! The memory transport under every interleaving and every reordering that the memory model allows, up to a few
//! packets: loom runs each model once for each of them. Here the shared memory consists of loom's atomics, with the
//! orderings that `SharedRegion` uses; a relaxed load may return any value that nothing has made obsolete, so a packet
//! that is read before its announcement has ordered it shows up as old bytes.

use casemate_transport::{
    ClientTransport, MemoryClient, MemoryServer, OutOfRange, ServerTransport, SharedMemory, TransportError,
};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// Blocks of two words of control and two of packet.
const WORDS: usize = 4;

struct Memory {
    words: [AtomicU32; WORDS],
    announce: Ordering,
}

impl Memory {
    fn new(announce: Ordering) -> Arc<Self> {
        Arc::new(Self { words: std::array::from_fn(|_| AtomicU32::new(0)), announce })
    }

    fn words(&self, offset: usize, length: usize) -> Result<&[AtomicU32], OutOfRange> {
        assert!(offset.is_multiple_of(4) && length.is_multiple_of(4));
        self.words.get(offset / 4..(offset + length) / 4).ok_or(OutOfRange)
    }
}

#[derive(Clone)]
struct Shared(Arc<Memory>);

impl SharedMemory for Shared {
    fn length(&self) -> usize {
        WORDS * 4
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        let words = self.0.words(offset, bytes.len())?;
        for (to, from) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&from.load(Ordering::Relaxed).to_ne_bytes());
        }
        Ok(())
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        let words = self.0.words(offset, bytes.len())?;
        for (from, to) in bytes.chunks_exact(4).zip(words) {
            to.store(u32::from_ne_bytes(from.try_into().unwrap()), Ordering::Relaxed);
        }
        Ok(())
    }

    fn load(&self, offset: usize) -> Result<u32, OutOfRange> {
        Ok(self.0.words(offset, 4)?[0].load(Ordering::Acquire))
    }

    fn store(&self, offset: usize, word: u32) -> Result<(), OutOfRange> {
        self.0.words(offset, 4)?[0].store(word, self.0.announce);
        Ok(())
    }
}

/// A client that has attached sends `rounds` packets; the server answers each with its complement.
fn conversation(rounds: u8, announce: Ordering) {
    loom::model(move || {
        let (request, response) = (Shared(Memory::new(announce)), Shared(Memory::new(announce)));
        let mut client = MemoryClient::new(request.clone(), response.clone()).unwrap();
        let server = thread::spawn(move || {
            let mut server = MemoryServer::new(request, response).unwrap();
            for round in 1..=rounds {
                let mut buffer = [0; 8];
                while let Err(error) = server.receive(&mut buffer) {
                    assert_eq!(error, TransportError::NotReady);
                    thread::yield_now();
                }
                assert_eq!(buffer, [round; 8], "an old request");
                server.send(&[!round; 8]).unwrap();
            }
        });
        for round in 1..=rounds {
            client.send(&[round; 8]).unwrap();
            let mut buffer = [0; 8];
            while let Err(error) = client.receive(&mut buffer) {
                assert_eq!(error, TransportError::NotReady);
                thread::yield_now();
            }
            assert_eq!(buffer, [!round; 8], "an old response");
        }
        server.join().unwrap();
    });
}

#[test]
fn packets_arrive_whole_and_in_order() {
    conversation(2, Ordering::Release);
}

/// The model can tell: without the ordering, it finds an interleaving in which a packet is read too early.
#[test]
#[should_panic(expected = "an old re")]
fn without_release_ordering_packets_would_be_read_too_early() {
    conversation(2, Ordering::Relaxed);
}

/// A client that starts over while the server looks: whatever the server sees in between, it never takes old bytes for
/// a request, and the new client is served.
#[test]
fn a_client_that_starts_over() {
    loom::model(|| {
        let (request, response) =
            (Shared(Memory::new(Ordering::Release)), Shared(Memory::new(Ordering::Release)));
        // One exchange has been completed.
        let mut client = MemoryClient::new(request.clone(), response.clone()).unwrap();
        let mut server = MemoryServer::new(request.clone(), response.clone()).unwrap();
        client.send(&[1; 8]).unwrap();
        let mut buffer = [0; 8];
        server.receive(&mut buffer).unwrap();
        server.send(&[2; 8]).unwrap();
        client.receive(&mut buffer).unwrap();
        drop(client);
        let watcher = thread::spawn(move || {
            let mut buffer = [0; 8];
            for _ in 0..2 {
                match server.receive(&mut buffer) {
                    Err(TransportError::NotReady | TransportError::BadLength) => {}
                    other => panic!("{other:?}: {buffer:?}"),
                }
            }
            server
        });
        let mut client = MemoryClient::new(request, response).unwrap();
        let mut server = watcher.join().unwrap();
        // What it saw may be answered still; after that both agree.
        let _ = server.receive(&mut buffer);
        client.send(&[3; 8]).unwrap();
        server.receive(&mut buffer).unwrap();
        assert_eq!(buffer, [3; 8]);
        server.send(&[4; 8]).unwrap();
        client.receive(&mut buffer).unwrap();
        assert_eq!(buffer, [4; 8]);
    });
}
