//! ML-DSA and ML-KEM (document 05, §7 and §8).

use super::keys::{FAMILIES, Family, ML_DSA_KEY, ML_KEM_KEY};
use super::{ANY, EPHEMERAL, bytes, generate, send_bytes, set_word, word};
use crate::common::Client;
use casemate_protocol::Status;
use casemate_testkit::server::VirtualServer;

fn families(export: u16) -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().filter(move |family| family.export == export)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

fn sign(
    client: &mut Client<'_>,
    id: u32,
    message: &[u8],
    context: &[u8],
    prehash: u32,
) -> Result<Vec<u8>, Status> {
    let head = words(&[0, 2, id, length(message), length(context), prehash]);
    let answer = send_bytes(client, 22, &[&head[..], message, context].concat())?;
    assert_eq!(word(&answer, 0), length(&answer[8..]));
    assert_eq!(word(&answer, 4), 0, "padding");
    Ok(answer[8..].to_vec())
}

fn verify(
    client: &mut Client<'_>,
    id: u32,
    signature: &[u8],
    message: &[u8],
    context: &[u8],
    prehash: u32,
) -> Result<u32, Status> {
    // The level does not count.
    let head = words(&[0, 77, id, length(signature), length(message), length(context), prehash, 0]);
    let answer = send_bytes(client, 23, &[&head[..], signature, message, context].concat())?;
    assert_eq!((answer.len(), word(&answer, 4)), (8, 0));
    Ok(word(&answer, 0))
}

#[test]
fn ml_dsa_signatures_verify() {
    for (family, size) in families(5).zip([2420, 3309, 4627]) {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        let (_, public) = generate(&mut client, family, ANY, 5).unwrap();
        client.cache(6, ANY, &public).unwrap();
        let mut signature = sign(&mut client, 5, b"abc", b"cx", 0).unwrap();
        assert_eq!(signature.len(), size);
        for id in [5, 6] {
            assert_eq!(verify(&mut client, id, &signature, b"abc", b"cx", 0), Ok(1));
            assert_eq!(verify(&mut client, id, &signature, b"abd", b"cx", 0), Ok(0));
            assert_eq!(verify(&mut client, id, &signature, b"abc", b"cy", 0), Ok(0));
        }
        assert_ne!(sign(&mut client, 5, b"abc", b"cx", 0).as_ref(), Ok(&signature), "hedged");
        assert_eq!(sign(&mut client, 6, b"abc", b"cx", 0), Err(Status::CRYPTO_ARGUMENT));
        for wrong in [&signature[1..], &[], &[&signature[..], &[0]].concat()] {
            assert_eq!(verify(&mut client, 6, wrong, b"abc", b"cx", 0), Err(Status::BUFFER));
        }
        signature[0] ^= 1;
        assert_eq!(verify(&mut client, 6, &signature, b"abc", b"cx", 0), Ok(0));
        // The last byte counts the hints; so many there cannot be.
        signature[0] ^= 1;
        *signature.last_mut().unwrap() = 0xFF;
        let malformed = verify(&mut client, 6, &signature, b"abc", b"cx", 0);
        assert_eq!(malformed, Err(Status::SIGNATURE_VERIFICATION));
    }
}

#[test]
fn ml_dsa_arguments() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, ANY, &ML_DSA_KEY).unwrap();
    assert!(sign(&mut client, 5, b"", &[7; 255], 0).is_ok());
    assert_eq!(sign(&mut client, 5, b"", &[7; 256], 0), Err(Status::BAD_ARGUMENTS));
    assert_eq!(verify(&mut client, 5, &[0; 2420], b"", &[7; 256], 0), Err(Status::BAD_ARGUMENTS));
    // Before the key is looked for.
    assert_eq!(sign(&mut client, 9, b"", &[7; 256], 0), Err(Status::BAD_ARGUMENTS));
    let prehashes = [
        (5, 28),
        (6, 32),
        (7, 48),
        (8, 64),
        (10, 28),
        (11, 32),
        (12, 48),
        (13, 64),
        (16, 28),
        (17, 32),
        (18, 32),
        (19, 64),
    ];
    for prehash in 1..25 {
        let allowed = prehashes.iter().find(|(number, _)| *number == prehash);
        for size in [0, 20, 28, 32, 48, 64] {
            let digest = vec![1; size];
            let signature = sign(&mut client, 5, &digest, b"", prehash);
            if allowed.is_some_and(|&(_, length)| length == size) {
                let signature = signature.unwrap();
                assert_eq!(verify(&mut client, 5, &signature, &digest, b"", prehash), Ok(1));
                assert_eq!(verify(&mut client, 5, &signature, &digest, b"", 0), Ok(0));
            } else {
                assert_eq!(signature, Err(Status::BAD_LENGTH), "{prehash} {size}");
                let answer = verify(&mut client, 5, &[0; 2420], &digest, b"", prehash);
                assert_eq!(answer, Err(Status::BAD_LENGTH), "{prehash} {size}");
            }
        }
    }
    for level in [0, 1, 4, 6, 44] {
        let body = [words(&[0, level, 0, EPHEMERAL, 0]), vec![0; 24]].concat();
        assert_eq!(send_bytes(&mut client, 21, &body), Err(Status::BAD_ARGUMENTS));
    }
}

