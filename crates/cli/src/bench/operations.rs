//! What is measured.

use crate::connection::Hsm;
use crate::demo::certificate as demo;
use anyhow::{Result, bail};
use casemate_client::certificate::Root;
use casemate_client::{
    CmacKdfInput, CtrState, Curve, Direction, Ed25519, Ed25519Mode, Endianness, Error, HashAlgorithm,
    HkdfInput, Key, KeyPair, MlDsa, MlDsaMessage, MlKem, NewKey, Rsa, RsaOperation, X25519,
};
use casemate_posix::LinkError;
use casemate_protocol::{Flags, KeyId, Label, Metadata, ObjectId, Status};

/// The object and the counter that exist while the benchmark runs.
const OBJECT: ObjectId = ObjectId(0x0BE7);
const COUNTER: u8 = 0xBE;
/// So does this trusted root.
const ROOT: ObjectId = ObjectId(0x0BE8);
const KILOBYTE: usize = 1024;

pub(super) type Call = Result<(), Error<LinkError>>;
type Step = Box<dyn FnMut(&mut Hsm) -> Call>;
type Undo = Box<dyn FnOnce(&mut Hsm) -> Call>;
type Prepare = Box<dyn Fn(&mut Hsm) -> Result<Prepared>>;

/// Something that can be done again and again.
pub(crate) struct Prepared {
    pub(crate) step: Step,
    /// Removes what the preparation left in the server.
    pub(crate) undo: Undo,
}

impl Prepared {
    fn new(
        step: impl FnMut(&mut Hsm) -> Call + 'static,
        undo: impl FnOnce(&mut Hsm) -> Call + 'static,
    ) -> Self {
        Self { step: Box::new(step), undo: Box::new(undo) }
    }

    pub(crate) fn plain(step: impl FnMut(&mut Hsm) -> Call + 'static) -> Self {
        Self::new(step, |_| Ok(()))
    }
}

/// One operation.
pub(crate) struct Operation {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    /// Bytes of data that it works on; 0 where that means nothing.
    pub(crate) bytes: u32,
    pub(crate) prepare: Prepare,
}

fn operation(
    group: &'static str,
    name: impl Into<String>,
    bytes: usize,
    prepare: impl Fn(&mut Hsm) -> Result<Prepared> + 'static,
) -> Operation {
    let bytes = u32::try_from(bytes).unwrap_or(0);
    Operation { group, name: name.into(), bytes, prepare: Box::new(prepare) }
}

/// A key in the cache of the session, under a number that the server chose.
fn cached_key(hsm: &mut Hsm, key: &[u8]) -> Result<KeyId> {
    let new = NewKey { id: KeyId::NONE, flags: Flags::USAGE_ANY, label: Label::from("benchmark") };
    Ok(hsm.key_cache(&new, key)?)
}

fn size(bytes: usize) -> String {
    if bytes >= KILOBYTE && bytes.is_multiple_of(KILOBYTE) {
        format!("{} KiB", bytes / KILOBYTE)
    } else {
        format!("{bytes} bytes")
    }
}

/// All operations, in the order of the report.
pub(crate) fn all() -> Vec<Operation> {
    let mut all = Vec::new();
    for bytes in [16, KILOBYTE, 8000] {
        all.push(operation("Requests", format!("echo {}", size(bytes)), bytes, move |_| {
            let data = vec![0x5A; bytes];
            Ok(Prepared::plain(move |hsm| hsm.echo(&data).map(|_| ())))
        }));
    }
    all.push(operation("Requests", "info", 0, |_| Ok(Prepared::plain(|hsm| hsm.info().map(|_| ())))));
    storage(&mut all);
    for bytes in [16, KILOBYTE] {
        all.push(operation("Random numbers", format!("random {}", size(bytes)), bytes, move |_| {
            let mut out = vec![0; bytes];
            Ok(Prepared::plain(move |hsm| hsm.random(&mut out)))
        }));
    }
    ciphers(&mut all);
    digests(&mut all);
    derivations(&mut all);
    public_keys(&mut all);
    post_quantum(&mut all);
    certificates(&mut all);
    all
}

