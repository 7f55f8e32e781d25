//! The NIST curves: published vectors, the ranges of all inputs, and agreement between operations.

use casemate_crypto::{Curve, Drbg, EllipticCurve, Entropy, Error, HashAlgorithm, Software, hash};
use core::cell::RefCell;

/// The same "random" numbers in each run.
struct Constant;

impl Entropy for Constant {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        output.fill(0x5a);
        Ok(())
    }
}

fn driver() -> Software<RefCell<Drbg<Constant>>> {
    Software::new(RefCell::new(Drbg::new(Constant, b"test").unwrap()))
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// The order of each curve (NIST SP 800-186, §3.2.1; SEC 2; RFC 5639, §3).
fn order(curve: Curve) -> Vec<u8> {
    bytes(match curve {
        Curve::P224 => "ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d",
        Curve::P256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        Curve::P384 => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
        }
        Curve::P521 => {
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03b\
             b5c9b8899c47aebb6fb71e91386409"
        }
        Curve::Secp256k1 => "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        Curve::BrainpoolP256r1 => "a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7",
        Curve::BrainpoolP384r1 => {
            "8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565"
        }
    })
}

/// The prime of each curve's field.
fn prime(curve: Curve) -> Vec<u8> {
    bytes(match curve {
        Curve::P224 => "ffffffffffffffffffffffffffffffff000000000000000000000001",
        Curve::P256 => "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        Curve::P384 => {
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"
        }
        Curve::P521 => {
            "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
             ffffffffffffffffffffffffffff"
        }
        Curve::Secp256k1 => "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
        Curve::BrainpoolP256r1 => "a9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5377",
        Curve::BrainpoolP384r1 => {
            "8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b412b1da197fb71123acd3a729901d1a71874700133107ec53"
        }
    })
}

/// Adds a small number to a big-endian one.
fn plus(mut number: Vec<u8>, addend: i8) -> Vec<u8> {
    let mut carry = i16::from(addend);
    for byte in number.iter_mut().rev() {
        let sum = i16::from(*byte) + carry;
        *byte = sum.rem_euclid(256) as u8;
        carry = sum.div_euclid(256);
    }
    assert_eq!(carry, 0);
    number
}

fn pair(driver: &impl EllipticCurve, curve: Curve) -> (Vec<u8>, Vec<u8>) {
    let (mut private, mut public) = (vec![0; curve.field_size()], vec![0; curve.point_size()]);
    driver.ec_generate(curve, &mut private, &mut public).unwrap();
    (private, public)
}

#[test]
fn rfc_6979_keys_and_signatures() {
    let driver = driver();
    let (mut curve, mut public) = (Curve::P224, vec![]);
    let mut count = 0;
    for line in include_str!("data/rfc6979.txt").lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["key", name, private, expected] => {
                curve = Curve::ALL.into_iter().find(|curve| format!("{curve:?}") == name).unwrap();
                public = vec![0; curve.point_size()];
                driver.ec_public(curve, &bytes(private), &mut public).unwrap();
                assert_eq!(hex::encode(&public), expected);
                driver.ec_check(curve, &public).unwrap();
            }
            ["signature", algorithm, message, signature] => {
                let algorithm = match algorithm {
                    "sha1" => HashAlgorithm::Sha1,
                    "sha224" => HashAlgorithm::Sha224,
                    "sha256" => HashAlgorithm::Sha256,
                    "sha384" => HashAlgorithm::Sha384,
                    "sha512" => HashAlgorithm::Sha512,
                    other => panic!("{other}"),
                };
                let mut digest = vec![0; algorithm.digest_size().unwrap()];
                hash(&driver, algorithm, &[message.as_bytes()], &mut digest).unwrap();
                let mut signature = bytes(signature);
                driver.ecdsa_verify(curve, &public, &digest, &signature).expect(line);
                for index in [0, signature.len() / 2 - 1, signature.len() / 2, signature.len() - 1] {
                    signature[index] ^= 1;
                    let answer = driver.ecdsa_verify(curve, &public, &digest, &signature);
                    assert_eq!(answer, Err(Error::Authentication), "{line}");
                    signature[index] ^= 1;
                }
                digest[0] ^= 0x80;
                let answer = driver.ecdsa_verify(curve, &public, &digest, &signature);
                assert_eq!(answer, Err(Error::Authentication), "{line}");
                count += 1;
            }
            _ => assert!(line.starts_with('#'), "{line}"),
        }
    }
    assert_eq!(count, 40);
}

