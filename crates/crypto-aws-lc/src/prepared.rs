//! What is computed of a key once and stays ready between operations: RSA keys, and that ML-KEM keys passed their check.

use crate::ffi::rsa::{PrivateKey, PublicKey};
use casemate_crypto::{
    Aead, Cipher, Curve25519, EllipticCurve, Error, Hash, HashAlgorithm, Mac, MlDsa, MlKem, MlKemSet,
    NoRandom, Random, RsaPrivateKey, RsaPublicKey, Software, constant_time_equal, hash,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// How many keys of a kind are kept at most.
const CAPACITY: usize = 16;

/// A driver that keeps what it made of the keys used last, at most 16 of each kind, and declines everything else. Put it in
/// front of [`AwsLc`](crate::AwsLc), which makes it anew for each operation:
///
/// - the library's objects for RSA private keys, which take almost as long to make as the operation;
/// - the same for RSA public keys, an eighth of the operation;
/// - the public halves of ML-KEM private keys whose hash was found to be right (FIPS 203, §7.3), which takes a fifth of an
///   encapsulation.
///
/// The keys stay in memory until [`forget`](Self::forget) or until others take their place, and are wiped then. Whoever
/// holds the driver calls `forget` when a key ends; what comes after is made ready again when it is used.
#[derive(Default)]
pub struct PreparedKeys {
    kept: Mutex<Kept>,
}

/// In each row, the one used last is at the back.
#[derive(Default)]
struct Kept {
    keys: VecDeque<Entry>,
    public: VecDeque<PublicEntry>,
    /// Encapsulation keys with their hashes.
    checked: VecDeque<Vec<u8>>,
    /// How often the keys were forgotten.
    generation: u64,
}

struct Entry {
    /// SHA-256 of all numbers of the key.
    name: Zeroizing<[u8; 32]>,
    key: Arc<PrivateKey>,
}

struct PublicEntry {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    key: Arc<PublicKey>,
}

/// Moves what is found to the back.
fn refresh<T>(row: &mut VecDeque<T>, is_wanted: impl Fn(&T) -> bool) -> Option<&T> {
    let found = row.iter().position(is_wanted)?;
    let entry = row.remove(found)?;
    row.push_back(entry);
    row.back()
}

/// Adds one, in place of the first if the row is full.
fn keep<T>(row: &mut VecDeque<T>, entry: T) {
    if row.len() >= CAPACITY {
        row.pop_front();
    }
    row.push_back(entry);
}

impl fmt::Debug for PreparedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedKeys").finish_non_exhaustive()
    }
}

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

impl PreparedKeys {
    /// A driver that keeps no key yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wipes every key. An operation that runs at this moment finishes with its own.
    pub fn forget(&self) {
        let mut kept = self.lock();
        kept.keys.clear();
        kept.public.clear();
        kept.checked.clear();
        kept.generation = kept.generation.wrapping_add(1);
    }

    /// What a panic of another thread left behind is whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key if it is kept, else a new one, which is kept unless all were forgotten meanwhile.
    pub(crate) fn private(
        &self,
        key: &RsaPrivateKey<'_>,
        make: impl FnOnce() -> Result<PrivateKey, Error>,
    ) -> Result<Arc<PrivateKey>, Error> {
        let name = name(key)?;
        let generation = {
            let mut kept = self.lock();
            let is_wanted = |entry: &Entry| constant_time_equal(&entry.name[..], &name[..]);
            if let Some(entry) = refresh(&mut kept.keys, is_wanted) {
                return Ok(Arc::clone(&entry.key));
            }
            kept.generation
        };
        let key = Arc::new(make()?);
        let mut kept = self.lock();
        if kept.generation == generation {
            keep(&mut kept.keys, Entry { name, key: Arc::clone(&key) });
        }
        Ok(key)
    }

    /// As [`private`](Self::private), for a key without secrets.
    pub(crate) fn public(
        &self,
        key: &RsaPublicKey<'_>,
        make: impl FnOnce() -> Result<PublicKey, Error>,
    ) -> Result<Arc<PublicKey>, Error> {
        let is_wanted = |entry: &PublicEntry| entry.modulus == key.modulus && entry.exponent == key.exponent;
        if let Some(entry) = refresh(&mut self.lock().public, is_wanted) {
            return Ok(Arc::clone(&entry.key));
        }
        let made = Arc::new(make()?);
        let (modulus, exponent) = (key.modulus.to_vec(), key.exponent.to_vec());
        keep(&mut self.lock().public, PublicEntry { modulus, exponent, key: Arc::clone(&made) });
        Ok(made)
    }
}

