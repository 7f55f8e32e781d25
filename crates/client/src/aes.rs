//! AES in ECB, CBC, CTR and GCM mode (document 04, §5; FIPS 197, NIST SP 800-38A, SP 800-38D).

use crate::client::overwrite;
use crate::key::named;
use crate::operation::{crypto_kind, demand, length_u32, tail};
use crate::{Argument, Client, Error, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::crypto::{
    CbcRequest, CbcResponse, CtrRequest, CtrResponse, EcbRequest, EcbResponse, GcmRequest, GcmResponse,
    cipher,
};
use casemate_protocol::{KeyId, Kind};
use casemate_transport::{ClientTransport, Clock};
use core::fmt;
use zeroize::Zeroize;

/// AES block size in bytes.
pub(crate) const BLOCK: usize = 16;

/// Payload bytes besides data and inline key (document 04, §3.10).
const ECB_OVERHEAD: usize = 28;
const CBC_OVERHEAD: usize = 44;
const CTR_OVERHEAD: usize = 64;
const GCM_OVERHEAD: usize = 40;

/// The key of an operation.
#[derive(Clone, Copy)]
pub enum Key<'a> {
    /// A key that the server holds, whose flags allow the operation.
    Id(KeyId),
    /// The key's bytes, which travel with every request. Whoever sees the channel sees the key.
    Inline(&'a [u8]),
}

impl fmt::Debug for Key<'_> {
    /// Inline keys are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.debug_tuple("Id").field(id).finish(),
            Self::Inline(key) => write!(f, "Inline({} bytes)", key.len()),
        }
    }
}

impl From<KeyId> for Key<'_> {
    fn from(id: KeyId) -> Self {
        Self::Id(id)
    }
}

/// A key as its fields in a request: length of the inline key, identifier, inline key.
pub(crate) struct KeyFields<'a> {
    pub(crate) length: u32,
    pub(crate) id: KeyId,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Key<'a> {
    /// How many payload bytes the key takes.
    pub(crate) const fn inline_length(&self) -> usize {
        match self {
            Self::Id(_) => 0,
            Self::Inline(key) => key.len(),
        }
    }

    /// The fields of a key of any length.
    pub(crate) fn fields(&self) -> Result<KeyFields<'a>, Argument> {
        Ok(match *self {
            Self::Id(id) => KeyFields { length: 0, id: named(id)?, bytes: &[] },
            Self::Inline([]) => return Err(Argument::KeyLength),
            Self::Inline(bytes) => KeyFields { length: length_u32(bytes.len()), id: KeyId::NONE, bytes },
        })
    }

    /// The fields of an AES key.
    pub(crate) fn aes_fields(&self) -> Result<KeyFields<'a>, Argument> {
        match self {
            Self::Inline(key) if !matches!(key.len(), 16 | 24 | 32) => Err(Argument::KeyLength),
            _ => self.fields(),
        }
    }

    /// Marks a request with an inline key as secret.
    pub(crate) const fn mark(&self, request: &mut RequestWriter<'_>) {
        if let Self::Inline(_) = self {
            request.mark_secret();
        }
    }
}

/// Which way a cipher goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Plaintext to ciphertext; needs a key with `USAGE_ENCRYPT`.
    Encrypt,
    /// Ciphertext to plaintext; needs a key with `USAGE_DECRYPT`.
    Decrypt,
}

impl Direction {
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Encrypt => 1,
            Self::Decrypt => 0,
        }
    }
}

const fn whole_blocks(data: &[u8]) -> Result<(), Argument> {
    if data.len().is_multiple_of(BLOCK) { Ok(()) } else { Err(Argument::BlockMultiple) }
}

/// AES-ECB on as many blocks as fit one packet; yields the result.
#[derive(Debug, Clone, Copy)]
pub struct Ecb<'a> {
    /// Which way.
    pub direction: Direction,
    /// The key.
    pub key: Key<'a>,
    /// The data: whole blocks.
    pub input: &'a [u8],
}

impl Operation for Ecb<'_> {
    const KIND: Kind = crypto_kind::<EcbRequest>();
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        whole_blocks(self.input)?;
        let key = self.key.aes_fields()?;
        self.key.mark(request);
        request.put_crypto(
            cipher::AES_ECB,
            0,
            &EcbRequest {
                encrypt: self.direction.code(),
                key_length: key.length,
                length: length_u32(self.input.len()),
                key: key.id,
            },
        );
        request.put_bytes(self.input);
        request.put_bytes(key.bytes);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (EcbResponse { length }, rest) = response.crypto(cipher::AES_ECB)?;
        demand(length == length_u32(self.input.len()))?;
        Ok(tail(rest).take_u32(length)?)
    }
}

