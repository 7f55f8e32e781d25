//! Objects of a token: where they are, and what their attributes are.

use crate::attributes::Attributes;
use crate::home::SessionKey;
use crate::keys::{Kind, PublicKey};
use crate::record::Record;
use casemate_protocol::{ClientId, Flags, Metadata};
use cryptoki_sys::*;

/// Where a token object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The key of this number.
    Key(u8),
    /// The public half in the record of the key of this number.
    PublicHalf(u8),
    /// The record of this number, which stands alone.
    Alone(u8),
}

/// Where an object is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// In the server's non-volatile memory.
    Token(Place),
    /// It ends with this session; its key, if it has one in the server, is in a connection's cache.
    Session(CK_SESSION_HANDLE, Option<SessionKey>),
}

/// An object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) handle: CK_OBJECT_HANDLE,
    pub(crate) location: Location,
    /// Everything but the secrets.
    pub(crate) attributes: Attributes,
}

impl Object {
    pub(crate) const fn is_token(&self) -> bool {
        matches!(self.location, Location::Token(_))
    }

    /// Its `CKA_UNIQUE_ID` among the objects of this client.
    pub(crate) fn unique_id(&self, client: ClientId) -> String {
        match &self.location {
            Location::Token(Place::Key(number)) => format!("{client}-key-{number}"),
            Location::Token(Place::PublicHalf(number)) => format!("{client}-public-{number}"),
            Location::Token(Place::Alone(number)) => format!("{client}-object-{number}"),
            Location::Session(session, _) => format!("{client}-session-{session}-{}", self.handle),
        }
    }

    /// The public key in a public key's attributes.
    pub(crate) fn public_key(&self) -> crate::error::Result<(Kind, PublicKey)> {
        let kind = Kind::of(&self.attributes)?;
        Ok((kind, PublicKey::of(kind, &self.attributes)?))
    }
}

/// The attributes that say what a key may be used for.
const USAGES: [CK_ATTRIBUTE_TYPE; 14] = [
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_SIGN,
    CKA_SIGN_RECOVER,
    CKA_VERIFY,
    CKA_VERIFY_RECOVER,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_DERIVE,
    CKA_ENCAPSULATE,
    CKA_DECAPSULATE,
    CKA_WRAP_WITH_TRUSTED,
    CKA_ALWAYS_AUTHENTICATE,
    CKA_TRUSTED,
];

/// The flag that a server demands of a key for a usage.
const fn flag(class: CK_OBJECT_CLASS, usage: CK_ATTRIBUTE_TYPE) -> Flags {
    match usage {
        CKA_ENCRYPT | CKA_WRAP if class == CKO_SECRET_KEY => Flags::USAGE_ENCRYPT,
        CKA_DECRYPT | CKA_UNWRAP => Flags::USAGE_DECRYPT,
        CKA_SIGN => Flags::USAGE_SIGN,
        CKA_VERIFY if class == CKO_SECRET_KEY => Flags::USAGE_VERIFY,
        CKA_DERIVE | CKA_DECAPSULATE => Flags::USAGE_DERIVE,
        _ => Flags::NONE,
    }
}

/// The flags that a server shall hold a key under.
pub(crate) fn flags(attributes: &Attributes) -> Flags {
    let class = attributes.class();
    let mut flags = Flags::NONE;
    for usage in USAGES {
        if attributes.is(usage) {
            flags = flags | flag(class, usage);
        }
    }
    for (kind, when, protection) in [
        (CKA_SENSITIVE, true, Flags::SENSITIVE),
        (CKA_EXTRACTABLE, false, Flags::NONEXPORTABLE),
        (CKA_LOCAL, true, Flags::LOCAL),
        (CKA_DESTROYABLE, false, Flags::NONDESTROYABLE),
    ] {
        if attributes.truth(kind) == Some(when) {
            flags = flags | protection;
        }
    }
    flags
}

/// Sets the usages that are not mentioned: to false, except `usual` if none at all is mentioned.
pub(crate) fn complete_usages(attributes: &mut Attributes, usual: &[CK_ATTRIBUTE_TYPE]) {
    let mentioned = USAGES.iter().any(|usage| attributes.get(*usage).is_some());
    for usage in usages_of(attributes.class()) {
        attributes.supply_truth(*usage, !mentioned && usual.contains(usage));
    }
}

