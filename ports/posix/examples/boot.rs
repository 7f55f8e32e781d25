//! Start-up code of a device: three images are verified, and only then is the application released.
//!
//! `cargo run --example boot` plays the owner, who signs, and the device, which verifies; then somebody changes one byte
//! of the application, and then an old version is put back. The device's flash is a file, in a temporary directory.

use casemate_crypto::{
    Curve, Drbg, Driver, Ed25519Mode, HashAlgorithm, Software, cmac,
    encoding::{EcKey, Ed25519Key},
    hash,
};
use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, ObjectStore};
use casemate_posix::audit::{AuditFile, AuditOptions};
use casemate_posix::daemon::PosixPlatform;
use casemate_posix::entropy::OsEntropy;
use casemate_posix::flash::{FileFlash, FileFlashOptions};
use casemate_protocol::{Flags, Label, Metadata, ObjectId};
use casemate_server::image::{
    AesCmac, Ecdsa, Ed25519, Fault, HeaderWriter, Image, ImageKind, ImageMemory, ImageReadError, NoAction,
    Region, Tag, Verified, signed_by,
};
use casemate_server::{CacheShape, Config, HeapCache, Server};
use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

type Store = FlashStore<FileFlash, Vec<DirectoryEntry>>;
type Device = Server<PosixPlatform<Store>>;

// Where things lie in the device's object store ...
const BOOT_KEY: ObjectId = ObjectId(0x1001);
const APPLICATION_KEY: ObjectId = ObjectId(0x1002);
const CALIBRATION_KEY: ObjectId = ObjectId(0x1003);
const BOOT_SIGNATURE: ObjectId = ObjectId(0x0100);
const CALIBRATION_MAC: ObjectId = ObjectId(0x0101);
const VERSION_FLOOR: ObjectId = ObjectId(0xFE80);
// ... and in its image flash.
const BOOT: Region = Region { address: 0, size: 0x1000 };
const HEADER: Region = Region { address: 0x1000, size: 0x100 };
const APPLICATION: Region = Region { address: 0x1100, size: 0xF00 };
const CALIBRATION: Region = Region { address: 0x2000, size: 0x800 };
const FLASH_SIZE: usize = 0x2800;

/// The flash that the images lie in.
struct ImageFlash(File);

impl ImageMemory for ImageFlash {
    fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), ImageReadError> {
        self.0.read_exact_at(out, address).map_err(|_| ImageReadError)
    }
}

/// What the device does at every start. `Some` is the version that was released.
fn boot(device: &Device, flash: &Path) -> Result<Option<u32>, Box<dyn Error>> {
    let released = std::cell::Cell::new(None);
    let note_version = |_: &Image<'_>, verification: Result<Verified, Fault>| {
        released.set(verification.ok().and_then(|verified| verified.version));
        Ok(())
    };
    let images = [
        Image {
            number: 0,
            kind: ImageKind::Raw { key: BOOT_KEY, signature: BOOT_SIGNATURE },
            payload: BOOT,
            method: &Ecdsa::P256,
            action: &NoAction,
        },
        Image {
            number: 1,
            kind: ImageKind::WolfBoot { header: HEADER, key: APPLICATION_KEY, floor: Some(VERSION_FLOOR) },
            payload: APPLICATION,
            method: &Ed25519,
            action: &note_version,
        },
        Image {
            number: 2,
            kind: ImageKind::Raw { key: CALIBRATION_KEY, signature: CALIBRATION_MAC },
            payload: CALIBRATION,
            method: &AesCmac,
            action: &NoAction,
        },
    ];
    let mut memory = ImageFlash(File::open(flash)?);
    let mut scratch = [0; 4096];
    let summary =
        device.verify_images(&images, &mut memory, &mut scratch, &mut |image, outcome| match &outcome
            .verification
        {
            Ok(_) => println!("  image {}: verified", image.number),
            Err(fault) => println!("  image {}: REFUSED: {fault}", image.number),
        });
    if !summary.all_verified() {
        println!("  the application core stays in reset");
        return Ok(None);
    }
    println!("  the application core is released");
    // The application runs: older versions may not come back.
    if let Some(version) = released.get() {
        device.raise_version_floor(VERSION_FLOOR, version)?;
    }
    Ok(released.get())
}

/// The owner's keys. They never come near the device.
struct Owner<D> {
    driver: D,
    boot: [u8; 32],
    application: [u8; 32],
    calibration: [u8; 16],
}

impl<D: Driver> Owner<D> {
    fn new(driver: D) -> Result<Self, Box<dyn Error>> {
        let (mut boot, mut public) = ([0; 32], [0; 64]);
        driver.ec_generate(Curve::P256, &mut boot, &mut public)?;
        let (mut application, mut calibration) = ([0; 32], [0; 16]);
        driver.fill(&mut application)?;
        driver.fill(&mut calibration)?;
        Ok(Self { driver, boot, application, calibration })
    }

    fn application_public(&self) -> Result<([u8; 32], Vec<u8>), Box<dyn Error>> {
        let mut public = [0; 32];
        self.driver.ed25519_public(&self.application, &mut public)?;
        let mut encoded = vec![0; Ed25519Key::MAX_ENCODING];
        let length = Ed25519Key { seed: None, public: Some(public) }.encode_public(&mut encoded)?;
        encoded.truncate(length);
        Ok((public, encoded))
    }

