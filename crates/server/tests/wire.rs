//! Exchanges written down byte by byte, from the protocol reference (document 01, §14; document 04, §11; document 03,
//! §7.1), and what the server says to requests that are wrong.

mod common;

use casemate_protocol::{ByteOrder, Group};
use casemate_server::{Config, Disconnect, Isolation};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use common::{ANY, Client, bytes};

/// A server on which requests before INIT run as client 0: the recordings were made by hand, without INIT.
fn original() -> VirtualServer {
    VirtualServer::new(VirtualOptions {
        config: Config { isolation: Isolation::Original, ..Config::default() },
        ..VirtualOptions::default()
    })
}

fn exchange(client: &mut Client<'_>, request: &str, response: &str) {
    let answer = client.send(&bytes(request)).unwrap();
    assert_eq!(hex::encode(answer), hex::encode(bytes(response)), "to {request}");
}

#[test]
fn connection_messages() {
    let server = VirtualServer::default();
    let mut client = Client::silent(&server);
    let client = &mut client;
    exchange(client, "01A5 0101 0100 0000 0C000000", "01A5 0101 0100 0000 0C000000 39000000");
    exchange(client, "01A5 0501 0200 0000 526571756573743A30", "01A5 0501 0200 0000 526571756573743A30");
    exchange(client, "01A5 0501 0200 3412", "01A5 0501 0200 3412");
    // The original says 6 custom callbacks and 10 DMA addresses, which this server does not have.
    exchange(
        client,
        "01A5 0401 0200 0000",
        "01A5 0401 0200 0000 00200000 1E000000 09000000 00010000 03000000 00200000 00000000 00000000
         01000000 02000000 03000000 04000000 30312E30312E303100 313233343536373800 000000000000",
    );
    exchange(client, "A501 0101 0001 FFFE 0000000C", "A501 0101 0001 FFFE 0000000C 00000039");
    // Refusals are empty: KEEPALIVE, INIT with 16, 0x10C, 0, another identifier, or too short; unknown actions.
    exchange(client, "01A5 0201 0700 0000 68656C6C6F", "01A5 0201 0700 0000");
    for payload in ["10000000", "0C010000", "00000000", "0B000000", "0C0000", ""] {
        exchange(client, &format!("01A5 0101 0400 0000 {payload}"), "01A5 0101 0400 0000");
    }
    for action in ["00", "06", "7F", "FF"] {
        let header = format!("01A5 {action}01 0400 0000");
        exchange(client, &format!("{header} 1122334455"), &header);
    }
    // A longer INIT is one.
    exchange(client, "01A5 0101 0400 0000 0C000000 FFFF", "01A5 0101 0400 0000 0C000000 39000000");
    // CLOSE ends the session once it is answered, whatever it carries.
    let mut buffer = vec![0; server.server().packet_size()];
    let reply = server.handle(&mut client.session, &bytes("01A5 0301 1600 0000 99"), &mut buffer).unwrap();
    assert_eq!((reply.length, reply.close), (8, true));
    assert_eq!(buffer[..8], bytes("01A5 0301 1600 0000"));
}

#[test]
fn a_close_may_be_the_first_message() {
    let server = VirtualServer::default();
    let mut session = server.session();
    let mut buffer = vec![0; server.server().packet_size()];
    let reply = server.handle(&mut session, &bytes("01A5 0301 1600 0000"), &mut buffer).unwrap();
    assert_eq!((reply.length, reply.close), (8, true));
    Client::new(&server, 1);
}

#[test]
fn what_is_no_packet_ends_the_connection() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    for length in 0..8 {
        assert_eq!(client.send(&bytes("01A5 0501 0200 0000")[..length]), Err(Disconnect::Malformed));
    }
    for magic in ["02A5", "FFA5", "A5A5", "0000", "FFFF", "A502"] {
        assert_eq!(client.send(&bytes(&format!("{magic} 0501 0200 0000"))), Err(Disconnect::Malformed));
    }
    let mut longest = bytes("01A5 0501 0200 0000");
    longest.resize(8200, 7);
    assert_eq!(client.send(&longest).unwrap(), longest);
    longest.push(7);
    assert_eq!(client.send(&longest), Err(Disconnect::TooLong));
    let mut buffer = vec![0; server.server().packet_size() - 1];
    let answer = server.handle(&mut client.session, &longest[..8], &mut buffer);
    assert_eq!(answer, Err(Disconnect::ResponseBuffer));
}

