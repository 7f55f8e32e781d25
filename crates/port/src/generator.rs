//! Random numbers: the port's noise source, its health tests, and the generator that it seeds.

use casemate_crypto::{Drbg, Driver, Entropy, Error, HealthTested, Random, Software};
use core::cell::{Cell, RefCell};

/// The random bit generator of a device: CTR_DRBG (NIST SP 800-90A) over a noise source under the health tests of NIST
/// SP 800-90B, at start-up and continuously. It remembers that the source has failed, so that the firmware learns of it.
///
/// For one thread: the firmware's.
#[derive(Debug)]
pub struct Generator<E> {
    drbg: RefCell<Drbg<HealthTested<E>>>,
    failed: Cell<bool>,
}

impl<E: Entropy> Generator<E> {
    /// Runs the start-up tests and seeds a generator.
    ///
    /// `min_entropy` is what the source delivers in bits for each byte, 1 to 8; `personalization` sets devices apart.
    ///
    /// # Errors
    /// [`Error::Entropy`] if a test fails, or what the source answers.
    pub fn new(source: E, min_entropy: u8, personalization: &[u8]) -> Result<Self, Error> {
        let drbg = Drbg::new(HealthTested::new(source, min_entropy)?, personalization)?;
        Ok(Self { drbg: RefCell::new(drbg), failed: Cell::new(false) })
    }

    /// Whether the source has failed since the start: a health test, or the source itself.
    pub fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// Takes fresh entropy now, instead of after the usual number of requests.
    ///
    /// # Errors
    /// What the source answers.
    pub fn reseed(&self) -> Result<(), Error> {
        self.noted(|drbg| drbg.reseed(&[]))
    }

    /// Takes fresh entropy if it is soon due ([`Drbg::reseed_early`]).
    ///
    /// # Errors
    /// What the source answers.
    pub fn reseed_early(&self) -> Result<(), Error> {
        self.noted(Drbg::reseed_early)
    }

    fn noted(&self, work: impl FnOnce(&mut Drbg<HealthTested<E>>) -> Result<(), Error>) -> Result<(), Error> {
        let result = work(&mut *self.drbg.try_borrow_mut().map_err(|_| Error::Unavailable)?);
        if result.is_err() {
            self.failed.set(true);
        }
        result
    }
}

impl<E: Entropy> Random for Generator<E> {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        self.noted(|drbg| drbg.generate(output))
    }
}

/// The driver behind the hardware: it does in software what the engines decline, and owns the generator.
///
/// [`Software`] is one that does everything. A port that wants less flash wraps it and forwards only the families it
/// wants: whatever it does not forward, clients are refused.
pub trait SoftwareDriver<E>: Driver {
    /// The generator that this driver was made with.
    fn generator(&self) -> &Generator<E>;
}

impl<E: Entropy> SoftwareDriver<E> for Software<Generator<E>> {
    fn generator(&self) -> &Generator<E> {
        self.random()
    }
}
