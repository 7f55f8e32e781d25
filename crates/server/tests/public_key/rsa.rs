//! RSA (document 05, §3).

use super::keys::rsa_key;
use super::{ANY, bytes, send, send_bytes, word};
use crate::common::Client;
use casemate_protocol::Status;
use casemate_testkit::server::VirtualServer;

/// 5 to the power of e and of d, computed by Python.
const FIVE_E: &str =
    "636724EB19081F5E43BC92B4E7FA4903C0E1D3C5499C56A438170BF107C4339D88BC07E044731CCD06050F639AEBCF19
     FACFE4F708EA42B0794DE147289B58DF91D0BAEEFC30542280C9FCBDBBF62C2723C3362C7519B26FB2A49DA0FC2CAA6D
     64DFF8EEF8B3536FF6D013388F021DD32E3A562B61088F957E635698659A3818";
const FIVE_D: &str =
    "9554FEF7F029F6A817C0A0F3B4A9B157923B36FA0D2E319FCFCDDBC6D8AEB0A5EA88B74FA66C6256125DD33E0D3D3152
     F9E902996C2590C32BBFF7DC2F3AD41C53697958537D3239D4FAD2359B2F6F5A9282F43C3E041BA90B197F6AB9C4E3A4
     CBD5854096C467C7D9AFB7AF19DC61D0C92DBBB03ECD984D813BD9E8721E09AA";
/// As OpenSSL writes it.
const PUBLIC: &str = "30819F300D06092A864886F70D010101050003818D0030818902818100
     CE4B41E158BEE4EA4D84006E2CB223E1FFD898B8194ACD3624CB65E93EEC2A95CE0AFAC5F50571BF146774DFB4E3FBBB
     0B6676FD371443C90655E6A88516DF22CA83A4BB3EBE12C7110729ABF0801C79D54B97EA8D9BF618E68ABE69931AA61E
     F12846DDB8FD10E57EA0B66FDFE506950BF6168CBE81C1725E1FD9085EF54303 0203010001";

/// Operation `number` with key 5 and room for 128 bytes.
fn operate(client: &mut Client<'_>, number: u8, input: &[u8]) -> Result<Vec<u8>, Status> {
    let length = u32::try_from(input.len()).unwrap().to_le_bytes();
    let head = bytes(&format!("{number:02X}000000 00*4 05000000"));
    send_bytes(client, 1, &[&head[..], &length, &[128, 0, 0, 0], input].concat())
}

#[test]
fn the_four_operations() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, ANY, &rsa_key()).unwrap();
    let result = |power: &str| Ok(bytes(&format!("80000000 {power}")));
    for number in [0, 1] {
        assert_eq!(operate(&mut client, number, &[0, 0, 0, 5]), result(FIVE_E));
        assert_eq!(operate(&mut client, number, &bytes(FIVE_D)), result("00*127 05"));
    }
    for number in [2, 3] {
        assert_eq!(operate(&mut client, number, &[5]), result(FIVE_D));
        assert_eq!(operate(&mut client, number, &bytes(FIVE_E)), result("00*127 05"));
    }
    assert_eq!(operate(&mut client, 4, &[5]), Err(Status::CRYPTO_ARGUMENT));
    // 0, 1, n - 1, and inputs that are not below n.
    assert_eq!(operate(&mut client, 0, &[0; 128]), result("00*128"));
    assert_eq!(operate(&mut client, 3, &[1]), result("00*127 01"));
    let mut modulus = bytes(PUBLIC)[29..157].to_vec();
    assert_eq!(operate(&mut client, 2, &modulus), result("00*128"));
    modulus[127] -= 1;
    assert_eq!(operate(&mut client, 2, &modulus).unwrap()[4..], modulus);
    assert!(operate(&mut client, 0, &[0xFF; 128]).is_ok());
    // Size.
    assert_eq!(send(&mut client, 17, "00*4 05000000"), Ok(bytes("80000000")));
}