#[test]
fn unknown_groups_and_actions_are_answered_without_the_request() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    for group in [0, 5, 6, 9, 10, 11, 14, 15, 0x7F, 255] {
        for action in [0, 1, 5, 0x7F, 255] {
            assert_eq!(client.raw(Group(group), action, &[0x11; 20]), []);
        }
    }
    for action in [17, 0x7F, 255] {
        assert_eq!(client.raw(Group::SHE, action, &[0x11; 20]), []);
    }
    for action in (0..=255).filter(|action| !(1..=8).contains(action)) {
        assert_eq!(client.raw(Group::NVM, action, &[0x11; 20]), []);
    }
    for action in (17..=255).chain([6, 7, 14]) {
        assert_eq!(client.raw(Group::KEY, action, &[0x11; 20]), []);
    }
    for action in (9..=255).filter(|action| *action != 0x26).chain([0]) {
        assert_eq!(client.raw(Group::CERT, action, &[0x11; 20]), []);
    }
    for action in 4..=255 {
        assert_eq!(client.raw(Group::COUNTER, action, &[0x11; 20]), []);
    }
    // A server without users says so (document 01, §5.1, exchange G).
    for action in [0, 1, 6, 255] {
        assert_eq!(client.raw(Group::AUTH, action, &[0x11; 20]), bytes("02F7FFFF"));
    }
}

/// Exchange E of document 01: the error header, in the client's byte order.
#[test]
fn unknown_cryptographic_operations() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 12);
    exchange(
        &mut client,
        "A501 047F 0005 0000 00000001 00000002 00000003",
        "A501 047F 0005 0000 00000001 FFFFFF52 00000000",
    );
    for action in [0, 5, 6, 8, 10, 13, 14, 127, 255] {
        let answer = client.raw(Group::CRYPTO, action, &bytes("04030201 00000000 00000000 99"));
        assert_eq!(answer, bytes("04030201 52FFFFFF 00000000"), "action {action}");
    }
    for cipher in [0, 1, 5, 6, 7, 8, 9, 12, 14] {
        let answer = client.raw(Group::CRYPTO, 2, &[&[cipher, 0, 0, 0][..], &[0; 60]].concat());
        assert_eq!(answer, [&[cipher, 0, 0, 0][..], &bytes("52FFFFFF 00000000")].concat());
    }
    for hash in [0, 4, 9, 16, 17, 18, 19, 20] {
        let answer = client.raw(Group::CRYPTO, 1, &[&[hash, 0, 0, 0][..], &[0; 300]].concat());
        assert_eq!(answer, [&[hash, 0, 0, 0][..], &bytes("52FFFFFF 00000000")].concat());
    }
    for kdf in [0, 3] {
        let answer = client.raw(Group::CRYPTO, 9, &[&[9, 0, 0, 0, kdf, 0, 0, 0][..], &[0; 60]].concat());
        assert_eq!(answer, bytes("09000000 52FFFFFF 00000000"));
    }
    // No header to repeat.
    for length in 0..12 {
        assert_eq!(client.raw(Group::CRYPTO, 4, &[1; 12][..length]), bytes("00000000 30F8FFFF 00000000"));
    }
}

/// Exchange H.
#[test]
fn random_numbers() {
    let server = original();
    let mut client = Client::silent(&server);
    server.random().script(&bytes("8182838485868788898A8B8C8D8E8F90"));
    exchange(
        &mut client,
        "01A5 0404 2900 0000 00000000 00000000 00000000 10000000",
        "01A5 0404 2900 0000 00000000 00000000 00000000 10000000 8182838485868788898A8B8C8D8E8F90",
    );
    // Trailing bytes and the affinity do not matter, lengths are clamped to the response.
    for (asked, given) in [(0_u32, 0), (1, 1), (8176, 8176), (8177, 8176), (u32::MAX, 8176)] {
        for extra in [&[][..], &[1, 2, 3]] {
            let header = bytes("04000000 00000000 4D000000");
            let payload = [&header, &asked.to_le_bytes()[..], extra].concat();
            let answer = client.raw(Group::CRYPTO, 4, &payload);
            assert_eq!(answer.len(), 16 + given);
            assert_eq!(answer[..12], bytes("04000000 00000000 00000000"));
            assert_eq!(answer[12..16], u32::try_from(given).unwrap().to_le_bytes());
        }
    }
    let answer = client.raw(Group::CRYPTO, 4, &bytes("04000000 00000000 00000000 000000"));
    assert_eq!(answer, bytes("04000000 30F8FFFF 00000000"));
}

