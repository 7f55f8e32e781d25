//! LMS and HSS against RFC 8554, NIST's ACVP vectors and another implementation.

use casemate_hash_signatures::{
    Error, HssParameters, LmsHash, LmsParameters, Scheme, Software, hss_verify, lms_verify,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn unpack(compressed: &[u8]) -> Value {
    serde_json::from_reader(flate2::read::GzDecoder::new(compressed)).unwrap()
}

/// RFC 8554, Appendix F: two levels, in the second case of different parameters.
#[test]
fn rfc_8554_appendix_f() {
    let cases: Value = serde_json::from_str(include_str!("data/rfc8554.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let (public, message) = (bytes(&case["publicKey"]), bytes(&case["message"]));
        let signature = bytes(&case["signature"]);
        let verify =
            |message: &[u8], signature: &[u8]| hss_verify(&mut Software, &public, message, signature);
        verify(&message, &signature).unwrap();
        assert_eq!(verify(&message[1..], &signature), Err(Error::Signature));
        for length in (0..signature.len()).step_by(29).chain([signature.len() - 1]) {
            assert_eq!(verify(&message, &signature[..length]), Err(Error::Signature), "{length}");
        }
        assert_eq!(verify(&message, &[signature.as_slice(), &[0]].concat()), Err(Error::Signature));
        for place in (0..44).chain((44..signature.len()).step_by(29)) {
            let mut changed = signature.clone();
            changed[place] ^= 0x80;
            assert_eq!(verify(&message, &changed), Err(Error::Signature), "byte {place}");
        }
        for place in 0..public.len() {
            let mut changed = public.clone();
            changed[place] ^= 1;
            hss_verify(&mut Software, &changed, message.as_slice(), signature.as_slice()).unwrap_err();
        }
    }
}

/// NIST ACVP, LMS-keyGen: the public key of a seed and an identifier.
#[test]
fn nist_key_generation() {
    let vectors = unpack(include_bytes!("data/lms-keyGen.json.gz"));
    let mut count = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let expected = bytes(&test["publicKey"]);
            let word = |at: usize| u32::from_be_bytes(expected[at..at + 4].try_into().unwrap());
            let lms = LmsParameters::from_types(word(0), word(4)).unwrap();
            let parameters = HssParameters::new(1, lms).unwrap();
            let seed = [bytes(&test["seed"]), bytes(&test["i"])].concat();
            let mut state = vec![0; parameters.state_size(2).unwrap()];
            parameters.generate(&mut Software, 2, &seed, &mut state).unwrap();
            let mut public = vec![0; parameters.public_size()];
            parameters.open(&mut Software, &mut state).unwrap().public(&mut public).unwrap();
            assert_eq!(public[..4], [0, 0, 0, 1]);
            assert_eq!(public[4..], expected);
            count += 1;
        }
    }
    assert_eq!(count, 9);
}

/// NIST ACVP, LMS-sigGen and LMS-sigVer: signatures that are right, and those that were changed.
#[test]
fn nist_signatures() {
    let mut counts = (0, 0);
    let files = [&include_bytes!("data/lms-sigGen.json.gz")[..], include_bytes!("data/lms-sigVer.json.gz")];
    for file in files {
        for group in unpack(file)["testGroups"].as_array().unwrap() {
            let public = bytes(&group["publicKey"]);
            for test in group["tests"].as_array().unwrap() {
                let (message, signature) = (bytes(&test["message"]), bytes(&test["signature"]));
                let result = lms_verify(&mut Software, &public, message.as_slice(), signature.as_slice());
                if test["testPassed"].as_bool().unwrap_or(true) {
                    result.unwrap();
                    counts.0 += 1;
                } else {
                    assert_eq!(result, Err(Error::Signature), "{}", test["reason"]);
                    counts.1 += 1;
                }
            }
        }
    }
    assert_eq!(counts, (22, 6));
}

