//! The NIST curves (document 05, §4).

use super::keys::{EC_POINT, EC_PRIVATE, ec_key, ec_public, ecdsa_signature, sample_digest};
use super::{ANY, NONMODIFIABLE, bytes, send, send_bytes};
use crate::common::Client;
use casemate_protocol::Status;
use casemate_testkit::server::VirtualServer;

/// The x-coordinate of the private key times its own public point, computed by OpenSSL.
const SELF_SECRET: &str = "2388EE990C93C4BB757203225B7786D69950D2F0DE43CDF23DC71F5EFAA169C8";

/// Keys that OpenSSL wrote, by name.
fn openssl(name: &str) -> Vec<u8> {
    let keys = include_str!("../../../crypto/tests/data/openssl_keys.txt");
    let key = keys.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    hex::decode(key.unwrap_or_else(|| panic!("no {name}"))).unwrap()
}

fn client(server: &VirtualServer) -> Client<'_> {
    let mut client = Client::new(server, 3);
    client.cache(5, ANY, &ec_key()).unwrap();
    client.cache(6, ANY, &ec_public()).unwrap();
    client
}

fn verify(client: &mut Client<'_>, id: u8, signature: &[u8], digest: &[u8]) -> Result<Vec<u8>, Status> {
    verify_with(client, 0, id, signature, digest)
}

fn verify_with(
    client: &mut Client<'_>,
    options: u8,
    id: u8,
    signature: &[u8],
    digest: &[u8],
) -> Result<Vec<u8>, Status> {
    let mut body = bytes(&format!("{options:02X}000000 {id:02X}000000"));
    body.extend(u32::try_from(signature.len()).unwrap().to_le_bytes());
    body.extend(u32::try_from(digest.len()).unwrap().to_le_bytes());
    body.extend(signature);
    body.extend(digest);
    send_bytes(client, 5, &body)
}

fn sign(client: &mut Client<'_>, id: u8, digest: &[u8]) -> Result<Vec<u8>, Status> {
    let mut body = bytes(&format!("00000000 {id:02X}000000"));
    body.extend(u32::try_from(digest.len()).unwrap().to_le_bytes());
    body.extend(digest);
    let answer = send_bytes(client, 4, &body)?;
    assert_eq!(answer[..4], u32::try_from(answer.len() - 4).unwrap().to_le_bytes());
    Ok(answer[4..].to_vec())
}

#[test]
fn a_published_signature() {
    let server = VirtualServer::default();
    let mut client = client(&server);
    let (signature, digest) = (ecdsa_signature(), sample_digest());
    let (valid, invalid) = (bytes("01000000 00000000"), bytes("00000000 00000000"));
    for id in [5, 6] {
        assert_eq!(verify(&mut client, id, &signature, &digest).as_ref(), Ok(&valid));
        assert_eq!(verify(&mut client, id, &signature, &[1; 32]).as_ref(), Ok(&invalid));
        let exported = verify_with(&mut client, 2, id, &signature, &digest).unwrap();
        assert_eq!(exported, [&bytes("01000000 5B000000")[..], &ec_public()].concat());
    }
}

#[test]
fn signatures_verify_and_differ() {
    for curve in ["P224", "P256", "P384", "P521"] {
        let server = VirtualServer::default();
        let mut client = client(&server);
        client.cache(7, ANY, &openssl(&format!("{curve}-sec1"))).unwrap();
        client.cache(8, ANY, &openssl(&format!("{curve}-spki"))).unwrap();
        for length in [28, 32, 48, 64] {
            let digest = vec![0xB7; length];
            let signature = sign(&mut client, 7, &digest).unwrap();
            assert_eq!(verify(&mut client, 8, &signature, &digest), Ok(bytes("01000000 00*4")));
            assert_ne!(sign(&mut client, 7, &digest), Ok(signature), "the nonce is random");
        }
        for length in [0, 1, 20, 27, 65, 100] {
            assert_eq!(sign(&mut client, 7, &vec![1; length]), Err(Status::BAD_LENGTH));
            let answer = verify(&mut client, 8, &ecdsa_signature(), &vec![1; length]);
            assert_eq!(answer, Err(Status::BAD_LENGTH), "{length}");
        }
        // A digest of zeros, and a key without its private half.
        assert_eq!(sign(&mut client, 7, &[0; 32]), Err(Status::ECC_ARGUMENT));
        assert_eq!(sign(&mut client, 8, &[1; 32]), Err(Status::ECC_ARGUMENT));
    }
}

