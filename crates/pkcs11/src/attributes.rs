//! Attributes of objects: values as the interface carries them, and what their types say about their form.

use crate::error::{Error, Result, fail};
use cryptoki_sys::*;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// One attribute of a template.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its type (`CKA_…`).
    pub kind: CK_ATTRIBUTE_TYPE,
    /// Its value, in the form of the interface.
    pub value: Zeroizing<Vec<u8>>,
}

impl Attribute {
    /// An attribute.
    pub fn new(kind: CK_ATTRIBUTE_TYPE, value: impl Into<Vec<u8>>) -> Self {
        Self { kind, value: Zeroizing::new(value.into()) }
    }

    /// A number.
    pub fn number(kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> Self {
        Self::new(kind, value.to_ne_bytes())
    }

    /// A truth value.
    pub fn truth(kind: CK_ATTRIBUTE_TYPE, value: bool) -> Self {
        Self::new(kind, [u8::from(value)])
    }
}

/// Values may be secret.
impl std::fmt::Debug for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attribute({:#x}, {} bytes)", self.kind, self.value.len())
    }
}

/// The form of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Truth,
    Number,
    Date,
    Bytes,
}

/// The form that an attribute of this type has.
pub(crate) const fn form(kind: CK_ATTRIBUTE_TYPE) -> Form {
    match kind {
        CKA_TOKEN
        | CKA_PRIVATE
        | CKA_TRUSTED
        | CKA_SENSITIVE
        | CKA_ENCRYPT
        | CKA_DECRYPT
        | CKA_WRAP
        | CKA_UNWRAP
        | CKA_SIGN
        | CKA_SIGN_RECOVER
        | CKA_VERIFY
        | CKA_VERIFY_RECOVER
        | CKA_DERIVE
        | CKA_EXTRACTABLE
        | CKA_LOCAL
        | CKA_NEVER_EXTRACTABLE
        | CKA_ALWAYS_SENSITIVE
        | CKA_MODIFIABLE
        | CKA_COPYABLE
        | CKA_DESTROYABLE
        | CKA_ALWAYS_AUTHENTICATE
        | CKA_WRAP_WITH_TRUSTED
        | CKA_ENCAPSULATE
        | CKA_DECAPSULATE => Form::Truth,
        CKA_CLASS
        | CKA_KEY_TYPE
        | CKA_CERTIFICATE_TYPE
        | CKA_CERTIFICATE_CATEGORY
        | CKA_JAVA_MIDP_SECURITY_DOMAIN
        | CKA_MODULUS_BITS
        | CKA_VALUE_LEN
        | CKA_VALUE_BITS
        | CKA_KEY_GEN_MECHANISM
        | CKA_NAME_HASH_ALGORITHM
        | CKA_PARAMETER_SET
        | CKA_MECHANISM_TYPE
        | CKA_PROFILE_ID => Form::Number,
        CKA_START_DATE | CKA_END_DATE => Form::Date,
        _ => Form::Bytes,
    }
}

/// Attributes by type, each once.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<CK_ATTRIBUTE_TYPE, Zeroizing<Vec<u8>>>);

impl Attributes {
    /// The attributes of a template.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCONSISTENT` if a type stands in it twice with different values, `CKR_ATTRIBUTE_VALUE_INVALID` for
    /// a value that its type does not have, `CKR_ATTRIBUTE_TYPE_INVALID` for types of other vendors.
    pub(crate) fn of_template(template: &[Attribute]) -> Result<Self> {
        let mut attributes = Self::default();
        for Attribute { kind, value } in template {
            let valid = match form(*kind) {
                Form::Truth => matches!(value.as_slice(), [0 | 1]),
                Form::Number => value.len() == size_of::<CK_ULONG>(),
                Form::Date => matches!(value.len(), 0 | 8),
                Form::Bytes => true,
            };
            if !valid {
                return fail(CKR_ATTRIBUTE_VALUE_INVALID);
            }
            if *kind & CKA_VENDOR_DEFINED != 0 || *kind & CKF_ARRAY_ATTRIBUTE != 0 {
                return fail(CKR_ATTRIBUTE_TYPE_INVALID);
            }
            if attributes.get(*kind).is_some_and(|other| other != value.as_slice()) {
                return fail(CKR_TEMPLATE_INCONSISTENT);
            }
            attributes.0.insert(*kind, value.clone());
        }
        Ok(attributes)
    }

    pub(crate) fn get(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
        self.0.get(&kind).map(|value| value.as_slice())
    }

