//! Processors that are compared with the software before they are used.

use crate::modes::AesProcessor;
use crate::{Aes, Cryp, HashContext, HashProcessor, Registers};
use casemate_crypto::{
    AES_BLOCK, Aead, Cipher, CtrState, Curve25519, Direction, EllipticCurve, Error, Hash, HashAlgorithm, Mac,
    MlDsa, MlKem, NoRandom, Random, Rsa, Software,
};
use core::sync::atomic::{AtomicU8, Ordering};

const SOFTWARE: Software<NoRandom> = Software::new(NoRandom);

/// What is known of a processor.
const UNKNOWN: u8 = 0;
const RIGHT: u8 = 1;
const UNUSABLE: u8 = 2;

/// A processor that has to compute what the software computes before it is used, and is left alone once it was wrong or did not
/// finish: everything is declined then, so that [`Prefer`](casemate_crypto::Prefer) asks the software. Only a new value tries
/// again.
///
/// The check is made at the first use: of AES in every mode, direction and key size, of each hash with two messages in pieces,
/// which take turns. It takes the software's time for some twenty blocks. A processor that does not answer, or is in use, is
/// checked again the next time.
#[derive(Debug)]
pub struct Checked<D> {
    driver: D,
    /// For AES one verdict, for hashes one of each.
    verdicts: [AtomicU8; 4],
}

impl<D> Checked<D> {
    const fn new(driver: D) -> Self {
        Self { driver, verdicts: [const { AtomicU8::new(UNKNOWN) }; 4] }
    }

    /// Checks with `check` if that has not been done; `Unsupported` if the processor cannot be used.
    fn usable(&self, index: usize, check: impl FnOnce(&D) -> Result<bool, Error>) -> Result<(), Error> {
        let verdict = self.verdicts.get(index).ok_or(Error::Unsupported)?;
        let known = match verdict.load(Ordering::Acquire) {
            UNKNOWN => {
                let found = match check(&self.driver) {
                    Ok(true) => RIGHT,
                    Err(Error::Unsupported) => return Err(Error::Unsupported),
                    Ok(false) | Err(_) => UNUSABLE,
                };
                verdict.store(found, Ordering::Release);
                found
            }
            known => known,
        };
        if known == RIGHT { Ok(()) } else { Err(Error::Unsupported) }
    }

    /// Passes an answer on; after a fault nothing of the processor is used any more.
    fn noted(&self, answer: Result<(), Error>) -> Result<(), Error> {
        if answer == Err(Error::Hardware) {
            self.verdicts.iter().for_each(|verdict| verdict.store(UNUSABLE, Ordering::Release));
        }
        answer
    }
}

impl<R: Registers> Checked<Cryp<R>> {
    /// The AES processor CRYP.
    pub const fn cryp(driver: Cryp<R>) -> Self {
        Self::new(driver)
    }
}

impl<R: Registers> Checked<Aes<R>> {
    /// The AES processor AES.
    pub const fn aes(driver: Aes<R>) -> Self {
        Self::new(driver)
    }
}

impl<D: AesProcessor> Checked<D> {
    /// Whether the processor is used: it answers, and computes what the software computes.
    pub fn is_usable(&self) -> bool {
        self.check().is_ok()
    }

    fn check(&self) -> Result<(), Error> {
        self.usable(0, agrees)
    }
}

