//! XMSS and XMSS^MT (RFC 8391, NIST SP 800-208, §5).

use crate::hash::{Function, Hasher, MAX_NODE, Node, SHA256_INITIAL, hash, wipe, words_to_bytes};
use crate::key::{Hypertree, Scheme, View};
use crate::stream::Cursor;
use crate::traversal::Tree;
use crate::{Engine, Error, Input, Message, Output};
use subtle::ConstantTimeEq as _;

/// Number of chains of the checksum: three digits of four bits for every n.
const CHECKSUM_CHAINS: usize = 3;
/// Largest number of levels of the tree over a one-time public key: n = 64 has 131 chains.
const LTREE_LEVELS: usize = 9;

/// Numbers in front of the hash's inputs that tell its uses apart (RFC 8391, §5.1; SP 800-208, §5).
#[derive(Clone, Copy)]
enum Domain {
    Chain = 0,
    Tree = 1,
    Message = 2,
    Pseudorandom = 3,
    Key = 4,
}

/// The hash function of XMSS, with the size n of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmssHash {
    /// SHA-256, n = 32 (RFC 8391).
    Sha256,
    /// SHA-512, n = 64 (RFC 8391).
    Sha512,
    /// SHAKE128, n = 32 (RFC 8391).
    Shake128,
    /// SHAKE256, n = 64 (RFC 8391).
    Shake256_512,
    /// The first 24 bytes of SHA-256 (NIST SP 800-208).
    Sha256_192,
    /// SHAKE256, n = 32 (NIST SP 800-208).
    Shake256_256,
    /// SHAKE256, n = 24 (NIST SP 800-208).
    Shake256_192,
}

impl XmssHash {
    /// In the order of the object identifiers.
    const ALL: [Self; 7] = [
        Self::Sha256,
        Self::Sha512,
        Self::Shake128,
        Self::Shake256_512,
        Self::Sha256_192,
        Self::Shake256_256,
        Self::Shake256_192,
    ];

    const fn size(self) -> usize {
        match self {
            Self::Sha256 | Self::Shake128 | Self::Shake256_256 => 32,
            Self::Sha512 | Self::Shake256_512 => 64,
            Self::Sha256_192 | Self::Shake256_192 => 24,
        }
    }

    const fn function(self) -> Function {
        match self {
            Self::Sha256 | Self::Sha256_192 => Function::Sha256,
            Self::Sha512 => Function::Sha512,
            Self::Shake128 => Function::Shake128,
            Self::Shake256_512 | Self::Shake256_256 | Self::Shake256_192 => Function::Shake256,
        }
    }

    /// Size of the number in front of an input: n, but 4 for n = 24 (SP 800-208, §5.1).
    const fn prefix(self) -> usize {
        if self.size() == 24 { 4 } else { self.size() }
    }

    /// The name of the hash and that of its size, as they stand before and after the heights.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Sha256 => ("SHA2", "256"),
            Self::Sha512 => ("SHA2", "512"),
            Self::Shake128 => ("SHAKE", "256"),
            Self::Shake256_512 => ("SHAKE", "512"),
            Self::Sha256_192 => ("SHA2", "192"),
            Self::Shake256_256 => ("SHAKE256", "256"),
            Self::Shake256_192 => ("SHAKE256", "192"),
        }
    }
}

/// Heights of XMSS.
const HEIGHTS: [(u8, u8); 3] = [(10, 1), (16, 1), (20, 1)];
/// Heights and numbers of layers of XMSS^MT.
const MULTI_TREE: [(u8, u8); 8] = [(20, 2), (20, 4), (40, 2), (40, 4), (40, 8), (60, 3), (60, 6), (60, 12)];

/// A parameter set of XMSS or XMSS^MT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmssParameters {
    hash: XmssHash,
    height: u8,
    layers: u8,
    oid: u32,
}

