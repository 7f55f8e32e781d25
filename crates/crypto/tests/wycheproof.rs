//! Project Wycheproof's test vectors against the software driver. `lattice.rs` and `rsa_padding.rs` have more of them, for what a
//! driver does not do by itself.

mod common;
#[path = "common/wycheproof.rs"]
mod vectors;

use casemate_crypto::Curve;
use common::driver;

#[test]
fn aes_gcm() {
    vectors::aes_gcm(&driver());
}

#[test]
fn aes_ccm() {
    vectors::aes_ccm(&driver());
}

#[test]
fn aes_cmac() {
    vectors::aes_cmac(&driver());
}

#[test]
fn aes_cbc() {
    vectors::aes_cbc(&driver());
}

#[test]
fn hmac() {
    vectors::hmac(&driver());
}

#[test]
fn hkdf() {
    vectors::hkdf_sets(&driver());
}

#[test]
fn ecdsa() {
    let (sets, vectors) = vectors::ecdsa(&driver(), &Curve::ALL);
    assert_eq!(sets, 49);
    assert!(vectors > 12000, "{vectors}");
}

#[test]
fn ecdh() {
    let vectors = vectors::ecdh(&driver(), &Curve::ALL);
    assert!(vectors > 5000, "{vectors}");
}

#[test]
fn x25519() {
    vectors::x25519(&driver());
}

#[test]
fn ed25519() {
    vectors::ed25519(&driver());
}

#[test]
fn ml_dsa_verify() {
    vectors::ml_dsa_verify(&driver());
}

#[test]
fn ml_kem() {
    vectors::ml_kem(&driver());
}
