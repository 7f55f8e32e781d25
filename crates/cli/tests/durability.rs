//! Whatever was acknowledged is there after the end of the server, however it ends.

mod common;

use casemate_client::NewKey;
use casemate_protocol::{Flags, KeyId, Label, Metadata, ObjectId, Status};
use common::{ServerProcess, connect};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// What a client of a server that will be ended was told, and what it had asked for at that moment.
#[derive(Default)]
struct Journal {
    /// The last value of each object that was acknowledged, and the one that was asked for after it.
    objects: BTreeMap<u16, (Option<u32>, u32)>,
    acknowledged: u32,
}

/// Stores objects, keys and a counter without end, each with a value that counts up.
fn write_until_the_end(address: &str, client: u32, started: impl FnOnce()) -> Journal {
    let mut journal = Journal::default();
    let mut hsm = connect(address, client).unwrap();
    let mut started = Some(started);
    for value in 1_u32.. {
        // Four objects and two keys, in turns.
        let number = u8::try_from(value % 6).unwrap();
        let owner = u16::try_from(client).unwrap();
        let object = if number < 4 {
            ObjectId(owner * 0x10 + u16::from(number))
        } else {
            ObjectId(0x1000 + owner * 0x100 + u16::from(number))
        };
        let entry = journal.objects.entry(object.0).or_default();
        entry.1 = value;
        let data: Vec<u8> = value.to_le_bytes().repeat(20);
        let done = if number < 4 {
            let metadata = Metadata { id: object, access: Metadata::ACCESS_ANY, ..Metadata::default() };
            // The message does not make room by itself (document 02, §6.3), and the other clients take some too.
            loop {
                match hsm.nvm_add(&metadata, &data) {
                    Err(error) if error.status() == Some(Status::NO_SPACE) => match hsm.nvm_compact() {
                        Ok(()) => {}
                        Err(error) => break Err(error),
                    },
                    other => break other,
                }
            }
        } else {
            let new = NewKey { id: KeyId(number.into()), flags: Flags::NONE, label: Label::EMPTY };
            hsm.key_cache(&new, &data).and_then(|id| hsm.key_commit(id))
        };
        match done {
            Ok(()) => entry.0 = Some(value),
            Err(error) => {
                assert_eq!(error.status(), None, "the server refused: {error}");
                return journal;
            }
        }
        journal.acknowledged += 1;
        if value == 12
            && let Some(started) = started.take()
        {
            started();
        }
    }
    unreachable!()
}

fn survives(signal: &str, after: Duration) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    // Small enough to be compacted often.
    let options = ["--nvm-size", "32K", "--nvm-objects", "24"];
    let mut expected: Vec<Journal> = Vec::new();
    for round in 0..3 {
        let mut server = ServerProcess::start(&file, &options);
        verify(&server, &expected, &format!("{signal}, round {round}"));
        let (ready, wait) = channel();
        let clients: Vec<_> = (1..=3)
            .map(|client| {
                let (address, ready) = (server.address.clone(), ready.clone());
                thread::spawn(move || write_until_the_end(&address, client, move || ready.send(()).unwrap()))
            })
            .collect();
        for _ in 0..3 {
            wait.recv_timeout(common::PATIENCE).unwrap();
        }
        thread::sleep(after);
        server.signal(signal);
        let status = server.wait();
        assert_eq!(status.success(), signal == "TERM");
        expected = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert!(expected.iter().all(|journal| journal.acknowledged >= 12));
    }
    let server = ServerProcess::start(&file, &options);
    verify(&server, &expected, signal);
    server.stop();
}

/// Each object has the value that was acknowledged last, or the one that was on its way.
fn verify(server: &ServerProcess, journals: &[Journal], when: &str) {
    for (journal, client) in journals.iter().zip(1..) {
        let mut hsm = connect(&server.address, client).unwrap();
        for (&id, &(acknowledged, asked)) in &journal.objects {
            let mut data = [0; 80];
            let found = match hsm.nvm_read(ObjectId(id), &mut data) {
                Ok(length) => {
                    assert_eq!(length, 80);
                    let words: Vec<_> = data.chunks_exact(4).map(|word| word.try_into().unwrap()).collect();
                    assert!(words.iter().all(|word| *word == words[0]), "{when}: object {id:#06x} is torn");
                    Some(u32::from_le_bytes(words[0]))
                }
                Err(error) => {
                    assert_eq!(error.status(), Some(Status::NOT_FOUND), "{error}");
                    None
                }
            };
            assert!(
                found == acknowledged || found == Some(asked),
                "{when}: object {id:#06x} is {found:?}, acknowledged was {acknowledged:?}, asked for {asked}"
            );
        }
        hsm.close().unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_a_stop() {
    survives("TERM", Duration::from_millis(150));
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    survives("KILL", Duration::from_millis(150));
}

#[test]
fn a_stop_answers_what_it_has_begun() {
    // A client that is answered knows what it has; the others see the end of the connection, never silence.
    let server = ServerProcess::start(Path::new("ram"), &[]);
    let mut hsm = connect(&server.address, 1).unwrap();
    hsm.set_timeout(Some(common::PATIENCE));
    server.signal("TERM");
    let end = loop {
        if let Err(error) = hsm.echo(b"?") {
            break error;
        }
    };
    assert!(matches!(end, casemate_client::Error::Transport(_)), "{end}");
}
