//! Key generation, signing and verification.
//!
//! `cargo bench -p casemate-hash-signatures`. Signing walks on with each iteration and starts anew when the key is used up.

use casemate_hash_signatures::{
    Error, HssParameters, LmsHash, LmsParameters, Scheme, Software, XmssParameters, hss_verify, xmss_verify,
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn scheme<S: Scheme>(
    criterion: &mut Criterion,
    name: &str,
    scheme: S,
    retained: u32,
    verify: impl Fn(&[u8], &[u8]),
) {
    let seed = vec![3; scheme.seed_size()];
    let mut fresh = vec![0; scheme.state_size(retained).unwrap()];
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    group.bench_function("generate", |bencher| {
        bencher.iter(|| scheme.generate(&mut Software, retained, black_box(&seed), &mut fresh).unwrap());
    });
    scheme.generate(&mut Software, retained, &seed, &mut fresh).unwrap();
    let mut public = vec![0; scheme.public_size()];
    scheme.open(&mut Software, &mut fresh).unwrap().public(&mut public).unwrap();
    let mut state = fresh.clone();
    let mut signature = vec![0; scheme.signature_size()];
    group.bench_function(format!("sign, {} bytes of state", state.len()), |bencher| {
        bencher.iter(|| {
            if scheme.open(&mut Software, &mut state).unwrap().remaining() == 0 {
                state.copy_from_slice(&fresh);
            }
            let reservation = scheme.open(&mut Software, &mut state).unwrap().reserve(&mut Software).unwrap();
            let signer = reservation.store(|_| Ok::<_, Error>(())).unwrap();
            signer.sign(&mut Software, b"message", signature.as_mut_slice()).unwrap();
        });
    });
    group.bench_function("verify", |bencher| {
        bencher.iter(|| verify(black_box(&public), black_box(&signature)));
    });
}

fn benches(criterion: &mut Criterion) {
    let hss = |criterion: &mut Criterion, name: &str, levels, height, winternitz, retained| {
        let lms = LmsParameters::new(LmsHash::Sha256, height, winternitz).unwrap();
        let parameters = HssParameters::new(levels, lms).unwrap();
        scheme(criterion, name, parameters, retained, |public, signature| {
            hss_verify(&mut Software, public, b"message", signature).unwrap();
        });
    };
    hss(criterion, "LMS-H10-W8", 1, 10, 8, 6);
    hss(criterion, "LMS-H10-W8, whole tree kept", 1, 10, 8, 10);
    hss(criterion, "LMS-H10-W4", 1, 10, 4, 6);
    hss(criterion, "HSS-2-H5-W8", 2, 5, 8, 5);
    for (name, retained) in [("XMSS-SHA2_10_256", 6), ("XMSS-SHA2_10_192", 6), ("XMSSMT-SHA2_20/4_256", 5)] {
        let parameters = XmssParameters::named(name.as_bytes()).unwrap();
        scheme(criterion, name, parameters, retained, |public, signature| {
            xmss_verify(&mut Software, &parameters, public, b"message", signature).unwrap();
        });
    }
}

criterion_group!(signatures, benches);
criterion_main!(signatures);
