//! Users, their logins and their permissions (document 07, C.4 and C.5).
//!
//! The order of the checks is the original's. PINs are hashed outside the locks: what was checked before is checked
//! again afterwards.

use crate::audit::Event;
use crate::context::Context;
use crate::platform::Platform;
use crate::users::{Credential, Login, MAX_USERS, PinDigest, Table, User, UserPolicy, Verifier, slot_of};
use casemate_protocol::message::authentication::{
    DoneResponse, LoginRequest, LoginResponse, LogoutRequest, MAX_CERTIFICATE, Permissions,
    SetCredentialsRequest, SetPermissionsRequest, UserAddRequest, UserAddResponse, UserDeleteRequest,
    UserGetRequest, UserGetResponse, UserId, action, method,
};
use casemate_protocol::{Layout, Status};

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let Some(policy) = context.server.config().users else { return 0 };
    let result = match action {
        action::LOGIN => {
            let (status, user) = outcome(login(context, &policy, payload, out));
            return context.put(&LoginResponse { status, user }, out);
        }
        action::USER_ADD => {
            let (status, user) = outcome(user_add(context, &policy, payload));
            return context.put(&UserAddResponse { status, user }, out);
        }
        action::USER_GET => {
            let (status, (user, permissions)) = outcome(user_get(context, payload));
            return context.put(&UserGetResponse { status, user, permissions }, out);
        }
        action::LOGOUT => logout(context, payload),
        action::USER_DELETE => user_delete(context, payload),
        action::USER_SET_PERMISSIONS => set_permissions(context, payload),
        action::USER_SET_CREDENTIALS => set_credentials(context, &policy, payload),
        _ => return 0,
    };
    context.put(&DoneResponse { status: outcome(result).0 }, out)
}

fn outcome<T: Default>(result: Result<T, Status>) -> (Status, T) {
    match result {
        Ok(value) => (Status::OK, value),
        Err(status) => (status, T::default()),
    }
}

/// The session's user. Its login was checked by the gate, but another session may have ended it since.
fn caller<'t, P: Platform>(context: &Context<'_, P>, table: &'t Table) -> Result<(usize, &'t User), Status> {
    context.session.login.and_then(|login| table.current(login)).ok_or(Status::AUTH_PERMISSION)
}

// ----- login and logout -----

fn login<P: Platform>(
    context: &mut Context<'_, P>,
    policy: &UserPolicy,
    payload: &[u8],
    space: &mut [u8],
) -> Result<UserId, Status> {
    let data_length = context.server.config().data_length;
    let (request, tail) = LoginRequest::decode(payload, context.order).map_err(|_| Status::BUFFER_SIZE)?;
    let credential = request.credential(tail).map_err(|_| Status::BUFFER_SIZE)?;
    if credential.len() > data_length.saturating_sub(LoginRequest::SIZE) {
        return Err(Status::BUFFER_SIZE);
    }
    if context.session.login.is_some() {
        return Err(Status::AUTH_LOGIN_FAILED);
    }
    if !policy.knows(request.method) {
        return Err(Status::BAD_ARGUMENTS);
    }
    #[cfg(feature = "certificates")]
    if request.method == method::CERTIFICATE {
        return certificate::login(context, policy, &request.name, credential, space);
    }
    #[cfg(not(feature = "certificates"))]
    let _ = space;
    let server = context.server;
    let pin = PinDigest::of(credential);
    // Who it would be, if the PIN is right.
    let mut attempt = Event::LoginFailed { user: 0, failures: 0 };
    let candidate = server.with_users(|table| {
        let slot = table.find(&request.name).filter(|_| table.loaded).ok_or(Status::AUTH_LOGIN_FAILED)?;
        attempt = failed(table, slot);
        let Some(User { credential: Credential::Pin(verifier), .. }) = table.user(slot) else {
            return Err(Status::AUTH_LOGIN_FAILED);
        };
        let verifier = verifier.clone();
        server.charge(table, slot, policy)?;
        attempt = failed(table, slot);
        table.login(slot).map(|login| (slot, login, verifier)).ok_or(Status::AUTH_LOGIN_FAILED)
    });
    let (slot, login, verifier) = match candidate {
        Ok(candidate) => candidate,
        Err(Status::AUTH_LOGIN_FAILED) => {
            // As long as for a user who exists.
            let _ = server.new_verifier(&pin, policy);
            context.record(attempt);
            return Err(Status::AUTH_LOGIN_FAILED);
        }
        Err(status) => return Err(status),
    };
    if let Err(status) = verifier.check(&pin) {
        server.with_users(|table| server.confirm(table, slot))?;
        context.record(attempt);
        return Err(status);
    }
    let stronger = if verifier.iterations < policy.pin_iterations {
        Some(server.new_verifier(&pin, policy)?)
    } else {
        None
    };
    let login = server.with_users(|table| {
        let Some((_, user)) = table.current(login) else { return Err(Status::AUTH_LOGIN_FAILED) };
        let user = user.clone();
        server.settle(table, slot)?;
        match stronger {
            Some(stronger) => strengthen(context, table, login, user, stronger),
            None => Ok(login),
        }
    })?;
    context.session.login = Some(login);
    context.record(Event::LoggedIn { user: login.id().0 });
    Ok(login.id())
}

