//! Exchanges as they were recorded from the original (document 01, §14, and document 04, §11): the client must send
//! the recorded bytes, with the sequence number it is at and zeros as padding, and understand the recorded answer,
//! stale padding included.

mod common;

use casemate_client::cmac::CmacFinish;
use casemate_client::{
    CmacKdfInput, CtrState, Direction, Error, HashAlgorithm, HkdfInput, Key, NewKey, aes, cmac, hash,
};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{ClientId, Flags, KeyId, Metadata, ObjectId, ObjectType, Status};
use common::{Script, hex};

/// 00 01 … as many as wanted, from `first`.
fn counting(first: u8, length: u8) -> Vec<u8> {
    (first..first + length).collect()
}

fn message(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((7 * i + 3) % 256).unwrap()).collect()
}

#[test]
fn connection() {
    let mut script = Script::new()
        .exchange("01A5 0101 0100 0000 0C000000", "01A5 0101 0100 0000 0C000000 39000000")
        .exchange("01A5 0501 0200 0000 526571756573743A30", "01A5 0501 0200 0000 526571756573743A30")
        .exchange(
            "01A5 0401 0300 0000",
            "01A5 0401 0300 0000 00200000 1E000000 09000000 00010000 03000000 00200000 06000000 0A000000
             01000000 02000000 03000000 04000000 30312E30312E303100 313233343536373800 000000000000",
        )
        .exchange("01A5 0301 0400 0000", "01A5 0301 0400 0000");
    let mut client = script.client();
    assert_eq!(client.init(ClientId::new(12).unwrap()).unwrap(), 57);
    assert_eq!(client.echo(b"Request:0").unwrap(), b"Request:0");
    let info = client.learn_limits().unwrap();
    assert_eq!((info.data_length, info.cache_slots, &info.version), (8192, 9, b"01.01.01\0"));
    assert_eq!(client.data_length(), 1280, "the own buffer is the smaller one");
    client.close().unwrap();
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn counter_and_key_cache() {
    let mut script = Script::new()
        .exchange(
            "01A5 0008 0100 0000 00000000 0100 0000",
            "01A5 0008 0100 0000 00000000 00000000",
        )
        .exchange(
            "01A5 0003 0200 0000 E0070000 10000000 04000000 0500 0000 6C626C31 00*20 30313233343536373839616263646566",
            "01A5 0003 0200 0000 00000000 0501 000004000000",
        );
    let mut client = script.client();
    assert_eq!(client.counter_init(1, 0).unwrap(), 0);
    let new = NewKey { id: KeyId(5), flags: Flags::USAGE_ANY, label: "lbl1".into() };
    assert_eq!(client.key_cache(&new, b"0123456789abcdef").unwrap(), KeyId(0x0105));
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn random() {
    let mut script = Script::new().exchange(
        "01a5 0404 0100 0000 | 04000000 00000000 00000000 | 08000000",
        "01a5 0404 0100 0000 | 04000000 00000000 00000000 | 08000000 8182838485868788",
    );
    let mut bytes = [0; 8];
    script.client().random(&mut bytes).unwrap();
    assert_eq!(bytes.to_vec(), counting(0x81, 8));
    assert!(script.is_finished());
}

#[test]
fn cbc() {
    let mut script = Script::new()
        .exchange(
            "01a50204 01000000 | 02000000 00000000 00000000
             01000000 10000000 20000000 0000 0000
             404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f
             000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
            "01a50204 01000000 | 02000000 00000000 00000000
             20000000 | 10000000 20000000 0000eeee
             de8e8d962b69074b2a38943bad35bc52 a42c8437314440fde66ba2283786396d
             a42c8437314440fde66ba2283786396d",
        )
        .exchange(
            "01a50204 02000000 | 02000000 00000000 00000000 | 01000000 00000000 10000000 7700 0000 | 00*16 00*16",
            "01a50204 02000000 | 02000000 c8f7ffff 00000000",
        );
    let mut client = script.client();
    let (mut data, key) = (counting(0x40, 32), counting(0, 16));
    let mut iv = counting(0xA0, 16).try_into().unwrap();
    client.aes_cbc(Direction::Encrypt, Key::Inline(&key), &mut iv, &mut data).unwrap();
    assert_eq!(data, hex("de8e8d962b69074b2a38943bad35bc52 a42c8437314440fde66ba2283786396d"));
    assert_eq!(iv.to_vec(), hex("a42c8437314440fde66ba2283786396d"));

    let (mut data, mut iv) = ([0; 16], [0; 16]);
    let outcome = client.aes_cbc(Direction::Encrypt, Key::Id(KeyId(0x77)), &mut iv, &mut data);
    assert_eq!(outcome.unwrap_err().status(), Some(Status::NOT_FOUND));
    assert_eq!((data, iv), ([0; 16], [0; 16]));
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn ecb() {
    let mut script = Script::new().exchange(
        "01a50204 01000000 | 0d000000 00000000 00000000 | 01000000 00000000 10000000 2100 0000 |
         61747461636b2d61742d6461776e2121",
        "01a50204 01000000 | 0d000000 00000000 00000000 | 10000000 000000001000000021000000 |
         4e27c21d403d8f5632c07b13a9edc349",
    );
    let mut data = *b"attack-at-dawn!!";
    script.client().aes_ecb(Direction::Encrypt, KeyId(0x21).into(), &mut data).unwrap();
    assert_eq!(data.to_vec(), hex("4e27c21d403d8f5632c07b13a9edc349"));
    assert!(script.is_finished());
}

#[test]
fn ctr() {
    let mut script = Script::new().exchange(
        "01a50204 01000000 | 04000000 00000000 00000000 | 01000000 10000000 14000000 00000000 0000 0000
         000102030405060708090a0b0c0d0e0f10111213 000102030405060708090a0b0c0d0e0f
         a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 00000000000000000000000000000000",
        "01a50204 01000000 | 04000000 00000000 00000000 | 14000000 0c000000 | 14000000 00000000 0000eeee
         5e19d3fdf2180e79c8aa34dc38aa9f800ad3adcf
         a0a1a2a3a4a5a6a7a8a9aaabacadaeb1 1ac2bfdc97f5799151e1b8b335ec2adb",
    );
    let (mut data, key) = (counting(0, 20), counting(0, 16));
    let mut state = CtrState::new(counting(0xA0, 16).try_into().unwrap());
    script.client().aes_ctr(Key::Inline(&key), &mut state, &mut data).unwrap();
    assert_eq!(data, hex("5e19d3fdf2180e79c8aa34dc38aa9f800ad3adcf"));
    assert_eq!(state.counter().to_vec(), hex("a0a1a2a3a4a5a6a7a8a9aaabacadaeb1"));
    assert!(script.is_finished());
}

#[test]
fn gcm() {
    let sealed = "eac77af83acc754dc231ff4b0a5ffe2f03bf715bd7426bf87d492bc01ed0d1f7";
    let tail = "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab 6865616465722d6279746573";
    let plain = hex::encode(counting(0x40, 32));
    let mut script = Script::new()
        .exchange(
            &format!(
                "01a50204 01000000 | 03000000 00000000 00000000 |
                 01000000 10000000 20000000 0c000000 0c000000 10000000 0000 0000 {plain} {tail}"
            ),
            &format!(
                "01a50204 01000000 | 03000000 00000000 00000000 | 20000000 10000000 | ee*20 |
                 {sealed} 5a83821917bf7f3ed65c956511e65f6b"
            ),
        )
        .exchange(
            &format!(
                "01a50204 02000000 | 03000000 00000000 00000000 |
                 00000000 10000000 20000000 0c000000 0c000000 10000000 0000 0000
                 {sealed} {tail} 5a83821917bf7f3ed65c956511e65f6b"
            ),
            &format!("01a50204 02000000 | 03000000 00000000 00000000 | 20000000 00000000 | ee*20 | {plain}"),
        );
    let mut client = script.client();
    let (mut data, key, iv, mut tag) = (counting(0x40, 32), counting(0, 16), counting(0xA0, 12), [0; 16]);
    client.aes_gcm_encrypt(Key::Inline(&key), &iv, b"header-bytes", &mut data, &mut tag).unwrap();
    assert_eq!(
        (hex::encode(&data), hex::encode(tag)),
        (sealed.into(), "5a83821917bf7f3ed65c956511e65f6b".into())
    );
    client.aes_gcm_decrypt(Key::Inline(&key), &iv, b"header-bytes", &mut data, &tag).unwrap();
    assert_eq!(data, counting(0x40, 32));
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn sha256() {
    let first = hex::encode(message(128));
    let rest = hex::encode(&message(170)[128..]);
    let state = "b6ce64cb 58d3b7c5 da0cdddb 3b3662c8 2ba354de 1198f75a 2403e617 8f031107";
    let mut script = Script::new()
        .exchange(
            &format!(
                "01a50104 01000000 | 06000000 00000000 00000000 | 00000000 00000000
                 67e6096a 85ae67bb 72f36e3c 3af54fa5 7f520e51 8c68059b abd9831f 19cde05b
                 00000000 80000000 {first}"
            ),
            &format!("01a50104 01000000 | 06000000 00000000 00000000 | 00000000 80000000 {state} 00*32 06000000"),
        )
        .exchange(
            &format!(
                "01a50104 02000000 | 06000000 00000000 00000000 | 00000000 80000000 {state} 01000000 2a000000 {rest}"
            ),
            "01a50104 02000000 | 06000000 00000000 00000000 | 00000000 00000000
             acf89d6c62a39a041a1a8a83ebb43924517dbea5c5f45c379a54e81459d5c624 | 00*32 | 06000000",
        );
    let digest = script.client().hash(HashAlgorithm::Sha256, &message(170)).unwrap();
    assert_eq!(digest.as_bytes(), hex("acf89d6c62a39a041a1a8a83ebb43924517dbea5c5f45c379a54e81459d5c624"));
    assert!(script.is_finished());
}

/// Only the update was recorded; it is used in its split form.
#[test]
fn sha512_and_sha3_512_updates() {
    let block = hex::encode(message(128));
    let absorbed = hex::encode(&message(128)[..72]);
    let mut script = Script::new()
        .exchange(
            &format!(
                "01a50104 01000000 | 08000000 00000000 00000000 | 00000000 00000000
                 08c9bcf367e6096a 3ba7ca8485ae67bb 2bf894fe72f36e3c f1361d5f3af54fa5
                 d182e6ad7f520e51 1f6c3e2b8c68059b 6bbd41fbabd9831f 79217e1319cde05b
                 08000000 00000000 80000000 {block}"
            ),
            "01a50104 01000000 | 08000000 00000000 00000000 | 00000000 80000000 | cd44ba405c6ba896 b64a133439b42d21
             a4d6482c3b6815a1 18e841e8750670d0 3b7d92241d19ef2d 9d3fcef80af800e9 b715864bd26a2080
             3bc30d4439b3276a | 08000000",
        )
        .exchange(
            &format!(
                "01a50104 02000000 | 0d000000 00000000 00000000 | 00000000 48000000 | 00*200 | {absorbed}"
            ),
            "01a50104 02000000 | 0d000000 00000000 00000000 | 7dd2349fe7034eaa 00*192 | 00*64",
        );
    let mut client = script.client();
    let sha512 = hash::Hash::new(HashAlgorithm::Sha512);
    let operation = hash::Absorb { hash: &sha512, data: &message(128) };
    client.start(&operation).unwrap();
    let after = client.poll(&operation).unwrap().expect("the answer is there");
    assert_eq!(after.capacity(1280), 1152, "nothing is left over");

    let sha3 = hash::Hash::new(HashAlgorithm::Sha3_512);
    let data = &message(128)[..80];
    let operation = hash::Absorb { hash: &sha3, data };
    client.start(&operation).unwrap();
    let after = client.poll(&operation).unwrap().expect("the answer is there");
    assert_eq!(after.capacity(1280), 1008 - 8, "8 bytes are left over");
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn cmac_once() {
    let mut script = Script::new().exchange(
        &format!(
            "01a50704 01000000 | 07000000 00000000 00000000 | 10000000 28000000 10000000 0000 0000 | 00*40 |
             {} 2b7e151628aed2a6abf7158809cf4f3c",
            hex::encode(counting(0x40, 40))
        ),
        "01a50704 01000000 | 07000000 00000000 00000000 | 00*40 | 10000000 0000 0000 |
         dc8dff819aefa8bd646e77b09d3add84",
    );
    let (mut mac, key) = ([0; 16], hex("2b7e151628aed2a6abf7158809cf4f3c"));
    script.client().cmac(Key::Inline(&key), &counting(0x40, 40), &mut mac).unwrap();
    assert_eq!(mac.to_vec(), hex("dc8dff819aefa8bd646e77b09d3add84"));
    assert!(script.is_finished());
}

/// The recorded stream, each state as the server gave it before; residue bytes must come back as they were.
#[test]
fn cmac_stream() {
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let residue = "60 3124f1b7c05b24a0b0e522162603ca de7dfd8e984bbb5c7e7030840ae46430 01000000 20000000";
    let mut script = Script::new()
        .answer(&["01a50704 01000000 | 07000000 00000000 00000000 |
                   4041424344 00*11 00*16 05000000 00000000 | 00000000 0000 0000"])
        .exchange(
            "01a50704 02000000 | 07000000 00000000 00000000 | 00000000 0b000000 10000000 0000 0000
             40414243440000000000000000000000 00*16 05000000 00000000 | 45464748494a4b4c4d4e4f
             2b7e151628aed2a6abf7158809cf4f3c",
            &format!("01a50704 02000000 | 07000000 00000000 00000000 | {residue} | 00000000 0000 0000"),
        )
        .exchange(
            &format!(
                "01a50704 03000000 | 07000000 00000000 00000000 | 10000000 00000000 10000000 0000 0000
                 {residue} 2b7e151628aed2a6abf7158809cf4f3c"
            ),
            "01a50704 03000000 | 07000000 00000000 00000000 | 00*40 | 10000000 0000 6430 |
             da1f50a62857f7455ba011ac862840a4",
        );
    let mut client = script.client();
    let mut stream = cmac::Cmac::new(Key::Inline(&key));
    client.cmac_update(&mut stream, b"@ABCD").unwrap();
    client.cmac_update(&mut stream, b"EFGHIJKLMNO").unwrap();
    let operation = CmacFinish { cmac: &stream, mac_length: 16 };
    assert_eq!(client.run(&operation).unwrap(), hex("da1f50a62857f7455ba011ac862840a4"));
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn hkdf() {
    let tails = "0b*22 000102030405060708090a0b0c f0f1f2f3f4f5f6f7f8f9";
    let okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    let mut script = Script::new()
        .exchange(
            &format!(
                "01a50904 01000000 | 09000000 01000000 00000000 | 10000000 00000000 00000000 06000000 16000000
                 0d000000 0a000000 2a000000 | 00*24 {tails}"
            ),
            &format!("01a50904 01000000 | 09000000 00000000 00000000 | 00000000 2a000000 | {okm}"),
        )
        .exchange(
            &format!(
                "01a50904 02000000 | 09000000 01000000 00000000 | e0070000 00000000 00000000 06000000 16000000
                 0d000000 0a000000 20000000 | \"derived\" 00*17 | {tails}"
            ),
            "01a50904 02000000 | 09000000 00000000 00000000 | ff000000 00000000",
        );
    let mut client = script.client();
    let input = HkdfInput {
        hash: HashAlgorithm::Sha256,
        key: Key::Inline(&[0x0B; 22]),
        salt: &counting(0, 13),
        info: &counting(0xF0, 10),
    };
    let mut out = [0; 42];
    client.hkdf_export(&input, &mut out).unwrap();
    assert_eq!(hex::encode(out), okm);
    let new = NewKey { flags: Flags::USAGE_ANY, label: "derived".into(), ..NewKey::default() };
    assert_eq!(client.hkdf_cache(&input, &new, 32).unwrap(), KeyId(255));
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn cmac_kdf() {
    let out = "acd1522e88039a50c4ded2258edb10002e5dbefee63d32cca2830ab2d60167984c077d9e8f305732";
    let mut script = Script::new().exchange(
        &format!(
            "01a50904 01000000 | 09000000 02000000 00000000 | 10000000 00000000 00000000 00000000 10000000 20000000
             0a000000 28000000 | 00*24 {} {} 66697865642d696e666f",
            hex::encode(counting(0, 16)),
            hex::encode(counting(0x20, 32))
        ),
        &format!("01a50904 01000000 | 09000000 00000000 00000000 | 00000000 28000000 | {out}"),
    );
    let (salt, z) = (counting(0, 16), counting(0x20, 32));
    let input = CmacKdfInput { salt: Key::Inline(&salt), z: Key::Inline(&z), info: b"fixed-info" };
    let mut key = [0; 40];
    script.client().cmac_kdf_export(&input, &mut key).unwrap();
    assert_eq!(hex::encode(key), out);
    assert!(script.is_finished());
}

/// A single operation through the generic form, and the same through the layer below it.
#[test]
fn the_three_forms_send_the_same() {
    use casemate_protocol::message::crypto::{EcbRequest, cipher};
    let answer =
        "01a50204 01000000 | 0d000000 00000000 00000000 | 10000000 00*12 | 4e27c21d403d8f5632c07b13a9edc349";
    let input = *b"attack-at-dawn!!";
    let operation = aes::Ecb { direction: Direction::Encrypt, key: KeyId(0x21).into(), input: &input };
    let mut blocking = Script::new().answer(&[answer]);
    blocking.client().aes_ecb(Direction::Encrypt, KeyId(0x21).into(), &mut { input }).unwrap();
    let mut split = Script::new().answer(&[answer]);
    split.client().run(&operation).unwrap();
    let mut plain = Script::new().answer(&[answer]);
    let request = EcbRequest { encrypt: 1, key_length: 0, length: 16, key: KeyId(0x21) };
    let mut client = plain.client();
    client.send_crypto(cipher::AES_ECB, 0, &request, &[&input]).unwrap();
    let (response, tail) = client.receive_crypto::<EcbRequest>(cipher::AES_ECB).unwrap().unwrap();
    assert_eq!((response.length, tail), (16, &hex("4e27c21d403d8f5632c07b13a9edc349")[..]));
    drop(client);
    assert_eq!(blocking.sent, split.sent);
    assert_eq!(blocking.sent, plain.sent);
}

/// Exchange F: the original refuses a client identifier with an empty payload.
#[test]
fn a_refused_client_is_told_so() {
    let mut script = Script::new().answer(&["01A5 0101 0100 0000"]);
    assert!(matches!(
        script.client().init(ClientId::new(1).unwrap()),
        Err(Error::Protocol(casemate_client::ProtocolFault::Empty))
    ));
}

/// Objects, from a recorded run of the original's test program.
#[test]
fn objects() {
    let record = "1400ffff00001100 4c6162656c3a3230 00*16";
    let data = "446174613a323020436f756e7465723a30";
    let mut script = Script::new()
        .exchange("01a50102 0100 0000 01000000", "01a50102 0100 0000 00000000 39000000 01000000")
        .exchange("01a50302 0200 0000", "01a50302 0200 0000 00000000 58f90700 00000000 1e00 0000")
        .exchange(&format!("01a50402 0300 0000 {record} {data}"), "01a50402 0300 0000 00000000")
        .exchange("01a50602 0400 0000 1400", &format!("01a50602 0400 0000 00000000 {record}"))
        .exchange("01a50602 0500 0000 1400", &format!("01a50602 0500 0000 00000000 {record}"))
        .exchange("01a50802 0600 0000 1400 0000 1100", &format!("01a50802 0600 0000 00000000 {data}"))
        .exchange("01a50502 0700 0000 ffff 0000 0000", "01a50502 0700 0000 00000000 0500 1400")
        .exchange("01a50702 0800 0000 0100 1400 00*36", "01a50702 0800 0000 00000000")
        .exchange("01a50702 0900 0000 0000 00*38", "01a50702 0900 0000 00000000")
        .exchange("01a50202 0a00 0000", "01a50202 0a00 0000 00000000");
    let mut client = script.client();
    assert_eq!(client.nvm_init(1).unwrap(), 57);
    let available = client.nvm_available().unwrap();
    assert_eq!((available.free_size, available.free_objects), (0x0007_F958, 30));
    let id = ObjectId(20);
    let metadata =
        Metadata { id, access: 0xFFFF, length: 17, label: "Label:20".into(), ..Metadata::default() };
    // The length in the record is the data's, whatever the caller's record says.
    client.nvm_add(&Metadata { length: 999, ..metadata }, &hex(data)).unwrap();
    assert_eq!(client.nvm_metadata(id).unwrap(), metadata);
    let mut out = [0; 20];
    assert_eq!(client.nvm_read(id, &mut out).unwrap(), 17);
    assert_eq!(out[..17], hex(data));
    assert_eq!(client.nvm_next(ObjectId::INVALID).unwrap(), Some(id));
    client.nvm_destroy(&[id]).unwrap();
    client.nvm_compact().unwrap();
    client.nvm_cleanup().unwrap();
    drop(client);
    assert!(script.is_finished());
}

/// Counters, from the same recording.
#[test]
fn counters() {
    let mut script = Script::new()
        .exchange("01a50108 0100 0000 0100 00*6", "01a50108 0100 0000 00000000 01000000")
        .exchange("01a50208 0200 0000 0100 00*6", "01a50208 0200 0000 00000000 02000000")
        .exchange("01a50308 0300 0000 0100 00*6", "01a50308 0300 0000 00000000 00000000");
    let mut client = script.client();
    assert_eq!(client.counter_increment(1).unwrap(), 1);
    assert_eq!(client.counter_read(1).unwrap(), 2);
    client.counter_destroy(1).unwrap();
    drop(client);
    assert!(script.is_finished());
}

/// Keys, from the same recording; stale padding in the answers is theirs.
#[test]
fn keys() {
    let label = hex::encode(b"keyCacheRandom Test");
    let mut script = Script::new()
        .exchange("01a50103 0100 0000 ff00 00*6", "01a50103 0100 0000 00000000 00000000 63657274")
        .exchange("01a50303 0200 0000 0100 00*6", "01a50303 0200 0000 00000000 00000000 0b000000")
        .exchange("01a50403 0300 0000 0100 00*6", "01a50403 0300 0000 cbf7ffff 00000000 0b000000")
        .exchange(
            "01a50203 0400 0000 0400 00*6",
            "01a50203 0400 0000 00000000 10000000 6e6f6e64657374726f7961626c655f6b6579 00*6 65790000
             0123456789abcdef1032547698badcfe",
        )
        .exchange(
            &format!("01a50f03 0500 0000 00000000 13000000 2000 0000 00000000 {label} 00*5"),
            "01a50f03 0500 0000 00000000 ff00 000020000000",
        )
        .exchange("01a50503 0600 0000 ff00 00*6", "01a50503 0600 0000 00000000 00000000")
        .exchange("01a50d03 0700 0000 ff00 0200 00000000", "01a50d03 0700 0000 74ffffff 00*28 ab223f4c");
    let mut client = script.client();
    client.key_evict(KeyId(255)).unwrap();
    client.key_commit(KeyId(1)).unwrap();
    assert_eq!(client.key_erase(KeyId(1)).unwrap_err().status(), Some(Status::ACCESS));
    let mut key = [0; 32];
    let (length, label) = client.key_export(KeyId(4), &mut key).unwrap();
    assert_eq!(key[..length], hex("0123456789abcdef1032547698badcfe"));
    assert_eq!(label, "nondestroyable_key".into());
    let new = NewKey { label: "keyCacheRandom Test".into(), ..NewKey::default() };
    assert_eq!(client.key_cache_random(&new, 32).unwrap(), KeyId(255));
    client.key_revoke(KeyId(255)).unwrap();
    let error = client.key_export_public(KeyId(255), KeyAlgorithm::ECC, &mut key).unwrap_err();
    assert_eq!(error.status(), Some(Status::ASN_PARSE));
    drop(client);
    assert!(script.is_finished());
}

/// Wrapping, from the same recording. The original leaves the cipher out of some refusals; the status counts.
#[test]
fn wrapping() {
    let metadata = "14410000e0072000 53774b656b204b6579204c6162656c 00*9";
    let key = "d66d9791f631536f916fedcbab480dcffc27e75d7bf531b4d13bd829083a51fb";
    let blob = "bfe946d10bdf6d128b9375ac4701dd83a97750b0f73aca324792c73cfc0b675947b4d8f9ca9efe51b4bc7167b4fa2e49285577db\
                f7fe4dedfd009ecee7658ac122fa9f33eceec6c21b3e9ebe3584e8ac22b6e8a193eb985f891918e8";
    let data = "4578616d706c6520646174612100";
    let wrapped = "25b19d13ba6f394a049f1666e2c33db791a974ab7c037e26ddecf07569c8c0295e682883795421db8872";
    let mut script = Script::new()
        .exchange(
            &format!("01a50803 0100 0000 2000 0a00 0300 {metadata} {key}"),
            &format!("01a50803 0100 0000 00000000 5c00 0300 {blob}"),
        )
        .exchange(
            &format!("01a50903 0200 0000 5c00 0a00 0300 0000 {blob}"),
            &format!("01a50903 0200 0000 00000000 2000 0300 {metadata} {key}"),
        )
        .exchange("01a50903 0300 0000 0100 0a00 0300 0000 00", "01a50903 0300 0000 30f8ffff 0000 0300 00*32")
        .exchange("01a51003 0400 0000 1500 0100 0a00 0300", "01a51003 0400 0000 cbf7ffff 0000 0300")
        .exchange(
            &format!("01a50a03 0500 0000 5c00 0a00 0300 0000 {blob}"),
            "01a50a03 0500 0000 cbf7ffff 0000 0000",
        )
        .exchange(
            &format!("01a50b03 0600 0000 0e000000 0a00 0300 {data}"),
            &format!("01a50b03 0600 0000 00000000 2a000000 0300 616d {wrapped}"),
        )
        .exchange(
            &format!("01a50c03 0700 0000 2a000000 0a00 0300 {wrapped}"),
            &format!("01a50c03 0700 0000 00000000 0e000000 0300 9d13 {data}"),
        )
        .answer(&["01a50c03 0800 0000 00000000 01000000 0000 0000 00"]);
    let mut client = script.client();
    let (kek, mut out) = (KeyId(10), [0; 100]);
    let described = Metadata {
        id: ObjectId(0x4114),
        flags: Flags::USAGE_ANY,
        length: 32,
        label: "SwKek Key Label".into(),
        ..Metadata::default()
    };
    assert_eq!(client.key_wrap(kek, &described, &hex(key), &mut out).unwrap(), 92);
    assert_eq!(out[..92], hex(blob));
    assert_eq!(client.key_unwrap_export(kek, &hex(blob), &mut out).unwrap(), (32, described));
    assert_eq!(out[..32], hex(key));
    let error = client.key_unwrap_export(kek, &[0], &mut out).unwrap_err();
    assert_eq!(error.status(), Some(Status::BAD_ARGUMENTS));
    let error = client.key_wrap_export(kek, KeyId(21), ObjectType::CRYPTO, &mut out).unwrap_err();
    assert_eq!(error.status(), Some(Status::ACCESS));
    let error = client.key_unwrap_cache(kek, &hex(blob)).unwrap_err();
    assert_eq!(error.status(), Some(Status::ACCESS));
    assert_eq!(client.data_wrap(kek, &hex(data), &mut out).unwrap(), 42);
    assert_eq!(out[..42], hex(wrapped));
    assert_eq!(client.data_unwrap(kek, &hex(wrapped), &mut out).unwrap(), 14);
    assert_eq!(out[..14], hex(data));
    // A success without the cipher that was asked for is none.
    assert!(matches!(
        client.data_unwrap(kek, &hex(wrapped), &mut out),
        Err(Error::Protocol(casemate_client::ProtocolFault::Contradiction))
    ));
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn a_client_that_does_not_wait_is_asked_twice() {
    let mut script = Script::new()
        .exchange("01A5 0008 0100 0000 00000000 0100 0000", "01A5 0008 0100 0000 00000000 00000000")
        .exchange("01A5 0301 0200 0000", "01A5 0301 0200 0000");
    let mut client = script.client();
    client.set_waiting(false);
    assert!(matches!(client.counter_init(1, 0), Err(Error::InProgress)));
    assert!(client.is_pending());
    assert!(matches!(client.close(), Err(Error::Argument(_))), "another call");
    assert_eq!(client.counter_init(1, 0).unwrap(), 0);
    assert!(!client.is_pending());
    // What takes several requests, or one that is too long, fails before anything is sent.
    assert!(matches!(client.nvm_read(ObjectId(1), &mut [0; 10]), Err(Error::SeveralRequests)));
    let mac = client.hmac_verify(HashAlgorithm::Sha256, b"key", b"data", &[0; 32]);
    assert!(matches!(mac, Err(Error::SeveralRequests)));
    assert!(matches!(client.rsa_size(Key::Inline(b"key")), Err(Error::SeveralRequests)));
    assert!(matches!(client.random(&mut [0; 2000]), Err(Error::TooLong { needed: 2016, limit: 1280 })));
    let long = client.aes_ecb(Direction::Encrypt, Key::Id(KeyId(1)), &mut [0; 1264]);
    assert!(matches!(long, Err(Error::TooLong { .. })), "{long:?}");
    assert!(matches!(client.close(), Err(Error::InProgress)));
    client.close().unwrap();
    drop(client);
    assert!(script.is_finished());
}