#[test]
fn malformed_signatures() {
    let server = VirtualServer::default();
    let mut client = client(&server);
    let digest = sample_digest();
    let good = ecdsa_signature();
    let raw = [&good[5..37], &good[40..]].concat();
    let trailing = [&good[..], &[0]].concat();
    for signature in [&raw[..], &trailing, &good[..70], b"", b"0", &good[2..]] {
        assert_eq!(verify(&mut client, 6, signature, &digest), Err(Status::ASN_ECC_KEY));
    }
    for zero in ["3006 020100 020101", "3006 020101 020100", "3006 020100 020100"] {
        assert_eq!(verify(&mut client, 6, &bytes(zero), &digest), Err(Status::NUMBER_ZERO));
    }
    assert_eq!(verify(&mut client, 6, &bytes("3006 020101 020101"), &digest), Ok(bytes("00*8")));
}

#[test]
fn agreement() {
    let server = VirtualServer::default();
    let mut client = client(&server);
    for public in ["05", "06"] {
        let body = format!("00*4 05000000 {public}000000 10000000 00*4 00*24");
        let answer = send(&mut client, 3, &body);
        assert_eq!(answer, Ok(bytes(&format!("20000000 00000000 {SELF_SECRET}"))));
    }
    // The private half is needed, and one curve.
    let mut agree = |private: u8, public: u8| {
        send(&mut client, 3, &format!("00*4 {private:02X}000000 {public:02X}000000 10000000 00*4 00*24"))
    };
    assert_eq!(agree(6, 5), Err(Status::ECC_ARGUMENT));
    assert_eq!(agree(9, 9), Err(Status::NOT_FOUND));
    client.cache(7, ANY, &openssl("P384-spki")).unwrap();
    let body = "00*4 05000000 07000000 10000000 00*4 00*24";
    assert_eq!(send(&mut client, 3, body), Err(Status::ECC_ARGUMENT));
    for (curve, size) in [("P224", 28), ("P384", 48), ("P521", 66)] {
        client.cache(7, ANY, &openssl(&format!("{curve}-sec1"))).unwrap();
        let answer = send(&mut client, 3, "00*4 07000000 07000000 10000000 00*4 00*24").unwrap();
        assert_eq!((answer[0], answer.len()), (size, 8 + usize::from(size)));
    }
}

/// Document 05, §4.5 and §15: a secret that is cached, and what becomes of the keys.
#[test]
fn cached_secrets() {
    let server = VirtualServer::default();
    let mut client = client(&server);
    let cached = |id: &str| Ok(bytes(&format!("00000000 {id}000000")));
    let answer = send(&mut client, 3, "00*4 05000000 06000000 00040000 20000000 7A7A 00*22");
    assert_eq!(answer, cached("20"));
    assert_eq!(client.export(0x20), Ok(bytes(SELF_SECRET)));
    // The secret is no key of a curve.
    let answer = send(&mut client, 3, "01000000 20000000 20000000 10000000 00000000 00*24");
    assert_eq!(answer, Err(Status::ASN_PARSE));
    assert_eq!(client.evict(0x20), Err(Status::NOT_FOUND));
    // A number of the server's choice.
    assert_eq!(send(&mut client, 3, "00*4 05000000 06000000 00*4 00*4 00*24"), cached("FF"));
    // Where the target may not be modified, nothing is stored, and the keys go all the same.
    client.cache(0x21, NONMODIFIABLE, b"fixed").unwrap();
    let answer = send(&mut client, 3, "03000000 05000000 06000000 00*4 21000000 00*24");
    assert_eq!(answer, Err(Status::ACCESS));
    assert_eq!(client.export(0x21).unwrap(), b"fixed");
    assert_eq!(client.evict(5), Err(Status::NOT_FOUND));
    assert_eq!(client.evict(6), Err(Status::NOT_FOUND));
}

