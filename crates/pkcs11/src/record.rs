//! How the attributes of a token's objects are stored, so that they are found again.
//!
//! A key in the server has metadata: identifier, flags and a label of 24 bytes. That is less than PKCS#11 knows of a
//! key, so what is more lies in a *record* beside it, a plain object in the server's non-volatile memory:
//!
//! | object | identifier | content |
//! |---|---|---|
//! | key *n* of client *c* | 0x1cnn | the key, written by key messages |
//! | record of that key | 0x7cnn | attributes of the key, and of the public half if there is an object for it |
//! | certificate, data, or public key without private one | 0x8cnn | all attributes, the value included |
//! | the token | 0x8c00 | its label |
//!
//! A record never says what a key may be used for beyond what the key's own flags allow; see `object.rs`. A key without
//! a record, made by another program, is shown with what its metadata and its public half say.
//!
//! Records are plain objects, which any client of the server can read and change: nothing in them is secret, and what
//! they can do is to give a key a wrong name.
//!
//! Form: `P11`, a version byte (1), then sections: a byte that says whose attributes follow (0 an object's that stands
//! alone or a key's, 1 a public half's), their number (u16), and for each its type (u32), the length of its value
//! (u16) and the value. Numbers are big-endian, also the values of numeric attributes, which have 8 bytes.

use crate::attributes::{Attributes, Form, form};
use cryptoki_sys::{CK_ATTRIBUTE_TYPE, CK_ULONG};

const HEADER: [u8; 4] = *b"P11\x01";
const OBJECT: u8 = 0;
const PUBLIC: u8 = 1;

/// What a record holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// The attributes of the object.
    pub(crate) object: Attributes,
    /// Those of the public half.
    pub(crate) public: Option<Attributes>,
}

impl Record {
    /// The record's bytes; `None` if an attribute is longer than 65,535 bytes.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = HEADER.to_vec();
        put(&mut bytes, OBJECT, &self.object)?;
        if let Some(public) = &self.public {
            put(&mut bytes, PUBLIC, public)?;
        }
        Some(bytes)
    }

    /// The record in these bytes; `None` if they are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = bytes.strip_prefix(&HEADER)?;
        let mut record = Self::default();
        while let Some((section, rest)) = bytes.split_first() {
            bytes = rest;
            let attributes = take(&mut bytes)?;
            match *section {
                OBJECT => record.object = attributes,
                PUBLIC => record.public = Some(attributes),
                _ => return None,
            }
        }
        Some(record)
    }
}

/// CK_ULONG has 4 bytes on some systems.
#[allow(clippy::useless_conversion)]
fn wide(number: CK_ULONG) -> u64 {
    u64::from(number)
}

fn put(bytes: &mut Vec<u8>, section: u8, attributes: &Attributes) -> Option<()> {
    bytes.push(section);
    bytes.extend(u16::try_from(attributes.iter().count()).ok()?.to_be_bytes());
    for (kind, value) in attributes.iter() {
        bytes.extend(u32::try_from(kind).ok()?.to_be_bytes());
        let number = match form(kind) {
            Form::Number => Some(wide(attributes.number(kind)?).to_be_bytes()),
            _ => None,
        };
        let value = number.as_ref().map_or(value, |number| number.as_slice());
        bytes.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
        bytes.extend(value);
    }
    Some(())
}

fn take(bytes: &mut &[u8]) -> Option<Attributes> {
    fn array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (array, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*array)
    }
    let count = u16::from_be_bytes(array(bytes)?);
    let mut attributes = Attributes::default();
    for _ in 0..count {
        let kind = CK_ATTRIBUTE_TYPE::from(u32::from_be_bytes(array(bytes)?));
        let length = usize::from(u16::from_be_bytes(array(bytes)?));
        let (value, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        match form(kind) {
            Form::Number => {
                let number = u64::from_be_bytes(value.try_into().ok()?);
                attributes.set_number(kind, CK_ULONG::try_from(number).ok()?);
            }
            Form::Truth if value.len() != 1 => return None,
            _ => attributes.set(kind, value),
        }
    }
    Some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki_sys::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let mut record = Record::default();
        record.object.set_number(CKA_KEY_TYPE, CKK_EC);
        record.object.set(CKA_ID, [1, 2, 3]);
        record.object.set_truth(CKA_SIGN, true);
        let bytes = record.encode().unwrap();
        // The form is stored on servers: it stays.
        assert_eq!(
            bytes,
            [
                b"P11\x01\x00\x00\x03".as_slice(),
                b"\x00\x00\x01\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x03",
                b"\x00\x00\x01\x02\x00\x03\x01\x02\x03",
                b"\x00\x00\x01\x08\x00\x01\x01",
            ]
            .concat()
        );
        assert_eq!(Record::decode(&bytes).unwrap(), record);
        record.public = Some(record.object.clone());
        assert_eq!(Record::decode(&record.encode().unwrap()).unwrap(), record);
    }

    #[test]
    fn damaged_records_are_none() {
        let mut record = Record::default();
        record.object.set(CKA_LABEL, *b"label");
        let bytes = record.encode().unwrap();
        for length in 0..bytes.len() {
            let found = Record::decode(&bytes[..length]);
            assert!(found.is_none_or(|found| found == Record::default()), "{length}");
        }
        assert_eq!(Record::decode(b"a certificate"), None);
    }
}
