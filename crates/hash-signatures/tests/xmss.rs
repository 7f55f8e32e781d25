//! XMSS and XMSS^MT against the reference implementation, and bad input.

use casemate_hash_signatures::{Error, Scheme, Software, XmssHash, XmssParameters, xmss_verify};
use sha2::{Digest, Sha256};

fn seed(size: usize) -> Vec<u8> {
    (0..size).map(|i| i as u8).collect()
}

fn generate(parameters: &XmssParameters, retained: u32) -> (Vec<u8>, Vec<u8>) {
    let mut state = vec![0; parameters.state_size(retained).unwrap()];
    parameters.generate(&mut Software, retained, &seed(parameters.seed_size()), &mut state).unwrap();
    let mut public = vec![0; parameters.public_size()];
    parameters.open(&mut Software, &mut state).unwrap().public(&mut public).unwrap();
    (state, public)
}

fn sign(parameters: &XmssParameters, state: &mut [u8], message: &[u8]) -> Result<Vec<u8>, Error> {
    let reservation = parameters.open(&mut Software, state)?.reserve(&mut Software)?;
    let signer = reservation.store(|_| Ok::<_, Error>(()))?;
    let mut signature = vec![0; parameters.signature_size()];
    signer.sign(&mut Software, message, signature.as_mut_slice())?;
    Ok(signature)
}

