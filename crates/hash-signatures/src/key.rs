//! Private keys of any scheme: a stack of layers of Merkle trees, walked leaf by leaf, and the order in which a state
//! is stored and a signature made.

use crate::hash::{Function, Hasher};
use crate::traversal::{Shape, Traversal, Tree};
use crate::{Engine, Error, Message, Output};
use subtle::ConstantTimeEq as _;

/// Version of the format of the state behind the secret.
const VERSION: u8 = 1;
/// Index of the next signature (8) and the parameters (8).
const FRONT: usize = 16;
/// Version, retained levels, two zero bytes, next signature (8), leaf of the traversal (8).
const TRAILER_FRONT: usize = 20;
/// Size of the check at the end of a state, in bytes.
const CHECK: usize = 16;

/// What LMS/HSS and XMSS/XMSS^MT have in common, for this crate's use.
pub(crate) trait Hypertree: Copy {
    type Tree: Tree;

    fn function(&self) -> Function;
    /// Size of a node in bytes.
    fn node(&self) -> usize;
    fn layers(&self) -> u32;
    /// Height of the tree on each layer.
    fn height(&self) -> u32;
    /// The parameters as eight bytes.
    fn marks(&self) -> [u8; 8];
    /// Size of the secret part of the state in bytes.
    fn secret(&self) -> usize;
    /// Size of the random bytes that a key is made from.
    fn seed(&self) -> usize;
    /// Writes the secret part; the root is not known yet.
    fn expand(&self, seed: &[u8], secret: &mut [u8]) -> Result<(), Error>;
    /// The tree with this number on a layer; layer 0 signs messages.
    fn tree<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        secret: &[u8],
        layer: u32,
        index: u64,
    ) -> Result<Self::Tree, Error>;
    /// Writes the public key.
    fn public(&self, secret: &[u8], root: &[u8], output: &mut [u8]) -> Result<(), Error>;
    /// Signs with the leaf that the state is at.
    fn sign<E: Engine + ?Sized, M: Message + ?Sized>(
        &self,
        engine: &mut E,
        view: &View<'_>,
        message: &M,
        output: &mut dyn Output,
    ) -> Result<(), Error>;
}

/// A parameter set of LMS/HSS or XMSS/XMSS^MT: sizes, and what a private key of it can do.
#[expect(private_bounds, reason = "the schemes of this crate are the only ones")]
pub trait Scheme: Hypertree {
    /// Size of a public key in bytes.
    fn public_size(&self) -> usize;

    /// Size of a signature in bytes.
    fn signature_size(&self) -> usize;

    /// Size of the random bytes that [`generate`](Self::generate) needs.
    fn seed_size(&self) -> usize {
        self.seed()
    }

    /// Number of signatures that a private key can make.
    fn capacity(&self) -> u64 {
        1_u64.checked_shl(self.layers().saturating_mul(self.height())).unwrap_or(u64::MAX)
    }

    /// Size of the part of a state that holds the index of the next signature (8 bytes, big endian), the parameters (8
    /// bytes) and the secrets. The traversal follows it.
    fn secret_part_size(&self) -> usize {
        FRONT.saturating_add(self.secret())
    }

    /// Size of a private state in bytes, if each tree keeps all right nodes of so many levels below its root.
    ///
    /// More levels cost memory, 2^levels nodes, and save work: each signature computes ⌈(height − levels) / 2⌉ leaves of
    /// the tree that signs, besides one leaf of the next tree if there are several layers. `None` unless `retained` is 1
    /// to 15 and at most the height of a tree.
    fn state_size(&self, retained: u32) -> Option<usize> {
        Layout::new(self, retained).ok().map(|layout| layout.check.saturating_add(CHECK))
    }

    /// The largest number of retained levels whose state is not larger than `limit` bytes.
    fn retained_within(&self, limit: usize) -> Option<u32> {
        (1..=15).rev().find(|&retained| self.state_size(retained).is_some_and(|size| size <= limit))
    }

