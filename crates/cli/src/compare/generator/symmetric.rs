//! Ciphers, hashes, MACs and key derivation.

use super::{Generator, typed};
use crate::compare::step::{Compared, Step, UnfinishedCmac, Yield};
use casemate_protocol::message::crypto::{self, CmacState, cipher, hash, kdf};
use casemate_protocol::{Flags, KeyId};

impl Generator {
    /// A key for a cipher: an identifier, or bytes, or both.
    pub(super) fn cipher_key(&mut self) -> (KeyId, Vec<u8>) {
        if self.random.percent(50) {
            let id = if self.random.percent(40) { KeyId(typed::AES) } else { self.any_key() };
            return (id, Vec::new());
        }
        let length = if self.random.percent(85) {
            self.random.pick(&[16, 24, 32])
        } else {
            self.random.pick(&[0, 8, 17, 33, 64])
        };
        (KeyId::NONE, self.random.bytes(length))
    }

    pub(super) fn crypto(&mut self) -> Step {
        match self.random.below(14) {
            0 => {
                let length =
                    self.random.pick(&[0, 1, 16, 100, 4096, 8176, 8177, 8192, 8193, 0x1_0000, u32::MAX]);
                let request = crypto::RandomRequest { length };
                Step::crypto("random", self.order, [4, 0], &request, &[]).compared(Compared::Fixed)
            }
            1..=4 => self.cipher(),
            5 | 6 => self.hash(),
            7 | 8 => self.mac(),
            9 | 10 => self.derivation(),
            _ => self.public_key(),
        }
    }

    pub(super) fn cipher(&mut self) -> Step {
        let order = self.order;
        let (id, key) = self.cipher_key();
        let encrypt = self.random.pick(&[0, 1, 1, 2]);
        let compared = self.compared(id);
        let mut data = self.data(12 + 28 + 64 + 32);
        let key_length = self.declared(&key);
        let iv: [u8; 16] = self.random.array();
        match self.random.below(4) {
            0 => {
                if self.malformed == 0 {
                    data.truncate(data.len() / 16 * 16);
                }
                let request =
                    crypto::CbcRequest { encrypt, key_length, length: self.declared(&data), key: id };
                let tail = [&*data, &key, &iv].concat();
                Step::crypto("AES-CBC", order, [cipher::AES_CBC, 0], &request, &tail).compared(compared)
            }
            1 => {
                let request =
                    crypto::EcbRequest { encrypt, key_length, length: self.declared(&data), key: id };
                let tail = [&*data, &key].concat();
                Step::crypto("AES-ECB", order, [cipher::AES_ECB, 0], &request, &tail).compared(compared)
            }
            2 => {
                let request = crypto::CtrRequest {
                    // The original does not decrypt when told to; its clients never do.
                    encrypt: 1,
                    key_length,
                    length: self.declared(&data),
                    unused: self.random.pick(&[0, 0, 1, 15, 16]),
                    key: id,
                };
                let keystream: [u8; 16] = self.random.array();
                let tail = [&*data, &key, &iv, &keystream].concat();
                Step::crypto("AES-CTR", order, [cipher::AES_CTR, 0], &request, &tail).compared(compared)
            }
            _ => {
                let iv_length = self.random.pick(&[12, 12, 12, 0, 1, 8, 13, 16, 17, 64]);
                let iv = self.random.bytes(iv_length);
                let aad_length = self.random.pick(&[0, 1, 16, 20]);
                let aad = self.random.bytes(aad_length);
                let tag_length = self.random.pick(&[16, 16, 16, 12, 4, 0, 3, 17]);
                let tag = self.random.bytes(tag_length);
                let request = crypto::GcmRequest {
                    encrypt,
                    key_length,
                    length: self.declared(&data),
                    iv_length: iv.len() as u32,
                    aad_length: aad.len() as u32,
                    tag_length: tag_length as u32,
                    key: id,
                };
                let tag = if encrypt == 0 { &*tag } else { &[] };
                let tail = [&*data, &key, &iv, &aad, tag].concat();
                Step::crypto("AES-GCM", order, [cipher::AES_GCM, 0], &request, &tail).compared(compared)
            }
        }
    }

