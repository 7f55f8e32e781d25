//! Leaves of LMS and XMSS trees, kept in memory.

use casemate_server::LeafMemory;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Size of the largest node in bytes.
const NODE: usize = 64;

/// Keeps the leaves of the trees used last: a whole tree of height 15, or many small ones. They are public, so nothing is
/// wiped; a server that starts anew computes them again as it signs.
pub(crate) struct Leaves {
    kept: Mutex<Kept>,
    /// How many leaves are kept at most.
    limit: usize,
}

#[derive(Default)]
struct Kept {
    /// The one used last is at the back.
    trees: VecDeque<Tree>,
    /// Leaves in all of them.
    count: usize,
}

struct Tree {
    name: [u8; 32],
    leaves: HashMap<u32, [u8; NODE]>,
}

impl Default for Leaves {
    /// 32768 leaves, about 3 MiB.
    fn default() -> Self {
        Self { kept: Mutex::default(), limit: 1 << 15 }
    }
}

impl fmt::Debug for Leaves {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Leaves").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Leaves {
    /// What a panic of another thread left behind is of use: a leaf is written at once.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeafMemory for Leaves {
    fn recall(&self, tree: &[u8; 32], index: u32, leaf: &mut [u8]) -> bool {
        let kept = self.lock();
        let found = kept.trees.iter().rev().find(|one| one.name == *tree);
        let Some(node) = found.and_then(|tree| tree.leaves.get(&index)?.get(..leaf.len())) else {
            return false;
        };
        leaf.copy_from_slice(node);
        true
    }

    fn keep(&self, tree: &[u8; 32], index: u32, leaf: &[u8]) {
        let mut node = [0; NODE];
        let Some(place) = node.get_mut(..leaf.len()) else { return };
        place.copy_from_slice(leaf);
        let mut kept = self.lock();
        let place = kept.trees.iter().position(|one| one.name == *tree);
        let mut this = match place.and_then(|place| kept.trees.remove(place)) {
            Some(tree) => tree,
            None => Tree { name: *tree, leaves: HashMap::new() },
        };
        kept.count -= this.leaves.len();
        if this.leaves.len() < self.limit {
            this.leaves.insert(index, node);
        }
        // Room is made by whole trees, the one used longest ago first.
        while kept.count + this.leaves.len() > self.limit {
            let Some(oldest) = kept.trees.pop_front() else { break };
            kept.count -= oldest.leaves.len();
        }
        kept.count += this.leaves.len();
        kept.trees.push_back(this);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_told_apart_and_the_oldest_makes_room() {
        let leaves = Leaves { kept: Mutex::default(), limit: 6 };
        let recall = |tree: u8, index| {
            let mut leaf = [0; 32];
            leaves.recall(&[tree; 32], index, &mut leaf).then_some(leaf[31])
        };
        for (tree, index) in [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (1, 2)] {
            leaves.keep(&[tree; 32], index, &[10 * tree + index as u8; 32]);
        }
        assert_eq!(
            [recall(1, 0), recall(1, 2), recall(2, 2), recall(2, 3)],
            [Some(10), Some(12), Some(22), None]
        );
        // Tree 2 was used longest ago.
        leaves.keep(&[3; 32], 7, &[37; 32]);
        assert_eq!([recall(1, 1), recall(2, 0), recall(3, 7)], [Some(11), None, Some(37)]);
        // A tree that is too large for the limit keeps what it has.
        for index in 0..10 {
            leaves.keep(&[4; 32], index, &[index as u8; 32]);
        }
        assert_eq!([recall(3, 7), recall(4, 5), recall(4, 6)], [None, Some(5), None]);
        assert_eq!(leaves.lock().count, 6);
        // Written again, nothing is counted twice; a leaf that is no node is not kept.
        leaves.keep(&[4; 32], 5, &[50; 32]);
        leaves.keep(&[5; 32], 0, &[0; 65]);
        let kept = leaves.lock();
        assert_eq!((kept.count, kept.trees.len()), (6, 1));
    }
}
