//! Crypto hardware, against published vectors and against software.

use crate::report::{Outcome, Report, Shortfall, ensure};
use crate::shortfall;
use casemate_crypto::{
    AES_BLOCK, CmacState, CtrState, Curve, Direction, Driver, Ed25519Mode, Error, Hash, HashAlgorithm,
    HashState, MlDsaSet, MlKemSet, Random, RsaPublicKey, cmac, constant_time_equal, hash,
};
use casemate_port::{Generator, Port, SelfTest, self_test};

const AREA: &str = "crypto";

/// Bytes worked on at most.
const ROOM: usize = 272;
/// Around every block size.
const LENGTHS: &[usize] =
    &[0, 1, 15, 16, 17, 31, 32, 33, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 200, 256];
/// Whole AES blocks.
const BLOCKS: &[usize] = &[16, 32, 48, 64, 128, 256];

const DECLINED: Shortfall = Shortfall::NotApplicable("declined: software serves");
/// The features of this build leave it out.
const ABSENT: Shortfall =
    Shortfall::NotApplicable("declined by the software too: this firmware does not offer it");
const NOT_COMPARED: Shortfall = Shortfall::NotApplicable("not compared: the software lacks it");

/// The outcome of what the hardware declines, by what the software answers.
const fn declined(software: Result<(), Error>) -> Shortfall {
    match software {
        Err(Error::Unsupported) => ABSENT,
        _ => DECLINED,
    }
}

pub(crate) fn check_port<P: Port>(report: &mut Report<'_>, port: &mut P) {
    let hardware = match crate::initialize(port).and_then(|()| port.crypto()) {
        Ok(hardware) => hardware,
        Err(fault) => {
            return report.check(AREA, "driver of the hardware", Err(shortfall(fault, "it cannot be had")));
        }
    };
    known_answers(report, &hardware);
    let source = match port.entropy() {
        Ok(source) => source,
        Err(fault) => {
            let why = shortfall(fault, "no noise source for the software");
            return report.check(AREA, "comparison with the software", Err(why));
        }
    };
    match Generator::new(source, port.min_entropy(), port.personalization()) {
        Ok(generator) => {
            let software = port.software(generator);
            let tested = self_test(&software, SelfTest::ALL);
            report.check(
                AREA,
                "the software passes its known-answer tests",
                tested.map_err(|_| Shortfall::Failed("it does not")),
            );
            report.check(AREA, "the software's AES with keys of every length", aes_key_lengths(&software));
            compare_drivers(report, &hardware, &software);
        }
        Err(_) => report.check(
            AREA,
            "comparison with the software",
            Err(Shortfall::Failed("the noise source cannot seed a generator")),
        ),
    }
}

/// Checks a driver's answers to published vectors.
pub fn known_answers(report: &mut Report<'_>, driver: &dyn Driver) {
    for (test, name) in [
        (SelfTest::Sha256, "known answer: SHA-256"),
        (SelfTest::Aes128, "known answer: AES-128"),
        (SelfTest::Cmac, "known answer: AES-CMAC"),
        (SelfTest::EcdsaP256, "known answer: ECDSA on P-256"),
        (SelfTest::Ed25519, "known answer: Ed25519"),
    ] {
        let outcome = match (self_test(driver, &[test]), is_offered(driver, test)) {
            (Err(_), _) => Err(Shortfall::Failed("the answer is wrong")),
            // What the software does about it is found below.
            (Ok(()), false) => Err(Shortfall::NotApplicable("declined")),
            (Ok(()), true) => Ok(()),
        };
        report.check(AREA, name, outcome);
    }
}

/// Three blocks, each as a big-endian number.
type ThreeBlocks = [u128; 3];

