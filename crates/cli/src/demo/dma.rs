//! Direct memory access: data in memory that client and server share, over the shared-memory transport.

use super::{ALICE, FIPS_197, FIPS_197_PLAINTEXT, KEY_128, Report, TIMEOUT, done, expect, refused};
use crate::connection::{Hsm, Link, over};
use crate::local::{Running, Setup};
use anyhow::{Context, Result, ensure};
use casemate_client::dma::{Placement, SharedArea};
use casemate_client::{Direction, Hash, HashAlgorithm, Key, NewKey};
use casemate_posix::ClientLink;
use casemate_posix::shm::{DmaArea, ShmClientTransport, ShmServer};
use casemate_protocol::{ClientId, DmaBuffer, Flags, Header, KeyId, Label, Metadata, ObjectId, Status};
use std::sync::Arc;

/// A server that shares memory with its clients, a client of it, and the memory.
pub(super) fn shared(setup: &Setup, purpose: &str) -> Result<(Running, Hsm, DmaArea)> {
    let server = Arc::new(setup.server(setup.ram_store()?)?);
    let name = format!("casemate-demo-{purpose}-{}", std::process::id());
    let listener = ShmServer::bind(&name, 64 * 1024, setup.connection_options())?;
    let running = Running::start_with(setup, server, vec![Box::new(listener)])?;
    let transport = ShmClientTransport::connect(&name, TIMEOUT)?;
    let area = transport.dma_area().context("no area for direct memory access")?;
    let mut hsm =
        over(Link::Server(ClientLink::Shm(transport)), setup.config.data_length + Header::SIZE, TIMEOUT);
    hsm.init(ClientId::new(ALICE).context("client identifiers are 1 to 15")?)?;
    Ok((running, hsm, area))
}

pub(super) fn steps(report: &mut Report) {
    report.group("Direct memory access");
    let mut ready = None;
    report.step("share 64 KiB with a server", || {
        ready = Some(shared(&Setup::default(), "dma")?);
        done()
    });
    let Some((_server, mut hsm, area)) = ready else { return };
    report.step("AES-128-ECB from buffer to buffer (FIPS 197)", || {
        let mut place = Placement::new(&area);
        let input = place.place(&hex::decode(FIPS_197_PLAINTEXT)?)?;
        let output = place.reserve(16)?;
        let key = hex::decode(KEY_128)?;
        hsm.dma_aes_ecb(Direction::Encrypt, Key::Inline(&key), input.buffer, output.buffer)?;
        let mut found = [0; 16];
        place.take(output, &mut found)?;
        expect(&found, FIPS_197[0].1)?;
        Ok("known answer".to_owned())
    });
    report.step("SHA-256 of a million letters a (FIPS 180)", || {
        let mut hash = Hash::new(HashAlgorithm::Sha256);
        let mut place = Placement::new(&area);
        let part = place.place(&[b'a'; 64_000])?.buffer;
        for size in [64_000; 15].into_iter().chain([40_000]) {
            hsm.dma_hash_update(&mut hash, DmaBuffer { size, ..part })?;
        }
        let digest = hsm.hash_finish(&hash)?;
        expect(digest.as_bytes(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")?;
        Ok("known answer, in 16 messages".to_owned())
    });
    report.step("store an object of 20,000 bytes, read it back", || {
        let data: Vec<u8> = (0..20_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let mut place = Placement::new(&area);
        let placed = place.place(&data)?;
        let metadata = Metadata { id: ObjectId(0x72), label: Label::from("large"), ..Metadata::default() };
        hsm.dma_nvm_add(&mut place, &metadata, placed.buffer)?;
        let back = place.reserve(data.len())?;
        hsm.dma_nvm_read(metadata.id, 0, back.buffer)?;
        let mut found = vec![0; data.len()];
        place.take(back, &mut found)?;
        ensure!(found == data, "other bytes came back");
        Ok("the same, one message each way".to_owned())
    });
    report.step("cache a key that lies there, do not export it", || {
        let mut place = Placement::new(&area);
        let secret = place.place(&hex::decode(KEY_128)?)?;
        let flags = Flags::USAGE_ANY | Flags::NONEXPORTABLE;
        let new = NewKey { id: KeyId::NONE, flags, label: Label::from("shared") };
        let id = hsm.dma_key_cache(&new, secret.buffer)?;
        let out = place.reserve(16)?;
        refused(hsm.dma_key_export(id, out.buffer), Status::ACCESS)
    });
    report.step("write behind the shared memory", || {
        let outside = DmaBuffer::new(area.address(area.length() as u64), 16);
        let outcome = hsm.dma_random(outside);
        ensure!(outcome.is_err(), "it was allowed");
        Ok("refused".to_owned())
    });
    // Nothing that matters any more.
    let _ = hsm.close();
}