/// A secret that took the place of a key is not evicted in its stead.
#[test]
fn a_secret_in_the_place_of_a_key() {
    for (target, kept, gone) in [("05", 5, 6), ("06", 6, 5)] {
        let server = VirtualServer::default();
        let mut client = client(&server);
        let body = format!("03000000 05000000 06000000 00*4 {target}000000 00*24");
        assert_eq!(send(&mut client, 3, &body), Ok(bytes(&format!("00*4 {target}000000"))));
        assert_eq!(client.export(kept), Ok(bytes(SELF_SECRET)));
        assert_eq!(client.evict(gone), Err(Status::NOT_FOUND));
    }
    // Each option is for its own key.
    for (options, gone, kept) in [("01", 6, 5), ("02", 5, 6)] {
        let server = VirtualServer::default();
        let mut client = client(&server);
        let body = format!("{options}000000 05000000 06000000 10000000 00*4 00*24");
        send(&mut client, 3, &body).unwrap();
        assert_eq!(client.evict(gone), Err(Status::NOT_FOUND));
        assert_eq!(client.evict(kept), Ok(()));
    }
}

#[test]
fn public_points() {
    let server = VirtualServer::default();
    let mut client = client(&server);
    let point = bytes(EC_POINT);
    let made = [&bytes("41000000")[..], &point].concat();
    assert_eq!(send(&mut client, 34, "00*4 05000000").as_ref(), Ok(&made));
    assert_eq!(send(&mut client, 34, "00*4 06000000"), Err(Status::ECC_PRIVATE_KEY));
    let one = Ok(bytes("01000000"));
    for id in [5, 6] {
        let mut check = |point: &[u8]| {
            let mut body = bytes(&format!("00*4 {id:02X}000000 07000000"));
            body.extend(u32::try_from(point.len()).unwrap().to_le_bytes());
            body.extend(point);
            send_bytes(&mut client, 35, &body)
        };
        assert_eq!(check(&point), one);
        assert_eq!(check(&[]), one);
        let mut other = point.clone();
        other[64] ^= 1;
        let mismatch = Err(Status::ECC_PRIVATE_KEY);
        assert_eq!(check(&other), mismatch);
        assert_eq!(check(&point[..64]), mismatch);
        assert_eq!(check(&point[1..]), mismatch);
        assert_eq!(check(&[4]), mismatch);
    }
    // A scalar without its point has one.
    client.cache(7, 0, &openssl("P256-sec1-private")).unwrap();
    assert_eq!(send(&mut client, 34, "00*4 07000000").as_ref(), Ok(&made));
    let mut body = bytes("00*4 07000000 FFFFFFFF 41000000");
    body.extend(&point);
    assert_eq!(send_bytes(&mut client, 35, &body), one);
}

/// Document 05, §17, no. 10: a point that does not belong to the scalar, or to the curve.
#[test]
fn points_that_do_not_fit() {
    let server = VirtualServer::default();
    let mut client = client(&server);
    let mut off_curve = ec_key();
    *off_curve.last_mut().unwrap() ^= 1;
    client.cache(7, ANY, &off_curve).unwrap();
    assert_eq!(send(&mut client, 35, "00*4 07000000 07000000 00*4"), Err(Status::POINT));
    let peer = send(&mut client, 3, "00*4 05000000 07000000 10000000 00*4 00*24");
    assert_eq!(peer, Err(Status::POINT));
    // The stored point is not looked at to make one.
    let made = send(&mut client, 34, "00*4 07000000").unwrap();
    assert_eq!(made[4..], bytes(EC_POINT));
    // The generator is a point of the curve, but of another scalar.
    let generator = "6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
                     4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5";
    let mut mismatched = ec_key();
    let at = mismatched.len() - 64;
    mismatched[at..].copy_from_slice(&bytes(generator));
    client.cache(7, ANY, &mismatched).unwrap();
    assert_eq!(send(&mut client, 35, "00*4 07000000 07000000 00*4"), Err(Status::ECC_PRIVATE_KEY));
    let mut public = ec_public();
    *public.last_mut().unwrap() ^= 1;
    client.cache(7, ANY, &public).unwrap();
    assert!(send(&mut client, 35, "00*4 07000000 07000000 00*4").is_err());
    assert!(send(&mut client, 3, "00*4 05000000 07000000 10000000 00*4 00*24").is_err());
    // Scalars out of range.
    for scalar in ["00*32", "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", "FF*32"] {
        let key = bytes(&format!("30310201010420 {scalar} A00A06082A8648CE3D030107"));
        client.cache(7, ANY, &key).unwrap();
        for result in [
            sign(&mut client, 7, &[1; 32]),
            send(&mut client, 34, "00*4 07000000"),
            send(&mut client, 35, "00*4 07000000 07000000 00*4"),
            send(&mut client, 3, "00*4 07000000 06000000 10000000 00*4 00*24"),
        ] {
            assert_eq!(result, Err(Status::ECC_PRIVATE_KEY));
        }
    }
}

