//! The client of the module `casemate`: requests to a server, and neither a stream nor a clock.
//!
//! [`Hsm::call`] is made again and again with the same arguments until it has an outcome; in between, C moves bytes between
//! [`Hsm::output`], [`Hsm::input`] and a Python stream. So a stream may be any object that raises, blocks or re-enters,
//! and no frame of Rust is below it. Nothing is allocated.

mod failure;
mod signature;
mod wire;

pub use failure::Failure;
pub use signature::{KeyKind, Scheme};

use casemate_client::public_key::GenerateCache;
use casemate_client::public_key::curve25519::{Ed25519Sign, Ed25519Verify, X25519Export};
use casemate_client::public_key::elliptic_curve::{EcdhExport, EcdsaSign, EcdsaVerify};
use casemate_client::public_key::rsa::RsaRaw;
use casemate_client::{
    Client, CtrState, Curve, Direction, Ed25519, Ed25519Mode, Endianness, Error, Key, KeyPair, NewKey, Rsa,
    RsaOperation, X25519, authentication, cmac, counter, key, nvm, random,
};
use casemate_protocol::message::authentication::UserName;
use casemate_protocol::message::crypto::CmacState;
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{
    ByteOrder, ClientId, Flags, Header, KeyId, Label, Layout, Metadata, ObjectId, Status,
};
use casemate_transport::LENGTH_PREFIX_SIZE;
use core::convert::Infallible;
use wire::Wire;

/// One request, as `casemate.h` declares it. What each operation takes and gives is said at [`Operation`].
#[derive(Debug)]
pub struct Call<'a> {
    /// The number of an [`Operation`].
    pub operation: u8,
    /// A key, counter, object or client.
    pub id: u16,
    /// A number.
    pub number: u32,
    /// Bytes.
    pub input: &'a [u8],
    /// More bytes.
    pub extra: &'a [u8],
    /// Where a stream of data stands: of CBC its 16 bytes of initialisation vector, of CTR [`CTR_STATE_SIZE`] bytes, of
    /// CMAC those of [`CmacState`].
    pub state: &'a mut [u8],
    /// What is worked on in place, or room for an outcome.
    pub output: &'a mut [u8],
    /// How many bytes of `output` the outcome has.
    pub length: usize,
    /// The outcome's number.
    pub value: u32,
}

/// Bytes of a state of CTR: counter block, keystream of the block before, and how many bytes of it are unused.
pub const CTR_STATE_SIZE: usize = 33;

