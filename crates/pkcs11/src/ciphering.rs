//! Encryption and decryption, in one piece and in parts.

use crate::ccm::{Ccm, Modes};
use crate::driver::driver;
use crate::error::{Error, Result, fail};
use crate::keys::{Kind, PublicKey};
use crate::mechanism::{self, Mechanism, Parameter};
use crate::object::Object;
use crate::signing::{GATHER_LIMIT, left_padded};
use crate::token::Token;
use casemate_client::{CtrState, Direction, RsaOperation};
use casemate_crypto::rsa_padding::{Oaep, pkcs1_encryption_decode, pkcs1_encryption_encode};
use casemate_crypto::{HashAlgorithm, RSA_MAX_BYTES, RsaPublicKey};
use cryptoki_sys::*;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The block of AES in bytes.
pub(crate) const BLOCK: usize = 16;

enum Mode {
    Ecb,
    Cbc { iv: [u8; BLOCK], padded: bool },
    Ctr(CtrState),
    Gcm { iv: Vec<u8>, aad: Vec<u8>, tag_length: usize },
    Ccm(Ccm),
    RsaPkcs,
    RsaOaep { hash: HashAlgorithm, mask: HashAlgorithm, label: Vec<u8> },
    RsaRaw,
}

/// Data that is being encrypted or decrypted.
pub(crate) struct Ciphering {
    token: Arc<Token>,
    key: Arc<Object>,
    direction: Direction,
    mode: Mode,
    pending: Zeroizing<Vec<u8>>,
    /// Whether an update has begun.
    pub(crate) in_parts: bool,
    /// An outcome that did not fit the caller's buffer.
    ready: Option<Zeroizing<Vec<u8>>>,
}

const PARAMETER: Error = Error::Code(CKR_MECHANISM_PARAM_INVALID);

/// Writes an outcome to the caller's buffer.
pub(crate) fn deliver(outcome: &[u8], out: &mut [u8]) -> Result<usize> {
    out.get_mut(..outcome.len()).ok_or(Error::TooSmall(outcome.len()))?.copy_from_slice(outcome);
    Ok(outcome.len())
}

impl Ciphering {
    /// Begins with a key that may do so. `usage` is the attribute that allows it.
    pub(crate) fn new(
        token: Arc<Token>,
        key: Arc<Object>,
        mechanism: &Mechanism,
        direction: Direction,
        usage: CK_ATTRIBUTE_TYPE,
    ) -> Result<Self> {
        let encrypt = direction == Direction::Encrypt;
        let class = key.attributes.class();
        if !key.attributes.is(usage) {
            return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
        }
        let is_aes = class == CKO_SECRET_KEY && key.attributes.key_type() == CKK_AES;
        let half = if encrypt { CKO_PUBLIC_KEY } else { CKO_PRIVATE_KEY };
        let is_rsa = class == half && key.attributes.key_type() == CKK_RSA;
        let mode = match (mechanism.kind, &mechanism.parameter) {
            (CKM_RSA_PKCS | CKM_RSA_X_509 | CKM_RSA_PKCS_OAEP, _) if !is_rsa => {
                return fail(CKR_KEY_TYPE_INCONSISTENT);
            }
            (CKM_RSA_PKCS, Parameter::None) => Mode::RsaPkcs,
            (CKM_RSA_X_509, Parameter::None) => Mode::RsaRaw,
            (CKM_RSA_PKCS_OAEP, Parameter::Oaep { hash, mask, label }) => Mode::RsaOaep {
                hash: mechanism::hash(*hash).ok_or(PARAMETER)?,
                mask: mechanism::mask_hash(*mask).ok_or(PARAMETER)?,
                label: label.clone(),
            },
            (CKM_RSA_PKCS | CKM_RSA_X_509 | CKM_RSA_PKCS_OAEP, _) => return Err(PARAMETER),
            _ if !is_aes => return fail(CKR_KEY_TYPE_INCONSISTENT),
            (CKM_AES_ECB, Parameter::None) => Mode::Ecb,
            (CKM_AES_CBC | CKM_AES_CBC_PAD, Parameter::Bytes(iv)) => Mode::Cbc {
                iv: iv.as_slice().try_into().map_err(|_| PARAMETER)?,
                padded: mechanism.kind == CKM_AES_CBC_PAD,
            },
            // The server's counter has 128 bits; a shorter one is the same until it wraps around, which the standard
            // forbids to happen. How much data that allows is left to the caller.
            (CKM_AES_CTR, Parameter::Ctr { bits: 1..=128, block }) => Mode::Ctr(CtrState::new(*block)),
            (CKM_AES_GCM, Parameter::Gcm { iv, aad, tag_bits }) => {
                if iv.is_empty() || !matches!(tag_bits, 32..=128) || tag_bits % 8 != 0 {
                    return Err(PARAMETER);
                }
                Mode::Gcm { iv: iv.clone(), aad: aad.clone(), tag_length: tag_bits / 8 }
            }
            (CKM_AES_CCM, Parameter::Ccm { length, nonce, aad, tag_length }) => {
                Mode::Ccm(Ccm::new(*length, nonce, aad, *tag_length).ok_or(PARAMETER)?)
            }
            (CKM_AES_ECB | CKM_AES_CBC | CKM_AES_CBC_PAD | CKM_AES_CTR | CKM_AES_GCM | CKM_AES_CCM, _) => {
                return Err(PARAMETER);
            }
            _ => return fail(CKR_MECHANISM_INVALID),
        };
        if is_rsa && key.attributes.get(CKA_MODULUS).is_none_or(|modulus| modulus.len() > RSA_MAX_BYTES) {
            return fail(CKR_KEY_SIZE_RANGE);
        }
        let pending = Zeroizing::default();
        Ok(Self { token, key, direction, mode, pending, in_parts: false, ready: None })
    }

