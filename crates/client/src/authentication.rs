//! Users, their logins and their permissions (document 07, part C).
//!
//! A server with users answers nothing but connection messages before a login, and afterwards what the user's
//! permissions allow. A server without users answers every call here with AUTH_NOT_ENABLED.

use crate::operation::length_u16;
use crate::{Argument, Client, Error, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::Kind;
use casemate_protocol::message::Request;
use casemate_protocol::message::authentication::{
    DoneResponse, LoginRequest, LoginResponse, LogoutRequest, SetCredentialsRequest, SetPermissionsRequest,
    UserAddRequest, UserAddResponse, UserDeleteRequest, UserGetRequest, UserGetResponse, method,
};
use casemate_transport::{ClientTransport, Clock};

pub use casemate_protocol::message::authentication::{Permissions, UserId, UserName};

/// What a user proves with who it is.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A PIN.
    Pin(&'a [u8]),
    /// A certificate in DER. It is public: without a transport that proves its key, as TLS does, a server that takes it as a
    /// proof lets in whoever has seen it.
    Certificate(&'a [u8]),
}

impl core::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Pin(_) => "Pin",
            Self::Certificate(_) => "Certificate",
        })
    }
}

impl<'a> Credential<'a> {
    const fn parts(&self) -> (u16, &'a [u8]) {
        match self {
            Self::Pin(pin) => (method::PIN, pin),
            Self::Certificate(certificate) => (method::CERTIFICATE, certificate),
        }
    }
}

/// Logs in; yields the user's number.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// Who logs in.
    pub name: UserName,
    /// The proof.
    pub credential: Credential<'a>,
}

impl Operation for Login<'_> {
    const KIND: Kind = LoginRequest::KIND;
    type Output<'r> = UserId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let (method, credential) = self.credential.parts();
        request.mark_secret();
        request.put(&LoginRequest { method, name: self.name, length: length_u16(credential.len()) });
        request.put_bytes(credential);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<UserId, ResponseFault> {
        Ok(response.exact::<LoginResponse>()?.user)
    }
}

/// Logs a user out.
#[derive(Debug, Clone, Copy)]
pub struct Logout {
    /// Whom.
    pub user: UserId,
}

impl Operation for Logout {
    const KIND: Kind = LogoutRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&LogoutRequest { user: self.user });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<DoneResponse>().map(|_| ())
    }
}

/// Adds a user; yields its number.
#[derive(Debug, Clone, Copy)]
pub struct UserAdd<'a> {
    /// Its name.
    pub name: UserName,
    /// What it may do.
    pub permissions: &'a Permissions,
    /// What it proves with who it is; without, it cannot log in.
    pub credential: Option<Credential<'a>>,
}

impl Operation for UserAdd<'_> {
    const KIND: Kind = UserAddRequest::KIND;
    type Output<'r> = UserId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let (method, credential) =
            self.credential.as_ref().map_or((method::NONE, &[][..]), Credential::parts);
        request.mark_secret();
        request.put(&UserAddRequest {
            name: self.name,
            permissions: *self.permissions,
            method,
            length: length_u16(credential.len()),
        });
        request.put_bytes(credential);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<UserId, ResponseFault> {
        Ok(response.exact::<UserAddResponse>()?.user)
    }
}

/// Removes a user.
#[derive(Debug, Clone, Copy)]
pub struct UserDelete {
    /// Whom.
    pub user: UserId,
}

impl Operation for UserDelete {
    const KIND: Kind = UserDeleteRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&UserDeleteRequest { user: self.user });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<DoneResponse>().map(|_| ())
    }
}

/// Asks for a user; yields its number and its permissions.
#[derive(Debug, Clone, Copy)]
pub struct UserGet {
    /// Its name.
    pub name: UserName,
}

impl Operation for UserGet {
    const KIND: Kind = UserGetRequest::KIND;
    type Output<'r> = (UserId, Permissions);

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&UserGetRequest { name: self.name });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(UserId, Permissions), ResponseFault> {
        let UserGetResponse { user, permissions, .. } = response.exact()?;
        Ok((user, permissions))
    }
}

/// Sets a user's permissions.
#[derive(Debug, Clone, Copy)]
pub struct UserSetPermissions<'a> {
    /// Whose.
    pub user: UserId,
    /// What it may do from now on.
    pub permissions: &'a Permissions,
}

