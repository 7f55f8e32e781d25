//! The accelerated driver beside the software and the library called directly, in thread CPU time: other programs on the
//! machine then count little.
//!
//! `cargo bench -p casemate-crypto-aws-lc -- p256` compares what is named. `library` is the library's own function on a
//! key object made beforehand: the limit. The driver gets its keys as bytes each time.

mod timer;

use aws_lc_sys as library;
use casemate_crypto::{
    CmacState, CtrState, Curve, Direction, Drbg, Driver, Ed25519Mode, EllipticCurve, Entropy, Error, MlDsa,
    MlDsaMessage, MlDsaSet, MlKem, MlKemSet, Rsa, RsaComponents, Software, cmac,
};
use casemate_crypto_aws_lc::AwsLc;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::time::Duration;
use timer::ThreadTime;

/// A stand-in for a noise source: the benchmark needs no secrets.
struct Constant;

impl Entropy for Constant {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        output.fill(0x5a);
        Ok(())
    }
}

fn software() -> Software<Mutex<Drbg<Constant>>> {
    Software::new(Mutex::new(Drbg::new(Constant, b"bench").expect("seeding")))
}

/// Runs one operation on both drivers, and the library's function if there is one. What a driver declines is left out.
fn compare(
    criterion: &mut Criterion<ThreadTime>,
    name: &str,
    mut operation: impl FnMut(&dyn Driver) -> Result<(), Error>,
    direct: Option<&mut dyn FnMut() -> bool>,
) {
    let software = software();
    let mut group = criterion.benchmark_group(name);
    if operation(&software) != Err(Error::Unsupported) {
        group.bench_function(BenchmarkId::from_parameter("software"), |bencher| {
            bencher.iter(|| operation(&software).expect("software"));
        });
    }
    if operation(&AwsLc) != Err(Error::Unsupported) {
        group.bench_function(BenchmarkId::from_parameter("driver"), |bencher| {
            bencher.iter(|| operation(&AwsLc).expect("driver"));
        });
    }
    if let Some(direct) = direct {
        group.bench_function(BenchmarkId::from_parameter("library"), |bencher| {
            bencher.iter(|| assert!(direct()));
        });
    }
    group.finish();
}

/// An operation that changes data in place.
type OnData<'a> = dyn FnMut(&dyn Driver, &mut [u8]) -> Result<(), Error> + 'a;

fn symmetric(criterion: &mut Criterion<ThreadTime>) {
    for (bits, key) in [(128, &[7_u8; 16][..]), (256, &[7; 32])] {
        for size in [16_usize, 64, 1024, 16384] {
            let mut data = vec![0x33; size];
            let mut tag = [0; 16];
            let mut run = |name: &str, operation: &mut OnData<'_>| {
                let name = format!("aes{bits}-{name}-{size}");
                compare(criterion, &name, |driver| operation(driver, &mut data), None);
            };
            run("cbc-encrypt", &mut |driver, data| driver.cbc(Direction::Encrypt, key, &mut [1; 16], data));
            run("cbc-decrypt", &mut |driver, data| driver.cbc(Direction::Decrypt, key, &mut [1; 16], data));
            run("ctr", &mut |driver, data| driver.ctr(key, &mut CtrState::new([1; 16]), data));
            run("gcm-seal", &mut |driver, data| driver.gcm_seal(key, &[2; 12], &[], data, &mut tag));
            run("cmac", &mut |driver, data| cmac(driver, key, &[data], &mut [0; 16]));
            run("cmac-update", &mut |driver, data| driver.cmac_update(key, &mut CmacState::default(), data));
        }
    }
}

