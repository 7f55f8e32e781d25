//! `casemate demo`: every feature once, checked.

mod audit;
pub(crate) mod certificate;
mod custom;
mod dma;
mod image;
mod she;
mod stateful;
mod transports;
mod users;

use crate::connection::{Hsm, TlsOptions, connect};
use crate::local::{Running, Setup, provision};
use crate::value::say;
use anyhow::{Context, Result, anyhow, bail, ensure};
use casemate_client::{
    CmacKdfInput, CtrState, Curve, Direction, Ed25519, Ed25519Mode, Endianness, Error, HashAlgorithm,
    HkdfInput, Key, KeyPair, MlDsa, MlDsaMessage, MlKem, NewKey, Rsa, RsaOperation, X25519,
};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{ClientId, Flags, KeyId, Label, Metadata, ObjectId, ObjectType, Status};
use clap::Args;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Run every feature against known answers, on a server of its own
///
/// Starts a server of its own on a free loopback port, with its objects in a temporary file, and uses it as two
/// clients would: every feature once, each result checked. Known answers come from the standards. A refusal that a
/// policy demands counts as a success.
///
/// Prints each step with its result and the time it took, and exits with an error if any step fails.
#[derive(Args)]
pub(crate) struct Demo {}

/// How long any one request may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The two clients.
const ALICE: u32 = 1;
const BOB: u32 = 2;
/// The number of the trusted key-encryption key, which is global.
const TRUSTED: u8 = 0xFE;

type Outcome = Result<String>;
/// What a client call failed with.
type CallError = Error<casemate_posix::LinkError>;

impl Demo {
    pub(crate) fn run(&self) -> Result<()> {
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        let image = directory.path().join("demo.image");
        let setup = Setup::default();
        let mut report = Report::default();

        let server = start(&setup, &image)?;
        say(format_args!("A server listens on {}, its objects are in {}.", server.address, image.display()))?;
        let mut hsm = client(&server.address, ALICE)?;
        connection_steps(&mut report, &mut hsm);
        nvm_steps(&mut report, &mut hsm);
        key_steps(&mut report, &mut hsm);
        counter_steps(&mut report, &mut hsm);
        random_steps(&mut report, &mut hsm);
        cipher_steps(&mut report, &mut hsm);
        digest_steps(&mut report, &mut hsm);
        derivation_steps(&mut report, &mut hsm);
        public_key_steps(&mut report, &mut hsm);
        post_quantum_steps(&mut report, &mut hsm);
        wrap_steps(&mut report, &mut hsm);
        certificate::steps(&mut report, &mut hsm);
        if let Some(alice) = ClientId::new(ALICE) {
            she::steps(&mut report, &mut hsm, alice);
        }
        isolation_steps(&mut report, &mut hsm, &server.address);
        transports::steps(&mut report);
        dma::steps(&mut report);
        stateful::steps(&mut report);
        custom::steps(&mut report);
        users::steps(&mut report);
        image::steps(&mut report);
        audit::steps(&mut report);

        report.group("Restart");
        report.step("commit a key, close, stop the server", || {
            let key = NewKey { id: KeyId(0x50), flags: Flags::USAGE_ANY, label: Label::from("survivor") };
            hsm.key_cache(&key, &hex::decode(KEY_128)?)?;
            hsm.key_commit(KeyId(0x50))?;
            hsm.counter_init(5, 41)?;
            hsm.close()?;
            Ok("stopped".to_owned())
        });
        drop(hsm);
        drop(server);
        report.step("start a server on the same file", || {
            let server = start(&setup, &image)?;
            let mut hsm = client(&server.address, ALICE)?;
            let metadata = hsm.nvm_metadata(ObjectId(0x1150))?;
            ensure!(metadata.label == Label::from("survivor"), "the key has another label");
            let mut data = hex::decode(FIPS_197_PLAINTEXT)?;
            hsm.aes_ecb(Direction::Encrypt, Key::Id(KeyId(0x50)), &mut data)?;
            expect(&data, "69c4e0d86a7b0430d8cdb78070b4c55a")?;
            ensure!(hsm.counter_increment(5)? == 42, "the counter was lost");
            hsm.close()?;
            Ok("committed key and counter are there".to_owned())
        });
        report.finish()
    }
}

fn start(setup: &Setup, image: &Path) -> Result<Running> {
    let server = setup.server(setup.file_store(image)?)?;
    provision(&server, ClientId::NONE, TRUSTED, &hex::decode(TRUSTED_KEY)?)?;
    Running::start(setup, Arc::new(server))
}

fn client(address: &str, id: u32) -> Result<Hsm> {
    let mut hsm = connect(address, &TlsOptions::default(), Setup::default().config.data_length, TIMEOUT)?;
    hsm.init(ClientId::new(id).context("client identifiers are 1 to 15")?)?;
    Ok(hsm)
}

/// The table, printed line by line as the steps go.
#[derive(Default)]
struct Report {
    passed: usize,
    failed: usize,
    broken_output: Option<anyhow::Error>,
}

