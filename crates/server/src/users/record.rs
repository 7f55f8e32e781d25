//! How users lie in the object store.
//!
//! Each user is one object, and the counts of failed logins of all users are one more, so that every change is one
//! write of the store, which power loss either leaves out or completes.
//!
//! | offset | size | content |
//! |--:|--:|---|
//! | 0 | 3 | `CMU` |
//! | 3 | 1 | version of the format, 1 |
//! | 4 | 1 | form: 0 open, 1 sealed |
//! | 5 | 3 | zero |
//! | 8 | 12 | nonce; zero in the open form |
//! | 20 | n | body |
//! | 20 + n | 16 | tag |
//!
//! Sealed, the body is encrypted with AES-256-GCM; the key is HKDF-SHA-256 of the device key (no salt, info
//! `casemate users 1`), and the additional data are bytes 0 to 7 and the object's identifier, little-endian. Open, the
//! body is as it is and the tag is the first half of the SHA-256 of bytes 0 to 19, the identifier and the body: it
//! detects damage, and nothing else.
//!
//! Scalars in bodies are little-endian.

use super::pin::Verifier;
use super::table::{Attempts, Credential, MAX_USERS, StoredCertificate, User};
use casemate_crypto::{Driver, HashAlgorithm, hash, hkdf};
use casemate_protocol::message::authentication::{MAX_CERTIFICATE, Permissions, UserName, method};
use casemate_protocol::{ByteOrder, ObjectId, Reader, Writer};
use zeroize::Zeroizing;

const HEAD: usize = 20;
const AUTHENTICATED: usize = 8;
const TAG: usize = 16;
const OPEN: u8 = 0;
const SEALED: u8 = 1;
const KEY_PURPOSE: &[u8] = b"casemate users 1";

/// More iterations than that are damage, not a cost.
const MAX_ITERATIONS: u32 = 100_000_000;

const USER_BODY: usize = 32 + Permissions::SIZE + 2 + 16 + 4 + 32;
const ATTEMPTS_BODY: usize = MAX_USERS * 9;

/// Size of a user's object in bytes.
pub(crate) const USER_RECORD: usize = HEAD + USER_BODY + TAG;
/// Size of the object with the counts of failed logins in bytes.
pub(crate) const ATTEMPTS_RECORD: usize = HEAD + ATTEMPTS_BODY + TAG;

/// The object of the user in slot `slot`.
pub(crate) fn user_object(slot: usize) -> ObjectId {
    ObjectId(0xFE40_u16.saturating_add(u16::try_from(slot).unwrap_or(0x3F)))
}

/// The two objects for certificates of the user in slot `slot`. They are not sealed: certificates are public, and the
/// user's record holds their digest.
pub(crate) fn certificate_object(slot: usize, place: u8) -> ObjectId {
    let slot = u16::try_from(slot).unwrap_or(0x1F).saturating_mul(2);
    ObjectId(0xFE48_u16.saturating_add(slot).saturating_add(u16::from(place & 1)))
}

/// The object with the counts of failed logins.
pub(crate) const ATTEMPTS_OBJECT: ObjectId = ObjectId(0xFE3F);

/// Why a record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordError {
    /// It is of another version, has another length, or its content is impossible.
    Format,
    /// It was changed, belongs elsewhere, or was sealed with another device key.
    NotAuthentic,
    /// It is open, but the platform has a device key.
    Unsealed,
    /// It is sealed, but the platform has no device key.
    NoKey,
    /// The driver failed.
    Driver,
}

/// What records are sealed with: the drivers, and the device key if there is one.
pub(crate) struct Seal<'a> {
    pub(crate) driver: &'a dyn Driver,
    pub(crate) device_key: Option<Zeroizing<[u8; 32]>>,
}