    /// Makes a private key from random bytes, in time proportional to the number of leaves of one tree on each layer.
    ///
    /// `seed` has [`seed_size`](Self::seed_size) bytes, `state` [`state_size`](Self::state_size) for this number of
    /// retained levels. The state has to be stored before the key is used, and is a secret.
    ///
    /// # Errors
    /// [`Error::Length`] for wrong lengths, [`Error::Parameters`] for a number of levels that is out of range,
    /// [`Error::Engine`].
    fn generate<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        retained: u32,
        seed: &[u8],
        state: &mut [u8],
    ) -> Result<(), Error> {
        if seed.len() != self.seed() {
            return Err(Error::Length);
        }
        let layout = Layout::new(self, retained)?;
        layout.expect(state)?;
        state.fill(0);
        self.expand(seed, layout.secret(state)?)?;
        build(self, engine, &layout, retained, state)
    }

    /// Makes a state anew from its secret part, for instance one that another implementation has written.
    ///
    /// The next signature takes at least as long as the leaves need that were already used.
    ///
    /// # Errors
    /// As [`generate`](Self::generate); [`Error::State`] if the secret part is of other parameters or the index in it is
    /// larger than the capacity.
    fn restore<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        retained: u32,
        secret_part: &[u8],
        state: &mut [u8],
    ) -> Result<(), Error> {
        let layout = Layout::new(self, retained)?;
        layout.expect(state)?;
        state.fill(0);
        let to = state.get_mut(..secret_part.len()).filter(|to| to.len() == layout.trailer);
        to.ok_or(Error::Length)?.copy_from_slice(secret_part);
        if secret_part.get(8..FRONT) != Some(&self.marks()) || get_u64(state, 0) > self.capacity() {
            return Err(Error::State);
        }
        build(self, engine, &layout, retained, state)
    }

    /// Verifies that a state is whole and of this parameter set, and makes it ready to sign.
    ///
    /// # Errors
    /// [`Error::State`].
    fn open<'s, E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        state: &'s mut [u8],
    ) -> Result<SigningKey<'s, Self>, Error>
    where
        Self: Sized,
    {
        let layout = Layout::of(self, state)?;
        if state.get(8..FRONT) != Some(&self.marks()) {
            return Err(Error::State);
        }
        let expected = check_value(self, engine, &layout, state)?;
        if !bool::from(expected.as_slice().ct_eq(layout.check_bytes(state)?)) {
            return Err(Error::State);
        }
        let next = get_u64(state, 0);
        let key = SigningKey { scheme: *self, layout, state };
        let (stored, leaf) = (key.stored_next(), key.leaf());
        if next > self.capacity() || stored > next || leaf > stored || leaf >= self.capacity() {
            return Err(Error::State);
        }
        Ok(key)
    }
}

/// Where the parts of a state lie.
#[derive(Clone, Copy, Debug)]
struct Layout {
    shape: Shape,
    layers: u32,
    trailer: usize,
    roots: usize,
    trees: usize,
    check: usize,
}

impl Layout {
    fn new<S: Hypertree>(scheme: &S, retained: u32) -> Result<Self, Error> {
        let shape = Shape { height: scheme.height(), kept: retained, node: scheme.node() };
        if !shape.is_valid() {
            return Err(Error::Parameters);
        }
        let layers = scheme.layers();
        let below = usize::try_from(layers.saturating_sub(1)).map_err(|_| Error::Parameters)?;
        let trailer = FRONT.saturating_add(scheme.secret());
        let roots = trailer.saturating_add(TRAILER_FRONT);
        // The root of the tree on top, and of the present and the next tree of each layer below.
        let count = below.saturating_mul(2).saturating_add(1);
        let trees = roots.saturating_add(count.saturating_mul(shape.node));
        let check = trees.saturating_add(count.saturating_mul(shape.size()));
        Ok(Self { shape, layers, trailer, roots, trees, check })
    }

    /// The layout of a state, as it says itself.
    fn of<S: Hypertree>(scheme: &S, state: &[u8]) -> Result<Self, Error> {
        let trailer = FRONT.saturating_add(scheme.secret());
        let &[version, retained, 0, 0] =
            state.get(trailer..).and_then(<[u8]>::first_chunk).ok_or(Error::State)?
        else {
            return Err(Error::State);
        };
        let layout = Self::new(scheme, u32::from(retained)).map_err(|_| Error::State)?;
        if version != VERSION || layout.expect(state).is_err() {
            return Err(Error::State);
        }
        Ok(layout)
    }