fn curves(criterion: &mut Criterion<ThreadTime>) {
    for (curve, name, identifier) in [
        (Curve::P224, "p224", library::NID_secp224r1),
        (Curve::P256, "p256", library::NID_X9_62_prime256v1),
        (Curve::P384, "p384", library::NID_secp384r1),
        (Curve::P521, "p521", library::NID_secp521r1),
    ] {
        let (mut private, mut public) = (vec![0; curve.field_size()], vec![0; curve.point_size()]);
        AwsLc.ec_generate(curve, &mut private, &mut public).expect("a pair");
        let (mut signature, mut secret) = (public.clone(), private.clone());
        AwsLc.ecdsa_sign(curve, &private, &[1; 32], &mut signature).expect("signed");
        // SAFETY: the functions make a key and a signature that are never freed; all arguments are valid.
        let (key, pair) = unsafe {
            let key = library::EC_KEY_new_by_curve_name(identifier);
            assert_eq!(library::EC_KEY_generate_key(key), 1);
            (key, library::ECDSA_do_sign([1; 32].as_ptr(), 32, key))
        };
        let (mut some_private, mut some_public) = (private.clone(), public.clone());
        compare(
            criterion,
            &format!("{name}-generate"),
            |driver| driver.ec_generate(curve, &mut some_private, &mut some_public),
            // SAFETY: the key is made and freed here.
            Some(&mut || unsafe {
                let key = library::EC_KEY_new_by_curve_name(identifier);
                let answer = library::EC_KEY_generate_key(key);
                library::EC_KEY_free(key);
                answer == 1
            }),
        );
        compare(criterion, &format!("{name}-check"), |driver| driver.ec_check(curve, &public), None);
        let mut made = signature.clone();
        compare(
            criterion,
            &format!("{name}-sign"),
            |driver| driver.ecdsa_sign(curve, &private, &[1; 32], &mut made),
            // SAFETY: the key lives; the signature is made and freed here.
            Some(&mut || unsafe {
                let pair = library::ECDSA_do_sign([1; 32].as_ptr(), 32, key);
                library::ECDSA_SIG_free(pair);
                !pair.is_null()
            }),
        );
        compare(
            criterion,
            &format!("{name}-verify"),
            |driver| driver.ecdsa_verify(curve, &public, &[1; 32], &signature),
            // SAFETY: key and signature live.
            Some(&mut || unsafe { library::ECDSA_do_verify([1; 32].as_ptr(), 32, pair, key) == 1 }),
        );
        let size = private.len();
        let mut output = private.clone();
        compare(
            criterion,
            &format!("{name}-agree"),
            |driver| driver.ecdh(curve, &private, &public, &mut secret),
            // SAFETY: the key lives, and the output has a coordinate's size.
            Some(&mut || unsafe {
                let point = library::EC_KEY_get0_public_key(key);
                library::ECDH_compute_key(output.as_mut_ptr().cast(), size, point, key, None) > 0
            }),
        );
    }
}

fn curve25519(criterion: &mut Criterion<ThreadTime>) {
    let seed = [5; 32];
    let (mut public, mut key, mut other) = ([0; 32], [0; 64], [0; 32]);
    let mut signature = [0; 64];
    // SAFETY: all arrays have the sizes that the function knows.
    unsafe { library::ED25519_keypair_from_seed(public.as_mut_ptr(), key.as_mut_ptr(), seed.as_ptr()) };
    compare(
        criterion,
        "x25519-public",
        |driver| driver.x25519_public(&seed, &mut [0; 32]),
        // SAFETY: both arrays have 32 bytes.
        Some(&mut || unsafe {
            library::X25519_public_from_private(other.as_mut_ptr(), seed.as_ptr());
            true
        }),
    );
    compare(
        criterion,
        "x25519-agree",
        |driver| driver.x25519(&seed, &public, &mut [0; 32]),
        // SAFETY: all arrays have 32 bytes.
        Some(&mut || unsafe { library::X25519(other.as_mut_ptr(), seed.as_ptr(), public.as_ptr()) == 1 }),
    );
    compare(
        criterion,
        "ed25519-public",
        |driver| driver.ed25519_public(&seed, &mut [0; 32]),
        // SAFETY: all arrays have the sizes that the function knows.
        Some(&mut || unsafe {
            library::ED25519_keypair_from_seed(other.as_mut_ptr(), [0; 64].as_mut_ptr(), seed.as_ptr());
            true
        }),
    );
    compare(
        criterion,
        "ed25519-sign",
        |driver| driver.ed25519_sign(&seed, &public, Ed25519Mode::Pure, &[1; 64], &mut [0; 64]),
        // SAFETY: all arrays have the sizes that the function knows.
        Some(&mut || unsafe {
            library::ED25519_sign(signature.as_mut_ptr(), [1; 64].as_ptr(), 64, key.as_ptr()) == 1
        }),
    );
    compare(
        criterion,
        "ed25519-verify",
        |driver| driver.ed25519_verify(&public, Ed25519Mode::Pure, &[1; 64], &signature),
        // SAFETY: all arrays have the sizes that the function knows.
        Some(&mut || unsafe {
            library::ED25519_verify([1; 64].as_ptr(), 64, signature.as_ptr(), public.as_ptr()) == 1
        }),
    );
}