impl MlKem for PreparedKeys {
    /// Answers for private keys that pass. Whatever is wrong with others, the next driver says so.
    fn ml_kem_check(&self, set: MlKemSet, key: &[u8]) -> Result<(), Error> {
        let public = set.public_of(key).ok_or(Error::Unsupported)?;
        // FIPS 203, algorithm 16: dk_PKE, the encapsulation key, its hash, 32 secret bytes.
        let end = key.len().saturating_sub(32);
        let begin = end.saturating_sub(32).saturating_sub(public.len());
        let with_hash = key.get(begin..end).ok_or(Error::Unsupported)?;
        if refresh(&mut self.lock().checked, |entry| entry == with_hash).is_some() {
            return Ok(());
        }
        let mut expected = [0; 32];
        hash(&Software::new(NoRandom), HashAlgorithm::Sha3_256, &[public], &mut expected)?;
        if !with_hash.ends_with(&expected) {
            return Err(Error::Unsupported);
        }
        keep(&mut self.lock().checked, with_hash.to_vec());
        Ok(())
    }
}

impl Random for PreparedKeys {}
impl Hash for PreparedKeys {}
impl Mac for PreparedKeys {}
impl Cipher for PreparedKeys {}
impl Aead for PreparedKeys {}
impl EllipticCurve for PreparedKeys {}
impl Curve25519 for PreparedKeys {}
impl MlDsa for PreparedKeys {}

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

    fn make(driver: &PreparedKeys, key: &RsaPrivateKey<'_>) {
        driver.private(key, || PrivateKey::new(crate::rsa::numbers(key)?)).expect("made");
    }

    fn kept(driver: &PreparedKeys) -> usize {
        driver.lock().keys.len()
    }

    #[test]
    fn answers_are_those_of_a_fresh_key() {
        let driver = PreparedKeys::new();
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
        let driver = PreparedKeys::new();
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
        let driver = PreparedKeys::new();
        let (key, other) = (private(KEY_2048), private(KEY_3072));
        make(&driver, &other);
        for count in 0..CAPACITY - 1 {
            // Zeros in front make another name of the same key.
            let padded = [vec![0; count], key.exponent.to_vec()].concat();
            let key = RsaPrivateKey { exponent: &padded, ..key };
            make(&driver, &key);
        }
        driver.private(&other, || Err(Error::Hardware)).expect("kept");
        let padded = [vec![0; 99], key.exponent.to_vec()].concat();
        let another = RsaPrivateKey { exponent: &padded, ..key };
        make(&driver, &another);
        assert_eq!(kept(&driver), CAPACITY);
        driver.private(&other, || Err(Error::Hardware)).expect("kept");
        assert!(driver.private(&key, || Err(Error::Hardware)).is_err());
    }

    #[test]
    fn a_key_forgotten_while_it_is_made_is_not_kept() {
        let driver = PreparedKeys::new();
        let key = private(KEY_2048);
        let made = driver.private(&key, || {
            driver.forget();
            PrivateKey::new(crate::rsa::numbers(&key)?)
        });
        assert!(made.is_ok());
        assert_eq!(kept(&driver), 0);
    }

    /// A public key is recognized by both of its numbers.
    #[test]
    fn public_keys_are_kept() {
        let driver = PreparedKeys::new();
        let keys = [private(KEY_2048).public, private(KEY_3072).public];
        let other = RsaPublicKey { exponent: &[3], ..keys[0] };
        for (key, count) in keys.into_iter().zip(1..).chain([(keys[0], 2), (other, 3), (other, 3)]) {
            let mut data = vec![0x5a; key.modulus.len()];
            let mut expected = data.clone();
            driver.rsa_public(&key, &mut data).expect("prepared");
            AwsLc.rsa_public(&key, &mut expected).expect("fresh");
            assert_eq!(data, expected);
            assert_eq!(driver.lock().public.len(), count);
        }
        // Declined: the next driver finds out what is wrong.
        let even = RsaPublicKey { exponent: &[4], ..keys[0] };
        assert_eq!(driver.rsa_public(&even, &mut [0; 256]), Err(Error::Unsupported));
        assert_eq!(driver.rsa_public(&keys[0], &mut [0; 255]), Err(Error::Unsupported));
        driver.forget();
        assert_eq!(driver.lock().public.len(), 0);
    }

    /// That a key passed says nothing of one that differs in the public half or in its hash, whichever is asked first.
    #[test]
    fn ml_kem_keys_are_checked_once() {
        for set in MlKemSet::ALL {
            let driver = PreparedKeys::new();
            let mut key = vec![0; set.private_size()];
            AwsLc.ml_kem_from_seed(set, &[7; 64], &mut key).expect("made");
            let hash = key.len() - 64;
            for _ in 0..2 {
                for place in [hash - set.public_size(), hash - 1, hash, hash + 31] {
                    let mut damaged = key.clone();
                    damaged[place] ^= 1;
                    assert_eq!(driver.ml_kem_check(set, &damaged), Err(Error::Unsupported));
                    assert_eq!(Software::new(NoRandom).ml_kem_check(set, &damaged), Err(Error::Key));
                }
                assert_eq!(driver.ml_kem_check(set, &key), Ok(()));
                assert_eq!(driver.lock().checked.len(), 1);
            }
            let public = set.public_of(&key).expect("the public half");
            assert_eq!(driver.ml_kem_check(set, public), Err(Error::Unsupported));
            driver.forget();
            assert_eq!(driver.lock().checked.len(), 0);
        }
    }

    #[test]
    fn threads_share_a_key() {
        let driver = PreparedKeys::new();
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
