//! What differs between two sets of objects.

use crate::Object;
use casemate_protocol::ObjectId;
use std::collections::BTreeMap;

/// One difference. Data are never shown: they may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the second has the object.
    Added(Object),
    /// Only the first has the object.
    Removed(Object),
    /// Both have it, but they differ.
    Changed {
        /// As the first has it.
        before: Object,
        /// As the second has it.
        after: Object,
    },
}

impl Change {
    /// The object's identifier.
    #[must_use]
    pub const fn id(&self) -> ObjectId {
        match self {
            Self::Added(object) | Self::Removed(object) => object.metadata.id,
            Self::Changed { after, .. } => after.metadata.id,
        }
    }
}

/// The differences between two sets of objects, by identifier. The order of the objects does not matter.
#[must_use]
pub fn difference(before: &[Object], after: &[Object]) -> Vec<Change> {
    let by_id = |objects: &[Object]| -> BTreeMap<u16, Object> {
        objects.iter().map(|object| (object.metadata.id.0, object.clone())).collect()
    };
    let (before, mut after) = (by_id(before), by_id(after));
    let mut changes = Vec::new();
    for (id, old) in before {
        match after.remove(&id) {
            None => changes.push(Change::Removed(old)),
            Some(new) if new != old => changes.push(Change::Changed { before: old, after: new }),
            Some(_) => {}
        }
    }
    changes.extend(after.into_values().map(Change::Added));
    changes.sort_by_key(|change| change.id().0);
    changes
}
