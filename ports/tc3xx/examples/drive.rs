//! Drives the firmware through what its configuration holds, as two clients, or as one, and checks every answer.
//!
//! `drive CONFIGURATION ADDRESS [ADDRESS]`: the configuration is a, b, c or d, the addresses are those of the serial
//! lines. For each operation it prints a line `op FIRST COUNT NAME`: the requests that it took, counted from 0, as the
//! firmware counts them on its console when it is built with the feature `figures`.

use casemate_client::{
    Client, CtrState, Curve, Direction, Ed25519, Ed25519Mode, Endianness, HashAlgorithm, HkdfInput, Key,
    MlKem, NewKey, RsaOperation, X25519, certificate::Root, she::LoadKeyMessages,
};
use casemate_crypto::Software;
use casemate_crypto::she::{Counter, KeyNumber, KeyUpdate, UpdateFlags};
use casemate_posix::tcp::TcpClientTransport;
use casemate_posix::{LinkError, Patient};
use casemate_protocol::message::she::slot;
use casemate_protocol::{ClientId, Flags, KeyId, Label, Metadata, ObjectId};
use casemate_transport::{ClientTransport, TransportError};
use std::cell::Cell;
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const PACKET: usize = 1288;
/// The emulator is slow where it counts instructions.
const TIMEOUT: Duration = Duration::from_secs(600);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
type Hsm = Client<Counted, Vec<u8>>;

/// A link that counts what is sent over it, and over its siblings.
struct Counted {
    link: Patient<TcpClientTransport>,
    sent: Rc<Cell<usize>>,
}

impl ClientTransport for Counted {
    type Error = LinkError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        self.link.send(packet)?;
        self.sent.set(self.sent.get() + 1);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<LinkError>> {
        self.link.receive(buffer)
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        self.link.receive_within(buffer, longest)
    }
}

struct Drive {
    hsm: Hsm,
    sent: Rc<Cell<usize>>,
}

impl Drive {
    /// Runs an operation and says which requests it took.
    fn op<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Hsm) -> Result<T, casemate_client::Error<LinkError>>,
    ) -> Outcome<T> {
        let first = self.sent.get();
        let result = work(&mut self.hsm).map_err(|error| format!("{name}: {error}"))?;
        println!("op {first} {} {name}", self.sent.get() - first);
        Ok(result)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (configuration, first, second) = match arguments.as_slice() {
        [configuration, first] => (configuration, first, None),
        [configuration, first, second] => (configuration, first, Some(second.as_str())),
        _ => {
            eprintln!("usage: drive CONFIGURATION ADDRESS [ADDRESS]");
            return ExitCode::from(2);
        }
    };
    match drive(configuration.as_str(), first, second) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("drive: {error}");
            ExitCode::FAILURE
        }
    }
}

fn connect(address: &str, sent: &Rc<Cell<usize>>) -> Outcome<Hsm> {
    let link = Patient(TcpClientTransport::connect(address, PACKET, TIMEOUT)?);
    Ok(Client::new(Counted { link, sent: sent.clone() }, vec![0; PACKET]))
}

/// An error with this text unless the condition holds.
fn ensure(condition: bool, text: &str) -> Outcome {
    if condition { Ok(()) } else { Err(text.into()) }
}

fn drive(configuration: &str, first: &str, second: Option<&str>) -> Outcome {
    let sent = Rc::new(Cell::new(0));
    let mut drive = Drive { hsm: connect(first, &sent)?, sent: sent.clone() };
    drive.op("comm init", |hsm| hsm.init(ClientId::new(1).expect("1 to 15")))?;
    let data: Vec<u8> = (0..1024_u32).map(|at| (at * 7 + 3) as u8).collect();
    symmetric(&mut drive, &data)?;
    if let Some(second) = second {
        two_clients(&mut drive, second, &sent)?;
    }
    if configuration >= "b" {
        she(&mut drive)?;
    }
    if configuration >= "c" {
        curves(&mut drive)?;
        wrapping(&mut drive)?;
    }
    if configuration >= "d" {
        rsa(&mut drive)?;
        lattices(&mut drive)?;
        certificates(&mut drive)?;
    }
    drive.op("comm close", |hsm| hsm.close())
}

fn key(id: u8, flags: Flags) -> NewKey {
    NewKey { id: KeyId(id.into()), flags, label: Label::from("drive") }
}

