//! The module over servers in the same process.
#![allow(clippy::unwrap_used, missing_docs)]

use casemate_client::{Client, NewKey};
use casemate_crypto::{Direction, Driver, Software};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};
use casemate_pkcs11::config::SlotOptions;
use casemate_pkcs11::cryptoki_sys::*;
use casemate_pkcs11::{Attribute, Connector, Error, Handler, Mechanism, Module, Parameter, Target};
use casemate_posix::daemon::PosixPlatform;
use casemate_protocol::{ClientId, Flags};
use casemate_server::{CacheShape, Config, HeapCache, Server, Session};
use casemate_transport::Loopback;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Store = FlashStore<RamFlash<Vec<u8>>, Vec<DirectoryEntry>>;

/// A server in this process, and whether it runs.
struct Hsm {
    server: Arc<Server<PosixPlatform<Store>>>,
    runs: Arc<AtomicBool>,
}

impl Hsm {
    fn new() -> Self {
        let flash = RamFlash::new(vec![0xFF; 1 << 20], 0xFF);
        let store = FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 100], FlashOptions::new()).unwrap();
        let cache = HeapCache::new(CacheShape::default());
        let server = Server::new(PosixPlatform::new().unwrap(), Config::default(), store, cache).unwrap();
        Self { server: Arc::new(server), runs: Arc::new(AtomicBool::new(true)) }
    }

    fn connector(&self) -> Connector {
        let (server, runs) = (Arc::clone(&self.server), Arc::clone(&self.runs));
        Arc::new(move || {
            if !runs.load(Ordering::SeqCst) {
                return None;
            }
            let (server, runs) = (Arc::clone(&server), Arc::clone(&runs));
            let mut session = Session::new(HeapCache::new(CacheShape::default()));
            let handler: Handler = Box::new(move |request, response| {
                if !runs.load(Ordering::SeqCst) {
                    return None;
                }
                server.handle(&mut session, request, response).ok().map(|reply| reply.length)
            });
            Some(handler)
        })
    }

    /// A program that has just loaded the module.
    fn module(&self) -> Module {
        Module::new(vec![SlotOptions::new(Target::Local(self.connector()))])
    }
}

fn session(module: &Module) -> CK_SESSION_HANDLE {
    module.open_session(0, CKF_SERIAL_SESSION | CKF_RW_SESSION).unwrap()
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> CK_RV {
    outcome.unwrap_err().code()
}

fn find(module: &Module, session: CK_SESSION_HANDLE, template: &[Attribute]) -> Vec<CK_OBJECT_HANDLE> {
    module.find_init(session, template).unwrap();
    let found = module.find(session, 1000).unwrap();
    module.find_final(session).unwrap();
    found
}

fn value(
    module: &Module,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    kind: CK_ATTRIBUTE_TYPE,
) -> Vec<u8> {
    let mut values = module.attributes(session, object, &[kind]).unwrap();
    values.remove(0).unwrap().to_vec()
}

const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

fn ec_pair(module: &Module, session: CK_SESSION_HANDLE, token: bool) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
    let public = [
        Attribute::new(CKA_EC_PARAMS, P256),
        Attribute::truth(CKA_TOKEN, token),
        Attribute::new(CKA_ID, [7]),
    ];
    let private = [
        Attribute::truth(CKA_TOKEN, token),
        Attribute::new(CKA_ID, [7]),
        Attribute::new(CKA_LABEL, *b"a label that is longer than twenty-four bytes"),
    ];
    module.generate_key_pair(session, &Mechanism::new(CKM_EC_KEY_PAIR_GEN), &public, &private).unwrap()
}

fn sign(
    module: &Module,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    kind: CK_MECHANISM_TYPE,
) -> Vec<u8> {
    module.sign_init(session, &Mechanism::new(kind), key).unwrap();
    let length = module.sign(session, Some(b"text"), None).unwrap();
    let mut signature = vec![0; length];
    assert_eq!(code(module.sign(session, Some(b"text"), Some(&mut signature[1..]))), CKR_BUFFER_TOO_SMALL);
    assert_eq!(module.sign(session, Some(b"text"), Some(&mut signature)), Ok(length));
    assert_eq!(code(module.sign(session, Some(b"text"), None)), CKR_OPERATION_NOT_INITIALIZED);
    signature
}