fn storage(all: &mut Vec<Operation>) {
    for (name, increments) in [("counter read", false), ("counter increment", true)] {
        all.push(operation("Storage and keys", name, 0, move |hsm| {
            match hsm.counter_read(COUNTER) {
                Err(Error::Remote(Status::NOT_FOUND)) => {}
                Ok(_) => bail!("counter {COUNTER} exists; destroy it, or measure as another client"),
                Err(error) => return Err(error.into()),
            }
            hsm.counter_init(COUNTER, 1)?;
            let step = move |hsm: &mut Hsm| {
                if increments { hsm.counter_increment(COUNTER) } else { hsm.counter_read(COUNTER) }
                    .map(|_| ())
            };
            Ok(Prepared::new(step, |hsm| hsm.counter_destroy(COUNTER)))
        }));
    }
    for bytes in [16, 2048] {
        let name = format!("key cache + evict {}", size(bytes));
        all.push(operation("Storage and keys", name, 0, move |_| {
            let key = vec![0x5A; bytes];
            let new = NewKey { id: KeyId::NONE, flags: Flags::USAGE_ANY, label: Label::from("benchmark") };
            Ok(Prepared::plain(move |hsm| {
                let id = hsm.key_cache(&new, &key)?;
                hsm.key_evict(id)
            }))
        }));
    }
    for bytes in [16, KILOBYTE] {
        all.push(operation("Storage and keys", format!("NVM read {}", size(bytes)), bytes, move |hsm| {
            match hsm.nvm_metadata(OBJECT) {
                Err(Error::Remote(Status::NOT_FOUND)) => {}
                Ok(_) => bail!("object {OBJECT} exists; destroy it first"),
                Err(error) => return Err(error.into()),
            }
            let metadata = Metadata {
                id: OBJECT,
                access: Metadata::ACCESS_ANY,
                label: Label::from("benchmark"),
                ..Metadata::default()
            };
            hsm.nvm_add(&metadata, &vec![0x5A; bytes])?;
            let mut out = vec![0; bytes];
            let step = move |hsm: &mut Hsm| hsm.nvm_read_at(OBJECT, 0, &mut out);
            Ok(Prepared::new(step, |hsm| hsm.nvm_destroy(&[OBJECT])))
        }));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ecb,
    Cbc,
    Ctr,
    Gcm,
}

/// One pass of a mode over `data`, as a request of its own each time.
fn cipher(hsm: &mut Hsm, mode: Mode, direction: Direction, key: Key<'_>, work: &mut Work) -> Call {
    let Work { data, tag } = work;
    match (mode, direction) {
        (Mode::Ecb, _) => hsm.aes_ecb(direction, key, data),
        (Mode::Cbc, _) => hsm.aes_cbc(direction, key, &mut [0x11; 16], data),
        (Mode::Ctr, _) => hsm.aes_ctr(key, &mut CtrState::new([0x11; 16]), data),
        (Mode::Gcm, Direction::Encrypt) => hsm.aes_gcm_encrypt(key, &[0x22; 12], &[], data, tag),
        (Mode::Gcm, Direction::Decrypt) => hsm
            .run(&casemate_client::aes::GcmDecrypt { key, iv: &[0x22; 12], aad: &[], input: data, tag })
            .map(|_| ()),
    }
}

struct Work {
    data: Vec<u8>,
    tag: [u8; 16],
}

fn ciphers(all: &mut Vec<Operation>) {
    let key = [0x2B; 32];
    for (mode, name) in [(Mode::Ecb, "ECB"), (Mode::Cbc, "CBC"), (Mode::Ctr, "CTR"), (Mode::Gcm, "GCM")] {
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            // Both directions of CTR are one operation.
            if mode == Mode::Ctr && direction == Direction::Decrypt {
                continue;
            }
            let verb = match direction {
                _ if mode == Mode::Ctr => "",
                Direction::Encrypt => " encrypt",
                Direction::Decrypt => " decrypt",
            };
            for inline in [false, true] {
                let place = if inline { ", inline key" } else { "" };
                let name = format!("AES-256-{name}{verb} 1 KiB{place}");
                all.push(operation("AES", name, KILOBYTE, move |hsm| {
                    let mut work = Work { data: vec![0x5A; KILOBYTE], tag: [0; 16] };
                    let id = if inline { KeyId::NONE } else { cached_key(hsm, &key)? };
                    if mode == Mode::Gcm && direction == Direction::Decrypt {
                        cipher(hsm, mode, Direction::Encrypt, Key::Inline(&key), &mut work)?;
                    }
                    let step = move |hsm: &mut Hsm| {
                        let key = if inline { Key::Inline(&key) } else { Key::Id(id) };
                        cipher(hsm, mode, direction, key, &mut work)
                    };
                    let undo = move |hsm: &mut Hsm| if inline { Ok(()) } else { hsm.key_evict(id) };
                    Ok(Prepared::new(step, undo))
                }));
            }
        }
    }
}