/// Compares AES with the software's.
fn agrees<D: AesProcessor>(driver: &D) -> Result<bool, Error> {
    const BLOCKS: usize = 3;
    let mut key = [0_u8; 32];
    key.iter_mut().zip(11_u8..).for_each(|(byte, value)| *byte = value);
    // The second block needs a carry out of the lowest 32 bits.
    let mut iv = [0xff; AES_BLOCK];
    iv.iter_mut().zip(3_u8..).take(12).for_each(|(byte, value)| *byte = value);
    for size in driver.key_sizes() {
        let key = key.get(..*size).unwrap_or_default();
        let (mut ours, mut theirs) = ([0x5a; BLOCKS * AES_BLOCK], [0x5a; BLOCKS * AES_BLOCK]);
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let (mut our_iv, mut their_iv) = (iv, iv);
            driver.cbc(direction, key, &mut our_iv, &mut ours)?;
            SOFTWARE.cbc(direction, key, &mut their_iv, &mut theirs)?;
            driver.ecb(direction, key, &mut ours)?;
            SOFTWARE.ecb(direction, key, &mut theirs)?;
            let (mut our_state, mut their_state) = (CtrState::new(iv), CtrState::new(iv));
            driver.ctr(key, &mut our_state, &mut ours)?;
            SOFTWARE.ctr(key, &mut their_state, &mut theirs)?;
            if ours != theirs || our_iv != their_iv {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

impl<D: AesProcessor> Cipher for Checked<D> {
    fn ecb(&self, direction: Direction, key: &[u8], data: &mut [u8]) -> Result<(), Error> {
        self.check()?;
        self.noted(self.driver.ecb(direction, key, data))
    }

    fn cbc(
        &self,
        direction: Direction,
        key: &[u8],
        iv: &mut [u8; AES_BLOCK],
        data: &mut [u8],
    ) -> Result<(), Error> {
        self.check()?;
        self.noted(self.driver.cbc(direction, key, iv, data))
    }

    fn ctr(&self, key: &[u8], state: &mut CtrState, data: &mut [u8]) -> Result<(), Error> {
        self.check()?;
        self.noted(self.driver.ctr(key, state, data))
    }
}

impl<D: AesProcessor> Aead for Checked<D> {
    fn gcm_seal(
        &self,
        key: &[u8],
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        self.check()?;
        self.noted(self.driver.gcm_seal(key, iv, aad, data, tag))
    }

    fn gcm_open(&self, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), Error> {
        self.check()?;
        self.noted(self.driver.gcm_open(key, iv, aad, data, tag))
    }
}

impl<D: AesProcessor> Hash for Checked<D> {}

impl<R: Registers> Checked<HashProcessor<R>> {
    /// The hash processor.
    pub const fn hash(driver: HashProcessor<R>) -> Self {
        Self::new(driver)
    }

    /// Whether the processor is used for an algorithm: it has it, answers, and computes what the software computes.
    pub fn is_usable(&self, algorithm: HashAlgorithm) -> bool {
        self.check(algorithm).is_ok()
    }

    fn check(&self, algorithm: HashAlgorithm) -> Result<(), Error> {
        let index = match algorithm {
            HashAlgorithm::Md5 => 0,
            HashAlgorithm::Sha1 => 1,
            HashAlgorithm::Sha224 => 2,
            HashAlgorithm::Sha256 => 3,
            _ => return Err(Error::Unsupported),
        };
        self.usable(index, |driver| digests_agree(driver, algorithm))
    }

    /// [`HashProcessor::absorb`].
    ///
    /// # Errors
    /// Those of [`HashProcessor::absorb`].
    pub fn absorb(
        &self,
        algorithm: HashAlgorithm,
        context: &mut Option<HashContext>,
        parts: &[&[u8]],
    ) -> Result<(), Error> {
        self.check(algorithm)?;
        self.noted(self.driver.absorb(algorithm, context, parts))
    }

    /// [`HashProcessor::finish_context`].
    ///
    /// # Errors
    /// Those of [`HashProcessor::finish_context`].
    pub fn finish_context(
        &self,
        algorithm: HashAlgorithm,
        context: &HashContext,
        tail: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        self.check(algorithm)?;
        self.noted(self.driver.finish_context(algorithm, context, tail, output))
    }
}

/// Compares a hash with the software's: two messages in pieces that take turns, and one at once.
fn digests_agree<R: Registers>(driver: &HashProcessor<R>, algorithm: HashAlgorithm) -> Result<bool, Error> {
    const SPAN: usize = HashContext::FIRST + HashContext::NEXT;
    let mut message = [0_u8; SPAN + 80];
    message.iter_mut().zip(1_u8..=251).for_each(|(byte, value)| *byte = value);
    let (first, rest) = message.split_at(HashContext::FIRST);
    let (span, tail) = message.split_at(SPAN);
    let size = algorithm.digest_size().ok_or(Error::Unsupported)?;
    let (mut ours, mut theirs) = ([0; 32], [0; 32]);
    let (Some(ours), Some(theirs)) = (ours.get_mut(..size), theirs.get_mut(..size)) else {
        return Err(Error::Unsupported);
    };
    let (mut one, mut other) = (None, None);
    driver.absorb(algorithm, &mut one, &[first])?;
    driver.absorb(algorithm, &mut other, &[span])?;
    driver.absorb(algorithm, &mut one, &[rest.get(..HashContext::NEXT).unwrap_or_default()])?;
    let (Some(one), Some(other)) = (one, other) else { return Ok(false) };
    for (context, length) in [(&one, tail.len()), (&other, 3), (&one, 0)] {
        let tail = tail.get(..length).unwrap_or_default();
        driver.finish_context(algorithm, context, tail, ours)?;
        casemate_crypto::hash(&SOFTWARE, algorithm, &[span, tail], theirs)?;
        if ours != theirs {
            return Ok(false);
        }
    }
    driver.digest(algorithm, &[tail.get(..21).unwrap_or_default()], ours)?;
    casemate_crypto::hash(&SOFTWARE, algorithm, &[tail.get(..21).unwrap_or_default()], theirs)?;
    Ok(ours == theirs)
}

impl<R: Registers> Hash for Checked<HashProcessor<R>> {
    fn digest(&self, algorithm: HashAlgorithm, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        self.check(algorithm)?;
        self.noted(self.driver.digest(algorithm, parts, output))
    }
}

impl<R> Cipher for Checked<HashProcessor<R>> {}
impl<R> Aead for Checked<HashProcessor<R>> {}
impl<D> Random for Checked<D> {}
impl<D> Mac for Checked<D> {}
impl<D> EllipticCurve for Checked<D> {}
impl<D> Curve25519 for Checked<D> {}
impl<D> Rsa for Checked<D> {}
impl<D> MlDsa for Checked<D> {}
impl<D> MlKem for Checked<D> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashKinds;
    use crate::model::{CrypModel, HashModel};

    const SHA256: HashAlgorithm = HashAlgorithm::Sha256;

    #[test]
    fn a_processor_is_checked_once() {
        let model = CrypModel::default();
        let checked = Checked::cryp(Cryp::new(&model));
        assert!(checked.is_usable());
        let before = model.turned.get();
        let mut data = [7; 16];
        checked.ecb(Direction::Encrypt, &[1; 16], &mut data).unwrap();
        assert_eq!(model.turned.get(), before + 1);

        let model = HashModel::default();
        let checked = Checked::hash(HashProcessor::new(&model, HashKinds::Sha1AndMd5));
        assert!(checked.is_usable(HashAlgorithm::Sha1) && checked.is_usable(HashAlgorithm::Md5));
        assert!(!checked.is_usable(SHA256) && !checked.is_usable(HashAlgorithm::Sha512));
        let before = model.digests.get();
        checked.digest(HashAlgorithm::Sha1, &[b"abc"], &mut [0; 20]).unwrap();
        assert_eq!(model.digests.get(), before + 1);
    }

    #[test]
    fn a_processor_that_is_wrong_is_not_used() {
        let model = CrypModel::default();
        model.wrong.set(true);
        let checked = Checked::cryp(Cryp::new(&model));
        let mut data = [7; 16];
        assert_eq!(checked.ecb(Direction::Encrypt, &[1; 16], &mut data), Err(Error::Unsupported));
        assert_eq!(data, [7; 16]);
        model.wrong.set(false);
        assert!(!checked.is_usable(), "what was wrong once is not believed later");

        let model = HashModel::default();
        model.wrong.set(true);
        let checked = Checked::hash(HashProcessor::new(&model, HashKinds::WithSha2));
        assert_eq!(checked.absorb(SHA256, &mut None, &[&[1; 68]]), Err(Error::Unsupported));
        assert_eq!(checked.digest(SHA256, &[&[1; 68]], &mut [0; 32]), Err(Error::Unsupported));
    }

    #[test]
    fn after_a_fault_the_software_does_everything() {
        let model = CrypModel::default();
        let checked = Checked::cryp(Cryp::new(&model));
        assert!(checked.is_usable());
        model.stop_after.set(Some(1));
        assert_eq!(checked.ecb(Direction::Encrypt, &[1; 16], &mut [7; 16]), Err(Error::Hardware));
        assert_eq!(checked.ecb(Direction::Encrypt, &[1; 16], &mut [7; 16]), Err(Error::Unsupported));

        let model = HashModel::default();
        let checked = Checked::hash(HashProcessor::new(&model, HashKinds::WithSha2));
        assert!(checked.is_usable(SHA256));
        model.stuck.set(true);
        assert_eq!(checked.digest(SHA256, &[b"a"], &mut [0; 32]), Err(Error::Hardware));
        assert_eq!(checked.digest(SHA256, &[b"a"], &mut [0; 32]), Err(Error::Unsupported));
        // One that never finished anything does not pass its check, either.
        let checked = Checked::hash(HashProcessor::new(&model, HashKinds::WithSha2));
        assert_eq!(checked.digest(SHA256, &[b"a"], &mut [0; 32]), Err(Error::Unsupported));
        assert!(!checked.is_usable(SHA256));
    }

    #[test]
    fn one_that_does_not_answer_is_asked_again() {
        let model = HashModel::default();
        model.off.set(true);
        let checked = Checked::hash(HashProcessor::new(&model, HashKinds::WithSha2));
        assert!(!checked.is_usable(SHA256));
        model.off.set(false);
        assert!(checked.is_usable(SHA256));

        let model = CrypModel::default();
        model.off.set(true);
        let checked = Checked::cryp(Cryp::new(&model));
        assert!(!checked.is_usable());
        model.off.set(false);
        assert!(checked.is_usable());
        assert!(model.enabled.get() > 0);
    }
}
