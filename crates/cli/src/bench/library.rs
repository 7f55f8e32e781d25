//! The same operations as calls of the cryptographic library alone: the driver of the server, which is AWS-LC or a
//! RustCrypto crate behind a thin layer, with keys as bytes; no client, message, session, key store or key encoding.

use casemate_crypto::encoding::RsaKey;
use casemate_crypto::{
    Curve, Direction, Driver, Ed25519Mode, Error, HashAlgorithm, MlDsaMessage, MlDsaSet, MlKemSet,
    RsaComponents, cmac, cmac_kdf, hash, hkdf,
};

/// A call that can be made again and again.
pub(super) type Call = Box<dyn FnMut(&dyn Driver) -> Result<(), Error>>;

const DATA: [u8; 1024] = [0x5A; 1024];
const KEY: [u8; 32] = [0x2B; 32];
const DIGEST: [u8; 32] = [0x5A; 32];

/// The call that the operation `name` comes down to, if there is one.
///
/// # Errors
/// If the driver cannot make what the call needs.
pub(super) fn call(name: &str, driver: &dyn Driver) -> Result<Option<Call>, Error> {
    let name = name.strip_suffix(", inline key").unwrap_or(name);
    if let Some(call) = symmetric(name) {
        return Ok(Some(call));
    }
    for (curve, title) in [(Curve::P256, "P-256"), (Curve::P384, "P-384"), (Curve::P521, "P-521")] {
        if name.contains(title) && !name.contains("chain") {
            return elliptic_curve(name, curve, driver).map(Some);
        }
    }
    if name.contains("25519") {
        return curve25519(name, driver);
    }
    if name.starts_with("RSA-") {
        return rsa(name);
    }
    for set in MlDsaSet::ALL {
        let title = match set {
            MlDsaSet::MlDsa44 => "ML-DSA-44",
            MlDsaSet::MlDsa65 => "ML-DSA-65",
            MlDsaSet::MlDsa87 => "ML-DSA-87",
        };
        if name.starts_with(title) {
            return ml_dsa(name, set, driver).map(Some);
        }
    }
    for set in MlKemSet::ALL {
        let title = match set {
            MlKemSet::MlKem512 => "ML-KEM-512",
            MlKemSet::MlKem768 => "ML-KEM-768",
            MlKemSet::MlKem1024 => "ML-KEM-1024",
        };
        if name.starts_with(title) {
            return ml_kem(name, set, driver).map(Some);
        }
    }
    Ok(None)
}

fn symmetric(name: &str) -> Option<Call> {
    let mut data = DATA;
    let mut out = [0; 64];
    Some(match name {
        "random 16 bytes" => Box::new(move |driver| driver.fill(&mut data[..16])),
        "random 1 KiB" => Box::new(move |driver| driver.fill(&mut data)),
        "AES-256-ECB encrypt 1 KiB" => {
            Box::new(move |driver| driver.ecb(Direction::Encrypt, &KEY, &mut data))
        }
        "AES-256-ECB decrypt 1 KiB" => {
            Box::new(move |driver| driver.ecb(Direction::Decrypt, &KEY, &mut data))
        }
        "AES-256-CBC encrypt 1 KiB" => {
            Box::new(move |driver| driver.cbc(Direction::Encrypt, &KEY, &mut [0x11; 16], &mut data))
        }
        "AES-256-CBC decrypt 1 KiB" => {
            Box::new(move |driver| driver.cbc(Direction::Decrypt, &KEY, &mut [0x11; 16], &mut data))
        }
        "AES-256-CTR 1 KiB" => Box::new(move |driver| {
            driver.ctr(&KEY, &mut casemate_crypto::CtrState::new([0x11; 16]), &mut data)
        }),
        "AES-256-GCM encrypt 1 KiB" | "wrap 1 KiB of data" => {
            Box::new(move |driver| driver.gcm_seal(&KEY, &[0x22; 12], &[], &mut data, &mut out[..16]))
        }
        "AES-256-GCM decrypt 1 KiB" => {
            let mut sealed: Option<([u8; 1024], [u8; 16])> = None;
            Box::new(move |driver| {
                let (ciphertext, tag) = match sealed {
                    Some(sealed) => sealed,
                    None => {
                        let mut made = (DATA, [0; 16]);
                        driver.gcm_seal(&KEY, &[0x22; 12], &[], &mut made.0, &mut made.1)?;
                        *sealed.insert(made)
                    }
                };
                let mut data = ciphertext;
                driver.gcm_open(&KEY, &[0x22; 12], &[], &mut data, &tag)
            })
        }
        "SHA-256 1 KiB, two requests" => digest(HashAlgorithm::Sha256, 32),
        "SHA-384 1 KiB, two requests" => digest(HashAlgorithm::Sha384, 48),
        "SHA-512 1 KiB, two requests" => digest(HashAlgorithm::Sha512, 64),
        "SHA3-256 1 KiB, two requests" => digest(HashAlgorithm::Sha3_256, 32),
        "AES-256-CMAC 1 KiB" => Box::new(move |driver| cmac(driver, &KEY, &[&data], &mut out[..16])),
        "HKDF-SHA-256 to 32 bytes" => Box::new(move |driver| {
            hkdf(driver, HashAlgorithm::Sha256, &[0x33; 16], &[0x0B; 32], b"benchmark", &mut out[..32])
        }),
        "CMAC-KDF to 32 bytes" => {
            Box::new(move |driver| cmac_kdf(driver, &[0x2B; 16], &[0x0B; 32], b"benchmark", &mut out[..32]))
        }
        _ => return None,
    })
}