impl XmssParameters {
    /// The parameter set of XMSS with this number (IANA registry "XMSS: Extended Hash-Based Signatures"), 1 to 21.
    pub fn xmss(oid: u32) -> Option<Self> {
        Self::numbered(oid, &HEIGHTS)
    }

    /// The parameter set of XMSS^MT with this number, 1 to 56.
    pub fn xmss_mt(oid: u32) -> Option<Self> {
        Self::numbered(oid, &MULTI_TREE)
    }

    fn numbered(oid: u32, heights: &[(u8, u8)]) -> Option<Self> {
        let number = usize::try_from(oid.checked_sub(1)?).ok()?;
        let hash = *XmssHash::ALL.get(number.checked_div(heights.len())?)?;
        let &(height, layers) = heights.get(number.checked_rem(heights.len())?)?;
        Some(Self { hash, height, layers, oid })
    }

    /// The parameter set with this name, for instance `XMSS-SHA2_10_256` or `XMSSMT-SHAKE256_60/12_192`. Names are those
    /// of the registry.
    pub fn named(name: &[u8]) -> Option<Self> {
        let all = (1..=21).filter_map(Self::xmss).chain((1..=56).filter_map(Self::xmss_mt));
        all.into_iter().find(|set| set.is_named(name))
    }

    fn is_named(&self, name: &[u8]) -> bool {
        struct Rest<'a>(Option<&'a [u8]>);
        impl core::fmt::Write for Rest<'_> {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                self.0 = self.0.and_then(|rest| rest.strip_prefix(text.as_bytes()));
                Ok(())
            }
        }
        let mut rest = Rest(Some(name));
        let _ = core::fmt::Write::write_fmt(&mut rest, format_args!("{self}"));
        rest.0.is_some_and(<[u8]>::is_empty)
    }

    /// The number in the registry: of XMSS, or of XMSS^MT if there are several layers.
    pub const fn oid(&self) -> u32 {
        self.oid
    }

    /// Whether this is a set of XMSS^MT.
    pub const fn is_multi_tree(&self) -> bool {
        self.layers > 1
    }

    /// The hash function.
    pub const fn hash(&self) -> XmssHash {
        self.hash
    }

    /// Height of the whole tree.
    pub const fn total_height(&self) -> u32 {
        self.height as u32
    }

    /// Number of layers: 1 for XMSS.
    pub const fn layer_count(&self) -> u32 {
        self.layers as u32
    }

    const fn n(&self) -> usize {
        self.hash.size()
    }

    const fn chains(&self) -> usize {
        self.n().saturating_mul(2).saturating_add(CHECKSUM_CHAINS)
    }

    /// Size of the index in a signature, in bytes.
    const fn index_size(&self) -> usize {
        if self.is_multi_tree() { (self.height as usize).div_ceil(8) } else { 4 }
    }
}

impl core::fmt::Display for XmssParameters {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (hash, size) = self.hash.names();
        let Self { height, layers, .. } = self;
        if self.is_multi_tree() {
            write!(formatter, "XMSSMT-{hash}_{height}/{layers}_{size}")
        } else {
            write!(formatter, "XMSS-{hash}_{height}_{size}")
        }
    }
}

/// The address that makes each use of the hash a different one (RFC 8391, §2.5).
#[derive(Clone, Copy)]
struct Address([u32; 8]);

impl Address {
    const ONE_TIME: u32 = 0;
    const LTREE: u32 = 1;
    const TREE: u32 = 2;