fn symmetric(drive: &mut Drive, data: &[u8]) -> Outcome {
    let echoed = drive.op("echo 4 B", |hsm| hsm.echo(b"echo").map(<[u8]>::to_vec))?;
    ensure(echoed == b"echo", "the echo is another text")?;
    drive.op("echo 1 KiB", |hsm| hsm.echo(data).map(|_| ()))?;

    let new = key(1, Flags::USAGE_ANY);
    drive.op("key cache 16 B", |hsm| hsm.key_cache(&new, b"0123456789abcdef"))?;
    drive.op("key commit", |hsm| hsm.key_commit(KeyId(1)))?;
    drive.op("key evict", |hsm| hsm.key_evict(KeyId(1)))?;
    let mut bytes = [0; 16];
    drive.op("key export, from the store", |hsm| hsm.key_export(KeyId(1), &mut bytes))?;
    ensure(&bytes == b"0123456789abcdef", "another key came out")?;

    let metadata = Metadata {
        id: ObjectId(77),
        access: Metadata::ACCESS_ANY,
        flags: Flags::NONE,
        length: 0,
        label: Label::from("object"),
    };
    drive.op("NVM add 1 KiB", |hsm| hsm.nvm_add(&metadata, data))?;
    let mut read = vec![0; 1000];
    drive.op("NVM read 1000 B", |hsm| hsm.nvm_read_at(ObjectId(77), 0, &mut read))?;
    ensure(read == data[..1000], "other data came out")?;
    drive.op("NVM list", |hsm| hsm.nvm_next(ObjectId::INVALID))?;
    drive.op("NVM destroy", |hsm| hsm.nvm_destroy(&[ObjectId(77)]))?;
    drive.op("counter init", |hsm| hsm.counter_init(3, 41))?;
    let value = drive.op("counter increment", |hsm| hsm.counter_increment(3))?;
    ensure(value == 42, "the counter has another value")?;

    drive.op("random 32 B", |hsm| hsm.random(&mut [0; 32]))?;
    drive.op("random 1 KiB", |hsm| hsm.random(&mut [0; 1024]))?;
    let stored = Key::Id(KeyId(1));
    let mut block = *b"sixteen bytes...";
    drive.op("AES-128 ECB one block", |hsm| hsm.aes_ecb(Direction::Encrypt, stored, &mut block))?;
    let mut text = data.to_vec();
    let mut state = CtrState::new([0; 16]);
    drive.op("AES-128 CTR 1 KiB", |hsm| hsm.aes_ctr(stored, &mut state, &mut text))?;
    let mut iv = [1; 16];
    drive.op("AES-128 CBC 1 KiB", |hsm| hsm.aes_cbc(Direction::Encrypt, stored, &mut iv, &mut text))?;
    let (mut iv, mut state) = ([1; 16], CtrState::new([0; 16]));
    drive.hsm.aes_cbc(Direction::Decrypt, stored, &mut iv, &mut text)?;
    drive.hsm.aes_ctr(stored, &mut state, &mut text)?;
    ensure(text == data, "CBC and CTR do not go back")?;
    let mut tag = [0; 16];
    drive
        .op("AES-128 GCM 1 KiB", |hsm| hsm.aes_gcm_encrypt(stored, &[2; 12], b"aad", &mut text, &mut tag))?;
    drive
        .op("AES-128 GCM open 1 KiB", |hsm| hsm.aes_gcm_decrypt(stored, &[2; 12], b"aad", &mut text, &tag))?;
    ensure(text == data, "GCM does not go back")?;
    let mut mac = [0; 16];
    drive.op("CMAC 1 KiB", |hsm| hsm.cmac(stored, data, &mut mac))?;
    // Whole blocks go to the server; the last one waits for more.
    let mut hash = casemate_client::Hash::new(HashAlgorithm::Sha256);
    let more = [data, &[0; 1]].concat();
    drive.op("SHA-256 update 1 KiB", |hsm| hsm.hash_update(&mut hash, &more))?;
    drive.op("SHA-256 finish", |hsm| hsm.hash_finish(&hash))?;
    Ok(())
}