/// The usages that keys of a class have.
const fn usages_of(class: CK_OBJECT_CLASS) -> &'static [CK_ATTRIBUTE_TYPE] {
    match class {
        CKO_PUBLIC_KEY => {
            &[CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_WRAP, CKA_DERIVE, CKA_ENCAPSULATE, CKA_TRUSTED]
        }
        CKO_PRIVATE_KEY => &[
            CKA_DECRYPT,
            CKA_SIGN,
            CKA_SIGN_RECOVER,
            CKA_UNWRAP,
            CKA_DERIVE,
            CKA_DECAPSULATE,
            CKA_WRAP_WITH_TRUSTED,
            CKA_ALWAYS_AUTHENTICATE,
        ],
        CKO_SECRET_KEY => &[
            CKA_ENCRYPT,
            CKA_DECRYPT,
            CKA_SIGN,
            CKA_VERIFY,
            CKA_WRAP,
            CKA_UNWRAP,
            CKA_DERIVE,
            CKA_WRAP_WITH_TRUSTED,
            CKA_TRUSTED,
        ],
        _ => &[],
    }
}

/// Sets what every object of its class has and no template mentioned.
pub(crate) fn complete(attributes: &mut Attributes) {
    let class = attributes.class();
    let secret = matches!(class, CKO_PRIVATE_KEY | CKO_SECRET_KEY);
    attributes.supply_truth(CKA_TOKEN, false);
    attributes.supply_truth(CKA_PRIVATE, secret);
    for kind in [CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE] {
        attributes.supply_truth(kind, true);
    }
    attributes.supply(CKA_LABEL, []);
    match class {
        CKO_PRIVATE_KEY | CKO_PUBLIC_KEY | CKO_SECRET_KEY => {
            for kind in [CKA_ID, CKA_START_DATE, CKA_END_DATE] {
                attributes.supply(kind, []);
            }
            attributes.supply_truth(CKA_LOCAL, false);
            attributes.supply(CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION.to_ne_bytes());
            if class != CKO_SECRET_KEY {
                attributes.supply(CKA_SUBJECT, []);
            }
            if secret {
                attributes.supply_truth(CKA_SENSITIVE, true);
                attributes.supply_truth(CKA_EXTRACTABLE, false);
                attributes.supply_truth(CKA_ALWAYS_SENSITIVE, false);
                attributes.supply_truth(CKA_NEVER_EXTRACTABLE, false);
            }
            complete_usages(attributes, &[]);
        }
        CKO_CERTIFICATE => {
            attributes.supply_truth(CKA_TRUSTED, false);
            attributes.supply(CKA_CERTIFICATE_CATEGORY, CK_CERTIFICATE_CATEGORY_UNSPECIFIED.to_ne_bytes());
            for kind in [CKA_ID, CKA_SUBJECT, CKA_ISSUER, CKA_SERIAL_NUMBER, CKA_START_DATE, CKA_END_DATE] {
                attributes.supply(kind, []);
            }
        }
        CKO_DATA => {
            for kind in [CKA_APPLICATION, CKA_OBJECT_ID, CKA_VALUE] {
                attributes.supply(kind, []);
            }
        }
        _ => {}
    }
}

/// The attributes of a stored key: what its record says, as far as its metadata allows it.
pub(crate) fn of_key(metadata: &Metadata, record: &Attributes) -> Attributes {
    let mut attributes = record.clone();
    let class = attributes.class();
    let flags = metadata.flags;
    attributes.set_truth(CKA_TOKEN, true);
    attributes.supply(CKA_LABEL, metadata.label.text());
    attributes.supply(CKA_ID, [metadata.id.number()]);
    let extractable = !flags.intersects(Flags::NONEXPORTABLE | Flags::TRUSTED);
    let sensitive = !extractable || flags.contains(Flags::SENSITIVE);
    attributes.set_truth(CKA_EXTRACTABLE, extractable);
    attributes.set_truth(CKA_SENSITIVE, sensitive);
    attributes.set_truth(CKA_LOCAL, flags.contains(Flags::LOCAL));
    let protected = Flags::NONMODIFIABLE | Flags::NONDESTROYABLE | Flags::TRUSTED;
    attributes.set_truth(CKA_DESTROYABLE, !flags.intersects(protected));
    // The flags of a key never change: what was generated under them was never anything else.
    for (kind, holds) in [(CKA_NEVER_EXTRACTABLE, !extractable), (CKA_ALWAYS_SENSITIVE, sensitive)] {
        attributes.set_truth(kind, holds && flags.contains(Flags::LOCAL));
    }
    for usage in usages_of(class) {
        let needed = flag(class, *usage);
        let said = attributes.truth(*usage).unwrap_or(needed != Flags::NONE);
        attributes.set_truth(*usage, said && flags.contains(needed));
    }
    attributes.set_truth(CKA_TRUSTED, flags.contains(Flags::TRUSTED));
    if class == CKO_PRIVATE_KEY {
        attributes.remove(CKA_TRUSTED);
        // Nothing enforces it, so no key has it, whatever a record says.
        attributes.set_truth(CKA_ALWAYS_AUTHENTICATE, false);
    }
    if class == CKO_SECRET_KEY {
        attributes.set_number(CKA_VALUE_LEN, CK_ULONG::from(metadata.length));
    }
    complete(&mut attributes);
    attributes
}

