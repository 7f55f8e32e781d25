//! Calls of the PKCS#11 module in any order, with any handles, templates and lengths, against a server in the same
//! process. Whatever they are: nothing panics; no outcome is longer than the length that was told for it; what is
//! sensitive is never read; a signature that was made is valid for the public half that was made with its key.

#![no_main]

use arbitrary::Arbitrary;
use casemate_pkcs11::config::SlotOptions;
use casemate_pkcs11::cryptoki_sys::*;
use casemate_pkcs11::{Attribute, Error, Handler, Mechanism, Module, Parameter, Target};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

thread_local! {
    static SERVER: VirtualServer =
        VirtualServer::new(VirtualOptions { objects: 60, partition_size: 256 * 1024, ..VirtualOptions::default() });
}

#[derive(Arbitrary, Debug)]
struct Given {
    kind: u8,
    value: Vec<u8>,
    number: u16,
    form: u8,
}

#[derive(Arbitrary, Debug)]
struct With {
    kind: u8,
    parameter: u8,
    bytes: Vec<u8>,
    number: u8,
}

#[derive(Arbitrary, Debug)]
enum Call {
    Open { writes: bool },
    Close(u8),
    CloseAll,
    Login { officer: bool },
    Logout,
    Create(Vec<Given>),
    Copy(u8, Vec<Given>),
    Destroy(u8),
    Read(u8, Vec<u8>),
    Set(u8, Vec<Given>),
    Find(Vec<Given>),
    FindMore(u8),
    FindEnd,
    Generate(With, Vec<Given>),
    Key { length: u8, token: bool, extractable: bool },
    Pair { curve: u8, token: bool },
    Derive(With, u8, Vec<Given>),
    Agree { base: u8, with: u8, length: u8 },
    Encapsulate(With, u8, Vec<Given>, Option<u16>),
    Decapsulate(With, u8, Vec<u8>, Vec<Given>),
    Exchange { public: u8, private: u8 },
    Wrap(With, u8, u8, u16),
    Unwrap(With, u8, Vec<u8>, Vec<Given>),
    Begin(u8, With, u8),
    Update(u8, Vec<u8>, Option<u16>),
    Whole(u8, Vec<u8>, Option<u16>),
    Final(u8, Vec<u8>, Option<u16>),
    Random(u16),
    Cancel(u8),
    Sign(u8),
}

const KINDS: [CK_ATTRIBUTE_TYPE; 24] = [
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_LABEL,
    CKA_VALUE,
    CKA_KEY_TYPE,
    CKA_ID,
    CKA_SENSITIVE,
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_SIGN,
    CKA_VERIFY,
    CKA_DERIVE,
    CKA_EXTRACTABLE,
    CKA_VALUE_LEN,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_MODULUS,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_ENCAPSULATE,
    CKA_DECAPSULATE,
    CKA_PARAMETER_SET,
    CKA_UNIQUE_ID,
];
const MECHANISMS: [CK_MECHANISM_TYPE; 24] = [
    CKM_AES_KEY_GEN,
    CKM_GENERIC_SECRET_KEY_GEN,
    CKM_AES_ECB,
    CKM_AES_CBC,
    CKM_AES_CBC_PAD,
    CKM_AES_CTR,
    CKM_AES_GCM,
    CKM_AES_CMAC,
    CKM_AES_CMAC_GENERAL,
    CKM_SHA256_HMAC,
    CKM_SHA_1_HMAC,
    CKM_ECDSA,
    CKM_ECDSA_SHA256,
    CKM_EDDSA,
    CKM_ECDH1_DERIVE,
    CKM_HKDF_DERIVE,
    CKM_AES_KEY_WRAP,
    CKM_AES_KEY_WRAP_KWP,
    CKM_SHA256,
    CKM_SHA512,
    CKM_RSA_PKCS,
    CKM_ML_DSA,
    CKM_ML_KEM,
    CKM_AES_CCM,
];
const CURVES: [&[u8]; 3] = [
    &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    &[0x06, 0x03, 0x2b, 0x65, 0x70],
    &[0x06, 0x03, 0x2b, 0x65, 0x6e],
];

fn template(given: Vec<Given>) -> Vec<Attribute> {
    given
        .into_iter()
        .map(|Given { kind, value, number, form }| {
            let kind = KINDS[usize::from(kind) % KINDS.len()];
            match form % 4 {
                0 => Attribute::truth(kind, number & 1 != 0),
                1 => Attribute::number(kind, CK_ULONG::from(number)),
                2 => Attribute::new(kind, CURVES[usize::from(number) % CURVES.len()]),
                _ => Attribute::new(kind, value),
            }
        })
        .collect()
}