#[test]
fn a_stored_pair_is_found_again_by_another_program() {
    let hsm = Hsm::new();
    let signature = {
        let module = hsm.module();
        let session = session(&module);
        let (_, private) = ec_pair(&module, session, true);
        sign(&module, session, private, CKM_ECDSA_SHA256)
    };
    let module = hsm.module();
    let session = session(&module);
    let public =
        find(&module, session, &[Attribute::number(CKA_CLASS, CKO_PUBLIC_KEY), Attribute::new(CKA_ID, [7])]);
    let private = find(&module, session, &[Attribute::number(CKA_CLASS, CKO_PRIVATE_KEY)]);
    assert_eq!((public.len(), private.len()), (1, 1));
    let label = value(&module, session, private[0], CKA_LABEL);
    assert_eq!(label, b"a label that is longer than twenty-four bytes");
    for (kind, expected) in [
        (CKA_SENSITIVE, 1),
        (CKA_EXTRACTABLE, 0),
        (CKA_NEVER_EXTRACTABLE, 1),
        (CKA_LOCAL, 1),
        (CKA_SIGN, 1),
        (CKA_DERIVE, 1),
        (CKA_UNWRAP, 0),
    ] {
        assert_eq!(value(&module, session, private[0], kind), [expected], "{kind:#x}");
    }
    let secret = module.attributes(session, private[0], &[CKA_VALUE]).unwrap();
    assert_eq!(secret[0].as_ref().unwrap_err().code(), CKR_ATTRIBUTE_SENSITIVE);

    let verify = Mechanism::new(CKM_ECDSA_SHA256);
    module.verify_init(session, &verify, public[0]).unwrap();
    assert_eq!(module.verify(session, Some(b"text"), &signature), Ok(()));
    module.verify_init(session, &verify, public[0]).unwrap();
    module.verify_update(session, b"te").unwrap();
    module.verify_update(session, b"xt").unwrap();
    assert_eq!(module.verify(session, None, &signature), Ok(()));
    module.verify_init(session, &verify, public[0]).unwrap();
    assert_eq!(code(module.verify(session, Some(b"test"), &signature)), CKR_SIGNATURE_INVALID);
    module.verify_init(session, &verify, public[0]).unwrap();
    assert_eq!(code(module.verify(session, Some(b"text"), &signature[1..])), CKR_SIGNATURE_LEN_RANGE);

    // The public half outlives the private one.
    module.destroy_object(session, private[0]).unwrap();
    assert_eq!(code(module.sign_init(session, &verify, private[0])), CKR_KEY_HANDLE_INVALID);
    let module = hsm.module();
    let session = self::session(&module);
    let left = find(&module, session, &[]);
    assert_eq!(left.len(), 1);
    module.verify_init(session, &verify, left[0]).unwrap();
    assert_eq!(module.verify(session, Some(b"text"), &signature), Ok(()));
    module.destroy_object(session, left[0]).unwrap();
    assert!(find(&module, session, &[]).is_empty());
}

#[test]
fn session_keys_are_more_than_one_cache_holds_and_end_with_their_session() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let (first, second) = (session(&module), session(&module));
    let template = [Attribute::number(CKA_VALUE_LEN, 16)];
    let aes = Mechanism::new(CKM_AES_KEY_GEN);
    let keys: Vec<_> = (0..25).map(|_| module.generate_key(first, &aes, &template).unwrap()).collect();
    let encrypted: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| {
            module.encrypt_init(second, &Mechanism::new(CKM_AES_ECB), *key).unwrap();
            let mut block = vec![0; 16];
            module.encrypt(second, Some(&[0; 16]), Some(&mut block)).unwrap();
            block
        })
        .collect();
    assert_eq!(encrypted.iter().collect::<std::collections::BTreeSet<_>>().len(), 25, "each key is its own");
    // A token key beside them does not meet any of them, whatever its number is.
    for _ in 0..20 {
        ec_pair(&module, first, true);
    }
    for (key, expected) in keys.iter().zip(&encrypted) {
        module.decrypt_init(second, &Mechanism::new(CKM_AES_ECB), *key).unwrap();
        let mut block = vec![1; 16];
        module.decrypt(second, Some(expected), Some(&mut block)).unwrap();
        assert_eq!(block, [0; 16]);
    }
    module.close_session(first).unwrap();
    assert_eq!(code(module.encrypt_init(second, &aes, keys[0])), CKR_MECHANISM_INVALID);
    assert_eq!(
        code(module.encrypt_init(second, &Mechanism::new(CKM_AES_ECB), keys[0])),
        CKR_KEY_HANDLE_INVALID
    );
    assert_eq!(find(&module, second, &[]).len(), 40);
}

