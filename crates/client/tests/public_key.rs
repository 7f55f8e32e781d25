//! Public-key calls: the reference's exchanges (document 05, §15), and what goes wrong.

mod common;

use casemate_client::public_key::elliptic_curve::EcdsaSign;
use casemate_client::{
    Argument, Client, Curve, Ed25519, Ed25519Mode, Endianness, Error, HashAlgorithm, Key, MlDsa,
    MlDsaMessage, MlKem, NewKey, Prehash, ProtocolFault, Rsa, RsaOperation, X25519,
};
use casemate_protocol::{Flags, KeyId, Status};
use casemate_transport::TransportError;
use common::{Script, hex};

const HEADER: &str = "01a5 0304 0100 0000";

/// Any RSA public key's length of bytes serves: the client does not look inside.
#[test]
fn rsa() {
    let spki = "30819f300d06092a864886f70d010101050003818d00 11*140";
    let mut script = Script::new()
        .exchange(
            "01a5 0304 0100 0000 | 08000000 00000000 00000000 | 60000000 00000000 00040000 01000100 64656d6f 00*20",
            &format!("01a5 0304 0100 0000 | 08000000 00000000 00000000 | ff000000 a2000000 {spki}"),
        )
        .exchange(
            "01a5 0304 0200 0000 | 11000000 00000000 00000000 | 00000000 ff000000",
            "01a5 0304 0200 0000 | 11000000 00000000 00000000 | 80000000",
        )
        .exchange(
            "01a5 0304 0300 0000 | 01000000 00000000 00000000 |
             00000000 00000000 ff000000 04000000 80000000 00000005",
            "01a5 0304 0300 0000 | 01000000 00000000 00000000 | 80000000 626527d06eff685c 22*120",
        );
    let mut client = script.client();
    let new = NewKey { flags: Flags(0x60), label: "demo".into(), ..NewKey::default() };
    let mut out = [0; 162];
    assert_eq!(
        client.key_pair_generate_with_public(Rsa::new(1024), &new, &mut out).unwrap(),
        (KeyId(255), 162)
    );
    assert_eq!(out.to_vec(), hex(spki));
    assert_eq!(client.rsa_size(Key::Id(KeyId(255))).unwrap(), 128);
    let input = [0, 0, 0, 5];
    let out = &mut out[..128];
    assert_eq!(client.rsa(RsaOperation::PublicEncrypt, Key::Id(KeyId(255)), &input, out).unwrap(), 128);
    assert_eq!(out[..8], hex("626527d06eff685c"));
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn elliptic_curves() {
    let spki = "3059301306072a8648ce3d020106082a8648ce3d030107034200 04 77*64";
    let mut script = Script::new()
        .exchange(
            "01a5 0304 0100 0000 | 09000000 00000000 00000000 |
             20000000 07000000 00000000 80050000 00000000 65632d64656d6f 00*17",
            &format!("01a5 0304 0100 0000 | 09000000 00000000 00000000 | ff000000 5b000000 {spki}"),
        )
        .exchange(
            "01a5 0304 0200 0000 | 09000000 00000000 00000000 | 20000000 07000000 00000000 10000000 00000000 00*24",
            "01a5 0304 0200 0000 | 09000000 00000000 00000000 | 00010000 79000000 30770201010420 00*114",
        )
        .exchange(
            "01a5 0304 0300 0000 | 05000000 00000000 00000000 | 02000000 ff000000 02000000 20000000 3044 ba*32",
            &format!("01a5 0304 0300 0000 | 05000000 00000000 00000000 | 01000000 5b000000 {spki}"),
        )
        .exchange(
            "01a5 0304 0400 0000 | 22000000 00000000 00000000 | 00000000 ff000000",
            "01a5 0304 0400 0000 | 22000000 00000000 00000000 | 41000000 04 77*64",
        )
        .exchange(
            "01a5 0304 0500 0000 | 23000000 00000000 00000000 | 00000000 ff000000 07000000 41000000 04 77*64",
            "01a5 0304 0500 0000 | 23000000 00000000 00000000 | 01000000",
        )
        .exchange(
            "01a5 0304 0600 0000 | 03000000 00000000 00000000 |
             00000000 ff000000 ff000000 00040000 20000000 7a7a 00*22",
            "01a5 0304 0600 0000 | 03000000 00000000 00000000 | 00000000 20000000",
        )
        .exchange(
            "01a5 0304 0700 0000 | 03000000 00000000 00000000 | 00000000 20000000 20000000 10000000 00000000 00*24",
            "01a5 0304 0700 0000 | 03000000 74ffffff 00000000",
        );
    let mut client = script.client();
    let new = NewKey { flags: Flags(0x580), label: "ec-demo".into(), ..NewKey::default() };
    let (mut public, mut private) = ([0; 91], [0; 121]);
    let key = Key::Id(KeyId(255));
    assert_eq!(
        client.key_pair_generate_with_public(Curve::P256, &new, &mut public).unwrap(),
        (KeyId(255), 91)
    );
    assert_eq!(client.key_pair_generate_export(Curve::P256, &mut private).unwrap(), 121);
    assert_eq!(private[..7], hex("30770201010420"));
    let verified = client.ecdsa_verify_with_public(key, &[0x30, 0x44], &[0xBA; 32], &mut public).unwrap();
    assert_eq!((verified, public.to_vec()), ((true, 91), hex(spki)));
    let mut point = [0; 65];
    assert_eq!(client.ec_make_public(key, &mut point).unwrap(), 65);
    client.ec_check_public(key, Curve::P256, &point).unwrap();
    let secret = NewKey { id: KeyId(0x20), flags: Flags(0x400), label: "zz".into() };
    assert_eq!(client.ecdh_cache(key, key, &secret).unwrap(), KeyId(0x20));
    let other = Key::Id(KeyId(0x20));
    let error = client.ecdh_export(other, other, &mut point).unwrap_err();
    assert_eq!(error.status(), Some(Status::ASN_PARSE));
    drop(client);
    assert!(script.is_finished());
}

#[test]
fn curve25519() {
    let (little, digits) = ("302a300506032b656e032100 79*32", "c6*31 23");
    let signature = "70*64";
    let mut script = Script::new()
        .exchange(
            "01a5 0304 0100 0000 | 10000000 00000000 00000000 | 20000000 00040000 00000000 00*24",
            &format!("01a5 0304 0100 0000 | 10000000 00000000 00000000 | ff000000 2c000000 {little}"),
        )
        .exchange(
            "01a5 0304 0200 0000 | 07000000 00000000 00000000 |
             00000000 ff000000 ff000000 00000000 10000000 00000000 00*24",
            &format!("01a5 0304 0200 0000 | 07000000 00000000 00000000 | 20000000 00000000 {digits}"),
        )
        .exchange(
            "01a5 0304 0300 0000 | 0f000000 00000000 00000000 | 80010000 00000000 ffff0000 00*24",
            "01a5 0304 0300 0000 | 0f000000 00000000 00000000 | fe000000 2c000000 302a300506032b6570032100 aa*32",
        )
        .exchange(
            "01a5 0304 0400 0000 | 06000000 00000000 00000000 | 00000000 fe000000 03000000 ff000000 00000000 616263",
            &format!("01a5 0304 0400 0000 | 06000000 00000000 00000000 | 40000000 {signature}"),
        )
        .exchange(
            &format!(
                "01a5 0304 0500 0000 | 0e000000 00000000 00000000 |
                 00000000 fe000000 40000000 03000000 ff000000 00000000 {signature} 616263"
            ),
            "01a5 0304 0500 0000 | 0e000000 00000000 00000000 | 01000000",
        )
        .answer(&["01a5 0304 0600 0000 | 0e000000 1bffffff 00000000"])
        .answer(&["01a5 0304 0700 0000 | 0e000000 53ffffff 00000000"]);
    let mut client = script.client();
    let new = |flags| NewKey { flags: Flags(flags), ..NewKey::default() };
    let mut public = [0; 44];
    let (id, _) = client.key_pair_generate_with_public(X25519, &new(0x400), &mut public).unwrap();
    let mut secret = [0; 32];
    client.x25519_export(Key::Id(id), Key::Id(id), Endianness::Little, &mut secret).unwrap();
    assert_eq!(secret.to_vec(), hex(digits));
    let key = Key::Id(client.key_pair_generate(Ed25519, &new(0x180)).unwrap());
    let made = client.ed25519_sign(key, Ed25519Mode::Pure, b"abc").unwrap();
    assert_eq!(made.to_vec(), hex(signature));
    assert!(client.ed25519_verify(key, Ed25519Mode::Pure, &made, b"abc").unwrap());
    // A wrong signature is a verdict, anything else an error.
    assert!(!client.ed25519_verify(key, Ed25519Mode::Pure, &made, b"abd").unwrap());
    let error = client.ed25519_verify(key, Ed25519Mode::Pure, &made, b"abc").unwrap_err();
    assert_eq!(error.status(), Some(Status::CRYPTO_ARGUMENT));
    drop(client);
    assert!(script.is_finished());
}

/// What a caller's private key looks like, and the public one that travels instead.
#[test]
fn only_the_public_half_travels() {
    let secret = "5e*32";
    let cases = [
        (
            "30770201010420 5e*32 a00a06082a8648ce3d030107 a144034200 04 66*64",
            "3059301306072a8648ce3d020106082a8648ce3d030107034200 04 66*64",
        ),
        (
            "3081dc0201010442 01 5e*65 a00706052b81040023 a18189038186 00 04 66*132",
            "30819b301006072a8648ce3d020106052b810400230381860004 66*132",
        ),
    ];
    let valid = "01a5 0304 0200 0000 | 05000000 00000000 00000000 | 01000000 00000000";
    for (private, public) in cases {
        let mut script = Script::new()
            .exchange(
                &format!(
                    "01a5 0003 0100 0000 | 00010000 {} 0e000000 0000 0000 | \"TempEccVerify\" 00*11 | {public}",
                    hex::encode(u32::try_from(hex(public).len()).unwrap().to_le_bytes())
                ),
                "01a5 0003 0100 0000 00000000 ff00 00*6",
            )
            .answer(&[valid]);
        let mut client = script.client();
        assert!(client.ecdsa_verify(Key::Inline(&hex(private)), &[1], &[2; 32]).unwrap());
        drop(client);
        assert_eq!(script.sent[1][20], 1, "with EVICT");
    }
    // Other forms travel whole: with compressed point, of an unknown curve, with a byte too many.
    for private in [
        "303902010104205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e a00a06082a8648ce3d030107",
        "30770201010420 5e*32 a00a06082a8648ce3d030108 a144034200 04 66*64",
        "30770201010420 5e*32 a00a06082a8648ce3d030107 a144034200 02 66*64",
        "30770201010420 5e*32 a00a06082a8648ce3d030107 a144034200 04 66*64 00",
        "30",
        "3082",
        "3084ffffffff",
        "00",
    ] {
        let private = hex(private);
        let mut script = Script::new().answer(&["01a5 0003 0100 0000 00000000 ff00 00*6"]).answer(&[valid]);
        script.client().ecdsa_verify(Key::Inline(&private), &[1], &[2; 32]).unwrap();
        assert_eq!(script.sent[0][48..], private);
    }
    // Every other family: the secret bytes do not leave, the public ones do.
    let ed = |arc: &str| format!("30500201013005 06032b65{arc} 04220420 {secret} 8120 66*32");
    let imported = |script: &Script| script.sent[0][48..].to_vec();
    let cached = "01a5 0003 0100 0000 00000000 ff00 00*6";
    let mut script = Script::new()
        .answer(&[cached])
        .answer(&["01a5 0304 0200 0000 | 0e000000 00000000 00000000 | 01000000"]);
    let key = hex(&ed("70"));
    assert!(script.client().ed25519_verify(Key::Inline(&key), Ed25519Mode::Pure, &[0; 64], b"").unwrap());
    assert_eq!(imported(&script), hex("302a300506032b6570032100 66*32"));
    let agreed = "01a5 0304 0200 0000 | 07000000 00000000 00000000 | 20000000 00000000 01*32";
    let mut script = Script::new().answer(&[cached]).answer(&[agreed]);
    let key = hex(&ed("6e"));
    let mine = Key::Id(KeyId(1));
    script.client().x25519_export(mine, Key::Inline(&key), Endianness::Big, &mut [0; 32]).unwrap();
    assert_eq!(imported(&script), hex("302a300506032b656e032100 66*32"));
    let rsa_private = "3081 9d 020100 024100 ff*64 0203010001 024000 5e*63 0201055e";
    let (mut script, mut out) = (
        Script::new()
            .answer(&[cached])
            .answer(&["01a5 0304 0200 0000 | 01000000 00000000 00000000 | 41000000 01*65"]),
        [0; 65],
    );
    // The outer length of this one is made to fit here.
    let mut key = hex(rsa_private);
    key[2] = u8::try_from(key.len() - 3).unwrap();
    script.client().rsa(RsaOperation::PublicEncrypt, Key::Inline(&key), &[5], &mut out).unwrap();
    assert_eq!(imported(&script), hex("3048 024100 ff*64 0203010001"));
    let mut script = Script::new()
        .answer(&[cached])
        .answer(&["01a5 0304 0200 0000 | 13000000 00000000 00000000 | 00030000 20000000 01*768 02*32"]);
    let key = hex("5e*768 66*800 5e*64");
    let mut ciphertext = [0; 768];
    let mut client = script.client();
    client.ml_kem_encapsulate(Key::Inline(&key), MlKem::MlKem512, &mut ciphertext, &mut [0; 32]).unwrap();
    drop(client);
    assert_eq!(imported(&script), hex("66*800"));
    let mut script = Script::new()
        .answer(&[cached])
        .answer(&["01a5 0304 0200 0000 | 17000000 00000000 00000000 | 00000000 02000000"]);
    let key = hex("30820f3c020101300b0609608648016503040311 04820a0404820a00 5e*2560 81820520 66*1312");
    let mut client = Client::new(&mut script, vec![0; 8200]);
    let message = MlDsaMessage::Pure(b"");
    assert!(!client.ml_dsa_verify(Key::Inline(&key), MlDsa::MlDsa44, &[0; 2420], message, b"").unwrap());
    drop(client);
    assert_eq!(imported(&script), hex("30820532300b06096086480165030403110382052100 66*1312"));
}

#[test]
fn a_temporary_key_does_not_stay_if_the_operation_is_not_sent() {
    let cached = |number: u8, id: u8| {
        hex::encode([&hex("01a5 0003"), &[number, 0, 0, 0, 0, 0, 0, 0, id, 0][..], &[0; 6]].concat())
    };
    let mut script = Script::new()
        .answer(&[&cached(1, 0xFF)])
        .refuse(TransportError::BadLength)
        .exchange("01a5 0103 0200 0000 ff00 00*6", "01a5 0103 0200 0000 00000000 00000000");
    let outcome = script.client().ecdsa_sign(Key::Inline(&[1; 121]), &[2; 32], &mut [0; 72]);
    assert!(matches!(outcome, Err(Error::Transport(TransportError::BadLength))));
    assert!(script.is_finished());

    // Two keys, and the second one has no room.
    let mut script = Script::new()
        .answer(&[&cached(1, 0xFF)])
        .answer(&["01a5 0003 0200 0000 c7f7ffff 0000 00*6"])
        .exchange("01a5 0103 0300 0000 ff00 00*6", "01a5 0103 0300 0000 00000000 00000000");
    let outcome = script.client().ecdh_export(Key::Inline(&[1; 121]), Key::Inline(&[2; 91]), &mut [0; 32]);
    assert_eq!(outcome.unwrap_err().status(), Some(Status::NO_SPACE));
    assert!(script.is_finished());

    // Both are there, and the operation is not sent.
    let mut script = Script::new()
        .answer(&[&cached(1, 0xFF)])
        .answer(&[&cached(2, 0xFE)])
        .refuse(TransportError::BadLength)
        .exchange("01a5 0103 0300 0000 ff00 00*6", "01a5 0103 0300 0000 00000000 00000000")
        .exchange("01a5 0103 0400 0000 fe00 00*6", "01a5 0103 0400 0000 00000000 00000000");
    let outcome = script.client().ecdh_export(Key::Inline(&[1; 121]), Key::Inline(&[2; 91]), &mut [0; 32]);
    assert!(matches!(outcome, Err(Error::Transport(TransportError::BadLength))));
    assert!(script.is_finished());
}

#[test]
fn a_key_whose_public_half_cannot_be_had_does_not_stay() {
    let mut script = Script::new()
        .answer(&[&format!("{HEADER} 09000000 00000000 00000000 ff000000 00000000")])
        .exchange("01a5 0103 0200 0000 ff00 00*6", "01a5 0103 0200 0000 00000000 00000000");
    let outcome =
        script.client().key_pair_generate_with_public(Curve::P256, &NewKey::default(), &mut [0; 91]);
    assert!(matches!(outcome, Err(Error::TooLong { .. })));
    assert!(script.is_finished());
    // RSA public keys have no fixed length.
    let mut script = Script::new()
        .answer(&[&format!("{HEADER} 08000000 00000000 00000000 ff000000 a2000000 11*162")])
        .exchange("01a5 0103 0200 0000 ff00 00*6", "01a5 0103 0200 0000 00000000 00000000");
    let outcome =
        script.client().key_pair_generate_with_public(Rsa::new(1024), &NewKey::default(), &mut [0; 161]);
    assert!(matches!(outcome, Err(Error::OutputTooSmall { needed: 162, available: 161 })));
    assert!(script.is_finished());
}

/// No step is in the script, so anything sent would be a panic.
#[test]
fn what_cannot_succeed_is_not_sent() {
    let mut script = Script::new();
    let mut client = Client::new(&mut script, [0; 8 + 512]);
    let (key, none, inline) = (Key::Id(KeyId(1)), Key::Id(KeyId(0x0100)), Key::Inline(&[1; 100]));
    let (mut out, mut secret) = ([0; 5000], [0; 32]);
    macro_rules! refused {
        ($( $call:expr => $error:pat, )*) => {$(
            let outcome = $call;
            assert!(matches!(outcome, Err($error)), "{}: {outcome:?}", stringify!($call));
        )*};
    }
    let ephemeral = NewKey { flags: Flags::EPHEMERAL, ..NewKey::default() };
    let pure = Ed25519Mode::Pure;
    let digest = |length| MlDsaMessage::Prehashed(Prehash::Hash(HashAlgorithm::Sha256), &[0; 64][..length]);
    refused! {
        client.key_pair_generate(Curve::P256, &ephemeral) => Error::Argument(Argument::Ephemeral),
        client.key_pair_generate_with_public(X25519, &NewKey::default(), &mut [0; 43])
            => Error::OutputTooSmall { needed: 44, available: 43 },
        client.key_pair_generate_with_public(MlKem::MlKem512, &NewKey::default(), &mut out)
            => Error::TooLong { needed: 820, limit: 512 },
        client.key_pair_generate_export(MlKem::MlKem512, &mut out) => Error::TooLong { needed: 1652, limit: 512 },
        // The original's server does not survive this one.
        client.key_pair_generate_export(Rsa::new(2048), &mut out) => Error::TooLong { .. },
        client.ecdsa_sign(none, &[0; 32], &mut out) => Error::Argument(Argument::KeyId),
        client.ecdsa_sign(Key::Inline(&[]), &[0; 32], &mut out) => Error::Argument(Argument::KeyLength),
        client.ecdsa_sign(key, &[0; 489], &mut out) => Error::TooLong { needed: 513, limit: 512 },
        client.ecdsa_sign(inline, &[0; 489], &mut out) => Error::TooLong { needed: 513, limit: 512 },
        client.ecdsa_sign(Key::Inline(&[1; 473]), &[0; 32], &mut out) => Error::TooLong { needed: 513, limit: 512 },
        client.ecdsa_verify(inline, &[0; 400], &[0; 85]) => Error::TooLong { needed: 513, limit: 512 },
        client.ecdh_export(inline, none, &mut out) => Error::Argument(Argument::KeyId),
        client.ecdh_export(Key::Inline(&[]), inline, &mut out) => Error::Argument(Argument::KeyLength),
        client.ecdh_export(Key::Inline(&[1; 473]), inline, &mut out) => Error::TooLong { needed: 513, limit: 512 },
        client.ecdh_cache(key, inline, &ephemeral) => Error::Argument(Argument::Ephemeral),
        client.x25519_cache(inline, key, Endianness::Little, &ephemeral) => Error::Argument(Argument::Ephemeral),
        client.x25519_export(none, key, Endianness::Little, &mut secret) => Error::Argument(Argument::KeyId),
        client.ec_check_public(key, Curve::P256, &[4; 485]) => Error::TooLong { needed: 513, limit: 512 },
        client.ed25519_sign(inline, Ed25519Mode::Context(&[0; 256]), b"") => Error::Argument(Argument::ContextLength),
        client.ed25519_sign(inline, Ed25519Mode::Prehashed(b""), &[0; 63]) => Error::Argument(Argument::DigestLength),
        client.ed25519_sign(inline, pure, &[0; 481]) => Error::TooLong { needed: 513, limit: 512 },
        client.ed25519_verify(inline, pure, &[0; 64], &[0; 413]) => Error::TooLong { needed: 513, limit: 512 },
        client.rsa(RsaOperation::PublicEncrypt, key, &[0; 481], &mut out[..480]) => Error::TooLong { needed: 513, limit: 512 },
        client.rsa(RsaOperation::PublicEncrypt, inline, &[1], &mut []) => Error::Argument(Argument::OutputLength),
        client.rsa_size(none) => Error::Argument(Argument::KeyId),
        client.ml_dsa_sign(inline, MlDsa::MlDsa44, digest(32), b"", &mut out) => Error::TooLong { needed: 2440, limit: 512 },
        client.ml_dsa_sign(inline, MlDsa::MlDsa44, digest(31), b"", &mut out) => Error::Argument(Argument::DigestLength),
        client.ml_dsa_sign(inline, MlDsa::MlDsa44, digest(32), &[0; 256], &mut out)
            => Error::Argument(Argument::ContextLength),
        client.ml_dsa_verify(inline, MlDsa::MlDsa44, &[0; 3309], digest(32), b"")
            => Error::Argument(Argument::SignatureLength),
        client.ml_kem_encapsulate(inline, MlKem::MlKem512, &mut out[..767], &mut secret)
            => Error::OutputTooSmall { needed: 768, available: 767 },
        client.ml_kem_encapsulate(inline, MlKem::MlKem512, &mut out, &mut secret)
            => Error::TooLong { needed: 820, limit: 512 },
        client.ml_kem_decapsulate(inline, MlKem::MlKem768, &[0; 768], &mut secret)
            => Error::Argument(Argument::CiphertextLength),
    }
}

#[test]
fn answers_that_contradict_the_request_are_refused() {
    macro_rules! refused {
        ($fault:pat, $answer:expr, |$client:ident| $call:expr) => {{
            let mut script = Script::new().answer(&[&format!("{HEADER} {}", $answer)]);
            let mut $client = Client::new(&mut script, vec![0; 8200]);
            let outcome = $call;
            assert!(matches!(outcome, Err(Error::Protocol($fault))), "{}: {outcome:?}", stringify!($call));
        }};
    }
    use ProtocolFault::{Algorithm, Contradiction, Length};
    let key = Key::Id(KeyId(1));
    let mut out = [0; 5000];
    let new = |id| NewKey { id: KeyId(id), ..NewKey::default() };
    let ok = "00000000 00000000";
    // Another identifier, none, a public key of another size, a returned key that is cached as well, or too long.
    let generated = |body: &str| format!("09000000 {ok} {body}");
    refused!(Contradiction, generated("06000000 00000000"), |c| c.key_pair_generate(Curve::P256, &new(5)));
    refused!(Contradiction, generated("00010000 00000000"), |c| c.key_pair_generate(Curve::P256, &new(0)));
    refused!(Contradiction, generated("06000000 5a000000 00*90"), |c| c
        .key_pair_generate(Curve::P256, &new(0)));
    refused!(Length, generated("06000000 5b000000 00*90"), |c| c.key_pair_generate(Curve::P256, &new(0)));
    refused!(Contradiction, generated("06000000 79000000 00*121"), |c| c
        .key_pair_generate_export(Curve::P256, &mut out));
    refused!(Contradiction, generated("00000000 00000000"), |c| c
        .key_pair_generate_export(Curve::P256, &mut out));
    // Signatures: none, longer than the response, another family's answer.
    refused!(Contradiction, format!("04000000 {ok} 00000000"), |c| c.ecdsa_sign(key, &[1; 32], &mut out));
    refused!(Length, format!("04000000 {ok} 48000000 00*71"), |c| c.ecdsa_sign(key, &[1; 32], &mut out));
    refused!(Algorithm { .. }, format!("05000000 {ok} 01000000 00*8"), |c| c
        .ecdsa_sign(key, &[1; 32], &mut out));
    for length in ["3f000000", "41000000"] {
        refused!(Contradiction, format!("06000000 {ok} {length} 00*65"), |c| c.ed25519_sign(
            key,
            Ed25519Mode::Pure,
            b""
        ));
    }
    let message = MlDsaMessage::Pure(b"");
    refused!(Contradiction, format!("16000000 {ok} 73090000 00*4 00*2420"), |c| c.ml_dsa_sign(
        key,
        MlDsa::MlDsa44,
        message,
        b"",
        &mut out
    ));
    // Verdicts that are neither yes nor no, and a public key where none, or one, was asked for.
    refused!(Contradiction, format!("05000000 {ok} 02000000 00000000"), |c| c.ecdsa_verify(
        key,
        &[1],
        &[1; 32]
    ));
    refused!(Contradiction, format!("05000000 {ok} 01000000 01000000 00"), |c| c.ecdsa_verify(
        key,
        &[1],
        &[1; 32]
    ));
    refused!(Contradiction, format!("05000000 {ok} 01000000 00000000"), |c| c.ecdsa_verify_with_public(
        key,
        &[1],
        &[1; 32],
        &mut out
    ));
    refused!(Contradiction, format!("0e000000 {ok} ffffffff"), |c| c.ed25519_verify(
        key,
        Ed25519Mode::Pure,
        &[0; 64],
        b""
    ));
    refused!(Contradiction, format!("17000000 {ok} 02000000 00000000"), |c| c.ml_dsa_verify(
        key,
        MlDsa::MlDsa44,
        &[0; 2420],
        message,
        b""
    ));
    refused!(Contradiction, format!("23000000 {ok} 00000000"), |c| c.ec_check_public(key, Curve::P256, &[]));
    // Secrets: none, one that is cached too, of another length; a cached one that is returned too, or unnamed.
    refused!(Contradiction, format!("03000000 {ok} 00000000 00000000"), |c| c
        .ecdh_export(key, key, &mut out));
    refused!(Contradiction, format!("03000000 {ok} 20000000 05000000 00*32"), |c| c
        .ecdh_export(key, key, &mut out));
    refused!(Contradiction, format!("03000000 {ok} 20000000 05000000 00*32"), |c| c.ecdh_cache(
        key,
        key,
        &new(0)
    ));
    refused!(Contradiction, format!("03000000 {ok} 00000000 00010000"), |c| c.ecdh_cache(key, key, &new(0)));
    refused!(Contradiction, format!("07000000 {ok} 21000000 00000000 00*33"), |c| c.x25519_export(
        key,
        key,
        Endianness::Little,
        &mut [0; 32]
    ));
    refused!(Contradiction, format!("14000000 {ok} 1f000000 00000000 00*32"), |c| c.ml_kem_decapsulate(
        key,
        MlKem::MlKem512,
        &[0; 768],
        &mut [0; 32]
    ));
    refused!(Contradiction, format!("13000000 {ok} ff020000 20000000 00*800"), |c| c.ml_kem_encapsulate(
        key,
        MlKem::MlKem512,
        &mut out,
        &mut [0; 32]
    ));
    // Points: compressed, or of even length.
    refused!(Contradiction, format!("22000000 {ok} 21000000 02 00*32"), |c| c.ec_make_public(key, &mut out));
    refused!(Contradiction, format!("22000000 {ok} 40000000 04 00*63"), |c| c.ec_make_public(key, &mut out));
    // RSA: longer than there is room, shorter than the number that went in.
    refused!(Contradiction, format!("01000000 {ok} 81000000 00*129"), |c| c.rsa(
        RsaOperation::PublicEncrypt,
        key,
        &[1],
        &mut out[..128]
    ));
    refused!(Contradiction, format!("01000000 {ok} 01000000 00"), |c| c.rsa(
        RsaOperation::PublicEncrypt,
        key,
        &[1, 2],
        &mut out[..128]
    ));
    refused!(Contradiction, format!("11000000 {ok} 00000000"), |c| c.rsa_size(key));
}

#[test]
fn secrets_do_not_stay_in_the_packet_buffer() {
    let secret = [0x5E; 32];
    macro_rules! wiped {
        ($answer:expr, |$client:ident| $call:expr) => {{
            let mut script =
                Script::new().answer(&[&format!("{HEADER} {}", $answer)]).answer(&["01A5 0501 0200 0000"]);
            let mut $client = script.client();
            let _ = $call;
            $client.transport_mut().forbidden = Some(secret.to_vec());
            $client.echo(b"").unwrap();
            drop($client);
            assert!(script.is_finished());
        }};
    }
    let key = Key::Id(KeyId(1));
    let ok = "00000000 00000000";
    for room in [121, 120] {
        let mut out = [0; 121];
        wiped!(format!("09000000 {ok} 00000000 79000000 5e*121"), |client| client
            .key_pair_generate_export(Curve::P256, &mut out[..room]));
    }
    wiped!(format!("03000000 {ok} 20000000 00000000 5e*32"), |client| client.ecdh_export(
        key,
        key,
        &mut [0; 31]
    ));
    wiped!(format!("07000000 {ok} 20000000 00000000 5e*32"), |client| client.x25519_export(
        key,
        key,
        Endianness::Little,
        &mut [0; 32]
    ));
    wiped!(format!("01000000 {ok} 80000000 5e*128"), |client| client.rsa(
        RsaOperation::PrivateDecrypt,
        key,
        &[1],
        &mut [0; 128]
    ));
    wiped!(format!("14000000 {ok} 20000000 00000000 5e*32"), |client| client.ml_kem_decapsulate(
        key,
        MlKem::MlKem512,
        &[0; 768],
        &mut [0; 32]
    ));
    // A key of the caller's is gone once it was sent.
    let mut script = Script::new()
        .answer(&["01a5 0003 0100 0000 00000000 ff00 00*6"])
        .answer(&["01a5 0304 0200 0000 | 04000000 00000000 00000000 | 01000000 30"]);
    script.forbidden = Some(secret.to_vec());
    script.client().ecdsa_sign(Key::Inline(&secret), &[2; 32], &mut [0; 1]).unwrap();
}

#[test]
fn without_waiting() {
    let mut script = Script::new().answer(&[&format!("{HEADER} 04000000 00000000 00000000 02000000 3000")]);
    let mut client = script.client();
    let operation = EcdsaSign { key: KeyId(1), hash: &[2; 32], evict: true };
    client.start(&operation).unwrap();
    assert_eq!(client.poll(&operation).unwrap(), Some(&[0x30, 0][..]));
    drop(client);
    assert_eq!(script.sent[0][20..32], hex("01000000 01000000 20000000"));
}
