//! The module over servers in the same process.
#![allow(clippy::unwrap_used, missing_docs)]

use casemate_client::authentication::{Credential, Permissions, UserName};
use casemate_client::{Client, NewKey};
use casemate_crypto::{Direction, Driver, Software};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, RamFlash};
use casemate_pkcs11::config::SlotOptions;
use casemate_pkcs11::cryptoki_sys::*;
use casemate_pkcs11::{Attribute, Connector, Error, Handler, Mechanism, Module, Parameter, Target};
use casemate_posix::daemon::PosixPlatform;
use casemate_protocol::message::{Request, authentication, key, nvm};
use casemate_protocol::{ClientId, Flags, Header, Kind, ObjectId, ObjectType};
use casemate_server::{CacheShape, Config, HeapCache, Server, Session, UserPolicy};
use casemate_transport::Loopback;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use zeroize::Zeroizing;

type Store = FlashStore<RamFlash<Vec<u8>>, Vec<DirectoryEntry>>;

/// Sees every request before the server does. `false` breaks the connection instead.
type Hook = Box<dyn FnMut(Kind) -> bool + Send>;

/// A server in this process, and whether it runs.
struct Hsm {
    server: Arc<Server<PosixPlatform<Store>>>,
    runs: Arc<AtomicBool>,
    hook: Arc<Mutex<Option<Hook>>>,
}

const ADMINISTRATOR_PIN: &[u8] = b"adminadmin";

impl Hsm {
    fn new() -> Self {
        Self::with_config(Config::default())
    }

    /// A server with users, of whom `admin` is one.
    fn with_users() -> Self {
        let policy = UserPolicy { pin_iterations: 2, minimum_pin_length: 4, ..UserPolicy::default() };
        let hsm = Self::with_config(Config { users: Some(policy), ..Config::default() });
        hsm.server.load_users().unwrap();
        let name = UserName::new(b"admin").unwrap();
        hsm.server.provision_user(name, &Permissions::all(), ADMINISTRATOR_PIN).unwrap();
        hsm
    }

