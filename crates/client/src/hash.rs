//! SHA-2 and SHA-3 (document 04, §6; FIPS 180-4, FIPS 202). The server compresses blocks; state and partial block
//! stay here, so any number of hashes can be under way and the server keeps nothing.

use crate::operation::{crypto_kind, demand, length_u32};
use crate::{Argument, Client, Error, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::crypto::{
    Sha2DigestResponse, Sha3Request, Sha3Response, Sha256Request, Sha256StateResponse, Sha512Request,
    Sha512StateResponse, hash,
};
use casemate_protocol::{Kind, Layout};
use casemate_transport::{ClientTransport, Clock};
use core::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The largest block, SHA3-224's, in bytes.
pub(crate) const MAX_BLOCK: usize = 144;

/// A hash algorithm that servers offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA-512/224.
    Sha512_224,
    /// SHA-512/256.
    Sha512_256,
    /// SHA3-224.
    Sha3_224,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
    /// SHA3-512.
    Sha3_512,
}

impl HashAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha512_224,
        Self::Sha512_256,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
    ];

    /// The algorithm's usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Sha512_224 => "SHA-512/224",
            Self::Sha512_256 => "SHA-512/256",
            Self::Sha3_224 => "SHA3-224",
            Self::Sha3_256 => "SHA3-256",
            Self::Sha3_384 => "SHA3-384",
            Self::Sha3_512 => "SHA3-512",
        }
    }

    /// Size of the digest in bytes.
    pub const fn digest_size(self) -> usize {
        match self {
            Self::Sha224 | Self::Sha512_224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha512_256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
        }
    }

    /// Size of a block in bytes.
    pub const fn block_size(self) -> usize {
        match self {
            Self::Sha224 | Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 | Self::Sha512_224 | Self::Sha512_256 => 128,
            Self::Sha3_224 => 144,
            Self::Sha3_256 => 136,
            Self::Sha3_384 => 104,
            Self::Sha3_512 => 72,
        }
    }

    /// The number that names this very algorithm, in key derivations and inside SHA-512 messages.
    pub(crate) const fn variant(self) -> u32 {
        match self {
            Self::Sha224 => hash::SHA224,
            Self::Sha256 => hash::SHA256,
            Self::Sha384 => hash::SHA384,
            Self::Sha512 => hash::SHA512,
            Self::Sha512_224 => hash::SHA512_224,
            Self::Sha512_256 => hash::SHA512_256,
            Self::Sha3_224 => hash::SHA3_224,
            Self::Sha3_256 => hash::SHA3_256,
            Self::Sha3_384 => hash::SHA3_384,
            Self::Sha3_512 => hash::SHA3_512,
        }
    }

    /// The number that selects the message: the truncated variants of SHA-512 travel in SHA-512 messages.
    pub(crate) const fn message(self) -> u32 {
        match self {
            Self::Sha512_224 | Self::Sha512_256 => hash::SHA512,
            other => other.variant(),
        }
    }

    /// Payload bytes of a request besides the data.
    const fn overhead(self) -> usize {
        match self.initial() {
            State::Words32(_) => 60,
            State::Words64(_) => 96,
            State::Lanes(_) => 220,
        }
    }

    /// The initial hash value: FIPS 180-4, §5.3; all zeros for SHA-3 (FIPS 202, §4).
    const fn initial(self) -> State {
        match self {
            Self::Sha224 => State::Words32([
                0xC105_9ED8,
                0x367C_D507,
                0x3070_DD17,
                0xF70E_5939,
                0xFFC0_0B31,
                0x6858_1511,
                0x64F9_8FA7,
                0xBEFA_4FA4,
            ]),
            Self::Sha256 => State::Words32([
                0x6A09_E667,
                0xBB67_AE85,
                0x3C6E_F372,
                0xA54F_F53A,
                0x510E_527F,
                0x9B05_688C,
                0x1F83_D9AB,
                0x5BE0_CD19,
            ]),
            Self::Sha384 => State::Words64([
                0xCBBB_9D5D_C105_9ED8,
                0x629A_292A_367C_D507,
                0x9159_015A_3070_DD17,
                0x152F_ECD8_F70E_5939,
                0x6733_2667_FFC0_0B31,
                0x8EB4_4A87_6858_1511,
                0xDB0C_2E0D_64F9_8FA7,
                0x47B5_481D_BEFA_4FA4,
            ]),
            Self::Sha512 => State::Words64([
                0x6A09_E667_F3BC_C908,
                0xBB67_AE85_84CA_A73B,
                0x3C6E_F372_FE94_F82B,
                0xA54F_F53A_5F1D_36F1,
                0x510E_527F_ADE6_82D1,
                0x9B05_688C_2B3E_6C1F,
                0x1F83_D9AB_FB41_BD6B,
                0x5BE0_CD19_137E_2179,
            ]),
            Self::Sha512_224 => State::Words64([
                0x8C3D_37C8_1954_4DA2,
                0x73E1_9966_89DC_D4D6,
                0x1DFA_B7AE_32FF_9C82,
                0x679D_D514_582F_9FCF,
                0x0F6D_2B69_7BD4_4DA8,
                0x77E3_6F73_04C4_8942,
                0x3F9D_85A8_6A1D_36C8,
                0x1112_E6AD_91D6_92A1,
            ]),
            Self::Sha512_256 => State::Words64([
                0x2231_2194_FC2B_F72C,
                0x9F55_5FA3_C84C_64C2,
                0x2393_B86B_6F53_B151,
                0x9638_7719_5940_EABD,
                0x9628_3EE2_A88E_FFE3,
                0xBE5E_1E25_5386_3992,
                0x2B01_99FC_2C85_B8AA,
                0x0EB7_2DDC_81C5_2CA2,
            ]),
            Self::Sha3_224 | Self::Sha3_256 | Self::Sha3_384 | Self::Sha3_512 => State::Lanes([0; 25]),
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Chaining variables, or Keccak lanes.
#[derive(Clone)]
pub(crate) enum State {
    Words32([u32; 8]),
    Words64([u64; 8]),
    Lanes([u64; 25]),
}

/// A hash under way: about 400 bytes, wiped when dropped. A copy is a hash of its own.
#[derive(Clone)]
pub struct Hash {
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) state: State,
    /// Bytes compressed so far.
    pub(crate) compressed: u64,
    /// Bytes not compressed yet: fewer than a block.
    block: [u8; MAX_BLOCK],
    pub(crate) buffered: usize,
    /// Whether the data is a secret, as an HMAC's key is.
    secret: bool,
}

impl fmt::Debug for Hash {
    /// State and data are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hash")
            .field("algorithm", &self.algorithm)
            .field("compressed", &self.compressed)
            .field("buffered", &self.buffered)
            .finish_non_exhaustive()
    }
}

