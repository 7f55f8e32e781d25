//! AUTOSAR SHE through the public interface: every table of document 06.

#![cfg(feature = "she")]

mod common;

use casemate_crypto::she::{Block, Counter, KeyNumber, KeyUpdate, UpdateFlags, UpdateMessages, UpdateProof};
use casemate_crypto::{Error, Random, Software};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, NoStore, ObjectStore};
use casemate_protocol::message::she::action;
use casemate_protocol::{Flags, Group, Label, Metadata, ObjectId, Status};
use casemate_server::{Config, ConfigError, Isolation, SheBoot, SheOptions, SheRules, SheScope};
use casemate_testkit::flash::{Effect, PowerCutFlash};
use casemate_testkit::server::{VirtualOptions, VirtualServer, VirtualSession};
use common::{Client, bytes};

const OK: i32 = 0;
const SEQUENCE: i32 = -2200;
const NOT_AVAILABLE: i32 = -2201;
const INVALID: i32 = -2202;
const NO_SECURE_BOOT: i32 = -2204;
const WRITE_PROTECTED: i32 = -2205;
const UPDATE_ERROR: i32 = -2206;
const SEED: i32 = -2207;
const GENERAL: i32 = -2211;

const UID: &str = "000000000000000000000000000001";
/// The SHE specification's keys, and SP 800-38A's.
const A: &str = "000102030405060708090a0b0c0d0e0f";
const B: &str = "0f0e0d0c0b0a09080706050403020100";
const C: &str = "2b7e151628aed2a6abf7158809cf4f3c";

fn block(text: &str) -> Block {
    bytes(text).try_into().unwrap()
}

struct NoRandom;
impl Random for NoRandom {
    fn fill(&self, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::Entropy)
    }
}

fn driver() -> Software<NoRandom> {
    Software::new(NoRandom)
}

/// An update as an integrator makes it; checked against the published vectors in the crate that has it.
fn update(key: u8, authorizing_key: u8, counter: u32, flags: u8) -> KeyUpdate {
    KeyUpdate {
        uid: bytes(UID).try_into().unwrap(),
        key: KeyNumber::new(key).unwrap(),
        authorizing_key: KeyNumber::new(authorizing_key).unwrap(),
        counter: Counter::new(counter).unwrap(),
        flags: UpdateFlags::from_bits(flags).unwrap(),
    }
}

fn seal(update: KeyUpdate, authorizing: &str, new: &str) -> Vec<u8> {
    let UpdateMessages { m1, m2, m3 } = update.seal(&driver(), &block(authorizing), &block(new)).unwrap();
    [&m1[..], &m2, &m3].concat()
}

fn proof(update: KeyUpdate, new: &str) -> Vec<u8> {
    let uid = bytes(UID).try_into().unwrap();
    let UpdateProof { m4, m5 } = update.prove(&driver(), &uid, &block(new)).unwrap();
    [&m4[..], &m5].concat()
}

/// Little-endian words before a tail.
fn words(words: &[u32], tail: &[u8]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).chain(tail.iter().copied()).collect()
}

fn status(answer: &[u8]) -> i32 {
    i32::from_le_bytes(answer[..4].try_into().unwrap())
}

/// What any connection can do; `S` is the store.
trait Talk {
    fn say(&mut self, group: Group, action: u8, payload: &[u8]) -> Vec<u8>;

    fn she(&mut self, action: u8, payload: &[u8]) -> Vec<u8> {
        self.say(Group::SHE, action, payload)
    }

    /// Outcome alone.
    fn outcome(&mut self, action: u8, payload: &[u8]) -> i32 {
        status(&self.she(action, payload))
    }

    fn set_uid(&mut self) -> i32 {
        self.outcome(action::SET_UID, &[&bytes(UID)[..], &[0xEE]].concat())
    }

    /// Places a key as provisioning does.
    fn place(&mut self, id: u16, counter: u32, flags: u32, key: &[u8]) -> i32 {
        let mut payload = Vec::new();
        for half in [id, 0, 0, u16::try_from(key.len()).unwrap()] {
            payload.extend(half.to_le_bytes());
        }
        payload.extend(counter.to_be_bytes());
        payload.extend(flags.to_be_bytes());
        payload.extend([0; 16]);
        payload.extend(key);
        status(&self.say(Group::NVM, 4, &payload))
    }

    fn remove(&mut self, id: u16) {
        let mut payload = words(&[], &[1, 0]);
        payload.extend(id.to_le_bytes());
        payload.extend([0; 36]);
        assert_eq!(status(&self.say(Group::NVM, 7, &payload)), OK);
    }

    fn register(&mut self) -> u8 {
        let answer = self.she(action::GET_STATUS, &[]);
        assert_eq!((answer.len(), status(&answer), &answer[5..]), (12, OK, &[0; 7][..]));
        answer[4]
    }

    /// Opens the gate the short way: no boot key.
    fn open_gate(&mut self) {
        assert_eq!(self.set_uid(), OK);
        assert_eq!(self.outcome(action::SECURE_BOOT_INIT, &words(&[1, 0], &[])), NO_SECURE_BOOT);
        assert_eq!(self.register(), 0x18);
    }

    /// One command of secure boot: both outcomes.
    fn boot(&mut self, action: u8, payload: &[u8]) -> (i32, i32) {
        let answer = self.she(action, payload);
        assert_eq!(answer.len(), 8);
        (status(&answer), status(&answer[4..]))
    }

    fn boot_image(&mut self, image: &[u8]) -> (i32, i32) {
        let length = u32::try_from(image.len()).unwrap();
        assert_eq!(self.boot(action::SECURE_BOOT_INIT, &words(&[length, 7], &[])), (OK, OK));
        assert_eq!(self.boot(action::SECURE_BOOT_UPDATE, &words(&[length, 7], image)), (OK, OK));
        self.boot(action::SECURE_BOOT_FINISH, &[])
    }

    fn load(&mut self, messages: &[u8]) -> i32 {
        let answer = self.she(action::LOAD_KEY, messages);
        assert_eq!(answer.len(), 52);
        if status(&answer) != OK {
            assert_eq!(answer[4..], [0; 48]);
        }
        status(&answer)
    }

    /// Loads a key and checks the proof.
    fn load_well(&mut self, update: KeyUpdate, authorizing: &str, new: &str) {
        let answer = self.she(action::LOAD_KEY, &seal(update, authorizing, new));
        assert_eq!(status(&answer), OK);
        assert_eq!(answer[4..], proof(update, new));
    }

    fn plain(&mut self, key: &str) {
        assert_eq!(self.outcome(action::LOAD_PLAIN_KEY, &bytes(key)), OK);
    }

    /// One block of ECB: the outcome, and the block.
    fn ecb(&mut self, slot: u8, data: &str) -> Result<String, i32> {
        let data = bytes(data);
        let length = u32::try_from(data.len()).unwrap();
        let answer = self.she(action::ENCRYPT_ECB, &words(&[length, slot.into()], &data));
        match status(&answer) {
            OK => {
                assert_eq!(answer[4..8], length.to_le_bytes());
                Ok(hex::encode(&answer[8..]))
            }
            error => {
                assert_eq!((answer.len(), &answer[4..]), (8, &[0; 4][..]));
                Err(error)
            }
        }
    }

    /// Which key a slot holds.
    fn holds(&mut self, slot: u8) -> Option<&'static str> {
        const ZERO: &str = "00000000000000000000000000000000";
        let block = self.ecb(slot, ZERO).ok()?;
        let of = |key: &str| {
            let mut block = [0; 16];
            casemate_crypto::Cipher::ecb(
                &driver(),
                casemate_crypto::Direction::Encrypt,
                &bytes(key),
                &mut block,
            )
            .unwrap();
            hex::encode(block)
        };
        [A, B, C, ZERO].into_iter().find(|key| of(key) == block).or(Some("another"))
    }
}