fn digest(algorithm: HashAlgorithm, size: usize) -> Call {
    let mut out = [0; 64];
    Box::new(move |driver| hash(driver, algorithm, &[&DATA], &mut out[..size]))
}

fn elliptic_curve(name: &str, curve: Curve, driver: &dyn Driver) -> Result<Call, Error> {
    let (mut private, mut public) = (vec![0; curve.field_size()], vec![0; curve.point_size()]);
    driver.ec_generate(curve, &mut private, &mut public)?;
    let mut signature = vec![0; curve.point_size()];
    Ok(if name.contains("key pair") {
        Box::new(move |driver| driver.ec_generate(curve, &mut private, &mut public))
    } else if name.contains("ECDH") {
        let mut secret = vec![0; curve.field_size()];
        Box::new(move |driver| driver.ecdh(curve, &private, &public, &mut secret))
    } else if name.contains("sign") {
        Box::new(move |driver| driver.ecdsa_sign(curve, &private, &DIGEST, &mut signature))
    } else {
        driver.ecdsa_sign(curve, &private, &DIGEST, &mut signature)?;
        Box::new(move |driver| driver.ecdsa_verify(curve, &public, &DIGEST, &signature))
    })
}

fn curve25519(name: &str, driver: &dyn Driver) -> Result<Option<Call>, Error> {
    let (mut seed, mut public, mut signature) = ([0; 32], [0; 32], [0; 64]);
    driver.fill(&mut seed)?;
    Ok(Some(match name {
        "X25519 key pair + evict" => Box::new(move |driver| {
            driver.fill(&mut seed)?;
            driver.x25519_public(&seed, &mut public)
        }),
        "X25519" => {
            driver.x25519_public(&seed, &mut public)?;
            let mut secret = [0; 32];
            Box::new(move |driver| driver.x25519(&seed, &public, &mut secret))
        }
        "Ed25519 key pair + evict" => Box::new(move |driver| {
            driver.fill(&mut seed)?;
            driver.ed25519_public(&seed, &mut public)
        }),
        "Ed25519 sign 32 bytes" | "Ed25519 verify 32 bytes" => {
            driver.ed25519_public(&seed, &mut public)?;
            driver.ed25519_sign(&seed, &public, Ed25519Mode::Pure, &DIGEST, &mut signature)?;
            if name.contains("sign") {
                Box::new(move |driver| {
                    driver.ed25519_sign(&seed, &public, Ed25519Mode::Pure, &DIGEST, &mut signature)
                })
            } else {
                Box::new(move |driver| driver.ed25519_verify(&public, Ed25519Mode::Pure, &DIGEST, &signature))
            }
        }
        _ => return Ok(None),
    }))
}

