//! Our client and our server over shared memory: every call on data that lies there.

#[path = "../examples/dma.rs"]
mod example;

use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};
use casemate_posix::connection::{ConnectionOptions, Listener};
use casemate_posix::daemon::{self, Event, PosixPlatform};
use casemate_posix::shm::ShmServer;
use casemate_server::{CacheShape, Config, HeapCache, Server};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn every_call_on_shared_memory() {
    let flash: RamFlash<Vec<u8>> = RamFlash::new(vec![0; 1 << 20], 0xFF);
    let directory = vec![DirectoryEntry::EMPTY; 30];
    let store = FlashStore::mount(flash, directory, FlashOptions::new()).unwrap();
    let cache = CacheShape::default();
    let platform = PosixPlatform::new().unwrap();
    let server = Server::new(platform, Config::default(), store, HeapCache::new(cache)).unwrap();
    let name = format!("casemate-dma-test-{}", std::process::id());
    // As large as the area of the original's example server.
    let options = ConnectionOptions::new(server.packet_size());
    let listeners: [Box<dyn Listener>; 1] = [Box::new(ShmServer::bind(&name, 8000, options).unwrap())];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            daemon::serve(&server, &listeners, cache, &stop, &|event| {
                assert!(!matches!(event, Event::Failed(..)), "{event}");
            });
        });
        let outcome = example::run(&name).map_err(|error| error.to_string());
        stop.store(true, Ordering::Relaxed);
        assert!(outcome.unwrap() > 50);
    });
}
