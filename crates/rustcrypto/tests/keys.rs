//! Each key through its traits, against RustCrypto's own verification, and certificates made with them.

use aead::{Aead, Payload};
use casemate_client::{Client, Curve, Ed25519, KeyPair, MlDsa, MlKem, NewKey, NoClock, Rsa};
use casemate_protocol::{ClientId, Flags, KeyId, Status};
use casemate_rustcrypto::{
    AesGcmKey, EcdsaKey, Ed25519Key, Error, HsmRandom, MlDsaKey, MlKemKey, Pkcs1Key, PssKey,
};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use casemate_transport::ClientTransport;
use kem::{Decapsulator, Encapsulate, TryDecapsulate};
use rand_core::{TryRng, UnwrapErr};
use sha2::{Sha256, Sha384};
use signature::{Keypair, Signer, Verifier};
use std::cell::RefCell;
use std::str::FromStr;
use x509_cert::builder::{Builder, CertificateBuilder, RequestBuilder, profile};
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{EncodePublicKey, SubjectPublicKeyInfoOwned};
use x509_cert::time::Validity;

type Hsm<T> = RefCell<Client<T, Vec<u8>, NoClock>>;

fn server() -> VirtualServer {
    let mut options = VirtualOptions::default();
    options.config.data_length = 8192;
    VirtualServer::new(options)
}

fn connect(server: &VirtualServer) -> Hsm<impl ClientTransport<Error = std::convert::Infallible>> {
    let mut client = Client::new(server.connect(), vec![0; 8200]);
    client.init(ClientId::new(12).unwrap()).unwrap();
    client.learn_limits().unwrap();
    RefCell::new(client)
}

fn generate<T: ClientTransport>(hsm: &Hsm<T>, pair: impl KeyPair, flags: Flags) -> KeyId {
    hsm.borrow_mut().key_pair_generate(pair, &NewKey { flags, ..NewKey::default() }).unwrap()
}

#[test]
fn ecdsa_signatures_verify() {
    let server = server();
    let hsm = connect(&server);
    let key =
        EcdsaKey::<_, p256::NistP256>::open(&hsm, generate(&hsm, Curve::P256, Flags::USAGE_SIGN)).unwrap();
    let signature: p256::ecdsa::Signature = key.try_sign(b"message").unwrap();
    key.verifying_key().verify(b"message", &signature).unwrap();
    key.verifying_key().verify(b"massage", &signature).unwrap_err();
    let key =
        EcdsaKey::<_, p384::NistP384>::open(&hsm, generate(&hsm, Curve::P384, Flags::USAGE_SIGN)).unwrap();
    let signature: p384::ecdsa::DerSignature = key.try_sign(b"message").unwrap();
    key.verifying_key().verify(b"message", &signature).unwrap();
}

#[test]
fn ed25519_rsa_and_ml_dsa_signatures_verify() {
    let server = server();
    let hsm = connect(&server);
    let key = Ed25519Key::open(&hsm, generate(&hsm, Ed25519, Flags::USAGE_SIGN)).unwrap();
    key.verifying_key().verify(b"message", &key.try_sign(b"message").unwrap()).unwrap();

    let id = generate(&hsm, Rsa::new(2048), Flags::USAGE_SIGN);
    let key = Pkcs1Key::<_, Sha256>::open(&hsm, id).unwrap();
    key.verifying_key().verify(b"message", &key.try_sign(b"message").unwrap()).unwrap();
    let key = PssKey::<_, Sha384>::open(&hsm, id).unwrap();
    key.verifying_key().verify(b"message", &key.try_sign(b"message").unwrap()).unwrap();

    let key = MlDsaKey::<_, ml_dsa::MlDsa65>::open(&hsm, generate(&hsm, MlDsa::MlDsa65, Flags::USAGE_SIGN))
        .unwrap();
    key.verifying_key().verify(b"message", &key.try_sign(b"message").unwrap()).unwrap();
}