fn digests(all: &mut Vec<Operation>) {
    const GROUP: &str = "Hashes and message authentication";
    for algorithm in
        [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512, HashAlgorithm::Sha3_256]
    {
        all.push(operation(
            GROUP,
            format!("{} 1 KiB, two requests", algorithm.name()),
            KILOBYTE,
            move |_| {
                // Whole blocks are one request, the end is another.
                let data = vec![0x5A; KILOBYTE];
                Ok(Prepared::plain(move |hsm| hsm.hash(algorithm, &data).map(|_| ())))
            },
        ));
    }
    for inline in [false, true] {
        let place = if inline { ", inline key" } else { "" };
        all.push(operation(GROUP, format!("AES-256-CMAC 1 KiB{place}"), KILOBYTE, move |hsm| {
            let key = [0x2B; 32];
            let data = vec![0x5A; KILOBYTE];
            let id = if inline { KeyId::NONE } else { cached_key(hsm, &key)? };
            let step = move |hsm: &mut Hsm| {
                let key = if inline { Key::Inline(&key) } else { Key::Id(id) };
                hsm.cmac(key, &data, &mut [0; 16])
            };
            let undo = move |hsm: &mut Hsm| if inline { Ok(()) } else { hsm.key_evict(id) };
            Ok(Prepared::new(step, undo))
        }));
    }
}

fn derivations(all: &mut Vec<Operation>) {
    const GROUP: &str = "Derivation and wrapping";
    all.push(operation(GROUP, "HKDF-SHA-256 to 32 bytes", 0, |_| {
        Ok(Prepared::plain(|hsm| {
            let key = Key::Inline(&[0x0B; 32]);
            let input = HkdfInput { hash: HashAlgorithm::Sha256, key, salt: &[0x33; 16], info: b"benchmark" };
            hsm.hkdf_export(&input, &mut [0; 32])
        }))
    }));
    all.push(operation(GROUP, "CMAC-KDF to 32 bytes", 0, |_| {
        Ok(Prepared::plain(|hsm| {
            let input = CmacKdfInput {
                salt: Key::Inline(&[0x2B; 16]),
                z: Key::Inline(&[0x0B; 32]),
                info: b"benchmark",
            };
            hsm.cmac_kdf_export(&input, &mut [0; 32])
        }))
    }));
    all.push(operation(GROUP, "wrap 1 KiB of data", KILOBYTE, |hsm| {
        let kek = cached_key(hsm, &[0x2B; 32])?;
        let data = vec![0x5A; KILOBYTE];
        let mut out = vec![0; KILOBYTE + 64];
        Ok(Prepared::new(
            move |hsm| hsm.data_wrap(kek, &data, &mut out).map(|_| ()),
            move |hsm| hsm.key_evict(kek),
        ))
    }));
}