    const fn encrypts(&self) -> bool {
        matches!(self.direction, Direction::Encrypt)
    }

    fn modulus_size(&self) -> usize {
        self.key.attributes.get(CKA_MODULUS).map_or(0, <[u8]>::len)
    }

    /// What the last part, or the whole, of `length` bytes yields at most; exactly that, if the second value says so.
    fn bound(&self, length: usize) -> (usize, bool) {
        match &self.mode {
            Mode::Cbc { padded: true, .. } if self.encrypts() => {
                ((length / BLOCK).saturating_add(1).saturating_mul(BLOCK), true)
            }
            Mode::Cbc { padded: true, .. } => (length, false),
            Mode::Ecb | Mode::Cbc { .. } | Mode::Ctr(_) => (length, true),
            Mode::Gcm { tag_length, .. } | Mode::Ccm(Ccm { tag_length, .. }) => {
                let change = if self.encrypts() { usize::saturating_add } else { usize::saturating_sub };
                (change(length, *tag_length), true)
            }
            Mode::RsaRaw => (self.modulus_size(), true),
            Mode::RsaPkcs | Mode::RsaOaep { .. } => (self.modulus_size(), self.encrypts()),
        }
    }

    /// Encrypts or decrypts everything at once: what is pending and `data`. Without a buffer, the length that suffices.
    pub(crate) fn finish(&mut self, data: &[u8], out: Option<&mut [u8]>) -> Result<usize> {
        let length = self.pending.len().saturating_add(data.len());
        let (bound, exact) = match &self.ready {
            Some(ready) => (ready.len(), true),
            None => self.bound(length),
        };
        let Some(out) = out else { return Ok(bound) };
        if exact && out.len() < bound {
            return Err(Error::TooSmall(bound));
        }
        let outcome = match self.ready.take() {
            Some(ready) => ready,
            None => {
                if length > GATHER_LIMIT {
                    return fail(self.wrong_length());
                }
                let mut whole = std::mem::take(&mut self.pending);
                // No copy of a secret stays behind when the vector grows.
                let mut input = Zeroizing::new(Vec::with_capacity(bound.max(length).saturating_add(BLOCK)));
                input.append(&mut whole);
                input.extend_from_slice(data);
                self.last(input)?
            }
        };
        match deliver(&outcome, out) {
            Err(error) => {
                self.ready = Some(outcome);
                Err(error)
            }
            delivered => delivered,
        }
    }

    const fn wrong_length(&self) -> CK_RV {
        if self.encrypts() { CKR_DATA_LEN_RANGE } else { CKR_ENCRYPTED_DATA_LEN_RANGE }
    }