/// AES-CBC (NIST SP 800-38A, F.2.1, F.2.3 and F.2.5): keys, and what becomes of [`CBC_PLAIN`] under them. A back end that takes two
/// blocks at a time has one left.
const CBC: [(&[u8], ThreeBlocks); 3] = [
    (
        &[0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C],
        [
            0x7649_ABAC_8119_B246_CEE9_8E9B_12E9_197D,
            0x5086_CB9B_5072_19EE_95DB_113A_9176_78B2,
            0x73BE_D6B8_E3C1_743B_7116_E69E_2222_9516,
        ],
    ),
    (
        &[
            0x8E, 0x73, 0xB0, 0xF7, 0xDA, 0x0E, 0x64, 0x52, 0xC8, 0x10, 0xF3, 0x2B, 0x80, 0x90, 0x79, 0xE5,
            0x62, 0xF8, 0xEA, 0xD2, 0x52, 0x2C, 0x6B, 0x7B,
        ],
        [
            0x4F02_1DB2_43BC_633D_7178_183A_9FA0_71E8,
            0xB4D9_ADA9_AD7D_EDF4_E5E7_3876_3F69_145A,
            0x571B_2420_12FB_7AE0_7FA9_BAAC_3DF1_02E0,
        ],
    ),
    (
        &[
            0x60, 0x3D, 0xEB, 0x10, 0x15, 0xCA, 0x71, 0xBE, 0x2B, 0x73, 0xAE, 0xF0, 0x85, 0x7D, 0x77, 0x81,
            0x1F, 0x35, 0x2C, 0x07, 0x3B, 0x61, 0x08, 0xD7, 0x2D, 0x98, 0x10, 0xA3, 0x09, 0x14, 0xDF, 0xF4,
        ],
        [
            0xF58C_4C04_D6E5_F1BA_779E_ABFB_5F7B_FBD6,
            0x9CFC_4E96_7EDB_808D_679F_777B_C670_2C7D,
            0x39F2_3369_A9D9_BACF_A530_E263_0423_1461,
        ],
    ),
];
const CBC_PLAIN: ThreeBlocks = [
    0x6BC1_BEE2_2E40_9F96_E93D_7E11_7393_172A,
    0xAE2D_8A57_1E03_AC9C_9EB7_6FAC_45AF_8E51,
    0x30C8_1C46_A35C_E411_E5FB_C119_1A0A_52EF,
];
const CBC_IV: u128 = 0x0001_0203_0405_0607_0809_0A0B_0C0D_0E0F;

/// Hardware is compared with the software for the key lengths that it has. This says for every length that the software is right as
/// it was compiled for this device.
fn aes_key_lengths(software: &dyn Driver) -> Outcome {
    for (key, encrypted) in CBC {
        let (plain, encrypted) = (CBC_PLAIN.map(u128::to_be_bytes), encrypted.map(u128::to_be_bytes));
        for (direction, from, to) in
            [(Direction::Encrypt, plain, encrypted), (Direction::Decrypt, encrypted, plain)]
        {
            let (mut iv, mut blocks) = (CBC_IV.to_be_bytes(), from);
            let answer = software.cbc(direction, key, &mut iv, blocks.as_flattened_mut());
            ensure(answer.is_ok() && blocks == to, "the answer is wrong")?;
        }
    }
    Ok(())
}

/// Whether the driver does what a test needs.
fn is_offered(driver: &dyn Driver, test: SelfTest) -> bool {
    let mut data = [0; 32];
    let answer = match test {
        SelfTest::Sha256 => hash(driver, HashAlgorithm::Sha256, &[], &mut data),
        SelfTest::Aes128 => driver.ecb(Direction::Encrypt, &[0; 16], &mut data),
        SelfTest::Cmac => {
            cmac(driver, &[0; 16], &[&[]], data.first_chunk_mut::<16>().unwrap_or(&mut [0; 16]))
        }
        SelfTest::EcdsaP256 => driver.ecdsa_verify(Curve::P256, &[0; 64], &[0; 32], &[0; 64]),
        SelfTest::Ed25519 => driver.ed25519_verify(&[0; 32], Ed25519Mode::Pure, &[], &[0; 64]),
    };
    answer != Err(Error::Unsupported)
}

/// Bytes that look random and are the same each time.
fn material(seed: u8, out: &mut [u8]) {
    let mut state = u32::from(seed).wrapping_mul(0x9E37_79B9) ^ 0x5DEE_CE66;
    for byte in out {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = state.to_le_bytes()[3];
    }
}

