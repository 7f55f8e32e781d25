//! ML-DSA and ML-KEM through the software driver, from key bytes as a request to an HSM does it, and beside it the
//! library underneath called directly.
//!
//! `cargo bench -p casemate-crypto --bench lattice`

use casemate_crypto::{
    Drbg, Entropy, Error, HashAlgorithm, MlDsa, MlDsaMessage, MlDsaSet, MlKem, MlKemSet, Random, Software,
};
use core::cell::RefCell;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// A stand-in for a noise source: the benchmark needs no secrets.
struct Constant;

impl Entropy for Constant {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        output.fill(0x5a);
        Ok(())
    }
}

/// Random bytes for the library when it is called directly.
fn array<const N: usize>(random: &impl Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes).expect("random");
    bytes
}

fn signatures(criterion: &mut Criterion) {
    let driver = Software::new(RefCell::new(Drbg::new(Constant, b"bench").expect("seeding")));
    let mut group = criterion.benchmark_group("ml-dsa");
    macro_rules! set {
        ($set:expr, $library:ident, $name:literal) => {
            let mut private = [0; $set.private_size()];
            let mut public = [0; $set.public_size()];
            let mut signature = [0; $set.signature_size()];
            driver.ml_dsa_from_seed($set, &array(&driver), &mut private, &mut public).expect("generate");
            group.bench_function(concat!($name, "-generate"), |bencher| {
                bencher.iter(|| {
                    driver
                        .ml_dsa_from_seed($set, &array(&driver), &mut private, &mut public)
                        .expect("generate");
                });
            });
            group.bench_function(concat!($name, "-generate-library"), |bencher| {
                bencher.iter(|| libcrux_ml_dsa::$library::generate_key_pair(array(&driver)));
            });
            // The number of attempts varies with the message and the random bytes.
            let sign = |message: [u8; 32], signature: &mut [u8]| {
                let message = MlDsaMessage::Pure(&message);
                driver.ml_dsa_sign($set, &private, message, b"", signature).expect("sign");
            };
            group.bench_function(concat!($name, "-sign"), |bencher| {
                let input = || array(&driver);
                bencher.iter_batched(input, |message| sign(message, &mut signature), BatchSize::SmallInput);
            });
            let key = libcrux_ml_dsa::MLDSASigningKey::new(private);
            group.bench_function(concat!($name, "-sign-library"), |bencher| {
                bencher.iter_batched(
                    || array::<32>(&driver),
                    |message| libcrux_ml_dsa::$library::sign(&key, &message, b"", array(&driver)),
                    BatchSize::SmallInput,
                );
            });
            let message = MlDsaMessage::Digest(HashAlgorithm::Sha512, &[7; 64]);
            driver.ml_dsa_sign($set, &private, message, b"", &mut signature).expect("sign");
            group.bench_function(concat!($name, "-verify-digest"), |bencher| {
                bencher.iter(|| {
                    driver.ml_dsa_verify($set, &public, message, b"", &signature).expect("verify");
                });
            });
            let message = MlDsaMessage::Pure(&[7; 32]);
            driver.ml_dsa_sign($set, &private, message, b"", &mut signature).expect("sign");
            group.bench_function(concat!($name, "-verify"), |bencher| {
                bencher.iter(|| {
                    driver.ml_dsa_verify($set, &public, message, b"", &signature).expect("verify");
                });
            });
            let key = libcrux_ml_dsa::MLDSAVerificationKey::new(public);
            let signature = libcrux_ml_dsa::MLDSASignature::new(signature);
            group.bench_function(concat!($name, "-verify-library"), |bencher| {
                bencher.iter(|| {
                    libcrux_ml_dsa::$library::verify(&key, &[7; 32], b"", &signature).expect("verify");
                });
            });
        };
    }
    set!(MlDsaSet::MlDsa44, ml_dsa_44, "44");
    set!(MlDsaSet::MlDsa65, ml_dsa_65, "65");
    set!(MlDsaSet::MlDsa87, ml_dsa_87, "87");
    group.finish();
}

fn encapsulation(criterion: &mut Criterion) {
    let driver = Software::new(RefCell::new(Drbg::new(Constant, b"bench").expect("seeding")));
    let mut group = criterion.benchmark_group("ml-kem");
    macro_rules! set {
        ($set:expr, $library:ident, $name:literal) => {
            let mut private = [0; $set.private_size()];
            let mut ciphertext = [0; $set.ciphertext_size()];
            let mut secret = [0; 32];
            group.bench_function(concat!($name, "-generate"), |bencher| {
                bencher.iter(|| {
                    driver.ml_kem_from_seed($set, &array(&driver), &mut private).expect("generate");
                });
            });
            group.bench_function(concat!($name, "-generate-library"), |bencher| {
                bencher.iter(|| libcrux_ml_kem::$library::generate_key_pair(array(&driver)));
            });
            let public = $set.public_of(&private).expect("public");
            group.bench_function(concat!($name, "-encapsulate"), |bencher| {
                bencher.iter(|| {
                    driver
                        .ml_kem_encapsulate($set, public, &mut ciphertext, &mut secret)
                        .expect("encapsulate");
                });
            });
            let key = public.try_into().expect("size");
            group.bench_function(concat!($name, "-encapsulate-library"), |bencher| {
                bencher.iter(|| libcrux_ml_kem::$library::encapsulate(&key, array(&driver)));
            });
            group.bench_function(concat!($name, "-decapsulate"), |bencher| {
                bencher.iter(|| {
                    driver.ml_kem_decapsulate($set, &private, &ciphertext, &mut secret).expect("decapsulate");
                });
            });
            let (key, ciphertext) = (private.into(), ciphertext.into());
            group.bench_function(concat!($name, "-decapsulate-library"), |bencher| {
                bencher.iter(|| libcrux_ml_kem::$library::decapsulate(&key, &ciphertext));
            });
        };
    }
    set!(MlKemSet::MlKem512, mlkem512, "512");
    set!(MlKemSet::MlKem768, mlkem768, "768");
    set!(MlKemSet::MlKem1024, mlkem1024, "1024");
    group.finish();
}

criterion_group!(benches, signatures, encapsulation);
criterion_main!(benches);
