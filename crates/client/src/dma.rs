//! Messages whose data lies in memory that client and server share (document 01, §10): for data larger than a packet,
//! and without a copy into it.
//!
//! The memory is the transport's: it says what the number means that stands for an address. A [`SharedArea`] is the
//! client's end of it, and a [`Placement`] puts data there and gives the [`DmaBuffer`] to name in a call. What a call
//! names belongs to the server until the call returns.
//!
//! A server whose connection has no such memory does not know these messages: calls end with
//! [`ProtocolFault::Empty`](crate::ProtocolFault::Empty).

use crate::hash::State;
use crate::key::named;
use crate::operation::{PlainCrypto, demand, length_u32, tail};
use crate::public_key::curve25519::Ed25519Mode;
use crate::public_key::signature_verdict;
use crate::{
    Argument, Client, Cmac, CtrState, Direction, Error, Hash, Key, MlDsa, MlKem, NewKey, Operation,
    RequestWriter, Response, ResponseFault,
};
use casemate_protocol::message::Request;
use casemate_protocol::message::crypto::{CmacState, CryptoRequest, action, cipher};
use casemate_protocol::message::crypto_dma::{
    CbcDmaRequest, CmacDmaRequest, CtrDmaRequest, EcbDmaRequest, Ed25519SignDmaRequest,
    Ed25519VerifyDmaRequest, GcmDmaRequest, MlDsaKeyGenerationDmaRequest, MlDsaSignDmaRequest,
    MlDsaVerifyDmaRequest, MlKemDecapsulateDmaRequest, MlKemEncapsulateDmaRequest,
    MlKemKeyGenerationDmaRequest, RandomDmaRequest, Sha3DmaRequest, Sha256DmaRequest, Sha512DmaRequest,
};
use casemate_protocol::message::key::{
    CacheDmaRequest, ExportDmaRequest, ExportDmaResponse, ExportPublicDmaRequest, KeyAlgorithm,
};
use casemate_protocol::message::nvm::{AddDmaRequest, ReadDmaRequest};
use casemate_protocol::message::public_key::{algorithm, sub_algorithm};
use casemate_protocol::{ByteOrder, DmaBuffer, Flags, KeyId, Kind, Label, Metadata, ObjectId, Writer};
use casemate_transport::{ClientTransport, Clock};
use core::fmt;

/// A place in shared memory that is not there, or no room for what was to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory shared with the server has no such place, or no room left for the data")
    }
}

impl core::error::Error for NoRoom {}

/// The client's end of the memory that it shares with the server: copies only, since the server may write it while a
/// call is under way.
pub trait SharedArea {
    /// Its length in bytes.
    fn length(&self) -> u64;

    /// The number that stands for the byte at `offset` in a message; by default the offset itself.
    fn address(&self, offset: u64) -> u64 {
        offset
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`NoRoom`] if they do not lie within.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), NoRoom>;

    /// Copies the bytes at `offset` to `out`.
    ///
    /// # Errors
    /// [`NoRoom`] if they do not lie within.
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), NoRoom>;
}

/// A buffer in shared memory: where it lies, and how to name it in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    offset: u64,
    /// What a message says of it.
    pub buffer: DmaBuffer,
}

/// Places buffers in shared memory one after the other, each at a multiple of 8.
#[derive(Debug)]
pub struct Placement<'m, M> {
    memory: &'m M,
    next: u64,
}

impl<'m, M: SharedArea> Placement<'m, M> {
    /// Nothing is placed.
    pub const fn new(memory: &'m M) -> Self {
        Self { memory, next: 0 }
    }

    /// Room for `length` bytes; what lies there is left as it is.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn reserve(&mut self, length: usize) -> Result<Placed, NoRoom> {
        let size = u64::try_from(length).map_err(|_| NoRoom)?;
        let offset = self.next;
        let end = offset.checked_add(size).filter(|&end| end <= self.memory.length()).ok_or(NoRoom)?;
        self.next = end.checked_next_multiple_of(8).ok_or(NoRoom)?;
        Ok(Placed { offset, buffer: DmaBuffer::new(self.memory.address(offset), size) })
    }

    /// Places a copy of `bytes`.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn place(&mut self, bytes: &[u8]) -> Result<Placed, NoRoom> {
        let placed = self.reserve(bytes.len())?;
        self.memory.write(placed.offset, bytes)?;
        Ok(placed)
    }

    /// Copies the first bytes of a buffer to `out`.
    ///
    /// # Errors
    /// [`NoRoom`] if the buffer is shorter than `out`.
    pub fn take(&self, placed: Placed, out: &mut [u8]) -> Result<(), NoRoom> {
        if u64::try_from(out.len()).map_err(|_| NoRoom)? > placed.buffer.size {
            return Err(NoRoom);
        }
        self.memory.read(placed.offset, out)
    }
}

