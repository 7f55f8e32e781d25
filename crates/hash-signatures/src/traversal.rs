//! Walking along the leaves of one Merkle tree with little memory and little work at each step: the algorithm of
//! Buchmann, Dahmen and Schneider ("Merkle Tree Traversal Revisited", PQCrypto 2008).
//!
//! The state lives in a byte string that the caller keeps, so that it can be stored as it is. With h the height of the
//! tree and k the number of levels below the root whose right nodes are all kept, a step computes at most
//! ⌈(h−k)/2⌉ + 1 leaves, and the state takes [`size`] bytes, about n·(3.5·h − k + 2ᵏ).

use crate::hash::{MAX_NODE, Node};
use crate::{Engine, Error};

/// One Merkle tree: how to compute its leaves and inner nodes.
pub(crate) trait Tree {
    /// The leaf with this number.
    fn leaf<E: Engine + ?Sized>(&self, engine: &mut E, index: u32, output: &mut Node) -> Result<(), Error>;

    /// A digest of everything that the leaves depend on.
    fn name<E: Engine + ?Sized>(&self, engine: &mut E) -> Result<[u8; 32], Error>;

    /// Replaces `node`, which holds the right child, by the node with this index on this level, counted from 1 for the
    /// parents of leaves.
    fn parent<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        level: u32,
        index: u32,
        left: &[u8],
        node: &mut Node,
    ) -> Result<(), Error>;
}

/// The leaf with this number, of `size` bytes: as it was kept, or computed and then kept.
fn kept_leaf<T: Tree, E: Engine + ?Sized>(
    tree: &T,
    engine: &mut E,
    size: usize,
    index: u32,
    output: &mut Node,
) -> Result<(), Error> {
    if engine.leaves().is_none() {
        return tree.leaf(engine, index, output);
    }
    let name = tree.name(engine)?;
    let kept = output.get_mut(..size).ok_or(Error::State)?;
    if engine.leaves().is_some_and(|leaves| leaves.recall(&name, index, kept)) {
        return Ok(());
    }
    tree.leaf(engine, index, output)?;
    if let Some(leaves) = engine.leaves() {
        leaves.keep(&name, index, output.get(..size).ok_or(Error::State)?);
    }
    Ok(())
}

/// The dimensions of a tree: height, levels kept whole, size of a node in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) height: u32,
    pub(crate) kept: u32,
    pub(crate) node: usize,
}

/// Bytes of one tree-hash instance besides its node: next leaf (4), nodes on the stack (1), status (1).
const INSTANCE: usize = 6;
/// Bytes at the front: leaves built (4), current leaf (4), nodes on the stack (1).
const FRONT: usize = 9;

mod status {
    pub(super) const IDLE: u8 = 0;
    pub(super) const RUNNING: u8 = 1;
    pub(super) const FINISHED: u8 = 2;
}

const fn to_usize(value: u32) -> usize {
    // Heights and levels are at most 25, checked by `Shape::is_valid`.
    value as usize
}

impl Shape {
    pub(crate) const fn is_valid(self) -> bool {
        self.height >= 1
            && self.height <= 25
            && self.kept >= 1
            && self.kept <= self.height
            && self.kept <= 15
            && self.node <= MAX_NODE
    }

    const fn instances(self) -> usize {
        to_usize(self.height.saturating_sub(self.kept))
    }

    /// Right nodes kept of the levels from h−k to h−2: 2ᵏ − k − 1.
    const fn retained(self) -> usize {
        (1_usize << self.kept).saturating_sub(to_usize(self.kept)).saturating_sub(1)
    }

    const fn nodes(self) -> usize {
        let height = to_usize(self.height);
        // Authentication path, nodes kept for the next paths, stack, finished tree-hash instances, retained nodes.
        height
            .saturating_add(height.div_ceil(2))
            .saturating_add(height)
            .saturating_add(self.instances())
            .saturating_add(self.retained())
    }

    /// Size of the state in bytes.
    pub(crate) const fn size(self) -> usize {
        FRONT
            .saturating_add(to_usize(self.height))
            .saturating_add(self.instances().saturating_mul(INSTANCE))
            .saturating_add(self.nodes().saturating_mul(self.node))
    }

    /// Where the authentication path lies in a state that starts at `start`.
    pub(crate) const fn path_range(self, start: usize) -> core::ops::Range<usize> {
        let start = start
            .saturating_add(FRONT)
            .saturating_add(to_usize(self.height))
            .saturating_add(self.instances().saturating_mul(INSTANCE));
        start..start.saturating_add(to_usize(self.height).saturating_mul(self.node))
    }

