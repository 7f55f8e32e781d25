//! The order of reserving, storing and signing; damaged, foreign and used-up states.

use casemate_hash_signatures::{
    Engine, Error, HssParameters, LeafMemory, LmsHash, LmsParameters, Scheme, Software, XmssParameters,
    hss_verify,
};
use std::cell::RefCell;
use std::collections::HashMap;

fn hss(levels: u32, height: u32, winternitz: u32) -> HssParameters {
    HssParameters::new(levels, LmsParameters::new(LmsHash::Sha256, height, winternitz).unwrap()).unwrap()
}

fn generate(scheme: &impl Scheme, retained: u32) -> Vec<u8> {
    generate_with(&mut Software, scheme, retained)
}

fn generate_with(engine: &mut impl Engine, scheme: &impl Scheme, retained: u32) -> Vec<u8> {
    let mut state = vec![0; scheme.state_size(retained).unwrap()];
    let seed: Vec<u8> = (0..scheme.seed_size()).map(|i| i as u8 ^ 0x5a).collect();
    scheme.generate(engine, retained, &seed, &mut state).unwrap();
    state
}

fn public(scheme: &impl Scheme, state: &[u8]) -> Vec<u8> {
    let mut public = vec![0; scheme.public_size()];
    scheme.open(&mut Software, &mut state.to_vec()).unwrap().public(&mut public).unwrap();
    public
}

fn sign(scheme: &impl Scheme, state: &mut [u8]) -> Result<Vec<u8>, Error> {
    sign_with(&mut Software, scheme, state)
}

fn sign_with(engine: &mut impl Engine, scheme: &impl Scheme, state: &mut [u8]) -> Result<Vec<u8>, Error> {
    let reservation = scheme.open(engine, state)?.reserve(engine)?;
    let signer = reservation.store(|_| Ok::<_, Error>(()))?;
    let mut signature = vec![0; scheme.signature_size()];
    signer.sign(engine, b"message", signature.as_mut_slice())?;
    Ok(signature)
}

/// Which tree and which of its leaves.
type Place = ([u8; 32], u32);

/// Keeps every leaf.
#[derive(Default)]
struct Leaves(RefCell<HashMap<Place, Vec<u8>>>);

impl LeafMemory for Leaves {
    fn recall(&self, tree: &[u8; 32], index: u32, leaf: &mut [u8]) -> bool {
        let leaves = self.0.borrow();
        let Some(kept) = leaves.get(&(*tree, index)) else { return false };
        leaf.copy_from_slice(kept);
        true
    }

    fn keep(&self, tree: &[u8; 32], index: u32, leaf: &[u8]) {
        assert!(self.0.borrow_mut().insert((*tree, index), leaf.to_vec()).is_none(), "computed twice");
    }
}

/// Counts blocks.
#[derive(Default)]
struct Counting<'a> {
    blocks: u64,
    leaves: Option<&'a Leaves>,
}

impl Engine for Counting<'_> {
    fn sha256(&mut self, words: &mut [u32; 8], block: &[u8; 64]) -> Result<(), Error> {
        self.blocks += 1;
        Software.sha256(words, block)
    }

    fn leaves(&self) -> Option<&dyn LeafMemory> {
        self.leaves.map(|leaves| leaves as &dyn LeafMemory)
    }
}

/// With leaves kept, signatures are the same and take fewer hashes; after a key was generated so, no leaf of its first tree
/// is computed again.
fn kept_leaves(scheme: &impl Scheme, signatures: usize, others: &Leaves) {
    let mut plain = Counting::default();
    let mut keeping = Counting { blocks: 0, leaves: Some(others) };
    let mut late = Counting { blocks: 0, leaves: Some(&Leaves::default()) };
    let mut states = [generate(scheme, 2), generate_with(&mut keeping, scheme, 2), generate(scheme, 2)];
    assert_eq!(states[0], states[1]);
    keeping.blocks = 0;
    for _ in 0..signatures {
        let [one, two, three] = &mut states;
        let signature = sign_with(&mut plain, scheme, one).unwrap();
        assert_eq!(signature, sign_with(&mut keeping, scheme, two).unwrap());
        assert_eq!(signature, sign_with(&mut late, scheme, three).unwrap());
    }
    assert!(keeping.blocks * 3 < plain.blocks * 2, "{} {}", keeping.blocks, plain.blocks);
    assert!(keeping.blocks < late.blocks && late.blocks < plain.blocks, "{}", late.blocks);
}