impl Talk for Client<'_> {
    fn say(&mut self, group: Group, action: u8, payload: &[u8]) -> Vec<u8> {
        self.raw(group, action, payload)
    }
}

/// A connection to a server over any store.
struct Over<'s, S: ObjectStore> {
    server: &'s VirtualServer<S>,
    session: VirtualSession<S>,
}

impl<'s, S: ObjectStore> Over<'s, S> {
    fn new(server: &'s VirtualServer<S>) -> Self {
        let mut client = Self { server, session: server.session() };
        assert_eq!(client.say(Group::COMM, 1, &[1, 0, 0, 0]).len(), 8);
        client
    }
}

impl<S: ObjectStore> Talk for Over<'_, S> {
    fn say(&mut self, group: Group, action: u8, payload: &[u8]) -> Vec<u8> {
        let packet = [&[1, 0xA5, action, group.0, 0, 0, 0, 0], payload].concat();
        self.server.request(&mut self.session, &packet).unwrap().split_off(8)
    }
}

fn with(she: SheOptions) -> VirtualServer {
    let config = Config { she, ..Config::default() };
    VirtualServer::new(VirtualOptions { config, ..VirtualOptions::default() })
}

/// A server whose gate is open, and its client 1.
fn opened(server: &VirtualServer) -> Client<'_> {
    let mut client = Client::new(server, 1);
    client.open_gate();
    client
}

fn label(server: &VirtualServer, id: u16) -> [u8; 24] {
    server.store(|store| store.metadata(ObjectId(id))).unwrap().label.0
}

fn stored(server: &VirtualServer, id: u16) -> Block {
    let mut key = [0; 16];
    server.store(|store| store.read(ObjectId(id), 0, &mut key)).unwrap();
    key
}

/// Smallest request, whether it must be exact, and size of the response (§4).
const SIZES: [(usize, bool, usize); 17] = [
    (16, false, 8),
    (8, false, 8),
    (8, false, 8),
    (0, true, 8),
    (0, true, 12),
    (64, false, 52),
    (16, false, 4),
    (0, true, 116),
    (0, true, 8),
    (0, true, 20),
    (16, false, 8),
    (8, false, 8),
    (24, false, 8),
    (8, false, 8),
    (24, false, 8),
    (8, false, 20),
    (16, false, 12),
];

#[test]
fn sizes_and_size_errors() {
    for (action, (size, exact, response)) in (0..).zip(SIZES) {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 1);
        if action != action::SET_UID {
            client.open_gate();
        }
        let wrong = if exact { 1 } else { size - 1 };
        let answer = client.she(action, &vec![0xEE; wrong]);
        assert_eq!((answer.len(), status(&answer)), (response, GENERAL), "action {action}");
        let rest = &answer[4..];
        match action {
            1 | 2 => assert_eq!(status(rest), GENERAL),
            8 => assert_eq!(status(rest), GENERAL),
            10 => assert_eq!(status(rest), SEED),
            16 => assert_eq!(rest, [1, 0, 0, 0, 0, 0, 0, 0]),
            _ => assert!(rest.iter().all(|&byte| byte == 0), "action {action}"),
        }
    }
    // A short SET_UID sets nothing.
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    assert_eq!(client.outcome(action::SET_UID, &[1; 15]), GENERAL);
    assert_eq!(client.set_uid(), OK);
    assert_eq!(client.set_uid(), SEQUENCE);
}

/// §3.1: refusals have the full size and nothing in them but the status.
#[test]
fn the_gate_stands_before_every_size_check() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let refused = |client: &mut Client<'_>, action: u8| {
        for payload in [&[][..], &[0xEE; 3], &[0xEE; 200]] {
            let answer = client.she(action, payload);
            let mut expected = vec![0; SIZES[usize::from(action)].2];
            expected[..4].copy_from_slice(&SEQUENCE.to_le_bytes());
            if action == action::VERIFY_MAC {
                expected[4] = 1;
            }
            assert_eq!(answer, expected, "action {action}");
        }
    };
    for action in (1..17).filter(|&action| action != action::GET_STATUS) {
        refused(&mut client, action);
    }
    assert_eq!(client.she(17, &[]), []);
    assert_eq!(client.register(), 0x00);
    assert_eq!(client.set_uid(), OK);
    for action in (5..17).chain([0]) {
        refused(&mut client, action);
    }
    assert_eq!(client.boot(action::SECURE_BOOT_INIT, &words(&[1, 0], &[])), (NO_SECURE_BOOT, GENERAL));
    refused(&mut client, 0);
    assert_eq!(client.outcome(action::LOAD_PLAIN_KEY, &bytes(A)), OK);
    assert_eq!(client.she(17, &[]), []);
    assert_eq!(client.she(255, &[]), []);
}

#[test]
fn before_init_everything_is_refused() {
    let server = VirtualServer::default();
    let mut client = Client::silent(&server);
    for (action, (_, _, response)) in (0..).zip(SIZES) {
        let answer = client.she(action, &[]);
        assert_eq!((answer.len(), status(&answer)), (response, -2101), "action {action}");
    }
}

/// §11.7, in both byte orders.
#[test]
fn big_endian_clients_get_big_endian_numbers() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1).big_endian();
    assert_eq!(client.raw(Group::SHE, 0, &[&bytes(UID)[..], &[0]].concat()), [0; 8]);
    assert_eq!(client.raw(Group::SHE, 1, &[0; 8])[..4], NO_SECURE_BOOT.to_be_bytes());
    assert_eq!(client.raw(Group::SHE, 6, &bytes(C)), [0; 4]);
    let data = bytes("6bc1bee22e409f96e93d7e117393172a");
    let answer = client.raw(Group::SHE, 11, &[&bytes("00000010 0E 000000")[..], &data].concat());
    assert_eq!(answer, bytes("00000000 00000010 3ad77bb40d7a3660a89ecaf32466ef97"));
    let answer = client.raw(Group::SHE, 15, &[&bytes("0000000E 00000010")[..], &data].concat());
    assert_eq!(answer, bytes("00000000 070a16b46b4d4144f79bdd9dd04a287c"));
}

/// §11.6, and the rules of §5 on lengths.
#[test]
fn ciphers() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    client.plain(C);
    let plain = bytes(
        "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
         30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710",
    );
    let ecb = bytes(
        "3ad77bb40d7a3660a89ecaf32466ef97 f5d3d58503b9699de785895a96fdbaaf
         43b1cd7f598ece23881b00e3ed030688 7b0c785e27e8ad3f8223207104725dd4",
    );
    let cbc = bytes(
        "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2
         73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7",
    );
    let iv = bytes(A);
    for (action, iv, from, to) in [
        (action::ENCRYPT_ECB, &[][..], &plain, &ecb),
        (action::DECRYPT_ECB, &[][..], &ecb, &plain),
        (action::ENCRYPT_CBC, &iv[..], &plain, &cbc),
        (action::DECRYPT_CBC, &iv[..], &cbc, &plain),
    ] {
        let request = |length: u32, data: &[u8]| words(&[length, 0xEEEE_EE0E], &[iv, data].concat());
        // Surplus bytes are ignored, and so is what is no whole block, present or not.
        for (length, sent, whole) in
            [(64, 64, 64), (64, 60 + 16, 64), (63, 48, 48), (63, 63, 48), (17, 16, 16), (15, 0, 0), (0, 0, 0)]
        {
            let data: Vec<_> = from.iter().copied().chain([0xEE; 20]).take(sent).collect();
            let answer = client.she(action, &request(length, &data));
            assert_eq!(answer[..8], words(&[0, whole], &[]), "action {action} length {length}");
            assert_eq!(answer[8..], to[..whole as usize]);
        }
        for (length, sent) in [(64, 63), (80, 64), (u32::MAX, 64), (u32::MAX - 15, 0)] {
            assert_eq!(client.she(action, &request(length, &from[..sent])), words(&[GENERAL as u32, 0], &[]));
        }
        // As much as a packet of 8192 bytes carries.
        let room = 8192 - 8 - iv.len();
        let whole = room - room % 16;
        let answer = client.she(action, &request(room.try_into().unwrap(), &vec![0; room]));
        assert_eq!(answer[..8], words(&[0, whole.try_into().unwrap()], &[]));
        assert_eq!(answer.len(), 8 + whole);
    }
    client.plain(A);
    let fips_197 = client.ecb(14, "00112233445566778899aabbccddeeff");
    assert_eq!(fips_197.as_deref(), Ok("69c4e0d86a7b0430d8cdb78070b4c55a"));
}

