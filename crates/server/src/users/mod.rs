//! Users: who they are, how they are stored, and what each may do (document 07, part C).
//!
//! The lock over the users is taken before the lock over the object store, never the other way round, and PINs are
//! hashed under neither.

mod import;
mod pin;
mod record;
mod table;

use crate::lock::Lock;
use crate::platform::{Affinity, Platform};
use crate::server::Server;
use casemate_crypto::HashAlgorithm;
use casemate_nvm::{Error as StoreError, ObjectStore};
use casemate_protocol::message::authentication::{Permissions, UserId, UserName, method};
use casemate_protocol::{ClientId, Flags, IdFeatures, KeyId, Label, Metadata, ObjectId, ObjectType, Status};
use core::fmt;
use record::{
    ATTEMPTS_OBJECT, ATTEMPTS_RECORD, RecordError, Seal, USER_RECORD, certificate_object, user_object,
};
use zeroize::Zeroizing;

pub(crate) use pin::{PinDigest, Verifier};
pub(crate) use table::{Attempts, Credential, Login, MAX_USERS, StoredCertificate, Table, User, slot_of};

/// What holds for users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserPolicy {
    /// Iterations of PBKDF2-HMAC-SHA-256 for a PIN. Users whose PIN was stored with fewer are moved up when they log
    /// in. Each takes two compressions of SHA-256: choose the number so that a login takes as long as can be waited.
    pub pin_iterations: u32,
    /// Shortest new PIN in bytes, at least 1. PINs that exist stay valid.
    pub minimum_pin_length: u8,
    /// What failed logins lead to.
    pub lockout: Lockout,
    /// Whether a user whose permissions list keys can use no others. The original keeps the lists and does not look
    /// at them.
    pub key_lists: bool,
    /// Whether users can log in with a certificate.
    #[cfg(feature = "certificates")]
    pub certificates: CertificateLogin,
}

/// Whether users can log in with a certificate (document 07, C.5). A user's credential is then the certificate of an
/// authority, and whoever shows a certificate that it has issued, or that very certificate, logs in as the user. The
/// dates count if there is a clock, and [`Platform::accepts_certificate`] is asked.
///
/// The message carries nothing but the certificate, which is public: it proves nothing by itself.
#[cfg(feature = "certificates")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertificateLogin {
    /// Not at all, and no user gets a certificate.
    #[default]
    Off,
    /// If the transport has proven that the client has the certificate's private key, as TLS does: it must be the very
    /// certificate that [`Session::with_certificate`](crate::Session::with_certificate) names.
    Proven,
    /// Always, as in the original: whoever has seen the certificate, on the wire or elsewhere, can log in. For clients of
    /// the original on transports where nobody else can listen or connect.
    Replayable,
}

impl UserPolicy {
    /// Whether credentials of this kind can be stored and used.
    #[cfg(feature = "certificates")]
    pub(crate) fn knows(&self, method: u16) -> bool {
        method == method::PIN || method == method::CERTIFICATE && self.certificates != CertificateLogin::Off
    }

    /// Whether credentials of this kind can be stored and used.
    #[cfg(not(feature = "certificates"))]
    pub(crate) const fn knows(&self, method: u16) -> bool {
        method == method::PIN
    }
}

impl Default for UserPolicy {
    /// For a server on a general-purpose computer.
    fn default() -> Self {
        Self {
            pin_iterations: 600_000,
            minimum_pin_length: 1,
            lockout: Lockout::default(),
            key_lists: true,
            #[cfg(feature = "certificates")]
            certificates: CertificateLogin::Off,
        }
    }
}

/// What failed logins lead to. They are counted for each user, and a successful login sets the count to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockout {
    /// So many failures cost nothing.
    pub free: u8,
    /// Seconds to wait after the first failure beyond that; each further one doubles it. A platform without a
    /// clock ([`Platform::now`]) does not wait.
    pub first_delay: u32,
    /// Longest wait in seconds.
    pub longest_delay: u32,
    /// After so many failures the user cannot log in until an administrator sets its permissions.
    pub limit: u8,
    /// Whether an attempt is counted in the store before the PIN is compared, so that cutting the power in between
    /// gains nothing. The price is two writes for each login. Otherwise only failed logins write, and those whose
    /// failures were counted. In memory every attempt counts at once, in either case.
    pub count_first: bool,
}