    fn expect(&self, state: &[u8]) -> Result<(), Error> {
        if state.len() == self.check.saturating_add(CHECK) { Ok(()) } else { Err(Error::Length) }
    }

    fn secret<'s>(&self, state: &'s mut [u8]) -> Result<&'s mut [u8], Error> {
        state.get_mut(FRONT..self.trailer).ok_or(Error::State)
    }

    fn check_bytes<'s>(&self, state: &'s [u8]) -> Result<&'s [u8], Error> {
        state.get(self.check..).ok_or(Error::State)
    }

    /// The present trees are numbered from layer 0 upwards; the next trees of the layers below the top follow.
    const fn present(layer: u32) -> usize {
        layer as usize
    }

    const fn next(&self, layer: u32) -> usize {
        self.layers.saturating_add(layer) as usize
    }

    fn root_range(&self, number: usize) -> core::ops::Range<usize> {
        let start = self.roots.saturating_add(number.saturating_mul(self.shape.node));
        start..start.saturating_add(self.shape.node)
    }

    fn tree_range(&self, number: usize) -> core::ops::Range<usize> {
        let size = self.shape.size();
        let start = self.trees.saturating_add(number.saturating_mul(size));
        start..start.saturating_add(size)
    }

    /// Whether a layer has a tree of this number.
    fn has_tree(&self, layer: u32, index: u64) -> bool {
        let above = self.layers.saturating_sub(1).saturating_sub(layer);
        let count = 1_u64.checked_shl(self.shape.height.saturating_mul(above)).unwrap_or(u64::MAX);
        index < count
    }

    /// The number of the tree of a layer that leaf `leaf` of the key lies under, and its leaf there.
    fn place(&self, leaf: u64, layer: u32) -> (u64, u32) {
        let below = leaf.checked_shr(self.shape.height.saturating_mul(layer)).unwrap_or(0);
        let position = below & u64::from(self.shape.leaves().saturating_sub(1));
        (below.checked_shr(self.shape.height).unwrap_or(0), u32::try_from(position).unwrap_or(0))
    }
}

fn get_u64(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn put_u64(bytes: &mut [u8], offset: usize, value: u64) {
    if let Some(bytes) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) {
        *bytes = value.to_be_bytes();
    }
}

/// The check over everything but the index in front, which another implementation may advance.
fn check_value<S: Hypertree, E: Engine + ?Sized>(
    scheme: &S,
    engine: &mut E,
    layout: &Layout,
    state: &[u8],
) -> Result<[u8; CHECK], Error> {
    let mut hasher = Hasher::new(scheme.function());
    hasher.update(engine, b"casemate hash-based signature state")?;
    hasher.update(engine, state.get(8..layout.check).ok_or(Error::State)?)?;
    let mut value = [0; CHECK];
    hasher.finish(engine, &mut value)?;
    Ok(value)
}

fn seal<S: Hypertree, E: Engine + ?Sized>(
    scheme: &S,
    engine: &mut E,
    layout: &Layout,
    state: &mut [u8],
) -> Result<(), Error> {
    let value = check_value(scheme, engine, layout, state)?;
    state.get_mut(layout.check..).ok_or(Error::State)?.copy_from_slice(&value);
    Ok(())
}

/// Builds the first tree of every layer of a state that holds the secret and is zero otherwise.
fn build<S: Hypertree, E: Engine + ?Sized>(
    scheme: &S,
    engine: &mut E,
    layout: &Layout,
    retained: u32,
    state: &mut [u8],
) -> Result<(), Error> {
    let next = get_u64(state, 0);
    let marks = scheme.marks();
    state.get_mut(8..FRONT).ok_or(Error::Length)?.copy_from_slice(&marks);
    let trailer = state.get_mut(layout.trailer..).ok_or(Error::Length)?;
    let version = [VERSION, u8::try_from(retained).map_err(|_| Error::Parameters)?, 0, 0];
    *trailer.first_chunk_mut().ok_or(Error::Length)? = version;
    put_u64(state, layout.trailer.saturating_add(4), next);
    for layer in 0..layout.layers {
        let number = Layout::present(layer);
        let tree = scheme.tree(engine, state.get(FRONT..layout.trailer).ok_or(Error::State)?, layer, 0)?;
        for _ in 0..layout.shape.leaves() {
            build_leaf(engine, layout, state, &tree, number)?;
        }
    }
    seal(scheme, engine, layout, state)
}