fn bytes<const N: usize>(seed: u8) -> [u8; N] {
    let mut bytes = [0; N];
    material(seed, &mut bytes);
    bytes
}

/// An operation that turns `data` into a result of the same place; the input is `data` itself or made from its length.
type Work<'a> = &'a dyn Fn(&dyn Driver, &mut [u8]) -> Result<(), Error>;

/// Does the same on both drivers for each length.
fn compare(hardware: &dyn Driver, software: &dyn Driver, lengths: &[usize], work: Work<'_>) -> Outcome {
    let mut compared = false;
    let mut offered = false;
    let mut served = false;
    for &length in lengths {
        let (mut one, mut other) = ([0; ROOM], [0; ROOM]);
        material(length.to_le_bytes()[0], &mut one);
        other.copy_from_slice(&one);
        let before = one;
        let (one, other) =
            (one.get_mut(..length).unwrap_or_default(), other.get_mut(..length).unwrap_or_default());
        match (work(hardware, one), work(software, other)) {
            (Err(Error::Unsupported), answer) => {
                ensure(before.starts_with(one), "it was declined after something had been changed")?;
                served |= answer != Err(Error::Unsupported);
                continue;
            }
            (Ok(()), Ok(())) => {
                ensure(constant_time_equal(one, other), "hardware and software answer differently")?;
                compared = true;
            }
            (Ok(()), Err(Error::Unsupported)) => {}
            (Ok(()), Err(_)) => {
                return Err(Shortfall::Failed("the hardware accepts what the software refuses"));
            }
            (Err(Error::Hardware), _) => return Err(Shortfall::Failed("the hardware reports a fault")),
            (Err(_), Ok(())) => return Err(Shortfall::Failed("the hardware refuses what the software does")),
            (Err(_), Err(_)) => {}
        }
        offered = true;
    }
    match (offered, compared) {
        (false, _) => Err(if served { DECLINED } else { ABSENT }),
        (true, false) => Err(NOT_COMPARED),
        (true, true) => Ok(()),
    }
}

/// Compares a driver with another one that is known to be right, operation by operation.
pub fn compare_drivers(report: &mut Report<'_>, hardware: &dyn Driver, software: &dyn Driver) {
    report.check(AREA, "random numbers come from the generator", random(hardware));
    hashes(report, hardware, software);
    macs(report, hardware, software);
    ciphers(report, hardware, software);
    aead(report, hardware, software);
    curves(report, hardware, software);
    curve25519(report, hardware, software);
    report.check(AREA, "RSA, public operation", rsa(hardware, software));
    lattices(report, hardware, software);
}

fn random(hardware: &dyn Driver) -> Outcome {
    let mut bytes = [0; 16];
    match Random::fill(hardware, &mut bytes) {
        Err(Error::Unsupported) => Ok(()),
        _ => Err(Shortfall::Failed("the hardware answers for itself: its numbers pass no health test")),
    }
}

fn hashes(report: &mut Report<'_>, hardware: &dyn Driver, software: &dyn Driver) {
    for (algorithm, name) in [
        (HashAlgorithm::Sha1, "SHA-1"),
        (HashAlgorithm::Sha224, "SHA-224"),
        (HashAlgorithm::Sha256, "SHA-256"),
        (HashAlgorithm::Sha384, "SHA-384"),
        (HashAlgorithm::Sha512, "SHA-512"),
        (HashAlgorithm::Sha512_224, "SHA-512/224"),
        (HashAlgorithm::Sha512_256, "SHA-512/256"),
        (HashAlgorithm::Sha3_224, "SHA3-224"),
        (HashAlgorithm::Sha3_256, "SHA3-256"),
        (HashAlgorithm::Sha3_384, "SHA3-384"),
        (HashAlgorithm::Sha3_512, "SHA3-512"),
    ] {
        let size = algorithm.digest_size().unwrap_or(32);
        // The length of the output is fixed, so the length under test is that of the message.
        let outcome = each_length(LENGTHS, &|length| {
            compare(hardware, software, &[size], &|driver, out| {
                let mut message = [0; ROOM];
                material(1, &mut message);
                let message = message.get(..length).unwrap_or_default();
                let (first, second) = message.split_at_checked(length / 3).unwrap_or_default();
                hash(driver, algorithm, &[first, second], out)
            })
        });
        report.check(AREA, name, outcome);
    }
    let outcome = compare(hardware, software, &[32], &|driver, out| {
        let message = bytes::<200>(2);
        let (blocks, tail) = message.split_at_checked(192).unwrap_or_default();
        let mut state = HashState::new(HashAlgorithm::Sha256);
        Hash::compress(driver, &mut state, blocks)?;
        Hash::finish(driver, &state, tail, out)
    });
    report.check(AREA, "SHA-256 in several steps", outcome);
}