/// A key pair in the cache of the session, under a number that the server chose.
fn cached_pair(hsm: &mut Hsm, pair: impl KeyPair) -> Result<KeyId> {
    let new = NewKey { id: KeyId::NONE, flags: Flags::USAGE_ANY, label: Label::from("benchmark") };
    Ok(hsm.key_pair_generate(pair, &new)?)
}

/// An operation with a key pair in the cache of the session. `make` gets the key and prepares the step.
fn with_pair<S>(
    all: &mut Vec<Operation>,
    group: &'static str,
    name: String,
    pair: impl KeyPair + Copy + 'static,
    make: impl Fn(&mut Hsm, Key<'static>) -> Result<S> + 'static,
) where
    S: FnMut(&mut Hsm) -> Call + 'static,
{
    all.push(operation(group, name, 0, move |hsm| {
        let id = cached_pair(hsm, pair)?;
        let step = make(hsm, Key::Id(id))?;
        Ok(Prepared::new(step, move |hsm| hsm.key_evict(id)))
    }));
}

/// The generation of key pairs, each of which is dropped again.
fn generation(
    all: &mut Vec<Operation>,
    group: &'static str,
    name: &str,
    pair: impl KeyPair + Copy + 'static,
) {
    all.push(operation(group, format!("{name} key pair + evict"), 0, move |_| {
        let new = NewKey { id: KeyId::NONE, flags: Flags::USAGE_ANY, label: Label::from("benchmark") };
        Ok(Prepared::plain(move |hsm| {
            let id = hsm.key_pair_generate(pair, &new)?;
            hsm.key_evict(id)
        }))
    }));
}

/// RSA keys that are used for nothing else, since making them would take longer than measuring.
pub(super) const RSA_KEYS: [(usize, &[u8]); 3] = [
    (2048, include_bytes!("rsa-2048.der")),
    (3072, include_bytes!("rsa-3072.der")),
    (4096, include_bytes!("rsa-4096.der")),
];

/// What an operation that must hold found.
fn holds(verdict: bool) -> Call {
    // Only a wrong server gets here, and the report then says so.
    if verdict { Ok(()) } else { Err(Error::Remote(Status::SIGNATURE_VERIFICATION)) }
}

fn public_keys(all: &mut Vec<Operation>) {
    const GROUP: &str = "Public keys";
    let hash = [0x5A; 32];
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let name = curve.name();
        generation(all, GROUP, name, curve);
        with_pair(all, GROUP, format!("ECDSA {name} sign"), curve, move |_, key| {
            Ok(move |hsm: &mut Hsm| hsm.ecdsa_sign(key, &hash, &mut [0; 160]).map(|_| ()))
        });
        with_pair(all, GROUP, format!("ECDSA {name} verify"), curve, move |hsm, key| {
            let mut signature = vec![0; 160];
            let length = hsm.ecdsa_sign(key, &hash, &mut signature)?;
            signature.truncate(length);
            Ok(move |hsm: &mut Hsm| holds(hsm.ecdsa_verify(key, &signature, &hash)?))
        });
        with_pair(all, GROUP, format!("ECDH {name}"), curve, move |_, key| {
            Ok(move |hsm: &mut Hsm| hsm.ecdh_export(key, key, &mut [0; 80]).map(|_| ()))
        });
    }
    generation(all, GROUP, "Ed25519", Ed25519);
    with_pair(all, GROUP, "Ed25519 sign 32 bytes".to_owned(), Ed25519, move |_, key| {
        Ok(move |hsm: &mut Hsm| hsm.ed25519_sign(key, Ed25519Mode::Pure, &hash).map(|_| ()))
    });
    with_pair(all, GROUP, "Ed25519 verify 32 bytes".to_owned(), Ed25519, move |hsm, key| {
        let signature = hsm.ed25519_sign(key, Ed25519Mode::Pure, &hash)?;
        Ok(move |hsm: &mut Hsm| holds(hsm.ed25519_verify(key, Ed25519Mode::Pure, &signature, &hash)?))
    });
    generation(all, GROUP, "X25519", X25519);
    with_pair(all, GROUP, "X25519".to_owned(), X25519, |_, key| {
        Ok(move |hsm: &mut Hsm| hsm.x25519_export(key, key, Endianness::Little, &mut [0; 32]))
    });
    generation(all, GROUP, "RSA-2048", Rsa::new(2048));
    for (bits, pair) in RSA_KEYS {
        for (raise, verb) in
            [(RsaOperation::PrivateEncrypt, "private"), (RsaOperation::PublicDecrypt, "public")]
        {
            let name = format!("RSA-{bits} {verb} operation");
            all.push(operation(GROUP, name, 0, move |hsm| {
                let id = cached_key(hsm, pair)?;
                let input = vec![0x5A; bits / 8];
                let mut out = vec![0; bits / 8];
                let step = move |hsm: &mut Hsm| hsm.rsa(raise, Key::Id(id), &input, &mut out).map(|_| ());
                Ok(Prepared::new(step, move |hsm| hsm.key_evict(id)))
            }));
        }
    }
}

