//! AUTOSAR Secure Hardware Extension (document 06).
//!
//! Commands serve once the server has a unique identifier ([`Client::she_set_uid`]) and secure boot has come to a good
//! end ([`Client::she_secure_boot`]); until then they are answered with `SHE_SEQUENCE_ERROR`. On most servers both last
//! until the server restarts, whoever brought them about.
//!
//! M1 to M5 are made and checked by `casemate_crypto::she`, which needs no server.

use crate::aes::Direction;
use crate::client::overwrite;
use crate::operation::{demand, length_u32};
use crate::{Argument, Client, Error, Operation, ProtocolFault, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::Request;
use casemate_protocol::message::she::{
    BLOCK_SIZE, CipherResponse, DecryptCbcRequest, DecryptEcbRequest, EncryptCbcRequest, EncryptEcbRequest,
    ExportRamKeyRequest, ExportRamKeyResponse, ExtendSeedRequest, GenerateMacRequest, GenerateMacResponse,
    GetStatusRequest, GetStatusResponse, InitRandomRequest, LoadKeyRequest, LoadKeyResponse,
    LoadPlainKeyRequest, LoadPlainKeyResponse, OutcomeResponse, RandomRequest, RandomResponse,
    SecureBootFinishRequest, SecureBootInitRequest, SecureBootUpdateRequest, SetUidRequest, SetUidResponse,
    UID_SIZE, VerifyMacRequest, VerifyMacResponse, object_id, slot_metadata,
};
use casemate_protocol::{ClientId, Kind, Layout, Status};
use casemate_transport::{ClientTransport, Clock};

pub use casemate_protocol::message::she::{SlotFlags, SlotLabel, StatusRegister, slot};

/// How secure boot ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecureBoot {
    /// The image's MAC is the expected one.
    Verified,
    /// The server has no boot MAC key: it checked nothing, and lets everything pass.
    NotConfigured,
}

/// Gives the server its unique identifier.
#[derive(Debug, Clone, Copy)]
pub struct SetUid {
    /// The identifier.
    pub uid: [u8; UID_SIZE],
}

impl Operation for SetUid {
    const KIND: Kind = SetUidRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&SetUidRequest { uid: self.uid });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<SetUidResponse>().map(|_| ())
    }
}

/// Announces a boot image; yields whether it has to follow.
#[derive(Debug, Clone, Copy)]
pub struct SecureBootInit {
    /// Length of the image in bytes.
    pub length: u32,
}

impl Operation for SecureBootInit {
    const KIND: Kind = SecureBootInitRequest::KIND;
    /// [`SecureBoot::NotConfigured`], or `None` if the image has to follow.
    type Output<'r> = Option<SecureBoot>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&SecureBootInitRequest { length: self.length });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Option<SecureBoot>, ResponseFault> {
        match response.exact::<OutcomeResponse>() {
            Ok(_) => Ok(None),
            Err(ResponseFault::Remote(Status::SHE_NO_SECURE_BOOT)) => Ok(Some(SecureBoot::NotConfigured)),
            Err(fault) => Err(fault),
        }
    }
}

/// Sends a part of the boot image.
#[derive(Debug, Clone, Copy)]
pub struct SecureBootUpdate<'a> {
    /// The part; at most the packet data length less 8 bytes.
    pub part: &'a [u8],
}

impl Operation for SecureBootUpdate<'_> {
    const KIND: Kind = SecureBootUpdateRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&SecureBootUpdateRequest { length: length_u32(self.part.len()) });
        request.put_bytes(self.part);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<OutcomeResponse>().map(|_| ())
    }
}

/// Has the boot image's MAC compared.
#[derive(Debug, Clone, Copy)]
pub struct SecureBootFinish;

impl Operation for SecureBootFinish {
    const KIND: Kind = SecureBootFinishRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, _: &mut RequestWriter<'_>) -> Result<(), Argument> {
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<OutcomeResponse>().map(|_| ())
    }
}

/// Asks for the status register.
#[derive(Debug, Clone, Copy)]
pub struct GetStatus;

impl Operation for GetStatus {
    const KIND: Kind = GetStatusRequest::KIND;
    type Output<'r> = StatusRegister;

