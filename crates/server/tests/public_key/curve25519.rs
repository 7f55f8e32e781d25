//! X25519 and Ed25519 (document 05, §5 and §6).

use super::keys::{
    ALICE_PUBLIC, BOB_PRIVATE, BOB_PUBLIC, ED25519_PUBLIC, SEED, ed25519_key, ed25519_signature, pair,
    public, x25519_key,
};
use super::{ANY, bytes, send, send_bytes};
use crate::common::Client;
use casemate_protocol::Status;
use casemate_testkit::server::VirtualServer;

/// RFC 7748, §6.1: K.
const SECRET: &str = "4A5D9D5BA4CE2DE1728E3BF480350F25E07E21C947D19E3376F09B3C1E161742";

/// Bob's pair is key 5, Alice's public key is key 6.
fn agreeing(server: &VirtualServer) -> Client<'_> {
    let mut client = Client::new(server, 3);
    client.cache(5, ANY, &x25519_key()).unwrap();
    client.cache(6, ANY, &public("6E", ALICE_PUBLIC)).unwrap();
    client
}

fn reversed(text: &str) -> Vec<u8> {
    let mut bytes = bytes(text);
    bytes.reverse();
    bytes
}

#[test]
fn keys_are_big_endian_and_secrets_are_as_asked() {
    let server = VirtualServer::default();
    let mut client = agreeing(&server);
    for (endianness, secret) in [
        ("00000000", bytes(SECRET)),
        ("01000000", reversed(SECRET)),
        ("02000000", bytes(SECRET)),
        ("FFFFFFFF", bytes(SECRET)),
    ] {
        let body = format!("00*4 05000000 06000000 {endianness} 10000000 00*4 00*24");
        assert_eq!(send(&mut client, 7, &body), Ok([&bytes("20000000 00000000")[..], &secret].concat()));
        // Cached in the same order.
        let body = format!("00*4 05000000 06000000 {endianness} 00040000 20000000 00*24");
        assert_eq!(send(&mut client, 7, &body), Ok(bytes("00000000 20000000")));
        assert_eq!(client.export(0x20), Ok(secret));
    }
    assert_eq!(client.export_public(5, 3), Ok(public("6E", BOB_PUBLIC)));
}

/// Document 05, §15: a generated key with itself, both options for eviction.
#[test]
fn a_generated_key_with_itself() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    let answer = send(&mut client, 16, "20000000 00040000 00000000 00*24").unwrap();
    assert_eq!(answer[..20], bytes("FF000000 2C000000 302A300506032B656E032100"));
    let stored = client.export(0xFF).unwrap();
    // Clamped, in the order of the wire.
    assert!((0x40..=0x7F).contains(&stored[16]) && stored[47].trailing_zeros() >= 3);
    let answer = send(&mut client, 7, "03000000 FF000000 FF000000 00*4 10000000 00*4 00*24").unwrap();
    assert_eq!(answer[..8], bytes("20000000 00000000"));
    assert_eq!(client.evict(0xFF), Err(Status::NOT_FOUND));
}

#[test]
fn secrets_in_the_place_of_keys() {
    for (target, kept, gone) in [("05", 5, 6), ("06", 6, 5)] {
        let server = VirtualServer::default();
        let mut client = agreeing(&server);
        let body = format!("03000000 05000000 06000000 00*4 00*4 {target}000000 00*24");
        assert_eq!(send(&mut client, 7, &body), Ok(bytes(&format!("00*4 {target}000000"))));
        assert_eq!(client.export(kept), Ok(bytes(SECRET)));
        assert_eq!(client.evict(gone), Err(Status::NOT_FOUND));
    }
}

#[test]
fn points_of_x25519() {
    let server = VirtualServer::default();
    let mut client = agreeing(&server);
    let mut agree = |point: &str| {
        client.cache(7, 0, &public("6E", point)).unwrap();
        send(&mut client, 7, "00*4 05000000 07000000 00*4 10000000 00*4 00*24").map(drop)
    };
    // 0, 1, p - 1, p, p + 1 and the points of order 8.
    for low in [
        "00*32",
        "00*31 01",
        "7F FF*30 EC",
        "7F FF*30 ED",
        "7F FF*30 EE",
        "00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0",
        "57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F",
    ] {
        assert_eq!(agree(low), Err(Status::ECC_OUT_OF_RANGE), "{low}");
    }
    assert_eq!(agree("7F FF*31"), Ok(()), "not canonical");
    assert_eq!(agree("80 00*31"), Err(Status::ECC_ARGUMENT));
    assert_eq!(agree("FF*32"), Err(Status::ECC_ARGUMENT));
    // A public half alone is no private key.
    let body = "00*4 06000000 05000000 00*4 10000000 00*4 00*24";
    assert_eq!(send(&mut client, 7, body), Err(Status::ECC_ARGUMENT));
    for size in [0_u8, 31, 33, 255] {
        let body = format!("{size:02X}000000 10000000 00*4 00*24");
        assert_eq!(send(&mut client, 16, &body), Err(Status::ECC_ARGUMENT));
    }
}