/// Document 05, §11: the forms of a private key, of level 44.
#[test]
fn ml_dsa_encodings() {
    const OID: &str = "300B0609608648016503040311";
    let server = VirtualServer::default();
    // The generator asks for the seed alone.
    server.random().script(&[0x42; 32]);
    let mut client = Client::new(&server, 3);
    let family = families(5).next().unwrap();
    let (_, public) = generate(&mut client, family, ANY, 5).unwrap();
    let pair = client.export(5).unwrap();
    assert!(pair.starts_with(&bytes(&format!("30820F3C020101 {OID} 04820A0404820A00"))));
    let private = hex::encode(&pair[28..2588]);
    let half = hex::encode(&public[22..]);
    let seed = "42*32";
    for (accepted, has_public) in [
        (format!("30820A18020100 {OID} 04820A0404820A00 {private}"), false),
        (format!("30820A18020101 {OID} 04820A0404820A00 {private}"), false),
        (format!("30820F38020100 {OID} 04820F2404820F20 {private} {half}"), true),
        (format!("3034020100 {OID} 04228020 {seed}"), true),
        (format!("30820A3E020100 {OID} 04820A2A30820A26 0420 {seed} 04820A00 {private}"), true),
        (hex::encode(&pair), true),
        // The form of RFC 5958, with its byte of unused bits, is no key to the original.
        (format!("30820F3D020101 {OID} 04820A0404820A00 {private} 8182052100 {half}"), true),
    ] {
        let accepted = bytes(&accepted);
        client.cache(6, ANY, &accepted).unwrap();
        let signature = sign(&mut client, 6, b"abc", b"", 0).unwrap();
        assert_eq!(verify(&mut client, 5, &signature, b"abc", b"", 0), Ok(1));
        if has_public {
            assert_eq!(client.export_public(6, 5).as_ref(), Ok(&public), "{} bytes", accepted.len());
            assert_eq!(verify(&mut client, 6, &signature, b"abc", b"", 0), Ok(1));
        }
        client.evict(6).unwrap();
    }
    for refused in [
        private.clone(),
        half.clone(),
        seed.into(),
        // Another level's identifier.
        hex::encode(&pair).replacen("608648016503040311", "608648016503040312", 1),
    ] {
        client.cache(6, ANY, &bytes(&refused)).unwrap();
        assert_eq!(sign(&mut client, 6, b"abc", b"", 0), Err(Status::ASN_PARSE));
        assert_eq!(client.export_public(6, 5), Err(Status::ASN_PARSE));
        client.evict(6).unwrap();
    }
}

fn encapsulate(client: &mut Client<'_>, id: u32, level: u32) -> Result<(Vec<u8>, Vec<u8>), Status> {
    let answer = send_bytes(client, 19, &words(&[0, level, id, 0]))?;
    let (size, secret) = (usize::try_from(word(&answer, 0)).unwrap(), word(&answer, 4));
    assert_eq!((answer.len(), secret), (8 + size + 32, 32));
    Ok((answer[8..8 + size].to_vec(), answer[8 + size..].to_vec()))
}

fn decapsulate(client: &mut Client<'_>, id: u32, level: u32, ciphertext: &[u8]) -> Result<Vec<u8>, Status> {
    let body = [&words(&[0, level, id, length(ciphertext)])[..], ciphertext].concat();
    let answer = send_bytes(client, 20, &body)?;
    assert_eq!(answer[..8], bytes("20000000 00000000"));
    Ok(answer[8..].to_vec())
}

