//! The accelerated driver against the software: the same answer to everything, wrong arguments included.

mod common;

use casemate_crypto::encoding::RsaKey;
use casemate_crypto::{
    Aead, Cipher, CmacState, CtrState, Curve, Curve25519, Direction, Ed25519Mode, EllipticCurve, Error, Hash,
    HashAlgorithm, HashState, Mac, MlDsa, MlDsaMessage, MlDsaSet, MlKem, MlKemSet, Random, Rsa,
    RsaComponents, RsaPrivateKey, RsaPublicKey, cmac as cmac_of,
};
use casemate_crypto_aws_lc::AwsLc;
use common::{agree, both, composed, software};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes that differ from one seed to the next.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn array<const N: usize>(seed: u64) -> [u8; N] {
    bytes(seed, N).try_into().expect("the length asked for")
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 24), vec(any::<u8>(), 32)]
}

fn curve() -> impl Strategy<Value = Curve> {
    prop::sample::select(&Curve::NIST[..])
}

/// The order of a curve's group.
fn order(curve: Curve) -> Vec<u8> {
    let digits = match curve {
        Curve::P224 => "ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d",
        Curve::P256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        Curve::P384 => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
        }
        Curve::P521 => {
            return hex::decode(format!(
                "01{}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
                "ff".repeat(32)
            ))
            .expect("digits");
        }
        other => panic!("{other:?} is not a curve of NIST"),
    };
    hex::decode(digits).expect("digits")
}

/// The field's prime of a curve.
fn prime(curve: Curve) -> Vec<u8> {
    let digits = match curve {
        Curve::P224 => "ffffffffffffffffffffffffffffffff000000000000000000000001".to_owned(),
        Curve::P256 => "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff".to_owned(),
        Curve::P384 => {
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"
                .to_owned()
        }
        Curve::P521 => format!("01{}", "ff".repeat(65)),
        other => panic!("{other:?} is not a curve of NIST"),
    };
    hex::decode(digits).expect("digits")
}

/// The next smaller or larger number.
fn add(number: &[u8], change: i8) -> Vec<u8> {
    let mut number = number.to_vec();
    let last = number.len() - 1;
    // None of the numbers here carries or borrows.
    number[last] = number[last].checked_add_signed(change).expect("no carry");
    number
}

fn pair_of(curve: Curve, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut private = bytes(seed, curve.field_size());
    private[0] = 0;
    private[1] &= 0x7f;
    let public =
        both(&vec![0; curve.point_size()], |driver, public| driver.ec_public(curve, &private, public))
            .expect("a key");
    (private, public)
}

#[test]
fn what_is_not_implemented_is_declined() {
    let mut data = [7; 32];
    let refused = Err(Error::Unsupported);
    assert_eq!(AwsLc.fill(&mut data), refused);
    assert_eq!(AwsLc.ecb(Direction::Encrypt, &[0; 16], &mut data), refused);
    assert_eq!(AwsLc.ccm_seal(&[0; 16], &[0; 12], &[], &mut data, &mut [0; 16]), refused);
    assert_eq!(AwsLc.digest(HashAlgorithm::Sha256, &[&[1]], &mut data), refused);
    assert_eq!(AwsLc.compress(&mut HashState::new(HashAlgorithm::Sha512), &[0; 128]), refused);
    assert_eq!(AwsLc.hmac(HashAlgorithm::Sha256, &[0; 16], &[&[1]], &mut data), refused);
    assert_eq!(AwsLc.ed25519_verify(&[0; 32], Ed25519Mode::Pure, &[], &[0; 64]), refused);
    assert_eq!(AwsLc.ml_kem_check(MlKemSet::MlKem512, &[0; 800]), refused);
    assert_eq!(data, [7; 32]);
}

