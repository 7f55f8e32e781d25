//! LMS and HSS (RFC 8554, NIST SP 800-208, §4).

use crate::hash::{Function, Hasher, MAX_NODE, Node, SHA256_INITIAL, hash, wipe, words_to_bytes};
use crate::key::{Hypertree, Scheme, View};
use crate::stream::Cursor;
use crate::traversal::Tree;
use crate::{Engine, Error, Input, Message, Output};
use subtle::ConstantTimeEq as _;

/// Size of the identifier I of a tree, in bytes.
const ID: usize = 16;
/// Largest n and m of the parameter sets.
const MAX_N: usize = 32;
/// Size of the largest LMS public key, in bytes.
const LARGEST_PUBLIC: usize = 8 + ID + MAX_N;
/// Chains that are computed side by side: a processor that runs instructions out of order overlaps them.
const LANES: usize = 4;
/// Most levels of HSS (RFC 8554, §6).
const MAX_LEVELS: u32 = 8;

/// Constants that tell the uses of the hash apart (RFC 8554, §4.2 and §5.3, Appendix A).
mod domain {
    pub(super) const PUBLIC: [u8; 2] = [0x80, 0x80];
    pub(super) const MESSAGE: [u8; 2] = [0x81, 0x81];
    pub(super) const LEAF: [u8; 2] = [0x82, 0x82];
    pub(super) const INTERIOR: [u8; 2] = [0x83, 0x83];
    /// Where the step of a chain is counted: the element of the private key.
    pub(super) const SEED: u8 = 0xff;
    /// Where the chains are counted: the randomizer, and the seed and identifier of the tree under a leaf.
    pub(super) const RANDOMIZER: u16 = 0xfffd;
    pub(super) const CHILD_SEED: u16 = 0xfffe;
    pub(super) const CHILD_ID: u16 = 0xffff;
}

/// The hash function of LMS, with the size of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LmsHash {
    /// SHA-256 (RFC 8554).
    Sha256,
    /// The first 24 bytes of SHA-256 (NIST SP 800-208).
    Sha256_192,
    /// 32 bytes of SHAKE256 (NIST SP 800-208).
    Shake256,
    /// 24 bytes of SHAKE256 (NIST SP 800-208).
    Shake256_192,
}

impl LmsHash {
    const ALL: [Self; 4] = [Self::Sha256, Self::Sha256_192, Self::Shake256, Self::Shake256_192];

    const fn size(self) -> usize {
        match self {
            Self::Sha256 | Self::Shake256 => 32,
            Self::Sha256_192 | Self::Shake256_192 => 24,
        }
    }

    const fn function(self) -> Function {
        match self {
            Self::Sha256 | Self::Sha256_192 => Function::Sha256,
            Self::Shake256 | Self::Shake256_192 => Function::Shake256,
        }
    }

    /// The number that types of LMS are counted from, and that of LM-OTS.
    const fn bases(self) -> (u32, u32) {
        match self {
            Self::Sha256 => (5, 1),
            Self::Sha256_192 => (10, 5),
            Self::Shake256 => (15, 9),
            Self::Shake256_192 => (20, 13),
        }
    }
}

/// The parameters of one LMS tree and of its one-time signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LmsParameters {
    hash: LmsHash,
    height: u8,
    winternitz: u8,
}

impl LmsParameters {
    /// Height 5, 10, 15, 20 or 25, and 1, 2, 4 or 8 bits of the message for each chain; `None` for other numbers.
    pub const fn new(hash: LmsHash, height: u32, winternitz: u32) -> Option<Self> {
        let height = match height {
            5 => 5,
            10 => 10,
            15 => 15,
            20 => 20,
            25 => 25,
            _ => return None,
        };
        let winternitz = match winternitz {
            1 => 1,
            2 => 2,
            4 => 4,
            8 => 8,
            _ => return None,
        };
        Some(Self { hash, height, winternitz })
    }

    /// The parameters that a pair of type numbers stands for. Both must be of the same hash.
    pub fn from_types(lms: u32, ots: u32) -> Option<Self> {
        LmsHash::ALL.into_iter().find_map(|hash| {
            let (lms_base, ots_base) = hash.bases();
            let height = lms.checked_sub(lms_base).filter(|step| *step < 5)?;
            let bits = ots.checked_sub(ots_base).filter(|step| *step < 4)?;
            Self::new(hash, height.saturating_add(1).saturating_mul(5), 1 << bits)
        })
    }

