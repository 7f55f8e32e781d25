//! Users, their logins and their permissions.

use crate::failure::Failure;
use crate::ffi::{self, Bytes, Flag, In, Numbers32, Optional, Out, Text};
use crate::status::Own;
use crate::types::{CredentialKind, CredentialName, UserPermissions};
use casemate_client::authentication::{Credential, Permissions, UserId, UserName};
use casemate_protocol::{Group, Kind};

fn user_name(name: &[u8]) -> Result<UserName, Failure> {
    UserName::new(name).ok_or(Failure::Own(Own::BAD_ARGUMENT))
}

const fn credential(kind: CredentialKind, bytes: &[u8]) -> Option<Credential<'_>> {
    match kind {
        CredentialKind::None => None,
        CredentialKind::Pin => Some(Credential::Pin(bytes)),
        CredentialKind::Certificate => Some(Credential::Certificate(bytes)),
    }
}

ffi::calls! { "Users"
    /// Logs in with a name of 1 to 31 bytes. `user`, which may be null, gets the user's number.
    fn casemate_login(client; name: Text, kind: CredentialName, proof[proof_length]: Bytes, user: Optional<u16>) {
        let id = client.login(user_name(name)?, credential(kind, proof).ok_or(Own::BAD_ARGUMENT)?)?;
        if let Some(user) = user {
            *user = id.0;
        }
        Ok(())
    }

    /// Logs a user out: oneself, or as an administrator anybody.
    fn casemate_logout(client; user: u16) {
        Ok(client.logout(UserId(user))?)
    }

    /// Adds a user. `user`, which may be null, gets its number.
    fn casemate_user_add(client; name: Text, permissions: In<UserPermissions>, kind: CredentialName, proof[proof_length]: Bytes, user: Optional<u16>) {
        let id = client.user_add(user_name(name)?, &permissions.get(), credential(kind, proof))?;
        if let Some(user) = user {
            *user = id.0;
        }
        Ok(())
    }

    /// Removes a user.
    fn casemate_user_delete(client; user: u16) {
        Ok(client.user_delete(UserId(user))?)
    }

    /// Asks for a user's number and permissions; either pointer may be null.
    fn casemate_user_get(client; name: Text, user: Optional<u16>, permissions: Optional<UserPermissions>) {
        let (id, found) = client.user_get(user_name(name)?)?;
        if let Some(user) = user {
            *user = id.0;
        }
        if let Some(permissions) = permissions {
            permissions.bytes = *found.as_bytes();
        }
        Ok(())
    }

    /// Sets what a user may do.
    fn casemate_user_set_permissions(client; user: u16, permissions: In<UserPermissions>) {
        Ok(client.user_set_permissions(UserId(user), &permissions.get())?)
    }

    /// Sets a user's credential, or removes it if the new one is empty. `current` is the present one, empty for a user
    /// that has none.
    fn casemate_user_set_credential(client; user: u16, current[current_length]: Bytes, kind: CredentialName, proof[proof_length]: Bytes) {
        let new = credential(kind, proof).unwrap_or(Credential::Pin(&[]));
        Ok(client.user_set_credential(UserId(user), current, new)?)
    }

    /// Permissions that allow nothing.
    fn casemate_permissions_none(; permissions: Out<UserPermissions>) {
        permissions.change(|permissions| *permissions = Permissions::NONE);
        Ok(())
    }

    /// Permissions that allow everything, of an administrator.
    fn casemate_permissions_all(; permissions: Out<UserPermissions>) {
        permissions.change(|permissions| *permissions = Permissions::all());
        Ok(())
    }

    /// Allows all messages of a group, or forbids them.
    fn casemate_permissions_set_group(; permissions: Out<UserPermissions>, group: u8, allowed: Flag) {
        permissions.change(|permissions| permissions.set_group(Group(group), allowed));
        Ok(())
    }

    /// Allows one message of a group, or forbids it.
    fn casemate_permissions_set_action(; permissions: Out<UserPermissions>, group: u8, action: u8, allowed: Flag) {
        permissions.change(|permissions| permissions.set_action(Kind::new(Group(group), action), allowed));
        Ok(())
    }

    /// Makes the user an administrator, or not.
    fn casemate_permissions_set_administrator(; permissions: Out<UserPermissions>, yes: Flag) {
        permissions.change(|permissions| permissions.set_administrator(yes));
        Ok(())
    }

    /// Lists the keys that the user may use: at most 2.
    fn casemate_permissions_set_keys(; permissions: Out<UserPermissions>, keys[count]: Numbers32) {
        let mut done = false;
        permissions.change(|permissions| done = permissions.set_keys(keys));
        if done { Ok(()) } else { Err(Own::BAD_ARGUMENT.into()) }
    }
}