proptest! {
    #[test]
    fn gcm(
        key in key(), iv in vec(any::<u8>(), 1..40), aad in vec(any::<u8>(), 0..80),
        plain in vec(any::<u8>(), 0..400), tag in 4..=16_usize, damage in any::<u16>(),
    ) {
        let (data, tag) = both(&(plain.clone(), vec![0; tag]), |driver, (data, tag)| {
            driver.gcm_seal(&key, &iv, &aad, data, tag)
        }).expect("sealed");
        let open = |tag: &[u8], data: &Vec<u8>| both(data, |driver, data| driver.gcm_open(&key, &iv, &aad, data, tag));
        prop_assert_eq!(open(&tag, &data), Ok(plain.clone()));
        let mut wrong = tag.clone();
        wrong[usize::from(damage) % tag.len()] ^= 1 << (damage >> 13);
        prop_assert_eq!(open(&wrong, &data), Err(Error::Authentication));
        if !data.is_empty() {
            let mut wrong = data.clone();
            wrong[usize::from(damage) % data.len()] ^= 1 << (damage >> 13);
            prop_assert_eq!(open(&tag, &wrong), Err(Error::Authentication));
            // Plaintext whose tag does not match never comes out.
            prop_assert_eq!(AwsLc.gcm_open(&key, &iv, &aad, &mut wrong, &tag), Err(Error::Authentication));
            prop_assert!(wrong.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn cbc(key in key(), iv in any::<[u8; 16]>(), blocks in 0..80_usize, seed in any::<u64>()) {
        let plain = bytes(seed, blocks * 16);
        let (after, data) = both(&(iv, plain.clone()), |driver, (iv, data)| {
            driver.cbc(Direction::Encrypt, &key, iv, data)
        }).expect("encrypted");
        let (again, opened) = both(&(iv, data), |driver, (iv, data)| {
            driver.cbc(Direction::Decrypt, &key, iv, data)
        }).expect("decrypted");
        prop_assert_eq!((again, opened), (after, plain));
    }

    #[test]
    fn ctr(
        key in key(), counter in any::<[u8; 16]>(), near_wrap in any::<u8>(), keystream in any::<[u8; 16]>(),
        unused in 0..=16_usize, parts in vec(0..300_usize, 1..4), seed in any::<u64>(),
    ) {
        // Counters before a carry out of 32, 64 and 128 bits.
        let mut counter = counter;
        let ones = [0, 4, 8, 16][usize::from(near_wrap % 4)];
        counter[16 - ones..].fill(0xff);
        let mut state = CtrState { counter, keystream, unused };
        for part in parts {
            let (next, _) = both(&(state, bytes(seed, part)), |driver, (state, data)| driver.ctr(&key, state, data))
                .expect("encrypted");
            state = next;
        }
    }

    #[test]
    fn cmac(
        key in key(), parts in vec(vec(any::<u8>(), 0..1200), 0..4), tag in 1..=16_usize, chain in any::<[u8; 16]>(),
        absorbed in any::<u32>(), pending_length in 0..=16_usize,
    ) {
        // A state as a client may make it up, with bytes behind the pending ones.
        let mut state = CmacState { pending: chain, chain, pending_length, absorbed };
        for part in &parts {
            state = both(&state, |driver, state| driver.cmac_update(&key, state, part)).expect("absorbed");
        }
        both(&vec![0; tag], |driver, tag| driver.cmac_finish(&key, &state, tag)).expect("finished");
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        both(&vec![0; tag], |driver, tag| cmac_of(driver, &key, &parts, tag)).expect("at once");
    }
}

#[test]
fn symmetric_arguments() {
    for length in [0, 1, 15, 17, 23, 25, 31, 33, 64] {
        let key = vec![1; length];
        let refused = Err(Error::KeyLength);
        // The length of the key is what is looked at first.
        assert_eq!(both(&[0; 5], |driver, data| driver.gcm_seal(&key, &[], &[], data, &mut [0])), refused);
        assert_eq!(both(&[0; 5], |driver, data| driver.gcm_open(&key, &[], &[], data, &[0])), refused);
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            assert_eq!(
                both(&[0; 5], |driver, data| driver.cbc(direction, &key, &mut [0; 16], data)),
                refused
            );
        }
        let state = CtrState { unused: 17, ..CtrState::default() };
        assert_eq!(
            both(&state, |driver, state| driver.ctr(&key, state, &mut [0])).err(),
            Some(Error::KeyLength)
        );
        let state = CmacState { pending_length: 17, ..CmacState::default() };
        assert_eq!(
            both(&state, |driver, state| driver.cmac_update(&key, state, &[1])),
            Err(Error::KeyLength)
        );
        assert_eq!(
            both(&[0; 17], |driver, tag| driver.cmac_finish(&key, &state, tag)),
            Err(Error::KeyLength)
        );
    }
    let key = [1; 16];
    for tag in [0, 1, 3, 17, 32] {
        let tag = vec![0; tag];
        assert_eq!(
            both(&tag, |driver, tag| driver.gcm_seal(&key, &[1], &[], &mut [0; 3], tag)),
            Err(Error::TagLength)
        );
        assert_eq!(
            both(&(), |driver, ()| driver.gcm_open(&key, &[1], &[], &mut [0; 3], &tag)),
            Err(Error::TagLength)
        );
        assert_eq!(
            both(&tag, |driver, tag| driver.gcm_seal(&key, &[], &[], &mut [0; 3], tag)),
            Err(Error::IvLength)
        );
    }
    for length in [1, 15, 17, 31] {
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let data = vec![7; length];
            let answer = both(&(data, [9; 16]), |driver, (data, iv)| driver.cbc(direction, &key, iv, data));
            assert_eq!(answer, Err(Error::DataLength));
        }
    }
    let state = CtrState { unused: 17, ..CtrState::default() };
    assert_eq!(both(&state, |driver, state| driver.ctr(&key, state, &mut [0])), Err(Error::State));
    let state = CmacState { pending_length: 17, ..CmacState::default() };
    for data in [&[][..], &[1]] {
        assert_eq!(both(&state, |driver, state| driver.cmac_update(&key, state, data)), Err(Error::State));
    }
    assert_eq!(both(&[0; 16], |driver, tag| driver.cmac_finish(&key, &state, tag)), Err(Error::State));
    let state = CmacState::default();
    assert_eq!(both(&[0; 0], |driver, tag| driver.cmac_finish(&key, &state, tag)), Err(Error::TagLength));
    assert_eq!(both(&[0; 17], |driver, tag| driver.cmac_finish(&key, &state, tag)), Err(Error::TagLength));
}

/// A schedule of one algorithm is not left over in another: long inputs take other paths in the library.
#[test]
fn long_messages() {
    let (key, plain) = (bytes(1, 32), bytes(2, 100_003));
    let whole = plain[..100_000].to_vec();
    both(&(plain.clone(), [0; 16]), |driver, (data, tag)| {
        driver.gcm_seal(&key, &[1; 12], &plain[..70_001], data, tag)
    })
    .expect("sealed");
    both(&(whole.clone(), [5; 16]), |driver, (data, iv)| driver.cbc(Direction::Encrypt, &key, iv, data))
        .expect("cbc");
    both(&(whole, [5; 16]), |driver, (data, iv)| driver.cbc(Direction::Decrypt, &key, iv, data))
        .expect("cbc");
    both(&(plain.clone(), CtrState::new([0xff; 16])), |driver, (data, state)| driver.ctr(&key, state, data))
        .expect("ctr");
    both(&CmacState::default(), |driver, state| driver.cmac_update(&key, state, &plain)).expect("cmac");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn ecdsa(curve in curve(), seed in any::<u64>(), digest in vec(any::<u8>(), 1..100), damage in any::<u16>()) {
        let (private, public) = pair_of(curve, seed);
        let signers: [&dyn EllipticCurve; 2] = [&AwsLc, &software()];
        for signer in signers {
            let mut signature = vec![0; curve.point_size()];
            signer.ecdsa_sign(curve, &private, &digest, &mut signature).expect("signed");
            let verify = |digest: &[u8], signature: &[u8]| {
                both(&(), |driver, ()| driver.ecdsa_verify(curve, &public, digest, signature))
            };
            prop_assert_eq!(verify(&digest, &signature), Ok(()));
            let mut wrong = signature.clone();
            wrong[usize::from(damage) % signature.len()] ^= 1 << (damage >> 13);
            prop_assert_eq!(verify(&digest, &wrong), Err(Error::Authentication));
            // Bits of the digest beyond the order's length do not count.
            let mut other = digest.clone();
            let position = usize::from(damage) % digest.len();
            other[position] ^= 0x80;
            let counts = position < curve.field_size();
            prop_assert_eq!(verify(&other, &signature).is_err(), counts);
        }
    }

    #[test]
    fn ecdh(curve in curve(), seed in any::<u64>()) {
        let (private, public) = pair_of(curve, seed);
        let (other_private, other_public) = pair_of(curve, seed ^ 1);
        let agreed = |private: &[u8], public: &[u8]| {
            both(&vec![0; curve.field_size()], |driver, secret| driver.ecdh(curve, private, public, secret))
                .expect("agreed")
        };
        prop_assert_eq!(agreed(&private, &other_public), agreed(&other_private, &public));
    }

    #[test]
    fn damaged_points(curve in curve(), seed in any::<u64>(), damage in any::<u16>()) {
        let (private, mut public) = pair_of(curve, seed);
        let position = usize::from(damage) % public.len();
        public[position] ^= 1 << (damage >> 13);
        let refused = both(&(), |driver, ()| driver.ec_check(curve, &public)).is_err();
        let secret = vec![0; curve.field_size()];
        let answer = both(&secret, |driver, secret| driver.ecdh(curve, &private, &public, secret));
        prop_assert_eq!(answer.is_err(), refused);
        let signature = vec![1; curve.point_size()];
        let answer = both(&(), |driver, ()| driver.ecdsa_verify(curve, &public, &[1], &signature));
        prop_assert_eq!(answer, Err(if refused { Error::Key } else { Error::Authentication }));
    }

    #[test]
    fn x25519(private in any::<[u8; 32]>(), public in any::<[u8; 32]>()) {
        both(&[0; 32], |driver, public| driver.x25519_public(&private, public)).expect("a key");
        // Any number is a point of the curve or of its twist; bit 255 does not count.
        both(&[0; 32], |driver, secret| driver.x25519(&private, &public, secret)).expect("a secret");
    }

    #[test]
    fn ed25519(
        seed in any::<[u8; 32]>(), message in vec(any::<u8>(), 0..200), context in vec(any::<u8>(), 0..=255),
        digest in any::<u64>(),
    ) {
        let public = both(&[0; 32], |driver, public| driver.ed25519_public(&seed, public)).expect("a key");
        let digest = array::<64>(digest);
        for (mode, message) in [
            (Ed25519Mode::Pure, &message[..]), (Ed25519Mode::Context(&context), &message), (Ed25519Mode::Prehashed(&context), &digest),
        ] {
            let (signature, served) = agree(&[0; 64], |driver, signature| {
                driver.ed25519_sign(&seed, &public, mode, message, signature)
            });
            prop_assert_eq!(served, !matches!(mode, Ed25519Mode::Context([])));
            software().ed25519_verify(&public, mode, message, &signature.expect("signed")).expect("verified");
        }
    }
}

#[test]
fn generated_pairs_fit() {
    for curve in Curve::NIST {
        let mut seen = Vec::new();
        for _ in 0..20 {
            let (mut private, mut public) = (vec![0; curve.field_size()], vec![0; curve.point_size()]);
            AwsLc.ec_generate(curve, &mut private, &mut public).expect("a pair");
            let derived = both(&vec![0; curve.point_size()], |driver, public| {
                driver.ec_public(curve, &private, public)
            });
            assert_eq!(derived, Ok(public));
            assert!(!seen.contains(&private));
            seen.push(private);
        }
    }
}

#[test]
fn nonces_differ() {
    let (private, _) = pair_of(Curve::P256, 7);
    let sign = || {
        let mut signature = [0; 64];
        AwsLc.ecdsa_sign(Curve::P256, &private, &[1; 32], &mut signature).expect("signed");
        signature
    };
    assert_ne!(sign()[..32], sign()[..32]);
}

#[test]
fn private_keys_out_of_range() {
    for curve in Curve::NIST {
        let size = curve.field_size();
        let order = order(curve);
        let (_, public) = pair_of(curve, 3);
        let one = add(&vec![0; size], 1);
        let mut values = vec![
            (vec![0; size], false),
            (one, true),
            (add(&order, -1), true),
            (order.clone(), false),
            (add(&order, 1), false),
            (vec![0xff; size], false),
        ];
        // P-521 has seven bits in which nothing may stand.
        if curve == Curve::P521 {
            let mut high = vec![0; size];
            high[0] = 2;
            high[size - 1] = 1;
            values.push((high, false));
        }
        for (private, good) in values {
            let expected = |answer: Result<(), Error>| {
                assert_eq!(answer, if good { Ok(()) } else { Err(Error::Key) }, "{curve:?} {private:02x?}");
            };
            let point = vec![0; curve.point_size()];
            expected(both(&point, |driver, public| driver.ec_public(curve, &private, public)).map(drop));
            let secret = vec![0; size];
            expected(both(&secret, |driver, secret| driver.ecdh(curve, &private, &public, secret)).map(drop));
            expected(AwsLc.ecdsa_sign(curve, &private, &[1; 20], &mut point.clone()));
            expected(software().ecdsa_sign(curve, &private, &[1; 20], &mut point.clone()));
        }
    }
}

#[test]
fn public_keys_that_are_none() {
    for curve in Curve::NIST {
        let size = curve.field_size();
        let (private, public) = pair_of(curve, 5);
        let (x, y) = public.split_at(size);
        let prime = prime(curve);
        let other =
            pair_of(Curve::NIST[(Curve::NIST.iter().position(|other| *other == curve).unwrap() + 1) % 4], 5)
                .1;
        let mut values: Vec<Vec<u8>> = vec![
            vec![0; 2 * size],
            vec![0xff; 2 * size],
            [y, x].concat(),
            [&prime[..], y].concat(),
            [x, &prime[..]].concat(),
            [prime.clone(), prime.clone()].concat(),
            [vec![0; size], y.to_vec()].concat(),
            [x.to_vec(), vec![0; size]].concat(),
            other.iter().copied().chain([0; 200]).take(2 * size).collect(),
        ];
        values.dedup();
        for point in values {
            assert_eq!(both(&(), |driver, ()| driver.ec_check(curve, &point)), Err(Error::Key), "{curve:?}");
            let secret = vec![0; size];
            let answer = both(&secret, |driver, secret| driver.ecdh(curve, &private, &point, secret));
            assert_eq!(answer, Err(Error::Key));
            let signature = vec![1; 2 * size];
            let answer = both(&(), |driver, ()| driver.ecdsa_verify(curve, &point, &[1; 32], &signature));
            assert_eq!(answer, Err(Error::Key));
        }
    }
}

#[test]
fn signatures_out_of_range() {
    for curve in Curve::NIST {
        let size = curve.field_size();
        let (private, public) = pair_of(curve, 9);
        let order = order(curve);
        let mut signature = vec![0; 2 * size];
        AwsLc.ecdsa_sign(curve, &private, &[3; 32], &mut signature).expect("signed");
        let (r, s) = signature.split_at(size);
        let zero = vec![0; size];
        let top = vec![0xff; size];
        for (r, s) in [
            (&zero[..], s),
            (r, &zero[..]),
            (&order, s),
            (r, &order),
            (&top, s),
            (r, &top),
            (s, r),
            (&zero, &zero),
        ] {
            let wrong = [r, s].concat();
            let answer = both(&(), |driver, ()| driver.ecdsa_verify(curve, &public, &[3; 32], &wrong));
            assert_eq!(answer, Err(Error::Authentication), "{curve:?}");
        }
        for length in [0, 1, size, 2 * size - 1, 2 * size + 1, 4 * size] {
            let wrong: Vec<u8> = signature.iter().copied().cycle().take(length).collect();
            let answer = both(&(), |driver, ()| driver.ecdsa_verify(curve, &public, &[3; 32], &wrong));
            assert_eq!(answer, Err(Error::Authentication), "{curve:?} {length}");
        }
    }
}

#[test]
fn curve_lengths() {
    for curve in Curve::NIST {
        let size = curve.field_size();
        let (private, public) = pair_of(curve, 11);
        for length in [0, 1, size - 1, size + 1, 2 * size - 1, 2 * size + 1, 200] {
            let wrong = vec![1; length];
            let refused = Err(Error::KeyLength);
            let point = vec![0; 2 * size];
            assert_eq!(
                both(&point, |driver, public| driver.ec_public(curve, &wrong, public)).map(drop),
                refused
            );
            assert_eq!(
                both(&wrong, |driver, public| driver.ec_public(curve, &private, public)).map(drop),
                refused
            );
            assert_eq!(both(&(), |driver, ()| driver.ec_check(curve, &wrong)), refused);
            assert_eq!(AwsLc.ec_generate(curve, &mut wrong.clone(), &mut point.clone()), refused);
            assert_eq!(AwsLc.ec_generate(curve, &mut private.clone(), &mut wrong.clone()), refused);
            let secret = vec![0; size];
            let ecdh = |private: &[u8], public: &[u8], secret: &Vec<u8>| {
                both(secret, |driver, secret| driver.ecdh(curve, private, public, secret)).map(drop)
            };
            assert_eq!(ecdh(&wrong, &public, &secret), refused);
            assert_eq!(ecdh(&private, &wrong, &secret), refused);
            assert_eq!(ecdh(&private, &public, &wrong), Err(Error::OutputLength));
            assert_eq!(both(&(), |driver, ()| driver.ecdsa_verify(curve, &wrong, &[1], &point)), refused);
            let sign = |private: &[u8], digest: &[u8], signature: &Vec<u8>| {
                both(signature, |driver, signature| driver.ecdsa_sign(curve, private, digest, signature))
                    .map(drop)
            };
            assert_eq!(sign(&wrong, &[1], &point), refused);
            assert_eq!(sign(&private, &[1], &wrong), Err(Error::OutputLength));
            assert_eq!(sign(&wrong, &[], &wrong), Err(Error::DataLength));
        }
        let answer = both(&(), |driver, ()| driver.ecdsa_verify(curve, &public, &[], &[]));
        assert_eq!(answer, Err(Error::DataLength));
    }
}

/// RFC 7748, §6.1, and the encodings of small order that are not in canonical form.
#[test]
fn x25519_small_order() {
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
        let mut point: [u8; 32] = hex::decode(point).expect("digits").try_into().expect("32 bytes");
        for _ in 0..2 {
            let answer = both(&[0; 32], |driver, secret| driver.x25519(&array(1), &point, secret));
            assert_eq!(answer, Err(Error::Key));
            point[31] |= 0x80;
        }
    }
}