#[test]
fn ciphers_agree_with_the_software_driver() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    let bytes = [0x42; 32];
    let template = [
        Attribute::number(CKA_CLASS, CKO_SECRET_KEY),
        Attribute::number(CKA_KEY_TYPE, CKK_AES),
        Attribute::new(CKA_VALUE, bytes),
        Attribute::truth(CKA_ENCRYPT, true),
        Attribute::truth(CKA_DECRYPT, true),
        Attribute::truth(CKA_SIGN, true),
        Attribute::truth(CKA_SENSITIVE, false),
        Attribute::truth(CKA_EXTRACTABLE, true),
    ];
    let key = module.create_object(session, &template).unwrap();
    assert_eq!(value(&module, session, key, CKA_VALUE), bytes);
    struct NoRandom;
    impl casemate_crypto::Random for NoRandom {}
    let software = Software::new(NoRandom);
    let driver: &dyn Driver = &software;

    let text: Vec<u8> = (0..10_001_u16).map(|number| number.to_le_bytes()[0]).collect();
    let iv = [9; 16];
    let mut padded = text.clone();
    padded.resize(10_016, 15);
    let mut next = iv;
    driver.cbc(Direction::Encrypt, &bytes, &mut next, &mut padded).unwrap();
    let cbc = Mechanism { kind: CKM_AES_CBC_PAD, parameter: Parameter::Bytes(iv.to_vec()) };
    module.encrypt_init(session, &cbc, key).unwrap();
    assert_eq!(module.encrypt(session, Some(&text), None), Ok(10_016));
    let mut out = vec![0; 10_016];
    assert_eq!(module.encrypt(session, Some(&text), Some(&mut out)), Ok(10_016));
    assert_eq!(out, padded);

    // In parts of every size that matters, both ways.
    for part in [1, 15, 16, 17, 4000] {
        let run = |input: &[u8], encrypt: bool| {
            let mut whole = Vec::new();
            let mut buffer = vec![0; 12_000];
            if encrypt {
                module.encrypt_init(session, &cbc, key).unwrap();
            } else {
                module.decrypt_init(session, &cbc, key).unwrap();
            }
            for data in input.chunks(part) {
                let call = |out: Option<&mut [u8]>| match encrypt {
                    true => module.encrypt_update(session, data, out),
                    false => module.decrypt_update(session, data, out),
                };
                let told = call(None).unwrap();
                if told > 0 {
                    assert_eq!(call(Some(&mut buffer[..told - 1])), Err(Error::TooSmall(told)));
                }
                assert_eq!(call(Some(&mut buffer)), Ok(told));
                whole.extend_from_slice(&buffer[..told]);
            }
            let last = match encrypt {
                true => module.encrypt(session, None, Some(&mut buffer)),
                false => module.decrypt(session, None, Some(&mut buffer)),
            };
            whole.extend_from_slice(&buffer[..last.unwrap()]);
            whole
        };
        let input = &text[..text.len().min(part * 300)];
        let encrypted = run(input, true);
        assert_eq!(encrypted.len(), input.len() / 16 * 16 + 16);
        assert_eq!(run(&encrypted, false), input, "{part}");
    }

    let mut mac = [0; 16];
    casemate_crypto::cmac(driver, &bytes, &[&text], &mut mac).unwrap();
    module.sign_init(session, &Mechanism::new(CKM_AES_CMAC), key).unwrap();
    let mut out = [0; 16];
    assert_eq!(module.sign(session, Some(&text), Some(&mut out)), Ok(16));
    assert_eq!(out, mac);

    let (mut data, mut tag) = (text[..5000].to_vec(), [0; 16]);
    driver.gcm_seal(&bytes, &[1; 12], b"header", &mut data, &mut tag).unwrap();
    let gcm = Parameter::Gcm { iv: vec![1; 12], aad: b"header".to_vec(), tag_bits: 128 };
    let gcm = Mechanism { kind: CKM_AES_GCM, parameter: gcm };
    module.encrypt_init(session, &gcm, key).unwrap();
    let mut out = vec![0; 5016];
    assert_eq!(module.encrypt(session, Some(&text[..5000]), Some(&mut out)), Ok(5016));
    assert_eq!((&out[..5000], &out[5000..]), (data.as_slice(), tag.as_slice()));
    module.decrypt_init(session, &gcm, key).unwrap();
    let mut back = vec![0; 5000];
    assert_eq!(module.decrypt(session, Some(&out), Some(&mut back)), Ok(5000));
    assert_eq!(back, text[..5000]);
    out[0] ^= 1;
    module.decrypt_init(session, &gcm, key).unwrap();
    assert_eq!(code(module.decrypt(session, Some(&out), Some(&mut back))), CKR_ENCRYPTED_DATA_INVALID);
}

