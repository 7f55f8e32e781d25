//! Public-key cryptography.

use super::{Generator, typed};
use crate::compare::step::{Compared, Step, Yield, encoded};
use casemate_protocol::message::crypto::hash;
use casemate_protocol::message::public_key::{algorithm, curve};
use casemate_protocol::message::{crypto, public_key};
use casemate_protocol::{Flags, Group, Kind};

impl Generator {
    pub(super) fn ec_key(&mut self, size: u32, curve: i32, key: u32, flags: u32) -> Step {
        let label = self.label();
        let request = public_key::EcKeyGenerationRequest { size, curve, key, flags, access: 0, label };
        Step::crypto("EC key generation", self.order, [algorithm::EC_KEY_GENERATION, 0], &request, &[])
            .compared(Compared::Fixed)
    }

    /// A key of the algorithm of `number`.
    pub(super) fn key_generation(&mut self, number: u16, key: u32, flags: u32) -> Step {
        let (order, label) = (self.order, self.label());
        let step = match number {
            typed::ED25519 => {
                let request = public_key::Ed25519KeyGenerationRequest { flags, key, access: 0, label };
                let number = [algorithm::ED25519_KEY_GENERATION, 0];
                Step::crypto("Ed25519 key generation", order, number, &request, &[])
            }
            typed::X25519 => {
                let size = if self.random.percent(90) { 32 } else { self.random.pick(&[0, 31, 33]) };
                let size = if flags & u32::from(Flags::EPHEMERAL.0) != 0 { 32 } else { size };
                let request = public_key::X25519KeyGenerationRequest { size, flags, key, label };
                let number = [algorithm::X25519_KEY_GENERATION, 0];
                Step::crypto("X25519 key generation", order, number, &request, &[])
            }
            typed::ML_DSA => {
                let level = self.random.pick(&[2, 3, 5]);
                let request =
                    public_key::MlDsaKeyGenerationRequest { size: 0, level, key, flags, access: 0, label };
                let number = [algorithm::SIGNATURE_KEY_GENERATION, 1];
                Step::crypto("ML-DSA key generation", order, number, &request, &[])
            }
            _ => {
                let level = self.random.pick(&[0, 1, 2]);
                let request = public_key::MlKemKeyGenerationRequest { level, key, flags, access: 0, label };
                let number = [algorithm::KEM_KEY_GENERATION, 1];
                Step::crypto("ML-KEM key generation", order, number, &request, &[])
            }
        };
        step.compared(Compared::Fixed)
    }

    /// The key of `number`, or now and then another.
    pub(super) fn key_of(&mut self, number: u16) -> u32 {
        let other = self.same_key();
        u32::from(if self.random.percent(85) { number } else { other.0 })
    }

    pub(super) fn options(&mut self) -> u32 {
        if self.random.percent(5) { self.random.pick(&[1, 2, 3, 4]) } else { 0 }
    }