    fn encode(&self, _: &mut RequestWriter<'_>) -> Result<(), Argument> {
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<StatusRegister, ResponseFault> {
        response.exact::<GetStatusResponse>().map(|response| StatusRegister(response.register))
    }
}

/// Loads a key with M1 to M3; yields M4 and M5.
#[derive(Debug, Clone, Copy)]
pub struct LoadKey {
    /// M1 to M3.
    pub load: LoadKeyMessages,
}

/// The messages that carry a key to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadKeyMessages {
    /// M1.
    pub m1: [u8; 16],
    /// M2.
    pub m2: [u8; 32],
    /// M3.
    pub m3: [u8; 16],
}

/// The server's proof that it took a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyProof {
    /// M4.
    pub m4: [u8; 32],
    /// M5.
    pub m5: [u8; 16],
}

impl Operation for LoadKey {
    const KIND: Kind = LoadKeyRequest::KIND;
    type Output<'r> = KeyProof;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let LoadKeyMessages { m1, m2, m3 } = self.load;
        request.put(&LoadKeyRequest { m1, m2, m3 });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<KeyProof, ResponseFault> {
        let LoadKeyResponse { m4, m5, .. } = response.exact()?;
        Ok(KeyProof { m4, m5 })
    }
}

/// Loads the RAM key as it is.
#[derive(Clone, Copy)]
pub struct LoadPlainKey<'a> {
    /// The key.
    pub key: &'a [u8; BLOCK_SIZE],
}

impl core::fmt::Debug for LoadPlainKey<'_> {
    /// The key is not shown.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LoadPlainKey").finish_non_exhaustive()
    }
}

impl Operation for LoadPlainKey<'_> {
    const KIND: Kind = LoadPlainKeyRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret();
        request.put_bytes(self.key);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<LoadPlainKeyResponse>().map(|_| ())
    }
}

/// Exports the RAM key.
#[derive(Debug, Clone, Copy)]
pub struct ExportRamKey;

/// The RAM key as messages that load it again, and the proof of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportedKey {
    /// M1 to M3.
    pub load: LoadKeyMessages,
    /// M4 and M5.
    pub proof: KeyProof,
}

impl Operation for ExportRamKey {
    const KIND: Kind = ExportRamKeyRequest::KIND;
    type Output<'r> = ExportedKey;

    fn encode(&self, _: &mut RequestWriter<'_>) -> Result<(), Argument> {
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<ExportedKey, ResponseFault> {
        let ExportRamKeyResponse { m1, m2, m3, m4, m5, .. } = response.exact()?;
        Ok(ExportedKey { load: LoadKeyMessages { m1, m2, m3 }, proof: KeyProof { m4, m5 } })
    }
}

/// Starts the random generator.
#[derive(Debug, Clone, Copy)]
pub struct InitRandom;

impl Operation for InitRandom {
    const KIND: Kind = InitRandomRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, _: &mut RequestWriter<'_>) -> Result<(), Argument> {
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<OutcomeResponse>().map(|_| ())
    }
}

/// Asks for a random number.
#[derive(Debug, Clone, Copy)]
pub struct Random;

impl Operation for Random {
    const KIND: Kind = RandomRequest::KIND;
    type Output<'r> = [u8; BLOCK_SIZE];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret();
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<[u8; BLOCK_SIZE], ResponseFault> {
        response.exact::<RandomResponse>().map(|response| response.random)
    }
}

/// Mixes entropy into the random generator and its seed.
#[derive(Debug, Clone, Copy)]
pub struct ExtendSeed {
    /// The entropy.
    pub entropy: [u8; BLOCK_SIZE],
}

impl Operation for ExtendSeed {
    const KIND: Kind = ExtendSeedRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret();
        request.put(&ExtendSeedRequest { entropy: self.entropy });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.exact::<OutcomeResponse>().map(|_| ())
    }
}

/// Writes the data of a cipher request behind its fixed part.
fn put_cipher<L: Layout>(request: &mut RequestWriter<'_>, fixed: &L, data: &[u8]) -> Result<(), Argument> {
    if !data.len().is_multiple_of(BLOCK_SIZE) {
        return Err(Argument::BlockMultiple);
    }
    request.mark_secret();
    request.put(fixed);
    request.put_bytes(data);
    Ok(())
}

