//! Replays a recorded run of the original's client test program against the original's server
//! (`tests/data/README.md`) and compares every answer.

use casemate_nvm::ObjectStore;
use casemate_protocol::{Flags, Label, Metadata, ObjectId};
use casemate_testkit::server::{VirtualOptions, VirtualServer, VirtualSession};
use std::collections::BTreeMap;
use std::io::Read;

/// Size of a packet header.
const HEADER: usize = 8;
/// Size of the header of a CRYPTO request or response.
const CRYPTO: usize = 12;

const NVM: u8 = 2;
const KEY: u8 = 3;
const CRYPTO_GROUP: u8 = 4;
const SHE: u8 = 7;
const COUNTER: u8 = 8;
const CERT: u8 = 12;

struct Exchange {
    session: u64,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Exchange {
    fn group(&self) -> u8 {
        self.request[3]
    }
    fn action(&self) -> u8 {
        self.request[2]
    }
    /// The request's payload.
    fn payload(&self) -> &[u8] {
        &self.request[HEADER..]
    }
    /// The response's payload.
    fn answer(&self) -> &[u8] {
        &self.response[HEADER..]
    }
}

fn exchanges() -> Vec<Exchange> {
    let compressed = include_bytes!("data/client-suite.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&compressed[..]).read_to_string(&mut text).unwrap();
    let mut waiting = BTreeMap::new();
    let mut exchanges = Vec::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let session = line["session"].as_u64().unwrap();
        let packet = hex::decode(line["hex"].as_str().unwrap()).unwrap();
        if line["dir"] == "request" {
            assert!(waiting.insert(session, packet).is_none());
        } else {
            let request = waiting.remove(&session).unwrap();
            exchanges.push(Exchange { session, request, response: packet });
        }
    }
    assert!(waiting.is_empty());
    exchanges
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// How an answer is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Treatment {
    /// Byte for byte, but for padding.
    Exact,
    /// Only the status, or the size and the fields before the key's bytes.
    Structural(&'static str),
    /// Not sent.
    Skipped(&'static str),
}

const RANDOM_KEY: &str = "the key's bytes came from the recorded server's random generator";
const GENERATED_KEY: &str = "the key was made by an operation that is not replayed; zeros take its place";
const PUBLIC_KEY: &str = "public-key operations are not part of this replay";
const CERTIFICATES: &str = "certificates are not part of this replay";
const SHE_GROUP: &str = "the SHE group is not part of this replay";
const AFTER_SHE: &str = "the store's fill depends on the SHE group";

/// Where a response has padding, in bytes of the payload: the original leaves old bytes there.
fn padding(group: u8, action: u8, algorithm: u32) -> std::ops::Range<usize> {
    match (group, action) {
        (KEY, 0 | 15) => 6..12,
        (KEY, 1 | 3 | 4) => 8..12,
        (KEY, 2 | 13) => 32..36,
        (KEY, 5) => 4..8,
        (KEY, 11 | 12) => 10..12,
        (CRYPTO_GROUP, 2) => match algorithm {
            2 | 13 => 16..28,
            4 => 20..32,
            3 => 20..40,
            _ => 0..0,
        },
        (CRYPTO_GROUP, 7) => 58..60,
        (COUNTER, 3) => 4..8,
        _ => 0..0,
    }
}

struct Replay {
    server: VirtualServer,
    session: VirtualSession,
    /// Keys (as the client names them) whose bytes here are not those of the recording, and why.
    other: BTreeMap<u16, &'static str>,
    after_she: bool,
    sequence: u16,
}

impl Replay {
    fn send(&mut self, request: &[u8]) -> Vec<u8> {
        let response = self.server.request(&mut self.session, request).unwrap();
        assert_eq!(response[..HEADER], request[..HEADER], "header");
        response
    }

    /// Sends a request that is not in the recording, in place of one that this server does not understand.
    fn stand_in(&mut self, group: u8, action: u8, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let [low, high] = self.sequence.to_le_bytes();
        let packet = [&[0x01, 0xA5, action, group, low, high, 0, 0], payload].concat();
        self.send(&packet)[HEADER..].to_vec()
    }

    /// Caches zeros in place of a key that the recorded server made.
    fn cache_stand_in(&mut self, id: u32, flags: u32, length: usize) {
        let mut payload = Vec::new();
        payload.extend(flags.to_le_bytes());
        payload.extend(u32::try_from(length).unwrap().to_le_bytes());
        payload.extend([0; 4]);
        payload.extend(id.to_le_bytes());
        payload.extend([0; 24]);
        payload.extend(vec![0; length]);
        let answer = self.stand_in(KEY, 0, &payload);
        assert_eq!((word(&answer, 0), half(&answer, 4)), (0, id.to_le_bytes()[0].into()), "stand-in key");
        self.other.insert(u16::try_from(id & 0xFFFF).unwrap(), GENERATED_KEY);
    }

    fn evict_stand_in(&mut self, id: u32) {
        let mut payload = id.to_le_bytes().to_vec();
        payload.extend([0; 4]);
        self.stand_in(KEY, 1, &payload);
    }

    /// What a public-key operation did to the key store besides answering.
    fn public_key_effects(&mut self, exchange: &Exchange) {
        let request = &exchange.payload()[CRYPTO..];
        let answer = exchange.answer();
        let succeeded = word(answer, 4) == 0;
        let algorithm = word(answer, 0);
        let field = |at| word(request, at);
        // Key generation: where the flags stand, and the size of slot that the original reserves (document 05,
        // §2.3). ECDH and X25519 can cache their secret.
        let made = match algorithm {
            8 => Some((field(0), 4096)),
            9 => Some((field(12), 257)),
            15 => Some((field(0), 128)),
            16 => Some((field(4), 82)),
            18 => Some((field(8), 3168)),
            21 => Some((field(12), 7520)),
            3 => Some((field(12), 32)),
            7 => Some((field(16), 32)),
            _ => None,
        };
        if let Some((flags, length)) = made
            && succeeded
            && flags & u32::from(Flags::EPHEMERAL.0) == 0
        {
            let id = if matches!(algorithm, 3 | 7) { word(answer, 16) } else { word(answer, 12) };
            assert_ne!(id & 0xFF, 0);
            self.cache_stand_in(id, flags, length);
        }
        // A key that is used is brought into the cache, and dropped from it if the options say so.
        let used: &[(u32, u32)] = match algorithm {
            1 => &[(field(8), field(4) & 1)],
            3 | 7 => &[(field(4), field(0) & 2), (field(8), field(0) & 1)],
            17 => &[(field(4), field(0) & 1)],
            4 | 5 | 6 | 14 => &[(field(4), field(0) & 1)],
            19 | 20 | 22 | 23 => &[(field(8), field(0) & 1)],
            _ => &[],
        };
        for &(id, evict) in used {
            let mut payload = id.to_le_bytes()[..2].to_vec();
            payload.extend([0; 6]);
            self.stand_in(KEY, 13, &payload);
            if evict != 0 {
                self.evict_stand_in(id);
            }
        }
    }

    /// What a certificate operation did to the stores besides answering.
    fn certificate_effects(&mut self, exchange: &Exchange) {
        let request = exchange.payload();
        let answer = exchange.answer();
        if word(answer, 0) != 0 {
            return;
        }
        match exchange.action() {
            2 => {
                let metadata = Metadata {
                    id: ObjectId(half(request, 4)),
                    access: half(request, 6),
                    flags: Flags(half(request, 8)),
                    length: half(request, 0),
                    label: Label::EMPTY,
                };
                let data = vec![0; usize::from(metadata.length)];
                self.server.store(|store| store.add(&metadata, &data)).unwrap();
            }
            3 => self.server.store(|store| store.destroy(&[ObjectId(half(request, 0))])).unwrap(),
            // Verification may cache the leaf's public key, in a big slot.
            5 | 6 => {
                let id = half(answer, 4);
                if id != 0 {
                    self.cache_stand_in(u32::from(id), word(request, 8), 4096);
                }
            }
            _ => {}
        }
    }

    /// Makes the random bytes of the recording those of this server.
    fn script_random(&mut self, exchange: &Exchange) {
        let answer = exchange.answer();
        let succeeded = |at: usize| word(answer, at) == 0;
        let random = match (exchange.group(), exchange.action()) {
            (CRYPTO_GROUP, 4) if succeeded(4) => &answer[16..],
            (KEY, 8 | 16) if succeeded(0) => &answer[8..20],
            (KEY, 11) if succeeded(0) => &answer[12..24],
            _ => return,
        };
        self.server.random().script(random);
    }

    fn treat(&self, exchange: &Exchange) -> Treatment {
        let request = exchange.payload();
        let other = |at: usize| self.other.get(&half(request, at)).copied();
        let reason = match (exchange.group(), exchange.action()) {
            (SHE, _) => return Treatment::Skipped(SHE_GROUP),
            (CERT, _) => return Treatment::Skipped(CERTIFICATES),
            (CRYPTO_GROUP, 3) | (KEY, 13) => return Treatment::Skipped(PUBLIC_KEY),
            (NVM, 3) if self.after_she => return Treatment::Skipped(AFTER_SHE),
            // A refusal does not depend on the key's bytes.
            (KEY, _) if word(exchange.answer(), 0) != 0 => None,
            (KEY, 2) => other(0),
            (KEY, 16) => other(0).or(other(4)),
            (KEY, 8..=10) => other(2),
            (KEY, 11 | 12) => other(4),
            _ => None,
        };
        reason.map_or(Treatment::Exact, Treatment::Structural)
    }

    /// Remembers whether a new key has the recorded bytes.
    fn note_new_key(&mut self, exchange: &Exchange) {
        let answer = exchange.answer();
        match (exchange.group(), exchange.action()) {
            (KEY, 0) if word(answer, 0) == 0 => drop(self.other.remove(&half(answer, 4))),
            (KEY, 15) if word(answer, 0) == 0 => drop(self.other.insert(half(answer, 4), RANDOM_KEY)),
            (CRYPTO_GROUP, 9) if word(answer, 4) == 0 => drop(self.other.remove(&half(answer, 12))),
            _ => {}
        }
    }

    /// Sends the request, or does what takes its place, and compares.
    fn step(&mut self, exchange: &Exchange) -> Result<Treatment, String> {
        let treatment = self.treat(exchange);
        if let Treatment::Skipped(_) = treatment {
            match exchange.group() {
                CRYPTO_GROUP => self.public_key_effects(exchange),
                CERT => self.certificate_effects(exchange),
                SHE => self.after_she = true,
                KEY => drop(self.send(&exchange.request)),
                _ => {}
            }
            return Ok(treatment);
        }
        self.script_random(exchange);
        let response = self.send(&exchange.request);
        let unused = self.server.random().take_script();
        if !unused.is_empty() {
            return Err(format!("{} random bytes were not asked for", unused.len()));
        }
        self.note_new_key(exchange);
        let (mut expected, got) = (exchange.answer().to_vec(), &response[HEADER..]);
        if let Treatment::Structural(reason) = treatment {
            let compared = if reason == RANDOM_KEY { 32 } else { 4 };
            let same_size = reason == GENERATED_KEY || expected.len() == got.len();
            return if same_size && got.get(..compared) == expected.get(..compared) {
                Ok(treatment)
            } else {
                Err(differ(&expected, got))
            };
        }
        let algorithm = exchange.payload().first().copied().unwrap_or(0).into();
        let padding = padding(exchange.group(), exchange.action(), algorithm);
        if let Some(padding) = expected.get_mut(padding) {
            padding.fill(0);
        }
        // In the state of an unfinished CMAC the buffer has old bytes behind those that count.
        if (exchange.group(), exchange.action()) == (CRYPTO_GROUP, 7) && expected.len() > CRYPTO {
            let buffered = usize::try_from(word(&expected, CRYPTO + 32)).unwrap();
            expected[CRYPTO + buffered..CRYPTO + 16].fill(0);
        }
        if expected == got { Ok(treatment) } else { Err(differ(&expected, got)) }
    }
}

fn differ(expected: &[u8], got: &[u8]) -> String {
    format!("\n  recorded {}\n  answered {}", hex::encode(expected), hex::encode(got))
}

#[test]
fn every_recorded_answer_is_given_again() {
    let exchanges = exchanges();
    let options = VirtualOptions { partition_size: 512 * 1024, ..VirtualOptions::default() };
    let server = VirtualServer::new(options);
    let session = server.session();
    let mut replay = Replay { server, session, other: BTreeMap::new(), after_she: false, sequence: 0 };
    let mut counts = BTreeMap::new();
    let mut failures = Vec::new();
    let mut current = 1;
    for (index, exchange) in exchanges.iter().enumerate() {
        if exchange.session != current {
            current = exchange.session;
            replay.session = replay.server.session();
        }
        match replay.step(exchange) {
            Ok(treatment) => *counts.entry(treatment).or_insert(0) += 1,
            Err(reason) => failures.push(format!(
                "{index}: group {} action {}: request {}: {reason}",
                exchange.group(),
                exchange.action(),
                hex::encode(&exchange.request[..exchange.request.len().min(100)]),
            )),
        }
    }
    for (treatment, count) in &counts {
        println!("{count:5} {treatment:?}");
    }
    assert!(
        failures.is_empty(),
        "{} answers differ:\n{}",
        failures.len(),
        failures[..failures.len().min(12)].join("\n")
    );
    // Whoever changes these numbers changes what is tested.
    let expected = [
        (Treatment::Exact, 1646),
        (Treatment::Structural(RANDOM_KEY), 2),
        (Treatment::Structural(GENERATED_KEY), 19),
        (Treatment::Skipped(PUBLIC_KEY), 296),
        (Treatment::Skipped(CERTIFICATES), 37),
        (Treatment::Skipped(SHE_GROUP), 22),
        (Treatment::Skipped(AFTER_SHE), 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}