    /// The type number of LMS (IANA registry "Leighton-Micali Signatures").
    pub const fn lms_type(&self) -> u32 {
        self.hash.bases().0.saturating_add((self.height / 5) as u32).saturating_sub(1)
    }

    /// The type number of LM-OTS.
    pub const fn ots_type(&self) -> u32 {
        self.hash.bases().1.saturating_add(self.winternitz.trailing_zeros())
    }

    /// The hash function.
    pub const fn hash(&self) -> LmsHash {
        self.hash
    }

    /// Height of the tree.
    pub const fn height(&self) -> u32 {
        self.height as u32
    }

    /// Bits of the message for each chain.
    pub const fn winternitz(&self) -> u32 {
        self.winternitz as u32
    }

    const fn n(&self) -> usize {
        self.hash.size()
    }

    /// Number of chains, p in RFC 8554: those of the digest and those of the checksum.
    const fn chains(&self) -> usize {
        let n24 = self.n() == 24;
        match self.winternitz {
            1 => {
                if n24 {
                    200
                } else {
                    265
                }
            }
            2 => {
                if n24 {
                    101
                } else {
                    133
                }
            }
            4 => {
                if n24 {
                    51
                } else {
                    67
                }
            }
            _ => {
                if n24 {
                    26
                } else {
                    34
                }
            }
        }
    }

    /// Left shift of the checksum, ls in RFC 8554.
    const fn shift(&self) -> u32 {
        match self.winternitz {
            1 => {
                if self.n() == 24 {
                    8
                } else {
                    7
                }
            }
            2 => 6,
            4 => 4,
            _ => 0,
        }
    }

    /// Last step of a chain, 2ʷ − 1.
    const fn last(&self) -> u8 {
        u8::MAX >> 8_u8.saturating_sub(self.winternitz)
    }

    /// Size of an LMS public key in bytes.
    pub const fn public_size(&self) -> usize {
        8_usize.saturating_add(ID).saturating_add(self.n())
    }

    /// Size of an LMS signature in bytes.
    pub const fn signature_size(&self) -> usize {
        let nodes = 1_usize.saturating_add(self.chains()).saturating_add(self.height as usize);
        12_usize.saturating_add(nodes.saturating_mul(self.n()))
    }
}

/// A digest with its checksum, cut into the digits that say how far each chain goes.
struct Digits {
    bytes: [u8; MAX_N + 2],
    winternitz: u8,
}

impl Digits {
    fn new(parameters: &LmsParameters, digest: &[u8; MAX_N]) -> Self {
        let mut digits = Self { bytes: [0; MAX_N + 2], winternitz: parameters.winternitz };
        let n = parameters.n();
        let digest = digest.get(..n).unwrap_or_default();
        let last = u16::from(parameters.last());
        let mut checksum = 0_u16;
        digits.bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
        let count = n.saturating_mul(8).checked_div(usize::from(parameters.winternitz)).unwrap_or(0);
        for index in 0..count {
            checksum = checksum.wrapping_add(last.wrapping_sub(u16::from(digits.get(index))));
        }
        let checksum = checksum.wrapping_shl(parameters.shift()).to_be_bytes();
        digits.bytes.iter_mut().skip(n).zip(checksum).for_each(|(to, from)| *to = from);
        digits
    }

    /// The digit of this chain.
    fn get(&self, index: usize) -> u8 {
        let bits = usize::from(self.winternitz);
        let start = index.wrapping_mul(bits);
        let byte = self.bytes.get(start >> 3).copied().unwrap_or(0);
        let low = 8_usize.wrapping_sub(bits).wrapping_sub(start & 7);
        (byte >> (low & 7)) & (u8::MAX >> (8_usize.wrapping_sub(bits) & 7))
    }
}

/// One tree: its identifier I and the seed of its one-time keys. A verifier has no seed.
#[derive(Clone)]
pub(crate) struct LmsTree {
    parameters: LmsParameters,
    id: [u8; ID],
    seed: [u8; MAX_N],
}

impl Drop for LmsTree {
    fn drop(&mut self) {
        wipe(&mut self.seed);
    }
}

