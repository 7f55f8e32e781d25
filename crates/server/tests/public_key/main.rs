//! Public-key messages (document 05): what all families have in common is here, what each has of its own in a module.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod curve25519;
mod elliptic_curve;
mod keys;
mod lattice;
mod rsa;

use casemate_protocol::Status;
use casemate_testkit::server::VirtualServer;
use common::{Client, bytes};
use keys::{FAMILIES, Family, OPERATIONS, Operation};

const PUBLIC_KEY: u8 = 3;

const EPHEMERAL: u32 = 0x10;
const NONMODIFIABLE: u32 = 0x01;
const TRUSTED: u32 = 0x1000;
const ENCRYPT: u32 = 0x20;
const DECRYPT: u32 = 0x40;
const SIGN: u32 = 0x80;
const VERIFY: u32 = 0x100;
const DERIVE: u32 = 0x400;
const ANY: u32 = common::ANY;

/// Sends one message whose body is given as text; returns the answer's body.
fn send(client: &mut Client<'_>, algorithm: u32, body: &str) -> Result<Vec<u8>, Status> {
    send_bytes(client, algorithm, &bytes(body))
}

fn send_bytes(client: &mut Client<'_>, algorithm: u32, body: &[u8]) -> Result<Vec<u8>, Status> {
    let sub = u32::from((18..=24).contains(&algorithm));
    client.compute_raw(PUBLIC_KEY, algorithm, sub, body)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn set_word(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Generates a key and returns its number and what came with it.
fn generate(client: &mut Client<'_>, family: &Family, flags: u32, id: u32) -> Result<(u32, Vec<u8>), Status> {
    let answer = send_bytes(client, family.generation, &family.generation_body(flags, id))?;
    let length = usize::try_from(word(&answer, 4)).unwrap();
    assert_eq!(answer.len(), 8 + length, "{}", family.name);
    Ok((word(&answer, 0), answer[8..].to_vec()))
}

impl Operation {
    fn send(&self, client: &mut Client<'_>, id: u32, options: u32) -> Result<Vec<u8>, Status> {
        send_bytes(client, self.algorithm, &self.body(id, options))
    }
}

/// A client of a new server at which the operation's key is cached as number 5, and its other key as 6.
fn prepared<'s>(server: &'s VirtualServer, operation: &Operation, flags: u32) -> Client<'s> {
    let mut client = Client::new(server, 3);
    client.cache(5, flags, &operation.key()).unwrap();
    if let Some(other) = operation.other_key() {
        client.cache(6, operation.other_usage(), &other).unwrap();
    }
    client
}

/// Key generation with number 0: the server chooses, from 255 downwards, whatever the algorithm.
#[test]
fn generated_keys_get_free_numbers() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    let label = "6B6579 00*21";
    let generate = [
        (9, format!("20000000 07000000 00000000 E0070000 00*4 {label}")),
        (15, format!("E0070000 00000000 00*4 {label}")),
        (16, format!("20000000 E0070000 00000000 {label}")),
    ];
    for (number, (algorithm, body)) in (0xFD_u8..=0xFF).rev().zip(generate) {
        let answer = client.compute_raw(PUBLIC_KEY, algorithm, 0, &bytes(&body)).unwrap();
        assert_eq!(answer[..4], [number, 0, 0, 0], "algorithm {algorithm}");
        assert_eq!(client.evict(number.into()), Ok(()));
        assert_eq!(client.cache(number.into(), 0, &[1]), Ok(number.into()));
    }
    assert_eq!(client.evict(0xFC), Err(Status::NOT_FOUND));
}

/// Document 05, §2.4 and §11.
#[test]
fn ephemeral_keys_are_returned_and_not_kept() {
    for family in FAMILIES {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        // The number asked for does not count.
        let (id, private) = generate(&mut client, family, EPHEMERAL | ANY, 0x33).unwrap();
        assert_eq!(id & 0xFF, 0, "{}", family.name);
        assert!(family.private.contains(&private.len()), "{}: {} bytes", family.name, private.len());
        assert!(private.starts_with(&bytes(family.private_start)), "{}", family.name);
        for number in [0x33, 0xFF] {
            assert_eq!(client.evict(number), Err(Status::NOT_FOUND), "{}", family.name);
        }
        // It is a key: imported, it has the public half that a cached key would have come with.
        client.cache(9, 0, &private).unwrap();
        let public = client.export_public(9, family.export).unwrap();
        assert_eq!(public.len(), family.public, "{}", family.name);
    }
}

