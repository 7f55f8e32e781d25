//! The users, and every rule on them (document 07, C.2 and C.5). Everything here runs under the users' lock.

use super::key_list::KeyList;
use super::pin::Verifier;
use super::policy::{Lockout, UserPolicy};
use casemate_protocol::message::authentication::{Permissions, UserId, UserName, action};
use casemate_protocol::{Group, Kind, Status};

/// How many users there can be, as in the original.
pub(crate) const MAX_USERS: usize = 5;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: UserName,
    pub(crate) permissions: Permissions,
    pub(crate) credential: Credential,
    /// Sessions logged in under another generation are over.
    pub(crate) generation: u32,
}

/// How a user proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    None,
    Pin(Verifier),
    /// By a certificate that this one vouches for.
    Certificate(StoredCertificate),
}

/// A certificate that lies in an object of its own. What is said of it here stands in the user's record, and so ties the
/// two together: a certificate that another one has taken the place of is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredCertificate {
    /// Which of the slot's two objects holds it. A new one is written to the other, so that the record's change is what
    /// makes it valid.
    pub(crate) place: u8,
    /// Its length in bytes.
    pub(crate) length: u16,
    /// Its SHA-256.
    pub(crate) digest: [u8; 32],
}

impl StoredCertificate {
    /// The place for a certificate that is to follow a credential.
    pub(crate) fn next_place(credential: &Credential) -> u8 {
        match credential {
            Credential::Certificate(Self { place: 0, .. }) => 1,
            _ => 0,
        }
    }
}

impl User {
    /// Whether this user can log in, whatever becomes of logins by certificate, and repair what is wrong with users.
    fn can_administrate(&self) -> bool {
        self.permissions.is_administrator()
            && self.permissions.allows(Kind::new(Group::AUTH, action::USER_SET_PERMISSIONS))
            && matches!(self.credential, Credential::Pin(_))
    }
}

/// Failed logins of a user since the last successful one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) failures: u8,
    /// When the last attempt began, in seconds since the Unix epoch; 0 if the platform has no clock.
    pub(crate) last: u64,
}

impl Attempts {
    pub(crate) const NONE: Self = Self { failures: 0, last: 0 };
    /// A user that cannot log in until an administrator sets its permissions.
    pub(crate) const EXHAUSTED: Self = Self { failures: u8::MAX, last: 0 };

    /// Whether another attempt is allowed now.
    pub(crate) fn allowed(self, lockout: &Lockout, now: Option<u64>) -> bool {
        // The limit counts from the first failure on, also where more than that would be free.
        if self.failures >= lockout.limit {
            return false;
        }
        let Some(beyond) = self.failures.checked_sub(lockout.free) else { return true };
        let Some(now) = now else { return true };
        let delay = u64::from(lockout.first_delay)
            .checked_shl(u32::from(beyond))
            .filter(|delay| delay >> beyond == u64::from(lockout.first_delay))
            .unwrap_or(u64::MAX)
            .min(u64::from(lockout.longest_delay));
        // A clock that was set back does not lock a user out for longer than the delay: see `Table::charge`.
        now.saturating_sub(self.last) >= delay
    }
}

/// A user who is logged in, as its session remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Login {
    slot: usize,
    generation: u32,
}

impl Login {
    pub(crate) fn id(self) -> UserId {
        number(self.slot)
    }
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) allowed: bool,
    pub(crate) keys: KeyList,
}

/// All users.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) users: [Option<User>; MAX_USERS],
    pub(crate) attempts: [Attempts; MAX_USERS],
    /// Whether the users were read from the store. Nobody can log in before.
    pub(crate) loaded: bool,
    /// The counts of failed logins that the store holds; `None` if it holds none.
    pub(crate) stored: Option<[Attempts; MAX_USERS]>,
    generation: u32,
}

fn number(slot: usize) -> UserId {
    UserId(u16::try_from(slot).unwrap_or(u16::MAX - 1).saturating_add(1))
}

/// The slot of a user number in range.
pub(crate) fn slot_of(id: UserId) -> Option<usize> {
    usize::from(id.0).checked_sub(1).filter(|&slot| slot < MAX_USERS)
}

impl Table {
    pub(crate) const fn new() -> Self {
        Self {
            users: [const { None }; MAX_USERS],
            attempts: [Attempts::NONE; MAX_USERS],
            loaded: false,
            stored: None,
            generation: 0,
        }
    }

    pub(crate) fn user(&self, slot: usize) -> Option<&User> {
        self.users.get(slot)?.as_ref()
    }

    pub(crate) fn count(&self) -> usize {
        self.users.iter().flatten().count()
    }

    pub(crate) fn find(&self, name: &UserName) -> Option<usize> {
        self.users.iter().position(|user| user.as_ref().is_some_and(|user| user.name == *name))
    }

    pub(crate) fn free_slot(&self) -> Option<usize> {
        self.users.iter().position(Option::is_none)
    }

    fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    /// The count of failed logins that the store holds for a user.
    pub(crate) fn stored_attempts(&self, slot: usize) -> Option<Attempts> {
        self.stored.as_ref()?.get(slot).copied()
    }

    /// Puts a user into a slot, in place of the one that is there; its sessions are over.
    pub(crate) fn put(&mut self, slot: usize, mut user: User) {
        user.generation = self.next_generation();
        if let Some(place) = self.users.get_mut(slot) {
            *place = Some(user);
        }
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        if let Some(place) = self.users.get_mut(slot) {
            *place = None;
        }
    }