/// Document 05, §11; document 03, §12.2.
#[test]
fn encodings() {
    let server = VirtualServer::default();
    let mut client = client(&server);
    for curve in ["P224", "P256", "P384", "P521"] {
        let public = openssl(&format!("{curve}-spki"));
        for form in ["sec1", "sec1-private", "pkcs8", "spki"] {
            client.cache(7, ANY, &openssl(&format!("{curve}-{form}"))).unwrap();
            assert_eq!(client.export_public(7, 2).as_ref(), Ok(&public), "{curve}-{form}");
            assert_eq!(sign(&mut client, 7, &[1; 32]).is_ok(), form != "spki", "{curve}-{form}");
        }
        client.cache(7, ANY, &openssl(&format!("{curve}-spki-compressed"))).unwrap();
        assert!(client.export_public(7, 2).is_err());
    }
    // Without a curve its length names it.
    client.cache(7, ANY, &bytes(&format!("30250201010420 {EC_PRIVATE}"))).unwrap();
    assert_eq!(client.export_public(7, 2), Ok(ec_public()));
    // A bare point or scalar is no key.
    for bare in [EC_POINT, EC_PRIVATE] {
        client.cache(7, ANY, &bytes(bare)).unwrap();
        assert_eq!(client.export_public(7, 2), Err(Status::ASN_PARSE));
    }
    for curve in ["secp256k1", "brainpoolP256r1", "brainpoolP384r1"] {
        let public = openssl(&format!("{curve}-spki"));
        for form in ["sec1", "pkcs8", "spki"] {
            client.cache(7, ANY, &openssl(&format!("{curve}-{form}"))).unwrap();
            assert_eq!(client.export_public(7, 2).as_ref(), Ok(&public), "{curve}-{form}");
            assert_eq!(sign(&mut client, 7, &[1; 32]).is_ok(), form != "spki", "{curve}-{form}");
        }
    }
    for other in ["brainpoolP320r1-sec1", "brainpoolP320r1-spki"] {
        client.cache(7, ANY, &openssl(other)).unwrap();
        assert_eq!(client.export_public(7, 2), Err(Status::ASN_OBJECT_ID), "{other}");
        assert_eq!(verify(&mut client, 7, &ecdsa_signature(), &[1; 32]), Err(Status::ASN_OBJECT_ID));
    }
    client.cache(7, ANY, &openssl("brainpoolP320r1-pkcs8")).unwrap();
    assert!(client.export_public(7, 2).is_err());
}

#[test]
fn generation_parameters() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    let mut generate = |size: u8, curve: &str| {
        send(&mut client, 9, &format!("{size:02X}000000 {curve} 00*4 10000000 00*4 00*24"))
            .map(|answer| answer.len() - 8)
    };
    for (size, length) in
        [(0, 106), (28, 106), (29, 121), (32, 121), (33, 167), (48, 167), (49, 223), (66, 223)]
    {
        assert_eq!(generate(size, "00000000"), Ok(length), "{size}");
    }
    // A named curve comes before the size, unless that is too large.
    assert_eq!(generate(66, "0E000000"), Ok(106));
    assert_eq!(generate(67, "0E000000"), Err(Status::ECC_ARGUMENT));
    assert_eq!(generate(67, "00000000"), Err(Status::ECC_ARGUMENT));
    assert_eq!(generate(32, "14000000"), Ok(118));
    assert_eq!(generate(32, "18000000"), Ok(122));
    assert_eq!(generate(48, "1A000000"), Ok(171));
    for curve in [1, 6, 8, 13, 17, 19, 21, 23, 25, 27, 28, 29, 100] {
        assert_eq!(generate(32, &format!("{curve:02X}000000")), Err(Status::ECC_CURVE), "{curve}");
    }
    assert_eq!(generate(0, "FFFFFFFF"), Err(Status::CRYPTO_ARGUMENT));
}
