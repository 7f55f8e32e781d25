//! The original's user database (document 07, C.6), which is read once and then replaced.

use super::table::MAX_USERS;
use casemate_protocol::message::authentication::{Permissions, UserName, method};
use casemate_protocol::{ByteOrder, Label, Metadata, ObjectId, Reader, Writer};

/// The index.
pub(crate) const INDEX: ObjectId = ObjectId(0xFE00);
/// Size of the index in bytes: a magic word and five records in the memory layout of the server's compiler.
pub(crate) const INDEX_SIZE: usize = 4 + 5 * RECORD;
const RECORD: usize = 516;
const MAGIC: u32 = 0x5748_4142;

/// The credential of the user in slot `slot`.
pub(crate) fn credential_object(slot: usize) -> ObjectId {
    ObjectId(0xFE01_u16.saturating_add(u16::try_from(slot).unwrap_or(0x3F)))
}

/// One user of the original's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) name: UserName,
    pub(crate) permissions: Permissions,
}

/// The users in an index, by slot; `None` if it is no index, or a damaged one. Servers of either byte order are
/// understood.
pub(crate) fn users(index: &[u8]) -> Option<[Option<Imported>; MAX_USERS]> {
    if index.len() != INDEX_SIZE {
        return None;
    }
    let order = [ByteOrder::Little, ByteOrder::Big]
        .into_iter()
        .find(|&order| Reader::new(index, order).get() == Ok(MAGIC))?;
    let mut users = [None; MAX_USERS];
    let records = index.get(4..)?.chunks_exact(RECORD);
    for ((number, record), user) in (1_u16..).zip(records).zip(&mut users) {
        *user = read(number, record, order)?;
    }
    Some(users)
}

/// `Some(None)` is an unused slot, `None` a damaged record.
fn read(number: u16, record: &[u8], order: ByteOrder) -> Option<Option<Imported>> {
    let mut reader = Reader::new(record, order);
    let id: u16 = reader.get().ok()?;
    let name: UserName = reader.get().ok()?;
    if id == 0 {
        return name.is_empty().then_some(None);
    }
    if id != number || name.is_empty() {
        return None;
    }
    reader.take(2).ok()?; // Group bytes and administrator flag begin at offset 36.
    let mut block = [0; Permissions::SIZE];
    let mut writer = Writer::new(&mut block, ByteOrder::Little);
    writer.put_bytes(reader.take(15).ok()?).ok()?;
    reader.take(1).ok()?; // Action words begin at offset 52.
    for _ in 0..14 * 8 {
        writer.put(reader.get::<u32>().ok()?).ok()?;
    }
    let keys: u16 = reader.get().ok()?;
    if usize::from(keys) > Permissions::MAX_KEYS {
        return None;
    }
    writer.put(keys).ok()?;
    reader.take(2).ok()?; // Key identifiers begin at offset 504.
    for _ in 0..Permissions::MAX_KEYS {
        writer.put(reader.get::<u32>().ok()?).ok()?;
    }
    let permissions = Permissions::from_bytes(block).normalized();
    Some(Some(Imported { name, permissions }))
}

/// The method of a stored credential: the last byte of its label.
pub(crate) fn credential_method(metadata: &Metadata) -> u16 {
    let Label(label) = metadata.label;
    label.last().copied().map_or(method::NONE, u16::from)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use casemate_protocol::{Group, Kind};
    use std::vec::Vec;

    /// An index as document 07, C.6 lays it out, in the byte order of its server.
    pub(crate) fn index(users: &[(u16, &[u8], Permissions)], order: ByteOrder) -> Vec<u8> {
        let mut index = std::vec![0; INDEX_SIZE];
        let word = |value: u32| match order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        };
        let half = |value: u16| match order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        };
        index[..4].copy_from_slice(&word(0x5748_4142));
        for (id, name, permissions) in users {
            let record = &mut index[4 + (usize::from(*id) - 1) * 516..][..516];
            let block = permissions.as_bytes();
            record[..2].copy_from_slice(&half(*id));
            record[2..2 + name.len()].copy_from_slice(name);
            record[36..51].copy_from_slice(&block[..15]);
            for (to, from) in record[52..500].chunks_exact_mut(4).zip(block[15..463].chunks_exact(4)) {
                to.copy_from_slice(&word(u32::from_le_bytes(from.try_into().unwrap())));
            }
            let (keys, count) = permissions.key_list();
            record[500..502].copy_from_slice(&half(u16::try_from(count).unwrap()));
            record[504..508].copy_from_slice(&word(keys[0]));
            record[508..512].copy_from_slice(&word(keys[1]));
        }
        index
    }

    #[test]
    fn an_index_of_either_byte_order_is_read() {
        let mut some = Permissions::NONE;
        some.set_action(Kind::new(Group::CRYPTO, 37), true);
        some.set_action(Kind::new(Group::CERT, 0x28), true);
        assert!(some.set_keys(&[0x1305]));
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let bytes = index(&[(1, b"admin", Permissions::all()), (3, b"worker", some)], order);
            let users = users(&bytes).unwrap();
            assert_eq!(users[0].unwrap().permissions, Permissions::all());
            assert_eq!(users[1], None);
            assert_eq!(
                users[2],
                Some(Imported { name: UserName::new(b"worker").unwrap(), permissions: some })
            );
        }
    }

    #[test]
    fn damage_is_noticed() {
        let good = index(&[(2, b"x", Permissions::NONE)], ByteOrder::Little);
        assert!(users(&good).is_some());
        assert!(users(&good[1..]).is_none());
        for offset in [0, 4 + 516, 4 + 516 + 2, 4 + 516 + 501, 4 + 2] {
            let mut bad = good.clone();
            bad[offset] ^= 0x78;
            assert!(users(&bad).is_none(), "{offset}");
        }
    }
}