    /// Number of leaves.
    pub(crate) const fn leaves(self) -> u32 {
        1 << self.height
    }
}

/// A traversal state in its bytes.
pub(crate) struct Traversal<'a> {
    shape: Shape,
    front: &'a mut [u8; FRONT],
    levels: &'a mut [u8],
    instances: &'a mut [u8],
    authentication: &'a mut [u8],
    keep: &'a mut [u8],
    stack: &'a mut [u8],
    finished: &'a mut [u8],
    retained: &'a mut [u8],
}

fn part<'a>(bytes: &mut &'a mut [u8], size: usize) -> Result<&'a mut [u8], Error> {
    let (part, rest) = core::mem::take(bytes).split_at_mut_checked(size).ok_or(Error::State)?;
    *bytes = rest;
    Ok(part)
}

fn node(nodes: &[u8], index: usize, size: usize) -> Result<&[u8], Error> {
    let start = index.wrapping_mul(size);
    nodes.get(start..start.wrapping_add(size)).ok_or(Error::State)
}

fn node_mut(nodes: &mut [u8], index: usize, size: usize) -> Result<&mut [u8], Error> {
    let start = index.wrapping_mul(size);
    nodes.get_mut(start..start.wrapping_add(size)).ok_or(Error::State)
}

fn put(nodes: &mut [u8], index: usize, size: usize, value: &Node) -> Result<(), Error> {
    node_mut(nodes, index, size)?.copy_from_slice(value.get(..size).ok_or(Error::State)?);
    Ok(())
}

fn read_u32(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn write_u32(bytes: &mut [u8], offset: usize, value: u32) {
    if let Some(bytes) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) {
        *bytes = value.to_be_bytes();
    }
}

impl<'a> Traversal<'a> {
    /// A view of a state of [`Shape::size`] bytes. All zeros is the state before the first leaf was built.
    pub(crate) fn new(shape: Shape, mut bytes: &'a mut [u8]) -> Result<Self, Error> {
        if !shape.is_valid() || bytes.len() != shape.size() {
            return Err(Error::State);
        }
        let height = to_usize(shape.height);
        let size = shape.node;
        Ok(Self {
            shape,
            front: part(&mut bytes, FRONT)?.first_chunk_mut().ok_or(Error::State)?,
            levels: part(&mut bytes, height)?,
            instances: part(&mut bytes, shape.instances().wrapping_mul(INSTANCE))?,
            authentication: part(&mut bytes, height.wrapping_mul(size))?,
            keep: part(&mut bytes, height.div_ceil(2).wrapping_mul(size))?,
            stack: part(&mut bytes, height.wrapping_mul(size))?,
            finished: part(&mut bytes, shape.instances().wrapping_mul(size))?,
            retained: bytes,
        })
    }

    /// Number of leaves that have gone into the tree: all, once it is ready.
    pub(crate) fn built(&self) -> u32 {
        read_u32(self.front, 0)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.built() == self.shape.leaves()
    }

    /// The leaf whose authentication path the state holds.
    pub(crate) fn position(&self) -> u32 {
        read_u32(self.front, 4)
    }