fn mechanism(with: With) -> Mechanism {
    let With { kind, parameter, bytes, number } = with;
    let block = std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(number));
    let parameter = match parameter % 10 {
        0 | 1 => Parameter::None,
        2 => Parameter::Bytes(vec![number; 16]),
        3 => Parameter::Ctr { bits: 128, block },
        4 => Parameter::Gcm { iv: vec![number; 12], aad: bytes, tag_bits: usize::from(number) },
        5 => Parameter::Ecdh { kdf: CKD_NULL, shared: Vec::new(), public: bytes },
        6 => Parameter::Hkdf {
            extract: true,
            expand: true,
            hash: CKM_SHA256,
            salt: None,
            salt_key: None,
            info: bytes,
        },
        7 => Parameter::Number(usize::from(number)),
        8 => Parameter::Ccm {
            length: usize::from(number),
            nonce: vec![number; 12],
            tag_length: usize::from(number % 18),
            aad: bytes,
        },
        _ => Parameter::Bytes(bytes),
    };
    Mechanism { kind: MECHANISMS[usize::from(kind) % MECHANISMS.len()], parameter }
}

/// Calls for the length, then with a buffer.
fn twice(size: Option<u16>, mut call: impl FnMut(Option<&mut [u8]>) -> Result<usize, Error>) {
    let told = call(None);
    let Some(size) = size else { return };
    let mut buffer = vec![0; usize::from(size)];
    let given = call(Some(&mut buffer));
    if let (Ok(told), Ok(given)) = (told, given) {
        assert!(given <= told && given <= buffer.len());
    }
    if let Err(Error::TooSmall(needed)) = given {
        assert!(needed > buffer.len());
    }
}

struct State {
    module: Module,
    sessions: Vec<CK_SESSION_HANDLE>,
    objects: Vec<CK_OBJECT_HANDLE>,
    pairs: Vec<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)>,
}

impl State {
    fn session(&self) -> CK_SESSION_HANDLE {
        self.sessions.last().copied().unwrap_or(99)
    }

    fn object(&self, index: u8) -> CK_OBJECT_HANDLE {
        let place = usize::from(index).checked_rem(self.objects.len());
        place.map_or(CK_OBJECT_HANDLE::from(index), |place| self.objects[place])
    }

    fn keep(&mut self, made: Result<CK_OBJECT_HANDLE, Error>) {
        self.objects.extend(made);
    }