    pub(super) fn public_key(&mut self) -> Step {
        let (order, options) = (self.order, self.options());
        let ec = self.random.pick(&[typed::P256, typed::P384, typed::P521]);
        let data = if self.random.percent(50) { self.random.bytes(32) } else { self.data(4000) };
        match self.random.below(20) {
            0 => {
                let (size, curve) = self.random.pick(&[
                    (32, curve::P256),
                    (48, curve::P384),
                    (66, curve::P521),
                    (32, 0),
                    (28, curve::P224),
                    (48, -1),
                    (33, 0),
                    (0, 99),
                ]);
                let (key, flags) = (self.random_key().0.into(), self.flags().0.into());
                self.ec_key(size, curve, key, flags).yields(Yield::Key { random: true })
            }
            1 => {
                let number = self.random.pick(&[typed::ED25519, typed::X25519, typed::ML_DSA, typed::ML_KEM]);
                let (key, flags) = (self.random_key().0.into(), self.flags().0.into());
                self.key_generation(number, key, flags).yields(Yield::Key { random: true })
            }
            2 => {
                let flags = self.flags().0.into();
                let request = public_key::RsaKeyGenerationRequest {
                    flags,
                    key: self.random_key().0.into(),
                    size: self.random.pick(&[2048, 0, 1, 511, 1000, 8192]),
                    exponent: self.random.pick(&[65537, 65537, 65537, 0, 2]),
                    label: self.label(),
                };
                Step::crypto("RSA key generation", order, [algorithm::RSA_KEY_GENERATION, 0], &request, &[])
                    .compared(Compared::Status)
                    .yields(Yield::Key { random: true })
            }
            3..=5 => {
                let data = if self.random.percent(80) {
                    let mut number = self.random.bytes(256);
                    number[0] = 0;
                    number
                } else {
                    data
                };
                let request = public_key::RsaRequest {
                    operation: self.random.pick(&[0, 1, 2, 3, 3, 2, 4]),
                    options,
                    key: self.key_of(typed::RSA),
                    length: self.declared(&data),
                    capacity: self.random.pick(&[256, 256, 256, 255, 257, 0, 8192, u32::MAX]),
                };
                Step::crypto("RSA", order, [algorithm::RSA, 0], &request, &data)
            }
            6 => {
                let request = public_key::RsaSizeRequest { options, key: self.key_of(typed::RSA) };
                Step::crypto("RSA size", order, [algorithm::RSA_SIZE, 0], &request, &[])
            }
            7 | 8 => {
                let request = public_key::EcdsaSignRequest {
                    options,
                    key: self.key_of(ec),
                    length: self.declared(&data),
                };
                Step::crypto("ECDSA sign", order, [algorithm::ECDSA_SIGN, 0], &request, &data)
                    .compared(Compared::Status)
                    .yields(Yield::Signature)
            }
            9 | 10 => {
                let key = self.key_of(ec);
                let made = self.signatures.get(&(key as u16 & 0xFF)).cloned();
                let signature = match made {
                    Some(signature) if self.random.percent(90) => signature,
                    _ => self.random.bytes(70),
                };
                let request = public_key::EcdsaVerifyRequest {
                    options: self.random.pick(&[0, 0, 2]),
                    key,
                    signature_length: self.declared(&signature),
                    hash_length: self.declared(&data),
                };
                let tail = [&*signature, &data].concat();
                Step::crypto("ECDSA verify", order, [algorithm::ECDSA_VERIFY, 0], &request, &tail)
            }
            11 => {
                let request = public_key::EcdhRequest {
                    options,
                    private_key: self.key_of(ec),
                    public_key: self.key_of(ec),
                    flags: u32::from(self.flags().0 | self.random.pick(&[0, Flags::EPHEMERAL.0])),
                    key: self.new_key().0.into(),
                    label: self.label(),
                };
                Step::crypto("ECDH", order, [algorithm::ECDH, 0], &request, &[])
                    .yields(Yield::Key { random: false })
            }
            12 => {
                let request = public_key::X25519Request {
                    options,
                    private_key: self.key_of(typed::X25519),
                    public_key: self.key_of(typed::X25519),
                    endianness: self.random.pick(&[0, 1, 2]),
                    flags: u32::from(self.flags().0 | self.random.pick(&[0, Flags::EPHEMERAL.0])),
                    key: self.new_key().0.into(),
                    label: self.label(),
                };
                Step::crypto("X25519", order, [algorithm::X25519, 0], &request, &[])
                    .yields(Yield::Key { random: false })
            }
            13 | 14 => {
                let context_length = self.random.pick(&[0, 0, 1, 255]);
                let context = self.random.bytes(context_length);
                let request = public_key::Ed25519SignRequest {
                    options,
                    key: self.key_of(typed::ED25519),
                    length: self.declared(&data),
                    mode: self.random.pick(&[255, 255, 0, 1, 7]),
                    context_length: self.declared(&context),
                };
                let tail = [&*data, &context].concat();
                Step::crypto("Ed25519 sign", order, [algorithm::ED25519_SIGN, 0], &request, &tail)
            }
            15 => {
                let signature = self.random.bytes(64);
                let context_length = self.random.pick(&[0, 0, 1, 255]);
                let context = self.random.bytes(context_length);
                let request = public_key::Ed25519VerifyRequest {
                    options,
                    key: self.key_of(typed::ED25519),
                    signature_length: self.declared(&signature),
                    length: self.declared(&data),
                    mode: self.random.pick(&[255, 255, 0, 1]),
                    context_length: self.declared(&context),
                };
                let tail = [&*signature, &data, &context].concat();
                Step::crypto("Ed25519 verify", order, [algorithm::ED25519_VERIFY, 0], &request, &tail)
            }
            16 => {
                let context_length = self.random.pick(&[0, 0, 1, 255]);
                let context = self.random.bytes(context_length);
                let request = public_key::MlDsaSignRequest {
                    options,
                    level: 0,
                    key: self.key_of(typed::ML_DSA),
                    length: self.declared(&data),
                    context_length: self.declared(&context),
                    prehash: self.random.pick(&[0, 0, hash::SHA256, 99]),
                };
                let tail = [&*data, &context].concat();
                Step::crypto("ML-DSA sign", order, [algorithm::SIGNATURE_SIGN, 1], &request, &tail)
                    .compared(Compared::Fixed)
            }
            17 => {
                let request = public_key::MlKemEncapsulateRequest {
                    options,
                    level: self.random.below(3) as u32,
                    key: self.key_of(typed::ML_KEM),
                };
                Step::crypto("ML-KEM encapsulate", order, [algorithm::KEM_ENCAPSULATE, 1], &request, &[])
                    .compared(Compared::Fixed)
            }
            18 => {
                let length = self.random.pick(&[768, 1088, 1568, 767, 0]);
                let ciphertext = self.random.bytes(length);
                let request = public_key::MlKemDecapsulateRequest {
                    options,
                    level: self.random.below(3) as u32,
                    key: self.key_of(typed::ML_KEM),
                    length: self.declared(&ciphertext),
                };
                Step::crypto(
                    "ML-KEM decapsulate",
                    order,
                    [algorithm::KEM_DECAPSULATE, 1],
                    &request,
                    &ciphertext,
                )
            }
            _ => {
                let kind = Kind::new(Group::CRYPTO, self.random.pick(&[0, 3, 5, 6, 8, 10, 15]));
                let algorithm = self.random.pick(&[0_u32, 2, 10, 12, 24, 40]);
                let mut payload =
                    encoded(&crypto::RequestHeader { algorithm, sub_algorithm: 0, affinity: 0 }, order);
                payload.extend(data);
                Step::raw("unknown algorithm", order, kind, payload)
            }
        }
    }
}