impl Default for Lockout {
    /// 5 failures are free; then 1 second, doubling up to 15 minutes; after 20 failures the user is locked. Attempts
    /// are counted first.
    fn default() -> Self {
        Self { free: 5, first_delay: 1, longest_delay: 900, limit: 20, count_first: true }
    }
}

/// Why the server's owner cannot work with the users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserError {
    /// The configuration has no users ([`crate::Config::users`]).
    Disabled,
    /// The users have not been loaded ([`Server::load_users`]).
    NotLoaded,
    /// A record of the database has an unknown version or an impossible content.
    Format(ObjectId),
    /// A record was changed, was moved, or was sealed under another device key.
    NotAuthentic(ObjectId),
    /// A record is not sealed, but the platform has a device key: it was planted, or written before there was one.
    Unsealed(ObjectId),
    /// A record is sealed, but the platform has no device key.
    NoDeviceKey(ObjectId),
    /// There are users already.
    NotEmpty,
    /// There is no database of the original's.
    NoOriginal,
    /// The original's database is damaged.
    OriginalDamaged,
    /// No user is free, or the name or PIN cannot be used.
    Refused(Status),
    /// The object store failed, with this status.
    Store(Status),
    /// The cryptographic driver failed.
    Driver,
    /// A lock could not be had.
    Lock,
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("the server is configured without users"),
            Self::NotLoaded => f.write_str("the users have not been loaded from the object store yet"),
            Self::Format(id) => write!(
                f,
                "object {id} of the user database is damaged or of a newer version; restore the object store"
            ),
            Self::NotAuthentic(id) => write!(
                f,
                "object {id} of the user database was changed, or was sealed under another device key; check the \
                 device key"
            ),
            Self::Unsealed(id) => write!(
                f,
                "object {id} of the user database is not sealed, but this server has a device key; whoever wrote \
                 it did not have the key"
            ),
            Self::NoDeviceKey(id) => {
                write!(f, "object {id} of the user database is sealed; give the server its device key")
            }
            Self::NotEmpty => f.write_str("there are users already"),
            Self::NoOriginal => f.write_str("the object store holds no user database of the original's"),
            Self::OriginalDamaged => f.write_str("the original's user database is damaged"),
            Self::Refused(status) => write!(f, "the user cannot be stored: {status}"),
            Self::Store(status) => write!(f, "the object store failed: {status}"),
            Self::Driver => f.write_str("the cryptographic driver failed"),
            Self::Lock => f.write_str("the users' lock cannot be had"),
        }
    }
}

impl core::error::Error for UserError {}

/// What [`Server::load_users`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadedUsers {
    /// How many users there are.
    pub users: usize,
    /// Whether the counts of failed logins were missing or changed although there are users: then nobody can log in
    /// until the owner provisions a user anew ([`Server::provision_user`]).
    pub attempts_lost: bool,
    /// Whether there is also a database of the original's, which [`Server::import_users`] can take over.
    pub original: bool,
}

/// What [`Server::import_users`] took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportedUsers {
    /// Users, with their permissions.
    pub users: usize,
    /// Those among them that had a certificate or no credential, and cannot log in before an administrator gives them
    /// a PIN.
    pub without_pin: usize,
}

/// The keys that a user's permissions list.
///
/// An entry of at most 12 bits is a key as clients name it (number 1 to 255, plus 0x100 for a global, 0x200 for a
/// wrapped and 0x400 for a hardware key), of whatever client the session has said to be. An entry with type bits
/// (0x1000 to 0xFFFF) is a key as the server names it (type, owner, number): so a SHE slot can be listed too. No key
/// matches any other entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyList {
    keys: [u32; Permissions::MAX_KEYS],
    count: usize,
}