#[test]
fn leaves_may_be_kept() {
    let leaves = Leaves::default();
    kept_leaves(&hss(1, 10, 4), 40, &leaves);
    // Of the same seed, with other chains: other trees.
    kept_leaves(&hss(1, 10, 2), 40, &leaves);
    kept_leaves(&XmssParameters::named(b"XMSS-SHA2_10_192").unwrap(), 20, &leaves);
    kept_leaves(&XmssParameters::named(b"XMSSMT-SHA2_20/4_192").unwrap(), 40, &leaves);
}

/// The whole life of a key of two levels: every signature is valid and of its own index, and then there are no more.
#[test]
fn a_key_signs_as_often_as_it_may() {
    let scheme = hss(2, 5, 2);
    let mut state = generate(&scheme, 1);
    let public = public(&scheme, &state);
    let mut seen = std::collections::HashSet::new();
    for index in 0..scheme.capacity() {
        let key = scheme.open(&mut Software, &mut state).unwrap();
        assert_eq!((key.next_index(), key.remaining()), (index, 1024 - index));
        let signature = sign(&scheme, &mut state).unwrap();
        hss_verify(&mut Software, &public, b"message", signature.as_slice()).unwrap();
        // The leaves of both levels: N, then a signature that begins with its leaf, then a public key.
        let second = 4 + scheme.lms().signature_size() + scheme.lms().public_size();
        assert!(seen.insert((signature[4..8].to_vec(), signature[second..second + 4].to_vec())));
    }
    assert_eq!(seen.len(), 1024);
    let before = state.clone();
    assert_eq!(sign(&scheme, &mut state), Err(Error::Exhausted));
    assert_eq!(state, before);
    assert_eq!(scheme.open(&mut Software, &mut state).unwrap().remaining(), 0);
}