/// Puts a key into the cache; yields its identifier.
#[derive(Clone, Copy)]
struct Cache {
    new: NewKey,
    key: DmaBuffer,
}

impl Operation for Cache {
    const KIND: Kind = CacheDmaRequest::KIND;
    type Output<'r> = KeyId;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.key.size == 0 {
            return Err(Argument::KeyLength);
        }
        let NewKey { id, flags, label } = self.new;
        let (flags, label_length) = (u32::from(flags.0), self.new.label_length());
        request.put(&CacheDmaRequest { key: self.key, flags, label_length, id, label });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<KeyId, ResponseFault> {
        let id = response.exact::<<CacheDmaRequest as Request>::Response>()?.id;
        demand(id.is_some())?;
        Ok(id)
    }
}

/// A key's identifier and inline bytes: the second count where both are there.
fn fields<'k>(key: &Key<'k>) -> Result<(u32, &'k [u8]), Argument> {
    let fields = key.aes_fields()?;
    Ok((u32::from(fields.id.0), fields.bytes))
}

/// The context of a message that lies in shared memory.
fn context(mode: Ed25519Mode<'_>) -> Result<&[u8], Argument> {
    let context = match mode {
        Ed25519Mode::Pure => &[],
        Ed25519Mode::Context(context) | Ed25519Mode::Prehashed(context) => context,
    };
    if context.len() > 255 { Err(Argument::ContextLength) } else { Ok(context) }
}

/// What a verification came to, read as in messages that carry their data.
fn verdict<E>(outcome: Result<u32, Error<E>>) -> Result<bool, Error<E>> {
    let outcome = match outcome {
        Ok(valid) => Ok(valid),
        Err(Error::Remote(status)) => Err(ResponseFault::Remote(status)),
        Err(error) => return Err(error),
    };
    Ok(signature_verdict(outcome)?)
}