/// Adds one leaf to a tree of the state.
fn build_leaf<T: Tree, E: Engine + ?Sized>(
    engine: &mut E,
    layout: &Layout,
    state: &mut [u8],
    tree: &T,
    number: usize,
) -> Result<(), Error> {
    let (roots, trees) = state.split_at_mut_checked(layout.trees).ok_or(Error::State)?;
    let root = roots.get_mut(layout.root_range(number)).ok_or(Error::State)?;
    let range = layout.tree_range(number);
    let range = range.start.saturating_sub(layout.trees)..range.end.saturating_sub(layout.trees);
    Traversal::new(layout.shape, trees.get_mut(range).ok_or(Error::State)?)?.build(tree, engine, root)
}

/// A private key whose state was verified.
///
/// A signature needs three steps in a fixed order, each of which consumes what the step before returned:
/// [`reserve`](Self::reserve) advances the state, [`Reservation::store`] hands the new state to durable storage, and only
/// then is there a [`Signer`]. No one-time key can sign twice unless an older state is brought back.
#[derive(Debug)]
pub struct SigningKey<'s, S> {
    scheme: S,
    layout: Layout,
    state: &'s mut [u8],
}

impl<'s, S: Scheme> SigningKey<'s, S> {
    /// Index of the next signature.
    pub fn next_index(&self) -> u64 {
        get_u64(self.state, 0)
    }

    /// Number of signatures that the key can still make.
    pub fn remaining(&self) -> u64 {
        self.scheme.capacity().saturating_sub(self.next_index())
    }

    fn stored_next(&self) -> u64 {
        get_u64(self.state, self.layout.trailer.saturating_add(4))
    }

    /// The leaf whose authentication paths the state holds.
    fn leaf(&self) -> u64 {
        get_u64(self.state, self.layout.trailer.saturating_add(12))
    }

    fn set_leaf(&mut self, leaf: u64) {
        put_u64(self.state, self.layout.trailer.saturating_add(12), leaf);
    }

    /// Writes the public key.
    ///
    /// # Errors
    /// [`Error::Length`] unless `output` has [`Scheme::public_size`] bytes.
    pub fn public(&self, output: &mut [u8]) -> Result<(), Error> {
        if output.len() != self.scheme.public_size() {
            return Err(Error::Length);
        }
        let view = View { layout: &self.layout, state: self.state };
        self.scheme.public(view.secret(), view.root(self.layout.layers.saturating_sub(1)), output)
    }

    /// Takes the next one-time key out of the state.
    ///
    /// # Errors
    /// [`Error::Exhausted`] if there is none, with the state as it was. After any other error, read the state from where
    /// it is stored.
    pub fn reserve<E: Engine + ?Sized>(mut self, engine: &mut E) -> Result<Reservation<'s, S>, Error> {
        let next = self.next_index();
        if next >= self.scheme.capacity() {
            return Err(Error::Exhausted);
        }
        while self.leaf() < next {
            self.advance(engine)?;
        }
        put_u64(self.state, 0, next.saturating_add(1));
        put_u64(self.state, self.layout.trailer.saturating_add(4), next.saturating_add(1));
        seal(&self.scheme, engine, &self.layout, self.state)?;
        Ok(Reservation { key: self })
    }

    /// Walks to the next leaf.
    fn advance<E: Engine + ?Sized>(&mut self, engine: &mut E) -> Result<(), Error> {
        let leaf = self.leaf();
        let Self { scheme, layout, state } = self;
        for layer in 0..layout.layers {
            let (index, position) = layout.place(leaf, layer);
            let next = layout.next(layer);
            let has_next = layout.has_tree(layer, index.saturating_add(1));
            if has_next {
                // One leaf of the next tree for each of this one: when this one ends, the next is ready.
                let secret = state.get(FRONT..layout.trailer).ok_or(Error::State)?;
                let tree = scheme.tree(engine, secret, layer, index.saturating_add(1))?;
                build_leaf(engine, layout, state, &tree, next)?;
            }
            if position.saturating_add(1) < layout.shape.leaves() {
                let secret = state.get(FRONT..layout.trailer).ok_or(Error::State)?;
                let tree = scheme.tree(engine, secret, layer, index)?;
                let bytes = state.get_mut(layout.tree_range(Layout::present(layer))).ok_or(Error::State)?;
                let mut traversal = Traversal::new(layout.shape, bytes)?;
                if traversal.position() != position {
                    return Err(Error::State);
                }
                traversal.advance(&tree, engine)?;
                break;
            }
            let bytes = state.get_mut(layout.tree_range(next)).ok_or(Error::State)?;
            if !has_next || !Traversal::new(layout.shape, bytes)?.is_ready() {
                return Err(Error::State);
            }
            // Both ranges lie inside the state, whose length was checked.
            state.copy_within(layout.tree_range(next), layout.tree_range(Layout::present(layer)).start);
            state.copy_within(layout.root_range(next), layout.root_range(Layout::present(layer)).start);
            state.get_mut(layout.tree_range(next)).ok_or(Error::State)?.fill(0);
        }
        self.set_leaf(leaf.saturating_add(1));
        Ok(())
    }
}

