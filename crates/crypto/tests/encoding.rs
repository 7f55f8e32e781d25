//! The stored and transmitted forms of elliptic-curve keys: byte templates of the reference, keys written by OpenSSL,
//! keys recorded from the original programs, and arbitrary bytes.

use casemate_crypto::encoding::{
    EcKey, Ed25519Key, EncodingError, X25519Key, decode_ecdsa_signature, decode_point,
    encode_ecdsa_signature, encode_point,
};
use casemate_crypto::{Curve, Curve25519, Drbg, Ed25519Mode, EllipticCurve, Entropy, Error, Software};
use core::cell::RefCell;
use proptest::prelude::*;

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
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

/// Runs an encoder on a buffer of exactly the size it asks for, and checks that one byte less is refused.
fn written(encode: impl Fn(&mut [u8]) -> Result<usize, EncodingError>) -> Result<Vec<u8>, EncodingError> {
    let mut output = vec![0xa5; 300];
    let size = encode(&mut output)?;
    assert!(output[size..].iter().all(|byte| *byte == 0xa5), "wrote behind the end");
    output.truncate(size);
    let short = encode(&mut vec![0; size - 1]);
    assert_eq!(short, Err(EncodingError::OutputLength { needed: size }));
    let mut exact = vec![0; size];
    assert_eq!(encode(&mut exact), Ok(size));
    assert_eq!(exact, output);
    Ok(output)
}

fn ec_private(key: &EcKey<'_>) -> Vec<u8> {
    written(|output| key.encode_private(output)).unwrap()
}

fn ec_public(key: &EcKey<'_>) -> Vec<u8> {
    written(|output| key.encode_public(output)).unwrap()
}

/// The key of RFC 6979 on each curve: its private and public half.
fn rfc_6979() -> Vec<(Curve, Vec<u8>, Vec<u8>)> {
    let text = include_str!("data/rfc6979.txt");
    let keys: Vec<_> = text
        .lines()
        .filter_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            ["key", name, private, public] => {
                let curve = Curve::ALL.into_iter().find(|curve| format!("{curve:?}") == name).unwrap();
                Some((curve, bytes(private), bytes(public)))
            }
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 4);
    keys
}

fn openssl(name: &str) -> Vec<u8> {
    let text = include_str!("data/openssl_keys.txt");
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    bytes(line.expect(name).split(' ').nth(1).unwrap())
}

/// Document 05, §11, and document 03, §12.1.
#[test]
fn templates() {
    let (d, x, y) = ("11".repeat(32), "22".repeat(32), "33".repeat(32));
    let pair = bytes(&format!("30770201010420 {d} a00a06082a8648ce3d030107 a144034200 04 {x} {y}"));
    let key = EcKey::decode(&pair).unwrap();
    assert_eq!((key.curve, key.private.unwrap()), (Curve::P256, bytes(&d).as_slice()));
    assert_eq!(key.public.unwrap(), bytes(&format!("{x}{y}")));
    assert_eq!(ec_private(&key), pair);
    let public = bytes(&format!("3059301306072a8648ce3d020106082a8648ce3d030107034200 04 {x} {y}"));
    assert_eq!(ec_public(&key), public);
    assert_eq!(EcKey::decode(&public), Ok(EcKey { private: None, ..key }));

    let ed = bytes(&format!("3050020101300506032b657004220420 {d} 8120 {x}"));
    let key = Ed25519Key::decode(&ed).unwrap();
    assert_eq!((**key.seed.as_ref().unwrap(), key.public), ([0x11; 32], Some([0x22; 32])));
    assert_eq!(written(|output| key.encode_private(output)).unwrap(), ed);
    let public = bytes(&format!("302a300506032b6570032100 {x}"));
    assert_eq!(written(|output| key.encode_public(output)).unwrap(), public);

    // X25519: every octet string in reverse.
    let (rising, falling): (Vec<u8>, Vec<u8>) = ((1..=32).collect(), (1..=32).rev().collect());
    let pair =
        [bytes("3050020101300506032b656e04220420"), rising.clone(), bytes("8120"), falling.clone()].concat();
    let key = X25519Key::decode(&pair).unwrap();
    assert_eq!(key.private.as_ref().unwrap().as_slice(), falling);
    assert_eq!(key.public.unwrap().as_slice(), rising);
    assert_eq!(written(|output| key.encode_private(output)).unwrap(), pair);
    let public = [bytes("302a300506032b656e032100"), falling].concat();
    assert_eq!(written(|output| key.encode_public(output)).unwrap(), public);
}