/// The forms of document 03, §12.2: a pair, one without its public half, one of version 0. The form of RFC 5958, with
/// a byte of unused bits before the public half, is a key too, though not to the original.
#[test]
fn encodings() {
    let server = VirtualServer::default();
    let mut client = agreeing(&server);
    let agree = "00*4 07000000 06000000 00*4 10000000 00*4 00*24";
    let secret = bytes(&format!("20000000 00*4 {SECRET}"));
    for accepted in [
        pair("6E", BOB_PRIVATE, BOB_PUBLIC),
        bytes(&format!("302E020101300506032B656E04220420 {BOB_PRIVATE}")),
        bytes(&format!("302E020100300506032B656E04220420 {BOB_PRIVATE}")),
        bytes(&format!("3051020101300506032B656E04220420 {BOB_PRIVATE} 812100 {BOB_PUBLIC}")),
    ] {
        client.cache(7, ANY, &accepted).unwrap();
        assert_eq!(send(&mut client, 7, agree).as_ref(), Ok(&secret));
    }
    // An unclamped scalar is clamped.
    let mut unclamped = pair("6E", BOB_PRIVATE, BOB_PUBLIC);
    unclamped[16] ^= 0x80;
    unclamped[47] ^= 7;
    client.cache(7, ANY, &unclamped).unwrap();
    assert_eq!(send(&mut client, 7, agree).as_ref(), Ok(&secret));
    let sign_empty = "00*4 07000000 00*4 FF000000 00*4";
    let signature = [&bytes("40000000")[..], &ed25519_signature()].concat();
    let standard = bytes(&format!("3051020101300506032B657004220420 {SEED} 812100 {ED25519_PUBLIC}"));
    for accepted in [pair("70", SEED, ED25519_PUBLIC), standard] {
        client.cache(7, ANY, &accepted).unwrap();
        assert_eq!(send(&mut client, 6, sign_empty).as_ref(), Ok(&signature));
    }
    for (arc, private, half) in [("6E", BOB_PRIVATE, BOB_PUBLIC), ("70", SEED, ED25519_PUBLIC)] {
        let both = format!("{private} {half}");
        for refused in [private, half, &both] {
            client.cache(7, ANY, &bytes(refused)).unwrap();
            let answer =
                if arc == "6E" { send(&mut client, 7, agree) } else { send(&mut client, 6, sign_empty) };
            assert_eq!(answer, Err(Status::ASN_PARSE));
            let export = if arc == "6E" { 3 } else { 4 };
            assert_eq!(client.export_public(7, export), Err(Status::ASN_PARSE));
        }
    }
}

/// Where the original gives up, the public half is computed (document 03, §12.2).
#[test]
fn public_halves_are_computed() {
    let server = VirtualServer::default();
    let mut client = agreeing(&server);
    client.cache(7, ANY, &bytes(&format!("302E020100300506032B656E04220420 {BOB_PRIVATE}"))).unwrap();
    assert_eq!(client.export_public(7, 3), Ok(public("6E", BOB_PUBLIC)));
    let zeros = pair("70", SEED, "00*32");
    for lone in [zeros, bytes(&format!("302E020100300506032B657004220420 {SEED}"))] {
        client.cache(7, ANY, &lone).unwrap();
        assert_eq!(client.export_public(7, 4), Ok(public("70", ED25519_PUBLIC)));
        let signature = send(&mut client, 6, "00*4 07000000 00*4 FF000000 00*4").unwrap();
        assert_eq!(signature[4..], ed25519_signature());
    }
}

/// A public half that is not the seed's would give the seed away.
#[test]
fn no_signature_with_a_foreign_public_half() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    let mut key = ed25519_key();
    *key.last_mut().unwrap() ^= 1;
    client.cache(7, ANY, &key).unwrap();
    assert_eq!(send(&mut client, 6, "00*4 07000000 00*4 FF000000 00*4"), Err(Status::ASN_PARSE));
    assert_eq!(client.export_public(7, 4), Err(Status::ASN_PARSE));
}

/// RFC 8032, §7.2 and §7.3.
const CONTEXT_KEY: (&str, &str) = (
    "0305334E381AF78F141CB666F6199F57BC3495335A256A95BD2A55BF546663F6",
    "DFC9425E4F968F7F0C29F0259CF5F9AED6851C2BB4AD8BFB860CFEE0AB248292",
);
const CONTEXT_SIGNATURE: &str = "55A4CC2F70A54E04288C5F4CD1E45A7BB520B36292911876CADA7323198DD87A
     8B36950B95130022907A7FB7C4E9B2D5F6CCA685A587B4B21F4B888E4E7EDB0D";