/// §11.6: CMAC, and §5 on its lengths.
#[test]
fn macs() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    client.plain(C);
    let message = bytes(
        "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
         30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710",
    );
    for (length, mac) in [
        (0_u32, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ] {
        let part = &message[..length as usize];
        // Only the low byte of the slot counts.
        let answer = client.she(action::GENERATE_MAC, &words(&[0xAB00_000E, length], part));
        assert_eq!((status(&answer), &answer[4..]), (OK, &bytes(mac)[..]));
        let mut verify = |mac_length: u32, mac: &[u8]| {
            let tail = [part, mac].concat();
            let answer =
                client.she(action::VERIFY_MAC, &words(&[0x0100_000E, length, mac_length, 0xEE], &tail));
            assert_eq!(answer[5..], [0; 7]);
            (status(&answer), answer[4])
        };
        let mac = bytes(mac);
        for mac_length in 4..=16 {
            assert_eq!(verify(mac_length, &mac), (OK, 0));
            let mut wrong = mac.clone();
            wrong[mac_length as usize - 1] ^= 1;
            assert_eq!(verify(mac_length, &wrong), (OK, 1));
        }
        for mac_length in [0, 1, 2, 3, 17, 20] {
            assert_eq!(verify(mac_length, &[&mac[..], &[0; 4]].concat()), (OK, 1));
        }
        assert_eq!(verify(16, &mac[..15]), (GENERAL, 1));
        assert_eq!(verify(u32::MAX, &mac), (GENERAL, 1));
    }
    assert_eq!(client.outcome(action::GENERATE_MAC, &words(&[14, 65], &message)), GENERAL);
    // Lengths that wrap around in 32 bits.
    let wrapping = words(&[14, u32::MAX, 17, 0], &message);
    assert_eq!(client.outcome(action::VERIFY_MAC, &wrapping), GENERAL);
}

/// §5: what each command answers for a slot without a key.
#[test]
fn slots_that_hold_no_key() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    assert_eq!(client.place(0x2105, 0, 0, &[5; 17]), OK);
    assert_eq!(client.place(0x2106, 0, 0, &[6; 15]), OK);
    assert_eq!(client.place(0x2107, 0, 0, &[]), OK);
    for (slot, content) in [(4_u32, "absent"), (5, "long"), (6, "short"), (7, "empty")] {
        let short = matches!(content, "short" | "empty");
        let ecb = words(&[16, slot], &[0; 16]);
        let cbc = words(&[16, slot], &[0; 32]);
        let first = if short { GENERAL } else { NOT_AVAILABLE };
        assert_eq!(client.outcome(action::ENCRYPT_ECB, &ecb), first, "{content}");
        assert_eq!(client.outcome(action::DECRYPT_ECB, &ecb), first, "{content}");
        assert_eq!(client.outcome(action::ENCRYPT_CBC, &cbc), first, "{content}");
        assert_eq!(client.outcome(action::DECRYPT_CBC, &cbc), NOT_AVAILABLE, "{content}");
        assert_eq!(client.outcome(action::GENERATE_MAC, &words(&[slot, 16], &[0; 16])), NOT_AVAILABLE);
        let verify = words(&[slot, 16, 16, 0], &[0; 32]);
        assert_eq!(client.she(action::VERIFY_MAC, &verify)[..5], words(&[NOT_AVAILABLE as u32], &[1])[..]);
    }
}

/// §5: every slot serves every command, also those above 15; and the zero key of §2.
#[test]
fn slots_that_hold_one() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    assert_eq!(client.holds(1), Some("00000000000000000000000000000000"));
    for slot in [0, 1, 2, 3, 4, 13, 15, 16, 100, 255] {
        assert_eq!(client.place(0x2100 | u16::from(slot), 0, 0, &bytes(B)), OK);
        assert_eq!(client.holds(slot), Some(B), "slot {slot}");
        // What an object message replaces or destroys is not used any more.
        assert_eq!(client.place(0x2100 | u16::from(slot), 0, 0, &bytes(C)), OK);
        assert_eq!(client.holds(slot), Some(C), "slot {slot}");
        client.remove(0x2100 | u16::from(slot));
        assert_eq!(client.holds(slot), (slot == 1).then_some("00000000000000000000000000000000"));
    }
    assert_eq!(client.holds(14), None);
}