#[test]
fn cached_keys_come_with_their_public_half() {
    for family in FAMILIES {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        let (id, public) = generate(&mut client, family, ANY | TRUSTED, 0x20).unwrap();
        assert_eq!((id, public.len()), (0x20, family.public), "{}", family.name);
        assert!(public.starts_with(&bytes(family.public_start)), "{}", family.name);
        assert_eq!(client.export_public(0x20, family.export).as_ref(), Ok(&public), "{}", family.name);
        // TRUSTED was not taken over: the key can be exported.
        let private = client.export(0x20).unwrap();
        assert!(family.private.contains(&private.len()), "{}", family.name);
        // What public export gives can be imported and exported again.
        client.cache(0x21, 0, &public).unwrap();
        assert_eq!(client.export_public(0x21, family.export), Ok(public), "{}", family.name);
        // Only the low 16 bits of a number count; the global namespace is another one.
        let (id, _) = generate(&mut client, family, 0, 0x1234_0120).unwrap();
        assert_eq!(id, 0x0120, "{}", family.name);
    }
}

#[test]
fn wrapped_keys_need_a_number() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    for family in FAMILIES {
        assert_eq!(generate(&mut client, family, ANY, 0x200), Err(Status::BAD_ARGUMENTS), "{}", family.name);
        assert_eq!(generate(&mut client, family, ANY, 0x205).unwrap().0, 0x205, "{}", family.name);
        assert_eq!(client.evict(0x205), Ok(()));
    }
}

#[test]
fn generation_replaces_what_may_be_modified() {
    for family in FAMILIES {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        client.cache(1, NONMODIFIABLE, b"fixed").unwrap();
        assert_eq!(generate(&mut client, family, ANY, 1), Err(Status::ACCESS), "{}", family.name);
        assert_eq!(client.export(1).unwrap(), b"fixed");
        // A stored key is in the way too, and one that may be modified is hidden until the new one goes.
        client.cache(2, NONMODIFIABLE, b"stored").unwrap();
        client.commit(2).unwrap();
        client.evict(2).unwrap();
        assert_eq!(generate(&mut client, family, ANY, 2), Err(Status::ACCESS), "{}", family.name);
        client.cache(3, 0, b"old").unwrap();
        client.commit(3).unwrap();
        generate(&mut client, family, ANY, 3).unwrap();
        assert_ne!(client.export(3).unwrap(), b"old");
        client.evict(3).unwrap();
        assert_eq!(client.export(3).unwrap(), b"old", "{}", family.name);
    }
}

#[test]
fn generation_needs_a_free_slot() {
    for family in FAMILIES {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        for number in 1..=9 {
            client.cache(number, 0, &[1; 16]).unwrap();
        }
        for number in 10..=12 {
            client.cache(number, 0, &[1; 1000]).unwrap();
        }
        assert_eq!(generate(&mut client, family, ANY, 0), Err(Status::NO_SPACE), "{}", family.name);
        // Not for a key that is not kept.
        assert!(generate(&mut client, family, EPHEMERAL, 0).is_ok());
    }
}

#[test]
fn short_requests_are_refused_and_long_ones_are_not() {
    for family in FAMILIES.iter() {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        let body = family.generation_body(ANY, 0);
        for length in [0, 4, body.len() - 1] {
            let answer = send_bytes(&mut client, family.generation, &body[..length]);
            assert_eq!(answer, Err(Status::BAD_ARGUMENTS), "{}", family.name);
        }
        let long = [&body[..], &[0xEE; 9]].concat();
        assert!(send_bytes(&mut client, family.generation, &long).is_ok(), "{}", family.name);
    }
    for operation in OPERATIONS {
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, ANY);
        let body = operation.body(5, 0);
        for length in 0..operation.fixed {
            let answer = send_bytes(&mut client, operation.algorithm, &body[..length]);
            assert_eq!(answer, Err(Status::BAD_ARGUMENTS), "{} {length}", operation.name);
        }
        if body.len() > operation.fixed {
            let answer = send_bytes(&mut client, operation.algorithm, &body[..body.len() - 1]);
            assert_eq!(answer, Err(Status::BAD_ARGUMENTS), "{}", operation.name);
        }
        let long = [&body[..], &[0xEE; 9]].concat();
        assert!(send_bytes(&mut client, operation.algorithm, &long).is_ok(), "{}", operation.name);
    }
}