    fn with_config(config: Config) -> Self {
        let flash = RamFlash::new(vec![0xFF; 1 << 20], 0xFF);
        let store = FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 100], FlashOptions::new()).unwrap();
        let cache = HeapCache::new(CacheShape::default());
        let platform = PosixPlatform::new().unwrap().with_device_key(Some(Zeroizing::new([7; 32])));
        let server = Server::new(platform, config, store, cache).unwrap();
        Self { server: Arc::new(server), runs: Arc::new(AtomicBool::new(true)), hook: Arc::default() }
    }

    fn set_hook(&self, hook: impl FnMut(Kind) -> bool + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// From the request of this kind on that comes after `before` others, every one of that kind breaks its connection.
    fn break_at(&self, kind: Kind, before: usize) {
        let mut seen = 0;
        self.set_hook(move |found| {
            seen += usize::from(found == kind);
            found != kind || seen <= before
        });
    }

    fn mend(&self) {
        *self.hook.lock().unwrap() = None;
    }

    /// Another program, which speaks the server's protocol.
    fn client(&self) -> Client<Loopback<Handler, Vec<u8>>, Vec<u8>> {
        let link = Loopback::new(self.connector()().unwrap(), vec![0; 8200]);
        let mut client = Client::new(link, vec![0; 8200]);
        client.init(ClientId::new(12).unwrap()).unwrap();
        client
    }

    fn connector(&self) -> Connector {
        let (server, runs, hook) = (Arc::clone(&self.server), Arc::clone(&self.runs), Arc::clone(&self.hook));
        Arc::new(move || {
            if !runs.load(Ordering::SeqCst) {
                return None;
            }
            let (server, runs, hook) = (Arc::clone(&server), Arc::clone(&runs), Arc::clone(&hook));
            let mut session = Session::new(HeapCache::new(CacheShape::default()));
            let handler: Handler = Box::new(move |request, response| {
                if !runs.load(Ordering::SeqCst) {
                    return None;
                }
                let kind = Header::decode(request.first_chunk().unwrap()).unwrap().kind;
                if hook.lock().unwrap().as_mut().is_some_and(|hook| !hook(kind)) {
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
    let software = Software::new(casemate_crypto::NoRandom);
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

    // CCM, of any length.
    let (mut data, mut tag) = (text.clone(), [0; 8]);
    driver.ccm_seal(&bytes, &[1; 12], b"header", &mut data, &mut tag).unwrap();
    data.extend_from_slice(&tag);
    let ccm = |length| {
        let parameter =
            Parameter::Ccm { length, nonce: vec![1; 12], aad: b"header".to_vec(), tag_length: tag.len() };
        Mechanism { kind: CKM_AES_CCM, parameter }
    };
    module.encrypt_init(session, &ccm(text.len()), key).unwrap();
    assert_eq!(module.encrypt(session, Some(&text), None), Ok(data.len()));
    let mut out = vec![0; data.len()];
    assert_eq!(code(module.encrypt(session, Some(&text), Some(&mut out[1..]))), CKR_BUFFER_TOO_SMALL);
    for part in text.chunks(3000) {
        assert_eq!(module.encrypt_update(session, part, Some(&mut [])), Ok(0));
    }
    assert_eq!(module.encrypt(session, None, Some(&mut out)), Ok(data.len()));
    assert_eq!(out, data);
    module.decrypt_init(session, &ccm(text.len()), key).unwrap();
    let mut back = vec![0; text.len()];
    assert_eq!(module.decrypt(session, Some(&out), Some(&mut back)), Ok(text.len()));
    assert_eq!(back, text);
    out[0] ^= 1;
    back.fill(0);
    module.decrypt_init(session, &ccm(text.len()), key).unwrap();
    assert_eq!(code(module.decrypt(session, Some(&out), Some(&mut back))), CKR_ENCRYPTED_DATA_INVALID);
    assert!(back.iter().all(|byte| *byte == 0), "nothing is given out unchecked");
    module.encrypt_init(session, &ccm(text.len() - 1), key).unwrap();
    assert_eq!(code(module.encrypt(session, Some(&text), Some(&mut out))), CKR_DATA_LEN_RANGE);
    assert_eq!(code(module.encrypt_init(session, &ccm(1 << 24), key)), CKR_MECHANISM_PARAM_INVALID);
}

#[test]
fn keys_of_other_programs_are_shown() {
    let hsm = Hsm::new();
    let mut client = hsm.client();
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

fn log_in(hsm: &Hsm, pin: &[u8]) -> Result<(), Error> {
    let module = hsm.module();
    let session = session(&module);
    module.login(session, CKU_USER, None, pin)
}

#[test]
fn a_pin_that_cannot_be_set_leaves_the_old_one() {
    let hsm = Hsm::with_users();
    let module = hsm.module();
    let session = session(&module);
    assert_eq!(code(module.init_pin(session, b"1234")), CKR_USER_NOT_LOGGED_IN);
    module.login(session, CKU_SO, None, ADMINISTRATOR_PIN).unwrap();
    module.init_pin(session, b"1234").unwrap();
    assert_eq!(log_in(&hsm, b"1234"), Ok(()));
    // Permissions that are not the usual ones.
    let user = UserName::new(b"user").unwrap();
    let mut client = hsm.client();
    client.login(UserName::new(b"admin").unwrap(), Credential::Pin(ADMINISTRATOR_PIN)).unwrap();
    let (id, mut permissions) = client.user_get(user).unwrap();
    permissions.set_group(casemate_protocol::Group::COUNTER, false);
    client.user_set_permissions(id, &permissions).unwrap();

    assert_eq!(code(module.init_pin(session, b"123")), CKR_PIN_INVALID);
    assert_eq!(log_in(&hsm, b"1234"), Ok(()));
    for kind in [authentication::UserAddRequest::KIND, authentication::UserDeleteRequest::KIND] {
        hsm.break_at(kind, 0);
        assert_eq!(code(module.init_pin(session, b"4321")), CKR_DEVICE_REMOVED);
        hsm.mend();
        assert_eq!(log_in(&hsm, b"1234"), Ok(()));
    }
    // The worst moment: the user is gone, and comes back as it was.
    hsm.break_at(authentication::UserAddRequest::KIND, 1);
    assert_eq!(code(module.init_pin(session, b"4321")), CKR_DEVICE_REMOVED);
    hsm.mend();
    // Not even a call that fails in between makes it come back as another one.
    assert_eq!(code(module.init_pin(session, b"123")), CKR_PIN_INVALID);
    module.init_pin(session, b"4321").unwrap();
    assert_eq!(log_in(&hsm, b"4321"), Ok(()));
    assert_eq!(client.user_get(user).unwrap().1, permissions);
    // Nobody is left who stood in: three more users are all that there is room for.
    for number in 0..3 {
        let name = UserName::new(format!("worker {number}").as_bytes()).unwrap();
        client.user_add(name, &Permissions::NONE, Some(Credential::Pin(b"1234"))).unwrap();
    }
    // Without room for a stand-in nothing is tried.
    assert_eq!(code(module.init_pin(session, b"5678")), CKR_DEVICE_MEMORY);
    assert_eq!(log_in(&hsm, b"4321"), Ok(()));
}

#[test]
fn a_new_pin_leaves_the_keys_of_sessions() {
    let hsm = Hsm::with_users();
    let module = hsm.module();
    let session = session(&module);
    module.login(session, CKU_SO, None, ADMINISTRATOR_PIN).unwrap();
    module.init_pin(session, b"1234").unwrap();
    module.logout(session).unwrap();
    module.login(session, CKU_USER, None, b"1234").unwrap();
    let template = [Attribute::number(CKA_VALUE_LEN, 16)];
    let keys: Vec<_> = (0..12)
        .map(|_| module.generate_key(session, &Mechanism::new(CKM_AES_KEY_GEN), &template).unwrap())
        .collect();
    let encrypt = |key| {
        module.encrypt_init(session, &Mechanism::new(CKM_AES_ECB), key).unwrap();
        let mut block = [0; 16];
        module.encrypt(session, Some(&[0; 16]), Some(&mut block)).map(|_| block)
    };
    let before: Vec<_> = keys.iter().map(|key| encrypt(*key).unwrap()).collect();
    assert_eq!(code(module.set_pin(session, b"4321", b"5678")), CKR_PIN_INCORRECT);
    assert_eq!(code(module.set_pin(session, b"1234", b"567")), CKR_PIN_INVALID);
    module.set_pin(session, b"1234", b"5678").unwrap();
    for (key, block) in keys.iter().zip(before) {
        assert_eq!(encrypt(*key), Ok(block));
    }
    let (_, private) = ec_pair(&module, session, true);
    sign(&module, session, private, CKM_ECDSA_SHA256);
    assert_eq!(code(log_in(&hsm, b"1234")), CKR_PIN_INCORRECT);
    assert_eq!(log_in(&hsm, b"5678"), Ok(()));
    // With the login, what it showed ends.
    module.logout(session).unwrap();
    assert!(find(&module, session, &[]).is_empty());
    assert_eq!(
        code(module.encrypt_init(session, &Mechanism::new(CKM_AES_ECB), keys[0])),
        CKR_KEY_HANDLE_INVALID
    );
}

/// Lets the user log in to a program, with the PIN 1234.
fn user_session(module: &Module) -> CK_SESSION_HANDLE {
    let session = session(module);
    module.login(session, CKU_SO, None, ADMINISTRATOR_PIN).unwrap();
    module.init_pin(session, b"1234").unwrap();
    module.logout(session).unwrap();
    module.login(session, CKU_USER, None, b"1234").unwrap();
    session
}

fn aes_key(module: &Module, session: CK_SESSION_HANDLE) -> Result<CK_OBJECT_HANDLE, Error> {
    let template = [Attribute::number(CKA_VALUE_LEN, 16)];
    module.generate_key(session, &Mechanism::new(CKM_AES_KEY_GEN), &template)
}

fn encrypt_block(module: &Module, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> Result<usize, Error> {
    module.encrypt_init(session, &Mechanism::new(CKM_AES_ECB), key)?;
    module.encrypt(session, Some(&[0; 16]), Some(&mut [0; 16]))
}

#[test]
fn a_new_pin_finds_a_connection_that_is_not_used_yet() {
    let hsm = Hsm::with_users();
    let (inner, first) = (hsm.connector(), Arc::new(AtomicBool::new(true)));
    let (begin, told) = mpsc::channel();
    let (changed, wait) = mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    let connector: Connector = Arc::new(move || {
        let (mut handler, first) = (inner()?, Arc::clone(&first));
        let (begin, wait) = (begin.clone(), Arc::clone(&wait));
        Some(Box::new(move |request: &[u8], response: &mut [u8]| {
            let kind = Header::decode(request.first_chunk().unwrap()).unwrap().kind;
            if kind == key::CacheRandomRequest::KIND && first.swap(false, Ordering::SeqCst) {
                // While the first key of a session is made, another thread changes the PIN. It has time to overtake.
                begin.send(()).unwrap();
                let _ = wait.lock().unwrap().recv_timeout(Duration::from_millis(500));
            }
            handler(request, response)
        }))
    });
    let module = Arc::new(Module::new(vec![SlotOptions::new(Target::Local(connector))]));
    let session = user_session(&module);
    let other = Arc::clone(&module);
    let changing = std::thread::spawn(move || {
        told.recv().unwrap();
        let outcome = other.set_pin(session, b"1234", b"5678");
        let _ = changed.send(());
        outcome
    });
    let made = aes_key(&module, session);
    assert_eq!(changing.join().unwrap(), Ok(()));
    assert_eq!(encrypt_block(&module, session, made.unwrap()), Ok(16));
    assert_eq!(encrypt_block(&module, session, aes_key(&module, session).unwrap()), Ok(16));
}

#[test]
fn a_connection_that_cannot_log_in_again_is_given_up() {
    let hsm = Hsm::with_users();
    let module = hsm.module();
    let session = user_session(&module);
    let before = aes_key(&module, session).unwrap();
    // The first login is with the old PIN, the second one that of the connection which has the key.
    hsm.break_at(authentication::LoginRequest::KIND, 1);
    assert_eq!(module.set_pin(session, b"1234", b"5678"), Ok(()));
    hsm.mend();
    assert_eq!(code(encrypt_block(&module, session, before)), CKR_KEY_HANDLE_INVALID);
    let after = aes_key(&module, session).unwrap();
    assert_eq!(encrypt_block(&module, session, after), Ok(16));
    module.destroy_object(session, before).unwrap();
    assert_eq!(encrypt_block(&module, session, after), Ok(16));
}

#[test]
fn a_full_store_does_not_keep_a_key_that_is_to_be_destroyed() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    let (public, private) = ec_pair(&module, session, true);
    let signature = sign(&module, session, private, CKM_ECDSA_SHA256);
    let data = [Attribute::number(CKA_CLASS, CKO_DATA), Attribute::truth(CKA_TOKEN, true)];
    let refusal = (0..200).find_map(|_| module.create_object(session, &data).err());
    assert_eq!(refusal, Some(Error::Code(CKR_DEVICE_MEMORY)));
    module.destroy_object(session, private).unwrap();
    let (other, theirs) = session_module(&hsm);
    assert!(find(&other, theirs, &[Attribute::number(CKA_CLASS, CKO_PRIVATE_KEY)]).is_empty());
    // The key has made room for its public half.
    module.verify_init(session, &Mechanism::new(CKM_ECDSA_SHA256), public).unwrap();
    assert_eq!(module.verify(session, Some(b"text"), &signature), Ok(()));
    assert_eq!(find(&other, theirs, &[Attribute::number(CKA_CLASS, CKO_PUBLIC_KEY)]).len(), 1);
}

#[test]
fn a_salt_of_pss_is_as_long_as_the_modulus_allows() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    let bits = [Attribute::number(CKA_MODULUS_BITS, 1024)];
    let (public, private) =
        module.generate_key_pair(session, &Mechanism::new(CKM_RSA_PKCS_KEY_PAIR_GEN), &bits, &[]).unwrap();
    let pss = |salt_length| Mechanism {
        kind: CKM_SHA256_RSA_PKCS_PSS,
        parameter: Parameter::Pss { hash: CKM_SHA256, mask: CKG_MGF1_SHA256, salt_length },
    };
    // 128 octets less the digest and two.
    for salt_length in [0, 32, 65, 94] {
        module.sign_init(session, &pss(salt_length), private).unwrap();
        let mut signature = [0; 128];
        assert_eq!(module.sign(session, Some(b"text"), Some(&mut signature)), Ok(128));
        module.verify_init(session, &pss(salt_length), public).unwrap();
        assert_eq!(module.verify(session, Some(b"text"), &signature), Ok(()));
        module.verify_init(session, &pss(salt_length.abs_diff(1)), public).unwrap();
        assert_eq!(code(module.verify(session, Some(b"text"), &signature)), CKR_SIGNATURE_INVALID);
    }
    for salt_length in [95, usize::MAX] {
        let wrong = CKR_MECHANISM_PARAM_INVALID;
        assert_eq!(code(module.sign_init(session, &pss(salt_length), private)), wrong);
        assert_eq!(code(module.verify_init(session, &pss(salt_length), public)), wrong);
    }
}

#[test]
fn a_key_that_cannot_be_destroyed_whole_keeps_its_public_half() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    let (_, private) = ec_pair(&module, session, true);
    let signature = sign(&module, session, private, CKM_ECDSA_SHA256);
    for kind in [nvm::AddRequest::KIND, key::EraseRequest::KIND] {
        hsm.break_at(kind, 0);
        assert_eq!(code(module.destroy_object(session, private)), CKR_DEVICE_REMOVED);
        hsm.mend();
        sign(&module, session, private, CKM_ECDSA_SHA256);
        let (other, theirs) = session_module(&hsm);
        let class = |class| find(&other, theirs, &[Attribute::number(CKA_CLASS, class)]).len();
        assert_eq!(class(CKO_PRIVATE_KEY), 1);
        assert!(class(CKO_PUBLIC_KEY) >= 1);
    }
    hsm.break_at(nvm::DestroyRequest::KIND, 0);
    assert!(module.destroy_object(session, private).is_err());
    hsm.mend();
    let module = hsm.module();
    let session = self::session(&module);
    let left = find(&module, session, &[Attribute::number(CKA_CLASS, CKO_PUBLIC_KEY)]);
    assert!(find(&module, session, &[Attribute::number(CKA_CLASS, CKO_PRIVATE_KEY)]).is_empty());
    module.verify_init(session, &Mechanism::new(CKM_ECDSA_SHA256), left[0]).unwrap();
    assert_eq!(module.verify(session, Some(b"text"), &signature), Ok(()));
}

#[test]
fn what_another_program_has_changed_is_not_undone() {
    let hsm = Hsm::new();
    let (module, other) = (hsm.module(), hsm.module());
    let (session, theirs) = (session(&module), session(&other));
    let (public, _) = ec_pair(&module, session, true);
    let private = find(&module, session, &[Attribute::number(CKA_CLASS, CKO_PRIVATE_KEY)])[0];
    let same = find(&other, theirs, &[Attribute::number(CKA_CLASS, CKO_PRIVATE_KEY)])[0];
    other.set_attributes(theirs, same, &[Attribute::new(CKA_LABEL, *b"theirs")]).unwrap();
    module.set_attributes(session, private, &[Attribute::new(CKA_ID, [9])]).unwrap();
    module.set_attributes(session, public, &[Attribute::new(CKA_ID, [9])]).unwrap();
    assert_eq!(value(&module, session, private, CKA_LABEL), b"theirs");
    let (third, fresh) = session_module(&hsm);
    let found = find(&third, fresh, &[Attribute::new(CKA_LABEL, *b"theirs"), Attribute::new(CKA_ID, [9])]);
    assert_eq!(found.len(), 1);
    // What another program forbade stays forbidden.
    other.set_attributes(theirs, same, &[Attribute::truth(CKA_COPYABLE, false)]).unwrap();
    let allow = [Attribute::truth(CKA_COPYABLE, true)];
    assert_eq!(code(module.set_attributes(session, private, &allow)), CKR_ATTRIBUTE_READ_ONLY);
    // What another program destroyed does not come back.
    let data = [Attribute::number(CKA_CLASS, CKO_DATA), Attribute::truth(CKA_TOKEN, true)];
    let data = module.create_object(session, &data).unwrap();
    let same = find(&other, theirs, &[Attribute::number(CKA_CLASS, CKO_DATA)])[0];
    other.destroy_object(theirs, same).unwrap();
    let label = [Attribute::new(CKA_LABEL, *b"again")];
    assert_eq!(code(module.set_attributes(session, data, &label)), CKR_OBJECT_HANDLE_INVALID);
    let (third, fresh) = session_module(&hsm);
    assert!(find(&third, fresh, &[Attribute::number(CKA_CLASS, CKO_DATA)]).is_empty());
}

/// A program that has just loaded the module, and its session.
fn session_module(hsm: &Hsm) -> (Module, CK_SESSION_HANDLE) {
    let module = hsm.module();
    let session = session(&module);
    (module, session)
}

#[test]
fn a_forged_record_gives_a_key_no_other_public_half() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    ec_pair(&module, session, true);
    ec_pair(&module, session, true);
    let mut client = hsm.client();
    let mut records = Vec::new();
    let mut after = ObjectId::INVALID;
    while let Some(id) = client.nvm_next(after).unwrap() {
        if id.object_type() == ObjectType(7) {
            records.push((id, client.nvm_metadata(id).unwrap()));
        }
        after = id;
    }
    let [(_, first), (_, second)] = records[..] else { panic!() };
    let mut data = vec![0; usize::from(second.length)];
    client.nvm_read_at(second.id, 0, &mut data).unwrap();
    client.nvm_add(&first, &data).unwrap();
    // A record of its own that claims to be a private key, and a trusted certificate.
    let trusted = [
        Attribute::number(CKA_CLASS, CKO_CERTIFICATE),
        Attribute::number(CKA_CERTIFICATE_TYPE, CKC_X_509),
        Attribute::new(CKA_VALUE, [0x30, 0]),
        Attribute::truth(CKA_TOKEN, true),
    ];
    module.create_object(session, &trusted).unwrap();
    for number in [200, 201] {
        let id = ObjectId::new(ObjectType(8), ClientId::new(12).unwrap(), number);
        let class: u8 = if number == 200 { 3 } else { 1 };
        let data = [
            b"P11\x01\x00\x00\x03".as_slice(),
            &[0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, class],
            b"\x00\x00\x00\x86\x00\x01\x01\x00\x00\x00\x80\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00",
        ];
        let metadata = casemate_protocol::Metadata { id, ..first };
        client.nvm_add(&metadata, &data.concat()).unwrap();
    }

    let module = hsm.module();
    let session = self::session(&module);
    let points: std::collections::BTreeSet<_> =
        find(&module, session, &[Attribute::number(CKA_CLASS, CKO_PUBLIC_KEY)])
            .into_iter()
            .map(|public| value(&module, session, public, CKA_EC_POINT))
            .collect();
    assert_eq!(points.len(), 2);
    assert_eq!(find(&module, session, &[Attribute::number(CKA_CLASS, CKO_PRIVATE_KEY)]).len(), 2);
    let certificates = find(&module, session, &[Attribute::number(CKA_CLASS, CKO_CERTIFICATE)]);
    assert_eq!(certificates.len(), 2);
    for certificate in certificates {
        assert_eq!(value(&module, session, certificate, CKA_TRUSTED), [0]);
    }
}

#[test]
fn what_cannot_be_kept_is_not_promised() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    let private = [Attribute::truth(CKA_ALWAYS_AUTHENTICATE, true)];
    let public = [Attribute::new(CKA_EC_PARAMS, P256)];
    let pair = Mechanism::new(CKM_EC_KEY_PAIR_GEN);
    assert_eq!(
        code(module.generate_key_pair(session, &pair, &public, &private)),
        CKR_ATTRIBUTE_VALUE_INVALID
    );
    let data = [
        Attribute::number(CKA_CLASS, CKO_DATA),
        Attribute::new(CKA_VALUE, *b"text"),
        Attribute::truth(CKA_PRIVATE, true),
    ];
    assert_eq!(code(module.create_object(session, &data)), CKR_ATTRIBUTE_VALUE_INVALID);
    let public = module.create_object(session, &data[..2]).unwrap();
    assert_eq!(value(&module, session, public, CKA_PRIVATE), [0]);
    assert_eq!(code(module.copy_object(session, public, &data[2..])), CKR_ATTRIBUTE_VALUE_INVALID);

    // Where somebody has to log in, the server shows nothing before.
    let hsm = Hsm::with_users();
    let module = hsm.module();
    let session = self::session(&module);
    module.login(session, CKU_SO, None, ADMINISTRATOR_PIN).unwrap();
    module.init_pin(session, b"1234").unwrap();
    module.logout(session).unwrap();
    module.login(session, CKU_USER, None, b"1234").unwrap();
    let stored = [data.as_slice(), &[Attribute::truth(CKA_TOKEN, true)]].concat();
    let stored = module.create_object(session, &stored).unwrap();
    assert_eq!(value(&module, session, stored, CKA_PRIVATE), [1]);
    module.logout(session).unwrap();
    assert!(find(&module, session, &[]).is_empty());
    let other = hsm.module();
    let theirs = self::session(&other);
    assert!(find(&other, theirs, &[]).is_empty());
    other.login(theirs, CKU_USER, None, b"1234").unwrap();
    assert_eq!(find(&other, theirs, &[Attribute::truth(CKA_PRIVATE, true)]).len(), 1);
}

#[test]
fn objects_are_found_by_their_unique_id() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    let (public, private) = ec_pair(&module, session, true);
    for object in [public, private] {
        let id = value(&module, session, object, CKA_UNIQUE_ID);
        assert_eq!(find(&module, session, &[Attribute::new(CKA_UNIQUE_ID, id)]), [object]);
    }
    assert!(find(&module, session, &[Attribute::new(CKA_UNIQUE_ID, *b"none")]).is_empty());
}

#[test]
fn a_logout_keeps_no_other_thread_waiting() {
    let hsm = Hsm::new();
    let module = Arc::new(hsm.module());
    let session = session(&module);
    module.login(session, CKU_USER, None, b"1234").unwrap();
    let data = module.create_object(session, &[Attribute::number(CKA_CLASS, CKO_DATA)]).unwrap();
    let template = [Attribute::number(CKA_VALUE_LEN, 16)];
    module.generate_key(session, &Mechanism::new(CKM_AES_KEY_GEN), &template).unwrap();
    let (sender, receiver) = mpsc::channel();
    let other = Arc::clone(&module);
    // While the server is asked to drop the session's key, another thread looks at an object.
    hsm.set_hook(move |kind| {
        if kind == key::EvictRequest::KIND {
            let (module, done) = (Arc::clone(&other), mpsc::channel());
            let reply = done.0;
            std::thread::spawn(move || reply.send(module.object_size(session, data)));
            sender.send(done.1.recv_timeout(Duration::from_secs(60)).is_ok()).unwrap();
        }
        true
    });
    module.logout(session).unwrap();
    assert!(receiver.try_recv().unwrap(), "the other thread waited for the server");
    hsm.mend();
}

#[test]
fn both_sides_of_an_encapsulation_have_the_same_key() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    let kem = Mechanism::new(CKM_ML_KEM);
    let sets = [(CKP_ML_KEM_512, 768), (CKP_ML_KEM_768, 1088), (CKP_ML_KEM_1024, 1568)];
    for (set, size) in sets {
        let token = Attribute::truth(CKA_TOKEN, set == CKP_ML_KEM_768);
        let (public, private) = module
            .generate_key_pair(
                session,
                &Mechanism::new(CKM_ML_KEM_KEY_PAIR_GEN),
                &[Attribute::number(CKA_PARAMETER_SET, set), token.clone()],
                &[token],
            )
            .unwrap();
        assert_eq!(value(&module, session, private, CKA_DECAPSULATE), [1]);
        let aes = [
            Attribute::number(CKA_CLASS, CKO_SECRET_KEY),
            Attribute::number(CKA_KEY_TYPE, CKK_AES),
            Attribute::truth(CKA_ENCRYPT, true),
            Attribute::truth(CKA_DECRYPT, true),
        ];
        assert_eq!(module.encapsulate_key(session, &kem, public, &aes, None), Ok((size, None)));
        let mut ciphertext = vec![0; size];
        let small = module.encapsulate_key(session, &kem, public, &aes, Some(&mut ciphertext[1..]));
        assert_eq!(small, Err(Error::TooSmall(size)));
        let (length, ours) =
            module.encapsulate_key(session, &kem, public, &aes, Some(&mut ciphertext)).unwrap();
        assert_eq!(length, size);
        let theirs = module.decapsulate_key(session, &kem, private, &aes, &ciphertext).unwrap();
        let crypt = |key, encrypt: bool, block: [u8; 16]| {
            let (mut out, ecb) = ([0; 16], Mechanism::new(CKM_AES_ECB));
            if encrypt {
                module.encrypt_init(session, &ecb, key).unwrap();
                module.encrypt(session, Some(&block), Some(&mut out)).unwrap();
            } else {
                module.decrypt_init(session, &ecb, key).unwrap();
                module.decrypt(session, Some(&block), Some(&mut out)).unwrap();
            }
            out
        };
        assert_eq!(crypt(theirs, false, crypt(ours.unwrap(), true, [7; 16])), [7; 16]);
        assert_eq!(value(&module, session, theirs, CKA_VALUE_LEN), CK_ULONG::from(32_u8).to_ne_bytes());
        assert_eq!(value(&module, session, theirs, CKA_SENSITIVE), [1]);

        // A damaged ciphertext gives another key, one of another length none.
        ciphertext[0] ^= 1;
        let other = module.decapsulate_key(session, &kem, private, &aes, &ciphertext).unwrap();
        assert_ne!(crypt(other, true, [7; 16]), crypt(theirs, true, [7; 16]));
        let short = module.decapsulate_key(session, &kem, private, &aes, &ciphertext[1..]);
        assert_eq!(code(short), CKR_WRAPPED_KEY_LEN_RANGE);
        let swapped = module.decapsulate_key(session, &kem, public, &aes, &ciphertext);
        assert_eq!(code(swapped), CKR_KEY_TYPE_INCONSISTENT);
        let swapped = module.encapsulate_key(session, &kem, private, &aes, None);
        assert_eq!(code(swapped), CKR_KEY_TYPE_INCONSISTENT);
        let longer = [aes.as_slice(), &[Attribute::number(CKA_VALUE_LEN, 16)]].concat();
        let longer = module.decapsulate_key(session, &kem, private, &longer, &ciphertext);
        assert_eq!(code(longer), CKR_TEMPLATE_INCONSISTENT);
    }
    let (public, private) = ec_pair(&module, session, false);
    assert_eq!(code(module.encapsulate_key(session, &kem, public, &[], None)), CKR_KEY_TYPE_INCONSISTENT);
    assert_eq!(code(module.decapsulate_key(session, &kem, private, &[], &[])), CKR_KEY_TYPE_INCONSISTENT);
    // Without the usage, neither side works.
    let pair = module.generate_key_pair(
        session,
        &Mechanism::new(CKM_ML_KEM_KEY_PAIR_GEN),
        &[Attribute::number(CKA_PARAMETER_SET, CKP_ML_KEM_512), Attribute::truth(CKA_ENCAPSULATE, false)],
        &[Attribute::truth(CKA_DECAPSULATE, false)],
    );
    let (public, private) = pair.unwrap();
    let not_permitted = CKR_KEY_FUNCTION_NOT_PERMITTED;
    assert_eq!(code(module.encapsulate_key(session, &kem, public, &[], None)), not_permitted);
    assert_eq!(code(module.decapsulate_key(session, &kem, private, &[], &[0; 768])), not_permitted);
}

#[test]
fn a_session_key_made_of_bytes_serves_for_an_hmac() {
    let hsm = Hsm::new();
    let module = hsm.module();
    let session = session(&module);
    // As Java's provider makes it: nothing is said about what may be done with it. RFC 4231, section 4.3.
    let template = [
        Attribute::number(CKA_CLASS, CKO_SECRET_KEY),
        Attribute::number(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
        Attribute::new(CKA_VALUE, *b"Jefe"),
    ];
    let key = module.create_object(session, &template).unwrap();
    let hmac = Mechanism::new(CKM_SHA256_HMAC);
    module.sign_init(session, &hmac, key).unwrap();
    let mut mac = [0; 32];
    assert_eq!(module.sign(session, Some(b"what do ya want for nothing?"), Some(&mut mac)), Ok(32));
    assert_eq!(
        (mac[..4].to_vec(), mac[28..].to_vec()),
        (vec![0x5b, 0xdc, 0xc1, 0x46], vec![0x64, 0xec, 0x38, 0x43])
    );
    let secret = module.attributes(session, key, &[CKA_VALUE]).unwrap();
    assert_eq!(secret[0].as_ref().unwrap_err().code(), CKR_ATTRIBUTE_SENSITIVE);
    // What is stored, or said to be protected, stays in the server.
    for more in [Attribute::truth(CKA_TOKEN, true), Attribute::truth(CKA_SENSITIVE, true)] {
        let key = module.create_object(session, &[template.as_slice(), &[more]].concat()).unwrap();
        assert_eq!(value(&module, session, key, CKA_EXTRACTABLE), [0]);
        assert_eq!(code(module.sign_init(session, &hmac, key)), CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
}