/// §6 and §11.5.
#[test]
fn secure_boot() {
    use action::{SECURE_BOOT_FINISH as FINISH, SECURE_BOOT_INIT as INIT, SECURE_BOOT_UPDATE as UPDATE};
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 1);
    let image: Vec<u8> = (0..100).collect();
    let mac = |image: &[u8]| {
        let header = casemate_crypto::she::boot_mac_header(u32::try_from(image.len()).unwrap().to_ne_bytes());
        let mut mac = [0; 16];
        casemate_crypto::cmac(&driver(), &bytes(A), &[&header, image], &mut mac).unwrap();
        mac
    };
    if cfg!(target_endian = "little") {
        assert_eq!(mac(&image), block("8cd87e8e93c3ba4342d1987341697635"));
    }
    // Provisioning comes before identifier and boot.
    assert_eq!(client.place(0x2102, 0, 0, &bytes(A)), OK);
    assert_eq!(client.place(0x2103, 0, 0, &mac(&image)), OK);
    assert_eq!(client.set_uid(), OK);

    // A failed boot may be repeated, and is not reported.
    let mut wrong = image.clone();
    wrong[99] ^= 1;
    assert_eq!(client.boot_image(&wrong), (GENERAL, GENERAL));
    assert_eq!(client.register(), 0x00);
    assert_eq!(client.outcome(action::LOAD_PLAIN_KEY, &bytes(A)), SEQUENCE);

    // The image in uneven parts.
    assert_eq!(client.boot(INIT, &words(&[100, 0], &[])), (OK, OK));
    assert_eq!(client.register(), 0x02);
    let mut rest = &image[..];
    for size in [1, 16, 0, 33, 50] {
        let (part, after) = rest.split_at(size);
        rest = after;
        let part = [part, &[0xEE; 3]].concat();
        assert_eq!(client.boot(UPDATE, &words(&[size.try_into().unwrap(), 0], &part)), (OK, OK));
        assert_eq!(client.register(), 0x02);
    }
    assert_eq!(client.boot(FINISH, &[]), (OK, OK));
    assert_eq!(client.register(), 0x1A);
    client.plain(A);

    // A stray command after success closes the gate again.
    for (action, payload) in [(INIT, words(&[100, 0], &[])), (UPDATE, words(&[0, 0], &[])), (FINISH, vec![])]
    {
        let coarse = if action == FINISH { OK } else { GENERAL };
        assert_eq!(client.boot(action, &payload), (SEQUENCE, coarse));
        assert_eq!(client.register(), 0x00);
        assert_eq!(client.outcome(action::LOAD_PLAIN_KEY, &bytes(A)), SEQUENCE);
        assert_eq!(client.boot_image(&image), (OK, OK));
    }
    assert_eq!(client.boot(INIT, &[0; 7]), (GENERAL, GENERAL));
    assert_eq!(client.register(), 0x00);

    // Out of order, too much, too little, the wrong size: back to the beginning.
    let begin = |client: &mut Client<'_>| assert_eq!(client.boot(INIT, &words(&[100, 0], &[])), (OK, OK));
    for (action, payload, outcome, coarse) in [
        (INIT, words(&[100, 0], &[]), SEQUENCE, GENERAL),
        (FINISH, vec![], SEQUENCE, OK),
        (FINISH, vec![0], GENERAL, OK),
        (UPDATE, words(&[101, 0], &[0; 101]), SEQUENCE, GENERAL),
        (UPDATE, words(&[u32::MAX, 0], &[0; 101]), GENERAL, GENERAL),
        (UPDATE, words(&[4, 0], &[0; 3]), GENERAL, GENERAL),
        (UPDATE, vec![0; 7], GENERAL, GENERAL),
    ] {
        begin(&mut client);
        assert_eq!(client.boot(action, &payload), (outcome, coarse), "{action} {payload:?}");
        assert_eq!(client.register(), 0x00);
        assert_eq!(client.boot(UPDATE, &words(&[1, 0], &[1])), (SEQUENCE, GENERAL));
    }
    // UPDATE when all has arrived.
    begin(&mut client);
    assert_eq!(client.boot(UPDATE, &words(&[100, 0], &image)), (OK, OK));
    assert_eq!(client.boot(UPDATE, &words(&[0, 0], &[])), (SEQUENCE, GENERAL));
    assert_eq!(client.register(), 0x00);

    // Without the expected MAC, or with one of the wrong length.
    for content in [None, Some(&[0; 15][..]), Some(&[0; 17][..])] {
        client.remove(0x2103);
        if let Some(content) = content {
            assert_eq!(client.place(0x2103, 0, 0, content), OK);
        }
        assert_eq!(client.boot_image(&image), (NOT_AVAILABLE, OK));
    }

    // An empty image takes one empty part.
    assert_eq!(client.place(0x2103, 0, 0, &mac(&[])), OK);
    assert_eq!(client.boot(INIT, &words(&[0, 0], &[])), (OK, OK));
    assert_eq!(client.boot(FINISH, &[]), (SEQUENCE, OK));
    assert_eq!(client.boot_image(&[]), (OK, OK));
    assert_eq!(client.register(), 0x1A);
}

/// §6: no boot key opens the gate, and so does one that is none.
#[test]
fn secure_boot_without_a_key() {
    for content in [None, Some(&[0; 15][..]), Some(&[0; 17][..])] {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 1);
        if let Some(content) = content {
            assert_eq!(client.place(0x2102, 0, 0, content), OK);
        }
        client.open_gate();
        client.plain(A);
    }
}

/// §7 and §11.4.
#[test]
fn random_generator() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    let seed = "6bc1bee22e409f96e93d7e117393172a";
    let entropy = bytes("ae2d8a571e03ac9c9eb76fac45af8e51");
    let init = |client: &mut Client<'_>| client.boot(action::INIT_RANDOM, &[]);
    assert_eq!(client.outcome(action::RANDOM, &[]), SEED);
    assert_eq!(client.boot(action::EXTEND_SEED, &entropy), (SEED, SEED));
    assert_eq!(init(&mut client), (NOT_AVAILABLE, GENERAL));
    assert_eq!(client.place(0x2100, 0, 0, &bytes(C)), OK);
    assert_eq!(init(&mut client), (NOT_AVAILABLE, GENERAL));
    assert_eq!(client.place(0x210F, 0x0123_4567, 0x80, &bytes(seed)), OK);
    assert_eq!(init(&mut client), (OK, OK));
    assert_eq!(client.register(), 0x38);
    assert_eq!(init(&mut client), (SEQUENCE, GENERAL));
    assert_eq!(stored(&server, 0x210F), block("41f21213bca0434b3eb3bafcb0a19d74"));
    let mut next = || {
        let answer = client.she(action::RANDOM, &[]);
        assert_eq!((answer.len(), status(&answer)), (20, OK));
        hex::encode(&answer[4..])
    };
    assert_eq!(next(), "614aae8a7bb8fff31ac3230e6240506b");
    assert_eq!(next(), "f369fde4a7cd9e10d7410a8fb076b35d");
    assert_eq!(client.boot(action::EXTEND_SEED, &[&entropy[..], &[1]].concat()), (OK, OK));
    let answer = client.she(action::RANDOM, &[]);
    assert_eq!(hex::encode(&answer[4..]), "bcc82a8e253ee86d33162eb558639e9e");
    // The seed goes on from the present one, not from the stale one of the original; its label stays.
    assert_eq!(stored(&server, 0x210F), block("0f66b510a2f31703675b67b3f6f9b005"));
    assert_eq!(label(&server, 0x210F)[..8], bytes("01234567 00000080"));

    client.remove(0x210F);
    assert_eq!(client.boot(action::EXTEND_SEED, &entropy), (NOT_AVAILABLE, SEED));
    assert_eq!(client.outcome(action::RANDOM, &[]), OK);
    assert_eq!(client.outcome(action::RANDOM, &[0]), GENERAL);
}

/// §11.1 and §11.2, with the specification's bytes on the wire.
#[test]
fn published_updates() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    let published = |client: &mut Client<'_>, request: &str, response: &str| {
        let answer = client.she(action::LOAD_KEY, &bytes(request));
        assert_eq!(hex::encode(answer), hex::encode(bytes(response)));
    };
    assert_eq!(client.place(0x2100, 0, 0, &bytes(C)), OK);
    published(
        &mut client,
        "000000000000000000000000000001 41
         ff8b75f73e6ad5a1729423c6e9311f1a7b152023f03fa356a33f101c3e8195fe cf9626a2df9bb3b6811f87a3be8bffcc",
        "00000000 000000000000000000000000000001 41
         7353dd885b971e09686842f169041ac8 d93fee8aba73e08f9690028ac7246156",
    );
    assert_eq!(client.holds(4), Some(A));
    client.remove(0x2104);
    published(
        &mut client,
        "000000000000000000000000000001 10
         c4bff5e8b73d665bbf790b6da5ceebb8a9d6d83ffff14f0d2b651505f85b6ebc 50d8712ac339a53210c100feadae6564",
        "00000000 000000000000000000000000000001 10
         7353dd885b971e09686842f169041ac8 4c24cc97c53e4a0be6b0ce6b46381b38",
    );
    assert_eq!(client.holds(1), Some(A));
    published(
        &mut client,
        "000000000000000000000000000001 41
         2b111e2d93f486566bcbba1d7f7a9797c94643b050fc5d4d7de14cff682203c3 b9d745e5ace7d41860bc63c2b9f5bb46",
        "00000000 000000000000000000000000000001 41
         b472e8d8727d70d57295e74849a27917 820d8d95dc11b4668878160cb2a4e23e",
    );
    assert_eq!(client.holds(4), Some(B));
    // Flags as §11.2 packs them, and where the label keeps them.
    for (m2, m3, flags) in [
        (
            "7353dd885b971e09686842f169041ac858b7a8db4cb1ebf676755c95cd0586a3",
            "0cfa699545ab409ece38dbb27e377f86",
            0x80,
        ),
        (
            "74c3a812bf192a6b52d89d79d9b04ac87f19526c70790d7fcdb707a77dfdf5a8",
            "bb8ae5b8c10741e317a8dab650c01248",
            0x10,
        ),
        (
            "78e0f384fba9e413a55e60e80f4cb96c34d5683294aec5969ff12b2f903740aa",
            "abad6c280d3c9c0e1a3cf03d73c86c05",
            0x01,
        ),
    ] {
        let request = [bytes("000000000000000000000000000001 51"), bytes(m2), bytes(m3)].concat();
        assert_eq!(client.load(&request), OK);
        assert_eq!(label(&server, 0x2105)[..8], [0, 0, 0, 1, 0, 0, 0, flags]);
        client.remove(0x2105);
    }
}