/// AES-CBC on as many blocks as fit one packet.
#[derive(Debug, Clone, Copy)]
pub struct Cbc<'a> {
    /// Which way.
    pub direction: Direction,
    /// The key.
    pub key: Key<'a>,
    /// The initialisation vector, or what [`CbcOutput::iv`] said before.
    pub iv: [u8; 16],
    /// The data: whole blocks.
    pub input: &'a [u8],
}

/// What [`Cbc`] yields.
#[derive(Debug, Clone, Copy)]
pub struct CbcOutput<'r> {
    /// The result.
    pub data: &'r [u8],
    /// The initialisation vector for the data that follows.
    pub iv: [u8; 16],
}

impl Operation for Cbc<'_> {
    const KIND: Kind = crypto_kind::<CbcRequest>();
    type Output<'r> = CbcOutput<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        whole_blocks(self.input)?;
        let key = self.key.aes_fields()?;
        self.key.mark(request);
        request.put_crypto(
            cipher::AES_CBC,
            0,
            &CbcRequest {
                encrypt: self.direction.code(),
                key_length: key.length,
                length: length_u32(self.input.len()),
                key: key.id,
            },
        );
        request.put_bytes(self.input);
        request.put_bytes(key.bytes);
        request.put_bytes(&self.iv);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<CbcOutput<'r>, ResponseFault> {
        let (CbcResponse { length }, rest) = response.crypto(cipher::AES_CBC)?;
        demand(length == length_u32(self.input.len()))?;
        let mut rest = tail(rest);
        Ok(CbcOutput { data: rest.take_u32(length)?, iv: rest.take_array()? })
    }
}

/// Where an AES-CTR stream stands. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct CtrState {
    pub(crate) counter: [u8; 16],
    pub(crate) keystream: [u8; 16],
    pub(crate) unused: u32,
}

impl CtrState {
    /// The beginning of a stream whose first counter block is `counter`. The block counts up as one big-endian
    /// number of 128 bits.
    pub const fn new(counter: [u8; 16]) -> Self {
        Self { counter, keystream: [0; 16], unused: 0 }
    }

    /// A stream that goes on where another stood: its next counter block, the keystream of the block before, and how
    /// many bytes at the end of that are unused, at most 16.
    ///
    /// # Errors
    /// [`Argument::StreamState`] if more are said to be unused.
    pub const fn resume(counter: [u8; 16], keystream: [u8; 16], unused: u32) -> Result<Self, Argument> {
        if unused > 16 { Err(Argument::StreamState) } else { Ok(Self { counter, keystream, unused }) }
    }

    /// The keystream of the last block. It is a secret while some of it is unused.
    pub const fn keystream(&self) -> &[u8; 16] {
        &self.keystream
    }

    /// How many bytes at the end of the keystream are unused.
    pub const fn unused(&self) -> u32 {
        self.unused
    }

    /// The next counter block.
    pub const fn counter(&self) -> &[u8; 16] {
        &self.counter
    }
}

impl fmt::Debug for CtrState {
    /// The keystream is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtrState").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl Drop for CtrState {
    fn drop(&mut self) {
        self.counter.zeroize();
        self.keystream.zeroize();
        self.unused.zeroize();
    }
}

/// AES-CTR on as many bytes as fit one packet. Encryption and decryption are the same; both need a key with
/// `USAGE_ENCRYPT` (document 04, §5.3).
#[derive(Debug, Clone, Copy)]
pub struct Ctr<'a> {
    /// The key.
    pub key: Key<'a>,
    /// Where the stream stands.
    pub state: &'a CtrState,
    /// The data, of any length.
    pub input: &'a [u8],
}

/// What [`Ctr`] yields.
#[derive(Debug, Clone)]
pub struct CtrOutput<'r> {
    /// The result.
    pub data: &'r [u8],
    /// Where the stream stands afterwards.
    pub state: CtrState,
}

impl Operation for Ctr<'_> {
    const KIND: Kind = crypto_kind::<CtrRequest>();
    type Output<'r> = CtrOutput<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let key = self.key.aes_fields()?;
        request.mark_secret(); // The keystream block is one.
        request.put_crypto(
            cipher::AES_CTR,
            0,
            &CtrRequest {
                encrypt: Direction::Encrypt.code(),
                key_length: key.length,
                length: length_u32(self.input.len()),
                unused: self.state.unused,
                key: key.id,
            },
        );
        request.put_bytes(self.input);
        request.put_bytes(key.bytes);
        request.put_bytes(&self.state.counter);
        request.put_bytes(&self.state.keystream);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<CtrOutput<'r>, ResponseFault> {
        let (CtrResponse { length, unused }, rest) = response.crypto(cipher::AES_CTR)?;
        demand(length == length_u32(self.input.len()) && unused <= length_u32(BLOCK))?;
        let mut rest = tail(rest);
        let data = rest.take_u32(length)?;
        let state = CtrState { counter: rest.take_array()?, keystream: rest.take_array()?, unused };
        Ok(CtrOutput { data, state })
    }
}