    /// A truth value, if the attribute is there.
    pub(crate) fn truth(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<bool> {
        self.get(kind).map(|value| value.first().is_some_and(|byte| *byte != 0))
    }

    /// Whether the attribute is there and true.
    pub(crate) fn is(&self, kind: CK_ATTRIBUTE_TYPE) -> bool {
        self.truth(kind) == Some(true)
    }

    /// A number, if the attribute is there.
    pub(crate) fn number(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
        Some(CK_ULONG::from_ne_bytes(self.get(kind)?.try_into().ok()?))
    }

    /// The value of an attribute that the operation needs.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCOMPLETE`.
    pub(crate) fn need(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<&[u8]> {
        self.get(kind).ok_or(Error::Code(CKR_TEMPLATE_INCOMPLETE))
    }

    /// The number that the operation needs.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCOMPLETE`.
    pub(crate) fn need_number(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<CK_ULONG> {
        self.number(kind).ok_or(Error::Code(CKR_TEMPLATE_INCOMPLETE))
    }

    pub(crate) fn set(&mut self, kind: CK_ATTRIBUTE_TYPE, value: impl Into<Vec<u8>>) {
        self.0.insert(kind, Zeroizing::new(value.into()));
    }

    pub(crate) fn set_truth(&mut self, kind: CK_ATTRIBUTE_TYPE, value: bool) {
        self.set(kind, [u8::from(value)]);
    }

    pub(crate) fn set_number(&mut self, kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) {
        self.set(kind, value.to_ne_bytes());
    }

    /// Sets a value unless there is one.
    pub(crate) fn supply(&mut self, kind: CK_ATTRIBUTE_TYPE, value: impl Into<Vec<u8>>) {
        self.0.entry(kind).or_insert_with(|| Zeroizing::new(value.into()));
    }

    /// Sets a truth value unless there is one.
    pub(crate) fn supply_truth(&mut self, kind: CK_ATTRIBUTE_TYPE, value: bool) {
        self.supply(kind, [u8::from(value)]);
    }

    pub(crate) fn remove(&mut self, kind: CK_ATTRIBUTE_TYPE) -> Option<Zeroizing<Vec<u8>>> {
        self.0.remove(&kind)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (CK_ATTRIBUTE_TYPE, &[u8])> {
        self.0.iter().map(|(kind, value)| (*kind, value.as_slice()))
    }

    /// Takes over the attributes of `other`, which win.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (kind, value) in &other.0 {
            self.0.insert(*kind, value.clone());
        }
    }

    /// Whether every attribute of the template has the value that it has here.
    pub(crate) fn matches(&self, template: &Self) -> bool {
        template.iter().all(|(kind, value)| self.get(kind) == Some(value))
    }

    /// What sort of object this is.
    pub(crate) fn class(&self) -> CK_OBJECT_CLASS {
        self.number(CKA_CLASS).unwrap_or(CK_UNAVAILABLE_INFORMATION)
    }

    /// What sort of key this is.
    pub(crate) fn key_type(&self) -> CK_KEY_TYPE {
        self.number(CKA_KEY_TYPE).unwrap_or(CK_UNAVAILABLE_INFORMATION)
    }
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(kind, value)| (kind, value.len()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_checked_for_form_and_contradiction() {
        let code = |template: &[Attribute]| Attributes::of_template(template).unwrap_err().code();
        assert_eq!(code(&[Attribute::new(CKA_TOKEN, [])]), CKR_ATTRIBUTE_VALUE_INVALID);
        assert_eq!(code(&[Attribute::new(CKA_TOKEN, [2])]), CKR_ATTRIBUTE_VALUE_INVALID);
        assert_eq!(code(&[Attribute::new(CKA_CLASS, [0; 4])]), CKR_ATTRIBUTE_VALUE_INVALID);
        assert_eq!(code(&[Attribute::new(CKA_START_DATE, *b"202601")]), CKR_ATTRIBUTE_VALUE_INVALID);
        assert_eq!(code(&[Attribute::new(CKA_VENDOR_DEFINED + 1, [])]), CKR_ATTRIBUTE_TYPE_INVALID);
        let twice = [Attribute::new(CKA_ID, [1]), Attribute::new(CKA_ID, [2])];
        assert_eq!(code(&twice), CKR_TEMPLATE_INCONSISTENT);
        assert!(Attributes::of_template(&[twice[0].clone(), twice[0].clone()]).is_ok());
    }
}