/// The outcome of the same check at several lengths: the first that is not a pass.
fn each_length(lengths: &[usize], check: &dyn Fn(usize) -> Outcome) -> Outcome {
    lengths.iter().try_for_each(|&length| check(length))
}

fn macs(report: &mut Report<'_>, hardware: &dyn Driver, software: &dyn Driver) {
    let key = bytes::<32>(3);
    for (size, name) in [(16, "CMAC with AES-128"), (24, "CMAC with AES-192"), (32, "CMAC with AES-256")] {
        let key = key.get(..size).unwrap_or_default();
        let outcome = each_length(LENGTHS, &|length| {
            compare(hardware, software, &[16], &|driver, tag| {
                let message = bytes::<ROOM>(4);
                cmac(driver, key, &[message.get(..length).unwrap_or_default()], tag)
            })
        });
        report.check(AREA, name, outcome);
    }
    let outcome = compare(hardware, software, &[16], &|driver, tag| {
        let key = key.get(..16).unwrap_or_default();
        let mut state = CmacState::default();
        driver.cmac_update(key, &mut state, &bytes::<37>(5))?;
        driver.cmac_update(key, &mut state, &bytes::<11>(6))?;
        driver.cmac_finish(key, &state, tag)
    });
    report.check(AREA, "CMAC in several steps", outcome);
    for (algorithm, size, name) in [
        (HashAlgorithm::Sha256, 32, "HMAC with SHA-256"),
        (HashAlgorithm::Sha384, 48, "HMAC with SHA-384"),
        (HashAlgorithm::Sha512, 64, "HMAC with SHA-512"),
    ] {
        let outcome = compare(hardware, software, &[size], &|driver, tag| {
            driver.hmac(algorithm, &bytes::<20>(7), &[&bytes::<100>(8)], tag)
        });
        report.check(AREA, name, outcome);
    }
}

/// As [`Work`], in either direction.
type CipherWork<'a> = &'a dyn Fn(&dyn Driver, Direction, &mut [u8]) -> Result<(), Error>;

fn ciphers(report: &mut Report<'_>, hardware: &dyn Driver, software: &dyn Driver) {
    let key = bytes::<32>(9);
    for (size, names) in [
        (16, ["AES-128-ECB", "AES-128-CBC", "AES-128-CTR"]),
        (24, ["AES-192-ECB", "AES-192-CBC", "AES-192-CTR"]),
        (32, ["AES-256-ECB", "AES-256-CBC", "AES-256-CTR"]),
    ] {
        let key = key.get(..size).unwrap_or_default();
        let both = |work: CipherWork<'_>| {
            compare(hardware, software, BLOCKS, &|driver, data| work(driver, Direction::Encrypt, data))?;
            compare(hardware, software, BLOCKS, &|driver, data| work(driver, Direction::Decrypt, data))
        };
        let [ecb, cbc, ctr] = names;
        report.check(AREA, ecb, both(&|driver, direction, data| driver.ecb(direction, key, data)));
        let outcome = both(&|driver, direction, data| {
            // The last block receives the chaining value, so that it is compared too.
            let mut iv = bytes::<AES_BLOCK>(10);
            let (data, last) = data.split_at_mut_checked(data.len().saturating_sub(16)).unwrap_or_default();
            if data.is_empty() {
                return driver.cbc(direction, key, &mut iv, last);
            }
            driver.cbc(direction, key, &mut iv, data)?;
            last.copy_from_slice(&iv);
            Ok(())
        });
        report.check(AREA, cbc, outcome);
        let outcome = compare(hardware, software, LENGTHS, &|driver, data| {
            // In two steps, over the end of the counter.
            let mut state = CtrState::new([0xFF; AES_BLOCK]);
            let (first, second) = data.split_at_mut_checked(data.len() / 3).unwrap_or_default();
            driver.ctr(key, &mut state, first)?;
            driver.ctr(key, &mut state, second)
        });
        report.check(AREA, ctr, outcome);
    }
}