impl Drop for Hash {
    fn drop(&mut self) {
        match &mut self.state {
            State::Words32(words) => words.zeroize(),
            State::Words64(words) => words.zeroize(),
            State::Lanes(lanes) => lanes.zeroize(),
        }
        self.block.zeroize();
    }
}

impl Hash {
    /// The hash of no data so far.
    pub const fn new(algorithm: HashAlgorithm) -> Self {
        Self {
            algorithm,
            state: algorithm.initial(),
            compressed: 0,
            block: [0; MAX_BLOCK],
            buffered: 0,
            secret: false,
        }
    }

    pub(crate) const fn secret(algorithm: HashAlgorithm) -> Self {
        let mut hash = Self::new(algorithm);
        hash.secret = true;
        hash
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Keeps `data` if it leaves the block incomplete; nothing need be sent then.
    ///
    /// # Errors
    /// Gives the data back if it completes a block: carry out [`Absorb`] with it instead.
    pub fn keep<'d>(&mut self, data: &'d [u8]) -> Result<(), &'d [u8]> {
        if data.len() >= self.algorithm.block_size().saturating_sub(self.buffered) {
            return Err(data);
        }
        let end = self.buffered.saturating_add(data.len());
        match self.block.get_mut(self.buffered..end) {
            Some(space) => space.copy_from_slice(data),
            None => return Err(data),
        }
        self.buffered = end;
        Ok(())
    }

    /// How much data one [`Absorb`] takes at most with a client whose packet data length is `data_length`; 0 if
    /// not even a block fits.
    pub const fn capacity(&self, data_length: usize) -> usize {
        let room = data_length.saturating_sub(self.algorithm.overhead());
        let block = self.algorithm.block_size();
        let whole = match room.checked_rem(block) {
            Some(rest) => room.saturating_sub(rest),
            None => 0,
        };
        whole.saturating_sub(self.buffered)
    }

    fn partial(&self) -> &[u8] {
        self.block.get(..self.buffered).unwrap_or_default()
    }

    fn high(&self) -> u32 {
        u32::try_from(self.compressed >> 32).unwrap_or(u32::MAX)
    }

    const fn low(&self) -> u32 {
        let [a, b, c, d, ..] = self.compressed.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// Puts a request's header and fixed part for `length` bytes of data.
    fn put(&self, request: &mut RequestWriter<'_>, last: u32, length: usize) {
        let algorithm = self.algorithm.message();
        let (length_high, length_low, length) = (self.high(), self.low(), length_u32(length));
        if self.secret {
            request.mark_secret();
        }
        match self.state {
            State::Words32(state) => {
                let fixed = Sha256Request { length_high, length_low, state, last, length };
                request.put_crypto(algorithm, 0, &fixed);
            }
            State::Words64(state) => {
                let variant = self.algorithm.variant();
                let fixed = Sha512Request { length_high, length_low, state, variant, last, length };
                request.put_crypto(algorithm, 0, &fixed);
            }
            State::Lanes(state) => request.put_crypto(algorithm, 0, &Sha3Request { last, length, state }),
        }
        let response = match self.state {
            State::Words32(_) | State::Words64(_) => Sha2DigestResponse::SIZE,
            State::Lanes(_) => Sha3Response::SIZE,
        };
        request.expect_response(response.saturating_add(12));
    }

    /// A server without a truncated variant of SHA-512 answers as SHA-512, whose state is the same and whose
    /// digest begins with the same bytes.
    fn check_variant(&self, variant: u32) -> Result<(), ResponseFault> {
        demand(variant == self.algorithm.variant() || variant == self.algorithm.message())
    }
}