/// The data of a cipher response, as long as the request's.
fn cipher_output<'r>(response: Response<'r>, data: &[u8]) -> Result<&'r [u8], ResponseFault> {
    let (CipherResponse { length, .. }, output) = response.fixed()?;
    demand(length == length_u32(data.len()))?;
    output.get(..data.len()).ok_or(ProtocolFault::Length.into())
}

/// The two ECB and the two CBC commands differ in their kind only.
macro_rules! ciphers {
    ($( $(#[$meta:meta])* $name:ident: $request:ident { $( $(#[$iv_meta:meta])* $iv:ident )? } )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<'a> {
            /// The slot.
            pub slot: u8,
            $( $(#[$iv_meta])* pub $iv: [u8; BLOCK_SIZE], )?
            /// The data: whole blocks.
            pub data: &'a [u8],
        }

        impl Operation for $name<'_> {
            const KIND: Kind = $request::KIND;
            type Output<'r> = &'r [u8];

            fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
                let length = length_u32(self.data.len());
                put_cipher(request, &$request { length, slot: self.slot, $( $iv: self.$iv, )? }, self.data)
            }

            fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
                cipher_output(response, self.data)
            }
        }
    )*};
}

ciphers! {
    /// AES-ECB encryption of what fits one packet; yields the result.
    EncryptEcb: EncryptEcbRequest {}
    /// AES-ECB decryption of what fits one packet; yields the result.
    DecryptEcb: DecryptEcbRequest {}
    /// AES-CBC encryption of what fits one packet; yields the result.
    EncryptCbc: EncryptCbcRequest {
        /// The initialisation vector.
        iv
    }
    /// AES-CBC decryption of what fits one packet; yields the result.
    DecryptCbc: DecryptCbcRequest {
        /// The initialisation vector.
        iv
    }
}

/// Makes a CMAC of a message that fits one packet.
#[derive(Debug, Clone, Copy)]
pub struct GenerateMac<'a> {
    /// The slot.
    pub slot: u8,
    /// The message: at most the packet data length less 8 bytes.
    pub message: &'a [u8],
}

impl Operation for GenerateMac<'_> {
    const KIND: Kind = GenerateMacRequest::KIND;
    type Output<'r> = [u8; BLOCK_SIZE];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let length = length_u32(self.message.len());
        request.put(&GenerateMacRequest { slot: self.slot.into(), length });
        request.put_bytes(self.message);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<[u8; BLOCK_SIZE], ResponseFault> {
        response.exact::<GenerateMacResponse>().map(|response| response.mac)
    }
}

/// Checks a CMAC; yields whether it matches.
#[derive(Debug, Clone, Copy)]
pub struct VerifyMac<'a> {
    /// The slot.
    pub slot: u8,
    /// The message: with the MAC at most the packet data length less 16 bytes.
    pub message: &'a [u8],
    /// The MAC, 4 to 16 bytes.
    pub mac: &'a [u8],
}