    const fn new(layer: u32, tree: u64, kind: u32) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = tree.to_be_bytes();
        let (high, low) = (u32::from_be_bytes([t0, t1, t2, t3]), u32::from_be_bytes([t4, t5, t6, t7]));
        Self([layer, high, low, kind, 0, 0, 0, 0])
    }

    /// Leaf of a one-time key or of an L-tree.
    const fn with_leaf(mut self, leaf: u32) -> Self {
        self.0[4] = leaf;
        self
    }

    const fn with_chain(mut self, chain: u32) -> Self {
        self.0[5] = chain;
        self
    }

    /// Step of a chain, or index of a node.
    const fn with_step(mut self, step: u32) -> Self {
        self.0[6] = step;
        self
    }

    /// Height of a node, counted from that of its children, and its index.
    const fn with_node(mut self, height: u32, index: u32) -> Self {
        self.0[5] = height;
        self.0[6] = index;
        self
    }

    /// 0 for the key, then the masks.
    const fn with_part(mut self, part: u32) -> Self {
        self.0[7] = part;
        self
    }

    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        words_to_bytes(&self.0, &mut bytes);
        bytes
    }
}

/// The words of SHA-256 after the blocks that every call begins with (n = 32 only).
#[derive(Clone)]
struct Prefixes {
    /// toByte(0, 32) fills half a block: the chaining starts with the initial words.
    pseudorandom: [u32; 8],
    key: [u32; 8],
}

/// The keyed hash functions of a key (RFC 8391, §5.1).
#[derive(Clone)]
struct Functions {
    parameters: XmssParameters,
    seed: Node,
    secret_seed: Node,
    prefixes: Prefixes,
}

impl Drop for Functions {
    fn drop(&mut self) {
        wipe(&mut self.secret_seed);
        wipe(&mut self.prefixes.key);
    }
}

/// toByte(domain, size): the number, big endian, in front of an input.
fn prefix(domain: Domain) -> Node {
    let mut bytes = [0; MAX_NODE];
    bytes[MAX_NODE - 1] = domain as u8;
    bytes
}

impl Functions {
    fn new<E: Engine + ?Sized>(
        engine: &mut E,
        parameters: XmssParameters,
        seed: &[u8],
        secret_seed: &[u8],
    ) -> Result<Self, Error> {
        let mut functions = Self {
            parameters,
            seed: [0; MAX_NODE],
            secret_seed: [0; MAX_NODE],
            prefixes: Prefixes { pseudorandom: SHA256_INITIAL, key: SHA256_INITIAL },
        };
        functions.seed.get_mut(..seed.len()).ok_or(Error::State)?.copy_from_slice(seed);
        functions.secret_seed.get_mut(..secret_seed.len()).ok_or(Error::State)?.copy_from_slice(secret_seed);
        if functions.is_fast() {
            let mut block = [0; 64];
            block[31] = Domain::Pseudorandom as u8;
            block[32..].copy_from_slice(&functions.seed[..32]);
            engine.sha256(&mut functions.prefixes.pseudorandom, &block)?;
            block[31] = Domain::Key as u8;
            block[32..].copy_from_slice(&functions.secret_seed[..32]);
            engine.sha256(&mut functions.prefixes.key, &block)?;
            wipe(&mut block);
        }
        Ok(functions)
    }

    /// Whether inputs are whole blocks of SHA-256.
    const fn is_fast(&self) -> bool {
        matches!(self.parameters.hash, XmssHash::Sha256)
    }