impl KeyList {
    /// No list: every key.
    pub(crate) const ANY: Self = Self { keys: [0; Permissions::MAX_KEYS], count: 0 };

    fn of(permissions: &Permissions) -> Self {
        let (keys, count) = permissions.key_list();
        Self { keys, count }
    }

    /// Whether a session of `client` may use the key `id`. Objects that are no keys are not what lists are about.
    pub(crate) fn permits(&self, id: ObjectId, client: ClientId, features: IdFeatures) -> bool {
        let is_key = matches!(
            id.object_type(),
            ObjectType::CRYPTO | ObjectType::SHE | ObjectType::WRAPPED | ObjectType::HARDWARE
        );
        let listed = |entry: u32| match u16::try_from(entry) {
            Ok(entry @ 0x1000..) => ObjectId(entry) == id,
            Ok(entry @ 0..0x0800) => {
                KeyId(entry).is_some() && KeyId(entry).to_object(ObjectType::CRYPTO, client, features) == id
            }
            _ => false,
        };
        !is_key || self.count == 0 || self.keys.iter().take(self.count).any(|&entry| listed(entry))
    }
}

impl RecordError {
    const fn at(self, id: ObjectId) -> UserError {
        match self {
            Self::Format => UserError::Format(id),
            Self::NotAuthentic => UserError::NotAuthentic(id),
            Self::Unsealed => UserError::Unsealed(id),
            Self::NoKey => UserError::NoDeviceKey(id),
            Self::Driver => UserError::Driver,
        }
    }
}

const fn record_status(error: RecordError) -> Status {
    match error {
        RecordError::Driver => Status::RNG_FAILURE,
        _ => Status::ABORTED,
    }
}

fn metadata(id: ObjectId, label: &str) -> Metadata {
    let flags = Flags::NONMODIFIABLE | Flags::SENSITIVE | Flags::NONEXPORTABLE | Flags::NONDESTROYABLE;
    Metadata { id, access: 0, flags, length: 0, label: Label::from(label) }
}