/// AES-GCM encryption of data that fits one packet.
#[derive(Debug, Clone, Copy)]
pub struct GcmEncrypt<'a> {
    /// The key.
    pub key: Key<'a>,
    /// The initialisation vector, at least 1 byte, 12 by custom. The same one must never serve twice with a key.
    pub iv: &'a [u8],
    /// Additional authenticated data.
    pub aad: &'a [u8],
    /// The plaintext, possibly empty.
    pub input: &'a [u8],
    /// Length of the tag in bytes, 4..=16; servers may demand at least 12.
    pub tag_length: usize,
}

/// AES-GCM decryption of data that fits one packet; yields the plaintext.
#[derive(Debug, Clone, Copy)]
pub struct GcmDecrypt<'a> {
    /// The key.
    pub key: Key<'a>,
    /// The initialisation vector.
    pub iv: &'a [u8],
    /// Additional authenticated data.
    pub aad: &'a [u8],
    /// The ciphertext, possibly empty.
    pub input: &'a [u8],
    /// The tag, 4 to 16 bytes.
    pub tag: &'a [u8],
}

/// What [`GcmEncrypt`] yields.
#[derive(Debug, Clone, Copy)]
pub struct GcmOutput<'r> {
    /// The ciphertext.
    pub data: &'r [u8],
    /// The tag.
    pub tag: &'r [u8],
}

/// The request of both directions; only decryption sends the tag.
fn put_gcm(
    request: &mut RequestWriter<'_>,
    direction: Direction,
    operation: &GcmEncrypt<'_>,
    tag: &[u8],
) -> Result<(), Argument> {
    if operation.iv.is_empty() {
        return Err(Argument::InitialisationVector);
    }
    if !matches!(operation.tag_length, 4..=16) {
        return Err(Argument::TagLength);
    }
    let key = operation.key.aes_fields()?;
    operation.key.mark(request);
    request.put_crypto(
        cipher::AES_GCM,
        0,
        &GcmRequest {
            encrypt: direction.code(),
            key_length: key.length,
            length: length_u32(operation.input.len()),
            iv_length: length_u32(operation.iv.len()),
            aad_length: length_u32(operation.aad.len()),
            tag_length: length_u32(operation.tag_length),
            key: key.id,
        },
    );
    for tail in [operation.input, key.bytes, operation.iv, operation.aad, tag] {
        request.put_bytes(tail);
    }
    Ok(())
}

impl Operation for GcmEncrypt<'_> {
    const KIND: Kind = crypto_kind::<GcmRequest>();
    type Output<'r> = GcmOutput<'r>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        put_gcm(request, Direction::Encrypt, self, &[])?;
        request
            .expect_response(GCM_OVERHEAD.saturating_add(self.input.len()).saturating_add(self.tag_length));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<GcmOutput<'r>, ResponseFault> {
        let (GcmResponse { length, tag_length }, rest) = response.crypto(cipher::AES_GCM)?;
        demand(length == length_u32(self.input.len()) && tag_length == length_u32(self.tag_length))?;
        let mut rest = tail(rest);
        Ok(GcmOutput { data: rest.take_u32(length)?, tag: rest.take_u32(tag_length)? })
    }
}