/// `data/xmss-reference.json`: keys made from the seed 00 01 02 …, and signatures of the message 25 with the indices
/// given, each as its SHA-256 digest.
fn compare(filter: fn(&XmssParameters) -> bool) -> usize {
    let text = include_str!("data/xmss-reference.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut count = 0;
    for vector in vectors.as_array().unwrap() {
        let oid = u32::try_from(vector["oid"].as_u64().unwrap()).unwrap();
        let multi_tree = vector["multiTree"].as_bool().unwrap();
        let parameters =
            if multi_tree { XmssParameters::xmss_mt(oid) } else { XmssParameters::xmss(oid) }.unwrap();
        if !filter(&parameters) {
            continue;
        }
        // As much as there is, so that skipped signatures cost little.
        let retained = (1..=10).rev().find(|levels| parameters.state_size(*levels).is_some()).unwrap();
        let (mut state, public) = generate(&parameters, retained);
        assert_eq!(hex::encode(Sha256::digest(&public)), vector["public"], "{parameters}");
        let wanted = vector["signatures"].as_array().unwrap();
        let mut wanted = wanted.iter().map(|pair| (pair[0].as_u64().unwrap(), &pair[1])).peekable();
        let mut index = 0;
        while let Some(&(next, digest)) = wanted.peek() {
            let key = parameters.open(&mut Software, &mut state).unwrap();
            assert_eq!(key.next_index(), index);
            if next == index {
                let mut signature = sign(&parameters, &mut state, &[37]).unwrap();
                assert_eq!(hex::encode(Sha256::digest(&signature)), *digest, "{parameters}, index {index}");
                xmss_verify(&mut Software, &parameters, &public, &[37], signature.as_slice()).unwrap();
                signature[parameters.signature_size() / 2] ^= 1;
                let refused = xmss_verify(&mut Software, &parameters, &public, &[37], signature.as_slice());
                assert_eq!(refused, Err(Error::Signature));
                wanted.next();
                count += 1;
            } else {
                // Skipped: a signature that was reserved and not made.
                let _ = key.reserve(&mut Software).unwrap().store(|_| Ok::<_, Error>(())).unwrap();
            }
            index += 1;
        }
    }
    count
}

/// Every hash function; heights and indices that take no minutes.
#[test]
fn equals_the_reference_implementation() {
    let count = compare(|set| set.hash() == XmssHash::Sha256 || set.to_string().contains("_20/4_"));
    assert_eq!(count, 14 + 6 * 3);
}

#[test]
#[ignore = "takes minutes: all that the file has"]
fn equals_the_reference_implementation_in_full() {
    assert_eq!(compare(|_| true), 68);
}

/// Every parameter set has the name, the number and the lengths of the registry and of document 05, §9.2.
#[test]
fn sets_are_those_of_the_registry() {
    let mut count = 0;
    for (multi_tree, last) in [(false, 21), (true, 56)] {
        for oid in 0..100 {
            let set = if multi_tree { XmssParameters::xmss_mt(oid) } else { XmssParameters::xmss(oid) };
            assert_eq!(set.is_some(), (1..=last).contains(&oid));
            let Some(set) = set else { continue };
            assert_eq!((set.oid(), set.is_multi_tree()), (oid, multi_tree));
            let name = set.to_string();
            assert_eq!(XmssParameters::named(name.as_bytes()), Some(set));
            assert_eq!(XmssParameters::named(&name.as_bytes()[1..]), None);
            assert_eq!(XmssParameters::named(format!("{name}0").as_bytes()), None);
            count += 1;
        }
    }
    assert_eq!(count, 77);
    let named = |name: &str| XmssParameters::named(name.as_bytes()).unwrap();
    for (name, oid) in [
        ("XMSS-SHA2_10_256", 1),
        ("XMSS-SHA2_20_512", 6),
        ("XMSS-SHAKE_16_256", 8),
        ("XMSS-SHAKE_10_512", 10),
        ("XMSS-SHA2_10_192", 13),
        ("XMSS-SHAKE256_20_256", 18),
        ("XMSS-SHAKE256_20_192", 21),
        ("XMSSMT-SHA2_20/2_256", 1),
        ("XMSSMT-SHA2_60/12_512", 16),
        ("XMSSMT-SHAKE_40/8_256", 21),
        ("XMSSMT-SHAKE256_60/12_192", 56),
    ] {
        assert_eq!(named(name).oid(), oid, "{name}");
    }
    let sizes = |names: &str, size: u32, heights: &[&str]| -> Vec<usize> {
        heights.iter().map(|height| named(&format!("{names}_{height}_{size}")).signature_size()).collect()
    };
    assert_eq!(sizes("XMSS-SHA2", 256, &["10", "16", "20"]), [2500, 2692, 2820]);
    assert_eq!(sizes("XMSS-SHAKE", 512, &["10", "16", "20"]), [9092, 9476, 9732]);
    assert_eq!(sizes("XMSS-SHAKE256", 192, &["10", "16", "20"]), [1492, 1636, 1732]);
    let heights = ["20/2", "20/4", "40/2", "40/4", "40/8", "60/3", "60/6", "60/12"];
    assert_eq!(sizes("XMSSMT-SHAKE", 256, &heights), [4963, 9251, 5605, 9893, 18469, 8392, 14824, 27688]);
    assert_eq!(
        sizes("XMSSMT-SHA2", 512, &heights),
        [18115, 34883, 19397, 36165, 69701, 29064, 54216, 104520]
    );
    assert_eq!(sizes("XMSSMT-SHA2", 192, &heights), [2955, 5403, 3437, 5885, 10781, 5144, 8816, 16160]);
}

#[test]
fn every_changed_byte_is_noticed() {
    let parameters = XmssParameters::named(b"XMSSMT-SHA2_20/4_256").unwrap();
    let (mut state, public) = generate(&parameters, 2);
    let message = b"message".as_slice();
    let signature = sign(&parameters, &mut state, message).unwrap();
    let verify = |public: &[u8], message: &[u8], signature: &[u8]| {
        xmss_verify(&mut Software, &parameters, public, message, signature)
    };
    verify(&public, message, &signature).unwrap();
    assert_eq!(verify(&public, b"massage", &signature), Err(Error::Signature));
    assert_eq!(verify(&public[1..], message, &signature), Err(Error::Length));
    for place in (0..40).chain((40..signature.len()).step_by(61)) {
        let mut changed = signature.clone();
        changed[place] ^= 0x10;
        assert_eq!(verify(&public, message, &changed), Err(Error::Signature), "byte {place}");
        assert_eq!(verify(&public, message, &signature[..place]), Err(Error::Signature));
    }
    assert_eq!(verify(&public, message, &[signature.as_slice(), &[0]].concat()), Err(Error::Signature));
    for place in 0..public.len() {
        let mut changed = public.clone();
        changed[place] ^= 1;
        assert_eq!(verify(&changed, message, &signature), Err(Error::Signature));
    }
}