/// Exchanges J and K.
#[test]
fn counters_and_global_keys_before_init() {
    let server = original();
    let mut client = Client::silent(&server);
    exchange(&mut client, "01A5 0008 3700 0000 00000000 0100 0700", "01A5 0008 3700 0000 00000000 00000000");
    exchange(
        &mut client,
        "01A5 0003 0100 0000 E0070000 10000000 04000000 0500 0000 6C626C31 00*20 30313233343536373839616263646566",
        "01A5 0003 0100 0000 00000000 0501 000000000000",
    );
}

#[test]
fn ciphers() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let client = &mut client;
    exchange(
        client,
        "01a50204 02000000 02000000 00000000 00000000 01000000 10000000 20000000 0000 eeee
         404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f
         000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        "01a50204 02000000 02000000 00000000 00000000 20000000 00*12
         de8e8d962b69074b2a38943bad35bc52 a42c8437314440fde66ba2283786396d a42c8437314440fde66ba2283786396d",
    );
    assert_eq!(client.cache(0x21, ANY, &bytes("000102030405060708090a0b0c0d0e0f")), Ok(0x21));
    for id in ["2100", "21F8"] {
        exchange(
            client,
            &format!(
                "01a50204 07000000 0d000000 00000000 00000000 01000000 00000000 10000000 {id} 0000
                 61747461636b2d61742d6461776e2121"
            ),
            "01a50204 07000000 0d000000 00000000 00000000 10000000 00*12 4e27c21d403d8f5632c07b13a9edc349",
        );
    }
    exchange(
        client,
        "01a50204 05000000 02000000 00000000 00000000 01000000 00000000 10000000 7700 0000 00*32",
        "01a50204 05000000 02000000 c8f7ffff 00000000",
    );
    exchange(
        client,
        "01a50204 23000000 04000000 00000000 00000000 01000000 10000000 14000000 00000000 0000 eeee
         000102030405060708090a0b0c0d0e0f10111213 000102030405060708090a0b0c0d0e0f
         a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 00*16",
        "01a50204 23000000 04000000 00000000 00000000 14000000 0c000000 00*12
         5e19d3fdf2180e79c8aa34dc38aa9f800ad3adcf
         a0a1a2a3a4a5a6a7a8a9aaabacadaeb1 1ac2bfdc97f5799151e1b8b335ec2adb",
    );
    let text = "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f";
    let sealed = "eac77af83acc754dc231ff4b0a5ffe2f03bf715bd7426bf87d492bc01ed0d1f7";
    let rest = "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab 6865616465722d6279746573";
    let tag = "5a83821917bf7f3ed65c956511e65f6b";
    exchange(
        client,
        &format!(
            "01a50204 2e000000 03000000 00000000 00000000
             01000000 10000000 20000000 0c000000 0c000000 10000000 0000 eeee {text} {rest}"
        ),
        &format!("01a50204 2e000000 03000000 00000000 00000000 20000000 10000000 00*20 {sealed} {tag}"),
    );
    let open = "01a50204 2f000000 03000000 00000000 00000000
                00000000 10000000 20000000 0c000000 0c000000 10000000 0000 eeee";
    exchange(
        client,
        &format!("{open} {sealed} {rest} {tag}"),
        &format!("01a50204 2f000000 03000000 00000000 00000000 20000000 00000000 00*20 {text}"),
    );
    exchange(
        client,
        &format!("{open} {sealed} {rest} {tag}").replace("5a8382", "5a8383"),
        "01a50204 2f000000 03000000 4cffffff 00000000",
    );
}

