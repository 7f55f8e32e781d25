//! Messages whose data lies in memory that client and server share.

use crate::failure::{Failure, Outcome};
use crate::ffi::{
    self, ArrayOut, ArrayOutOptional, Buffer, Bytes, HsmClient, In, Memory, Out, SharedSpace, State,
};
use crate::status::Own;
use crate::types::{
    CmacStream, CtrStream, DirectionName, Ed25519Name, KeyAlgorithmName, MlDsaName, MlKemName, NewKey,
    ObjectMetadata, SharedBuffer,
};
use casemate_client::dma::{NoRoom, Placement, SharedArea};
use casemate_client::{Cmac, CtrState, Ed25519Mode, Hash, Key};
use casemate_protocol::message::crypto::CmacState;
use casemate_protocol::{DmaBuffer, KeyId, ObjectId};

/// Shared memory from an offset on.
struct From {
    space: SharedSpace,
    offset: u64,
}

impl SharedArea for From {
    fn length(&self) -> u64 {
        self.space.length().saturating_sub(self.offset)
    }

    fn address(&self, offset: u64) -> u64 {
        self.space.address(self.offset.saturating_add(offset))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), NoRoom> {
        self.space.write(self.offset.saturating_add(offset), bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), NoRoom> {
        self.space.read(self.offset.saturating_add(offset), out)
    }
}

fn placed(outcome: Result<(), NoRoom>) -> Outcome {
    outcome.map_err(|NoRoom| Own::NO_SHARED_MEMORY.into())
}

fn length(found: usize, to: &mut usize) -> Outcome {
    *to = found;
    Ok(())
}

fn mode(mode: u8, context: &[u8]) -> Result<Ed25519Mode<'_>, Failure> {
    match mode {
        0 if context.is_empty() => Ok(Ed25519Mode::Pure),
        1 => Ok(Ed25519Mode::Context(context)),
        2 => Ok(Ed25519Mode::Prehashed(context)),
        _ => Err(Own::BAD_ARGUMENT.into()),
    }
}

fn verdict(valid: bool) -> Outcome {
    if valid { Ok(()) } else { Err(Own::SIGNATURE_INVALID.into()) }
}

fn pair(input: SharedBuffer, output: SharedBuffer) -> (DmaBuffer, DmaBuffer) {
    (input.into(), output.into())
}

fn stream(
    client: &mut HsmClient,
    key: Key<'_>,
    stream: &mut CtrStream,
    (input, output): (DmaBuffer, DmaBuffer),
) -> Outcome {
    let mut state = CtrState::resume(stream.counter, stream.keystream, stream.unused)?;
    client.dma_aes_ctr(key, &mut state, input, output)?;
    *stream = CtrStream { counter: *state.counter(), keystream: *state.keystream(), unused: state.unused() };
    Ok(())
}

