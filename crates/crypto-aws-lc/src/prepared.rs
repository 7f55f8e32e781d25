//! RSA private keys that stay ready between operations.

use crate::ffi::rsa::PrivateKey;
use casemate_crypto::{
    Aead, Cipher, Curve25519, EllipticCurve, Error, Hash, HashAlgorithm, Mac, MlDsa, MlKem, Random,
    RsaPrivateKey, Software, constant_time_equal, hash,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// How many keys are kept at most.
const CAPACITY: usize = 16;

/// A driver for RSA private operations that keeps the library's objects for the keys used last, at most 16, and declines
/// everything else. Put it in front of [`AwsLc`](crate::AwsLc), which makes them anew for each operation: that takes
/// almost as long as the operation.
///
/// The keys stay in memory until [`forget`](Self::forget) or until others take their place, and are wiped then. Whoever
/// holds the driver calls `forget` when a key ends; what comes after is made ready again when it is used.
#[derive(Default)]
pub struct PreparedRsa {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The one used last is at the back.
    keys: VecDeque<Entry>,
    /// How often the keys were forgotten.
    generation: u64,
}

struct Entry {
    /// SHA-256 of all numbers of the key.
    name: Zeroizing<[u8; 32]>,
    key: Arc<PrivateKey>,
}

impl fmt::Debug for PreparedRsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedRsa").finish_non_exhaustive()
    }
}

/// Hashing needs no random numbers.
struct NoRandom;
impl Random for NoRandom {}

fn name(key: &RsaPrivateKey<'_>) -> Result<Zeroizing<[u8; 32]>, Error> {
    let parts = [
        key.public.modulus,
        key.public.exponent,
        key.exponent,
        key.prime_p,
        key.prime_q,
        key.exponent_p,
        key.exponent_q,
        key.coefficient,
    ];
    let lengths: Vec<u8> = parts.iter().flat_map(|part| part.len().to_be_bytes()).collect();
    let [modulus, exponent, private, p, q, exponent_p, exponent_q, coefficient] = parts;
    let parts = [&lengths[..], modulus, exponent, private, p, q, exponent_p, exponent_q, coefficient];
    let mut name = Zeroizing::new([0; 32]);
    hash(&Software::new(NoRandom), HashAlgorithm::Sha256, &parts, name.as_mut_slice())?;
    Ok(name)
}

impl PreparedRsa {
    /// A driver that keeps no key yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wipes every key. An operation that runs at this moment finishes with its own.
    pub fn forget(&self) {
        let mut kept = self.lock();
        kept.keys.clear();
        kept.generation = kept.generation.wrapping_add(1);
    }

    /// What a panic of another thread left behind is whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key if it is kept, else a new one, which is kept unless all were forgotten meanwhile.
    pub(crate) fn get(
        &self,
        key: &RsaPrivateKey<'_>,
        make: impl FnOnce() -> Result<PrivateKey, Error>,
    ) -> Result<Arc<PrivateKey>, Error> {
        let name = name(key)?;
        let generation = {
            let mut kept = self.lock();
            let found = kept.keys.iter().position(|entry| constant_time_equal(&entry.name[..], &name[..]));
            if let Some(entry) = found.and_then(|index| kept.keys.remove(index)) {
                let key = Arc::clone(&entry.key);
                kept.keys.push_back(entry);
                return Ok(key);
            }
            kept.generation
        };
        let key = Arc::new(make()?);
        let mut kept = self.lock();
        if kept.generation == generation {
            if kept.keys.len() >= CAPACITY {
                kept.keys.pop_front();
            }
            kept.keys.push_back(Entry { name, key: Arc::clone(&key) });
        }
        Ok(key)
    }
}

impl Random for PreparedRsa {}
impl Hash for PreparedRsa {}
impl Mac for PreparedRsa {}
impl Cipher for PreparedRsa {}
impl Aead for PreparedRsa {}
impl EllipticCurve for PreparedRsa {}
impl Curve25519 for PreparedRsa {}
impl MlDsa for PreparedRsa {}
impl MlKem for PreparedRsa {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AwsLc;
    use casemate_crypto::Rsa;
    use casemate_crypto::encoding::RsaKey;