#[test]
fn sizes() {
    for ((curve, private, public), (pair, lone, info)) in
        rfc_6979().iter().zip([(106, 44, 80), (121, 51, 91), (167, 64, 120), (223, 82, 158)])
    {
        let key = EcKey { curve: *curve, private: Some(private), public: Some(public) };
        assert_eq!(ec_private(&key).len(), pair);
        assert_eq!(ec_private(&EcKey { public: None, ..key }).len(), lone);
        assert_eq!(ec_public(&key).len(), info);
        assert!(pair <= EcKey::MAX_ENCODING);
    }
    let key = X25519Key { private: Some([1; 32].into()), public: None };
    assert_eq!(written(|output| key.encode_private(output)).unwrap().len(), 48);
    let key = Ed25519Key { seed: Some([1; 32].into()), public: None };
    let encoded = written(|output| key.encode_private(output)).unwrap();
    assert_eq!(encoded, bytes(&format!("302e020100300506032b657004220420 {}", "01".repeat(32))));
}

#[test]
fn keys_by_openssl() {
    let driver = driver();
    for (curve, private, public) in &rfc_6979() {
        let name = |form: &str| openssl(&format!("{curve:?}-{form}"));
        let key = EcKey { curve: *curve, private: Some(private), public: Some(public) };
        key.check(&driver).unwrap();
        assert_eq!(EcKey::decode(&name("sec1")), Ok(key));
        assert_eq!(ec_private(&key), name("sec1"));
        assert_eq!(EcKey::decode(&name("pkcs8")), Ok(key));
        let lone = EcKey { public: None, ..key };
        assert_eq!(EcKey::decode(&name("sec1-private")), Ok(lone));
        assert_eq!(ec_private(&lone), name("sec1-private"));
        let info = EcKey { private: None, ..key };
        assert_eq!(EcKey::decode(&name("spki")), Ok(info));
        assert_eq!(ec_public(&info), name("spki"));
        assert_eq!(EcKey::decode(&name("spki-compressed")), Err(EncodingError::Point));
        assert_eq!(EcKey::decode(&name("spki-explicit")), Err(EncodingError::UnknownCurve));
        assert_eq!(EcKey::decode(&name("sec1-explicit")), Err(EncodingError::UnknownCurve));

        // A private key alone: its public half is computed, its curve follows from its length.
        let mut buffer = [0; Curve::MAX_POINT];
        assert_eq!(lone.public_or_derived(&driver, &mut buffer), Ok(public.as_slice()));
        let nameless =
            [&[0x30, 5 + private.len() as u8, 2, 1, 1, 4, private.len() as u8], &private[..]].concat();
        assert_eq!(EcKey::decode(&nameless), Ok(lone));
    }
    for (curve, name) in [
        (Curve::Secp256k1, "secp256k1"),
        (Curve::BrainpoolP256r1, "brainpoolP256r1"),
        (Curve::BrainpoolP384r1, "brainpoolP384r1"),
    ] {
        let [sec1, pkcs8, spki] = ["sec1", "pkcs8", "spki"].map(|form| openssl(&format!("{name}-{form}")));
        let key = EcKey::decode(&sec1).unwrap();
        assert_eq!(key.curve, curve);
        assert!(key.private.is_some() && key.public.is_some());
        key.check(&driver).unwrap();
        assert_eq!(ec_private(&key), sec1);
        assert_eq!(EcKey::decode(&pkcs8), Ok(key));
        let info = EcKey { private: None, ..key };
        assert_eq!(EcKey::decode(&spki), Ok(info));
        assert_eq!(ec_public(&info), spki);
    }
    for form in ["sec1", "pkcs8", "spki"] {
        let key = openssl(&format!("brainpoolP320r1-{form}"));
        assert_eq!(EcKey::decode(&key), Err(EncodingError::UnknownCurve), "{form}");
    }
    for form in
        ["RSA-512-pkcs8", "RSA-512-spki", "Ed25519-pkcs8", "Ed25519-spki", "X25519-pkcs8", "X25519-spki"]
    {
        assert_eq!(EcKey::decode(&openssl(form)), Err(EncodingError::Malformed), "{form}");
    }

    let key = Ed25519Key::decode(&openssl("Ed25519-pkcs8")).unwrap();
    assert_eq!(key.public, None);
    assert_eq!(written(|output| key.encode_private(output)).unwrap(), openssl("Ed25519-pkcs8"));
    let mut public = [0; 32];
    driver.ed25519_public(key.seed.as_ref().unwrap(), &mut public).unwrap();
    let info = Ed25519Key::decode(&openssl("Ed25519-spki")).unwrap();
    assert_eq!((info.public, info.seed.is_none()), (Some(public), true));
    assert_eq!(Ed25519Key::decode(&openssl("X25519-spki")), Err(EncodingError::Malformed));
    assert_eq!(Ed25519Key::decode(&openssl("P256-spki")), Err(EncodingError::Malformed));
    assert_eq!(Ed25519Key::decode(&openssl("P256-pkcs8")), Err(EncodingError::Malformed));

    // OpenSSL writes RFC 7748 order, which is read in reverse; the two halves then no longer belong together.
    let private = X25519Key::decode(&openssl("X25519-pkcs8")).unwrap().private.unwrap();
    let mut original = *private;
    original.reverse();
    let mut public = [0; 32];
    driver.x25519_public(&original, &mut public).unwrap();
    public.reverse();
    assert_eq!(X25519Key::decode(&openssl("X25519-spki")).unwrap().public, Some(public));
    assert_eq!(X25519Key::decode(&openssl("Ed25519-pkcs8")), Err(EncodingError::Malformed));
}

