//! The port's noise source, and the health tests around it.

use crate::Error;

/// The one method by which a port supplies entropy to a [`Drbg`](crate::Drbg).
///
/// Every byte is expected to carry eight bits of min-entropy, that is, the source is conditioned (as operating
/// systems and most random number generators in silicon are). A raw source must be conditioned first, for instance
/// by hashing twice as much entropy as goes out; [`HealthTested`] belongs in front of the conditioning.
pub trait Entropy {
    /// Fills `output` with fresh entropy, waiting for the source if need be.
    ///
    /// # Errors
    /// [`Error::Entropy`] if the source failed; `output` is then not used.
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error>;
}

impl<T: Entropy + ?Sized> Entropy for &mut T {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        (**self).fill(output)
    }
}

/// Samples in a window of the adaptive proportion test, for samples that are not single bits.
const WINDOW: u16 = 512;
/// Samples tested at start-up (NIST SP 800-90B, §4.3).
const STARTUP: usize = 1024;

/// Cutoffs for 1 to 8 bits of min-entropy per byte: repetition count, adaptive proportion. The false alarm
/// probability is 2^-40 per sample or window: at 2^-20, the other end of the range that the standard recommends, a
/// busy host would stop within days.
const CUTOFFS: [(u8, u16); 8] =
    [(41, 336), (21, 201), (15, 123), (11, 78), (9, 51), (8, 35), (7, 26), (6, 19)];

/// An entropy source with the start-up and continuous health tests of NIST SP 800-90B, §4.4: the repetition count
/// test and the adaptive proportion test. A sample is a byte.
///
/// Once a test has failed, the source answers [`Error::Entropy`] for good: a new `HealthTested` has to be made,
/// which repeats the start-up tests.
pub struct HealthTested<E> {
    source: E,
    /// A longer run of one value than this is a failure.
    repetition_cutoff: u8,
    /// As many occurrences of a window's first value in it are a failure.
    proportion_cutoff: u16,
    last: u8,
    /// Length of the current run of `last`; 0 before the first sample.
    run: u8,
    first: u8,
    /// Samples seen in the current window; 0 before its first sample.
    seen: u16,
    /// Occurrences of `first` among them.
    occurrences: u16,
    failed: bool,
}

impl<E: Entropy> HealthTested<E> {
    /// Puts the tests in front of `source` and runs them once over 1024 bytes, which are then discarded.
    ///
    /// `min_entropy` is what the source is known to deliver, in bits per byte, 1 to 8. Values outside are taken as
    /// the nearest within.
    ///
    /// # Errors
    /// [`Error::Entropy`] if a test fails, or what the source answers.
    pub fn new(source: E, min_entropy: u8) -> Result<Self, Error> {
        let index = usize::from(min_entropy.clamp(1, 8).saturating_sub(1));
        let (repetition_cutoff, proportion_cutoff) = *CUTOFFS.get(index).ok_or(Error::Entropy)?;
        let mut tested = Self {
            source,
            repetition_cutoff,
            proportion_cutoff,
            last: 0,
            run: 0,
            first: 0,
            seen: 0,
            occurrences: 0,
            failed: false,
        };
        let mut samples = [0; 64];
        for _ in 0..STARTUP.div_ceil(samples.len()) {
            tested.fill(&mut samples)?;
        }
        crate::secret::wipe(&mut samples);
        Ok(tested)
    }

    /// Whether one more sample leaves both tests passed.
    fn accept(&mut self, sample: u8) -> bool {
        // §4.4.1
        if self.run > 0 && sample == self.last {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = sample;
            self.run = 1;
        }
        // §4.4.2
        if self.seen == 0 {
            self.first = sample;
            self.occurrences = 0;
        }
        if sample == self.first {
            self.occurrences = self.occurrences.saturating_add(1);
        }
        self.seen = self.seen.saturating_add(1);
        if self.seen >= WINDOW {
            self.seen = 0;
        }
        self.run < self.repetition_cutoff && self.occurrences < self.proportion_cutoff
    }
}

impl<E: Entropy> Entropy for HealthTested<E> {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Entropy);
        }
        self.source.fill(output)?;
        for sample in output.iter() {
            if !self.accept(*sample) {
                self.failed = true;
            }
        }
        if self.failed {
            output.fill(0);
            return Err(Error::Entropy);
        }
        Ok(())
    }
}

impl<E> core::fmt::Debug for HealthTested<E> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The samples are secret.
        formatter.debug_struct("HealthTested").field("failed", &self.failed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Source<F>(F, usize);

    impl<F: FnMut(usize) -> u8> Entropy for Source<F> {
        fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
            for byte in output {
                *byte = (self.0)(self.1);
                self.1 += 1;
            }
            Ok(())
        }
    }

    /// A multiplicative hash of the index: even enough for the tests.
    fn noise(index: usize) -> u8 {
        ((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }

    #[test]
    fn an_even_source_passes() {
        let mut source = HealthTested::new(Source(noise, 0), 8).unwrap();
        let mut output = [0; 100_000];
        source.fill(&mut output).unwrap();
        assert_eq!(output[0], noise(STARTUP), "the start-up samples are discarded");
    }

    #[test]
    fn a_stuck_source_fails_at_start() {
        for entropy in 0..=9 {
            assert_eq!(HealthTested::new(Source(|_| 0x5a, 0), entropy).err(), Some(Error::Entropy));
        }
    }

    /// A run of one less than the cutoff passes; at the cutoff it fails, across calls, and for good.
    #[test]
    fn repetition_cutoff() {
        let stuck = |length: usize| {
            move |index: usize| {
                if (STARTUP..STARTUP + length).contains(&index) { noise(STARTUP - 1) } else { noise(index) }
            }
        };
        // The sample before the stuck stretch has the same value, so the run is one longer than the stretch.
        let mut source = HealthTested::new(Source(stuck(4), 0), 8).unwrap();
        source.fill(&mut [0; 10]).unwrap();
        let mut source = HealthTested::new(Source(stuck(5), 0), 8).unwrap();
        source.fill(&mut [0; 4]).unwrap();
        let mut output = [1; 4];
        assert_eq!(source.fill(&mut output), Err(Error::Entropy));
        assert_eq!(output, [0; 4]);
        assert_eq!(source.fill(&mut output), Err(Error::Entropy));
    }

    /// One value in every `period` samples is too much at 8 bits per byte from 19 in 512 on.
    #[test]
    fn proportion_cutoff() {
        let biased = |period: usize| {
            move |index: usize| if index.is_multiple_of(period) { 0 } else { (index % 255) as u8 + 1 }
        };
        // 512 / 29 = 18 occurrences (rounded up) pass, 512 / 28 = 19 do not.
        let mut source = HealthTested::new(Source(biased(29), 0), 8);
        assert!(source.is_ok(), "{source:?}");
        source = HealthTested::new(Source(biased(28), 0), 8);
        assert_eq!(source.err(), Some(Error::Entropy));
        assert!(HealthTested::new(Source(biased(28), 0), 6).is_ok());
    }

    #[test]
    fn the_source_error_passes_through() {
        struct Broken;
        impl Entropy for Broken {
            fn fill(&mut self, _: &mut [u8]) -> Result<(), Error> {
                Err(Error::Hardware)
            }
        }
        assert_eq!(HealthTested::new(Broken, 8).err(), Some(Error::Hardware));
    }
}
