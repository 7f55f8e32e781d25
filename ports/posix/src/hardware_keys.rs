//! A simulated hardware key store: keys that the operator gives the process when it starts.

use casemate_protocol::{ClientId, ObjectId, ObjectType};
use casemate_server::{HardwareKeyFault, HardwareKeyStore};
use std::fmt;
use zeroize::Zeroizing;

/// Stands in for key slots in hardware, which no message can read. A POSIX process has no such hardware: its keys are as
/// safe as its memory and the files that they came from.
#[derive(Clone, Default)]
pub struct SimulatedKeyStore {
    keys: Vec<(ObjectId, Zeroizing<Vec<u8>>)>,
}

impl SimulatedKeyStore {
    /// A store without keys.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: Vec::new() }
    }

    /// Puts a key into a slot, in place of one that was there. `owner` is the client that may use it;
    /// [`ClientId::NONE`] makes it a global key, for every client that asks for one.
    pub fn insert(&mut self, owner: ClientId, number: u8, key: &[u8]) {
        let id = ObjectId::new(ObjectType::HARDWARE, owner, number);
        self.keys.retain(|(present, _)| *present != id);
        self.keys.push((id, Zeroizing::new(key.to_vec())));
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl fmt::Debug for SimulatedKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedKeyStore").field("keys", &self.keys.len()).finish()
    }
}

impl HardwareKeyStore for SimulatedKeyStore {
    fn read(&self, id: ObjectId, key: &mut [u8; 32]) -> Result<usize, HardwareKeyFault> {
        let (_, found) = self.keys.iter().find(|(own, _)| *own == id).ok_or(HardwareKeyFault::Unknown)?;
        key.get_mut(..found.len()).ok_or(HardwareKeyFault::TooLong)?.copy_from_slice(found);
        Ok(found.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_by_owner_and_number() {
        let mut store = SimulatedKeyStore::new();
        assert!(store.is_empty());
        let client = ClientId::new(3).unwrap();
        store.insert(client, 1, &[1; 16]);
        store.insert(ClientId::NONE, 1, &[2; 32]);
        store.insert(client, 2, &[3; 33]);
        store.insert(client, 1, &[4; 24]);
        let read = |owner, number| {
            let mut key = [0; 32];
            let length = store.read(ObjectId::new(ObjectType::HARDWARE, owner, number), &mut key)?;
            Ok(key[..length].to_vec())
        };
        assert_eq!(read(client, 1), Ok(vec![4; 24]));
        assert_eq!(read(ClientId::NONE, 1), Ok(vec![2; 32]));
        assert_eq!(read(client, 2), Err(HardwareKeyFault::TooLong));
        assert_eq!(read(ClientId::NONE, 2), Err(HardwareKeyFault::Unknown));
        assert_eq!(format!("{store:?}"), "SimulatedKeyStore { keys: 3 }");
    }
}
