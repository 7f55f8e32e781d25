//! AUTOSAR SHE.

use crate::failure::Failure;
use crate::ffi::{self, Array, ArrayOut, Bytes, In, Optional, Out, Transform};
use crate::status::Own;
use crate::types::{DirectionName, SheLoad, SheProof, slot_flags};
use casemate_client::she::{
    ExportedKey, KeyProof, LoadKeyMessages, SecureBoot, SecureBootFinish, SecureBootInit, SecureBootUpdate,
    SlotLabel,
};
use casemate_protocol::ClientId;

const fn owner(number: u8) -> Result<ClientId, Failure> {
    match (number, ClientId::new(number as u32)) {
        (0, _) => Ok(ClientId::NONE),
        (_, Some(id)) => Ok(id),
        _ => Err(Failure::Own(Own::BAD_ARGUMENT)),
    }
}

ffi::calls! { "AUTOSAR SHE"
    /// Gives the server its unique identifier, which it keeps until it restarts.
    fn casemate_she_set_uid(client; uid: Array<15>) {
        Ok(client.she_set_uid(*uid)?)
    }

    /// Carries out secure boot with an image, in as many requests as it takes: only with a client that blocks. `verified`
    /// gets 1 if the image's MAC is the expected one, 0 if the server has no boot MAC key and checked nothing.
    fn casemate_she_secure_boot(client; image[length]: Bytes, verified: Out<i32>) {
        *verified = i32::from(client.she_secure_boot(image)? == SecureBoot::Verified);
        Ok(())
    }

    /// Announces a boot image of `length` bytes. `wanted` gets 1 if it has to follow, 0 if the server has no boot MAC
    /// key.
    fn casemate_she_secure_boot_begin(client; length: u32, wanted: Out<i32>) {
        *wanted = i32::from(client.run(&SecureBootInit { length })?.is_none());
        Ok(())
    }

    /// Sends a part of the boot image that fits a packet with 8 bytes more.
    fn casemate_she_secure_boot_update(client; part[length]: Bytes) {
        Ok(client.run(&SecureBootUpdate { part })?)
    }

    /// Has the boot image's MAC compared.
    fn casemate_she_secure_boot_finish(client;) {
        Ok(client.run(&SecureBootFinish)?)
    }

    /// Reads the status register.
    fn casemate_she_get_status(client; status: Out<u8>) {
        *status = client.she_status()?.0;
        Ok(())
    }

    /// Loads a key with M1 to M3. `proof`, which may be null, gets M4 and M5, to be compared with what is expected.
    fn casemate_she_load_key(client; load: In<SheLoad>, proof: Optional<SheProof>) {
        let SheLoad { m1, m2, m3 } = *load;
        let KeyProof { m4, m5 } = client.she_load_key(&LoadKeyMessages { m1, m2, m3 })?;
        if let Some(proof) = proof {
            *proof = SheProof { m4, m5 };
        }
        Ok(())
    }

    /// Loads the RAM key as it is. Whoever sees the channel sees it.
    fn casemate_she_load_plain_key(client; key: Array<16>) {
        Ok(client.she_load_plain_key(key)?)
    }

    /// Exports the RAM key, encrypted for this server. `proof` may be null.
    fn casemate_she_export_ram_key(client; load: Out<SheLoad>, proof: Optional<SheProof>) {
        let ExportedKey { load: LoadKeyMessages { m1, m2, m3 }, proof: KeyProof { m4, m5 } } = client.she_export_ram_key()?;
        *load = SheLoad { m1, m2, m3 };
        if let Some(proof) = proof {
            *proof = SheProof { m4, m5 };
        }
        Ok(())
    }

    /// Starts the random generator, once.
    fn casemate_she_random_init(client;) {
        Ok(client.she_random_init()?)
    }

    /// Gives the next 16 random bytes.
    fn casemate_she_random(client; bytes: ArrayOut<16>) {
        *bytes = client.she_random()?;
        Ok(())
    }

    /// Mixes entropy into the random generator and its stored seed.
    fn casemate_she_extend_seed(client; entropy: Array<16>) {
        Ok(client.she_extend_seed(*entropy)?)
    }

    /// AES-ECB of whole blocks with the key of a slot; input and output as in casemate_aes_ecb.
    fn casemate_she_ecb(client; slot: u8, direction: DirectionName, input[output, length]: Transform<'_>) {
        input.change(|data| client.she_ecb(direction, slot, data))
    }

    /// AES-CBC of whole blocks with the key of a slot; `iv` becomes the one for the data that follows.
    fn casemate_she_cbc(client; slot: u8, direction: DirectionName, iv: ArrayOut<16>, input[output, length]: Transform<'_>) {
        input.change(|data| client.she_cbc(direction, slot, iv, data))
    }

    /// The CMAC of a message that fits a packet, with the key of a slot.
    fn casemate_she_mac(client; slot: u8, message[length]: Bytes, mac: ArrayOut<16>) {
        *mac = client.she_mac(slot, message)?;
        Ok(())
    }

    /// Checks a CMAC of 4 to 16 bytes with the key of a slot: CASEMATE_MAC_MISMATCH if it does not match.
    fn casemate_she_verify_mac(client; slot: u8, message[length]: Bytes, mac[mac_length]: Bytes) {
        Ok(client.she_verify_mac(slot, message, mac)?)
    }

    /// Places a key in a slot, past all checks of SHE: provisioning, through the object store. `owner` is the number of
    /// this client, or 0 on a server whose slots belong to all.
    fn casemate_she_provision(client; owner_id: u8, slot: u8, counter: u32, flags: u32, key: Array<16>) {
        let label = SlotLabel { counter, flags: slot_flags(flags) };
        Ok(client.she_provision(owner(owner_id)?, slot, label, key)?)
    }

    /// Empties a slot.
    fn casemate_she_remove(client; owner_id: u8, slot: u8) {
        Ok(client.she_remove(owner(owner_id)?, slot)?)
    }
}
