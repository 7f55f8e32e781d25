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
const GENERATED_KEY: &str = "the key was generated, or agreed upon with one that was; sizes are compared";
const RANDOM_RESULT: &str = "the result depends on random bytes; its size is compared";
const RSA_GENERATION: &str = "searching for primes takes too long here; a fixed key takes their place";
const CERTIFICATES: &str = "certificates are not part of this replay";

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
        (SHE, 0) => 4..8,
        (SHE, 4 | 16) => 5..12,
        _ => 0..0,
    }
}

/// The number under which the recorded public half of a generated key is used.
const LENT: u32 = 0xEE;

/// Where the flags stand in the body of a key generation.
const fn generation_flags(algorithm: u32) -> Option<usize> {
    match algorithm {
        8 | 15 => Some(0),
        16 => Some(4),
        18 => Some(8),
        9 | 21 => Some(12),
        _ => None,
    }
}

/// Where the numbers of keys stand in the body of an operation.
const fn key_fields(algorithm: u32) -> &'static [usize] {
    match algorithm {
        3 | 7 => &[4, 8],
        1 | 19 | 20 | 22 | 23 => &[8],
        _ => &[4],
    }
}

struct Replay {
    server: VirtualServer,
    session: VirtualSession,
    /// Keys (as the client names them) whose bytes here are not those of the recording, and why.
    other: BTreeMap<u16, &'static str>,
    /// The recorded public halves of the keys that were generated.
    recorded_public: BTreeMap<u16, Vec<u8>>,
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
        self.cache_with(id, flags, &vec![0; length]);
        self.other.insert(u16::try_from(id & 0xFFFF).unwrap(), GENERATED_KEY);
    }

    fn cache_with(&mut self, id: u32, flags: u32, key: &[u8]) {
        let mut payload = Vec::new();
        payload.extend(flags.to_le_bytes());
        payload.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
        payload.extend([0; 4]);
        payload.extend(id.to_le_bytes());
        payload.extend([0; 24]);
        payload.extend(key);
        let answer = self.stand_in(KEY, 0, &payload);
        assert_eq!((word(&answer, 0), half(&answer, 4)), (0, id.to_le_bytes()[0].into()), "stand-in key");
    }

    fn evict_stand_in(&mut self, id: u32) {
        let mut payload = id.to_le_bytes().to_vec();
        payload.extend([0; 4]);
        self.stand_in(KEY, 1, &payload);
    }

    /// Sends a public-key operation, or one with the recorded public half in place of a key made here, and compares.
    fn public_key(&mut self, exchange: &Exchange) -> Result<Treatment, String> {
        let algorithm = word(exchange.answer(), 0);
        if let Some(flags_at) = generation_flags(algorithm) {
            return self.generation(exchange, flags_at);
        }
        let body = &exchange.payload()[CRYPTO..];
        let options = if algorithm == 1 { word(body, 4) } else { word(body, 0) };
        let succeeds = word(exchange.answer(), 4) == 0;
        let made_here = |at: &usize| self.other.contains_key(&half(body, *at));
        let mut request = exchange.request.clone();
        let mut treatment = match algorithm {
            _ if !succeeds => Treatment::Exact,
            4 | 19 | 22 => Treatment::Structural(RANDOM_RESULT),
            17 => Treatment::Exact,
            _ if key_fields(algorithm).iter().any(made_here) => Treatment::Structural(GENERATED_KEY),
            _ => Treatment::Exact,
        };
        let public_at = match algorithm {
            3 => 8,
            5 | 14 => 4,
            23 => 8,
            _ => 0,
        };
        let is_only_one = algorithm != 3 || !made_here(&4);
        let mut lent = None;
        if treatment == Treatment::Structural(GENERATED_KEY)
            && is_only_one
            && let Some(public) = self.recorded_public.get(&half(body, public_at)).cloned()
            && public_at != 0
        {
            lent = Some(half(body, public_at));
            self.cache_as(LENT, &public);
            request[HEADER + CRYPTO + public_at..][..4].copy_from_slice(&LENT.to_le_bytes());
            treatment = Treatment::Exact;
        }
        let response = self.send(&request);
        let got = &response[HEADER..];
        if let Some(lent) = lent {
            self.evict_stand_in(LENT);
            if options & 1 != 0 {
                self.evict_stand_in(lent.into());
            }
        }
        let mut expected = exchange.answer().to_vec();
        // A secret that was agreed upon and cached.
        if matches!(algorithm, 3 | 7) && succeeds && word(&expected, CRYPTO) == 0 {
            let id = half(&expected, CRYPTO + 4);
            match treatment {
                Treatment::Exact => drop(self.other.remove(&id)),
                _ => drop(self.other.insert(id, GENERATED_KEY)),
            }
        }
        if matches!(algorithm, 20 | 22 | 23) && succeeds {
            expected[CRYPTO + 4..CRYPTO + 8].fill(0);
        }
        let same = match treatment {
            Treatment::Exact => expected == got,
            // ECDSA signatures differ in length by a few bytes.
            _ if algorithm == 4 => got[..12] == expected[..12] && got.len().abs_diff(expected.len()) <= 6,
            _ => {
                got[..20] == expected[..20] && got.len() == expected.len() || {
                    // A result without a second field.
                    matches!(algorithm, 1 | 6) && got[..16] == expected[..16] && got.len() == expected.len()
                }
            }
        };
        if same { Ok(treatment) } else { Err(differ(&expected, got)) }
    }

    /// Makes a key as the recorded server did; its size and number are compared.
    fn generation(&mut self, exchange: &Exchange, flags_at: usize) -> Result<Treatment, String> {
        let flags = word(exchange.payload(), CRYPTO + flags_at);
        let expected = exchange.answer();
        let algorithm = word(expected, 0);
        let is_kept = flags & u32::from(Flags::EPHEMERAL.0) == 0;
        let id = half(expected, CRYPTO);
        let treatment = if algorithm == 8 {
            if is_kept {
                let key = include_bytes!("../../crypto/tests/data/rsa/private-2048.der");
                self.cache_with(id.into(), flags, key);
            }
            Treatment::Skipped(RSA_GENERATION)
        } else {
            let response = self.send(&exchange.request);
            let got = &response[HEADER..];
            // Where no key is kept the number has no meaning but in its low byte.
            let same_head = got[..8] == expected[..8] && got[12] == expected[12];
            if !same_head || got[16..20] != expected[16..20] || got.len() != expected.len() {
                return Err(differ(expected, got));
            }
            Treatment::Structural(GENERATED_KEY)
        };
        if is_kept {
            self.other.insert(id, GENERATED_KEY);
            self.recorded_public.insert(id, expected[20..].to_vec());
        }
        Ok(treatment)
    }

    /// Caches a key that any operation may use, in place of one in the recording.
    fn cache_as(&mut self, id: u32, key: &[u8]) {
        self.cache_with(id, Flags::USAGE_ANY.0.into(), key);
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
            (CERT, _) => return Treatment::Skipped(CERTIFICATES),
            // A refusal does not depend on the key's bytes.
            (KEY, _) if word(exchange.answer(), 0) != 0 => None,
            (KEY, 2 | 13) => other(0),
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
        if (exchange.group(), exchange.action()) == (CRYPTO_GROUP, 3) {
            return self.public_key(exchange);
        }
        let treatment = self.treat(exchange);
        if let Treatment::Skipped(_) = treatment {
            self.certificate_effects(exchange);
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
            let compared = if reason == RANDOM_KEY || exchange.action() == 13 { 32 } else { 4 };
            let may_differ = reason == GENERATED_KEY && exchange.action() != 13;
            let same_size = may_differ || expected.len() == got.len();
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
    let mut replay =
        Replay { server, session, other: BTreeMap::new(), recorded_public: BTreeMap::new(), sequence: 0 };
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
        (Treatment::Exact, 1790),
        (Treatment::Structural(RANDOM_KEY), 2),
        (Treatment::Structural(GENERATED_KEY), 143),
        (Treatment::Structural(RANDOM_RESULT), 44),
        (Treatment::Skipped(RSA_GENERATION), 7),
        (Treatment::Skipped(CERTIFICATES), 37),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}