macro_rules! operations {
    ($($(#[$attribute:meta])* $name:ident = $number:literal,)*) => {
        /// The requests, by the numbers of `casemate.h`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation {
            $($(#[$attribute])* $name = $number,)*
        }

        impl Operation {
            const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

operations! {
    /// Claims the identity `id`. Value: the server's identifier.
    Init = 1,
    /// Asks for the server's configuration and adopts its packet size. Output: its version. Value: its packet size.
    Info = 2,
    /// Ends the session.
    Close = 3,
    /// Up to `output` random bytes.
    Random = 4,
    /// Has the server repeat `input`.
    Echo = 5,
    /// Logs in as `extra` with the PIN `input`. Value: the user.
    Login = 6,
    /// Logs out the user `id`.
    Logout = 7,
    /// Imports the key `input` as `id` with the flags `number` and the label `extra`. Value: its identifier.
    KeyImport = 10,
    /// Makes a random key of as many bytes as `input` says (two, little-endian); else as an import.
    KeyRandom = 11,
    /// Makes a key pair of the kind in the first byte of `input`, for RSA with as many bits as the next two say; else as an
    /// import. Output: the public key, empty if it does not fit a packet.
    KeyPair = 12,
    /// Drops the key `id` from the cache.
    KeyEvict = 13,
    /// Stores the key `id`.
    KeyCommit = 14,
    /// Removes the key `id`.
    KeyErase = 15,
    /// Takes all usage from the key `id`.
    KeyRevoke = 16,
    /// Output: the key `id`.
    KeyExport = 17,
    /// Output: the public half of the key `id` for the algorithm `number`.
    KeyExportPublic = 18,
    /// AES-ECB with the key `id` on `output`; `number` is 1 to encrypt, 0 to decrypt.
    AesEcb = 20,
    /// AES-CBC, likewise; `state` is the initialisation vector, and afterwards the next one.
    AesCbc = 21,
    /// AES-CTR, likewise; `state` goes on.
    AesCtr = 22,
    /// AES-GCM on `output`, whose last `number` bytes are room for the tag; `extra` is the initialisation vector, `input`
    /// additional data.
    AesGcmEncrypt = 23,
    /// The reverse: the last `number` bytes of `output` are the tag.
    AesGcmDecrypt = 24,
    /// AES-CMAC of `input` with the key `id`, as long as `output`.
    Cmac = 25,
    /// Continues a CMAC of more than a packet with `input`; `state` goes on, and is all zeros at the beginning.
    CmacUpdate = 26,
    /// Ends it.
    CmacFinish = 27,
    /// Signs the digest `input`. Output: the signature in DER.
    EcdsaSign = 30,
    /// Whether `extra` is a signature of the digest `input`. Value: 1 if it is.
    EcdsaVerify = 31,
    /// Signs the message `input`.
    Ed25519Sign = 32,
    /// Whether `extra` is a signature of the message `input`. Value: 1 if it is.
    Ed25519Verify = 33,
    /// Raises `input` to the private (`number` 1) or public exponent.
    Rsa = 34,
    /// Agrees on a secret with the key `number` of the server, which is dropped.
    Ecdh = 35,
    /// The same with X25519.
    X25519 = 36,
    /// Makes a counter with the value `number`.
    CounterInit = 40,
    /// Value: the counter after one more.
    CounterIncrement = 41,
    /// Value: the counter.
    CounterRead = 42,
    /// Removes a counter.
    CounterDestroy = 43,
    /// Value: the object after `id`, 0 if there is none.
    NvmNext = 50,
    /// Output: the label of the object `id`. Value: flags in the upper, length in the lower half.
    NvmMetadata = 51,
    /// Output: bytes of the object `id` from `number` on.
    NvmRead = 52,
    /// Stores the object `id` with the flags `number` and the label `extra`.
    NvmAdd = 53,
    /// Removes the object `id`.
    NvmDestroy = 54,
}

type Link<'m> = Client<Wire<'m>, &'m mut [u8]>;

/// A connection with a server.
#[derive(Debug)]
pub struct Hsm<'m> {
    client: Link<'m>,
}

/// How many bytes of buffer a connection needs for packets with up to `data_length` bytes of payload.
#[must_use]
pub const fn buffer_size(data_length: usize) -> usize {
    data_length.saturating_add(Header::SIZE).saturating_mul(2).saturating_add(LENGTH_PREFIX_SIZE)
}

impl<'m> Hsm<'m> {
    /// A connection over a stream that is at the beginning of a packet. The buffer has [`buffer_size`] bytes.
    pub fn new(buffer: &'m mut [u8]) -> Self {
        let packet = buffer.len().saturating_sub(LENGTH_PREFIX_SIZE) / 2;
        let (storage, rest) = buffer.split_at_mut_checked(packet).unwrap_or((&mut [], &mut []));
        let mut client = Client::new(Wire::new(rest), storage);
        client.set_waiting(false);
        Self { client }
    }

    /// What is left to send of the request, for the stream to write.
    pub fn output(&mut self) -> &[u8] {
        self.client.transport_mut().output()
    }

    /// Says that the stream has taken `count` bytes of what is left to send.
    pub fn sent(&mut self, count: usize) {
        self.client.transport_mut().sent(count);
    }

    /// Room for the next bytes of the response, for the stream to read into; empty when nothing is expected.
    pub fn input(&mut self) -> &mut [u8] {
        self.client.transport_mut().input()
    }

    /// Says that the stream has put `count` bytes at the start of that room.
    pub fn filled(&mut self, count: usize) {
        self.client.transport_mut().filled(count);
    }

    /// Gives up the pending request, if there is one; with `lost`, the stream too.
    pub fn abandon(&mut self, lost: bool) {
        self.client.abandon();
        self.client.wipe();
        if lost {
            self.client.transport_mut().lose();
        }
    }

    /// How many bytes of data go into one request of those that may be cut: whole blocks.
    #[must_use]
    pub const fn piece(&self) -> usize {
        self.client.data_length().saturating_sub(OVERHEAD) & !15
    }

    /// Sends a request, or asks for its outcome.
    ///
    /// # Errors
    /// [`Failure::MORE`] until there is an outcome.
    pub fn call(&mut self, call: &mut Call<'_>) -> Result<(), Failure> {
        let outcome = self.attempt(call);
        // A late response stood in the way and has been dropped: now the request can leave.
        let unsent = !self.client.is_pending() && self.client.transport_mut().is_at_rest();
        if outcome == Err(Failure::MORE) && unsent { self.attempt(call) } else { outcome }
    }

    fn attempt(&mut self, call: &mut Call<'_>) -> Result<(), Failure> {
        let operation = Operation::from_number(call.operation).ok_or(Failure::ARGUMENT)?;
        match operation {
            Operation::Init
            | Operation::Info
            | Operation::Close
            | Operation::Random
            | Operation::Echo
            | Operation::Login
            | Operation::Logout => self.session(operation, call),
            Operation::KeyImport | Operation::KeyRandom | Operation::KeyPair => self.new_key(operation, call),
            Operation::KeyEvict
            | Operation::KeyCommit
            | Operation::KeyErase
            | Operation::KeyRevoke
            | Operation::KeyExport
            | Operation::KeyExportPublic => self.key(operation, call),
            Operation::AesEcb
            | Operation::AesCbc
            | Operation::AesCtr
            | Operation::AesGcmEncrypt
            | Operation::AesGcmDecrypt => self.cipher(operation, call),
            Operation::Cmac | Operation::CmacUpdate | Operation::CmacFinish => self.cmac(operation, call),
            Operation::EcdsaSign
            | Operation::EcdsaVerify
            | Operation::Ed25519Sign
            | Operation::Ed25519Verify
            | Operation::Rsa
            | Operation::Ecdh
            | Operation::X25519 => self.public_key(operation, call),
            Operation::CounterInit
            | Operation::CounterIncrement
            | Operation::CounterRead
            | Operation::CounterDestroy => self.counter(operation, call),
            _ => self.object(operation, call),
        }
    }

    fn session(&mut self, operation: Operation, call: &mut Call<'_>) -> Result<(), Failure> {
        match operation {
            Operation::Init => {
                let client = ClientId::new(call.id.into()).ok_or(Failure::ARGUMENT)?;
                call.value = self.client.init(client)?;
            }
            Operation::Info => {
                let info = self.client.learn_limits()?;
                call.value = info.data_length;
                let end = info.version.iter().position(|byte| *byte == 0).unwrap_or(info.version.len());
                deliver(info.version.get(..end).unwrap_or_default(), call)?;
            }
            Operation::Close => self.client.close()?,
            Operation::Random => {
                let length = u16::try_from(call.output.len().min(self.piece())).unwrap_or(u16::MAX);
                let outcome = self.client.run(&random::Random { length }).map(|bytes| deliver(bytes, call));
                settle(&mut self.client, outcome)??;
            }
            Operation::Echo => {
                self.client.echo(call.input)?;
            }
            Operation::Login => {
                let name = UserName::new(call.extra).ok_or(Failure::ARGUMENT)?;
                let pin = authentication::Credential::Pin(call.input);
                call.value = self.client.login(name, pin)?.0.into();
            }
            _ => self.client.logout(casemate_protocol::message::authentication::UserId(call.id))?,
        }
        Ok(())
    }

    fn new_key(&mut self, operation: Operation, call: &mut Call<'_>) -> Result<(), Failure> {
        let flags = Flags::from_client(call.number);
        let new = NewKey { id: KeyId(call.id), flags, label: Label::from_bytes(call.extra) };
        let id = match operation {
            Operation::KeyImport => self.client.key_cache(&new, call.input)?,
            Operation::KeyRandom => {
                let length = call.input.first_chunk().ok_or(Failure::ARGUMENT)?;
                self.client.key_cache_random(&new, u16::from_le_bytes(*length))?
            }
            _ => {
                let [kind, low, high] = *call.input.first_chunk().ok_or(Failure::ARGUMENT)?;
                match KeyKind::from_number(kind).ok_or(Failure::ARGUMENT)? {
                    KeyKind::P256 => self.pair(Curve::P256, new, call)?,
                    KeyKind::P384 => self.pair(Curve::P384, new, call)?,
                    KeyKind::P521 => self.pair(Curve::P521, new, call)?,
                    KeyKind::Ed25519 => self.pair(Ed25519, new, call)?,
                    KeyKind::X25519 => self.pair(X25519, new, call)?,
                    KeyKind::Rsa => self.pair(Rsa::new(u16::from_le_bytes([low, high]).into()), new, call)?,
                }
            }
        };
        call.value = id.0.into();
        Ok(())
    }

    fn pair<P: KeyPair>(&mut self, pair: P, new: NewKey, call: &mut Call<'_>) -> Result<KeyId, Failure> {
        let generated = self.client.run(&GenerateCache { pair, new })?;
        let id = generated.id;
        deliver(generated.public, call)?;
        Ok(id)
    }

    fn key(&mut self, operation: Operation, call: &mut Call<'_>) -> Result<(), Failure> {
        let id = KeyId(call.id);
        match operation {
            Operation::KeyEvict => self.client.key_evict(id)?,
            Operation::KeyCommit => self.client.key_commit(id)?,
            Operation::KeyErase => self.client.key_erase(id)?,
            Operation::KeyRevoke => self.client.key_revoke(id)?,
            Operation::KeyExport => {
                let outcome =
                    self.client.run(&key::Export { id }).map(|exported| deliver(exported.key, call));
                settle(&mut self.client, outcome)??;
            }
            _ => {
                let algorithm = u16::try_from(call.number).map_err(|_| Failure::ARGUMENT)?;
                let operation = key::ExportPublic { id, algorithm: KeyAlgorithm(algorithm) };
                deliver(self.client.run(&operation)?.key, call)?;
            }
        }
        Ok(())
    }

    fn cipher(&mut self, operation: Operation, call: &mut Call<'_>) -> Result<(), Failure> {
        let key = Key::Id(KeyId(call.id));
        let direction = if call.number == 1 { Direction::Encrypt } else { Direction::Decrypt };
        match operation {
            Operation::AesEcb => self.client.aes_ecb(direction, key, call.output)?,
            Operation::AesCbc => {
                let iv = call.state.first_chunk_mut().ok_or(Failure::ARGUMENT)?;
                self.client.aes_cbc(direction, key, iv, call.output)?;
            }
            Operation::AesCtr => {
                let mut state = resume(call.state).ok_or(Failure::ARGUMENT)?;
                self.client.aes_ctr(key, &mut state, call.output)?;
                save(&state, call.state);
            }
            _ => {
                let tag = usize::try_from(call.number).unwrap_or(usize::MAX);
                let length = call.output.len().checked_sub(tag).ok_or(Failure::ARGUMENT)?;
                let (data, tag) = call.output.split_at_mut_checked(length).ok_or(Failure::ARGUMENT)?;
                if operation == Operation::AesGcmEncrypt {
                    self.client.aes_gcm_encrypt(key, call.extra, call.input, data, tag)?;
                } else {
                    self.client.aes_gcm_decrypt(key, call.extra, call.input, data, tag)?;
                }
            }
        }
        call.length = call.output.len();
        Ok(())
    }

    fn cmac(&mut self, operation: Operation, call: &mut Call<'_>) -> Result<(), Failure> {
        let key = Key::Id(KeyId(call.id));
        let mac_length = call.output.len();
        if operation == Operation::Cmac {
            let operation = cmac::CmacOnce { key, data: call.input, mac_length };
            return deliver(self.client.run(&operation)?, call);
        }
        let damaged = Failure::ARGUMENT;
        let (state, _) = CmacState::decode(call.state, ByteOrder::Little).map_err(|_| damaged)?;
        let so_far = cmac::Cmac::resume(key, state).map_err(|_| damaged)?;
        if operation == Operation::CmacFinish {
            return deliver(self.client.run(&cmac::CmacFinish { cmac: &so_far, mac_length })?, call);
        }
        let next = self.client.run(&cmac::CmacUpdate { cmac: &so_far, data: call.input })?;
        // The state was as long as this one when it was decoded.
        let _ = next.state().encode(ByteOrder::Little, call.state);
        Ok(())
    }

    fn public_key(&mut self, operation: Operation, call: &mut Call<'_>) -> Result<(), Failure> {
        let id = KeyId(call.id);
        let client = &mut self.client;
        match operation {
            Operation::EcdsaSign => {
                deliver(client.run(&EcdsaSign { key: id, hash: call.input, evict: false })?, call)?;
            }
            Operation::EcdsaVerify => {
                let (signature, hash) = (call.extra, call.input);
                let operation = EcdsaVerify { key: id, signature, hash, export_public: false, evict: false };
                call.value = verdict(client.run(&operation).map(|verified| verified.valid))?;
            }
            Operation::Ed25519Sign => {
                let (mode, message) = (Ed25519Mode::Pure, call.input);
                let signature = client.run(&Ed25519Sign { key: id, mode, message, evict: false })?;
                deliver(&signature, call)?;
            }
            Operation::Ed25519Verify => {
                let (mode, message) = (Ed25519Mode::Pure, call.input);
                let Ok(signature) = call.extra.try_into() else {
                    call.value = 0;
                    return Ok(());
                };
                let operation = Ed25519Verify { key: id, mode, signature, message, evict: false };
                call.value = verdict(client.run(&operation))?;
            }
            Operation::Rsa => {
                let private = call.number == 1;
                let operation =
                    if private { RsaOperation::PrivateEncrypt } else { RsaOperation::PublicDecrypt };
                let (input, capacity) = (call.input, call.output.len());
                let operation = RsaRaw { operation, key: id, input, capacity, evict: false };
                let outcome = client.run(&operation).map(|result| deliver(result, call));
                settle(client, outcome)??;
            }
            _ => {
                let public = KeyId::from_u32(call.number);
                let (private, evict_private, evict_public) = (id, false, true);
                let outcome = if operation == Operation::Ecdh {
                    client.run(&EcdhExport { private, public, evict_private, evict_public })
                } else {
                    let endianness = Endianness::Little;
                    client.run(&X25519Export { private, public, endianness, evict_private, evict_public })
                };
                let outcome = outcome.map(|secret| deliver(secret, call));
                settle(client, outcome)??;
            }
        }
        Ok(())
    }

    fn counter(&mut self, operation: Operation, call: &mut Call<'_>) -> Result<(), Failure> {
        let id = u8::try_from(call.id).map_err(|_| Failure::ARGUMENT)?;
        let client = &mut self.client;
        call.value = match operation {
            Operation::CounterInit => client.run(&counter::Init { id, value: call.number })?,
            Operation::CounterIncrement => client.run(&counter::Increment { id })?,
            Operation::CounterRead => client.run(&counter::Read { id })?,
            _ => {
                client.run(&counter::Destroy { id })?;
                0
            }
        };
        Ok(())
    }

    fn object(&mut self, operation: Operation, call: &mut Call<'_>) -> Result<(), Failure> {
        let id = ObjectId(call.id);
        match operation {
            Operation::NvmNext => {
                let next = self.client.run(&nvm::Next { after: id })?;
                call.value = next.map_or(0, |id| id.0.into());
            }
            Operation::NvmMetadata => {
                let metadata = self.client.run(&nvm::ReadMetadata { id })?;
                call.value = (u32::from(metadata.flags.0) << 16) | u32::from(metadata.length);
                deliver(metadata.label.text(), call)?;
            }
            Operation::NvmRead => {
                let offset = u16::try_from(call.number).map_err(|_| Failure::ARGUMENT)?;
                let length = u16::try_from(call.output.len().min(self.piece())).unwrap_or(u16::MAX);
                let outcome =
                    self.client.run(&nvm::Read { id, offset, length }).map(|bytes| deliver(bytes, call));
                settle(&mut self.client, outcome)??;
            }
            Operation::NvmAdd => {
                let flags = Flags::from_client(call.number);
                let label = Label::from_bytes(call.extra);
                let metadata =
                    Metadata { id, access: Metadata::ACCESS_ANY, flags, label, ..Metadata::default() };
                self.client.run(&nvm::Add { metadata, data: call.input })?;
            }
            _ => {
                let operation = nvm::Destroy::new(&[id]).map_err(|_| Failure::ARGUMENT)?;
                self.client.run(&operation)?;
            }
        }
        Ok(())
    }
}

/// Payload bytes besides the data of a request that may be cut, at most.
const OVERHEAD: usize = 96;

/// Copies an outcome to the front of the caller's room.
fn deliver(outcome: &[u8], call: &mut Call<'_>) -> Result<(), Failure> {
    let room = call.output.get_mut(..outcome.len()).ok_or(Failure(Status::BUFFER_SIZE.0))?;
    room.copy_from_slice(outcome);
    call.length = outcome.len();
    Ok(())
}

/// Wipes the packet buffer behind a secret outcome.
fn settle<T>(client: &mut Link<'_>, outcome: Result<T, Error<Infallible>>) -> Result<T, Failure> {
    if outcome.is_ok() {
        client.wipe();
    }
    Ok(outcome?)
}

/// A verdict as a number. Statuses for signatures that are none are a verdict, too.
fn verdict(outcome: Result<bool, Error<Infallible>>) -> Result<u32, Failure> {
    match outcome {
        Err(Error::Remote(
            Status::ASN_ECC_KEY | Status::NUMBER_ZERO | Status::SIGNATURE_VERIFICATION | Status::ASN_PARSE,
        )) => Ok(0),
        outcome => Ok(outcome?.into()),
    }
}

fn resume(bytes: &[u8]) -> Option<CtrState> {
    let (counter, rest) = bytes.split_first_chunk()?;
    let (keystream, rest) = rest.split_first_chunk()?;
    CtrState::resume(*counter, *keystream, u32::from(*rest.first()?)).ok()
}

fn save(state: &CtrState, bytes: &mut [u8]) {
    let unused = [u8::try_from(state.unused()).unwrap_or(0)];
    let parts = state.counter().iter().chain(state.keystream()).chain(&unused);
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
}
