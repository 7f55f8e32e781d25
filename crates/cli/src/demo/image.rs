//! Images that are verified before they run. Their signer is Python's `cryptography`
//! (`crates/server/tests/fixtures/make_images.py`).

use super::{ALICE, Report, done};
use crate::connection::in_process;
use crate::local::{RamStore, Setup, handler};
use anyhow::{Context, Result, anyhow, bail, ensure};
use casemate_nvm::ObjectStore;
use casemate_posix::daemon::PosixPlatform;
use casemate_protocol::{ClientId, Flags, KeyId, Label, Metadata, ObjectId, ObjectType};
use casemate_server::Server;
use casemate_server::image::{
    AesCmac, Ecdsa, Fault, Image, ImageKind, Method, NoAction, Region, Tag, Verified,
};
use std::sync::Arc;

type Device = Server<PosixPlatform<RamStore>>;

const KEY: ObjectId = ObjectId::new(ObjectType::CRYPTO, ClientId::NONE, 1);
const MAC_KEY: ObjectId = ObjectId::new(ObjectType::CRYPTO, ClientId::NONE, 2);
const SIGNATURE: ObjectId = ObjectId(0x0110);
const MAC: ObjectId = ObjectId(0x0111);
const FLOOR: ObjectId = ObjectId(0xFE80);

/// The device's flash: headers of 256 bytes, then the payload.
const HEADER: Region = Region { address: 0, size: 256 };
const PAYLOAD: Region = Region { address: 256, size: 5000 };

fn fixture(name: &str) -> Result<Vec<u8>> {
    let mut lines = include_str!("images.txt").lines().filter_map(|line| line.split_once(' '));
    let (_, digits) = lines.find(|(found, _)| *found == name).with_context(|| format!("no `{name}`"))?;
    Ok(hex::decode(digits)?)
}

fn flash() -> Result<Vec<u8>> {
    let mut flash = fixture("wolfboot-p256-header")?;
    for index in 0..5000_u32 {
        flash.push(u8::try_from((7 * index + 3) % 251)?);
    }
    Ok(flash)
}

fn device() -> Result<Arc<Device>> {
    let setup = Setup::default();
    let device = setup.server(setup.ram_store()?)?;
    for (id, name) in [
        (KEY, "ecdsa-p256-key"),
        (MAC_KEY, "aes-cmac-key"),
        (SIGNATURE, "ecdsa-p256-signature"),
        (MAC, "aes-cmac-signature"),
    ] {
        let flags = Flags::USAGE_VERIFY | Flags::NONDESTROYABLE;
        let metadata = Metadata { id, access: 0, flags, length: 0, label: Label::from("image") };
        let stored = device.with_store(|store| {
            store.add_with_reclaim(&metadata, &fixture(name)?).map_err(|error| anyhow!("{error}"))
        });
        stored.context("the store cannot be reached")??;
    }
    Ok(Arc::new(device))
}

fn verify(device: &Device, kind: ImageKind, method: &dyn Method, flash: &[u8]) -> Result<Verified, Fault> {
    let image = Image { number: 0, kind, payload: PAYLOAD, method, action: &NoAction };
    device.verify_image(&image, &mut &*flash, &mut [0; 4096]).verification
}

const fn boot(floor: Option<ObjectId>) -> ImageKind {
    ImageKind::WolfBoot { header: HEADER, key: KEY, floor }
}

fn untrusted(outcome: Result<Verified, Fault>, expected: Fault) -> super::Outcome {
    match outcome {
        Err(fault) if fault == expected => Ok(format!("refused: {fault:?}")),
        Err(fault) => Err(anyhow!("refused for another reason: {fault}")),
        Ok(_) => bail!("it was accepted"),
    }
}

pub(super) fn steps(report: &mut Report) {
    report.group("Images, verified before they run");
    let mut ready = None;
    report.step("provision keys, a signature and a MAC", || {
        ready = Some((device()?, flash()?));
        done()
    });
    let Some((device, flash)) = ready else { return };
    report.step("a raw image, ECDSA P-256", || {
        verify(&device, ImageKind::Raw { key: KEY, signature: SIGNATURE }, &Ecdsa::P256, &flash)?;
        Ok("verified".to_owned())
    });
    report.step("a raw image, AES-CMAC", || {
        verify(&device, ImageKind::Raw { key: MAC_KEY, signature: MAC }, &AesCmac, &flash)?;
        Ok("verified".to_owned())
    });
    report.step("an image with a wolfBoot header, ECDSA P-256", || {
        let verified = verify(&device, boot(None), &Ecdsa::P256, &flash)?;
        ensure!(verified == Verified { length: 5000, version: Some(7) }, "{verified:?}");
        Ok("verified: version 7".to_owned())
    });
    report.step("... with one bit of the payload changed", || {
        let mut changed = flash.clone();
        changed[2000] ^= 1;
        untrusted(verify(&device, boot(None), &Ecdsa::P256, &changed), Fault::Digest)
    });
    report.step("... with one bit of the signature changed", || {
        let mut changed = flash.clone();
        changed[150] ^= 1;
        untrusted(verify(&device, boot(None), &Ecdsa::P256, &changed), Fault::NotAuthentic)
    });
    report.step("... with a digest added that nobody signed", || {
        let mut changed = flash.clone();
        changed[20] = 3;
        untrusted(verify(&device, boot(None), &Ecdsa::P256, &changed), Fault::Twice(Tag::SHA256))
    });
    report.step("version 7 when version 8 has run", || {
        device.raise_version_floor(FLOOR, 8)?;
        let rollback = Fault::Rollback { version: 7, floor: 8 };
        untrusted(verify(&device, boot(Some(FLOOR)), &Ecdsa::P256, &flash), rollback)
    });
    report.step("revoke the key: it verifies nothing any more", || {
        let setup = Setup::default();
        let mut hsm = in_process(handler(&setup, Arc::clone(&device)), setup.config.data_length);
        hsm.init(ClientId::new(ALICE).context("client identifiers are 1 to 15")?)?;
        hsm.key_revoke(KeyId(1 | KeyId::GLOBAL))?;
        hsm.close()?;
        untrusted(verify(&device, boot(None), &Ecdsa::P256, &flash), Fault::KeyUsage)
    });
}