impl Report {
    fn line(&mut self, text: String) {
        if let Err(error) = say(text) {
            self.broken_output.get_or_insert(error);
        }
    }

    fn group(&mut self, name: &str) {
        self.line(format!("\n{name}"));
    }

    fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) {
        let start = Instant::now();
        let outcome = work();
        let took = duration(start.elapsed());
        match outcome {
            Ok(result) => {
                self.passed += 1;
                self.line(format!("  ok    {name:<50}  {result:<42}  {took:>8}"));
            }
            Err(error) => {
                self.failed += 1;
                self.line(format!("  FAIL  {name:<50}  {:<42}  {took:>8}", format!("{error:#}")));
            }
        }
    }

    fn finish(self) -> Result<()> {
        if let Some(error) = self.broken_output {
            return Err(error);
        }
        say(format_args!("\n{} steps passed, {} failed", self.passed, self.failed))?;
        match self.failed {
            0 => Ok(()),
            1 => bail!("one step failed"),
            failed => bail!("{failed} steps failed"),
        }
    }
}

fn duration(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..10_000 => format!("{micros} µs"),
        micros => format!("{} ms", micros / 1000),
    }
}

/// Compares with a published answer.
fn expect(found: &[u8], expected: &str) -> Result<()> {
    let found = hex::encode(found);
    ensure!(found == expected, "expected {expected}, got {found}");
    Ok(())
}

/// The server has to refuse, with this status.
fn refused<T>(outcome: Result<T, CallError>, expected: Status) -> Outcome {
    match outcome {
        Err(Error::Remote(status)) if status == expected => Ok(format!("refused: {status:?}")),
        Err(error) => Err(anyhow!("expected {expected:?}, got: {error}")),
        Ok(_) => Err(anyhow!("expected {expected:?}, but it was allowed")),
    }
}

fn done() -> Outcome {
    Ok("done".to_owned())
}

fn connection_steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("Connection");
    report.step("info", || {
        let info = hsm.learn_limits()?;
        Ok(format!("{} bytes a packet, {} objects at most", info.data_length, info.nvm_object_count))
    });
    for size in [1, 1024, 8192] {
        report.step(&format!("echo {size} bytes"), || {
            let data: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
            ensure!(hsm.echo(&data)? == data, "other bytes came back");
            Ok("the same came back".to_owned())
        });
    }
}