/// §8.2, in the order of its checks: each request has the fault of its row and, where it can, those of later rows.
#[test]
fn load_key_checks_in_order() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    assert_eq!(client.place(0x2104, 5, 0, &bytes(A)), OK);
    assert_eq!(client.place(0x2105, 5, 0x01, &bytes(A)), OK);
    assert_eq!(client.place(0x2106, 0, 0, &[1; 15]), OK);
    assert_eq!(client.place(0x2107, 0, 0, &[1; 17]), OK);
    let other = KeyUpdate { uid: [7; 15], ..update(4, 4, 6, 0) };

    // 1: size. 2: the authorizing slot. 3: M3.
    assert_eq!(client.load(&[0; 63]), GENERAL);
    assert_eq!(client.load(&seal(update(4, 9, 6, 0), A, B)), GENERAL);
    assert_eq!(client.load(&seal(update(4, 6, 6, 0), A, B)), INVALID);
    assert_eq!(client.load(&seal(update(4, 7, 6, 0), A, B)), INVALID);
    assert_eq!(client.load(&seal(update(5, 4, 6, 0), B, B)), UPDATE_ERROR);
    // 4: the slot.
    assert_eq!(client.load(&seal(KeyUpdate { uid: [7; 15], ..update(6, 4, 6, 0) }, A, B)), INVALID);
    assert_eq!(client.load(&seal(update(7, 4, 6, 0), A, B)), INVALID);
    assert_eq!(client.load(&seal(KeyUpdate { uid: [7; 15], ..update(5, 4, 1, 0) }, A, B)), WRITE_PROTECTED);
    // 5: the identifier. 6: the counter.
    assert_eq!(client.load(&seal(other, A, B)), UPDATE_ERROR);
    assert_eq!(client.load(&seal(KeyUpdate { uid: [0; 15], ..update(4, 4, 6, 0) }, A, B)), UPDATE_ERROR);
    assert_eq!(client.load(&seal(KeyUpdate { uid: [0; 15], ..update(8, 4, 6, 0) }, A, B)), UPDATE_ERROR);
    assert_eq!(client.load(&seal(update(4, 4, 4, 0), A, B)), UPDATE_ERROR);
    assert_eq!(client.load(&seal(update(4, 4, 5, 0), A, B)), UPDATE_ERROR);
    assert_eq!(client.holds(4), Some(A));
    // Every bit of a request counts.
    let good = seal(update(4, 4, 6, 0), A, B);
    for bit in 0..512 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        // Bits 124 to 127 choose another authorizing slot.
        let expected = match (bit / 8, bit % 8) {
            (15, 0) => UPDATE_ERROR,
            (15, 1) => INVALID,
            (15, 2 | 3) => GENERAL,
            _ => UPDATE_ERROR,
        };
        assert_eq!(client.load(&bad), expected, "bit {bit}");
    }
    assert_eq!(client.holds(4), Some(A));
    client.load_well(update(4, 4, 6, 0), A, B);
    assert_eq!(client.holds(4), Some(B));
    assert_eq!(client.load(&good), UPDATE_ERROR);
    // Surplus bytes are ignored.
    assert_eq!(client.load(&[&seal(update(4, 4, 7, 0), B, C)[..], &[1, 2]].concat()), OK);
}

#[test]
fn counters_and_flags_of_updates() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    // The zero master key counts as present with counter 0; an absent slot takes any counter.
    let zero = "00000000000000000000000000000000";
    assert_eq!(client.load(&seal(update(1, 1, 0, 0), zero, A)), UPDATE_ERROR);
    client.load_well(update(1, 1, 1, 0), zero, A);
    client.load_well(update(4, 1, 0, 0), A, B);
    assert_eq!(client.load(&seal(update(4, 1, 0, 0), A, B)), UPDATE_ERROR);
    client.load_well(update(4, 1, 0x0FFF_FFFF, 0), A, C);
    assert_eq!(client.load(&seal(update(4, 1, 0x0FFF_FFFF, 0), A, B)), UPDATE_ERROR);

    // Each flag: where the label keeps it, and what it does to the next update (§2).
    for (bit, kept, protects, wildcard) in [
        (0x10, 0x80, false, false),
        (0x08, 0x40, false, false),
        (0x04, 0x20, false, false),
        (0x02, 0x10, false, true),
        (0x01, 0x01, true, false),
    ] {
        client.load_well(update(5, 1, 1, bit), A, B);
        assert_eq!(label(&server, 0x2105), Label::from_bytes(&[0, 0, 0, 1, 0, 0, 0, kept]).0);
        let any = KeyUpdate { uid: [0; 15], ..update(5, 1, 2, 0) };
        let expected = match (protects, wildcard) {
            (true, _) => WRITE_PROTECTED,
            (_, true) => OK,
            _ => UPDATE_ERROR,
        };
        // M4 carries the server's identifier also then.
        let answer = client.she(action::LOAD_KEY, &seal(any, A, C));
        assert_eq!(status(&answer), expected);
        if expected == OK {
            assert_eq!(answer[4..], proof(any, C));
        }
        let expected = if protects { WRITE_PROTECTED } else { OK };
        assert_eq!(client.load(&seal(update(5, 1, 3, 0), A, C)), expected);
        client.remove(0x2105);
    }
}

/// §8.2, last rows: any slot authorizes any other; access, flags and the label's rest are kept.
#[test]
fn updates_of_every_slot() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    assert_eq!(client.place(0x2104, 0, 0, &bytes(A)), OK);
    for slot in 0..16 {
        client.load_well(update(slot, 4, 1, 0), if slot > 4 { B } else { A }, B);
        assert_eq!(client.holds(slot), Some(B), "slot {slot}");
    }
    let label_bytes: Vec<u8> = (0..24).map(|byte| byte & 0xFE).collect();
    let old = Metadata {
        id: ObjectId(0x2105),
        access: 0x1234,
        flags: Flags::NONMODIFIABLE | Flags::NONEXPORTABLE,
        length: 16,
        label: Label::from_bytes(&label_bytes),
    };
    server.store(|store| store.add(&old, &bytes(A))).unwrap();
    client.load_well(update(5, 4, 0x0ABC_DEF0, 0x10), B, C);
    let new = server.store(|store| store.metadata(ObjectId(0x2105))).unwrap();
    assert_eq!((new.access, new.flags), (0x1234, old.flags));
    assert_eq!(new.label.0[..8], bytes("0ABCDEF0 00000080"));
    assert_eq!(new.label.0[8..], label_bytes[8..]);
    let created = server.store(|store| store.metadata(ObjectId(0x2106))).unwrap();
    assert_eq!((created.access, created.flags, created.length), (0, Flags::NONE, 16));
}