impl Operation for UserSetPermissions<'_> {
    const KIND: Kind = SetPermissionsRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&SetPermissionsRequest { user: self.user, permissions: *self.permissions });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<DoneResponse>().map(|_| ())
    }
}

/// Sets or removes a user's credential.
#[derive(Debug, Clone, Copy)]
pub struct UserSetCredential<'a> {
    /// Whose.
    pub user: UserId,
    /// The present one; empty if there is none.
    pub current: &'a [u8],
    /// The new one; an empty one removes it.
    pub new: Credential<'a>,
}

impl Operation for UserSetCredential<'_> {
    const KIND: Kind = SetCredentialsRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let (method, new) = self.new.parts();
        request.mark_secret();
        request.put(&SetCredentialsRequest {
            user: self.user,
            method,
            current_length: length_u16(self.current.len()),
            new_length: length_u16(new.len()),
        });
        request.put_bytes(self.current);
        request.put_bytes(new);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<DoneResponse>().map(|_| ())
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Logs in on this connection and returns the user's number. A connection has one user at a time.
    ///
    /// # Errors
    /// `AUTH_LOGIN_FAILED` from the server if name or credential are wrong, if the user has to wait or is locked after
    /// failed logins, or if somebody is logged in already; `AUTH_NOT_ENABLED` from a server without users; and the
    /// errors of every request ([`Client::run`]).
    pub fn login(&mut self, name: UserName, credential: Credential<'_>) -> Result<UserId, Error<T::Error>> {
        self.run(&Login { name, credential })
    }

    /// Logs `user` out: oneself, or as an administrator anybody, whose sessions all end then.
    ///
    /// # Errors
    /// `ACCESS` or `NOT_FOUND` from the server, `AUTH_PERMISSION` if nobody is logged in, and the errors of every
    /// request ([`Client::run`]).
    pub fn logout(&mut self, user: UserId) -> Result<(), Error<T::Error>> {
        self.run(&Logout { user })
    }

    /// Adds a user and returns its number. Who is no administrator gives away only what it has, and has to give a
    /// credential.
    ///
    /// # Errors
    /// `AUTH_PERMISSION` from the server if the caller may not; `BAD_ARGUMENTS` if the name is taken or the
    /// credential cannot be used; `BUFFER_SIZE` if all users are taken; and the errors of every request
    /// ([`Client::run`]).
    pub fn user_add(
        &mut self,
        name: UserName,
        permissions: &Permissions,
        credential: Option<Credential<'_>>,
    ) -> Result<UserId, Error<T::Error>> {
        self.run(&UserAdd { name, permissions, credential })
    }

    /// Removes a user. For administrators.
    ///
    /// # Errors
    /// `ACCESS` from the server if the caller may not, or if it is the last administrator; `NOT_FOUND`; and the
    /// errors of every request ([`Client::run`]).
    pub fn user_delete(&mut self, user: UserId) -> Result<(), Error<T::Error>> {
        self.run(&UserDelete { user })
    }

    /// Returns a user's number and permissions. Who is no administrator can ask for itself.
    ///
    /// # Errors
    /// `ACCESS` or `NOT_FOUND` from the server, and the errors of every request ([`Client::run`]).
    pub fn user_get(&mut self, name: UserName) -> Result<(UserId, Permissions), Error<T::Error>> {
        self.run(&UserGet { name })
    }

    /// Sets what a user may do, at once also in its sessions, and lets it in again if it was locked. For
    /// administrators.
    ///
    /// # Errors
    /// `ACCESS` from the server if the caller may not, or if no administrator would be left; `NOT_FOUND`; and the
    /// errors of every request ([`Client::run`]).
    pub fn user_set_permissions(
        &mut self,
        user: UserId,
        permissions: &Permissions,
    ) -> Result<(), Error<T::Error>> {
        self.run(&UserSetPermissions { user, permissions })
    }

    /// Sets a user's credential, or removes it if `new` is empty. `current` is the present one, also for an
    /// administrator; it is empty for a user that has none. The user's other sessions end.
    ///
    /// # Errors
    /// `ACCESS` from the server if the caller may not or `current` is wrong; `BAD_ARGUMENTS`; `NOT_FOUND`; and the
    /// errors of every request ([`Client::run`]).
    pub fn user_set_credential(
        &mut self,
        user: UserId,
        current: &[u8],
        new: Credential<'_>,
    ) -> Result<(), Error<T::Error>> {
        self.run(&UserSetCredential { user, current, new })
    }
}