    pub(super) fn hash(&mut self) -> Step {
        let order = self.order;
        let last = self.random.pick(&[0, 1, 2]);
        let algorithm = self.random.pick(&[
            hash::SHA224,
            hash::SHA256,
            hash::SHA384,
            hash::SHA512,
            hash::SHA3_224,
            hash::SHA3_256,
            hash::SHA3_384,
            hash::SHA3_512,
        ]);
        let block = match algorithm {
            hash::SHA224 | hash::SHA256 => 64,
            hash::SHA384 | hash::SHA512 => 128,
            hash::SHA3_224 => 144,
            hash::SHA3_256 => 136,
            hash::SHA3_384 => 104,
            _ => 72,
        };
        let length = match (last, self.random.percent(self.malformed)) {
            (_, true) => self.length(300),
            (0, _) => block * self.random.below(6),
            _ => self.random.below(block),
        };
        let data = self.random.bytes(length);
        let length = self.declared(&data);
        let counts =
            [0, 0, 64, 128, 1 << 20, u32::MAX - 63].map(|count: u32| count / block as u32 * block as u32);
        let (length_high, length_low) = (self.random.pick(&[0, 0, 1]), self.random.pick(&counts));
        match algorithm {
            hash::SHA224 | hash::SHA256 => {
                let state = std::array::from_fn(|_| self.random.next() as u32);
                let request = crypto::Sha256Request { length_high, length_low, state, last, length };
                let step = Step::crypto("SHA-256", order, [algorithm, 0], &request, &data);
                if last == 0 { step } else { step.answered_by::<crypto::Sha2DigestResponse>() }
            }
            hash::SHA384 | hash::SHA512 => {
                let state = std::array::from_fn(|_| self.random.next());
                let variant = match algorithm {
                    hash::SHA512 => self.random.pick(&[hash::SHA512, hash::SHA512_224, hash::SHA512_256, 0]),
                    other => other,
                };
                // The original loses the high word, so it stays 0.
                let (length_high, length_low) = (0, length_low.min(1 << 20));
                let request = crypto::Sha512Request { length_high, length_low, state, variant, last, length };
                let step = Step::crypto("SHA-512", order, [algorithm, 0], &request, &data);
                if last == 0 { step } else { step.answered_by::<crypto::Sha2DigestResponse>() }
            }
            _ => {
                let state = std::array::from_fn(|_| self.random.next());
                let request = crypto::Sha3Request { last, length, state };
                Step::crypto("SHA-3", order, [algorithm, 0], &request, &data)
            }
        }
    }

    pub(super) fn mac(&mut self) -> Step {
        let (key, bytes) = self.cipher_key();
        let data = self.data(12 + 56 + 64);
        let state = if self.cmac.is_empty() || self.random.percent(60) {
            CmacState::INITIAL
        } else {
            let at = self.random.below(self.cmac.len());
            self.cmac[at]
        };
        let mac_length = self.random.pick(&[0, 0, 16, 16, 4, 1, 17, u32::MAX]);
        let request = crypto::CmacRequest {
            mac_length,
            length: self.declared(&data),
            key_length: self.declared(&bytes),
            key,
            state,
        };
        let step = Step::crypto("CMAC", self.order, [7, 0], &request, &[&*data, &bytes].concat());
        if self.differs(key) {
            return step.compared(Compared::Status);
        }
        if mac_length == 0 { step.answered_by::<UnfinishedCmac>().yields(Yield::CmacState) } else { step }
    }

    pub(super) fn derivation(&mut self) -> Step {
        let order = self.order;
        let short = |generator: &mut Self| {
            let length = generator.random.pick(&[0, 1, 16, 16, 20, 32, 64]);
            generator.random.bytes(length)
        };
        let (salt, secret, info) = (short(self), short(self), short(self));
        let flags = Flags(self.flags().0 | self.random.pick(&[0, Flags::EPHEMERAL.0]));
        // Beyond the first blocks the original derives something else if there is context information.
        let length = if info.is_empty() {
            self.random.pick(&[0, 1, 16, 32, 33, 64, 100, 256, 1200, 1201, 0x1_0000])
        } else {
            self.random.pick(&[0, 1, 16])
        };
        let (key_out, label) = (u32::from(self.new_key().0), self.label());
        let by_key = self.random.percent(30);
        let key_in = self.same_key();
        let (key_in, secret) = if by_key { (key_in.0, Vec::new()) } else { (0, secret) };
        let tail = [&*secret, &salt, &info].concat();
        let step = if self.random.percent(50) {
            let request = crypto::HkdfRequest {
                flags: flags.0.into(),
                key_in: key_in.into(),
                key_out,
                hash: self.random.pick(&[
                    hash::SHA256,
                    hash::SHA256,
                    hash::SHA224,
                    hash::SHA384,
                    hash::SHA512,
                    hash::SHA1,
                    hash::SHA3_256,
                    0,
                ]),
                key_length: self.declared(&secret),
                salt_length: self.declared(&salt),
                info_length: self.declared(&info),
                length,
                label,
            };
            Step::crypto("HKDF", order, [9, kdf::HKDF], &request, &tail)
        } else {
            let request = crypto::CmacKdfRequest {
                flags: flags.0.into(),
                key_salt: 0,
                key_z: key_in.into(),
                key_out,
                salt_length: self.declared(&salt),
                z_length: self.declared(&secret),
                info_length: self.declared(&info),
                length,
                label,
            };
            let tail = [&*salt, &secret, &info].concat();
            Step::crypto("CMAC KDF", order, [9, kdf::TWO_STEP_CMAC], &request, &tail)
        };
        step.yields(Yield::Key { random: false })
    }
}