    fn call(&mut self, call: Call) {
        let session = self.session();
        match call {
            Call::Open { writes } => {
                let flags = CKF_SERIAL_SESSION | if writes { CKF_RW_SESSION } else { 0 };
                self.sessions.extend(self.module.open_session(0, flags));
            }
            Call::Close(index) => {
                if let Some(place) = usize::from(index).checked_rem(self.sessions.len()) {
                    self.module.close_session(self.sessions.remove(place)).unwrap();
                }
            }
            Call::CloseAll => {
                self.module.close_all_sessions(0).unwrap();
                self.sessions.clear();
            }
            Call::Login { officer } => {
                let _ = self.module.login(session, if officer { CKU_SO } else { CKU_USER }, None, b"1234");
            }
            Call::Logout => drop(self.module.logout(session)),
            Call::Create(given) => self.keep(self.module.create_object(session, &template(given))),
            Call::Copy(object, given) => {
                self.keep(self.module.copy_object(session, self.object(object), &template(given)));
            }
            Call::Destroy(object) => drop(self.module.destroy_object(session, self.object(object))),
            Call::Read(object, kinds) => {
                let kinds: Vec<_> =
                    kinds.iter().map(|kind| KINDS[usize::from(*kind) % KINDS.len()]).collect();
                let object = self.object(object);
                let _ = self.module.attributes(session, object, &kinds);
                let secret = [CKA_CLASS, CKA_SENSITIVE, CKA_VALUE];
                if let Ok(values) = self.module.attributes(session, object, &secret)
                    && let [Ok(class), Ok(sensitive), value] = &values[..]
                    && **sensitive == [1]
                    && (**class == CKO_SECRET_KEY.to_ne_bytes() || **class == CKO_PRIVATE_KEY.to_ne_bytes())
                {
                    assert!(value.is_err());
                }
            }
            Call::Set(object, given) => {
                let _ = self.module.set_attributes(session, self.object(object), &template(given));
            }
            Call::Find(given) => drop(self.module.find_init(session, &template(given))),
            Call::FindMore(most) => {
                if let Ok(found) = self.module.find(session, usize::from(most)) {
                    assert!(found.len() <= usize::from(most));
                }
            }
            Call::FindEnd => drop(self.module.find_final(session)),
            Call::Generate(with, given) => {
                self.keep(self.module.generate_key(session, &mechanism(with), &template(given)));
            }
            Call::Key { length, token, extractable } => {
                let given = [
                    Attribute::number(CKA_VALUE_LEN, CK_ULONG::from(length % 5) * 8),
                    Attribute::truth(CKA_TOKEN, token),
                    Attribute::truth(CKA_EXTRACTABLE, extractable),
                    Attribute::truth(CKA_SENSITIVE, !extractable),
                ];
                self.keep(self.module.generate_key(session, &Mechanism::new(CKM_AES_KEY_GEN), &given));
            }
            Call::Pair { curve, token } => {
                let name = |place: usize| Attribute::new(CKA_EC_PARAMS, CURVES[place]);
                let (kind, parameters) = match curve % 4 {
                    0 => (CKM_EC_KEY_PAIR_GEN, name(0)),
                    1 => (CKM_EC_EDWARDS_KEY_PAIR_GEN, name(1)),
                    2 => (CKM_EC_MONTGOMERY_KEY_PAIR_GEN, name(2)),
                    _ => (CKM_ML_KEM_KEY_PAIR_GEN, Attribute::number(CKA_PARAMETER_SET, CKP_ML_KEM_512)),
                };
                let token = Attribute::truth(CKA_TOKEN, token);
                let public = [parameters, token.clone()];
                if let Ok(pair) =
                    self.module.generate_key_pair(session, &Mechanism::new(kind), &public, &[token])
                {
                    self.objects.extend([pair.0, pair.1]);
                    self.pairs.push(pair);
                }
            }
            Call::Derive(with, base, given) => {
                let base = self.object(base);
                self.keep(self.module.derive_key(session, &mechanism(with), base, &template(given)));
            }
            Call::Agree { base, with, length } => {
                let point = self.module.attributes(session, self.object(with), &[CKA_EC_POINT]);
                let Some(Ok(point)) = point.ok().and_then(|mut values| values.pop()) else { return };
                let parameter = Parameter::Ecdh { kdf: CKD_NULL, shared: Vec::new(), public: point.to_vec() };
                let given = [Attribute::number(CKA_VALUE_LEN, CK_ULONG::from(length % 34))];
                let mechanism = Mechanism { kind: CKM_ECDH1_DERIVE, parameter };
                self.keep(self.module.derive_key(session, &mechanism, self.object(base), &given));
            }
            Call::Encapsulate(with, key, given, size) => {
                let (with, key, given) = (mechanism(with), self.object(key), template(given));
                let mut buffer = size.map(|size| vec![0; usize::from(size)]);
                let made = self.module.encapsulate_key(session, &with, key, &given, buffer.as_deref_mut());
                if let Ok((length, handle)) = made {
                    assert_eq!(handle.is_some(), buffer.is_some());
                    assert!(buffer.is_none_or(|buffer| length <= buffer.len()));
                    self.objects.extend(handle);
                }
            }
            Call::Decapsulate(with, key, ciphertext, given) => {
                let (with, key, given) = (mechanism(with), self.object(key), template(given));
                self.keep(self.module.decapsulate_key(session, &with, key, &given, &ciphertext));
            }
            Call::Exchange { public, private } => {
                let (kem, mut ciphertext) = (Mechanism::new(CKM_ML_KEM), vec![0; 768]);
                let (public, private) = (self.object(public), self.object(private));
                let ours = self.module.encapsulate_key(session, &kem, public, &[], Some(&mut ciphertext));
                self.objects.extend(ours.ok().and_then(|(_, handle)| handle));
                self.keep(self.module.decapsulate_key(session, &kem, private, &[], &ciphertext));
            }
            Call::Wrap(with, wrapping, key, size) => {
                let (with, wrapping, key) = (mechanism(with), self.object(wrapping), self.object(key));
                let module = &self.module;
                twice(Some(size % 400), |out| module.wrap_key(session, &with, wrapping, key, out));
            }
            Call::Unwrap(with, key, wrapped, given) => {
                let key = self.object(key);
                self.keep(self.module.unwrap_key(session, &mechanism(with), key, &wrapped, &template(given)));
            }
            Call::Begin(which, with, key) => {
                let (with, key, module) = (mechanism(with), self.object(key), &self.module);
                let _ = match which % 5 {
                    0 => module.encrypt_init(session, &with, key),
                    1 => module.decrypt_init(session, &with, key),
                    2 => module.sign_init(session, &with, key),
                    3 => module.verify_init(session, &with, key),
                    _ => module.digest_init(session, &with),
                };
            }
            Call::Update(which, data, size) => {
                let module = &self.module;
                match which % 5 {
                    0 => twice(size, |out| module.encrypt_update(session, &data, out)),
                    1 => twice(size, |out| module.decrypt_update(session, &data, out)),
                    2 => drop(module.sign_update(session, &data)),
                    3 => drop(module.verify_update(session, &data)),
                    _ => drop(module.digest_update(session, &data)),
                }
            }
            Call::Whole(which, data, size) => self.finish(session, which, Some(&data), size),
            Call::Final(which, data, size) => {
                if which % 5 == 3 {
                    let _ = self.module.verify(session, None, &data);
                } else {
                    self.finish(session, which, None, size);
                }
            }
            Call::Random(length) => {
                let mut bytes = vec![0; usize::from(length)];
                let _ = self.module.random(session, &mut bytes);
            }
            Call::Cancel(which) => {
                let flags = [CKF_FIND_OBJECTS, CKF_ENCRYPT, CKF_DECRYPT, CKF_SIGN, CKF_VERIFY, CKF_DIGEST];
                let _ = self.module.cancel(session, flags[usize::from(which) % flags.len()]);
            }
            Call::Sign(index) => self.sign(session, index),
        }
    }