#[test]
fn lengths() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, ANY, &rsa_key()).unwrap();
    for number in 0..4 {
        assert_eq!(operate(&mut client, number, &[]), Err(Status::CRYPTO_ARGUMENT));
        assert_eq!(operate(&mut client, number, &[1; 129]), Err(Status::CRYPTO_ARGUMENT));
        for (capacity, expected) in [
            ("7F000000", Some(Status::RSA_BUFFER)),
            ("00*4", Some(Status::CRYPTO_ARGUMENT)),
            ("FFFFFFFF", None),
        ] {
            let body = format!("{number:02X}000000 00*4 05000000 01000000 {capacity} 05");
            assert_eq!(send(&mut client, 1, &body).err(), expected);
        }
        // The wrong length comes before the small buffer.
        let body = format!("{number:02X}000000 00*4 05000000 00000000 00*4");
        assert_eq!(send(&mut client, 1, &body), Err(Status::CRYPTO_ARGUMENT));
    }
}

/// Document 05, §11: which encodings are keys, and what public export makes of them.
#[test]
fn encodings() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    let public = bytes(PUBLIC);
    let pkcs1_public = public[22..].to_vec();
    let length = u16::try_from(rsa_key().len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let [outer_high, outer_low] = (length + 22).to_be_bytes();
    let pkcs8 = [
        &[0x30, 0x82, outer_high, outer_low][..],
        &bytes("020100 300D06092A864886F70D0101010500 0482"),
        &[high, low],
        &rsa_key(),
    ]
    .concat();
    let trailing = [&rsa_key()[..], b"more"].concat();
    for (encoding, is_private) in
        [(&rsa_key(), true), (&pkcs8, true), (&trailing, true), (&public, false), (&pkcs1_public, false)]
    {
        client.cache(5, ANY, encoding).unwrap();
        assert_eq!(client.export_public(5, 1), Ok(public.clone()));
        assert_eq!(operate(&mut client, 0, &[5]).unwrap()[4..], bytes(FIVE_E));
        let private = operate(&mut client, 3, &[5]);
        // The original answers with meaningless bytes (document 05, §17, no. 9).
        let expected =
            if is_private { Ok(bytes(&format!("80000000 {FIVE_D}"))) } else { Err(Status::CRYPTO_ARGUMENT) };
        assert_eq!(private, expected);
    }
    for damaged in [&rsa_key()[1..], &public[2..], b"", b"0"] {
        client.cache(5, ANY, &[damaged, &[0]].concat()).unwrap();
        assert_eq!(operate(&mut client, 0, &[5]), Err(Status::ASN_PARSE));
        assert_eq!(client.export_public(5, 1), Err(Status::ASN_PARSE));
    }
}

#[test]
fn generation_parameters() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    let mut generate = |size: u32, exponent: u32| {
        let mut body = bytes("10000000 00*4 00*4 00*4 00*24");
        body[8..12].copy_from_slice(&size.to_le_bytes());
        body[12..16].copy_from_slice(&exponent.to_le_bytes());
        send_bytes(&mut client, 8, &body)
    };
    for (size, exponent) in [
        (0, 3),
        (1023, 3),
        (4097, 3),
        (4112, 3),
        (u32::MAX, 3),
        (1024, 0),
        (1024, 1),
        (1024, 2),
        (1024, 65536),
    ] {
        assert_eq!(generate(size, exponent), Err(Status::CRYPTO_ARGUMENT), "{size} {exponent}");
    }
    // Sizes are rounded down; any odd exponent is one.
    for (size, exponent) in [(1025, 3), (1039, 65537), (1024, u32::MAX)] {
        let key = generate(size, exponent).unwrap()[8..].to_vec();
        let server = VirtualServer::default();
        let mut client = Client::new(&server, 3);
        client.cache(5, ANY, &key).unwrap();
        assert_eq!(word(&send(&mut client, 17, "00*4 05000000").unwrap(), 0), 128);
        let encrypted = operate(&mut client, 0, &[77]).unwrap();
        assert_eq!(operate(&mut client, 3, &encrypted[4..]), Ok(bytes("80000000 00*127 4D")));
    }
}