fn aead(report: &mut Report<'_>, hardware: &dyn Driver, software: &dyn Driver) {
    let key = bytes::<32>(11);
    let (nonce, aad) = (bytes::<12>(12), bytes::<20>(13));
    for (size, gcm, ccm) in [
        (16, "AES-128-GCM", "AES-128-CCM"),
        (24, "AES-192-GCM", "AES-192-CCM"),
        (32, "AES-256-GCM", "AES-256-CCM"),
    ] {
        let key = key.get(..size).unwrap_or_default();
        for (name, is_gcm) in [(gcm, true), (ccm, false)] {
            let seal = |driver: &dyn Driver, data: &mut [u8], tag: &mut [u8]| match is_gcm {
                true => driver.gcm_seal(key, &nonce, &aad, data, tag),
                false => driver.ccm_seal(key, &nonce, &aad, data, tag),
            };
            let open = |driver: &dyn Driver, data: &mut [u8], tag: &[u8]| match is_gcm {
                true => driver.gcm_open(key, &nonce, &aad, data, tag),
                false => driver.ccm_open(key, &nonce, &aad, data, tag),
            };
            let sealed = compare(hardware, software, &[16, 17, 48, 100, 256], &|driver, data| {
                let (data, tag) =
                    data.split_at_mut_checked(data.len().saturating_sub(16)).unwrap_or_default();
                seal(driver, data, tag)
            });
            report.check(AREA, name, sealed.and_then(|()| opened(hardware, &seal, &open)));
        }
    }
}

type Seal<'a> = &'a dyn Fn(&dyn Driver, &mut [u8], &mut [u8]) -> Result<(), Error>;
type Open<'a> = &'a dyn Fn(&dyn Driver, &mut [u8], &[u8]) -> Result<(), Error>;

/// What was sealed is opened; with a wrong tag it is refused and no plaintext is handed out.
fn opened(hardware: &dyn Driver, seal: Seal<'_>, open: Open<'_>) -> Outcome {
    let plain = bytes::<40>(14);
    let (mut data, mut tag) = (plain, [0; 16]);
    let sealed = seal(hardware, &mut data, &mut tag);
    ensure(sealed.is_ok() && data != plain, "it cannot seal")?;
    let mut copy = data;
    match open(hardware, &mut copy, &tag) {
        Err(Error::Unsupported) => return Err(Shortfall::NotApplicable("seals; opening is declined")),
        answer => ensure(answer.is_ok() && copy == plain, "it does not open what it has sealed")?,
    }
    tag[3] ^= 1;
    let mut copy = data;
    ensure(
        open(hardware, &mut copy, &tag) == Err(Error::Authentication),
        "a wrong tag is not refused as such",
    )?;
    ensure(copy != plain, "plaintext is handed out in spite of a wrong tag")
}

fn curves(report: &mut Report<'_>, hardware: &dyn Driver, software: &dyn Driver) {
    for (curve, sign, agree) in [
        (Curve::P224, "ECDSA on P-224", "ECDH on P-224"),
        (Curve::P256, "ECDSA on P-256", "ECDH on P-256"),
        (Curve::P384, "ECDSA on P-384", "ECDH on P-384"),
        (Curve::P521, "ECDSA on P-521", "ECDH on P-521"),
        (Curve::Secp256k1, "ECDSA on secp256k1", "ECDH on secp256k1"),
        (Curve::BrainpoolP256r1, "ECDSA on brainpoolP256r1", "ECDH on brainpoolP256r1"),
        (Curve::BrainpoolP384r1, "ECDSA on brainpoolP384r1", "ECDH on brainpoolP384r1"),
    ] {
        report.check(AREA, sign, ecdsa(hardware, software, curve));
        report.check(AREA, agree, ecdh(hardware, software, curve));
    }
}