    fn hash<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        domain: Domain,
        parts: [&[u8]; 3],
        output: &mut Node,
    ) -> Result<(), Error> {
        let hash_function = self.parameters.hash;
        let number = prefix(domain);
        let number = number.get(MAX_NODE.saturating_sub(hash_function.prefix())..).unwrap_or_default();
        let [first, second, third] = parts;
        let output = output.get_mut(..self.parameters.n()).ok_or(Error::Parameters)?;
        hash(engine, hash_function.function(), &[number, first, second, third], output)
    }

    fn seed(&self) -> &[u8] {
        self.seed.get(..self.parameters.n()).unwrap_or_default()
    }

    /// PRF(SEED, address).
    fn pseudorandom<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        address: Address,
        output: &mut Node,
    ) -> Result<(), Error> {
        let address = address.bytes();
        if !self.is_fast() {
            return self.hash(engine, Domain::Pseudorandom, [self.seed(), &address, &[]], output);
        }
        // 96 bytes of input: the second block holds the address and the padding.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&address);
        block[32] = 0x80;
        block[62..].copy_from_slice(&(96_u16 * 8).to_be_bytes());
        let mut words = self.prefixes.pseudorandom;
        engine.sha256(&mut words, &block)?;
        words_to_bytes(&words, output.first_chunk_mut().ok_or(Error::Parameters)?);
        Ok(())
    }

    /// PRF_keygen: a secret element of a one-time key (SP 800-208, §6.2).
    fn secret<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        address: Address,
        output: &mut Node,
    ) -> Result<(), Error> {
        let address = address.bytes();
        if !self.is_fast() {
            let secret_seed = self.secret_seed.get(..self.parameters.n()).unwrap_or_default();
            return self.hash(engine, Domain::Key, [secret_seed, self.seed(), &address], output);
        }
        // 128 bytes of input: a block with seed and address, and one with the padding.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.seed[..32]);
        block[32..].copy_from_slice(&address);
        let mut words = self.prefixes.key;
        engine.sha256(&mut words, &block)?;
        block.fill(0);
        block[0] = 0x80;
        block[62..].copy_from_slice(&(128_u16 * 8).to_be_bytes());
        engine.sha256(&mut words, &block)?;
        words_to_bytes(&words, output.first_chunk_mut().ok_or(Error::Parameters)?);
        wipe(&mut words);
        Ok(())
    }

    /// Steps `from` to `to` of a chain (RFC 8391, §3.1.2).
    fn chain<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        address: Address,
        from: u8,
        to: u8,
        value: &mut Node,
    ) -> Result<(), Error> {
        let n = self.parameters.n();
        let (mut key, mut mask) = ([0; MAX_NODE], [0; MAX_NODE]);
        for step in from..to {
            let address = address.with_step(u32::from(step));
            self.pseudorandom(engine, address.with_part(0), &mut key)?;
            self.pseudorandom(engine, address.with_part(1), &mut mask)?;
            if self.is_fast() {
                let mut words = SHA256_INITIAL;
                let mut block = [0; 64];
                block[32..].copy_from_slice(&key[..32]);
                engine.sha256(&mut words, &block)?;
                for (to, (value, mask)) in block.iter_mut().zip(value.iter().zip(&mask)) {
                    *to = value ^ mask;
                }
                block[32..].fill(0);
                block[32] = 0x80;
                block[62..].copy_from_slice(&(96_u16 * 8).to_be_bytes());
                engine.sha256(&mut words, &block)?;
                words_to_bytes(&words, value.first_chunk_mut().ok_or(Error::Parameters)?);
                continue;
            }
            value.iter_mut().zip(&mask).for_each(|(value, mask)| *value ^= mask);
            let (key, input) = (key.get(..n).unwrap_or_default(), *value);
            self.hash(engine, Domain::Chain, [key, input.get(..n).unwrap_or_default(), &[]], value)?;
        }
        Ok(())
    }

    /// RAND_HASH (RFC 8391, §4.1.4): replaces `node`, which holds the right child.
    fn parent<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        address: Address,
        left: &[u8],
        node: &mut Node,
    ) -> Result<(), Error> {
        let n = self.parameters.n();
        let (mut key, mut mask) = ([0; MAX_NODE], [0; MAX_NODE]);
        self.pseudorandom(engine, address.with_part(0), &mut key)?;
        self.pseudorandom(engine, address.with_part(1), &mut mask)?;
        mask.iter_mut().zip(left).for_each(|(mask, left)| *mask ^= left);
        let left = mask;
        self.pseudorandom(engine, address.with_part(2), &mut mask)?;
        mask.iter_mut().zip(node.iter()).for_each(|(mask, right)| *mask ^= right);
        let part = |node: &'_ Node| -> [u8; MAX_NODE] { *node };
        let (key, left, right) = (part(&key), part(&left), part(&mask));
        let parts = [&key, &left, &right].map(|node| node.get(..n).unwrap_or_default());
        self.hash(engine, Domain::Tree, parts, node)
    }

    /// The digest of a message (RFC 8391, §4.1.9 and §5.1).
    fn message<E: Engine + ?Sized, M: Message + ?Sized>(
        &self,
        engine: &mut E,
        randomizer: &[u8],
        root: &[u8],
        index: u64,
        message: &M,
    ) -> Result<Node, Error> {
        let hash_function = self.parameters.hash;
        let number = prefix(Domain::Message);
        let number = number.get(MAX_NODE.saturating_sub(hash_function.prefix())..).unwrap_or_default();
        let index = wide_index(index);
        let index = index.get(MAX_NODE.saturating_sub(self.parameters.n())..).unwrap_or_default();
        let mut hasher = Hasher::new(hash_function.function());
        for part in [number, randomizer, root, index] {
            hasher.update(engine, part)?;
        }
        message.read(&mut |part| hasher.update(engine, part))?;
        let mut digest = [0; MAX_NODE];
        hasher.finish(engine, digest.get_mut(..self.parameters.n()).ok_or(Error::Parameters)?)?;
        Ok(digest)
    }
}