fn rsa(criterion: &mut Criterion<ThreadTime>) {
    for bits in [2048, 3072, 4096] {
        let size = bits / 8;
        let mut primes = vec![0; size];
        AwsLc.rsa_generate(bits, 65537, &mut primes).expect("primes");
        let (p, q) = primes.split_at(size / 2);
        let components = RsaComponents::derive(p, q, 65537).expect("a key");
        let key = components.private_key();
        let number = |bytes: &[u8]| {
            // SAFETY: pointer and length are those of a slice.
            unsafe { library::BN_bin2bn(bytes.as_ptr(), bytes.len(), null_mut()) }
        };
        // SAFETY: all numbers are valid and handed over; the key is never freed.
        let object = unsafe {
            let object = library::RSA_new();
            let (n, e, d) = (number(key.public.modulus), number(key.public.exponent), number(key.exponent));
            assert_eq!(library::RSA_set0_key(object, n, e, d), 1);
            assert_eq!(library::RSA_set0_factors(object, number(p), number(q)), 1);
            let (p, q, i) = (number(key.exponent_p), number(key.exponent_q), number(key.coefficient));
            assert_eq!(library::RSA_set0_crt_params(object, p, q, i), 1);
            object
        };
        let (mut data, input, mut output) = (vec![3; size], vec![3; size], vec![0; size]);
        let none = library::RSA_NO_PADDING;
        compare(
            criterion,
            &format!("rsa{bits}-private"),
            |driver| driver.rsa_private(&key, &mut data),
            // SAFETY: the key lives; input and output have the size of the modulus.
            Some(&mut || unsafe {
                let mut written = 0;
                let pointer = output.as_mut_ptr();
                library::RSA_sign_raw(object, &raw mut written, pointer, size, input.as_ptr(), size, none)
                    == 1
            }),
        );
        compare(
            criterion,
            &format!("rsa{bits}-public"),
            |driver| driver.rsa_public(&key.public, &mut data),
            // SAFETY: the key lives; input and output have the size of the modulus.
            Some(&mut || unsafe {
                let mut written = 0;
                let pointer = output.as_mut_ptr();
                library::RSA_verify_raw(object, &raw mut written, pointer, size, input.as_ptr(), size, none)
                    == 1
            }),
        );
    }
}

fn rsa_generate(criterion: &mut Criterion<ThreadTime>) {
    for bits in [2048, 3072] {
        let mut primes = vec![0; bits / 8];
        let name = format!("rsa{bits}-generate");
        compare(criterion, &name, |driver| driver.rsa_generate(bits, 65537, &mut primes), None);
    }
}