/// The public half with the octet for unused bits, as RFC 5958 has it, is read; the short form is written.
#[test]
fn both_forms_of_the_public_half() {
    let short =
        bytes(&format!("3050020101300506032b657004220420 {} 8120 {}", "11".repeat(32), "22".repeat(32)));
    let long =
        bytes(&format!("3051020101300506032b657004220420 {} 812100 {}", "11".repeat(32), "22".repeat(32)));
    let key = Ed25519Key::decode(&long).unwrap();
    assert_eq!(Ed25519Key::decode(&short), Ok(key.clone()));
    assert_eq!(written(|output| key.encode_private(output)).unwrap(), short);
    // Version 0 with a public half, and attributes in between.
    let mut version = short.clone();
    version[4] = 0;
    assert_eq!(Ed25519Key::decode(&version), Ok(key.clone()));
    let attributes =
        bytes(&format!("3052020101300506032b657004220420 {} a000 8120 {}", "11".repeat(32), "22".repeat(32)));
    assert_eq!(Ed25519Key::decode(&attributes), Ok(key));
    for wrong in [
        // Unused bits, 31 and 33 octets, a constructed tag, version 2.
        format!("3051020101300506032b657004220420 {} 812101 {}", "11".repeat(32), "22".repeat(32)),
        format!("304f020101300506032b657004220420 {} 811f {}", "11".repeat(32), "22".repeat(31)),
        format!("3051020101300506032b657004220420 {} 8121 {}", "11".repeat(32), "22".repeat(33)),
        format!("3050020101300506032b657004220420 {} a120 {}", "11".repeat(32), "22".repeat(32)),
        format!("3050020102300506032b657004220420 {} 8120 {}", "11".repeat(32), "22".repeat(32)),
        // The private half without its inner OCTET STRING, too short, too long.
        format!("302c020100300506032b65700420 {}", "11".repeat(32)),
        format!("302d020100300506032b65700421041f {}", "11".repeat(31)),
        format!("302f020100300506032b657004230421 {}", "11".repeat(33)),
        // Parameters.
        format!("3030020100300706032b6570050004220420 {}", "11".repeat(32)),
    ] {
        assert_eq!(Ed25519Key::decode(&bytes(&wrong)), Err(EncodingError::Malformed), "{wrong}");
    }
}

#[test]
fn a_lone_seed_with_a_public_half_of_zeros() {
    let stored =
        bytes(&format!("3050020101300506032b657004220420 {} 8120 {}", "11".repeat(32), "00".repeat(32)));
    let key = Ed25519Key::decode(&stored).unwrap();
    assert_eq!((key.seed.is_some(), key.public), (true, None));
    let public = bytes(&format!("302a300506032b6570032100 {}", "00".repeat(32)));
    assert_eq!(Ed25519Key::decode(&public).unwrap().public, Some([0; 32]));
}