/// The record of a failed login, once it is counted.
fn failed(table: &Table, slot: usize) -> Event {
    let user = table.login(slot).map_or(0, |login| login.id().0);
    Event::LoginFailed { user, failures: table.attempts.get(slot).map_or(0, |entry| entry.failures.into()) }
}

/// Replaces a verifier by one for the same PIN that costs more. That it cannot be stored does not keep the user out.
fn strengthen<P: Platform>(
    context: &Context<'_, P>,
    table: &mut Table,
    login: Login,
    user: User,
    stronger: Verifier,
) -> Result<Login, Status> {
    let Some(slot) = slot_of(login.id()) else { return Ok(login) };
    let generation = user.generation;
    let user = User { credential: Credential::Pin(stronger), ..user };
    match context.server.store_user(table, slot, user) {
        Ok(()) => {
            // It is the same user with the same PIN: its other sessions go on.
            table.keep_generation(slot, generation);
            Ok(login)
        }
        Err(_) => Ok(login),
    }
}

fn logout<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<(), Status> {
    let LogoutRequest { user } =
        LogoutRequest::decode_exact(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    if user == UserId::NONE {
        return Err(Status::BAD_ARGUMENTS);
    }
    let slot = slot_of(user).ok_or(Status::NOT_FOUND)?;
    let is_own = context.server.with_users(|table| {
        let (own, caller) = caller(context, table)?;
        if own == slot {
            return Ok(true);
        }
        if !caller.permissions.is_administrator() {
            return Err(Status::ACCESS);
        }
        table.end_sessions(slot);
        Ok(false)
    })?;
    if is_own {
        context.session.login = None;
    }
    context.record(Event::LoggedOut { user: user.0 });
    Ok(())
}

// ----- users -----

fn user_add<P: Platform>(
    context: &mut Context<'_, P>,
    policy: &UserPolicy,
    payload: &[u8],
) -> Result<UserId, Status> {
    let data_length = context.server.config().data_length;
    let (request, tail) = UserAddRequest::decode(payload, context.order).map_err(|_| Status::BUFFER_SIZE)?;
    let credential = request.credential(tail).map_err(|_| Status::BUFFER_SIZE)?;
    if credential.len() > data_length.saturating_sub(UserAddRequest::SIZE) {
        return Err(Status::BUFFER_SIZE);
    }
    let UserAddRequest { name, mut permissions, method, .. } = request;
    permissions = permissions.normalized();
    let has_credential = !credential.is_empty();
    let server = context.server;
    let check = |table: &Table| {
        let (_, caller) = caller(context, table)?;
        let slot = table.check_add(caller, &name, &permissions, policy.knows(method), has_credential)?;
        Ok((slot, caller.permissions))
    };
    server.with_users(|table| check(table).map(|_| ()))?;
    let new = New::of(context, policy, method, credential)?;
    server.with_users(|table| {
        let (slot, own) = check(table)?;
        let credential = new.stored(context, slot, &Credential::None)?;
        let user = User { name, permissions: inherit_keys(permissions, &own), credential, generation: 0 };
        server.store_new_user(table, slot, user)?;
        let id = table.login(slot).map(Login::id).ok_or(Status::ABORTED)?;
        context.record(Event::UserAdded { user: id.0 });
        Ok(id)
    })
}

/// A user without a list may use every key: one who has a list, and is no administrator, passes it on.
fn inherit_keys(mut permissions: Permissions, own: &Permissions) -> Permissions {
    let ((_, count), (keys, held)) = (permissions.key_list(), own.key_list());
    if count == 0 && !own.is_administrator() {
        // The block has room for what came from one.
        let _ = permissions.set_keys(keys.get(..held).unwrap_or_default());
    }
    permissions
}

fn new_pin<P: Platform>(
    context: &Context<'_, P>,
    policy: &UserPolicy,
    pin: &[u8],
) -> Result<Credential, Status> {
    if pin.len() < usize::from(policy.minimum_pin_length) {
        return Err(Status::BAD_ARGUMENTS);
    }
    context.server.new_verifier(&PinDigest::of(pin), policy).map(Credential::Pin)
}

/// A credential that is to be stored: what takes long has been done, and what needs a slot has not.
enum New<'c> {
    Ready(Credential),
    Certificate(&'c [u8]),
}

impl<'c> New<'c> {
    fn of<P: Platform>(
        context: &Context<'_, P>,
        policy: &UserPolicy,
        method: u16,
        credential: &'c [u8],
    ) -> Result<Self, Status> {
        if credential.is_empty() {
            return Ok(Self::Ready(Credential::None));
        }
        if method != method::CERTIFICATE {
            return new_pin(context, policy, credential).map(Self::Ready);
        }
        if credential.len() > MAX_CERTIFICATE {
            return Err(Status::BUFFER_SIZE);
        }
        #[cfg(feature = "certificates")]
        certificate::check(credential)?;
        Ok(Self::Certificate(credential))
    }

    /// The credential for the user in `slot`, which has `present` until it is stored.
    fn stored<P: Platform>(
        self,
        context: &Context<'_, P>,
        slot: usize,
        present: &Credential,
    ) -> Result<Credential, Status> {
        match self {
            Self::Ready(credential) => Ok(credential),
            Self::Certificate(bytes) => {
                context.server.store_certificate(slot, bytes, present).map(Credential::Certificate)
            }
        }
    }
}

/// Logins by certificate.
#[cfg(feature = "certificates")]
mod certificate {
    use super::*;
    use crate::group::certificate::verify_issued_by;
    use crate::users::CertificateLogin;
    use casemate_protocol::message::authentication::UserName;
    use casemate_x509::Certificate;

    /// Whether the bytes are one certificate.
    ///
    /// # Errors
    /// BAD_ARGUMENTS.
    pub(super) fn check(bytes: &[u8]) -> Result<(), Status> {
        Certificate::decode(bytes).map(|_| ()).map_err(|_| Status::BAD_ARGUMENTS)
    }

    /// Certificates cannot be guessed, so failures are recorded and do not count. Of what was presented, the first
    /// certificate is looked at, as in the original. `space` holds the user's certificate meanwhile.
    pub(super) fn login<P: Platform>(
        context: &mut Context<'_, P>,
        policy: &UserPolicy,
        name: &UserName,
        presented: &[u8],
        space: &mut [u8],
    ) -> Result<UserId, Status> {
        let server = context.server;
        let refused = Status::AUTH_LOGIN_FAILED;
        let mut attempt = Event::LoginFailed { user: 0, failures: 0 };
        let result = server
            .with_users(|table| {
                let slot = table.find(name).filter(|_| table.loaded).ok_or(refused)?;
                attempt = failed(table, slot);
                let Some(User { credential: Credential::Certificate(stored), .. }) = table.user(slot) else {
                    return Err(refused);
                };
                table.login(slot).map(|login| (slot, login, *stored)).ok_or(refused)
            })
            .and_then(|(slot, login, stored)| {
                let (certificate, _) = Certificate::decode_first(presented).map_err(|_| refused)?;
                if policy.certificates != CertificateLogin::Replayable {
                    let digest = server.certificate_digest(certificate.encoding)?;
                    if context.session.certificate != Some(digest) {
                        return Err(refused);
                    }
                }
                let root = server.load_certificate(slot, &stored, space)?;
                verify_issued_by(server, root, &certificate).map_err(|_| refused)?;
                server.with_users(|table| table.current(login).map(|_| login).ok_or(refused))
            });
        match result {
            Ok(login) => {
                context.session.login = Some(login);
                context.record(Event::LoggedIn { user: login.id().0 });
                Ok(login.id())
            }
            Err(status) => {
                if status == refused {
                    context.record(attempt);
                }
                Err(status)
            }
        }
    }
}

fn user_delete<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<(), Status> {
    let request =
        UserDeleteRequest::decode_exact(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let slot = slot_of(request.user).ok_or(Status::NOT_FOUND)?;
    let server = context.server;
    server.with_users(|table| {
        require_administrator(context, table)?;
        table.user(slot).ok_or(Status::NOT_FOUND)?;
        if table.is_last_administrator(slot) {
            return Err(Status::ACCESS);
        }
        server.remove_user(table, slot)?;
        context.record(Event::UserDeleted { user: request.user.0 });
        Ok(())
    })
}

fn require_administrator<P: Platform>(context: &Context<'_, P>, table: &Table) -> Result<(), Status> {
    let (_, caller) = caller(context, table)?;
    if caller.permissions.is_administrator() { Ok(()) } else { Err(Status::ACCESS) }
}

fn user_get<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
) -> Result<(UserId, Permissions), Status> {
    let request = UserGetRequest::decode_exact(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    context.server.with_users(|table| {
        let (_, caller) = caller(context, table)?;
        if !caller.permissions.is_administrator() && caller.name != request.name {
            return Err(Status::ACCESS);
        }
        let slot = table.find(&request.name).ok_or(Status::NOT_FOUND)?;
        let user = table.user(slot).ok_or(Status::NOT_FOUND)?;
        let id = table.login(slot).map(Login::id).ok_or(Status::NOT_FOUND)?;
        Ok((id, user.permissions))
    })
}

/// Also lets a locked user in again: its failed logins are forgotten.
fn set_permissions<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<(), Status> {
    let request =
        SetPermissionsRequest::decode_exact(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let slot = slot_of(request.user).ok_or(Status::NOT_FOUND)?;
    let server = context.server;
    server.with_users(|table| {
        require_administrator(context, table)?;
        let user = table.user(slot).ok_or(Status::NOT_FOUND)?;
        let generation = user.generation;
        let user = User { permissions: request.permissions.normalized(), ..user.clone() };
        if table.is_last_administrator(slot) && !table.administrator_left(slot, Some(&user)) {
            return Err(Status::ACCESS);
        }
        server.settle(table, slot)?;
        server.store_user(table, slot, user)?;
        // Sessions of this user go on with the new permissions.
        table.keep_generation(slot, generation);
        context.record(Event::PermissionsSet { user: request.user.0 });
        Ok(())
    })
}

fn set_credentials<P: Platform>(
    context: &mut Context<'_, P>,
    policy: &UserPolicy,
    payload: &[u8],
) -> Result<(), Status> {
    let (request, tail) =
        SetCredentialsRequest::decode(payload, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let [current, new] =
        request.credentials(tail, context.server.config().data_length).map_err(|_| Status::BUFFER_SIZE)?;
    let slot = slot_of(request.user).ok_or(Status::BAD_ARGUMENTS)?;
    let server = context.server;
    // What the present PIN has to match, once the attempt is counted.
    let (target, verifier) = server.with_users(|table| {
        let (own, caller) = caller(context, table)?;
        if own != slot && !caller.permissions.is_administrator() {
            return Err(Status::ACCESS);
        }
        if !policy.knows(request.method) {
            return Err(Status::BAD_ARGUMENTS);
        }
        let user = table.user(slot).ok_or(Status::NOT_FOUND)?;
        if new.len() > MAX_CERTIFICATE {
            return Err(Status::BUFFER_SIZE);
        }
        let target = table.login(slot).ok_or(Status::NOT_FOUND)?;
        match &user.credential {
            Credential::None if !current.is_empty() => Err(Status::BAD_ARGUMENTS),
            Credential::None => Ok((target, None)),
            Credential::Pin(_) | Credential::Certificate(_) if current.is_empty() => Err(Status::ACCESS),
            // It is public: to name it proves that one knows what is replaced, nothing else.
            Credential::Certificate(stored) if server.certificate_digest(current)? == stored.digest => {
                Ok((target, None))
            }
            Credential::Certificate(_) => Err(Status::ACCESS),
            Credential::Pin(verifier) => {
                let verifier = verifier.clone();
                server.charge(table, slot, policy).map_err(as_access)?;
                Ok((target, Some(verifier)))
            }
        }
    })?;
    if let Some(verifier) = verifier {
        if let Err(status) = verifier.check(&PinDigest::of(current)) {
            server.with_users(|table| server.confirm(table, slot))?;
            return Err(as_access(status));
        }
        server.with_users(|table| server.settle(table, slot))?;
    }
    let new = New::of(context, policy, request.method, new)?;
    let own = context.session.login;
    let renewed = server.with_users(|table| {
        let (caller_slot, caller) = caller(context, table)?;
        if caller_slot != slot && !caller.permissions.is_administrator() {
            return Err(Status::ACCESS);
        }
        // Somebody else was faster: the credential that was checked may be gone.
        let (_, user) = table.current(target).ok_or(Status::ACCESS)?;
        let present = user.credential.clone();
        // A certificate is no PIN, which is all that counts for the last administrator.
        let without_pin = User { credential: Credential::None, ..user.clone() };
        let keeps_pin = matches!(new, New::Ready(Credential::Pin(_)));
        if table.is_last_administrator(slot)
            && !keeps_pin
            && !table.administrator_left(slot, Some(&without_pin))
        {
            return Err(Status::ACCESS);
        }
        let user = User { credential: new.stored(context, slot, &present)?, ..without_pin };
        server.store_user(table, slot, user)?;
        server.forget_certificate(slot, Some(&present));
        context.record(Event::CredentialSet { user: request.user.0 });
        Ok(if caller_slot == slot { table.login(slot) } else { own })
    })?;
    // The user's other sessions are over, this one goes on.
    context.session.login = renewed;
    Ok(())
}

fn as_access(status: Status) -> Status {
    if status == Status::AUTH_LOGIN_FAILED { Status::ACCESS } else { status }
}

const _: () = assert!(MAX_USERS == 5);