/// Document 05, §2.1: number, then existence, then usage, then the key itself.
#[test]
fn keys_are_looked_up_before_they_are_judged() {
    for operation in OPERATIONS {
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, ANY);
        for id in [0, 0x0100, 0x0200, 0x1234_0000] {
            assert_eq!(operation.send(&mut client, id, 0), Err(Status::BAD_ARGUMENTS), "{}", operation.name);
        }
        for id in [7, 0x0105, 0x0205] {
            assert_eq!(operation.send(&mut client, id, 0), Err(Status::NOT_FOUND), "{}", operation.name);
        }
        assert!(operation.send(&mut client, 0x1234_0005, 0).is_ok(), "{}", operation.name);
        if !operation.usage.is_empty() {
            for length in [1, 100, 1000, 8000] {
                client.cache(8, 0, &vec![0x30; length]).unwrap();
                let answer = operation.send(&mut client, 8, 0);
                assert_eq!(answer, Err(Status::USAGE), "{} {length}", operation.name);
            }
        }
    }
}

/// Document 05, §2.2, one flag at a time.
#[test]
fn operations_need_their_usage_flag() {
    for operation in OPERATIONS {
        for bit in 5..=10 {
            let flag = 1 << bit;
            let allowed = operation.usage.is_empty() || operation.usage.contains(&flag);
            let server = VirtualServer::default();
            let mut client = prepared(&server, operation, flag);
            let expected = if allowed { Ok(()) } else { Err(Status::USAGE) };
            let answer = operation.send(&mut client, 5, 0).map(drop);
            assert_eq!(answer, expected, "{} {flag:#x}", operation.name);
        }
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, 0);
        assert_eq!(
            operation.send(&mut client, 5, 0).is_ok(),
            operation.usage.is_empty(),
            "{}",
            operation.name
        );
    }
}

/// Document 03, §2: they leave the small slots to other keys as long as there are big ones.
#[test]
fn generated_curve_keys_take_big_slots_first() {
    let family = FAMILIES.iter().find(|family| family.export == 2).unwrap();
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    for _ in 0..3 {
        generate(&mut client, family, ANY, 0).unwrap();
    }
    for number in 1..=9 {
        client.cache(number, 0, &[1; 16]).unwrap();
    }
    assert_eq!(generate(&mut client, family, ANY, 0), Err(Status::NO_SPACE));
    client.evict(9).unwrap();
    generate(&mut client, family, ANY, 0).unwrap();
}

/// Document 05, §2.5.
#[test]
fn messages_refused_before_the_key_is_looked_for_evict_nothing() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, ANY, b"no key").unwrap();
    for (algorithm, body, expected) in [
        (1, "04000000 01000000 05000000 01000000 80000000 05", Status::CRYPTO_ARGUMENT),
        (1, "00000000 01000000 05000000 02000000 80000000 05", Status::BAD_ARGUMENTS),
        (4, "01000000 05000000 20000000 00*31", Status::BAD_ARGUMENTS),
        (5, "01000000 05000000 20000000 20000000 00*63", Status::BAD_ARGUMENTS),
        (6, "01000000 05000000 00*4 02000000 00*4", Status::BAD_ARGUMENTS),
        (6, "01000000 05000000 00*4 FF000000 01000000 00", Status::BAD_ARGUMENTS),
        (14, "01000000 05000000 40000000 00*4 02000000 00*4 00*64", Status::BAD_ARGUMENTS),
        (35, "01000000 05000000 00*4 01000000", Status::BAD_ARGUMENTS),
    ] {
        assert_eq!(send(&mut client, algorithm, body), Err(expected), "{algorithm}: {body}");
        assert_eq!(client.export(5).unwrap(), b"no key", "{algorithm}: {body}");
    }
}