#[test]
fn halves_are_compared() {
    let driver = driver();
    for (curve, private, public) in &rfc_6979() {
        let key = EcKey { curve: *curve, private: Some(private), public: Some(public) };
        key.check(&driver).unwrap();
        let mut other = private.clone();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(EcKey { private: Some(&other), ..key }.check(&driver), Err(EncodingError::Mismatch));
        let mut off = public.clone();
        *off.last_mut().unwrap() ^= 1;
        assert_eq!(EcKey { public: Some(&off), ..key }.check(&driver), Err(EncodingError::Point));
        assert_eq!(
            EcKey { public: Some(&off), private: None, ..key }.check(&driver),
            Err(EncodingError::Point)
        );
        let zero = vec![0; private.len()];
        assert_eq!(EcKey { private: Some(&zero), ..key }.check(&driver), Err(EncodingError::PrivateKey));
        let lone = EcKey { private: Some(&zero), public: None, ..key };
        assert_eq!(lone.check(&driver), Err(EncodingError::PrivateKey));
        let mut buffer = [0; Curve::MAX_POINT];
        assert_eq!(lone.public_or_derived(&driver, &mut buffer), Err(EncodingError::PrivateKey));
        assert_eq!(EcKey { private: None, public: None, ..key }.check(&driver), Ok(()));
    }
    let mut public = [0; 32];
    driver.ed25519_public(&[5; 32], &mut public).unwrap();
    let mut key = Ed25519Key { seed: Some([5; 32].into()), public: Some(public) };
    assert_eq!(key.check(&driver), Ok(()));
    key.seed = Some([6; 32].into());
    assert_eq!(key.check(&driver), Err(EncodingError::Mismatch));
    driver.x25519_public(&[5; 32], &mut public).unwrap();
    let mut key = X25519Key { private: Some([5; 32].into()), public: Some(public) };
    assert_eq!(key.check(&driver), Ok(()));
    key.public = Some([6; 32]);
    assert_eq!(key.check(&driver), Err(EncodingError::Mismatch));
}

/// A driver that has no curves says so; the key is not blamed.
#[test]
fn a_driver_without_curves() {
    struct Nothing;
    impl EllipticCurve for Nothing {}
    impl Curve25519 for Nothing {}
    let keys = rfc_6979();
    let (curve, private, public) = &keys[1];
    let key = EcKey { curve: *curve, private: Some(private), public: Some(public) };
    assert_eq!(key.check(&Nothing), Err(EncodingError::Driver(Error::Unsupported)));
    let key = Ed25519Key { seed: Some([1; 32].into()), public: Some([1; 32]) };
    assert_eq!(key.check(&Nothing), Err(EncodingError::Driver(Error::Unsupported)));
}

#[test]
fn missing_halves() {
    let keys = rfc_6979();
    let (curve, private, public) = &keys[1];
    let (private, public) = (Some(private.as_slice()), Some(public.as_slice()));
    let key = EcKey { curve: *curve, private: None, public };
    assert_eq!(key.encode_private(&mut [0; 300]), Err(EncodingError::Missing));
    let key = EcKey { curve: *curve, private, public: None };
    assert_eq!(key.encode_public(&mut [0; 300]), Err(EncodingError::Missing));
    let key = EcKey { curve: *curve, private: None, public: None };
    assert_eq!(key.public_or_derived(&driver(), &mut [0; Curve::MAX_POINT]), Err(EncodingError::Missing));
    let key = EcKey { curve: Curve::P384, private, public };
    assert_eq!(key.encode_private(&mut [0; 300]), Err(EncodingError::PrivateKey));
    assert_eq!(key.encode_public(&mut [0; 300]), Err(EncodingError::Point));
    let key = X25519Key { private: None, public: None };
    assert_eq!(key.encode_private(&mut [0; 300]), Err(EncodingError::Missing));
    assert_eq!(key.encode_public(&mut [0; 300]), Err(EncodingError::Missing));
}

/// What a debugger or a log may see of a key.
#[test]
fn private_halves_are_not_shown() {
    let private = [0x5c; 32];
    let shown = format!(
        "{:?} {:?} {:?}",
        EcKey { curve: Curve::P256, private: Some(&private), public: None },
        X25519Key { private: Some(private.into()), public: None },
        Ed25519Key { seed: Some(private.into()), public: None },
    );
    assert!(!shown.contains("92") && !shown.to_lowercase().contains("5c"), "{shown}");
}