#[test]
fn hashes() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let client = &mut client;
    let m: Vec<u8> = (0..170_u32).map(|i| (7 * i + 3) as u8).collect();
    let (first, last) = (hex::encode(&m[..128]), hex::encode(&m[128..]));
    let state = "b6ce64cb 58d3b7c5 da0cdddb 3b3662c8 2ba354de 1198f75a 2403e617 8f031107";
    exchange(
        client,
        &format!(
            "01a50104 02000000 06000000 00000000 00000000 00000000 00000000
             67e6096a 85ae67bb 72f36e3c 3af54fa5 7f520e51 8c68059b abd9831f 19cde05b 00000000 80000000 {first}"
        ),
        &format!("01a50104 02000000 06000000 00000000 00000000 00000000 80000000 {state} 00*32 06000000"),
    );
    let digest = "acf89d6c62a39a041a1a8a83ebb43924517dbea5c5f45c379a54e81459d5c624";
    exchange(
        client,
        &format!(
            "01a50104 03000000 06000000 00000000 00000000 00000000 80000000 {state} 01000000 2a000000 {last}"
        ),
        &format!("01a50104 03000000 06000000 00000000 00000000 00000000 00000000 {digest} 00*32 06000000"),
    );
    // A big-endian client: state words in its order, the digest a byte string (document 04, §6.3).
    let swapped = "cb64ceb6 c5b7d358 dbdd0cda c862363b de54a32b 5af79811 17e60324 0711038f";
    exchange(
        client,
        &format!(
            "a5010401 00030000 00000006 00000000 00000000 00000000 00000080 {swapped} 00000001 0000002a {last}"
        ),
        &format!("a5010401 00030000 00000006 00000000 00000000 00000000 00000000 {digest} 00*32 00000006"),
    );
    exchange(
        client,
        &format!(
            "01a50104 0f000000 08000000 00000000 00000000 00000000 00000000
             08c9bcf367e6096a 3ba7ca8485ae67bb 2bf894fe72f36e3c f1361d5f3af54fa5
             d182e6ad7f520e51 1f6c3e2b8c68059b 6bbd41fbabd9831f 79217e1319cde05b 08000000 00000000 80000000 {first}"
        ),
        "01a50104 0f000000 08000000 00000000 00000000 00000000 80000000
         cd44ba405c6ba896 b64a133439b42d21 a4d6482c3b6815a1 18e841e8750670d0
         3b7d92241d19ef2d 9d3fcef80af800e9 b715864bd26a2080 3bc30d4439b3276a 08000000",
    );
    let sha3 = format!(
        "01a50104 25000000 0d000000 00000000 00000000 00000000 48000000 00*200 {}",
        hex::encode(&m[..72])
    );
    let answer = client.send(&bytes(&sha3)).unwrap();
    assert_eq!(answer.len(), 8 + 12 + 264);
    assert_eq!(
        answer[8..44],
        bytes("0d000000 00000000 00000000 7dd2349fe7034eaa edbbe89aff622028 4deee622e2a3ccb0")
    );
    assert_eq!(answer[212..220], bytes("16a29b678a27fe8b"));
    assert_eq!(answer[220..], [0; 64]);
}

/// Counts of bytes near the limits: SHA-256 carries; SHA-512 does too, where the original loses the high word.
#[test]
fn hash_lengths_carry() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let payload = |hash: &str, high: &str, low: &str, state: usize, middle: &str, block: usize| {
        bytes(&format!("{hash} 00*8 {high} {low} 00*{state} {middle} 00*{block}"))
    };
    let answer = client.raw(
        Group::CRYPTO,
        1,
        &payload("06000000", "00000000", "C0FFFFFF", 32, "00000000 40000000", 64),
    );
    assert_eq!(answer[12..20], bytes("01000000 00000000"));
    let answer = client.raw(
        Group::CRYPTO,
        1,
        &payload("08000000", "00000000", "80FFFFFF", 64, "08000000 00000000 80000000", 128),
    );
    assert_eq!(answer[12..20], bytes("01000000 00000000"));
    // The variants of SHA-512 only differ in the length of the digest and the number that comes back.
    for (variant, length) in [("08000000", 64), ("10000000", 28), ("11000000", 32)] {
        let middle = format!("{variant} 01000000 00000000");
        let answer =
            client.raw(Group::CRYPTO, 1, &payload("08000000", "00000000", "00000000", 64, &middle, 0));
        assert_eq!(answer.len(), 88);
        assert!(answer[20..20 + length].iter().any(|&byte| byte != 0));
        assert!(answer[20 + length..84].iter().all(|&byte| byte == 0));
        assert_eq!(answer[84..], bytes(variant));
    }
}