    /// The authentication path of the leaf [`position`](Self::position), from the leaf's sibling upwards.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &[u8] {
        self.authentication
    }

    fn stacked(&self) -> usize {
        usize::from(self.front[8])
    }

    fn push(&mut self, level: u32, value: &Node) -> Result<(), Error> {
        let count = self.stacked();
        put(self.stack, count, self.shape.node, value)?;
        *self.levels.get_mut(count).ok_or(Error::State)? = u8::try_from(level).map_err(|_| Error::State)?;
        self.front[8] = self.front[8].checked_add(1).ok_or(Error::State)?;
        Ok(())
    }

    /// The level of the node on top of the stack.
    fn top(&self, below: usize) -> Option<u32> {
        self.levels.get(self.stacked().checked_sub(below.wrapping_add(1))?).map(|level| u32::from(*level))
    }

    /// Merges `value`, a node on `level` with this index, with the top of the stack.
    fn merge<T: Tree, E: Engine + ?Sized>(
        &mut self,
        tree: &T,
        engine: &mut E,
        level: u32,
        index: u32,
        value: &mut Node,
    ) -> Result<(), Error> {
        let count = self.front[8].checked_sub(1).ok_or(Error::State)?;
        let left = node(self.stack, usize::from(count), self.shape.node)?;
        tree.parent(engine, level.wrapping_add(1), index >> 1, left, value)?;
        self.front[8] = count;
        Ok(())
    }

    /// Where a right node of one of the upper levels is kept.
    fn retained_at(&self, level: u32, index: u32) -> Option<usize> {
        // Level h−2 keeps one node, h−3 three, and so on: 2^(h−1−level) − 1 of each, the highest level first.
        let above = self.shape.height.checked_sub(level.checked_add(1)?)?;
        let first = (1_u32 << above).checked_sub(above)?.checked_sub(1)?;
        let number = index.checked_sub(3)? >> 1;
        (number < (1_u32 << above).wrapping_sub(1)).then(|| to_usize(first.wrapping_add(number)))
    }

    /// Adds the next leaf to the tree and keeps what the walk needs. Once all are in, `root` holds the root.
    pub(crate) fn build<T: Tree, E: Engine + ?Sized>(
        &mut self,
        tree: &T,
        engine: &mut E,
        root: &mut [u8],
    ) -> Result<(), Error> {
        let leaf = self.built();
        if leaf >= self.shape.leaves() {
            return Ok(());
        }
        let Shape { height, kept, node: size } = self.shape;
        let mut value = [0; MAX_NODE];
        kept_leaf(tree, engine, size, leaf, &mut value)?;
        let (mut level, mut index) = (0, leaf);
        loop {
            if level == height {
                root.copy_from_slice(value.get(..size).ok_or(Error::State)?);
                break;
            }
            if index == 1 {
                put(self.authentication, to_usize(level), size, &value)?;
            } else if level < height.wrapping_sub(kept) {
                if index == 3 {
                    put(self.finished, to_usize(level), size, &value)?;
                    self.set_instance(level, 0, 0, status::FINISHED)?;
                }
            } else if index & 1 == 1 {
                let at = self.retained_at(level, index).ok_or(Error::State)?;
                put(self.retained, at, size, &value)?;
            }
            if index & 1 == 0 {
                self.push(level, &value)?;
                break;
            }
            self.merge(tree, engine, level, index, &mut value)?;
            level = level.wrapping_add(1);
            index >>= 1;
        }
        write_u32(self.front, 0, leaf.wrapping_add(1));
        Ok(())
    }

    // ----- tree-hash instances -----

    fn instance(&self, level: u32) -> Option<&[u8; INSTANCE]> {
        self.instances.as_chunks::<INSTANCE>().0.get(to_usize(level))
    }

    fn set_instance(&mut self, level: u32, next: u32, used: u8, status: u8) -> Result<(), Error> {
        let instance = self.instances.as_chunks_mut::<INSTANCE>().0.get_mut(to_usize(level));
        let [n0, n1, n2, n3] = next.to_be_bytes();
        *instance.ok_or(Error::State)? = [n0, n1, n2, n3, used, status];
        Ok(())
    }

    /// The lowest level of a node that the instance has on the stack; its own level before its first leaf; `None` if it
    /// does not run.
    ///
    /// The nodes of the instance that ran last are on top of the stack. Those of others are found below them: the levels
    /// on the stack decrease from one instance to the next, so the lowest of an instance is its last.
    fn lowest(&self, level: u32) -> Option<u32> {
        let &[.., used, status] = self.instance(level)?;
        if status != status::RUNNING {
            return None;
        }
        if used == 0 {
            return Some(level);
        }
        // Instances that were started later, which are those of lower levels that have nodes, lie above.
        let above = self.instances.as_chunks::<INSTANCE>().0.iter().take(to_usize(level)).fold(
            0_usize,
            |sum, &[.., used, status]| {
                if status == status::RUNNING { sum.wrapping_add(usize::from(used)) } else { sum }
            },
        );
        self.top(above)
    }

    /// Gives one leaf to the instance that is furthest behind.
    fn step<T: Tree, E: Engine + ?Sized>(&mut self, tree: &T, engine: &mut E) -> Result<(), Error> {
        let instances = self.shape.height.wrapping_sub(self.shape.kept);
        let next = (0..instances).filter_map(|level| Some((self.lowest(level)?, level))).min();
        let Some((_, target)) = next else { return Ok(()) };
        let &[n0, n1, n2, n3, mut used, _] = self.instance(target).ok_or(Error::State)?;
        let leaf = u32::from_be_bytes([n0, n1, n2, n3]);
        let mut value = [0; MAX_NODE];
        kept_leaf(tree, engine, self.shape.node, leaf, &mut value)?;
        let (mut level, mut index) = (0, leaf);
        while used > 0 && self.top(0) == Some(level) {
            self.merge(tree, engine, level, index, &mut value)?;
            used = used.wrapping_sub(1);
            level = level.wrapping_add(1);
            index >>= 1;
        }
        let status = if level == target {
            if used != 0 {
                return Err(Error::State);
            }
            put(self.finished, to_usize(target), self.shape.node, &value)?;
            status::FINISHED
        } else {
            self.push(level, &value)?;
            used = used.wrapping_add(1);
            status::RUNNING
        };
        self.set_instance(target, leaf.wrapping_add(1), used, status)
    }

    /// Goes to the next leaf.
    ///
    /// # Errors
    /// [`Error::State`] at the last leaf, before the tree is ready, and for a state that contradicts itself. After an
    /// error the state is of no use.
    pub(crate) fn advance<T: Tree, E: Engine + ?Sized>(
        &mut self,
        tree: &T,
        engine: &mut E,
    ) -> Result<(), Error> {
        let Shape { height, kept, node: size } = self.shape;
        let leaf = self.position();
        let next = leaf.checked_add(1).filter(|next| *next < self.shape.leaves());
        let next = next.filter(|_| self.is_ready()).ok_or(Error::State)?;
        let instances = height.wrapping_sub(kept);
        // The level of the first ancestor of the leaf that is a left child.
        let tau = next.trailing_zeros();
        let mut parent = [0; MAX_NODE];
        if tau > 0 {
            let below = tau.wrapping_sub(1);
            let kept_node = node(self.keep, to_usize(below >> 1), size)?;
            let path = node(self.authentication, to_usize(below), size)?;
            parent.get_mut(..size).ok_or(Error::State)?.copy_from_slice(kept_node);
            // The node on the path is the left child, the one that was kept is the right child.
            tree.parent(engine, tau, leaf >> tau, path, &mut parent)?;
        }
        if tau.wrapping_add(1) < height && (leaf >> tau.wrapping_add(1)) & 1 == 0 {
            let from = node(self.authentication, to_usize(tau), size)?;
            node_mut(self.keep, to_usize(tau >> 1), size)?.copy_from_slice(from);
        }
        if tau == 0 {
            kept_leaf(tree, engine, size, leaf, &mut parent)?;
        }
        put(self.authentication, to_usize(tau), size, &parent)?;
        for level in 0..tau {
            if level < instances {
                let &[.., status] = self.instance(level).ok_or(Error::State)?;
                if status != status::FINISHED {
                    return Err(Error::State);
                }
                let from = node(self.finished, to_usize(level), size)?;
                node_mut(self.authentication, to_usize(level), size)?.copy_from_slice(from);
                let start = u64::from(next).wrapping_add(3_u64 << level);
                match u32::try_from(start) {
                    Ok(start) if start < self.shape.leaves() => {
                        self.set_instance(level, start, 0, status::RUNNING)?;
                    }
                    _ => self.set_instance(level, 0, 0, status::IDLE)?,
                }
            } else {
                let at = self.retained_at(level, (next >> level) | 1).ok_or(Error::State)?;
                let from = node(self.retained, at, size)?;
                node_mut(self.authentication, to_usize(level), size)?.copy_from_slice(from);
            }
        }
        write_u32(self.front, 4, next);
        for _ in 0..instances.div_ceil(2) {
            self.step(tree, engine)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::vec;

    struct NoEngine;
    impl Engine for NoEngine {
        fn sha256(&mut self, _: &mut [u32; 8], _: &[u8; 64]) -> Result<(), Error> {
            Err(Error::Engine)
        }
    }

    /// A tree whose nodes say where they are.
    struct Places {
        leaves: Cell<u32>,
    }

    fn place(level: u32, index: u32) -> [u8; 8] {
        [level.to_be_bytes(), index.to_be_bytes()].concat().try_into().unwrap()
    }

    impl Tree for Places {
        fn leaf<E: Engine + ?Sized>(&self, _: &mut E, index: u32, output: &mut Node) -> Result<(), Error> {
            self.leaves.set(self.leaves.get() + 1);
            output[..8].copy_from_slice(&place(0, index));
            Ok(())
        }

        fn name<E: Engine + ?Sized>(&self, _: &mut E) -> Result<[u8; 32], Error> {
            Ok([0; 32])
        }

        fn parent<E: Engine + ?Sized>(
            &self,
            _: &mut E,
            level: u32,
            index: u32,
            left: &[u8],
            node: &mut Node,
        ) -> Result<(), Error> {
            assert_eq!(left, place(level - 1, 2 * index), "left child of {index} on level {level}");
            assert_eq!(node[..8], place(level - 1, 2 * index + 1), "right child of {index} on level {level}");
            node[..8].copy_from_slice(&place(level, index));
            Ok(())
        }
    }

    /// Every shape of height up to 12 and the tall ones: each path on the whole way along the leaves.
    #[test]
    fn every_path_is_the_right_one() {
        for height in (1..=12).chain([15, 16]) {
            for kept in 1..=height.min(15) {
                let shape = Shape { height, kept, node: 8 };
                let mut bytes = vec![0; shape.size()];
                let tree = Places { leaves: Cell::new(0) };
                let mut root = [0; 8];
                for leaf in 0..shape.leaves() {
                    let mut traversal = Traversal::new(shape, &mut bytes).unwrap();
                    assert_eq!(traversal.built(), leaf);
                    assert!(!traversal.is_ready());
                    traversal.build(&tree, &mut NoEngine, &mut root).unwrap();
                }
                assert_eq!(root, place(height, 0));
                for leaf in 0..shape.leaves() {
                    let mut traversal = Traversal::new(shape, &mut bytes).unwrap();
                    assert_eq!(traversal.position(), leaf);
                    for (level, node) in (0..height).zip(traversal.path().chunks(8)) {
                        assert_eq!(node, place(level, (leaf >> level) ^ 1), "{shape:?}, leaf {leaf}");
                    }
                    tree.leaves.set(0);
                    let result = traversal.advance(&tree, &mut NoEngine);
                    if leaf + 1 < shape.leaves() {
                        result.unwrap();
                        assert!(tree.leaves.get() <= (height - kept).div_ceil(2) + 1);
                    } else {
                        assert_eq!(result, Err(Error::State));
                    }
                }
            }
        }
    }

    #[test]
    fn shapes_and_lengths_are_checked() {
        let shape = Shape { height: 10, kept: 4, node: 32 };
        // Front and instances, and 10 + 5 + 10 + 6 + 11 nodes.
        assert_eq!(shape.size(), 9 + 10 + 6 * 6 + 42 * 32);
        assert!(Traversal::new(shape, &mut vec![0; shape.size() - 1]).is_err());
        for (height, kept, node) in [(0, 0, 32), (10, 0, 32), (10, 11, 32), (26, 2, 32), (10, 4, 65)] {
            let shape = Shape { height, kept, node };
            assert!(Traversal::new(shape, &mut vec![0; shape.size()]).is_err());
        }
    }

    /// Whatever the bytes are, the walk ends with an answer.
    #[test]
    fn damaged_states_do_not_panic() {
        struct Blind;
        impl Tree for Blind {
            fn leaf<E: Engine + ?Sized>(&self, _: &mut E, _: u32, _: &mut Node) -> Result<(), Error> {
                Ok(())
            }
            fn name<E: Engine + ?Sized>(&self, _: &mut E) -> Result<[u8; 32], Error> {
                Ok([0; 32])
            }
            fn parent<E: Engine + ?Sized>(
                &self,
                _: &mut E,
                _: u32,
                _: u32,
                _: &[u8],
                _: &mut Node,
            ) -> Result<(), Error> {
                Ok(())
            }
        }
        proptest::proptest!(|(seed: [u8; 32], height in 1_u32..=25, kept in 1_u32..=4)| {
            let shape = Shape { height, kept: kept.min(height), node: 4 };
            let mut bytes = vec![0; shape.size()];
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = seed[i % 32].wrapping_mul((i / 32 + 1) as u8);
            }
            if seed[0] & 1 == 0 {
                bytes[..4].copy_from_slice(&shape.leaves().to_be_bytes());
                bytes[4..8].copy_from_slice(&(u32::from(seed[1]) & (shape.leaves() - 1)).to_be_bytes());
            }
            let mut traversal = Traversal::new(shape, &mut bytes).unwrap();
            for _ in 0..20 {
                let _ = traversal.build(&Blind, &mut NoEngine, &mut [0; 4]);
                let _ = traversal.advance(&Blind, &mut NoEngine);
            }
        });
    }
}
