//! Random numbers and AES.

use crate::ffi::{self, ArrayOut, Buffer, Bytes, Out, Transform};
use crate::types::{CtrStream, DirectionName};
use casemate_client::{CtrState, Key};

ffi::calls! { "Random numbers and ciphers"
    /// Fills `bytes` with random numbers of the server's.
    fn casemate_random(client; bytes[length]: Buffer) {
        Ok(client.random(bytes)?)
    }

    /// AES-ECB of whole blocks. Here and below `output` is `input` itself, or apart from it; after a failure a separate
    /// output holds zeros. Equal blocks give equal results: this is for single blocks and for building other modes.
    fn casemate_aes_ecb(client; key: Key<'_>, direction: DirectionName, input[output, length]: Transform<'_>) {
        input.change(|data| client.aes_ecb(direction, key, data))
    }

    /// AES-CBC of whole blocks; `iv` becomes the one for the data that follows.
    fn casemate_aes_cbc(client; key: Key<'_>, direction: DirectionName, iv: ArrayOut<16>, input[output, length]: Transform<'_>) {
        input.change(|data| client.aes_cbc(direction, key, iv, data))
    }

    /// AES-CTR of data of any length; encryption and decryption are the same. `stream` moves on.
    fn casemate_aes_ctr(client; key: Key<'_>, stream: Out<CtrStream>, input[output, length]: Transform<'_>) {
        let mut state = CtrState::resume(stream.counter, stream.keystream, stream.unused)?;
        input.change(|data| client.aes_ctr(key, &mut state, data))?;
        *stream = CtrStream { counter: *state.counter(), keystream: *state.keystream(), unused: state.unused() };
        Ok(())
    }

    /// AES-GCM encryption. `iv` has 12 bytes by custom; the same one must never serve twice with a key. The tag has 4 to
    /// 16 bytes; servers may demand at least 12. Everything fits one packet.
    fn casemate_aes_gcm_encrypt(client; key: Key<'_>, iv[iv_length]: Bytes, aad[aad_length]: Bytes, input[output, length]: Transform<'_>, tag[tag_length]: Buffer) {
        input.change(|data| client.aes_gcm_encrypt(key, iv, aad, data, tag))
    }

    /// AES-GCM decryption. CASEMATE_SERVER_AES_GCM_AUTHENTICATION if the tag does not match; there is no output then.
    fn casemate_aes_gcm_decrypt(client; key: Key<'_>, iv[iv_length]: Bytes, aad[aad_length]: Bytes, input[output, length]: Transform<'_>, tag[tag_length]: Bytes) {
        input.change(|data| client.aes_gcm_decrypt(key, iv, aad, data, tag))
    }
}