#[test]
fn ed25519_arguments() {
    let seed = array(4);
    let public = both(&[0; 32], |driver, public| driver.ed25519_public(&seed, public)).expect("a key");
    let sign = |public: &[u8; 32], mode: Ed25519Mode<'_>, message: &[u8]| {
        both(&[0; 64], |driver, signature| driver.ed25519_sign(&seed, public, mode, message, signature))
    };
    let mut foreign = public;
    foreign[7] ^= 1;
    for mode in [Ed25519Mode::Pure, Ed25519Mode::Context(b"x"), Ed25519Mode::Prehashed(b"")] {
        assert_eq!(sign(&foreign, mode, &[0; 64]), Err(Error::Key));
    }
    let long = [0; 256];
    for mode in [Ed25519Mode::Context(&long), Ed25519Mode::Prehashed(&long)] {
        assert_eq!(sign(&foreign, mode, &[0; 64]), Err(Error::DataLength));
    }
    for length in [0, 63, 65] {
        assert_eq!(sign(&foreign, Ed25519Mode::Prehashed(b""), &vec![0; length]), Err(Error::DataLength));
    }
}

const RSA_KEYS: [&[u8]; 6] = [
    include_bytes!("../../crypto/tests/data/rsa/private-1024.der"),
    include_bytes!("../../crypto/tests/data/rsa/private-1536-e3.der"),
    include_bytes!("../../crypto/tests/data/rsa/private-2048.der"),
    include_bytes!("../../crypto/tests/data/rsa/private-2056.der"),
    include_bytes!("../../crypto/tests/data/rsa/private-3072.der"),
    include_bytes!("../../crypto/tests/data/rsa/private-4096.der"),
];