fn rsa(name: &str) -> Result<Option<Call>, Error> {
    if name.contains("key pair") {
        let mut primes = vec![0; 256];
        return Ok(Some(Box::new(move |driver| {
            driver.rsa_generate(2048, 65_537, &mut primes)?;
            let (p, q) = primes.split_at(128);
            RsaComponents::derive(p, q, 65_537).map(drop)
        })));
    }
    let Some((bits, pair)) =
        super::operations::RSA_KEYS.iter().find(|(bits, _)| name.starts_with(&format!("RSA-{bits}")))
    else {
        return Ok(None);
    };
    let key = RsaKey::decode(pair).and_then(|key| key.private()).map_err(|_| Error::Key)?;
    let mut data = vec![0x5A; bits / 8];
    Ok(Some(if name.contains("private") {
        Box::new(move |driver| {
            data.fill(0x5A);
            driver.rsa_private(&key, &mut data)
        })
    } else {
        Box::new(move |driver| {
            data.fill(0x5A);
            driver.rsa_public(&key.public, &mut data)
        })
    }))
}

fn ml_dsa(name: &str, set: MlDsaSet, driver: &dyn Driver) -> Result<Call, Error> {
    let (mut private, mut public) = (vec![0; set.private_size()], vec![0; set.public_size()]);
    driver.ml_dsa_from_seed(set, &KEY, &mut private, &mut public)?;
    let mut signature = vec![0; set.signature_size()];
    let message = MlDsaMessage::Pure(&DIGEST);
    Ok(if name.contains("key pair") {
        let mut seed = [0; 32];
        Box::new(move |driver| {
            driver.fill(&mut seed)?;
            driver.ml_dsa_from_seed(set, &seed, &mut private, &mut public)
        })
    } else if name.contains("sign") {
        Box::new(move |driver| driver.ml_dsa_sign(set, &private, message, &[], &mut signature))
    } else {
        driver.ml_dsa_sign(set, &private, message, &[], &mut signature)?;
        Box::new(move |driver| driver.ml_dsa_verify(set, &public, message, &[], &signature))
    })
}

fn ml_kem(name: &str, set: MlKemSet, driver: &dyn Driver) -> Result<Call, Error> {
    let mut private = vec![0; set.private_size()];
    driver.ml_kem_from_seed(set, &[0x2B; 64], &mut private)?;
    let public = set.public_of(&private).ok_or(Error::KeyLength)?.to_vec();
    let (mut ciphertext, mut secret) = (vec![0; set.ciphertext_size()], [0; 32]);
    Ok(if name.contains("key pair") {
        let mut seed = [0; 64];
        Box::new(move |driver| {
            driver.fill(&mut seed)?;
            driver.ml_kem_from_seed(set, &seed, &mut private)
        })
    } else if name.contains("encapsulate") && !name.contains("decapsulate") {
        Box::new(move |driver| driver.ml_kem_encapsulate(set, &public, &mut ciphertext, &mut secret))
    } else {
        driver.ml_kem_encapsulate(set, &public, &mut ciphertext, &mut secret)?;
        Box::new(move |driver| driver.ml_kem_decapsulate(set, &private, &ciphertext, &mut secret))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_crypto::{Random, Software};
    use casemate_posix::entropy::OsEntropy;
    use std::sync::Mutex;

    struct Generator(Mutex<OsEntropy>);
    impl Random for Generator {
        fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
            casemate_crypto::Entropy::fill(&mut *self.0.lock().unwrap(), output)
        }
    }

    /// Everything cryptographic that is measured has a call to be compared with, and the call works.
    #[test]
    fn operations_have_calls() {
        let driver = Software::new(Generator(Mutex::new(OsEntropy)));
        let mut without = Vec::new();
        for operation in super::super::operations::all() {
            // Generating RSA keys without optimisation takes too long.
            if operation.name == "RSA-2048 key pair + evict" {
                continue;
            }
            match call(&operation.name, &driver).unwrap() {
                Some(mut call) => call(&driver).unwrap(),
                None => without.push(operation.group),
            }
        }
        without.dedup();
        assert_eq!(without, ["Requests", "Storage and keys", "Certificates"]);
    }
}
