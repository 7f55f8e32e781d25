//! `casemate image`.

use crate::local::{RamStore, Setup};
use crate::pem::certificates;
use crate::value::{print, say};
use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use casemate_crypto::encoding::{
    EcKey, Ed25519Key, MlDsaKey, RsaKey, encode_ecdsa_signature, encode_rsa_public,
};
use casemate_crypto::{
    Curve, Drbg, Driver, Ed25519Mode, HashAlgorithm, MlDsaMessage, MlDsaSet, RSA_MAX_BYTES, Software, cmac,
    hash, rsa_padding::pkcs1_signature_encode,
};
use casemate_nvm::ObjectStore;
use casemate_posix::daemon::PosixPlatform;
use casemate_posix::entropy::OsEntropy;
use casemate_protocol::{ClientId, Flags, Label, Metadata, ObjectId, ObjectType};
use casemate_server::Server;
use casemate_server::image::{
    self, AesCmac, Ecdsa, Ed25519, Header, HeaderWriter, Image as SignedImage, ImageKind, Method, MlDsa,
    NoAction, Region, Rsa, Tag, signed_by,
};
use clap::{Args, Subcommand, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Sign, verify and inspect images that a device verifies before it runs them
///
/// A raw image is signed in a file of its own, which a device keeps in its object store. An image with a wolfBoot header
/// carries version, digest and signature in front of its payload; it can carry the signer's certificates too, and a device
/// then needs a root's certificate instead of the signer's key.
///
/// These commands need no server. Keys are files in PEM or DER: private ones as PKCS#8, PKCS#1 or SEC 1 to sign, public
/// ones as SubjectPublicKeyInfo to verify; the 16 bytes of an AES-CMAC key as they are. A device stores the DER form.
#[derive(Args)]
pub(crate) struct Image {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Sign an image
    Sign(Sign),
    /// Verify an image as a device does; exit status 1 if it is not to be trusted
    Verify(Verify),
    /// Show what a wolfBoot header says, without verifying it
    Inspect {
        /// The image, or its header alone
        image: PathBuf,
    },
}

#[derive(Args)]
struct Sign {
    /// The payload
    payload: PathBuf,
    /// How to sign
    #[arg(long, value_enum)]
    method: MethodName,
    /// The private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to write the signature of a raw image, or the image with its header
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Put a wolfBoot header with this version in front
    #[arg(long, value_name = "VERSION")]
    wolfboot: Option<u32>,
    /// Size of the header; the payload follows it
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..=65_536), requires = "wolfboot")]
    header_size: u32,
    /// What the header calls the image: 0 for the boot loader, 1 for the application
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "wolfboot")]
    part: u8,
    /// Time of making in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS", requires = "wolfboot")]
    timestamp: Option<u64>,
    /// Put certificates into the header, for devices that know a root only: issuers first, the signer's own last. May be
    /// given several times
    #[arg(long = "certificates", value_name = "FILE", requires = "wolfboot")]
    certificates: Vec<PathBuf>,
}

#[derive(Args)]
struct Verify {
    /// The image: the payload of a raw one, or one with its header
    image: PathBuf,
    /// How it is signed
    #[arg(long, value_enum)]
    method: MethodName,
    /// The public key
    #[arg(long, value_name = "FILE", required_unless_present = "root")]
    key: Option<PathBuf>,
    /// Instead of a key: the certificate of the root that vouches for the certificates in the header
    #[arg(long, value_name = "FILE", conflicts_with = "key", requires = "wolfboot")]
    root: Option<PathBuf>,
    /// The signature of a raw image
    #[arg(long, value_name = "FILE", required_unless_present = "wolfboot", conflicts_with = "wolfboot")]
    signature: Option<PathBuf>,
    /// The image has a wolfBoot header
    #[arg(long)]
    wolfboot: bool,
    /// Size of the header
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(12..=65_536), requires = "wolfboot")]
    header_size: u32,
    /// The payload, if it stands in a file of its own and not behind the header
    #[arg(long, value_name = "FILE", requires = "wolfboot")]
    payload: Option<PathBuf>,
    /// Refuse versions below this one
    #[arg(long, value_name = "VERSION", requires = "wolfboot")]
    floor: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    MlDsa44,
    MlDsa65,
    MlDsa87,
    /// RSASSA-PKCS1-v1_5 with SHA-256; in a header, either form
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// The same with a bare digest, as wolfHSM wants it for raw images
    #[value(name = "rsa-2048-bare")]
    Rsa2048Bare,
    #[value(name = "rsa-4096")]
    Rsa4096,
    /// A bare digest, as wolfBoot's own tool makes it
    #[value(name = "rsa-4096-bare")]
    Rsa4096Bare,
    /// For raw images only
    AesCmac,
}

