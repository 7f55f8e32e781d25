//! ML-DSA: the certificates of RFC 9881, and chains below them that are signed here with the RFC's private keys.

mod common;

use casemate_crypto::{MlDsa, MlDsaMessage, MlDsaSet, Random, Software};
use casemate_x509::{Certificate, Error, NoHooks, PublicKey};
use common::{certificate, driver, fails, usual, verify, verify_with};

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..128 => bytes.push(length as u8),
        128..256 => bytes.extend([0x81, length as u8]),
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    [&bytes, content].concat()
}

struct Zeros;

impl Random for Zeros {
    fn fill(&self, output: &mut [u8]) -> Result<(), casemate_crypto::Error> {
        output.fill(0);
        Ok(())
    }
}

fn algorithm(set: MlDsaSet) -> Vec<u8> {
    let last = match set {
        MlDsaSet::MlDsa44 => 17,
        MlDsaSet::MlDsa65 => 18,
        MlDsaSet::MlDsa87 => 19,
    };
    element(0x30, &element(0x06, &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, last]))
}

fn name(text: &str) -> Vec<u8> {
    let attribute = [element(0x06, &[0x55, 4, 3]), element(0x0C, text.as_bytes())].concat();
    element(0x30, &element(0x31, &element(0x30, &attribute)))
}

/// A certificate from 2029 to 2031, with a key of `subject_set` from `seed`.
fn issue(
    issuer: &[u8],
    private: (MlDsaSet, &[u8]),
    subject: &str,
    set: MlDsaSet,
    seed: u8,
    authority: bool,
) -> Vec<u8> {
    let (mut own, mut public) = (vec![0; set.private_size()], vec![0; set.public_size()]);
    driver().ml_dsa_from_seed(set, &[seed; 32], &mut own, &mut public).unwrap();
    let info = element(0x30, &[algorithm(set), element(3, &[&[0], &public[..]].concat())].concat());
    let constraints = if authority { vec![0x30, 3, 1, 1, 0xFF] } else { vec![0x30, 0] };
    let extension = [element(0x06, &[0x55, 29, 19]), vec![1, 1, 0xFF], element(4, &constraints)].concat();
    let extensions = element(0xA3, &element(0x30, &element(0x30, &extension)));
    let validity = [element(0x17, b"290101000000Z"), element(0x17, b"310101000000Z")].concat();
    let content = [
        &element(0xA0, &[2, 1, 2])[..],
        &[2, 1, seed],
        &algorithm(private.0),
        issuer,
        &element(0x30, &validity),
        &name(subject),
        &info,
        &extensions,
    ]
    .concat();
    let content = element(0x30, &content);
    let mut signature = vec![0; private.0.signature_size()];
    Software::new(Zeros)
        .ml_dsa_sign(private.0, private.1, MlDsaMessage::Pure(&content), &[], &mut signature)
        .unwrap();
    element(0x30, &[content, algorithm(private.0), element(3, &[&[0], &signature[..]].concat())].concat())
}

#[test]
fn certificates_of_the_rfc() {
    for (set, text) in [(MlDsaSet::MlDsa44, "44"), (MlDsaSet::MlDsa65, "65"), (MlDsaSet::MlDsa87, "87")] {
        let name = format!("ml-dsa-{text}");
        assert_eq!(verify(&name, &name), Ok(1), "{name}");
        let bytes = certificate(&name);
        let parsed = Certificate::decode(&bytes).unwrap();
        assert!(parsed.is_authority());
        assert!(
            matches!(PublicKey::decode(parsed.public_key), Ok(PublicKey::MlDsa { set: found, .. }) if found == set)
        );
        let mut bad = bytes.clone();
        let place = bad.len() - set.signature_size();
        bad[place] ^= 1;
        assert_eq!(verify_with(usual(), &name, &bad, &mut NoHooks), fails(0, Error::Signature));
    }
}

#[test]
fn chains_below_them() {
    let seed: [u8; 32] = core::array::from_fn(|index| index as u8);
    for (set, text, below) in [
        (MlDsaSet::MlDsa44, "44", MlDsaSet::MlDsa65),
        (MlDsaSet::MlDsa65, "65", MlDsaSet::MlDsa87),
        (MlDsaSet::MlDsa87, "87", MlDsaSet::MlDsa44),
    ] {
        let anchor = format!("ml-dsa-{text}");
        let root = certificate(&anchor);
        let subject = Certificate::decode(&root).unwrap().subject;
        let (mut private, mut public) = (vec![0; set.private_size()], vec![0; set.public_size()]);
        driver().ml_dsa_from_seed(set, &seed, &mut private, &mut public).unwrap();
        let inter = issue(subject, (set, &private), "inter", below, 1, true);
        let (mut own, mut public) = (vec![0; below.private_size()], vec![0; below.public_size()]);
        driver().ml_dsa_from_seed(below, &[1; 32], &mut own, &mut public).unwrap();
        let leaf = issue(&name("inter"), (below, &own), "leaf", set, 2, false);
        let chain = [&inter[..], &leaf].concat();
        assert_eq!(verify_with(usual(), &anchor, &chain, &mut NoHooks), Ok(2), "{anchor}");
        assert_eq!(verify_with(usual(), &anchor, &leaf, &mut NoHooks), fails(0, Error::UnknownIssuer));
        // A signature of another parameter set.
        let wrong = issue(&name("inter"), (set, &private), "leaf", set, 2, false);
        let chain = [&inter[..], &wrong].concat();
        assert_eq!(verify_with(usual(), &anchor, &chain, &mut NoHooks), fails(1, Error::SignatureAlgorithm));
    }
}