/// An index at the end of the widest number.
fn wide_index(index: u64) -> Node {
    let mut bytes = [0; MAX_NODE];
    let (_, end) = bytes.split_at_mut(MAX_NODE - 8);
    end.copy_from_slice(&index.to_be_bytes());
    bytes
}

/// The digits of a digest and its checksum, four bits each (RFC 8391, §3.1.5).
struct Digits {
    digest: Node,
    checksum: u16,
    length: usize,
}

impl Digits {
    fn new(digest: Node, n: usize) -> Self {
        let mut digits = Self { digest, checksum: 0, length: n.saturating_mul(2) };
        digits.checksum = (0..digits.length)
            .fold(0_u16, |sum, index| sum.wrapping_add(15_u16.wrapping_sub(u16::from(digits.get(index)))));
        digits
    }

    fn get(&self, index: usize) -> u8 {
        match index.checked_sub(self.length) {
            None => {
                let byte = self.digest.get(index >> 1).copied().unwrap_or(0);
                if index & 1 == 0 { byte >> 4 } else { byte & 15 }
            }
            Some(place) => {
                let shift = 8_u32.saturating_sub(u32::try_from(place).unwrap_or(2).saturating_mul(4));
                let [_, digit] = (self.checksum.checked_shr(shift).unwrap_or(0) & 15).to_be_bytes();
                digit
            }
        }
    }
}

/// The tree over the public elements of a one-time key, fed element by element (RFC 8391, §4.1.5).
struct Ltree {
    address: Address,
    nodes: [Node; LTREE_LEVELS],
    /// Level and index of each node on the stack.
    places: [(u32, u32); LTREE_LEVELS],
    count: usize,
    fed: u32,
}

impl Ltree {
    const fn new(address: Address) -> Self {
        Self {
            address,
            nodes: [[0; MAX_NODE]; LTREE_LEVELS],
            places: [(0, 0); LTREE_LEVELS],
            count: 0,
            fed: 0,
        }
    }

    /// Merges `value` with the node on top of the stack.
    fn merge<E: Engine + ?Sized>(
        &mut self,
        engine: &mut E,
        functions: &Functions,
        value: &mut Node,
    ) -> Result<(u32, u32), Error> {
        self.count = self.count.checked_sub(1).ok_or(Error::State)?;
        let &(level, index) = self.places.get(self.count).ok_or(Error::State)?;
        let left = self.nodes.get(self.count).ok_or(Error::State)?;
        let address = self.address.with_node(level, index >> 1);
        let left = left.get(..functions.parameters.n()).ok_or(Error::State)?;
        functions.parent(engine, address, left, value)?;
        Ok((level.saturating_add(1), index >> 1))
    }

