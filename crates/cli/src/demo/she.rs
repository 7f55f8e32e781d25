//! AUTOSAR SHE in the demonstration.

use super::{Report, done, expect, refused};
use crate::connection::Hsm;
use anyhow::ensure;
use casemate_client::Direction;
use casemate_client::she::{LoadKeyMessages, SecureBoot, SlotFlags, SlotLabel, slot};
use casemate_crypto::she::{Counter, KeyNumber, KeyUpdate, UpdateFlags, boot_mac_header};
use casemate_crypto::{NoRandom, Software, cmac};
use casemate_protocol::{ClientId, ObjectId, Status};

/// The identifier and the keys of the SHE specification's example.
const UID: [u8; 15] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const MASTER: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const KEY_1: [u8; 16] = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

pub(super) fn steps(report: &mut Report, hsm: &mut Hsm, client: ClientId) {
    report.group("AUTOSAR SHE");
    let image: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    let boot_key = *b"a boot MAC key..";
    report.step("provision SECRET_KEY, PRNG_SEED, BOOT_MAC_KEY, BOOT_MAC", || {
        let mut boot_mac = [0; 16];
        let header = boot_mac_header(u32::try_from(image.len())?.to_ne_bytes());
        cmac(&Software::new(NoRandom), &boot_key, &[&header, &image], &mut boot_mac)?;
        let secret = hex::decode("2b7e151628aed2a6abf7158809cf4f3c")?.try_into().unwrap_or_default();
        let seed = hex::decode("6bc1bee22e409f96e93d7e117393172a")?.try_into().unwrap_or_default();
        for (slot, key) in [
            (slot::SECRET_KEY, &secret),
            (slot::PRNG_SEED, &seed),
            (slot::BOOT_MAC_KEY, &boot_key),
            (slot::BOOT_MAC, &boot_mac),
        ] {
            let label = SlotLabel { counter: 0, flags: SlotFlags::NONE };
            hsm.she_provision(client, slot, label, key)?;
        }
        done()
    });
    report.step("use SHE before secure boot", || {
        hsm.she_set_uid(UID)?;
        refused(hsm.she_load_plain_key(&MASTER), Status::SHE_SEQUENCE_ERROR)
    });
    report.step("secure boot with a changed image", || {
        let mut changed = image.clone();
        changed.reverse();
        refused(hsm.she_secure_boot(&changed), Status::SHE_GENERAL_ERROR)
    });
    report.step("secure boot", || {
        ensure!(hsm.she_secure_boot(&image)? == SecureBoot::Verified, "no boot key was found");
        Ok(hsm.she_status()?.to_string())
    });
    let update = |key: u8, authorizing: u8, counter: u32| -> anyhow::Result<KeyUpdate> {
        let number = |number| KeyNumber::new(number).ok_or_else(|| anyhow::anyhow!("no such slot"));
        Ok(KeyUpdate {
            uid: UID,
            key: number(key)?,
            authorizing_key: number(authorizing)?,
            counter: Counter::new(counter).ok_or_else(|| anyhow::anyhow!("no such counter"))?,
            flags: UpdateFlags::NONE,
        })
    };
    let seal = |update: KeyUpdate, authorizing: &[u8; 16], new: &[u8; 16]| {
        let sealed = update.seal(&Software::new(NoRandom), authorizing, new);
        sealed.map(|sealed| LoadKeyMessages { m1: sealed.m1, m2: sealed.m2, m3: sealed.m3 })
    };
    report.step("load MASTER_ECU_KEY, then KEY_1, with M1 to M3", || {
        hsm.she_load_key(&seal(update(slot::MASTER_ECU_KEY, slot::MASTER_ECU_KEY, 1)?, &[0; 16], &MASTER)?)?;
        let load = seal(update(slot::KEY_1, slot::MASTER_ECU_KEY, 1)?, &MASTER, &KEY_1)?;
        expect(&load.m3, "b9d745e5ace7d41860bc63c2b9f5bb46")?;
        let proof = hsm.she_load_key(&load)?;
        expect(&proof.m5, "820d8d95dc11b4668878160cb2a4e23e")?;
        Ok("M4 and M5 as the standard says".to_owned())
    });
    report.step("load KEY_1 again with the same counter", || {
        let load = seal(update(slot::KEY_1, slot::MASTER_ECU_KEY, 1)?, &MASTER, &KEY_1)?;
        refused(hsm.she_load_key(&load), Status::SHE_KEY_UPDATE_ERROR)
    });
    report.step("read KEY_1 as an object", || {
        let id = ObjectId(0x2000 | u16::from(client.get()) << 8 | u16::from(slot::KEY_1));
        refused(hsm.nvm_read(id, &mut [0; 16]), Status::ACCESS)
    });
    report.step("encrypt and decrypt with KEY_1, AES-ECB and AES-CBC", || {
        let plain = vec![0x5A; 20_000];
        let mut data = plain.clone();
        hsm.she_ecb(Direction::Encrypt, slot::KEY_1, &mut data)?;
        hsm.she_ecb(Direction::Decrypt, slot::KEY_1, &mut data)?;
        ensure!(data == plain, "ECB does not go back");
        hsm.she_cbc(Direction::Encrypt, slot::KEY_1, &mut [7; 16], &mut data)?;
        hsm.she_cbc(Direction::Decrypt, slot::KEY_1, &mut [7; 16], &mut data)?;
        ensure!(data == plain, "CBC does not go back");
        Ok("the plaintext came back".to_owned())
    });
    report.step("RAM key: encrypt, MAC, export", || {
        hsm.she_load_plain_key(&MASTER)?;
        let mut data = hex::decode("00112233445566778899aabbccddeeff")?;
        hsm.she_ecb(Direction::Encrypt, slot::RAM_KEY, &mut data)?;
        expect(&data, "69c4e0d86a7b0430d8cdb78070b4c55a")?;
        let mac = hsm.she_mac(slot::RAM_KEY, b"message")?;
        hsm.she_verify_mac(slot::RAM_KEY, b"message", &mac)?;
        let exported = hsm.she_export_ram_key()?;
        ensure!(hsm.she_load_key(&exported.load)? == exported.proof, "another proof than announced");
        Ok("FIPS 197; the export loads again".to_owned())
    });
    report.step("random numbers", || {
        hsm.she_random_init()?;
        expect(&hsm.she_random()?, "614aae8a7bb8fff31ac3230e6240506b")?;
        hsm.she_extend_seed([1; 16])?;
        hsm.she_random()?;
        Ok("as secret key and seed say".to_owned())
    });
}