/// What a generated key shall be, in the fields of a message.
pub(crate) fn wanted(new: &NewKey) -> (u32, u32, u32, Label) {
    (u32::from(new.flags.0), u32::from(new.id.0), new.label_length(), new.label)
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    #[allow(clippy::type_complexity)]
    fn run_crypto<R: CryptoRequest>(
        &mut self,
        algorithm: u32,
        sub_algorithm: u32,
        request: &R,
        tails: &[&[u8]],
    ) -> Result<(R::Response, &[u8]), Error<T::Error>> {
        self.run(&PlainCrypto { algorithm, sub_algorithm, request, tails })
    }

    // ----- objects and keys -----

    /// Stores an object. Its metadata is first written to `record`, 32 bytes of shared memory; its length is that of
    /// `data`, at most 65,535.
    ///
    /// # Errors
    /// As [`nvm_add`](Self::nvm_add); [`Argument::SharedMemory`] if `record` is not there.
    pub fn dma_nvm_add<M: SharedArea>(
        &mut self,
        placement: &mut Placement<'_, M>,
        metadata: &Metadata,
        data: DmaBuffer,
    ) -> Result<(), Error<T::Error>> {
        let mut bytes = [0; 32];
        Writer::new(&mut bytes, ByteOrder::Little).put(*metadata).map_err(|_| Argument::SharedMemory)?;
        let record = placement.place(&bytes).map_err(|_| Argument::SharedMemory)?;
        let length = u16::try_from(data.size).map_err(|_| Argument::SharedMemory)?;
        let request =
            AddDmaRequest { metadata_address: record.buffer.address, data_address: data.address, length };
        self.run(&crate::operation::Plain { request: &request, tails: &[] }).map(|_| ())
    }

    /// Reads an object from `offset` on, as far as it and `out` reach. The response does not say how far that is:
    /// [`nvm_metadata`](Self::nvm_metadata) does.
    ///
    /// # Errors
    /// As [`nvm_read_at`](Self::nvm_read_at).
    pub fn dma_nvm_read(&mut self, id: ObjectId, offset: u16, out: DmaBuffer) -> Result<(), Error<T::Error>> {
        let length = u16::try_from(out.size).map_err(|_| Argument::SharedMemory)?;
        let request = ReadDmaRequest { address: out.address, id, offset, length };
        self.run(&crate::operation::Plain { request: &request, tails: &[] }).map(|_| ())
    }

    /// Puts a key into the cache.
    ///
    /// # Errors
    /// As [`key_cache`](Self::key_cache).
    pub fn dma_key_cache(&mut self, new: &NewKey, key: DmaBuffer) -> Result<KeyId, Error<T::Error>> {
        self.run(&Cache { new: *new, key })
    }

    /// Reads a key; returns its length and label.
    ///
    /// # Errors
    /// As [`key_export`](Self::key_export).
    pub fn dma_key_export(&mut self, id: KeyId, out: DmaBuffer) -> Result<(usize, Label), Error<T::Error>> {
        let request = ExportDmaRequest { out, id: named(id)? };
        let (response, _) = self.run(&crate::operation::Plain { request: &request, tails: &[] })?;
        exported(response, out)
    }

    /// Reads the public half of a key; returns its length and the key's label.
    ///
    /// # Errors
    /// As [`key_export_public`](Self::key_export_public).
    pub fn dma_key_export_public(
        &mut self,
        id: KeyId,
        algorithm: KeyAlgorithm,
        out: DmaBuffer,
    ) -> Result<(usize, Label), Error<T::Error>> {
        let request = ExportPublicDmaRequest { out, id: named(id)?, algorithm: algorithm.0 };
        let (response, _) = self.run(&crate::operation::Plain { request: &request, tails: &[] })?;
        exported(response, out)
    }

    // ----- random numbers and ciphers -----

    /// Fills `out`, at most 65,536 bytes, with random bytes.
    ///
    /// # Errors
    /// As [`random`](Self::random).
    pub fn dma_random(&mut self, out: DmaBuffer) -> Result<(), Error<T::Error>> {
        self.run_crypto(u32::from(action::RANDOM), 0, &RandomDmaRequest { output: out }, &[]).map(|_| ())
    }

    /// AES-ECB from `input` to `output`, which may be the same buffer but must not begin inside the other one.
    ///
    /// # Errors
    /// As [`aes_ecb`](Self::aes_ecb).
    pub fn dma_aes_ecb(
        &mut self,
        direction: Direction,
        key: Key<'_>,
        input: DmaBuffer,
        output: DmaBuffer,
    ) -> Result<(), Error<T::Error>> {
        let ((id, bytes), encrypt) = (fields(&key)?, direction.code());
        let key_length = length_u32(bytes.len());
        let request = EcbDmaRequest { input, output, encrypt, key: id, key_length };
        self.run_crypto(cipher::AES_ECB, 0, &request, &[bytes]).map(|_| ())
    }

    /// AES-CBC from `input` to `output`, as [`dma_aes_ecb`](Self::dma_aes_ecb). `iv` becomes the one to go on with.
    ///
    /// # Errors
    /// As [`aes_cbc`](Self::aes_cbc).
    pub fn dma_aes_cbc(
        &mut self,
        direction: Direction,
        key: Key<'_>,
        iv: &mut [u8; 16],
        input: DmaBuffer,
        output: DmaBuffer,
    ) -> Result<(), Error<T::Error>> {
        let ((id, bytes), encrypt) = (fields(&key)?, direction.code());
        let key_length = length_u32(bytes.len());
        let request = CbcDmaRequest { input, output, encrypt, key: id, key_length };
        let before = *iv;
        let (_, rest) = self.run_crypto(cipher::AES_CBC, 0, &request, &[&before, bytes])?;
        *iv = tail(rest).take_array().map_err(ResponseFault::from)?;
        Ok(())
    }

    /// AES-CTR from `input` to `output`, as [`dma_aes_ecb`](Self::dma_aes_ecb), of any length; `state` moves on.
    ///
    /// # Errors
    /// As [`aes_ctr`](Self::aes_ctr).
    pub fn dma_aes_ctr(
        &mut self,
        key: Key<'_>,
        state: &mut CtrState,
        input: DmaBuffer,
        output: DmaBuffer,
    ) -> Result<(), Error<T::Error>> {
        let (id, bytes) = fields(&key)?;
        let key_length = length_u32(bytes.len());
        let unused = state.unused;
        let request = CtrDmaRequest { input, output, encrypt: 1, unused, key: id, key_length };
        let (counter, keystream) = (state.counter, state.keystream);
        let (response, rest) =
            self.run_crypto(cipher::AES_CTR, 0, &request, &[&counter, &keystream, bytes])?;
        demand(response.unused <= 16)?;
        let mut rest = tail(rest);
        state.counter = rest.take_array().map_err(ResponseFault::from)?;
        state.keystream = rest.take_array().map_err(ResponseFault::from)?;
        state.unused = response.unused;
        Ok(())
    }

    /// Encrypts with AES-GCM from `input` to `output` and writes the tag, 12 to 16 bytes.
    ///
    /// # Errors
    /// As [`aes_gcm_encrypt`](Self::aes_gcm_encrypt); BUFFER_SIZE if data and header exceed the server's memory.
    pub fn dma_aes_gcm_encrypt(
        &mut self,
        key: Key<'_>,
        iv: &[u8],
        aad: DmaBuffer,
        (input, output): (DmaBuffer, DmaBuffer),
        tag: &mut [u8],
    ) -> Result<(), Error<T::Error>> {
        let (id, bytes) = fields(&key)?;
        let request = GcmDmaRequest {
            input,
            output,
            aad,
            encrypt: 1,
            key: id,
            key_length: length_u32(bytes.len()),
            iv_length: length_u32(iv.len()),
            tag_length: length_u32(tag.len()),
        };
        let (response, rest) = self.run_crypto(cipher::AES_GCM, 0, &request, &[iv, bytes])?;
        demand(response.tag_length == length_u32(tag.len()))?;
        tag.copy_from_slice(tail(rest).take(tag.len()).map_err(ResponseFault::from)?);
        Ok(())
    }

    /// Decrypts with AES-GCM from `input` to `output`. Nothing is written unless the tag is right.
    ///
    /// # Errors
    /// As [`aes_gcm_decrypt`](Self::aes_gcm_decrypt); BUFFER_SIZE if data and header exceed the server's memory.
    pub fn dma_aes_gcm_decrypt(
        &mut self,
        key: Key<'_>,
        iv: &[u8],
        aad: DmaBuffer,
        (input, output): (DmaBuffer, DmaBuffer),
        tag: &[u8],
    ) -> Result<(), Error<T::Error>> {
        let (id, bytes) = fields(&key)?;
        let request = GcmDmaRequest {
            input,
            output,
            aad,
            encrypt: 0,
            key: id,
            key_length: length_u32(bytes.len()),
            iv_length: length_u32(iv.len()),
            tag_length: length_u32(tag.len()),
        };
        self.run_crypto(cipher::AES_GCM, 0, &request, &[iv, tag, bytes]).map(|_| ())
    }

    // ----- hashes and CMAC -----

    /// Hashes whole blocks in shared memory. Go on and finish with [`hash_update`](Self::hash_update) and
    /// [`hash_finish`](Self::hash_finish).
    ///
    /// # Errors
    /// [`Argument::BlockMultiple`] if `data` is not whole blocks, or if the data so far was not.
    pub fn dma_hash_update(&mut self, hash: &mut Hash, data: DmaBuffer) -> Result<(), Error<T::Error>> {
        let block = u64::try_from(hash.algorithm().block_size()).unwrap_or(u64::MAX);
        if hash.buffered != 0 || !data.size.is_multiple_of(block) {
            return Err(Argument::BlockMultiple.into());
        }
        let (number, [length_high, length_low]) = (hash.algorithm().message(), halves(hash.compressed));
        let compressed = hash.compressed.checked_add(data.size).ok_or(Argument::BlockMultiple)?;
        match &mut hash.state {
            State::Words32(words) => {
                let state = *words;
                let request =
                    Sha256DmaRequest { length_high, length_low, state, input: data, last: 0, length: 0 };
                *words = self.run_crypto(number, 0, &request, &[])?.0.state;
            }
            State::Words64(words) => {
                let (state, variant) = (*words, hash.algorithm.variant());
                let request = Sha512DmaRequest {
                    length_high,
                    length_low,
                    state,
                    variant,
                    input: data,
                    last: 0,
                    length: 0,
                };
                *words = self.run_crypto(number, 0, &request, &[])?.0.state;
            }
            State::Lanes(lanes) => {
                let request = Sha3DmaRequest { input: data, last: 0, length: 0, state: *lanes };
                *lanes = self.run_crypto(number, 0, &request, &[])?.0.state;
            }
        }
        hash.compressed = compressed;
        Ok(())
    }

    /// The AES-CMAC of data in shared memory, 4 to 16 bytes.
    ///
    /// # Errors
    /// As [`cmac`](Self::cmac).
    pub fn dma_cmac(&mut self, key: Key<'_>, data: DmaBuffer, mac: &mut [u8]) -> Result<(), Error<T::Error>> {
        if !(4..=16).contains(&mac.len()) {
            return Err(Argument::MacLength.into());
        }
        let (_, rest) = self.run_cmac(key, &CmacState::INITIAL, data, mac.len())?;
        mac.copy_from_slice(tail(rest).take(mac.len()).map_err(ResponseFault::from)?);
        Ok(())
    }

    /// Takes data in shared memory into a CMAC. Go on and finish with [`cmac_update`](Self::cmac_update) and
    /// [`cmac_finish`](Self::cmac_finish).
    ///
    /// # Errors
    /// As [`cmac_update`](Self::cmac_update).
    pub fn dma_cmac_update(&mut self, cmac: &mut Cmac<'_>, data: DmaBuffer) -> Result<(), Error<T::Error>> {
        cmac.state = self.run_cmac(cmac.key, &cmac.state, data, 0)?.0;
        Ok(())
    }

    fn run_cmac(
        &mut self,
        key: Key<'_>,
        state: &CmacState,
        input: DmaBuffer,
        mac_length: usize,
    ) -> Result<(CmacState, &[u8]), Error<T::Error>> {
        let fields = key.aes_fields()?;
        let CmacState { buffer, digest, buffered, total } = *state;
        let request = CmacDmaRequest {
            buffer,
            digest,
            buffered,
            total,
            input,
            mac_length: length_u32(mac_length),
            key_length: fields.length,
            length: 0,
            key: fields.id,
        };
        let (response, rest) = self.run_crypto(u32::from(action::CMAC), 0, &request, &[fields.bytes])?;
        demand(response.buffered <= 16 && response.mac_length == length_u32(mac_length))?;
        Ok((response.state(), rest))
    }

    // ----- public keys -----

    /// Signs a message in shared memory with Ed25519; the signature, 64 bytes, goes to `signature`.
    ///
    /// # Errors
    /// As [`ed25519_sign`](Self::ed25519_sign).
    pub fn dma_ed25519_sign(
        &mut self,
        key: KeyId,
        mode: Ed25519Mode<'_>,
        message: DmaBuffer,
        signature: DmaBuffer,
    ) -> Result<(), Error<T::Error>> {
        let context = context(mode)?;
        let request = Ed25519SignDmaRequest {
            message,
            signature,
            public: DmaBuffer::NONE,
            options: 0,
            key: u32::from(named(key)?.0),
            mode: mode.code(),
            context_length: length_u32(context.len()),
        };
        let (response, _) = self.run_crypto(algorithm::ED25519_SIGN, 0, &request, &[context])?;
        Ok(demand(response.length == 64)?)
    }

    /// Verifies an Ed25519 signature of a message, both in shared memory.
    ///
    /// # Errors
    /// As [`ed25519_verify`](Self::ed25519_verify).
    pub fn dma_ed25519_verify(
        &mut self,
        key: KeyId,
        mode: Ed25519Mode<'_>,
        message: DmaBuffer,
        signature: DmaBuffer,
    ) -> Result<bool, Error<T::Error>> {
        let context = context(mode)?;
        let request = Ed25519VerifyDmaRequest {
            signature,
            message,
            public: DmaBuffer::NONE,
            options: 0,
            key: u32::from(named(key)?.0),
            mode: mode.code(),
            context_length: length_u32(context.len()),
        };
        let outcome = self.run_crypto(algorithm::ED25519_VERIFY, 0, &request, &[context]);
        verdict(outcome.map(|(response, _)| response.valid))
    }

    /// Generates an ML-DSA key pair. With the flag `EPHEMERAL` the private key goes to `out` and the identifier is
    /// 0; else the key is cached and its public half goes to `out`. Returns identifier and length.
    ///
    /// # Errors
    /// As [`key_pair_generate`](Self::key_pair_generate), and a refusal if `out` is too small.
    pub fn dma_ml_dsa_generate(
        &mut self,
        parameters: MlDsa,
        new: &NewKey,
        out: DmaBuffer,
    ) -> Result<(KeyId, usize), Error<T::Error>> {
        let (flags, key, label_length, label) = wanted(new);
        let level = parameters.level();
        let request =
            MlDsaKeyGenerationDmaRequest { output: out, level, flags, key, access: 0, label_length, label };
        let number = algorithm::SIGNATURE_KEY_GENERATION;
        let (response, _) = self.run_crypto(number, sub_algorithm::ML_DSA, &request, &[])?;
        generated(new.flags, response.key, response.length, out)
    }

    /// Signs a message in shared memory with ML-DSA; the signature goes to `signature`.
    ///
    /// # Errors
    /// As [`ml_dsa_sign`](Self::ml_dsa_sign).
    pub fn dma_ml_dsa_sign(
        &mut self,
        (key, parameters): (KeyId, MlDsa),
        context: &[u8],
        message: DmaBuffer,
        signature: DmaBuffer,
    ) -> Result<(), Error<T::Error>> {
        let request = MlDsaSignDmaRequest {
            message,
            signature,
            options: 0,
            level: parameters.level(),
            key: u32::from(named(key)?.0),
            context_length: length_u32(context.len()),
            prehash: 0,
        };
        let number = algorithm::SIGNATURE_SIGN;
        let (response, _) = self.run_crypto(number, sub_algorithm::ML_DSA, &request, &[context])?;
        Ok(demand(response.length == length_u32(parameters.signature_size()))?)
    }

    /// Verifies an ML-DSA signature of a message, both in shared memory.
    ///
    /// # Errors
    /// As [`ml_dsa_verify`](Self::ml_dsa_verify).
    pub fn dma_ml_dsa_verify(
        &mut self,
        (key, parameters): (KeyId, MlDsa),
        context: &[u8],
        message: DmaBuffer,
        signature: DmaBuffer,
    ) -> Result<bool, Error<T::Error>> {
        let request = MlDsaVerifyDmaRequest {
            signature,
            message,
            options: 0,
            level: parameters.level(),
            key: u32::from(named(key)?.0),
            context_length: length_u32(context.len()),
            prehash: 0,
        };
        let number = algorithm::SIGNATURE_VERIFY;
        let outcome = self.run_crypto(number, sub_algorithm::ML_DSA, &request, &[context]);
        verdict(outcome.map(|(response, _)| response.valid))
    }

    /// Generates an ML-KEM key pair, as [`dma_ml_dsa_generate`](Self::dma_ml_dsa_generate).
    ///
    /// # Errors
    /// As [`dma_ml_dsa_generate`](Self::dma_ml_dsa_generate).
    pub fn dma_ml_kem_generate(
        &mut self,
        parameters: MlKem,
        new: &NewKey,
        out: DmaBuffer,
    ) -> Result<(KeyId, usize), Error<T::Error>> {
        let (flags, key, label_length, label) = wanted(new);
        let level = parameters.level();
        let request =
            MlKemKeyGenerationDmaRequest { output: out, level, flags, key, access: 0, label_length, label };
        let number = algorithm::KEM_KEY_GENERATION;
        let (response, _) = self.run_crypto(number, sub_algorithm::ML_KEM, &request, &[])?;
        generated(new.flags, response.key, response.length, out)
    }

    /// Encapsulates a secret for an ML-KEM key; the ciphertext goes to shared memory.
    ///
    /// # Errors
    /// As [`ml_kem_encapsulate`](Self::ml_kem_encapsulate).
    pub fn dma_ml_kem_encapsulate(
        &mut self,
        (key, parameters): (KeyId, MlKem),
        ciphertext: DmaBuffer,
        secret: &mut [u8; 32],
    ) -> Result<(), Error<T::Error>> {
        let (level, key) = (parameters.level(), u32::from(named(key)?.0));
        let request = MlKemEncapsulateDmaRequest { ciphertext, options: 0, level, key };
        let number = algorithm::KEM_ENCAPSULATE;
        let (response, rest) = self.run_crypto(number, sub_algorithm::ML_KEM, &request, &[])?;
        demand(response.secret_length == 32)?;
        *secret = tail(rest).take_array().map_err(ResponseFault::from)?;
        Ok(())
    }

    /// Decapsulates an ML-KEM ciphertext in shared memory.
    ///
    /// # Errors
    /// As [`ml_kem_decapsulate`](Self::ml_kem_decapsulate).
    pub fn dma_ml_kem_decapsulate(
        &mut self,
        (key, parameters): (KeyId, MlKem),
        ciphertext: DmaBuffer,
        secret: &mut [u8; 32],
    ) -> Result<(), Error<T::Error>> {
        let (level, key) = (parameters.level(), u32::from(named(key)?.0));
        let request = MlKemDecapsulateDmaRequest { ciphertext, options: 0, level, key };
        let number = algorithm::KEM_DECAPSULATE;
        let (response, rest) = self.run_crypto(number, sub_algorithm::ML_KEM, &request, &[])?;
        demand(response.secret_length == 32)?;
        *secret = tail(rest).take_array().map_err(ResponseFault::from)?;
        Ok(())
    }
}