fn nvm_steps(report: &mut Report, hsm: &mut Hsm) {
    let id = ObjectId(0x0042);
    let data: Vec<u8> = (0..3000_u32).flat_map(u32::to_le_bytes).take(5000).collect();
    let metadata = Metadata {
        id,
        access: Metadata::ACCESS_ANY,
        flags: Flags::NONE,
        length: 0,
        label: Label::from("calibration"),
    };
    report.group("Non-volatile memory");
    report.step("add an object of 5000 bytes", || {
        hsm.nvm_add(&metadata, &data)?;
        done()
    });
    report.step("list objects", || {
        let ids = hsm.nvm_list().collect::<Result<Vec<_>, _>>()?;
        ensure!(ids.contains(&id), "the object is not listed");
        Ok(ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    });
    report.step("read its metadata and its data", || {
        let found = hsm.nvm_metadata(id)?;
        ensure!(found.label == metadata.label && found.length == 5000, "the metadata differ");
        let mut read = vec![0; 5000];
        hsm.nvm_read(id, &mut read)?;
        ensure!(read == data, "the data differ");
        Ok("as it was written".to_owned())
    });
    report.step("replace it by one that must not be replaced", || {
        hsm.nvm_add(&Metadata { flags: Flags::NONMODIFIABLE, ..metadata }, b"final")?;
        done()
    });
    report.step("replace it again", || refused(hsm.nvm_add(&metadata, b"other"), Status::ACCESS));
    report.step("destroy another object", || {
        let other = ObjectId(0x0043);
        hsm.nvm_add(&Metadata { id: other, ..metadata }, b"short-lived")?;
        hsm.nvm_destroy(&[other])?;
        refused(hsm.nvm_metadata(other), Status::NOT_FOUND)?;
        Ok("gone".to_owned())
    });
    report.step("replace an object by a shorter one, and compact", || {
        hsm.nvm_add(&Metadata { id: ObjectId(0x0044), ..metadata }, &data)?;
        hsm.nvm_add(&Metadata { id: ObjectId(0x0044), ..metadata }, b"shorter")?;
        let reclaimable = hsm.nvm_available()?.reclaimable_size;
        hsm.nvm_compact()?;
        ensure!(reclaimable >= 5000, "the replaced version takes no space");
        ensure!(hsm.nvm_available()?.reclaimable_size == 0, "space is left to reclaim");
        Ok(format!("{reclaimable} bytes reclaimed"))
    });
}

fn key_steps(report: &mut Report, hsm: &mut Hsm) {
    let id = KeyId(0x10);
    let secret = [0x5A; 32];
    let new = NewKey { id, flags: Flags::USAGE_ENCRYPT, label: Label::from("demo") };
    report.group("Keys");
    report.step("cache a key under number 0x10", || {
        ensure!(hsm.key_cache(&new, &secret)? == id, "it got another number");
        done()
    });
    report.step("export it", || {
        let mut out = [0; 64];
        let (length, label) = hsm.key_export(id, &mut out)?;
        ensure!(out[..length] == secret && label == new.label, "another key came out");
        Ok("the same came out".to_owned())
    });
    report.step("decrypt with it, which its usage does not allow", || {
        refused(hsm.aes_ecb(Direction::Decrypt, Key::Id(id), &mut [0; 16]), Status::USAGE)
    });
    report.step("commit, evict, and use it again", || {
        hsm.key_commit(id)?;
        hsm.key_evict(id)?;
        hsm.aes_ecb(Direction::Encrypt, Key::Id(id), &mut [0; 16])?;
        Ok("it came back from non-volatile memory".to_owned())
    });
    report.step("erase it, and use it again", || {
        hsm.key_erase(id)?;
        refused(hsm.aes_ecb(Direction::Encrypt, Key::Id(id), &mut [0; 16]), Status::NOT_FOUND)
    });
    report.step("have the server make a key of 32 bytes", || {
        let new = NewKey { flags: Flags::USAGE_ANY | Flags::NONEXPORTABLE, ..NewKey::default() };
        let made = hsm.key_cache_random(&new, 32)?;
        refused(hsm.key_export(made, &mut [0; 64]), Status::ACCESS)?;
        hsm.key_evict(made)?;
        Ok(format!("number {made}, export refused"))
    });
    report.step("replace a key that must not be modified", || {
        let fixed = KeyId(0x11);
        hsm.key_cache(&NewKey { id: fixed, flags: Flags::NONMODIFIABLE, ..new }, &secret)?;
        refused(hsm.key_cache(&NewKey { id: fixed, ..new }, &[1; 16]), Status::ACCESS)
    });
    report.step("revoke a key, then use it", || {
        let id = KeyId(0x12);
        hsm.key_cache(&NewKey { id, ..new }, &secret)?;
        hsm.key_commit(id)?;
        hsm.key_revoke(id)?;
        refused(hsm.aes_ecb(Direction::Encrypt, Key::Id(id), &mut [0; 16]), Status::USAGE)
    });
    report.step("mark a key as trusted, as only the owner may", || {
        let id = KeyId(0x13);
        hsm.key_cache(&NewKey { id, flags: Flags::TRUSTED | Flags::USAGE_WRAP, ..new }, &[7; 32])?;
        let refused = refused(hsm.key_unwrap_cache(id, &[0; 92]), Status::ACCESS);
        hsm.key_evict(id)?;
        refused
    });
    report.step("fill the key cache", || {
        let mut made = Vec::new();
        let full = loop {
            match hsm.key_cache_random(&NewKey::default(), 16) {
                Ok(id) if made.len() < 100 => made.push(id),
                other => break other,
            }
        };
        let refusal = refused(full, Status::NO_SPACE);
        for &id in &made {
            hsm.key_evict(id)?;
        }
        refusal.map(|text| format!("after {} more keys {text}", made.len()))
    });
}

fn counter_steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("Counters");
    report.step("create, increment, read, destroy", || {
        ensure!(hsm.counter_init(7, 40)? == 40, "another value");
        hsm.counter_increment(7)?;
        ensure!(hsm.counter_increment(7)? == 42, "another value");
        ensure!(hsm.counter_read(7)? == 42, "another value");
        hsm.counter_destroy(7)?;
        Ok("40, 41, 42".to_owned())
    });
    report.step("read a counter that is gone", || refused(hsm.counter_read(7), Status::NOT_FOUND));
    report.step("increment at 4294967295", || {
        hsm.counter_init(8, u32::MAX)?;
        ensure!(hsm.counter_increment(8)? == u32::MAX, "it went round");
        hsm.counter_destroy(8)?;
        Ok("stays there".to_owned())
    });
}

fn random_steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("Random numbers");
    report.step("20000 bytes, in several requests", || {
        let mut bytes = vec![0; 20_000];
        hsm.random(&mut bytes)?;
        let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
        // 80000 ± 1700 is eight standard deviations.
        ensure!((78_300..81_700).contains(&ones), "{ones} of 160000 bits are set");
        let mut blocks: Vec<_> = bytes.chunks_exact(16).collect();
        blocks.sort_unstable();
        ensure!(blocks.windows(2).all(|pair| pair[0] != pair[1]), "a block came twice");
        Ok(format!("{ones} of 160000 bits set, no block twice"))
    });
}