fn lattice(criterion: &mut Criterion<ThreadTime>) {
    for (set, name, identifier) in [
        (MlDsaSet::MlDsa44, "mldsa44", library::NID_MLDSA44),
        (MlDsaSet::MlDsa65, "mldsa65", library::NID_MLDSA65),
        (MlDsaSet::MlDsa87, "mldsa87", library::NID_MLDSA87),
    ] {
        let (mut private, mut public) = (vec![0; set.private_size()], vec![0; set.public_size()]);
        AwsLc.ml_dsa_from_seed(set, &[1; 32], &mut private, &mut public).expect("a pair");
        let (mut some_private, mut some_public) = (private.clone(), public.clone());
        compare(
            criterion,
            &format!("{name}-from-seed"),
            |driver| driver.ml_dsa_from_seed(set, &[1; 32], &mut some_private, &mut some_public),
            // SAFETY: the seed has 32 bytes; the key is freed here.
            Some(&mut || unsafe {
                let key = library::EVP_PKEY_pqdsa_new_raw_private_key(identifier, [1; 32].as_ptr(), 32);
                library::EVP_PKEY_free(key);
                !key.is_null()
            }),
        );
        compare(
            criterion,
            &format!("{name}-public"),
            |driver| driver.ml_dsa_public(set, &private, &mut some_public),
            None,
        );
        // SAFETY: pointer and length are those of a slice; the key is never freed.
        let key = unsafe {
            library::EVP_PKEY_pqdsa_new_raw_private_key(identifier, private.as_ptr(), private.len())
        };
        // How often signing starts over depends on the message, so messages change.
        let mut signature = vec![0; set.signature_size()];
        let mut made = signature.clone();
        let (mut count, mut direct_count) = (0_u32, 0_u32);
        compare(
            criterion,
            &format!("{name}-sign"),
            |driver| {
                count += 1;
                driver.ml_dsa_sign(
                    set,
                    &private,
                    MlDsaMessage::Pure(&count.to_ne_bytes()),
                    &[],
                    &mut signature,
                )
            },
            // SAFETY: the key lives; the operation is made and freed here; output and message have the lengths given.
            Some(&mut || unsafe {
                direct_count += 1;
                let operation = library::EVP_MD_CTX_new();
                library::EVP_DigestSignInit(operation, null_mut(), null(), null_mut(), key);
                let (message, mut size) = (direct_count.to_ne_bytes(), made.len());
                let pointer = made.as_mut_ptr();
                let answer = library::EVP_DigestSign(operation, pointer, &raw mut size, message.as_ptr(), 4);
                library::EVP_MD_CTX_free(operation);
                answer == 1
            }),
        );
        software()
            .ml_dsa_sign(set, &private, MlDsaMessage::Pure(b"text"), &[], &mut signature)
            .expect("signed");
        compare(
            criterion,
            &format!("{name}-verify"),
            |driver| driver.ml_dsa_verify(set, &public, MlDsaMessage::Pure(b"text"), &[], &signature),
            // SAFETY: the key lives; the operation is made and freed here; signature and message have the lengths given.
            Some(&mut || unsafe {
                let operation = library::EVP_MD_CTX_new();
                library::EVP_DigestVerifyInit(operation, null_mut(), null(), null_mut(), key);
                let (pointer, size) = (signature.as_ptr(), signature.len());
                let answer = library::EVP_DigestVerify(operation, pointer, size, b"text".as_ptr(), 4);
                library::EVP_MD_CTX_free(operation);
                answer == 1
            }),
        );
    }
    for (set, name, identifier) in [
        (MlKemSet::MlKem512, "mlkem512", library::NID_MLKEM512),
        (MlKemSet::MlKem768, "mlkem768", library::NID_MLKEM768),
        (MlKemSet::MlKem1024, "mlkem1024", library::NID_MLKEM1024),
    ] {
        let mut private = vec![0; set.private_size()];
        AwsLc.ml_kem_from_seed(set, &[1; 64], &mut private).expect("a key");
        let public = set.public_of(&private).expect("a public key").to_vec();
        let (mut ciphertext, mut secret) = (vec![0; set.ciphertext_size()], [0; 32]);
        let mut some_private = private.clone();
        // SAFETY: pointers and lengths are those of slices; keys and operations are never freed.
        let (sender, receiver) = unsafe {
            let (pointer, size) = (public.as_ptr(), public.len());
            let sender = library::EVP_PKEY_kem_new_raw_public_key(identifier, pointer, size);
            let (pointer, size) = (private.as_ptr(), private.len());
            let receiver = library::EVP_PKEY_kem_new_raw_secret_key(identifier, pointer, size);
            (library::EVP_PKEY_CTX_new(sender, null_mut()), library::EVP_PKEY_CTX_new(receiver, null_mut()))
        };
        compare(
            criterion,
            &format!("{name}-from-seed"),
            |driver| driver.ml_kem_from_seed(set, &[1; 64], &mut some_private),
            None,
        );
        let (mut made, mut size, mut secret_size) = (ciphertext.clone(), ciphertext.len(), 32);
        let mut made_secret = [0; 32];
        compare(
            criterion,
            &format!("{name}-encapsulate"),
            |driver| driver.ml_kem_encapsulate(set, &public, &mut ciphertext, &mut secret),
            // SAFETY: the operation lives; outputs have the lengths given.
            Some(&mut || unsafe {
                let (pointer, secret) = (made.as_mut_ptr(), made_secret.as_mut_ptr());
                library::EVP_PKEY_encapsulate(sender, pointer, &raw mut size, secret, &raw mut secret_size)
                    == 1
            }),
        );
        compare(
            criterion,
            &format!("{name}-decapsulate"),
            |driver| driver.ml_kem_decapsulate(set, &private, &ciphertext, &mut [0; 32]),
            // SAFETY: the operation lives; output and input have the lengths given.
            Some(&mut || unsafe {
                let (pointer, size) = (ciphertext.as_ptr(), ciphertext.len());
                let secret = made_secret.as_mut_ptr();
                library::EVP_PKEY_decapsulate(receiver, secret, &raw mut secret_size, pointer, size) == 1
            }),
        );
    }
}

fn quick() -> Criterion<ThreadTime> {
    Criterion::default()
        .with_measurement(ThreadTime)
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
}

criterion_group! { name = fast; config = quick(); targets = symmetric, curves, curve25519, rsa, lattice }
criterion_group! { name = slow; config = quick().measurement_time(Duration::from_secs(10)); targets = rsa_generate }
criterion_main!(fast, slow);