impl Operation for VerifyMac<'_> {
    const KIND: Kind = VerifyMacRequest::KIND;
    type Output<'r> = bool;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if !(4..=BLOCK_SIZE).contains(&self.mac.len()) {
            return Err(Argument::MacLength);
        }
        request.put(&VerifyMacRequest {
            slot: self.slot.into(),
            length: length_u32(self.message.len()),
            mac_length: length_u32(self.mac.len()),
        });
        request.put_bytes(self.message);
        request.put_bytes(self.mac);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<bool, ResponseFault> {
        let VerifyMacResponse { mismatch, .. } = response.exact()?;
        demand(mismatch <= 1)?;
        Ok(mismatch == 0)
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Gives the server its unique identifier, which it keeps until it restarts.
    ///
    /// # Errors
    /// `SHE_SEQUENCE_ERROR` from a server that has one; and the errors of every request ([`Client::run`]).
    pub fn she_set_uid(&mut self, uid: [u8; UID_SIZE]) -> Result<(), Error<T::Error>> {
        self.run(&SetUid { uid })
    }

    /// Carries out secure boot with `image`, in as many requests as it takes. Unlike the original's client it stops at
    /// the first error.
    ///
    /// # Errors
    /// - [`Error::TooLong`] if the image has 4 GiB or more: nothing was sent.
    /// - From the server: `SHE_SEQUENCE_ERROR` without an identifier or after secure boot (which then has to be
    ///   repeated), `SHE_KEY_NOT_AVAILABLE` if it has no expected MAC, `SHE_GENERAL_ERROR` if the MAC does not match.
    /// - The errors of every request ([`Client::run`]).
    pub fn she_secure_boot(&mut self, image: &[u8]) -> Result<SecureBoot, Error<T::Error>> {
        self.must_wait()?;
        let limit = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        let length = u32::try_from(image.len()).map_err(|_| Error::TooLong { needed: image.len(), limit })?;
        if let Some(outcome) = self.run(&SecureBootInit { length })? {
            return Ok(outcome);
        }
        let capacity = self.capacity(SecureBootUpdateRequest::SIZE, 1)?;
        let (first, rest) = image.split_at(capacity.min(image.len()));
        // Also an empty image takes one part.
        self.run(&SecureBootUpdate { part: first })?;
        rest.chunks(capacity).try_for_each(|part| self.run(&SecureBootUpdate { part }))?;
        self.run(&SecureBootFinish)?;
        Ok(SecureBoot::Verified)
    }

    /// Returns the status register.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn she_status(&mut self) -> Result<StatusRegister, Error<T::Error>> {
        self.run(&GetStatus)
    }

    /// Loads a key with M1 to M3 and returns M4 and M5, which the caller compares with what it expects.
    ///
    /// # Errors
    /// From the server: `SHE_KEY_UPDATE_ERROR` if M3 does not match, the identifier is another one or the counter is not
    /// higher; `SHE_WRITE_PROTECTED`; `SHE_KEY_INVALID`; `SHE_GENERAL_ERROR` if the authorizing slot is empty. And the
    /// errors of every request ([`Client::run`]).
    pub fn she_load_key(&mut self, load: &LoadKeyMessages) -> Result<KeyProof, Error<T::Error>> {
        self.run(&LoadKey { load: *load })
    }

    /// Loads the RAM key as it is. Whoever sees the channel sees it.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn she_load_plain_key(&mut self, key: &[u8; BLOCK_SIZE]) -> Result<(), Error<T::Error>> {
        self.run(&LoadPlainKey { key })?;
        self.wipe();
        Ok(())
    }

    /// Exports the RAM key, encrypted for this server.
    ///
    /// # Errors
    /// From the server: `SHE_KEY_INVALID` if no RAM key that may leave was loaded, `SHE_KEY_NOT_AVAILABLE` if it has no
    /// secret key. And the errors of every request ([`Client::run`]).
    pub fn she_export_ram_key(&mut self) -> Result<ExportedKey, Error<T::Error>> {
        self.run(&ExportRamKey)
    }

    /// Starts the random generator, once.
    ///
    /// # Errors
    /// From the server: `SHE_SEQUENCE_ERROR` if it runs already, `SHE_KEY_NOT_AVAILABLE` without a secret key or a seed.
    /// And the errors of every request ([`Client::run`]).
    pub fn she_random_init(&mut self) -> Result<(), Error<T::Error>> {
        self.run(&InitRandom)
    }

    /// Returns the next 16 random bytes.
    ///
    /// # Errors
    /// `SHE_RNG_SEED` from a server whose generator does not run; and the errors of every request ([`Client::run`]).
    pub fn she_random(&mut self) -> Result<[u8; BLOCK_SIZE], Error<T::Error>> {
        let random = self.run(&Random)?;
        self.wipe();
        Ok(random)
    }

    /// Mixes entropy into the random generator and into its stored seed.
    ///
    /// # Errors
    /// `SHE_RNG_SEED` from a server whose generator does not run; and the errors of every request ([`Client::run`]).
    pub fn she_extend_seed(&mut self, entropy: [u8; BLOCK_SIZE]) -> Result<(), Error<T::Error>> {
        self.run(&ExtendSeed { entropy })?;
        self.wipe();
        Ok(())
    }

    /// AES-ECB in place with the key of a slot, in as many requests as it takes.
    ///
    /// # Errors
    /// - [`Argument::BlockMultiple`]: nothing was sent.
    /// - From the server: `SHE_KEY_NOT_AVAILABLE` or `SHE_GENERAL_ERROR` if the slot holds no key.
    /// - The errors of every request ([`Client::run`]). What was done before stays done.
    pub fn she_ecb(
        &mut self,
        direction: Direction,
        slot: u8,
        data: &mut [u8],
    ) -> Result<(), Error<T::Error>> {
        whole(data)?;
        let capacity = self.capacity(EncryptEcbRequest::SIZE, BLOCK_SIZE)?;
        self.one_piece(data.len(), capacity)?;
        for part in data.chunks_mut(capacity) {
            let output = match direction {
                Direction::Encrypt => self.run(&EncryptEcb { slot, data: part })?,
                Direction::Decrypt => self.run(&DecryptEcb { slot, data: part })?,
            };
            overwrite(part, output);
            self.wipe();
        }
        Ok(())
    }

    /// AES-CBC in place with the key of a slot, in as many requests as it takes. `iv` becomes the last ciphertext block,
    /// so that a further call continues the chain.
    ///
    /// # Errors
    /// As [`she_ecb`](Self::she_ecb).
    pub fn she_cbc(
        &mut self,
        direction: Direction,
        slot: u8,
        iv: &mut [u8; BLOCK_SIZE],
        data: &mut [u8],
    ) -> Result<(), Error<T::Error>> {
        whole(data)?;
        let capacity = self.capacity(EncryptCbcRequest::SIZE, BLOCK_SIZE)?;
        self.one_piece(data.len(), capacity)?;
        for part in data.chunks_mut(capacity) {
            let received = part.last_chunk().copied().unwrap_or(*iv);
            let output = match direction {
                Direction::Encrypt => self.run(&EncryptCbc { slot, iv: *iv, data: part })?,
                Direction::Decrypt => self.run(&DecryptCbc { slot, iv: *iv, data: part })?,
            };
            *iv = match direction {
                Direction::Encrypt => output.last_chunk().copied().unwrap_or(*iv),
                Direction::Decrypt => received,
            };
            overwrite(part, output);
            self.wipe();
        }
        Ok(())
    }

    /// Makes the CMAC of a message with the key of a slot. The message must fit one packet.
    ///
    /// # Errors
    /// [`Error::TooLong`]; `SHE_KEY_NOT_AVAILABLE` from the server if the slot holds no key; and the errors of every
    /// request ([`Client::run`]).
    pub fn she_mac(&mut self, slot: u8, message: &[u8]) -> Result<[u8; BLOCK_SIZE], Error<T::Error>> {
        self.run(&GenerateMac { slot, message })
    }

    /// Checks a CMAC of 4 to 16 bytes with the key of a slot. Message and MAC must fit one packet.
    ///
    /// # Errors
    /// [`Error::MacMismatch`] if it does not match; [`Argument::MacLength`]; otherwise as [`she_mac`](Self::she_mac).
    pub fn she_verify_mac(&mut self, slot: u8, message: &[u8], mac: &[u8]) -> Result<(), Error<T::Error>> {
        if self.run(&VerifyMac { slot, message, mac })? { Ok(()) } else { Err(Error::MacMismatch) }
    }

    /// Places a key in a slot, past all checks of SHE: provisioning, which the object store does (document 06, §10.1).
    /// `owner` is this client; [`ClientId::NONE`] on a server whose slots belong to all clients.
    ///
    /// # Errors
    /// `ACCESS` from the server if the slot is another client's; and as [`nvm_add`](Self::nvm_add).
    pub fn she_provision(
        &mut self,
        owner: ClientId,
        slot: u8,
        label: SlotLabel,
        key: &[u8; BLOCK_SIZE],
    ) -> Result<(), Error<T::Error>> {
        self.nvm_add(&slot_metadata(owner, slot, label), key)
    }

    /// Empties a slot. It is not an error if it is empty.
    ///
    /// # Errors
    /// As [`nvm_destroy`](Self::nvm_destroy).
    pub fn she_remove(&mut self, owner: ClientId, slot: u8) -> Result<(), Error<T::Error>> {
        self.nvm_destroy(&[object_id(owner, slot)])
    }
}

const fn whole(data: &[u8]) -> Result<(), Argument> {
    if data.len().is_multiple_of(BLOCK_SIZE) { Ok(()) } else { Err(Argument::BlockMultiple) }
}