#[test]
fn malformed_ec_keys() {
    let (d, x, y) = ("11".repeat(32), "22".repeat(32), "33".repeat(32));
    let p256 = "a00a06082a8648ce3d030107";
    let malformed = [
        String::new(),
        "30".into(),
        "3000".into(),
        // Something behind the key; behind its last part; an indefinite and a long length.
        format!("30770201010420 {d} {p256} a144034200 04 {x} {y} 00"),
        format!("30790201010420 {d} {p256} a144034200 04 {x} {y} 0500"),
        format!("30800201010420 {d} {p256} a144034200 04 {x} {y} 0000"),
        format!("3081770201010420 {d} {p256} a144034200 04 {x} {y}"),
        // Version 0, 2, and 1 in two octets.
        format!("30770201000420 {d} {p256} a144034200 04 {x} {y}"),
        format!("30770201020420 {d} {p256} a144034200 04 {x} {y}"),
        format!("307802020001 0420 {d} {p256} a144034200 04 {x} {y}"),
        // A private key of 31 and of 33 octets.
        format!("3030020101041f {} {p256}", "11".repeat(31)),
        format!("30320201010421 {} {p256}", "11".repeat(33)),
        // No private key.
        format!("300f020101 {p256}"),
        // Unused bits in the point; something behind it.
        format!("30770201010420 {d} {p256} a144034201 04 {x} {y}"),
        format!("30790201010420 {d} {p256} a146034200 04 {x} {y} 0500"),
        // The point before the curve.
        format!("30770201010420 {d} a144034200 04 {x} {y} {p256}"),
        // A bare point and a bare scalar.
        format!("04 {x} {y}"),
        d.clone(),
        // PKCS#8 whose outer and inner curve differ.
        format!("304d020100 301006072a8648ce3d020106052b81040022 0436 30310201010420 {d} a00706052b81040021"),
    ];
    for key in &malformed {
        assert_eq!(EcKey::decode(&bytes(key)), Err(EncodingError::Malformed), "{key}");
    }
    for key in [
        // In place of an uncompressed point: compressed, hybrid, the identity, too short, none.
        format!("30550201010420 {d} {p256} a122032000 02 {}", "22".repeat(30)),
        format!("30770201010420 {d} {p256} a144034200 06 {x} {y}"),
        format!("30370201010420 {d} {p256} a104030200 00"),
        format!("30760201010420 {d} {p256} a143034100 04 {x} {}", "33".repeat(31)),
        format!("30360201010420 {d} {p256} a1030301 00"),
    ] {
        assert_eq!(EcKey::decode(&bytes(&key)), Err(EncodingError::Point), "{key}");
    }
    // A private key whose size is none of the curves', without a curve; and a curve that is no name.
    let nameless = bytes(&format!("30190201010414 {}", "11".repeat(20)));
    assert_eq!(EcKey::decode(&nameless), Err(EncodingError::UnknownCurve));
    let null = bytes(&format!("30290201010420 {d} a0020500"));
    assert_eq!(EcKey::decode(&null), Err(EncodingError::UnknownCurve));
    let absent = bytes(&format!("304d 3009 06072a8648ce3d0201 034200 04 {x} {y}").replace("304d", "304f"));
    assert_eq!(EcKey::decode(&absent), Err(EncodingError::UnknownCurve));
}

/// PKCS#8 of version 1 may hold the public half outside, inside, or both; then they are the same.
#[test]
fn pkcs8_with_public_half() {
    let (d, x, y) = ("11".repeat(32), "22".repeat(32), "33".repeat(32));
    let algorithm = "301306072a8648ce3d020106082a8648ce3d030107";
    let outside = bytes(&format!("308188020101 {algorithm} 0427 30250201010420 {d} 8142 00 04 {x} {y}"));
    let size = outside.len() - 3;
    let mut outside = outside;
    outside[2] = size as u8;
    let key = EcKey::decode(&outside).unwrap();
    assert_eq!(key.public, Some(bytes(&format!("{x}{y}")).as_slice()));
    let inner = format!("306b0201010420 {d} a144034200 04 {x} {y}");
    let with = |last: &str| {
        let body = bytes(&format!("020101 {algorithm} 046d {inner} 8142 00 04 {x} {last}"));
        [&[0x30, 0x81, body.len() as u8], &body[..]].concat()
    };
    assert_eq!(EcKey::decode(&with(&y)).as_ref().map(|key| key.public), Ok(key.public));
    assert_eq!(EcKey::decode(&with(&"34".repeat(32))), Err(EncodingError::Mismatch));
}