impl Seal<'_> {
    fn sealing_key(&self, device_key: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, RecordError> {
        let mut key = Zeroizing::new([0; 32]);
        hkdf(self.driver, HashAlgorithm::Sha256, &[], device_key, KEY_PURPOSE, key.as_mut_slice())
            .map_err(|_| RecordError::Driver)?;
        Ok(key)
    }

    fn checksum(&self, parts: &[&[u8]]) -> Result<[u8; TAG], RecordError> {
        let mut digest = [0; 32];
        hash(self.driver, HashAlgorithm::Sha256, parts, &mut digest).map_err(|_| RecordError::Driver)?;
        let (tag, _) = digest.split_first_chunk().ok_or(RecordError::Driver)?;
        Ok(*tag)
    }

    /// Completes `record`, whose body has been written already.
    fn close(&self, id: ObjectId, record: &mut [u8]) -> Result<(), RecordError> {
        let (head, rest) = record.split_at_mut_checked(HEAD).ok_or(RecordError::Format)?;
        let at_tag = rest.len().checked_sub(TAG).ok_or(RecordError::Format)?;
        let (body, tag) = rest.split_at_mut_checked(at_tag).ok_or(RecordError::Format)?;
        let form = if self.device_key.is_some() { SEALED } else { OPEN };
        let mut writer = Writer::new(head, ByteOrder::Little);
        writer.put_bytes(&[b'C', b'M', b'U', 1, form, 0, 0, 0]).map_err(|_| RecordError::Format)?;
        let nonce = writer.reserve(HEAD - AUTHENTICATED).map_err(|_| RecordError::Format)?;
        nonce.fill(0);
        let id = id.0.to_le_bytes();
        match &self.device_key {
            Some(device_key) => {
                self.driver.fill(nonce).map_err(|_| RecordError::Driver)?;
                let key = self.sealing_key(device_key)?;
                let mut authenticated = [0; AUTHENTICATED + 2];
                let (fixed, nonce) = head.split_at_checked(AUTHENTICATED).ok_or(RecordError::Format)?;
                associate(&mut authenticated, fixed, id);
                self.driver
                    .gcm_seal(key.as_slice(), nonce, &authenticated, body, tag)
                    .map_err(|_| RecordError::Driver)
            }
            None => {
                tag.copy_from_slice(&self.checksum(&[head, &id, body])?);
                Ok(())
            }
        }
    }

    /// Checks and decrypts `record` in place and returns its body.
    fn open<'r>(&self, id: ObjectId, record: &'r mut [u8]) -> Result<&'r [u8], RecordError> {
        let (head, rest) = record.split_at_mut_checked(HEAD).ok_or(RecordError::Format)?;
        let at_tag = rest.len().checked_sub(TAG).ok_or(RecordError::Format)?;
        let (body, tag) = rest.split_at_mut_checked(at_tag).ok_or(RecordError::Format)?;
        let (fixed, nonce) = head.split_at_checked(AUTHENTICATED).ok_or(RecordError::Format)?;
        let id = id.0.to_le_bytes();
        let form = match fixed {
            [b'C', b'M', b'U', 1, form, 0, 0, 0] => *form,
            _ => return Err(RecordError::Format),
        };
        match (form, &self.device_key) {
            (SEALED, Some(device_key)) => {
                let key = self.sealing_key(device_key)?;
                let mut authenticated = [0; AUTHENTICATED + 2];
                associate(&mut authenticated, fixed, id);
                self.driver.gcm_open(key.as_slice(), nonce, &authenticated, body, tag).map_err(|error| {
                    match error {
                        casemate_crypto::Error::Authentication => RecordError::NotAuthentic,
                        _ => RecordError::Driver,
                    }
                })?;
            }
            (OPEN, None) => {
                if !casemate_crypto::constant_time_equal(&self.checksum(&[head, &id, body])?, tag) {
                    return Err(RecordError::NotAuthentic);
                }
            }
            (OPEN, Some(_)) => return Err(RecordError::Unsealed),
            (SEALED, None) => return Err(RecordError::NoKey),
            _ => return Err(RecordError::Format),
        }
        Ok(body)
    }

    /// A user's object.
    pub(crate) fn close_user(
        &self,
        slot: usize,
        user: &User,
    ) -> Result<Zeroizing<[u8; USER_RECORD]>, RecordError> {
        let mut record = Zeroizing::new([0; USER_RECORD]);
        let body = record.get_mut(HEAD..).ok_or(RecordError::Format)?;
        write_user(body, user).map_err(|_| RecordError::Format)?;
        self.close(user_object(slot), record.as_mut_slice())?;
        Ok(record)
    }

    /// The user in an object.
    pub(crate) fn open_user(&self, slot: usize, record: &mut [u8]) -> Result<User, RecordError> {
        if record.len() != USER_RECORD {
            return Err(RecordError::Format);
        }
        read_user(self.open(user_object(slot), record)?).ok_or(RecordError::Format)
    }

    /// The object with the counts of failed logins.
    pub(crate) fn close_attempts(
        &self,
        attempts: &[Attempts; MAX_USERS],
    ) -> Result<[u8; ATTEMPTS_RECORD], RecordError> {
        let mut record = [0; ATTEMPTS_RECORD];
        let body = record.get_mut(HEAD..).ok_or(RecordError::Format)?;
        let mut writer = Writer::new(body, ByteOrder::Little);
        for Attempts { failures, last } in attempts {
            writer.put(*failures).and_then(|()| writer.put(*last)).map_err(|_| RecordError::Format)?;
        }
        self.close(ATTEMPTS_OBJECT, &mut record)?;
        Ok(record)
    }

    /// The counts of failed logins in an object.
    pub(crate) fn open_attempts(&self, record: &mut [u8]) -> Result<[Attempts; MAX_USERS], RecordError> {
        if record.len() != ATTEMPTS_RECORD {
            return Err(RecordError::Format);
        }
        let mut reader = Reader::new(self.open(ATTEMPTS_OBJECT, record)?, ByteOrder::Little);
        let mut attempts = [Attempts::NONE; MAX_USERS];
        for entry in &mut attempts {
            entry.failures = reader.get().map_err(|_| RecordError::Format)?;
            entry.last = reader.get().map_err(|_| RecordError::Format)?;
        }
        Ok(attempts)
    }
}