impl LmsTree {
    /// H(I ‖ q ‖ i ‖ j ‖ value), one step of a chain or an element derived from a secret.
    fn step<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        leaf: u32,
        chain: u16,
        step: u8,
        value: &mut [u8; MAX_N],
    ) -> Result<(), Error> {
        let n = self.parameters.n();
        let input = *value;
        let output = value.get_mut(..n).ok_or(Error::Parameters)?;
        let (q, i) = (leaf.to_be_bytes(), chain.to_be_bytes());
        let input = input.get(..n).ok_or(Error::Parameters)?;
        hash(engine, self.parameters.hash.function(), &[&self.id, &q, &i, &[step], input], output)
    }

    /// Up to [`LANES`] chains, from `first` on: the value of each goes from step `from` to step `to`. With `derive`, the
    /// values are derived from the seed first, and `from` is 0.
    fn chains<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        leaf: u32,
        first: usize,
        derive: bool,
        range: &[(u8, u8)],
        values: &mut [[u8; MAX_N]; LANES],
    ) -> Result<(), Error> {
        let number = |lane: usize| u16::try_from(first.saturating_add(lane)).unwrap_or(u16::MAX);
        if self.parameters.hash.function() != Function::Sha256 {
            for (lane, (value, &(from, to))) in values.iter_mut().zip(range).enumerate() {
                if derive {
                    *value = self.seed;
                    self.step(engine, leaf, number(lane), domain::SEED, value)?;
                }
                for step in from..to {
                    self.step(engine, leaf, number(lane), step, value)?;
                }
            }
            return Ok(());
        }
        // Each input is one padded block, in which only the step and the value change.
        let n = self.parameters.n();
        let mut blocks = [[0; 64]; LANES];
        for (lane, (block, value)) in blocks.iter_mut().zip(values.iter_mut()).enumerate() {
            block[..ID].copy_from_slice(&self.id);
            block[16..20].copy_from_slice(&leaf.to_be_bytes());
            block[20..22].copy_from_slice(&number(lane).to_be_bytes());
            block[22] = domain::SEED;
            let start = if derive { &self.seed } else { &*value };
            block[23..55].copy_from_slice(start);
            let (end, bits) = if n == 24 { (47, 47_u16 * 8) } else { (55, 55_u16 * 8) };
            if let Some(padding) = block.get_mut(end..62) {
                padding.fill(0);
                padding.iter_mut().take(1).for_each(|byte| *byte = 0x80);
            }
            block[62..].copy_from_slice(&bits.to_be_bytes());
        }
        let mut digest = [0; 32];
        let mut compress = |block: &mut [u8; 64]| {
            let mut words = SHA256_INITIAL;
            engine.sha256(&mut words, block)?;
            words_to_bytes(&words, &mut digest);
            if n == 32 {
                block[23..55].copy_from_slice(&digest);
            } else {
                block[23..47].copy_from_slice(&digest[..24]);
            }
            Ok(())
        };
        if derive {
            blocks.iter_mut().zip(range).try_for_each(|(block, _)| compress(block))?;
        }
        let begin = range.iter().map(|(from, _)| *from).min().unwrap_or(0);
        let end = range.iter().map(|(_, to)| *to).max().unwrap_or(0);
        for step in begin..end {
            for (block, &(from, to)) in blocks.iter_mut().zip(range) {
                if step >= from && step < to {
                    block[22] = step;
                    compress(block)?;
                }
            }
        }
        for (block, value) in blocks.iter_mut().zip(values) {
            value.copy_from_slice(&block[23..55]);
            wipe(block);
        }
        wipe(&mut digest);
        Ok(())
    }

    /// The digest of a message that a one-time key signs.
    fn digest<E: Engine + ?Sized, M: Message + ?Sized>(
        &self,
        engine: &mut E,
        leaf: u32,
        randomizer: &[u8],
        message: &M,
    ) -> Result<Digits, Error> {
        let mut hasher = Hasher::new(self.parameters.hash.function());
        for part in [self.id.as_slice(), &leaf.to_be_bytes(), &domain::MESSAGE, randomizer] {
            hasher.update(engine, part)?;
        }
        message.read(&mut |part| hasher.update(engine, part))?;
        let mut digest = [0; MAX_N];
        hasher.finish(engine, digest.get_mut(..self.parameters.n()).ok_or(Error::Parameters)?)?;
        Ok(Digits::new(&self.parameters, &digest))
    }

    /// Writes the signature of a message by a leaf whose authentication path is known.
    fn sign<E: Engine + ?Sized, M: Message + ?Sized>(
        &self,
        engine: &mut E,
        leaf: u32,
        path: &[u8],
        message: &M,
        output: &mut dyn Output,
    ) -> Result<(), Error> {
        let parameters = &self.parameters;
        let n = parameters.n();
        let mut randomizer = self.seed;
        self.step(engine, leaf, domain::RANDOMIZER, domain::SEED, &mut randomizer)?;
        let randomizer = randomizer.get(..n).ok_or(Error::Parameters)?;
        output.write(&leaf.to_be_bytes())?;
        output.write(&parameters.ots_type().to_be_bytes())?;
        output.write(randomizer)?;
        let digits = self.digest(engine, leaf, randomizer, message)?;
        let mut values = [[0; MAX_N]; LANES];
        for first in (0..parameters.chains()).step_by(LANES) {
            let count = parameters.chains().saturating_sub(first).min(LANES);
            let mut range = [(0, 0); LANES];
            for (lane, (_, to)) in range.iter_mut().enumerate() {
                *to = digits.get(first.saturating_add(lane));
            }
            let range = range.get(..count).unwrap_or_default();
            self.chains(engine, leaf, first, true, range, &mut values)?;
            for value in values.iter().take(count) {
                output.write(value.get(..n).ok_or(Error::Parameters)?)?;
            }
        }
        wipe(values.as_flattened_mut());
        output.write(&parameters.lms_type().to_be_bytes())?;
        output.write(path)
    }

    /// Reads a signature of `message` and checks it against the root of this tree.
    fn verify<E: Engine + ?Sized, M: Message + ?Sized>(
        &self,
        engine: &mut E,
        root: &[u8],
        message: &M,
        signature: &mut Cursor<'_>,
    ) -> Result<(), Error> {
        let parameters = &self.parameters;
        let n = parameters.n();
        let leaf = read_u32(signature)?;
        if leaf >> parameters.height != 0 || read_u32(signature)? != parameters.ots_type() {
            return Err(Error::Signature);
        }
        let mut value = [0; MAX_NODE];
        let node = value.get_mut(..n).ok_or(Error::Parameters)?;
        signature.read(node)?;
        let digits = self.digest(engine, leaf, node, message)?;
        let mut hasher = Hasher::new(parameters.hash.function());
        for part in [self.id.as_slice(), &leaf.to_be_bytes(), &domain::PUBLIC] {
            hasher.update(engine, part)?;
        }
        let mut values = [[0; MAX_N]; LANES];
        for first in (0..parameters.chains()).step_by(LANES) {
            let count = parameters.chains().saturating_sub(first).min(LANES);
            let mut range = [(0, parameters.last()); LANES];
            for (lane, (from, _)) in range.iter_mut().enumerate() {
                *from = digits.get(first.saturating_add(lane));
            }
            for value in values.iter_mut().take(count) {
                signature.read(value.get_mut(..n).ok_or(Error::Parameters)?)?;
            }
            let range = range.get(..count).unwrap_or_default();
            self.chains(engine, leaf, first, false, range, &mut values)?;
            for value in values.iter().take(count) {
                hasher.update(engine, value.get(..n).ok_or(Error::Parameters)?)?;
            }
        }
        hasher.finish(engine, value.get_mut(..n).ok_or(Error::Parameters)?)?;
        self.hash_leaf(engine, leaf, &mut value)?;
        if read_u32(signature)? != parameters.lms_type() {
            return Err(Error::Signature);
        }
        let mut index = leaf;
        for level in 1..=parameters.height() {
            let mut sibling = [0; MAX_NODE];
            signature.read(sibling.get_mut(..n).ok_or(Error::Parameters)?)?;
            if index & 1 == 0 {
                core::mem::swap(&mut sibling, &mut value);
            }
            index >>= 1;
            self.parent(engine, level, index, sibling.get(..n).ok_or(Error::Parameters)?, &mut value)?;
        }
        if bool::from(value.get(..n).unwrap_or_default().ct_eq(root)) {
            Ok(())
        } else {
            Err(Error::Signature)
        }
    }

    /// Replaces a one-time public key by the leaf of the tree.
    fn hash_leaf<E: Engine + ?Sized>(
        &self,
        engine: &mut E,
        leaf: u32,
        value: &mut Node,
    ) -> Result<(), Error> {
        let n = self.parameters.n();
        let number = (1_u32 << self.parameters.height).wrapping_add(leaf).to_be_bytes();
        let key = *value;
        let key = key.get(..n).ok_or(Error::Parameters)?;
        let output = value.get_mut(..n).ok_or(Error::Parameters)?;
        hash(engine, self.parameters.hash.function(), &[&self.id, &number, &domain::LEAF, key], output)
    }

    /// The tree whose root the leaf signs.
    fn child<E: Engine + ?Sized>(&self, engine: &mut E, leaf: u32) -> Result<Self, Error> {
        let mut child = self.clone();
        self.step(engine, leaf, domain::CHILD_SEED, domain::SEED, &mut child.seed)?;
        let mut id = self.seed;
        self.step(engine, leaf, domain::CHILD_ID, domain::SEED, &mut id)?;
        child.id = *id.first_chunk().ok_or(Error::Parameters)?;
        Ok(child)
    }
}