#[test]
fn ecdsa_signatures() {
    let decode = |text: &str| {
        let mut output = [0xa5; 64];
        decode_ecdsa_signature(Curve::P256, &bytes(text), &mut output).map(|size| output[..size].to_vec())
    };
    // Document 05, §15.
    let recorded = "30450221009566bd6e726e889f67edb8a59fc573329d6bf3308cb97a7416f57932fb8fd818022033d9044186340797307a35cd1a\
                    546f16e82daf704e978b5c52749591773f1e42";
    let numbers = decode(recorded).unwrap();
    assert_eq!(numbers[..2], [0x95, 0x66]);
    assert_eq!(written(|output| encode_ecdsa_signature(&numbers, output)).unwrap(), bytes(recorded));
    let mut small = [0; 64];
    (small[31], small[63]) = (1, 0x80);
    assert_eq!(decode("3007020101 02020080").unwrap(), small);
    assert_eq!(
        written(|output| encode_ecdsa_signature(&small, output)).unwrap(),
        bytes("3007020101 02020080")
    );

    let long = "11".repeat(33);
    for (signature, error) in [
        ("", EncodingError::Signature),
        ("3000", EncodingError::Signature),
        ("3003020101", EncodingError::Signature),
        ("3006020101020101 00", EncodingError::Signature),
        ("3008020101020101 0500", EncodingError::Signature),
        ("3106020101020101", EncodingError::Signature),
        ("3006020101030101", EncodingError::Signature),
        ("300502010102 00", EncodingError::Signature),
        // Not minimal, negative.
        ("3007020200010 20101", EncodingError::Signature),
        ("3006020181020101", EncodingError::Signature),
        ("308106020101020101", EncodingError::Signature),
        ("3080020101020101 0000", EncodingError::Signature),
        ("3006020100020101", EncodingError::SignatureZero),
        ("3006020101020100", EncodingError::SignatureZero),
        (&format!("3026 0221 {long} 020101"), EncodingError::SignatureRange),
        (&format!("3026 020101 0221 {long}"), EncodingError::SignatureRange),
        // The numbers bare, without DER.
        (&"11".repeat(64), EncodingError::Signature),
    ] {
        assert_eq!(decode(signature), Err(error), "{signature}");
    }
    let mut output = [0; 63];
    let answer = decode_ecdsa_signature(Curve::P256, &bytes(recorded), &mut output);
    assert_eq!(answer, Err(EncodingError::OutputLength { needed: 64 }));
    assert_eq!(encode_ecdsa_signature(&[1; 63], &mut [0; 200]), Err(EncodingError::Signature));
    assert_eq!(encode_ecdsa_signature(&[], &mut [0; 200]), Err(EncodingError::SignatureZero));
    small[63] = 0;
    assert_eq!(encode_ecdsa_signature(&small, &mut [0; 200]), Err(EncodingError::SignatureZero));
    for (curve, size) in Curve::ALL.into_iter().zip([64, 72, 104, 139, 72, 72, 104]) {
        // Both numbers with their top bit set; on P-521 that bit is not at the top of an octet.
        let top = if curve == Curve::P521 { 1 } else { 0xff };
        let mut numbers = vec![0xff; curve.point_size()];
        (numbers[0], numbers[curve.field_size()]) = (top, top);
        assert_eq!(written(|output| encode_ecdsa_signature(&numbers, output)).unwrap().len(), size);
    }
}

#[test]
fn points() {
    let public: Vec<u8> = (0..64).collect();
    let point = written(|output| encode_point(&public, output)).unwrap();
    assert_eq!((point[0], &point[1..]), (4, &public[..]));
    assert_eq!(decode_point(Curve::P256, &point), Ok(&public[..]));
    for wrong in [&[][..], &[4], &point[..64], &[&point[..], &[0]].concat(), &[&[2], &public[..]].concat()] {
        assert_eq!(decode_point(Curve::P256, wrong), Err(EncodingError::Point));
    }
    assert_eq!(decode_point(Curve::P384, &point), Err(EncodingError::Point));
}

