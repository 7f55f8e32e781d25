//! Engines of the chip.
//!
//! A family that is left empty declines everything, and software serves. A method that is written must either do the whole
//! operation or answer [`Error::Unsupported`](casemate_crypto::Error::Unsupported) **before** it has changed anything: for a key length that the engine does
//! not know, for instance. Every other error is final.
//!
//! Keys are wiped from the engine's registers before a method returns. An engine that is shared takes its lock inside the
//! method.

use casemate_crypto::{Aead, Cipher, Curve25519, EllipticCurve, Hash, Mac, MlDsa, MlKem, Random, Rsa};

/// The engines.
#[derive(Debug)]
pub struct Engines {}

/// Left empty on purpose: random numbers come from the generator that the firmware seeds from the noise source.
impl Random for Engines {}

/// SHA engine: [`Hash::digest`] for one that takes whole messages, [`Hash::compress`] for one whose state can be read out and
/// written back.
impl Hash for Engines {}

/// [`Mac::cmac`] for an engine with AES-CMAC in one go, [`Mac::cmac_update`] and [`Mac::cmac_finish`] if its chaining value can
/// be read; [`Mac::hmac`].
impl Mac for Engines {}

/// AES engine: [`Cipher::ecb`], [`Cipher::cbc`], [`Cipher::ctr`]. Lengths are whole blocks but for CTR.
impl Cipher for Engines {}

/// AES-GCM and CCM. A tag that does not match must be found before any plaintext is handed out.
impl Aead for Engines {}

/// ECDSA and ECDH on the NIST curves. Numbers are big-endian, of the curve's length.
impl EllipticCurve for Engines {}

/// X25519 and Ed25519.
impl Curve25519 for Engines {}

/// RSA: raw operations; paddings are done elsewhere.
impl Rsa for Engines {}

/// ML-DSA.
impl MlDsa for Engines {}

/// ML-KEM.
impl MlKem for Engines {}