/// The attributes of the public half in a key's record.
pub(crate) fn of_public_half(metadata: &Metadata, public: &Attributes) -> Attributes {
    let mut attributes = public.clone();
    attributes.set_number(CKA_CLASS, CKO_PUBLIC_KEY);
    attributes.set_truth(CKA_TOKEN, true);
    attributes.set_truth(CKA_TRUSTED, false);
    attributes.supply(CKA_LABEL, metadata.label.text());
    attributes.supply(CKA_ID, [metadata.id.number()]);
    complete(&mut attributes);
    attributes
}

/// The attributes of a record that stands alone; `None` if it claims to be what only a key of the server can be. Where
/// nobody has to log in, data are not private.
pub(crate) fn of_alone(mut attributes: Attributes, has_users: bool) -> Option<Attributes> {
    let class = attributes.class();
    if !matches!(class, CKO_CERTIFICATE | CKO_DATA | CKO_PUBLIC_KEY) {
        return None;
    }
    attributes.set_truth(CKA_TOKEN, true);
    if class == CKO_DATA {
        if !has_users {
            attributes.set_truth(CKA_PRIVATE, false);
        }
    } else {
        // Nobody can say so here, and a record is no proof.
        attributes.set_truth(CKA_TRUSTED, false);
    }
    complete(&mut attributes);
    Some(attributes)
}

/// Sets `CKA_PUBLIC_KEY_INFO`.
pub(crate) fn set_public_key_info(kind: Kind, public: &PublicKey, attributes: &mut Attributes) {
    if let Ok(info) = public.info(kind) {
        attributes.set(CKA_PUBLIC_KEY_INFO, info);
    }
}

/// What is known of a key that another program made: what its flags and its length say, and its public half, if it has
/// one.
pub(crate) fn of_foreign_key(metadata: &Metadata, public: Option<&(Kind, PublicKey)>) -> Record {
    let mut record = Record::default();
    let private = Flags::USAGE_SIGN | Flags::USAGE_DECRYPT | Flags::USAGE_DERIVE;
    match public {
        Some((kind, public)) => {
            if metadata.flags.intersects(private) {
                record.object.set_number(CKA_CLASS, CKO_PRIVATE_KEY);
                kind.describe_private(public, &mut record.object);
            }
            let mut half = Attributes::default();
            half.set_number(CKA_CLASS, CKO_PUBLIC_KEY);
            kind.describe_public(public, &mut half);
            complete_usages(&mut half, kind.public_usage());
            record.public = Some(half);
        }
        None => {
            record.object.set_number(CKA_CLASS, CKO_SECRET_KEY);
            let is_cipher = matches!(metadata.length, 16 | 24 | 32);
            record.object.set_number(CKA_KEY_TYPE, if is_cipher { CKK_AES } else { CKK_GENERIC_SECRET });
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_cannot_claim_more_than_the_flags_allow() {
        let mut record = Attributes::default();
        record.set_number(CKA_CLASS, CKO_PRIVATE_KEY);
        record.set_truth(CKA_SIGN, true);
        record.set_truth(CKA_DECRYPT, true);
        record.set_truth(CKA_EXTRACTABLE, false);
        record.set_truth(CKA_NEVER_EXTRACTABLE, true);
        let metadata = Metadata { flags: Flags::USAGE_DECRYPT, ..Metadata::default() };
        let key = of_key(&metadata, &record);
        assert!(!key.is(CKA_SIGN) && key.is(CKA_DECRYPT));
        assert!(key.is(CKA_EXTRACTABLE) && !key.is(CKA_NEVER_EXTRACTABLE) && !key.is(CKA_SENSITIVE));
        let metadata = Metadata { flags: Flags::USAGE_SIGN | Flags::NONEXPORTABLE, ..metadata };
        let key = of_key(&metadata, &record);
        assert!(key.is(CKA_SIGN) && !key.is(CKA_DECRYPT));
        assert!(!key.is(CKA_EXTRACTABLE) && key.is(CKA_SENSITIVE));
        assert!(
            !key.is(CKA_NEVER_EXTRACTABLE) && !key.is(CKA_ALWAYS_SENSITIVE),
            "it was not made in the server"
        );
        let metadata = Metadata { flags: metadata.flags | Flags::LOCAL, ..metadata };
        let key = of_key(&metadata, &record);
        assert!(key.is(CKA_NEVER_EXTRACTABLE) && key.is(CKA_ALWAYS_SENSITIVE));
    }

    #[test]
    fn flags_follow_the_attributes() {
        let mut attributes = Attributes::default();
        attributes.set_number(CKA_CLASS, CKO_SECRET_KEY);
        attributes.set_truth(CKA_WRAP, true);
        complete(&mut attributes);
        assert_eq!(flags(&attributes), Flags::USAGE_ENCRYPT | Flags::SENSITIVE | Flags::NONEXPORTABLE);
    }
}