impl Tree for LmsTree {
    fn leaf<E: Engine + ?Sized>(&self, engine: &mut E, index: u32, output: &mut Node) -> Result<(), Error> {
        let parameters = &self.parameters;
        let n = parameters.n();
        let mut hasher = Hasher::new(parameters.hash.function());
        for part in [self.id.as_slice(), &index.to_be_bytes(), &domain::PUBLIC] {
            hasher.update(engine, part)?;
        }
        let mut values = [[0; MAX_N]; LANES];
        let range = [(0, parameters.last()); LANES];
        for first in (0..parameters.chains()).step_by(LANES) {
            let count = parameters.chains().saturating_sub(first).min(LANES);
            self.chains(engine, index, first, true, range.get(..count).unwrap_or_default(), &mut values)?;
            for value in values.iter().take(count) {
                hasher.update(engine, value.get(..n).ok_or(Error::Parameters)?)?;
            }
        }
        hasher.finish(engine, output.get_mut(..n).ok_or(Error::Parameters)?)?;
        self.hash_leaf(engine, index, output)
    }

    fn name<E: Engine + ?Sized>(&self, engine: &mut E) -> Result<[u8; 32], Error> {
        let parameters = &self.parameters;
        let seed = self.seed.get(..parameters.n()).ok_or(Error::Parameters)?;
        let (lms, ots) = (parameters.lms_type().to_be_bytes(), parameters.ots_type().to_be_bytes());
        let mut name = [0; 32];
        let parts = [b"casemate leaves of LMS".as_slice(), &lms, &ots, &self.id, seed];
        hash(engine, parameters.hash.function(), &parts, &mut name)?;
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
        let n = self.parameters.n();
        let number =
            (1_u32 << self.parameters.height().saturating_sub(level)).wrapping_add(index).to_be_bytes();
        let right = *node;
        let right = right.get(..n).ok_or(Error::Parameters)?;
        let output = node.get_mut(..n).ok_or(Error::Parameters)?;
        let parts = [self.id.as_slice(), &number, &domain::INTERIOR, left, right];
        hash(engine, self.parameters.hash.function(), &parts, output)
    }
}

