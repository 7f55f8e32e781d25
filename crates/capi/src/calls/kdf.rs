//! Key derivation.

use crate::ffi::{self, Buffer, Bytes, In, Out};
use crate::types::{HashName, NewKey};
use casemate_client::{CmacKdfInput, HkdfInput, Key};

ffi::calls! { "Key derivation"
    /// Derives a key with HKDF (RFC 5869) and returns it: `length` says how long it shall be.
    fn casemate_hkdf_export(client; hash: HashName, key: Key<'_>, salt[salt_length]: Bytes, info[info_length]: Bytes, derived[length]: Buffer) {
        Ok(client.hkdf_export(&HkdfInput { hash, key, salt, info }, derived)?)
    }

    /// Derives a key of `length` bytes with HKDF that stays in the server's cache.
    fn casemate_hkdf_cache(client; hash: HashName, key: Key<'_>, salt[salt_length]: Bytes, info[info_length]: Bytes, what: In<NewKey>, length: usize, id: Out<u16>) {
        *id = client.hkdf_cache(&HkdfInput { hash, key, salt, info }, &what.get(), length)?.0;
        Ok(())
    }

    /// Derives a key in two steps of AES-CMAC (NIST SP 800-56C) from the secret `z` and returns it. The salt is an AES
    /// key.
    fn casemate_cmac_kdf_export(client; salt: Key<'_>, z: Key<'_>, info[info_length]: Bytes, derived[length]: Buffer) {
        Ok(client.cmac_kdf_export(&CmacKdfInput { salt, z, info }, derived)?)
    }

    /// Derives a key of `length` bytes in two steps of AES-CMAC that stays in the server's cache.
    fn casemate_cmac_kdf_cache(client; salt: Key<'_>, z: Key<'_>, info[info_length]: Bytes, what: In<NewKey>, length: usize, id: Out<u16>) {
        *id = client.cmac_kdf_cache(&CmacKdfInput { salt, z, info }, &what.get(), length)?.0;
        Ok(())
    }
}
