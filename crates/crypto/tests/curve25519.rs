//! X25519 and Ed25519: the vectors of RFC 7748 and RFC 8032, and inputs that must be refused.

mod common;

use casemate_crypto::{Curve25519, Ed25519Mode, Error, HashAlgorithm, hash};
use common::driver;

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn x25519(private: &[u8; 32], public: &[u8; 32]) -> Result<[u8; 32], Error> {
    let mut secret = [0; 32];
    driver().x25519(private, public, &mut secret).map(|()| secret)
}

#[test]
fn rfc_7748() {
    for (scalar, point, expected) in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
        // §6.1: Bob's key and Alice's public key.
        (
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
        ),
    ] {
        assert_eq!(x25519(&array(scalar), &array(point)), Ok(array(expected)));
    }
    let mut public = [0; 32];
    let private = array("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    driver().x25519_public(&private, &mut public).unwrap();
    assert_eq!(public, array("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));

    // §5.2: the function applied to its own results.
    let base = array("0900000000000000000000000000000000000000000000000000000000000000");
    let (mut scalar, mut point) = (base, base);
    for round in 1..=1000 {
        (scalar, point) = (x25519(&scalar, &point).unwrap(), scalar);
        if round == 1 {
            let expected = array("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
            assert_eq!(scalar, expected);
        }
    }
    assert_eq!(scalar, array("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

#[test]
fn x25519_public_is_the_multiple_of_the_base_point() {
    let mut base = [0; 32];
    base[0] = 9;
    for byte in 0..=255 {
        let private = [byte; 32];
        let mut public = [0; 32];
        driver().x25519_public(&private, &mut public).unwrap();
        assert_eq!(Ok(public), x25519(&private, &base));
    }
}

/// All points whose order divides 8, in all their spellings (document 05, §5.2).
#[test]
fn x25519_refuses_points_of_small_order() {
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for point in points {
        let mut point: [u8; 32] = array(point);
        assert_eq!(x25519(&[0x77; 32], &point), Err(Error::Key));
        point[31] |= 0x80;
        assert_eq!(x25519(&[0x77; 32], &point), Err(Error::Key));
    }
    // A coordinate above the prime is not refused for that (RFC 7748, §5).
    let mut high = [0xff; 32];
    high[31] = 0x7f;
    assert!(x25519(&[0x77; 32], &high).is_ok());
}

struct Vector {
    seed: &'static str,
    public: &'static str,
    message: Vec<u8>,
    context: Option<&'static [u8]>,
    prehashed: bool,
    signature: &'static str,
}

impl Vector {
    fn mode(&self) -> Ed25519Mode<'static> {
        match (self.prehashed, self.context) {
            (true, context) => Ed25519Mode::Prehashed(context.unwrap_or_default()),
            (false, Some(context)) => Ed25519Mode::Context(context),
            (false, None) => Ed25519Mode::Pure,
        }
    }
}

/// RFC 8032, §7.1 (tests 1 to 3), §7.2 and §7.3.
fn vectors() -> Vec<Vector> {
    let mut digest = vec![0; 64];
    hash(&driver(), HashAlgorithm::Sha512, &[b"abc"], &mut digest).unwrap();
    let pure = |seed, public, message: &[u8], signature| Vector {
        seed,
        public,
        message: message.to_vec(),
        context: None,
        prehashed: false,
        signature,
    };
    vec![
        pure(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            &[],
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bb\
             e24655141438e7a100b",
        ),
        pure(
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            &[0x72],
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a\
             eeb00d291612bb0c00",
        ),
        pure(
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            &[0xaf, 0x82],
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed2\
             8dc027beceea1ec40a",
        ),
        Vector {
            seed: "0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
            public: "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292",
            message: hex::decode("f726936d19c800494e3fdaff20b276a8").unwrap(),
            context: Some(b"foo"),
            prehashed: false,
            signature: "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a8b36950b95130022907a7fb7c4e9b2d5f6\
                        cca685a587b4b21f4b888e4e7edb0d",
        },
        Vector {
            seed: "0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
            public: "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292",
            message: hex::decode("f726936d19c800494e3fdaff20b276a8").unwrap(),
            context: Some(b"bar"),
            prehashed: false,
            signature: "fc60d5872fc46b3aa69f8b5b4351d5808f92bcc044606db097abab6dbcb1aee3216c48e8b3b66431b5b186d1d28f8ee15a\
                        5ca2df6668346291c2043d4eb3e90d",
        },
        Vector {
            seed: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            public: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            message: digest,
            context: None,
            prehashed: true,
            signature: "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa1\
                        0b8c61e636062aaad11c2a26083406",
        },
    ]
}

#[test]
fn rfc_8032() {
    let driver = driver();
    let vectors = vectors();
    for vector in &vectors {
        let (seed, public) = (array(vector.seed), array(vector.public));
        let mut derived = [0; 32];
        driver.ed25519_public(&seed, &mut derived).unwrap();
        assert_eq!(derived, public);
        let mut signature = [0; 64];
        driver.ed25519_sign(&seed, &public, vector.mode(), &vector.message, &mut signature).unwrap();
        assert_eq!(hex::encode(signature), vector.signature);
        driver.ed25519_verify(&public, vector.mode(), &vector.message, &signature).unwrap();

        // No variant and no context passes for another.
        for mode in [
            Ed25519Mode::Pure,
            Ed25519Mode::Context(b""),
            Ed25519Mode::Context(b"foo"),
            Ed25519Mode::Context(b"foo\0"),
            Ed25519Mode::Prehashed(b""),
            Ed25519Mode::Prehashed(b"foo"),
        ] {
            let answer = driver.ed25519_verify(&public, mode, &vector.message, &signature);
            if mode == vector.mode() {
                assert_eq!(answer, Ok(()));
            } else if matches!(mode, Ed25519Mode::Prehashed(_)) && vector.message.len() != 64 {
                assert_eq!(answer, Err(Error::DataLength));
            } else {
                assert_eq!(answer, Err(Error::Authentication), "{mode:?}");
            }
        }
        for index in [0, 31, 32, 62] {
            let mut wrong = signature;
            wrong[index] ^= 1;
            let answer = driver.ed25519_verify(&public, vector.mode(), &vector.message, &wrong);
            assert_eq!(answer, Err(Error::Authentication));
        }
    }
}

#[test]
fn contexts_of_every_length() {
    let driver = driver();
    let seed = [3; 32];
    let mut public = [0; 32];
    driver.ed25519_public(&seed, &mut public).unwrap();
    let context = [7; 256];
    let mut signature = [0; 64];
    for mode in [Ed25519Mode::Context, Ed25519Mode::Prehashed] {
        for length in [0, 1, 254, 255] {
            let mode = mode(&context[..length]);
            driver.ed25519_sign(&seed, &public, mode, &[1; 64], &mut signature).unwrap();
            driver.ed25519_verify(&public, mode, &[1; 64], &signature).unwrap();
        }
        let mode = mode(&context);
        let answer = driver.ed25519_sign(&seed, &public, mode, &[1; 64], &mut signature);
        assert_eq!(answer, Err(Error::DataLength));
        assert_eq!(driver.ed25519_verify(&public, mode, &[1; 64], &signature), Err(Error::DataLength));
    }
    for length in [0, 32, 63, 65] {
        let mode = Ed25519Mode::Prehashed(b"");
        let answer = driver.ed25519_sign(&seed, &public, mode, &vec![1; length], &mut signature);
        assert_eq!(answer, Err(Error::DataLength));
        let answer = driver.ed25519_verify(&public, mode, &vec![1; length], &signature);
        assert_eq!(answer, Err(Error::DataLength));
    }
}

#[test]
fn a_foreign_public_key_signs_nothing() {
    let driver = driver();
    let mut public = [0; 32];
    driver.ed25519_public(&[3; 32], &mut public).unwrap();
    let mut signature = [0; 64];
    let answer = driver.ed25519_sign(&[4; 32], &public, Ed25519Mode::Pure, b"message", &mut signature);
    assert_eq!(answer, Err(Error::Key));
    assert_eq!(signature, [0; 64]);
}

#[test]
fn s_is_below_the_order() {
    let driver = driver();
    let vector = &vectors()[1];
    let public = array(vector.public);
    let good: [u8; 64] = array(vector.signature);
    let order: [u8; 32] = array("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    // S + L satisfies the equation too.
    let mut wrong = good;
    let mut carry = 0_u16;
    for (byte, addend) in wrong[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(addend);
        *byte = carry as u8;
        carry >>= 8;
    }
    let verify = |signature: &[u8; 64]| driver.ed25519_verify(&public, Ed25519Mode::Pure, &[0x72], signature);
    assert_eq!(verify(&good), Ok(()));
    assert_eq!(verify(&wrong), Err(Error::Signature));
    wrong[32..].copy_from_slice(&order);
    assert_eq!(verify(&wrong), Err(Error::Signature));
    wrong[32] -= 1;
    assert_eq!(verify(&wrong), Err(Error::Authentication));
    assert_eq!(verify(&[0xff; 64]), Err(Error::Signature));
}

#[test]
fn public_keys_that_are_no_points() {
    let driver = driver();
    let verify = |public: &str| driver.ed25519_verify(&array(public), Ed25519Mode::Pure, b"", &[0; 64]);
    for public in [
        // y = 2 has no x.
        "0200000000000000000000000000000000000000000000000000000000000000",
        // y = p and y = p + 1, which are 0 and 1 spelled otherwise.
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        // x = 0 with a sign.
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        assert_eq!(verify(public), Err(Error::Key), "{public}");
    }
    for public in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        assert_eq!(verify(public), Err(Error::Authentication), "{public}");
    }
}