    fn feed<E: Engine + ?Sized>(
        &mut self,
        engine: &mut E,
        functions: &Functions,
        mut value: Node,
    ) -> Result<(), Error> {
        let mut place = (0, self.fed);
        while place.1 & 1 == 1 {
            place = self.merge(engine, functions, &mut value)?;
        }
        *self.nodes.get_mut(self.count).ok_or(Error::State)? = value;
        *self.places.get_mut(self.count).ok_or(Error::State)? = place;
        self.count = self.count.saturating_add(1);
        self.fed = self.fed.saturating_add(1);
        Ok(())
    }

    /// The root. A node without a neighbour rises until it has one.
    fn root<E: Engine + ?Sized>(
        mut self,
        engine: &mut E,
        functions: &Functions,
        output: &mut Node,
    ) -> Result<(), Error> {
        self.count = self.count.checked_sub(1).ok_or(Error::State)?;
        *output = *self.nodes.get(self.count).ok_or(Error::State)?;
        while self.count > 0 {
            self.merge(engine, functions, output)?;
        }
        Ok(())
    }
}

/// One tree of a key.
pub(crate) struct XmssTree {
    functions: Functions,
    layer: u32,
    index: u64,
}

impl XmssTree {
    fn address(&self, kind: u32) -> Address {
        Address::new(self.layer, self.index, kind)
    }

    /// Writes the one-time signature of a digest and the authentication path.
    fn sign<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        leaf: u32,
        path: &[u8],
        digest: Node,
        output: &mut dyn Output,
    ) -> Result<(), Error> {
        let parameters = self.functions.parameters;
        let digits = Digits::new(digest, parameters.n());
        let address = self.address(Address::ONE_TIME).with_leaf(leaf);
        let mut value = [0; MAX_NODE];
        for index in 0..parameters.chains() {
            let address = address.with_chain(u32::try_from(index).unwrap_or(u32::MAX));
            self.functions.secret(engine, address, &mut value)?;
            self.functions.chain(engine, address, 0, digits.get(index), &mut value)?;
            output.write(value.get(..parameters.n()).ok_or(Error::Parameters)?)?;
        }
        wipe(&mut value);
        output.write(path)
    }

    /// The root that a signature of `digest` leads to.
    fn recover<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        leaf: u32,
        digest: Node,
        height: u32,
        signature: &mut Cursor<'_>,
    ) -> Result<Node, Error> {
        let parameters = self.functions.parameters;
        let n = parameters.n();
        let digits = Digits::new(digest, n);
        let address = self.address(Address::ONE_TIME).with_leaf(leaf);
        let mut ltree = Ltree::new(self.address(Address::LTREE).with_leaf(leaf));
        let mut value = [0; MAX_NODE];
        for index in 0..parameters.chains() {
            let address = address.with_chain(u32::try_from(index).unwrap_or(u32::MAX));
            signature.read(value.get_mut(..n).ok_or(Error::Parameters)?)?;
            self.functions.chain(engine, address, digits.get(index), 15, &mut value)?;
            ltree.feed(engine, &self.functions, value)?;
        }
        ltree.root(engine, &self.functions, &mut value)?;
        let mut index = leaf;
        for level in 1..=height {
            let mut sibling = [0; MAX_NODE];
            signature.read(sibling.get_mut(..n).ok_or(Error::Parameters)?)?;
            if index & 1 == 0 {
                core::mem::swap(&mut sibling, &mut value);
            }
            index >>= 1;
            self.parent(engine, level, index, sibling.get(..n).unwrap_or_default(), &mut value)?;
        }
        Ok(value)
    }
}