/// What is stored is the state after the signature, and a store that fails gives no signature.
#[test]
fn the_new_state_is_stored_before_there_is_a_signature() {
    let scheme = hss(1, 5, 8);
    let mut state = generate(&scheme, 2);
    let mut durable = state.clone();
    for index in 0..32 {
        let reservation = scheme.open(&mut Software, &mut state).unwrap().reserve(&mut Software).unwrap();
        assert_eq!(reservation.index(), index);
        let signer = reservation
            .store(|bytes| {
                durable.copy_from_slice(bytes);
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_eq!(signer.index(), index);
        drop(signer);
        let mut copy = durable.clone();
        assert_eq!(scheme.open(&mut Software, &mut copy).unwrap().next_index(), index + 1);
        if index % 3 == 0 {
            // A restart: the state in memory is gone.
            state.copy_from_slice(&durable);
        }
    }
    let mut state = generate(&scheme, 2);
    let reservation = scheme.open(&mut Software, &mut state).unwrap().reserve(&mut Software).unwrap();
    assert_eq!(reservation.store(|_| Err("the flash is worn out")).unwrap_err(), "the flash is worn out");
}

/// Signatures do not depend on how much of the tree is kept.
#[test]
fn retained_levels_change_the_speed_only() {
    let scheme = hss(2, 5, 4);
    let mut states: Vec<_> = (1..=5).map(|retained| generate(&scheme, retained)).collect();
    let scheme_xmss = XmssParameters::named(b"XMSSMT-SHA2_20/4_192").unwrap();
    let mut states_xmss: Vec<_> = [1, 5].map(|retained| generate(&scheme_xmss, retained)).to_vec();
    for _ in 0..70 {
        let mut signatures = states.iter_mut().map(|state| sign(&scheme, state).unwrap());
        let first = signatures.next().unwrap();
        assert!(signatures.all(|signature| signature == first));
        let mut signatures = states_xmss.iter_mut().map(|state| sign(&scheme_xmss, state).unwrap());
        let first = signatures.next().unwrap();
        assert!(signatures.all(|signature| signature == first));
    }
    assert_eq!(scheme.state_size(0), None);
    assert_eq!(scheme.state_size(6), None);
    assert_eq!(scheme.retained_within(scheme.state_size(3).unwrap()), Some(3));
    assert_eq!(scheme.retained_within(scheme.state_size(3).unwrap() - 1), Some(2));
    assert_eq!(scheme.retained_within(100), None);
}

/// Every damaged byte is noticed, but for an index in front that went up: that costs signatures and repeats none.
#[test]
fn damaged_states_are_refused() {
    let scheme = hss(2, 5, 8);
    let mut state = generate(&scheme, 2);
    for _ in 0..3 {
        sign(&scheme, &mut state).unwrap();
    }
    for place in 0..state.len() {
        for bit in 0..8 {
            let mut changed = state.clone();
            changed[place] ^= 1 << bit;
            match scheme.open(&mut Software, &mut changed) {
                Ok(key) => {
                    assert!(place < 8, "byte {place}");
                    assert!(key.next_index() > 3);
                }
                Err(error) => assert_eq!(error, Error::State),
            }
        }
    }
    for length in 0..state.len() {
        assert!(matches!(scheme.open(&mut Software, &mut state[..length]), Err(Error::State)));
    }
    for other in [hss(1, 5, 8), hss(2, 5, 4), hss(2, 10, 8)] {
        assert!(matches!(other.open(&mut Software, &mut state), Err(Error::State)));
    }
}

/// An index that another implementation has advanced is where signing goes on.
#[test]
fn a_foreign_index_is_followed() {
    let scheme = hss(1, 5, 8);
    let mut state = generate(&scheme, 2);
    let public = public(&scheme, &state);
    let mut expected = Vec::new();
    for _ in 0..32 {
        expected.push(sign(&scheme, &mut state).unwrap());
    }
    for retained in [1, 3] {
        for index in [0, 1, 19, 31_u64] {
            let mut state = generate(&scheme, retained);
            state[..8].copy_from_slice(&index.to_be_bytes());
            assert_eq!(sign(&scheme, &mut state).unwrap(), expected[index as usize]);

            let secret_part = state[..scheme.secret_part_size()].to_vec();
            let mut restored = vec![0; scheme.state_size(retained).unwrap()];
            scheme.restore(&mut Software, retained, &secret_part, &mut restored).unwrap();
            let key = scheme.open(&mut Software, &mut restored).unwrap();
            assert_eq!(key.next_index(), index + 1);
            let mut again = vec![0; scheme.public_size()];
            key.public(&mut again).unwrap();
            assert_eq!(again, public);
            let next = expected.get(index as usize + 1).cloned().ok_or(Error::Exhausted);
            assert_eq!(sign(&scheme, &mut restored), next);
        }
    }
    let mut state = generate(&scheme, 2);
    state[..8].copy_from_slice(&33_u64.to_be_bytes());
    assert!(matches!(scheme.open(&mut Software, &mut state), Err(Error::State)));
    let secret_part = state[..scheme.secret_part_size()].to_vec();
    let size = scheme.state_size(2).unwrap();
    assert_eq!(scheme.restore(&mut Software, 2, &secret_part, &mut vec![0; size]), Err(Error::State));
}

#[test]
fn lengths_are_checked() {
    let scheme = hss(1, 5, 8);
    let size = scheme.state_size(2).unwrap();
    let seed = vec![1; scheme.seed_size()];
    let mut state = vec![0; size];
    assert_eq!(scheme.generate(&mut Software, 2, &seed[1..], &mut state), Err(Error::Length));
    assert_eq!(scheme.generate(&mut Software, 2, &seed, &mut state[1..]), Err(Error::Length));
    assert_eq!(scheme.generate(&mut Software, 6, &seed, &mut state), Err(Error::Parameters));
    scheme.generate(&mut Software, 2, &seed, &mut state).unwrap();
    let key = scheme.open(&mut Software, &mut state).unwrap();
    assert_eq!(key.public(&mut [0; 59]), Err(Error::Length));
    let signer = key.reserve(&mut Software).unwrap().store(|_| Ok::<_, Error>(())).unwrap();
    assert_eq!(signer.sign(&mut Software, b"message", [0; 1295].as_mut_slice()), Err(Error::Length));
    assert!(HssParameters::new(0, scheme.lms()).is_none());
    assert!(HssParameters::new(9, scheme.lms()).is_none());
}