fn read_u32(input: &mut Cursor<'_>) -> Result<u32, Error> {
    let mut bytes = [0; 4];
    input.read(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

/// The parameters of an HSS private key: one to eight levels of LMS trees, all of the same parameters.
///
/// A public key of these parameters verifies signatures of any levels' parameters, as RFC 8554 has it:
/// [`hss_verify`] reads them from the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HssParameters {
    lms: LmsParameters,
    levels: u8,
}

impl HssParameters {
    /// `None` unless there are 1 to 8 levels with 2⁶² signatures at most.
    pub const fn new(levels: u32, lms: LmsParameters) -> Option<Self> {
        if levels < 1 || levels > MAX_LEVELS || levels.saturating_mul(lms.height()) > 62 {
            return None;
        }
        Some(Self { lms, levels: levels.to_le_bytes()[0] })
    }

    /// The parameters of each level.
    pub const fn lms(&self) -> LmsParameters {
        self.lms
    }

    /// Number of levels.
    pub const fn levels(&self) -> u32 {
        self.levels as u32
    }

    fn below(&self) -> usize {
        usize::from(self.levels).saturating_sub(1)
    }
}

impl Scheme for HssParameters {
    fn public_size(&self) -> usize {
        self.lms.public_size().saturating_add(4)
    }

    fn signature_size(&self) -> usize {
        let signatures = usize::from(self.levels).saturating_mul(self.lms.signature_size());
        4_usize.saturating_add(signatures).saturating_add(self.below().saturating_mul(self.lms.public_size()))
    }
}

impl Hypertree for HssParameters {
    type Tree = LmsTree;

    fn function(&self) -> Function {
        self.lms.hash.function()
    }

    fn node(&self) -> usize {
        self.lms.n()
    }

    fn layers(&self) -> u32 {
        self.levels()
    }

    fn height(&self) -> u32 {
        self.lms.height()
    }

    /// One byte for each level, the LMS type in the upper half and the LM-OTS type in the lower one, and 0xff for levels
    /// that are not there (document 03, §12.4). Types that need more bits have a form of their own, which starts with
    /// 0xf0: there is no LMS type 15 with the LM-OTS type 0.
    fn marks(&self) -> [u8; 8] {
        let (lms, ots) = (self.lms.lms_type(), self.lms.ots_type());
        let mut marks = [0xff; 8];
        let mark = u8::try_from(lms.wrapping_shl(4).wrapping_add(ots)).ok().filter(|_| lms < 15 && ots < 15);
        match mark {
            Some(mark) => marks.iter_mut().take(usize::from(self.levels)).for_each(|byte| *byte = mark),
            None => {
                let [.., lms] = lms.to_be_bytes();
                let [.., ots] = ots.to_be_bytes();
                marks = [0xf0, self.levels, lms, ots, 0xf0, 0xf0, 0xf0, 0xf0];
            }
        }
        marks
    }

    /// SEED and I of the tree on top.
    fn secret(&self) -> usize {
        self.lms.n().saturating_add(ID)
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
    ) -> Result<LmsTree, Error> {
        let (seed, id) = secret.split_at_checked(self.lms.n()).ok_or(Error::State)?;
        let mut tree =
            LmsTree { parameters: self.lms, id: *id.first_chunk().ok_or(Error::State)?, seed: [0; MAX_N] };
        tree.seed.get_mut(..seed.len()).ok_or(Error::State)?.copy_from_slice(seed);
        let below = self.levels().saturating_sub(1);
        for upper in (layer..below).rev() {
            let shift = self.height().saturating_mul(upper.saturating_sub(layer));
            let leaf = index.checked_shr(shift).unwrap_or(0) & (1_u64 << self.lms.height).wrapping_sub(1);
            tree = tree.child(engine, u32::try_from(leaf).map_err(|_| Error::State)?)?;
        }
        Ok(tree)
    }

    fn public(&self, secret: &[u8], root: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let id = secret.get(self.lms.n()..).ok_or(Error::State)?;
        let mut output = output;
        output.write(&self.levels().to_be_bytes())?;
        write_public(&self.lms, id, root, &mut output)
    }

    fn sign<E: Engine + ?Sized, M: Message + ?Sized>(
        &self,
        engine: &mut E,
        view: &View<'_>,
        message: &M,
        output: &mut dyn Output,
    ) -> Result<(), Error> {
        output.write(&self.levels().saturating_sub(1).to_be_bytes())?;
        for layer in (1..self.levels()).rev() {
            let (index, leaf) = view.place(layer);
            let tree = self.tree(engine, view.secret(), layer, index)?;
            let child = tree.child(engine, leaf)?;
            let mut public = [0; LARGEST_PUBLIC];
            let public = public.get_mut(..self.lms.public_size()).ok_or(Error::Parameters)?;
            write_public(&self.lms, &child.id, view.root(layer.saturating_sub(1)), &mut &mut *public)?;
            tree.sign(engine, leaf, view.path(layer), public, output)?;
            output.write(public)?;
        }
        let (index, leaf) = view.place(0);
        self.tree(engine, view.secret(), 0, index)?.sign(engine, leaf, view.path(0), message, output)
    }
}

fn write_public(
    parameters: &LmsParameters,
    id: &[u8],
    root: &[u8],
    output: &mut dyn Output,
) -> Result<(), Error> {
    output.write(&parameters.lms_type().to_be_bytes())?;
    output.write(&parameters.ots_type().to_be_bytes())?;
    output.write(id)?;
    output.write(root)
}

/// The parameters and the tree of an LMS public key, and the root in it.
fn parse_public(public: &[u8]) -> Option<(LmsTree, &[u8])> {
    let (lms, rest) = public.split_first_chunk()?;
    let (ots, rest) = rest.split_first_chunk()?;
    let (id, root) = rest.split_first_chunk()?;
    let parameters = LmsParameters::from_types(u32::from_be_bytes(*lms), u32::from_be_bytes(*ots))?;
    let tree = LmsTree { parameters, id: *id, seed: [0; MAX_N] };
    (root.len() == parameters.n()).then_some((tree, root))
}

/// Verifies an LMS signature (RFC 8554, §5.4.2). The public key names its parameters.
///
/// # Errors
/// [`Error::Parameters`] if `public` is no LMS public key; [`Error::Signature`] if the signature is not one of this
/// message, or has another length; [`Error::Engine`]; what `message` and `signature` answer.
pub fn lms_verify<E: Engine + ?Sized, M: Message + ?Sized>(
    engine: &mut E,
    public: &[u8],
    message: &M,
    mut signature: impl Input,
) -> Result<(), Error> {
    let (tree, root) = parse_public(public).ok_or(Error::Parameters)?;
    let mut cursor = Cursor::new(&mut signature);
    tree.verify(engine, root, message, &mut cursor)?;
    cursor.end()
}

/// Verifies an HSS signature (RFC 8554, §6.3). The public keys name their parameters, of each level its own.
///
/// # Errors
/// As [`lms_verify`].
pub fn hss_verify<E: Engine + ?Sized, M: Message + ?Sized>(
    engine: &mut E,
    public: &[u8],
    message: &M,
    mut signature: impl Input,
) -> Result<(), Error> {
    let (levels, lms) = public.split_first_chunk().ok_or(Error::Parameters)?;
    let levels = u32::from_be_bytes(*levels);
    if !(1..=MAX_LEVELS).contains(&levels) {
        return Err(Error::Parameters);
    }
    let mut keys = [[0; LARGEST_PUBLIC]; 2];
    let [key, next] = &mut keys;
    let mut length = lms.len();
    key.get_mut(..length).ok_or(Error::Parameters)?.copy_from_slice(lms);
    parse_public(lms).ok_or(Error::Parameters)?;
    let mut cursor = Cursor::new(&mut signature);
    if read_u32(&mut cursor)? != levels.wrapping_sub(1) {
        return Err(Error::Signature);
    }
    for _ in 1..levels {
        let key_bytes = key.get(..length).unwrap_or_default();
        let (tree, root) = parse_public(key_bytes).ok_or(Error::Signature)?;
        // The next public key lies behind the signature of it, and says itself how long it is.
        let distance = tree.parameters.signature_size();
        let (head, tail) = next.split_at_mut(8);
        cursor.read_ahead(distance, head)?;
        let [l0, l1, l2, l3, o0, o1, o2, o3] = *head.first_chunk().ok_or(Error::Signature)?;
        let parameters = LmsParameters::from_types(
            u32::from_be_bytes([l0, l1, l2, l3]),
            u32::from_be_bytes([o0, o1, o2, o3]),
        );
        length = parameters.ok_or(Error::Signature)?.public_size();
        let tail = tail.get_mut(..length.saturating_sub(8)).ok_or(Error::Signature)?;
        cursor.read_ahead(distance.saturating_add(8), tail)?;
        let next_bytes = next.get(..length).unwrap_or_default();
        tree.verify(engine, root, next_bytes, &mut cursor)?;
        cursor.skip(length);
        core::mem::swap(key, next);
    }
    let (tree, root) = parse_public(key.get(..length).unwrap_or_default()).ok_or(Error::Signature)?;
    tree.verify(engine, root, message, &mut cursor)?;
    cursor.end()
}
