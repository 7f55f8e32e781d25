//! Public-key exchanges as they were recorded from the original: from what a request says the client must make the
//! same bytes, and it must understand the recorded answer. See data/README.md.

mod common;

use casemate_client::public_key::curve25519::{Ed25519Sign, Ed25519Verify, X25519Cache, X25519Export};
use casemate_client::public_key::elliptic_curve::{EcdhCache, EcdhExport, EcdsaSign, EcdsaVerify};
use casemate_client::public_key::ml_dsa::{MlDsaSign, MlDsaVerify};
use casemate_client::public_key::ml_kem::{MlKemDecapsulate, MlKemEncapsulate};
use casemate_client::public_key::rsa::{RsaRaw, RsaSize};
use casemate_client::public_key::{GenerateCache, GenerateExport};
use casemate_client::{
    Argument, Client, Curve, Ed25519, Ed25519Mode, Endianness, Error, HashAlgorithm, Key, KeyPair, MlDsa,
    MlDsaMessage, MlKem, NewKey, Prehash, Rsa, RsaOperation, X25519,
};
use casemate_protocol::message::key::CacheRequest;
use casemate_protocol::message::public_key::*;
use casemate_protocol::{ByteOrder, Flags, KeyId, Label, Layout, Status};
use common::Script;
use std::collections::BTreeMap;
use std::io;

type Failure = Error<io::Error>;

/// A request and its answer, numbered anew.
#[derive(Clone)]
struct Exchange {
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Exchange {
    fn numbered(&self, number: u8) -> [String; 2] {
        [&self.request, &self.response].map(|packet| {
            let mut packet = packet.clone();
            packet[4..6].copy_from_slice(&[number, 0]);
            hex::encode(packet)
        })
    }

    fn is_import(&self) -> bool {
        self.request[2..4] == [0x00, 0x03]
    }

    fn imported(&self) -> (Label, &[u8]) {
        let (request, tail) = CacheRequest::decode(&self.request[8..], ByteOrder::Little).unwrap();
        (request.label, tail)
    }

    fn algorithm(&self) -> u32 {
        u32::from_le_bytes(self.request[8..12].try_into().unwrap())
    }

    fn body<L: Layout>(&self) -> (L, &[u8]) {
        L::decode(&self.request[20..], ByteOrder::Little).unwrap()
    }

    fn status(&self) -> Status {
        Status(i32::from_le_bytes(self.response[12..16].try_into().unwrap()))
    }

    /// The last bytes of the response.
    fn end(&self, length: usize) -> &[u8] {
        &self.response[self.response.len() - length..]
    }
}

fn recorded() -> Vec<Vec<Exchange>> {
    let lines: Vec<_> =
        include_str!("data/public-key.txt").lines().map(|line| hex::decode(line).unwrap()).collect();
    let mut groups = Vec::new();
    let mut group = Vec::new();
    for pair in lines.chunks_exact(2) {
        let mut exchange = Exchange { request: pair[0].clone(), response: pair[1].clone() };
        if exchange.is_import() {
            // Number 0, but sometimes with the flag of global keys.
            assert_eq!(exchange.request[20], 0);
            exchange.request[21] = 0;
        }
        let complete = !exchange.is_import();
        group.push(exchange);
        if complete {
            groups.push(std::mem::take(&mut group));
        }
    }
    assert!(group.is_empty());
    groups
}

fn id(field: u32) -> KeyId {
    KeyId(u16::try_from(field).unwrap())
}

fn new(key: u32, flags: u32, label: Label) -> NewKey {
    NewKey { id: id(key), flags: Flags(u16::try_from(flags).unwrap()), label }
}

/// Runs the operation against the recorded answer.
macro_rules! run {
    ($exchange:expr, $operation:expr, |$output:ident| $check:expr) => {{
        let [request, response] = $exchange.numbered(1);
        let mut script = Script::new().exchange(&request, &response);
        let mut client = Client::new(&mut script, vec![0; 8 + 8192]);
        let outcome: Result<(), Failure> = client.run(&$operation).map(|$output| $check);
        drop(client);
        if !matches!(outcome, Err(Error::Argument(_))) {
            assert!(script.is_finished());
        }
        outcome
    }};
}

fn generate(
    exchange: &Exchange,
    pair: impl KeyPair + Copy,
    key: u32,
    flags: u32,
    label: Label,
) -> Result<(), Failure> {
    if flags & u32::from(Flags::EPHEMERAL.0) == 0 {
        return run!(exchange, GenerateCache { pair, new: new(key, flags, label) }, |generated| {
            assert_eq!(generated.id.number(), exchange.response[20]);
            assert!(!generated.public.is_empty());
            assert_eq!(generated.public, exchange.end(generated.public.len()));
            assert_eq!(8 + 20 + generated.public.len(), exchange.response.len());
        });
    }
    // The original's requests name a key and a label here, which mean nothing.
    let mut plain = exchange.clone();
    let label_at = plain.request.windows(24).position(|part| part == label.0).unwrap();
    plain.request[label_at..label_at + 24].fill(0);
    run!(plain, GenerateExport { pair }, |private| {
        assert_eq!(private, exchange.end(private.len()));
        assert_eq!(8 + 20 + private.len(), exchange.response.len());
    })
}

fn ml_dsa(level: u32) -> MlDsa {
    match level {
        2 => MlDsa::MlDsa44,
        3 => MlDsa::MlDsa65,
        5 => MlDsa::MlDsa87,
        other => panic!("level {other}"),
    }
}

fn ml_kem(level: u32) -> MlKem {
    MlKem::ALL[level as usize]
}

fn prehashed(prehash: u32, message: &[u8]) -> MlDsaMessage<'_> {
    match prehash {
        0 => MlDsaMessage::Pure(message),
        6 => MlDsaMessage::Prehashed(Prehash::Hash(HashAlgorithm::Sha256), message),
        8 => MlDsaMessage::Prehashed(Prehash::Hash(HashAlgorithm::Sha512), message),
        other => panic!("hash {other}"),
    }
}

