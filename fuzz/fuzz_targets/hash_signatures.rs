//! Any bytes as a public key, a signature or a private state of LMS, HSS, XMSS and XMSS^MT: no panic, and nothing but an
//! untouched state opens.

#![no_main]

use casemate_hash_signatures::{
    Error, HssParameters, LmsHash, LmsParameters, Scheme, Software, XmssParameters, hss_verify, lms_verify,
    xmss_verify,
};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

/// A state and a signature to start from.
struct Made<S> {
    scheme: S,
    state: Vec<u8>,
    public: Vec<u8>,
    signature: Vec<u8>,
}

fn make<S: Scheme>(scheme: S) -> Made<S> {
    let mut state = vec![0; scheme.state_size(1).expect("one level")];
    scheme.generate(&mut Software, 1, &vec![7; scheme.seed_size()], &mut state).expect("lengths that fit");
    let mut public = vec![0; scheme.public_size()];
    let key = scheme.open(&mut Software, &mut state).expect("a new state");
    key.public(&mut public).expect("a length that fits");
    let signer =
        key.reserve(&mut Software).expect("an unused key").store(|_| Ok::<_, Error>(())).expect("stored");
    let mut signature = vec![0; scheme.signature_size()];
    signer.sign(&mut Software, b"message", signature.as_mut_slice()).expect("a length that fits");
    Made { scheme, state, public, signature }
}

fn lms() -> &'static Made<HssParameters> {
    static MADE: OnceLock<Made<HssParameters>> = OnceLock::new();
    MADE.get_or_init(|| {
        let lms = LmsParameters::new(LmsHash::Sha256_192, 5, 4).expect("numbers of the standard");
        make(HssParameters::new(2, lms).expect("two levels"))
    })
}

fn xmss() -> &'static Made<XmssParameters> {
    static MADE: OnceLock<Made<XmssParameters>> = OnceLock::new();
    MADE.get_or_init(|| make(XmssParameters::named(b"XMSSMT-SHA2_20/4_192").expect("a name of the standard")))
}

/// Lays pieces of the input over a copy of `bytes`: place (2 bytes), length (1), content.
fn change(bytes: &[u8], mut input: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    while let [p0, p1, length, rest @ ..] = input {
        let place = usize::from(u16::from_le_bytes([*p0, *p1])) % changed.len();
        let length = usize::from(*length).min(rest.len()).min(changed.len() - place);
        let (piece, rest) = rest.split_at(length);
        changed[place..place + length].copy_from_slice(piece);
        input = rest;
    }
    changed
}

fn open<S: Scheme>(made: &Made<S>, input: &[u8]) {
    let mut state = change(&made.state, input);
    let is_untouched = state[8..] == made.state[8..];
    if let Ok(key) = made.scheme.open(&mut Software, &mut state) {
        assert!(is_untouched, "a changed state was accepted");
        assert!(key.next_index() >= 1);
        // Walking to an index far away takes as long as it takes.
        if key.next_index() < 40 {
            let _ = key.reserve(&mut Software);
        }
    }
    let _ = made.scheme.open(&mut Software, &mut input.to_vec());
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, input)) = input.split_first() else { return };
    match choice % 6 {
        0 => {
            let changed = change(&lms().signature, input);
            let result = hss_verify(&mut Software, &lms().public, b"message", changed.as_slice());
            assert_eq!(result.is_ok(), changed == lms().signature);
        }
        1 => {
            let changed = change(&lms().public, input);
            let _ = hss_verify(&mut Software, &changed, b"message", lms().signature.as_slice());
            let _ = lms_verify(&mut Software, input, b"message", lms().signature.as_slice());
        }
        2 => {
            let changed = change(&xmss().signature, input);
            let result =
                xmss_verify(&mut Software, &xmss().scheme, &xmss().public, b"message", changed.as_slice());
            assert_eq!(result.is_ok(), changed == xmss().signature);
        }
        3 => {
            let _ = hss_verify(&mut Software, &lms().public, b"message", input);
            if let Some(set) = XmssParameters::named(input) {
                assert_eq!(set.to_string().as_bytes(), input);
            }
        }
        4 => open(lms(), input),
        _ => open(xmss(), input),
    }
});