/// §5, §8.2 and §8.3: the RAM key.
#[test]
fn ram_key() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    let export = |client: &mut Client<'_>| client.she(action::EXPORT_RAM_KEY, &[]);
    assert_eq!(status(&export(&mut client)), INVALID);
    client.plain(B);
    let answer = export(&mut client);
    assert_eq!((answer.len(), status(&answer)), (116, NOT_AVAILABLE));
    assert!(answer[4..].iter().all(|&byte| byte == 0));
    assert_eq!(client.place(0x2100, 0, 0, &bytes(C)), OK);
    let answer = export(&mut client);
    assert_eq!(
        hex::encode(&answer),
        hex::encode(bytes(
            "00000000 000000000000000000000000000001 e0
             c4bff5e8b73d665bbf790b6da5ceebb885908d6d6a856c95df43951fac28b1cb 73fd902a188f19712f743fee5051498c
             000000000000000000000000000001 e0 b472e8d8727d70d57295e74849a27917 6ad10dcad1e1fc823a0325ec772ef8ee"
        ))
    );
    assert_eq!(client.outcome(action::EXPORT_RAM_KEY, &[0]), GENERAL);
    // What was exported loads once; the counter then stands until the key is loaded plain.
    client.plain(A);
    assert_eq!(client.load(&answer[4..68]), OK);
    assert_eq!(client.holds(14), Some(B));
    assert_eq!(client.load(&answer[4..68]), UPDATE_ERROR);
    assert_eq!(status(&export(&mut client)), OK);
    client.plain(A);
    assert_eq!(client.load(&answer[4..68]), OK);
    // It never reaches the store.
    let missing = server.store(|store| store.metadata(ObjectId(0x210E)).is_err());
    assert!(missing);
    // Nobody else has it.
    let mut other = Client::new(&server, 2);
    assert_eq!(other.holds(14), None);
}

/// §2.1: no store: keys live in the cache.
#[test]
fn without_a_store() {
    let server = VirtualServer::with_store(VirtualOptions::default(), NoStore);
    let mut client = Over::new(&server);
    client.open_gate();
    let zero = "00000000000000000000000000000000";
    client.load_well(update(4, 1, 1, 0), zero, A);
    client.load_well(update(0, 1, 1, 0), zero, C);
    client.load_well(update(15, 1, 1, 0), zero, "6bc1bee22e409f96e93d7e117393172a");
    assert_eq!(client.holds(4), Some(A));
    assert_eq!(client.load(&seal(update(4, 1, 1, 0), zero, B)), UPDATE_ERROR);
    assert_eq!(client.boot(action::INIT_RANDOM, &[]), (OK, OK));
    let answer = client.she(action::RANDOM, &[]);
    assert_eq!(hex::encode(&answer[4..]), "614aae8a7bb8fff31ac3230e6240506b");
}

/// §3: one record for all clients, slots for each; a full key cache; a session that sees another's update.
#[test]
fn clients_share_the_state_but_not_the_keys() {
    let server = VirtualServer::default();
    let mut first = opened(&server);
    let mut second = Client::new(&server, 2);
    assert_eq!(second.set_uid(), SEQUENCE);
    assert_eq!(second.register(), 0x18);
    assert_eq!(first.place(0x2104, 1, 0, &bytes(A)), OK);
    assert_eq!(second.holds(4), None);
    assert_eq!(second.place(0x2104, 1, 0, &bytes(B)), -2101);
    assert_eq!(second.place(0x2004, 1, 0, &bytes(B)), -2101);
    // Two sessions of one client see each other's updates at once.
    let mut again = Client::new(&server, 1);
    assert_eq!(again.holds(4), Some(A));
    first.load_well(update(4, 4, 2, 0), A, B);
    assert_eq!(again.holds(4), Some(B));
    drop(first);
    assert_eq!(Client::new(&server, 1).holds(4), Some(B));
}

/// §13: the data of a slot leaves through no object message, unless the server is told to be as the original.
#[test]
fn slots_cannot_be_read_as_objects() {
    for (isolation, expected) in
        [(Isolation::Strict, Err(Status::ACCESS)), (Isolation::Original, Ok(bytes(A)))]
    {
        let config = Config { isolation, ..Config::default() };
        let server = VirtualServer::new(VirtualOptions { config, ..VirtualOptions::default() });
        let mut client = opened(&server);
        assert_eq!(client.place(0x2104, 0, 0, &bytes(A)), OK);
        assert_eq!(client.read(0x2104, 0, 16), expected);
        assert_eq!(client.metadata(0x2104).unwrap().length, 16);
    }
}

#[test]
fn global_keys() {
    let refused = Config {
        she: SheOptions { global_keys: true, ..SheOptions::default() },
        features: casemate_protocol::IdFeatures { global_keys: false, ..Config::default().features },
        ..Config::default()
    };
    assert_eq!(refused.check(), Err(ConfigError::SheGlobalKeys));
    let server = with(SheOptions { global_keys: true, ..SheOptions::default() });
    let mut first = opened(&server);
    let mut second = Client::new(&server, 2);
    assert_eq!(first.place(0x2004, 1, 0, &bytes(A)), OK);
    assert_eq!(second.holds(4), Some(A));
    second.load_well(update(4, 4, 2, 0), A, B);
    assert_eq!(first.holds(4), Some(B));
    assert_eq!(stored(&server, 0x2004), block(B));
    second.plain(C);
    assert_eq!(first.holds(14), Some(C));
    // Objects of single clients are no slots here.
    assert_eq!(first.place(0x2105, 1, 0, &bytes(A)), OK);
    assert_eq!(first.holds(5), None);
}

/// §9.
#[test]
fn wrapped_slots() {
    for global in [false, true] {
        let server = with(SheOptions { global_keys: global, ..SheOptions::default() });
        let kek = Metadata {
            id: ObjectId(0x1340),
            flags: Flags::TRUSTED | Flags::USAGE_WRAP,
            length: 16,
            ..Metadata::default()
        };
        for owner in [1, 2] {
            let kek = Metadata { id: ObjectId(0x1040 | owner << 8), ..kek };
            server.store(|store| store.add(&kek, &[4; 16])).unwrap();
        }
        let user = if global { 0x2000 } else { 0x2100 };
        let answer_flag = if global { 0x0100 } else { 0 };
        let mut client = opened(&server);
        for slot in [0, 4] {
            assert_eq!(client.place(user | slot, 7, 0, &bytes(A)), OK);
            let blob = client.wrap_export(0x40, slot, 2).unwrap();
            assert_eq!(blob.len(), 76);
            assert_eq!(client.unwrap_export(0x40, &blob), Err(Status::ABORTED));

            // The blob takes the place of an equal or older key, not of a newer one.
            assert_eq!(client.place(user | slot, 8, 0, &bytes(B)), OK);
            assert_eq!(client.unwrap_cache(0x40, &blob), Err(Status::ACCESS));
            assert_eq!(client.holds(slot as u8), Some(B));
            assert_eq!(client.place(user | slot, 7, 0, &bytes(B)), OK);
            assert_eq!(client.unwrap_cache(0x40, &blob), Ok(slot | answer_flag));
            assert_eq!(client.holds(slot as u8), Some(A));
            assert_eq!(client.unwrap_cache(0x40, &blob), Err(Status::ABORTED));
            // An update counts from the cached key's counter, writes the store and drops the cached key.
            assert_eq!(client.load(&seal(update(slot as u8, slot as u8, 7, 0), A, C)), UPDATE_ERROR);
            client.load_well(update(slot as u8, slot as u8, 8, 0), A, C);
            assert_eq!(stored(&server, user | slot), block(C));
            assert_eq!(client.holds(slot as u8), Some(C));
            assert_eq!(client.unwrap_cache(0x40, &blob), Err(Status::ACCESS));

            // Another client.
            let mut other = Client::new(&server, 2);
            let foreign = other.unwrap_cache(0x40, &blob);
            assert_eq!(foreign, Err(Status::ACCESS));
            client.remove(user | slot);
            let foreign = other.unwrap_cache(0x40, &blob);
            assert_eq!(foreign, if global { Ok(slot | answer_flag) } else { Err(Status::ACCESS) });
        }
        assert_eq!(client.wrap_export(0x40, 9, 2), Err(Status::NOT_FOUND));
        for object_type in [0, 3, 5, 6, 15] {
            let refused = client.wrap_export(0x40, 4, object_type).unwrap_err();
            assert!(matches!(refused, Status::BAD_ARGUMENTS | Status::ACCESS), "{object_type} {refused:?}");
        }
        // A blob without the protection does not take the place of a protected key.
        assert_eq!(client.place(user | 5, 1, 0, &bytes(A)), OK);
        let bare = client.wrap_export(0x40, 5, 2).unwrap();
        assert_eq!(client.place(user | 5, 1, 1, &bytes(A)), OK);
        let protected = client.wrap_export(0x40, 5, 2).unwrap();
        assert_eq!(client.unwrap_cache(0x40, &bare), Err(Status::ACCESS));
        assert_eq!(client.unwrap_cache(0x40, &protected), Ok(5 | answer_flag));
        assert_eq!(client.load(&seal(update(5, 5, 9, 0), A, B)), WRITE_PROTECTED);
    }
}