    /// Lets the sessions go on that were logged in before the user was stored anew.
    pub(crate) fn keep_generation(&mut self, slot: usize, generation: u32) {
        if let Some(Some(user)) = self.users.get_mut(slot) {
            user.generation = generation;
        }
    }

    /// Ends every session of a user.
    pub(crate) fn end_sessions(&mut self, slot: usize) {
        let generation = self.next_generation();
        if let Some(Some(user)) = self.users.get_mut(slot) {
            user.generation = generation;
        }
    }

    /// What a session that logs in now remembers.
    pub(crate) fn login(&self, slot: usize) -> Option<Login> {
        self.user(slot).map(|user| Login { slot, generation: user.generation })
    }

    /// The user of a session; `None` if the login is over.
    pub(crate) fn current(&self, login: Login) -> Option<(usize, &User)> {
        let user = self.user(login.slot)?;
        (user.generation == login.generation).then_some((login.slot, user))
    }

    /// The gate (document 07, C.2), for everything but connection messages; `None` if the login is over.
    pub(crate) fn gate(&self, login: Login, kind: Kind, policy: &UserPolicy) -> Option<Grant> {
        let (_, user) = self.current(login)?;
        let is_logout = kind == Kind::new(Group::AUTH, action::LOGOUT);
        let keys = if policy.key_lists { KeyList::of(&user.permissions) } else { KeyList::ANY };
        Some(Grant { allowed: is_logout || user.permissions.allows(kind), keys })
    }

    /// Whether an administrator would be left if the user in `slot` became `user`.
    pub(crate) fn administrator_left(&self, slot: usize, user: Option<&User>) -> bool {
        let others = self.users.iter().enumerate().filter(|(index, _)| *index != slot);
        others.filter_map(|(_, user)| user.as_ref()).chain(user).any(User::can_administrate)
    }

    /// Whether the user in `slot` is the last administrator.
    pub(crate) fn is_last_administrator(&self, slot: usize) -> bool {
        self.user(slot).is_some_and(User::can_administrate) && !self.administrator_left(slot, None)
    }

    /// The rules of USER_ADD, in their order (document 07, C.5); the slot for the new user.
    pub(crate) fn check_add(
        &self,
        caller: &User,
        name: &UserName,
        permissions: &Permissions,
        method_is_known: bool,
        has_credential: bool,
    ) -> Result<usize, Status> {
        if !caller.permissions.is_administrator()
            && (!has_credential || !permissions.is_within(&caller.permissions))
        {
            return Err(Status::AUTH_PERMISSION);
        }
        if has_credential && !method_is_known {
            return Err(Status::BAD_ARGUMENTS);
        }
        let free = self.free_slot();
        if self.find(name).is_some() || (name.is_empty() && free.is_some()) {
            return Err(Status::BAD_ARGUMENTS);
        }
        free.ok_or(Status::BUFFER_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKOUT: Lockout =
        Lockout { free: 3, first_delay: 2, longest_delay: 10, limit: 8, count_first: true };

    fn allowed(failures: u8, now: Option<u64>) -> bool {
        Attempts { failures, last: 100 }.allowed(&LOCKOUT, now)
    }

    #[test]
    fn delays_double_up_to_the_longest_and_end_at_the_limit() {
        for (failures, delay) in [(0, 0), (2, 0), (3, 2), (4, 4), (5, 8), (6, 10), (7, 10)] {
            assert!(allowed(failures, Some(100 + delay)), "{failures}");
            assert!(delay == 0 || !allowed(failures, Some(99 + delay)), "{failures}");
            assert!(allowed(failures, None), "{failures}");
        }
        assert!(!allowed(8, Some(u64::MAX)) && !allowed(8, None));
        assert!(!Attempts::EXHAUSTED.allowed(&LOCKOUT, Some(u64::MAX)));
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        let lockout = Lockout {
            free: 0,
            first_delay: u32::MAX,
            longest_delay: u32::MAX,
            limit: 255,
            count_first: true,
        };
        for failures in 0..255 {
            assert!(!Attempts { failures, last: 5 }.allowed(&lockout, Some(u64::from(u32::MAX))));
            assert!(Attempts { failures, last: 0 }.allowed(&lockout, Some(u64::from(u32::MAX))));
        }
    }

    fn user(permissions: Permissions) -> User {
        let credential = Credential::Pin(Verifier { salt: [0; 16], iterations: 1, hash: [0; 32] });
        User { name: UserName::new(b"x").unwrap(), permissions, credential, generation: 0 }
    }

    #[test]
    fn an_administrator_without_credential_or_rights_does_not_count() {
        let mut table = Table::new();
        table.put(0, user(Permissions::all()));
        assert!(table.is_last_administrator(0));
        let mut weak = Permissions::all();
        weak.set_group(Group::AUTH, false);
        table.put(1, user(weak));
        table.put(2, User { credential: Credential::None, ..user(Permissions::all()) });
        assert!(table.is_last_administrator(0));
        table.put(3, user(Permissions::all()));
        assert!(!table.is_last_administrator(0));
        assert!(!table.is_last_administrator(1));
    }

    #[test]
    fn a_login_is_over_when_its_user_is_another() {
        let mut table = Table::new();
        table.put(0, user(Permissions::all()));
        let login = table.login(0).unwrap();
        assert!(table.current(login).is_some());
        table.remove(0);
        assert!(table.current(login).is_none());
        table.put(0, user(Permissions::all()));
        assert!(table.current(login).is_none());
        let login = table.login(0).unwrap();
        table.end_sessions(0);
        assert!(table.current(login).is_none());
    }
}
