//! Security records: what an operator or an investigator wants to know afterwards.
//!
//! The server hands each record to [`Platform::record`](crate::Platform::record), which does nothing unless the port
//! implements it. Two back ends exist: [`Ring`] keeps the newest records in memory of a fixed size, and the POSIX port
//! writes them to a file.
//!
//! **No record contains a secret**: no key, PIN, password, label, message or digest of one of them, only identifiers,
//! flags, lengths, versions and status codes. The types of the fields leave no room for anything else.
//!
//! A record is made once what it tells of has happened. What happens to one object is recorded in the order in which it
//! happens, because the server still holds its lock at that moment.

mod ring;

pub use ring::{Entry, Ring};

use casemate_protocol::{
    ByteOrder, ClientId, Field, Flags, Group, Kind, Malformed, ObjectId, Overflow, Reader, Status, Writer,
};
use core::fmt;

/// Something that happened, and on whose behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The client of the session; `None` before INIT, and for what the server's owner did.
    pub client: Option<ClientId>,
    /// The message that caused it; `None` if none did.
    pub request: Option<Kind>,
    /// What happened.
    pub event: Event,
}

/// A field of an event, for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// An object or a key as the server stores it.
    Object(ObjectId),
    /// Flags of an object.
    Flags(Flags),
    /// A number.
    Number(u32),
    /// A status code.
    Status(Status),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => id.fmt(f),
            Self::Flags(flags) => flags.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Status(status) => status.0.fmt(f),
        }
    }
}

impl From<ObjectId> for Value {
    fn from(id: ObjectId) -> Self {
        Self::Object(id)
    }
}

impl From<Flags> for Value {
    fn from(flags: Flags) -> Self {
        Self::Flags(flags)
    }
}