/// A wrapped key that names owner 0 is nobody's where slots belong to clients.
#[test]
fn wrapped_slots_of_nobody() {
    let global = with(SheOptions { global_keys: true, ..SheOptions::default() });
    let each = VirtualServer::default();
    let kek = Metadata { id: ObjectId(0x1140), flags: Flags(0x1200), length: 16, ..Metadata::default() };
    for server in [&global, &each] {
        server.store(|store| store.add(&kek, &[4; 16])).unwrap();
    }
    let mut client = opened(&global);
    assert_eq!(client.place(0x2004, 7, 0, &bytes(A)), OK);
    let blob = client.wrap_export(0x40, 4, 2).unwrap();
    let mut client = opened(&each);
    assert_eq!(client.unwrap_cache(0x40, &blob), Err(Status::ACCESS));
}

#[test]
fn a_full_cache_is_no_obstacle_to_stored_slots() {
    let server = VirtualServer::default();
    let mut client = opened(&server);
    for id in 1..=9 {
        client.cache(id, 0, &[1; 16]).unwrap();
    }
    assert_eq!(client.place(0x2104, 0, 0, &bytes(A)), OK);
    assert_eq!(client.holds(4), Some(A));
    client.load_well(update(4, 4, 1, 0), A, B);
    assert_eq!(client.outcome(action::LOAD_PLAIN_KEY, &bytes(A)), GENERAL);
    assert_eq!(client.outcome(action::EXPORT_RAM_KEY, &[]), INVALID);
    assert_eq!(client.load(&seal(update(14, 4, 1, 0), B, A)), UPDATE_ERROR);
    client.evict(1).unwrap();
    client.plain(A);
}

// ----- options -----

#[test]
fn an_identifier_of_the_device() {
    let uid = Some(bytes(UID).try_into().unwrap());
    let server = with(SheOptions { uid, ..SheOptions::default() });
    let mut client = Client::new(&server, 1);
    assert_eq!(client.set_uid(), SEQUENCE);
    assert_eq!(client.outcome(action::SECURE_BOOT_INIT, &words(&[1, 0], &[])), NO_SECURE_BOOT);
    client.load_well(update(4, 1, 1, 0), "00000000000000000000000000000000", A);
}

#[test]
fn a_state_for_each_session() {
    let server = with(SheOptions { scope: SheScope::Session, ..SheOptions::default() });
    let mut first = opened(&server);
    let mut second = Client::new(&server, 2);
    assert_eq!(second.register(), 0x00);
    assert_eq!(second.outcome(action::LOAD_PLAIN_KEY, &bytes(A)), SEQUENCE);
    second.open_gate();
    first.plain(A);
    assert_eq!(second.outcome(action::EXPORT_RAM_KEY, &[]), INVALID);
    drop(first);
    assert_eq!(Client::new(&server, 1).register(), 0x00);
}

#[test]
fn a_shortest_mac() {
    let config = |min_mac_length| Config {
        she: SheOptions { min_mac_length, ..SheOptions::default() },
        ..Config::default()
    };
    assert_eq!(config(3).check(), Err(ConfigError::SheMacLength(3)));
    assert_eq!(config(17).check(), Err(ConfigError::SheMacLength(17)));
    let server = with(config(8).she);
    let mut client = opened(&server);
    client.plain(C);
    let mac = bytes("bb1d6929e95937287fa37d129b756746");
    for length in 0..=16 {
        let answer = client.she(action::VERIFY_MAC, &words(&[14, 0, length, 0], &mac));
        assert_eq!((status(&answer), answer[4]), (OK, u8::from(length < 8)));
    }
}

#[test]
fn a_final_boot() {
    let options = || SheOptions { boot: SheBoot::Final, ..SheOptions::default() };
    let image = [7; 20];
    let prepare = |server: &VirtualServer| {
        let mut client = Client::new(server, 1);
        assert_eq!(client.place(0x2102, 0, 0, &bytes(A)), OK);
        let header = casemate_crypto::she::boot_mac_header(20_u32.to_ne_bytes());
        let mut mac = [0; 16];
        casemate_crypto::cmac(&driver(), &bytes(A), &[&header, &image], &mut mac).unwrap();
        assert_eq!(client.place(0x2103, 0, 0, &mac), OK);
        assert_eq!(client.set_uid(), OK);
    };
    let stays = |client: &mut Client<'_>, register| {
        for action in [action::SECURE_BOOT_INIT, action::SECURE_BOOT_UPDATE, action::SECURE_BOOT_FINISH] {
            for payload in [&[][..], &[0; 8], &[0; 4]] {
                assert_ne!(client.outcome(action, payload), OK);
                assert_eq!(client.register(), register);
            }
        }
    };
    // Good: no stray command closes the gate.
    let server = with(options());
    prepare(&server);
    let mut client = Client::new(&server, 1);
    assert_eq!(client.boot_image(&image), (OK, OK));
    stays(&mut client, 0x1A);
    client.plain(A);
    // Bad: it stays so. What happens before the end may be repeated.
    let server = with(options());
    prepare(&server);
    let mut client = Client::new(&server, 1);
    assert_eq!(client.outcome(action::SECURE_BOOT_UPDATE, &[0; 8]), SEQUENCE);
    assert_eq!(client.register(), 0x00);
    assert_eq!(client.boot_image(&[8; 20]), (GENERAL, GENERAL));
    stays(&mut client, 0x0A);
    assert_eq!(client.outcome(action::LOAD_PLAIN_KEY, &bytes(A)), SEQUENCE);
    // No expected MAC.
    let server = with(options());
    prepare(&server);
    let mut client = Client::new(&server, 1);
    client.remove(0x2103);
    assert_eq!(client.boot_image(&image), (NOT_AVAILABLE, OK));
    stays(&mut client, 0x0A);
    // A boot key of the wrong length.
    let server = with(options());
    prepare(&server);
    let mut client = Client::new(&server, 1);
    assert_eq!(client.place(0x2102, 0, 0, &[1; 17]), OK);
    assert_eq!(client.outcome(action::SECURE_BOOT_INIT, &[0; 8]), INVALID);
    stays(&mut client, 0x0A);
    // None at all: as ever.
    let server = with(options());
    let mut client = opened(&server);
    stays(&mut client, 0x18);
}