#[test]
fn ml_kem_secrets_agree() {
    for (family, (level, size)) in families(6).zip([(0, 768), (1, 1088), (2, 1568)]) {
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        let (_, public) = generate(&mut client, family, ANY, 5).unwrap();
        client.cache(6, ANY, &public).unwrap();
        for id in [5, 6] {
            let (mut ciphertext, secret) = encapsulate(&mut client, id, level).unwrap();
            assert_eq!(ciphertext.len(), size);
            assert_eq!(decapsulate(&mut client, 5, level, &ciphertext).as_ref(), Ok(&secret));
            // A damaged ciphertext gives another secret, always the same.
            ciphertext[0] ^= 1;
            let other = decapsulate(&mut client, 5, level, &ciphertext).unwrap();
            assert_ne!(other, secret);
            assert_eq!(decapsulate(&mut client, 5, level, &ciphertext), Ok(other));
            for wrong in [&ciphertext[1..], &[], &[&ciphertext[..], &[0]].concat()] {
                assert_eq!(decapsulate(&mut client, 5, level, wrong), Err(Status::BUFFER));
            }
        }
        assert_eq!(decapsulate(&mut client, 6, level, &vec![0; size]), Err(Status::BAD_STATE));
        for wrong in (0..5).filter(|&wrong| wrong != level) {
            assert_eq!(encapsulate(&mut client, 5, wrong), Err(Status::BAD_ARGUMENTS));
            assert_eq!(decapsulate(&mut client, 5, wrong, &vec![0; size]), Err(Status::BAD_ARGUMENTS));
        }
    }
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    for level in [3, 512, u32::MAX] {
        let body = [words(&[level, 0, EPHEMERAL, 0]), vec![0; 24]].concat();
        assert_eq!(send_bytes(&mut client, 18, &body), Err(Status::BAD_ARGUMENTS));
    }
}

/// The checks of FIPS 203, §7.2 and §7.3.
#[test]
fn ml_kem_keys_are_checked() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    let good = ML_KEM_KEY.clone();
    // The hash of the public half, and the public half under its hash.
    for at in [768, 1568, 1599] {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        client.cache(5, ANY, &damaged).unwrap();
        assert_eq!(decapsulate(&mut client, 5, 0, &[0; 768]), Err(Status::BUFFER), "{at}");
        assert_eq!(encapsulate(&mut client, 5, 0), Err(Status::BUFFER), "{at}");
        assert_eq!(client.export_public(5, 6), Err(Status::BUFFER), "{at}");
    }
    // A coefficient that is not below the modulus.
    let mut public = good[768..1568].to_vec();
    client.cache(6, ANY, &public).unwrap();
    assert!(encapsulate(&mut client, 6, 0).is_ok());
    public[..2].fill(0xFF);
    client.cache(6, ANY, &public).unwrap();
    assert_eq!(encapsulate(&mut client, 6, 0), Err(Status::BUFFER));
    assert_eq!(client.export_public(6, 6), Err(Status::BUFFER));
    for length in [64, 799, 801, 1631, 1633, 2401, 3169] {
        client.cache(6, ANY, &vec![0; length]).unwrap();
        assert_eq!(encapsulate(&mut client, 6, 0), Err(Status::BUFFER), "{length}");
    }
}

/// Document 05, §8: a wrong level evicts too.
#[test]
fn ml_kem_evicts_whatever_the_level() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    for algorithm in [19, 20] {
        for level in [2, 99] {
            client.cache(5, ANY, &ML_KEM_KEY).unwrap();
            let mut body = words(&[1, 0, 5, 0]);
            set_word(&mut body, 4, level);
            assert_eq!(send_bytes(&mut client, algorithm, &body), Err(Status::BAD_ARGUMENTS));
            assert_eq!(client.evict(5), Err(Status::NOT_FOUND));
        }
        // A ciphertext that is longer than the request.
        if algorithm == 20 {
            client.cache(5, ANY, &ML_KEM_KEY).unwrap();
            let body = words(&[1, 0, 5, 768]);
            assert_eq!(send_bytes(&mut client, 20, &body), Err(Status::BAD_ARGUMENTS));
            assert_eq!(client.evict(5), Err(Status::NOT_FOUND));
        }
    }
}