ffi::calls! { "Data in memory that client and server share"
    /// Registers memory, aligned to 4, that client and server share; `address` is what stands for its first byte in
    /// messages. A client over shm:// has such memory without. It belongs to the client until that is released, and is
    /// accessed with the functions below.
    fn casemate_set_shared_memory(@session; start[size]: Memory, address: u64) {
        let (start, size) = start;
        session.share(start, size, address)
    }

    /// The length of the memory that client and server share, and what stands for its first byte in messages.
    fn casemate_shared_memory(@session; buffer: Out<SharedBuffer>) {
        let space = session.shared()?;
        *buffer = SharedBuffer { address: space.address(0), size: space.length() };
        Ok(())
    }

    /// Copies bytes to shared memory.
    fn casemate_shared_write(@session; offset: u64, data[length]: Bytes) {
        placed(session.shared()?.write(offset, data))
    }

    /// Copies bytes from shared memory.
    fn casemate_shared_read(@session; offset: u64, data[length]: Buffer) {
        placed(session.shared()?.read(offset, data))
    }

    /// casemate_nvm_add with the data in shared memory. The metadata is written there too: 32 bytes at `record_offset`, a
    /// multiple of 8.
    fn casemate_dma_nvm_add(@session; metadata: In<ObjectMetadata>, data: SharedBuffer, record_offset: u64) {
        let space = From { space: session.shared()?, offset: record_offset };
        Ok(session.hsm()?.dma_nvm_add(&mut Placement::new(&space), &metadata.get(), data.into())?)
    }

    /// Reads an object from `offset` on into shared memory, as far as it and the buffer reach; how far is not told.
    fn casemate_dma_nvm_read(client; id: ObjectId, offset: u16, to: SharedBuffer) {
        Ok(client.dma_nvm_read(id, offset, to.into())?)
    }

    /// casemate_key_cache with the key in shared memory.
    fn casemate_dma_key_cache(client; what: In<NewKey>, key: SharedBuffer, id: Out<u16>) {
        *id = client.dma_key_cache(&what.get(), key.into())?.0;
        Ok(())
    }

    /// casemate_key_export into shared memory. `label` may be null.
    fn casemate_dma_key_export(client; id: KeyId, to: SharedBuffer, key_length: Out<usize>, label: ArrayOutOptional<24>) {
        let (found, text) = client.dma_key_export(id, to.into())?;
        if let Some(label) = label {
            *label = text.0;
        }
        length(found, key_length)
    }

    /// casemate_key_export_public into shared memory. `label` may be null.
    fn casemate_dma_key_export_public(client; id: KeyId, algorithm: KeyAlgorithmName, to: SharedBuffer, key_length: Out<usize>, label: ArrayOutOptional<24>) {
        let (found, text) = client.dma_key_export_public(id, algorithm, to.into())?;
        if let Some(label) = label {
            *label = text.0;
        }
        length(found, key_length)
    }

    /// casemate_random into shared memory, at most 65536 bytes.
    fn casemate_dma_random(client; to: SharedBuffer) {
        Ok(client.dma_random(to.into())?)
    }

    /// casemate_aes_ecb from and to shared memory. Here and below the two buffers may be the same, but `output` must not
    /// begin inside `input`.
    fn casemate_dma_aes_ecb(client; key: Key<'_>, direction: DirectionName, input: SharedBuffer, output: SharedBuffer) {
        Ok(client.dma_aes_ecb(direction, key, input.into(), output.into())?)
    }

    /// casemate_aes_cbc from and to shared memory.
    fn casemate_dma_aes_cbc(client; key: Key<'_>, direction: DirectionName, iv: ArrayOut<16>, input: SharedBuffer, output: SharedBuffer) {
        Ok(client.dma_aes_cbc(direction, key, iv, input.into(), output.into())?)
    }

    /// casemate_aes_ctr from and to shared memory.
    fn casemate_dma_aes_ctr(client; key: Key<'_>, state: Out<CtrStream>, input: SharedBuffer, output: SharedBuffer) {
        stream(client, key, state, pair(input, output))
    }

    /// casemate_aes_gcm_encrypt from and to shared memory; the tag has 12 to 16 bytes.
    fn casemate_dma_aes_gcm_encrypt(client; key: Key<'_>, iv[iv_length]: Bytes, aad: SharedBuffer, input: SharedBuffer, output: SharedBuffer, tag[tag_length]: Buffer) {
        Ok(client.dma_aes_gcm_encrypt(key, iv, aad.into(), pair(input, output), tag)?)
    }

    /// casemate_aes_gcm_decrypt from and to shared memory. Nothing is written unless the tag is right.
    fn casemate_dma_aes_gcm_decrypt(client; key: Key<'_>, iv[iv_length]: Bytes, aad: SharedBuffer, input: SharedBuffer, output: SharedBuffer, tag[tag_length]: Bytes) {
        Ok(client.dma_aes_gcm_decrypt(key, iv, aad.into(), pair(input, output), tag)?)
    }

    /// Adds whole blocks in shared memory to a hash.
    fn casemate_dma_hash_update(client; hash: State<Hash>, data: SharedBuffer) {
        let mut hash = hash;
        Ok(client.dma_hash_update(hash.get(), data.into())?)
    }

    /// casemate_cmac of data in shared memory.
    fn casemate_dma_cmac(client; key: Key<'_>, data: SharedBuffer, mac[mac_length]: Buffer) {
        Ok(client.dma_cmac(key, data.into(), mac)?)
    }

    /// casemate_cmac_update with data in shared memory.
    fn casemate_dma_cmac_update(client; key: Key<'_>, state: Out<CmacStream>, data: SharedBuffer) {
        let CmacStream { buffer, digest, buffered, total } = *state;
        let mut cmac = Cmac::resume(key, CmacState { buffer, digest, buffered, total })?;
        client.dma_cmac_update(&mut cmac, data.into())?;
        let CmacState { buffer, digest, buffered, total } = *cmac.state();
        *state = CmacStream { buffer, digest, buffered, total };
        Ok(())
    }

    /// casemate_ed25519_sign with message and signature, 64 bytes, in shared memory.
    fn casemate_dma_ed25519_sign(client; key: KeyId, variant: Ed25519Name, context[context_length]: Bytes, message: SharedBuffer, signature: SharedBuffer) {
        Ok(client.dma_ed25519_sign(key, mode(variant, context)?, message.into(), signature.into())?)
    }

    /// casemate_ed25519_verify with message and signature in shared memory.
    fn casemate_dma_ed25519_verify(client; key: KeyId, variant: Ed25519Name, context[context_length]: Bytes, message: SharedBuffer, signature: SharedBuffer) {
        verdict(client.dma_ed25519_verify(key, mode(variant, context)?, message.into(), signature.into())?)
    }

    /// Generates an ML-DSA key pair. With the flag 0x0010 (ephemeral) the private key goes to shared memory and `id` is
    /// 0; else it is cached, and its public half goes there.
    fn casemate_dma_ml_dsa_generate(client; parameters: MlDsaName, what: In<NewKey>, to: SharedBuffer, id: Out<u16>, key_length: Out<usize>) {
        let (found, size) = client.dma_ml_dsa_generate(parameters, &what.get(), to.into())?;
        *id = found.0;
        length(size, key_length)
    }

    /// casemate_ml_dsa_sign, of the message itself, with message and signature in shared memory.
    fn casemate_dma_ml_dsa_sign(client; key: KeyId, parameters: MlDsaName, context[context_length]: Bytes, message: SharedBuffer, signature: SharedBuffer) {
        Ok(client.dma_ml_dsa_sign((key, parameters), context, message.into(), signature.into())?)
    }

    /// casemate_ml_dsa_verify, of the message itself, with message and signature in shared memory.
    fn casemate_dma_ml_dsa_verify(client; key: KeyId, parameters: MlDsaName, context[context_length]: Bytes, message: SharedBuffer, signature: SharedBuffer) {
        verdict(client.dma_ml_dsa_verify((key, parameters), context, message.into(), signature.into())?)
    }

    /// Generates an ML-KEM key pair, as casemate_dma_ml_dsa_generate.
    fn casemate_dma_ml_kem_generate(client; parameters: MlKemName, what: In<NewKey>, to: SharedBuffer, id: Out<u16>, key_length: Out<usize>) {
        let (found, size) = client.dma_ml_kem_generate(parameters, &what.get(), to.into())?;
        *id = found.0;
        length(size, key_length)
    }

    /// casemate_ml_kem_encapsulate with the ciphertext in shared memory.
    fn casemate_dma_ml_kem_encapsulate(client; key: KeyId, parameters: MlKemName, ciphertext: SharedBuffer, secret: ArrayOut<32>) {
        Ok(client.dma_ml_kem_encapsulate((key, parameters), ciphertext.into(), secret)?)
    }

    /// casemate_ml_kem_decapsulate with the ciphertext in shared memory.
    fn casemate_dma_ml_kem_decapsulate(client; key: KeyId, parameters: MlKemName, ciphertext: SharedBuffer, secret: ArrayOut<32>) {
        Ok(client.dma_ml_kem_decapsulate((key, parameters), ciphertext.into(), secret)?)
    }
}
