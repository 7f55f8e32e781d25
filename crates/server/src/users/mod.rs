//! Users: who they are, how they are stored, and what each may do (document 07, part C).
//!
//! The lock over the users is taken before the lock over the object store, never the other way round, and PINs are
//! hashed under neither.

mod error;
mod import;
mod key_list;
mod pin;
mod policy;
mod record;
mod table;

use crate::lock::Lock;
use crate::platform::{Affinity, Platform};
use crate::server::Server;
use casemate_crypto::HashAlgorithm;
use casemate_nvm::{Error as StoreError, ObjectStore};
use casemate_protocol::message::authentication::{Permissions, UserId, UserName, method};
use casemate_protocol::{Flags, Label, Metadata, ObjectId, Status};
use error::record_status;
use record::{ATTEMPTS_OBJECT, ATTEMPTS_RECORD, Seal, USER_RECORD, certificate_object, user_object};
use zeroize::Zeroizing;

pub use error::UserError;
#[cfg(feature = "certificates")]
pub use policy::CertificateLogin;
pub use policy::{Lockout, UserPolicy};

pub(crate) use key_list::KeyList;
pub(crate) use pin::{PinDigest, Verifier};
pub(crate) use table::{Attempts, Credential, Login, MAX_USERS, StoredCertificate, Table, User, slot_of};

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
        let outcome = self.with_store(|store| match store.attributes(id) {
            Err(StoreError::NotFound | StoreError::NoStore) => Ok(false),
            Err(error) => Err(UserError::Store(error.status())),
            Ok(object) if usize::from(object.length) != out.len() => Err(UserError::Format(id)),
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
                self.with_store(|store| store.attributes(import::INDEX).is_ok()).ok_or(UserError::Lock)?;
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