/// A digest or HMAC: up to 64 bytes, wiped when dropped. Comparison takes the same time whatever the bytes are.
#[derive(Clone)]
pub struct Digest {
    bytes: [u8; 64],
    length: usize,
}

impl Digest {
    fn new(bytes: [u8; 64], algorithm: HashAlgorithm) -> Self {
        Self { bytes, length: algorithm.digest_size() }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Compresses all whole blocks of what a hash has buffered and of new data; yields the hash afterwards, with what
/// is left over in its buffer. The hash it was made from is not changed, so a failure costs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Absorb<'a> {
    /// The hash before.
    pub hash: &'a Hash,
    /// The data: enough to complete a block, and at most [`Hash::capacity`] bytes.
    pub data: &'a [u8],
}

impl<'a> Absorb<'a> {
    /// Length of all whole blocks; data that belongs to them; data left over.
    fn split(&self) -> (usize, &'a [u8], &'a [u8]) {
        let total = self.hash.buffered.saturating_add(self.data.len());
        let rest = total.checked_rem(self.hash.algorithm.block_size()).unwrap_or(0);
        let whole = total.saturating_sub(rest);
        let (now, later) =
            self.data.split_at_checked(whole.saturating_sub(self.hash.buffered)).unwrap_or((self.data, &[]));
        (whole, now, later)
    }
}

impl Operation for Absorb<'_> {
    const KIND: Kind = crypto_kind::<Sha256Request>();
    type Output<'r> = Hash;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let (whole, now, _) = self.split();
        if whole == 0 {
            return Err(Argument::NoWholeBlock);
        }
        self.hash.put(request, 0, whole);
        request.put_bytes(self.hash.partial());
        request.put_bytes(now);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Hash, ResponseFault> {
        let (whole, _, later) = self.split();
        let mut hash = self.hash.clone();
        hash.compressed = hash.compressed.wrapping_add(u64::try_from(whole).unwrap_or(0));
        let algorithm = hash.algorithm.message();
        match &mut hash.state {
            State::Words32(state) => {
                let (answer, _): (Sha256StateResponse, _) = response.crypto(algorithm)?;
                *state = answer.state;
                hash.check_variant(answer.variant)?;
                demand(answer.length_high == hash.high() && answer.length_low == hash.low())?;
            }
            State::Words64(state) => {
                let (answer, _): (Sha512StateResponse, _) = response.crypto(algorithm)?;
                *state = answer.state;
                hash.check_variant(answer.variant)?;
                // The original does not carry into the high word (document 04, §6.2), so only the low one counts.
                demand(answer.length_low == hash.low())?;
            }
            State::Lanes(state) => {
                let (answer, _): (Sha3Response, _) = response.crypto(algorithm)?;
                *state = answer.state;
            }
        }
        hash.buffered = 0;
        // What is left over is shorter than a block.
        demand(hash.keep(later).is_ok())?;
        Ok(hash)
    }
}