#[test]
fn keys_of_other_programs_are_shown() {
    let hsm = Hsm::new();
    let mut client = Client::new(Loopback::new(hsm.connector()().unwrap(), vec![0; 8200]), vec![0; 8200]);
    client.init(ClientId::new(12).unwrap()).unwrap();
    let new = NewKey {
        flags: Flags::USAGE_ENCRYPT | Flags::NONEXPORTABLE,
        label: "theirs".into(),
        ..NewKey::default()
    };
    let aes = client.key_cache_random(&new, 32).unwrap();
    client.key_commit(aes).unwrap();
    let new =
        NewKey { flags: Flags::USAGE_SIGN | Flags::NONEXPORTABLE, label: "pair".into(), ..NewKey::default() };
    let pair = client.key_pair_generate(casemate_client::Ed25519, &new).unwrap();
    client.key_commit(pair).unwrap();

    let module = hsm.module();
    let session = session(&module);
    let aes_found = find(&module, session, &[Attribute::new(CKA_LABEL, *b"theirs")]);
    assert_eq!(aes_found.len(), 1);
    assert_eq!(value(&module, session, aes_found[0], CKA_ID), [aes.number()]);
    assert_eq!(value(&module, session, aes_found[0], CKA_KEY_TYPE), CKK_AES.to_ne_bytes());
    assert_eq!(value(&module, session, aes_found[0], CKA_DECRYPT), [0]);
    let private = find(
        &module,
        session,
        &[Attribute::new(CKA_LABEL, *b"pair"), Attribute::number(CKA_CLASS, CKO_PRIVATE_KEY)],
    );
    let public = find(
        &module,
        session,
        &[Attribute::new(CKA_LABEL, *b"pair"), Attribute::number(CKA_CLASS, CKO_PUBLIC_KEY)],
    );
    let signature = sign(&module, session, private[0], CKM_EDDSA);
    module.verify_init(session, &Mechanism::new(CKM_EDDSA), public[0]).unwrap();
    assert_eq!(module.verify(session, Some(b"text"), &signature), Ok(()));
}

#[test]
fn a_server_that_goes_and_comes_back() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    let (_, stored) = ec_pair(&module, session, true);
    let template = [Attribute::number(CKA_VALUE_LEN, 16)];
    let lost = module.generate_key(session, &Mechanism::new(CKM_AES_KEY_GEN), &template).unwrap();
    hsm.runs.store(false, Ordering::SeqCst);
    let ecb = Mechanism::new(CKM_AES_ECB);
    module.encrypt_init(session, &ecb, lost).unwrap();
    assert_eq!(code(module.encrypt(session, Some(&[0; 16]), Some(&mut [0; 16]))), CKR_DEVICE_REMOVED);
    module.sign_init(session, &Mechanism::new(CKM_ECDSA_SHA256), stored).unwrap();
    assert_eq!(code(module.sign(session, Some(b"text"), Some(&mut [0; 64]))), CKR_DEVICE_REMOVED);
    assert_eq!(module.slots(true), []);
    assert_eq!(module.slots(false), [0]);
    assert_eq!(code(module.open_session(0, CKF_SERIAL_SESSION)), CKR_TOKEN_NOT_PRESENT);
    hsm.runs.store(true, Ordering::SeqCst);
    sign(&module, session, stored, CKM_ECDSA_SHA256);
    module.encrypt_init(session, &ecb, lost).unwrap();
    assert!(module.encrypt(session, Some(&[0; 16]), Some(&mut [0; 16])).is_err());
}