impl MethodName {
    fn method(self, in_header: bool) -> Box<dyn Method> {
        use image::RsaContent;
        let rsa = |size, bare| {
            let content = match (in_header, bare) {
                (true, _) => RsaContent::Either,
                (false, true) => RsaContent::Digest,
                (false, false) => RsaContent::DigestInfo,
            };
            Box::new(Rsa { size, content })
        };
        match self {
            Self::EcdsaP256 => Box::new(Ecdsa::P256),
            Self::EcdsaP384 => Box::new(Ecdsa::P384),
            Self::EcdsaP521 => Box::new(Ecdsa::P521),
            Self::Ed25519 => Box::new(Ed25519),
            Self::MlDsa44 => Box::new(MlDsa(MlDsaSet::MlDsa44)),
            Self::MlDsa65 => Box::new(MlDsa(MlDsaSet::MlDsa65)),
            Self::MlDsa87 => Box::new(MlDsa(MlDsaSet::MlDsa87)),
            Self::Rsa2048 => rsa(256, false),
            Self::Rsa2048Bare => rsa(256, true),
            Self::Rsa4096 => rsa(512, false),
            Self::Rsa4096Bare => rsa(512, true),
            Self::AesCmac => Box::new(AesCmac),
        }
    }
}

/// A file of any length.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    Ok(Zeroizing::new(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?))
}

/// A key from a file in PEM or DER.
fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = read(path)?;
    if !bytes.starts_with(b"-----BEGIN ") {
        return Ok(bytes);
    }
    let wrong = || format!("{} is no PEM file with one key", path.display());
    let text = std::str::from_utf8(&bytes).with_context(wrong)?;
    let mut encoded = Zeroizing::new(String::new());
    for line in text.lines().skip(1).take_while(|line| !line.starts_with("-----END ")) {
        encoded.push_str(line.trim());
    }
    Ok(Zeroizing::new(STANDARD.decode(encoded.as_bytes()).with_context(wrong)?))
}

fn digest(driver: &dyn Driver, algorithm: HashAlgorithm, parts: &[&[u8]]) -> Result<Vec<u8>> {
    let mut digest = vec![0; algorithm.digest_size().unwrap_or(0)];
    hash(driver, algorithm, parts, &mut digest)?;
    Ok(digest)
}

/// What there is to sign.
enum Message<'a> {
    Raw(&'a [u8]),
    /// The digest in a header.
    Header(&'a [u8]),
}

impl Message<'_> {
    fn digest(&self, driver: &dyn Driver, algorithm: HashAlgorithm) -> Result<Vec<u8>> {
        match self {
            Self::Raw(payload) => digest(driver, algorithm, &[payload]),
            Self::Header(digest) => Ok(digest.to_vec()),
        }
    }
}

/// A private key, and how it signs.
struct Signer<'a> {
    driver: &'a dyn Driver,
    method: MethodName,
    key: &'a [u8],
}