const fn halves(length: u64) -> [u32; 2] {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = length.to_be_bytes();
    [u32::from_be_bytes([b0, b1, b2, b3]), u32::from_be_bytes([b4, b5, b6, b7])]
}

fn exported<E>(response: ExportDmaResponse, out: DmaBuffer) -> Result<(usize, Label), Error<E>> {
    demand(u64::from(response.length) <= out.size)?;
    Ok((usize::try_from(response.length).map_err(|_| Argument::SharedMemory)?, response.label))
}

pub(crate) fn generated<E>(
    flags: Flags,
    key: u32,
    length: u32,
    out: DmaBuffer,
) -> Result<(KeyId, usize), Error<E>> {
    let id = KeyId::from_u32(key);
    let is_cached = !flags.contains(Flags::EPHEMERAL);
    demand(u64::from(length) <= out.size && is_cached == id.is_some())?;
    Ok((id, usize::try_from(length).map_err(|_| Argument::SharedMemory)?))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::cell::RefCell;
    use std::vec;
    use std::vec::Vec;

    struct Bytes(RefCell<Vec<u8>>);

    impl SharedArea for Bytes {
        fn length(&self) -> u64 {
            self.0.borrow().len() as u64
        }
        fn address(&self, offset: u64) -> u64 {
            offset + 0x1000
        }
        fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), NoRoom> {
            let offset = offset as usize;
            self.0.borrow_mut().get_mut(offset..offset + bytes.len()).ok_or(NoRoom)?.copy_from_slice(bytes);
            Ok(())
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), NoRoom> {
            let offset = offset as usize;
            out.copy_from_slice(self.0.borrow().get(offset..offset + out.len()).ok_or(NoRoom)?);
            Ok(())
        }
    }

    #[test]
    fn buffers_are_placed_one_after_the_other() {
        let memory = Bytes(RefCell::new(vec![0; 24]));
        let mut placement = Placement::new(&memory);
        let first = placement.place(b"abc").unwrap();
        let second = placement.reserve(8).unwrap();
        assert_eq!(first.buffer, DmaBuffer::new(0x1000, 3));
        assert_eq!(second.buffer, DmaBuffer::new(0x1008, 8));
        assert_eq!(placement.reserve(9), Err(NoRoom));
        assert_eq!(placement.reserve(usize::MAX), Err(NoRoom));
        let mut out = [0; 3];
        placement.take(first, &mut out).unwrap();
        assert_eq!(&out, b"abc");
        assert_eq!(placement.take(first, &mut [0; 4]), Err(NoRoom));
        assert!(placement.reserve(8).is_ok() && placement.reserve(0).is_ok());
        assert_eq!(placement.reserve(1), Err(NoRoom));
    }
}
