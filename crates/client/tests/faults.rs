//! What the client does when the transport or the server misbehaves, and what it refuses to send.

mod common;

use casemate_client::{
    Argument, Client, CtrState, Direction, Error, Hash, HashAlgorithm, Key, NewKey, ProtocolFault, comm,
    counter, nvm,
};
use casemate_protocol::message::counter::ReadRequest;
use casemate_protocol::{Flags, Group, KeyId, Kind, Metadata, ObjectId, Status};
use casemate_transport::TransportError;
use common::{Script, TickingClock, hex};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(20);

fn timed(script: &mut Script) -> Client<&mut Script, Vec<u8>, TickingClock> {
    Client::with_timeout(script, vec![0; 8 + 1280], TickingClock::default(), TIMEOUT)
}

#[test]
fn stale_responses_are_discarded() {
    let mut script = Script::new().answer(&["01A5 0208 0900 0000 00000000 07000000"]);
    let mut client = script.client();
    let operation = counter::Read { id: 1 };
    client.start(&operation).unwrap();
    assert_eq!(client.poll(&operation).unwrap(), None);
    assert!(client.is_pending());
    client.transport_mut().inbox.push_back(Ok(hex("01A5 0208 0000 0000 00000000 08000000")));
    client.transport_mut().inbox.push_back(Ok(hex("01A5 0208 0100 0000 00000000 09000000")));
    assert_eq!(client.poll(&operation).unwrap(), Some(9));
    assert!(!client.is_pending());
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn stale_responses_do_not_stop_the_timer() {
    let mut script = Script::new().answer(&[]);
    let mut client = timed(&mut script);
    let operation = counter::Read { id: 1 };
    client.start(&operation).unwrap();
    let mut polls = 0;
    let error = loop {
        client.transport_mut().inbox.push_back(Ok(hex("01A5 0208 0900 0000 00000000 07000000")));
        match client.poll(&operation) {
            Ok(None) => polls += 1,
            Ok(Some(_)) => panic!("a stale response was taken"),
            Err(error) => break error,
        }
        assert!(polls < 100);
    };
    assert!(matches!(error, Error::Timeout));
    assert!(polls > 5 && !client.is_pending());
}

#[test]
fn a_flood_of_stale_responses_does_not_hold_a_poll() {
    let mut script = Script::new().answer(&["01A5 0208 0900 0000"; 1000]);
    let mut client = script.client();
    client.start(&counter::Read { id: 1 }).unwrap();
    assert_eq!(client.poll(&counter::Read { id: 1 }).unwrap(), None);
    assert!(!client.transport_mut().inbox.is_empty());
}

#[test]
fn after_a_timeout_the_late_response_is_discarded() {
    let mut script = Script::new()
        .answer(&[])
        .answer(&["01A5 0208 0100 0000 00000000 01000000", "01A5 0208 0200 0000 00000000 02000000"]);
    let mut client = timed(&mut script);
    assert!(matches!(client.counter_read(1), Err(Error::Timeout)));
    assert!(!client.is_pending());
    assert!(matches!(client.poll(&counter::Read { id: 1 }), Err(Error::NothingPending)));
    assert_eq!(client.counter_read(1).unwrap(), 2);
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn without_a_timeout_polling_goes_on() {
    let mut script = Script::new().answer(&[]);
    let mut client = timed(&mut script);
    client.set_timeout(None);
    client.start(&counter::Read { id: 1 }).unwrap();
    for _ in 0..1000 {
        assert_eq!(client.poll(&counter::Read { id: 1 }).unwrap(), None);
    }
}

#[test]
fn broken_responses_end_the_request() {
    let read = Kind::new(Group::COUNTER, 2);
    for (packet, fault) in [
        ("A501 0802 0001 0000 00000000 00000000", ProtocolFault::Header),
        ("02A5 0208 0100 0000 00000000 00000000", ProtocolFault::Header),
        ("01A5 0208 0100 00", ProtocolFault::Header),
        ("", ProtocolFault::Header),
        (
            "01A5 0108 0100 0000 00000000 00000000",
            ProtocolFault::Kind { requested: read, received: Kind::new(Group::COUNTER, 1) },
        ),
        ("01A5 0208 0100 0000", ProtocolFault::Empty),
        ("01A5 0208 0100 0000 000000", ProtocolFault::Length),
        ("01A5 0208 0100 0000 00000000", ProtocolFault::Length),
        ("01A5 0208 0100 0000 00000000 000000", ProtocolFault::Length),
        ("01A5 0208 0100 0000 01000000 00000000", ProtocolFault::Status(1)),
    ] {
        let mut script = Script::new().answer(&[packet]).answer(&["01A5 0208 0200 0000 00000000 05000000"]);
        let mut client = script.client();
        match client.counter_read(1) {
            Err(Error::Protocol(found)) => assert_eq!(found, fault, "{packet}"),
            other => panic!("{packet}: {other:?}"),
        }
        assert!(!client.is_pending(), "{packet}");
        assert_eq!(client.counter_read(1).unwrap(), 5, "{packet}");
    }
}

#[test]
fn a_status_counts_before_any_length() {
    for packet in ["01A5 0208 0100 0000 03F7FFFF", "01A5 0208 0100 0000 03F7FFFF 00000000 00"] {
        let mut script = Script::new().answer(&[packet]);
        let error = script.client().counter_read(1).unwrap_err();
        assert_eq!(error.status(), Some(Status::AUTH_PERMISSION));
    }
    // The original's servers with users refuse cryptography with four bytes.
    let mut script = Script::new().answer(&["01A5 0404 0100 0000 03F7FFFF"]);
    let error = script.client().random(&mut [0; 8]).unwrap_err();
    assert_eq!(error.status(), Some(Status::AUTH_PERMISSION));
    let mut script = Script::new().answer(&["01A5 0404 0100 0000 04000000 39FFFFFF 00000000"]);
    let error = script.client().random(&mut [0; 8]).unwrap_err();
    assert_eq!(error.status(), Some(Status::RNG_FAILURE));
}

#[test]
fn exact_messages_are_exact() {
    let mut script = Script::new().answer(&["01A5 0702 0100 0000 00000000 00"]);
    assert!(matches!(script.client().nvm_compact(), Err(Error::Protocol(ProtocolFault::Length))));
}

#[test]
fn answers_that_contradict_the_request_are_refused() {
    let contradiction = |script: &mut Script| {
        let (mut iv, mut data) = ([0; 16], [7; 16]);
        let outcome = script.client().aes_cbc(Direction::Encrypt, Key::Id(KeyId(1)), &mut iv, &mut data);
        assert_eq!((data, iv), ([7; 16], [0; 16]));
        outcome.unwrap_err()
    };
    let header = "01a50204 01000000 | 02000000 00000000 00000000";
    for length in ["0f000000", "11000000", "20000000", "ffffffff"] {
        let mut script = Script::new().answer(&[&format!("{header} {length} 00*12 11*64")]);
        assert!(matches!(contradiction(&mut script), Error::Protocol(ProtocolFault::Contradiction)));
    }
    let mut script = Script::new().answer(&[&format!("{header} 10000000 00*12 11*31")]);
    assert!(matches!(contradiction(&mut script), Error::Protocol(ProtocolFault::Length)));
    let mut script =
        Script::new().answer(&["01a50204 01000000 | 0d000000 00000000 00000000 10000000 00*12 11*32"]);
    assert!(matches!(
        contradiction(&mut script),
        Error::Protocol(ProtocolFault::Algorithm { requested: 2, received: 13 })
    ));
    // Random numbers: none, or more than were asked for.
    for count in ["00000000", "09000000"] {
        let answer = format!("01a50404 01000000 04000000 00000000 00000000 {count} 11*9");
        let mut script = Script::new().answer(&[&answer]);
        assert!(matches!(
            script.client().random(&mut [0; 8]),
            Err(Error::Protocol(ProtocolFault::Contradiction))
        ));
    }
    let mut script = Script::new().answer(&["01A5 0501 0100 0000 00"]);
    assert!(matches!(script.client().echo(b"x"), Err(Error::Protocol(ProtocolFault::Contradiction))));
    // A counter of the keystream that leaves more than a block unused.
    let answer = "01a50204 01000000 04000000 00000000 00000000 01000000 11000000 00*12 11*33";
    let mut script = Script::new().answer(&[answer]);
    assert!(matches!(
        script.client().aes_ctr(Key::Id(KeyId(1)), &mut CtrState::new([0; 16]), &mut [0]),
        Err(Error::Protocol(ProtocolFault::Contradiction))
    ));
}

#[test]
fn an_echoed_hash_request_is_not_taken_for_a_state() {
    // What a server without cryptography answers: the request as it came (document 04, §1.2).
    struct Mirror(Option<Vec<u8>>);
    impl casemate_transport::ClientTransport for Mirror {
        type Error = std::convert::Infallible;
        fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Self::Error>> {
            self.0 = Some(packet.to_vec());
            Ok(())
        }
        fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Self::Error>> {
            let packet = self.0.take().ok_or(TransportError::NotReady)?;
            buffer[..packet.len()].copy_from_slice(&packet);
            Ok(packet.len())
        }
    }
    let mut client = Client::new(Mirror(None), [0; 1288]);
    for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha512] {
        assert!(matches!(client.hash(algorithm, &[0; 300]), Err(Error::Protocol(_))), "{algorithm}");
    }
}

#[test]
fn one_request_at_a_time() {
    let mut script = Script::new().answer(&[]).answer(&["01A5 0501 0200 0000"]);
    let mut client = script.client();
    client.start(&counter::Read { id: 1 }).unwrap();
    assert!(matches!(client.start(&counter::Read { id: 1 }), Err(Error::Pending)));
    assert!(matches!(client.counter_read(1), Err(Error::Pending)));
    assert!(matches!(client.poll(&comm::Info), Err(Error::Argument(Argument::OtherOperation))));
    assert!(client.is_pending());
    client.abandon();
    assert!(matches!(client.poll(&counter::Read { id: 1 }), Err(Error::NothingPending)));
    assert!(matches!(client.receive::<ReadRequest>(), Err(Error::NothingPending)));
    assert_eq!(client.echo(b"").unwrap(), b"");
}

#[test]
fn sequence_numbers_begin_at_1_and_wrap_to_0() {
    struct Echo(Vec<u8>, Vec<u16>);
    impl casemate_transport::ClientTransport for Echo {
        type Error = std::convert::Infallible;
        fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Self::Error>> {
            self.0 = packet.to_vec();
            self.1.push(u16::from_le_bytes([packet[4], packet[5]]));
            Ok(())
        }
        fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Self::Error>> {
            buffer[..self.0.len()].copy_from_slice(&self.0);
            Ok(self.0.len())
        }
    }
    let mut echo = Echo(Vec::new(), Vec::new());
    let mut client = Client::new(&mut echo, [0; 16]);
    for _ in 0..65_538 {
        client.echo(b"12345678").unwrap();
    }
    drop(client);
    let expected: Vec<u16> = (1..=u16::MAX).chain([0, 1, 2]).collect();
    assert_eq!(echo.1, expected);
}

#[test]
fn a_request_that_was_not_accepted_takes_no_number() {
    let mut script = Script::new()
        .refuse(TransportError::NotReady)
        .exchange("01A5 0501 0100 0000 78", "01A5 0501 0100 0000 78");
    let mut client = script.client();
    let operation = comm::Echo { data: b"x" };
    assert!(matches!(client.start(&operation), Err(Error::Transport(TransportError::NotReady))));
    assert!(!client.is_pending());
    client.start(&operation).unwrap();
    assert_eq!(client.poll(&operation).unwrap(), Some(&b"x"[..]));
}

#[test]
fn blocking_calls_wait_for_the_transport() {
    let mut script = Script::new()
        .refuse(TransportError::NotReady)
        .refuse(TransportError::NotReady)
        .exchange("01A5 0501 0100 0000 78", "01A5 0501 0100 0000 78");
    assert_eq!(script.client().echo(b"x").unwrap(), b"x");

    let mut script = Script::new();
    for _ in 0..100 {
        script = script.refuse(TransportError::NotReady);
    }
    assert!(matches!(timed(&mut script).echo(b"x"), Err(Error::Timeout)));
}

#[test]
fn a_lost_connection_ends_the_request() {
    let mut script = Script::new().answer(&[]).refuse(TransportError::Closed);
    let mut client = script.client();
    client.start(&counter::Read { id: 1 }).unwrap();
    client.transport_mut().inbox.push_back(Err(TransportError::Closed));
    let outcome = client.poll(&counter::Read { id: 1 });
    assert!(matches!(outcome, Err(Error::Transport(TransportError::Closed))));
    assert!(!client.is_pending());
    assert!(matches!(client.echo(b""), Err(Error::Transport(TransportError::Closed))));
}

/// No step is in the script, so anything sent would be a panic.
#[test]
fn what_cannot_succeed_is_not_sent() {
    let mut script = Script::new();
    let mut client = Client::new(&mut script, [0; 8 + 512]);
    let key = Key::Id(KeyId(1));
    macro_rules! refused {
        ($( $call:expr => $error:pat, )*) => {$(
            let outcome = $call;
            assert!(matches!(outcome, Err($error)), "{}: {outcome:?}", stringify!($call));
        )*};
    }
    let mut out = [0; 600];
    refused! {
        client.echo(&[0; 513]) => Error::TooLong { needed: 513, limit: 512 },
        client.nvm_add(&Metadata { id: ObjectId(1), ..Metadata::default() }, &[0; 481])
            => Error::TooLong { needed: 513, limit: 512 },
        client.nvm_add(&Metadata::default(), &[]) => Error::Argument(Argument::ObjectId),
        client.nvm_metadata(ObjectId(0)) => Error::Argument(Argument::ObjectId),
        client.nvm_destroy(&[ObjectId(5), ObjectId(0)]) => Error::Argument(Argument::ObjectId),
        client.run(&nvm::Read { id: ObjectId(1), offset: 0, length: 509 }) => Error::TooLong { needed: 513, limit: 512 },
        client.key_cache(&NewKey::default(), &[]) => Error::Argument(Argument::KeyLength),
        client.key_cache(&NewKey::default(), &[0; 473]) => Error::TooLong { needed: 513, limit: 512 },
        client.key_cache_random(&NewKey::default(), 0) => Error::Argument(Argument::KeyLength),
        client.key_evict(KeyId(0x0100)) => Error::Argument(Argument::KeyId),
        client.key_export(KeyId(0), &mut out) => Error::Argument(Argument::KeyId),
        client.key_wrap(KeyId(1), &Metadata { id: ObjectId(0x1106), ..Metadata::default() }, &[0; 16], &mut out)
            => Error::Argument(Argument::WrappedType),
        client.key_wrap(KeyId(1), &Metadata { id: ObjectId(0x4106), ..Metadata::default() }, &[0; 445], &mut out)
            => Error::TooLong { needed: 513, limit: 512 },
        client.data_wrap(KeyId(1), &[0; 473], &mut out) => Error::TooLong { needed: 513, limit: 512 },
        client.data_wrap(KeyId(0), &[0; 4], &mut out) => Error::Argument(Argument::KeyId),
        client.counter_read(0) => Error::Argument(Argument::CounterId),
        client.aes_ecb(Direction::Encrypt, key, &mut [0; 15]) => Error::Argument(Argument::BlockMultiple),
        client.aes_ecb(Direction::Encrypt, Key::Inline(&[0; 17]), &mut [0; 16]) => Error::Argument(Argument::KeyLength),
        client.aes_ecb(Direction::Encrypt, Key::Id(KeyId(0)), &mut [0; 16]) => Error::Argument(Argument::KeyId),
        client.aes_gcm_encrypt(key, &[], &[], &mut [], &mut [0; 16]) => Error::Argument(Argument::InitialisationVector),
        client.aes_gcm_encrypt(key, &[0; 12], &[], &mut [], &mut [0; 17]) => Error::Argument(Argument::TagLength),
        // The response is the longer one when encrypting, the request when decrypting.
        client.aes_gcm_encrypt(key, &[0; 12], &[], &mut [0; 457], &mut [0; 16]) => Error::TooLong { needed: 513, limit: 512 },
        client.aes_gcm_decrypt(key, &[0; 12], &[], &mut [0; 445], &[0; 16]) => Error::TooLong { needed: 513, limit: 512 },
        client.cmac(key, &[0; 16], &mut [0; 3]) => Error::Argument(Argument::MacLength),
        client.cmac_verify(key, &[0; 16], &[0; 17]) => Error::Argument(Argument::MacLength),
        client.hmac_verify(HashAlgorithm::Sha256, b"key", b"", &[0; 33]) => Error::Argument(Argument::MacLength),
    }
    let input = casemate_client::HkdfInput { hash: HashAlgorithm::Sha256, key, salt: &[], info: &[] };
    let ephemeral = NewKey { flags: Flags::EPHEMERAL, ..NewKey::default() };
    refused! {
        client.hkdf_export(&input, &mut [0; 493]) => Error::TooLong { needed: 513, limit: 512 },
        client.hkdf_export(&input, &mut []) => Error::Argument(Argument::OutputLength),
        client.hkdf_cache(&input, &ephemeral, 16) => Error::Argument(Argument::Ephemeral),
    }
    // Nothing to do is not an error, and destroying nothing must not become a compaction.
    client.nvm_destroy(&[]).unwrap();
    client.random(&mut []).unwrap();
    client.aes_ecb(Direction::Encrypt, key, &mut []).unwrap();
    drop(client);
    let mut tiny = Client::new(&mut script, [0; 8 + 64]);
    refused! {
        tiny.hash(HashAlgorithm::Sha256, &[0; 64]) => Error::TooLong { needed: 124, limit: 64 },
        tiny.aes_ecb(Direction::Encrypt, Key::Inline(&[0; 32]), &mut [0; 16]) => Error::TooLong { needed: 76, limit: 64 },
    }
    drop(tiny);
    let mut none = Client::new(&mut script, [0; 3]);
    refused! { none.echo(b"") => Error::TooLong { .. }, }
}

#[test]
fn the_servers_limit_is_adopted_if_smaller() {
    let info = |length: &str| {
        format!("01A5 0401 0100 0000 {length} 00*28 01000000 02000000 03000000 04000000 00*24")
    };
    let mut script = Script::new().answer(&[&info("00020000")]);
    let mut client = script.client();
    client.learn_limits().unwrap();
    assert_eq!(client.data_length(), 512);
    assert!(matches!(client.echo(&[0; 513]), Err(Error::TooLong { needed: 513, limit: 512 })));
    drop(client);
    let mut script = Script::new().answer(&[&info("00000000")]);
    let mut client = script.client();
    assert!(matches!(client.learn_limits(), Err(Error::Protocol(ProtocolFault::Contradiction))));
    assert_eq!(client.data_length(), 1280);
}

#[test]
fn secrets_do_not_stay_in_the_packet_buffer() {
    let key = b"0123456789abcdef";
    // Imported: gone once it was sent.
    let mut script = Script::new().answer(&["01A5 0003 0100 0000 00000000 0500 00*6"]);
    script.forbidden = Some(key.to_vec());
    script.client().key_cache(&NewKey::default(), key).unwrap();
    // Inline: gone once it was sent.
    let mut script =
        Script::new().answer(&["01a50204 01000000 | 0d000000 00000000 00000000 | 10000000 00*12 | 00*16"]);
    script.forbidden = Some(key.to_vec());
    script.client().aes_ecb(Direction::Encrypt, Key::Inline(key), &mut [0; 16]).unwrap();
    // Exported: gone when the next request waits, even if the export went wrong on the way.
    let exported = format!("01A5 0203 0100 0000 00000000 10000000 00*28 {}", hex::encode(key));
    for capacity in [16, 15] {
        let mut script = Script::new().answer(&[&exported]).answer(&["01A5 0501 0200 0000"]);
        let mut client = script.client();
        let mut out = [0; 16];
        match client.key_export(KeyId(5), &mut out[..capacity]) {
            Ok((16, _)) => assert_eq!((&out, capacity), (key, 16)),
            Err(Error::OutputTooSmall { needed: 16, available: 15 }) => assert_eq!(out, [0; 16]),
            other => panic!("{other:?}"),
        }
        client.transport_mut().forbidden = Some(key.to_vec());
        client.echo(b"").unwrap();
    }
    // The whole buffer is wiped when the client is dropped.
    let mut storage = [0xEE; 64];
    drop(Client::new(&mut Script::new(), &mut storage[..]));
    assert_eq!(storage, [0; 64]);
}

#[test]
fn errors_say_what_to_do() {
    let error: Error<std::io::Error> = Error::TooLong { needed: 9000, limit: 8192 };
    assert_eq!(
        error.to_string(),
        "the message takes 9000 bytes but a packet carries 8192; split the data, or give client and server a \
         larger packet data length"
    );
    let error: Error<std::io::Error> = Error::Remote(Status::NOT_FOUND);
    assert_eq!(error.to_string(), "the server refused the request: No such object or key (NOT_FOUND, -2104)");
}

#[test]
fn a_failed_hash_update_changes_nothing() {
    let mut script = Script::new()
        .answer(&["01a50104 01000000 06000000 00000000 00000000 00000000 c0040000 11*32 00*32 06000000"])
        .answer(&["01a50104 02000000 06000000 52ffffff 00000000"])
        .answer(&["01a50104 03000000 06000000 52ffffff 00000000"]);
    let mut client = script.client();
    let mut hash = Hash::new(HashAlgorithm::Sha256);
    client.hash_update(&mut hash, b"abc").unwrap();
    let before = format!("{hash:?}");
    assert_eq!(
        client.hash_update(&mut hash, &[0; 2000]).unwrap_err().status(),
        Some(Status::NOT_COMPILED_IN)
    );
    assert_eq!(format!("{hash:?}"), before);
    // The next attempt begins where that one began: initial value, nothing compressed, partial block first.
    assert!(client.hash_update(&mut hash, &[0; 2000]).is_err());
    drop(client);
    assert_eq!(script.sent[0][8..], script.sent[2][8..]);
    assert_eq!(script.sent[0][68..72], *b"abc\0");
}