impl Signer<'_> {
    /// The public key as a device stores it.
    fn public(&self) -> Result<Vec<u8>> {
        let mut out = vec![0; MlDsaKey::MAX_ENCODING];
        let length = match self.method {
            MethodName::AesCmac => bail!("an AES-CMAC key has no public half, so it cannot sign a header"),
            MethodName::EcdsaP256 | MethodName::EcdsaP384 | MethodName::EcdsaP521 => {
                let key = EcKey::decode(self.key)?;
                let mut computed = [0; Curve::MAX_POINT];
                let public = key.public_or_derived(self.driver, &mut computed)?;
                EcKey { curve: key.curve, private: None, public: Some(public) }.encode_public(&mut out)?
            }
            MethodName::Ed25519 => {
                let key = Ed25519Key::decode(self.key)?;
                let public = Some(self.ed25519_public(&key)?);
                Ed25519Key { seed: None, public }.encode_public(&mut out)?
            }
            MethodName::MlDsa44 | MethodName::MlDsa65 | MethodName::MlDsa87 => {
                let key = MlDsaKey::decode(self.key)?;
                let (mut private, mut public) = ml_dsa_space(key.set);
                key.expand(self.driver, &mut private, &mut public)?;
                let public = Some(public.as_slice());
                MlDsaKey { private: None, seed: None, public, ..key }.encode_public(&mut out)?
            }
            MethodName::Rsa2048 | MethodName::Rsa2048Bare | MethodName::Rsa4096 | MethodName::Rsa4096Bare => {
                encode_rsa_public(&RsaKey::decode(self.key)?.public(), &mut out)?
            }
        };
        out.truncate(length);
        Ok(out)
    }

    fn ed25519_public(&self, key: &Ed25519Key) -> Result<[u8; 32]> {
        let seed = key.seed.as_ref().context("this is no private key")?;
        let mut public = [0; 32];
        self.driver.ed25519_public(seed, &mut public)?;
        Ok(public)
    }

    fn sign(&self, message: &Message<'_>) -> Result<Vec<u8>> {
        let driver = self.driver;
        match self.method {
            MethodName::AesCmac => {
                ensure!(self.key.len() == 16, "an AES-CMAC key has 16 bytes, this one {}", self.key.len());
                let Message::Raw(payload) = message else { bail!("AES-CMAC is for raw images only") };
                let mut mac = vec![0; 16];
                cmac(driver, self.key, &[payload], &mut mac)?;
                Ok(mac)
            }
            MethodName::EcdsaP256 => self.ecdsa(Ecdsa::P256, message),
            MethodName::EcdsaP384 => self.ecdsa(Ecdsa::P384, message),
            MethodName::EcdsaP521 => self.ecdsa(Ecdsa::P521, message),
            MethodName::Ed25519 => {
                let key = Ed25519Key::decode(self.key)?;
                let public = self.ed25519_public(&key)?;
                let seed = key.seed.context("this is no private key")?;
                let digest = message.digest(driver, HashAlgorithm::Sha512)?;
                let mut signature = [0; 64];
                driver.ed25519_sign(&seed, &public, Ed25519Mode::Pure, &digest, &mut signature)?;
                Ok(signature.to_vec())
            }
            MethodName::MlDsa44 => self.ml_dsa(MlDsaSet::MlDsa44, message),
            MethodName::MlDsa65 => self.ml_dsa(MlDsaSet::MlDsa65, message),
            MethodName::MlDsa87 => self.ml_dsa(MlDsaSet::MlDsa87, message),
            MethodName::Rsa2048 => self.rsa(256, false, message),
            MethodName::Rsa2048Bare => self.rsa(256, true, message),
            MethodName::Rsa4096 => self.rsa(512, false, message),
            MethodName::Rsa4096Bare => self.rsa(512, true, message),
        }
    }

    fn ecdsa(&self, method: Ecdsa, message: &Message<'_>) -> Result<Vec<u8>> {
        let key = EcKey::decode(self.key)?;
        ensure!(key.curve == method.curve, "the key is on another curve");
        let private = key.private.context("this is no private key")?;
        let digest = message.digest(self.driver, method.hash)?;
        let mut numbers = vec![0; method.curve.point_size()];
        self.driver.ecdsa_sign(method.curve, private, &digest, &mut numbers)?;
        if let Message::Header(_) = message {
            return Ok(numbers);
        }
        let mut encoded = vec![0; 150];
        let length = encode_ecdsa_signature(&numbers, &mut encoded)?;
        encoded.truncate(length);
        Ok(encoded)
    }

    fn ml_dsa(&self, set: MlDsaSet, message: &Message<'_>) -> Result<Vec<u8>> {
        let key = MlDsaKey::decode(self.key)?;
        ensure!(key.set == set, "the key is of another parameter set");
        let (mut private, mut public) = ml_dsa_space(set);
        key.expand(self.driver, &mut private, &mut public)?;
        let digest = message.digest(self.driver, HashAlgorithm::Sha512)?;
        let mut signature = vec![0; set.signature_size()];
        self.driver.ml_dsa_sign(set, &private, MlDsaMessage::Pure(&digest), &[], &mut signature)?;
        Ok(signature)
    }

    fn rsa(&self, size: usize, bare: bool, message: &Message<'_>) -> Result<Vec<u8>> {
        let key = RsaKey::decode(self.key)?;
        let private = key.private()?;
        let found = private.public.modulus.len();
        ensure!(found == size, "the key has {} bits, not {}", 8 * found, 8 * size);
        let digest = message.digest(self.driver, HashAlgorithm::Sha256)?;
        let mut block = vec![0; size.min(RSA_MAX_BYTES)];
        if bare {
            let end = size - digest.len();
            block[..end].fill(0xFF);
            block[..2].copy_from_slice(&[0, 1]);
            block[end - 1] = 0;
            block[end..].copy_from_slice(&digest);
        } else {
            pkcs1_signature_encode(HashAlgorithm::Sha256, &digest, &mut block)?;
        }
        self.driver.rsa_private(&private, &mut block)?;
        Ok(block)
    }
}

