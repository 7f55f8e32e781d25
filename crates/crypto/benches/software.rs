//! Throughput of the software driver. Every call sets its key up, as a request to an HSM does.
//!
//! `cargo bench -p casemate-crypto`, or with `RUSTFLAGS` from the crate documentation for the portable code alone.

use casemate_crypto::{
    Aead, Cipher, CtrState, Direction, Drbg, Entropy, Error, HashAlgorithm, Mac, Random, Rsa, Software, cmac,
    encoding::RsaKey, hash, hkdf,
};
use core::cell::RefCell;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A stand-in for a noise source: the benchmark needs no secrets.
struct Constant;

impl Entropy for Constant {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        output.fill(0x5a);
        Ok(())
    }
}

fn software(criterion: &mut Criterion) {
    let driver = Software::new(RefCell::new(Drbg::new(Constant, b"bench").expect("seeding")));
    let mut group = criterion.benchmark_group("software");
    for size in [64_usize, 1024, 16384] {
        let mut data = vec![0x33; size];
        let mut tag = [0; 16];
        let (mut iv, nonce) = ([1; 16], [2; 12]);
        group.throughput(Throughput::Bytes(size as u64));
        for key in [&[7_u8; 16][..], &[7; 32]] {
            let bits = key.len() * 8;
            let mut run = |name: &str, operation: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>| {
                group.bench_function(BenchmarkId::new(format!("aes-{bits}-{name}"), size), |bencher| {
                    bencher.iter(|| operation(&mut data).expect("operation"));
                });
            };
            run("ecb", &mut |data| driver.ecb(Direction::Encrypt, key, data));
            run("cbc-encrypt", &mut |data| driver.cbc(Direction::Encrypt, key, &mut iv, data));
            run("cbc-decrypt", &mut |data| driver.cbc(Direction::Decrypt, key, &mut iv, data));
            run("ctr", &mut |data| driver.ctr(key, &mut CtrState::new([1; 16]), data));
            run("gcm-seal", &mut |data| driver.gcm_seal(key, &nonce, &[], data, &mut tag));
            run("ccm-seal", &mut |data| driver.ccm_seal(key, &nonce, &[], data, &mut tag));
            run("cmac", &mut |data| cmac(&driver, key, &[data], &mut tag));
        }
        // Opening restores the ciphertext first, because it is decrypted in place.
        let mut sealed = data.clone();
        driver.gcm_seal(&[7; 16], &nonce, &[], &mut sealed, &mut tag).expect("seal");
        group.bench_function(BenchmarkId::new("aes-128-gcm-open-and-copy", size), |bencher| {
            bencher.iter(|| {
                data.copy_from_slice(&sealed);
                driver.gcm_open(&[7; 16], &nonce, &[], &mut data, &tag).expect("open");
            });
        });
        let mut digest = [0; 64];
        for (name, algorithm, length) in [
            ("sha1", HashAlgorithm::Sha1, 20),
            ("sha256", HashAlgorithm::Sha256, 32),
            ("sha512", HashAlgorithm::Sha512, 64),
            ("sha3-256", HashAlgorithm::Sha3_256, 32),
            ("sha3-512", HashAlgorithm::Sha3_512, 64),
        ] {
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| hash(&driver, algorithm, &[&data], &mut digest[..length]).expect("hash"));
            });
        }
        group.bench_function(BenchmarkId::new("hmac-sha256", size), |bencher| {
            bencher.iter(|| {
                driver.hmac(HashAlgorithm::Sha256, &[7; 32], &[&data], &mut digest[..32]).expect("hmac");
            });
        });
        group.bench_function(BenchmarkId::new("random", size), |bencher| {
            bencher.iter(|| driver.fill(&mut data).expect("random"));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("derivation");
    group.bench_function("hkdf-sha256-32-32-64", |bencher| {
        let mut output = [0; 64];
        bencher.iter(|| {
            hkdf(&driver, HashAlgorithm::Sha256, &[1; 32], &[2; 32], b"info", &mut output).expect("hkdf");
            output
        });
    });
    group.finish();
}

fn rsa(criterion: &mut Criterion) {
    let driver = Software::new(RefCell::new(Drbg::new(Constant, b"bench").expect("seeding")));
    let mut group = criterion.benchmark_group("rsa");
    let keys: [(usize, &[u8]); 4] = [
        (1024, include_bytes!("../tests/data/rsa/private-1024.der")),
        (2048, include_bytes!("../tests/data/rsa/private-2048.der")),
        (3072, include_bytes!("../tests/data/rsa/private-3072.der")),
        (4096, include_bytes!("../tests/data/rsa/private-4096.der")),
    ];
    for (bits, der) in keys {
        let key = RsaKey::decode(der).and_then(|key| key.private()).expect("key");
        let mut data = vec![0x33; bits / 8];
        group.bench_function(BenchmarkId::new("private", bits), |bencher| {
            bencher.iter(|| driver.rsa_private(&key, &mut data).expect("private operation"));
        });
        group.bench_function(BenchmarkId::new("public", bits), |bencher| {
            bencher.iter(|| driver.rsa_public(&key.public, &mut data).expect("public operation"));
        });
    }
    group.sample_size(20);
    for bits in [2048, 3072] {
        let mut primes = vec![0; bits / 8];
        group.bench_function(BenchmarkId::new("generate", bits), |bencher| {
            bencher.iter(|| driver.rsa_generate(bits, 65537, &mut primes).expect("key"));
        });
    }
    group.finish();
}

criterion_group!(benches, software, rsa);
criterion_main!(benches);