/// The largest field in bytes.
const FIELD: usize = 66;

/// A result, or why the check ends here.
fn need(answer: Result<(), Error>, otherwise: &'static str) -> Outcome {
    match answer {
        Ok(()) => Ok(()),
        Err(Error::Unsupported) => Err(NOT_COMPARED),
        Err(_) => Err(Shortfall::Failed(otherwise)),
    }
}

fn ecdsa(hardware: &dyn Driver, software: &dyn Driver, curve: Curve) -> Outcome {
    let (mut private, mut public, mut signature) = ([0; FIELD], [0; 2 * FIELD], [0; 2 * FIELD]);
    let field = curve.field_size();
    let private = private.get_mut(..field).unwrap_or_default();
    let public = public.get_mut(..curve.point_size()).unwrap_or_default();
    let signature = signature.get_mut(..curve.point_size()).unwrap_or_default();
    let digest = bytes::<32>(15);
    // Decided without keys: a driver declines by algorithm.
    let verifies = hardware.ecdsa_verify(curve, public, &digest, signature) != Err(Error::Unsupported);
    let generated = hardware.ec_generate(curve, private, public);
    if generated.is_err() {
        ensure(generated == Err(Error::Unsupported), "a key pair cannot be generated")?;
        let made = software.ec_generate(curve, private, public);
        let signs = hardware.ecdsa_sign(curve, private, &digest, signature) != Err(Error::Unsupported);
        if made == Err(Error::Unsupported) && !verifies && !signs {
            return Err(ABSENT);
        }
        need(made, "the software makes no key pair")?;
    }
    let signs = match hardware.ecdsa_sign(curve, private, &digest, signature) {
        Ok(()) => {
            need(
                software.ecdsa_verify(curve, public, &digest, signature),
                "its signature is refused by the software",
            )?;
            true
        }
        Err(Error::Unsupported) => false,
        Err(_) => return Err(Shortfall::Failed("it does not sign")),
    };
    if verifies {
        need(software.ecdsa_sign(curve, private, &digest, signature), "the software does not sign")?;
        let answer = hardware.ecdsa_verify(curve, public, &digest, signature);
        ensure(answer.is_ok(), "it refuses a good signature of the software's")?;
        if let Some(last) = signature.last_mut() {
            *last ^= 1;
        }
        let answer = hardware.ecdsa_verify(curve, public, &digest, signature);
        ensure(
            matches!(answer, Err(Error::Authentication | Error::Signature)),
            "it does not refuse a changed signature as such",
        )?;
    }
    if signs || verifies || generated.is_ok() { Ok(()) } else { Err(DECLINED) }
}

fn ecdh(hardware: &dyn Driver, software: &dyn Driver, curve: Curve) -> Outcome {
    let (mut private, mut public) = ([0; FIELD], [0; 2 * FIELD]);
    let (mut one, mut other) = ([0; FIELD], [0; FIELD]);
    let field = curve.field_size();
    let private = private.get_mut(..field).unwrap_or_default();
    let public = public.get_mut(..curve.point_size()).unwrap_or_default();
    let one = one.get_mut(..field).unwrap_or_default();
    let other = other.get_mut(..field).unwrap_or_default();
    if hardware.ecdh(curve, private, public, one) == Err(Error::Unsupported) {
        return Err(declined(software.ecdh(curve, private, public, one)));
    }
    need(software.ec_generate(curve, private, public), "the software makes no key pair")?;
    ensure(hardware.ecdh(curve, private, public, one).is_ok(), "it does not agree on a secret")?;
    need(software.ecdh(curve, private, public, other), "the software does not agree on a secret")?;
    ensure(one == other, "hardware and software answer differently")?;
    public.fill(1);
    ensure(
        hardware.ecdh(curve, private, public, one).is_err(),
        "a point that is not on the curve was accepted",
    )
}

