//! The module as a whole, without the C interface: slots, sessions, and one method for each function.
//!
//! Every method may be called from any thread. Methods that yield bytes take the caller's buffer, or nothing to ask for
//! the length, as the standard's functions do (PKCS#11 3.0, §5.2): asking, and [`Error::TooSmall`], leave the operation
//! as it was; any other error ends it.

use crate::attributes::{Attribute, Attributes};
use crate::ciphering::{Ciphering, deliver};
use crate::config::SlotOptions;
use crate::creation;
use crate::driver::driver;
use crate::error::{Error, Result, fail};
use crate::keys::{Kind, PRIVATE_SECRETS, PrivateKey};
use crate::lock::lock;
use crate::mechanism::{self, Mechanism, Parameter};
use crate::object::Object;
use crate::signing::{Signing, export};
use crate::token::{Role, Token};
use casemate_client::Direction;
use casemate_crypto::{Driver, HashAlgorithm, Hasher};
use cryptoki_sys::*;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use zeroize::Zeroizing;

const MANUFACTURER: &str = "Casemate";
/// The most random bytes that one call gives.
const RANDOM_LIMIT: usize = 1 << 20;
/// How many sessions can be open.
const SESSION_LIMIT: usize = 4096;

/// A digest that is being made.
struct Digesting {
    hash: HashAlgorithm,
    hasher: Hasher<'static, dyn Driver + Sync>,
    in_parts: bool,
}

/// What a session is doing.
#[derive(Default)]
struct Operations {
    find: Option<std::vec::IntoIter<CK_OBJECT_HANDLE>>,
    digest: Option<Digesting>,
    sign: Option<Signing>,
    verify: Option<Signing>,
    encrypt: Option<Ciphering>,
    decrypt: Option<Ciphering>,
}

struct Session {
    handle: CK_SESSION_HANDLE,
    slot: usize,
    token: Arc<Token>,
    writes: bool,
    operations: Mutex<Operations>,
}

/// An initialized module.
pub struct Module {
    tokens: Vec<Arc<Token>>,
    sessions: RwLock<HashMap<CK_SESSION_HANDLE, Arc<Session>>>,
    last_session: AtomicU64,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("slots", &self.tokens.len()).finish_non_exhaustive()
    }
}

/// Text in a field that is padded with blanks.
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    // No half of a character.
    let end = (0..=text.len().min(N)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    for (to, from) in field.iter_mut().zip(text.as_bytes().iter().take(end)) {
        *to = *from;
    }
    field
}