/// Finishes a hash; yields the digest. The hash itself is not changed: it can go on.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a> {
    /// The hash.
    pub hash: &'a Hash,
}

impl Operation for Finish<'_> {
    const KIND: Kind = crypto_kind::<Sha256Request>();
    type Output<'r> = Digest;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        self.hash.put(request, 1, self.hash.buffered);
        request.put_bytes(self.hash.partial());
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Digest, ResponseFault> {
        let algorithm = self.hash.algorithm.message();
        let digest = match self.hash.state {
            State::Words32(_) | State::Words64(_) => {
                let (answer, _): (Sha2DigestResponse, _) = response.crypto(algorithm)?;
                self.hash.check_variant(answer.variant)?;
                answer.digest
            }
            State::Lanes(_) => {
                let (answer, _): (Sha3Response, _) = response.crypto(algorithm)?;
                answer.digest
            }
        };
        Ok(Digest::new(digest, self.hash.algorithm))
    }
}

/// A hash bound to the client that computes it; see [`Client::hasher`].
#[derive(Debug)]
pub struct Hasher<'c, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    client: &'c mut Client<T, B, C>,
    hash: Hash,
}

impl<T, B, C> Hasher<'_, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Adds data.
    ///
    /// # Errors
    /// As [`Client::hash_update`].
    pub fn update(&mut self, data: &[u8]) -> Result<(), Error<T::Error>> {
        self.client.hash_update(&mut self.hash, data)
    }

    /// Returns the digest of all data.
    ///
    /// # Errors
    /// As [`Client::hash_finish`].
    pub fn finish(self) -> Result<Digest, Error<T::Error>> {
        self.client.hash_finish(&self.hash)
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// A hash that this client computes. To have several under way, use a [`struct@Hash`] with
    /// [`hash_update`](Self::hash_update) and [`hash_finish`](Self::hash_finish).
    pub const fn hasher(&mut self, algorithm: HashAlgorithm) -> Hasher<'_, T, B, C> {
        Hasher { client: self, hash: Hash::new(algorithm) }
    }

    /// Returns the digest of `data`.
    ///
    /// # Errors
    /// As [`hash_update`](Self::hash_update).
    pub fn hash(&mut self, algorithm: HashAlgorithm, data: &[u8]) -> Result<Digest, Error<T::Error>> {
        if data.len() >= algorithm.block_size() {
            self.must_wait()?;
        }
        let mut hash = Hash::new(algorithm);
        self.hash_update(&mut hash, data)?;
        self.hash_finish(&hash)
    }

    /// Adds `data` to `hash`, in as many requests as it takes; none if no block is completed.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the packet data length is too small for a block; `NOT_COMPILED_IN` from a server
    /// without the algorithm; and the errors of every request ([`Client::run`]). `hash` is then as it was.
    pub fn hash_update(&mut self, hash: &mut Hash, data: &[u8]) -> Result<(), Error<T::Error>> {
        let mut rest = data;
        let mut next = hash.clone();
        while let Err(more) = next.keep(rest) {
            let algorithm = next.algorithm;
            let needed = algorithm.overhead().saturating_add(algorithm.block_size());
            let limit = self.data_length();
            let piece = more.len().min(next.capacity(limit));
            let (piece, later) = more.split_at_checked(piece).unwrap_or((more, &[]));
            if piece.is_empty() {
                return Err(Error::TooLong { needed, limit });
            }
            self.one_piece(data.len(), next.capacity(limit))?;
            next = self.run(&Absorb { hash: &next, data: piece })?;
            rest = later;
        }
        *hash = next;
        if hash.secret {
            self.wipe();
        }
        Ok(())
    }

    /// Returns the digest of all data added to `hash`, which is not changed and can go on.
    ///
    /// # Errors
    /// As [`hash_update`](Self::hash_update).
    pub fn hash_finish(&mut self, hash: &Hash) -> Result<Digest, Error<T::Error>> {
        let digest = self.run(&Finish { hash });
        if hash.secret {
            self.wipe();
        }
        digest
    }
}
