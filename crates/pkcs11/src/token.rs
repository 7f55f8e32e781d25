//! A token: a server, the connections to it, who is logged in, and its objects.
//!
//! **Connections.** A server's key cache belongs to a connection. Keys of the token are used on any connection of a pool,
//! one for each thread that is busy. Keys of sessions live in the cache of a *home*, a connection that serves nothing
//! else, so that the number of a session's key on one connection never hides a key of the token that another program has
//! stored under that number. If a home's cache is full, another home is opened.
//!
//! **Login.** Each connection logs in for itself, so the PIN is kept while somebody is logged in.
//!
//! **Locks.** Nothing waits for the server while it holds the table.

use crate::attributes::Attributes;
use crate::config::SlotOptions;
use crate::connection::{Connection, Hsm};
use crate::driver::driver;
use crate::error::{Error, Result, fail};
use crate::home::{Home, SessionKey};
use crate::keys::{Kind, MAX_ENCODING, PublicKey};
use crate::lock::lock;
use crate::object::{self, Location, Object, Place};
use crate::record::Record;
use casemate_client::authentication::{Credential, Permissions, UserId, UserName};
use casemate_client::{Key, NewKey};
use casemate_crypto::HashAlgorithm;
use casemate_protocol::message::Request;
use casemate_protocol::message::authentication::{SetCredentialsRequest, UserGetRequest};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{Flags, Group, KeyId, Label, Metadata, ObjectId, ObjectType, Status};
use cryptoki_sys::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The type nibbles of records (see `record.rs`).
const KEY_RECORD: ObjectType = ObjectType(7);
const ALONE: ObjectType = ObjectType(8);
/// How many idle connections are kept.
const IDLE: usize = 16;
/// How long what was read of objects counts as fresh.
const FRESH: Duration = Duration::from_secs(1);
/// How long the answer of a server that is not there counts.
const ABSENT: Duration = Duration::from_secs(1);
/// The largest record.
const MAX_RECORD: usize = 65_535;

/// As whom somebody is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Officer,
}

/// Who is logged in.
#[derive(Clone)]
struct Login {
    role: Role,
    /// Nothing on a server without users.
    credential: Option<(UserName, Zeroizing<Vec<u8>>)>,
}

/// The objects that are known.
#[derive(Default)]
struct Table {
    objects: BTreeMap<CK_OBJECT_HANDLE, Arc<Object>>,
    handles: HashMap<Place, CK_OBJECT_HANDLE>,
    last: CK_OBJECT_HANDLE,
    refreshed: Option<Instant>,
}

impl Table {
    fn insert(&mut self, location: Location, attributes: Attributes) -> CK_OBJECT_HANDLE {
        let known = match &location {
            Location::Token(place) => self.handles.get(place).copied(),
            Location::Session(..) => None,
        };
        let handle = known.unwrap_or_else(|| {
            self.last = self.last.saturating_add(1);
            self.last
        });
        if let Location::Token(place) = location {
            self.handles.insert(place, handle);
        }
        self.objects.insert(handle, Arc::new(Object { handle, location, attributes }));
        handle
    }

    fn remove(&mut self, place: Place) {
        if let Some(handle) = self.handles.remove(&place) {
            self.objects.remove(&handle);
        }
    }
}

/// Where a new key shall live.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Residence {
    Token,
    Session(CK_SESSION_HANDLE),
}

/// A new key's server key, before there is an object for it.
pub(crate) enum NewPlace {
    Token(u8, Metadata),
    Session(CK_SESSION_HANDLE, SessionKey),
}

/// A token.
pub(crate) struct Token {
    pub(crate) options: SlotOptions,
    login: Mutex<Option<Login>>,
    /// Counts logins and logouts: connections from before are of no use after.
    epoch: AtomicU64,
    idle: Mutex<Vec<(u64, Connection)>>,
    homes: Mutex<Vec<Arc<Home>>>,
    table: Mutex<Table>,
    /// Held while the number of a new object is chosen and taken, and while a record is read, changed and written.
    creation: Mutex<()>,
    /// Held while a PIN changes or somebody logs in or out, and while a connection logs in with the PIN that is kept.
    changing_pin: Mutex<()>,
    has_users: Mutex<Option<bool>>,
    label: Mutex<Option<String>>,
    absent: Mutex<Option<Instant>>,
}

impl Token {
    pub(crate) fn new(options: SlotOptions) -> Self {
        Self {
            options,
            login: Mutex::default(),
            epoch: AtomicU64::new(0),
            idle: Mutex::default(),
            homes: Mutex::default(),
            table: Mutex::default(),
            creation: Mutex::default(),
            changing_pin: Mutex::default(),
            has_users: Mutex::default(),
            label: Mutex::default(),
            absent: Mutex::default(),
        }
    }

    // ----- connections -----

    fn connect(&self) -> Result<Connection> {
        Ok(self.connect_steadily()?.0)
    }

    /// Connects. Nobody changes the PIN or logs out before the guard is dropped.
    fn connect_steadily(&self) -> Result<(Connection, MutexGuard<'_, ()>)> {
        let mut connection = match Connection::open(&self.options) {
            Ok(connection) => connection,
            Err(error) => {
                *lock(&self.absent) = Some(Instant::now());
                return Err(error);
            }
        };
        *lock(&self.absent) = None;
        let steady = lock(&self.changing_pin);
        let login = lock(&self.login).clone();
        if let Some(Login { credential: Some((name, pin)), .. }) = login {
            connection.hsm().login(name, Credential::Pin(&pin))?;
        }
        Ok((connection, steady))
    }