#[test]
fn the_standards_rules() {
    let server = with(SheOptions { rules: SheRules::Standard, ..SheOptions::default() });
    let mut client = opened(&server);
    let zero = "00000000000000000000000000000000";
    client.load_well(update(1, 1, 1, 0), zero, A);
    // Who may authorize what.
    let allowed = [
        (1, vec![1]),
        (2, vec![1, 2]),
        (3, vec![1, 2]),
        (4, vec![1, 4]),
        (13, vec![1, 13]),
        (14, vec![0, 4, 13]),
        (0, vec![]),
        (15, vec![]),
    ];
    for slot in [0, 2, 3, 4, 13] {
        assert_eq!(client.place(0x2100 | slot, 0, 0, &bytes(A)), OK);
    }
    let mut counter = 1;
    for (slot, authorizing) in allowed {
        for by in [0, 1, 2, 3, 4, 13] {
            counter += 1;
            let expected = if authorizing.contains(&by) { OK } else { INVALID };
            assert_eq!(client.load(&seal(update(slot, by, counter, 0), A, A)), expected, "{slot} by {by}");
        }
    }
    // A RAM key that came encrypted has no counter and does not leave.
    client.load_well(update(14, 4, 1, 0), A, B);
    client.load_well(update(14, 4, 1, 0), A, B);
    assert_eq!(client.outcome(action::EXPORT_RAM_KEY, &[]), INVALID);
    client.plain(B);
    assert_eq!(client.outcome(action::EXPORT_RAM_KEY, &[]), OK);

    // KEY_USAGE; which slots serve at all.
    let mac = words(&[5, 16], &[0; 16]);
    client.load_well(update(5, 1, 1, 0), A, B);
    assert_eq!(client.holds(5), Some(B));
    assert_eq!(client.outcome(action::GENERATE_MAC, &mac), INVALID);
    client.load_well(update(5, 1, 2, 0x02), A, B);
    assert_eq!(client.ecb(5, zero), Err(INVALID));
    assert_eq!(client.outcome(action::GENERATE_MAC, &mac), OK);
    for slot in [0, 1, 2, 3] {
        assert_eq!(client.ecb(slot, zero), Err(INVALID));
        assert_eq!(client.outcome(action::GENERATE_MAC, &words(&[slot.into(), 0], &[])), INVALID);
        let verify = client.outcome(action::VERIFY_MAC, &words(&[slot.into(), 0, 16, 0], &[0; 16]));
        assert_eq!(verify, if slot == 2 { OK } else { INVALID });
    }
    assert_eq!(client.holds(14), Some(B));
    assert_eq!(client.outcome(action::GENERATE_MAC, &words(&[14, 0], &[])), OK);

    // WILDCARD forbids; WRITE_PROTECTION protects.
    let any = |counter, flags| KeyUpdate { uid: [0; 15], ..update(6, 1, counter, flags) };
    assert_eq!(client.load(&seal(any(1, 0), A, B)), OK);
    assert_eq!(client.load(&seal(any(2, 0x01), A, B)), OK);
    assert_eq!(client.load(&seal(any(3, 0), A, B)), UPDATE_ERROR);
    client.load_well(update(6, 1, 3, 0x10), A, B);
    assert_eq!(client.load(&seal(update(6, 1, 4, 0), A, B)), WRITE_PROTECTED);
    // BOOT_PROTECTION: no boot was verified here.
    client.load_well(update(7, 1, 1, 0x08), A, B);
    assert_eq!(client.ecb(7, zero), Err(NOT_AVAILABLE));
    assert_eq!(client.load(&seal(update(7, 7, 2, 0), B, B)), NOT_AVAILABLE);
}

// ----- power cuts -----

type CutStore = FlashStore<PowerCutFlash<8, 64>, Vec<DirectoryEntry>>;

fn mount(flash: PowerCutFlash<8, 64>) -> CutStore {
    FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 6], FlashOptions::new()).unwrap()
}

fn serve(flash: PowerCutFlash<8, 64>) -> VirtualServer<CutStore> {
    VirtualServer::with_store(VirtualOptions::default(), mount(flash))
}

/// The power fails at every write and erase of updates that also make the store compact itself. Afterwards each slot
/// holds its old or its new key with the counter that belongs to it; what was acknowledged is there; and an update that
/// was not can be repeated.
#[test]
fn a_power_cut_during_an_update() {
    const EFFECTS: [Effect; 8] = [
        Effect::None,
        Effect::Complete,
        Effect::First(1),
        Effect::First(4),
        Effect::First(63),
        Effect::Last(4),
        Effect::Garbage(1),
        Effect::Garbage(2),
    ];
    const KEYS: [&str; 3] = [A, B, C];
    let key = |counter: u32| KEYS[counter as usize % 3];
    let mut cuts = 0;
    for effect in EFFECTS {
        for operation in 0.. {
            let mut flash = PowerCutFlash::<8, 64>::new(1024, 0xFF);
            // Slot 4 once, so that there is something to replace.
            let server = serve(flash);
            let mut client = Over::new(&server);
            assert_eq!(client.place(0x2104, 0, 0, &bytes(A)), OK);
            flash = PowerCutFlash::from_image(server.store(|store| store.flash().image().to_vec()), 0xFF);
            drop(client);
            flash.cut_power_at(operation, effect);
            // Mounting writes nothing here, so that the fault strikes an update.
            let server = serve(flash);
            let mut client = Over::new(&server);
            client.open_gate();
            let mut acknowledged = 0;
            let mut refused = None;
            for counter in 1..=5 {
                let messages = seal(update(4, 4, counter, 0), key(counter - 1), key(counter));
                match client.load(&messages) {
                    OK => acknowledged = counter,
                    error => {
                        assert_eq!(error, UPDATE_ERROR);
                        refused = Some(counter);
                        break;
                    }
                }
            }
            let image = server.store(|store| store.flash().image().to_vec());
            let Some(refused) = refused else {
                assert_eq!(acknowledged, 5);
                break;
            };
            cuts += 1;
            let server = serve(PowerCutFlash::from_image(image, 0xFF));
            let mut client = Over::new(&server);
            client.open_gate();
            let found = server.store(|store| store.metadata(ObjectId(0x2104))).unwrap();
            let counter = u32::from_be_bytes(found.label.0[..4].try_into().unwrap());
            assert!(counter == acknowledged || counter == refused, "{counter} {acknowledged} {refused}");
            assert_eq!(client.holds(4), Some(key(counter)), "{effect:?} at {operation}");
            for counter in counter + 1..=6 {
                client.load_well(update(4, 4, counter, 0), key(counter - 1), key(counter));
            }
        }
    }
    assert!(cuts > 8 * 20, "{cuts} cuts");
}

/// The same for the seed of the random generator: no number is given out before the new seed is stored.
#[test]
fn a_power_cut_during_the_start_of_the_random_generator() {
    let old = block("6bc1bee22e409f96e93d7e117393172a");
    let new = block("41f21213bca0434b3eb3bafcb0a19d74");
    for effect in [Effect::None, Effect::Complete, Effect::First(4), Effect::Garbage(1)] {
        for operation in 0.. {
            let server = serve(PowerCutFlash::new(1024, 0xFF));
            let mut client = Over::new(&server);
            assert_eq!(client.place(0x2100, 0, 0, &bytes(C)), OK);
            assert_eq!(client.place(0x210F, 0, 0, &old), OK);
            let mut flash = PowerCutFlash::<8, 64>::from_image(
                server.store(|store| store.flash().image().to_vec()),
                0xFF,
            );
            flash.cut_power_at(operation, effect);
            let server = serve(flash);
            let mut client = Over::new(&server);
            client.open_gate();
            let outcome = client.outcome(action::INIT_RANDOM, &[]);
            if outcome == OK {
                assert!(operation > 0);
                break;
            }
            assert_eq!(outcome, UPDATE_ERROR);
            assert_eq!(client.outcome(action::RANDOM, &[]), SEED);
            let image = server.store(|store| store.flash().image().to_vec());
            let server = serve(PowerCutFlash::from_image(image, 0xFF));
            let mut seed = [0; 16];
            server.store(|store| store.read(ObjectId(0x210F), 0, &mut seed)).unwrap();
            assert!(seed == old || seed == new);
        }
    }
}