const PREHASHED_KEY: (&str, &str) = (
    "833FE62409237B9D62EC77587520911E9A759CEC1D19755B7DA901B96DCA3D42",
    "EC172B93AD5E563BF4932C70E1245034C35467EF2EFD4D64EBF819683467E2BF",
);
/// SHA-512 of "abc".
const DIGEST: &str = "DDAF35A193617ABACC417349AE20413112E6FA4E89A97EA20A9EEEE64B55D39A
     2192992A274FC1A836BA3C23A3FEEBBD454D4423643CE80E2A9AC94FA54CA49F";
const PREHASHED_SIGNATURE: &str = "98A70222F0B8121AA9D30F813D683F809E462B469C7FF87639499BB94E6DAE41
     31F85042463C2A355A2003D062ADF5AAA10B8C61E636062AAAD11C2A26083406";

#[test]
fn the_three_variants() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, ANY, &ed25519_key()).unwrap();
    client.cache(6, ANY, &pair("70", CONTEXT_KEY.0, CONTEXT_KEY.1)).unwrap();
    client.cache(7, ANY, &pair("70", PREHASHED_KEY.0, PREHASHED_KEY.1)).unwrap();
    let pure = hex::encode(ed25519_signature());
    for (id, mode, message, context, signature) in [
        (5, "FF", "", "", pure.as_str()),
        (6, "00", "F726936D19C800494E3FDAFF20B276A8", "666F6F", CONTEXT_SIGNATURE),
        (7, "01", DIGEST, "", PREHASHED_SIGNATURE),
    ] {
        let (length, context_length) = (bytes(message).len(), bytes(context).len());
        let signed = send(
            &mut client,
            6,
            &format!(
                "00*4 {id:02X}000000 {length:02X}000000 {mode}000000 {context_length:02X}000000 {message} {context}"
            ),
        );
        assert_eq!(signed, Ok(bytes(&format!("40000000 {signature}"))));
        let mut verify = |signature: &[u8]| {
            let head = bytes(&format!(
                "00*4 {id:02X}000000 40000000 {length:02X}000000 {mode}000000 {context_length:02X}000000"
            ));
            send_bytes(&mut client, 14, &[&head[..], signature, &bytes(message), &bytes(context)].concat())
        };
        let mut signature = bytes(signature);
        assert_eq!(verify(&signature), Ok(bytes("01000000")));
        signature[0] ^= 1;
        assert_eq!(verify(&signature), Err(Status::SIGNATURE_VERIFICATION));
        // S not below the order of the group.
        signature[0] ^= 1;
        signature[63] |= 0xF0;
        assert_eq!(verify(&signature), Err(Status::CRYPTO_ARGUMENT));
    }
    // Signed with a context and without one is not the same.
    assert!(send(&mut client, 6, "00*4 05000000 00*4 00*4 00*4").is_ok());
}

#[test]
fn arguments_of_ed25519() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, ANY, &ed25519_key()).unwrap();
    client.cache(6, ANY, &public("70", ED25519_PUBLIC)).unwrap();
    let bad = Err(Status::BAD_ARGUMENTS);
    // Modes, a context of 256 bytes, a context where none belongs.
    for mode in ["02000000", "FE000000", "00010000", "FFFFFFFF"] {
        assert_eq!(send(&mut client, 6, &format!("00*4 05000000 00*4 {mode} 00*4")), bad);
        assert_eq!(send(&mut client, 14, &format!("00*4 05000000 40000000 00*4 {mode} 00*4 00*64")), bad);
    }
    assert_eq!(send(&mut client, 6, "00*4 05000000 00*4 00*4 00010000 00*256"), bad);
    assert!(send(&mut client, 6, "00*4 05000000 00*4 00*4 FF000000 00*255").is_ok());
    assert_eq!(send(&mut client, 6, "00*4 05000000 00*4 FF000000 01000000 00"), bad);
    // Such errors come before the key is looked for.
    assert_eq!(send(&mut client, 6, "00*4 09000000 00*4 02000000 00*4"), bad);
    // For a verification without a context it does not count.
    let body =
        format!("00*4 05000000 40000000 00*4 FF000000 01000000 {} 77", hex::encode(ed25519_signature()));
    assert_eq!(send(&mut client, 14, &body), Ok(bytes("01000000")));
    for length in [0, 63, 65] {
        let body = format!("00*4 05000000 01000000 {length:02X}000000 FF000000 00*4 00 00*{length}");
        assert_eq!(send(&mut client, 14, &body), Err(Status::CRYPTO_ARGUMENT));
        let body = format!("00*4 05000000 {length:02X}000000 01000000 00*4 00*{length}");
        assert_eq!(send(&mut client, 6, &body), Err(Status::BAD_LENGTH), "a digest has 64 bytes");
    }
    // The public half alone verifies, and does not sign.
    assert_eq!(send(&mut client, 6, "00*4 06000000 00*4 FF000000 00*4"), Err(Status::CRYPTO_ARGUMENT));
}