#[test]
fn messages_are_sealed_and_opened() {
    let server = server();
    let hsm = connect(&server);
    let flags = Flags::USAGE_ENCRYPT | Flags::USAGE_DECRYPT;
    let id = hsm.borrow_mut().key_cache_random(&NewKey { flags, ..NewKey::default() }, 32).unwrap();
    let key = AesGcmKey::new(&hsm, id);
    let nonce = aead::array::Array::default();
    let sealed = key.encrypt(&nonce, Payload { msg: b"secret", aad: b"header" }).unwrap();
    assert_eq!(sealed.len(), 6 + 16);
    assert_eq!(key.decrypt(&nonce, Payload { msg: &sealed, aad: b"header" }).unwrap(), b"secret");
    key.decrypt(&nonce, Payload { msg: &sealed, aad: b"footer" }).unwrap_err();
}

#[test]
fn secrets_are_agreed_on() {
    let server = server();
    let hsm = connect(&server);
    let id = generate(&hsm, MlKem::MlKem768, Flags::USAGE_DERIVE);
    let key = MlKemKey::<_, ml_kem::MlKem768>::open(&hsm, id).unwrap();
    let mut random = UnwrapErr(HsmRandom::new(&hsm));
    let (ciphertext, theirs) = key.encapsulation_key().encapsulate_with_rng(&mut random);
    assert_eq!(key.try_decapsulate(&ciphertext).unwrap(), theirs);
}

#[test]
fn random_numbers_differ() {
    let server = server();
    let hsm = connect(&server);
    let mut random = HsmRandom::new(&hsm);
    let (mut first, mut second) = ([0; 5000], [0; 5000]);
    random.try_fill_bytes(&mut first).unwrap();
    random.try_fill_bytes(&mut second).unwrap();
    assert_ne!(first, second);
    assert_ne!(random.try_next_u64().unwrap(), random.try_next_u64().unwrap());
}

#[test]
fn faults_are_told() {
    let server = server();
    let hsm = connect(&server);
    let missing = EcdsaKey::<_, p256::NistP256>::open(&hsm, KeyId(77)).unwrap_err();
    assert_eq!(missing.status(), Some(Status::NOT_FOUND));
    let other = generate(&hsm, Curve::P384, Flags::USAGE_SIGN);
    let error = EcdsaKey::<_, p256::NistP256>::open(&hsm, other).unwrap_err();
    assert!(error.to_string().contains("no ECDSA key"), "{error}");
    // A key that may not sign.
    let id = generate(&hsm, Curve::P256, Flags::USAGE_VERIFY);
    let key = EcdsaKey::<_, p256::NistP256>::open(&hsm, id).unwrap();
    let error = Signer::<p256::ecdsa::Signature>::try_sign(&key, b"message").unwrap_err();
    let source = std::error::Error::source(&error).unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(source.status(), Some(Status::USAGE));
}

#[test]
fn certificates_and_requests_are_made() {
    let server = server();
    let hsm = connect(&server);
    let key =
        EcdsaKey::<_, p256::NistP256>::open(&hsm, generate(&hsm, Curve::P256, Flags::USAGE_SIGN)).unwrap();
    let name = Name::from_str("CN=Device 7,O=Example,C=DE").unwrap();

    let request =
        RequestBuilder::new(name.clone()).unwrap().build::<_, p256::ecdsa::DerSignature>(&key).unwrap();
    let signature = p256::ecdsa::DerSignature::from_bytes(request.signature.as_bytes().unwrap()).unwrap();
    key.verifying_key().verify(&request.info.to_der().unwrap(), &signature).unwrap();

    let public = key.verifying_key().to_public_key_der().unwrap();
    let public = SubjectPublicKeyInfoOwned::from_der(public.as_bytes()).unwrap();
    let validity = Validity::from_now(std::time::Duration::from_secs(3600)).unwrap();
    let profile = profile::cabf::Root::new(false, name).unwrap();
    let builder = CertificateBuilder::new(profile, SerialNumber::from(7_u32), validity, public).unwrap();
    let certificate = builder.build::<_, p256::ecdsa::DerSignature>(&key).unwrap();
    let signature =
        p256::ecdsa::DerSignature::from_bytes(certificate.signature().as_bytes().unwrap()).unwrap();
    key.verifying_key().verify(&certificate.tbs_certificate().to_der().unwrap(), &signature).unwrap();
}
