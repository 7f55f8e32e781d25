//! The server is killed at random moments while clients on several transports write, again and again, on one flash
//! image: whatever was acknowledged is there after each restart.
//!
//! It runs for a few rounds. `CASEMATE_SOAK_ROUNDS` sets another number.

mod common;

use casemate_client::{Client, NewKey};
use casemate_posix::shm::ShmClientTransport;
use casemate_posix::unix::UnixClientTransport;
use casemate_posix::{LinkError, MonotonicClock};
use casemate_protocol::{ClientId, Flags, KeyId, Label, Metadata, ObjectId, Status};
use casemate_transport::ClientTransport;
use common::{PATIENCE, ServerProcess, connect};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What one client knows of its objects over all rounds: the value acknowledged last, and those asked for after it.
#[derive(Default)]
struct Ledger {
    objects: BTreeMap<u16, (Option<u32>, Vec<u32>)>,
    next: u32,
    acknowledged: u64,
}

type Hsm<T> = Client<T, Vec<u8>, MonotonicClock>;

fn over<T: ClientTransport<Error = LinkError>>(transport: T, id: u32) -> Result<Hsm<T>, String> {
    let mut hsm = Client::with_timeout(transport, vec![0; 8200], MonotonicClock::new(), PATIENCE);
    hsm.init(ClientId::new(id).unwrap()).map_err(|error| error.to_string())?;
    Ok(hsm)
}

fn words(value: u32) -> Vec<u8> {
    value.to_le_bytes().repeat(25)
}

/// Writes objects and keys until the server is gone.
fn write<T: ClientTransport<Error = LinkError>>(mut hsm: Hsm<T>, id: u32, ledger: &mut Ledger) {
    let owner = u16::try_from(id).unwrap();
    loop {
        ledger.next += 1;
        let value = ledger.next;
        let number = u16::try_from(value % 5).unwrap();
        let is_key = number >= 3;
        let object = if is_key { 0x1000 + owner * 0x100 + number } else { owner * 0x10 + number };
        let entry = ledger.objects.entry(object).or_default();
        entry.1.push(value);
        let done = if is_key {
            let new = NewKey { id: KeyId(number), flags: Flags::NONE, label: Label::EMPTY };
            hsm.key_cache(&new, &words(value)).and_then(|key| hsm.key_commit(key))
        } else {
            let metadata =
                Metadata { id: ObjectId(object), access: Metadata::ACCESS_ANY, ..Metadata::default() };
            loop {
                match hsm.nvm_add(&metadata, &words(value)) {
                    Err(error) if error.status() == Some(Status::NO_SPACE) => match hsm.nvm_compact() {
                        Ok(()) => {}
                        Err(error) => break Err(error),
                    },
                    other => break other,
                }
            }
        };
        match done {
            Ok(()) => {
                *entry = (Some(value), Vec::new());
                ledger.acknowledged += 1;
            }
            Err(error) => {
                assert_eq!(error.status(), None, "the server refused: {error}");
                return;
            }
        }
    }
}

/// Each object has the value that was acknowledged last, or one that was asked for after it.
fn verify(server: &ServerProcess, id: u32, ledger: &mut Ledger, round: usize) {
    let mut hsm = connect(&server.address, id).unwrap();
    for (object, (acknowledged, asked)) in &mut ledger.objects {
        let mut data = [0; 100];
        let found = match hsm.nvm_read(ObjectId(*object), &mut data) {
            Ok(length) => {
                assert_eq!(length, 100, "round {round}: object {object:#06x} is torn");
                let value = u32::from_le_bytes(data[..4].try_into().unwrap());
                assert_eq!(data[..], words(value), "round {round}: object {object:#06x} is torn");
                Some(value)
            }
            Err(error) => {
                assert_eq!(error.status(), Some(Status::NOT_FOUND), "{error}");
                None
            }
        };
        assert!(
            found == *acknowledged || found.is_some_and(|found| asked.contains(&found)),
            "round {round}: object {object:#06x} is {found:?}, acknowledged was {acknowledged:?}, asked {asked:?}"
        );
        *acknowledged = found;
        asked.clear();
    }
    hsm.close().unwrap();
}

#[test]
fn kill_at_random_moments_under_load_over_several_transports() {
    let rounds = std::env::var("CASEMATE_SOAK_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    let socket = directory.path().join("socket");
    let name = format!("casemate-soak-{}", std::process::id());
    // Small enough to be compacted often.
    let options =
        ["--nvm-size", "32K", "--nvm-objects", "30", "--unix", socket.to_str().unwrap(), "--shm", &name];
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    println!("seed {seed}");
    let mut random = u64::from(seed) | 1;
    let mut ledgers: [Ledger; 4] = std::array::from_fn(|_| Ledger::default());
    for round in 0..=rounds {
        let mut server = ServerProcess::start(&file, &options);
        for (ledger, id) in ledgers.iter_mut().zip(1..) {
            verify(&server, id, ledger, round);
        }
        if round == rounds {
            server.stop();
            break;
        }
        server.wait_for(" listens on shm://");
        let address = server.address.clone();
        let ready = Barrier::new(ledgers.len() + 1);
        std::thread::scope(|scope| {
            for (number, ledger) in ledgers.iter_mut().enumerate() {
                let (ready, address, socket, name) = (&ready, &address, &socket, &name);
                let id = u32::try_from(number).unwrap() + 1;
                scope.spawn(move || match number {
                    0 | 1 => {
                        let hsm = connect(address, id).unwrap();
                        ready.wait();
                        write(hsm, id, ledger);
                    }
                    2 => {
                        let hsm = over(UnixClientTransport::connect(Path::new(socket), 8200).unwrap(), id);
                        ready.wait();
                        write(hsm.unwrap(), id, ledger);
                    }
                    _ => {
                        let hsm = over(ShmClientTransport::connect(name, PATIENCE).unwrap(), id);
                        ready.wait();
                        write(hsm.unwrap(), id, ledger);
                    }
                });
            }
            ready.wait();
            // xorshift64
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_micros(1000 + random % 400_000));
            server.signal("KILL");
            assert!(!server.wait().success());
        });
    }
    let acknowledged: u64 = ledgers.iter().map(|ledger| ledger.acknowledged).sum();
    println!("{acknowledged} acknowledged writes");
    assert!(acknowledged > 0);
}