fn rsa(der: &[u8]) -> RsaPrivateKey<'_> {
    RsaKey::decode(der).expect("a key").private().expect("a private key")
}

/// Numbers of the length of the modulus: 0, 1, 2, n - 2, n - 1, n, n + 2 and the largest.
fn corner_cases(modulus: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let size = modulus.len();
    let small = |value: u8| [vec![0; size - 1], vec![value]].concat();
    // 0, 1 and n - 1 are powers of themselves, and what the library does not want to see.
    let mut cases = vec![(small(0), false), (small(1), false), (small(2), true), (add(modulus, -1), false)];
    cases.push((modulus.to_vec(), false));
    cases.push((vec![0xff; size], true));
    if modulus[size - 1] >= 2 {
        cases.push((add(modulus, -2), true));
    }
    if modulus[size - 1] <= 0xfd {
        cases.push((add(modulus, 1), false));
        cases.push((add(modulus, 2), true));
    }
    cases
}

#[test]
fn rsa_corner_cases() {
    for der in RSA_KEYS {
        let key = rsa(der);
        for (data, wanted) in corner_cases(key.public.modulus) {
            both(&data, |driver, data| driver.rsa_public(&key.public, data)).expect("public");
            let (answer, served) = agree(&data, |driver, data| driver.rsa_private(&key, data));
            answer.expect("private");
            assert_eq!(served, wanted, "{} bits", key.public.modulus.len() * 8);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn rsa_operations(index in 0..4_usize, seed in any::<u64>()) {
        let key = rsa(RSA_KEYS[index]);
        let data = bytes(seed, key.public.modulus.len());
        let reduced = both(&data, |driver, data| driver.rsa_public(&key.public, data))
            .and_then(|data| both(&data, |driver, data| driver.rsa_private(&key, data)))
            .expect("there and back");
        if data.as_slice() < key.public.modulus {
            prop_assert_eq!(reduced, data);
        }
    }

    #[test]
    fn rsa_exponents(exponent in prop_oneof![vec(any::<u8>(), 0..7), vec(any::<u8>(), 126..130)], seed in any::<u64>()) {
        let key = rsa(RSA_KEYS[0]);
        let public = RsaPublicKey { modulus: key.public.modulus, exponent: &exponent };
        let _ = agree(&bytes(seed, 128), |driver, data| driver.rsa_public(&public, data));
    }

    /// Keys with one bit changed somewhere, whatever comes of it.
    #[test]
    fn rsa_contradictions(part in 0..8_usize, position in any::<u16>(), bit in 0..8_u8, seed in any::<u64>()) {
        let key = rsa(RSA_KEYS[0]);
        let parts = [
            key.public.modulus, key.public.exponent, key.exponent, key.prime_p, key.prime_q, key.exponent_p,
            key.exponent_q, key.coefficient,
        ];
        let mut changed = parts[part].to_vec();
        let position = usize::from(position) % changed.len();
        changed[position] ^= 1 << bit;
        let parts: [&[u8]; 8] = std::array::from_fn(|index| if index == part { &changed[..] } else { parts[index] });
        let [modulus, public_exponent, exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient] = parts;
        let key = RsaPrivateKey {
            public: RsaPublicKey { modulus, exponent: public_exponent },
            exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient,
        };
        let (answer, _) = agree(&bytes(seed, 128), |driver, data| driver.rsa_private(&key, data));
        // The private exponent is not used, nothing else can be missed.
        prop_assert_eq!(answer.is_ok(), part == 2);
    }
}

#[test]
fn rsa_arguments() {
    let key = rsa(RSA_KEYS[2]);
    for length in [0, 1, 255, 257, 512] {
        let data = vec![1; length];
        assert_eq!(both(&data, |driver, data| driver.rsa_public(&key.public, data)), Err(Error::DataLength));
        assert_eq!(both(&data, |driver, data| driver.rsa_private(&key, data)), Err(Error::DataLength));
    }
    let with = |modulus: &[u8], exponent: &[u8]| {
        let public = RsaPublicKey { modulus, exponent };
        let data = vec![1; modulus.len()];
        let (answer, _) = agree(&data, |driver, data| driver.rsa_public(&public, data));
        let (private, _) =
            agree(&data, |driver, data| driver.rsa_private(&RsaPrivateKey { public, ..key }, data));
        assert!(private.is_err());
        answer.map(drop)
    };
    let e = &[1, 0, 1];
    assert_eq!(with(&[], e), Err(Error::KeyLength));
    assert_eq!(with(&[0xff; 127], e), Err(Error::KeyLength));
    assert_eq!(with(&[0x7f; 128], e), Err(Error::KeyLength));
    assert_eq!(with(&[0xff; 513], e), Err(Error::KeyLength));
    assert_eq!(with(&[0xfe; 128], e), Err(Error::Key));
    assert_eq!(with(&[&[0][..], &[0xff; 128]].concat(), e), Err(Error::Key));
    for exponent in [&[][..], &[0], &[1], &[2], &[0, 1], &[1, 0, 0], &[0xff; 256], &[0xff; 300]] {
        assert_eq!(with(&[0xef; 256], exponent), Err(Error::Key), "{exponent:02x?}");
    }
    for exponent in
        [&[3][..], &[0, 0, 3], &[0xff; 4], &[1, 0, 0, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff], &[0x7f; 255]]
    {
        assert_eq!(with(&[0xef; 256], exponent), Ok(()), "{exponent:02x?}");
    }
}

/// Numbers with leading zeros, a coefficient or an exponent beyond its prime, and none at all.
#[test]
fn rsa_unusual_numbers() {
    let key = rsa(RSA_KEYS[2]);
    let data = bytes(1, 256);
    let padded: Vec<Vec<u8>> =
        [key.exponent, key.prime_p, key.prime_q, key.exponent_p, key.exponent_q, key.coefficient]
            .map(|number| [&[0; 9][..], number].concat())
            .into();
    let [exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient] = &padded[..] else {
        panic!("six")
    };
    let usual = both(&data, |driver, data| driver.rsa_private(&key, data)).expect("private");
    let zeros =
        RsaPrivateKey { public: key.public, exponent, prime_p, prime_q, exponent_p, exponent_q, coefficient };
    assert_eq!(both(&data, |driver, data| driver.rsa_private(&zeros, data)), Ok(usual.clone()));
    // Without the private exponent nothing changes.
    let without = RsaPrivateKey { exponent: &[], ..key };
    assert_eq!(both(&data, |driver, data| driver.rsa_private(&without, data)), Ok(usual));
    // The primes the other way round, with the coefficient of the other order.
    let swapped = RsaPrivateKey {
        prime_p: key.prime_q,
        prime_q: key.prime_p,
        exponent_p: key.exponent_q,
        exponent_q: key.exponent_p,
        ..key
    };
    assert_eq!(agree(&data, |driver, data| driver.rsa_private(&swapped, data)).0, Err(Error::Key));
    let long = [&[1][..], key.prime_p].concat();
    for unusual in [
        RsaPrivateKey { exponent_p: &long, ..key },
        RsaPrivateKey { exponent_q: &long, ..key },
        RsaPrivateKey { coefficient: &long, ..key },
        RsaPrivateKey { coefficient: &[0xff; 128], ..key },
        RsaPrivateKey { coefficient: &[], ..key },
        RsaPrivateKey { prime_p: &[], ..key },
        RsaPrivateKey { prime_p: &[1], prime_q: key.public.modulus, ..key },
        RsaPrivateKey { prime_p: key.public.modulus, prime_q: &[1], ..key },
        RsaPrivateKey { prime_q: &[0xff; 600], ..key },
        RsaPrivateKey { exponent_p: &[], ..key },
    ] {
        assert_eq!(agree(&data, |driver, data| driver.rsa_private(&unusual, data)).0, Err(Error::Key));
    }
}

#[test]
fn rsa_generation() {
    for (bits, exponent) in [(1024, 3), (1024, 65537), (1152, 17), (2048, 65537), (2048, u32::MAX)] {
        let mut primes = vec![0; bits / 8];
        AwsLc.rsa_generate(bits, exponent, &mut primes).expect("primes");
        let (p, q) = primes.split_at(bits / 16);
        assert!(p > q);
        let components = RsaComponents::derive(p, q, exponent).expect("a key");
        let key = components.private_key();
        assert_eq!(key.public.modulus.len(), bits / 8);
        assert!(key.public.modulus[0] >= 0x80);
        let data = bytes(3, bits / 8);
        both(&data, |driver, data| driver.rsa_private(&key, data)).expect("private");
    }
    let wrong =
        [(0, 3), (1008, 3), (1023, 3), (1032, 3), (4112, 3), (1024, 0), (1024, 1), (1024, 2), (1024, 65536)];
    for (bits, exponent) in wrong {
        let primes = vec![0; bits / 8];
        both(&primes, |driver, primes| driver.rsa_generate(bits, exponent, primes)).expect_err("wrong");
    }
    both(&vec![0; 127], |driver, primes| driver.rsa_generate(1024, 3, primes)).expect_err("wrong");
    // Sizes between those that the library makes.
    assert_eq!(AwsLc.rsa_generate(1040, 3, &mut [0; 130]), Err(Error::Unsupported));
}

fn ml_dsa_pair(set: MlDsaSet, seed: &[u8; 32]) -> (Vec<u8>, Vec<u8>) {
    let sizes = (vec![0; set.private_size()], vec![0; set.public_size()]);
    both(&sizes, |driver, (private, public)| driver.ml_dsa_from_seed(set, seed, private, public))
        .expect("a pair")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn ml_dsa(
        index in 0..3_usize, seed in any::<[u8; 32]>(), message in vec(any::<u8>(), 0..300),
        context in vec(any::<u8>(), 0..=255), damage in any::<u16>(),
    ) {
        let set = MlDsaSet::ALL[index];
        let (private, public) = ml_dsa_pair(set, &seed);
        let derive = |private: &[u8]| {
            let mut public = vec![0; set.public_size()];
            AwsLc.ml_dsa_public(set, private, &mut public).map(|()| public)
        };
        prop_assert_eq!(derive(&private), Ok(public.clone()));
        let mut wrong = private.clone();
        let place = usize::from(damage & 0x1fff) % private.len();
        wrong[place] ^= 1 << (damage >> 13);
        // All but the seed of the signatures' randomness determines the public key.
        let expected = if (32..64).contains(&place) { Ok(public.clone()) } else { Err(Error::Key) };
        prop_assert_eq!(derive(&wrong), expected);

        let pure = MlDsaMessage::Pure(&message);
        let mut signature = vec![0; set.signature_size()];
        composed().ml_dsa_sign(set, &private, pure, &context, &mut signature).expect("signed");
        let verify = |message, context: &[u8], signature: &[u8]| {
            both(&(), |driver, ()| driver.ml_dsa_verify(set, &public, message, context, signature))
        };
        prop_assert_eq!(verify(pure, &context, &signature), Ok(()));
        let other = [&context[..], &[1]].concat();
        if other.len() <= 255 {
            prop_assert_eq!(verify(pure, &other, &signature), Err(Error::Authentication));
        }
        let mut wrong = signature.clone();
        wrong[usize::from(damage & 0x1fff) % signature.len()] ^= 1 << (damage >> 13);
        prop_assert_eq!(verify(pure, &context, &wrong), Err(Error::Authentication));

        let digest = MlDsaMessage::Digest(HashAlgorithm::Sha256, &[1; 32]);
        composed().ml_dsa_sign(set, &private, digest, &context, &mut signature).expect("signed");
        composed().ml_dsa_verify(set, &public, digest, &context, &signature).expect("verified");
    }

    #[test]
    fn ml_kem(index in 0..3_usize, seed in any::<u64>(), damage in any::<u16>()) {
        let set = MlKemSet::ALL[index];
        let private = both(&vec![0; set.private_size()], |driver, private| {
            driver.ml_kem_from_seed(set, &array(seed), private)
        }).expect("a key");
        let public = set.public_of(&private).expect("a public key");
        let senders: [&dyn MlKem; 2] = [&AwsLc, &software()];
        for sender in senders {
            let (mut ciphertext, mut secret) = (vec![0; set.ciphertext_size()], [0; 32]);
            sender.ml_kem_encapsulate(set, public, &mut ciphertext, &mut secret).expect("encapsulated");
            let decapsulate = |ciphertext: &[u8]| {
                both(&[0; 32], |driver, secret| driver.ml_kem_decapsulate(set, &private, ciphertext, secret))
            };
            prop_assert_eq!(decapsulate(&ciphertext), Ok(secret));
            // Implicit rejection: another secret, the same for both drivers.
            ciphertext[usize::from(damage & 0x1fff) % set.ciphertext_size()] ^= 1 << (damage >> 13);
            prop_assert_ne!(decapsulate(&ciphertext), Ok(secret));
        }
        // Keys with a bit changed: in the modulus check, in the hash check, or without consequence.
        let mut wrong = private.clone();
        wrong[usize::from(damage & 0x1fff) % private.len()] ^= 1 << (damage >> 13);
        let ciphertext = vec![3; set.ciphertext_size()];
        let _ = agree(&[0; 32], |driver, secret| driver.ml_kem_decapsulate(set, &wrong, &ciphertext, secret));
        let mut wrong = public.to_vec();
        wrong[usize::from(damage & 0x1fff) % public.len()] ^= 1 << (damage >> 13);
        let mut secret = [0; 32];
        let fast = AwsLc.ml_kem_encapsulate(set, &wrong, &mut ciphertext.clone(), &mut secret);
        prop_assert_eq!(fast, software().ml_kem_encapsulate(set, &wrong, &mut ciphertext.clone(), &mut secret));
    }
}

#[test]
fn ml_dsa_arguments() {
    for set in MlDsaSet::ALL {
        let (private, public) = (vec![0; set.private_size()], vec![0; set.public_size()]);
        let signature = vec![0; set.signature_size()];
        let verify = |public: &[u8], context: &[u8], signature: &[u8]| {
            both(&(), |driver, ()| {
                driver.ml_dsa_verify(set, public, MlDsaMessage::Pure(b"x"), context, signature)
            })
        };
        assert_eq!(verify(&public, &[], &signature), Err(Error::Authentication));
        assert_eq!(verify(&[0xff; 5000][..public.len()], &[], &signature), Err(Error::Authentication));
        assert_eq!(verify(&[], &[0; 256], &[]), Err(Error::DataLength));
        for change in [-1_isize, 1] {
            let public = vec![0; public.len().checked_add_signed(change).unwrap()];
            let private = vec![0; private.len().checked_add_signed(change).unwrap()];
            let signature = vec![0; signature.len().checked_add_signed(change).unwrap()];
            let right = (vec![0; set.private_size()], vec![0; set.public_size()]);
            let refused = Err(Error::KeyLength);
            assert_eq!(verify(&public, &[], &signature), refused);
            assert_eq!(verify(&right.1, &[], &signature), Err(Error::DataLength));
            let derive =
                |private: &[u8], public: &Vec<u8>| AwsLc.ml_dsa_public(set, private, &mut public.clone());
            assert_eq!(derive(&private, &right.1), refused);
            assert_eq!(derive(&right.0, &public), refused);
            let generate = |pair: (Vec<u8>, Vec<u8>)| {
                both(&pair, |driver, (private, public)| {
                    driver.ml_dsa_from_seed(set, &[0; 32], private, public)
                })
                .map(drop)
            };
            assert_eq!(generate((private, right.1)), refused);
            assert_eq!(generate((right.0, public)), refused);
        }
        for byte in [0, 0x55, 0xff] {
            let private = vec![byte; set.private_size()];
            assert_eq!(AwsLc.ml_dsa_public(set, &private, &mut public.clone()), Err(Error::Key));
        }
    }
}

#[test]
fn ml_kem_arguments() {
    for set in MlKemSet::ALL {
        let private = both(&vec![0; set.private_size()], |driver, private| {
            driver.ml_kem_from_seed(set, &array(1), private)
        })
        .expect("a key");
        let public = set.public_of(&private).expect("a public key").to_vec();
        let ciphertext = vec![1; set.ciphertext_size()];
        for change in [-1_isize, 1] {
            let resized = |from: &[u8]| {
                let mut bytes = from.to_vec();
                bytes.resize(from.len().checked_add_signed(change).unwrap(), 0);
                bytes
            };
            let generate =
                both(&resized(&private), |driver, private| driver.ml_kem_from_seed(set, &[0; 64], private));
            assert_eq!(generate, Err(Error::KeyLength));
            for ciphertext in [&ciphertext, &resized(&ciphertext)] {
                for (public, private) in [(&resized(&public), &resized(&private)), (&public, &private)] {
                    let start = (ciphertext.clone(), [0; 32]);
                    let wrong_key = public.len() != set.public_size();
                    let wrong_size = ciphertext.len() != set.ciphertext_size();
                    let answer = |other| {
                        if wrong_key {
                            Err(Error::KeyLength)
                        } else if wrong_size {
                            Err(other)
                        } else {
                            Ok(())
                        }
                    };
                    let expected = answer(Error::OutputLength);
                    let encapsulate = |driver: &dyn MlKem| {
                        let (mut ciphertext, mut secret) = start.clone();
                        driver.ml_kem_encapsulate(set, public, &mut ciphertext, &mut secret)
                    };
                    assert_eq!(encapsulate(&software()), expected);
                    assert_eq!(encapsulate(&composed()), expected);
                    let (decapsulated, _) = agree(&[0; 32], |driver, secret| {
                        driver.ml_kem_decapsulate(set, private, ciphertext, secret)
                    });
                    assert_eq!(decapsulated.map(drop), answer(Error::DataLength));
                }
            }
        }
        // Coefficients beyond the modulus.
        let public = vec![0xff; set.public_size()];
        let answer = AwsLc.ml_kem_encapsulate(set, &public, &mut ciphertext.clone(), &mut [0; 32]);
        assert_eq!(answer, Err(Error::Key));
        let private = vec![0xff; set.private_size()];
        let answer =
            both(&[0; 32], |driver, secret| driver.ml_kem_decapsulate(set, &private, &ciphertext, secret));
        assert_eq!(answer, Err(Error::Key));
    }
}

/// The driver is shared by threads, and its errors leave nothing behind for the next operation.
#[test]
fn threads() {
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                for round in 0..20 {
                    let (private, public) = pair_of(Curve::P256, seed * 100 + round);
                    let mut signature = [0; 64];
                    AwsLc.ecdsa_sign(Curve::P256, &private, &[1; 32], &mut signature).expect("signed");
                    AwsLc.ecdsa_verify(Curve::P256, &public, &[1; 32], &signature).expect("verified");
                    AwsLc.ec_check(Curve::P256, &[1; 64]).expect_err("no point");
                }
            });
        }
    });
}