    /// Works on a connection of the pool. If the server has gone since the connection was used last, the work begins
    /// again on a new one.
    pub(crate) fn with<R>(&self, mut work: impl FnMut(&mut Hsm) -> Result<R>) -> Result<R> {
        let mut epoch = self.epoch.load(Ordering::Acquire);
        loop {
            let outcome = self.with_epoch(epoch, &mut work);
            if let Err(Error::Code(CKR_USER_NOT_LOGGED_IN)) = outcome {
                // A new PIN ends the logins of connections: who was at work then begins again.
                let now = {
                    let _steady = lock(&self.changing_pin);
                    self.epoch.load(Ordering::Acquire)
                };
                if now != epoch && self.role().is_some() {
                    epoch = now;
                    continue;
                }
            }
            return outcome;
        }
    }

    fn with_epoch<R>(&self, epoch: u64, work: &mut impl FnMut(&mut Hsm) -> Result<R>) -> Result<R> {
        loop {
            let idle = lock(&self.idle).pop();
            match idle {
                Some((made, connection)) if made == epoch => match self.attempt(epoch, connection, work) {
                    Err(error) if error.is_lost_connection() => self.drop_idle(true),
                    outcome => return outcome,
                },
                Some(_) => {}
                None => return self.attempt(epoch, self.connect()?, work),
            }
        }
    }

    fn attempt<R>(
        &self,
        epoch: u64,
        mut connection: Connection,
        work: &mut impl FnMut(&mut Hsm) -> Result<R>,
    ) -> Result<R> {
        let outcome = work(connection.hsm());
        if outcome.as_ref().is_err_and(|error| error.is_lost_connection()) {
            connection.give_up();
        } else if epoch == self.epoch.load(Ordering::Acquire) {
            let mut idle = lock(&self.idle);
            if idle.len() < IDLE {
                idle.push((epoch, connection));
            }
        }
        outcome
    }

    fn drop_idle(&self, lost: bool) {
        let mut connections = std::mem::take(&mut *lock(&self.idle));
        if lost {
            connections.iter_mut().for_each(|(_, connection)| connection.give_up());
        }
    }

    /// Whether the server can be reached.
    pub(crate) fn is_present(&self) -> bool {
        if lock(&self.absent).is_some_and(|since| since.elapsed() < ABSENT) {
            return false;
        }
        if self.with(|_| Ok(())).is_err() {
            return false;
        }
        true
    }

    // ----- session keys -----

    /// Works on a home with room for one more key, which must not hold a session key under the number `not`, and keeps
    /// the key that the work leaves in the cache.
    fn at_home(
        &self,
        not: Option<u8>,
        beside: Option<&SessionKey>,
        mut work: impl FnMut(&mut Hsm) -> Result<KeyId>,
    ) -> Result<SessionKey> {
        let mut attempt = |home: &Arc<Home>| {
            let mut connection = home.connection()?;
            let id = work(connection.hsm())?;
            Ok(home.keep(id))
        };
        if let Some(key) = beside {
            return attempt(key.home());
        }
        let homes = lock(&self.homes).clone();
        for home in &homes {
            if not.is_some_and(|number| home.holds(number)) {
                continue;
            }
            match attempt(home) {
                Err(Error::Code(CKR_DEVICE_MEMORY)) => {}
                Err(_) if home.is_given_up() => {}
                Err(error) if error.is_lost_connection() => {
                    home.any_connection().give_up();
                    lock(&self.homes).retain(|other| !Arc::ptr_eq(home, other));
                }
                outcome => return outcome,
            }
        }
        // It is among the homes before it is used: a new PIN must find it.
        let home = {
            let (connection, _steady) = self.connect_steadily()?;
            let home = Arc::new(Home::new(connection));
            lock(&self.homes).push(Arc::clone(&home));
            home
        };
        let outcome = attempt(&home);
        let Err(error) = outcome else { return outcome };
        if home.is_given_up() {
            return fail(CKR_USER_NOT_LOGGED_IN);
        }
        let mut connection = home.any_connection();
        if error.is_lost_connection() {
            connection.give_up();
        }
        // A key that fits nowhere must not leave a home behind each time, unless somebody else has moved in.
        if home.is_empty() {
            home.give_up();
            lock(&self.homes).retain(|other| !Arc::ptr_eq(&home, other));
        }
        drop(connection);
        Err(error)
    }