#[test]
fn digests_of_every_length() {
    let driver = driver();
    for curve in Curve::ALL {
        let (private, public) = pair(&driver, curve);
        let mut signature = vec![0; curve.point_size()];
        for length in 1..=80_usize {
            let digest: Vec<u8> = (0..length).map(|index| (index * 37 + length) as u8 | 1).collect();
            driver.ecdsa_sign(curve, &private, &digest, &mut signature).unwrap();
            driver.ecdsa_verify(curve, &public, &digest, &signature).unwrap();
            // What lies beyond the order's size does not count, and everything before does.
            let size = curve.field_size();
            if length > size {
                driver.ecdsa_verify(curve, &public, &digest[..size], &signature).unwrap();
            }
            let mut other = digest.clone();
            other[length.min(size) - 1] ^= 0x80;
            let answer = driver.ecdsa_verify(curve, &public, &other, &signature);
            assert_eq!(answer, Err(Error::Authentication), "{curve:?} {length}");
        }
        assert_eq!(driver.ecdsa_sign(curve, &private, &[], &mut signature), Err(Error::DataLength));
        assert_eq!(driver.ecdsa_verify(curve, &public, &[], &signature), Err(Error::DataLength));
    }
}

#[test]
fn two_signatures_differ() {
    let driver = driver();
    for curve in Curve::ALL {
        let (private, public) = pair(&driver, curve);
        let (mut first, mut second) = (vec![0; curve.point_size()], vec![0; curve.point_size()]);
        driver.ecdsa_sign(curve, &private, &[1; 32], &mut first).unwrap();
        driver.ecdsa_sign(curve, &private, &[1; 32], &mut second).unwrap();
        let size = curve.field_size();
        assert_ne!(first[..size], second[..size], "{curve:?}: the nonce repeats");
        driver.ecdsa_verify(curve, &public, &[1; 32], &first).unwrap();
        driver.ecdsa_verify(curve, &public, &[1; 32], &second).unwrap();
        let answer = driver.ecdsa_verify(curve, &pair(&driver, curve).1, &[1; 32], &first);
        assert_eq!(answer, Err(Error::Authentication));
    }
}

#[test]
fn agreement_is_mutual() {
    let driver = driver();
    for curve in Curve::ALL {
        let (first, second) = (pair(&driver, curve), pair(&driver, curve));
        assert_ne!(first, second);
        let (mut one, mut other) = (vec![0; curve.field_size()], vec![1; curve.field_size()]);
        driver.ecdh(curve, &first.0, &second.1, &mut one).unwrap();
        driver.ecdh(curve, &second.0, &first.1, &mut other).unwrap();
        assert_eq!(one, other);
        // The private key 1 hands back the coordinate X of the other's key.
        let mut scalar = vec![0; curve.field_size()];
        *scalar.last_mut().unwrap() = 1;
        driver.ecdh(curve, &scalar, &second.1, &mut one).unwrap();
        assert_eq!(one, second.1[..curve.field_size()]);
    }
}

#[test]
fn private_keys_are_in_range() {
    let driver = driver();
    for curve in Curve::ALL {
        let (_, peer) = pair(&driver, curve);
        let mut public = vec![0; curve.point_size()];
        let mut signature = vec![0; curve.point_size()];
        let mut secret = vec![0; curve.field_size()];
        let order = order(curve);
        let mut one = vec![0; curve.field_size()];
        *one.last_mut().unwrap() = 1;
        for private in [one, plus(order.clone(), -1)] {
            driver.ec_public(curve, &private, &mut public).unwrap();
            driver.ec_check(curve, &public).unwrap();
            driver.ecdsa_sign(curve, &private, &[1; 32], &mut signature).unwrap();
            driver.ecdsa_verify(curve, &public, &[1; 32], &signature).unwrap();
            driver.ecdh(curve, &private, &peer, &mut secret).unwrap();
        }
        let size = curve.field_size();
        for private in [vec![0; size], order.clone(), plus(order.clone(), 1), vec![0xff; size]] {
            assert_eq!(driver.ec_public(curve, &private, &mut public), Err(Error::Key));
            assert_eq!(driver.ecdsa_sign(curve, &private, &[1; 32], &mut signature), Err(Error::Key));
            assert_eq!(driver.ecdh(curve, &private, &peer, &mut secret), Err(Error::Key));
        }
    }
}

#[test]
fn public_keys_are_on_the_curve() {
    let driver = driver();
    for curve in Curve::ALL {
        let size = curve.field_size();
        let (private, public) = pair(&driver, curve);
        let mut secret = vec![0; size];
        let mut signature = vec![0; curve.point_size()];
        driver.ecdsa_sign(curve, &private, &[1; 32], &mut signature).unwrap();
        let mut bad = vec![vec![0; 2 * size], vec![0xff; 2 * size]];
        for index in [0, size - 1, size, 2 * size - 1] {
            let mut point = public.clone();
            point[index] ^= 1;
            bad.push(point);
        }
        // X = p, which a careless reduction takes for 0, with Y for X = 0 unknown here; and Y = p.
        bad.push([prime(curve), public[size..].to_vec()].concat());
        bad.push([public[..size].to_vec(), prime(curve)].concat());
        bad.push([public[size..].to_vec(), public[..size].to_vec()].concat());
        for point in bad {
            assert_eq!(driver.ec_check(curve, &point), Err(Error::Key), "{curve:?} {}", hex::encode(&point));
            assert_eq!(driver.ecdh(curve, &private, &point, &mut secret), Err(Error::Key));
            let answer = driver.ecdsa_verify(curve, &point, &[1; 32], &signature);
            assert_eq!(answer, Err(Error::Key));
        }
    }
}