    fn finish(&self, session: CK_SESSION_HANDLE, which: u8, data: Option<&[u8]>, size: Option<u16>) {
        let module = &self.module;
        match which % 5 {
            0 => twice(size, |out| module.encrypt(session, data, out)),
            1 => twice(size, |out| module.decrypt(session, data, out)),
            2 => twice(size, |out| module.sign(session, data, out)),
            3 => drop(module.verify(session, data, data.unwrap_or_default())),
            _ => twice(size, |out| module.digest(session, data, out)),
        }
    }

    /// Signs with a pair's private half and verifies with the public one, if both are still there.
    fn sign(&self, session: CK_SESSION_HANDLE, index: u8) {
        let Some(place) = usize::from(index).checked_rem(self.pairs.len()) else { return };
        let (public, private) = self.pairs[place];
        let module = &self.module;
        for flags in [CKF_SIGN, CKF_VERIFY] {
            let _ = module.cancel(session, flags);
        }
        for kind in [CKM_ECDSA_SHA256, CKM_EDDSA] {
            let mechanism = Mechanism::new(kind);
            let mut signature = [0; 64];
            if module.sign_init(session, &mechanism, private).is_ok()
                && module.sign(session, Some(b"text"), Some(&mut signature)).is_ok()
                && module.verify_init(session, &mechanism, public).is_ok()
            {
                assert_eq!(module.verify(session, Some(b"text"), &signature), Ok(()));
            }
        }
    }
}

fuzz_target!(|calls: Vec<Call>| {
    let target = Target::Local(Arc::new(|| {
        let mut session = SERVER.with(VirtualServer::session);
        let handler: Handler = Box::new(move |request, response| {
            SERVER
                .with(|server| server.handle(&mut session, request, response))
                .ok()
                .map(|reply| reply.length)
        });
        Some(handler)
    }));
    let module = Module::new(vec![SlotOptions::new(target)]);
    let session = module.open_session(0, CKF_SERIAL_SESSION | CKF_RW_SESSION).unwrap();
    let mut state = State { module, sessions: vec![session], objects: Vec::new(), pairs: Vec::new() };
    for call in calls.into_iter().take(64) {
        state.call(call);
    }
    // The server is used for many inputs: it is left empty.
    let State { module, .. } = state;
    module.close_all_sessions(0).unwrap();
    let session = module.open_session(0, CKF_SERIAL_SESSION | CKF_RW_SESSION).unwrap();
    module.find_init(session, &[]).unwrap();
    for object in module.find(session, usize::MAX).unwrap() {
        let _ = module.destroy_object(session, object);
    }
});