fn ed25519(mode: u32, context: &[u8]) -> Ed25519Mode<'_> {
    match mode {
        255 => Ed25519Mode::Pure,
        0 => Ed25519Mode::Context(context),
        1 => Ed25519Mode::Prehashed(context),
        other => panic!("mode {other}"),
    }
}

fn endianness(code: u32) -> Endianness {
    if code == 1 { Endianness::Big } else { Endianness::Little }
}

fn rsa_operation(code: u32) -> RsaOperation {
    use RsaOperation::{PrivateDecrypt, PrivateEncrypt, PublicDecrypt, PublicEncrypt};
    [PublicEncrypt, PublicDecrypt, PrivateEncrypt, PrivateDecrypt][code as usize]
}

/// The operation by identifier.
fn replay(exchange: &Exchange) -> Result<(), Failure> {
    let evicts = |options: u32| options & option::EVICT != 0;
    match exchange.algorithm() {
        algorithm::RSA_KEY_GENERATION => {
            let (body, _) = exchange.body::<RsaKeyGenerationRequest>();
            let pair = Rsa { bits: body.size, exponent: body.exponent };
            generate(exchange, pair, body.key, body.flags, body.label)
        }
        algorithm::EC_KEY_GENERATION => {
            let (body, _) = exchange.body::<EcKeyGenerationRequest>();
            let pair = match body.curve {
                curve::P224 => Curve::P224,
                curve::P256 => Curve::P256,
                curve::P384 => Curve::P384,
                curve::P521 => Curve::P521,
                other => panic!("curve {other}"),
            };
            generate(exchange, pair, body.key, body.flags, body.label)
        }
        algorithm::X25519_KEY_GENERATION => {
            let (body, _) = exchange.body::<X25519KeyGenerationRequest>();
            generate(exchange, X25519, body.key, body.flags, body.label)
        }
        algorithm::ED25519_KEY_GENERATION => {
            let (body, _) = exchange.body::<Ed25519KeyGenerationRequest>();
            generate(exchange, Ed25519, body.key, body.flags, body.label)
        }
        algorithm::SIGNATURE_KEY_GENERATION => {
            let (body, _) = exchange.body::<MlDsaKeyGenerationRequest>();
            // Some of the original's calls put the level into the first field too, which means nothing.
            let mut plain = exchange.clone();
            plain.request[20] = 0;
            generate(&plain, ml_dsa(body.level), body.key, body.flags, body.label)
        }
        algorithm::KEM_KEY_GENERATION => {
            let (body, _) = exchange.body::<MlKemKeyGenerationRequest>();
            generate(exchange, ml_kem(body.level), body.key, body.flags, body.label)
        }
        algorithm::RSA => {
            let (body, tail) = exchange.body::<RsaRequest>();
            let operation = RsaRaw {
                operation: rsa_operation(body.operation),
                key: id(body.key),
                input: body.tail(tail).unwrap(),
                capacity: body.capacity as usize,
                evict: evicts(body.options),
            };
            run!(exchange, operation, |result| assert_eq!(result, exchange.end(exchange.response.len() - 24)))
        }
        algorithm::RSA_SIZE => {
            let (body, _) = exchange.body::<RsaSizeRequest>();
            run!(exchange, RsaSize { key: id(body.key), evict: evicts(body.options) }, |size| assert_eq!(
                size,
                256
            ))
        }
        algorithm::ECDSA_SIGN => {
            let (body, tail) = exchange.body::<EcdsaSignRequest>();
            let hash = body.tail(tail).unwrap();
            run!(exchange, EcdsaSign { key: id(body.key), hash, evict: evicts(body.options) }, |signature| {
                assert_eq!(signature, exchange.end(exchange.response.len() - 24));
            })
        }
        algorithm::ECDSA_VERIFY => {
            let (body, tail) = exchange.body::<EcdsaVerifyRequest>();
            let tails = body.tails(tail).unwrap();
            let operation = EcdsaVerify {
                key: id(body.key),
                signature: tails.signature,
                hash: tails.message,
                export_public: body.options & option::EXPORT_PUBLIC != 0,
                evict: evicts(body.options),
            };
            run!(exchange, operation, |verified| {
                assert_eq!(verified.valid, exchange.response[20] == 1);
                assert_eq!(verified.public, exchange.end(exchange.response.len() - 28));
            })
        }
        algorithm::ECDH => {
            let (body, _) = exchange.body::<EcdhRequest>();
            let (private, public) = (id(body.private_key), id(body.public_key));
            let (evict_private, evict_public) =
                (body.options & option::EVICT_PRIVATE != 0, body.options & option::EVICT != 0);
            if body.flags & u32::from(Flags::EPHEMERAL.0) == 0 {
                let new = new(body.key, body.flags, body.label);
                let operation = EcdhCache { private, public, new, evict_private, evict_public };
                return run!(exchange, operation, |id| assert_eq!(id.number(), exchange.response[24]));
            }
            let operation = EcdhExport { private, public, evict_private, evict_public };
            run!(exchange, operation, |secret| assert_eq!(secret, exchange.end(exchange.response.len() - 28)))
        }
        algorithm::X25519 => {
            let (body, _) = exchange.body::<X25519Request>();
            let (private, public) = (id(body.private_key), id(body.public_key));
            let endianness = endianness(body.endianness);
            let (evict_private, evict_public) =
                (body.options & option::EVICT_PRIVATE != 0, body.options & option::EVICT != 0);
            if body.flags & u32::from(Flags::EPHEMERAL.0) == 0 {
                let new = new(body.key, body.flags, body.label);
                let operation = X25519Cache { private, public, endianness, new, evict_private, evict_public };
                return run!(exchange, operation, |id| assert_eq!(id.number(), exchange.response[24]));
            }
            let operation = X25519Export { private, public, endianness, evict_private, evict_public };
            run!(exchange, operation, |secret| assert_eq!(secret, exchange.end(32)))
        }
        algorithm::ED25519_SIGN => {
            let (body, tail) = exchange.body::<Ed25519SignRequest>();
            let tails = body.tails(tail).unwrap();
            let operation = Ed25519Sign {
                key: id(body.key),
                mode: ed25519(body.mode, tails.context),
                message: tails.message,
                evict: evicts(body.options),
            };
            run!(exchange, operation, |signature| assert_eq!(signature[..], *exchange.end(64)))
        }
        algorithm::ED25519_VERIFY => {
            let (body, tail) = exchange.body::<Ed25519VerifyRequest>();
            let tails = body.tails(tail).unwrap();
            let operation = Ed25519Verify {
                key: id(body.key),
                mode: ed25519(body.mode, tails.context),
                signature: tails.signature.try_into().unwrap(),
                message: tails.message,
                evict: evicts(body.options),
            };
            let expected = exchange.status() == Status::OK;
            run!(exchange, operation, |valid| assert_eq!(valid, expected))
        }
        algorithm::SIGNATURE_SIGN => {
            let (body, tail) = exchange.body::<MlDsaSignRequest>();
            let tails = body.tails(tail).unwrap();
            let operation = MlDsaSign {
                key: id(body.key),
                parameters: ml_dsa(body.level),
                message: prehashed(body.prehash, tails.message),
                context: tails.context,
                evict: evicts(body.options),
            };
            run!(exchange, operation, |signature| assert_eq!(signature, exchange.end(signature.len())))
        }
        algorithm::SIGNATURE_VERIFY => {
            let (body, tail) = exchange.body::<MlDsaVerifyRequest>();
            let tails = body.tails(tail).unwrap();
            let operation = MlDsaVerify {
                key: id(body.key),
                parameters: ml_dsa(body.level),
                signature: tails.signature,
                message: prehashed(body.prehash, tails.message),
                context: tails.context,
                evict: evicts(body.options),
            };
            run!(exchange, operation, |valid| assert_eq!(valid, exchange.response[20] == 1))
        }
        algorithm::KEM_ENCAPSULATE => {
            let (body, _) = exchange.body::<MlKemEncapsulateRequest>();
            let operation = MlKemEncapsulate {
                key: id(body.key),
                parameters: ml_kem(body.level),
                evict: evicts(body.options),
            };
            run!(exchange, operation, |encapsulated| {
                assert_eq!(encapsulated.secret, exchange.end(32));
                assert_eq!(encapsulated.ciphertext, &exchange.response[28..exchange.response.len() - 32]);
            })
        }
        algorithm::KEM_DECAPSULATE => {
            let (body, tail) = exchange.body::<MlKemDecapsulateRequest>();
            let operation = MlKemDecapsulate {
                key: id(body.key),
                parameters: ml_kem(body.level),
                ciphertext: body.tail(tail).unwrap(),
                evict: evicts(body.options),
            };
            run!(exchange, operation, |secret| assert_eq!(secret, exchange.end(32)))
        }
        other => panic!("algorithm {other}"),
    }
}