    /// Works with a key that the server holds.
    ///
    /// # Errors
    /// `CKR_KEY_HANDLE_INVALID` if it holds none for this object, or no longer; what the work answers.
    pub(crate) fn with_key<R>(
        &self,
        object: &Object,
        mut work: impl FnMut(&mut Hsm, Key<'static>) -> Result<R>,
    ) -> Result<R> {
        let outcome = match &object.location {
            Location::Token(Place::Key(number)) => {
                self.with(|hsm| work(hsm, Key::Id(KeyId(u16::from(*number)))))
            }
            Location::Session(_, Some(key)) => work(key.home().connection()?.hsm(), Key::Id(key.id())),
            _ => fail(CKR_KEY_HANDLE_INVALID),
        };
        outcome.map_err(|error| match error {
            Error::Code(CKR_OBJECT_HANDLE_INVALID) => Error::Code(CKR_KEY_HANDLE_INVALID),
            error => error,
        })
    }

    /// Makes a key in the server: `make` is told what it shall be and, if it is derived, of which key, and gives what it
    /// learnt besides. A key of the token is stored, but has no object yet.
    pub(crate) fn make_key<R>(
        &self,
        residence: Residence,
        flags: Flags,
        label: &[u8],
        base: Option<&Object>,
        mut make: impl FnMut(&mut Hsm, &NewKey, Option<KeyId>) -> Result<(KeyId, R)>,
    ) -> Result<(NewPlace, R)> {
        let label = Label::from_bytes(label);
        let (base_number, beside) = match base.map(|base| &base.location) {
            Some(Location::Token(Place::Key(number))) => (Some(*number), None),
            Some(Location::Session(_, Some(key))) => (None, Some(key)),
            Some(_) => return fail(CKR_KEY_HANDLE_INVALID),
            None => (None, None),
        };
        let base_id = base_number.map(|number| KeyId(u16::from(number))).or(beside.map(SessionKey::id));
        let mut learnt = None;
        match residence {
            Residence::Session(session) => {
                let key = self.at_home(base_number, beside, |hsm| {
                    let (id, more) = make(hsm, &NewKey { id: KeyId::NONE, flags, label }, base_id)?;
                    learnt = Some(more);
                    Ok(id)
                })?;
                Ok((NewPlace::Session(session, key), learnt.ok_or(Error::Code(CKR_FUNCTION_FAILED))?))
            }
            Residence::Token => {
                let _creating = lock(&self.creation);
                let mut finish = |hsm: &mut Hsm, number: u8| {
                    let id = KeyId(u16::from(number));
                    let (id, more) = make(hsm, &NewKey { id, flags, label }, base_id)?;
                    let object = self.key_id(id.number());
                    // Another program may have taken the number meanwhile: its key must not be replaced.
                    let taken = hsm.nvm_metadata(object).is_ok();
                    if taken {
                        hsm.key_evict(id)?;
                        return fail(CKR_DEVICE_MEMORY);
                    }
                    if let Err(error) = hsm.key_commit(id) {
                        let _ = hsm.key_evict(id);
                        return Err(error.into());
                    }
                    Ok((hsm.nvm_metadata(object)?, more))
                };
                let number = self.free_number(ObjectType::CRYPTO)?;
                let (metadata, more) = match beside {
                    // What a session's key yields begins on the same connection.
                    Some(key) => {
                        if key.home().holds(number) {
                            return fail(CKR_DEVICE_MEMORY);
                        }
                        finish(key.home().connection()?.hsm(), number)?
                    }
                    None => self.with(|hsm| finish(hsm, number))?,
                };
                Ok((NewPlace::Token(metadata.id.number(), metadata), more))
            }
        }
    }

    /// Removes a key that was made and got no object.
    fn unmake(&self, number: u8) {
        let id = KeyId(u16::from(number));
        let _ = self.with(|hsm| Ok(hsm.key_erase(id)?));
    }

    // ----- numbers and identifiers -----

    fn key_id(&self, number: u8) -> ObjectId {
        ObjectId::new(ObjectType::CRYPTO, self.options.client, number)
    }

    fn key_record(&self, number: u8) -> ObjectId {
        ObjectId::new(KEY_RECORD, self.options.client, number)
    }

    fn alone(&self, number: u8) -> ObjectId {
        ObjectId::new(ALONE, self.options.client, number)
    }

    fn stored_ids(&self) -> Result<BTreeSet<ObjectId>> {
        self.with(|hsm| {
            let mut ids = BTreeSet::new();
            let mut after = ObjectId::INVALID;
            // A list that another program changes meanwhile may repeat itself.
            while let Some(id) = hsm.nvm_next(after)? {
                if !ids.insert(id) && ids.len() > usize::from(u16::MAX) / 2 {
                    break;
                }
                if ids.len() > usize::from(u16::MAX) - 1 {
                    break;
                }
                after = id;
            }
            Ok(ids)
        })
    }

    /// A number that no object of this type has, picked at random so that two programs hardly pick the same.
    fn free_number(&self, object_type: ObjectType) -> Result<u8> {
        let ids = self.stored_ids()?;
        let free: Vec<u8> = (1..=u8::MAX)
            .filter(|number| {
                let id = ObjectId::new(object_type, self.options.client, *number);
                !ids.contains(&id)
            })
            .collect();
        let mut random = [0; 4];
        driver().fill(&mut random)?;
        let place = usize::try_from(u32::from_le_bytes(random)).unwrap_or(0).checked_rem(free.len());
        place.and_then(|place| free.get(place)).copied().ok_or(Error::Code(CKR_DEVICE_MEMORY))
    }

    // ----- users -----

    /// Whether the server has users; without, nobody needs to log in.
    pub(crate) fn has_users(&self) -> Result<bool> {
        if let Some(known) = *lock(&self.has_users) {
            return Ok(known);
        }
        let has_users = self.with(|hsm| match hsm.user_get(self.options.user) {
            Ok(_) => Ok(true),
            // Only an answer of the server says something about it.
            Err(error) => match error.status() {
                Some(status) => Ok(status != Status::AUTH_NOT_ENABLED),
                None => Err(error.into()),
            },
        })?;
        *lock(&self.has_users) = Some(has_users);
        Ok(has_users)
    }

    pub(crate) fn role(&self) -> Option<Role> {
        lock(&self.login).as_ref().map(|login| login.role)
    }

    pub(crate) fn log_in(&self, role: Role, name: Option<&[u8]>, pin: &[u8]) -> Result<()> {
        let nobody_else = || match self.role() {
            None => Ok(()),
            Some(present) if present == role => fail(CKR_USER_ALREADY_LOGGED_IN),
            Some(_) => fail(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
        };
        nobody_else()?;
        let credential = if self.has_users()? {
            let configured = match role {
                Role::User => self.options.user,
                Role::Officer => self.options.officer,
            };
            let name = match name {
                None => configured,
                Some(name) => UserName::new(name).ok_or(Error::Code(CKR_ARGUMENTS_BAD))?,
            };
            Some((name, Zeroizing::new(pin.to_vec())))
        } else {
            None
        };
        // Of two threads that log in at once, one is the first.
        let _steady = lock(&self.changing_pin);
        nobody_else()?;
        // What is open was opened by nobody.
        let mut connection = Connection::open(&self.options)?;
        if let Some((name, pin)) = &credential {
            connection.hsm().login(*name, Credential::Pin(pin))?;
        }
        *lock(&self.login) = Some(Login { role, credential });
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        self.drop_idle(false);
        lock(&self.idle).push((epoch, connection));
        lock(&self.table).refreshed = None;
        Ok(())
    }

    /// Logs out: private session objects end, and every connection.
    pub(crate) fn log_out(&self) -> Result<()> {
        // A connection that is just logging in is among the homes before, or does not log in.
        let steady = lock(&self.changing_pin);
        let login = lock(&self.login).take().ok_or(Error::Code(CKR_USER_NOT_LOGGED_IN))?;
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let has_users = login.credential.is_some();
        let homes = if has_users { std::mem::take(&mut *lock(&self.homes)) } else { Vec::new() };
        drop(steady);
        self.drop_idle(false);
        // With the connections, the keys of sessions end too, and nothing of the token can be seen any more.
        homes.iter().for_each(|home| home.give_up());
        let mut ended = Vec::new();
        let mut table = lock(&self.table);
        table.objects.retain(|_, object| {
            let public = !object.attributes.is(CKA_PRIVATE);
            let stays = if has_users {
                public && matches!(object.location, Location::Session(_, None))
            } else {
                public || object.is_token()
            };
            if !stays {
                ended.push(Arc::clone(object));
            }
            stays
        });
        if has_users {
            table.handles.clear();
        }
        // Keys leave the server outside the lock.
        drop(table);
        Ok(())
    }

    /// Sets the user's PIN, as an administrator: the user is added, or made anew with the permissions that it has.
    ///
    /// No message sets a PIN without the present one, so the user has to go for a moment. Before it goes, a *stand-in* is
    /// added with the new PIN and the user's permissions: a PIN that the server refuses leaves everything as it was, and
    /// if the connection breaks at the worst moment, the permissions are with the stand-in. It stays until a call has
    /// added the user again, however many fail before.
    pub(crate) fn init_pin(&self, pin: &[u8]) -> Result<()> {
        if pin.is_empty() {
            return fail(CKR_PIN_LEN_RANGE);
        }
        let (user, stand_in) = (self.options.user, stand_in(self.options.user)?);
        self.with(|hsm| {
            let left_over = found_user(hsm, stand_in)?;
            let Some((id, permissions)) = found_user(hsm, user)? else {
                let permissions = left_over.map_or_else(usual_permissions, |(_, kept)| kept);
                add_user(hsm, user, &permissions, pin)?;
                if let Some((other, _)) = left_over {
                    hsm.user_delete(other)?;
                }
                return Ok(());
            };
            if let Some((other, _)) = left_over {
                hsm.user_delete(other)?;
            }
            let other = add_user(hsm, stand_in, &permissions, pin)?;
            if let Err(error) = hsm.user_delete(id) {
                // The last administrator, for instance.
                let _ = hsm.user_delete(other);
                return Err(error.into());
            }
            add_user(hsm, user, &permissions, pin)?;
            hsm.user_delete(other)?;
            Ok(())
        })
    }

    /// Changes the PIN of who is logged in, or of the user.
    pub(crate) fn set_pin(&self, old: &[u8], new: &[u8]) -> Result<()> {
        if !self.has_users()? {
            return fail(CKR_FUNCTION_NOT_SUPPORTED);
        }
        // To the server no PIN means that nobody can log in any more.
        if new.is_empty() {
            return fail(CKR_PIN_LEN_RANGE);
        }
        let _changing = lock(&self.changing_pin);
        let login = lock(&self.login).clone();
        let logged_in = login.as_ref().and_then(|login| login.credential.as_ref()).map(|(name, _)| *name);
        let name = logged_in.unwrap_or(self.options.user);
        // On a connection of its own: the server ends the user's other sessions.
        let mut connection = Connection::open(&self.options)?;
        let id = connection.hsm().login(name, Credential::Pin(old))?;
        // Nobody works with a session's key until its connection is logged in again.
        let homes = if logged_in.is_some() { lock(&self.homes).clone() } else { Vec::new() };
        let mut held: Vec<_> = homes.iter().map(|home| home.any_connection()).collect();
        connection.hsm().user_set_credential(id, old, Credential::Pin(new)).map_err(|error| {
            match error.status() {
                Some(Status::BAD_ARGUMENTS) => Error::Code(CKR_PIN_INVALID),
                Some(Status::ACCESS) => Error::Code(CKR_PIN_INCORRECT),
                _ => error.into(),
            }
        })?;
        if logged_in.is_some()
            && let Some(Login { credential: Some((_, pin)), .. }) = lock(&self.login).as_mut()
        {
            *pin = Zeroizing::new(new.to_vec());
        }
        for (home, connection) in homes.iter().zip(&mut held) {
            // Without a login, its keys can no longer be used: better it goes than that others are put there.
            if let Err(error) = connection.hsm().login(name, Credential::Pin(new)) {
                if Error::from(error).is_lost_connection() {
                    connection.give_up();
                }
                home.give_up();
            }
        }
        drop(held);
        lock(&self.homes).retain(|home| !home.is_given_up());
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.drop_idle(true);
        Ok(())
    }

    // ----- label, erasure -----

    /// The token's label.
    pub(crate) fn label(&self) -> String {
        if let Some(label) = &self.options.label {
            return label.clone();
        }
        if let Some(label) = &*lock(&self.label) {
            return label.clone();
        }
        let stored = self.read(self.alone(0)).ok().and_then(|(_, record)| {
            String::from_utf8(Record::decode(&record)?.object.get(CKA_LABEL)?.to_vec()).ok()
        });
        let label = stored.unwrap_or_else(|| "Casemate".to_owned());
        *lock(&self.label) = Some(label.clone());
        label
    }

    /// Destroys every object and stores the label.
    pub(crate) fn initialize(&self, pin: &[u8], label: &str) -> Result<()> {
        if self.role().is_some() {
            self.log_out()?;
        }
        self.log_in(Role::Officer, None, pin)?;
        let outcome = (|| {
            self.refresh(true)?;
            // Public halves before their keys: with its key gone, a public half would be kept as an object of its own.
            let mut places: Vec<Place> = lock(&self.table).handles.keys().copied().collect();
            places.sort_unstable_by_key(|place| matches!(place, Place::Key(_)));
            for place in places {
                match self.destroy_place(place) {
                    // What may not be destroyed stays, as the standard wants it.
                    Ok(()) | Err(Error::Code(CKR_ACTION_PROHIBITED | CKR_OBJECT_HANDLE_INVALID)) => {}
                    Err(error) => return Err(error),
                }
            }
            let mut record = Record::default();
            record.object.set(CKA_LABEL, label.trim_end());
            self.write(self.alone(0), b"pkcs11 token", &record)?;
            *lock(&self.label) = Some(label.trim_end().to_owned());
            Ok(())
        })();
        self.log_out()?;
        outcome
    }

    // ----- objects -----

    fn read(&self, id: ObjectId) -> Result<(Metadata, Vec<u8>)> {
        self.with(|hsm| {
            let metadata = hsm.nvm_metadata(id)?;
            let mut data = vec![0; usize::from(metadata.length)];
            if !data.is_empty() {
                hsm.nvm_read_at(id, 0, &mut data)?;
            }
            Ok((metadata, data))
        })
    }

    fn write(&self, id: ObjectId, label: &[u8], record: &Record) -> Result<()> {
        let data =
            record.encode().filter(|data| data.len() <= MAX_RECORD).ok_or(Error::Code(CKR_DEVICE_MEMORY))?;
        let metadata = Metadata {
            id,
            access: Metadata::ACCESS_ANY,
            flags: Flags::NONE,
            length: 0,
            label: Label::from_bytes(label),
        };
        self.with(|hsm| Ok(hsm.nvm_add(&metadata, &data)?)).map_err(|error| match error {
            // More than a packet carries is more than can be stored.
            Error::Code(CKR_DATA_LEN_RANGE) => Error::Code(CKR_DEVICE_MEMORY),
            error => error,
        })
    }

    fn remove(&self, id: ObjectId) -> Result<()> {
        self.with(|hsm| Ok(hsm.nvm_destroy(&[id])?))
    }

    /// Finds out what the token holds. What is known is read again only if it is not fresh, or if `all` says so.
    pub(crate) fn refresh(&self, all: bool) -> Result<()> {
        // Before the server is asked: what another thread adds meanwhile must not count as vanished.
        let known: BTreeSet<Place> = lock(&self.table).handles.keys().copied().collect();
        let ids = match self.stored_ids() {
            // Nobody is logged in: nothing of the token can be seen.
            Err(Error::Code(CKR_USER_NOT_LOGGED_IN)) => BTreeSet::new(),
            ids => ids?,
        };
        let all = all || lock(&self.table).refreshed.is_none_or(|at| at.elapsed() >= FRESH);
        let mut present = BTreeSet::new();
        let mut found = Vec::new();
        let owner = self.options.client;
        for id in ids.iter().copied().filter(|id| id.owner() == owner && id.number() != 0) {
            let number = id.number();
            if id.object_type() == ObjectType::CRYPTO {
                let places = [Place::Key(number), Place::PublicHalf(number)];
                if !all && places.iter().any(|place| known.contains(place)) {
                    present.extend(places);
                    continue;
                }
                // It may vanish while it is looked at.
                if let Ok(objects) = self.load_key(number, ids.contains(&self.key_record(number))) {
                    present.extend(objects.iter().map(|(place, _)| *place));
                    found.extend(objects);
                }
            } else if id.object_type() == ALONE {
                let place = Place::Alone(number);
                if !all && known.contains(&place) {
                    present.insert(place);
                    continue;
                }
                if let Ok(objects) = self.load_alone(number) {
                    present.extend(objects.iter().map(|(place, _)| *place));
                    found.extend(objects);
                }
            }
        }
        let mut table = lock(&self.table);
        for place in known.difference(&present) {
            table.remove(*place);
        }
        for (place, attributes) in found {
            table.insert(Location::Token(place), attributes);
        }
        if all {
            table.refreshed = Some(Instant::now());
        }
        Ok(())
    }

    /// What a record holds that may not be there.
    fn read_record(&self, id: ObjectId) -> Result<Option<Record>> {
        match self.read(id) {
            Ok((_, data)) => Ok(Record::decode(&data)),
            Err(Error::Code(CKR_OBJECT_HANDLE_INVALID)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The key of this number as it is stored: its metadata, and its record. What a record says is believed only as far
    /// as the server's own words bear it out: the public half is always the server's.
    fn stored_key(&self, number: u8, has_record: bool) -> Result<(Metadata, Record)> {
        let id = self.key_id(number);
        let metadata = self.with(|hsm| Ok(hsm.nvm_metadata(id)?))?;
        let stored = if has_record { self.read_record(self.key_record(number))? } else { None };
        if let Some(mut record) = stored {
            match record.object.class() {
                CKO_SECRET_KEY => {
                    record.public = None;
                    return Ok((metadata, record));
                }
                CKO_PRIVATE_KEY => {
                    let kind = Kind::of(&record.object).ok();
                    let public =
                        kind.map(|kind| self.public_half(number, &[kind.algorithm()])).transpose()?;
                    if let Some(Some((kind, public))) =
                        public.filter(|found| found.as_ref().map(|(kind, _)| *kind) == kind)
                    {
                        kind.describe_private(&public, &mut record.object);
                        object::set_public_key_info(kind, &public, &mut record.object);
                        if let Some(half) = &mut record.public {
                            kind.describe_public(&public, half);
                            object::set_public_key_info(kind, &public, half);
                        }
                        return Ok((metadata, record));
                    }
                }
                _ => {}
            }
        }
        let public = self.public_half(number, &Kind::PROBES)?;
        Ok((metadata, object::of_foreign_key(&metadata, public.as_ref())))
    }

    /// The objects that a key of the server is.
    fn load_key(&self, number: u8, has_record: bool) -> Result<Vec<(Place, Attributes)>> {
        let (metadata, record) = self.stored_key(number, has_record)?;
        let mut objects = Vec::new();
        if record.object.get(CKA_CLASS).is_some() {
            objects.push((Place::Key(number), object::of_key(&metadata, &record.object)));
        }
        if let Some(public) = &record.public {
            objects.push((Place::PublicHalf(number), object::of_public_half(&metadata, public)));
        }
        Ok(objects)
    }

    /// The public half of a key that is one for these algorithms, if it has one.
    fn public_half(&self, number: u8, algorithms: &[KeyAlgorithm]) -> Result<Option<(Kind, PublicKey)>> {
        let id = KeyId(u16::from(number));
        let mut buffer = vec![0; MAX_ENCODING];
        for algorithm in algorithms {
            let outcome = self.with(|hsm| match hsm.key_export_public(id, *algorithm, &mut buffer) {
                Ok((length, _)) => Ok(Some(length)),
                // Only an answer of the server says something about the key.
                Err(error) if error.status().is_some() => Ok(None),
                Err(error) => Err(error.into()),
            })?;
            let encoding = outcome.and_then(|length| buffer.get(..length));
            if let Some(found) = encoding.and_then(|encoding| PublicKey::decode(*algorithm, encoding).ok()) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The objects at a place as they are stored now; none if they are there no longer.
    fn load(&self, place: Place) -> Result<Vec<(Place, Attributes)>> {
        let loaded = match place {
            Place::Key(number) | Place::PublicHalf(number) => self.load_key(number, true),
            Place::Alone(number) => self.load_alone(number),
        };
        match loaded {
            Err(Error::Code(CKR_OBJECT_HANDLE_INVALID)) => Ok(Vec::new()),
            loaded => loaded,
        }
    }

    /// The object that a record of its own is. It has no key in the server and nobody vouches for it.
    fn load_alone(&self, number: u8) -> Result<Vec<(Place, Attributes)>> {
        let record = self.read_record(self.alone(number))?;
        let has_users = self.has_users()?;
        let attributes = record.and_then(|record| object::of_alone(record.object, has_users));
        Ok(attributes.map(|attributes| (Place::Alone(number), attributes)).into_iter().collect())
    }

    /// Gives a new key its object, and its public half one if there are attributes for it.
    pub(crate) fn adopt(
        &self,
        place: NewPlace,
        attributes: Attributes,
        public: Option<(Residence, Attributes)>,
    ) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        match place {
            NewPlace::Session(session, key) => {
                let public = match public {
                    None => 0,
                    Some((residence, attributes)) => self.add(residence, attributes)?,
                };
                let handle = lock(&self.table).insert(Location::Session(session, Some(key)), attributes);
                Ok((handle, public))
            }
            NewPlace::Token(number, metadata) => {
                let mut record = Record { object: attributes, public: None };
                let mut apart = None;
                match public {
                    Some((Residence::Token, attributes)) => record.public = Some(attributes),
                    other => apart = other,
                }
                let written = self.write(self.key_record(number), b"pkcs11", &record);
                let apart = written.and_then(|()| match apart {
                    None => Ok(0),
                    Some((residence, attributes)) => self.add(residence, attributes),
                });
                let apart = match apart {
                    Ok(handle) => handle,
                    Err(error) => {
                        self.unmake(number);
                        let _ = self.remove(self.key_record(number));
                        return Err(error);
                    }
                };
                let mut table = lock(&self.table);
                let object = object::of_key(&metadata, &record.object);
                let handle = table.insert(Location::Token(Place::Key(number)), object);
                let public = match &record.public {
                    None => apart,
                    Some(public) => {
                        let object = object::of_public_half(&metadata, public);
                        table.insert(Location::Token(Place::PublicHalf(number)), object)
                    }
                };
                Ok((handle, public))
            }
        }
    }

    /// Adds an object without a key in the server.
    pub(crate) fn add(&self, residence: Residence, attributes: Attributes) -> Result<CK_OBJECT_HANDLE> {
        match residence {
            Residence::Session(session) => {
                Ok(lock(&self.table).insert(Location::Session(session, None), attributes))
            }
            Residence::Token => {
                let _creating = lock(&self.creation);
                let number = self.free_number(ALONE)?;
                let record = Record { object: attributes, public: None };
                self.write(self.alone(number), b"pkcs11", &record)?;
                Ok(lock(&self.table).insert(Location::Token(Place::Alone(number)), record.object))
            }
        }
    }

    /// An object, if whoever is logged in may see it.
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`.
    pub(crate) fn object(&self, handle: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
        let object = lock(&self.table).objects.get(&handle).cloned();
        object.filter(|object| self.is_visible(object)).ok_or(Error::Code(CKR_OBJECT_HANDLE_INVALID))
    }

    fn is_visible(&self, object: &Object) -> bool {
        self.role() != Some(Role::Officer) || !object.attributes.is(CKA_PRIVATE)
    }

    /// The objects with these attributes, in the order in which they became known.
    pub(crate) fn find(&self, template: &Attributes) -> Vec<Arc<Object>> {
        let objects: Vec<_> = lock(&self.table).objects.values().cloned().collect();
        let mut template = template.clone();
        let unique_id = template.remove(CKA_UNIQUE_ID);
        objects
            .into_iter()
            .filter(|object| self.is_visible(object) && object.attributes.matches(&template))
            .filter(|object| {
                let own = || object.unique_id(self.options.client);
                unique_id.as_ref().is_none_or(|wanted| own().as_bytes() == wanted.as_slice())
            })
            .collect()
    }

    /// Destroys an object.
    pub(crate) fn destroy(&self, object: &Object) -> Result<()> {
        match &object.location {
            Location::Token(place) => self.destroy_place(*place),
            Location::Session(..) => {
                let removed = lock(&self.table).objects.remove(&object.handle);
                drop(removed);
                Ok(())
            }
        }
    }

    fn destroy_place(&self, place: Place) -> Result<()> {
        match place {
            Place::Alone(number) => {
                let _changing = lock(&self.creation);
                self.remove(self.alone(number))?;
            }
            Place::PublicHalf(number) => {
                let _changing = lock(&self.creation);
                // The key's record, if it has none yet, says from now on that there is no object for the public half.
                let (_, mut record) = self.stored_key(number, true)?;
                if record.object.get(CKA_CLASS).is_none() {
                    return fail(CKR_ACTION_PROHIBITED);
                }
                record.public = None;
                self.write(self.key_record(number), b"pkcs11", &record)?;
            }
            Place::Key(number) => return self.destroy_key(number),
        }
        lock(&self.table).remove(place);
        Ok(())
    }

    /// Destroys a key. If its public half is an object, it stays one, under its handle.
    ///
    /// In a store without room for it, the public half is stored when the key has made room. Should that fail too, it is
    /// lost: a store that is full must not keep what is to be destroyed.
    fn destroy_key(&self, number: u8) -> Result<()> {
        let id = KeyId(u16::from(number));
        let mut public = {
            let objects = self.load(Place::Key(number))?;
            objects.into_iter().find(|(place, _)| *place == Place::PublicHalf(number)).map(|(_, half)| half)
        };
        // The public half is stored anew before the key goes: whatever fails, it is not lost.
        let mut kept = None;
        if let Some(half) = &public {
            match self.add(Residence::Token, half.clone()) {
                Ok(handle) => {
                    kept = Some(handle);
                    public = None;
                }
                Err(Error::Code(CKR_DEVICE_MEMORY)) => {}
                Err(error) => return Err(error),
            }
        }
        if let Err(error) = self.with(|hsm| Ok(hsm.key_erase(id)?)) {
            if let Some(handle) = kept {
                let object = lock(&self.table).objects.get(&handle).cloned();
                let _ = object.map(|object| self.destroy(&object));
            }
            return Err(error);
        }
        // Copies of the key may lie in the caches of other connections.
        let idle = std::mem::take(&mut *lock(&self.idle));
        for (epoch, mut connection) in idle {
            let _ = connection.hsm().key_evict(id);
            lock(&self.idle).push((epoch, connection));
        }
        let removed = match self.remove(self.key_record(number)) {
            // A key that another program made has none.
            Err(Error::Code(CKR_OBJECT_HANDLE_INVALID)) => Ok(()),
            outcome => outcome,
        };
        let kept = kept.or_else(|| self.add(Residence::Token, public?).ok());
        let mut table = lock(&self.table);
        let public_handle = table.handles.get(&Place::PublicHalf(number)).copied();
        table.remove(Place::PublicHalf(number));
        table.remove(Place::Key(number));
        if let (Some(old), Some(handle)) = (public_handle, kept)
            && let Some(object) = table.objects.remove(&handle)
        {
            if let Location::Token(place) = object.location {
                table.handles.insert(place, old);
            }
            let object = Object { handle: old, ..Object::clone(&object) };
            table.objects.insert(old, Arc::new(object));
        }
        drop(table);
        removed
    }

    /// Replaces attributes of an object by what `change` makes of those that it has now. What another program has stored
    /// since they were read last is read again, and not undone.
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID` if the object is gone; what `change` answers; those of the server.
    pub(crate) fn change(
        &self,
        object: &Object,
        change: impl FnOnce(&Attributes) -> Result<Attributes>,
    ) -> Result<()> {
        let _changing = lock(&self.creation);
        let gone = Error::Code(CKR_OBJECT_HANDLE_INVALID);
        let attributes = match &object.location {
            Location::Session(..) => {
                let present = lock(&self.table).objects.get(&object.handle).cloned().ok_or(gone)?;
                change(&present.attributes)?
            }
            Location::Token(place) => {
                let loaded = self.load(*place)?;
                let Some((_, present)) = loaded.iter().find(|(found, _)| found == place) else {
                    lock(&self.table).remove(*place);
                    return Err(gone);
                };
                let changed = change(present)?;
                let half = |wanted: Place| {
                    let own = (wanted == *place).then(|| changed.clone());
                    own.or_else(|| {
                        loaded.iter().find(|(found, _)| *found == wanted).map(|(_, kept)| kept.clone())
                    })
                };
                match *place {
                    Place::Alone(number) => {
                        let record = Record { object: changed.clone(), public: None };
                        self.write(self.alone(number), b"pkcs11", &record)?;
                    }
                    Place::Key(number) | Place::PublicHalf(number) => {
                        let record = Record {
                            object: half(Place::Key(number)).unwrap_or_default(),
                            public: half(Place::PublicHalf(number)),
                        };
                        self.write(self.key_record(number), b"pkcs11", &record)?;
                    }
                }
                changed
            }
        };
        let object = Arc::new(Object { attributes, ..object.clone() });
        // Not if it was destroyed, or its session ended, in the meantime.
        let mut table = lock(&self.table);
        let replaced =
            table.objects.get_mut(&object.handle).map(|present| std::mem::replace(present, object));
        drop(table);
        drop(replaced);
        Ok(())
    }

    /// Ends the objects of a session; of all sessions if none is named.
    pub(crate) fn end_session(&self, session: Option<CK_SESSION_HANDLE>) {
        let mut table = lock(&self.table);
        let mut ended = Vec::new();
        table.objects.retain(|_, object| {
            let ends =
                matches!(object.location, Location::Session(owner, _) if session.is_none_or(|s| s == owner));
            if ends {
                ended.push(Arc::clone(object));
            }
            !ends
        });
        // Keys leave the server outside the lock.
        drop(table);
    }

    /// The server's free memory in bytes, and how large objects can be in all.
    pub(crate) fn free_memory(&self) -> Option<u32> {
        self.with(|hsm| Ok(hsm.nvm_available()?.free_size)).ok()
    }
}

/// The user that stands in for another while that one is made anew.
fn stand_in(user: UserName) -> Result<UserName> {
    let mut digest = [0; 32];
    casemate_crypto::hash(driver(), HashAlgorithm::Sha256, &[user.text()], &mut digest)?;
    let mut name = String::from("pin-");
    for byte in digest.iter().take(13) {
        name.push_str(&format!("{byte:02x}"));
    }
    UserName::new(name.as_bytes()).ok_or(Error::Code(CKR_FUNCTION_FAILED))
}

/// A user of this name, if there is one.
fn found_user(hsm: &mut Hsm, name: UserName) -> Result<Option<(UserId, Permissions)>> {
    match hsm.user_get(name) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.status() == Some(Status::NOT_FOUND) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn add_user(hsm: &mut Hsm, name: UserName, permissions: &Permissions, pin: &[u8]) -> Result<UserId> {
    hsm.user_add(name, permissions, Some(Credential::Pin(pin))).map_err(|error| match error.status() {
        Some(Status::BAD_ARGUMENTS) => Error::Code(CKR_PIN_INVALID),
        _ => error.into(),
    })
}

/// What a user that `C_InitPIN` adds may do: everything with objects and keys, and change its PIN.
fn usual_permissions() -> Permissions {
    let mut permissions = Permissions::NONE;
    for group in [Group::NVM, Group::KEY, Group::CRYPTO, Group::COUNTER] {
        permissions.set_group(group, true);
    }
    permissions.set_action(UserGetRequest::KIND, true);
    permissions.set_action(SetCredentialsRequest::KIND, true);
    permissions
}
