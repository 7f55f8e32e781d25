//! Operations per second of the software driver on elliptic curves, encodings not included.
//!
//! `cargo bench -p casemate-crypto --bench elliptic_curve --features std`; without the feature the tables of the base
//! points are left out, as on a device.

use casemate_crypto::{
    Curve, Curve25519, Drbg, Ed25519Mode, EllipticCurve, Entropy, Error, Random, Software,
};
use core::cell::RefCell;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A stand-in for a noise source: the benchmark needs no secrets.
struct Constant;

impl Entropy for Constant {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        output.fill(0x5a);
        Ok(())
    }
}

fn elliptic_curve(criterion: &mut Criterion) {
    let driver = Software::new(RefCell::new(Drbg::new(Constant, b"bench").expect("seeding")));
    let mut group = criterion.benchmark_group("elliptic-curve");
    group.throughput(Throughput::Elements(1));
    for curve in Curve::ALL {
        let (mut private, mut public) = (vec![0; curve.field_size()], vec![0; curve.point_size()]);
        let (mut signature, mut secret) = (vec![0; curve.point_size()], vec![0; curve.field_size()]);
        group.bench_function(format!("{curve:?}-generate"), |bencher| {
            bencher.iter(|| driver.ec_generate(curve, &mut private, &mut public).expect("generate"));
        });
        driver.ec_generate(curve, &mut private, &mut public).expect("generate");
        group.bench_function(format!("{curve:?}-sign"), |bencher| {
            bencher.iter(|| driver.ecdsa_sign(curve, &private, &[7; 32], &mut signature).expect("sign"));
        });
        driver.ecdsa_sign(curve, &private, &[7; 32], &mut signature).expect("sign");
        group.bench_function(format!("{curve:?}-verify"), |bencher| {
            bencher.iter(|| driver.ecdsa_verify(curve, &public, &[7; 32], &signature).expect("verify"));
        });
        group.bench_function(format!("{curve:?}-agree"), |bencher| {
            bencher.iter(|| driver.ecdh(curve, &private, &public, &mut secret).expect("agree"));
        });
    }

    let (mut private, mut public, mut secret) = ([0; 32], [0; 32], [0; 32]);
    group.bench_function("X25519-generate", |bencher| {
        bencher.iter(|| {
            driver.fill(&mut private).expect("random");
            driver.x25519_public(&private, &mut public).expect("public");
        });
    });
    driver.x25519_public(&private, &mut public).expect("public");
    group.bench_function("X25519-agree", |bencher| {
        bencher.iter(|| driver.x25519(&private, &public, &mut secret).expect("agree"));
    });
    group.bench_function("Ed25519-generate", |bencher| {
        bencher.iter(|| {
            driver.fill(&mut private).expect("random");
            driver.ed25519_public(&private, &mut public).expect("public");
        });
    });
    driver.ed25519_public(&private, &mut public).expect("public");
    let mut signature = [0; 64];
    let mode = Ed25519Mode::Pure;
    group.bench_function("Ed25519-sign", |bencher| {
        bencher
            .iter(|| driver.ed25519_sign(&private, &public, mode, &[7; 32], &mut signature).expect("sign"));
    });
    driver.ed25519_sign(&private, &public, mode, &[7; 32], &mut signature).expect("sign");
    group.bench_function("Ed25519-verify", |bencher| {
        bencher.iter(|| driver.ed25519_verify(&public, mode, &[7; 32], &signature).expect("verify"));
    });
    group.finish();
}

criterion_group!(benches, elliptic_curve);
criterion_main!(benches);