fn post_quantum(all: &mut Vec<Operation>) {
    const GROUP: &str = "Post-quantum keys";
    let message = MlDsaMessage::Pure(&[0x5A; 32]);
    for parameters in MlDsa::ALL {
        let name = parameters.name();
        generation(all, GROUP, name, parameters);
        with_pair(all, GROUP, format!("{name} sign 32 bytes"), parameters, move |_, key| {
            let mut out = vec![0; parameters.signature_size()];
            Ok(move |hsm: &mut Hsm| hsm.ml_dsa_sign(key, parameters, message, &[], &mut out).map(|_| ()))
        });
        with_pair(all, GROUP, format!("{name} verify 32 bytes"), parameters, move |hsm, key| {
            let mut signature = vec![0; parameters.signature_size()];
            hsm.ml_dsa_sign(key, parameters, message, &[], &mut signature)?;
            Ok(move |hsm: &mut Hsm| holds(hsm.ml_dsa_verify(key, parameters, &signature, message, &[])?))
        });
    }
    for parameters in MlKem::ALL {
        let name = parameters.name();
        generation(all, GROUP, name, parameters);
        with_pair(all, GROUP, format!("{name} encapsulate"), parameters, move |_, key| {
            let mut out = vec![0; parameters.ciphertext_size()];
            Ok(move |hsm: &mut Hsm| {
                hsm.ml_kem_encapsulate(key, parameters, &mut out, &mut [0; 32]).map(|_| ())
            })
        });
        with_pair(all, GROUP, format!("{name} decapsulate"), parameters, move |hsm, key| {
            let mut ciphertext = vec![0; parameters.ciphertext_size()];
            hsm.ml_kem_encapsulate(key, parameters, &mut ciphertext, &mut [0; 32])?;
            Ok(move |hsm: &mut Hsm| hsm.ml_kem_decapsulate(key, parameters, &ciphertext, &mut [0; 32]))
        });
    }
}

/// A chain below a root with the verify cache off, which verifies two signatures, and with it, which verifies none.
fn certificates(all: &mut Vec<Operation>) {
    for (remembers, what) in [(false, "new"), (true, "remembered")] {
        let name = format!("verify a chain of two (P-256), signatures {what}");
        all.push(operation("Certificates", name, 0, move |hsm| {
            let mut present = [0; 16];
            if !matches!(hsm.nvm_read(ROOT, &mut present), Err(Error::Remote(Status::NOT_FOUND))) {
                bail!("object {ROOT} exists; destroy it first");
            }
            let chain = demo::certificates(&["intermediate", "leaf"])?;
            hsm.certificate_add(Root::new(ROOT), &demo::certificates(&["root"])?)?;
            hsm.certificate_set_cache(remembers)?;
            hsm.certificate_verify(ROOT, &chain)?;
            let undo = |hsm: &mut Hsm| {
                hsm.certificate_set_cache(true)?;
                hsm.certificate_erase(ROOT)
            };
            Ok(Prepared::new(move |hsm| hsm.certificate_verify(ROOT, &chain), undo))
        }));
    }
}