fn version() -> CK_VERSION {
    let number = |text: &str| text.parse().unwrap_or(0);
    CK_VERSION {
        major: number(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: number(env!("CARGO_PKG_VERSION_MINOR")),
    }
}

/// The operation of a kind that a session has begun.
fn active<T>(operation: &mut Option<T>) -> Result<&mut T> {
    operation.as_mut().ok_or(Error::Code(CKR_OPERATION_NOT_INITIALIZED))
}

/// Ends an operation unless it goes on: after a question for the length, or with a buffer that was too small.
fn settle<T>(operation: &mut Option<T>, asked: bool, outcome: Result<usize>) -> Result<usize> {
    match outcome {
        Ok(_) if asked => {}
        Err(Error::TooSmall(_)) => {}
        _ => *operation = None,
    }
    outcome
}

/// Ends an operation that failed.
fn settle_update<T, R>(operation: &mut Option<T>, outcome: Result<R>) -> Result<R> {
    if let Err(Error::Code(_)) = outcome {
        *operation = None;
    }
    outcome
}

impl Module {
    /// A module with these slots. No connection is made yet.
    #[must_use]
    pub fn new(slots: Vec<SlotOptions>) -> Self {
        Self {
            tokens: slots.into_iter().map(|options| Arc::new(Token::new(options))).collect(),
            sessions: RwLock::default(),
            last_session: AtomicU64::new(0),
        }
    }

    fn token(&self, slot: CK_SLOT_ID) -> Result<&Arc<Token>> {
        usize::try_from(slot)
            .ok()
            .and_then(|slot| self.tokens.get(slot))
            .ok_or(Error::Code(CKR_SLOT_ID_INVALID))
    }

    fn session(&self, handle: CK_SESSION_HANDLE) -> Result<Arc<Session>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&handle).cloned().ok_or(Error::Code(CKR_SESSION_HANDLE_INVALID))
    }

    fn sessions_of(&self, slot: usize) -> Vec<Arc<Session>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.values().filter(|session| session.slot == slot).cloned().collect()
    }

    // ----- general, slots and tokens -----

    /// `C_GetInfo`.
    #[must_use]
    pub fn info(&self) -> CK_INFO {
        CK_INFO {
            cryptokiVersion: CK_VERSION { major: 3, minor: 2 },
            manufacturerID: padded(MANUFACTURER),
            flags: 0,
            libraryDescription: padded("Casemate HSM client"),
            libraryVersion: version(),
        }
    }

    /// `C_GetSlotList`.
    #[must_use]
    pub fn slots(&self, present_only: bool) -> Vec<CK_SLOT_ID> {
        (0..)
            .zip(&self.tokens)
            .filter(|(_, token)| !present_only || token.is_present())
            .map(|(id, _)| id)
            .collect()
    }

    /// `C_GetSlotInfo`.
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`.
    pub fn slot_info(&self, slot: CK_SLOT_ID) -> Result<CK_SLOT_INFO> {
        let token = self.token(slot)?;
        let description = format!("{:?}, client {}", token.options.target, token.options.client);
        let present = if token.is_present() { CKF_TOKEN_PRESENT } else { 0 };
        Ok(CK_SLOT_INFO {
            slotDescription: padded(&description),
            manufacturerID: padded(MANUFACTURER),
            flags: CKF_REMOVABLE_DEVICE | CKF_HW_SLOT | present,
            hardwareVersion: CK_VERSION { major: 0, minor: 0 },
            firmwareVersion: CK_VERSION { major: 0, minor: 0 },
        })
    }

    /// `C_GetTokenInfo`.
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`, `CKR_TOKEN_NOT_PRESENT`.
    pub fn token_info(&self, slot: CK_SLOT_ID) -> Result<CK_TOKEN_INFO> {
        let token = self.token(slot)?;
        let login = token.has_users().map_err(|_| Error::Code(CKR_TOKEN_NOT_PRESENT))?;
        let sessions = self.sessions_of(usize::try_from(slot).unwrap_or(usize::MAX));
        let writing = sessions.iter().filter(|session| session.writes).count();
        let mut flags = CKF_RNG | CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED;
        if login {
            flags |= CKF_LOGIN_REQUIRED;
        }
        let free = token.free_memory().map_or(CK_UNAVAILABLE_INFORMATION, CK_ULONG::from);
        Ok(CK_TOKEN_INFO {
            label: padded(&token.label()),
            manufacturerID: padded(MANUFACTURER),
            model: padded("Casemate"),
            serialNumber: padded(&format!("{:02}-{slot}", token.options.client.get())),
            flags,
            ulMaxSessionCount: SESSION_LIMIT as CK_ULONG,
            ulSessionCount: sessions.len() as CK_ULONG,
            ulMaxRwSessionCount: SESSION_LIMIT as CK_ULONG,
            ulRwSessionCount: writing as CK_ULONG,
            ulMaxPinLen: 256,
            ulMinPinLen: 1,
            ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePublicMemory: free,
            ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePrivateMemory: free,
            hardwareVersion: CK_VERSION { major: 0, minor: 0 },
            firmwareVersion: CK_VERSION { major: 0, minor: 0 },
            utcTime: [b'0'; 16],
        })
    }

    /// `C_GetMechanismList`.
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`.
    pub fn mechanisms(&self, slot: CK_SLOT_ID) -> Result<Vec<CK_MECHANISM_TYPE>> {
        self.token(slot).map(|_| mechanism::list())
    }

    /// `C_GetMechanismInfo`.
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`, `CKR_MECHANISM_INVALID`.
    pub fn mechanism_info(&self, slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE) -> Result<CK_MECHANISM_INFO> {
        self.token(slot)?;
        mechanism::info(kind)
    }

    /// `C_InitToken`: destroys the objects of the token, and stores its label.
    ///
    /// # Errors
    /// `CKR_SESSION_EXISTS`, `CKR_PIN_INCORRECT`, and those of the server.
    pub fn init_token(&self, slot: CK_SLOT_ID, pin: &[u8], label: &str) -> Result<()> {
        let token = self.token(slot)?;
        if !self.sessions_of(usize::try_from(slot).unwrap_or(usize::MAX)).is_empty() {
            return fail(CKR_SESSION_EXISTS);
        }
        token.initialize(pin, label)
    }

    /// `C_InitPIN`.
    ///
    /// # Errors
    /// `CKR_USER_NOT_LOGGED_IN`, `CKR_PIN_INVALID`, `CKR_FUNCTION_NOT_SUPPORTED` on a server without users.
    pub fn init_pin(&self, session: CK_SESSION_HANDLE, pin: &[u8]) -> Result<()> {
        let session = self.session(session)?;
        if session.token.role() != Some(Role::Officer) {
            return fail(CKR_USER_NOT_LOGGED_IN);
        }
        session.token.init_pin(pin)
    }

    /// `C_SetPIN`.
    ///
    /// # Errors
    /// `CKR_PIN_INCORRECT`, `CKR_PIN_INVALID`, `CKR_SESSION_READ_ONLY`, `CKR_FUNCTION_NOT_SUPPORTED` on a server
    /// without users.
    pub fn set_pin(&self, session: CK_SESSION_HANDLE, old: &[u8], new: &[u8]) -> Result<()> {
        let session = self.session(session)?;
        if !session.writes {
            return fail(CKR_SESSION_READ_ONLY);
        }
        session.token.set_pin(old, new)
    }

    // ----- sessions -----

    /// `C_OpenSession`.
    ///
    /// # Errors
    /// `CKR_SESSION_PARALLEL_NOT_SUPPORTED`, `CKR_SESSION_COUNT`, `CKR_SESSION_READ_WRITE_SO_EXISTS`,
    /// `CKR_TOKEN_NOT_PRESENT`.
    pub fn open_session(&self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<CK_SESSION_HANDLE> {
        let token = Arc::clone(self.token(slot)?);
        if flags & CKF_SERIAL_SESSION == 0 {
            return fail(CKR_SESSION_PARALLEL_NOT_SUPPORTED);
        }
        let writes = flags & CKF_RW_SESSION != 0;
        if !writes && token.role() == Some(Role::Officer) {
            return fail(CKR_SESSION_READ_WRITE_SO_EXISTS);
        }
        if !token.is_present() {
            return fail(CKR_TOKEN_NOT_PRESENT);
        }
        let handle = self.last_session.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let handle = CK_SESSION_HANDLE::try_from(handle).map_err(|_| Error::Code(CKR_SESSION_COUNT))?;
        let slot = usize::try_from(slot).unwrap_or(usize::MAX);
        let session = Session { handle, slot, token, writes, operations: Mutex::default() };
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSION_LIMIT {
            return fail(CKR_SESSION_COUNT);
        }
        sessions.insert(handle, Arc::new(session));
        Ok(handle)
    }

    /// `C_CloseSession`. With the last session of a token, whoever is logged in is logged out.
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn close_session(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.remove(&handle).ok_or(Error::Code(CKR_SESSION_HANDLE_INVALID))?;
        let last = !sessions.values().any(|other| other.slot == session.slot);
        drop(sessions);
        session.token.end_session(Some(handle));
        if last { log_out_at_last(&session.token) } else { Ok(()) }
    }

    /// `C_CloseAllSessions`.
    ///
    /// # Errors
    /// `CKR_SLOT_ID_INVALID`.
    pub fn close_all_sessions(&self, slot: CK_SLOT_ID) -> Result<()> {
        let token = self.token(slot)?;
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.slot != index);
        drop(sessions);
        token.end_session(None);
        log_out_at_last(token)
    }

    /// `C_GetSessionInfo`.
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn session_info(&self, handle: CK_SESSION_HANDLE) -> Result<CK_SESSION_INFO> {
        let session = self.session(handle)?;
        let state = match (session.token.role(), session.writes) {
            (None, false) => CKS_RO_PUBLIC_SESSION,
            (None, true) => CKS_RW_PUBLIC_SESSION,
            (Some(Role::User), false) => CKS_RO_USER_FUNCTIONS,
            (Some(Role::User), true) => CKS_RW_USER_FUNCTIONS,
            (Some(Role::Officer), _) => CKS_RW_SO_FUNCTIONS,
        };
        let writes = if session.writes { CKF_RW_SESSION } else { 0 };
        Ok(CK_SESSION_INFO {
            slotID: session.slot as CK_SLOT_ID,
            state,
            flags: CKF_SERIAL_SESSION | writes,
            ulDeviceError: 0,
        })
    }

    /// `C_Login`, and `C_LoginUser` with a name.
    ///
    /// # Errors
    /// `CKR_PIN_INCORRECT`, `CKR_USER_ALREADY_LOGGED_IN`, `CKR_USER_ANOTHER_ALREADY_LOGGED_IN`,
    /// `CKR_SESSION_READ_ONLY_EXISTS`, `CKR_USER_TYPE_INVALID`.
    pub fn login(
        &self,
        handle: CK_SESSION_HANDLE,
        user: CK_USER_TYPE,
        name: Option<&[u8]>,
        pin: &[u8],
    ) -> Result<()> {
        let session = self.session(handle)?;
        let role = match user {
            CKU_USER => Role::User,
            CKU_SO => Role::Officer,
            // No key asks for its PIN before each use.
            CKU_CONTEXT_SPECIFIC => return fail(CKR_OPERATION_NOT_INITIALIZED),
            _ => return fail(CKR_USER_TYPE_INVALID),
        };
        let reading = || self.sessions_of(session.slot).iter().any(|other| !other.writes);
        if role == Role::Officer && session.token.role().is_none() && reading() {
            return fail(CKR_SESSION_READ_ONLY_EXISTS);
        }
        session.token.log_in(role, name, pin)
    }

    /// `C_Logout`.
    ///
    /// # Errors
    /// `CKR_USER_NOT_LOGGED_IN`.
    pub fn logout(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        session.token.log_out()?;
        for session in self.sessions_of(session.slot) {
            *lock(&session.operations) = Operations::default();
        }
        Ok(())
    }

    /// `C_SessionCancel`.
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn cancel(&self, handle: CK_SESSION_HANDLE, flags: CK_FLAGS) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let has = |flag| flags & flag != 0;
        if has(CKF_FIND_OBJECTS) {
            operations.find = None;
        }
        if has(CKF_DIGEST) {
            operations.digest = None;
        }
        if has(CKF_SIGN) {
            operations.sign = None;
        }
        if has(CKF_VERIFY) {
            operations.verify = None;
        }
        if has(CKF_ENCRYPT) {
            operations.encrypt = None;
        }
        if has(CKF_DECRYPT) {
            operations.decrypt = None;
        }
        Ok(())
    }

    // ----- objects -----

    /// A session that may create an object with these attributes.
    fn creating(&self, handle: CK_SESSION_HANDLE, attributes: &Attributes) -> Result<Arc<Session>> {
        let session = self.session(handle)?;
        if attributes.is(CKA_TOKEN) && !session.writes {
            return fail(CKR_SESSION_READ_ONLY);
        }
        if session.token.role().is_none() && session.token.has_users()? {
            return fail(CKR_USER_NOT_LOGGED_IN);
        }
        Ok(session)
    }

    /// `C_CreateObject`.
    ///
    /// # Errors
    /// Those of templates, and those of the server.
    pub fn create_object(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[Attribute],
    ) -> Result<CK_OBJECT_HANDLE> {
        let attributes = Attributes::of_template(template)?;
        let session = self.creating(session, &attributes)?;
        creation::create(&session.token, session.handle, attributes)
    }

    /// `C_CopyObject`.
    ///
    /// # Errors
    /// `CKR_ACTION_PROHIBITED` if the object is not copyable, or a key that may not leave the server.
    pub fn copy_object(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: &[Attribute],
    ) -> Result<CK_OBJECT_HANDLE> {
        let template = Attributes::of_template(template)?;
        let session = self.session(session)?;
        let object = session.token.object(object)?;
        let mut whole = object.attributes.clone();
        whole.extend(&template);
        let session = self.creating(session.handle, &whole)?;
        creation::copy(&session.token, session.handle, &object, &template)
    }

    /// `C_DestroyObject`.
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`, `CKR_ACTION_PROHIBITED`, `CKR_SESSION_READ_ONLY`.
    pub fn destroy_object(&self, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Result<()> {
        let session = self.session(session)?;
        let object = session.token.object(object)?;
        if object.is_token() && !session.writes {
            return fail(CKR_SESSION_READ_ONLY);
        }
        if object.attributes.truth(CKA_DESTROYABLE) == Some(false) {
            return fail(CKR_ACTION_PROHIBITED);
        }
        session.token.destroy(&object)
    }

    /// `C_GetObjectSize`: what its attributes take, in bytes.
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`.
    pub fn object_size(&self, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Result<usize> {
        let object = self.session(session)?.token.object(object)?;
        Ok(object.attributes.iter().map(|(_, value)| value.len()).sum())
    }

    /// `C_GetAttributeValue`: the value of each, or why there is none (`CKR_ATTRIBUTE_SENSITIVE`,
    /// `CKR_ATTRIBUTE_TYPE_INVALID`).
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`, and those of the server.
    pub fn attributes(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        kinds: &[CK_ATTRIBUTE_TYPE],
    ) -> Result<Vec<Result<Zeroizing<Vec<u8>>>>> {
        let session = self.session(session)?;
        let object = session.token.object(object)?;
        let mut revealed: Option<Attributes> = None;
        kinds.iter().map(|kind| Self::attribute(&session.token, &object, *kind, &mut revealed)).collect()
    }

    fn attribute(
        token: &Token,
        object: &Object,
        kind: CK_ATTRIBUTE_TYPE,
        revealed: &mut Option<Attributes>,
    ) -> Result<Result<Zeroizing<Vec<u8>>>> {
        let of = |attributes: &Attributes| {
            let value = attributes.get(kind).map(|value| Zeroizing::new(value.to_vec()));
            value.ok_or(Error::Code(CKR_ATTRIBUTE_TYPE_INVALID))
        };
        if kind == CKA_UNIQUE_ID {
            return Ok(Ok(Zeroizing::new(object.unique_id(token.options.client).into_bytes())));
        }
        let class = object.attributes.class();
        let secret = match class {
            CKO_SECRET_KEY => kind == CKA_VALUE,
            CKO_PRIVATE_KEY => PRIVATE_SECRETS.contains(&kind),
            _ => false,
        };
        if !secret {
            return Ok(of(&object.attributes));
        }
        if object.attributes.is(CKA_SENSITIVE) || !object.attributes.is(CKA_EXTRACTABLE) {
            return Ok(fail(CKR_ATTRIBUTE_SENSITIVE));
        }
        if revealed.is_none() {
            let bytes = export(token, object)?;
            *revealed = Some(if class == CKO_SECRET_KEY {
                let mut attributes = Attributes::default();
                attributes.set(CKA_VALUE, bytes.as_slice());
                attributes
            } else {
                PrivateKey::reveal(Kind::of(&object.attributes)?, &bytes)?
            });
        }
        Ok(revealed.as_ref().map_or(fail(CKR_ATTRIBUTE_TYPE_INVALID), of))
    }

    /// `C_SetAttributeValue`: names, dates and certificates' details. What a key may be used for stays as it was made.
    ///
    /// # Errors
    /// `CKR_ACTION_PROHIBITED`, `CKR_ATTRIBUTE_READ_ONLY`, `CKR_SESSION_READ_ONLY`.
    pub fn set_attributes(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: &[Attribute],
    ) -> Result<()> {
        let template = Attributes::of_template(template)?;
        let session = self.session(session)?;
        let object = session.token.object(object)?;
        if object.is_token() && !session.writes {
            return fail(CKR_SESSION_READ_ONLY);
        }
        session.token.change(&object, |present| {
            if present.truth(CKA_MODIFIABLE) == Some(false) {
                return fail(CKR_ACTION_PROHIBITED);
            }
            let is_data = present.class() == CKO_DATA;
            for (kind, value) in template.iter() {
                let same = present.get(kind) == Some(value);
                let may = match kind {
                    CKA_LABEL | CKA_ID | CKA_START_DATE | CKA_END_DATE | CKA_SUBJECT | CKA_ISSUER
                    | CKA_SERIAL_NUMBER => true,
                    CKA_VALUE | CKA_APPLICATION | CKA_OBJECT_ID => is_data,
                    CKA_COPYABLE => value == [0] || same,
                    _ => same,
                };
                if !may {
                    return fail(CKR_ATTRIBUTE_READ_ONLY);
                }
            }
            let mut attributes = present.clone();
            attributes.extend(&template);
            Ok(attributes)
        })
    }

    /// `C_FindObjectsInit`.
    ///
    /// # Errors
    /// `CKR_OPERATION_ACTIVE`, and those of the server.
    pub fn find_init(&self, session: CK_SESSION_HANDLE, template: &[Attribute]) -> Result<()> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        if operations.find.is_some() {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let template = Attributes::of_template(template)?;
        session.token.refresh(false)?;
        let found: Vec<_> = session.token.find(&template).iter().map(|object| object.handle).collect();
        operations.find = Some(found.into_iter());
        Ok(())
    }

    /// `C_FindObjects`: at most `most` further handles.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`.
    pub fn find(&self, session: CK_SESSION_HANDLE, most: usize) -> Result<Vec<CK_OBJECT_HANDLE>> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        Ok(active(&mut operations.find)?.take(most).collect())
    }

    /// `C_FindObjectsFinal`.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`.
    pub fn find_final(&self, session: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(session)?;
        let found = lock(&session.operations).find.take();
        found.map(|_| ()).ok_or(Error::Code(CKR_OPERATION_NOT_INITIALIZED))
    }

    // ----- digests -----

    /// `C_DigestInit`.
    ///
    /// # Errors
    /// `CKR_OPERATION_ACTIVE`, `CKR_MECHANISM_INVALID`.
    pub fn digest_init(&self, session: CK_SESSION_HANDLE, mechanism: &Mechanism) -> Result<()> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        if operations.digest.is_some() {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let hash = mechanism::hash(mechanism.kind).ok_or(Error::Code(CKR_MECHANISM_INVALID))?;
        if mechanism.parameter != Parameter::None {
            return fail(CKR_MECHANISM_PARAM_INVALID);
        }
        operations.digest = Some(Digesting { hash, hasher: Hasher::new(driver(), hash), in_parts: false });
        Ok(())
    }

    /// `C_DigestUpdate`.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`.
    pub fn digest_update(&self, session: CK_SESSION_HANDLE, data: &[u8]) -> Result<()> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        let digest = active(&mut operations.digest)?;
        digest.in_parts = true;
        let outcome = digest.hasher.update(data).map_err(Error::from);
        settle_update(&mut operations.digest, outcome)
    }

    /// `C_Digest` with `whole` data, `C_DigestFinal` without.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, `CKR_OPERATION_ACTIVE` for `C_Digest` after `C_DigestUpdate`.
    pub fn digest(
        &self,
        session: CK_SESSION_HANDLE,
        whole: Option<&[u8]>,
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        let digest = active(&mut operations.digest)?;
        if whole.is_some() && digest.in_parts {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let asked = out.is_none();
        let size = digest.hash.digest_size().unwrap_or(0);
        let outcome = match out {
            None => Ok(size),
            Some(out) => match out.get_mut(..size) {
                None => Err(Error::TooSmall(size)),
                Some(out) => (|| {
                    let mut hasher = digest.hasher.clone();
                    hasher.update(whole.unwrap_or_default())?;
                    hasher.finish(out)?;
                    Ok(size)
                })(),
            },
        };
        settle(&mut operations.digest, asked, outcome)
    }

    // ----- signatures -----

    fn begin_signing(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        verify: bool,
    ) -> Result<()> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        let operation = if verify { &mut operations.verify } else { &mut operations.sign };
        if operation.is_some() {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let key = key_of(&session, key)?;
        *operation = Some(Signing::new(Arc::clone(&session.token), key, mechanism, verify)?);
        Ok(())
    }

    /// `C_SignInit`.
    ///
    /// # Errors
    /// `CKR_OPERATION_ACTIVE`, `CKR_KEY_HANDLE_INVALID`, `CKR_MECHANISM_INVALID`, `CKR_MECHANISM_PARAM_INVALID`,
    /// `CKR_KEY_TYPE_INCONSISTENT`, `CKR_KEY_FUNCTION_NOT_PERMITTED`.
    pub fn sign_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> Result<()> {
        self.begin_signing(session, mechanism, key, false)
    }

    /// `C_SignUpdate`.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`.
    pub fn sign_update(&self, session: CK_SESSION_HANDLE, data: &[u8]) -> Result<()> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        let signing = active(&mut operations.sign)?;
        signing.in_parts = true;
        let outcome = signing.update(data);
        settle_update(&mut operations.sign, outcome)
    }

    /// `C_Sign` with `whole` data, `C_SignFinal` without.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, `CKR_DATA_LEN_RANGE`, and those of the server.
    pub fn sign(
        &self,
        session: CK_SESSION_HANDLE,
        whole: Option<&[u8]>,
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        let signing = active(&mut operations.sign)?;
        if whole.is_some() && signing.in_parts {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let asked = out.is_none();
        let length = signing.length();
        let outcome = match out {
            None => Ok(length),
            Some(out) if out.len() < length => Err(Error::TooSmall(length)),
            Some(out) => {
                let added = whole.map_or(Ok(()), |data| signing.update(data));
                added.and_then(|()| deliver(&signing.sign()?, out))
            }
        };
        settle(&mut operations.sign, asked, outcome)
    }

    /// `C_VerifyInit`.
    ///
    /// # Errors
    /// As [`sign_init`](Self::sign_init).
    pub fn verify_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> Result<()> {
        self.begin_signing(session, mechanism, key, true)
    }

    /// `C_VerifyUpdate`.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`.
    pub fn verify_update(&self, session: CK_SESSION_HANDLE, data: &[u8]) -> Result<()> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        let signing = active(&mut operations.verify)?;
        signing.in_parts = true;
        let outcome = signing.update(data);
        settle_update(&mut operations.verify, outcome)
    }

    /// `C_Verify` with `whole` data, `C_VerifyFinal` without.
    ///
    /// # Errors
    /// `CKR_SIGNATURE_INVALID`, `CKR_SIGNATURE_LEN_RANGE`, `CKR_OPERATION_NOT_INITIALIZED`.
    pub fn verify(&self, session: CK_SESSION_HANDLE, whole: Option<&[u8]>, signature: &[u8]) -> Result<()> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        let signing = active(&mut operations.verify)?;
        if whole.is_some() && signing.in_parts {
            return fail(CKR_OPERATION_ACTIVE);
        }
        let mut signing = operations.verify.take().ok_or(Error::Code(CKR_OPERATION_NOT_INITIALIZED))?;
        signing.update(whole.unwrap_or_default())?;
        signing.verify(signature)
    }

    // ----- encryption -----

    fn begin_ciphering(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        direction: Direction,
    ) -> Result<()> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        let (operation, can, usage) = match direction {
            Direction::Encrypt => (&mut operations.encrypt, CKF_ENCRYPT, CKA_ENCRYPT),
            Direction::Decrypt => (&mut operations.decrypt, CKF_DECRYPT, CKA_DECRYPT),
        };
        if operation.is_some() {
            return fail(CKR_OPERATION_ACTIVE);
        }
        mechanism::check(mechanism, can)?;
        let key = key_of(&session, key)?;
        *operation = Some(Ciphering::new(Arc::clone(&session.token), key, mechanism, direction, usage)?);
        Ok(())
    }

    /// `C_EncryptInit`.
    ///
    /// # Errors
    /// As [`sign_init`](Self::sign_init).
    pub fn encrypt_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> Result<()> {
        self.begin_ciphering(session, mechanism, key, Direction::Encrypt)
    }

    /// `C_DecryptInit`.
    ///
    /// # Errors
    /// As [`sign_init`](Self::sign_init).
    pub fn decrypt_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> Result<()> {
        self.begin_ciphering(session, mechanism, key, Direction::Decrypt)
    }

    fn cipher(
        &self,
        session: CK_SESSION_HANDLE,
        direction: Direction,
        work: impl FnOnce(&mut Option<Ciphering>) -> Result<usize>,
    ) -> Result<usize> {
        let session = self.session(session)?;
        let mut operations = lock(&session.operations);
        work(match direction {
            Direction::Encrypt => &mut operations.encrypt,
            Direction::Decrypt => &mut operations.decrypt,
        })
    }

    fn cipher_update(
        &self,
        session: CK_SESSION_HANDLE,
        direction: Direction,
        data: &[u8],
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        self.cipher(session, direction, |operation| {
            let outcome = active(operation)?.update(data, out);
            settle_update(operation, outcome)
        })
    }

    fn cipher_whole(
        &self,
        session: CK_SESSION_HANDLE,
        direction: Direction,
        whole: Option<&[u8]>,
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        self.cipher(session, direction, |operation| {
            let cipher = active(operation)?;
            if whole.is_some() && cipher.in_parts {
                return fail(CKR_OPERATION_ACTIVE);
            }
            let asked = out.is_none();
            let outcome = cipher.finish(whole.unwrap_or_default(), out);
            settle(operation, asked, outcome)
        })
    }

    /// `C_EncryptUpdate`.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, and those of the server.
    pub fn encrypt_update(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        self.cipher_update(session, Direction::Encrypt, data, out)
    }

    /// `C_DecryptUpdate`.
    ///
    /// # Errors
    /// As [`encrypt_update`](Self::encrypt_update).
    pub fn decrypt_update(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        self.cipher_update(session, Direction::Decrypt, data, out)
    }

    /// `C_Encrypt` with `whole` data, `C_EncryptFinal` without.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, `CKR_DATA_LEN_RANGE`, and those of the server.
    pub fn encrypt(
        &self,
        session: CK_SESSION_HANDLE,
        whole: Option<&[u8]>,
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        self.cipher_whole(session, Direction::Encrypt, whole, out)
    }

    /// `C_Decrypt` with `whole` data, `C_DecryptFinal` without.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, `CKR_ENCRYPTED_DATA_LEN_RANGE`, `CKR_ENCRYPTED_DATA_INVALID`, and those of
    /// the server.
    pub fn decrypt(
        &self,
        session: CK_SESSION_HANDLE,
        whole: Option<&[u8]>,
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        self.cipher_whole(session, Direction::Decrypt, whole, out)
    }

    // ----- keys -----

    /// `C_GenerateKey`.
    ///
    /// # Errors
    /// Those of templates, `CKR_MECHANISM_INVALID`, and those of the server.
    pub fn generate_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        template: &[Attribute],
    ) -> Result<CK_OBJECT_HANDLE> {
        let attributes = Attributes::of_template(template)?;
        let session = self.creating(session, &attributes)?;
        creation::generate(&session.token, session.handle, mechanism, attributes)
    }

    /// `C_GenerateKeyPair`: the handles of the public and of the private key.
    ///
    /// # Errors
    /// As [`generate_key`](Self::generate_key).
    pub fn generate_key_pair(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        let public = Attributes::of_template(public)?;
        let private = Attributes::of_template(private)?;
        self.creating(session, &public)?;
        let session = self.creating(session, &private)?;
        creation::generate_pair(&session.token, session.handle, mechanism, public, private)
    }

    /// `C_DeriveKey`.
    ///
    /// # Errors
    /// As [`generate_key`](Self::generate_key), `CKR_KEY_HANDLE_INVALID`, `CKR_KEY_TYPE_INCONSISTENT`.
    pub fn derive_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        base: CK_OBJECT_HANDLE,
        template: &[Attribute],
    ) -> Result<CK_OBJECT_HANDLE> {
        let attributes = Attributes::of_template(template)?;
        let session = self.creating(session, &attributes)?;
        let base = key_of(&session, base)?;
        creation::derive(&session.token, session.handle, mechanism, &base, attributes)
    }

    /// `C_EncapsulateKey`: the ciphertext's length, and the handle of the key, unless only the length was asked for.
    ///
    /// # Errors
    /// As [`derive_key`](Self::derive_key).
    pub fn encapsulate_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        public: CK_OBJECT_HANDLE,
        template: &[Attribute],
        out: Option<&mut [u8]>,
    ) -> Result<(usize, Option<CK_OBJECT_HANDLE>)> {
        let attributes = Attributes::of_template(template)?;
        let session = self.creating(session, &attributes)?;
        let public = key_of(&session, public)?;
        creation::encapsulate(&session.token, session.handle, mechanism, &public, attributes, out)
    }

    /// `C_DecapsulateKey`.
    ///
    /// # Errors
    /// As [`derive_key`](Self::derive_key), `CKR_WRAPPED_KEY_LEN_RANGE`. A ciphertext that is wrong in another way gives
    /// another key, not an error.
    pub fn decapsulate_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        private: CK_OBJECT_HANDLE,
        template: &[Attribute],
        ciphertext: &[u8],
    ) -> Result<CK_OBJECT_HANDLE> {
        let attributes = Attributes::of_template(template)?;
        let session = self.creating(session, &attributes)?;
        let private = key_of(&session, private)?;
        creation::decapsulate(&session.token, session.handle, mechanism, &private, attributes, ciphertext)
    }

    /// `C_WrapKey`.
    ///
    /// # Errors
    /// `CKR_WRAPPING_KEY_HANDLE_INVALID`, `CKR_KEY_HANDLE_INVALID`, `CKR_KEY_UNEXTRACTABLE`,
    /// `CKR_KEY_NOT_WRAPPABLE`, and those of the server.
    pub fn wrap_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
        out: Option<&mut [u8]>,
    ) -> Result<usize> {
        let session = self.session(session)?;
        let wrapping =
            session.token.object(wrapping).map_err(|_| Error::Code(CKR_WRAPPING_KEY_HANDLE_INVALID))?;
        let key = key_of(&session, key)?;
        if out.is_none()
            && let Some(length) = key.attributes.number(CKA_VALUE_LEN)
        {
            let length = usize::try_from(length).unwrap_or(0);
            mechanism::check(mechanism, CKF_WRAP)?;
            return Ok(creation::wrapped_length(mechanism, &wrapping, length));
        }
        let wrapped = creation::wrap(&session.token, mechanism, &wrapping, &key)?;
        match out {
            None => Ok(wrapped.len()),
            Some(out) => deliver(&wrapped, out),
        }
    }

    /// `C_UnwrapKey`.
    ///
    /// # Errors
    /// `CKR_UNWRAPPING_KEY_HANDLE_INVALID`, `CKR_WRAPPED_KEY_INVALID`, `CKR_WRAPPED_KEY_LEN_RANGE`, those of templates,
    /// and those of the server.
    pub fn unwrap_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        unwrapping: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: &[Attribute],
    ) -> Result<CK_OBJECT_HANDLE> {
        let attributes = Attributes::of_template(template)?;
        let session = self.creating(session, &attributes)?;
        let unwrapping =
            session.token.object(unwrapping).map_err(|_| Error::Code(CKR_UNWRAPPING_KEY_HANDLE_INVALID))?;
        creation::unwrap(&session.token, session.handle, mechanism, &unwrapping, wrapped, attributes)
    }

    // ----- random numbers -----

    /// `C_GenerateRandom`, from the server.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for more than a mebibyte, and those of the server.
    pub fn random(&self, session: CK_SESSION_HANDLE, out: &mut [u8]) -> Result<()> {
        let session = self.session(session)?;
        if out.len() > RANDOM_LIMIT {
            return fail(CKR_ARGUMENTS_BAD);
        }
        session.token.with(|hsm| Ok(hsm.random(out)?))
    }

    /// Checks that there is such a session.
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn check_session(&self, session: CK_SESSION_HANDLE) -> Result<()> {
        self.session(session).map(|_| ())
    }
}

/// Logs out whoever is logged in. That nobody is, or that another thread was faster, is as good.
fn log_out_at_last(token: &Token) -> Result<()> {
    match token.log_out() {
        Err(Error::Code(CKR_USER_NOT_LOGGED_IN)) => Ok(()),
        outcome => outcome,
    }
}

fn key_of(session: &Session, key: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
    let object = session.token.object(key).map_err(|_| Error::Code(CKR_KEY_HANDLE_INVALID))?;
    match object.attributes.class() {
        CKO_PUBLIC_KEY | CKO_PRIVATE_KEY | CKO_SECRET_KEY => Ok(object),
        _ => fail(CKR_KEY_HANDLE_INVALID),
    }
}