/// Storing, on behalf of whoever holds the users' lock.
impl<P: Platform> Server<P> {
    fn seal(&self) -> Seal<'_> {
        Seal {
            driver: self.platform().crypto(Affinity::Accelerated),
            device_key: self.platform().device_key(),
        }
    }

    /// A server without a store keeps its users in memory, as the original does.
    fn write_object(&self, id: ObjectId, label: &str, data: &[u8]) -> Result<(), Status> {
        match self.with_store(|store| store.add_with_reclaim(&metadata(id, label), data)) {
            Some(Ok(()) | Err(StoreError::NoStore)) => Ok(()),
            Some(Err(error)) => Err(error.status()),
            None => Err(Status::ABORTED),
        }
    }

    fn destroy_object(&self, id: ObjectId) -> Result<(), Status> {
        match self.with_store(|store| store.destroy(&[id])) {
            Some(Ok(()) | Err(StoreError::NoStore)) => Ok(()),
            Some(Err(error)) => Err(error.status()),
            None => Err(Status::ABORTED),
        }
    }

    /// Reads an object of exactly the size of `out`; `false` if there is none.
    fn read_object(&self, id: ObjectId, out: &mut [u8]) -> Result<bool, UserError> {
        let outcome = self.with_store(|store| match store.metadata(id) {
            Err(StoreError::NotFound | StoreError::NoStore) => Ok(false),
            Err(error) => Err(UserError::Store(error.status())),
            Ok(metadata) if usize::from(metadata.length) != out.len() => Err(UserError::Format(id)),
            Ok(_) => store.read(id, 0, out).map(|()| true).map_err(|error| UserError::Store(error.status())),
        });
        outcome.unwrap_or(Err(UserError::Lock))
    }

    /// Stores a user, and then puts it into the table; its sessions are over.
    pub(crate) fn store_user(&self, table: &mut Table, slot: usize, user: User) -> Result<(), Status> {
        let record = self.seal().close_user(slot, &user).map_err(record_status)?;
        self.write_object(user_object(slot), "casemate user", record.as_slice())?;
        table.put(slot, user);
        Ok(())
    }

    /// Stores a new user. Its count of failed logins is reset first: a user without one would be locked.
    pub(crate) fn store_new_user(&self, table: &mut Table, slot: usize, user: User) -> Result<(), Status> {
        if table.stored_attempts(slot) != Some(Attempts::NONE)
            || table.attempts.get(slot) != Some(&Attempts::NONE)
        {
            self.store_attempts(table, slot, Attempts::NONE)?;
        }
        self.store_user(table, slot, user)
    }

    /// Removes a user from the store, and then from the table.
    pub(crate) fn remove_user(&self, table: &mut Table, slot: usize) -> Result<(), Status> {
        self.destroy_object(user_object(slot))?;
        let user = table.user(slot).map(|user| user.credential.clone());
        table.remove(slot);
        self.forget_certificate(slot, user.as_ref());
        Ok(())
    }

    /// Stores a certificate in that of a slot's two objects which `present` does not use. It counts once a user's record
    /// names it.
    pub(crate) fn store_certificate(
        &self,
        slot: usize,
        certificate: &[u8],
        present: &Credential,
    ) -> Result<StoredCertificate, Status> {
        let length = u16::try_from(certificate.len()).map_err(|_| Status::BUFFER_SIZE)?;
        let digest = self.certificate_digest(certificate)?;
        let place = StoredCertificate::next_place(present);
        self.write_object(certificate_object(slot, place), "casemate certificate", certificate)?;
        Ok(StoredCertificate { place, length, digest })
    }

    /// Destroys the certificate of a credential that no record names any more. If that fails, the object stays until the
    /// next certificate takes its place; nothing uses it.
    pub(crate) fn forget_certificate(&self, slot: usize, credential: Option<&Credential>) {
        if let Some(Credential::Certificate(stored)) = credential {
            let _ = self.destroy_object(certificate_object(slot, stored.place));
        }
    }

    /// The name of a certificate.
    pub(crate) fn certificate_digest(&self, certificate: &[u8]) -> Result<[u8; 32], Status> {
        let mut digest = [0; 32];
        let driver = self.platform().crypto(Affinity::Accelerated);
        casemate_crypto::hash(driver, HashAlgorithm::Sha256, &[certificate], &mut digest)
            .map_err(crate::error::crypto_status)?;
        Ok(digest)
    }

    /// Reads a user's certificate to the front of `space`.
    ///
    /// # Errors
    /// ABORTED if another one lies there; BUFFER_SIZE; what the store answers.
    #[cfg(feature = "certificates")]
    pub(crate) fn load_certificate<'s>(
        &self,
        slot: usize,
        stored: &StoredCertificate,
        space: &'s mut [u8],
    ) -> Result<&'s [u8], Status> {
        let space = space.get_mut(..usize::from(stored.length)).ok_or(Status::BUFFER_SIZE)?;
        match self.read_object(certificate_object(slot, stored.place), space) {
            Ok(true) if self.certificate_digest(space)? == stored.digest => Ok(space),
            Err(UserError::Store(status)) => Err(status),
            _ => Err(Status::ABORTED),
        }
    }

    /// Stores a user's count of failed logins, and then puts it into the table.
    pub(crate) fn store_attempts(
        &self,
        table: &mut Table,
        slot: usize,
        attempts: Attempts,
    ) -> Result<(), Status> {
        let mut all = table.attempts;
        *all.get_mut(slot).ok_or(Status::ABORTED)? = attempts;
        let record = self.seal().close_attempts(&all).map_err(record_status)?;
        self.write_object(ATTEMPTS_OBJECT, "casemate logins", &record)?;
        table.attempts = all;
        table.stored = Some(all);
        Ok(())
    }

    /// Counts an attempt, before the PIN is looked at: in the store too if the policy says so.
    ///
    /// A store that is full keeps nobody out: then the count is in memory only, or no administrator could ever make
    /// room again.
    ///
    /// # Errors
    /// AUTH_LOGIN_FAILED if the user has to wait or is locked; what the store answers.
    pub(crate) fn charge(&self, table: &mut Table, slot: usize, policy: &UserPolicy) -> Result<(), Status> {
        let now = self.platform().now();
        let mut attempts = *table.attempts.get(slot).ok_or(Status::ABORTED)?;
        if now.is_some_and(|now| now < attempts.last) {
            // The clock was set back: the wait begins anew, and is not longer than it should be.
            attempts.last = now.unwrap_or(0);
            if let Some(entry) = table.attempts.get_mut(slot) {
                *entry = attempts;
            }
        }
        if !attempts.allowed(&policy.lockout, now) {
            return Err(Status::AUTH_LOGIN_FAILED);
        }
        let charged =
            Attempts { failures: attempts.failures.saturating_add(1), last: now.unwrap_or(attempts.last) };
        if policy.lockout.count_first {
            return self.count(table, slot, charged);
        }
        *table.attempts.get_mut(slot).ok_or(Status::ABORTED)? = charged;
        Ok(())
    }

    /// Stores the count of failed logins of a user who has given a wrong PIN, unless that was done before.
    pub(crate) fn confirm(&self, table: &mut Table, slot: usize) -> Result<(), Status> {
        let attempts = *table.attempts.get(slot).ok_or(Status::ABORTED)?;
        if table.stored_attempts(slot) == Some(attempts) {
            return Ok(());
        }
        self.count(table, slot, attempts)
    }

    /// Forgets the failed logins of a user who has proven who it is.
    pub(crate) fn settle(&self, table: &mut Table, slot: usize) -> Result<(), Status> {
        if table.stored_attempts(slot) == Some(Attempts::NONE) {
            *table.attempts.get_mut(slot).ok_or(Status::ABORTED)? = Attempts::NONE;
            return Ok(());
        }
        self.count(table, slot, Attempts::NONE)
    }

    fn count(&self, table: &mut Table, slot: usize, attempts: Attempts) -> Result<(), Status> {
        match self.store_attempts(table, slot, attempts) {
            Err(Status::NO_SPACE) => {
                if let Some(entry) = table.attempts.get_mut(slot) {
                    *entry = attempts;
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// What is to be kept of a new PIN. Takes long: not to be called under a lock.
    pub(crate) fn new_verifier(&self, pin: &PinDigest, policy: &UserPolicy) -> Result<Verifier, Status> {
        let mut salt = [0; 16];
        self.platform().crypto(Affinity::Accelerated).fill(&mut salt).map_err(|_| Status::RNG_FAILURE)?;
        Ok(Verifier::new(pin, salt, policy.pin_iterations))
    }

    /// Works with the users while no other session does.
    pub(crate) fn with_users<R>(
        &self,
        work: impl FnOnce(&mut Table) -> Result<R, Status>,
    ) -> Result<R, Status> {
        self.users().with(work).unwrap_or(Err(Status::ABORTED))
    }
}

/// What the server's owner does with users, between requests.
impl<P: Platform> Server<P> {
    fn owner<R>(
        &self,
        work: impl FnOnce(&mut Table, &UserPolicy) -> Result<R, UserError>,
    ) -> Result<R, UserError> {
        let policy = self.config().users.ok_or(UserError::Disabled)?;
        self.users().with(|table| work(table, &policy)).unwrap_or(Err(UserError::Lock))
    }

    /// Reads the users from the object store. Until this has succeeded nobody can log in, so a server that is
    /// configured with users is never open.
    ///
    /// # Errors
    /// [`UserError`] if the database cannot be trusted; nothing is loaded then.
    pub fn load_users(&self) -> Result<LoadedUsers, UserError> {
        self.owner(|table, _| {
            let seal = self.seal();
            let mut fresh = Table::new();
            for slot in 0..MAX_USERS {
                let mut record = Zeroizing::new([0; USER_RECORD]);
                if self.read_object(user_object(slot), record.as_mut_slice())? {
                    let user = seal
                        .open_user(slot, record.as_mut_slice())
                        .map_err(|error| error.at(user_object(slot)))?;
                    if fresh.find(&user.name).is_some() {
                        return Err(UserError::Format(user_object(slot)));
                    }
                    fresh.put(slot, user);
                }
            }
            let mut loaded = LoadedUsers { users: fresh.count(), ..LoadedUsers::default() };
            let mut record = [0; ATTEMPTS_RECORD];
            let attempts = match self.read_object(ATTEMPTS_OBJECT, &mut record) {
                Ok(true) => seal.open_attempts(&mut record).ok(),
                Ok(false) | Err(UserError::Format(_)) => None,
                Err(error) => return Err(error),
            };
            match attempts {
                Some(attempts) => {
                    fresh.attempts = attempts;
                    fresh.stored = Some(attempts);
                }
                None if loaded.users > 0 => {
                    fresh.attempts = [Attempts::EXHAUSTED; MAX_USERS];
                    loaded.attempts_lost = true;
                }
                None => {}
            }
            loaded.original =
                self.with_store(|store| store.metadata(import::INDEX).is_ok()).ok_or(UserError::Lock)?;
            fresh.loaded = true;
            *table = fresh;
            Ok(loaded)
        })
    }

    /// How many users there are.
    ///
    /// # Errors
    /// [`UserError::Disabled`], [`UserError::NotLoaded`], [`UserError::Lock`].
    pub fn user_count(&self) -> Result<usize, UserError> {
        self.owner(|table, _| if table.loaded { Ok(table.count()) } else { Err(UserError::NotLoaded) })
    }

    /// Stores a user with a PIN: a new one, or new permissions and a new PIN for the one of that name, whose sessions
    /// end and whose failed logins are forgotten. It obeys no rule on who may do that: it is for whoever owns the
    /// device, to make the first administrator or to let one in again.
    ///
    /// # Errors
    /// [`UserError::Refused`] if all users are taken or the PIN is too short; [`UserError::Store`], and the others
    /// that say so.
    pub fn provision_user(
        &self,
        name: UserName,
        permissions: &Permissions,
        pin: &[u8],
    ) -> Result<UserId, UserError> {
        let policy = self.config().users.ok_or(UserError::Disabled)?;
        if name.is_empty() || pin.len() < usize::from(policy.minimum_pin_length.max(1)) {
            return Err(UserError::Refused(Status::BAD_ARGUMENTS));
        }
        let verifier = self.new_verifier(&PinDigest::of(pin), &policy).map_err(|_| UserError::Driver)?;
        self.owner(|table, _| {
            if !table.loaded {
                return Err(UserError::NotLoaded);
            }
            let slot = table
                .find(&name)
                .or_else(|| table.free_slot())
                .ok_or(UserError::Refused(Status::BUFFER_SIZE))?;
            let permissions = permissions.normalized();
            let user = User { name, permissions, credential: Credential::Pin(verifier), generation: 0 };
            self.store_new_user(table, slot, user).map_err(UserError::Store)?;
            table.login(slot).map(Login::id).ok_or(UserError::Lock)
        })
    }

    /// Takes over the users of a database that the original's server made, and removes that database. PINs stay
    /// valid; certificates are not taken over.
    ///
    /// The original's database is not protected: whoever can write the flash can make one. Call this once, when the
    /// device moves from the original's server to this one.
    ///
    /// # Errors
    /// [`UserError::NotEmpty`] if there are users already, other than from a call that was interrupted;
    /// [`UserError::NoOriginal`], [`UserError::OriginalDamaged`]; and the others that say so. After a failure while
    /// writing, call it again.
    pub fn import_users(&self) -> Result<ImportedUsers, UserError> {
        self.owner(|table, policy| {
            if !table.loaded {
                return Err(UserError::NotLoaded);
            }
            let mut index = Zeroizing::new([0; import::INDEX_SIZE]);
            match self.read_object(import::INDEX, index.as_mut_slice()) {
                Ok(true) => {}
                Ok(false) => return Err(UserError::NoOriginal),
                Err(UserError::Format(_)) => return Err(UserError::OriginalDamaged),
                Err(error) => return Err(error),
            }
            let users = import::users(index.as_slice()).ok_or(UserError::OriginalDamaged)?;
            let is_begun = |(user, original): (&Option<User>, &Option<import::Imported>)| {
                user.as_ref().is_none_or(|user| original.is_some_and(|original| original.name == user.name))
            };
            if !table.users.iter().zip(&users).all(is_begun) {
                return Err(UserError::NotEmpty);
            }
            let mut imported = ImportedUsers::default();
            for (slot, user) in users.into_iter().enumerate() {
                let Some(import::Imported { name, permissions }) = user else { continue };
                match table.find(&name) {
                    None => {}
                    // Power was lost while the users were taken over.
                    Some(found) if found == slot => continue,
                    Some(_) => return Err(UserError::OriginalDamaged),
                }
                let credential = self.original_credential(slot, policy)?;
                imported.users = imported.users.saturating_add(1);
                if credential == Credential::None {
                    imported.without_pin = imported.without_pin.saturating_add(1);
                }
                let user = User { name, permissions, credential, generation: 0 };
                self.store_new_user(table, slot, user).map_err(UserError::Store)?;
            }
            for slot in 0..MAX_USERS {
                self.destroy_object(import::credential_object(slot)).map_err(UserError::Store)?;
            }
            self.destroy_object(import::INDEX).map_err(UserError::Store)?;
            Ok(imported)
        })
    }

    fn original_credential(&self, slot: usize, policy: &UserPolicy) -> Result<Credential, UserError> {
        let id = import::credential_object(slot);
        let found = self.with_store(|store| match store.metadata(id) {
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(UserError::Store(error.status())),
            Ok(metadata) if import::credential_method(&metadata) != method::PIN => Ok(None),
            Ok(metadata) if metadata.length != 32 => Err(UserError::OriginalDamaged),
            Ok(_) => {
                let mut digest = [0; 32];
                store.read(id, 0, &mut digest).map_err(|error| UserError::Store(error.status()))?;
                Ok(Some(PinDigest::from_original(digest)))
            }
        });
        match found.unwrap_or(Err(UserError::Lock))? {
            Some(digest) => {
                self.new_verifier(&digest, policy).map(Credential::Pin).map_err(|_| UserError::Driver)
            }
            None => Ok(Credential::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_lists_name_keys_as_clients_or_as_the_server_does() {
        let client = ClientId::new(3).unwrap();
        let permits = |entries: &[u32], id| {
            let mut permissions = Permissions::NONE;
            assert!(permissions.set_keys(entries));
            KeyList::of(&permissions).permits(ObjectId(id), client, IdFeatures::ALL)
        };
        for (entry, id) in [
            (0x0005, 0x1305),
            (0x0105, 0x1005),
            (0x0205, 0x4305),
            (0x0405, 0x5305),
            (0x1305, 0x1305),
            (0x1405, 0x1405),
            (0x2304, 0x2304),
            (0x2300, 0x2300),
        ] {
            assert!(permits(&[entry], id), "{entry:#x}");
            assert!(permits(&[0x1FFF, entry], id), "{entry:#x}");
            assert!(!permits(&[entry], id ^ 1), "{entry:#x}");
            assert!(!permits(&[entry], id ^ 0x0100), "{entry:#x}");
        }
        assert!(permits(&[], 0x1305));
        for id in [0x1300, 0x1305, 0x2305] {
            for entry in [0, 0x0100, 0x0805, 0x1_1305, 0xFFFF_FFFF] {
                assert!(!permits(&[entry], id), "{entry:#x}");
            }
        }
        // Objects and counters are no keys.
        assert!(permits(&[0x1305], 0x0042) && permits(&[0x1305], 0x3301));
    }
}