impl From<Status> for Value {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

macro_rules! events {
    ($(
        $(#[$doc:meta])*
        $code:literal $variant:ident $name:literal { $( $(#[$field_doc:meta])* $field:ident: $type:ty ),* $(,)? };
    )*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Event {$(
            $(#[$doc])*
            $variant { $( $(#[$field_doc])* $field: $type ),* },
        )*}

        impl Event {
            /// The names of all events.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The number that stands for this event in an encoded record. Numbers are never used again for another
            /// event.
            pub const fn code(&self) -> u8 {
                match self { $( Self::$variant { .. } => $code, )* }
            }

            /// The event's name, as records show it.
            pub const fn name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $name, )* }
            }

            /// Shows every field with its name to `visitor`.
            pub fn visit(&self, visitor: &mut dyn FnMut(&'static str, Value)) {
                match *self {
                    $( Self::$variant { $($field),* } => { $( visitor(stringify!($field), $field.into()); )* } )*
                }
                let _ = visitor;
            }

            const FIELDS_SIZE: [usize; Self::NAMES.len()] = [$( 0 $( + <$type as Field>::SIZE )* ),*];

            fn put(&self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
                match *self {
                    $( Self::$variant { $($field),* } => { $( Field::put($field, writer)?; )* } )*
                }
                let _ = writer;
                Ok(())
            }

            fn get(code: u8, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                match code {
                    $( $code => Ok(Self::$variant { $( $field: reader.get()? ),* }), )*
                    _ => { let _ = reader; Err(Malformed) }
                }
            }
        }
    };
}

events! {
    /// A client has said INIT.
    1 SessionStarted "session-started" {};
    /// A session has ended: by CLOSE, or because its connection did.
    2 SessionEnded "session-ended" {};
    /// A policy has forbidden what a message asked for.
    3 Refused "refused" {
        /// The object that the message named last, or [`ObjectId::INVALID`].
        object: ObjectId,
        /// The status that the client got.
        status: Status,
    };
    /// A key was made: cached, generated, derived or unwrapped, as the message says.
    4 KeyCreated "key-created" {
        /// The key.
        key: ObjectId,
        /// Its flags.
        flags: Flags,
        /// Its length in bytes.
        length: u16,
    };
    /// A key was written to the object store.
    5 KeyCommitted "key-committed" {
        /// The key.
        key: ObjectId,
    };
    /// A key has left the server in the clear.
    6 KeyExported "key-exported" {
        /// The key.
        key: ObjectId,
    };
    /// A key has left the server wrapped, or a client had a key of its own wrapped.
    7 KeyWrapped "key-wrapped" {
        /// The key; for a client's own key, the identifier that it is wrapped under.
        key: ObjectId,
        /// The key-encryption key.
        kek: ObjectId,
    };
    /// A wrapped key was opened.
    8 KeyUnwrapped "key-unwrapped" {
        /// The identifier that the key was wrapped under.
        key: ObjectId,
        /// The key-encryption key.
        kek: ObjectId,
    };
    /// A key has lost all usages and cannot be changed any more.
    9 KeyRevoked "key-revoked" {
        /// The key.
        key: ObjectId,
    };
    /// A key was removed from the cache and the object store, if it was there.
    10 KeyErased "key-erased" {
        /// The key.
        key: ObjectId,
    };
    /// An object was stored or replaced.
    11 ObjectStored "object-stored" {
        /// The object.
        object: ObjectId,
        /// Its flags.
        flags: Flags,
        /// Its length in bytes.
        length: u16,
    };
    /// An object was destroyed.
    12 ObjectDestroyed "object-destroyed" {
        /// The object.
        object: ObjectId,
    };
    /// A counter was set to a value, not incremented.
    13 CounterSet "counter-set" {
        /// The counter.
        counter: ObjectId,
        /// Its new value.
        value: u32,
    };
    /// A counter was destroyed.
    14 CounterDestroyed "counter-destroyed" {
        /// The counter.
        counter: ObjectId,
    };
    /// An image has passed its verification.
    15 ImageVerified "image-verified" {
        /// The image, counted from 0 in the list that was verified.
        image: u16,
        /// Its version; 0 if it has none.
        version: u32,
    };
    /// An image has failed its verification.
    16 ImageRefused "image-refused" {
        /// The image, counted from 0 in the list that was verified.
        image: u16,
        /// Why.
        status: Status,
    };
    /// A version floor was raised: images below it are refused from now on.
    17 VersionFloorRaised "version-floor-raised" {
        /// The object that holds the floor.
        floor: ObjectId,
        /// The lowest version that is accepted.
        version: u32,
    };
    /// A certificate, or a chain of them, has passed its verification; which message asked for it tells the kind.
    18 CertificateVerified "certificate-verified" {
        /// The trusted root that the message named; the first one if it named several.
        root: ObjectId,
    };
    /// A SHE key was loaded, by the update protocol or in the clear, as the message says.
    19 SheKeyLoaded "she-key-loaded" {
        /// The slot.
        slot: ObjectId,
    };
    /// A user has logged in.
    40 LoggedIn "logged-in" {
        /// The user.
        user: u16,
    };
    /// A login has failed: for a wrong PIN, or because the user is locked or has to wait.
    41 LoginFailed "login-failed" {
        /// The user; 0 if there is none of the name that was given.
        user: u16,
        /// Failed attempts since the last successful one.
        failures: u16,
    };
    /// A user was logged out, by itself or by an administrator.
    42 LoggedOut "logged-out" {
        /// The user.
        user: u16,
    };
    /// A user was added.
    43 UserAdded "user-added" {
        /// The user.
        user: u16,
    };
    /// A user was removed.
    44 UserDeleted "user-deleted" {
        /// The user.
        user: u16,
    };
    /// A user's permissions were set.
    45 PermissionsSet "permissions-set" {
        /// The user.
        user: u16,
    };
    /// A user's credential was set or removed.
    46 CredentialSet "credential-set" {
        /// The user.
        user: u16,
    };
    /// Something that the port or an application on the server reports.
    255 Custom "custom" {
        /// Which event it is; the meaning is the reporter's.
        code: u16,
        /// More about it; never a secret.
        detail: u32,
    };
}

const _: () = {
    let mut sizes = Event::FIELDS_SIZE.as_slice();
    while let Some((size, rest)) = sizes.split_first() {
        assert!(*size + 4 <= Record::SIZE, "the fields of an event do not fit a record");
        sizes = rest;
    }
};

impl Record {
    /// Size of an encoded record in bytes.
    pub const SIZE: usize = 16;

    /// The record in a fixed form for memories and links: event, client (0 = none), group and action of the message
    /// (0 = none), then the fields of the event, little-endian, padded with zeros.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        let (group, action) = self.request.map_or((0, 0), |kind| (kind.group.0, kind.action));
        let client = self.client.map_or(0, ClientId::get);
        let mut writer = Writer::new(&mut out, ByteOrder::Little);
        let written = [self.event.code(), client, group, action]
            .into_iter()
            .try_for_each(|byte| writer.put(byte))
            .and_then(|()| self.event.put(&mut writer));
        // The sizes were checked when this was compiled.
        let _ = written;
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Malformed`] for an event that is not known here.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, ByteOrder::Little);
        let (code, client, group, action): (u8, u8, u8, u8) =
            (reader.get()?, reader.get()?, reader.get()?, reader.get()?);
        let client = match client {
            0 => None,
            client => Some(ClientId::new(client.into()).ok_or(Malformed)?),
        };
        let request = if group == 0 { None } else { Some(Kind::new(Group(group), action)) };
        Ok(Self { client, request, event: Event::get(code, &mut reader)? })
    }
}

impl fmt::Display for Record {
    /// One line: the event, its fields, the client, the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.event.name())?;
        let mut result = Ok(());
        self.event.visit(&mut |name, value| {
            if result.is_ok() {
                result = write!(f, " {name} {value}");
            }
        });
        result?;
        if let Some(client) = self.client {
            write!(f, ", client {client}")?;
        }
        match self.request {
            Some(kind) => write!(f, ", message {kind:?}"),
            None => Ok(()),
        }
    }
}

/// Whether a message that was answered with `status` was refused by a policy, so that the refusal is recorded. A wrong
/// argument, a missing object or a signature that does not verify is everyday business and is not.
pub fn is_refusal(kind: Kind, status: Status) -> bool {
    match status {
        Status::ACCESS
        | Status::USAGE
        | Status::LOCKED
        | Status::AUTH_PERMISSION
        | Status::CERTIFICATE_VERIFICATION
        | Status::SHE_WRITE_PROTECTED
        | Status::SHE_KEY_UPDATE_ERROR
        | Status::SHE_KEY_INVALID
        | Status::SHE_KEY_NOT_AVAILABLE => true,
        // A blob that is not one of ours: a forged or a damaged one.
        Status::AES_GCM_AUTHENTICATION => kind.group == Group::KEY,
        _ => false,
    }
}

/// What the success of a message that was about `subject` is recorded as, where that says it all. Groups that know more
/// record it themselves.
pub(crate) fn success(kind: Kind, subject: ObjectId) -> Option<Event> {
    use casemate_protocol::message::{certificate::action as certificate, she::action as she};
    match (kind.group, kind.action) {
        (
            Group::CERT,
            certificate::VERIFY
            | certificate::VERIFY_MULTI_ROOT
            | certificate::VERIFY_DMA
            | certificate::VERIFY_MULTI_ROOT_DMA
            | certificate::VERIFY_ATTRIBUTE
            | certificate::VERIFY_ATTRIBUTE_DMA,
        ) => Some(Event::CertificateVerified { root: subject }),
        (Group::SHE, she::LOAD_KEY | she::LOAD_PLAIN_KEY) => Some(Event::SheKeyLoaded { slot: subject }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn samples() -> [Event; 27] {
        let id = ObjectId(0x1C05);
        [
            Event::SessionStarted {},
            Event::SessionEnded {},
            Event::Refused { object: id, status: Status::ACCESS },
            Event::KeyCreated { key: id, flags: Flags::USAGE_SIGN, length: 32 },
            Event::KeyCommitted { key: id },
            Event::KeyExported { key: id },
            Event::KeyWrapped { key: id, kek: ObjectId(0x10FE) },
            Event::KeyUnwrapped { key: id, kek: ObjectId(0x10FE) },
            Event::KeyRevoked { key: id },
            Event::KeyErased { key: id },
            Event::ObjectStored { object: id, flags: Flags::NONE, length: 0xFFFF },
            Event::ObjectDestroyed { object: id },
            Event::CounterSet { counter: id, value: 0x0102_0304 },
            Event::CounterDestroyed { counter: id },
            Event::ImageVerified { image: 1, version: 7 },
            Event::ImageRefused { image: 1, status: Status::NOT_VERIFIED },
            Event::VersionFloorRaised { floor: id, version: 8 },
            Event::CertificateVerified { root: id },
            Event::SheKeyLoaded { slot: id },
            Event::LoggedIn { user: 1 },
            Event::LoginFailed { user: 1, failures: 255 },
            Event::LoggedOut { user: 1 },
            Event::UserAdded { user: 2 },
            Event::UserDeleted { user: 2 },
            Event::PermissionsSet { user: 2 },
            Event::CredentialSet { user: 2 },
            Event::Custom { code: 500, detail: u32::MAX },
        ]
    }

    #[test]
    fn every_event_survives_encoding_and_has_its_own_code_and_name() {
        assert_eq!(samples().map(|event| event.name()), *Event::NAMES);
        let mut codes = samples().map(|event| event.code());
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
        for event in samples() {
            for (client, request) in [
                (None, None),
                (ClientId::new(12), Some(Kind::new(Group::KEY, 0))),
                (ClientId::new(15), Some(Kind::new(Group::NVM, 7))),
            ] {
                let record = Record { client, request, event };
                assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }
    }

    #[test]
    fn the_encoded_form_is_fixed() {
        let record = Record {
            client: ClientId::new(12),
            request: Some(Kind::new(Group::KEY, 15)),
            event: Event::KeyCreated { key: ObjectId(0x1C05), flags: Flags(0x0184), length: 32 },
        };
        assert_eq!(record.encode(), [4, 12, 3, 15, 0x05, 0x1C, 0x84, 0x01, 32, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            record.to_string(),
            "key-created key 0x1c05 flags nonexportable|sign|verify length 32, client 12, message KEY/0x0f"
        );
    }

    #[test]
    fn bytes_that_are_no_record() {
        assert_eq!(Record::decode(&[0; 16]), Err(Malformed));
        let mut bytes = [0; 16];
        bytes[0] = 1;
        bytes[1] = 16;
        assert_eq!(Record::decode(&bytes), Err(Malformed), "no client 16");
    }
}