fn curve25519(report: &mut Report<'_>, hardware: &dyn Driver, software: &dyn Driver) {
    fn as_key(data: &mut [u8]) -> Result<&mut [u8; 32], Error> {
        data.first_chunk_mut().ok_or(Error::OutputLength)
    }
    let private = bytes::<32>(16);
    let outcome =
        compare(hardware, software, &[32], &|driver, out| driver.x25519_public(&private, as_key(out)?));
    report.check(AREA, "X25519, public key", outcome);
    let outcome = compare(hardware, software, &[32], &|driver, out| {
        let mut base = [0; 32];
        base[0] = 9;
        driver.x25519(&private, &base, as_key(out)?)
    });
    report.check(AREA, "X25519", outcome);
    let outcome =
        compare(hardware, software, &[32], &|driver, out| driver.ed25519_public(&private, as_key(out)?));
    report.check(AREA, "Ed25519, public key", outcome);
    let mut public = [0; 32];
    let made = software.ed25519_public(&private, &mut public);
    let outcome = compare(hardware, software, &[64], &|driver, out| {
        made?;
        let signature = out.first_chunk_mut().ok_or(Error::OutputLength)?;
        driver.ed25519_sign(&private, &public, Ed25519Mode::Pure, &bytes::<70>(17), signature)
    });
    report.check(AREA, "Ed25519, signature", outcome);
    let signed = software.ed25519_sign(&private, &public, Ed25519Mode::Pure, b"message", &mut [0; 64]);
    let verified = hardware.ed25519_verify(&public, Ed25519Mode::Pure, b"message", &[0; 64]);
    let outcome = match (signed, verified) {
        (Ok(()), _) => ed25519_verify(hardware, software, &private, &public),
        (Err(_), Err(Error::Unsupported)) => {
            Err(declined(software.ed25519_verify(&public, Ed25519Mode::Pure, b"message", &[0; 64])))
        }
        (Err(_), _) => Err(NOT_COMPARED),
    };
    report.check(AREA, "Ed25519, verification", outcome);
}

fn ed25519_verify(
    hardware: &dyn Driver,
    software: &dyn Driver,
    private: &[u8; 32],
    public: &[u8; 32],
) -> Outcome {
    let mut signature = [0; 64];
    let message = bytes::<70>(18);
    need(
        software.ed25519_sign(private, public, Ed25519Mode::Pure, &message, &mut signature),
        "the software does not sign",
    )?;
    match hardware.ed25519_verify(public, Ed25519Mode::Pure, &message, &signature) {
        Err(Error::Unsupported) => return Err(DECLINED),
        answer => ensure(answer.is_ok(), "it refuses a good signature of the software's")?,
    }
    signature[40] ^= 1;
    let answer = hardware.ed25519_verify(public, Ed25519Mode::Pure, &message, &signature);
    ensure(
        matches!(answer, Err(Error::Authentication | Error::Signature)),
        "it does not refuse a changed signature as such",
    )
}

fn rsa(hardware: &dyn Driver, software: &dyn Driver) -> Outcome {
    // An odd number of 2048 bits will do: the public operation asks no more of a modulus.
    let mut modulus = bytes::<256>(19);
    modulus[0] |= 0x80;
    modulus[255] |= 1;
    let key = RsaPublicKey { modulus: &modulus, exponent: &[1, 0, 1] };
    compare(hardware, software, &[256], &|driver, data| driver.rsa_public(&key, data))
}

/// No port of today has engines for these; what one offers is only named.
fn lattices(report: &mut Report<'_>, hardware: &dyn Driver, software: &dyn Driver) {
    let unexamined = |operation: &dyn Fn(&dyn Driver) -> Result<(), Error>| match operation(hardware) {
        Err(Error::Unsupported) => Err(declined(operation(software))),
        _ => Err(Shortfall::NotApplicable("offered; this suite has no check for it yet")),
    };
    let kem = unexamined(&|driver| driver.ml_kem_check(MlKemSet::MlKem768, &[]));
    report.check(AREA, "ML-KEM", kem);
    let message = casemate_crypto::MlDsaMessage::Pure(&[]);
    let dsa = unexamined(&|driver| driver.ml_dsa_verify(MlDsaSet::MlDsa65, &[], message, &[], &[]));
    report.check(AREA, "ML-DSA", dsa);
}