fn ml_dsa_space(set: MlDsaSet) -> (Zeroizing<Vec<u8>>, Vec<u8>) {
    (Zeroizing::new(vec![0; set.private_size()]), vec![0; set.public_size()])
}

impl Image {
    pub(crate) fn run(&self) -> Result<()> {
        match &self.action {
            Action::Sign(sign) => sign.run(),
            Action::Verify(verify) => verify.run(),
            Action::Inspect { image } => inspect(image),
        }
    }
}

impl Sign {
    fn run(&self) -> Result<()> {
        let payload = read(&self.payload)?;
        let key = read_key(&self.key)?;
        let random = Drbg::new(OsEntropy, b"casemate image")?;
        let driver = Software::new(Mutex::new(random));
        let signer = Signer { driver: &driver, method: self.method, key: &key };
        let with_key = || format!("{} cannot sign", self.key.display());
        let (what, signed) = match self.wolfboot {
            None => ("signature", signer.sign(&Message::Raw(&payload)).with_context(with_key)?),
            Some(version) => {
                let header = self.header(&signer, version, &payload).with_context(with_key)?;
                ("image", [header.as_slice(), &payload].concat())
            }
        };
        fs::write(&self.out, &signed).with_context(|| format!("cannot write {}", self.out.display()))?;
        eprintln!("{what} written to {}, {} bytes", self.out.display(), signed.len());
        Ok(())
    }

    fn header(&self, signer: &Signer<'_>, version: u32, payload: &[u8]) -> Result<Vec<u8>> {
        let number = self.method.method(true).header_number().context("AES-CMAC is for raw images only")?;
        let mut header = vec![0; usize::try_from(self.header_size)?];
        let length = u32::try_from(payload.len()).context("the payload is too long for a header")?;
        let now =
            || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let hint = digest(signer.driver, HashAlgorithm::Sha256, &[&signer.public()?])?;
        let mut writer = HeaderWriter::new(&mut header, length)?;
        let too_small = || anyhow!("the header does not hold this: raise --header-size");
        let field = |writer: &mut HeaderWriter<'_>, tag, value: &[u8]| {
            writer.field(tag, value).map_err(|_| too_small())
        };
        field(&mut writer, Tag::VERSION, &version.to_le_bytes())?;
        field(&mut writer, Tag::TIMESTAMP, &self.timestamp.unwrap_or_else(now).to_le_bytes())?;
        field(&mut writer, Tag::IMAGE_TYPE, &[self.part, number])?;
        if !self.certificates.is_empty() {
            let mut chain = Vec::new();
            for file in &self.certificates {
                chain.extend(certificates(file)?);
            }
            field(&mut writer, Tag::CERTIFICATES, &chain)?;
        }
        field(&mut writer, Tag::KEY_HINT, &hint)?;
        let digest = digest(signer.driver, HashAlgorithm::Sha256, &[writer.digest_input(), payload])?;
        field(&mut writer, Tag::SHA256, &digest)?;
        field(&mut writer, Tag::SIGNATURE, &signer.sign(&Message::Header(&digest))?)?;
        Ok(header)
    }
}

const KEY: ObjectId = ObjectId::new(ObjectType::CRYPTO, ClientId::NONE, 1);
const SIGNATURE: ObjectId = ObjectId(0x0100);
const ROOT: ObjectId = ObjectId(0xFE90);
const FLOOR: ObjectId = ObjectId(0xFE80);

/// A server of its own with nothing but what a verification needs.
fn device() -> Result<Server<PosixPlatform<RamStore>>> {
    let setup = Setup::default();
    setup.server(setup.ram_store()?)
}