#[test]
fn cmac() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let client = &mut client;
    let key = "2b7e151628aed2a6abf7158809cf4f3c";
    let text: String = (0x40..=0x67).map(|byte: u8| format!("{byte:02x}")).collect();
    exchange(
        client,
        &format!("01a50704 02000000 07000000 00*8 10000000 28000000 10000000 0000 eeee 00*40 {text} {key}"),
        "01a50704 02000000 07000000 00*8 00*40 10000000 0000 0000 dc8dff819aefa8bd646e77b09d3add84",
    );
    exchange(
        client,
        &format!(
            "01a50704 0c000000 07000000 00*8 00000000 0b000000 10000000 0000 eeee
             40414243440000000000000000000000 00*16 05000000 00000000 45464748494a4b4c4d4e4f {key}"
        ),
        "01a50704 0c000000 07000000 00*8 404142434445464748494a4b4c4d4e4f 00*16 10000000 00000000 00000000 0000 0000",
    );
    exchange(
        client,
        &format!(
            "01a50704 0f000000 07000000 00*8 10000000 00000000 10000000 0000 eeee
             603124f1b7c05b24a0b0e522162603ca de7dfd8e984bbb5c7e7030840ae46430 01000000 20000000 {key}"
        ),
        "01a50704 0f000000 07000000 00*8 00*40 10000000 0000 0000 da1f50a62857f7455ba011ac862840a4",
    );
}

#[test]
fn key_derivation() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let client = &mut client;
    let tails = "0b*22 000102030405060708090a0b0c f0f1f2f3f4f5f6f7f8f9";
    exchange(
        client,
        &format!(
            "01a50904 02000000 09000000 01000000 00000000
             10000000 00000000 00000000 06000000 16000000 0d000000 0a000000 2a000000 00*24 {tails}"
        ),
        "01a50904 02000000 09000000 00000000 00000000 00000000 2a000000
         3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
    exchange(
        client,
        &format!(
            "01a50904 29000000 09000000 01000000 00000000
             e0070000 00000000 00000000 06000000 16000000 0d000000 0a000000 20000000 64657269766564 00*17 {tails}"
        ),
        "01a50904 29000000 09000000 00000000 00000000 ff000000 00000000",
    );
    exchange(
        client,
        "01a50203 2a000000 ff00 00*6",
        "01a50203 2a000000 00000000 20000000 64657269766564 00*17 00*4
         3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
    );
    exchange(
        client,
        "01a50904 02000000 09000000 02000000 00000000
         10000000 00000000 00000000 00000000 10000000 20000000 0a000000 28000000 00*24
         000102030405060708090a0b0c0d0e0f
         202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f 66697865642d696e666f",
        "01a50904 02000000 09000000 00000000 00000000 00000000 28000000
         acd1522e88039a50c4ded2258edb10002e5dbefee63d32cca2830ab2d60167984c077d9e8f305732",
    );
}

/// The vectors of document 03, §7.1, both ways.
#[test]
fn wrapped_keys_and_data() {
    let blob = bytes(
        "a0a1a2a3a4a5a6a7a8a9aaab 60996b471b42618cd0461e3ff1d09a5b
         d1cef9c002ec8c2d0f0a22fe89bc30f6ef17f5c7ec6f852de2dcee9ae9c27ef85a967040c45522a6e053a29552e129c6",
    );
    let data_blob = bytes("a0a1a2a3a4a5a6a7a8a9aaab f3d498846f0ecc82297dd2a29f487801 bfea6a538dcbeb421509");
    let kek: Vec<u8> = (0x40..0x60).collect();
    let key: Vec<u8> = (0..16).collect();
    let metadata = casemate_protocol::Metadata {
        id: casemate_protocol::ObjectId(0x4106),
        access: 0xFFFF,
        flags: casemate_protocol::Flags(0x07E0),
        length: 16,
        label: "vec".into(),
    };
    // Inside a blob the metadata are little-endian whatever the client's order.
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 1);
        client.order = order;
        client.cache(5, ANY, &kek).unwrap();
        server.random().script(&blob[..12]);
        assert_eq!(client.wrap(5, metadata, &key).unwrap(), blob);
        server.random().script(&blob[..12]);
        assert_eq!(client.data_wrap(5, b"hello wolf").unwrap(), data_blob);
        assert_eq!(client.unwrap_export(5, &blob).unwrap(), (metadata, key.clone()));
        assert_eq!(client.data_unwrap(5, &data_blob).unwrap(), b"hello wolf");
        // One kind of blob is not the other.
        use casemate_protocol::Status;
        assert_eq!(client.data_unwrap(5, &blob), Err(Status::AES_GCM_AUTHENTICATION));
        let mut long = data_blob.clone();
        long.resize(60, 0);
        assert_eq!(client.unwrap_export(5, &long), Err(Status::AES_GCM_AUTHENTICATION));
    }
}
