//! Hashes, CMAC, HMAC.

use crate::ffi::{self, Buffer, Bytes, Fresh, In, Out, Output, State};
use crate::types::{CmacStream, HashName};
use casemate_client::{Argument, Cmac, Hash, Hmac, Key};
use casemate_protocol::message::crypto::CmacState;

fn resume<'k>(key: Key<'k>, state: &CmacStream) -> Result<Cmac<'k>, Argument> {
    let CmacStream { buffer, digest, buffered, total } = *state;
    Cmac::resume(key, CmacState { buffer, digest, buffered, total })
}

ffi::calls! { "Hashes and message authentication"
    /// Hashes data in one call. With a client that does not block, data shorter than a block.
    fn casemate_hash(client; algorithm: HashName, data[length]: Bytes, digest[digest_length]: Output<'_>) {
        digest.copy(client.hash(algorithm, data)?.as_bytes())
    }

    /// Begins a hash, in memory that may hold anything; end it with casemate_hash_end.
    fn casemate_hash_begin(; hash: Fresh<Hash>, algorithm: HashName) {
        hash.fill(Hash::new(algorithm));
        Ok(())
    }

    /// Adds data to a hash. The server keeps nothing of it, so any number of hashes can be under way.
    fn casemate_hash_update(client; hash: State<Hash>, data[length]: Bytes) {
        let mut hash = hash;
        Ok(client.hash_update(hash.get(), data)?)
    }

    /// Gives the digest of the data so far. The hash can go on.
    fn casemate_hash_finish(client; hash: State<Hash>, digest[digest_length]: Output<'_>) {
        let mut hash = hash;
        digest.copy(client.hash_finish(hash.get())?.as_bytes())
    }

    /// Wipes a hash. It needs to begin anew then.
    fn casemate_hash_end(; hash: State<Hash>) {
        hash.end();
        Ok(())
    }

    /// The AES-CMAC of data. `mac_length`, 4 to 16 bytes, says how long it shall be. The key may sign or verify.
    fn casemate_cmac(client; key: Key<'_>, data[length]: Bytes, mac[mac_length]: Buffer) {
        Ok(client.cmac(key, data, mac)?)
    }

    /// Checks an AES-CMAC of 4 to 16 bytes: CASEMATE_MAC_MISMATCH if it is not that of the data.
    fn casemate_cmac_verify(client; key: Key<'_>, data[length]: Bytes, mac[mac_length]: Bytes) {
        Ok(client.cmac_verify(key, data, mac)?)
    }

    /// Adds data to a CMAC. The key is the same in each call.
    fn casemate_cmac_update(client; key: Key<'_>, state: Out<CmacStream>, data[length]: Bytes) {
        let mut cmac = resume(key, state)?;
        client.cmac_update(&mut cmac, data)?;
        let CmacState { buffer, digest, buffered, total } = *cmac.state();
        *state = CmacStream { buffer, digest, buffered, total };
        Ok(())
    }

    /// Gives the CMAC of the data so far, 4 to 16 bytes. The state can go on.
    fn casemate_cmac_finish(client; key: Key<'_>, state: In<CmacStream>, mac[mac_length]: Buffer) {
        Ok(client.cmac_finish(&resume(key, state)?, mac)?)
    }

    /// The HMAC of data in one call: only with a client that blocks. The protocol has no HMAC, so the key travels to the
    /// server as data: whoever sees the channel sees it. To authenticate with a key that stays in the server, use CMAC.
    fn casemate_hmac(client; algorithm: HashName, key[key_length]: Bytes, data[length]: Bytes, mac[mac_length]: Output<'_>) {
        mac.copy(client.hmac(algorithm, key, data)?.as_bytes())
    }

    /// Checks an HMAC, as casemate_hmac: CASEMATE_MAC_MISMATCH if it is not that of the data.
    fn casemate_hmac_verify(client; algorithm: HashName, key[key_length]: Bytes, data[length]: Bytes, mac[mac_length]: Bytes) {
        Ok(client.hmac_verify(algorithm, key, data, mac)?)
    }

    /// Begins an HMAC, in memory that may hold anything; end it with casemate_hmac_end. With a client that does not
    /// block, the key is at most a block long.
    fn casemate_hmac_begin(client; hmac: Fresh<Hmac>, algorithm: HashName, key[key_length]: Bytes) {
        hmac.fill(client.hmac_start(algorithm, key)?);
        Ok(())
    }

    /// Adds data to an HMAC.
    fn casemate_hmac_update(client; hmac: State<Hmac>, data[length]: Bytes) {
        let mut hmac = hmac;
        Ok(client.hmac_update(hmac.get(), data)?)
    }

    /// Gives the HMAC of the data so far, which can go on: only with a client that blocks.
    fn casemate_hmac_finish(client; hmac: State<Hmac>, mac[mac_length]: Output<'_>) {
        let mut hmac = hmac;
        mac.copy(client.hmac_finish(hmac.get())?.as_bytes())
    }

    /// Wipes an HMAC. It needs to begin anew then.
    fn casemate_hmac_end(; hmac: State<Hmac>) {
        hmac.end();
        Ok(())
    }
}