/// Every key, signature and secret in a recorded run of the original programs.
#[test]
fn recorded_exchanges() {
    let driver = driver();
    let mut counts = [0; 5];
    for line in include_str!("data/recorded.txt").lines() {
        let field = |text: &str| if text == "-" { vec![] } else { bytes(text) };
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["key", "ec", der] => {
                let der = bytes(der);
                let key = EcKey::decode(&der).expect(line);
                key.check(&driver).expect(line);
                let again = if key.private.is_some() { ec_private(&key) } else { ec_public(&key) };
                assert_eq!(again, der, "{line}");
                counts[0] += 1;
            }
            ["key", "x25519", der] => {
                let der = bytes(der);
                let key = X25519Key::decode(&der).expect(line);
                key.check(&driver).expect(line);
                let again = match key.private {
                    Some(_) => written(|output| key.encode_private(output)),
                    None => written(|output| key.encode_public(output)),
                };
                assert_eq!(again, Ok(der), "{line}");
                counts[0] += 1;
            }
            ["key", "ed25519", der] => {
                let der = bytes(der);
                let key = Ed25519Key::decode(&der).expect(line);
                key.check(&driver).expect(line);
                let again = match key.seed {
                    Some(_) => written(|output| key.encode_private(output)),
                    None => written(|output| key.encode_public(output)),
                };
                assert_eq!(again, Ok(der), "{line}");
                counts[0] += 1;
            }
            ["ecdsa", key, digest, signature, valid] => {
                let (key, signature) = (bytes(key), bytes(signature));
                let key = EcKey::decode(&key).expect(line);
                let mut numbers = vec![0; key.curve.point_size()];
                decode_ecdsa_signature(key.curve, &signature, &mut numbers).expect(line);
                assert_eq!(written(|output| encode_ecdsa_signature(&numbers, output)), Ok(signature));
                let mut buffer = [0; Curve::MAX_POINT];
                let public = key.public_or_derived(&driver, &mut buffer).unwrap();
                let answer = driver.ecdsa_verify(key.curve, public, &bytes(digest), &numbers);
                assert_eq!(answer.is_ok(), valid == "1", "{line}");
                counts[1] += 1;
            }
            ["ecdh", private, public, expected, _] => {
                let (private, public) = (bytes(private), bytes(public));
                let (private, public) = (EcKey::decode(&private).unwrap(), EcKey::decode(&public).unwrap());
                let mut secret = vec![0; private.curve.field_size()];
                let (own, peer) = (private.private.expect(line), public.public.expect(line));
                driver.ecdh(private.curve, own, peer, &mut secret).unwrap();
                assert_eq!(hex::encode(secret), expected, "{line}");
                counts[2] += 1;
            }
            ["x25519", private, public, expected, endian] => {
                let private = X25519Key::decode(&bytes(private)).unwrap().private.expect(line);
                let public = X25519Key::decode(&bytes(public)).unwrap().public.expect(line);
                let mut secret = [0; 32];
                driver.x25519(&private, &public, &mut secret).unwrap();
                if endian == "1" {
                    secret.reverse();
                }
                assert_eq!(hex::encode(secret), expected, "{line}");
                counts[3] += 1;
            }
            ["ed25519", key, mode, context, message, signature] => {
                let key = Ed25519Key::decode(&bytes(key)).unwrap();
                let (context, message) = (field(context), field(message));
                let mode = match mode {
                    "255" => Ed25519Mode::Pure,
                    "0" => Ed25519Mode::Context(&context),
                    "1" => Ed25519Mode::Prehashed(&context),
                    other => panic!("{other}"),
                };
                let public = key.public.unwrap();
                let expected = bytes(signature).try_into().unwrap();
                driver.ed25519_verify(&public, mode, &message, &expected).expect(line);
                if let Some(seed) = &key.seed {
                    let mut signature = [0; 64];
                    driver.ed25519_sign(seed, &public, mode, &message, &mut signature).unwrap();
                    assert_eq!(signature, expected, "{line}");
                }
                counts[4] += 1;
            }
            _ => assert!(line.starts_with('#'), "{line}"),
        }
    }
    assert_eq!(counts, [79, 26, 17, 5, 6]);
}