/// A second client beside the first: neither reaches the other's keys.
fn two_clients(drive: &mut Drive, address: &str, sent: &Rc<Cell<usize>>) -> Outcome {
    let mut other = connect(address, sent)?;
    other.init(ClientId::new(2).expect("1 to 15"))?;
    ensure(other.key_export(KeyId(1), &mut [0; 16]).is_err(), "client 2 reads client 1's key")?;
    other.key_cache(&key(1, Flags::USAGE_ANY), &[9; 16])?;
    let mut bytes = [0; 16];
    drive.hsm.key_export(KeyId(1), &mut bytes)?;
    ensure(&bytes == b"0123456789abcdef", "client 1's key has become client 2's")?;
    other.close()?;
    Ok(())
}

fn she(drive: &mut Drive) -> Outcome {
    const MASTER: [u8; 16] = [0x11; 16];
    let client = ClientId::new(1).expect("1 to 15");
    for (number, value) in [(slot::SECRET_KEY, [0x2B; 16]), (slot::PRNG_SEED, [0x6B; 16])] {
        let label = casemate_protocol::message::she::SlotLabel { counter: 0, flags: Default::default() };
        drive.hsm.she_provision(client, number, label, &value)?;
    }
    drive.hsm.she_set_uid([1; 15])?;
    // Without a boot MAC key, secure boot opens the gate.
    drive.hsm.she_secure_boot(&[0; 64])?;
    let update = KeyUpdate {
        uid: [1; 15],
        key: KeyNumber::new(slot::MASTER_ECU_KEY).ok_or("no such slot")?,
        authorizing_key: KeyNumber::new(slot::MASTER_ECU_KEY).ok_or("no such slot")?,
        counter: Counter::new(1).ok_or("no such counter")?,
        flags: UpdateFlags::NONE,
    };
    let sealed = update.seal(&Software::new(casemate_crypto::NoRandom), &[0; 16], &MASTER)?;
    let load = LoadKeyMessages { m1: sealed.m1, m2: sealed.m2, m3: sealed.m3 };
    drive.op("SHE load key", |hsm| hsm.she_load_key(&load))?;
    drive.op("SHE load plain key", |hsm| hsm.she_load_plain_key(&MASTER))?;
    drive.op("SHE export RAM key", |hsm| hsm.she_export_ram_key())?;
    drive.op("SHE init RND", |hsm| hsm.she_random_init())?;
    drive.op("SHE RND", |hsm| hsm.she_random())?;
    let message = [0x5A; 512];
    drive.op("SHE MAC 512 B", |hsm| hsm.she_mac(slot::RAM_KEY, &message))?;
    let mut text = message;
    drive
        .op("SHE CBC 512 B", |hsm| hsm.she_cbc(Direction::Encrypt, slot::RAM_KEY, &mut [7; 16], &mut text))?;
    drive.hsm.she_cbc(Direction::Decrypt, slot::RAM_KEY, &mut [7; 16], &mut text)?;
    ensure(text == message, "SHE's CBC does not go back")
}

fn curves(drive: &mut Drive) -> Outcome {
    let (p256, ed, x) = (Key::Id(KeyId(2)), Key::Id(KeyId(3)), Key::Id(KeyId(4)));
    let any = |id| key(id, Flags::USAGE_ANY);
    drive.op("P-256 key generation", |hsm| hsm.key_pair_generate(Curve::P256, &any(2)))?;
    let digest = [0x42; 32];
    let mut signature = [0; 80];
    let length = drive.op("ECDSA P-256 sign", |hsm| hsm.ecdsa_sign(p256, &digest, &mut signature))?;
    let valid =
        drive.op("ECDSA P-256 verify", |hsm| hsm.ecdsa_verify(p256, &signature[..length], &digest))?;
    ensure(valid, "the signature does not verify")?;
    let mut other = digest;
    other[0] ^= 1;
    ensure(!drive.hsm.ecdsa_verify(p256, &signature[..length], &other)?, "another digest verifies")?;
    let mut secret = [0; 32];
    drive.op("ECDH P-256", |hsm| hsm.ecdh_export(p256, p256, &mut secret))?;
    drive.hsm.key_evict(KeyId(2))?;

    drive.op("Ed25519 key generation", |hsm| hsm.key_pair_generate(Ed25519, &any(3)))?;
    let message = b"a message of an application core";
    let signature = drive.op("Ed25519 sign", |hsm| hsm.ed25519_sign(ed, Ed25519Mode::Pure, message))?;
    let valid =
        drive.op("Ed25519 verify", |hsm| hsm.ed25519_verify(ed, Ed25519Mode::Pure, &signature, message))?;
    ensure(valid, "the Ed25519 signature does not verify")?;
    drive.hsm.key_evict(KeyId(3))?;
    drive.op("X25519 key generation", |hsm| hsm.key_pair_generate(X25519, &any(4)))?;
    drive.op("X25519", |hsm| hsm.x25519_export(x, x, Endianness::Little, &mut secret))?;
    drive.hsm.key_evict(KeyId(4))?;
    Ok(())
}