/// A one-time key was taken out of the state; the new state is not stored yet.
#[derive(Debug)]
#[must_use = "the state was advanced: store it"]
pub struct Reservation<'s, S> {
    key: SigningKey<'s, S>,
}

impl<'s, S: Scheme> Reservation<'s, S> {
    /// Index of the signature that this reservation is for.
    pub fn index(&self) -> u64 {
        self.key.next_index().saturating_sub(1)
    }

    /// Stores the new state, and returns the means to sign once.
    ///
    /// `store` must return success only when the state will be found again after a loss of power. If it fails, the
    /// reserved one-time key is lost or free, depending on what is found when the state is read again; it has signed
    /// nothing.
    ///
    /// # Errors
    /// What `store` answers.
    pub fn store<X>(self, store: impl FnOnce(&[u8]) -> Result<(), X>) -> Result<Signer<'s, S>, X> {
        store(self.key.state)?;
        Ok(Signer { key: self.key })
    }
}

/// The means to make one signature. Dropping it loses one signature of the key's capacity, and nothing else.
#[derive(Debug)]
#[must_use = "the one-time key is lost if it does not sign"]
pub struct Signer<'s, S> {
    key: SigningKey<'s, S>,
}

impl<S: Scheme> Signer<'_, S> {
    /// Index of the signature.
    pub fn index(&self) -> u64 {
        self.key.next_index().saturating_sub(1)
    }

    /// Signs `message` and writes the signature, [`Scheme::signature_size`] bytes, to `output`.
    ///
    /// # Errors
    /// [`Error::Engine`], or what `message` and `output` answer: the one-time key is lost then. What was written until
    /// then is part of one signature of this message, and need not be kept secret.
    pub fn sign<E: Engine + ?Sized, M: Message + ?Sized>(
        self,
        engine: &mut E,
        message: &M,
        mut output: impl Output,
    ) -> Result<(), Error> {
        let view = View { layout: &self.key.layout, state: self.key.state };
        self.key.scheme.sign(engine, &view, message, &mut output)
    }
}

/// What a scheme reads of a state to sign with the leaf that the state is at.
pub(crate) struct View<'a> {
    layout: &'a Layout,
    state: &'a [u8],
}

impl<'a> View<'a> {
    pub(crate) fn secret(&self) -> &'a [u8] {
        self.state.get(FRONT..self.layout.trailer).unwrap_or_default()
    }

    pub(crate) fn index(&self) -> u64 {
        get_u64(self.state, self.layout.trailer.saturating_add(12))
    }

    /// The number of the present tree of a layer, and its leaf that signs.
    pub(crate) fn place(&self, layer: u32) -> (u64, u32) {
        self.layout.place(self.index(), layer)
    }

    pub(crate) fn root(&self, layer: u32) -> &'a [u8] {
        self.state.get(self.layout.root_range(Layout::present(layer))).unwrap_or_default()
    }

    /// The authentication path of the leaf that signs.
    pub(crate) fn path(&self, layer: u32) -> &'a [u8] {
        let start = self.layout.tree_range(Layout::present(layer)).start;
        self.state.get(self.layout.shape.path_range(start)).unwrap_or_default()
    }
}