/// Document 05, §2.5.
#[test]
fn keys_are_evicted_after_use_if_asked_for() {
    for operation in OPERATIONS {
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, ANY);
        assert!(operation.send(&mut client, 5, operation.evict).is_ok());
        assert_eq!(client.evict(5), Err(Status::NOT_FOUND), "{}", operation.name);

        // After a failure too.
        let mut client = prepared(&server, operation, ANY);
        client.cache(5, ANY, b"no key").unwrap();
        assert!(operation.send(&mut client, 5, operation.evict).is_err());
        assert_eq!(client.evict(5), Err(Status::NOT_FOUND), "{}", operation.name);
        assert_eq!(operation.send(&mut client, 5, operation.evict), Err(Status::NOT_FOUND));

        // A stored key leaves only the cache.
        let mut client = prepared(&server, operation, ANY);
        client.commit(5).unwrap();
        assert!(operation.send(&mut client, 5, operation.evict).is_ok());
        assert_eq!(client.evict(5), Err(Status::NOT_FOUND), "{}", operation.name);
        assert_eq!(client.export(5).unwrap(), operation.key(), "{}", operation.name);

        // A protected key that lies nowhere else stays.
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, ANY | NONMODIFIABLE);
        assert!(operation.send(&mut client, 5, operation.evict).is_ok());
        assert!(operation.send(&mut client, 5, operation.evict).is_ok(), "{}", operation.name);

        // Without the option nothing goes.
        let mut client = prepared(&server, operation, ANY);
        assert!(operation.send(&mut client, 5, 0).is_ok());
        assert_eq!(client.evict(5), Ok(()), "{}", operation.name);
    }
}

/// Document 05, §2.1: a key of another family gives -140, for ML-KEM -132.
#[test]
fn keys_of_other_families_are_refused() {
    for operation in OPERATIONS {
        let expected = Err(if operation.family == "ML-KEM" { Status::BUFFER } else { Status::ASN_PARSE });
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, ANY);
        for other in OPERATIONS.iter().filter(|other| other.family != operation.family) {
            client.cache(8, ANY, &other.key()).unwrap();
            let answer = operation.send(&mut client, 8, 0);
            assert_eq!(answer, expected, "{} with a key of {}", operation.name, other.name);
        }
        // Nor are keys of a symmetric algorithm, whatever their length.
        for length in [1, 16, 24, 32, 33, 64, 65] {
            client.cache(8, ANY, &vec![4; length]).unwrap();
            let answer = operation.send(&mut client, 8, 0);
            assert_eq!(answer, expected, "{} with {length} bytes", operation.name);
        }
    }
    for family in FAMILIES {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        let expected = Err(if family.export == 6 { Status::BUFFER } else { Status::ASN_PARSE });
        for other in OPERATIONS {
            if keys::export_number(other.family) != family.export {
                client.cache(8, ANY, &other.key()).unwrap();
                let answer = client.export_public(8, family.export);
                assert_eq!(answer, expected, "{} from a key of {}", family.name, other.name);
            }
        }
    }
}

/// Document 05, §1.1 and §1.2.
#[test]
fn algorithms_that_there_are_not() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    for algorithm in [0, 2, 10, 11, 12, 13, 25, 26, 27, 28, 29, 30, 31, 32, 33, 36, 0xFFFF_FFFF] {
        let answer = client.compute_raw(PUBLIC_KEY, algorithm, 1, &[0; 100]);
        assert_eq!(answer, Err(Status::NOT_COMPILED_IN), "{algorithm}");
    }
    for algorithm in 18..=24 {
        for sub in [0, 2, 3, 4, 0xFFFF_FFFF] {
            let answer = client.compute_raw(PUBLIC_KEY, algorithm, sub, &[0; 100]);
            assert_eq!(answer, Err(Status::NO_HANDLER), "{algorithm} {sub}");
        }
    }
    assert_eq!(client.compute_raw(PUBLIC_KEY, 24, 1, &[0; 100]), Err(Status::NO_HANDLER));
    // Elsewhere the sub-algorithm does not count.
    let body = bytes("10000000 00000000 00*28");
    assert!(client.compute_raw(PUBLIC_KEY, 15, 77, &body).is_ok());
}

/// Clients of either byte order get the same: all integers change, strings of bytes do not.
#[test]
fn a_big_endian_client_signs() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3).big_endian();
    client.cache(5, ANY, &keys::ed25519_key()).unwrap();
    let answer =
        client.compute_raw(PUBLIC_KEY, 6, 0, &bytes("00000000 00000005 00000000 000000FF 00000000")).unwrap();
    assert_eq!(answer, [&bytes("00000040")[..], &keys::ed25519_signature()].concat());
}