/// That implementation gives the sets of SHAKE256 the type numbers of SHA-256, which do not enter any hash of the lowest
/// level.
fn with_types_of_sha256(parameters: &HssParameters, bytes: &[u8], places: [usize; 2]) -> Vec<u8> {
    let lms = parameters.lms();
    let sha256 = LmsParameters::new(LmsHash::Sha256, lms.height(), lms.winternitz()).unwrap();
    let mut bytes = bytes.to_vec();
    for (place, number) in places.into_iter().zip([sha256.lms_type(), sha256.ots_type()]) {
        bytes[place..place + 4].copy_from_slice(&number.to_be_bytes());
    }
    bytes
}

/// `data/hss-reference.json`: public keys, and for signatures of the message 25 with the indices given the SHA-256 digests
/// of what must be equal: the public keys of the lower levels, and the signature of the lowest. The randomizers of the
/// signatures between levels may differ.
#[test]
fn equals_another_implementation() {
    let vectors: Value = serde_json::from_str(include_str!("data/hss-reference.json")).unwrap();
    for vector in vectors.as_array().unwrap() {
        let hash = if vector["hash"] == "SHA-256" { LmsHash::Sha256 } else { LmsHash::Shake256 };
        let lms = LmsParameters::new(hash, number(&vector["height"]), number(&vector["winternitz"])).unwrap();
        let parameters = HssParameters::new(number(&vector["levels"]), lms).unwrap();
        let mut state = vec![0; parameters.state_size(3).unwrap()];
        parameters.generate(&mut Software, 3, &bytes(&vector["seed"]), &mut state).unwrap();
        let mut public = vec![0; parameters.public_size()];
        parameters.open(&mut Software, &mut state).unwrap().public(&mut public).unwrap();
        let mut expected_public = public.clone();
        if hash == LmsHash::Shake256 {
            expected_public = with_types_of_sha256(&parameters, &public, [4, 8]);
        }
        assert_eq!(hex::encode(expected_public), vector["public"]);
        let wanted = vector["signatures"].as_array().unwrap();
        let last = wanted.last().unwrap()[0].as_u64().unwrap();
        for index in 0..=last {
            let key = parameters.open(&mut Software, &mut state).unwrap();
            let reservation = key.reserve(&mut Software).unwrap();
            assert_eq!(reservation.index(), index);
            let signer = reservation.store(|_| Ok::<_, Error>(())).unwrap();
            let Some(pair) = wanted.iter().find(|pair| pair[0].as_u64() == Some(index)) else { continue };
            let mut signature = vec![0; parameters.signature_size()];
            signer.sign(&mut Software, &[37], signature.as_mut_slice()).unwrap();
            hss_verify(&mut Software, &public, &[37], signature.as_slice()).unwrap();
            if hash == LmsHash::Shake256 {
                let lms_type = signature.len() - 32 * lms.height() as usize - 4;
                signature = with_types_of_sha256(&parameters, &signature, [lms_type, 8]);
            }
            let mut compared = Vec::new();
            let mut rest = &signature[4..];
            for _ in 1..parameters.levels() {
                rest = &rest[lms.signature_size()..];
                let (public, after) = rest.split_at(lms.public_size());
                compared.extend_from_slice(public);
                rest = after;
            }
            compared.extend_from_slice(rest);
            assert_eq!(hex::encode(Sha256::digest(&compared)), pair[1], "{parameters:?}, index {index}");
        }
    }
}

/// Every type number of the registry, and none besides.
#[test]
fn types_are_those_of_the_registry() {
    let mut count = 0;
    for lms in 0..64 {
        for ots in 0..64 {
            if let Some(parameters) = LmsParameters::from_types(lms, ots) {
                assert_eq!((parameters.lms_type(), parameters.ots_type()), (lms, ots));
                count += 1;
            }
        }
    }
    assert_eq!(count, 4 * 5 * 4);
    // Document 05, §9.2.
    let size = |levels, height, w| {
        let lms = LmsParameters::new(LmsHash::Sha256, height, w).unwrap();
        HssParameters::new(levels, lms).unwrap().signature_size()
    };
    assert_eq!([size(1, 5, 8), size(2, 5, 8), size(4, 10, 8)], [1296, 2644, 5980]);
}