fn wrapping(drive: &mut Drive) -> Outcome {
    drive.hsm.key_cache(&key(5, Flags::USAGE_DERIVE), &[5; 32])?;
    let input =
        HkdfInput { hash: HashAlgorithm::Sha256, key: Key::Id(KeyId(5)), salt: b"salt", info: b"info" };
    drive.op("HKDF 42 B", |hsm| hsm.hkdf_export(&input, &mut [0; 42]))?;
    // Keys wrap others only if the server's owner has stored them as trusted, which nobody did: the refusal counts.
    let metadata = Metadata {
        id: ObjectId(0x1106),
        access: Metadata::ACCESS_ANY,
        flags: Flags::NONE,
        length: 32,
        label: Label::from("wrapped"),
    };
    let kek = key(6, Flags::USAGE_WRAP);
    drive.hsm.key_cache(&kek, &[6; 32])?;
    let mut blob = [0; 200];
    let refused = drive.hsm.key_wrap(KeyId(6), &metadata, &[8; 32], &mut blob);
    ensure(refused.is_err(), "a client's key wraps")?;
    drive.hsm.key_evict(KeyId(5))?;
    drive.hsm.key_evict(KeyId(6))?;
    Ok(())
}

fn rsa(drive: &mut Drive) -> Outcome {
    // Generated by a program: making one on the device takes minutes where instructions are counted.
    let bytes = decode(include_str!("rsa2048.txt"))?;
    drive.hsm.key_cache(&key(7, Flags::USAGE_ANY), &bytes)?;
    let stored = Key::Id(KeyId(7));
    let number: Vec<u8> = (0..=u8::MAX).collect();
    let (mut raised, mut back) = ([0; 256], [0; 256]);
    drive
        .op("RSA-2048 private", |hsm| hsm.rsa(RsaOperation::PrivateEncrypt, stored, &number, &mut raised))?;
    drive.op("RSA-2048 public", |hsm| hsm.rsa(RsaOperation::PublicDecrypt, stored, &raised, &mut back))?;
    ensure(back[..] == number, "another number came back")?;
    drive.hsm.key_evict(KeyId(7))?;
    Ok(())
}

fn lattices(drive: &mut Drive) -> Outcome {
    let stored = Key::Id(KeyId(8));
    let set = MlKem::MlKem768;
    drive.op("ML-KEM-768 key generation", |hsm| hsm.key_pair_generate(set, &key(8, Flags::USAGE_ANY)))?;
    let mut ciphertext = vec![0; set.ciphertext_size()];
    let (mut one, mut other) = ([0; 32], [0; 32]);
    drive
        .op("ML-KEM-768 encapsulate", |hsm| hsm.ml_kem_encapsulate(stored, set, &mut ciphertext, &mut one))?;
    drive.op("ML-KEM-768 decapsulate", |hsm| hsm.ml_kem_decapsulate(stored, set, &ciphertext, &mut other))?;
    ensure(one == other, "two secrets")?;
    drive.hsm.key_evict(KeyId(8))?;
    Ok(())
}

fn certificates(drive: &mut Drive) -> Outcome {
    let text = include_str!("../../../crates/cli/src/demo/certificates.txt");
    let find = |name: &str| {
        let line = text.lines().filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == name);
        decode(line.ok_or_else(|| format!("no certificate {name}"))?.1)
    };
    let root = ObjectId(0x61);
    drive.hsm.certificate_add(Root::new(root), &find("root")?)?;
    let chain = [find("intermediate")?, find("leaf")?].concat();
    drive.op("certificate chain of two, P-256", |hsm| hsm.certificate_verify(root, &chain))?;
    drive.hsm.certificate_erase(root)?;
    Ok(())
}

fn decode(digits: &str) -> Outcome<Vec<u8>> {
    let digits = digits.trim().as_bytes();
    let (pairs, _) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    pairs.iter().map(byte).collect()
}