#[test]
fn operations_by_identifier() {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    let mut refused_here = 0;
    for group in recorded() {
        let exchange = group.last().unwrap();
        let valid_or_wrong = |status| status == Status::OK || status == Status::SIGNATURE_VERIFICATION;
        match replay(exchange) {
            Ok(()) => assert!(valid_or_wrong(exchange.status()), "{:?}", exchange.status()),
            Err(Error::Remote(status)) => assert_eq!(status, exchange.status()),
            // What the client does not ask for, the original's server refuses.
            Err(Error::Argument(Argument::CiphertextLength | Argument::SignatureLength)) => {
                assert_ne!(exchange.status(), Status::OK);
                refused_here += 1;
            }
            Err(other) => panic!("{other:?} for algorithm {}", exchange.algorithm()),
        }
        *counts.entry(exchange.algorithm()).or_default() += 1;
    }
    // Every message but the two that no client sends yet, and few that are refused here.
    let algorithms = [1, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), algorithms);
    assert!(refused_here <= 2, "{refused_here}");
}

/// The keys of an agreement: the imported ones, and the others by identifier.
fn parties<'k>(keys: &[(Label, &'k [u8])], private: u32, public: u32) -> [Key<'k>; 2] {
    [("prv", private), ("pub", public)].map(|(end, number)| {
        let imported = keys.iter().find(|(label, _)| label.to_string().ends_with(end));
        imported.map_or(Key::Id(id(number)), |(_, key)| Key::Inline(key))
    })
}