impl Tree for XmssTree {
    fn leaf<E: Engine + ?Sized>(&self, engine: &mut E, index: u32, output: &mut Node) -> Result<(), Error> {
        let address = self.address(Address::ONE_TIME).with_leaf(index);
        let mut ltree = Ltree::new(self.address(Address::LTREE).with_leaf(index));
        let mut value = [0; MAX_NODE];
        for chain in 0..self.functions.parameters.chains() {
            let address = address.with_chain(u32::try_from(chain).unwrap_or(u32::MAX));
            self.functions.secret(engine, address, &mut value)?;
            self.functions.chain(engine, address, 0, 15, &mut value)?;
            ltree.feed(engine, &self.functions, value)?;
        }
        ltree.root(engine, &self.functions, output)
    }

    fn name<E: Engine + ?Sized>(&self, engine: &mut E) -> Result<[u8; 32], Error> {
        let Functions { parameters, seed, secret_seed, .. } = &self.functions;
        let n = parameters.n();
        let (seed, secret) = (seed.get(..n), secret_seed.get(..n));
        let (seed, secret) = (seed.ok_or(Error::Parameters)?, secret.ok_or(Error::Parameters)?);
        let (layer, index) = (self.layer.to_be_bytes(), self.index.to_be_bytes());
        let mut name = [0; 32];
        let parts =
            [b"casemate leaves of XMSS".as_slice(), &parameters.marks(), &layer, &index, seed, secret];
        hash(engine, parameters.function(), &parts, &mut name)?;
        Ok(name)
    }

    fn parent<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        level: u32,
        index: u32,
        left: &[u8],
        node: &mut Node,
    ) -> Result<(), Error> {
        let address = self.address(Address::TREE).with_node(level.saturating_sub(1), index);
        self.functions.parent(engine, address, left, node)
    }
}

/// The secret part of a state: SK_SEED ‖ SK_PRF ‖ SEED.
struct Secret<'a> {
    seed: &'a [u8],
    pseudorandom: &'a [u8],
    public_seed: &'a [u8],
}

impl XmssParameters {
    fn split<'a>(&self, secret: &'a [u8]) -> Result<Secret<'a>, Error> {
        let (seed, rest) = secret.split_at_checked(self.n()).ok_or(Error::State)?;
        let (pseudorandom, public_seed) = rest.split_at_checked(self.n()).ok_or(Error::State)?;
        Ok(Secret { seed, pseudorandom, public_seed })
    }

    /// Height of the tree of each layer.
    fn tree_height(&self) -> u32 {
        self.total_height().checked_div(self.layer_count()).unwrap_or(0)
    }
}

impl Scheme for XmssParameters {
    /// The root and SEED, without the four bytes of the object identifier that RFC 8391, §4.1.7 puts in front.
    fn public_size(&self) -> usize {
        self.n().saturating_mul(2)
    }

    fn signature_size(&self) -> usize {
        let layers = usize::from(self.layers);
        let nodes =
            layers.saturating_mul(self.chains()).saturating_add(usize::from(self.height)).saturating_add(1);
        self.index_size().saturating_add(nodes.saturating_mul(self.n()))
    }
}

impl Hypertree for XmssParameters {
    type Tree = XmssTree;

    fn function(&self) -> Function {
        self.hash.function()
    }

    fn node(&self) -> usize {
        self.n()
    }

    fn layers(&self) -> u32 {
        self.layer_count()
    }

    fn height(&self) -> u32 {
        self.tree_height()
    }

    fn marks(&self) -> [u8; 8] {
        let [.., o2, o3] = self.oid.to_be_bytes();
        [b'X', self.height, self.layers, 0, 0, 0, o2, o3]
    }

    fn secret(&self) -> usize {
        self.n().saturating_mul(3)
    }

    fn seed(&self) -> usize {
        self.secret()
    }

    fn expand(&self, seed: &[u8], secret: &mut [u8]) -> Result<(), Error> {
        secret.copy_from_slice(seed);
        Ok(())
    }