#[test]
fn what_callers_do_wrong() {
    let hsm = Hsm::new();
    let module = hsm.module();
    assert_eq!(code(module.open_session(1, CKF_SERIAL_SESSION)), CKR_SLOT_ID_INVALID);
    assert_eq!(code(module.open_session(0, 0)), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    let reading = module.open_session(0, CKF_SERIAL_SESSION).unwrap();
    let aes = Mechanism::new(CKM_AES_KEY_GEN);
    let token = [Attribute::number(CKA_VALUE_LEN, 16), Attribute::truth(CKA_TOKEN, true)];
    assert_eq!(code(module.generate_key(reading, &aes, &token)), CKR_SESSION_READ_ONLY);
    assert_eq!(code(module.login(reading, CKU_SO, None, b"1")), CKR_SESSION_READ_ONLY_EXISTS);
    assert_eq!(module.login(reading, CKU_USER, None, b"1"), Ok(()));
    assert_eq!(code(module.login(reading, CKU_USER, None, b"1")), CKR_USER_ALREADY_LOGGED_IN);
    assert_eq!(code(module.login(reading, CKU_SO, None, b"1")), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
    assert_eq!(code(module.generate_key(reading, &aes, &[])), CKR_TEMPLATE_INCOMPLETE);
    let wrong = [Attribute::number(CKA_VALUE_LEN, 17)];
    assert_eq!(code(module.generate_key(reading, &aes, &wrong)), CKR_KEY_SIZE_RANGE);
    let key = module.generate_key(reading, &aes, &[Attribute::number(CKA_VALUE_LEN, 16)]).unwrap();
    assert_eq!(
        code(module.sign_init(reading, &Mechanism::new(CKM_AES_CMAC), key)),
        CKR_KEY_FUNCTION_NOT_PERMITTED
    );
    let cbc = Mechanism { kind: CKM_AES_CBC, parameter: Parameter::Bytes(vec![0; 15]) };
    assert_eq!(code(module.encrypt_init(reading, &cbc, key)), CKR_MECHANISM_PARAM_INVALID);
    let ecb = Mechanism::new(CKM_AES_ECB);
    module.encrypt_init(reading, &ecb, key).unwrap();
    assert_eq!(code(module.encrypt_init(reading, &ecb, key)), CKR_OPERATION_ACTIVE);
    assert_eq!(code(module.encrypt(reading, Some(&[0; 15]), Some(&mut [0; 16]))), CKR_DATA_LEN_RANGE);
    assert_eq!(code(module.encrypt(reading, Some(&[0; 16]), None)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(code(module.find(reading, 1)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(code(module.logout(reading + 1)), CKR_SESSION_HANDLE_INVALID);
    assert_eq!(code(module.init_token(0, b"1", "label")), CKR_SESSION_EXISTS);
    assert_eq!(module.close_all_sessions(0), Ok(()));
    assert_eq!(module.init_token(0, b"1", "label"), Ok(()));
    assert_eq!(module.token_info(0).unwrap().label[..6], *b"label ");
}

#[test]
fn threads_share_a_token() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let main = session(&module);
    let (public, private) = ec_pair(&module, main, true);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let session = session(&module);
                for _ in 0..25 {
                    let signature = sign(&module, session, private, CKM_ECDSA_SHA256);
                    module.verify_init(session, &Mechanism::new(CKM_ECDSA_SHA256), public).unwrap();
                    module.verify(session, Some(b"text"), &signature).unwrap();
                }
                module.close_session(session).unwrap();
            });
        }
    });
}