    /// Once, in the factory: keys, signatures, and the image flash.
    fn provision(&self, device: &Device, flash: &[u8]) -> Result<(), Box<dyn Error>> {
        let part = |region: Region| &flash[region.address as usize..][..region.size as usize];
        let mut point = [0; 64];
        self.driver.ec_public(Curve::P256, &self.boot, &mut point)?;
        let mut key = vec![0; EcKey::MAX_ENCODING];
        let public = EcKey { curve: Curve::P256, private: None, public: Some(&point) };
        let length = public.encode_public(&mut key)?;
        key.truncate(length);
        store(device, BOOT_KEY, &key)?;
        store(device, APPLICATION_KEY, &self.application_public()?.1)?;
        store(device, CALIBRATION_KEY, &self.calibration)?;

        let (mut digest, mut numbers) = ([0; 32], [0; 64]);
        hash(&self.driver, HashAlgorithm::Sha256, &[part(BOOT)], &mut digest)?;
        self.driver.ecdsa_sign(Curve::P256, &self.boot, &digest, &mut numbers)?;
        let mut signature = [0; 72];
        let length = casemate_crypto::encoding::encode_ecdsa_signature(&numbers, &mut signature)?;
        store(device, BOOT_SIGNATURE, &signature[..length])?;
        let mut mac = [0; 16];
        cmac(&self.driver, &self.calibration, &[part(CALIBRATION)], &mut mac)?;
        store(device, CALIBRATION_MAC, &mac)
    }

    /// A new version of the application: its header and its payload.
    fn release(&self, version: u32, flash: &mut [u8]) -> Result<(), Box<dyn Error>> {
        let (header, payload) = flash[HEADER.address as usize..].split_at_mut(HEADER.size as usize);
        let payload = &mut payload[..APPLICATION.size as usize];
        payload.fill(version as u8);
        let (public, encoded) = self.application_public()?;
        let (mut hint, mut digest, mut signature) = ([0; 32], [0; 32], [0; 64]);
        hash(&self.driver, HashAlgorithm::Sha256, &[&encoded], &mut hint)?;
        let mut writer = HeaderWriter::new(header, APPLICATION.size)?;
        writer.field(Tag::VERSION, &version.to_le_bytes())?;
        writer.field(Tag::IMAGE_TYPE, &[1, signed_by::ED25519])?;
        writer.field(Tag::KEY_HINT, &hint)?;
        hash(&self.driver, HashAlgorithm::Sha256, &[writer.digest_input(), payload], &mut digest)?;
        writer.field(Tag::SHA256, &digest)?;
        let mode = Ed25519Mode::Pure;
        self.driver.ed25519_sign(&self.application, &public, mode, &digest, &mut signature)?;
        Ok(writer.field(Tag::SIGNATURE, &signature)?)
    }
}

fn store(device: &Device, id: ObjectId, data: &[u8]) -> Result<(), Box<dyn Error>> {
    let flags = Flags::USAGE_VERIFY | Flags::NONMODIFIABLE | Flags::NONDESTROYABLE;
    let metadata = Metadata { id, access: 0, flags, length: 0, label: Label::from("boot") };
    let stored = device.with_store(|store| store.add_with_reclaim(&metadata, data));
    stored.ok_or("the store cannot be reached")?.map_err(|error| error.to_string().into())
}

fn device(directory: &Path) -> Result<Device, Box<dyn Error>> {
    let options = FileFlashOptions { partition_size: 64 * 1024, erased_byte: 0xFF };
    let flash = FileFlash::open(directory.join("objects.image"), options)?;
    let store = FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 30], FlashOptions::new())
        .map_err(|error| error.to_string())?;
    let report = |error: &_| eprintln!("security records are lost: {error}");
    let audit = AuditFile::open(&directory.join("audit.jsonl"), AuditOptions::default(), report)?;
    let platform = PosixPlatform::new()?.with_audit(audit);
    Ok(Server::new(platform, Config::default(), store, HeapCache::new(CacheShape::default()))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("images.flash");
    let device = device(directory.path())?;

    let driver = Software::new(Mutex::new(Drbg::new(OsEntropy, b"the owner")?));
    let owner = Owner::new(driver)?;
    let mut flash = vec![0xFF; FLASH_SIZE];
    owner.release(1, &mut flash)?;
    owner.provision(&device, &flash)?;
    fs::write(&path, &flash)?;
    println!("First start:");
    assert_eq!(boot(&device, &path)?, Some(1));

    println!("After an update to version 2:");
    let old = flash.clone();
    owner.release(2, &mut flash)?;
    fs::write(&path, &flash)?;
    assert_eq!(boot(&device, &path)?, Some(2));

    println!("With one bit of the application changed:");
    let mut changed = flash.clone();
    changed[APPLICATION.address as usize + 100] ^= 1;
    fs::write(&path, &changed)?;
    assert_eq!(boot(&device, &path)?, None);

    println!("With version 1, which was signed too, put back:");
    fs::write(&path, &old)?;
    assert_eq!(boot(&device, &path)?, None);

    println!("With version 2 again:");
    fs::write(&path, &flash)?;
    assert_eq!(boot(&device, &path)?, Some(2));
    Ok(())
}
