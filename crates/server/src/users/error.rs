//! Why the server's owner cannot work with the users.

use super::record::RecordError;
use casemate_protocol::{ObjectId, Status};
use core::fmt;

/// Why the server's owner cannot work with the users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserError {
    /// The configuration has no users ([`crate::Config::users`]).
    Disabled,
    /// The users have not been loaded ([`Server::load_users`](crate::Server::load_users)).
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

impl RecordError {
    pub(super) const fn at(self, id: ObjectId) -> UserError {
        match self {
            Self::Format => UserError::Format(id),
            Self::NotAuthentic => UserError::NotAuthentic(id),
            Self::Unsealed => UserError::Unsealed(id),
            Self::NoKey => UserError::NoDeviceKey(id),
            Self::Driver => UserError::Driver,
        }
    }
}

pub(super) const fn record_status(error: RecordError) -> Status {
    match error {
        RecordError::Driver => Status::RNG_FAILURE,
        _ => Status::ABORTED,
    }
}
