//! Any bytes as a chain, a trust anchor and an attribute certificate: no panic; a chain verifies only with an anchor, what
//! is remembered changes no outcome, and every certificate of a chain that verifies is one alone.

#![no_main]

use casemate_crypto::{NoRandom, Software};
use casemate_x509::{AttributeCertificate, Certificate, Hooks, NoHooks, Policy, Verifier};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// Remembers every signature.
#[derive(Default)]
struct Memory(Vec<[u8; 32]>);

impl Hooks for Memory {
    fn remembers(&self) -> bool {
        true
    }
    fn knows(&mut self, fingerprint: &[u8; 32]) -> bool {
        self.0.contains(fingerprint)
    }
    fn remember(&mut self, fingerprint: &[u8; 32]) {
        self.0.push(*fingerprint);
    }
}

/// The certificates of the unit tests, so that changed ones get far.
static KNOWN: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    include_str!("../../crates/x509/tests/data/certificates.txt")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, digits)| {
            digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
        })
        .collect()
});

// The first bytes name an anchor, known certificates for the chain and places to change in it; the rest is appended.
fuzz_target!(|input: &[u8]| {
    let driver = Software::new(NoRandom);
    let [anchor, first, second, place, change, rest @ ..] = input else { return };
    let known = |index: &u8| KNOWN[usize::from(*index) % KNOWN.len()].as_slice();
    let mut chain = match first {
        0xFF => rest.to_vec(),
        _ => [known(first), if *second == 0xFF { rest } else { known(second) }].concat(),
    };
    if !chain.is_empty() {
        let place = usize::from(*place) * chain.len() / 256;
        chain[place] ^= change;
    }
    let anchors = [known(anchor), if *first == 0xFF { known(second) } else { rest }];
    let policy = Policy { time: Some(1_893_499_200), ..Policy::default() };
    let verifier = Verifier::new(&driver, policy);

    for anchors in [&anchors[..1], &anchors[..]] {
        let result = verifier.verify_chain(&chain, &mut &*anchors, &mut NoHooks);
        let mut memory = Memory::default();
        for _ in 0..2 {
            assert_eq!(verifier.verify_chain(&chain, &mut &*anchors, &mut memory), result);
        }
        let strict = Verifier::new(&driver, Policy { time: policy.time, ..Policy::STRICT });
        if let Ok(verified) = strict.verify_chain(&chain, &mut &*anchors, &mut NoHooks) {
            assert_eq!(result, Ok(verified), "what the strict policy accepts, the other does");
        }
        if let Ok(verified) = result {
            let mut left = chain.as_slice();
            for _ in 0..verified.count {
                left = Certificate::decode_first(left).expect("a certificate").1;
            }
            assert!(left.is_empty());
        }
    }
    let none: &[&[u8]] = &[];
    assert!(verifier.verify_chain(&chain, &mut &*none, &mut NoHooks).is_err());
    for bytes in [&chain[..], rest] {
        if let Ok((attribute, _)) = AttributeCertificate::decode_first(bytes)
            && let Ok(root) = Certificate::decode(anchors[0])
        {
            let _ = verifier.verify_attribute(&attribute, &root);
        }
    }
});