impl Operation for GcmDecrypt<'_> {
    const KIND: Kind = crypto_kind::<GcmRequest>();
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let Self { key, iv, aad, input, tag } = *self;
        let common = GcmEncrypt { key, iv, aad, input, tag_length: tag.len() };
        put_gcm(request, Direction::Decrypt, &common, tag)
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (GcmResponse { length, .. }, rest) = response.crypto(cipher::AES_GCM)?;
        demand(length == length_u32(self.input.len()))?;
        Ok(tail(rest).take_u32(length)?)
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// AES-ECB in place, in as many requests as it takes. Equal blocks give equal results, so this is for single
    /// blocks and for building other modes.
    ///
    /// # Errors
    /// - [`Argument::BlockMultiple`], [`Argument::KeyLength`], [`Argument::KeyId`].
    /// - `NOT_FOUND`, `USAGE` (the key's flags forbid it), `BAD_ARGUMENTS` (not an AES key) from the server.
    /// - The errors of every request ([`Client::run`]). If not the first request fails, the front of `data` is
    ///   already replaced.
    pub fn aes_ecb(
        &mut self,
        direction: Direction,
        key: Key<'_>,
        data: &mut [u8],
    ) -> Result<(), Error<T::Error>> {
        whole_blocks(data)?;
        key.aes_fields()?;
        let capacity = self.capacity(ECB_OVERHEAD.saturating_add(key.inline_length()), BLOCK)?;
        self.one_piece(data.len(), capacity)?;
        for chunk in data.chunks_mut(capacity) {
            let output = self.run(&Ecb { direction, key, input: chunk })?;
            overwrite(chunk, output);
        }
        Ok(())
    }

    /// AES-CBC in place, in as many requests as it takes. `iv` then serves for the data that follows.
    ///
    /// # Errors
    /// As [`aes_ecb`](Self::aes_ecb). `iv` is then as it was.
    pub fn aes_cbc(
        &mut self,
        direction: Direction,
        key: Key<'_>,
        iv: &mut [u8; 16],
        data: &mut [u8],
    ) -> Result<(), Error<T::Error>> {
        whole_blocks(data)?;
        key.aes_fields()?;
        let capacity = self.capacity(CBC_OVERHEAD.saturating_add(key.inline_length()), BLOCK)?;
        self.one_piece(data.len(), capacity)?;
        let mut next = *iv;
        for chunk in data.chunks_mut(capacity) {
            let output = self.run(&Cbc { direction, key, iv: next, input: chunk })?;
            overwrite(chunk, output.data);
            next = output.iv;
        }
        *iv = next;
        Ok(())
    }

    /// AES-CTR in place, in as many requests as it takes. `state` then serves for the data that follows. The same
    /// call encrypts and decrypts; both need a key with `USAGE_ENCRYPT`.
    ///
    /// # Errors
    /// As [`aes_ecb`](Self::aes_ecb), but data of any length is fine. `state` is then as it was.
    pub fn aes_ctr(
        &mut self,
        key: Key<'_>,
        state: &mut CtrState,
        data: &mut [u8],
    ) -> Result<(), Error<T::Error>> {
        key.aes_fields()?;
        let capacity = self.capacity(CTR_OVERHEAD.saturating_add(key.inline_length()), BLOCK)?;
        self.one_piece(data.len(), capacity)?;
        let mut next = state.clone();
        for chunk in data.chunks_mut(capacity) {
            let output = self.run(&Ctr { key, state: &next, input: chunk })?;
            overwrite(chunk, output.data);
            next = output.state;
        }
        *state = next;
        self.wipe();
        Ok(())
    }

    /// AES-GCM encryption in place; the tag goes to `tag`, whose length (4 to 16 bytes; servers may demand at
    /// least 12) says how long it shall be. Everything must fit one packet: data, inline key, `iv` and `aad` have
    /// [`data_length`](Self::data_length) less 40 bytes together, and so have data and tag.
    ///
    /// The caller chooses `iv`, 12 bytes by custom. **The same `iv` must never serve twice with a key.**
    ///
    /// # Errors
    /// - [`Argument::InitialisationVector`], [`Argument::TagLength`], [`Argument::KeyLength`],
    ///   [`Argument::KeyId`], [`Error::TooLong`].
    /// - `NOT_FOUND`, `USAGE`, `BAD_ARGUMENTS` (not an AES key), `CRYPTO_ARGUMENT` (tag too short) from the server.
    /// - The errors of every request ([`Client::run`]). `data` is then as it was.
    pub fn aes_gcm_encrypt(
        &mut self,
        key: Key<'_>,
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error<T::Error>> {
        let tag_length = tag.len();
        let output = self.run(&GcmEncrypt { key, iv, aad, input: data, tag_length })?;
        overwrite(data, output.data);
        overwrite(tag, output.tag);
        Ok(())
    }

    /// AES-GCM decryption in place. Everything must fit one packet: data, inline key, `iv`, `aad` and `tag` have
    /// [`data_length`](Self::data_length) less 40 bytes together.
    ///
    /// # Errors
    /// As [`aes_gcm_encrypt`](Self::aes_gcm_encrypt), and `AES_GCM_AUTHENTICATION` from the server if the tag does
    /// not match. `data` is then as it was.
    pub fn aes_gcm_decrypt(
        &mut self,
        key: Key<'_>,
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Error<T::Error>> {
        let output = self.run(&GcmDecrypt { key, iv, aad, input: data, tag })?;
        overwrite(data, output);
        Ok(())
    }
}