// FIPS 197, appendix C.
const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const FIPS_197_PLAINTEXT: &str = "00112233445566778899aabbccddeeff";
const FIPS_197: [(&str, &str); 3] = [
    (KEY_128, "69c4e0d86a7b0430d8cdb78070b4c55a"),
    ("000102030405060708090a0b0c0d0e0f1011121314151617", "dda97ca4864cdfe06eaf70a0ec0d7191"),
    ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "8ea2b7ca516745bfeafc49904b496089"),
];
// NIST SP 800-38A, appendix F, and SP 800-38B, appendix D: the same key and plaintext.
const SP_800_38_KEY: &str = "2b7e151628aed2a6abf7158809cf4f3c";
const SP_800_38_PLAINTEXT: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                                   30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
const CBC_CIPHERTEXT: &str = "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
                              73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7";
const CTR_CIPHERTEXT: &str = "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
                              5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee";
// McGrew and Viega, The Galois/Counter Mode of Operation, test case 4.
const GCM_KEY: &str = "feffe9928665731c6d6a8f9467308308";
const GCM_NONCE: &str = "cafebabefacedbaddecaf888";
const GCM_ASSOCIATED: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const GCM_PLAINTEXT: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
const GCM_CIPHERTEXT: &str = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
                              21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091";
const GCM_TAG: &str = "5bc94fbc3221a5db94fae95ae7121a47";
/// The owner's key-encryption key of this demonstration.
const TRUSTED_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn cipher_steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("AES, with keys that stay in the server");
    let id = KeyId(0x20);
    let new = NewKey { id, flags: Flags::USAGE_ANY, ..NewKey::default() };
    for (key, ciphertext) in FIPS_197 {
        report.step(&format!("ECB, {} bits (FIPS 197)", key.len() * 4), || {
            hsm.key_cache(&new, &hex::decode(key)?)?;
            let mut data = hex::decode(FIPS_197_PLAINTEXT)?;
            hsm.aes_ecb(Direction::Encrypt, Key::Id(id), &mut data)?;
            expect(&data, ciphertext)?;
            hsm.aes_ecb(Direction::Decrypt, Key::Id(id), &mut data)?;
            expect(&data, FIPS_197_PLAINTEXT)?;
            Ok("known answer, and back".to_owned())
        });
    }
    report.step("CBC, 128 bits (SP 800-38A, F.2.1)", || {
        hsm.key_cache(&new, &hex::decode(SP_800_38_KEY)?)?;
        let iv = hex::decode(KEY_128)?.try_into().map_err(|_| anyhow!("an IV has 16 bytes"))?;
        let mut data = hex::decode(SP_800_38_PLAINTEXT)?;
        hsm.aes_cbc(Direction::Encrypt, Key::Id(id), &mut { iv }, &mut data)?;
        expect(&data, CBC_CIPHERTEXT)?;
        hsm.aes_cbc(Direction::Decrypt, Key::Id(id), &mut { iv }, &mut data)?;
        expect(&data, SP_800_38_PLAINTEXT)?;
        Ok("known answer, and back".to_owned())
    });
    report.step("CTR, 128 bits, in two pieces (SP 800-38A, F.5.1)", || {
        let counter = hex::decode("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")?;
        let counter = counter.try_into().map_err(|_| anyhow!("a counter has 16 bytes"))?;
        let mut state = CtrState::new(counter);
        let mut data = hex::decode(SP_800_38_PLAINTEXT)?;
        let (first, second) = data.split_at_mut(21);
        hsm.aes_ctr(Key::Id(id), &mut state, first)?;
        hsm.aes_ctr(Key::Id(id), &mut state, second)?;
        expect(&data, CTR_CIPHERTEXT)?;
        Ok("known answer".to_owned())
    });
    let nonce = hex::decode(GCM_NONCE).unwrap_or_default();
    let associated = hex::decode(GCM_ASSOCIATED).unwrap_or_default();
    report.step("GCM, 128 bits (McGrew and Viega, case 4)", || {
        hsm.key_cache(&new, &hex::decode(GCM_KEY)?)?;
        let mut data = hex::decode(GCM_PLAINTEXT)?;
        let mut tag = [0; 16];
        hsm.aes_gcm_encrypt(Key::Id(id), &nonce, &associated, &mut data, &mut tag)?;
        expect(&data, GCM_CIPHERTEXT)?;
        expect(&tag, GCM_TAG)?;
        hsm.aes_gcm_decrypt(Key::Id(id), &nonce, &associated, &mut data, &tag)?;
        expect(&data, GCM_PLAINTEXT)?;
        Ok("known answer, and back".to_owned())
    });
    report.step("GCM, one bit of the tag changed", || {
        let mut data = hex::decode(GCM_CIPHERTEXT)?;
        let mut tag = hex::decode(GCM_TAG)?;
        tag[0] ^= 1;
        let outcome = hsm.aes_gcm_decrypt(Key::Id(id), &nonce, &associated, &mut data, &tag);
        refused(outcome, Status::AES_GCM_AUTHENTICATION)
    });
    report.step("ECB, the key in the request (FIPS 197)", || {
        let key = hex::decode(KEY_128)?;
        let mut data = hex::decode(FIPS_197_PLAINTEXT)?;
        hsm.aes_ecb(Direction::Encrypt, Key::Inline(&key), &mut data)?;
        expect(&data, FIPS_197[0].1)?;
        Ok("known answer".to_owned())
    });
}