fn associate(to: &mut [u8; AUTHENTICATED + 2], fixed: &[u8], id: [u8; 2]) {
    for (to, from) in to.iter_mut().zip(fixed.iter().chain(&id)) {
        *to = *from;
    }
}

/// Body of a user's object: name (32), permissions (473), method (2), salt (16), iterations (4), hash (32). The last
/// three are zero for a user without a credential; for one with a certificate they hold the place (1) and zeros (15), the
/// length, and the SHA-256 of the certificate.
fn write_user(body: &mut [u8], user: &User) -> Result<(), casemate_protocol::Overflow> {
    let mut writer = Writer::new(body, ByteOrder::Little);
    writer.put(user.name)?;
    writer.put(user.permissions)?;
    match &user.credential {
        Credential::None => writer.put(method::NONE)?,
        Credential::Pin(verifier) => {
            writer.put(method::PIN)?;
            writer.put_bytes(&verifier.salt)?;
            writer.put(verifier.iterations)?;
            writer.put_bytes(&verifier.hash)?;
        }
        Credential::Certificate(StoredCertificate { place, length, digest }) => {
            writer.put(method::CERTIFICATE)?;
            let mut salt = [0; 16];
            if let Some(first) = salt.first_mut() {
                *first = *place;
            }
            writer.put_bytes(&salt)?;
            writer.put(u32::from(*length))?;
            writer.put_bytes(digest)?;
        }
    }
    Ok(())
}

fn read_user(body: &[u8]) -> Option<User> {
    let mut reader = Reader::new(body, ByteOrder::Little);
    let name: UserName = reader.get().ok()?;
    let permissions: Permissions = reader.get().ok()?;
    let credential = match reader.get::<u16>().ok()? {
        method::NONE => Credential::None,
        method::PIN => {
            let salt = reader.take_array().ok()?;
            let iterations = reader.get().ok().filter(|&count| count <= MAX_ITERATIONS)?;
            Credential::Pin(Verifier { salt, iterations, hash: reader.take_array().ok()? })
        }
        method::CERTIFICATE => {
            let [place, ..] = reader.take_array::<16>().ok()?;
            let length = u16::try_from(reader.get::<u32>().ok()?).ok()?;
            if place > 1 || length == 0 || usize::from(length) > MAX_CERTIFICATE {
                return None;
            }
            let digest = reader.take_array().ok()?;
            Credential::Certificate(StoredCertificate { place, length, digest })
        }
        _ => return None,
    };
    if name.is_empty() {
        return None;
    }
    Some(User { name, permissions: permissions.normalized(), credential, generation: 0 })
}