    /// Adds data, and gives what is complete. Without a buffer, how much that will be.
    pub(crate) fn update(&mut self, data: &[u8], out: Option<&mut [u8]>) -> Result<usize> {
        let length = self.pending.len().saturating_add(data.len());
        let now = match &self.mode {
            Mode::Ctr(_) => length,
            // The last block tells where the padding begins.
            Mode::Cbc { padded: true, .. } if !self.encrypts() => length.saturating_sub(1) / BLOCK * BLOCK,
            Mode::Ecb | Mode::Cbc { .. } => length / BLOCK * BLOCK,
            _ => 0,
        };
        let Some(out) = out else { return Ok(now) };
        let out = out.get_mut(..now).ok_or(Error::TooSmall(now))?;
        if length > GATHER_LIMIT {
            return fail(self.wrong_length());
        }
        self.in_parts = true;
        let mut whole = Zeroizing::new(Vec::with_capacity(length));
        whole.append(&mut self.pending);
        whole.extend_from_slice(data);
        let (ready, rest) = whole.split_at_mut_checked(now).ok_or(Error::Code(CKR_FUNCTION_FAILED))?;
        self.pending = Zeroizing::new(rest.to_vec());
        if !ready.is_empty() {
            self.stream(ready)?;
            out.copy_from_slice(ready);
        }
        Ok(now)
    }

    /// Whole blocks, or any number of bytes in counter mode, in place.
    fn stream(&mut self, data: &mut [u8]) -> Result<()> {
        let direction = self.direction;
        // Longer data go in pieces, each in place. Work that begins again on a new connection begins with the input:
        // counter mode would turn pieces that are done back into what they were.
        let input = Zeroizing::new(data.to_vec());
        match &mut self.mode {
            Mode::Ecb => self.token.with_key(&self.key, |hsm, key| {
                data.copy_from_slice(&input);
                Ok(hsm.aes_ecb(direction, key, data)?)
            }),
            Mode::Cbc { iv, .. } => self.token.with_key(&self.key, |hsm, key| {
                data.copy_from_slice(&input);
                Ok(hsm.aes_cbc(direction, key, iv, data)?)
            }),
            Mode::Ctr(state) => self.token.with_key(&self.key, |hsm, key| {
                data.copy_from_slice(&input);
                Ok(hsm.aes_ctr(key, state, data)?)
            }),
            _ => fail(CKR_FUNCTION_FAILED),
        }
    }