/// Calls with a key of the caller's: import, then the operation that drops it.
#[test]
fn temporary_keys() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for group in recorded() {
        let Some((exchange, imports)) = group.split_last() else { continue };
        if imports.is_empty() || exchange.status() != Status::OK {
            continue;
        }
        let keys: Vec<_> = imports.iter().map(Exchange::imported).collect();
        let mut script = Script::new();
        for (number, exchange) in (1..).zip(&group) {
            let [request, response] = exchange.numbered(number);
            let label = if exchange.is_import() { exchange.imported().0.to_string() } else { String::new() };
            // Where the client sends less than the original, see `only_the_public_half_travels`.
            let differs = ["TempEccVerify", "TempEccDh-pub", "TempX25519-pub", "TempEd25519Verify"]
                .into_iter()
                .chain(["TempMlDsaVerify", "TempMlKemEncaps", "TempRsaFunction"])
                .any(|name| name == label);
            script = if differs { script.answer(&[&response]) } else { script.exchange(&request, &response) };
        }
        let mut client = Client::new(&mut script, vec![0; 8 + 8192]);
        let (label, key) = keys[0];
        let inline = Key::Inline(key);
        let mut out = vec![0; 8192];
        match label.to_string().as_str() {
            "TempEccSign" => {
                let (body, tail) = exchange.body::<EcdsaSignRequest>();
                let length = client.ecdsa_sign(inline, body.tail(tail).unwrap(), &mut out).unwrap();
                assert_eq!(out[..length], *exchange.end(length));
            }
            "TempEccVerify" => {
                let (body, tail) = exchange.body::<EcdsaVerifyRequest>();
                let tails = body.tails(tail).unwrap();
                let valid = if body.options & option::EXPORT_PUBLIC == 0 {
                    client.ecdsa_verify(inline, tails.signature, tails.message).unwrap()
                } else {
                    let (valid, length) = client
                        .ecdsa_verify_with_public(inline, tails.signature, tails.message, &mut out)
                        .unwrap();
                    assert_eq!(out[..length], *exchange.end(length));
                    valid
                };
                assert_eq!(valid, exchange.response[20] == 1);
            }
            "TempEccDh-pub" | "TempEccDh-prv" => {
                let (body, _) = exchange.body::<EcdhRequest>();
                let [private, public] = parties(&keys, body.private_key, body.public_key);
                if body.flags & u32::from(Flags::EPHEMERAL.0) == 0 {
                    let new = new(body.key, body.flags, body.label);
                    let id = client.ecdh_cache(private, public, &new).unwrap();
                    assert_eq!(id.number(), exchange.response[24]);
                } else {
                    let length = client.ecdh_export(private, public, &mut out).unwrap();
                    assert_eq!(out[..length], *exchange.end(length));
                }
            }
            "TempX25519-pub" => {
                let (body, _) = exchange.body::<X25519Request>();
                let [private, public] = parties(&keys, body.private_key, body.public_key);
                let endianness = endianness(body.endianness);
                if body.flags & u32::from(Flags::EPHEMERAL.0) == 0 {
                    let new = new(body.key, body.flags, body.label);
                    let id = client.x25519_cache(private, public, endianness, &new).unwrap();
                    assert_eq!(id.number(), exchange.response[24]);
                } else {
                    let mut secret = [0; 32];
                    client.x25519_export(private, public, endianness, &mut secret).unwrap();
                    assert_eq!(secret[..], *exchange.end(32));
                }
            }
            "TempEd25519Sign" => {
                let (body, tail) = exchange.body::<Ed25519SignRequest>();
                let tails = body.tails(tail).unwrap();
                let mode = ed25519(body.mode, tails.context);
                let signature = client.ed25519_sign(inline, mode, tails.message).unwrap();
                assert_eq!(signature[..], *exchange.end(64));
            }
            "TempEd25519Verify" => {
                let (body, tail) = exchange.body::<Ed25519VerifyRequest>();
                let tails = body.tails(tail).unwrap();
                let (mode, signature) = (ed25519(body.mode, tails.context), tails.signature);
                let signature = signature.try_into().unwrap();
                assert!(client.ed25519_verify(inline, mode, signature, tails.message).unwrap());
            }
            "TempRsaFunction" => {
                let (body, tail) = exchange.body::<RsaRequest>();
                let operation = rsa_operation(body.operation);
                let out = &mut out[..body.capacity as usize];
                let length = client.rsa(operation, inline, body.tail(tail).unwrap(), out).unwrap();
                assert_eq!(out[..length], *exchange.end(length));
            }
            "TempRsaGetSize" => assert_eq!(client.rsa_size(inline).unwrap(), 256),
            "TempMlDsaSign" => {
                let (body, tail) = exchange.body::<MlDsaSignRequest>();
                let tails = body.tails(tail).unwrap();
                let message = prehashed(body.prehash, tails.message);
                let length =
                    client.ml_dsa_sign(inline, ml_dsa(body.level), message, tails.context, &mut out).unwrap();
                assert_eq!(out[..length], *exchange.end(length));
            }
            "TempMlDsaVerify" => {
                let (body, tail) = exchange.body::<MlDsaVerifyRequest>();
                let tails = body.tails(tail).unwrap();
                let message = prehashed(body.prehash, tails.message);
                let valid = client
                    .ml_dsa_verify(inline, ml_dsa(body.level), tails.signature, message, tails.context)
                    .unwrap();
                assert_eq!(valid, exchange.response[20] == 1);
            }
            "TempMlKemEncaps" => {
                let (body, _) = exchange.body::<MlKemEncapsulateRequest>();
                let mut secret = [0; 32];
                let length =
                    client.ml_kem_encapsulate(inline, ml_kem(body.level), &mut out, &mut secret).unwrap();
                assert_eq!(secret[..], *exchange.end(32));
                assert_eq!(out[..length], exchange.response[28..28 + length]);
            }
            "TempMlKemDecaps" => {
                let (body, tail) = exchange.body::<MlKemDecapsulateRequest>();
                let ciphertext = body.tail(tail).unwrap();
                let mut secret = [0; 32];
                client.ml_kem_decapsulate(inline, ml_kem(body.level), ciphertext, &mut secret).unwrap();
                assert_eq!(secret[..], *exchange.end(32));
            }
            other => panic!("{other}"),
        }
        drop(client);
        assert!(script.is_finished());
        // The operation itself is the recorded one, whatever was imported.
        let operation = group.len() - 1;
        let [request, _] = exchange.numbered(u8::try_from(group.len()).unwrap());
        assert_eq!(hex::encode(&script.sent[operation]), request);
        *seen.entry(label.to_string()).or_default() += 1;
    }
    assert!(seen.len() >= 10, "{seen:?}");
    println!("{seen:?}");
}