    fn tree<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        secret: &[u8],
        layer: u32,
        index: u64,
    ) -> Result<XmssTree, Error> {
        let secret = self.split(secret)?;
        let functions = Functions::new(engine, *self, secret.public_seed, secret.seed)?;
        Ok(XmssTree { functions, layer, index })
    }

    fn public(&self, secret: &[u8], root: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let mut output = output;
        output.write(root)?;
        output.write(self.split(secret)?.public_seed)
    }

    fn sign<E: Engine + ?Sized, M: Message + ?Sized>(
        &self,
        engine: &mut E,
        view: &View<'_>,
        message: &M,
        output: &mut dyn Output,
    ) -> Result<(), Error> {
        let n = self.n();
        let secret = self.split(view.secret())?;
        let index = wide_index(view.index());
        let functions = Functions::new(engine, *self, secret.public_seed, secret.seed)?;
        let mut randomizer = [0; MAX_NODE];
        let wide = index.get(MAX_NODE - 32..).unwrap_or_default();
        functions.hash(engine, Domain::Pseudorandom, [secret.pseudorandom, wide, &[]], &mut randomizer)?;
        let randomizer = randomizer.get(..n).ok_or(Error::Parameters)?;
        output.write(index.get(MAX_NODE.saturating_sub(self.index_size())..).unwrap_or_default())?;
        output.write(randomizer)?;
        let root = view.root(self.layers().saturating_sub(1));
        let mut digest = functions.message(engine, randomizer, root, view.index(), message)?;
        for layer in 0..self.layers() {
            let (tree, leaf) = view.place(layer);
            let tree = XmssTree { functions: functions.clone(), layer, index: tree };
            tree.sign(engine, leaf, view.path(layer), digest, output)?;
            digest = [0; MAX_NODE];
            digest.iter_mut().zip(view.root(layer)).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }
}

/// Verifies a signature of XMSS or XMSS^MT (RFC 8391, §4.1.10 and §4.2.5). `public` is the root and SEED, without an
/// object identifier.
///
/// # Errors
/// [`Error::Length`] if `public` has not [`Scheme::public_size`] bytes; [`Error::Signature`] if the signature is not one
/// of this message, or has another length than [`Scheme::signature_size`]; [`Error::Engine`]; what `message` and
/// `signature` answer.
pub fn xmss_verify<E: Engine + ?Sized, M: Message + ?Sized>(
    engine: &mut E,
    parameters: &XmssParameters,
    public: &[u8],
    message: &M,
    mut signature: impl Input,
) -> Result<(), Error> {
    let n = parameters.n();
    if public.len() != parameters.public_size() {
        return Err(Error::Length);
    }
    if signature.length() != parameters.signature_size() {
        return Err(Error::Signature);
    }
    let (root, seed) = public.split_at_checked(n).ok_or(Error::Length)?;
    let mut cursor = Cursor::new(&mut signature);
    let mut index = [0; 8];
    let bytes = index.len().saturating_sub(parameters.index_size());
    cursor.read(index.get_mut(bytes..).ok_or(Error::Parameters)?)?;
    let index = u64::from_be_bytes(index);
    if index >= parameters.capacity() {
        return Err(Error::Signature);
    }
    let functions = Functions::new(engine, *parameters, seed, &[])?;
    let mut node = [0; MAX_NODE];
    let randomizer = node.get_mut(..n).ok_or(Error::Parameters)?;
    cursor.read(randomizer)?;
    node = functions.message(engine, randomizer, root, index, message)?;
    let height = parameters.tree_height();
    let mut rest = index;
    for layer in 0..parameters.layer_count() {
        let leaf =
            u32::try_from(rest & (1_u64 << (height & 31)).wrapping_sub(1)).map_err(|_| Error::Parameters)?;
        rest >>= height & 31;
        let tree = XmssTree { functions: functions.clone(), layer, index: rest };
        node = tree.recover(engine, leaf, node, height, &mut cursor)?;
    }
    cursor.end()?;
    if bool::from(node.get(..n).unwrap_or_default().ct_eq(root)) { Ok(()) } else { Err(Error::Signature) }
}