/// Points of the field that satisfy the equation only because a coordinate is written as more than the prime.
#[test]
fn coordinates_are_reduced() {
    let driver = driver();
    // On P-521 every X below 2^528 - p has a second spelling that fits the octets: add p to the base point's.
    let mut base = vec![0; 132];
    let mut one = vec![0; 66];
    one[65] = 1;
    driver.ec_public(Curve::P521, &one, &mut base).unwrap();
    let p = prime(Curve::P521);
    let mut carry = 0_u16;
    for index in (0..66).rev() {
        let sum = u16::from(base[index]) + u16::from(p[index]) + carry;
        base[index] = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(driver.ec_check(Curve::P521, &base), Err(Error::Key));
}

#[test]
fn signature_numbers_are_in_range() {
    let driver = driver();
    for curve in Curve::ALL {
        let size = curve.field_size();
        let (private, public) = pair(&driver, curve);
        let mut good = vec![0; 2 * size];
        driver.ecdsa_sign(curve, &private, &[1; 32], &mut good).unwrap();
        let (r, s) = (&good[..size], &good[size..]);
        let order = order(curve);
        let zero = vec![0; size];
        let mut bad = vec![];
        for number in [&zero, &order, &plus(order.clone(), 1), &vec![0xff; size]] {
            bad.push([number, s].concat());
            bad.push([r, number].concat());
        }
        bad.push([s, r].concat());
        bad.push(vec![]);
        bad.push(good[..2 * size - 1].to_vec());
        bad.push(good[..2 * size - 2].to_vec());
        bad.push([&good[..], &[0]].concat());
        bad.push([&good[..], &[0, 0]].concat());
        for signature in bad {
            let answer = driver.ecdsa_verify(curve, &public, &[1; 32], &signature);
            assert_eq!(answer, Err(Error::Authentication), "{curve:?} {}", hex::encode(signature));
        }
        // The other S of the same R is as good as the one made: neither is preferred.
        let mut borrow = 0_i16;
        let mut other = good.clone();
        for index in (0..size).rev() {
            let difference = i16::from(order[index]) - i16::from(s[index]) - borrow;
            other[size + index] = difference.rem_euclid(256) as u8;
            borrow = i16::from(difference < 0);
        }
        driver.ecdsa_verify(curve, &public, &[1; 32], &other).unwrap();
    }
}

#[test]
fn lengths_are_checked() {
    let driver = driver();
    for curve in Curve::ALL {
        let size = curve.field_size();
        let (private, public) = pair(&driver, curve);
        let mut signature = vec![0; 2 * size];
        driver.ecdsa_sign(curve, &private, &[1; 32], &mut signature).unwrap();
        for wrong in [0, 1, size - 1, size + 1, 2 * size, 200] {
            let mut key = vec![1; wrong];
            let mut point = vec![0; 2 * size];
            let mut secret = vec![0; size];
            assert_eq!(driver.ec_generate(curve, &mut key, &mut point), Err(Error::KeyLength));
            assert_eq!(driver.ec_public(curve, &key, &mut point), Err(Error::KeyLength));
            assert_eq!(driver.ecdsa_sign(curve, &key, &[1; 32], &mut point), Err(Error::KeyLength));
            assert_eq!(driver.ecdh(curve, &key, &public, &mut secret), Err(Error::KeyLength));
            assert_eq!(driver.ecdh(curve, &private, &public, &mut key), Err(Error::OutputLength));
        }
        for wrong in [0, 1, 2, size, 2 * size - 2, 2 * size - 1, 2 * size + 1, 2 * size + 2] {
            let mut point = vec![1; wrong];
            let mut key = private.clone();
            let mut secret = vec![0; size];
            assert_eq!(driver.ec_generate(curve, &mut key, &mut point), Err(Error::KeyLength));
            assert_eq!(driver.ec_public(curve, &private, &mut point), Err(Error::KeyLength));
            assert_eq!(driver.ec_check(curve, &point), Err(Error::KeyLength));
            assert_eq!(driver.ecdh(curve, &private, &point, &mut secret), Err(Error::KeyLength));
            let answer = driver.ecdsa_verify(curve, &point, &[1; 32], &signature);
            assert_eq!(answer, Err(Error::KeyLength));
            let answer = driver.ecdsa_sign(curve, &private, &[1; 32], &mut point);
            assert_eq!(answer, Err(Error::OutputLength));
        }
    }
}