    fn last(&mut self, mut data: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>> {
        match &self.mode {
            Mode::Ctr(_) => {
                self.stream(&mut data)?;
                Ok(data)
            }
            Mode::Ecb | Mode::Cbc { padded: false, .. } => {
                if !data.len().is_multiple_of(BLOCK) {
                    return fail(self.wrong_length());
                }
                if !data.is_empty() {
                    self.stream(&mut data)?;
                }
                Ok(data)
            }
            Mode::Cbc { .. } if self.encrypts() => {
                let padding = BLOCK - data.len() % BLOCK;
                let padded = data.len().saturating_add(padding);
                data.resize(padded, u8::try_from(padding).unwrap_or(0));
                self.stream(&mut data)?;
                Ok(data)
            }
            Mode::Cbc { .. } => {
                if data.is_empty() || !data.len().is_multiple_of(BLOCK) {
                    return fail(CKR_ENCRYPTED_DATA_LEN_RANGE);
                }
                self.stream(&mut data)?;
                let padding = unpadded(&data).ok_or(Error::Code(CKR_ENCRYPTED_DATA_INVALID))?;
                data.truncate(padding);
                Ok(data)
            }
            Mode::Gcm { .. } => self.gcm(data),
            Mode::Ccm(ccm) => {
                let mut modes = KeyModes { token: &self.token, key: &self.key };
                if self.encrypts() { ccm.seal(&mut modes, &data) } else { ccm.open(&mut modes, &data) }
            }
            Mode::RsaPkcs | Mode::RsaOaep { .. } | Mode::RsaRaw => self.rsa(&data),
        }
    }

    fn gcm(&self, mut data: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>> {
        let Mode::Gcm { iv, aad, tag_length } = &self.mode else { return fail(CKR_FUNCTION_FAILED) };
        let mut tag = vec![0; *tag_length];
        if self.encrypts() {
            self.token.with_key(&self.key, |hsm, key| {
                Ok(hsm.aes_gcm_encrypt(key, iv, aad, &mut data, &mut tag)?)
            })?;
            data.extend_from_slice(&tag);
        } else {
            let length =
                data.len().checked_sub(*tag_length).ok_or(Error::Code(CKR_ENCRYPTED_DATA_LEN_RANGE))?;
            tag.copy_from_slice(data.get(length..).unwrap_or_default());
            data.truncate(length);
            self.token
                .with_key(&self.key, |hsm, key| Ok(hsm.aes_gcm_decrypt(key, iv, aad, &mut data, &tag)?))?;
        }
        Ok(data)
    }

    fn rsa(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let size = self.modulus_size();
        if self.encrypts() {
            let (Kind::Rsa, PublicKey::Rsa { modulus, exponent }) = self.key.public_key()? else {
                return fail(CKR_KEY_TYPE_INCONSISTENT);
            };
            let mut block = match &self.mode {
                Mode::RsaRaw => left_padded(data, size).ok_or(Error::Code(CKR_DATA_LEN_RANGE))?,
                _ => vec![0; size],
            };
            match &self.mode {
                Mode::RsaRaw if block >= modulus => return fail(CKR_DATA_INVALID),
                Mode::RsaRaw => {}
                Mode::RsaOaep { hash, mask, label } => {
                    Oaep { hash: *hash, mask_hash: *mask, label }.encode(driver(), data, &mut block)?;
                }
                _ => pkcs1_encryption_encode(driver(), data, &mut block)?,
            }
            driver().rsa_public(&RsaPublicKey { modulus: &modulus, exponent: &exponent }, &mut block)?;
            return Ok(Zeroizing::new(block));
        }
        let raw = matches!(self.mode, Mode::RsaRaw);
        let input = if raw { left_padded(data, size) } else { Some(data.to_vec()) };
        let input =
            input.filter(|input| input.len() == size).ok_or(Error::Code(CKR_ENCRYPTED_DATA_LEN_RANGE))?;
        if Some(input.as_slice()) >= self.key.attributes.get(CKA_MODULUS) {
            return fail(CKR_ENCRYPTED_DATA_INVALID);
        }
        let mut block = Zeroizing::new(vec![0; size]);
        let length = self.token.with_key(&self.key, |hsm, key| {
            Ok(hsm.rsa(RsaOperation::PrivateDecrypt, key, &input, &mut block)?)
        })?;
        if length != size {
            return fail(CKR_DEVICE_ERROR);
        }
        let length = match &self.mode {
            Mode::RsaRaw => Ok(size),
            Mode::RsaOaep { hash, mask, label } => {
                Oaep { hash: *hash, mask_hash: *mask, label }.decode(driver(), &mut block)
            }
            _ => pkcs1_encryption_decode(&mut block),
        };
        let length = length.map_err(|_| Error::Code(CKR_ENCRYPTED_DATA_INVALID))?;
        block.truncate(length);
        Ok(block)
    }
}

/// The modes of the server with a key.
struct KeyModes<'a> {
    token: &'a Token,
    key: &'a Object,
}

impl Modes for KeyModes<'_> {
    fn cbc(&mut self, direction: Direction, data: &mut [u8]) -> Result<()> {
        // Work that begins again on a new connection begins with the input.
        let input = Zeroizing::new(data.to_vec());
        self.token.with_key(self.key, |hsm, key| {
            data.copy_from_slice(&input);
            Ok(hsm.aes_cbc(direction, key, &mut [0; BLOCK], data)?)
        })
    }

    fn ctr(&mut self, state: CtrState, data: &mut [u8]) -> Result<()> {
        let input = Zeroizing::new(data.to_vec());
        self.token.with_key(self.key, |hsm, key| {
            data.copy_from_slice(&input);
            Ok(hsm.aes_ctr(key, &mut state.clone(), data)?)
        })
    }
}

/// How many bytes stand before the padding of PKCS#7, if it is whole. It takes the same time wherever it is wrong.
fn unpadded(data: &[u8]) -> Option<usize> {
    use subtle::{Choice, ConstantTimeEq, ConstantTimeGreater};
    let last = *data.last()?;
    let start = data.len().checked_sub(BLOCK)?;
    let mut valid = !last.ct_eq(&0) & !last.ct_gt(&16);
    for (place, byte) in (1..=16_u8).rev().zip(data.get(start..)?) {
        // The bytes at the places up to the last one's value must have that value.
        let counts: Choice = !place.ct_gt(&last);
        valid &= !counts | byte.ct_eq(&last);
    }
    if bool::from(valid) { data.len().checked_sub(usize::from(last)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_whole_or_wrong() {
        for length in 0..16 {
            let mut data = vec![7; length];
            data.resize(16, u8::try_from(16 - length).unwrap());
            assert_eq!(unpadded(&data), Some(length));
            if length < 15 {
                data[14] ^= 1;
                assert_eq!(unpadded(&data), None, "{length}");
            }
        }
        assert_eq!(unpadded(&[0; 16]), None);
        assert_eq!(unpadded(&[17; 32]), None);
        assert_eq!(unpadded(&[16; 32]), Some(16));
        assert_eq!(unpadded(&[]), None);
    }
}
