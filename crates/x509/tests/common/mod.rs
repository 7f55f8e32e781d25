//! The certificates of the data folder, by name.
#![allow(dead_code, unreachable_pub, reason = "every test program takes the whole and uses a part")]

use casemate_crypto::{Error as DriverError, Random, Software};
use casemate_x509::{ChainError, Error, Hooks, NoHooks, Policy, Verifier};

/// 2030-01-01 12:00:00 UTC, which `make.py` chose dates around.
pub const NOW: u64 = 1_893_499_200;

/// No random numbers are needed to verify.
#[derive(Debug)]
pub struct NoRandom;

impl Random for NoRandom {
    fn fill(&self, _: &mut [u8]) -> Result<(), DriverError> {
        Err(DriverError::Entropy)
    }
}

pub fn driver() -> Software<NoRandom> {
    Software::new(NoRandom)
}

/// A certificate of `certificates.txt` or `rfc9881.txt`.
pub fn certificate(name: &str) -> Vec<u8> {
    let texts = [include_str!("../data/certificates.txt"), include_str!("../data/rfc9881.txt")];
    let mut lines = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once(' '));
    hex::decode(lines.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}")).1).unwrap()
}

/// Several certificates, separated by white space, one after the other.
pub fn chain(names: &str) -> Vec<u8> {
    names.split_whitespace().flat_map(certificate).collect()
}

/// What comes of a chain with these anchors: how many certificates there are.
pub fn verify_with(
    policy: Policy,
    anchors: &str,
    chain: &[u8],
    hooks: &mut dyn Hooks,
) -> Result<usize, ChainError> {
    let anchors: Vec<_> = anchors.split_whitespace().map(certificate).collect();
    let anchors: Vec<_> = anchors.iter().map(Vec::as_slice).collect();
    let driver = driver();
    Verifier::new(&driver, policy)
        .verify_chain(chain, &mut anchors.as_slice(), hooks)
        .map(|verified| verified.count)
}

/// The usual policy at the usual time.
pub fn usual() -> Policy {
    Policy { time: Some(NOW), ..Policy::default() }
}

pub fn verify(anchors: &str, names: &str) -> Result<usize, ChainError> {
    verify_with(usual(), anchors, &chain(names), &mut NoHooks)
}

pub fn fails(index: usize, error: Error) -> Result<usize, ChainError> {
    Err(ChainError::Certificate { index, error })
}

pub fn no_anchor(index: usize, error: Error) -> Result<usize, ChainError> {
    Err(ChainError::Anchor { index, error })
}