fn any_curve() -> impl Strategy<Value = Curve> {
    prop::sample::select(Curve::ALL.to_vec())
}

/// Decodes bytes as everything. What decodes has one spelling only, which encoding gives back.
fn decode_all(input: &[u8]) {
    if let Ok(key) = EcKey::decode(input) {
        if key.private.is_none() {
            assert_eq!(ec_public(&key), input);
        } else {
            let again = ec_private(&key);
            assert_eq!(EcKey::decode(&again), Ok(key));
        }
        let _ = key.check(&driver());
    }
    if let Ok(key) = X25519Key::decode(input) {
        match key.private {
            None => assert_eq!(written(|output| key.encode_public(output)).unwrap(), input),
            Some(_) => {
                let again = written(|output| key.encode_private(output)).unwrap();
                assert_eq!(X25519Key::decode(&again), Ok(key));
            }
        }
    }
    if let Ok(key) = Ed25519Key::decode(input) {
        match key.seed {
            None => assert_eq!(written(|output| key.encode_public(output)).unwrap(), input),
            Some(_) => {
                let again = written(|output| key.encode_private(output)).unwrap();
                assert_eq!(Ed25519Key::decode(&again), Ok(key));
            }
        }
    }
    for curve in Curve::ALL {
        let mut numbers = [0; Curve::MAX_POINT];
        if let Ok(size) = decode_ecdsa_signature(curve, input, &mut numbers) {
            assert_eq!(written(|output| encode_ecdsa_signature(&numbers[..size], output)).unwrap(), input);
        }
        let _ = decode_point(curve, input);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(input in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_all(&input);
    }

    #[test]
    fn damaged_keys_do_no_harm(
        index in 0_usize..79,
        position in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = include_str!("data/recorded.txt");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("key ")).collect();
        let mut key = bytes(lines[index % lines.len()].split(' ').nth(2).unwrap());
        let position = position.index(key.len());
        key[position] = value;
        decode_all(&key);
        let cut = cut.index(key.len());
        decode_all(&key[..cut]);
        prop_assert!(EcKey::decode(&key[..cut]).is_err());
    }

    #[test]
    fn ec_keys_survive(
        curve in any_curve(),
        seed in prop::collection::vec(any::<u8>(), 198),
        halves in 1..=3_u8,
    ) {
        let (private, rest) = seed.split_at(curve.field_size());
        let public = &rest[..curve.point_size()];
        let key = EcKey {
            curve,
            private: (halves & 1 != 0).then_some(private),
            public: (halves & 2 != 0).then_some(public),
        };
        if key.private.is_some() {
            let encoded = ec_private(&key);
            prop_assert_eq!(EcKey::decode(&encoded), Ok(key));
        }
        if key.public.is_some() {
            let encoded = ec_public(&key);
            prop_assert_eq!(EcKey::decode(&encoded), Ok(EcKey { private: None, ..key }));
        }
    }

    #[test]
    fn curve25519_keys_survive(private: [u8; 32], public: [u8; 32], both: bool) {
        let public = both.then_some(public);
        let key = X25519Key { private: Some(private.into()), public };
        prop_assert_eq!(X25519Key::decode(&written(|output| key.encode_private(output)).unwrap()), Ok(key));
        let key = Ed25519Key { seed: Some(private.into()), public };
        prop_assert_eq!(Ed25519Key::decode(&written(|output| key.encode_private(output)).unwrap()), Ok(key));
    }

    #[test]
    fn signatures_survive(curve in any_curve(), seed in prop::collection::vec(any::<u8>(), 132), zeros in 0..70_usize) {
        let mut numbers = seed[..curve.point_size()].to_vec();
        // Leading zeros in r, so that its integer becomes short.
        let zeros = zeros.min(curve.field_size() - 1);
        numbers[..zeros].fill(0);
        numbers[zeros] |= 1;
        numbers[curve.point_size() - 1] |= 1;
        let encoded = written(|output| encode_ecdsa_signature(&numbers, output)).unwrap();
        let mut output = vec![0xa5; curve.point_size()];
        prop_assert_eq!(decode_ecdsa_signature(curve, &encoded, &mut output), Ok(curve.point_size()));
        prop_assert_eq!(output, numbers);
    }
}