fn digest_steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("Hashes and message authentication");
    // FIPS 180-4 and FIPS 202, NIST's examples for the message "abc".
    for (algorithm, digest) in [
        (HashAlgorithm::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (HashAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            HashAlgorithm::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            HashAlgorithm::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (HashAlgorithm::Sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        (
            HashAlgorithm::Sha3_384,
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2\
             98d88cea927ac7f539f1edf228376d25",
        ),
    ] {
        let source = if algorithm.name().starts_with("SHA3") { "FIPS 202" } else { "FIPS 180-4" };
        report.step(&format!("{} of \"abc\" ({source})", algorithm.name()), || {
            expect(hsm.hash(algorithm, b"abc")?.as_bytes(), digest)?;
            Ok("known answer".to_owned())
        });
    }
    report.step("SHA-256 of a million times \"a\" (FIPS 180-4)", || {
        let mut hasher = hsm.hasher(HashAlgorithm::Sha256);
        let piece = [b'a'; 9999];
        for _ in 0..100 {
            hasher.update(&piece)?;
            hasher.update(b"a")?;
        }
        let digest = hasher.finish()?;
        expect(digest.as_bytes(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")?;
        Ok("known answer".to_owned())
    });
    report.step("HMAC-SHA-256 (RFC 4231, case 2)", || {
        let mac = hsm.hmac(HashAlgorithm::Sha256, b"Jefe", b"what do ya want for nothing?")?;
        expect(mac.as_bytes(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")?;
        Ok("known answer".to_owned())
    });
    let id = KeyId(0x21);
    report.step("CMAC of 64 bytes (SP 800-38B, D.1)", || {
        let new = NewKey { id, flags: Flags::USAGE_SIGN | Flags::USAGE_VERIFY, ..NewKey::default() };
        hsm.key_cache(&new, &hex::decode(SP_800_38_KEY)?)?;
        let mut mac = [0; 16];
        hsm.cmac(Key::Id(id), &hex::decode(SP_800_38_PLAINTEXT)?, &mut mac)?;
        expect(&mac, "51f0bebf7e3b9d92fc49741779363cfe")?;
        hsm.cmac_verify(Key::Id(id), &hex::decode(SP_800_38_PLAINTEXT)?, &mac)?;
        Ok("known answer".to_owned())
    });
    report.step("CMAC key used to encrypt", || {
        let refusal = refused(hsm.aes_ecb(Direction::Encrypt, Key::Id(id), &mut [0; 16]), Status::USAGE);
        hsm.key_evict(id)?;
        refusal
    });
}

fn derivation_steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("Key derivation");
    report.step("HKDF-SHA-256 (RFC 5869, A.1)", || {
        let salt: Vec<u8> = (0..=0x0C).collect();
        let info: Vec<u8> = (0xF0..=0xF9).collect();
        let input = HkdfInput {
            hash: HashAlgorithm::Sha256,
            key: Key::Inline(&[0x0B; 22]),
            salt: &salt,
            info: &info,
        };
        let mut out = [0; 42];
        hsm.hkdf_export(&input, &mut out)?;
        expect(&out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")?;
        Ok("known answer".to_owned())
    });
    report.step("HKDF into a key that stays in the server", || {
        let input = HkdfInput {
            hash: HashAlgorithm::Sha256,
            key: Key::Inline(&[0x0B; 22]),
            salt: &[],
            info: b"session",
        };
        let new = NewKey { id: KeyId(0x22), flags: Flags::USAGE_ENCRYPT, label: Label::from("derived") };
        let id = hsm.hkdf_cache(&input, &new, 32)?;
        hsm.aes_ecb(Direction::Encrypt, Key::Id(id), &mut [0; 16])?;
        hsm.key_evict(id)?;
        Ok(format!("key {id} encrypts"))
    });
    report.step("CMAC-KDF, rebuilt from CMACs (SP 800-56C)", || {
        let salt = hex::decode(SP_800_38_KEY)?;
        let (z, info) = ([0x33; 40], b"fixed information");
        let mut out = [0; 32];
        let input = CmacKdfInput { salt: Key::Inline(&salt), z: Key::Inline(&z), info };
        hsm.cmac_kdf_export(&input, &mut out)?;
        // Extraction: a CMAC of Z under the salt. Expansion: CMACs of a counter and the information.
        let mut step = [0; 16];
        hsm.cmac(Key::Inline(&salt), &z, &mut step)?;
        let mut rebuilt = Vec::new();
        for counter in [1_u32, 2] {
            let message = [&counter.to_be_bytes()[..], info].concat();
            let mut block = [0; 16];
            hsm.cmac(Key::Inline(&step), &message, &mut block)?;
            rebuilt.extend_from_slice(&block);
        }
        ensure!(out[..] == rebuilt, "the two differ");
        Ok("equal".to_owned())
    });
}

// RFC 6979, A.2.5 and A.2.6: public key and signature, in DER, of "sample" with SHA-256, SHA-384.
const RFC_6979: [(Curve, HashAlgorithm, &str, &str); 2] = [
    (
        Curve::P256,
        HashAlgorithm::Sha256,
        "3059301306072a8648ce3d020106082a8648ce3d0301070342000460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6c\
         e669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657c41d436c7\
         a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ),
    (
        Curve::P384,
        HashAlgorithm::Sha384,
        "3076301006072a8648ce3d020106052b8104002203620004ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5\
         286b300c64def8f0ea9055866064a254515480bc138015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f\
         1c9db1288b231c3ae0d4fe7344fd2533264720",
        "306602310094edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fa\
         be4602310099ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38\
         628ac8",
    ),
];
// RFC 8032, 7.1, test 3: seed, public key, message, signature.
const RFC_8032: [&str; 4] = [
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
     18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
];
// RFC 7748, 6.1: Bob's private key and public key, Alice's public key, the shared secret.
const RFC_7748: [&str; 4] = [
    "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
];

/// Octets in the order that X25519 keys have on the wire.
fn reversed(octets: &str) -> Result<Vec<u8>> {
    let mut octets = hex::decode(octets)?;
    octets.reverse();
    Ok(octets)
}

/// A private key of Curve25519 as servers keep it; `arc` is 0x6E for X25519 and 0x70 for Ed25519.
fn curve25519_key(arc: u8, private: &[u8], public: &[u8]) -> Vec<u8> {
    let prefix = [0x30, 0x50, 2, 1, 1, 0x30, 5, 6, 3, 0x2B, 0x65, arc, 4, 0x22, 4, 0x20];
    [&prefix[..], private, &[0x81, 0x20], public].concat()
}

/// A key pair under number 0x60, and its public key.
fn key_pair(hsm: &mut Hsm, pair: impl KeyPair) -> Result<(Key<'static>, Vec<u8>)> {
    let flags = Flags::USAGE_ANY | Flags::NONEXPORTABLE;
    let new = NewKey { id: KeyId(0x60), flags, label: Label::from("key pair") };
    let mut public = vec![0; 4096];
    let (id, length) = hsm.key_pair_generate_with_public(pair, &new, &mut public)?;
    public.truncate(length);
    Ok((Key::Id(id), public))
}

fn drop_key(hsm: &mut Hsm, key: Key<'_>) -> Result<()> {
    if let Key::Id(id) = key {
        hsm.key_evict(id)?;
    }
    Ok(())
}

fn public_key_steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("Public keys");
    for (curve, algorithm, public, signature) in RFC_6979 {
        let name = format!("ECDSA {} verifies a signature (RFC 6979)", curve.name());
        report.step(&name, || {
            let (public, signature) = (hex::decode(public)?, hex::decode(signature)?);
            let key = Key::Inline(&public);
            let hash = hsm.hash(algorithm, b"sample")?;
            ensure!(hsm.ecdsa_verify(key, &signature, hash.as_bytes())?, "it does not verify");
            let other = hsm.hash(algorithm, b"Sample")?;
            ensure!(!hsm.ecdsa_verify(key, &signature, other.as_bytes())?, "another message verifies too");
            Ok("known answer; another message does not".to_owned())
        });
    }
    for curve in Curve::ALL {
        report.step(&format!("{} key pair, sign, verify, agree", curve.name()), || {
            let hash = hsm.hash(HashAlgorithm::Sha256, b"meet me at the casemate")?;
            let (key, public) = key_pair(hsm, curve)?;
            let mut signature = [0; 256];
            let length = hsm.ecdsa_sign(key, hash.as_bytes(), &mut signature)?;
            let verified = hsm.ecdsa_verify(Key::Inline(&public), &signature[..length], hash.as_bytes())?;
            ensure!(verified, "the signature does not verify");
            let mut tampered = hash.as_bytes().to_vec();
            tampered[0] ^= 1;
            let verified = hsm.ecdsa_verify(key, &signature[..length], &tampered)?;
            ensure!(!verified, "a tampered message verifies");
            // A peer whose private key is here.
            let mut peer = [0; 256];
            let peer_length = hsm.key_pair_generate_export(curve, &mut peer)?;
            let peer = Key::Inline(&peer[..peer_length]);
            let (mut ours, mut theirs) = ([0; 66], [0; 66]);
            let length = hsm.ecdh_export(key, peer, &mut ours)?;
            hsm.ecdh_export(peer, Key::Inline(&public), &mut theirs)?;
            ensure!(length == curve.field_size() && ours == theirs, "the two secrets differ");
            drop_key(hsm, key)?;
            Ok("valid; tampered refused; one secret".to_owned())
        });
    }
    let [seed, public, message, signature] = RFC_8032;
    report.step("Ed25519 with a known key (RFC 8032, test 3)", || {
        let key = curve25519_key(0x70, &hex::decode(seed)?, &hex::decode(public)?);
        let message = hex::decode(message)?;
        let made = hsm.ed25519_sign(Key::Inline(&key), Ed25519Mode::Pure, &message)?;
        expect(&made, signature)?;
        Ok("known answer".to_owned())
    });
    report.step("Ed25519 key pair, three modes, tampered", || {
        let (key, public) = key_pair(hsm, Ed25519)?;
        let digest = hsm.hash(HashAlgorithm::Sha512, b"abc")?;
        for (mode, message) in [
            (Ed25519Mode::Pure, &b"abc"[..]),
            (Ed25519Mode::Context(b"demo"), b"abc"),
            (Ed25519Mode::Prehashed(b"demo"), digest.as_bytes()),
        ] {
            let mut signature = hsm.ed25519_sign(key, mode, message)?;
            let public = Key::Inline(&public);
            ensure!(hsm.ed25519_verify(public, mode, &signature, message)?, "{mode:?} does not verify");
            signature[0] ^= 1;
            ensure!(!hsm.ed25519_verify(public, mode, &signature, message)?, "{mode:?}, tampered, verifies");
        }
        drop_key(hsm, key)?;
        Ok("valid; tampered refused".to_owned())
    });
    let [private, public, peer, secret] = RFC_7748;
    report.step("X25519 with known keys (RFC 7748, 6.1)", || {
        let key = curve25519_key(0x6E, &reversed(private)?, &reversed(public)?);
        let peer = [&hex::decode("302a300506032b656e032100")?[..], &reversed(peer)?].concat();
        let mut found = [0; 32];
        hsm.x25519_export(Key::Inline(&key), Key::Inline(&peer), Endianness::Little, &mut found)?;
        expect(&found, secret)?;
        Ok("known answer".to_owned())
    });
    report.step("X25519 secret that stays in the server", || {
        let (key, public) = key_pair(hsm, X25519)?;
        let new = NewKey { id: KeyId(0x61), flags: Flags::USAGE_DERIVE, label: Label::from("agreed") };
        let agreed = hsm.x25519_cache(key, Key::Inline(&public), Endianness::Little, &new)?;
        let input =
            HkdfInput { hash: HashAlgorithm::Sha256, key: Key::Id(agreed), salt: &[], info: b"session" };
        hsm.hkdf_export(&input, &mut [0; 32])?;
        hsm.key_evict(agreed)?;
        drop_key(hsm, key)?;
        Ok(format!("key {agreed} derives"))
    });
    report.step("export a private key, and its public half", || {
        let (key, public) = key_pair(hsm, Curve::P256)?;
        refused(hsm.key_export(KeyId(0x60), &mut [0; 256]), Status::ACCESS)?;
        let mut exported = [0; 256];
        let (length, _) = hsm.key_export_public(KeyId(0x60), KeyAlgorithm::ECC, &mut exported)?;
        ensure!(exported[..length] == public, "another public key came out");
        drop_key(hsm, key)?;
        Ok("private refused, public came out".to_owned())
    });
    report.step("RSA-2048 key pair, raise to d and to e", || {
        let (key, public) = key_pair(hsm, Rsa::new(2048))?;
        let number: Vec<u8> = (0..=u8::MAX).collect();
        let (mut raised, mut back) = ([0; 256], [0; 256]);
        ensure!(hsm.rsa_size(key)? == 256, "another size");
        hsm.rsa(RsaOperation::PrivateEncrypt, key, &number, &mut raised)?;
        ensure!(raised[..] != number, "nothing was done");
        hsm.rsa(RsaOperation::PublicDecrypt, Key::Inline(&public), &raised, &mut back)?;
        ensure!(back[..] == number, "another number came back");
        drop_key(hsm, key)?;
        Ok("the same number came back".to_owned())
    });
}

fn post_quantum_steps(report: &mut Report, hsm: &mut Hsm) {
    report.group("Post-quantum keys");
    for parameters in MlDsa::ALL {
        report.step(&format!("{} key pair, sign, verify", parameters.name()), || {
            let (key, public) = key_pair(hsm, parameters)?;
            let (message, other) = (MlDsaMessage::Pure(b"abc"), MlDsaMessage::Pure(b"abd"));
            let mut signature = vec![0; parameters.signature_size()];
            hsm.ml_dsa_sign(key, parameters, message, b"demo", &mut signature)?;
            let public = Key::Inline(&public);
            ensure!(
                hsm.ml_dsa_verify(public, parameters, &signature, message, b"demo")?,
                "it does not verify"
            );
            for (message, context) in [(other, &b"demo"[..]), (message, b"")] {
                let verified = hsm.ml_dsa_verify(public, parameters, &signature, message, context)?;
                ensure!(!verified, "another message or context verifies");
            }
            drop_key(hsm, key)?;
            Ok("valid; other message or context refused".to_owned())
        });
    }
    for parameters in MlKem::ALL {
        report.step(&format!("{} key pair, encapsulate, open", parameters.name()), || {
            let (key, public) = key_pair(hsm, parameters)?;
            let mut ciphertext = vec![0; parameters.ciphertext_size()];
            let (mut sent, mut received) = ([0; 32], [0; 32]);
            hsm.ml_kem_encapsulate(Key::Inline(&public), parameters, &mut ciphertext, &mut sent)?;
            hsm.ml_kem_decapsulate(key, parameters, &ciphertext, &mut received)?;
            ensure!(sent == received, "the two secrets differ");
            ciphertext[0] ^= 1;
            hsm.ml_kem_decapsulate(key, parameters, &ciphertext, &mut received)?;
            ensure!(sent != received, "a damaged ciphertext gives the secret");
            drop_key(hsm, key)?;
            Ok("one secret; damaged, another".to_owned())
        });
    }
}

fn wrap_steps(report: &mut Report, hsm: &mut Hsm) {
    let kek = KeyId(u16::from(TRUSTED) | KeyId::GLOBAL);
    let id = KeyId(0x30);
    let mut blob = [0; 256];
    let mut length = 0;
    report.group("Key wrapping, under a key that the server's owner trusts");
    report.step("read the trusted key", || refused(hsm.key_export(kek, &mut [0; 64]), Status::ACCESS));
    report.step("wrap a key that the server holds", || {
        let new = NewKey { id, flags: Flags::USAGE_ANY, label: Label::from("travels") };
        hsm.key_cache(&new, &hex::decode(KEY_128)?)?;
        length = hsm.key_wrap_export(kek, id, ObjectType::CRYPTO, &mut blob)?;
        hsm.key_evict(id)?;
        Ok(format!("{length} bytes of ciphertext"))
    });
    report.step("unwrap it into the server, and use it", || {
        let back = hsm.key_unwrap_cache(kek, &blob[..length])?;
        let mut data = hex::decode(FIPS_197_PLAINTEXT)?;
        hsm.aes_ecb(Direction::Encrypt, Key::Id(back), &mut data)?;
        expect(&data, FIPS_197[0].1)?;
        hsm.key_evict(back)?;
        Ok(format!("key {back}, known answer (FIPS 197)"))
    });
    report.step("unwrap it with one bit changed", || {
        let mut changed = blob;
        changed[length - 1] ^= 1;
        match hsm.key_unwrap_cache(kek, &changed[..length]) {
            Err(Error::Remote(status)) => Ok(format!("refused: {status:?}")),
            Err(error) => Err(error.into()),
            Ok(_) => bail!("it was accepted"),
        }
    });
    report.step("wrap data, and unwrap them", || {
        let (mut sealed, mut opened) = ([0; 256], [0; 256]);
        let sealed_length = hsm.data_wrap(kek, b"meet me at the casemate", &mut sealed)?;
        let length = hsm.data_unwrap(kek, &sealed[..sealed_length], &mut opened)?;
        ensure!(&opened[..length] == b"meet me at the casemate", "other data came out");
        Ok("the same came out".to_owned())
    });
}

fn isolation_steps(report: &mut Report, alice: &mut Hsm, address: &str) {
    report.group("Two clients at once");
    let mut bob = match client(address, BOB) {
        Ok(bob) => bob,
        Err(error) => return report.step("connect a second client", || Err(error)),
    };
    let id = KeyId(0x40);
    report.step("both use number 0x40 for a key of their own", || {
        let new = NewKey { id, flags: Flags::USAGE_ANY, ..NewKey::default() };
        alice.key_cache(&new, &[0xA1; 16])?;
        alice.key_commit(id)?;
        bob.key_cache(&new, &[0xB0; 16])?;
        let mut key = [0; 16];
        alice.key_export(id, &mut key)?;
        ensure!(key == [0xA1; 16], "one key replaced the other");
        Ok("two keys".to_owned())
    });
    report.step("the second reads the first one's committed key", || {
        refused(bob.nvm_read(ObjectId(0x1140), &mut [0; 16]), Status::ACCESS)
    });
    report.step("... and destroys it", || refused(bob.nvm_destroy(&[ObjectId(0x1140)]), Status::ACCESS));
    report.step("... and claims to be the first", || {
        let Some(first) = ClientId::new(ALICE) else { bail!("no such client") };
        match bob.init(first) {
            Err(Error::Protocol(_) | Error::Remote(_)) => Ok("refused".to_owned()),
            Err(error) => Err(error.into()),
            Ok(_) => bail!("it was allowed"),
        }
    });
    report.step("a global key, made by one and used by the other", || {
        let shared = KeyId(0x41 | KeyId::GLOBAL);
        let new = NewKey { id: shared, flags: Flags::USAGE_ANY, ..NewKey::default() };
        alice.key_cache(&new, &hex::decode(KEY_128)?)?;
        let mut data = hex::decode(FIPS_197_PLAINTEXT)?;
        bob.aes_ecb(Direction::Encrypt, Key::Id(shared), &mut data)?;
        expect(&data, FIPS_197[0].1)?;
        bob.close()?;
        Ok("known answer (FIPS 197)".to_owned())
    });
}