    const KEY_2048: &[u8] = include_bytes!("../../crypto/tests/data/rsa/private-2048.der");
    const KEY_3072: &[u8] = include_bytes!("../../crypto/tests/data/rsa/private-3072.der");

    fn private(der: &[u8]) -> RsaPrivateKey<'_> {
        RsaKey::decode(der).expect("a key").private().expect("a private key")
    }

    fn make(driver: &PreparedRsa, key: &RsaPrivateKey<'_>) {
        driver.get(key, || PrivateKey::new(crate::rsa::numbers(key)?)).expect("made");
    }

    fn kept(driver: &PreparedRsa) -> usize {
        driver.lock().keys.len()
    }

    #[test]
    fn answers_are_those_of_a_fresh_key() {
        let driver = PreparedRsa::new();
        for (count, der) in [KEY_2048, KEY_3072, KEY_2048].into_iter().enumerate() {
            let key = private(der);
            // More often than a blinding factor lasts.
            for number in 2..42 {
                let mut data = vec![0; key.public.modulus.len()];
                *data.last_mut().expect("octets") = number;
                let mut expected = data.clone();
                driver.rsa_private(&key, &mut data).expect("prepared");
                AwsLc.rsa_private(&key, &mut expected).expect("fresh");
                assert_eq!(data, expected);
            }
            assert_eq!(kept(&driver), (count + 1).min(2));
        }
        driver.forget();
        assert_eq!(kept(&driver), 0);
    }

    #[test]
    fn a_key_is_recognized_by_all_of_its_numbers() {
        let driver = PreparedRsa::new();
        let key = private(KEY_2048);
        let mut data = vec![1; key.public.modulus.len()];
        driver.rsa_private(&key, &mut data).expect("prepared");
        let mut other = key.exponent_p.to_vec();
        *other.last_mut().expect("octets") ^= 2;
        let damaged = RsaPrivateKey { exponent_p: &other, ..key };
        let before = data.clone();
        // Declined: the next driver finds out what is wrong.
        assert_eq!(driver.rsa_private(&damaged, &mut data), Err(Error::Unsupported));
        assert_eq!(data, before);
    }

    #[test]
    fn the_one_used_longest_ago_makes_room() {
        let driver = PreparedRsa::new();
        let (key, other) = (private(KEY_2048), private(KEY_3072));
        make(&driver, &other);
        for count in 0..CAPACITY - 1 {
            // Zeros in front make another name of the same key.
            let padded = [vec![0; count], key.exponent.to_vec()].concat();
            let key = RsaPrivateKey { exponent: &padded, ..key };
            make(&driver, &key);
        }
        driver.get(&other, || Err(Error::Hardware)).expect("kept");
        let padded = [vec![0; 99], key.exponent.to_vec()].concat();
        let another = RsaPrivateKey { exponent: &padded, ..key };
        make(&driver, &another);
        assert_eq!(kept(&driver), CAPACITY);
        driver.get(&other, || Err(Error::Hardware)).expect("kept");
        assert!(driver.get(&key, || Err(Error::Hardware)).is_err());
    }

    #[test]
    fn a_key_forgotten_while_it_is_made_is_not_kept() {
        let driver = PreparedRsa::new();
        let key = private(KEY_2048);
        let made = driver.get(&key, || {
            driver.forget();
            PrivateKey::new(crate::rsa::numbers(&key)?)
        });
        assert!(made.is_ok());
        assert_eq!(kept(&driver), 0);
    }

    #[test]
    fn threads_share_a_key() {
        let driver = PreparedRsa::new();
        std::thread::scope(|scope| {
            for thread in 2..6_u8 {
                let driver = &driver;
                scope.spawn(move || {
                    let key = private(KEY_2048);
                    for round in 0..30 {
                        let mut data = vec![thread; key.public.modulus.len()];
                        let mut expected = data.clone();
                        driver.rsa_private(&key, &mut data).expect("prepared");
                        AwsLc.rsa_private(&key, &mut expected).expect("fresh");
                        assert_eq!(data, expected);
                        if round % 7 == 0 {
                            driver.forget();
                        }
                    }
                });
            }
        });
    }
}