fn provision(
    server: &Server<PosixPlatform<RamStore>>,
    id: ObjectId,
    flags: Flags,
    data: &[u8],
) -> Result<()> {
    let metadata = Metadata { id, access: 0, flags, length: 0, label: Label::from("image") };
    let stored = server.with_store(|store| store.add_with_reclaim(&metadata, data));
    stored.context("the store cannot be reached")?.map_err(|error| anyhow!("{error}"))
}

impl Verify {
    fn run(&self) -> Result<()> {
        let server = device()?;
        if let Some(key) = &self.key {
            provision(&server, KEY, Flags::USAGE_VERIFY, &read_key(key)?).context("the key")?;
        }
        if let Some(root) = &self.root {
            provision(&server, ROOT, Flags::NONE, &certificates(root)?).context("the root")?;
        }
        let file = read(&self.image)?;
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).context("the image is too long");
        let mut memory = file.as_slice();
        let joined;
        let (kind, payload) = if let Some(path) = &self.signature {
            provision(&server, SIGNATURE, Flags::NONE, &read(path)?).context("the signature")?;
            let payload = Region { address: 0, size: size(memory)? };
            (ImageKind::Raw { key: KEY, signature: SIGNATURE }, payload)
        } else {
            if let Some(path) = &self.payload {
                joined = [file.as_slice(), &read(path)?].concat();
                memory = &joined;
            }
            let behind = match &self.payload {
                Some(_) => size(&file)?,
                None => self.header_size.min(size(&file)?),
            };
            if let Some(floor) = self.floor {
                server.raise_version_floor(FLOOR, floor)?;
            }
            let header = Region { address: 0, size: behind };
            let payload = Region { address: behind.into(), size: size(memory)? - behind };
            let floor = self.floor.map(|_| FLOOR);
            let kind = match self.root {
                Some(_) => ImageKind::WolfBootChain { header, root: ROOT, floor },
                None => ImageKind::WolfBoot { header, key: KEY, floor },
            };
            (kind, payload)
        };
        let method = self.method.method(self.wolfboot);
        let image = SignedImage { number: 0, kind, payload, method: &*method, action: &NoAction };
        let outcome = server.verify_image(&image, &mut memory, &mut vec![0; 256 * 1024]);
        let verified = outcome.verification.with_context(|| self.image.display().to_string())?;
        match verified.version {
            Some(version) => say(format_args!("verified: version {version}, {} bytes", verified.length)),
            None => say(format_args!("verified: {} bytes", verified.length)),
        }
    }
}

fn inspect(path: &Path) -> Result<()> {
    let bytes = read(path)?;
    let bytes = bytes.get(..65_536).unwrap_or(&bytes);
    let header = Header::parse(bytes).with_context(|| path.display().to_string())?;
    let mut text = format!("payload      {} bytes\n", header.payload_length());
    for field in header.fields() {
        let value = match (field.tag, field.value) {
            (Tag::VERSION, &[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]).to_string(),
            (Tag::TIMESTAMP, value) if value.len() == 8 => {
                let seconds = value.iter().rev().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
                let time = SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
                time.map_or_else(|| seconds.to_string(), casemate_posix::audit::timestamp)
            }
            (Tag::IMAGE_TYPE, &[part, number]) => format!("part {part}, signed by {}", signer_name(number)),
            (_, value) if value.len() <= 32 => hex::encode(value),
            (_, value) => format!("{} bytes, {}…", value.len(), hex::encode(&value[..16])),
        };
        text += &format!("{:<12} {value}\n", field.tag.to_string());
        // What comes after the signature is padding or payload.
        if field.tag == Tag::SIGNATURE {
            break;
        }
    }
    print(text)
}

fn signer_name(number: u8) -> String {
    match number {
        signed_by::ED25519 => "Ed25519".to_owned(),
        signed_by::ECDSA_P256 => "ECDSA P-256".to_owned(),
        signed_by::ECDSA_P384 => "ECDSA P-384".to_owned(),
        signed_by::ECDSA_P521 => "ECDSA P-521".to_owned(),
        signed_by::RSA_2048 => "RSA-2048".to_owned(),
        signed_by::RSA_3072 => "RSA-3072".to_owned(),
        signed_by::RSA_4096 => "RSA-4096".to_owned(),
        signed_by::ML_DSA => "ML-DSA".to_owned(),
        number => format!("method {number:#04x}"),
    }
}
